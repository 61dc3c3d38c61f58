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
# **You will be able to** run a web service inside a notebook, say why the obvious way fails, follow a
# long job over HTTP, and tell a failure from a 200.
#
# **You need** chapters 03 and 06 to 08 · **Time** 25 min reading, 20 min exercises
#
# ## Where we are going
#
# Ten seconds, and this notebook serves a page. Go cell by cell: the last one stops it.

# %%
import json
import os
import time

import httpx
from tqdm import tqdm
from websockets.sync.client import connect as websocket

from app_snippets.reverse_image_search import Settings, create_app
from workshop import check, launch

pictures = create_app(Settings(name="chapter_09"))  # with a folder of this chapter's own
service = launch(pictures, height=640, timeout=60)
service

# %% [markdown]
# The page is not in the notebook. A server sends it, from a thread of the Python that runs your cells.
# Whatever the page does, a cell can do: follow the link at its foot, `/docs`, and try the calls.
#
# Loading the course's 430 pictures takes longer than a request should. So `POST /samples` is answered
# as in chapter 08: a 202, whose `Location` names a *job*. A WebSocket feeds the bar.


# %%
def watch(accepted):
    address = f"ws://127.0.0.1:{service.port}/{accepted.headers['location']}/events"
    with websocket(address) as events, tqdm(total=accepted.json()["accepted"]) as bar:
        for job in map(json.loads, events):
            bar.update(job["done"] + len(job["failed"]) - bar.n)
    return job["state"], job["done"], job["failed"]


os.environ["NO_PROXY"] = "127.0.0.1"  # what we call is on this machine
api = httpx.Client(base_url=service.url, timeout=30)
api.delete("/items", params={"confirm": "true"})  # empty, if this is a rerun
loading = api.post("/samples")
print(loading.status_code, loading.reason_phrase)
watch(loading)

# %% [markdown]
# Now ask in words. The pictures' own names play no part: your words are compared with the classes that an
# image model *thinks* it sees (ConSE, chapter 02).
#
# **Predict before you run:** the second question will find the right animals first. And then?

# %%
from io import BytesIO

from IPython.display import display
from PIL import Image

from workshop import plots


def show(query, answer):
    hits = answer.raise_for_status().json()["hits"]
    files = [BytesIO(api.get(f"/items/{hit['id']}/media").content) for hit in hits]
    names = [hit["payload"]["name"] for hit in hits]
    return plots.hits(query, [Image.open(f) for f in files], [h["score"] for h in hits], names)


for text in ("a big cat", "something that flies"):
    display(show(text, api.post("/search", json={"text": text, "limit": 7})))

# %% [markdown]
# Four big cats, then whatever is next. The fly leads since its class is called *fly*, and Neptune was taken
# for a balloon.
#
# ### ✍️ Your turn 9.1 · 5 min: follow a job without a WebSocket
#
# `follow(api, accepted)` gets a client and the answer to a `POST`. It asks for `Location` every 0.1 s
# and returns the job once `finished_at` is set. If `state` is then not `done`, it raises a
# `RuntimeError`; an answer that is no success raises too.


# %%
def follow(api, accepted):
    # BEGIN SOLUTION
    job = {"finished_at": None}
    while not job["finished_at"]:
        time.sleep(0.1)
        answer = api.get(accepted.headers["location"])
        job = answer.raise_for_status().json()
    if job["state"] != "done":
        raise RuntimeError(f"the job ended as {job['state']}")
    return job
    # END SOLUTION


# %% tags=["check"]
check("9.1", follow)

# %% [markdown]
# ## Ten lines
#
# How does a page get out of a cell? Take a smaller service, and launch it by hand. It finds the names of
# our pictures by meaning, in ten lines, with vectors that live in this notebook.

# %%
from fastapi import FastAPI

from workshop import TextEncoder, datasets

names, encoder = sorted({photo.name for photo in datasets.photos()}), TextEncoder()
vectors, ran = encoder.encode(names, progress=False), []
words = FastAPI(title="Words")


@words.get("/search")
def search(text: str, limit: int = 3) -> list[str]:
    ran.append(time.perf_counter())  # when it was this endpoint's turn
    scores = vectors @ encoder.encode([text])[0]
    return [names[row] for row in scores.argsort()[::-1][:limit]]


# %% [markdown]
# Every tutorial starts it with `uvicorn.run(app)`. **Predict before you run:** what will a notebook say?

# %% tags=["raises-exception", "nbval-ignore-output"]
import warnings

import uvicorn

warnings.filterwarnings("ignore", r"coroutine '(Server|BaseEventLoop)\.")  # the same, once more
uvicorn.run(words, port=0)

# %% [markdown]
# Read the last line of such a wall first. An *event loop* is a `while` that hands one thread to many
# tasks in turn; a thread can run one. `uvicorn.run` wants to start a loop, but this kernel is itself a
# server, of cells, and its loop is what runs your code.
#
# So use that loop: make the server one of its tasks. The cell ends at once, the server stays.

# %%
import asyncio
import socket
import threading


def in_kernel_loop(app):
    sock = socket.create_server(("127.0.0.1", 0))  # port 0: any that is free
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[sock]))
    return f"http://127.0.0.1:{sock.getsockname()[1]}", server, task


url, server, task = in_kernel_loop(words)
print("the kernel's loop runs:", asyncio.get_running_loop().is_running())

# %% [markdown]
# Two services run in this kernel now, the pictures and the words. **Predict before you run:** a plain
# client gives each of them two seconds. Who answers?


# %%
def ask(address):
    sent = time.perf_counter()
    try:
        answer = httpx.get(address, timeout=2).json()
    except httpx.TimeoutException as error:
        answer = type(error).__name__
    return answer, sent, time.perf_counter()


ran.clear()
print("pictures:", ask(f"{service.url}/count")[0])
answer, *synchronous = ask(f"{url}/search?text=violin")
print("words:   ", answer, "| endpoint ran", len(ran), "times")

# %% [markdown]
# The words time out, and the endpoint never ran. Not slow: *deadlocked*. `httpx.get` keeps the thread until
# the answer comes, and the answer needs the thread.
#
# Now the cell has ended. **Predict before you run:** does the endpoint run after all, though nobody waits?
# And what changes if the client says `await`?

# %%
while not ran:
    await asyncio.sleep(0.01)  # gives the thread back for a moment
synchronous.append(ran[-1])
async with httpx.AsyncClient(base_url=url) as client:
    sent = time.perf_counter()
    answer = await client.get("/search", params={"text": "violin"})
    asynchronous = [sent, time.perf_counter(), ran[-1]]
print("words:   ", answer.json(), "| endpoint ran", len(ran), "times")

# %%
import matplotlib.pyplot as plt


def timeline(ax, title, labels, colour, sent, back, ran):
    wait, run = 1000 * (back - sent), 1000 * (ran - sent)
    bars = ax.barh(["client", "the thread"], wait, height=0.6, color=["#E69F00", colour])
    ax.bar_label(bars, labels, label_type="center")
    ax.plot(run, 1.5, "D", color="black")
    ax.annotate("endpoint runs", (run, 1.5), (7, -3), textcoords="offset points")
    ax.set(title=title, xlim=(0, 1.4 * wait), ylim=(-0.5, 2), xlabel="ms after the request")


_, (left, right) = plt.subplots(1, 2, figsize=(9, 2.2), sharey=True)
timeline(left, "httpx.get", ["waits, gives up", "held by the cell"], "#BBBBBB", *synchronous)
timeline(right, "await", ["waits, is answered", "lent to the loop"], "#56B4E9", *asynchronous)
plt.show()

# %% [markdown]
# As measured. Left, the endpoint's turn comes when its client has gone. Right, `await` lends the thread
# to the loop, which serves its own client. The pictures answered either way: their loop has a thread of
# its own.
#
# ## What nest_asyncio does, and what it does not
#
# It patches asyncio so that a loop may run *inside* a running loop; old advice says `uvicorn.run` works
# then. **Predict before you run:** does it? And is the plain client still deadlocked?

# %%
import nest_asyncio

nest_asyncio.apply()
print("asyncio.run in a cell:", asyncio.run(asyncio.sleep(0, "works")))
print("httpx.get in a cell:  ", ask(f"{url}/search?text=violin")[0])
server.should_exit = True
await task  # until the server has ended

# %% tags=["raises-exception", "nbval-ignore-output"]
uvicorn.run(words, port=0)

# %% [markdown]
# The patch lets *asyncio* wait inside a running loop; `httpx.get` waits in the operating system, and
# uvicorn 0.36 and later start their loop in a way that the patch does not know.
#
# | way | answers |
# | --- | --- |
# | `uvicorn.run(app)` | never |
# | `await server.serve()` | as long as it holds the cell: no other cell runs |
# | a task in the kernel's loop | while no cell runs, or the cell awaits |
# | a thread with a loop of its own | always; you write it now |

# %% [markdown]
# ### ✍️ Your turn 9.2 · 9 min: ten lines that serve
#
# `serve(app)` returns `(url, stop)`. It opens a socket on 127.0.0.1 at a free port, and a *daemon* thread
# (one that ends with Python) in which an `asyncio.Runner` runs the server. `stop()` returns once the
# server has ended and its port is free. Two apps can be served at once.


# %%
def serve(app):
    # BEGIN SOLUTION
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))

    def run():
        with asyncio.Runner() as runner:
            runner.run(server.serve(sockets=[sock]))

    def stop():
        server.should_exit = True
        thread.join()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{sock.getsockname()[1]}", stop
    # END SOLUTION


# %% tags=["check"]
check("9.2", serve)

# %% [markdown]
# ## launch: the same, with care
#
# `launch` is your ten lines and what a notebook adds: cells that run twice, ports that are taken, apps
# that fail to start, a stop button that must stay Jupyter's. **Predict before you run:** after the second
# line, how many services serve the words?

# %%
first = launch(words)
second = launch(words)  # as when its cell runs again
print(first, second, sep="\n")
print(ask(f"{second.url}/search?text=violin")[0])

# %% tags=["raises-exception"]
launch(words, "Words again", port=second.port)

# %% tags=["raises-exception", "nbval-ignore-output"]
from contextlib import asynccontextmanager


@asynccontextmanager
async def no_disk(app):
    raise OSError("no space left on device")
    yield


launch(FastAPI(title="Broken", lifespan=no_disk))

# %% [markdown]
# The second replaced the first. Both failures are one sentence, and the kernel lives; uvicorn, as a task in
# our loop, would have ended it with `sys.exit`.
#
# `launch(app, loop="kernel")` is for an app that shares a loop with your cells, such as one that holds an
# `AsyncMilvusClient`. There, and only there, `launch` needs nest_asyncio: it has to wait for the start
# inside the running loop.

# %% [markdown]
# ## A photo of your own
#
# Back to the pictures, which served all the while. Set `mine` to the path of a photo of yours, or leave
# it: then a tiger of the collection is mirrored, turned and cut, and no pixel is where it was.
#
# **Predict before you run:** what comes after the tigers?

# %%
from pathlib import Path

from PIL import ImageOps

mine = None  # or "~/Pictures/cat.jpg"
if mine:
    photo = ImageOps.exif_transpose(Image.open(Path(mine).expanduser())).convert("RGB")
else:
    (tiger,) = (p.open() for p in datasets.photos("animals/mammals") if p.name == "Tiger")
    photo = ImageOps.crop(ImageOps.mirror(tiger).rotate(20, expand=True, fillcolor="white"), 25)
photo.save(file := BytesIO(), "JPEG")
search_by = {"files": {"file": ("mine.jpg", file.getvalue())}, "data": {"limit": 8}}
show(photo, api.post("/search/file", **search_by))

# %% [markdown]
# First the picture that it was made of, then the other tiger, then the zebra. A search looks at your file and
# forgets it. To keep it, add it; here together with a file that is no picture.
#
# **Predict before you run:** what becomes of the pair, and who is first when we search again?

# %%
batch = [("files", ("mine.jpg", file.getvalue())), ("files", ("notes.txt", b"buy milk"))]
state, done, failed = watch(api.post("/items", files=batch))
print(f"{state}: {done} in")
for item in failed:
    print(f"not in: {item['reason']}")
own = api.get("/items", params={"limit": 1}).json()["items"][0]  # the newest
by_item = api.post("/search", json={"item_id": own["id"]}).json()
print("itself among its neighbours:", own["id"] in [hit["id"] for hit in by_item["hits"]])
show(photo, api.post("/search/file", **search_by))

# %% [markdown]
# One file in, the other told by name with a reason: a batch is not lost for one of its files. By file, your
# photo now finds itself; *by item* it is left out, or the first hit would always be the question.
#
# ## Failures that say so
#
# **Predict before you run:** which status will each of these get?

# %%
for method, path, content in [
    ("GET", "/items/nothing", {}),
    ("POST", "/search", {"json": {"text": "tiger", "limit": 1000}}),
    ("POST", "/search/file", {"files": {"file": ("notes.txt", b"buy milk")}}),
    ("DELETE", "/items", {}),
]:
    answer = api.request(method, path, **content)
    print(answer.status_code, answer.json()["detail"])
print(answer.headers["content-type"])

# %% [markdown]
# A number for programs, a sentence for people, always in one shape: *problem+json* (RFC 9457).
#
# ### ✍️ Your turn 9.3 · 6 min: break it, fix it, the service that is always fine
#
# Below, two requests fail, and all three get a 200. Write `shelf_app(shelf)` so that a known id gives
# `{"name": ...}`, an unknown one a 404 whose `detail` names the id, no number a 422, and what nobody
# foresaw a 500 that keeps its details to itself.


# %%
def always_fine(shelf):
    app = FastAPI(title="Always fine")

    @app.get("/items/{id}")
    def read(id: str):
        try:
            return {"name": shelf[int(id)]}
        except Exception as error:
            return {"error": str(error)}

    return app


with launch(always_fine({1: "Tiger"})) as fine:
    for id in ("1", "2", "two"):
        print((answer := httpx.get(f"{fine.url}/items/{id}")).status_code, answer.json())


# %%
from fastapi import HTTPException


def shelf_app(shelf):
    app = FastAPI(title="Shelf")
    # BEGIN SOLUTION

    @app.get("/items/{id}")
    def read(id: int):
        if id not in shelf:
            raise HTTPException(404, f"There is no item {id}.")
        return {"name": shelf[id]}

    # END SOLUTION
    return app


# %% tags=["check"]
check("9.3", shelf_app)

# %% [markdown]
# ## Put it away
#
# Delete your photo, and look for it again. Then stop what we started.
#
# **Predict before you run:** launched once more, how many pictures will the service have?

# %%
for method in ("DELETE", "GET"):
    answer = api.request(method, f"/items/{own['id']}")
    print(method, answer.status_code, answer.reason_phrase)
second.stop()
service.stop()
socket.create_server(("127.0.0.1", service.port)).close()  # its port is free again
with launch(pictures, timeout=60) as again:
    print("pictures:", httpx.get(f"{again.url}/count").json()["count"])
print(again, second, sep="\n")

# %% [markdown]
# ## What we saw
#
# One loop has one thread: who waits in it stops its server. Long work is a job; what it calls done is on
# disk. A failure has a status and a reason.
#
# **Recall:** Why did the endpoint run after its client had gone? Whom does nest_asyncio help? What does
# a 202 promise?
#
# **On your own data:** drop twenty photos on the page.
#
# **Next:** without a notebook, `uvicorn app_snippets.reverse_image_search:app` and
# [its code](../app_snippets/reverse_image_search.py) · **Before:** [08 · Work that takes time](08_async.ipynb)
