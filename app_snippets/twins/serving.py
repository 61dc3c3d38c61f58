"""Serve a WSGI app from inside this process, as `workshop.launch` does for ASGI."""

import logging
import threading
from typing import Any, Self
from wsgiref.types import WSGIApplication

import waitress
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
