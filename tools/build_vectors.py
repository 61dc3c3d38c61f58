"""Makes data/vectors: embeddings of the docstrings of the installed scientific stack.

    python tools/build_vectors.py           read the docstrings, encode them, write data/vectors
    python tools/build_vectors.py --check   compare the committed files with docstrings.json

Only names and vectors are written: the docstrings are other people's text and stay in their packages.
Encoding takes some minutes. The pinned packages give the same names; on another processor the int8
encoder's vectors may differ in the third digit.
"""

import platform
from importlib.metadata import version

import numpy as np
from committed import arguments, sha256, write_table

from workshop import TextEncoder, introspection
from workshop.introspection import PACKAGES
from workshop.paths import DATA

OUT = DATA / "vectors"
TABLE = OUT / "docstrings.json"
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
        "files": {name: sha256(OUT / name) for name in ("docstrings.txt", "docstrings.npy")},
    }
    write_table(TABLE, table)
    print(f"{len(texts):,} vectors of {vectors.shape[1]}")


if __name__ == "__main__":
    arguments(__doc__, TABLE, packages=False)
    build()
