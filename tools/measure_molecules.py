"""How long an exact search of many molecules takes, and whether it finds what a comparison with all finds.

    python tools/measure_molecules.py FOLDER --size 100000                       Milvus Lite: floats, COSINE, re-ranked
    MILVUS_URI=http://… python tools/measure_molecules.py FOLDER --size 1000000  a server: bits, JACCARD

Molecules are those of PyPI's molsets 0.3.1 (Polykovskiy et al. 2020, from ZINC), fetched into FOLDER if they are not
there; queries are drugs of B3DB. The figures stand in data/README.md.
"""

import argparse
import csv
import gzip
import io
import os
import time
import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import psutil

import workshop  # isort: skip  # noqa: F401  (first: it sets what pymilvus reads when it is imported)
from committed import package
from pymilvus import DataType, MilvusClient
from rdkit import Chem
from tqdm import tqdm

from workshop import connect, drugs, wait_for_index
from workshop.molecules import (
    MORGAN_BITS,
    TanimotoIndex,
    highest_tanimoto,
    morgan,
    packed,
    radius,
    tanimoto_from_cosine,
)

WHEEL = "molsets-0.3.1-py3-none-any.whl"
PACKAGE = "molsets==0.3.1"
SHA256 = "7f4450e3ebecebe79c3a2a55950c93daddee071120daf64a163d03481e811d34"
TABLES = ("moses/dataset/data/train.csv.gz",)
BATCH = 5_000
K, DEPTH = 10, 50
QUERIES = 200


def smiles_of(folder: Path, size: int) -> list[str]:
    """The first molecules of molsets."""
    path = package(folder, WHEEL, f"pip download --no-deps {PACKAGE}", SHA256)
    with zipfile.ZipFile(path) as wheel:
        text = gzip.decompress(wheel.read(TABLES[0])).decode("utf-8")
    return [row["SMILES"] for row in islice(csv.DictReader(io.StringIO(text)), size)]


def fingerprints(smiles: list[str]) -> np.ndarray:
    """Their bits, packed: (n, 256) uint8."""
    found = []
    for start in tqdm(range(0, len(smiles), BATCH), desc="fingerprints"):
        bits = morgan(Chem.MolFromSmiles(one) for one in smiles[start : start + BATCH])
        found.append(np.packbits(bits, axis=1))
    return np.concatenate(found)


def fill(client: MilvusClient, table: np.ndarray, binary: bool) -> None:
    """A collection of all, as bits or as floats; both with how many bits a molecule has."""
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("bits", DataType.INT64)
    kind = DataType.BINARY_VECTOR if binary else DataType.FLOAT_VECTOR
    schema.add_field("vector", kind, dim=MORGAN_BITS)
    index = client.prepare_index_params()
    how = {"index_type": "BIN_FLAT", "metric_type": "JACCARD"}
    index.add_index(
        "vector", **(how if binary else {"index_type": "FLAT", "metric_type": "COSINE"})
    )
    client.create_collection(
        "molecules", schema=schema, index_params=index, consistency_level="Strong"
    )
    for start in tqdm(range(0, len(table), BATCH), desc="load"):
        part = np.unpackbits(table[start : start + BATCH], axis=1)
        vectors = packed(part) if binary else part.astype(np.float32).tolist()
        counts = part.sum(axis=1, dtype=int).tolist()
        rows = [
            {"id": start + n, "bits": count, "vector": vector}
            for n, (count, vector) in enumerate(zip(counts, vectors, strict=True))
        ]
        client.insert("molecules", rows)
    wait_for_index(client, "molecules", timeout=1800)


def search(
    client: MilvusClient, query: np.ndarray, binary: bool
) -> tuple[list[float], list[float], int]:
    """The Tanimoto of the best K, best first; of the best among the first DEPTH; and how many were looked at.

    In Milvus Lite candidates are asked for, four times as many each time, until they are proven to hold the best.
    """
    if binary:
        (hits,) = client.search(
            "molecules", data=packed(query[None]), limit=K, output_fields=["id"]
        )
        found = [1 - hit["distance"] for hit in hits]
        return found, found, K
    data, depth, first = [query.astype(np.float32).tolist()], DEPTH, None
    while True:
        (hits,) = client.search("molecules", data=data, limit=depth, output_fields=["bits"])
        cosines = np.array([hit["distance"] for hit in hits])
        counts = np.array([hit["entity"]["bits"] for hit in hits])
        scores = np.sort(tanimoto_from_cosine(cosines, int(query.sum()), counts))[::-1][:K]
        first = scores.tolist() if first is None else first
        if scores[-1] >= highest_tanimoto(cosines[-1]) or len(hits) < depth:
            return scores.tolist(), first, depth
        depth *= 4


def within(client: MilvusClient, query: np.ndarray, threshold: float) -> int:
    """How many molecules a range search finds whose Tanimoto is `threshold` or more."""
    (hits,) = client.search(
        "molecules",
        data=[query.astype(np.float32).tolist()],
        limit=1_000,
        output_fields=["bits"],
        search_params={"params": {"radius": radius(threshold)}},
    )
    cosines = np.array([hit["distance"] for hit in hits])
    counts = np.array([hit["entity"]["bits"] for hit in hits])
    return int((tanimoto_from_cosine(cosines, int(query.sum()), counts) >= threshold).sum())


def truth(table: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The K highest Tanimoto of each query, (q, K), and how many are 0.5 or more, by comparing with all."""
    best = np.zeros((len(queries), K), np.float32)
    near = np.zeros(len(queries), int)
    for start in tqdm(range(0, len(table), 20_000), desc="compare with all"):
        part = TanimotoIndex(np.unpackbits(table[start : start + 20_000], axis=1))
        scores = part.scores(queries)
        near += (scores >= 0.5).sum(axis=1)
        best = -np.sort(-np.concatenate([best, scores], axis=1), axis=1)[:, :K]
    return best, near


def main() -> None:
    """Load, search, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the package")
    parser.add_argument("--size", type=int, default=100_000)
    options = parser.parse_args()
    binary = os.environ.get("MILVUS_URI", "").startswith("http")
    begin = time.perf_counter()
    table = fingerprints(smiles_of(options.folder, options.size))
    made = time.perf_counter() - begin
    every = drugs.drugs()
    rows = np.random.default_rng(0).choice(len(every), QUERIES, replace=False)
    queries = morgan(every[row].mol for row in rows)
    best, near = truth(table, queries)
    client = connect("measure_molecules")
    begin = time.perf_counter()
    fill(client, table, binary)
    loaded = time.perf_counter() - begin
    took, found, once, looked = [], [], [], []
    search(client, queries[0], binary)
    for query in queries:
        begin = time.perf_counter()
        scores, first, depth = search(client, query, binary)
        took.append(1000 * (time.perf_counter() - begin))
        found.append(scores)
        once.append(first)
        looked.append(depth)
    # what counts is the score: of equals, any may be among the ten
    right, at_once = (np.isclose(np.array(s), best, atol=1e-5).mean() for s in (found, once))
    print(
        f"{len(table):,} molecules on {'a server' if binary else 'Milvus Lite'}: fingerprints "
        f"{made:.0f} s, load {loaded:.0f} s, search {np.median(took):.0f} ms (median), recall@{K} "
        f"{right:.4f} ({at_once:.4f} with {DEPTH} candidates), asked again for "
        f"{np.sum(np.array(looked) > DEPTH)} of {QUERIES}, memory "
        f"{psutil.Process().memory_info().rss / 1e6:.0f} MB"
    )
    if not binary:
        few = near <= 900
        begin = time.perf_counter()
        counts = [within(client, query, 0.5) for query in queries[few]]
        each = 1000 * (time.perf_counter() - begin) / max(1, few.sum())
        print(f"range search, T ≥ 0.5: {each:.0f} ms, all found: {counts == near[few].tolist()}")
    client.drop_collection("molecules")


if __name__ == "__main__":
    main()
