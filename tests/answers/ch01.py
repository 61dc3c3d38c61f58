"""Planted wrong answers of chapter 01: each must be caught, and named by its mistake."""

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
    ],
    "1.4": [
        (lambda v: v / norm(v, axis=1, keepdims=True), "still `nan`"),
        (lambda v: v / (norm(v, axis=1, keepdims=True) + 1e-8), "very faint"),
        (swallowing, "nan in it goes through"),
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
