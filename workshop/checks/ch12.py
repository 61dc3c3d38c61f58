"""Checks of chapter 12, recommender."""

from collections.abc import Callable, Sequence
from numbers import Integral, Real

import numpy as np

from workshop.checks import Wrong, call, register

# ------------------------------------------------------------------------------------------ 12.1


@register(
    "12.1",
    "`past` is a comparison of `times` with `moment`. For the new users, think of those who are *not* new: what have "
    "they done?",
    "`new = ~np.isin(users, users[past])` marks all ratings of users of whom none is in `past`.",
    "For one new user, `rows = np.flatnonzero(users == user)` are the places of their ratings, and "
    "`rows[np.argsort(times[rows])]` has them in the order of time.",
    "`told` begins as `np.zeros(len(users), dtype=bool)`. For each of `np.unique(users[new])` it becomes True at the "
    "first `len(rows) // 2` of these places. What is `new` and not `told` is `hidden`.",
)
def fair_split(fair_split: Callable) -> str:
    """What was there before a moment, and the two halves of those who came after it."""
    users = np.array([7, 3, 7, 9, 3, 9, 4, 5, 9, 4, 9])
    times = np.array([10, 50, 40, 30, 20, 35, 70, 99, 33, 60, 90])
    cases = [
        (users, times, 30, "a moment at which somebody rates"),
        (users, times, 31, "a moment between two ratings"),
        (users, times + 0.5, 30.5, "times with halves of a second"),
        (users, times, 5, "nobody was there before"),
        (users, times, 500, "everything was before"),
        (users[::-1].copy(), times[::-1].copy(), 30, "the ratings in another order"),
        (np.array([900_001]), np.array([1.0]), 1.0, "one rating, at the moment itself"),
        (np.array([], int), np.array([]), 3.0, "no rating at all"),
    ]
    rng = np.random.default_rng(12)
    cases.append((rng.integers(0, 60, 400), rng.permutation(400), 150, "400 ratings of 60 users"))
    for who, when, moment, what in cases:
        answer = call(fair_split, who, when, moment)
        past, told, hidden = _three_masks(answer, len(who), what)
        _past(past, when, moment, what)
        _halves(told, hidden, who, when, moment, what)
    return "nothing that is told came after what is to be found"


def _three_masks(answer: object, size: int, what: str) -> list[np.ndarray]:
    if answer is None:
        raise Wrong("your function returns nothing: is there a `return`?")
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise Wrong("three arrays are wanted, one after the other: `past`, `told` and `hidden`")
    masks = []
    for name, mask in zip(("past", "told", "hidden"), answer, strict=True):
        mask = np.asarray(mask)
        if mask.shape != (size,):
            raise Wrong(
                f"{what}: `{name}` has one value for each of {size} ratings, not shape {mask.shape}"
            )
        if mask.dtype != bool and size:
            raise Wrong(f"`{name}` holds True and False (dtype bool), not {mask.dtype}")
        masks.append(mask.astype(bool))
    return masks


def _past(past: np.ndarray, when: np.ndarray, moment: float, what: str) -> None:
    wrong = np.flatnonzero(past != (when < moment))
    if wrong.size:
        row = int(wrong[0])
        verb = "is" if past[row] else "is not"
        raise Wrong(
            f"{what}: a rating at {when[row]} {verb} in your `past`, and the moment is {moment}"
        )


def _halves(
    told: np.ndarray,
    hidden: np.ndarray,
    who: np.ndarray,
    when: np.ndarray,
    moment: float,
    what: str,
) -> None:
    for row in range(len(who)):
        own = np.sort(when[who == who[row]])
        mine = [name for name, mask in (("told", told), ("hidden", hidden)) if mask[row]]
        yours = " and ".join(f"`{name}`" for name in mine) or "neither `told` nor `hidden`"
        if own[0] < moment:
            if mine:
                raise Wrong(
                    f"{what}: a rating at {when[row]} is in your {yours}, and its user was there at {own[0]}, before "
                    f"the moment {moment}"
                )
            continue
        place = int(np.searchsorted(own, when[row]))
        if mine != (["told"] if place < len(own) // 2 else ["hidden"]):
            raise Wrong(
                f"{what}: a new user rates at {', '.join(map(str, own[:6]))}{' …' if len(own) > 6 else ''}; the one at {when[row]} is in your "
                f"{yours}; `told` has the first {len(own) // 2} of {len(own)}"
            )


# ------------------------------------------------------------------------------------------ 12.2


def _scores(table: np.ndarray, liked: Sequence[int]) -> np.ndarray:
    return table @ table[np.asarray(liked, int)].sum(axis=0)


@register(
    "12.2",
    "First the person: a sum of rows of `table`. Then one product gives the scores of all films.",
    "`table[liked].sum(axis=0)` is the person, also if `liked` is empty. `table @ person` are the "
    "scores.",
    "`np.argsort(-scores, kind='stable')` orders the rows by falling score and leaves equal ones as they were. Then "
    "leave out what is in `liked`, and only then cut to `size`.",
    "`[row for row in order if row not in liked][:size]`",
)
def suggest(suggest: Callable) -> str:
    """The films with the highest inner product, without those that are liked already."""
    plain = np.array([[1, 0], [4, 0], [0, 5], [1, 1], [0.5, 0], [-1, -1], [0, 1]], np.float32)
    ties = np.array([[1, 0], [0, 1], [2, 2], [1, 0], [0, 1], [2, 2], [1, 0]], np.float64)
    rng = np.random.default_rng(12)
    many = rng.normal(size=(300, 7)).astype(np.float32)
    cases = [
        (plain, [0], 3, "one like"),
        (plain, [3, 4], 3, "two likes"),
        (plain, [2, 0], 1, "one film is wanted"),
        (plain, [5], 4, "a like whose products are mostly negative"),
        (ties, [0], 4, "films with equal scores"),
        (ties, [4, 1], 5, "films with equal scores"),
        (plain, [6, 0, 3], 10, "fewer films are left than asked for"),
        (plain, list(range(7)), 3, "everything is liked already"),
        (plain, [], 3, "no likes, so all scores are 0"),
        (many, [17, 250, 4, 99], 10, "300 films of 7 numbers"),
        (many * 1000, [299, 0], 25, "vectors a thousand times as long"),
    ]
    for table, liked, size, what in cases:
        got = _rows(call(suggest, table, liked, size), what)
        scores = _scores(table.astype(np.float64), liked)
        order = [row for row in np.argsort(-scores, kind="stable").tolist() if row not in liked]
        wanted = order[:size]
        if got == wanted:
            continue
        if set(got) & set(liked):
            raise Wrong(
                f"{what}: row {sorted(set(got) & set(liked))[0]} is suggested, though it is liked already"
            )
        if len(got) != len(wanted):
            raise Wrong(
                f"{what}: {len(got)} films come back; {size} were asked for, and {len(order)} are left"
            )
        _explain(got, wanted, table, liked, scores, what)
    return "the person is a sum, and a suggestion is its nearest film by inner product"


def _explain(
    got: list[int],
    wanted: list[int],
    table: np.ndarray,
    liked: list[int],
    scores: np.ndarray,
    what: str,
) -> None:
    place = next(i for i, (a, b) in enumerate(zip(got, wanted, strict=True)) if a != b)
    a, b = got[place], wanted[place]
    if np.isclose(scores[a], scores[b]):
        raise Wrong(
            f"{what}: rows {a} and {b} have the same score, and the smaller row comes first: "
            f"{wanted}, not {got}"
        )
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    cosine = unit @ unit[np.asarray(liked, int)].sum(axis=0)
    by_angle = unit @ table[np.asarray(liked, int)].sum(axis=0)
    for other in (cosine, by_angle):
        order = [r for r in np.argsort(-other, kind="stable").tolist() if r not in liked]
        if got == order[: len(got)]:
            raise Wrong(f"{what}: this is the order by cosine; the score is the inner product")
    raise Wrong(
        f"{what}: at place {place + 1} is row {a} with the score {scores[a]:.2f}, and row {b} has {scores[b]:.2f}"
    )


def _rows(answer: object, what: str) -> list[int]:
    if answer is None:
        raise Wrong("your function returns nothing: is there a `return`?")
    if not isinstance(answer, list | tuple | np.ndarray):
        raise Wrong(f"{what}: a list or an array of rows is wanted, not {type(answer).__name__}")
    if np.ndim(answer) != 1:
        raise Wrong(f"{what}: rows in one line are wanted, not an array of {np.ndim(answer)} axes")
    rows = list(answer)
    for row in rows:
        if not isinstance(row, Integral) or isinstance(row, bool | np.bool_):
            raise Wrong(f"{what}: row numbers are integers, and {row!r} is none")
    if len(set(map(int, rows))) < len(rows):
        raise Wrong(f"{what}: a film is suggested twice: {rows}")
    return [int(row) for row in rows]


# ------------------------------------------------------------------------------------------ 12.3


@register(
    "12.3",
    "The score of `candidate` is a sum: one inner product for each film in `liked`. Which is the largest of them?",
    "`table[liked] @ table[candidate]` gives all parts at once, in the order of `liked`.",
    "`argmax` gives the *place* of the largest part in that array. Which row stands at that place in `liked`?",
    "`return liked[place], parts[place]`, after `if not liked: return None`.",
)
def strongest(strongest: Callable) -> str:
    """The liked film with the largest part in a score."""
    table = np.array([[1, 0], [2, 1], [0, 3], [-1, 1], [0, 1], [0.5, -2]], np.float64)
    rng = np.random.default_rng(3)
    many = rng.normal(size=(80, 5)).astype(np.float32)
    cases = [
        (table, [0, 2], 1, "two likes"),
        (table, [2, 0], 1, "the likes in another order"),
        (table, [4], 2, "one like"),
        (table, [0, 4], 5, "a part is negative"),
        (table, [2, 4], 5, "all parts are negative"),
        (table, [4, 0], 3, "likes whose rows are not in order"),
        (np.vstack([table, table]), [8, 2], 4, "two equal parts"),
        (np.vstack([table, table]), [2, 8], 4, "two equal parts"),
        (table, [2, 0], 0, "a part is 0"),
        (many, [70, 3, 41, 9, 22], 55, "vectors of five numbers"),
    ]
    for rows, liked, candidate, what in cases:
        answer = call(strongest, rows, liked, candidate)
        own = (rows[liked].astype(np.float64) @ rows[candidate].astype(np.float64)).tolist()
        place = own.index(max(own))
        row, part = _pair(answer, what)
        if row != liked[place]:
            _wrong_row(row, liked, own, place, rows, candidate, what)
        if not np.isclose(part, own[place], rtol=1e-4, atol=1e-6):
            total = sum(own)
            if np.isclose(part, total):
                raise Wrong(f"{what}: {part:.3f} is the whole score; the part is {own[place]:.3f}")
            raise Wrong(f"{what}: the part of row {row} is {own[place]:.3f}, yours is {part:.3f}")
    try:
        answer = call(strongest, table, [], 1)
    except (ValueError, IndexError) as error:
        raise Wrong(f"without likes return None; yours raises: {error}") from None
    if answer is not None:
        raise Wrong(f"without likes there is no reason: return None, not {answer!r}")
    return "a reason that is a part of the score, and no story"


def _pair(answer: object, what: str) -> tuple[int, float]:
    if answer is None:
        raise Wrong(f"{what}: your function returns None, and there are likes")
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Wrong(f"{what}: two values are wanted, the row and its part, not {answer!r}")
    row, part = answer
    if not isinstance(row, Integral) or isinstance(row, bool | np.bool_):
        raise Wrong(f"{what}: the first of the two is a row number, an integer, not {row!r}")
    if not isinstance(part, Real) and not (isinstance(part, np.ndarray) and part.ndim == 0):
        raise Wrong(f"{what}: the second of the two is a number, not {part!r}")
    return int(row), float(part)


def _wrong_row(
    row: int,
    liked: list[int],
    own: list[float],
    place: int,
    table: np.ndarray,
    candidate: int,
    what: str,
) -> None:
    if row not in liked:
        said = f"{what}: row {row} is not one of the likes {liked}"
        if row == place:
            raise Wrong(f"{said}: it is the place in `liked`, at which row {liked[place]} stands")
        raise Wrong(said)
    other = own[liked.index(row)]
    if np.isclose(other, own[place]):
        raise Wrong(
            f"{what}: rows {liked[place]} and {row} have equal parts; take the first in `liked`"
        )
    raise Wrong(
        f"{what}: the part of row {row} is {other:.3f}, and that of row {liked[place]} is {own[place]:.3f}"
    )


# ------------------------------------------------------------------------------------------ 12.4


@register(
    "12.4",
    "The length of a vector is the root of the sum of its squares. What must the last number's square be, so that "
    "the sum of a row is that of the longest?",
    "`(table**2).sum(axis=1)` has the squared length of each row; what is missing is `squares.max() - squares`.",
    "Rounding can make what is missing a tiny bit negative, and its root NaN: `np.maximum(missing, 0)`. A product "
    "with the new column must add nothing: which number times anything is 0?",
    "`np.column_stack([table, np.sqrt(missing)])`, and for the person `np.append(query, 0)`.",
)
def longer_films(longer_films: Callable, longer_person: Callable) -> str:
    """One more number turns inner products into cosines."""
    rng = np.random.default_rng(4)
    tables = {
        "six films of four numbers": rng.normal(size=(6, 4)),
        "32-bit numbers": rng.normal(size=(300, 32)).astype(np.float32),
        "films that are all equally long": np.array([[3.0, 4.0], [5.0, 0.0], [0.0, -5.0]]),
        "a film whose vector is all zeros": np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]]),
        "one film": np.array([[0.1, 0.2, 0.3]]),
        "short vectors": rng.normal(size=(40, 5)) / 1000,
    }
    for what, table in tables.items():
        with np.errstate(invalid="ignore"):
            films = np.asarray(_given(call(longer_films, table), "longer_films"), float)
        shape = (len(table), table.shape[1] + 1)
        if films.shape != shape:
            raise Wrong(f"{what}: `longer_films` gives the shape {shape}, not {films.shape}")
        if np.isnan(films).any():
            raise Wrong(f"{what}: there is a NaN, the root of a number that is a little below 0")
        if not np.allclose(films[:, :-1], table, rtol=1e-5, atol=1e-9):
            raise Wrong(
                f"{what}: the first {table.shape[1]} columns are no longer those of `table`"
            )
        longest = float(np.linalg.norm(table.astype(float), axis=1).max())
        lengths = np.linalg.norm(films, axis=1)
        far = int(np.abs(lengths - longest).argmax())
        if not np.isclose(lengths[far], longest, rtol=1e-4):
            raise Wrong(
                f"{what}: row {far} has the length {lengths[far]:.3g}, and the longest of `table` has {longest:.3g}"
            )
        if (films[:, -1] < 0).any():
            raise Wrong(f"{what}: the last column is negative in row {films[:, -1].argmin()}")
        query = rng.normal(size=table.shape[1])
        person = np.asarray(_given(call(longer_person, query), "longer_person"), float)
        if person.shape != (len(query) + 1,):
            raise Wrong(f"`longer_person` gives the shape {(len(query) + 1,)}, not {person.shape}")
        if not np.allclose(person[:-1], query):
            raise Wrong("the first numbers of the person are no longer those of `query`")
        if person[-1] != 0:
            raise Wrong(
                f"the last number of the person is {person[-1]:.3g}: then products with films change by it"
            )
    return "the order by cosine is the order by inner product"


def _given(answer: object, name: str) -> object:
    if answer is None:
        raise Wrong(f"`{name}` returns nothing: is there a `return`?")
    if not isinstance(answer, np.ndarray | list | tuple):
        raise Wrong(f"`{name}` gives an array, not {type(answer).__name__}")
    return answer
