"""Makes data/vectors: embeddings of the docstrings of the installed scientific stack.

    python tools/build_vectors.py           read the docstrings, encode them, write data/vectors
    python tools/build_vectors.py --check   compare the committed files with docstrings.json

Only names and vectors are written: the docstrings are other people's text and stay in their packages.
Encoding takes some minutes. The pinned packages give the same names; on another processor the int8
encoder's vectors may differ in the third digit.
"""

import argparse
import hashlib
import json
import platform
import sys
from importlib.metadata import version

import numpy as np

from workshop import TextEncoder, introspection
from workshop.introspection import PACKAGES
from workshop.paths import DATA

OUT = DATA / "vectors"
LICENCES = {  # of each distribution in workshop.introspection.PACKAGES
    "numpy": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
    "scikit-learn": "BSD-3-Clause",
    "pandas": "BSD-3-Clause",
    "matplotlib": "PSF-based (matplotlib licence)",
    "pyarrow": "Apache-2.0",
    "h5py": "BSD-3-Clause",
    "pillow": "MIT-CMU",
}


def build() -> None:
    """Write docstrings.txt, docstrings.npy and docstrings.json."""
    texts = introspection.read()
    vectors = TextEncoder().encode([f"{n}: {t}" for n, t in texts.items()], progress=True)
    OUT.mkdir(exist_ok=True)
    (OUT / "docstrings.txt").write_text("\n".join(texts) + "\n", encoding="utf-8", newline="\n")
    np.save(OUT / "docstrings.npy", vectors.astype(np.float16))
    packages = {
        package: {"version": version(package), "licence": LICENCES[package]}
        for package in PACKAGES.values()
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
