"""What the audio search alone does: the same recording, similar sounds, words; what is read, and what is left behind."""

import base64
import io

import av
import numpy as np
import pytest
import soundfile
from PIL import Image
from services import assert_problem, melody, recording

from app_snippets.calls.listening import SHOWN, pack, unpack
from workshop import sounds
from workshop.sounds import RATE, add_noise, as_opus

pytestmark = pytest.mark.service("audio_search")
PIECE = sounds.sounds("piece", "report")[2]
FIVE = slice(5 * RATE, 10 * RATE)


def packed(samples, rate=RATE, format_="WAV", subtype=None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=format_)
    return file.getvalue()


def by_av(samples, kind: str, codec: str, rate=48_000) -> bytes:
    """As M4A, or as WebM, which is what browsers record."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[np.newaxis], np.float32), "fltp", "mono"
        )
        frame.rate = rate
        for part in av.AudioResampler(format=stream.format, rate=rate, frame_size=960).resample(
            frame
        ):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


def asked(service, content: bytes, mode: str = "same", **more):
    """What a file finds."""
    return service.client.post(
        "search/file", files={"file": ("question", content)}, data={"mode": mode, **more}
    )


# ------------------------------------------------------------------------------ the same recording


def test_a_noisy_part_finds_its_recording_and_where_it_is_in_it(loaded):
    part = PIECE.read()[FIVE]
    noise = np.random.default_rng(0).normal(size=len(part))
    for question in (part, add_noise(part, noise, decibels=0)):
        (hit,) = asked(loaded, packed(question / 4, subtype="FLOAT")).json()["hits"]
        match = hit["match"]
        assert hit["payload"]["name"] == PIECE.name
        assert match["at"] == pytest.approx(5, abs=0.02)
        assert match["votes"] >= sounds.VOTES and match["votes"] >= sounds.TIMES * match["rest"]
        assert (match["start"], match["seconds"]) == (0, 5)
        for mine, theirs, hertz in match["points"]:
            assert theirs - mine == pytest.approx(match["at"], abs=0.02)
            assert 0 <= mine <= 5 and 0 < hertz < 4000
        assert len(match["points"]) > 10
        picture = Image.open(io.BytesIO(base64.b64decode(match["question"])))
        assert picture.format == "WEBP"


def test_a_recording_that_is_not_here_is_not_found(loaded):
    for stranger in (melody(77, notes=40), PIECE.read()[::-1][FIVE]):
        answer = asked(loaded, packed(stranger))
        assert (answer.status_code, answer.json()["hits"]) == (200, [])
    assert asked(loaded, packed(melody(77, notes=40)), "similar").json()["hits"]


def test_an_item_finds_its_copies_and_a_question_that_is_too_short_is_told_so(loaded):
    job = loaded.load([("loud.flac", packed(PIECE.read() / 3, format_="FLAC"))], category="copies")
    assert job["state"] == "done"
    listed = {
        item["payload"]["name"]: item["id"]
        for category in ("copies", "piece", "bass drum")
        for item in loaded.client.get("items", params={"category": category, "limit": 100}).json()[
            "items"
        ]
    }
    try:
        mine, theirs = listed["loud.flac"], listed[PIECE.name]
        (hit,) = loaded.hits(item_id=theirs, mode="same")
        assert hit["id"] == mine and hit["score"] > 0.9
        assert "question" not in hit["match"]  # an item's picture is there for everybody
        assert {hit["id"] for hit in loaded.hits(items=[theirs, mine], mode="same")} == set()
        body = {"items": [theirs], "unlike": [mine], "mode": "same"}
        assert_problem(loaded.client.post("search", json=body), 422, "unlike")
        drum = next(
            item
            for item in loaded.client.get("items", params={"category": "bass drum"}).json()["items"]
            if item["payload"]["codes"] < sounds.VOTES
        )
        body = {"item_id": drum["id"], "mode": "same"}
        assert_problem(loaded.client.post("search", json=body), 422, "pairs of peaks", "similar")
        short = packed(melody(1, notes=1))
        assert_problem(asked(loaded, short), 422, "Give some seconds of it")
    finally:
        loaded.client.delete(f"items/{mine}")


def test_the_rule_is_a_setting(start):
    service = start(votes=10_000)
    service.load([("a.ogg", recording(1))])
    answer = asked(service, packed(melody(1)))
    assert_problem(answer, 422, "at least 10000")


# ------------------------------------------------------------------------------ similar sounds


@pytest.mark.on_server
def test_a_sound_and_words_find_what_is_like_them(loaded):
    """The phrase itself comes first, at a cosine of 1; and words find it in every mode."""
    (harp,) = [sound for sound in sounds.sounds("phrase") if sound.name == "harp, low"]
    hits = asked(loaded, packed(harp.read(), subtype="FLOAT"), "similar", limit=6).json()["hits"]
    assert hits[0]["payload"]["name"] == "harp, low" and hits[0]["score"] > 0.99
    for mode in ("similar", "same"):  # words have no other way
        found = [hit["payload"]["name"] for hit in loaded.hits(text="harp", mode=mode, limit=3)]
        assert any(name.startswith("harp") for name in found)


# ------------------------------------------------------------------------------ files and pictures


def test_a_file_holds_the_sound_and_its_fingerprint(tmp_path):
    samples = np.clip(3 * melody(5), -2, 2).astype(np.float32)
    codes, frames = sounds.fingerprint(samples)
    path = tmp_path / "a.flac"
    path.write_bytes(pack(samples, codes, frames))
    assert all(map(np.array_equal, unpack(path), (codes, frames)))
    played, rate = soundfile.read(path)
    assert rate == RATE and np.allclose(played, np.clip(samples, -1, 1), atol=1e-4)
    path.write_bytes(pack(samples, codes[:0], frames[:0]))
    assert [len(part) for part in unpack(path)] == [0, 0]


def test_a_recording_is_played_in_parts_and_its_picture_shows_a_part(loaded):
    (item,) = loaded.client.get("items", params={"category": "piece", "limit": 1}).json()["items"]
    path = f"items/{item['id']}"
    part = loaded.client.get(f"{path}/media", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"fLaC")

    def picture(**where) -> np.ndarray:
        answer = loaded.client.get(f"{path}/picture", params=where)
        assert answer.headers["content-type"] == "image/webp"
        return np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"), int)

    before, there = picture(start=-4, seconds=4.0), picture(start=0, seconds=4.0)
    assert before[:, :-20].min() > 240 and there.min() < 60  # white where there is no sound
    shifted = picture(start=-2, seconds=4.0)
    half = shifted.shape[1] // 2
    assert shifted[:, : half - 20].min() > 240 and shifted[:, half:].min() < 60
    assert picture(start=4_000, seconds=1).min() > 240
    for wrong in ({"start": -SHOWN - 1}, {"seconds": 0}, {"seconds": SHOWN + 1}, {"start": "nan"}):
        assert_problem(loaded.client.get(f"{path}/picture", params=wrong), 422)


STEREO = np.column_stack([melody(9), melody(9)])
GOOD = {
    "a.wav": packed(STEREO, subtype="PCM_24"),
    "b.wav": packed(STEREO, subtype="PCM_32"),
    "c.flac": packed(melody(9)[::2], 8_000, "FLAC"),
    "d.mp3": packed(melody(9), 44_100, "MP3"),
    "e.ogg": packed(melody(9), 44_100, "OGG", "VORBIS"),
    "f.opus": recording(9),
    "g.wav": packed(np.repeat(melody(9), 6), 96_000),
    "h.m4a": by_av(np.repeat(melody(9), 3), "ipod", "aac"),
    "i.webm": by_av(np.repeat(melody(9), 3), "webm", "libopus"),
}
BAD = {
    "silence.wav": (packed(np.zeros(RATE)), "is silent"),
    "sample.wav": (packed(np.ones(1)), "too short"),
    "hour.flac": (packed(np.zeros(8_000 * 3_600, np.int16), 8_000, "FLAC"), "longer than 600 s"),
    "text.mp3": (b"no sound at all", "no sound that is read here"),
    "half.webm": (GOOD["i.webm"][:300], "broken, or no M4A or WebM"),
    "slow.wav": (packed(melody(9), 4_000), "4,000 samples a second"),
}


def test_every_usual_kind_of_file_goes_in_and_what_is_none_is_told_and_leaves_nothing(loaded):
    kept = set(loaded.folder.rglob("*"))
    files = [*GOOD.items(), *((name, content) for name, (content, _) in BAD.items())]
    job = loaded.load(files, category="files")
    try:
        assert (job["state"], job["items"]) == ("done", len(GOOD))
        assert {failure["name"] for failure in job["failed"]} == set(BAD)
        for failure in job["failed"]:
            assert failure["reason"].startswith(failure["name"]) and failure["reason"].endswith(".")
            assert BAD[failure["name"]][1] in failure["reason"]
        (answer,) = [asked(loaded, GOOD["i.webm"], category="files")]
        found = {hit["payload"]["name"] for hit in answer.json()["hits"]}
        assert {"a.wav", "b.wav", "f.opus", "h.m4a", "i.webm"} <= found
    finally:
        for item in loaded.client.get("items", params={"category": "files", "limit": 100}).json()[
            "items"
        ]:
            loaded.client.delete(f"items/{item['id']}")
    assert set(loaded.folder.rglob("*")) == kept


def test_limits_are_settings_and_the_sentence_names_them(start):
    service = start(max_seconds=1)
    job = service.load([("long.ogg", recording(1)), ("short.ogg", as_opus(melody(1, notes=3)))])
    assert (job["state"], job["items"]) == ("done", 1)
    assert "longer than 1 s, the limit here (max_seconds)" in job["failed"][0]["reason"]
    assert_problem(asked(service, recording(1)), 413, "max_seconds")
