"""`make update`: the newest version comes, and nothing that a learner wrote is lost, in any state.

The real commands run on small courses, cloned from one that then goes on.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from workshop.paths import ROOT

MINE = "def second(x):\n    return x + 42  # mine"
PLACEHOLDER = "...  # your code here"


# ------------------------------------------------------------------------------- a course, twice


def text(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def code(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source)


def exercise(number: str, stub: str, *given: str) -> list[nbformat.NotebookNode]:
    """An exercise as tools/build_notebooks.py makes it."""
    said = nbformat.v4.new_output("execute_result", {"text/plain": "⏳ not attempted yet"})
    said.execution_count = 1
    name = re.search(r"def (\w+)|(\w+) =", stub)
    check = code(f'check("{number}", {name[1] or name[2]})')
    check.update(outputs=[said], execution_count=1, metadata={"tags": ["check"]})
    heading = text(f"### ✍️ Your turn {number} · 5 min: a title")
    return [heading, *map(code, given), code(stub), check]


def notebook(*cells: nbformat.NotebookNode | list[nbformat.NotebookNode]) -> str:
    flat = [c for cell in cells for c in (cell if isinstance(cell, list) else [cell])]
    for position, cell in enumerate(flat):
        cell["id"] = f"cell-{position}"  # as in the course: of the position
    made = nbformat.v4.new_notebook(cells=flat)
    return nbformat.writes(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


FIRST, SECOND = (f"def {name}(x):\n    {PLACEHOLDER}" for name in ("first", "second"))
OLD = {
    "notebooks/01_a.ipynb": notebook(
        text("# 01 · A"),
        code("one = 1"),
        exercise("1.1", FIRST),
        exercise("1.2", SECOND),
        text("# End"),
    ),
    "notebooks/02_b.ipynb": notebook(
        text("# 02 · B"), exercise("2.1", f"third = {PLACEHOLDER}", "given = 3"), text("# End")
    ),
    "notebooks/03_c.ipynb": notebook(text("# 03 · C"), exercise("3.1", f"fourth = {PLACEHOLDER}")),
    "solutions/01_a.ipynb": notebook(text("# 01 · A"), code(MINE)),
    "workshop/plots.py": "COLOUR = 'blue'\n",
    "README.md": "# Old\n",
    "old.txt": "old\n",
    ".gitignore": "/.workshop/\n/.venv/\n__pycache__/\n",
}
NEW = {
    "notebooks/01_a.ipynb": notebook(
        text("# 01 · A, better"),
        text("A cell before all others."),
        code("one = 1.0"),
        exercise("1.1", f"def first(x, y):\n    {PLACEHOLDER}"),
        exercise("1.2", f"def second(x):\n    # better\n    {PLACEHOLDER}"),
        exercise("1.3", f"new = {PLACEHOLDER}"),
    ),
    "notebooks/02_b.ipynb": notebook(
        text("# 02 · B"), exercise("2.1", f"third = {PLACEHOLDER}", "given = 33"), text("# The end")
    ),
    "notebooks/04_d.ipynb": notebook(text("# 04 · D"), exercise("4.1", f"fifth = {PLACEHOLDER}")),
    "solutions/01_a.ipynb": notebook(text("# 01 · A, better"), code(MINE)),
    "workshop/plots.py": "COLOUR = 'red'\n",
    "README.md": "# New\n",
    "old.txt": None,
    "in_the_way": "a file\n",
    "the_way/in.txt": "in a folder\n",
}


def git(folder: Path, *args: str, status: int | None = 0) -> str:
    """What git says in that folder, as a person without settings of their own."""
    who = {
        f"GIT_{role}_{what}": "a@b"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *args], cwd=folder, env=environment() | who, capture_output=True, text=True
    )
    assert status is None or done.returncode == status, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | nobody


def publish(folder: Path, files: dict[str, str | None]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_text(content, encoding="utf-8", newline="\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=a version")


class Learner:
    """A clone of a course, in a learner's hands."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.root = folder / "origin", folder / "the course"
        (self.origin / "tools").mkdir(parents=True)
        git(self.origin, "init", "--quiet", "--initial-branch=main")
        for name in ("course.py", "update.py"):
            shutil.copy(ROOT / "tools" / name, self.origin / "tools")
        publish(self.origin, OLD)
        git(folder, "clone", "--quiet", self.origin.as_uri(), str(self.root))
        (self.root / ".workshop").mkdir()
        (self.root / ".workshop" / "progress.json").write_text("{}")

    def git(self, *args: str, status: int | None = 0) -> str:
        return git(self.root, *args, status=status)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=my work")

    def path(self, name: str) -> Path:
        return self.root / "notebooks" / f"{name}.ipynb"

    def answer(self, written: str = MINE, stub: str = SECOND, name: str = "01_a") -> None:
        """Write into the cell of a stub, as JupyterLab saves it."""
        path = self.path(name)
        it = nbformat.read(path, as_version=4)
        cell = next(cell for cell in it.cells if cell.source == stub)
        cell.source = written
        nbformat.write(it, path)

    def code(self, name: str = "01_a") -> list[str]:
        return [c.source for c in nbformat.read(self.path(name), 4).cells if c.cell_type == "code"]

    def update(self, status: int = 0, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, "tools/course.py", "update"],
            cwd=self.root,
            env=environment() | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == status, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def kept(self, name: str) -> list[str]:
        """What the copies of that name say, in the folders with a date."""
        found = sorted(self.root.glob("mine-*"))
        assert all(re.fullmatch(r"mine-\d{4}-\d\d-\d\d(-\d+)?", path.name) for path in found)
        return [file.read_text("utf-8") for path in found for file in path.rglob(name)]

    def assert_new(self, own: tuple[str, ...] = ("notebooks/",)) -> None:
        """The course is the newest, nothing of git's is going on, only `own` files differ."""
        assert self.git("diff", "--name-only", "--diff-filter=U") == ""
        assert self.git("rev-parse", "HEAD") == git(self.origin, "rev-parse", "main")
        assert self.git("symbolic-ref", "HEAD")
        for sign in ("MERGE_HEAD", "rebase-merge", "rebase-apply", "CHERRY_PICK_HEAD"):
            assert not (self.root / ".git" / sign).exists()
        differ = [line[3:].strip('"') for line in self.git("status", "--porcelain").splitlines()]
        assert [name for name in differ if not name.startswith(own)] == []
        assert (self.root / "README.md").read_text() == "# New\n"
        assert (self.root / ".workshop" / "progress.json").read_text() == "{}"
        for path in (self.root / "notebooks").glob("*.ipynb"):
            if path.name[:2].isdigit():
                nbformat.validate(nbformat.read(path, as_version=4))
        assert not list(self.root.glob("mine-*/.unfinished"))
        assert not list((self.root / ".git").glob("update-index*"))


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    return Learner(tmp_path)


# ------------------------------------------------------------------------------- states of a tree


def edited(it: Learner) -> None:
    it.answer()


def half_run(it: Learner) -> None:
    """As JupyterLab saves it: outputs, counts, what it knows of the kernel."""
    it.answer()
    made = nbformat.read(it.path("01_a"), as_version=4)
    for count, cell in enumerate(c for c in made.cells[:4] if c.cell_type == "code"):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text="<<<<<<< seen\n")]
    made.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    nbformat.write(made, it.path("01_a"))


def renamed(it: Learner) -> None:
    it.answer()
    it.path("01_a").rename(it.path("my own"))


def renamed_with_git(it: Learner) -> None:
    it.answer()
    it.git("mv", "notebooks/01_a.ipynb", "notebooks/mine.ipynb")


def folder_renamed(it: Learner) -> None:
    it.answer()
    (it.root / "notebooks").rename(it.root / "my notebooks")


def an_untracked_copy(it: Learner) -> None:
    it.answer()
    shutil.copy(it.path("01_a"), it.path("01_a-Copy1"))
    it.git("checkout", "--quiet", "--", "notebooks")


def copies_of_different_age(it: Learner) -> None:
    it.answer("def second(x):\n    return 'older'")
    shutil.copy(it.path("01_a"), it.path("z old"))
    os.utime(it.path("z old"), (1, 1))
    os.utime(it.path("01_a"), (2, 2))
    it.git("checkout", "--quiet", "--", "notebooks")
    edited(it)
    it.path("01_a").rename(it.path("a new"))


def staged(it: Learner) -> None:
    it.answer()
    it.git("add", "--all")


def staged_and_taken_back(it: Learner) -> None:
    staged(it)
    it.path("01_a").write_text(OLD["notebooks/01_a.ipynb"], "utf-8")


def staged_and_deleted(it: Learner) -> None:
    staged(it)
    shutil.rmtree(it.root / "notebooks")


def committed(it: Learner) -> None:
    it.answer()
    it.commit()


def committed_and_deleted(it: Learner) -> None:
    committed(it)
    it.path("01_a").unlink()
    it.commit()
    it.git("reset", "--quiet", "--soft", "HEAD~1")


def detached(it: Learner) -> None:
    it.git("checkout", "--quiet", "--detach")
    it.answer()


def detached_with_a_commit(it: Learner) -> None:
    detached(it)
    it.commit()


def at_a_tag(it: Learner) -> None:
    it.git("tag", "v1")
    it.git("checkout", "--quiet", "v1")
    it.answer()


def another_branch(it: Learner) -> None:
    it.git("checkout", "--quiet", "-b", "my-work")
    it.answer()


def another_branch_with_a_commit(it: Learner) -> None:
    another_branch(it)
    it.commit()


def another_branch_that_follows(it: Learner) -> None:
    it.git("checkout", "--quiet", "-b", "my-work", "--track", "origin/main")
    committed(it)


def branch_that_follows_a_local_one(it: Learner) -> None:
    it.git("checkout", "--quiet", "-b", "my-work", "--track", "main")
    committed(it)


def branch_that_is_gone(it: Learner) -> None:
    it.git("config", "branch.main.merge", "refs/heads/gone")
    it.answer()


def pulled_into_a_conflict(it: Learner) -> None:
    committed(it)
    it.git("pull", "--no-rebase", "--quiet", status=1)
    assert "<<<<<<<" in it.path("01_a").read_text("utf-8")


def rebased_into_a_conflict(it: Learner) -> None:
    committed(it)
    it.git("pull", "--rebase", "--quiet", status=1)
    assert "<<<<<<<" in it.path("01_a").read_text("utf-8")


def stashed_for_a_rebase(it: Learner) -> None:
    (it.root / "README.md").write_text("# Mine\n")
    it.commit()
    it.answer()
    it.git("pull", "--rebase", "--autostash", "--quiet", status=1)
    assert MINE.splitlines()[1] not in it.path("01_a").read_text("utf-8")


def stash_popped_into_a_conflict(it: Learner) -> None:
    it.answer()
    it.git("stash", "--quiet")
    it.git("pull", "--quiet")
    it.git("stash", "pop", "--quiet", status=1)
    assert "<<<<<<<" in it.path("01_a").read_text("utf-8")


def cherry_picked_into_a_conflict(it: Learner) -> None:
    committed(it)
    it.git("fetch", "--quiet")
    it.git("cherry-pick", "origin/main", status=1)


def assumed_unchanged(it: Learner) -> None:
    it.git("update-index", "--assume-unchanged", "notebooks/01_a.ipynb")
    it.answer()


def skipped(it: Learner) -> None:
    it.git("update-index", "--skip-worktree", "notebooks/01_a.ipynb")
    it.answer()


def hidden_by_a_filter(it: Learner) -> None:
    """A clean filter, as nbstripout is one, that makes every change invisible to git."""
    it.git("config", "filter.all.clean", "git show HEAD:notebooks/01_a.ipynb")
    (it.root / ".git" / "info").mkdir(exist_ok=True)
    (it.root / ".git" / "info" / "attributes").write_text("notebooks/01_a.ipynb filter=all\n")
    it.answer()
    it.git("add", "--all")
    assert it.git("status", "--porcelain") == ""


def among_hooks_that_fail(it: Learner) -> None:
    it.answer()
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        hook = it.root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)


def among_settings_of_all_kinds(it: Learner) -> None:
    """An untracked copy, ignored by a person's own rules, and output for people."""
    an_untracked_copy(it)
    (it.root / ".git" / "info").mkdir(exist_ok=True)
    (it.root / ".git" / "info" / "exclude").write_text("*.ipynb\n")
    settings = {"color.ui": "always", "log.showSignature": "true", "diff.external": "false"}
    settings |= {"diff.noprefix": "true", "core.quotePath": "true", "pull.rebase": "true"}
    for name, value in settings.items():
        it.git("config", name, value)


def saved_with_the_wrong_line_ends(it: Learner) -> None:
    it.answer()
    it.path("01_a").write_bytes(it.path("01_a").read_bytes().replace(b"\n", b"\r\n"))


def elsewhere_too(it: Learner) -> None:
    it.answer()
    (it.root / "workshop" / "plots.py").write_text("COLOUR = 'mine'\n")
    (it.root / "old.txt").write_text("mine\n")


def files_in_the_way(it: Learner) -> None:
    it.answer()
    (it.root / "in_the_way").mkdir()
    (it.root / "in_the_way" / "x").write_text("mine\n")
    (it.root / "the_way").write_text("mine\n")
    it.path("04_d").write_text("mine\n")


def ignored_files_in_the_way(it: Learner) -> None:
    (it.root / ".git" / "info").mkdir(exist_ok=True)
    (it.root / ".git" / "info" / "exclude").write_text("*way*\n")
    files_in_the_way(it)


STATES = [
    value for value in list(globals().values()) if callable(value) and value.__module__ == __name__
]
STATES = STATES[STATES.index(edited) :]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_newest_version_comes_and_the_answer_is_in_it(learner, state):
    if state in (edited, half_run, committed):
        state(learner)
        publish(learner.origin, NEW)
    else:  # conflicts need something to conflict with
        if "conflict" not in state.__name__ and state is not stashed_for_a_rebase:
            state(learner)
        publish(learner.origin, NEW)
        if "conflict" in state.__name__ or state is stashed_for_a_rebase:
            state(learner)
    own = {path: path.read_bytes() for path in learner.root.rglob("*.ipynb")}
    said = learner.update()
    learner.assert_new(("notebooks/", "my notebooks/"))
    assert learner.code() == [
        "one = 1.0",
        f"def first(x, y):\n    {PLACEHOLDER}",  # untouched, so the new one
        'check("1.1", first)',
        MINE,
        'check("1.2", second)',
        f"new = {PLACEHOLDER}",
        'check("1.3", new)',
    ]
    assert "Your answers are in the new notebooks: 1.2." in said
    assert "given = 33" in learner.code("02_b")
    for path, content in own.items():  # as it was: in its place, or in the folder of that day
        there = [path, *learner.root.glob(f"mine-*/**/{path.name}")]
        there = [file.read_bytes() for file in there if file.is_file()]
        official = {
            content.encode() for files in (OLD, NEW) for content in files.values() if content
        }
        assert content in there or content.replace(b"\r\n", b"\n") in official
    if "elsewhere" in state.__name__:
        assert learner.kept("plots.py") == ["COLOUR = 'mine'\n"]
        assert learner.kept("old.txt") == ["mine\n"]
        assert re.search(r"changed is in mine-\S+/elsewhere: old\.txt, workshop/plots\.py", said)
    if "in_the_way" in state.__name__:
        assert (
            learner.kept("x") == learner.kept("the_way") == learner.kept("04_d.ipynb") == ["mine\n"]
        )
    # and all of it once more: nothing new, nothing moved
    again = learner.git("status", "--porcelain")
    assert "This is the newest version." in learner.update()
    assert learner.git("status", "--porcelain") == again


def test_nothing_of_a_learners_is_nothing_to_tell(learner):
    publish(learner.origin, NEW)
    said = learner.update()
    learner.assert_new(())
    assert "mine-" not in said
    assert not list(learner.root.glob("mine-*"))
    assert "This is the newest version." in learner.update()


def test_commits_stay_in_a_branch(learner):
    committed(learner)
    tip = learner.git("rev-parse", "HEAD")
    publish(learner.origin, NEW)
    said = learner.update()
    branch = re.search(r"Your commits are in the branch (kept-\S+)\.", said)[1]
    assert learner.git("rev-parse", branch) == tip
    assert learner.git("config", "branch.main.remote").strip() == "origin"


def test_a_branch_of_ones_own_stays_as_it_was(learner):
    another_branch_with_a_commit(learner)
    tip = learner.git("rev-parse", "HEAD")
    publish(learner.origin, NEW)
    assert "branch my-work, which is as it was; now on main" in learner.update()
    assert learner.git("rev-parse", "my-work") == tip
    assert "kept-" not in learner.git("branch")


def test_a_branch_that_follows_is_moved_itself(learner):
    another_branch_that_follows(learner)
    publish(learner.origin, NEW)
    learner.update()
    assert learner.git("symbolic-ref", "--short", "HEAD").strip() == "my-work"


def test_what_was_staged_and_what_conflicts_has_copies(learner):
    learner.answer("def second(x):\n    return 'staged'")
    learner.git("add", "--all")
    learner.answer(MINE, "def second(x):\n    return 'staged'")
    publish(learner.origin, NEW)
    learner.update()
    assert MINE in learner.code()
    assert "return 'staged'" in learner.kept("01_a.staged.ipynb")[0]


def test_a_chapter_that_did_not_change_stays_as_the_learner_left_it(learner):
    """With outputs and notes; the others are replaced."""
    learner.answer("fourth = 4", f"fourth = {PLACEHOLDER}", "03_c")
    it = nbformat.read(learner.path("03_c"), as_version=4)
    it.cells.insert(0, text("A note of mine."))
    nbformat.write(it, learner.path("03_c"))
    before = learner.path("03_c").read_bytes()
    learner.answer()
    publish(learner.origin, NEW)
    learner.update()
    assert learner.path("03_c").read_bytes() == before
    assert len(learner.kept("03_c.ipynb")) == 1
    assert MINE in learner.code("01_a")


def test_each_day_has_its_folder_and_no_copy_is_overwritten(learner):
    for turn in range(3):
        old = SECOND if not turn else f"def second(x):\n    return {turn - 1}"
        if turn == 0:
            publish(learner.origin, NEW)
        learner.answer(f"def second(x):\n    return {turn}", old)
        if turn:
            publish(
                learner.origin,
                {
                    "notebooks/01_a.ipynb": NEW["notebooks/01_a.ipynb"].replace(
                        "better", f"best {turn}"
                    )
                },
            )
        learner.update()
        assert f"def second(x):\n    return {turn}" in learner.code()
    assert len(learner.kept("01_a.ipynb")) == 3


# ------------------------------------------------------------------------------ what is an answer


def lay_out(it: Learner, change: Callable[[list], None]) -> None:
    made = nbformat.read(it.path("01_a"), as_version=4)
    change(made.cells)
    nbformat.write(made, it.path("01_a"))


def at(cells: list, source: str) -> int:
    return next(i for i, cell in enumerate(cells) if cell.source == source)


def in_two_cells(cells: list) -> None:
    place = at(cells, SECOND)
    cells[place].source = MINE
    cells.insert(place, code("helper = 1"))
    cells.insert(place + 2, code("second(1)"))


def with_the_check_in_one_cell(cells: list) -> None:
    place = at(cells, SECOND)
    cells[place].source = f"{MINE}\n\ncheck(1.2, second)"
    del cells[place + 1]


def above_the_check(cells: list) -> None:
    cells[at(cells, 'check("1.2", second)')].source = f'{MINE}\ncheck("1.2", second)'


def below_the_check(cells: list) -> None:
    place = at(cells, 'check("1.2", second)')
    cells[place + 1 : place + 1] = [code(MINE), code("check('1.2', second)")]


def without_the_check(cells: list) -> None:
    place = at(cells, SECOND)
    cells[place].source = MINE
    del cells[place + 1]


def after_a_note_with_a_heading(cells: list) -> None:
    place = at(cells, SECOND)
    cells[place].source = MINE
    cells.insert(place, text("# My note\nof it"))


def without_ids(cells: list) -> None:
    in_two_cells(cells)
    for cell in cells:
        del cell["id"]


LAYOUTS = {
    in_two_cells: ["helper = 1", MINE, "second(1)"],
    with_the_check_in_one_cell: [MINE],
    above_the_check: [MINE],
    below_the_check: [MINE],
    without_the_check: [MINE],
    after_a_note_with_a_heading: [MINE],
}


@pytest.mark.parametrize("change", LAYOUTS, ids=lambda change: change.__name__)
def test_an_answer_is_found_wherever_it_stands(learner, change):
    lay_out(learner, change)
    publish(learner.origin, NEW)
    learner.update()
    cells = learner.code()
    inside = cells[cells.index('check("1.1", first)') + 1 : cells.index('check("1.2", second)')]
    assert [cell for cell in inside if PLACEHOLDER not in cell] == LAYOUTS[change]
    assert cells[-2:] == [f"new = {PLACEHOLDER}", 'check("1.3", new)']


def test_a_notebook_of_a_format_without_ids_keeps_its_answer(learner):
    it = nbformat.read(learner.path("01_a"), as_version=4)
    in_two_cells(it.cells)
    for cell in it.cells:
        del cell["id"]
    it.nbformat_minor = 4
    nbformat.write(it, learner.path("01_a"))
    publish(learner.origin, NEW)
    learner.update()
    cells = learner.code()
    assert [c for c in cells if c in ("helper = 1", MINE, "second(1)")] == [
        "helper = 1",
        MINE,
        "second(1)",
    ]


def test_a_changed_given_cell_and_its_answer_keep_their_places(learner):
    learner.answer("third = 3 + 4", f"third = {PLACEHOLDER}", "02_b")
    publish(learner.origin, NEW)
    learner.update()
    assert learner.code("02_b") == ["given = 33", "third = 3 + 4", 'check("2.1", third)']


def test_an_answer_gets_what_the_new_stub_imports(learner):
    """A chapter may have imported elsewhere what its exercise now imports itself."""
    learner.answer(f"import time\n\n{MINE}")
    imports = (
        "import time\nimport numpy as np\nfrom workshop import (\n    check,\n    datasets,\n)\n"
    )
    stub = exercise("1.2", f"{imports}\n\ndef second(x):\n    {PLACEHOLDER}")
    chapter = notebook(text("# 01 · A"), exercise("1.1", FIRST), stub)
    publish(learner.origin, {**NEW, "notebooks/01_a.ipynb": chapter})
    learner.update()
    wanted = imports.partition("\n")[2] + f"\nimport time\n\n{MINE}"
    assert wanted in learner.code()


@pytest.mark.parametrize("name", ["course.py", "update.py"])
def test_what_sets_the_course_up_can_be_read_by_an_old_python(name):
    """So that it gets a sentence and not a SyntaxError."""
    source = (ROOT / "tools" / name).read_text("utf-8")
    ast.parse(source, feature_version=(3, 6))
    with pytest.raises(SyntaxError):
        ast.parse(source + "\n(a := 1)\n", feature_version=(3, 6))


def test_an_old_stub_is_no_answer(learner):
    """In a copy from a version before: untouched, so the new stub stays."""
    publish(learner.origin, NEW)
    shutil.copy(learner.path("01_a"), learner.path("copy"))
    learner.update()
    assert f"def first(x, y):\n    {PLACEHOLDER}" in learner.code()
    assert f"def second(x):\n    # better\n    {PLACEHOLDER}" in learner.code()
    learner.assert_new(("notebooks/copy.ipynb",))


def test_what_a_solution_says_is_an_answer_too(learner):
    """Who writes just what the solution says has answered."""
    solved = nbformat.reads(OLD["solutions/01_a.ipynb"], as_version=4)
    assert MINE in [cell.source for cell in solved.cells]
    learner.answer()
    publish(learner.origin, NEW)
    learner.update()
    assert MINE in learner.code()


def test_the_check_of_a_filled_exercise_says_nothing_until_it_runs(learner):
    learner.answer()
    publish(learner.origin, NEW)
    learner.update()
    cells = nbformat.read(learner.path("01_a"), as_version=4).cells
    outputs = {c.source: c.outputs for c in cells if c.source.startswith("check")}
    assert outputs['check("1.2", second)'] == []
    assert outputs['check("1.1", first)'] != []


def test_an_exercise_that_is_gone_is_told_and_kept(learner):
    learner.answer()
    without = notebook(text("# 01 · A"), exercise("1.1", FIRST))
    publish(learner.origin, {**NEW, "notebooks/01_a.ipynb": without})
    assert "no longer has the exercises 1.2" in learner.update()
    assert json.dumps(MINE.splitlines()[1])[1:-1] in learner.kept("01_a.ipynb")[0]


def test_an_answer_follows_its_number_to_another_chapter(learner):
    learner.answer()
    moved = {
        "notebooks/01_a.ipynb": notebook(text("# 01 · A"), exercise("1.1", FIRST)),
        "notebooks/01_b.ipynb": notebook(text("# 01 · B"), exercise("1.2", SECOND)),
    }
    publish(learner.origin, {**NEW, **moved})
    learner.update()
    assert learner.code("01_b") == [MINE, 'check("1.2", second)']


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"cells": 3}', '{"cells": [1, {}]}', "\ud800"]
)
def test_a_broken_notebook_is_kept_and_replaced(learner, content):
    learner.path("01_a").write_bytes(content.encode("utf-8", "surrogatepass"))
    publish(learner.origin, NEW)
    learner.update()
    learner.assert_new(())
    kept = next(learner.root.glob("mine-*/01_a.ipynb")).read_bytes()
    assert kept == content.encode("utf-8", "surrogatepass")


# -------------------------------------------------------------------------------- what may go wrong


def test_no_network_is_one_line_and_changes_nothing(learner):
    learner.answer()
    learner.git("remote", "set-url", "origin", "https://127.0.0.1:1/course.git")  # refused
    before = learner.git("status", "--porcelain"), learner.path("01_a").read_bytes()
    said = learner.update(status=1)
    assert "could not be fetched, and nothing was changed. Connect to the network" in said
    assert (learner.git("status", "--porcelain"), learner.path("01_a").read_bytes()) == before
    assert not list(learner.root.glob("mine-*"))


def test_a_folder_that_is_no_clone_is_one_line(tmp_path, learner):
    shutil.rmtree(learner.root / ".git")
    assert "not made by `git clone`" in learner.update(status=1)
    git(tmp_path, "init", "--quiet")  # nor is one inside another repository
    assert "not made by `git clone`" in learner.update(status=1)


def test_a_clone_without_a_remote_is_one_line(learner):
    learner.git("remote", "remove", "origin")
    assert "has no remote to fetch from" in learner.update(status=1)


def test_a_machine_without_git_is_one_line(learner, tmp_path):
    done = subprocess.run(
        [sys.executable, "tools/course.py", "update"],
        cwd=learner.root,
        env={**environment(), "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "There is no git here: install it from git-scm.com and run again."


def test_a_shallow_clone_is_updated(tmp_path, learner):
    shutil.rmtree(learner.root)
    publish(learner.origin, {"README.md": "# Older\n"})
    git(tmp_path, "clone", "--quiet", "--depth=1", learner.origin.as_uri(), str(learner.root))
    (learner.root / ".workshop").mkdir()
    (learner.root / ".workshop" / "progress.json").write_text("{}")
    learner.answer()
    publish(learner.origin, NEW)
    learner.update()
    learner.assert_new()
    assert MINE in learner.code()


def test_a_history_written_anew_is_followed(learner):
    learner.answer()
    shutil.rmtree(learner.origin / ".git")
    git(learner.origin, "init", "--quiet", "--initial-branch=main")
    publish(learner.origin, NEW)
    learner.update()
    learner.assert_new()
    assert MINE in learner.code()


def test_a_remote_of_another_name_and_branch_is_followed(learner):
    git(learner.origin, "checkout", "--quiet", "-b", "2027")
    learner.git("remote", "rename", "origin", "course")
    learner.git("fetch", "--quiet")
    learner.git("checkout", "--quiet", "--track", "course/2027")
    learner.answer()
    publish(learner.origin, NEW)
    learner.update()
    assert learner.git("rev-parse", "HEAD") == git(learner.origin, "rev-parse", "2027")
    assert MINE in learner.code()


def test_killed_at_any_moment_it_goes_on_and_loses_nothing(learner):
    """At each command of git's in turn, as by a power cut."""
    learner.answer()
    publish(learner.origin, NEW)
    fresh = learner.root.rename(learner.root.with_name("fresh"))
    script = (
        "import os, runpy, subprocess, sys\n"
        "left, run = int(sys.argv.pop(1)), subprocess.run\n"
        "def counted(command, **options):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left < 0: os._exit(9)\n"
        "    return run(command, **options)\n"
        "subprocess.run = counted\n"
        "sys.path.insert(0, 'tools')\n"
        "runpy.run_path('tools/update.py', run_name='__main__')\n"
    )
    moment, status = 6, 9  # after the fetch
    while status == 9:
        shutil.rmtree(learner.root, ignore_errors=True)
        shutil.copytree(fresh, learner.root, symlinks=True)
        done = subprocess.run(
            [sys.executable, "-c", script, str(moment)],
            cwd=learner.root,
            env=environment(),
            capture_output=True,
            text=True,
        )
        status = done.returncode
        assert status in (0, 9), done.stderr
        learner.update()
        learner.assert_new()
        assert MINE in learner.code(), f"killed at command {moment}"
        assert any("mine" in kept for kept in learner.kept("01_a.ipynb"))
        moment += 1
    assert moment > 15


def test_git_at_work_elsewhere_is_one_line_and_loses_nothing(learner):
    learner.answer()
    publish(learner.origin, NEW)
    (learner.root / ".git" / "index.lock").touch()
    assert "index.lock" in learner.update(status=1)
    assert MINE in learner.code()
    (learner.root / ".git" / "index.lock").unlink()
    learner.update()
    learner.assert_new()
    assert MINE in learner.code()


@pytest.mark.parametrize(
    "name", ["向量.txt", os.fsdecode(b"caf\xe9.txt")], ids=["Chinese", "not UTF-8"]
)
def test_a_name_that_the_console_cannot_write_is_no_obstacle(learner, name):
    if sys.platform != "linux":
        pytest.skip("other systems refuse such a name")
    publish(learner.origin, {name: "old\n"})
    learner.git("pull", "--quiet")
    (learner.root / name).write_text("mine\n")
    learner.answer()
    publish(learner.origin, {**NEW, name: "new\n"})
    said = learner.update(PYTHONIOENCODING="cp1252")
    learner.assert_new()
    assert "changed is in mine-" in said
    assert learner.kept(name) == ["mine\n"]


def test_a_clone_from_before_this_command_takes_it_over(learner):
    """As the README says, with the tools of the newest version."""
    publish(learner.origin, {"tools/update.py": "raise SystemExit('an old one')\n"})
    learner.git("pull", "--quiet")
    learner.answer()
    tools = (ROOT / "tools" / "update.py").read_text("utf-8")
    publish(learner.origin, {**NEW, "tools/update.py": tools})
    learner.git("fetch", "--quiet")
    learner.git("checkout", "--quiet", "origin/main", "--", "tools")
    assert "elsewhere" not in learner.update()
    learner.assert_new()
    assert MINE in learner.code()


@pytest.mark.parametrize("pulled", [False, True])
def test_old_windows_line_ends_are_mended(tmp_path, learner, pulled):
    """A clone from before .gitattributes, by Git for Windows."""
    shutil.rmtree(learner.root)
    publish(learner.origin, {"data/words.txt": "one\ntwo\n"})
    clone = ("clone", "--quiet", "--config=core.autocrlf=true", learner.origin.as_uri())
    git(tmp_path, *clone, str(learner.root))
    assert (learner.root / "data" / "words.txt").read_bytes() == b"one\r\ntwo\r\n"
    publish(learner.origin, {".gitattributes": "* text=auto eol=lf\n/data/** -text\n"})
    if pulled:  # which leaves them as they are
        learner.git("pull", "--quiet")
        assert (learner.root / "data" / "words.txt").read_bytes() == b"one\r\ntwo\r\n"
    (learner.root / "README.md").write_bytes(b"# Mine\r\n")
    os.utime(learner.root / "data" / "words.txt")  # else git does not even look
    learner.update()
    assert (learner.root / "data" / "words.txt").read_bytes() == b"one\ntwo\n"
    changed = [path.name for path in learner.root.glob("mine-*/elsewhere/*")]
    if pulled:
        assert (learner.root / "README.md").read_bytes() == b"# Mine\r\n", "nothing new: it stays"
        assert changed == []
    else:
        assert changed == ["README.md"]


def test_the_copies_disturb_neither_git_nor_the_builder_nor_lint(learner):
    learner.answer()
    (learner.root / "workshop" / "plots.py").write_text("import  os\n")
    publish(learner.origin, NEW)
    learner.update()
    assert "mine-" not in learner.git("status", "--porcelain", "--untracked-files=all")
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "."]
    done = subprocess.run(ruff, cwd=learner.root, capture_output=True, text=True)
    assert "mine-20" not in done.stdout
    assert sorted(path.name for path in (learner.root / "notebooks").iterdir()) == [
        "01_a.ipynb",
        "02_b.ipynb",
        "03_c.ipynb",
        "04_d.ipynb",
    ]


# ------------------------------------------------------------------------------ the course as it is


def test_answers_to_every_exercise_of_the_course_come_along(tmp_path):
    """The real notebooks, every stub answered, every chapter's text changed."""
    learner = Learner(tmp_path)
    chapters = {
        f"notebooks/{path.name}": path.read_text("utf-8")
        for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    }
    publish(learner.origin, chapters)
    learner.git("pull", "--quiet")
    written = {}
    for name in chapters:
        path = learner.root / name
        it = nbformat.read(path, as_version=4)
        for cell in it.cells:
            if cell.cell_type == "code" and PLACEHOLDER in cell.source:
                cell.source = cell.source.replace(PLACEHOLDER, f"...  # mine {len(written)}")
                written[len(written)] = name, cell.source
        nbformat.write(it, path)
    assert len(written) >= 37
    for name, content in chapters.items():
        it = nbformat.reads(content, as_version=4)
        it.cells[1:1] = [text("Something new."), code("new = 1")]
        chapters[name] = nbformat.writes(it, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    publish(learner.origin, {**chapters, "README.md": "# New\n"})
    learner.update()
    learner.assert_new()
    for name, source in written.values():
        assert source in learner.code(Path(name).stem), source
    for name in chapters:
        assert "new = 1" in learner.code(Path(name).stem)
    # and nothing else differs from the new notebooks than answers and what checks had said
    for line in learner.git("diff", "--numstat", "--", "notebooks").splitlines():
        assert int(line.split()[0]) < 40, line
