"""The guide for instructors is joined from the chapters and what was written by hand, and is whole."""

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from workshop.paths import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import build_instructors as builder

GUIDE = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chapters():
    return builder.read(ROOT)


@pytest.fixture
def root(tmp_path):
    """A course with what is written by hand."""
    shutil.copytree(ROOT / builder.SOURCES, tmp_path / builder.SOURCES)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# --------------------------------------------------------------------------------- the guide


def minutes_on_the_map() -> dict[str, int]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[.+?\]\((notebooks/\S+)\).*\| (\d+) \|$", readme, re.M)
    return {path: int(minutes) for path, minutes in rows}


def plans() -> dict[str, list[tuple[str, str, int]]]:
    """Each plan's rows: when it begins, what, minutes."""
    part = GUIDE.partition("## Plans")[2].partition("\n## ")[0]
    pieces = re.split(r"^### (.+)$", part, flags=re.M)[1:]
    row = re.compile(r"^\| ?([\d:]*) ?\| (.+) \| ?(\d*) ?\|$", re.M)
    return {
        name: [(begins, what, int(minutes or 0)) for begins, what, minutes in row.findall(body)]
        for name, body in zip(pieces[::2], pieces[1::2], strict=True)
    }


def test_plans_add_up_to_their_days_and_say_the_minutes_of_the_chapters():
    on_the_map = minutes_on_the_map()
    lengths = {}
    for name, rows in plans().items():
        clock, longest = 0, 0
        for begins, what, minutes in rows:
            if not begins:  # the name of a day
                clock = 0
                continue
            hours, rest = begins.split(":")
            assert 60 * int(hours) + int(rest) == clock, (name, what)
            if (link := re.search(r"\]\((notebooks/\S+)\)", what)) and "pause" not in what:
                assert minutes == on_the_map[link[1]], what
            clock += minutes
            longest = max(longest, clock)
        lengths[name] = longest
        assert any(what.startswith("Break") for _, what, _ in rows)
    assert list(lengths) == ["90 minutes", "Half a day", "A day", "Two days"]
    assert lengths["90 minutes"] <= 90 and lengths["Half a day"] <= 210
    assert max(lengths.values()) <= 480


def test_the_two_halves_of_a_chapter_are_the_whole(chapters):
    for number, chapter in chapters.items():
        if number == 0:  # it has no pause
            continue
        halves = [
            builder.minutes_of({"chapter": number, "part": p}, chapters)
            for p in ("first", "second")
        ]
        assert sum(halves) == sum(chapter.minutes()) and min(halves) > 15


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")), ids=lambda p: p.stem
)
def test_each_chapter_of_the_learner_is_there_with_its_questions_exercises_and_a_word_on_each(path):
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    title = text.partition("\n")[0].removeprefix("# ")
    mine = GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    for part in ("The clock", "Say first", "Predict", "Where people get lost", "Leave out"):
        assert f"**{part}" in mine, part
    core, _, deeper = text.partition("\n## Going deeper\n")
    clock = re.search(r"^\*\*The clock:\*\* (.+)$", mine, re.M)[1].split(" · ")
    begins = re.findall(r"^\*\*(\d+) · (.+)\*\* · \*.+\?\*\n\n> \S", mine, re.M)
    assert len(begins) == core.count("**Predict before you run:**")
    assert {f"{minute} {section}" for minute, section in begins} <= set(clock)
    later = re.findall(r"^\*\*\D.*\*\* \(\*Going deeper\*\) · \*.+\?\*\n\n> \S", mine, re.M)
    assert len(later) == deeper.count("**Predict before you run:**")
    for part in (core, deeper):
        for id in re.findall(r"Your turn ([\d.]+) ·", part):
            (said,) = re.findall(rf"^\*\*{re.escape(id)}\*\* (.+)\n\n- \S", mine, re.M)
            assert said.endswith("(*Going deeper*)") == (part is deeper), id


def test_commands_are_those_of_the_makefile():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    asked = set(re.findall(r"`make ([a-z-]+)", GUIDE))
    assert {"lab", "lm", "update"} <= asked <= set(targets)


def test_links_lead_somewhere():
    headings = re.findall(r"^#+ (.+)$", GUIDE, re.M)
    anchors = {
        "#" + re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
    }
    links = re.findall(r"\]\(([^)\s]+)\)", GUIDE)
    assert len(links) > 50
    assert [one for one in links if one not in anchors and not (ROOT / one).exists()] == []


# ------------------------------------------------------------------------------- the builder


def test_all_that_is_needed_is_there(chapters):
    assert builder.problems(ROOT, chapters) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        (
            "03.md",
            "### how many rows",
            "### how few rows",
            "no word on the question 'how many rows",
        ),
        (
            "03.md",
            "### how many rows",
            "### how few rows",
            "the chapter does not ask 'how few rows",
        ),
        ("08.md", "## Say first", "## Say later", "`## Say first` is missing"),
        ("01.json", '"1.2"', '"1.9"', "--messages 01"),
        ("plans.toml", "limit = 90", "limit = 89", "90 minutes takes 90 minutes, not 89"),
    ],
)
def test_what_is_missing_is_named(root, chapters, name, old, new, complaint):
    edit(root / builder.SOURCES / name, old, new)
    assert any(complaint in line for line in builder.missing(root, chapters))


def test_a_guide_of_yesterday_is_stale(root, chapters):
    (root / builder.GUIDE).write_text(GUIDE.replace("Break", "Rest", 1), encoding="utf-8")
    assert builder.problems(root, chapters) == ["INSTRUCTORS.md is stale: run `make notebooks`"]


def test_messages_are_those_of_the_checks_with_the_answer_as_it_was_written(home):
    """All chapters: test_checks.py."""
    stored = json.loads((ROOT / builder.SOURCES / "00.json").read_text(encoding="utf-8"))
    assert builder.messages(0) == stored
    assert stored["0.1"][0]["answer"] == "`'430'`"
    assert any("lambda" in row["answer"] for row in stored["0.2"])


def test_a_message_is_one_line_in_which_only_code_is_markup():
    assert builder.in_line("a\n`c<d` <e> *f* x_y [1]") == r"a `c<d` \<e> \*f\* x\_y \[1\]"
    long = builder.in_line("`code` says `" + "many words " * 40)
    assert long.endswith(" …`") and len(long) <= builder.LONGEST_SAID + 1
