"""How much a client may send, how often, and from where."""

import json
import socket
import struct
import zlib
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError
from services import assert_problem, png, running
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app_snippets import reverse_image_search, uploads
from workshop import WorkshopError, launch


def bomb(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels, in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


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
    files = [("files", ("good.png", png())), ("files", ("big.png", b"x" * 50_001))]
    problem = assert_problem(small.client.post("items", files=files), 413, "big.png", "50,000")
    assert [error["field"] for error in problem["errors"]] == ["big.png"]
    response = small.client.post("search/file", files={"file": ("big.png", b"x" * 50_001)})
    assert_problem(response, 413, "big.png", "50,000")


def test_too_many_files_are_refused(small):
    files = [("files", (f"{i}.png", png())) for i in range(4)]
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


@pytest.mark.parametrize("size", [(1001, 1000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(small, size):
    if small.case.media_type != "image/webp":
        pytest.skip("this limit is for pictures")
    response = small.client.post("search/file", files={"file": ("bomb.png", bomb(*size))})
    assert_problem(response, 413, "bomb.png", "pixels")
    job = small.load([("bomb.png", bomb(*size))])
    assert job["state"] == "failed"
    assert "bomb.png" in job["failed"][0]["reason"]


# ---------------------------------------------------------------------------------- how often


def test_uploads_are_limited_in_rate_and_told_when_to_come_again(start):
    service = start(upload_rate="3/hour")
    for _ in range(3):
        assert service.client.post("search/file", files={"file": png()}).status_code == 200
    for path in ("items", "search/file"):
        response = service.client.post(path, files={"files": png(), "file": png()})
        assert_problem(response, 429, "3 per 1 hour")
        assert 0 < int(response.headers["retry-after"]) <= 3600
    assert service.client.get("health").status_code == 200
    assert service.hits(text="bird") == []


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
    assert service.load([("again.png", png())])["done"] == 1


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


def test_behind_a_hub_its_name_is_accepted(start, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    hub = {"Host": "hub.example", "Origin": "https://hub.example"}
    assert start().client.post("search", json={"text": "bird"}, headers=hub).status_code == 200


# ------------------------------------------------------------------------------------ at start


@pytest.mark.parametrize(
    "setting, value",
    [
        ("max_files", "0"),
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


def test_a_folder_belongs_to_one_service_at_a_time(start, case):
    service = start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKSHOP_HOME", str(service.folder.parent))
        with pytest.raises(WorkshopError, match="another process"):
            launch(case.create_app(), name="the second")
    assert service.load([("still.png", png())])["done"] == 1
