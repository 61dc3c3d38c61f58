"""Pictures of chapter 14: spectrograms with their peaks, what two recordings share, and votes by shift."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from workshop.errors import WorkshopError
from workshop.plots.base import COLOURS, MARKERS, QUERY, Picture, count, done
from workshop.sounds import HOP, RATE, SIZE, peaks, spectrogram

LOWEST = -80  # decibels below the loudest that are still told apart from silence
COLUMN = RATE / SIZE  # Hz
FRAME = HOP / RATE  # seconds
KINDS = {"white": "white noise", "mix": "other music as noise"}


def waveform(samples: np.ndarray, seconds: float | None = None) -> Picture:
    """Samples over time, or the first seconds of them.

    samples  (n,) at 16 kHz
    """
    shown = samples if seconds is None else samples[: int(seconds * RATE)]
    if not len(shown):
        raise WorkshopError("waveform() needs at least one sample.")
    figure, axis = plt.subplots(figsize=(7, 2.2))
    few = len(shown) <= 200
    axis.plot(np.arange(len(shown)) / RATE, shown, marker="." if few else "", linewidth=0.7)
    axis.set(xlabel="time in seconds", ylabel="sample")
    span = f"between {shown.min():.2f} and {shown.max():.2f}"
    return done(
        figure,
        f"A wave: {count(len(shown), 'sample')} over {len(shown) / RATE:.3g} seconds, {span}.",
    )


def sound_picture(
    samples: np.ndarray, points: np.ndarray | None = None, top: float = 8000
) -> Picture:
    """A spectrogram: time to the right, frequency up, the louder the darker; points on it as circles.

    samples  (n,) at 16 kHz
    points   (m, 2) frame and column, from `sounds.peaks`
    top      Hz, the upper end of the picture
    """
    figure, axis = plt.subplots(figsize=(7, 3.2))
    _spectrogram(axis, samples, top)
    said = f"A spectrogram of {len(samples) / RATE:.1f} seconds, frequencies up to {top:g} Hz"
    if points is not None:
        _points(axis, points, QUERY, "peaks")
        said += f", with {count(len(points), 'peak')} as circles"
    axis.set(xlabel="time in seconds")
    return done(figure, f"{said}.")


def matching_peaks(
    query: np.ndarray, recording: np.ndarray, shift: int, top: float = 8000
) -> Picture:
    """A query above the recording that it is a part of, at the same place in time.

    Peaks of both are orange circles, those of one alone are blue crosses.

    query, recording  (n,) and (m,) at 16 kHz
    shift             frames from the recording's begin to the query's
    """
    figure, axes = plt.subplots(2, 1, figsize=(7, 4.6), sharex=True, sharey=True)
    moved = peaks(query) + np.array([shift, 0])
    mine, theirs = moved, peaks(recording)
    far = np.abs(mine[:, None] - theirs[None]).max(axis=2) > 1
    shared, found = ~far.all(axis=1), ~far.all(axis=0)
    for axis, samples, points, both, begin, name in (
        (axes[0], query, mine, shared, shift, "query"),
        (axes[1], recording, theirs, found, 0, "recording"),
    ):
        _spectrogram(axis, samples, top, begin * FRAME)
        _points(axis, points[both], QUERY, "peaks of both")
        own = points[~both] * [FRAME, COLUMN]
        axis.scatter(
            *own.T, s=16, c=COLOURS[0], marker="x", linewidths=1, label="peaks of one alone"
        )
        axis.set_title(name)
    axes[0].set_xlim((shift - 5) * FRAME, (shift + 5) * FRAME + len(query) / RATE)
    axes[0].legend(loc="upper right", fontsize=8, framealpha=0.9, frameon=True)
    axes[1].set(xlabel="time in the recording, in seconds")
    kept = f"{int(shared.sum())} of its {count(len(mine), 'peak')} are in the recording"
    axes[0].set_title(f"query: {kept}")
    said = f"Two spectrograms above each other: a query of {len(query) / RATE:.1f} seconds, and the recording there"
    return done(
        figure,
        f"{said}. Of the query, {kept}, as orange circles; those of one alone are blue crosses.",
    )


def votes_by_shift(shifts: Mapping[str, Sequence[int]]) -> Picture:
    """How many shared codes stand at each shift in time, a row for each recording.

    shifts  name -> frames between each shared code in the query and in the recording
    """
    if not shifts:
        raise WorkshopError("votes_by_shift() needs at least one recording.")
    figure, axes = plt.subplots(
        len(shifts), 1, figsize=(7, 1.7 * len(shifts)), sharex=True, sharey=True, squeeze=False
    )
    said = []
    for axis, (name, values) in zip(axes[:, 0], shifts.items(), strict=True):
        places, numbers = np.unique(np.asarray(values, int), return_counts=True)
        axis.vlines(places * FRAME, 0, numbers, color=COLOURS[0], linewidth=1.5)
        axis.set(ylabel="votes", title=name)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        most = int(numbers.max()) if len(numbers) else 0
        said.append(f"{name}: {count(len(values), 'vote')}, at most {most} at one shift")
    axes[-1, 0].set(xlabel="shift of the query in the recording, in seconds")
    axes[0, 0].set_ylim(bottom=0)
    return done(figure, f"Votes over the shift in time. {'. '.join(said)}.")


def recognised(cells: Sequence[Mapping[str, Any]]) -> Picture:
    """Queries whose recording is first, and is accepted, over the loudness of noise: a panel a kind of noise.

    cells  of `sounds.measured()["cells"]`; those without noise stand at the left of each panel

    A colour is a length. Its solid line is the share that is first, its dashed one the share that is accepted.
    """
    noises = list(dict.fromkeys(c["noise"] for c in cells))
    if not noises:
        raise WorkshopError("recognised() needs the cells of sounds.measured().")
    lengths = sorted({c["seconds"] for c in cells})
    given = {c["decibels"] for c in cells if c["decibels"] is not None}
    levels = [None, *sorted(given, reverse=True)]
    names = ["none", *(f"{level}" for level in levels[1:])]
    figure, axes = plt.subplots(1, len(noises), figsize=(7, 3.4), sharey=True, squeeze=False)
    said = []
    for axis, noise in zip(axes[0], noises, strict=True):
        for seconds, colour, marker in zip(lengths, COLOURS, MARKERS, strict=False):
            chosen = [c for c in cells if c["seconds"] == seconds]
            quiet = {c["decibels"]: c for c in chosen if c["decibels"] is None}
            by_level = quiet | {c["decibels"]: c for c in chosen if c["noise"] == noise}
            first = [by_level[level]["top1"] for level in levels]
            taken = [by_level[level]["accepted"] for level in levels]
            axis.plot(first, marker=marker, color=colour, label=f"{seconds} s")
            axis.plot(taken, color=colour, linestyle="--", linewidth=1)
            ends = f"first {first[0]:.2f} to {first[-1]:.2f}, accepted {taken[0]:.2f} to {taken[-1]:.2f}"
            said.append(f"{noise}, {seconds} s: {ends}")
        axis.plot([], "k--", linewidth=1, label="accepted")
        axis.set_xticks(range(len(levels)), names)
        axis.set(
            xlabel="signal-to-noise ratio in dB", ylim=(0, 1.05), title=KINDS.get(noise, noise)
        )
    axes[0, 0].set(ylabel="share of the queries")
    axes[0, 0].legend(title="first", loc="lower left", fontsize=8)
    end = f"Share of queries whose recording is first (solid) and accepted (dashed), from no noise to {levels[-1]} dB"
    return done(figure, f"{end}. {'; '.join(said)}.")


def _spectrogram(axis: Axes, samples: np.ndarray, top: float, begin: float = 0.0) -> None:
    loud = spectrogram(samples)
    decibels = np.maximum(20 * np.log10(loud / max(float(loud.max()), 1e-9) + 1e-9), LOWEST)
    rows = int(top / COLUMN) + 1
    extent = (begin, begin + len(loud) * FRAME, 0, rows * COLUMN)
    axis.imshow(decibels.T[:rows], origin="lower", aspect="auto", extent=extent, cmap="gray_r")
    axis.set(ylabel="frequency in Hz", ylim=(0, top))
    axis.grid(False)


def _points(axis: Axes, points: np.ndarray, colour: str, label: str) -> None:
    axis.scatter(
        points[:, 0] * FRAME,
        points[:, 1] * COLUMN,
        s=22,
        facecolors="none",
        edgecolors=colour,
        linewidths=1.2,
        label=label,
    )
