"""A chapter holds whatever a learner does with its exercises, and whatever cell is run again.

Each chapter runs with every stub filled by garbage, with the names of the stubs' parameters bound to
garbage as well, each cell twice, and from the pause on in a new kernel. All cells but the exercises'
own come out as they are stored. A cell that takes seconds and only computes anew what it computed runs once.
"""

import ast
import configparser
import re
import time
from pathlib import Path

import build_notebooks as builder
import nbformat
import pytest
from chapters import SOLUTION, Chapter, sources, stub, tags
from nbclient import NotebookClient
from nbformat import NotebookNode

from workshop.cells import bound, read
from workshop.paths import ROOT

GARBAGE = [  # the first line of a learner's worst day; exercises take them in turn
    "None",
    "0",
    "lambda *args, **kwargs: None",
    "lambda *args, **kwargs: 1 / 0",
    "lambda *args, **kwargs: [[1, 2], [3]]",
]
SLOW = 3  # seconds
# what a cell leaves outside of its names, or changes in what a name holds
LEAVES = re.compile(
    r"client|connect|launch|service|server|httpx|api\b|open\(|write|await|Thread|Popen|run\(|\+=|\.(append|add|extend|pop|update|insert)\("
)
SANITIZE = configparser.RawConfigParser()
SANITIZE.read(ROOT / "tools" / "sanitize.cfg")


def said(cell: NotebookNode) -> list[str]:
    """What the outputs say, but for what may differ from run to run."""
    texts = []
    for output in cell.outputs:
        text = output.get("text") or output.get("ename") or output.data.get("text/plain", "")
        for rule in SANITIZE.sections():
            text = re.sub(SANITIZE[rule]["regex"], SANITIZE[rule]["replace"], text)
        texts.append(text)
    return texts


def only_computes(source: str) -> bool:
    """Whether a second run of the cell finds what the first found: it leaves nothing, and binds no name that it reads."""
    tree = ast.parse(source)
    return not LEAVES.search(source) and not set(bound(tree)) & read(tree)


class Run:
    """A chapter's solved notebook in a kernel, its exercises filled with garbage."""

    def __init__(self, source: Path, home: Path) -> None:
        self.chapter, self.home = Chapter(source), home
        self.stored = nbformat.read(self.chapter.solution_path, as_version=4).cells
        self.own = {i: id for id, cells in self.chapter.exercise_cells().items() for i in cells}
        stubs = [c.source for c in self.chapter.cells if SOLUTION.search(c.source)]
        arguments = {n.arg for s in stubs for n in ast.walk(ast.parse(s)) if isinstance(n, ast.arg)}
        self.bind = "\n".join(f"{name} = 0" for name in sorted(arguments - {"self", "cls"})) or "0"

    def fill(self, position: int) -> str:
        """The learner's cell of an exercise: the stub, and what it binds is garbage."""
        source = self.chapter.cells[position].source
        if "check" in tags(self.chapter.cells[position]) or not SOLUTION.search(source):
            return source
        names = sorted(self.chapter.names_checked(position) - {"check"})
        kind = GARBAGE[int(self.own[position].split(".")[1]) % len(GARBAGE)]
        return "\n".join([stub(source, set(names)), *(f"{name} = {kind}" for name in names)])

    def cells(self, first: int, end: int) -> None:
        """Run these cells in a new kernel, each twice."""
        notebook = nbformat.v4.new_notebook()
        client = NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            allow_errors=True,
            resources={"metadata": {"path": str(ROOT / "solutions")}},
        )
        with client.setup_kernel(env=builder.kernel_environment(str(self.home)), cleanup_kc=True):
            self.execute(client, self.bind)
            for position in range(first, end):
                if self.stored[position].cell_type == "code":
                    self.twice(client, position)

    def twice(self, client: NotebookClient, position: int) -> None:
        stored = self.stored[position]
        place = f"{self.chapter.stem}, cell {position + 1}"
        if position in self.own:
            cell = self.execute(client, self.fill(position))
            if "check" in tags(stored):
                assert said(cell)[0].startswith("❌"), f"{place}: {said(cell)}"
                self.execute(client, self.bind)
            return
        began = time.monotonic()
        once = self.execute(client, stored.source)
        slow = time.monotonic() - began > SLOW
        known = slow and only_computes(stored.source)
        again = once if known else self.execute(client, stored.source)
        builder.tidy(once, place, ROOT, str(self.home))
        if "nbval-ignore-output" not in tags(stored):
            assert said(once) == said(stored), f"{place}:\n{stored.source}"
        if "raises-exception" not in tags(stored):
            errors = [
                o.get("evalue")
                for c in (once, again)
                for o in c.outputs
                if o.output_type == "error"
            ]
            assert not errors, f"{place}, run twice:\n{stored.source}"

    def execute(self, client: NotebookClient, source: str) -> NotebookNode:
        cell = nbformat.v4.new_code_cell(source)
        client.nb.cells.append(cell)
        client.execute_cell(cell, len(client.nb.cells) - 1)
        return cell


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda path: path.stem)
def test_a_chapter_holds_with_garbage_answers_with_cells_run_twice_and_from_the_pause(
    source, tmp_path, request
):
    if source.stem == "20_language_model":
        request.getfixturevalue("language_model")
    run = Run(source, tmp_path)
    pause = next((i for i, c in enumerate(run.stored) if "pause" in tags(c)), len(run.stored))
    run.cells(0, pause)
    run.cells(pause, len(run.stored))
