"""Pictures of chapter 02: photos and sentences beside those that their vectors are near to."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageOps

from workshop.datasets import Photo
from workshop.plots.base import MARKERS, QUERY, Picture, count, done


def _square(photo: Photo, side: int) -> np.ndarray:
    return np.asarray(ImageOps.pad(photo.open().convert("RGB"), (side, side), color="white"))


def photo_lines(
    photos: Sequence[Photo],
    rows: Sequence[Sequence[int]],
    parts: Mapping[str, int] | None = None,
    names: Sequence[str] | None = None,
) -> Picture:
    """Lines of photos, with orange lines between their parts.

    photos  the list that the row numbers refer to
    rows    (r, c) int, which photos stand in each line
    parts   heading -> how many columns it has, from left to right; together c
    names   (r,) text on the left of each line
    """
    side = 64
    lines = [np.hstack([_square(photos[number], side) for number in line]) for line in rows]
    columns = len(rows[0])
    figure, axis = plt.subplots(figsize=(0.75 * columns + (1.5 if names else 0), 0.75 * len(rows)))
    axis.imshow(np.vstack(lines) & 0xF8 | 0x07)  # five bits a channel: a smaller PNG
    axis.grid(visible=False)
    axis.set(xticks=[], yticks=[], frame_on=False)
    ends = np.cumsum(list((parts or {}).values()), dtype=int)
    for end in ends[:-1]:
        axis.axvline(end * side - 0.5, color=QUERY, linewidth=2)
    if parts:
        middles = (ends - np.array(list(parts.values())) / 2) * side
        axis.set_xticks(middles, list(parts))
    if names is not None:
        axis.set_yticks(np.arange(len(rows)) * side + side / 2, names)
    told = []
    for number, line in enumerate(rows):
        shown = [photos[row].name for row in line]
        first = f"{names[number]}: " if names is not None else ""
        told.append(first + ", ".join(shown))
    heads = [f"{text} ({width})" for text, width in (parts or {}).items()]
    said = f" From left to right: {', '.join(heads)}." if heads else ""
    return done(figure, f"{count(len(rows), 'line')} of photos.{said} {'; '.join(told)}.")


def similarity_table(texts: Sequence[str], scores: np.ndarray) -> Picture:
    """How similar each sentence is to each other: a table with a number in each field.

    texts   (n,)
    scores  (n, n), up to 1; darker is more
    """
    figure, axis = plt.subplots(figsize=(7.5, 0.45 * len(texts)))
    axis.imshow(scores, cmap="Blues", vmin=0, vmax=1.5)
    for (y, x), score in np.ndenumerate(scores):
        axis.text(x, y, f"{score:.2f}", ha="center", va="center", fontsize=8)
    axis.set_yticks(range(len(texts)), texts)
    axis.set(xticks=[], frame_on=False)
    axis.grid(visible=False)
    others = np.where(np.eye(len(texts), dtype=bool), -np.inf, scores)
    best = others.argmax(axis=1)
    told = [f"{texts[i]} {texts[j]} {scores[i, j]:.2f}" for i, j in enumerate(best)]
    alt = f"A table of {len(texts)} × {len(texts)} similarities. The nearest to each: {'; '.join(told)}."
    return done(figure, alt)


def photo_map(photos: Sequence[Photo], points: np.ndarray) -> Picture:
    """Photos at their places in a plane, as small pictures.

    points  (n, 2) float, scaled here so that all fit
    """
    side, width, height = 32, 836, 496
    places = (points - points.min(axis=0)) / np.ptp(points, axis=0) * (width, height)
    canvas = np.full((height + side, width + side, 3), 255, np.uint8)
    for photo, (x, y) in zip(photos, places.astype(int), strict=True):
        part = canvas[height - y : height - y + side, x : x + side]
        part[:] = np.minimum(part, _square(photo, side))  # white is transparent
    figure, axis = plt.subplots(figsize=(8.7, 5.3))
    axis.imshow(Image.fromarray(canvas & 0xF8 | 0x07))
    axis.set_axis_off()
    ends = [photos[row].name for row in (*points.argmin(axis=0), *points.argmax(axis=0))]
    alt = (
        f"A map of {count(len(photos), 'photo')} without axes. Farthest left is {ends[0]}, farthest "
        f"right {ends[2]}, lowest {ends[1]}, highest {ends[3]}."
    )
    return done(figure, alt)


def precision_by_category(
    precision: Mapping[str, np.ndarray], categories: Sequence[str]
) -> Picture:
    """Mean precision of each category, one kind of mark for each way to make vectors.

    precision   name of the way -> (q,) precision of each query, from 0 to 1; the first gives the order
    categories  (q,) category of each query
    """
    categories = np.asarray(categories)
    names, sizes = np.unique(categories, return_counts=True)
    means = {
        way: np.array([values[categories == name].mean() for name in names])
        for way, values in precision.items()
    }
    order = np.argsort(next(iter(means.values())), kind="stable")
    figure, axis = plt.subplots(figsize=(7.5, 0.2 * len(names) + 0.8))
    for (way, values), marker in zip(means.items(), MARKERS, strict=False):
        axis.plot(values[order], range(len(names)), marker, linestyle="none", label=way)
    axis.set_yticks(range(len(names)), [f"{names[i]} ({sizes[i]})" for i in order])
    axis.set(xlabel="precision at 5", xlim=(-0.02, 1.02))
    axis.tick_params(axis="y", labelsize=8)
    axis.legend(loc="lower right")
    told = [
        f"{names[i]} " + ", ".join(f"{way} {values[i]:.2f}" for way, values in means.items())
        for i in order[::-1]
    ]
    return done(figure, f"Precision at 5 of each category, best first: {'; '.join(told)}.")


def tokens_and_speed(measured: Sequence[tuple[int, int, float]]) -> Picture:
    """Tokens a second over the tokens in one run, one line for each length of sentence.

    measured  (m,) triples: tokens a sentence, tokens in the run, seconds
    """
    figure, axis = plt.subplots()
    for length, marker in zip(dict.fromkeys(m[0] for m in measured), MARKERS, strict=False):
        points = [(size, size / time / 1000) for n, size, time in measured if n == length]
        axis.semilogx(*np.transpose(points), marker + "-", base=2, label=f"{length} tokens each")
    axis.set(xlabel="tokens in one run", ylabel="thousand tokens a second", ylim=0)
    axis.legend()
    rates = [size / time / 1000 for _, size, time in measured]
    alt = (
        f"{count(len(measured), 'measurement')} of speed over the tokens in one run, "
        f"from {min(rates):.1f} to {max(rates):.1f} thousand tokens a second."
    )
    return done(figure, alt)
