# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Work that takes time
#
# *Part II · Services*
#
# **You will be able to** answer at once and work afterwards, find the line that freezes a service, and keep
# jobs through a crash.
#
# **You need** chapter 07: endpoints and models · **Time** 25 min reading, 27 min exercises
#
# ## Where we are going
#
# Sixty photos come in one upload. Each is decoded, turned into a vector, stored: no sender should hold the
# line for that. Below is the page of such a service.

# %%
import asyncio
import os
import sqlite3
import subprocess
import sys
import time

import httpx

from app_snippets.uploads import Settings, create_app
from workshop import check, datasets, launch

os.environ["NO_PROXY"] = "127.0.0.1"  # what we call is on this machine
service = launch(create_app(Settings(name="chapter_08")), height=330, timeout=60)
service

# %% [markdown]
# What the page does, a cell can do. The answer to `POST /photos` names a *job* and says where to look after
# it; we look every tenth of a second, which is called *polling*.
#
# **Predict before you run:** how many of the 60 photos are stored when the answer comes?

# %%
api = httpx.Client(base_url=service.url, timeout=60)
files = [("files", (p.path.name, p.path.read_bytes())) for p in datasets.photos()[:60]]
begun = time.perf_counter()
accepted = api.post("/photos", files=files)
received, seen, job = time.perf_counter() - begun, [], {"finished_at": None}
while not job["finished_at"]:
    job = api.get(accepted.headers["location"]).raise_for_status().json()
    seen.append((time.perf_counter() - begun, job["done"]))
    time.sleep(0.1)
print(accepted.status_code, accepted.reason_phrase)
print("Location:", accepted.headers["location"].replace(job["id"], "{job_id}"))
print(job["state"], "|", job["done"], "of", job["total"], "|", len(job["failed"]), "failed")

# %%
import matplotlib.pyplot as plt

from workshop import plots

fig, ax = plt.subplots(figsize=(8, 2.2))
ax.plot(*zip(*seen, strict=True), "o-", ms=3, clip_on=False)
ax.axvline(received, color=plots.COLOURS[3])
ax.text(received, 66, " 202: request received", color=plots.COLOURS[3])
ax.text(seen[-1][0], 66, "done: data uploaded", ha="right", color=plots.COLOURS[0])
ax.set(xlabel="seconds after sending", ylabel="photos stored", ylim=(0, 80))
ax.set_xlim(left=0)
plt.show()

# %% [markdown]
# *202 Accepted* means taken on, not done: two moments, and the user should hear of both. At the red line
# hardly a photo was in; each dot is one question.
#
# Polling asks when there is nothing new, and hears late when there is. A *WebSocket* is a connection that
# stays open, on which the service speaks first. The page draws its bar from one:
# ```js
# const events = new WebSocket(`${job}/events`);
# events.onmessage = ({ data }) => { bar.value = JSON.parse(data).done; };
# ```
# So can a cell:

# %%
import json

from tqdm import tqdm
from websockets.sync.client import connect as websocket

accepted = api.post("/photos", files=files)
address = f"ws://127.0.0.1:{service.port}/{accepted.headers['location']}/events"
with websocket(address) as events, tqdm(total=60, unit="photo") as bar:
    for job in map(json.loads, events):
        bar.update(job["done"] - bar.n)
print(job["state"], job["done"], "of", job["total"], "|", api.get("/count").json())

# %% [markdown]
# 120 photos sent, 60 counted: ids are hashes of the bytes, so twice does no harm (*idempotent*).
#
# ## One thread, many requests
#
# A *thread* does one thing after another. uvicorn serves everybody on **one**: its *event loop* deals out
# turns, and `await`, in an `async def`, ends a turn: *I wait, take the next.* To *block* is to wait, or
# compute, and keep it.
#
# waitress (06) gives each request one. A notebook has one: a cell runs, the next waits.

# %%
lanes = {
    "L awaits: the one thread": "LabLcdLabLcdLabLcdLa",
    "L blocks: the one thread": "LabLLLLLLLLLLLLcdabc",
    "L has a thread: the event loop": "Labcdabcdabcdabcdabc",
    "the other thread": "...LLLLLLLLLLLL.....",
}
fig, ax = plt.subplots(figsize=(8.6, 2))
for y, turns in enumerate(lanes.values()):
    for x, who in enumerate(turns.replace(".", " ")):
        ax.barh(y, 0.9 * (who != " "), left=x, color=plots.COLOURS[3 if who == "L" else 0])
        ax.text(x + 0.45, y, who, ha="center", va="center", color="white")
_ = ax.set(xlabel="time", xticks=[], yticks=range(4), yticklabels=lanes, ylim=(3.6, -0.6))

# %% [markdown]
# Time runs to the right; each square is a turn. In row two L blocks, and *a* to *d*, small requests that do
# nothing wrong, wait with it.
#
# Now for real: `slow` blocks for three seconds, as a model or a database would. `time.sleep` stands for
# them, since it takes three seconds on every machine.
#
# **Predict before you run:** `/progress` computes nothing. How long will it take to answer during a load?

# %%
from fastapi import BackgroundTasks, FastAPI, HTTPException, Response, UploadFile, WebSocket

app = FastAPI(title="Frozen")


def slow():
    time.sleep(3)


@app.post("/load")
async def load():
    slow()


@app.get("/progress")
async def progress():
    return {"alive": True}


# %%
async def ask(client, method, path, begun):
    sent = time.perf_counter() - begun
    (await client.request(method, path)).raise_for_status()
    return sent, time.perf_counter() - begun


async def poll(url, seconds=3.6):
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        begun = time.perf_counter()
        asked = [asyncio.create_task(ask(client, "POST", "/load", begun))]
        for _ in range(int(seconds / 0.1)):  # ask on time, whether or not answers come
            await asyncio.sleep(0.1)
            asked.append(asyncio.create_task(ask(client, "GET", "/progress", begun)))
        return await asyncio.gather(*asked)


# %% tags=["nbval-ignore-output"]
def draw(ax, title, load, *polls):
    for sent, answered in polls:
        ax.plot([sent, answered], [0, 1], color=plots.COLOURS[3 if answered - sent > 0.2 else 0])
    ax.plot(load, [0, 1], color="black", lw=3, solid_capstyle="round")
    ax.set(ylim=(0, 1), yticks=[0, 1], yticklabels=["asked", "answered"])
    ax.set_title(title, fontsize=10)


with launch(app) as frozen:
    freeze = await poll(frozen.url)
draw(plt.subplots(figsize=(8, 2))[1], "async def around blocking code", *freeze)
plt.xlabel("seconds")
waits = sorted(answered - sent for sent, answered in freeze[1:])
print(f"slowest poll {waits[-1]:.2f} s, fastest {waits[0] * 1000:.1f} ms")

# %% [markdown]
# Each thin line is a question: its foot when it was asked, its head when it was answered. The bold one is the
# load. For three seconds nobody got an answer, then all at once.
#
# ### ✍️ Your turn 8.1 · 6 min: break it, fix it, a frozen service
#
# `count(content)` blocks; you cannot change it. Give the app `POST /load`: it takes an upload `file` and
# answers `{"count": count(content)}` with the file's bytes. `/progress` must answer meanwhile.


# %%
def thawed(count):
    app = FastAPI(title="Thawed")
    app.get("/progress")(progress)
    # BEGIN SOLUTION

    @app.post("/load")
    async def load(file: UploadFile):
        content = await file.read()
        return {"count": await asyncio.to_thread(count, content)}

    # END SOLUTION
    return app


# %% tags=["check"]
check("8.1", thawed)

# %% [markdown]
# ## Five ways to run it
#
# A *worker* is a thread that takes one task after another from a *queue*; `ThreadPoolExecutor(1)` is both.
# The first three ways answer when the work is done, the last two before.
#
# **Predict before you run:** which of the five keep `/progress` quick?

# %%
from concurrent.futures import ThreadPoolExecutor

worker = ThreadPoolExecutor(max_workers=1)


async def in_the_loop():
    slow()


def in_the_pool():  # no async: FastAPI runs it in one of its 40 threads
    slow()


async def in_a_thread():
    await asyncio.to_thread(slow)


async def in_background(tasks: BackgroundTasks):  # run after the answer
    tasks.add_task(slow)


async def in_a_queue():
    worker.submit(slow)


# %%
from contextlib import ExitStack, contextmanager

ways = [in_the_loop, in_the_pool, in_a_thread, in_background, in_a_queue]
with ExitStack() as stack:  # stops all of them, whatever happens
    urls = []
    for way in ways:
        app = FastAPI(title=way.__name__)
        app.post("/load")(way)
        app.get("/progress")(progress)
        urls.append(stack.enter_context(launch(app)).url)
    measured = await asyncio.gather(*map(poll, urls))

# %% tags=["nbval-ignore-output"]
_, axes = plt.subplots(5, 1, figsize=(8, 5.5), sharex=True)
frozen = max(answered - sent for sent, answered in measured[0][1:])
print("                load answered   slowest poll   times quicker than frozen")
for ax, way, (load, *polls) in zip(axes, ways, measured, strict=True):
    ax.axvspan(load[0], load[0] + 3, color="0.92")
    draw(ax, way.__name__, load, *polls)
    slowest = max(answered - sent for sent, answered in polls)
    print(f"{way.__name__:15} {load[1]:11.2f} s {slowest:12.3f} s {frozen / slowest:14.0f}")
_ = axes[-1].set_xlabel("seconds; grey: the load is being worked on")

# %% [markdown]
# One word, `async`, tells the first two apart. In the last two the bold line is upright: *received* comes at
# once.
#
# Now pull the plug. [ways.py](../app_snippets/ways.py) has these ways, and a queue whose jobs also go into a
# table in SQLite. We start it as a *process* of its own. Each way gets a load of two seconds, the table two;
# half a second later we kill it.
#
# **Predict before you run:** who notices? What does the next start know?

# %%
from workshop.paths import home


@contextmanager
def own_process():
    command = [sys.executable, "-m", "app_snippets.ways"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            ready = next(line for line in process.stderr if "running on" in line)
            yield process, httpx.Client(base_url=ready.split()[4], timeout=30)
        finally:
            process.kill()


# %%
(home() / "ways.sqlite").unlink(missing_ok=True)  # of an earlier run
with own_process() as (process, client), ThreadPoolExecutor() as pool:
    promised = [client.post(f"/{way}") for way in ("background", "queue", "table", "table")]
    ways = ("def", "to-thread", "async-def")
    waiting = [pool.submit(client.post, f"/{way}") for way in ways]
    time.sleep(0.5)
    process.kill()
for way, answer in zip(ways, waiting, strict=True):
    print(f"{way:16}", "connection lost" if answer.exception() else "answered")
with sqlite3.connect(home() / "ways.sqlite") as table:
    print("in the table    ", sorted(state for _, state in table.execute("SELECT * FROM jobs")))

# %%
table.close()
names = ["BackgroundTasks", "queue in memory", "queue and table", "the one behind"]
with own_process() as (process, client):
    paths = [f"/jobs/{answer.json()['id']}" for answer in promised]
    while client.get(paths[3]).json()["state"] != "done":
        time.sleep(0.1)
    for name, told, path in zip(names, promised, paths, strict=True):
        now = client.get(path)
        state = now.json().get("state", "")
        print(f"{name:16} first {told.status_code}, now {now.status_code} {state}")

# %% [markdown]
# Who waited saw the line go dead. Who had a 202 had a promise. `BackgroundTasks` and the queue in memory broke
# it without a word. The table kept it: the load behind is done, the half-done one says so.
#
# ### ✍️ Your turn 8.2 · 5 min: the morning after
#
# `recover(table)` gets an open SQLite table `jobs(id, state, created_at)`. Each `running` job becomes
# `interrupted`. It returns the ids of `queued` jobs, oldest first. A second crash right after must not undo it.


# %%
def recover(table):
    # BEGIN SOLUTION
    table.execute("UPDATE jobs SET state = 'interrupted' WHERE state = 'running'")
    table.commit()
    waiting = "SELECT id FROM jobs WHERE state = 'queued' ORDER BY created_at"
    return [id for (id,) in table.execute(waiting)]
    # END SOLUTION


# %% tags=["check"]
check("8.2", recover)

# %% [markdown]
# ## No in time
#
# A queue without a bound says yes to everybody. A hundred uploads of 100 kB arrive while the worker is busy;
# each will take it three seconds.
#
# **Predict before you run:** what is the hundredth told? When is it done?

# %%
import queue
from uuid import uuid4

uploads, app = queue.SimpleQueue(), FastAPI(title="Greedy")


@app.post("/photos", status_code=202)
def take(file: UploadFile):
    uploads.put(file.file.read())


photo = {"file": bytes(100_000)}
with launch(app) as greedy, httpx.Client(base_url=greedy.url, timeout=30) as client:
    print({client.post("/photos", files=photo).status_code for _ in range(100)})
waiting = uploads.qsize()
print(f"{waiting * 0.1:.0f} MB wait; the last is done in {waiting * 3 / 60:.0f} minutes")

# %% [markdown]
# All were told 202. *Backpressure* lets senders feel that you are full: a bounded queue, then a 503 with
# `Retry-After`, in seconds. (429 is for one client that asks too often.)
#
# ### ✍️ Your turn 8.3 · 8 min: 202, or an honest no
#
# `POST /photos` takes `files`, makes `job = {"id", "state": "queued", "total"}`, puts `(job, [bytes of each])` into
# `work`, a bounded `queue.Queue`, and the job into the dict `jobs` by id. Answer: 202, `Location:
# jobs/{id}`. Full: 503, `Retry-After`, no trace.


# %%
def upload_app(jobs, work):
    app = FastAPI(title="Uploads")
    # BEGIN SOLUTION

    @app.post("/photos", status_code=202)
    def add(files: list[UploadFile], response: Response):
        job = {"id": uuid4().hex, "state": "queued", "total": len(files)}
        try:
            work.put_nowait((job, [file.file.read() for file in files]))
        except queue.Full:
            raise HTTPException(503, "Too many wait.", {"Retry-After": "5"}) from None
        jobs[job["id"]] = job
        response.headers["Location"] = f"jobs/{job['id']}"

    # END SOLUTION
    return app


# %% tags=["check"]
check("8.3", upload_app)

# %% [markdown]
# ## Enough
#
# A *time-out* is a limit to waiting. **Predict before you run:** we give up on a photo after 0.3 of its
# second. Is it stored all the same?

# %%
stored = []


def store_photo():
    time.sleep(1)
    stored.append("photo")


try:
    async with asyncio.timeout(0.3):
        await asyncio.to_thread(store_photo)
except TimeoutError:
    print("given up; stored:", stored)
await asyncio.sleep(1)
print("later;    stored:", stored)

# %% [markdown]
# It is. A time-out ends the waiting, not the work: nothing can stop a thread from outside, and a client that
# hangs up stops nobody. *Cancelling* is a question that the work asks itself, between two photos:
# `DELETE /jobs/{id}`.
#
# How many, how large, how fast, how long: limits are *settings*. Each comes from the environment, such as
# `UPLOADS_MAX_WAITING`, and is checked at the start.

# %%
accepted = api.post("/photos", files=files)
job = api.delete(accepted.headers["location"]).json()
while not job["finished_at"]:
    time.sleep(0.05)
    job = api.get(accepted.headers["location"]).json()
print(job["state"], "| all done:", job["done"] == job["total"])
print({name: value for name, value in Settings() if name not in ("name", "allowed_hosts")})
try:
    Settings(max_waiting=0)
except ValueError as error:
    print(error.errors()[0]["loc"], error.errors()[0]["msg"])

# %% [markdown]
# ## A client that leaves
#
# Laptops are closed, trains enter tunnels. Three clients watch a job that waits for its turn, and leave.
#
# **Predict before you run:** how many of them does the service still serve?

# %%
handlers, app = [], FastAPI(title="Ghosts")


@app.websocket("/events")
async def tell(websocket: WebSocket):
    handlers.append(asyncio.current_task())
    await websocket.accept()
    await asyncio.sleep(2)  # until there is news


with launch(app) as ghosts:
    for _ in range(3):
        websocket(f"ws://127.0.0.1:{ghosts.port}/events").close()
    print(sum(not handler.done() for handler in handlers), "served, and nobody is there")

# %% [markdown]
# `tell` never listens; while nothing is sent, only `receive` hears a goodbye. A *slow* client is another worry: it should get
# the newest state, no backlog.
#
# ### ✍️ Your turn 8.4 · 8 min: no ghosts
#
# `events(websocket, read)`: accept; send `read()`, a new dict each time, now and whenever it differs from what
# was sent, looking every 0.1 s; close when `finished_at` is set; end at once when the client leaves. A watcher
# sends nothing but its goodbye.


# %%
async def events(websocket, read):
    # BEGIN SOLUTION
    await websocket.accept()
    gone, last = asyncio.create_task(websocket.receive()), None
    while not gone.done():
        if (job := read()) != last:
            await websocket.send_json(job)
            last = job
        if job["finished_at"]:
            await websocket.close()
            break
        await asyncio.wait({gone}, timeout=0.1)  # a pause that a goodbye ends
    gone.cancel()
    # END SOLUTION


# %% tags=["check"]
check("8.4", events)

# %% [markdown]
# ## More workers
#
# `uvicorn --workers 4` starts four processes, each with a loop, a queue and a dict of its own: a job that one
# accepts is a 404 at the others.
#
# They can share a table. A worker *claims* a job: one statement finds a free one and takes it, so that no two
# get the same. (RQ and Celery are such queues grown up.)
#
# **Predict before you run:** can they share our service's Milvus Lite file too?

# %%
code = "import workshop; workshop.connect('chapter_08', fresh=False); print('opened')"
second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
print((second.stdout or second.stderr).splitlines()[-1])
service.stop()

# %%
code = """import sqlite3, sys
table = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
free = "SELECT id FROM jobs WHERE worker IS NULL LIMIT 1"
claim = f"UPDATE jobs SET worker = ? WHERE id = ({free}) RETURNING id"
while taken := table.execute(claim, sys.argv[2:]).fetchall(): print(*taken[0])"""
with sqlite3.connect(path := home() / "claims.sqlite") as table:
    table.executescript("DROP TABLE IF EXISTS jobs; CREATE TABLE jobs (id, worker)")
    table.executemany("INSERT INTO jobs (id) VALUES (?)", [(n,) for n in range(40)])
command = [sys.executable, "-c", code, str(path)]
workers = [subprocess.Popen([*command, w], stdout=subprocess.PIPE, text=True) for w in "AB"]
taken = [id for worker in workers for id in worker.communicate()[0].split()]
print(len(taken), "claimed by two processes,", len(set(taken)), "different")

# %% [markdown]
# ## What we saw
#
# Answer at once, work elsewhere, write it down, say no in time, listen for goodbyes:
# [uploads.py](../app_snippets/uploads.py) does all five, with chapter 09's [jobs.py](../app_snippets/jobs.py).
# Jobs can be shared; a Lite file has one process, and many need a Milvus server (`MILVUS_URI`).
#
# **Recall:** What freezes an event loop? Which promises die with the process? What outlives a time-out?
#
# **On your own data:** upload fifty photos of yours on the page, and stop half-way.
#
# **Next:** [09 · Launch](09_launch.ipynb) · **Before:** [07](07_types.ipynb)
