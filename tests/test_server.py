"""`make server` and `make server-stop`: a real Milvus server, where only this machine reaches it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import course
import psutil
import pytest
import server
from pymilvus import MilvusClient

from workshop.errors import WorkshopError
from workshop.paths import ROOT


def milvus_of(home: Path) -> list[psutil.Process]:
    """The Milvus processes whose program lies in this home."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [""])[0].startswith(str(home)):
            found.append(process)
    return found


def holder(home: Path) -> dict:
    return json.loads((home / "server" / "lock").read_text())


def can_connect(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET) as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def gone(home: Path, within: float = 5) -> bool:
    end = time.monotonic() + within
    while milvus_of(home) and time.monotonic() < end:
        time.sleep(0.05)
    return not milvus_of(home)


def test_the_life_of_a_server(server_program, tmp_path):
    """One story, since each start takes seconds: start, start again, stop, start, be killed."""
    said = server_program(tmp_path, "start", "--port=0")
    port = holder(tmp_path)["port"]
    uri = f"http://127.0.0.1:{port}"
    assert f"export MILVUS_URI={uri}" in said
    client = MilvusClient(uri)
    client.create_collection("rows", dimension=2, consistency_level="Strong")
    client.insert("rows", [{"id": n, "vector": [n, 1.0]} for n in range(100)])

    again = server_program(tmp_path, "start", "--port=0")
    assert "already runs" in again
    assert uri in again, "the port of the one that runs, not the one just asked for"
    assert len(milvus_of(tmp_path)) == 1

    # Of all that it listens on, the machine sees one port, on loopback.
    (milvus,) = milvus_of(tmp_path)
    own_network = Path(f"/proc/{milvus.pid}/ns/net").readlink()
    assert own_network != Path("/proc/self/ns/net").readlink()
    family = {holder(tmp_path)["pid"], milvus.pid}
    listening = {
        tuple(c.laddr)
        for c in psutil.net_connections("inet")
        if c.pid in family and c.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", port)}
    addresses = [a.address for addresses in psutil.net_if_addrs().values() for a in addresses]
    outside = {a for a in addresses if a.count(".") == 3 and not a.startswith("127.")}
    assert not any(can_connect(address, port) for address in outside)

    # Stopped, it leaves nothing but its data.
    assert "has ended" in server_program(tmp_path, "stop")
    assert not milvus_of(tmp_path)
    assert not can_connect("127.0.0.1", port)
    notes = [p.name for folder in ("/run/milvus", "/tmp/milvus") for p in Path(folder).glob("*")]
    assert not [name for name in notes if str(milvus.pid) in name]
    assert "No server runs" in server_program(tmp_path, "stop")

    # Rows that were acknowledged, never flushed, are there again, on the port that is free again.
    server_program(tmp_path, "start", f"--port={port}")
    client = MilvusClient(uri)
    client.load_collection("rows")
    (count,) = client.query("rows", output_fields=["count(*)"], consistency_level="Strong")
    assert count["count(*)"] == 100

    # However its keeper dies, there is no orphan, and the way is free.
    (milvus,) = milvus_of(tmp_path)
    os.kill(holder(tmp_path)["pid"], signal.SIGKILL)
    assert gone(tmp_path)
    server.tidy(tmp_path / "server", milvus.pid)
    assert "No server runs" in server_program(tmp_path, "stop")


def test_an_interrupted_start_leaves_no_server_behind(server_program, tmp_path):
    start = subprocess.Popen(
        [sys.executable, "tools/server.py", "start", "--port=0"],
        cwd=ROOT,
        env={**os.environ, "WORKSHOP_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 30
    while not milvus_of(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    assert milvus_of(tmp_path)
    start.send_signal(signal.SIGINT)
    assert "Interrupted" in start.communicate(timeout=60)[1]
    assert start.returncode == 1
    assert gone(tmp_path)


def test_a_taken_port_is_a_sentence(server_program, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = server_program(tmp_path, "start", f"--port={port}", status=1)
    assert f"Port {port} of 127.0.0.1 cannot be used" in said
    assert "SERVER_ARGS=" in said
    assert "Traceback" not in said
    assert not milvus_of(tmp_path)


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_what_is_no_port_is_a_sentence(server_program, tmp_path, port):
    said = server_program(tmp_path, "start", f"--port={port}", status=1)
    assert "cannot be used" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("system, machine", [("Darwin", "arm64"), ("Linux", "aarch64")])
def test_another_platform_is_told_of_the_other_way(monkeypatch, system, machine):
    monkeypatch.setattr(server.platform, "system", lambda: system)
    monkeypatch.setattr(server.platform, "machine", lambda: machine)
    with pytest.raises(WorkshopError, match=rf"this is {system} on {machine}.*Docker.*README"):
        server.check_machine()


def test_a_machine_without_namespaces_gets_no_open_server(monkeypatch):
    monkeypatch.setattr(server.platform, "system", lambda: "Linux")
    monkeypatch.setattr(server.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(server, "obstacle", lambda: "unshare: Operation not permitted")
    with pytest.raises(WorkshopError, match=r"every address.*Operation not permitted.*Docker"):
        server.check_machine()


def test_a_server_that_cannot_be_fetched_is_a_sentence(monkeypatch):
    """pip runs for real, with an index that is not there."""
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(course, "has", lambda module: False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_FORCE_REINSTALL", "1")
    with pytest.raises(WorkshopError, match=r"Connect .*run again"):
        server.install()


def test_in_an_environment_of_ones_own_the_line_to_run_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(course, "PYTHON", tmp_path / "python")
    with pytest.raises(WorkshopError, match=r"pip install .* -r requirements-server\.txt"):
        server.install()


def test_the_readme_names_the_other_way_where_the_message_says():
    title = server.OTHER_WAY.split('"')[1]
    section = (ROOT / "README.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    assert "docker" in section
    assert "MILVUS_URI" in section


@pytest.mark.parametrize("extra", course.EXTRAS)
def test_an_extra_is_pinned_with_hashes_to_what_pyproject_asks_for(extra):
    (wanted,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"][extra]
    lock = (ROOT / f"requirements-{extra}.txt").read_text()
    assert lock.startswith(wanted.split(";")[0].strip()), "run `make lock`"
    assert lock.count("--hash=sha256:") >= 1
    assert "://" not in lock
