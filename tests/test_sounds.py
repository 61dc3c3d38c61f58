"""Sounds: what is read and what is refused, fingerprints by hand, the model against the original's numbers."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile

from workshop import sounds
from workshop.decoding import FileReader
from workshop.encoders import load_session, read_model_file
from workshop.sounds import (
    RATE,
    FingerprintIndex,
    Scale,
    SoundEncoder,
    SoundError,
    SoundTooLarge,
    accepted,
    add_noise,
    align,
    answerable,
    as_opus,
    fingerprint,
    in_words,
    log_mel,
    mel_filters,
    neighbours,
    pairs,
    part,
    patches,
    peaks,
    power,
    precision,
    read,
    sparse,
    spectrogram,
)


def tone(seconds=1.0, rate=RATE, hertz=440.0):
    """A sine of half the loudest possible."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def packed(samples, rate, format_, subtype=None):
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format=format_, subtype=subtype)
    return content.getvalue()


def by_ffmpeg(samples, rate=44100, kind="ipod", codec="aac"):
    """As M4A, or as WebM, which browsers record."""
    import av

    content = io.BytesIO()
    with av.open(content, "w", format=kind) as file:
        stream = file.add_stream(codec, rate=rate, layout="stereo")
        both = np.ascontiguousarray(np.tile(samples, (2, 1)), np.float32)
        frame = av.AudioFrame.from_ndarray(both, "fltp", "stereo")
        frame.rate = rate
        resampler = av.AudioResampler(format=stream.format, rate=rate, frame_size=960)
        for part in resampler.resample(frame):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return content.getvalue()


def m4a(samples, rate=44100):
    return by_ffmpeg(samples, rate)


def webm(samples):
    return by_ffmpeg(samples, 48000, "webm", "libopus")


def loudest_hertz(samples):
    """The frequency that is loudest in the middle of a sound."""
    loud = spectrogram(samples, 4096, 1024)
    return loud[len(loud) // 2].argmax() * RATE / 4096


# ------------------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("format_", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "FLOAT"),
        ("WAV", "PCM_U8"),
        ("FLAC", "PCM_24"),
        ("MP3", None),
        ("OGG", "VORBIS"),
        ("AIFF", None),
    ],
)
def test_every_kind_of_file_gives_the_same_tone(format_, subtype):
    stereo = np.column_stack([tone(rate=44100), tone(rate=44100)])
    samples = read(packed(stereo, 44100, format_, subtype))
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert abs(len(samples) - RATE) < 0.1 * RATE
    assert abs(loudest_hertz(samples) - 440) < 8
    assert np.abs(samples[2000:-2000]).max() == pytest.approx(0.5, abs=0.02)


def test_opus_m4a_and_what_browsers_record_are_read_too():
    opus = packed(tone(rate=48000), 48000, "OGG", "OPUS")
    for content in (opus, m4a(tone(rate=44100)), webm(tone(rate=48000))):
        assert abs(loudest_hertz(read(content)) - 440) < 8


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000, 96000])
def test_whatever_the_sample_rate_a_second_is_a_second_and_a_tone_the_same(rate):
    samples = read(packed(tone(rate=rate), rate, "WAV"))
    assert len(samples) == pytest.approx(RATE, abs=2)
    assert abs(loudest_hertz(samples) - 440) < 8


def test_channels_are_averaged():
    left, right = tone(hertz=500), np.zeros(RATE)
    samples = read(packed(np.column_stack([left, right]), RATE, "WAV", "FLOAT"))
    assert np.allclose(samples, left / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"this is a text and no sound", "no sound that is read here"),
        (packed(tone(), RATE, "FLAC")[:300], "broken|breaks off|no sample"),
        (packed(np.zeros(RATE), RATE, "WAV"), "silent"),
        (packed(np.ones(1), RATE, "WAV"), "too short: 1 sample at"),
        (packed(np.zeros(0), RATE, "WAV"), "no sample"),
        (packed(tone(rate=4000), 4000, "WAV"), "4,000 samples a second"),
        (packed(tone(0.1, 192000), 192000, "WAV"), "192,000 samples a second"),
        (packed(np.full(RATE, np.nan), RATE, "WAV", "FLOAT"), "no numbers"),
        (m4a(tone(rate=44100))[:500], "broken, or no M4A"),
        (webm(tone(rate=48000))[:200], "broken, or no M4A or WebM"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence_that_names_it(content, said):
    with pytest.raises(SoundError, match=f"^my.wav .*({said})"):
        read(content, name="my.wav")


def test_a_sound_that_is_too_long_or_too_large_is_refused_before_all_of_it_is_in_memory(tmp_path):
    hour = packed(np.zeros(8000 * 3600, np.int16), 8000, "FLAC")
    with pytest.raises(SoundTooLarge, match=r"longer than 600 s, the limit here .max_seconds"):
        read(hour, name="hour.flac")
    with pytest.raises(SoundTooLarge, match=r"longer than 0.5 s"):
        read(m4a(tone(2, 44100)), max_seconds=0.5)
    with pytest.raises(SoundTooLarge, match="max_bytes"):
        read(hour, max_bytes=100)
    path = tmp_path / "hour.flac"
    path.write_bytes(hour)
    with pytest.raises(SoundTooLarge, match="max_bytes"):
        read(path, max_bytes=100)


def test_a_missing_file_is_named():
    with pytest.raises(SoundError, match=r"away.wav: there is no such file"):
        read("away.wav")


def test_a_stranger_s_file_is_read_in_a_process_of_its_own():
    reader = FileReader(
        "workshop.sounds:read_file",
        options={"max_seconds": 2},
        refusal=SoundError,
        too_large=SoundTooLarge,
    )
    try:
        samples = reader.run(packed(tone(), RATE, "FLAC"), "a.flac")["samples"]
        assert np.allclose(samples, tone(), atol=1e-3)
        with pytest.raises(SoundTooLarge, match=r"b.flac is longer than 2 s"):
            reader.run(packed(tone(3), RATE, "FLAC"), "b.flac")
        with pytest.raises(SoundError, match=r"c.flac is no sound"):
            reader.run(b"no", "c.flac")
    finally:
        reader.close()


def test_what_is_heard_of_a_file_is_what_is_heard_of_its_samples():
    samples = sounds.sounds("piece")[0].read()
    heard = sounds.hear_file(sounds.sounds("piece")[0].path.read_bytes(), "a piece")
    assert np.array_equal(heard["samples"], samples)
    assert all(map(np.array_equal, (heard["codes"], heard["frames"]), fingerprint(samples)))
    encoder = SoundEncoder()
    for mine, theirs in zip(encoder.hear(heard["patches"]), encoder.run([samples]), strict=True):
        assert np.array_equal(mine, theirs[0])


def test_what_is_written_for_a_player_sounds_the_same():
    assert abs(loudest_hertz(read(as_opus(tone()))) - 440) < 8


# ------------------------------------------------------------------------------ the course's sounds


def test_every_sound_is_in_the_table_and_no_source_is_in_both_halves():
    with (sounds.SOUNDS / "sounds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(sounds.sounds()) == 494
    tuning, report = ({s.source for s in sounds.sounds(half=half)} for half in ("tuning", "report"))
    assert not tuning & report
    assert {s.licence for s in sounds.sounds()} == {"CC0-1.0", "MIT"}
    total = sum(path.stat().st_size for path in sounds.SOUNDS.iterdir())
    assert total <= 6_000_000
    assert abs(len(sounds.sounds("piece")[0].read()) / RATE - 20) < 0.1
    with pytest.raises(sounds.WorkshopError, match="'songs' is none of"):
        sounds.sounds("songs")


# ------------------------------------------------------------------------------ spectrograms


def test_a_tone_is_one_row_of_a_spectrogram():
    loud = spectrogram(tone(hertz=1000))
    assert loud.shape == (1 + RATE // 256, 513)
    assert (loud[5:-5].argmax(axis=1) == 64).all()  # 1000 Hz / 15.625


def test_a_long_spectrogram_is_made_in_parts_and_is_the_same(monkeypatch):
    samples = tone(3, hertz=700) + tone(3, hertz=900)
    whole = spectrogram(samples)
    monkeypatch.setattr(sounds, "_AT_ONCE", 50)
    assert np.array_equal(spectrogram(samples), whole)


def test_mel_filters_have_even_steps_below_1000_hertz_and_the_area_1():
    filters = mel_filters()
    assert filters.shape == (257, 96)
    centres = filters.argmax(axis=0) * RATE / 512
    assert (np.diff(centres) >= 0).all()
    assert np.allclose(filters[:, 60:].sum(axis=0) * RATE / 512, 1, atol=0.1)


def test_the_model_answers_as_the_original_did():
    reference = np.load(io.BytesIO(read_model_file("audio-reference.npz")))
    session = load_session(sounds.MODEL)
    tags, pooled = session.run(["tags", "pooled"], {"mel": reference["mel"]})
    assert np.abs(tags - reference["tags"]).max() < 1e-5
    assert np.allclose(pooled, reference["pooled"], rtol=1e-4, atol=1e-3)


def test_what_the_model_sees_of_a_piece_is_what_the_original_was_shown():
    reference = np.load(io.BytesIO(read_model_file("audio-reference.npz")))
    mel = log_mel(sounds.sounds("piece")[0].read())[:187]
    assert np.allclose(mel, reference["mel"][0], atol=2e-3)


def test_the_scale_of_the_course_is_learnt_from_its_tuning_half():
    """Of every tenth sound: their numbers stand where those of all stand, which are some 220."""
    short = sounds.sounds("phrase", "tuning") + sounds.sounds("recording", "tuning")
    learnt = Scale(SoundEncoder().run([sound.read() for sound in short[::10]])[0])
    course = Scale.of_course()
    assert np.corrcoef(learnt.mean, course.mean)[0, 1] > 0.99
    assert np.corrcoef(learnt.deviation, course.deviation)[0, 1] > 0.9


def test_loud_noise_does_not_leave_a_vector_of_one_number():
    """Half of musicnn's numbers stay the same for the course's sounds, and noise moves one of them."""
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)
    heard = SoundEncoder().run([noise])[0]
    short = sounds.sounds("phrase", "tuning")[::8] + sounds.sounds("recording", "tuning")[::8]
    of_these = Scale(SoundEncoder().run([sound.read() for sound in short])[0])
    for scale in (Scale.of_course(), of_these):
        assert np.abs(scale(heard)).max() < 0.9


# ------------------------------------------------------------------------------ fingerprints


def test_pairs_hold_two_columns_and_the_frames_between_and_no_absolute_time():
    points = np.array([[10, 100], [13, 110], [15, 300], [80, 100]])
    codes, frames = pairs(points)
    assert codes.tolist() == [100 << 16 | 110 << 6 | 3]  # 300 is too far up, frame 80 too late
    assert frames.tolist() == [10]
    later, later_frames = pairs(np.add(points, [500, 0]))
    assert later.tolist() == codes.tolist()
    assert later_frames.tolist() == [510]
    assert [a.shape for a in pairs(np.empty((0, 2), int))] == [(0,), (0,)]


def test_peaks_of_two_tones_are_where_the_tones_are():
    samples = np.concatenate([tone(0.5, hertz=1000), tone(0.5, hertz=2000)])
    found = peaks(samples)
    assert {64, 128} <= set(found[:, 1].tolist())
    assert (np.diff(found[:, 0]) >= 0).all()


def test_votes_count_codes_at_one_shift_and_allow_a_frame_of_play():
    codes = np.array([1, 2, 3, 4, 5])
    frames = np.array([0, 1, 2, 3, 4])
    assert align(codes, frames, codes, frames + 100) == (5, 0, 100)
    assert align(codes, frames, codes, np.add(frames, [100, 100, 100, 101, 101])) == (5, 0, 100)
    assert align(codes, frames, codes, np.add(frames, [100, 100, 100, 7, 7])) == (3, 2, 100)
    assert align(codes, frames, codes, np.array([0, 101, 202, 303, 404]))[:2] == (1, 1)
    assert align(codes, frames, codes + 10, frames)[:2] == (0, 0)


@pytest.fixture(scope="module")
def pieces():
    return {sound.id: sound.read() for sound in sounds.sounds("piece", "report")[:8]}


def test_a_part_in_noise_is_found_at_its_place_and_a_stranger_is_not_accepted(pieces):
    index = FingerprintIndex()
    *known, stranger = pieces
    for key in known:
        index.add(key, *fingerprint(pieces[key]))
    assert len(index) == 7
    rng = np.random.default_rng(0)
    for key in known:
        query = add_noise(pieces[key][4 * RATE : 9 * RATE], rng.normal(size=5 * RATE), 0)
        best = index.search(*fingerprint(query))[0]
        assert best.key == key
        assert best.shift == pytest.approx(4 * RATE / 256, abs=1)
    for noise in (0, 20):
        query = add_noise(pieces[stranger], rng.normal(size=len(pieces[stranger])), noise)
        assert not any(found.accepted for found in index.search(*fingerprint(query)))
    codes, frames = fingerprint(pieces[known[0]])
    assert index.search(codes, frames, leave_out=lambda key: key == known[0])[0].key != known[0]
    with pytest.raises(sounds.WorkshopError, match="is in the index already"):
        index.add(known[0], codes, frames)


def test_accepted_asks_for_votes_and_that_they_stand_out():
    assert accepted(15, 7)
    assert not accepted(14, 0)
    assert not accepted(40, 21)


def test_a_sparse_fingerprint_counts_each_code_once():
    assert sparse(np.array([5, 7, 5])) == {5: 1.0, 7: 1.0}
    assert sparse(np.array([], int)) == {0: 1.0}


# ------------------------------------------------------------------------------ similar sounds


def test_a_sound_of_any_length_gives_a_vector_and_tags():
    vectors, tags = SoundEncoder().run([tone(0.02), tone(3), tone(7), tone(61)])
    assert vectors.shape == (4, 1506)
    assert tags.shape == (4, 50)
    assert np.isfinite(vectors).all()
    assert ((tags >= 0) & (tags <= 1)).all()
    assert [len(patches(tone(s))) for s in (0.02, 3, 7, 61)] == [1, 1, 2, 20]
    nothing = SoundEncoder().run([])
    assert [part.shape for part in nothing] == [(0, 1506), (0, 50)]


def test_scaled_vectors_have_length_one_and_every_number_counts_alike():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, 3)) * [1, 100, 0.01] + [5, 5, 5]
    scaled = Scale(vectors)(vectors)
    assert np.allclose(np.linalg.norm(scaled, axis=1), 1, atol=1e-5)
    assert scaled.std(axis=0).max() / scaled.std(axis=0).min() < 1.3


def test_neighbours_leave_out_the_query_and_its_source():
    vectors = np.array([[1, 0], [1, 0.01], [1, 0.1], [0, 1]], float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert neighbours(vectors, None, 2)[0].tolist() == [1, 2]
    assert neighbours(vectors, ["a", "a", "b", "b"], 2)[0].tolist() == [2, 3]
    found = np.array([[1, 2], [0, 2], [0, 1], [0, 1]])
    assert precision(found, ["x", "x", "y", "y"]).tolist() == [0.5, 0.5, 0, 0]
    kinds, sources = ["x"] * 3 + ["y"] * 2, ["a", "b", "b", "a", "b"]
    assert answerable(kinds, sources, 2).tolist() == [True, False, False, False, False]


def test_the_encoder_finds_the_family_of_an_instrument_better_than_mfcc():
    chosen = sounds.sounds("phrase")
    samples = [sound.read() for sound in chosen]
    vectors, _ = SoundEncoder().run(samples)
    kinds, sources = [s.kind for s in chosen], [s.source for s in chosen]
    p5 = []
    for these in (vectors, np.array([sounds.mfcc(one) for one in samples])):
        p5.append(precision(neighbours(Scale(these)(these), sources), kinds).mean())
    assert p5[0] > p5[1] + 0.04


def test_words_find_a_sound_by_its_tags():
    tags = np.full((2, 50), 0.01, np.float32)
    tags[0, sounds.TAGS.index("flute")] = tags[1, sounds.TAGS.index("drums")] = 0.9
    words = in_words(tags)
    from workshop.encoders import TextEncoder

    asked = TextEncoder().encode(["flute", "drums"])
    assert (words @ asked.T).argmax(axis=0).tolist() == [0, 1]


def test_noise_is_as_loud_as_was_asked():
    rng = np.random.default_rng(2)
    samples = tone()
    for decibels in (10, 0, -5):
        noise = add_noise(samples, rng.normal(size=500), decibels) - samples
        assert 10 * np.log10(power(samples) / power(noise)) == pytest.approx(decibels, abs=0.1)
    assert len(part(samples, 0.25, rng)) == RATE // 4
    assert len(part(samples, 5, rng)) == RATE


def test_what_was_measured_is_there_and_keeps_what_the_chapter_says():
    measured = json.loads((sounds.SOUNDS / "measured.json").read_text("utf-8"))
    assert measured["rule"] == [sounds.VOTES, sounds.TIMES]
    assert sounds.measured() == measured["report"]
    (cell,) = (
        c
        for c in sounds.measured()["cells"]
        if (c["noise"], c["decibels"], c["seconds"]) == ("white", 0, 5)
    )
    assert cell["top1"] >= 0.95
    (rule,) = (
        r
        for r in sounds.measured()["rules"]
        if [r["votes"], r["times"]] == [sounds.VOTES, sounds.TIMES]
    )
    assert rule["strangers"] <= 0.02
    with pytest.raises(sounds.WorkshopError, match="git checkout"):
        sounds.measured("third")


def test_a_player_holds_a_sound_that_a_browser_plays_and_little_of_a_notebook():
    loud = sounds.player(4 * tone(30))
    assert loud.mimetype == "audio/ogg"
    assert 'src="data:audio/ogg;base64,' in loud._repr_html_()
    assert len(loud.data) < 60_000
    assert len(read(loud.data)) == pytest.approx(10 * RATE, abs=RATE // 10)
    assert loud.data == sounds.player(4 * tone(30)).data  # the same bytes each time
