"""What the DNA search alone does: it classifies, and reads files of sequences."""

import pytest
from services import assert_problem

from workshop import dna

pytestmark = pytest.mark.service("dna_search")
GENE = dna.genes()[0]


def classify(loaded, text: str, **more):
    return loaded.client.post("classify", json={"text": text, **more})


@pytest.mark.on_server
def test_a_piece_of_a_gene_is_classified_from_either_strand(loaded):
    piece = dna.reverse_complement(GENE.sequence[60:560]).lower()
    answer = classify(loaded, f"{piece[:60]}\n{piece[60:]}").json()
    assert answer["category"] == GENE.kind
    assert max(answer["votes"], key=answer["votes"].get) == GENE.kind
    scores = [hit["score"] for hit in answer["neighbours"]]
    assert len(scores) == 5 and scores == sorted(scores, reverse=True)
    alignment = answer["alignment"]
    assert len(alignment["first"]) == len(alignment["second"]) > 400
    assert alignment["reverse"] and alignment["identity"] > 0.8


def test_dna_that_is_like_no_gene_is_unknown(loaded, case):
    answer = classify(loaded, case.other(5).decode()).json()
    assert answer["category"] is None and answer["neighbours"]


def test_what_was_uploaded_without_a_class_has_no_vote(loaded):
    job = loaded.load([("mine.txt", GENE.sequence.encode())])
    try:
        assert job["done"] == 1
        answer = classify(loaded, GENE.sequence, neighbours=20).json()
        assert "uploads" not in answer["votes"] and answer["category"] == GENE.kind
        assert loaded.hits(text=GENE.sequence[:900])[0]["score"] > 0.5
    finally:
        (item,) = loaded.client.get("items", params={"category": "uploads"}).json()["items"]
        loaded.client.delete(f"items/{item['id']}")


@pytest.mark.parametrize(
    "text, said",
    [
        ("MKLFEIRQWP", "looks like a protein"),
        ("--  --", "empty"),
        ("NNNNNNNN", "no base that is known"),
        ("ACG", "too short"),
        ("ACGT<script>", "no DNA"),
    ],
)
def test_what_is_no_dna_is_refused_with_a_sentence(loaded, text, said):
    assert_problem(classify(loaded, text), 422, said)


def test_a_fasta_file_goes_in_record_by_record_and_bad_ones_are_told(loaded):
    file = (
        f">good one\n{GENE.sequence[:300]}\n>a protein\nMKLFEIRQWP\n>empty\n"
        f">rna\n{GENE.sequence[300:].replace('T', 'U').lower()}\n>long\n{'ACGT' * 250_000}\n"
    )
    job = loaded.load([("mine.fasta", file.encode())], category="trial")
    items = loaded.client.get("items", params={"category": "trial"}).json()["items"]
    for item in items:
        loaded.client.delete(f"items/{item['id']}")
    assert {item["payload"]["name"] for item in items} == {"good one", "rna"}
    assert (job["done"], job["items"]) == (1, 2)
    told = [(failure["row"], failure["reason"]) for failure in job["failed"]]
    assert [row for row, _ in told] == [3, 5, 8]
    for (_, reason), words in zip(told, ("protein", "empty", "1,000,000 bases"), strict=True):
        assert words in reason


def test_a_file_of_several_sequences_is_no_question(loaded):
    file = {"file": ("two.fasta", b">a\nACGTACGTAC\n>b\nACGTACGTAC\n")}
    assert_problem(loaded.client.post("search/file", files=file), 415, "two.fasta has 2 sequences")


def test_genes_are_found_by_name_and_by_letters(loaded):
    assert loaded.hits(text="blaTEM-1B")[0]["payload"]["family"] == "blaTEM"
    (first, *_) = loaded.hits(text=GENE.sequence[:600], mode="letters")
    assert first["payload"]["category"] == GENE.kind and first["score"] > 0.5
