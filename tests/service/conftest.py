"""Services as tests see them: over HTTP, with real models, real photos and a real Milvus."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cases import SERVICES, Case

from workshop import launch
from workshop.serve import Service as Launched

PATIENCE = 180  # seconds for a load of all samples on a busy machine


@dataclass
class Running:
    """A service that answers, and a client for it."""

    case: Case
    client: httpx.Client
    url: str
    folder: Path  # where its files are

    def load(self, files: list[tuple[str, bytes]], **data: str) -> dict[str, Any]:
        """Upload (name, content) and wait for the end of the job."""
        response = self.client.post(
            "items",
            files=[("files", (name, content, "image/png")) for name, content in files],
            data=data,
        )
        assert response.status_code == 202, response.text
        return self.finished(response)

    def load_samples(self) -> dict[str, Any]:
        return self.finished(self.client.post("samples"))

    def finished(self, accepted: httpx.Response) -> dict[str, Any]:
        """The job that was accepted, once it has come to its end."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            job = self.client.get(accepted.headers["location"]).json()
            if job["finished_at"]:
                return job
            time.sleep(0.05)
        raise AssertionError(f"after {PATIENCE} s the job is still {job}")

    def count(self) -> int:
        return self.client.get("count").json()["count"]

    def hits(self, **query: Any) -> list[dict[str, Any]]:
        """What POST /search finds."""
        response = self.client.post("search", json=query)
        assert response.status_code == 200, response.text
        return response.json()["hits"]


@contextmanager
def running(case: Case, home: Path, **settings: Any) -> Iterator[Running]:
    """The service with its files in `home`."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setitem(os.environ, "WORKSHOP_HOME", str(home))
        app = case.create_app(**settings)
        launched: Launched = stack.enter_context(launch(app, name=str(home), timeout=60))
        client = stack.enter_context(httpx.Client(base_url=launched.url, timeout=60))
        yield Running(case, client, launched.url, home / case.name)


@pytest.fixture(scope="session", params=SERVICES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="session")
def loaded(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with its samples, for all tests: what a test adds, it deletes."""
    with running(case, tmp_path_factory.mktemp("loaded")) as service:
        assert service.load_samples()["state"] == "done"
        yield service


@pytest.fixture(scope="module")
def empty(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service without samples; each test finds it without items and leaves it so."""
    with running(case, tmp_path_factory.mktemp("empty")) as service:
        yield service


@pytest.fixture
def start(case: Case, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """start(**settings) runs a service in a folder of the test's own, until the test ends."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(case, tmp_path, **settings))
