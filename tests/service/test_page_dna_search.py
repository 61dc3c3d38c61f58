"""The page of the DNA search, in a browser."""

import pytest
from playwright.sync_api import expect

from workshop import dna

pytestmark = pytest.mark.service("dna_search")


def test_a_pasted_sequence_is_classified_and_aligned(page, loaded):
    page.goto(loaded.url)
    gene = dna.genes()[0]
    page.get_by_label("A sequence of DNA").fill(f">mine\n{gene.sequence[:400]}")
    page.get_by_role("button", name="Classify").click()
    answer = page.locator("#answer")
    expect(answer).to_contain_text(f"Probably {gene.kind}")
    expect(answer.locator(".votes")).to_contain_text(gene.kind)
    answer.get_by_text("Show the alignment").click()
    expect(answer.locator("pre").first).to_contain_text(gene.sequence[:60])


def test_what_is_no_dna_is_told_on_the_page(page, loaded):
    page.goto(loaded.url)
    page.get_by_label("A sequence of DNA").fill("MKLFEIRQWP")
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_role("alert")).to_contain_text("looks like a protein")


def test_an_example_can_be_taken(page, loaded):
    page.goto(loaded.url)
    page.get_by_role("button", name="Take an example").click()
    expect(page.get_by_label("A sequence of DNA")).not_to_be_empty()
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#answer")).to_contain_text("Probably")
