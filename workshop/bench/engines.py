"""What is measured: faiss in this process, Milvus Lite, or a Milvus server."""

import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
import psutil

from workshop.bench.config import Metric
from workshop.bench.data import normalised
from workshop.errors import WorkshopError, without_login
from workshop.paths import home

BATCH = 2_000  # rows of an insert
MESSAGE = 16_000_000  # bytes of vectors in one call; a server takes 64 MB, and lists are larger
SMALLEST_INDEXED = 1_024  # rows; rootCoord.minSegmentSizeToEnableIndex of a server
INDEX_TIMEOUT = 3_600.0
PLACE = "bench"  # the name under which workshop.connect opens Milvus
Say = Callable[[str], None]


class Engine(Protocol):
    """One index on one data set, from empty to searched."""

    version: str

    def refuses(self, type: str, build: dict[str, Any], dim: int, metric: Metric) -> str | None:
        """Why it cannot have such an index, or None."""

    def build(self, base: np.ndarray, type: str, build: dict[str, Any], metric: Metric) -> dict:
        """Take in the rows (n, d) and index them; returns `{step: seconds}`."""

    def searcher(self) -> Callable[[np.ndarray, int, dict[str, Any]], np.ndarray]:
        """A client: (queries (q, d), k, search parameters) to row numbers (q, k), -1 for none."""

    def memory(self) -> int | None:
        """Bytes of memory that whoever holds the index has of its own; None if not seen here."""

    def disk(self) -> int | None:
        """Bytes on disk; None if not seen here."""

    def note(self, rows: int) -> str | None:
        """What to know of figures of so many rows."""

    def close(self) -> None:
        """Leave nothing behind."""


def create(engine: str, say: Say = lambda step: None) -> Engine:
    """The engine that a configuration calls so; `say` is told how far a long step is.

    Raises WorkshopError if it cannot be reached.
    """
    return Faiss(say) if engine == "faiss" else Milvus(address(engine), say)


def address(engine: str) -> str | None:
    """The URI of a server; None for Milvus Lite.

    Raises WorkshopError if that is no engine.
    """
    if engine == "lite":
        return None
    uri = os.environ.get("MILVUS_URI", "").strip() if engine == "server" else engine
    if not uri.startswith(("http://", "https://")):
        raise WorkshopError(
            f"{without_login(uri)!r} is no engine. Known are faiss, lite, server (the one at MILVUS_URI) and the "
            "address of a server, such as http://127.0.0.1:19530."
        )
    if engine != "server" and "@" in uri:  # the report shows it
        raise WorkshopError(
            f"The engine {without_login(uri)} holds a login. Leave it out there, and put it into "
            'MILVUS_TOKEN as "user:password".'
        )
    return uri


def own_memory(process: psutil.Process) -> int:
    """Bytes that are the process's own; pages of files that it only maps do not count."""
    if process.pid == os.getpid():
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
    info = process.memory_info()
    return info.rss - getattr(info, "shared", 0)


class Faiss:
    """The index library inside Milvus, on its own."""

    TYPES = ("FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_PQ", "IVF_SQ8")

    def __init__(self, say: Say) -> None:
        self.version = f"faiss {faiss.__version__}"
        self._say = say
        self._index: faiss.Index | None = None

    def _empty(self, type: str, build: dict[str, Any], dim: int, metric: Metric) -> faiss.Index:
        kind = faiss.METRIC_L2 if metric == "L2" else faiss.METRIC_INNER_PRODUCT
        if type == "FLAT":
            return faiss.IndexFlat(dim, kind)
        if type.startswith("HNSW"):
            if type == "HNSW":
                index = faiss.IndexHNSWFlat(dim, build["M"], kind)
            else:
                quantizer = faiss.ScalarQuantizer.QT_8bit
                index = faiss.IndexHNSWSQ(dim, quantizer, build["M"], kind)
            index.hnsw.efConstruction = build["efConstruction"]
            return index
        cells = faiss.IndexFlat(dim, kind)
        if type == "IVF_FLAT":
            index = faiss.IndexIVFFlat(cells, dim, build["nlist"], kind)
        elif type == "IVF_SQ8":
            index = faiss.IndexIVFScalarQuantizer(
                cells, dim, build["nlist"], faiss.ScalarQuantizer.QT_8bit, kind
            )
        else:
            index = faiss.IndexIVFPQ(
                cells, dim, build["nlist"], build["m"], build.get("nbits", 8), kind
            )
        index.cp.min_points_per_centroid = 1  # else it warns on stderr of small data
        return index

    def refuses(self, type: str, build: dict[str, Any], dim: int, metric: Metric) -> str | None:
        """Why faiss has no such index, or None."""
        if type not in self.TYPES:
            return f"known are {', '.join(self.TYPES)}"
        if type == "HNSW_SQ" and build.get("sq_type", "SQ8") != "SQ8":
            return "of the sq_types it is measured with SQ8"
        try:
            self._empty(type, build, dim, metric)
        except (RuntimeError, TypeError, AssertionError) as error:
            return str(error).splitlines()[0]
        return None

    def build(self, base: np.ndarray, type: str, build: dict[str, Any], metric: Metric) -> dict:
        """Train, where that is needed, and add all rows."""
        self._cosine = metric == "COSINE"
        rows = normalised(base) if self._cosine else np.ascontiguousarray(base)
        self._say("building")
        start = time.perf_counter()
        self._index = self._empty(type, build, base.shape[1], metric)
        self._index.train(rows)
        self._index.add(rows)
        return {"index": time.perf_counter() - start}

    def searcher(self) -> Callable[[np.ndarray, int, dict[str, Any]], np.ndarray]:
        """Safe for several threads at once."""

        def search(queries: np.ndarray, k: int, params: dict[str, Any]) -> np.ndarray:
            if self._cosine:
                queries = normalised(queries)
            # as an argument, since several threads share the index
            options = None
            if "nprobe" in params:
                options = faiss.SearchParametersIVF(nprobe=params["nprobe"])
            elif "ef" in params:
                options = faiss.SearchParametersHNSW(efSearch=params["ef"])
            return self._index.search(queries, k, params=options)[1]

        return search

    def memory(self) -> int | None:
        """Of this process."""
        return own_memory(psutil.Process())

    def disk(self) -> int | None:
        """What the index would take in a file."""
        return len(faiss.serialize_index(self._index)) if self._index else 0

    def note(self, rows: int) -> str | None:
        """Nothing to know."""
        return None

    def close(self) -> None:
        """Nothing to do: the index goes with the process."""


class Milvus:
    """Milvus Lite in this process, or a server at an address."""

    def __init__(self, uri: str | None, say: Say) -> None:
        from workshop.milvus import connect

        self._uri, self._say = uri, say
        before = os.environ.pop("MILVUS_URI", None)
        try:
            if uri:
                os.environ["MILVUS_URI"] = uri
            self._client = connect(PLACE)
        finally:
            os.environ.pop("MILVUS_URI", None)
            if before is not None:
                os.environ["MILVUS_URI"] = before
        version = self._client.get_server_version()
        self.version = version.replace("milvus_lite-", "Milvus Lite ")
        if uri:
            self.version = f"Milvus {version.removeprefix('v')}"

    def _create(self, dim: int) -> None:
        from pymilvus import DataType

        if self._client.has_collection("rows"):
            self._client.drop_collection("rows")
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        # What is searched does not change: no search need wait for what others might be writing.
        self._client.create_collection("rows", schema=schema, consistency_level="Eventually")

    def _insert(self, start: int, rows: np.ndarray) -> None:
        numbered = enumerate(rows.tolist(), start)
        self._client.insert("rows", [{"id": n, "vector": vector} for n, vector in numbered])

    def _create_index(self, type: str, build: dict[str, Any], metric: Metric) -> None:
        params = self._client.prepare_index_params()
        params.add_index(
            "vector",
            index_name="vector",
            index_type=type,
            metric_type=metric,
            params={"params": build},  # nested, or pymilvus 3.0 drops them without a word
        )
        self._client.create_index("rows", params)
        about = self._client.describe_index("rows", "vector")
        arrived = {str(k): str(v) for k, v in (about.get("params") or {}).items()}
        if lost := {k: v for k, v in build.items() if arrived.get(k) != str(v)}:
            raise WorkshopError(f"{self.version} did not take {lost} for its index {type}.")

    def refuses(self, type: str, build: dict[str, Any], dim: int, metric: Metric) -> str | None:
        """Why this Milvus has no such index, asked of it with two rows, or None."""
        from pymilvus import MilvusException

        try:
            self._create(dim)
            # Milvus Lite says yes to any index until it has rows to put in.
            self._insert(0, np.eye(2, dim, dtype=np.float32))
            if self._uri is None:
                self._client.flush("rows")
            self._create_index(type, build, metric)
        except MilvusException as error:
            return error.message.splitlines()[0]
        except WorkshopError as error:
            return str(error)
        finally:
            if self._client.has_collection("rows"):
                self._client.drop_collection("rows")
        return None

    def build(self, base: np.ndarray, type: str, build: dict[str, Any], metric: Metric) -> dict:
        """Insert, flush, index and load; returns only once the index covers every row."""
        from workshop.milvus import wait_for_index

        times = {}

        def step(name: str, action: Callable[[], object]) -> None:
            start = time.perf_counter()
            action()
            times[name] = time.perf_counter() - start

        batch = max(1, min(BATCH, MESSAGE // (4 * base.shape[1])))

        def load() -> None:
            for start in range(0, len(base), batch):
                self._say(f"loading {start / len(base):.0%}")
                self._insert(start, base[start : start + batch])

        self._create(base.shape[1])
        step("load", load)
        self._say("flushing")
        step("flush", lambda: self._client.flush("rows"))

        def index() -> None:
            self._create_index(type, build, metric)
            wait_for_index(self._client, "rows", timeout=INDEX_TIMEOUT)

        self._say("indexing")
        step("index", index)
        self.require_complete_index(len(base))
        return times

    def require_complete_index(self, rows: int) -> None:
        """Raise WorkshopError unless the index covers every row: else a search is no measure of it."""
        from workshop import milvus

        lite = milvus._lite_collection(self._client, "rows")
        total, pending = (
            milvus._lite_rows(lite) if lite else milvus._server_rows(self._client, "rows")
        )
        covered = total - max(pending.values())
        if covered < rows:
            raise WorkshopError(
                f"Not measured: the index of {self.version} covers {covered:,} of {rows:,} rows."
            )

    def searcher(self) -> Callable[[np.ndarray, int, dict[str, Any]], np.ndarray]:
        """Safe for several threads at once."""
        client = self._client

        def search(queries: np.ndarray, k: int, params: dict[str, Any]) -> np.ndarray:
            answer = client.search(
                "rows",
                data=list(queries),
                limit=k,
                search_params={"params": params},
                output_fields=["id"],
            )
            found = np.full((len(queries), k), -1)
            for row, hits in zip(found, answer, strict=True):
                row[: len(hits)] = [hit["id"] for hit in hits]
            return found

        return search

    def memory(self) -> int | None:
        """Of this process, or of the server that `make server` started."""
        if self._uri is None:
            return own_memory(psutil.Process())
        process = self._own_server()
        return own_memory(process) if process else None

    def disk(self) -> int | None:
        """Of the Milvus Lite file, or of the data of the server that `make server` started."""
        if self._uri is None:
            return _size((home() / "milvus" / f"{PLACE}.db").rglob("*"))
        if self._own_server() is None:
            return None
        # of all its files those that hold rows and indexes: logs come on top
        return _size((home() / "server" / "data").rglob("*"))

    def note(self, rows: int) -> str | None:
        """A server leaves small segments without an index, though it says that they have one."""
        if self._uri is None or rows >= SMALLEST_INDEXED:
            return None
        return (
            f"a server does not build the index asked for over fewer than {SMALLEST_INDEXED:,} "
            "rows, and searches with a temporary one of its own"
        )

    def _own_server(self) -> psutil.Process | None:
        """The process of `make server`, if that is what the address leads to."""
        try:
            keeper = json.loads((home() / "server" / "lock").read_text())
            if self._uri != f"http://127.0.0.1:{keeper['port']}":
                return None
            return psutil.Process(keeper["pid"]).children()[0]
        except (OSError, ValueError, psutil.Error, IndexError):
            return None

    def close(self) -> None:
        """Drop what was measured."""
        for collection in self._client.list_collections():
            self._client.drop_collection(collection)
        self._client.close()


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())
