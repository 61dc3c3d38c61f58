"""Recommends films from likes and dislikes, and says why: `uvicorn app_snippets.recommender:app`.

What somebody likes is in the request and nowhere else: nothing of it is kept or logged.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app_snippets.calls.wishes import Wish, add_recommend
from app_snippets.service import (
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
from app_snippets.service.names import shown_line
from workshop import datasets
from workshop.errors import WorkshopError
from workshop.recommending import DIM, Recommender, person, read_film
from workshop.retrieval import NAME_DIM, name_vector


class Settings(ServiceSettings):
    """Read from variables such as `RECOMMENDER_MAX_FILES`."""

    model_config = SettingsConfigDict(env_prefix="RECOMMENDER_")
    name: ServiceName = "recommender"


class Film(Payload):
    """A film, as it was written: `Title (Year) | Genre | Genre`."""

    text: str
    year: int | None = None
    genres: list[str] = Field(default_factory=list)


def title_of(text: str) -> str:
    """What to look for: the title in a text that is written like a film, or all of it."""
    with suppress(ValueError):
        return read_film(text).name
    return text


class FilmEncoder(Texts):
    """A film by who likes it, and by the letters of its name.

    taste     of its vector, its popularity and one more number: the order of cosines is that of scores
    likeness  of its vector alone: how alike two films are, however well they are known
    names     which three letters in a row its name has
    """

    name = "PureSVD of MovieLens"
    spaces: Mapping[str, int] = {"taste": DIM + 2, "likeness": DIM + 1, "names": NAME_DIM}
    depth = 1

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.model = Recommender(*datasets.movielens())

    def checked(self, text: str, name: str) -> str:
        """The text, of which a film can be read."""
        text = super().checked(text, name)
        try:
            read_film(text)
        except ValueError as error:
            raise WorkshopError(f"{name}: {error}") from None
        return text

    def entry(
        self, text: str, name: str, category: str, about: Any, id: str | None = None
    ) -> Entry:
        """A film and what is known of it. A name that was made of the text is its title and year."""
        film = read_film(text)
        name = shown_line(film.name) if name == shown_line(text) else name
        about = {"year": film.year, "genres": [*film.genres], **about}
        return super().entry(text, name, category, about, id)

    def encode(self, items: Sequence[str]) -> Mapping[str, np.ndarray]:
        """taste (n, 34), likeness (n, 33) and names (n, 512)."""
        films = [read_film(text) for text in items]
        taste = self.model.taste(films)
        names = np.array([name_vector(film.name) for film in films])
        return {"taste": taste, "likeness": self.model.likeness(taste), "names": names}

    def query(self, asked: Asked) -> Mapping[str, np.ndarray]:
        """By a name; by what somebody likes; or by films that others should be like."""
        if asked.likes is None:
            text = asked.item if asked.text is None else asked.text
            return {"names": name_vector(title_of(text))}
        if isinstance(asked, Wish):
            return {"taste": self.model.query(asked.likes, asked.unlikes)}
        direction = person(*map(self.model.likeness, (asked.likes, asked.unlikes)))
        return {"likeness": np.append(direction[:DIM], 0)}

    def rank(self, asked: Asked, found: Mapping[str, list[Found]]) -> list[Found]:
        """What was found; for a wish, with the score in likes and what it is made of."""
        (hits,) = found.values()
        if not isinstance(asked, Wish) or not hits:
            return hits
        taste = self.encode([hit.payload["text"] for hit in hits])["taste"]
        told = list(self.model.explain(taste, asked.likes, asked.unlikes, asked.like_ids))
        return [replace(h, score=t.pop("score"), more=t) for h, t in zip(hits, told, strict=True)]

    def samples(self) -> Iterator[Source]:
        """The films of MovieLens that two people like, or more."""
        return (Source(None, "films", "films", content=films) for films in self.model.known())

    def entries(self, source: Source, stopped: Callable[[], bool]) -> Iterator[Entry]:
        """The films of a sample, each under its rarest genre; or those that were sent."""
        if not isinstance(source.content, list):
            yield from super().entries(source, stopped)
            return
        for number, text, genre in source.content:
            unique = uuid5(NAMESPACE_URL, f"movielens/{number}").hex
            yield self.entry(text, shown_line(text), genre, {}, unique)


def create_app(settings: Settings) -> FastAPI:
    """The service."""
    return create_service(
        settings,
        title="Films for you",
        description="Recommends films and says why. Scores are in likes, those of `/search` cosines.",
        encoder=FilmEncoder,
        payload=Film,
        page="recommender.html",
        calls=partial(add_recommend, payload=Film),
    )


app = create_app(Settings())
