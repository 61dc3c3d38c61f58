"""Search by words, ways to join several rankings, and the measures that say which is better.

Documents and rankings are lists of tokens and of keys (any hashable: a name, a row number), best first.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

K1 = 1.5  # how soon more of a word stops counting
B = 0.75  # how much a long document is held against it: 0 not at all, 1 fully
NAME_DIM = 512  # of the vector of a name

# ------------------------------------------------------------------------------ tokens

_NAMES = re.compile(r"[^\W_]+(?:_+[^\W_]+)*")  # savgol_filter is one; a dot ends it
_PARTS = re.compile(r"[^\W_]+")
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CHINESE = re.compile(r"[㐀-䶿一-鿿豈-﫿぀-ヿ]+")


@lru_cache(100_000)  # the same words again and again
def stem(word: str) -> str:
    """A word without the endings of English plurals and verbs: `images` and `image` become one.

    Harman's rules for plurals (1991, "How effective is suffixing?"), then -ing and -ed, a doubled
    consonant and a last e. Words of fewer than four letters, or with other signs, stay.
    """
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    if word.endswith(("ies", "ied")) and word[-4] not in "ae":
        word = f"{word[:-3]}y"
    elif word.endswith("s") and word[-2] not in "uis":
        word = word[:-1]
    for ending in ("ing", "ed"):
        start = word[: -len(ending)]
        if word.endswith(ending) and len(start) > 2 and re.search("[aeiouy]", start):
            word = start
            if word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def words(text: str, stemmer: Callable[[str], str] = stem) -> list[str]:
    """The words of prose and code, in small letters and stemmed, in their order.

    `scipy.signal.savgol_filter` gives each of its parts, and `savgol_filter` as one word as well;
    `DataFrame` gives `data`, `frame` and `dataframe`. Chinese and Japanese have no spaces: two
    neighbouring characters make a word.
    """
    found = []
    for name in _NAMES.findall(_CHINESE.sub(_pairs, text)):
        parts = [hump for part in _PARTS.findall(name) for hump in _HUMPS.split(part)]
        found += [stemmer(part.lower()) for part in parts]
        if len(parts) > 1:
            found.append(name.lower())
    return found


def _pairs(run: re.Match[str]) -> str:
    signs = run[0]
    pairs = [signs[i : i + 2] for i in range(len(signs) - 1)] or [signs]
    return f" {' '.join(pairs)} "


def spans(text: str, asked: Collection[str]) -> list[tuple[int, int]]:
    """Where words of a query stand in a text: (start, end) of each, in their order, to be lit.

    asked  as `words` gave them for the query
    """
    found = []
    for name in _NAMES.finditer(text):
        start, end = name.span()
        if len(_PARTS.findall(name[0])) > 1 and name[0].lower() in asked:
            found.append((start, end))
            continue
        for part in _PARTS.finditer(text, start, end):
            if part[0].lower() in asked:  # DataFrame, whole
                found.append(part.span())
                continue
            at = part.start()
            for hump in _HUMPS.split(part[0]):
                if stem(hump.lower()) in asked:
                    found.append((at, at + len(hump)))
                at += len(hump)
    return found


def trigrams(text: str) -> list[str]:
    """Every three letters in a row, of each word with a space before and behind, small.

    A mistyped word shares most of them with the right one: `histgram` and `histogram` have `his`,
    `ist`, `gra`, `ram` (Angell, Freund & Willett 1983).
    """
    padded = [f" {word.lower()} " for word in _PARTS.findall(text)]
    return [word[i : i + 3] for word in padded for i in range(len(word) - 2)]


def name_vector(name: str) -> np.ndarray:
    """Which three letters in a row a name has, (512,) float32, L2-normalised; zeros if it has none.

    Names that are spelt nearly alike share most of them. Each goes to one of 512 places by its
    checksum: two may meet, which seldom matters.
    """
    vector = np.zeros(NAME_DIM, np.float32)
    for part in trigrams(name):
        vector[zlib.crc32(part.encode()) % NAME_DIM] += 1
    return unit(np.sqrt(vector))


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors, (n, d) or one (d,), at length 1; what is all zeros stays so."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def name_endings(name: str) -> list[str]:
    """Tokens by which a thing is found that is called by its name, or by the end of it.

    `scipy.signal.savgol_filter` gives `=savgol_filter`, `=signal.savgol_filter`, and so on.
    """
    parts = name.lower().split(".")
    return [f"={'.'.join(parts[start:])}" for start in range(len(parts) - 1, -1, -1)]


def words_of(name: str, text: str) -> list[str]:
    """Tokens of a document that has a name: its words, those of the name, and `name_endings`."""
    return words(f"{name}: {text}") + name_endings(name)


def names_asked(text: str) -> list[str]:
    """Tokens of `name_endings` that a query of up to five words could mean; more words mean no name.

    `StandardScaler partial_fit` asks for `=standardscaler.partial_fit`, and `np.einsum` also for
    `=einsum`, since its first part may be what somebody calls the package.
    """
    parts = re.split(r"[.\s()]+", text.lower().strip(".() \n\t"))
    if not all(parts) or len(parts) > 5:
        return []
    asked = [f"={'.'.join(parts)}"]
    return [*asked, f"={'.'.join(parts[1:])}"] if "." in text and len(parts) > 1 else asked


# ------------------------------------------------------------------------------ BM25


def idf(documents: int, frequency: int) -> float:
    """How much a word says that is in `frequency` of so many documents: rare words say more.

    ln(1 + (N − n + ½) / (n + ½)), which unlike the older form without 1 is never negative.
    """
    return float(np.log1p((documents - frequency + 0.5) / (frequency + 0.5)))


def saturation(
    tokens: Iterable[str], average: float, k1: float = K1, b: float = B
) -> dict[str, float]:
    """For each word of a document what it counts before its idf, from 0 to k1 + 1.

    average  tokens in a document of the collection, on average

    tf · (k1 + 1) / (tf + k1 · (1 − b + b · length / average)), tf: how often the document has it.
    """
    counts = Counter(tokens)
    pressure = k1 * (1 - b + b * counts.total() / average)
    return {word: tf * (k1 + 1) / (tf + pressure) for word, tf in counts.items()}


class BM25:
    """Scores of documents for the words of a query (Robertson & Zaragoza 2009, equation 3.15).

    documents  (n) lists of tokens
    k1, b      as above

    `frequencies` holds in how many documents each word is, `average` their mean number of tokens.
    Raises ValueError when there is no document, or no token in any.
    """

    def __init__(self, documents: Sequence[Sequence[str]], k1: float = K1, b: float = B) -> None:
        total = sum(map(len, documents))
        if not total:
            raise ValueError("BM25 needs at least one document with at least one token.")
        self.average = total / len(documents)
        self.frequencies = Counter(word for tokens in documents for word in set(tokens))
        self._columns = {word: column for column, word in enumerate(self.frequencies)}
        self._idf = np.array([idf(len(documents), n) for n in self.frequencies.values()])
        weights = [saturation(tokens, self.average, k1, b) for tokens in documents]
        rows = np.repeat(np.arange(len(documents)), [len(row) for row in weights])
        columns = [self._columns[word] for row in weights for word in row]
        values = [value for row in weights for value in row.values()]
        shape = (len(documents), len(self._columns))
        self._weights = sparse.csc_array((values, (rows, columns)), shape=shape)

    def scores(self, query: Iterable[str]) -> np.ndarray:
        """The score of each document, float64 (n,); 0 for one that has no word of the query.

        query  tokens made as the documents' were; a word that no document has adds nothing
        """
        asked = Counter(word for word in query if word in self._columns)
        columns = [self._columns[word] for word in asked]
        counts = np.array(list(asked.values()), np.float64)
        return self._weights[:, columns] @ (self._idf[columns] * counts)


class Frequencies:
    """How many documents there are, and how many of them have a word, while they come and go."""

    def __init__(self) -> None:
        self.documents = 0
        self._having: Counter[str] = Counter()

    def add(self, tokens: Iterable[str], by: int = 1) -> None:
        """Count a document; by=-1 when it goes."""
        self.documents += by
        for word in set(tokens):
            self._having[word] += by

    def __contains__(self, word: str) -> bool:
        return self._having[word] > 0

    def share(self, word: str) -> float:
        """Share of the documents that have a word."""
        return self._having[word] / max(1, self.documents)

    def idf(self, word: str) -> float:
        """`idf` of a word as things are now."""
        return idf(self.documents, self._having[word])

    def weights(self, query: Iterable[str]) -> dict[str, float]:
        """For each word of a query that some document has: its idf, as often as it is asked for.

        The inner product with a document's `saturation` is its BM25 score.
        """
        return {word: n * self.idf(word) for word, n in Counter(query).items() if word in self}


def term_id(token: str) -> int:
    """A number below 2³² for a token, the same in every process: its place in a sparse vector."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) & 0xFFFFFFFE  # Milvus takes no 2³²−1


# ------------------------------------------------------------------------------ spelling


def edits(word: str, other: str) -> int:
    """Fewest letters to insert, delete, replace, or swap with their neighbour, to make one the other.

    Optimal string alignment (Damerau 1964): `imgae` and `image` are 1 apart.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, start=1):
        above, row = row, [i]
        for j, wanted in enumerate(other, start=1):
            best = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == wanted:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before = above
    return row[-1]


class Spelling:
    """Puts mistyped words right: to the nearest word of a collection, if it is near enough.

    known  says of a word whether it is right though no document has it, such as
           `TextEncoder().knows`; default: no word is

    May be read from several threads, and changed by one.
    """

    CANDIDATES = 40  # words with the most trigrams in common, of which the distance is computed

    def __init__(self, known: Callable[[str], bool] = lambda word: False) -> None:
        self._known = known
        self._documents: Counter[str] = Counter()
        self._stems: Counter[str] = Counter()
        self._having: dict[str, set[str]] = {}  # a trigram's words

    def add(self, text: str, by: int = 1) -> None:
        """Count the words of a document, as often as `by`; -1 when it goes."""
        for word in _spelled(text):
            was = self._documents[word]
            self._documents[word] += by
            self._stems[stem(word)] += by
            if not was:
                for gram in trigrams(word):
                    self._having.setdefault(gram, set()).add(word)
            elif not self._documents[word]:
                del self._documents[word]
                for gram in trigrams(word):
                    self._having[gram].discard(word)

    def correct(self, text: str) -> str:
        """The text, each word that is neither known nor in a document replaced by the nearest one.

        Nearest: fewest `edits`, at most 2, or 1 in a word of less than six letters; of several the
        one in the most documents. Words of less than five letters stay: too many others are near them.
        """
        return _PARTS.sub(lambda found: self._right(found[0]), text)

    def _right(self, written: str) -> str:
        parts = _HUMPS.split(written)
        if self._is_word(written) or all(map(self._is_word, parts)):
            return written
        if nearest := self._nearest(written.lower()):
            return nearest
        return "".join(self._right(part) for part in parts) if len(parts) > 1 else written

    def _is_word(self, written: str) -> bool:
        word = written.lower()
        strange = len(word) > 4 and word.isascii() and word.isalpha()
        return not strange or self._stems[stem(word)] > 0 or self._known(word)

    def _nearest(self, word: str) -> str | None:
        shared = Counter(
            # a copy, since another thread may be adding
            other
            for gram in trigrams(word)
            for other in list(self._having.get(gram, ()))
        )
        # a swap leaves a short word one trigram, which it shares with many: the frequent ones first
        similar = sorted(shared, key=lambda other: (-shared[other], -self._documents[other], other))
        most = 1 if len(word) < 6 else 2
        found = []
        for other in similar[: self.CANDIDATES]:
            distance = edits(word, other)
            if distance <= most:
                found.append((distance, -self._documents[other], other))
        return min(found)[2] if found else None


def _spelled(text: str) -> set[str]:
    whole = _PARTS.findall(text)
    return {part.lower() for word in whole for part in (word, *_HUMPS.split(word))}


# ------------------------------------------------------------------------------ words in a service


class WordSearch:
    """BM25 of named documents that come and go, as sparse vectors for a database to multiply.

    known    as in `Spelling`
    average  tokens of a document, about: it is fixed, or each new document would change all others
    k1, b    as in `saturation`

    The inner product of `document(…)` and `query(…)` is the BM25 score.
    """

    FREQUENT = 0.4  # share of the documents that have a word, from which on it is not lit

    def __init__(
        self, known: Callable[[str], bool], average: float, k1: float = K1, b: float = B
    ) -> None:
        self.frequencies, self.spelling = Frequencies(), Spelling(known)
        self._settings = (average, k1, b)

    def changed(self, name: str, text: str, by: int) -> None:
        """Count a document that comes in (1) or goes (-1)."""
        self.frequencies.add(words_of(name, text), by)
        self.spelling.add(f"{name}: {text}", by)

    def document(self, name: str, text: str) -> dict[int, float]:
        """A document's part of BM25, which stays the same whatever comes in later."""
        return _numbered(saturation(words_of(name, text), *self._settings))

    def query(self, text: str) -> dict[int, float]:
        """A query's part, with the frequencies of now; never empty, though it may find nothing."""
        asked = self.frequencies.weights(words(text) + names_asked(text))
        return _numbered(asked or {"no word": 1.0})  # a space: no token is so

    def names(self, text: str) -> bool:
        """Whether it is the name of a document, or the end of one."""
        return any(name in self.frequencies for name in names_asked(text))

    def spans(self, text: str, query: str) -> list[tuple[int, int]]:
        """The words in a text that the query has and that tell something: (start, end) of each."""
        telling = {word for word in words(query) if not self._frequent(word)}
        return spans(text, telling)

    def _frequent(self, word: str) -> bool:
        return self.frequencies.share(word) > self.FREQUENT


def _numbered(weights: Mapping[str, float]) -> dict[int, float]:
    return {term_id(word): weight for word, weight in weights.items()}


# ------------------------------------------------------------------------------ several rankings


def best_first(scores: Mapping[Hashable, float], limit: int | None = None) -> list[Hashable]:
    """The keys by falling score; those with the same score in the order in which they came."""
    return sorted(scores, key=lambda key: -scores[key])[:limit]


def top(
    keys: Sequence[Hashable], scores: Sequence[float] | np.ndarray, limit: int = 100
) -> dict[Hashable, float]:
    """The keys with the highest scores above 0, best first, each with its score.

    keys    (n,), one for each score
    scores  (n,)

    Of equal scores the first one counts as better.
    """
    rows = np.argsort(-np.asarray(scores), kind="stable")[:limit]
    return {keys[row]: float(scores[row]) for row in rows if scores[row] > 0}


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[Hashable]], k: int = 60, weights: Sequence[float] | None = None
) -> dict[Hashable, float]:
    """Score of each key that is in any ranking: the sum of 1 / (k + rank), best first.

    rankings  each best first; the best has rank 1. What a ranking lacks gets nothing from it
    weights   one for each ranking; default: 1 each

    Cormack, Clarke & Büttcher 2009. Only ranks count, so scores need no common scale.
    """
    weights = [1.0] * len(rankings) if weights is None else weights
    fused: dict[Hashable, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, key in enumerate(ranking, start=1):
            fused[key] = fused.get(key, 0.0) + weight / (k + rank)
    return {key: fused[key] for key in best_first(fused)}


def min_max(scores: Mapping[Hashable, float]) -> dict[Hashable, float]:
    """The scores moved and stretched to run from 0 (the lowest) to 1; all 1 if all are the same."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    width = high - low
    return {key: (score - low) / width if width else 1.0 for key, score in scores.items()}


def weighted_fusion(
    scored: Sequence[Mapping[Hashable, float]], weights: Sequence[float]
) -> dict[Hashable, float]:
    """Score of each key that is in any ranking: the weighted sum of its `min_max` scores, best first.

    scored   for each ranking the score of each key, larger is better
    weights  one for each ranking

    What a ranking lacks gets 0 from it, as its last one does.
    """
    fused: dict[Hashable, float] = {}
    for ranking, weight in zip(scored, weights, strict=True):
        for key, score in min_max(ranking).items():
            fused[key] = fused.get(key, 0.0) + weight * score
    return {key: fused[key] for key in best_first(fused)}


def maxsim(query: np.ndarray, document: np.ndarray) -> float:
    """Late interaction: for each token of the query its best cosine in the document, on average.

    query     (q, d), L2-normalised token vectors, from `TextEncoder.token_vectors`
    document  (t, d), the same

    ColBERT (Khattab & Zaharia 2020) takes the sum, which ranks the documents of one query alike.
    """
    return float((query @ document.T).max(axis=1).mean())


# ------------------------------------------------------------------------------ measures


def ndcg_at_k(ranking: Sequence[Hashable], grades: Mapping[Hashable, float], k: int = 10) -> float:
    """Normalised discounted cumulative gain, 0 to 1 (Järvelin & Kekäläinen 2002).

    ranking  keys, best first
    grades   how good each judged key is, 0 or more; a key without a grade counts as 0

    Sum of grade / log2(rank + 1) over the first k, divided by that of the best possible order,
    as in trec_eval. NaN when no key has a grade above 0: such a query measures nothing.
    """
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    if not ideal:
        return float("nan")
    return _dcg([grades.get(key, 0) for key in ranking[:k]]) / _dcg(ideal[:k])


def _dcg(grades: Sequence[float]) -> float:
    return float(sum(grade / np.log2(rank + 1) for rank, grade in enumerate(grades, start=1)))


def reciprocal_rank(ranking: Sequence[Hashable], relevant: Iterable[Hashable]) -> float:
    """1 / rank of the first relevant key, 0 if there is none. Its mean over queries is the MRR."""
    wanted = set(relevant)
    return next((1 / rank for rank, key in enumerate(ranking, start=1) if key in wanted), 0.0)


def recall_at_k(ranking: Sequence[Hashable], relevant: Iterable[Hashable], k: int) -> float:
    """Share of the relevant keys that are among the first k. NaN when nothing is relevant."""
    wanted = set(relevant)
    return len(wanted & set(ranking[:k])) / len(wanted) if wanted else float("nan")


class Interval(NamedTuple):
    """A measured value, and where it would lie in 95 of 100 such samples of queries."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def paired_bootstrap(
    system: Sequence[float] | np.ndarray,
    baseline: Sequence[float] | np.ndarray,
    rounds: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Mean of system − baseline over queries, with a percentile interval (Efron & Tibshirani 1993).

    system, baseline  (q,) a measure of each query, the same queries in the same order

    Queries are drawn again with replacement, each with both its values, so that a hard query is
    hard for both. An interval without 0 says that the difference is no accident of these queries.
    Raises ValueError when the two do not belong to the same queries, or there is none.
    """
    difference = np.asarray(system, np.float64) - np.asarray(baseline, np.float64)
    if difference.ndim != 1 or not difference.size or np.shape(system) != np.shape(baseline):
        raise ValueError(
            f"paired_bootstrap() takes one value a query from each of two systems, "
            f"not shapes {np.shape(system)} and {np.shape(baseline)}."
        )
    drawn = np.random.default_rng(seed).integers(difference.size, size=(rounds, difference.size))
    means = difference[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(difference.mean()), float(low), float(high))
