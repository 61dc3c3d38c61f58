"""Answers to the exercises of chapter 13 that people could give, right and wrong."""

import numpy as np

from workshop import objects

# ------------------------------------------------------------------------------------------ 13.1


def with_slices(table, position, span):
    if position < span or position + span > len(table):
        return 0.0
    before = table[position - span : position].mean(axis=0)
    after = table[position : position + span].mean(axis=0)
    return 1 - before @ after / np.linalg.norm(before) / np.linalg.norm(after)


def with_sums(table, position, span):
    """The length of a sum does not matter for a cosine: no need to divide by span."""
    before, after = np.zeros(table.shape[1]), np.zeros(table.shape[1])
    for step in range(span):
        if position - 1 - step < 0 or position + step >= len(table):
            return 0.0
        before += table[position - 1 - step]
        after += table[position + step]
    return float(1 - np.dot(before, after) / np.sqrt((before**2).sum() * (after**2).sum()))


def with_split(table, position, span):
    left, right = np.split(table, [position])
    left, right = left[-span:], right[:span]
    if min(len(left), len(right)) < span:
        return 0.0
    means = np.array([left.mean(0), right.mean(0)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return np.float32(1 - means[0] @ means[1])


def the_cosine(table, position, span):
    if position < span or position + span > len(table):
        return 0.0
    return 1 - with_slices(table, position, span)


def without_lengths(table, position, span):
    if position < span or position + span > len(table):
        return 0.0
    before = table[position - span : position].mean(axis=0)
    after = table[position : position + span].mean(axis=0)
    return 1 - before @ after


def skips_the_place(table, position, span):
    if position < span or position + 1 + span > len(table):
        return 0.0
    before = table[position - span : position].mean(axis=0)
    after = table[position + 1 : position + 1 + span].mean(axis=0)
    return 1 - before @ after / np.linalg.norm(before) / np.linalg.norm(after)


def place_on_both_sides(table, position, span):
    before = table[max(0, position - span + 1) : position + 1].mean(axis=0)
    after = table[position : position + span].mean(axis=0)
    return 1 - before @ after / np.linalg.norm(before) / np.linalg.norm(after)


def no_edges(table, position, span):
    before = table[max(0, position - span) : position].mean(axis=0)
    after = table[position : position + span].mean(axis=0)
    return 1 - before @ after / np.linalg.norm(before) / np.linalg.norm(after)


def short_windows(table, position, span):
    before, after = table[max(0, position - span) : position], table[position : position + span]
    if not len(before) or not len(after):
        return 0.0
    before, after = before.mean(axis=0), after.mean(axis=0)
    return 1 - before @ after / np.linalg.norm(before) / np.linalg.norm(after)


def edges_one_too_wide(table, position, span):
    if position <= span or position + span >= len(table):
        return 0.0
    return with_slices(table, position, span)


def single_frames(table, position, span):
    if position < span or position + span > len(table):
        return 0.0
    return 1 - table[position - 1] @ table[position]


def mean_of_all_numbers(table, position, span):
    if position < span or position + span > len(table):
        return 0.0
    return table[position - span : position].mean() - table[position : position + span].mean()


def one_too_early(table, position, span):
    if position < span or position + span > len(table):
        return 0.0
    return with_slices(table, position - 1, span) if position > span else 0.5


def the_whole_array(table, position, span):
    if position < span or position + span > len(table):
        return 0.0
    return 1 - table[position - span : position] @ table[position : position + span].T


def nothing(*given):
    _ = list(given)


# ------------------------------------------------------------------------------------------ 13.2


def with_a_list(corners, values, most):
    order = np.argsort(-values, kind="stable").tolist()
    kept = []
    while order:
        first = order.pop(0)
        kept.append(first)
        overlap = objects.iou(corners[first], corners)
        order = [row for row in order if overlap[row] <= most]
    return kept


def with_a_mask(corners, values, most):
    alive = np.ones(len(values), bool)
    kept = []
    for row in np.argsort(-values, kind="stable"):
        if alive[row]:
            kept.append(row)
            alive &= objects.iou(corners[row], corners) <= most
    return np.array(kept, int)


def asking_the_kept(corners, values, most):
    kept = []
    for row in sorted(range(len(values)), key=lambda r: (-values[r], r)):
        if not kept or objects.iou(corners[row], corners[kept]).max() <= most:
            kept.append(row)
    return kept


def the_courses(corners, values, most):
    return objects.suppress(corners, values, most)


def asking_the_dropped(corners, values, most):
    """Also a box that was dropped drops others."""
    kept, order = [], np.argsort(-values, kind="stable").tolist()
    for place, row in enumerate(order):
        better = order[:place]
        if not better or objects.iou(corners[row], corners[better]).max() <= most:
            kept.append(row)
    return kept


def not_in_order(corners, values, most):
    return sorted(with_a_list(corners, values, most))


def worst_first(corners, values, most):
    return with_a_list(corners, -values, most)


def from_most_on(corners, values, most):
    order, kept = np.argsort(-values, kind="stable").tolist(), []
    while order:
        first = order.pop(0)
        kept.append(first)
        overlap = objects.iou(corners[first], corners)
        order = [row for row in order if overlap[row] < most]
    return kept


def only_neighbours_in_rank(corners, values, most):
    order, kept = np.argsort(-values, kind="stable").tolist(), []
    for place, row in enumerate(order):
        if place == 0 or objects.iou(corners[order[place - 1]], corners[[row]])[0] <= most:
            kept.append(row)
    return kept


def all_of_them(corners, values, most):
    return np.argsort(-values, kind="stable").tolist()


def the_best_only(corners, values, most):
    return [int(np.argmax(values))] if len(values) else []


def drops_itself(corners, values, most):
    order, kept = np.argsort(-values, kind="stable").tolist(), []
    while order:
        overlap = objects.iou(corners[order[0]], corners)
        order = [row for row in order if overlap[row] <= most]
        kept += order[:1]
    return kept


def the_last_of_equals(corners, values, most):
    order, kept = np.argsort(values, kind="stable")[::-1].tolist(), []
    while order:
        first = order.pop(0)
        kept.append(first)
        overlap = objects.iou(corners[first], corners)
        order = [row for row in order if overlap[row] <= most]
    return kept


def the_boxes(corners, values, most):
    return corners[with_a_list(corners, values, most)]


def with_half_always(corners, values, most):
    return with_a_list(corners, values, 0.5)


# ------------------------------------------------------------------------------------------ 13.3


def with_isin(owners, firsts, seconds, chosen):
    inside = np.isin(owners, chosen)
    return inside[firsts] & inside[seconds], ~inside[firsts] & ~inside[seconds]


def with_sets(owners, firsts, seconds, chosen):
    wanted = set(chosen)
    first, second = [], []
    for a, b in zip(firsts, seconds, strict=True):
        counted = (owners[a] in wanted) + (owners[b] in wanted)
        first.append(counted == 2)
        second.append(counted == 0)
    return np.array(first, bool), np.array(second, bool)


def with_counts(owners, firsts, seconds, chosen):
    inside = np.array([name in chosen for name in owners.tolist()], int)
    count = inside[firsts] + inside[seconds]
    return [count == 2, count == 0]


def what_is_left(owners, firsts, seconds, chosen):
    tuning = with_isin(owners, firsts, seconds, chosen)[0]
    return tuning, ~tuning


def either_of_them(owners, firsts, seconds, chosen):
    inside = np.isin(owners, chosen)
    return inside[firsts] | inside[seconds], ~(inside[firsts] | inside[seconds])


def by_the_first_face(owners, firsts, seconds, chosen):
    inside = np.isin(owners, chosen)
    return inside[firsts], ~inside[firsts]


def random_halves(owners, firsts, seconds, chosen):
    half = np.random.default_rng(0).random(len(firsts)) < 0.5
    return half, ~half


def the_other_way(owners, firsts, seconds, chosen):
    return with_isin(owners, firsts, seconds, chosen)[::-1]


def only_one_person(owners, firsts, seconds, chosen):
    """Drops pairs of two different people."""
    tuning, report = with_isin(owners, firsts, seconds, chosen)
    same = owners[firsts] == owners[seconds]
    return tuning & same, report & same


def masks_of_faces(owners, firsts, seconds, chosen):
    inside = np.isin(owners, chosen)
    return inside, ~inside


def one_array(owners, firsts, seconds, chosen):
    return with_isin(owners, firsts, seconds, chosen)[0]


def rows_of_pairs(owners, firsts, seconds, chosen):
    return tuple(map(np.flatnonzero, with_isin(owners, firsts, seconds, chosen)))


def letters_of_names(owners, firsts, seconds, chosen):
    inside = np.array([name in " ".join(chosen) for name in owners.tolist()], bool)
    return inside[firsts] & inside[seconds], ~inside[firsts] & ~inside[seconds]


def in_both(owners, firsts, seconds, chosen):
    tuning, _ = with_isin(owners, firsts, seconds, chosen)
    return tuning, np.ones(len(firsts), bool)


# ------------------------------------------------------------------------------------------ 13.4


def with_a_set(face, gallery, owners_of_gallery, farthest):
    near = {
        name
        for vector, name in zip(gallery, owners_of_gallery, strict=True)
        if 1 - vector @ face <= farthest
    }
    return near.pop() if len(near) == 1 else "unknown"


def with_numpy(face, gallery, owners_of_gallery, farthest):
    distances = 1 - gallery @ face
    near = np.unique(np.array(owners_of_gallery, str)[distances <= farthest])
    return near[0] if len(near) == 1 else "unknown"


def best_and_second(face, gallery, owners_of_gallery, farthest):
    best = {}
    for vector, name in zip(gallery, owners_of_gallery, strict=True):
        best[name] = min(best.get(name, 9.0), float(1 - vector @ face))
    ranked = sorted(best.items(), key=lambda item: item[1])
    if not ranked or ranked[0][1] > farthest:
        return "unknown"
    if len(ranked) > 1 and ranked[1][1] <= farthest:
        return "unknown"
    return ranked[0][0]


def always_the_nearest(face, gallery, owners_of_gallery, farthest):
    if not owners_of_gallery:
        return "unknown"
    return owners_of_gallery[int(np.argmax(gallery @ face))]


def the_nearest_near_enough(face, gallery, owners_of_gallery, farthest):
    if not owners_of_gallery:
        return "unknown"
    distances = 1 - gallery @ face
    best = int(np.argmin(distances))
    return owners_of_gallery[best] if distances[best] <= farthest else "unknown"


def two_faces_are_two_people(face, gallery, owners_of_gallery, farthest):
    near = np.flatnonzero(1 - gallery @ face <= farthest)
    return owners_of_gallery[near[0]] if len(near) == 1 else "unknown"


def nearer_than(face, gallery, owners_of_gallery, farthest):
    near = {n for v, n in zip(gallery, owners_of_gallery, strict=True) if 1 - v @ face < farthest}
    return near.pop() if len(near) == 1 else "unknown"


def by_the_cosine(face, gallery, owners_of_gallery, farthest):
    near = {n for v, n in zip(gallery, owners_of_gallery, strict=True) if v @ face <= farthest}
    return near.pop() if len(near) == 1 else "unknown"


def none_if_unknown(face, gallery, owners_of_gallery, farthest):
    name = with_a_set(face, gallery, owners_of_gallery, farthest)
    return None if name == "unknown" else name


def the_row(face, gallery, owners_of_gallery, farthest):
    near = np.flatnonzero(1 - gallery @ face <= farthest)
    return int(near[0]) if len(near) else "unknown"


def capital_unknown(face, gallery, owners_of_gallery, farthest):
    name = with_a_set(face, gallery, owners_of_gallery, farthest)
    return "Unknown" if name == "unknown" else name


def breaks_when_empty(face, gallery, owners_of_gallery, farthest):
    distances = 1 - gallery @ face
    best = owners_of_gallery[int(np.argmin(distances))]
    return best if distances.min() <= farthest else "unknown"


def the_most_faces(face, gallery, owners_of_gallery, farthest):
    """Among those who fit, the one with the most faces."""
    near = [n for v, n in zip(gallery, owners_of_gallery, strict=True) if 1 - v @ face <= farthest]
    return max(near, key=near.count) if near else "unknown"


def only_the_two_nearest(face, gallery, owners_of_gallery, farthest):
    """A second person may be in the third place."""
    distances = 1 - gallery @ face
    best = np.argsort(distances, kind="stable")[:2]
    near = {owners_of_gallery[row] for row in best if distances[row] <= farthest}
    return near.pop() if len(near) == 1 else "unknown"


def the_last_face_of_a_name(face, gallery, owners_of_gallery, farthest):
    """A dict keeps what came last, not what is nearest."""
    distances = dict(zip(owners_of_gallery, 1 - gallery @ face, strict=True))
    near = [name for name, distance in distances.items() if distance <= farthest]
    return near[0] if len(near) == 1 else "unknown"


RIGHT = {
    "13.1": [with_slices, with_sums, with_split],
    "13.2": [with_a_list, with_a_mask, asking_the_kept, the_courses],
    "13.3": [with_isin, with_sets, with_counts],
    "13.4": [with_a_set, with_numpy, best_and_second],
}

WRONG = {
    "13.1": [
        (nothing, "returns nothing"),
        (the_cosine, "is the cosine; the distance is 1 minus it"),
        (without_lengths, "not divided by the lengths"),
        (skips_the_place, "the frame at `position` itself belongs to those after"),
        (place_on_both_sides, "yours is"),
        (no_edges, "return 0.0"),
        (short_windows, "return 0.0"),
        (edges_one_too_wide, "exactly three frames before"),
        (single_frames, "the distance is"),
        (mean_of_all_numbers, "the distance is"),
        (one_too_early, "one frame too early"),
        (the_whole_array, "one number is wanted"),
    ],
    "13.2": [
        (nothing, "returns nothing"),
        (asking_the_dropped, "overlaps no kept box by more than"),
        (not_in_order, "the best score first"),
        (worst_first, "the best score first"),
        (from_most_on, "an overlap of exactly `most`"),
        (only_neighbours_in_rank, "and you drop it"),
        (all_of_them, "you keep both"),
        (the_best_only, "and you drop it"),
        (drops_itself, "has the highest score"),
        (the_last_of_equals, "of equal scores the smaller row comes first"),
        (the_boxes, "row numbers in one line are wanted"),
        (with_half_always, "more than 0.49"),
    ],
    "13.3": [
        (nothing, "returns nothing"),
        (what_is_left, "does not belong into the second array"),
        (either_of_them, "does not belong into the first array"),
        (by_the_first_face, "does not belong into the first array"),
        (random_halves, "into the"),
        (the_other_way, "into the"),
        (only_one_person, "belongs into the first array"),
        (masks_of_faces, "one value for each of"),
        (one_array, "two arrays are wanted"),
        (rows_of_pairs, "array"),
        (letters_of_names, "one name inside another"),
        (in_both, "does not belong into the second array"),
    ],
    "13.4": [
        (nothing, "yours gives None"),
        (always_the_nearest, "farther than"),
        (the_nearest_near_enough, "both fit"),
        (two_faces_are_two_people, "is near enough, and nobody else is"),
        (nearer_than, "a distance of exactly `farthest`"),
        (by_the_cosine, "one face, near enough"),
        (none_if_unknown, "yours gives None"),
        (the_row, "a name is wanted, a string"),
        (capital_unknown, '"unknown" is wanted'),
        (breaks_when_empty, ""),
        (the_most_faces, "both fit"),
        (only_the_two_nearest, "both fit"),
        (the_last_face_of_a_name, "is near enough, and nobody else is"),
    ],
}
