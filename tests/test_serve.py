"""workshop.launch: services from a plain process and from a real kernel."""

import asyncio
import contextlib
import importlib
import logging
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from jupyter_host import TOKEN, jupyter_server
from websockets.sync.client import connect as websocket

from workshop import serve
from workshop.errors import WorkshopError
from workshop.serve import launch

ROOT = Path(__file__).resolve().parent.parent


def make_app(title="greeter", events=None):
    events = [] if events is None else events

    @contextlib.asynccontextmanager
    async def lifespan(app):
        events.append("startup")
        yield
        events.append("shutdown")

    app = FastAPI(title=title, lifespan=lifespan)

    @app.get("/")
    def blocking():
        return {"title": title}

    @app.get("/async")
    async def non_blocking():
        await asyncio.sleep(0)
        return {"title": title}

    @app.post("/later", status_code=202)
    def later(tasks: BackgroundTasks):
        tasks.add_task(events.append, "background task")

    @app.get("/where")
    def where(request: Request):
        return {"link": str(request.url_for("where")), "root_path": request.scope["root_path"]}

    @app.websocket("/echo")
    async def echo(ws: WebSocket):
        await ws.accept()
        await ws.send_json([await ws.receive_text(), ws.scope["root_path"], ws.url.path])
        await ws.close()

    return app


def launch_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("launch")]


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def wait_until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    yield
    for service in list(serve._running.values()):
        service.stop()
    assert launch_threads() == []


# --- a service answers -----------------------------------------------------------------------


def test_synchronous_client_gets_an_answer_at_once():
    service = launch(make_app())
    assert httpx.get(service.url).json() == {"title": "greeter"}
    assert httpx.get(f"{service.url}/async").json() == {"title": "greeter"}


def test_async_client_gets_an_answer_inside_a_running_loop():
    async def cell():
        service = launch(make_app())
        async with httpx.AsyncClient(base_url=service.url) as client:
            answers = await asyncio.gather(*(client.get(path) for path in ["/", "/async"] * 5))
        return [answer.status_code for answer in answers]

    assert asyncio.run(cell()) == [200] * 10


def test_it_answers_while_the_calling_thread_is_busy():
    service = launch(make_app())
    call = subprocess.Popen(
        [sys.executable, "-c", f"import httpx; print(httpx.get('{service.url}').status_code)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    busy_until = time.monotonic() + 20
    while call.poll() is None and time.monotonic() < busy_until:
        sum(range(1000))
    assert call.communicate(timeout=5)[0] == "200\n"


def test_background_task_runs_after_the_answer():
    events = []
    service = launch(make_app(events=events))
    assert httpx.post(f"{service.url}/later").status_code == 202
    assert wait_until(lambda: "background task" in events)


def test_websocket():
    service = launch(make_app())
    with websocket(f"ws://127.0.0.1:{service.port}/echo") as ws:
        ws.send("hello")
        assert ws.recv() == '["hello","","/echo"]'


def test_it_listens_on_the_loopback_address_only():
    service = launch(make_app())
    assert service._socket.getsockname() == ("127.0.0.1", service.port)
    assert service.url == f"http://127.0.0.1:{service.port}"


async def plain_asgi(scope, receive, send):
    assert scope["type"] == "http"  # as many do: it knows no lifespan
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"plain"})


def test_any_asgi_callable_is_served_under_its_own_name():
    service = launch(plain_asgi)
    assert service.name == "plain_asgi"
    assert httpx.get(service.url).text == "plain"


def test_an_import_string_is_served(tmp_path, monkeypatch):
    (tmp_path / "by_name.py").write_text("from fastapi import FastAPI\napp = FastAPI(title='x')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert launch("by_name:app").name == "x"


@pytest.mark.parametrize(
    ("app", "fragment"),
    [
        ("no_such_module:app", "no_such_module"),
        ("json:no_such_app", "no_such_app"),
        (lambda environ, start_response: [b"WSGI"], "no ASGI app"),
        (make_app, "function make_app, which is no ASGI app.* is to be called first"),
        (None, "no ASGI app"),
        (FastAPI, r"the class FastAPI.*app = FastAPI\(\)"),
        (serve, r"a module\. Give it the app in it: workshop\.serve\.app"),
        (asyncio.sleep, "function sleep, which takes no `scope, receive, send`"),
        ("app_snippets/hello.py", r"launch\('app_snippets\.hello:app'\)"),
        ("./app_snippets/hello.py:api", r"launch\('app_snippets\.hello:api'\)"),
        ("app_snippets\\\\hello.py", r"launch\('app_snippets\.hello:app'\)"),
        (Path("app_snippets") / "hello.py", r"launch\('app_snippets\.hello:app'\)"),
        ("app_snippets.hello", r"launch\('app_snippets\.hello:app'\)"),
        (".hello:app", r"launch\('hello:app'\)"),
        ("", r"launch\('package\.module:app'\)"),
    ],
)
def test_what_is_no_asgi_app_is_refused_by_name(app, fragment):
    with pytest.raises(WorkshopError, match=fragment):
        launch(app)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("loop", ["kernal", None, 1]),
        ("name", ["", " ", 7, b"name"]),
        ("port", [None, 70000, -1, "http", "", "80.5", "70000", 80.5, True, [8000]]),
        ("path", [None, 7, b"/docs"]),
        ("height", [None, "600", 0, -1, True, float("nan"), float("inf")]),
        ("timeout", [None, "15", 0, -1, True, float("nan")]),
    ],
)
def test_an_argument_that_does_not_fit_is_named(argument, values):
    for value in values:
        with pytest.raises(WorkshopError, match=f"{argument}.*Give|Leave `{argument}` out") as told:
            launch(make_app(), **{argument: value})
        assert repr(value) in str(told.value)
    assert (launch_threads(), serve._running) == ([], {})
    with pytest.raises(WorkshopError, match=r"stop\(\) got timeout=None"):
        launch(make_app()).stop(None)


def test_numbers_are_taken_as_people_have_them():
    first = launch(make_app("first"), height=300.5, timeout=float("inf"))
    first.stop()
    again = launch(make_app("again"), port=str(first.port), height=np.int64(300))
    assert again.port == first.port


# --- a module that was edited ----------------------------------------------------------------


@pytest.fixture
def editable(tmp_path, monkeypatch):
    """write(name, text): a module that Python finds; all are forgotten at the end."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = set(sys.modules)

    def write(name, text):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    yield write
    for name in set(sys.modules) - before:
        if str(tmp_path) in f"{vars(sys.modules[name]).get('__file__')} {sys.modules[name]}":
            del sys.modules[name]


APP = "from fastapi import FastAPI\napp = FastAPI(title='{}')\n"


def test_a_module_edited_since_the_last_launch_is_loaded_anew(editable):
    for title in "xyz":  # of the same length, in the same second: Python's bytecode says nothing
        editable("edited", APP.format(title))
        assert launch("edited:app").name == title


def test_a_module_that_was_imported_before_and_edited_since_is_loaded_anew(editable):
    editable("edited", APP.format("old"))
    importlib.import_module("edited")
    editable("edited", APP.format("newer"))
    assert launch("edited:app").name == "newer"


def test_a_module_that_was_not_edited_is_the_one_the_cells_have(editable):
    editable("steady", APP.format("x"))
    module = importlib.import_module("steady")
    for _ in range(2):
        assert serve._load("steady:app") is module.app


def test_a_module_without_bytecode_is_loaded_anew_when_it_was_edited(editable, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    editable("edited", APP.format("old"))
    importlib.import_module("edited")
    editable("edited", APP.format("newer"))
    assert launch("edited:app").name == "newer"


def test_a_module_whose_file_is_gone_is_not_served(editable, tmp_path):
    editable("gone", APP.format("old"))
    assert launch("gone:app").name == "old"
    (tmp_path / "gone.py").unlink()
    with pytest.raises(WorkshopError, match='Could not import module "gone"'):
        launch("gone:app")


@pytest.mark.parametrize("package", ["with __init__.py", "without"])
def test_what_an_edited_module_imports_from_its_package_is_loaded_anew(editable, package):
    if package != "without":
        editable("shop/__init__", "")
    editable("shop/title", "TITLE = 'old'\n")
    editable("shop/web", "from fastapi import FastAPI\nfrom shop import title\n"
             "app = FastAPI(title=title.TITLE)\n")  # fmt: skip
    assert launch("shop.web:app").name == "old"
    editable("shop/title", "TITLE = 'new'\n")
    assert launch("shop.web:app").name == "new"


def test_a_neighbour_of_an_edited_module_is_loaded_anew_and_no_other(editable):
    editable("neighbour", "TITLE = 'old'\n")
    editable("web", "from fastapi import FastAPI\nimport neighbour\n"
             "app = FastAPI(title=neighbour.TITLE)\n")  # fmt: skip
    assert launch("web:app").name == "old"
    others = {name: module for name, module in sys.modules.items() if name[0] in "jf"}
    editable("neighbour", "TITLE = 'new'\n")
    assert launch("web:app").name == "new"
    assert all(sys.modules[name] is module for name, module in others.items())


def test_a_mistake_in_an_edited_module_is_raised_and_can_be_mended(editable):
    editable("broken", APP.format("old"))
    assert launch("broken:app").name == "old"
    editable("broken", "app = FastAPI(\n")
    with pytest.raises(SyntaxError):
        launch("broken:app")
    editable("broken", APP.format("mended"))
    assert launch("broken:app").name == "mended"


# --- running the cell again ------------------------------------------------------------------


def test_launching_the_same_name_again_replaces_the_service():
    events = []
    first = launch(make_app(events=events))
    second = launch(make_app(events=events))
    assert events == ["startup", "shutdown", "startup"]
    assert (first.running, second.running) == (False, True)
    assert is_free(first.port)
    assert launch_threads() == ["launch greeter"]


def test_the_same_port_can_be_taken_again_at_once():
    first = launch(make_app())
    httpx.get(first.url)
    second = launch(make_app(), port=first.port)
    assert second.port == first.port
    assert httpx.get(second.url).status_code == 200


def test_services_of_different_names_run_side_by_side():
    one, two = launch(make_app("one")), launch(make_app("two"))
    also_one = launch(make_app("one"), name="three")
    titles = [httpx.get(s.url).json()["title"] for s in (one, two, also_one)]
    assert titles == ["one", "two", "one"]


# --- what goes wrong -------------------------------------------------------------------------


def test_a_taken_port_names_the_port_and_leaves_nothing_behind():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(WorkshopError, match=f"Port {port} is taken.*Leave `port` out"):
            launch(make_app(), port=port)
    assert launch_threads() == []
    assert launch(make_app(), port=port).running


def test_a_port_taken_by_another_service_names_that_service():
    first = launch(make_app("first"))
    with pytest.raises(WorkshopError, match=f"Port {first.port} is taken by first"):
        launch(make_app("second"), port=first.port)


def failing_startup():
    @contextlib.asynccontextmanager
    async def lifespan(app):
        raise FileNotFoundError("model.onnx is not there")
        yield

    return FastAPI(title="failing", lifespan=lifespan)


def test_a_failing_startup_says_why_and_keeps_its_cause(caplog):
    with pytest.raises(WorkshopError, match=r"failing.*model\.onnx is not there") as caught:
        launch(failing_startup())
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert launch_threads() == []
    assert "model.onnx is not there" in caplog.text  # the traceback is in the log


def test_a_startup_that_takes_too_long_is_cancelled(monkeypatch):
    events, ports = [], []
    listen = serve._listen
    monkeypatch.setattr(serve, "_listen", lambda port: ports.append(s := listen(port)) or s)

    @contextlib.asynccontextmanager
    async def lifespan(app):
        try:
            await asyncio.sleep(3600)
        finally:
            events.append("cleaned up")
        yield

    with pytest.raises(WorkshopError, match=r"slow did not start within 0\.3 s"):
        launch(FastAPI(title="slow", lifespan=lifespan), timeout=0.3)
    assert events == ["cleaned up"]
    assert launch_threads() == []
    assert ports[0].fileno() == -1  # closed


def test_an_exception_in_shutdown_is_logged_and_still_frees_the_port(caplog):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield
        raise OSError("the index could not be saved")

    service = launch(FastAPI(title="bad end", lifespan=lifespan))
    service.stop()
    assert "the index could not be saved" in caplog.text
    assert not service.running
    assert is_free(service.port)


def test_an_exception_in_a_request_is_a_500_and_is_logged(caplog):
    app = make_app()

    @app.get("/broken")
    def broken():
        raise ZeroDivisionError("for the log")

    service = launch(app)
    assert httpx.get(f"{service.url}/broken").status_code == 500
    assert httpx.get(service.url).status_code == 200
    assert wait_until(lambda: "for the log" in caplog.text)
    assert any(r.levelno == logging.ERROR for r in caplog.records)


def test_the_traceback_of_a_failed_request_begins_in_the_apps_own_code(caplog):
    app = make_app()

    @app.get("/broken")
    def broken():
        return {}["missing"]

    @app.get("/library")
    def library():
        return {"a": object()}

    service = launch(app)
    httpx.get(f"{service.url}/broken")
    assert wait_until(lambda: "KeyError" in caplog.text)
    frames = re.findall(r'File "(.+)", line', caplog.text)
    assert frames == [__file__]
    httpx.get(f"{service.url}/library")
    assert wait_until(lambda: "fastapi" in caplog.text), "where all is a library's, all is shown"


def test_a_shutdown_that_hangs_is_cancelled():
    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield
        await asyncio.sleep(3600)

    service = launch(FastAPI(title="hangs", lifespan=lifespan))
    service.stop(timeout=0.5)
    assert is_free(service.port)


def test_code_that_blocks_the_loop_is_named():
    release = threading.Event()
    app = make_app("blocker")

    @app.get("/block")
    async def block():
        release.wait(30)

    service = launch(app)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{service.url}/block", timeout=0.2)
    with pytest.raises(WorkshopError, match=r"blocker does not stop.*blocks the event loop"):
        service.stop(timeout=0.1)
    release.set()
    service.stop()
    assert is_free(service.port)


# --- stopping --------------------------------------------------------------------------------


def test_stop_runs_the_shutdown_once_frees_the_port_and_ends_the_thread():
    events = []
    service = launch(make_app(events=events))
    service.stop()
    service.stop()
    assert events == ["startup", "shutdown"]
    assert is_free(service.port)
    assert launch_threads() == []


def test_stop_does_not_wait_for_an_open_websocket():
    service = launch(make_app())
    with websocket(f"ws://127.0.0.1:{service.port}/echo"):
        started = time.monotonic()
        service.stop()
    assert time.monotonic() - started < 9  # not the ten seconds of its timeout
    assert is_free(service.port)


def test_the_end_of_a_with_block_stops_it():
    with launch(make_app()) as service:
        assert service.running
    assert not service.running
    with pytest.raises(httpx.ConnectError):
        httpx.get(service.url)


def test_the_end_of_the_process_runs_the_shutdown(tmp_path):
    script = """
        import contextlib, httpx
        from fastapi import FastAPI
        from workshop.serve import launch

        @contextlib.asynccontextmanager
        async def lifespan(app):
            yield
            print("shut down")

        app = FastAPI(lifespan=lifespan)
        app.get("/")(lambda: "pong")
        print(httpx.get(launch(app).url).json())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("pong\nshut down\n", "", 0)


# --- interrupted and raced -------------------------------------------------------------------


def lines_of(call, interrupt_at=None):
    """The lines of serve.py that this thread runs in a call, or KeyboardInterrupt at one of them."""
    seen = []

    def trace(frame, event, _):
        if frame.f_code.co_filename != serve.__file__:
            return None
        if event == "line":
            if frame.f_lineno == interrupt_at:
                sys.settrace(None)
                raise KeyboardInterrupt
            seen.append(frame.f_lineno)
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return sorted(set(seen))


def test_an_interrupt_at_any_line_of_launch_leaves_nothing_that_is_not_known():
    app = make_app()
    lines = lines_of(lambda: launch(app))
    assert len(lines) > 50
    for line in lines:
        launch(app)  # so that there is one to be replaced
        with contextlib.suppress(KeyboardInterrupt):
            lines_of(lambda: launch(app), interrupt_at=line)
        known = len(serve._running)
        assert wait_until(lambda known=known: len(launch_threads()) == known), line
        assert launch(app).running
        assert len(launch_threads()) == 1


def test_an_interrupt_at_any_line_of_stop_can_be_made_good():
    app = make_app()
    for line in lines_of(launch(app).stop):
        service = launch(app)
        with contextlib.suppress(KeyboardInterrupt):
            lines_of(service.stop, interrupt_at=line)
        service.stop()
        assert (launch_threads(), serve._running) == ([], {}), line
        assert is_free(service.port)


def test_launches_of_one_name_at_the_same_time_leave_one_service():
    with ThreadPoolExecutor(4) as pool:
        launches = [pool.submit(launch, make_app(), "same") for _ in range(12)]
    told = [launched.exception() for launched in launches]
    assert all(error is None or "stopped while it started" in str(error) for error in told)
    services = [launched.result() for launched in launches if not launched.exception()]
    assert [service for service in services if service.running] == [serve._running["same"]]
    assert launch_threads() == ["launch same"]


def test_a_loop_that_ends_just_before_it_is_cancelled_is_no_error():
    service = launch(make_app())
    service.stop()
    service._cancel()


def test_at_the_end_of_the_process_one_that_blocks_does_not_keep_the_others(monkeypatch):
    first, second = launch(make_app("first")), launch(make_app("second"))

    def blocks():
        raise WorkshopError("first does not stop")

    with monkeypatch.context() as patch:
        patch.setattr(first, "stop", blocks)
        serve._stop_all()
    assert (first.running, second.running) == (True, False)


# --- behind a proxy --------------------------------------------------------------------------

PREFIX = "/user/foo%40bar/proxy/8000"


def test_links_carry_the_prefix_that_the_proxy_stripped():
    service = launch(make_app())
    direct = httpx.get(f"{service.url}/where").json()
    assert direct == {"link": f"{service.url}/where", "root_path": ""}
    proxied = httpx.get(f"{service.url}/where", headers={"X-Forwarded-Prefix": PREFIX}).json()
    assert proxied == {"link": f"{service.url}{PREFIX}/where", "root_path": PREFIX}


def test_docs_and_openapi_carry_the_prefix():
    service = launch(make_app())
    headers = {"X-Forwarded-Prefix": PREFIX}
    assert f"{PREFIX}/openapi.json" in httpx.get(f"{service.url}/docs", headers=headers).text
    assert PREFIX not in httpx.get(f"{service.url}/docs").text
    spec = httpx.get(f"{service.url}/openapi.json", headers=headers).json()
    assert spec["servers"] == [{"url": PREFIX}]


def test_websocket_carries_the_prefix():
    service = launch(make_app())
    with websocket(
        f"ws://127.0.0.1:{service.port}/echo", additional_headers={"X-Forwarded-Prefix": PREFIX}
    ) as ws:
        ws.send("hello")
        assert ws.recv() == f'["hello","{PREFIX}","{PREFIX}/echo"]'


@pytest.mark.parametrize("prefix", ["//evil.example", "/a'><script>", "evil", "/a/../b c"])
def test_a_prefix_that_is_no_path_is_ignored(prefix):
    service = launch(make_app())
    answer = httpx.get(f"{service.url}/where", headers={"X-Forwarded-Prefix": prefix})
    assert answer.json()["root_path"] == ""


# --- what a cell shows -----------------------------------------------------------------------


@pytest.fixture
def front_end(monkeypatch, tmp_path):
    """JupyterLab as a kernel sees it: two environment variables and the server's own file."""
    for variable in ("JPY_SESSION_NAME", "JPY_PARENT_PID", "JUPYTERHUB_SERVICE_PREFIX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(serve, "find_spec", lambda name: "installed")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))

    def use(base=None, hub=None):
        monkeypatch.setenv("JPY_SESSION_NAME", "09.ipynb")
        monkeypatch.setenv("JPY_PARENT_PID", "4711")
        if base:
            (tmp_path / "jpserver-4711.json").write_text(f'{{"base_url": "{base}"}}')
        if hub:
            monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", hub)

    return use


def test_repr_names_the_service_its_state_and_its_address():
    service = launch(make_app())
    assert repr(service) == f"<Service greeter running at http://127.0.0.1:{service.port}>"
    service.stop()
    assert repr(service) == f"<Service greeter stopped at http://127.0.0.1:{service.port}>"


@pytest.mark.parametrize(
    ("where", "base"),
    [
        ({}, "/proxy/"),
        ({"base": "/"}, "/proxy/"),
        ({"base": "/lab-7/"}, "/lab-7/proxy/"),
        ({"hub": "/user/someone/"}, "/user/someone/proxy/"),
    ],
)
def test_the_view_goes_through_jupyters_proxy(front_end, where, base):
    front_end(**where)
    service = launch(make_app(), path="docs", height=300)
    view = service._repr_html_()
    assert f'<iframe src="{base}{service.port}/docs"' in view
    assert f'href="{base}{service.port}/docs"' in view
    assert 'height="300"' in view


def test_the_view_is_direct_where_no_proxy_is_installed(front_end, monkeypatch):
    front_end()
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    service = launch(make_app())
    assert f'<iframe src="{service.url}/"' in service._repr_html_()


def test_the_view_is_direct_in_vscode(front_end, monkeypatch):
    front_end()
    monkeypatch.setattr(sys.modules["__main__"], "__vsc_ipynb_file__", "x.ipynb", raising=False)
    service = launch(make_app())
    assert f'<iframe src="{service.url}/"' in service._repr_html_()


def test_the_view_is_a_link_alone_where_no_front_end_is_known(front_end):
    service = launch(make_app())
    assert f'href="{service.url}/"' in service._repr_html_()
    assert "iframe" not in service._repr_html_()


def test_the_view_of_a_stopped_service_shows_no_page(front_end):
    front_end()
    with launch(make_app()) as service:
        pass
    assert "stopped" in service._repr_html_()
    assert "iframe" not in service._repr_html_()


def test_the_view_escapes_name_and_path(front_end):
    front_end()
    service = launch(make_app('<b a="1">'), path='/"><script>alert(1)</script>?q=a&b')
    view = service._repr_html_()
    assert "<script" not in view
    assert "<b a=" not in view
    assert "&lt;b a=&quot;1&quot;&gt;" in view
    assert "/%22%3E%3Cscript%3Ealert(1)%3C/script%3E?q=a&amp;b" in view


# --- in a real kernel ------------------------------------------------------------------------

SETUP = """
import asyncio, contextlib, os, threading, time
import httpx
from fastapi import FastAPI
from workshop.serve import launch

def make_app(title="cell"):
    app = FastAPI(title=title)
    @app.get("/")
    def blocking(): return "blocking"
    @app.get("/async")
    async def non_blocking(): return threading.current_thread() is threading.main_thread()
    return app

def threads(): return [t.name for t in threading.enumerate() if t.name.startswith("launch")]
"""


class Kernel:
    """A kernel as a notebook has one; `run` returns what a cell printed, or the error's text."""

    def __init__(self, folder):
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.manager, self.client = start_new_kernel(
            startup_timeout=60, kernel_name="python3", cwd=str(folder), env=env
        )
        assert self.run(SETUP) == ""

    def run(self, code, interrupt_on=None, timeout=40):
        printed = []

        def show(message):
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed.append(content["text"])
                if interrupt_on and interrupt_on in content["text"]:
                    self.manager.interrupt_kernel()
            elif message["msg_type"] == "error":
                printed.append("\n".join(content["traceback"]))

        self.client.execute_interactive(
            textwrap.dedent(code), output_hook=show, timeout=timeout, stop_on_error=False
        )
        assert self.manager.is_alive()
        return "".join(printed)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    yield kernel
    kernel.close()


@pytest.fixture(scope="module")
def nested_kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("nested"))
    kernel.run("import nest_asyncio; nest_asyncio.apply()")
    yield kernel
    kernel.close()


@pytest.fixture(params=["kernel", "nested_kernel"])
def any_kernel(request):
    """With nest_asyncio applied, and without."""
    return request.getfixturevalue(request.param)


def test_kernel_calls_its_own_service_with_both_clients(any_kernel):
    answer = any_kernel.run("""
        with launch(make_app()) as service:
            print(httpx.get(service.url).json())
            async with httpx.AsyncClient() as client:
                print((await client.get(service.url + "/async")).json())
        print(threads())
    """)
    assert answer == "blocking\nFalse\n[]\n"


def test_kernel_survives_a_failing_lifespan_with_one_sentence(any_kernel):
    error = any_kernel.run("""
        @contextlib.asynccontextmanager
        async def lifespan(app):
            raise ValueError("no such model")
            yield
        launch(FastAPI(title="failing", lifespan=lifespan))
    """)
    assert error == (
        "WorkshopError: failing failed to start: ValueError: no such model. "
        "Mend that and run the cell again."
    )
    assert any_kernel.run("print(threads())") == "[]\n"


def test_kernel_survives_an_interrupt_while_a_service_starts(any_kernel):
    error = any_kernel.run(
        """
        @contextlib.asynccontextmanager
        async def lifespan(app):
            print("starting", flush=True)
            await asyncio.sleep(3600)
            yield
        launch(FastAPI(title="slow", lifespan=lifespan), timeout=3600)
        """,
        interrupt_on="starting",
    )
    assert "KeyboardInterrupt" in error
    assert any_kernel.run("print(threads())") == "[]\n"
    assert any_kernel.run("with launch(make_app()) as s: print(s.running)") == "True\n"


def test_an_interrupt_stops_the_cell_and_not_the_service(any_kernel):
    any_kernel.run("service = launch(make_app())")
    error = any_kernel.run(
        'print("busy", flush=True)\nwhile True: time.sleep(0.1)', interrupt_on="busy"
    )
    assert "KeyboardInterrupt" in error
    assert any_kernel.run("print(httpx.get(service.url).json())") == "blocking\n"
    assert any_kernel.run("service.stop(); print(threads())") == "[]\n"


def test_what_a_service_prints_and_its_traceback_reach_the_cell_that_called_it(any_kernel):
    any_kernel.run("""
        app = make_app("failing")
        @app.get("/broken")
        def broken():
            print("so far")
            return 1 / 0
        service = launch(app)
    """)
    client = any_kernel.client
    cell = client.execute("httpx.get(service.url + '/broken').status_code")
    shown = ""
    # two streams in either order, and the log may come after the end of the cell
    while not ("so far" in shown and "ZeroDivisionError" in shown):
        message = client.get_iopub_msg(timeout=30)
        if message["msg_type"] == "stream" and message["parent_header"]["msg_id"] == cell:
            shown += message["content"]["text"]
    assert "return 1 / 0" in shown
    assert "site-packages" not in shown
    any_kernel.run("service.stop()")


def test_running_the_cell_again_replaces_the_service_in_a_kernel(any_kernel):
    cell = "service = launch(make_app()); print(len(threads()))"
    assert any_kernel.run(cell) == "1\n"
    assert any_kernel.run(cell) == "1\n"
    any_kernel.run("service.stop()")


@pytest.mark.parametrize("applied", ["kernel", "nested_kernel"])
def test_kernel_loop_serves_async_clients_in_the_main_thread(applied, tmp_path):
    kernel = Kernel(tmp_path)  # of its own: loop="kernel" applies nest_asyncio for good
    try:
        if applied == "nested_kernel":
            kernel.run("import nest_asyncio; nest_asyncio.apply()")
        answer = kernel.run("""
            service = launch(make_app(), loop="kernel")
            async with httpx.AsyncClient() as client:
                print((await client.get(service.url + "/async")).json(), threads())
        """)
        assert answer == "True []\n"
        # A cell between the two: the service answers another process while the kernel is idle.
        port = kernel.run("print(service.port)").strip()
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=10).json() == "blocking"
        assert kernel.run(
            "service = launch(make_app(), loop='kernel'); print(service.running)"
        ) == ("True\n")
        assert kernel.run("service.stop(); service.stop(); print(service.running)") == "False\n"
        error = kernel.run("""
            @contextlib.asynccontextmanager
            async def lifespan(app):
                raise ValueError("no such model")
                yield
            launch(FastAPI(title="failing", lifespan=lifespan), loop="kernel")
        """)
        assert "ValueError: no such model" in error
        error = kernel.run(
            """
            @contextlib.asynccontextmanager
            async def lifespan(app):
                print("starting", flush=True)
                await asyncio.sleep(3600)
                yield
            launch(FastAPI(title="slow", lifespan=lifespan), loop="kernel", timeout=3600)
            """,
            interrupt_on="starting",
        )
        assert "KeyboardInterrupt" in error
        left = "[t for t in asyncio.all_tasks() if 'uvicorn' in repr(t) or 'serve' in repr(t)]"
        assert kernel.run(f"print({left})") == "[]\n"
    finally:
        kernel.close()


# --- through a real Jupyter server and its proxy ---------------------------------------------


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """A Jupyter server under a base URL of its own, and a kernel that it has started."""
    folder = tmp_path_factory.mktemp("jupyter")
    with (
        jupyter_server(folder, "/lab-7/") as address,
        httpx.Client(
            base_url=address,
            headers={"Authorization": f"token {TOKEN}"},
            timeout=30,
            follow_redirects=True,
        ) as http,
    ):
        session = http.post(
            "/lab-7/api/sessions",
            json={
                "path": "09.ipynb",
                "type": "notebook",
                "name": "09",
                "kernel": {"name": "python3"},
            },
        ).json()
        client = BlockingKernelClient(
            connection_file=str(folder / "runtime" / f"kernel-{session['kernel']['id']}.json")
        )
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=30)
        yield http, client
        client.stop_channels()
        http.delete(f"/lab-7/api/sessions/{session['id']}")


def test_the_page_in_the_cell_works_through_jupyters_proxy(jupyter):
    http, client = jupyter
    shown = []
    cell = textwrap.dedent("""
        from fastapi import FastAPI, WebSocket
        from workshop.serve import launch
        app = FastAPI()
        app.get("/")(lambda: "the page")
        @app.websocket("/echo")
        async def echo(ws: WebSocket):
            await ws.accept()
            await ws.send_text(await ws.receive_text())
        launch(app)
    """)
    client.execute_interactive(
        cell, output_hook=lambda m: shown.append(m["content"].get("data", {})), timeout=30
    )
    view = next(data["text/html"] for data in shown if "text/html" in data)
    page = re.search(r'<iframe src="([^"]+)"', view)[1]
    assert re.fullmatch(r"/lab-7/proxy/\d+/", page)
    assert http.get(page).json() == "the page"
    openapi = re.search(r"url: '([^']+)'", http.get(f"{page}docs").text)[1]
    assert openapi == f"{page}openapi.json"
    assert http.get(openapi).json()["servers"] == [{"url": page.rstrip("/")}]
    with websocket(
        f"ws://127.0.0.1:{http.base_url.port}{page}echo",
        additional_headers={"Authorization": f"token {TOKEN}"},
    ) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"


def test_the_second_write_of_an_answer_does_not_wait_for_the_client():
    """Nagle's algorithm would hold it for 40 ms; accepted connections inherit the setting."""
    with launch(make_app()) as service:
        assert service._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
