"""Pictures of chapter 13: shots with what was seen in them, where they end, and how alike faces are."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from workshop import films
from workshop.errors import WorkshopError
from workshop.objects import SURE, Thing
from workshop.plots.base import COLOURS, Picture, count, done, gallery
from workshop.video import Shot

COLUMNS = 5  # shots beside each other
WIDTH = 12.5  # inches of pictures side by side, at most


def shot_sheet(shots: Sequence[Shot], names: Sequence[str] | None = None) -> Picture:
    """One frame of each shot, with boxes around things (blue) and faces (orange).

    names   (n,) what stands above each; default: when the shot begins and ends
    """
    if not shots:
        raise WorkshopError("shot_sheet() needs at least one shot.")
    columns = min(COLUMNS, len(shots))
    rows = -(-len(shots) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.3 * columns, 2.6 * rows), squeeze=False)
    said = []
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (axis, shot) in enumerate(zip(axes.flat, shots, strict=False)):
        time, picture = _seen_frame(shot)
        axis.imshow(picture)
        things = [thing for at, thing in shot.things if at == time and thing.score > SURE]
        for thing in things:
            _box(axis, thing.box, thing.name, COLOURS[0])
        faces = [face for track in shot.tracks for at, face in track.faces if at == time]
        for face in faces:
            _box(axis, face.box, "", COLOURS[1])
        title = f"{shot.start:.1f} to {shot.end:.1f} s" if names is None else names[number]
        axis.set_title(title, fontsize=9)
        seen = ", ".join(thing.name for thing in things) or "no thing"
        said.append(f"{title}: {seen}, {count(len(faces), 'face')}")
    return done(
        figure,
        f"A frame of each of {count(len(shots), 'shot')}, things in blue boxes, faces in orange ones. "
        f"{'; '.join(said)}.",
    )


def _seen_frame(shot: Shot) -> tuple[float, Image.Image]:
    """Of the frames in which something was looked for, the one in which most was found."""
    found = [time for time, _ in shot.things]
    found += [time for track in shot.tracks for time, _ in track.faces]
    if not found:
        return shot.still
    best = max(dict.fromkeys(found), key=found.count)
    return min(shot.frames, key=lambda frame: abs(frame.time - best))


def _box(axis: Axes, box: Sequence[float], name: str, colour: str) -> None:
    left, top, right, bottom = box
    edges = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour)
    edges.set_linewidth(2)
    axis.add_patch(edges)
    if name:
        about = {"facecolor": colour, "pad": 1, "edgecolor": "none"}
        inside = "top" if top < 20 else "bottom"  # above the picture stands its title
        axis.text(left, top, name, color="white", fontsize=8, va=inside, bbox=about)


def boxes(panels: Mapping[str, tuple[Image.Image, Sequence[Thing]]]) -> Picture:
    """Pictures side by side, each with boxes around things.

    panels   title to (picture, things)
    """
    side = min(3.4, WIDTH / len(panels))
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(side * len(panels), side + 0.2),
        squeeze=False,
        layout="constrained",
    )
    said = []
    for axis, (title, (picture, things)) in zip(axes[0], panels.items(), strict=True):
        axis.imshow(picture)
        axis.set_axis_off()
        axis.set_title(title, fontsize=10)
        for thing in things:
            _box(axis, thing.box, f"{thing.name} {thing.score:.2f}", COLOURS[0])
        kinds = sorted({thing.name for thing in things})
        said.append(f"{title}: {len(things)} ({', '.join(kinds) or 'none'})")
    return done(figure, f"Pictures with boxes around things, so many: {'; '.join(said)}.")


def shot_hits(hits: Sequence[Mapping[str, Any]]) -> Picture:
    """The middle frame of each hit of a search of the course's shots, with its cosine.

    hits   as Milvus gives them, with the fields `film` and `number`
    """
    pictures, said = [], []
    for hit in hits:
        film, number = hit["entity"]["film"], hit["entity"]["number"]
        pictures.append(films.shot(film, number).still.picture)
        said.append(f"shot {number} of {film} ({hit['distance']:.2f})")
    titles = [f"{hit['distance']:.2f}" for hit in hits]
    return gallery(pictures, titles, alt=f"The middle frame of each hit: {', '.join(said)}.")


def cut_curves(
    times: Sequence[float],
    distances: Mapping[str, Sequence[float]],
    borders: Mapping[float, str],
    threshold: float | None = None,
) -> Picture:
    """How different a film is before and after each moment, a line a way of measuring it.

    times       (n,) seconds
    distances   name of a way to (n,) cosine distances
    borders     seconds of the true borders between shots, and of what kind each is
    threshold   if given, a dashed line
    """
    figure, axis = plt.subplots(figsize=(8, 2.8))
    for (name, values), colour in zip(distances.items(), COLOURS, strict=False):
        axis.plot(times, values, marker=".", color=colour, label=name)
    for time, kind in borders.items():
        axis.axvline(time, color="grey", linewidth=6, alpha=0.3)
        axis.text(time, 1.02, kind, ha="center", fontsize=9, transform=axis.get_xaxis_transform())
    if threshold is not None:
        axis.axhline(threshold, color="black", linestyle="--", linewidth=1)
    axis.set(xlabel="seconds", ylabel="cosine distance", ylim=(0, None))
    axis.legend(loc="upper right", fontsize=8)
    times = np.asarray(times)
    near = {
        f"{kind} at {time:.1f} s": [
            f"{name} {max(np.asarray(values)[np.abs(times - time) < 0.3], default=0):.2f}"
            for name, values in distances.items()
        ]
        for time, kind in borders.items()
    }
    highest = "; ".join(f"{place}: {', '.join(values)}" for place, values in near.items())
    return done(
        figure,
        f"Cosine distance over {times[-1]:.1f} seconds, grey bands at the true borders. Highest near "
        f"each: {highest}.",
    )


def pair_histogram(same: np.ndarray, other: np.ndarray, threshold: float | None = None) -> Picture:
    """How far apart two faces are: of one person, and of two people, each as a share of its pairs.

    same, other   cosine distances
    threshold     if given, a dashed line: pairs left of it count as one person
    """
    figure, axis = plt.subplots(figsize=(7, 2.8))
    bins = np.linspace(0, max(np.max(same), np.max(other)), 50)
    for values, colour, hatch, name in (
        (same, COLOURS[0], "", "one person"),
        (other, COLOURS[1], "//", "two people"),
    ):
        axis.hist(
            values,
            bins,
            weights=np.full(len(values), 1 / len(values)),
            color=colour,
            hatch=hatch,
            alpha=0.7,
            label=f"{name}, {count(len(values), 'pair')}",
        )
    said = ""
    if threshold is not None:
        axis.axvline(threshold, color="black", linestyle="--", linewidth=1)
        missed, false = np.mean(same > threshold), np.mean(other <= threshold)
        said = f" A line at {threshold:.3f}: {missed:.1%} of the same are beyond it, {false:.1%} of the others before it."
    axis.set(xlabel="cosine distance of two faces", ylabel="share of the pairs")
    axis.legend(fontsize=8)
    return done(
        figure,
        f"Two histograms of cosine distances: pairs of one person around {np.median(same):.2f}, of two "
        f"people around {np.median(other):.2f}.{said}",
    )


def split_histogram(errors: Sequence[float]) -> Picture:
    """How much was missed in each of many splits by person.

    errors   (s,) shares, 0 to 1; at least one
    """
    errors = np.asarray(errors)
    figure, axis = plt.subplots(figsize=(7, 2.8))
    axis.hist(errors, np.linspace(0, 1, 41), color=COLOURS[0])
    axis.set(xlabel="share of the pairs of one person that is missed", ylabel="splits", xlim=(0, 1))
    some = errors[errors > 0]
    said = f" In the others {some.min():.1%} to {some.max():.1%}." if len(some) else ""
    return done(
        figure,
        f"Histogram of {count(len(errors), 'split')}: in {len(errors) - len(some)} nothing is missed.{said}",
    )
