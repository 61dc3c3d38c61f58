"""Measure chapter 14's fingerprints, and write data/audio/measured.json: some minutes.

    python tools/measure_audio.py

With parts of the pieces and of the long recordings, in each half against the sounds of that half: is the right
recording found, with noise, for lengths, and after it was changed? And are strangers accepted? A stranger is a
query whose own source is left out of the index. The rule was chosen with what this prints of the tuning half.
"""

import io
import json
from collections.abc import Callable

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from workshop import sounds
from workshop.sounds import RATE, Sound, add_noise, fingerprint, part

LENGTHS = (1, 2, 5, 10)  # seconds
DECIBELS = (None, 10, 5, 0, -5)  # None: no noise
NOISES = ("white", "mix")
LONG = 5.0  # seconds of a recording that is asked for
RULES = [(votes, times) for votes in (5, 10, 15, 20, 30) for times in (0.0, 1.5, 2.0, 2.5)]


def through(name: str, samples: np.ndarray) -> np.ndarray:
    """The samples after something was done to them that happens to recordings."""
    if name.startswith("speed"):
        return soxr.resample(samples, RATE, RATE / (1 + float(name.split()[1]) / 100))
    if name == "telephone":
        return soxr.resample(soxr.resample(samples, RATE, 8000), 8000, RATE)
    if name == "clipped":
        return np.clip(10 * samples, -1, 1)
    content = io.BytesIO()
    kinds = {"MP3": ("MP3", "MPEG_LAYER_III"), "Opus": ("OGG", "OPUS")}
    format_, subtype = kinds[name]
    soundfile.write(content, samples, RATE, format=format_, subtype=subtype, compression_level=0.99)
    return sounds.read(content.getvalue())


CHANGES = ("MP3", "Opus", "telephone", "clipped", "speed 1", "speed 2", "speed 5")


class Half:
    """The sounds of a half, their index, and queries out of it."""

    def __init__(self, half: str) -> None:
        self.sounds = {sound.id: sound for sound in sounds.sounds(half=half)}
        self.samples = {key: sound.read() for key, sound in self.sounds.items()}
        self.index = sounds.FingerprintIndex()
        for key, samples in self.samples.items():
            self.index.add(key, *fingerprint(samples))
        other = "tuning" if half == "report" else "report"
        self.others = [sound.read() for sound in sounds.sounds("piece", other)]
        self.asked = [
            sound
            for sound in self.sounds.values()
            if sound.group == "piece" or (sound.group == "recording" and sound.seconds >= LONG)
        ]

    def queries(
        self, seconds: float, change: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    ) -> list[tuple[Sound, np.ndarray, np.ndarray]]:
        """Two parts of each sound that is as long, changed: the sound, codes, frames."""
        rng = np.random.default_rng(14)
        found = []
        for sound in self.asked:
            for _ in range(2):
                if sound.seconds >= seconds:
                    samples = change(part(self.samples[sound.id], seconds, rng), rng)
                    found.append((sound, *fingerprint(samples)))
        return found

    def noisy(
        self, kind: str, decibels: float | None
    ) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
        """Adds white noise, or two pieces of the other half."""

        def change(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            if decibels is None:
                return samples
            if kind == "white":
                return add_noise(samples, rng.normal(size=len(samples)), decibels)
            chosen = rng.choice(len(self.others), 2, replace=False)
            seconds = len(samples) / RATE
            first, second = (part(self.others[i], seconds, rng) for i in chosen)
            return add_noise(samples, first + second, decibels)

        return change

    def ask(self, queries: list) -> tuple[list[tuple], list[tuple]]:
        """(right, votes, rest) of the best for each query, and (votes, rest) of the best stranger."""
        known, strangers = [], []
        for sound, codes, frames in queries:
            best = self.index.search(codes, frames, k=1)
            known.append((bool(best) and best[0].key == sound.id, *votes(best)))
            without = self.index.search(
                codes,
                frames,
                k=1,
                leave_out=lambda key, own=sound: self.sounds[key].source == own.source,
            )
            strangers.append(votes(without))
        return known, strangers


def votes(found: list) -> tuple[int, int]:
    """Of the best match, and of its next best shift; zeros if there is none."""
    return (found[0].votes, found[0].rest) if found else (0, 0)


def rates(known: list[tuple], strangers: list[tuple], rule: tuple[int, float]) -> dict[str, float]:
    """Shares: right at the first place, right and accepted, strangers accepted."""
    passed = [right and sounds.accepted(v, n, *rule) for right, v, n in known]
    wrong = [sounds.accepted(v, n, *rule) for v, n in strangers]
    return {
        "top1": round(float(np.mean([right for right, *_ in known])), 3),
        "accepted": round(float(np.mean(passed)), 3),
        "strangers": round(float(np.mean(wrong)), 4),
        "queries": len(known),
    }


def main() -> None:
    """Measure both halves."""
    out: dict = {"lengths": LENGTHS, "decibels": DECIBELS, "rule": [sounds.VOTES, sounds.TIMES]}
    for name in ("tuning", "report"):
        half, cells, all_known, all_strangers = Half(name), [], [], []
        for noise in NOISES:
            for decibels in tqdm(DECIBELS, desc=f"{name}, {noise}"):
                if decibels is None and noise == "mix":
                    continue
                for seconds in LENGTHS:
                    known, strangers = half.ask(half.queries(seconds, half.noisy(noise, decibels)))
                    cell = {"noise": noise, "decibels": decibels, "seconds": seconds}
                    cells.append(cell | rates(known, strangers, (sounds.VOTES, sounds.TIMES)))
                    all_known += known
                    all_strangers += strangers
        changes = {}
        for change in CHANGES:
            queries = half.queries(5, lambda samples, _, c=change: through(c, samples))
            changes[change] = rates(*half.ask(queries), (sounds.VOTES, sounds.TIMES))
        rules = [
            {"votes": rule[0], "times": rule[1], **rates(all_known, all_strangers, rule)}
            for rule in RULES
        ]
        out[name] = {"cells": cells, "changes": changes, "rules": rules}
        print(name)
        for row in (*rules, *cells, *changes.items()):
            print(row)
    path = sounds.SOUNDS / "measured.json"
    path.write_text(json.dumps(out, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
