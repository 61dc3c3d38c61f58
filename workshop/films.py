"""The course's films: where they are, and what a person has written down about each of their shots.

Clips that were made by AI, joined by `tools/build_video.py`; no private person is in them. Half of the
films is there to choose numbers with ("tuning"), the other half to report with ("report"), and no clip
and no person is in both.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workshop.errors import WorkshopError
from workshop.faces import Face
from workshop.objects import SURE, Thing
from workshop.video import FILMS, LONGEST_SIDE, Shot, Track, frames

TOLERANCE = 0.3  # seconds that a cut may be off and still count
HALVES = ("tuning", "report")


class Label(NamedTuple):
    """What a person saw in one shot."""

    film: str  # its file
    half: str  # "tuning" or "report"
    number: int  # of the shot in its film, from 1
    begins_by: (
        str  # "start", "cut", "dissolve", "fade", or "own cut": one that the clip brought along
    )
    start: float  # seconds
    end: float
    people: tuple[str, ...]  # whose faces can be seen, from left to right; the names are invented
    things: frozenset[str]  # of `objects.NAMES`, plainly there
    unsure: frozenset[str]  # that one may or may not call so: they count neither way
    clip: str  # that it was made of


def labels(half: str | None = None) -> list[Label]:
    """The shots of all films, or of one half, in their order."""
    if half not in (None, *HALVES):
        raise WorkshopError(f'The halves are called "tuning" and "report", not {half!r}.')
    with (FILMS / "shots.csv").open(encoding="utf-8", newline="") as file:
        found = [_label(row) for row in csv.DictReader(file)]
    return [label for label in found if half in (None, label.half)]


def _label(row: dict[str, str]) -> Label:
    people, things, unsure = (
        tuple(filter(None, row[key].split(","))) for key in ("people", "things", "unsure")
    )
    start, end = float(row["start"]), float(row["end"])
    shot = (row["film"], row["half"], int(row["shot"]), row["begins_by"], start, end)
    return Label(*shot, people, frozenset(things), frozenset(unsure), row["clip"])


def who(shot: Shot, label: Label) -> list[str]:
    """Whose each of the shot's tracks is, by the label; "" where it names nobody.

    Of two people the first is the one in the left half of the picture.
    """
    if len(label.people) < 2:
        return ["".join(label.people)] * len(shot.tracks)
    middles = [np.mean([face.box[::2] for _, face in track.faces]) for track in shot.tracks]
    return [label.people[int(middle > LONGEST_SIDE / 2)] for middle in middles]


def paths(half: str | None = None) -> list[Path]:
    """The files of all films, or of one half."""
    return [FILMS / name for name in dict.fromkeys(label.film for label in labels(half))]


class Faces(NamedTuple):
    """All faces that passed the gate in some films, and whose they are."""

    vectors: np.ndarray  # (n, 128) of length 1
    people: np.ndarray  # (n,) names
    shots: np.ndarray  # (n,) "film_01.mp4 3"


def faces(half: str | None = None) -> Faces:
    """The faces in all films, or in one half, as `seen.npz` has them."""
    rows = []
    for path in paths(half):
        truth = [label for label in labels(half) if label.film == path.name]
        for shot, label in zip(shots(path, with_frames=False), truth, strict=True):
            for track, person in zip(shot.tracks, who(shot, label), strict=True):
                place = f"{label.film} {label.number}"
                rows += [(face.vector, person, place) for _, face in track.faces]
    vectors, people, places = zip(*rows, strict=True)
    return Faces(np.array(vectors), np.array(people), np.array(places))


def pyscenedetect() -> dict[str, dict[str, list[float]]]:
    """The cuts that PySceneDetect finds: detector and setting to film to seconds.

    As `tools/measure_video.py` wrote them down; the program itself is not part of the course.
    """
    found: dict[str, dict[str, list[float]]] = {}
    with (FILMS / "pyscenedetect.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cuts = [float(time) for time in row["cuts"].split()]
            found.setdefault(row["detector"], {})[row["film"]] = cuts
    return found


# ------------------------------------------------------------------------------ measures


class Counts(NamedTuple):
    """What was found rightly, what was found and is not there, and what was missed."""

    right: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """Of what was found, the share that is right; 1 if nothing was."""
        return self.right / max(1, self.right + self.false) if self.right + self.false else 1.0

    @property
    def recall(self) -> float:
        """Of what is there, the share that was found; 1 if nothing is."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.right / max(1, 2 * self.right + self.false + self.missed)


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of several."""
    return Counts(*(sum(column) for column in zip(*counts, strict=True)))


def match_cuts(
    found: Sequence[float], truth: Sequence[float], tolerance: float = TOLERANCE
) -> Counts:
    """Cuts that were found, against those that are there; each counts once.

    found, truth   seconds, ascending
    tolerance      seconds that they may lie apart
    """
    free = sorted(found)
    right = 0
    for cut in sorted(truth):
        near = [time for time in free if abs(time - cut) <= tolerance]
        if near:  # the earliest: a later one may be needed by the next cut
            free.remove(near[0])
            right += 1
    return Counts(right, len(free), len(truth) - right)


def match_things(shots: Iterable[Shot], truth: Iterable[Label], sure: float) -> Counts:
    """Kinds of things seen in shots, against what is in them; the unsure ones count neither way.

    sure   the least score
    """
    right = false = missed = 0
    for shot, label in zip(shots, truth, strict=True):
        seen = {name for name, score in shot.names.items() if score > sure} - label.unsure
        right += len(seen & label.things)
        false += len(seen - label.things)
        missed += len(label.things - seen)
    return Counts(right, false, missed)


def without(label: Label, kind: str) -> Label:
    """The label as if one kind of thing counted neither way."""
    return label._replace(things=label.things - {kind}, unsure=label.unsure | {kind})


def pair_distances(
    vectors: np.ndarray, people: Sequence[str], groups: Sequence
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine distances of all pairs of faces: of the same person, and of two people, both ascending.

    vectors   (n, d) of length 1
    people    (n,) who it is
    groups    (n,) which shot a face is from: pairs of one shot are left out, they are too easy
    """
    people, groups = np.asarray(people), np.asarray(groups)
    rows, columns = np.triu_indices(len(vectors), 1)
    apart = groups[rows] != groups[columns]
    rows, columns = rows[apart], columns[apart]
    distances = 1 - np.sum(vectors[rows] * vectors[columns], axis=1)
    same = people[rows] == people[columns]
    return np.sort(distances[same]), np.sort(distances[~same])


def fair_pairs(
    people: Sequence[str], firsts: np.ndarray, seconds: np.ndarray, chosen: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of faces to choose a threshold with, and pairs to report on: no person is in both.

    people            (n,) who each face is
    firsts, seconds   (m,) the pairs, as rows of people
    chosen            names

    Two bool arrays (m,): both faces are of chosen people; neither is.
    """
    inside = np.isin(people, chosen)
    return inside[firsts] & inside[seconds], ~inside[firsts] & ~inside[seconds]


# ------------------------------------------------------------------------------ what was seen

SEEN = FILMS / "seen.npz"


def remember(films: dict[str, list[Shot]]) -> dict[str, np.ndarray]:
    """What the models saw in films, by their files, as arrays for `seen.npz`; without the frames."""
    rows = [(film, shot) for film, shots in films.items() for shot in shots]
    faces = [
        (row, number, time, face)
        for row, (_, shot) in enumerate(rows)
        for number, track in enumerate(shot.tracks)
        for time, face in track.faces
    ]
    things = [
        (row, time, thing) for row, (_, shot) in enumerate(rows) for time, thing in shot.things
    ]
    return {
        "film": np.array([film for film, _ in rows]),
        "times": np.array([(shot.start, shot.end) for _, shot in rows]),
        "looks": np.array([shot.look for _, shot in rows], np.float16),
        "classes": np.array([shot.seen for _, shot in rows], np.float16),
        "thing_of": np.array([row for row, *_ in things]),
        "thing_name": np.array([thing.name for *_, thing in things]),
        "thing_numbers": np.array([(time, thing.score, *thing.box) for _, time, thing in things]),
        "face_of": np.array([(row, number) for row, number, *_ in faces]),
        "face_numbers": np.array([(time, face.score, *face.box) for *_, time, face in faces]),
        "face_vectors": np.array([face.vector for *_, face in faces], np.float16),
    }


@cache
def _remembered() -> dict[str, list[Shot]]:
    """What `seen.npz` holds, by the films' files; the shots have no frames."""
    with np.load(SEEN) as file:
        kept = {name: file[name] for name in file.files}
    rows = [
        Shot(float(start), float(end), _unit(look), classes.astype(np.float32), [])
        for (start, end), look, classes in zip(
            kept["times"], kept["looks"], kept["classes"], strict=True
        )
    ]
    for row, name, (time, score, *box) in zip(
        kept["thing_of"], kept["thing_name"], kept["thing_numbers"].tolist(), strict=True
    ):
        rows[row].things.append((time, Thing(str(name), score, tuple(box))))
    for (row, number), (time, score, *box), vector in zip(
        kept["face_of"], kept["face_numbers"].tolist(), kept["face_vectors"], strict=True
    ):
        tracks = rows[row].tracks
        if number == len(tracks):
            tracks.append(Track())
        tracks[number].faces.append((time, Face(score, tuple(box), NO_POINTS, _unit(vector))))
    films: dict[str, list[Shot]] = {}
    for film, shot in zip(kept["film"], rows, strict=True):
        films.setdefault(str(film), []).append(shot)
    return films


NO_POINTS = np.empty((0, 2))  # of a face that is remembered


def _unit(vector: np.ndarray) -> np.ndarray:
    vector = vector.astype(np.float32)
    return vector / np.linalg.norm(vector)


def shots(film: str | Path, with_frames: bool = True, sure: float = SURE) -> list[Shot]:
    """The shots of one of the course's films as `VideoReader` saw them, without running its models.

    film          its file, such as "film_01.mp4"
    with_frames   read the film, which takes a tenth of a second
    sure          the least score of a thing, from 0.3 on

    The points of a face are not kept. `tools/measure_video.py` wrote down what was seen.
    """
    name = Path(film).name
    known = _remembered()
    if name not in known:
        raise WorkshopError(f"{name} is none of the course's films: {', '.join(known)}.")
    found = []
    for shot in known[name]:
        things = [(time, thing) for time, thing in shot.things if thing.score > sure]
        found.append(replace(shot, things=things, tracks=[*shot.tracks]))
    if with_frames:
        pictures = list(frames(FILMS / name))
        for shot in found:
            until = np.inf if shot is found[-1] else shot.end
            shot.frames = [frame for frame in pictures if shot.start <= frame.time < until]
    return found


def shots_of(half: str | None = None, sure: float = SURE) -> list[Shot]:
    """The shots of all films of a half, or of every film, without their frames; see `shots`."""
    return [shot for film in paths(half) for shot in shots(film, False, sure)]


@lru_cache(1)  # of a film whose shots are asked for one after the other
def _shots(film: str) -> list[Shot]:
    return shots(film)


def shot(film: str, number: int) -> Shot:
    """One shot of one of the course's films, from 1 on, with its frames."""
    return _shots(film)[number - 1]


@cache
def clip(film: str, number: int) -> bytes:
    """The same to be played, as `Shot.mp4` makes it; it is made once."""
    return shot(film, number).mp4()
