"""What every chapter imports: connect, launch, encoders, datasets, checks, plots.

Names are imported on first use, so that `from workshop import check` does not pay for Milvus.
"""

import importlib

from workshop import environment

environment.prepare()

_HOMES = {
    "connect": "workshop.milvus",
    "wait_for_index": "workshop.milvus",
    "launch": "workshop.serve",
    "TextEncoder": "workshop.encoders",
    "ImageEncoder": "workshop.encoders",
    "check": "workshop.checks",
    "progress": "workshop.checks",
    "doctor": "workshop.health",
    "WorkshopError": "workshop.errors",
}
_MODULES = ("datasets", "lm", "plots", "paths", "room")

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"workshop.{name}")
    raise AttributeError(f"module 'workshop' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
