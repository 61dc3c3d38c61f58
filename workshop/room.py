"""A room with an instructor: who joins it lets `check` tell its board how the exercises go.

    from workshop import room
    room.join("http://192.168.1.5:8765", "KTRWQP", "Ada")    # or without a name
    room.help("3.2")                                         # raises your hand
    room.leave()                                             # ends it, and removes what was told

Told are the number of an exercise, whether it is solved, tried or open, and what the check said in the
course's own words, without the values in it: never code, never a file, nothing of other cells. Who has
not joined tells nothing. What is to be told waits in `WORKSHOP_HOME/room`, one file an event, until the
board has it: while the board is away, and after a kernel has ended.
"""

import json
import os
import re
import shutil
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from workshop.environment import drop_unusable_proxies, prepare
from workshop.errors import WorkshopError
from workshop.paths import home

if TYPE_CHECKING:
    import httpx

    from workshop.checks import Result

SECONDS = 10  # that the board may take for an answer
AGAIN = (1, 30)  # seconds between two attempts while it is away: the first wait, and the longest
EVENTS = 50  # in one request
LONGEST = 10_000  # characters of a message that is looked at


@dataclass(frozen=True)
class Room:
    """A room that was joined: `number` and `name` are how the board knows you."""

    address: str
    number: int
    name: str
    token: str
    until: float  # seconds since 1970
    code: str = ""

    def __repr__(self) -> str:
        """What joining means."""
        known = f"learner {self.number}"
        who = f"as {self.name} ({known})" if self.name else f"without a name, as {known}"
        return (
            f"You are in the room at {self.address}, {who}. From now on `check` tells its board which "
            "exercise you tried and what it said, never your code. `room.help()` raises your hand, "
            "`room.leave()` ends it."
        )


def join(address: str, code: str, name: str = "") -> Room:
    """Join the room whose board is at `address`; joining again changes the name.

    The same room at another address is still the same one: you keep your number, and what waits is told.
    Raises WorkshopError if the board cannot be reached or does not let you in.
    """
    address = _address(address)
    if not (isinstance(code, str) and isinstance(name, str)):
        raise WorkshopError("Give the code and your name as texts, in quotation marks.")
    code = code.strip().upper()
    earlier = _joined()
    # the board may have moved to another network; a board of another code does not get the token
    again = earlier is not None and (earlier.address == address or earlier.code == code)
    body = {"code": code, "name": name, "token": earlier.token if again else ""}
    answer = _call("POST", address, "join", {}, json=body)
    if answer.status_code not in (200, 201):
        raise WorkshopError(_reason(answer))
    try:
        about = answer.json()
        joined = Room(
            address,
            int(about["number"]),
            str(about["name"]),
            str(about["token"]),
            time.time() + float(about["seconds_left"]),
            code,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WorkshopError(f"What answers at {address} is no board of this course.") from error
    if not (earlier and earlier.token == joined.token):
        if earlier and earlier.address != address:
            with suppress(WorkshopError):  # the board of the room before may be gone
                leave()
        _forget()  # nothing that waits is this room's
    _write(_folder() / "joined.json", vars(joined))
    _Teller.wake()
    return joined


def help(exercise: str | float = "", done: bool = False) -> str:
    """Raise your hand, for an exercise or without one; `done=True` takes it down.

    You have one hand: raised again, it is up for the exercise that you name then.
    """
    if _joined() is None:
        raise WorkshopError(
            "You are in no room. Your instructor gives you the line that joins one: "
            'room.join("http://…", "CODE").'
        )
    if exercise != "":
        from workshop import checks

        exercise = checks.exercise(exercise).id
    _put("helped" if done else "help", exercise)
    if done:
        return "Your hand is down."
    if exercise == "":
        return "Your hand is up, for no exercise. `room.help(done=True)` takes it down."
    return (
        f"Your hand is up for exercise {exercise}, and no other. It goes down when you solve that; "
        "`room.help(done=True)` takes it down before."
    )


def leave() -> str:
    """Leave the room: nothing is told from now on, and the board deletes what was.

    Raises WorkshopError if the board cannot be reached; you are out all the same.
    """
    joined = _joined()
    _forget()
    if joined is None:
        return "You are in no room."
    answer = _call("DELETE", joined.address, "me", _key(joined))
    if answer.status_code not in (204, 401, 404, 410):
        raise WorkshopError(f"You are out, but the board keeps what it knows: {_reason(answer)}")
    return "You have left the room, and the board has deleted what it knew of you."


def tell(result: "Result") -> None:
    """Let the board know what a check said, if a room is joined. Returns at once, and never fails."""
    # whatever is wrong with the room or the disk is no concern of who checks an answer
    with suppress(OSError, WorkshopError):
        if _joined() is not None:
            said = result.message[:LONGEST] if result.state == "wrong" else ""
            _put(result.state, result.id, said)


# ------------------------------------------------------------------------------ what waits here


def _folder() -> Path:
    return home() / "room"


def _joined() -> Room | None:
    """The room that this home is in, if any."""
    try:
        joined = Room(**json.loads((_folder() / "joined.json").read_text(encoding="utf-8")))
        if joined.until > time.time():
            return joined
    except OSError:  # there is none, or it cannot be read just now
        return None
    except (ValueError, TypeError):
        pass
    _forget()  # it has ended long ago, or the file is damaged
    return None


def _forget() -> None:
    shutil.rmtree(_folder(), ignore_errors=True)


def _put(kind: str, exercise: str, message: str = "") -> None:
    """Let an event wait for the thread that tells it."""
    event = {"id": uuid.uuid4().hex, "kind": kind, "exercise": exercise, "at": time.time()}
    _write(_folder() / "events" / f"{time.time_ns():020d}-{event['id']}", event | {"said": message})
    _Teller.wake()


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}-{os.getpid()}")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content), encoding="utf-8")
    new.replace(path)


class _Teller(threading.Thread):
    """Tells the board what waits, in the background, until nothing does; one in each kernel."""

    _one: "_Teller | None" = None
    _making = threading.Lock()

    @classmethod
    def wake(cls) -> None:
        """See to it that what waits is told now."""
        with cls._making:
            if cls._one is None or not cls._one.is_alive():
                cls._one = cls(name="room", daemon=True)
                cls._one.start()
            cls._one.news.set()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.news = threading.Event()

    def run(self) -> None:
        """Tell, and wait for more; while the board is away, try again after a while."""
        wait = None
        while True:
            self.news.wait(wait)
            self.news.clear()
            wait = _next_wait(wait) if not _tell_all() else None


def _next_wait(wait: float | None) -> float:
    return min(2 * wait, AGAIN[1]) if wait else AGAIN[0]


def _tell_all() -> bool:
    """Tell all that waits; False if the board is away, and there is more."""
    with suppress(OSError):
        while (joined := _joined()) and (waiting := _waiting()):
            events = [event for path in waiting if (event := _event(path))]
            try:
                answer = _call(
                    "POST", joined.address, "events", _key(joined), json={"events": events}
                )
            except WorkshopError:
                return False
            of_board = answer.headers.get("content-type", "") == "application/problem+json"
            if of_board and answer.status_code in (401, 410):  # it knows us no more
                if _joined() == joined:  # not if it has just been joined anew, or elsewhere
                    _forget()
            elif answer.status_code == 200 or (of_board and answer.status_code in (409, 413, 422)):
                for path in waiting:  # taken, or never to be
                    path.unlink(missing_ok=True)
            else:
                return False
        return True
    return False


def _waiting() -> list[Path]:
    """The files of the oldest events that wait."""
    return sorted((_folder() / "events").glob("[0-9]*"))[:EVENTS]


def _event(path: Path) -> dict[str, Any] | None:
    """An event as the board takes it: of what a check said the wording alone."""
    from workshop.checks.wording import wording

    try:
        event = json.loads(path.read_text(encoding="utf-8"))
        ago = min(max(0.0, time.time() - event.pop("at")), 1e7)
        said = wording(event["exercise"], event.pop("said"))
        return {**event, "ago": ago, "wording": said[:500]}
    except (ValueError, KeyError, TypeError, AttributeError):  # cut off when the disk was full
        path.unlink(missing_ok=True)
        return None


# ----------------------------------------------------------------------------------- the board


def _key(room: Room) -> dict[str, str]:
    return {"Authorization": f"Bearer {room.token}"}


def _address(text: str) -> str:
    """The board's address as calls begin with it. Raises WorkshopError if it is none."""
    text = text.strip().rstrip("/") if isinstance(text, str) else ""
    text = text if "://" in text else f"http://{text}"
    if not re.fullmatch(r"https?://([\w.-]+|\[[\da-fA-F:]+\])(:\d{1,5})?(/[\w.~%@+-]+)*", text):
        raise WorkshopError(
            "That is no address of a board. Your instructor shows the line to run; it looks like "
            'room.join("http://192.168.1.5:8765", "KTRWQP").'
        )
    return text


def _call(
    method: str, address: str, path: str, headers: dict[str, str], **content: Any
) -> "httpx.Response":
    """The board's answer. Raises WorkshopError if there is none."""
    import httpx  # here: whoever joins no room does not wait for it

    by_proxy = not _is_near(urlsplit(address).hostname or "")
    if by_proxy:
        prepare()
        drop_unusable_proxies()
    try:
        with httpx.Client(timeout=SECONDS, trust_env=by_proxy) as client:
            return client.request(method, f"{address}/{path}", headers=headers, **content)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise WorkshopError(
            f"The board at {address} does not answer ({type(error).__name__}). See that the address is "
            "the one shown in the room, and that you are in the same network."
        ) from error


def _is_near(host: str) -> bool:
    """Whether it is this machine or one of the room's network, which no proxy reaches for us."""
    with suppress(ValueError):
        return ip_address(host).is_private
    return host == "localhost" or host.endswith(".local")


def _reason(answer: "httpx.Response") -> str:
    with suppress(ValueError, TypeError, KeyError):
        if answer.status_code != 404:
            return str(answer.json()["detail"])[:300]
    return f"What answers there is no board of this course (it says {answer.status_code})."
