"""The services of chapter 08: app_snippets/uploads.py and app_snippets/ways.py."""

import asyncio
import io
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from bombs import NEVER
from browser import browser, page  # noqa: F401, fixtures
from PIL import Image
from playwright.sync_api import expect
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

from app_snippets import uploads, ways
from app_snippets.service import jobs
from workshop import datasets, launch
from workshop.errors import WorkshopError

PHOTOS = [("files", (p.path.name, p.path.read_bytes())) for p in datasets.photos()[:12]]
PROBLEM = "application/problem+json"


@contextmanager
def running(**settings) -> Iterator[httpx.Client]:
    app = uploads.create_app(uploads.Settings(**settings))
    with (
        launch(app, settings["name"], timeout=60) as service,
        httpx.Client(base_url=service.url, timeout=30) as client,
    ):
        client.app = app
        yield client


@pytest.fixture(scope="module")
def api():
    with running(name="uploads_test", max_files=20, max_file_bytes=200_000) as client:
        yield client


def until(client: httpx.Client, location: str, *states: str, seconds: float = 30) -> dict:
    end = time.monotonic() + seconds
    while (job := client.get(location).raise_for_status().json())["state"] not in states:
        assert time.monotonic() < end, job
        time.sleep(0.02)
    return job


def events(client: httpx.Client, location: str):
    return websocket(f"ws://127.0.0.1:{client.base_url.port}/{location}/events")


# ------------------------------------------------------------------------------ an upload


def test_an_upload_is_accepted_at_once_and_done_later(api):
    answer = api.post("/photos", files=PHOTOS)
    assert answer.status_code == 202
    assert answer.json()["accepted"] == len(PHOTOS)
    assert answer.headers["location"] == f"jobs/{answer.json()['job_id']}"
    job = until(api, answer.headers["location"], "done")
    assert (job["done"], job["failed"]) == (len(PHOTOS), [])
    assert api.get("/count").json() == {"count": len(PHOTOS)}


def test_the_same_photos_again_add_nothing(api):
    until(api, api.post("/photos", files=PHOTOS).headers["location"], "done")
    before = api.get("/count").json()
    until(api, api.post("/photos", files=PHOTOS).headers["location"], "done")
    assert api.get("/count").json() == before


def test_a_file_that_is_no_photo_is_told_and_the_others_go_in(api):
    files = [PHOTOS[0], ("files", ("../../etc/notes.txt", b"buy milk")), PHOTOS[1]]
    job = until(api, api.post("/photos", files=files).headers["location"], "done")
    assert job["done"] == 2
    assert [item["name"] for item in job["failed"]] == ["notes.txt"]


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ([("files", ("large.webp", bytes(200_001)))], 413),
        ([("files", ("a", b"x"))] * 21, 413),
        ([("other", ("a", b"x"))], 422),
    ],
    ids=["too large", "too many", "not in the field"],
)
def test_what_does_not_fit_is_refused_as_a_problem(api, files, status):
    answer = api.post("/photos", files=files)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)


def test_an_unknown_job_is_a_404_everywhere(api):
    for method in ("GET", "DELETE"):
        answer = api.request(method, "/jobs/nothing")
        assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    with pytest.raises(InvalidStatus) as refused, events(api, "jobs/nothing"):
        pass
    assert refused.value.response.status_code == 404


def test_another_site_may_not_send_photos(api):
    answer = api.post("/photos", files=PHOTOS[:1], headers={"Origin": "http://elsewhere.test"})
    assert answer.status_code == 403


# -------------------------------------------------------------------------- backpressure


@contextmanager
def held(client: httpx.Client) -> Iterator[threading.Event]:
    """The worker stays in its first photo until the event is set."""
    photos, go_on = client.app.state.photos, threading.Event()
    load = client.app.state.jobs._load

    def waits(source, stopped):
        go_on.wait(20)
        load(source, stopped)

    client.app.state.jobs._load = waits
    try:
        yield go_on
    finally:
        go_on.set()
        client.app.state.jobs._load = photos.load


def test_a_full_queue_refuses_with_retry_after_and_takes_again_when_there_is_room():
    with running(name="uploads_full", max_waiting=2, retry_after=7) as api, held(api) as go_on:
        first = api.post("/photos", files=PHOTOS[:1])
        until(api, first.headers["location"], "running")
        waiting = [api.post("/photos", files=PHOTOS[:1]) for _ in range(2)]
        refused = api.post("/photos", files=PHOTOS[:1])
        assert [answer.status_code for answer in waiting] == [202, 202]
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
        assert api.get("/count").status_code == 200  # full is not frozen
        go_on.set()
        until(api, waiting[1].headers["location"], "done")
        assert api.post("/photos", files=PHOTOS[:1]).status_code == 202


def test_a_cancelled_job_stops_after_the_photo_in_hand():
    with running(name="uploads_cancel") as api, held(api) as go_on:
        location = api.post("/photos", files=PHOTOS).headers["location"]
        until(api, location, "running")
        assert api.delete(location).status_code == 202
        go_on.set()
        job = until(api, location, "interrupted")
        assert (job["done"], api.get("/count").json()) == (1, {"count": 1})


@pytest.mark.parametrize("name", ["max_files", "max_waiting", "pace", "send_timeout"])
def test_a_limit_of_nothing_is_refused_at_the_start(name, monkeypatch):
    monkeypatch.setenv(f"UPLOADS_{name.upper()}", "0")
    with pytest.raises(ValidationError, match=name):
        uploads.Settings()


# ---------------------------------------------------------------------------- the WebSocket


def test_events_tell_the_state_at_once_and_each_change_and_close_after_the_last(api):
    accepted = api.post("/photos", files=PHOTOS)
    with events(api, accepted.headers["location"]) as stream:
        told = [json.loads(message) for message in stream]
    assert stream.close_code == 1000
    assert told[-1] == api.get(accepted.headers["location"]).json()
    assert told[-1]["state"] == "done"
    done = [job["done"] for job in told]
    assert done == sorted(done)
    assert all(a != b for a, b in pairwise(told))


def test_events_are_no_faster_than_the_pace():
    with running(name="uploads_pace", pace=1.0) as api:
        location = api.post("/photos", files=PHOTOS).headers["location"]
        begun = time.monotonic()
        with events(api, location) as stream:
            messages = len(list(stream))
        assert messages <= 2 + (time.monotonic() - begun)


def test_a_watcher_that_leaves_is_let_go_though_nothing_changes(monkeypatch):
    ended = threading.Event()
    goodbye = jobs._goodbye

    async def noted(stream):
        await goodbye(stream)
        ended.set()

    monkeypatch.setattr(jobs, "_goodbye", noted)
    with running(name="uploads_leave") as api, held(api):
        location = api.post("/photos", files=PHOTOS[:1]).headers["location"]
        with events(api, location) as stream:
            stream.recv(timeout=5)
        assert ended.wait(5)


def test_a_watcher_that_does_not_read_is_dropped_after_the_send_timeout():
    """By hand, as an ASGI server whose client reads nothing: no buffer to fill first."""
    with running(name="uploads_slow", send_timeout=0.2) as api:
        location = api.post("/photos", files=PHOTOS[:1]).headers["location"]
        until(api, location, "done")
        path = f"/{location}/events"
        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
            "subprotocols": [],
        }

        async def receive(messages=iter([{"type": "websocket.connect"}])):  # noqa: B008
            for message in messages:
                return message
            return await asyncio.Event().wait()

        async def send(message):
            if message["type"] == "websocket.send":
                await asyncio.Event().wait()

        async def serve():
            async with asyncio.timeout(5):
                await api.app(scope, receive, send)

        with asyncio.Runner() as runner:
            try:
                runner.run(serve())
            except WebSocketDisconnect:
                pytest.fail("the handler raised instead of ending")


def test_a_full_disk_is_a_503_that_says_so_and_all_goes_on_when_there_is_room(tmp_path: Path):
    with process("app_snippets.uploads", WORKSHOP_HOME=str(tmp_path)) as (server, api):
        until(api, api.post("/photos", files=PHOTOS[:2]).headers["location"], "done")
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, hard))
        answer = api.post("/photos", files=PHOTOS)
        assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
        assert "The disk is full" in answer.json()["detail"]
        assert api.get("/count").json() == {"count": 2}
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        until(api, api.post("/photos", files=PHOTOS).headers["location"], "done")
        assert api.get("/count").json() == {"count": len(PHOTOS)}


# ------------------------------------------------------------------------------ crashes


@contextmanager
def process(module: str, **environment: str):
    """`uvicorn MODULE:app` in a process of its own: the process and a client."""
    command = [sys.executable, "-m", "uvicorn", f"{module}:app", "--port=0", "--no-access-log"]
    server = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )
    try:
        line = next((line for line in server.stderr if "running on" in line), "")
        assert line, "it did not start"
        with httpx.Client(base_url=line.split()[4], timeout=60) as client:
            yield server, client
    finally:
        server.kill()
        server.wait()


def test_a_killed_upload_is_reported_as_interrupted_and_what_was_done_is_there(tmp_path: Path):
    files = [("files", (p.path.name, p.path.read_bytes())) for p in datasets.photos()[:150]]
    home = {"WORKSHOP_HOME": str(tmp_path)}
    with process("app_snippets.uploads", **home) as (server, api):
        location = api.post("/photos", files=files).headers["location"]
        while api.get(location).json()["done"] < 5:
            pass
        server.kill()
        server.wait()
    with process("app_snippets.uploads", **home) as (_, api):
        job = api.get(location).json()
        assert job["state"] == "interrupted"
        assert 5 <= job["done"] <= api.get("/count").json()["count"] < 150
        assert until(api, api.post("/photos", files=files[:5]).headers["location"], "done")


def test_two_processes_cannot_serve_from_one_folder(tmp_path: Path):
    with process("app_snippets.uploads", WORKSHOP_HOME=str(tmp_path)):
        code = "from workshop import connect; connect('uploads', fresh=False)"
        second = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"WORKSHOP_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
    assert second.returncode
    assert WorkshopError.__name__ in second.stderr
    assert "open in another process" in second.stderr


def test_after_a_kill_only_jobs_in_the_table_are_known(tmp_path: Path):
    settings = {"WAYS_TABLE": str(tmp_path / "ways.sqlite"), "WAYS_SECONDS": "1.5"}
    with process("app_snippets.ways", **settings) as (server, api):
        jobs = [api.post(f"/{w}").json()["id"] for w in ("background", "queue", "table", "table")]
        until(api, f"/jobs/{jobs[2]}", "running")
        server.kill()
        server.wait()
    with process("app_snippets.ways", **settings) as (_, api):
        assert [api.get(f"/jobs/{job}").status_code for job in jobs] == [404, 404, 200, 200]
        assert api.get(f"/jobs/{jobs[2]}").json()["state"] == "interrupted"
        until(api, f"/jobs/{jobs[3]}", "done")


@pytest.mark.parametrize(
    ("way", "freezes"), [("async-def", True), ("def", False), ("to-thread", False)]
)
def test_only_blocking_code_in_an_async_def_freezes_the_others(way, freezes, tmp_path):
    app = ways.create_app(ways.Settings(table=tmp_path / "ways.sqlite", seconds=2))
    with launch(app, "ways under test") as service:
        load = threading.Thread(
            target=httpx.post, args=(f"{service.url}/{way}",), kwargs={"timeout": 20}
        )
        load.start()
        time.sleep(0.5)
        answered = True
        try:
            httpx.get(f"{service.url}/jobs/nothing", timeout=1)
        except httpx.TimeoutException:
            answered = False
        load.join()
    assert answered is not freezes


# ------------------------------------------------------------------------------- the page


def test_the_page_shows_a_bar_while_photos_go_in_and_names_what_did_not(page, tmp_path):
    Image.new("RGB", (300, 300), "teal").save(tmp_path / "teal.png")
    (tmp_path / "<b>notes.txt").write_text("buy milk")
    with running(name="uploads_page") as api:
        page.goto(str(api.base_url))
        expect(page.get_by_text("No upload yet.")).to_be_visible()
        page.get_by_label("Photos").set_input_files(sorted(tmp_path.glob("*.*")))
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("status")).to_have_text("1 of 2 in: done")
        expect(page.get_by_role("listitem")).to_contain_text("<b>notes.txt")
        expect(page.locator("#count")).to_have_text("1 photos")


def test_the_page_says_what_a_refusal_says(page, tmp_path):
    image = io.BytesIO()
    Image.effect_noise((200, 200), 80).save(image, "PNG")
    with running(name="uploads_refusal", max_file_bytes=1000) as api:
        page.goto(str(api.base_url))
        page.get_by_label("Photos").set_input_files(
            {"name": "noise.png", "mimeType": "image/png", "buffer": image.getvalue()}
        )
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("alert")).to_contain_text("noise.png")
        expect(page.get_by_role("button", name="Upload")).to_be_enabled()


def test_a_photo_that_costs_too_much_is_refused_and_one_in_hand_is_cancelled():
    with running(name="uploads_bombs") as api:
        answer = api.post("/photos", files=[("files", ("slow.jpg", NEVER)), *PHOTOS[:1]])
        job = until(api, answer.headers["location"], "done")
        assert (job["done"], [failure["name"] for failure in job["failed"]]) == (1, ["slow.jpg"])
        assert "max_scans" in job["failed"][0]["reason"]
    with running(name="uploads_slow", max_scans=10**9, max_decode_seconds=600) as api:
        answer = api.post("/photos", files=[("files", ("slow.jpg", NEVER))])
        until(api, answer.headers["location"], "running")
        api.delete(answer.headers["location"])
        assert until(api, answer.headers["location"], "interrupted")["done"] == 0
        answer = api.post("/photos", files=[("files", ("slow.jpg", NEVER))])
        until(api, answer.headers["location"], "running")  # and the service can be left so
