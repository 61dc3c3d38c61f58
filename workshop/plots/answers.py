"""Pictures of chapter 11: a quotation in its passage, and scores of questions with and without an answer."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from workshop.errors import WorkshopError
from workshop.plots.base import COLOURS, MARKERS, Picture, count, done

WIDTH = 96  # letters in a line of a passage
# Points. From letter to letter DejaVu Sans Mono takes 0.602 of them: at 100 pixels an inch 8 whole
# pixels, and whole pixels are where letters are set.
LETTER = 9.57
ADVANCE = 0.08  # inches


def quotation(question: str, passage: str, sentence: str, source: str) -> Picture:
    """A passage with the sentence that answers a question lit in it.

    question  shown above
    passage   the passage as one reads it, one line
    sentence  a part of it; empty: nothing is lit
    source    where the passage stands, such as "04_indexes, IVF"
    """
    begin = passage.find(sentence)
    if begin < 0:
        raise WorkshopError(f"The sentence {sentence!r} is not in the passage: nothing can be lit.")
    lines = textwrap.wrap(passage, WIDTH, drop_whitespace=False, break_on_hyphens=False)
    height = len(lines) + 4
    figure = plt.figure(figsize=(WIDTH * ADVANCE, height * 0.2), layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, WIDTH), ylim=(height, 0))
    axis.set_axis_off()
    mono = {"family": "DejaVu Sans Mono", "fontsize": LETTER, "va": "center", "parse_math": False}
    axis.text(0, 0.8, textwrap.shorten(question, WIDTH - 2), weight="bold", **mono)
    at = 0
    for row, line in enumerate(lines):
        first, last = max(begin - at, 0), min(begin + len(sentence) - at, len(line))
        if sentence and first < last:
            lit = Rectangle((first, row + 2.0), last - first, 1, color=COLOURS[1], alpha=0.45)
            axis.add_patch(lit)
        axis.text(0, row + 2.5, line, **mono)
        at += len(line)
    axis.text(0, height - 0.7, source, color="#555555", **mono)
    said = f"Lit is the sentence: {sentence}" if sentence else "Nothing is lit."
    return done(figure, f"The question {question!r}, and a passage of {source}. {said}")


def scores_by_kind(scores: Mapping[str, Sequence[float]], threshold: float) -> Picture:
    """The best score of each question, one row a kind, and the threshold as a line.

    scores     kind of question -> (n,) float
    threshold  the score from which a bot answers
    """
    figure, axis = plt.subplots(figsize=(7, 0.6 * len(scores) + 1))
    said = []
    for row, (kind, values) in enumerate(scores.items()):
        values = np.asarray(values, dtype=float)
        # a small shift up or down, so that equal scores do not hide each other
        shift = (np.arange(len(values)) % 5 - 2) * 0.08
        axis.scatter(
            values, row + shift, s=26, color=COLOURS[row], marker=MARKERS[row], linewidths=0
        )
        said.append(f"{kind}: {np.sum(values >= threshold)} of {count(len(values), 'question')}")
    axis.axvline(threshold, color="black", linestyle="--", linewidth=1)
    axis.set(
        yticks=range(len(scores)), yticklabels=list(scores), xlabel="score of the best passage"
    )
    axis.set_ylim(len(scores) - 0.5, -0.5)
    about = f"One point a question. At or right of the line at {threshold:.2f} lie"
    return done(figure, f"{about}, {'; '.join(said)}.")
