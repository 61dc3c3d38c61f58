"""Files in data/ are those of their tables, and the scripts that make them say what is not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from committed import altered, described, package, put, sha256, write_table

from workshop.paths import DATA, ROOT

TABLES = {  # a table in data/ to the pattern of files that must be in it
    "audio/sounds.csv": "*.opus",
    "dna/dna.json": "*",
    "images/photos.csv": "*.webp",
    "lm/lm.json": "*",
    "models/models.json": "*.onnx",
    "molecules/molecules.json": "*",
    "text_search/text_search.json": "*",
    "vectors/docstrings.json": "*",
    "video/video.json": "*",
}
SCRIPTS = ["audio", "data", "dna", "lm_reference", "molecules", "text_search", "vectors", "video"]


@pytest.mark.parametrize("table", TABLES)
def test_the_committed_files_are_those_of_their_table(table):
    assert altered(DATA / table, TABLES[table]) == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_compares_with_the_table_and_writes_nothing(script):
    path = ROOT / "tools" / f"build_{script}.py"
    done = subprocess.run([sys.executable, path, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "every file agrees with" in done.stdout


def test_what_is_missing_altered_or_unknown_is_named(tmp_path):
    (tmp_path / "same").write_bytes(b"1")
    files = {name: described(b"1", licence="MIT") for name in ("altered", "missing", "same")}
    write_table(tmp_path / "table.json", {"files": files})
    for name in ("altered", "mine"):
        (tmp_path / name).write_bytes(b"2")
    wrong = [
        "altered: differs from the table's sha256",
        "mine: not in the table",
        "missing: missing",
    ]
    assert altered(tmp_path / "table.json") == wrong
    assert altered(tmp_path / "table.json", "*.opus") == [wrong[0], wrong[2]]


def test_a_file_is_put_beside_its_table_and_the_others_stay(tmp_path):
    table = tmp_path / "models.json"
    for name, content in (("two", b"2"), ("one", b"0"), ("one", b"1")):
        put(table, name, content, licence="MIT")
    files = {"one": described(b"1", licence="MIT"), "two": described(b"2", licence="MIT")}
    assert json.loads(table.read_text())["files"] == files and altered(table) == []


def test_a_package_is_fetched_once_and_only_the_one_that_is_meant_is_taken(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.write_bytes(b"package")
    fetch = f"cp {source} {folder}/package.whl"
    path = package(folder, "package.whl", fetch, sha256(source))
    assert path.read_bytes() == b"package"
    assert package(folder, "package.whl", "false", sha256(source)) == path
    with pytest.raises(SystemExit, match="is not the file that the course was made of"):
        package(folder, "package.whl", "false", sha256(Path(__file__)))
