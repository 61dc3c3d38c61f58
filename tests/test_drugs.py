"""What the neighbours of a drug tell of it: splits, votes, cliffs, and drugs of one kind."""

import numpy as np
import pytest
from rdkit.ML.Scoring import Scoring

from workshop import drugs, molecules
from workshop.drugs import Split, folds, has_stem, mcc, screen, similar_pairs, told, vote
from workshop.retrieval import paired_bootstrap


@pytest.fixture(scope="module")
def known():
    return drugs.drugs()


@pytest.fixture(scope="module")
def passes(known):
    return np.array([drug.passes for drug in known])


@pytest.fixture(scope="module")
def mols(known):
    return [drug.mol for drug in known]


@pytest.fixture(scope="module")
def tables(mols):
    """Way of comparing -> scores of a split."""
    morgan, maccs = molecules.morgan(mols), molecules.maccs(mols)
    numbers = molecules.descriptors(mols)
    return {
        "morgan": lambda split: drugs.by_bits(morgan, split),
        "maccs": lambda split: drugs.by_bits(maccs, split),
        "numbers": lambda split: drugs.by_numbers(numbers, split),
    }


@pytest.fixture(scope="module")
def by_scaffold(known):
    return folds([drug.scaffold or drug.smiles for drug in known])


# ------------------------------------------------------------------------------ splits and votes


def test_each_row_is_tested_once_and_no_group_is_on_both_sides():
    groups = np.random.default_rng(0).integers(40, size=300).astype(str)
    splits = folds(groups, 5)
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested.tolist()) == list(range(300))
    largest = np.unique(groups, return_counts=True)[1].max()
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == 300
        assert abs(len(test) - 60) <= largest


def test_a_range_of_numbers_is_split_at_random_and_the_same_each_time():
    first, again, other = folds(range(50)), folds(range(50)), folds(range(50), seed=1)
    assert [len(split.test) for split in first] == [10] * 5
    assert all((a.test == b.test).all() for a, b in zip(first, again, strict=True))
    assert any((a.test != b.test).any() for a, b in zip(first, other, strict=True))
    assert first[0].test.tolist() != list(range(10))


def test_the_most_similar_vote():
    scores = np.array([[0.9, 0.1, 0.8, 0.7], [0.1, 0.9, 0.2, 0.8]])
    labels = np.array([True, False, False, True])
    assert vote(scores, labels, 1).tolist() == [True, False]
    assert vote(scores, labels, 3).tolist() == [True, False]


def test_numbers_are_compared_in_deviations_of_what_is_known():
    numbers = np.array([[0.0, 100], [2, 300], [1, 200]])
    got = drugs.by_numbers(numbers, Split(np.array([0, 1]), np.array([2])))
    np.testing.assert_allclose(got, [[-np.sqrt(2), -np.sqrt(2)]])


# ------------------------------------------------------------------------------ what comes out


@pytest.mark.parametrize("split", ["random", "scaffold"])
def test_neighbours_by_either_fingerprint_beat_three_numbers(
    known, passes, tables, by_scaffold, split
):
    splits = folds(range(len(known))) if split == "random" else by_scaffold
    results = {name: told(scores_of, passes, splits) for name, scores_of in tables.items()}
    right = {name: result.said == result.truth for name, result in results.items()}
    for name in ("morgan", "maccs"):
        assert paired_bootstrap(right[name], right["numbers"], rounds=500).low > 0
        assert mcc(results[name].said, results[name].truth) > 0.48


def test_a_neighbour_is_worth_what_its_similarity_is(passes, tables, by_scaffold):
    near = told(tables["morgan"], passes, by_scaffold, k=1)
    simple = told(tables["numbers"], passes, by_scaffold, k=1)
    for far, here in ((True, near.similarity < 0.3), (False, near.similarity >= 0.7)):
        gain = paired_bootstrap(
            (near.said == near.truth)[here], (simple.said == simple.truth)[here], rounds=500
        )
        assert gain.low < 0.02 if far else gain.low > 0
        assert (mcc(near.said[here], near.truth[here]) < 0.3) is far


def test_rows_of_one_structure_on_both_sides_are_the_leak():
    raw = drugs.raw_rows()
    structures = np.array([row.structure for row in raw])
    passes = np.array([row.passes for row in raw])
    single, which = np.unique(structures, return_inverse=True)
    bits = molecules.morgan(map(molecules.Chem.MolFromSmiles, single))[which]
    train, test = split = folds(range(len(raw)))[0]
    seen = np.isin(structures[test], structures[train])
    said = vote(drugs.by_bits(bits, split), passes[train], 1)
    assert seen.mean() > 0.6
    assert mcc(said[seen], passes[test][seen]) > 0.85
    assert mcc(said[~seen], passes[test][~seen]) < 0.55


def test_pairs_that_are_similar_and_differ_are_cliffs(known, passes, mols):
    bits = molecules.morgan(mols)
    pairs = similar_pairs(bits, 0.85)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    for one, other in pairs[::20]:
        assert molecules.tanimoto(bits[one], bits[[other]])[0] >= 0.85
    cliffs = {frozenset((known[a].name, known[b].name)) for a, b in pairs if passes[a] != passes[b]}
    assert {"1-hexadecanol", "1-pentanol"} in cliffs
    assert {"famotidine", "teniposide"} in cliffs  # one of them has the wrong structure
    assert (len(pairs), len(similar_pairs(bits, 0.7))) == (126, 1139)


# ------------------------------------------------------------------------------ drugs of a kind


@pytest.mark.parametrize(
    ("name", "stem", "expected"),
    [
        ("diazepam", "-azepam", True),
        ("azepamine", "-azepam", False),
        ("cefalotin", "cef-", True),
        ("roxatidine acetate", "-tidine", True),
        ("", "-azepam", False),
    ],
)
def test_a_stem_is_at_the_end_or_the_beginning_of_a_word(name, stem, expected):
    assert has_stem(name, stem) is expected


def test_every_stem_is_in_some_names(known):
    for stem in drugs.STEMS:
        assert sum(has_stem(drug.name, stem) for drug in known) >= 6


def test_enrichment_is_what_it_is_by_hand_and_equals_keep_their_order():
    wanted = np.zeros(200, bool)
    wanted[[0, 50, 120, 199]] = True
    scores = np.linspace(1, 0, 200)
    got = screen(scores, wanted)
    assert got.enrichment == pytest.approx((1 / 2) / (4 / 200))
    assert got.bedroc == Scoring.CalcBEDROC([(bool(w),) for w in wanted], 0, 20.0)
    assert screen(np.ones(200), wanted) == got
    assert screen(scores[::-1], wanted).enrichment == got.enrichment
    assert screen(scores[::-1].copy(), np.roll(wanted, 5)).enrichment == 0


def test_a_kind_given_by_structure_is_found_and_passing_is_not(known, passes, mols):
    """EF 1 % of a name's stem is circular; that of a measured label can hardly be above 1."""
    bits = molecules.morgan(mols)
    query = next(row for row, drug in enumerate(known) if drug.name == "diazepam")
    rest = np.arange(len(known)) != query
    scores = molecules.tanimoto(bits[query], bits)[rest]
    wanted = np.array([has_stem(drug.name, "-azepam") for drug in known])
    assert screen(scores, wanted[rest]).enrichment > 30
    assert screen(scores, passes[rest]).enrichment < 1.6
    random = np.random.default_rng(0).random(rest.sum())
    assert screen(random, wanted[rest]).enrichment < 5
