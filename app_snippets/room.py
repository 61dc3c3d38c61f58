"""The board of a room: who has tried which exercise, who asks for help, live for who teaches.

    make room                                       on this machine alone
    make room ROOM_ARGS="--host 192.168.1.5"        for the network that this address is in

It prints what learners run, a secret link for the instructor, and a page without names to project. What
learners' notebooks tell, and what never, workshop/room.py says.
"""

import argparse
import asyncio
import contextlib
import csv
import errno
import hmac
import io
import re
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import psutil
import uvicorn
from fastapi import Depends, FastAPI, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from jinja2 import Environment, FileSystemLoader
from limits import parse
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app_snippets.board import Board
from app_snippets.service import problems
from app_snippets.service.app import PAGE_HEADERS, PAGES
from app_snippets.service.guard import CheckedRoute, Guard, Rate, address, deny
from app_snippets.service.names import shown_line
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.settings import Hosts, own_hosts
from workshop import checks
from workshop.errors import WorkshopError
from workshop.hosting import own_addresses
from workshop.paths import home

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PORT = 8765
EVENTS = 50  # in one request
GOODBYE = 5  # seconds that the board goes on when its room has ended


class Settings(BaseSettings):
    """Every limit, read from variables such as `ROOM_MAX_LEARNERS`."""

    model_config = SettingsConfigDict(env_prefix="ROOM_")
    allowed_hosts: Hosts = Field(default_factory=own_hosts)  # lab.example,192.168.1.5; * for any
    hours: float = Field(72, gt=0)  # that a room lives, if nobody ends it before
    max_learners: int = Field(500, gt=0)
    max_events: int = Field(5_000, gt=0)  # of one learner
    wrong_codes: str = "20/minute"  # from one address
    event_rate: str = "300/minute"  # requests of one learner
    max_watchers: int = Field(50, gt=0)  # pages that are open at once
    pace: float = Field(0.5, gt=0)  # seconds between two messages to a page
    send_timeout: float = Field(5.0, gt=0)  # seconds until a page that does not read is dropped

    @field_validator("wrong_codes", "event_rate")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        parse(rate)
        return rate


def _plain(name: str) -> str:
    if {"<", ">"} & set(name):
        raise ValueError("write the name without < and >")
    return shown_line(name)


Exercise = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]?)\.[1-9]$", examples=["3.2"])]
Code = Annotated[str, Field(max_length=20)]
Name = Annotated[
    str,
    Field(max_length=60, json_schema_extra={"pattern": "^[^<>]*$"}),
    AfterValidator(_plain),
]


class Body(BaseModel):
    """What is sent holds nothing else."""

    model_config = ConfigDict(extra="forbid")


class Joining(Body):
    """Who wants to join: the room's code, a name to show, or none, and the token of an earlier joining."""

    code: Code
    name: Name = ""
    token: str = Field("", max_length=100)


class Joined(BaseModel):
    """A learner of this room; `token` goes into every call, as `Authorization: Bearer`."""

    number: int
    name: str
    token: str
    seconds_left: float  # that the room lives


class Event(Body):
    """What a check said of an exercise, or that help is wanted, or is no more.

    `wording` is what the check said in the course's own words: any other text is not kept.
    """

    id: str = Field(pattern="^[0-9a-f]{32}$")  # the same when it is sent again
    kind: Literal["right", "wrong", "open", "help", "helped"]
    exercise: Exercise | Literal[""] = ""
    wording: str = Field("", max_length=500)
    ago: float = Field(0, ge=0, le=1e7)  # seconds


class Told(Body):
    """Events, in the order in which they happened."""

    events: list[Event] = Field(min_length=1, max_length=EVENTS)


class Taken(BaseModel):
    """So many events are kept, those of them included that were told before."""

    kept: int


class Tried(BaseModel):
    """An exercise of one learner."""

    exercise: str
    state: Literal["solved", "tried", "open"]
    tries: int


class Known(BaseModel):
    """All that the board knows of a learner."""

    number: int
    name: str
    hand: str | None  # the exercise that help is wanted with; empty: with something else
    exercises: list[Tried]


class Clock(Body):
    """The exercise at hand, and how long it has."""

    exercise: Exercise
    minutes: float = Field(gt=0, le=600)


class Chapter(Body):
    """The chapter whose exercises both pages show."""

    chapter: int = Field(ge=0, le=99)


class Message(Body):
    """What a check said, for all to see."""

    exercise: Exercise
    wording: str = Field(min_length=1, max_length=500)


async def _board(request: Request) -> Board:
    return request.app.state.board


Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, scheme_name="learner", description="from `POST /join`")),
]
Secret = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(
        HTTPBearer(auto_error=False, scheme_name="instructor", description="the secret link's")
    ),
]
TheBoard = Annotated[Board, Depends(_board)]


def _learner(bearer: Bearer, board: TheBoard) -> int:
    return board.learner(bearer.credentials if bearer else "")


def _may_teach(secret: Secret, board: TheBoard) -> None:
    if not _is_secret(board, secret.credentials if secret else ""):
        raise ProblemError(401, "This is for who has the secret link of the room.")


def _is_secret(board: Board, text: str) -> bool:
    return hmac.compare_digest(text.encode(errors="replace"), board.secret.encode())


Learner = Annotated[int, Depends(_learner)]
TEACHES: dict[str, Any] = {"tags": ["instructor"], "dependencies": [Depends(_may_teach)]}


def open_board(settings: Settings) -> Board:
    """The board of the room that is kept in `WORKSHOP_HOME`, or of a new one; to be closed at the end.

    Raises WorkshopError if its folder cannot be used, or another board uses it.
    """
    return Board(home() / "board", settings.hours, settings.max_learners, settings.max_events)


def create_app(settings: Settings, board: Board) -> FastAPI:
    """The calls and pages of a board."""
    app = FastAPIOffline(
        title="The room",
        description="Who has tried which exercise, and who asks for help.",
        version="1",
        responses=documented(403, 410, 421, 503),
        openapi_tags=[
            {"name": "learner", "description": "What a learner's notebook calls."},
            {"name": "instructor", "description": "For who has the secret link."},
        ],
        **problems.ABOUT,
    )
    app.state.board = board
    app.router.route_class = CheckedRoute
    problems.install(app)
    app.add_middleware(Guard, hosts=settings.allowed_hosts, max_upload=64_000, max_json=64_000)
    app.mount("/page", StaticFiles(directory=PAGES), name="page")
    _pages(app)
    _learners_calls(app, settings)
    _instructors_calls(app)
    _live(app, settings)
    return app


def _pages(app: FastAPI) -> None:
    """Three pages; nothing that anybody sent is in them."""
    templates = Environment(
        loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    about = {number: checks.about(number) for number in checks.chapters()}
    course = {
        number: {"title": known["title"], "exercises": known["exercises"]}
        for number, known in about.items()
        if known
    }

    def add(path: str, name: str) -> None:
        html = templates.get_template(f"{name}.html").render(course=course)

        @app.get(path, include_in_schema=False)
        async def show() -> HTMLResponse:
            return HTMLResponse(html, headers=PAGE_HEADERS)

    add("/", "room")
    add("/instructor", "room_instructor")
    add("/projector", "room_projector")


def _learners_calls(app: FastAPI, settings: Settings) -> None:
    wrong = Rate(settings.wrong_codes, "wrong codes")
    often = Rate(settings.event_rate, "requests of one learner")

    @app.post(
        "/join", tags=["learner"], status_code=201, responses=documented(409, 413, 415, 422, 429)
    )
    def join(body: Joining, request: Request, board: TheBoard) -> Joined:
        """Join with the room's code. With the token of an earlier joining one is the same learner again."""
        wrong.ensure_room(address(request))
        try:
            joined = board.join(body.code, body.name, body.token)
        except ProblemError as problem:
            if problem.status_code == 403:
                wrong.count(address(request))
            raise
        return Joined(**joined)

    @app.post("/events", tags=["learner"], responses=documented(401, 409, 413, 415, 422, 429))
    def tell(body: Told, learner: Learner, board: TheBoard) -> Taken:
        """Tell what happened. What was told before changes nothing: tell again what was not answered."""
        often.count(str(learner))
        board.tell(learner, [event.model_dump() for event in body.events])
        return Taken(kept=len(body.events))

    @app.get("/me", tags=["learner"], responses=documented(401))
    def me(learner: Learner, board: TheBoard) -> Known:
        """All that the board knows of you."""
        return Known(**board.known(learner))

    @app.delete("/me", tags=["learner"], status_code=204, responses=documented(401, 404))
    def leave(learner: Learner, board: TheBoard) -> None:
        """Leave; what you told is deleted."""
        board.remove(learner)


def _instructors_calls(app: FastAPI) -> None:
    @app.get(
        "/board.csv", responses={**documented(401), 200: {"content": {"text/csv": {}}}}, **TEACHES
    )
    def export(board: TheBoard) -> Response:
        """A table of all learners and exercises."""
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["number", "name", "exercise", "state", "tries", "first tried", "solved"])
        for number, name, *about, first, solved in board.rows():
            table.writerow([number, _cell(name), *about, _moment(first), _moment(solved)])
        return Response(
            text.getvalue().encode("utf-8-sig"),  # which Excel takes for UTF-8
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="room.csv"'},
        )

    @app.put("/clock", status_code=204, responses=documented(401, 413, 415, 422), **TEACHES)
    def set_clock(body: Clock, board: TheBoard) -> None:
        """Say which exercise is at hand, and how long."""
        board.set_clock(body.exercise, body.minutes)

    @app.delete("/clock", status_code=204, responses=documented(401), **TEACHES)
    def stop_clock(board: TheBoard) -> None:
        """No exercise is at hand."""
        board.show("clock")

    @app.put("/chapter", status_code=204, responses=documented(401, 413, 415, 422), **TEACHES)
    def choose_chapter(body: Chapter, board: TheBoard) -> None:
        """Say which chapter both pages show; else it is the one that most are at."""
        board.show("chapter", body.chapter)

    @app.delete("/chapter", status_code=204, responses=documented(401), **TEACHES)
    def follow_the_room(board: TheBoard) -> None:
        """Show the chapter that most are at."""
        board.show("chapter")

    @app.put("/message", status_code=204, responses=documented(401, 413, 415, 422), **TEACHES)
    def show_message(body: Message, board: TheBoard) -> None:
        """Show the room what a check said."""
        board.show("message", body.model_dump())

    @app.delete("/message", status_code=204, responses=documented(401), **TEACHES)
    def hide_message(board: TheBoard) -> None:
        """Take the message off the projector's page."""
        board.show("message")

    @app.delete("/hands/{number}", status_code=204, responses=documented(401, 422), **TEACHES)
    def lower_hand(number: Number, board: TheBoard) -> None:
        """Take a learner's hand down: it was answered."""
        board.lower(number)

    @app.delete(
        "/learners/{number}", status_code=204, responses=documented(401, 404, 422), **TEACHES
    )
    def remove_learner(number: Number, board: TheBoard) -> None:
        """Take a learner out; what it told is deleted."""
        board.remove(number)

    @app.delete("/room", status_code=204, responses=documented(401, 422), **TEACHES)
    def end_room(
        board: TheBoard, confirm: Annotated[Literal["true"], Query(description="that you mean it")]
    ) -> None:
        """End the room; everything is deleted."""
        board.end()


Number = Annotated[int, Field(ge=1, le=2**53)]


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")


def _live(app: FastAPI, settings: Settings) -> None:
    """The WebSockets of both pages: the first message is the secret, or the code."""
    wrong = Rate(settings.wrong_codes, "wrong codes")
    watching = 0

    async def watch(
        websocket: WebSocket, may: Callable[[Board, str], bool], see: Callable[[Board], str]
    ) -> None:
        nonlocal watching
        board = websocket.app.state.board
        try:
            wrong.ensure_room(address(websocket))
            if watching >= settings.max_watchers:
                raise ProblemError(503, "Too many pages are open already.")
            await websocket.accept()
            async with asyncio.timeout(settings.send_timeout):
                key = await websocket.receive_text()
            if not may(board, key):
                wrong.count(address(websocket))
                return await websocket.close(4403, "That is not the key of this room.")
            watching += 1
            try:
                await _show(websocket, board, see, settings)
            finally:
                watching -= 1
        except ProblemError as problem:
            await deny(websocket, problem)
        except (WebSocketDisconnect, TimeoutError, KeyError):
            pass  # it left, said nothing, sent bytes, or stopped reading: there is no one to tell

    @app.websocket("/instructor/events")
    async def instructor(websocket: WebSocket) -> None:
        await watch(websocket, _is_secret, Board.instructor)

    @app.websocket("/projector/events")
    async def projector(websocket: WebSocket) -> None:
        await watch(websocket, lambda board, key: key.upper() == board.code, Board.projector)


async def _show(
    websocket: WebSocket, board: Board, see: Callable[[Board], str], settings: Settings
) -> None:
    """Send what there is to see at once, and again when it has changed, no faster than `pace`."""
    gone = asyncio.create_task(_goodbye(websocket))
    shown = None
    try:
        while not gone.done():
            if board.ended:
                return await websocket.close(4410, "The room has ended.")
            if board.version != shown:
                shown = board.version
                text = await run_in_threadpool(see, board)
                async with asyncio.timeout(settings.send_timeout):
                    await websocket.send_text(text)
            await asyncio.wait({gone}, timeout=settings.pace)
    except ProblemError:  # it has ended just now
        await websocket.close(4410, "The room has ended.")
    finally:
        gone.cancel()


async def _goodbye(websocket: WebSocket) -> None:
    """Returns when the page is closed; what it says is of no interest."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


# ---------------------------------------------------------------------------------- make room


def main(args: list[str] | None = None) -> int:
    """Run the board until Ctrl-C or the end of its room; 0 when all went well."""
    parser = argparse.ArgumentParser(prog="make room", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address of this machine to listen on"
    )
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--address", help="what learners type, if a proxy stands before the board")
    asked = parser.parse_args(args)
    proxy = (asked.address or "").rstrip("/")
    if proxy and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", proxy):
        return _no(f"{proxy} is no address: give it as in --address https://room.example")
    try:
        listening = socket.create_server((asked.host, asked.port))
    except (OSError, OverflowError) as error:
        return _no(
            f"The board cannot listen at {asked.host}, port {asked.port} ({error}). {_remedy(error)}"
        )
    port = listening.getsockname()[1]
    own = _addresses(asked.host)
    place = proxy or f"http://{own[0]}:{port}"
    try:
        settings = Settings()
        settings.allowed_hosts += [*LOOPBACK, *own, urlsplit(place).hostname or ""]
        with listening, contextlib.closing(open_board(settings)) as board:
            who = _PROXY if proxy else _ALONE if asked.host in LOOPBACK else _OPEN
            print(_greeting(place, board, who.format(place=place, port=port)), flush=True)
            app = create_app(settings, board)
            config = uvicorn.Config(app, log_level="warning", access_log=False, ws_max_size=4096)
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(_serve(uvicorn.Server(config), listening, board))
            if board.ended:
                print("The room has ended, and all that was told is deleted.")
    except KeyboardInterrupt:
        pass
    except ValidationError as error:
        faults = [f"ROOM_{f['loc'][0]}".upper() + f": {f['msg']}" for f in error.errors()]
        return _no(f"A setting does not fit: {'; '.join(faults)}. Mend it, or leave it out.")
    except WorkshopError as error:
        return _no(str(error))
    return 0


async def _serve(server: uvicorn.Server, listening: socket.socket, board: Board) -> None:
    """Run the board, and for some seconds after the end of its room: that is told to who asks."""
    serving = asyncio.create_task(server.serve([listening]))
    while not (serving.done() or board.ended):
        await asyncio.wait({serving}, timeout=1)
    await asyncio.wait({serving}, timeout=GOODBYE)
    server.should_exit = True
    await serving


def _remedy(error: OSError | OverflowError) -> str:
    """What to do when the board cannot listen."""
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return (
            "Perhaps a board runs here already, in another terminal: end it with Ctrl-C, or take "
            'another port: make room ROOM_ARGS="--port 8766"'
        )
    if code == errno.EADDRNOTAVAIL:
        return f"This machine's addresses are {', '.join([*own_addresses(), '127.0.0.1'])}."
    return 'Give an address of this machine and a free port: make room ROOM_ARGS="--port 8766"'


def _no(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


def _addresses(host: str) -> list[str]:
    """By which addresses the board is reached: where it listens everywhere, all of this machine."""
    if host != "0.0.0.0":  # noqa: S104
        return [host]
    found = [a.address for all_ in psutil.net_if_addrs().values() for a in all_]
    numbers = [a for a in found if a.count(".") == 3]
    return sorted(numbers, key=lambda number: number.startswith(("127.", "169.254.")))


_ALONE = """\
Only this machine reaches the board. For a room, name the address that this machine has in the
network: make room ROOM_ARGS="--host 192.168.1.5\""""
_OPEN = """\
Everybody in this network reaches the board, and may try codes. Nothing is encrypted: who listens
in the network can read names and results. Among strangers let learners join without names, or put a
proxy with https before the board (app_snippets/README.md)."""
_PROXY = """\
Learners reach the board through {place}, which has to pass on what comes, with its Host and
with WebSockets, to port {port} of this machine (app_snippets/README.md)."""


def _greeting(place: str, board: Board, who: str) -> str:
    """What `make room` prints; `who` says who reaches the board."""
    return f"""
Learners run      from workshop import room; room.join("{place}", "{board.code}")
You open          {place}/instructor#{board.secret}
                  (a secret link: who has it sees names and can end the room)
The projector     {place}/projector#{board.code}

{who}
Ctrl-C stops the board and keeps the room: the same command goes on with it. "End the room" on your
page deletes everything, and stops the board too.
"""


if __name__ == "__main__":
    sys.exit(main())
