"""Checks of chapter 10, text search."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from workshop.checks import Wrong, call, register
from workshop.retrieval import idf, ndcg_at_k, weighted_fusion

# ------------------------------------------------------------------------------------------- 10.1


@register(
    "10.1",
    "Begin with one word. How often is it in the text? `text_words.count(word)` says it.",
    "If it is not in the text, go on with the next word: it may not be in `frequency` at all.",
    "Its weight is `np.log(1 + (total - n + 0.5) / (n + 0.5))`, with n from `frequency`. The length of the text is "
    "`len(text_words)`.",
    "Multiply the weight by `tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average))`, and add that for each word "
    "of `query_words`.",
)
def bm25(bm25: Callable) -> str:
    """The score of a text, word by word."""
    texts = [
        ["owl", "eats", "mouse", "at", "night"],  # as long as the average
        ["mouse", "mouse", "owl", "sleeps", "sleeps", "sleeps", "sleeps", "by"],
        ["hammer"],
        ["the", "owl", "and", "the", "mouse", "and", "the", "hammer"],
        ["csvs", "and", "a", "csv"],  # one word stands in another
    ]
    frequency = dict(Counter(word for text in texts for word in set(text)))
    about = (frequency, len(texts), 5.0)
    cases = [
        (["mouse"], texts[0], 1.5, 0.75, "one word, once in the text"),
        (["mouse"], texts[1], 1.5, 0.75, "a word that is twice in a text of eight words"),
        (["owl", "mouse"], texts[0], 1.5, 0.75, "two words: their parts are added"),
        (["owl", "owl", "mouse"], texts[0], 1.5, 0.75, "a query that has a word twice"),
        (["hammer", "owl"], texts[0], 1.5, 0.75, "a word that other texts have, and this one not"),
        (["zebra", "owl"], texts[0], 1.5, 0.75, "a word that no text has"),
        (["mouse"], texts[1], 0.5, 0.75, "k1 is 0.5"),
        (["mouse"], texts[1], 1.5, 0.0, "b is 0: the length does not matter"),
        (["the", "and"], texts[3], 2.0, 1.0, "k1 is 2 and b is 1"),
        (["csv"], texts[4], 1.5, 0.75, "the word csv, in a text that also has csvs"),
        (["a"], texts[4], 1.5, 0.75, "the word a, in a text that has other words with this letter"),
        (["owl"], [], 1.5, 0.75, "a text without words"),
        ([], texts[0], 1.5, 0.75, "a query without words"),
    ]
    for query, text, k1, b, what in cases:
        wanted = _bm25(query, text, *about, k1, b)
        got = _number(_try(bm25, what, query, text, *about, k1, b))
        if not np.isclose(got, wanted):
            raise Wrong(
                f"{what}: {wanted:.3f} is right, yours is {got:.3f}{_why(got, (query, text, *about, k1, b))}"
            )
    more = {"a": 70, "b": 3, "c": 100}
    got = _number(call(bm25, ["a", "b", "c"], ["b", "c", "a", "b"], more, 100, 9.5))
    wanted = _bm25(["a", "b", "c"], ["b", "c", "a", "b"], more, 100, 9.5, 1.5, 0.75)
    if not np.isclose(got, wanted):
        raise Wrong(
            f"a hundred texts, and a word that is in all of them: {wanted:.3f} is right, yours is "
            f"{got:.3f}{_why(got, (['a', 'b', 'c'], ['b', 'c', 'a', 'b'], more, 100, 9.5, 1.5, 0.75))}"
        )
    return "rare words, repeated words and long texts count as they should"


def _bm25(
    query: Sequence[str],
    text: Sequence[str],
    frequency: Mapping[str, int],
    total: int,
    average: float,
    k1: float,
    b: float,
    weight: Callable[[int, int], float] = idf,
    gain: float | None = None,
    length: float | None = None,
    cap: int | None = None,
    counted: Callable[[str], int] | None = None,
    part: Callable[[float, float], float] | None = None,
) -> float:
    score = 0.0
    for word in query:
        tf = counted(word) if counted else text.count(word)
        if tf and word in frequency:
            tf = min(tf, cap or tf)
            long = len(text) if length is None else length
            top = k1 + 1 if gain is None else gain
            pressure = k1 * (1 - b + b * long / average)
            counts = part(tf, pressure) if part else tf * top / (tf + pressure)
            score += weight(total, frequency[word]) * counts
    return score


def _why(got: float, case: tuple) -> str:
    query, text, frequency, total, average, k1, b = case
    slips = {
        "the factor (k1 + 1) is missing": {"gain": 1.0},
        "the idf lacks the 1 inside the logarithm": {
            "weight": lambda N, n: float(np.log((N - n + 0.5) / (n + 0.5)))
        },
        "the idf is ln(N / n) here": {"weight": lambda N, n: float(np.log(N / n))},
        "the logarithm is not the natural one": {
            "weight": lambda N, n: idf(N, n) / float(np.log(2))
        },
        "the logarithm is of base 10": {"weight": lambda N, n: idf(N, n) / float(np.log(10))},
        "the idf is left out": {"weight": lambda N, n: 1.0},
        "the length is the number of different words here": {"length": len(set(text))},
        "a word counts once, however often the text has it": {"cap": 1},
        "the length of the text plays no part": {"length": average},
        "a repeated word counts in full, without a limit": {"part": lambda tf, pressure: tf},
        "only the word itself counts, not a word in which its letters stand": {
            "counted": " ".join(text).count
        },
    }
    named = [
        slip
        for slip, change in slips.items()
        if not np.isclose(_bm25(*case), value := _bm25(*case, **change)) and np.isclose(got, value)
    ]
    if not named and len(set(query)) < len(query):
        once = _bm25(list(dict.fromkeys(query)), text, frequency, total, average, k1, b)
        if np.isclose(got, once):
            named = ["a word that the query has twice counts twice"]
    if (
        not named
        and k1 != b
        and np.isclose(got, _bm25(query, text, frequency, total, average, b, k1))
    ):
        named = ["k1 and b are swapped"]
    return f": {named[0]}" if named else ""


# ------------------------------------------------------------------------------------------- 10.2


@register(
    "10.2",
    "Two sums of the same kind: one for the order that was found, one for the best order there could be.",
    "`grades.get(name, 0)` is the grade of a name, or 0. Take it for the first k names: `ranking[:k]`.",
    "The name at place 0 has rank 1 and is divided by log₂(2): with `enumerate` that is `np.log2(place + 2)`.",
    "For the best order sort *all* grades: `sorted(grades.values(), reverse=True)[:k]`. Divide the first sum by the second.",
)
def ndcg(ndcg: Callable) -> str:
    """How close an order comes to the best one."""
    grades = {"a": 2, "b": 1, "c": 0, "d": 2, "e": 1}
    cases = [
        (["a", "d", "b", "e"], grades, 10, "the best possible order"),
        (["b", "e", "a", "d", "c"], grades, 2, "five names found, and k is 2"),
        (["d", "a", "e", "b"], grades, 4, "the best order, equals swapped"),
        (["b", "a", "d"], grades, 3, "a name with 1 before two with 2"),
        (["c", "a"], grades, 2, "the first name has the grade 0"),
        (["x", "a", "y", "b"], grades, 4, "two names that nobody judged"),
        (["a"], grades, 10, "one name found, and there are more good ones"),
        (["c", "x"], grades, 5, "nothing good found"),
        ([], grades, 5, "an empty ranking"),
        (["q", "p"], {"p": 1}, 1, "k is 1, and the good name is second"),
        (["q", "p"], {"p": 1}, 2, "k is 2, and the good name is second"),
        (
            [f"n{i}" for i in range(30)],
            {f"n{i}": i % 3 for i in range(40)},
            20,
            "thirty names, k is 20",
        ),
    ]
    for ranking, judged, k, what in cases:
        wanted = ndcg_at_k(ranking, judged, k)
        got = _number(_try(ndcg, what, ranking, judged, k))
        if not np.isclose(got, wanted):
            raise Wrong(
                f"{what}: {wanted:.3f} is right, yours is {got:.3f}{_slip(got, ranking, judged, k)}"
            )
    return "early counts, what is missing counts, and the unjudged does not"


def _slip(got: float, ranking: Sequence[str], grades: Mapping[str, int], k: int) -> str:
    def dcg(values: Sequence[float], shift: int = 2, log: Callable = np.log2) -> float:
        with np.errstate(divide="ignore"):
            return float(sum(v / log(place + shift) for place, v in enumerate(values)))

    found = [grades.get(name, 0) for name in ranking[:k]]
    ideal = sorted(grades.values(), reverse=True)
    slips = {
        "this is the sum that was found, not yet divided by the best possible one": dcg(found),
        "the best order is made of the names found only": dcg(found)
        / (dcg(sorted(found, reverse=True)) or 1),
        "the best order has more than k names": dcg(found) / dcg(ideal),
        "names after the k-th count too": dcg([grades.get(n, 0) for n in ranking]) / dcg(ideal[:k]),
        "every rank counts alike": sum(found) / sum(ideal[:k]),
        "a grade counts as 2 ** grade - 1 here, and should count as it is": dcg(
            [2**v - 1 for v in found]
        )
        / dcg([2**v - 1 for v in ideal[:k]]),
        "rank 1 is divided by log₂(2), not by log₂(3)": dcg(found, 3) / dcg(ideal[:k], 3),
    }
    right = ndcg_at_k(ranking, grades, k)
    others = [ndcg_at_k(ranking, grades, other) for other in (k + 1, k - 1, 5, 10, 20) if other]
    wrong_k = any(np.isclose(got, other) for other in others)
    return next(
        (
            f": {slip}"
            for slip, value in slips.items()
            if np.isclose(got, value) and not np.isclose(value, right)
        ),
        ": k is not obeyed" if wrong_k else "",
    )


# ------------------------------------------------------------------------------------------- 10.3


@register(
    "10.3",
    "Do one search after the other: stretch its scores, multiply them by its weight, add them to a dictionary of totals.",
    "Stretched is `(score - low) / (high - low)`, with `low` and `high` of the same search. What if both are the same? And if there is no score at all?",
    "`total[name] = total.get(name, 0) + weight * stretched` adds, whether the name is there already or not.",
    "At the end `dict(sorted(total.items(), key=lambda item: -item[1]))` puts the best first.",
)
def fused(fused: Callable) -> str:
    """Two searches on one scale."""
    word, vector = {"a": 30.0, "b": 10.0, "c": 20.0}, {"b": 0.9, "d": 0.5, "a": 0.6}
    cases = [
        (word, vector, 0.5, "two searches that count alike"),
        (word, vector, 0.2, "words count 0.2"),
        (word, vector, 0, "words count 0"),
        (word, vector, 1, "words count 1, and vectors 0"),
        (word, {}, 0.3, "vectors found nothing"),
        ({}, vector, 0.3, "words found nothing"),
        ({}, {}, 0.3, "nobody found anything"),
        ({"a": 7.0, "b": 7.0}, vector, 0.5, "two names with the same score by words"),
        ({"only": 3.0}, {"d": 0.5, "b": 0.9}, 0.4, "one name by words"),
        ({"a": -2.0, "b": -6.0}, {"b": -0.1, "c": 0.3}, 0.5, "scores below 0"),
        ({"a": 0.0, "b": 4.0}, {"a": 0.0, "c": 0.2}, 0.6, "scores that are 0"),
        ({1: 5.0, 2: 3.0, 3: 1.0}, {3: 0.2, 2: 0.1, 9: 0.0}, 0.7, "numbers instead of names"),
    ]
    for by_word, by_vector, share, what in cases:
        wanted = weighted_fusion([by_word, by_vector], [share, 1 - share])
        got = _try(fused, what, by_word, by_vector, share)
        if got is None:
            raise Wrong("your function returns nothing: is there a `return`?")
        if not isinstance(got, dict):
            raise Wrong(f"a dictionary is wanted, not {type(got).__name__}")
        if missing := [key for key in wanted if key not in got]:
            raise Wrong(
                f"{what}: {missing[0]!r} was found by one of them, and is not in the result"
            )
        if extra := [key for key in got if key not in wanted]:
            raise Wrong(f"{what}: {extra[0]!r} is in the result, and nobody has found it")
        for key, value in wanted.items():
            if not np.isclose(_number(got[key]), value):
                raise Wrong(
                    f"{what}: {key!r} gets {value:.2f}, yours is {_number(got[key]):.2f}"
                    f"{_scale(got, by_word, by_vector, share)}"
                )
        values = list(got.values())
        if any(later > earlier + 1e-12 for earlier, later in pairwise(values)):
            raise Wrong(f"{what}: the scores are right, and the best is not first")
    return "one scale, both searches heard, the best first"


def _scale(got: Mapping[Any, float], word: Mapping, vector: Mapping, share: float) -> str:
    def by_highest(found: Mapping) -> dict:
        high = max(found.values(), default=0)
        return {k: v / high if high else v for k, v in found.items()}

    def mixed(first: Mapping, second: Mapping, left: float, right: float) -> dict:
        return {k: left * first.get(k, 0) + right * second.get(k, 0) for k in {**first, **second}}

    def same(other: Mapping) -> bool:
        return all(np.isclose(_number(got[k]), v) for k, v in other.items())

    if same(mixed(word, vector, share, 1 - share)):
        return ": the scores are not stretched"
    if same(weighted_fusion([word, vector], [1 - share, share])):
        return ": `share` is the weight of the words, not of the vectors"
    if same(weighted_fusion([word, vector], [share, share])):
        return ": the vectors count `1 - share`"
    if same(mixed(by_highest(word), by_highest(vector), share, 1 - share)):
        return ": the lowest score becomes 0, and yours are only divided by the highest"
    everything = [*word.values(), *vector.values()]
    low, high = min(everything), max(everything)
    if high > low and same(
        mixed(
            {k: (v - low) / (high - low) for k, v in word.items()},
            {k: (v - low) / (high - low) for k, v in vector.items()},
            share,
            1 - share,
        )
    ):
        return ": each search has a lowest and a highest score of its own"
    return ""


# ------------------------------------------------------------------------------------------- all


def _try(function: Callable, what: str, *arguments: Any) -> Any:
    try:
        return call(function, *arguments)
    except KeyError as error:
        raise Wrong(
            f"{what}: your function asks a dictionary for {error}, which is not in it"
        ) from None
    except ZeroDivisionError:
        raise Wrong(f"{what}: your function divides by zero") from None
    except ValueError as error:
        if "empty" in str(error):
            raise Wrong(f"{what}: your function takes the smallest or largest of nothing") from None
        raise


def _number(value: Any) -> float:
    if value is None:
        raise Wrong("your function returns nothing: is there a `return`?")
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise Wrong(f"one number is wanted, not {type(value).__name__}")
    if np.isnan(float(value)):
        raise Wrong("this is nan, which is no number: somewhere 0 is divided by 0")
    return float(value)
