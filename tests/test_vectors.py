"""The docstrings' vectors: their files, what they mean, and what happens when one is damaged."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version

import numpy as np
import pytest

from workshop import TextEncoder, WorkshopError, datasets, introspection
from workshop.datasets import VECTORS, docstrings
from workshop.paths import DATA, ROOT

TABLE = json.loads((VECTORS / "docstrings.json").read_text(encoding="utf-8"))


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The vectors in a folder that a test may damage."""
    folder = tmp_path / "vectors"
    shutil.copytree(VECTORS, folder)
    monkeypatch.setattr(datasets, "VECTORS", folder)
    return folder


def described(name):
    """The object that a name of the list stands for."""
    parts = name.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        try:
            item = import_module(".".join(parts[:depth]))
        except ImportError:
            continue
        for part in parts[depth:]:
            item = getattr(item, part)
        return item
    raise LookupError(name)


def test_there_are_more_than_ten_thousand_names_sorted_and_each_once():
    names, _ = docstrings()
    assert len(names) == TABLE["rows"] > 10_000
    assert names == sorted(set(names))


def test_vectors_are_float32_rows_of_length_one_in_the_order_of_the_names():
    names, vectors = docstrings()
    assert vectors.shape == (len(names), TABLE["dim"]) == (len(names), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_two_rows_are_the_same():
    _, vectors = docstrings()
    assert len(np.unique(vectors, axis=0)) == len(vectors)


def test_a_row_is_what_the_encoder_makes_of_the_description():
    """On the versions that made it; another version may describe the same function otherwise."""
    if any(version(p) != made["version"] for p, made in TABLE["packages"].items()):
        pytest.skip("the packages installed here are not those that data/vectors was made from")
    names, vectors = docstrings()
    rows = range(0, len(names), len(names) // 40)
    texts = [f"{names[row]}: {introspection.description(described(names[row]))}" for row in rows]
    again = TextEncoder().encode(texts, progress=False)
    cosine = (again * vectors[list(rows)]).sum(axis=1)
    assert cosine.min() > 0.98


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("read a table that somebody copied from a web page", "read_html"),
        ("how many clusters do these points form", "cluster"),
        ("join two tables on a common column", "merge|join"),
    ],
)
def test_a_question_finds_a_function_for_it_among_the_first_ten(question, wanted):
    names, vectors = docstrings()
    best = np.argsort(-(vectors @ TextEncoder().encode([question])[0]))[:10]
    assert any(re.search(wanted, names[row]) for row in best), [names[row] for row in best]


def test_table_and_readme_name_sources_versions_licences_and_checksums():
    for made in TABLE["packages"].values():
        assert made["version"] and made["licence"]
    for name, expected in TABLE["files"].items():
        assert hashlib.sha256((VECTORS / name).read_bytes()).hexdigest() == expected
    assert {p.name for p in VECTORS.iterdir()} == {*TABLE["files"], "docstrings.json"}
    text = (DATA / "README.md").read_text(encoding="utf-8")
    assert f"{TABLE['rows']:,}" in text
    for package, made in TABLE["packages"].items():
        assert f"{package} {made['version']}" in text


@pytest.mark.parametrize("name", ["docstrings.txt", "docstrings.npy"])
def test_an_altered_file_is_named_with_what_to_do(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1] + b"?")
    with pytest.raises(WorkshopError, match=rf"{name} is altered.*git checkout"):
        docstrings()


@pytest.mark.parametrize("name", ["docstrings.txt", "docstrings.npy", "docstrings.json"])
def test_a_missing_file_is_an_error_that_says_what_to_do(copy, name):
    (copy / name).unlink()
    with pytest.raises(WorkshopError, match=r"git checkout -- data/vectors"):
        docstrings()


def test_a_table_of_another_kind_is_an_error_that_says_what_to_do(copy):
    (copy / "docstrings.json").write_text("[]")
    with pytest.raises(WorkshopError, match=r"git checkout -- data/vectors"):
        docstrings()


def test_the_script_agrees_that_the_committed_files_are_right():
    script = ROOT / "tools" / "build_vectors.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ------------------------------------------------------------------------------ the texts behind them


def test_texts_are_read_from_the_packages_once_and_kept(home):
    texts = datasets.docstring_texts()
    names, _ = docstrings()
    assert list(texts) == [name for name in names if name in texts]
    assert all(20 <= len(text) <= 600 and "\n" not in text for text in texts.values())
    assert texts["numpy.median"].startswith("Compute the median")
    (kept,) = home.glob("docstrings-*.json")
    content = kept.read_bytes()
    kept.write_bytes(content.replace(b"Compute the median", b"Compute the Median"))
    assert datasets.docstring_texts()["numpy.median"].startswith("Compute the Median")
    kept.write_bytes(content[:-1])  # as a process that was stopped might leave it
    assert datasets.docstring_texts() == texts
    assert [path.name for path in home.iterdir()] == [kept.name]


def test_names_that_the_packages_do_not_have_are_left_out_and_counted(copy):
    names = (copy / "docstrings.txt").read_bytes() + b"zebra.stripes\n"
    (copy / "docstrings.txt").write_bytes(names)
    table = {**TABLE, "files": {**TABLE["files"]}}
    table["files"]["docstrings.txt"] = hashlib.sha256(names).hexdigest()
    (copy / "docstrings.json").write_text(json.dumps(table))
    with pytest.warns(UserWarning, match=r"^[\d,]+ of 11,920 docstrings are not in the packages"):
        texts = datasets.docstring_texts()
    assert "zebra.stripes" not in texts and len(texts) > 10_000


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(introspection.PACKAGES, "zebra", "zebra-stripes")
    with pytest.raises(WorkshopError, match=r"zebra-stripes is not installed.*make setup"):
        datasets.docstring_texts()
