"""Vectors in the formats that people have, and the exact answers to measure recall against."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from workshop.bench.config import DIM, METRICS, Data, Metric
from workshop.errors import WorkshopError

FORMATS = ".npy, .fvecs, .bvecs and .hdf5 (as of ann-benchmarks), and an .npz of one array"
HDF5 = (".hdf5", ".h5", ".hdf")
BLOCK = 8_000_000  # numbers looked at in one go
FORMAT = 3  # raised when the same data would be read or measured in another way
MODERATE = 1e-12, 1e12  # between them no square of a float32 is lost


@dataclass(frozen=True)
class Vectors:
    """What a data set holds.

    base      (n, d) float32, the rows to search among
    queries   (q, d) float32
    truth     (q, t) int64, row numbers of the nearest, best first, as its file says, or None
    note      what a person should know of how the files were read; empty if nothing
    """

    base: np.ndarray
    queries: np.ndarray
    truth: np.ndarray | None
    metric: Metric
    note: str = ""


@dataclass(frozen=True)
class _Part:
    """A matrix, what a person calls it, and the number there of each of its rows."""

    rows: np.ndarray
    name: str
    numbers: Sequence[int] | np.ndarray

    def only(self, numbers: np.ndarray) -> "_Part":
        """Some of its rows, read into memory."""
        return _Part(self.rows[numbers], self.name, numbers)

    def first(self, count: int) -> "_Part":
        """Its first rows."""
        return _Part(self.rows[:count], self.name, self.numbers[:count])


def read(data: Data) -> Vectors:
    """The vectors of a data set; the same each time.

    Raises WorkshopError, in one line, if a file cannot be read or does not fit the others.
    """
    if data.synthetic is not None and isinstance(data.queries, int):
        return _clusters(data.synthetic, data.dim or DIM, data.queries, data.metric or "COSINE")
    assert data.file is not None  # noqa: S101  (Data takes one of the two)
    parts, metric = _file(data.file, data.metric)
    base, queries, truth = _roles(data, parts)
    notes = []
    if data.rows is not None and data.rows < len(base.rows):
        base = base.first(data.rows)
        if truth is not None:
            truth = None
            notes.append(
                f"the ground truth of {data.file} is of all its rows, and is left aside for the "
                f"first {data.rows:,}"
            )
    if queries.rows.shape[1] != base.rows.shape[1]:
        raise WorkshopError(
            f"The rows of {base.name} have {base.rows.shape[1]} numbers and its queries "
            f"{queries.rows.shape[1]}: they must have as many."
        )
    if truth is not None:
        truth = _row_numbers(truth, len(queries.rows), len(base.rows))
    asked, searched = _sizes(queries, metric), _sizes(base, metric)
    scales = _scales(searched, asked, metric)
    if any(scale is not None for scale in scales):
        notes.append(
            f"the numbers of {data.file} are measured scaled by powers of two, which changes no "
            f"neighbour by {metric}: squares of numbers so large or small are lost in float32"
        )
    return Vectors(
        _scaled(base.rows, scales[0]),
        np.ascontiguousarray(_scaled(queries.rows, scales[1])),
        truth,
        metric,
        "; ".join(notes),
    )


def _roles(data: Data, parts: "dict[str, _Part]") -> "tuple[_Part, _Part, _Part | None]":
    """Which matrix is searched among, which are the queries and which the ground truth."""
    base, own = parts["base"], parts.get("queries")
    truth = parts.get("truth")
    if isinstance(data.queries, Path):
        queries = _matrix(data.queries)
        truth = None if own else truth  # it belongs to the file's own queries
    elif own is None:
        if data.truth or truth:
            raise WorkshopError(
                f"A ground truth goes with the queries that it is of, and {base.name} has none: "
                'name their file, as in queries = "queries.npy", or leave the truth out.'
            )
        if data.queries >= len(base.rows):
            raise WorkshopError(
                f"{base.name} has {len(base.rows):,} rows: too few to hold out {data.queries:,} as "
                "queries. Say a smaller number, or name a file of queries."
            )
        # spread over the file, which may be sorted: its last rows would all be of one kind
        held = np.linspace(0, len(base.rows) - 1, data.queries, dtype=int)
        kept = np.delete(np.arange(len(base.rows)), held)
        return base.only(kept), base.only(held), None
    else:
        if "queries" in data.model_fields_set:
            raise WorkshopError(
                f"{data.file} has queries of its own, under `test`: leave out queries = "
                f"{data.queries}, or name a file of queries."
            )
        queries = own
    return base, queries, _matrix(data.truth) if data.truth else truth


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


def _file(path: Path, metric: Metric | None) -> tuple[dict[str, _Part], Metric]:
    """The matrices of a file by their part, and the metric: as asked, as it says, or L2."""
    if path.suffix.lower() in HDF5:
        return _hdf5(path, metric)
    return {"base": _matrix(path)}, metric or "L2"


def _matrix(path: Path) -> _Part:
    """An (n, d) matrix of a file, read from the disk as it is used."""
    readers = {".npy": _npy, ".npz": _npz, ".fvecs": _vecs, ".bvecs": _vecs, ".ivecs": _vecs}
    if path.suffix.lower() not in readers:
        raise WorkshopError(f"{path} is of a format that is not read here. Read are {FORMATS}.")
    try:
        matrix = readers[path.suffix.lower()](path)
    except WorkshopError:
        raise
    except OSError as error:
        raise WorkshopError(f"Cannot read {path}: {error.strerror or error}.") from None
    except Exception as error:  # a broken file meets NumPy in more ways than it documents
        raise WorkshopError(
            f"{path} is broken or not what its name says: {_line(error)}."
        ) from None
    return _part(matrix, str(path))


def _part(matrix: Any, name: str) -> _Part:
    """What a file holds, if that is rows of numbers: an array, or anything of HDF5."""
    shape, dtype = getattr(matrix, "shape", None), getattr(matrix, "dtype", None)
    if shape is None or len(shape) != 2 or 0 in shape or dtype.kind not in "fiu":
        kind = type(matrix).__name__.lower() if dtype is None else dtype
        raise WorkshopError(
            f"{name} holds {kind}{f' of shape {shape}' if dtype is not None else ''}, and a matrix "
            "of numbers with one row for each vector is needed."
        )
    return _Part(matrix[:], name, range(shape[0]))


def _line(error: BaseException) -> str:
    """What an error says, in one line, without its full stop."""
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")


def _npy(path: Path) -> np.ndarray:
    matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(matrix, np.ndarray):
        matrix.close()
        raise WorkshopError(
            f"{path} is an archive of arrays: give it the name {path.stem}.npz, or save its one "
            "array with numpy.save."
        )
    return matrix


def _npz(path: Path) -> np.ndarray:
    zipfile.ZipFile(path).close()  # NumPy would read other formats, too, under that name
    with np.load(path, allow_pickle=False) as archive:
        if len(archive.files) != 1:
            raise WorkshopError(
                f"{path} holds the arrays {', '.join(archive.files) or '(none)'}, and one is read "
                "from such a file: save each as a .npy of its own."
            )
        return archive[archive.files[0]]


def _vecs(path: Path) -> np.ndarray:
    """Each vector as its length, an int32, and then its numbers (corpus-texmex.irisa.fr)."""
    kind = np.dtype({".fvecs": "<f4", ".bvecs": "u1", ".ivecs": "<i4"}[path.suffix.lower()])
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


def _hdf5(path: Path, metric: Metric | None) -> tuple[dict[str, _Part], Metric]:
    """Of a file as ann-benchmarks makes them: `train`, `test`, `neighbors` and its distance."""
    import h5py

    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise WorkshopError(f"Cannot read {path}: {what}.")
    names = {"base": "train", "queries": "test", "truth": "neighbors"}
    try:
        with h5py.File(path) as file:
            distance = file.attrs.get("distance", "euclidean")
            there = sorted(file)
            parts = {
                ours: _part(_opened(file, theirs), f"{path}, `{theirs}`,")
                for ours, theirs in names.items()
                if theirs in there
            }
    except WorkshopError:
        raise
    except Exception as error:  # a broken file meets h5py in more ways than it documents
        raise WorkshopError(f"{path} is broken or not HDF5: {_line(error)}.") from None
    if "base" not in parts:
        raise WorkshopError(
            f"{path} holds no dense vectors under `train` (and `test`), which are looked for; it "
            f"holds: {', '.join(there) or 'nothing'}."
        )
    if isinstance(distance, np.ndarray) and distance.size == 1:
        distance = distance.item()
    if isinstance(distance, bytes):
        distance = distance.decode(errors="replace")
    said = METRICS.get(distance.lower()) if isinstance(distance, str) else None
    if metric is None and said is None:
        raise WorkshopError(
            f"{path} is for the distance {distance!r}; measured here are {', '.join(METRICS)}. "
            'Say which one is meant, as in metric = "COSINE".'
        )
    return parts, metric or said


def _opened(file: Any, name: str) -> Any:
    try:
        return file[name]
    except KeyError:
        raise WorkshopError(
            f"{file.filename}: `{name}` is a link that leads nowhere: copy what it should lead to "
            "into the file."
        ) from None


def _row_numbers(part: _Part, queries: int, rows: int) -> np.ndarray:
    """A ground truth (queries, t) int64, if it can be one of so many queries and rows."""
    truth = part.rows
    with np.errstate(invalid="ignore"):
        whole = truth == np.trunc(truth)
        wrong = ~(whole & (truth >= 0) & (truth < rows)).all(axis=1)
    if len(truth) != queries or wrong.any():
        what = f"it has {len(truth):,} rows"
        if wrong.any():
            worst = int(wrong.argmax())
            good = whole[worst] & (truth[worst] >= 0) & (truth[worst] < rows)
            what = f"its row {worst:,} has {truth[worst][~good][0]}"
        raise WorkshopError(
            f"The ground truth of {part.name} does not fit, since {what}: it must name, for each "
            f"of the {queries:,} queries, rows from 0 to {rows - 1:,}, as whole numbers."
        )
    return np.asarray(truth, np.int64)


def _sizes(part: _Part, metric: Metric) -> np.ndarray:
    """(n,) float64: the largest number of each row, by magnitude.

    Raises WorkshopError if a row has no place among vectors.
    """
    found = []
    for piece in _pieces(part.rows):
        block = np.asarray(part.rows[piece])
        # not np.abs, which leaves the smallest int8 negative
        high, low = block.max(axis=1).astype(np.float64), block.min(axis=1).astype(np.float64)
        sizes = np.maximum(high, -low)
        wrong = ~np.isfinite(sizes) | ((sizes == 0) & (metric == "COSINE"))
        if wrong.any():
            at = int(wrong.argmax())
            what = "only zeros, which has no cosine" if sizes[at] == 0 else "no finite number"
            raise WorkshopError(
                f"The rows of {part.name.rstrip(',')}, counted from 0: number "
                f"{part.numbers[piece.start + at]:,} holds {what}. Remove it."
            )
        found.append(sizes)
    return np.concatenate(found)


Scale = np.ndarray | float | None


def _scales(base: np.ndarray, queries: np.ndarray, metric: Metric) -> tuple[Scale, Scale]:
    """Powers of two that bring sizes near 1, or None where they need none.

    Cosine knows no lengths: each row has its own. By inner product rows and queries may have one
    each, and by L2 they have one in common.
    """
    if metric == "COSINE":
        return _per_row(base), _per_row(queries)
    if metric == "IP":
        return _common(base), _common(queries)
    both = _common(np.concatenate([base, queries]))
    return both, both


def _per_row(sizes: np.ndarray) -> np.ndarray | None:
    odd = (sizes < MODERATE[0]) | (sizes > MODERATE[1])
    return (
        np.where(odd, np.exp2(-np.frexp(sizes)[1].astype(np.float64)), 1.0) if odd.any() else None
    )


def _common(sizes: np.ndarray) -> float | None:
    largest = float(sizes.max())
    if largest == 0 or MODERATE[0] <= largest <= MODERATE[1]:
        return None
    return float(np.exp2(-float(np.frexp(largest)[1])))


def _scaled(rows: np.ndarray, scale: Scale) -> np.ndarray:
    """The rows as float32, the same array if they are so already."""
    if scale is None:
        return np.asarray(rows, np.float32)
    scales = np.broadcast_to(scale, len(rows))
    result = np.empty(rows.shape, np.float32)
    for piece in _pieces(rows):
        result[piece] = rows[piece].astype(np.float64) * scales[piece, None]
    return result


def _pieces(rows: np.ndarray) -> Iterator[slice]:
    """So many rows at a time that memory does not matter."""
    step = max(1, BLOCK // rows.shape[1])
    return (slice(start, start + step) for start in range(0, len(rows), step))


def fingerprint(data: Data) -> str:
    """Changes when what would be read changes."""
    about = {"format": FORMAT, **data.model_dump(mode="json")}
    for path in (data.file, data.queries, data.truth):
        if isinstance(path, Path):
            state = path.stat()
            about[str(path)] = [state.st_size, state.st_mtime_ns]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def exact(vectors: Vectors, k: int) -> np.ndarray:
    """(q, k) int64: the row numbers of the k nearest of each query, found by comparing with all.

    A ground truth that came along is not used: see check_truth.
    """
    if vectors.metric == "L2":
        # about their middle: faiss loses small distances between vectors far from zero
        middle = vectors.base.mean(axis=0, dtype=np.float64)
        metric, sign = faiss.METRIC_L2, 1
    else:
        metric, sign = faiss.METRIC_INNER_PRODUCT, -1

    def prepared(rows: np.ndarray) -> np.ndarray:
        if vectors.metric == "L2":
            return (rows - middle).astype(np.float32)
        return normalised(rows) if vectors.metric == "COSINE" else np.ascontiguousarray(rows)

    queries = prepared(vectors.queries)
    far = np.empty((len(queries), 0), np.float32)
    found = np.empty((len(queries), 0), np.int64)
    for piece in _pieces(vectors.base):
        block = prepared(vectors.base[piece])
        values, rows = faiss.knn(queries, block, min(k, len(block)), metric=metric)
        far, found = np.hstack([far, sign * values]), np.hstack([found, rows + piece.start])
        order = np.argsort(far, axis=1, kind="stable")[:, :k]
        far = np.take_along_axis(far, order, axis=1)
        found = np.take_along_axis(found, order, axis=1)
    return found


def check_truth(vectors: Vectors, nearest: np.ndarray) -> None:
    """Raise WorkshopError if the ground truth that came along is not that of these vectors.

    A wrong one would make any index look perfect: what an index finds is as near as rows that
    are not near at all.

    nearest   (q, k) int, of `exact`
    """
    truth = vectors.truth
    if truth is None or (wrong := _misfit(vectors, truth, nearest)) is None:
        return
    if truth.min() > 0 and _misfit(vectors, truth - 1, nearest) is None:
        raise WorkshopError(
            "The ground truth counts the rows from 1, and here they are counted from 0: subtract 1."
        )
    query, rank = wrong
    raise WorkshopError(
        f"The ground truth does not belong to these vectors: for query {query:,} its nearest "
        f"{rank + 1} rows are {_few(truth[query, : rank + 1])}, and by {vectors.metric} they are "
        f"{_few(nearest[query, : rank + 1])}. It is of other rows or queries, or of another metric; "
        "without one, the exact answers are found by comparing."
    )


def _few(numbers: np.ndarray) -> str:
    return ", ".join(map(str, numbers[-3:])) if len(numbers) <= 3 else f"… {_few(numbers[-3:])}"


def _misfit(vectors: Vectors, truth: np.ndarray, nearest: np.ndarray) -> tuple[int, int] | None:
    """The first query, and its first rank, for which the truth names a row that is too far."""
    k = min(truth.shape[1], nearest.shape[1])
    given = -np.sort(-_nearness(vectors, truth[:, :k]), axis=1)
    best = -np.sort(-_nearness(vectors, nearest[:, :k]), axis=1)
    # as much as whoever computed it in float32 may have erred
    size = np.ones((len(given), 1))
    if vectors.metric != "COSINE":
        middle = vectors.base.mean(axis=0, dtype=np.float64) * (vectors.metric == "L2")
        size = np.square(vectors.queries - middle).sum(axis=1, keepdims=True)
    if vectors.metric == "IP":
        size = np.sqrt(size) * _longest(vectors, truth[:, :k])
    wrong = best - given > 1e-5 * np.abs(best) + 1e-6 * size
    # a row named twice takes the place of another, and seems as near
    wrong |= ~_first_of_its_kind(truth[:, :k])
    at = np.argwhere(wrong)
    return (int(at[0, 0]), int(at[0, 1])) if len(at) else None


def normalised(matrix: np.ndarray) -> np.ndarray:
    """Rows (n, d) at length 1."""
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def recall(vectors: Vectors, truth: np.ndarray, found: np.ndarray) -> float:
    """Recall@k: the share of the found rows that are as near as the k-th true one.

    Counting by distance, and not by name, does not punish another row that is just as near
    (Aumüller, Bernhardsson and Faithfull 2020, ANN-Benchmarks, section 2.2).

    truth, found   (q, k) int, row numbers; -1 where nothing was found
    """
    threshold = _nearness(vectors, truth).min(axis=1, keepdims=True)
    # what rounding may do: in proportion, or tiny vectors would all be as near as each other
    rounding = 1e-12 if vectors.metric == "COSINE" else 0.0
    if vectors.metric == "IP":
        lengths = np.linalg.norm(vectors.queries.astype(np.float64), axis=1, keepdims=True)
        rounding = 1e-12 * lengths * _longest(vectors, truth)
    slack = 1e-6 * np.abs(threshold) + rounding
    hits = (_nearness(vectors, found) >= threshold - slack) & (found >= 0)
    return float((hits & _first_of_its_kind(found)).mean())


def _first_of_its_kind(rows: np.ndarray) -> np.ndarray:
    """(q, k) bool: whether that number is not in its row already."""
    return np.array([np.isin(np.arange(len(r)), np.unique(r, return_index=True)[1]) for r in rows])


def _longest(vectors: Vectors, rows: np.ndarray) -> np.ndarray:
    """(q, 1) float64: the length of the longest of those rows."""
    lengths = [np.linalg.norm(vectors.base[r].astype(np.float64), axis=1).max() for r in rows]
    return np.array(lengths)[:, None]


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
