"""Films for people: likes, what is popular, item vectors, and an honest trial through time.

A film is a number: its row in the list that `datasets.movielens` gives. A like is a rating of at
least four stars.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from workshop.datasets import Film, Ratings
from workshop.retrieval import ndcg_at_k, unit

LIKED = 4.0  # stars
KNOWN = 2  # likes that a film must have before a model learns it
PROFILE = 4  # likes that must be known of a tested user, at least
YEAR = 365.25 * 24 * 3600  # seconds
RECENT = 2  # years in which likes count as recent
CUTS = (0.5, 0.6, 0.7, 0.8, 0.9)  # shares of all ratings that lie before
DIM = 32
WEIGHT = 0.1  # of the most popular film of late, in likes; chosen on the first two cuts
DISLIKE = 0.5  # of a film that one does not want, in likes
SHORT = 0.02  # length of the vectors of films that so few like that their direction says little

Scorer = Callable[[np.ndarray], np.ndarray]  # liked films (n,) -> a score for every film


# ------------------------------------------------------------------------------ the trial


@dataclass(frozen=True)
class Trial:
    """What is known at a moment, and people who come after it.

    matrix  (u, f) float32, 1 where a user of the past likes a film
    recent  (f,) float32, likes of each film in the last two years
    films   (f,) int, which film a column stands for: those with at least two likes before the moment
    people  for each tested user (profile, target): columns of the first half of their likes, in the
            order in which they came, and of the second
    """

    matrix: np.ndarray
    recent: np.ndarray
    films: np.ndarray
    people: list[tuple[np.ndarray, np.ndarray]]

    @cached_property
    def popular(self) -> np.ndarray:
        """Likes of each film, (f,)."""
        return self.matrix.sum(axis=0)

    @cached_property
    def vectors(self) -> np.ndarray:
        """`item_vectors` of the matrix, (f, 32): learnt once for all who measure with this trial."""
        return item_vectors(self.matrix)


def moments(ratings: Ratings, shares: Sequence[float] = CUTS) -> list[float]:
    """The times before which these shares of all ratings lie, and the end of time."""
    times = np.sort(ratings.time)
    return [float(times[int(len(times) * share)]) for share in shares] + [float("inf")]


def trial(
    ratings: Ratings, moment: float, end: float = float("inf"), years: float = RECENT
) -> Trial:
    """Learn from what came before `moment`; test on users whose first rating is in [moment, end).

    A tested user has at least `PROFILE` likes in the profile. Films that the past does not know are
    left out of profile and target.
    """
    likes = ratings.where(ratings.stars >= LIKED)
    before = likes.where(likes.time < moment)
    matrix, films = likes_matrix(before)
    counts = np.bincount(before.film[before.time >= moment - years * YEAR], minlength=1)
    recent = np.zeros(max(counts.size, films.max(initial=0) + 1), np.float32)
    recent[: counts.size] = counts
    people = []
    for user in np.unique(ratings.user):
        first = ratings.time[ratings.user == user].min()
        if moment <= first < end:
            liked = likes.film[likes.user == user]
            columns = np.searchsorted(films, liked[np.isin(liked, films)])
            half = len(columns) // 2
            if half >= PROFILE:
                people.append((columns[:half], columns[half:]))
    return Trial(matrix, recent[films], films, people)


def random_trial(ratings: Ratings, share: float = 0.2, seed: int = 0) -> Trial:
    """The trial that misleads: a share of all likes, drawn at random, is the target of its users.

    What a user liked later is among what is told (`shuffled_trial` does only this), and "recent" is
    counted at the end of all ratings (`knowing_trial` does only this).
    """
    likes = ratings.where(ratings.stars >= LIKED)
    held = np.random.default_rng(seed).random(len(likes)) < share
    past, future = likes.where(~held), likes.where(held)
    matrix, films = likes_matrix(past)
    late = past.film[past.time >= ratings.time.max() - RECENT * YEAR]
    recent = np.bincount(late, minlength=films.max(initial=0) + 1).astype(np.float32)[films]
    people = []
    for user in np.unique(likes.user):
        own = [part.film[part.user == user] for part in (past, future)]
        profile, target = (np.searchsorted(films, film[np.isin(film, films)]) for film in own)
        if len(profile) >= PROFILE and len(target):
            people.append((profile, target))
    return Trial(matrix, recent, films, people)


def shuffled_trial(one: Trial, seed: int = 0) -> Trial:
    """The same past and people, but each one's likes are shuffled before they are cut in half.

    A profile then holds likes that came after those of the target.
    """
    rng = np.random.default_rng(seed)
    people = []
    for profile, target in one.people:
        own = rng.permutation(np.concatenate([profile, target]))
        people.append((own[: len(profile)], own[len(profile) :]))
    return replace(one, people=people)


def knowing_trial(ratings: Ratings, moment: float, end: float = float("inf")) -> Trial:
    """The people of `trial`, profile and target too, but everybody else's likes of all times.

    `recent` counts the two years before the last rating. Columns are those of `trial`.
    """
    one = trial(ratings, moment, end)
    first = {}
    for user, time in zip(ratings.user.tolist(), ratings.time.tolist(), strict=True):
        first[user] = min(time, first.get(user, time))
    tested = [user for user, time in first.items() if moment <= time < end]
    likes = ratings.where((ratings.stars >= LIKED) & ~np.isin(ratings.user, tested))
    likes = likes.where(np.isin(likes.film, one.films))
    columns = np.searchsorted(one.films, likes.film)
    users, rows = np.unique(likes.user, return_inverse=True)
    matrix = np.zeros((len(users), len(one.films)), np.float32)
    matrix[rows, columns] = 1
    late = columns[likes.time >= ratings.time.max() - 2 * YEAR]
    recent = np.bincount(late, minlength=len(one.films)).astype(np.float32)
    return replace(one, matrix=matrix, recent=recent)


def likes_matrix(likes: Ratings) -> tuple[np.ndarray, np.ndarray]:
    """A row a user, a column a film, 1 where the user likes the film: (u, f), and which film (f,).

    Films with fewer than `KNOWN` likes have no column.
    """
    films, counts = np.unique(likes.film, return_counts=True)
    films = films[counts >= KNOWN]
    kept = likes.where(np.isin(likes.film, films))
    users, rows = np.unique(kept.user, return_inverse=True)
    matrix = np.zeros((len(users), len(films)), np.float32)
    matrix[rows, np.searchsorted(films, kept.film)] = 1
    return matrix, films


def best(scores: np.ndarray, seen: Sequence[int] | np.ndarray, k: int = 10) -> np.ndarray:
    """The k films with the highest scores, best first, without those seen; of equals the first."""
    scores = np.array(scores, np.float64)
    scores[np.asarray(seen, int)] = -np.inf
    return np.argsort(-scores, kind="stable")[: min(k, len(scores) - len(np.unique(seen)))]


class Measured(NamedTuple):
    """How a recommender did in one trial or more: a value for each tested user.

    hit      (q,) 1.0 where one of ten was liked, else 0.0: the mean is HR@10
    ndcg     (q,) nDCG@10
    novelty  (q,) mean over the ten of -log2(share of past users who like it), in bits
    shown    (t,) int, how many different films each trial showed: the mean is the coverage
    """

    hit: np.ndarray
    ndcg: np.ndarray
    novelty: np.ndarray
    shown: np.ndarray


def measure(
    make: Callable[[Trial], Scorer], trials: Sequence[Trial], likes: int | None = None
) -> Measured:
    """Recommend ten films to every tested user.

    make    a recommender that has learnt from a trial's past
    likes   how many of the profile's likes it is told, or None for all; no film of the profile is shown
    """
    rows, shown = [], []
    for one in trials:
        score, films = make(one), set()
        share = one.popular / len(one.matrix)
        for profile, target in one.people:
            ten = best(score(profile[:likes]), profile)
            films.update(ten.tolist())
            grades = dict.fromkeys(target.tolist(), 1)
            rows.append(
                (
                    float(np.isin(ten, target).any()),
                    ndcg_at_k(ten.tolist(), grades, 10),
                    -np.log2(share[ten]).mean(),
                )
            )
        shown.append(len(films))
    hit, ndcg, novelty = np.array(rows).reshape(-1, 3).T
    return Measured(hit, ndcg, novelty, np.array(shown))


# ------------------------------------------------------------------------------ recommenders


def by_popularity(one: Trial) -> Scorer:
    """The same list for everybody: the films with most likes."""
    return lambda liked: one.popular


def by_recent_popularity(one: Trial) -> Scorer:
    """The films with most likes in the last two years; of equals those with most in all."""
    scores = one.recent.astype(np.float64) + one.popular / 1e6
    return lambda liked: scores


def item_vectors(matrix: np.ndarray, dim: int = DIM) -> np.ndarray:
    """A vector for each film, (f, dim) float32: PureSVD (Cremonesi, Koren & Turrin 2010).

    The first `dim` right singular vectors of the matrix of likes. The sum of the vectors of what a
    user likes, times the vector of a film, is how much the user is expected to like it.
    """
    # eigenvectors of the users' products: there are far fewer users than films
    values, users = np.linalg.eigh((matrix @ matrix.T).astype(np.float64))
    values, users = values[::-1][:dim], users[:, ::-1][:, :dim]
    kept = values > 1e-6 * values[:1].sum()
    return (matrix.T @ (users[:, kept] / np.sqrt(values[kept]))).astype(np.float32)


def by_vectors(one: Trial, dim: int = DIM, weight: float = 0.0) -> Scorer:
    """Inner product with the user's vector, and `weight` times recent popularity (at most 1)."""
    vectors = one.vectors if dim == DIM else item_vectors(one.matrix, dim)
    prior = weight * one.recent / max(1.0, one.recent.max())
    return lambda liked: vectors @ vectors[liked].sum(axis=0) + prior


def by_cosine(one: Trial, dim: int = DIM) -> Scorer:
    """The same vectors, compared by angle: how long a film's vector is does not count."""
    vectors = one.vectors if dim == DIM else item_vectors(one.matrix, dim)
    vectors = unit(vectors)
    return lambda liked: vectors @ vectors[liked].sum(axis=0)


def by_vectors_and_popularity(one: Trial) -> Scorer:
    """What the service does."""
    return by_vectors(one, weight=WEIGHT)


def by_ease(one: Trial, ridge: float = 150) -> Scorer:
    """EASE (Steck 2019): a linear model of each film from all others, in closed form.

    ridge   how much large weights are held back
    """
    x = one.matrix.astype(np.float64)
    # the inverse of (films, films), by one of (users, users): Woodbury
    inner = np.linalg.inv(x @ x.T + ridge * np.eye(len(x)))
    inverse = (np.eye(x.shape[1]) - x.T @ inner @ x) / ridge
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return lambda liked: weights[liked].sum(axis=0)


def by_neighbours(one: Trial, k: int = 50) -> Scorer:
    """Item-kNN: each film's k nearest films, by the cosine of their columns of likes."""
    lengths = np.sqrt(one.popular)
    near = (one.matrix.T @ one.matrix) / np.outer(lengths, lengths)
    np.fill_diagonal(near, 0)
    k = min(k, len(near))
    least = -np.partition(-near, k - 1, axis=1)[:, k - 1 : k]
    near[near < least] = 0
    return lambda liked: near[:, liked].sum(axis=1)


def parts(
    vectors: np.ndarray,
    popularity: np.ndarray,
    liked: Sequence[int],
    shown: Sequence[int],
    weight: float = WEIGHT,
) -> np.ndarray:
    """What the scores of films are made of: (k, l + 1), one column a like, the last for popularity.

    vectors     (n, d) of all films
    popularity  (n,) from 0 to 1
    liked       (l,) rows of films that somebody likes
    shown       (k,) rows of films that were recommended

    The sum of a row is the film's score: nothing else is in it.
    """
    liked, shown = np.asarray(liked, int), np.asarray(shown, int)
    return np.column_stack([vectors[shown] @ vectors[liked].T, weight * popularity[shown]])


# ------------------------------------------------------------------------------ for a service


def as_cosine(vectors: np.ndarray, longest: float | None = None) -> np.ndarray:
    """One more number in each vector, so that all get the same length: (n, d) -> (n, d + 1).

    longest   the length that all get; default: that of the longest

    With a 0 in the query's place, the order by cosine is then that of the inner product (Bachrach
    et al. 2014). Raises ValueError if a vector is longer than `longest`.
    """
    squares = np.sum(np.square(vectors, dtype=np.float64), axis=1)
    longest = np.sqrt(squares.max(initial=0)) if longest is None else longest
    rest = longest**2 - squares
    if (rest < -1e-6 * longest**2).any():
        raise ValueError(f"A vector is longer than {longest:g}: no number can be added to it.")
    return np.column_stack([vectors, np.sqrt(np.maximum(rest, 0))]).astype(np.float32)


def person(likes: np.ndarray, dislikes: np.ndarray) -> np.ndarray:
    """The vector (d,) of who likes films of vectors (l, d) and does not want those of (m, d)."""
    return likes.sum(axis=0) - DISLIKE * dislikes.sum(axis=0)


class Recommender:
    """What is learnt from all ratings, for films of which some came after them.

    films    as `datasets.movielens` gives them
    ratings  of them

    counts      (n,) int, likes of each film
    vectors     (n, 32) float32 of each film; one that too few like has that of its genres
    popularity  (n,) float32 from 0 to 1, likes in the last two years as a share of the most liked
    categories  (n,) of each film the rarest of its genres
    longest     length of the longest (vector, popularity)
    """

    def __init__(self, films: Sequence[Film], ratings: Ratings) -> None:
        self.films = films
        likes = ratings.where(ratings.stars >= LIKED)
        self.counts = np.bincount(likes.film, minlength=len(films))
        late = likes.film[likes.time >= float(ratings.time.max()) - RECENT * YEAR]
        recent = np.bincount(late, minlength=len(films))
        self.popularity = (recent / max(1, recent.max())).astype(np.float32)
        matrix, learnt = likes_matrix(likes)
        own = item_vectors(matrix)
        self._mean = own.mean(axis=0)
        known = [set(films[row].genres) for row in learnt]
        self.genres = {
            genre: own[[genre in genres for genres in known]].mean(axis=0)
            for genre in sorted(set().union(*known))
        }
        self.vectors = np.array([self.by_genres(film.genres) for film in films], np.float32)
        self.vectors[learnt] = own
        self.categories = list(of_genre(films))
        both = np.column_stack([self.vectors, self.popularity])
        self.longest = float(np.linalg.norm(both, axis=1).max())
        self._rows = {(film.title.lower(), film.year): row for row, film in enumerate(films)}

    def by_genres(self, genres: Sequence[str]) -> np.ndarray:
        """A vector (32,) for a film that nobody has rated: the mean of its genres' vectors."""
        known = [self.genres[genre] for genre in genres if genre in self.genres]
        return np.mean(known, axis=0) if known else self._mean

    def recommend(self, liked: Sequence[int], k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the k films that fit best, (k,), and the `parts` of their scores, (k, l + 1)."""
        user = self.vectors[np.asarray(liked, int)].sum(axis=0)
        rows = best(self.vectors @ user + WEIGHT * self.popularity, liked, k)
        return rows, parts(self.vectors, self.popularity, liked, rows)

    def likes(self, film: Film) -> int:
        """How many like the film of that title and year; 0 if it is not known here."""
        row = self._rows.get((film.title.lower(), film.year))
        return 0 if row is None else int(self.counts[row])

    def taste(self, films: Sequence[Film]) -> np.ndarray:
        """For each film its vector, its popularity, and the number of `as_cosine`: (n, 34), length 1.

        A film that is not known here, by its title and year, has the vector of its genres.
        """
        found = np.zeros((len(films), DIM + 1), np.float32)
        for number, film in enumerate(films):
            row = self._rows.get((film.title.lower(), film.year))
            if row is None:
                found[number, :DIM] = self.by_genres(film.genres)
            else:
                found[number] = [*self.vectors[row], self.popularity[row]]
        return as_cosine(found, self.longest) / self.longest

    def query(self, likes: np.ndarray, dislikes: np.ndarray) -> np.ndarray:
        """What to search `taste` with, (34,), for likes (l, 34) and dislikes (m, 34)."""
        user = person(likes[:, :DIM], dislikes[:, :DIM]) * self.longest
        return np.array([*user, WEIGHT, 0], np.float32)

    def likeness(self, taste: np.ndarray) -> np.ndarray:
        """From `taste` (n, 34), vectors of which cosines say how alike two films are: (n, 33), length 1.

        Who likes a film counts, and not how many do. But of a film that very few like nobody knows
        what it is like: its vector is short, and it is held back.
        """
        vectors = taste[:, :DIM] * self.longest
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return as_cosine(vectors / (lengths + SHORT), longest=1)

    def explain(
        self, taste: np.ndarray, likes: np.ndarray, dislikes: np.ndarray, ids: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """What the scores of films of `taste` (k, 34) are made of, for likes and dislikes as above.

        ids   (l,) of the likes

        `likes`, `dislikes` and `popularity` add up to `score`; `made` says whether at least three
        quarters of it come from "vectors" or from "popularity", or "both"; `because` names the three
        likes with the largest parts, of those above 0.
        """
        scale = self.longest**2
        own = scale * taste[:, :DIM] @ likes[:, :DIM].T
        less = -DISLIKE * scale * (taste[:, :DIM] @ dislikes[:, :DIM].T).sum(axis=1)
        popular = WEIGHT * self.longest * taste[:, DIM]
        for row, disliked, popularity in zip(own, less.tolist(), popular.tolist(), strict=True):
            liked = float(row.sum())
            first = [place for place in np.argsort(-row, kind="stable")[:3] if row[place] > 0]
            personal = max(0.0, liked + disliked)
            made = "both"
            if personal <= 0.25 * (personal + popularity):
                made = "popularity"
            elif popularity <= 0.25 * (personal + popularity):
                made = "vectors"
            yield {
                "score": liked + disliked + popularity,
                "made": made,
                "because": [{"id": ids[place], "part": float(row[place])} for place in first],
                "likes": liked,
                "dislikes": disliked,
                "popularity": popularity,
            }

    def known(self, size: int = 100) -> Iterator[list[tuple[int, str, str]]]:
        """MovieLens's number, the text and the rarest genre of the films that two people like, or more.

        A hundred at once, the most liked last.
        """
        order = np.argsort(self.counts, kind="stable")
        rows = order[self.counts[order] >= KNOWN].tolist()
        for start in range(0, len(rows), size):
            films = [(self.films[row], self.categories[row]) for row in rows[start : start + size]]
            yield [(film.id, " | ".join([film.name, *film.genres]), genre) for film, genre in films]


# ------------------------------------------------------------------------------ films as text

_TEXT = re.compile(r"(?P<title>[^|]+?)\s*(?:\((?P<year>\d{4})\))?\s*(?:\|(?P<genres>.*))?", re.S)


def read_film(text: str) -> Film:
    """A film from `Title (Year) | Genre | Genre`; year and genres may be left out.

    Raises ValueError when there is no title.
    """
    match = _TEXT.fullmatch(text.strip())
    if not match or not re.search(r"[^\W_]", match["title"]):
        raise ValueError(
            "a film is written as `Title (Year) | Genre | Genre`, and this has no title"
        )
    genres = [g.strip() for g in (match["genres"] or "").split("|") if g.strip()]
    return Film(0, " ".join(match["title"].split()), _year(match["year"]), tuple(genres))


def _year(year: str | None) -> int | None:
    return int(year) if year else None


def of_genre(films: Sequence[Film]) -> Iterator[str]:
    """For each film the rarest of its genres, which says most of it; "unknown" if it has none."""
    counts: dict[str, int] = {}
    for film in films:
        for genre in film.genres:
            counts[genre] = counts.get(genre, 0) + 1
    for film in films:
        yield min(film.genres, key=lambda genre: (counts[genre], genre), default="unknown")
