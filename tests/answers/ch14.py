"""Answers to the exercises of chapter 14 that people could give, right and wrong."""

from collections import Counter

import numpy as np
import soxr
from scipy.signal import resample_poly

# ------------------------------------------------------------------------------------------ 14.1


def with_dict(codes, frames, other_codes, other_frames):
    counts = {}
    for code, frame in zip(codes, frames, strict=True):
        for later in other_frames[other_codes == code]:
            shift = int(later - frame)
            counts[shift] = counts.get(shift, 0) + 1
    if not counts:
        return None
    winner = min(counts, key=lambda shift: (-counts[shift], shift))
    return winner, counts[winner]


def with_table(codes, frames, other_codes, other_frames):
    equal = codes[:, None] == other_codes[None, :]
    shifts = (other_frames[None, :] - frames[:, None])[equal]
    if shifts.size == 0:
        return None
    values, counts = np.unique(shifts, return_counts=True)
    return values[counts.argmax()], counts.max()


def with_counter(codes, frames, other_codes, other_frames):
    where = {}
    for code, frame in zip(other_codes.tolist(), other_frames.tolist(), strict=True):
        where.setdefault(code, []).append(frame)
    counts = Counter(
        later - frame
        for code, frame in zip(codes.tolist(), frames.tolist(), strict=True)
        for later in where.get(code, [])
    )
    most = max(counts.values(), default=0)
    return [min(s for s in counts if counts[s] == most), most] if most else None


def other_way_round(codes, frames, other_codes, other_frames):
    answer = with_dict(codes, frames, other_codes, other_frames)
    return answer and (-answer[0], answer[1])


def votes_first(codes, frames, other_codes, other_frames):
    answer = with_dict(codes, frames, other_codes, other_frames)
    return answer and (answer[1], answer[0])


def zero_for_none(codes, frames, other_codes, other_frames):
    return with_dict(codes, frames, other_codes, other_frames) or (0, 0)


def largest_of_equal(codes, frames, other_codes, other_frames):
    equal = codes[:, None] == other_codes[None, :]
    shifts = (other_frames[None, :] - frames[:, None])[equal]
    if not len(shifts):
        return None
    values, counts = np.unique(shifts[::-1], return_counts=True)
    place = len(counts) - 1 - counts[::-1].argmax()
    return values[place], counts[place]


def first_place_only(codes, frames, other_codes, other_frames):
    where = {}
    for code, frame in zip(other_codes.tolist(), other_frames.tolist(), strict=True):
        where.setdefault(code, frame)
    counts = Counter(
        where[c] - f for c, f in zip(codes.tolist(), frames.tolist(), strict=True) if c in where
    )
    if not counts:
        return None
    most = max(counts.values())
    return min(s for s in counts if counts[s] == most), most


def all_shared_codes(codes, frames, other_codes, other_frames):
    answer = with_dict(codes, frames, other_codes, other_frames)
    return answer and (answer[0], int((codes[:, None] == other_codes[None, :]).sum()))


def shift_only(codes, frames, other_codes, other_frames):
    answer = with_dict(codes, frames, other_codes, other_frames)
    return answer and answer[0]


def raises_without(codes, frames, other_codes, other_frames):
    equal = codes[:, None] == other_codes[None, :]
    shifts = (other_frames[None, :] - frames[:, None])[equal]
    values, counts = np.unique(shifts, return_counts=True)
    return values[counts.argmax()], counts.max()


def with_play(codes, frames, other_codes, other_frames):
    equal = codes[:, None] == other_codes[None, :]
    shifts = (other_frames[None, :] - frames[:, None])[equal]
    if not len(shifts):
        return None
    values, counts = np.unique(shifts, return_counts=True)
    both = [counts[i] + (shifts == v + 1).sum() for i, v in enumerate(values)]
    return values[int(np.argmax(both))], int(np.max(both))


def floats(codes, frames, other_codes, other_frames):
    answer = with_dict(codes, frames, other_codes, other_frames)
    return answer and (float(answer[0]), answer[1])


def changes_frames(codes, frames, other_codes, other_frames):
    other_frames -= 1
    return with_dict(codes, frames - 1, other_codes, other_frames)


# ------------------------------------------------------------------------------------------ 14.2


def step_by_step(samples, rate):
    if samples.dtype == np.int16:
        samples = samples / 32_768
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    return soxr.resample(samples, rate, 16_000).astype(np.float32)


def float_first(samples, rate):
    floats = np.asarray(samples, np.float64)
    if np.issubdtype(samples.dtype, np.integer):
        floats = floats / 32_768.0
    mono = np.atleast_2d(floats.T).mean(axis=0)
    return np.asarray(soxr.resample(mono, rate, 16_000, quality="HQ"), dtype=np.float32)


def rate_first(samples, rate):
    scale = 32_768 if samples.dtype == np.int16 else 1
    changed = soxr.resample(samples.astype(np.float32) / scale, rate, 16_000)
    if changed.ndim == 2:
        changed = changed.sum(axis=1) / changed.shape[1]
    return changed.astype("float32")


def rate_not_changed(samples, rate):
    mono = step_by_step(samples, 16_000)
    return mono


def rates_swapped(samples, rate):
    if samples.dtype == np.int16:
        samples = samples / 32_768
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    return soxr.resample(samples, 16_000, rate).astype(np.float32)


def int16_not_divided(samples, rate):
    samples = samples.astype(np.float64)
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    return soxr.resample(samples, rate, 16_000).astype(np.float32)


def first_channel(samples, rate):
    if samples.dtype == np.int16:
        samples = samples / 32_768
    if samples.ndim == 2:
        samples = samples[:, 0]
    return soxr.resample(samples, rate, 16_000).astype(np.float32)


def channels_added(samples, rate):
    if samples.dtype == np.int16:
        samples = samples / 32_768
    if samples.ndim == 2:
        samples = samples.sum(axis=1)
    return soxr.resample(samples, rate, 16_000).astype(np.float32)


def wrong_axis(samples, rate):
    if samples.dtype == np.int16:
        samples = samples / 32_768
    if samples.ndim == 2:
        samples = samples.mean(axis=0)
    return soxr.resample(samples, rate, 16_000).astype(np.float32)


def stays_stereo(samples, rate):
    if samples.dtype == np.int16:
        samples = samples / 32_768
    return soxr.resample(samples, rate, 16_000).astype(np.float32)


def float64(samples, rate):
    return step_by_step(samples, rate).astype(np.float64)


def every_third(samples, rate):
    if samples.dtype == np.int16:
        samples = samples / 32_768
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    return samples[:: max(1, rate // 16_000)].astype(np.float32)


def as_mono(samples):
    floats = samples / 32_768 if samples.dtype == np.int16 else samples.astype(float)
    return floats.mean(axis=1) if floats.ndim == 2 else floats


def filtered(samples, rate):
    common = np.gcd(rate, 16_000)
    changed = resample_poly(as_mono(samples), 16_000 // common, rate // common)
    return changed.astype(np.float32)


def picked(samples, rate):
    mono = as_mono(samples)
    return mono[np.arange(0, len(mono), rate / 16_000).astype(int)].astype(np.float32)


def between_two(samples, rate):
    mono = as_mono(samples)
    places = np.arange(0, len(mono), rate / 16_000)
    return np.interp(places, np.arange(len(mono)), mono).astype(np.float32)


def always_divided(samples, rate):
    samples = samples / 32_768
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    return soxr.resample(samples, rate, 16_000).astype(np.float32)


def in_place(samples, rate):
    if samples.dtype != np.int16:
        samples *= 1.0
        samples[0] = 0.123
    return step_by_step(samples, rate)


# ------------------------------------------------------------------------------------------ 14.3


def with_where(scores, sources, k):
    own = sources[:, None] == sources[None, :]
    return np.argsort(-np.where(own, -np.inf, scores), axis=1, kind="stable")[:, :k]


def with_sorted(scores, sources, k):
    found = []
    for row in range(len(sources)):
        others = [i for i in range(len(sources)) if sources[i] != sources[row]]
        others.sort(key=lambda i: scores[row, i], reverse=True)
        found.append(others[:k])
    return np.array(found)


def with_flatnonzero(scores, sources, k):
    out = np.zeros((len(sources), k), int)
    for row, source in enumerate(sources):
        others = np.flatnonzero(sources != source)
        best = np.argsort(-scores[row, others], kind="stable")[:k]
        out[row] = others[best]
    return out


def only_itself_left_out(scores, sources, k):
    fair = scores.astype(float)
    np.fill_diagonal(fair, -np.inf)
    return np.argsort(-fair, axis=1, kind="stable")[:, :k]


def nothing_left_out(scores, sources, k):
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def zero_instead(scores, sources, k):
    own = sources[:, None] == sources[None, :]
    return np.argsort(-np.where(own, 0, scores), axis=1, kind="stable")[:, :k]


def worst_first(scores, sources, k):
    own = sources[:, None] == sources[None, :]
    return np.argsort(np.where(own, np.inf, scores), axis=1, kind="stable")[:, :k]


def places_among_others(scores, sources, k):
    found = []
    for row, source in enumerate(sources):
        rest = scores[row, sources != source]
        found.append(np.argsort(-rest, kind="stable")[:k])
    return np.array(found)


def ties_backwards(scores, sources, k):
    own = sources[:, None] == sources[None, :]
    order = np.argsort(np.where(own, -np.inf, scores), axis=1, kind="stable")
    return order[:, ::-1][:, :k]


def neighbours_in_the_list(scores, sources, k):
    own = np.zeros(scores.shape, bool)
    for row in range(len(sources)):
        for other in (row - 1, row, row + 1):
            if 0 <= other < len(sources) and sources[other] == sources[row]:
                own[row, other] = True
    return np.argsort(-np.where(own, -np.inf, scores), axis=1, kind="stable")[:, :k]


def by_columns(scores, sources, k):
    own = sources[:, None] == sources[None, :]
    return np.argsort(-np.where(own, -np.inf, scores), axis=0, kind="stable")[:k].T


def shape_turned(scores, sources, k):
    return with_where(scores, sources, k).T


def scores_instead(scores, sources, k):
    own = sources[:, None] == sources[None, :]
    return -np.sort(-np.where(own, -np.inf, scores), axis=1)[:, :k]


def cut_too_early(scores, sources, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, : k + 1]
    found = []
    for row in range(len(sources)):
        good = [i for i in order[row] if sources[i] != sources[row]]
        found.append((good + [good[-1] if good else row] * k)[:k])
    return np.array(found)


def changes_scores(scores, sources, k):
    scores[sources[:, None] == sources[None, :]] = -1_000_000
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


# ------------------------------------------------------------------------------------------ 14.4


def count_up(votes, share):
    least = 1
    while np.mean(votes >= least) > share:
        least += 1
    return least


def try_all(votes, share):
    for least in range(1, int(max(votes)) + 2):
        if sum(vote >= least for vote in votes) <= share * len(votes) + 1e-9:
            return least
    return None


def by_order(votes, share):
    ordered = np.sort(votes)[::-1]
    allowed = int(np.floor(share * len(votes) + 1e-9))
    return 1 if allowed == len(votes) else max(1, int(ordered[allowed]) + 1)


def more_than(votes, share):
    least = 1
    while np.mean(votes > least) > share:
        least += 1
    return least


def from_zero(votes, share):
    least = 0
    while np.mean(votes >= least) > share:
        least += 1
    return least


def one_too_many(votes, share):
    return count_up(votes, share) + 1


def largest_plus_one(votes, share):
    return max(1, int(votes.max()) + 1)


def quantile(votes, share):
    return float(np.quantile(votes, 1 - share))


def whole_quantile(votes, share):
    return max(1, int(np.quantile(votes, 1 - share)))


def less_than_share(votes, share):
    least = 1
    while np.mean(votes >= least) >= share and least <= votes.max():
        least += 1
    return least


def number_not_share(votes, share):
    least = 1
    while np.sum(votes >= least) > share:
        least += 1
    return least


def one_of_the_votes(votes, share):
    good = [int(v) for v in votes if np.mean(votes >= v) <= share]
    return max(1, min(good)) if good else int(votes.max()) + 1


RIGHT = {
    "14.1": [with_dict, with_table, with_counter],
    "14.2": [step_by_step, float_first, rate_first, filtered],
    "14.3": [with_where, with_sorted, with_flatnonzero],
    "14.4": [count_up, try_all, by_order],
}

WRONG = {
    "14.1": [
        (other_way_round, "minus that in the query"),
        (votes_first, "the other way round"),
        (zero_for_none, "return None, not (0, 0)"),
        (largest_of_equal, "have 1 vote each; take the smallest shift"),
        (first_place_only, "votes"),
        (all_shared_codes, "pairs of equal codes have it"),
        (shift_only, "two whole numbers"),
        (raises_without, "return None; yours raises"),
        (with_play, "shifts that differ by one"),
        (floats, "whole numbers"),
        (changes_frames, "changes what it was given"),
    ],
    "14.2": [
        (rate_not_changed, "the rate is not changed"),
        (rates_swapped, "the wrong way round"),
        (int16_not_divided, "divided by 32,768"),
        (first_channel, "the loudest sample is 0.25"),
        (channels_added, "the loudest sample is 0.25, in yours it is 0.5"),
        (wrong_axis, "samples are wanted"),
        (stays_stereo, "one row of samples"),
        (float64, "float32 is wanted"),
        (every_third, "samples are wanted"),
        (picked, "cannot hold, came out as 4,000 Hz"),
        (between_two, "cannot hold, came out as 4,000 Hz"),
        (always_divided, "the loudest sample is 0.5, in yours it is 0.0000"),
        (in_place, "changes what it was given"),
    ],
    "14.3": [
        (only_itself_left_out, "both are of source"),
        (nothing_left_out, "finds itself"),
        (zero_instead, "all scores are below -1"),
        (worst_first, "place 1 has sound"),
        (places_among_others, "finds"),
        (ties_backwards, "the smaller number is first"),
        (neighbours_in_the_list, "both are of source a"),
        (by_columns, "scores that are not symmetric"),
        (shape_turned, "the shape is"),
        (scores_instead, "rows are whole numbers"),
        (cut_too_early, "finds"),
        (changes_scores, "changes what it was given"),
    ],
    "14.4": [
        (more_than, "have"),
        (from_zero, "is 1, not 0"),
        (one_too_many, "is more than needed"),
        (largest_plus_one, "is more than needed"),
        (quantile, "a whole number is wanted"),
        (whole_quantile, "of the strangers have"),
        (less_than_share, "is more than needed"),
        (number_not_share, "is more than needed"),
        (one_of_the_votes, "is more than needed"),
    ],
}
