"""What every service's page promises, in Chromium: it can be used by everyone, everywhere that the course runs.

What one service alone shows is in the tests of its page.
"""

import re
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import ARTIFACTS, screenshot
from jupyter_host import TOKEN, jupyter_server
from playwright.sync_api import FrameLocator, Page, expect
from services import Running
from starlette.responses import HTMLResponse

from workshop import launch

ANSWERED = re.compile(r"^(?!Looking)\S")
MOVES = """() => [...document.querySelectorAll('*')].filter(e => {
    const {transitionDuration, animationDuration} = getComputedStyle(e);
    return [transitionDuration, animationDuration].some(d => d.split(', ').some(s => parseFloat(s) > 0));
}).map(e => e.outerHTML.slice(0, 80))"""
CONTRAST = """() => {
    const numbers = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const behind = e => {
        for (; e; e = e.parentElement) {
            const colour = numbers(getComputedStyle(e).backgroundColor);
            if ((colour[3] ?? 1) > .99) return colour;
        }
        return [255, 255, 255];
    };
    const low = [];
    for (const e of document.querySelectorAll('body *')) {
        if (!e.checkVisibility() || !e.innerText?.trim() || !numbers(getComputedStyle(e).color)) continue;
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
        const [a, b] = [light(numbers(getComputedStyle(e).color)), light(behind(e))];
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < 4.5) low.push([e.outerHTML.slice(0, 80), ratio.toFixed(2)]);
    }
    return low;
}"""


def listed(service: Running, page: Page) -> Page:
    """The page, with the list of all items on it."""
    page.goto(service.url)
    expect(page.get_by_role("status")).to_have_text(ANSWERED)
    expect(page.locator(".card").first).to_be_visible()
    return page


def answered(page: Page | FrameLocator, service: Running) -> None:
    """Ask what finds something, and wait for the answer."""
    page.get_by_role("searchbox").fill(service.case.text)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("status")).to_have_text(ANSWERED)
    expect(page.locator("[aria-busy]")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_hidden()


def like_the_first(page: Page) -> None:
    """What is like the first item of the list."""
    page.locator(".card .find").first.click()
    expect(page.locator("#asked-name")).to_have_text(ANSWERED)
    expect(page.get_by_role("status")).to_have_text(ANSWERED)
    expect(page.locator("[aria-busy]")).to_have_count(0)


def no_finding(page: Page, state: str) -> None:
    """axe-core calls nothing moderate, serious or critical."""
    found = [
        (finding["id"], [node["html"][:120] for node in finding["nodes"]])
        for finding in Axe().run(page).response["violations"]
        if finding["impact"] != "minor"
    ]
    assert not found, f"{state}: {found}"


# ------------------------------------------------------------------------------- for everyone


def test_an_empty_page_says_what_to_do(empty, page):
    page.goto(empty.url)
    expect(page.locator("#empty")).to_be_visible()
    expect(
        page.locator("#empty").get_by_role("heading", name=re.compile("^No .* yet$"))
    ).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Load the sample"))).to_be_visible()
    expect(page.locator("#empty").get_by_role("button", name=re.compile("^Add "))).to_be_visible()
    screenshot(page, f"{empty.case.name}-empty")
    no_finding(page, "empty")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)]
)
def test_axe_finds_nothing_in_any_state(loaded, page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    named = f"{loaded.case.name}-{scheme}-{width}"

    def look(state: str) -> None:
        screenshot(page, f"{named}-{state}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state
        assert page.evaluate(CONTRAST) == [], state  # WCAG 2.2, 1.4.3, also where axe cannot tell
        no_finding(page, state)

    listed(loaded, page)
    look("list")
    like_the_first(page)
    look("like")
    answered(page, loaded)
    look("answer")
    page.locator("#add-files").set_input_files(
        {"name": "broken", "mimeType": "", "buffer": loaded.case.broken}
    )
    page.locator("#job-failed summary").click()
    look("job")
    if page.locator("#write").count():
        page.locator("#add").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        look("write")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
    page.route("**/*", lambda r: r.abort() if r.request.method == "POST" else r.continue_())
    page.get_by_role("searchbox").fill(loaded.case.text)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    look("error")
    page.unroute("**/*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text(ANSWERED)


def test_a_screen_reader_hears_landmarks_names_and_news(loaded, page):
    listed(loaded, page)
    answered(page, loaded)
    for role in ("banner", "main", "contentinfo", "search", "status"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.title() == page.get_by_role("heading", level=1).inner_text()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_the_keyboard_alone_asks_and_looks_at_an_answer(loaded, page):
    listed(loaded, page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=re.compile("^Skip to"))).to_be_focused()
    for focused in (page.locator("#add"), page.get_by_role("searchbox")):
        page.keyboard.press("Tab")
        expect(focused).to_be_focused()
    page.keyboard.type(loaded.case.text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(ANSWERED)
    expect(page.locator("[aria-busy]")).to_have_count(0)
    for _ in range(60):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", "one must see where one is"
        if page.evaluate("document.activeElement.matches('.card .find')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#asked-name")).to_have_text(ANSWERED)
    expect(page.locator("#results")).to_be_focused()  # where the answer is


@pytest.mark.parametrize("width", [320, 360, 720, 1280])
def test_controls_are_large_enough_and_in_view_on_screens_of_every_width(loaded, page, width):
    page.set_viewport_size({"width": width, "height": 740})
    listed(loaded, page)
    answered(page, loaded)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in page.locator("button:visible, select:visible, input:visible").all()[:12]:
        box = control.bounding_box()
        assert box["height"] >= 24 and box["width"] >= 24  # WCAG 2.2, 2.5.8
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_nothing_moves_for_those_who_want_it_still(loaded, page):
    page.emulate_media(reduced_motion="reduce")
    listed(loaded, page)
    answered(page, loaded)
    assert page.evaluate(MOVES) == []


# ---------------------------------------------------------------------------------- everywhere


def test_it_works_in_a_frame_of_another_origin(loaded, page):
    """As in a notebook: the cell's page is one origin, the service another."""
    html = f'<h2>A notebook</h2><iframe src="{loaded.url}/" width="900" height="600">'

    async def notebook(scope, receive, send):
        await HTMLResponse(html)(scope, receive, send)

    name, content = loaded.case.files[0]
    assert loaded.load([(f"framed-{name}", content)], category="framed")["state"] == "done"
    (item,) = loaded.client.get("items", params={"category": "framed"}).json()["items"]
    with launch(notebook, name="notebook") as outside:
        page.goto(outside.url.replace("127.0.0.1", "localhost"))
        frame = page.frame_locator("iframe")
        expect(frame.locator(".card").first).to_be_visible()
        answered(frame, loaded)
        frame.locator("#category").select_option("framed")
        named = re.escape(item["payload"]["name"])
        delete = frame.get_by_role("button", name=re.compile(f"^Delete {named}$"))
        expect(delete).to_have_count(1)
        delete.click()
        frame.get_by_role("button", name=re.compile(f"^Really delete {named}$")).click()
        expect(frame.get_by_role("status")).to_contain_text("is deleted")
        screenshot(page, f"{loaded.case.name}-frame")
    assert loaded.client.get(f"items/{item['id']}").status_code == 404


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    with jupyter_server(tmp_path_factory.mktemp("jupyter"), "/user/ada/") as address:
        yield address


def test_it_works_behind_jupyters_proxy(loaded, page, jupyter):
    page.goto(f"{jupyter}/user/ada/api/status?token={TOKEN}")  # a browser that is logged in
    sockets = []
    page.on("websocket", lambda socket: sockets.append(urlsplit(socket.url).path))
    below = f"/user/ada/proxy/{urlsplit(loaded.url).port}/"
    page.goto(f"{jupyter}{below}")
    expect(page.locator(".card").first).to_be_visible()
    answered(page, loaded)
    name, content = loaded.case.files[0]
    before = loaded.count()
    page.locator("#add-files").set_input_files(
        {"name": f"proxied-{name}", "mimeType": "", "buffer": content}
    )
    expect(page.locator("#job-text")).to_have_text(re.compile("^1 .* loaded$"))
    assert loaded.count() == before + 1
    assert len(sockets) == 1 and sockets[0].startswith(f"{below}jobs/")
    (new,) = loaded.client.get("items", params={"limit": 1}).json()["items"]
    loaded.client.delete(f"items/{new['id']}")


def test_it_asks_no_other_host_for_anything(loaded, page):
    asked = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    # What the page's own policy stops never leaves the browser.
    page.on("requestfailed", lambda r: r.failure == "csp" or asked.append(r.url))
    for path in ("", "docs", "redoc"):
        page.goto(f"{loaded.url}/{path}")
        page.wait_for_load_state("networkidle")
    hosts = {urlsplit(url).netloc for url in asked}
    assert {host for host in hosts if host} == {urlsplit(loaded.url).netloc}


@pytest.mark.parametrize("path", ["docs", "redoc"])
def test_the_api_pages_show_the_calls(loaded, page, path):
    page.goto(f"{loaded.url}/{path}")
    for call in ("GET /search/file", *loaded.case.calls):
        expect(page.get_by_text(call.split()[1]).first).to_be_visible()


def test_a_name_is_shown_as_text_whatever_is_in_it(loaded, page):
    name = "<img src=x onerror=alert(1)>"
    page.on("dialog", lambda dialog: pytest.fail("the name ran as a script"))
    loaded.load([(name, loaded.case.files[0][1])], category="odd names")
    listed(loaded, page)
    expect(page.locator(".card .name").first).to_have_text(name)
    (item,) = loaded.client.get("items", params={"category": "odd names"}).json()["items"]
    loaded.client.delete(f"items/{item['id']}")


# --------------------------------------------------------------------------------- service.js


@pytest.fixture
def module(loaded, page):
    """module(expression) evaluates it in the page, with `m` the module; nodes are given as HTML."""
    page.goto(loaded.url)
    expect(page.get_by_role("status")).to_have_text(ANSWERED)
    return lambda expression: page.evaluate(
        f"""() => import(new URL('page/service.js', document.baseURI)).then(m => {{
            const got = {expression};
            return got instanceof Node ? m.el('p', {{}}, got).innerHTML : got;
        }})"""
    )


@pytest.mark.parametrize(
    ("text", "spans", "shown"),
    [
        ("an owl flies", [[3, 6]], "an <mark>owl</mark> flies"),
        ("🦉 an owl", [[5, 8]], "🦉 an <mark>owl</mark>"),  # one character, as in Python
        ("an owl", [[4, 6], [3, 5]], "an <mark>ow</mark><mark>l</mark>"),
        ("an owl", [[3, 99], [7, 9], [2, 2]], "an <mark>owl</mark>"),
        ("<b>owl</b>", [[3, 6]], "&lt;b&gt;<mark>owl</mark>&lt;/b&gt;"),
        ("an owl", [], "an owl"),
    ],
)
def test_spans_are_lit_where_python_says(module, text, spans, shown):
    assert module(f"m.litText({text!r}, {spans})") == shown


def test_a_card_begins_where_the_first_lit_word_is(module):
    text = "🦉 " + "word " * 200 + "owl " + "word " * 200
    at = text.index("owl")
    part = module(f"m.snippet({text!r}, [[{at}, {at + 3}]], 100)")
    assert part["cut"] and part["text"].startswith("… word") and part["text"].endswith(" …")
    ((start, end),) = part["spans"]
    assert part["text"][start:end] == "owl"
    assert len(part["text"]) <= 104
    short = module("m.snippet('an owl', [[3, 6]], 100)")
    assert short == {"text": "an owl", "spans": [[3, 6]], "cut": False}


@pytest.mark.texts
def test_a_text_says_why_it_was_found_and_opens_to_its_end(module, page):
    module(
        """(() => {
            const node = document.getElementById('card').content.cloneNode(true).firstElementChild;
            const payload = {category: 'birds', text: 'An owl. ' + 'And so on. '.repeat(90) + 'The end.'};
            const why = [['meaning', .5], ['words', m.el('b', {}, 'owl')], ['more', undefined]];
            node.querySelector('.delete').remove();
            m.textCard(node, {score: .7, payload}, {spans: [[3, 6]], why});
            document.getElementById('items').replaceChildren(node);
        })()"""
    )
    card = page.locator(".card.text")
    expect(card.locator(".about")).to_have_text("birds · score 0.70")
    expect(card.locator(".why dt")).to_have_text(["meaning", "words"])
    expect(card.locator(".why dd")).to_have_text(["0.50", "owl"])
    expect(card.locator(".snippet mark")).to_have_text("owl")
    expect(card.locator(".snippet")).not_to_contain_text("The end.")
    card.get_by_role("button", name="Show all of it").click()
    expect(card.locator(".snippet")).to_contain_text("The end.")
    expect(card.get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
    screenshot(page, "card")
    assert page.evaluate(CONTRAST) == []
    no_finding(page, "a card")


def test_a_conversation_can_be_heard_and_its_sources_are_lit(module, page):
    page.locator("main").evaluate(
        """main => main.insertAdjacentHTML('afterbegin',
            '<div role="log" aria-label="Questions and answers"><ol id="thread" class="thread"></ol></div>')"""
    )
    for question in ("What flies at night?", "<b>Why?</b>"):
        module(
            f"""m.turn({question!r}).append(m.el('p', {{}}, 'An owl.'), m.source({{
                name: 'Chapter 11', href: 'docs', about: 'birds', text: 'An owl flies at night.', spans: [[3, 6]]
            }}))"""
        )
    turns = page.get_by_role("log").get_by_role("listitem")
    expect(turns).to_have_text([re.compile("^What flies"), re.compile("^<b>Why")])
    expect(turns.first.locator("mark")).to_have_text("owl")
    expect(turns.first.get_by_role("link", name="Chapter 11")).to_have_attribute("href", "docs")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(CONTRAST) == []
        no_finding(page, scheme)
    page.locator("#thread").screenshot(path=ARTIFACTS / "thread.png")


# -------------------------------------------------------------------------------------- texts


@pytest.mark.texts
def test_a_text_is_added_by_typing_or_pasting_it(loaded, page):
    listed(loaded, page)
    words = "Sixteen penguins knit a scarf"
    page.locator("body").evaluate(
        """(body, words) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData('text/plain', words);
            body.dispatchEvent(new ClipboardEvent('paste', {bubbles: true, cancelable: true, clipboardData}));
        }""",
        words,
    )
    box = page.get_by_role("dialog").get_by_role("textbox").first
    expect(box).to_have_value(words)
    expect(box).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type(" for a whale.")
    page.keyboard.press("Tab")
    page.keyboard.type("Wool")
    page.keyboard.press("Tab")
    page.keyboard.type("penguins")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#job-text")).to_have_text(re.compile("^1 .* loaded$"))
    (item,) = loaded.client.get("items", params={"category": "penguins"}).json()["items"]
    assert item["payload"]["name"] == "Wool"
    assert item["payload"]["text"] == f"{words} for a whale."
    expect(page.locator("#category option", has_text="penguins")).to_have_count(1)
    loaded.client.delete(f"items/{item['id']}")


@pytest.mark.texts
def test_a_dropped_file_of_many_is_added_and_its_bad_row_is_told_by_its_number(loaded, page):
    rows = "text,category\nA whale sings.,whales\n,whales\nA whale sleeps.,whales\n"
    listed(loaded, page)
    page.locator("body").evaluate(
        """(body, rows) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([rows], 'names.csv'));
            body.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer}));
        }""",
        rows,
    )
    expect(page.locator("#job-text")).to_have_text(re.compile("^2 .* loaded$"))
    page.get_by_text("1 row could not be loaded").click()
    expect(page.locator("#job-failed li")).to_have_text(re.compile("^names.csv, row 3: "))
    for item in loaded.client.get("items", params={"category": "whales"}).json()["items"]:
        loaded.client.delete(f"items/{item['id']}")


@pytest.mark.texts
def test_a_text_that_fails_to_go_in_is_not_lost(loaded, page):
    listed(loaded, page)
    page.locator("#add").click()
    page.get_by_role("dialog").get_by_role("textbox").first.fill("?!")
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    page.locator("#job-failed summary").click()
    expect(page.locator("#job-failed li")).to_contain_text("no word in it")
    page.route("**/items", lambda route: route.abort())
    page.locator("#add").click()
    box = page.get_by_role("dialog").get_by_role("textbox").first
    box.fill("A whale writes a long letter.")
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    page.locator("#add").click()
    expect(box).to_have_value("A whale writes a long letter.")
