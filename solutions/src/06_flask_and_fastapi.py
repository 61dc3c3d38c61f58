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
# **You will be able to** call a web app without a server, say what `await` does, write one API in Flask and in FastAPI,
# and test a claim about them fairly.
#
# **You need** chapters 01 to 03, and a small web app that you have written before, in Flask for example. You need no
# asyncio · **Time** 35 min reading, 25 min exercises

# %% [markdown]
# ## The same photos, twice · 3 min
#
# A [[web framework]] is a library that turns the requests of clients into calls of your functions. We have written one
# photo search twice: [in Flask](../app_snippets/twins/search_flask.py) and
# [in FastAPI](../app_snippets/twins/search_fastapi.py). Both use one collection in Milvus.
#
# The next cell makes the collection and the two apps, and it starts a server for each, in a thread of this notebook. It
# takes some seconds. `serve_wsgi` and `launch` give objects with a `url`.

# %%
from app_snippets.twins import search_fastapi, search_flask
from app_snippets.twins.index import PhotoIndex
from app_snippets.twins.serving import serve_wsgi
from workshop import launch

index = PhotoIndex.build("chapter_06")
flask_app = search_flask.create_app(index)
fastapi_app = search_fastapi.create_app(index)
flask_twin = serve_wsgi(flask_app, "Flask", threads=40)
fastapi_twin = launch(fastapi_app, "FastAPI")

# %%
import httpx
from PIL import Image

from workshop import plots

question = {"text": "things to play music on", "limit": 8}
pictures, titles = [], []
for twin in [flask_twin, fastapi_twin]:
    for hit in httpx.post(f"{twin.url}/search", json=question).json()["hits"]:
        pictures.append(Image.open(index.media(hit["id"])))
        titles.append(f"{twin.name}: {hit['name']} {hit['score']:.2f}")
plots.gallery(pictures, titles)

# %% [markdown]
# The upper row comes from Flask, the lower row from FastAPI. Under each photo stand its name and its score. The photos,
# their order and their scores are the same.

# %% [markdown]
# ## Nine claims · 2 min
#
# So why should anybody change? A well-known article about leaving Flask has this table. We shall test each row that can
# be tested.
#
# | | | FastAPI | Flask |
# | --- | --- | --- | --- |
# | 1 | gateway interface | ASGI | WSGI |
# | 2 | asynchronous | yes | no |
# | 3 | performance | faster | slower |
# | 4 | interactive docs | OpenAPI, ReDoc | none |
# | 5 | data validation | yes | no |
# | 6 | cost of development | lower | higher |
# | 7 | ease of use | lower | higher |
# | 8 | flexibility | lower | higher |
# | 9 | community | smaller | more active |

# %% [markdown]
# ## WSGI: a function that answers · 4 min
#
# A client sends a method such as GET, a path, headers and sometimes a body. It gets back a status, headers and a body.
#
# A *server* reads bytes from the network. A [[gateway interface]] is the rule for how a server calls an app.
#
# [[WSGI]] is the older gateway interface of Python: the server calls a function with a dict, and the function returns the
# body. Before it returns, it gives status and headers to `start_response`, a function of the server.
#
# No server is needed to call it. Our `start_response` is `print`.


# %%
def wsgi(environ, start_response):
    """Greet the path: takes a dict and a function, returns a list of bytes."""
    body = f"Hello, {environ['PATH_INFO']}!".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


wsgi({"PATH_INFO": "/Ada"}, print)

# %% [markdown]
# The first line is what `print` was given: the status, and the headers as pairs of texts. The second line is the body, a
# list of bytes.
#
# **Predict before you run:** can you call our Flask app in the same way? `create_environ` makes a dict with everything
# that a server puts into it.

# %%
from werkzeug.test import create_environ

b"".join(flask_app(create_environ("/health"), print))

# %% [markdown]
# Yes. A Flask app is a WSGI function. This is all that a server knows of Flask.

# %% [markdown]
# ### ✍️ Your turn 6.1 · 6 min: ten lines of WSGI
#
# Write `greet(environ, start_response)`. It returns a list of bytes.
# - GET `/hello/NAME` gives `200 OK` and the body `Hello, NAME!`. NAME is all that follows `/hello/`.
# - Every other method at such a path, HEAD too, gives 405 and the header `Allow: GET`.
# - Every other path is a 404, for all methods. `/hello/` names nobody.
#
# Each answer has a Content-Type, `text/plain; charset=utf-8`, and a Content-Length, the number of bytes of its body. The
# server has decoded the bytes of the path as Latin-1, but they are UTF-8: Zoë must be greeted as Zoë.


# %%
from workshop import check


def greet(environ, start_response):
    """Answer a request: takes a dict and a function, returns a list of bytes."""
    # BEGIN SOLUTION
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    name = path.removeprefix("/hello/")
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    if name == path or name == "":
        status, text = "404 Not Found", "Nothing here."
    elif environ["REQUEST_METHOD"] != "GET":
        status, text = "405 Method Not Allowed", "GET only."
        headers.append(("Allow", "GET"))
    else:
        status, text = "200 OK", f"Hello, {name}!"
    body = text.encode()
    headers.append(("Content-Length", str(len(body))))
    start_response(status, headers)
    return [body]
    # END SOLUTION


# %% tags=["check"]
check("6.1", greet)

# %% [markdown]
# ## What `await` means · 6 min
#
# FastAPI's interface uses two words that you may not know: `async` and `await`. Most of a service's time is waiting: for
# a network, a disk, a database. While one request waits, another one could be worked on.
#
# A [[coroutine]] is a call of a function written with `async def`: work that can stop at certain places and go on
# later. The call alone does not start the work.


# %%
async def boil(what):
    """Wait a tenth of a second, as for a kettle; returns a text."""
    return f"{what} is ready"


tea = boil("tea")
type(tea)

# %% [markdown]
# We got no text but a coroutine: nothing has run so far, and nothing ever will, unless somebody awaits it. The word
# `await` runs a coroutine and gives its result.

# %%
tea.close()  # we throw this one away, and make another
await boil("tea")

# %% [markdown]
# Who lets it run? An [[event loop]] is a loop that runs many tasks in one thread: it lets one task work until that task
# waits for something, and then the next one. This notebook has an event loop, and so a cell may `await`. In a plain
# function `await` is an error.
#
# `await` marks a place where the coroutine may have to wait. If it must, the event loop lets another one work in the
# meantime. We make that visible: each step writes down what it does.

# %%
import asyncio

diary = []


async def cook(what):
    """Put something on the stove, wait a tenth of a second, take it off."""
    diary.append(f"{what} on")
    await asyncio.sleep(0.1)
    diary.append(f"{what} off")


# %% [markdown]
# `asyncio.gather` gives several coroutines to the event loop at once. **Predict before you run:** in which order will
# the four steps stand in the diary?

# %%
diary.clear()
await asyncio.gather(cook("rice"), cook("soup"))
diary

# %% [markdown]
# The soup went on while the rice was on the stove. At its `await` the first coroutine said: *I wait, let others work.*
# Both waited at the same time, and there was one thread only.
#
# **Predict before you run:** the function `stir` takes the same time, but it is a plain function, without `await`. What
# changes?

# %%
import time


def stir():
    """Work for a tenth of a second."""
    time.sleep(0.1)


async def cook_alone(what):
    """Put something on the stove, stir, take it off."""
    diary.append(f"{what} on")
    stir()
    diary.append(f"{what} off")


# %%
diary.clear()
await asyncio.gather(cook_alone("rice"), cook_alone("soup"))
diary

# %% [markdown]
# The soup had to wait for the rice. `stir` kept the thread, and the event loop could not give it to anybody. This
# is called *blocking*; chapter 08 is about it.
#
# Remember three things:
# - `async def` makes a function whose calls are coroutines.
# - `await` runs a coroutine and lets others work while it waits.
# - Between two `await`s nobody else in this event loop works.

# %% [markdown]
# ## ASGI: a coroutine that answers · 4 min
#
# [[ASGI]] is the newer gateway interface of Python: the server awaits a coroutine, which receives and sends messages.
# It gets three things:
# - `scope`, a dict: the kind of connection, the path, the headers;
# - `receive`, a function: `await receive()` gives the next message of the client;
# - `send`, a function: `await send(message)` sends one.
#
# Each message is a dict with a `type`.


# %%
async def asgi(scope, receive, send):
    """Greet the path, with two messages: the start with the headers, and the body."""
    body = f"Hello, {scope['path']}!".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# %% [markdown]
# Again we play the server. Our `receive` knows one message, an empty request, and our `send` prints.


# %%
async def receive_nothing():
    """The only message of a request without a body."""
    return {"type": "http.request", "body": b""}


async def send_to_screen(message):
    """Print a message instead of sending it."""
    print(message)


visit = {"type": "http", "method": "GET", "path": "/Ada", "query_string": b"", "headers": []}
await asgi(visit, receive_nothing, send_to_screen)

# %% [markdown]
# **Predict before you run:** is our FastAPI app such a callable, too?

# %%
await fastapi_app({**visit, "path": "/health"}, receive_nothing, send_to_screen)

# %% [markdown]
# Yes: one message with status and headers, one with the body. A WSGI app gets one request and gives one answer. An ASGI
# app can receive and send in turn, as often as it likes. A [[WebSocket]] is a connection that stays open and over which
# both sides can send at any time. ASGI has messages for it.

# %% [markdown]
# ### ✍️ Your turn 6.2 · 7 min: one callable, two kinds of connection
#
# Write the coroutine function `shout(scope, receive, send)`. Look at `scope["type"]`:
# - `"http"`: answer 200 and the whole body of the request in upper case (ASCII). A message's `body` may be empty or
#   missing, and more messages follow while its `more_body` is true.
# - `"websocket"`: the first message is `websocket.connect`, and you send `websocket.accept`. For each `websocket.receive`
#   send its `text` in upper case, as the `text` of a `websocket.send`. At `websocket.disconnect` end, and send nothing.
# - any other: send nothing, and end (or raise an error).


# %%
async def shout(scope, receive, send):
    """Answer in upper case: takes a dict and two functions, returns nothing."""
    # BEGIN SOLUTION
    if scope["type"] == "websocket":
        await receive()  # the wish to connect
        await send({"type": "websocket.accept"})
        message = await receive()
        while message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})
            message = await receive()
    elif scope["type"] == "http":
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body.upper()})
    # END SOLUTION


# %% tags=["check"]
check("6.2", shout)

# %% [markdown]
# ## Pause
#
# This is a good place for a break. To go on later, from here and without the cells above, run the next cell. It makes the
# collection, the apps and the servers anew, and takes some seconds.

# %% tags=["pause"]
import httpx

from app_snippets.twins import search_fastapi, search_flask
from app_snippets.twins.index import PhotoIndex
from app_snippets.twins.serving import serve_wsgi
from workshop import check, launch, plots

index = PhotoIndex.build("chapter_06")
flask_app = search_flask.create_app(index)
fastapi_app = search_fastapi.create_app(index)
flask_twin = serve_wsgi(flask_app, "Flask", threads=40)
fastapi_twin = launch(fastapi_app, "FastAPI")

# %% [markdown]
# ## Row 1: what a gateway can say · 4 min
#
# We want a service that speaks unasked. In ASGI that takes three messages.


# %%
from websockets.sync.client import connect


async def unasked(scope, receive, send):
    """Open a WebSocket and say one thing without being asked."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "And another thing:"})
        await send({"type": "websocket.close"})


with launch(unasked) as service, connect(f"ws://127.0.0.1:{service.port}") as line:
    print(line.recv())

# %% [markdown]
# **Predict before you run:** a client that wants a WebSocket begins with a GET and these two headers. What will our
# Flask twin answer?

# %%
wish = {"Connection": "Upgrade", "Upgrade": "websocket"}
httpx.get(f"{flask_twin.url}/health", headers=wish).status_code

# %% [markdown]
# 400: the app refuses. WSGI has no way to keep a connection open and to speak in turn. Extensions for Flask, such as
# Flask-Sock, pass by WSGI and use the socket itself.
#
# HTTP/2 is a newer form of HTTP, in which many requests share one connection. **Predict before you run:** can the Flask
# app be served over HTTP/2? *hypercorn* is a server that speaks it.

# %%
from app_snippets.twins.serving import serve_hypercorn

with serve_hypercorn(flask_app, "wsgi") as url:
    async with httpx.AsyncClient(http1=False, http2=True) as client:
        answer = await client.get(f"{url}/health")
answer.http_version

# %% [markdown]
# It can. The form of HTTP is the business of the server, and not of the app. **Row 1 holds.** In practice it means
# WebSockets, and not HTTP/2.

# %% [markdown]
# ### ✍️ Your turn 6.3 · 5 min: break it, fix it: answers that are cut off
#
# The first app loses its last letters. The second one breaks off. Run the four cells: the last ends in an error. Then write two new
# apps, both with status 200:
# - `whole(environ, start_response)`, for WSGI, sends all of `naïve café` and a line end, in UTF-8, with a Content-Length
#   that is right.
# - `ended(scope, receive, send)`, for ASGI, sends the lines `one`, `two`, `three`, each with its line end and each in a
#   message of its own, without a content-length. Then the answer is over.


# %%
def cut(environ, start_response):
    """Lose the last letters: takes a dict and a function, returns a list of bytes."""
    text = "naïve café\n"
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]


# %%
async def endless(scope, receive, send):
    """Send three lines and promise more."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for word in ["one", "two", "three"]:
        body = f"{word}\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})


# %%
from workshop.checks.serving import quiet

with quiet(), serve_wsgi(cut, "cut") as broken:  # quiet keeps back what the server logs
    print(httpx.get(broken.url).content)

# %% tags=["raises-exception"]
with quiet(), launch(endless, "endless") as broken:
    httpx.get(broken.url)


# %%
def whole(environ, start_response):
    """Send one line: takes a dict and a function, returns a list of bytes."""
    # BEGIN SOLUTION
    body = "naïve café\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
    # END SOLUTION


async def ended(scope, receive, send):
    """Send three lines in three messages, and end."""
    # BEGIN SOLUTION
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for word in ["one", "two", "three"]:
        body = f"{word}\n".encode()
        more = word != "three"
        await send({"type": "http.response.body", "body": body, "more_body": more})
    # END SOLUTION


# %% tags=["check"]
check("6.3", whole, ended)

# %% [markdown]
# ## Row 2: asynchronous · 3 min
#
# Is it true that Flask is not asynchronous? A *view* is the function that answers. Flask has taken views with `async def`
# since version 2.0. We build one view, for both frameworks. It counts how many requests are in it at the same moment.

# %%
import asyncio

inside = []
most = {"Flask": 0, "FastAPI": 0}


async def nap(name: str):
    """Sleep without blocking; note how many do so at once."""
    inside.append(name)
    most[name] = max(most[name], len(inside))
    await asyncio.sleep(0.4)
    inside.remove(name)
    return {}


# %% [markdown]
# Flask needs a function that runs a coroutine to its end. The extra `flask[async]` would bring one. We write it
# ourselves, with `asyncio.run`.

# %%
from fastapi import FastAPI
from flask import Flask


def run_to_the_end(view):
    """A plain function that runs the coroutines of `view`."""
    return lambda **given: asyncio.run(view(**given))


flask_naps = Flask("naps")
flask_naps.async_to_sync = run_to_the_end
flask_naps.add_url_rule("/<name>", view_func=nap)  # as the decorator @flask_naps.get does
fastapi_naps = FastAPI(title="naps")
fastapi_naps.add_api_route("/{name}", nap)

# %% [markdown]
# **Predict before you run:** twenty clients ask at once, and Flask's server has four threads. How many requests will be
# in the view at the same moment?

# %%
with serve_wsgi(flask_naps, "naps", threads=4) as slow, launch(fastapi_naps, "naps") as fast:
    async with httpx.AsyncClient(timeout=20) as client:
        await asyncio.gather(*(client.get(f"{slow.url}/Flask") for _ in range(20)))
        await asyncio.gather(*(client.get(f"{fast.url}/FastAPI") for _ in range(20)))
most

# %% [markdown]
# In Flask four, as many as there are threads: each request keeps one, even while it awaits. In FastAPI all twenty: they
# share one event loop.
#
# **Row 2 holds in part.** Flask can await, and one view may wait for several things at once. But each request needs a
# thread of its own.

# %% [markdown]
# ## Rows 4 and 5: docs and validation · 2 min
#
# [[Validation]] is checking whether data that comes in is as it should be. A third version of our service uses Flask with
# the extension flask-openapi3. We send four bad requests to all three: no question at all, a text that is too long, a
# truth value for a limit, and a field whose name is misspelt.

# %%
from app_snippets.twins import search_flask_openapi

third_app = search_flask_openapi.create_app(index)
third_twin = serve_wsgi(third_app, "Flask + openapi3")
twins = [flask_twin, third_twin, fastapi_twin]
bad = [{}, {"text": "x" * 201}, {"text": "cat", "limit": True}, {"text": "cat", "limt": 3}]

# %% [markdown]
# **Predict before you run:** which of the bad requests will slip through? 422 means: your data does not fit.

# %%
for twin in twins:
    statuses = [httpx.post(f"{twin.url}/search", json=body).status_code for body in bad]
    print(f"{twin.name:17}", statuses)

# %% [markdown]
# None. In plain Flask, a person wrote each check by hand. In FastAPI, classes say what is allowed, and the framework
# checks it. From the same classes it makes pages of documentation.

# %%
for twin in twins:
    for page in ["/docs", "/redoc", "/openapi/swagger", "/openapi/redoc"]:
        if httpx.get(f"{twin.url}{page}").is_success:
            print(f"{twin.name:17}", page)

# %% [markdown]
# Plain Flask has no such page. The other two have them, at different addresses. **Rows 4 and 5 hold for Flask as it
# comes.** With one extension they do not hold. *Going deeper*, at the end, tests rows 6 to 9.

# %% [markdown]
# ### ✍️ Your turn 6.4 · 7 min: your API, twice
#
# `in_flask(names)` and `in_fastapi(names)` make an app. The dict `names` is like `{"fish": ["Carp", "Eel"]}`; do not
# change it.
# - GET `/names/fish?limit=1` gives `{"names": ["Carp"]}`: the first `limit` names, or all if there are fewer.
# - `limit` may be each whole number from 1 to a million, and is 3 if it is not given.
# - Limits like `0`, `-1`, `1.5`, `many`, `²`, or nothing after the `=`, give 422.
# - An unknown category gives 404, and its name stands in `detail`.
#
# All these are JSON. 404 and 422 have a `detail` that is not empty.


# %%
from flask import request


def in_flask(names):
    """A Flask app for a dict of lists of texts."""
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
from fastapi import HTTPException, Query


def in_fastapi(names):
    """A FastAPI app for a dict of lists of texts."""
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
# ## Row 3: performance, fairly · 5 min
#
# A *load generator* is a program that sends requests as fast as it gets answers. To be fair, both sides get a server for
# production, 40 threads, the same endpoints and the same clients. The load generator runs in a process of its own, so
# that it takes no time from the servers. First, one run:

# %% tags=["nbval-ignore-output"]
from app_snippets.twins import load

load.run(f"{flask_twin.url}/health", clients=8, seconds=0.3)

# %% [markdown]
# `clients` send at the same time. `per_second` is the number of answers in a second. `p50_ms` is the time in milliseconds
# within which half of the answers came, and `p95_ms` that for 95 of 100. `busy` is the share of its time that the
# generator itself worked: it must stay below 1, or we measure the generator.
#
# We ask three endpoints: `health` does nearly nothing, `search` asks Milvus, `embeddings` turns a text into a vector.

# %%
asked = {
    "health": None,  # a GET, without a body
    "search": '{"item_id": "animals-amphibians-frog"}',
    "embeddings": '{"text": "a big cat"}',
}
plan = []
for what in asked:
    for clients in [1, 8, 32]:
        for twin in [flask_twin, fastapi_twin]:
            plan.append((what, clients, twin))

# %% [markdown]
# Each case is measured twice, once in this order and once backwards, so that no side always comes first. This takes half
# a minute.
#
# **Predict before you run:** which framework gives more answers in a second, and where?

# %%
from tqdm import tqdm

runs = []
for what, clients, twin in tqdm([*plan, *reversed(plan)]):
    run = load.run(f"{twin.url}/{what}", asked[what], clients, seconds=0.3)
    runs.append((twin.name, what, clients, run["per_second"]))

# %% tags=["nbval-ignore-output"]
plots.speeds(runs)

# %% [markdown]
# Each panel is an endpoint, with its own scale. The height of a bar is the number of answers in a second, the mean of two
# runs. The black dots are the runs: where those of two bars overlap, take the bars for equal.
#
# With *one* client, no request meets another: what counts is the time of a single answer. With 32 clients, requests
# wait in a queue. From 1 to 32 no bar grows much, so 32 clients share about as many answers: each waits
# much longer.

# %% [markdown]
# On our machines no side is ahead everywhere. In a longer run on another machine (`make bench-web`), Flask answered 129
# searches a second of one client, and FastAPI 88. With 8 clients they were equal, and with 32 FastAPI was ahead. *Going
# deeper* measures one part of the difference, the handing over to a thread.
#
# The endpoints differ far more than the frameworks do: `health` answers ten to thirty times as often as `search`. **Row 3 does
# not hold** as it stands.

# %% [markdown]
# ## What we saw · 2 min
#
# Both frameworks make callables behind a gateway. WebSockets, and one event loop for many requests, need ASGI. HTTP/2,
# async views, validation and documentation are there for Flask, too. Time goes where the endpoint works.
#
# **Recall:** What does a WSGI app return? What happens at an `await`? Why must a load generator have a process of its
# own?
#
# <details><summary>Answers</summary>
#
# - The body: an iterable of bytes. Status and headers it gives to `start_response`.
# - The coroutine may have to wait. Then the event loop lets another one work.
# - In the servers' process it would take working time from them.
#
# </details>
#
# **On your own data:** give `load.run` the address of a service of yours.
#
# **Next:** [07 · Types are the contract](07_types.ipynb) · **Before:** [05 · Pipelines](05_towhee.ipynb)

# %% [markdown]
# ## Going deeper
#
# About 25 minutes. No later chapter needs it. The cells need those from the pause on.
#
# ### Rows 6 and 7: cost and ease
#
# First have a look at the same endpoint in Flask and in FastAPI.

# %%
import inspect

print(inspect.getsource(search_flask.search))

# %%
print(inspect.getsource(search_fastapi.SearchRequest))

# %% [markdown]
# In Flask you read each check. In FastAPI the class holds them, and `search` begins with the search.
#
# **Predict before you run:** which version has the fewest lines of code? Comments and empty lines do not count.

# %%
from app_snippets.twins import lines

counts = {
    "Flask": lines.count(search_flask),
    "Flask + openapi3": lines.count(search_flask_openapi),
    "FastAPI": lines.count(search_fastapi),
}
plots.lines_of_code(counts)

# %% [markdown]
# Each bar is a version, and its colours are kinds of code. The number at its end is the sum. FastAPI has shorter
# endpoints, but it needs *models*, the classes that describe the data. Without documentation, Flask takes 79 lines and
# FastAPI 84. With documentation on both sides, it is 90 against 84.
#
# **Row 6 does not hold** as it stands: the differences are small, and lines are not hours. **Row 7 stays open:** no cell
# can measure ease. Our opinion is that Flask is easier to begin with, for pages and forms.

# %% [markdown]
# ### Rows 8 and 9: flexibility and community
#
# A view in Flask may return a text, a pair of body and status, or even another WSGI app. **Predict before you run:** what
# does FastAPI make of a pair?


# %%
def created():
    """A body, and the status 201: *created*."""
    return {"name": "owl"}, 201


loose = Flask("loose")
loose.add_url_rule("/", view_func=created)
typed = FastAPI(title="typed")
typed.add_api_route("/", created)

# %%
with serve_wsgi(loose) as flexible, launch(typed) as strict:
    for service in [flexible, strict]:
        answer = httpx.get(service.url)
        print(service.name, answer.status_code, answer.json())

# %% [markdown]
# Flask took 201 for the status. FastAPI took the pair for data: its status is 200, and the number 201 stands in the body.
# **Row 8 holds here.** **Row 9 stays open:** a notebook without the internet cannot count a community.
#
# ### What a client says first
#
# We listen with a bare [[socket]], which is a program's end of a network connection, and never answer. The client gives
# up after 0.3 seconds.

# %%
import socket
from contextlib import suppress


def first_words(**protocol):
    """The first 20 bytes that a client sends; `protocol` goes to httpx."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with httpx.Client(timeout=0.3, **protocol) as client, suppress(httpx.TimeoutException):
            client.get(f"http://127.0.0.1:{port}/health")
        return listener.accept()[0].recv(20)


# %%
print(first_words(http1=True))
print(first_words(http1=False, http2=True))

# %% [markdown]
# HTTP/1.1 sends a request in plain words. HTTP/2 begins with a line that no older server takes for a request. After it
# come numbered pieces in binary form, and so the answers of many requests can share a connection.
#
# **Predict before you run:** how many connections do twenty requests at once need? The app `noting` stands around our
# app and notes each client's address.

# %%
addresses = set()


async def noting(scope, receive, send):
    """Note who asks, then let the app answer; an app around an app is called middleware."""
    addresses.add(scope.get("client"))
    await fastapi_app(scope, receive, send)


# %%
with serve_hypercorn(noting) as url:
    for protocol in [{"http1": True}, {"http1": False, "http2": True}]:
        addresses.clear()
        async with httpx.AsyncClient(**protocol) as client:
            await asyncio.gather(*(client.get(f"{url}/health") for _ in range(20)))
        print(protocol, len(addresses))

# %% [markdown]
# HTTP/1.1 needs twenty connections, because a connection carries one request at a time. HTTP/2 needs one.
#
# ### What a thread costs
#
# FastAPI runs an `async def` endpoint in its event loop. It hands a plain `def` endpoint to another thread and takes the
# result back, so that it may block. Flask is in a thread from the start. We count the *work*: the processor time of this
# process for each request, by one client, with an endpoint that does nothing.


# %%
def nothing():
    """A plain endpoint that does nothing."""
    return {}


async def nothing_async():
    """The same, as a coroutine."""
    return {}


# %%
bare_flask = Flask("bare")
bare_flask.add_url_rule("/", view_func=nothing)
bare_def = FastAPI(title="def")
bare_def.add_api_route("/", nothing)
bare_async = FastAPI(title="async def")
bare_async.add_api_route("/", nothing_async)

# %%
import time


def work(url, path="", body=None):
    """Milliseconds of processor time of this process for a request: the lesser of two runs."""
    found = []
    for _ in range(2):
        begun = time.process_time()
        run = load.run(f"{url}/{path}", body, clients=1, seconds=0.3)
        spent = time.process_time() - begun
        found.append(1000 * spent / run["answered"])
    return min(found)


# %%
costs = {}
with serve_wsgi(bare_flask, "bare") as a, launch(bare_def) as b, launch(bare_async) as c:
    costs["Flask"] = work(a.url)
    costs["FastAPI def"] = work(b.url)
    costs["FastAPI async def"] = work(c.url)

# %% tags=["nbval-ignore-output"]
for name, cost in costs.items():
    ratio = cost / costs["FastAPI async def"]
    print(f"{name:18} {ratio:.1f}")

# %% [markdown]
# The numbers are ratios: how many times the work of `async def`. The two FastAPI apps differ in nothing but the handing
# over, so it is what makes the difference: in our runs 1.6 to 1.9 times the work. Flask lay between them, or near
# `async def`.
#
# Where an endpoint blocks, the thread is well spent: without it, one search would keep all others waiting. Chapter 08
# shows that.

# %% [markdown]
# ### Where the work goes
#
# The same counting separates server, framework and endpoint. An app by hand, without a framework, shows what the server
# costs. The rest of `health` is the framework's, and the rest of the other two is the endpoint's.


# %%
def by_hand_wsgi(environ, start_response):
    """The least that a WSGI app can do."""
    start_response("200 OK", [("Content-Length", "2")])
    return [b"{}"]


async def by_hand_asgi(scope, receive, send):
    """The least that an ASGI app can do."""
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


# %%
with serve_wsgi(by_hand_wsgi) as a, launch(by_hand_asgi) as b:
    servers = {"Flask": work(a.url), "FastAPI": work(b.url)}
shares = {}
for twin in [flask_twin, fastapi_twin]:
    server = servers[twin.name]
    health = work(twin.url, "health")
    search = work(twin.url, "search", '{"item_id": "animals-amphibians-frog"}')
    embedding = work(twin.url, "embeddings", '{"text": "a big cat"}')
    shares[twin.name] = (server, health, search, embedding)

# %% tags=["nbval-ignore-output"]
plots.work_per_request(shares)

# %% [markdown]
# Each bar is the work for one request, in milliseconds. Blue is the server, orange the framework, green the endpoint. In
# `health` framework and server are all there is. In the other two the endpoint outweighs both.
#
# How much of a search is the handing over?

# %% tags=["nbval-ignore-output"]
hand_over = costs["FastAPI def"] - costs["FastAPI async def"]
whole_search = shares["FastAPI"][2]
times = whole_search / shares["Flask"][2]
share = hand_over / whole_search
print(f"The work of FastAPI's search is {times:.2f} times that of Flask's.")
print(f"The share of the handing over is {share:.0%}.")

# %% [markdown]
# The handing over is a few hundredths of a search. What else makes one side slower in some runs, no cell of ours shows.
#
# `make bench-web`, in a terminal, does these measurements at length, with Milvus Lite in a process of its own.

# %% [markdown]
# ### Which extensions exist today
#
# For Flask: *flask-openapi3* and *APIFlask* bring validation and documentation, *Flask-Sock* WebSockets. *Quart* is
# Flask's interface on ASGI. *gevent* has threads that cost little, and so many requests can wait. For FastAPI:
# `uvicorn[standard]` has a faster event loop and a faster reader of HTTP, both written in C.

# %% [markdown]
# At last we stop what still runs.

# %%
for twin in [flask_twin, third_twin, fastapi_twin]:
    twin.stop()
