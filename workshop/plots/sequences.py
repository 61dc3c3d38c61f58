"""Pictures of chapter 16: sequences one above the other, and how well classes are found in each test."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from workshop.dna import Alignment
from workshop.plots.base import COLOURS, MARKERS, Picture, count, done

SHADES = {"A": COLOURS[2], "C": COLOURS[0], "G": COLOURS[1], "T": COLOURS[4]}


def aligned(
    alignment: Alignment, names: Sequence[str], columns: int = 60, lines: int = 4
) -> Picture:
    """Two sequences one above the other: a letter on its base's colour, pale where they agree.

    names     of the first and the second
    columns   letters in a line
    lines     at most so many, from the start
    """
    length = min(len(alignment.first), columns * lines)
    shown = -(-length // columns)
    figure, axis = plt.subplots(figsize=(7.4, 0.75 * shown + 0.3))
    axis.axis("off")
    for place in range(length):
        line, column = divmod(place, columns)
        pair = alignment.first[place], alignment.second[place]
        for row, letter in enumerate(pair):
            y = -(line * 3 + row)
            if pair[0] != pair[1]:
                colour = SHADES.get(letter, "#bbbbbb")
                axis.add_patch(
                    plt.Rectangle((column - 0.5, y - 0.5), 1, 1, color=colour, alpha=0.5)
                )
            axis.text(column, y, letter, ha="center", va="center", fontsize=6.5, family="monospace")
    axis.set(xlim=(-1, columns), ylim=(-(shown * 3 - 1.4), 0.8))
    differ = sum(
        a != b for a, b in zip(alignment.first[:length], alignment.second[:length], strict=True)
    )
    return done(
        figure,
        f"The first {count(length, 'column')} of {names[0]} above {names[1]}, in {count(shown, 'line')}. "
        f"{differ} columns differ, and stand on a colour; a gap is grey. In the whole alignment "
        f"{alignment.identity:.0%} of the columns are the same.",
    )


def bars(names: Sequence[str], counts: Sequence[int], xlabel: str) -> Picture:
    """A bar for each name, the largest at the top, with its number."""
    order = np.argsort(np.asarray(counts), kind="stable")
    figure, axis = plt.subplots(figsize=(6, 0.24 * len(names) + 0.7))
    axis.barh([names[i] for i in order], [counts[i] for i in order], color=COLOURS[0])
    for row, i in enumerate(order):
        axis.text(counts[i], row, f" {counts[i]:,}", va="center", fontsize=8)
    axis.set(xlabel=xlabel, xlim=(0, 1.12 * max(counts)))
    axis.grid(axis="y", visible=False)
    told = ", ".join(f"{names[i]} {counts[i]:,}" for i in order[::-1])
    return done(figure, f"Bars of {xlabel}: {told}.")


def scores_by_test(scores: Mapping[str, Mapping[str, float]], ylabel: str = "macro-F1") -> Picture:
    """For each method a line over the tests, from the easiest to the hardest.

    scores   method to test to score in [0, 1]
    """
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    said = []
    for number, (method, by_test) in enumerate(scores.items()):
        look = {"marker": MARKERS[number % 7], "color": COLOURS[number % 7]}
        axis.plot(list(by_test), list(by_test.values()), label=method, **look)
        said.append(f"{method} " + ", ".join(f"{test} {s:.2f}" for test, s in by_test.items()))
    axis.set(ylabel=ylabel, ylim=(0, 1.02))
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return done(figure, f"{ylabel} by test, a line a method. {'; '.join(said)}.")
