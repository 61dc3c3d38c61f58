"""One cell of the grid: one index on one data set in one engine, built and searched."""

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

import numpy as np

from workshop.bench import data
from workshop.bench.config import Config, Data, Metric
from workshop.bench.engines import Milvus, Say, create

WARM_UP = 3  # requests of each client before each measure


@dataclass(frozen=True)
class Cell:
    """What is measured."""

    data: Data
    engine: str
    type: str
    build: dict[str, Any]
    searches: list[dict[str, Any]]
    config: Config

    @property
    def name(self) -> str:
        """Short, for people."""
        return f"{self.data.name} · {self.engine} · {label(self.type, self.build)}"


def label(type: str, params: dict[str, Any]) -> str:
    """An index and its parameters, such as HNSW M=16."""
    return " ".join([type, *(f"{key}={value}" for key, value in params.items())])


def refusals(
    engine: str, wanted: list[tuple[str, dict[str, Any], int, Metric]], say: Say
) -> tuple[str, list[str | None]]:
    """The engine's version, and for each (type, build, dim, metric) why it cannot have it, or None."""
    it = create(engine, say)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # faiss warns that the two rows it gets are few
    answers = []
    for type, build, dim, metric in wanted:
        say(f"asking for {label(type, build)}")
        answers.append(it.refuses(type, build, dim, metric))
    it.close()
    return it.version, answers


def measure(cell: Cell, truth: np.ndarray, say: Say) -> dict[str, Any]:
    """Build the index and search it in every way of the grid.

    truth   (q, k) int, the exact answer

    Raises WorkshopError if the index does not come to cover every row.
    """
    vectors = data.read(cell.data)
    engine = create(cell.engine, say)
    before = engine.memory(), engine.disk()
    times = engine.build(vectors.base, cell.type, cell.build, vectors.metric)
    search = engine.searcher()
    for _ in range(WARM_UP):  # what is loaded at the first search belongs to its memory
        search(vectors.queries[:1], cell.config.k, cell.searches[0])
    after = engine.memory(), engine.disk()
    result: dict[str, Any] = {
        "version": engine.version,
        "seconds": times,
        "memory_bytes": _growth(before[0], after[0]),
        "disk_bytes": _growth(before[1], after[1]),
        "note": engine.note(len(vectors.base)),
        "searches": [],
    }
    recalls = []
    for params in cell.searches:
        found = [
            search(vectors.queries[start : start + 100], cell.config.k, params)
            for start in range(0, len(vectors.queries), 100)
        ]
        recalls.append(data.recall(vectors, truth, np.concatenate(found)))
    for params, score, rows in zip(
        cell.searches, recalls, _times(cell, search, vectors.queries, say), strict=True
    ):
        result["searches"].append({"params": params, "recall": score, "measures": rows})
    if isinstance(engine, Milvus):
        engine.require_complete_index(len(vectors.base))  # still so, after all searches
    engine.close()
    return result


def _growth(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(after - before, 0)


def _times(
    cell: Cell, search: Callable, queries: np.ndarray, say: Say
) -> list[list[dict[str, Any]]]:
    """For each search of the cell, one row for each batch size and number of clients."""
    config = cell.config
    ways = list(product(range(len(cell.searches)), config.batch_sizes, config.clients))
    runs = [way for way in ways for _ in range(config.repeats)]
    random.Random(0).shuffle(runs)  # noqa: S311
    kept: dict[tuple, list[dict[str, float]]] = {way: [] for way in ways}
    for done, (which, batch, clients) in enumerate(runs):
        say(f"searching {done / len(runs):.0%}")
        pool = np.resize(queries, (max(len(queries), batch), queries.shape[1]))
        kept[which, batch, clients].append(
            _run(search, pool, batch, clients, config, cell.searches[which])
        )
    return [
        [
            {"batch_size": batch, "clients": clients, **_summary(kept[which, batch, clients])}
            for batch, clients in product(config.batch_sizes, config.clients)
        ]
        for which in range(len(cell.searches))
    ]


def _run(
    search: Callable, pool: np.ndarray, batch: int, clients: int, config: Config, params: dict
) -> dict[str, float]:
    """Latencies and throughput of one run: so many clients, each asking again and again."""
    times: list[list[float]] = [[] for _ in range(clients)]
    failures: list[BaseException] = []
    barrier = threading.Barrier(clients + 1)

    def client(number: int) -> None:
        # each client begins elsewhere, so that no two ask the same at once
        starts = np.arange(0, len(pool) - batch + 1, batch)
        starts = np.roll(starts, -number * len(starts) // clients)
        try:
            for start in np.resize(starts, WARM_UP):
                search(pool[start : start + batch], config.k, params)
            barrier.wait()
            end = time.perf_counter() + config.seconds
            for turn in range(config.requests):
                start = starts[turn % len(starts)]
                asked = time.perf_counter()
                search(pool[start : start + batch], config.k, params)
                answered = time.perf_counter()
                times[number].append(answered - asked)
                if turn >= 2 and answered > end:
                    break
        except BaseException as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if failures:
        raise next(
            (e for e in failures if not isinstance(e, threading.BrokenBarrierError)), failures[0]
        )
    every = np.concatenate(times)
    p50, p95, p99 = np.percentile(every, [50, 95, 99])
    qps = batch * len(every) / took
    return {"p50": p50, "p95": p95, "p99": p99, "qps": qps, "requests": len(every)}


def _summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Median, smallest and largest of the repeats; latencies in milliseconds."""
    summary: dict[str, Any] = {"requests": int(sum(run["requests"] for run in runs))}
    for ours, theirs, scale in (
        ("p50_ms", "p50", 1000),
        ("p95_ms", "p95", 1000),
        ("p99_ms", "p99", 1000),
        ("queries_per_second", "qps", 1),
    ):
        values = [float(run[theirs]) * scale for run in runs]
        summary[ours] = {"median": median(values), "min": min(values), "max": max(values)}
    return summary
