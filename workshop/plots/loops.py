"""The picture of chapter 09: who has the thread while a client waits."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from workshop.plots.base import COLOURS, Picture, done

Times = tuple[float, float, float]  # sent, came back, the endpoint ran: seconds on one clock


def who_has_the_thread(plain: Times, awaiting: Times) -> Picture:
    """Two clients of a server in their own thread: one that holds the thread, one that awaits."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.2), sharey=True)
    _half(left, "httpx.get", ["waits, gives up", "held by the cell"], "#BBBBBB", *plain)
    _half(right, "await", ["waits, is answered", "lent to the loop"], COLOURS[5], *awaiting)
    waited, ran = (1000 * (plain[i] - plain[0]) for i in (1, 2))
    waited_awaiting, ran_awaiting = (1000 * (awaiting[i] - awaiting[0]) for i in (1, 2))
    alt = (
        "Two pairs of bars over the milliseconds after the request: how long the client waited, and who "
        f"had the thread meanwhile. Left, httpx.get waited {waited:,.0f} ms and gave up while the cell "
        f"held the thread; the endpoint ran after {ran:,.0f} ms. Right, await waited "
        f"{waited_awaiting:,.0f} ms and was answered while the thread was lent to the loop; the endpoint "
        f"ran after {ran_awaiting:,.0f} ms."
    )
    return done(figure, alt)


def _half(
    axis: Axes, title: str, labels: list[str], colour: str, sent: float, back: float, ran: float
) -> None:
    wait, run = 1000 * (back - sent), 1000 * (ran - sent)
    bars = axis.barh(["client", "the thread"], wait, height=0.6, color=[COLOURS[1], colour])
    axis.bar_label(bars, labels, label_type="center")
    axis.plot(run, 1.5, "D", color="black")
    axis.annotate("endpoint runs", (run, 1.5), (7, -3), textcoords="offset points")
    axis.set(title=title, xlim=(0, 1.4 * max(wait, run)), ylim=(-0.5, 2))
    axis.set_xlabel("ms after the request")
