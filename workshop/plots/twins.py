"""The pictures of chapter 06: lines of code, answers in a second and work of two frameworks."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from workshop.plots.base import COLOURS, Picture, done


def lines_of_code(counts: Mapping[str, Mapping[str, int]]) -> Picture:
    """A bar for each module, in which each kind of code has a colour.

    counts  name of a module to kind of code to number of lines; all have the same kinds
    """
    names, kinds = list(counts), list(next(iter(counts.values())))
    figure, axis = plt.subplots(figsize=(8, 0.7 + 0.55 * len(names)))
    left = np.zeros(len(names))
    for kind in kinds:
        width = [counts[name][kind] for name in names]
        bars = axis.barh(names, width, left=left, label=kind)
        axis.bar_label(bars, [number or "" for number in width], label_type="center")
        left = left + width
    for y, total in enumerate(left):
        axis.text(total + 1, y, f"{total:.0f}", va="center", weight="bold")
    axis.set(xlabel="lines of code", xlim=(0, 1.08 * max(left)))
    axis.invert_yaxis()
    axis.grid(visible=False)
    figure.legend(ncols=len(kinds), loc="outside upper center")
    told = []
    for name, total in zip(names, left, strict=True):
        parts = ", ".join(f"{kind} {counts[name][kind]}" for kind in kinds)
        told.append(f"{name}: {total:.0f} ({parts})")
    return done(figure, f"Bars of lines of code. {'; '.join(told)}.")


def speeds(runs: Sequence[tuple[str, str, int, float]]) -> Picture:
    """Answers in a second: a panel for each endpoint, a group of bars for each number of clients.

    runs  (n,) name of the framework, endpoint, clients, answers in a second; a case may come several
          times: the bar is the mean, each run a dot
    """
    names, endpoints, clients = (list(dict.fromkeys(run[i] for run in runs)) for i in range(3))
    figure, axes = plt.subplots(1, len(endpoints), figsize=(9, 2.8), squeeze=False)
    told = []
    for axis, endpoint in zip(axes[0], endpoints, strict=True):
        for number, name in enumerate(names):
            for x, many in enumerate(clients):
                each = [run[3] for run in runs if run[:3] == (name, endpoint, many)]
                if not each:
                    continue
                place = x + 0.4 * (number - (len(names) - 1) / 2)
                axis.bar(place, np.mean(each), 0.38, color=COLOURS[number])
                axis.plot([place] * len(each), each, ".", color="black")
                told.append(f"{endpoint}, {many} clients, {name}: {np.mean(each):.0f}")
        axis.set(title=endpoint, xticks=range(len(clients)), xticklabels=clients)
        axis.set_xlabel("clients")
        axis.grid(visible=False, axis="x")
    axes[0][0].set_ylabel("answers in a second")
    boxes = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[i]) for i in range(len(names))]
    figure.legend(boxes, names, ncols=len(names), loc="outside upper center")
    return done(figure, f"Bars of answers in a second. {'; '.join(told)}.")


def work_per_request(shares: Mapping[str, tuple[float, float, float, float]]) -> Picture:
    """What server, framework and endpoint work for a request, as stacked bars.

    shares  name of the framework to milliseconds of work for a request: by its server alone, by
            `health`, by `search`, by `embeddings`
    """
    figure, axis = plt.subplots(figsize=(8, 3))
    told, ticks, place = [], [], 0.0
    for what in range(1, 4):
        for name, costs in shares.items():
            server, health = costs[0], costs[1]
            parts = [server, max(health - server, 0), max(costs[what] - health, 0)]
            left = 0.0
            for part, colour in zip(parts, COLOURS[:3], strict=True):
                axis.barh(place, part, left=left, color=colour)
                left += part
            ticks.append((place, f"{name}: {('health', 'search', 'embeddings')[what - 1]}"))
            told.append(f"{ticks[-1][1]} {left:.2f} ms, of which server {server:.2f}")
            place += 1
        place += 0.4
    axis.set_yticks([y for y, _ in ticks], [label for _, label in ticks])
    axis.set_xlabel("ms of processor time for a request")
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    boxes = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in COLOURS[:3]]
    names = ["server", "framework", "endpoint"]
    figure.legend(boxes, names, ncols=3, loc="outside upper center")
    return done(figure, f"Bars of work for a request. {'; '.join(told)}.")
