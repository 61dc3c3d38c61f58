"""Answers to the exercises of chapter 12 that people could give, right and wrong."""

import numpy as np

# ------------------------------------------------------------------------------------------ 12.1


def with_isin(users, times, moment):
    past = times < moment
    new = ~np.isin(users, users[past])
    told = np.zeros(len(users), bool)
    for user in np.unique(users[new]):
        rows = np.flatnonzero(users == user)
        rows = rows[np.argsort(times[rows])]
        told[rows[: len(rows) // 2]] = True
    return past, told, new & ~told


def with_lists(users, times, moment):
    of_user = {}
    for user, time in zip(users.tolist(), times.tolist(), strict=True):
        of_user.setdefault(user, []).append(time)
    past, told, hidden = [], [], []
    for user, time in zip(users.tolist(), times.tolist(), strict=True):
        own = sorted(of_user[user])
        new = own[0] >= moment
        early = own.index(time) < len(own) // 2
        past.append(time < moment)
        told.append(new and early)
        hidden.append(new and not early)
    return past, told, hidden


def with_counts(users, times, moment):
    same = users[:, None] == users[None, :]
    before = (same & (times[None, :] < times[:, None])).sum(axis=1)
    new = ~(same & (times[None, :] < moment)).any(axis=1)
    early = before < same.sum(axis=1) // 2
    return times < moment, new & early, new & ~early


def sorted_and_back(users, times, moment):
    order = np.lexsort((times, users))
    told = np.zeros(len(users), bool)
    new = np.zeros(len(users), bool)
    _, starts, counts = np.unique(users[order], return_index=True, return_counts=True)
    for start, count in zip(starts, counts, strict=True):
        own = order[start : start + count]
        new[own] = times[own[0]] >= moment
        told[own[: count // 2]] = new[own[0]]
    return times < moment, told, new & ~told


def at_the_moment_too(users, times, moment):
    past = times <= moment
    return past, *with_isin(users, times, moment)[1:]


def later_than_the_moment(users, times, moment):
    past = times < moment
    before = np.isin(users, users[times <= moment])
    told = with_isin(users, times, moment)[1]
    return past, told & ~before, ~told & ~before


def every_later_rating(users, times, moment):
    past, told, _ = with_isin(users, times, moment)
    return past, told, ~past & ~told


def random_split(users, times, moment):
    rng = np.random.default_rng(0)
    past, told, hidden = with_isin(users, times, moment)
    new = told | hidden
    told = new & (rng.random(len(users)) < 0.5)
    return past, told, new & ~told


def as_they_stand(users, times, moment):
    past, told, hidden = with_isin(users, times, moment)
    new = told | hidden
    told = np.zeros(len(users), bool)
    for user in np.unique(users[new]):
        rows = np.flatnonzero(users == user)
        told[rows[: len(rows) // 2]] = True
    return past, told, new & ~told


def larger_half(users, times, moment):
    past, told, hidden = with_isin(users, times, moment)
    new = told | hidden
    for user in np.unique(users[new]):
        rows = np.flatnonzero(users == user)
        rows = rows[np.argsort(times[rows])]
        told[rows[: (len(rows) + 1) // 2]] = True
    return past, told, new & ~told


def half_of_all(users, times, moment):
    past, told, hidden = with_isin(users, times, moment)
    new = told | hidden
    if not new.any():
        return past, new, new
    told = new & (times < np.median(times[new]))
    return past, told, new & ~told


def two_of_three(users, times, moment):
    past, told, hidden = with_isin(users, times, moment)
    return past, told | hidden


def swapped(users, times, moment):
    past, told, hidden = with_isin(users, times, moment)
    return past, hidden, told


def told_twice(users, times, moment):
    past, told, hidden = with_isin(users, times, moment)
    return past, told, told | hidden


def sorted_first(users, times, moment):
    order = np.argsort(times)
    return with_isin(users[order], times[order], moment)


def rows_of_ratings(users, times, moment):
    return tuple(np.flatnonzero(mask) for mask in with_isin(users, times, moment))


def zeros_and_ones(users, times, moment):
    return tuple(mask.astype(int) for mask in with_isin(users, times, moment))


def nothing(users, times, moment):
    with_isin(users, times, moment)


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


# ------------------------------------------------------------------------------------------ 12.4


def stacked(table):
    squares = (table**2).sum(axis=1)
    return np.column_stack([table, np.sqrt(np.maximum(squares.max() - squares, 0))])


def zero(query):
    return np.append(query, 0)


def by_lengths(table):
    lengths = np.linalg.norm(table.astype(float), axis=1)
    rest = np.clip(lengths.max() ** 2 - lengths**2, 0, None) ** 0.5
    return np.hstack([table, rest[:, np.newaxis]])


def zero_in_a_list(query):
    return [*query.tolist(), 0.0]


def in_a_loop(table):
    longest = max(sum(float(x) ** 2 for x in row) for row in table)
    rows = []
    for row in table:
        missing = longest - sum(float(x) ** 2 for x in row)
        rows.append([*row, max(missing, 0.0) ** 0.5])
    return np.array(rows)


def zeros_first(query):
    made = np.zeros(len(query) + 1)
    made[:-1] = query
    return made


def difference_of_lengths(table):
    lengths = np.linalg.norm(table, axis=1)
    return np.column_stack([table, lengths.max() - lengths])


def squares_without_a_root(table):
    squares = (table**2).sum(axis=1)
    return np.column_stack([table, squares.max() - squares])


def normalised(table):
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    return np.column_stack([unit, np.zeros(len(table))])


def number_in_front(table):
    return np.roll(stacked(table), 1, axis=1)


def root_of_a_negative(table):
    squares = (table.astype(float) ** 2).sum(axis=1)
    return np.column_stack([table, np.sqrt(squares.max() * (1 - 1e-12) - squares)])


def wrong_axis(table):
    squares = (table**2).sum(axis=0)
    return np.vstack([table, np.sqrt(squares.max() - squares)])


def negative(table):
    films = stacked(table)
    films[:, -1] *= -1
    return films


def column_only(table):
    return stacked(table)[:, -1]


def no_films(table):
    stacked(table)


def one(query):
    return np.append(query, 1)


def same_length(query):
    return np.append(query, np.linalg.norm(query))


def unit_person(query):
    return np.append(query / np.linalg.norm(query), 0)


def unchanged(query):
    return query


RIGHT = {
    "12.1": [with_isin, with_lists, with_counts, sorted_and_back],
    "12.2": [stable, minus_infinity, with_sorted, by_a_one_hot_row],
    "12.3": [at_once, with_max, one_by_one],
    "12.4": [(stacked, zero), (by_lengths, zero_in_a_list), (in_a_loop, zeros_first)],
}
WRONG = {
    "12.1": [
        (at_the_moment_too, "a rating at 30 is in your `past`"),
        (later_than_the_moment, "neither `told` nor `hidden`"),
        (every_later_rating, "its user was there at"),
        (random_split, "a new user rates at"),
        (as_they_stand, "a new user rates at"),
        (larger_half, "`told` has the first"),
        (half_of_all, "a new user rates at"),
        (two_of_three, "three arrays are wanted"),
        (swapped, "a new user rates at"),
        (told_twice, "`told` and `hidden`"),
        (sorted_first, "in your `past`"),
        (rows_of_ratings, "one value for each of"),
        (zeros_and_ones, "dtype bool"),
        (nothing, "returns nothing"),
    ],
    "12.2": [
        (cut_too_early, "films come back"),
        (with_the_liked, "liked already"),
        (by_cosine, "by cosine"),
        (worst_first, "at place 1 is row"),
        (ties_backwards, "the smaller row comes first"),
        (first_like_only, "two likes: at place"),
        (empty_breaks, "no likes, so all scores are 0: 0 films come back"),
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
        (row_only, "two values are wanted"),
        (turned_round, "a row number"),
        (zero_for_none, "return None, not"),
        (of_all_films, "is not one of the likes"),
        (sorts, "changes what it was given"),
    ],
    "12.4": [
        ((difference_of_lengths, zero), "has the length"),
        ((squares_without_a_root, zero), "has the length"),
        ((normalised, zero), "no longer those of `table`"),
        ((number_in_front, zero), "no longer those of `table`"),
        ((root_of_a_negative, zero), "there is a NaN"),
        ((wrong_axis, zero), "gives the shape"),
        ((negative, zero), "is negative"),
        ((column_only, zero), "gives the shape"),
        ((no_films, zero), "`longer_films` returns nothing"),
        ((stacked, one), "the last number of the person is 1"),
        ((stacked, same_length), "the last number of the person"),
        ((stacked, unit_person), "no longer those of `query`"),
        ((stacked, unchanged), "`longer_person` gives the shape"),
    ],
}
