"""Build both notebook trees from solutions/src: `make notebooks`, or name the chapters to build.

notebooks/   stubs in place of solutions, hints under each exercise, no outputs but the line
             "not attempted yet" of each check
solutions/   the same cells with their solutions, executed, outputs kept

Each tree has the glossary, and workshop/checks/chNN.json says what a running course must know of a
chapter: its title, its minutes and its stubs. INSTRUCTORS.md is made too (build_instructors.py). A chapter is executed when its code changed since the
stored outputs, or with --force. `--check` writes nothing: it says, one line each, what is stale or
breaks the rules of CONTRIBUTING.md.
"""

import argparse
import base64
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import build_instructors
import nbformat
from chapter_rules import rules
from chapters import GLOSSARY, MARKER, Chapter, glossary, sources, tags
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

from workshop import lm

ROOT = Path(__file__).resolve().parent.parent
MAX_PNG = 150_000
CELL_TIMEOUT = 120
MIN_COMPARED = 0.75
MIN_ALT = 20  # characters


class BuildError(Exception):
    """A chapter cannot be built; the message names chapter and cell."""


def text_of(notebook: NotebookNode) -> str:
    """The notebook as it is written to disk."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    return text if text.endswith("\n") else text + "\n"


def about_text(chapter: Chapter) -> str:
    """What workshop/checks/chNN.json says."""
    return json.dumps(chapter.about(), indent=1, ensure_ascii=False) + "\n"


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
        if output.get("data", {}).get("text/plain") == lm.HOW:
            raise BuildError(f"{where}: the language model is not here; run `make lm`, then build.")
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
    changed |= write(chapter.about_path, about_text(chapter))
    if ran:
        return f"{chapter.stem}: executed in {time.monotonic() - begun:.0f} s"
    return f"{chapter.stem}: {'text rebuilt, outputs kept' if changed else 'up to date'}"


# --------------------------------------------------------------------------------------- --check


def problems(root: Path) -> list[str]:
    """All that `--check` finds, one line each."""
    found = []
    stems = set()
    for source in sources(root):
        chapter = Chapter(source)
        stems.add(chapter.stem)
        found += [f"{chapter.stem}: {p}" for p in (*freshness(chapter), *rules(chapter))]
        found += on_the_map(root, chapter)
    wanted = text_of(glossary([Chapter(source) for source in sources(root)]))
    for folder in ("notebooks", "solutions"):
        for path in sorted((root / folder).glob("*.ipynb")):
            if path.stem not in {*stems, GLOSSARY}:
                found.append(f"{folder}/{path.name}: has no source solutions/src/{path.stem}.py")
        path = root / folder / f"{GLOSSARY}.ipynb"
        if not path.exists() or path.read_text(encoding="utf-8") != wanted:
            found.append(f"{folder}/{path.name} is stale: run `make notebooks`")
    if has_guide(root):
        found += build_instructors.problems(root, build_instructors.read(root))
    return found


def has_guide(root: Path) -> bool:
    """Whether this course has a guide for instructors."""
    return (root / build_instructors.SOURCES).is_dir()


def on_the_map(root: Path, chapter: Chapter) -> Iterator[str]:
    """The README's map links the chapter and says its minutes."""
    link, minutes = f"(notebooks/{chapter.stem}.ipynb)", sum(chapter.minutes())
    readme = root / "README.md"
    rows = readme.read_text(encoding="utf-8").splitlines() if readme.exists() else []
    said = [row.split("|")[-2].strip() for row in rows if row.startswith("|") and link in row]
    if rows and said != [str(minutes)]:
        yield f"README.md: the map says {', '.join(said) or 'no'} minutes for {chapter.stem}, not {minutes}"


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
    path = chapter.about_path
    if not path.exists() or path.read_text(encoding="utf-8") != about_text(chapter):
        yield f"workshop/checks/{path.name} is stale: run `make notebooks`"
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
            if png and len(output.metadata.get("image/png", {}).get("alt", "")) < MIN_ALT:
                yield (
                    f"cell {number}: the picture has no text alternative; functions of `plots` give "
                    'one, and after a drawing of your own comes plots.show("what it shows")'
                )
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
    text = text_of(glossary([Chapter(source) for source in sources(options.root)]))
    for folder in ("notebooks", "solutions"):
        write(options.root / folder / f"{GLOSSARY}.ipynb", text)
    if has_guide(options.root):
        chapters = build_instructors.read(options.root)
        missing = build_instructors.missing(options.root, chapters)
        print(*missing, sep="\n", end="\n" if missing else "")
        if not missing:
            write(
                options.root / build_instructors.GUIDE,
                build_instructors.guide(options.root, chapters),
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
