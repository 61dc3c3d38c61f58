"""Answers to the exercises of chapter 15 that people could give, right and wrong."""

import random
import zlib
from collections import Counter

import numpy as np

# ------------------------------------------------------------------------------------------ 15.1


def by_product(mine, others):
    in_common = others.astype(int) @ mine.astype(int)
    in_any = others.sum(axis=1, dtype=int) + mine.sum(dtype=int) - in_common
    return in_common / np.maximum(in_any, 1)


def by_and_and_or(mine, others):
    shared = np.logical_and(others, mine).sum(axis=1)
    total = np.logical_or(others, mine).sum(axis=1)
    return np.divide(shared, total, out=np.zeros(len(others)), where=total > 0)


def by_bits_of_uint8(mine, others):
    shared = (others & mine).sum(axis=1)
    total = (others | mine).sum(axis=1)
    return np.where(total == 0, 0.0, shared / np.where(total == 0, 1, total))


def by_minimum(mine, others):
    low = np.minimum(others, mine).astype(float).sum(axis=1)
    high = np.maximum(others, mine).astype(float).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(low / high)


def in_uint8(mine, others):
    shared = others @ mine
    total = others.sum(axis=1, dtype=int) + mine.sum(dtype=int) - shared
    return shared / np.maximum(total, 1)


def nan_for_nothing(mine, others):
    shared = others.astype(int) @ mine.astype(int)
    return shared / (others.sum(axis=1, dtype=int) + mine.sum(dtype=int) - shared)


def one_for_nothing(mine, others):
    total = (others | mine).sum(axis=1)
    return np.where(total == 0, 1.0, (others & mine).sum(axis=1) / np.maximum(total, 1))


def cosine(mine, others):
    shared = others.astype(int) @ mine.astype(int)
    return shared / np.sqrt(np.maximum(others.sum(axis=1, dtype=int) * int(mine.sum()), 1))


def dice(mine, others):
    shared = others.astype(int) @ mine.astype(int)
    return 2 * shared / np.maximum(others.sum(axis=1, dtype=int) + mine.sum(dtype=int), 1)


def counted_twice(mine, others):
    return dice(mine, others) / 2


def share_of_mine(mine, others):
    return (others & mine).sum(axis=1) / max(1, int(mine.sum()))


def same_places(mine, others):
    return (others == mine).mean(axis=1)


def distance(mine, others):
    return 1 - by_product(mine, others)


def in_common(mine, others):
    return (others & mine).sum(axis=1)


def wrong_axis(mine, others):
    shared = (others & mine).sum(axis=0)
    return shared / np.maximum((others | mine).sum(axis=0), 1)


def with_a_loop(mine, others):
    return np.array([by_product(mine, row[None])[0] for row in others])


def best_only(mine, others):
    return by_product(mine, others).max(initial=0)


def forgets(mine, others):
    by_product(mine, others)


# ------------------------------------------------------------------------------------------ 15.2


def rounded(cosine, own, theirs):
    shared = np.round(cosine * np.sqrt(own * theirs))
    return shared / (own + theirs - shared)


def one_by_one(cosine, own, theirs):
    found = []
    for value, size in zip(cosine, theirs, strict=True):
        shared = round(float(value) * (own * int(size)) ** 0.5)
        found.append(shared / (own + int(size) - shared))
    return np.array(found)


def half_up(cosine, own, theirs):
    shared = np.floor(cosine * own**0.5 * theirs**0.5 + 0.5).astype(int)
    return shared / (own + theirs - shared)


def not_rounded(cosine, own, theirs):
    shared = cosine * np.sqrt(own * theirs)
    return shared / (own + theirs - shared)


def rounded_later(cosine, own, theirs):
    return np.round(not_rounded(cosine, own, theirs), 3)


def cut_off(cosine, own, theirs):
    shared = (cosine * np.sqrt(own * theirs)).astype(int)
    return shared / (own + theirs - shared)


def without_the_root(cosine, own, theirs):
    shared = np.round(cosine * own * theirs)
    return shared / (own + theirs - shared)


def only_shared(cosine, own, theirs):
    return np.round(cosine * np.sqrt(own * theirs))


def by_all_bits(cosine, own, theirs):
    return np.round(cosine * np.sqrt(own * theirs)) / (own + theirs)


def of_equal_size(cosine, own, theirs):
    return cosine / (2 - cosine)


def cosine_again(cosine, own, theirs):
    return cosine


def own_for_theirs(cosine, own, theirs):
    shared = np.round(cosine * own)
    return shared / (2 * own - shared)


def first_only(cosine, own, theirs):
    return rounded(cosine, own, theirs)[:1]


def returns_nothing(cosine, own, theirs):
    rounded(cosine, own, theirs)


# ------------------------------------------------------------------------------------------ 15.3


def line_by_line(likeness, known, least):
    answers = []
    for line in likeness:
        order = np.argsort(-line, kind="stable")
        near = [column for column in order if line[column] >= least][:5]
        votes = known[near]
        if len(near) == 0 or 2 * votes.sum() == len(votes):
            answers.append(None)
        else:
            answers.append(bool(votes.mean() > 0.5))
    return answers


def with_sorted(likeness, known, least):
    answers = []
    for line in likeness.tolist():
        voters = sorted(range(len(line)), key=lambda column: (-line[column], column))
        votes = [1 if known[c] else -1 for c in voters if line[c] >= least][:5]
        total = sum(votes)
        answers.append(None if total == 0 else total > 0)
    return answers


def as_table(likeness, known, least):
    order = np.argsort(-likeness, axis=1, kind="stable")[:, :5]
    alike = np.take_along_axis(likeness, order, axis=1) >= least
    total = (np.where(known[order], 1, -1) * alike).sum(axis=1)
    return [None if value == 0 else bool(value > 0) for value in total]


def never_silent(likeness, known, least):
    order = np.argsort(-likeness, axis=1, kind="stable")[:, :5]
    return [bool(value > 0.5) for value in known[order].mean(axis=1)]


def all_who_are_near(likeness, known, least):
    answers = []
    for line in likeness:
        votes = known[line >= least]
        answers.append(
            None if 2 * votes.sum() == len(votes) else bool(2 * votes.sum() > len(votes))
        )
    return answers


def more_than_least(likeness, known, least):
    answers = []
    for line in likeness:
        order = np.argsort(-line, kind="stable")
        votes = known[[column for column in order if line[column] > least][:5]]
        answers.append(
            None if 2 * votes.sum() == len(votes) else bool(2 * votes.sum() > len(votes))
        )
    return answers


def ties_pass(likeness, known, least):
    answers = []
    for line in likeness:
        order = np.argsort(-line, kind="stable")
        votes = known[[column for column in order if line[column] >= least][:5]]
        answers.append(bool(2 * votes.sum() >= len(votes)) if len(votes) else None)
    return answers


def nobody_is_false(likeness, known, least):
    return [bool(answer) for answer in line_by_line(likeness, known, least)]


def ties_backwards(likeness, known, least):
    turned = line_by_line(likeness[:, ::-1], known[::-1], least)
    return turned


def least_alike(likeness, known, least):
    answers = []
    for line in likeness:
        order = np.argsort(line, kind="stable")
        votes = known[[column for column in order if line[column] >= least][:5]]
        answers.append(
            None if 2 * votes.sum() == len(votes) else bool(2 * votes.sum() > len(votes))
        )
    return answers


def nearest_alone(likeness, known, least):
    return [
        bool(known[line.argmax()]) if len(line) and line.max() >= least else None
        for line in likeness
    ]


def silent_if_less_than_five(likeness, known, least):
    answers = line_by_line(likeness, known, least)
    return [
        a if (line >= least).sum() >= 5 else None for a, line in zip(answers, likeness, strict=True)
    ]


def as_words(likeness, known, least):
    names = {True: "yes", False: "no", None: "unknown"}
    return [names[answer] for answer in line_by_line(likeness, known, least)]


def only_those_who_speak(likeness, known, least):
    return [answer for answer in line_by_line(likeness, known, least) if answer is not None]


def says_nothing(likeness, known, least):
    line_by_line(likeness, known, least)


# ------------------------------------------------------------------------------------------ 15.4


def by_cumsum(groups, share, random_state):
    single, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(random_state).permutation(len(single))
    chosen = order[np.cumsum(sizes[order]) <= share * len(groups)]
    return np.isin(of_row, chosen)


def group_by_group(groups, share, random_state):
    rng = np.random.default_rng(random_state)
    names = sorted(set(groups.tolist()))
    rng.shuffle(names)
    tested = np.zeros(len(groups), bool)
    for name in names:
        rows = groups == name
        if tested.sum() + rows.sum() > share * len(groups):
            break
        tested |= rows
    return tested


def all_that_fit(groups, share, random_state):
    rng = np.random.default_rng(random_state)
    names, counts = np.unique(groups, return_counts=True)
    left, chosen = share * len(groups), []
    for place in rng.permutation(len(names)):
        if counts[place] <= left:
            left -= counts[place]
            chosen.append(names[place])
    return np.array([group in chosen for group in groups])


def by_a_stable_hash(groups, share, random_state):
    names, counts = np.unique(groups, return_counts=True)
    order = sorted(
        range(len(names)), key=lambda n: zlib.crc32(f"{names[n]} {random_state}".encode())
    )
    fits = np.cumsum(counts[order]) <= share * len(groups)
    return np.isin(groups, names[np.array(order)[fits]])


def by_appearance(groups, share, random_state):
    sizes = Counter(groups.tolist())
    names = list(sizes)
    random.Random(random_state).shuffle(names)
    tested, room = set(), share * len(groups)
    for name in names:
        if sizes[name] > room:
            break
        tested.add(name)
        room -= sizes[name]
    return np.array([name in tested for name in groups], dtype=bool)


def in_the_order_of_a_set(groups, share, random_state):
    names = list(set(groups.tolist()))
    np.random.default_rng(random_state).shuffle(names)
    tested = np.zeros(len(groups), bool)
    for name in names:
        rows = groups == name
        if tested.sum() + rows.sum() > share * len(groups):
            break
        tested |= rows
    return tested


def by_hash(groups, share, random_state):
    names, counts = np.unique(groups, return_counts=True)
    order = sorted(range(len(names)), key=lambda n: hash((names[n], random_state)))
    fits = np.cumsum(counts[order]) <= share * len(groups)
    return np.isin(groups, names[np.array(order)[fits]])


def rows_at_random(groups, share, random_state):
    return np.random.default_rng(random_state).random(len(groups)) < share


def first_rows(groups, share, random_state):
    tested = np.zeros(len(groups), bool)
    tested[: int(share * len(groups))] = True
    return tested


def share_of_groups(groups, share, random_state):
    names = np.unique(groups)
    rng = np.random.default_rng(random_state)
    return np.isin(groups, rng.choice(names, int(share * len(names)), replace=False))


def one_too_many(groups, share, random_state):
    rng = np.random.default_rng(random_state)
    tested = np.zeros(len(groups), bool)
    for name in rng.permutation(np.unique(groups)):
        if tested.sum() >= share * len(groups):
            break
        tested |= groups == name
    return tested


def in_order_of_name(groups, share, random_state):
    _, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return np.isin(of_row, np.flatnonzero(np.cumsum(sizes) <= share * len(groups)))


def small_first(groups, share, random_state):
    names, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(random_state).permutation(len(names))
    order = order[np.argsort(sizes[order], kind="stable")]
    return np.isin(of_row, order[np.cumsum(sizes[order]) <= share * len(groups)])


def without_a_state(groups, share, random_state):
    return by_cumsum(groups, share, np.random.default_rng().integers(10**9))


def always_the_same(groups, share, random_state):
    return by_cumsum(groups, share, 0)


def nothing_is_tested(groups, share, random_state):
    return np.zeros(len(groups), bool)


def row_numbers(groups, share, random_state):
    return np.flatnonzero(by_cumsum(groups, share, random_state))


def zeros_and_ones(groups, share, random_state):
    return by_cumsum(groups, share, random_state).astype(int)


def the_other_side(groups, share, random_state):
    return ~by_cumsum(groups, share, random_state)


def sorts_in_place(groups, share, random_state):
    groups.sort()
    return by_cumsum(groups, share, random_state)


def no_answer(groups, share, random_state):
    by_cumsum(groups, share, random_state)


RIGHT = {
    "15.1": [by_product, by_and_and_or, by_bits_of_uint8, by_minimum],
    "15.2": [rounded, one_by_one, half_up],
    "15.3": [line_by_line, with_sorted, as_table],
    "15.4": [by_cumsum, group_by_group, all_that_fit, by_a_stable_hash, by_appearance],
}
WRONG = {
    "15.1": [
        (in_uint8, "a `uint8` counts to 255 only"),
        (nan_for_nothing, "there is a NaN"),
        (one_for_nothing, "the similarity is 0, not 1.000"),
        (cosine, "this is the cosine"),
        (dice, "which is called Dice"),
        (counted_twice, "counted twice"),
        (share_of_mine, "the bits of `mine` alone"),
        (same_places, "zeros in both count too"),
        (distance, "this is the distance"),
        (in_common, "the number of bits in common; divide it"),
        (wrong_axis, "the shape (5,) is wanted"),
        (with_a_loop, "the task says no loop"),
        (best_only, "the shape (5,) is wanted, not ()"),
        (forgets, "returns nothing"),
    ],
    "15.2": [
        (not_rounded, "so round them"),
        (rounded_later, "so round them"),
        (cut_off, "cut off to the whole number below"),
        (without_the_root, "has no root here"),
        (only_shared, "one step is left"),
        (by_all_bits, "counted twice"),
        (of_equal_size, "as many bits as the query"),
        (cosine_again, "this is the cosine itself"),
        (own_for_theirs, "are in common"),
        (first_only, "the shape (3,) is wanted"),
        (returns_nothing, "returns nothing"),
    ],
    "15.3": [
        (never_silent, "so the answer is None"),
        (all_who_are_near, "only the five most alike vote"),
        (more_than_least, "not None"),
        (ties_pass, "which is a tie"),
        (nobody_is_false, "the answer is None, not False"),
        (ties_backwards, "of equals the smaller column"),
        (least_alike, "the most alike first"),
        (nearest_alone, "which is a tie"),
        (silent_if_less_than_five, "not None"),
        (as_words, "True, False or None, not 'yes'"),
        (only_those_who_speak, "answers are wanted"),
        (says_nothing, "returns nothing"),
    ],
    "15.4": [
        (rows_at_random, "are on both sides"),
        (first_rows, "are on both sides"),
        (share_of_groups, "rows are tested"),
        (one_too_many, "rows are tested, at most"),
        (in_order_of_name, "draw at random"),
        (small_first, "is never tested"),
        (without_a_state, "another answer the second time"),
        (in_the_order_of_a_set, "another answer in another kernel"),
        (by_hash, "another answer in another kernel"),
        (always_the_same, "draw at random"),
        (nothing_is_tested, "rows are tested"),
        (row_numbers, "one value for each row"),
        (zeros_and_ones, "an array of bool is wanted"),
        (the_other_side, "rows are tested, at most"),
        (sorts_in_place, "changes what it was given"),
        (no_answer, "returns nothing"),
    ],
}
