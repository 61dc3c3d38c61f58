"""Loads that outlive their request: a table of jobs in SQLite, and one thread that works them off."""

import asyncio
import contextlib
import logging
import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel
from pymilvus.exceptions import MilvusException

from workshop.errors import WorkshopError

KEPT_JOBS = 1_000

log = logging.getLogger(__name__)


class Failure(BaseModel):
    """An item of a job that did not go in, and why."""

    name: str
    reason: str


class Job(BaseModel):
    """How far a load is. `done` items are searchable, whatever happens later."""

    id: str
    state: Literal["queued", "running", "done", "failed", "interrupted"]
    total: int
    done: int = 0
    failed: list[Failure] = []
    created_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Source:
    """One item to load: the file that holds it, and what is known of it."""

    path: Path
    name: str
    category: str
    id: str = field(default_factory=lambda: uuid4().hex)
    about: dict[str, str] = field(default_factory=dict)  # further fields of its payload


class Jobs:
    """Runs jobs one after the other, item by item, and remembers them across restarts.

    folder     of the service; `jobs.sqlite` and `incoming/` are in it
    load       puts one item in; a WorkshopError is the item's own fault, its text the reason
    settle     is called after each job, to make searches fast
    capacity   jobs that may wait

    Raises WorkshopError if another process serves from the same folder.
    """

    def __init__(
        self,
        folder: Path,
        load: Callable[[Source], None],
        settle: Callable[[], None],
        capacity: int,
    ) -> None:
        self._load, self._settle = load, settle
        self._incoming = folder / "incoming"
        self._lock = threading.RLock()
        self._table = self._open(folder / "jobs.sqlite")
        self._slots = threading.Semaphore(capacity)
        self._queue: queue.SimpleQueue[tuple[str, Sequence[Source]] | None] = queue.SimpleQueue()
        self._listeners: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Job]]]] = {}
        self._cancelled: set[str] = set()
        self._stopping = False
        self._worker = threading.Thread(target=self._work, name="jobs", daemon=True)

    def _open(self, path: Path) -> sqlite3.Connection:
        table = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
        try:
            # Held until the process ends, however it ends: two services must not share a folder.
            table.execute("PRAGMA locking_mode = EXCLUSIVE")
            table.execute("PRAGMA journal_mode = WAL")
            table.execute(
                "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, job TEXT NOT NULL, "
                "state TEXT AS (json_extract(job, '$.state')), "
                "created_at TEXT AS (json_extract(job, '$.created_at')))"
            )
            table.execute(
                "UPDATE jobs SET job = json_set(job, '$.state', 'interrupted', '$.finished_at', ?) "
                "WHERE state IN ('queued', 'running')",
                (datetime.now(UTC).isoformat(),),
            )
            table.execute(
                "DELETE FROM jobs WHERE id NOT IN "
                "(SELECT id FROM jobs ORDER BY created_at DESC LIMIT ?)",
                (KEPT_JOBS,),
            )
        except sqlite3.OperationalError as error:
            table.close()
            raise WorkshopError(
                f"{path.parent} cannot be used ({error}). If another process serves from it, stop "
                "that one, or give this service another NAME."
            ) from error
        return table

    def start(self) -> None:
        """Clear what an earlier process left half-done, and start to work."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._worker.start()

    def close(self) -> None:
        """Stop after the item in hand; jobs that are not through become interrupted."""
        self._stopping = True
        self._queue.put(None)
        if self._worker.is_alive():
            self._worker.join()
        self._table.close()

    @contextlib.contextmanager
    def new(self) -> Iterator["NewJob"]:
        """Collect the sources of a job; it is queued when the block ends without an error.

        Raises queue.Full if too many jobs wait.
        """
        if not self._slots.acquire(blocking=False):
            raise queue.Full
        job = NewJob(uuid4().hex, self._incoming)
        try:
            yield job
            self._save(
                Job(
                    id=job.id,
                    state="queued",
                    total=len(job.sources),
                    created_at=datetime.now(UTC),
                )
            )
        except BaseException:
            self._slots.release()
            job.clean()
            raise
        self._queue.put((job.id, job.sources))

    def get(self, job_id: str) -> Job | None:
        """The job as it is now."""
        with self._lock:
            row = self._table.execute("SELECT job FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return Job.model_validate_json(row[0]) if row else None

    def busy(self) -> bool:
        """Whether a job is running or waiting."""
        with self._lock:
            row = self._table.execute(
                "SELECT 1 FROM jobs WHERE state IN ('queued', 'running') LIMIT 1"
            ).fetchone()
        return row is not None

    def cancel(self, job_id: str) -> Job | None:
        """Stop the job after the item in hand; what is in stays in."""
        with self._lock:
            job = self.get(job_id)
            if job and job.state == "running":
                self._cancelled.add(job_id)
            elif job and job.state == "queued":
                job = self._finish(job, "interrupted")
        return job

    @contextlib.contextmanager
    def listen(self, job_id: str) -> Iterator[asyncio.Queue[Job]]:
        """A queue with the job as it is now, and then each change; for the running event loop."""
        listener = (asyncio.get_running_loop(), asyncio.Queue())
        with self._lock:
            self._listeners.setdefault(job_id, []).append(listener)
            if job := self.get(job_id):
                listener[1].put_nowait(job)
        try:
            yield listener[1]
        finally:
            with self._lock:
                self._listeners[job_id].remove(listener)
                if not self._listeners[job_id]:
                    del self._listeners[job_id]

    def _save(self, job: Job) -> None:
        with self._lock:
            self._table.execute(
                "INSERT INTO jobs (id, job) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET job = excluded.job",
                (job.id, job.model_dump_json()),
            )
            for loop, changes in self._listeners.get(job.id, []):
                with contextlib.suppress(RuntimeError):  # its loop is closed: nobody listens
                    loop.call_soon_threadsafe(changes.put_nowait, job.model_copy(deep=True))

    def _finish(self, job: Job, state: str) -> Job:
        job = job.model_copy(update={"state": state, "finished_at": datetime.now(UTC)})
        self._save(job)
        return job

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            job_id, sources = task
            self._slots.release()
            try:
                self._run(job_id, sources)
            except Exception:
                log.exception("job %s", job_id)
                self._finish(self.get(job_id), "failed")
            NewJob(job_id, self._incoming).clean()

    def _run(self, job_id: str, sources: Sequence[Source]) -> None:
        with self._lock:
            job = self.get(job_id)
            if job.state != "queued":  # cancelled while it waited
                return
            if self._stopping:
                self._finish(job, "interrupted")
                return
            job.state = "running"
            self._save(job)
        state = None
        for source in sources:
            if self._stopping or job_id in self._cancelled:
                state = "interrupted"
                break
            try:
                self._load(source)
                job.done += 1
            except WorkshopError as error:
                job.failed.append(Failure(name=source.name, reason=str(error)))
            except (MilvusException, OSError) as error:
                log.exception("loading stopped at %s", source.name)
                reason = (
                    "Milvus does not answer"
                    if isinstance(error, MilvusException)
                    else (f"cannot be written: {error.strerror}")
                )
                job.failed.append(Failure(name=source.name, reason=f"{reason}; loading stopped."))
                state = "interrupted"
                break
            except Exception:
                log.exception("loading %s", source.name)
                job.failed.append(
                    Failure(name=source.name, reason="Unexpected error, see the log.")
                )
            self._save(job)
        try:
            self._settle()
        except Exception:
            log.exception("settling after job %s", job_id)  # slower searches, nothing lost
        self._cancelled.discard(job_id)
        self._finish(job, state or ("failed" if job.failed and not job.done else "done"))


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

    def clean(self) -> None:
        """Remove what was uploaded."""
        shutil.rmtree(self._folder, ignore_errors=True)
