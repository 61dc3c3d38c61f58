"""The calls that every search service of the course answers, whatever it searches.

A service differs from its sisters in its encoder, its payload and its page: it gives those to
`create_service`, and everything else is here. README.md lists the calls.
"""

import asyncio
import json
import os
import queue
import re
import shutil
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Generic, Literal, Protocol, TypeVar

import anyio
import numpy as np
from fastapi import (
    Body,
    Depends,
    FastAPI,
    File,
    Form,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
)
from fastapi import Path as PathParam
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from limits import parse
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode
from starlette.types import Receive, Scope, Send

from app_snippets import problems
from app_snippets.guard import FRAMES, CheckedRoute, Guard, UploadRate, upload
from app_snippets.jobs import Job, Jobs, Source, watch
from app_snippets.problems import ProblemError, documented
from app_snippets.store import Store
from workshop.decoding import MAX_BYTES, MAX_SECONDS
from workshop.errors import WorkshopError
from workshop.paths import home
from workshop.pictures import MAX_PIXELS, MAX_SCANS

PAGES = Path(__file__).parent / "pages"
PAGE_HEADERS = {
    # Nothing but our own files, and a frame only on this machine: JupyterLab shows the page in one.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self' blob:; base-uri 'none'; form-action 'none'; {FRAMES}"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
MiB = 1024 * 1024


def _own_hosts() -> list[str]:
    """The names of this machine; on a hub any, where a browser never reaches it but by the hub."""
    if os.environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        return ["*"]
    return ["127.0.0.1", "localhost", "::1"]


def _hosts(value: Any) -> Any:
    """From the environment: `lab.example`, several with commas, or a list in JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [host.strip() for host in value.split(",")]


def _is_a_host(host: str) -> str:
    if host == "*" or re.fullmatch(r"[a-z0-9._:-]+", host := host.strip("[]").lower()):
        return host
    raise ValueError("write names alone, as in lab.example,192.168.1.5 (* is any)")


# The names by which a service may be called.
Hosts = Annotated[
    list[Annotated[str, AfterValidator(_is_a_host)]], NoDecode, BeforeValidator(_hosts)
]
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]


class ServiceSettings(BaseSettings):
    """What can be set from the environment, with defaults that suit a laptop."""

    name: ServiceName  # of its folder and of its place in Milvus
    allowed_hosts: Hosts = Field(default_factory=_own_hosts)  # lab.example,192.168.1.5; * for any
    max_file_bytes: int = Field(20 * MiB, gt=0)
    max_request_bytes: int = Field(200 * MiB, gt=0)
    max_files: int = Field(500, gt=0)  # in one upload
    max_pixels: int = Field(MAX_PIXELS, gt=0)  # of one image
    max_scans: int = Field(MAX_SCANS, gt=0)  # passes over the pixels of one JPEG
    max_decode_seconds: float = Field(MAX_SECONDS, gt=0)  # of a processor, to read one file
    max_decode_bytes: int = Field(MAX_BYTES, gt=0)  # of memory, to read one file
    max_decodes: int = Field(2, gt=0)  # files read at once, and searches by file
    max_wait: float = Field(20.0, gt=0)  # seconds that a search by file waits for its turn
    max_text: int = Field(1_000, gt=0)  # characters of a search
    max_queued_jobs: int = Field(8, gt=0)
    upload_rate: str = "120/minute"  # from one address
    milvus_timeout: float = Field(10.0, gt=0)  # seconds
    pace: float = Field(0.2, gt=0)  # seconds between two messages to a watcher of a load
    send_timeout: float = Field(5.0, gt=0)  # seconds until a watcher that does not read is dropped

    @field_validator("upload_rate")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        parse(rate)
        return rate


class Payload(BaseModel):
    """What is known of an item; a service may add fields."""

    name: str
    category: str


P = TypeVar("P", bound=Payload)


class Encoder(Protocol):
    """What a service brings along to make its kind of items searchable."""

    name: str
    spaces: Mapping[str, int]  # vector space to dimension; the first one compares items
    media_type: str
    media_suffix: str

    def read(self, content: bytes, name: str, stopped: Callable[[], bool]) -> Any:
        """What was uploaded, decoded. Raises TooLarge, or WorkshopError if it cannot be read.

        Where it can take more than a second it asks now and then `stopped()`, and raises Stopped.
        """

    def media(self, item: Any) -> bytes:
        """The item as it is stored and shown, of `media_type`."""

    def encode(self, items: Sequence[Any]) -> Mapping[str, np.ndarray]:
        """Space to vectors of shape (n, dim), L2-normalised."""

    def encode_text(self, text: str) -> tuple[str, np.ndarray]:
        """The space in which words find items, and the text's vector there, shape (dim,)."""

    def samples(self) -> Iterable[Source]:
        """The course's own data set, with ids that never change."""

    def close(self) -> None:
        """Let go of what it holds."""


# Letters, marks and digits of any script, and nothing that could end a string in a Milvus filter.
# A joiner, which people write inside words in Persian and in scripts of India, joins a letter.
CATEGORY = r"^[\p{L}\p{N}_&]([\p{L}\p{M}\p{N}_ &/.+-]|[\u200C\u200D]\p{L})*$"
LETTER = r"[^\W_]"
JOINERS = "\u200c\u200d"


def _composed(text: Any) -> Any:
    """One spelling of each word: macOS writes é as two characters, others as one."""
    return unicodedata.normalize("NFC", text) if isinstance(text, str) else text


def _like_a_category(text: str) -> str:
    text = _composed(text)
    # Python's re knows no \p: each letter, mark and digit stands here for its kind.
    kinds = ((unicodedata.category(character)[0], character) for character in text)
    written = "".join(kind if kind in "LMN" else character for kind, character in kinds)
    if re.fullmatch(re.sub(r"\\p{(.)}", r"\1", CATEGORY), written):
        return text
    raise ValueError("use letters, digits, spaces and & / . + - _, a letter or digit first")


def _has_a_word(text: str) -> str:
    if re.search(LETTER, text):
        return text
    raise ValueError("there is no word in it")


Category = Annotated[
    str,
    BeforeValidator(_composed),
    Field(max_length=64, json_schema_extra={"pattern": CATEGORY}),
    AfterValidator(_like_a_category),
]
Limit = Annotated[int, Field(ge=1, le=100)]
ItemId = Annotated[str, PathParam(description="as given by a search or by `GET /items`")]


class Health(BaseModel):
    """The service is up, and this is what it is."""

    status: Literal["ok"] = "ok"
    service: str
    encoder: str
    dim: int
    count: int
    max_files: int  # in one upload
    max_file_bytes: int


class Accepted(BaseModel):
    """The upload is stored and will be worked off as this job."""

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


class Hit(BaseModel, Generic[P]):
    """An item that was found; the larger its score, the closer."""

    id: str
    score: float
    payload: P


class Took(BaseModel):
    """Milliseconds."""

    encode: float
    search: float


class Hits(BaseModel, Generic[P]):
    """What was found, best first."""

    hits: list[Hit[P]]
    took_ms: Took


class Service:
    """What a running service holds: its encoder, its items and its jobs."""

    def __init__(self, settings: ServiceSettings, encoder: Encoder) -> None:
        self.settings, self.encoder = settings, encoder
        self.turns = asyncio.Semaphore(settings.max_decodes)  # of searches by file
        with ExitStack() as opened:
            opened.callback(encoder.close)
            folder = home() / settings.name
            folder.mkdir(exist_ok=True)
            # The jobs first: their table keeps a second process out before it can touch an item.
            self.jobs = Jobs(folder, self.load, self.settle, settings.max_queued_jobs)
            opened.callback(self.jobs.close)
            self.store = Store(
                settings.name, folder, encoder.spaces, encoder.media_suffix, settings.milvus_timeout
            )
            self._opened = opened.pop_all()
        self._opened.callback(self.store.close)
        self.jobs.start()

    def close(self) -> None:
        """Stop what is being done and let go of everything."""
        self.jobs.close()  # before the store, which it writes to
        self._opened.close()

    def load(self, source: Source, stopped: Callable[[], bool]) -> None:
        """Put one item in. Raises WorkshopError if it cannot be read, and Stopped."""
        if source.id in self.store:  # a sample that is already here
            return
        item = self.encoder.read(source.path.read_bytes(), source.name, stopped)
        vectors = {space: rows[0] for space, rows in self.encoder.encode([item]).items()}
        payload = {"name": source.name, "category": source.category, **source.about}
        self.store.add(source.id, payload, self.encoder.media(item), vectors)

    def settle(self) -> None:
        """Make searches fast after a load."""
        self.store.settle()

    def search(
        self,
        encode: Callable[[], tuple[str, np.ndarray]],
        limit: int,
        category: str | None,
        but: str | None = None,
    ) -> dict[str, Any]:
        """Hits for what `encode` returns, a space and a vector (dim,), and what both steps took."""
        start = time.perf_counter()
        space, vector = encode()
        encoded = time.perf_counter()
        found = self.store.search(space, vector, limit, category, but)
        took = {"encode": encoded - start, "search": time.perf_counter() - encoded}
        return {
            "hits": [vars(hit) for hit in found],
            "took_ms": {step: round(seconds * 1000, 2) for step, seconds in took.items()},
        }


class MediaResponse(FileResponse):
    """An open file: what is removed while it is sent is still sent whole."""

    def __init__(self, file: BinaryIO, **options: Any) -> None:
        super().__init__(file.name, stat_result=os.fstat(file.fileno()), **options)
        self._file = file

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        yield anyio.wrap_file(self._file)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and close it."""
        with self._file:
            await super().__call__(scope, receive, send)


class TooLarge(WorkshopError):
    """A file of the right type that an encoder will not read for its size."""


# Format characters that can be seen: signs that stand over the digits after them.
_SEEN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")  # of a region, such as Wales


def _is_hidden(character: str) -> bool:
    """Whether it shows nothing, or turns what follows around: controls, and no letter of a script.

    A character that this Python's table does not know stays: emoji are older than their table.
    """
    kind, code = unicodedata.category(character), ord(character)
    if kind == "Cf":
        return character not in JOINERS + _SEEN
    never = 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE or 0xE0000 <= code <= 0xE0FFF
    return kind in ("Cc", "Cs") or (kind == "Cn" and never)


def shown_name(name: str | None) -> str:
    """A client's file name as a line of text to show: no folders, nothing hidden in it."""
    name = (name or "").replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    line = "".join(" " if c.isspace() else c for c in last)
    flags = {place for flag in _FLAG.finditer(line) for place in range(*flag.span())}
    seen = "".join(c for i, c in enumerate(line) if i in flags or not _is_hidden(c))
    seen = " ".join(seen.split())[:100].strip(JOINERS)
    return seen or "unnamed"


def told_apart(names: Sequence[str]) -> list[str]:
    """The names of an upload's files, with a number where several have one name."""
    times = Counter(names)
    return [
        f"{name} (file {number})" if times[name] > 1 else name
        for number, name in enumerate(names, 1)
    ]


async def _service(request: Request) -> Service:  # a plain def would cost a trip to a thread
    return request.app.state.service


Running = Annotated[Service, Depends(_service)]


def create_service(
    settings: ServiceSettings,
    *,
    title: str,
    description: str,
    encoder: Callable[[], Encoder],
    payload: type[Payload],
    page: str,
) -> FastAPI:
    """A search service with the calls of README.md.

    encoder   makes the encoder when the service starts: models are not loaded before
    payload   what an item of this service carries
    page      file name in app_snippets/pages of what is shown at `/`
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = await run_in_threadpool(lambda: Service(settings, encoder()))
        app.state.service = service
        yield
        await run_in_threadpool(service.close)

    app = FastAPIOffline(
        title=title,
        description=description,
        version="1",
        lifespan=lifespan,
        form_limits={"max_files": settings.max_files, "max_fields": 20, "max_part_size": 64_000},
        responses=documented(403, 421, 503),
        openapi_tags=[
            {"name": "service", "description": "What the service is and holds."},
            {"name": "jobs", "description": "Loads: how far they are, and how to stop one."},
            {"name": "items", "description": "What can be found: put in, shown, removed."},
            {"name": "search", "description": "Finding items, nearest first."},
        ],
        **problems.ABOUT,
    )
    app.router.route_class = CheckedRoute
    app.state.upload_rate = UploadRate(settings.upload_rate)
    problems.install(app)
    app.add_middleware(
        Guard,
        hosts=settings.allowed_hosts,
        max_upload=settings.max_request_bytes,
        max_json=64_000 + 8 * settings.max_text,
    )
    app.mount("/page", StaticFiles(directory=PAGES), name="page")

    @app.get("/", include_in_schema=False)
    def show_page() -> FileResponse:
        return FileResponse(PAGES / page, headers=PAGE_HEADERS)

    _about_the_service(app, settings)
    _about_jobs(app, settings)
    _about_items(app, settings, payload)
    _about_searches(app, settings, payload)
    return app


def _about_the_service(app: FastAPI, settings: ServiceSettings) -> None:
    @app.get("/health", tags=["service"])
    def health(service: Running) -> Health:
        """Whether the service can serve: 503 while Milvus is away."""
        return Health(
            service=settings.name,
            encoder=service.encoder.name,
            dim=next(iter(service.encoder.spaces.values())),
            count=service.store.count(),
            max_files=settings.max_files,
            max_file_bytes=settings.max_file_bytes,
        )

    @app.get("/count", tags=["service"])
    def count(service: Running) -> Count:
        """How many items there are."""
        return Count(count=service.store.count())

    @app.get("/categories", tags=["service"])
    def categories(service: Running) -> Categories:
        """The categories that have items, in order of name."""
        found = service.store.categories().items()
        return Categories(categories=[CategoryCount(name=n, count=c) for n, c in found])


def _about_jobs(app: FastAPI, settings: ServiceSettings) -> None:
    def known(job: Job | None, job_id: str) -> Job:
        if job is None:
            raise ProblemError(404, f"There is no job {job_id!r}.")
        return job

    @app.get("/jobs/{job_id}", tags=["jobs"], responses=documented(404))
    def get_job(job_id: str, service: Running) -> Job:
        """How far a load is."""
        return known(service.jobs.get(job_id), job_id)

    @app.delete("/jobs/{job_id}", tags=["jobs"], status_code=202, responses=documented(404))
    def cancel_job(job_id: str, service: Running) -> Job:
        """Stop a load after the item in hand, or in it if that takes long: it becomes `interrupted`,
        what is in stays in.
        """
        return known(service.jobs.cancel(job_id), job_id)

    @app.websocket("/jobs/{job_id}/events")
    async def job_events(websocket: WebSocket, job_id: str) -> None:
        """The job at once and then its newest state, no faster than `pace`; closes after the last."""
        jobs = websocket.app.state.service.jobs
        await watch(websocket, jobs, job_id, settings.pace, settings.send_timeout)


def _about_items(app: FastAPI, settings: ServiceSettings, payload: type[Payload]) -> None:
    def new_job(service: Service, response: Response, fill: Callable[..., None]) -> Accepted:
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

    def unknown(item_id: str) -> ProblemError:
        return ProblemError(404, f"There is no item {item_id!r}.")

    @app.post("/items", tags=["items"], status_code=202, responses=documented(413, 415, 422, 429))
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

        def fill(job: Any) -> None:
            for name, file in zip(names, files, strict=True):
                path = job.path()
                with path.open("wb") as copy:
                    shutil.copyfileobj(file.file, copy)
                job.sources.append(Source(path, name, category or "uploads"))

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

    @app.get(
        "/items/{item_id}/media",
        tags=["items"],
        response_class=FileResponse,
        responses={
            200: {"content": {"image/webp": {"schema": problems.BINARY}}},
            206: {"content": {"image/webp": {"schema": problems.BINARY}}},
            304: {"description": "The client has it already"},
            **documented(404, 416),
        },
    )
    def get_media(item_id: ItemId, service: Running, request: Request) -> Response:
        """What the item looks like."""
        path = service.store.media(item_id)
        if path is None:
            raise unknown(item_id)
        # An id never gets other bytes, so it is its own tag.
        headers = {"ETag": f'"{item_id}"', "Cache-Control": "private, max-age=3600"}
        known = re.findall(r'\*|"[^"]*"', request.headers.get("if-none-match", ""))
        if {"*", headers["ETag"]} & set(known):
            return Response(status_code=304, headers=headers)
        try:
            file = path.open("rb")
        except FileNotFoundError:  # removed a moment ago, or by someone else
            raise unknown(item_id) from None
        return MediaResponse(file, media_type=service.encoder.media_type, headers=headers)

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


def _about_searches(app: FastAPI, settings: ServiceSettings, payload: type[Payload]) -> None:
    class Search(BaseModel):
        """How many, and of which category."""

        model_config = ConfigDict(extra="forbid")
        limit: Limit = 10
        category: Category | None = None

    class SearchByText(Search):
        """By words."""

        text: Annotated[
            str,
            Field(max_length=settings.max_text, json_schema_extra={"pattern": LETTER}),
            AfterValidator(_has_a_word),
        ]

    class SearchByItem(Search):
        """By an item: what is like it, itself not among it."""

        item_id: str

    def kind(body: Any) -> str | None:
        if isinstance(body, dict) and ("text" in body) != ("item_id" in body):
            return problems.kind("text" if "text" in body else "item_id")
        return None

    either = Discriminator(
        kind,
        custom_error_type="either",
        custom_error_message="Give one of text and item_id, and not both.",
    )

    @app.post(
        "/search",
        tags=["search"],
        response_model=Hits[payload],
        responses=documented(404, 413, 415, 422),
    )
    def search(
        service: Running,
        query: Annotated[
            Annotated[SearchByText, Tag(problems.kind("text"))]
            | Annotated[SearchByItem, Tag(problems.kind("item_id"))],
            either,
            Body(),
        ],
    ) -> dict[str, Any]:
        """By words, or by an item that is here."""
        if isinstance(query, SearchByText):
            return service.search(
                lambda: service.encoder.encode_text(query.text), query.limit, query.category
            )
        vector = service.store.vector(query.item_id)
        if vector is None:
            raise ProblemError(404, f"There is no item {query.item_id!r}.")
        own = next(iter(service.encoder.spaces))
        return service.search(lambda: (own, vector), query.limit, query.category, query.item_id)

    @app.post(
        "/search/file",
        tags=["search"],
        response_model=Hits[payload],
        responses=documented(413, 415, 422, 429),
    )
    @upload
    async def search_by_file(
        service: Running,
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

        def encode() -> tuple[str, np.ndarray]:
            try:
                item = service.encoder.read(content, name, gone.is_set)
            except WorkshopError as error:
                status = 413 if isinstance(error, TooLarge) else 415
                raise ProblemError(status, str(error), [(name, str(error))]) from error
            space, vectors = next(iter(service.encoder.encode([item]).items()))
            return space, vectors[0]

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
            # One trip to a thread: a plain def makes three, for the body, the work and the answer.
            # It is not waited for when the service has to stop: it stops by itself.
            return await anyio.to_thread.run_sync(
                service.search, encode, limit, category, abandon_on_cancel=True
            )
        finally:
            gone.set()
            service.turns.release()
