"""What a service keeps when it is stopped, killed, or loses Milvus."""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from services import Running, assert_problem, running

from workshop import connect
from workshop.paths import ROOT


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
        env=os.environ | {"WORKSHOP_HOME": str(home), "PYTHONPATH": str(ROOT)},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_it_answers(f"{url}/health", server)
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Running(case, client, url, home / case.name), server
    finally:
        server.kill()
        server.wait()


def whole(client, case) -> list[str]:
    """The collections in which every item has a row."""
    return [name for name in client.list_collections() if not name.startswith(case.optional)]


def parts(service_folder, case, monkeypatch) -> list[set[str]]:
    """The ids that each collection and, of files, the media folder hold; nothing else has it open.

    Of an optional space: none that another one has not.
    """
    monkeypatch.setenv("WORKSHOP_HOME", str(service_folder.parent))
    client = connect(case.name, fresh=False)
    ids = {
        name: {row["id"] for row in client.query(name, limit=16_000, output_fields=["id"])}
        for name in client.list_collections()
    }
    needed = [ids.pop(name) for name in whole(client, case)]
    client.close()
    assert all(some <= needed[0] for some in ids.values())
    files = {path.stem for path in (service_folder / "media").iterdir()}
    return [*needed, files] if case.suffix else [*needed, *([files] if files else [])]


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
        # Every item that was counted is there; of the file in hand all or nothing.
        each = case.samples // case.accepted
        assert service.count() - 2 in (after["items"], after["items"] + each)
        assert not list((service.folder / "incoming").glob("*"))
        listed = service.client.get("items", params={"limit": 100}).json()["items"]
        for item in listed:
            assert service.client.get(f"items/{item['id']}/media").status_code == 200
            assert len(service.hits(item_id=item["id"], limit=5)) == 5
        assert len(service.hits(text=case.text, limit=100)) == min(100, service.count())

        again = service.load_samples()
        assert (again["state"], again["items"]) == ("done", case.samples)
        assert service.count() == 2 + case.samples
        server.send_signal(signal.SIGINT)
        server.wait()

    first, *others = parts(service.folder, case, monkeypatch)
    assert len(first) == 2 + case.samples
    assert all(other == first for other in others)


def ids(service: Running) -> set[str]:
    found: set[str] = set()
    while True:
        page = service.client.get("items", params={"limit": 100, "offset": len(found)}).json()
        found |= {item["id"] for item in page["items"]}
        if not page["items"]:
            return found


@pytest.mark.keeps_files
def test_only_what_was_going_in_or_out_is_removed_at_start(case, tmp_path, monkeypatch):
    with running(case, tmp_path) as service:
        service.load(case.files)
        first, second, *kept = ids(service)
    media = service.folder / "media"
    suffix = next(media.iterdir()).suffix
    (media / f"{first}{suffix}").rename(media / f"{first}.part")  # as a kill leaves a removal,
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path))  # and a load that has written one row
    client = connect(case.name, fresh=False)
    client.delete(whole(client, case)[0], ids=[second])
    client.close()
    (media / f"{second}{suffix}").rename(media / f"{second}.part")
    (service.folder / "incoming" / "job").mkdir(parents=True)
    (service.folder / "incoming" / "job" / "00000").write_bytes(b"an upload")

    with running(case, tmp_path) as service:
        assert service.count() == 2
        assert ids(service) == set(kept)
        assert not list((service.folder / "incoming").glob("*"))
    assert all(found == set(kept) for found in parts(service.folder, case, monkeypatch))


@pytest.mark.keeps_files
def test_what_lacks_its_other_half_is_hidden_left_alone_and_whole_again_with_it(
    case, tmp_path, monkeypatch
):
    """A disk that is not there today, a copy of last week: absence proves nothing."""
    with running(case, tmp_path) as service:
        service.load(case.files)
        (lost_file, lost_row, *kept) = all_ids = ids(service)
    media = service.folder / "media"
    suffix = next(media.iterdir()).suffix
    elsewhere = (media / f"{lost_file}{suffix}").rename(tmp_path / "elsewhere")
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path))
    client = connect(case.name, fresh=False)
    (rows,) = [client.get(name, ids=[lost_row]) for name in whole(client, case)[:1]]
    client.delete(whole(client, case)[0], ids=[lost_row])

    with running(case, tmp_path) as service:
        assert service.count() == 2
        assert ids(service) == set(kept)
        assert (media / f"{lost_row}{suffix}").exists()
        for missing in (lost_file, lost_row):
            assert_problem(service.client.get(f"items/{missing}"), 404)
            assert_problem(service.client.get(f"items/{missing}/media"), 404)
            assert_problem(service.client.post("search", json={"item_id": missing}), 404)
            assert_problem(service.client.delete(f"items/{missing}"), 404)
        assert {h["id"] for h in service.hits(text=case.text, limit=4)} == set(kept)
        (other,) = service.hits(item_id=kept[0], limit=1)
        assert other["id"] == kept[1]

    elsewhere.rename(media / f"{lost_file}{suffix}")
    client.insert(whole(client, case)[0], rows)
    client.close()
    with running(case, tmp_path) as service:
        assert ids(service) == set(all_ids)
        (media / f"{lost_file}{suffix}").unlink()
    with running(case, tmp_path) as service:
        service.client.delete("items", params={"confirm": "true"})
    assert not any(parts(service.folder, case, monkeypatch))


@pytest.mark.keeps_files
def test_a_sample_that_lost_its_file_comes_back_with_the_samples(case, tmp_path, monkeypatch):
    with running(case, tmp_path) as service:
        assert service.load_samples()["done"] == case.accepted
    next((service.folder / "media").iterdir()).unlink()
    with running(case, tmp_path) as service:
        assert service.count() == case.samples - 1
        assert service.load_samples()["done"] == case.accepted
        assert service.count() == case.samples
    assert all(len(found) == case.samples for found in parts(service.folder, case, monkeypatch))


@pytest.mark.frame
def test_litter_in_the_folders_is_no_obstacle_and_stays(case, tmp_path):
    with running(case, tmp_path) as service:
        service.load(case.files[:2])
    media = service.folder / "media"
    litter = [media / "folder.webp" / "x", media / "half.part", media / ".DS_Store"]
    litter += [service.folder / "incoming.txt", service.folder / "media (copy)" / "x"]
    for path in litter:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"litter")
    with running(case, tmp_path) as service:
        assert service.count() == 2
        assert service.load(case.files[2:])["done"] == 2
        assert all(path.read_bytes() == b"litter" for path in litter)


@pytest.mark.keeps_files
def test_a_folder_that_vanishes_is_made_again(case, tmp_path):
    with running(case, tmp_path) as service:
        service.load(case.files[:2])
        shutil.rmtree(service.folder / "media")
        shutil.rmtree(service.folder / "incoming")
        (gone, _) = ids(service)
        if not case.is_text:  # a text is no file
            assert_problem(service.client.get(f"items/{gone}/media"), 404)
        assert service.load(case.files[2:])["done"] == 2
        assert service.client.delete(f"items/{gone}").status_code == 204
        assert service.count() == 3


def test_a_stopped_service_goes_on_where_it_was(case, tmp_path):
    with running(case, tmp_path) as service:
        accepted = service.client.post("samples")
        service.client.post("items", files=[("files", f) for f in case.files])
        while service.client.get(accepted.headers["location"]).json()["done"] < 5:
            time.sleep(0.01)
    with running(case, tmp_path) as service:
        job = service.client.get(accepted.headers["location"]).json()
        assert job["state"] == "interrupted"
        assert service.count() == job["items"]
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


@pytest.mark.frame
def test_with_another_milvus_it_begins_anew_and_loses_nothing(case, tmp_path, milvus, monkeypatch):
    uri, _ = milvus
    with running(case, tmp_path) as service:
        service.load(case.files)
        job = service.client.post("samples").headers["location"]
        while service.client.get(job).json()["done"] < 3:
            time.sleep(0.01)
        service.client.delete(job)
        while not service.client.get(job).json()["finished_at"]:
            time.sleep(0.01)
        here = ids(service)
    media = {path: path.read_bytes() for path in (service.folder / "media").iterdir()}
    assert len(here) >= 7
    assert len(media) == (len(here) if case.suffix else 0)

    for _ in range(2):  # it knows its own again
        with monkeypatch.context() as patch:
            patch.setenv("MILVUS_URI", uri)
            with running(case, tmp_path) as service:
                there = ids(service)
                assert service.count() == len(there)
                assert not there & here
                job = service.client.post("samples").headers["location"]  # with the same ids
                while service.client.get(job).json()["done"] < 3:
                    time.sleep(0.01)
                service.client.delete(job)
                while not service.client.get(job).json()["finished_at"]:
                    time.sleep(0.01)
                assert ids(service) & here
                service.client.delete("items", params={"confirm": "true"})
                service.load(case.files[:1])
                assert service.count() == 1
    assert {p: p.read_bytes() for p in (service.folder / "media").iterdir()} == media

    with running(case, tmp_path) as service:
        assert ids(service) == here
        for item_id in here:
            assert service.client.get(f"items/{item_id}/media").status_code == 200


@pytest.mark.frame
def test_an_identity_that_was_lost_costs_no_file(case, tmp_path):
    with running(case, tmp_path) as service:
        service.load(case.files)
        (service.folder / "owner").rename(tmp_path / "owner")
    with running(case, tmp_path) as service:
        assert service.count() == 0
    assert len(list((service.folder / "media").iterdir())) == (4 if case.suffix else 0)
    (tmp_path / "owner").replace(service.folder / "owner")
    with running(case, tmp_path) as service:
        assert service.count() == 4


@pytest.mark.frame
def test_an_older_services_graph_becomes_exact(case, tmp_path, monkeypatch):
    with running(case, tmp_path) as service:
        service.load(case.files)
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path))
    client = connect(case.name, fresh=False)
    graph = client.prepare_index_params()
    graph.add_index("vector", index_type="HNSW", metric_type="COSINE")
    dense = [
        name
        for name in client.list_collections()
        if client.describe_index(name, "vector")["index_type"] == "IVF_FLAT"
    ]
    assert dense
    for name in dense:
        client.release_collection(name)
        client.drop_index(name, "vector")
        client.create_index(name, graph)
    client.close()
    with running(case, tmp_path) as service:
        assert len(service.hits(text=case.text)) == 4
    client = connect(case.name, fresh=False)
    for name in dense:
        assert client.describe_index(name, "vector")["index_type"] == "IVF_FLAT"
        assert client.describe_index(name, "vector")["params"]["nlist"] == 1
    client.close()


# ----------------------------------------------------------------------- a disk that is full


def set_room(server: subprocess.Popen, size: int = resource.RLIM_INFINITY) -> None:
    """How large a file the process may write, from now on: with 0 it meets a full disk."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, hard))


@pytest.mark.frame
def test_a_full_disk_is_a_503_that_says_so_and_all_goes_on_when_there_is_room(case, tmp_path):
    with process(case, tmp_path) as (service, server):
        service.load(case.files[:2])
        accepted = service.client.post("samples")
        while service.client.get(accepted.headers["location"]).json()["done"] < 3:
            time.sleep(0.01)
        set_room(server, 0)
        job = service.finished(accepted)  # in memory, where there is room
        assert job["state"] == "interrupted"
        assert 3 <= job["done"] < job["total"]
        assert "The disk is full" in job["failed"][-1]["reason"]
        assert_problem(service.client.post("samples"), 503, "The disk is full")
        files = [("files", case.files[0])]
        assert_problem(service.client.post("items", files=files), 503, "The disk is full")
        large = {"file": ("large.png", bytes(2_000_000))}  # has to wait on the disk to be read
        assert_problem(service.client.post("search/file", files=large), 503, "The disk is full")
        found = ids(service)
        assert service.count() == 2 + job["items"]
        assert len(found) == 2 + job["items"]
        for item_id in sorted(found)[:100]:
            assert service.client.get(f"items/{item_id}/media").status_code == 200
        assert len(service.hits(text=case.text, limit=100)) == min(100, len(found))

        set_room(server)
        assert service.load(case.files[2:])["state"] == "done"
        assert service.load_samples()["items"] == case.samples
        assert service.count() == 4 + case.samples
        assert service.client.get(f"jobs/{job['id']}").json() == job
        server.send_signal(signal.SIGTERM)
        server.wait()
    with process(case, tmp_path) as (service, server):
        assert service.client.get(f"jobs/{job['id']}").json() == job
        assert service.count() == 4 + case.samples
        assert service.client.delete("items?confirm=true").status_code == 204
        assert service.count() == 0


# --------------------------------------------------------------------- a folder that is not right


def refusal(case, home, before: str = "") -> str:
    """What the service says when it does not start; `before` is run in its process."""
    code = f"""
import sys
{before}
from importlib import import_module
from fastapi.testclient import TestClient
from workshop.errors import WorkshopError
try:
    with TestClient(import_module({case.module.partition(":")[0]!r}).app):
        pass
except WorkshopError as error:
    print(error)
"""
    env = os.environ | {"WORKSHOP_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Root may write anywhere: it gives that right up before it tries.
AS_ANYONE = """
import ctypes, os
if os.geteuid() == 0:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0
"""


@pytest.mark.frame
def test_a_folder_that_may_not_be_written_is_named_with_the_reason(case, tmp_path):
    folder = tmp_path / case.name
    folder.mkdir()
    (tmp_path / "milvus").mkdir()
    folder.chmod(0o555)
    try:
        said = refusal(case, tmp_path, AS_ANYONE)
    finally:
        folder.chmod(0o755)
    assert str(folder) in said
    assert "Permission denied" in said or "unable to open" in said
    assert "another process" not in said


@pytest.mark.frame
def test_a_second_process_is_told_of_the_first(case, tmp_path):
    with process(case, tmp_path) as (service, _):
        said = refusal(case, tmp_path)
    assert "another process serves from it" in said
    assert str(service.folder) in said


@pytest.mark.frame
@pytest.mark.parametrize("damage", ["no database", "cut short", "another table", "a folder"])
def test_a_damaged_table_of_jobs_is_put_aside_and_the_items_are_there(case, tmp_path, damage):
    with running(case, tmp_path) as service:
        service.load(case.files[:2])
    table = service.folder / "jobs.sqlite"
    if damage == "no database":
        table.write_bytes(b"no database at all " * 1000)
    elif damage == "cut short":
        table.write_bytes(table.read_bytes()[:5000])
    else:
        table.unlink()
        if damage == "a folder":
            table.mkdir()
        else:
            with contextlib.closing(sqlite3.connect(table)) as other:
                other.execute("CREATE TABLE jobs (a, b)")
    for _ in range(2):
        with running(case, tmp_path) as service:
            job = service.load(case.files[:1])
            assert job["state"] == "done"
            assert service.client.get(f"jobs/{job['id']}").json() == job
    assert service.folder.joinpath("jobs.sqlite.damaged").exists()
    with running(case, tmp_path) as service:
        assert service.count() == 4


@pytest.mark.frame
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
