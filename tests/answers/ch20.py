"""What people answer in chapter 20: right ones in several styles, and wrong ones with what is said of them."""

import math
import re

import numpy as np

# ------------------------------------------------------------------------------------------ 20.1


def shares_of(scores):
    large = np.exp(scores - scores.max(axis=1, keepdims=True))
    return large / large.sum(axis=1, keepdims=True)


def with_triu(queries, keys, values):
    scores = queries @ keys.T / np.sqrt(queries.shape[1])
    scores = np.where(np.triu(np.ones(scores.shape), 1) == 1, -np.inf, scores)
    return shares_of(scores) @ values


def token_by_token(queries, keys, values):
    result = np.zeros(values.shape)
    for i in range(len(queries)):
        scores = keys[: i + 1] @ queries[i] / queries.shape[1] ** 0.5
        weights = np.exp(scores - scores.max())
        result[i] = weights @ values[: i + 1] / weights.sum()
    return result


def with_numbers(queries, keys, values):
    result = []
    for i, query in enumerate(queries):
        scores = [float(query @ key) / math.sqrt(len(query)) for key in keys[: i + 1]]
        top = max(scores)
        parts = [math.exp(score - top) for score in scores]
        result.append(sum(p * v for p, v in zip(parts, values, strict=False)) / sum(parts))
    return result


def with_a_large_minus(queries, keys, values):
    n, d = queries.shape
    scores = np.einsum("id,jd->ij", queries, keys) / d**0.5
    later = np.arange(n)[None, :] > np.arange(n)[:, None]
    return shares_of(scores + later * -1e30) @ values


def _attention(scale=None, first=1, axis=1, safe=True, values_used=True):
    def attention(queries, keys, values):
        scores = queries @ keys.T / (np.sqrt(queries.shape[1]) if scale is None else scale(queries))
        if first is not None:
            scores[np.triu_indices(len(scores), first)] = -np.inf
        large = np.exp(scores - scores.max(axis=axis, keepdims=True) if safe else scores)
        shares = large / large.sum(axis=axis, keepdims=True)
        return shares @ values if values_used else shares

    return attention


def ten_thousand_in_place(queries, keys, values):
    scores = queries @ keys.T / np.sqrt(queries.shape[1])
    return shares_of(np.where(np.triu(np.ones(scores.shape), 1) == 1, -1e4, scores)) @ values


def ten_thousand_less(queries, keys, values):
    scores = queries @ keys.T / np.sqrt(queries.shape[1])
    return shares_of(scores - np.triu(np.full(scores.shape, 1e4), 1)) @ values


def zero_before_softmax(queries, keys, values):
    return shares_of(np.tril(queries @ keys.T / np.sqrt(queries.shape[1]))) @ values


def only_the_last(queries, keys, values):
    return token_by_token(queries, keys, values)[-1]


def in_place(queries, keys, values):
    queries /= np.sqrt(queries.shape[1])
    return _attention(scale=lambda q: 1)(queries, keys, values)


def for_five_tokens(queries, keys, values):
    scores = queries @ keys.T / np.sqrt(queries.shape[1]) + np.triu(np.full((5, 5), -np.inf), 1)
    return shares_of(scores) @ values


def returns_nothing(queries, keys, values):
    with_triu(queries, keys, values)


# ------------------------------------------------------------------------------------------ 20.2


def with_columns(vectors, positions):
    d = vectors.shape[1]
    angles = np.outer(positions, 100_000.0 ** (-np.arange(0, d, 2) / d))
    a, b = vectors[:, 0::2], vectors[:, 1::2]
    turned = np.empty_like(vectors)
    turned[:, 0::2] = a * np.cos(angles) - b * np.sin(angles)
    turned[:, 1::2] = a * np.sin(angles) + b * np.cos(angles)
    return turned


def with_loops(vectors, positions):
    n, d = vectors.shape
    turned = np.zeros((n, d))
    for row in range(n):
        for i in range(d // 2):
            angle = positions[row] * 100_000 ** (-2 * i / d)
            a, b = float(vectors[row, 2 * i]), float(vectors[row, 2 * i + 1])
            turned[row, 2 * i] = a * math.cos(angle) - b * math.sin(angle)
            turned[row, 2 * i + 1] = a * math.sin(angle) + b * math.cos(angle)
    return turned


def with_complex_numbers(vectors, positions):
    n, d = vectors.shape
    pairs = vectors[:, 0::2] + 1j * vectors[:, 1::2]
    pairs = pairs * np.exp(1j * positions[:, None] * 100_000.0 ** (-2 * np.arange(d // 2) / d))
    return np.stack([pairs.real, pairs.imag], axis=2).reshape(n, d)


def with_pairs(vectors, positions):
    n, d = vectors.shape
    pairs = vectors.reshape(n, d // 2, 2)
    angles = positions[:, None] / 100_000 ** (np.arange(d // 2) * 2 / d)
    cos, sin = np.cos(angles), np.sin(angles)
    a, b = pairs[..., 0], pairs[..., 1]
    return np.dstack([a * cos - b * sin, a * sin + b * cos]).reshape(n, d)


def _rotate(sign=1, base=100_000.0, power=1.0, halves=False, ranks=False):
    def rotate(vectors, positions):
        d = vectors.shape[1]
        where = np.arange(len(vectors)) if ranks else positions
        angles = sign * np.outer(where, base ** (-np.arange(0, d, 2) * power / d))
        one = slice(0, d // 2) if halves else slice(0, d, 2)
        two = slice(d // 2, d) if halves else slice(1, d, 2)
        turned = np.empty(vectors.shape)
        turned[:, one] = vectors[:, one] * np.cos(angles) - vectors[:, two] * np.sin(angles)
        turned[:, two] = vectors[:, one] * np.sin(angles) + vectors[:, two] * np.cos(angles)
        return turned

    return rotate


def overwritten(vectors, positions):
    d = vectors.shape[1]
    angles = np.outer(positions, 100_000.0 ** (-np.arange(0, d, 2) / d))
    turned = vectors.astype(float)
    turned[:, 0::2] = turned[:, 0::2] * np.cos(angles) - turned[:, 1::2] * np.sin(angles)
    turned[:, 1::2] = turned[:, 0::2] * np.sin(angles) + turned[:, 1::2] * np.cos(angles)
    return turned


def turns_in_place(vectors, positions):
    vectors[:] = with_columns(vectors, positions)
    return vectors


def in_degrees(vectors, positions):
    return _rotate()(vectors, np.deg2rad(positions))


def one_place_late(vectors, positions):
    return with_columns(vectors, positions + 1)


def pairs_only(vectors, positions):
    return with_columns(vectors, positions)[:, 0::2]


# ------------------------------------------------------------------------------------------ 20.3


def with_while(read, prompt, end, limit):
    said, new = [], prompt
    while len(said) < limit:
        best = int(read(new).argmax())
        if best == end:
            break
        said.append(best)
        new = [best]
    return said


def with_for(read, prompt, end, limit):
    said = []
    new = list(prompt)
    for _ in range(limit):
        best = np.argmax(read(new))
        if best == end:
            return said
        said.append(best)
        new = said[-1:]
    return said


def by_recursion(read, prompt, end, limit):
    if limit == 0:
        return []
    best = int(np.argmax(read(prompt)))
    return [] if best == end else [best, *by_recursion(read, [best], end, limit - 1)]


def reads_ahead(read, prompt, end, limit):
    said = []
    scores = read(prompt)
    while len(said) < limit:
        best = scores.tolist().index(scores.max())
        if best == end:
            break
        said.append(best)
        if len(said) < limit:
            scores = read([best])
    return said


def everything_again(read, prompt, end, limit):
    said = []
    while len(said) < limit:
        best = int(read([*prompt, *said]).argmax())
        if best == end:
            break
        said.append(best)
    return said


def a_bare_number(read, prompt, end, limit):
    said, new = [], prompt
    while len(said) < limit:
        new = int(read(new).argmax())
        if new == end:
            break
        said.append(new)
    return said


def _loop(with_prompt=False, with_end=False, slack=0, last=False, until=None, kind=list):
    def write(read, prompt, end, limit):
        said, new = [], prompt
        while len(said) < limit + slack:
            scores = read(new)
            best = int(len(scores) - 1 - scores[::-1].argmax()) if last else int(scores.argmax())
            if best == (end if until is None else until):
                if with_end:
                    said.append(best)
                break
            said.append(best)
            new = [best]
        return kind([*prompt, *said] if with_prompt else said)

    return write


def zero_is_nothing(read, prompt, end, limit):
    said, new = [], prompt
    while len(said) < limit:
        best = int(read(new).argmax())
        if not best or best == end:
            break
        said.append(best)
        new = [best]
    return said


def the_prompt_piece_by_piece(read, prompt, end, limit):
    for token in prompt:
        scores = read([token])
    said = []
    while len(said) < limit:
        best = int(scores.argmax())
        if best == end:
            break
        said.append(best)
        scores = read([best])
    return said


def prints_only(read, prompt, end, limit):
    with_while(read, prompt, end, limit)


def grows_the_prompt(read, prompt, end, limit):
    said, new = [], prompt
    while len(said) < limit:
        best = int(read(new).argmax())
        if best == end:
            break
        said.append(best)
        new.clear()
        new.append(best)
    return said


# ------------------------------------------------------------------------------------------ 20.4

SIGN = r"<\|[^<>|]+\|>"


def again_and_again(found):
    while re.search(SIGN, found):
        found = re.sub(SIGN, "", found)
    return found


def until_nothing_changes(found):
    before = None
    while before != found:
        before = found
        found = re.sub(r"<\|[^<|>]{1,}\|>", "", found)
    return found


def with_a_count(found):
    count = 1
    while count:
        found, count = re.subn(SIGN, "", found)
    return found


def by_recursion_again(found):
    cleaned = re.sub(SIGN, "", found)
    return cleaned if cleaned == found else by_recursion_again(cleaned)


def without_patterns(found):
    end = found.find("|>")
    while end >= 0:
        start = found.rfind("<|", 0, end)
        name = found[start + 2 : end]
        if start >= 0 and name and not set(name) & set("<>|"):
            found = found[:start] + found[end + 2 :]
            end = found.find("|>")
        else:
            end = found.find("|>", end + 1)
    return found


def two_names(found):
    return found.replace("<|im_start|>", "").replace("<|im_end|>", "")


def one_round(found):
    return re.sub(SIGN, "", found)


def two_rounds(found):
    return re.sub(SIGN, "", re.sub(SIGN, "", found))


def ten_rounds(found):
    for _ in range(10):
        found = re.sub(SIGN, "", found)
    return found


def within_a_line(found):
    while re.search(r"<\|[^<>|\n]+\|>", found):
        found = re.sub(r"<\|[^<>|\n]+\|>", "", found)
    return found


def greedy(found):
    return re.sub(r"<\|.*\|>", "", found)


def also_without_a_name(found):
    while re.search(r"<\|[^<>|]*\|?>", found):
        found = re.sub(r"<\|[^<>|]*\|?>", "", found)
    return found


def all_brackets(found):
    return re.sub(r"[<>|]", "", found)


def tags_too(found):
    while re.search(r"<[^<>]+>", found):
        found = re.sub(r"<[^<>]+>", "", found)
    return found


def letters_only(found):
    while re.search(r"<\|\w+\|>", found):
        found = re.sub(r"<\|\w+\|>", "", found)
    return found


def by_a_space(found):
    while re.search(SIGN, found):
        found = re.sub(SIGN, " ", found)
    return found


def stripped(found):
    return again_and_again(found).strip()


def nothing_returned(found):
    again_and_again(found)


def words_back(found):
    return again_and_again(found).split()


RIGHT = {
    "20.1": [with_triu, token_by_token, with_numbers, with_a_large_minus, _attention()],
    "20.2": [with_columns, with_loops, with_complex_numbers, with_pairs],
    "20.3": [with_while, with_for, by_recursion, reads_ahead],
    "20.4": [
        again_and_again,
        until_nothing_changes,
        with_a_count,
        by_recursion_again,
        without_patterns,
    ],
}

WRONG = {
    "20.1": [
        (_attention(first=None), "later tokens are looked at"),
        (_attention(first=0), "may look at itself too"),
        (_attention(scale=lambda q: 1), "were not divided by the root"),
        (_attention(scale=lambda q: q.shape[1]), "divided by d, not by its root"),
        (_attention(scale=lambda q: 8), "divided by 8"),
        (_attention(axis=0), "each *column* sum to 1"),
        (_attention(safe=False), "`exp` has grown too large"),
        (_attention(values_used=False), "the shape is (5, 5)"),
        (ten_thousand_in_place, "near -15,000"),
        (ten_thousand_less, "the result is another one"),
        (zero_before_softmax, "token 0 sees only itself"),
        (only_the_last, "the shape is (4,)"),
        (in_place, "changes what it was given"),
        (for_five_tokens, "your code raised"),
        (returns_nothing, "is there a `return`"),
    ],
    "20.2": [
        (_rotate(sign=-1), "the other way round"),
        (_rotate(halves=True), "half a vector apart"),
        (_rotate(base=10_000.0), "10,000, not with 100,000"),
        (_rotate(power=0.5), "yours is -i/d"),
        (_rotate(power=-1.0), "lost its minus"),
        (_rotate(power=0.0), "all pairs turn equally fast"),
        (_rotate(ranks=True), "though their positions are [7, 0, 2]"),
        (overwritten, "overwritten before the other"),
        (turns_in_place, "changes what it was given"),
        (in_degrees, "other angles"),
        (one_place_late, "other angles"),
        (pairs_only, "the shape is (4, 3)"),
        (lambda vectors, positions: vectors, "other angles"),
    ],
    "20.3": [
        (everything_again, "given the prompt again"),
        (a_bare_number, "also for a single token"),
        (_loop(with_prompt=True), "holds the prompt too"),
        (_loop(with_end=True), "the token `end` is in the list"),
        (_loop(slack=1), "tokens are due"),
        (_loop(slack=1000), "the limit is 4: 4 tokens are due, and 6 came back"),
        (_loop(last=True), "equal scores"),
        (_loop(until=9), "the end is 2"),
        (_loop(kind=tuple), "not a tuple"),
        (_loop(kind=np.array), "not a ndarray"),
        (zero_is_nothing, "token 0 is a token like others"),
        (the_prompt_piece_by_piece, "the whole prompt"),
        (prints_only, "is there a `return`"),
        (grows_the_prompt, "changes what it was given"),
    ],
    "20.4": [
        (two_names, "holds a sign"),
        (one_round, "which holds a sign"),
        (two_rounds, "signs three deep"),
        (ten_rounds, "signs fifty deep"),
        (within_a_line, "a line break"),
        (greedy, "what is between stays"),
        (also_without_a_name, "have no name"),
        (all_brackets, "though 'ab' is right"),
        (tags_too, "comes back as 'a  d'"),
        (letters_only, "a space and a digit"),
        (by_a_space, "one sign"),
        (stripped, "two signs and two lines"),
        (nothing_returned, "is there a `return`"),
        (words_back, "not a list"),
    ],
}
