"""The services that the contract holds for. A new service adds a Case, and every test runs on it."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI
from PIL import Image

from app_snippets import reverse_image_search
from workshop import datasets


def png(colour: str = "teal", size: tuple[int, int] = (64, 48)) -> bytes:
    """A small picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class Case:
    """What the tests must know of a service."""

    name: str
    create_app: Callable[..., FastAPI]  # takes settings as keywords
    module: str  # for uvicorn
    samples: int
    dim: int
    files: list[tuple[str, bytes]]  # four that it can read, all different
    text: str  # that finds a sample of `category`
    category: str
    media_type: str


SERVICES = [
    Case(
        name="reverse_image_search",
        create_app=lambda **settings: reverse_image_search.create_app(
            reverse_image_search.Settings(**settings)
        ),
        module="app_snippets.reverse_image_search:app",
        samples=430,
        dim=1280,
        files=[(f"{p.id}.webp", p.path.read_bytes()) for p in datasets.photos("animals/birds")[:4]],
        text="owl",
        category="animals/birds",
        media_type="image/webp",
    )
]
