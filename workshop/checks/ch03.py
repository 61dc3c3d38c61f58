"""Checks of chapter 03: they run the answer on a small Milvus collection of their own."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from pymilvus import DataType, MilvusClient, MilvusException

from workshop import connect, datasets
from workshop.checks import Wrong, call, register


@contextmanager
def _collection(dim: int, rows: list[dict] = ()) -> Iterator[MilvusClient]:
    """A client whose collection "photos" has the chapter's fields and these rows."""
    client = connect("03_checks")
    try:
        schema = client.create_schema()
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=100)
        schema.add_field("name", DataType.VARCHAR, max_length=100)
        schema.add_field("category", DataType.VARCHAR, max_length=100)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="COSINE")
        client.create_collection(
            "photos", schema=schema, index_params=index, consistency_level="Strong"
        )
        if rows:
            client.insert("photos", list(rows))
        yield client
    finally:
        client.close()


def _row(id: str, vector: list[float], name: str = "", category: str = "") -> dict:
    return {"id": id, "name": name or id, "category": category, "vector": vector}


@register(
    "3.1",
    'Two categories need `in [...]`, a beginning needs `like "Red%"`, and `not (...)` turns it around.',
    "`and` binds tighter than `or`: with `or`, put the categories in brackets.",
    '`category in ["food/fruit", …] and not (name like …)`',
)
def no_reds(no_reds):
    """The filter, run on all photos, keeps exactly the rows asked for."""
    if not isinstance(no_reds, str) or not no_reds.strip():
        raise Wrong(f"a filter is a string that is not empty, not {no_reds!r}")
    photos = datasets.photos()
    with _collection(2, [_row(p.id, [1, 0], p.name, p.category) for p in photos]) as client:
        try:
            rows = client.query("photos", filter=no_reds, output_fields=["id"])
        except MilvusException as error:
            raise Wrong(f"Milvus cannot read this filter: {error.message}") from error
    kept = {row["id"] for row in rows}
    if not kept:
        raise Wrong("no photo passes this filter; compare its values with those in the task")
    for photo in photos:
        edible = photo.category in ("food/fruit", "food/vegetables")
        red = photo.name.startswith("Red")
        shown = f"{photo.name!r} ({photo.category})"
        if photo.id in kept and not edible:
            raise Wrong(f"it keeps {shown}, which is neither fruit nor vegetable")
        if photo.id in kept and red:
            raise Wrong(
                f"it keeps {shown}, whose name begins with Red: does `and` bind as you mean?"
            )
        if photo.id not in kept and edible and not red:
            raise Wrong(f"it loses {shown}")
    return f"{len(kept)} photos, all edible, none of them named Red"


@register(
    "3.2",
    "`client.get` brings the row with its vector, if `output_fields` asks for it.",
    "The nearest row to a row is itself: let the filter leave it out, then ask for k.",
    "Ask for `filter=f'id != \"{id}\"'`. An unknown id gives an empty list from `get`: raise KeyError.",
)
def more_like(more_like):
    """Five rows, two with one vector: neighbours, their order, and an unknown id."""
    rows = [
        _row("plum", [1.0, 0.0, 0.0]),
        _row("twin", [1.0, 0.0, 0.0]),
        _row("cherry", [0.9, 0.3, 0.0]),
        _row("pear", [0.5, 0.8, 0.0]),
        _row("saw", [0.0, 0.1, 1.0]),
    ]
    wanted = {
        "plum": ["twin", "cherry", "pear"],
        "twin": ["plum", "cherry", "pear"],
        "pear": ["cherry", "plum", "twin"],
    }
    with _collection(3, rows) as client:
        for id, best in wanted.items():
            got = more_like(client, "photos", id, 3)
            if not isinstance(got, list) or not all(isinstance(item, str) for item in got):
                raise Wrong(f"a list of ids is wanted, not {got!r}")
            if id in got:
                raise Wrong(f"{id!r} is among its own neighbours")
            if len(got) != 3:
                raise Wrong(f"3 were asked for and {len(got)} came")
            if set(got) != set(best):
                raise Wrong(
                    f"two rows may hold the same vector: more_like({id!r}) misses "
                    f"{sorted(set(best) - set(got))}. Is the first hit always the row itself?"
                )
            if id != "pear" and got != best:
                raise Wrong(f"more_like({id!r}) should be best first, not {got}")
        if len(more_like(client, "photos", "saw", 1)) != 1:
            raise Wrong("with k=1 exactly one id is wanted")
        try:
            got = more_like(client, "photos", "no-such-id", 3)
        except KeyError:
            pass
        except Exception as error:
            raise Wrong(
                f"an id that is not there should raise KeyError, not {type(error).__name__}"
            ) from error
        else:
            raise Wrong(f"an id that is not there should raise KeyError, not return {got!r}")
    return "neighbours without the row itself, twins included"


@register(
    "3.3",
    "Test a value for each rule: `len`, `math.isfinite`, `any`, and a set of the ids seen so far.",
    "`math.isfinite(x)` is False for NaN and for both infinities; `any(vector)` is False for zeros.",
    "Walk `enumerate(rows)`, note the number where a rule is broken, and add each id to the set.",
)
def bad_rows(bad_rows):
    """Sound and broken rows, one rule at a time and together."""
    good = [0.6, 0.8, 0.0]
    cases = [
        ([], [], "no rows at all"),
        ([_row("a", good), _row("b", good)], [], "two sound rows"),
        ([_row("a", [math.nan, 0.0, 1.0]), _row("b", good)], [0], "a NaN"),
        ([_row("a", good), _row("b", [math.inf, 0.0, 1.0])], [1], "an infinity"),
        ([_row("a", good), _row("b", [-math.inf, 0.0, 1.0])], [1], "a negative infinity"),
        ([_row("a", good), _row("b", [0.0, 0.0, 0.0])], [1], "a vector of zeros"),
        ([_row("a", [0.0, 0.0, -1.0])], [], "a vector with some zeros, which is sound"),
        ([_row("a", [1.0, -1.0, 0.0])], [], "a vector whose sum is 0, which is sound"),
        ([_row("a", good), _row("b", [1.0, 0.0])], [1], "a vector that is too short"),
        ([_row("a", [1.0, 0.0, 0.0, 0.0])], [0], "a vector that is too long"),
        ([_row("a", [])], [0], "a vector without a number"),
        ([_row("a", good), _row("b", good), _row("a", good)], [2], "an id for the second time"),
        ([_row("a", good)] * 3, [1, 2], "an id three times"),
        ([_row("", good, "nameless")], [0], "an empty id"),
        (
            [_row("a", [math.nan] * 3), _row("a", good), _row("b", [0.0] * 3)],
            [0, 1, 2],
            "three broken rows, of which two share an id",
        ),
        ([_row("a", [math.nan, 0.0])], [0], "a row that breaks two rules (once is enough)"),
    ]
    for rows, wanted, what in cases:
        got = call(bad_rows, rows, 3)
        if not isinstance(got, list):
            raise Wrong(f"a list of row numbers is wanted, not {got!r}")
        if list(got) != wanted:
            raise Wrong(f"{what}: expected the row numbers {wanted}, got {got}")
    return "nothing broken gets past it"


class _Recorder:
    """A real client that also notes which calls it was given and how many rows they carried."""

    def __init__(self, client: MilvusClient):
        self._client = client
        self.calls: list[tuple[str, int]] = []

    def __getattr__(self, name: str):
        method = getattr(self._client, name)
        if name not in ("insert", "upsert", "flush"):
            return method

        def noted(collection_name, data=(), **kwargs):
            self.calls.append((name, 1 if isinstance(data, dict) else len(data)))
            extra = {} if name == "flush" else {"data": data}
            return method(collection_name, **extra, **kwargs)

        return noted


@register(
    "3.4",
    "Which field of a photo is never the same for two photos?",
    "Print `list(range(0, 430 - 100, 100))`: where does the last batch begin?",
    "Believe the database, not the list: flush, then `query` for `count(*)`, and return that.",
    seconds=90,  # a server takes seconds for each flush
)
def load_photos(load_photos):
    """Every row arrives, in calls no larger than asked, with one flush and a true count."""
    photos = datasets.photos()
    for n, batch in ((25, 10), (20, 10), (3, 10), (5, 1), (len(photos), 100)):
        some = photos[:n]
        vectors = [[1.0, float(i)] for i in range(n)]
        with _collection(2, [_row("already-here", [1.0, 1.0])]) as client:
            recorder = _Recorder(client)
            said = load_photos(recorder, "photos", some, vectors, batch)
            rows = client.query("photos", filter='id != ""', output_fields=["name", "vector"])
        stored = {row["id"]: row for row in rows}
        stored.pop("already-here", None)
        what = f"{n} photos in batches of {batch}"
        if len(stored) < n and len({photo.name for photo in some}) == len(stored):
            raise Wrong(f"{what}: {len(stored)} rows, as many as there are different names")
        if len(stored) < n:
            raise Wrong(f"{what}: {n - len(stored)} never arrived. Is the last batch sent?")
        if set(stored) != {photo.id for photo in some}:
            raise Wrong(f"{what}: the ids stored are not the photos' ids")
        for photo, vector in zip(some, vectors, strict=True):
            row = stored[photo.id]
            if row["name"] != photo.name or list(row["vector"]) != vector:
                raise Wrong(f"{what}: {photo.id} has another photo's name or vector")
        if any(size > batch for _, size in recorder.calls):
            raise Wrong(f"{what}: a call carried {max(s for _, s in recorder.calls)} rows")
        flushes = [i for i, (name, _) in enumerate(recorder.calls) if name == "flush"]
        if not flushes:
            raise Wrong("all rows arrive, but are never flushed: each search will scan them")
        if len(flushes) > 1 or flushes[0] != len(recorder.calls) - 1:
            raise Wrong("flush once, after the last batch: each flush makes a segment of its own")
        if said != n + 1:
            raise Wrong(
                f"{what}, beside one row that was there before: the collection holds {n + 1}, "
                f"the loader says {said!r}. Let Milvus count"
            )
    return "every photo has its row, and the number comes from Milvus"
