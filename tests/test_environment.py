"""pyproject.toml is the one source of dependencies; everything else agrees with it."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import course
from workshop.paths import ROOT

FIXED = [
    "jupyterlab",
    "pymilvus",
    "fastapi",
    "uvicorn",
    "nest-asyncio",
    "towhee",
    "nbval",
    "pytest",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COURSE = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
TEST = [Requirement(line) for line in PROJECT["dependency-groups"]["test"]]
PYTHONS = ("3.11", "3.12", "3.13")


def pins(lock: str) -> dict[str, list[tuple[Requirement, int]]]:
    """Name to its pins (some have one for each Python), each with its number of hashes."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    text = re.sub(r"^ *#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    for entry in text.replace("\\\n", " ").splitlines():
        line, *hashes = entry.split("--hash=sha256:")
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, len(hashes)))
    return found


def applies(requirement: Requirement, python: str) -> bool:
    here = {"python_version": python, "python_full_version": f"{python}.9"}
    return requirement.marker is None or requirement.marker.evaluate(here)


@pytest.mark.parametrize(
    ("lock", "wanted"), [("requirements.txt", COURSE), ("requirements-test.txt", COURSE + TEST)]
)
def test_every_dependency_is_pinned_within_its_range_for_every_python(lock, wanted):
    pinned = pins(lock)
    for requirement in wanted:
        for python in PYTHONS:
            if not applies(requirement, python):
                continue
            mine = [p for p, _ in pinned[canonicalize_name(requirement.name)] if applies(p, python)]
            assert len(mine) == 1, f"{requirement.name} on Python {python}: run `make lock`"
            (specifier,) = mine[0].specifier
            assert specifier.operator == "=="
            assert requirement.specifier.contains(Version(specifier.version), prereleases=True), (
                f"{lock} has {mine[0]}, pyproject.toml asks for {requirement}: run `make lock`"
            )


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-test.txt"])
def test_lock_files_name_who_asks_for_what_and_only_pyproject_asks_directly(lock):
    """uv notes `# via from-vectors-to-services (pyproject.toml)` at what pyproject.toml names."""
    entries = re.split(r"^(?=[\w.-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)
    direct = {
        canonicalize_name(entry.partition("==")[0])
        for entry in entries
        if "from-vectors-to-services (pyproject.toml" in entry
    }
    wanted = COURSE + (TEST if "test" in lock else [])
    assert direct == {canonicalize_name(r.name) for r in wanted}, "run `make lock`"


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-test.txt"])
def test_every_pin_has_hashes_and_no_registry_address(lock):
    assert all(hashes for entries in pins(lock).values() for _, hashes in entries)
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("python", PYTHONS)
def test_the_test_packages_hold_the_course_packages(python):
    """So that a learner who ran the tests needs no second install."""

    def installed(lock: str) -> set[tuple[str, str, int]]:
        return {
            (name, str(pin.specifier), hashes)
            for name, entries in pins(lock).items()
            for pin, hashes in entries
            if applies(pin, python)
        }

    assert installed("requirements.txt") - installed("requirements-test.txt") == set()


def test_every_dependency_says_why_it_is_there():
    table = re.compile(r'^    "([\w.-]+)[^"]*",(.*)$', re.MULTILINE)
    lines = table.findall((ROOT / "pyproject.toml").read_text())
    groups = PROJECT["dependency-groups"].values()
    assert len(lines) >= len(COURSE) + sum(map(len, groups))
    assert [name for name, rest in lines if not re.match(r" +# \S.{5,}", rest)] == []


def test_the_fixed_packages_are_dependencies_of_the_course():
    assert set(FIXED) <= {requirement.name for requirement in COURSE}
    assert not any(
        Version("81") in requirement.specifier
        for requirement in COURSE
        if requirement.name == "setuptools"
    ), "towhee imports pkg_resources"


def test_conda_gets_the_pinned_python_and_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["project"]["name"]
    python, pip, from_pip = environment["dependencies"]
    name, _, version = python.partition("=")
    assert (name, pip) == ("python", "pip")
    assert version in PYTHONS
    first, *named = from_pip["pip"]
    # first, because the hashes of the names after it are found there
    assert first == "-r requirements.txt"
    assert named == FIXED


def test_binder_installs_the_package_and_runs_nothing_else_from_the_network():
    script = ROOT / "postBuild"
    assert os.access(script, os.X_OK)
    installs = [line for line in script.read_text().splitlines() if "pip install" in line]
    assert installs == ["python -m pip install --no-deps --no-build-isolation -e ."]
    assert not (ROOT / "binder").exists(), "it would hide environment.yml"
    assert not (ROOT / ".binder").exists()


def test_repo2docker_accepts_the_repository():
    done = subprocess.run(
        [Path(sys.executable).parent / "repo2docker", "--no-build", "--debug", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    plan = done.stdout + done.stderr
    version = next(
        line.partition("=")[2]
        for line in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
        if line.startswith("python=")
    )
    assert f"Building conda environment for python={version}" in plan
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"' in plan
    assert "RUN ./postBuild" in plan


def test_the_dev_container_installs_when_it_is_built_and_opens_the_first_chapter():
    about = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    version = re.fullmatch(
        r"mcr\.microsoft\.com/devcontainers/python:([\d.]+)-\w+", about["image"]
    )[1]
    assert version in PYTHONS
    # both are run for a prebuild: once for the container, and again for new content
    assert about["onCreateCommand"] == about["updateContentCommand"]
    assert about["onCreateCommand"] == "python3 tools/course.py setup"
    assert about["customizations"]["codespaces"]["openFiles"] == [course.START]
    assert (ROOT / course.START).exists()
    venv = course.VENV.relative_to(ROOT).as_posix()
    settings = about["customizations"]["vscode"]["settings"]
    python = settings["python.defaultInterpreterPath"]
    assert python == f"${{containerWorkspaceFolder}}/{venv}/bin/python"


def test_the_hosted_workflow_covers_every_python_and_other_systems_every_week():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    assert workflow[True]["schedule"], "`on:` is true to YAML"
    jobs = workflow["jobs"]
    assert tuple(jobs["test"]["strategy"]["matrix"]["python"]) == PYTHONS
    elsewhere = jobs["elsewhere"]
    assert elsewhere["strategy"]["matrix"]["os"] == ["windows-latest", "macos-latest"]
    for step in elsewhere["steps"]:
        named = re.findall(r"(?:tests|solutions|notebooks|tools)/[\w/.]+", step.get("run", ""))
        assert [name for name in named if not (ROOT / name).exists()] == []
    chapters = elsewhere["steps"][-1]["run"]
    assert re.findall(r"solutions/(\d\d)", chapters) == ["00", "03", "09"]
    assert re.findall(r"notebooks/(\d\d)", chapters) == ["00", "03", "09"]


def test_uv_is_named_with_commands_that_ask_for_our_hashes():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "`uv pip install --require-hashes -r requirements.txt`" in readme


def test_readme_maps_exactly_the_chapters_that_exist():
    readme = (ROOT / "README.md").read_text()
    mapped = re.findall(r"^\| \[.*?\]\(notebooks/([\w.]+)\)", readme, re.MULTILINE)
    chapters = sorted(path.stem for path in (ROOT / "solutions" / "src").glob("[0-9]*.py"))
    assert [name.removesuffix(".ipynb") for name in mapped] == chapters


def test_readme_names_commands_and_files_that_exist():
    readme = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z-]+)", readme)) <= set(targets)
    links = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link]
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        path = ROOT / (name or "README.md")
        assert path.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]


def tracked_texts() -> list[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    if not listed:
        pytest.skip("not a git clone")
    texts = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            texts.append((name, content.decode("utf-8")))
    return texts


def test_no_file_names_a_package_registry_or_a_place_on_someones_machine():
    registry = re.compile(r"https?://(?:\w+\.)*(?:pypi|pythonhosted|npmjs|anaconda)\.(?:org|com)\b")
    place = re.compile(r"(?<![\w.])/(?:home|Users|root|work|opt)/\w+|[A-Z]:\\Users\\")
    own_words = "tests/test_environment.py"
    found = [
        f"{name}: {match[0]}"
        for name, text in tracked_texts()
        if name != own_words
        for match in [*registry.finditer(text), *place.finditer(text)]
    ]
    assert found == []
