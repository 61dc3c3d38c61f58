"""`POST /classify`: what class an item has, by its neighbours, or "unknown"."""

from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from fastapi import FastAPI
from pydantic import BaseModel, Field, create_model

from app_snippets.service.encoder import Asked
from app_snippets.service.items import DEFAULT_CATEGORY
from app_snippets.service.models import Hit, Payload, Strict
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.running import Running
from workshop import dna
from workshop.errors import WorkshopError

P = TypeVar("P", bound=Payload)
OVER = 4  # hits asked for, a neighbour: those without a class have no vote


class Question(Strict):
    """A sequence, and how many neighbours are asked."""

    text: Annotated[
        str,
        Field(min_length=1, max_length=dna.MAX_LENGTH, json_schema_extra={"pattern": dna.PATTERN}),
    ]
    neighbours: Annotated[int, Field(ge=1, le=20)] = 5


class Answer(BaseModel, Generic[P]):
    """The class of the nearest item, or null for "unknown"."""

    category: str | None
    at_least: float  # the score that the nearest must have
    votes: dict[str, float]  # what each class got from the neighbours, scores added up
    neighbours: list[Hit[P]]  # nearest first; what was uploaded without a class is not asked
    alignment: dna.Alignment | None  # of the sequence with the nearest, which is `second`


def add_classify(app: FastAPI, payload: type[Payload], modes: type[StrEnum]) -> None:
    """`POST /classify`."""
    mode = (modes, next(iter(modes)))
    Asking = create_model("Classify", __base__=Question, __doc__=Question.__doc__, mode=mode)

    @app.post(
        "/classify",
        tags=["search"],
        response_model=Answer[payload],
        responses=documented(413, 415, 422),
    )
    def classify(service: Running, question: Asking) -> Answer:
        """The nearest items, their votes, and the alignment with the nearest one."""
        try:
            text = service.encoder.checked(question.text, "The sequence")
        except WorkshopError as error:
            raise ProblemError(422, f"{error}") from error
        asked = Asked(text=text, mode=question.mode, limit=OVER * question.neighbours)
        known = [
            hit
            for hit in service.search(asked)["hits"]
            if hit["payload"]["category"] != DEFAULT_CATEGORY
        ][: question.neighbours]
        classes = [hit["payload"]["category"] for hit in known]
        at_least = service.settings.at_least
        return Answer[payload](
            category=classes[0] if known and known[0]["score"] >= at_least else None,
            at_least=at_least,
            votes=dna.vote(classes, [hit["score"] for hit in known])[1],
            neighbours=known,
            alignment=dna.align(text, known[0]["payload"]["text"]) if known else None,
        )
