"""Find texts by their words and by what they mean: `uvicorn app_snippets.text_search:app`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import islice
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from fastapi import FastAPI
from pydantic_settings import SettingsConfigDict

from app_snippets import service
from workshop import TextEncoder, datasets, retrieval

WORDS, NAMED = 0.3, 0.8  # what the words weigh beside the meaning; the same if a name was typed


class Settings(service.ServiceSettings):
    """Read from variables such as `TEXT_SEARCH_MAX_FILES`."""

    model_config = SettingsConfigDict(env_prefix="TEXT_SEARCH_")
    name: service.ServiceName = "text_search"


class TextHit(service.Hit):
    """A hit, and what found it."""

    by_words: service.Place | None = None
    by_meaning: service.Place | None = None
    spans: Sequence[tuple[int, int]] = ()  # (start, end) of words of the search in payload.text
    name_spans: Sequence[tuple[int, int]] = ()  # and in payload.name
    corrected: str | None = None  # what was searched for, where that is not what was typed


class Mode(StrEnum):
    """By what is searched."""

    both = "both"
    words = "words"
    meaning = "meaning"


Found = list[service.Found]
Item = tuple[str, str, np.ndarray | None]  # name, text, and the vector if it is known already


class WordsAndMeaning(service.Texts):
    """A text as a dense vector, and as the weights of its words (BM25)."""

    name = "all-MiniLM-L6-v2 and BM25"
    modes = Mode
    depth = 100

    def __init__(self, settings: service.ServiceSettings) -> None:
        super().__init__(settings)
        self.texts = TextEncoder()
        self.words = retrieval.WordSearch(self.texts.knows, average=40, k1=1.2, b=0.2)
        self.spaces = {"meaning": self.texts.dim, "words": service.SPARSE}

    def entry(self, text: str, name: str, *about: Any) -> service.Entry:
        """A text is searched together with its name."""
        return replace(super().entry(text, name, *about), item=(name, text, None))

    def encode(self, items: Sequence[Item]) -> Mapping[str, np.ndarray | list[dict[int, float]]]:
        """meaning (n, 384) and words, n sparse."""
        new = [f"{name}: {text}" for name, text, vector in items if vector is None]
        made = iter(self.texts.encode(new, progress=False))
        return {
            "meaning": np.array([next(made) if vector is None else vector for *_, vector in items]),
            "words": [self.words.document(name, text) for name, text, _ in items],
        }

    def query(self, asked: service.Asked) -> Mapping[str, np.ndarray | dict[int, float]]:
        """A text as both, or as the one that was asked for."""
        if asked.likes is not None:
            return super().query(asked)
        text, queries = self.meant(asked), {}
        if asked.mode is not Mode.words:
            queries["meaning"] = self.texts.encode([text], progress=False)[0]
        if asked.mode is not Mode.meaning:
            queries["words"] = self.words.query(text)
        return queries

    def meant(self, asked: service.Asked) -> str:
        """What was typed, or is in a file, with mistyped words put right."""
        return self.words.spelling.correct(asked.item if asked.text is None else asked.text)

    def rank(self, asked: service.Asked, found: Mapping[str, Found]) -> Found:
        """One list, the scores of both searches stretched to 0 … 1; and what found each hit."""
        if asked.likes is not None:
            return found["meaning"]
        text = self.meant(asked)
        words = NAMED if self.words.names(text) else WORDS
        scores = [{hit.id: hit.score for hit in hits} for hits in found.values()]
        weights = [1 - words, words] if len(scores) > 1 else [1.0]
        fused = retrieval.weighted_fusion(scores, weights) if asked.mode is Mode.both else scores[0]
        payloads = {hit.id: hit.payload for hits in found.values() for hit in hits}
        where = service.places(found)
        told = {} if text in (asked.text, asked.item) else {"corrected": text}

        def made(id: str) -> service.Found:
            fields = {"spans": "text", "name_spans": "name"}
            lit = {k: self.words.spans(payloads[id][of], text) for k, of in fields.items()}
            return service.Found(id, fused[id], payloads[id], {**lit, **where[id], **told})

        return [made(id) for id in sorted(fused, key=lambda id: (-fused[id], id))[: asked.limit]]

    def changed(self, item_id: str, payload: Mapping[str, Any], by: int) -> None:
        """Count its words."""
        self.words.changed(payload["name"], payload["text"], by)

    def samples(self) -> Iterator[service.Source]:
        """The docstrings of the scientific packages, with their vectors, in 87 pieces of 137."""
        items = zip(*datasets.docstring_corpus(), strict=True)
        while piece := tuple(islice(items, 137)):
            first = piece[0][0]
            yield service.Source(None, f"{first} and more", first.split(".")[0], content=piece)

    def entries(self, source: service.Source, stopped: Callable[[], bool]) -> service.Entries:
        """The docstrings of a piece, or what was sent."""
        if not isinstance(source.content, tuple):
            yield from super().entries(source, stopped)
            return
        for item in source.content:
            name, text, _ = item
            unique = uuid5(NAMESPACE_URL, f"docstrings/{name}").hex
            yield service.Entry(item, name, name.split(".")[0], unique, {"text": text})


def create_app(settings: Settings) -> FastAPI:
    """The service; models and collections are opened when it starts."""
    return service.create_service(
        settings,
        title="Text search",
        description="Finds texts by their words, by what they mean, or by both. Scores are BM25 for words, cosines for "
        "meaning and for items, and from 0 to 1 for both: compare them only within one search.",
        encoder=WordsAndMeaning,
        payload=service.TextPayload,
        hit=TextHit,
        page="text_search.html",
    )


app = create_app(Settings())
