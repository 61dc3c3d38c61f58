"""What a service brings along to make its kind of items searchable."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np

from app_snippets.service.jobs import Source, check_id
from app_snippets.service.settings import ServiceSettings
from app_snippets.service.store import Found, Sparse

# (n, dim), or n sparse ones; where they are optional, a list with None for who has none
Vectors = np.ndarray | Sequence[Sparse] | Sequence[np.ndarray | None]
Vector = np.ndarray | Sparse
NONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One item that came in, as the encoder understands it, and what is known of it."""

    item: Any
    name: str
    category: str
    id: str = field(default_factory=lambda: uuid4().hex)
    about: Mapping[str, Any] = field(default_factory=dict)  # further fields of its payload

    def __post_init__(self) -> None:
        check_id(self.id)


@dataclass(frozen=True)
class BadRow:
    """A row of a file that is no item, and why: a sentence that names the row is made of it."""

    number: int  # from 1, as an editor counts
    reason: str


Entries = Iterator[Entry | BadRow]


@dataclass(frozen=True)
class Asked:
    """A search: by text, by an item that was sent, or by items that are here.

    text        what was typed
    item        what `Encoder.read` made of a file
    likes       (n, dim) vectors, in the space in which items are compared, of the items to be like
    unlikes     (m, dim) of those to be unlike
    like_ids    their ids, and unlike_ids
    mode        one of the encoder's modes
    limit       how many hits are wanted
    category    of the hits, or None
    """

    text: str | None = None
    item: Any = None
    likes: np.ndarray | None = None
    unlikes: np.ndarray | None = None
    like_ids: Sequence[str] = NONE
    unlike_ids: Sequence[str] = NONE
    mode: StrEnum | None = None
    limit: int = 10
    category: str | None = None


def places(found: Mapping[str, list[Found]]) -> dict[str, dict[str, dict[str, float]]]:
    """For each hit its `Place` in each space that found it, as `by_` and the name of the space."""
    by_id: dict[str, dict[str, dict[str, float]]] = {}
    for space, hits in found.items():
        for rank, hit in enumerate(hits, start=1):
            by_id.setdefault(hit.id, {})[f"by_{space}"] = {"rank": rank, "score": hit.score}
    return by_id


class Encoder:
    """Makes items searchable; a service has one, made when it starts.

    name          of the models in it, to show
    spaces        vector space to dimension, or to SPARSE; the first one, in which every item has a
                  vector, has a dimension. A search of a space compares with each of its vectors: by cosine,
                  in a sparse space by inner product
    optional      spaces in which an item may have no vector: `encode` gives None there
    media_type    of `GET /items/{id}/media`; with text/plain it is the payload's field `text`
    media_suffix  of a file that is kept for each item, or None
    modes         what a search may ask for, the first by default, or None
    takes_text    whether `POST /items` takes texts in JSON
    batch         items that are encoded at once
    depth         hits that `rank` wants to see of each space, at least
    kept          gives the path of the file that is kept for an item, or None; set by the service
    """

    name: str
    spaces: Mapping[str, int]
    optional: ClassVar[Sequence[str]] = NONE
    media_type: ClassVar[str] = "text/plain"
    media_suffix: ClassVar[str | None] = None
    modes: ClassVar[type[StrEnum] | None] = None
    takes_text: ClassVar[bool] = False
    batch: ClassVar[int] = 64
    depth: ClassVar[int] = 0
    kept: Callable[[str], Path | None]

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings

    def read(self, content: bytes, name: str, stopped: Callable[[], bool]) -> Any:
        """A file as one thing. Raises TooLarge, or WorkshopError if it cannot be read.

        Where it can take more than a second it asks now and then `stopped()`, and raises Stopped.
        """
        raise NotImplementedError

    def entries(self, source: Source, stopped: Callable[[], bool]) -> Entries:
        """The items in what was sent: one, unless a service knows files of many."""
        item = self.read(source.path.read_bytes(), source.name, stopped)
        yield Entry(item, source.name, source.category, source.id, source.about)

    def media(self, item: Any) -> bytes:
        """The file that is kept for an item, if one is."""
        raise NotImplementedError

    def encode(self, items: Sequence[Any]) -> Mapping[str, Vectors]:
        """Space to one vector for each item.

        Those of a space with a dimension are L2-normalised; a sparse one is a dict of the numbers that
        are not zero, by their dimension (0 to 2**32 - 3), and may be empty.
        """
        raise NotImplementedError

    def compared(self, mode: StrEnum | None) -> str:
        """The space in which items are compared with one another, in that mode: the first."""
        return next(iter(self.spaces))

    def query(self, asked: Asked) -> Mapping[str, Vector]:
        """The spaces to search, and the vector to search each with.

        Of asked.text, asked.item and asked.likes one is given. Here the last two are dealt with.
        """
        own = self.compared(asked.mode)
        if asked.likes is None:
            return {own: self.encode([asked.item])[own][0]}
        direction = asked.likes.mean(axis=0)
        if asked.unlikes is not None and len(asked.unlikes):
            direction = direction - 0.5 * asked.unlikes.mean(axis=0)
        return {own: direction}

    def rank(self, asked: Asked, found: Mapping[str, list[Found]]) -> list[Found]:
        """The hits of all spaces searched as one list, best first; asked.limit of them are shown.

        found   has the spaces of `query`, without those that this Milvus cannot hold

        Of equal scores the smaller id comes first: sort by (-hit.score, hit.id).
        """
        (hits,) = found.values()
        return hits

    def changed(self, item_id: str, payload: Mapping[str, Any], by: int) -> None:
        """Told of every item at the start and when it comes in (by=1), and when it goes (by=-1)."""

    def samples(self) -> Iterable[Source]:
        """The course's own data set, with ids that never change."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what it holds."""
