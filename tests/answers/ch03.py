"""What people answer in chapter 03."""

import math

import numpy as np


def base(milvus, collection, key):
    found = milvus.get(collection, ids=[key], output_fields=["vector"])
    if not found:
        raise KeyError(key)
    return found[0]["vector"]


def near(milvus, collection, vector, k, rule=""):
    return milvus.search(
        collection, data=[vector], filter=rule, limit=k, output_fields=["id", "name"]
    )[0]


# ------------------------------------------------------------------------------------------- 3.2


def by_filter(milvus, collection, key, k):
    hits = near(milvus, collection, base(milvus, collection, key), k, f'id != "{key}"')
    return [hit["id"] for hit in hits]


def one_more_then_dropped_by_id(milvus, collection, key, k):
    rows = milvus.query(collection, filter=f'id == "{key}"', output_fields=["vector"])
    if len(rows) == 0:
        raise KeyError(f"no row {key}")
    found = []
    for hit in near(milvus, collection, rows[0]["vector"], k + 1):
        if hit["id"] != key:
            found.append(hit["id"])
    return found[:k]


def by_numpy(milvus, collection, key, k):
    rows = milvus.query(collection, filter='id != ""', output_fields=["id", "vector"])
    vectors = {row["id"]: np.array(row["vector"]) for row in rows}
    own = vectors[key]  # a KeyError, if there is none
    closeness = {
        other: vector @ own / np.linalg.norm(vector)
        for other, vector in vectors.items()
        if other != key
    }
    return sorted(closeness, key=closeness.get, reverse=True)[:k]


def first_hit_dropped(milvus, collection, key, k):
    hits = near(milvus, collection, base(milvus, collection, key), k + 1)
    return [hit["id"] for hit in hits][1:]


def itself_included(milvus, collection, key, k):
    return [hit["id"] for hit in near(milvus, collection, base(milvus, collection, key), k)]


def one_too_few(milvus, collection, key, k):
    return [other for other in itself_included(milvus, collection, key, k) if other != key]


def twins_dropped(milvus, collection, key, k):
    hits = near(milvus, collection, base(milvus, collection, key), k + 2)
    return [hit["id"] for hit in hits if hit["distance"] < 0.9999][:k]


def whole_hits(milvus, collection, key, k):
    return near(milvus, collection, base(milvus, collection, key), k, f'id != "{key}"')


def names(milvus, collection, key, k):
    return [hit["entity"]["name"] for hit in whole_hits(milvus, collection, key, k)]


def unknown_is_empty(milvus, collection, key, k):
    try:
        return by_filter(milvus, collection, key, k)
    except KeyError:
        return []


def unknown_is_index_error(milvus, collection, key, k):
    vector = milvus.get(collection, ids=[key], output_fields=["vector"])[0]["vector"]
    return [hit["id"] for hit in near(milvus, collection, vector, k, f'id != "{key}"')]


def sorted_by_id(milvus, collection, key, k):
    return sorted(by_filter(milvus, collection, key, k))


def worst_first(milvus, collection, key, k):
    return by_filter(milvus, collection, key, k)[::-1]


def the_chapters_collection(milvus, collection, key, k):
    return by_filter(milvus, "photos", key, k)


def always_three(milvus, collection, key, k):
    return by_filter(milvus, collection, key, 3)


def printed(milvus, collection, key, k):
    print(by_filter(milvus, collection, key, k))


# ------------------------------------------------------------------------------------------- 3.3


def is_bad(row, dim, seen):
    vector = row["vector"]
    if len(vector) != dim or row["id"] in seen or not row["id"]:
        return True
    return not all(map(math.isfinite, vector)) or all(x == 0 for x in vector)


def with_a_helper(new_rows, dim):
    seen, refused = set(), []
    for position, row in enumerate(new_rows):
        if is_bad(row, dim, seen):
            refused.append(position)
        seen.add(row["id"])
    return refused


def with_ids_of_all_before(new_rows, dim):
    ids = [row["id"] for row in new_rows]
    return [i for i, row in enumerate(new_rows) if is_bad(row, dim, ids[:i])]


def with_the_length(new_rows, dim):
    refused = set()
    for i in range(len(new_rows)):
        vector = np.array(new_rows[i]["vector"], dtype=float)
        if vector.shape != (dim,) or not 0 < np.abs(vector).max() < np.inf:
            refused.add(i)
        if new_rows[i]["id"] == "":
            refused.add(i)
        for earlier in range(i):
            if new_rows[earlier]["id"] == new_rows[i]["id"]:
                refused.add(i)
    return sorted(refused)


def repeated_ids_missed(new_rows, dim):
    return [i for i, row in enumerate(new_rows) if is_bad(row, dim, ())]


def ids_of_good_rows_only(new_rows, dim):
    seen, refused = set(), []
    for i, row in enumerate(new_rows):
        if is_bad(row, dim, seen):
            refused.append(i)
        else:
            seen.add(row["id"])
    return refused


def every_id_that_repeats(new_rows, dim):
    ids = [row["id"] for row in new_rows]
    return [i for i, row in enumerate(new_rows) if is_bad(row, dim, ()) or ids.count(row["id"]) > 1]


def only_nan(new_rows, dim):
    return [i for i, row in enumerate(new_rows) if any(math.isnan(x) for x in row["vector"])]


def sum_as_zero_test(new_rows, dim):
    return [i for i in with_a_helper(new_rows, dim)] + [
        i for i, row in enumerate(new_rows) if sum(row["vector"]) == 0 and any(row["vector"])
    ]


def any_zero_refused(new_rows, dim):
    return [i for i, row in enumerate(new_rows) if is_bad(row, dim, ()) or 0 in row["vector"]]


def close_to_zero_refused(new_rows, dim):
    bad = with_a_helper(new_rows, dim)
    return bad + [
        i for i, row in enumerate(new_rows) if np.allclose(row["vector"], 0) and i not in bad
    ]


def blank_ids_refused(new_rows, dim):
    bad = with_a_helper(new_rows, dim)
    return bad + [i for i, row in enumerate(new_rows) if i not in bad and not row["id"].strip()]


def the_chapters_dim(new_rows, dim):
    return with_a_helper(new_rows, 3)


def twice_for_two_rules(new_rows, dim):
    refused = []
    for i, row in enumerate(new_rows):
        if len(row["vector"]) != dim:
            refused.append(i)
        if any(math.isnan(x) for x in row["vector"]):
            refused.append(i)
    return refused


def rows_instead_of_positions(new_rows, dim):
    return [new_rows[i] for i in with_a_helper(new_rows, dim)]


def good_rows(new_rows, dim):
    return [i for i in range(len(new_rows)) if i not in with_a_helper(new_rows, dim)]


# ------------------------------------------------------------------------------------------- 3.4


def counted(milvus, collection):
    return milvus.query(collection, filter="", output_fields=["count(*)"])[0]["count(*)"]


def buffered(milvus, collection, some_photos, some_vectors, batch):
    waiting = []
    for photo, vector in zip(some_photos, some_vectors, strict=True):
        row = {"id": photo.id, "name": photo.name, "category": photo.category, "vector": vector}
        waiting.append(row)
        if len(waiting) == batch:
            milvus.insert(collection, waiting)
            waiting = []
    if waiting:
        milvus.insert(collection, waiting)
    milvus.flush(collection)
    return counted(milvus, collection)


def loader(
    key="id", stop=0, flush="once", say="count", step=None, name=None, beyond=0, call="insert"
):
    """A loader with one thing done in another way."""

    def load_photos(milvus, collection, some_photos, some_vectors, batch):
        target = name or collection
        rows = [
            {"id": getattr(p, key), "name": p.name, "category": p.category, "vector": list(v)}
            for p, v in zip(some_photos, some_vectors, strict=True)
        ]
        size, sent = step or batch, 0
        for start in range(0, len(rows) - stop * size, size):
            part = rows[start : start + size + beyond]
            getattr(milvus, call)(target, part)
            sent += len(part)
            if flush == "each":
                milvus.flush(target)
        if flush in ("once", "twice"):
            milvus.flush(target)
        if flush == "twice":
            milvus.flush(target)
        answers = {
            "count": lambda: counted(milvus, target),
            "stats": lambda: milvus.get_collection_stats(target)["row_count"],
            "all": lambda: len(milvus.query(target, filter='id != ""', output_fields=["id"])),
            "sent": lambda: sent,
            "text": lambda: str(counted(milvus, target)),
            "rows": lambda: milvus.query(target, filter="", output_fields=["count(*)"]),
            "nothing": lambda: None,
        }
        return answers[say]()

    return load_photos


def made_anew(milvus, collection, some_photos, some_vectors, batch):
    milvus.delete(collection, filter='id != ""')
    return loader()(milvus, collection, some_photos, some_vectors, batch)


def one_vector_for_all(milvus, collection, some_photos, some_vectors, batch):
    return loader()(milvus, collection, some_photos, [some_vectors[0]] * len(some_photos), batch)


def numbered(milvus, collection, some_photos, some_vectors, batch):
    rows = [
        {"id": str(i), "name": p.name, "category": p.category, "vector": some_vectors[i]}
        for i, p in enumerate(some_photos)
    ]
    for start in range(0, len(rows), batch):
        milvus.insert(collection, rows[start : start + batch])
    milvus.flush(collection)
    return counted(milvus, collection)


RIGHT = {
    "3.1": [
        'category in ["food/fruit", "food/vegetables"] and not (name like "Red%")',
        '(category == "food/fruit" or category == "food/vegetables") and not name like "Red%"',
        "not (name like 'Red%') and category in ['food/vegetables', 'food/fruit']",
        '(category == "food/fruit" and not (name like "Red%")) '
        'or (category == "food/vegetables" and not (name like "Red%"))',
    ],
    "3.2": [by_filter, one_more_then_dropped_by_id, by_numpy],
    "3.3": [with_a_helper, with_ids_of_all_before, with_the_length],
    "3.4": [buffered, loader(), loader(call="upsert"), loader(say="stats"), loader(say="all")],
}
WRONG = {
    "3.1": [
        ('category like "food/%" and not (name like "Red%")', "not one of the two"),
        (
            'category == "food/fruit" or category == "food/vegetables" and not (name like "Red%")',
            "does `and` bind as you mean",
        ),
        ('category in ["food/fruit", "food/vegetables"]', "which condition keeps such names out"),
        ('category == "food/fruit" and not (name like "Red%")', "it loses"),
        (
            'category in ["food/fruit", "food/vegetables"] and not (name like "%Red%")',
            "it loses 'Bell pepper, Red'",
        ),
        ('category in ["food/fruit", "food/vegetables"] and not (name like "Red")', "it keeps"),
        (
            'category in ["food/fruit", "food/vegetables"] and name != "Red"',
            "whose name begins with Red",
        ),
        (
            '(category like "food/fruit%" or category == "food/vegetables") and not name like "Red%"',
            "'Fruit salad'",
        ),
        ('category = "food/fruit"', "Milvus cannot read this filter"),
        ('category in ["fruit", "vegetables"]', "no row passes"),
        ("", "not empty"),
        (["food/fruit", "food/vegetables"], "a filter is a string"),
    ],
    "3.2": [
        (itself_included, "among its own neighbours"),
        (first_hit_dropped, "own neighbours"),
        (one_too_few, "gives 2 ids"),
        (twins_dropped, "is missing"),
        (whole_hits, "a list of ids, which are strings"),
        (names, "gives names"),
        (unknown_is_empty, "should raise KeyError, not return"),
        (unknown_is_index_error, "should raise KeyError, not IndexError"),
        (sorted_by_id, "best first is wanted"),
        (worst_first, "best first is wanted"),
        (the_chapters_collection, "the collection that are given"),
        (always_three, "gives 3 ids"),
        (printed, "a list of ids"),
    ],
    "3.3": [
        (only_nan, "an infinity"),
        (repeated_ids_missed, "an id for the second time"),
        (ids_of_good_rows_only, "the id of a row that was refused"),
        (every_id_that_repeats, "an id for the second time"),
        (sum_as_zero_test, "whose sum is 0"),
        (any_zero_refused, "two sound rows"),
        (close_to_zero_refused, "very small number"),
        (blank_ids_refused, "which is not empty"),
        (the_chapters_dim, "for `dim` = 2"),
        (twice_for_two_rules, "expected the positions"),
        (rows_instead_of_positions, "expected the positions"),
        (good_rows, "expected the positions"),
        (lambda new_rows, dim: len(with_a_helper(new_rows, dim)), "a list of positions"),
        (lambda new_rows, dim: set(with_a_helper(new_rows, dim)), "a list of positions"),
    ],
    "3.4": [
        (loader(key="name"), "the key is the name"),
        (numbered, "are not `photo.id`"),
        (loader(stop=1), "Is the last batch sent?"),
        (loader(flush="never"), "never flushed"),
        (loader(flush="each"), "flush once"),
        (loader(flush="twice"), "flush once"),
        (loader(say="sent"), "the number that Milvus counts"),
        (loader(say="text"), "the number that Milvus counts"),
        (loader(say="rows"), "the number that Milvus counts"),
        (loader(say="nothing"), "the number that Milvus counts"),
        (loader(step=100_000), "a call carried"),
        (loader(beyond=1), "a call carried"),
        (loader(name="again"), "rows went into `again`"),
        (made_anew, "before are gone"),
        (one_vector_for_all, "its own name, category and vector"),
    ],
}
