"""Checks of chapter 08, work that takes time. Answers that are services are called over HTTP."""

import asyncio
import inspect
import json
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as websocket

from workshop.checks import Wrong, own_traceback, register
from workshop.checks.serving import own_error, serving

LONG = 2.0  # seconds: more than any answer that waits for nothing takes on a busy laptop


@contextmanager
def _served(app: object) -> Iterator[httpx.Client]:
    if not isinstance(app, FastAPI):
        what = "nothing" if app is None else type(app).__name__
        raise Wrong(f"your function returns {what}, not the app: is `return app` still there?")
    with serving(app) as service, httpx.Client(base_url=service.url, timeout=LONG) as client:
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
        self.began, self.go_on = threading.Event(), threading.Event()
        self.given: list[object] = []

    def __call__(self, content: bytes) -> int:
        self.given.append(content)
        self.began.set()
        self.go_on.wait(10)
        return len(content) if isinstance(content, bytes) else -1


@register(
    "8.1",
    "Which line of the frozen service made everybody wait? Let another thread do that line.",
    "Drop `async`: FastAPI runs an endpoint that is a plain `def` in a thread of its own. There, "
    "`file.file.read()` gives all bytes of an upload.",
    "Or keep `async def`: `await file.read()` gives the bytes, and `await asyncio.to_thread(function, argument)` "
    "runs a function in a thread. Hand it the function and the argument, not the result.",
    seconds=40,
)
def thawed(thawed: Callable) -> str:
    """A blocking function behind an endpoint that does not block."""
    slow, large = _Slow(), bytes(range(256)) * 12_000
    with _served(thawed(slow)) as client, ThreadPoolExecutor() as pool:
        first = pool.submit(client.post, "/load", files={"file": b"three photos"}, timeout=20)
        second = None
        try:
            _while_it_counts(client, slow, first)
            second = pool.submit(client.post, "/load", files={"file": large}, timeout=20)
            end = time.monotonic() + 3  # an answer may count one after the other
            while len(slow.given) < 2 and time.monotonic() < end:
                time.sleep(0.02)
        finally:
            slow.go_on.set()
        _counted(first.result(), slow, b"three photos")
        _counted(second.result(), slow, large)
        for content in (b"x", b"yz", b""):
            answer = client.post("/load", files={"file": content or b"zero"}, timeout=20)
            _counted(answer, slow, content or b"zero")
    return "the load takes its time, and nobody else's"


def _counted(answer: httpx.Response, slow: _Slow, content: bytes) -> None:
    if answer.status_code == 500:
        raise Wrong(f"`POST /load` answered 500: {own_error() or 'your code raised an error'}")
    if not answer.is_success:
        raise Wrong(f"`POST /load` answered {answer.status_code} {answer.text:.80}")
    strange = [given for given in slow.given if not isinstance(given, bytes)]
    if strange:
        raise Wrong(f"`count` was given {type(strange[0]).__name__}, not the bytes of the file")
    if content not in slow.given:
        sizes = ", ".join(f"{len(given):,}" for given in slow.given)
        raise Wrong(
            f"a file of {len(content):,} bytes was sent, and `count` was given {sizes} bytes: not "
            "all of it, or another one's"
        )
    if _json(answer) != {"count": len(content)}:
        raise Wrong(
            f"for {len(content):,} bytes `POST /load` answered {answer.text:.80}, not "
            f'{{"count": {len(content)}}}'
        )


def _while_it_counts(client: httpx.Client, slow: _Slow, upload: Any) -> None:
    end = time.monotonic() + 8
    while not slow.began.wait(0.05):
        if upload.done() or time.monotonic() > end:
            answer = upload.result() if upload.done() else None
            if answer is not None and answer.status_code == 404:
                raise Wrong("there is no `POST /load`")
            if answer is not None and answer.status_code == 500:
                raise Wrong(f"`POST /load` answered 500: {own_error() or 'your code raised'}")
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
    wait([upload], timeout=0.3)
    if upload.done():
        raise Wrong(
            "`POST /load` answered before `count` was done: it does not wait for the result"
        )


# ------------------------------------------------------------------------------------------- 8.2

_JOBS = [  # neither in the order of created_at, nor of ids; and 9.5 is less than 10, and 100 than 90,000
    ("a", "queued", 90_000.0),
    ("done", "done", 8.0),
    ("half", "running", 9.5),
    ("broken", "failed", 7.0),
    ("z", "queued", 100.0),
    ("stopped", "interrupted", 6.0),
    ("m", "queued", 9.5),
    ("other half", "running", 12_000.0),
    ("b", "queued", 10.0),
    ("k", "queued", 2_000.0),
]
_WAITING = ["m", "b", "z", "k", "a"]


@register(
    "8.2",
    "You need two statements of SQL: one that changes rows, and one that reads ids.",
    "An `UPDATE jobs SET … WHERE …` belongs to a *transaction*, which only `table.commit()` makes lasting. "
    "`ORDER BY created_at` is oldest first.",
    "`SELECT id …` gives rows, and a row is a tuple of one value: `[row[0] for row in rows]`.",
)
def recover(recover: Callable) -> str:
    """What a new process makes of the table that a dead one left."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "jobs.sqlite"
        with closing(sqlite3.connect(path)) as table:
            table.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, state TEXT, created_at REAL)")
            table.executemany("INSERT INTO jobs VALUES (?, ?, ?)", _JOBS)
            table.commit()
        first, states = _recovered_once(recover, path)
        _recovered(first, states)
        again, after = _recovered_once(recover, path)
        if again != first or after != states:
            raise Wrong(
                "after a second crash the answer is another one: jobs that still wait must still be "
                "found"
            )
    return "what waited goes on, what was half done says so, and a second crash changes nothing"


def _recovered_once(recover: Callable, path: Path) -> tuple[list[str], dict]:
    with closing(sqlite3.connect(path)) as table:
        ids = _ids(recover(table))
        try:
            unfinished = table.in_transaction and table.total_changes
            table.execute("SELECT 1")
        except sqlite3.ProgrammingError:
            raise Wrong("the connection is closed: the program still needs it") from None
    # closed without a commit, as by a crash: what is read now is what lasted
    states = _states(path)
    if unfinished and states["half"][0] != "running":
        raise Wrong("a change is left without a commit: a crash would undo it")
    return ids, states


def _states(path: Path) -> dict[str, tuple[str, float]]:
    with closing(sqlite3.connect(path)) as table:
        rows = table.execute("SELECT id, state, created_at FROM jobs").fetchall()
    return {id: (state, created_at) for id, state, created_at in rows}


def _ids(answer: object) -> list[str]:
    if answer is None:
        raise Wrong("`recover` returns nothing: the ids of the queued jobs are wanted")
    if not isinstance(answer, list | tuple):
        raise Wrong(f"a list of ids is wanted, not {answer!r:.60}")
    if answer and isinstance(answer[0], tuple):
        raise Wrong(f"a list of ids is wanted, this is a list of rows: {answer[0]!r}")
    return list(answer)


def _recovered(ids: list[str], states: dict[str, tuple[str, float]]) -> None:
    before = {id: (state, created_at) for id, state, created_at in _JOBS}
    if lost := sorted(before.keys() - states.keys()):
        raise Wrong(f"the job {lost[0]!r} is gone from the table: somebody will ask for it")
    for id in ("half", "other half"):
        state = states[id][0]
        if state == "running":
            raise Wrong(
                f"in the file the job {id!r}, which was running, still says so: is every such job "
                "changed, and is the change committed, or lost with the connection?"
            )
        if state != "interrupted":
            raise Wrong(f"the job that was running is now {state!r}, not 'interrupted'")
    for id, (state, created_at) in before.items():
        if state != "running" and states[id][0] != state:
            raise Wrong(f"a job that was {state} is now {states[id][0]}: only running ones change")
        if states[id][1] != created_at:
            raise Wrong(f"`created_at` of {id!r} has changed: only the state changes")
    if extra := [id for id in ids if before.get(id, ("never there",))[0] != "queued"]:
        was = before.get(extra[0], ("never there",))[0]
        done_half = ": it was half done, and must not run again" if was == "running" else ""
        raise Wrong(f"{extra[0]!r} is in the list, and it was {was}{done_half}")
    if len(ids) != len(_WAITING):
        raise Wrong(f"{len(_WAITING)} jobs waited, {len(ids)} came back")
    if ids != _WAITING:
        raise Wrong(
            f"the order is {', '.join(ids)}: oldest first, by the number `created_at`, would be "
            f"{', '.join(_WAITING)}"
        )


# ------------------------------------------------------------------------------------------- 8.3


@register(
    "8.3",
    "Which method of a queue puts something in without waiting? And what does it do when there is no room?",
    "`work.put_nowait(...)` raises `queue.Full`. The endpoint's parameters are `files: list[UploadFile]` and "
    "`response: Response`, whose `.headers` can be set.",
    "Read the bytes before you answer: an upload's file is closed afterwards. Put the job into `jobs` only when "
    "`work` has it.",
    '`raise HTTPException(503, "…", {"Retry-After": "5"})` when the queue is full, and '
    '`@app.post("/photos", status_code=202)` for all else.',
    seconds=60,
)
def upload_app(upload_app: Callable) -> str:
    """An upload endpoint with a bounded queue behind it."""
    jobs: dict[str, dict] = {}
    work: queue.Queue = _Contended(2)
    photos = [("files", ("a.webp", b"aaa")), ("files", ("b.webp", b"bb"))]
    with _served(upload_app(jobs, work)) as client:
        taken = [_accepted(_post(client, photos, work), jobs, work, n) for n in (1, 2)]
        if len(set(taken)) < 2:
            raise Wrong("two uploads got the same job id")
        job, contents = _task(work.get_nowait())
        first = jobs.pop(taken[0])  # as a service does that forgets old jobs
        if job is not first:
            raise Wrong(
                "the worker gets another dict than `jobs` has: what it notes there, nobody would see"
            )
        if contents != [b"aaa", b"bb"]:
            raise Wrong(
                f"the worker gets {contents!r:.60}, not the bytes of the files: an upload's file is "
                "closed when the request ends"
            )
        taken.append(_accepted(_post(client, photos[:1], work), jobs, work, 2, of=3, total=1))
        if len(set(taken)) < 3:
            raise Wrong("an id came back that an earlier job had: each job needs a new one")
        _refused(_post(client, photos, work), jobs, 2)
        _rush(client, jobs, work)
    return "taken on, or told to come back; nobody is left waiting in the door"


def _rush(client: httpx.Client, jobs: dict, work: queue.Queue) -> None:
    """Eight at once for two places: between asking and putting, another may take the place."""
    while work.queue:
        work.get_nowait()
    jobs.clear()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(client.post, "/photos", files=[("files", b"x")]) for _ in range(8)]
    answers = [future.result() for future in sent if not future.exception()]
    found = sorted(answer.status_code for answer in answers)
    if 500 in found or len(answers) < 8:
        raise Wrong(
            f"of eight uploads at once for two places, some broke ({found}). Asking `full()` first does "
            "not help: another request may take the last place in between"
        )
    if found != [202, 202] + [503] * 6:
        raise Wrong(f"eight uploads at once for two places were answered {found}")
    if len(jobs) != 2 or len(work.queue) != 2:
        raise Wrong(f"two of eight were accepted, and {len(jobs)} are in `jobs`")


class _Contended(queue.Queue):
    """Takes its time to tell how full it is: others come in between, unless a lock keeps them out."""

    def full(self) -> bool:
        answer = super().full()
        time.sleep(0.05)
        return answer

    def qsize(self) -> int:
        answer = super().qsize()
        time.sleep(0.05)
        return answer


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
    answer: httpx.Response,
    jobs: dict,
    work: queue.Queue,
    waiting: int,
    of: int | None = None,
    total: int = 2,
) -> str:
    if answer.status_code == 404:
        raise Wrong("there is no `POST /photos`")
    if answer.status_code == 422:
        raise Wrong(f"two files in the field `files` are refused: {answer.text:.120}")
    if answer.status_code == 500:
        raise Wrong(f"an upload is answered 500: {own_error() or 'your code raised an error'}")
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
    wanted = {"id": id, "state": "queued", "total": total}
    if not isinstance(jobs[id], dict) or any(jobs[id].get(k) != v for k, v in wanted.items()):
        raise Wrong(f"the job is {jobs[id]}, not {wanted}")
    if len(work.queue) != waiting:
        raise Wrong(f"{of or waiting} uploads were accepted, and {len(work.queue)} wait in `work`")
    return id


def _task(task: object) -> tuple[Any, Any]:
    if not isinstance(task, tuple | list) or len(task) != 2:
        raise Wrong(f"the worker expects `(job, contents)`, and gets {task!r:.60}")
    return task[0], task[1]


def _refused(answer: httpx.Response, jobs: dict, accepted: int) -> None:
    if answer.is_success:
        raise Wrong(f"the queue was full, and the upload got a {answer.status_code} all the same")
    if answer.status_code == 500:
        raise Wrong(
            f"the queue was full, and the service broke (500): {own_error() or 'your code raised'}"
        )
    if answer.status_code != 503:
        raise Wrong(f"the queue was full: that is a 503, not a {answer.status_code}")
    if not answer.headers.get("retry-after", "").isdecimal():
        raise Wrong("the 503 has no `Retry-After` in seconds: when should the client come back?")
    if len(jobs) != accepted:
        raise Wrong(
            "the upload was refused, and its job is in `jobs` all the same, queued for ever"
        )


# ------------------------------------------------------------------------------------------- 8.4


class _Watched:
    """A service with one job, and what its watchers' handlers do."""

    def __init__(self, events: Callable) -> None:
        self.job = {"state": "queued", "note": "", "done": 0, "total": 5000, "finished_at": None}
        self.reads, self.beats = 0, 0
        self.ended: list[threading.Event] = []
        self.raised: list[BaseException] = []
        self.left: list[str] = []  # names of tasks that a handler left behind
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
        _notice_tasks(own := set())
        try:
            await self.events(websocket, self.read)
        except WebSocketDisconnect:
            pass
        except Exception as error:
            self.raised.append(error)
        finally:
            beating.cancel()
            if own:  # what was cancelled, or hears that the connection is closed, ends soon
                await asyncio.wait(own, timeout=0.5)
            self.left += [task.get_name() for task in own if not task.done()]
            ended.set()

    @contextmanager
    def watch(self, port: int) -> Iterator[ClientConnection]:
        address = f"ws://127.0.0.1:{port}/events"
        try:
            with websocket(address, open_timeout=LONG, close_timeout=LONG) as watcher:
                yield watcher
        except (OSError, ValueError, WebSocketException) as error:
            beats, _ = self.beats, time.sleep(0.3)
            if self.beats == beats and any(not ended.is_set() for ended in self.ended):
                raise Wrong("the event loop does not move: a pause is `await`ed") from None
            why = f" ({type(error).__name__})"
            if self.raised:
                why = f". Your code says:\n{own_traceback(self.raised[0])}\nIn short"
            raise Wrong(f"the connection did not open or broke{why}; is it accepted?") from None

    def told(self, watcher: ClientConnection, what: str) -> dict:
        try:
            return json.loads(watcher.recv(timeout=LONG))
        except TimeoutError:
            raise Wrong(f"{what} was not told within {LONG:g} seconds") from None
        except ConnectionClosed:
            why = f". Your code says:\n{own_traceback(self.raised[0])}" if self.raised else ""
            raise Wrong(f"the connection closed before {what} was told{why}") from None
        except ValueError:
            raise Wrong(f"{what} came as something that is not JSON: use `send_json`") from None


_own_tasks: ContextVar[set[asyncio.Task] | None] = ContextVar("own_tasks", default=None)


def _notice_tasks(own: set[asyncio.Task]) -> None:
    """From here on, tasks that the running one starts, or those that these start, are noted in `own`."""

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task:
        task = asyncio.Task(coroutine, loop=loop, **options)
        if (noted := _own_tasks.get()) is not None:
            noted.add(task)
        return task

    _own_tasks.set(own)
    asyncio.get_running_loop().set_task_factory(make)


@register(
    "8.4",
    "Two things happen at the same time: the loop that looks for news, and the wait for a goodbye. A task can do "
    "the second.",
    "`gone = asyncio.create_task(websocket.receive())` listens in the background. `gone.done()` is True once the "
    "client has left. Remember what was sent last.",
    "`await asyncio.wait({gone}, timeout=0.1)` is a pause of 0.1 seconds that a goodbye cuts short. At the end "
    "`gone.cancel()` leaves no task behind.",
    seconds=60,
)
def events(events: Callable) -> str:
    """A WebSocket handler that tells what is new and ends when nobody listens."""
    watched = _Watched(events)
    if not inspect.iscoroutinefunction(events):
        raise Wrong("`events` is an `async def`, which the service awaits")
    with serving(watched.app) as service:
        try:
            _tells_changes(watched, service.port)
            _tells_each_of_two(watched, service.port)
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
        watched.reads = watched.beats = 0  # the beats tell the time of the loop, however busy it is
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
        if watched.reads < watched.beats / 25:  # 10 are due in 100 beats
            raise Wrong(
                f"`read()` was called {watched.reads} times in about a second: look every 0.1 s"
            )
        for key, value in {"done": 1, "state": "running", "note": "slow", "total": 6000}.items():
            watched.job[key] = value
            if watched.told(watcher, f"a change of {key!r}")[key] != value:
                raise Wrong(f"after a change of {key!r} the client was told the old state")
    # many at once, for a handler that blocks the loop blocks it for all
    with watched.watch(port), watched.watch(port), watched.watch(port), watched.watch(port):
        time.sleep(0.3)
        watched.beats = 0
        time.sleep(1)
        if watched.beats < 40:  # of 4 x 100 that a free loop has time for
            raise Wrong("with four watchers the event loop hardly moves: a pause is `await`ed")


def _tells_each_of_two(watched: _Watched, port: int) -> None:
    with watched.watch(port) as one, watched.watch(port) as two:
        for watcher, name in ((one, "the first"), (two, "the second")):
            if watched.told(watcher, f"of two clients, {name}, at the start,") != watched.job:
                raise Wrong(f"of two clients, {name} was told something else at the start")
        watched.job["done"] += 1
        for watcher, name in ((one, "the first"), (two, "the second")):
            if watched.told(watcher, f"of two clients, {name}: a change") != watched.job:
                raise Wrong(f"of two clients, {name} was told the old state")


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
        told = own_traceback(watched.raised[0])
        raise Wrong(f"when the client left, the handler raised:\n{told}")
    if watched.left:
        raise Wrong("the handler has ended and leaves a task behind, which still waits: cancel it")


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
    if not watched.ended[-1].wait(LONG):
        raise Wrong("the connection is closed, and the handler still runs")
    if watched.raised:
        raise Wrong(f"at the end the handler raised:\n{own_traceback(watched.raised[0])}")
    if watched.left:
        raise Wrong("the handler has ended and leaves a task behind, which still waits: cancel it")
