"""The page of the text search in Chromium: each hit shows how its words and how its meaning found it.

What all pages promise is in test_pages.py.
"""

import re

import pytest
from browser import screenshot
from playwright.sync_api import Page, expect
from services import SERVICES, Running, running

CASE = next(case for case in SERVICES if case.name == "text_search")
TEXTS = {
    "numpy.histogram": "Compute the histogram of a dataset.",
    "pyplot.hist": "Draw how values are spread, as bars. The heights are counts.",
    "pandas.read_csv": "Read a comma-separated values file.",
    "pandas.dropna": "Remove rows with missing values.",
    "scipy.blur": "Smooth an image with a Gaussian.",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(CASE, tmp_path_factory.mktemp("page")) as service:
        items = [{"text": text, "name": name, "category": "t"} for name, text in TEXTS.items()]
        job = service.finished(service.client.post("items", json={"items": items}))
        assert job["items"] == len(TEXTS)
        yield service


def search(page: Page, service: Running, text: str, mode: str = "both") -> None:
    page.goto(service.url)
    page.get_by_label("Search by").select_option(mode)
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("heading", level=2).first).to_contain_text(text)
    expect(page.locator("[aria-busy]")).to_have_count(0)


def first(page: Page):
    return page.locator(".card").first


def reasons(page: Page) -> list[str]:
    return first(page).locator(".why").inner_text().split("\n")


def test_a_hit_shows_its_words_lit_and_both_ranks_side_by_side(service, page):
    search(page, service, "numpy.histogram")
    expect(first(page).locator(".name")).to_have_text("numpy.histogram")
    assert first(page).locator(".name mark").all_inner_texts() == ["numpy", "histogram"]
    assert first(page).locator(".snippet mark").all_inner_texts() == ["histogram"]
    told = " ".join(reasons(page))
    assert re.search(r"By words.*rank 1 score \d+\.\d.*By meaning.*rank 1 score 0\.\d\d", told)
    screenshot(page, "text_search-both")


def test_a_mistyped_word_is_put_right_and_the_page_says_so(service, page):
    search(page, service, "histgram")
    expect(first(page).locator(".name")).to_have_text("numpy.histogram")
    expect(page.get_by_role("status")).to_have_text(
        "Not every word of “histgram” is known here. These are for “histogram”."
    )


def test_a_search_by_one_way_shows_that_one(service, page):
    search(page, service, "missing values", "words")
    assert "By words" in reasons(page)[0] and "By meaning" not in " ".join(reasons(page))
    search(page, service, "throw away what is not there", "meaning")
    assert "By meaning" in reasons(page)[0] and "By words" not in " ".join(reasons(page))


def test_a_hit_of_one_search_alone_says_that_the_other_has_not_found_it(service, page):
    search(page, service, "a picture of counts")
    words = page.locator(".card .why", has_text="By words").all_inner_texts()
    assert any("not among the first 100" in told for told in words)
    assert any("rank" in told.split("By meaning")[0] for told in words)


def test_words_that_nobody_has_find_nothing_and_the_page_says_so(service, page):
    search(page, service, "讀取檔案", "words")
    expect(page.locator(".card")).to_have_count(0)
    expect(page.get_by_role("status")).not_to_be_empty()
