"""What people answer in chapter 01."""

import heapq

import numpy as np

norm = np.linalg.norm


def negative_zero_slice(scores, k):
    best = np.argpartition(scores, -min(k, len(scores)))[-min(k, len(scores)) :]
    return best[np.argsort(-scores[best])]


def too_few(scores, k):
    best = np.argpartition(-scores, k - 1)[:k]
    return best[np.argsort(-scores[best])]


def unsorted(scores, k):
    return np.argpartition(-scores, min(k, len(scores)) - 1)[:k]


def by_value(scores, k):
    return np.array([int(np.flatnonzero(scores == s)[0]) for s in heapq.nlargest(k, scores)], int)


def rounded_off(a, b):
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(squares)


def clipped_only(a, b):
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def flat_squares(a, b):
    return np.sqrt(np.abs((a**2).sum(1) + (b**2).sum(1) - 2 * a @ b.T))


def own_squares_twice(a, b):
    squares = (b**2).sum(1) + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def in_place(a, b):
    a -= b.mean(axis=0)
    return clipped_only(a, b - b.mean(axis=0))


def scaled_in_place(vectors):
    vectors /= np.maximum(norm(vectors, axis=1, keepdims=True), 1e-30)
    return vectors


def swallowing(vectors):
    lengths = norm(vectors, axis=1, keepdims=True)
    return np.nan_to_num(vectors / np.where(lengths == 0, 1, lengths))


def unnumbered(vectors):
    if not np.isfinite(vectors).all():
        raise ValueError("there is a nan or infinity")
    return swallowing(vectors)


def only_nan(vectors):
    if np.isnan(vectors).any():
        raise ValueError(f"row {np.flatnonzero(np.isnan(vectors).any(axis=1))[0]} is nan")
    return swallowing(vectors)


def refusing_blanks(vectors):
    lengths = norm(vectors, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise ValueError("row 2 is blank")
    return vectors / lengths


# ------------------------------------------------------------------------------------------- 1.1


def cosine_loop(query, vectors):
    found = []
    for row in vectors:
        found.append(row @ query / (norm(row) * norm(query)))
    return np.array(found)


def of_units(query, vectors):
    unit = vectors / norm(vectors, axis=1, keepdims=True)
    return unit @ (query / norm(query))


def by_hand(query, vectors):
    products = (vectors * query).sum(axis=1)
    lengths = np.sqrt((vectors**2).sum(axis=1)) * np.sqrt((query**2).sum())
    return products / lengths


def by_einsum(query, vectors):
    inner = np.einsum("nd,d->n", vectors, query)
    return inner / np.sqrt(np.einsum("nd,nd->n", vectors, vectors) * np.dot(query, query))


def scaled_query_in_place(query, vectors):
    query /= norm(query)
    return vectors @ query / norm(vectors, axis=1)


def along_axis(query, vectors):
    return np.apply_along_axis(lambda row: row @ query / norm(row) / norm(query), 1, vectors)


# ------------------------------------------------------------------------------------------- 1.2


def from_the_right(scores, k):
    n = len(scores)
    k = min(k, n)
    best = np.argpartition(scores, n - k)[n - k :] if k else np.zeros(0, int)
    return best[scores[best].argsort()[::-1]]


def by_heap(scores, k):
    rows = heapq.nlargest(k, range(len(scores)), key=lambda row: scores[row])
    return np.array(rows, dtype=int)


def one_maximum_after_another(scores, k):
    left = scores.copy()
    found = []
    for _ in range(min(k, len(scores))):
        found.append(int(left.argmax()))
        left[found[-1]] = -np.inf
    return np.array(found, dtype=int)


def python_sorted(scores, k):
    return np.array(sorted(range(len(scores)), key=lambda row: -scores[row])[:k], dtype=int)


def python_sorted_pairs(scores, k):
    pairs = sorted(zip(scores, range(len(scores)), strict=True), reverse=True)
    return np.array([row for _, row in pairs[:k]], dtype=int)


def places_among_the_best(scores, k):
    best = unsorted(scores, k)
    return np.argsort(-scores[best])


def turned_in_place(scores, k):
    k = min(k, len(scores))
    scores *= -1
    best = np.argpartition(scores, k - 1)[:k]
    return best[np.argsort(scores[best])]


def one_too_few(scores, k):
    return one_maximum_after_another(scores, min(k, len(scores) - 1))


def nothing_for_none(scores, k):
    return from_the_right(scores, k) if k else None


# ------------------------------------------------------------------------------------------- 1.3


def centred(a, b):
    centre = b.mean(axis=0)
    return clipped_only(a - centre, b - centre)


def in_float64(a, b):
    return clipped_only(a.astype(np.float64), b.astype(np.float64))


def by_scipy(a, b):
    from scipy.spatial.distance import cdist

    return cdist(a, b)


def with_broadcast_columns(a, b):
    total = np.zeros((len(a), len(b)))
    for column in range(a.shape[1]):
        total += (a[:, column][:, None] - b[:, column]) ** 2
    return np.sqrt(total)


def double_loop(a, b):
    return np.array([[norm(x - y) for y in b] for x in a])


def loop_over_a(a, b):
    return np.stack([norm(b - row, axis=1) for row in a])


def loop_over_b(a, b):
    return np.stack([norm(a - row, axis=1) for row in b], axis=1)


# ------------------------------------------------------------------------------------------- 1.4


def check_rows(vectors):
    good = np.isfinite(vectors).all(axis=1)
    if not good.all():
        raise ValueError(f"rows {np.flatnonzero(~good)} hold nan or infinity")


def checked(vectors):
    check_rows(vectors)
    lengths = norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def row_by_row(vectors):
    out = np.zeros_like(vectors)
    for number, row in enumerate(vectors):
        if not np.isfinite(row).all():
            raise ValueError(f"row {number} of {len(vectors)} is broken")
        if norm(row) > 0:
            out[number] = row / norm(row)
    return out


def divide_where(vectors):
    bad = [n for n in range(len(vectors)) if not np.all(np.isfinite(vectors[n]))]
    if bad:
        raise ValueError("broken rows: " + ", ".join(map(str, bad)))
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    found = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    return found.astype(vectors.dtype)


def repaired_afterwards(vectors):
    check_rows(vectors)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(vectors / norm(vectors, axis=1, keepdims=True))


def counted_from_one(vectors):
    for number, row in enumerate(vectors, 1):
        if not np.isfinite(row).all():
            raise ValueError(f"row {number}")
    return checked(vectors)


def names_all_rows(vectors):
    if not np.isfinite(vectors).all():
        raise ValueError(f"one of rows {list(range(len(vectors)))}")
    return checked(vectors)


def prints_the_table(vectors):
    if not np.isfinite(vectors).all():
        raise ValueError(f"bad: {vectors}")
    return checked(vectors)


def names_the_last_row(vectors):
    if not np.isfinite(vectors).all():
        raise ValueError(f"row {len(vectors) - 1}")
    return checked(vectors)


def sums_of_absolutes(vectors):
    check_rows(vectors)
    lengths = abs(vectors).sum(axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def prints_and_stops(vectors):
    if not np.isfinite(vectors).all():
        print("row", np.flatnonzero(~np.isfinite(vectors).all(axis=1)))
        return None
    return checked(vectors)


RIGHT = {
    "1.1": [of_units, by_hand, by_einsum],
    "1.2": [
        from_the_right,
        by_heap,
        one_maximum_after_another,
        lambda scores, k: list(by_heap(scores, k)),
    ],
    "1.3": [centred, in_float64, by_scipy, with_broadcast_columns],
    "1.4": [checked, row_by_row, divide_where, repaired_afterwards],
}

WRONG = {
    "1.1": [
        (lambda q, v: v @ q, "inner products"),
        (lambda q, v: v @ q / norm(v, axis=1), "length of the query"),
        (lambda q, v: v @ q / norm(q), "lengths of the rows"),
        (lambda q, v: v @ q / norm(v, axis=1, keepdims=True) / norm(q), "broadcasting"),
        (lambda q, v: v @ q / (norm(v) * norm(q)), "whole table"),
        (lambda q, v: 1 - v @ q / (norm(v, axis=1) * norm(q)), "distances"),
        (lambda q, v: np.abs(v @ q) / (norm(v, axis=1) * norm(q)), "sign is lost"),
        (lambda q, v: v @ q / ((v**2).sum(1) * (q @ q)), "squared"),
        (lambda q, v: norm(v - q, axis=1), "L2 distances"),
        (lambda q, v: float(v[0] @ q), "shape ()"),
        (cosine_loop, "no loop"),
        (lambda q, v: [row @ q / norm(row) / norm(q) for row in v], "no loop"),
        (along_axis, "no loop"),
        (scaled_query_in_place, "changes what it was given"),
    ],
    "1.2": [
        (lambda scores, k: np.argsort(-scores)[:k], "were sorted"),
        (lambda scores, k: scores.argsort()[::-1][:k], "were sorted"),
        (lambda scores, k: np.argsort(scores)[:k], "smallest"),
        (lambda scores, k: np.argsort(scores)[len(scores) - k :], "worst first"),
        (lambda scores, k: np.sort(scores)[::-1][:k], "return the rows"),
        (unsorted, "no order"),
        (lambda scores, k: np.arange(len(scores))[:k], "though there is one"),
        (by_value, "twice"),
        (too_few, "must give all 4"),
        (negative_zero_slice, "k = 0"),
        (python_sorted, "were sorted"),
        (python_sorted_pairs, "were sorted"),
        (places_among_the_best, "though there is one"),
        (turned_in_place, "changes what it was given"),
        (one_too_few, "shape (49,), not (50,)"),
        (nothing_for_none, "returns nothing"),
    ],
    "1.3": [
        (lambda a, b: norm(a[:, None] - b[None], axis=2), "(n, m, d)"),
        (rounded_off, "`nan` apart"),
        (clipped_only, "differences drown"),
        (flat_squares, "do not fit together"),
        (own_squares_twice, "not the distances"),
        (in_place, "changes what it was given"),
        (lambda a, b: norm(a[:, None] - b[None], axis=2) ** 2, "take the root"),
        (lambda a, b: clipped_only(b, a), "turned around"),
        (lambda a, b: a @ b.T, "inner products"),
        (double_loop, "no loop"),
        (loop_over_a, "no loop"),
        (loop_over_b, "no loop"),
    ],
    "1.4": [
        (lambda v: v / norm(v, axis=1, keepdims=True), "still `nan`"),
        (lambda v: v / (norm(v, axis=1, keepdims=True) + 1e-8), "very faint"),
        (swallowing, "nan in it goes through"),
        (counted_from_one, "which row"),
        (names_all_rows, "sound rows"),
        (prints_the_table, "sound rows"),
        (names_the_last_row, "which row"),
        (sums_of_absolutes, "each divided by its own"),
        (prints_and_stops, "goes through"),
        (unnumbered, "which row"),
        (only_nan, "infinity in it goes through"),
        (refusing_blanks, "is no error"),
        (scaled_in_place, "changes what it was given"),
        (lambda v: v[norm(v, axis=1) > 0], "keep every row"),
        (lambda v: v / (norm(v) + 1e-30), "each divided by its own"),
        (lambda v: swallowing(v.astype(np.float64)), "twice the memory"),
        (lambda v: swallowing(np.where(norm(v, axis=1, keepdims=True) == 0, 1, v)), "stay zeros"),
    ],
}
