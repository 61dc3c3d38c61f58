"""Pictures of chapter 01: handwritten digits as numbers, and what distances and searches cost."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from workshop.plots.base import QUERY, Picture, count, done


def digit_sheet(
    images: np.ndarray,
    labels: Sequence[int],
    rows: Sequence[Sequence[int]],
    queries: str = "left",
) -> Picture:
    """Lines of digits; an orange line parts the queries from what was found for them.

    images   (n, h, w) ink, from 0 (paper) to 16
    labels   (n,) what each picture is
    rows     (r, c) int, which pictures stand in each line
    queries  "left" if the first picture of each line is a query, "top" if the first line is
    """
    rows = np.asarray(rows)
    height, width = images.shape[1] + 2, images.shape[2] + 2
    lines = [np.hstack([np.pad(images[number], 1) for number in line]) for line in rows]
    size = rows.shape[1] * 0.48
    figure, axis = plt.subplots(figsize=(size, size * len(rows) / rows.shape[1] + 0.1))
    axis.imshow(np.vstack(lines), cmap="gray_r", vmin=0, vmax=16)
    axis.set_axis_off()
    if queries == "top":
        axis.axhline(height - 0.5, color=QUERY, linewidth=2)
        below = "; ".join(_named(line, labels) for line in rows[1:])
        said = f"Above an orange line: {_named(rows[0], labels)}. Below it: {below}."
    else:
        axis.axvline(width - 0.5, color=QUERY, linewidth=2)
        found = [f"for {labels[line[0]]}: {_named(line[1:], labels)}" for line in rows]
        said = f"Left of an orange line the query, right of it what was found: {'; '.join(found)}."
    return done(figure, f"{count(rows.size, 'handwritten digit')}. {said}")


def _named(line: np.ndarray, labels: Sequence[int]) -> str:
    return ", ".join(str(labels[number]) for number in line)


def picture_as_numbers(image: np.ndarray) -> Picture:
    """A small picture with its number in each pixel, and the same numbers as one row of bars.

    image  (h, w) ink, from 0 (paper) to 16
    """
    height, width = image.shape
    figure, (page, strip) = plt.subplots(1, 2, figsize=(9, 2.4), width_ratios=[1, 3.2])
    _ink(page, image)
    for (y, x), ink in np.ndenumerate(image):
        colour = "white" if ink > 8 else "black"
        page.text(x, y, int(ink), ha="center", va="center", color=colour)
    strip.bar(range(image.size), image.ravel(), align="edge", color="black")
    strip.set(xlabel="position in the vector", ylabel="ink")
    strip.set_xticks(range(0, image.size + 1, width))
    strip.grid(visible=True, axis="x", color=QUERY)
    numbers = " / ".join(" ".join(str(int(ink)) for ink in line) for line in image)
    alt = (
        f"Left, a picture of {height} × {width} pixels with the number of each: {numbers}. Right, the "
        f"same {image.size} numbers side by side as bars, with an orange line after each row."
    )
    return done(figure, alt)


def digit_comparison(
    one: np.ndarray, others: Sequence[np.ndarray], titles: Sequence[Sequence[str]]
) -> Picture:
    """Two digits, their difference and their product, one line for each other digit.

    one     (h, w) ink, from 0 to 16
    others  (r, h, w) ink
    titles  (r, 3) texts above the other digit, the difference and the product
    """
    figure, axes = plt.subplots(len(others), 4, figsize=(7.5, 2 * len(others)), squeeze=False)
    for line, other, texts in zip(axes, others, titles, strict=True):
        _ink(line[0], one)
        _ink(line[1], other)
        line[2].imshow(one - other, cmap="PuOr_r", vmin=-16, vmax=16)
        line[3].imshow(one * other, cmap="gray_r", vmin=0, vmax=256)
        for axis, text in zip(line, ["", *texts], strict=True):
            axis.set_axis_off()
            axis.set_title(text)
    said = "; ".join(", ".join(texts) for texts in titles)
    alt = (
        "Each line has four pictures: a digit, another digit, the first minus the second (orange where "
        "only the first has ink, purple where only the second has), and the first times the second "
        f"(dark where both have ink). The lines say: {said}."
    )
    return done(figure, alt)


def digit_copies(copies: Mapping[str, np.ndarray]) -> Picture:
    """Pictures side by side with their names, all from the same white to the same black.

    copies  name -> (h, w) ink, from 0 to 16
    """
    figure, axes = plt.subplots(1, len(copies), figsize=(1.5 * len(copies), 1.8), squeeze=False)
    for axis, (name, image) in zip(axes[0], copies.items(), strict=True):
        _ink(axis, image)
        axis.set_title(name)
    said = [f"{name} (ink {image.mean():.1f} on average)" for name, image in copies.items()]
    return done(figure, f"The same digit in {len(copies)} forms: {', '.join(said)}.")


def _ink(axis: Axes, image: np.ndarray) -> None:
    axis.imshow(image, cmap="gray_r", vmin=0, vmax=16)
    axis.set(frame_on=False, xticks=[], yticks=[])
    axis.grid(visible=False)


def distance_panels(distances: Mapping[int, np.ndarray]) -> Picture:
    """How distances spread around their mean, one histogram for each number of dimensions.

    distances  number of dimensions -> (n,) distances
    """
    size = (2.3 * len(distances), 2.3)
    figure, axes = plt.subplots(1, len(distances), figsize=size, sharex=True, squeeze=False)
    for axis, (d, values) in zip(axes[0], distances.items(), strict=True):
        axis.hist(values / values.mean(), bins=np.linspace(0, 2, 81))
        axis.set(title=f"d = {d}", xlabel="distance / mean", yticks=[])
    axes[0, 0].set_ylabel("points")
    spreads = [f"{v.std() / v.mean():.2f} for d = {d}" for d, v in distances.items()]
    alt = f"Histograms of distance divided by mean distance. Spread: {', '.join(spreads)}."
    return done(figure, alt)


def distance_outlines(distances: Mapping[str, np.ndarray]) -> Picture:
    """How distances spread around their mean, one outline for each cloud, in one picture.

    distances  name of a cloud -> (n,) distances
    """
    figure, axis = plt.subplots()
    for name, values in distances.items():
        axis.hist(values / values.mean(), np.linspace(0, 2, 161), histtype="step", label=name)
    axis.set(xlabel="distance / mean", ylabel="pairs")
    axis.set_ylim(0, 1.5 * axis.get_ylim()[1])  # room for the legend
    axis.legend(loc="upper left")
    spreads = [f"{name} {v.std() / v.mean():.2f}" for name, v in distances.items()]
    alt = f"Outlines of histograms of distance divided by mean distance. Spread: {', '.join(spreads)}."
    return done(figure, alt)


def time_and_bytes(measured: Sequence[tuple[int, int, float]], bandwidth: float) -> Picture:
    """Time of one query over the size of its table, and a line for one trip through memory.

    measured   (m,) triples: numbers in a vector, bytes of the table, seconds of one query
    bandwidth  bytes a second
    """
    figure, axis = plt.subplots(figsize=(6, 3.4))
    for d in dict.fromkeys(d for d, _, _ in measured):
        points = [(size / 1e6, time * 1000) for dim, size, time in measured if dim == d]
        axis.loglog(*np.transpose(points), "o", label=f"d = {d}")
    ends = np.array([min(m[1] for m in measured), max(m[1] for m in measured)])
    axis.loglog(ends / 1e6, ends / bandwidth * 1000, "k--", label="one trip through memory")
    axis.set(xlabel="table, MB", ylabel="one query, ms", title="Time follows bytes")
    axis.legend()
    alt = (
        f"{count(len(measured), 'measurement')} of one query, for tables of {ends[0] / 1e6:.1f} to "
        f"{ends[1] / 1e6:.0f} MB, on logarithmic axes, and a dashed line: bytes divided by "
        f"{bandwidth / 1e9:.1f} GB a second."
    )
    return done(figure, alt)
