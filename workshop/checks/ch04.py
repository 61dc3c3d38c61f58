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
    "Begin with one query: how many of its true rows are among those that it found? Python's sets "
    "forget order and doubles.",
    "With `set(...) & set(...)` you get what two lines have in common. Divide by how many there were to find.",
    "`zip(found, nearest)` gives the two lines of each query. Take the mean of the shares with `np.mean`.",
)
def recall_at_k(recall_at_k: Callable) -> str:
    """Share of true neighbours found, over all queries."""
    true = np.array([[1, 2, 3, 0], [5, 6, 7, 8]])
    long = np.arange(60).reshape(3, 20)
    cases = [
        (true, true, 1.0, "everything was found"),
        (true[:, ::-1], true, 1.0, "everything was found, in another order"),
        ([[1, 2, 90, 91], [5, 92, 93, 94]], true, 0.375, "3 of 8 were found"),
        ([[0, 91, 92, 93], [95, 92, 93, 94]], true, 0.125, "only row 0 was found, 1 of 8"),
        ([[5, 6, 7, 8], [1, 2, 3, 0]], true, 0.0, "each query found the other's rows"),
        ([[1, 1, 1, 1], [5, 5, 6, 6]], true, 0.375, "rows came back twice: 3 of 8 were found"),
        ([[1, -1, -1, -1], [-1, -1, -1, -1]], true, 0.125, "1 of 8 was found, the rest is -1"),
        ([[1, 2, 3, 0], [90, 91, 92, 93]], true, 0.5, "all rows of one query, none of the other"),
        ([[7], [9], [4]], [[7], [8], [4]], 2 / 3, "three queries, k is 1: 2 of 3 were found"),
        (long + 5, long, 0.75, "three queries, k is 20: 15 of 20 were found for each"),
        ([[3, 4, 5]], [[5, 3, 9]], 2 / 3, "one query, k is 3: 2 of 3 were found"),
    ]
    for found, nearest, wanted, what in cases:
        got = call(recall_at_k, np.array(found, np.int64), np.array(nearest, np.int64))
        if got is None:
            raise Wrong("your function returns nothing: is there a `return`?")
        if np.ndim(got) or isinstance(got, str | dict | set) or not np.isreal(got):
            raise Wrong(f"one number for all queries is wanted, not {type(got).__name__}")
        if not np.isclose(float(got), wanted):
            if got > 1:
                raise Wrong(f"{what}: a share is at most 1, this is {float(got):g}")
            raise Wrong(f"{what}: the recall is {wanted:.3f}, yours is {float(got):.3f}")
    return "order, doubles and missing hits are treated as they should be"


# ------------------------------------------------------------------------------------------- 4.2


@register(
    "4.2",
    "`table.min(axis=0)` is the lowest value of each column, shape `(d,)`. From the lowest value to the highest "
    "there are 255 steps.",
    "How many steps is a value above `low`? Subtract, divide, and round *before* you make it `uint8`. "
    "`restore` goes the same way back.",
    "A column of equal values has a range of 0. Give it another step, such as 1, before you divide: all its codes "
    "are 0 then.",
    "`step[step == 0] = 1` mends those columns; then `np.round((table - low) / step).astype(np.uint8)`.",
)
def quantise(quantise: Callable, restore: Callable) -> str:
    """Codes of 8 bits with a range for each dimension, and the way back."""
    rng = np.random.default_rng(4)
    spread = rng.normal(size=(200, 6)) * [1, 1, 10, 0.01, 1, 1] + [0, 5, 0, 0, -3, 0]
    for dtype in (np.float32, np.float64):
        table = spread.astype(dtype)
        codes, low, step = _parts(quantise, table)
        _ranges(table, low, step)
        _codes(table, codes)
        _within_half_a_step(table, call(restore, codes, low, step))

    table = spread[:7].astype(np.float32)
    table[:, 4], table[:, 1] = 0.25, -7
    try:
        with np.errstate(divide="raise", invalid="raise"):
            codes, low, step = _parts(quantise, table)
            back = np.asarray(call(restore, codes, low, step), dtype=float)
    except (FloatingPointError, ZeroDivisionError):
        raise Wrong("a column in which all values are equal makes you divide by zero") from None
    _ranges(table, low, step)
    if back.shape == table.shape and not np.isfinite(back).all():
        raise Wrong("a column in which all values are equal comes back as nan or infinity")
    if back.shape == table.shape and not np.allclose(back[:, 4], 0.25):
        raise Wrong(f"a column that is 0.25 in every row comes back as {back[0, 4]:.3f}")
    _codes(table, codes)
    _within_half_a_step(table, back)

    # codes, low and step that `quantise` never made
    codes = np.array([[0, 10], [255, 3], [128, 200]], np.uint8)
    got = call(restore, codes, np.array([1.0, -2.0]), np.array([0.5, 0.25]))
    wanted = np.array([[1.0, 0.5], [128.5, -1.25], [65.0, 48.0]])
    if np.shape(got) != wanted.shape or not np.allclose(np.asarray(got, float), wanted):
        raise Wrong(
            "`restore` of codes, low and step that come from elsewhere (a file, say) gives other "
            "values: it must use nothing but the three that it is given"
        )
    return "a quarter of the memory, and nothing moved by more than half a step"


def _parts(quantise: Callable, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    answer = call(quantise, table)
    if answer is None:
        raise Wrong("`quantise` returns nothing: is there a `return`?")
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise Wrong("`quantise` returns three things: codes, low, step")
    codes, low, step = map(np.asarray, answer)
    if codes.dtype != np.uint8:
        if low.dtype == np.uint8 or step.dtype == np.uint8:
            raise Wrong("the order of what `quantise` returns is codes, low, step")
        raise Wrong(f"codes take one byte each, dtype uint8: these are {codes.dtype}")
    if codes.shape != table.shape:
        raise Wrong(f"codes of a table {table.shape} have that shape too, not {codes.shape}")
    if low.size == 1 or step.size == 1:
        raise Wrong("there is one range for the whole table: each column has its own")
    columns = (table.shape[1],)
    for name, array in (("low", low), ("step", step)):
        if array.shape != columns:
            raise Wrong(
                f"`{name}` has one value for each column, shape {columns}, not {array.shape}"
            )
    return codes, low, step


def _ranges(table: np.ndarray, low: np.ndarray, step: np.ndarray) -> None:
    lowest, highest = table.min(axis=0).astype(float), table.max(axis=0).astype(float)
    if (
        not np.isfinite(np.asarray(low, float)).all()
        or not np.isfinite(np.asarray(step, float)).all()
    ):
        raise Wrong("`low` or `step` holds nan or infinity")
    reach = np.where(highest > lowest, highest - lowest, 1)
    wrong = np.abs(low - lowest) > 1e-4 * reach
    if wrong.any():
        column = int(wrong.argmax())
        raise Wrong(
            f"column {column}: `low` is {float(low[column]):.4f}, the lowest value is {lowest[column]:.4f}"
        )
    wanted = (highest - lowest) / 255
    wrong = (np.abs(step - wanted) > 1e-3 * wanted + 1e-7) & (highest > lowest)
    if wrong.any():
        column = int(wrong.argmax())
        raise Wrong(
            f"column {column}: `step` is {float(step[column]):.5g}. The column goes from {lowest[column]:.4f} "
            f"to {highest[column]:.4f}, and 1/255 of that is {wanted[column]:.5g}"
        )


def _codes(table: np.ndarray, codes: np.ndarray) -> None:
    lowest, highest = table.min(axis=0).astype(float), table.max(axis=0).astype(float)
    varies = highest > lowest
    exact = (table - lowest)[:, varies] / ((highest - lowest)[varies] / 255)
    off = np.abs(codes[:, varies] - exact)
    if (off <= 0.51).all():
        return
    row, column = np.unravel_index(off.argmax(), off.shape)
    said = f"a value {exact[row, column]:.2f} steps above `low` has the code {codes[:, varies][row, column]}"
    if off.max() > 200 and exact[row, column] > 200:
        raise Wrong(f"{said}: a byte holds 0 to 255, and more than that wraps around")
    if (np.abs(codes[:, varies] - np.floor(exact)) <= 0.01 * 255).all() and off.max() <= 1.01:
        raise Wrong(f"{said}: the fraction was cut off, not rounded")
    raise Wrong(said)


def _within_half_a_step(table: np.ndarray, back: object) -> None:
    if back is None:
        raise Wrong("`restore` returns nothing: is there a `return`?")
    back = np.asarray(back, dtype=float)
    if back.shape != table.shape:
        raise Wrong(f"restored values have the shape they had, {table.shape}, not {back.shape}")
    step = (table.max(axis=0).astype(float) - table.min(axis=0)) / 255
    error = np.abs(back - table)
    if (error <= step / 2 * 1.01 + 1e-6).all():
        return
    worst = np.unravel_index((error / np.where(step == 0, 1, step)).argmax(), error.shape)
    raise Wrong(
        f"{table[worst]:.4f} comes back as {back[worst]:.4f}, though its column has steps of "
        f"{step[worst[1]]:.4f}"
    )


# ------------------------------------------------------------------------------------------- 4.3


def _option(name: str, recall: float, ms: float, megabytes: float) -> dict:
    return {"name": name, "recall": recall, "ms": ms, "MB": megabytes}


@register(
    "4.3",
    "First keep the options that meet both demands; then take the fastest of those. A loop that "
    "remembers the best so far does it too.",
    "`one['recall'] >= least and one['MB'] <= megabytes` is true for an option that fits.",
    "`min(fitting, key=...)` finds the dict with the smallest `ms`; think of what it does with an empty list.",
    "`min` takes `default=None` for an empty list, and `key=lambda one: one['ms']`.",
)
def choose(choose: Callable) -> str:
    """The fastest run that meets both demands, or None."""
    options = [
        _option("exact", 1.0, 2.0, 17.0),
        _option("cells", 0.97, 0.2, 17.5),
        _option("small cells", 0.96, 0.25, 4.5),
        _option("small cells, all", 0.99, 1.5, 4.5),
        _option("graph", 0.98, 0.05, 19.0),
        _option("graph, wide", 0.995, 0.1, 19.0),
        _option("hasty", 0.7, 0.01, 4.5),
    ]
    cases = [
        (0.95, 100, "graph", "any memory"),
        (0.98, 100, "graph", "an option that has exactly the recall asked for counts"),
        (0.99, 100, "graph, wide", "any memory"),
        (0.95, 18, "cells", "the graphs need 19 MB"),
        (0.95, 17.5, "cells", "an option that needs exactly the memory there is counts"),
        (0.95, 5, "small cells", "only 5 MB"),
        (0.99, 5, "small cells, all", "only 5 MB"),
        (1.0, 100, "exact", "nothing may be missed"),
        (0.5, 100, "hasty", "half the neighbours are enough"),
        (0, 100, "hasty", "any recall will do"),
    ]
    for least, megabytes, wanted, why in cases:
        for given in (options, options[::-1]):
            got = call(choose, given, least, megabytes)
            asked = f"recall {least}, {megabytes} MB ({why})"
            if got is None:
                raise Wrong(f"{asked}: None, but {wanted!r} meets both")
            _one_of(got, options, asked)
            if got["recall"] < least:
                raise Wrong(f"{asked}: {got['name']!r} has a recall of {got['recall']} only")
            if got["MB"] > megabytes:
                raise Wrong(f"{asked}: {got['name']!r} needs {got['MB']} MB")
            if got["name"] != wanted:
                raise Wrong(f"{asked}: {got['name']!r} meets both, but {wanted!r} is faster")
    twins = [_option("left", 0.9, 0.5, 3), _option("right", 0.9, 0.5, 3)]
    slow = [_option("slow", 0.9, 123_456.0, 3e6)]
    try:
        _one_of(call(choose, twins, 0.9, 3), twins, "two options are equally fast")
        if call(choose, slow, 0.9, 1e9) is None:
            raise Wrong("an option that takes two minutes and terabytes is refused, though it fits")
    except TypeError as error:
        raise Wrong(f"two options that are equally fast end in `TypeError: {error}`") from None
    for given, least, megabytes in ((options, 0.999, 5), (options, 0.9, 1), ([], 0.5, 100)):
        try:
            got = call(choose, given, least, megabytes)
        except (ValueError, IndexError) as error:
            raise Wrong(f"when no option fits, return None; yours raises: {error}") from None
        if got is not None:
            raise Wrong(f"no option has recall {least} within {megabytes} MB, yet you return {got}")
    return "the fastest that is good enough, or nothing"


def _one_of(got: object, options: list[dict], asked: str) -> None:
    if not any(isinstance(got, dict) and got == option for option in options):
        raise Wrong(f"{asked}: return one of the options as it is, not {got!r}")


# ------------------------------------------------------------------------------------------- 4.4


class _Forgetful:
    """A real client whose `describe_index` shows other parameters, as if some had been dropped."""

    def __init__(self, client: MilvusClient, shown: dict):
        self._client, self._shown = client, shown

    def __getattr__(self, name: str):
        return getattr(self._client, name)

    def describe_index(self, *args, **kwargs) -> dict:
        described = dict(self._client.describe_index(*args, **kwargs))
        described.pop("params", None)
        return {**described, "params": dict(self._shown)} if self._shown else described


@contextmanager
def _rows(*names: str) -> Iterator[MilvusClient]:
    """A client with collections of 300 rows, and no index yet; gone at the end."""
    client = connect("04_checks")
    try:
        for name in names:
            schema = client.create_schema()
            schema.add_field("key", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
            client.create_collection(name, schema=schema)
            vectors = np.random.default_rng(1).normal(size=(300, 8)).tolist()
            client.insert(name, [{"key": i, "vector": v} for i, v in enumerate(vectors)])
        yield client
    finally:
        for name in client.list_collections():
            client.drop_collection(name)
        client.close()


@register(
    "4.4",
    "Print `milvus.describe_index(collection, 'vector')` after each form that you try: only what "
    "is under `params` has reached the index.",
    "The chapter's own `create` is called with a dict inside a dict. Look at what `add_index` is given there.",
    "`.get('params', {})` of what `describe_index` returns is what arrived. Compare it with what was asked: "
    "`!=` compares whole dicts.",
    "`index.add_index('vector', index_type=kind, metric_type='COSINE', params={'params': params})`, and then "
    "`milvus.create_index(collection, index)`.",
    seconds=60,
)
def create_index(create_index: Callable) -> str:
    """Parameters reach the index, and the function looks whether they did."""
    for collection, kind, params in (
        ("rows", "HNSW", {"M": 8, "efConstruction": 40}),
        ("other_rows", "IVF_FLAT", {"nlist": 7}),
        ("letters", "FLAT", {}),
    ):
        with _rows("rows", "other_rows", "letters") as client:
            _arrives(client, create_index, collection, kind, params)
    params = {"M": 8, "efConstruction": 40}
    for shown, said in (
        ({}, "shows no parameters, though M and efConstruction were asked for"),
        ({"M": 8}, "does not show efConstruction"),
        ({"M": 16, "efConstruction": 40}, "shows M=16, where 8 was asked for"),
        ({"M": 8, "nlist": 128}, "shows nlist in place of efConstruction"),
    ):
        with _rows("rows") as client:
            try:
                got = create_index(_Forgetful(client, shown), "rows", "HNSW", dict(params))
            except ValueError:
                continue
            except Exception as error:
                raise Wrong(
                    f"when `describe_index` {said}, raise ValueError, not "
                    f"{type(error).__name__}: {error}"
                ) from error
        raise Wrong(
            f"`describe_index` {said}, and you return {got!r} as if all were well. Ask Milvus, "
            "and raise ValueError"
        )
    return "what was asked for is what was built, and the proof comes from Milvus"


def _arrives(
    client: MilvusClient, create_index: Callable, collection: str, kind: str, params: dict
) -> None:
    """The answer makes that index there, with these parameters, and returns what arrived."""
    asked = f"{kind} with {params}"
    given = dict(params)
    try:
        got = create_index(client, collection, kind, given)
    except MilvusException as error:
        raise Wrong(f"{asked}: Milvus refuses: {error.message}") from error
    except (ValueError, KeyError, AssertionError) as error:
        described = _described(client, collection)
        if described is None or described.get("params", {}) == params:
            raise Wrong(
                f"{asked}: raises {type(error).__name__}({error}), though nothing is amiss"
            ) from error
        raise Wrong(
            f"{asked}: you noticed that they did not arrive; now make them arrive. `describe_index` "
            f"says {described}"
        ) from error
    described = _described(client, collection)
    if described is None:
        elsewhere = [name for name in client.list_collections() if client.list_indexes(name)]
        if elsewhere:
            raise Wrong(f"the index was asked for in {collection!r} and is in {elsewhere[0]!r}")
        raise Wrong(f"{asked}: there is no index afterwards")
    if given != params:
        raise Wrong("`create_index` changes the `params` that it was given: make a new dict")
    if described["index_type"] != kind:
        raise Wrong(f"the index asked for is {kind}, there is {described['index_type']}")
    if described["metric_type"] != "COSINE":
        raise Wrong(f"{asked}: the metric is {described['metric_type']}, not COSINE")
    arrived = described.get("params", {})
    if lost := sorted(set(params) - set(arrived)):
        raise Wrong(
            f"{asked}: {' and '.join(lost)} never reached the index. `describe_index` says {described}"
        )
    if arrived != params:
        raise Wrong(f"{asked}: the index has {arrived}")
    if got != arrived:
        raise Wrong(f"{asked}: return what the index has, {arrived}, not {got!r}")


def _described(client: MilvusClient, collection: str) -> dict | None:
    """What Milvus says of the index, or None without one."""
    if not client.list_indexes(collection):
        return None
    return dict(client.describe_index(collection, client.list_indexes(collection)[0]))
