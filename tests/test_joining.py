"""The learner's side of a room: what `check` tells the board, when, and what never."""

import json
import socket
import subprocess
import sys
import threading

import pytest
from rooms import Served, served, until

from workshop import check, room
from workshop.checks.wording import is_wording, wording
from workshop.errors import WorkshopError
from workshop.paths import ROOT


@pytest.fixture
def board(tmp_path, home):
    with served(tmp_path / "instructor") as found:
        yield found


@pytest.fixture(autouse=True)
def nobody_is_left_in_a_room(home):
    yield
    room._forget()


def top_k_of_ada(scores, k):
    secret_of_ada = scores[98765]  # IndexError
    return secret_of_ada


def exercises(board: Served) -> dict:
    """Of the only learner: exercise to state and tries."""
    return board.seen()["people"][0]["exercises"]


def waiting(home) -> list:
    return sorted((home / "room" / "events").glob("[0-9]*"))


def test_who_has_not_joined_tells_nothing(board, home):
    check("0.1", 5)
    assert not (home / "room").exists()
    with pytest.raises(WorkshopError, match="in no room"):
        room.help("3.2")
    assert room.leave() == "You are in no room."
    assert not board.bodies


def test_a_check_tells_how_it_went_in_the_courses_own_words_alone(board):
    joined = room.join(board.url, board.board.code.lower(), "Ada")
    assert joined.token not in repr(joined)  # which notebooks keep
    assert "secret_of_ada" in check("1.2", top_k_of_ada).message
    check("0.1", 5)
    check("0.1", 98_765)
    check("0.2", ...)
    until(lambda: len(exercises(board)) == 3)
    assert exercises(board) == {"0.1": ["tried", 2], "0.2": ["open", 0], "1.2": ["tried", 1]}
    said = board.seen()["said"]
    assert said["1.2"][0]["wording"] == "your code raised `…` in line …: `…`"
    assert [one["wording"] for one in said["0.1"]] == ["… is too few", "… is too many"]
    for theirs in (b"secret_of_ada", b"scores[", b"IndexError", b"98765", b"98_765"):
        assert theirs not in board.bodies


def test_reading_a_solution_is_not_told(board, home, monkeypatch):
    room.join(board.url, board.board.code)
    monkeypatch.setenv("JPY_SESSION_NAME", str(ROOT / "solutions" / "01_vectors.ipynb"))
    check("0.1", 5)
    monkeypatch.delenv("JPY_SESSION_NAME")
    check("0.2", 5)
    until(lambda: exercises(board))
    assert list(exercises(board)) == ["0.2"]


def test_hands_go_up_and_down_and_leaving_removes_all(board, home):
    room.join(board.url, board.board.code)
    assert "for exercise 3.2, and no other. It goes down when you solve" in room.help(3.2)
    (hand,) = until(lambda: board.seen()["hands"])
    assert (hand["name"], hand["exercise"]) == ("", "3.2")
    room.help(done=True)
    until(lambda: not board.seen()["hands"])
    assert room.help() == "Your hand is up, for no exercise. `room.help(done=True)` takes it down."
    until(lambda: board.seen()["hands"])
    with pytest.raises(WorkshopError, match=r"No exercise 3\.9"):
        room.help("3.9")
    assert "deleted" in room.leave()
    assert board.seen()["people"] == []
    assert not (home / "room").exists()
    check("0.1", 5)
    assert not (home / "room").exists()


def test_joining_again_is_the_same_learner_also_after_a_restart(board, home):
    first = room.join(board.url, board.board.code, "Ada")
    again = room.join(board.url, board.board.code, "Ada L.")
    assert (again.number, again.token, again.name) == (first.number, first.token, "Ada L.")
    code = "from workshop import check; check('0.1', 5)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)  # a kernel of its own
    room._Teller.wake()  # it may have ended before the board was told
    until(lambda: exercises(board) == {"0.1": ["tried", 1]})
    until(lambda: not waiting(home))


def test_what_happens_while_the_board_is_away_arrives_later_in_order(home, tmp_path):
    with served(tmp_path / "instructor") as board:
        room.join(board.url, board.board.code, "Ada")
        port = int(board.url.rpartition(":")[2])
    check("0.1", 5)
    check("0.1", 420)
    room.help("3.2")
    room.help("3.3")
    for path in waiting(home):  # the laptop slept for an hour
        event = json.loads(path.read_text())
        room._write(path, event | {"at": event["at"] - 3600})  # whole: it may be read just now
    assert len(waiting(home)) == 4
    with served(tmp_path / "instructor", port=port) as board:
        other = board.join("Grace")
        board.tell(other, {"id": "0" * 32, "kind": "help", "exercise": "1.1"})
        until(lambda: not waiting(home))
        assert [hand["name"] for hand in board.seen()["hands"]] == ["Ada", "Grace"]
        assert board.seen()["hands"][0]["exercise"] == "3.3"
        assert exercises(board) == {"0.1": ["tried", 2]}


def test_a_check_does_not_wait_for_a_board_that_does_not_answer(home):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        until_then = {"number": 1, "name": "", "token": "t", "until": 1e11}
        room._write(home / "room" / "joined.json", {"address": url, **until_then})
        assert check("0.1", 5).state == "wrong"
        connection = silent.accept()[0]  # the request is there, and still waits
        with connection:
            assert connection.recv(10_000)
            assert len(waiting(home)) == 1
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"kept":1}')
            until(lambda: not waiting(home))


def test_a_room_that_has_ended_is_forgotten(board, home):
    room.join(board.url, board.board.code)
    board.board.end()
    check("0.1", 5)
    until(lambda: not (home / "room").exists())
    check("0.1", 5)
    assert not (home / "room").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"address": 1}', '{"address": "http://x", "number": 1, '
    '"name": "", "token": "t", "until": 5}'])  # fmt: skip
def test_a_damaged_or_old_room_stops_no_check(home, content):
    (home / "room").mkdir(parents=True)
    (home / "room" / "joined.json").write_text(content)
    assert check("0.1", 5).state == "wrong"
    assert not (home / "room").exists()


def test_a_damaged_event_is_left_out(board, home):
    room.join(board.url, board.board.code)
    (home / "room" / "events").mkdir(exist_ok=True)
    (home / "room" / "events" / "00-cut").write_text('{"id": "')
    check("0.1", 5)
    until(lambda: not waiting(home))
    assert exercises(board) == {"0.1": ["tried", 1]}


def test_a_full_disk_stops_no_check(board, home):
    room.join(board.url, board.board.code)
    (home / "room" / "events").write_text("where a folder belongs")
    assert check("0.1", 5).state == "wrong"


@pytest.mark.parametrize(
    "address", ["", None, "ftp://x", "http://u:p@x", "http://x/#secret", "http:// x"]
)
def test_what_is_no_address_is_told_in_a_sentence(home, address):
    with pytest.raises(WorkshopError, match="no address of a board"):
        room.join(address, "ABCDEF")


def test_who_is_not_let_in_is_told_why(board, home):
    with pytest.raises(WorkshopError, match="not the code"):
        room.join(board.url, "WRONG")
    with pytest.raises(WorkshopError, match="without < and >"):
        room.join(board.url, board.board.code, "<b>")
    with pytest.raises(WorkshopError, match="as texts"):
        room.join(board.url, board.board.code, 5)
    with pytest.raises(WorkshopError, match="no board of this course"):
        room.join(f"{board.url}/docs", board.board.code)
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    for away in (url, "http://127.0.0.1:99999", f"http://{70 * 'a'}.local"):
        with pytest.raises(WorkshopError, match="does not answer"):
            room.join(away, "ABCDEF")
    assert not (home / "room").exists()


def test_who_leaves_while_the_board_is_away_is_out(home, tmp_path):
    with served(tmp_path / "instructor") as board:
        room.join(board.url, board.board.code)
    with pytest.raises(WorkshopError, match="does not answer"):
        room.leave()
    assert not (home / "room").exists()


def test_what_waits_from_before_is_no_matter_of_a_room_joined_later(board, home):
    room._put("wrong", "0.1")  # as a kernel does at the moment in which another one leaves
    room.join(board.url, board.board.code)
    check("0.2", 5)
    until(lambda: exercises(board) and not waiting(home))
    assert list(exercises(board)) == ["0.2"]


def test_another_room_takes_the_place_of_the_first_also_if_that_is_away(board, home, tmp_path):
    with served(tmp_path / "first") as first:
        room.join(first.url, first.board.code)
    check("0.1", 5)  # is the first room's
    joined = room.join(board.url, board.board.code)
    assert (joined.address, joined.number) == (board.url, 1)
    check("0.2", 5)
    until(lambda: not waiting(home))
    assert list(exercises(board)) == ["0.2"]


def test_the_board_that_has_moved_to_another_address_knows_its_learners(home, tmp_path):
    with served(tmp_path / "instructor") as board:
        first = room.join(board.url, board.board.code, "Ada")
    check("0.1", 5)  # waits
    with served(tmp_path / "instructor") as moved:
        assert moved.url != board.url
        again = room.join(moved.url, f" {moved.board.code.lower()}", "Ada")
        assert (again.number, again.token) == (first.number, first.token)
        until(lambda: not waiting(home))
        assert exercises(moved) == {"0.1": ["tried", 1]}


def test_a_board_of_another_code_gets_no_token(board, home, tmp_path):
    with served(tmp_path / "first") as first:
        token = room.join(first.url, first.board.code).token
        room.join(board.url, board.board.code)
        assert token.encode() not in board.bodies
        assert first.seen()["people"] == []


def test_a_room_has_one_thread(board):
    room.join(board.url, board.board.code)
    for answer in range(5):
        check("0.1", answer)
    assert [thread.name for thread in threading.enumerate()].count("room") == 1


def test_a_wording_has_nothing_of_the_answer():
    said = "first comes a score of 1.5, though there is one of 7.25"
    assert wording("1.2", said) == "first comes a score of …, though there is one of …"
    assert is_wording("1.2", wording("1.2", said))
    for theirs in ("return scores", "row 3", "", "first comes a score", "…"):
        assert wording("1.2", theirs) == ""
        assert not is_wording("1.2", theirs)
