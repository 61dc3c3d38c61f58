"""The judged set of the text search: whole, fair in its halves, and about docstrings that are there."""

import json
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from workshop import WorkshopError, datasets
from workshop.datasets import TEXT_SEARCH, judged_queries
from workshop.paths import DATA, ROOT

SLICES = ("identifier", "paraphrase", "typo", "negation", "long", "chinese")
TABLE = json.loads((TEXT_SEARCH / "text_search.json").read_text(encoding="utf-8"))


def test_there_are_twenty_different_queries_in_each_slice_half_of_them_for_tuning():
    queries = judged_queries()
    assert len({query.text for query in queries}) == len({query.id for query in queries}) == 120
    of_half = Counter((query.slice, query.half) for query in queries)
    assert of_half == {(part, half): 10 for part in SLICES for half in ("tuning", "report")}
    assert len(judged_queries("report")) == 60
    with pytest.raises(WorkshopError, match="Halves: tuning, report"):
        judged_queries("best")


def test_every_query_has_an_answer_and_every_judgement_is_about_a_docstring_that_is_there():
    names = set(datasets.docstrings()[0])
    for query in judged_queries():
        assert max(query.grades.values()) > 0, query
        assert set(query.grades.values()) <= {0, 1, 2}
        assert not set(query.grades) - names


def test_only_chinese_queries_have_a_translation():
    for query in judged_queries():
        assert bool(query.english) == (query.slice == "chinese") == (not query.text.isascii())


def test_table_and_readme_tell_sizes_licence_and_rule():
    text = (DATA / "README.md").read_text(encoding="utf-8")
    assert TABLE["licence"] == "CC-BY-4.0"
    assert f"{sum(TABLE['judgements'].values()):,} judgements" in text
    assert {path.name for path in TEXT_SEARCH.iterdir()} == {*TABLE["files"], "text_search.json"}


@pytest.fixture
def copy(tmp_path, monkeypatch):
    folder = tmp_path / "text_search"
    shutil.copytree(TEXT_SEARCH, folder)
    monkeypatch.setattr(datasets, "TEXT_SEARCH", folder)
    return folder


@pytest.mark.parametrize("name", ["queries.csv", "judgements.csv", "text_search.json"])
def test_a_missing_or_altered_file_says_what_to_do(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-5])
    with pytest.raises(WorkshopError, match="git checkout -- data/text_search"):
        judged_queries()
    (copy / name).unlink()
    with pytest.raises(WorkshopError, match="git checkout -- data/text_search"):
        judged_queries()


def test_the_script_agrees_that_the_committed_files_are_right():
    script = ROOT / "tools" / "build_text_search.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
