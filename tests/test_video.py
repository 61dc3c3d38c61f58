"""Films: read within limits, cut into shots, and looked at for things and people."""

import contextlib
import io
import json
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from workshop import faces, films, objects, video
from workshop.encoders import MODELS, load_session
from workshop.errors import TooLarge
from workshop.faces import FaceReader
from workshop.video import Frame, Sample, VideoError, VideoReader, VideoTooLarge

CLOCK = Fraction(1, 1000)


@pytest.fixture(scope="module")
def reference():
    """A frame, and what the models' original programs made of it."""
    with np.load(MODELS / "video-reference.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def frame(reference):
    return Image.fromarray(reference["frame"])


@pytest.fixture(scope="module")
def reader():
    return VideoReader()


# ------------------------------------------------------------------------------ models


def test_nanodet_answers_what_its_original_does(reference, frame):
    answers = objects.ObjectDetector().run(frame)
    for level in range(3):
        rows = reference[f"nanodet_rows_{level}"]
        grid = (objects.SIZE // objects.STRIDES[level]) ** 2
        for part, width in (("scores", 80), ("sides", 44)):
            (own,) = (a[0] for a in answers if a.shape[1:] == (grid, width))
            assert np.abs(own[rows] - reference[f"nanodet_{part}_{level}"]).max() < 0.02


def test_blazeface_facemesh_and_dlibs_network_answer_what_their_originals_do(reference, frame):
    people = FaceReader()
    (feed,) = people.detector.get_inputs()
    pixels, *_ = people.square(frame)
    outputs = {o.shape[-1]: o[0] for o in people.detector.run(None, {feed.name: pixels})}
    rows = reference["blazeface_rows"]
    assert np.abs(outputs[16][rows] - reference["blazeface_sides"]).max() < 0.05
    assert np.abs(outputs[1][rows] - reference["blazeface_logits"]).max() < 0.01
    found = people.detect(frame)[0]
    square, _ = people.around(frame, found)
    (feed,) = people.mesh.get_inputs()
    mesh = {o.size: o.ravel() for o in people.mesh.run(None, {feed.name: square})}
    assert np.abs(mesh[3 * 468] - reference["facemesh_points"]).max() < 0.1
    assert mesh[1] == pytest.approx(reference["facemesh_flag"], abs=0.01)
    own, dlibs = people.describe(Image.fromarray(reference["chip"])), reference["dlib"]
    # 8-bit weights: the numbers are near, and what counts is how much nearer than another face
    assert np.linalg.norm(own - dlibs) < 0.06
    assert own @ dlibs / np.linalg.norm(own) / np.linalg.norm(dlibs) > 0.999


def test_a_detector_finds_the_person_where_the_face_is(frame):
    things = objects.ObjectDetector().find(frame)
    (face,) = FaceReader().faces(frame)
    person = things[0]
    assert person.name == "person"
    assert person.box[0] < face.box[0] < face.box[2] < person.box[2]
    assert np.linalg.norm(face.vector) == pytest.approx(1, abs=1e-5)


def test_a_close_up_is_found_and_a_picture_without_a_face_has_none():
    people = FaceReader()
    close = [f.picture for f in video.frames(films.FILMS / "film_04.mp4") if 3.7 < f.time < 4.2]
    found = [face for picture in close for face in people.faces(picture)]
    assert max(face.box[2] - face.box[0] for face in found) > 160  # half of the picture
    assert people.faces(Image.new("RGB", (320, 320), "grey")) == []
    assert people.faces(Image.new("RGB", (1, 400))) == []


def test_of_boxes_that_overlap_the_best_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [20, 20, 21, 21.0]])
    assert objects.suppress(boxes, np.array([0.5, 0.9, 0.3, 0.3]), 0.5) == [1, 2, 3]
    assert objects.iou(boxes[0], boxes).round(2).tolist() == [1.0, 0.82, 0.0, 0.0]


# ------------------------------------------------------------------------------ reading


def make(times, size=(64, 48), form="mp4", **options) -> bytes:
    """A film whose frames get lighter, shown at these milliseconds."""
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=options) as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = CLOCK
        for number, time in enumerate(times):
            grey = int(255 * number / max(1, len(times) - 1))
            picture = av.VideoFrame.from_image(Image.new("RGB", size, (grey, grey, grey)))
            picture.pts, picture.time_base = time, CLOCK
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return file.getvalue()


def sound() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        samples.sample_rate = 48000
        out.mux(stream.encode(samples))
        out.mux(stream.encode(None))
    return file.getvalue()


def test_frames_are_chosen_by_the_films_own_clock():
    """Also when it is irregular: ten frames in the first second, then one every half second."""
    times = [*range(0, 1000, 100), *range(1000, 4001, 500)]
    all_of_it = [round(1000 * f.time) for f in video.frames(make(times), every=0)]
    assert all_of_it == times
    chosen = [round(1000 * f.time) for f in video.frames(make(times), every=0.4)]
    assert chosen == [0, 400, 800, 1500, 2000, 2500, 3000, 3500, 4000]


def test_a_frame_is_made_smaller_and_keeps_its_shape():
    (only, *_) = video.frames(make([0, 40], size=(640, 360)))
    assert only.picture.size == (320, 180)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no film"),
        (b"not a film at all", "no film"),
        (b"#EXTM3U\nhttp://127.0.0.1:1/film.mp4\n", "no film"),
        (b"ffconcat version 1.0\nfile 'film.mp4'\n", "no film"),
    ],
)
def test_what_is_no_film_is_refused(content, said):
    with pytest.raises(VideoError, match=f"trip.mp4 is {said}"):
        list(video.frames(content, name="trip.mp4"))


def test_a_film_of_sound_alone_has_no_pictures():
    with pytest.raises(VideoError, match=r"song.m4a has no pictures: there is only sound"):
        list(video.frames(sound(), name="song.m4a"))


def test_a_coding_that_is_not_read_is_said():
    content = make([0, 40, 80]).replace(b"avc1", b"zzzz")
    with pytest.raises(VideoError, match=r"old.mp4 has pictures in a coding that is not read here"):
        list(video.frames(content, name="old.mp4"))


@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts", "avi", "flv"])
def test_damaged_films_are_read_or_refused_in_a_sentence(form):
    whole = make(range(0, 1000, 40), form=form)
    rng = np.random.default_rng(13)
    for _ in range(25):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(0, len(content), rng.choice([1, 20, 300]))] = rng.integers(0, 256)
        with contextlib.suppress(VideoError):
            list(video.frames(content[: rng.integers(1, len(content) + 1)].tobytes(), every=0))


def test_a_film_that_breaks_off_says_where_and_what_came_before_is_right():
    whole = make(range(0, 20000, 40), form="matroska")
    seen = []
    with pytest.raises(VideoError, match=r"trip.mkv breaks off at \d+\.\d s"):
        for one in video.frames(whole[: len(whole) // 2], name="trip.mkv", every=0):
            seen.append(one.time)
    assert 50 < len(seen) < 450
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_seconds": 3}, r"longer than 3 s, the limit here \(max_seconds\)"),
        ({"max_pixels": 64 * 48 - 1}, r"64 × 48 pixels, more than 3,071, the limit"),
        ({"max_frames": 99}, r"more than 99 frames, the limit here \(max_frames\)"),
    ],
)
def test_a_film_beyond_a_limit_is_refused_by_its_name(limits, said):
    content = make(range(0, 4000, 40))
    with pytest.raises(VideoTooLarge, match=f"trip.mp4 .*{said}") as refused:
        list(video.frames(content, name="trip.mp4", **limits))
    assert isinstance(refused.value, TooLarge)


def test_a_length_that_the_file_does_not_tell_is_noticed_while_reading():
    content = make(range(0, 4000, 40), form="matroska", live="1")
    with pytest.raises(VideoTooLarge, match="longer than 3 s"):
        list(video.frames(content, max_seconds=3))
    seen = [frame.time for frame in _until_refused(video.frames(content, max_seconds=3))]
    assert seen[-1] > 2.8


def _until_refused(frames):
    with contextlib.suppress(VideoTooLarge):
        yield from frames


def test_huge_frames_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(video, "_decoded", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(VideoTooLarge, match="pixels"):
        list(video.frames(make([0], size=(4096, 4096)), max_pixels=9_000_000))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"gone.mp4: there is no such file"):
        list(video.frames(tmp_path / "gone.mp4"))


def test_a_film_that_is_written_is_read_back():
    picture = Image.radial_gradient("L").resize((65, 40)).convert("RGB")
    content = video.write_film(Frame(t, picture) for t in (3.0, 3.2, 3.9))
    back = list(video.frames(content, every=0))
    assert [round(f.time, 2) for f in back] == [0, 0.2, 0.9]
    assert back[0].picture.size == (64, 40)
    with pytest.raises(VideoError, match="no frame"):
        video.write_film([])


# ------------------------------------------------------------------------------ shots


def samples(vectors):
    picture = Image.new("RGB", (2, 2))
    return [Sample(float(n), picture, v, np.ones(3)) for n, v in enumerate(vectors)]


def test_shots_come_as_they_are_in_the_whole_film():
    """What is decided while the film goes on is what `peaks` says of all of it."""
    rng = np.random.default_rng(13)
    for _ in range(60):
        shots = rng.normal(size=(rng.integers(1, 8), 6))
        vectors = np.repeat(shots, rng.integers(1, 9, len(shots)), axis=0)
        vectors += 0.2 * rng.normal(size=vectors.shape)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        cuts = video.peaks(video.window_distances(vectors))
        found = list(video.split(samples(vectors)))
        assert [int(shot.start) for shot in found] == [0, *cuts]
        assert [int(shot.end) for shot in found] == [*cuts, len(vectors) - 1]


def test_a_dissolve_is_seen_by_windows_and_not_between_neighbours():
    a, b = np.eye(2)
    share = np.linspace(0, 1, 8)[:, None]
    vectors = np.concatenate([[a] * 8, (1 - share) * a + share * b, [b] * 8])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert max(video.window_distances(vectors, width=1)) < video.CUT
    assert len(video.peaks(video.window_distances(vectors))) == 1


def test_memory_does_not_grow_with_a_shot():
    vectors = np.tile([1.0, 0, 0], (5000, 1))
    (shot,) = video.split(samples(vectors))
    assert video.PICTURES / 2 <= len(shot.frames) <= video.PICTURES
    assert (shot.start, shot.end) == (0, 4999)


def test_the_shots_before_a_break_are_given(reader):
    def broken():
        yield from list(video.frames(films.paths()[0]))[:30]
        raise VideoError("film_01.mp4 breaks off")

    found = []
    with pytest.raises(VideoError, match="breaks off"):
        for shot in video.split(reader.samples(broken())):
            found.append(shot)
    assert found


# ------------------------------------------------------------------------------ the course's films


@pytest.fixture(scope="module")
def remembered():
    return {path.name: films.shots(path, with_frames=False) for path in films.paths()}


def test_what_is_remembered_is_what_the_models_see(reader, remembered):
    name = "film_09.mp4"
    for own, kept in zip(
        reader.shots(video.frames(films.FILMS / name)), remembered[name], strict=True
    ):
        assert own.start == pytest.approx(kept.start, abs=0.02)
        assert own.look @ kept.look > 0.98
        assert {n for n, score in own.names.items() if score > 0.55} <= set(kept.names)
        assert len(own.tracks) == len(kept.tracks)
        for one, other in zip(own.tracks, kept.tracks, strict=True):
            assert one.vector @ other.vector > 0.99


def test_remembered_shots_have_their_frames():
    shots = films.shots("film_09.mp4")
    assert all(shot.start <= frame.time for shot in shots for frame in shot.frames)
    assert len(list(video.frames(shots[0].mp4(), every=0))) == len(shots[0].frames)


@pytest.mark.parametrize("half", films.HALVES)
def test_cuts_are_found(half, remembered):
    counts = films.total(
        films.match_cuts(
            [shot.start for shot in remembered[path.name]][1:],
            [label.start for label in films.labels(half) if label.film == path.name][1:],
        )
        for path in films.paths(half)
    )
    assert counts.f1 >= 0.95


def test_things_are_found_on_the_films_kept_aside(remembered):
    shots = [shot for path in films.paths("report") for shot in remembered[path.name]]
    counts = films.match_things(shots, films.labels("report"), objects.SURE)
    assert counts.precision >= 0.75
    assert counts.recall >= 0.75


def test_no_clip_and_no_person_is_in_both_halves():
    tuning, report = films.labels("tuning"), films.labels("report")
    assert not {label.clip for label in tuning} & {label.clip for label in report}
    assert not {p for label in tuning for p in label.people} & {
        p for label in report for p in label.people
    }
    things = set().union(*(label.things | label.unsure for label in films.labels()))
    assert things <= set(objects.NAMES)


def test_the_films_are_those_of_the_table():
    table = json.loads((films.FILMS / "video.json").read_text("utf-8"))["files"]
    assert {path.name for path in films.paths()} == {n for n in table if n.endswith(".mp4")}
    assert sum(about["bytes"] for about in table.values()) < 5_000_000
    assert all(about["licence"] and about["source"] for about in table.values())


def test_cuts_are_counted_once():
    assert films.match_cuts([1.0, 1.2, 5.0], [1.1, 3.0]) == (1, 2, 1)
    assert films.match_cuts([1.2, 1.45], [1.0, 1.3]) == (2, 0, 0)
    assert films.match_cuts([], []).f1 == 0
    assert films.match_cuts([], []).precision == 1


def test_pairs_of_one_shot_are_left_out():
    vectors = np.eye(4)[[0, 0, 1, 0]]
    same, other = films.pair_distances(vectors, ["a", "a", "b", "a"], [1, 1, 1, 2])
    assert same.tolist() == [0, 0]
    assert other.tolist() == [1]


def test_no_person_is_in_both_parts_of_fair_pairs():
    people, firsts, seconds = ["a", "b", "c"], np.array([0, 0, 1, 2]), np.array([1, 2, 1, 2])
    tuning, report = films.fair_pairs(people, firsts, seconds, ["a", "b"])
    assert tuning.tolist() == [True, False, True, False]
    assert report.tolist() == [False, False, False, True]


def test_models_are_read_once():
    assert load_session(objects.MODEL) is load_session(objects.MODEL)


def test_people_kept_aside_are_told_apart_with_a_threshold_of_others():
    """The strictest one that misses at most 5 % of the pairs of the tuning half."""
    same, _ = films.pair_distances(*films.faces("tuning"))
    threshold = float(np.quantile(same, 0.95, method="higher"))
    assert np.mean(same > threshold) <= 0.05
    assert threshold == pytest.approx(faces.SAME, abs=0.002)
    same, other = films.pair_distances(*films.faces("report"))
    assert np.mean(same > threshold) <= 0.05
    assert np.mean(other <= threshold) <= 0.005


def test_who_appears_again_is_among_the_first_five_tracks():
    tracks = [
        (track.vector, person, label.film)
        for path in films.paths()
        for shot, label in zip(
            films.shots(path, with_frames=False),
            [label for label in films.labels() if label.film == path.name],
            strict=True,
        )
        for track, person in zip(shot.tracks, films.who(shot, label), strict=True)
    ]
    found = []
    for vector, person, film in tracks:
        others = [other for other in tracks if other[2] != film]
        if any(name == person for _, name, _ in others):
            best = sorted(others, key=lambda other: -(other[0] @ vector))[:5]
            found.append(any(name == person for _, name, _ in best))
    assert len(found) >= 20
    assert np.mean(found) >= 0.9


def test_pyscenedetects_cuts_are_of_these_films():
    cuts = films.pyscenedetect()
    assert {film for found in cuts.values() for film in found} == {p.name for p in films.paths()}
