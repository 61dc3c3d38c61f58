"""The page of the question answering in Chromium: a conversation, used as a person uses it."""

import re

import pytest
from browser import screenshot
from playwright.sync_api import Page, expect
from services import SERVICES, running

from workshop import passages

CASE = next(case for case in SERVICES if case.name == "question_answering")
NOTE = "## Bees\n\nBees make honey <b>all day</b>. They dance.\n\n## Cows\n\nCows give milk.\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(CASE, tmp_path_factory.mktemp("page")) as service:
        yield service


@pytest.fixture(scope="module")
def loaded(service):
    assert service.load_samples()["state"] == "done"
    return service


def ask(page: Page, question: str) -> None:
    page.get_by_label("Ask a question").fill(question)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=question, exact=True)).to_be_visible()


def newest(page: Page):
    return page.locator("#turns > li").first


def test_an_empty_page_says_so_and_still_answers_that_it_does_not_know(service, page):
    page.goto(service.url)
    expect(page.get_by_role("heading", name="No passages yet")).to_be_visible()
    ask(page, "What is a token?")
    expect(newest(page)).to_contain_text("I do not know.")
    expect(newest(page)).to_contain_text("There are no passages yet.")
    screenshot(page, "ask-1-empty")


def test_an_answer_is_lit_in_its_passage_and_names_its_source(loaded, page):
    page.goto(loaded.url)
    ask(page, "Why does a search for blue find oranges?")
    answer = newest(page).locator(".sentence").inner_text()
    assert "orange" in answer
    lit = newest(page).locator("mark")
    expect(lit).to_have_text(answer)
    expect(newest(page).locator(".source").first).to_contain_text("notebooks/02_embeddings.ipynb")
    expect(page.get_by_role("status")).to_contain_text(f"Answer: {answer}")
    screenshot(page, "ask-2-answer")


def test_what_is_not_known_comes_with_the_nearest_passages(loaded, page):
    page.goto(loaded.url)
    ask(page, "How high is Mount Everest?")
    expect(newest(page).locator(".sentence")).to_have_text("I do not know.")
    expect(newest(page).locator("mark")).to_have_count(0)
    newest(page).get_by_text("The nearest passages").click()
    expect(newest(page).locator(".source")).to_have_count(3)
    screenshot(page, "ask-3-unknown")


def test_a_question_may_lean_on_the_one_before_until_the_conversation_begins_anew(loaded, page):
    page.goto(loaded.url)
    sent = []
    page.on("request", lambda r: sent.append(r.post_data_json) if r.url.endswith("/ask") else None)
    ask(page, "What happens in Milvus Lite when two photos share a key?")
    ask(page, "And on a server?")
    expect(newest(page).locator(".sentence")).to_contain_text(
        "A server keeps both rows under one key"
    )
    assert sent[-1]["history"] == ["What happens in Milvus Lite when two photos share a key?"]
    expect(page.locator("#turns > li")).to_have_count(2)
    screenshot(page, "ask-4-conversation")
    page.get_by_role("button", name="Begin anew").click()
    expect(page.locator("#turns > li")).to_have_count(0)
    ask(page, "And on a server?")
    assert sent[-1]["history"] == []


def test_the_help_says_how_many_near_misses_are_answered(loaded, page):
    page.goto(loaded.url)
    page.get_by_text("How far to trust an answer").click()
    expect(page.get_by_text("four of five")).to_be_visible()


def test_an_added_file_becomes_passages_shown_as_text_with_their_source(loaded, page, tmp_path):
    path = tmp_path / "farm.md"
    path.write_text(NOTE, encoding="utf-8")
    page.goto(loaded.url)
    page.locator("#add-files").set_input_files(path)
    expect(page.locator("#job-text")).to_have_text("2 passages loaded")
    ask(page, "What do bees make?")
    expect(newest(page).locator(".sentence")).to_contain_text("Bees make honey")
    expect(newest(page).locator(".source").first).to_contain_text("farm.md“Bees”")
    expect(newest(page).locator("b")).to_have_count(0)


def test_the_list_below_shows_passages_and_finds_more_like_one(loaded, page):
    page.goto(loaded.url)
    expect(page.locator("#items > li")).to_have_count(60)
    page.locator("#items .find").first.click()
    expect(page.get_by_role("heading", name="Passages like this one")).to_be_visible()


def test_behind_the_proxy_of_jupyterlab_a_link_opens_the_chapter(loaded, page):
    """The address that the page makes is that of JupyterLab beside it."""
    prefix = "/user/x/proxy/8000/"

    def through_proxy(route, request):
        rest = request.url.split(prefix, 1)[1]
        route.fulfill(response=route.fetch(url=loaded.url.rstrip("/") + "/" + rest))

    page.route(re.compile(re.escape(prefix)), through_proxy)
    page.goto(loaded.url.rstrip("/") + prefix)
    ask(page, "Why does a search for blue find oranges?")
    link = newest(page).get_by_role("link", name="Open notebooks/02_embeddings.ipynb")
    expect(link.first).to_have_attribute("href", "/user/x/lab/tree/notebooks/02_embeddings.ipynb")


def test_on_a_narrow_screen_nothing_is_cut_off(loaded, page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(loaded.url)
    ask(page, "Why does a search for blue find oranges?")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, "ask-5-narrow")


# ---------------------------------------------------------------------------------- POST /ask


def test_an_answer_is_the_courses_own_text_at_its_place(loaded):
    course = {document.name: document for document in passages.course()}
    body = {"question": "What is a growing segment?"}
    told = loaded.client.post("ask", json=body).json()
    [citation] = told["citations"]
    place = course["03_milvus"].text[citation["start"] : citation["end"]]
    assert passages.plain(place) == citation["text"] == told["answer"]
    first, last = citation["lit"]
    assert told["hits"][0]["payload"]["text"][first:last] == told["answer"]
    assert citation["link"] == "notebooks/03_milvus.ipynb"
    assert told["sure"]["score"] >= told["sure"]["threshold"]


def test_the_service_finds_what_the_bot_in_memory_finds(loaded):
    from workshop.answering import LEFT_OUT, Bot, questions

    bot = Bot(passages.of_course(but=LEFT_OUT), progress=False)
    same = 0
    asked = questions("ordinary")
    for question in asked:
        told = loaded.client.post("ask", json={"question": question.text, "category": None}).json()
        best = bot.ask(question.text).hits[0].passage
        same += told["hits"][0]["payload"]["source"] == best.source
    assert same >= 0.9 * len(asked)


@pytest.mark.parametrize(
    "body, field",
    [
        ({}, "question"),
        ({"question": "?!"}, "question"),
        ({"question": "x" * 1_001}, "question"),
        ({"question": "a", "history": "b"}, "history"),
        ({"question": "a", "history": ["?"]}, "history.0"),
        ({"question": "a", "limit": 0}, "limit"),
        ({"question": "a", "colour": "red"}, "colour"),
    ],
)
def test_a_question_that_does_not_fit_is_refused_by_field(loaded, body, field):
    answer = loaded.client.post("ask", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == f"body.{field}"
