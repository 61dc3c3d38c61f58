"""What all tests share."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workshop.paths import ROOT


@pytest.fixture(scope="session", autouse=True)
def _not_the_learners_home(tmp_path_factory: pytest.TempPathFactory):
    """No test touches the learner's own progress or databases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKSHOP_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MPLBACKEND", "Agg")
        patch.delenv("JPY_SESSION_NAME", raising=False)
        patch.delenv("MILVUS_URI", raising=False)  # nor the learner's server
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty WORKSHOP_HOME for one test."""
    folder = tmp_path / "workshop-home"
    monkeypatch.setitem(os.environ, "WORKSHOP_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def server_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """server_program(home, *args) runs tools/server.py, as `make server` does, and returns its word.

    Skips where the server is not installed; with CI=true it is installed, or the tests fail.
    """
    if os.environ.get("CI") != "true" and importlib.util.find_spec("milvus") is None:
        pytest.skip("the Milvus server is not installed here: `make server` installs it")

    unpacked = tmp_path_factory.mktemp("server-bin")

    def run(home: Path, *args: str, status: int = 0) -> str:
        if not (home / "server").exists():  # to unpack the program takes 10 s: once is enough
            (home / "server").mkdir(parents=True)
            (home / "server" / "bin").symlink_to(unpacked)
        done = subprocess.run(
            [sys.executable, "tools/server.py", *args],
            cwd=ROOT,
            env={**os.environ, "WORKSHOP_HOME": str(home)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def milvus_server(
    server_program: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URI of a real Milvus server of the tests' own."""
    home = tmp_path_factory.mktemp("server-home")
    said = server_program(home, "start", "--port=0")
    yield said.split("MILVUS_URI=")[1].split()[0]
    server_program(home, "stop")


@pytest.fixture(scope="session")
def language_model():
    """The language model of chapter 20; skips where it was not fetched, with CI=true it must be here."""
    from workshop import lm

    if os.environ.get("CI") != "true" and lm.path() is None:
        pytest.skip("the language model is not here: `make lm` fetches it")
    return lm.load()
