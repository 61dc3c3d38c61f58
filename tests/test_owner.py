"""The owner of the course on GitHub has one place, and without one nothing links to nowhere."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workshop.paths import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import owner

README = f"# The course\n\n{owner.NOBODY}\n\nA workshop.\n"


@pytest.fixture
def course(tmp_path):
    """A clone without a remote, whose README names nobody."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    return tmp_path


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, check=True)


def readme(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_the_readme_of_the_course_has_one_place_for_the_owner():
    line, _ = owner.the_line(ROOT)
    assert line == owner.line_for(owner.written(ROOT))


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/ada/my-course.git",
        "https://github.com/ada/my-course",
        "https://github.com/ada/my-course/",
        "https://ada:s3same@github.com/ada/my-course.git",
        "git@github.com:ada/my-course.git",
        "github.com:ada/my-course",
        "ssh://git@github.com/ada/my-course.git",
        "ssh://git@ssh.github.com:443/ada/my-course.git",
    ],
)
def test_the_remote_names_the_owner_and_no_password(course, address):
    git(course, "remote", "add", "origin", address)
    assert owner.repository(course) == "ada/my-course"
    assert "ada/my-course now" in owner.name_owner("", course)
    assert "mybinder.org/v2/gh/ada/my-course/HEAD" in readme(course)
    assert "s3same" not in readme(course)


@pytest.mark.parametrize(
    "address",
    [
        "https://gitlab.com/ada/my-course.git",
        "https://github.com.example.org/ada/course",
        "https://notgithub.com/ada/course",
        "/srv/git/course.git",
        "https://github.com/ada",
    ],
)
def test_a_remote_elsewhere_names_nobody_and_the_readme_stays(course, address):
    git(course, "remote", "add", "origin", address)
    assert owner.repository(course) is None
    with pytest.raises(owner.Stop, match="make owner NAME=ada"):
        owner.name_owner("", course)
    assert readme(course) == README


def test_without_git_and_without_a_remote_there_is_nobody(course):
    assert owner.repository(course) is None
    shutil.rmtree(course / ".git")
    assert owner.of_remote(course) is None


def test_origin_comes_first_and_any_other_remote_will_do(course):
    git(course, "remote", "add", "fork", "https://github.com/bea/fork")
    assert owner.repository(course) == "bea/fork"
    git(course, "remote", "add", "origin", "https://github.com/ada/course")
    assert owner.repository(course) == "ada/course"


def test_an_owner_by_name_is_written_once_and_can_be_taken_back(course):
    owner.name_owner("ada", course)
    once = readme(course)
    assert once.count("ada/from-vectors-to-services") == 3
    assert "Do you host" not in once
    assert owner.name_owner("ada", course) == (
        "README.md names ada/from-vectors-to-services already."
    )
    assert readme(course) == once
    owner.name_owner("bea/fork", course)
    assert "ada" not in readme(course)
    owner.name_owner("--nobody", course)
    assert readme(course) == README


def test_what_the_readme_names_counts_before_the_remote(course):
    git(course, "remote", "add", "origin", "https://github.com/ada/my-course")
    owner.name_owner("bea", course)
    assert owner.repository(course) == "bea/my-course"


@pytest.mark.parametrize(
    "name", ["a b", "-ada", "ada--b", "ada/", "a/b/c", "<b>", "ada)", "x" * 40]
)
def test_a_name_that_github_cannot_have_is_refused_in_a_sentence(course, name):
    with pytest.raises(owner.Stop, match="is no repository on GitHub"):
        owner.name_owner(name, course)
    assert readme(course) == README


def test_a_readme_without_a_place_is_told_what_one_looks_like(course):
    (course / "README.md").write_text("# The course\n", encoding="utf-8")
    with pytest.raises(owner.Stop, match="has 0 lines for the owner"):
        owner.name_owner("ada", course)


def test_make_owner_says_what_it_did(course):
    shutil.copytree(ROOT / "tools", course / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", course)
    make = ["make", "--no-print-directory", "owner", f"PYTHON={sys.executable}"]
    done = subprocess.run([*make, "NAME=ada"], cwd=course, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].startswith(
        "README.md names ada/from-vectors-to-services now"
    )
    assert subprocess.run([*make, "NAME=a/b/c"], cwd=course).returncode


def test_binder_opens_the_first_chapter_or_any_other():
    assert owner.binder("ada/c") == (
        "https://mybinder.org/v2/gh/ada/c/HEAD?urlpath=lab/tree/notebooks/00_start_here.ipynb"
    )
    assert owner.binder("ada/c", "notebooks/03_milvus.ipynb").endswith(
        "lab/tree/notebooks/03_milvus.ipynb"
    )
    assert (ROOT / owner.FIRST).exists()
