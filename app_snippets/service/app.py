"""A search service: everything but what it searches, which its encoder says. README.md lists the calls."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from jinja2 import Environment, FileSystemLoader

from app_snippets.service import problems
from app_snippets.service.encoder import Encoder
from app_snippets.service.guard import FRAMES, CheckedRoute, Guard, Rate
from app_snippets.service.items import add_items_calls
from app_snippets.service.jobs import Job, watch
from app_snippets.service.models import Categories, CategoryCount, Count, Health, Hit, Payload
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.running import Running, Service
from app_snippets.service.searches import add_search_calls
from app_snippets.service.settings import ServiceSettings

PAGES = Path(__file__).parent.parent / "pages"
PAGE_HEADERS = {
    # Nothing but our own files, and a frame only on this machine: JupyterLab shows the page in one.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; {FRAMES}"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_service(
    settings: ServiceSettings,
    *,
    title: str,
    description: str,
    encoder: type[Encoder],
    payload: type[Payload],
    page: str = "base.html",
    hit: type[Hit] = Hit,
    calls: Callable[[FastAPI], None] | None = None,
) -> FastAPI:
    """A search service with the calls of README.md.

    encoder   is made when the service starts, `encoder(settings)`: models are not loaded before
    payload   what an item of this service carries
    page      file name in app_snippets/pages of the template for `/`; base.html shows texts
    hit       a Hit with further fields, if `Encoder.rank` gives hits more
    calls     adds the calls that this service alone has
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = await run_in_threadpool(lambda: Service(settings, encoder(settings)))
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
    app.state.upload_rate = Rate(settings.upload_rate, "uploads")
    problems.install(app)
    app.add_middleware(
        Guard,
        hosts=settings.allowed_hosts,
        max_upload=settings.max_request_bytes,
        max_json=64_000 + 8 * settings.max_text,
        max_texts=settings.max_request_bytes if encoder.takes_text else None,
    )
    app.mount("/page", StaticFiles(directory=PAGES), name="page")

    html = _rendered(page, title, settings, encoder)

    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(html, headers=PAGE_HEADERS)

    _about_the_service(app, settings)
    _about_jobs(app, settings)
    add_items_calls(app, settings, encoder, payload)
    add_search_calls(app, settings, encoder, hit[payload])
    if calls:
        calls(app)
    return app


def _rendered(page: str, title: str, settings: ServiceSettings, encoder: type[Encoder]) -> str:
    """The page; nothing that a visitor sent is in it."""
    templates = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return templates.get_template(page).render(
        title=title,
        modes=[mode.value for mode in encoder.modes or ()],
        takes_text=encoder.takes_text,
        max_text=settings.max_text,
        max_item_text=settings.max_item_text,
    )


def _about_the_service(app: FastAPI, settings: ServiceSettings) -> None:
    @app.get("/health", tags=["service"], response_model_exclude_none=True)
    def health(service: Running) -> Health:
        """Whether the service can serve: 503 while Milvus is away."""
        return Health(
            service=settings.name,
            encoder=service.encoder.name,
            dim=next(iter(service.encoder.spaces.values())),
            count=service.store.count(),
            max_files=settings.max_files,
            max_file_bytes=settings.max_file_bytes,
            lacks=service.store.lacks or None,
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
