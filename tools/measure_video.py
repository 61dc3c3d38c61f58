"""Write data/video/seen.npz: what the models see in the course's films; and PySceneDetect's cuts beside ours.

    pip install --group author -e .
    python tools/measure_video.py

Only maintainers run this, after `tools/build_video.py` or a change of `workshop/video.py`.
"""

import csv
from pathlib import Path

import numpy as np
from build_video import describe
from scenedetect import AdaptiveDetector, ContentDetector, HashDetector, HistogramDetector, detect

from workshop import films
from workshop.video import FILMS, VideoReader, frames

DETECTORS = (ContentDetector, AdaptiveDetector, HistogramDetector, HashDetector)
LEAST = 0.3  # the score from which things are written down, so that thresholds can be compared
SHORTEST = 8  # frames of a shot in the second try: the defaults' 15 are a second of these films


def pyscenedetect(paths: list[Path]) -> list[tuple[str, str, str]]:
    """(detector, film, seconds of its cuts) for each detector and film, twice.

    With its defaults, as somebody would try it first, and so that it may find short shots.
    """
    rows = []
    for detector in DETECTORS:
        settings = {"": {}, f", from {SHORTEST} frames": {"min_scene_len": SHORTEST}}
        for said, setting in settings.items():
            for path in paths:
                scenes = detect(str(path), detector(**setting))
                cuts = " ".join(f"{start.seconds:.3f}" for start, _ in scenes[1:])
                rows.append((detector.__name__ + said, path.name, cuts))
    return rows


def main() -> None:
    """Look at every film."""
    reader, seen = VideoReader(sure=LEAST), {}
    for path in films.paths():
        seen[path.name] = list(reader.shots(frames(path)))
        print(f"{path.name}: {len(seen[path.name])} shots", flush=True)
    np.savez_compressed(films.SEEN, **films.remember(seen))
    with (FILMS / "pyscenedetect.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["detector", "film", "cuts"])
        writer.writerows(pyscenedetect(films.paths()))
    describe()


if __name__ == "__main__":
    main()
