"""What people answer in chapter 09."""

import asyncio
import socket
import threading
import time
from typing import Annotated

import uvicorn
from fastapi import FastAPI, HTTPException, Path
from fastapi.responses import JSONResponse

# --- 9.1


def step_by_step(api, accepted):
    place = accepted.headers["location"]
    job = api.get(place).raise_for_status().json()
    while job["finished_at"] is None:
        time.sleep(0.1)
        job = api.get(place).raise_for_status().json()
    if job["state"] != "done":
        raise RuntimeError(job["state"])
    return job


def with_pauses_first(api, accepted):
    while True:
        time.sleep(0.1)
        answer = api.get(accepted.headers["Location"])
        if answer.status_code != 200:
            raise RuntimeError(f"status {answer.status_code}")
        job = answer.json()
        if job["finished_at"]:
            if job["state"] in ("failed", "interrupted"):
                raise RuntimeError("no good end")
            return job


def with_recursion(api, accepted):
    answer = api.get(accepted.headers["location"])
    answer.raise_for_status()
    job = answer.json()
    if not job["finished_at"]:
        time.sleep(0.1)
        return with_recursion(api, accepted)
    if job["state"] != "done":
        raise RuntimeError
    return job


def only_the_state(api, accepted):
    return step_by_step(api, accepted)["state"]


def a_value_error(api, accepted):
    try:
        return step_by_step(api, accepted)
    except RuntimeError as error:
        raise ValueError("not done") from error


def printed(api, accepted):
    print(step_by_step(api, accepted))


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


class InAThread(threading.Thread):
    def __init__(self, app):
        super().__init__(daemon=True, name="served")
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        self.start()

    def run(self):
        with asyncio.Runner() as runner:
            runner.run(self.server.serve([self.listening]))

    def stop(self):
        self.server.should_exit = True
        self.join()


def with_a_class(app):
    thread = InAThread(app)
    return f"http://127.0.0.1:{thread.listening.getsockname()[1]}", thread.stop


def with_server_run(app):
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()

    def stop():
        server.should_exit = True
        while thread.is_alive():
            thread.join(0.1)

    return f"http://127.0.0.1:{sock.getsockname()[1]}", stop


def turned_around(app):
    return in_a_thread(app)[::-1]


def without_a_lifespan(app):
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()

    def stop():
        server.should_exit = True
        thread.join()

    return f"http://127.0.0.1:{sock.getsockname()[1]}", stop


def waits_by_the_clock(app):
    url, stop = in_a_thread(app, wait=False)

    def stop_and_wait():
        stop()
        time.sleep(0.2)

    return url, stop_and_wait


def one_port_for_all(app):
    return in_a_thread(app, port=8765)


def opened_twice(app):
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    sock.close()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()

    def stop():
        server.should_exit = True
        thread.join()

    return f"http://127.0.0.1:{port}", stop


_last = {}


def the_last_server_only(app):
    sock = socket.create_server(("127.0.0.1", 0))
    server = _last["server"] = server_for(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()

    def stop():
        _last["server"].should_exit = True
        thread.join(2)

    return f"http://127.0.0.1:{sock.getsockname()[1]}", stop


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


def looked_up(items):
    app = FastAPI()

    @app.get("/items/{number}")
    async def read(number: int):
        try:
            name = items[number]
        except KeyError:
            raise HTTPException(status_code=404, detail=f"no {number} here") from None
        return {"name": name}

    return app


def as_a_response(items):
    app = FastAPI()

    @app.get("/items/{number}")
    def read(number: int):
        if number in items:
            return {"name": items[number]}
        return JSONResponse({"detail": f"no item {number}"}, 404)

    return app


def in_the_404(items):
    app = FastAPI()

    @app.get("/items/{number}", responses={404: {}})
    def read(number: int) -> dict[str, str]:
        if number not in list(items):
            raise HTTPException(404, {"number": number})
        return {"name": items[number]}

    return app


def in_a_header(items):
    app = FastAPI()

    @app.get("/items/{number}")
    def read(number: int):
        if number not in items:
            raise HTTPException(404, f"no item {number}")
        try:
            return {"name": items[number]}
        except Exception as error:
            raise HTTPException(500, "sorry", headers={"X-Error": str(error)}) from error

    return app


def empty_is_missing(items):
    app = FastAPI()

    @app.get("/items/{number}")
    def read(number: int):
        name = items.get(number)
        if not name:
            raise HTTPException(404, f"no item {number}")
        return {"name": name}

    return app


def zero_is_missing(items):
    app = FastAPI()

    @app.get("/items/{number}")
    def read(number: int):
        if not number or number not in items:
            raise HTTPException(404, f"no item {number}")
        return {"name": items[number]}

    return app


def only_from_zero_on(items):
    app = FastAPI()

    @app.get("/items/{number}")
    def read(number: Annotated[int, Path(ge=0)]):
        if number not in items:
            raise HTTPException(404, f"no item {number}")
        return {"name": items[number]}

    return app


def slips(items):
    app = FastAPI()

    @app.get("/items/{number}")
    def read(number: int):
        return {"title": shelf[number]}

    return app


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


RIGHT = {
    "9.1": [step_by_step, with_pauses_first, with_recursion],
    "9.2": [in_a_thread, with_a_class, with_server_run],
    "9.3": [looked_up, as_a_response, in_the_404],
}
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
        (only_the_state, "the job is a dictionary"),
        (a_value_error, "not a RuntimeError"),
        (printed, "returns nothing"),
    ],
    "9.2": [
        (in_the_callers_loop, "a plain client gets no answer"),
        (only_the_address, "two things"),
        (turned_around, "the address first"),
        (lambda app: ("http://127.0.0.1", lambda: None), "has no port"),
        (lambda app: ("http://127.0.0.1:9", lambda: None), "nobody listens"),
        (open_to_all, "other machines"),
        (outlives_the_kernel, "no daemon"),
        (lambda app: in_a_thread(app, daemon=None), "no daemon"),
        (without_a_lifespan, "lifespan did not run"),
        (never_told_to_end, "had not ended"),
        (does_not_wait, "had not ended"),
        (waits_by_the_clock, "had not ended"),
        (all_end_together, "stopped another"),
        (the_last_server_only, "stopped another"),
        (one_port_for_all, "in use"),
        (opened_twice, "nobody listens at its address yet"),
        (lambda app: uvicorn.run(app, port=0), "your code raised"),
    ],
    "9.3": [
        (always_fine, "still gets a 200"),
        (only_unknown_ids, "`two`, which is no number, still gets a 200"),
        (everything_is_404, "not a 422"),
        (disk_is_404, "as if the client were at fault"),
        (talkative, "tells a stranger"),
        (in_a_header, "tells a stranger"),
        (empty_is_missing, "/items/40 gave 404"),
        (zero_is_missing, "/items/0 gave 404"),
        (only_from_zero_on, "-5 is a whole number"),
        (nameless, "does not name the number"),
        (unknown_is_500, "an unknown number gets a 500"),
        (slips, "not subscriptable"),
        (no_detail, "has no `detail`"),
        (forgets_to_return, "returns nothing"),
        (lambda items: {"name": "Tiger"}, "returns the app"),
    ],
}
