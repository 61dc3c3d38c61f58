"""Planted wrong answers of chapter 09: each must be caught, and named by its mistake."""

import asyncio
import socket
import threading
import time

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse

# --- 9.1


def the_first_answer(api, accepted):
    return api.get(accepted.headers["location"]).json()


def not_even_asked(api, accepted):
    return accepted.json()


def until_all_are_done(api, accepted):
    while True:
        job = api.get(accepted.headers["location"]).json()
        if job["done"] == job["total"]:
            return job
        time.sleep(0.1)


def without_a_pause(api, accepted):
    while not (job := api.get(accepted.headers["location"]).json())["finished_at"]:
        pass
    return job


def any_end_is_fine(api, accepted):
    while not (job := api.get(accepted.headers["location"]).json())["finished_at"]:
        time.sleep(0.1)
    return job


def only_done_ends(api, accepted):
    while True:
        answer = api.get(accepted.headers["location"])
        if answer.status_code == 410:
            raise RuntimeError("410")
        if answer.is_success and answer.json()["state"] == "done":
            return answer.json()
        time.sleep(0.06)


def status_unread(api, accepted):
    while True:
        job = api.get(accepted.headers["location"]).json()
        if job.get("state") in ("failed", "interrupted"):
            raise RuntimeError(job["state"])
        if job.get("finished_at", True):
            return job
        time.sleep(0.1)


def patient_with_a_404(api, accepted):
    while True:
        answer = api.get(accepted.headers["location"])
        if answer.status_code == 410:
            raise RuntimeError("410")
        if answer.is_success and answer.json()["finished_at"]:
            if answer.json()["state"] != "done":
                raise RuntimeError
            return answer.json()
        time.sleep(0.06)


# --- 9.2


def server_for(app):
    return uvicorn.Server(uvicorn.Config(app, log_level="critical"))


def in_a_thread(app, host="127.0.0.1", port=0, daemon=True, wait=True, tell=True, shared=None):
    sock = socket.create_server((host, port))
    server = server_for(app)

    def run():
        with asyncio.Runner() as runner:
            runner.run(server.serve(sockets=[sock]))

    thread = threading.Thread(target=run, daemon=daemon)
    thread.start()

    def stop():
        server.should_exit = tell
        if shared is not None:
            for other in shared:
                other.should_exit = True
        if wait:
            thread.join()

    if shared is not None:
        shared.append(server)
    return f"http://127.0.0.1:{sock.getsockname()[1]}", stop


def in_the_callers_loop(app):
    sock = socket.create_server(("127.0.0.1", 0))
    server = server_for(app)
    asyncio.get_running_loop().create_task(server.serve(sockets=[sock]))

    def stop():
        server.should_exit = True

    return f"http://127.0.0.1:{sock.getsockname()[1]}", stop


def only_the_address(app):
    url, stop = in_a_thread(app)
    stop()
    return url


def open_to_all(app):
    return in_a_thread(app, host="0.0.0.0")


def outlives_the_kernel(app):
    return in_a_thread(app, daemon=False)


def never_told_to_end(app):
    return in_a_thread(app, wait=False, tell=False)


def does_not_wait(app):
    return in_a_thread(app, wait=False)


_all_servers = []


def all_end_together(app):
    return in_a_thread(app, shared=_all_servers)


# --- 9.3


def shelf(read):
    def shelf_app(items):
        app = FastAPI()
        app.get("/items/{id}")(read(items))
        return app

    return shelf_app


@shelf
def always_fine(items):
    def read(id: str):
        try:
            return {"name": items[int(id)]}
        except Exception as error:
            return {"error": str(error)}

    return read


@shelf
def only_unknown_ids(items):
    def read(id: str):
        if not id.isdecimal():
            return {"error": "no number"}
        if int(id) not in items:
            raise HTTPException(404, f"no item {id}")
        return {"name": items[int(id)]}

    return read


@shelf
def everything_is_404(items):
    def read(id: str):
        try:
            return {"name": items[int(id)]}
        except Exception:
            raise HTTPException(404, f"no item {id}") from None

    return read


@shelf
def disk_is_404(items):
    def read(id: int):
        try:
            return {"name": items[id]}
        except Exception:
            raise HTTPException(404, f"no item {id}") from None

    return read


@shelf
def talkative(items):
    def read(id: int):
        try:
            return {"name": items[id]}
        except KeyError:
            raise HTTPException(404, f"no item {id}") from None
        except Exception as error:
            raise HTTPException(500, str(error)) from error

    return read


@shelf
def nameless(items):
    def read(id: int):
        if id not in items:
            raise HTTPException(404)
        return {"name": items[id]}

    return read


@shelf
def unknown_is_500(items):
    def read(id: int):
        return {"name": items[id]}

    return read


@shelf
def no_detail(items):
    def read(id: int):
        if id not in items:
            return JSONResponse({"error": f"no item {id}"}, 404)
        return {"name": items[id]}

    return read


def forgets_to_return(items):
    FastAPI().get("/items/{id}")(lambda id: items[id])


WRONG = {
    "9.1": [
        (the_first_answer, "while the job was queued"),
        (not_even_asked, "nobody asked"),
        (until_all_are_done, "while the job was running"),
        (without_a_pause, "no pause"),
        (any_end_is_fine, "ended as `failed`"),
        (only_done_ends, "again and again"),
        (status_unread, "answered 404, and that came back"),
        (patient_with_a_404, "was asked"),
    ],
    "9.2": [
        (in_the_callers_loop, "a plain client gets no answer"),
        (only_the_address, "two things"),
        (lambda app: ("http://127.0.0.1", lambda: None), "has no port"),
        (open_to_all, "other machines"),
        (outlives_the_kernel, "no daemon"),
        (never_told_to_end, "still in use"),
        (does_not_wait, "still in use"),
        (all_end_together, "stopped the other"),
    ],
    "9.3": [
        (always_fine, "still gets a 200"),
        (only_unknown_ids, "`two`, which is no number, still gets a 200"),
        (everything_is_404, "not a 422"),
        (disk_is_404, "as if the client were at fault"),
        (talkative, "tells a stranger"),
        (nameless, "does not name the id"),
        (unknown_is_500, "an unknown id gets a 500"),
        (no_detail, "has no `detail`"),
        (forgets_to_return, "returns nothing"),
    ],
}
