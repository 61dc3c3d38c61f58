"""What a service keeps when it is stopped, killed, or loses Milvus."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from services import Running, assert_problem, running

from workshop import connect


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_until_it_answers(url: str, process: subprocess.Popen) -> None:
    for _ in range(600):
        try:
            httpx.get(url, timeout=5)
            return
        except httpx.TransportError:
            assert process.poll() is None, "the process has ended"
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}")


@contextmanager
def process(case, home):
    """The service as `uvicorn MODULE:app` in a process of its own, and that process."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", case.module, f"--port={port}", "--log-level=warning"],
        env=os.environ | {"WORKSHOP_HOME": str(home)},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_it_answers(f"{url}/health", server)
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Running(case, client, url, home / case.name), server
    finally:
        server.kill()
        server.wait()


def parts(service_folder, case, monkeypatch) -> list[set[str]]:
    """The ids that each collection and the media folder hold; nothing else has them open."""
    monkeypatch.setenv("WORKSHOP_HOME", str(service_folder.parent))
    client = connect(case.name, fresh=False)
    ids = [
        {row["id"] for row in client.query(name, limit=16_000, output_fields=["id"])}
        for name in client.list_collections()
    ]
    client.close()
    return [*ids, {path.stem for path in (service_folder / "media").iterdir()}]


def test_a_kill_in_the_middle_of_a_load_loses_nothing_and_leaves_nothing(
    case, tmp_path, monkeypatch
):
    with process(case, tmp_path) as (service, server):
        uploaded = service.load(case.files[:2])
        accepted = service.client.post("samples")
        service.client.post("items", files=[("files", f) for f in case.files])  # waits its turn
        while (job := service.client.get(accepted.headers["location"]).json())["done"] < 20:
            assert job["state"] in ("queued", "running")
        server.send_signal(signal.SIGKILL)
        server.wait()

    with process(case, tmp_path) as (service, server):
        after = service.client.get(accepted.headers["location"]).json()
        assert after["state"] == "interrupted"
        assert after["finished_at"]
        assert job["done"] <= after["done"] < job["total"]
        assert service.client.get(f"jobs/{uploaded['id']}").json() == uploaded
        # Every item that was counted is there; of the one in hand all or nothing.
        assert service.count() in (2 + after["done"], 3 + after["done"])
        assert not list((service.folder / "incoming").glob("*"))
        listed = service.client.get("items", params={"limit": 100}).json()["items"]
        for item in listed:
            assert service.client.get(f"items/{item['id']}/media").status_code == 200
            assert len(service.hits(item_id=item["id"], limit=5)) == 5
        assert len(service.hits(text=case.text, limit=100)) == min(100, service.count())

        again = service.load_samples()
        assert (again["state"], again["done"]) == ("done", case.samples)
        assert service.count() == 2 + case.samples
        server.send_signal(signal.SIGINT)
        server.wait()

    first, *others = parts(service.folder, case, monkeypatch)
    assert len(first) == 2 + case.samples
    assert all(other == first for other in others)


def test_what_is_incomplete_is_removed_at_start_and_the_rest_stays(case, tmp_path, monkeypatch):
    with running(case, tmp_path) as service:
        service.load(case.files)
        items = service.client.get("items").json()["items"]
    media = service.folder / "media"
    suffix = next(media.iterdir()).suffix
    lost_file, lost_row, *kept = [item["id"] for item in items]
    (media / f"{lost_file}{suffix}").unlink()
    (media / f"{'f' * 32}{suffix}").write_bytes(b"a file without a row")
    (media / "half.part").write_bytes(b"a file that was being written")
    (service.folder / "incoming" / "job").mkdir(parents=True)
    (service.folder / "incoming" / "job" / "00000").write_bytes(b"an upload")
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path))
    client = connect(case.name, fresh=False)
    client.delete(client.list_collections()[0], ids=[lost_row])
    client.close()

    with running(case, tmp_path) as service:
        assert service.count() == 2
        assert {item["id"] for item in service.client.get("items").json()["items"]} == set(kept)
        assert not list((service.folder / "incoming").glob("*"))
    assert all(ids == set(kept) for ids in parts(service.folder, case, monkeypatch))


def test_a_stopped_service_goes_on_where_it_was(case, tmp_path):
    with running(case, tmp_path) as service:
        accepted = service.client.post("samples")
        service.client.post("items", files=[("files", f) for f in case.files])
        while service.client.get(accepted.headers["location"]).json()["done"] < 5:
            time.sleep(0.01)
    with running(case, tmp_path) as service:
        job = service.client.get(accepted.headers["location"]).json()
        assert job["state"] == "interrupted"
        assert service.count() == job["done"]
        order = [item["id"] for item in service.client.get("items").json()["items"]]
        service.load(case.files[:1])
        newest, *rest = [item["id"] for item in service.client.get("items").json()["items"]]
        assert newest not in order
        assert rest == order[:9]


@pytest.fixture
def milvus(tmp_path):
    """Milvus in a process of its own, as a server at an address."""
    port = free_port()
    server = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("milvus-lite")),
            "server",
            f"--data-dir={tmp_path / 'server'}",
            "--host=127.0.0.1",
            f"--port={port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}", server
    server.kill()
    server.wait()


def test_without_milvus_it_says_503_and_loads_stop(case, tmp_path, milvus, monkeypatch):
    uri, server = milvus
    monkeypatch.setenv("MILVUS_URI", uri)
    with running(case, tmp_path / "home", milvus_timeout=2) as service:
        assert service.load(case.files[:2])["done"] == 2
        (item, _) = service.client.get("items").json()["items"]
        server.kill()
        server.wait()
        for response in (
            service.client.get("health"),
            service.client.get("count"),
            service.client.get(f"items/{item['id']}"),
            service.client.post("search", json={"text": case.text}),
            service.client.post("search/file", files={"file": case.files[0]}),
            service.client.delete(f"items/{item['id']}"),
        ):
            assert_problem(response, 503, "Milvus")
            assert int(response.headers["retry-after"]) > 0
        job = service.load(case.files)
        assert (job["state"], job["done"]) == ("interrupted", 0)
        assert re.search("Milvus", job["failed"][0]["reason"])
        assert service.client.get("").status_code == 200
