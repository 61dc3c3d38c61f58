"""Checks of chapter 14, audio."""

from collections import Counter
from collections.abc import Callable
from numbers import Integral

import numpy as np

from workshop.checks import Wrong, call, register

NOTHING = "your function returns nothing: is there a `return`?"

# ------------------------------------------------------------------------------------------ 14.1


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


@register(
    "14.1",
    "For one code of the query: at which frames does the recording have the same code? Each of them is a vote.",
    "`other_frames[other_codes == code]` are these frames. Each minus the query's frame is a shift; count the shifts in a "
    "dictionary, or in a `Counter`.",
    "Of the shifts with the most votes take the smallest: `most = max(counts.values())`, then the `min` of those "
    "shifts whose count is `most`.",
    "If `counts` is empty at the end, return None. Else `return winner, counts[winner]`, as a tuple.",
)
def best_shift(best_shift: Callable) -> str:
    """Equal codes vote for a shift."""
    rng = np.random.default_rng(14)
    base = rng.integers(0, 40, 300)
    times = np.sort(rng.integers(0, 900, 300))
    cases = [
        ("three codes, moved by 100", [5, 6, 7], [0, 4, 9], [5, 6, 7], [100, 104, 109]),
        ("the query begins before the recording", [5, 6], [50, 60], [5, 6, 9], [10, 20, 30]),
        ("only one code is shared", [5, 6, 7], [3, 4, 5], [1, 7], [0, 2]),
        ("a code comes twice in the recording", [5, 6], [0, 3], [5, 5, 6], [10, 70, 73]),
        ("a code comes twice in the query", [5, 5, 6], [0, 20, 7], [5, 6], [30, 17]),
        ("two shifts with as many votes", [1, 2], [0, 0], [1, 2], [9, -4]),
        ("shifts that differ by one", [1, 2, 3], [0, 0, 0], [1, 2, 3], [40, 41, 7]),
        ("many votes spread, fewer at one shift", [1, 2, 3, 4], [0, 1, 2, 3], [1, 1, 1, 1, 2, 3], [5, 90, 200, 300, 91, 92]),
        ("300 codes, of which many are equal", base[40:140], times[40:140], base, times + 17),
        ("64-bit codes", [2**40 + 1, 2**40 + 2], [0, 5], [2**40 + 1, 2**40 + 2], [8, 13]),
    ]  # fmt: skip
    for what, *given in cases:
        arrays = [np.array(one, np.int64) for one in given]
        _judge(call(best_shift, *arrays), _counts(*arrays), what)
    for what, given in {
        "no code is shared": ([1, 2], [0, 1], [3, 4], [0, 1]),
        "the query has no code": ([], [], [3, 4], [0, 1]),
        "the recording has no code": ([1, 2], [0, 1], [], []),
    }.items():
        arrays = [np.array(one, np.int64) for one in given]
        try:
            answer = call(best_shift, *arrays)
        except (ValueError, IndexError) as error:
            raise Wrong(f"{what}: return None; yours raises: {error}") from None
        if answer is not None:
            raise Wrong(f"{what}: return None, not {answer!r}")
    return "every shared code votes, and the right recording has one high line"


def _counts(
    codes: np.ndarray, frames: np.ndarray, others: np.ndarray, times: np.ndarray
) -> Counter:
    counts: Counter[int] = Counter()
    for code, frame in zip(codes.tolist(), frames.tolist(), strict=True):
        counts.update((times[others == code] - frame).tolist())
    return counts


def _judge(answer: object, counts: Counter, what: str) -> None:
    if answer is None:
        raise Wrong(
            f"{what}: None is for no shared code, and here is one; or is a `return` missing?"
        )
    if not isinstance(answer, tuple | list | np.ndarray) or len(answer) != 2:
        raise Wrong(
            f"{what}: two whole numbers are wanted, the shift and its votes, not {answer!r}"
        )
    shift, votes = answer
    if not _whole(shift) or not _whole(votes):
        raise Wrong(
            f"{what}: the shift and the votes are whole numbers, not {shift!r} and {votes!r}"
        )
    most = max(counts.values())
    right = min(shift for shift, number in counts.items() if number == most)
    if (shift, votes) == (right, most):
        return
    if (votes, shift) == (right, most):
        raise Wrong(f"{what}: the shift comes first, then its votes; yours are the other way round")
    if shift == -right and votes == most and right:
        raise Wrong(
            f"{what}: the shift is the frame in the recording minus that in the query: {right}, not {shift}"
        )
    if shift != right and counts.get(shift) == most:
        each = "1 vote" if most == 1 else f"{most} votes"
        raise Wrong(f"{what}: {right} and {shift} have {each} each; take the smallest shift")
    if shift != right:
        raise Wrong(
            f"{what}: shift {shift} has {counts.get(int(shift), 0)} of the votes, and shift {right} has {most}"
        )
    pairs = "1 pair of equal codes has it" if most == 1 else f"{most} pairs of equal codes have it"
    raise Wrong(f"{what}: the shift is right, and {pairs}, not {votes}")


# ------------------------------------------------------------------------------------------ 14.2


def _tone(seconds: float, rate: int, hertz: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


@register(
    "14.2",
    "Three things, in this order: int16 to floats, channels to one, and the rate. Which of them does each input need?",
    "`samples.dtype == np.int16` tells whether to divide by 32,768, and `samples.ndim == 2` whether there are channels.",
    "The mean of the channels is `samples.mean(axis=1)`. Take it before the rate is changed.",
    "`soxr.resample(samples, rate, 16_000).astype(np.float32)`: from the file's rate to ours. It also takes away the "
    "tones that do not fit; to pick every so many-th sample does not.",
)
def at_16_khz(at_16_khz: Callable) -> str:
    """Whatever a file has, it becomes mono float32 at 16 kHz."""
    tone = _tone(1.0, 44_100, 440)
    stereo = np.column_stack([tone, np.zeros_like(tone)])
    cases = [
        ("mono, 44,100 a second", tone, 44_100, 440, 0.5),
        ("mono, 16,000 a second already", _tone(1.0, 16_000, 700), 16_000, 700, 0.5),
        ("mono, 8,000 a second", _tone(1.0, 8_000, 440), 8_000, 440, 0.5),
        ("mono, 96,000 a second, float32", _tone(0.5, 96_000, 1000).astype(np.float32), 96_000, 1000, 0.5),
        ("stereo, the right channel silent", stereo, 44_100, 440, 0.25),
        ("stereo, two equal channels", np.column_stack([tone, tone]), 44_100, 440, 0.5),
        ("int16, mono", (tone * 32_768).astype(np.int16), 44_100, 440, 0.5),
        ("int16, stereo", (stereo * 32_768).astype(np.int16), 44_100, 440, 0.25),
        ("six channels, 48,000 a second", np.repeat(_tone(0.4, 48_000, 600)[:, None], 6, axis=1), 48_000, 600, 0.5),
        ("2,000 samples of two channels", np.column_stack([_tone(0.125, 16_000, 880)] * 2), 16_000, 880, 0.5),
    ]  # fmt: skip
    for what, samples, rate, hertz, loudest in cases:
        answer = _shaped(call(at_16_khz, samples, rate), what, len(samples), rate)
        _sounds_right(answer, what, hertz, loudest)
    what = "440 Hz and 12,000 Hz at once"
    both = tone + _tone(1.0, 44_100, 12_000) / 2
    answer = _shaped(call(at_16_khz, both, 44_100), what, len(both), 44_100)
    _without_alias(answer, what)
    _sounds_right(answer, what, 440, 0.5)
    return "the same sound, whatever the file says about it"


def _shaped(answer: object, what: str, size: int, rate: int) -> np.ndarray:
    if answer is None:
        raise Wrong(NOTHING)
    if not isinstance(answer, np.ndarray):
        raise Wrong(f"{what}: an array is wanted, not {type(answer).__name__}")
    if answer.ndim != 1:
        raise Wrong(f"{what}: one row of samples is wanted, shape (m,), not {answer.shape}")
    wanted = size * 16_000 / rate
    if abs(len(answer) - wanted) > 2:
        if abs(len(answer) - size) <= 2:
            raise Wrong(
                f"{what}: {len(answer):,} samples came in and as many went out: the rate is not changed"
            )
        if abs(len(answer) - size * rate / 16_000) <= 2:
            raise Wrong(
                f"{what}: the two rates are the wrong way round: {len(answer):,} samples, not {wanted:,.0f}"
            )
        raise Wrong(f"{what}: about {wanted:,.0f} samples are wanted, not {len(answer):,}")
    if answer.dtype != np.float32:
        raise Wrong(f"{what}: float32 is wanted, not {answer.dtype}")
    if not np.isfinite(answer).all():
        raise Wrong(f"{what}: there are samples that are no numbers")
    return answer


def _inner(answer: np.ndarray) -> np.ndarray:
    """The answer without its ends, which every filter bends."""
    return answer[len(answer) // 10 : -len(answer) // 10].astype(np.float64)


def _without_alias(answer: np.ndarray, what: str) -> None:
    inner = _inner(answer)
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner))))
    hertz = np.arange(len(spectrum)) * 16_000 / len(inner)
    folded = spectrum[np.abs(hertz - 4_000) < 50].max()
    if folded > 0.03 * spectrum[np.abs(hertz - 440) < 50].max():
        raise Wrong(
            f"{what}: a tone of 12,000 Hz, which 16,000 samples a second cannot hold, came out as 4,000 Hz"
        )


def _sounds_right(answer: np.ndarray, what: str, hertz: float, loudest: float) -> None:
    inner = _inner(answer)
    level = np.abs(inner).max()
    if abs(level - loudest) > 0.03:
        if level > 100:
            raise Wrong(f"{what}: int16 is divided by 32,768; your loudest sample is {level:,.0f}")
        raise Wrong(f"{what}: the loudest sample is {loudest}, in yours it is {level:.4f}")
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner))))
    found = spectrum.argmax() * 16_000 / len(inner)
    if abs(found - hertz) > 20:
        raise Wrong(f"{what}: a tone of {hertz:.0f} Hz went in, and one of {found:.0f} Hz came out")


# ------------------------------------------------------------------------------------------ 14.3


@register(
    "14.3",
    "Which pairs of sounds have the same source? Their scores must never win, whatever they are.",
    "`sources[:, np.newaxis] == sources[np.newaxis, :]` is True for pairs of one source, shape `(n, n)`; the diagonal "
    "too.",
    "`np.where(own, -np.inf, scores)` is a new array. Scores may be negative, so 0 or -1 is not low enough.",
    "`np.argsort(-fair, axis=1, kind='stable')[:, :k]` has the best first and leaves equal ones in their order.",
)
def from_others(from_others: Callable) -> str:
    """The most alike sounds of other sources."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(40, 6))
    many = np.array([f"source {i % 7}" for i in range(40)])
    five = np.array(
        [[9, 8, 7, 6, 5], [8, 9, 4, 4, 4], [7, 4, 9, 1, 2], [6, 4, 1, 9, 3], [5, 4, 2, 3, 9]], float
    )
    uneven = np.array([[0, 1, 9, 2], [3, 0, 1, 8], [5, 6, 0, 1], [7, 9, 2, 0]], float)
    cases = [
        ("five sounds, each of its own source", five, np.array(list("abcde")), 2),
        ("two sounds of one source", five, np.array(list("aabcd")), 2),
        ("sounds of one source that do not stand together", five, np.array(list("abaca")), 2),
        ("equal scores", np.ones((4, 4)), np.array(["x", "y", "x", "z"]), 2),
        ("all scores are below -1", five - 50, np.array(list("aabbc")), 3),
        ("scores that are not symmetric", uneven, np.array(list("aabb")), 2),
        ("whole numbers as scores", (five * 10).astype(np.int64), np.array(list("aabcd")), 1),
        ("40 sounds of 7 sources", vectors @ vectors.T, many, 5),
        ("float32, in another order", (vectors @ vectors.T).astype(np.float32)[::-1, ::-1].copy(), many[::-1].copy(), 9),
    ]  # fmt: skip
    for what, scores, sources, k in cases:
        answer = call(from_others, scores, sources, k)
        if answer is None:
            raise Wrong(NOTHING)
        rows = np.asarray(answer)
        if rows.shape != (len(sources), k):
            raise Wrong(f"{what}: the shape is {(len(sources), k)}, not {rows.shape}")
        if rows.dtype.kind not in "iu":
            raise Wrong(f"{what}: rows are whole numbers, not {rows.dtype}")
        if rows.min() < 0 or rows.max() >= len(sources):
            raise Wrong(
                f"{what}: rows go from 0 to {len(sources) - 1}; yours reach {rows.min()} and {rows.max()}"
            )
        _from_others(rows, scores, sources, what)
    return "what is left is what a user would find"


def _from_others(rows: np.ndarray, scores: np.ndarray, sources: np.ndarray, what: str) -> None:
    for query, found in enumerate(rows.tolist()):
        if query in found:
            raise Wrong(f"{what}: sound {query} finds itself, and it is of its own source")
        same = [row for row in found if sources[row] == sources[query]]
        if same:
            raise Wrong(
                f"{what}: sound {query} finds sound {same[0]}, and both are of source {sources[query]}"
            )
        others = [row for row in range(len(sources)) if sources[row] != sources[query]]
        wanted = sorted(others, key=lambda row, query=query: (-scores[query, row], row))[
            : len(found)
        ]
        if found == wanted:
            continue
        place = next(
            i for i, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1]
        )
        a, b = found[place], wanted[place]
        if len(set(found)) < len(found):
            raise Wrong(f"{what}: sound {query} finds the same sound twice: {found}")
        if scores[query, a] == scores[query, b]:
            raise Wrong(
                f"{what}: for sound {query}, sounds {b} and {a} have equal scores; the smaller number is first"
            )
        raise Wrong(
            f"{what}: for sound {query}, place {place + 1} has sound {a} with {scores[query, a]:.2f}, and sound {b} has "
            f"{scores[query, b]:.2f}"
        )


# ------------------------------------------------------------------------------------------ 14.4


@register(
    "14.4",
    "For one number of votes: which share of the strangers has as many, or more? `np.mean` of a comparison is a share.",
    "Begin with 1 and go up as long as too many strangers reach the number.",
    "`while np.mean(votes >= least) > share: least += 1`",
)
def fewest_votes(fewest_votes: Callable) -> str:
    """A number of votes that few strangers reach."""
    rng = np.random.default_rng(4)
    cases = [
        ("ten strangers, one of ten may pass", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0.1),
        ("nobody may pass", [3, 12, 5, 7], 0.0),
        ("everybody may pass", [3, 12, 5, 7], 1.0),
        ("half may pass", [3, 12, 5, 7], 0.5),
        ("strangers with equal votes", [4, 4, 4, 4, 9], 0.3),
        ("all have equal votes", [6, 6, 6], 0.9),
        ("nobody has a vote", [0, 0, 0], 0.0),
        ("one stranger", [20], 0.5),
        ("a share that is reached exactly", [1, 2, 3, 4], 0.25),
        ("1,000 strangers", rng.poisson(4, 1000), 0.02),
        ("a number between two strangers' votes", [2, 30], 0.5),
    ]
    for what, votes, share in cases:
        votes = np.array(votes)
        answer = call(fewest_votes, votes, share)
        if answer is None:
            raise Wrong(NOTHING)
        if not _whole(answer):
            raise Wrong(f"{what}: a whole number is wanted, not {answer!r}")
        if answer < 1:
            raise Wrong(f"{what}: the smallest number to ask for is 1, not {answer}")
        passed = float(np.mean(votes >= answer))
        if passed > share:
            raise Wrong(
                f"{what}: {passed:.3f} of the strangers have {answer} votes or more, and a share of {share} may"
            )
        if answer > 1 and float(np.mean(votes >= answer - 1)) <= share:
            raise Wrong(
                f"{what}: {answer} is more than needed: with {answer - 1} no more than a share of {share} pass"
            )
    return "few strangers get in, and you know how few"
