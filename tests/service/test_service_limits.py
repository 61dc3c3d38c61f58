"""How much a client may send, how often, and from where."""

import json
import socket
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from bombs import NEVER, chunk, flat_png, many_scans
from PIL import Image
from pydantic import ValidationError
from services import assert_problem, png, running
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app_snippets import reverse_image_search, uploads
from workshop import WorkshopError, launch


def bomb(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels, in a few kilobytes."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000), 9)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def send_raw(service, head: str, chunks: int, size: int) -> tuple[int, dict, int]:
    """Send a chunked body until the service answers: status, problem, bytes sent by then."""
    address = urlsplit(service.url)
    sent = 0
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(
            f"{head}\r\nHost: {address.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"%x\r\n" % size + b"x" * size + b"\r\n"
        try:
            for _ in range(chunks):
                connection.sendall(chunk)
                sent += size
        except OSError:
            pass  # the service has closed its side
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
                if answer.endswith(b"}"):
                    break
        except OSError:
            pass
    start, _, body = answer.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(body), sent


# ------------------------------------------------------------------------------------ size


@pytest.fixture(scope="module")
def small(case, tmp_path_factory):
    """A service with tight limits."""
    limits = {
        "max_file_bytes": 50_000,
        "max_request_bytes": 200_000,
        "max_files": 3,
        "max_pixels": 1_000_000,
        "max_text": 20,
    }
    with running(case, tmp_path_factory.mktemp("small"), **limits) as service:
        yield service
        assert service.count() == 0
        assert not list((service.folder / "incoming").glob("*"))


def test_a_file_that_is_too_large_is_refused_by_name_and_nothing_is_taken_in(small):
    files = [("files", ("good.png", small.case.other(0))), ("files", ("big.png", b"x" * 50_001))]
    problem = assert_problem(small.client.post("items", files=files), 413, "big.png", "50,000")
    assert [error["field"] for error in problem["errors"]] == ["big.png"]
    response = small.client.post("search/file", files={"file": ("big.png", b"x" * 50_001)})
    assert_problem(response, 413, "big.png", "50,000")


def test_too_many_files_are_refused(small):
    files = [("files", (f"{i}.png", small.case.other(i))) for i in range(4)]
    assert_problem(small.client.post("items", files=files), 413, "3")


def test_a_request_that_announces_too_much_is_refused(small):
    files = [("files", (f"{i}.png", b"x" * 49_000)) for i in range(3)] * 2
    assert_problem(small.client.post("items", files=files), 413, "200,000")
    big = {"text": "x" * 100_000}
    assert_problem(small.client.post("search", json=big), 413)


def test_a_chunked_body_is_counted_as_it_comes(small):
    multipart = "POST /items HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=cut"
    opening = b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    address = urlsplit(small.url)
    # A form that never ends: ten times what is allowed, were it all read.
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(
            f"{multipart}\r\nHost: {address.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            + b"%x\r\n" % len(opening)
            + opening
            + b"\r\n"
        )
        chunk = b"%x\r\n" % 10_000 + b"x" * 10_000 + b"\r\n"
        for _ in range(21):  # 210,000 bytes: just over
            connection.sendall(chunk)
        answer = connection.recv(65536)
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"application/problem+json" in answer


def test_a_chunked_query_is_counted_as_it_comes(small):
    head = "POST /search HTTP/1.1\r\nContent-Type: application/json"
    status, problem, _ = send_raw(small, head, chunks=20, size=10_000)
    assert (status, problem["status"]) == (413, 413)


def test_a_text_that_is_too_long_is_refused(small):
    assert_problem(small.client.post("search", json={"text": "bird " * 5}), 422, "20 characters")


@pytest.mark.pictures
@pytest.mark.parametrize("size", [(1001, 1000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(small, size):
    response = small.client.post("search/file", files={"file": ("bomb.png", bomb(*size))})
    assert_problem(response, 413, "bomb.png", "pixels")
    job = small.load([("bomb.png", bomb(*size))])
    assert job["state"] == "failed"
    assert "bomb.png" in job["failed"][0]["reason"]


# -------------------------------------------------------------------------- work for one file


def search(service, content: bytes, name: str = "a.png") -> httpx.Response:
    return service.client.post("search/file", files={"file": (name, content)}, timeout=300)


@pytest.mark.pictures
def test_a_jpeg_of_many_scans_is_refused_and_named(loaded):
    for scans in (300, 100_000):  # 3 kB to 1 MB, minutes of work
        assert_problem(search(loaded, many_scans(scans, 7_000), "p.jpg"), 413, "p.jpg", "max_scans")
    job = loaded.load([("p.jpg", NEVER)])
    assert (job["state"], job["done"]) == ("failed", 0)


@pytest.mark.pictures
def test_a_file_that_takes_too_long_or_too_much_memory_is_refused_and_named(start, case):
    service = start(max_scans=10**9, max_decode_seconds=0.5, max_decode_bytes=150_000_000)
    for content, limit in ((NEVER, "max_decode_seconds"), (flat_png(7_000), "max_decode_bytes")):
        assert_problem(search(service, content), 413, "a.png", limit)
        job = service.load([("a.png", content), ("good.png", png())])
        assert (job["state"], job["done"]) == ("done", 1)
        assert limit in job["failed"][0]["reason"]
        service.client.delete("items", params={"confirm": "true"})
    assert search(service, png()).status_code == 200


@pytest.mark.pictures
def test_searches_by_large_files_wait_for_their_turn_and_memory_stays_small(start, case):
    this = psutil.Process()
    others = this.children()
    service = start(max_wait=600)
    large, seen = flat_png(5_000), []
    before = this.memory_info().rss
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(search, service, large) for _ in range(8)]
        while not all(answer.done() for answer in answers):
            readers = [process for process in this.children() if process not in others]
            memory = 0
            for process in readers:
                with suppress(psutil.NoSuchProcess):
                    # until it runs its own program it seems to have all of our memory
                    if "workshop.decoding" in process.cmdline():
                        memory += process.memory_info().rss
            seen.append((len(readers), this.memory_info().rss - before + memory))
    assert {answer.result().status_code for answer in answers} == {200}
    assert max(readers for readers, _ in seen) <= 2
    # One of them takes 200 MB at least; before, each of the eight took 500 at once.
    assert max(memory for _, memory in seen) < 1e9


@pytest.mark.pictures
def test_who_waits_too_long_for_a_turn_is_told_to_come_again(start, case):
    service = start(max_decodes=1, max_wait=0.01, max_scans=10**9, max_decode_seconds=2)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(search, service, NEVER)
        while (answer := search(service, png())).status_code == 200:
            if slow.done():  # the small one had the turn, and the slow one waited too long
                assert slow.result().status_code == 429
                slow = pool.submit(search, service, NEVER)
        assert_problem(answer, 429, "1 are worked on at once")
        assert int(answer.headers["retry-after"]) > 0
        assert service.client.get("health").status_code == 200
        assert_problem(slow.result(), 413, "max_decode_seconds")
    assert search(service, png()).status_code == 200


def in_hand(service, *files: tuple[str, bytes]) -> httpx.Response:
    """A job that works on what never ends."""
    accepted = service.client.post("items", files=[("files", file) for file in files])
    while True:
        job = service.client.get(accepted.headers["location"]).json()
        if (job["state"], job["done"]) == ("running", len(files) - 1):
            break
    return accepted


@pytest.mark.pictures
def test_a_load_is_cancelled_and_a_service_stopped_in_the_middle_of_a_file(case, tmp_path):
    limits = {"max_scans": 10**9, "max_decode_seconds": 600}
    with running(case, tmp_path, **limits) as service:
        accepted = in_hand(service, ("good.png", png()), ("slow.jpg", NEVER))
        service.client.delete(accepted.headers["location"])
        job = service.finished(accepted)
        assert (job["state"], job["done"], job["failed"]) == ("interrupted", 1, [])
        assert service.load([("next.png", png())])["done"] == 1
        accepted = in_hand(service, ("slow.jpg", NEVER))
    with running(case, tmp_path) as service:
        job = service.client.get(accepted.headers["location"]).json()
        assert (job["state"], job["done"], job["failed"]) == ("interrupted", 0, [])
        assert service.count() == 2


@pytest.mark.pictures
def test_max_pixels_may_be_above_fifty_million(start, case):
    content = BytesIO()
    Image.new("L", (8_000, 7_000), 200).save(content, "PNG")
    assert_problem(search(start(), content.getvalue()), 413, "50,000,000", "max_pixels")
    service = start(max_pixels=60_000_000)
    assert search(service, content.getvalue()).status_code == 200
    assert service.load([("large.png", content.getvalue())])["done"] == 1


def test_two_files_of_one_name_are_told_apart(loaded):
    bad = loaded.case.broken
    files = [("a.png", loaded.case.files[0][1]), ("a.png", bad), ("a.png", b""), ("b.png", bad)]
    job = loaded.load(files, category="of one name")
    failed = [(failure["name"], failure["number"]) for failure in job["failed"]]
    assert failed == [("a.png", 2), ("a.png", 3), ("b.png", 4)]
    (item,) = loaded.client.get("items", params={"category": "of one name"}).json()["items"]
    loaded.client.delete(f"items/{item['id']}")


def test_two_large_files_of_one_name_are_told_apart(small):
    good = ("files", ("a.png", small.case.other(0)))
    files = [good, *[("files", ("a.png", b"x" * 50_001))] * 2]
    problem = assert_problem(
        small.client.post("items", files=files), 413, "a.png (file 2), a.png (file 3)"
    )
    assert [error["field"] for error in problem["errors"]] == ["a.png (file 2)", "a.png (file 3)"]


# ---------------------------------------------------------------------------------- how often


@pytest.mark.frame
def test_uploads_are_limited_in_rate_and_told_when_to_come_again(start):
    service = start(upload_rate="3/hour")
    good = service.case.other(0)
    for _ in range(3):
        assert service.client.post("search/file", files={"file": good}).status_code == 200
    for path in ("items", "search/file"):
        response = service.client.post(path, files={"files": good, "file": good})
        assert_problem(response, 429, "3 per 1 hour")
        assert 0 < int(response.headers["retry-after"]) <= 3600
    assert service.client.get("health").status_code == 200
    assert service.hits(text="bird") == []


@pytest.mark.frame
def test_jobs_that_wait_are_limited(start):
    service = start(max_queued_jobs=1)
    accepted = [service.client.post("samples") for _ in range(4)]
    refused = [response for response in accepted if response.status_code != 202]
    assert refused
    for response in refused:
        assert_problem(response, 429, "waiting")
        assert int(response.headers["retry-after"]) > 0
    for response in accepted:
        if response.status_code == 202:
            service.client.delete(response.headers["location"])
    for response in accepted:
        if response.status_code == 202:
            assert service.finished(response)["state"] == "interrupted"
    assert service.load([("again.png", service.case.other(0))])["done"] == 1


# --------------------------------------------------------------------------------- from where


def test_other_names_for_this_machine_are_refused(loaded):
    """A page whose name was made to point to 127.0.0.1 (DNS rebinding) has its own Host."""
    port = urlsplit(loaded.url).port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
        response = loaded.client.get("count", headers={"Host": host})
        assert_problem(response, 421, "ALLOWED_HOSTS")
    for host in ("localhost", f"LOCALHOST:{port}", f"[::1]:{port}", "127.0.0.1:8888"):
        assert loaded.client.get("count", headers={"Host": host}).status_code == 200


def test_pages_of_other_sites_are_refused(loaded):
    before = loaded.count()
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        foreign = {"Origin": origin}
        refused = loaded.client.delete("items", params={"confirm": "true"}, headers=foreign)
        assert_problem(refused, 403, origin)
        assert_problem(loaded.client.post("samples", headers=foreign), 403)
        with pytest.raises(InvalidStatus) as closed:
            connect(f"{loaded.url.replace('http', 'ws')}/jobs/x/events", origin=origin, proxy=None)
        assert closed.value.response.status_code == 403
    assert loaded.count() == before
    assert loaded.client.get("count", headers={"Origin": loaded.url}).status_code == 200


@pytest.mark.frame
def test_behind_a_hub_its_name_is_accepted(start, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    hub = {"Host": "hub.example", "Origin": "https://hub.example"}
    assert start().client.post("search", json={"text": "bird"}, headers=hub).status_code == 200


# ------------------------------------------------------------------------------------ at start


@pytest.mark.parametrize(
    "setting, value",
    [
        ("max_files", "0"),
        ("max_scans", "0"),
        ("max_decode_seconds", "-1"),
        ("max_decode_bytes", "0"),
        ("max_decodes", "0"),
        ("max_wait", "0"),
        ("max_file_bytes", "a lot"),
        ("upload_rate", "often"),
        ("name", "../elsewhere"),
        ("allowed_hosts", "http://lab.example"),
        ("allowed_hosts", "lab.example,"),
        ("allowed_hosts", "[lab.example]"),
    ],
)
def test_settings_from_the_environment_are_checked(case, monkeypatch, setting, value):
    monkeypatch.setenv(f"{case.name.upper()}_{setting.upper()}", value)
    with pytest.raises((ValidationError, ValueError), match=setting):
        case.create_app()


@pytest.mark.frame
def test_settings_come_from_the_environment(case, monkeypatch, tmp_path):
    monkeypatch.setenv(f"{case.name.upper()}_MAX_FILES", "7")
    with running(case, tmp_path) as service:
        assert service.client.get("health").json()["max_files"] == 7


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("lab.example", ["lab.example"]),
        ("Lab.Example, 192.168.1.5,[::1]", ["lab.example", "192.168.1.5", "::1"]),
        ('["lab.example", "localhost"]', ["lab.example", "localhost"]),
        ("*", ["*"]),
    ],
)
@pytest.mark.parametrize("settings", [reverse_image_search.Settings, uploads.Settings])
def test_hosts_are_written_as_people_write_lists(settings, value, hosts, monkeypatch):
    monkeypatch.setenv(f"{settings.model_config['env_prefix']}ALLOWED_HOSTS", value)
    assert settings().allowed_hosts == hosts


@pytest.mark.frame
def test_a_folder_belongs_to_one_service_at_a_time(start, case):
    service = start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKSHOP_HOME", str(service.folder.parent))
        with pytest.raises(WorkshopError, match="another process"):
            launch(case.create_app(), name="the second")
    assert service.load([("still.png", service.case.other(0))])["done"] == 1
