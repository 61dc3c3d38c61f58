"""Checks of chapter 11, question answering."""

import math
from collections.abc import Callable

import numpy as np

from workshop.checks import Wrong, call, register

NOTHING = "your function returns nothing: is there a `return`?"

# ------------------------------------------------------------------------------------------ 11.1


@register(
    "11.1",
    "Go through the text and look at each `.`, `!` and `?`: what stands behind it?",
    "A sentence begins at the first sign that is no white space, `str.isspace` tells it. It ends behind an end sign if "
    "that sign is the last of the text or white space follows.",
    "Keep the place where the sentence in hand began, or `None`. After the loop, a sentence that has begun and not "
    "ended is the rest: `len(written.rstrip())` is its end.",
)
def spans(spans: Callable) -> str:
    """Places of sentences."""
    cases = [
        ("One. Two.", ["One.", "Two."], "two plain sentences"),
        ("Only one", ["Only one"], "a text without an end sign is one sentence"),
        ("Why? Because! So.", ["Why?", "Because!", "So."], "`?` and `!` end sentences, too"),
        ("It is 3.5 m. Really?! Yes.", ["It is 3.5 m.", "Really?!", "Yes."], "`3.5` and `?!`"),
        (
            "  Two.\n\n\tThree  ",
            ["Two.", "Three"],
            "white space at both ends, and a line end between",
        ),
        ("See a.b.c now. Then", ["See a.b.c now.", "Then"], "dots inside a name, and a rest"),
        ("Same. Same. Same.", ["Same."] * 3, "the same sentence three times"),
        ("What... Oh.", ["What...", "Oh."], "three dots in a row"),
        ("A\nB. C", ["A\nB.", "C"], "a line end inside a sentence"),
        ("! a. b", ["!", "a.", "b"], "an end sign alone"),
        ("x", ["x"], "one letter"),
        ("", [], "an empty text"),
        (" \n ", [], "nothing but white space"),
        ("é! 好. ok", ["é!", "好.", "ok"], "letters that are not English"),
    ]
    for written, wanted, what in cases:
        got = call(spans, written)
        if got is None:
            raise Wrong(NOTHING)
        places = _pairs(got)
        quoted = [written[start:end] for start, end in places]
        if quoted != wanted:
            raise Wrong(
                f"{what}: {written!r} has the sentences {wanted}, your places give {quoted}"
            )
        if any(not 0 <= start <= end <= len(written) for start, end in places):
            raise Wrong(
                f"{what}: a place lies outside of the text, or is counted from its end: {places}"
            )
        if places != sorted(places) or len(set(places)) < len(places):
            raise Wrong(
                f"{what}: {written!r} gives {places}, and one place comes twice or too early"
            )
    return "every sentence can be found again at its place"


def _pairs(got: object) -> list[tuple[int, int]]:
    if not isinstance(got, list | tuple):
        raise Wrong(f"a list of pairs is wanted, not {type(got).__name__}")
    places = []
    for pair in got:
        if isinstance(pair, str):
            raise Wrong(
                "the list holds texts: the places (start, end) are wanted, as pairs of numbers"
            )
        try:
            start, end = pair
            places.append((int(start), int(end)))
        except (TypeError, ValueError):
            raise Wrong(
                f"each place is a pair (start, end) of whole numbers, not {pair!r}"
            ) from None
    return places


# ------------------------------------------------------------------------------------------ 11.2


@register(
    "11.2",
    "Begin with one question: is any of the first `k` rows of its ranking in its set?",
    "`set(ranking[:k]) & rows` is what both have in common; an empty set counts as False. Leave a question out if its "
    "set is empty, and count those that stay.",
    "Make a list with True or False for each question that has an answer. Return its mean, or 0 if the list is empty.",
)
def hit_rate(hit_rate: Callable) -> str:
    """Share of questions with a right row among the first k."""
    long = [[n, 90, 91, 92, n + 40] for n in range(8)]
    cases = [
        ([[4, 2, 9], [1, 5, 7]], [{4}, {9}], 3, 0.5, "one question of two finds its row"),
        ([[4, 2, 9], [1, 5, 7]], [{9}, {7}], 2, 0.0, "both right rows come third, and k is 2"),
        ([[4, 2, 9], [1, 5, 7]], [{9}, {7}], 3, 1.0, "both right rows come third, and k is 3"),
        (
            [[4, 2, 9], [1, 5, 7]],
            [{2, 9, 4, 8}, {6}],
            3,
            0.5,
            "a question with four right rows counts once",
        ),
        ([[1], [2], [3]], [{1}, set(), {4}], 1, 0.5, "a question without an answer does not count"),
        (
            [[], [2]],
            [{1}, {2}],
            5,
            0.5,
            "an empty list finds nothing, and the other is shorter than k",
        ),
        ([[3, 1]], [set()], 2, 0.0, "no question has an answer: 0"),
        ([], [], 3, 0.0, "no question at all: 0"),
        ([[0, 5], [5, 0]], [{0}, {0}], 1, 0.5, "row 0 is a row like any other"),
        (long, [{n + 40} for n in range(8)], 5, 1.0, "all right rows come fifth, and k is 5"),
        (
            long,
            [{n} for n in range(4)] + [{99}] * 4,
            1,
            0.5,
            "four of eight come first, and k is 1",
        ),
        ([[1], [2], [3]], [{1}, {5}, {6}], 1, 1 / 3, "one question of three finds its row"),
        ([[7, 7, 8], [1, 2, 3]], [{8}, {9}], 2, 0.0, "the first two rows are the same, and wrong"),
    ]
    for rankings, wanted, k, right, what in cases:
        got = call(hit_rate, rankings, wanted, k)
        if got is None:
            raise Wrong(NOTHING)
        if isinstance(got, list | tuple | dict | set | str) or np.ndim(got):
            raise Wrong(f"one number for all questions is wanted, not {type(got).__name__}")
        if math.isnan(got):
            raise Wrong(f"{what}: your function returns nan")
        if not math.isclose(got, right, abs_tol=1e-9):
            raise Wrong(f"{what}: hit@{k} is {right:.4f}, yours is {float(got):.4f}")
    return "the same number that the chapter uses"


# ------------------------------------------------------------------------------------------ 11.3


@register(
    "11.3",
    "`scored >= least` is an array of True and False: which questions are answered. Its mean is the coverage.",
    "`correct[scored >= least]` keeps what is known of the answered questions. One minus its mean is the risk.",
    "The mean of an empty array is nan: look with `.any()` whether anything is answered, and take 0 if not.",
)
def risk_and_coverage(risk_and_coverage: Callable) -> str:
    """Risk and coverage at one threshold."""
    scored = np.array([0.9, 0.8, 0.5, 0.5, 0.2])
    correct = np.array([True, False, True, True, False])
    cases = [
        (
            scored,
            correct,
            0.5,
            0.25,
            0.8,
            "one of four answers is wrong; two scores are exactly 0.5",
        ),
        (scored, correct, 0.0, 0.4, 1.0, "everything is answered"),
        (scored, correct, 0.85, 0.0, 0.2, "only the surest is answered, and right"),
        (scored, correct, 0.95, 0.0, 0.0, "nothing is answered"),
        (scored, ~correct, 0.85, 1.0, 0.2, "only the surest is answered, and wrong"),
        (scored[::-1], correct[::-1], 0.85, 0.0, 0.2, "the best scores come last"),
        (
            np.array([-2.0, -1.0, -3.0]),
            np.array([True, False, True]),
            -2.0,
            0.5,
            2 / 3,
            "negative scores",
        ),
        (
            np.array([7.0]),
            np.array([True]),
            7.0,
            0.0,
            1.0,
            "one question, its score is the threshold",
        ),
        (scored.astype(np.float32), correct, 0.6, 0.5, 0.4, "float32"),
    ]
    for scores, right, least, risk, coverage, what in cases:
        with np.errstate(all="ignore"):
            got = call(risk_and_coverage, scores, right, least)
        if got is None:
            raise Wrong(NOTHING)
        if isinstance(got, dict | str) or np.shape(got) != (2,):
            raise Wrong(f"two numbers are wanted, first the risk, then the coverage, not {got!r}")
        mine = (float(got[0]), float(got[1]))
        if np.isnan(mine).any():
            raise Wrong(f"{what}: your function returns nan")
        if not np.allclose(mine, (risk, coverage)):
            if np.allclose(mine, (coverage, risk)):
                raise Wrong(f"{what}: the risk comes first, then the coverage")
            raise Wrong(
                f"{what}: risk {risk:.2f} and coverage {coverage:.2f} are right, "
                f"yours are {mine[0]:.2f} and {mine[1]:.2f}"
            )
    return "a line can be chosen now, with its price"


# ------------------------------------------------------------------------------------------ 11.4


@register(
    "11.4",
    "Compare the scores as they are: no minimum, no maximum, no division.",
    "Any comparison with nan is False. So `score >= needed` leaves pairs without a score out, and `max` over what is "
    "left never meets one.",
    "Keep the pairs whose score is at least `needed`. If none is left return None, else the sentence of the pair with "
    "the largest score.",
)
def reply(reply: Callable) -> str:
    """The best sentence, or nothing."""
    nan = float("nan")
    cases = [
        ([(0.7, "a"), (0.9, "b"), (0.8, "c")], 0.5, "b", "the best pair comes second"),
        ([(0.31, "a"), (0.30, "b"), (0.12, "c")], 0.5, None, "no score reaches 0.5"),
        ([(0.31, "a")], 0.5, None, "one pair, and its score is below the threshold"),
        ([(0.5, "a")], 0.5, "a", "the score is exactly the threshold"),
        ([], 0.5, None, "nothing was found"),
        ([(nan, "a"), (0.6, "b")], 0.5, "b", "the first score is nan"),
        ([(0.6, "b"), (nan, "a")], 0.5, "b", "the last score is nan"),
        ([(nan, "a"), (nan, "b")], 0.1, None, "all scores are nan"),
        ([(nan, "a"), (0.2, "b"), (nan, "c")], 0.5, None, "two scores are nan, and one is too low"),
        ([(-0.4, "a"), (-0.2, "b")], -0.3, "b", "negative scores, and one reaches the threshold"),
        ([(nan, "a"), (-0.2, "b")], -0.3, "b", "the first score is nan, and the other negative"),
        ([(0.0, "a"), (-0.5, "b")], 0.0, "a", "the threshold is 0, and so is the best score"),
        ([(1.2, "z"), (0.9, "a")], 1.0, "z", "a score above 1"),
        ([(np.float32(0.8), "x"), (np.float32(0.7), "y")], 0.5, "x", "scores from NumPy"),
    ]
    for pairs, needed, wanted, what in cases:
        got = call(reply, pairs, needed)
        if got == wanted and (got is None) == (wanted is None):
            continue
        if isinstance(got, tuple | list):
            raise Wrong(f"{what}: the sentence alone is wanted, not {got!r}")
        if wanted is None:
            raise Wrong(
                f"{what}: `None` is wanted, yours answers {got!r}: {pairs}, needed {needed}"
            )
        if got is None:
            raise Wrong(
                f"{what}: {wanted!r} is wanted, yours gives no answer: {pairs}, needed {needed}"
            )
        raise Wrong(f"{what}: {wanted!r} is wanted, not {got!r}: {pairs}, needed {needed}")
    return "the bot can be unsure"
