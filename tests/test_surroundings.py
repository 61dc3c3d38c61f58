"""What the course does to and in its surroundings: proxies, makers of packages, files, consoles."""

import ast
import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from tools.offline import Proxy
from workshop import check, environment
from workshop.errors import WorkshopError
from workshop.paths import ROOT

# What reaches a service and a database of this machine, in a process that starts afresh.
CLIENTS = """
    import json, os, urllib.request
    import httpx, requests
    from fastapi import FastAPI, WebSocket
    from websockets.sync.client import connect as websocket
    from workshop import connect, launch

    app = FastAPI()
    app.get("/")(lambda: "pong")

    @app.websocket("/echo")
    async def echo(ws: WebSocket):
        await ws.accept()
        await ws.send_text("pong")

    assert connect("proxied").list_collections() == []
    with launch(app) as service:
        for url in (service.url, service.url.replace("127.0.0.1", "localhost")):
            assert httpx.get(url, timeout=10).json() == "pong"
            assert requests.get(url, timeout=10).json() == "pong"
            assert json.load(urllib.request.urlopen(url, timeout=10)) == "pong"
        with websocket(service.url.replace("http", "ws") + "/echo") as ws:
            assert ws.recv(10) == "pong"
    print(json.dumps({k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}))
"""
LOOPBACK = "127.0.0.1,localhost,::1"


def run(code: str, home: Path, env: dict[str, str], encoding: str = "utf-8") -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**env, "PYTHONPATH": str(ROOT), "WORKSHOP_HOME": str(home / ".workshop")},
        cwd=home,
        capture_output=True,
        encoding=encoding,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def without_proxies() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


# ------------------------------------------------------------------------------------- proxies


@pytest.mark.parametrize(
    ("named", "exceptions", "after"),
    [
        (("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"), {}, LOOPBACK),
        (("HTTP_PROXY", "HTTPS_PROXY", "GRPC_PROXY", "ALL_PROXY"), {}, LOOPBACK),
        (("http_proxy",), {"NO_PROXY": "corp.example, .lab"}, f"corp.example,.lab,{LOOPBACK}"),
        (("http_proxy",), {"no_proxy": "*"}, "*"),
        (("grpc_proxy",), {"no_grpc_proxy": "corp.example"}, LOOPBACK),
    ],
)
def test_loopback_is_reached_past_every_proxy(named, exceptions, after, tmp_path):
    with Proxy() as proxy:
        env = without_proxies() | dict.fromkeys(named, proxy.url) | exceptions
        left = json.loads(run(CLIENTS, tmp_path, env))
        assert proxy.asked == []
    # Windows knows only one of no_proxy and NO_PROXY, and shows all in capitals
    assert {value for name, value in left.items() if name.upper() == "NO_PROXY"} == {after}
    assert {value for value in left.values() if "://" in value} == {proxy.url}


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:7890", "socks://127.0.0.1:7890", "http://["])
def test_a_proxy_that_httpx_cannot_use_does_not_stop_it(value, tmp_path):
    env = without_proxies() | {"all_proxy": value, "HTTPS_PROXY": value}
    left = json.loads(run(CLIENTS, tmp_path, env))
    assert value not in left.values()


def test_without_a_proxy_the_environment_is_left_alone(monkeypatch):
    """On Windows and macOS a no_proxy alone would hide the proxy of the system's settings."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    environment.prepare()
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]
    assert environment.without_proxy("127.0.0.1")


# -------------------------------------------------------------------------------- nothing leaves


def test_the_encoders_ask_nobody_and_write_nothing_in_the_home_folder(tmp_path):
    """onnxruntime reports from a thread of its own, within some seconds, or at its end."""
    home = tmp_path / "HOME"
    home.mkdir()
    code = "from workshop import TextEncoder; TextEncoder().encode(['a'])"
    with Proxy() as proxy:
        env = proxy.environment() | {"HOME": str(home), "ORT_DISABLE_TELEMETRY": "0"}
        env = {name: value for name, value in env.items() if not name.startswith("XDG_")}
        run(code, tmp_path, env)
        assert proxy.asked == []
    assert list(home.iterdir()) == []


def test_a_service_of_its_own_asks_nobody_and_writes_nothing_in_the_home_folder(tmp_path):
    home = tmp_path / "HOME"
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app_snippets.reverse_image_search:app"]
    with Proxy() as proxy:
        env = {k: v for k, v in proxy.environment().items() if not k.startswith(("XDG_", "ORT_"))}
        env |= {"HOME": str(home), "WORKSHOP_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        with subprocess.Popen([*command, f"--port={port}"], env=env, cwd=tmp_path) as service:
            try:
                client = httpx.Client(transport=httpx.HTTPTransport(retries=12), trust_env=False)
                found = client.post(f"http://127.0.0.1:{port}/search", json={"text": "a tiger"})
                assert (found.status_code, found.json()["hits"]) == (200, [])
            finally:
                service.terminate()
        assert proxy.asked == []
    assert list(home.iterdir()) == []


def test_a_proxy_that_a_cell_names_later_is_not_asked_either(tmp_path):
    later = "import os; import workshop; os.environ['http_proxy'] = os.environ.pop('LATER')\n"
    with Proxy() as proxy:
        run(later + textwrap.dedent(CLIENTS), tmp_path, without_proxies() | {"LATER": proxy.url})
        assert proxy.asked == []


def imported(path: Path) -> list[str]:
    """The packages that a file imports at its top level, in order."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module.split(".")[0])
    return names


FIRST = [*(ROOT / "solutions" / "src").glob("*.py"), *(ROOT / "tools").glob("*.py")]


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.name)
def test_workshop_is_imported_before_what_it_prepares(path):
    """Whoever starts the kernel: VS Code and Binder do not set what `make lab` does."""
    names = imported(path)
    for name in {"onnxruntime", "pymilvus", "towhee"} & set(names):
        assert names.index("workshop") < names.index(name)


def test_web_apps_are_prepared_by_their_package():
    assert imported(ROOT / "app_snippets" / "__init__.py") == ["workshop"]


@pytest.mark.parametrize(
    "name", ["tools/course.py", "workshop/__init__.py", "workshop/environment.py"]
)
def test_an_old_python_can_read_what_the_set_up_runs(name):
    ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 6))


# ------------------------------------------------------------------------------------ pymilvus


@pytest.mark.parametrize("uri", ["x.db", "nonsense", "root:Secret9@127.0.0.1:1", "http://a:b:c"])
def test_pymilvus_is_imported_whatever_milvus_uri_is(uri, tmp_path):
    code = """
        import os, workshop
        before = os.environ["MILVUS_URI"]
        import pymilvus
        from pymilvus.settings import Config
        assert Config.MILVUS_URI == ""
        assert os.environ["MILVUS_URI"] == before
        assert "PYTHON_DOTENV_DISABLED" not in os.environ
    """
    run(code, tmp_path, {**os.environ, "MILVUS_URI": uri})


def test_pymilvus_brings_no_variables_from_an_env_file_along(tmp_path):
    (tmp_path / ".env").write_text("MILVUS_URI=elsewhere.db\nFOREIGN=1\n")
    code = "import os, workshop, pymilvus; print({'MILVUS_URI', 'FOREIGN'} & set(os.environ))"
    env = {name: value for name, value in os.environ.items() if name != "MILVUS_URI"}
    assert run(code, tmp_path, env) == "set()\n"


def test_a_file_of_the_learners_holds_the_database_in_a_fresh_process(tmp_path):
    code = """
        from workshop import connect
        client = connect("ch_a")
        client.create_collection("words", 4)
        print(client.list_collections())
    """
    env = {**os.environ, "MILVUS_URI": "file.db"}
    assert run(code, tmp_path, env) == "['words']\n"
    assert (tmp_path / "file.db").is_dir()


# ------------------------------------------------------------------------------------ consoles


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii", "utf-8"])
def test_doctor_and_check_can_be_printed_on_any_console(encoding, tmp_path):
    code = """
        from workshop import check
        from workshop.health import Finding, Report
        print(Report((Finding("Python", "3.13"), Finding("Disk", "0 GB", "Free some…"))))
        print(check("1.2", ...))
    """
    said = run(code, tmp_path, {**os.environ, "PYTHONIOENCODING": encoding}, encoding=encoding)
    signs = ("✅", "❌", "→", "⏳") if encoding == "utf-8" else ("[ok]", "[no]", "->", "[..]")
    first, second, third, _, last = said.splitlines()
    assert (first.split()[0], second.split()[0], third.split()[0], last.split()[0]) == signs


@pytest.mark.parametrize("id", [1.2, "1.2", " 1.2 "])
def test_check_understands_a_number_without_quotes(id, home):
    result = check(id, lambda numbers, k: None)
    assert (result.id, result.state) == ("1.2", "wrong")
    assert list(json.loads((home / "progress.json").read_text())) == ["1.2"]


@pytest.mark.parametrize("id", [None, True, 1, (1, 2), "one", "1.2.3", "１.２"])
def test_check_says_how_an_exercise_is_called(id):
    with pytest.raises(WorkshopError, match=r'as in "1\.2"'):
        check(id, None)
