"""Pictures of chapter 04: how an index reads less, and what it costs."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from workshop.plots.base import COLOURS, MARKERS, QUERY, Picture, count, done

GREY = "#cccccc"


def islands(points: np.ndarray, groups: Sequence[str]) -> Picture:
    """Many points in a plane, one colour a group, the group's name at its middle.

    points  (n, 2) float
    groups  (n,) the name of each point's group
    """
    groups = np.asarray(groups)
    names = np.unique(groups)
    figure, axis = plt.subplots(figsize=(7.5, 4.6))
    for name, colour in zip(names, [*COLOURS, "#888888"] * len(names), strict=False):
        chosen = points[groups == name]
        axis.scatter(*chosen.T, s=3, color=colour, linewidths=0)
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": colour, "alpha": 0.9}
        axis.annotate(name, np.median(chosen, axis=0), ha="center", va="center", bbox=box)
    axis.set_axis_off()
    counts = [f"{name} ({np.sum(groups == name):,})" for name in names]
    alt = f"A map of {len(points):,} points without axes, one colour for each of {len(names)} groups, "
    return done(figure, f"{alt}each in a region of its own: {', '.join(counts)}.")


def ivf_cells(
    points: np.ndarray,
    centres: np.ndarray,
    cell: np.ndarray,
    query: np.ndarray,
    read: dict[str, np.ndarray],
) -> Picture:
    """Points tied to the centre of their cell; those that a search reads are blue.

    points   (n, 2) float
    centres  (c, 2) float
    cell     (n,) int, the row of `centres` that each point belongs to
    query    (2,) float, drawn as a star; its ten nearest points are circles, filled if read
    read     title -> (n,) bool, the points that are read; one panel each
    """
    near = np.linalg.norm(points - query, axis=1).argsort()[:10]
    figure, panels = plt.subplots(1, len(read), figsize=(3 * len(read), 3.1), squeeze=False)
    said = []
    for axis, (title, mask) in zip(panels[0], read.items(), strict=True):
        for part, colour in ((~mask, GREY), (mask, COLOURS[0])):
            spokes = np.stack([points, centres[cell]], axis=1)[part]
            axis.add_collection(LineCollection(list(spokes), colors=colour))
        inside = np.where(mask[near], QUERY, "white")
        axis.scatter(*points[near].T, c=inside, edgecolors=QUERY, zorder=3)
        axis.plot(*centres.T, "ks", markersize=4)
        axis.plot(*query, "k*", markersize=9, zorder=4)
        told = f"{title}: {mask.sum()} rows read, {mask[near].sum()} of {len(near)} found"
        axis.set_title(told, fontsize=9)
        _bare(axis)
        said.append(told)
    return done(
        figure,
        f"{len(points)} points in {len(centres)} cells, each point joined to its cell's centre, and a "
        f"star as the query. Cells that are read are blue. {'; '.join(said)}.",
    )


def hnsw_layers(
    points: np.ndarray,
    walks: Sequence[tuple[Sequence[set[int]], Sequence[int], set[int]]],
    query: np.ndarray,
) -> Picture:
    """Walks through the layers of a graph towards a query, top layer first.

    points  (n, 2) float; a layer of m rows has the first m of them
    walks   for each layer its links (m sets of rows), the path, and the set of rows looked at
    query   (2,) float, drawn as a star; a cross marks the nearest of all points
    """
    nearest = int(np.linalg.norm(points - query, axis=1).argmin())
    figure, panels = plt.subplots(1, len(walks), figsize=(3 * len(walks), 3.1), squeeze=False)
    said = []
    for axis, (links, path, seen) in zip(panels[0], walks, strict=True):
        edges = [points[[a, b]] for a, others in enumerate(links) for b in others]
        axis.add_collection(LineCollection(edges, colors="#dddddd", linewidths=0.6))
        axis.plot(*points[: len(links)].T, "k.", markersize=3)
        axis.plot(*points[sorted(seen)].T, "o", color=COLOURS[0], markersize=4)
        axis.plot(*points[list(path)].T, "o-", color=QUERY, markersize=5)
        axis.plot(*points[nearest], "kX", markersize=7)
        axis.plot(*query, "k*", markersize=9)
        told = f"layer of {len(links)} rows: {len(seen)} looked at"
        axis.set_title(told, fontsize=9)
        _bare(axis)
        said.append(f"{told}, {count(len(path) - 1, 'step')}")
    hit = "is" if walks and walks[-1][1][-1] == nearest else "is not"
    return done(
        figure,
        f"Points joined by links, and a walk towards a star, the query. {'; '.join(said)}. "
        f"The walk's end {hit} the nearest point, which a cross marks.",
    )


def recall_and_speed(runs: Sequence[dict]) -> Picture:
    """What each run found against how fast it was, with a grey band on those that none beats.

    runs  dicts with `name` ("HNSW ef=40": its first word is the index), `recall` (0 to 1) and `ms`
          (milliseconds a query)
    """
    figure, axis = plt.subplots(figsize=(7, 3.8))
    kinds = list(dict.fromkeys(run["name"].split()[0] for run in runs))
    for kind, colour, marker in zip(kinds, COLOURS, MARKERS, strict=False):
        own = [(r["recall"], 1000 / r["ms"]) for r in runs if r["name"].split()[0] == kind]
        axis.plot(*np.transpose(own), marker=marker, color=colour, label=kind, linewidth=1)
    best = sorted(
        (run["recall"], 1000 / run["ms"])
        for run in runs
        if not any(o["recall"] > run["recall"] and o["ms"] < run["ms"] for o in runs)
    )
    axis.plot(*np.transpose(best), color="black", linewidth=7, alpha=0.15, label="Pareto front")
    axis.set_yscale("log")
    axis.set(xlabel="recall@10", ylabel="queries a second")
    axis.legend(loc="lower left")
    lowest = [
        f"{kind} from recall {min(r['recall'] for r in runs if r['name'].split()[0] == kind):.2f}"
        for kind in kinds
    ]
    # nothing that was timed is said, so that a stored notebook compares equal
    return done(
        figure,
        f"Queries a second, on a logarithmic axis, over recall@10: {len(runs)} measurements, one line an "
        f"index: {', '.join(lowest)}. A grey band marks the Pareto front, those that no other beats in both.",
    )


def _bare(axis: Axes) -> None:
    axis.set(frame_on=False, xticks=[], yticks=[])
    axis.set_aspect("equal", adjustable="datalim")
