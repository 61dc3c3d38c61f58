"""A Jupyter server of a test's own, as a learner's browser reaches one."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from workshop.paths import ROOT

TOKEN = "secret"
PATIENCE = 300  # seconds, on a busy machine, where a passing test does not wait


@contextmanager
def jupyter_server(folder: Path, base: str) -> Iterator[str]:
    """Serves `folder`, with `base` (as "/lab-7/") before every path; gives the address of its root."""
    pytest.importorskip("jupyter_server_proxy", reason="install requirements.txt")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_TOKEN": TOKEN,
    }
    options = [
        f"--ServerApp.port={port}",
        f"--ServerApp.base_url={base}",
        f"--notebook-dir={folder}",
        "--LanguageServerManager.autodetect=False",  # it would ask npm, which writes a log at home
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", *options],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while True:
            assert server.poll() is None, "the Jupyter server has ended"
            with contextlib.suppress(httpx.TransportError):
                status = httpx.get(f"{address}{base}api/status", params={"token": TOKEN})
                if status.status_code == 200:
                    break
            assert time.monotonic() < end, "the Jupyter server does not answer"
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(PATIENCE)
