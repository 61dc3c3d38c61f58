"""Checks of chapter 06, one search API, twice: each answer is called as a server would call it.

No port is opened: a WSGI answer is called under the standard library's referee of PEP 3333, an ASGI
answer gets its messages from a list, and what it sends is held against the rules. So an answer that
blocks, ends too early or not at all leaves nothing behind.
"""

import asyncio
import copy
import inspect
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import httpx
from fastapi import FastAPI
from flask import Flask

from workshop.checks import Wrong, register
from workshop.checks.serving import quiet

PATIENCE = 2.0  # seconds without any message, until an answer counts as one that waits in vain


class _Heard:
    """An answer over HTTP: status, headers by their names in small letters, pieces of the body."""

    def __init__(self, status: int, headers: list[tuple[str, str]], pieces: list[bytes]) -> None:
        self.status, self.pieces = status, pieces
        self.headers = {name.lower(): value for name, value in headers}
        self.body = b"".join(pieces)


def _length(what: str, answer: _Heard, wanted: bool = True) -> None:
    given = answer.headers.get("content-length")
    if given is None:
        if wanted:
            raise Wrong(f"{what} has no Content-Length")
    elif given != str(len(answer.body)):
        raise Wrong(
            f"{what} has Content-Length {given} and a body of {len(answer.body)} bytes: a length counts "
            "bytes, not letters"
        )


def _wsgi(app: Callable, path: str = "/", method: str = "GET") -> _Heard:
    """Call a WSGI app as a server does; Wrong if it breaks the rules of WSGI."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"REQUEST_METHOD": method, "QUERY_STRING": ""}
    environ["PATH_INFO"] = path.encode().decode("latin-1")
    started: list[tuple[str, list[tuple[str, str]]]] = []
    pieces: list[bytes] = []

    def start_response(status: str, headers: list, exc_info: Any = None) -> Callable:
        started.append((status, headers))
        return pieces.append

    # the referee's words go to stderr when an answer is thrown away unread
    with redirect_stderr(io.StringIO()):
        try:
            answer = validator(app)(environ, start_response)
            try:
                pieces.extend(answer)
            finally:
                answer.close()
        except AssertionError as error:
            if _from_the_referee(error):
                raise Wrong(
                    f"{method} {path}: this breaks the rules of WSGI: {error or 'an assertion failed'}"
                ) from None
            raise
    status, headers = started[-1]
    return _Heard(int(status[:3]), headers, pieces)


def _from_the_referee(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == "wsgiref.validate"


def _is_async(answer: object) -> bool:
    return inspect.iscoroutinefunction(answer) or inspect.iscoroutinefunction(
        getattr(answer, "__call__", None)  # noqa: B004
    )


# ------------------------------------------------------------------------------------------- 6.1


@register(
    "6.1",
    'The path is `environ["PATH_INFO"]`, the method is `environ["REQUEST_METHOD"]`. Decide on status, text '
    "and headers first, then call `start_response` in one place.",
    'The path was decoded as Latin-1, whatever it was: `path.encode("latin-1").decode("utf-8")` '
    "makes the right text of it.",
    "Ask for the path first: does it begin with `/hello/`, and does a name follow? Only then ask for the "
    "method. The length is that of the encoded body: `str(len(text.encode()))`.",
)
def greet(greet: Callable) -> str:
    """A WSGI callable with three statuses."""
    if _is_async(greet):
        raise Wrong("`greet` is an `async def`: WSGI calls plain functions")

    def ask(path: str, status: int, method: str = "GET") -> _Heard:
        what, answer = f"{method} {path}", _wsgi(greet, path, method)
        if answer.status != status:
            raise Wrong(f"{what} gives {answer.status}, not {status}")
        kind = answer.headers.get("content-type", "").lower().replace(" ", "").replace('"', "")
        if kind != "text/plain;charset=utf-8":
            raise Wrong(
                f"{what}: the Content-Type is {answer.headers.get('content-type')!r}, not "
                "'text/plain; charset=utf-8'"
            )
        if method != "HEAD":  # whether a body is sent there is the server's business
            _length(what, answer)
        elif "content-length" not in answer.headers:
            raise Wrong(f"{what} has no Content-Length")
        return answer

    for name in ("Ada", "Grace Hopper", "hello", "a/b"):
        if (body := ask(f"/hello/{name}", 200).body) != f"Hello, {name}!".encode():
            raise Wrong(f"GET /hello/{name} says {body!r}, not 'Hello, {name}!'")
    for name in ("Zoë", "李", "Ωmega"):
        if (body := ask(f"/hello/{name}", 200).body) != f"Hello, {name}!".encode():
            raise Wrong(
                f"GET /hello/{name} is answered with the bytes {body!r}: the path is UTF-8 that was "
                "decoded as Latin-1, and the answer is to be UTF-8"
            )
    for path in (
        "/",
        "/goodbye/Ada",
        "/hello",
        "/hello/",
        "/hellos/Ada",
        "/x/hello/Ada",
        "/Hello/Ada",
    ):
        ask(path, 404)
    for method in ("POST", "DELETE", "HEAD", "OPTIONS"):
        refused = ask("/hello/Ada", 405, method)
        if refused.headers.get("allow") != "GET":
            raise Wrong(f"{method} /hello/Ada: the 405 has no header `Allow: GET`")
        ask("/", 404, method)
        ask("/hello/", 404, method)
    return "three statuses, by the rules of WSGI, and Zoë is greeted by her name"


# ------------------------------------------------------------------------------------------- 6.2


class _Client:
    """Plays an ASGI server with one client: hands out messages, and judges what is sent.

    messages  what `receive` gives, in order; a WebSocket's next one only when the last is answered
    """

    def __init__(self, name: str, scope: dict, messages: list[dict]) -> None:
        self.name, self.scope, self.messages = name, scope, list(messages)
        self.sent: list[dict] = []
        self.waits = ""  # what it waits for in vain, if it does
        self.left = False  # whether it has told that it leaves
        self._asked = 0
        self._news = asyncio.Event()  # something was sent

    def _answered(self) -> bool:
        """Whether a WebSocket's messages so far have got what they should."""
        return self.scope["type"] != "websocket" or self.left or len(self.sent) >= self._asked

    async def receive(self) -> dict:
        await asyncio.sleep(0)  # others have their turn, as on a network
        self.waits = "answer"
        while not self._answered():
            self._news.clear()
            await self._news.wait()
        self.waits = ""
        if self.messages:
            self._asked += 1
            message = self.messages.pop(0)
            self.left = message["type"] == "websocket.disconnect"
            return message
        if self.scope["type"] == "http" and self.over:
            return {"type": "http.disconnect"}
        self.waits = "message"
        return await asyncio.Future()  # nothing more comes

    @property
    def over(self) -> bool:
        """Whether the HTTP answer has come to its end."""
        last = self.sent[-1] if self.sent else {}
        return last.get("type") == "http.response.body" and not last.get("more_body")

    async def send(self, message: dict) -> None:
        await asyncio.sleep(0)
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Wrong(f"{self.name}: {message!r} was sent, which is no dict with a `type`")
        kind, order = message["type"], [m["type"] for m in self.sent]
        if not kind.startswith(f"{self.scope['type']}."):
            raise Wrong(f"{self.name}: a message {kind!r} was sent on it")
        if kind.startswith("http."):
            self._http(kind, order, message)
        elif self.scope["type"] == "websocket":
            self._websocket(kind, order, message)
        self.sent.append(dict(message))
        self._news.set()

    def _http(self, kind: str, order: list[str], message: dict) -> None:
        if self.over:
            raise Wrong(f"{self.name}: {kind!r} was sent after the answer was over")
        if (kind == "http.response.start") != (not order):
            raise Wrong(
                f"{self.name}: an answer is one `http.response.start` and then its body, but {kind!r} "
                f"was sent after {order}"
            )
        if kind == "http.response.start" and not isinstance(message.get("status"), int):
            raise Wrong(f"{self.name}: `status` is to be a number such as 200")
        if kind == "http.response.body" and not isinstance(message.get("body", b""), bytes):
            raise Wrong(f"{self.name}: the `body` is {message['body']!r}, not bytes")

    def _websocket(self, kind: str, order: list[str], message: dict) -> None:
        if self.left:
            raise Wrong(f"{self.name}: {kind!r} was sent after the client had left")
        if kind == "websocket.close":
            raise Wrong(f"{self.name}: it is closed while its client has more to say")
        if (kind == "websocket.accept") != (not order):
            raise Wrong(f"{self.name}: `websocket.accept` is to be sent once, before all others")
        if not self._asked:
            raise Wrong(f"{self.name}: `websocket.connect` is to be received before it is accepted")

    async def run(self, app: Callable) -> None:
        """Call the app; Wrong if it does not come to an end."""
        try:
            async with asyncio.timeout(PATIENCE):
                await app(self.scope, self.receive, self.send)
        except TimeoutError:
            raise Wrong(f"{self.name}: {self._stuck()}") from None

    def _stuck(self) -> str:
        if self.waits == "answer":
            what = "the wish to connect" if self._asked == 1 else "a text"
            return (
                f"it received {what} and then the next message, without an answer: it stays silent"
            )
        if self.waits == "message" and self.scope["type"] == "websocket":
            return "it still waits for a message, though the client has left"
        if self.waits == "message":
            return (
                "it still waits for a message, though the whole body has come: `more_body` of the last "
                "one is false or missing"
            )
        return f"it has not come to an end after {PATIENCE:g} seconds"

    def heard(self) -> _Heard:
        """The HTTP answer."""
        if not self.sent:
            raise Wrong(f"{self.name}: nothing was sent")
        if not self.over:
            raise Wrong(
                f"{self.name}: the answer never ends: its last message has to be a body without "
                "`more_body`"
            )
        headers = [(_text(name), _text(value)) for name, value in self.sent[0].get("headers") or []]
        bodies = [m.get("body", b"") for m in self.sent[1:]]
        return _Heard(self.sent[0]["status"], headers, bodies)


def _text(header: Any) -> str:
    if not isinstance(header, bytes):
        raise Wrong(f"{header!r} stands in the headers: in ASGI, their names and values are bytes")
    return header.decode("latin-1")


def _scope(kind: str, method: str = "POST") -> dict:
    scope: dict[str, Any] = {"type": kind, "asgi": {"version": "3.0", "spec_version": "2.3"}}
    if kind in ("http", "websocket"):
        scope |= {
            "scheme": "http" if kind == "http" else "ws",
            "http_version": "1.1",
            "headers": [],
        }
        scope |= {"path": "/", "raw_path": b"/", "query_string": b"", "root_path": ""}
        scope |= {"client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 80), "state": {}}
        scope |= {"method": method} if kind == "http" else {"subprotocols": []}
    return scope


def _request(name: str, *bodies: bytes | None) -> _Client:
    """A client that sends a body in these pieces; None is a message without a `body`."""
    messages: list[dict] = []
    for number, body in enumerate(bodies, 1):
        more = {"more_body": True} if number < len(bodies) else {}
        messages.append(
            {"type": "http.request", **({} if body is None else {"body": body}), **more}
        )
    return _Client(name, _scope("http"), messages)


def _line(name: str, *texts: str) -> "_Line":
    """A client of a WebSocket that says these texts and leaves."""
    said = [{"type": "websocket.receive", "text": text} for text in texts]
    messages = [
        {"type": "websocket.connect"},
        *said,
        {"type": "websocket.disconnect", "code": 1000},
    ]
    return _Line(name, _scope("websocket"), messages)


class _Line(_Client):
    """A client of a WebSocket."""

    def judge(self, texts: tuple[str, ...]) -> None:
        """Wrong if the texts were not answered as the task says."""
        if not self.sent:
            raise Wrong(f"{self.name} is not opened: `websocket.accept` was not sent")
        if not self.left:
            raise Wrong(f"{self.name}: your function ends while its client has more to say")
        for text, message in zip(texts, self.sent[1:], strict=False):
            if "text" not in message or message["text"] is None:
                raise Wrong(f"{self.name}: {text!r} was answered without a `text`: {message}")
            if message["text"] != text.upper():
                raise Wrong(f"{self.name} answers {text!r} with {message['text']!r}")
        if len(self.sent) != len(texts) + 1:
            raise Wrong(f"{self.name}: {len(texts)} texts got {len(self.sent) - 1} answers")


@register(
    "6.2",
    'Begin with three cases of `scope["type"]`. For `http`, collect the pieces of the body in a loop, and '
    "send only when the last one has come.",
    'The loop ends at the first message whose `message.get("more_body", False)` is false. For a WebSocket, '
    "`await receive()` once, accept, and then loop until a message has another type than "
    "`websocket.receive`.",
    "After the loop: `http.response.start` with `status` and `headers` (an empty list will do), then "
    '`http.response.body` with `body.upper()`. In the WebSocket\'s loop: `await send({"type": '
    '"websocket.send", "text": message["text"].upper()})`.',
)
def shout(shout: Callable) -> str:
    """An ASGI callable for HTTP and WebSocket."""
    if not _is_async(shout):
        raise Wrong("`shout` is no `async def`: an ASGI server awaits it")
    with quiet():
        asyncio.run(_shout(shout))
    return "one callable, two kinds of connection, bodies of any length"


async def _shout(shout: Callable) -> None:
    async def http(client: _Client, expected: bytes) -> None:
        await client.run(shout)
        answer = client.heard()
        if answer.status != 200:
            raise Wrong(f"{client.name} gives {answer.status}, not 200")
        if answer.body != expected:
            raise Wrong(f"{client.name} is answered with {answer.body!r}, not {expected!r}")
        _length(client.name, answer, wanted=False)

    await http(_request("a POST of `one word`", b"one word"), b"ONE WORD")
    await http(_request("a POST without a body", b""), b"")
    await http(_request("a request whose message has no `body`", None), b"")
    await http(_request("a body in three messages", b"a b ", b"c ", b"d"), b"A B C D")
    await http(_request("a body with an empty message within", b"Up ", b"", b"up!"), b"UP UP!")
    await http(_request("a body whose last message is empty", b" x ", None), b" X ")
    both = [_request(f"one of two requests at once, `{n}`", *[n.encode()] * 3) for n in "pq"]
    await asyncio.gather(*(http(c, c.name[-2].upper().encode() * 3) for c in both))
    for texts in (("hello", "once more", "", "Ünder 9"), (), ("again",)):
        line = _line("the WebSocket", *texts)
        await line.run(shout)
        line.judge(texts)
    lines = [_line(f"one of two WebSockets at once, {n}", n, n * 2) for n in "rs"]
    await asyncio.gather(*(line.run(shout) for line in lines))
    for line, name in zip(lines, "rs", strict=True):
        line.judge((name, name * 2))
    for kind in ("lifespan", "smoke"):
        await _leaves_alone(shout, kind)
    await http(_request("a POST after all this", b"still here"), b"STILL HERE")


async def _leaves_alone(app: Callable, kind: str) -> None:
    messages = [{"type": f"{kind}.startup"}, {"type": f"{kind}.shutdown"}]
    other = _Client(f'a connection of the type "{kind}"', _scope(kind), messages)

    async def send(message: dict) -> None:
        other.sent.append(message)

    other.send = send
    try:
        await other.run(app)
    except Wrong:
        raise
    except Exception as error:  # the task allows it: servers take it for "not mine"
        logging.getLogger("asyncio").debug("left alone with %r", error)
    if other.sent:
        raise Wrong(f"{other.name} is to be left alone, but {other.sent[0]!r:.80} was sent on it")


# ------------------------------------------------------------------------------------------- 6.3


@register(
    "6.3",
    "In the WSGI app, compare `len(text)` with `len(text.encode())`. In the ASGI app, look at what each message "
    "says about more to come.",
    "A Content-Length counts bytes. And the last message of an ASGI answer has no true `more_body`.",
    "Encode first, and take `len` of the bytes. In the ASGI app, either send the last line with "
    '`"more_body": False`, or send one more body, an empty one, after the loop.',
)
def repaired(whole: Callable, ended: Callable) -> str:
    """Both broken callables, repaired."""
    if _is_async(whole):
        raise Wrong("`whole` is an `async def`: WSGI calls plain functions")
    if not _is_async(ended):
        raise Wrong("`ended` is no `async def`: an ASGI server awaits it")
    for _ in range(2):
        answer = _plain_wsgi(whole)
        if answer.status != 200:
            raise Wrong(f"`whole` gives {answer.status}, not 200")
        if answer.body != "naïve café\n".encode():
            raise Wrong(f"`whole` sends {answer.body!r}: not all of the text, or another one")
        _length("`whole`", answer)
    with quiet():
        for _ in range(2):
            asyncio.run(_ended(ended))
    return "bytes are counted, and an answer that ends says so"


def _plain_wsgi(app: Callable) -> _Heard:
    """As `_wsgi`, but without a Content-Type, for which the task does not ask."""

    def typed(environ: dict, start_response: Callable) -> Any:
        def start(status: str, headers: list, *rest: Any) -> Callable:
            named = isinstance(headers, list) and any(
                str(pair[0]).lower() == "content-type" for pair in headers if pair
            )
            more = [("Content-Type", "text/plain")] if isinstance(headers, list) else []
            return start_response(status, headers if named else [*headers, *more], *rest)

        return app(environ, start)

    return _wsgi(typed)


async def _ended(ended: Callable) -> None:
    client = _Client("`ended`", _scope("http", "GET"), [{"type": "http.request", "body": b""}])
    await client.run(ended)
    answer = client.heard()
    if answer.status != 200:
        raise Wrong(f"`ended` gives {answer.status}, not 200")
    if answer.body != b"one\ntwo\nthree\n":
        raise Wrong(f"`ended` sends {answer.body!r}, not the three lines")
    if "content-length" in answer.headers:
        raise Wrong("`ended` has a content-length: the task asks for an answer without one")
    pieces = [piece for piece in answer.pieces if piece]
    if pieces != [b"one\n", b"two\n", b"three\n"]:
        raise Wrong(f"`ended` sends its lines as {pieces}: each line in a message of its own")


# ------------------------------------------------------------------------------------------- 6.4

_BIRDS = {
    "birds": ["Owl", "Jay", "Owl", "Tit", "Kea", "Emu"],
    "one": ["Only"],
    "none": [],
    "sea birds": ["Auk", "Tern", "Gull", "Puffin"],
}
_TREES = {"trees": ["Oak", "Elm"], "birds": ["Bird cherry"]}


@register(
    "6.4",
    "In both apps: first the address with its variable part, then the unknown category, then the limit.",
    'In Flask, `request.args.get("limit", "3")` is a text: `isdecimal()` tells whether it consists of digits. '
    "A view may return a pair, a dict and a status; a plain `abort(404)` would answer in HTML.",
    "In FastAPI, `limit: int = Query(3, ge=1)` is the whole rule for the limit, and "
    '`raise HTTPException(404, "…")` the one for the category.',
    seconds=30,
)
def twins(in_flask: Callable, in_fastapi: Callable) -> str:
    """One contract, two frameworks."""
    for build, kind, ask in (
        (in_flask, Flask, _ask_flask),
        (in_fastapi, FastAPI, _ask_fastapi),
    ):
        name = f"in_{kind.__name__.lower()}"
        birds, trees = copy.deepcopy(_BIRDS), copy.deepcopy(_TREES)
        app, other = build(birds), build(trees)
        for made in (app, other):
            if made is None:
                raise Wrong(f"`{name}` returns nothing: is `return app` still there?")
            if not isinstance(made, kind):
                raise Wrong(f"`{name}` returns a {type(made).__name__}, not a {kind.__name__} app")
        with quiet(), _quiet_flask(app):
            _contract(name, lambda path, app=app, ask=ask: ask(app, path))
            _only_its_own(name, lambda path, app=other, ask=ask: ask(app, path))
        if (birds, trees) != (_BIRDS, _TREES):
            raise Wrong(
                f"`{name}`: the dict has changed while the app answered; it must stay as it is"
            )
    return "both keep the contract"


@contextmanager
def _quiet_flask(app: Any) -> Iterator[None]:
    logger = getattr(app, "logger", None) or logging.getLogger("asyncio")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _ask_flask(app: Flask, path: str) -> httpx.Response:
    app.testing = True  # an error in a view is raised here, with the line it came from
    answer = app.test_client().get(path)
    return httpx.Response(answer.status_code, headers=list(answer.headers), content=answer.data)


def _ask_fastapi(app: FastAPI, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)  # raises the errors of an endpoint, too
        async with httpx.AsyncClient(transport=transport, base_url="http://check") as client:
            return await client.get(path)

    return asyncio.run(ask())


def _body(name: str, ask: Callable, path: str, status: int) -> dict:
    answer = ask(path)
    if answer.status_code != status:
        raise Wrong(f"{name}: GET {path} gives {answer.status_code}, not {status}")
    try:
        body = answer.json()
    except ValueError:
        raise Wrong(f"{name}: GET {path} answers {status}, but not in JSON") from None
    if "json" not in answer.headers.get("content-type", ""):
        raise Wrong(
            f"{name}: GET {path} sends JSON, but calls it {answer.headers.get('content-type')}"
        )
    if not isinstance(body, dict):
        raise Wrong(f"{name}: GET {path} answers {body!r:.60}, which is no JSON object")
    return body


def _contract(name: str, ask: Callable) -> None:
    birds = _BIRDS["birds"]
    for path, expected in (
        ("/names/birds?limit=2", birds[:2]),
        ("/names/birds", birds[:3]),
        ("/names/birds?limit=1", birds[:1]),
        ("/names/birds?limit=6", birds),
        ("/names/birds?limit=7", birds),
        ("/names/birds?limit=1000000", birds),
        ("/names/one", ["Only"]),
        ("/names/none", []),
        ("/names/sea%20birds?limit=3", _BIRDS["sea birds"][:3]),
        ("/names/birds?limit=5", birds[:5]),
    ):
        if (body := _body(name, ask, path, 200)) != {"names": expected}:
            raise Wrong(f"{name}: GET {path} answers {body!r}, not { ({'names': expected})!r}")
    for category in ("dragons", "Birds", "bird"):
        detail = _body(name, ask, f"/names/{category}", 404).get("detail", "")
        if category not in str(detail):
            raise Wrong(
                f"{name}: GET /names/{category}: `detail` of the 404 is {detail!r}, without the name"
            )
    for limit in ("0", "-1", "1.5", "many", "%C2%B2", ""):
        if not _body(name, ask, f"/names/birds?limit={limit}", 422).get("detail"):
            raise Wrong(f"{name}: the 422 for `limit={limit}` has no `detail`, or an empty one")


def _only_its_own(name: str, ask: Callable) -> None:
    if (body := _body(name, ask, "/names/birds", 200)) != {"names": ["Bird cherry"]}:
        raise Wrong(
            f"{name}: an app for another dict answers {body!r}: each app has names of its own"
        )
    _body(name, ask, "/names/one", 404)
