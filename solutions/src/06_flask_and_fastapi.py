# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · One search API, twice
#
# *Part II · Services*
#
# **You will be able to** call a web app without a server, write one API in Flask and in FastAPI, measure
# a claim about them fairly, and say which claims hold.
#
# **You need** chapters 01 to 03, no web framework · **Time** 25 min reading, 25 min exercises
#
# ## Where we are going
#
# One photo search over one collection, written twice: [in Flask](../app_snippets/twins/search_flask.py) and
# [in FastAPI](../app_snippets/twins/search_fastapi.py): web *frameworks*, which turn requests into calls.

# %%
import asyncio
import os

import httpx
from fastapi import FastAPI, HTTPException, Query
from flask import Flask, request
from PIL import Image

from app_snippets.twins import lines, load, search_fastapi, search_flask, search_flask_openapi
from app_snippets.twins.index import PhotoIndex
from app_snippets.twins.serving import serve_hypercorn, serve_wsgi
from workshop import check, launch, plots

os.environ["NO_PROXY"] = "127.0.0.1"  # what we call is on this machine
index = PhotoIndex.build("chapter_06")

# %%
flask_app, fastapi_app = search_flask.create_app(index), search_fastapi.create_app(index)
twins = {"Flask": serve_wsgi(flask_app, "Flask"), "FastAPI": launch(fastapi_app, "FastAPI")}
pictures, titles = [], []
for name, twin in twins.items():
    question = {"text": "things to play music on", "limit": 8}
    for hit in httpx.post(f"{twin.url}/search", json=question).json()["hits"]:
        pictures.append(Image.open(index.media(hit["id"])))
        titles.append(f"{name}: {hit['name']} {hit['score']:.2f}")
plots.gallery(pictures, titles)

# %% [markdown]
# The same photos in the same order. So why change? A well-known article on leaving Flask gives this table:
#
# | | FastAPI | Flask |
# | --- | --- | --- |
# | gateway interface | ASGI | WSGI |
# | asynchronous | yes | no |
# | performance | faster | slower |
# | interactive docs | OpenAPI, ReDoc | none |
# | data validation | yes | no |
# | cost of development | lower | higher |
# | ease of use | lower | higher |
# | flexibility | lower | higher |
# | community | smaller | more active |
#
# We shall test each row.

# %% [markdown]
# ## Row 1: the gateway
#
# A client sends method, path, headers, perhaps a body; back come *status* (2xx fine, 4xx your fault), headers,
# body. A *server* reads the bytes and calls the app; how, is the *gateway interface*. **WSGI** (2003):
# a function, called once a request with a dict. It hands status and headers to `start_response` and returns the body.
#
# Below, an app and no server; `print` is our `start_response`. **Predict before you run:** can you call the Flask
# twin so?

# %%
from werkzeug.test import create_environ  # a dict with all that a server puts into it


def wsgi(environ, start_response):
    body = f"Hello, {environ['PATH_INFO']}!".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


print(wsgi({"PATH_INFO": "/Ada"}, print))
print(*flask_app(create_environ("/health"), print))

# %% [markdown]
# It can: this is all that a server knows of Flask. The status, the headers, an iterable of bytes.
#
# ### ✍️ Your turn 6.1 · 6 min: ten lines of WSGI
#
# `greet(environ, start_response)`: GET `/hello/NAME` gives 200 and `Hello, NAME!` as `text/plain` in UTF-8;
# another method there gives 405 with the header `Allow: GET`; everything else is a 404. `/hello/` names
# nobody. Give each answer its Content-Type and Content-Length. Zoë calls too: `PATH_INFO` holds the bytes of the path
# decoded as Latin-1.


# %%
def greet(environ, start_response):
    # BEGIN SOLUTION
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    status, text, more = "404 Not Found", "Nothing here.", []
    if path.startswith("/hello/") and path != "/hello/":
        status, text = "200 OK", f"Hello, {path.removeprefix('/hello/')}!"
        if environ["REQUEST_METHOD"] != "GET":
            status, text, more = "405 Method Not Allowed", "GET only.", [("Allow", "GET")]
    body = text.encode()
    kind = ("Content-Type", "text/plain; charset=utf-8")
    start_response(status, [kind, ("Content-Length", str(len(body))), *more])
    return [body]
    # END SOLUTION


# %% tags=["check"]
check("6.1", greet)

# %% [markdown]
# **ASGI** (version 3, 2019) is the same idea for `async`. The app gets a `scope`, which says what kind of connection
# this is, and two functions to await, as often as it likes: `receive` a message, `send` a message. (`await`
# lets others work: chapter 08.)
#
# Again we play the server, with a list for a network.


# %%
async def asgi(scope, receive, send):
    body = f"Hello, {scope['path']}!".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def call(app, path):
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    inbox, sent = [{"type": "http.request"}], asyncio.Queue()
    await app(scope, lambda: asyncio.sleep(0, inbox.pop()), sent.put)
    return [sent.get_nowait() for _ in range(sent.qsize())]


print(*await call(asgi, "/Ada"), *await call(fastapi_app, "/health"), sep="\n")

# %% [markdown]
# FastAPI is such a callable. A WSGI app gives one answer, maybe in pieces; an ASGI app may listen and
# speak in turn: a chat.
#
# ### ✍️ Your turn 6.2 · 7 min: one callable, two kinds of connection
#
# `shout(scope, receive, send)` answers `http` with 200 and the request's body in upper case (ASCII); a body may come
# in several messages. On a `websocket` it answers each text in upper case until the client leaves.
# Other kinds of connection it leaves alone.


# %%
async def shout(scope, receive, send):
    # BEGIN SOLUTION
    if scope["type"] == "websocket":
        await receive()  # the wish to connect
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"].upper()})
    elif scope["type"] == "http":
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": (body + message["body"]).upper()})
    # END SOLUTION


# %% tags=["check"]
check("6.2", shout)

# %% [markdown]
# ## On the wire
#
# The server is a choice of its own: *waitress* serves WSGI, *uvicorn* ASGI, *hypercorn* both, over HTTP/2
# too. Here, each runs in a thread ([ten lines](../app_snippets/twins/serving.py)).
#
# What does a client say first? We listen with a bare socket.


# %%
import socket
from contextlib import suppress


def first_words(**protocol):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with httpx.Client(timeout=0.3, **protocol) as client, suppress(httpx.TimeoutException):
            client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/health")
        return listener.accept()[0].recv(20)


over = {"HTTP/1.1": {"http1": True}, "HTTP/2": {"http1": False, "http2": True}}
for name, protocol in over.items():
    print(name, first_words(**protocol))

# %% [markdown]
# HTTP/1.1 sends a request in plain words. HTTP/2 sends a *preface* that no old server mistakes for a
# request, then binary frames, numbered so that many requests share a connection.
#
# **Predict before you run:** 20 requests at once: how many connections? And can Flask, WSGI and all, be
# served over HTTP/2?

# %%
clients = set()


async def noting(scope, receive, send):  # ASGI around ASGI: all middleware is like this
    clients.add(scope.get("client"))
    await fastapi_app(scope, receive, send)


with serve_hypercorn(noting) as fast, serve_hypercorn(flask_app, "wsgi") as flask:
    for name, protocol in over.items():
        clients.clear()
        async with httpx.AsyncClient(**protocol) as client:
            await asyncio.gather(*(client.get(f"{fast}/health") for _ in range(20)))
            answer = await client.get(f"{flask}/health")
        print(f"{name:8} FastAPI: {len(clients):2} connections · Flask: {answer.http_version}")

# %% [markdown]
# HTTP/2 needs one connection instead of twenty. And Flask speaks it as well: the protocol is the
# *server's* business. What a gateway cannot express is another matter.
#
# **Predict before you run:** we ask for a WebSocket, first where an ASGI app wants to speak unasked, then at the
# Flask twin. What does each say?

# %%
from websockets.sync.client import connect


async def unasked(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "And another thing:"})
        await send({"type": "websocket.close"})


with launch(unasked) as service, connect(f"ws://127.0.0.1:{service.port}") as line:
    print("ASGI:", line.recv())
wish = {"Connection": "Upgrade", "Upgrade": "websocket"}
print("WSGI:", httpx.get(f"{twins['Flask'].url}/health", headers=wish).status_code)

# %% [markdown]
# WSGI has no word for it: a GET comes, and Flask's router, seeing the header, refuses: 400. Extensions go
# around WSGI, straight to the socket.
#
# **Row 1 holds.** In practice it means WebSockets, not HTTP/2.
#
# ### ✍️ Your turn 6.3 · 5 min: break it, fix it, answers that are cut off
#
# One answer loses its last letters, the other promises more and breaks off. See it, then write `whole` (WSGI) and
# `ended` (ASGI, still line by line), which send everything.


# %%
def cut(environ, start_response):
    text = "naïve café\n"
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]


async def endless(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for line in ("one", "two", "three"):
        body = f"{line}\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})


# %%
import logging

for name in ("waitress", "uvicorn.error"):
    logging.getLogger(name).disabled = True  # they warn in their logs; we look from outside
for service in (serve_wsgi(cut), launch(endless)):
    with service:
        try:
            print(httpx.get(service.url).content)
        except httpx.RemoteProtocolError as error:
            print(error)


# %%
# BEGIN SOLUTION
def whole(environ, start_response):
    body = "naïve café\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def ended(scope, receive, send):
    await endless(scope, receive, send)
    await send({"type": "http.response.body", "body": b""})


# END SOLUTION

# %% tags=["check"]
check("6.3", whole, ended)

# %% [markdown]
# ## Row 2: asynchronous
#
# "Flask: no" is dated: since 2.0 a *view* (the function that answers) may be `async def`. (The extra
# `flask[async]` brings the converter; `asyncio.run` does it here.) **Predict before you run:** 20 clients at once, a view that
# sleeps. How many of them are in the view at the same moment, if waitress has 4 threads?

# %%
naps = {"Flask": Flask("naps"), "FastAPI": FastAPI(title="naps")}
naps["Flask"].async_to_sync = lambda view: lambda **given: asyncio.run(view(**given))
inside, most = [], {}


@naps["Flask"].get("/<name>")
@naps["FastAPI"].get("/{name}")
async def nap(name: str):
    inside.append(name)
    most[name] = max(most.get(name, 0), len(inside))
    await asyncio.sleep(0.4)
    inside.remove(name)
    return {}


# %%
with serve_wsgi(naps["Flask"], threads=4) as flask, launch(naps["FastAPI"]) as fast:
    async with httpx.AsyncClient(timeout=20) as client:
        for name, service in {"Flask": flask, "FastAPI": fast}.items():
            await asyncio.gather(*(client.get(f"{service.url}/{name}") for _ in range(20)))
            print(f"{name}: {most[name]} at once")

# %% [markdown]
# One function serves both, and Flask runs it: one request may await many things at once. But each keeps a thread,
# and the fifth client waits. FastAPI has one loop for all. **Row 2 holds in part:** Flask has async views, a
# thread each. (*Quart* is Flask on ASGI; *gevent*: cheap threads.)
#
# ## Rows 4 and 5: docs and validation
#
# How two twins check a search; a third uses flask-openapi3. **Predict before you run:** which of four
# bad requests slip through?

# %%
import inspect

print(inspect.getsource(search_flask.search), inspect.getsource(search_fastapi.SearchRequest))
third = search_flask_openapi.create_app(index)
twins["Flask + openapi3"] = serve_wsgi(third, "Flask + openapi3")
bad = [{}, {"text": "x" * 201}, {"text": "cat", "limit": True}, {"text": "cat", "limt": 3}]
pages = ["/openapi.json", "/docs", "/redoc", "/openapi/swagger", "/openapi/redoc"]
for name, twin in twins.items():
    with httpx.Client(base_url=twin.url, follow_redirects=True) as client:
        refused = [client.post("/search", json=body).status_code for body in bad]
        found = [page for page in pages if client.get(page).is_success]
    print(f"{name:17}", *refused, "|", *found)

# %% [markdown]
# None. All three pass one suite of tests, `true` as a limit included, which Python takes for the number 1. In
# plain Flask a person writes that check; in the others, asks for it: `strict=True`.
#
# **Rows 4 and 5 hold for Flask as it comes,** no longer with one extension, offline pages included. (Its JSON
# is at `/openapi/openapi.json`.)
#
# ## Row 6: cost of development
#
# **Predict before you run:** which twin has the fewest lines of code, and by how much?

# %%
import matplotlib.pyplot as plt

modules = [search_flask, search_flask_openapi, search_fastapi]
counts, left = [lines.count(module) for module in modules], [0, 0, 0]
names = ["Flask", "Flask + openapi3", "FastAPI"]
_, ax = plt.subplots(figsize=(8, 2.4))
for kind in lines.KINDS:
    width = [count[kind] for count in counts]
    ax.bar_label(ax.barh(names, width, left=left, label=kind), fmt="%d", label_type="center")
    left = [a + b for a, b in zip(left, width, strict=True)]
ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
plt.show()
print("lines of code:", dict(zip(names, left, strict=True)))

# %% [markdown]
# FastAPI's models take the room that its endpoints save; but they check, document, say what
# goes out. **Row 6 does not hold:** 68 lines against 71; with documentation, 79 against 71, a little. Lines are not hours.
# **Row 7 stays open:** no cell can measure it. Our opinion: for pages and forms Flask has less to learn first.
#
# ## Rows 8 and 9: flexibility and community
#
# **Predict before you run:** a view may return three things. Who makes what of them?

# %%
from importlib.metadata import metadata

views = {"text": lambda: "hi", "pair": lambda: ({"id": 1}, 201), "WSGI app": lambda: wsgi}
loose, typed = Flask("loose"), FastAPI(title="typed")
for what, view in views.items():
    loose.add_url_rule(f"/{what}", what, view)
    typed.add_api_route(f"/{what}", view)
with serve_wsgi(loose) as flask, launch(typed) as fast:
    for what in views:
        got = [httpx.get(f"{service.url}/{what}") for service in (flask, fast)]
        print(f"{what:9}", *(f"{answer.status_code} {answer.text.strip():18}" for answer in got))
for name in ("flask", "fastapi"):
    print(name, *[c for c in metadata(name).get_all("Classifier") if "Status" in c])

# %% [markdown]
# Flask takes what fits, even an app; FastAPI made data of your 201. **Row 8 holds
# here; row 9 stays open:** offline, packages only speak of themselves.
#
# ### ✍️ Your turn 6.4 · 7 min: your API, twice
#
# `in_flask(names)` and `in_fastapi(names)` make an app of a dict like `{"fish": ["Carp", "Eel"]}`. GET
# `/names/fish?limit=1` gives `{"names": ["Carp"]}`; `limit` is 3 by default. Unknown category: 404, its `detail` names
# it. A `limit` that is no whole number from 1: 422 with `detail`. All JSON.


# %%
def in_flask(names):
    app = Flask("names")
    # BEGIN SOLUTION

    @app.get("/names/<category>")
    def some(category):
        if category not in names:
            return {"detail": f"There is no category {category}."}, 404
        limit = request.args.get("limit", "3")
        if not limit.isdecimal() or int(limit) < 1:
            return {"detail": "limit: give a whole number from 1."}, 422
        return {"names": names[category][: int(limit)]}

    # END SOLUTION
    return app


# %%
def in_fastapi(names):
    app = FastAPI(title="Names")
    # BEGIN SOLUTION

    @app.get("/names/{category}")
    def some(category: str, limit: int = Query(3, ge=1)):
        if category not in names:
            raise HTTPException(404, f"There is no category {category}.")
        return {"names": names[category][:limit]}

    # END SOLUTION
    return app


# %% tags=["check"]
check("6.4", in_flask, in_fastapi)

# %% [markdown]
# ## Row 3: performance, fairly
#
# Servers for production on both sides, the same threads, endpoints and clients; a load generator in another
# process; a warm-up; each run twice, in both orders. First: how fast is the generator, if a server does
# nothing? Then three endpoints: one that is trivial, one that searches Milvus, one that encodes a text.
#
# **Predict before you run:** which framework is faster, where, and by how much? (15 s)

# %%
import time

import numpy as np
from tqdm import tqdm

asked = {"health": None, "search": '{"item_id": "animals-amphibians-frog"}'}
asked["embeddings"] = '{"text": "a big cat"}'
with load.serve_echo() as url:
    best = load.run(url, clients=8, seconds=0.4)["per_second"]
servers = {"WSGI alone": serve_wsgi(wsgi, threads=40), "ASGI alone": launch(asgi, "asgi")}
servers["Flask"] = serve_wsgi(flask_app, "Flask", threads=40)  # as many as FastAPI has
servers["FastAPI"] = launch(fastapi_app, "FastAPI")
plan = [(name, what, 8) for what in asked for name in servers if what == "health" or name in twins]
plan += [(name, "health", clients) for clients in (1, 32) for name in ("Flask", "FastAPI")]

# %%
runs = {case: [] for case in plan}
for name, what, clients in tqdm(plan + plan[::-1]):
    before = time.process_time()  # of this process, in which all four are served
    run = load.run(f"{servers[name].url}/{what}", asked[what], clients, seconds=0.4)
    run["cpu"] = 1000 * (time.process_time() - before) / run["answered"]
    runs[name, what, clients].append(run)


# %% tags=["nbval-ignore-output"]
def mean(key, *case):
    return sum(run[key] for run in runs[case]) / len(runs[case])


print(f"{'clients':>31}{'req/s':>8}{'run by run':>14}{'p50':>7}{'p95':>7}{'p99 ms':>8}")
for case in plan:
    each = " ".join(f"{run['per_second']:.0f}" for run in runs[case])
    times = "".join(f"{mean(key, *case):7.1f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
    name, what, clients = case
    print(f"{name:12}{what:12}{clients:7}{mean('per_second', *case):8.0f}{each:>14}{times}")
faster = best / max(mean("per_second", *case) for case in plan)
print(f"the load generator alone: {best:.0f} req/s, {faster:.1f} times the fastest")
for service in [*twins.values(), *servers.values()]:
    service.stop()

# %%
parts, costs, left = ("server", "framework", "endpoint"), {}, 0
for name, gate in (("FastAPI", "ASGI alone"), ("Flask", "WSGI alone")):
    server, trivial = mean("cpu", gate, "health", 8), mean("cpu", name, "health", 8)
    for what in reversed(asked):
        rest = max(mean("cpu", name, what, 8) - trivial, 0)
        costs[f"{name} · {what}"] = server, trivial - server, rest
plt.figure(figsize=(8, 3))
for part, width in zip(parts, np.transpose([*costs.values()]), strict=True):
    plt.barh(list(costs), width, left=left, label=part)
    left = left + width
plt.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), title="ms of work a request")
plt.show()

# %% [markdown]
# The picture counts work. Where an endpoint does nothing, framework and server are all there is: a fraction of a
# millisecond on either side. (FastAPI's `health` is an `async def`; a `def` pays for a thread too.) A search
# or an encoding costs more. A difference smaller than that of two runs is none.
#
# **Row 3 does not hold** as it stands. (`uvicorn[standard]` has faster parts in C. `make bench-web` gives Milvus Lite a
# process of its own.)

# %% [markdown]
# ## What we saw
#
# Both are callables behind a gateway. WebSockets, one loop for many, need ASGI; HTTP/2, async views, validation
# and docs Flask can have too. Time goes where the endpoint works. FastAPI's own is types.
#
# **Recall:** What does a WSGI app return? Who decides on HTTP/2? Why must a load generator have a process of its own?
#
# **On your own data:** give `load.run` the address of a service of yours.
#
# **Next:** [07 · Types are the contract](07_types.ipynb) · **Before:** [05 · Pipelines](05_towhee.ipynb)
