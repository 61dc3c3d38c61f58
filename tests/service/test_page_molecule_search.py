"""The page of the molecule search, in a browser."""

import hashlib
import re

import pytest
from playwright.sync_api import expect

from app_snippets.service.app import PAGES

pytestmark = pytest.mark.service("molecule_search")
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def drawn(picture):
    """The picture is there, and is one."""
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("naturalWidth", 260)


def test_hits_are_drawn_with_what_they_share(page, loaded):
    page.goto(loaded.url)
    page.get_by_role("searchbox").fill(ASPIRIN)
    page.get_by_role("button", name="Search", exact=True).click()
    picture = page.locator(".card img").first
    expect(picture).to_have_attribute("alt", re.compile("orange where it is like the question"))
    drawn(picture)


def test_all_of_at_least_some_similarity_are_shown(page, loaded):
    page.goto(loaded.url)
    page.get_by_label("Of molecules like one of the list").select_option("0.3")
    page.get_by_role("searchbox").fill("diazepam")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("button", name="Find molecules like diazepam", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("of at least 0.3")
    drawn(page.locator("#asked-drawing"))


def test_a_smiles_that_cannot_be_is_told(page, loaded):
    page.goto(loaded.url)
    page.get_by_role("searchbox").fill("C1CCC(=O)CC")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("ring bond 1 is opened and not closed")


def test_a_drawn_molecule_is_searched_by(page, loaded):
    """The editor works under the page's own policy."""
    page.goto(loaded.url)
    page.get_by_role("button", name="Open the editor").click()
    canvas = page.locator("#editor canvas").last
    expect(canvas).to_be_visible()
    box = page.locator("#editor").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(x, y)
    expect(page.locator("#draw-smiles")).to_have_text("CC")
    page.get_by_role("button", name="Find what is like it").click()
    expect(page.get_by_role("searchbox")).to_have_value("CC")
    expect(page.locator(".card .about").first).to_contain_text("score")


def test_the_editor_is_the_file_that_was_published():
    content = (PAGES / "vendor" / "openchemlib.js").read_bytes()
    note = (PAGES / "vendor" / "README.md").read_text()
    assert hashlib.sha256(content).hexdigest() in note
