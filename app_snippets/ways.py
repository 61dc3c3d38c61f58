"""Six ways to run a load that takes time: which of them still know of it after a kill?

`uvicorn app_snippets.ways:app`. Chapter 08 runs it with `own_process`, kills it and starts it again.
"""

import asyncio
import logging
import os
import queue
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import uvicorn
from fastapi import BackgroundTasks, FastAPI, HTTPException
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app_snippets.service.guard import Confined
from workshop.paths import home

log = logging.getLogger(__name__)


class Settings(BaseSettings):
    """Read from variables such as `WAYS_SECONDS`."""

    model_config = SettingsConfigDict(env_prefix="WAYS_")
    table: Path = Field(default_factory=lambda: home() / "ways.sqlite")
    seconds: float = Field(2.0, gt=0)  # that a load takes


class Job(BaseModel):
    """A load, and what is known of it: queued, running, done or interrupted."""

    id: str
    state: str


class Table:
    """Jobs that are written down. Each call opens the file anew, so any thread may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._run("CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, state TEXT NOT NULL)")

    def write(self, job_id: str, state: str) -> None:
        """Remember the state of a job, whatever happens next."""
        self._run("INSERT OR REPLACE INTO jobs VALUES (?, ?)", job_id, state)

    def read(self, job_id: str) -> str | None:
        """The state of a job, or None if there is no such job."""
        rows = self._run("SELECT state FROM jobs WHERE id = ?", job_id)
        return rows[0][0] if rows else None

    def recover(self) -> list[str]:
        """Call a job that was running interrupted; return those that waited, oldest first."""
        self._run("UPDATE jobs SET state = 'interrupted' WHERE state = 'running'")
        return [
            id for (id,) in self._run("SELECT id FROM jobs WHERE state = 'queued' ORDER BY rowid")
        ]

    def _run(self, statement: str, *values: str) -> list[tuple]:
        with closing(sqlite3.connect(self.path)) as table, table:
            return table.execute(statement, values).fetchall()


def create_app(settings: Settings) -> FastAPI:
    """One endpoint a way; `GET /jobs/{id}` says what is known of a job."""
    remembered: dict[str, str] = {}  # in memory: it ends with the process
    in_memory: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    written_down: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.table = Table(settings.table)
        for job_id in app.state.table.recover():
            written_down.put(job_id)
        # daemon: a kill should not wait for the load in hand, nor should the end
        threading.Thread(target=work_off, args=(in_memory, remember), daemon=True).start()
        table = app.state.table
        threading.Thread(target=work_off, args=(written_down, table.write), daemon=True).start()
        yield
        in_memory.put(None)
        written_down.put(None)

    app = FastAPIOffline(title="Ways", lifespan=lifespan)
    app.add_middleware(Confined)

    def slow() -> None:
        time.sleep(settings.seconds)

    def remember(job_id: str, state: str) -> None:
        remembered[job_id] = state

    def work_off(jobs: queue.SimpleQueue[str | None], note) -> None:
        while (job_id := jobs.get()) is not None:
            try:
                note(job_id, "running")
                slow()
                note(job_id, "done")
            except sqlite3.Error:  # a full disk must not end the thread
                log.exception("job %s is looked at again at the next start", job_id)

    def new_job(note) -> Job:
        job = Job(id=uuid4().hex, state="queued")
        note(job.id, job.state)
        return job

    @app.post("/async-def")
    async def in_the_loop() -> str:
        slow()  # on purpose: this freezes every other request
        return "done"

    @app.post("/def")
    def in_the_pool() -> str:
        slow()
        return "done"

    @app.post("/to-thread")
    async def in_a_thread() -> str:
        await asyncio.to_thread(slow)
        return "done"

    @app.post("/background", status_code=202)
    def in_background(tasks: BackgroundTasks) -> Job:
        job = new_job(remember)
        tasks.add_task(slow)
        tasks.add_task(remember, job.id, "done")
        return job

    @app.post("/queue", status_code=202)
    def in_a_queue() -> Job:
        job = new_job(remember)
        in_memory.put(job.id)
        return job

    @app.post("/table", status_code=202)
    def in_a_table() -> Job:
        job = new_job(app.state.table.write)
        written_down.put(job.id)
        return job

    @app.get("/jobs/{job_id}")
    def get_job(job_id: str) -> Job:
        state = remembered.get(job_id) or app.state.table.read(job_id)
        if state is None:
            raise HTTPException(404, f"There is no job {job_id!r}.")
        return Job(id=job_id, state=state)

    return app


app = create_app(Settings())


@dataclass(frozen=True)
class OwnProcess:
    """The service in a program of its own: a client of it, and a way to kill it."""

    process: subprocess.Popen
    client: httpx.Client

    def kill(self) -> None:
        """End the program at once, as the system does when memory runs out."""
        self.process.kill()
        self.process.wait()


@contextmanager
def own_process() -> Iterator[OwnProcess]:
    """Run `python -m app_snippets.ways` in a block; at its end the program is killed."""
    command = [sys.executable, "-m", "app_snippets.ways"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # noqa: S603
        try:
            ready = next(line for line in process.stderr if "running on" in line)
            with httpx.Client(base_url=ready.split()[4], timeout=30) as client:
                yield OwnProcess(process, client)
        finally:
            process.kill()


def _end_with_the_parent() -> None:
    sys.stdin.read()  # returns when the other end of the pipe closes, however the parent ended
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    uvicorn.run(app, port=0, access_log=False)
