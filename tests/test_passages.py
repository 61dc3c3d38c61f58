"""The course cut into passages: nothing but its own words, each at its place, boilerplate left out."""

import json
import random

import pytest

from workshop import WorkshopError, passages
from workshop.passages import Document, plain, sentences
from workshop.paths import ROOT

COURSE = {document.name: document for document in passages.course()}
ALL = passages.of_course()

CHAPTER = """# 42 · Ducks

*Part I · Vectors*

**You will be able to** tell ducks from drakes.

## What a duck is · 4 min

A [*duck*](glossary.ipynb#duck) is a bird. It **swims** in `water [*]`.

**Predict before you run:** can it fly?

- It can.
- It can dive, too!

| bird | sound |
| --- | --- |
| duck | quack |

## Pause

Have a break.

### ✍️ Your turn 42.1 · 5 min: a pond

Write `pond(n)`.

<details><summary>Hint 1</summary>

Use water.

</details>

## What we saw · 2 min

Ducks swim.

**Recall:**

1. Do they?

**Next:** [43](43.ipynb)
"""


def cut(text, name="42_ducks"):
    return list(passages.passages(Document(name, text)))


def test_every_passage_and_every_sentence_is_the_text_at_its_place():
    assert len(ALL) > 300
    for passage in ALL:
        text = COURSE[passage.document].text
        assert text[passage.start : passage.end] == passage.source
        for sentence in sentences(passage):
            assert passage.start <= sentence.start < sentence.end <= passage.end
            assert plain(text[sentence.start : sentence.end]) == sentence.text


def test_sentences_are_all_of_a_passage_in_its_order():
    for passage in ALL:
        assert "".join(s.text for s in sentences(passage)).replace(" ", "") == (
            passage.text.replace(" ", "")
        )


def test_passages_of_a_document_do_not_overlap_and_are_in_its_order():
    for document in COURSE.values():
        ends = 0
        own = list(passages.passages(document))
        if document.name.endswith(".py"):
            own.sort(key=lambda passage: passage.start)
        for passage in own:
            assert passage.start >= ends
            ends = passage.end


def test_the_course_is_the_readme_the_chapters_and_the_docstrings_of_workshop():
    assert {"README", "00_start_here", "09_launch", "workshop/milvus.py"} <= set(COURSE)
    assert "glossary" not in COURSE
    assert {p.heading for p in ALL} >= {"Three commands", "workshop.milvus.connect"}


def test_a_chapter_can_be_left_out():
    names = {document.name for document in passages.course(but=("04_indexes",))}
    assert names == set(COURSE) - {"04_indexes"}


def test_headings_come_without_number_and_minutes():
    assert [p.heading for p in cut(CHAPTER)] == [
        "What a duck is",
        "What a duck is",
        "What a duck is",
        "a pond",
        "What we saw",
    ]
    assert cut(CHAPTER)[0].in_context.startswith("Ducks, What a duck is: A duck is a bird.")


def test_boilerplate_pauses_and_what_is_folded_away_are_left_out():
    said = " ".join(p.text for p in cut(CHAPTER))
    for unsaid in ("able to", "Part I", "Predict", "break", "water.", "Do they", "Next", "43"):
        assert unsaid not in said


def test_a_row_of_a_table_is_a_passage_and_its_first_row_is_none():
    assert [p.text for p in cut(CHAPTER) if "quack" in p.text] == ["duck quack"]
    assert not [p for p in cut(CHAPTER) if "sound" in p.text]


def test_plain_text_has_no_marks_but_keeps_code():
    assert plain("A [*duck*](g.ipynb#duck) **swims** in `water [*]`, 2 * 3.") == (
        "A duck swims in water [*], 2 * 3."
    )
    assert plain("```\nmake lab | tee\n```\n") == "make lab | tee"
    assert plain("- one\n- two <b>bold</b>") == "one two bold"


def test_sentences_end_where_a_sentence_ends():
    [first] = cut("Is it 3.5? Yes. `uvicorn.run` fails.\n\n- a list\n- of two", name="notes")
    assert [s.text for s in sentences(first)] == [
        "Is it 3.5?",
        "Yes.",
        "uvicorn.run fails.",
        "a list",
        "of two",
    ]


def test_no_sentence_ends_inside_code():
    [first] = cut("Write `a.b! C` here. Then stop.", name="notes")
    assert [s.text for s in sentences(first)] == ["Write a.b! C here.", "Then stop."]


def test_long_sections_become_several_passages_and_one_paragraph_stays_whole():
    paragraph = "word " * 70
    assert len(cut("\n\n".join([paragraph] * 3))) == 3
    assert len(cut("word " * 300)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_no_text_breaks_the_cutting_and_places_stay_exact(seed):
    rng = random.Random(seed)
    signs = [
        "\n",
        "\n\n",
        "# ",
        "| a | b |\n",
        "```",
        "`",
        "*",
        "[x](y)",
        "<b>",
        "Why? ",
        "Ab. ",
        "é",
    ]
    text = "".join(rng.choice(signs) for _ in range(200))
    for passage in cut(text):
        assert text[passage.start : passage.end] == passage.source
        for sentence in sentences(passage):
            assert plain(text[sentence.start : sentence.end]) == sentence.text


def test_a_damaged_notebook_is_named_with_its_remedy(tmp_path):
    for name in ("README.md", "notebooks/01_x.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"cells": [{}]}', encoding="utf-8")
    with pytest.raises(WorkshopError, match=r"git checkout -- notebooks/01_x\.ipynb"):
        passages.course(tmp_path)


def test_the_text_of_a_notebook_is_its_text_cells():
    path = ROOT / "notebooks" / "04_indexes.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        source = "".join(cell["source"])
        assert (source in COURSE["04_indexes"].text) == (cell["cell_type"] == "markdown")
