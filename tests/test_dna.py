"""DNA as vectors: against values worked out by hand, and what chapter 16 says of its genes."""

import csv
import gzip

import numpy as np
import pytest
from sklearn.metrics import f1_score

from workshop import dna
from workshop.errors import TooLarge, WorkshopError
from workshop.paths import DATA

HERE = DATA / "dna"


@pytest.fixture(scope="module")
def kinds() -> np.ndarray:
    return np.array([gene.kind for gene in dna.genes()])


@pytest.fixture(scope="module")
def proteins() -> np.ndarray:
    return dna.proteins([gene.sequence for gene in dna.genes()])


@pytest.fixture(scope="module")
def parts(kinds) -> dict[str, np.ndarray]:
    genes = dna.genes()
    return {
        "family": dna.folds(kinds, [gene.family for gene in genes]),
        "cluster": dna.folds(kinds, [gene.cluster for gene in genes]),
    }


def test_the_genes_are_all_there():
    with gzip.open(HERE / "genes.fasta.gz", "rt") as file:
        assert file.read(1) == ">"
    assert len(dna.genes()) == 3182 and len({gene.name for gene in dna.genes()}) == 3182


# --------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    "text, letters",
    [
        ("acgt", "ACGT"),
        ("ACGU acgu\n", "ACGTACGT"),
        ("1 acgt-ac..gt*\r\n61 ttNryk", "ACGTACGTTTNNNN"),
        ("ACGTX", "ACGTN"),
    ],
)
def test_a_sequence_is_read_as_people_paste_it(text, letters):
    assert dna.clean(text) == letters


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "pasted is empty"),
        (" \n-- 12", "pasted is empty"),
        ("NNNN", "has no base that is known"),
        ("MKLFEIRQ", "looks like a protein: E, F, I, L, Q stand for amino acids"),
        ("ACGT?!", r"pasted is no DNA: !, \? stand for no base"),
        ("ACGTÄ", "pasted is no DNA"),
    ],
)
def test_what_is_no_dna_is_told_and_named(text, said):
    with pytest.raises(WorkshopError, match=said):
        dna.clean(text, "pasted")


def test_a_million_bases_are_too_many():
    with pytest.raises(TooLarge, match=r"chr1 has 1,000,000 bases, and the most here is 20,000"):
        dna.clean("ACGT" * 250_000, "chr1")


def test_a_fasta_file_is_read_record_by_record_with_the_line_of_each_title():
    text = "\ufeff>one first\nACGT\nAC GT\n\n>two\n>three\nTTT"
    records = [(r.line, r.name, "".join(r.text.split())) for r in dna.read_fasta(text)]
    assert records == [(1, "one first", "ACGTACGT"), (5, "two", ""), (6, "three", "TTT")]
    assert [(r.line, r.text) for r in dna.read_fasta("ACGT")] == [(1, "ACGT")]
    assert [(r.line, r.text) for r in dna.read_fasta("ACGT\n>a\nTT")] == [(1, "ACGT"), (2, "TT")]


# --------------------------------------------------------------------------------------- counting


def test_k_mers_of_both_strands_are_counted_as_one():
    counts = dna.kmer_counts("GATTACA", 3)
    assert counts.sum() == 5 and counts.shape == (64,)
    assert np.array_equal(counts, dna.kmer_counts(dna.reverse_complement("GATTACA"), 3))
    place = "ACGT".index("A") * 16 + "ACGT".index("T") * 4 + "ACGT".index("C")
    assert counts[place] == 1, "GAT is counted as ATC"
    assert dna.kmer_counts("GA", 3).sum() == 0


def test_a_k_mer_with_an_unknown_base_is_not_counted():
    assert dna.kmer_counts("GANTC", 2).sum() == 2
    assert dna.kmer_counts("NNN", 2).sum() == 0


def test_the_two_strands_have_one_vector_of_letters():
    sequence = dna.genes()[7].sequence
    both = dna.letters([sequence, dna.reverse_complement(sequence)])
    assert both.shape == (2, dna.LETTERS_DIM) and np.array_equal(both[0], both[1])
    assert np.isclose((both[0] ** 2).sum(), 1), "roots of shares"


def test_the_longest_stretch_without_a_stop_is_translated_from_either_strand():
    coding = "ATGGCTAAAGGCTGGTTC"  # M A K G W F
    assert dna.translate(coding) == "MAKGWF"
    gene = dna.genes()[0].sequence
    assert dna.translate(gene) == dna.translate(dna.reverse_complement(gene))
    assert len(dna.translate(gene)) == len(gene) // 3 - 1, "all of it but the stop"
    assert dna.translate("AC") == "" and dna.proteins(["AC"]).sum() == 0


def test_macro_f1_is_that_of_scikit_learn():
    random = np.random.default_rng(3)
    truth, predicted = random.choice(list("abcd"), 200), random.choice(list("abc"), 200)
    assert np.isclose(dna.macro_f1(truth, predicted), f1_score(truth, predicted, average="macro"))
    assert dna.macro_f1(["a", "b"], ["a", "b"]) == 1


def test_no_group_is_torn_by_folds(kinds):
    groups = [gene.family for gene in dna.genes()]
    part = dna.folds(kinds, groups)
    assert all(len(set(part[np.array(groups) == name])) == 1 for name in set(groups))
    assert set(part) == set(range(5)) and np.bincount(dna.folds(kinds)).min() > 600


def test_what_is_linked_by_either_grouping_is_one_group():
    one = dna.linked(["a", "a", "b", "c", "d"], [1, 2, 2, 3, 4])
    assert one[0] == one[1] == one[2] and len(set(one)) == 3


def test_neighbours_come_from_other_parts_nearest_first():
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1]], float)
    rows, cosines = dna.neighbours(vectors, np.array([0, 0, 1, 1]), 2, centred=False)
    assert rows.tolist() == [[2, 3], [2, 3], [1, 0], [1, 0]]
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_the_nearest_decides_and_a_far_one_is_unknown():
    assert dna.vote(["a", "b", "b"], [0.9, 0.5, 0.5])[0] == "b"
    assert dna.vote(["a"], [0.3], at_least=0.4)[0] is None
    assert dna.vote([], [])[0] is None and dna.vote(["a"], [-0.1], at_least=-1)[0] is None
    assert dna.vote(["a", "b"], [0.5, 0.5])[0] == "a", "the first of equally near ones"


# --------------------------------------------------------------------------------------- aligning


def test_an_alignment_shows_gaps_strands_and_identity():
    first = dna.genes()[0].sequence
    other = first[:100] + first[103:300]
    found = dna.align(first[:300], dna.reverse_complement(other))
    assert found.reverse and found.second.count("-") == 3 and (found.start, found.end) == (0, 300)
    assert found.first == first[:300] and found.identity == pytest.approx(297 / 300)
    assert found.marks.count("|") == 297 and len(found.marks) == 300
    assert dna.align("AAAA", "N") is None


# ------------------------------------------------------------------------- what the chapter says


def test_proteins_know_unseen_families_and_letters_do_not(kinds, proteins, parts):
    letters = dna.letters([gene.sequence for gene in dna.genes()])
    score = {
        (name, test): dna.macro_f1(kinds, kinds[dna.nearest(vectors, part)[0]])
        for name, vectors in (("letters", letters), ("protein", proteins))
        for test, part in parts.items()
    }
    assert score["protein", "family"] > 0.75 and score["protein", "cluster"] > 0.88
    assert score["letters", "family"] < 0.42 and score["letters", "cluster"] < 0.42


def test_sure_answers_about_unseen_families_are_right_at_the_services_threshold(
    kinds, proteins, parts
):
    rows, cosines = dna.nearest(proteins, parts["family"])
    answered = cosines >= 0.4
    assert 0.6 < answered.mean() < 0.75
    assert (kinds[rows] != kinds)[answered].mean() < 0.06


def test_no_aligned_gene_is_of_the_part_of_its_question(parts):
    row_of = {gene.name: row for row, gene in enumerate(dna.genes())}
    with (HERE / "alignments.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 692
    for line in lines:
        for test, part in parts.items():
            assert part[row_of[line["gene"]]] != part[row_of[line[f"other_{test}"]]]
