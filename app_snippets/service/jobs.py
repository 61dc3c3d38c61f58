"""Loads that outlive their request: a table of jobs in SQLite, and one thread that works them off.

How jobs stand is kept in memory and written down as soon as that is possible: a full disk stops
neither the thread nor the answers.
"""

import asyncio
import contextlib
import errno
import logging
import os
import queue
import re
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from grpc import RpcError
from pydantic import BaseModel
from pymilvus.exceptions import MilvusException

from app_snippets.service.guard import deny
from app_snippets.service.problems import ProblemError, is_refusal, why
from workshop.errors import Stopped, WorkshopError

KEPT_JOBS = 1_000
TOLD_ROWS = 100  # of a file that are none; of the others the number is told
ROOM = 4 * 1024 * 1024  # bytes that must be free for a job to be taken
ID = re.compile(r"[0-9a-f]{32}")  # of an item
RETRY = 1.0  # seconds until what could not be written down is tried again

log = logging.getLogger(__name__)


class Failure(BaseModel):
    """An item of a job that did not go in, and why."""

    name: str
    reason: str
    number: int = 0  # its place in the upload, from 1: two files may have one name
    row: int | None = None  # of a file of many, from 1; the others of it may be in


class Job(BaseModel):
    """How far a load is. `done` files are searchable, whatever happens later."""

    id: str
    state: Literal["queued", "running", "done", "failed", "interrupted"]
    total: int
    done: int = 0
    items: int = 0  # that the files became: one may hold many
    failed: list[Failure] = []
    created_at: datetime
    finished_at: datetime | None = None


def check_id(item_id: str) -> None:
    """Raises ValueError for what cannot be the id of an item."""
    if not (isinstance(item_id, str) and ID.fullmatch(item_id)):
        raise ValueError(
            f"{item_id!r} is no id: take uuid4().hex, or uuid5(NAMESPACE_URL, name).hex"
        )


@dataclass(frozen=True)
class Source:
    """One thing to load, and what is known of it.

    path     the file that holds it; None if it is in `content`
    content  what was sent in the body of a request (of a service of texts, a text), or where the
             samples of a service are
    id       of the item, if it is one: 32 digits, as `uuid4().hex` gives them
    about    further fields of its payload
    """

    path: Path | None
    name: str
    category: str
    id: str = field(default_factory=lambda: uuid4().hex)
    about: dict[str, Any] = field(default_factory=dict)
    content: Any = None

    def __post_init__(self) -> None:
        check_id(self.id)


@dataclass(frozen=True)
class Loaded:
    """What a source became: so many items, and the rows that are none (number, why)."""

    items: int = 1
    bad: Sequence[tuple[int, str]] = ()


class Jobs:
    """Runs jobs one after the other, item by item, and remembers them across restarts.

    folder     of the service; `jobs.sqlite` and `incoming/` are in it
    load       puts one source in, and says what it became; a WorkshopError is the source's own fault,
               its text the reason. Where it takes long it asks its second argument whether to stop,
               and raises Stopped
    settle     is called after each job, to make searches fast
    capacity   jobs that may wait

    Raises WorkshopError if another process serves from the same folder, or it cannot be written.
    A table that is damaged is put aside, and a new one begun.
    """

    def __init__(
        self,
        folder: Path,
        load: Callable[[Source, Callable[[], bool]], Loaded | None],
        settle: Callable[[], None],
        capacity: int,
    ) -> None:
        self._load, self._settle, self._capacity = load, settle, capacity
        self._incoming = folder / "incoming"
        self._table = _open(folder / "jobs.sqlite")
        self._lock = threading.Condition()  # over all below; told when there is work, or an end
        self._taken = 0  # places of jobs that wait, or are being collected
        self._waiting: dict[str, list[Source]] = {}
        self._live: dict[str, Job] = {}  # those that have not ended, or whose end is not written
        self._unwritten: set[str] = set()
        self._told: dict[str, int] = {}  # failures of a live job that are in the table
        self._cancelled: set[str] = set()
        self._watchers: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._stopping = False
        self._worker = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Clear what an earlier process left half-done, and start to work."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._worker.start()

    def close(self) -> None:
        """Stop after the item in hand, or in it if that takes long; the rest is interrupted."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        if self._worker.is_alive():
            self._worker.join()
        for job_id in list(self._waiting):
            self.cancel(job_id)
        self._table.close()

    @contextlib.contextmanager
    def new(self) -> Iterator["NewJob"]:
        """Collect the sources of a job; it is queued when the block ends without an error.

        Raises queue.Full if too many jobs wait, and OSError or sqlite3.Error if there is no room
        for one more: it is refused now rather than broken off later.
        """
        with self._lock:
            if self._taken >= self._capacity:
                raise queue.Full
            self._taken += 1
        job = NewJob(uuid4().hex, self._incoming)
        try:
            self._ensure_room()
            yield job
            queued = Job(
                id=job.id, state="queued", total=len(job.sources), created_at=datetime.now(UTC)
            )
            with self._lock:
                self._write(queued)
                self._live[job.id] = queued
                self._waiting[job.id] = job.sources
                self._lock.notify_all()
        except BaseException:
            with self._lock:
                self._taken -= 1
            job.clean()
            raise

    def _ensure_room(self) -> None:
        self._incoming.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._incoming).free < ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryFile(dir=self._incoming) as probe:  # a quota is no part of the disk
            probe.write(bytes(4096))

    def get(self, job_id: str) -> Job | None:
        """The job as it is now. It is one moment's: later ones do not change it."""
        with self._lock:
            if job := self._live.get(job_id):
                return job
            row = self._table.execute("SELECT job FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return Job.model_validate_json(row[0]) if row else None

    def busy(self) -> bool:
        """Whether a job is running or waiting."""
        with self._lock:
            return any(job.finished_at is None for job in self._live.values())

    def cancel(self, job_id: str) -> Job | None:
        """Stop the job after the item in hand, or in it if that takes long; what is in stays in.

        One that waits gives its place and its uploads back at once.
        """
        with self._lock:
            job = self.get(job_id)
            if job is None or job.finished_at:
                return job
            if job_id not in self._waiting:
                self._cancelled.add(job_id)
                return job
            del self._waiting[job_id]
            self._taken -= 1
            job = self._finish(job, "interrupted")
        NewJob(job_id, self._incoming).clean()
        return job

    @contextlib.contextmanager
    def ended(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event of the running event loop that is set when the job has come to its end."""
        watcher = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._watchers.setdefault(job_id, []).append(watcher)
            job = self.get(job_id)
            if job is None or job.finished_at:
                watcher[1].set()
        try:
            yield watcher[1]
        finally:
            with self._lock:
                self._watchers[job_id].remove(watcher)
                if not self._watchers[job_id]:
                    del self._watchers[job_id]

    def _save(self, job: Job) -> None:
        """The job is so from now on, whether or not that can be written down at once."""
        with self._lock:
            self._live[job.id] = job
            self._unwritten.add(job.id)
            self._write_down()
            if job.finished_at:
                self._lock.notify_all()
                for loop, event in self._watchers.get(job.id, []):
                    with contextlib.suppress(RuntimeError):  # its loop is closed: nobody listens
                        loop.call_soon_threadsafe(event.set)

    def _finish(self, job: Job, state: str) -> Job:
        job = job.model_copy(update={"state": state, "finished_at": datetime.now(UTC)})
        self._save(job)
        return job

    def _write_down(self) -> None:
        """Bring the table up to date, as far as it takes it."""
        for job_id in list(self._unwritten):
            job = self._live[job_id]
            try:
                self._write(job)
            except sqlite3.Error as error:
                log.error("job %s is kept in memory for now: %s", job_id, why(error))
                return
            self._unwritten.discard(job_id)
            if job.finished_at:
                del self._live[job_id]

    def _write(self, job: Job) -> None:
        """Failures have rows of their own until the end: each is written once, not at each change."""
        new = job.failed[self._told.get(job.id, 0) :]
        row = job if job.finished_at else job.model_copy(update={"failed": []})
        try:
            self._table.execute("BEGIN")
            if job.finished_at:
                self._table.execute("DELETE FROM failures WHERE job = ?", (job.id,))
            else:
                self._table.executemany(
                    "INSERT INTO failures (job, failure) VALUES (?, ?)",
                    [(job.id, failure.model_dump_json()) for failure in new],
                )
            self._table.execute(
                "INSERT INTO jobs (id, job) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET job = excluded.job",
                (job.id, row.model_dump_json()),
            )
            self._table.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):  # it may have been rolled back already
                self._table.execute("ROLLBACK")
            raise
        if job.finished_at:
            self._told.pop(job.id, None)
        else:
            self._told[job.id] = len(job.failed)

    def _work(self) -> None:
        while task := self._next():
            job, sources = task
            try:
                self._run(job, sources)
            except Exception:
                log.exception("job %s", job.id)
                self._finish(self.get(job.id), "failed")
            NewJob(job.id, self._incoming).clean()

    def _next(self) -> tuple[Job, list[Source]] | None:
        """The job to work on, as soon as there is one; None when it is time to stop."""
        with self._lock:
            while not self._waiting and not self._stopping:
                self._lock.wait(RETRY if self._unwritten else None)
                self._write_down()
            if self._stopping:
                return None
            job_id = next(iter(self._waiting))
            sources = self._waiting.pop(job_id)
            self._taken -= 1
            job = self._live[job_id].model_copy(update={"state": "running"})
            self._save(job)
            return job, sources

    def _run(self, job: Job, sources: Sequence[Source]) -> None:
        uploads = NewJob(job.id, self._incoming)
        state = None

        def stopped() -> bool:
            return self._stopping or job_id in self._cancelled

        job_id = job.id
        for number, source in enumerate(sources, 1):
            if stopped():
                state = "interrupted"
                break
            reason, loaded = None, Loaded()
            try:
                loaded = self._load(source, stopped) or loaded
            except Stopped:
                state = "interrupted"
                break
            except WorkshopError as error:
                reason = str(error)
            except (MilvusException, RpcError, OSError) as error:
                log.exception("loading %s", source.name)
                reason = f"{why(error)}."
                if not is_refusal(error):  # the next one would fare no better
                    reason, state = f"Loading stopped here. {reason}", "interrupted"
            except Exception:
                log.exception("loading %s", source.name)
                reason = "Unexpected error, see the log."
            uploads.forget(source)
            failed = [
                Failure(name=source.name, reason=row_reason, number=number, row=row)
                for row, row_reason in loaded.bad
            ]
            if reason is None and loaded.items:
                job = job.model_copy(
                    update={"done": job.done + 1, "items": job.items + loaded.items}
                )
            else:
                reason = reason or "None of its rows could be taken in."
                failed.append(Failure(name=source.name, reason=reason, number=number))
            job = job.model_copy(update={"failed": [*job.failed, *failed]})
            self._save(job)
            if state:
                break
        uploads.clean()
        try:
            self._settle()
        except Exception:
            log.exception("settling after job %s", job.id)  # slower searches, nothing lost
        with self._lock:
            self._cancelled.discard(job.id)
            self._finish(job, state or ("failed" if job.failed and not job.done else "done"))


def _open(path: Path) -> sqlite3.Connection:
    """The table of jobs, held until the process ends, however it ends."""
    try:
        return _prepared(path)
    except OSError as error:
        raise WorkshopError(f"{path.parent} cannot be used. {why(error)}.") from error
    except sqlite3.Error as error:
        if _is(error, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise WorkshopError(
                f"{path.parent} is in use: another process serves from it. Stop that one, or give "
                "this service another NAME."
            ) from error
        damaged = _is(error, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
        if not damaged and not path.is_dir():
            raise WorkshopError(f"{path.parent} cannot be used. {why(error)}.") from error
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged{number}")
    log.warning(
        "The table of jobs cannot be read. It is kept as %s, and a new one is begun: what is told "
        "of earlier loads is gone, their items are not.",
        aside,
    )
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    try:
        return _prepared(path)
    except sqlite3.Error as error:
        raise WorkshopError(f"{path.parent} cannot be used. {why(error)}.") from error


def _is(error: sqlite3.Error, *codes: int) -> bool:
    """Whether it is one of SQLite's errors; the lowest byte names it, the others go into detail."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in codes


def _prepared(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
    try:
        table.execute("PRAGMA locking_mode = EXCLUSIVE")  # two services must not share a folder
        table.execute("PRAGMA journal_mode = WAL")
        table.execute(
            "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, job TEXT NOT NULL, "
            "state TEXT AS (json_extract(job, '$.state')), "
            "created_at TEXT AS (json_extract(job, '$.created_at')))"
        )
        table.execute("CREATE TABLE IF NOT EXISTS failures (job TEXT NOT NULL, failure TEXT)")
        table.execute("CREATE INDEX IF NOT EXISTS failures_of ON failures (job)")
        table.execute(
            "UPDATE jobs SET job = json_set(job, '$.state', 'interrupted', '$.finished_at', ?, "
            "'$.failed', (SELECT json_group_array(json(failure)) FROM failures WHERE job = jobs.id)) "
            "WHERE state IN ('queued', 'running')",
            (datetime.now(UTC).isoformat(),),
        )
        table.execute("DELETE FROM failures")
        table.execute(
            "DELETE FROM jobs WHERE id NOT IN "
            "(SELECT id FROM jobs ORDER BY created_at DESC LIMIT ?)",
            (KEPT_JOBS,),
        )
    except BaseException:
        table.close()
        raise
    return table


class NewJob:
    """The sources of a job to be, and the folder that its uploads wait in."""

    def __init__(self, job_id: str, incoming: Path) -> None:
        self.id = job_id
        self.sources: list[Source] = []
        self._folder = incoming / job_id

    def path(self) -> Path:
        """Where to put the next upload: a name of our own, never the client's."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{len(self.sources):05d}"

    def forget(self, source: Source) -> None:
        """Remove an upload that has been worked off; what came from elsewhere stays."""
        if source.path and source.path.parent == self._folder:
            with contextlib.suppress(OSError):
                source.path.unlink()

    def clean(self) -> None:
        """Remove what was uploaded."""
        shutil.rmtree(self._folder, ignore_errors=True)


async def watch(
    websocket: WebSocket, jobs: Jobs, job_id: str, pace: float, send_timeout: float
) -> None:
    """Tell the job's newest state at once, after each change no faster than a person reads, and last.

    pace           seconds between two messages, but the last comes when there is one
    send_timeout   seconds until a client that does not read is let go
    """
    job = await run_in_threadpool(jobs.get, job_id)
    if job is None:
        return await deny(websocket, ProblemError(404, f"There is no job {job_id!r}."))
    await websocket.accept()
    with jobs.ended(job_id) as ended:
        gone, end = asyncio.create_task(_goodbye(websocket)), asyncio.create_task(ended.wait())
        last = None
        try:
            while not gone.done():
                if job != last:
                    async with asyncio.timeout(send_timeout):
                        await websocket.send_text(job.model_dump_json())
                    last = job
                if job.finished_at:
                    async with asyncio.timeout(send_timeout):
                        return await websocket.close()
                await asyncio.wait({gone, end}, timeout=pace, return_when=asyncio.FIRST_COMPLETED)
                job = await run_in_threadpool(jobs.get, job_id)
        except (WebSocketDisconnect, TimeoutError):
            pass  # it left, or stopped reading: there is no one to tell
        finally:
            gone.cancel()
            end.cancel()


async def _goodbye(websocket: WebSocket) -> None:
    """Returns when the client leaves; what it says is of no interest."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
