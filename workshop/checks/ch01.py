"""Checks of chapter 01, vectors and similarity."""

import re
import tracemalloc
from collections.abc import Callable

import numpy as np

from workshop.checks import Wrong, call, no_loop, register


def _array(answer: object, what: str) -> np.ndarray:
    if answer is None:
        raise Wrong("your function returns nothing: is there a `return`?")
    try:
        return np.asarray(answer)
    except ValueError:
        raise Wrong(f"{what} come back as {type(answer).__name__}, not as one array") from None


# ------------------------------------------------------------------------------------------- 1.1


@register(
    "1.1",
    "Inner products first: a matrix times a vector gives all of them, shape `(n,)`.",
    "Each row has a length of its own: `np.linalg.norm(vectors, axis=1)` has shape `(n,)`. "
    "Without `axis=1` it is one number for the whole table.",
    "Divide the inner products by the rows' lengths, and by the length of `query`, one number.",
)
def cosine_scores(cosine_scores: Callable) -> str:
    """Cosine of one query with n vectors, shape (n,)."""
    rng = np.random.default_rng(1)
    for n, d in [(6, 4), (4, 4), (1, 3)]:
        vectors, query = rng.normal(size=(n, d)), rng.normal(size=d) * 3
        got = _array(call(cosine_scores, query, vectors), "the scores")
        inner, rows, own = vectors @ query, np.linalg.norm(vectors, axis=1), np.linalg.norm(query)
        if got.shape == (n, n) and n > 1:
            raise Wrong(
                f"{n} vectors gave scores of shape {got.shape}: somewhere an `(n, 1)` meets an "
                "`(n,)`, and broadcasting makes a table of them"
            )
        if got.shape != (n,):
            raise Wrong(f"{n} vectors gave scores of shape {got.shape}, not ({n},)")
        mistakes = {
            "these are inner products: a longer vector still scores higher": inner,
            "the length of the query is not divided out": inner / rows,
            "the lengths of the rows are not divided out": inner / own,
            "these are distances, 1 minus the cosine: a score is larger when closer": 1
            - inner / (rows * own),
            "the lengths are squared: a length is the root of the sum of squares": inner
            / (rows * own) ** 2,
            "these are L2 distances": np.linalg.norm(vectors - query, axis=1),
        }
        if n > 1:
            all_rows = np.linalg.norm(vectors)
            for wrong in (inner / (all_rows * own), inner / all_rows):
                mistakes["every row is divided by one length, that of the whole table"] = wrong
                _name(got, mistakes)
        _name(got, mistakes)
        if not np.allclose(got, inner / (rows * own), atol=1e-5):
            if np.allclose(got, np.abs(inner / (rows * own)), atol=1e-5):
                raise Wrong("the sign is lost: a vector that points the other way scores -1")
            raise Wrong("these are not the cosines; try a vector against itself, which must give 1")
    few = rng.normal(size=(10, 5)).astype("f4")
    many = rng.normal(size=(300, 5)).astype("f4")
    got = _array(call(cosine_scores, few[0], few), "the scores")
    if not np.allclose(got[0], 1, atol=1e-3):
        raise Wrong(f"in float32 the cosine of a vector with itself is {got[0]:.3f}, not 1")
    no_loop(cosine_scores, (few[0], few), (few[0], many))
    return "one query against all: only the direction counts"


def _name(got: np.ndarray, mistakes: dict[str, np.ndarray]) -> None:
    for mistake, wrong in mistakes.items():
        if np.allclose(got, wrong, atol=1e-6):
            raise Wrong(mistake)


# ------------------------------------------------------------------------------------------- 1.2


class _Number(float):
    """A number out of a `_Watched` array: it counts how often it is compared."""

    def __neg__(self) -> "_Number":
        return _Number(float.__neg__(self))

    def __lt__(self, other: float) -> bool:
        _Watched.compared += 1
        return float.__lt__(self, other)

    def __gt__(self, other: float) -> bool:
        _Watched.compared += 1
        return float.__gt__(self, other)


class _Watched(np.ndarray):
    """An array that notes how many numbers were sorted in one go, by NumPy or by Python."""

    sorted_at_once: list[int] = []  # noqa: RUF012, one list for an array and all its views
    compared = 0

    def __array_function__(self, func, types, args, kwargs):
        if func in (np.argsort, np.sort, np.lexsort) and args:
            self.sorted_at_once.append(np.size(args[0]))
        return super().__array_function__(func, types, args, kwargs)

    def argsort(self, *args, **kwargs):
        self.sorted_at_once.append(self.size)
        return super().argsort(*args, **kwargs)

    def sort(self, *args, **kwargs):
        self.sorted_at_once.append(self.size)
        return super().sort(*args, **kwargs)

    def __getitem__(self, key):
        found = super().__getitem__(key)
        return _Number(found) if isinstance(found, np.floating) else found

    def __iter__(self):
        return (self[row] for row in range(len(self)))

    def tolist(self):
        return list(self)


@register(
    "1.2",
    "`np.argpartition` puts the smallest on the left side. Which numbers are smallest where the scores "
    "are largest?",
    "`np.argpartition(-scores, k - 1)` has the winners in its first `k` places, still in no order. Take "
    "their scores, sort only these, and put the row numbers in that order.",
    "With `k = min(k, len(scores))` there is always enough to take. And beware of `[-k:]`: for k = 0 "
    "it is everything.",
)
def top_k(top_k: Callable) -> str:
    """Row numbers of the k largest scores, best first, shape (k,)."""
    scores = np.array([0.2, 0.9, -0.4, 0.7, 0.1])
    got = _rows(call(top_k, scores, 3), 3, "3 of 5 scores")
    if np.allclose(np.sort(got), [0.2, 0.7, 0.9]) and got.dtype.kind == "f":
        raise Wrong("these are the scores: return the rows they stand in")
    if got.dtype.kind not in "iu":
        raise Wrong(f"row numbers are integers, these are {got.dtype}")
    if got.min() < -len(scores) or got.max() >= len(scores):
        raise Wrong(f"there is no row {got.max()} among {len(scores)} scores")
    if list(got) == [2, 4, 0]:
        raise Wrong("these are the smallest: the largest are wanted")
    _best(scores, got)

    rng = np.random.default_rng(2)
    # the large case is for `argpartition`, which happens to sort a small array
    for n, k in [(50, 7), (50, 1), (50, 50), (20_000, 2_000)]:
        scores = rng.normal(size=n).astype(np.float32)
        _best(scores, _rows(call(top_k, scores, k), k, f"{k} of {n} scores"))

    ties = np.array([0.5, 0.9, 0.5, 0.5, 0.9, 0.1])
    got = _rows(call(top_k, ties, 4), 4, "4 of 6 scores with ties")
    if len(set(got.tolist())) < 4:
        raise Wrong(f"with equal scores a row comes back twice: {got.tolist()}")
    _best(ties, got)

    try:
        got = call(top_k, scores[:4], 10)
    except (ValueError, IndexError) as error:
        raise Wrong(f"k = 10 of 4 scores must give all 4, but it raises: {error}") from None
    _best(scores[:4], _rows(got, 4, "k = 10 of 4 scores"))
    _rows(call(top_k, scores[:4], 0), 0, "k = 0 of 4 scores")

    _best(scores[:1], _rows(call(top_k, scores[:1], 1), 1, "the one best of one score"))

    many = rng.normal(size=10_000).view(_Watched)
    _Watched.sorted_at_once.clear()
    _Watched.compared = 0
    top_k(many, 10)
    # one pass compares each number once or twice; a sort of 10,000 compares each about 13 times
    if max(_Watched.sorted_at_once, default=0) > 1000 or _Watched.compared > 60_000:
        raise Wrong(
            "the answer is right, but all 10,000 scores were sorted to find 10: only winners need "
            "an order"
        )
    return "the best k, best first, and only they were sorted"


def _rows(answer: object, k: int, asked: str) -> np.ndarray:
    got = _array(answer, "the rows")
    if got.shape != (k,):
        raise Wrong(f"{asked} gave an answer of shape {got.shape}, not ({k},)")
    return got


def _best(scores: np.ndarray, got: np.ndarray) -> None:
    found, wanted = scores[got], -np.sort(-scores)[: len(got)]
    if np.array_equal(found, wanted):
        return
    if np.array_equal(found[::-1], wanted):
        raise Wrong("the right rows, but worst first")
    if np.array_equal(-np.sort(-found), wanted):
        raise Wrong("the right rows in no order: `argpartition` promises none")
    if found[0] != wanted[0]:
        raise Wrong(
            f"first comes a score of {found[0]:.2f}, though there is one of {wanted[0]:.2f}"
        )
    place = int(np.flatnonzero(found != wanted)[0])
    raise Wrong(f"place {place + 1} should have score {wanted[place]:.2f}, not {found[place]:.2f}")


# ------------------------------------------------------------------------------------------- 1.3


@register(
    "1.3",
    "Start from the table `second` of the chapter. Now there are two tables, so each has squares of its "
    "own: `(n, 1)` and `(m,)`.",
    "Rounding can leave a square a little below 0, and its root is `nan`: "
    "`np.maximum(squares, 0)`.",
    "L2 ignores where zero is, so put it where the data is: subtract `b.mean(axis=0)` from both `a` "
    "and `b` before anything else. Into new arrays, not with `-=`.",
)
def pairwise_l2(pairwise_l2: Callable) -> str:
    """All L2 distances of n and m rows, shape (n, m), without an (n, m, d) array."""
    rng = np.random.default_rng(3)
    for n, m in [(5, 3), (4, 4), (1, 2)]:
        a, b = rng.normal(size=(n, 6)).astype("f4"), rng.normal(size=(m, 6)).astype("f4")
        with np.errstate(invalid="ignore"):
            try:
                answer = call(pairwise_l2, a, b)
            except ValueError as error:
                if "broadcast" not in str(error):
                    raise
                raise Wrong(
                    f"{n} and {m} rows do not fit together: `(n,)` and `(m,)` cannot be added, "
                    "`(n, 1)` and `(m,)` can"
                ) from None
        got = _array(answer, "the distances")
        if got.shape == (m, n) and n != m:
            raise Wrong(f"shape {got.shape} is turned around: a has {n} rows and b has {m}")
        if got.shape != (n, m):
            raise Wrong(f"{n} and {m} rows gave shape {got.shape}, not ({n}, {m})")
        wanted = _loop(a, b)
        if np.allclose(got, wanted**2, atol=1e-2):
            raise Wrong("these are the squares of the distances: take the root")
        if np.allclose(got, a @ b.T, atol=1e-3):
            raise Wrong("these are inner products")
        if not np.allclose(got, wanted, rtol=0, atol=0.05, equal_nan=False):
            raise Wrong(
                "these are not the distances: compare with a loop over rows; is each row of `a` "
                "paired with the squares of its own row?"
            )

    rows = rng.normal(size=(200, 48)).astype("f4")
    with np.errstate(invalid="ignore"):
        same = np.diagonal(_array(call(pairwise_l2, rows, rows), "the distances"))
    if np.isnan(same).any():
        raise Wrong("two identical rows are `nan` apart: the root of a square just below 0")
    if np.abs(same).max() > 0.05:
        raise Wrong(f"two identical rows are {np.abs(same).max():.2f} apart, more than 0.05")

    a, b = rng.normal(size=(300, 512)).astype("f4"), rng.normal(size=(400, 512)).astype("f4")
    if (megabytes := _peak(lambda: pairwise_l2(a, b)) / 1e6) > 60:
        raise Wrong(
            f"300 and 400 rows of 512 numbers took {megabytes:.0f} MB on the way to a result of "
            "0.5 MB: there is an `(n, m, d)` array in it"
        )

    far_a, far_b = a[:40, :20] + np.float32(10_000), b[:30, :20] + np.float32(10_000)
    with np.errstate(invalid="ignore"):
        got = _array(call(pairwise_l2, far_a, far_b), "the distances")
    if not np.allclose(got, _loop(far_a, far_b), rtol=0, atol=0.05):
        raise Wrong(
            "float32 rows around 10,000 come out wrong: the squares are so large that the "
            "differences drown. Where could zero be, if L2 does not mind?"
        )
    no_loop(pairwise_l2, (a[:4, :8], b[:4, :8]), (a[:200, :8], b[:4, :8]))
    no_loop(pairwise_l2, (a[:4, :8], b[:4, :8]), (a[:4, :8], b[:200, :8]))
    return "every pair in one product, and rounding has no say"


def _loop(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([np.linalg.norm(b.astype(float) - row, axis=1) for row in a.astype(float)])


def _peak(work: Callable[[], object]) -> int:
    """Most bytes that `work` held at one time."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


# ------------------------------------------------------------------------------------------- 1.4


@register(
    "1.4",
    "Look for broken rows first: `np.isfinite(vectors).all(axis=1)` is True for each good row.",
    "`np.flatnonzero(~good)` has their numbers; if there are any, `raise ValueError` and say which.",
    "A blank row may be divided by anything but 0: `np.where(lengths == 0, 1, lengths)`.",
)
def normalise(normalise: Callable) -> str:
    """Rows of length 1; zeros stay zeros; nan and infinity are refused by row number."""
    rng = np.random.default_rng(4)
    sound = rng.normal(size=(9, 4)).astype("f4")
    got = _array(call(normalise, sound), "the rows")
    if got.shape == sound.shape and np.isnan(got).any():
        raise Wrong("a sound table comes back with `nan` in it")
    vectors = rng.normal(size=(6, 6)).astype("f4") * 5
    vectors[2] = 0
    with np.errstate(all="ignore"):
        try:
            got = _array(call(normalise, vectors), "the rows")
        except ValueError as error:
            raise Wrong(f"a blank row is no error, it stays zeros; yours raises: {error}") from None
    if got.shape != vectors.shape:
        raise Wrong(f"vectors of shape {vectors.shape} came back as {got.shape}: keep every row")
    if np.isnan(got[2]).any():
        raise Wrong("the blank row is still `nan`, and wins every search")
    if np.any(got[2] != 0):
        raise Wrong("the blank row does not stay zeros: now it matches something")
    lengths = np.linalg.norm(np.delete(got, 2, axis=0), axis=1)
    if not np.allclose(lengths, 1, atol=1e-4):
        raise Wrong(
            f"rows have lengths {lengths[:3].round(3)} …, not 1: is each divided by its own?"
        )
    if np.any(np.sign(got) != np.sign(vectors)):
        raise Wrong("a row points another way than before")
    if got.dtype != np.float32:
        raise Wrong(f"float32 went in and {got.dtype} came out: twice the memory")

    wide = _array(call(normalise, vectors.astype(np.float64)), "the rows")
    if wide.dtype.name != "float64":
        raise Wrong(f"float64 went in and {wide.dtype} came out")

    faint = np.linalg.norm(call(normalise, vectors * np.float32(1e-9)), axis=1)[0]
    if abs(faint - 1) > 1e-3:
        raise Wrong(
            f"a very faint row has length {faint:.2g}, not 1: a small number added to every length, "
            "or a threshold, changes rows that are not blank"
        )

    table = rng.normal(size=(60, 3)).astype("f4")
    for name, value in {"nan": np.nan, "infinity": np.inf, "minus infinity": -np.inf}.items():
        for row in (41, 27):
            broken = table.copy()
            broken[row, 1] = value
            try:
                with np.errstate(all="ignore"):
                    call(normalise, broken)
            except ValueError as error:
                _says_the_row(str(error), row)
            else:
                raise Wrong(f"a row with {name} in it goes through: refuse it with a ValueError")
    return "blank pages match nothing, broken rows do not get in"


def _says_the_row(message: str, row: int) -> None:
    numbers = re.findall(r"\d+", message)
    shown = message if len(message) < 120 else f"{message[:120]} …"
    # it may say which column too, or how many rows there are
    if len(numbers) > 6:
        raise Wrong(f"the message names sound rows beside the broken one, row {row}: {shown}")
    if str(row) not in numbers:
        raise Wrong(f"the message does not say which row (it was row {row}): {shown}")
