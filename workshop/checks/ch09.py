"""Checks of chapter 09, launch a service from a cell."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import httpx
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from workshop.checks import Wrong, own_traceback, register
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

    def follow(
        self, follow: Callable, slips: tuple = (AttributeError, LookupError, NameError, TypeError)
    ) -> tuple[object, Exception | None]:
        """What the learner's function returned, or the error that it raised on purpose."""
        with launch(self.app, "check 9.1") as service, httpx.Client(base_url=service.url) as api:
            accepted = api.post("/items")
            try:
                return follow(api, accepted), None
            except slips:
                raise  # not a refusal
            except Exception as error:  # whichever the learner chose
                return None, error


@register(
    "9.1",
    "You need a loop. In each turn: ask, look whether the job has ended, and wait a little if it has not.",
    '`api.get(accepted.headers["location"])` asks once. The path is relative, and `api` knows the rest of the '
    "address. `time.sleep(0.1)` waits.",
    "Call `raise_for_status()` before you look into the JSON: a problem has no `finished_at`, and a loop that "
    "waits for one never ends.",
    "`finished_at` says that the job has ended, and `state` says how: all but `done` raises `RuntimeError`. A "
    "`done` job may still have `failed` items.",
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
    if job is None:
        raise Wrong("the function returns nothing: is there a `return`?")
    if not isinstance(job, dict) or "state" not in job:
        raise Wrong(f"the job is a dictionary as the service tells it, not {job!r:.60}")
    if job.get("finished_at") is None:
        raise Wrong(
            f"it came back while the job was {job['state']}: `done` counts items, "
            "`finished_at` says that the job has ended"
        )
    if job.get("failed") != end["failed"] or len(service.asked) != 4:
        raise Wrong(
            f"the service was asked {len(service.asked)} times, and the fourth answer was the finished "
            f"job; you returned {job!r:.80}"
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
        job, error = service.follow(follow, (AttributeError, NameError, TypeError))
        if error is None:
            raise Wrong(f"the service answered {status}, and that came back as if it were a job")
        if len(service.asked) > 20:
            raise Wrong(f"the service answered {status}, and was asked {len(service.asked)} times")
    return "it waits without hurry, and tells the three ends apart"


# ------------------------------------------------------------------------------------------- 9.2


class _Greeter:
    """An app that answers with a word, and notes when its lifespan began and ended."""

    def __init__(self, word: str) -> None:
        self.began = self.ended = False
        self.app = FastAPI(lifespan=self.lifespan)
        self.app.get("/")(lambda: {"word": word})

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self.began = True
        yield
        await asyncio.sleep(0.5)  # who does not wait for the thread is back before this is over
        self.ended = True


def _get(url: str) -> str | None:
    try:
        return httpx.get(url, timeout=3).json()["word"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return None


def _takes_connections(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def _address(answer: object) -> tuple[str, int, Callable]:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Wrong("`serve` returns two things: the address, and a function that stops the server")
    url, stop = answer
    if callable(url) and isinstance(stop, str):
        raise Wrong(
            "`serve` returns the address first, and then the function that stops the server"
        )
    if not callable(stop):
        raise Wrong(f"the second thing is a function that stops the server, not {stop!r:.60}")
    if not isinstance(url, str) or not url.startswith("http://127.0.0.1"):
        raise Wrong(f"the address is a text such as http://127.0.0.1:8000, not {url!r:.60}")
    try:
        port = httpx.URL(url).port
    except httpx.InvalidURL:
        port = None
    if not port:
        raise Wrong(f"{url} has no port: the socket knows it, `getsockname()`")
    return url, port, stop


@contextmanager
def _served(serve: Callable, greeter: _Greeter) -> Iterator[tuple[str, int, Callable]]:
    """The answer's address, port and `stop`, which is called once, also when the check fails."""
    # A new thread is a daemon where its maker is one, as the thread of a check is; a cell's is none.
    thread, daemon = threading.current_thread(), threading.current_thread().daemon
    thread._daemonic = False
    try:
        answer = serve(greeter.app)
    finally:
        thread._daemonic = daemon
    url, port, stop = _address(answer)
    if not _takes_connections("127.0.0.1", port):
        stop()
        raise Wrong(
            "when `serve` comes back, nobody listens at its address yet: a client that is quick finds "
            "nothing. Open the socket in `serve` and hand it to the server"
        )
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
    "Which three lines of `in_kernel_loop` do you need here too? What they did with a task, you do in a thread.",
    "Open the socket in `serve` itself. The thread's function has two lines: `with asyncio.Runner() as "
    "runner:` and, in it, a call of `runner.run`.",
    "`runner.run(server.serve(sockets=[...]))` runs the server. `stop` sets `server.should_exit = True` and "
    "then waits for the thread: `thread.join()`. Only then has the server let go of the port.",
    seconds=60,
)
def serve(serve: Callable) -> str:
    """A server in a daemon thread with a loop of its own."""
    before = set(threading.enumerate())

    async def in_a_cell() -> None:  # where a loop is running, as in a kernel
        one, two, three = _Greeter("one"), _Greeter("two"), _Greeter("three")
        with ExitStack() as stack:
            url, port, stop = stack.enter_context(_served(serve, one))
            if _get(url) != "one":
                raise Wrong(
                    "a plain client gets no answer while the cell runs: the server must have a "
                    "thread, and in it a loop of its own"
                )
            if not one.began:
                raise Wrong(
                    "the app's lifespan did not run in this program: is it switched off, or does the "
                    "server run in another process?"
                )
            # uvicorn's own worker threads are called AnyIO
            own = [t for t in threading.enumerate() if t not in before and "AnyIO" not in t.name]
            if not all(thread.daemon for thread in own):
                raise Wrong("the thread is no daemon: it would keep Python from ending")
            if _takes_connections("127.0.0.2", port):
                raise Wrong("it listens to other machines too: open the socket on 127.0.0.1 only")
            others = [stack.enter_context(_served(serve, greeter))[0] for greeter in (two, three)]
            if _get(url) != "one" or [_get(other) for other in others] != ["two", "three"]:
                raise Wrong("apps served at once get into each other's way: take a free port each")
            stop()
            if [_get(other) for other in others] != ["two", "three"]:
                raise Wrong("stopping one server stopped another, which was started later")
            _has_ended(one, port, own)

    disabled = logging.root.manager.disable
    logging.disable(logging.INFO)  # servers say that they start, whatever level they are given
    try:
        with asyncio.Runner() as runner:
            runner.run(in_a_cell())
    finally:
        logging.disable(disabled)
    return "a thread, a loop, a socket: every client is served, and the port comes back"


def _has_ended(greeter: _Greeter, port: int, threads: list[threading.Thread]) -> None:
    early = "tell the server to end, then wait until its thread has"
    if not greeter.ended:
        raise Wrong(
            "when `stop()` came back, the app's lifespan had not ended. Perhaps it was cut off, or "
            f"nobody waited: {early}"
        )
    if left := [thread for thread in threads if thread.is_alive()]:
        raise Wrong(f"when `stop()` came back, its thread {left[0].name!r} still ran: {early}")
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        raise Wrong(f"`stop()` came back while the port was still in use: {early}") from None


# ------------------------------------------------------------------------------------------- 9.3


class _Shelf(dict):
    """Its item 3 is there, but reading it fails."""

    def __getitem__(self, key: int) -> str:
        if key == 3:
            raise OSError("/srv/shelf/secret.db: input/output error")
        return super().__getitem__(key)

    def get(self, key: int, default: object = None) -> object:
        return self[key] if key in self else default  # noqa: SIM401, which would not read it


def _answers(app: FastAPI, *paths: str) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.get(path) for path in paths]

    with asyncio.Runner() as runner:
        return runner.run(ask())


def _traceback(app: FastAPI, path: str) -> str:
    """What the learner's own code says of a request that fails with a 500."""

    async def ask() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get(path)

    try:
        with asyncio.Runner() as runner:
            runner.run(ask())
    except Exception as error:
        return f"\n{own_traceback(error)}"
    return ""


@register(
    "9.3",
    "Three of the four answers need no `try`. Which error does FastAPI find by itself if the type of `number` is "
    "`int`?",
    "`raise HTTPException(404, ...)` ends the function where the number is not in the shelf, and its text becomes "
    "`detail`. Ask with `in`: an empty name is a name.",
    "Write no `except Exception` at all: FastAPI turns what nobody foresaw into a plain 500.",
)
def shelf_app(shelf_app: Callable) -> str:
    """Statuses that say what happened."""
    app = shelf_app(_Shelf({1: "Tiger", 2: "Zebra", 3: "Owl", 40: "", 0: "Zero"}))
    if app is None:
        raise Wrong("`shelf_app` returns nothing: is there a `return app`?")
    if not isinstance(app, FastAPI):
        raise Wrong(f"`shelf_app` returns the app, not {app!r:.60}")
    paths = ("/items/2", "/items/40", "/items/0")
    for path, answer in zip(paths, _answers(app, *paths), strict=True):
        wanted = {"name": {"2": "Zebra", "40": "", "0": "Zero"}[path.rpartition("/")[2]]}
        if answer.status_code != 200 or _json(answer) != wanted:
            told = _traceback(app, path) if answer.status_code == 500 else ""
            raise Wrong(
                f"GET {path} gave {answer.status_code} {answer.text:.80}, not 200 and {wanted}{told}"
            )
    unknown, other, no_number, half, broken, below = _answers(
        app, "/items/77", "/items/78", "/items/two", "/items/1.5", "/items/3", "/items/-5"
    )
    for answer, what in [(unknown, "an unknown number"), (no_number, "`two`, which is no number,")]:
        if answer.is_success:
            raise Wrong(f"{what} still gets a {answer.status_code}, and a client takes it for fine")
    for answer, what in [(no_number, "`two`"), (half, "`1.5`")]:
        if answer.status_code != 422:
            raise Wrong(f"{what}, which is no whole number, gets a {answer.status_code}, not a 422")
    if unknown.status_code != 404:
        told = _traceback(app, "/items/77") if unknown.status_code == 500 else ""
        raise Wrong(f"an unknown number gets a {unknown.status_code}, not a 404{told}")
    if below.status_code != 404:
        raise Wrong(
            f"-5 is a whole number that is not in the shelf, and gets a {below.status_code}, not a 404"
        )
    details = [_detail(unknown), _detail(other)]
    if "77" not in details[0] or "78" not in details[1]:
        raise Wrong(f"the 404's `detail` does not name the number: {details[0]!r}")
    if broken.status_code != 500:
        raise Wrong(
            f"a disk that fails gets a {broken.status_code}, as if the client were at fault"
        )
    told = broken.text + str(broken.headers)
    if "secret" in told or "input/output" in told or "OSError" in told:
        place = "body" if told.startswith(broken.text) and "secret" in broken.text else "answer"
        raise Wrong(
            f"the {place} of the 500 tells a stranger about the disk: that belongs in the log"
        )
    return "each failure has its own status, and none of them is 200"


def _json(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        raise Wrong(f"the {answer.status_code} has no `detail`: raise an `HTTPException`") from None
