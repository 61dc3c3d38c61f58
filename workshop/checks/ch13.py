"""Checks of chapter 13, video."""

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np

from workshop.checks import Wrong, call, register
from workshop.objects import iou
from workshop.video import window_distances

# ------------------------------------------------------------------------------------------ 13.1


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@register(
    "13.1",
    "Two slices of `table`: one ends at `position`, the other begins there. `mean(axis=0)` is the mean of the rows.",
    "The cosine of two vectors is their inner product, divided by both lengths: `np.linalg.norm` gives a length.",
    "Before `position` lie `position` vectors, from it on `len(table) - position`. If one of the two is less than "
    "`span`, return 0.0 before anything else.",
    "`before = table[position - span : position].mean(axis=0)`, `after = table[position : position + span].mean(axis=0)`, and "
    "`1 - before @ after / (np.linalg.norm(before) * np.linalg.norm(after))`.",
)
def before_after(before_after: Callable) -> str:
    """The cosine distance of the means on both sides of a place."""
    rng = np.random.default_rng(13)
    many = _unit(rng.normal(size=(40, 6))).astype(np.float32)
    scene = _unit(np.repeat([[1.0, 0.2, 0], [0, 0.1, 1]], [7, 6], axis=0))
    cases = [
        (many, 12, 3, "40 frames, three on each side"),
        (many, 20, 1, "one frame on each side"),
        (many, 9, 7, "seven frames on each side"),
        (scene, 7, 3, "a place at which the picture changes"),
        (scene, 4, 3, "a place inside a shot"),
        (many, 3, 3, "exactly three frames before"),
        (many, 37, 3, "exactly three frames from the place on"),
        (many, 2, 3, "two frames before, and three are asked for"),
        (many, 38, 3, "two frames from the place on, and three are asked for"),
        (many, 0, 1, "the beginning"),
        (many, 40, 2, "the end"),
        (many[:1], 0, 1, "a film of one frame"),
    ]
    for table, position, span, what in cases:
        got = _number(call(before_after, table, position, span), what)
        full = position >= span and position + span <= len(table)
        wanted = float(window_distances(table, span)[position]) if full else 0.0
        if np.isclose(got, wanted, atol=1e-5):
            continue
        if not full:
            raise Wrong(f"{what}: return 0.0, not {got:.3f}")
        _explain_distance(got, table.astype(float), position, span, wanted, what)
    return "what lies before and what comes after, far apart only where the picture changes"


def _number(answer: object, what: str) -> float:
    if answer is None:
        raise Wrong(f"{what}: your function returns nothing: is there a `return`?")
    if isinstance(answer, np.ndarray) and answer.ndim == 0:
        answer = answer.item()
    if not isinstance(answer, Real) or isinstance(answer, bool | np.bool_):
        raise Wrong(f"{what}: one number is wanted, not {type(answer).__name__}")
    if np.isnan(answer):
        raise Wrong(f"{what}: yours is NaN, which the mean of no vectors is")
    return float(answer)


def _explain_distance(
    got: float, table: np.ndarray, position: int, span: int, wanted: float, what: str
) -> None:
    before = table[position - span : position].mean(axis=0)
    after = table[position : position + span].mean(axis=0)
    if np.isclose(got, 1 - wanted, atol=1e-5):
        raise Wrong(f"{what}: {got:.3f} is the cosine; the distance is 1 minus it")
    if np.isclose(got, 1 - before @ after, atol=1e-5):
        raise Wrong(f"{what}: {got:.3f} is not divided by the lengths of the means")
    for shift, said in ((1, "one frame too late"), (-1, "one frame too early")):
        place = position + shift
        if span <= place <= len(table) - span:
            shifted = window_distances(table, span)[place]
            if np.isclose(got, shifted, atol=1e-5):
                raise Wrong(f"{what}: yours is the distance {said}")
    if span > 1 and position + span < len(table):
        later = table[position + 1 : position + 1 + span].mean(axis=0)
        lengths = np.linalg.norm(before) * np.linalg.norm(later)
        if np.isclose(got, 1 - before @ later / lengths, atol=1e-5):
            raise Wrong(f"{what}: the frame at `position` itself belongs to those after")
    raise Wrong(f"{what}: the distance is {wanted:.3f}, yours is {got:.3f}")


# ------------------------------------------------------------------------------------------ 13.2


@register(
    "13.2",
    "Begin with all rows, ordered by score: `np.argsort(-values, kind='stable')`. Which of them is kept for certain?",
    "A loop: while there are rows left, keep the first, and let only those stay that do not overlap it too much.",
    "`overlap = objects.iou(corners[first], corners)` has the overlap of the kept box with each box, by its row. Those with "
    "`overlap[row] <= most` stay.",
    "`order = [row for row in order if overlap[row] <= most]`, after `first` was taken out of `order`.",
)
def keep_best(keep_best: Callable) -> str:
    """Non-maximum suppression."""
    chain = np.array([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10], [9, 0, 19, 10]], float)
    apart = np.array([[0, 0, 4, 4], [50, 50, 60, 60], [0, 30, 9, 40]], float)
    half = np.array([[0, 0, 10, 10], [0, 0, 10, 5]], float)  # overlap exactly 0.5
    rng = np.random.default_rng(2)
    corner = rng.uniform(0, 60, (80, 2))
    many = np.concatenate([corner, corner + rng.uniform(10, 40, (80, 2))], axis=1)
    cases = [
        (apart, np.array([0.2, 0.9, 0.5]), 0.5, "boxes apart from each other"),
        (chain, np.array([0.9, 0.8, 0.7, 0.6]), 0.3, "a row of boxes, each over the next"),
        (chain, np.array([0.6, 0.9, 0.7, 0.8]), 0.3, "a row of boxes, the best in the middle"),
        (half, np.array([0.5, 0.9]), 0.5, "an overlap of exactly `most`"),
        (half, np.array([0.5, 0.9]), 0.49, "an overlap a little above `most`"),
        (half[[0, 0, 0]], np.array([0.7, 0.7, 0.7]), 0.5, "three times the same box and score"),
        (apart, np.array([0.4, 0.4, 0.4]), 0.5, "equal scores"),
        (apart[:0], np.array([]), 0.5, "no box at all"),
        (apart[:1], np.array([0.1]), 0.5, "one box"),
        (many, rng.uniform(0, 1, 80), 0.4, "80 boxes"),
        (many.astype(np.float32), np.linspace(0, 1, 80, dtype=np.float32), 0.7, "32-bit numbers"),
    ]
    for corners, values, most, what in cases:
        got = _kept_rows(call(keep_best, corners, values, most), len(corners), what)
        wanted = _suppressed(corners, values, most)
        if got != wanted:
            _explain_kept(got, wanted, corners, values, most, what)
    return "of many boxes the best, and one a thing"


def _suppressed(corners: np.ndarray, values: np.ndarray, most: float) -> list[int]:
    order, kept = np.argsort(-values, kind="stable").tolist(), []
    while order:
        kept.append(order[0])
        overlap = iou(corners[order[0]], corners)
        order = [row for row in order[1:] if overlap[row] <= most]
    return kept


def _kept_rows(answer: object, count: int, what: str) -> list[int]:
    if answer is None:
        raise Wrong(f"{what}: your function returns nothing: is there a `return`?")
    if not isinstance(answer, list | tuple | np.ndarray) or np.ndim(answer) != 1:
        raise Wrong(f"{what}: row numbers in one line are wanted, a list or an array")
    rows = list(answer)
    for row in rows:
        if not isinstance(row, Integral) or isinstance(row, bool | np.bool_):
            raise Wrong(f"{what}: row numbers are integers, and {row!r} is none")
    rows = [int(row) for row in rows]
    if len(set(rows)) < len(rows):
        raise Wrong(f"{what}: a row is there twice: {rows}")
    if rows and not (min(rows) >= 0 and max(rows) < count):
        raise Wrong(f"{what}: there are {count} boxes, rows 0 to {count - 1}, and yours has {rows}")
    return rows


def _explain_kept(
    got: list[int],
    wanted: list[int],
    corners: np.ndarray,
    values: np.ndarray,
    most: float,
    what: str,
) -> None:
    if sorted(got) == sorted(wanted):
        place = next(i for i, (a, b) in enumerate(zip(got, wanted, strict=True)) if a != b)
        if values[got[place]] == values[wanted[place]]:
            raise Wrong(f"{what}: of equal scores the smaller row comes first: {wanted}, not {got}")
        raise Wrong(f"{what}: the rows are right, and their order is not: the best score first")
    if not got:
        raise Wrong(f"{what}: nothing is kept; the box with the highest score always stays")
    best = int(np.argmax(values))
    if best not in got and values[got].max() == values[best]:
        raise Wrong(f"{what}: of equal scores the smaller row comes first: {wanted}, not {got}")
    if best not in got:
        raise Wrong(f"{what}: row {best} has the highest score, and you do not keep it")
    for row in got:
        for better in got[: got.index(row)]:
            shared = float(iou(corners[better], corners[[row]])[0])
            if shared > most:
                raise Wrong(
                    f"{what}: rows {better} and {row} overlap by {shared:.2f}, more than {most}, and you keep both"
                )
    lost = next(row for row in wanted if row not in got)
    overlaps = {row: float(iou(corners[lost], corners[[row]])[0]) for row in got}
    nearest = max(overlaps, key=overlaps.get)
    raise Wrong(
        f"{what}: row {lost} overlaps no kept box by more than {most} (the most is {overlaps[nearest]:.2f}, with row "
        f"{nearest}), and you drop it"
    )


# ------------------------------------------------------------------------------------------ 13.3


@register(
    "13.3",
    "First one bool a face: does it belong to somebody in `chosen`? Then look both faces of each pair up in it.",
    "`inside = np.isin(owners, chosen)` has shape (n,). `inside[firsts]` has shape (m,): the first face of each pair.",
    "*Neither* is not *not both*: a pair of one chosen and one other person must be in none of the two arrays.",
    "`inside[firsts] & inside[seconds]`, and `~inside[firsts] & ~inside[seconds]`.",
)
def fair_pairs(fair_pairs: Callable) -> str:
    """Pairs to choose with and pairs to report on, without a person in both."""
    owners = np.array(["Ada", "Bo", "Ada", "Cy", "Di", "Bo", "Cy"])
    rows, columns = np.triu_indices(len(owners), 1)
    rng = np.random.default_rng(5)
    ann = np.array(["Ann", "Anna", "Ann"])
    crowd = np.array([f"p{number}" for number in rng.integers(0, 12, 90)])
    left, right = rng.integers(0, 90, 400), rng.integers(0, 90, 400)
    cases = [
        (owners, rows, columns, ["Ada", "Cy"], "seven faces of four people"),
        (owners, columns, rows, ["Bo"], "pairs the other way round, one person chosen"),
        (owners, rows, columns, [], "nobody is chosen"),
        (owners, rows, columns, ["Ada", "Bo", "Cy", "Di"], "everybody is chosen"),
        (owners, rows, columns, ["Zoe", "Di"], "a chosen name that has no face"),
        (owners, rows[:0], columns[:0], ["Ada"], "no pair at all"),
        (crowd, left, right, ["p1", "p4", "p7", "p10", "p11"], "400 pairs of twelve people"),
        (ann, np.array([0, 0, 1]), np.array([1, 2, 2]), ["Anna"], "one name inside another"),
    ]
    for who, firsts, seconds, chosen, what in cases:
        answer = call(fair_pairs, who, firsts, seconds, chosen)
        tuning, report = _two_masks(answer, len(firsts), what)
        for pair, (a, b) in enumerate(zip(who[firsts], who[seconds], strict=True)):
            both, neither = a in chosen and b in chosen, a not in chosen and b not in chosen
            said = f"{what}: with {chosen} chosen, the pair of {a} and {b}"
            if tuning[pair] and report[pair]:
                raise Wrong(f"{said} is in both of your arrays")
            for name, mask, right_one in (("first", tuning, both), ("second", report, neither)):
                if mask[pair] != right_one:
                    belongs = "belongs into" if right_one else "does not belong into"
                    raise Wrong(f"{said} {belongs} the {name} array")
    return "the threshold is reported on people that it has never seen"


def _two_masks(answer: object, size: int, what: str) -> list[np.ndarray]:
    if answer is None:
        raise Wrong(f"{what}: your function returns nothing: is there a `return`?")
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Wrong(f"{what}: two arrays are wanted, one after the other")
    masks = []
    for name, mask in zip(("first", "second"), answer, strict=True):
        mask = np.asarray(mask)
        if mask.shape != (size,):
            raise Wrong(
                f"{what}: the {name} array has one value for each of {size} pairs, not shape {mask.shape}"
            )
        if mask.dtype != bool and size:
            raise Wrong(f"{what}: the {name} array holds True and False, not {mask.dtype}")
        masks.append(mask.astype(bool))
    return masks


# ------------------------------------------------------------------------------------------ 13.4


@register(
    "13.4",
    "Which names have a face in the gallery that is near enough? How many names may that be, for you to be sure?",
    "The cosine distance of two vectors of length 1 is 1 minus their inner product: `1 - gallery @ face` has all of them.",
    "Collect the *names* of all faces that are near enough in a set: one name that is there three times is one person.",
    '`near = {owner for owner, d in zip(owners_of_gallery, distances) if d <= farthest}`; one name in it is the answer, anything else is `"unknown"`.',
)
def name_of(name_of: Callable) -> str:
    """The one person that fits, or unknown."""
    e = np.eye(4)
    tilted = _unit(np.array([[1, 0.3, 0, 0], [1, -0.4, 0, 0], [0, 1, 0.1, 0], [0, 0.5, 1, 0]]))
    short = tilted.astype(np.float32)
    row_of_three = _unit(np.array([[1, 0.1, 0, 0], [1, 0, 0.2, 0], [1, 0.3, 0, 0]]))
    right_angle = np.array([[0.0, 1.0, 0.0, 0.0]])
    cases = [
        (e[0], tilted[:1], ["Ada"], 0.2, "one face, near enough"),
        (e[0], tilted[2:3], ["Bo"], 0.2, "one face, too far"),
        (e[0], tilted[[2, 0, 3]], ["Bo", "Ada", "Cy"], 0.2, "the second of three fits"),
        (e[0], tilted[[0, 1]], ["Ada", "Bo"], 0.2, "two people fit"),
        (e[0], tilted[[0, 1, 2]], ["Ada", "Ada", "Bo"], 0.2, "two faces of one person fit"),
        (
            e[0],
            tilted[[1, 2, 0]],
            ["Ada", "Bo", "Bo"],
            0.2,
            "two people fit, one with several faces",
        ),
        (e[0], tilted[[0, 2]], ["Ada", "Ada"], 0.2, "one person with a near face and a far one"),
        (e[0], row_of_three, ["Ada", "Ada", "Bo"], 0.2, "two people fit, one in the third place"),
        (e[0], right_angle, ["Cy"], 1.0, "a distance of exactly `farthest`"),
        (e[0], -e[:1], ["Cy"], 1.9, "the opposite vector, whose distance is 2"),
        (e[0], np.empty((0, 4)), [], 0.5, "an empty gallery"),
        (e[3], tilted, ["Ada", "Bo", "Cy", "Di"], 0.5, "nobody is near"),
        (e[1].astype(np.float32), short, ["Ada", "Bo", "Di", "Eva"], 0.1, "32-bit numbers"),
    ]
    for face, gallery, owners, farthest, what in cases:
        got = call(name_of, face, gallery, owners, farthest)
        distances = 1 - gallery.astype(float) @ face.astype(float)
        near = {owner for owner, d in zip(owners, distances, strict=True) if d <= farthest + 1e-9}
        wanted = near.pop() if len(near) == 1 else "unknown"
        if got is None:
            raise Wrong(f'{what}: yours gives None; return a name, or "unknown"')
        if isinstance(got, np.str_):
            got = str(got)
        if not isinstance(got, str):
            raise Wrong(f"{what}: a name is wanted, a string, not {type(got).__name__}")
        if got == wanted:
            continue
        if len(near) > 1:
            raise Wrong(
                f'{what}: {" and ".join(sorted(near))} both fit, so the answer is "unknown"'
            )
        if wanted == "unknown":
            raise Wrong(
                f"{what}: {got!r} is {distances.min():.2f} away, farther than {farthest}"
                if got in owners
                else f'{what}: "unknown" is wanted, not {got!r}'
            )
        raise Wrong(f"{what}: {wanted} is near enough, and nobody else is; yours is {got!r}")
    return "a name only where one person fits"
