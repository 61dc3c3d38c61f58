"""What stands before every endpoint: who may call, how much they may send, and how often."""

import logging
import re
import time
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

from fastapi import Request, Response, WebSocket
from fastapi.params import Form
from fastapi.routing import APIRoute
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app_snippets.service.problems import MEDIA_TYPE, ProblemError

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
# Who may show our pages in a frame: this machine only, as JupyterLab and its kin do. Any other site
# could lay it under the visitor's mouse and have it clicked.
FRAMES = "frame-ancestors 'self' http://localhost:* http://127.0.0.1:* vscode-webview:"
# Enough for /docs and /redoc, and no more: ReDoc would fetch its logo from another host.
_STAY_HERE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    f"img-src 'self' data:; worker-src blob:; {FRAMES}"
)
# Whether this task has refused a WebSocket: uvicorn then misses a handshake and logs an error.
_denied: ContextVar[bool] = ContextVar("denied", default=False)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]*)?")  # and no user before it
_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,18})-([0-9]{1,18})?|-[0-9]{1,18})\s*")
_PREFIX = re.compile(r"(/[\w.~@%+-]+)+/?")


class Guard:
    """ASGI middleware: host, origin, size of the body, and the prefix of a proxy.

    A browser lets any web page send requests to a service on its own machine. So a request is
    refused when its `Host` is not one of ours (DNS rebinding) or its `Origin` is another site.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str],
        max_upload: int,
        max_json: int,
        max_texts: int | None = None,
    ) -> None:
        self.app = app
        self.hosts = {host.lower() for host in hosts}
        self.max_upload = max_upload
        self.max_json = max_json
        self.max_texts = max_texts or max_json  # of JSON to /items

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with a problem."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        send = _confined(send)
        scope = _without_odd_range(_behind_proxy(scope, headers), headers)
        scope, send = _head_as_get(scope, send)
        limit = self.max_texts if scope["path"].endswith("/items") else self.max_json
        if _media_type(headers) == "multipart/form-data":
            limit = self.max_upload
        try:
            self._check_caller(headers)
            length = headers.get("content-length", "0")
            if not length.isdecimal() or len(length) > 18 or int(length) > limit:
                raise _too_large(limit)
        except ProblemError as problem:
            if scope["type"] == "websocket":
                return await deny(WebSocket(scope, receive, send), problem)
            return await problem.response()(scope, receive, send)
        await self.app(scope, _counted(receive, limit), send)

    def _check_caller(self, headers: Headers) -> None:
        host = headers.get("host", "").lower()
        written = _HOST.fullmatch(host)
        if "*" not in self.hosts and not (written and written[1].strip("[]") in self.hosts):
            raise ProblemError(
                421, f"This service does not answer for {host!r}. Its setting ALLOWED_HOSTS can."
            )
        origin = headers.get("origin")
        if origin and origin.lower().partition("://")[2] != (host or None):
            raise ProblemError(403, f"A page of {origin!r} may not use this service.")


class Confined:
    """ASGI middleware for an app without a guard: no site may show its pages in a frame; HEAD works."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back with the rules for browsers."""
        scope, send = _head_as_get(scope, _confined(send))
        await self.app(scope, receive, send)


class CheckedRoute(APIRoute):
    """A route that looks at the media type and counts uploads before it reads the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with the checks before it."""
        handle = super().get_route_handler()
        expected = None
        if self.body_field:
            is_form = isinstance(self.body_field.field_info, Form)
            expected = "multipart/form-data" if is_form else "application/json"

        async def checked(request: Request) -> Response:
            if expected and _media_type(request.headers) != expected:
                also = " or application/json" if self.openapi_extra else ""
                raise ProblemError(415, f"Send this request as Content-Type: {expected}{also}.")
            if getattr(self.endpoint, "is_upload", False):
                request.app.state.upload_rate.count(address(request))
            return await handle(request)

        return checked


class JsonRoute(CheckedRoute):
    """A route for JSON alone: another one takes what else is sent to its path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Not this one if the body is something else."""
        match, child = super().matches(scope)
        if match is Match.FULL and _media_type(Headers(scope=scope)) != "application/json":
            return Match.NONE, {}
        return match, child


def upload(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint whose calls count against the rate of uploads."""
    endpoint.is_upload = True
    return endpoint


class Rate:
    """So many of something in a time from one source, written as in "60/minute"."""

    def __init__(self, rate: str, of: str) -> None:
        self.rate, self.of = parse(rate), of
        self.limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, source: str) -> None:
        """Count one; raise 429 when there were too many."""
        if not self.limiter.hit(self.rate, source):
            self.refuse(source)

    def ensure_room(self, source: str) -> None:
        """Raise 429 when one more would be too many."""
        if not self.limiter.test(self.rate, source):
            self.refuse(source)

    def refuse(self, source: str) -> NoReturn:
        """Say how long to wait."""
        reset = self.limiter.get_window_stats(self.rate, source).reset_time
        wait = max(1, round(reset - time.time()))
        raise ProblemError(
            429,
            f"More than {self.rate} {self.of}. Wait {wait} s.",
            headers={"Retry-After": str(wait)},
        )


def address(request: HTTPConnection) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "unknown"


async def deny(websocket: WebSocket, problem: ProblemError) -> None:
    """Refuse a WebSocket before it opens, with a problem where the server can send one."""
    _denied.set(True)
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(problem.response())
    else:
        await websocket.close(reason=problem.detail)


def _is_news(record: logging.LogRecord) -> bool:
    return not (
        _denied.get() and record.msg == "ASGI callable returned without completing handshake."
    )


logging.getLogger("uvicorn.error").addFilter(_is_news)


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, f"The request is larger than the {limit:,} bytes allowed here.")


def _counted(receive: Receive, limit: int) -> Receive:
    """Count what really arrives: a chunked body does not announce its size."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body") or b"")
        if total > limit:
            raise _too_large(limit)
        return message

    return counted


def _confined(send: Send) -> Send:
    """What a browser may do with an answer, unless the answer says otherwise."""
    instead = b""

    async def with_headers(message: Message) -> None:
        nonlocal instead
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if message["status"] == 416:  # from Starlette, without a word
                problem = ProblemError(
                    416, "There are no such bytes: the range begins after the end."
                )
                instead = problem.response().body
                headers.update({"Content-Type": MEDIA_TYPE, "Content-Length": str(len(instead))})
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Content-Security-Policy", _STAY_HERE)
        elif message["type"] == "http.response.body" and instead:
            message, instead = {**message, "body": instead}, b""
        await send(message)

    return with_headers


def _head_as_get(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """HEAD is what GET says, without its body."""
    if scope.get("method") != "HEAD":
        return scope, send
    return {**scope, "method": "GET"}, _headers_only(send)


def _headers_only(send: Send) -> Send:
    async def without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return without_body


def _without_odd_range(scope: Scope, headers: Headers) -> Scope:
    """A `Range` that is not one range of bytes is ignored (RFC 9110, 14.2): the answer is the whole."""
    wanted = headers.get("range")
    found = _RANGE.fullmatch(wanted or "")
    if wanted is None or (found and not (found[2] and int(found[1]) > int(found[2]))):
        return scope
    kept = [(name, value) for name, value in scope["headers"] if name.lower() != b"range"]
    return {**scope, "headers": kept}


def _behind_proxy(scope: Scope, headers: Headers) -> Scope:
    """Jupyter's proxy strips its prefix from the path; links to /docs need it back."""
    prefix = headers.get("x-forwarded-prefix", "")
    if scope.get("root_path") or not _PREFIX.fullmatch(prefix):
        return scope
    prefix = prefix.rstrip("/")
    return {**scope, "root_path": prefix, "path": prefix + scope["path"]}
