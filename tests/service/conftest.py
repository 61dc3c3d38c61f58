"""Services as tests see them: over HTTP, with real models, real photos and a real Milvus."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browser import browser, page  # noqa: F401
from services import SERVICES, Case, Running, running

OFTEN = "1000000/minute"  # tests that share a service upload more than people do
# What a marked test is about: it runs over the services that have that. A test that names the `owner`
# of what it tests runs over that service; one with the mark `service("name")` over that one.
ONLY = {
    "pictures": lambda case: case.media_type.startswith("image/"),
    "texts": lambda case: case.is_prose,
    "keeps_files": lambda case: case.suffix is not None,
    # what no encoder has a part in: one service that keeps files and one that does not stand for all
    "frame": lambda case: case.name in ("reverse_image_search", "dna_search"),
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on_server: runs over a Milvus server as well")
    config.addinivalue_line("markers", "service(name): runs over the service of that name")
    for mark in ONLY:
        config.addinivalue_line("markers", f"{mark}: runs over the services that know such items")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def fits(item: pytest.Item) -> bool:
        params = getattr(item, "callspec", None) and item.callspec.params
        case = params and params.get("case")
        if not case:
            return True
        marked = [fit for mark, fit in ONLY.items() if item.get_closest_marker(mark)]
        named = item.get_closest_marker("service")
        if named and case.name not in named.args:
            return False
        placed = not params.get("place") or item.get_closest_marker("on_server")
        return placed and all(fit(case) for fit in marked) and params.get("owner", case) is case

    left_out = [item for item in items if not fits(item)]
    items[:] = [item for item in items if fits(item)]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session", params=SERVICES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="session", params=["", "server"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where `loaded` keeps its items: Milvus Lite, and for tests marked `on_server` a server as well."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setenv("MILVUS_URI", request.getfixturevalue("milvus_server"))
        yield request.param


@pytest.fixture(autouse=True)
def in_lite(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not ask for a `place` runs in Milvus Lite, also while `place` is still the server."""
    if "place" not in request.fixturenames:
        monkeypatch.delenv("MILVUS_URI", raising=False)


@pytest.fixture(scope="session")
def loaded(case: Case, place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with its samples, for all tests: what a test adds, it deletes."""
    with running(case, tmp_path_factory.mktemp("loaded"), upload_rate=OFTEN) as service:
        assert service.load_samples()["state"] == "done"
        yield service
        assert service.count() == case.samples, "a test has left an item behind"


@pytest.fixture(scope="module")
def empty(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service without samples; each test finds it without items and leaves it so."""
    with running(case, tmp_path_factory.mktemp("empty"), upload_rate=OFTEN) as service:
        yield service


@pytest.fixture
def start(case: Case, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """start(**settings) runs a service in a folder of the test's own, until the test ends."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(case, tmp_path, **settings))
