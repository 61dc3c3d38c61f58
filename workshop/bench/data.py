"""Vectors in the formats that people have, and the exact answers to measure recall against."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np

from workshop.bench.config import DIM, Data, Metric
from workshop.errors import WorkshopError

FORMATS = ".npy, .fvecs, .bvecs and .hdf5 (as of ann-benchmarks)"
DISTANCES: dict[str, Metric] = {"angular": "COSINE", "euclidean": "L2", "dot": "IP"}
BLOCK = 65_536  # rows looked at in one go
FORMAT = 2  # raised when the same data would be read or measured in another way


@dataclass(frozen=True)
class Vectors:
    """What a data set holds.

    base      (n, d) float32, the rows to search among
    queries   (q, d) float32
    truth     (q, t) int64, row numbers of the nearest, best first, or None: not known yet
    """

    base: np.ndarray
    queries: np.ndarray
    truth: np.ndarray | None
    metric: Metric


def read(data: Data) -> Vectors:
    """The vectors of a data set; the same each time.

    Raises WorkshopError, in one line, if a file cannot be read or does not fit the others.
    """
    if data.synthetic is not None and isinstance(data.queries, int):
        return _clusters(data.synthetic, data.dim or DIM, data.queries, data.metric or "COSINE")
    assert data.file is not None  # noqa: S101  (Data takes one of the two)
    base, queries, truth, metric = _file(data.file), data.queries, data.truth, data.metric
    if isinstance(base, dict):  # HDF5
        metric = metric or base["metric"]
        queries = base["queries"] if "queries" in base and isinstance(queries, int) else queries
        truth = truth or base.get("truth")
        base = base["base"]
    if isinstance(queries, int):
        if queries >= len(base):
            raise WorkshopError(
                f"{data.file} has {len(base):,} rows: too few to hold out {queries:,} as queries. "
                "Say a smaller number, or name a file of queries."
            )
        # spread over the file, which may be sorted: its last rows would all be of one kind
        held = np.linspace(0, len(base) - 1, queries, dtype=int)
        base, queries, truth = np.delete(base, held, axis=0), base[held], None
    elif isinstance(queries, Path):
        queries = _matrix(queries)
    truth = _matrix(truth, numbers="iu") if isinstance(truth, Path) else truth
    if data.rows is not None and data.rows < len(base):
        base, truth = base[: data.rows], None
    if queries.shape[1] != base.shape[1]:
        raise WorkshopError(
            f"The rows of {data.file} have {base.shape[1]} numbers and its queries "
            f"{queries.shape[1]}: they must have as many."
        )
    if truth is not None and (
        len(truth) != len(queries) or truth.min() < 0 or truth.max() >= len(base)
    ):
        raise WorkshopError(
            f"The ground truth of {data.file} does not fit: it must name, for each of the "
            f"{len(queries):,} queries, rows from 0 to {len(base) - 1:,}."
        )
    metric = metric or "L2"
    for name, matrix in (("rows", base), ("queries", queries)):
        _check(matrix, f"{name} of {data.file}", metric)
    return Vectors(
        np.asarray(base, np.float32),
        np.ascontiguousarray(queries, np.float32),
        None if truth is None else np.asarray(truth, np.int64),
        metric,
    )


def _clusters(n: int, dim: int, queries: int, metric: Metric) -> Vectors:
    """Clusters that overlap, on which an approximate search does err.

    One centre for each 100 rows, in a space of 32 dimensions laid into `dim`, so that a row has
    neighbours worth the name (uniform noise of 128 dimensions has none).
    """
    rng = np.random.default_rng(0)
    inner = min(32, dim)
    centres = rng.standard_normal((max(n // 100, 1), inner), dtype=np.float32)
    points = centres[rng.integers(len(centres), size=n + queries)]
    points += 1.4 * rng.standard_normal(points.shape, dtype=np.float32)
    points = points @ rng.standard_normal((inner, dim), dtype=np.float32) / inner**0.5
    return Vectors(points[:n], points[n:], None, metric)


def _file(path: Path) -> "np.ndarray | dict":
    return _hdf5(path) if path.suffix in (".hdf5", ".h5") else _matrix(path)


def _matrix(path: Path, numbers: str = "fiu") -> np.ndarray:
    """An (n, d) matrix of a file, read from the disk as it is used."""
    readers = {".npy": _npy, ".fvecs": _vecs, ".bvecs": _vecs, ".ivecs": _vecs}
    if path.suffix not in readers:
        raise WorkshopError(f"{path} is of a format that is not read here. Read are {FORMATS}.")
    try:
        matrix = readers[path.suffix](path)
    except OSError as error:
        raise WorkshopError(f"Cannot read {path}: {error.strerror or error}.") from None
    except (ValueError, EOFError) as error:
        raise WorkshopError(f"{path} is broken or not what its name says: {error}.") from None
    if matrix.ndim != 2 or not matrix.size or matrix.dtype.kind not in numbers:
        raise WorkshopError(
            f"{path} holds {matrix.dtype} of shape {matrix.shape}, and a matrix of numbers with "
            "one row for each vector is needed."
        )
    return matrix


def _npy(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _vecs(path: Path) -> np.ndarray:
    """Each vector as its length, an int32, and then its numbers (corpus-texmex.irisa.fr)."""
    kind = np.dtype({".fvecs": "<f4", ".bvecs": "u1", ".ivecs": "<i4"}[path.suffix])
    size = path.stat().st_size
    if size < 4:
        raise ValueError("it is empty")
    dim = int(np.fromfile(path, "<i4", 1)[0])
    row = 4 + dim * kind.itemsize
    if dim < 1 or size % row:
        raise ValueError(f"{size:,} bytes are no whole number of vectors of {dim:,} numbers")
    rows = np.memmap(path, np.dtype([("dim", "<i4"), ("vector", kind, (dim,))]), "r")
    if (rows["dim"] != dim).any():
        raise ValueError("its vectors differ in length")
    return rows["vector"]


def _hdf5(path: Path) -> dict:
    import h5py

    if not path.is_file():
        raise WorkshopError(f"Cannot read {path}: there is no such file.")
    try:
        with h5py.File(path) as file:
            distance = file.attrs.get("distance", "euclidean")
            distance = distance.decode() if isinstance(distance, bytes) else distance
            found = {
                ours: file[theirs][:]
                for ours, theirs in {
                    "base": "train",
                    "queries": "test",
                    "truth": "neighbors",
                }.items()
                if theirs in file
            }
    except OSError as error:
        raise WorkshopError(f"{path} is broken or not HDF5: {error}.") from None
    if "base" not in found or any(m.ndim != 2 or m.dtype.kind not in "fiu" for m in found.values()):
        raise WorkshopError(f"{path} holds no dense vectors under `train` and `test`.")
    if distance not in DISTANCES:
        raise WorkshopError(
            f"{path} is for the distance {distance!r}; measured here are {', '.join(DISTANCES)}."
        )
    return {**found, "metric": DISTANCES[distance]}


def _check(matrix: np.ndarray, name: str, metric: Metric) -> None:
    for start in range(0, len(matrix), BLOCK):
        squares = np.square(np.asarray(matrix[start : start + BLOCK], np.float32)).sum(1)
        wrong = ~np.isfinite(squares) | ((squares == 0) & (metric == "COSINE"))
        if wrong.any():
            what = (
                "only zeros, which has no cosine" if squares[wrong][0] == 0 else "no finite number"
            )
            raise WorkshopError(
                f"The {name}: number {start + int(wrong.argmax()):,} holds {what}. Remove it."
            )


def fingerprint(data: Data) -> str:
    """Changes when what would be read changes."""
    about = {"format": FORMAT, **data.model_dump(mode="json")}
    for path in (data.file, data.queries, data.truth):
        if isinstance(path, Path):
            state = path.stat()
            about[str(path)] = [state.st_size, state.st_mtime_ns]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def exact(vectors: Vectors, k: int) -> np.ndarray:
    """(q, k) int64: the row numbers of the k nearest of each query, found by comparing with all."""
    if vectors.truth is not None and vectors.truth.shape[1] >= k:
        return vectors.truth[:, :k]
    base, queries = vectors.base, vectors.queries
    if vectors.metric == "COSINE":
        base, queries = normalised(base), normalised(queries)
    metric = faiss.METRIC_L2 if vectors.metric == "L2" else faiss.METRIC_INNER_PRODUCT
    return faiss.knn(queries, base, k, metric=metric)[1]


def normalised(matrix: np.ndarray) -> np.ndarray:
    """Rows (n, d) at length 1."""
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def recall(vectors: Vectors, truth: np.ndarray, found: np.ndarray) -> float:
    """Recall@k: the share of the found rows that are as near as the k-th true one.

    Counting by distance, and not by name, does not punish another row that is just as near
    (Aumüller, Bernhardsson and Faithfull 2020, ANN-Benchmarks, section 2.2).

    truth, found   (q, k) int, row numbers; -1 where nothing was found
    """
    near = _nearness(vectors, truth)
    threshold = near.min(axis=1, keepdims=True)
    slack = 1e-6 * np.abs(threshold) + 1e-12
    hits = (_nearness(vectors, found) >= threshold - slack) & (found >= 0)
    # a row found twice is one row
    hits &= np.array(
        [np.isin(np.arange(len(r)), np.unique(r, return_index=True)[1]) for r in found]
    )
    return float(hits.mean())


def _nearness(vectors: Vectors, rows: np.ndarray) -> np.ndarray:
    """(q, k) float64: how near those rows are to the queries; larger is nearer."""
    result = np.empty(rows.shape)
    for i, query in enumerate(vectors.queries.astype(np.float64)):
        near = vectors.base[rows[i]].astype(np.float64)
        if vectors.metric == "L2":
            result[i] = -np.square(near - query).sum(1)
        else:
            result[i] = near @ query
            if vectors.metric == "COSINE":
                result[i] /= np.linalg.norm(near, axis=1) * np.linalg.norm(query)
    return result
