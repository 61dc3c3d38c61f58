"""What the video search alone does: films become shots, things and faces are found, people are named and forgotten."""

import io
import json

import av
import numpy as np
import pytest
from PIL import Image
from services import assert_problem, clip, narrow_face, running

from workshop import films, video
from workshop.milvus import connect

pytestmark = pytest.mark.service("video_search")
FILM = (films.FILMS / "film_09.mp4").read_bytes()  # five shots, of which two show faces


def png(shot: video.Shot) -> bytes:
    file = io.BytesIO()
    shot.still.picture.save(file, "PNG")
    return file.getvalue()


def sample(loaded, film: str, number: int) -> dict:
    """The item of a shot of the course's films."""
    found = loaded.client.get("items", params={"category": film, "limit": 100}).json()["items"]
    (item,) = [item for item in found if item["payload"]["number"] == number]
    return item


@pytest.fixture(scope="module")
def faces_of():
    """A person to the places (film, number) of the shots whose first face is hers."""
    found = {}
    for label in films.labels():
        if len(label.people) == 1 and films.shots(label.film, False)[label.number - 1].tracks:
            place = (label.film.removesuffix(".mp4"), label.number)
            found.setdefault(label.people[0], []).append(place)
    return {person: places for person, places in found.items() if len(places) > 1}


# ------------------------------------------------------------------------------------ searches


@pytest.mark.on_server
def test_a_picture_finds_its_shot(loaded):
    shot = films.shot("film_06.mp4", 4)
    files = {"file": ("still.png", png(shot))}
    hits = loaded.client.post("search/file", files=files, data={"limit": 3}).json()["hits"]
    assert (hits[0]["payload"]["category"], hits[0]["payload"]["number"]) == ("film_06", 4)


def test_a_thing_is_found_by_its_name_in_either_model(loaded):
    for text, thing in (("a horse", "horse"), ("person", "person")):
        for hit in loaded.hits(text=text, mode="objects", limit=3):
            label = next(
                label
                for label in films.labels()
                if label.film == f"{hit['payload']['category']}.mp4"
                and label.number == hit["payload"]["number"]
            )
            assert thing in label.things | label.unsure
    (guitar, *_) = loaded.hits(text="a guitar", mode="objects")  # no kind of the detector
    assert (guitar["payload"]["category"], guitar["payload"]["number"]) == ("film_09", 2)


@pytest.mark.on_server
def test_a_face_finds_the_same_person_in_other_films(loaded, faces_of):
    right = asked = 0
    for places in faces_of.values():
        (hit,) = loaded.hits(item_id=sample(loaded, *places[0])["id"], mode="faces", limit=1)
        right += (hit["payload"]["category"], hit["payload"]["number"]) == places[1]
        asked += 1
    assert asked > 8 and right / asked >= 0.9


def test_a_shot_without_a_face_is_told_so(loaded):
    (item,) = [sample(loaded, "film_09", 4)]
    assert not item["payload"]["faces"]
    query = {"item_id": item["id"], "mode": "faces"}
    assert_problem(loaded.client.post("search", json=query), 422, "cannot be compared by faces")
    files = {"file": ("teal.mp4", clip(5))}
    answer = loaded.client.post("search/file", files=files, data={"mode": "faces"})
    assert_problem(answer, 422, "No face is plainly seen")


def test_a_shot_is_played_in_parts_and_shown_as_a_picture(loaded):
    item = sample(loaded, "film_06", 3)
    path = f"items/{item['id']}"
    part = loaded.client.get(f"{path}/media", headers={"Range": "bytes=0-99"})
    assert (part.status_code, len(part.content)) == (206, 100)
    with av.open(io.BytesIO(loaded.client.get(f"{path}/media").content)) as film:
        assert film.streams.video[0].codec_context.name == "h264"
    still = Image.open(io.BytesIO(loaded.client.get(f"{path}/still").content))
    frames = films.shot("film_06.mp4", 3).frames
    wanted = min(
        frames, key=lambda f: abs(f.time - frames[0].time - item["payload"]["still"])
    ).picture
    assert np.abs(np.asarray(still, float) - np.asarray(wanted, float)).mean() < 8


def test_a_film_tells_its_shots_and_cuts(loaded):
    third = sample(loaded, "film_06", 3)
    film = loaded.client.get(f"films/{third['id']}").json()
    assert (film["name"], len(film["shots"])) == ("film_06", 4)
    assert film["id"] == film["shots"][0]["id"]
    truth = [label.start for label in films.labels() if label.film == "film_06.mp4"][1:]
    assert film["cuts"] == pytest.approx(truth, abs=films.TOLERANCE)
    (face,) = film["shots"][2]["faces"]
    assert (face["name"], face["score"]) == (None, None)  # nobody has a name yet
    assert all(0 <= side <= 1 for side in face["box"])


# ------------------------------------------------------------------------- films that are sent


def mixed(pictures: int, sound: bool = False, times=None) -> bytes:
    """A film of one colour after another, or of sound alone; `times` in milliseconds."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        if pictures:
            stream = out.add_stream("libx264", rate=1000)
            stream.width = stream.height = 64
            for number in range(pictures):
                picture = Image.new("RGB", (64, 64), (0, 90, 20 * number % 250))
                frame = av.VideoFrame.from_image(picture)
                frame.pts, frame.time_base = times[number], video._CLOCK
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        if sound:
            stream = out.add_stream("aac", rate=16_000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), "fltp", "mono")
            frame.sample_rate = 16_000
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return file.getvalue()


def huge() -> bytes:
    """A film of one black picture, 10,000 × 10,000 pixels of one bit each."""
    file, side = io.BytesIO(), 10_000
    with av.open(file, "w", format="mov") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = side, side, "monob"
        frame = av.VideoFrame(side, side, "monob")
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


BAD = {
    "half.mp4": (FILM[: len(FILM) // 2], ""),
    "sound.mp4": (mixed(0, sound=True), "has no pictures: there is only sound"),
    "hour.mp4": (mixed(2, times=[0, 3_600_000]), "longer than 600 s"),
    "huge.mov": (huge(), "has 10,000 × 10,000 pixels, more than"),
    "text.mp4": (b"no film at all", "is no film that is read here"),
}


def test_bad_films_are_told_in_a_sentence_and_leave_nothing(loaded):
    before = {path for path in loaded.folder.rglob("*") if path.suffix == ".mp4"}
    count = loaded.count()
    job = loaded.load([(name, content) for name, (content, _) in BAD.items()])
    assert (job["state"], job["items"]) == ("failed", 0)
    for failure in job["failed"]:
        assert failure["reason"].startswith(failure["name"])
        assert BAD[failure["name"]][1] in failure["reason"]
        assert failure["reason"].endswith(".")
    assert len(job["failed"]) == len(BAD) and loaded.count() == count
    assert {path for path in loaded.folder.rglob("*") if path.suffix == ".mp4"} == before


def test_a_film_that_breaks_after_its_first_shot_leaves_none_of_them(loaded, tmp_path):
    """Its head is at the front, and what it announces is not all there."""
    whole = tmp_path / "whole.mkv"
    with av.open(io.BytesIO(FILM)) as source, av.open(str(whole), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    content = whole.read_bytes()
    count = loaded.count()
    job = loaded.load([("torn.mkv", content[: int(0.8 * len(content))])])
    (failure,) = job["failed"]
    assert "torn.mkv breaks off at" in failure["reason"]
    assert (job["items"], loaded.count()) == (0, count)


def test_limits_are_settings_and_the_sentence_names_them(start):
    service = start(max_pixels=4_096, max_seconds=1)
    job = service.load([("large.mp4", narrow_face(176)), ("long.mp4", mixed(2, times=[0, 2_000]))])
    reasons = [failure["reason"] for failure in job["failed"]]
    assert "176 × 320 pixels, more than 4,096" in reasons[0] and "max_pixels" in reasons[0]
    assert "longer than 1 s" in reasons[1] and "max_seconds" in reasons[1]


def test_a_film_without_a_steady_clock_goes_in(loaded):
    job = loaded.load([("odd.mp4", mixed(8, times=[0, 9, 200, 230, 700, 701, 1500, 1600]))])
    assert (job["state"], job["failed"]) == ("done", [])
    for item in loaded.client.get("items", params={"category": "uploads"}).json()["items"]:
        loaded.client.delete(f"items/{item['id']}")


# ------------------------------------------------------------------------------------- people


def test_a_person_is_named_found_and_forgotten_without_a_trace(start, monkeypatch):
    service = start()
    assert service.load([("a film.mp4", FILM)])["items"] == 5
    items = service.client.get("items").json()["items"]
    assert {item["payload"]["film_name"] for item in items} == {"a film.mp4"}
    film = service.client.get(f"films/{items[0]['id']}").json()
    known = [shot for shot in film["shots"] if shot["faces"]]
    first = known[0]["id"]
    told = service.client.post("people", json={"name": "Tina", "item_id": first}).json()
    assert told["hits"][0]["id"] == first and told["hits"][0]["score"] > 0.99
    assert told["at_least"] == service.client.get("people/Tina").json()["at_least"]
    named = service.client.get(f"films/{first}").json()["shots"]
    names = {shot["id"]: [face["name"] for face in shot["faces"]] for shot in named}
    hers = {hit["id"] for hit in told["hits"]}
    for shot in known:  # and "unknown" for all others
        assert names[shot["id"]][0] == ("Tina" if shot["id"] in hers else None)

    spaces = ("faces", "second_faces")
    folder = service.folder.parent

    def traces(vectors: list[np.ndarray]) -> list:
        texts = [vector.tobytes()[:16] for vector in vectors] + [b"Tina"]
        files = [path for path in folder.rglob("*") if path.is_file()]
        return [path for path in files if any(text in path.read_bytes() for text in texts)]

    client = connect(service.case.name, fresh=False)
    collections = [n for n in client.list_collections() if n.startswith(spaces)]
    rows = [
        np.array(row["vector"], np.float32)
        for name in collections
        for row in client.query(name, filter="", limit=100, output_fields=["id", "vector"])
        if row["id"] in hers
    ]
    assert rows and len(traces(rows)) > 1  # in Milvus and in the file of names
    assert service.client.delete("people/Tina").status_code == 204
    assert traces(rows) == []
    assert service.client.get("people").json() == {"people": []}
    assert_problem(service.client.get("people/Tina"), 404, "Tina")
    assert_problem(service.client.delete("people/Tina"), 404, "Tina")
    query = {"name": "Tina", "item_id": first}
    assert_problem(service.client.post("people", json=query), 422, "no face 1")
    assert service.count() == 5  # the film is still here


def test_forgetting_waits_for_a_load_and_goes_on_after_a_kill(case, tmp_path):
    """What a load brings in while somebody is forgotten would stay; a name whose faces are gone goes too."""
    with running(case, tmp_path) as service:
        service.load([("a film.mp4", FILM)])
        film = service.client.get("items").json()["items"][-1]["id"]
        shots = service.client.get(f"films/{film}").json()["shots"]
        first = next(shot["id"] for shot in shots if shot["faces"])
        service.client.post("people", json={"name": "Tina", "item_id": first})
        accepted = service.client.post("items", files=[("files", ("again.mp4", FILM))])
        assert_problem(service.client.delete("people/Tina"), 409, "Films are going in", "'Tina'")
        assert service.finished(accepted)["items"] == 5
        hers = {hit["id"] for hit in service.client.get("people/Tina").json()["hits"]}
        assert len(hers) > 1 and first in hers
    # as a kill leaves it before the first row goes
    plan = json.dumps({"faces": sorted(hers), "second_faces": sorted(hers)})
    (service.folder / "media" / "forget-0.part").write_text(plan)
    with running(case, tmp_path) as service:
        assert service.client.get("people/Tina").json()["hits"] == []
        for shot in hers:
            naming = {"name": "Eva", "item_id": shot}
            assert_problem(service.client.post("people", json=naming), 422, "no face 1")
        assert service.client.delete("people/Tina").status_code == 204
        assert service.client.get("people").json() == {"people": []}
        assert service.count() == 10


def test_a_face_has_one_name_and_an_unknown_person_is_not_found(loaded, faces_of):
    first, second, *_ = [places[0] for places in faces_of.values()]
    one, other = (sample(loaded, *place)["id"] for place in (first, second))
    before = set(loaded.client.get("people").json()["people"])
    assert not before
    for name in ("Eva", "Ida"):
        loaded.client.post("people", json={"name": name, "item_id": one})
    assert loaded.client.get("people").json()["people"] == [{"name": "Ida", "faces": 1}]
    found = {hit["id"] for hit in loaded.client.get("people/Ida").json()["hits"]}
    assert one in found and other not in found
    (loaded.folder / "people.json").unlink()  # not forgotten: other tests need the faces
