"""Checks of chapter 00, which are there to be tried."""

from collections.abc import Callable

import numpy as np

from workshop import datasets
from workshop.checks import Wrong, call, register


@register(
    "0.1",
    "The text above the first pictures says how many pictures there are.",
    "`photos` is a list with one entry for each picture. Python has a function that tells how many entries "
    "a list has.",
    "That function is `len`. Write `how_many = len(...)`, with the name of the list between the brackets.",
)
def how_many(how_many):
    """An integer: the number of pictures."""
    right = len(datasets.photos())
    if isinstance(how_many, str):
        raise Wrong("that is text: leave out the quotation marks, so that it is a number")
    if isinstance(how_many, bool) or not isinstance(how_many, int | np.integer):
        raise Wrong(f"a whole number is wanted, not a {type(how_many).__name__}")
    if how_many == 384:
        raise Wrong("that is how many numbers each vector has; how many vectors are there?")
    if how_many == 12:
        raise Wrong("that is how many pictures were shown; the search looked through all of them")
    if how_many != right:
        raise Wrong(f"{how_many} is too {'few' if how_many < right else 'many'}")
    return "a right answer looks like this"


@register(
    "0.2",
    "The section on comparing two vectors does this with two short vectors. Which line computes the number?",
    "The sign `@` multiplies number by number and adds up the products. The result goes after `return`.",
    "The function has one line: `return`, then the first vector, the sign `@`, and the second vector.",
)
def similarity(similarity: Callable) -> str:
    """The inner product of two vectors."""
    rng = np.random.default_rng(0)
    for size in (384, 3, 50):  # the last two vectors disagree
        first, second = rng.normal(size=(2, size)).astype(np.float32)
        second = second if first @ second * (size - 60) > 0 else -second
        first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
        _one_product(call(similarity, first, second), first, second)
    return "one number for two vectors"


def _one_product(got: object, first: np.ndarray, second: np.ndarray) -> None:
    size, right = len(first), float(first @ second)
    if got is None:
        raise Wrong("the function returns nothing: a line with `return` is missing")
    if np.shape(got) == (size,):
        raise Wrong(f"these are {size} products: they still want to be added up")
    if np.shape(got) != ():
        raise Wrong(f"one number is wanted, not an array of shape {np.shape(got)}")
    if not isinstance(got, int | float | np.number):
        raise Wrong(f"a number is wanted, not a {type(got).__name__}")
    if np.isclose(got, right, atol=1e-4):
        return
    if np.isclose(got, np.linalg.norm(first - second), atol=1e-3):
        raise Wrong("that is the distance: it grows when vectors disagree")
    if np.isclose(got, right / size, atol=1e-4):
        raise Wrong("that is the mean of the products, not their sum")
    if np.isclose(got, abs(right), atol=1e-3):
        raise Wrong("the sign is lost: vectors that disagree have an inner product below 0")
    raise Wrong("the number is not the sum of the products, number by number")


@register(
    "0.3",
    "`argsort` puts the smallest score first. Where are the rows of the largest scores?",
    "`[::-1]` turns an array around, and `[:k]` takes the first k values. Does it matter which comes first?",
    "First turn the whole order around, and only then take the first `k`.",
)
def rank(rank: Callable) -> str:
    """Row numbers of the k largest scores, best first."""
    scores = np.array([0.1, 0.7, 0.3, 0.9, 0.5])
    got = _rows(call(rank, scores, 2), 2)
    if got == [0, 2]:
        raise Wrong("these are still the two that fit worst")
    if got == [1, 3]:
        raise Wrong("the right two, but the best of them should come first")
    if got == [2, 0]:
        raise Wrong("turned around too late: these are the worst two, in another order")
    if got == [0.9, 0.7]:
        raise Wrong("these are the scores; the search needs their row numbers")
    if got != [3, 1]:
        raise Wrong(f"of the scores .1 .7 .3 .9 .5 the best two are not in rows {got}")
    scores = np.array([-3.0, 8.0, -1.0, 2.5, -7.0, 0.0])
    for k, right in {4: [1, 3, 5, 2], 1: [1], 6: [1, 3, 5, 2, 0, 4]}.items():
        got = _rows(call(rank, scores, k), k)
        if got != right:
            raise Wrong(
                f"of the scores -3 8 -1 2.5 -7 0 the best {k} are in rows {right}, not {got}"
            )
    return "best first"


def _rows(answer: object, k: int) -> list:
    if answer is None:
        raise Wrong("the function returns nothing: a line with `return` is missing")
    if np.ndim(answer) != 1:
        raise Wrong(f"a row number for each of the best {k} is wanted, not {answer!r:.60}")
    rows = np.asarray(answer).tolist()
    if len(rows) != k:
        raise Wrong(f"`k` was {k}, and {len(rows)} rows came back")
    return rows
