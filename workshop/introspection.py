"""The docstrings of the scientific packages that are installed here, read by introspection.

    python -m workshop.introspection FILE   write them all to FILE, name to text, as JSON

They are other people's text, so the course does not ship them: `datasets.docstring_texts` reads them.
"""

import contextlib
import hashlib
import importlib
import inspect
import io
import json
import pkgutil
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from tqdm import tqdm

from workshop.errors import WorkshopError
from workshop.paths import ROOT, home

PACKAGES = {  # import name: distribution
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "pyarrow": "pyarrow",
    "h5py": "h5py",
    "PIL": "pillow",
}
# tests, vendored copies of other packages, modules that only gather names, and what starts a program
SKIPPED = re.compile(
    r"\.(_|tests?\b|testing\b|conftest|externals|extern|vendored|pylab$|distutils|f2py|cuda)"
)
LONGEST = 600  # characters of a docstring; the encoder reads about 1,000 of English
SHORTEST = 20


def modules(package: str) -> Iterator[ModuleType]:
    """The package and its public modules that can be imported here."""
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=lambda name: None):
        if not SKIPPED.search(found.name):
            # what needs a library that is not installed, or may not be imported, is no part of this
            with contextlib.suppress(Exception):
                yield importlib.import_module(found.name)


def members(module: ModuleType, package: str) -> Iterator[tuple[str, object]]:
    """Public functions, classes, and what their classes define, with the name to import them by."""
    for name, item in list(vars(module).items()):
        home = str(getattr(item, "__module__", None) or "")
        if name.startswith("_") or inspect.ismodule(item) or not callable(item):
            continue
        if home.split(".")[0] != package:
            continue
        full = f"{module.__name__}.{name}"
        yield full, item
        if inspect.isclass(item):
            for own, value in vars(item).items():
                documented = callable(value) or inspect.isdatadescriptor(value)
                if not own.startswith("_") and (documented or isinstance(value, classmethod)):
                    yield f"{full}.{own}", value


def description(item: object) -> str:
    """The docstring up to its first section (Parameters, Examples, ...), one line, cut if long."""
    text = getattr(item, "__doc__", None)
    if not isinstance(text, str):
        return ""
    text = re.split(r"\n[^\n]+\n-{3,}", "\n" + inspect.cleandoc(text))[0]
    return " ".join(text.split())[:LONGEST]


def collect(done: Callable[[str], object]) -> dict[str, str]:
    """Name to description, sorted by name; each description once, under its plainest name.

    Imports every public module of the packages: `read` does it in a process of its own, since what
    is imported warns, registers and starts things. Calls `done(package)` after each package.
    """
    best: dict[str, tuple] = {}
    for package in PACKAGES:
        for module in modules(package):
            for name, item in members(module, package):
                text = description(item)
                if len(text) < SHORTEST:
                    continue
                home = getattr(item, "__module__", None) or ""
                rank = (name.count("."), not name.startswith(f"{home}."), len(name), name)
                if text not in best or rank < best[text]:
                    best[text] = rank
        done(package)
    return dict(sorted((rank[-1], text) for text, rank in best.items()))


def read() -> dict[str, str]:
    """`collect()`, from a file in `home()`, which is made anew when a package has another version.

    Making it shows a bar. Raises WorkshopError when a package is missing or cannot be read.
    """
    known = [sys.version_info[:2], hashlib.sha256(Path(__file__).read_bytes()).hexdigest()]
    for package in PACKAGES.values():
        try:
            known.append(version(package))
        except PackageNotFoundError as error:
            raise WorkshopError(
                f"The package {package} is not installed, and its docstrings are part of the data. "
                "Install the course's packages with: make setup"
            ) from error
    key = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
    kept = home() / f"docstrings-{key}.json"
    # not there yet, or damaged: it is made again
    with contextlib.suppress(OSError, ValueError):
        return json.loads(kept.read_text(encoding="utf-8"))
    with TemporaryDirectory(dir=kept.parent, ignore_cleanup_errors=True) as folder:
        written = Path(folder) / kept.name
        _collect_in_a_process_of_its_own(written)
        texts = json.loads(written.read_text(encoding="utf-8"))
        written.replace(kept)
    return texts


def _collect_in_a_process_of_its_own(path: Path) -> None:
    command = [sys.executable, "-m", "workshop.introspection", str(path)]
    said = ""
    with (
        tqdm(total=len(PACKAGES), desc="Reading docstrings", unit="package") as bar,
        subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        for line in process.stdout or ():
            if line.strip() in PACKAGES:
                bar.update()
            else:
                said = line.strip() or said
    if process.returncode:
        raise WorkshopError(f"The docstrings cannot be read: {said or 'nothing was said'}")


def write(path: Path) -> None:
    """`collect()` to a JSON file; says each package that it has done."""
    warnings.simplefilter("ignore")
    out = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()):  # some modules greet whoever imports them
        texts = collect(lambda package: print(package, file=out, flush=True))
    path.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
