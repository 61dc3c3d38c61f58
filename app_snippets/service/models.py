"""The bodies that go into every service and come out of it."""

from typing import Annotated, Generic, Literal, TypeVar

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field


class Payload(BaseModel):
    """What is known of an item; a service may add fields."""

    name: str
    category: str


class TextPayload(Payload):
    """A text."""

    text: str


P = TypeVar("P", bound=Payload)
Limit = Annotated[int, Field(ge=1, le=100)]
ItemId = Annotated[str, Path(description="as given by a search or by `GET /items`")]


class Health(BaseModel):
    """The service is up, and this is what it is."""

    status: Literal["ok"] = "ok"
    service: str
    encoder: str
    dim: int
    count: int
    max_files: int  # in one upload
    max_file_bytes: int
    lacks: list[str] | None = None  # spaces that this Milvus cannot hold: they are not searched


class Accepted(BaseModel):
    """What was sent is stored and will be worked off as this job."""

    job_id: str
    accepted: int


class Count(BaseModel):
    """How many items there are."""

    count: int


class CategoryCount(BaseModel):
    """A category and how many items it has."""

    name: str
    count: int


class Categories(BaseModel):
    """Every category that has items."""

    categories: list[CategoryCount]


class Item(BaseModel, Generic[P]):
    """An item and what is known of it."""

    id: str
    payload: P


class Items(BaseModel, Generic[P]):
    """A part of the items, newest first, and how many there are in all."""

    items: list[Item[P]]
    total: int


class Place(BaseModel):
    """A hit in one of the spaces searched: its rank, from 1, and its score there."""

    rank: int
    score: float


class Hit(BaseModel, Generic[P]):
    """An item that was found; the larger its score, the closer. A service may add fields."""

    id: str
    score: float
    payload: P


H = TypeVar("H", bound=Hit)


class Took(BaseModel):
    """Milliseconds: of the encoder, of Milvus, and of what ranks the hits of several searches."""

    encode: float
    search: float
    rank: float | None = None


class Hits(BaseModel, Generic[H]):
    """What was found, best first."""

    hits: list[H]
    took_ms: Took


class Strict(BaseModel):
    """A body in which a field that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid")
