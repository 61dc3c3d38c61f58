"""A chapter's source, solutions/src/NN_slug.py, and the two notebooks that it makes.

In the text a term is marked where a sentence explains it, `[[term]]` or `[[shown words|term]]`: the
mark becomes a link into the glossary, and the sentence of the first chapter that marks the term its
entry there.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from workshop import cells, checks

GLOSSARY = "glossary"
SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)# BEGIN SOLUTION[ \t]*\n(?P<code>.*?)^[ \t]*# END SOLUTION[ \t]*$",
    re.M | re.S,
)
MARKER = re.compile(r"(BEGIN|END) SOLUTION")
EXERCISE = re.compile(
    r"^### ✍️ Your turn (?P<id>[\d.]+) · (?P<minutes>\d+) min: (?P<title>.+)$", re.M
)
CHECK = re.compile(r'^check\("(?P<id>[\d.]+)", .+\)$', re.S)
SECTION = re.compile(r"^## (?P<title>.+?) · (?P<minutes>\d+) min$", re.M)
# outside of `code`: after it the backticks of its line come in pairs
TERM = re.compile(
    r"\[\[(?:(?P<shown>[^\[\]|]+)\|)?(?P<term>[^\[\]|]+)\]\](?=(?:[^`\n]*`[^`\n]*`)*[^`\n]*$)", re.M
)
DEEPER = "## Going deeper"
SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`*\[(])")


class Chapter:
    """One source file and the two notebooks made from it."""

    def __init__(self, source: Path) -> None:
        """Read the source, and the hints from workshop.checks."""
        self.source = source
        self.stem = source.stem
        self.number = int(self.stem[:2])
        root = source.parent.parent.parent
        self.exercise_path = root / "notebooks" / f"{self.stem}.ipynb"
        self.solution_path = root / "solutions" / f"{self.stem}.ipynb"
        self.about_path = root / "workshop" / "checks" / f"ch{self.number:02d}.json"
        self.cells = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells
        self.hints = {e.id: e.hints for e in checks.exercises(self.number)}

    def code_hash(self) -> str:
        """Changes when something changes that outputs depend on: code or tags, not prose."""
        parts = [repr((c.source, tags(c))) for c in self.cells if c.cell_type == "code"]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def title(self) -> str:
        """The heading of the first cell, such as "01 · Vectors and similarity"."""
        return self.cells[0].source.partition("\n")[0].removeprefix("# ") if self.cells else ""

    def core(self) -> int:
        """How many cells the core path has: those before *Going deeper*."""
        deeper = (i for i, c in enumerate(self.cells) if c.source.startswith(DEEPER))
        return next(deeper, len(self.cells))

    def minutes(self, before: int | None = None) -> tuple[int, int]:
        """Minutes of reading and of exercises of the core path, or of its cells before one."""
        texts = [c.source for c in self.cells[: self.core()][:before] if c.cell_type == "markdown"]
        reading, exercises = (
            sum(int(match["minutes"]) for text in texts for match in pattern.finditer(text))
            for pattern in (SECTION, EXERCISE)
        )
        return reading, exercises

    def exercise_minutes(self) -> dict[str, int]:
        """The minutes that each exercise's heading says."""
        found = (EXERCISE.search(c.source) for c in self.cells if c.cell_type == "markdown")
        return {match["id"]: int(match["minutes"]) for match in found if match}

    def exercise_cells(self) -> dict[str, list[int]]:
        """For each exercise its cells, from the heading to the check."""
        found, current = {}, None
        for position, cell in enumerate(self.cells):
            if cell.cell_type == "markdown" and (match := EXERCISE.search(cell.source)):
                current = match["id"]
            if current:
                found.setdefault(current, []).append(position)
            if "check" in tags(cell):
                current = None
        return found

    def stubs(self) -> dict[str, list[str]]:
        """For each exercise the code cells in which the learner finds a place for the answer."""
        return {
            id: [
                stub(self.cells[i].source, self.names_checked(i)).rstrip()
                for i in positions
                if SOLUTION.search(self.cells[i].source)
            ]
            for id, positions in self.exercise_cells().items()
        }

    def about(self) -> dict:
        """What the course must know of a chapter while it runs: workshop/checks/chNN.json."""
        return {
            "title": self.title,
            "minutes": sum(self.minutes()),
            "exercises": self.exercise_minutes(),
            "stubs": self.stubs(),
        }

    def terms(self) -> dict[str, str]:
        """Each marked term with the sentence, in markdown, that explains it."""
        found = {}
        for cell in self.cells:
            if cell.cell_type == "markdown":
                for sentence in sentences(cell.source):
                    for match in TERM.finditer(sentence):
                        found.setdefault(match["term"], TERM.sub(shown, sentence))
        return found

    def names_checked(self, position: int) -> set[str]:
        """Names that the next check cell after `position` hands over."""
        for cell in self.cells[position:]:
            if "check" in tags(cell):
                return {n.id for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Name)}
        return set()

    def exercise_notebook(self) -> NotebookNode:
        """The learner's notebook."""
        cells = []
        for position, (original, cell) in enumerate(
            zip(self.cells, self._fresh_cells(), strict=True)
        ):
            if "solution" in tags(cell):
                continue
            if cell.cell_type == "code":
                cell.source = stub(original.source, self.names_checked(position)).rstrip()
            if "check" in tags(cell):
                id = check_id(cell)
                if id:
                    self._expect_open(cell, id, 1 + sum(c.cell_type == "code" for c in cells))
                cell.metadata["tags"] = [*tags(cell), "nbval-check-output"]
            cells.append(cell)
        return notebook(cells)

    def solution_notebook(self) -> NotebookNode:
        """The solved notebook, without outputs."""
        cells = list(self._fresh_cells())
        for cell in cells:
            if cell.cell_type == "code":
                cell.source = re.sub(
                    r"^[ \t]*# (BEGIN|END) SOLUTION[ \t]*(\n|$)", "", cell.source, flags=re.M
                ).rstrip()
        return notebook(cells, workshop={"code_sha256": self.code_hash()})

    def stored_solution(self) -> NotebookNode | None:
        """The solved notebook with the outputs on disk, or None if those are of other code."""
        if not self.solution_path.exists():
            return None
        stored = nbformat.read(self.solution_path, as_version=4)
        if stored.metadata.get("workshop", {}).get("code_sha256") != self.code_hash():
            return None
        code = [c for c in stored.cells if c.cell_type == "code"]
        fresh = self.solution_notebook()
        for cell, old in zip([c for c in fresh.cells if c.cell_type == "code"], code, strict=True):
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
        return fresh

    def _fresh_cells(self) -> Iterator[NotebookNode]:
        hints = self._hints_by_cell()
        for position, cell in enumerate(self.cells):
            metadata = {"tags": tags(cell)} if tags(cell) else {}
            id = self._cell_id(position, cell.cell_type)
            if cell.cell_type == "code":
                yield nbformat.v4.new_code_cell(cell.source, id=id, metadata=metadata)
            else:
                source = TERM.sub(link, cell.source.rstrip()) + hints.get(position, "")
                yield nbformat.v4.new_markdown_cell(source, id=id, metadata=metadata)

    def _cell_id(self, position: int, kind: str) -> str:
        place = f"{self.stem}:{position}:{kind}".encode()
        return hashlib.sha1(place, usedforsecurity=False).hexdigest()[:8]

    def _hints_by_cell(self) -> dict[int, str]:
        """The folded hints of each exercise, below the last text in front of its stub."""
        found = {}
        for id, positions in self.exercise_cells().items():
            answer = next((i for i in positions if SOLUTION.search(self.cells[i].source)), None)
            texts = [i for i in positions if self.cells[i].cell_type == "markdown"]
            before = [i for i in texts if answer is None or i < answer]
            found[before[-1]] = "".join(
                f"\n\n<details><summary>Hint {i}</summary>\n\n{hint}\n\n</details>"
                for i, hint in enumerate(self.hints.get(id, ()), 1)
            )
        return found

    def _expect_open(self, cell: NotebookNode, id: str, count: int) -> None:
        result = checks.Result(id, "open", "not attempted yet")
        data = {"text/plain": repr(result), "text/html": result._repr_html_()}
        cell.outputs = [nbformat.v4.new_output("execute_result", data, execution_count=count)]
        cell.execution_count = count


def notebook(cells: list[NotebookNode], **extra: dict) -> NotebookNode:
    """A notebook of these cells for the course's kernel."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, **extra}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def sources(root: Path) -> list[Path]:
    """All chapter sources, in order."""
    return sorted((root / "solutions" / "src").glob("[0-9][0-9]_*.py"))


def glossary(chapters: list[Chapter]) -> NotebookNode:
    """The glossary: each term, the sentence that first explains it, and where that stands."""
    entries = {}
    for chapter in chapters:
        for term, sentence in chapter.terms().items():
            place = f"[{chapter.title}]({chapter.stem}.ipynb)"
            entries.setdefault(term, f"## {term}\n\n{sentence} *Chapter* {place}")
    intro = "# Glossary\n\nEach word of the course, as the chapter says it that first needs it."
    texts = [intro, *(entries[term] for term in sorted(entries, key=str.casefold))]
    return notebook(
        [nbformat.v4.new_markdown_cell(t, id=f"{GLOSSARY}-{i}") for i, t in enumerate(texts)]
    )


def sentences(markdown: str) -> list[str]:
    """The sentences of the paragraphs and list items, without headings, tables and code."""
    text = re.sub(r"```.*?```", "", markdown, flags=re.S)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text)
    blocks = [re.sub(r"^\s*(?:[-*]|\d+\.) ", "", block) for block in blocks]
    kept = [" ".join(b.split()) for b in blocks if not b.lstrip().startswith(("#", "|", "<"))]
    return [s for block in kept for s in SENTENCE_END.split(block) if s]


def shown(match: re.Match) -> str:
    """What a reader sees of a marked term."""
    return match["shown"] or match["term"]


def link(match: re.Match) -> str:
    """A marked term as a link into the glossary."""
    anchor = match["term"].replace(" ", "-")
    return f"[*{shown(match)}*]({GLOSSARY}.ipynb#{anchor})"


def tags(cell: NotebookNode) -> list[str]:
    """The cell's tags."""
    return list(cell.metadata.get("tags", []))


def check_id(cell: NotebookNode) -> str:
    """The exercise that a check cell checks; empty if its line has another form."""
    match = CHECK.match(cell.source.strip())
    return match["id"] if match else ""


def stub(source: str, wanted: set[str]) -> str:
    """Cut solutions out. At the left margin, names that the check wants become `name = ...`."""

    def replace(match: re.Match) -> str:
        indent, here = match["indent"], "...  # your code here"
        if indent:
            return indent + here
        before = bound(source[: match.start()])
        names = [name for name in bound(match["code"]) if name in wanted and name not in before]
        return "\n".join(f"{name} = {here}" for name in names) or here

    return SOLUTION.sub(replace, source)


def bound(code: str) -> list[str]:
    """Names bound at the top level of a piece of code, in order."""
    try:
        return cells.bound(ast.parse(code))
    except SyntaxError:
        return []
