"""The pictures of the chapters on web services."""

from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt

from workshop.plots.base import Picture, done

OUTCOMES = {
    "answered": "#56B4E9",
    "refused": "#009E73",
    "nonsense": "#F5D76E",
    "crashed": "#D55E00",
}


def letter_answers(
    letters: Sequence[str], columns: Mapping[str, Sequence[tuple[str, int]]]
) -> Picture:
    """What services made of the same requests: a row for each letter, a column for each service.

    letters  (n,) bodies as they were sent
    columns  name of a service to (n,) pairs: a word of `OUTCOMES`, and the status of the answer
    """
    figure, axis = plt.subplots(figsize=(3.4 + 1.1 * len(columns), 6.3))
    told = []
    for x, (name, column) in enumerate(columns.items()):
        for y, (what, status) in enumerate(column):
            axis.barh(y, 0.95, 0.92, x, color=OUTCOMES[what])
            axis.text(x + 0.47, y, status, ha="center", va="center", size=9)
        counts = Counter(what for what, _ in column)
        told.append(f"{name}: " + ", ".join(f"{counts[what]} {what}" for what in OUTCOMES))
    rows = [f"{letter:.40}".replace("$", r"\$") for letter in letters]
    axis.set_yticks(range(len(letters)), rows, family="monospace")
    axis.set_xticks([x + 0.47 for x in range(len(columns))], list(columns))
    axis.set(ylim=(len(letters) - 0.5, -0.5), xlim=(0, len(columns)))
    axis.grid(visible=False)
    boxes = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in OUTCOMES.values()]
    figure.legend(boxes, OUTCOMES, ncols=4, loc="outside upper center", frameon=False)
    alt = f"A table of {len(letters)} letters and what services answered. {'; '.join(told)}."
    return done(figure, alt)
