"""Checks of chapter 03: they run the answer on a small Milvus collection of their own."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from pymilvus import MilvusClient, MilvusException

from workshop import connect, datasets
from workshop.checks import Wrong, call, register
from workshop.milvus import photo_collection


@contextmanager
def _collection(dim: int, **collections: list[dict]) -> Iterator[MilvusClient]:
    """A client of a place of its own, with these collections, rows and the chapter's fields."""
    client = connect("03_checks")
    try:
        for name, rows in collections.items():
            photo_collection(client, name, dim)
            if rows:
                client.insert(name, rows)
        yield client
    finally:
        client.close()


def _row(id: str, vector: list[float], name: str = "", category: str = "") -> dict:
    return {"id": id, "name": name or id, "category": category, "vector": vector}


# ------------------------------------------------------------------------------------------- 3.1

_OTHERS = {  # what no photo of the course has, and a filter must get right
    "Bell pepper, Red": ("food/vegetables", True),
    "red cabbage": ("food/vegetables", True),
    "Redcurrant": ("food/fruit", False),
    "Red": ("food/fruit", False),
    "Fruit salad": ("food/fruit-salad", False),
    "Stall": ("market/food/fruit", False),
    "Roast": ("food", False),
}


@register(
    "3.1",
    "The task has two parts: which categories, and which names not. Write a condition for each, and join "
    "them.",
    "Two categories need `in [...]`, a beginning needs `like` with `%` at the end, and `not (...)` turns a "
    "condition around.",
    "If you use `or` for the categories, put them in brackets, because `and` binds more tightly.",
    '`category in ["food/fruit", …] and not (name like …)`',
)
def no_reds(no_reds):
    """The filter keeps exactly the rows asked for, of the photos and of some others."""
    if not isinstance(no_reds, str) or not no_reds.strip():
        raise Wrong(f"a filter is a string that is not empty, not {no_reds!r:.80}")
    rows = [(p.id, p.name, p.category) for p in datasets.photos()]
    rows += [(f"other-{i}", name, kind) for i, (name, (kind, _)) in enumerate(_OTHERS.items())]
    stored = [_row(id, [1, 0], name, category) for id, name, category in rows]
    with _collection(2, photos=stored) as client:
        try:
            found = client.query("photos", filter=no_reds, output_fields=["id"])
        except MilvusException as error:
            raise Wrong(f"Milvus cannot read this filter: {error.message}") from error
    kept = {row["id"] for row in found}
    if not kept:
        raise Wrong("no row passes this filter; compare its values with those in the task")
    for id, name, category in rows:
        edible = category in ("food/fruit", "food/vegetables")
        red = name.startswith("Red")
        shown = f"{name!r} ({category})"
        if id in kept and not edible:
            raise Wrong(f"it keeps {shown}, whose category is not one of the two")
        if id in kept and red:
            bound = " or " in no_reds
            asked = (
                "does `and` bind as you mean?" if bound else "which condition keeps such names out?"
            )
            raise Wrong(f"it keeps {shown}, whose name begins with Red: {asked}")
        if id not in kept and edible and not red:
            raise Wrong(f"it loses {shown}")
    return "two categories, and no name that begins with Red"


# ------------------------------------------------------------------------------------------- 3.2


@register(
    "3.2",
    "You need two commands: one that reads the row with its vector, and one that searches.",
    "`get` brings the row, if `output_fields` asks for the vector. The nearest row to a row is itself, or "
    "another one with the same vector: so do not trust the first place.",
    "A filter on `id` keeps the row itself out of the search. An unknown key gives an empty list from "
    "`get`: raise `KeyError` then.",
    'The filter is `f\'id != "{key}"\'`. Each hit has its id under `"id"`.',
)
def more_like(more_like):
    """Two collections: neighbours, twins, their order, any k, and an unknown key."""
    fruit = [
        _row("f1", [1.0, 0.0, 0.0], "plum"),
        _row("f2", [1.0, 0.0, 0.0], "twin of the plum"),
        _row("f3", [0.9, 0.3, 0.0], "cherry"),
        _row("f4", [0.5, 0.8, 0.0], "pear"),
        _row("a0", [0.0, 0.1, 1.0], "saw"),
    ]
    tools = [
        _row("t9", [0.0, 0.0, 1.0], "hammer"),
        _row("f1", [0.0, 1.0, 0.2], "tongs"),
        _row("t2", [0.0, 0.9, 0.5], "pliers"),
    ]
    wanted = [
        ("fruit", "f1", 3, ["f2", "f3", "f4"]),
        ("fruit", "f2", 3, ["f1", "f3", "f4"]),
        ("fruit", "f4", 1, ["f3"]),
        ("fruit", "a0", 1, ["f4"]),
        ("tools", "f1", 2, ["t2", "t9"]),
        ("tools", "t9", 2, ["t2", "f1"]),
    ]
    with _collection(3, fruit=fruit, tools=tools) as client:
        names = {row["name"] for row in fruit + tools}
        for collection, key, k, best in wanted:
            got = _given(more_like, client, collection, key, k)
            asked = f"more_like(…, {collection!r}, {key!r}, {k})"
            if not isinstance(got, list) or not all(isinstance(item, str) for item in got):
                raise Wrong(
                    f"{asked} gives {got!r:.80}: a list of ids, which are strings, is wanted"
                )
            if names & set(got):
                raise Wrong(f"{asked} gives names, {got}: the ids are wanted")
            if key in got:
                raise Wrong(f"{asked} has {key!r} among its own neighbours")
            if len(got) != k:
                raise Wrong(f"{asked} gives {len(got)} ids")
            if set(got) != set(best):
                raise Wrong(
                    f"{asked} gives {got}, and {sorted(set(best) - set(got))} is missing"
                    + (": two rows may hold the same vector" if key in ("f1", "f2") else "")
                )
            if got != best:
                raise Wrong(f"{asked} gives the right ids in the order {got}: best first is wanted")
        try:
            got = more_like(client, "fruit", "no-such-id", 3)
        except KeyError:
            return "neighbours without the row itself, twins included"
        except Exception as error:
            raise Wrong(
                f"a key that is not there should raise KeyError, not {type(error).__name__}"
            ) from error
        raise Wrong(f"a key that is not there should raise KeyError, not return {got!r}")


def _given(function, client, *args):
    """The answer of a function that is given a real client; an error about a name says so."""
    try:
        return function(client, *args)
    except MilvusException as error:
        if "not found" in str(error) or "not exist" in str(error):
            raise Wrong(
                f"Milvus says {error.message!r}: use the client and the collection that are given"
            ) from error
        raise


# ------------------------------------------------------------------------------------------- 3.3


@register(
    "3.3",
    "Walk through the rows with `enumerate`. For each row, ask one question for each rule of the task.",
    "`np.isfinite(x)` is False for NaN and for both infinities. `np.any(vector)` is False if all numbers are "
    "zero. A set remembers the ids seen so far.",
    "Note the position if any rule is broken, and only once. Then add the id to the set in any case.",
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
        ([_row("a", [1e-12, 0.0, 0.0])], [], "a vector of a very small number, which is sound"),
        ([_row("a", good), _row("b", [1.0, 0.0])], [1], "a vector that is too short"),
        ([_row("a", [1.0, 0.0, 0.0, 0.0])], [0], "a vector that is too long"),
        ([_row("a", [])], [0], "a vector without a number"),
        ([_row("a", good), _row("b", good), _row("a", good)], [2], "an id for the second time"),
        ([_row("a", good)] * 3, [1, 2], "an id three times"),
        ([_row("", good, "nameless")], [0], "an empty id"),
        ([_row(" ", good, "blank")], [], "an id of one space, which is not empty"),
        (
            [_row("a", [math.nan] * 3), _row("a", good), _row("b", [0.0] * 3)],
            [0, 1, 2],
            "three broken rows, the second with the id of a row that was refused",
        ),
        ([_row("a", [math.nan, 0.0])], [0], "a row that breaks two rules (once is enough)"),
    ]
    for rows, wanted, what in cases:
        _positions(call(bad_rows, rows, 3), wanted, what)
    two = [_row("a", [1.0, 0.0]), _row("b", good)]
    _positions(call(bad_rows, two, 2), [1], "rows for `dim` = 2, of which the second has 3 numbers")
    return "nothing broken gets past it"


def _positions(got: object, wanted: list[int], what: str) -> None:
    if got is None:
        raise Wrong("the function returns nothing: is there a `return`?")
    if not isinstance(got, list):
        raise Wrong(f"a list of positions is wanted, not {got!r:.80}")
    if got != wanted:
        raise Wrong(f"{what}: expected the positions {wanted}, got {got}")


# ------------------------------------------------------------------------------------------- 3.4


class _Recorder:
    """A real client that also notes which calls it was given and how many rows they carried."""

    def __init__(self, client: MilvusClient):
        self._client = client
        self.calls: list[tuple[str, int]] = []

    def __getattr__(self, name: str):
        method = getattr(self._client, name)
        if name not in ("insert", "upsert", "flush", "drop_collection", "delete"):
            return method

        def noted(collection_name, data=(), *args, **kwargs):
            self.calls.append((name, 1 if isinstance(data, dict) else len(data)))
            extra = {} if name in ("flush", "drop_collection", "delete") else {"data": data}
            return method(collection_name, *args, **extra, **kwargs)

        return noted


@register(
    "3.4",
    "The two numbers differ. Which field of a photo is never the same for two photos?",
    "Print `list(range(0, 430 - 100, 100))`. Where does the last batch begin, and where should it?",
    "Believe the database and not the list: flush after the loop, and then ask Milvus for `count(*)`.",
    "The key is `photo.id`, the range ends at `len(new_rows)`, and the last line returns what `query` counts.",
    seconds=90,  # a server takes seconds for each flush
)
def load_photos(load_photos):
    """Every row arrives, in calls no larger than asked, with one flush and a true count."""
    photos = datasets.photos()
    for n, batch in ((25, 10), (20, 10), (3, 10), (5, 1), (len(photos), 100)):
        some = photos[:n]
        vectors = [[1.0, float(i)] for i in range(n)]
        before = [_row("already-here", [1.0, 1.0]), _row("here-too", [1.0, 2.0])]
        with _collection(2, again=[_row("other", [1.0, 0.0])], shelf=before) as client:
            recorder = _Recorder(client)
            said = _given(load_photos, recorder, "shelf", some, vectors, batch)
            rows = client.query("shelf", filter='id != ""', output_fields=["*"])
            strangers = client.query("again", filter='id != "other"', output_fields=["id"])
        what = f"{n} photos in batches of {batch}"
        if strangers:
            raise Wrong(f"{what}: rows went into `again`, and the collection given was `shelf`")
        stored = {row["id"]: row for row in rows}
        if not {"already-here", "here-too"} <= set(stored):
            raise Wrong(f"{what}: rows that the collection held before are gone")
        _all_there(stored, before, some, vectors, what)
        if any(size > batch for _, size in recorder.calls):
            raise Wrong(f"{what}: a call carried {max(s for _, s in recorder.calls)} rows")
        flushes = [i for i, (name, _) in enumerate(recorder.calls) if name == "flush"]
        if not flushes:
            raise Wrong("all rows arrive, but are never flushed: each search will read them again")
        if len(flushes) > 1 or flushes[0] != len(recorder.calls) - 1:
            raise Wrong("flush once, after the last batch: each flush makes a segment of its own")
        if isinstance(said, bool) or not isinstance(said, int) or said != n + 2:
            raise Wrong(
                f"{what}, beside two rows that were there before: the collection holds {n + 2}, "
                f"and the loader returns {said!r:.60}. Return the number that Milvus counts"
            )
    return "every photo has its row, and the number comes from Milvus"


def _all_there(stored: dict, before: list, photos: list, vectors: list, what: str) -> None:
    new = {id: row for id, row in stored.items() if id not in {row["id"] for row in before}}
    wanted = {photo.id for photo in photos}
    names = {photo.name for photo in photos}
    if new and set(new) <= names and not set(new) <= wanted:
        raise Wrong(f"{what}: {len(new)} rows, one for each different name: the key is the name")
    if set(new) - wanted:
        raise Wrong(
            f"{what}: the ids stored, such as {min(set(new) - wanted)!r}, are not `photo.id`"
        )
    if len(new) < len(photos):
        raise Wrong(f"{what}: {len(photos) - len(new)} never arrived. Is the last batch sent?")
    for photo, vector in zip(photos, vectors, strict=True):
        row = new[photo.id]
        kept = row["name"], row["category"], list(row["vector"])
        if kept != (photo.name, photo.category, vector):
            raise Wrong(f"{what}: {photo.id} has not its own name, category and vector")
