"""Exercises that check themselves: `check("1.2", answer)`, hints that grow, progress that is kept.

Each chapter has a module `chNN` beside this file. It registers one function per exercise:

    @register("1.2", "first hint", "second hint", "third hint")
    def top_k(top_k):
        got = call(top_k, np.array([0.2, 0.9, 0.4]), 2)
        if list(got) != [1, 2]:
            raise Wrong(f"the best two of 0.2, 0.9, 0.4 are rows 1 and 2, not {got}")
        return "the best k, best first"

The function raises `Wrong` with a sentence that names the mistake, or returns a message.
"""

import ast
import asyncio
import contextlib
import contextvars
import copy
import ctypes
import dis
import html
import importlib
import inspect
import json
import linecache
import logging
import os
import re
import sys
import sysconfig
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from workshop import room
from workshop.environment import printable
from workshop.errors import WorkshopError
from workshop.paths import home

HERE = Path(__file__).resolve().parent
BONUS = (20,)  # chapters that are shown, and that nobody needs: they do not count


class Wrong(Exception):
    """An answer is wrong; the message names the mistake and does not give the solution away."""


class NotAttempted(Exception):
    """For a check that sees by itself that the learner has not begun."""


@dataclass(frozen=True)
class Exercise:
    """A registered exercise: its check function, hints in markdown, and time limit in seconds."""

    id: str
    function: Callable[..., str | None]
    hints: tuple[str, ...]
    seconds: float


_exercises: dict[str, Exercise] = {}
_tries: dict[str, int] = {}  # of this session, for when nothing is recorded


def register(id: str, *hints: str, seconds: float = 20) -> Callable[[Callable], Callable]:
    """Make the decorated function the check of exercise `id`; hints go from a nudge to nearly all.

    seconds  how long the check may take before the answer counts as one that never ends
    """

    def decorate(function: Callable[..., str | None]) -> Callable[..., str | None]:
        _exercises[id] = Exercise(id, function, hints, seconds)
        return function

    return decorate


@dataclass(frozen=True)
class Result:
    """What a check says: `state` is "right", "wrong" or "open" (not attempted yet)."""

    id: str
    state: str
    message: str
    hints: tuple[str, ...] = ()
    hints_total: int = 0
    note: str = ""

    @property
    def mark(self) -> str:
        """The sign in front of the text; it says without colour what the colour says."""
        return {"right": "✅", "wrong": "❌", "open": "⏳"}[self.state]

    def _hints(self) -> list[str]:
        return [f"Hint {i} of {self.hints_total}: {h}" for i, h in enumerate(self.hints, 1)]

    def __repr__(self) -> str:
        """Plain text, one line for the result and one for each hint."""
        lines = [f"{self.mark} {self.id}: {self.message}", *self._hints()]
        return "\n   ".join([*lines, self.note] if self.note else lines)

    def __str__(self) -> str:
        """What `print` shows, on any console."""
        return printable(repr(self))

    def _repr_html_(self) -> str:
        # mid-tones that keep 3:1 against both the light and the dark JupyterLab background
        colour = {"right": "#009E73", "wrong": "#D55E00", "open": "#808080"}[self.state]
        first = f"{self.mark} <b>{html.escape(self.id)}</b>: {as_html(self.message)}"
        rest = "".join(f"<br>{as_html(line)}" for line in [*self._hints(), self.note] if line)
        return (
            f'<div style="border-left: 4px solid {colour}; padding: 4px 10px">{first}{rest}</div>'
        )


def as_html(text: str) -> str:
    """Escape a sentence for HTML; `code` becomes a code element, line breaks stay."""
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
    return escaped.replace("\n", "<br>")


# ---------------------------------------------------------------------------- which exercises exist


def chapters() -> list[int]:
    """Numbers of the chapters that have exercises."""
    return sorted(int(path.stem[2:]) for path in HERE.glob("ch[0-9][0-9].py"))


def exercises(chapter: int) -> list[Exercise]:
    """The registered exercises of a chapter, in order."""
    if chapter in chapters():
        importlib.import_module(f"{__name__}.ch{chapter:02d}")
    found = [e for e in _exercises.values() if e.id.split(".")[0] == str(chapter)]
    return sorted(found, key=lambda e: int(e.id.split(".")[1]))


def exercise(id: str | float) -> Exercise:
    """The exercise of that id, or a WorkshopError that lists those there are.

    1.2 is understood as "1.2": no chapter has ten exercises.
    """
    id = str(id).strip() if isinstance(id, str | float) else id
    match = re.fullmatch(r"([0-9]+)\.([0-9]+)", id) if isinstance(id, str) else None
    if not match:
        raise WorkshopError(
            f'An exercise is called by chapter and number, as in "1.2", not {id!r}.'
        )
    chapter = int(match[1])
    known = [e.id for e in exercises(chapter)]
    if id in known:
        return _exercises[id]
    if known:
        raise WorkshopError(f"No exercise {id}: chapter {chapter} has {', '.join(known)}.")
    numbers = ", ".join(map(str, chapters())) or "none yet"
    raise WorkshopError(f"No exercise {id}: chapters with exercises are {numbers}.")


# ------------------------------------------------------------------------------- running one check


def check(id: str | float, *answers: Any) -> Result:
    """Check the answer (or answers) to exercise `id`; shows a mistake and one hint more each try.

    Who has joined a room (workshop/room.py) lets its board know how it went.
    """
    result = _checked(exercise(id), answers)
    if _recording():
        room.tell(result)
    return result


def _checked(wanted: Exercise, answers: tuple) -> Result:
    id = wanted.id
    parameters = list(inspect.signature(wanted.function).parameters)
    if len(answers) != len(parameters):
        raise WorkshopError(
            f'check("{id}", {", ".join(parameters)}) takes {len(parameters)} answer(s) '
            f"after the number, not {len(answers)}."
        )
    untouched = [is_stub(answer, id) for answer in answers]
    if all(untouched):
        return Result(id, "open", "not attempted yet")
    if any(untouched):
        missing = parameters[untouched.index(True)]
        state, message = "wrong", f"`{missing}` is still to be written: it is a `...` so far"
    elif any(answer is None for answer in answers):
        state, message = "wrong", _NONE
    else:
        state, message = _run(wanted, answers)
    if state == "open":
        return Result(id, state, message)
    tries, note = _record(id, state == "right")
    hints = wanted.hints[:tries] if state == "wrong" else ()
    return Result(id, state, message, hints, len(wanted.hints), note)


_NONE = "your answer is `None`: does the cell bind the name to a value, or to a function that returns one?"


def call(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call a learner's function on copies; raise Wrong if it changed one of them in place.

    A coroutine is run to its end (checks have a thread, and so an event loop, of their own).
    """
    given = copy.deepcopy((args, kwargs))
    result = function(*given[0], **given[1])
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    for before, after in zip(
        [*args, *kwargs.values()], [*given[0], *given[1].values()], strict=True
    ):
        if not _same(before, after):
            name = getattr(function, "__name__", "the function")
            raise Wrong(f"`{name}` changes what it was given: work on a copy, or make a new one")
    return result


def python_steps(function: Callable, *args: Any) -> int:
    """How many lines of Python, and calls of built-in functions, a call of `function` takes.

    A loop over rows takes more steps with more rows; one NumPy operation for all rows does not.
    """
    steps = 0

    def line(frame: Any, event: str, arg: Any) -> Callable:
        nonlocal steps
        steps += 1
        return line

    def called(frame: Any, event: str, arg: Any) -> None:
        nonlocal steps
        steps += event == "c_call"

    given = copy.deepcopy(args)
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(line)
    sys.setprofile(called)
    try:
        function(*given)
    finally:
        sys.setprofile(profiler)
        sys.settrace(tracer)
    return steps


def no_loop(function: Callable, few: tuple, many: tuple) -> None:
    """Raise Wrong if `function` takes more steps of Python for `many` rows than for `few`."""
    python_steps(function, *few)  # a first call may import something
    more = python_steps(function, *many) - python_steps(function, *few)
    if more > 30:
        raise Wrong(
            f"more rows take more steps of Python ({more:,} more here): the task says no loop, and that "
            "means no comprehension and no function called for each row either"
        )


def _same(a: Any, b: Any) -> bool:
    if hasattr(a, "dtype"):
        import numpy as np

        return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc")
    if isinstance(a, list | tuple | dict | set | str | int | float | bytes):
        return repr(a) == repr(b)
    return True


class _OutOfTime(BaseException):
    """Raised inside a check's thread to end a loop that never ends."""


def _run(wanted: Exercise, answers: tuple) -> tuple[str, str]:
    """Run a check in a thread, so that an endless loop cannot take the kernel with it."""
    outcome: list[tuple[str, str]] = []

    def work() -> None:
        try:
            outcome.append(("right", wanted.function(*answers) or "right"))
        except NotAttempted:
            outcome.append(("open", "not attempted yet"))
        except Wrong as mistake:
            outcome.append(("wrong", str(mistake)))
        except _OutOfTime:
            pass
        except BaseException as error:
            outcome.append(("wrong", _explain(error)))

    before = set(threading.enumerate())
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), name=f"check-{wanted.id}", daemon=True
    )
    thread.start()
    try:
        thread.join(wanted.seconds)
    finally:
        if thread.is_alive():
            _raise_in(thread)
        put_away(before | {thread})
    if outcome:
        return outcome[0]
    return "wrong", (
        f"your code was still running after {wanted.seconds:g} seconds: "
        "is there a loop that never ends, or a wait for something that never comes?"
    )


def _raise_in(thread: threading.Thread) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(_OutOfTime)
    )


def put_away(before: set[threading.Thread], seconds: float = 0.5) -> None:
    """End what an answer left running in threads of its own, so that no later check meets it.

    before   the threads that are none of the answer's
    seconds  how long to wait for each; one that sleeps in C ends only when it wakes, and harms nobody

    A thread that came meanwhile and is in the learner's code gets an exception; those of libraries,
    such as the pools of Milvus Lite, are left alone.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what a server says while it is ended helps nobody
    try:
        _end_threads(set(threading.enumerate()) - before, seconds)
    finally:
        logging.disable(disabled)


def _end_threads(threads: set[threading.Thread], seconds: float) -> None:
    for thread in threads:
        frame = sys._current_frames().get(thread.ident)
        files = (Path(f.f_code.co_filename) for f, _ in traceback.walk_stack(frame))
        if frame is not None and not all(map(_is_library, files)):
            _raise_in(thread)
            thread.join(seconds)


def _explain(error: BaseException) -> str:
    """The exception's last line and, where it is the learner's, the line of code it came from."""
    last = traceback.format_exception_only(error)[-1].strip()
    if own := own_frames(error):
        return f"your code raised `{last}` in line {own[-1].lineno}: `{own[-1].line}`"
    return f"the check could not use your answer: `{last}`"


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The part of an exception's traceback that is the learner's code, outermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not _is_library(Path(frame.filename))]


def own_traceback(error: BaseException) -> str:
    """The learner's own lines of a traceback, and the error: what a check of a service quotes."""
    lines = [f"line {frame.lineno}: {frame.line}" for frame in own_frames(error)]
    return "\n".join([*lines, traceback.format_exception_only(error)[-1].strip()])


def _is_library(path: Path) -> bool:
    homes = (HERE.parent, *map(Path, (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))))
    return any(path.is_relative_to(folder) for folder in homes) or str(path).startswith("<frozen")


# --------------------------------------------------------------------- has the learner begun at all?


def is_stub(answer: Any, id: str | None = None) -> bool:
    """Whether an answer is what the learner found in the notebook, or holds nothing at all.

    id  of the exercise, whose stub is compared: a `...` left over beside an answer hides nothing
    """
    if answer is ...:
        return True
    if not (inspect.isroutine(answer) or inspect.isclass(answer)):
        return isinstance(answer, list | tuple | dict) and any(
            isinstance(value, type(answer)) and repr(value) == repr(answer)
            for value in _stub_values(id)
        )
    answer = inspect.unwrap(answer)
    tree = _syntax(answer)
    if tree is not None:
        definition = tree.body[0] if isinstance(tree, ast.Module) else tree
        return _is_empty(definition) or _plain(definition) in {
            _plain(node) for node in _stub_nodes(id) if isinstance(node, type(definition))
        }
    if inspect.isclass(answer):
        own = set(vars(answer)) - set(vars(type("Empty", (), {}))) - {"__firstlineno__"}
        return not own and not getattr(answer, "__annotations__", None)
    code = getattr(answer, "__code__", None)
    return code is not None and _returns_nothing(code)


def about(chapter: int) -> dict:
    """Title, minutes and stubs of a chapter, as tools/build_notebooks.py writes them down."""
    path = HERE / f"ch{chapter:02d}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _stub_nodes(id: str | None) -> list[ast.AST]:
    cells = about(int(id.split(".")[0])).get("stubs", {}).get(id, []) if id else []
    return [node for cell in cells for node in ast.walk(ast.parse(cell))]


def _stub_values(id: str | None) -> Iterator[Any]:
    for node in _stub_nodes(id):
        if isinstance(node, ast.Assign):
            with contextlib.suppress(ValueError):
                yield ast.literal_eval(node.value)


def _is_empty(definition: ast.AST) -> bool:
    """Nothing but a docstring and `...` or `pass`."""
    if isinstance(definition, ast.Lambda):
        return _is_placeholder(definition.body)
    body = getattr(definition, "body", [])
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr | ast.Return) and _is_placeholder(node.value))
        or node is _docstring(definition)
        for node in body
    )


def _is_placeholder(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _docstring(definition: ast.AST) -> ast.AST | None:
    first = definition.body[0]
    said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first if said and isinstance(first.value.value, str) else None


def _plain(definition: ast.AST) -> str:
    """The definition without what does not run: comments, docstrings, places."""
    if isinstance(definition, ast.Lambda):
        return ast.dump(definition)
    said = _docstring(definition)
    copied = copy.copy(definition)
    copied.body = [node for node in definition.body if node is not said]
    return ast.dump(copied)


def _syntax(answer: Any) -> ast.AST | None:
    """The definition's syntax tree, or None where its source cannot be had."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):
        return _from_history(answer) if inspect.isclass(answer) else None
    if getattr(answer, "__name__", "") == "<lambda>":
        lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
        return lambdas[0] if len(lambdas) == 1 else None
    return tree


def _from_history(cls: type) -> ast.AST | None:
    """A class made in a notebook has no file, so `inspect` gives up: look in the cells that ran."""
    methods = [getattr(member, "__code__", None) for member in vars(cls).values()]
    files = [code.co_filename for code in methods if code and "ipykernel" in code.co_filename]
    main = sys.modules.get("__main__")
    cells = ["".join(linecache.getlines(file)) for file in files]
    cells += reversed(getattr(main, "In", []))
    # where a kernel keeps no history, as under nbval, its compiled cells are still at hand
    cached = [file for file in reversed(linecache.cache) if "ipykernel" in file]
    cells += ["".join(linecache.getlines(file)) for file in cached]
    for cell in cells:
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse(cell)):
                if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                    return node
    return None


def _returns_nothing(code: Any) -> bool:
    """True if the bytecode does no work: it holds constants and returns None or Ellipsis."""
    loads = ("LOAD_CONST", "RETURN_CONST", "LOAD_COMMON_CONSTANT")
    idle = (
        "RESUME",
        "NOP",
        "POP_TOP",
        "RETURN_VALUE",
        "RETURN_GENERATOR",
        "COPY_FREE_VARS",
        "RERAISE",  # from Python 3.12 on a coroutine ends with a handler of StopIteration
        *loads,
    )
    for step in dis.get_instructions(code):
        if step.opname == "CALL_INTRINSIC_1" and step.argval == 3:  # INTRINSIC_STOPITERATION_ERROR
            continue
        if step.opname not in idle:
            return False
        if step.opname in loads and step.argval not in (None, ...):
            return False
    return True


# --------------------------------------------------------------------------------------- progress


def _recording() -> bool:
    """Reading a solution is not doing the exercise: nothing is recorded for notebooks there."""
    # Jupyter's server names the notebook; other front ends at least start in its folder
    notebook = Path(os.environ.get("JPY_SESSION_NAME", ""))
    return "solutions" not in (notebook.parent.name, Path.cwd().name)


def _read(path: Path) -> tuple[dict[str, dict], str]:
    """What is recorded, and a note if the file was broken and had to be set aside."""
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
        if not all(
            isinstance(entry["tries"], int) and isinstance(entry["done"], bool)
            for entry in recorded.values()
        ):
            raise ValueError
        return recorded, ""
    except FileNotFoundError:
        return {}, ""
    except (ValueError, AttributeError, TypeError, KeyError):
        aside = next(p for p in _names(path) if not p.exists())
        path.replace(aside)
        return {}, (
            f"Your progress file could not be read. It is kept as {aside.name} in {path.parent}, "
            "and a new one was begun."
        )


def _names(path: Path) -> Iterator[Path]:
    number = 1
    while True:
        yield path.with_name(f"progress.broken-{number}.json")
        number += 1


def _record(id: str, done: bool) -> tuple[int, str]:
    """Add a try; returns the number of failed tries so far, and a note for the learner if any."""
    _tries[id] = _tries.get(id, 0) + (not done)
    if not _recording():
        return _tries[id], ""
    try:
        path = home() / "progress.json"
        with FileLock(path.with_name("progress.lock"), timeout=5):
            recorded, note = _read(path)
            entry = recorded.setdefault(id, {"tries": 0, "done": False})
            entry["tries"] += not done
            entry["done"] |= done
            new = path.with_name("progress.json.new")
            new.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            new.replace(path)
        return entry["tries"], note
    except (OSError, NotImplementedError, WorkshopError) as error:
        return _tries[id], f"Your progress could not be saved: {error}"


def progress():
    """A matplotlib Figure: each chapter's exercises, done, tried or open."""
    path = home() / "progress.json"
    recorded, note = {}, ""
    if path.exists():
        with FileLock(path.with_name("progress.lock"), timeout=5):
            recorded, note = _read(path)
    rows = []
    for chapter in chapters():
        states = []
        for item in exercises(chapter):
            entry = recorded.get(item.id, {"tries": 0, "done": False})
            states.append(
                (item.id, "done" if entry["done"] else "tried" if entry["tries"] else "open")
            )
        rows.append((_title(chapter), states, chapter in BONUS))
    return _draw(rows, note)


def _title(chapter: int) -> str:
    """The chapter's heading and how long it takes, such as "01 · Vectors and similarity, 50 min"."""
    known = about(chapter)
    title = f"{known['title']}, {known['minutes']} min" if known else f"Chapter {chapter:02d}"
    return f"{title}, bonus" if chapter in BONUS else title


def _draw(rows: list[tuple[str, list[tuple[str, str]], bool]], note: str):
    """rows: a chapter's title, its exercises with their states, and whether it is a bonus."""
    from matplotlib.figure import Figure

    from workshop import plots

    class Progress(plots.Picture):
        """Says the same whatever is done, so that a stored notebook compares equal."""

        def __repr__(self) -> str:
            return "Your progress: exercises done, tried and open, by chapter"

    # colours of Okabe and Ito; the sign in each square says the same without colour
    looks = {"done": ("#009E73", "white", "✓"), "tried": ("#F0E442", "black", "…")}
    figure = Figure(figsize=(7, 0.9 + 0.34 * max(len(rows), 1)), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for y, (_, states, _) in enumerate(rows):
        for x, (id, state) in enumerate(states):
            face, ink, sign = looks.get(state, ("white", "black", ""))
            axes.add_patch(_square(x, y, face))
            axes.text(
                x, y, sign or id, ha="center", va="center", color=ink, fontsize=11 if sign else 7
            )
    required = [state for _, states, bonus in rows if not bonus for _, state in states]
    extra = [state for _, states, bonus in rows if bonus for _, state in states].count("done")
    done, tried = required.count("done"), required.count("tried")
    title = f"{done} of {len(required)} exercises done"
    title += f", {tried} tried" if tried else ""
    axes.set_title(title + (f", {extra} bonus" if extra else ""), loc="left", fontsize=11)
    legend = [
        _square(0, 0, looks["done"][0]),
        _square(0, 0, looks["tried"][0]),
        _square(0, 0, "white"),
    ]
    axes.legend(
        legend, ["✓ done", "… tried", "open"], ncols=3, loc="upper left", frameon=False,
        bbox_to_anchor=(0, 0), fontsize=9, handlelength=1, handleheight=1,
    )  # fmt: skip
    axes.set_yticks(range(len(rows)), [title for title, _, _ in rows])
    axes.set(
        xlim=(-0.6, 5.4),
        ylim=(max(len(rows), 1) - 0.4, -0.6),
        aspect="equal",
        anchor="W",
        xticks=[],
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if note:
        figure.supxlabel(note, fontsize=8, wrap=True)
    told = [
        f"{name}: {', '.join(f'{id} {state}' for id, state in states)}" for name, states, _ in rows
    ]
    picture = plots.done(figure, f"{axes.get_title(loc='left')}. {'; '.join(told)}. {note}")
    picture.__class__ = Progress
    return picture


def _square(x: float, y: float, face: str):
    from matplotlib.patches import Rectangle

    return Rectangle(
        (x - 0.42, y - 0.42), 0.84, 0.84, facecolor=face, edgecolor="black", linewidth=0.8
    )
