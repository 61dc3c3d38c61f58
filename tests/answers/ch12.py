"""Answers to the exercises of chapter 12 that people could give, right and wrong."""

import numpy as np

# ------------------------------------------------------------------------------------------ 12.1


def with_isin(users, times, moment):
    past = times < moment
    return past, ~np.isin(users, users[past])


def with_loops(users, times, moment):
    first = {}
    for user, time in zip(users.tolist(), times.tolist(), strict=True):
        first[user] = min(time, first.get(user, time))
    past = [time < moment for time in times.tolist()]
    new = [first[user] >= moment for user in users.tolist()]
    return np.array(past, bool), np.array(new, bool)


def with_unique(users, times, moment):
    numbers, rows = np.unique(users, return_inverse=True)
    first = np.full(len(numbers), np.inf)
    np.minimum.at(first, rows, times)
    return times < moment, first[rows] >= moment


def with_sets_and_lists(users, times, moment):
    old = {u for u, t in zip(users, times, strict=True) if t < moment}
    return [bool(t < moment) for t in times], [bool(u not in old) for u in users]


def at_the_moment_too(users, times, moment):
    past = times <= moment
    return past, ~np.isin(users, users[past])


def every_later_rating(users, times, moment):
    return times < moment, times >= moment


def later_ratings_of_new(users, times, moment):
    past = times < moment
    return ~np.isin(users, users[times >= moment]), ~np.isin(users, users[past])


def random_split(users, times, moment):
    rng = np.random.default_rng(0)
    past = rng.random(len(users)) < 0.8
    return past, ~past


def swapped(users, times, moment):
    past, new = with_isin(users, times, moment)
    return new, past


def sorted_first(users, times, moment):
    order = np.argsort(times)
    return with_isin(users[order], times[order], moment)


def numbers_of_users(users, times, moment):
    past = times < moment
    return past, np.setdiff1d(users, users[past])


def rows_of_ratings(users, times, moment):
    past, new = with_isin(users, times, moment)
    return np.flatnonzero(past), np.flatnonzero(new)


def zeros_and_ones(users, times, moment):
    past, new = with_isin(users, times, moment)
    return past.astype(int), new.astype(int)


def one_thing(users, times, moment):
    return times < moment


def nothing(users, times, moment):
    past = times < moment
    new = ~np.isin(users, users[past])
    past, new  # noqa: B018


def last_rating(users, times, moment):
    late = {u for u in users.tolist() if times[users == u].max() >= moment}
    return times < moment, np.array([u in late for u in users.tolist()], bool)


# ------------------------------------------------------------------------------------------ 12.2


def stable(table, liked, size):
    person = table[np.array(liked, dtype=int)].sum(axis=0)
    order = np.argsort(-(table @ person), kind="stable")
    return [row for row in order if row not in liked][:size]


def minus_infinity(table, liked, size):
    scores = np.zeros(len(table))
    for row in liked:
        scores = scores + table.astype(float) @ table[row].astype(float)
    scores[liked] = -np.inf
    order = np.argsort(-scores, kind="stable")
    return order[: max(0, min(size, len(table) - len(liked)))]


def with_sorted(table, liked, size):
    person = sum((table[row] for row in liked), start=np.zeros(table.shape[1]))
    left = [row for row in range(len(table)) if row not in set(liked)]
    return sorted(left, key=lambda row: (-float(table[row] @ person), row))[:size]


def by_a_one_hot_row(table, liked, size):
    row = np.zeros(len(table))
    row[liked] = 1
    scores = row @ table @ table.T
    ranking = np.lexsort((np.arange(len(table)), -scores))
    return ranking[~np.isin(ranking, liked)][:size]


def cut_too_early(table, liked, size):
    order = np.argsort(-(table @ table[np.array(liked, int)].sum(axis=0)), kind="stable")
    return [row for row in order[:size] if row not in liked]


def with_the_liked(table, liked, size):
    return np.argsort(-(table @ table[np.array(liked, int)].sum(axis=0)), kind="stable")[:size]


def by_cosine(table, liked, size):
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit[np.array(liked, int)].sum(axis=0)), kind="stable")
    return [row for row in order if row not in liked][:size]


def worst_first(table, liked, size):
    order = np.argsort(table @ table[np.array(liked, int)].sum(axis=0), kind="stable")
    return [row for row in order if row not in liked][:size]


def ties_backwards(table, liked, size):
    order = np.argsort(table @ table[np.array(liked, int)].sum(axis=0), kind="stable")[::-1]
    return [row for row in order if row not in liked][:size]


def first_like_only(table, liked, size):
    person = table[liked[0]] if liked else np.zeros(table.shape[1])
    order = np.argsort(-(table @ person), kind="stable")
    return [row for row in order if row not in liked][:size]


def empty_breaks(table, liked, size):
    return stable(table, liked, size) if liked else []


def the_scores(table, liked, size):
    return np.sort(table @ table[np.array(liked, int)].sum(axis=0))[::-1][:size]


def sum_over_wrong_axis(table, liked, size):
    order = np.argsort(-table[np.array(liked, int)].sum(axis=1), kind="stable")
    return order[:size]


def filled_up(table, liked, size):
    found = [int(row) for row in stable(table, liked, size)]
    return found + [-1] * (size - len(found))


def appends(table, liked, size):
    found = []
    while len(found) < size and len(liked) < len(table):
        best = stable(table, liked, 1)[0]
        found.append(best)
        liked.append(best)
    return found


def prints(table, liked, size):
    print(stable(table, liked, size))


# ------------------------------------------------------------------------------------------ 12.3


def at_once(table, liked, candidate):
    if not liked:
        return None
    parts = table[liked] @ table[candidate]
    place = int(parts.argmax())
    return liked[place], float(parts[place])


def with_max(table, liked, candidate):
    return max(
        ((row, table[row] @ table[candidate]) for row in liked),
        key=lambda pair: pair[1],
        default=None,
    )


def one_by_one(table, liked, candidate):
    best = None
    for row in liked:
        part = 0.0
        for a, b in zip(table[row], table[candidate], strict=True):
            part += a * b
        if best is None or part > best[1]:
            best = (row, part)
    return best


def place_not_row(table, liked, candidate):
    if not liked:
        return None
    parts = table[liked] @ table[candidate]
    return int(parts.argmax()), parts.max()


def by_size(table, liked, candidate):
    if not liked:
        return None
    parts = table[liked] @ table[candidate]
    place = int(np.abs(parts).argmax())
    return liked[place], parts[place]


def starts_at_zero(table, liked, candidate):
    best, most = None, 0
    for row in liked:
        part = table[row] @ table[candidate]
        if part > most:
            best, most = row, part
    return (best, most) if best is not None else None


def last_of_equals(table, liked, candidate):
    best = None
    for row in liked:
        part = table[row] @ table[candidate]
        if best is None or part >= best[1]:
            best = (row, part)
    return best


def no_empty(table, liked, candidate):
    parts = table[np.array(liked, int)] @ table[candidate]
    return liked[int(parts.argmax())], parts.max()


def whole_score(table, liked, candidate):
    found = at_once(table, liked, candidate)
    return found and (found[0], float((table[liked] @ table[candidate]).sum()))


def nearest_by_cosine(table, liked, candidate):
    if not liked:
        return None
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    parts = unit[liked] @ unit[candidate]
    place = int(parts.argmax())
    return liked[place], float(parts[place])


def row_only(table, liked, candidate):
    found = at_once(table, liked, candidate)
    return found and found[0]


def turned_round(table, liked, candidate):
    found = at_once(table, liked, candidate)
    return found and found[::-1]


def zero_for_none(table, liked, candidate):
    return at_once(table, liked, candidate) or (None, 0.0)


def of_all_films(table, liked, candidate):
    if not liked:
        return None
    parts = table @ table[candidate]
    return int(parts.argmax()), float(parts.max())


def sorts(table, liked, candidate):
    liked.sort()
    return at_once(table, liked, candidate)


RIGHT = {
    "12.1": [with_isin, with_loops, with_unique, with_sets_and_lists],
    "12.2": [stable, minus_infinity, with_sorted, by_a_one_hot_row],
    "12.3": [at_once, with_max, one_by_one],
}
WRONG = {
    "12.1": [
        (at_the_moment_too, "a rating at 30 is in your `past`"),
        (every_later_rating, "is in your `new`"),
        (later_ratings_of_new, "is not in your `past`"),
        (random_split, "in your `past`"),
        (swapped, "in your `past`"),
        (sorted_first, "in your `past`"),
        (numbers_of_users, "one value for each of"),
        (rows_of_ratings, "one value for each of"),
        (zeros_and_ones, "dtype bool"),
        (one_thing, "two arrays are wanted"),
        (nothing, "returns nothing"),
        (last_rating, "is in your `new`"),
    ],
    "12.2": [
        (cut_too_early, "films come back"),
        (with_the_liked, "liked already"),
        (by_cosine, "by cosine"),
        (worst_first, "at place 1 is row"),
        (ties_backwards, "the smaller row comes first"),
        (first_like_only, "two likes: at place"),
        (empty_breaks, "no likes: all scores are 0: 0 films come back"),
        (the_scores, "integers"),
        (sum_over_wrong_axis, "liked already"),
        (filled_up, "a film is suggested twice"),
        (appends, "changes what it was given"),
        (prints, "returns nothing"),
    ],
    "12.3": [
        (place_not_row, "it is the place in `liked`"),
        (by_size, "a part is negative"),
        (starts_at_zero, "there are likes"),
        (last_of_equals, "take the first in `liked`"),
        (no_empty, "without likes return None"),
        (whole_score, "is the whole score"),
        (nearest_by_cosine, "the part of row"),
        (row_only, "a tuple of two"),
        (turned_round, "a row number"),
        (zero_for_none, "return None, not"),
        (of_all_films, "is not one of the likes"),
        (sorts, "changes what it was given"),
    ],
}
