"""The smallest service of texts on the frame: `uvicorn notes:app`. Sixty notes, by meaning and by words."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

import numpy as np
from fastapi import FastAPI
from pydantic_settings import SettingsConfigDict

from app_snippets.service import (
    SPARSE,
    Asked,
    Entry,
    Found,
    Payload,
    ServiceName,
    ServiceSettings,
    Source,
    Texts,
    create_service,
)
from workshop import TextEncoder

KINDS = {"birds": "owl", "fruit": "apple", "tools": "hammer"}


class Settings(ServiceSettings):
    """Read from variables such as `NOTES_MAX_FILES`."""

    model_config = SettingsConfigDict(env_prefix="NOTES_")
    name: ServiceName = "notes"


class Note(Payload):
    """A note."""

    text: str


class Mode(StrEnum):
    """How it is searched."""

    both = "both"
    words = "words"


class NoteEncoder(Texts):
    """A note as the meaning of its text and as its words."""

    name = "all-MiniLM-L6-v2"
    modes = Mode
    depth = 100

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.texts = TextEncoder()
        self.spaces = {"meaning": self.texts.dim, "words": SPARSE}

    def encode(self, items: Sequence[str]) -> Mapping[str, np.ndarray | list[dict[int, float]]]:
        """meaning (n, 384) and words, n sparse."""
        words = [{crc32(w.encode()) % 2**31: 1.0 for w in text.lower().split()} for text in items]
        return {"meaning": self.texts.encode(items, progress=False), "words": words}

    def query(self, asked: Asked) -> Mapping[str, np.ndarray | dict[int, float]]:
        """The text as both, or the one that was asked for."""
        if asked.likes is not None:
            return super().query(asked)
        both = {space: rows[0] for space, rows in self.encode([asked.text or asked.item]).items()}
        return {"words": both["words"]} if asked.mode is Mode.words else both

    def rank(self, asked: Asked, found: Mapping[str, list[Found]]) -> list[Found]:
        """By meaning, and those that share words after them."""
        hits = {hit.id: hit for hits in found.values() for hit in hits}
        scores = {hit.id: hit.score for hit in found.get("meaning", [])}
        return sorted(hits.values(), key=lambda hit: (-scores.get(hit.id, -1), hit.id))

    def samples(self) -> Iterator[Source]:
        """Twenty files of notes for each kind of thing; a file has two."""
        for kind in KINDS:
            for number in range(20):
                yield Source(None, f"{kind} {number}", kind, content=(kind, number))

    def entries(self, source: Source, stopped) -> Iterator[Entry]:
        """The two notes of a sample."""
        if isinstance(source.content, tuple):
            kind, number = source.content
            for n in (2 * number, 2 * number + 1):
                text = f"Note {n} tells of the {KINDS[kind]} with the number {n}."
                unique = uuid5(NAMESPACE_URL, f"notes/{kind}/{n}").hex
                yield Entry(text, text[:20], kind, unique, {"text": text})
            return
        yield from super().entries(source, stopped)


def create_app(settings: Settings) -> FastAPI:
    """The service."""
    return create_service(
        settings,
        title="Notes",
        description="Finds notes. Scores are cosines.",
        encoder=NoteEncoder,
        payload=Note,
    )


app = create_app(Settings())
