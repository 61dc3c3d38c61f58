"""Find photos by photo and by words: `uvicorn app_snippets.reverse_image_search:app`."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from fastapi import FastAPI
from PIL import Image
from pydantic_settings import SettingsConfigDict

from app_snippets.service import (
    Asked,
    Encoder,
    Payload,
    ServiceName,
    ServiceSettings,
    Source,
    create_service,
)
from workshop import ImageEncoder, TextEncoder, datasets
from workshop.decoding import PictureReader
from workshop.encoders import conse

LONGEST_SIDE = 1024  # pixels of a stored photo


class Settings(ServiceSettings):
    """Read from variables such as `REVERSE_IMAGE_SEARCH_MAX_FILES`."""

    model_config = SettingsConfigDict(env_prefix="REVERSE_IMAGE_SEARCH_")
    name: ServiceName = "reverse_image_search"


class Photo(Payload):
    """A photo, and whom to thank for it."""

    credit: str = ""
    licence: str = ""


@cache
def _class_vectors() -> np.ndarray:
    """The class names as text embeddings (1000, 384); launching again need not wait for them."""
    return TextEncoder().encode(ImageEncoder.class_names, progress=False)


class PhotoEncoder(Encoder):
    """A photo as two vectors: what it looks like, and what words would name it (ConSE).

    ConSE (Norouzi et al. 2014): the ten classes that the image model finds most likely, as text
    embeddings of their names, weighted by their probabilities.
    """

    name = "EfficientNet-Lite0 and all-MiniLM-L6-v2"
    media_type = "image/webp"
    media_suffix = ".webp"

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.images = ImageEncoder()
        self.texts = TextEncoder()
        # It gets ready while the names of the classes are encoded.
        self.pictures = PictureReader(
            settings.max_decodes,
            max_pixels=settings.max_pixels,
            max_scans=settings.max_scans,
            max_seconds=settings.max_decode_seconds,
            max_bytes=settings.max_decode_bytes,
            longest_side=LONGEST_SIDE,
        )
        self.class_vectors = _class_vectors()
        self.spaces = {"photos": self.images.dim, "words": self.texts.dim}

    def read(
        self, content: bytes, name: str, stopped: Callable[[], bool] = lambda: False
    ) -> Image.Image:
        """An RGB image, upright, no larger than it is kept. Raises ImageError, which names the file."""
        return self.pictures.read(content, name, stopped)

    def media(self, item: Image.Image) -> bytes:
        """Encoded anew: what is served is an image, and does not tell where it was taken."""
        file = io.BytesIO()
        item.save(file, "WEBP", quality=85)
        return file.getvalue()

    def encode(self, items: Sequence[Image.Image]) -> Mapping[str, np.ndarray]:
        """photos (n, 1280) and words (n, 384)."""
        embeddings, probabilities = self.images.run(items)
        return {"photos": embeddings, "words": conse(probabilities, self.class_vectors)}

    def query(self, asked: Asked) -> Mapping[str, np.ndarray]:
        """For a text, words (384,)."""
        if asked.text is None:
            return super().query(asked)
        return {"words": self.texts.encode([asked.text])[0]}

    def samples(self) -> Iterator[Source]:
        """The 430 photos of the course."""
        for photo in datasets.photos():
            yield Source(
                path=photo.path,
                name=photo.name,
                category=photo.category,
                id=uuid5(NAMESPACE_URL, f"photos/{photo.id}").hex,
                about={"credit": photo.credit, "licence": photo.licence},
            )

    def close(self) -> None:
        """End the processes that read pictures."""
        self.pictures.close()


def create_app(settings: Settings) -> FastAPI:
    """The service; models and collections are opened when it starts."""
    return create_service(
        settings,
        title="Reverse image search",
        description=(
            "Finds photos by photo, by words and by one another. Scores are cosines in [-1, 1]: "
            "between photos for a file or an item, between the meanings of words for a text, so "
            "compare them only within one search."
        ),
        encoder=PhotoEncoder,
        payload=Photo,
        page="reverse_image_search.html",
    )


app = create_app(Settings())
