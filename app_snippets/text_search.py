"""Find texts by their words and by what they mean: `uvicorn app_snippets.text_search:app`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import islice
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from pydantic_settings import SettingsConfigDict

from app_snippets.service import (
    SPARSE,
    Asked,
    BadRow,
    Entry,
    Found,
    Hit,
    Payload,
    ServiceName,
    ServiceSettings,
    Source,
    Texts,
    create_service,
)
from workshop import TextEncoder, datasets, retrieval

WORDS, NAMED = 0.3, 0.8  # what the words weigh beside the meaning; the same if a name was typed


class Settings(ServiceSettings):
    """Read from variables such as `TEXT_SEARCH_MAX_FILES`."""

    model_config = SettingsConfigDict(env_prefix="TEXT_SEARCH_")
    name: ServiceName = "text_search"


class Text(Payload):
    """A text."""

    text: str


class Place(BaseModel):
    """A hit in one of the two searches: its rank, from 1, and its score."""

    rank: int
    score: float


class TextHit(Hit):
    """A hit, and what found it."""

    by_words: Place | None = None
    by_meaning: Place | None = None
    spans: Sequence[tuple[int, int]] = ()  # (start, end) of words of the search in payload.text
    name_spans: Sequence[tuple[int, int]] = ()  # and in payload.name
    corrected: str | None = None  # what was searched for, where that is not what was typed


class Mode(StrEnum):
    """By what is searched."""

    both = "both"
    words = "words"
    meaning = "meaning"


Item = tuple[str, str, np.ndarray | None]  # name, text, and the vector if it is known already


class WordsAndMeaning(Texts):
    """A text as a dense vector, and as the weights of its words (BM25)."""

    name = "all-MiniLM-L6-v2 and BM25"
    modes = Mode
    depth = 100

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.texts = TextEncoder()
        self.words = retrieval.WordSearch(self.texts.knows, average=40, k1=1.2, b=0.2)
        self.spaces = {"meaning": self.texts.dim, "words": SPARSE}

    def entry(
        self, text: str, name: str, category: str, about: Any, id: str | None = None
    ) -> Entry:
        """A text is searched together with its name."""
        return replace(super().entry(text, name, category, about, id), item=(name, text, None))

    def encode(self, items: Sequence[Item]) -> Mapping[str, np.ndarray | list[dict[int, float]]]:
        """meaning (n, 384) and words, n sparse."""
        new = [f"{name}: {text}" for name, text, vector in items if vector is None]
        made = iter(self.texts.encode(new, progress=False))
        return {
            "meaning": np.array([next(made) if vector is None else vector for *_, vector in items]),
            "words": [self.words.document(name, text) for name, text, _ in items],
        }

    def query(self, asked: Asked) -> Mapping[str, np.ndarray | dict[int, float]]:
        """A text as both, or as the one that was asked for."""
        if asked.likes is not None:
            return super().query(asked)
        text = self.meant(asked)
        if asked.mode is Mode.words:
            return {"words": self.words.query(text)}
        meaning = {"meaning": self.texts.encode([text], progress=False)[0]}
        return (
            meaning if asked.mode is Mode.meaning else {**meaning, "words": self.words.query(text)}
        )

    def meant(self, asked: Asked) -> str:
        """What was typed, or is in a file, with mistyped words put right."""
        return self.words.spelling.correct(asked.item if asked.text is None else asked.text)

    def rank(self, asked: Asked, found: Mapping[str, list[Found]]) -> list[Found]:
        """One list, the scores of both searches stretched to 0 … 1; and what found each hit."""
        if asked.likes is not None:
            return found["meaning"]
        text = self.meant(asked)
        words = NAMED if self.words.names(text) else WORDS
        scores = [{hit.id: hit.score for hit in hits} for hits in found.values()]
        weights = [1 - words, words] if len(scores) > 1 else [1.0]
        fused = retrieval.weighted_fusion(scores, weights) if asked.mode is Mode.both else scores[0]
        places: dict[str, dict[str, Any]] = {id: {} for id in fused}
        for space, hits in found.items():
            for rank, hit in enumerate(hits, start=1):
                places[hit.id][f"by_{space}"] = {"rank": rank, "score": hit.score}
        payloads = {hit.id: hit.payload for hits in found.values() for hit in hits}
        told = {} if text in (asked.text, asked.item) else {"corrected": text}

        def made(id: str) -> Found:
            lit = {
                "spans": self.words.spans(payloads[id]["text"], text),
                "name_spans": self.words.spans(payloads[id]["name"], text),
            }
            return Found(id, fused[id], payloads[id], {**lit, **places[id], **told})

        return [made(id) for id in sorted(fused, key=lambda id: (-fused[id], id))[: asked.limit]]

    def changed(self, item_id: str, payload: Mapping[str, Any], by: int) -> None:
        """Count its words."""
        self.words.changed(payload["name"], payload["text"], by)

    def samples(self) -> Iterator[Source]:
        """The docstrings of the scientific packages, with their vectors, in 87 pieces of 137."""
        items = zip(*datasets.docstring_corpus(), strict=True)
        while piece := tuple(islice(items, 137)):
            first = piece[0][0]
            yield Source(None, f"{first} and more", first.split(".")[0], content=piece)

    def entries(self, source: Source, stopped: Callable[[], bool]) -> Iterator[Entry | BadRow]:
        """The docstrings of a piece, or what was sent."""
        if not isinstance(source.content, tuple):
            yield from super().entries(source, stopped)
            return
        for name, text, vector in source.content:
            unique = uuid5(NAMESPACE_URL, f"docstrings/{name}").hex
            yield Entry((name, text, vector), name, name.split(".")[0], unique, {"text": text})


def create_app(settings: Settings) -> FastAPI:
    """The service; models and collections are opened when it starts."""
    return create_service(
        settings,
        title="Text search",
        description=(
            "Finds texts by their words, by what they mean, or by both. Scores are BM25 for words and cosines for "
            "meaning and for items; for both they run from 0 to 1, so compare them only within one search."
        ),
        encoder=WordsAndMeaning,
        payload=Text,
        hit=TextHit,
        page="text_search.html",
    )


app = create_app(Settings())
