"""Makes data/vectors: embeddings of the docstrings of the installed scientific stack.

    python tools/build_vectors.py           read the docstrings, encode them, write data/vectors
    python tools/build_vectors.py --check   compare the committed files with docstrings.json

Only names and vectors are written: the docstrings are other people's text and stay in their packages.
Encoding takes some minutes. The pinned packages give the same names; on another processor the int8
encoder's vectors may differ in the third digit.
"""

import argparse
import contextlib
import hashlib
import importlib
import inspect
import io
import json
import pkgutil
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from types import ModuleType

import numpy as np

from workshop import TextEncoder
from workshop.paths import DATA

OUT = DATA / "vectors"
PACKAGES = {  # import name: distribution, licence
    "numpy": ("numpy", "BSD-3-Clause"),
    "scipy": ("scipy", "BSD-3-Clause"),
    "sklearn": ("scikit-learn", "BSD-3-Clause"),
    "pandas": ("pandas", "BSD-3-Clause"),
    "matplotlib": ("matplotlib", "PSF-based (matplotlib licence)"),
    "pyarrow": ("pyarrow", "Apache-2.0"),
    "h5py": ("h5py", "BSD-3-Clause"),
    "PIL": ("pillow", "MIT-CMU"),
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


def collect() -> dict[str, str]:
    """Name to description, sorted by name; each description once, under its plainest name."""
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
    return dict(sorted((rank[-1], text) for text, rank in best.items()))


def build() -> None:
    """Write docstrings.txt, docstrings.npy and docstrings.json."""
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(io.StringIO()):  # some modules greet whoever imports them
        texts = collect()
    vectors = TextEncoder().encode([f"{n}: {t}" for n, t in texts.items()], progress=True)
    OUT.mkdir(exist_ok=True)
    (OUT / "docstrings.txt").write_text("\n".join(texts) + "\n", encoding="utf-8", newline="\n")
    np.save(OUT / "docstrings.npy", vectors.astype(np.float16))
    packages = {
        package: {"version": version(package), "licence": licence}
        for package, licence in PACKAGES.values()
    }
    table = {
        "source": "docstrings of the packages below, read by introspection: tools/build_vectors.py",
        "packages": packages,
        "made": f"name and description encoded by data/models all-MiniLM-L6-v2.int8.onnx, float16, "
        f"on {platform.machine()}",
        "licence": "names: facts about the packages; vectors: CC-BY-4.0; no docstring is included",
        "rows": len(texts),
        "dim": int(vectors.shape[1]),
        "files": {
            name: hashlib.sha256((OUT / name).read_bytes()).hexdigest()
            for name in ("docstrings.txt", "docstrings.npy")
        },
    }
    (OUT / "docstrings.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(f"{len(texts):,} vectors of {vectors.shape[1]}")


def check() -> int:
    """Compare the files with their sha256; returns the exit code."""
    table = json.loads((OUT / "docstrings.json").read_text(encoding="utf-8"))
    wrong = [
        name
        for name, expected in table["files"].items()
        if not (OUT / name).is_file()
        or hashlib.sha256((OUT / name).read_bytes()).hexdigest() != expected
    ]
    print(f"missing or altered: {', '.join(wrong)}" if wrong else "data/vectors is as it was made")
    return bool(wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    sys.exit(check() if parser.parse_args().check else build())
