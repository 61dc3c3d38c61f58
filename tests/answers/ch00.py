"""What people answer in chapter 00."""

import heapq

import numpy as np


def added_up(first, second):
    total = 0.0
    for a, b in zip(first, second, strict=True):
        total += a * b
    return total


def overwritten(first, second):
    first *= second
    return first.sum()


def sorted_in_place(scores, k):
    order = scores.argsort()[::-1][:k].copy()
    scores.sort()
    return order


def without_return(scores, k):
    scores.argsort()[::-1][:k]


def one_by_one(scores, k):
    left, rows = list(enumerate(scores)), []
    for _ in range(k):
        row = max(left, key=lambda pair: pair[1])
        left.remove(row)
        rows.append(row[0])
    return rows


RIGHT = {
    "0.1": [430, np.int64(430), 43 * 10],
    "0.2": [
        lambda first, second: first @ second,
        lambda first, second: float(np.sum(first * second)),
        lambda first, second: np.dot(second, first),
        lambda first, second: first @ second / np.linalg.norm(first) / np.linalg.norm(second),
        added_up,
    ],
    "0.3": [
        lambda scores, k: scores.argsort()[::-1][:k],
        lambda scores, k: np.argsort(-scores)[:k],
        lambda scores, k: sorted(range(len(scores)), key=lambda row: -scores[row])[:k],
        lambda scores, k: scores.argsort()[-k:][::-1],
        lambda scores, k: heapq.nlargest(k, range(len(scores)), key=lambda row: scores[row]),
        one_by_one,
    ],
}
WRONG = {
    "0.1": [
        ("430", "that is text"),
        (384, "how many numbers each vector has"),
        (12, "pictures were shown"),
        (429, "too few"),
        (4300, "too many"),
        (430.5, "whole number"),
        (430.0, "whole number"),
        (True, "whole number"),
        ([430], "whole number"),
        (len, "whole number"),
        ((430, 384), "whole number"),
        (None, "`None`"),
    ],
    "0.2": [
        (lambda first, second: first * second, "added up"),
        (lambda first, second: float(np.linalg.norm(first - second)), "distance"),
        (lambda first, second: 1.0, "not the sum of the products"),
        (lambda first, second: first @ second.reshape(-1, 1), "one number"),
        (lambda first, second: np.outer(first, second), "one number"),
        (lambda first, second: print(first @ second), "returns nothing"),
        (lambda first, second: str(first @ second), "not a str"),
        (lambda first, second: round(float(first @ second), 2), "not the sum of the products"),
        (lambda first, second: max(0.0, first @ second), "not the sum of the products"),
        (lambda first, second: -(first @ second), "not the sum of the products"),
        (lambda first, second: np.mean(first * second), "mean of the products"),
        (lambda first, second: abs(first @ second), "sign is lost"),
        (lambda first, second: sum(first) * sum(second), "not the sum of the products"),
        (lambda first, second: sum(first[i] * second[i] for i in range(384)), "your code raised"),
        (overwritten, "changes what it was given"),
    ],
    "0.3": [
        (lambda scores, k: scores.argsort()[:k], "fit worst"),
        (lambda scores, k: scores.argsort()[-k:], "should come first"),
        (lambda scores, k: scores.argsort()[:k][::-1], "turned around too late"),
        (lambda scores, k: np.sort(scores)[::-1][:k], "row numbers"),
        (lambda scores, k: scores.argsort()[::-1][:2], "`k` was 4"),
        (lambda scores, k: scores.argsort()[::-1], "`k` was 2"),
        (lambda scores, k: scores.argsort()[::-1][: k - 1], "`k` was 2"),
        (lambda scores, k: scores.argmax(), "a row number for each"),
        (lambda scores, k: np.argsort(-np.abs(scores))[:k], "not [1, 4, 0, 3]"),
        (lambda scores, k: [3, 1, 4, 2][:k], "of the scores -3 8"),
        (without_return, "returns nothing"),
        (sorted_in_place, "changes what it was given"),
    ],
}
