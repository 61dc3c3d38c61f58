"""Planted wrong answers of chapter 03, and what the check must say about each."""

import math


def first_hit_dropped(client, collection, id, k):
    rows = client.get(collection, ids=[id], output_fields=["vector"])
    if not rows:
        raise KeyError(id)
    hits = client.search(collection, data=[rows[0]["vector"]], limit=k + 1, output_fields=["id"])
    return [hit["id"] for hit in hits[0]][1:]


def itself_included(client, collection, id, k):
    rows = client.get(collection, ids=[id], output_fields=["vector"])
    hits = client.search(collection, data=[rows[0]["vector"]], limit=k, output_fields=["id"])
    return [hit["id"] for hit in hits[0]]


def one_too_few(client, collection, id, k):
    return [other for other in itself_included(client, collection, id, k) if other != id]


def unknown_is_empty(client, collection, id, k):
    rows = client.get(collection, ids=[id], output_fields=["vector"])
    if not rows:
        return []
    hits = client.search(
        collection, data=[rows[0]["vector"]], limit=k, filter=f'id != "{id}"', output_fields=["id"]
    )
    return [hit["id"] for hit in hits[0]]


def unknown_is_index_error(client, collection, id, k):
    row = client.get(collection, ids=[id], output_fields=["vector"])[0]
    return unknown_is_empty(client, collection, row["id"], k)


def nan_only(rows, dim):
    return [i for i, row in enumerate(rows) if any(math.isnan(x) for x in row["vector"])]


def repeated_ids_missed(rows, dim):
    return [
        i
        for i, row in enumerate(rows)
        if not row["id"]
        or len(row["vector"]) != dim
        or not all(map(math.isfinite, row["vector"]))
        or not any(row["vector"])
    ]


def sum_as_zero_test(rows, dim):
    return [
        i
        for i, row in enumerate(rows)
        if len(row["vector"]) != dim
        or not math.isfinite(sum(row["vector"]))
        or sum(row["vector"]) == 0
    ]


def any_zero_refused(rows, dim):
    return [
        i
        for i, row in enumerate(rows)
        if len(row["vector"]) != dim or not math.isfinite(sum(row["vector"])) or 0 in row["vector"]
    ]


def _loader(key="id", last=True, flush="once", say="milvus", whole=False):
    def load_photos(client, collection, photos, vectors, batch):
        rows = [
            {
                "id": getattr(photo, key),
                "name": photo.name,
                "category": photo.category,
                "vector": list(vector),
            }
            for photo, vector in zip(photos, vectors, strict=True)
        ]
        step = len(rows) if whole else batch
        for start in range(0, len(rows) if last else len(rows) - batch, step):
            client.upsert(collection, rows[start : start + step])
            if flush == "each":
                client.flush(collection)
        if flush == "once":
            client.flush(collection)
        if say == "sent":
            return len(rows)
        return client.query(collection, filter="", output_fields=["count(*)"])[0]["count(*)"]

    return load_photos


WRONG = {
    "3.1": [
        ('category like "food/%" and not (name like "Red%")', "neither fruit nor vegetable"),
        (
            'category == "food/fruit" or category == "food/vegetables" and not (name like "Red%")',
            "does `and` bind as you mean",
        ),
        ('category in ["food/fruit", "food/vegetables"]', "begins with Red"),
        ('category == "food/fruit" and not (name like "Red%")', "it loses"),
        ('category = "food/fruit"', "Milvus cannot read this filter"),
        ('category in ["fruit", "vegetables"]', "no photo passes"),
        ("", "not empty"),
    ],
    "3.2": [
        (itself_included, "among its own neighbours"),
        (first_hit_dropped, "own neighbours"),
        (one_too_few, "3 were asked for and 2 came"),
        (unknown_is_empty, "should raise KeyError, not return"),
        (unknown_is_index_error, "should raise KeyError, not IndexError"),
    ],
    "3.3": [
        (nan_only, "an infinity"),
        (repeated_ids_missed, "an id for the second time"),
        (sum_as_zero_test, "whose sum is 0"),
        (any_zero_refused, "two sound rows"),
        (lambda rows, dim: len(rows), "a list of row numbers"),
    ],
    "3.4": [
        (_loader(key="name"), "different names"),
        (_loader(last=False), "Is the last batch sent?"),
        (_loader(flush="never"), "never flushed"),
        (_loader(flush="each"), "flush once"),
        (_loader(say="sent"), "Let Milvus count"),
        (_loader(whole=True), "a call carried"),
    ],
}
