"""What people answer in chapter 08."""

import asyncio
import queue
import threading
import time
from typing import Annotated
from uuid import uuid4

from fastapi import (
    BackgroundTasks,
    FastAPI,
    File,
    HTTPException,
    Response,
    UploadFile,
    WebSocketDisconnect,
)
from fastapi.responses import JSONResponse

# --- 8.1


def loads(endpoint_for):
    def thawed(count):
        app = FastAPI()

        @app.get("/progress")
        async def progress():
            return {"alive": True}

        endpoint = endpoint_for(count)
        if endpoint:
            app.post("/load")(endpoint)
        return app

    return thawed


@loads
def still_in_the_loop(count):
    async def load(file: UploadFile):
        return {"count": count(await file.read())}

    return load


@loads
def result_handed_to_the_thread(count):
    async def load(file: UploadFile):
        return {"count": await asyncio.to_thread(lambda n: n, count(await file.read()))}

    return load


@loads
def a_turn_before_it_blocks(count):
    async def load(file: UploadFile):
        await asyncio.sleep(0)
        return {"count": count(await file.read())}

    return load


@loads
def wrapped_in_a_coroutine(count):
    async def counted(content):
        return count(content)

    async def load(file: UploadFile):
        return {"count": await asyncio.create_task(counted(await file.read()))}

    return load


@loads
def after_the_answer(count):
    async def load(file: UploadFile, tasks: BackgroundTasks):
        tasks.add_task(count, await file.read())
        return {"count": None}

    return load


@loads
def not_awaited(count):
    async def load(file: UploadFile):
        waiting = asyncio.create_task(asyncio.to_thread(count, await file.read()))
        return {"count": waiting.done()}

    return load


@loads
def the_file_object(count):
    def load(file: UploadFile):
        return {"count": count(file.file)}

    return load


@loads
def never_counted(count):
    async def load(file: UploadFile):
        return {"count": len(await file.read())}

    return load


@loads
def bare_number(count):
    def load(file: UploadFile):
        return count(file.file.read())

    return load


@loads
def no_endpoint(count):
    return None


def no_app(count):
    FastAPI().get("/progress")(lambda: {"alive": True})


def a_def_endpoint(count):
    app = FastAPI()
    app.get("/progress")(lambda: {"alive": True})

    @app.post("/load")
    def load(file: UploadFile):
        return {"count": count(file.file.read())}

    return app


@loads
def to_a_thread(count):
    async def load(file: UploadFile):
        content = await file.read()
        return {"count": await asyncio.to_thread(count, content)}

    return load


@loads
def with_an_executor(count):
    async def load(file: UploadFile):
        loop = asyncio.get_running_loop()
        number = await loop.run_in_executor(None, count, await file.read())
        return JSONResponse({"count": number})

    return load


@loads
def raw_bytes(count):
    def load(file: Annotated[bytes, File()]):
        return {"count": count(file)}

    return load


@loads
def only_the_beginning(count):
    async def load(file: UploadFile):
        return {"count": await asyncio.to_thread(count, await file.read(1024))}

    return load


@loads
def remembered(count):
    known = []

    async def load(file: UploadFile):
        if not known:
            known.append(await asyncio.to_thread(count, await file.read()))
        return {"count": known[0]}

    return load


@loads
def shared_by_all(count):
    last = {}

    async def load(file: UploadFile):
        last["content"] = await file.read()
        last["count"] = await asyncio.to_thread(count, last["content"])
        await asyncio.sleep(0.05)
        return {"count": len(last["content"])}

    return load


@loads
def text_of_it(count):
    def load(file: UploadFile):
        return {"count": count(file.file.read().decode("latin-1"))}

    return load


@loads
def slips(count):
    def load(file: UploadFile):
        return {"number": count(file.content)}

    return load


# --- 8.2


def with_a_block(table):
    with table:
        table.execute("UPDATE jobs SET state = ? WHERE state = ?", ("interrupted", "running"))
        rows = table.execute("SELECT id, created_at FROM jobs WHERE state = 'queued'").fetchall()
    return [row[0] for row in sorted(rows, key=lambda row: row[1])]


def row_by_row(table):
    cursor = table.cursor()
    for (id,) in cursor.execute("SELECT id FROM jobs WHERE state = 'running'").fetchall():
        cursor.execute("UPDATE jobs SET state = 'interrupted' WHERE id = ?", (id,))
    table.commit()
    found = cursor.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY created_at ASC")
    return list(map(lambda row: row[0], found.fetchall()))


def with_a_script(table):
    table.executescript("UPDATE jobs SET state = 'interrupted' WHERE state = 'running';")
    ids = []
    for row in table.execute("SELECT * FROM jobs WHERE state = 'queued' ORDER BY created_at"):
        ids.append(row[0])
    return ids


def recovering(*statements, order="created_at", commit=True, where="state = 'queued'"):
    def recover(table):
        for statement in statements:
            table.execute(statement)
        if commit:
            table.commit()
        return [
            id for (id,) in table.execute(f"SELECT id FROM jobs WHERE {where} ORDER BY {order}")
        ]

    return recover


INTERRUPT = "UPDATE jobs SET state = 'interrupted' WHERE state = 'running'"


def rows_not_ids(table):
    recovering(INTERRUPT)(table)
    rows = table.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY created_at")
    return rows.fetchall()


def no_answer(table):
    recovering(INTERRUPT)(table)


def takes_them_out(table):
    ids = recovering(INTERRUPT)(table)
    table.execute("UPDATE jobs SET state = 'running' WHERE state = 'queued'")
    table.commit()
    return ids


def closes_it(table):
    ids = with_a_block(table)
    table.close()
    return ids


def one_only(table):
    table.execute(
        "UPDATE jobs SET state = 'interrupted' WHERE id = "
        "(SELECT id FROM jobs WHERE state = 'running' LIMIT 1)"
    )
    table.commit()
    return with_a_script_only_read(table)


def with_a_script_only_read(table):
    rows = table.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY created_at")
    return [row[0] for row in rows]


def a_generator(table):
    return (id for id in with_a_block(table))


def by_the_letters(table):
    with_a_block(table)
    rows = table.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY created_at || ''")
    return [row[0] for row in rows]


# --- 8.3


def with_a_lock(jobs, work):
    app, lock = FastAPI(), threading.Lock()

    @app.post("/photos")
    def add(files: list[UploadFile]):
        contents = [file.file.read() for file in files]
        with lock:
            if work.full():
                return JSONResponse({"detail": "full"}, 503, {"Retry-After": "10"})
            job = {"id": str(uuid4()), "state": "queued", "total": len(contents)}
            work.put((job, contents))
            jobs[job["id"]] = job
        return JSONResponse(job, 202, {"Location": "jobs/" + job["id"]})

    return app


def in_the_event_loop(jobs, work):
    app = FastAPI()

    @app.post("/photos", status_code=202)
    async def add(response: Response, files: Annotated[list[UploadFile], File()]):
        contents = [await file.read() for file in files]
        number = uuid4().hex
        jobs[number] = {"id": number, "state": "queued", "total": len(contents)}
        try:
            work.put((jobs[number], contents), block=False)
        except queue.Full as full:
            del jobs[number]
            raise HTTPException(503, "come back", headers={"Retry-After": "1"}) from full
        response.headers["Location"] = f"jobs/{number}"
        return {"job_id": number}

    return app


def uploading(put=None, location="jobs/{id}", retry=True, status=202, early=False, raw=False):
    def upload_app(jobs, work):
        app = FastAPI()

        @app.post("/photos", status_code=status)
        def add(files: list[UploadFile], response: Response):
            job = {"id": uuid4().hex, "state": "queued", "total": len(files)}
            if early:
                jobs[job["id"]] = job
            try:
                contents = files if raw else [file.file.read() for file in files]
                (put or type(work).put_nowait)(work, (job, contents))
            except queue.Full:
                headers = {"Retry-After": "5"} if retry else {}
                raise HTTPException(503, "Too many wait.", headers) from None
            jobs[job["id"]] = job
            if location:
                response.headers["Location"] = location.format(id=job["id"])

        return app

    return upload_app


def asks_first(jobs, work):
    def put(work, task):
        if work.full():
            raise queue.Full
        if len(work.queue) == work.maxsize:
            raise RuntimeError("what put_nowait raises and nobody catches")
        work.put_nowait(task)

    return uploading(put)(jobs, work)


def drops_it(work, task):
    if len(work.queue) < work.maxsize:
        work.put_nowait(task)


def copies_the_job(work, task):
    work.put_nowait((dict(task[0]), task[1]))


def too_many_requests(jobs, work):
    app = FastAPI()

    @app.post("/photos", status_code=202)
    def add(files: list[UploadFile], response: Response):
        job = {"id": uuid4().hex, "state": "queued", "total": len(files)}
        try:
            work.put_nowait((job, [file.file.read() for file in files]))
        except queue.Full:
            raise HTTPException(400, "full") from None
        jobs[job["id"]] = job
        response.headers["Location"] = f"jobs/{job['id']}"

    return app


def one_id_for_all(jobs, work):
    app = FastAPI()

    @app.post("/photos", status_code=202)
    def add(files: list[UploadFile], response: Response):
        jobs["1"] = {"id": "1", "state": "queued", "total": len(files)}
        work.put_nowait((jobs["1"], [file.file.read() for file in files]))
        response.headers["Location"] = "jobs/1"

    return app


def counted_ids(jobs, work):
    app = FastAPI()

    @app.post("/photos", status_code=202)
    def add(files: list[UploadFile], response: Response):
        job = {"id": str(len(jobs)), "state": "queued", "total": len(files)}
        try:
            work.put_nowait((job, [file.file.read() for file in files]))
        except queue.Full:
            raise HTTPException(503, "full", {"Retry-After": "5"}) from None
        jobs[job["id"]] = job
        response.headers["Location"] = f"jobs/{job['id']}"

    return app


def checks_then_puts(jobs, work):
    def put(work, task):
        if work.full():
            raise queue.Full
        try:
            work.put_nowait(task)
        except queue.Full:
            raise RuntimeError("somebody was quicker") from None

    return uploading(put)(jobs, work)


def total_is_bytes(work, task):
    task[0]["total"] = sum(map(len, task[1]))
    work.put_nowait(task)


# --- 8.4


async def with_wait_for(websocket, read):
    await websocket.accept()
    sent = None
    while True:
        state = read()
        if state != sent:
            await websocket.send_json(state)
            sent = state
        if state["finished_at"] is not None:
            return await websocket.close()
        try:
            message = await asyncio.wait_for(websocket.receive(), 0.1)
        except TimeoutError:
            continue
        if message["type"] == "websocket.disconnect":
            return None


async def with_two_tasks(websocket, read):
    await websocket.accept()

    async def tell():
        sent = None
        while True:
            job = read()
            if job != sent:
                await websocket.send_json(job)
            if job["finished_at"]:
                break
            sent = job
            await asyncio.sleep(0.1)
        await websocket.close()

    async def listen():
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            return

    tasks = [asyncio.create_task(tell()), asyncio.create_task(listen())]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


_sent_by_all = {}


async def remembers_for_all(websocket, read):
    await websocket.accept()
    gone = asyncio.create_task(websocket.receive())
    while not gone.done():
        if (job := read()) != _sent_by_all.get("job"):
            await websocket.send_json(job)
            _sent_by_all["job"] = job
        if job["finished_at"]:
            await websocket.close()
            break
        await asyncio.wait({gone}, timeout=0.1)
    gone.cancel()


async def a_task_each_time(websocket, read):
    await websocket.accept()
    last = None
    while True:
        if (job := read()) != last:
            await websocket.send_json(job)
            last = job
        if job["finished_at"]:
            return await websocket.close()
        asyncio.create_task(asyncio.sleep(3600))  # noqa: RUF006
        gone = asyncio.create_task(websocket.receive())
        await asyncio.wait({gone}, timeout=0.1)
        if gone.done():
            return None
        gone.cancel()


async def looks_too_seldom(websocket, read):
    await watching(websocket, read, pause=1.0)


def no_coroutine(websocket, read):
    websocket.accept()


async def never_listens(websocket, read):
    await websocket.accept()
    last = None
    while True:
        if (job := read()) != last:
            await websocket.send_json(job)
            last = job
        if job["finished_at"]:
            return await websocket.close()
        await asyncio.sleep(0.1)


async def watching(websocket, read, pause=0.1, always=False, close=True, block=0.0):
    await websocket.accept()
    gone, last = asyncio.create_task(websocket.receive()), None
    while not gone.done():
        if (job := read()) != last or always:
            await websocket.send_json(job)
            last = job
        if job["finished_at"] and close:
            return await websocket.close()
        time.sleep(block)  # noqa: ASYNC251
        await asyncio.wait({gone}, timeout=pause)
    return None


async def waits_for_a_word(websocket, read):
    await websocket.accept()
    while True:
        await websocket.send_json(read())
        await websocket.receive()


async def says_it_again(websocket, read):
    await watching(websocket, read, always=True)


async def never_rests(websocket, read):
    await watching(websocket, read, pause=0.001)


async def blocks(websocket, read):
    await watching(websocket, read, pause=0, block=0.1)


async def never_closes(websocket, read):
    await watching(websocket, read, close=False)


async def not_accepted(websocket, read):
    await websocket.send_json(read())


async def only_the_end(websocket, read):
    await websocket.accept()
    while not (job := read())["finished_at"]:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await websocket.send_json(job)
    await websocket.close()


async def raises_at_the_goodbye(websocket, read):
    await watching(websocket, read)
    raise RuntimeError("no one is there")


RIGHT = {
    "8.1": [a_def_endpoint, to_a_thread, with_an_executor, raw_bytes],
    "8.2": [with_a_block, row_by_row, with_a_script],
    "8.3": [uploading(), with_a_lock, in_the_event_loop],
    "8.4": [watching, with_wait_for, with_two_tasks],
}
WRONG = {
    "8.1": [
        (still_in_the_loop, "still runs in the thread of the event loop"),
        (result_handed_to_the_thread, "still runs in the thread of the event loop"),
        (a_turn_before_it_blocks, "still runs in the thread of the event loop"),
        (wrapped_in_a_coroutine, "still runs in the thread of the event loop"),
        (after_the_answer, "before `count` was done"),
        (not_awaited, "before `count` was done"),
        (the_file_object, "not the bytes of the file"),
        (text_of_it, "not the bytes of the file"),
        (only_the_beginning, "not all of it"),
        (remembered, "`POST /load` answered"),
        (shared_by_all, "`POST /load` answered"),
        (never_counted, "`count` was never called"),
        (bare_number, 'not {"count": 12}'),
        (slips, "has no attribute 'content'"),
        (no_endpoint, "there is no `POST /load`"),
        (no_app, "returns nothing"),
    ],
    "8.2": [
        (recovering(INTERRUPT, commit=False), "is the change committed"),
        (recovering(), "is the change committed"),
        (one_only, "is every such job changed"),
        (recovering("DELETE FROM jobs WHERE state = 'running'"), "is gone from the table"),
        (recovering("UPDATE jobs SET state = 'interrupted'"), "only running ones change"),
        (recovering("UPDATE jobs SET state = 'queued' WHERE state = 'running'"), "'queued', not"),
        (
            recovering(INTERRUPT.replace(" WHERE", ", created_at = 0 WHERE")),
            "only the state changes",
        ),
        (recovering(INTERRUPT, where="state IN ('queued', 'interrupted')"), "it was interrupted"),
        (recovering(INTERRUPT, where="state != 'interrupted'"), "it was"),
        (recovering(INTERRUPT, order="rowid"), "oldest first"),
        (recovering(INTERRUPT, order="id"), "oldest first"),
        (recovering(INTERRUPT, order="created_at DESC"), "oldest first"),
        (by_the_letters, "oldest first"),
        (recovering(INTERRUPT, where="0"), "0 came back"),
        (rows_not_ids, "a list of rows"),
        (a_generator, "a list of ids is wanted"),
        (closes_it, "the connection is closed"),
        (no_answer, "returns nothing"),
        (takes_them_out, "only running ones change"),
    ],
    "8.3": [
        (uploading(queue.Queue.put), "it waits for a place"),
        (uploading(drops_it), "got a 202 all the same"),
        (uploading(copies_the_job), "another dict"),
        (uploading(location=None), "no `Location`"),
        (uploading(location="/jobs/{id}"), "`jobs/` and the id"),
        (uploading(location="jobs/job-{id}"), "no such id"),
        (uploading(retry=False), "no `Retry-After`"),
        (uploading(status=200), "gets 200, not 202"),
        (uploading(early=True), "queued for ever"),
        (uploading(raw=True), "not the bytes of the files"),
        (uploading(total_is_bytes), "the job is"),
        (asks_first, "another request may take the last place"),
        (checks_then_puts, "another request may take the last place"),
        (too_many_requests, "not a 400"),
        (one_id_for_all, "the same job id"),
        (counted_ids, "an id came back"),
        (lambda jobs, work: FastAPI(), "no `POST /photos`"),
    ],
    "8.4": [
        (never_listens, "a ghost"),
        (waits_for_a_word, "0 times in about a second"),
        (says_it_again, "told once more"),
        (never_rests, "times in a second"),
        (looks_too_seldom, "look every 0.1 s"),
        (blocks, "a pause is `await`ed"),
        (never_closes, "stays open"),
        (not_accepted, "is it accepted?"),
        (only_the_end, "the state at the start was not told"),
        (remembers_for_all, "was not told"),
        (a_task_each_time, "leaves a task behind"),
        (raises_at_the_goodbye, "no one is there"),
        (no_coroutine, "is an `async def`"),
    ],
}
