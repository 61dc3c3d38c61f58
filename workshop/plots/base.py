"""What all pictures share: the look, the text alternative, and the drawings of several chapters."""

import html
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from workshop.errors import WorkshopError

# Okabe and Ito, "Color Universal Design" (2008), told apart by colour-blind readers too; without their
# yellow, which is lost on white.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
QUERY = "#D55E00"

Pixels = Image.Image | np.ndarray


class Picture(Figure):
    """A figure that a person can read without seeing it: `alt` says in words what it shows.

    In a notebook its text stands below the picture, folded, since JupyterLab gives the pictures of
    cells no alternative text; in the notebook's file it is the picture's own `alt` as well.
    """

    alt: str

    def __repr__(self) -> str:
        return self.alt

    def _ipython_display_(self) -> None:
        png = print_figure(self, "png", bbox_inches="tight", base64=True)
        about = {"image/png": {"alt": self.alt}}
        display({"image/png": png, "text/plain": repr(self)}, metadata=about, raw=True)
        words = html.escape(self.alt, quote=False)
        folded = f"<details><summary>This picture in words</summary>{words}</details>"
        display({"text/html": folded}, raw=True)


def done(figure: Figure, alt: str) -> Picture:
    """The finished figure as a Picture, closed, so that the end of a cell shows it once.

    alt  what it shows, in one to three sentences: kind of picture, axes, and what is to be seen
    """
    if not alt.strip():
        raise WorkshopError("A picture needs a text alternative: say in words what it shows.")
    figure.__class__ = Picture  # whoever drew it may have used plt.subplots
    figure.alt = " ".join(alt.split())
    plt.close(figure)
    return figure


def show(alt: str) -> None:
    """Show what a cell has drawn with matplotlib, with its text alternative, as `plt.show()` would."""
    display(done(plt.gcf(), alt))


def count(number: int, noun: str) -> str:
    """`1 picture`, `2 pictures`, `1,797 pictures`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def style() -> None:
    """Fonts, size on screen and colours of every figure in this process; importing calls it."""
    shell = get_ipython()
    if shell is not None and "inline" in matplotlib.get_backend():
        # else Jupyter learns to show a Figure only after the cell that imports matplotlib
        shell.run_line_magic("matplotlib", "inline")
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "figure.figsize": (6, 3.5),
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.prop_cycle": cycler(color=COLOURS),
            "grid.color": "#dddddd",
            "image.cmap": "gray_r",
            "legend.frameon": False,
        }
    )


style()


def gallery(
    images: Sequence[Pixels],
    titles: Sequence[str] | None = None,
    columns: int = 8,
    size: float = 1.1,
    alt: str = "",
) -> Picture:
    """Pictures in rows, each with its title underneath.

    images   (n,) PIL images or arrays (h, w) or (h, w, 3); none at all gives a figure that says so
    titles   (n,) one text a picture; long ones are wrapped to three lines and then cut
    columns  pictures in a row
    size     width and height of a picture, in inches of 100 pixels
    alt      the text alternative; without it, the titles

    Twenty photos of the default size make a PNG of about 140 kB; show fewer or smaller beyond that.
    """
    if titles is not None and len(titles) != len(images):
        raise WorkshopError(f"{len(images)} images but {len(titles)} titles: give one title each.")
    if columns < 1 or size <= 0:
        raise WorkshopError(f"columns={columns}, size={size}: both must be larger than 0.")
    if not len(images):
        return _nothing("no images")
    labels = [_wrap(t, size) for t in titles] if titles is not None else [""] * len(images)
    figure, axes = _grid(len(images), columns, size, labels)
    for axis, image, label in zip(axes, images, labels, strict=False):
        _thumbnail(axis, image, label, size)
    named = f": {_listed(titles)}" if titles is not None else ""
    return done(figure, alt or f"{count(len(images), 'picture')} in rows{named}.")


def hits(
    query: Pixels | str,
    results: Sequence[Pixels],
    scores: Sequence[float],
    names: Sequence[str] | None = None,
    columns: int = 9,
    size: float = 1.0,
) -> Picture:
    """A query, framed, and what was found for it, best first, with names and scores underneath.

    query    the picture, or the words, that was searched for
    results  (k,) pictures found, in the order of the answer; they are not sorted here
    scores   (k,) shown with two decimals
    names    (k,) one text a result
    """
    if len(scores) != len(results) or (names is not None and len(names) != len(results)):
        given = "" if names is None else f" and {len(names)} names"
        raise WorkshopError(
            f"{len(results)} results but {len(scores)} scores{given}: give one of each a result."
        )
    numbers = [f"{float(score):.2f}" for score in scores]
    if names is not None:
        numbers = [f"{_wrap(n, size)}\n{s}" for n, s in zip(names, numbers, strict=True)]
    labels = ["query", *(numbers or ["nothing found"])]
    figure, axes = _grid(len(labels), columns, size, labels)
    if isinstance(query, str):
        _thumbnail(axes[0], None, "query", size)
        axes[0].text(
            0.5,
            0.5,
            _wrap(query, size, lines=5),
            ha="center",
            va="center",
            fontsize=9,
            parse_math=False,
        )
        axes[0].set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    else:
        _thumbnail(axes[0], query, "query", size)
    axes[0].xaxis.label.set_color(QUERY)
    for spine in axes[0].spines.values():
        spine.set(visible=True, color=QUERY, linewidth=2)
    for axis, image, label in zip(axes[1:], results, labels[1:], strict=False):
        _thumbnail(axis, image, label, size)
    if not len(results):
        _thumbnail(axes[1], None, "nothing found", size)
    asked = f'the words "{query}"' if isinstance(query, str) else "a picture"
    shown = [f"{score:.2f}" for score in map(float, scores)]
    if names is not None:
        shown = [f"{name} ({score})" for name, score in zip(names, shown, strict=True)]
    found = f"{count(len(results), 'picture')} found, best first, with scores: {_listed(shown)}"
    return done(figure, f"The query is {asked}. {found if shown else 'Nothing was found'}.")


def scatter_2d(
    points: np.ndarray,
    labels: Sequence[Any] | None = None,
    *,
    title: str = "",
    annotate: dict[int, str] | None = None,
) -> Picture:
    """Points in a plane, one colour and marker a label: a projection of vectors.

    points    (n, 2) float
    labels    (n,) any; more labels than colours (7): the rarest share grey, "other"
    annotate  row number -> text written beside that point
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise WorkshopError(f"points have shape {points.shape}, expected (n, 2): project first.")
    if labels is not None and len(labels) != len(points):
        raise WorkshopError(f"{len(points)} points but {len(labels)} labels: give one label each.")
    if not len(points):
        return _nothing("no points")
    figure, axis = plt.subplots(figsize=(6, 4))
    groups = np.array(
        ["" if labels is None else str(v) for v in (points if labels is None else labels)]
    )
    names, counts = np.unique(groups, return_counts=True)
    # the commonest labels get the colours; ties go by name so that a rerun looks the same
    names = names[np.lexsort((names, -counts))]
    coloured = names[: len(COLOURS)]
    rest = ~np.isin(groups, coloured)
    for name, colour, marker in zip(coloured, COLOURS, MARKERS, strict=False):
        chosen = points[groups == name]
        axis.scatter(*chosen.T, s=22, color=colour, marker=marker, label=name, linewidths=0)
    if rest.any():
        axis.scatter(*points[rest].T, s=14, color="#bbbbbb", label="other", zorder=0)
    for row, text in (annotate or {}).items():
        axis.annotate(text, points[row], xytext=(4, 4), textcoords="offset points", fontsize=9)
    # the axes of a projection have no unit and no zero: numbers there would only mislead
    axis.set(xticks=[], yticks=[], title=title)
    axis.set_aspect("equal", adjustable="datalim")
    about = f"{title or 'Scatter plot'}: {count(len(points), 'point')} in a plane"
    if labels is not None:
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
        about += f", one colour and marker for each of {_listed(coloured)}"
        about += ", grey for the others" if rest.any() else ""
    return done(figure, f"{about}.")


def curve(
    x: Sequence[float],
    lines: dict[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: str = "",
) -> Picture:
    """Lines over one x axis, such as recall over `ef`; each value is a marker.

    x       (n,) float
    lines   name -> (n,) float
    xlabel  and ylabel name the quantity and its unit
    log     "x", "y" or "xy": these axes are logarithmic
    """
    for name, values in lines.items():
        if len(values) != len(x):
            raise WorkshopError(f"{name!r} has {len(values)} values for {len(x)} x positions.")
    figure, axis = plt.subplots()
    for (name, values), marker in zip(lines.items(), MARKERS * len(lines), strict=False):
        axis.plot(x, values, marker=marker, markersize=5, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if "x" in log:
        axis.set_xscale("log")
        if len(x) <= 10:
            # 8, 16, 32 as they were tried, not powers of ten between them
            axis.set_xticks(x, [f"{value:g}" for value in x])
            axis.minorticks_off()
    if "y" in log:
        axis.set_yscale("log")
    if len(lines) > 1:
        axis.legend()
    ends = [
        f"{name} from {values[0]:.3g} to {values[-1]:.3g}"
        for name, values in lines.items()
        if len(values)
    ]
    span = f" from {x[0]:g} to {x[-1]:g}" if len(x) else ""
    return done(figure, f"{ylabel} over {xlabel}{span}: {_listed(ends)}.")


def _wrap(text: str, size: float, lines: int = 3) -> str:
    width = max(6, round(size * 13))
    return fill(str(text), width, max_lines=lines, placeholder=" …", break_long_words=True)


def _grid(count: int, columns: int, size: float, labels: list[str]) -> tuple[Figure, list[Axes]]:
    columns = min(columns, count)
    rows = -(-count // columns)
    text = 0.16 * max((label.count("\n") + 1 for label in labels if label), default=0)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * (size + text)), squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, list(axes.flat)


def _thumbnail(axis: Axes, image: Pixels | None, label: str, size: float) -> None:
    axis.set_axis_on()
    axis.grid(False)
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.set_xlabel(label, fontsize=8, labelpad=3, parse_math=False)
    if image is not None:
        axis.imshow(_square(image, size), interpolation="nearest")


def _square(image: Pixels, size: float) -> np.ndarray:
    """Centred on a white square with the pixels that the screen will show: rows line up."""
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        return pixels  # values, not colours: imshow scales them
    picture = Image.fromarray(pixels).convert("RGBA")
    side = max(*picture.size, 1)
    canvas = Image.new("RGBA", (side, side), "white")
    canvas.alpha_composite(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    canvas = canvas.convert("RGB")
    canvas.thumbnail((shown := round(size * 100), shown), Image.Resampling.LANCZOS)
    # five bits a channel look the same at this size and nearly halve the PNG that a notebook stores
    return np.asarray(canvas) & 0xF8 | 0x07


def _nothing(message: str) -> Picture:
    figure, axis = plt.subplots(figsize=(3, 0.6))
    axis.set_axis_off()
    axis.text(0.5, 0.5, message, ha="center", va="center")
    return done(figure, f"An empty figure: {message}.")


def _listed(texts: Sequence[object]) -> str:
    return ", ".join(map(str, texts))
