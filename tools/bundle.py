"""Writes the course with all its packages into a folder that needs no network: `make bundle`.

    python tools/course.py bundle [--to FOLDER] [--for PLATFORM ...] [--python 3.13 ...]
                                  [--with test lm server]

The folder is a clone of what is committed here, and in it the folder wheels with each package that
the lock files name, by hash. From a copy of it `make lab` sets up without a network: course.py
looks into wheels first. Without options it is for this platform and every Python of the course.
The size is said first. An interrupted run goes on where it was, and a finished one can be brought
up to date.
"""

import argparse
import hashlib
import json
import platform as machine
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from course import NEWEST, OLDEST, ROOT, Stop, guarded, not_reached, reason, run_pip
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename

PYTHONS = [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
EXTRAS = ("test", "lm", "server")
BATCH = 40e6  # bytes that one call of pip fetches: what an interruption costs at most, or one file
GLIBC = range(5, 29)  # Debian 10, Ubuntu 20.04 and all that is newer


class Platform(NamedTuple):
    """A kind of computer: how it is called, what its wheels and its markers say."""

    title: str
    tags: tuple[str, ...]
    sys_platform: str
    system: str
    machine: str


def _linux(arch: str) -> tuple[str, ...]:
    old = (f"manylinux{year}_{arch}" for year in ("2014", "2010", "1"))
    return *(f"manylinux_2_{minor}_{arch}" for minor in GLIBC), *old


def _mac(arch: str) -> tuple[str, ...]:
    return tuple(mac_platforms((14, 0), arch))


PLATFORMS = {
    "linux-x86_64": Platform("Linux on x86-64", _linux("x86_64"), "linux", "Linux", "x86_64"),
    "linux-aarch64": Platform("Linux on ARM", _linux("aarch64"), "linux", "Linux", "aarch64"),
    "macos-arm64": Platform(
        "macOS 14 on Apple silicon", _mac("arm64"), "darwin", "Darwin", "arm64"
    ),
    "macos-x86_64": Platform("macOS 14 on Intel", _mac("x86_64"), "darwin", "Darwin", "x86_64"),
    "windows-amd64": Platform("Windows on x86-64", ("win_amd64",), "win32", "Windows", "AMD64"),
}


class Target(NamedTuple):
    """A platform with one Python, such as 3.13."""

    platform: Platform
    python: str

    def __str__(self) -> str:
        return f"{self.platform.title} with Python {self.python}"

    def supported(self) -> set:
        """The tags of wheels that run there."""
        version, tags = tuple(map(int, self.python.split("."))), self.platform.tags
        interpreter = "cp" + self.python.replace(".", "")
        return {
            *cpython_tags(version, platforms=tags),
            *compatible_tags(version, interpreter, platforms=tags),
        }

    def options(self) -> list[str]:
        """What tells pip to look for this target instead of its own."""
        return [
            *(f"--platform={tag}" for tag in self.platform.tags),
            *("--implementation=cp", f"--python-version={self.python}"),
            # what the lock names suits the course's Pythons; pip would ask it of the running one
            *("--only-binary=:all:", "--no-deps", "--ignore-requires-python"),
        ]


class Pin(NamedTuple):
    """A line of a lock file."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        """The package's name, as tools compare names."""
        return canonicalize_name(self.requirement.name)

    def line(self, hashed: bool, url: str = "") -> str:
        """As pip reads it, without its marker, which pip would ask of the running Python."""
        source = f" @ {url}" if url else str(self.requirement.specifier)
        hashes = [f" --hash=sha256:{one}" for one in sorted(self.hashes)] if hashed else []
        return f"{self.requirement.name}{source}{''.join(hashes)}\n"

    def is_for(self, target: Target) -> bool:
        """Whether its marker holds there, for any patch level of that Python."""
        marker, kind = self.requirement.marker, target.platform
        about = {
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "nt" if kind.system == "Windows" else "posix",
            "sys_platform": kind.sys_platform,
            "platform_system": kind.system,
            "platform_machine": kind.machine,
            "platform_release": "",
            "platform_version": "",
            "python_version": target.python,
        }
        full = [f"{target.python}.{patch}" for patch in (0, 99)]
        return marker is None or any(
            marker.evaluate(about | {"python_full_version": one, "implementation_version": one})
            for one in full
        )


class Wheel(NamedTuple):
    """A file to fetch, and the target that pip chose it for."""

    pin: Pin
    url: str
    target: Target

    @property
    def name(self) -> str:
        """Its file's name."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


# ------------------------------------------------------------------------------------ what it holds


def read_lock(file: Path) -> list[Pin]:
    """The pins of a lock file."""
    pins = []
    for line in file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        wanted, *hashes = line.partition(" #")[0].split("--hash=sha256:")
        if hashes:
            pins.append(Pin(Requirement(wanted.strip()), frozenset(map(str.strip, hashes))))
    return pins


def choose(
    pins: list[Pin], targets: list[Target], wheelhouse: Path
) -> tuple[list[Wheel], dict[Target, list[str]]]:
    """The wheels that the targets need, each once, and by target what there is no wheel of.

    What lies in the wheelhouse already is taken, and pip is not asked for it.
    """
    known = list(found_in(wheelhouse, pins, targets[0]))
    chosen: dict[str, Wheel] = {}
    missing: dict[Target, list[str]] = {}
    for target in targets:
        supported = target.supported()
        fitting = {
            id(wheel.pin): wheel
            for wheel in known
            if parse_wheel_filename(wheel.name)[3] & supported
        }
        wanted = [pin for pin in pins if pin.is_for(target)]
        chosen |= {fitting[id(p)].name: fitting[id(p)] for p in wanted if id(p) in fitting}
        wanted = [pin for pin in wanted if id(pin) not in fitting]
        if wanted:
            print(f"Looking for {wheels_of(len(wanted))} for {target} ...", flush=True)
        while wanted:
            # two versions of one package may be for one Python, by its patch level: one at a time
            now = list({pin.name: pin for pin in wanted}.values())
            wanted = [pin for pin in wanted if pin not in now]
            found, lacking = ask(now, target)
            known += found
            chosen |= {wheel.name: wheel for wheel in found}
            if lacking:
                missing.setdefault(target, []).extend(pin.name for pin in lacking)
    return list(chosen.values()), missing


def found_in(wheelhouse: Path, pins: list[Pin], target: Target) -> Iterator[Wheel]:
    """The wheels of an earlier run that are whole and that the lock still names."""
    by_hash = {sha256: pin for pin in pins for sha256 in pin.hashes}
    for file in sorted(wheelhouse.glob("*.whl")):
        pin = by_hash.get(sha256_of(file))
        if pin:
            yield Wheel(pin, file.as_uri(), target)


def ask(pins: list[Pin], target: Target, hashed: bool = False) -> tuple[list[Wheel], list[Pin]]:
    """The wheels that pip would take for the pins, and the pins that it finds none for.

    With hashes in its list pip reads every file before it answers. So they are left away at first;
    a wheel that came after the lock is asked for again by hash.
    """
    wanted = {pin.name: pin for pin in pins}
    lacking = []
    while wanted:
        with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
            lines, report = Path(folder, "lines.txt"), Path(folder, "report.json")
            lines.write_text("".join(pin.line(hashed) for pin in wanted.values()))
            options = ["--dry-run", "--ignore-installed", f"--target={folder}", *target.options()]
            options += [f"--report={report}", f"--requirement={lines}"]
            said = run_pip("install", *options, python=Path(sys.executable))[1]
            if report.exists():
                answer = json.loads(report.read_text(encoding="utf-8"))["install"]
                break
        named = re.search(r"No matching distribution found for ([\w.-]+?)==", said)
        if not named or not_reached(said):  # without a network pip finds no package at all
            raise Stop(reason(said))
        lacking.append(wanted.pop(canonicalize_name(named[1])))
    else:
        return [], lacking
    wheels, newer = [], []
    for one in answer:
        pin = wanted[canonicalize_name(one["metadata"]["name"])]
        info = one["download_info"]
        sha256 = info.get("archive_info", {}).get("hashes", {}).get("sha256")
        if hashed or sha256 is None or sha256 in pin.hashes:
            wheels.append(Wheel(pin, info["url"], target))
        else:
            newer.append(pin)
    if newer:
        more, none = ask(newer, target, hashed=True)
        wheels, lacking = wheels + more, lacking + none
    return wheels, lacking


def size(wheel: Wheel) -> int:
    """Bytes of a wheel, or 0 where its server does not say."""
    asked = urllib.request.Request(wheel.url, method="HEAD")  # noqa: S310  (pip's own answer)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            return int(answer.headers.get("Content-Length") or 0)
    except OSError:
        return 0


# ------------------------------------------------------------------------------------- the wheels


def is_whole(file: Path, pin: Pin) -> bool:
    """Whether a file is there and one of those that the lock names."""
    return file.exists() and sha256_of(file) in pin.hashes


def sha256_of(file: Path) -> str:
    """The checksum of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def batches(wheels: list[Wheel], sizes: dict[str, int]) -> Iterator[list[Wheel]]:
    """The wheels, some at a time, so that an interruption costs little.

    One call of pip is for one target, and takes each package once.
    """
    batch: list[Wheel] = []
    for wheel in wheels:
        full = len(batch) == 40 or sum(sizes[one.name] for one in batch) > BATCH
        other = any(one.target != wheel.target or one.pin.name == wheel.pin.name for one in batch)
        if full or other:
            yield batch
            batch = []
        batch.append(wheel)
    if batch:
        yield batch


def fetch(wheels: list[Wheel], sizes: dict[str, int], folder: Path) -> None:
    """Fetch the wheels into the folder; Stop where one does not come, or not as it was tested."""
    total, done = sum(sizes[wheel.name] for wheel in wheels), 0
    for batch in batches(wheels, sizes):
        with tempfile.TemporaryDirectory(prefix="bundle-") as temporary:
            lines = Path(temporary) / "lines.txt"
            lines.write_text("".join(one.pin.line(True, one.url) for one in batch))
            options = [*batch[0].target.options(), f"--dest={folder}", f"--requirement={lines}"]
            _, said = run_pip("download", *options, python=Path(sys.executable))
        if not all(is_whole(folder / one.name, one.pin) for one in batch):
            raise Stop(reason(said))
        done += sum(sizes[one.name] for one in batch)
        print(f"  {megabytes(done)} of {megabytes(total)}", flush=True)


def megabytes(count: float) -> str:
    """Bytes as people read them."""
    return f"{count / 1e6:,.0f} MB"


def wheels_of(count: int) -> str:
    """So many wheels, in words."""
    return f"{count} wheel{'s' * (count != 1)}"


# ------------------------------------------------------------------------------------- the course


def git(folder: Path, *args: str) -> str:
    """What git says in that folder; Stop with its own words if it fails."""
    try:
        done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        raise Stop("There is no git here: install it from git-scm.com and run again.") from None
    if done.returncode:
        raise Stop(f"git {args[0]} stopped with: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def address() -> str:
    """Where others reach the course's newest version, without a password; empty if nowhere."""
    if "origin" not in git(ROOT, "remote").split():
        return ""
    url = git(ROOT, "remote", "get-url", "origin")
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    reachable = parts.scheme in ("ssh", "git") or re.match(r"[\w.-]+@[\w.-]+:", url)
    return url if reachable else ""


def clone(folder: Path) -> None:
    """Make the folder a clone of what is committed here, which follows what this one follows."""
    head, branch = git(ROOT, "rev-parse", "HEAD"), git(ROOT, "branch", "--show-current") or "main"
    mark = folder / ".git" / "bundled"  # the commit that was written here whole
    if not mark.exists() and mark.parent.exists():
        shutil.rmtree(mark.parent)  # half a clone, with locks of a git that was killed
    elif mark.exists() and mark.read_text() == head:
        return
    if mark.exists() and git(folder, "status", "--porcelain"):
        raise Stop(f"Files of the course were changed in {folder}: name another folder with --to.")
    mark.unlink(missing_ok=True)
    git(folder, "init", "--quiet")
    # memory sticks know neither who may execute a file nor what Windows calls a line end
    for name, value in {"core.fileMode": "false", "core.autocrlf": "false"}.items():
        git(folder, "config", name, value)
    git(folder, "fetch", "--quiet", "--update-shallow", ROOT.as_uri(), head)
    git(folder, "checkout", "--quiet", "--force", "-B", branch, head)
    if url := address():
        if not git(folder, "remote"):
            git(folder, "remote", "add", "origin", url)
        git(folder, "update-ref", f"refs/remotes/origin/{branch}", head)
        git(folder, "config", f"branch.{branch}.remote", "origin")
        git(folder, "config", f"branch.{branch}.merge", f"refs/heads/{branch}")
    mark.write_text(head)


def course_size() -> int:
    """About how many bytes the clone will have: the files, and as much again for their history."""
    listed = git(ROOT, "ls-tree", "-r", "-l", "HEAD").splitlines()
    return 2 * sum(int(line.split()[3]) for line in listed if line.split()[3].isdigit())


# ------------------------------------------------------------------------------------- the bundle


def here() -> str:
    """This platform's name in PLATFORMS."""
    system, arch = machine.system(), machine.machine()
    for name, one in PLATFORMS.items():
        if (one.system, one.machine.lower()) == (system, arch.lower()):
            return name
    raise Stop(f"There are no wheels for {system} on {arch}: name a platform, as in --for {name}.")


def bundle(asked: argparse.Namespace) -> int:
    """Write the bundle; returns 0, and raises Stop where it cannot."""
    if not (ROOT / ".git").exists():
        raise Stop("This folder was not made by `git clone`: clone the course and run it there.")
    folder = asked.to.expanduser().resolve()
    wheelhouse = folder / "wheels"
    purpose_file = wheelhouse / "FOR.txt"  # written first: the sign that a folder is a bundle
    if folder == ROOT or (folder.exists() and any(folder.iterdir()) and not purpose_file.exists()):
        raise Stop(f"The folder {folder} holds something else: name a new or an empty one.")
    names = list(dict.fromkeys(asked.platforms)) or [here()]
    pythons = [one for one in PYTHONS if one in asked.pythons] or PYTHONS
    locks = ["requirements-test.txt" if "test" in asked.extras else "requirements.txt"]
    locks += [f"requirements-{extra}.txt" for extra in EXTRAS[1:] if extra in asked.extras]
    pins = [pin for lock in locks for pin in read_lock(ROOT / lock)]

    targets = [Target(PLATFORMS[name], python) for name in names for python in pythons]
    wheels, missing = choose(pins, targets, wheelhouse)
    with ThreadPoolExecutor(8) as pool:
        sizes = dict(zip((w.name for w in wheels), pool.map(size, wheels), strict=True))
    new = [wheel for wheel in wheels if not is_whole(wheelhouse / wheel.name, wheel.pin)]
    to_fetch = sum(sizes[wheel.name] for wheel in new)
    purpose = ", ".join(f"{PLATFORMS[name].title} (Python {', '.join(pythons)})" for name in names)
    print(
        f"The bundle will hold the course (about {megabytes(course_size())}) and "
        f"{wheels_of(len(wheels))} ({megabytes(sum(sizes.values()))}), for {purpose}. "
        f"To be fetched into {folder}: {wheels_of(len(new))} ({megabytes(to_fetch)})."
    )
    if unknown := sum(not sizes[wheel.name] for wheel in wheels):
        print(f"Not counted, since no server says its size: {wheels_of(unknown)}.")
    for target, packages in missing.items():
        print(f"No wheel for {target}: {', '.join(packages)}. The set-up there asks the network.")
    if git(ROOT, "status", "--porcelain", "--untracked-files=no"):
        print("What you changed here and did not commit is not in the bundle.")
    sys.stdout.flush()

    wheelhouse.mkdir(parents=True, exist_ok=True)
    purpose_file.write_text(f"{purpose}\n", encoding="utf-8")
    free = shutil.disk_usage(folder).free
    needed = to_fetch + (0 if (folder / ".git" / "bundled").exists() else course_size())
    if free < needed:
        raise Stop(
            f"That needs {megabytes(needed)}, and {megabytes(free)} are free on the disk of "
            f"{folder}: free some space, or name a folder on another disk with --to."
        )
    clone(folder)
    fetch(new, sizes, wheelhouse)
    for file in wheelhouse.iterdir():  # of an older bundle
        if file.name not in sizes and file != purpose_file:
            file.unlink()
    write_checksums(folder)
    print(
        f"The bundle is in {folder}. On another computer, copy it to the disk and run `make lab` "
        "in it (Windows: `py -3.13 tools/course.py lab`). `sha256sum --check --quiet SHA256SUMS` "
        "in a copy names every file that did not arrive whole."
    )
    return 0


def write_checksums(folder: Path) -> None:
    """The checksums of all files but git's own, as sha256sum reads them."""
    names = git(folder, "ls-files", "-z").split("\0")[:-1]
    names += sorted(file.relative_to(folder).as_posix() for file in (folder / "wheels").iterdir())
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")


def main() -> int:
    """Read the options and write the bundle."""
    parser = argparse.ArgumentParser(
        prog="course.py bundle", description="The course and all its packages in one folder."
    )
    parser.add_argument(
        "--to",
        type=Path,
        default=ROOT / "artifacts" / "bundle" / "from-vectors-to-services",
        metavar="FOLDER",
        help="where to write it (artifacts/bundle/from-vectors-to-services)",
    )
    lists = {
        "--for": ("platforms", "PLATFORM", PLATFORMS, "instead of this platform"),
        "--python": ("pythons", "VERSION", PYTHONS, "instead of every Python of the course"),
        "--with": (
            "extras",
            "EXTRA",
            EXTRAS,
            "also the tests' packages, chapter 20's model, Milvus",
        ),
    }
    for option, (dest, metavar, choices, meaning) in lists.items():
        parser.add_argument(
            option,
            dest=dest,
            metavar=metavar,
            choices=choices,
            nargs="+",
            default=[],
            help=f"{meaning}: {', '.join(choices)}",
        )
    asked = parser.parse_args()
    return guarded(lambda: bundle(asked))


if __name__ == "__main__":
    sys.exit(main())
