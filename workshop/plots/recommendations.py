"""Pictures of chapter 12: who rates when, how likes are spread, and what a recommendation is made of."""

from collections.abc import Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.dates import DateFormatter, YearLocator

from workshop.errors import WorkshopError
from workshop.plots.base import COLOURS, Picture, count, done

HATCHES = ["", "//", "..", "xx", "\\\\", "++", "oo"]
WIDTH = 42  # letters of a name beside a bar: longer ones go on in a second line


def visits(user: np.ndarray, time: np.ndarray, moment: float | None = None) -> Picture:
    """When each user rates: a dot a rating, a row a user, those who came first at the bottom.

    user    (n,) int
    time    (n,) seconds since 1970
    moment  if given, a line; users whose first rating comes after it are orange
    """
    numbers, rows = np.unique(user, return_inverse=True)
    first = np.full(len(numbers), np.inf)
    np.minimum.at(first, rows, time)
    height = np.argsort(np.argsort(first, kind="stable"))[rows]
    late = first[rows] >= (np.inf if moment is None else moment)
    figure, axis = plt.subplots(figsize=(7, 3.6))
    dates = np.asarray(time).astype("datetime64[s]")
    for chosen, colour, label in (
        (~late, COLOURS[0], "came before the line"),
        (late, COLOURS[1], "came after it"),
    ):
        axis.plot(dates[chosen], height[chosen], ".", markersize=2.5, color=colour, label=label)
    said = f"{count(len(numbers), 'user')}, one row each, one dot a rating over time"
    if moment is not None:
        axis.axvline(np.datetime64(int(moment), "s"), color="black", linestyle="--", linewidth=1)
        axis.legend(loc="upper left", markerscale=5)
        newcomers = len(numbers) - int((first < moment).sum())
        said += f". A dashed line parts them: {newcomers} came after it"
    axis.xaxis.set_major_locator(YearLocator(4))
    axis.xaxis.set_major_formatter(DateFormatter("%Y"))
    axis.set(xlabel="time of a rating", ylabel="users, by their first rating")
    return done(figure, f"{said}. Most rows are a single short dash: one visit.")


def long_tail(likes: np.ndarray) -> Picture:
    """How many likes each film has, most liked first, on a logarithmic axis.

    likes   (n,) int, any order
    """
    likes = np.sort(np.asarray(likes))[::-1]
    if not likes.size or likes[0] <= 0:
        raise WorkshopError("long_tail() needs likes of films, and at least one like.")
    figure, axis = plt.subplots(figsize=(6, 3))
    ranks = np.arange(1, len(likes) + 1)
    axis.fill_between(ranks, 0.8, np.maximum(likes, 0.8), color=COLOURS[0], linewidth=0)
    axis.set_yscale("log")
    axis.set(
        xlabel="films, most liked first", ylabel="likes", xlim=(1, len(likes)), ylim=(0.8, None)
    )
    share = likes[:100].sum() / likes.sum()
    return done(
        figure,
        f"Likes of {count(len(likes), 'film')}, most liked first, on a logarithmic axis: from {likes[0]} "
        f"down to {likes[-1]}. The first hundred have {share:.0%} of all likes.",
    )


def reasons(names: Sequence[str], labels: Sequence[str], parts: np.ndarray) -> Picture:
    """What scores are made of: a bar a film, a colour a reason; what is below zero goes to the left.

    A black mark stands at the score, the sum of the parts.

    names   (k,) of the films that were recommended
    labels  (p,) of the reasons
    parts   (k, p) float, the part of each reason in each score
    """
    parts = np.asarray(parts, float)
    if parts.shape != (len(names), len(labels)):
        raise WorkshopError(
            f"parts have shape {parts.shape}, expected {(len(names), len(labels))}: "
            "one row a film, one column a reason."
        )
    figure, axis = plt.subplots(figsize=(7.5, 0.34 * len(names) + 1.3))
    rows = np.arange(len(names))
    right, left = np.zeros(len(names)), np.zeros(len(names))
    for column, label in enumerate(labels):
        values = parts[:, column]
        start = np.where(values >= 0, right, left)
        axis.barh(
            rows,
            values,
            left=start,
            height=0.7,
            color=COLOURS[column % 6],
            hatch=HATCHES[column % len(HATCHES)],
            edgecolor="white",
            linewidth=0,
            label=fill(label, WIDTH),
        )
        right += np.maximum(values, 0)
        left += np.minimum(values, 0)
    axis.plot(parts.sum(axis=1), rows, "D", color="black", markersize=5, label="score")
    axis.set(yticks=rows, xlabel="score, and the parts that it is made of")
    axis.set_yticklabels([fill(name, WIDTH) for name in names], fontsize=9)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    said = [
        f"{name} ({total:.2f}, most of it from {labels[int(row.argmax())]})"
        for name, row, total in zip(names, parts, parts.sum(axis=1), strict=True)
    ]
    return done(figure, f"A bar a film, made of {count(len(labels), 'part')}: {', '.join(said)}.")
