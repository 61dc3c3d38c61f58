"""Checks of chapter 04, indexes: recall against speed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from workshop.checks import Wrong, call, register
from workshop.milvus import connect

# ------------------------------------------------------------------------------------------- 4.1


@register(
    "4.1",
    "One query first: how many of its true neighbours are among those it found? Sets forget order "
    "and doubles.",
    "`len(set(f) & set(t))` counts them. Divide by how many there were to find, `len(t)`.",
    "`zip(found, truth)` gives the rows of both, query by query; `np.mean` of their shares is the "
    "recall.",
)
def recall_at_k(recall_at_k: Callable) -> str:
    """Share of true neighbours found, over all queries."""
    truth = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    cases = [
        (truth, 1.0, "everything was found"),
        (truth[:, ::-1], 1.0, "everything was found, in another order"),
        (np.array([[1, 2, 90, 91], [5, 92, 93, 94]]), 0.375, "3 of 8 were found"),
        (np.array([[5, 6, 7, 8], [1, 2, 3, 4]]), 0.0, "each query found the other's neighbours"),
        (np.array([[1, 1, 1, 1], [5, 5, 6, 6]]), 0.375, "rows came back twice: 3 of 8 were found"),
        (np.array([[1, -1, -1, -1], [-1, -1, -1, -1]]), 0.125, "1 of 8 was found, the rest is -1"),
        (np.array([[1, 2, 3, 4], [90, 91, 92, 93]]), 0.5, "all of one query, none of the other"),
    ]
    for found, wanted, what in cases:
        got = call(recall_at_k, found, truth)
        if got is None:
            raise Wrong("your function returns nothing: is there a `return`?")
        if np.ndim(got) or isinstance(got, str):
            raise Wrong(f"one number for all queries is wanted, not {type(got).__name__}")
        if not np.isclose(got, wanted):
            if got > 1:
                raise Wrong(f"{what}: a share is at most 1, this is {got}")
            raise Wrong(f"{what}: the recall is {wanted}, yours is {got:.3f}")
    return "order, doubles and missing hits are treated as they should be"


# ------------------------------------------------------------------------------------------- 4.2


@register(
    "4.2",
    "`vectors.min(axis=0)` is the lowest value of each dimension, shape `(d,)`. From the lowest to "
    "the highest there are 255 steps.",
    "`np.round((vectors - low) / step)` gives the codes as floats; then `.astype(np.uint8)`. "
    "`restore` is the way back: `low + codes * step`.",
    "A dimension without any range has step 0, and 0 / 0 is `nan`: "
    "`np.where(step == 0, 1, step)` divides by 1 instead.",
)
def quantise(quantise: Callable, restore: Callable) -> str:
    """Codes of 8 bits with a range for each dimension, and the way back."""
    rng = np.random.default_rng(4)
    vectors = (rng.normal(size=(200, 6)) * [1, 1, 10, 0.01, 1, 1] + [0, 5, 0, 0, -3, 0]).astype(
        np.float32
    )
    codes, low, step = _parts(quantise, vectors)
    _within_half_a_step(vectors, codes, call(restore, codes, low, step))

    vectors[:, 4] = 0.25
    with np.errstate(all="ignore"):
        codes, low, step = _parts(quantise, vectors)
        back = np.asarray(call(restore, codes, low, step))
    if not np.isfinite(back).all():
        raise Wrong("a dimension in which all rows are equal comes back as nan or infinity")
    if not np.allclose(back[:, 4], 0.25):
        raise Wrong(f"a dimension that is 0.25 in every row comes back as {back[0, 4]:.3f}")
    _within_half_a_step(vectors, codes, back)
    return "a quarter of the memory, and nothing moved by more than half a step"


def _parts(quantise: Callable, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    answer = call(quantise, vectors)
    if not isinstance(answer, tuple) or len(answer) != 3:
        raise Wrong("`quantise` returns three things: codes, low, step")
    codes, low, step = map(np.asarray, answer)
    if codes.dtype != np.uint8:
        raise Wrong(f"codes take one byte each, dtype uint8: these are {codes.dtype}")
    if codes.shape != vectors.shape:
        raise Wrong(f"codes of {vectors.shape} vectors have that shape too, not {codes.shape}")
    if low.size == 1 or step.size == 1:
        raise Wrong(
            "one range for the whole table: a dimension of small numbers is left with few codes. "
            "Give each dimension its own (`axis=0`)"
        )
    if low.shape != (vectors.shape[1],):
        raise Wrong(f"`low` has one value for each dimension, not shape {low.shape}")
    return codes, low, step


def _within_half_a_step(vectors: np.ndarray, codes: np.ndarray, back: np.ndarray) -> None:
    back = np.asarray(back, dtype=float)
    if back.shape != vectors.shape:
        raise Wrong(f"restored vectors have the shape they had, {vectors.shape}, not {back.shape}")
    low, high = vectors.min(axis=0).astype(float), vectors.max(axis=0).astype(float)
    step = (high - low) / 255
    error = np.abs(back - vectors)
    tolerance = 1e-4 * np.maximum(step, 1e-6)
    worst = np.unravel_index((error / np.where(step == 0, 1, step)).argmax(), error.shape)
    if (error <= step / 2 * 1.01 + tolerance + 1e-6).all():
        return
    said = f"{vectors[worst]:.4f} comes back as {back[worst]:.4f}"
    if (error > 100 * step + 1e-6)[:, step > 0].any() and codes[worst] <= 1:
        raise Wrong(
            f"{said}: the highest value became code {codes[worst]}. A byte holds 0 to 255, and "
            "256 wraps around to 0"
        )
    if (error <= step * 1.02 + tolerance + 1e-6).all():
        raise Wrong(
            f"{said}, off by nearly a whole step: `astype` cuts the fraction off. Round first"
        )
    raise Wrong(f"{said}, though its dimension has steps of {step[worst[1]]:.4f}")


# ------------------------------------------------------------------------------------------- 4.3


def _run(name: str, recall: float, ms: float, megabytes: float) -> dict:
    return {"name": name, "recall": recall, "ms": ms, "MB": megabytes}


@register(
    "4.3",
    "First keep the runs that meet both demands; then take the fastest of those.",
    "`[run for run in runs if run['recall'] >= recall and run['MB'] <= megabytes]`",
    "`min(..., key=lambda run: run['ms'], default=None)` is the fastest, or None of none.",
)
def choose(choose: Callable) -> str:
    """The fastest run that meets both demands, or None."""
    runs = [
        _run("exact", 1.0, 2.0, 17.0),
        _run("cells", 0.97, 0.2, 17.5),
        _run("small cells", 0.96, 0.25, 4.5),
        _run("small cells, all", 0.99, 1.5, 4.5),
        _run("graph", 0.98, 0.05, 19.0),
        _run("graph, wide", 0.995, 0.1, 19.0),
        _run("hasty", 0.7, 0.01, 4.5),
    ]
    cases = [
        (0.95, 100, "graph", "any memory"),
        (0.98, 100, "graph", "a run that has exactly the recall asked for counts"),
        (0.99, 100, "graph, wide", "any memory"),
        (0.95, 18, "cells", "the graphs need 19 MB"),
        (0.95, 17.5, "cells", "a run that needs exactly the memory there is counts"),
        (0.95, 5, "small cells", "only 5 MB"),
        (0.99, 5, "small cells, all", "only 5 MB"),
        (1.0, 100, "exact", "nothing may be missed"),
        (0.5, 100, "hasty", "half the neighbours are enough"),
    ]
    for recall, megabytes, wanted, why in cases:
        got = call(choose, runs, recall, megabytes)
        asked = f"recall {recall}, {megabytes} MB ({why})"
        if got is None:
            raise Wrong(f"{asked}: None, but {wanted!r} meets both")
        if got not in runs:
            raise Wrong(f"{asked}: return one of the runs as it is, not {got!r}")
        if got["recall"] < recall:
            raise Wrong(f"{asked}: {got['name']!r} has a recall of {got['recall']} only")
        if got["MB"] > megabytes:
            raise Wrong(f"{asked}: {got['name']!r} needs {got['MB']} MB")
        if got["name"] != wanted:
            raise Wrong(f"{asked}: {got['name']!r} meets both, but {wanted!r} is faster")
        if call(choose, runs[::-1], recall, megabytes) != got:
            raise Wrong("the same runs in another order give another answer")
    for runs_given, recall, megabytes in ((runs, 0.999, 5), (runs, 0.9, 1), ([], 0.5, 100)):
        try:
            got = call(choose, runs_given, recall, megabytes)
        except (ValueError, IndexError) as error:
            raise Wrong(f"when no run meets both, return None; yours raises: {error}") from None
        if got is not None:
            raise Wrong(f"no run meets recall {recall} within {megabytes} MB, yet you chose {got}")
    return "the fastest that is good enough, or nothing"


# ------------------------------------------------------------------------------------------- 4.4


class _Forgetful:
    """A real client whose `describe_index` leaves parameters out, as if they had been dropped."""

    def __init__(self, client: MilvusClient, forgotten: tuple[str, ...]):
        self._client, self._forgotten = client, forgotten

    def __getattr__(self, name: str):
        return getattr(self._client, name)

    def describe_index(self, *args, **kwargs) -> dict:
        described = dict(self._client.describe_index(*args, **kwargs))
        kept = {k: v for k, v in described.pop("params", {}).items() if k not in self._forgotten}
        return {**described, "params": kept} if kept else described


@contextmanager
def _rows() -> Iterator[MilvusClient]:
    """A client with a collection "rows" of 300 rows, and no index yet."""
    client = connect("04_checks")
    try:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
        client.create_collection("rows", schema=schema)
        vectors = np.random.default_rng(1).normal(size=(300, 8)).tolist()
        client.insert("rows", [{"id": i, "vector": v} for i, v in enumerate(vectors)])
        yield client
    finally:
        client.close()


@register(
    "4.4",
    "Print `client.describe_index(collection, 'vector')` after each form that you try: only what "
    "is under `params` has reached the index.",
    "What arrives is the dictionary *inside* the dictionary: `params={'params': params}`.",
    "`client.describe_index(collection, 'vector').get('params', {})` is what arrived. Compare it "
    "with what was asked, raise ValueError if they differ, else return it.",
    seconds=60,
)
def create_index(create_index: Callable) -> str:
    """Parameters reach the index, and the function looks whether they did."""
    for kind, params in (
        ("HNSW", {"M": 8, "efConstruction": 40}),
        ("IVF_FLAT", {"nlist": 4}),
        ("FLAT", {}),
    ):
        with _rows() as client:
            try:
                got = _call_on(client, create_index, kind, params)
            except MilvusException as error:
                raise Wrong(f"{kind}: Milvus refuses: {error.message}") from error
            if not client.list_indexes("rows"):
                raise Wrong(f"{kind}: there is no index afterwards")
            described = client.describe_index("rows", "vector")
            arrived = described.get("params", {})
            if described["index_type"] != kind:
                raise Wrong(f"a {kind} was asked for, there is a {described['index_type']}")
            if described["metric_type"] != "COSINE":
                raise Wrong(f"{kind}: the metric is {described['metric_type']}, not COSINE")
            if lost := sorted(set(params) - set(arrived)):
                raise Wrong(
                    f"{kind}: {' and '.join(lost)} never reached the index. `describe_index` says "
                    f"{dict(described)}"
                )
            if arrived != params:
                raise Wrong(f"{kind}: {params} was asked for, the index has {arrived}")
            if got != arrived:
                raise Wrong(f"{kind}: return what the index has, {arrived}, not {got!r}")
    params = {"M": 8, "efConstruction": 40}
    for forgotten in (("M", "efConstruction"), ("efConstruction",)):
        with _rows() as client:
            try:
                got = create_index(_Forgetful(client, forgotten), "rows", "HNSW", dict(params))
            except ValueError:
                continue
            except Exception as error:
                raise Wrong(
                    f"when `describe_index` does not show {' and '.join(forgotten)}, raise "
                    f"ValueError, not {type(error).__name__}: {error}"
                ) from error
        raise Wrong(
            f"`describe_index` does not show {' and '.join(forgotten)}, and you return {got!r} as if "
            "all were well. Ask Milvus, and raise ValueError"
        )
    return "what was asked for is what was built, and the proof comes from Milvus"


def _call_on(client: MilvusClient, create_index: Callable, kind: str, params: dict) -> object:
    """The learner's function on the check's collection, with parameters of its own."""
    try:
        return create_index(client, "rows", kind, dict(params))
    except (ValueError, KeyError) as error:
        described = client.describe_index("rows", "vector") if client.list_indexes("rows") else None
        if described is None or described.get("params", {}) == params:
            raise Wrong(
                f"{kind} with {params}: raises {type(error).__name__}({error}), though nothing is "
                "amiss"
            ) from error
        raise Wrong(
            f"{kind}: you noticed that {params} did not arrive; now make it arrive. "
            f"`describe_index` says {dict(described)}"
        ) from error
