"""The page of the audio search, in a browser."""

import re

import numpy as np
import pytest
import soundfile
from browser import chromium, screenshot
from playwright.sync_api import expect
from test_pages import CONTRAST, answered, listed, no_finding

from workshop import sounds

pytestmark = pytest.mark.service("audio_search")
PIECE = sounds.sounds("piece", "report")[0]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One that plays eight seconds of a piece into a microphone, which is not there."""
    song = tmp_path_factory.mktemp("microphone") / "song.wav"
    soundfile.write(song, PIECE.read()[80_000:208_000], sounds.RATE)
    with chromium(
        "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={song}"
    ) as found:
        yield found


def heard(player) -> None:
    """It plays."""
    player.evaluate("""player => new Promise((done) => {
        const look = () => player.currentTime > 0 && done();
        player.addEventListener('timeupdate', look);
        look();
    })""")


def test_a_card_is_a_picture_that_plays(page, loaded):
    listed(loaded, page)
    picture = page.locator(".card img").first
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    play = page.locator(".card .play").first
    heights = "[...document.querySelectorAll('.card')].map(e => e.offsetHeight)"
    before = page.evaluate(heights)
    play.focus()
    page.keyboard.press("Enter")
    player = page.locator(".card audio")
    expect(player).to_be_focused()
    heard(player)
    assert page.evaluate(heights) == before  # nothing is pushed away
    expect(play.locator("svg")).to_be_hidden()
    expect(play).to_have_accessible_name(re.compile("^Pause "))
    play.click()
    expect(play).to_have_accessible_name(re.compile("^Play "))
    expect(player).to_have_js_property("paused", True)
    no_finding(page, "playing")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_a_file_finds_the_same_recording_and_the_peaks_that_both_have(
    page, loaded, tmp_path, scheme, width
):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    listed(loaded, page)
    question = tmp_path / "five seconds.wav"
    soundfile.write(question, PIECE.read()[80_000:160_000], sounds.RATE)
    page.get_by_label("Use a sound to find").select_option("same")
    page.locator("#by-file").set_input_files(question)
    expect(page.get_by_role("heading", name="The same recording")).to_be_visible()
    expect(page.locator(".card .name")).to_have_text([PIECE.name])
    expect(page.locator(".card .score")).to_have_text(re.compile(r"^\d\d+ votes, next best \d+$"))
    expect(page.get_by_role("button", name=f"Play {PIECE.name} from 5.0 s")).to_be_visible()
    page.get_by_role("button", name=f"Why {PIECE.name}?").click()
    region = page.locator(".card").get_by_role("region", name=f"Why {PIECE.name}")
    expect(region).to_be_focused()
    expect(region).to_be_in_viewport()
    expect(region.get_by_role("img")).to_have_accessible_name(
        "Above 5.0 s of your sound from 0.0 s, below the recording from 5.0 s. "
        + region.locator("#match-about").inner_text().split(". ", 1)[1]
    )
    lines = region.locator("line")
    assert 15 < lines.count() <= 30 <= region.locator("circle").count()
    assert region.locator("image").count() == 2
    words = region.locator("text").all_text_contents()
    assert {"Your sound", "This recording", "4,000 Hz", "0 s", "10 s"} <= set(words)
    for line in lines.all()[:5]:  # the same moment in both
        assert abs(float(line.get_attribute("x1")) - float(line.get_attribute("x2"))) < 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) == []
    no_finding(page, "why")
    screenshot(page, f"audio_search-{scheme}-{width}-why", full_page=True)
    region.get_by_role("button", name="Close the pictures").click()
    expect(region).to_be_hidden()
    expect(page.get_by_role("button", name=f"Why {PIECE.name}?")).to_be_focused()
    page.get_by_label("Use a sound to find").select_option("similar")
    expect(page.locator(".card")).to_have_count(24)


def test_nothing_may_be_the_same(page, loaded, tmp_path):
    listed(loaded, page)
    stranger = tmp_path / "backwards.wav"
    soundfile.write(stranger, PIECE.read()[::-1][:80_000], sounds.RATE)
    page.get_by_label("Use a sound to find").select_option("same")
    page.locator("#by-file").set_input_files(stranger)
    expect(page.get_by_role("heading", name="Not recognised")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Nothing here is surely the same recording")
    expect(page.locator(".card")).to_have_count(0)


def test_nothing_may_be_alike(page, loaded, tmp_path):
    listed(loaded, page)
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, np.random.default_rng(0).normal(0, 0.1, 5 * sounds.RATE), sounds.RATE)
    page.locator("#by-file").set_input_files(noise)
    expect(page.locator(".card").first).to_be_visible()  # a hi-hat hisses too
    page.locator("#category").select_option("strings")
    expect(page.get_by_role("status")).to_contain_text("Nothing here sounds like it")
    expect(page.locator(".card")).to_have_count(0)


def test_what_is_no_sound_is_neither_kept_nor_tried_again(page, loaded):
    listed(loaded, page)
    page.locator("#by-file").set_input_files(
        {"name": "words.mp3", "mimeType": "", "buffer": b"no sound at all"}
    )
    expect(page.get_by_role("alert")).to_contain_text("no sound that is read here")
    expect(page.locator("#asked-about")).to_have_text(
        "Your browser cannot play this file. It is listened to and not kept."
    )
    for name in ("Try again", "Keep this recording"):
        expect(page.get_by_role("button", name=name)).to_be_hidden()
    expect(page.locator("#heading")).to_be_hidden()
    screenshot(page, "audio_search-no-sound")
    page.get_by_role("button", name="Show all recordings").click()
    expect(page.get_by_role("heading", name="All recordings")).to_be_visible()


def test_words_find_similar_sounds_in_every_mode_and_say_so(page, loaded):
    listed(loaded, page)
    page.get_by_label("Use a sound to find").select_option("same")
    answered(page, loaded)
    expect(page.get_by_role("status")).to_contain_text("found by a sound only")
    expect(page.locator(".card")).to_have_count(24)


def test_a_question_is_recorded_from_the_microphone_if_the_browser_may(page, loaded):
    listed(loaded, page)
    record = page.get_by_role("button", name="Record a sound")
    record.click()
    expect(page.get_by_role("alert")).to_contain_text("Allow it, or open the page in a tab")
    page.context.grant_permissions(["microphone"])
    record.click()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#record-state")).to_have_text("6 of 15 s")
    no_finding(page, "recording")
    page.get_by_role("button", name="Stop and search").click()
    expect(page.locator(".card .name")).to_have_text([PIECE.name])
    expect(record).to_be_enabled()
    expect(page.get_by_label("Use a sound to find")).to_have_value("same")
    mine = page.get_by_label("The sound that you search by")
    mine.evaluate("player => player.play()")
    heard(mine)
