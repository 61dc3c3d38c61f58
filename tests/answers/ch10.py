"""What people answer in chapter 10: right ones in several styles, and wrong ones with what is said of them."""

import math
from collections import Counter, defaultdict

import numpy as np

# ------------------------------------------------------------------------------------------- 10.1


def with_a_loop(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    score = 0.0
    for word in query_words:
        tf = text_words.count(word)
        if tf == 0:
            continue
        weight = math.log(1 + (total - frequency[word] + 0.5) / (frequency[word] + 0.5))
        score += weight * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(text_words) / average))
    return score


def with_counters(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    have = Counter(text_words)
    pressure = k1 * (1 - b + b * have.total() / average)
    return sum(
        times
        * np.log1p((total - frequency[w] + 0.5) / (frequency[w] + 0.5))
        * have[w]
        * (k1 + 1)
        / (have[w] + pressure)
        for w, times in Counter(query_words).items()
        if w in have
    )


def with_arrays(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    tf = np.array([text_words.count(word) for word in query_words], float)
    n = np.array([frequency.get(word, 0) for word in query_words], float)
    weight = np.log(1 + (total - n + 0.5) / (n + 0.5))
    return (weight * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(text_words) / average))).sum()


def _variant(
    idf=lambda N, n: math.log(1 + (N - n + 0.5) / (n + 0.5)),
    words=lambda words: words,
    gain=lambda k1: k1 + 1,
    length=len,
    tf=lambda text, word: text.count(word),
    swapped=False,
):
    def bm25(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
        if swapped:
            k1, b = b, k1
        score = 0.0
        for word in words(query_words):
            times = tf(text_words, word)
            if times:
                pressure = k1 * (1 - b + b * length(text_words) / average)
                score += idf(total, frequency[word]) * times * gain(k1) / (times + pressure)
        return score

    return bm25


def _by_part(part):
    def bm25(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
        score = 0.0
        for word in query_words:
            tf = text_words.count(word)
            if tf:
                n = frequency[word]
                idf = math.log(1 + (total - n + 0.5) / (n + 0.5))
                score += idf * part(tf, k1, b, len(text_words) / average)
        return score

    return bm25


no_length = _by_part(lambda tf, k1, b, length: tf * (k1 + 1) / (tf + k1))
no_limit = _by_part(lambda tf, k1, b, length: tf)


def substring(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    text = " ".join(text_words)
    score = 0.0
    for word in query_words:
        tf = text.count(word)
        if tf:
            n = frequency[word]
            weight = math.log(1 + (total - n + 0.5) / (n + 0.5))
            score += weight * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(text_words) / average))
    return score


def frequency_for_all(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    score = 0.0
    for word in query_words:
        n, tf = frequency[word], text_words.count(word)
        weight = math.log(1 + (total - n + 0.5) / (n + 0.5))
        score += weight * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(text_words) / average))
    return score


def defaults_only(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    return with_a_loop(query_words, text_words, frequency, total, average)


def last_word_only(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    score = 0.0
    for word in query_words:
        score = with_a_loop([word], text_words, frequency, total, average, k1, b)
    return score


def one_for_each(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    return [with_a_loop([w], text_words, frequency, total, average, k1, b) for w in query_words]


def nothing_returned(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    with_a_loop(query_words, text_words, frequency, total, average, k1, b)


def in_place(query_words, text_words, frequency, total, average, k1=1.5, b=0.75):
    score = with_a_loop(query_words, text_words, frequency, total, average, k1, b)
    query_words.clear()
    return score


# ------------------------------------------------------------------------------------------- 10.2


def dcg(values):
    return sum(value / math.log2(rank + 1) for rank, value in enumerate(values, start=1))


def with_a_helper(ranking, grades, k):
    found = [grades.get(name, 0) for name in ranking[:k]]
    return dcg(found) / dcg(sorted(grades.values(), reverse=True)[:k])


def with_numpy(ranking, grades, k):
    found = np.array([grades.get(name, 0) for name in ranking[:k]], float)
    ideal = np.sort(list(grades.values()))[::-1][:k]
    return (found / np.log2(np.arange(len(found)) + 2)).sum() / (
        ideal / np.log2(np.arange(len(ideal)) + 2)
    ).sum()


def with_two_loops(ranking, grades, k):
    gain = 0
    for place in range(min(k, len(ranking))):
        if ranking[place] in grades:
            gain += grades[ranking[place]] / math.log(place + 2)
    best = 0
    for place, grade in enumerate(sorted(grades.values())[::-1]):
        if place < k:
            best += grade / math.log(place + 2)
    return gain / best


def with_defaultdict(ranking, grades, k):
    known = defaultdict(int, grades)
    return dcg([known[n] for n in ranking[:k]]) / dcg(
        sorted(known.values() if not ranking else grades.values(), reverse=True)[:k]
    )


def not_divided(ranking, grades, k):
    return dcg([grades.get(n, 0) for n in ranking[:k]])


def ideal_of_what_was_found(ranking, grades, k):
    found = [grades.get(n, 0) for n in ranking[:k]]
    return dcg(found) / (dcg(sorted(found, reverse=True)) or 1)


def ideal_without_k(ranking, grades, k):
    found = [grades.get(n, 0) for n in ranking[:k]]
    return dcg(found) / dcg(sorted(grades.values(), reverse=True))


def k_forgotten(ranking, grades, k):
    found = [grades.get(n, 0) for n in ranking]
    return dcg(found) / dcg(sorted(grades.values(), reverse=True)[:k])


def one_more(ranking, grades, k):
    return with_a_helper(ranking, grades, k + 1)


def always_ten(ranking, grades, k):
    return with_a_helper(ranking, grades, 10)


def no_discount(ranking, grades, k):
    found = [grades.get(n, 0) for n in ranking[:k]]
    return sum(found) / sum(sorted(grades.values(), reverse=True)[:k])


def off_by_one(ranking, grades, k):
    def shifted(values):
        return sum(v / math.log2(place + 3) for place, v in enumerate(values))

    return shifted([grades.get(n, 0) for n in ranking[:k]]) / shifted(
        sorted(grades.values(), reverse=True)[:k]
    )


def powers_of_two(ranking, grades, k):
    found = [2 ** grades.get(n, 0) - 1 for n in ranking[:k]]
    return dcg(found) / dcg([2**g - 1 for g in sorted(grades.values(), reverse=True)[:k]])


def all_judged(ranking, grades, k):
    return dcg([grades[n] for n in ranking[:k]]) / dcg(sorted(grades.values(), reverse=True)[:k])


def a_list(ranking, grades, k):
    return [with_a_helper(ranking, grades, k)]


def zero_by_zero(ranking, grades, k):
    found = [grades.get(n, 0) for n in ranking[:k]]
    best = dcg(sorted(found, reverse=True))
    return np.float64(dcg(found)) / best if best else float("nan")


# ------------------------------------------------------------------------------------------- 10.3


def stretch(found):
    if not found:
        return {}
    low, high = min(found.values()), max(found.values())
    return {k: (v - low) / (high - low) if high > low else 1.0 for k, v in found.items()}


def with_stretch(by_word, by_vector, share):
    left, right = stretch(by_word), stretch(by_vector)
    names = {**left, **right}
    scores = {n: share * left.get(n, 0) + (1 - share) * right.get(n, 0) for n in names}
    return dict(sorted(scores.items(), key=lambda item: item[1], reverse=True))


def with_a_counter(by_word, by_vector, share):
    total = Counter()
    for found, weight in ((by_word, share), (by_vector, 1 - share)):
        total.update({name: weight * score for name, score in stretch(found).items()})
    return {name: total[name] for name, _ in total.most_common()}


def with_numpy_arrays(by_word, by_vector, share):
    total = {}
    for found, weight in [(by_word, share), (by_vector, 1 - share)]:
        if len(found) == 0:
            continue
        values = np.array(list(found.values()))
        span = np.ptp(values)
        scaled = (values - values.min()) / span if span > 0 else np.ones(len(values))
        for name, value in zip(found, weight * scaled, strict=True):
            total[name] = total.get(name, 0.0) + value
    return {name: total[name] for name in sorted(total, key=total.get, reverse=True)}


def raw_sum(by_word, by_vector, share):
    names = {**by_word, **by_vector}
    scores = {n: share * by_word.get(n, 0) + (1 - share) * by_vector.get(n, 0) for n in names}
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def shares_swapped(by_word, by_vector, share):
    return with_stretch(by_word, by_vector, 1 - share)


def default_for_zero(by_word, by_vector, share):
    return with_stretch(by_word, by_vector, share or 0.5)


def same_share(by_word, by_vector, share):
    left, right = stretch(by_word), stretch(by_vector)
    scores = {n: share * (left.get(n, 0) + right.get(n, 0)) for n in {**left, **right}}
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def by_highest(by_word, by_vector, share):
    left = {n: s / max(by_word.values()) for n, s in by_word.items()}
    right = {n: s / max(by_vector.values()) for n, s in by_vector.items()}
    return raw_sum(left, right, share)


def one_scale_for_both(by_word, by_vector, share):
    values = [*by_word.values(), *by_vector.values()]
    low, high = min(values, default=0), max(values, default=1)
    left = {n: (s - low) / (high - low) for n, s in by_word.items()}
    right = {n: (s - low) / (high - low) for n, s in by_vector.items()}
    return raw_sum(left, right, share)


def only_in_both(by_word, by_vector, share):
    scores = with_stretch(by_word, by_vector, share)
    return {n: s for n, s in scores.items() if n in by_word and n in by_vector}


def not_sorted(by_word, by_vector, share):
    return dict(sorted(with_stretch(by_word, by_vector, share).items(), key=lambda item: item[1]))


def a_list_of_pairs(by_word, by_vector, share):
    return list(with_stretch(by_word, by_vector, share).items())


def takes_of_nothing(by_word, by_vector, share):
    low, high = min(by_word.values()), max(by_word.values())
    return with_stretch(by_word, by_vector, share) if high >= low else {}


def divides_by_zero(by_word, by_vector, share):
    def scaled(found):
        low, high = min(found.values(), default=0), max(found.values(), default=0)
        return {n: (s - low) / (high - low) for n, s in found.items()}

    return raw_sum(scaled(by_word), scaled(by_vector), share)


def equal_becomes_zero(by_word, by_vector, share):
    def scaled(found):
        low, high = min(found.values(), default=0), max(found.values(), default=0)
        return {n: (s - low) / ((high - low) or 1) for n, s in found.items()}

    return raw_sum(scaled(by_word), scaled(by_vector), share)


def changes_the_first(by_word, by_vector, share):
    scores = with_stretch(by_word, by_vector, share)
    by_word.update(scores)
    return dict(sorted(by_word.items(), key=lambda item: -item[1]))


def empty_left_out(by_word, by_vector, share):
    if not by_word or not by_vector:
        return {}
    return with_stretch(by_word, by_vector, share)


RIGHT = {
    "10.1": [with_a_loop, with_counters, with_arrays],
    "10.2": [with_a_helper, with_numpy, with_two_loops, with_defaultdict],
    "10.3": [with_stretch, with_a_counter, with_numpy_arrays],
}

WRONG = {
    "10.1": [
        (_variant(idf=lambda N, n: math.log(N / n)), "ln(N / n)"),
        (_variant(idf=lambda N, n: math.log((N - n + 0.5) / (n + 0.5))), "lacks the 1"),
        (_variant(idf=lambda N, n: math.log2(1 + (N - n + 0.5) / (n + 0.5))), "natural"),
        (_variant(idf=lambda N, n: math.log10(1 + (N - n + 0.5) / (n + 0.5))), "base 10"),
        (_variant(idf=lambda N, n: 1), "idf is left out"),
        (_variant(words=set), "twice counts twice"),
        (_variant(gain=lambda k1: 1), "(k1 + 1) is missing"),
        (_variant(length=lambda text: len(set(text))), "number of different words"),
        (_variant(tf=lambda text, word: int(word in text)), "counts once, however often"),
        (no_length, "length of the text plays no part"),
        (no_limit, "counts in full, without a limit"),
        (substring, "only the word itself counts"),
        (_variant(swapped=True), "k1 and b are swapped"),
        (frequency_for_all, "asks a dictionary for 'zebra'"),
        (defaults_only, "k1 is 0.5"),
        (last_word_only, "two words: their parts are added"),
        (one_for_each, "one number is wanted, not list"),
        (nothing_returned, "is there a `return`"),
        (in_place, "changes what it was given"),
    ],
    "10.2": [
        (not_divided, "not yet divided"),
        (ideal_of_what_was_found, "names found only"),
        (ideal_without_k, "more than k names"),
        (k_forgotten, "names after the k-th"),
        (one_more, "k is not obeyed"),
        (always_ten, "k is not obeyed"),
        (no_discount, "every rank counts alike"),
        (off_by_one, "divided by log₂(2)"),
        (powers_of_two, "2 ** grade - 1"),
        (all_judged, "asks a dictionary for 'x'"),
        (a_list, "one number is wanted, not list"),
        (zero_by_zero, "names found only"),
        (lambda ranking, grades, k: None, "is there a `return`"),
        (lambda ranking, grades, k: 1.0, "is right, yours is 1.000"),
    ],
    "10.3": [
        (raw_sum, "not stretched"),
        (shares_swapped, "weight of the words, not of the vectors"),
        (same_share, "`1 - share`"),
        (default_for_zero, "words count 0: "),
        (by_highest, "only divided by the highest"),
        (one_scale_for_both, "a lowest and a highest score of its own"),
        (only_in_both, "is not in the result"),
        (not_sorted, "the best is not first"),
        (a_list_of_pairs, "a dictionary is wanted, not list"),
        (takes_of_nothing, "smallest or largest of nothing"),
        (divides_by_zero, "divides by zero"),
        (equal_becomes_zero, "two names with the same score by words"),
        (changes_the_first, "changes what it was given"),
        (empty_left_out, "is not in the result"),
        (lambda by_word, by_vector, share: None, "is there a `return`"),
    ],
}
