"""Answers to the exercises of chapter 16 that people could give, right and wrong."""

from collections import Counter, defaultdict

import numpy as np

from workshop import dna

# ------------------------------------------------------------------------------------------ 16.1

OTHER = {"A": "T", "C": "G", "G": "C", "T": "A"}


def loop(sequence, k):
    found = {}
    for start in range(len(sequence) - k + 1):
        piece = sequence[start : start + k]
        if "N" in piece:
            continue
        back = dna.reverse_complement(piece)
        canonical = piece if piece < back else back
        found[canonical] = found.get(canonical, 0) + 1
    return found


def counter(sequence, k):
    pieces = (sequence[i : i + k] for i in range(len(sequence) - k + 1))
    return Counter(min(p, dna.reverse_complement(p)) for p in pieces if "N" not in p)


def by_hand(sequence, k):
    found = defaultdict(int)
    for i in range(len(sequence)):
        piece = sequence[i : i + k]
        if len(piece) == k and set(piece) <= set("ACGT"):
            back = "".join(OTHER[letter] for letter in reversed(piece))
            found[sorted([piece, back])[0]] += 1
    return found


def in_numpy(sequence, k):
    pieces = [sequence[i : i + k] for i in range(max(len(sequence) - k + 1, 0))]
    pieces = [min(p, dna.reverse_complement(p)) for p in pieces if "N" not in p]
    names, counts = np.unique(np.array(pieces, dtype=str), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def one_too_few(sequence, k):
    found = {}
    for start in range(len(sequence) - k):
        piece = sequence[start : start + k]
        if "N" not in piece:
            key = min(piece, dna.reverse_complement(piece))
            found[key] = found.get(key, 0) + 1
    return found


def one_strand(sequence, k):
    return dict(Counter(p for p in _all(sequence, k) if "N" not in p))


def _all(sequence, k):
    return [sequence[i : i + k] for i in range(len(sequence) - k + 1)]


def both_counted(sequence, k):
    found = Counter()
    for piece in _all(sequence, k):
        if "N" not in piece:
            found[piece] += 1
            found[dna.reverse_complement(piece)] += 1
    return dict(found)


def only_turned_round(sequence, k):
    return dict(Counter(min(p, p[::-1]) for p in _all(sequence, k) if "N" not in p))


def the_larger(sequence, k):
    return dict(
        Counter(max(p, dna.reverse_complement(p)) for p in _all(sequence, k) if "N" not in p)
    )


def with_n(sequence, k):
    return dict(Counter(min(p, dna.reverse_complement(p)) for p in _all(sequence, k)))


def n_taken_out(sequence, k):
    return loop(sequence.replace("N", ""), k)


def without_overlap(sequence, k):
    found = Counter()
    for start in range(0, len(sequence) - k + 1, k):
        piece = sequence[start : start + k]
        if "N" not in piece:
            found[min(piece, dna.reverse_complement(piece))] += 1
    return dict(found)


def only_different(sequence, k):
    return dict.fromkeys(loop(sequence, k), 1)


def short_ends_too(sequence, k):
    pieces = [sequence[i : i + k] for i in range(len(sequence))]
    return dict(Counter(min(p, dna.reverse_complement(p)) for p in pieces if "N" not in p))


def an_array(sequence, k):
    return dna.kmer_counts(sequence, k)


def prints(sequence, k):
    loop(sequence, k)


# ------------------------------------------------------------------------------------------ 16.2


def with_counter(groups, number):
    sizes = Counter(groups)
    filled = [0] * number
    part = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        smallest = min(range(number), key=lambda p: filled[p])
        part[name] = smallest
        filled[smallest] += sizes[name]
    return np.array([part[name] for name in groups], dtype=int)


def with_argmin(groups, number):
    names = np.array(groups, dtype=str)
    unique, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    filled = np.zeros(number)
    result = np.zeros(len(names), int)
    for i in order:
        part = int(filled.argmin())
        result[names == unique[i]] = part
        filled[part] += counts[i]
    return result


def with_lists(groups, number):
    where = {}
    content = [[] for _ in range(number)]
    for size, name in sorted((-groups.count(name), name) for name in set(groups)):
        lengths = [len(part) for part in content]
        where[name] = lengths.index(min(lengths))
        content[where[name]] += [name] * -size
    return tuple(where[name] for name in groups)


def turns(groups, number):
    return [i % number for i in range(len(groups))]


def groups_by_turns(groups, number):
    names = sorted(set(groups))
    return [names.index(name) % number for name in groups]


def as_they_come(groups, number):
    filled, part = [0] * number, {}
    for name in dict.fromkeys(groups):
        part[name] = filled.index(min(filled))
        filled[part[name]] += groups.count(name)
    return [part[name] for name in groups]


def small_first(groups, number):
    filled, part = [0] * number, {}
    for name in sorted(sorted(set(groups)), key=groups.count):
        part[name] = filled.index(min(filled))
        filled[part[name]] += groups.count(name)
    return [part[name] for name in groups]


def alphabet_backwards(groups, number):
    filled, part = [0] * number, {}
    for name in sorted(set(groups), key=lambda name: (groups.count(name), name), reverse=True):
        part[name] = filled.index(min(filled))
        filled[part[name]] += groups.count(name)
    return [part[name] for name in groups]


def fewest_groups(groups, number):
    filled, part = [0] * number, {}
    for name in sorted(sorted(set(groups)), key=lambda name: -groups.count(name)):
        part[name] = filled.index(min(filled))
        filled[part[name]] += 1
    return [part[name] for name in groups]


def from_one(groups, number):
    return [part + 1 for part in with_lists(groups, number)]


def a_dict(groups, number):
    return dict(zip(groups, with_lists(groups, number), strict=True))


def of_groups_only(groups, number):
    return [with_lists(groups, number)[groups.index(name)] for name in sorted(set(groups))]


def by_checksum(groups, number):
    return [sum(map(ord, name)) % number for name in groups]


def no_return(groups, number):
    with_lists(groups, number)


# ------------------------------------------------------------------------------------------ 16.3


def sums(labels, near, at_least):
    if len(labels) == 0 or max(near) < at_least:
        return None
    total = {}
    for cosine, label in sorted(zip(near, labels, strict=True), reverse=True, key=lambda p: p[0]):
        total[label] = total.get(label, 0) + max(0, cosine)
    winner = max(total, key=total.get)
    return winner if total[winner] > 0 else None


def by_class(labels, near, at_least):
    near = np.array(near, float)
    names = np.array(labels)
    if near.size == 0 or near.max() < at_least or near.max() <= 0:
        return None
    best = None
    for name in dict.fromkeys(labels):
        own = near[names == name]
        key = (own.clip(0).sum().round(9), own.max())
        if best is None or key > best[0]:
            best = (key, name)
    return best[1]


def with_the_course(labels, near, at_least):
    return dna.vote(labels, near, at_least)[0]


def heads(labels, near, at_least):
    if not labels or max(near) < at_least:
        return None
    return Counter(labels).most_common(1)[0][0]


def only_the_nearest(labels, near, at_least):
    if not labels or max(near) < at_least:
        return None
    return labels[int(np.argmax(near))]


def above(labels, near, at_least):
    if not labels or max(near) <= at_least:
        return None
    return sums(labels, near, -2)


def first_is_nearest(labels, near, at_least):
    if not labels or near[0] < at_least:
        return None
    return sums(labels, near, -2)


def only_votes_above(labels, near, at_least):
    kept = [
        (label, cosine) for label, cosine in zip(labels, near, strict=True) if cosine >= at_least
    ]
    return sums([label for label, _ in kept], [cosine for _, cosine in kept], at_least)


def negative_counts(labels, near, at_least):
    if not labels or max(near) < at_least or max(near) <= 0:
        return None
    total = defaultdict(float)
    for cosine, label in sorted(zip(near, labels, strict=True), key=lambda p: -p[0]):
        total[label] += cosine
    return max(total, key=total.get)


def first_of_equal(labels, near, at_least):
    if not labels or max(near) < at_least or max(near) <= 0:
        return None
    total = defaultdict(float)
    for cosine, label in zip(near, labels, strict=True):
        total[label] += max(cosine, 0)
    return max(total, key=total.get)


def unknown_as_text(labels, near, at_least):
    return sums(labels, near, at_least) or "unknown"


def mean_of_class(labels, near, at_least):
    if not labels or max(near) < at_least or max(near) <= 0:
        return None
    names = list(dict.fromkeys(labels))
    mean = {n: np.mean([c for c, m in zip(near, labels, strict=True) if m == n]) for n in names}
    return max(mean, key=mean.get)


def no_check_for_none(labels, near, at_least):
    best = max(near)
    return None if best < at_least else sums(labels, near, at_least)


def zero_is_enough(labels, near, at_least):
    if not labels or max(near) < at_least:
        return None
    total = {}
    for cosine, label in sorted(zip(near, labels, strict=True), key=lambda p: -p[0]):
        total[label] = total.get(label, 0) + max(cosine, 0)
    return max(total, key=total.get)


# ------------------------------------------------------------------------------------------ 16.4


def with_while(sequence, length, step):
    found = []
    start = 0
    while start < len(sequence):
        found.append((start, sequence[start : start + length]))
        if start + length >= len(sequence):
            return found
        start = start + step
    return found


def with_count(sequence, length, step):
    if not sequence:
        return []
    further = max(0, -(-(len(sequence) - length) // step))
    return [(i * step, sequence[i * step : i * step + length]) for i in range(further + 1)]


def with_for(sequence, length, step):
    found = []
    for start in range(0, len(sequence), step):
        found.append([start, sequence[start : start + length]])
        if start + length >= len(sequence):
            break
    return found


def whole_only(sequence, length, step):
    return [(s, sequence[s : s + length]) for s in range(0, len(sequence) - length + 1, step)]


def to_the_very_end(sequence, length, step):
    return [(s, sequence[s : s + length]) for s in range(0, len(sequence), step)]


def no_overlap(sequence, length, step):
    return [(s, sequence[s : s + length]) for s in range(0, len(sequence), length)]


def last_moved_back(sequence, length, step):
    found = with_while(sequence, length, step)
    if found and len(found[-1][1]) < length <= len(sequence):
        start = len(sequence) - length
        found[-1] = (start, sequence[start:])
    return found


def pieces_only(sequence, length, step):
    return [piece for _, piece in with_while(sequence, length, step)]


def pieces_first(sequence, length, step):
    return [(piece, start) for start, piece in with_while(sequence, length, step)]


def ends_too_soon(sequence, length, step):
    found, start = [], 0
    while start + length < len(sequence):
        found.append((start, sequence[start : start + length]))
        start += step
    return found


def from_one_on(sequence, length, step):
    return [(start + 1, piece) for start, piece in with_while(sequence, length, step)]


def one_more(sequence, length, step):
    found, start = [], 0
    while start < len(sequence):
        found.append((start, sequence[start : start + length]))
        if start + length > len(sequence):
            break
        start += step
    return found


def empty_window(sequence, length, step):
    return with_while(sequence, length, step) or [(0, "")]


def nothing_back(sequence, length, step):
    with_while(sequence, length, step)


def sum_is_compared(labels, near, at_least):
    total = defaultdict(float)
    for cosine, label in sorted(zip(near, labels, strict=True), key=lambda p: -p[0]):
        total[label] += max(cosine, 0)
    if not total or max(total.values()) < max(at_least, 1e-9):
        return None
    return max(total, key=total.get)


RIGHT = {
    "16.1": [loop, counter, by_hand, in_numpy],
    "16.2": [with_counter, with_argmin, with_lists],
    "16.3": [sums, by_class, with_the_course],
    "16.4": [with_while, with_count, with_for],
}

WRONG = {
    "16.1": [
        (one_too_few, "pieces are counted"),
        (one_strand, "both strands should count as one"),
        (both_counted, "is not canonical"),
        (only_turned_round, "is not canonical"),
        (the_larger, "comes first in the alphabet"),
        (with_n, "with an N is counted"),
        (n_taken_out, "pieces are counted"),
        (without_overlap, "pieces are counted"),
        (only_different, "pieces are counted"),
        (short_ends_too, "a key is a text of"),
        (an_array, "a dict is wanted"),
        (prints, "returns nothing"),
    ],
    "16.2": [
        (turns, "is torn"),
        (groups_by_turns, "belongs into part"),
        (as_they_come, "belongs into part"),
        (small_first, "belongs into part"),
        (alphabet_backwards, "belongs into part"),
        (fewest_groups, "belongs into part"),
        (from_one, "is none of them"),
        (a_dict, "a list or an array"),
        (of_groups_only, "genes have a part each"),
        (by_checksum, "belongs into part"),
        (no_return, "returns nothing"),
    ],
    "16.3": [
        (heads, "has the largest sum"),
        (sum_is_compared, "return None"),
        (only_the_nearest, "has the largest sum"),
        (above, "yours is None"),
        (first_is_nearest, "yours is None"),
        (only_votes_above, "has the largest sum"),
        (negative_counts, "has the largest sum"),
        (first_of_equal, "has the nearer neighbour"),
        (unknown_as_text, "return None"),
        (mean_of_class, "has the largest sum"),
        (no_check_for_none, "max()"),
        (zero_is_enough, "return None"),
    ],
    "16.4": [
        (whole_only, "are in no window"),
        (to_the_very_end, "yours go on after it"),
        (no_overlap, "the starts are"),
        (last_moved_back, "the starts are"),
        (pieces_only, "each is a pair"),
        (pieces_first, "each is a pair"),
        (ends_too_soon, "are in no window"),
        (from_one_on, "the starts are"),
        (one_more, "yours go on after it"),
        (empty_window, "there is no window"),
        (nothing_back, "returns nothing"),
    ],
}
