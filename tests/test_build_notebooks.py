"""The builder of both notebook trees, on a small chapter of its own."""

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import build_notebooks as builder
import chapter_rules
import chapters
import nbformat
import numpy as np
import pytest
from PIL import Image

from workshop import checks

OPENING = """# %% [markdown]
# # 77 · Threes
#
# **You will be able to** count to three.
#
# **You need** nothing · **Time** 12 min reading, 15 min exercises

# %%
from workshop.checks import Wrong, check, register

for number in (1, 2, 3):

    @register(f"77.{number}", "hint one", "hint `two`")
    def is_three(answer):
        if (answer() if callable(answer) else answer) != 3:
            raise Wrong("not 3")
        return "three"


# %%
print("a stored output")

# %% tags=["raises-exception"]
open("/nowhere/at/all")
"""

EXERCISES = """
# %% [markdown]
# ### ✍️ Your turn 77.1 · 5 min: a function

# %%
def three() -> int:
    \"\"\"Three.\"\"\"
    # BEGIN SOLUTION
    return 1 + 2
    # END SOLUTION


# %% tags=["check"]
check("77.1", three)

# %% [markdown]
# ### ✍️ Your turn 77.2 · 5 min: a value

# %%
# BEGIN SOLUTION
parts = [1, 2]
answer = sum(parts)
# END SOLUTION

# %% tags=["check"]
check("77.2", answer)

# %% [markdown]
# ### ✍️ Your turn 77.3 · 5 min: break it, fix it

# %%
value = 2
# BEGIN SOLUTION
value = 3
# END SOLUTION
print("after the stub")

# %% tags=["check"]
check("77.3", value)
"""

FIRST, SECOND, THIRD = EXERCISES.split("\n# %% [markdown]\n")[1:]
FILLER = "".join(f"\n# %% [markdown]\n# Line {i} of this text.\n" for i in range(12))
PARTS = f"""
# %% [markdown]
# ## Numbers · 10 min
#
# A [[number]] says how many there are. Some [[odd ones|odd number]] are left over in pairs.

# %% [markdown]
{FIRST}
# %% [markdown]
# ## Pause
#
# From here you can start anew.

# %% tags=["pause"]
from workshop.checks import check

# %% [markdown]
{SECOND}
# %% [markdown]
{THIRD}"""

CLOSING = """
# %% [markdown]
# ## What we saw · 2 min
#
# **Recall:** What is one? What is two? What is three?
#
# <details><summary>Answers</summary> One. Two. Three. </details>
#
# **On your own data:** count it.
#
# **Next:** [this](77_threes.ipynb) again.
"""
SOURCE = OPENING + PARTS + FILLER + CLOSING


@pytest.fixture(scope="module", autouse=True)
def hints():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_exercises", dict(checks._exercises))
        for number in (1, 2, 3):
            checks.register(f"77.{number}", "hint one", "hint `two`")(lambda answer: None)
        yield


def write_source(root: Path, text: str) -> Path:
    path = root / "solutions" / "src" / "77_threes.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built_once(tmp_path_factory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("course")
    write_source(root, SOURCE)
    assert builder.main(["--root", str(root)]) == 0
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in [*root.glob("*/*.ipynb"), *root.glob("workshop/checks/*.json")]
    }


@pytest.fixture
def root(tmp_path: Path, built_once: dict[str, str]) -> Path:
    write_source(tmp_path, SOURCE)
    for name, text in built_once.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def read(root: Path, tree: str) -> nbformat.NotebookNode:
    notebook = nbformat.read(root / tree / "77_threes.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def check_says(root: Path, capsys) -> str:
    capsys.readouterr()
    builder.main(["--root", str(root), "--check"])
    return capsys.readouterr().out


# -------------------------------------------------------------------------------- both trees


def test_learners_notebook_has_stubs_hints_and_expected_lines(root):
    notebook = read(root, "notebooks")
    sources = [cell.source for cell in code(notebook)]
    assert 'def three() -> int:\n    """Three."""\n    ...  # your code here' in sources
    assert "answer = ...  # your code here" in sources
    assert 'value = 2\n...  # your code here\nprint("after the stub")' in sources
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "SOLUTION" not in text and "1 + 2" not in text and "sum(parts)" not in text
    assert text.count("<details><summary>Hint 2</summary>\n\nhint `two`\n\n</details>") == 3
    for cell in code(notebook):
        if "check" in builder.tags(cell):
            (output,) = cell.outputs
            number = chapters.check_id(cell)
            assert output.data["text/plain"] == f"⏳ {number}: not attempted yet"
            assert "not attempted yet" in output.data["text/html"]
            assert cell.execution_count  # nbval compares only what was run
            assert "nbval-check-output" in builder.tags(cell)
        else:
            assert not cell.outputs


def test_solution_is_executed_without_markers_or_timestamps(root):
    notebook = read(root, "solutions")
    text = builder.text_of(notebook)
    assert "SOLUTION" not in text and "1 + 2" in text
    assert '"execution"' not in text
    assert all(cell.execution_count for cell in code(notebook))
    marks = [
        cell.outputs[0].data["text/plain"]
        for cell in code(notebook)
        if "check" in builder.tags(cell)
    ]
    assert marks == ["✅ 77.1: three", "✅ 77.2: three", "✅ 77.3: three"]


def test_both_trees_share_cell_ids(root):
    exercise, solution = read(root, "notebooks"), read(root, "solutions")
    assert [cell.id for cell in exercise.cells] == [cell.id for cell in solution.cells]
    assert len({cell.id for cell in exercise.cells}) == len(exercise.cells)


def test_no_folder_of_this_machine_is_stored(root, built_once):
    for text in built_once.values():
        assert sys.prefix not in text and sys.base_prefix + "/lib/python" not in text


def test_rebuild_changes_nothing_and_executes_nothing(root, built_once, capsys, monkeypatch):
    monkeypatch.setattr(builder, "execute", lambda chapter: pytest.fail("was executed"))
    assert builder.main(["--root", str(root)]) == 0
    assert capsys.readouterr().out == "77_threes: up to date\n"
    for name, text in built_once.items():
        assert (root / name).read_text(encoding="utf-8") == text


def test_forced_rebuild_is_identical_but_for_outputs(root, built_once):
    assert builder.main(["--root", str(root), "--force", "77"]) == 0
    name = "notebooks/77_threes.ipynb"
    assert (root / name).read_text(encoding="utf-8") == built_once[name]
    before = nbformat.reads(built_once["solutions/77_threes.ipynb"], as_version=4)
    after = read(root, "solutions")
    assert [(c.id, c.source) for c in before.cells] == [(c.id, c.source) for c in after.cells]


def test_change_of_prose_keeps_outputs_and_change_of_code_executes(root, capsys, monkeypatch):
    write_source(root, SOURCE.replace("Line 3 of", "Line three of"))
    with monkeypatch.context() as patch:
        patch.setattr(builder, "execute", lambda chapter: pytest.fail("was executed"))
        assert builder.main(["--root", str(root)]) == 0
    assert "outputs kept" in capsys.readouterr().out
    assert check_says(root, capsys).startswith("All notebooks are up to date")
    write_source(root, SOURCE.replace("a stored output", "another output"))
    assert builder.main(["--root", str(root)]) == 0
    assert "executed in" in capsys.readouterr().out
    assert "another output\\n" in (root / "solutions" / "77_threes.ipynb").read_text()


def test_unknown_chapter_is_refused(root, capsys):
    with pytest.raises(SystemExit):
        builder.main(["--root", str(root), "99_nothing"])
    assert "no chapter 99_nothing: there are 77_threes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("print(undefined)", "NameError: name 'undefined' is not defined"),
        ("import os; os._exit(3)", "the kernel died in this cell"),
        ("import time; time.sleep(60)", "still running after 3 s"),
    ],
    ids=["error", "dead kernel", "too slow"],
)
def test_failing_cell_stops_with_chapter_cell_source_and_error(
    root, capsys, monkeypatch, line, said
):
    monkeypatch.setattr(builder, "CELL_TIMEOUT", 3)
    before = (root / "solutions" / "77_threes.ipynb").read_bytes()
    write_source(root, SOURCE.replace('print("a stored output")', line))
    assert builder.main(["--root", str(root)]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"77_threes, cell 3 of 29:\n    {line}\n")
    assert said in message and "\x1b" not in message
    assert (root / "solutions" / "77_threes.ipynb").read_bytes() == before


# ---------------------------------------------------------------------------------- pictures


def png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_small_picture_keeps_every_pixel():
    pixels = np.zeros((50, 50, 4), np.uint8)
    pixels[10:20, :, 3] = 128
    small = builder.small_png(png(pixels), "here")
    again = np.asarray(Image.open(io.BytesIO(base64.b64decode(small))))
    assert np.array_equal(again, pixels)


def test_large_picture_is_brought_under_the_limit_and_still_shows_the_same():
    y, x = np.mgrid[:400, :600]
    noise = np.random.default_rng(0).integers(0, 12, (400, 600))
    pixels = np.stack([x / 3 + noise, y / 2 + noise, (x + y) / 5], -1).clip(0, 255).astype(np.uint8)
    before = png(pixels)
    assert len(base64.b64decode(before)) > builder.MAX_PNG
    small = base64.b64decode(builder.small_png(before, "here"))
    assert len(small) <= builder.MAX_PNG
    again = np.asarray(Image.open(io.BytesIO(small)).convert("RGB")).astype(int)
    assert np.abs(again - pixels).mean() < 12


def test_hopeless_picture_is_refused_by_cell():
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    with pytest.raises(
        builder.BuildError, match=r"77_threes, cell 4: the picture is .* at most 150"
    ):
        builder.small_png(png(noise), "77_threes, cell 4")


# ------------------------------------------------------------------------------------ --check


def test_clean_chapter_passes(root, capsys):
    assert check_says(root, capsys) == "All notebooks are up to date and keep to the rules.\n"
    assert builder.main(["--root", str(root), "--check"]) == 0


def swap(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


LONG_CODE = "\n".join(["def f():", *(f"    a{i} = {i}" for i in range(12))])
BROKEN_SOURCES = [
    (swap("# # 77 ·", "# # 76 ·"), 'does not begin with the heading "# 77 · Title"'),
    (swap("**You will be able to**", "You can"), "opening: **You will be able to** is missing"),
    (swap("**You need**", "Needs"), "opening: **You need** is missing"),
    (swap("**Time**", "Time"), "opening: **Time** is missing"),
    (swap("12 min reading", "13 min reading"), "12 min reading, 15 min exercises"),
    (swap("· 10 min", "· 50 min"), "the core path takes 67 minutes, at most 60"),
    (swap("## Numbers · 10 min", "## Numbers"), "a section says its minutes"),
    (swap("## Numbers · 10 min", "## Numbers · 30 min"), "the pause comes after 74% of the minutes"),
    (swap(' tags=["pause"]', ""), 'one text cell "## Pause", then one code cell'),
    (swap("## What we saw", "## The end"), 'does not end with a text cell "## What we saw"'),
    (lambda text: text + "\n# %%\n1\n", 'does not end with a text cell "## What we saw"'),
    (swap("<summary>Answers</summary>", ""), "<summary>Answers</summary> is missing"),
    (swap("A [[number]] says", "This [[number]] says"), "the glossary would say 'This number says"),
    (swap("## Numbers ·", "## [[Numbers]] ·"), "marked outside of a sentence, in a heading"),
    (swap("**Recall:**", "Recall:"), "closing: **Recall:** is missing"),
    (swap("What is two? ", ""), "closing: 2 recall questions"),
    (swap("**On your own data:**", ""), "closing: **On your own data:** is missing"),
    (swap("**Next:**", "Next:"), "closing: **Next:** is missing"),
    (swap("77.3", "77.4"), "exercise 77.4 has no hints in workshop/checks/ch77.py"),
    (swap("77.3", "77.4"), "exercise 77.4 should be 77.3"),
    (swap("77.3", "77.4"), "exercise 77.3 is registered but not in the chapter"),
    (swap("turn 77.2", "turn 7.2"), "exercise 7.2 should be 77.2"),
    (swap('check("77.2", answer)', 'check("77.1", answer)'), "exercise 77.2 has no check cell"),
    (swap('check("77.2", answer)', 'print(check("77.2", answer))'), "exercise 77.2 has no check"),
    (swap("value = 2\n# BEGIN SOLUTION\nvalue = 3\n# END SOLUTION", "value = 3"), "77.3 has no cell"),
    (swap("5 min: a value", "a value"), "an exercise begins"),
    (swap("break it, fix it", "the last"), 'no exercise is titled "break it, fix it"'),
    (swap("# %% [markdown]\n" + THIRD, ""), "has 2 exercises, 3 to 5"),
    (swap('print("a stored output")', LONG_CODE), "cell 3: 13 lines of code, at most 10"),
    (swap('print("a stored output")', LONG_CODE), "has no docstring of one line"),
    (swap("# Line 3 of this text.", "# " + "word " * 101), "101 words, at most 100"),
    (swap(FILLER, ""), "has 17 cells in its core path, 25 to 80"),
    (swap(FILLER, FILLER * 6), "has 89 cells in its core path, 25 to 80"),
    (swap('print("a stored output")', "print(three)"), "cell 3: uses three, which exercise 77.1 binds"),
    (swap('print("a stored output")', "def f(x):\n    return x + value"),
     "cell 3: uses value, which exercise 77.3 binds"),
    (swap("# Line 3 of", "# 🚀 Line 3 of"), "emoji 🚀"),
    (swap("# Line 3 of", "# ⭐ Line 3 of"), "emoji ⭐"),
    (swap("(77_threes.ipynb)", "(78_fours.ipynb)"), "link to 78_fours.ipynb, which leads nowhere"),
    (swap("# END SOLUTION\n\n\n", "\n\n"), "a solution marker without its partner"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "said"), BROKEN_SOURCES, ids=[said for _, said in BROKEN_SOURCES])
def test_check_names_what_breaks_a_rule(root, capsys, edit, said):
    write_source(root, edit(SOURCE))
    lines = check_says(root, capsys).splitlines()
    assert any(line.startswith("77_threes: ") and said in line for line in lines), lines
    assert builder.main(["--root", str(root), "--check"]) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("print(x := 3)", "an assignment inside a call"),
        ("print(sorted([1], key=lambda v, n=2: v))", "a lambda with default arguments"),
        ("rows.argsort().argsort()", "a double argsort"),
        ("np.argsort(np.argsort(rows))", "a double argsort"),
        ("[a for a in [b for b in rows]]", "a comprehension inside a comprehension"),
        ("[[b for b in a] for a in rows]", "a comprehension inside a comprehension"),
        ("a = b = 3", "a chain of assignments"),
        ("for row in rows:\n    id = row", "the name id belongs to the language"),
        ("rows += [3]", "a list that grows by +="),
        ("print(f'{3 * 4:.2f}')", "a formula inside an f-string"),
        ("def f(x):\n    return x", "the function f has no docstring of one line"),
    ],
)
def test_what_is_kept_out_of_chapters_is_named_and_plain_python_is_not(line, said):
    assert list(chapter_rules.code(line)) == [said]
    assert not list(chapter_rules.code("total = 3 * 4\nprint(f'{total:.2f}', rows.argsort())"))


def test_lines_of_code_leave_out_imports_comments_docstrings_and_solutions():
    source = (
        "import numpy as np\nfrom a import (\n    b,\n    c,\n)\n\n# why\n"
        'def f(x):\n    """Says."""\n    # BEGIN SOLUTION\n    return 1\n    # END SOLUTION\n'
        "answer = await f(3)\n"
    )
    assert chapter_rules.code_lines(source) == 2


def test_the_readme_says_the_minutes_of_each_chapter(root, capsys):
    row = "| [77](notebooks/77_threes.ipynb) | count | {} |\n"
    (root / "README.md").write_text(row.format(27), encoding="utf-8")
    assert check_says(root, capsys).startswith("All notebooks are up to date")
    (root / "README.md").write_text(row.format(40), encoding="utf-8")
    assert "the map says 40 minutes for 77_threes, not 27" in check_says(root, capsys)


def test_terms_become_links_into_a_glossary_of_the_sentences_that_explain_them(root):
    text = "\n".join(cell.source for cell in read(root, "notebooks").cells)
    assert "A [*number*](glossary.ipynb#number) says how many" in text
    assert "Some [*odd ones*](glossary.ipynb#odd-number) are left over" in text
    path = root / "solutions" / "glossary.ipynb"
    assert path.read_text() == (root / "notebooks" / "glossary.ipynb").read_text()
    entries = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    place = "*Chapter* [77 · Threes](77_threes.ipynb)"
    assert entries[1:] == [
        f"## number\n\nA number says how many there are. {place}",
        f"## odd number\n\nSome odd ones are left over in pairs. {place}",
    ]


def test_the_course_knows_title_minutes_and_stubs_of_a_chapter(root):
    about = json.loads((root / "workshop/checks/ch77.json").read_text(encoding="utf-8"))
    assert (about["title"], about["minutes"]) == ("77 · Threes", 27)
    stubs = 'def three() -> int:\n    """Three."""\n    ...  # your code here'
    assert about["stubs"]["77.1"] == [stubs]


def edit_notebook(root: Path, tree: str, old: str, new: str) -> None:
    path = root / tree / "77_threes.ipynb"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_check_finds_stale_missing_and_orphaned_files(root, capsys):
    edit_notebook(root, "notebooks", "Line 3 of", "Line three of")
    assert "notebooks/77_threes.ipynb is stale" in check_says(root, capsys)
    (root / "workshop/checks/ch77.json").write_text("{}")
    assert "workshop/checks/ch77.json is stale" in check_says(root, capsys)
    (root / "notebooks" / "glossary.ipynb").unlink()
    assert "notebooks/glossary.ipynb is stale" in check_says(root, capsys)
    (root / "notebooks" / "77_threes.ipynb").unlink()
    assert "notebooks/77_threes.ipynb is missing" in check_says(root, capsys)
    edit_notebook(root, "solutions", "Line 3 of", "Line three of")
    assert "solutions/77_threes.ipynb is stale" in check_says(root, capsys)
    (root / "solutions" / "77_threes.ipynb").rename(root / "solutions" / "78_fours.ipynb")
    said = check_says(root, capsys)
    assert "solutions/77_threes.ipynb is missing" in said
    assert "solutions/78_fours.ipynb: has no source" in said


def test_check_finds_code_newer_than_outputs(root, capsys):
    write_source(root, SOURCE.replace("a stored output", "another output"))
    assert "solutions/77_threes.ipynb is stale" in check_says(root, capsys)


def test_check_finds_a_leaked_solution(root, capsys):
    edit_notebook(root, "notebooks", "...  # your code here", "# BEGIN SOLUTION")
    assert "notebooks/77_threes.ipynb holds a solution marker" in check_says(root, capsys)


def test_check_finds_solutions_that_do_not_pass_and_cells_that_never_ran(root, capsys):
    edit_notebook(root, "solutions", "✅ 77.2", "❌ 77.2")
    edit_notebook(root, "solutions", '"execution_count": 3,', '"execution_count": null,')
    said = check_says(root, capsys)
    assert "cell 13: the check does not pass on the solution" in said
    assert "was not executed" in said


def test_check_finds_too_few_compared_cells(root, capsys):
    measured = SOURCE.replace('# %%\nprint("a', '# %% tags=["nbval-ignore-output"]\nprint("a')
    measured = measured.replace(
        'tags=["raises-exception"]', 'tags=["raises-exception", "nbval-ignore-output"]'
    )
    write_source(root, measured)
    assert builder.main(["--root", str(root)]) == 0
    assert "only 4 of 6 cells with output are compared" in check_says(root, capsys)


def test_progress_bars_are_not_stored_and_those_that_are_found(root, capsys):
    line = "from tqdm import tqdm; print(list(tqdm([1])))"
    write_source(root, SOURCE.replace('print("a stored output")', line))
    assert builder.main(["--root", str(root)]) == 0
    assert check_says(root, capsys).startswith("All notebooks are up to date")
    line = line.replace("tqdm([1])", "tqdm([1], disable=False)")
    write_source(root, SOURCE.replace('print("a stored output")', line))
    assert builder.main(["--root", str(root)]) == 0
    assert "cell 3: stores a progress bar" in check_says(root, capsys)


def test_check_finds_large_pictures(root, capsys):
    path = root / "solutions" / "77_threes.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    output = notebook["cells"][2]["outputs"][0]
    output.clear()
    output.update(output_type="display_data", metadata={}, data={"image/png": "A" * 210_000})
    path.write_text(json.dumps(notebook), encoding="utf-8")
    stored = builder.Chapter(root / "solutions" / "src" / "77_threes.py").stored_solution()
    said = "\n".join(builder.outputs(stored))
    assert "cell 3: the picture is larger than 150 kB" in said
    assert "cell 3: the picture has no text alternative" in said


def test_brackets_in_code_are_no_term():
    marks = chapters.TERM.finditer(
        "A [[vector]] is `a[[b]]`, [[shown|term]] is `x`.\n[[next]] `y[[0]]`"
    )
    assert [mark["term"] for mark in marks] == ["vector", "term", "next"]
