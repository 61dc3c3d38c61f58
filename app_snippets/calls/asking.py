"""Items that are passages, and `POST /ask`: a sentence of one of them, or "I do not know"."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, Field

from app_snippets.service.encoder import Asked, BadRow, Entries, Entry
from app_snippets.service.jobs import Source
from app_snippets.service.models import Hit, Payload, Strict
from app_snippets.service.names import LETTER, Category, has_a_word, shown_line
from app_snippets.service.problems import documented
from app_snippets.service.running import Running
from app_snippets.service.texts import Texts, decoded
from workshop import answering, passages
from workshop.errors import WorkshopError
from workshop.passages import Document, Passage

Words = Annotated[
    str,
    Field(min_length=1, max_length=1_000, json_schema_extra={"pattern": LETTER}),
    AfterValidator(has_a_word),
]


class Quotable(Payload):
    """A passage: `text` as one reads it, `source` as it is written, document.text[start:end]."""

    text: str
    document: str
    title: str
    heading: str
    path: str  # of the document in the course's folder; empty for a text of somebody's own
    start: int
    end: int
    source: str


class Question(Strict):
    """A question, and those asked before it, the last one last."""

    question: Words
    history: Annotated[list[Words], Field(default_factory=list, max_length=100)]
    limit: Annotated[int, Field(ge=1, le=20)] = 3  # passages to show
    category: Category | None = None


class Citation(BaseModel):
    """Where an answer stands: characters of its document, and `lit`, those of the payload's text."""

    item_id: str
    name: str
    heading: str
    link: str | None  # the file in the course's folder
    start: int
    end: int
    text: str
    lit: tuple[int, int]


class Sure(BaseModel):
    """The score of the best passage, and the one that an answer needs."""

    score: float | None
    threshold: float


class Answer(BaseModel):
    """A sentence, or null for "I do not know"; where it stands; the passages found, best first."""

    answer: str | None
    citations: list[Citation]
    sure: Sure
    searched: str  # the question, behind the one before if it leans on that
    hits: list[Hit[Quotable]]


def passage_of(payload: Mapping[str, Any]) -> Passage:
    """The passage that a payload describes."""
    return Passage(**{key: payload[key] for key in Passage.__dataclass_fields__})


@dataclass
class Read:
    """A text as an item; encoding it fills in what its file holds."""

    text: str
    kept: np.ndarray | None = None


class Passages(Texts):
    """An encoder whose items are passages: of the course, of a text with headings, or texts as anywhere."""

    def entries(self, source: Source, stopped: Callable[[], bool]) -> Entries:
        """The passages of the course, those of a text with headings, or texts as anywhere."""
        if isinstance(source.content, list):
            for passage in source.content:
                place = f"{passage.document} {passage.start} {passage.source}"
                yield self.cut(passage, passage.document, uuid5(NAMESPACE_URL, place).hex)
            return
        if source.path and passages.has_headings(
            text := decoded(source.path.read_bytes(), source.name)
        ):
            for passage in passages.passages(Document(source.name, text)):
                try:
                    self.checked(passage.text, "it")
                    yield self.cut(passage, source.category)
                except WorkshopError as error:
                    yield BadRow(text.count("\n", 0, passage.start) + 1, f"{error}".rstrip("."))
            return
        yield from super().entries(source, stopped)

    def cut(self, passage: Passage, category: str, item_id: str | None = None) -> Entry:
        """A passage as an item."""
        name = shown_line(passage.heading) or shown_line(passage.text) or "passage"
        return self.entry(passage.text, name, category, asdict(passage), item_id)

    def entry(
        self, text: str, name: str, category: str, about: Any, id: str | None = None
    ) -> Entry:
        """A text that is no part of a document is one of its own."""
        place = asdict(Passage(name, "", 0, len(text), text)) | dict(about)
        made = super().entry(text, name, category, place, id)
        return replace(made, item=Read(passage_of(place).in_context))


def add_ask(app: FastAPI) -> None:
    """`POST /ask`."""

    @app.post("/ask", tags=["search"], response_model=Answer, responses=documented(413, 415, 422))
    def ask(service: Running, asked: Question) -> dict[str, Any]:
        """A sentence of the best passage and where it stands; null if no passage is near enough."""
        searched = answering.joined(asked.question, asked.history)
        found = service.search(Asked(text=searched, limit=asked.limit, category=asked.category))
        hits, threshold = found["hits"], service.settings.threshold
        best = hits[0] if hits else None
        said = {"answer": None, "citations": [], "searched": searched, "hits": hits}
        said["sure"] = {"score": best and best["score"], "threshold": threshold}
        if best and best["score"] >= threshold:
            passage = passage_of(best["payload"])
            sentence = answering.best_sentence(service.encoder.texts, asked.question, passage)
            text = best["payload"]["text"]
            at = max(text.find(sentence.text), 0)
            said["answer"] = sentence.text
            said["citations"] = [
                {
                    "item_id": best["id"],
                    "name": best["payload"]["name"],
                    "heading": passage.heading,
                    "link": passage.path or None,
                    "start": sentence.start,
                    "end": sentence.end,
                    "text": sentence.text,
                    "lit": (at, at + len(sentence.text)),
                }
            ]
        return said
