"""Build both notebook trees from solutions/src: `make notebooks`, or name the chapters to build.

notebooks/   stubs in place of solutions, hints under each exercise, no outputs but the line
             "not attempted yet" of each check
solutions/   the same cells with their solutions, executed, outputs kept

A chapter is executed when its code changed since the stored outputs, or with --force. `--check`
writes nothing: it says, one line each, what is stale or breaks the rules of CONTRIBUTING.md.
"""

import argparse
import ast
import base64
import hashlib
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

from workshop import checks

ROOT = Path(__file__).resolve().parent.parent
MAX_PNG = 150_000
MAX_CODE_LINES = 12
MAX_WORDS = 80
CELL_TIMEOUT = 120
MIN_COMPARED = 0.75

SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)# BEGIN SOLUTION[ \t]*\n(?P<code>.*?)^[ \t]*# END SOLUTION[ \t]*$",
    re.M | re.S,
)
MARKER = re.compile(r"(BEGIN|END) SOLUTION")
EXERCISE = re.compile(r"^### ✍️ Your turn (?P<id>[\d.]+) · \d+ min: (?P<title>.+)$", re.M)
CHECK = re.compile(r'^check\("(?P<id>[\d.]+)", .+\)$', re.S)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)")
EMOJI = re.compile(r"[\U0001F000-\U0001FAFF☀-➿⌚⌛⏩-⏺⭐⭕⬛⬜]")
ALLOWED = set("✍✅❌⏳✓✗")


class BuildError(Exception):
    """A chapter cannot be built; the message names chapter and cell."""


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
        self.cells = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells
        self.hints = {e.id: e.hints for e in checks.exercises(self.number)}

    def code_hash(self) -> str:
        """Changes when something changes that outputs depend on: code or tags, not prose."""
        parts = [repr((c.source, tags(c))) for c in self.cells if c.cell_type == "code"]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

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
        return self._notebook(cells, {})

    def solution_notebook(self) -> NotebookNode:
        """The solved notebook, without outputs."""
        cells = list(self._fresh_cells())
        for cell in cells:
            if cell.cell_type == "code":
                cell.source = re.sub(
                    r"^[ \t]*# (BEGIN|END) SOLUTION[ \t]*(\n|$)", "", cell.source, flags=re.M
                ).rstrip()
        return self._notebook(cells, {"workshop": {"code_sha256": self.code_hash()}})

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
        for position, cell in enumerate(self.cells):
            metadata = {"tags": tags(cell)} if tags(cell) else {}
            id = self._cell_id(position, cell.cell_type)
            if cell.cell_type == "code":
                yield nbformat.v4.new_code_cell(cell.source, id=id, metadata=metadata)
            else:
                source = cell.source.rstrip() + self._hints_below(cell)
                yield nbformat.v4.new_markdown_cell(source, id=id, metadata=metadata)

    def _cell_id(self, position: int, kind: str) -> str:
        place = f"{self.stem}:{position}:{kind}".encode()
        return hashlib.sha1(place, usedforsecurity=False).hexdigest()[:8]

    def _hints_below(self, cell: NotebookNode) -> str:
        exercise = EXERCISE.search(cell.source)
        hints = self.hints.get(exercise["id"], ()) if exercise else ()
        return "".join(
            f"\n\n<details><summary>Hint {i}</summary>\n\n{hint}\n\n</details>"
            for i, hint in enumerate(hints, 1)
        )

    def _expect_open(self, cell: NotebookNode, id: str, count: int) -> None:
        result = checks.Result(id, "open", "not attempted yet")
        data = {"text/plain": repr(result), "text/html": result._repr_html_()}
        cell.outputs = [nbformat.v4.new_output("execute_result", data, execution_count=count)]
        cell.execution_count = count

    def _notebook(self, cells: list[NotebookNode], extra: dict) -> NotebookNode:
        kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, **extra}
        return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


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
        body = ast.parse(code).body
    except SyntaxError:
        return []
    names = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        else:
            stored = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            names += [n.id for n in stored if isinstance(n.ctx, ast.Store)]
    return list(dict.fromkeys(names))


def text_of(notebook: NotebookNode) -> str:
    """The notebook as it is written to disk."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    return text if text.endswith("\n") else text + "\n"


def write(path: Path, text: str) -> bool:
    """Write a file whole or not at all; False if it already said that."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8", newline="\n")
    new.replace(path)
    return True


# ------------------------------------------------------------------------------------- execution


def execute(chapter: Chapter) -> NotebookNode:
    """Run the solved notebook in a kernel of its own with an empty WORKSHOP_HOME."""
    notebook = chapter.solution_notebook()
    running = 0

    def begins(cell: NotebookNode, cell_index: int) -> None:
        nonlocal running
        running = cell_index

    with tempfile.TemporaryDirectory(prefix="workshop-") as home, tempfile.TemporaryFile() as log:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": str(chapter.solution_path.parent)}},
            record_timing=False,
            on_cell_execute=begins,
        )
        try:
            client.execute(env=kernel_environment(home), stderr=log)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            log.seek(0)
            stderr = log.read().decode(errors="replace")
            raise BuildError(describe(chapter, notebook, running, error, stderr)) from None
        for position, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                tidy(cell, f"{chapter.stem}, cell {position + 1}", chapter.source.parents[2], home)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def kernel_environment(home: str) -> dict[str, str]:
    """What makes outputs come back the same: an empty home, the embedded Milvus, no moving bars."""
    unwanted = ("JPY_SESSION_NAME", "JUPYTERHUB_SERVICE_PREFIX", "MILVUS_URI", "MPLBACKEND")
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return {
        **kept,
        "WORKSHOP_HOME": home,
        "TQDM_DISABLE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def describe(
    chapter: Chapter, notebook: NotebookNode, index: int, error: Exception, stderr: str
) -> str:
    """Chapter, cell, its source and what went wrong, without colour codes."""
    if isinstance(error, CellExecutionError):
        what = f"{error.ename}: {error.evalue}"
    elif isinstance(error, CellTimeoutError):
        what = f"still running after {CELL_TIMEOUT} s"
    else:
        what = f"the kernel died in this cell\n{stderr[-2000:]}"
    source = "\n".join("    " + line for line in notebook.cells[index].source.splitlines())
    plain = re.sub(r"\x1b\[[0-9;]*m", "", what).rstrip()
    return f"{chapter.stem}, cell {index + 1} of {len(notebook.cells)}:\n{source}\n{plain}"


def tidy(cell: NotebookNode, where: str, root: Path, home: str) -> None:
    """Keep outputs small, and free of what belongs to this machine."""
    cell.metadata.pop("execution", None)
    cell.outputs = merged(cell.outputs)
    for output in cell.outputs:
        output.update({k: portable(v, root, home) for k, v in output.items() if k != "data"})
        for kind, value in output.get("data", {}).items():
            if kind == "image/png":
                output.data[kind] = small_png(value, where)
            else:
                output.data[kind] = portable(value, root, home)


def merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Streams arrive in pieces that differ from run to run: one piece each, as long as in a row."""
    result: list[NotebookNode] = []
    for output in outputs:
        last = result[-1] if result else None
        if last and output.output_type == "stream" == last.output_type and last.name == output.name:
            last.text += output.text
        else:
            result.append(output)
    return result


def portable(value, root: Path, home: str):
    """The same text without this machine's folders."""
    if isinstance(value, list):
        return [portable(item, root, home) for item in value]
    if not isinstance(value, str):
        return value
    value = value.replace(home, ".workshop")
    value = re.sub(r"/[^\s'\"<>:]*/site-packages/", "site-packages/", value)
    value = value.replace(f"{root}{os.sep}", "").replace(str(root), ".")
    value = re.sub(r"/[^\s'\"<>:]*/lib/(python3\.\d+/)", r"\1", value)
    return re.sub(r"\S*/ipykernel_\d+/\d+\.py", "ipykernel/cell.py", value)


def small_png(encoded: str, where: str) -> str:
    """The picture again, with fewer colours if it is large; BuildError if it stays too large."""
    original = base64.b64decode(encoded)
    image = Image.open(io.BytesIO(original))
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    for colours in (None, 256, 128, 64):
        buffer = io.BytesIO()
        if colours is None:
            reduced = image
        elif image.mode == "RGB":
            reduced = image.quantize(colours)
        else:
            reduced = image.convert("RGBA").quantize(colours, method=Image.Quantize.FASTOCTREE)
        reduced.save(buffer, "PNG", optimize=True)
        limit = MAX_PNG // 3 if colours is None else MAX_PNG
        if buffer.tell() <= limit:
            return base64.b64encode(buffer.getvalue()).decode()
    raise BuildError(
        f"{where}: the picture is {buffer.tell() / 1000:.0f} kB with 64 colours, at most "
        f"{MAX_PNG / 1000:.0f} kB are allowed. Make it smaller, or show fewer photos."
    )


def build(chapter: Chapter, force: bool = False) -> str:
    """Write both notebooks of a chapter; says what was done."""
    begun = time.monotonic()
    solution = None if force else chapter.stored_solution()
    ran = solution is None
    if solution is None:
        solution = execute(chapter)
    changed = write(chapter.solution_path, text_of(solution))
    changed |= write(chapter.exercise_path, text_of(chapter.exercise_notebook()))
    if ran:
        return f"{chapter.stem}: executed in {time.monotonic() - begun:.0f} s"
    return f"{chapter.stem}: {'text rebuilt, outputs kept' if changed else 'up to date'}"


# ----------------------------------------------------------------------------------------- rules


def problems(root: Path) -> list[str]:
    """All that `--check` finds, one line each."""
    found = []
    stems = set()
    for source in sources(root):
        chapter = Chapter(source)
        stems.add(chapter.stem)
        found += [f"{chapter.stem}: {p}" for p in (*freshness(chapter), *rules(chapter))]
    for folder in ("notebooks", "solutions"):
        for path in sorted((root / folder).glob("*.ipynb")):
            if path.stem not in stems:
                found.append(f"{folder}/{path.name}: has no source solutions/src/{path.stem}.py")
    return found


def sources(root: Path) -> list[Path]:
    """All chapter sources, in order."""
    return sorted((root / "solutions" / "src").glob("[0-9][0-9]_*.py"))


def freshness(chapter: Chapter) -> Iterator[str]:
    """Each notebook is there and is what the source makes."""
    path = chapter.exercise_path
    if not path.exists():
        yield f"notebooks/{path.name} is missing: run `make notebooks`"
    else:
        text = path.read_text(encoding="utf-8")
        if text != text_of(chapter.exercise_notebook()):
            yield f"notebooks/{path.name} is stale: run `make notebooks`"
        if MARKER.search(text):
            yield f"notebooks/{path.name} holds a solution marker"
    path = chapter.solution_path
    if not path.exists():
        yield f"solutions/{path.name} is missing: run `make notebooks`"
        return
    stored = chapter.stored_solution()
    if stored is None or text_of(stored) != path.read_text(encoding="utf-8"):
        yield f"solutions/{path.name} is stale: run `make notebooks`"
        return
    yield from outputs(stored)


def outputs(notebook: NotebookNode) -> Iterator[str]:
    """The stored outputs of a solution: checks pass, pictures are small, enough is compared."""
    with_output = []
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code":
            continue
        if "check" in tags(cell) and not any(
            o.get("data", {}).get("text/plain", "").startswith("✅") for o in cell.outputs
        ):
            yield f"cell {number}: the check does not pass on the solution"
        for output in cell.outputs:
            png = output.get("data", {}).get("image/png", "")
            if len(png) * 3 / 4 > MAX_PNG:
                yield f"cell {number}: the picture is larger than {MAX_PNG / 1000:.0f} kB"
            if re.search(r"\d%\|", output.get("text", "")):
                yield f"cell {number}: stores a progress bar; tqdm without `disable=` obeys the builder"
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"cell {number}: raises {output.ename} without the tag raises-exception"
        if cell.execution_count is None:
            yield f"cell {number}: was not executed, so it is not compared"
        if cell.outputs:
            with_output.append("nbval-ignore-output" not in tags(cell))
    if with_output and sum(with_output) / len(with_output) < MIN_COMPARED:
        yield (
            f"only {sum(with_output)} of {len(with_output)} cells with output are compared, "
            f"at least {MIN_COMPARED:.0%} must be"
        )


def rules(chapter: Chapter) -> Iterator[str]:
    """What every chapter source keeps to."""
    yield from blocks(chapter)
    yield from exercises(chapter)
    fewest = 10 if chapter.number == 0 else 25
    if not fewest <= len(chapter.cells) <= 45:
        yield f"has {len(chapter.cells)} cells, {fewest} to 45 are asked for"
    solved = chapter.solution_notebook()
    for number, (cell, clean) in enumerate(zip(chapter.cells, solved.cells, strict=True), 1):
        if cell.cell_type == "code":
            lines = sum(bool(line.strip()) for line in clean.source.splitlines())
            if lines > MAX_CODE_LINES:
                yield f"cell {number}: {lines} lines of code, at most {MAX_CODE_LINES}"
            if MARKER.search(SOLUTION.sub("", cell.source)):
                yield f"cell {number}: a solution marker without its partner"
        else:
            if (count := words(cell.source)) > MAX_WORDS:
                yield f"cell {number}: {count} words, at most {MAX_WORDS}"
            if strange := sorted(set(EMOJI.findall(cell.source)) - ALLOWED):
                yield f"cell {number}: emoji {' '.join(strange)}"
            for target in LINK.findall(cell.source):
                if reason := unreachable(chapter, target):
                    yield f"cell {number}: link to {target}, {reason}"


def unreachable(chapter: Chapter, target: str) -> str:
    """Why a link leads nowhere from one of the two trees; empty if it leads somewhere."""
    for folder in (chapter.exercise_path.parent, chapter.solution_path.parent):
        path = (folder / target).resolve()
        source = chapter.source.with_name(f"{path.stem}.py")
        # a notebook not yet built is reported as missing, once
        if not path.exists() and not (path.suffix == ".ipynb" and source.exists()):
            return f"which leads nowhere from {folder.name}/"
    return ""


def words(markdown: str) -> int:
    """Words a reader reads: no fenced code, no link targets, no tags, no signs alone."""
    text = re.sub(r"```.*?```", "", markdown, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"<[^>]+>", "", text)
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def blocks(chapter: Chapter) -> Iterator[str]:
    """Opening and closing."""
    if not chapter.cells or chapter.cells[0].cell_type != "markdown":
        yield "does not begin with a text cell"
        return
    opening = chapter.cells[0].source
    if not re.match(rf"# {chapter.number:02d} · \S", opening):
        yield f'does not begin with the heading "# {chapter.number:02d} · Title"'
    for bold in ("**You will be able to**", "**You need**", "**Time**"):
        if bold not in opening:
            yield f"opening: {bold} is missing from the first cell"
    texts = [c.source for c in chapter.cells if c.cell_type == "markdown"]
    at = [i for i, text in enumerate(texts) if text.startswith("## What we saw")]
    if not at or chapter.cells[-1].cell_type != "markdown":
        yield 'closing: does not end with a text cell "## What we saw"'
        return
    closing = "\n\n".join(texts[at[-1] :])
    for bold in ("**Recall:**", "**On your own data:**", "**Next:**"):
        if bold not in closing:
            yield f"closing: {bold} is missing"
    recall = re.search(r"\*\*Recall:\*\*(.*?)(\n\n|\Z)", closing, re.S)
    if recall and recall[1].count("?") != 3:
        yield f"closing: {recall[1].count('?')} recall questions, three are asked for"


def exercises(chapter: Chapter) -> Iterator[str]:
    """Each exercise has its id, hints, a stub and a check, and one is to be broken and fixed."""
    found = []
    for position, cell in enumerate(chapter.cells):
        if cell.cell_type == "markdown" and "Your turn" in cell.source and "✍" in cell.source:
            if match := EXERCISE.search(cell.source):
                found.append((position, match["id"], match["title"]))
            else:
                yield (
                    f"cell {position + 1}: an exercise begins "
                    f'"### ✍️ Your turn {chapter.number}.1 · 5 min: title"'
                )
    fewest = 1 if chapter.number == 0 else 3
    if not fewest <= len(found) <= 5:
        yield f"has {len(found)} exercises, {fewest} to 5 are asked for"
    if chapter.number and not any("break it, fix it" in t.lower() for _, _, t in found):
        yield 'no exercise is titled "break it, fix it"'
    ends = [position for position, _, _ in found[1:]] + [len(chapter.cells)]
    for order, ((position, id, _), end) in enumerate(zip(found, ends, strict=False), 1):
        if id != f"{chapter.number}.{order}":
            yield f"cell {position + 1}: exercise {id} should be {chapter.number}.{order}"
        own = [c for c in chapter.cells[position:end] if c.cell_type == "code"]
        if not chapter.hints.get(id):
            yield f"exercise {id} has no hints in workshop/checks/ch{chapter.number:02d}.py"
        if not any(SOLUTION.search(c.source) for c in own):
            yield f"exercise {id} has no cell with # BEGIN SOLUTION … # END SOLUTION"
        if [check_id(c) for c in own if "check" in tags(c)] != [id]:
            yield f'exercise {id} has no check cell (tag "check") with the one line check("{id}", …)'
    given = {id for _, id, _ in found}
    for id in chapter.hints:
        if id not in given:
            yield f"exercise {id} is registered but not in the chapter"


# --------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> int:
    """Build or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "chapters", nargs="*", help="such as 01_vectors or 01; all if none is named"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, say what is wrong")
    parser.add_argument(
        "--force", action="store_true", help="execute even if the code is as it was"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    options = parser.parse_args(arguments)
    if options.check:
        found = problems(options.root)
        print("\n".join(found) or "All notebooks are up to date and keep to the rules.")
        return bool(found)
    for name in options.chapters:
        if not any(path.stem.startswith(name) for path in sources(options.root)):
            known = ", ".join(path.stem for path in sources(options.root))
            parser.error(f"no chapter {name}: there are {known}")
    for source in sources(options.root):
        if not options.chapters or any(source.stem.startswith(name) for name in options.chapters):
            try:
                print(build(Chapter(source), options.force), flush=True)
            except BuildError as error:
                print(error, file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
