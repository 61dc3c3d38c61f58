"""`make bundle` on a course of few tiny packages, and the set-up from it where no network is."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_course import ROOT, Tiny, git, make_wheel

from tools import course


class Maker(Tiny):
    """A clone of a tiny course, with what bundles are made by."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.bundle = folder / "stick" / "the course"
        shutil.copy(ROOT / "tools" / "bundle.py", self.root / "tools")
        shutil.copy(ROOT / ".gitignore", self.root)
        (self.root / ".venv").mkdir()  # where pip's log goes
        git(self.root, "init", "--quiet", "--initial-branch=main")
        self.commit()

    def commit(self) -> None:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message=a version")

    def write(self, *options: str, **how: object) -> str:
        """Make the bundle; what was said."""
        done = self.try_to_write(*options, **how)
        assert done.code == 0, done.said
        return done.said

    def try_to_write(self, *options: str, **how: object) -> SimpleNamespace:
        command = f"--to={self.bundle}", *options
        return self.run(*command, script="tools/bundle.py", GIT_CONFIG_GLOBAL=os.devnull, **how)

    def index(self) -> dict[str, str]:
        """What lets pip find the wheels in an index, which tells their hashes as a folder does not."""
        for wheel in self.wheels.glob("*.whl"):
            page = self.wheels / "simple" / wheel.name.split("-")[0] / "index.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
            link = f'<a href="{wheel.as_uri()}#sha256={sha256}">{wheel.name}</a>'
            page.write_text((page.read_text() if page.exists() else "") + link)
        index = (self.wheels / "simple").as_uri()
        return {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": index, "PIP_FIND_LINKS": ""}

    def held(self) -> list[str]:
        return sorted(file.name for file in (self.bundle / "wheels").glob("*.whl"))


@pytest.fixture
def maker(tmp_path) -> Maker:
    return Maker(tmp_path)


def set_up(folder: Path) -> SimpleNamespace:
    """The set-up in a bundle, on a machine of nobody's, where only loopback is."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "WORKSHOP_HOME": str(folder / ".w")}
    offline = [sys.executable, "tools/offline.py", "--", sys.executable]
    done = subprocess.run(
        [*offline, "tools/course.py", "setup"],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if "cannot leave the network here" in done.stdout and os.environ.get("CI") != "true":
        pytest.skip(done.stdout.splitlines()[0])
    return SimpleNamespace(code=done.returncode, said=done.stdout)


def untrue(folder: Path) -> list[str]:
    """The files whose checksum is not the one in SHA256SUMS."""
    sums = [line.split("  ", 1) for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert len(sums) > 5
    return [f for sha, f in sums if hashlib.sha256((folder / f).read_bytes()).hexdigest() != sha]


# ------------------------------------------------------------------------------------ set up from


def test_a_copy_sets_up_without_a_network_and_says_what_it_lacks(maker, tmp_path):
    said = maker.write()
    assert " and 1 wheel (0 MB), for " in said
    assert said.index("The bundle will hold") < said.index("The bundle is in")
    assert maker.held() == ["learned-1.0-py3-none-any.whl"]
    assert untrue(maker.bundle) == []
    assert git(maker.bundle, "status", "--porcelain") == ""
    assert git(maker.bundle, "rev-parse", "main") == git(maker.root, "rev-parse", "HEAD")

    copied = tmp_path / "learner" / "a copy"
    shutil.copytree(maker.bundle, copied)
    for out_of_reach in (maker.wheels, maker.bundle):
        shutil.rmtree(out_of_reach)
    wheel = copied / "wheels" / "learned-1.0-py3-none-any.whl"
    whole = wheel.read_bytes()
    wheel.unlink()
    (copied / "wheels" / "FOR.txt").write_text("Windows on x86-64 (Python 3.11)\n")
    lacking = set_up(copied)
    assert lacking.code == 1
    assert "The folder wheels has no learned==1.0 for Python 3." in lacking.said
    assert "It was made for Windows on x86-64 (Python 3.11). Asking the network" in lacking.said
    assert "could not be fetched: that needs a network" in lacking.said

    make_wheel(wheel.parent, "learned", "1.0")  # not the one that was tested
    broken = set_up(copied)
    assert broken.code == 1
    assert untrue(copied)[0].startswith("wheels/")
    assert "copy the bundle again" in broken.said and "Traceback" not in broken.said

    wheel.write_bytes(whole)
    done = set_up(copied)
    assert done.code == 0, done.said
    assert "from the folder wheels" in done.said
    assert Tiny.version(SimpleNamespace(root=copied)) == "1.0"
    assert git(copied, "status", "--porcelain") == ""


@pytest.mark.skipif(os.name == "nt", reason="a .venv has no links there")
def test_a_memory_stick_that_holds_no_links_is_told(monkeypatch, tmp_path):
    def as_fat_answers(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    course.check_links(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Path, "symlink_to", as_fat_answers)
    with pytest.raises(course.Stop, match=r"cannot hold links.*copy the folder to the computer's"):
        course.check_links(tmp_path)


# ------------------------------------------------------------------------------------- write again


def test_an_interrupted_bundle_goes_on_and_an_old_one_is_brought_up_to_date(maker):
    lock = maker.root / "requirements.txt"
    for name in ("whole", "broken", "gone"):
        lock.write_text(lock.read_text() + make_wheel(maker.wheels, name, "1.0"))
    maker.commit()
    maker.write()
    (maker.bundle / "wheels" / "broken-1.0-py3-none-any.whl").write_bytes(b"half")
    (maker.bundle / "wheels" / "gone-1.0-py3-none-any.whl").unlink()
    (maker.bundle / ".git" / "bundled").unlink()  # killed while git wrote
    (maker.bundle / ".git" / "index.lock").touch()
    assert "the course: 2 wheels (0 MB)" in maker.write()
    assert untrue(maker.bundle) == []

    maker.lock("requirements.txt", "2.0")
    (maker.root / "new.txt").write_text("new")
    maker.commit()
    (maker.root / "new.txt").write_text("not committed")
    assert "did not commit is not in the bundle" in maker.write()
    assert maker.held() == ["learned-2.0-py3-none-any.whl"]
    assert (maker.bundle / "new.txt").read_text() == "new"
    assert untrue(maker.bundle) == []
    for wheel in maker.wheels.iterdir():
        wheel.unlink()
    assert "Looking for" not in maker.write(), "all is here: nobody is asked"


def test_without_a_network_it_is_one_line(maker):
    lock = maker.root / "requirements.txt"
    lock.write_text(lock.read_text() + make_wheel(maker.wheels, "other", "1.0"))
    shutil.rmtree(maker.wheels)
    prefix = ("tools/offline.py", "--", sys.executable)
    done = maker.try_to_write(prefix=prefix, PIP_NO_INDEX="0", PIP_RETRIES="1", CI="true")
    if "cannot leave the network here" in done.said:
        pytest.skip(done.said.splitlines()[0])
    assert done.code == 1
    assert "could not be fetched: that needs a network, once" in done.said
    assert done.said.count("Looking for") == 1 and "Traceback" not in done.said


def test_nothing_that_is_not_the_bundles_is_overwritten(maker):
    maker.bundle.mkdir(parents=True)
    (maker.bundle / "mine.txt").write_text("mine")
    assert "holds something else" in maker.try_to_write().said
    shutil.rmtree(maker.bundle)
    maker.write()
    (maker.bundle / "backend.py").write_text("mine")
    (maker.root / "new.txt").touch()
    maker.commit()
    done = maker.try_to_write()
    assert done.code == 1
    assert "Files of the course were changed" in done.said and "Traceback" not in done.said
    assert (maker.bundle / "backend.py").read_text() == "mine"


# -------------------------------------------------------------------------------- other platforms


def test_each_platform_and_python_gets_its_wheels_and_what_has_none_is_named(maker):
    def wheel(name: str, version: str = "1.0", tag: str = "py3-none-any") -> str:
        return make_wheel(maker.wheels, name, version, tag)

    lines = [
        wheel("anywhere"),
        wheel("windows").replace(" --hash", " ; sys_platform == 'win32' --hash"),
        wheel("patch").replace(" --hash", " ; python_full_version < '3.11.5' --hash"),
        wheel("patch", "2.0").replace(" --hash", " ; python_full_version >= '3.11.5' --hash"),
    ]
    tags = ("cp311-abi3-manylinux_2_17_x86_64", "cp312-cp312-win_amd64", "py3-none-any")
    hashes = [wheel("native", tag=tag).split(" ")[1] for tag in tags[:2]]
    wheel("native", tag="cp311-cp311-manylinux_2_17_x86_64")  # after the lock
    wheel("native", "0.9", tags[2])
    lines.append(f"native==1.0 {' '.join(map(str.strip, hashes))}\n")
    (maker.root / "requirements.txt").write_text("".join(lines))
    maker.commit()
    platforms, pythons = ("linux-x86_64", "windows-amd64"), ("3.12", "3.11")
    said = maker.write("--for", *platforms, "--python", *pythons, **maker.index())
    assert "No wheel for Windows on x86-64 with Python 3.11: native." in said
    assert said.count("No wheel for") == 1
    assert maker.held() == [
        "anywhere-1.0-py3-none-any.whl",
        "native-1.0-cp311-abi3-manylinux_2_17_x86_64.whl",
        "native-1.0-cp312-cp312-win_amd64.whl",
        "patch-1.0-py3-none-any.whl",
        "patch-2.0-py3-none-any.whl",
        "windows-1.0-py3-none-any.whl",
    ]
    only_linux = maker.write("--for", "linux-x86_64", "--python", "3.12")
    assert " 3 wheels (" in only_linux and "windows-1.0-py3-none-any.whl" not in maker.held()


@pytest.mark.parametrize(
    "remote, public",
    [
        ("https://me:secret@example.org/a/course.git", "https://example.org/a/course.git"),
        ("https://secret@example.org:8443/course", "https://example.org:8443/course"),
        ("git@example.org:a/course.git", "git@example.org:a/course.git"),
        ("ssh://git@example.org/course", "ssh://git@example.org/course"),
        ("/srv/course", ""),
        ("file:///srv/course", ""),
        ("C:\\me\\course", ""),
    ],
)
def test_a_bundle_follows_the_same_course_and_holds_no_password(remote, public, maker, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import bundle

    git(maker.root, "remote", "add", "origin", remote)
    monkeypatch.setattr(bundle, "ROOT", maker.root)
    maker.bundle.mkdir(parents=True)
    bundle.clone(maker.bundle)
    assert git(maker.bundle, "remote", "-v").split()[1:2] == ([public] if public else [])
    assert "secret" not in (maker.bundle / ".git" / "config").read_text()
