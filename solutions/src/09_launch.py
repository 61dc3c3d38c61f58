# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · Launch a service from a cell
#
# *Part II · Services*
#
# **You will be able to** run a web service inside a notebook, explain why the obvious way fails, follow a long job
# over HTTP, and tell a failure from a success by its status.
#
# **You need** chapters 03 and 06 to 08 · **Time** 37 min reading, 23 min exercises

# %% [markdown]
# ## A page from a cell · 3 min
#
# The course has a finished service: reverse image search, which finds pictures by a picture or by words. The next
# cells start it inside this notebook. The start takes some seconds, because the service reads its models.

# %%
from app_snippets.reverse_image_search import Settings, create_app
from workshop import launch

pictures = create_app(Settings(name="chapter_09"))
service = launch(pictures, height=640, timeout=60)
service

# %% [markdown]
# `create_app` builds the app. The name `chapter_09` gives it a folder of its own. `launch` starts a server for the
# app and shows its page in a frame below the cell.
#
# The page is not a part of the notebook. A server sends it, from a thread of the same Python program that runs your
# cells. A [[thread]] is a line of work inside a program: it does one thing after another, and a program can have several side by side.
#
# At the foot of the page is a link to `/docs`, where you can try every call.

# %% [markdown]
# The address of the service is `service.url`. It begins with `127.0.0.1`, which means this computer: no other computer
# can reach it. A [[port]] is the number after the colon, which tells apart the servers on one computer. `launch` has
# taken one that was free.
#
# ## Load the pictures · 4 min
#
# What the page can do, a cell can do too. `httpx` is a library for HTTP requests. A client knows the address, so we
# write only the path.

# %%
import httpx

client = httpx.Client(base_url=service.url, timeout=30)
client.delete("/items", params={"confirm": "true"}).status_code

# %% [markdown]
# The status 204 means *done, and there is nothing to say*. The service is now empty, also if you ran this chapter
# before.
#
# To load the 430 pictures of the course takes longer than a request should. So `POST /samples` answers as in chapter
# 08: at once, with the status 202.

# %%
loading = client.post("/samples")
print(loading.status_code, loading.reason_phrase)
print(loading.json()["accepted"], "pictures accepted")

# %% [markdown]
# A [[job]] is a piece of work that goes on after its request has been answered. The header `Location` of the answer
# says where we can ask how far the job is. At that place there is also a WebSocket, a connection that stays open
# and over which the service sends news by itself. The next cell follows it and shows a bar.

# %%
import json

from tqdm import tqdm
from websockets.sync.client import connect as websocket


def watch(answer):
    """Follow a job over its WebSocket and show a bar; returns the job's last state, a dictionary."""
    address = f"ws://127.0.0.1:{service.port}/{answer.headers['location']}/events"
    with websocket(address) as news, tqdm(total=answer.json()["accepted"]) as bar:
        for job in map(json.loads, news):
            bar.update(job["done"] + len(job["failed"]) - bar.n)
    return job


# %% [markdown]
# Each message is the job as a JSON text, and `map` calls `json.loads` for each of them. `done` counts the pictures that are in, and `failed` lists those that could
# not be read. The loop ends when the service closes the connection, after the last message.

# %%
loaded = watch(loading)
loaded["state"], loaded["done"], loaded["failed"]

# %% [markdown]
# All 430 pictures are in, and none has failed. (The bar may jump: the load went on while you were reading.)
#
# ## Ask in words · 3 min
#
# Now we ask in words. The names of the pictures play no part in this search. The service compares your words with
# what an image model sees in each picture (ConSE, chapter 02).

# %%
from workshop import plots

answer = client.post("/search", json={"text": "a big cat", "limit": 7})
plots.service_hits("a big cat", answer, client)

# %% [markdown]
# `service_hits` reads the answer and fetches each picture from the service, under `/items/{id}/media`. Each picture has
# its name and its score, best first.
#
# Four big cats come first. Then there is no big cat left, and the service shows what comes next.
#
# **Predict before you run:** we ask for something that flies. Which animals will come first?

# %%
answer = client.post("/search", json={"text": "something that flies", "limit": 7})
plots.service_hits("something that flies", answer, client)

# %% [markdown]
# Two flies come first, because the name of their class is *fly*. The airplane comes only seventh, behind a planet and
# a police car. A search by words is only as good as what the image model sees.

# %% [markdown]
# ### ✍️ Your turn 9.1 · 6 min: follow a job without a WebSocket
#
# Write `follow(api, accepted)`. `api` is an `httpx.Client` of a service, and `accepted` is the answer to a `POST` that
# started a job. Ask for the path in its header `Location` again and again, and wait 0.1 seconds before each further
# request. When the job's `finished_at` is no longer `None`, return the job as a dictionary.
#
# Raise a `RuntimeError` if the job's `state` is then not `"done"`. If an answer is not a success, raise any error.


# %%
import time

from workshop import check


def follow(api, accepted):
    """Ask for a job until it has ended; returns the job, a dictionary."""
    # BEGIN SOLUTION
    while True:
        answer = api.get(accepted.headers["location"])
        job = answer.raise_for_status().json()
        if job["finished_at"] is not None:
            break
        time.sleep(0.1)
    if job["state"] != "done":
        raise RuntimeError(f"the job ended as {job['state']}")
    return job
    # END SOLUTION


# %% tags=["check"]
check("9.1", follow)

# %% [markdown]
# ## Ten lines that serve · 3 min
#
# How does a page get out of a cell? We take a smaller service and launch it by hand. It finds names of our pictures by
# meaning. First it needs the names and their vectors.

# %%
from workshop import TextEncoder, datasets

names = sorted({photo.name for photo in datasets.photos()})
encoder = TextEncoder()
name_vectors = encoder.encode(names, progress=False)
name_vectors.shape

# %% [markdown]
# There are 402 different names, and each is a vector of 384 numbers. Now the service. It also notes in the list `turns`
# when it was called, which we need later.

# %%
from fastapi import FastAPI

words = FastAPI(title="Words")
turns = []


@words.get("/search")
async def search(text: str, limit: int = 3) -> list[str]:
    """The names closest to a text, best first."""
    turns.append(time.perf_counter())
    scores = name_vectors @ encoder.encode([text])[0]
    best = scores.argsort()[::-1][:limit]
    return [names[row] for row in best]


# %% [markdown]
# Every tutorial starts such an app with `uvicorn.run(app)`. uvicorn is the server, the program that takes requests from
# the network and calls the app.
#
# **Predict before you run:** what will the notebook say?

# %% tags=["raises-exception", "nbval-ignore-output"]
import warnings

import uvicorn

warnings.filterwarnings("ignore", r"coroutine '(Server|BaseEventLoop)\.")
uvicorn.run(words, port=0, log_level="warning")

# %% [markdown]
# Read the last line of such a long error first: a loop cannot be started while another one runs.
#
# ## Why it fails · 3 min
#
# An [[event loop]] is a loop that runs many tasks in one thread: it lets one task work until that task waits for
# something, and then the next. One thread runs only one.
#
# The program behind this notebook, the *kernel*, is itself a server of cells. It has an event loop already, and that
# loop runs your cell. So we use this loop, and make our server one of its tasks. `create_task` gives it a task.

# %%
import asyncio
import socket


def in_kernel_loop(app):
    """Serve an app as a task of the kernel's loop; returns its address, the server and the task."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning")
    server = uvicorn.Server(config)
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[listening]))
    port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}", server, task


# %% [markdown]
# A [[socket]] is a program's end of a network connection. `create_server` opens one that waits for connections. Port 0
# means: take any port that is free. `getsockname()[1]` tells which one it was.

# %%
words_url, words_server, words_task = in_kernel_loop(words)
words_task.done()

# %% [markdown]
# `False`: the task has not ended, so the server is there.
#
# ## A client that waits for itself · 6 min
#
# Two services run in this kernel now, the pictures and the words. The function below asks one of them with a plain
# client and waits at most two seconds.
#
# **Predict before you run:** which of the two will answer?


# %%
def ask(address):
    """The answer of a service, or the name of the error; and when it was sent and when it ended."""
    sent = time.perf_counter()
    try:
        answer = httpx.get(address, timeout=2).json()
    except httpx.TimeoutException as error:
        answer = type(error).__name__
    return answer, sent, time.perf_counter()


ask(f"{service.url}/count")[0]

# %% [markdown]
# The pictures answer: there are 430 of them. Now the words. This cell takes two seconds.

# %%
turns.clear()
answer, sent_plain, back_plain = ask(f"{words_url}/search?text=violin")
answer, len(turns)

# %% [markdown]
# `ReadTimeout`: no answer came within two seconds, and the endpoint ran 0 times. It never had its turn.
#
# The cell and the server share one thread. `httpx.get` keeps this thread until the answer comes. But the answer
# needs the thread. A [[deadlock]] is a state in which two parts of a program wait for each other, so that neither can
# go on. The cell has ended now, and the thread is free again.
#
# **Predict before you run:** will the endpoint run after all, although nobody waits for its answer any more?

# %%
while len(turns) == 0:
    await asyncio.sleep(0.01)
len(turns) > 0

# %% [markdown]
# It ran. When the cell had ended, or at the latest with this `await`, the thread was free, and the loop found the old
# request. So use a client that
# says `await` while it waits.

# %%
async with httpx.AsyncClient(base_url=words_url) as async_client:
    sent_await = time.perf_counter()
    answer = await async_client.get("/search", params={"text": "violin"})
    back_await = time.perf_counter()
answer.json()

# %% [markdown]
# This client got its answer, from the same thread. The next picture shows both attempts, as they were measured.

# %% tags=["nbval-ignore-output"]
plots.who_has_the_thread(
    plain=(sent_plain, back_plain, turns[0]), awaiting=(sent_await, back_await, turns[-1])
)

# %% [markdown]
# Each half shows one client; mind the axes, the left one is about a hundred times as long. The lower bar is the time that it waited. The upper bar says who had the thread. The black
# diamond marks the moment in which the endpoint ran.
#
# On the left, the cell holds the thread, and the endpoint runs when its client has already gone. On the right, `await`
# lends the thread to the loop, and the endpoint runs while its client waits. The pictures answered both times, because
# the loop of their service has a thread of its own.

# %% [markdown]
# ## What nest_asyncio does · 3 min
#
# The package `nest_asyncio` changes asyncio, so that a loop can run inside a running loop. Old advice says that
# `uvicorn.run` works then.
#
# **Predict before you run:** does it? And does the plain client get an answer?

# %%
import nest_asyncio

nest_asyncio.apply()
inner = asyncio.run(asyncio.sleep(0, "asyncio.run works in a cell"))
inner, ask(f"{words_url}/search?text=violin")[0]

# %% tags=["raises-exception", "nbval-ignore-output"]
uvicorn.run(words, port=0, log_level="warning")

# %% [markdown]
# `asyncio.run` works now. The plain client still gets no answer, because it waits in the operating system and not in
# asyncio. And `uvicorn.run` still fails: since version 0.36, uvicorn starts its loop in a way that the package does
# not know. The next cell ends our server in order: we tell it to stop, and wait for its task.

# %%
words_server.should_exit = True
await words_task
words_task.done()

# %% [markdown]
# | way to serve | when it answers |
# | --- | --- |
# | `uvicorn.run(app)` | never |
# | `await server.serve()` | while the cell runs, and no other cell can run |
# | a task in the kernel's loop | while no cell runs, or while the cell awaits |
# | a thread with a loop of its own | always |
#
# The last way is the one that we want. You write it now, after a break if you like.

# %% [markdown]
# ## Pause
#
# This is a good place for a break. To go on later, from here and without the cells above, run the next cell. It starts
# the picture service anew and takes some seconds.

# %% tags=["pause"]
import time

import httpx

from app_snippets.reverse_image_search import Settings, create_app
from workshop import check, datasets, launch, plots

pictures = create_app(Settings(name="chapter_09"))
service = launch(pictures, timeout=60)
client = httpx.Client(base_url=service.url, timeout=30)
samples = client.post("/samples")
while client.get(samples.headers["location"]).json()["finished_at"] is None:
    time.sleep(0.2)

# %% [markdown]
# ### ✍️ Your turn 9.2 · 10 min: ten lines that serve
#
# Write `serve(app)`, which serves an app from a thread of its own and returns two things, `(url, stop)`.
#
# - It opens a socket on 127.0.0.1 at a free port, and `url` is its address, such as `http://127.0.0.1:8000`.
# - The server runs in a *daemon* thread, which ends with Python: `threading.Thread(target=…, daemon=True)`, then
#   `.start()`. In it, an `asyncio.Runner` makes an event loop and runs `server.serve(sockets=[...])`.
# - `stop()` ends the server and returns when its thread has ended and its port is free.
# - Two apps can be served at once, and the app's lifespan runs.


# %%
import asyncio
import socket
import threading

import uvicorn


def serve(app):
    """Serve an app from a daemon thread; returns its address and a function that stops it."""
    # BEGIN SOLUTION
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))

    def run():
        with asyncio.Runner() as runner:
            runner.run(server.serve(sockets=[listening]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def stop():
        server.should_exit = True
        thread.join()

    return f"http://127.0.0.1:{listening.getsockname()[1]}", stop
    # END SOLUTION


# %% tags=["check"]
check("9.2", serve)

# %% [markdown]
# ## launch is the same, with care · 3 min
#
# `launch` does what your ten lines do, and also what a notebook needs: cells run twice, ports are taken, apps fail to
# start, and the stop button must stay Jupyter's. We try it with the smallest service of the course.
#
# **Predict before you run:** the cell launches the same app twice. How many services run then?

# %%
from app_snippets.hello import app as hello

first = launch(hello)
second = launch(hello)
first.running, second.running

# %% [markdown]
# The second has replaced the first, as it should when you run a cell again. What if the port is taken?

# %% tags=["raises-exception"]
launch(hello, "Hello again", port=second.port)

# %% [markdown]
# And what if the app itself cannot start? A *lifespan* is the code that runs when an app starts and when it ends. This
# one fails at the start.

# %%
from contextlib import asynccontextmanager

from fastapi import FastAPI


@asynccontextmanager
async def no_disk(app):
    """A lifespan that fails at the start."""
    raise OSError("no space left on device")
    yield


# %% tags=["raises-exception", "nbval-ignore-output"]
launch(FastAPI(title="Broken", lifespan=no_disk))

# %% [markdown]
# Both failures are one sentence in the last line, and the kernel goes on. A server that runs as a task in the kernel's
# loop would have ended the kernel.
#
# ## A picture of your own · 3 min
#
# Back to the pictures. We search with a file, as if it were a photo of yours. We take a tiger of the collection, mirror
# it, turn it and cut off its edges, so that no pixel is where it was. A search by file sends the bytes of a picture
# file, so we save the picture as a JPEG file in memory.

# %%
from io import BytesIO

from PIL import ImageOps

tiger = next(photo for photo in datasets.photos() if photo.id == "animals-mammals-tiger")
turned = ImageOps.mirror(tiger.open()).rotate(20, expand=True, fillcolor="white")
mine = ImageOps.crop(turned, 25)
file = BytesIO()
mine.save(file, "JPEG")
content = file.getvalue()

# %% [markdown]
# To search with a photo of your own, write `content = open("cat.jpg", "rb").read()` instead, with its path.
#
# **Predict before you run:** which animals come after the tigers?

# %%
answer = client.post("/search/file", files={"file": ("mine.jpg", content)}, data={"limit": 6})
plots.service_hits(mine, answer, client)

# %% [markdown]
# First comes the picture that ours was made of, then another tiger, and then a zebra, which has stripes too. A search
# looks at your file and forgets it. To keep it, one adds it.

# %%
adding = client.post("/items", files={"files": ("mine.jpg", content)})
while client.get(adding.headers["location"]).json()["finished_at"] is None:
    time.sleep(0.2)
answer = client.post("/search/file", files={"file": ("mine.jpg", content)}, data={"limit": 6})
plots.service_hits(mine, answer, client)

# %% [markdown]
# Our picture is one of the collection now, and it finds itself with the score 1.00.
#
# ## Failures that say so · 2 min
#
# **Predict before you run:** which status will each of these three requests get?

# %%
missing = client.get("/items/nothing")
too_many = client.post("/search", json={"text": "tiger", "limit": 1000})
no_picture = client.post("/search/file", files={"file": ("notes.txt", b"buy milk")})

for answer in (missing, too_many, no_picture):
    print(answer.status_code, answer.json()["detail"])

# %% [markdown]
# 404 means that there is nothing at this place, 422 that a field does not fit, and 415 that this kind of file cannot be
# read. The number is for programs, and the sentence `detail` is for people. Both come in the same form each time, which
# is called *problem+json* (RFC 9457).

# %% [markdown]
# ### ✍️ Your turn 9.3 · 7 min: break it, fix it: the service that is always fine
#
# The service below gives names for numbers. Two of the three requests fail, and all three get the status 200, which
# means *all is well*.


# %%
def always_fine(names):
    """An app that gives the name of a number, and a 200 for everything."""
    app = FastAPI(title="Always fine")

    @app.get("/items/{number}")
    def read(number: str):
        try:
            return {"name": names[int(number)]}
        except Exception as error:
            return {"error": str(error)}

    return app


# %%
with launch(always_fine({1: "Tiger"})) as fine:
    for asked in ("1", "2", "two"):
        answer = httpx.get(f"{fine.url}/items/{asked}")
        print(answer.status_code, answer.json())

# %% [markdown]
# Write `shelf_app(shelf)`. `shelf` is a dictionary from whole numbers to names. The function returns an app with
# `GET /items/{number}`, which answers
#
# - 200 and `{"name": …}` for a number in the shelf, also if the name is an empty text,
# - 404 for a number that is not in the shelf, with a `detail` that names the number,
# - 422 for what is no whole number,
# - 500 for an error that nobody foresaw, such as a disk that fails. The client learns nothing about it, neither from
#   the body nor from a header.


# %%
from fastapi import HTTPException


def shelf_app(shelf):
    """An app that gives the name of a number in the shelf, and a status that says what happened."""
    app = FastAPI(title="Shelf")
    # BEGIN SOLUTION

    @app.get("/items/{number}")
    def read(number: int):
        if number not in shelf:
            raise HTTPException(404, f"There is no item {number}.")
        return {"name": shelf[number]}

    # END SOLUTION
    return app


# %% tags=["check"]
check("9.3", shelf_app)

# %% [markdown]
# ## Put it away · 2 min
#
# At the end we remove our picture. The newest items come first in the list.

# %%
newest = client.get("/items", params={"limit": 5}).json()["items"]
for item in newest:
    if item["payload"]["name"] == "mine.jpg":
        client.delete(f"/items/{item['id']}")
client.get("/count").json()["count"]

# %% [markdown]
# Now we stop what we have started.
#
# **Predict before you run:** we launch the service once more. How many pictures will it have?

# %%
second.stop()
service.stop()
with launch(pictures, timeout=60) as again:
    print(httpx.get(f"{again.url}/count").json()["count"], "pictures")
service.running, again.running

# %% [markdown]
# The pictures are still there: what a job calls done is on the disk. The `with` block has stopped the service at its end,
# and both are stopped now.

# %% [markdown]
# ## What we saw · 2 min
#
# One event loop has one thread, so whoever waits in it stops its server. A service in a thread of its own answers every
# client. Long work is a job, and a failure has a status and a reason.
#
# **Recall:** Why did the endpoint run only after its client had gone? Why does `uvicorn.run` fail in a notebook? What does
# the status 202 promise?
#
# <details><summary>Answers</summary>
#
# 1. The client held the one thread that the endpoint needed. It was free only when the client gave up.
# 2. It wants to start an event loop, and the notebook's thread is running one already.
# 3. That the request was received and that the work will be done. It does not say that the work is done.
#
# </details>
#
# **On your own data:** drop twenty photos on the page.
#
# **Next:** the service without a notebook, `uvicorn app_snippets.reverse_image_search:app`, and
# [its code](../app_snippets/reverse_image_search.py). Then [10 · Text search](10_text_search.ipynb) · **Before:** [08 · Work that takes time](08_async.ipynb)

# %% [markdown]
# ## Going deeper
#
# This part takes about 5 minutes. No later chapter needs it.
#
# ### One bad file among good ones
#
# **Predict before you run:** we add two files in one request, and one of them is no picture. What becomes of the pair?


# %%
def load_a_pair(api_of_service):
    """Add a picture and a text in one request; returns the finished job. The picture goes again."""
    pair = [("files", ("mine.jpg", content)), ("files", ("notes.txt", b"buy milk"))]
    place = api_of_service.post("/items", files=pair).headers["location"]
    while api_of_service.get(place).json()["finished_at"] is None:
        time.sleep(0.2)
    newest = api_of_service.get("/items", params={"limit": 1}).json()["items"][0]
    api_of_service.delete(f"/items/{newest['id']}")
    return api_of_service.get(place).json()


# %%
with launch(pictures, timeout=60) as again, httpx.Client(base_url=again.url) as deeper:
    job = load_a_pair(deeper)
print(job["state"], job["done"], "in")
for failure in job["failed"]:
    print(failure["name"], "·", failure["reason"])

# %% [markdown]
# One file is in, and the other is named with a reason. A batch is not lost because of one of its files.
#
# ### A loop that is shared
#
# `launch(app, loop="kernel")` runs the server in the kernel's own loop. It is for an app that shares something with your
# cells which belongs to one loop, such as an `AsyncMilvusClient`. There, and only there, `launch` needs nest_asyncio,
# because it has to wait for the start inside the running loop.
