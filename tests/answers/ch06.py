"""Answers to the exercises of chapter 06 that people write: right ones, and wrong ones with what they hear."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from flask import Blueprint, Flask, abort, jsonify, request
from flask.views import MethodView
from pydantic import BaseModel, PositiveInt
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket
from werkzeug.exceptions import HTTPException as WerkzeugException
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response

KIND = ("Content-Type", "text/plain; charset=utf-8")

# --- 6.1


def greeting(
    environ,
    start_response,
    *,
    decode=True,
    allow="GET",
    measure=len,
    always=None,
    kind=KIND,
    length=True,
    method_first=False,
    nobody=False,
    head=False,
    parts=False,
    begins="/hello/",
):
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if decode:
        path = path.encode("latin-1").decode()
    name = path.removeprefix(begins)
    if parts:
        name = path.split("/")[2] if path.startswith("/hello/") else path
    headers = [kind]
    refused = method not in (("GET", "HEAD") if head else ("GET",))
    status, text = "200 OK", f"Hello, {name}!"
    if (name == path or (not name and not nobody)) and not (method_first and refused):
        status, text = "404 Not Found", "not here: naïve"
    elif refused:
        status, text = "405 Method Not Allowed", "no"
        headers += [("Allow", allow)] if allow else []
    body = text.encode()
    size = len(text) if measure is str else len(body)
    if length:
        headers.append(("Content-Length", str(size)))
    start_response(always or status, headers)
    return [body]


def variant(**changes):
    def greet(environ, start_response):
        return greeting(environ, start_response, **changes)

    return greet


def greet_by_yield(environ, start_response):
    found = re.fullmatch("/hello/(.+)", environ["PATH_INFO"])
    code, more = HTTPStatus.NOT_FOUND, {}
    body = b"?"
    if found and environ["REQUEST_METHOD"] != "GET":
        code, more = HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET"}
    elif found:
        code, body = HTTPStatus.OK, b"Hello, " + found[1].encode("latin-1") + b"!"
    headers = {"Content-Type": "text/plain;charset=UTF-8", "Content-Length": str(len(body)), **more}
    start_response(f"{code.value} {code.phrase}", list(headers.items()))
    yield body


class GreetObject:
    def __call__(self, environ, start_response):
        question = WerkzeugRequest(environ)
        return self.answer(question)(environ, start_response)

    def answer(self, question):
        if not question.path.startswith("/hello/") or len(question.path) == 7:
            return Response("no such page", 404)
        if question.method != "GET":
            return Response("no", 405, {"Allow": "GET"})
        return Response(f"Hello, {question.path[7:]}!")


def a_text_for_bytes(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["Hello, Ada!"]


def a_number_for_a_status(environ, start_response):
    start_response(200, [("Content-Type", "text/plain")])
    return [b"Hello, Ada!"]


def forgets_to_start(environ, start_response):
    return [b"Hello, Ada!"]


def forgets_to_return(environ, start_response):
    start_response("200 OK", [KIND])


def knows_the_names(environ, start_response):
    name = environ["PATH_INFO"].rsplit("/", 1)[1].encode("latin-1").decode()
    return greeting(
        environ, start_response, always=None if name in ("Ada", "Zoë") else "404 Not Found"
    )


async def an_async_greet(environ, start_response):
    return greeting(environ, start_response)


# --- 6.2


async def text_of(receive, whole=True, strip=False, direct=False):
    body, more = b"", True
    while more:
        message = await receive()
        piece = message["body"] if direct else message.get("body", b"")
        body += piece.strip() if strip else piece
        more = whole and message.get("more_body", False)
    return body.decode()


async def reply(send, text, more=False, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})


async def line(
    receive, send, *, accept=True, once=False, speak=True, change=str.upper, close=False, stay=False
):
    await receive()
    if accept:
        await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect" or stay:
        if speak and "text" in message:
            await send({"type": "websocket.send", "text": change(message["text"])})
        if once:
            await send({"type": "websocket.close"})
            return
    if close:
        await send({"type": "websocket.close"})


def shouting(change=str.upper, of_text=None, of_reply=None, others=False, **of_line):
    async def shout(scope, receive, send):
        if scope["type"] == "websocket":
            await line(receive, send, **of_line)
        elif scope["type"] == "http" or others:
            await reply(send, change(await text_of(receive, **(of_text or {}))), **(of_reply or {}))
        else:
            raise NotImplementedError

    return shout


async def shout_piece_by_piece(scope, receive, send):
    match scope["type"]:
        case "http":
            await send({"type": "http.response.start", "status": 200})
            more = True
            while more:
                message = await receive()
                more = message.get("more_body", False)
                body = message.get("body", b"").upper()
                await send({"type": "http.response.body", "body": body, "more_body": more})
        case "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"].upper()})


async def shout_in_starlette(scope, receive, send):
    if scope["type"] == "http":
        body = await StarletteRequest(scope, receive).body()
        await PlainTextResponse(body.upper())(scope, receive, send)
    elif scope["type"] == "websocket":
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text.upper())


class ShoutObject:
    async def __call__(self, scope, receive, send):
        handler = getattr(self, scope["type"], None)
        if handler is not None:
            await handler(receive, send)

    async def http(self, receive, send):
        body = (await text_of(receive)).upper()
        await reply(send, body, headers=[(b"content-length", str(len(body)).encode())])

    async def websocket(self, receive, send):
        await line(receive, send)


async def stops_at_an_empty_message(scope, receive, send):
    if scope["type"] == "http":
        body = b""
        while piece := (await receive()).get("body", b""):
            body += piece
        await reply(send, body.decode().upper())


async def accepts_too_early(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await shout_piece_by_piece(scope, receive, send)


async def answers_in_bytes(scope, receive, send):
    async def sent(message):
        if message["type"] == "websocket.send":
            message = {"type": "websocket.send", "bytes": message["text"].encode()}
        await send(message)

    await shout_piece_by_piece(scope, receive, sent)


async def http_only(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await reply(send, (await text_of(receive)).upper())


async def answers_lifespan(scope, receive, send):
    if scope["type"] == "lifespan":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        return
    await shout_piece_by_piece(scope, receive, send)


collected = []


async def remembers_all(scope, receive, send):
    if scope["type"] == "http":
        collected.append(await text_of(receive))
        await reply(send, "".join(collected).upper())


async def texts_for_headers(scope, receive, send):
    await reply(send, (await text_of(receive)).upper(), headers=[("content-type", "text/plain")])


async def never_waits(scope, receive, send):
    while True:
        pass


def a_plain_function(scope, receive, send):
    return None


# --- 6.3


def whole(environ, start_response):
    body = "naïve café\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def whole_in_pieces(environ, start_response):
    pieces = [word.encode() for word in ("naïve ", "café\n")]
    start_response("200 OK", [KIND, ("content-length", str(sum(map(len, pieces))))])
    yield from pieces


class WholeObject:
    def __call__(self, environ, start_response):
        return Response("naïve café\n")(environ, start_response)


def still_short(environ, start_response):
    text = "naïve café\n"
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]


def without_a_length(environ, start_response):
    start_response("200 OK", [])
    return iter(["naïve ".encode(), "café\n".encode()])


def without_accents(environ, start_response):
    start_response("200 OK", [("Content-Length", "11")])
    return [b"naive cafe\n"]


def in_latin(environ, start_response):
    body = "naïve café\n".encode("latin-1")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def without_the_line_end(environ, start_response):
    body = "naïve café".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def a_number_for_a_length(environ, start_response):
    body = "naïve café\n".encode()
    start_response("200 OK", [("Content-Length", len(body))])
    return [body]


def streaming(lines=("one", "two", "three"), last=True, headers=(), end="\n", status=200):
    async def ended(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for text in lines:
            body = f"{text}{end}".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if last:
            await send({"type": "http.response.body"})

    return ended


async def ended_with_the_third(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    lines = [b"one\n", b"two\n", b"three\n"]
    for number, body in enumerate(lines, 1):
        await send({"type": "http.response.body", "body": body, "more_body": number < len(lines)})


async def ended_by_hand(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"one\n", "more_body": True})
    await send({"type": "http.response.body", "body": b"two\n", "more_body": True})
    await send({"type": "http.response.body", "body": b"three\n"})


async def all_in_one(scope, receive, send):
    await reply(send, "one\ntwo\nthree\n")


async def ends_each_line(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for body in (b"one\n", b"two\n", b"three\n"):
        await send({"type": "http.response.body", "body": body})


async def starts_each_line(scope, receive, send):
    for body in (b"one\n", b"two\n", b"three\n"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": True})


# --- 6.4


def in_flask(names, abort_it=False, reads=None, named=True, wrap=True, default="3", **more):
    app = Flask("answer")

    @app.get("/names/<category>")
    def some(category):
        raw = request.args.get("limit", default)
        unknown = not names.get(category) if more.get("falsy") else category not in names
        if unknown:
            if abort_it:
                abort(404, f"no {category}")
            return {"detail": f"no {category}" if named else "unknown"}, 404
        limit = (reads or digits)(raw)
        if limit is None or limit < more.get("least", 1):
            return {more.get("key", "detail"): "limit: a whole number"}, more.get("status", 422)
        found = names[category]
        if more.get("in_place"):
            del found[limit:]
        return {"names": found[:limit]} if wrap else found[:limit]

    return app


def digits(raw):
    return int(raw) if raw.isdecimal() else None


def any_float(raw):
    try:
        return int(float(raw))
    except ValueError:
        return None


def isdigit(raw):
    return int(raw) if raw.isdigit() else None


def flask_with(**changes):
    return lambda names: in_flask(names, **changes)


def flask_with_handlers(names):
    app, group = Flask("answer"), Blueprint("group", "group")

    @app.errorhandler(WerkzeugException)
    def told(error):
        return jsonify(detail=error.description), error.code

    @group.route("/<category>")
    def some(category):
        try:
            limit = int(request.args.get("limit", 3))
        except ValueError:
            abort(422, "limit must be a whole number")
        if limit <= 0:
            abort(422, "limit must be positive")
        if category not in names:
            abort(404, f"unknown category {category}")
        return jsonify({"names": names[category][:limit]})

    app.register_blueprint(group, url_prefix="/names")
    return app


def flask_with_a_class(names):
    app = Flask("answer")

    class Names(MethodView):
        def get(self, category):
            found = names.get(category)
            if found is None:
                return jsonify({"detail": f"no category named {category}"}), 404
            raw = request.args.get("limit", "3")
            if not re.fullmatch("0*[1-9][0-9]*", raw):
                return jsonify({"detail": f"limit {raw} is bad"}), 422
            return jsonify(names=found[: int(raw)])

    app.add_url_rule("/names/<string:category>", view_func=Names.as_view("names"))
    return app


ONE = Annotated[int, Query(ge=1)]


def in_fastapi(names, kind=ONE, default=3, tuple_for_a_status=False, named=True, **more):
    app = FastAPI()

    @app.get("/names/{category}")
    def some(category: str, limit: kind = default):
        if not names.get(category) if more.get("falsy") else category not in names:
            if tuple_for_a_status:
                return {"detail": f"no {category}"}, 404
            raise HTTPException(404, f"There is no {category}." if named else None)
        found = names[category]
        if more.get("in_place"):
            del found[limit:]
        return found[:limit] if more.get("bare") else {"names": found[:limit]}

    return app


def fastapi_with(**changes):
    return lambda names: in_fastapi(names, **changes)


def fastapi_with_a_router(names):
    app, router = FastAPI(), APIRouter(prefix="/names")

    async def known(category: str) -> list[str]:
        if category not in names:
            raise HTTPException(404, detail={"unknown": category})
        return names[category]

    class Out(BaseModel):
        names: list[str]

    @router.get("/{category}")
    async def some(found: Annotated[list, Depends(known)], limit: int = Query(3, gt=0)) -> Out:
        return Out(names=found[:limit])

    app.include_router(router)
    return app


def fastapi_by_hand(names):
    app = FastAPI()

    async def some(question: Request):
        category = question.path_params["category"]
        try:
            limit = int(question.query_params.get("limit", "3"))
        except ValueError:
            limit = 0
        if limit < 1:
            return JSONResponse({"detail": "limit?"}, 422)
        if category not in names:
            return JSONResponse({"detail": f"{category} unknown"}, status_code=404)
        return JSONResponse({"names": names[category][:limit]})

    app.add_route("/names/{category}", some)
    return app


def fastapi_with_a_type(names):
    app = FastAPI()

    @app.get("/names/{category}")
    async def some(category: str, limit: PositiveInt = 3):
        try:
            return {"names": names[category][:limit]}
        except KeyError:
            raise HTTPException(404, f"no {category}") from None

    return app


last = {}


def one_dict_for_all(names):
    last.clear()
    last.update(names)
    return in_flask(last)


RIGHT = {
    "6.1": [variant(), greet_by_yield, GreetObject()],
    "6.2": [shouting(), shout_piece_by_piece, shout_in_starlette, ShoutObject()],
    "6.3": [
        (whole, streaming()),
        (whole_in_pieces, ended_with_the_third),
        (WholeObject(), ended_by_hand),
    ],
    "6.4": [
        (in_flask, in_fastapi),
        (flask_with_handlers, fastapi_with_a_router),
        (flask_with_a_class, fastapi_by_hand),
        (in_flask, fastapi_with_a_type),
    ],
}

WRONG = {
    "6.1": [
        (a_text_for_bytes, "breaks the rules of WSGI"),
        (a_number_for_a_status, "breaks the rules of WSGI"),
        (forgets_to_start, "breaks the rules of WSGI"),
        (forgets_to_return, "breaks the rules of WSGI"),
        (an_async_greet, "`async def`"),
        (variant(always="200 OK"), "gives 200, not 404"),
        (variant(decode=False), "decoded as Latin-1"),
        (variant(measure=str), "counts bytes, not letters"),
        (variant(length=False), "has no Content-Length"),
        (variant(allow=None), "no header `Allow: GET`"),
        (variant(allow="GET, HEAD"), "no header `Allow: GET`"),
        (variant(kind=("Content-Type", "text/html")), "the Content-Type is 'text/html'"),
        (variant(kind=("Content-Type", "text/plain")), "the Content-Type is 'text/plain'"),
        (variant(method_first=True), "POST / gives 405, not 404"),
        (variant(nobody=True), "GET /hello/ gives 200, not 404"),
        (variant(head=True), "HEAD /hello/Ada gives 200, not 405"),
        (variant(parts=True), "not 'Hello, a/b!'"),
        (variant(begins="/hello"), "not 'Hello, Ada!'"),
        (knows_the_names, "GET /hello/Grace Hopper gives 404"),
    ],
    "6.2": [
        (http_only, "raised `NotImplementedError`"),
        (a_plain_function, "no `async def`"),
        (shouting(of_reply={"more": True}), "never ends"),
        (shouting(of_reply={"status": 201}), "gives 201, not 200"),
        (shouting(of_text={"whole": False}), "a body in three messages"),
        (shouting(of_text={"strip": True}), "a body in three messages"),
        (shouting(of_text={"direct": True}), "raised `KeyError: 'body'`"),
        (shouting(change=str), "not b'ONE WORD'"),
        (shouting(change=str.title), "not b'ONE WORD'"),
        (shouting(accept=False), "received the wish to connect and then the next message"),
        (shouting(once=True), "closed while its client"),
        (shouting(speak=False), "stays silent"),
        (shouting(close=True), "after the client had left"),
        (shouting(stay=True), "though the client has left"),
        (shouting(others=True), "is to be left alone"),
        (stops_at_an_empty_message, "though the whole body has come"),
        (accepts_too_early, "before it is accepted"),
        (answers_in_bytes, "without a `text`"),
        (answers_lifespan, "is to be left alone"),
        (remembers_all, "a POST without a body"),
        (texts_for_headers, "names and values are bytes"),
        (never_waits, "still running"),
    ],
    "6.3": [
        ((still_short, streaming()), "counts bytes, not letters"),
        ((without_a_length, streaming()), "has no Content-Length"),
        ((without_accents, streaming()), "not all of the text, or another one"),
        ((in_latin, streaming()), "not all of the text, or another one"),
        ((without_the_line_end, streaming()), "not all of the text, or another one"),
        ((a_number_for_a_length, streaming()), "breaks the rules of WSGI"),
        ((whole, streaming(last=False)), "never ends"),
        ((whole, streaming(lines=("one", "two"))), "not the three lines"),
        ((whole, streaming(end="")), "not the three lines"),
        ((whole, streaming(headers=[(b"content-length", b"14")])), "without one"),
        ((whole, streaming(status=206)), "gives 206"),
        ((whole, all_in_one), "each line in a message of its own"),
        ((whole, ends_each_line), "after the answer was over"),
        ((whole, starts_each_line), "one `http.response.start`"),
        ((whole, whole), "no `async def`"),
    ],
    "6.4": [
        ((lambda names: None, in_fastapi), "returns nothing"),
        ((in_flask, in_flask), "returns a Flask"),
        ((flask_with(abort_it=True), in_fastapi), "not in JSON"),
        ((flask_with(reads=int), in_fastapi), "raised `ValueError"),
        ((flask_with(reads=any_float), in_fastapi), "limit=1.5 gives 200, not 422"),
        ((flask_with(reads=isdigit), in_fastapi), "raised `ValueError"),
        ((flask_with(least=0), in_fastapi), "limit=0 gives 200, not 422"),
        ((flask_with(wrap=False), in_fastapi), "which is no JSON object"),
        ((flask_with(default="10"), in_fastapi), "in_flask: GET /names/birds answers"),
        ((flask_with(named=False), in_fastapi), "without the name"),
        ((flask_with(falsy=True), in_fastapi), "in_flask: GET /names/none gives 404"),
        ((flask_with(in_place=True), in_fastapi), "in_flask: GET /names/birds answers"),
        ((flask_with(status=400), in_fastapi), "gives 400, not 422"),
        ((flask_with(key="error"), in_fastapi), "has no `detail`"),
        ((one_dict_for_all, in_fastapi), "in_flask: GET /names/birds?limit=2 answers"),
        ((in_flask, fastapi_with(kind=int)), "limit=0 gives 200, not 422"),
        ((in_flask, fastapi_with(kind=Annotated[float, Query(ge=1)])), "raised `TypeError"),
        ((in_flask, fastapi_with(kind=Annotated[int, Query(ge=1, le=100)])), "limit=1000000"),
        ((in_flask, fastapi_with(default=10)), "in_fastapi: GET /names/birds answers"),
        ((in_flask, fastapi_with(tuple_for_a_status=True)), "gives 200, not 404"),
        ((in_flask, fastapi_with(named=False)), "without the name"),
        ((in_flask, fastapi_with(falsy=True)), "in_fastapi: GET /names/none gives 404"),
        ((in_flask, fastapi_with(bare=True)), "which is no JSON object"),
    ],
}
