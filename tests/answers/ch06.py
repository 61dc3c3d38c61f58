"""Planted wrong answers of chapter 06: each must be caught, and named by its mistake."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from flask import Flask, abort, request

# --- 6.1


def greeting(
    environ, start_response, *, decode=True, allow=True, measure=len, always=None, returns=list
):
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if decode:
        path = path.encode("latin-1").decode()
    name = path.removeprefix("/hello/")
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    status, text = "200 OK", f"Hello, {name}!"
    if name == path or not name:
        status, text = "404 Not Found", "not here"
    elif method != "GET":
        status, text = "405 Method Not Allowed", "no"
        headers += [("Allow", "GET")] if allow else []
    body = text.encode()
    length = len(text) if measure is str else len(body)
    start_response(always or status, [*headers, ("Content-Length", str(length))])
    return returns([body])


def variant(**changes):
    def greet(environ, start_response):
        return greeting(environ, start_response, **changes)

    return greet


def a_text_for_bytes(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["Hello, Ada!"]


def a_number_for_a_status(environ, start_response):
    start_response(200, [("Content-Type", "text/plain")])
    return [b"Hello, Ada!"]


# --- 6.2


async def text_of(receive, whole=True):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = whole and message.get("more_body", False)
    return body.decode()


async def reply(send, text, more=False):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})


async def line(receive, send, *, accept=True, once=False, speak=True, change=str.upper):
    await receive()
    if accept:
        await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if speak:
            await send({"type": "websocket.send", "text": change(message["text"])})
        if once:
            await send({"type": "websocket.close"})
            return


def shouting(whole=True, change=str.upper, **of_line):
    async def shout(scope, receive, send):
        if scope["type"] == "websocket":
            await line(receive, send, **of_line)
        elif scope["type"] == "http":
            await reply(send, change(await text_of(receive, whole)))
        else:
            raise NotImplementedError

    return shout


async def never_ends(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await reply(send, (await text_of(receive)).upper(), more=True)


async def http_only(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await reply(send, (await text_of(receive)).upper())


# --- 6.3


def whole(environ, start_response):
    body = "naïve café\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def still_short(environ, start_response):
    text = "naïve café\n"
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]


def without_a_length(environ, start_response):
    start_response("200 OK", [])
    return iter(["naïve ".encode(), "café\n".encode()])


def streaming(lines=("one", "two", "three"), last=True, headers=()):
    async def ended(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        for text in lines:
            body = f"{text}\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if last:
            await send({"type": "http.response.body", "body": b""})

    return ended


# --- 6.4


def in_flask(names, problem=True, check=True, least=1, wrap=True, default=3):
    app = Flask("wrong")

    @app.get("/names/<category>")
    def some(category):
        limit = request.args.get("limit", str(default))
        if category not in names:
            if not problem:
                abort(404)
            return {"detail": f"no {category}"}, 404
        if check and (not limit.isdecimal() or int(limit) < least):
            return {"detail": "limit: a whole number"}, 422
        found = names[category][: int(limit)]
        return {"names": found} if wrap else found

    return app


def in_fastapi(names, least=1, tuple_for_a_status=False, named=True):
    app = FastAPI()

    @app.get("/names/{category}")
    def some(category: str, limit: Annotated[int, Query(ge=least)] = 3):
        if category in names:
            return {"names": names[category][:limit]}
        if tuple_for_a_status:
            return {"detail": f"no {category}"}, 404
        raise HTTPException(404, f"There is no {category}." if named else None)

    return app


WRONG = {
    "6.1": [
        (a_text_for_bytes, "breaks the rules of WSGI"),
        (a_number_for_a_status, "breaks the rules of WSGI"),
        (variant(always="200 OK"), "gives 200, not 404"),
        (variant(decode=False), "paths come as Latin-1"),
        (variant(measure=str), "Zo"),
        (variant(allow=False), "does not say with `Allow`"),
    ],
    "6.2": [
        (http_only, "WebSocket is not opened"),
        (never_ends, "breaks off"),
        (shouting(whole=False), "several messages"),
        (shouting(change=str), "comes back as"),
        (shouting(accept=False), "is not opened"),
        (shouting(once=True), "closes while its client"),
        (shouting(speak=False), "stays silent"),
    ],
    "6.3": [
        ((still_short, streaming()), "still not all of it"),
        ((without_a_length, streaming()), "does not say how long"),
        ((whole, streaming(last=False)), "breaks off"),
        ((whole, streaming(lines=("one", "two"))), "not the three lines"),
        ((whole, streaming(headers=[(b"content-length", b"14")])), "stay a stream"),
    ],
    "6.4": [
        ((lambda names: None, in_fastapi), "returns nothing"),
        ((lambda n: in_flask(n, problem=False), in_fastapi), "not in JSON"),
        ((lambda n: in_flask(n, check=False), in_fastapi), "gives 500, not 422"),
        ((lambda n: in_flask(n, least=0), in_fastapi), "limit=0 gives 200, not 422"),
        ((lambda n: in_flask(n, wrap=False), in_fastapi), "which is no JSON object"),
        ((lambda n: in_flask(n, default=10), in_fastapi), "in_flask: GET /names/fish answers"),
        ((in_flask, lambda n: in_fastapi(n, least=0)), "limit=0 gives 200, not 422"),
        ((in_flask, lambda n: in_fastapi(n, tuple_for_a_status=True)), "gives 200, not 404"),
        ((in_flask, lambda n: in_fastapi(n, named=False)), "names the category"),
    ],
}
