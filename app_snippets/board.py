"""What a room's board knows, in one SQLite file: who joined, what their checks said, who asks for help.

What a call of `Board` has written when it returns is on the disk, also after a kill or a power cut. A
learner is known by the sha256 of a token, and has a name only if one was given.
"""

import contextlib
import hmac
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from app_snippets.service.problems import ProblemError, why
from workshop.checks.wording import is_wording
from workshop.errors import WorkshopError

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # of a code: those that nobody takes for a digit
OTHER = ""  # stands for every message that is no wording of the course's checks
SAID = 5  # messages of an exercise that are shown, the most frequent first
RECENT = (
    15 * 60
)  # seconds before the latest try: who tried nothing in them does not say where the room is

_TABLES = """
CREATE TABLE IF NOT EXISTS room (code TEXT, secret TEXT, began REAL);
CREATE TABLE IF NOT EXISTS screen (what TEXT PRIMARY KEY, shown TEXT);
CREATE TABLE IF NOT EXISTS learners (
  number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE, name TEXT);
CREATE TABLE IF NOT EXISTS events (
  learner INTEGER REFERENCES learners ON DELETE CASCADE, id TEXT,
  PRIMARY KEY (learner, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exercises (
  learner INTEGER REFERENCES learners ON DELETE CASCADE, exercise TEXT, tries INTEGER,
  first REAL, solved REAL, PRIMARY KEY (learner, exercise)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (
  learner INTEGER PRIMARY KEY REFERENCES learners ON DELETE CASCADE, chapter INTEGER, at REAL);
CREATE TABLE IF NOT EXISTS said (
  learner INTEGER REFERENCES learners ON DELETE CASCADE, exercise TEXT, wording TEXT,
  PRIMARY KEY (learner, exercise, wording)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hands (
  learner INTEGER PRIMARY KEY REFERENCES learners ON DELETE CASCADE, exercise TEXT, raised REAL);
"""


class Board:
    """The room's board, for any number of threads.

    folder       where its file is; one process at a time has it
    hours        how long a room lives: then it ends by itself
    max_learners, max_events   how many may join, and how many events each may tell

    Every call raises ProblemError 410 once the room has ended.
    """

    def __init__(self, folder: Path, hours: float, max_learners: int, max_events: int) -> None:
        self.max_learners, self.max_events = max_learners, max_events
        self._lock = threading.RLock()
        self._path = folder / "board.sqlite"
        self._table: sqlite3.Connection | None = _opened(self._path)
        began = self._row("SELECT began FROM room")
        if began and began[0] + hours * 3600 < time.time():  # of another day
            self.end()
            self._table = _opened(self._path)
        if not self._row("SELECT code FROM room"):
            code = "".join(secrets.choice(LETTERS) for _ in range(6))
            self._table.execute(
                "INSERT INTO room VALUES (?, ?, ?)", (code, secrets.token_urlsafe(24), time.time())
            )
        self.code, self.secret, self._began = self._row("SELECT code, secret, began FROM room")
        self.until = self._began + hours * 3600
        self.version = 0  # changes with what there is to see
        self._views: dict[str, tuple[int, str]] = {}

    def close(self) -> None:
        """Let go of the file; the room is kept."""
        with self._lock:
            if self._table:
                self._table.close()
                self._table = None

    @property
    def ended(self) -> bool:
        """Whether there is a room no more."""
        if self._table and time.time() > self.until:
            self.end()
        return self._table is None

    def end(self) -> None:
        """End the room: all of it is deleted."""
        with self._lock:
            self.close()
            for ending in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)

    # ------------------------------------------------------------------------------- learners

    def join(self, code: str, name: str, token: str = "") -> dict[str, Any]:
        """A learner's number, name and token. Who brings a token of this room is the same learner again."""
        with self._writing():
            if not hmac.compare_digest(code.upper().encode(), self.code.encode()):
                raise ProblemError(403, "That is not the code of this room.")
            if number := self._number(token):
                if name:
                    self._table.execute(
                        "UPDATE learners SET name = ? WHERE number = ?", (name, number)
                    )
            else:
                if self._row("SELECT count(*) FROM learners")[0] >= self.max_learners:
                    raise ProblemError(
                        409, f"The room is full: it takes {self.max_learners} learners."
                    )
                token = secrets.token_urlsafe(24)
                number = self._table.execute(
                    "INSERT INTO learners (key, name) VALUES (?, ?)", (_key(token), name)
                ).lastrowid
            name = self._row("SELECT name FROM learners WHERE number = ?", number)[0]
        left = max(0.0, self.until - time.time())
        return {"number": number, "name": name, "token": token, "seconds_left": left}

    def learner(self, token: str) -> int:
        """The number of the learner with that token. Raises ProblemError 401 if there is none."""
        with self._reading():
            if number := self._number(token):
                return number
        raise ProblemError(401, "This room does not know you: join it (again).")

    def tell(self, learner: int, events: Sequence[dict[str, Any]]) -> None:
        """Take events in, all or none; one that was told before changes nothing.

        An event has an `id`, a `kind` (right, wrong, open, help or helped), an `exercise`, the
        `wording` of what a check said, and `ago`, the seconds since it happened.
        """
        now = time.time()
        with self._writing():
            told = self._row("SELECT count(*) FROM events WHERE learner = ?", learner)[0]
            if told + len(events) > self.max_events:
                raise ProblemError(409, f"A learner can tell {self.max_events:,} events, no more.")
            for event in events:
                new = self._table.execute(
                    "INSERT OR IGNORE INTO events VALUES (?, ?)", (learner, event["id"])
                )
                if new.rowcount:
                    self._take(learner, event, max(now - event["ago"], self._began))

    def _take(self, learner: int, event: dict[str, Any], at: float) -> None:
        kind, exercise, wording = event["kind"], event["exercise"], event["wording"]
        if kind == "help":
            self._table.execute(
                "INSERT INTO hands VALUES (?, ?, ?) "
                "ON CONFLICT (learner) DO UPDATE SET exercise = excluded.exercise",  # keeps its place
                (learner, exercise, at),
            )
        elif kind == "helped":
            self._table.execute("DELETE FROM hands WHERE learner = ?", (learner,))
        elif exercise:
            self._table.execute(
                "INSERT INTO exercises VALUES (?, ?, ?, ?, ?) ON CONFLICT (learner, exercise) DO UPDATE "
                "SET tries = tries + excluded.tries, first = min(first, excluded.first), "
                "solved = coalesce(min(solved, excluded.solved), solved, excluded.solved)",
                (learner, exercise, kind != "open", at, at if kind == "right" else None),
            )
        if exercise and kind in ("right", "wrong"):
            self._table.execute(
                "INSERT INTO places VALUES (?, ?, ?) ON CONFLICT (learner) DO UPDATE "
                "SET chapter = excluded.chapter, at = excluded.at WHERE excluded.at >= at",
                (learner, int(exercise.split(".")[0]), at),
            )
        if kind == "wrong":
            wording = wording if is_wording(exercise, wording) else OTHER
            self._table.execute(
                "INSERT OR IGNORE INTO said (learner, exercise, wording) VALUES (?, ?, ?)",
                (learner, exercise, wording),
            )
        elif kind == "right":
            self._table.execute(
                "DELETE FROM hands WHERE learner = ? AND exercise = ?", (learner, exercise)
            )

    def known(self, learner: int) -> dict[str, Any]:
        """All that the board knows of a learner."""
        with self._reading():
            name = self._row("SELECT name FROM learners WHERE number = ?", learner)
            hand = self._row("SELECT exercise FROM hands WHERE learner = ?", learner)
            rows = self._table.execute(
                "SELECT exercise, tries, solved FROM exercises WHERE learner = ? ORDER BY exercise",
                (learner,),
            )
            return {
                "number": learner,
                "name": name[0] if name else "",
                "hand": hand[0] if hand else None,
                "exercises": [
                    {"exercise": exercise, "state": _state(tries, solved), "tries": tries}
                    for exercise, tries, solved in rows
                ],
            }

    def remove(self, learner: int) -> None:
        """Forget a learner, and leave nothing of it on the disk. Raises ProblemError 404 if unknown."""
        with self._writing():
            gone = self._table.execute("DELETE FROM learners WHERE number = ?", (learner,))
            if not gone.rowcount:
                raise ProblemError(404, f"There is no learner with the number {learner}.")
        with self._lock:
            self._table.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log has it still

    # ----------------------------------------------------------------------------- instructor

    def lower(self, learner: int) -> None:
        """Take a raised hand down; one that is down stays so."""
        with self._writing():
            self._table.execute("DELETE FROM hands WHERE learner = ?", (learner,))

    def set_clock(self, exercise: str, minutes: float) -> None:
        """Say which exercise is at hand, and how long; `show("clock")` stops it."""
        self.show("clock", {"exercise": exercise, "ends": time.time() + minutes * 60})

    def show(self, what: str, shown: Any = None) -> None:
        """Put something on both pages, or take it off.

        what    "clock"; "chapter", its number, in place of the one that the room is at; or "message",
                the `exercise` and `wording` of what a check said, to talk about
        """
        with self._writing():
            self._table.execute("DELETE FROM screen WHERE what = ?", (what,))
            if shown is not None:
                self._table.execute("INSERT INTO screen VALUES (?, ?)", (what, json.dumps(shown)))

    def instructor(self) -> str:
        """What the instructor sees, as JSON: people, hands, clock, exercises with what checks said."""
        return self._seen("instructor", self._instructor)

    def projector(self) -> str:
        """What all may see, as JSON: numbers, the clock, and no names."""
        return self._seen("projector", self._projector)

    def rows(self) -> list[tuple]:
        """For a table: number, name, exercise, state, tries, seconds of the first try and of solving it."""
        with self._reading():
            found = self._table.execute(
                "SELECT number, name, coalesce(exercise, ''), coalesce(tries, 0), first, solved "
                "FROM learners LEFT JOIN exercises ON learner = number ORDER BY number, exercise"
            ).fetchall()
        return [
            (
                number,
                name,
                exercise,
                _state(tries, solved) if exercise else "",
                tries,
                first,
                solved,
            )
            for number, name, exercise, tries, first, solved in found
        ]

    def _seen(self, who: str, view: Callable[[], dict[str, Any]]) -> str:
        """A view as JSON, made once for each version, beside the clock's time now."""
        with self._reading():
            version, text = self._views.get(who, (-1, ""))
            if version != self.version:
                text = json.dumps(view(), ensure_ascii=False)
                self._views[who] = self.version, text
            return f'{{"now": {time.time():.3f}, "room": {text}}}'

    def _instructor(self) -> dict[str, Any]:
        people = self._table.execute("SELECT number, name FROM learners ORDER BY number")
        learners = {
            number: {"number": number, "name": name, "exercises": {}} for number, name in people
        }
        for number, exercise, tries, solved in self._table.execute(
            "SELECT learner, exercise, tries, solved FROM exercises"
        ):
            learners[number]["exercises"][exercise] = [_state(tries, solved), tries]
        said: dict[str, list[dict[str, Any]]] = {}
        for exercise, wording, now, ever in self._table.execute(
            "SELECT exercise, wording, sum(solved IS NULL) AS now, count(*) AS ever "
            "FROM said LEFT JOIN exercises USING (learner, exercise) "
            "GROUP BY exercise, wording ORDER BY now DESC, ever DESC, wording"
        ):
            if len(said.setdefault(exercise, [])) < SAID:
                said[exercise].append({"wording": wording, "now": now, "ever": ever})
        hands = self._table.execute(
            "SELECT number, name, exercise, raised FROM hands JOIN learners ON number = learner "
            "ORDER BY raised, number"
        )
        return {
            **self._projector(),
            "people": list(learners.values()),
            "said": said,
            "hands": [
                {"number": number, "name": name, "exercise": exercise, "raised": raised}
                for number, name, exercise, raised in hands
            ],
        }

    def _projector(self) -> dict[str, Any]:
        screen = {
            what: json.loads(shown)
            for what, shown in self._table.execute("SELECT what, shown FROM screen")
        }
        counts = self._table.execute(
            "SELECT exercise, count(solved), sum(solved IS NULL AND tries > 0) FROM exercises "
            "GROUP BY exercise"
        )
        chosen = screen.get("chapter")
        return {
            "code": self.code,
            "learners": self._row("SELECT count(*) FROM learners")[0],
            "clock": screen.get("clock"),
            "message": screen.get("message"),
            "chosen": chosen,
            "chapter": self._busiest() if chosen is None else chosen,
            "exercises": {
                exercise: {"solved": solved, "tried": tried} for exercise, solved, tried in counts
            },
        }

    def _busiest(self) -> int | None:
        """The chapter that most have tried something of lately, None while nobody has.

        Each learner counts once, where the latest try was, so that one who runs ahead moves nothing.
        """
        row = self._row(
            "SELECT chapter FROM places WHERE at >= (SELECT max(at) FROM places) - ? "
            "GROUP BY chapter ORDER BY count(*) DESC, chapter LIMIT 1",
            RECENT,
        )
        return row and row[0]

    # -------------------------------------------------------------------------------- the file

    def _row(self, query: str, *values: Any) -> tuple | None:
        return self._table.execute(query, values).fetchone()

    def _number(self, token: str) -> int | None:
        row = self._row("SELECT number FROM learners WHERE key = ?", _key(token))
        return row and row[0]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            if self.ended:
                raise ProblemError(410, "The room has ended, and all that was told is deleted.")
            yield

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """All of it or nothing."""
        with self._reading():
            self._table.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._table.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # it may have been rolled back already
                    self._table.execute("ROLLBACK")
                raise
            self.version += 1


def _key(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _state(tries: int, solved: float | None) -> str:
    return "solved" if solved is not None else "tried" if tries else "open"


def _opened(path: Path) -> sqlite3.Connection:
    """The file of the board, this process's own. Raises WorkshopError if it cannot be had."""
    table = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        table = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
        table.execute("PRAGMA locking_mode = EXCLUSIVE")  # two boards must not share a room
        table.execute("PRAGMA journal_mode = WAL")
        table.execute("PRAGMA synchronous = FULL")  # what was acknowledged outlives a power cut
        table.execute("PRAGMA secure_delete = ON")
        table.execute("PRAGMA foreign_keys = ON")
        table.executescript(_TABLES)
        path.chmod(0o600)
        return table
    except (OSError, sqlite3.Error) as error:
        if table:
            table.close()
        if "locked" in str(error):
            raise WorkshopError(
                "Another board has this room open. Stop that one, or give this one a folder of its "
                "own with WORKSHOP_HOME."
            ) from error
        raise WorkshopError(f"{path} cannot be used. {why(error)}.") from error
