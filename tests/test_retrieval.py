"""Words, BM25, fusion, late interaction and measures: against values worked out by hand or elsewhere."""

import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from workshop import retrieval
from workshop.retrieval import (
    BM25,
    Spelling,
    best_first,
    edits,
    idf,
    maxsim,
    min_max,
    name_endings,
    names_asked,
    ndcg_at_k,
    paired_bootstrap,
    recall_at_k,
    reciprocal_rank,
    reciprocal_rank_fusion,
    saturation,
    stem,
    term_id,
    top,
    trigrams,
    weighted_fusion,
    words,
)

# ------------------------------------------------------------------------------ tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scipy.signal.savgol_filter", ["scipy", "signal", "savgol", "filter", "savgol_filter"]),
        ("DataFrame", ["data", "fram", "dataframe"]),
        ("XMLParser", ["xml", "parser", "xmlparser"]),
        ("to_csv(path)", ["to", "csv", "to_csv", "path"]),
        ("_private __init__", ["privat", "init"]),
        ("Fourier's 2 cafés", ["fourier", "s", "2", "cafés"]),
        ("讀取圖片 csv", ["讀取", "取圖", "圖片", "csv"]),
        ("圖", ["圖"]),
        (" \n.,-_ ", []),
    ],
)
def test_words_of_prose_and_code(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    "family",
    [
        ("image", "images"),
        ("category", "categories"),
        ("map", "maps", "mapped", "mapping"),
        ("smooth", "smooths", "smoothed", "smoothing"),
        ("compute", "computes", "computed", "computing"),
        ("apply", "applies", "applied", "applying"),
        ("fill", "fills", "filled", "filling"),
    ],
)
def test_forms_of_a_word_have_one_stem(family):
    assert len({stem(word) for word in family}) == 1


@pytest.mark.parametrize("word", ["axis", "class", "less", "bus", "csv", "string", "red", "mp3s"])
def test_what_only_looks_like_an_ending_stays(word):
    assert stem(word) == word


def test_words_without_a_stemmer_are_as_they_are_written():
    assert words("Images running", stemmer=str) == ["images", "running"]


def test_trigrams_begin_and_end_with_the_word():
    assert trigrams("Sum to_x") == [" su", "sum", "um ", " to", "to ", " x "]
    assert trigrams("") == []


def test_a_thing_is_found_by_the_end_of_its_name():
    endings = name_endings("scipy.signal.savgol_filter")
    assert endings == ["=savgol_filter", "=signal.savgol_filter", "=scipy.signal.savgol_filter"]
    for asked in ("savgol_filter", "signal.savgol_filter()", "sp.savgol_filter", "Savgol_Filter"):
        assert set(names_asked(asked)) & set(endings), asked
    for other in ("savgol", "filter", "signal.filter", "a savgol_filter", "", " . "):
        assert not set(names_asked(other)) & set(endings), other


def test_a_name_may_have_spaces_for_dots_and_a_long_question_is_none():
    assert names_asked("StandardScaler partial_fit") == ["=standardscaler.partial_fit"]
    assert names_asked("one two three four five six") == []


# ------------------------------------------------------------------------------ spelling


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("image", "image", 0),
        ("imgae", "image", 1),
        ("colorbr", "colorbar", 1),
        ("abc", "", 3),
        ("ca", "abc", 3),
        ("kitten", "sitting", 3),
    ],
)
def test_edits_are_counted(one, other, apart):
    assert edits(one, other) == edits(other, one) == apart


@pytest.fixture
def spelling():
    checker = Spelling(known={"table"}.__contains__)
    for text in ("PIL.Image: rotate an image", "DataFrame.to_parquet", "imager", "histograms"):
        checker.add(text)
    checker.add("image")
    return checker


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("rotate imgae", "rotate image"),
        ("DataFarme.to_parqet", "dataframe.to_parquet"),
        ("to_parqet(DataFrame)", "to_parquet(DataFrame)"),
        ("histogram", "histogram"),  # a form of a word that is there
        ("table", "table"),  # known, though no document has it
        ("tabel", "tabel"),  # what is only known is nothing to correct to
        ("imge", "imge"),  # short
        ("讀取圖片 2 xyzzyx", "讀取圖片 2 xyzzyx"),
        ("", ""),
    ],
)
def test_a_mistyped_word_becomes_the_nearest_one_of_the_documents(spelling, typed, meant):
    assert spelling.correct(typed) == meant


def test_of_words_as_near_the_one_in_more_documents_is_meant(spelling):
    assert spelling.correct("imagex") == "image"
    for _ in range(3):
        spelling.add("imager")
    assert spelling.correct("imagex") == "imager"


def test_a_word_goes_with_its_last_document(spelling):
    spelling.add("imager")
    spelling.add("imager", by=-1)
    assert spelling.correct("imagrr") == "imager"
    spelling.add("imager", by=-1)
    assert spelling.correct("imagrr") == "image"


# ------------------------------------------------------------------------------ BM25

DOCUMENTS = [["read", "a", "csv", "file"], ["read", "read", "json"], ["plot", "a", "line"], []]


def test_bm25_by_hand():
    index = BM25(DOCUMENTS, k1=1.2, b=0.5)
    assert index.average == 2.5
    rare = math.log(1 + (4 - 1 + 0.5) / 1.5)
    common = math.log(1 + (4 - 2 + 0.5) / 2.5)
    first = common * 2.2 / (1 + 1.2 * (0.5 + 0.5 * 4 / 2.5)) + rare * 2.2 / (
        1 + 1.2 * (0.5 + 0.5 * 4 / 2.5)
    )
    second = common * 2 * 2.2 / (2 + 1.2 * (0.5 + 0.5 * 3 / 2.5))
    assert index.scores(["read", "csv"]) == pytest.approx([first, second, 0, 0])


def test_bm25_counts_a_word_as_often_as_the_query_has_it_and_forgets_unknown_ones():
    index = BM25(DOCUMENTS)
    assert index.scores(["csv", "csv", "new"]) == pytest.approx(2 * index.scores(["csv"]))
    assert index.scores(["new"]).tolist() == index.scores([]).tolist() == [0, 0, 0, 0]


def test_bm25_without_a_token_says_what_it_needs():
    for nothing in ([], [[], []]):
        with pytest.raises(ValueError, match="at least one"):
            BM25(nothing)


def test_the_parts_of_bm25_make_the_whole():
    """A service keeps `saturation` with each document and multiplies by `idf` when asked."""
    index = BM25(DOCUMENTS)
    parts = [
        sum(
            idf(4, index.frequencies[word]) * saturation(tokens, index.average).get(word, 0)
            for word in ("a", "csv")
        )
        for tokens in DOCUMENTS
    ]
    assert index.scores(["a", "csv"]) == pytest.approx(parts)


def test_idf_is_larger_for_rarer_words_and_never_negative():
    values = [idf(100, frequency) for frequency in (1, 10, 60, 100)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0


def test_term_ids_are_the_same_in_every_process_and_fit_into_a_sparse_vector():
    program = (
        "from workshop.retrieval import term_id; print(term_id('savgol_filter'), term_id('字'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [str(term_id("savgol_filter")), str(term_id("字"))]
    assert all(0 <= term_id(str(number)) < 2**32 - 1 for number in range(10_000))
    term_id("\ud800")  # half of a pair: a text that a client may send


# ------------------------------------------------------------------------------ several rankings


def test_reciprocal_rank_fusion_by_hand():
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["c", "a"]], k=60)
    assert list(fused) == ["a", "c", "b"]
    assert fused == pytest.approx({"a": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61, "b": 1 / 62})


def test_reciprocal_rank_fusion_with_weights():
    assert list(reciprocal_rank_fusion([["a"], ["b"]], weights=[1, 2])) == ["b", "a"]
    with pytest.raises(ValueError, match=r"shorter|longer"):
        reciprocal_rank_fusion([["a"], ["b"]], weights=[1])


def test_weighted_fusion_scales_each_ranking_by_itself():
    words_, vectors = {"a": 30.0, "b": 10.0, "c": 20.0}, {"b": 0.9, "d": 0.5}
    fused = weighted_fusion([words_, vectors], weights=[0.4, 0.6])
    assert fused == pytest.approx({"b": 0.6, "a": 0.4, "c": 0.2, "d": 0.0})
    assert list(fused) == ["b", "a", "c", "d"]


def test_min_max_of_equal_scores_and_of_none():
    assert min_max({"a": 3.0, "b": 3.0}) == {"a": 1.0, "b": 1.0}
    assert min_max({}) == {}


def test_best_first_keeps_the_order_of_equals():
    assert best_first({"x": 1.0, "a": 2.0, "b": 1.0}) == ["a", "x", "b"]
    assert best_first({"x": 1.0, "a": 2.0, "b": 1.0}, limit=1) == ["a"]


def test_top_keeps_the_best_and_nothing_without_a_score():
    found = top(["a", "b", "c", "d"], np.array([1.0, 3.0, 0.0, 1.0]))
    assert list(found.items()) == [("b", 3.0), ("a", 1.0), ("d", 1.0)]
    assert list(top(["a", "b"], [1, 2], limit=1)) == ["b"]


def test_maxsim_takes_the_best_of_the_document_for_each_token_of_the_query():
    query = np.array([[1, 0], [0, 1]], np.float32)
    document = np.array([[0.6, 0.8], [0.8, 0.6], [-1, 0]], np.float32)
    assert maxsim(query, document) == pytest.approx(0.8)
    assert maxsim(query, document) != pytest.approx(maxsim(document, query))


# ------------------------------------------------------------------------------ measures


def test_ndcg_agrees_with_scikit_learn():
    random = np.random.default_rng(1)
    for _ in range(20):
        grades, scores = random.integers(0, 3, 30), random.permutation(30)
        ranking = [int(row) for row in np.argsort(-scores)]
        ours = ndcg_at_k(ranking, dict(enumerate(grades.tolist())), k=10)
        assert ours == pytest.approx(ndcg_score([grades], [scores], k=10))


def test_ndcg_by_hand():
    grades = {"a": 2, "b": 1, "c": 0}
    assert ndcg_at_k(["a", "b"], grades) == 1
    assert ndcg_at_k(["new", "a"], grades) == pytest.approx(
        (2 / math.log2(3)) / (2 + 1 / math.log2(3))
    )
    assert ndcg_at_k(["c", "new", "b"], grades, k=2) == 0
    assert math.isnan(ndcg_at_k(["a"], {"a": 0}))


def test_reciprocal_rank_and_recall_by_hand():
    assert reciprocal_rank(["x", "a", "b"], ["a", "b"]) == 0.5
    assert reciprocal_rank(["x"], ["a"]) == 0
    assert recall_at_k(["x", "a", "b", "a"], ["a", "b", "c"], k=3) == pytest.approx(2 / 3)
    assert recall_at_k(["x", "a", "b"], ["a", "b"], k=2) == 0.5
    assert math.isnan(recall_at_k(["x"], [], k=2))


def test_the_bootstrap_finds_what_is_there_and_not_what_is_not():
    random = np.random.default_rng(2)
    hard = random.normal(0, 1, 200)  # how hard each query is, for both systems
    noise = random.normal(0, 0.1, 200)
    better = paired_bootstrap(hard + noise + 0.1, hard)
    assert better.value == pytest.approx((noise + 0.1).mean())
    assert 0 < better.low < better.value < better.high
    assert better.high - better.low == pytest.approx(2 * 1.96 * 0.1 / 200**0.5, rel=0.15)
    same = paired_bootstrap(hard + noise - noise.mean(), hard)
    assert same.low < 0 < same.high
    assert paired_bootstrap(hard, hard + 1) == (-1, -1, -1)
    assert str(retrieval.Interval(0.123, -0.004, 0.3)) == "+0.12 [-0.00, +0.30]"


def test_the_bootstrap_refuses_values_of_other_queries():
    for system, baseline in [([1, 2], [1]), ([], []), ([[1]], [[1]])]:
        with pytest.raises(ValueError, match="one value a query"):
            paired_bootstrap(system, baseline)
