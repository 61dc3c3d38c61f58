"""Who hosts this course on GitHub, and the line of the README that depends on it: `make owner`.

    python tools/owner.py              the owner is that of the clone's remote
    python tools/owner.py ada          this one; the repository has the remote's name, or the course's
    python tools/owner.py ada/course   this repository
    python tools/owner.py --nobody     the README says what to do, and links nowhere

One line of the README is the only place that names an owner; the site asks `repository()`. Only the
standard library: no set-up is needed.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COURSE = "from-vectors-to-services"
FIRST = "notebooks/00_start_here.ipynb"
NOBODY = (
    "*Do you host this course? `make owner` puts a button for Binder and the state of the tests here. It takes "
    "the owner from the clone's remote on GitHub; `make owner NAME=you` names another.*"
)
LINE = re.compile(r"^(?:\[!\[Open on Binder\]|\*Do you host this course\?).*$", re.M)
BINDER = "https://mybinder.org/v2/gh/{}/HEAD?urlpath=lab/tree/{}"
TESTS = "https://github.com/{}/actions/workflows/test.yml"
OWNER = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")  # as GitHub takes them
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
REMOTE = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^@/]*@)?(?:www\.|ssh\.)?github\.com(?::\d+)?/|(?:[^@/:]+@)?github\.com:)"
    r"(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/?"
)


class Stop(Exception):
    """What went wrong and what to do about it, in one line."""


def repository(root: Path = ROOT) -> str | None:
    """The repository on GitHub, "owner/name": the README's, or the one that this clone comes from."""
    return written(root) or of_remote(root)


def binder(repository: str, path: str = FIRST) -> str:
    """The address at which Binder opens a file of the repository."""
    return BINDER.format(repository, path)


def written(root: Path) -> str | None:
    """The repository that the README's line names."""
    named = re.search(r"mybinder\.org/v2/gh/([^/]+/[^/]+)/", the_line(root)[0])
    return named[1] if named else None


def of_remote(root: Path) -> str | None:
    """The repository on GitHub that this clone comes from; never a password of its address."""
    asked = ["git", "config", "--get-regexp", r"^remote\..*\.url$"]
    try:
        said = subprocess.run(asked, cwd=root, capture_output=True, text=True).stdout
    except OSError:  # no git
        return None
    addresses = dict(line.split(" ", 1) for line in said.splitlines())
    origin = addresses.get("remote.origin.url") or next(iter(addresses.values()), "")
    match = REMOTE.fullmatch(origin)
    return checked(f"{match['owner']}/{match['name']}") if match else None


def checked(repository: str) -> str:
    """The repository, if GitHub could have one of that name."""
    owner, _, name = repository.partition("/")
    if not OWNER.fullmatch(owner) or not NAME.fullmatch(name):
        raise Stop(
            f"{repository!r} is no repository on GitHub: an owner has letters, digits and single hyphens, as in "
            f"`make owner NAME=ada`, or with the repository's name, `make owner NAME=ada/{COURSE}`."
        )
    return repository


def the_line(root: Path) -> tuple[str, str]:
    """The line of the README that depends on the owner, and the whole README."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    found = LINE.findall(readme)
    if len(found) != 1:
        raise Stop(
            f"README.md has {len(found)} lines for the owner, not one: keep one that begins with "
            "`[![Open on Binder]` or with `*Do you host this course?`."
        )
    return found[0], readme


def line_for(repository: str | None) -> str:
    """What the README shows: the buttons of a repository, or what to do."""
    if repository is None:
        return NOBODY
    button = f"[![Open on Binder](https://mybinder.org/badge_logo.svg)]({binder(repository)})"
    tests = TESTS.format(repository)
    return f"{button} [![Tests]({tests}/badge.svg)]({tests})"


def name_owner(asked: str, root: Path = ROOT) -> str:
    """Write the README's line for the owner asked for, see above; says what was done."""
    if asked == "--nobody":
        found = None
    elif asked:
        name = (of_remote(root) or f"/{COURSE}").partition("/")[2]
        found = checked(asked if "/" in asked else f"{asked}/{name}")
    else:
        found = of_remote(root)
        if found is None:
            raise Stop(
                "This clone has no remote on GitHub to take the owner from: name one, as in "
                "`make owner NAME=ada`."
            )
    before, readme = the_line(root)
    after = line_for(found)
    if before == after:
        return f"README.md names {found or 'nobody'} already."
    text = readme.replace(before, after, 1)
    (root / "README.md").write_text(text, encoding="utf-8", newline="\n")
    return f"README.md names {found or 'nobody'} now: look at it, and commit it."


def main(arguments: list[str]) -> int:
    """Run the command; 0 when it went well."""
    if len(arguments) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(name_owner("".join(arguments)))
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
