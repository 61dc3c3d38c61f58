"""Launch a web service from a notebook cell: it runs in the kernel's own process.

uvicorn runs in a thread with an event loop of its own. So the next cell can call the service with
any client, synchronous ones included, and the service can use what the kernel holds: a Milvus Lite
file belongs to one process.
"""

import asyncio
import atexit
import contextlib
import html
import inspect
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import uvicorn
from uvicorn.importer import ImportFromStringError, import_from_string

from workshop.environment import drop_unusable_proxies
from workshop.errors import WorkshopError

drop_unusable_proxies()  # or httpx, with which the cells call services, raises

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]

_running: dict[str, "Service"] = {}  # by name: running a cell again replaces its service


def launch(
    app: ASGIApp | str,
    name: str | None = None,
    *,
    port: int = 0,
    loop: Literal["own", "kernel"] = "own",
    path: str = "/",
    height: int = 600,
    timeout: float = 15,
) -> "Service":
    """Serve an ASGI app on 127.0.0.1 from inside this process, and return once it answers.

    app      FastAPI, Starlette or any ASGI callable, or an import string such as "pkg.module:app"
    name     a service of the same name is stopped first; default: the app's title
    port     0 takes a free one
    loop     "own": a thread with an event loop of its own. "kernel": the event loop that runs the
             notebook, for an app that shares loop-bound objects with cells; it answers only while
             the kernel is idle or awaits, and applies nest_asyncio
    path     the page that the inline view shows
    height   of the inline view, pixels
    timeout  seconds the app may take to start

    Raises WorkshopError if the port is taken or the app does not start; the app's own exception is
    its cause.
    """
    if loop not in ("own", "kernel"):
        raise WorkshopError(f'launch() got loop={loop!r}. Write "own" or "kernel".')
    app = _load(app)
    if name is None:
        name = str(getattr(app, "title", None) or getattr(app, "__name__", type(app).__name__))
    if name in _running:
        _running[name].stop()
    service = Service(app, name, port=port, loop=loop, path=path, height=height)
    service._start(timeout)
    return service


class Service:
    """A running service: `.url`, `.port`, `.stop()`; in a `with` block it stops at the end.

    As the last value of a cell it shows its page.
    """

    def __init__(
        self, app: ASGIApp, name: str, *, port: int, loop: str, path: str, height: int
    ) -> None:
        self.name = name
        self._path = "/" + path.lstrip("/")
        self._height = height
        self._failure: BaseException | None = None
        self._tasks: list[asyncio.Task[Any]] = []  # the server's, and its lifespan's
        self._server = _Server(
            uvicorn.Config(
                _Prefixed(self._watch(app)),
                log_config=None,  # warnings and errors go to `logging`, as everyone's do
                log_level="warning",
                access_log=False,
                loop="asyncio",
                interface="asgi3",
                timeout_graceful_shutdown=3,
            )
        )
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        self._kernel_task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        if loop == "own":
            self._thread = threading.Thread(target=self._run, name=f"launch {name}", daemon=True)

    @property
    def url(self) -> str:
        """The address on this machine, such as http://127.0.0.1:8000."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the service is there to answer."""
        return self._server.started and not self._done()

    def stop(self, timeout: float = 10) -> None:
        """Stop the service and wait until its lifespan has ended and its port is free.

        What has not ended after `timeout` seconds is cancelled. Raises WorkshopError if code that
        blocks keeps even that from happening. Stopping twice is fine.
        """
        self._server.should_exit = True
        if self._server.started:
            self._wait(self._done, timeout)
        if not self._done():
            for task in self._tasks:
                task.get_loop().call_soon_threadsafe(task.cancel)
            self._wait(self._done, 3)
        if not self._done():
            raise WorkshopError(
                f"{self.name} does not stop: its code blocks the event loop. Wait until that ends "
                "and call stop() again, or restart the kernel."
            )
        if _running.get(self.name) is self:
            del _running[self.name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Service {self.name} {'running' if self.running else 'stopped'} at {self.url}>"

    def _repr_html_(self) -> str:
        name = html.escape(self.name)
        if not self.running:
            return (
                f"<p><b>{name}</b> is stopped. Run the cell that launches it to start it again.</p>"
            )
        path = quote(self._path, safe="/?&=#%:@!$'()*+,;~")
        proxy = _proxy_base()
        page = html.escape(f"{self.url}{path}" if proxy is None else f"{proxy}{self.port}{path}")
        view = (
            f"<p><b>{name}</b> is running: "
            f'<a href="{page}" target="_blank" rel="noopener">open it in a tab of its own</a></p>'
        )
        if _in_front_end():
            view += (
                f'<iframe src="{page}" title="{name}" width="100%" height="{int(self._height)}" '
                'style="border: 1px solid #ccc; background: white"></iframe>'
            )
        return view

    def _start(self, timeout: float) -> None:
        try:
            if self._thread:
                self._thread.start()
            else:
                self._kernel_task = _kernel_loop().create_task(self._serve())
            self._wait(lambda: self._server.started or self._done(), timeout)
            if not self._server.started and not self._done():
                raise WorkshopError(
                    f"{self.name} did not start within {timeout:g} s. See what its lifespan waits "
                    f"for, or give it longer: launch(app, timeout={2 * timeout:g})."
                )
        except BaseException:  # the learner's interrupt too: leave nothing behind
            self.stop()
            raise
        if not self._server.started:
            raise WorkshopError(
                f"{self.name} failed to start: {_describe(self._failure)}. "
                "Mend that and run the cell again."
            ) from self._failure
        _running[self.name] = self

    def _run(self) -> None:
        # nest_asyncio patches asyncio.run, and lacks what uvicorn asks of it; Runner it leaves alone.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._tasks.append(asyncio.current_task())
        try:
            if not self._server.should_exit:  # stopped before it began
                await self._server.serve(sockets=[self._socket])
        except SystemExit:
            pass  # uvicorn's way to say that the lifespan failed; it must not end the kernel
        except asyncio.CancelledError:
            pass  # by stop(): there is no one to tell
        except Exception as error:
            self._failure = error
        finally:
            self._socket.close()

    def _watch(self, app: ASGIApp) -> ASGIApp:
        """Keep hold of the lifespan: of its task to cancel it, of its exception to report it."""

        async def watched(scope: Message, receive: Receive, send: Send) -> None:
            if scope["type"] != "lifespan":
                return await app(scope, receive, send)
            self._tasks.append(asyncio.current_task())
            if self._server.should_exit:
                return None
            try:
                await app(scope, receive, send)
            except BaseException as error:
                self._failure = error
                raise

        return watched

    def _done(self) -> bool:
        if self._thread:
            return not self._thread.is_alive()
        return self._kernel_task is None or self._kernel_task.done()

    def _wait(self, ready: Callable[[], bool], timeout: float) -> None:
        end = time.monotonic() + timeout
        while not ready() and time.monotonic() < end:
            if self._kernel_task:
                self._kernel_task.get_loop().run_until_complete(asyncio.sleep(0.01))
            else:
                time.sleep(0.01)


def _stop_all() -> None:
    for service in list(_running.values()):
        service.stop()


atexit.register(_stop_all)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # the interrupt belongs to Jupyter


class _Prefixed:
    """Tell the app where a proxy has put it, so that its links work there too.

    jupyter-server-proxy strips `/…/proxy/PORT` from the path and says so in X-Forwarded-Prefix,
    which uvicorn and FastAPI do not read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        prefix = dict(scope.get("headers", [])).get(b"x-forwarded-prefix", b"").rstrip(b"/")
        if re.fullmatch(rb"(/[\w.~%@:+-]+)+", prefix):  # it ends up in pages: nothing but a path
            root = prefix.decode()
            scope = {**scope, "root_path": root, "path": root + scope["path"]}
        await self.app(scope, receive, send)


def _load(app: ASGIApp | str) -> ASGIApp:
    if isinstance(app, str):
        try:
            app = import_from_string(app)
        except ImportFromStringError as error:
            raise WorkshopError(f'Cannot launch "{app}": {error}') from error
    if not any(map(inspect.iscoroutinefunction, (app, getattr(app, "__call__", None)))):  # noqa: B004
        raise WorkshopError(
            f"launch() got {type(app).__name__} {getattr(app, 'name', '')}, which is no ASGI app. "
            "Give it a FastAPI or Starlette app, or an `async def app(scope, receive, send)`."
        )
    return app


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise WorkshopError(f"There is no port {port}. Leave `port` out to get a free one.")
    try:
        sock = socket.create_server(("127.0.0.1", port))
        # asyncio does so only for sockets that it opened itself. Without it the second write of an
        # answer, its body, waits 40 ms on a connection that is used again (Nagle's algorithm).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    except OSError as error:
        holder = next((f" by {s.name}" for s in _running.values() if s.port == port), "")
        problem = "needs an administrator" if isinstance(error, PermissionError) else "is taken"
        raise WorkshopError(
            f"Port {port} {problem}{holder}. Leave `port` out to get a free one, or stop the other "
            "service first."
        ) from error


def _kernel_loop() -> asyncio.AbstractEventLoop:
    import nest_asyncio

    nest_asyncio.apply()  # so that _wait can run inside the loop that runs the cell
    return asyncio.get_event_loop()


def _describe(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}" if error else "its lifespan reported a failure"


def _in_front_end() -> bool:
    """Whether someone may be looking: not so when nbconvert or nbval runs the notebook."""
    return "JPY_SESSION_NAME" in os.environ or _in_vscode()


def _in_vscode() -> bool:
    return hasattr(sys.modules["__main__"], "__vsc_ipynb_file__")


def _proxy_base() -> str | None:
    """Where the front end reaches a port of this machine, such as `/user/x/proxy/`.

    None where there is no jupyter-server-proxy in between, and 127.0.0.1 is the way.
    """
    if _in_vscode() or not _in_front_end() or find_spec("jupyter_server_proxy") is None:
        return None
    base = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if base is None:
        from jupyter_core.paths import jupyter_runtime_dir

        # What the server that started this kernel has written about itself.
        about = Path(jupyter_runtime_dir()) / f"jpserver-{os.environ.get('JPY_PARENT_PID')}.json"
        try:
            base = json.loads(about.read_text())["base_url"]
        except (OSError, ValueError, KeyError):
            base = "/"
    return f"{base.rstrip('/')}/proxy/"
