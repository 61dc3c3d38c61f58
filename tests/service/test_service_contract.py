"""The calls, bodies and statuses that every search service has in common (app_snippets/README.md)."""

import io
import json
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from itertools import pairwise

import httpx
import pytest
from grpc import RpcError
from PIL import Image
from services import assert_problem
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app_snippets.service.store import Store

UNKNOWN = "0" * 32


class Links(HTMLParser):
    """Every address in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


@pytest.fixture
def items(loaded):
    """Two items of the test's own among the samples: (id, name)."""
    first, second = loaded.case.files[:2]
    assert loaded.load([first, second], category="of this test")["state"] == "done"
    listed = loaded.client.get("items", params={"category": "of this test"}).json()["items"]
    yield [(item["id"], item["payload"]["name"]) for item in listed]
    for item in listed:
        loaded.client.delete(f"items/{item['id']}")


# ------------------------------------------------------------------------------- the service


@pytest.mark.on_server
def test_health_says_what_serves(loaded, place):
    health = loaded.client.get("health")
    assert health.status_code == 200
    lacks = {"lacks": [*loaded.case.sparse]} if place and loaded.case.sparse else {}
    assert (
        health.json() | {"max_files": 0, "max_file_bytes": 0}
        == {
            "status": "ok",
            "service": loaded.case.name,
            "encoder": health.json()["encoder"],
            "dim": loaded.case.dim,
            "count": loaded.count(),
            "max_files": 0,
            "max_file_bytes": 0,
        }
        | lacks
    )


def test_page_is_served_with_relative_links_and_without_inline_script(loaded):
    page = loaded.client.get("")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    links = Links(page.text).found
    assert any(link.endswith(".js") for link in links)
    for link in links:
        assert not re.match(r"/|\w+:", link), f"{link} does not work behind a proxy"
        assert link.startswith("#") or loaded.client.get(link).status_code == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", page.text)


@pytest.mark.parametrize("path", ["docs", "redoc"])
@pytest.mark.parametrize("prefix", ["", "/user/ada@uni.example/proxy/8000"])
def test_api_pages_work_offline_and_behind_the_proxy(loaded, path, prefix):
    page = loaded.client.get(path, headers={"X-Forwarded-Prefix": prefix} if prefix else {})
    assert page.status_code == 200
    assets = [link for link in Links(page.text).found if not link.startswith("data:")]
    assets += re.findall(r"""(?:url: |spec-url=)['"]([^'"]+)""", page.text)
    assert any("openapi.json" in link for link in assets)
    for link in assets:
        assert link.startswith(f"{prefix}/"), f"{link} is not below {prefix or '/'}"
        assert loaded.client.get(link.removeprefix(prefix)).status_code == 200


def test_a_prefix_that_is_no_path_stays_out_of_the_page(loaded):
    page = loaded.client.get("docs", headers={"X-Forwarded-Prefix": "/<script>alert(1)</script>"})
    assert "alert(1)" not in page.text


def test_openapi_documents_every_call_of_the_contract(loaded):
    paths = loaded.client.get("openapi.json").json()["paths"]
    assert {
        f"{method.upper()} {path}" for path, methods in paths.items() for method in methods
    } == {
        "GET /health",
        "GET /count",
        "GET /categories",
        "GET /jobs/{job_id}",
        "DELETE /jobs/{job_id}",
        "POST /items",
        "POST /samples",
        "GET /items",
        "DELETE /items",
        "GET /items/{item_id}",
        "DELETE /items/{item_id}",
        "GET /items/{item_id}/media",
        "POST /search",
        "POST /search/file",
        *loaded.case.calls,
    }


def test_openapi_describes_every_failure_as_a_problem(loaded):
    text = loaded.client.get("openapi.json").text
    document = loaded.client.get("openapi.json").json()
    for name in re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', text):
        assert name in document["components"]["schemas"]
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {"403", "421", "503"} <= set(operation["responses"])
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]


HOSTS = ["[", "[::1", "127.0.0.1]", "[zz]", "evil@127.0.0.1", "127.0.0.1:80:80", "127.0.0.1/"]
ORIGINS = ["http://[", "http://[zz]/", "null", "http://", "//", "http://evil@127.0.0.1", "["]


@pytest.mark.parametrize(
    "header, value, status",
    [*(("Host", host, 421) for host in HOSTS), *(("Origin", o, 403) for o in ORIGINS)],
)
def test_a_caller_that_cannot_be_told_is_refused(loaded, header, value, status):
    problem = assert_problem(loaded.client.get("count", headers={header: value}), status)
    assert "Traceback" not in problem["detail"]


@pytest.mark.parametrize("path", ["", "docs", "redoc", "docs/oauth2-redirect", "nothing", "count"])
def test_no_other_site_can_show_it_in_a_frame(loaded, path):
    for headers in ({}, {"Host": "elsewhere.example"}):
        policy = loaded.client.get(path, headers=headers).headers["content-security-policy"]
        assert "frame-ancestors 'self' http://localhost:*" in policy


# ----------------------------------------------------------------------------- adding items


@pytest.mark.on_server
def test_upload_is_accepted_as_a_job_that_can_be_watched(loaded):
    response = loaded.client.post("items", files=[("files", f) for f in loaded.case.files[:2]])
    assert response.status_code == 202
    accepted = response.json()
    assert accepted == {"job_id": accepted["job_id"], "accepted": 2}
    assert response.headers["location"] == f"jobs/{accepted['job_id']}"
    job = loaded.finished(response)
    assert job["id"] == accepted["job_id"]
    assert (job["state"], job["total"], job["done"], job["failed"]) == ("done", 2, 2, [])
    assert job["created_at"] <= job["finished_at"]
    for item in loaded.client.get("items", params={"limit": 2}).json()["items"]:
        assert item["payload"]["category"] == "uploads"
        assert loaded.client.delete(f"items/{item['id']}").status_code == 204


@pytest.mark.on_server
def test_samples_load_once_however_often_they_are_asked_for(loaded):
    before = loaded.count()
    response = loaded.client.post("samples")
    assert response.status_code == 202
    assert response.json()["accepted"] == loaded.case.accepted
    job = loaded.finished(response)
    assert (job["state"], job["items"]) == ("done", loaded.case.samples)
    assert loaded.count() == before


@pytest.mark.on_server
def test_a_broken_file_is_reported_and_the_rest_go_in(loaded):
    good = loaded.case.files[0]
    job = loaded.load(
        [("empty.png", b""), good, ("half.png", loaded.case.broken)], category="mixed"
    )
    assert (job["state"], job["total"], job["done"]) == ("done", 3, 1)
    assert [failure["name"] for failure in job["failed"]] == ["empty.png", "half.png"]
    assert all(failure["name"] in failure["reason"] for failure in job["failed"])
    (item,) = loaded.client.get("items", params={"category": "mixed"}).json()["items"]
    assert item["payload"]["name"] == good[0]
    loaded.client.delete(f"items/{item['id']}")


def test_a_job_of_broken_files_has_failed(loaded):
    before = loaded.count()
    job = loaded.load([("page.jpg", loaded.case.broken)])
    assert (job["state"], job["done"]) == ("failed", 0)
    assert loaded.count() == before


def test_content_counts_and_not_what_the_client_says_of_it(loaded):
    _, content = loaded.case.files[0]
    response = loaded.client.post(
        "items",
        files=[("files", ("notes.txt", content, "text/plain"))],
        data={"category": "lies"},
    )
    assert loaded.finished(response)["done"] == 1
    (item,) = loaded.client.get("items", params={"category": "lies"}).json()["items"]
    media = loaded.client.get(f"items/{item['id']}/media")
    assert media.headers["content-type"] == loaded.case.media_type
    loaded.client.delete(f"items/{item['id']}")


NAMES = {
    "../../../etc/passwd": "passwd",
    "..\\..\\windows\\system.ini": "system.ini",
    "/etc/cron.d/evil.png": "evil.png",
    "..": "..",
    "a\r\nb\tc.png": "a b c.png",
    "gpj.\u202eexe.png": "gpj.exe.png",
    "<img src=x onerror=alert(1)>.png": "<img src=x onerror=alert(1)>.png",
    "貓頭鷹.png": "貓頭鷹.png",
    "می\u200cخواهم.png": "می\u200cخواهم.png",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467.png": "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
    "\U0001fae8 is new.png": "\U0001fae8 is new.png",
    "\U0001f3f4\U000e0067\U000e0062\U000e007f.png": "\U0001f3f4\U000e0067\U000e0062\U000e007f.png",
    "a\U000e0067\ufeff\u00ad\u2066b\ufdd0.png": "ab.png",
    "\u200d\u200c": "unnamed",
    "x" * 300 + ".png": "x" * 100,
    "y" * 3000: "y" * 100,
    "a%22b%0D%0Ac.jpg": 'a"b c.jpg',  # browsers write a quote and the ends of lines so
}


@pytest.mark.parametrize("name", NAMES)
def test_a_client_file_name_is_text_to_show_and_never_a_path(loaded, name):
    files = {path for path in loaded.folder.parent.parent.rglob("*") if path.suffix != ".part"}
    # By hand: a client library would clean the name before it is sent.
    body = (
        b"--cut\r\nContent-Disposition: form-data; name=category\r\n\r\nnames\r\n"
        b'--cut\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n%s\r\n--cut--\r\n'
    ) % (
        name.replace("\r\n", " ").replace("\\", "\\\\").encode(),
        loaded.case.files[0][1],
    )
    response = loaded.client.post(
        "items", content=body, headers={"Content-Type": "multipart/form-data; boundary=cut"}
    )
    assert response.status_code == 202, response.text
    loaded.finished(response)
    (item,) = loaded.client.get("items", params={"category": "names"}).json()["items"]
    assert item["payload"]["name"] == NAMES[name]
    new = {
        path
        for path in loaded.folder.parent.parent.rglob("*")
        if path not in files and path.is_relative_to(loaded.folder) and path.suffix != ".part"
    }
    suffix = loaded.case.suffix
    kept = {f"{item['id']}{suffix}"} if suffix else set()
    assert {path.name for path in new if path.is_file()} == kept
    loaded.client.delete(f"items/{item['id']}")


WORDS = ("हिन्दी", "สัตว์", "விலங்குகள்", "動物", "חיות", "می\u200cخواهم", "ශ්\u200dරී", "동물 " * 16)


@pytest.mark.parametrize("category", WORDS)
def test_a_category_is_written_in_any_script_and_found_however_it_is_spelt(loaded, category):
    category = category.strip()
    for spelt in ("NFC", "NFD"):  # macOS takes accents and syllables apart
        given = unicodedata.normalize(spelt, category)
        assert loaded.load([loaded.case.files[0]], category=given)["state"] == "done"
    for spelt in ("NFC", "NFD"):
        asked = unicodedata.normalize(spelt, category)
        items = loaded.client.get("items", params={"category": asked}).json()["items"]
        assert [item["payload"]["category"] for item in items] == [category] * 2
        assert len(loaded.hits(text=loaded.case.text, category=asked)) == 2
    for item in items:
        loaded.client.delete(f"items/{item['id']}")


WRONG = [
    "",
    "a" * 65,
    'x" or id != "',
    "a\nb",
    "-a",
    "<b>",
    "a\\",
    "\u0301a",
    "a\u202eb",
    "a\u200d",
    "a\ue000",
]


@pytest.mark.parametrize("category", WRONG)
def test_a_category_that_does_not_fit_is_refused_by_name(loaded, category):
    file = ("files", loaded.case.files[0])
    response = loaded.client.post("items", files=[file], data={"category": category})
    if category == "":  # an empty form field is one that is not there
        loaded.finished(response)
        (item,) = loaded.client.get("items", params={"limit": 1}).json()["items"]
        assert item["payload"]["category"] == "uploads"
        loaded.client.delete(f"items/{item['id']}")
        return
    problem = assert_problem(response, 422)
    assert problem["errors"][0]["field"] == "body.category"
    assert_problem(loaded.client.get("items", params={"category": category}), 422)
    assert_problem(loaded.client.post("search", json={"text": "x", "category": category}), 422)


def test_upload_without_files_is_refused_by_field(loaded):
    problem = assert_problem(loaded.client.post("items", files={"other": b"x"}), 422)
    assert problem["errors"][0]["field"] == "body.files"


def test_upload_of_another_media_type_is_refused(loaded):
    if loaded.case.is_text:
        assert_problem(
            loaded.client.post("items", content=b"x"), 415, "multipart/form-data", "json"
        )
    else:
        assert_problem(loaded.client.post("items", json={"items": []}), 415, "multipart/form-data")
    assert_problem(loaded.client.post("search/file", content=b"x"), 415)
    broken = {"Content-Type": "multipart/form-data"}
    assert_problem(loaded.client.post("items", content=b"x", headers=broken), 422, "boundary")


# ------------------------------------------------------------------------------------- jobs


def test_unknown_job_is_not_found(loaded):
    assert_problem(loaded.client.get(f"jobs/{UNKNOWN}"), 404, UNKNOWN)
    assert_problem(loaded.client.delete(f"jobs/{UNKNOWN}"), 404, UNKNOWN)


def events(service, job_id: str):
    url = f"{service.url.replace('http', 'ws')}/jobs/{job_id}/events"
    return connect(url, proxy=None)


def test_events_tell_how_far_it_is_and_close_after_the_last(empty):
    accepted = empty.client.post("items", files=[("files", f) for f in empty.case.files])
    job_id = accepted.json()["job_id"]
    with events(empty, job_id) as socket:
        told = [json.loads(message) for message in socket]
    assert socket.protocol.close_code == 1000
    last = empty.client.get(f"jobs/{job_id}").json()
    assert told[-1] == last
    assert last["state"] == "done"
    done = [job["done"] for job in told]
    assert done == sorted(done)
    assert all(a != b for a, b in pairwise(told))
    empty.client.delete("items", params={"confirm": "true"})


def test_events_of_a_finished_job_are_its_last_state(loaded):
    response = loaded.client.post("items", files=[("files", ("broken", loaded.case.broken))])
    job = loaded.finished(response)
    with events(loaded, job["id"]) as socket:
        assert len(list(socket)) == 1


def test_events_of_an_unknown_job_are_refused_as_a_problem(loaded):
    with pytest.raises(InvalidStatus) as refused:
        events(loaded, UNKNOWN)
    assert refused.value.response.status_code == 404
    assert refused.value.response.headers["content-type"] == "application/problem+json"


def test_a_refused_websocket_is_no_error_in_the_log(loaded, caplog):
    url = f"{loaded.url.replace('http', 'ws')}/jobs/{UNKNOWN}/events"
    for headers in ({}, {"Origin": "https://evil.example"}):
        with pytest.raises(InvalidStatus):
            connect(url, proxy=None, additional_headers=headers)
    loaded.client.get("count")  # by now the server has written what it had to say of them
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_cancelled_load_stops_and_keeps_what_is_in(empty):
    accepted = empty.client.post("samples")
    job_id = accepted.json()["job_id"]
    with events(empty, job_id) as socket:
        for message in socket:
            if json.loads(message)["done"] >= 3:
                response = empty.client.delete(f"jobs/{job_id}")
                assert response.status_code == 202
                assert response.json()["id"] == job_id
                break
    job = empty.finished(accepted)
    assert job["state"] == "interrupted"
    assert 3 <= job["done"] < job["total"]
    assert empty.count() == job["items"]
    again = empty.client.delete(f"jobs/{job_id}")
    assert (again.status_code, again.json()) == (202, job)
    empty.client.delete("items", params={"confirm": "true"})


@pytest.mark.frame
def test_a_cancelled_load_that_waits_gives_back_its_place_and_its_uploads(start):
    service = start(max_queued_jobs=2)
    files = [("files", f) for f in service.case.files]
    running = service.client.post("samples").headers["location"]
    while service.client.get(running).json()["state"] == "queued":
        pass
    waiting = [service.client.post("items", files=files) for _ in range(2)]
    incoming = service.folder / "incoming"
    for _ in range(3):  # the load of the samples goes on meanwhile: places come from here only
        assert_problem(service.client.post("items", files=files), 429, "2")
        cancelled = waiting.pop(0).headers["location"]
        job = service.client.delete(cancelled).json()
        assert (job["state"], job["done"]) == ("interrupted", 0)
        assert job["finished_at"]
        assert len(list(incoming.iterdir())) == 1
        waiting.append(service.client.post("items", files=files))
        assert waiting[-1].status_code == 202
        assert service.client.get(running).json()["state"] == "running"
    for left in (running, *(accepted.headers["location"] for accepted in waiting)):
        service.client.delete(left)
    for accepted in waiting:
        service.finished(accepted)
    assert not list(incoming.iterdir())


@pytest.mark.frame
def test_twenty_watchers_of_500_bad_files_get_the_newest_state_and_the_last(start):
    """With a pace of an hour: the state when they come, and the end, which does not wait."""
    service = start(pace=3600)
    blocker = service.client.post("samples")
    bad = service.case.broken
    files = [("files", (f"{'x' * 80}{n}.png", bad)) for n in range(500)]
    accepted = service.client.post("items", files=files)
    with ThreadPoolExecutor(20) as pool:
        sockets = [events(service, accepted.json()["job_id"]) for _ in range(20)]
        firsts = [json.loads(socket.recv()) for socket in sockets]
        assert {job["state"] for job in firsts} == {"queued"}
        told = [pool.submit(list, socket) for socket in sockets]
        service.client.delete(blocker.headers["location"])
        last = service.finished(accepted)
        assert (last["state"], len(last["failed"])) == ("failed", 500)
        for messages in told:
            assert [json.loads(message) for message in messages.result(timeout=60)] == [last]


def test_every_other_endpoint_answers_while_a_load_runs(empty):
    empty.load([empty.case.files[0]])
    (item,) = empty.client.get("items").json()["items"]
    accepted = empty.client.post("samples")
    rounds = 0
    while not empty.client.get(accepted.headers["location"]).json()["finished_at"]:
        for path in ("health", "count", "items", "categories", f"items/{item['id']}", ""):
            assert empty.client.get(path).status_code == 200
        assert empty.hits(text=empty.case.text)
        assert empty.client.get(f"items/{item['id']}/media").status_code == 200
        # At 409 the answer is immediate too, and nothing is deleted under the load.
        deleting = empty.client.delete("items", params={"confirm": "true"})
        if empty.client.get(accepted.headers["location"]).json()["finished_at"]:
            break
        assert_problem(deleting, 409)
        rounds += 1
        if rounds == 10:
            empty.client.delete(accepted.headers["location"])
    assert rounds >= 5, "the endpoints waited for the load"
    empty.finished(accepted)
    empty.client.delete("items", params={"confirm": "true"})


# ------------------------------------------------------------------------------------ items


@pytest.mark.on_server
def test_an_item_is_listed_read_shown_found_and_deleted(loaded, items):
    (item_id, name), (other_id, _) = items
    path = f"items/{item_id}"
    item = loaded.client.get(path).json()
    assert item["id"] == item_id
    assert (item["payload"]["name"], item["payload"]["category"]) == (name, "of this test")
    assert other_id in [hit["id"] for hit in loaded.hits(item_id=item_id, category="of this test")]
    assert loaded.client.delete(path).status_code == 204
    for gone in (path, f"{path}/media"):
        assert_problem(loaded.client.get(gone), 404, item_id)
    assert_problem(loaded.client.delete(path), 404, item_id)
    assert_problem(loaded.client.post("search", json={"item_id": item_id}), 404, item_id)
    assert item_id not in [
        hit["id"] for hit in loaded.hits(item_id=other_id, category="of this test")
    ]


@pytest.mark.on_server
def test_media_have_their_type_and_may_be_cached(loaded, items):
    path = f"items/{items[0][0]}/media"
    media = loaded.client.get(path)
    assert media.headers["content-type"] == loaded.case.media_type
    assert media.headers["x-content-type-options"] == "nosniff"
    assert "max-age" in media.headers["cache-control"]
    if loaded.case.is_text:
        payload = loaded.client.get(f"items/{items[0][0]}").json()["payload"]
        assert media.text == payload["text"]
    else:
        kept = loaded.folder / "media" / f"{items[0][0]}{loaded.case.suffix}"
        assert media.content == kept.read_bytes()
    if loaded.case.media_type.startswith("image/"):
        Image.open(io.BytesIO(media.content)).verify()
    known = {"If-None-Match": media.headers["etag"]}
    unchanged = loaded.client.get(path, headers=known)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert loaded.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("tag", ["*", "W/{}", '"other", {}', '"a,b" , W/{}'])
def test_media_that_a_client_has_are_not_sent_again(loaded, items, tag):
    path = f"items/{items[0][0]}/media"
    known = tag.format(loaded.client.head(path).headers["etag"])
    assert loaded.client.get(path, headers={"If-None-Match": known}).status_code == 304
    other = {"If-None-Match": f'"x{items[0][0]}"'}
    assert loaded.client.get(path, headers=other).status_code == 200


@pytest.mark.parametrize("odd", ["items=0-1", "bytes=abc", "garbage", "bytes=5-4", "bytes=0-1,4-5"])
def test_a_range_that_is_none_is_ignored(loaded, items, odd):
    for path in ("", "page/icon.svg", f"items/{items[0][0]}/media"):
        whole = loaded.client.get(path)
        asked = loaded.client.get(path, headers={"Range": odd})
        assert (asked.status_code, asked.content) == (200, whole.content)


def test_a_range_is_answered_and_one_beyond_the_end_is_a_problem(loaded, items):
    path = f"items/{items[0][0]}/media"
    whole = loaded.client.get(path).content
    for asked, part in (("0-9", whole[:10]), ("-5", whole[-5:]), ("10-", whole[10:])):
        answer = loaded.client.get(path, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, part)
    answer = loaded.client.get(path, headers={"Range": "bytes=99999999-"})
    assert_problem(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"


def test_head_says_what_get_says_without_its_body(loaded, items):
    item = f"items/{items[0][0]}"
    for path in (
        "",
        "health",
        "count",
        "items",
        item,
        f"{item}/media",
        "docs",
        "nothing",
        "items/x",
    ):
        full, head = loaded.client.get(path), loaded.client.head(path)
        assert (head.status_code, head.content) == (full.status_code, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == full.headers[name]


@pytest.mark.on_server
@pytest.mark.parametrize(
    "item_id", [UNKNOWN, "x", "..", "%2e%2e%2fjobs.sqlite", "..%2f..%2fetc%2fpasswd", '"', "%00"]
)
def test_what_is_no_id_is_not_found(loaded, item_id):
    for path in (f"items/{item_id}/media", f"items/{item_id}"):
        response = loaded.client.get(httpx.URL(f"{loaded.url}/{path}"))
        if item_id == "..":  # the client resolves it: /media and /
            assert response.status_code in (200, 404)
        else:
            assert_problem(response, 404)


@pytest.mark.parametrize(
    "path", ["page/../uploads.py", "page/%2e%2e/uploads.py", "page/..%2fservice/jobs.py"]
)
def test_only_the_pages_are_served_from_their_folder(loaded, path):
    url = httpx.URL(loaded.url).copy_with(raw_path=f"/{path}".encode())
    assert_problem(loaded.client.get(url), 404)


@pytest.mark.on_server
def test_pages_of_the_list_hold_every_item_once(loaded):
    seen, total = [], loaded.count()
    for offset in range(0, total, 100):
        page = loaded.client.get("items", params={"limit": 100, "offset": offset}).json()
        assert page["total"] == total
        seen += [item["id"] for item in page["items"]]
    assert len(seen) == len(set(seen)) == total
    beyond = loaded.client.get("items", params={"offset": total + 5}).json()
    assert beyond == {"items": [], "total": total}


@pytest.mark.on_server
def test_categories_add_up(loaded):
    categories = loaded.client.get("categories").json()["categories"]
    assert sum(category["count"] for category in categories) == loaded.count()
    for category in categories[:3]:
        params = {"category": category["name"], "limit": 100}
        page = loaded.client.get("items", params=params).json()
        assert page["total"] == category["count"]
        assert len(page["items"]) == min(100, category["count"])


def test_deleting_everything_must_be_meant(empty):
    empty.load(empty.case.files[:2])
    for params in ({}, {"confirm": "false"}, {"confirm": "1"}):
        problem = assert_problem(empty.client.delete("items", params=params), 422)
        assert problem["errors"][0]["field"] == "query.confirm"
    assert empty.count() == 2
    assert empty.client.delete("items", params={"confirm": "true"}).status_code == 204
    assert empty.count() == 0
    assert empty.client.get("items").json() == {"items": [], "total": 0}
    assert list((empty.folder / "media").iterdir()) == []


# ----------------------------------------------------------------------------------- search


@pytest.mark.on_server
def test_words_find_items_of_their_category(loaded):
    hits = loaded.hits(text=loaded.case.text, limit=5)
    assert loaded.case.category in [hit["payload"]["category"] for hit in hits]


@pytest.mark.on_server
def test_hits_come_best_first_with_payload_and_times(loaded):
    answer = loaded.client.post("search", json={"text": loaded.case.text, "limit": 20}).json()
    scores = [hit["score"] for hit in answer["hits"]]
    assert len(scores) == 20
    assert scores == sorted(scores, reverse=True)
    if not loaded.case.sparse:
        assert all(-1 <= score <= 1.000001 for score in scores)
    assert all(hit["payload"]["name"] for hit in answer["hits"])
    assert set(answer["took_ms"]) - {"rank"} == {"encode", "search"}
    assert all(took >= 0 for took in answer["took_ms"].values())


@pytest.mark.on_server
def test_ten_hits_unless_told_otherwise(loaded):
    assert len(loaded.hits(text=loaded.case.text)) == 10
    assert len(loaded.hits(text=loaded.case.text, limit=100)) == min(100, loaded.case.samples)


@pytest.mark.on_server
def test_a_file_finds_itself(loaded):
    name, content = loaded.case.files[0]
    loaded.load([(name, content)], category="of this test")
    (item,) = loaded.client.get("items", params={"category": "of this test"}).json()["items"]
    response = loaded.client.post("search/file", files={"file": (name, content)}, data={"limit": 3})
    loaded.client.delete(f"items/{item['id']}")
    hits = response.json()["hits"]
    assert len(hits) == 3
    assert hits[0]["score"] > 0.99
    assert name in [hit["payload"]["name"] for hit in hits]


@pytest.mark.on_server
def test_search_can_be_kept_to_a_category(loaded):
    category = loaded.case.category
    file = {"file": loaded.case.files[0]}
    found = [
        *loaded.hits(text=loaded.case.text, category=category),
        *loaded.client.post("search/file", files=file, data={"category": category}).json()["hits"],
    ]
    assert found
    assert {hit["payload"]["category"] for hit in found} == {category}
    assert loaded.hits(text=loaded.case.text, category="no such") == []


def test_an_empty_service_finds_nothing(empty):
    assert empty.hits(text=empty.case.text) == []


@pytest.mark.parametrize(
    "query, field",
    [
        ({}, "body"),
        ({"text": "x", "item_id": UNKNOWN}, "body"),
        ([], "body"),
        ({"text": ""}, "text"),
        ({"text": " ?! "}, "text"),
        ({"text": "x" * 1001}, "text"),
        ({"text": 5}, "text"),
        ({"text": "x", "limit": 0}, "limit"),
        ({"text": "x", "limit": 101}, "limit"),
        ({"text": "x", "limit": "many"}, "limit"),
        ({"text": "x", "colour": "red"}, "colour"),
        ({"item_id": None}, "item_id"),
    ],
)
def test_a_query_that_does_not_fit_is_refused_by_field(loaded, query, field):
    problem = assert_problem(loaded.client.post("search", json=query), 422)
    assert problem["errors"][0]["field"] == ("body" if field == "body" else f"body.{field}")


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": NaN}',
        b'{"text": "x", "limit": 1e999}',
        rb'{"text": "x\ud800"}',
        rb'{"text": "x", "\ud800": 1}',
        rb'{"text": "x", "category": "\ud800"}',
        b"[" * 30_000,
        b'{"text": "\xff"}',
    ],
)
def test_json_that_is_odd_is_refused(loaded, body):
    typed = {"Content-Type": "application/json"}
    assert_problem(loaded.client.post("search", content=body, headers=typed), 422)


def test_an_item_named_by_half_a_character_is_not_found(loaded):
    typed = {"Content-Type": "application/json"}
    body = rb'{"item_id": "\ud800"}'
    assert_problem(loaded.client.post("search", content=body, headers=typed), 404)


def test_a_file_without_a_file_name_is_refused_in_plain_words(loaded):
    for name in ("", "; filename*=UTF-8''a.jpg"):
        body = f'--cut\r\nContent-Disposition: form-data; name="file"{name}\r\n\r\nx\r\n--cut--\r\n'
        typed = {"Content-Type": "multipart/form-data; boundary=cut"}
        answer = loaded.client.post("search/file", content=body, headers=typed)
        assert "class" not in assert_problem(answer, 422, "file name")["detail"]


def test_a_file_name_too_long_for_a_header_is_refused_in_words(loaded):
    files = {"file": ("y" * 5000, loaded.case.other(0))}
    assert_problem(loaded.client.post("search/file", files=files), 422, "file name")


def test_a_query_that_is_no_json_is_refused(loaded):
    typed = {"Content-Type": "application/json"}
    assert_problem(loaded.client.post("search", content="{", headers=typed), 422, "JSON")
    assert_problem(loaded.client.post("search", content='{"text": "x"}'), 415, "application/json")
    assert_problem(loaded.client.post("search", data={"text": "x"}), 415)


def test_a_file_that_cannot_be_read_is_refused_by_name(loaded):
    for content in (b"", loaded.case.broken):
        response = loaded.client.post("search/file", files={"file": ("what.png", content)})
        problem = assert_problem(response, 415, "what.png")
        assert problem["errors"][0]["field"] == "what.png"


# ------------------------------------------------------------------------ failures elsewhere


def test_unknown_addresses_and_methods_are_problems(loaded):
    assert_problem(loaded.client.get("nothing/here"), 404, "/nothing/here")
    refused = loaded.client.put("items", json={})
    assert_problem(refused, 405, "PUT")
    assert refused.headers["allow"] == "DELETE, GET, HEAD, POST"


@pytest.mark.pictures
def test_media_that_someone_removed_are_not_found(loaded, items):
    item_id = items[0][0]
    for media in (loaded.folder / "media").glob(f"{item_id}.*"):
        media.unlink()
    assert_problem(loaded.client.get(f"items/{item_id}/media"), 404, item_id)


def test_media_of_an_item_that_goes_meanwhile_are_whole_or_not_found(loaded):
    def ask(item_id: str) -> None:
        response = loaded.client.get(f"items/{item_id}/media")
        assert response.status_code in (200, 404), response.text
        if response.status_code == 200:
            assert len(response.content) == int(response.headers["content-length"])

    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            loaded.load(loaded.case.files[:1])
            (item,) = loaded.client.get("items", params={"limit": 1}).json()["items"]
            asked = [pool.submit(ask, item["id"]) for _ in range(8)]
            assert loaded.client.delete(f"items/{item['id']}").status_code == 204
            for answer in asked:
                answer.result()


def test_an_unexpected_failure_does_not_tell_about_the_inside(loaded, monkeypatch):
    def fails(store: Store) -> None:
        raise ZeroDivisionError(f"while reading {loaded.folder}")

    monkeypatch.setattr(Store, "categories", fails)
    problem = assert_problem(loaded.client.get("categories"), 500)
    assert str(loaded.folder) not in str(problem)
    assert "Traceback" not in str(problem)


# -------------------------------------------------------------------- searches by several items


@pytest.mark.on_server
def test_several_items_find_what_is_like_them_and_not_themselves(loaded, items):
    mine = [item_id for item_id, _ in items]
    found = [hit["id"] for hit in loaded.hits(items=mine, limit=20)]
    assert len(found) == 20
    assert not set(found) & set(mine)
    one = [hit["id"] for hit in loaded.hits(items=mine[:1], limit=20)]
    assert one == [hit["id"] for hit in loaded.hits(item_id=mine[0], limit=20)]
    assert [hit["id"] for hit in loaded.hits(items=[*mine, *mine], limit=20)] == found


@pytest.mark.on_server
def test_what_is_unlike_goes_down_and_is_not_found(loaded, items):
    liked = items[0][0]
    before = [hit["id"] for hit in loaded.hits(items=[liked], limit=100)]
    unlike = before[9]
    after = [hit["id"] for hit in loaded.hits(items=[liked], unlike=[unlike], limit=100)]
    assert unlike not in after
    assert liked not in after
    assert [hit for hit in before if hit != unlike][:50] != after[:50]


@pytest.mark.parametrize(
    "query, field",
    [
        ({"items": []}, "items"),
        ({"items": "x"}, "items"),
        ({"items": [UNKNOWN] * 101}, "items"),
        ({"items": [UNKNOWN], "text": "x"}, "body"),
        ({"text": "x", "unlike": [UNKNOWN]}, "unlike"),
    ],
)
def test_several_items_that_do_not_fit_are_refused_by_field(loaded, query, field):
    problem = assert_problem(loaded.client.post("search", json=query), 422)
    assert problem["errors"][0]["field"] == ("body" if field == "body" else f"body.{field}")


@pytest.mark.on_server
def test_an_unknown_item_among_several_is_named(loaded, items):
    known = items[0][0]
    for query in ({"items": [known, UNKNOWN]}, {"items": [known], "unlike": [UNKNOWN]}):
        assert_problem(loaded.client.post("search", json=query), 404, UNKNOWN)


@pytest.mark.on_server
def test_a_mode_is_one_of_those_that_are_described(loaded, place):
    schemas = loaded.client.get("openapi.json").json()["components"]["schemas"]
    about = schemas["SearchByText"]["properties"].get("mode")
    if about is None:
        assert_problem(loaded.client.post("search", json={"text": "x", "mode": "x"}), 422)
        return
    modes = schemas[about["$ref"].rpartition("/")[2]]["enum"]
    assert about["default"] == modes[0]
    file = {"file": loaded.case.files[0]}
    for mode in modes:
        if place and mode in loaded.case.sparse_modes:
            answer = loaded.client.post("search/file", files=file, data={"mode": mode})
            assert_problem(answer, 422, "sparse", mode)
            continue
        assert loaded.hits(text=loaded.case.text, mode=mode)
        answer = loaded.client.post("search/file", files=file, data={"mode": mode})
        assert answer.status_code == 200
    assert loaded.hits(text=loaded.case.text) == loaded.hits(text=loaded.case.text, mode=modes[0])
    query = {"text": "x", "mode": "no such"}
    assert_problem(loaded.client.post("search", json=query), 422, "mode", modes[0])
    answer = loaded.client.post("search/file", files=file, data={"mode": "no such"})
    assert_problem(answer, 422, "mode", modes[0])


def test_a_milvus_that_takes_too_long_is_a_503(loaded, monkeypatch):
    """Some of its deadlines come as errors of gRPC itself."""

    def late(*args, **options):
        raise RpcError("deadline exceeded")

    monkeypatch.setattr(Store, "search", late)
    response = loaded.client.post("search", json={"text": loaded.case.text})
    assert_problem(response, 503, "Milvus does not answer")
