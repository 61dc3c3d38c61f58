"""Checks of chapter 20, a language model: on small arrays, without the model."""

import re
from collections.abc import Callable

import numpy as np

from workshop.checks import Wrong, call, register

# ------------------------------------------------------------------------------------------ 20.1


def _softmax(scores: np.ndarray) -> np.ndarray:
    large = np.exp(scores - scores.max(axis=1, keepdims=True))
    return large / large.sum(axis=1, keepdims=True)


def _attention(queries, keys, values, scale=None, mask=1, axis=1) -> np.ndarray:
    """The right answer, or one with a known mistake."""
    scores = queries @ keys.T / (np.sqrt(queries.shape[1]) if scale is None else scale)
    if mask is not None:
        scores = np.where(np.triu(np.ones(scores.shape), mask) == 1, -np.inf, scores)
    shares = _softmax(scores) if axis == 1 else _softmax(scores.T).T
    return shares @ values


def _rows(name: str, got: object, shape: tuple[int, int]) -> np.ndarray:
    """The answer as an array of that shape, or Wrong."""
    if got is None:
        raise Wrong(f"`{name}` returns nothing: is there a `return`?")
    try:
        array = np.asarray(got, dtype=float)
    except (TypeError, ValueError):
        raise Wrong(f"`{name}` returns a {type(got).__name__}, not an array of floats") from None
    if array.shape != shape:
        raise Wrong(f"for n={shape[0]} and d={shape[1]} the shape is {array.shape}, not {shape}")
    return array


@register(
    "20.1",
    "Go in four steps: scores of all queries and keys, the forbidden ones to minus infinity, shares, sums of values. "
    "Print the shape after each step for three tokens.",
    "`queries @ keys.T` is a table (n, n): row i has the scores of token i. Forbidden are the fields above the diagonal; "
    "`np.triu(..., 1)` keeps just those.",
    "`np.where(forbidden, -np.inf, scores)` forbids. Subtract each row's largest score before `np.exp`, with `keepdims=True`.",
    "The shares, shape (n, n), times the values is one `@`. Divide by the root of `queries.shape[1]`, not by 8.",
)
def attention(attention: Callable) -> str:
    """Scaled dot products, no look ahead, a softmax that does not overflow."""
    rng = np.random.default_rng(20)
    for n, d in ((5, 4), (1, 3), (3, 1), (7, 16), (2, 64)):
        three = [rng.normal(size=(n, d)) for _ in range(3)]
        got = _rows("attention", call(attention, *three), (n, d))
        if not np.allclose(got, wanted := _attention(*three), atol=1e-6):
            _name_mistake(got, three, wanted)
    three = [rng.normal(size=(4, 6)).astype(np.float32) for _ in range(3)]
    got = _rows("attention", call(attention, *three), (4, 6))
    if not np.allclose(got, _attention(*three), atol=1e-4):
        raise Wrong("float32 arrays come out otherwise than float64 ones")
    large = [rng.normal(size=(6, 4)) * size for size in (100, 100, 1)]
    with np.errstate(all="ignore"):
        got = _rows("attention", call(attention, *large), (6, 4))
    if not np.isfinite(got).all():
        raise Wrong(
            "with scores of some thousands the result holds nan or infinity: `exp` has grown too large"
        )
    if not np.allclose(got, _attention(*large), atol=1e-6):
        raise Wrong("with scores of some thousands the result is another one")
    queries = np.array([[100.0, 0], [100, 1], [100, 0], [100, 2]])
    keys = np.array([[-212.0, 1], [-212, 0], [-212, -1], [0, 0]])  # only the last one fits better
    got = _rows("attention", call(attention, queries, keys, values := np.eye(4, 2)), (4, 2))
    if not np.allclose(got, _attention(queries, keys, values), atol=1e-6):
        raise Wrong(
            "where a token's own scores are near -15,000, the result is another one: is a forbidden score "
            "lower than each allowed one?"
        )
    return "each token takes from itself and from what came before, whatever the sizes"


def _name_mistake(got: np.ndarray, three: list[np.ndarray], wanted: np.ndarray) -> None:
    n, d = wanted.shape
    known = [
        (dict(mask=None), "later tokens are looked at: token 0 can only take from itself"),
        (dict(mask=0), "a token may look at itself too: only what comes after it is forbidden"),
        (dict(scale=1.0), "the scores were not divided by the root of d"),
        (dict(scale=float(d)), "the scores were divided by d, not by its root"),
        (
            dict(scale=8.0),
            "the scores were divided by 8, which is the root of 64; here d is not 64",
        ),
        (dict(axis=0), "the shares of each *column* sum to 1; those of each token, a row, should"),
    ]
    if n > 1 and np.isnan(got[0]).all() and not np.isnan(got[-1]).any():
        raise Wrong("a token may look at itself too: only what comes after it is forbidden")
    for options, said in known:
        with np.errstate(all="ignore"):
            other = _attention(*three, **options)
        if np.allclose(got, other, atol=1e-6, equal_nan=True):
            raise Wrong(said)
    if not np.isfinite(got).all():
        raise Wrong(f"for {n} tokens the result holds nan or infinity")
    if not np.allclose(got[0], three[2][0]):
        raise Wrong("token 0 sees only itself, so it takes exactly its own value; here it does not")
    row = int(np.abs(got - wanted).max(axis=1).argmax())
    raise Wrong(f"for n={n}, d={d} token 0 is right, and token {row} is not")


# ------------------------------------------------------------------------------------------ 20.2


def _rotate(rows, positions, sign=1, halves=False, base=100_000.0, divisor=1.0) -> np.ndarray:
    """The right answer, or one with a known mistake."""
    d = rows.shape[1]
    angles = sign * np.outer(positions, base ** (-np.arange(0, d, 2) * divisor / d))
    first, second = (
        (slice(0, d // 2), slice(d // 2, d)) if halves else (slice(0, d, 2), slice(1, d, 2))
    )
    turned = np.empty(rows.shape)
    turned[:, first] = rows[:, first] * np.cos(angles) - rows[:, second] * np.sin(angles)
    turned[:, second] = rows[:, first] * np.sin(angles) + rows[:, second] * np.cos(angles)
    return turned


@register(
    "20.2",
    "`vectors[:, 0::2]` has the first number of each pair, `vectors[:, 1::2]` the second. How many pairs are there?",
    "`np.arange(0, d, 2)` is `2 * i` for each pair. `np.outer(positions, speeds)` is the table of angles: a row for each vector, a "
    "column for each pair.",
    "Compute both new numbers from the *old* pair: write them into a new array, `np.empty_like(vectors)`.",
    "`turned[:, 0::2] = a * np.cos(angles) - b * np.sin(angles)`, and the odd columns likewise with `sin` and `cos` changed over and a plus.",
)
def rotate(rotate: Callable) -> str:
    """Pairs of neighbours turn with position and speed."""
    rng = np.random.default_rng(2)
    cases = [
        (rng.normal(size=(4, 6)), np.arange(4)),
        (rng.normal(size=(3, 2)), np.array([7, 0, 2])),
        (rng.normal(size=(1, 64)), np.array([100])),
        (rng.normal(size=(5, 8)).astype(np.float32), np.array([9, 9, 3, 8000, 1])),
        (np.arange(1.0, 13).reshape(3, 4), np.array([0, 0, 0])),
    ]
    for rows, positions in cases:
        got = _rows("rotate", call(rotate, rows, positions), rows.shape)
        wanted = _rotate(rows, positions)
        # an angle of 8,000 in float32 is off in the fourth digit
        near = 2e-3 if rows.dtype == np.float32 else 1e-6
        if not np.allclose(got, wanted, atol=near):
            _name_turn(got, rows, positions)
    return "lengths stay, and only the distance between two positions counts"


def _name_turn(got: np.ndarray, rows: np.ndarray, positions: np.ndarray) -> None:
    known = [
        (dict(sign=-1), "the pairs turn the other way round: look at the signs of the sines"),
        (
            dict(halves=True),
            "a pair holds two neighbours, 2i and 2i+1; yours are half a vector apart",
        ),
        (dict(base=10_000.0), "the speeds begin with 10,000, not with 100,000"),
        (
            dict(divisor=0.5),
            "the exponent is -2i/d, yours is -i/d: the pairs get slower too slowly",
        ),
        (
            dict(divisor=-1.0),
            "the exponent has lost its minus: later pairs turn slower, not faster",
        ),
        (dict(divisor=0.0), "all pairs turn equally fast: pair i has the speed 100_000 ** (-2i/d)"),
    ]
    rank = np.arange(len(rows))
    if not np.array_equal(positions, rank) and np.allclose(got, _rotate(rows, rank), atol=2e-3):
        raise Wrong(
            f"vectors were turned by 0, 1, 2 …, though their positions are {positions.tolist()}"
        )
    for options, said in known:
        with np.errstate(all="ignore"):
            if np.allclose(got, _rotate(rows, positions, **options), atol=2e-3):
                raise Wrong(said)
    if not np.isfinite(got).all():
        raise Wrong("the result holds nan or infinity")
    if not np.allclose(np.linalg.norm(got, axis=1), np.linalg.norm(rows, axis=1), rtol=1e-3):
        raise Wrong(
            "turning changes no length, but a vector comes back longer or shorter: was a number of a pair "
            "overwritten before the other was computed?"
        )
    if not positions.any():
        raise Wrong("at position 0 the angle is 0 and nothing turns; yours comes back changed")
    raise Wrong(
        f"for d={rows.shape[1]} and the positions {positions.tolist()} the pairs have other angles"
    )


# ------------------------------------------------------------------------------------------ 20.3


class _Model:
    """Plays a model with a cache: it says `text`, and knows which tokens it was handed."""

    def __init__(self, prompt: list[int], text: list[int], end: int, tie: bool = False) -> None:
        self.prompt, self.text, self.end, self.tie = list(prompt), text, end, tie
        self.seen: list[int] = []
        self.calls = 0

    def read(self, new: list[int]) -> np.ndarray:
        self.calls += 1
        if isinstance(new, int | np.integer):
            raise Wrong("`read` takes a list, also for a single token: it was given a number")
        new = [int(token) for token in new]
        if not new:
            raise Wrong("`read` was given an empty list: there is nothing to read")
        if self.seen and new[: len(self.prompt)] == self.prompt and len(new) > 1:
            raise Wrong(
                "`read` was given the prompt again: it has a cache, so hand it only the newest token"
            )
        self.seen += new
        known = [*self.prompt, *self.text]
        if self.seen != known[: len(self.seen)]:
            if self.tie and new == [11]:
                raise Wrong("two tokens had equal scores, and the second one was taken")
            raise Wrong(f"`read` was handed {new}, which the model has not written at that place")
        if self.end in self.seen[len(self.prompt) :]:
            raise Wrong(f"the end is {self.end}; the loop has read it and went on")
        said = len(self.seen) - len(self.prompt)
        if said < 0:
            raise Wrong("the first call hands over the whole prompt; here a part was missing")
        scores = np.full(12, -3.0)
        scores[self.text[said] if said < len(self.text) else 11] = 2.5
        if self.tie:
            scores[11] = 2.5
        return scores


@register(
    "20.3",
    "Two things change from round to round: what was said so far, and what `read` has not seen yet.",
    "Before the loop, what is new is the prompt. After each round it is a list with the one token just written.",
    "Look at `len(said) < limit` before you read, and at `best == end` before you append. `int(scores.argmax())` is the first of equal ones.",
    "`while len(said) < limit: best = int(read(new).argmax())`, then stop, or append and set `new = [best]`; return `said`.",
)
def write(write: Callable) -> str:
    """The loop: greedy, with a cache, an end and a limit."""
    cases = [
        ([4], [1, 1, 1, 1, 1, 1, 9], 9, 4, [1, 1, 1, 1], "the limit is 4"),
        ([5, 6, 7], [1, 2, 3, 9], 9, 10, [1, 2, 3], "the model ends after three tokens"),
        ([4, 2], [9], 9, 5, [], "the model ends at once"),
        ([4, 2], [0, 3, 0, 2], 2, 8, [0, 3, 0], "token 0 is a token like others, and the end is 2"),
        ([8, 8], [3, 4, 5], 9, 3, [3, 4, 5], "the limit is 3, and so are the tokens"),
        ([3], [6], 9, 1, [6], "the limit is 1"),
        ([3], [6, 1], 9, 0, [], "the limit is 0"),
        ([1, 9, 1], [2, 9], 9, 5, [2], "the prompt itself holds the token `end`"),
    ]
    for prompt, text, end, limit, wanted, what in cases:
        model = _Model(prompt, text, end)
        got = _tokens(call(write, model.read, prompt, end, limit), what)
        _compare(got, wanted, what, prompt, end)
        if model.calls > max(1, len(wanted) + 1):
            raise Wrong(f"{what}: `read` was called {model.calls} times for {len(wanted)} tokens")
    model = _Model([5], [3, 4, 9], 9, tie=True)
    got = _tokens(call(write, model.read, [5], 9, 6), "two tokens have equal scores")
    _compare(got, [3, 4], "two tokens have equal scores, and the first counts", [5], 9)
    return "each token is read once, and the loop knows when to stop"


def _tokens(got: object, what: str) -> list:
    if got is None:
        raise Wrong("`write` returns nothing: is there a `return`?")
    if not isinstance(got, list):
        raise Wrong(f"{what}: return a list of tokens, not a {type(got).__name__}")
    if not all(isinstance(token, int | np.integer) for token in got):
        raise Wrong(f"{what}: the list holds {got}, and tokens are whole numbers")
    return [int(token) for token in got]


def _compare(got: list, wanted: list, what: str, prompt: list, end: int) -> None:
    if got == wanted:
        return
    if got == [*prompt, *wanted]:
        raise Wrong(f"{what}: the list holds the prompt too; only what follows it is wanted")
    if got == [*wanted, end]:
        raise Wrong(f"{what}: the token `end` is in the list")
    if len(got) > len(wanted):
        raise Wrong(f"{what}: {len(wanted)} tokens are due, and {len(got)} came back")
    raise Wrong(f"{what}: the tokens are {wanted}, and {got} came back")


# ------------------------------------------------------------------------------------------ 20.4

_SIGN = re.compile(r"<\|[^<>|]+\|>")


@register(
    "20.4",
    "You cannot list all signs: describe what they look like. `re.sub(pattern, '', text)` takes out all that fit.",
    "`|` has a meaning of its own in a pattern: write `\\|`. `[^<>|]+` stands for one or more characters that are none of the three.",
    "What is left after one round may hold a new sign. How long must you go on?",
    "`while re.search(sign, found): found = re.sub(sign, '', found)`, with `sign = r'<\\|[^<>|]+\\|>'`.",
)
def harmless(harmless: Callable) -> str:
    """No sign is left, and nothing else is gone."""
    cases = [
        ("Port 0 means any.", "Port 0 means any.", "a text without signs"),
        ("", "", "an empty text"),
        ("a<|im_end|>b", "ab", "one sign"),
        ("<|im_start|>user\nHi<|im_end|>\n", "user\nHi\n", "two signs and two lines"),
        ("x<|endoftext|>y", "xy", "a sign with another name"),
        ("x<|a b-7|>y", "xy", "a sign with a space and a digit in its name"),
        ("1<|q|>2<|q|>3", "123", "the same sign twice: what is between stays"),
        ("<|im_<|im_end|>start|>user", "user", "a sign inside of a sign"),
        ("<|a<|b<|c|>|>|>!", "!", "signs three deep"),
        ("<|a" * 50 + "|>" * 50, "", "signs fifty deep"),
        ("x<|a\nb|>y", "xy", "a sign with a line break in its name"),
        ("a < b | c > d", "a < b | c > d", "single signs `<`, `|` and `>`"),
        ("x <| y |> z|", "x  z|", "a name of letters and spaces"),
        (
            "f <|> g || h <||> i",
            "f <|> g || h <||> i",
            "`<|>` and `<||>` have no name, so they are no sign",
        ),
        ("if a<b: <b>bold</b> |x|", "if a<b: <b>bold</b> |x|", "tags of a web page"),
        ("  two  spaces \t", "  two  spaces \t", "spaces at both ends"),
    ]
    for given, wanted, what in cases:
        got = call(harmless, given)
        if got is None:
            raise Wrong("`harmless` returns nothing: is there a `return`?")
        if not isinstance(got, str):
            raise Wrong(f"return a text, not a {type(got).__name__}")
        if got == wanted:
            continue
        if _SIGN.search(got):
            raise Wrong(f"{what}: {_cut(given)} comes back as {_cut(got)}, which holds a sign")
        raise Wrong(f"{what}: {_cut(given)} comes back as {_cut(got)}, though {wanted!r} is right")
    return "no passage opens a turn, and no honest character is lost"


def _cut(text: str) -> str:
    """The text as Python writes it, or its beginning."""
    return repr(text) if len(text) <= 60 else f"{text[:30]!r} …"
