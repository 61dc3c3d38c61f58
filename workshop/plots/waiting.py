"""The pictures of chapter 08: who waits for whom, and for how long."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from workshop.plots.base import COLOURS, Picture, done

Span = tuple[float, float]  # asked and answered: seconds after the start
QUICK = 0.2  # seconds: a slower answer is drawn in another colour

# Who has the one thread, or one of two, turn by turn: a to d are small requests, L is the load.
LANES = {
    "L awaits: the one thread": "L a b L c d L a b L c d",
    "L blocks: the one thread": "L a b L L L L L L L L c",
    "L has a thread: the event loop": "L a b c d a b c d a b c",
    "L has a thread: the other thread": ". L L L L L L L L . . .",
}


def stored_over_time(seen: Sequence[Span], received: float) -> Picture:
    """How many photos were stored, each time somebody asked, and when the 202 came.

    seen      (n,) pairs of seconds after sending and photos stored
    received  seconds after sending at which the answer 202 came
    """
    seconds, stored = [pair[0] for pair in seen], [pair[1] for pair in seen]
    figure, axis = plt.subplots(figsize=(8, 2.2))
    axis.plot(seconds, stored, "o-", markersize=3, clip_on=False)
    axis.axvline(received, color=COLOURS[3])
    top = 1.1 * max(stored)
    axis.text(received, top, " 202: request received", color=COLOURS[3])
    axis.text(seconds[-1], top, "done: data uploaded", ha="right", color=COLOURS[0])
    axis.set(xlabel="seconds after sending", ylabel="photos stored", ylim=(0, 1.3 * max(stored)))
    axis.set_xlim(left=0)
    alt = (
        f"Photos stored over the seconds after sending. A vertical line marks the answer 202 after "
        f"{received:.2f} s, when hardly any photo was stored. The curve rises to {stored[-1]} photos "
        f"after {seconds[-1]:.1f} s."
    )
    return done(figure, alt)


def lanes() -> Picture:
    """One thread that is shared, one that is blocked, and a second thread for what takes long."""
    figure, axis = plt.subplots(figsize=(8, 2))
    for y, turns in enumerate(LANES.values()):
        for x, who in enumerate(turns.split()):
            if who != ".":
                colour = COLOURS[3] if who == "L" else COLOURS[0]
                axis.barh(y, 0.9, left=x, color=colour)
                axis.text(x + 0.45, y, who, ha="center", va="center", color="white")
    axis.set(xlabel="time", xticks=[], yticks=range(len(LANES)), yticklabels=LANES)
    axis.set_ylim(len(LANES) - 0.4, -0.6)
    axis.grid(visible=False)
    alt = (
        "Four rows of squares, time runs to the right. L is the load, a to d are small requests. Row "
        "one: L awaits, and a to d have their turns between those of L. Row two: L blocks, and from its "
        "second turn on a to d wait for eight turns. Rows three and four: L works in another thread, and "
        "in the event loop a to d have all the turns."
    )
    return done(figure, alt)


def answers_during_a_load(spans: Sequence[Span]) -> Picture:
    """When questions were asked and answered while a load ran; the first pair is the load itself."""
    figure, axis = plt.subplots(figsize=(8, 2))
    _questions(axis, spans)
    axis.set_xlabel("seconds")
    return done(figure, f"Lines from asked, below, to answered, above. {_told(spans)}")


def answers_by_way(ways: Mapping[str, Sequence[Span]], seconds: float) -> Picture:
    """The same for several ways to run a load, one below the other.

    ways     name to pairs as in `answers_during_a_load`
    seconds  that the load takes: shown grey, from the moment in which it was asked for
    """
    figure, axes = plt.subplots(len(ways), 1, figsize=(8, 1.15 * len(ways)), sharex=True)
    told = []
    for axis, (name, spans) in zip(axes, ways.items(), strict=True):
        axis.axvspan(spans[0][0], spans[0][0] + seconds, color="0.92")
        _questions(axis, spans)
        axis.set_title(name, fontsize=10)
        told.append(f"{name}: {_told(spans)}")
    axes[-1].set_xlabel("seconds; grey: the load is worked on")
    return done(figure, "Lines from asked, below, to answered, above. " + " ".join(told))


def _questions(axis: Axes, spans: Sequence[Span]) -> None:
    for asked, answered in spans[1:]:
        slow = answered - asked > QUICK
        axis.plot([asked, answered], [0, 1], color=COLOURS[3] if slow else COLOURS[0])
    axis.plot(spans[0], [0, 1], color="black", linewidth=3, solid_capstyle="round")
    axis.set(ylim=(0, 1), yticks=[0, 1], yticklabels=["asked", "answered"])


def _told(spans: Sequence[Span]) -> str:
    waits = [answered - asked for asked, answered in spans[1:]]
    return (
        f"The load was answered after {spans[0][1] - spans[0][0]:.1f} s; of {len(waits)} small "
        f"questions the slowest waited {max(waits):.2f} s."
    )
