"""From a configuration to results: check everything, then measure what is not measured yet."""

import contextlib
import hashlib
import json
import multiprocessing
import os
import platform
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from tqdm import tqdm

from workshop.bench import data
from workshop.bench.config import Config, Data
from workshop.bench.engines import PLACE, address
from workshop.bench.measure import Cell, label, measure, refusals
from workshop.errors import WorkshopError
from workshop.paths import home


def run(config: Config, out: Path) -> dict[str, Any]:
    """Measure every cell of the grid that `out` does not hold yet; returns all results.

    Everything is checked before anything is measured. Raises WorkshopError, in one line, for what
    does not fit. A cell that fails is told in `failed` and tried again at the next run.
    """
    engines = _engines(config)
    print("Checking the data and asking each engine for its indexes ...", flush=True)
    sets = {each: _described(each, config) for each in config.data}
    versions = {engine: _ask(engine, config, sets) for engine in engines}
    cells = list(_cells(config, engines))
    keys = [_key(cell, versions[cell.engine]) for cell in cells]
    (out / "cells").mkdir(parents=True, exist_ok=True)
    kept = {key: file for key in keys if (file := _cell_file(out, key)).exists()}
    if kept:
        print(f"{len(kept)} of {len(cells)} cells are kept from an earlier run in {out}.")
    truths = {each: _truth(each, config, out) for each in config.data}

    failed = []
    shape = "{desc:70.70} {n}/{total} cells {elapsed}"
    pause = 0.5 if sys.stderr.isatty() else 20  # a log need not tell each step
    with tqdm(total=len(cells), initial=len(kept), bar_format=shape, mininterval=pause) as bar:
        for cell, key in zip(cells, keys, strict=True):
            if key in kept:
                continue
            say = _teller(bar, cell.name)
            try:
                result = _in_a_process(measure, (cell, truths[cell.data]), say)
                _write(_cell_file(out, key), json.dumps(result))
            except WorkshopError as error:
                failed.append({"cell": cell.name, "reason": str(error)})
                bar.write(f"{cell.name}: {error}", file=sys.stderr)
            bar.update()
    _clean_up()
    results = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "config": config.model_dump(
            mode="json", include=set(Config.model_fields) - {"data", "index"}
        ),
        "data": [{"name": each.name, **sets[each]} for each in config.data],
        "cells": [
            {
                "data": cell.data.name,
                "engine": cell.engine,
                "type": cell.type,
                "build": cell.build,
                **json.loads(_cell_file(out, key).read_text(encoding="utf-8")),
            }
            for cell, key in zip(cells, keys, strict=True)
            if _cell_file(out, key).exists()
        ],
        "failed": failed,
    }
    _write(out / "results.json", json.dumps(results, indent=1) + "\n")
    return results


# ----------------------------------------------------------------------- before any work is done


def _engines(config: Config) -> list[str]:
    engines = list(config.engines)
    if "server" in engines and not os.environ.get("MILVUS_URI", "").strip():
        engines.remove("server")
        print("Left out: server, since MILVUS_URI is not set (`make server` starts one).")
    for engine in engines:
        if engine != "faiss":
            address(engine)
    if not engines:
        raise WorkshopError("No engine is left to measure.")
    return engines


def _described(each: Data, config: Config) -> dict[str, Any]:
    vectors = data.read(each)
    rows, dim = vectors.base.shape
    if vectors.note:
        print(f"Note: {vectors.note}.", flush=True)
    if config.k > rows:
        raise WorkshopError(f"k is {config.k}, and {each.name} has {rows:,} rows.")
    for index in config.index:
        for nlist in index.build.get("nlist", []):
            if isinstance(nlist, int) and nlist > rows:
                raise WorkshopError(
                    f"{index.type}: nlist {nlist:,} is more than the {rows:,} rows of {each.name}."
                )
    return {"rows": rows, "dim": dim, "queries": len(vectors.queries), "metric": vectors.metric}


def _ask(engine: str, config: Config, sets: dict[Data, dict[str, Any]]) -> str:
    """The version of an engine that has every index asked of it."""
    wanted = [
        (index.type, build, dim, metric)
        for index in config.index
        if index.engines is None or engine in index.engines
        for build in index.builds()
        for dim, metric in sorted({(about["dim"], about["metric"]) for about in sets.values()})
    ]
    version, answers = _in_a_process(refusals, (engine, wanted), lambda step: None)
    for (type, build, dim, metric), reason in zip(wanted, answers, strict=True):
        if reason is not None:
            raise WorkshopError(
                f"{version} refuses the index {label(type, build)} for {metric} and {dim} "
                f"dimensions: {reason}. Correct it, or say for it which `engines` have it."
            )
    return version


def _cells(config: Config, engines: list[str]) -> Iterator[Cell]:
    for each in config.data:
        for engine in engines:
            for index in config.index:
                if index.engines is not None and engine not in index.engines:
                    continue
                for build in index.builds():
                    yield Cell(each, engine, index.type, build, index.searches(build), config)


def _key(cell: Cell, engine_version: str) -> str:
    """Equal for two cells if the second need not be measured."""
    about = {
        "data": data.fingerprint(cell.data),
        "engine": [engine_version, None if cell.engine == "faiss" else address(cell.engine)],
        "index": [cell.type, cell.build, cell.searches],
        "how": cell.config.model_dump(
            include={"k", "threads", "repeats", "requests", "seconds", "batch_sizes", "clients"}
        ),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:20]


# ------------------------------------------------------------------------------------- measuring


def _in_a_process(function: Callable, args: tuple, say: Callable[[str], None]) -> Any:
    """What the function returns in a process of its own, which leaves nothing in ours."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, function, args), daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            if not ours.poll(1.0):
                say("")
                continue
            try:
                what, value = ours.recv()
            except EOFError:
                process.join()
                raise WorkshopError(
                    f"The process ended with status {process.exitcode}; out of memory, maybe."
                ) from None
            if what == "say":
                say(value)
            elif what == "error":
                raise WorkshopError(value)
            else:
                return value
    finally:
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()
        ours.close()


def _child(pipe: Any, function: Callable, args: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    tqdm.set_lock(threading.RLock())  # its own is shared by processes, and would be left behind
    try:
        pipe.send(("done", function(*args, lambda step: pipe.send(("say", step)))))
    except BrokenPipeError:  # the parent is gone
        pass
    except Exception as error:
        text = " ".join(str(getattr(error, "message", error)).split())
        own = isinstance(error, WorkshopError)
        pipe.send(("error", text if own else f"{type(error).__name__}: {text}"))
    finally:
        pipe.close()
        os._exit(0)  # the threads of an embedded server would keep us waiting


def _teller(bar: tqdm, name: str) -> Callable[[str], None]:
    last = ""

    def say(step: str) -> None:
        nonlocal last
        last = step or last
        bar.set_description_str(f"{name}: {last}", refresh=False)
        if sys.stderr.isatty() or step:
            bar.update(0) if step else bar.refresh()

    return say


def _truth(each: Data, config: Config, out: Path) -> np.ndarray:
    """The exact answer (q, k), found once and kept."""
    file = out / f"truth-{data.fingerprint(each)}-{config.k}.npy"
    if not file.exists():
        vectors = data.read(each)
        if vectors.base.size > 50_000_000:
            print(f"Finding the exact answers in {each.name} ...", flush=True)
        unfinished = file.with_suffix(".part.npy")
        nearest = data.exact(vectors, config.k)
        try:
            data.check_truth(vectors, nearest)
        except WorkshopError as error:
            raise WorkshopError(f"{each.name}: {error}") from None
        np.save(unfinished, nearest)
        unfinished.replace(file)
    return np.load(file)


def _cell_file(out: Path, key: str) -> Path:
    return out / "cells" / f"{key}.json"


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _clean_up() -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(home() / "milvus" / f"{PLACE}.db")


def _machine() -> dict[str, Any]:
    packages = ("faiss-cpu", "milvus-lite", "pymilvus", "numpy")
    return {
        "system": f"{platform.system()} on {platform.machine()}",
        "cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
