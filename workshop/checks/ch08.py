"""Checks of chapter 08, work that takes time. Answers that are services are called over HTTP."""

import asyncio
import json
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as websocket

from workshop.checks import Wrong, register
from workshop.serve import launch

LONG = 2.0  # seconds: more than any answer that waits for nothing takes on a busy laptop


@contextmanager
def _served(app: object, name: str) -> Iterator[httpx.Client]:
    if not isinstance(app, FastAPI):
        what = "nothing" if app is None else type(app).__name__
        raise Wrong(f"your function returns {what}, not the app: is `return app` still there?")
    with launch(app, name) as service, httpx.Client(base_url=service.url, timeout=LONG) as client:
        yield client


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


# ------------------------------------------------------------------------------------------- 8.1


class _Slow:
    """Blocks until told to go on, so that what happens meanwhile hangs on no clock."""

    def __init__(self) -> None:
        self.began, self.go_on, self.given = threading.Event(), threading.Event(), None

    def __call__(self, content: bytes) -> int:
        self.given = content
        self.began.set()
        self.go_on.wait(10)
        return len(content)


@register(
    "8.1",
    "Reading the upload is no problem: `await file.read()` gives the bytes. Calling `count` is one, "
    "inside an `async def`.",
    "`await asyncio.to_thread(function, argument)` runs a function in a thread, and the loop goes on "
    "meanwhile. Hand it the function and the argument, not the result.",
    "Or drop `async`: FastAPI then runs the endpoint in a thread, and `file.file.read()` gives the "
    "bytes, without `await`.",
    seconds=30,
)
def thawed(thawed: Callable) -> str:
    """A blocking function behind an endpoint that does not block."""
    content, slow = b"three photos", _Slow()
    with _served(thawed(slow), "check 8.1") as client, ThreadPoolExecutor() as pool:
        upload = pool.submit(client.post, "/load", files={"file": content}, timeout=20)
        try:
            _while_it_counts(client, slow, upload)
        finally:
            slow.go_on.set()
        answer = upload.result()
        if slow.given != content:
            raise Wrong(
                f"`count` was given {type(slow.given).__name__}: {slow.given!r:.60}, not the bytes of the file"
            )
        if not answer.is_success:
            raise Wrong(f"`POST /load` answered {answer.status_code} {answer.text:.80}")
        if _json(answer) != {"count": len(content)}:
            raise Wrong(f'`POST /load` answered {answer.text:.80}, not {{"count": {len(content)}}}')
    return "the load takes its time, and nobody else's"


def _while_it_counts(client: httpx.Client, slow: _Slow, upload: Any) -> None:
    end = time.monotonic() + 5
    while not slow.began.wait(0.05):
        if upload.done() or time.monotonic() > end:
            answer = upload.result() if upload.done() else None
            if answer is not None and answer.status_code == 404:
                raise Wrong("there is no `POST /load`")
            what = f"; the answer was {answer.status_code} {answer.text:.80}" if answer else ""
            raise Wrong(f"an upload came, and `count` was never called{what}")
    try:
        alive = client.get("/progress")
    except httpx.TimeoutException:
        raise Wrong(
            f"while `count` worked, `/progress` did not answer within {LONG:g} seconds: `count` still "
            "runs in the thread of the event loop"
        ) from None
    if not alive.is_success:
        raise Wrong(f"`/progress` answered {alive.status_code}: it was fine as it was")
    time.sleep(0.2)
    if upload.done():
        raise Wrong(
            "`POST /load` answered before `count` was done: it does not wait for the result"
        )


# ------------------------------------------------------------------------------------------- 8.2

_JOBS = [  # not in the order of created_at
    ("late", "queued", "2026-03-03T12:00:00"),
    ("done", "done", "2026-03-01T08:00:00"),
    ("half", "running", "2026-03-01T09:00:00"),
    ("broken", "failed", "2026-03-01T07:00:00"),
    ("early", "queued", "2026-03-02T12:00:00"),
    ("stopped", "interrupted", "2026-03-01T06:00:00"),
    ("middle", "queued", "2026-03-02T23:00:00"),
]


@register(
    "8.2",
    "Two statements: an `UPDATE jobs SET … WHERE …` and a `SELECT id FROM jobs WHERE …`.",
    "An `UPDATE` belongs to a *transaction*, which `table.commit()` makes lasting.",
    "`ORDER BY created_at` is oldest first. Rows come as tuples: `[id for (id,) in rows]`.",
)
def recover(recover: Callable) -> str:
    """What a new process makes of the table that a dead one left."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "jobs.sqlite"
        with closing(sqlite3.connect(path)) as table:
            table.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, state TEXT, created_at TEXT)")
            table.executemany("INSERT INTO jobs VALUES (?, ?, ?)", _JOBS)
            table.commit()
        with closing(sqlite3.connect(path)) as table:
            first = _ids(recover(table))
        # closed without a commit, as by a crash: what is read now is what lasted
        states = _states(path)
        _recovered(first, states)
        with closing(sqlite3.connect(path)) as table:
            again = _ids(recover(table))
        if again != first or _states(path) != states:
            raise Wrong(
                "after a second crash the answer is another one: jobs that still wait must still be "
                "found"
            )
    return "what waited goes on, what was half done says so, and a second crash changes nothing"


def _states(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as table:
        return dict(table.execute("SELECT id, state FROM jobs"))


def _ids(answer: object) -> list[str]:
    if answer is None:
        raise Wrong("`recover` returns nothing: the ids of the queued jobs are wanted")
    try:
        ids = list(answer)
    except TypeError:
        raise Wrong(f"a list of ids is wanted, this is {type(answer).__name__}") from None
    if ids and isinstance(ids[0], tuple):
        raise Wrong(f"a list of ids is wanted, this is a list of rows: {ids[0]!r}")
    return ids


def _recovered(ids: list[str], states: dict[str, str]) -> None:
    before = {id: state for id, state, _ in _JOBS}
    if lost := sorted(before.keys() - states.keys()):
        raise Wrong(f"the job {lost[0]!r} is gone from the table: somebody will ask for it")
    if states["half"] == "running":
        raise Wrong(
            "in the file the job that was running still says so: is the change committed, or lost "
            "with the connection?"
        )
    if states["half"] != "interrupted":
        raise Wrong(f"the job that was running is now {states['half']!r}, not 'interrupted'")
    for id, state in before.items():
        if id != "half" and states[id] != state:
            raise Wrong(f"a job that was {state} is now {states[id]}: only running ones change")
    if "half" in ids:
        raise Wrong("a job that was running comes back to be run again: it was half done")
    if extra := [id for id in ids if before.get(id) != "queued"]:
        raise Wrong(
            f"{extra[0]!r} is in the list, and it was {before.get(extra[0], 'never there')}"
        )
    if len(ids) != 3:
        raise Wrong(f"three jobs waited, {len(ids)} came back")
    if ids != ["early", "middle", "late"]:
        raise Wrong(f"the order is {', '.join(ids)}: oldest first, by `created_at`")


# ------------------------------------------------------------------------------------------- 8.3


@register(
    "8.3",
    '`@app.post("/photos", status_code=202)` says the status once for all. The parameters are '
    "`files: list[UploadFile]` and `response: Response`, whose `.headers` can be set.",
    "`work.put` waits for a free place, and the client with it. `work.put_nowait` raises `queue.Full` "
    "instead.",
    '`raise HTTPException(503, "…", {"Retry-After": "5"})`. And put the job into `jobs` only when '
    "`work` has it.",
    seconds=30,
)
def upload_app(upload_app: Callable) -> str:
    """An upload endpoint with a bounded queue behind it."""
    jobs: dict[str, dict] = {}
    work: queue.Queue = _Contended(2)
    photos = [("files", ("a.webp", b"aaa")), ("files", ("b.webp", b"bb"))]
    with _served(upload_app(jobs, work), "check 8.3") as client:
        taken = [_accepted(_post(client, photos, work), jobs, work, n) for n in (1, 2)]
        if len(set(taken)) < 2:
            raise Wrong("two uploads got the same job id")
        job, contents = _task(work.get_nowait())
        if job is not jobs[taken[0]]:
            raise Wrong(
                "the worker gets another dict than `jobs` has: what it notes there, nobody would see"
            )
        if contents != [b"aaa", b"bb"]:
            raise Wrong(
                f"the worker gets {contents!r:.60}, not the bytes of the files: an upload's file is "
                "closed when the request ends"
            )
        _accepted(_post(client, photos, work), jobs, work, 2, of=3)
        _refused(_post(client, photos, work), jobs)
    return "taken on, or told to come back; nobody is left waiting in the door"


class _Contended(queue.Queue):
    """Says that there is room: between asking and putting, another request may take the place."""

    def full(self) -> bool:
        return False

    def qsize(self) -> int:
        return 0

    def empty(self) -> bool:
        return not self.queue


def _post(client: httpx.Client, photos: list, work: queue.Queue) -> httpx.Response:
    try:
        return client.post("/photos", files=photos)
    except httpx.TimeoutException:
        while work.queue:  # lets the endpoint that waits for a place end
            work.get_nowait()
            time.sleep(0.05)
        raise Wrong(
            f"an upload that found the queue full got no answer within {LONG:g} seconds: it waits for "
            "a place"
        ) from None


def _accepted(
    answer: httpx.Response, jobs: dict, work: queue.Queue, waiting: int, of: int | None = None
) -> str:
    if answer.status_code == 404:
        raise Wrong("there is no `POST /photos`")
    if answer.status_code == 422:
        raise Wrong(f"two files in the field `files` are refused: {answer.text:.120}")
    if answer.status_code != 202:
        raise Wrong(f"with room in the queue an upload gets {answer.status_code}, not 202")
    location = answer.headers.get("location")
    if location is None:
        raise Wrong("the 202 has no `Location`: where should the client look?")
    if not location.startswith("jobs/"):
        raise Wrong(f"`Location` is {location!r}: `jobs/` and the id, no more")
    id = location.removeprefix("jobs/")
    if id not in jobs:
        raise Wrong(f"`Location` names the job {id!r}, and `jobs` has no such id: a 404 in waiting")
    wanted = {"id": id, "state": "queued", "total": 2}
    if any(jobs[id].get(key) != value for key, value in wanted.items()):
        raise Wrong(f"the job is {jobs[id]}, not {wanted}")
    if len(work.queue) != waiting:
        raise Wrong(f"{of or waiting} uploads were accepted, and {len(work.queue)} wait in `work`")
    return id


def _task(task: object) -> tuple[Any, Any]:
    if not isinstance(task, tuple | list) or len(task) != 2:
        raise Wrong(f"the worker expects `(job, contents)`, and gets {task!r:.60}")
    return task[0], task[1]


def _refused(answer: httpx.Response, jobs: dict) -> None:
    if answer.is_success:
        raise Wrong(f"the queue was full, and the upload got a {answer.status_code} all the same")
    if answer.status_code == 500:
        raise Wrong(
            "the queue was full, and the service broke (500). Asking `full()` first does not help: "
            "another request may take the last place in between"
        )
    if answer.status_code != 503:
        raise Wrong(f"the queue was full: that is a 503, not a {answer.status_code}")
    if not answer.headers.get("retry-after", "").isdecimal():
        raise Wrong("the 503 has no `Retry-After` in seconds: when should the client come back?")
    if len(jobs) != 3:
        raise Wrong(
            "the upload was refused, and its job is in `jobs` all the same, queued for ever"
        )


# ------------------------------------------------------------------------------------------- 8.4


class _Watched:
    """A service with one job, and what its watchers' handlers do."""

    def __init__(self, events: Callable) -> None:
        self.job = {"state": "running", "done": 0, "total": 5000, "finished_at": None}
        self.reads, self.beats = 0, 0
        self.ended: list[threading.Event] = []
        self.raised: list[BaseException] = []
        self.events = events
        self.app = FastAPI(title="check 8.4")
        self.app.websocket("/events")(self.handle)

    def read(self) -> dict:
        self.reads += 1
        return dict(self.job)

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self.beats += 1

    async def handle(self, websocket: WebSocket) -> None:
        beating, ended = asyncio.create_task(self.beat()), threading.Event()
        self.ended.append(ended)
        try:
            await self.events(websocket, self.read)
        except WebSocketDisconnect:
            pass
        except Exception as error:
            self.raised.append(error)
        finally:
            beating.cancel()
            ended.set()

    @contextmanager
    def watch(self, port: int) -> Iterator[ClientConnection]:
        address = f"ws://127.0.0.1:{port}/events"
        try:
            with websocket(address, open_timeout=LONG, close_timeout=LONG) as watcher:
                yield watcher
        except (OSError, ValueError, WebSocketException) as error:
            why = f": {self.raised[0]!r}" if self.raised else f" ({type(error).__name__})"
            raise Wrong(f"the connection did not open or broke{why}; is it accepted?") from None

    def told(self, watcher: ClientConnection, what: str) -> dict:
        try:
            return json.loads(watcher.recv(timeout=LONG))
        except TimeoutError:
            raise Wrong(f"{what} was not told within {LONG:g} seconds") from None
        except ConnectionClosed:
            why = f": {self.raised[0]!r}" if self.raised else ""
            raise Wrong(f"the connection closed before {what} was told{why}") from None
        except ValueError:
            raise Wrong(f"{what} came as something that is not JSON: use `send_json`") from None


@register(
    "8.4",
    "`gone = asyncio.create_task(websocket.receive())` listens in the background; `gone.done()` is "
    "True once the client has left.",
    "The loop is `while not gone.done()`. Remember what was sent last, and send only what differs.",
    "`await asyncio.wait({gone}, timeout=0.1)` is a pause of 0.1 s that a goodbye cuts short. After "
    "the last state: `await websocket.close()`, and leave the loop.",
    seconds=40,
)
def events(events: Callable) -> str:
    """A WebSocket handler that tells what is new and ends when nobody listens."""
    watched = _Watched(events)
    with launch(watched.app, "check 8.4") as service:
        try:
            _tells_changes(watched, service.port)
            _tells_the_newest(watched, service.port)
            _ends_when_the_client_leaves(watched, service.port)
            _closes_after_the_last(watched, service.port)
        finally:
            watched.job["finished_at"] = "now"  # lets handlers end that can
    return "everyone who listens hears what is new, and nobody is told who has left"


def _tells_changes(watched: _Watched, port: int) -> None:
    with watched.watch(port) as watcher:
        if watched.told(watcher, "the state at the start") != watched.job:
            raise Wrong("what was told at the start is not what `read()` returns")
        watched.reads = watched.beats = 0
        begun = time.monotonic()
        try:
            again = watcher.recv(timeout=1)
        except TimeoutError:
            pass
        else:
            raise Wrong(f"nothing changed, and the client was told once more: {again!s:.60}")
        seconds = time.monotonic() - begun
        if watched.reads > 40 * seconds:
            raise Wrong(
                f"`read()` was called {watched.reads} times in a second: 0.1 s between two looks is "
                "enough"
            )
        watched.job["done"] = 1
        if watched.told(watcher, "a change")["done"] != 1:
            raise Wrong("after a change the client was told the old state")
    # many at once, for a handler that blocks the loop blocks it for all
    with watched.watch(port), watched.watch(port), watched.watch(port), watched.watch(port):
        time.sleep(0.3)
        watched.beats = 0
        time.sleep(1)
        if watched.beats < 40:  # of 4 x 100 that a free loop has time for
            raise Wrong("with four watchers the event loop hardly moves: a pause is `await`ed")


def _tells_the_newest(watched: _Watched, port: int) -> None:
    with watched.watch(port) as watcher:
        first = watched.told(watcher, "the state at the start")["done"]
        for _ in range(1000):
            watched.job["done"] += 1
            time.sleep(0.0005)
        number = 0
        while first != watched.job["done"]:
            first, number = watched.told(watcher, "the newest state")["done"], number + 1
        if number > 300:
            raise Wrong(
                f"1,000 quick changes made {number} messages: the newest of 0.1 s is enough"
            )


def _ends_when_the_client_leaves(watched: _Watched, port: int) -> None:
    with watched.watch(port) as watcher:
        watched.told(watcher, "the state at the start")
        ended = watched.ended[-1]
    if not ended.wait(LONG):
        raise Wrong("the client has left, nothing changed, and its handler still runs: a ghost")
    if watched.raised:
        raise Wrong(f"when the client left, the handler raised {watched.raised[0]!r}")


def _closes_after_the_last(watched: _Watched, port: int) -> None:
    with watched.watch(port) as watcher:
        watched.told(watcher, "the state at the start")
        watched.job |= {"state": "done", "finished_at": "2026-03-03T12:00:00"}
        last = watched.told(watcher, "the end of the job")
        if last["finished_at"] is None:
            raise Wrong("the last message does not say that the job has ended")
        try:
            more = watcher.recv(timeout=LONG)
        except TimeoutError:
            raise Wrong("the job has ended, and the connection stays open") from None
        except ConnectionClosed:
            pass
        else:
            raise Wrong(f"after the end of the job came one message more: {more!s:.60}")
    if watched.raised:
        raise Wrong(f"at the end the handler raised {watched.raised[0]!r}")
