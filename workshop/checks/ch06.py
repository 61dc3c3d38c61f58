"""Checks of chapter 06, one search API, twice: each answer is served and asked over HTTP."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from wsgiref.validate import validator

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect as websocket

from app_snippets.twins.serving import serve_wsgi
from workshop.checks import Wrong, register
from workshop.serve import launch

# The servers log what a wrong answer does to them; the check says it in its own words.
_SERVERS = ("waitress", "uvicorn.error", "uvicorn.asgi")


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _SERVERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True  # its level is set again by each uvicorn that starts
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


@contextmanager
def _served(app: Callable, interface: str) -> Iterator[httpx.Client]:
    """A client of the app; what a server says of a broken answer becomes Wrong."""
    serve = serve_wsgi if interface == "wsgi" else launch
    with (
        _quiet(),
        serve(app, f"check {interface}") as service,
        httpx.Client(base_url=service.url, timeout=3) as client,
    ):
        try:
            yield client
        except httpx.TimeoutException:
            raise Wrong(
                "the client waits in vain: an answer must end, with a body message whose "
                "`more_body` is not true"
            ) from None
        except httpx.RemoteProtocolError as error:
            raise Wrong(f"the answer breaks off: {error}") from None


# ------------------------------------------------------------------------------------------- 6.1


@register(
    "6.1",
    '`environ["PATH_INFO"]` is the path, `environ["REQUEST_METHOD"]` the method. Decide on a status and '
    "a body first, then call `start_response` in one place.",
    'A path reaches you decoded as Latin-1, whatever it was: `path.encode("latin-1").decode("utf-8")` '
    "makes text of it.",
    '`start_response("405 Method Not Allowed", [..., ("Allow", "GET")])`; the length of a body is '
    "that of its bytes, and what you return is a list of bytes.",
)
def greet(greet: Callable) -> str:
    """A WSGI callable with three statuses."""
    # the standard library's own referee of PEP 3333 looks on
    problems: list[str] = []
    referee = validator(greet)

    def watched(environ: dict, start_response: Callable) -> list[bytes]:
        try:
            answer = referee(environ, start_response)
            try:
                return list(answer)
            finally:
                answer.close()
        except AssertionError as error:
            problems.append(str(error))
            raise

    with _served(watched, "wsgi") as client:

        def ask(path: str, method: str = "GET") -> httpx.Response:
            answer = client.request(method, path)
            if problems:
                raise Wrong(f"this breaks the rules of WSGI: {problems[0]}")
            return answer

        known = ask("/hello/Ada")
        if known.status_code != 200:
            raise Wrong(f"GET /hello/Ada gives {known.status_code}, not 200")
        if known.text != "Hello, Ada!":
            raise Wrong(f"GET /hello/Ada says {known.text!r}, not 'Hello, Ada!'")
        if not known.headers.get("content-type", "").startswith("text/plain"):
            raise Wrong("the Content-Type is not text/plain")
        foreign = ask("/hello/Zoë")
        if foreign.content != "Hello, Zoë!".encode():
            raise Wrong(
                f"/hello/Zoë is answered with the bytes {foreign.content!r}: paths come as Latin-1, "
                "answers go as UTF-8, and a length counts bytes"
            )
        for path in ("/", "/goodbye/Ada", "/hello", "/hello/"):
            if (status := ask(path).status_code) != 404:
                raise Wrong(f"GET {path} gives {status}, not 404")
        posted = ask("/hello/Ada", "POST")
        if posted.status_code != 405:
            raise Wrong(f"POST /hello/Ada gives {posted.status_code}, not 405")
        if posted.headers.get("allow") != "GET":
            raise Wrong("the 405 does not say with `Allow` which method would do")
        if (status := ask("/", "POST").status_code) != 404:
            raise Wrong(
                f"POST / gives {status}: where nothing is, no method is better than another"
            )
    return "three statuses, by the rules of WSGI, and Zoë is greeted by her name"


# ------------------------------------------------------------------------------------------- 6.2


@register(
    "6.2",
    '`scope["type"]` says what it is. For `http`, `await receive()` again and again until a message has '
    'no true `more_body`, and collect `message.get("body", b"")`.',
    "A WebSocket begins with a message `websocket.connect`, which you answer with "
    '`{"type": "websocket.accept"}`; then each `websocket.receive` has a `text`.',
    "Loop `while True: message = await receive()`, `return` at `websocket.disconnect`, and "
    '`await send({"type": "websocket.send", "text": ...})` otherwise.',
)
def shout(shout: Callable) -> str:
    """An ASGI callable for HTTP and WebSocket."""
    with _served(shout, "asgi") as client:
        short = client.post("/", content=b"one word")
        if short.status_code != 200:
            raise Wrong(f"a POST gives {short.status_code}, not 200")
        if short.text != "ONE WORD":
            raise Wrong(f"`one word` comes back as {short.text!r}, not 'ONE WORD'")
        pieces = [b"piece by piece "] * 4000  # larger than a server hands over at once
        long = client.post("/", content=iter(pieces))
        if long.text != "PIECE BY PIECE " * 4000:
            raise Wrong(
                f"a long body comes back with {len(long.text):,} of 60,000 characters: it arrives in "
                "several messages, as long as `more_body` is true"
            )
        address = str(client.base_url).replace("http", "ws")
        opened = False
        try:
            with websocket(address, open_timeout=3, close_timeout=1) as line:
                opened = True
                for text in ("hello", "once more", ""):
                    line.send(text)
                    if (heard := line.recv(timeout=3)) != text.upper():
                        raise Wrong(f"the WebSocket answers {text!r} with {heard!r}")
        except TimeoutError:
            how = (
                "takes a text and stays silent" if opened else "is not opened: no answer to connect"
            )
            raise Wrong(f"the WebSocket {how}") from None
        except ConnectionClosed:
            raise Wrong("the WebSocket closes while its client has more to say") from None
        except InvalidHandshake:
            raise Wrong("the WebSocket is not opened: it waits for `websocket.accept`") from None
        if client.post("/", content=b"again").text != "AGAIN":
            raise Wrong("after a WebSocket has closed, a POST is no longer answered")
    return "one callable, two kinds of connection, bodies of any length"


# ------------------------------------------------------------------------------------------- 6.3


@register(
    "6.3",
    "The WSGI answer is cut short: compare `len(text)` with `len(text.encode())`.",
    "The ASGI answer never says that it is over: each message promises another one.",
    "Either send the last line without `more_body`, or send an empty body after the loop: "
    '`await send({"type": "http.response.body", "body": b""})`.',
)
def repaired(whole: Callable, ended: Callable) -> str:
    """Both broken callables, repaired."""
    with _served(whole, "wsgi") as client:
        answer = client.get("/")
        if answer.status_code != 200:
            raise Wrong(f"`whole` gives {answer.status_code}")
        if answer.content != "naïve café\n".encode():
            raise Wrong(f"`whole` sends {answer.content!r}: still not all of it")
        if answer.headers.get("content-length") != "13":
            raise Wrong("`whole` does not say how long it is: keep `Content-Length`, with bytes")
    with _served(ended, "asgi") as client:
        answer = client.get("/")
        if answer.text != "one\ntwo\nthree\n":
            raise Wrong(f"`ended` sends {answer.text!r}, not the three lines")
        if client.get("/").status_code != 200:
            raise Wrong("`ended` answers only once")
        if "content-length" in answer.headers:
            raise Wrong("`ended` should stay a stream: send line by line, without a length")
    return "bytes are counted, and an answer that ends says so"


# ------------------------------------------------------------------------------------------- 6.4

_NAMES = {"fish": ["Carp", "Eel", "Perch", "Salmon", "Tuna"], "flags": ["Catalonia"]}


@register(
    "6.4",
    "In FastAPI, `limit: Annotated[int, Query(ge=1)] = 3` is the whole of the third rule, and "
    "`raise HTTPException(404, ...)` of the second.",
    'In Flask `request.args.get("limit", "3")` is a text or what you put there: `isdecimal()` tells '
    "whether it is a whole number that is not negative.",
    'In Flask a view may return `{"detail": "..."}, 422`, a body and a status; a plain `abort(404)` '
    "would answer in HTML.",
)
def twins(in_flask: Callable, in_fastapi: Callable) -> str:
    """One contract, two frameworks."""
    for build, interface in ((in_flask, "wsgi"), (in_fastapi, "asgi")):
        name = "in_flask" if interface == "wsgi" else "in_fastapi"
        app = build({category: list(names) for category, names in _NAMES.items()})
        if app is None:
            raise Wrong(f"`{name}` returns nothing: is there a `return app`?")
        logging.getLogger(getattr(app, "name", "")).disabled = interface == "wsgi"
        with _served(app, interface) as client:
            _contract(name, client)
    return "both keep the contract, and a client cannot tell them apart"


def _contract(name: str, client: httpx.Client) -> None:
    def ask(path: str, status: int) -> dict:
        answer = client.get(path)
        if answer.status_code != status:
            raise Wrong(f"{name}: GET {path} gives {answer.status_code}, not {status}")
        try:
            body = answer.json()
        except ValueError:
            raise Wrong(f"{name}: GET {path} answers {status}, but not in JSON") from None
        if not isinstance(body, dict):
            raise Wrong(f"{name}: GET {path} answers {body!r}, which is no JSON object")
        return body

    for path, expected in (
        ("/names/fish?limit=2", _NAMES["fish"][:2]),
        ("/names/fish", _NAMES["fish"][:3]),
        ("/names/fish?limit=100", _NAMES["fish"]),
        ("/names/flags", _NAMES["flags"]),
    ):
        if (body := ask(path, 200)) != {"names": expected}:
            raise Wrong(f"{name}: GET {path} answers {body!r}")
    if "dragons" not in str(ask("/names/dragons", 404).get("detail", "")):
        raise Wrong(f"{name}: the 404 has no `detail` that names the category")
    for limit in ("many", "-1", "0", "1.5", ""):
        if not ask(f"/names/fish?limit={limit}", 422).get("detail"):
            raise Wrong(f"{name}: the 422 for limit={limit!r} has no `detail`")
