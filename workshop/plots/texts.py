"""Pictures of chapter 10: what found a text, and which search finds more."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from workshop.plots.base import COLOURS, MARKERS, QUERY, Picture, count, done
from workshop.retrieval import Interval, spans, words

WIDTH = 96  # letters in a line
LETTER, ADVANCE = 9.57, 0.08  # of DejaVu Sans Mono: points, and inches from letter to letter


def lit_texts(query: str, texts: Mapping[str, str], lines: int = 2) -> Picture:
    """Texts one below the other, the words that they share with a query lit.

    query  shown above
    texts  name -> text; a long one is cut
    lines  of each text that are shown
    """
    asked = set(words(query))
    height = 2.2 + (lines + 1.4) * len(texts)
    figure = plt.figure(figsize=(WIDTH * ADVANCE, height * 0.2), layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, WIDTH), ylim=(height, 0))
    axis.set_axis_off()
    mono = {"family": "DejaVu Sans Mono", "fontsize": LETTER, "va": "center", "parse_math": False}
    axis.text(0, 0.8, textwrap.shorten(query, WIDTH - 2), weight="bold", **mono)
    row, said = 2.2, []
    for name, text in texts.items():
        shown = textwrap.shorten(text, WIDTH * lines - 10, placeholder=" …")
        parts = textwrap.wrap(shown, WIDTH, drop_whitespace=False, break_on_hyphens=False)
        axis.text(0, row + 0.5, name, color=COLOURS[0], **mono)
        at = 0
        for number, part in enumerate(parts[:lines], start=1):
            for start, end in spans(shown, asked):
                first, last = max(start - at, 0), min(end - at, len(part))
                if first < last:
                    where = (first, row + number)
                    axis.add_patch(Rectangle(where, last - first, 1, color=COLOURS[1], alpha=0.45))
            axis.text(0, row + number + 0.5, part, **mono)
            at += len(part)
        found = [shown[start:end] for start, end in spans(shown, asked)]
        said.append(f"{name}: {', '.join(dict.fromkeys(found)) or 'no word'}")
        row += lines + 1.4
    return done(
        figure,
        f"The query {query!r}, and {count(len(texts), 'text')} below it with the words that are "
        f"in the query lit. {'. '.join(said)}.",
    )


def score_by_slice(
    scores: Mapping[str, Sequence[float]], slices: Sequence[str], measure: str = "nDCG@10"
) -> Picture:
    """How well each search does on each kind of query: a row for each kind, a mark for each search.

    scores  search -> (q,) a measure from 0 to 1 of each query
    slices  (q,) the kind of each query
    """
    kinds = list(dict.fromkeys(slices))
    means = {
        search: [np.mean(values, where=np.asarray(slices) == kind) for kind in kinds]
        for search, values in scores.items()
    }
    figure, axis = plt.subplots(figsize=(7, 0.42 * len(kinds) + 1.1))
    for (search, across), colour, marker in zip(means.items(), COLOURS, MARKERS, strict=False):
        axis.plot(across, range(len(kinds)), marker, color=colour, label=search, markersize=8)
    axis.set(yticks=range(len(kinds)), yticklabels=kinds, xlabel=measure, xlim=(-0.03, 1.03))
    axis.set_ylim(len(kinds) - 0.5, -0.5)
    axis.legend(bbox_to_anchor=(1, 1), loc="upper left")
    said = [
        f"{kind}: " + ", ".join(f"{search} {across[row]:.2f}" for search, across in means.items())
        for row, kind in enumerate(kinds)
    ]
    return done(figure, f"{measure} of each search for each kind of query. {'; '.join(said)}.")


def intervals(found: Mapping[str, Interval], label: str) -> Picture:
    """Differences as points with their intervals as lines, and a line at 0, where nothing differs.

    found  what was compared -> its difference
    label  of the axis
    """
    figure, axis = plt.subplots(figsize=(7, 0.4 * len(found) + 0.9))
    said = []
    for row, (name, interval) in enumerate(found.items()):
        sure = interval.low > 0 or interval.high < 0
        colour = COLOURS[0] if sure else "#888888"
        axis.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2)
        axis.plot(interval.value, row, "o", color=colour, markersize=8)
        said.append(f"{name} {interval}{'' if sure else ', which holds 0'}")
    axis.axvline(0, color="black", linewidth=1, linestyle="--")
    axis.set(yticks=range(len(found)), yticklabels=list(found), xlabel=label)
    axis.set_ylim(len(found) - 0.5, -0.5)
    return done(
        figure,
        f"One point and its interval a row, blue where the interval does not hold 0; {label}. "
        f"{'; '.join(said)}.",
    )


def token_similarities(
    query: Sequence[str], document: Sequence[str], similarities: np.ndarray
) -> Picture:
    """Cosines between the tokens of a query (rows) and of a document (columns); the best of a row is framed.

    query, document  (q,) and (t,) the tokens as text
    similarities     (q, t) cosines
    """
    figure, axis = plt.subplots(figsize=(0.42 * len(document) + 1.6, 0.36 * len(query) + 1.3))
    axis.imshow(similarities, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    said = []
    for row, column in enumerate(similarities.argmax(axis=1)):
        axis.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=QUERY, linewidth=2)
        )
        best = similarities[row, column]
        axis.text(
            column,
            row,
            f"{best:.1f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if best > 0.6 else "black",
        )
        said.append(f"{query[row]} – {document[column]} {best:.1f}")
    axis.set(yticks=range(len(query)), yticklabels=query, xticks=range(len(document)))
    axis.set_xticklabels(document, rotation=60, ha="right")
    axis.grid(False)
    return done(
        figure,
        "Cosines between the tokens of a query, in rows, and of a document, in columns, darker for "
        f"larger. Framed is the best of each row: {'; '.join(said)}.",
    )
