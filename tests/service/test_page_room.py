"""The room as people meet it: two real kernels, and both of its pages in a real browser."""

import os
import re
from collections.abc import Iterator

import pytest
from answers.ch00 import RIGHT
from browser import screenshot
from jupyter_client.manager import start_new_kernel
from playwright.sync_api import Page, expect
from rooms import Served, served
from test_pages import CONTRAST, no_finding

from workshop.paths import ROOT

IMPORTS = "from workshop import check, room"


@pytest.fixture
def board(tmp_path) -> Iterator[Served]:
    with served(tmp_path / "board", pace=0.05) as found:
        yield found


@pytest.fixture
def pages(board, page) -> Iterator[tuple[Page, Page]]:
    """The instructor's page and the projector's."""
    projected = page.context.new_page()
    page.goto(f"{board.url}/instructor#{board.board.secret}")
    projected.goto(f"{board.url}/projector#{board.board.code}")
    page.bring_to_front()  # one behind another is drawn once a second
    yield page, projected


@pytest.fixture
def kernel(tmp_path):
    """kernel("ada") starts a kernel with a home of its own: a function that runs code, and its manager."""
    started = []

    def start(name: str):
        home = {**os.environ, "WORKSHOP_HOME": str(tmp_path / name), "PYTHONPATH": str(ROOT)}
        manager, client = start_new_kernel(env=home, cwd=str(ROOT / "notebooks"))
        started.append((manager, client))

        def run(code: str) -> str:
            said = []

            def hear(message: dict) -> None:
                content = message["content"]
                said.append(str(content.get("data", content).get("text/plain", "")))
                assert message["msg_type"] != "error", content

            client.execute_interactive(code, output_hook=hear, timeout=300)
            return "".join(said)

        run(IMPORTS)
        return run, manager, client

    yield start
    for manager, client in started:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def event(kind: str, exercise: str, number: int, **more) -> dict:
    return {"id": f"{number:032x}", "kind": kind, "exercise": exercise, **more}


def test_two_kernels_and_both_pages(board, pages, kernel):
    page, projected = pages
    expect(page.get_by_role("status")).to_have_text(f"0 have joined, code {board.board.code}")
    join = f"room.join({board.url!r}, {board.board.code!r}"
    (ada, manager, client), (other, _, _) = kernel("ada"), kernel("other")
    assert "as Ada" in ada(f"{join}, 'Ada')")
    assert "learner 2" in other(f"{join})")
    assert "too few" in ada("check('0.1', 5)")
    other("room.help('3.2')")
    row = page.get_by_role("row", name="Ada")
    expect(row.get_by_role("cell").first).to_have_text("✗trying 1")
    expect(page.locator("#hands")).to_contain_text("Learner 2, exercise 3.2, waits 0 min")
    expect(page.locator("#said li")).to_contain_text("… is too few 1 of 2 now")

    manager.restart_kernel(now=True)  # still in the room, without joining anew
    client.wait_for_ready(timeout=300)
    ada(IMPORTS)
    assert "✅" in ada(f"check('0.1', {RIGHT['0.1'][0]!r})")
    expect(row.get_by_role("cell").first).to_have_text("✓solved 2")
    expect(page.locator("#said li")).to_contain_text("… is too few none of 2 now (1 in all)")
    expect(projected.get_by_role("listitem").first).to_have_text(
        "0.11 solved, 0 trying, 1 not begun"
    )
    expect(projected.locator("body")).not_to_contain_text("Ada")

    assert "deleted" in other("room.leave()")
    expect(page.locator("#hands li")).to_have_count(0)
    expect(page.get_by_role("status")).to_contain_text("1 has joined,")


def test_the_instructor_leads_the_room_and_ends_it(board, pages):
    page, projected = pages
    assert "#" not in page.url  # which a projector may show
    learner = board.join("Ada")
    board.tell(learner, event("help", "0.1", 1), event("wrong", "0.1", 2))
    page.get_by_role("button", name="Answered: Ada").click()
    expect(page.get_by_text("No hand is up.")).to_be_visible()
    expect(page.get_by_label("Exercise", exact=True)).to_have_value("0.1")  # as the room is there
    page.get_by_label("Exercise", exact=True).select_option("9.2")
    expect(page.get_by_label("Minutes")).to_have_value("10")  # of its title
    page.get_by_label("Exercise", exact=True).select_option("0.1")
    page.get_by_role("button", name="Start the clock").click()
    expect(page.get_by_role("timer")).to_contain_text("solved by 0 of 1")
    expect(projected.locator("h1")).to_have_text("Exercise 0.1")
    expect(projected.get_by_role("timer")).to_have_text(re.compile(r"\d:\d\d"))
    page.get_by_role("button", name="Stop it").click()
    expect(projected.locator("h1")).to_contain_text("00 · ")
    page.get_by_label("Show", exact=True).select_option("shares of the room")
    expect(page.get_by_role("row", name="✗ trying").get_by_role("cell").first).to_have_text(
        "100 % (1)"
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    assert "Ada,0.1,tried,1" in download.value.path().read_text(encoding="utf-8-sig")
    page.get_by_label("Show", exact=True).select_option("each learner")
    remove = page.get_by_role("button", name="Remove Ada")
    remove.focus()
    board.tell(learner, event("wrong", "0.1", 3))  # what is drawn anew keeps the focus
    expect(page.get_by_role("row", name="Ada").get_by_role("cell").first).to_have_text("✗trying 2")
    expect(remove).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(remove).to_be_visible()
    page.reload()  # the secret is this tab's
    page.get_by_role("button", name="End the room …").click()
    page.get_by_role("dialog").get_by_role("button", name="End the room").click()
    for one in pages:
        expect(one.get_by_role("alert")).to_contain_text("has ended")
        expect(one.locator("#room")).to_be_hidden()
        expect(one.locator("pre:visible")).to_have_count(0)
    assert board.board.ended


def test_both_pages_show_the_chapter_that_most_are_at_or_the_one_chosen(board, pages):
    page, projected = pages
    expect(projected.locator("#join")).to_have_text(
        f'from workshop import room\nroom.join("{board.url}", "{board.board.code}")'
    )
    expect(projected.locator("#named")).to_be_visible()  # before anybody tries, joining is all
    for number, exercise in enumerate(("1.1", "1.2", "9.2")):
        board.tell(board.join("Ada"), event("wrong", exercise, number))
    heading = page.locator("#table-heading")
    expect(heading).to_contain_text("01 · ")  # one who runs ahead moves nothing
    expect(projected.locator("h1")).to_contain_text("01 · ")
    expect(projected.locator("#bars strong").first).to_have_text("1.1")
    expect(page.get_by_role("row", name="Ada (3)")).to_be_visible()
    page.get_by_label("Chapter").select_option("9")
    expect(heading).to_contain_text("09 · ")
    expect(projected.locator("h1")).to_contain_text("09 · ")
    expect(page.get_by_label("Exercise", exact=True)).to_have_value("9.1")
    page.get_by_label("Chapter").select_option("where most are")
    expect(projected.locator("h1")).to_contain_text("01 · ")


def test_a_message_is_shown_to_the_room_until_it_is_hidden(board, pages):
    page, projected = pages
    said = "the function returns nothing: a line with `return` is missing"
    board.tell(board.join(), event("wrong", "0.2", 1, wording=said))
    page.get_by_role("button", name="Show to the room").click()
    expect(projected.locator("h1")).to_have_text("Exercise 0.2: a check says")
    expect(projected.locator("#message")).to_have_text(said.replace("`", ""))
    expect(page.locator("#shown")).to_contain_text("The room sees: 0.2, the function returns")
    page.get_by_role("button", name="Hide").click()
    expect(projected.locator("#message")).to_be_hidden()
    expect(page.locator("#shown")).to_be_hidden()


def test_the_boards_own_page_has_the_cell_to_copy(board, page):
    page.goto(board.url)
    copy = page.get_by_role("button", name="Copy")
    expect(copy).to_be_disabled()
    page.get_by_label("The room's code").fill(board.board.code.lower())
    page.get_by_label("Your name").fill('Ada "L"')
    copy.click()
    expect(page.get_by_text("Copied")).to_be_visible()
    page.get_by_label("Your name").fill("")
    bare = f'from workshop import room\nroom.join("{board.url}", "{board.board.code}")'
    expect(page.locator("#line")).to_have_text(bare)
    page.goto("about:blank")
    page.goto(f"{board.url}/#{board.board.code}")
    expect(page.locator("#line")).to_have_text(bare)
    page.get_by_label("Your name").click()
    page.keyboard.press("Control+v")  # into one line
    expect(page.get_by_label("Your name")).to_have_value(
        f'from workshop import room room.join("{board.url}", "{board.board.code}", "Ada \\"L\\"")'[
            :60
        ]
    )


def test_a_page_goes_on_when_the_board_is_back(tmp_path, page):
    with served(tmp_path) as board:
        port = int(board.url.rpartition(":")[2])
        page.goto(f"{board.url}/instructor#{board.board.secret}")
        expect(page.get_by_role("status")).to_contain_text("0 have joined")
    expect(page.get_by_role("alert")).to_contain_text("The board is away")
    with served(tmp_path, port=port) as board:
        board.join("Ada")
        expect(page.get_by_role("status")).to_contain_text("1 has joined,")
        expect(page.get_by_role("alert")).to_be_hidden()


def test_a_page_without_its_key_says_which_link_to_take(board, page):
    for path, said in (
        ("instructor", "needs the secret link"),
        ("instructor#guessed", "not one of this room"),
        ("projector", "needs the room's code"),
        ("projector#GUESSED", "not one of this room"),
    ):
        page.goto("about:blank")
        page.goto(f"{board.url}/{path}")
        expect(page.get_by_role("alert")).to_contain_text(said)
        expect(page.locator("#room")).to_be_hidden()
        page.evaluate("sessionStorage.clear()")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_axe_finds_nothing_in_any_state(board, pages, scheme, width):
    for one in pages:
        one.emulate_media(color_scheme=scheme)
        one.set_viewport_size({"width": width, "height": 800})

    def look(one: Page, state: str) -> None:
        screenshot(one, f"room-{scheme}-{width}-{state}")
        assert one.evaluate("document.documentElement.scrollWidth") <= width, state
        assert one.evaluate(CONTRAST) == [], state
        no_finding(one, state)

    page, projected = pages
    look(page, "empty")
    projected.bring_to_front()
    expect(projected.locator("#named")).to_be_visible()
    look(projected, "projector-joining")
    page.bring_to_front()
    learner = board.join("Ada of a very long name without an end in sight and more")
    said = "the function returns nothing: a line with `return` is missing"
    board.tell(learner, event("open", "0.3", 1), event("wrong", "0.2", 2, wording=said))
    board.tell(learner, event("right", "0.1", 3), event("help", "0.2", 4))
    board.tell(board.join(), event("wrong", "0.1", 5))
    board.board.set_clock("0.1", 5)
    expect(page.locator("td.solved")).to_be_visible()
    expect(page.locator("#said li")).to_have_count(2)
    look(page, "people")
    board.board.show("message", {"exercise": "0.2", "wording": said})
    expect(page.locator("#shown")).to_be_visible()
    look(page, "message")
    page.get_by_label("Show", exact=True).select_option("shares of the room")
    look(page, "shares")
    page.get_by_role("button", name="End the room …").click()
    look(page, "sure")
    projected.bring_to_front()
    expect(projected.locator("#message")).to_be_visible()
    look(projected, "projector-message")
    board.board.show("message")
    expect(projected.get_by_role("listitem")).to_have_count(1)
    look(projected, "projector-clock")
    board.board.show("clock")
    expect(projected.get_by_role("listitem").nth(1)).to_be_visible()
    look(projected, "projector")
    page.bring_to_front()
    page.goto(board.url)
    look(page, "start")
