"""What people answer in chapter 11: right ones in several styles, and wrong ones with what is said of them."""

import re

import numpy as np

# ------------------------------------------------------------------------------------------ 11.1


def with_a_regex(written):
    pattern = r"[.!?](?=\s|$)|\S.*?[.!?](?=\s|$)|\S.*\S|\S"
    return [match.span() for match in re.finditer(pattern, written, re.S)]


def with_a_loop(written):
    found, start = [], None
    for place, sign in enumerate(written):
        if start is None and not sign.isspace():
            start = place
        followed = place + 1 == len(written) or written[place + 1].isspace()
        if sign in ".!?" and followed and start is not None:
            found.append((start, place + 1))
            start = None
    if start is not None:
        found.append((start, len(written.rstrip())))
    return found


def with_split_and_find(written):
    found, at = [], 0
    for part in re.split(r"(?<=[.!?])\s+", written.strip()):
        if part:
            start = written.index(part, at)
            at = start + len(part)
            found.append((start, at))
    return found


def as_lists(written):
    return [list(pair) for pair in with_a_loop(written)]


def texts(written):
    return [written[a:b] for a, b in with_a_loop(written)]


def every_sign(written):
    return [match.span() for match in re.finditer(r"[^.!?\s][^.!?]*[.!?]*", written)]


def rest_lost(written):
    return [match.span() for match in re.finditer(r"\S.*?[.!?](?=\s|$)", written, re.S)]


def only_dots(written):
    pattern = r"\S.*?\.(?=\s|$)|\S.*\S|\S"
    return [match.span() for match in re.finditer(pattern, written, re.S)]


def found_from_the_start(written):
    parts = [written[a:b] for a, b in with_a_loop(written)]
    return [(written.index(part), written.index(part) + len(part)) for part in parts]


def signs_alone_lost(written):
    return [match.span() for match in re.finditer(r"\w.*?[.!?](?=\s|$)|\w.*\w|\w", written, re.S)]


def with_white_space(written):
    return [match.span() for match in re.finditer(r".+?(?:[.!?](?=\s|$)|$)", written, re.S)]


def one_short(written):
    return [(a, b - 1) for a, b in with_a_loop(written)]


def with_lengths(written):
    return [(a, b - a) for a, b in with_a_loop(written)]


def spaces_only(written):
    found, at = [], 0
    for part in re.split(r"(?<=[.!?]) ", written):
        found.append((at, at + len(part)))
        at += len(part) + 1
    return found


def by_lines(written):
    return [m.span() for m in re.finditer(r"\S.*?[.!?](?=\s|$)|\S.*\S|\S", written)]


def starts(written):
    return [a for a, _ in with_a_loop(written)]


# ------------------------------------------------------------------------------------------ 11.2


def with_sets(rankings, wanted, k):
    hits = [bool(s & set(r[:k])) for r, s in zip(rankings, wanted, strict=True) if s]
    return sum(hits) / len(hits) if hits else 0


def with_counters(rankings, wanted, k):
    asked = right = 0
    for number, ranking in enumerate(rankings):
        if len(wanted[number]) == 0:
            continue
        asked += 1
        for row in ranking[:k]:
            if row in wanted[number]:
                right += 1
                break
    return right / asked if asked else 0.0


def with_numpy(rankings, wanted, k):
    hits = [
        any(row in rows for row in ranking[:k])
        for ranking, rows in zip(rankings, wanted, strict=True)
        if rows
    ]
    return float(np.mean(hits)) if hits else 0.0


def recall_not_hits(rankings, wanted, k):
    shares = [len(s & set(r[:k])) / len(s) for r, s in zip(rankings, wanted, strict=True) if s]
    return sum(shares) / len(shares) if shares else 0


def empty_counts_as_a_miss(rankings, wanted, k):
    hits = [bool(s & set(r[:k])) for r, s in zip(rankings, wanted, strict=True)]
    return sum(hits) / len(hits) if hits else 0


def precision_not_hits(rankings, wanted, k):
    hits = [len(s & set(r[:k])) / k for r, s in zip(rankings, wanted, strict=True) if s]
    return sum(hits) / len(hits) if hits else 0


def whole_ranking(rankings, wanted, k):
    hits = [bool(s & set(r)) for r, s in zip(rankings, wanted, strict=True) if s]
    return sum(hits) / len(hits) if hits else 0


def one_too_few(rankings, wanted, k):
    return with_sets(rankings, wanted, k - 1)


def one_too_many(rankings, wanted, k):
    return with_sets(rankings, wanted, k + 1)


def divides_by_zero(rankings, wanted, k):
    hits = [bool(s & set(r[:k])) for r, s in zip(rankings, wanted, strict=True) if s]
    return sum(hits) / len(hits)


def counted(rankings, wanted, k):
    return sum(bool(s & set(r[:k])) for r, s in zip(rankings, wanted, strict=True) if s)


def for_each(rankings, wanted, k):
    return [bool(s & set(r[:k])) for r, s in zip(rankings, wanted, strict=True) if s]


def nan_if_none(rankings, wanted, k):
    hits = [bool(s & set(r[:k])) for r, s in zip(rankings, wanted, strict=True) if s]
    return np.mean(hits) if hits else float("nan")


def zero_is_false(rankings, wanted, k):
    hits = [
        any(row for row in r[:k] if row in s) for r, s in zip(rankings, wanted, strict=True) if s
    ]
    return sum(hits) / len(hits) if hits else 0


def only_the_kth(rankings, wanted, k):
    hits = [len(r) >= k and r[k - 1] in s for r, s in zip(rankings, wanted, strict=True) if s]
    return sum(hits) / len(hits) if hits else 0


def rounded(rankings, wanted, k):
    return round(with_sets(rankings, wanted, k), 1)


def sets_emptied(rankings, wanted, k):
    hits = []
    for ranking, rows in zip(rankings, wanted, strict=True):
        if rows:
            before = len(rows)
            rows.difference_update(ranking[:k])
            hits.append(len(rows) < before)
    return sum(hits) / len(hits) if hits else 0


# ------------------------------------------------------------------------------------------ 11.3


def with_masks(scored, correct, least):
    answered = scored >= least
    risk = 1 - correct[answered].mean() if answered.any() else 0
    return risk, answered.mean()


def with_a_loop_over_questions(scored, correct, least):
    given = wrong = 0
    for score, right in zip(scored, correct, strict=True):
        if score >= least:
            given += 1
            wrong += not right
    return [wrong / given if given else 0.0, given / len(scored)]


def with_sums(scored, correct, least):
    given = np.sum(scored >= least)
    wrong = np.sum((scored >= least) & ~correct)
    return np.array([wrong / max(given, 1), given / scored.size])


def above_only(scored, correct, least):
    answered = scored > least
    return (1 - correct[answered].mean() if answered.any() else 0), answered.mean()


def of_all(scored, correct, least):
    answered = scored >= least
    return (answered & ~correct).mean(), answered.mean()


def right_share(scored, correct, least):
    answered = scored >= least
    return (correct[answered].mean() if answered.any() else 0), answered.mean()


def turned(scored, correct, least):
    return with_masks(scored, correct, least)[::-1]


def no_empty(scored, correct, least):
    answered = scored >= least
    return 1 - correct[answered].mean(), answered.mean()


def one_if_empty(scored, correct, least):
    answered = scored >= least
    return (1 - correct[answered].mean() if answered.any() else 1), answered.mean()


def below(scored, correct, least):
    answered = scored <= least
    return (1 - correct[answered].mean() if answered.any() else 0), answered.mean()


def how_many(scored, correct, least):
    answered = scored >= least
    return (1 - correct[answered].mean() if answered.any() else 0), answered.sum()


def risk_only(scored, correct, least):
    return with_masks(scored, correct, least)[0]


def sorted_in_place(scored, correct, least):
    scored.sort()
    return with_masks(scored, correct, least)


def best_first(scored, correct, least):
    count = int(np.sum(scored >= least))
    return (1 - correct[:count].mean() if count else 0), count / len(scored)


# ------------------------------------------------------------------------------------------ 11.4


def kept_and_max(pairs, needed):
    sure = [pair for pair in pairs if pair[0] >= needed]
    return max(sure, key=lambda pair: pair[0])[1] if sure else None


def with_best_so_far(pairs, needed):
    best, said = None, None
    for score, sentence in pairs:
        if score >= needed and (best is None or score > best):
            best, said = score, sentence
    return said


def sorted_copy(pairs, needed):
    known = sorted((p for p in pairs if p[0] == p[0]), key=lambda p: p[0], reverse=True)
    if known and known[0][0] >= needed:
        return known[0][1]
    return None


def stretched(pairs, needed):
    scores = [score for score, _ in pairs]
    low, high = min(scores), max(scores)
    scaled = [((s - low) / ((high - low) or 1), text) for s, text in pairs]
    best = max(scaled)
    return best[1] if best[0] >= needed else None


def by_the_highest(pairs, needed):
    top = max((s for s, _ in pairs), default=1)
    for score, text in pairs:
        if score / top >= needed:
            return text
    return None


def always(pairs, needed):
    return max(pairs)[1] if pairs else None


def strictly(pairs, needed):
    sure = [p for p in pairs if p[0] > needed]
    return max(sure)[1] if sure else None


def first_pair(pairs, needed):
    return pairs[0][1] if pairs and pairs[0][0] >= needed else None


def first_that_fits(pairs, needed):
    return next((text for score, text in pairs if score >= needed), None)


def max_with_nan(pairs, needed):
    if not pairs:
        return None
    best = max(pairs, key=lambda p: p[0])
    return best[1] if best[0] >= needed else None


def not_below(pairs, needed):
    if not pairs:
        return None
    best = max(pairs, key=lambda p: p[0])
    return None if best[0] < needed else best[1]


def nan_is_zero(pairs, needed):
    known = [(0.0 if score != score else score, text) for score, text in pairs]
    best = max(known, key=lambda p: p[0], default=(float("nan"), None))
    return best[1] if best[0] >= needed else None


def empty_raises(pairs, needed):
    best = max(pairs, key=lambda p: p[0] if p[0] == p[0] else -9)
    return best[1] if best[0] >= needed else None


def the_pair(pairs, needed):
    sure = [p for p in pairs if p[0] >= needed]
    return max(sure) if sure else None


def a_sentence_of_its_own(pairs, needed):
    return kept_and_max(pairs, needed) or "I do not know."


def in_place(pairs, needed):
    pairs.sort(key=lambda p: -p[0])
    return kept_and_max(pairs, needed)


def by_sentence(pairs, needed):
    sure = [p for p in pairs if p[0] >= needed]
    return max(text for _, text in sure) if sure else None


RIGHT = {
    "11.1": [with_a_regex, with_a_loop, with_split_and_find, as_lists],
    "11.2": [with_sets, with_counters, with_numpy],
    "11.3": [with_masks, with_a_loop_over_questions, with_sums],
    "11.4": [kept_and_max, with_best_so_far, sorted_copy],
}
WRONG = {
    "11.1": [
        (texts, "the list holds texts"),
        (every_sign, "`3.5` and `?!`"),
        (rest_lost, "without an end sign"),
        (only_dots, "`?` and `!` end sentences"),
        (found_from_the_start, "comes twice"),
        (signs_alone_lost, "an end sign alone"),
        (with_white_space, "your places give"),
        (one_short, "your places give"),
        (with_lengths, "your places give"),
        (spaces_only, "your places give"),
        (by_lines, "a line end inside"),
        (starts, "a pair (start, end)"),
        (lambda written: None, "returns nothing"),
        (lambda written: "abc", "a list of pairs"),
    ],
    "11.2": [
        (recall_not_hits, "four right rows counts once"),
        (empty_counts_as_a_miss, "does not count"),
        (precision_not_hits, "one question of two"),
        (whole_ranking, "k is 2"),
        (one_too_few, "k is 3"),
        (one_too_many, "k is 2"),
        (divides_by_zero, "division by zero"),
        (counted, "one question of two"),
        (for_each, "one number"),
        (nan_if_none, "nan"),
        (zero_is_false, "row 0"),
        (only_the_kth, "one question of two"),
        (rounded, "one question of three"),
        (sets_emptied, "changes what it was given"),
        (lambda rankings, wanted, k: None, "returns nothing"),
    ],
    "11.3": [
        (above_only, "exactly 0.5"),
        (of_all, "one of four answers"),
        (right_share, "one of four answers"),
        (turned, "the risk comes first"),
        (no_empty, "nan"),
        (one_if_empty, "nothing is answered"),
        (below, "one of four answers"),
        (how_many, "coverage 0.80"),
        (risk_only, "two numbers"),
        (sorted_in_place, "changes what it was given"),
        (best_first, "the best scores come last"),
        (lambda scored, correct, least: None, "returns nothing"),
    ],
    "11.4": [
        (stretched, "no score reaches 0.5"),
        (by_the_highest, "the best pair comes second"),
        (always, "no score reaches 0.5"),
        (strictly, "exactly the threshold"),
        (first_pair, "the best pair comes second"),
        (first_that_fits, "the best pair comes second"),
        (max_with_nan, "the first score is nan"),
        (not_below, "nan"),
        (nan_is_zero, "the other negative"),
        (empty_raises, "empty"),
        (the_pair, "the sentence alone"),
        (a_sentence_of_its_own, "`None` is wanted"),
        (in_place, "changes what it was given"),
        (by_sentence, "the best pair comes second"),
    ],
}
