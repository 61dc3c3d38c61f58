"""Pictures of chapter 05: a film, and where its shots begin."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from workshop.errors import WorkshopError
from workshop.plots.base import COLOURS, Picture, Pixels, count, done

SIDE = 40  # pixels of a frame in the strip


def film_cuts(film: Sequence[Pixels], likeness: Sequence[float], cuts: Sequence[int]) -> Picture:
    """The frames of a film as a strip, and below it how alike neighbours are.

    film      (n,) PIL images, in order
    likeness  (n - 1,) the cosine of frames 0 and 1, of 1 and 2, and so on
    cuts      numbers of the frames that begin a new shot; each gets a line across both panels
    """
    if len(likeness) != len(film) - 1:
        raise WorkshopError(
            f"{count(len(film), 'frame')} have {count(len(film) - 1, 'pair')} of neighbours, not {len(likeness)}."
        )
    strip = np.hstack([np.asarray(frame.convert("RGB").resize((SIDE, SIDE))) for frame in film])
    figure, (top, below) = plt.subplots(2, 1, figsize=(9, 2.3), height_ratios=[1, 2.2], sharex=True)
    top.imshow(strip, extent=(-0.5, len(film) - 0.5, 0, 1), aspect="auto")
    top.set_axis_off()
    below.plot(np.arange(len(likeness)) + 0.5, likeness, marker="o", markersize=4)
    for axis in (top, below):
        for cut in cuts:
            axis.axvline(cut - 0.5, color=COLOURS[1], linewidth=2)
    below.set(
        xticks=range(0, len(film), 2),
        xlim=(-0.5, len(film) - 0.5),
        ylim=(0, 1),
        xlabel="frame",
        ylabel="cosine",
    )
    inside = [value for n, value in enumerate(likeness) if n + 1 not in cuts]
    across = [value for n, value in enumerate(likeness) if n + 1 in cuts]
    said = (
        f"A film of {count(len(film), 'frame')} as a strip, and below it the cosine of neighbours."
    )
    if cuts:
        places = ("frame " if len(cuts) == 1 else "frames ") + ", ".join(map(str, cuts))
        said += f" Lines mark {count(len(cuts), 'cut')}, before {places}: there it is at most "
        said += f"{max(across):.2f}"
        said += f", elsewhere at least {min(inside):.2f}." if inside else "."
    else:
        said += " No cut is marked."
    return done(figure, said)
