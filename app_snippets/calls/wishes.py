"""The call that recommends items to somebody, and says why. What somebody likes is not kept."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, Field

from app_snippets.service.encoder import Asked
from app_snippets.service.models import Hit, Hits, Limit, Payload, Strict
from app_snippets.service.names import Category
from app_snippets.service.problems import documented
from app_snippets.service.running import Running
from app_snippets.service.searches import like

P = TypeVar("P", bound=Payload)
Ids = Annotated[list[str], Field(max_length=100), AfterValidator(lambda ids: [*dict.fromkeys(ids)])]


class Wish(Asked):
    """Items that somebody will like, who likes and does not want some: not those that are like them.

    Of each hit `Encoder.rank` says in `more` what Recommendation asks for; a reason has no name yet.
    """


class Wanted(Strict):
    """What somebody likes and does not want; without likes, what most people like comes."""

    likes: Ids = Field(default_factory=list)
    dislikes: Ids = Field(default_factory=list)
    limit: Limit = 10
    category: Category | None = None


class Reason(BaseModel):
    """An item that somebody likes, and how much of a score comes from it."""

    id: str
    name: str
    part: float


class Recommendation(Hit[P], Generic[P]):
    """An item and its score, of which likes, dislikes and popularity are the parts."""

    made: Literal["vectors", "popularity", "both"]  # where three quarters of it come from, or more
    because: list[Reason]  # the three likes with the largest parts
    likes: float
    dislikes: float
    popularity: float


def add_recommend(app: FastAPI, payload: type[Payload]) -> None:
    """`/recommend`."""

    @app.post(
        "/recommend",
        tags=["search"],
        response_model=Hits[Recommendation[payload]],
        response_model_exclude_none=True,
        responses=documented(404, 413, 415, 422),
    )
    def recommend(service: Running, wanted: Wanted) -> dict[str, Any]:
        """What fits likes and dislikes, none of those themselves, with reasons. They are not kept."""
        about = {"limit": wanted.limit, "category": wanted.category}
        answer = service.search(Wish(**like(service, wanted.likes, wanted.dislikes), **about))
        known = service.store.payloads(wanted.likes)
        for hit in answer["hits"]:
            reasons = [reason for reason in hit["because"] if reason["id"] in known]
            hit["because"] = [r | {"name": known[r["id"]]["name"]} for r in reasons]
        return answer
