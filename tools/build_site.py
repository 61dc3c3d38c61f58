"""Build the site, for those who only read: `make site`.

    python tools/build_site.py [--to FOLDER]

The pages are made from the solved notebooks and from the README's texts, with Sphinx, in a few seconds.
A warning of Sphinx is an error, and so is a link that leads nowhere, or anything that a page loads from
another machine. The folder can be opened as it is (site/index.html) or put on any web server.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from owner import repository

ROOT = Path(__file__).resolve().parent.parent
MARK = ".buildinfo"  # Sphinx leaves it in what it made


class Page(HTMLParser):
    """What one page links, what it loads, and the places in it that a link can name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses and ids of a tag."""
        found = dict(attrs)
        self.places |= {found[key] for key in ("id", "name") if found.get(key)}
        clicked = tag in ("a", "form")
        for key in ("href", "src", "action"):
            if found.get(key):
                (self.links if clicked else self.loads).append(found[key])


def faults(site: Path) -> Iterator[str]:
    """What leads nowhere, and what is loaded from another machine, each as "page: address"."""
    paths = sorted(set(site.rglob("*.html")) - set(site.glob("_static/**/*")))  # there: templates
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in paths}
    for path, page in pages.items():
        for address in dict.fromkeys([*page.links, *page.loads]):
            parts = urlsplit(address)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.netloc:
                good = address not in page.loads
            elif parts.scheme:  # data:
                good = True
            elif target in pages:
                good = not parts.fragment or unquote(parts.fragment) in pages[target].places
            else:
                good = target.is_file()
            if not good:
                yield f"{path.relative_to(site).as_posix()}: {address}"


def sphinx(folder: Path) -> None:
    """Let Sphinx make the pages in `folder`/html; SystemExit with what it said if it warns."""
    source = Path(__file__).with_name("site")
    command = [sys.executable, "-m", "sphinx", "--builder=html", "--quiet", "--no-color"]
    command += ["--fail-on-warning", f"--conf-dir={source}", f"--doctree-dir={folder / 'doctrees'}"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, str(ROOT), str(folder / "html")],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    if done.returncode:
        raise SystemExit(f"The site could not be built:\n{done.stderr}")


def build(to: Path) -> None:
    """Make the site in the folder `to`, or leave that as it is; SystemExit says why."""
    if to.exists() and not (to / MARK).exists():
        raise SystemExit(f"{to} exists and is no site made here: name another folder with --to.")
    with tempfile.TemporaryDirectory(prefix="site-") as work:
        sphinx(Path(work))
        made = Path(work) / "html"
        shutil.copy(made / "README.html", made / "index.html")  # what a web server shows first
        found = list(faults(made))
        if found:
            said = "Addresses that lead nowhere, or are loaded from another machine:"
            raise SystemExit("\n".join([said, *found]))
        if to.exists():
            shutil.rmtree(to)
        shutil.move(made, to)


def main(arguments: list[str] | None = None) -> None:
    """Build the site and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--to", type=Path, default=ROOT / "site", help="a new folder, or an old site; site/ if none"
    )
    to = parser.parse_args(arguments).to.resolve()
    build(to)
    print(f"The site is made: open {to / 'index.html'}")
    if repository(ROOT) is None:
        print("It has no buttons for Binder: `make owner NAME=you` says whose repository it opens.")


if __name__ == "__main__":
    main()
