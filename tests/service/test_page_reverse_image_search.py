"""The page of the reverse image search in Chromium, used as a person uses it.

What all pages promise is in test_pages.py.
"""

import io
import re
import time

import pytest
from browser import PATIENCE, screenshot
from PIL import Image
from playwright.sync_api import Page, expect
from services import SERVICES, png, running

from workshop import datasets

CASE = next(case for case in SERVICES if case.name == "reverse_image_search")
LOADED = re.compile(r"^\d+ photos? loaded$")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A service of the page's own, empty at first; the tests below fill it in their order."""
    with running(CASE, tmp_path_factory.mktemp("page")) as service:
        yield service


@pytest.fixture(scope="module")
def service(own):
    """The same with the sample photos, whichever test comes first."""
    if own.count() < CASE.samples:
        assert own.load_samples()["state"] == "done"
    return own


@pytest.fixture
def guitar(tmp_path):
    """A photo on the visitor's disk that is none of the collection's own files."""
    from PIL import ImageOps

    photo = next(p for p in datasets.photos() if p.name == "Classical guitar")
    path = tmp_path / "my guitar.png"
    ImageOps.mirror(photo.open()).resize((500, 500)).save(path)
    return path


def photos(page: Page):
    return page.get_by_role("list").filter(has=page.locator(".card")).get_by_role("listitem")


def names(page: Page) -> list[str]:
    return page.locator(".card .name").all_inner_texts()


def find(page: Page):
    """The buttons that search by a photo."""
    return page.locator("button.find")


def told(page: Page):
    return page.get_by_role("status")


def search(page: Page, words: str) -> None:
    page.get_by_label("Describe a photo").fill(words)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Photos for “{words}”")).to_be_visible()
    expect(told(page)).to_contain_text("fit best")


def pictures_are_shown(page: Page) -> None:
    """Every picture in view has come and is no broken one."""
    # not wait_for_function: it evaluates a string in the page, which the page's policy forbids
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(
        """() => [...document.querySelectorAll('.card img')]
            .filter(i => i.getBoundingClientRect().top < innerHeight)
            .every(i => i.complete && i.naturalWidth > 0)"""
    ):
        assert time.monotonic() < end, "pictures are missing"
        page.wait_for_timeout(50)


# ------------------------------------------------------------------------- from empty to full


def test_an_empty_page_says_what_to_do_and_loads_the_samples(own, page):
    page.goto(own.url)
    expect(page.get_by_role("heading", name="No photos yet")).to_be_visible()
    screenshot(page, "search-1-empty")
    page.get_by_role("button", name="Load the sample photos").click()
    bar = page.get_by_role("progressbar")
    expect(bar).to_be_visible()
    expect(page.get_by_text(re.compile(r"Loading photos: [1-9]\d* of 430"))).to_be_visible()
    screenshot(page, "search-2-loading")
    seen = float(bar.get_attribute("value"))
    expect(bar).not_to_have_js_property("value", seen)
    assert bar.get_attribute("max") == "430"
    expect(page.locator("#job-text")).to_have_text("430 photos loaded")
    expect(bar).to_be_hidden()
    expect(page.locator("#count")).to_have_text("430 photos")
    expect(page.get_by_role("heading", name="No photos yet")).to_be_hidden()
    expect(photos(page)).to_have_count(60)
    pictures_are_shown(page)
    screenshot(page, "search-3-loaded")


def test_a_page_loaded_again_in_the_middle_goes_on_telling(own, page):
    own.client.delete("items", params={"confirm": "true"})
    page.goto(own.url)
    page.get_by_role("button", name="Load the sample photos").click()
    expect(page.get_by_text(re.compile(r"Loading photos: [1-9]"))).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile(r"Loading photos: [1-9]"))).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#job-text")).to_contain_text("Stopped after")
    expect(page.locator("#count")).to_have_text(f"{own.count()} photos")


def test_without_websockets_the_page_asks_instead(own, browser):
    own.client.delete("items", params={"confirm": "true"})
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.route_web_socket(re.compile("events"), lambda socket: socket.close())
    page.goto(own.url)
    page.get_by_role("button", name="Load the sample photos").click()
    expect(page.get_by_text(re.compile(r"Loading photos: [1-9]"))).to_be_visible()
    expect(page.locator("#job-text")).to_have_text("430 photos loaded")
    page.close()


# ------------------------------------------------------------------------------------ search


def test_words_find_photos_with_names_and_scores(service, page):
    page.goto(service.url)
    search(page, "guitar")
    assert "guitar" in names(page)[0].lower()
    scores = [float(text) for text in page.locator(".card .number").all_inner_texts()]
    assert len(scores) == 24
    assert scores == sorted(scores, reverse=True)
    pictures_are_shown(page)
    screenshot(page, "search-4-words")


def test_a_click_on_a_photo_finds_others_like_it(service, page):
    page.goto(service.url)
    search(page, "guitar")
    clicked = names(page)[0]
    find(page).first.click()
    expect(page.get_by_role("heading", name="Photos like this one")).to_be_visible()
    expect(page.locator("#asked-name")).to_have_text(clicked)
    expect(told(page)).to_contain_text("fit best")
    assert "guitar" in names(page)[0].lower()
    pictures_are_shown(page)
    screenshot(page, "search-5-by-photo")
    page.get_by_role("button", name="Show all photos").click()
    expect(page.get_by_role("heading", name="All photos")).to_be_visible()
    expect(photos(page)).to_have_count(60)


def test_a_chosen_photo_finds_others_and_can_be_kept_and_deleted(service, page, guitar):
    page.goto(service.url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="choose a photo").click()
    chooser.value.set_files(guitar)
    expect(page.get_by_text("It is looked at and not kept")).to_be_visible()
    expect(told(page)).to_contain_text("fit best")
    assert any("guitar" in name.lower() for name in names(page)[:3])
    pictures_are_shown(page)
    screenshot(page, "search-6-by-file")
    before = service.count()
    assert before == CASE.samples

    page.get_by_role("button", name="Keep this photo").click()
    expect(page.locator("#job-text")).to_have_text(LOADED)
    expect(page.locator("#count")).to_have_text(f"{before + 1} photos")
    page.get_by_role("button", name="Show all photos").click()
    expect(find(page).first).to_have_attribute("aria-label", "Find photos like my guitar.png")

    delete = page.get_by_role("button", name="Delete my guitar.png")
    delete.click()
    page.keyboard.press("Escape")  # thought better of it
    expect(delete).to_be_visible()
    assert service.count() == before + 1
    delete.click()
    page.get_by_role("button", name="Really delete my guitar.png").click()
    expect(told(page)).to_have_text("my guitar.png is deleted.")
    expect(page.locator("#count")).to_have_text(f"{before} photos")
    assert service.count() == before


DROP = """({event, files}) => {
    const data = new DataTransfer();
    for (const [name, type, text] of files) {
        const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
        data.items.add(new File([bytes], name, {type}));
    }
    const Kind = event === 'paste' ? ClipboardEvent : DragEvent;
    const options = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data};
    document.body.dispatchEvent(new Kind(event, options));
}"""


def give(page: Page, event: str, *files: tuple[str, str, bytes]) -> None:
    """Drop or paste files, as the browser tells the page of it."""
    import base64

    coded = [(name, kind, base64.b64encode(content).decode()) for name, kind, content in files]
    page.evaluate(DROP, {"event": event, "files": coded})


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_photo_dropped_or_pasted_finds_others(service, page, guitar, event):
    page.goto(service.url)
    expect(told(page)).to_contain_text("Choose one")
    if event == "drop":
        give(page, "dragover", ("my guitar.png", "image/png", b""))
        expect(page.get_by_text("Drop one photo to search by it")).to_be_visible()
    give(page, event, ("my guitar.png", "image/png", guitar.read_bytes()))
    expect(page.locator("#asked-name")).to_have_text("my guitar.png")
    expect(told(page)).to_contain_text("fit best")
    expect(page.locator("#cover")).to_be_hidden()
    assert any("guitar" in name.lower() for name in names(page)[:3])


def test_several_dropped_photos_are_added_and_the_broken_one_is_named(service, page):
    page.goto(service.url)
    expect(told(page)).to_contain_text("Choose one")
    give(
        page,
        "drop",
        ("red.png", "image/png", png("red")),
        ("broken.png", "image/png", b"no picture"),
        ("blue.png", "image/png", png("blue")),
    )
    expect(page.locator("#job-text")).to_have_text("2 photos loaded")
    page.get_by_text("1 photo could not be loaded").click()
    expect(page.locator("#job-failed li")).to_contain_text("broken.png")
    screenshot(page, "search-7-broken")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#job")).to_be_hidden()
    for item in service.client.get("items", params={"category": "uploads"}).json()["items"]:
        service.client.delete(f"items/{item['id']}")


@pytest.mark.parametrize("event", ["drop", "paste", "choose"])
def test_a_photo_is_taken_by_its_content_and_named_where_the_browser_cannot_show_it(
    service, page, guitar, event
):
    tiff = io.BytesIO()
    Image.open(guitar).convert("RGB").save(tiff, "TIFF")
    page.goto(service.url)
    expect(told(page)).to_contain_text("Choose one")
    if event == "choose":
        file = {"name": "my guitar", "mimeType": "", "buffer": tiff.getvalue()}
        page.locator("#by-file").set_input_files(file)
    else:
        give(page, event, ("my guitar", "", tiff.getvalue()))
    expect(told(page)).to_contain_text("fit best")
    expect(page.locator("#asked-name")).to_have_text("my guitar")
    expect(page.locator("#asked-picture")).to_be_hidden()
    expect(page.locator("#asked-about")).to_contain_text("cannot show")
    assert any("guitar" in name.lower() for name in names(page)[:3])
    find(page).first.click()
    expect(page.locator("#asked-picture")).to_be_visible()


def test_two_broken_files_of_one_name_are_told_apart(service, page):
    page.goto(service.url)
    expect(told(page)).to_contain_text("Choose one")
    broken = [
        ("a.png", "image/png", b"x"),
        ("b.png", "image/png", b"x"),
        ("a.png", "image/png", b""),
    ]
    give(page, "drop", *broken)
    page.get_by_text("3 photos could not be loaded").click()
    expect(page.locator("#job-failed li")).to_have_text(
        [
            re.compile("^File 1: a.png is not a picture"),
            re.compile("^b.png is not a picture"),
            re.compile("^File 3: a.png is empty"),
        ]
    )


def test_a_category_narrows_the_list_and_the_search(service, page):
    page.goto(service.url)
    expect(told(page)).to_contain_text("430 photos")
    page.get_by_label("Category").select_option("food/fruit")
    expect(told(page)).to_contain_text("26 photos")
    expect(photos(page)).to_have_count(26)
    search(page, "guitar")
    assert {c.get_attribute("title") for c in find(page).all()} == {"food/fruit"}
    page.get_by_label("Category").select_option("")
    expect(page.locator(".card .name").first).to_contain_text(re.compile("guitar", re.I))


def test_all_photos_can_be_seen_piece_by_piece(service, page):
    page.goto(service.url)
    more = page.get_by_role("button", name="Show more")
    for shown in (60, 120, 180):
        expect(photos(page)).to_have_count(shown)
        more.click()
    expect(photos(page)).to_have_count(240)
    sources = [image.get_attribute("src") for image in page.locator(".card img").all()]
    assert len(set(sources)) == 240


# ------------------------------------------------------------------------------------ failures


def test_a_file_that_is_no_photo_is_refused_in_words(service, page, tmp_path):
    page.goto(service.url)
    expect(told(page)).to_contain_text("Choose one")
    give(page, "drop", ("holiday.png", "image/png", b"<html>"))
    expect(page.get_by_role("alert")).to_contain_text("holiday.png is not a picture")
    screenshot(page, "search-8-error")
    give(page, "drop", ("notes.txt", "text/plain", b"x"))
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is not a picture")
    search(page, "guitar")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_words_without_a_word_are_refused_in_words(service, page):
    page.goto(service.url)
    page.get_by_label("Describe a photo").fill("?!")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("there is no word in it")


def test_a_service_that_went_away_is_told_and_asked_again(page, tmp_path):
    with running(CASE, tmp_path) as brief:
        brief.load([("red.png", png("red"))])
        page.goto(brief.url)
        expect(photos(page)).to_have_count(1)
    page.get_by_label("Describe a photo").fill("red")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")


# ------------------------------------------------------------------------------- for everyone


def test_everything_can_be_done_with_the_keyboard_alone(service, page):
    page.goto(service.url)
    expect(told(page)).to_contain_text("Choose one")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the photos")).to_be_focused()
    for focused in (
        page.get_by_role("button", name="Add photos").first,
        page.get_by_label("Describe a photo"),
    ):
        page.keyboard.press("Tab")
        expect(focused).to_be_focused()
    page.keyboard.type("guitar")
    page.keyboard.press("Enter")
    expect(told(page)).to_contain_text("fit best")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.find')"):
            break
    expect(find(page).first).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "one must see where one is"
    screenshot(page, "search-9-keyboard")
    name = names(page)[0]
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=f"Delete {name}").first).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#asked-name")).to_have_text(name)


def test_a_screen_reader_hears_how_well_a_photo_fits(service, page):
    page.goto(service.url)
    search(page, "guitar")
    expect(find(page).first).to_have_accessible_name(
        re.compile(r"guitar, score 0\.\d\d\. Find photos like it$", re.I)
    )
