"""Results as one page that needs nothing but itself."""

import io
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure

from workshop import plots
from workshop.bench.measure import label

GOOD = 0.95  # recall at which the cost of growing data is compared


def write(results: dict[str, Any], path: Path) -> Path:
    """Write the page for what `workshop.bench.run.run` returned."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(mb=_mb, span=_span, number=_number)
    sets = [
        {
            **about,
            "cells": (cells := [c for c in results["cells"] if c["data"] == about["name"]]),
            "curves": _svg(_curves(cells)) if cells else "",
            "notes": sorted({(c["note"], c["engine"]) for c in cells if c["note"]}),
        }
        for about in results["data"]
    ]
    page = environment.get_template("report.html").render(
        **results,
        sets=sets,
        label=label,
        growth=_svg(figure) if (figure := _growth(results)) else "",
        good=GOOD,
    )
    path.write_text(page, encoding="utf-8")
    return path


def _curves(cells: list[dict[str, Any]]) -> Figure:
    """Recall against speed: a column for each engine, a line for each index."""
    engines = list(dict.fromkeys(cell["engine"] for cell in cells))
    measures = cells[0]["searches"][0]["measures"]
    one, most = (
        pick(m["batch_size"] for m in measures if m["clients"] == measures[0]["clients"])
        for pick in (min, max)
    )
    names = list(dict.fromkeys(label(c["type"], c["build"]) for c in cells))
    fig, axes = plt.subplots(
        2,
        len(engines),
        figsize=(3.6 * len(engines) + 1, 6),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    for column, engine in enumerate(engines):
        for cell in cells:
            if cell["engine"] != engine:
                continue
            number = names.index(label(cell["type"], cell["build"]))
            for row, (batch, key) in enumerate(((most, "queries_per_second"), (one, "p50_ms"))):
                _line(axes[row, column], cell, batch, key, number, names[number])
        axes[0, column].set_title(f"{engine} ({cell_version(cells, engine)})", fontsize=10)
        axes[1, column].set_xlabel("recall (1 is exact)")
    clients = "1 client" if measures[0]["clients"] == 1 else f"{measures[0]['clients']} clients"
    axes[0, 0].set_ylabel(f"queries a second\nin batches of {most}, {clients}")
    axes[1, 0].set_ylabel(f"p50 of a batch of {one}, ms\n{clients}")
    for ax in axes.flat:
        ax.set_yscale("log")
    handles: dict[str, Any] = {}
    for ax in axes.flat:
        for handle, text in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(text, handle)
    labels = [name for name in names if name in handles]
    shown = [handles[name] for name in labels]
    fig.legend(shown, labels, loc="outside lower center", ncols=4, fontsize=8)
    return fig


def _line(ax: Any, cell: dict, batch: int, key: str, number: int, name: str) -> None:
    points = []
    for search in cell["searches"]:
        row = next(m for m in search["measures"] if m["batch_size"] == batch)
        value = row[key]
        points.append((search["recall"], value["median"], value["min"], value["max"]))
    recall, middle, low, high = zip(*sorted(points), strict=True)
    spread = [
        [m - s for m, s in zip(middle, low, strict=True)],
        [s - m for m, s in zip(middle, high, strict=True)],
    ]
    style = {"color": plots.COLOURS[number % len(plots.COLOURS)], "label": name, "capsize": 2}
    ax.errorbar(
        recall,
        middle,
        spread,
        marker=plots.MARKERS[number % len(plots.MARKERS)],
        ms=4,
        lw=1,
        **style,
    )


def cell_version(cells: list[dict[str, Any]], engine: str) -> str:
    """What the engine said that it is."""
    return next(cell["version"] for cell in cells if cell["engine"] == engine)


def _growth(results: dict[str, Any]) -> Figure | None:
    """The time of one query as rows grow, each index at its fastest setting of good recall."""
    rows = {about["name"]: about["rows"] for about in results["data"]}
    points: dict[tuple[str, str], dict[int, float]] = {}
    for cell in results["cells"]:
        good = [s for s in cell["searches"] if s["recall"] >= GOOD]
        for search in good:
            first = min(search["measures"], key=lambda m: (m["batch_size"], m["clients"]))
            known = points.setdefault((cell["engine"], cell["type"]), {})
            n, took = rows[cell["data"]], first["p50_ms"]["median"]
            known[n] = min(took, known.get(n, took))
    lines = {key: sorted(known.items()) for key, known in points.items() if len(known) > 1}
    if not lines:
        return None
    fig, ax = plt.subplots(figsize=(8, 4))
    kinds = list(dict.fromkeys(type for _, type in lines))
    engines = [engine for engine, _ in groupby(sorted(engine for engine, _ in lines))]
    for (engine, type), known in lines.items():
        colour = plots.COLOURS[kinds.index(type) % len(plots.COLOURS)]
        place = engines.index(engine)
        style = {
            "color": colour,
            "ls": ("-", "--", ":", "-.")[place % 4],
            "marker": plots.MARKERS[place % len(plots.MARKERS)],
        }
        ax.plot(*zip(*known, strict=True), label=f"{engine} {type}", ms=4, lw=1.2, **style)
    ax.set(xscale="log", yscale="log", xlabel="rows", ylabel="p50 of one query, ms")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    return fig


def _svg(figure: Figure) -> Markup:
    file = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = file.getvalue()
    return Markup(text[text.index("<svg") :])  # noqa: S704  (made here, of numbers and escaped names)


def _mb(count: int | None) -> str:
    return "–" if count is None else f"{count / 1e6:,.1f}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _span(value: dict[str, float]) -> str:
    return f"{_number(value['median'])} ({_number(value['min'])}–{_number(value['max'])})"
