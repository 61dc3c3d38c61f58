"""The calls that find items."""

import asyncio
import threading
from enum import StrEnum
from typing import Annotated, Any

import anyio
import numpy as np
from fastapi import Body, Depends, FastAPI, File, Form, UploadFile
from pydantic import AfterValidator, Discriminator, Field, Tag, create_model

from app_snippets.service import problems
from app_snippets.service.encoder import Asked, Encoder
from app_snippets.service.guard import upload
from app_snippets.service.items import unknown
from app_snippets.service.models import Hit, Hits, Limit, Strict
from app_snippets.service.names import LETTER, Category, has_a_word, shown_name
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.running import Running, Service
from app_snippets.service.settings import ServiceSettings
from workshop.errors import TooLarge, WorkshopError

Ids = Annotated[list[str], Field(max_length=100)]


class ManySearched(Strict):
    """How many, and of which category."""

    limit: Limit = 10
    category: Category | None = None


def like(
    service: Service, likes: list[str], unlikes: list[str], mode: StrEnum | None = None
) -> dict[str, Any]:
    """What `Asked` says of items to be like and unlike.

    Raises 404 for one that is not here, and 422 for one that cannot be compared in that mode.
    """
    space = service.encoder.compared(mode)
    vectors = service.store.vectors([*likes, *unlikes], space)
    for item_id in [*likes, *unlikes]:
        if item_id not in vectors:
            if item_id in service.store and space in service.encoder.optional:
                raise ProblemError(
                    422, f"The item {item_id} cannot be compared by {mode}. Choose another mode."
                )
            raise unknown(item_id)
    dim = service.encoder.spaces[space]

    def rows(ids: list[str]) -> np.ndarray:
        return np.array([vectors[i] for i in ids], np.float32).reshape(-1, dim)

    return {
        "likes": rows(likes),
        "unlikes": rows(unlikes),
        "like_ids": likes,
        "unlike_ids": unlikes,
    }


def add_search_calls(
    app: FastAPI, settings: ServiceSettings, encoder: type[Encoder], hit: type[Hit]
) -> None:
    """`/search` and `/search/file`."""
    first = next(iter(encoder.modes)) if encoder.modes else None
    more = {"mode": (encoder.modes, first)} if encoder.modes else {}
    Search = create_model("Search", __base__=ManySearched, **more)

    class SearchByText(Search):
        """By words."""

        text: Annotated[
            str,
            Field(max_length=settings.max_text, json_schema_extra={"pattern": LETTER}),
            AfterValidator(has_a_word),
        ]

    class SearchByItem(Search):
        """By an item: what is like it, itself not among it."""

        item_id: str

    class SearchByItems(Search):
        """By several items, and less of what others are; none of them is among the hits."""

        items: Annotated[Ids, Field(min_length=1)]
        unlike: Ids = Field(default_factory=list)

    kinds = {"text": SearchByText, "item_id": SearchByItem, "items": SearchByItems}

    def kind(body: Any) -> str | None:
        found = [name for name in kinds if isinstance(body, dict) and name in body]
        return problems.kind(found[0]) if len(found) == 1 else None

    one = Discriminator(
        kind,
        custom_error_type="one",
        custom_error_message="Give one of text, item_id and items, and not two of them.",
    )

    @app.post(
        "/search",
        tags=["search"],
        response_model=Hits[hit],
        response_model_exclude_none=True,
        responses=documented(404, 413, 415, 422),
    )
    async def search(
        service: Running,
        query: Annotated[
            Annotated[SearchByText, Tag(problems.kind("text"))]
            | Annotated[SearchByItem, Tag(problems.kind("item_id"))]
            | Annotated[SearchByItems, Tag(problems.kind("items"))],
            one,
            Body(),
        ],
    ) -> dict[str, Any]:
        """By words, by an item that is here, or by several."""
        about = query.model_dump(include={"limit", "category", "mode"})
        if isinstance(query, SearchByText):
            return service.search(Asked(text=query.text, **about))
        likes, unlikes = (
            ([query.item_id], [])
            if isinstance(query, SearchByItem)
            else (query.items, query.unlike)
        )
        return service.search(Asked(**like(service, likes, unlikes, about.get("mode")), **about))

    if encoder.modes:

        async def chosen(mode: Annotated[encoder.modes, Form()] = first) -> StrEnum:
            return mode
    else:

        async def chosen() -> None:  # a plain def would cost a trip to a thread
            return None

    @app.post(
        "/search/file",
        tags=["search"],
        response_model=Hits[hit],
        response_model_exclude_none=True,
        responses=documented(413, 415, 422, 429),
    )
    @upload
    async def search_by_file(
        service: Running,
        mode: Annotated[Any, Depends(chosen)],
        file: Annotated[UploadFile, File()],
        limit: Annotated[Limit, Form()] = 10,
        category: Annotated[Category | None, Form()] = None,
    ) -> dict[str, Any]:
        """By a file, which is looked at and not kept."""
        name = shown_name(file.filename)
        if file.size > settings.max_file_bytes:
            reason = f"larger than {settings.max_file_bytes:,} bytes"
            raise ProblemError(413, f"{name} is {reason}.", [(name, reason)])

        gone = threading.Event()

        def read() -> Any:
            try:
                return service.encoder.read(content, name, gone.is_set)
            except WorkshopError as error:
                status = 413 if isinstance(error, TooLarge) else 415
                raise ProblemError(status, str(error), [(name, str(error))]) from error

        try:
            await asyncio.wait_for(service.turns.acquire(), settings.max_wait)
        except TimeoutError:
            raise ProblemError(
                429,
                f"For {settings.max_wait:g} s it was the turn of other searches by file, of which "
                f"{settings.max_decodes} are worked on at once. Try again in a moment.",
                headers=problems.RETRY_AFTER,
            ) from None
        try:
            content = await file.read()
            # One trip to a thread, which is not waited for when the service has to stop: it stops by itself.
            asked = Asked(mode=mode, limit=limit, category=category)
            return await anyio.to_thread.run_sync(
                service.search, asked, read, abandon_on_cancel=True
            )
        finally:
            gone.set()
            service.turns.release()
