"""Checks of chapter 00, which are there to be tried."""

import numpy as np

from workshop import datasets
from workshop.checks import Wrong, register


@register(
    "0.1",
    "`photos` is a list, and Python can tell how long a list is.",
    "Write `how_many = len(photos)` in place of the dots.",
    "The text above the first pictures says the number, too.",
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
    if how_many != right:
        raise Wrong(f"{how_many} is too {'few' if how_many < right else 'many'}")
    return "a right answer looks like this"


@register(
    "0.2",
    "The search cell computes all similarities at once. Look at its line with `scores`.",
    "The sign is `@`: it multiplies number by number and adds up the products.",
    "`return float(picture @ words)`",
)
def similarity(similarity):
    """The inner product of two vectors."""
    rng = np.random.default_rng(0)
    photo, words = rng.normal(size=(2, 384)).astype(np.float32)
    photo, words = photo / np.linalg.norm(photo), words / np.linalg.norm(words)
    got = similarity(photo.copy(), words.copy())
    if got is None:
        raise Wrong("the function returns nothing: a line with `return` is missing")
    if np.shape(got) == (384,):
        raise Wrong("that is 384 products: they still want to be added up")
    if np.shape(got) != ():
        raise Wrong(f"one number is wanted, not an array of shape {np.shape(got)}")
    if np.isclose(got, np.linalg.norm(photo - words), atol=1e-3):
        raise Wrong("that is the distance: it grows when vectors disagree")
    if not np.isclose(got, float(photo @ words), atol=1e-3):
        raise Wrong("the number is not the sum of their products")
    return "one number for two vectors"


@register(
    "0.3",
    "`argsort` puts the smallest score first. Where are the largest?",
    "`[::-1]` turns an array around.",
    "First turn the whole order around, then take the first `k`.",
)
def rank(rank):
    """Row numbers of the k largest scores, best first."""
    scores = np.array([0.1, 0.7, 0.3, 0.9, 0.5])
    got = rank(scores.copy(), 2)
    if got is None:
        raise Wrong("the function returns nothing: a line with `return` is missing")
    got = list(np.ravel(got))
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
    if len(rank(scores.copy(), 4)) != 4:
        raise Wrong("`k` says how many are wanted, and 4 were")
    return "best first"
