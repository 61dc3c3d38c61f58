"""The notebook runs fail where they must, and say where: conftest.py and tools/sanitize.cfg."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
IGNORED = {"tags": ["nbval-ignore-output"]}


def printed(source: str, output: str, name: str = "stdout", **metadata) -> nbformat.NotebookNode:
    stream = nbformat.v4.new_output("stream", name=name, text=output)
    return nbformat.v4.new_code_cell(source, execution_count=1, outputs=[stream], metadata=metadata)


def text(words: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(words)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "conftest.py", tmp_path)
    shutil.copy(ROOT / "tools" / "sanitize.cfg", tmp_path / "tools")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def save(course: Path, name: str, *cells: nbformat.NotebookNode) -> None:
    path = course / name
    path.parent.mkdir(exist_ok=True)
    cells = [nbformat.from_dict({**cell, "id": f"cell-{i}"}) for i, cell in enumerate(cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def run(course: Path, *arguments: str) -> tuple[int, str]:
    unset = ("WORKSHOP_HOME", "PYTEST_ADDOPTS")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "nbval.plugin", *arguments],
        cwd=course,
        env=environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )
    return done.returncode, done.stdout


def test_strict_run_names_chapter_cell_and_difference_without_colours(course):
    same = printed("print('one')", "one\n")
    wrong = printed("print('two')\nprint('the same')", "zwei\nthe same\n")
    save(course, "solutions/01_wrong.ipynb", text("# 01"), same, text("and"), wrong)
    error = nbformat.v4.new_code_cell("1 / 0", execution_count=2)
    save(course, "solutions/02_error.ipynb", same, error)
    code, said = run(course, "--nbval", "solutions", "--color=yes")
    assert code == 1
    where = "solutions/01_wrong.ipynb, cell 4 of 4, In [2]: Cell outputs differ"
    body = said[said.index(where) :]
    assert "    print('two')\n    print('the same')\n" in body
    assert "--- stored\n+++ now\n@@ -1,2 +1,2 @@\n-zwei\n+two\n the same\n" in body
    error = said[said.index("solutions/02_error.ipynb, cell 2 of 2, In [2]: Cell execution") :]
    error = error[: error.index("ZeroDivisionError: division by zero")]
    assert "1 / 0" in error
    assert "\x1b" not in error + body[: body.index(" the same\n")]
    assert re.search(r"2 failed.*2 passed", re.sub(r"\x1b\[[0-9;]*m", "", said))


def test_dead_kernel_is_said_at_once_and_fails_once(course):
    dead = nbformat.v4.new_code_cell("import os; os._exit(1)", execution_count=1)
    after = printed("print(1)", "1\n")
    save(course, "solutions/01_dead.ipynb", after, dead, after, after)
    code, said = run(course, "--nbval", "solutions")
    assert code == 1
    assert "solutions/01_dead.ipynb, cell 2 of 4, In [2]: the kernel died in this cell" in said
    assert "1 failed, 1 passed, 2 xfailed" in said
    assert float(re.search(r"in ([\d.]+)s", said)[1]) < 60  # nbval alone waits 2,000 s


def test_strict_run_fails_when_too_few_cells_are_compared(course):
    same, measured = printed("print(1)", "1\n"), printed("print(2)", "3\n", **IGNORED)
    save(course, "solutions/01_a.ipynb", same, same, same, measured)
    save(course, "solutions/02_b.ipynb", same, measured)
    code, said = run(course, "--nbval", "solutions")
    assert "   75%    3 of   4  solutions/01_a.ipynb" in said
    assert "   50%    1 of   2  solutions/02_b.ipynb" in said
    assert "   67%    4 of   6  all" in said
    assert "At least 75% must be compared" in said
    assert code == 1
    code, said = run(course, "--nbval", "solutions/01_a.ipynb")
    assert (code, "At least 75%" in said) == (0, False)


def test_learners_tree_fails_on_a_leaked_solution_and_ignores_unrun_cells(course):
    expected = "⏳ 1.1: not attempted yet\n"
    tags = {"tags": ["check", "nbval-check-output"]}
    unrun = nbformat.v4.new_code_cell("print('no stored output')")
    save(
        course,
        "notebooks/01_ok.ipynb",
        unrun,
        printed(f"print({expected[:-1]!r})", expected, **tags),
    )
    assert run(course, "--nbval-lax", "notebooks")[0] == 0
    leaked = printed("print('✅ 1.1: right')", expected, **tags)
    save(course, "notebooks/02_leaked.ipynb", unrun, leaked)
    code, said = run(course, "--nbval-lax", "notebooks")
    assert code == 1
    assert "-⏳ 1.1: not attempted yet\n+✅ 1.1: right" in said


def test_what_belongs_to_a_run_or_machine_is_not_compared(course):
    root = course.as_posix()
    cells = [
        printed("print('http://127.0.0.1:40001/')", "http://127.0.0.1:50002/\n"),
        printed("print(('127.0.0.1', 40001))", "('127.0.0.1', 50002)\n"),
        printed("print('took 1.25 s, 3.5 ms')", "took 9.99 s, 0.1 ms\n"),
        printed("print(object())", "<object object at 0x7f0000000000>\n"),
        printed("print('2026-01-02T03:04:05.678+00:00')", "1999-09-09T09:09:09Z\n"),
        printed("import uuid; print(uuid.uuid4().hex)", "0" * 32 + "\n"),
        printed(f"print({root + '/data/images/x.webp'!r})", "data/images/x.webp\n"),
        printed(
            "import os; print(os.environ['WORKSHOP_HOME'] + '/milvus/x.db')",
            ".workshop/milvus/x.db\n",
        ),
        printed("import numpy; print(numpy.__file__)", "site-packages/numpy/__init__.py\n"),
        printed("from tqdm import tqdm\nfor _ in tqdm([1]): print(1)", "1\n"),
    ]
    save(course, "solutions/01_places.ipynb", *cells)
    code, said = run(course, "--nbval", "solutions")
    assert code == 0, said


def test_what_is_not_a_measurement_is_compared(course):
    pairs = [("12.5 s", "12.5 x"), ("port 80", "port 81"), ("0.71", "0.72"), ("3 s", "4 s")]
    save(course, "solutions/01_a.ipynb", *[printed(f"print({a!r})", b + "\n") for a, b in pairs])
    code, said = run(course, "--nbval", "solutions")
    assert code == 1
    assert f"{len(pairs)} failed" in said
