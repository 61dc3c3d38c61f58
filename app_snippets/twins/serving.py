"""More ways to serve an app from inside this process, beside `workshop.launch`.

`serve_wsgi` is waitress, for WSGI. `serve_hypercorn` speaks HTTP/2 as well, for either interface.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self
from wsgiref.types import WSGIApplication

import hypercorn.asyncio
import waitress
from hypercorn.config import Config
from waitress import wasyncore

# Warns whenever all threads are busy, which is what a load test is for.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)

_running: dict[str, "WSGIService"] = {}  # by name: running a cell again replaces its service


class WSGIService:
    """A running waitress: `.url`, `.stop()`; in a `with` block it stops at the end."""

    def __init__(self, app: WSGIApplication, name: str, threads: int) -> None:
        self.name = name
        self._sockets: dict[int, Any] = {}  # waitress's: its listening socket and connections
        self._server = waitress.create_server(
            app, host="127.0.0.1", port=0, threads=threads, map=self._sockets
        )
        self.port: int = self._server.effective_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.run, name=f"launch {name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the service; requests in hand are finished, then its port is free."""
        if self._thread.is_alive():
            # in the server's own thread: sockets may not be closed under its feet
            self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._sockets))
            self._thread.join()
            self._server.task_dispatcher.shutdown()
        if _running.get(self.name) is self:
            del _running[self.name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


def serve_wsgi(app: WSGIApplication, name: str | None = None, *, threads: int = 8) -> WSGIService:
    """Serve a WSGI app with waitress on a free port of 127.0.0.1, from a thread of this process.

    name     a service of the same name is stopped first; default: the app's own name
    threads  requests that are worked on at the same time
    """
    name = name or str(getattr(app, "name", None) or getattr(app, "__name__", type(app).__name__))
    if name in _running:
        _running[name].stop()
    service = _running[name] = WSGIService(app, name, threads)
    return service


@contextmanager
def serve_hypercorn(app: Callable, mode: Literal["asgi", "wsgi"] = "asgi") -> Iterator[str]:
    """Serve an app on a free port of 127.0.0.1 over HTTP/1.1 and HTTP/2; gives the address.

    HTTP/2 is spoken without encryption to clients that begin with it ("prior knowledge").
    """
    runner, ready, stop = asyncio.Runner(), threading.Event(), asyncio.Event()
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = sock.getsockname()[1]
    config = Config.from_mapping(bind=[f"fd://{sock.detach()}"], loglevel="WARNING")  # closes it

    async def shutdown() -> None:
        ready.set()
        await stop.wait()

    def run() -> None:
        with runner:
            runner.run(hypercorn.asyncio.serve(app, config, shutdown_trigger=shutdown, mode=mode))

    thread = threading.Thread(target=run, name="launch hypercorn", daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        runner.get_loop().call_soon_threadsafe(stop.set)
        thread.join()
