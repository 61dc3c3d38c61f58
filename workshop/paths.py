"""Where things live: the repository, its data, and the learner's own folder."""

import os
from pathlib import Path

from workshop.errors import WorkshopError

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"


def home() -> Path:
    """The learner's folder: `WORKSHOP_HOME`, or `.workshop/` in the repository; made if missing."""
    folder = Path(os.environ.get("WORKSHOP_HOME") or ROOT / ".workshop").expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkshopError(
            f"Cannot write to {folder} ({error.strerror}). "
            "Set WORKSHOP_HOME to a folder you may write to and run again."
        ) from error
    return folder
