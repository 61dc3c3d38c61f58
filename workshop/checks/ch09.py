"""Checks of chapter 09, launch a service from a cell."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from workshop.checks import Wrong, register
from workshop.serve import launch

# ------------------------------------------------------------------------------------------- 9.1

_JOB = {"id": "j", "total": 3, "failed": [], "created_at": "2025-01-01T00:00:00Z"}
_END = "2025-01-01T00:00:09Z"


class _Scripted:
    """A service whose job goes through given states, one a request, and stays in the last."""

    def __init__(self, *states: dict | int) -> None:
        self.states, self.asked = states, []
        self.app = FastAPI()
        self.app.post("/items", status_code=202)(self.accept)
        self.app.get("/jobs/{job_id}")(self.job)

    def accept(self) -> JSONResponse:
        return JSONResponse({"job_id": "j", "accepted": 3}, 202, headers={"location": "jobs/j"})

    def job(self, job_id: str) -> JSONResponse:
        state = self.states[min(len(self.asked), len(self.states) - 1)]
        self.asked.append(time.perf_counter())
        if len(self.asked) > 60:  # who has not stopped by now never will
            return JSONResponse({"detail": "asked too often"}, 410)
        if isinstance(state, int):
            return JSONResponse({"detail": f"There is no job {job_id!r}."}, state)
        return JSONResponse({**_JOB, "done": 0, "finished_at": None, **state})

    def follow(self, follow: Callable) -> tuple[object, Exception | None]:
        """What the learner's function returned, or the error that it raised on purpose."""
        with launch(self.app, "check 9.1") as service, httpx.Client(base_url=service.url) as api:
            accepted = api.post("/items")
            try:
                return follow(api, accepted), None
            except (AttributeError, LookupError, NameError, TypeError):
                raise  # slips, not a refusal
            except Exception as error:  # whichever the learner chose
                return None, error


@register(
    "9.1",
    '`api.get(accepted.headers["location"])` asks once; the path is relative, and `api` knows the '
    "rest of the address. Around it goes a loop with `time.sleep(0.1)`.",
    "`raise_for_status()` before you look into the JSON: a problem has no `finished_at`, and a loop that "
    "waits for one never ends.",
    "`finished_at` says that it ended, `state` says how: all but `done` raises `RuntimeError`. A "
    "`done` job may still have `failed` items; they are in the job that you return.",
)
def follow(follow: Callable) -> str:
    """Follow a job by asking again and again."""
    running = [
        {"state": "queued"},
        {"state": "running", "done": 1},
        {"state": "running", "done": 3},
    ]
    end = {
        "state": "done",
        "done": 2,
        "failed": [{"name": "x", "reason": "y"}],
        "finished_at": _END,
    }

    service = _Scripted(*running, end)
    job, error = service.follow(follow)
    if error:
        raise Wrong(f"a job that ended as `done` raised {error!r}")
    if not service.asked:
        raise Wrong("nobody asked for `Location`: the answer to the POST is not the job yet")
    if not isinstance(job, dict) or "state" not in job:
        raise Wrong(f"the job is a dict as the service tells it, this is {type(job).__name__}")
    if job["finished_at"] is None:
        raise Wrong(
            f"it came back while the job was {job['state']}: `done` counts items, "
            "`finished_at` says that the job has ended"
        )
    pauses = [b - a for a, b in zip(service.asked, service.asked[1:], strict=False)]
    if min(pauses) < 0.05:
        raise Wrong("there is no pause between two requests: that keeps the service from its work")

    for state in ("failed", "interrupted"):
        service = _Scripted(*running, {"state": state, "done": 1, "finished_at": _END})
        job, error = service.follow(follow)
        if len(service.asked) > 60:
            raise Wrong(f"a job that ended as `{state}` is asked for again and again")
        if error is None:
            raise Wrong(f"a job that ended as `{state}` came back as if all were well")
        if not isinstance(error, RuntimeError):
            raise Wrong(f"a job that ended as `{state}` raised {error!r}, not a RuntimeError")

    for status in (404, 503):
        service = _Scripted(status)
        job, error = service.follow(follow)
        if error is None:
            raise Wrong(f"the service answered {status}, and that came back as if it were a job")
        if len(service.asked) > 20:
            raise Wrong(f"the service answered {status}, and was asked {len(service.asked)} times")
    return "it waits without hurry, and tells the three ends apart"


# ------------------------------------------------------------------------------------------- 9.2


def _greeter(word: str) -> FastAPI:
    app = FastAPI()
    app.get("/")(lambda: {"word": word})
    return app


def _get(url: str) -> str | None:
    try:
        return httpx.get(url, timeout=3).json()["word"]
    except (httpx.TransportError, ValueError, KeyError):
        return None


def _takes_connections(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


@contextmanager
def _served(serve: Callable, app: FastAPI) -> Iterator[tuple[str, int, Callable]]:
    answer = serve(app)
    if not isinstance(answer, tuple | list) or len(answer) != 2 or not callable(answer[1]):
        raise Wrong("`serve` returns two things: the address, and a function that stops the server")
    url, stop = answer
    if not isinstance(url, str) or not url.startswith("http://"):
        raise Wrong(f"the address is a text such as http://127.0.0.1:8000, not {url!r}")
    try:
        port = httpx.URL(url).port
    except httpx.InvalidURL:
        port = None
    if not port:
        raise Wrong(f"{url} has no port: the socket knows it, `sock.getsockname()`")
    stopped = False

    def stop_once() -> None:  # nobody said that stopping twice must work
        nonlocal stopped
        if not stopped:
            stopped = True
            stop()

    try:
        yield url, port, stop_once
    finally:
        stop_once()


@register(
    "9.2",
    "The socket is opened as in `in_kernel_loop`. Opened here and not in the thread, a failure is "
    "raised in your cell.",
    "The thread's function is two lines: `with asyncio.Runner() as runner:` and, in it, "
    "`runner.run(server.serve(sockets=[sock]))`.",
    "To stop: `server.should_exit = True`, and then wait for the thread: `thread.join()`. Only then "
    "has the server ended and let go of the port.",
    seconds=40,
)
def serve(serve: Callable) -> str:
    """A server in a daemon thread with a loop of its own."""
    before = set(threading.enumerate())

    async def in_a_cell() -> None:  # where a loop is running, as in a kernel
        with _served(serve, _greeter("one")) as (url, port, _):
            if _get(url) != "one":
                raise Wrong(
                    "a plain client gets no answer while the cell runs: the server must have a "
                    "thread, and in it a loop of its own"
                )
            new = [t for t in threading.enumerate() if t not in before]
            # uvicorn's own worker threads are called AnyIO
            lasting = [t for t in new if not t.daemon and "AnyIO" not in t.name]
            if lasting:
                raise Wrong("the thread is no daemon: it would keep Python from ending")
            if _takes_connections("127.0.0.2", port):
                raise Wrong("it listens to other machines too: open the socket on 127.0.0.1 only")
            with _served(serve, _greeter("two")) as (other, other_port, stop):
                if other_port == port or _get(other) != "two" or _get(url) != "one":
                    raise Wrong("two apps at once get into each other's way: take a free port each")
                stop()
                _is_free(other_port)
            if _get(url) != "one":
                raise Wrong("stopping one server stopped the other")

    with asyncio.Runner() as runner:
        runner.run(in_a_cell())
    return "a thread, a loop, a socket: every client is served, and the port comes back"


def _is_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        raise Wrong(
            "`stop()` came back while the port was still in use: tell the server to end, then wait "
            "until its thread has"
        ) from None


# ------------------------------------------------------------------------------------------- 9.3


class _Shelf(dict):
    """Its third item is there, but reading it fails."""

    def __getitem__(self, key: int) -> str:
        if key == 3:
            raise OSError("/srv/shelf/secret.db: input/output error")
        return super().__getitem__(key)

    def get(self, key: int, default: object = None) -> object:
        try:
            return self[key]
        except KeyError:
            return default


def _answers(app: FastAPI, *paths: str) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.get(path) for path in paths]

    with asyncio.Runner() as runner:
        return runner.run(ask())


@register(
    "9.3",
    "With `id: int` FastAPI refuses what is no number, with a 422 that says so, before your code runs.",
    "`raise HTTPException(404, ...)` where the id is not in the shelf: it ends the function, and its "
    "text becomes `detail`.",
    "No `except Exception` at all: FastAPI turns what nobody foresaw into a plain 500.",
)
def shelf_app(shelf_app: Callable) -> str:
    """Statuses that say what happened."""
    app = shelf_app(_Shelf({1: "Tiger", 2: "Zebra", 3: "Owl"}))
    if app is None:
        raise Wrong("`shelf_app` returns nothing: is there a `return app`?")
    known, unknown, other, no_number, broken = _answers(
        app, "/items/2", "/items/77", "/items/78", "/items/two", "/items/3"
    )
    if known.status_code != 200 or known.json() != {"name": "Zebra"}:
        raise Wrong(f"a known id gave {known.status_code} {known.text}")
    for answer, what in [(unknown, "an unknown id"), (no_number, "`two`, which is no number,")]:
        if answer.is_success:
            raise Wrong(f"{what} still gets a {answer.status_code}, and a client takes it for fine")
    if no_number.status_code != 422:
        raise Wrong(f"`two`, which is no number, gets a {no_number.status_code}, not a 422")
    if unknown.status_code != 404:
        raise Wrong(f"an unknown id gets a {unknown.status_code}, not a 404")
    details = [_detail(unknown), _detail(other)]
    if "77" not in details[0] or "78" not in details[1]:
        raise Wrong(f"the 404's `detail` does not name the id: {details[0]!r}")
    if broken.status_code != 500:
        raise Wrong(
            f"a disk that fails gets a {broken.status_code}, as if the client were at fault"
        )
    if "secret" in broken.text or "input/output" in broken.text:
        raise Wrong("the 500 tells a stranger about the disk: its details belong in the log")
    return "each failure has its own status, and none of them is 200"


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        raise Wrong(f"the {answer.status_code} has no `detail`: raise an `HTTPException`") from None
