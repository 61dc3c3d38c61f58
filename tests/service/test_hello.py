"""The smallest service: what chapter 09 shows of it must be so."""

from pathlib import Path

import httpx
import pytest

from app_snippets import hello, ways
from workshop import launch


@pytest.fixture(scope="module")
def client():
    with launch(hello.app) as service, httpx.Client(base_url=service.url) as client:
        yield client


def test_it_greets_by_name(client):
    assert client.get("/").json() == {"message": "Hello, world!"}
    assert client.get("/", params={"name": "Ada"}).json() == {"message": "Hello, Ada!"}


def test_it_is_ten_lines(client):
    code = [line for line in Path(hello.__file__).read_text().splitlines() if line.strip()]
    assert len(code) <= 10


@pytest.mark.parametrize("app", [hello.app, ways.app], ids=["hello", "ways"])
def test_its_docs_load_nothing_from_elsewhere_and_no_site_may_frame_them(app, home):
    with launch(app) as service, httpx.Client(base_url=service.url) as client:
        for path in ("/docs", "/redoc"):
            answer = client.get(path)
            assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
            assert "https://" not in answer.text
            assert client.head(path).headers["content-length"] == answer.headers["content-length"]
