"""Planted wrong answers of chapter 08: each must be caught, and named by its mistake."""

import asyncio
import queue
import time
from uuid import uuid4

from fastapi import BackgroundTasks, FastAPI, HTTPException, Response, UploadFile

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


# --- 8.2


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


# --- 8.3


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


# --- 8.4


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


WRONG = {
    "8.1": [
        (still_in_the_loop, "still runs in the thread of the event loop"),
        (result_handed_to_the_thread, "still runs in the thread of the event loop"),
        (a_turn_before_it_blocks, "still runs in the thread of the event loop"),
        (wrapped_in_a_coroutine, "still runs in the thread of the event loop"),
        (after_the_answer, "before `count` was done"),
        (not_awaited, "before `count` was done"),
        (the_file_object, "not the bytes of the file"),
        (never_counted, "`count` was never called"),
        (bare_number, 'not {"count": 12}'),
        (no_endpoint, "there is no `POST /load`"),
        (no_app, "returns nothing"),
    ],
    "8.2": [
        (recovering(INTERRUPT, commit=False), "is the change committed"),
        (recovering(), "is the change committed"),
        (recovering("DELETE FROM jobs WHERE state = 'running'"), "is gone from the table"),
        (recovering("UPDATE jobs SET state = 'interrupted'"), "only running ones change"),
        (recovering("UPDATE jobs SET state = 'queued' WHERE state = 'running'"), "'queued', not"),
        (recovering(INTERRUPT, where="state IN ('queued', 'interrupted')"), "it was half done"),
        (recovering(INTERRUPT, where="state != 'interrupted'"), "it was"),
        (recovering(INTERRUPT, order="rowid"), "oldest first"),
        (recovering(INTERRUPT, order="created_at DESC"), "oldest first"),
        (recovering(INTERRUPT, where="0"), "0 came back"),
        (rows_not_ids, "a list of rows"),
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
        (asks_first, "the service broke (500)"),
        (too_many_requests, "not a 400"),
        (one_id_for_all, "the same job id"),
        (lambda jobs, work: FastAPI(), "no `POST /photos`"),
    ],
    "8.4": [
        (never_listens, "a ghost"),
        (waits_for_a_word, "a change was not told"),
        (says_it_again, "told once more"),
        (never_rests, "times in a second"),
        (blocks, "hardly moves"),
        (never_closes, "stays open"),
        (not_accepted, "is it accepted?"),
        (only_the_end, "the state at the start was not told"),
        (raises_at_the_goodbye, "no one is there"),
    ],
}
