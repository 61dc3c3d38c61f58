"""Each exercise check against what people write, right and wrong, and the engine that runs them.

tests/answers/chNN.py holds the answers: RIGHT, exercise to answers in different styles, and WRONG,
exercise to pairs of an answer and a part of what the check must say of it.
"""

import functools
import importlib
import inspect
import json
import re
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from workshop import checks
from workshop.checks import NotAttempted, Wrong, call, check, is_stub, register
from workshop.checks.wording import wording
from workshop.errors import WorkshopError

ROOT = Path(__file__).resolve().parent.parent
EXERCISES = [e for chapter in checks.chapters() for e in checks.exercises(chapter)]


@functools.cache
def answers(kind: str, id: str) -> list:
    """The answers of a kind, RIGHT or WRONG, to an exercise."""
    module = f"answers.ch{int(id.split('.')[0]):02d}"
    return getattr(importlib.import_module(module), kind, {}).get(id, [])


@functools.cache
def in_the_guide(id: str) -> dict[int, str]:
    """What INSTRUCTORS.md says that the check says: the place of a wrong answer to the message."""
    path = ROOT / "tools" / "instructors" / f"{int(id.split('.')[0]):02d}.json"
    return {row["place"]: row["said"] for row in json.loads(path.read_text("utf-8"))[id]}


def without_numbers(message: str) -> str:
    """Other machines may round otherwise."""
    return re.sub(r"\d[\d.,]*", "0", message)


def parameters(kind: str) -> list:
    return [
        pytest.param(e, answer, id=f"{e.id}-{number}")
        for e in EXERCISES
        for number, answer in enumerate(answers(kind, e.id))
    ]


def answers_of(exercise: checks.Exercise, answer) -> tuple:
    return answer if len(inspect.signature(exercise.function).parameters) > 1 else (answer,)


def solution_lines(id: str) -> list[str]:
    """The lines of code between the solution markers of an exercise."""
    chapter = int(id.split(".")[0])
    (source,) = (ROOT / "solutions" / "src").glob(f"{chapter:02d}_*.py")
    text = source.read_text(encoding="utf-8")
    begin = re.search(rf"Your turn {re.escape(id)} ·", text).start()
    blocks = re.findall(r"# BEGIN SOLUTION\n(.*?)# END SOLUTION", text[begin:], re.S)
    return [line.strip() for line in blocks[0].splitlines() if len(line.strip()) >= 12]


# ------------------------------------------------------------------------- every exercise


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_exercise_has_three_right_answers_eight_wrong_ones_and_hints(exercise):
    assert len(answers("RIGHT", exercise.id)) >= 3
    assert len(answers("WRONG", exercise.id)) >= 8
    assert exercise.hints


@pytest.mark.parametrize(("exercise", "planted"), parameters("WRONG"))
def test_wrong_answer_is_refused_by_name_without_giving_the_solution_away(exercise, planted, home):
    answer, fragment = planted
    result = check(exercise.id, *answers_of(exercise, answer))
    assert result.state == "wrong"
    assert fragment in result.message
    assert wording(exercise.id, result.message)  # what a room is told: never nothing
    if not result.message.startswith("your code raised"):  # which quotes the learner's own line
        assert not [line for line in solution_lines(exercise.id) if line in result.message]
    place = [one is planted for one in answers("WRONG", exercise.id)].index(True)
    said = in_the_guide(exercise.id).get(place, result.message)
    mend = f"run tools/build_instructors.py --messages {exercise.id.split('.')[0]}"
    assert without_numbers(said) == without_numbers(result.message), mend


# after the wrong ones: whatever those left behind must not make a right one fail
@pytest.mark.parametrize(("exercise", "answer"), parameters("RIGHT"))
def test_right_answer_is_taken_in_every_style(exercise, answer, home):
    result = check(exercise.id, *answers_of(exercise, answer))
    assert (result.state, result.message) == ("right", result.message)


def raises(*args, **kwargs):
    raise RuntimeError("garbage")


GARBAGE = [
    None,
    0,
    "words",
    np.zeros((2, 0, 5)),
    raises,
    lambda *args, **kwargs: None,
    int,
    [[], {}],
]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_garbage_is_a_wrong_answer_and_never_an_error(exercise, home):
    count = len(inspect.signature(exercise.function).parameters)
    for answer in GARBAGE:
        assert check(exercise.id, *[answer] * count).state == "wrong", answer


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
def test_stub_is_not_attempted_yet(exercise, home):
    count = len(inspect.signature(exercise.function).parameters)
    for stub in (..., stub_function):
        assert repr(check(exercise.id, *[stub] * count)) == f"⏳ {exercise.id}: not attempted yet"
    assert not (home / "progress.json").exists()


# ------------------------------------------------------------------------------- the engine


def stub_function(scores, k: int = 3):
    """Says what to do."""
    ...  # your code here


async def stub_coroutine(x):
    """Says what to do."""
    ...


class Stub:
    """Says what to do."""

    ...


def double(x):
    return 2 * x


@pytest.fixture
def exercise(home, monkeypatch):
    """Exercise 99.1 wants a function that doubles; returns the home folder."""
    monkeypatch.setattr(checks, "_exercises", dict(checks._exercises))
    monkeypatch.setattr(checks, "_tries", {})

    @register("99.1", "first & `a < b`", "second", "third", seconds=0.5)
    def _(double):
        if call(double, 2) != 4:
            raise Wrong("twice 2 is <4>")
        return "well done"

    return home


def recorded(home: Path) -> dict:
    return json.loads((home / "progress.json").read_text())


def test_right_answer_is_said_and_recorded(exercise):
    assert repr(check("99.1", double)) == "✅ 99.1: well done"
    assert recorded(exercise)["99.1"] == {"done": True, "tries": 0}


def test_each_failed_try_shows_one_hint_more(exercise):
    shown = [check("99.1", lambda x: x).hints for _ in range(4)]
    assert [len(hints) for hints in shown] == [1, 2, 3, 3]
    assert repr(check("99.1", lambda x: x)) == (
        "❌ 99.1: twice 2 is <4>\n   Hint 1 of 3: first & `a < b`\n"
        "   Hint 2 of 3: second\n   Hint 3 of 3: third"
    )


def test_done_stays_done_after_a_later_mistake(exercise):
    check("99.1", double)
    check("99.1", lambda x: x)
    assert recorded(exercise)["99.1"] == {"done": True, "tries": 1}


def test_html_escapes_and_sets_code(exercise):
    html = check("99.1", lambda x: x)._repr_html_()
    assert "twice 2 is &lt;4&gt;" in html
    assert "Hint 1 of 3: first &amp; <code>a &lt; b</code>" in html
    assert "❌" in html


def test_stubs_are_seen_and_answers_are_not():
    not_begun = lambda x: ...  # noqa: E731
    for stub in (..., stub_function, stub_coroutine, Stub, not_begun):
        assert is_stub(stub)
    code = compile("def f(x):\n    pass\n\nasync def g(x):\n    ...\n", "<no source>", "exec")
    exec(code, names := {})
    assert is_stub(names["f"]) and is_stub(names["g"])
    for answer in (None, 0, "", [], np.zeros(3), double, len, lambda x: x[..., 0]):
        assert not is_stub(answer)


def left_over(x):
    ...  # your code here
    return 2 * x


def with_an_exception_of_its_own(x):
    class Missing(Exception): ...

    if x is None:
        raise Missing
    return 2 * x


@pytest.mark.parametrize("answer", [left_over, with_an_exception_of_its_own])
def test_what_is_left_over_of_a_stub_hides_no_answer(exercise, answer):
    assert check("99.1", answer).state == "right"


STUBS = [
    "def scaled(x):\n    y = 3\n    ...  # your code here\n    return y",
    'class Loader:\n    """Loads."""\n\n    def load(self):\n        ...  # your code here',
    'settings = {"k": ...}',
]


def scaled(x):
    """A comment and a docstring are no answer."""
    y = 3  # three
    ...
    return y


class Loader:
    def load(self): ...


@pytest.fixture
def stubs(exercise, monkeypatch):
    monkeypatch.setattr(checks, "about", lambda chapter: {"stubs": {"99.1": STUBS}})


@pytest.mark.parametrize("answer", [scaled, Loader, {"k": ...}])
def test_a_stub_with_given_lines_is_known_by_what_the_notebook_had(stubs, answer):
    assert check("99.1", answer).state == "open"


def test_a_stub_that_was_touched_is_an_answer(stubs):
    def scaled(x):
        y = 5
        ...
        return y

    assert check("99.1", scaled).message == "twice 2 is <4>"
    assert check("99.1", {"k": 3}).state == "wrong"


def test_none_is_an_answer_that_says_what_may_have_happened(exercise):
    assert "your answer is `None`" in check("99.1", None).message


def test_one_of_two_answers_is_named_as_missing(exercise):
    register("99.2", "hint")(lambda first, second: None)
    assert check("99.2", double, ...).message.startswith("`second` is still to be written")
    assert check("99.2", ..., ...).state == "open"


def test_exception_is_a_mistake_with_its_last_line_and_where(exercise):
    def broken(x):
        return [1, 2][x]

    result = check("99.1", broken)
    assert result.state == "wrong"
    assert "`IndexError: list index out of range`" in result.message
    assert "`return [1, 2][x]`" in result.message
    assert "Traceback" not in repr(result)


def test_even_sys_exit_is_only_a_mistake(exercise):
    assert "SystemExit" in check("99.1", lambda x: sys.exit(1)).message


def test_answer_that_the_check_cannot_use(exercise):
    # where the checks of chapters live: frames from there are not the learner's
    code = "def _(answer):\n    return answer.shape"
    exec(compile(code, checks.HERE / "ch99.py", "exec"), names := {})
    register("99.2", "hint")(names["_"])
    message = check("99.2", 3).message
    assert message.startswith("the check could not use your answer: `AttributeError: 'int'")


def test_endless_loop_ends(exercise):
    def loop(x):
        while True:
            pass

    result = check("99.1", loop)
    assert result.state == "wrong"
    assert "still running after 0.5 seconds" in result.message
    for _ in range(50):
        if not any(t.name == "check-99.1" for t in threading.enumerate()):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the loop still runs")


def started(thread: threading.Thread) -> threading.Thread:
    thread.start()
    return thread


def test_threads_that_an_answer_leaves_running_are_ended(exercise):
    left = []

    def leaves_a_loop(x):
        def loop():
            while True:
                pass

        left.append(started(threading.Thread(target=loop, daemon=True)))
        return 2 * x

    assert check("99.1", leaves_a_loop).state == "right"
    left[0].join(20)
    assert not left[0].is_alive()


def test_threads_of_libraries_and_of_the_learners_own_before_are_left_alone(exercise):
    go_on = threading.Event()
    pool = ThreadPoolExecutor(1)

    def waits():
        while not go_on.wait(0.01):
            pass

    before = started(threading.Thread(target=waits))
    assert check("99.1", lambda x: pool.submit(double, x).result()).state == "right"
    assert before.is_alive() and pool.submit(double, 4).result() == 8
    go_on.set()
    before.join()


def test_a_wrong_answer_that_sleeps_does_not_keep_a_right_one_from_passing(exercise):
    awake = threading.Event()
    assert "still running" in check("99.1", lambda x: awake.wait(30)).message
    assert check("99.1", double).state == "right"
    awake.set()


def test_check_may_say_itself_that_nothing_was_done(exercise):
    @register("99.2", "hint")
    def _(answer):
        raise NotAttempted

    assert check("99.2", 3).state == "open"


def test_coroutine_answers_run_to_their_end(exercise):
    async def double_async(x):
        return 2 * x

    assert check("99.1", double_async).state == "right"


def test_change_in_place_is_caught():
    def in_place(x):
        x *= 2
        return x

    given = np.arange(3.0)
    with pytest.raises(Wrong, match="`in_place` changes what it was given"):
        call(in_place, given)
    assert given.tolist() == [0, 1, 2]
    with pytest.raises(Wrong, match="changes"):
        call(lambda rows: rows.append(1), [0])
    assert call(double, x=np.array([np.nan])).shape == (1,)


def test_unknown_ids_list_the_known_ones(exercise):
    with pytest.raises(WorkshopError, match=r"No exercise 99\.7: chapter 99 has 99\.1\."):
        check("99.7", 1)
    with pytest.raises(WorkshopError, match=r"No exercise 98\.1: chapters with exercises are 0, "):
        check("98.1", 1)
    with pytest.raises(WorkshopError, match="chapter and number"):
        check("top_k", 1)


def test_wrong_number_of_answers(exercise):
    with pytest.raises(WorkshopError, match=r'check\("99\.1", double\) takes 1 answer'):
        check("99.1")


# ----------------------------------------------------------------------------------- progress


@pytest.mark.parametrize("text", ["{", "[]", '{"99.1": 3}', '{"99.1": {"done": true}}', "\x00"])
def test_broken_progress_file_is_set_aside_and_said(exercise, text):
    exercise.mkdir()
    (exercise / "progress.json").write_text(text)
    for number in (1, 2):
        (exercise / "progress.json").write_text(text)
        result = check("99.1", double)
        assert f"kept as progress.broken-{number}.json" in repr(result)
        assert (exercise / f"progress.broken-{number}.json").read_text() == text
        assert recorded(exercise)["99.1"]["done"]


def test_progress_that_cannot_be_saved_is_said(exercise, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path / "file"))
    result = check("99.1", lambda x: x)
    assert "Your progress could not be saved" in repr(result)
    assert len(check("99.1", lambda x: x).hints) == 2


@pytest.mark.parametrize("place", ["session name", "working folder"])
def test_solutions_are_not_recorded(exercise, tmp_path, monkeypatch, place):
    if place == "session name":
        monkeypatch.setenv("JPY_SESSION_NAME", "/somewhere/solutions/01_vectors.ipynb")
    else:
        (tmp_path / "solutions").mkdir()
        monkeypatch.chdir(tmp_path / "solutions")
    assert check("99.1", double).state == "right"
    assert not (exercise / "progress.json").exists()


def test_two_kernels_lose_no_try(home):
    code = (
        "from workshop import checks\n"
        "for n in range(40): checks._record('99.1', False); checks._record('99.2', n > 3)"
    )
    kernels = [subprocess.Popen([sys.executable, "-c", code], cwd=home.parent) for _ in range(2)]
    assert [kernel.wait(60) for kernel in kernels] == [0, 0]
    assert recorded(home) == {
        "99.1": {"done": False, "tries": 80},
        "99.2": {"done": True, "tries": 8},
    }


def test_progress_picture_tells_states_apart_by_sign_and_its_text_is_stable(exercise, monkeypatch):
    monkeypatch.setattr(checks, "chapters", lambda: [99])
    monkeypatch.setitem(sys.modules, "workshop.checks.ch99", types.ModuleType("ch99"))
    for number in (2, 3):
        register(f"99.{number}", "hint")(lambda answer: None)
    before = checks.progress()
    assert before.axes[0].get_title("left") == "0 of 3 exercises done"
    check("99.1", double)
    checks._record("99.2", False)
    after = checks.progress()
    assert repr(before) == repr(after)
    assert [text.get_text() for text in after.axes[0].texts] == ["✓", "…", "99.3"]
    assert after.axes[0].get_title("left") == "1 of 3 exercises done, 1 tried"


def test_a_bonus_chapter_is_shown_and_not_counted(exercise, monkeypatch):
    monkeypatch.setattr(checks, "chapters", lambda: [99, 98])
    monkeypatch.setattr(checks, "BONUS", (98,))
    for number in (98, 99):
        monkeypatch.setitem(sys.modules, f"workshop.checks.ch{number}", types.ModuleType("some"))
    register("98.1", "hint")(lambda answer: None)
    assert checks.progress().axes[0].get_title("left") == "0 of 1 exercises done"
    check("98.1", double)
    axes = checks.progress().axes[0]
    assert axes.get_title("left") == "0 of 1 exercises done, 1 bonus"
    assert [label.get_text() for label in axes.get_yticklabels()][1] == "Chapter 98, bonus"


# ------------------------------------------------------------------------------- in a notebook

CELLS = [
    "from workshop import progress\nprogress()",
    """from workshop.checks import Wrong, check, register
@register("99.1", "hint")
def _(answer):
    print("from the check")
    if not getattr(answer, "done", False): raise Wrong("not done")""",
    "def answer(x):\n    ...  # your code here\ncheck('99.1', answer)",
    "class Empty:\n    ...  # your code here\ncheck('99.1', Empty)",
    "class Full:\n    done = True\ncheck('99.1', Full)",
    "class Half:\n    done = True\n    def f(self):\n        ...\ncheck('99.1', Half)",
    "class Empty:\n    done = True\ncheck('99.1', Empty)",
]


@pytest.mark.parametrize("history", [True, False], ids=["as a learner", "as nbval"])
def test_stubs_made_in_cells(home, tmp_path, history):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index, store_history=history)
    marks, printed = [], []
    assert notebook.cells[0].outputs[0].data["image/png"].startswith("iVBOR")
    for cell in notebook.cells[1:]:
        marks += [o.data["text/plain"][0] for o in cell.outputs if "data" in o]
        printed += [o.text for o in cell.outputs if o.output_type == "stream"]
    assert marks == ["⏳", "⏳", "✅", "✅", "✅"]
    assert printed == ["from the check\n"] * 3
