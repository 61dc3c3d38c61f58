"""Checks of chapter 16, DNA classification."""

from collections.abc import Callable, Sequence
from numbers import Integral

import numpy as np

from workshop import dna
from workshop.checks import Wrong, call, register

# ------------------------------------------------------------------------------------------ 16.1


def _pieces(sequence: str, k: int, both: bool = True) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(len(sequence) - k + 1):
        piece = sequence[start : start + k]
        if "N" in piece:
            continue
        key = min(piece, dna.reverse_complement(piece)) if both else piece
        found[key] = found.get(key, 0) + 1
    return found


@register(
    "16.1",
    "How many pieces of `k` letters does a sequence of n letters have? `range` over that many starts.",
    "`piece = sequence[start : start + k]`. Leave it out if `'N' in piece`.",
    "The canonical one is `min(piece, dna.reverse_complement(piece))`: text is compared by the alphabet.",
    "`found[canonical] = found.get(canonical, 0) + 1`, for `start in range(len(sequence) - k + 1)`.",
)
def count_kmers(count_kmers: Callable) -> str:
    """K-mers of both strands counted as one, without those with N."""
    random = np.random.default_rng(16)
    long = "".join(random.choice(list("ACGT"), 300))
    cases = [
        ("GATTACA", 3, "seven letters"),
        ("TGTAATC", 3, "the other strand of it"),
        ("AAAA", 2, "letters that repeat"),
        ("TTTT", 2, "letters that repeat"),
        ("ACGT", 4, "a piece that is its own reverse complement"),
        ("ACGTACGT", 4, "pieces that are their own reverse complement"),
        ("ACNGTNA", 2, "unknown bases"),
        ("NNNN", 3, "nothing is known"),
        ("GA", 3, "shorter than k"),
        ("GAT", 3, "exactly k letters"),
        ("", 2, "an empty sequence"),
        ("GATN", 1, "k = 1"),
        (long, 5, "300 letters"),
        (long[:150] + "N" + long[150:], 7, "300 letters and an N"),
    ]
    for sequence, k, what in cases:
        answer = call(count_kmers, sequence, k)
        wanted = _pieces(sequence, k)
        if answer is None:
            raise Wrong("your function returns nothing: is there a `return`?")
        if not isinstance(answer, dict):
            raise Wrong(f"a dict is wanted, not {type(answer).__name__}")
        shown = f"{what} ({sequence!r:.20}, k = {k})"
        for key in answer:
            if not isinstance(key, str) or len(key) != k:
                raise Wrong(f"{shown}: a key is a text of {k} letters, and {key!r} is none")
        if any("N" in key for key in answer):
            raise Wrong(f"{shown}: a piece with an N is counted")
        if any(not value for value in answer.values()):
            raise Wrong(f"{shown}: a k-mer that does not come is in the dict, with 0")
        got = {key: int(value) for key, value in answer.items()}
        if got == wanted:
            continue
        if got == _pieces(sequence, k, both=False):
            raise Wrong(f"{shown}: both strands should count as one; yours are {got!r:.80}")
        backwards = {key for key in got if key > dna.reverse_complement(key)}
        if backwards:
            raise Wrong(
                f"{shown}: {min(backwards)} is not canonical, {dna.reverse_complement(min(backwards))} "
                "comes first in the alphabet"
            )
        total, right = sum(got.values()), sum(wanted.values())
        if total != right:
            raise Wrong(f"{shown}: {total} pieces are counted, and there are {right} without an N")
        key = next(key for key in wanted | got if wanted.get(key) != got.get(key))
        raise Wrong(f"{shown}: {key} comes {wanted.get(key, 0)} times, yours is {got.get(key, 0)}")
    return "both strands give the same counts"


# ------------------------------------------------------------------------------------------ 16.2


def _whole(groups: Sequence[str], number: int) -> list[int]:
    sizes = {name: list(groups).count(name) for name in sorted(set(groups))}
    filled, part_of = [0] * number, {}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        part_of[name] = filled.index(min(filled))
        filled[part_of[name]] += sizes[name]
    return [part_of[name] for name in groups]


@register(
    "16.2",
    "First count how large each group is. Then keep for each part how many genes are in it so far.",
    "`sorted(set(groups))` is in the order of the alphabet. Sorting that by `-size` keeps the alphabet among equal "
    "sizes.",
    "`filled.index(min(filled))` is the part with the fewest genes, and the first one of several.",
    "Remember the part of each group in a dict. At the end: `[part_of[name] for name in groups]`.",
)
def whole_groups(whole_groups: Callable) -> str:
    """A part for each group, so that none is torn."""
    random = np.random.default_rng(2)
    many = [f"g{n}" for n in random.integers(0, 40, 500)]
    cases = [
        (["b", "b", "a", "c", "b", "a"], 2, "three groups in two parts"),
        (["x", "y", "z", "w"], 2, "groups of one"),
        (["z", "y", "x", "w", "w"], 3, "one group of two, three of one"),
        (["same"] * 7, 3, "one group only"),
        (["q", "p"], 5, "more parts than groups"),
        (["m", "n", "m", "n", "o", "o", "p"], 3, "three groups of equal size"),
        (["k", "l", "k"], 1, "a single part"),
        ([], 4, "no gene at all"),
        (["tet(M)", "bla TEM", "tet(M)", "sul1"], 2, "names with signs in them"),
        (many, 5, "500 genes of 40 groups"),
    ]
    for groups, number, what in cases:
        answer = call(whole_groups, groups, number)
        got = _parts(answer, len(groups), number, what)
        for name in dict.fromkeys(groups):
            own = {part for part, group in zip(got, groups, strict=True) if group == name}
            if len(own) > 1:
                raise Wrong(f"{what}: the group {name!r} is torn: it is in the parts {sorted(own)}")
        wanted = _whole(groups, number)
        if got != wanted:
            place = next(i for i, (a, b) in enumerate(zip(got, wanted, strict=True)) if a != b)
            raise Wrong(
                f"{what}: the group {groups[place]!r} ({groups.count(groups[place])} genes) belongs into part "
                f"{wanted[place]}, yours is in part {got[place]}"
            )
    return "no relative is on both sides"


def _parts(answer: object, size: int, number: int, what: str) -> list[int]:
    if answer is None:
        raise Wrong("your function returns nothing: is there a `return`?")
    if not isinstance(answer, list | tuple | np.ndarray) or np.ndim(answer) != 1:
        raise Wrong(f"{what}: a list or an array of whole numbers is wanted, not {answer!r:.60}")
    if len(answer) != size:
        raise Wrong(f"{what}: {size} genes have a part each, yours are {len(answer)}")
    for part in answer:
        whole = isinstance(part, Integral) or (isinstance(part, float) and part.is_integer())
        if not whole or isinstance(part, bool | np.bool_):
            raise Wrong(f"{what}: parts are whole numbers, and {part!r} is none")
        if not 0 <= part < number:
            raise Wrong(f"{what}: parts are from 0 to {number - 1}, and {part!r} is none of them")
    return [int(part) for part in answer]


# ------------------------------------------------------------------------------------------ 16.3


@register(
    "16.3",
    "Begin with the cases that have no answer: no neighbour, and all of them too far.",
    "A dict from class to sum: `sums[label] = sums.get(label, 0) + max(cosine, 0)`.",
    "For equal sums, go through the neighbours from near to far: a dict keeps the order in which its keys came, and "
    "`max` takes the first of equal ones.",
    "`sorted(zip(near, labels), key=lambda pair: -pair[0])` is from near to far; `max(sums, key=sums.get)` is the winner.",
)
def decide(decide: Callable) -> str:
    """A vote of neighbours that may be silent."""
    cases = [
        (["a"], [0.9], 0.5, "a", "one neighbour"),
        (["a"], [0.4], 0.5, None, "the nearest is too far"),
        (["a"], [0.5], 0.5, "a", "the nearest is exactly at the threshold"),
        ([], [], 0.0, None, "no neighbour"),
        (["a", "b", "b"], [0.9, 0.5, 0.5], 0.5, "b", "two weaker ones against a strong one"),
        (["a", "b", "b"], [0.9, 0.3, 0.3], 0.5, "a", "two weak ones against a strong one"),
        (["b", "a", "b"], [0.2, 0.7, 0.1], 0.6, "a", "neighbours that are not in order"),
        (["b", "a", "a"], [0.5, 0.25, 0.25], 0.1, "b", "equal sums"),
        (["x", "x", "y"], [0.25, 0.25, 0.5], 0.1, "y", "equal sums, the nearer one last"),
        (["a", "b"], [0.6, -0.9], 0.1, "a", "a negative cosine"),
        (["a", "a", "b"], [0.6, -0.5, 0.4], 0.1, "a", "a negative cosine of the winning class"),
        (["a", "b"], [-0.2, -0.1], -1.0, None, "all cosines are negative"),
        (["a"], [0.0], -1.0, None, "the only cosine is 0"),
        (["tet", "bla", "bla", "tet"], [0.8, 0.7, 0.7, 0.7], 0.8, "tet", "four neighbours"),
        (["a", "b"], [0.3, 0.9], 0.5, "b", "a far and a near one"),
        (["a", "a"], [0.3, 0.3], 0.5, None, "two far ones that add up"),
        (
            ["a", "a", "a", "b"],
            [0.45, 0.45, 0.45, 0.55],
            0.5,
            "a",
            "only one is above the threshold",
        ),
    ]
    for labels, near, at_least, wanted, what in cases:
        answer = call(decide, labels, near, at_least)
        if answer == wanted and (answer is None) == (wanted is None):
            continue
        shown = f"{what} (classes {labels}, cosines {near}, at_least {at_least})"
        if wanted is None:
            raise Wrong(f"{shown}: there is no answer, so return None; yours is {answer!r}")
        if answer is None:
            raise Wrong(
                f"{shown}: the answer is {wanted!r}, yours is None; the largest cosine is {max(near)}"
            )
        if not isinstance(answer, str):
            raise Wrong(f"{shown}: a class is wanted, one of the texts in `labels`, not {answer!r}")
        sums = {label: 0.0 for label in labels}
        for label, cosine in zip(labels, near, strict=True):
            sums[label] += max(cosine, 0)
        if answer in sums and np.isclose(sums[answer], sums[wanted]):
            raise Wrong(f"{shown}: sums are equal, and {wanted!r} has the nearer neighbour")
        raise Wrong(
            f"{shown}: {wanted!r} has the largest sum ({sums[wanted]:.2f}), yours is {answer!r}"
        )
    return "several vote, and the nearest one decides whether there is an answer"


# ------------------------------------------------------------------------------------------ 16.4


@register(
    "16.4",
    "A window that reaches the end is the last one. How does one see that it reaches it?",
    "`start + length >= len(sequence)` says that this window reaches the end.",
    "`while start < len(sequence):` put in the window, stop if it reaches the end, else `start += step`.",
    "`found.append((start, sequence[start : start + length]))`, then `if start + length >= len(sequence): break`.",
)
def windows(windows: Callable) -> str:
    """Windows over a long sequence, without a lost end."""
    cases = [
        ("ACGTACGTAC", 4, 2, "windows that overlap"),
        ("ACGTACGTAC", 4, 3, "a sequence that ends with a whole window"),
        ("ACGTACGTACG", 4, 3, "a last window that is shorter"),
        ("ACGTACGT", 4, 4, "windows that do not overlap"),
        ("ACGTACGTA", 4, 4, "one letter is left at the end"),
        ("ACG", 5, 2, "shorter than a window"),
        ("ACGTA", 5, 1, "exactly one window"),
        ("", 3, 1, "an empty sequence"),
        ("A", 1, 1, "one letter"),
        ("".join(np.random.default_rng(4).choice(list("ACGT"), 1_000)), 300, 70, "1,000 letters"),
    ]
    for sequence, length, step, what in cases:
        wanted, start = [], 0
        while start < len(sequence):
            wanted.append((start, sequence[start : start + length]))
            if start + length >= len(sequence):
                break
            start += step
        answer = call(windows, sequence, length, step)
        if answer is None:
            raise Wrong("your function returns nothing: is there a `return`?")
        if not isinstance(answer, list | tuple):
            raise Wrong(f"a list of pairs is wanted, not {type(answer).__name__}")
        shown = f"{what} ({len(sequence)} letters, length {length}, step {step})"
        got = []
        for one in answer:
            if not isinstance(one, tuple | list) or len(one) != 2 or not isinstance(one[1], str):
                raise Wrong(f"{shown}: each is a pair (start, piece), and {one!r:.60} is none")
            got.append((one[0], one[1]))
        if got == wanted:
            continue
        starts, right = [start for start, _ in got], [start for start, _ in wanted]
        if starts == right:
            raise Wrong(
                f"{shown}: the starts are right, and a piece is not `length` letters from there"
            )
        end = max((start + len(piece) for start, piece in got), default=0)
        if end < len(sequence):
            raise Wrong(f"{shown}: the last {len(sequence) - end} letters are in no window")
        if not right:
            raise Wrong(f"{shown}: there is no window, and yours are {got!r:.60}")
        if len(starts) > len(right) and starts[: len(right)] == right:
            raise Wrong(
                f"{shown}: the window at {right[-1]} reaches the end, and yours go on after it"
            )
        raise Wrong(f"{shown}: the starts are {right[:6]}, yours are {starts[:6]}")
    return "every letter is in a window, and a gene at a border is whole in one of them"
