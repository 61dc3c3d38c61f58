"""Checks of chapter 15, molecules."""

from collections.abc import Callable
from typing import Any

import numpy as np

from workshop.checks import Wrong, call, no_loop, register

_NOTHING = "your function returns nothing: is there a `return`?"


def _floats(answer: object, size: int, what: str) -> np.ndarray:
    if answer is None:
        raise Wrong(_NOTHING)
    try:
        values = np.asarray(answer, np.float64)
    except (TypeError, ValueError):
        raise Wrong(f"{what}: an array of numbers is wanted, not {type(answer).__name__}") from None
    if values.shape != (size,):
        raise Wrong(f"{what}: the shape ({size},) is wanted, not {values.shape}")
    return values


# ------------------------------------------------------------------------------------------ 15.1


def _jaccard(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
    both = others.astype(int) @ mine.astype(int)
    total = others.sum(axis=1, dtype=int) + mine.sum(dtype=int) - both
    return both / np.maximum(total, 1)


def _bits(rng: np.random.Generator, *shape: int, share: float = 0.4) -> np.ndarray:
    return (rng.random(shape) < share).astype(np.uint8)


@register(
    "15.1",
    "The product `others @ mine` counts the bits in common for all rows at once. What happens to a count above 255, "
    "if both are `uint8`?",
    "`others.astype(int) @ mine.astype(int)` are the bits in common, shape `(n,)`. The bits of each row are "
    "`others.sum(axis=1)`, those of the query `mine.sum()`.",
    "In any of the two are `own + theirs - in_common`. Where that is 0, so is `in_common`: divide by at least 1.",
    "`in_common / np.maximum(in_any, 1)`",
)
def jaccard(jaccard: Callable) -> str:
    """Tanimoto of one row of bits with many, without a loop."""
    rng = np.random.default_rng(15)
    small = np.array(
        [[1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]], np.uint8
    )
    cases = [
        (small[0], small, "five rows of four bits"),
        (small[2], small[1:4], "a query with all bits"),
        (small[0], small[3:4], "one row, with nothing in common"),
        (_bits(rng, 166), _bits(rng, 40, 166), "40 rows of 166 bits"),
        (_bits(rng, 2048, share=0.02), _bits(rng, 300, 2048, share=0.02), "300 rows of 2,048 bits"),
        (np.zeros(8, np.uint8), _bits(rng, 6, 8), "a query without any bit"),
        (np.zeros(8, np.uint8), np.zeros((3, 8), np.uint8), "no bit in any of them"),
        (_bits(rng, 8), np.zeros((3, 8), np.uint8), "rows without any bit"),
        (np.ones(700, np.uint8), _bits(rng, 5, 700, share=0.9), "more than 255 bits in common"),
        (_bits(rng, 9), np.zeros((0, 9), np.uint8), "no rows at all"),
    ]
    for mine, others, what in cases:
        with np.errstate(all="ignore"):
            got = _floats(call(jaccard, mine, others), len(others), what)
        wanted = _jaccard(mine, others)
        if np.allclose(got, wanted, atol=1e-6):
            continue
        _explain_jaccard(got, mine, others, wanted, what)
    few = (_bits(rng, 64), _bits(rng, 5, 64))
    many = (_bits(rng, 64), _bits(rng, 400, 64))
    no_loop(jaccard, few, many)
    return "bits in common, divided by bits in any of the two"


def _explain_jaccard(
    got: np.ndarray, mine: np.ndarray, others: np.ndarray, wanted: np.ndarray, what: str
) -> None:
    if np.isnan(got).any():
        raise Wrong(f"{what}: there is a NaN, from 0 divided by 0; the similarity is 0 there")
    both = others.astype(int) @ mine.astype(int)
    sizes = others.sum(axis=1, dtype=int)
    if not others.any() and not mine.any():
        raise Wrong(f"{what}: the similarity is 0, not {got[0]:.3f}")
    row = int(np.argmax(np.abs(got - wanted)))
    total = np.maximum(sizes + int(mine.sum(dtype=int)), 1)
    mistakes = {
        "this is the number of bits in common; divide it": both,
        "this is the cosine: bits in common divided by a root": both
        / np.sqrt(np.maximum(sizes * int(mine.sum(dtype=int)), 1)),
        "this is divided by all bits of both, and those in common are counted twice there": both
        / total,
        "this is twice the bits in common divided by all bits of both, which is called Dice": 2
        * both
        / total,
        "this is divided by the bits of `mine` alone": both / max(1, int(mine.sum(dtype=int))),
        "this is the share of places that are the same, and zeros in both count too": (
            others == mine
        ).mean(axis=1),
        "this is the distance, 1 less the similarity": 1 - wanted,
    }
    for said, other in mistakes.items():
        if np.allclose(got, other, atol=1e-6):
            raise Wrong(f"{what}: {said}")
    if "255" in what:
        raise Wrong(
            f"{what}: row {row} has {both[row]} in common, and a `uint8` counts to 255 only"
        )
    raise Wrong(
        f"{what}: row {row} and the query have {both[row]} bits in common, and {sizes[row]} and "
        f"{int(mine.sum(dtype=int))} in all: {wanted[row]:.3f}, not {got[row]:.3f}"
    )


# ------------------------------------------------------------------------------------------ 15.2


@register(
    "15.2",
    "Turn the formula of the cosine round: what is `c`, if the cosine, `a` and `b` are known?",
    "`c` is `cosine * np.sqrt(own * theirs)`. It is a whole number that float32 got a little wrong: `np.round`.",
    "With `c` the Tanimoto is what it was in exercise 15.1: `c` divided by the bits in any of the two.",
    "`return in_common / (own + theirs - in_common)`",
)
def from_cosine(from_cosine: Callable) -> str:
    """Exact Tanimoto from cosines and numbers of bits."""
    rng = np.random.default_rng(2)
    cases: list[tuple[np.ndarray, int, np.ndarray, str]] = []
    for own, sizes, what in (
        (40, np.array([40, 30, 55]), "three hits"),
        (7, np.array([90]), "one hit with more bits than the query"),
        (1, np.array([1, 2, 1]), "a query with one bit"),
        (61, rng.integers(20, 120, 200), "200 hits"),
        (50, np.array([], int), "no hits"),
    ):
        shared = rng.integers(0, np.minimum(sizes, own) + 1) if len(sizes) else sizes
        cases.append((shared, own, sizes, what))
    cases.append((np.array([40, 0, 13]), 40, np.array([40, 12, 13]), "the same bits, and none"))
    for shared, own, sizes, what in cases:
        noise = rng.uniform(-1e-5, 1e-5, len(sizes))
        cosine = (shared / np.sqrt(own * sizes) + noise).astype(np.float32)
        got = _floats(call(from_cosine, cosine, own, sizes), len(sizes), what)
        wanted = shared / (own + sizes - shared)
        if np.allclose(got, wanted, rtol=0, atol=1e-9):
            continue
        _explain_cosine(got, wanted, cosine.astype(float), shared, own, sizes, what)
    return "exact, whatever float32 has done to the cosine"


def _explain_cosine(
    got: np.ndarray,
    wanted: np.ndarray,
    cosine: np.ndarray,
    shared: np.ndarray,
    own: int,
    sizes: np.ndarray,
    what: str,
) -> None:
    if np.allclose(got, wanted, atol=1e-3):
        raise Wrong(
            f"{what}: nearly right, but not exact: bits in common are whole numbers, so round them"
        )
    down = np.floor(cosine * np.sqrt(own * sizes))
    mistakes = {
        "this is the cosine itself": cosine,
        "these are the bits in common: one step is left": shared,
        "bits in common are cut off to the whole number below, and float32 may be a little too low": down
        / (own + sizes - down),
        "this is right only if all have as many bits as the query": cosine / (2 - cosine),
        "here the bits in common are counted twice in what is divided by": shared / (own + sizes),
        "the product of the numbers of bits has no root here": np.round(cosine * own * sizes)
        / (own + sizes - np.round(cosine * own * sizes)),
    }
    for said, other in mistakes.items():
        if np.allclose(got, other, atol=1e-4):
            raise Wrong(f"{what}: {said}")
    row = int(np.argmax(np.abs(got - wanted)))
    raise Wrong(
        f"{what}: with the cosine {cosine[row]:.4f} and {own} and {sizes[row]} bits, {shared[row]} are in common "
        f"and the Tanimoto is {wanted[row]:.4f}, not {got[row]:.4f}"
    )


# ------------------------------------------------------------------------------------------ 15.3


def _votes(line: np.ndarray, known: np.ndarray, least: float) -> np.ndarray:
    order = np.argsort(-line, kind="stable")
    return known[[column for column in order if line[column] >= least][:5]]


@register(
    "15.3",
    "Go through the rows of `likeness`, one for each drug. First order the columns, best first; then leave out those "
    "below `least`; then take five.",
    "`np.argsort(-line, kind='stable')` keeps equals in the order of the columns. `known[near]` are the votes of the "
    "columns in the list `near`.",
    "Think of three cases that end in `None`: no votes, one of two, and two of four. With up to five votes, "
    "`2 * votes.sum() == len(votes)` covers all three.",
    "`answers.append(None)` for those, otherwise `answers.append(bool(2 * votes.sum() > len(votes)))`.",
)
def vote_or_silent(vote_or_silent: Callable) -> str:
    """The vote of up to five that are near enough, or None."""
    rng = np.random.default_rng(4)
    known = np.array([True, False, True, True, False, False, True, False])
    table = np.array(
        [
            [0.9, 0.1, 0.8, 0.7, 0.2, 0.6, 0.1, 0.0],
            [0.1, 0.9, 0.1, 0.2, 0.8, 0.3, 0.2, 0.1],
            [0.5, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1],
            [0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2],
            [0.6, 0.6, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
        ]
    )
    tied = np.array(
        [[0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7], [0.4, 0.6, 0.4, 0.6, 0.6, 0.4, 0.6, 0.6]]
    )
    many = rng.integers(0, 12, (40, 90)) / 12
    labels = rng.random(90) < 0.6
    cases: list[tuple[np.ndarray, np.ndarray, float, str]] = [
        (table, known, 0.5, "five drugs, from 0.5 on"),
        (table, known, 0.75, "five drugs, from 0.75 on"),
        (table, known, 0.0, "everybody may vote"),
        (table, known, 0.95, "nobody may vote"),
        (table[2:3], known, 0.5, "a likeness that is exactly `least`"),
        (tied, known, 0.3, "equal likenesses"),
        (table[:, :3], known[:3], 0.05, "three known drugs"),
        (many, labels, 0.7, "40 drugs and 90 known ones"),
        (many.astype(np.float32), labels, 11 / 12 - 1e-3, "few that are near"),
        (table[:0], known, 0.5, "no drug to tell of"),
        (table - 1, known, -0.45, "likenesses below 0"),
    ]
    for likeness, marks, least, what in cases:
        got = _answers(call(vote_or_silent, likeness, marks, least), len(likeness), what)
        for row, (line, said) in enumerate(zip(likeness, got, strict=True)):
            votes = _votes(line, marks, least)
            share = votes.mean() if len(votes) else 0.5
            wanted = None if share == 0.5 else bool(share > 0.5)
            if said is not wanted:
                _explain_vote(said, wanted, votes, line, marks, least, f"{what}, drug {row}")
    return "it says what is near, and otherwise nothing"


def _answers(answer: Any, size: int, what: str) -> list[bool | None]:
    if answer is None:
        raise Wrong(_NOTHING)
    if not isinstance(answer, list | tuple | np.ndarray):
        raise Wrong(f"{what}: a list of answers is wanted, not {type(answer).__name__}")
    if len(answer) != size:
        raise Wrong(f"{what}: {size} answers are wanted, not {len(answer)}")
    said: list[bool | None] = []
    for one in answer:
        if one is None:
            said.append(None)
        elif isinstance(one, bool | np.bool_):
            said.append(bool(one))
        else:
            raise Wrong(f"{what}: an answer is True, False or None, not {one!r}")
    return said


def _explain_vote(
    said: bool | None,
    wanted: bool | None,
    votes: np.ndarray,
    line: np.ndarray,
    known: np.ndarray,
    least: float,
    what: str,
) -> None:
    count = f"{int(votes.sum())} of {len(votes)} votes are for passing"
    if not len(votes):
        raise Wrong(f"{what}: nobody is as alike as {least:g}, so the answer is None, not {said}")
    if wanted is None:
        raise Wrong(f"{what}: {count}, which is a tie: the answer is None, not {said}")
    voters = np.flatnonzero(line >= least)
    everybody = known[voters].mean()
    if len(voters) > 5 and said is (None if everybody == 0.5 else bool(everybody > 0.5)):
        raise Wrong(
            f"{what}: {len(voters)} are near enough, and only the five most alike vote: {count}, so "
            f"the answer is {wanted}, not {said}"
        )
    if said is None:
        raise Wrong(f"{what}: {count}, so the answer is {wanted}, not None")
    raise Wrong(
        f"{what}: {count} (the most alike first, of equals the smaller column), so the answer is "
        f"{wanted}, not {said}"
    )


# ------------------------------------------------------------------------------------------ 15.4


@register(
    "15.4",
    "Do not draw rows: draw groups. `np.unique(groups, return_inverse=True, return_counts=True)` gives the groups, which "
    "one each row is of, and how many rows each has.",
    "Put the groups into a random order with `np.random.default_rng(random_state).permutation(...)`, and take them one after "
    "the other.",
    "Stop before the tested rows would be more than `share * len(groups)`. `np.cumsum(sizes[order])` says how many rows the first "
    "groups of the order have together.",
    "`order[np.cumsum(sizes[order]) <= share * len(groups)]` are the chosen groups; "
    "`np.isin(group_of_row, chosen)` marks their rows.",
)
def keep_together(keep_together: Callable) -> str:
    """A split that keeps all rows of a structure on one side."""
    rng = np.random.default_rng(8)
    sizes = rng.integers(1, 7, 60)
    letters = np.array([f"C{'C' * n}O" for n in range(60)])
    uneven = rng.permutation(np.repeat(letters, sizes))
    cases = [
        (np.array(["a", "b", "a", "c", "b", "d", "e", "a"]), 0.5, "eight rows of five groups"),
        (np.array([f"g{n % 10}" for n in range(40)]), 0.3, "ten groups of four rows"),
        (uneven, 0.2, "60 groups of 1 to 6 rows"),
        (uneven, 0.75, "three quarters for the test"),
        (np.array([f"s{n}" for n in range(50)]), 0.4, "each row a group of its own"),
        (np.array(["x"] * 6), 0.5, "all rows in one group"),
        (uneven, 0.0, "nothing for the test"),
        (uneven, 1.0, "everything for the test"),
    ]
    for groups, share, what in cases:
        marks = [_split(keep_together, groups, share, state, what) for state in range(6)]
        again = _split(keep_together, groups, share, 3, what)
        if (again != marks[3]).any():
            raise Wrong(f"{what}: the same `random_state` gives another answer the second time")
    _is_random(keep_together)
    _is_the_same_in_every_kernel(keep_together, uneven)
    return "no structure is on both sides"


def _split(answer: Callable, groups: np.ndarray, share: float, state: int, what: str) -> np.ndarray:
    got = call(answer, groups, share, state)
    if got is None:
        raise Wrong(_NOTHING)
    mask = np.asarray(got)
    if mask.shape != groups.shape:
        raise Wrong(f"{what}: one value for each row, shape {groups.shape}, not {mask.shape}")
    if mask.dtype != bool:
        raise Wrong(f"{what}: an array of bool is wanted, not {mask.dtype}")
    for group in np.unique(groups):
        if len(set(mask[groups == group].tolist())) > 1:
            raise Wrong(f"{what}: the rows of group {str(group)!r} are on both sides")
    largest = int(np.unique(groups, return_counts=True)[1].max())
    most = share * len(groups)
    if mask.sum() > most + 1e-9:
        raise Wrong(f"{what}: {mask.sum()} of {len(groups)} rows are tested, at most {most:g}")
    if mask.sum() < most - largest - 1e-9:
        raise Wrong(
            f"{what}: {mask.sum()} of {len(groups)} rows are tested; {most:g} may be, and the "
            f"largest group has {largest}"
        )
    return mask


def _is_random(answer: Callable) -> None:
    what = "ten groups of four rows"
    groups = np.array([f"g{n % 10}" for n in range(40)])
    tested = np.zeros(40, int)
    for state in range(100, 160):
        tested += _split(answer, groups, 0.3, state, what)
    if ((tested == 0) | (tested == 60)).any():
        never = str(groups[np.flatnonzero((tested == 0) | (tested == 60))[0]])
        often = "never" if (tested[groups == never] == 0).all() else "always"
        raise Wrong(f"{what}: in 60 draws group {never!r} is {often} tested: draw at random")
    with_one = np.array(["big"] * 20 + [f"s{n}" for n in range(60)])
    drawn = [
        _split(answer, with_one, 0.5, state, "one large group and 60 small ones")[0]
        for state in range(60)
    ]
    if not any(drawn):
        raise Wrong(
            "one large group and 60 small ones: the large one would fit, and is never tested"
        )


def _is_the_same_in_every_kernel(answer: Callable, groups: np.ndarray) -> None:
    """Python draws anew for each process how strings are hashed, and with it the order of a set of them.

    Here strings that are hashed in two ways stand for two kernels. An answer that cannot do with them is let pass.
    """
    one, other = (
        np.array([text(group) for group in groups], object) for text in _hashed_in_two_ways()
    )
    for state in range(3):
        try:
            masks = [np.asarray(call(answer, strings, 0.4, state)) for strings in (one, other)]
        except Exception:  # the learner's own, from strings of a kind that no task has
            return
        if not np.array_equal(*masks):
            raise Wrong(
                "the same `random_state` gives another answer in another kernel: the order of a set of "
                "strings, and `hash` of a string, change from kernel to kernel. Sort the groups first"
            )


def _hashed_in_two_ways() -> list[type[str]]:
    class One(str):
        def __hash__(self) -> int:
            return hash((1, str(self)))

    class Other(str):
        def __hash__(self) -> int:
            return hash((2, str(self)))

    return [One, Other]
