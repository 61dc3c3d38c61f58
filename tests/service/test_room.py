"""The board of a room over HTTP: its contract, what it refuses, and that nothing is lost."""

import asyncio
import csv
import io
import os
import signal
import socket
import subprocess
import sys
import uuid

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from rooms import bearer, served
from schemathesis import GenerationMode
from services import assert_problem
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as websocket

from app_snippets.board import Board
from app_snippets.room import Settings, create_app, main
from workshop.errors import WorkshopError
from workshop.paths import ROOT

LEARNERS = 200
PROXY = "https://room.example/board"
WORDING = "the function returns nothing: a line with `return` is missing"  # of 0.2


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A board for many tests."""
    with served(tmp_path_factory.mktemp("shared"), event_rate="100000/second") as board:
        yield board


@pytest.fixture
def board(tmp_path):
    """A board of the test's own."""
    with served(tmp_path, max_learners=5, max_events=10, wrong_codes="3/hour") as board:
        yield board


def event(kind: str, exercise: str = "", **more) -> dict:
    return {"id": uuid.uuid4().hex, "kind": kind, "exercise": exercise, **more}


# ------------------------------------------------------------------------------------ contract


def attacks() -> list:
    """Every call but the one that ends the room, with what its description allows and forbids."""
    document = create_app(
        Settings(), Board.__new__(Board)
    ).openapi()  # which asks nothing of a board
    found = schemathesis.openapi.from_dict(document).exclude(path="/room").get_all_operations()
    return [
        pytest.param(one, mode, id=f"{one.label}-{mode.value}")
        for one in (result.ok() for result in found)
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or [*one.query, *one.body]
    ]


@pytest.mark.parametrize(("operation", "mode"), attacks())
def test_answers_are_as_described(shared, operation, mode):
    answered = []

    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=HealthCheck)
    @given(operation.as_strategy(generation_mode=mode))
    def attack(request):
        if operation.path == "/join" and mode is GenerationMode.POSITIVE:
            request.body["code"] = shared.board.code
        headers = shared.secret if "instructor" in operation.tags else shared.join()
        answered.append(request.call_and_validate(base_url=shared.url, headers=headers, timeout=60))

    attack()
    assert answered


def test_one_learner_tells_and_the_instructor_sees(board):
    ada, grace = board.join("Ada"), board.join()
    wrong = event("wrong", "0.2", wording=WORDING)
    assert board.tell(ada, wrong, event("open", "0.1")).json() == {"kept": 2}
    board.tell(ada, wrong)  # again: the answer was lost on the way
    board.tell(ada, event("wrong", "0.2", wording="print(my_secret)"), event("help", "0.2"))
    board.tell(grace, event("help", "0.1", ago=60), event("wrong", "0.2", wording=WORDING))
    board.tell(grace, event("help", "0.3"))  # keeps its place
    seen = board.seen()
    assert [one["name"] for one in seen["people"]] == ["Ada", ""]
    assert seen["people"][0]["exercises"] == {"0.1": ["open", 0], "0.2": ["tried", 2]}
    assert seen["said"]["0.2"] == [
        {"wording": WORDING, "now": 2, "ever": 2},
        {"wording": "", "now": 1, "ever": 1},
    ]
    assert [(hand["number"], hand["exercise"]) for hand in seen["hands"]] == [
        (2, "0.3"),
        (1, "0.2"),
    ]
    board.tell(ada, event("right", "0.2"))
    board.tell(ada, event("wrong", "0.2", wording=WORDING))  # what is solved stays so
    assert board.seen()["people"][0]["exercises"]["0.2"] == ["solved", 4]
    assert [hand["number"] for hand in board.seen()["hands"]] == [2]
    assert board.seen()["said"]["0.2"] == [
        {"wording": WORDING, "now": 1, "ever": 2},
        {"wording": "", "now": 0, "ever": 1},
    ]
    assert board.client.get("me", headers=ada).json() == {
        "number": 1,
        "name": "Ada",
        "hand": None,
        "exercises": [
            {"exercise": "0.1", "state": "open", "tries": 0},
            {"exercise": "0.2", "state": "solved", "tries": 4},
        ],
    }


def test_the_instructor_lowers_hands_removes_sets_the_clock_and_exports(board):
    learner = board.join("=1+1")
    board.tell(learner, event("help"), event("right", "0.1"))
    board.join("Ada")
    assert board.client.delete("hands/1", headers=board.secret).status_code == 204
    assert board.seen()["hands"] == []
    clock = {"exercise": "3.2", "minutes": 5}
    assert board.client.put("clock", json=clock, headers=board.secret).status_code == 204
    assert board.seen()["clock"]["exercise"] == "3.2"
    assert board.client.delete("clock", headers=board.secret).status_code == 204
    assert board.seen()["clock"] is None
    message = {"exercise": "0.2", "wording": WORDING}
    for path, body in (("message", message), ("chapter", {"chapter": 3})):
        for shown in (body, None):
            method = "PUT" if shown else "DELETE"
            answer = board.client.request(method, path, headers=board.secret, json=shown)
            assert answer.status_code == 204
            seen = board.seen()
            assert (seen["message"] == message, seen["chapter"]) == (
                (path == "message" and shown is not None),
                3 if path == "chapter" and shown else 0,
            )
    table = board.client.get("board.csv", headers=board.secret)
    _, first, second = csv.reader(io.StringIO(table.content.decode("utf-8-sig")))
    assert first[:5] == ["1", "'=1+1", "0.1", "solved", "1"]  # to a spreadsheet it is no formula
    assert second == ["2", "Ada", "", "", "0", "", ""]
    assert board.client.delete("learners/1", headers=board.secret).status_code == 204
    assert_problem(board.client.delete("learners/1", headers=board.secret), 404, "number 1")
    assert_problem(board.tell(learner, event("help")), 401, "join")


def test_the_chapter_is_the_one_that_most_are_at_of_those_who_try_lately(board):
    ahead, *others = [board.join() for _ in range(5)]
    assert board.seen()["chapter"] is None
    board.tell(ahead, event("open", "9.1"))  # run without an answer
    assert board.seen()["chapter"] is None
    board.board._began -= 3000
    for learner in others[:3]:
        board.tell(learner, event("wrong", "1.4", ago=1000))
    board.tell(ahead, event("wrong", "9.2", ago=900), event("wrong", "9.3", ago=850))
    assert board.seen()["chapter"] == 1  # one who runs ahead counts once
    board.tell(others[3], event("wrong", "2.1"))
    assert board.seen()["chapter"] == 2  # the others have gone home
    board.tell(others[0], event("right", "1.3", ago=1500))  # told late
    assert board.seen()["chapter"] == 2


# ------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Ada"},
        {"code": None},
        {"code": "A" * 21},
        {"code": "CODE", "name": "x" * 10_000},
        {"code": "CODE", "name": "<script>alert(1)</script>"},
        {"code": "CODE", "more": 1},
    ],
)
def test_a_joining_that_does_not_fit_is_refused(shared, body):
    assert_problem(shared.client.post("join", json=body), 422)


def test_wrong_codes_are_slowed(board):
    for _ in range(3):
        assert_problem(board.client.post("join", json={"code": "ÀBC"}), 403, "not the code")
    slowed = board.client.post("join", json={"code": board.board.code})  # or guessing would go on
    assert_problem(slowed, 429, "Wait")
    assert int(slowed.headers["retry-after"]) > 0


def test_a_room_takes_no_more_than_fit_and_a_learner_tells_no_more(board):
    learner = board.join()
    for _ in range(4):
        board.join()
    assert_problem(
        board.client.post("join", json={"code": board.board.code}), 409, "takes 5 learners"
    )
    assert board.tell(learner, *[event("wrong", "0.1") for _ in range(10)]).status_code == 200
    assert_problem(board.tell(learner, event("help")), 409, "10 events")
    assert board.seen()["hands"] == []
    assert_problem(board.client.post("events", content=b"x" * 70_000, headers=learner), 413)


def test_a_learner_may_not_flood(tmp_path):
    with served(tmp_path, event_rate="2/hour") as board:
        learner, other = board.join(), board.join()
        assert [board.tell(learner, event("help")).status_code for _ in range(3)] == [200, 200, 429]
        assert board.tell(other, event("help")).status_code == 200


def test_strangers_and_foreign_pages_get_nothing(shared):
    learner = shared.join("Ada")
    for headers in ({}, bearer("guessed"), {"Authorization": "Bearer \u00fc".encode()}, learner):
        for method, path in (
            ("GET", "board.csv"),
            ("DELETE", "learners/1"),
            ("DELETE", "room?confirm=true"),
        ):
            assert_problem(shared.client.request(method, path, headers=headers), 401, "secret link")
    for headers in ({}, bearer("guessed"), shared.secret):
        assert_problem(shared.client.get("me", headers=headers), 401, "does not know you")
        assert_problem(shared.client.delete("me", headers=headers), 401)
    foreign = {"Origin": "https://elsewhere.example"}
    code = {"code": shared.board.code}
    assert_problem(shared.client.post("join", json=code, headers=foreign), 403, "elsewhere")
    assert_problem(shared.client.post("join", json=code, headers={"Host": "rebound.example"}), 421)


@pytest.mark.parametrize("page", ["instructor", "projector"])
def test_live_pages_are_for_who_has_the_key(tmp_path, page):
    with served(tmp_path, wrong_codes="2/hour") as board:
        board.join("Ada Lovelace")
        url = f"{board.url.replace('http', 'ws')}/{page}/events"
        right = {"instructor": board.board.secret, "projector": board.board.code}[page]
        with websocket(url, proxy=None) as live:
            live.send(right)
            assert ("Ada Lovelace" in live.recv()) == (page == "instructor")
            board.join()
            assert '"learners": 2' in live.recv()
        for _ in range(2):
            with websocket(url, proxy=None) as live, pytest.raises(ConnectionClosed) as closed:
                live.send("guessed")
                live.recv()
            assert closed.value.rcvd.code == 4403
        with pytest.raises(Exception, match="429"), websocket(url, proxy=None):
            pass
        with pytest.raises(Exception, match="403"):
            websocket(url, proxy=None, origin="https://elsewhere.example")


# ------------------------------------------------------------------- what is left, what is lost


def test_who_leaves_leaves_nothing_on_the_disk(board, tmp_path):
    def disk() -> bytes:
        return b"".join(path.read_bytes() for path in (tmp_path / "board").iterdir())

    learner = board.join("Ada Lovelace")
    board.tell(learner, event("wrong", "0.2", wording=WORDING))
    assert b"Ada Lovelace" in disk()
    assert board.client.delete("me", headers=learner).status_code == 204
    assert b"Ada Lovelace" not in disk()
    assert WORDING.encode() not in disk()
    assert board.seen()["people"] == []


def test_a_room_that_ends_is_deleted_and_the_next_is_another(tmp_path):
    with served(tmp_path) as board:
        learner, code = board.join("Ada"), board.board.code
        url = f"{board.url.replace('http', 'ws')}/projector/events"
        with websocket(url, proxy=None) as live:
            live.send(code)
            live.recv()
            assert_problem(board.client.delete("room", headers=board.secret), 422)
            ended = board.client.delete("room?confirm=true", headers=board.secret)
            assert ended.status_code == 204
            with pytest.raises(ConnectionClosed) as closed:
                live.recv()
            assert closed.value.rcvd.code == 4410
        assert_problem(board.tell(learner, event("help")), 410, "ended")
        assert_problem(board.client.get("board.csv", headers=board.secret), 410)
        assert list((tmp_path / "board").iterdir()) == []
    with served(tmp_path) as board:
        assert board.board.code != code
        assert_problem(board.tell(learner, event("help")), 401, "join")


def test_a_room_lives_so_many_hours(tmp_path):
    with served(tmp_path, hours=1e-9) as board:
        assert_problem(board.client.post("join", json={"code": board.board.code}), 410)
    with served(tmp_path) as board:
        first = board.board.code
    with served(tmp_path) as board:
        assert board.board.code == first
    with served(tmp_path, hours=1e-9) as board:  # it was kept, and is of another day
        assert board.board.code != first


def test_a_second_board_says_that_the_room_is_taken(board, tmp_path):
    with pytest.raises(WorkshopError, match="Another board"), served(tmp_path):
        pass


def start(home, port: int) -> tuple[subprocess.Popen, str, str]:
    """`make room` behind a proxy, in a process of its own: the process, its code and its secret."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app_snippets.room", f"--port={port}", f"--address={PROXY}/"],
        cwd=ROOT,
        env={**os.environ, "WORKSHOP_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    code = secret = ""
    for line in process.stdout:
        if f'room.join("{PROXY}"' in line:
            code = line.split('"')[3]
        if "instructor#" in line:
            secret = line.split("#")[1].strip()
        if "projector#" in line:
            return process, code, secret
    raise AssertionError("the board has not started")


async def ask(client: httpx.AsyncClient, *args, **options) -> httpx.Response:
    """The answer, whatever it takes: while the board is away, again."""
    while True:
        try:
            answer = await client.request(*args, **options)
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        assert answer.status_code in (200, 201), answer.text
        return answer


async def learn(client: httpx.AsyncClient, code: str, number: int, told: asyncio.Event) -> None:
    """Join, then check three exercises; `told` is set once one learner is through."""
    body = {"code": code, "name": f"Learner {number}"}
    joined = (await ask(client, "POST", "join", json=body)).json()
    for exercise in ("1.1", "1.2", "1.3"):
        events = {"events": [event("wrong", exercise, wording="")]}
        await ask(client, "POST", "events", json=events, headers=bearer(joined["token"]))
    told.set()


def test_200_learners_lose_nothing_when_the_board_is_killed_in_the_middle(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def room() -> tuple[int, httpx.Response]:
        process, code, secret = start(tmp_path, port)
        base = {"base_url": f"http://127.0.0.1:{port}", "timeout": 60, "trust_env": False}
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=50), **base) as client:
            told = asyncio.Event()
            all_ = [asyncio.create_task(learn(client, code, n, told)) for n in range(LEARNERS)]
            await told.wait()
            process.kill()
            process.wait()
            left = sum(not task.done() for task in all_)
            again = await asyncio.to_thread(start, tmp_path, port)
            assert again[1:] == (code, secret)  # the links hold
            try:
                await asyncio.gather(*all_)
                named = {"Host": "room.example", "Origin": "https://room.example"}
                return left, await client.get("board.csv", headers=bearer(secret) | named)
            finally:
                again[0].send_signal(signal.SIGINT)
                assert again[0].wait(60) == 0

    left, table = asyncio.run(room())
    assert left > LEARNERS // 4  # it was in the middle
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    told = [row for row in rows if row["exercise"]]
    assert len(told) == 3 * LEARNERS
    assert {row["tries"] for row in told} == {"1"}


def test_the_board_ends_itself_when_its_room_has_ended(capsys, home, monkeypatch):
    monkeypatch.setattr("app_snippets.room.GOODBYE", 0.1)
    monkeypatch.setenv("ROOM_HOURS", "1e-9")
    assert main(["--port=0"]) == 0
    assert "The room has ended" in capsys.readouterr().out


def test_make_room_says_what_it_cannot_do(capsys, home, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for option, remedy in (
            (f"--port={taken.getsockname()[1]}", "in another terminal"),
            ("--host=192.0.2.1", "This machine's addresses are"),
            ("--port=99999", "a free port"),
        ):
            assert main([option]) == 1
            said = capsys.readouterr().err
            assert "cannot listen" in said
            assert remedy in said
    assert main(["--address=room.example"]) == 1
    assert "--address https://room.example" in capsys.readouterr().err
    for name, value in (("ROOM_HOURS", "-1"), ("ROOM_WRONG_CODES", "often")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert main(["--port=0"]) == 1
        assert f"does not fit: {name}: " in capsys.readouterr().err
    with served(home):
        assert main(["--port=0"]) == 1
    assert "Another board" in capsys.readouterr().err
