"""Ask the course, or texts of your own: `uvicorn app_snippets.question_answering:app`."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic_settings import SettingsConfigDict

from app_snippets import service
from app_snippets.calls.asking import Passages, Quotable, Read, add_ask, passage_of
from workshop import TextEncoder, answering, passages, retrieval

PIECE = 10  # passages that are loaded together
AVERAGE = 60  # words of a passage, about


class Settings(service.ServiceSettings):
    """Read from variables such as `QUESTION_ANSWERING_THRESHOLD`."""

    model_config = SettingsConfigDict(env_prefix="QUESTION_ANSWERING_")
    name: service.ServiceName = "question_answering"
    threshold: float = answering.THRESHOLD  # the score below which it does not know


class PassageEncoder(Passages):
    """A passage as a vector, as words (BM25), and token by token in a file.

    The file is float16 (1 + tokens, 384): the passage's vector, then those of its tokens.
    """

    name = "all-MiniLM-L6-v2 with late interaction, and BM25"
    media_suffix = ".npy"
    depth = 100

    def __init__(self, settings: service.ServiceSettings) -> None:
        super().__init__(settings)
        self.texts = TextEncoder()
        self.spaces = {"meaning": self.texts.dim, "words": service.SPARSE}
        self.frequencies = retrieval.Frequencies()
        self.both = lru_cache(100)(lambda text: self._both([text])[0])

    def _both(self, texts: Sequence[str]) -> list[np.ndarray]:
        """For each text its vector and those of its tokens: float32 (1 + tokens, 384)."""
        both = zip(*self.texts.vectors_and_tokens(texts, progress=False), strict=True)
        return [np.vstack(pair) for pair in both]

    def encode(self, items: Sequence[Read]) -> Mapping[str, Any]:
        """meaning (n, 384) and words, n sparse."""
        for item, kept in zip(items, self._both([item.text for item in items]), strict=True):
            item.kept = kept
        words = (retrieval.saturation(retrieval.words(item.text), AVERAGE) for item in items)
        return {
            "meaning": np.array([item.kept[0] for item in items]),
            "words": [{retrieval.term_id(w): x for w, x in of_one.items()} for of_one in words],
        }

    def media(self, item: Read) -> bytes:
        """The array as a .npy file."""
        file = io.BytesIO()
        np.save(file, item.kept.astype(np.float16))
        return file.getvalue()

    def query(self, asked: service.Asked) -> Mapping[str, Any]:
        """A text as a vector and as words, of which rare ones weigh more."""
        if asked.likes is not None:
            return super().query(asked)
        text = asked.text or asked.item
        weights = self.frequencies.weights(set(retrieval.words(text)))
        words = {retrieval.term_id(word): weight for word, weight in weights.items()}
        return {"meaning": self.both(text)[0], "words": words}

    def rank(
        self, asked: service.Asked, found: Mapping[str, list[service.Found]]
    ) -> list[service.Found]:
        """The first of both lists, put into order by late interaction and cosine."""
        if asked.likes is not None:
            return found["meaning"]
        vector, *_ = both = self.both(asked.text or asked.item)
        hits = {hit.id: hit for of_one in found.values() for hit in of_one}
        lists = [[hit.id for hit in of_one] for of_one in found.values()]
        best = list(retrieval.reciprocal_rank_fusion(lists))
        scored = []
        for item_id in best[: max(answering.CANDIDATES, asked.limit)]:
            try:
                kept = np.load(self.kept(item_id)).astype(np.float32)
            except (OSError, TypeError):  # removed a moment ago
                continue
            score = answering.score(both[1:], kept[1:], kept[0] @ vector)
            scored.append(replace(hits[item_id], score=round(score, 6)))
        return sorted(scored, key=lambda hit: (-hit.score, hit.id))

    def changed(self, item_id: str, payload: Mapping[str, Any], by: int) -> None:
        """Count its words."""
        self.frequencies.add(retrieval.words(passage_of(payload).in_context), by)

    def samples(self) -> Iterator[service.Source]:
        """The course's own text."""
        every = passages.of_course(but=answering.LEFT_OUT)
        for start in range(0, len(every), PIECE):
            piece = every[start : start + PIECE]
            yield service.Source(
                None, f"{piece[0].document} and more", piece[0].document, content=piece
            )


def create_app(settings: Settings) -> FastAPI:
    """The service; models and collections are opened when it starts."""
    return service.create_service(
        settings,
        title="Question answering",
        description=(
            "Answers questions with a sentence of a passage, or says that it does not know. A score, at most 1, is two "
            "thirds late interaction and one third cosine; between items it is a cosine."
        ),
        encoder=PassageEncoder,
        payload=Quotable,
        page="question_answering.html",
        calls=add_ask,
    )


app = create_app(Settings())
