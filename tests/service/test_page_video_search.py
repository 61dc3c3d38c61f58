"""The page of the video search, in a browser."""

import pytest
from playwright.sync_api import expect
from test_pages import CONTRAST, listed, no_finding

from workshop import films

pytestmark = pytest.mark.service("video_search")


def test_a_click_plays_the_shot(page, loaded):
    listed(loaded, page)
    page.get_by_role("button", name="Play film_06 · shot 4").click()
    film = page.locator(".card video")
    expect(film).to_be_focused()
    film.evaluate("""film => new Promise((done) => {
        const look = () => film.currentTime > 0 && done();
        film.addEventListener('timeupdate', look);
        look();
    })""")
    no_finding(page, "playing")


@pytest.mark.parametrize(("scheme", "width"), [("light", 320), ("dark", 1280)])
def test_a_film_is_a_strip_in_which_a_face_gets_a_name(page, loaded, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    listed(loaded, page)
    page.get_by_role("button", name="The film of film_06 · shot 3").click()
    strip = page.get_by_role("region", name="film_06")
    expect(strip).to_be_focused()
    expect(strip.get_by_role("listitem")).to_have_count(4)
    expect(strip).to_contain_text("Cuts at")
    expect(strip.locator(".box.face")).to_have_text("unknown")
    name = strip.get_by_label("Who is face 1 of shot 3?")
    name.fill("Julia <b>")
    name.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("name")
    name.fill("Julia")
    name.press("Enter")
    expect(strip.locator(".box.face")).to_have_text("Julia")
    page.get_by_role("button", name="Where is Julia?").click()
    expect(page.get_by_role("heading", name="Where Julia is")).to_be_visible()
    expect(page.locator(".card").first).to_contain_text("film_06")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) == []
    no_finding(page, "named")
    (loaded.folder / "people.json").unlink()  # not forgotten: other tests need the face


def test_a_person_is_forgotten_after_being_asked_twice(page, start):
    service = start()
    service.load([("mine.mp4", (films.FILMS / "film_06.mp4").read_bytes())])
    listed(service, page)
    page.get_by_role("button", name="The film of mine.mp4 · shot 3").click()
    name = page.get_by_label("Who is face 1 of shot 3?")
    name.fill("Julia")
    name.press("Enter")
    page.get_by_role("button", name="Forget Julia", exact=True).click()
    page.get_by_role("button", name="Really forget Julia").click()
    expect(page.get_by_role("status")).to_contain_text("Julia is forgotten")
    expect(page.get_by_role("region", name="People with a name")).to_be_hidden()
    assert service.client.get("people").json() == {"people": []}
