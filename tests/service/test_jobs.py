"""The thread that works jobs off outlives every error, and what it does is bounded."""

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from grpc import RpcError
from pymilvus.exceptions import MilvusException

from app_snippets.service.jobs import Job, Jobs, Loaded, Source
from workshop.errors import WorkshopError


def ended(jobs: Jobs, job_id: str) -> Job:
    """The job, once it has come to its end."""
    with jobs._lock:
        assert jobs._lock.wait_for(lambda: jobs.get(job_id).finished_at, timeout=30)
    return jobs.get(job_id)


@pytest.fixture
def start(tmp_path):
    """start(load, settle) runs Jobs in a folder of the test's own, again and again if need be."""
    running: list[Jobs] = []

    def begin(load=lambda source, stopped: None, settle=lambda: None, capacity=4) -> Jobs:
        if running:
            running.pop().close()
        jobs = Jobs(tmp_path / "service", load, settle, capacity)
        jobs.start()
        running.append(jobs)
        return jobs

    yield begin
    running.pop().close()


def post(jobs: Jobs, count: int = 1) -> str:
    with jobs.new() as job:
        for n in range(count):
            (path := job.path()).write_bytes(b"upload")
            job.sources.append(Source(path, f"{n}.png", "uploads"))
    return job.id


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        MilvusException(1, "gone"),
        RpcError("deadline"),
        MemoryError(),
        KeyError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_error_ends_the_worker(start, error):
    failing = [True]

    def load(source, stopped):
        if failing[0]:
            raise error

    def settle():
        if failing[0]:
            raise error

    jobs = start(load, settle)
    first = ended(jobs, post(jobs))
    assert first.state in ("failed", "interrupted")
    assert len(first.failed) == 1
    failing[0] = False
    assert ended(jobs, post(jobs)).state == "done"


def test_what_cannot_be_written_down_is_kept_and_written_when_it_can(start, tmp_path):
    jobs = start(lambda source, stopped: Loaded() if go_on.wait(30) else None)
    go_on = threading.Event()
    job_id = post(jobs, 3)
    table = jobs._table
    table.execute("PRAGMA query_only = ON")  # SQLite itself refuses every write
    go_on.set()
    job = ended(jobs, job_id)
    assert (job.state, job.done) == ("done", 3)
    assert not jobs.busy()
    with pytest.raises(sqlite3.Error):  # a new one is refused: it could not be remembered
        post(jobs)
    assert not list((tmp_path / "service" / "incoming").iterdir())
    table.execute("PRAGMA query_only = OFF")
    assert ended(jobs, post(jobs)).state == "done"
    again = start()
    assert again.get(job_id) == job


def test_uploads_are_removed_one_by_one_and_what_came_from_elsewhere_stays(start, tmp_path):
    (sample := tmp_path / "sample.png").write_bytes(b"sample")
    seen = []
    jobs = start(lambda source, stopped: seen.append(len(list(source.path.parent.iterdir()))))
    with jobs.new() as job:
        for n in range(3):
            (path := job.path()).write_bytes(b"upload")
            job.sources.append(Source(path, f"{n}.png", "uploads"))
        job.sources.append(Source(sample, "sample.png", "uploads"))
    ended(jobs, job.id)
    assert seen[:3] == [3, 2, 1]
    assert sample.read_bytes() == b"sample"


def test_each_failure_is_written_twice_at_most_however_many_there_are(start):
    """Once as it comes, once in the job that has ended."""

    def load(source, stopped):
        go_on.wait(30)
        raise WorkshopError(f"{source.name} is no picture: {'x' * 100}")

    written, go_on = [], threading.Event()
    jobs = start(load)
    jobs._table.set_trace_callback(lambda statement: written.append(len(statement)))
    job_id = post(jobs, 500)
    go_on.set()
    job = ended(jobs, job_id)
    assert len(job.failed) == 500
    assert sum(written) < 4 * len(job.model_dump_json()) + 500 * 500
    assert start().get(job_id) == job


def test_failures_of_a_killed_job_are_told(start, tmp_path):
    def load(source, stopped):
        if source.name == "2.png":
            here.set()
            go_on.wait(30)
        raise WorkshopError("no picture")

    here, go_on = threading.Event(), threading.Event()
    jobs = start(load)
    job_id = post(jobs, 4)
    assert here.wait(30)
    copy: Path = tmp_path / "copy"  # what a kill leaves
    shutil.copytree(tmp_path / "service", copy)
    go_on.set()
    again = Jobs(copy, load, lambda: None, 1)
    job = again.get(job_id)
    again.start()
    again.close()
    assert (job.state, [failure.name for failure in job.failed]) == (
        "interrupted",
        ["0.png", "1.png"],
    )


def test_a_table_of_an_earlier_version_is_read(start, tmp_path):
    (tmp_path / "service").mkdir()
    with sqlite3.connect(tmp_path / "service" / "jobs.sqlite") as table:
        table.execute(
            "CREATE TABLE jobs (id TEXT PRIMARY KEY, job TEXT NOT NULL, "
            "state TEXT AS (json_extract(job, '$.state')), "
            "created_at TEXT AS (json_extract(job, '$.created_at')))"
        )
        table.execute(
            "INSERT INTO jobs (id, job) VALUES ('old', ?)",
            (
                '{"id": "old", "state": "done", "total": 1, "done": 0, "failed": '
                '[{"name": "a", "reason": "b"}], "created_at": "2026-01-01T00:00:00Z", '
                '"finished_at": "2026-01-01T00:00:01Z"}',
            ),
        )
    table.close()
    assert start().get("old").failed[0].reason == "b"


def test_what_milvus_will_not_take_is_told_and_the_rest_goes_in(start):
    """Another try would not help, and the next item has nothing to do with it."""

    def load(source, stopped):
        if source.name == "1.png":
            raise MilvusException(6, "value length 40 exceeds max_length=32")

    jobs = start(load)
    job = ended(jobs, post(jobs, 3))
    assert (job.state, job.done) == ("done", 2)
    assert job.failed[0].reason == "Milvus refuses it: value length 40 exceeds max_length=32."


def test_an_id_that_cannot_be_one_is_refused_where_it_is_made():
    with pytest.raises(ValueError, match=r"uuid5\(NAMESPACE_URL, name\)\.hex"):
        Source(None, "a", "b", id="12345678-1234-1234-1234-123456789012")
