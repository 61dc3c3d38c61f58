"""Launch a web service from a notebook cell: it runs in the kernel's own process.

uvicorn runs in a thread with an event loop of its own. So the next cell can call the service with
any client, synchronous ones included, and the service can use what the kernel holds: a Milvus Lite
file belongs to one process.
"""

import asyncio
import atexit
import contextlib
import html
import importlib
import inspect
import json
import logging
import os
import re
import reprlib
import socket
import struct
import sys
import sysconfig
import threading
import time
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from importlib.util import cache_from_source, find_spec
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import uvicorn
from uvicorn.importer import ImportFromStringError, import_from_string

from workshop.environment import drop_unusable_proxies, prepare
from workshop.errors import WorkshopError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]

_running: dict[str, "Service"] = {}  # by name: running a cell again replaces its service
_names = threading.Lock()  # of their removal


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
    port     0 takes a free one; a number in quotes is understood
    loop     "own": a thread with an event loop of its own. "kernel": the event loop that runs the
             notebook, for an app that shares loop-bound objects with cells; it answers only while
             the kernel is idle or awaits, and applies nest_asyncio
    path     the page that the inline view shows
    height   of the inline view, pixels
    timeout  seconds the app may take to start

    A module that was edited since it was imported is imported anew, with the others of its package.

    Raises WorkshopError if an argument does not fit, the port is taken or the app does not start; the
    app's own exception is its cause.
    """
    if not isinstance(loop, str) or loop not in ("own", "kernel"):
        raise _unfit("launch", "loop", loop, '"own" or "kernel"')
    if name is not None and not (isinstance(name, str) and name.strip()):
        raise _unfit("launch", "name", name, "a text")
    if not isinstance(path, str):
        raise _unfit("launch", "path", path, 'a text such as "/docs"')
    if not (_is_number(height) and 0 < height < 100_000):
        raise _unfit("launch", "height", height, "a number of pixels")
    if not (_is_number(timeout) and timeout > 0):
        raise _unfit("launch", "timeout", timeout, "a number of seconds above 0")
    port = _port(port)
    prepare()  # a cell may have named a proxy since
    drop_unusable_proxies()  # or httpx, with which cells call services, raises
    app = _load(app)
    if name is None:
        name = str(getattr(app, "title", None) or getattr(app, "__name__", type(app).__name__))
    service = Service(app, name, loop=loop, path=path, height=height)
    service._start(port, timeout)
    return service


def _unfit(call: str, argument: str, value: object, expected: str) -> WorkshopError:
    return WorkshopError(
        f"{call}() got {argument}={reprlib.repr(value)}. Give {expected}, or leave `{argument}` out."
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


class Service:
    """A running service: `.url`, `.port`, `.stop()`; in a `with` block it stops at the end.

    As the last value of a cell it shows its page.
    """

    def __init__(self, app: ASGIApp, name: str, *, loop: str, path: str, height: int) -> None:
        self.name = name
        self.port = 0  # until it starts
        self._path = "/" + path.lstrip("/")
        self._height = height
        self._stopped = False
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
        self._socket: socket.socket | None = None
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
        if not (_is_number(timeout) and timeout >= 0):
            raise _unfit("stop", "timeout", timeout, "a number of seconds")
        self._stopped = self._server.should_exit = True
        if self._server.started:
            self._wait(self._done, timeout)
        if not self._done():
            self._cancel()
            self._wait(self._done, 3)
        if not self._done():
            raise WorkshopError(
                f"{self.name} does not stop: its code blocks the event loop. Wait until that ends "
                "and call stop() again, or restart the kernel."
            )
        if self._socket:
            self._socket.close()
        with _names:
            if _running.get(self.name) is self:
                del _running[self.name]

    def _cancel(self) -> None:
        tasks = list(self._tasks)

        def cancel() -> None:
            for task in tasks:
                task.cancel()

        if tasks:
            with contextlib.suppress(RuntimeError):  # its loop has just ended
                tasks[0].get_loop().call_soon_threadsafe(cancel)

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

    def _start(self, port: int, timeout: float) -> None:
        try:
            # Known by its name before it runs: whatever happens, the next launch and the end of the
            # process find it.
            while (other := _running.setdefault(self.name, self)) is not self:
                other.stop()
            self._socket = _listen(port)
            self.port = self._socket.getsockname()[1]
            if self._thread:
                self._thread.start()
            else:
                self._kernel_task = _kernel_loop().create_task(self._serve())
            self._wait(lambda: self._server.started or self._done(), timeout)
            if self._server.started:
                return
            if self._stopped:
                raise WorkshopError(f"{self.name} was stopped while it started.")
            if not self._done():
                raise WorkshopError(
                    f"{self.name} did not start within {timeout:g} s. See what its lifespan waits "
                    f"for, or give it longer: launch(app, timeout={2 * timeout:g})."
                )
            raise WorkshopError(
                f"{self.name} failed to start: {_describe(self._failure)}. "
                "Mend that and run the cell again."
            ) from self._failure
        except BaseException:  # the learner's interrupt too: leave nothing behind
            self.stop()
            raise

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
        with contextlib.suppress(WorkshopError):  # one that blocks must not keep the others
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
    if isinstance(app, str | Path):
        app = _import(str(app))
    problem = f"launch() got {type(app).__name__} {getattr(app, '__name__', '')}".rstrip()
    if inspect.isclass(app):
        name = app.__name__
        raise WorkshopError(
            f"launch() got the class {name}. Make an app of it first, as in app = {name}()."
        )
    if inspect.ismodule(app):
        raise WorkshopError(f"{problem}, a module. Give it the app in it: {app.__name__}.app.")
    if inspect.iscoroutinefunction(app):
        try:
            inspect.signature(app).bind("scope", "receive", "send")
        except TypeError:
            raise WorkshopError(
                f"{problem}, which takes no `scope, receive, send`. Give it the app that the function "
                "is an endpoint of."
            ) from None
    elif not inspect.iscoroutinefunction(getattr(app, "__call__", None)):  # noqa: B004
        raise WorkshopError(
            f"{problem}, which is no ASGI app. Give it a FastAPI or Starlette app, or an `async def "
            "app(scope, receive, send)`. A function that makes the app is to be called first."
        )
    return app


def _import(name: str) -> ASGIApp:
    """The app of an import string, from the module as it is on the disk now."""
    module, _, attribute = name.partition(":")
    if not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", name):
        words = re.findall(r"\w+", module.removesuffix(".py"))
        example = f"{'.'.join(words) or 'package.module'}:{attribute or 'app'}"
        raise WorkshopError(
            f"Cannot launch {name!r}. Name a module and the app in it, as in launch({example!r})."
        )
    _forget_edited(module)
    try:
        app = import_from_string(name)
    except ImportFromStringError as error:
        raise WorkshopError(f'Cannot launch "{name}": {error}') from error
    for file in _kin(module).values():
        with contextlib.suppress(OSError):
            _stamps[file] = _stamp(file)
    return app


_BEGAN = time.time()
_stamps: dict[Path, tuple[int, int]] = {}  # of the files of modules that a launch found up to date


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _is_edited(name: str, file: Path) -> bool:
    """Whether a module's file has changed since it was imported."""
    try:
        time_ns, size = _stamp(file)
        if file in _stamps:
            return _stamps[file] != (time_ns, size)
        # imported by someone else: its bytecode holds time and size of what it was made from
        header = Path(sys.modules[name].__cached__).read_bytes()[:16]
    except (OSError, AttributeError, TypeError):  # no bytecode, or the file is gone
        # better the edited one than the very one that cells have imported
        return not file.exists() or file.stat().st_mtime > _BEGAN
    if len(header) < 16:
        return False
    _, hashed, seconds, length = struct.unpack("<4sIII", header)
    return not hashed and (seconds, length) != (time_ns // 10**9 & 0xFFFFFFFF, size & 0xFFFFFFFF)


def _kin(name: str) -> dict[str, Path]:
    """The imported modules that belong together with this one, and their files.

    They are all of its package; of a module without a package, those in its folder.
    """
    top = name.partition(".")[0]
    root = sys.modules.get(top)
    folders = list(getattr(root, "__path__", []))  # of a package, with or without an __init__.py
    place = next(iter(folders), None) or getattr(root, "__file__", None)
    if place is None or _is_library(place) or top == __name__.partition(".")[0]:
        return {}
    files = {
        found: Path(module.__file__)
        for found, module in list(sys.modules.items())
        if found != "__main__" and getattr(module, "__file__", None)
    }
    if folders:
        return {n: path for n, path in files.items() if n == top or n.startswith(f"{top}.")}
    return {n: path for n, path in files.items() if path.parent == Path(place).parent}


def _forget_edited(name: str) -> None:
    """If the module or one of its kin was edited since it was imported, let all be imported anew."""
    importlib.invalidate_caches()  # a file may be new as well
    kin = _kin(name)
    if not any(_is_edited(found, file) for found, file in kin.items()):
        return
    top = name.partition(".")[0]
    for found in [n for n in sys.modules if n in kin or n.partition(".")[0] == top]:
        del sys.modules[found]
    for file in kin.values():
        # Python takes the old bytecode for an edit of the same second and size.
        with contextlib.suppress(OSError, NotImplementedError):
            Path(cache_from_source(str(file))).unlink(missing_ok=True)


def _port(port: int | str) -> int:
    number = int(port) if isinstance(port, str) and re.fullmatch("[0-9]{1,5}", port) else port
    whole = isinstance(number, Integral) and not isinstance(number, bool)
    if not whole or not 0 <= number <= 65535:
        raise WorkshopError(
            f"There is no port {reprlib.repr(port)}. Leave `port` out to get a free one, or give a "
            "number from 1024 to 65535."
        )
    return int(number)


def _listen(port: int) -> socket.socket:
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


def _is_library(file: str) -> bool:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    return file.startswith(("<frozen", *(f"{path}{os.sep}" for path in paths)))


class _OwnLines(logging.Filter):
    """Lets the traceback of a failed request begin where the app's own code does."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[2]:
            kind, error, trace = record.exc_info
            while trace and _is_ours(trace.tb_frame.f_code.co_filename):
                trace = trace.tb_next
            if trace:
                record.exc_info = kind, error, trace
        return True


def _is_ours(file: str) -> bool:
    """Whether that is no code of the app: a library's, or this file."""
    return _is_library(file) or file == __file__


logging.getLogger("uvicorn.error").addFilter(_OwnLines())


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
