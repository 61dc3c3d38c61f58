"""The photo search is the same service in Flask and in FastAPI: one suite over all of them."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app_snippets.twins import load, search_fastapi, search_flask, search_flask_openapi
from app_snippets.twins.index import PhotoIndex
from app_snippets.twins.serving import serve_wsgi
from workshop import launch
from workshop.paths import ROOT

TWINS = {
    "flask": lambda index: serve_wsgi(search_flask.create_app(index), "twin flask"),
    "flask_openapi": lambda index: serve_wsgi(search_flask_openapi.create_app(index), "twin 3"),
    "fastapi": lambda index: launch(search_fastapi.create_app(index), "twin fastapi"),
}


@pytest.fixture(scope="module")
def index() -> Iterator[PhotoIndex]:
    index = PhotoIndex.build("twins")
    yield index
    index.close()


@pytest.fixture(scope="module")
def services(index: PhotoIndex) -> Iterator[dict[str, httpx.Client]]:
    running = {name: start(index) for name, start in TWINS.items()}
    clients = {name: httpx.Client(base_url=s.url, timeout=20) for name, s in running.items()}
    yield clients
    for name, service in running.items():
        clients[name].close()
        service.stop()


@pytest.fixture(params=TWINS)
def api(request: pytest.FixtureRequest, services: dict[str, httpx.Client]) -> httpx.Client:
    return services[request.param]


def hits(answer: httpx.Response) -> list[dict]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()["hits"]


def test_it_says_that_it_is_there(api):
    answer = api.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "count": 430})


def test_a_text_finds_photos_by_meaning_best_first(api):
    found = hits(api.post("/search", json={"text": "a big cat"}))
    assert len(found) == 10
    assert found[0].keys() == {"id", "name", "category", "score"}
    assert found[0]["name"] == "Black cat"
    scores = [hit["score"] for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1 for score in scores)


def test_a_photo_finds_others_and_not_itself(api):
    first = hits(api.post("/search", json={"text": "fox", "limit": 1}))[0]
    found = hits(api.post("/search", json={"item_id": first["id"], "limit": 5}))
    assert len(found) == 5
    assert first["id"] not in [hit["id"] for hit in found]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_limit_is_how_many(api, limit):
    assert len(hits(api.post("/search", json={"text": "bird", "limit": limit}))) == limit


def test_a_category_keeps_the_others_out(api):
    found = hits(api.post("/search", json={"text": "red", "category": "food/fruit"}))
    assert {hit["category"] for hit in found} == {"food/fruit"}


@pytest.mark.parametrize("category", ["no such", "'", '" or id != "', "food/fruit\\", ""])
def test_a_category_that_is_none_finds_nothing(api, category):
    assert hits(api.post("/search", json={"text": "red", "category": category})) == []


def test_null_is_as_good_as_left_out(api):
    body = {"text": "bird", "item_id": None, "category": None}
    assert hits(api.post("/search", json=body)) == hits(api.post("/search", json={"text": "bird"}))


@pytest.mark.parametrize("text", ["x", " kitten ", "猫", "ü" * 200, "{{ 7 * 7 }}"])
def test_any_text_of_200_characters_will_do(api, text):
    assert len(hits(api.post("/search", json={"text": text}))) == 10


def test_an_embedding_has_384_numbers_and_length_one(api):
    answer = api.post("/embeddings", json={"text": "a cat"})
    vector = answer.json()["embedding"]
    assert len(vector) == 384
    assert sum(x * x for x in vector) == pytest.approx(1, abs=1e-4)


def test_an_item_is_told_and_shown(api):
    first = hits(api.post("/search", json={"text": "tiger", "limit": 1}))[0]
    item = api.get(f"/items/{first['id']}").json()
    assert item == {key: first[key] for key in ("id", "name", "category")}
    media = api.get(f"/items/{first['id']}/media")
    assert media.headers["content-type"] == "image/webp"
    assert media.content[8:12] == b"WEBP"


BAD = {
    "no JSON": b"text=cat",
    "half": b'{"text": "ca',
    "a list": b"[]",
    "null": b"null",
    "empty": b"",
    "no question": b"{}",
    "two questions": b'{"text": "cat", "item_id": "x"}',
    "both null": b'{"text": null, "item_id": null}',
    "text is a number": b'{"text": 3}',
    "text is empty": b'{"text": ""}',
    "text is blank": b'{"text": "  "}',
    "text too long": json.dumps({"text": "x" * 201}).encode(),
    "item_id is a number": b'{"item_id": 3}',
    "limit 0": b'{"text": "cat", "limit": 0}',
    "limit 101": b'{"text": "cat", "limit": 101}',
    "limit is text": b'{"text": "cat", "limit": "3"}',
    "limit is true": b'{"text": "cat", "limit": true}',
    "limit is 1.5": b'{"text": "cat", "limit": 1.5}',
    "limit is null": b'{"text": "cat", "limit": null}',
    "category is a number": b'{"text": "cat", "category": 1}',
    "category is a list": b'{"text": "cat", "category": ["food"]}',
    "a field misspelt": b'{"text": "cat", "limt": 3}',
    "limit is NaN": b'{"text": "cat", "limit": NaN}',
    "limit is infinite": b'{"text": "cat", "limit": 1e999}',
    "a limit of 5000 digits": b'{"text": "cat", "limit": %s}' % (b"9" * 5000),
    "text is NaN": b'{"text": NaN}',
    "text is infinite": b'{"text": 1e999}',
    "item_id is infinite": b'{"item_id": -Infinity}',
    "category is NaN": b'{"text": "cat", "category": NaN}',
    "NaN": b"NaN",
    "NaN in a field misspelt": b'{"text": "cat", "limt": NaN}',
    "text is half a character": rb'{"text": "\ud800"}',
    "text ends in half a character": rb'{"text": "cat \udfff"}',
    "a name with half a character": rb'{"text": "cat", "\ud800": 1}',
    "text has no word, but a zero": rb'{"text": "\u0000"}',
    "text has no word, but spaces of no width": rb'{"text": "\u200b\u200d"}',
    "text has no word, but a stray accent": rb'{"text": "\u0301"}',
    "text has no word, but what nobody agreed on": rb'{"text": "\ue000"}',
    "not in UTF-8": b'{"text": "\xff"}',
    "nested deeply": b'{"text": %s%s}' % (b"[" * 500, b"]" * 500),
    "nested too deeply": b'{"text": %s%s}' % (b"[" * 25_000, b"]" * 25_000),
    "nested too deeply, and half": b"[" * 30_000,
}
NAMED = ["text", "item_id", "limit", "category"]


@pytest.mark.parametrize("case", BAD)
def test_a_body_that_does_not_fit_is_a_422_that_names_the_field(api, case):
    answer = api.post("/search", content=BAD[case], headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    detail = json.dumps(answer.json()["detail"])
    field = next((name for name in NAMED if case.startswith(name)), "")
    assert field in detail
    if case == "a field misspelt":
        assert "limt" in detail


@pytest.mark.parametrize("case", [case for case in BAD if "NaN" in case or "text" in case])
def test_an_embedding_refuses_the_same(api, case):
    answer = api.post(
        "/embeddings", content=BAD[case], headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


def test_half_a_character_names_no_photo_and_no_category(api):
    typed = {"content-type": "application/json"}
    answer = api.post("/search", content=rb'{"item_id": "\ud800"}', headers=typed)
    assert (answer.status_code, type(answer.json()["detail"])) == (404, str)
    odd = rb'{"text": "cat", "category": "\ud800"}'
    assert hits(api.post("/search", content=odd, headers=typed)) == []


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": None}, {"txt": "cat"}])
def test_an_embedding_needs_a_text(api, body):
    assert api.post("/embeddings", json=body).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("GET", "/items/none", None, 404),
        ("GET", "/items/none/media", None, 404),
        ("GET", "/items/..%2F..%2Fphotos.csv/media", None, 404),
        ("POST", "/search", {"item_id": "none"}, 404),
        ("GET", "/search", None, 405),
        ("DELETE", "/items/none", None, 405),
    ],
)
def test_a_failure_has_its_status_and_a_detail_in_json(api, method, path, body, status):
    answer = api.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.parametrize("path", ["/health", "/items/animals-birds-owl", "/nowhere"])
def test_head_says_what_get_says_without_a_body(api, path):
    head, get = api.head(path), api.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_a_body_too_large_is_refused(api):
    assert api.post("/search", json={"text": "x" * 70_000}).status_code == 413


def test_the_page_shows_what_was_found_and_runs_nothing_that_was_typed(api):
    page = api.get("/", params={"text": "<script>alert(1)</script> cat"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script>alert" not in page.text
    assert page.text.count("/media") == 12
    assert "430 photos" in api.get("/").text
    assert api.get("/", params={"text": " "}).status_code == 200


def test_a_page_for_a_text_without_a_word_is_refused(api):
    assert api.get("/", params={"text": "\u200b"}).status_code == 422


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi/swagger", "/nowhere"])
def test_no_other_site_can_show_it_in_a_frame(api, path):
    answer = api.get(path, params={"text": "cat"}, follow_redirects=True)
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_the_twins_give_the_same_answers(services):
    for body in ({"text": "a big cat"}, {"text": "music", "limit": 30}, {"text": "snow"}):
        answers = [hits(api.post("/search", json=body)) for api in services.values()]
        ids = [[hit["id"] for hit in answer] for answer in answers]
        assert ids[0] == ids[1] == ids[2]


def test_many_clients_at_once_get_their_own_answers(api):
    alone = [hits(api.post("/search", json={"text": text})) for text in ("cat", "snow", "violin")]
    with ThreadPoolExecutor(12) as pool:
        texts = ["cat", "snow", "violin"] * 8
        answers = list(pool.map(lambda text: hits(api.post("/search", json={"text": text})), texts))
    ids = [[hit["id"] for hit in answer] for answer in answers]
    assert ids == [[hit["id"] for hit in answer] for answer in alone] * 8


def test_who_documents_itself(services):
    """FastAPI and the extension describe the same calls; Flask alone describes none."""
    assert services["flask"].get("/openapi.json").status_code == 404
    described = {}
    for name, where in (("fastapi", "/openapi.json"), ("flask_openapi", "/openapi/openapi.json")):
        paths = services[name].get(where).json()["paths"]
        described[name] = {(path, method) for path, calls in paths.items() for method in calls}
    described["fastapi"].discard(("/", "get"))
    assert described["fastapi"] == described["flask_openapi"]
    for name, where in (("fastapi", "/docs"), ("fastapi", "/redoc")):
        page = services[name].get(where)
        assert page.status_code == 200
        assert "cdn" not in page.text
    for where in ("/openapi/swagger", "/openapi/redoc"):
        page = services["flask_openapi"].get(where, follow_redirects=True)
        assert page.status_code == 200
        assert "cdn" not in page.text


# ------------------------------------------------------------------------------- serving


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"hi"]


def test_serve_wsgi_leaves_no_thread_and_no_port():
    before = set(threading.enumerate())
    with serve_wsgi(hello) as service, httpx.Client() as client:
        assert client.get(service.url).text == "hi"
        assert service.url.startswith("http://127.0.0.1:")
    assert set(threading.enumerate()) == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(service.url)
    service.stop()  # twice is fine


def test_serve_wsgi_again_replaces_the_service():
    with serve_wsgi(hello) as first, serve_wsgi(hello) as second:
        assert httpx.get(second.url).text == "hi"
        with pytest.raises(httpx.ConnectError):
            httpx.get(first.url)


# ------------------------------------------------------------------------------- the load generator


def generator(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "app_snippets.twins.load", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_the_load_generator_counts_what_the_server_counts():
    served = []

    def counted(environ, start_response):
        served.append(environ["REQUEST_METHOD"])
        return hello(environ, start_response)

    with serve_wsgi(counted) as service:
        done = generator(service.url, "--clients=3", "--seconds=0.3", "--warm=0")
    measured = json.loads(done.stdout)
    assert measured["requests"] == len(served)
    assert measured["p50_ms"] <= measured["p95_ms"] <= measured["p99_ms"]
    assert set(served) == {"GET"}


def test_the_load_generator_takes_no_failure_for_an_answer(services):
    url = str(services["fastapi"].base_url)
    done = generator(f"{url}/search", '--body={"text": ""}', "--seconds=0.2")
    assert done.returncode == 1
    assert "422" in done.stderr
    assert generator("http://127.0.0.1:1/").returncode == 1


def test_the_load_generator_posts_its_body(services):
    url = f"{services['flask'].base_url}/search"
    done = generator(url, '--body={"text": "cat", "limit": 1}', "--seconds=0.2", "--warm=0")
    assert json.loads(done.stdout)["requests"] >= 1


def test_percentiles_are_nearest_rank():
    values = [float(v) for v in range(1, 101)]
    assert load.percentile(values, 0.5) == 51
    assert load.percentile(values, 0.99) == 100
    assert load.percentile([7.0], 0.95) == 7


def test_the_echo_answers_and_ends():
    before = set(threading.enumerate())
    with load.serve_echo() as url:
        assert httpx.get(url).json() == {}
    assert set(threading.enumerate()) == before
