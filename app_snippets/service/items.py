"""The calls that put items in, show them and take them out."""

import io
import os
import queue
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, BinaryIO, Literal

import anyio
from fastapi import Body, FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from app_snippets.service import problems
from app_snippets.service.encoder import Encoder
from app_snippets.service.guard import JsonRoute, upload
from app_snippets.service.jobs import NewJob, Source
from app_snippets.service.models import Accepted, Item, ItemId, Items, Limit, Payload
from app_snippets.service.names import Category, shown_line, shown_name, told_apart
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.running import Running, Service
from app_snippets.service.settings import ServiceSettings
from app_snippets.service.texts import text_items

DEFAULT_CATEGORY = "uploads"


def unknown(item_id: str) -> ProblemError:
    """There is no such item."""
    return ProblemError(404, f"There is no item {item_id!r}.")


def add_items_calls(
    app: FastAPI, settings: ServiceSettings, encoder: type[Encoder], payload: type[Payload]
) -> None:
    """`/items`, `/samples` and what is below them."""

    def new_job(service: Service, response: Response, fill: Callable[[NewJob], None]) -> Accepted:
        try:
            with service.jobs.new() as job:
                fill(job)
        except queue.Full:
            raise ProblemError(
                429,
                f"{settings.max_queued_jobs} loads are waiting already. Try again in a moment.",
                headers=problems.RETRY_AFTER,
            ) from None
        response.headers["Location"] = f"jobs/{job.id}"
        return Accepted(job_id=job.id, accepted=len(job.sources))

    responses = documented(413, 415, 422, 429)
    also = {}
    if encoder.takes_text:
        body = text_items(encoder.columns)

        @upload
        def add_texts(
            service: Running, response: Response, texts: Annotated[body, Body()]
        ) -> Accepted:
            """Take texts in; a job makes them searchable."""
            _check_texts(texts, settings)

            def fill(job: NewJob) -> None:
                for number, text in enumerate(texts.items, 1):
                    name = shown_line(text.name or "") or shown_line(text.text)
                    category = text.category or DEFAULT_CATEGORY
                    name = name or f"text {number}"
                    about = text.model_dump(include={*encoder.columns}, exclude_none=True)
                    source = Source(None, name, category, about=about, content=text.text)
                    job.sources.append(source)

            return new_job(service, response, fill)

        app.router.add_api_route(
            "/items",
            add_texts,
            methods=["POST"],
            tags=["items"],
            status_code=202,
            responses=responses,
            route_class_override=JsonRoute,
        )
        # The description has one entry for a path and a method: the next call's, with both bodies.
        schema = {"$ref": problems.REFERENCE.format(model=body.__name__)}
        also = {"requestBody": {"content": {"application/json": {"schema": schema}}}}

    @app.post("/items", tags=["items"], status_code=202, responses=responses, openapi_extra=also)
    @upload
    def add_items(
        service: Running,
        response: Response,
        files: Annotated[list[UploadFile], File(description="one or many", min_length=1)],
        category: Annotated[Category | None, Form(description="`uploads` if there is none")] = None,
    ) -> Accepted:
        """Take files in; a job makes them searchable. `Location` says where to watch it.

        A file that cannot be read is told in the job's `failed`; the others go in.
        """
        names = [shown_name(file.filename) for file in files]
        sizes = zip(told_apart(names), (file.size for file in files), strict=True)
        large = [name for name, size in sizes if size > settings.max_file_bytes]
        if large:
            raise ProblemError(
                413,
                f"Nothing was taken in: {', '.join(large)} is larger than "
                f"{settings.max_file_bytes:,} bytes.",
                [(name, f"larger than {settings.max_file_bytes:,} bytes") for name in large],
            )

        def fill(job: NewJob) -> None:
            for name, file in zip(names, files, strict=True):
                path = job.path()
                with path.open("wb") as copy:
                    shutil.copyfileobj(file.file, copy)
                job.sources.append(Source(path, name, category or DEFAULT_CATEGORY))

        return new_job(service, response, fill)

    @app.post("/samples", tags=["items"], status_code=202, responses=documented(413, 429))
    @upload
    def add_samples(service: Running, response: Response) -> Accepted:
        """Load the course's own data set; those of it that are here already are left alone."""
        return new_job(service, response, lambda job: job.sources.extend(service.encoder.samples()))

    @app.get("/items", tags=["items"], response_model=Items[payload], responses=documented(422))
    def list_items(
        service: Running,
        limit: Annotated[Limit, Query()] = 10,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
        category: Annotated[Category | None, Query()] = None,
    ) -> dict[str, Any]:
        """A part of the items, newest first."""
        items, total = service.store.page(limit, offset, category)
        return {"items": [{"id": i, "payload": p} for i, p in items], "total": total}

    @app.get(
        "/items/{item_id}",
        tags=["items"],
        response_model=Item[payload],
        responses=documented(404),
    )
    def get_item(item_id: ItemId, service: Running) -> dict[str, Any]:
        """One item."""
        found = service.store.payload(item_id)
        if found is None:
            raise unknown(item_id)
        return {"id": item_id, "payload": found}

    content = {"content": {encoder.media_type: {"schema": problems.BINARY}}}

    @app.get(
        "/items/{item_id}/media",
        tags=["items"],
        response_class=FileResponse,
        responses={
            200: content,
            206: content,
            304: {"description": "The client has it already"},
            **documented(404, 416),
        },
    )
    def get_media(item_id: ItemId, service: Running, request: Request) -> Response:
        """What the item looks like."""
        if item_id not in service.store:
            raise unknown(item_id)
        # An id never gets other bytes, so it is its own tag.
        headers = {"ETag": f'"{item_id}"', "Cache-Control": "private, max-age=3600"}
        known = re.findall(r'\*|"[^"]*"', request.headers.get("if-none-match", ""))
        if {"*", headers["ETag"]} & set(known):
            return Response(status_code=304, headers=headers)
        if encoder.media_type == "text/plain":
            text = (service.store.payload(item_id) or {}).get("text")
            if text is None:
                raise unknown(item_id)
            return MediaResponse(
                io.BytesIO(text.encode()), media_type=encoder.media_type, headers=headers
            )
        try:
            file = service.store.media(item_id).open("rb")
        except (FileNotFoundError, AttributeError):  # removed a moment ago, or by someone else
            raise unknown(item_id) from None
        return MediaResponse(file, media_type=encoder.media_type, headers=headers)

    @app.delete("/items/{item_id}", tags=["items"], status_code=204, responses=documented(404))
    def delete_item(item_id: ItemId, service: Running) -> None:
        """Remove an item, its vectors and its file."""
        if not service.store.delete(item_id):
            raise unknown(item_id)

    @app.delete("/items", tags=["items"], status_code=204, responses=documented(409, 422))
    def delete_all_items(
        service: Running,
        confirm: Annotated[Literal["true"], Query(description="say `true` if you mean it")],
    ) -> None:
        """Remove every item; not while a load runs."""
        if service.jobs.busy():
            raise ProblemError(409, "A load is running. Wait for its end, or cancel it first.")
        service.store.clear()


def _check_texts(texts: BaseModel, settings: ServiceSettings) -> None:
    """How many and how long, which the settings say."""
    if len(texts.items) > settings.max_files:
        raise ProblemError(
            413,
            f"Nothing was taken in: these are {len(texts.items):,} texts, more than the "
            f"{settings.max_files:,} of one request. Send fewer, or a file of many.",
        )


class MediaResponse(FileResponse):
    """An open file: what is removed while it is sent is still sent whole."""

    def __init__(self, file: BinaryIO, **options: Any) -> None:
        if isinstance(file, io.BytesIO):
            size = len(file.getbuffer())
            about = os.stat_result((0o100444, 0, 0, 1, 0, 0, size, 0, 0, 0))
        else:
            about = os.fstat(file.fileno())
        super().__init__("media", stat_result=about, **options)
        self._file = file

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        yield anyio.wrap_file(self._file)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and close it."""
        with self._file:
            await super().__call__(scope, receive, send)
