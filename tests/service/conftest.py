"""Services as tests see them: over HTTP, with real models, real photos and a real Milvus."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browser import browser, page  # noqa: F401
from services import SERVICES, Case, Running, running


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
