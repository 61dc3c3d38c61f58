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
# **You will be able to** answer at once and work afterwards, find the line that freezes a service, keep jobs through a
# crash, and say no in time.
#
# **You need** chapter 07: endpoints and models · **Time** 37 min reading, 23 min exercises

# %% [markdown]
# ## A page that does not make you wait · 4 min
#
# Somebody sends sixty photos in one upload. Each photo must be read, turned into a vector and stored. The sender should
# not have to wait for that. The next cell starts a service that works so, and shows its page.

# %%
from app_snippets.uploads import Settings, create_app
from workshop import launch

service = launch(create_app(Settings(name="chapter_08")), height=330, timeout=60)
service

# %% [markdown]
# What the page does, a cell can do too. The list `upload` holds sixty photos: for each of them the name of the form
# field, the file's name and its bytes.

# %%
import httpx

from workshop import datasets

client = httpx.Client(base_url=service.url, timeout=60)
upload = []
for photo in datasets.photos()[:60]:
    upload.append(("files", (photo.path.name, photo.path.read_bytes())))
len(upload)

# %% [markdown]
# **Predict before you run:** how many of the sixty photos are stored when the answer comes?

# %% tags=["nbval-ignore-output"]
accepted = client.post("/photos", files=upload)
place = accepted.headers["location"]
job = client.get(place).json()
print(accepted.status_code, accepted.reason_phrase)
print(job["done"], "of", job["total"], "photos are stored")

# %% [markdown]
# The status is 202 *Accepted*. It means: your request was received, and the work will be done. It does not mean that
# the work is done. A [[job]] is a piece of work that goes on after its request has been answered. The header
# `Location` says where one can ask for it.
#
# [[Polling]] is asking again and again whether something has changed. The next cell polls every tenth of a second.

# %%
import time

while job["finished_at"] is None:
    time.sleep(0.1)
    job = client.get(place).json()
job["state"], job["done"], len(job["failed"])

# %% [markdown]
# The job is done: 60 photos are stored, and none has failed. (If you read slowly, it was done before you asked.)
#
# ## Two moments · 2 min
#
# A user should hear of two moments: *request received*, and later *data uploaded*. We send the photos once more and note
# both.

# %%
begun = time.perf_counter()
accepted = client.post("/photos", files=upload)
received = time.perf_counter() - begun
seen = []
job = {"finished_at": None}
while job["finished_at"] is None:
    job = client.get(accepted.headers["location"]).json()
    seen.append((time.perf_counter() - begun, job["done"]))
    time.sleep(0.1)
client.get("/count").json()

# %% tags=["nbval-ignore-output"]
from workshop import plots

plots.stored_over_time(seen, received)

# %% [markdown]
# The orange line is the moment of the answer 202. At that time hardly a photo was stored. Each blue dot is one question, and
# its height is the number of photos that were stored then.
#
# We sent 120 photos, and 60 are counted. This service uses a hash of a photo's bytes as its id, so the same photo gets
# the same id. A request is [[idempotent]] if sending it twice has the same effect as sending it once.

# %% [markdown]
# ## A connection that speaks first · 3 min
#
# Polling asks when there is nothing new, and it hears late when there is. A [[WebSocket]] is a connection that stays
# open and over which both sides can send at any time. The page draws its bar from one, and so can a cell.

# %%
import json

from tqdm import tqdm
from websockets.sync.client import connect as open_websocket

accepted = client.post("/photos", files=upload)
address = f"ws://127.0.0.1:{service.port}/{accepted.headers['location']}/events"
with open_websocket(address) as news, tqdm(total=60, unit="photo") as bar:
    for job in map(json.loads, news):
        bar.update(job["done"] - bar.n)
job["state"], job["done"]

# %% [markdown]
# Each message is the job as a JSON text, and `map` calls `json.loads` for each. The loop ends when the service closes
# the connection, after the last message. In a page it takes two lines of JavaScript:
# ```js
# const events = new WebSocket(`${job}/events`);
# events.onmessage = ({ data }) => { bar.value = JSON.parse(data).done; };
# ```

# %% [markdown]
# ## One thread, many requests · 4 min
#
# A [[thread]] is a line of work inside a program: it does one thing after another, and a program can have several side by side. In Flask with waitress, each request
# has a thread of its own. uvicorn serves all requests in *one* thread.
#
# An [[event loop]] is a loop that runs many tasks in one thread: it lets one task work until that task waits for
# something, and then the next one. In an `async def`, the word `await` marks these places: *I wait, let others
# work.*

# %% [markdown]
# To [[block]] is to wait or to compute without giving the thread away.

# %%
plots.lanes()

# %% [markdown]
# Time runs to the right, and each square is one turn. The orange L is a load that takes long. The blue a, b, c and d are
# small requests.
#
# In the first row, L awaits, and the small requests have their turns in between. In the second row, L blocks, and the
# small ones wait although they do nothing wrong. In the two lowest rows, L has a second thread, and the event loop stays
# free.

# %% [markdown]
# ## A frozen service · 5 min
#
# Now we measure it. `slow` blocks for two seconds, as a model or a database would. `time.sleep` stands for them, because
# it takes two seconds on every computer.

# %%
from fastapi import FastAPI

frozen_app = FastAPI(title="Frozen")


def slow():
    """Block for two seconds."""
    time.sleep(2)


# %%
@frozen_app.post("/load")
async def load():
    """Work for two seconds."""
    slow()


@frozen_app.get("/progress")
async def progress():
    """Say that the service is there."""
    return {"alive": True}


# %% [markdown]
# A browser asks for the progress every tenth of a second, and it does not wait for an answer before it asks again. We do
# the same with threads: `pool.submit` runs a function in another thread and comes back at once.

# %%
from concurrent.futures import ThreadPoolExecutor


def ask(api, method, path, begun):
    """When a request was sent and when it was answered: two times in seconds after `begun`."""
    sent = time.perf_counter() - begun
    api.request(method, path).raise_for_status()
    return sent, time.perf_counter() - begun


# %%
def watch_load(url):
    """Start a load and ask for the progress 24 times; returns 25 pairs of times, the load first."""
    begun = time.perf_counter()
    with httpx.Client(base_url=url, timeout=30) as api, ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(ask, api, "POST", "/load", begun)]
        for _ in range(24):
            time.sleep(0.1)
            waiting.append(pool.submit(ask, api, "GET", "/progress", begun))
    return [answer.result() for answer in waiting]


# %% [markdown]
# **Predict before you run:** `/progress` computes nothing. How long will it take to answer during the load?

# %% tags=["nbval-ignore-output"]
with launch(frozen_app) as frozen:
    freeze = watch_load(frozen.url)
plots.answers_during_a_load(freeze)

# %% [markdown]
# Each thin line is one question. Its foot stands at the time when it was asked, and its head at the time when it was
# answered. Questions that waited long are orange, and the others blue. The thick black line is the load.
#
# For two seconds nobody got an answer. Then all answers came at once. `async def` around blocking code freezes a service.
#
# There are two ways out. FastAPI runs an endpoint *without* `async` in a thread of its own. And
# `await asyncio.to_thread(function, argument)` hands one call to a thread.

# %% [markdown]
# ### ✍️ Your turn 8.1 · 7 min: break it, fix it: a frozen service
#
# `count(content)` is a function that blocks, and you cannot change it. It takes bytes and returns a whole number. Give the
# app `POST /load`: it takes an upload in the form field `file` and answers `{"count": number}`, where `number` is what
# `count` returns for *all* bytes of this file.
#
# While `count` works, `/progress` must answer, and two uploads at the same time must not get in each other's way.


# %%
from fastapi import UploadFile

from workshop import check


def thawed(count):
    """An app whose POST /load calls `count` and does not block the others."""
    app = FastAPI(title="Thawed")

    @app.get("/progress")
    async def progress():
        return {"alive": True}

    # BEGIN SOLUTION
    @app.post("/load")
    def load(file: UploadFile):
        return {"count": count(file.file.read())}

    # END SOLUTION
    return app


# %% tags=["check"]
check("8.1", thawed)

# %% [markdown]
# ## Five ways to run it · 5 min
#
# There are five usual ways to run work that blocks. The first three answer when the work is done.


# %%
async def in_the_loop():
    """Block the event loop."""
    slow()


# %%
def in_the_pool():
    """Without async: FastAPI runs it in one of its own threads."""
    slow()


# %%
import asyncio


async def in_a_thread():
    """Hand the work to a thread, and await it."""
    await asyncio.to_thread(slow)


# %% [markdown]
# The last two ways answer before the work is done. A [[worker]] is a thread or a program that takes one task after
# another from a queue. A [[queue]] is a list in which tasks wait: the first one in is the first one out.
# `ThreadPoolExecutor(1)` is a worker and its queue in one.

# %%
from fastapi import BackgroundTasks


async def in_background(tasks: BackgroundTasks):
    """FastAPI runs the work after it has sent the answer."""
    tasks.add_task(slow)


# %%
worker = ThreadPoolExecutor(1)


async def in_a_queue():
    """Put the work into the queue of a worker."""
    worker.submit(slow)


# %% [markdown]
# **Predict before you run:** which of the five ways keep `/progress` quick? The cell takes some seconds.


# %%
def app_for(way):
    """An app whose POST /load works in one of the five ways."""
    app = FastAPI(title=way.__name__)
    app.post("/load")(way)  # the same as @app.post("/load") above the function
    app.get("/progress")(progress)
    return app


# %%
measured = {}
for way in tqdm([in_the_loop, in_the_pool, in_a_thread, in_background, in_a_queue]):
    with launch(app_for(way)) as running:
        measured[way.__name__] = watch_load(running.url)

# %% tags=["nbval-ignore-output"]
plots.answers_by_way(measured, seconds=2)

# %% [markdown]
# The grey area is the time in which the load is worked on. Only the first way freezes the service. The word `async` is
# the only difference between the first way and the second.
#
# Look at the thick black lines. In the first three ways they lean over two seconds: the answer comes when the work is
# done. In the last two they stand upright: *request received* comes at once.

# %% [markdown]
# ## Pause
#
# This is a good place for a break. To go on later, from here and without the cells above, run the next cell. It starts
# the service anew, and takes some seconds.

# %% tags=["pause"]
import time

import httpx

from app_snippets.uploads import Settings, create_app
from workshop import check, datasets, launch

service = launch(create_app(Settings(name="chapter_08")), timeout=60)
client = httpx.Client(base_url=service.url, timeout=60)
upload = []
for photo in datasets.photos()[:60]:
    upload.append(("files", (photo.path.name, photo.path.read_bytes())))

# %% [markdown]
# ## Pull the plug · 5 min
#
# What happens to the work when the program ends suddenly, for example when the power fails? The module
# [ways.py](../app_snippets/ways.py) has a service with these ways. `own_process` runs it in a process of its own. A
# [[process]] is a running program with its own memory. We can kill it without harm to this notebook.
#
# First we kill it while a client waits for its answer.

# %%
from concurrent.futures import ThreadPoolExecutor

from app_snippets.ways import own_process

# %%
with own_process() as ways, ThreadPoolExecutor(1) as pool:
    waiting = pool.submit(ways.client.post, "/def")
    time.sleep(0.5)
    ways.kill()
waiting.exception() is not None

# %% [markdown]
# `True`: the client got an error, because its connection broke. At least it knows that something went wrong.
#
# Now the ways that answer at once. The last one puts its jobs into a queue *and* writes them into a table, a file of the
# database SQLite. We send two jobs to it, so that one must wait for the other. All four get a 202.
#
# **Predict before you run:** half a second later we kill the program. Which of the four promises will be kept?

# %%
from workshop.paths import home

(home() / "ways.sqlite").unlink(missing_ok=True)
promised = {}
with own_process() as ways:
    for number, way in enumerate(["background", "queue", "table", "table"]):
        promised[f"{number} {way}"] = ways.client.post(f"/{way}").json()["id"]
    time.sleep(0.5)
    ways.kill()
list(promised)

# %% [markdown]
# We start the program again and ask for each job. The jobs in the table take two seconds each.

# %%
with own_process() as ways:
    while ways.client.get(f"/jobs/{promised['3 table']}").json()["state"] != "done":
        time.sleep(0.1)
    for name, number in promised.items():
        answer = ways.client.get(f"/jobs/{number}")
        print(name, "·", answer.status_code, answer.json().get("state", "unknown"))

# %% [markdown]
# Nobody knows the first two jobs any more: 404. Their promises were broken without a word, because a queue in memory ends
# with its program.
#
# The table has kept the other two. The job that was half done says so: *interrupted*. The one that waited behind it is
# *done*: the new program found it in the table and did it.

# %% [markdown]
# ### ✍️ Your turn 8.2 · 7 min: the morning after
#
# Write `recover(table)`, which a program calls when it starts. `table` is an open SQLite connection with a table
# `jobs(id, state, created_at)`. The ids are texts, and `created_at` is a number of seconds.
#
# - Every job that is `running` becomes `interrupted`. Nothing else changes.
# - The function returns a list of the ids of all jobs that are `queued`, the oldest first.
# - A second crash right afterwards must not undo the change. The connection stays open.
#
# In SQL, `UPDATE jobs SET state = 'x' WHERE id = '7'` changes rows, and `table.commit()` makes it lasting.


# %%
def recover(table):
    """Mark jobs that were cut off; returns the ids of those that wait, oldest first, a list."""
    # BEGIN SOLUTION
    table.execute("UPDATE jobs SET state = 'interrupted' WHERE state = 'running'")
    table.commit()
    rows = table.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY created_at")
    return [row[0] for row in rows]
    # END SOLUTION


# %% tags=["check"]
check("8.2", recover)

# %% [markdown]
# ## No in time · 3 min
#
# A queue without a limit says yes to everybody. In the next cell a hundred uploads of 100 kB arrive, and nobody works
# them off.

# %%
import queue

from fastapi import FastAPI, UploadFile

endless = queue.SimpleQueue()
greedy_app = FastAPI(title="Greedy")


# %%
@greedy_app.post("/photos", status_code=202)
def take(file: UploadFile):
    """Put an upload into the queue."""
    endless.put(file.file.read())


# %% [markdown]
# **Predict before you run:** what is the hundredth client told?

# %%
with launch(greedy_app) as greedy, httpx.Client(base_url=greedy.url, timeout=30) as api:
    for _ in range(100):
        last = api.post("/photos", files={"file": bytes(100_000)})
last.status_code, endless.qsize()

# %% [markdown]
# All of them are told 202. Their 100 uploads take 10 MB of memory. If a worker needs three seconds for each, the last
# client waits for five minutes, and the queue grows all the time.
#
# [[Backpressure]] means that a service lets its clients feel that it is full. The queue has a limit, and whoever finds it
# full gets a 503 at once. The header `Retry-After` says after how many seconds to try again.

# %% [markdown]
# ### ✍️ Your turn 8.3 · 9 min: 202, or an honest no
#
# Write `upload_app(jobs, work)`. `jobs` is a dictionary, `work` a `queue.Queue` with a limit. The app has
# `POST /photos`, which takes files in the form field `files` and makes a job: a dictionary with a new `id` (a text),
# `"state": "queued"` and the number of files as `"total"`.

# %% [markdown]
# It answers in one of two ways, and many clients may send at once:
#
# - With room, `(job, contents)` goes into `work`, where `contents` lists the bytes of each file, and the same dictionary
#   into `jobs` under its id. The answer is 202 with `Location: jobs/{id}`.
# - Without, it is 503 at once, with `Retry-After` in whole seconds, and `jobs` stays as it was.


# %%
from uuid import uuid4

from fastapi import HTTPException, Response


def upload_app(jobs, work):
    """An app that takes uploads into a queue with a limit."""
    app = FastAPI(title="Uploads")
    # BEGIN SOLUTION

    @app.post("/photos", status_code=202)
    def add(files: list[UploadFile], response: Response):
        job = {"id": uuid4().hex, "state": "queued", "total": len(files)}
        contents = [one.file.read() for one in files]
        try:
            work.put_nowait((job, contents))
        except queue.Full:
            raise HTTPException(503, "Too many wait.", {"Retry-After": "5"}) from None
        jobs[job["id"]] = job
        response.headers["Location"] = f"jobs/{job['id']}"

    # END SOLUTION
    return app


# %% tags=["check"]
check("8.3", upload_app)

# %% [markdown]
# ## Enough · 4 min
#
# A [[time-out]] is a limit to waiting. The next function stores a photo and takes one second for it.

# %%
import asyncio

stored = []


def store_photo():
    """Take a second, then store a photo."""
    time.sleep(1)
    stored.append("photo")


# %% [markdown]
# A cell may `await`, as an `async def` may. `asyncio.timeout(0.3)` raises `TimeoutError` in its block after 0.3 seconds.
#
# **Predict before you run:** we give up after 0.3 seconds. Is the photo stored all the same?

# %%
stored.clear()
try:
    async with asyncio.timeout(0.3):
        await asyncio.to_thread(store_photo)
except TimeoutError:
    print("given up, stored:", stored)
await asyncio.sleep(1)
print("later,    stored:", stored)

# %% [markdown]
# It is stored. A time-out ends the waiting and not the work: nothing can stop a thread from outside. In the same way, a
# client that goes away stops nobody.
#
# So the work itself must look, between two photos, whether it should stop. `DELETE /jobs/{id}` tells it to.

# %%
accepted = client.post("/photos", files=upload)
job = client.delete(accepted.headers["location"]).json()

# %%
while job["finished_at"] is None:
    time.sleep(0.05)
    job = client.get(accepted.headers["location"]).json()
job["state"], job["done"] == job["total"]

# %% [markdown]
# The job was *interrupted*, and not all photos are done. What was stored before stays.
#
# How many, how large, how long: all limits of a service are settings. Each can be set from outside, as an environment
# variable such as `UPLOADS_MAX_WAITING`, and is checked when the service starts.

# %%
Settings().max_files, Settings().max_file_bytes, Settings().max_waiting

# %% tags=["raises-exception"]
Settings(max_waiting=0)

# %% [markdown]
# A limit of 0 is refused at the start, with the name of the setting and the reason. At the end we stop the service.

# %%
service.stop()
service.running

# %% [markdown]
# ## What we saw · 2 min
#
# Answer at once and work elsewhere. Write down what you have promised. Say no in time. Chapter 09's service does all of
# this, in [jobs.py](../app_snippets/service/jobs.py).
#
# **Recall:** What freezes an event loop? Which promises end with the process? What does a time-out not end?
#
# <details><summary>Answers</summary>
#
# 1. Code that waits or computes in it without `await`: it blocks the one thread.
# 2. Those that are only in memory: `BackgroundTasks` and a queue in memory.
# 3. The work. Only the waiting ends.
#
# </details>
#
# **On your own data:** upload fifty photos of yours on the page, and stop half-way.
#
# **Next:** [09 · Launch a service from a cell](09_launch.ipynb) · **Before:** [07 · Types are the contract](07_types.ipynb)

# %% [markdown]
# ## Going deeper
#
# This part takes about 25 minutes with its exercise. No later chapter needs it.
#
# ### A client that leaves
#
# Laptops are closed, and trains enter tunnels. In the next cells three clients watch a job that has no news, and leave.

# %%
import asyncio

from fastapi import WebSocket

handlers = []
ghost_app = FastAPI(title="Ghosts")


# %%
@ghost_app.websocket("/events")
async def tell(websocket: WebSocket):
    """Wait two seconds for news."""
    handlers.append(asyncio.current_task())
    await websocket.accept()
    await asyncio.sleep(2)


# %% [markdown]
# **Predict before you run:** the clients have gone. How many of the three handlers are still at work?

# %%
from websockets.sync.client import connect as open_websocket

handlers.clear()
with launch(ghost_app) as ghosts:
    for _ in range(3):
        open_websocket(f"ws://127.0.0.1:{ghosts.port}/events").close()
    at_work = [handler for handler in handlers if not handler.done()]
    print(len(at_work), "handlers at work")

# %% [markdown]
# All three are at work, and nobody is there. `tell` never listens. Only `receive` hears that a client has gone, as long as
# nothing is sent.

# %% [markdown]
# ### ✍️ Your turn 8.4 · 12 min: no ghosts
#
# Write `async def events(websocket, read)`, which tells one client of a job. `read()` returns the job as a new dictionary
# each time and does not block. The client sends nothing but its goodbye.
#
# - Accept the connection, and send `read()` as JSON at once.
# - Then look every 0.1 seconds, and send the job whenever it differs from what *this* client was sent last.
# - Close the connection after a job with `finished_at` has been sent.
# - End when the client leaves, also if nothing changes, and leave no task behind. Never block the loop.


# %%
async def events(websocket, read):
    """Tell a client what is new of a job, until the job ends or the client leaves."""
    # BEGIN SOLUTION
    await websocket.accept()
    gone = asyncio.create_task(websocket.receive())
    last = None
    while not gone.done():
        job = read()
        if job != last:
            await websocket.send_json(job)
            last = job
        if job["finished_at"]:
            await websocket.close()
            break
        await asyncio.wait({gone}, timeout=0.1)
    gone.cancel()
    # END SOLUTION


# %% tags=["check"]
check("8.4", events)

# %% [markdown]
# ### More than one process
#
# `uvicorn --workers 4` starts four processes. Each has its own event loop, its own memory and its own queue. We start two
# and put a job into the memory of one.
#
# **Predict before you run:** what does the other process know of it?

# %%
with own_process() as one, own_process() as other:
    in_memory = one.client.post("/queue").json()["id"]
    in_table = one.client.post("/table").json()["id"]
    print("in memory:", other.client.get(f"/jobs/{in_memory}").status_code)
    print("in a table:", other.client.get(f"/jobs/{in_table}").status_code)

# %% [markdown]
# The other process does not know the job in memory: 404. It finds the job in the table, because both use the same file.
#
# Processes that share a table must not take the same job. To [[claim]] a job is to find a free one and to take it in one
# step, so that no two workers get the same. [claims.py](../app_snippets/claims.py) does it with one SQL statement.

# %%
import sqlite3

shared = home() / "claims.sqlite"
shared.unlink(missing_ok=True)
with sqlite3.connect(shared) as database:
    database.execute("CREATE TABLE jobs (id, worker)")
    for number in range(40):
        database.execute("INSERT INTO jobs (id) VALUES (?)", (number,))
database.close()

# %%
import subprocess
import sys

command = [sys.executable, "-m", "app_snippets.claims", str(shared)]
first = subprocess.Popen([*command, "first"], stdout=subprocess.PIPE, text=True)
second = subprocess.Popen([*command, "second"], stdout=subprocess.PIPE, text=True)
claimed = first.communicate()[0].split() + second.communicate()[0].split()
len(claimed), len(set(claimed))

# %% [markdown]
# Two processes claimed 40 jobs, and all 40 are different. Programs such as RQ and Celery are queues of this kind, grown
# up.
#
# Can two processes share the file of Milvus Lite too? The next cell opens it here, and then in a second process.

# %%
from workshop import connect

lite = connect("chapter_08", fresh=False)
code = "import workshop; workshop.connect('chapter_08', fresh=False)"
attempt = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
lite.close()
print(attempt.stderr.splitlines()[-1])

# %% [markdown]
# They cannot: a Milvus Lite file belongs to one process at a time. Many processes need a Milvus server, whose address
# stands in `MILVUS_URI`.
