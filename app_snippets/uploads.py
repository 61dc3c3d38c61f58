"""Many photos in one upload, answered at once and worked off in view: chapter 08's service.

`uvicorn app_snippets.uploads:app`, with a page at `/`.
"""

import queue
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from typing import Annotated

from fastapi import FastAPI, File, Response, UploadFile, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from pymilvus import DataType, MilvusClient

from app_snippets.service import problems
from app_snippets.service.app import PAGE_HEADERS, PAGES
from app_snippets.service.connection import Connection
from app_snippets.service.guard import Guard
from app_snippets.service.jobs import Job, Jobs, Source, watch
from app_snippets.service.names import shown_name, told_apart
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.settings import Hosts, MiB, ServiceName
from workshop import ImageEncoder
from workshop.decoding import MAX_BYTES, MAX_SECONDS, PictureReader
from workshop.paths import home
from workshop.pictures import MAX_PIXELS, MAX_SCANS


class Settings(BaseSettings):
    """Every limit, read from variables such as `UPLOADS_MAX_FILES`."""

    model_config = SettingsConfigDict(env_prefix="UPLOADS_")
    name: ServiceName = "uploads"  # of its folder and of its place in Milvus
    allowed_hosts: Hosts = ["127.0.0.1", "localhost", "::1"]  # lab.example,192.168.1.5; * for any
    max_files: int = Field(200, gt=0)  # in one upload
    max_file_bytes: int = Field(20 * MiB, gt=0)
    max_request_bytes: int = Field(200 * MiB, gt=0)
    max_pixels: int = Field(MAX_PIXELS, gt=0)  # of one photo
    max_scans: int = Field(MAX_SCANS, gt=0)  # passes over the pixels of one JPEG
    max_decode_seconds: float = Field(MAX_SECONDS, gt=0)  # of a processor, to read one photo
    max_decode_bytes: int = Field(MAX_BYTES, gt=0)  # of memory, to read one photo
    max_waiting: int = Field(4, gt=0)  # jobs; one more is refused
    retry_after: int = Field(5, gt=0)  # seconds that a refused client should wait
    pace: float = Field(0.2, gt=0)  # seconds between two messages to a watching client
    send_timeout: float = Field(5.0, gt=0)  # seconds until a client that does not read is dropped


class Accepted(BaseModel):
    """The upload is stored, and will be worked off as this job."""

    job_id: str
    accepted: int


class Count(BaseModel):
    """How many different photos are in."""

    count: int


class Photos:
    """The photos as vectors in Milvus."""

    def __init__(self, settings: Settings) -> None:
        self.encoder = ImageEncoder()
        self.milvus = Connection(settings.name)
        with self.milvus.writing() as client:
            _create(client, self.encoder.dim)
        # In a process of its own, which can be stopped: nobody knows what a stranger's file costs.
        self.pictures = PictureReader(
            max_pixels=settings.max_pixels,
            max_scans=settings.max_scans,
            max_seconds=settings.max_decode_seconds,
            max_bytes=settings.max_decode_bytes,
        )

    def load(self, source: Source, stopped: Callable[[], bool]) -> None:
        """Put one photo in. Raises WorkshopError if it cannot be read, and Stopped."""
        content = source.path.read_bytes()
        vector = self.encoder.encode([self.pictures.read(content, source.name, stopped)])[0]
        # Named by its content: a photo that comes twice, or a load that is run again, changes nothing.
        row = {"id": sha256(content).hexdigest(), "name": source.name, "vector": vector.tolist()}
        with self.milvus.writing() as client:
            client.upsert("photos", [row])

    def settle(self) -> None:
        """Make searches fast after a load."""
        with self.milvus.writing() as client:
            client.flush("photos")

    def count(self) -> int:
        """Rows in Milvus."""
        with self.milvus.reading() as client:
            found = client.query("photos", filter="", output_fields=["count(*)"])
        return found[0]["count(*)"]

    def close(self) -> None:
        """Let go of Milvus and of the process that reads pictures."""
        self.milvus.close()
        self.pictures.close()


def _create(client: MilvusClient, dim: int) -> None:
    if not client.has_collection("photos"):
        schema = client.create_schema()
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("name", DataType.VARCHAR, max_length=400)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="COSINE")
        client.create_collection(
            "photos", schema=schema, index_params=index, consistency_level="Strong"
        )


def create_app(settings: Settings) -> FastAPI:
    """The service; model and collection are opened when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        folder = home() / settings.name
        folder.mkdir(exist_ok=True)
        with closing(await run_in_threadpool(Photos, settings)) as photos:
            jobs = Jobs(folder, photos.load, photos.settle, settings.max_waiting)
            jobs.start()
            app.state.photos, app.state.jobs = photos, jobs
            yield
            await run_in_threadpool(jobs.close)

    app = FastAPIOffline(
        title="Uploads",
        description="Takes photos in at once, and tells how far it is with them.",
        version="1",
        lifespan=lifespan,
        form_limits={"max_files": settings.max_files, "max_fields": 1, "max_part_size": 64_000},
        responses=documented(403, 421, 503),
        openapi_tags=[
            {"name": "photos", "description": "What is in, and more of it."},
            {"name": "jobs", "description": "Uploads: how far they are, and how to stop one."},
        ],
        **problems.ABOUT,
    )
    problems.install(app)
    app.add_middleware(
        Guard, hosts=settings.allowed_hosts, max_upload=settings.max_request_bytes, max_json=64_000
    )
    app.mount("/page", StaticFiles(directory=PAGES), name="page")

    def known(job: Job | None, job_id: str) -> Job:
        if job is None:
            raise ProblemError(404, f"There is no job {job_id!r}.")
        return job

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGES / "uploads.html", headers=PAGE_HEADERS)

    @app.get("/count", tags=["photos"])
    def count() -> Count:
        """How many different photos are in."""
        return Count(count=app.state.photos.count())

    @app.post("/photos", tags=["photos"], status_code=202, responses=documented(413, 415, 422))
    def add_photos(files: Annotated[list[UploadFile], File()], response: Response) -> Accepted:
        """Keep the files, name a job, answer. `Location` says where to watch it."""
        names = [shown_name(file.filename) for file in files]
        sizes = zip(told_apart(names), (file.size for file in files), strict=True)
        large = [name for name, size in sizes if size > settings.max_file_bytes]
        if large:
            raise ProblemError(
                413, f"Larger than {settings.max_file_bytes:,} bytes: {', '.join(large)}."
            )
        try:
            with app.state.jobs.new() as job:
                for name, file in zip(names, files, strict=True):
                    with (path := job.path()).open("wb") as copy:
                        shutil.copyfileobj(file.file, copy)
                    job.sources.append(Source(path, name, "uploads"))
        except queue.Full:
            raise ProblemError(
                503,
                f"{settings.max_waiting} uploads are waiting already. Try again later.",
                headers={"Retry-After": str(settings.retry_after)},
            ) from None
        response.headers["Location"] = f"jobs/{job.id}"
        return Accepted(job_id=job.id, accepted=len(files))

    @app.get("/jobs/{job_id}", tags=["jobs"], responses=documented(404))
    def get_job(job_id: str) -> Job:
        """How far it is."""
        return known(app.state.jobs.get(job_id), job_id)

    @app.delete("/jobs/{job_id}", tags=["jobs"], status_code=202, responses=documented(404))
    def cancel_job(job_id: str) -> Job:
        """Stop after the photo in hand, or in it if that takes long; what is in stays in."""
        return known(app.state.jobs.cancel(job_id), job_id)

    @app.websocket("/jobs/{job_id}/events")
    async def events(websocket: WebSocket, job_id: str) -> None:
        """The newest state whenever there is a new one, no faster than `pace`; closes after the last."""
        await watch(websocket, app.state.jobs, job_id, settings.pace, settings.send_timeout)

    return app


app = create_app(Settings())
