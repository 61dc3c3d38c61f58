"""Items that are texts: in the body of a request, and many in one file."""

import json

import pytest
from services import assert_problem

from app_snippets.service.jobs import TOLD_ROWS

pytestmark = pytest.mark.texts


def names(service, category: str) -> list[str]:
    """The names of the items of a category, oldest first; the items are deleted."""
    page = service.client.get("items", params={"category": category, "limit": 100}).json()
    for item in page["items"]:
        service.client.delete(f"items/{item['id']}")
    return [item["payload"]["name"] for item in reversed(page["items"])]


def post(service, *items: dict) -> dict:
    response = service.client.post("items", json={"items": list(items)})
    assert response.status_code == 202, response.text
    assert response.json()["accepted"] == len(items)
    return service.finished(response)


# ------------------------------------------------------------------------------- in a request


@pytest.mark.on_server
def test_texts_are_taken_in_named_shown_and_found(loaded):
    job = post(
        loaded,
        {"text": "A walrus sleeps on the quiet ice.", "category": "sent", "name": "walrus"},
        {
            "text": "  Trains leave the station\nat noon and come back at night.  ",
            "category": "sent",
        },
    )
    assert (job["state"], job["total"], job["done"], job["items"]) == ("done", 2, 2, 2)
    (first, *_) = loaded.hits(text="a walrus in the cold", category="sent")
    assert first["payload"] | {"text": "A walrus sleeps on the quiet ice."} == first["payload"]
    media = loaded.client.get(f"items/{first['id']}/media")
    assert media.text == "A walrus sleeps on the quiet ice."
    assert names(loaded, "sent") == [
        "walrus",
        "Trains leave the station at noon and come back at night.",
    ]


def test_a_text_without_a_category_is_an_upload(loaded):
    assert post(loaded, {"text": "Alone in the world."})["done"] == 1
    assert names(loaded, "uploads") == ["Alone in the world."]


@pytest.mark.parametrize(
    "body, field",
    [
        ({}, "items"),
        ({"items": []}, "items"),
        ({"items": [{}]}, "items.0.text"),
        ({"items": [{"text": ""}]}, "items.0.text"),
        ({"items": [{"text": 5}]}, "items.0.text"),
        ({"items": [{"text": "a"}, {"text": "b", "category": "<b>"}]}, "items.1.category"),
        ({"items": [{"text": "a", "name": "x" * 101}]}, "items.0.name"),
        ({"items": [{"text": "a", "colour": "red"}]}, "items.0.colour"),
        ({"items": [{"text": "a"}], "category": "b"}, "category"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_field_and_nothing_goes_in(loaded, body, field):
    before = loaded.count()
    problem = assert_problem(loaded.client.post("items", json=body), 422)
    assert problem["errors"][0]["field"] == f"body.{field}"
    assert loaded.count() == before


def test_a_text_without_a_word_is_told_and_the_rest_goes_in(loaded):
    job = post(
        loaded,
        {"text": "?!", "category": "sent", "name": "marks"},
        {"text": "word", "category": "sent"},
        {"text": "long " * 5_000, "category": "sent", "name": "long"},
    )
    assert (job["state"], job["done"]) == ("done", 1)
    assert [(f["name"], f["number"], f["row"]) for f in job["failed"]] == [
        ("marks", 1, None),
        ("long", 3, None),
    ]
    assert "no word" in job["failed"][0]["reason"]
    assert "24,999 characters" in job["failed"][1]["reason"]
    assert names(loaded, "sent") == ["word"]


def test_more_texts_than_are_allowed_are_refused(start):
    service = start(max_files=3)
    body = {"items": [{"text": f"text {n}"} for n in range(4)]}
    assert_problem(service.client.post("items", json=body), 413, "4 texts", "3")
    assert service.count() == 0


# --------------------------------------------------------------------------------- in a file

LINES = "First line of all.\n\n\nSecond line, after a gap.\r\nThird line\n"
PARAGRAPHS = "One paragraph\nof two lines.\n\nAnother one.\n   \n\nThe last.\n"
TABLE = 'name,text,category,colour\none,"A text, with a comma\nand a break",rows,red\n,Two is nameless.,,\n'
OBJECTS = '{"text": "An object.", "name": "one", "category": "rows"}\n\n{"text": "Nameless."}\n'
FILES = {
    "table": (TABLE, ["one", "Two is nameless."]),
    "table with tabs": ("text\tname\nA text\tone\nTwo\t\n", ["one", "Two"]),
    "table of Excel": ("\ufeffText;Name\nA text;one\nTwo;\n", ["one", "Two"]),
    "objects": (OBJECTS, ["one", "Nameless."]),
    "lines": ("First line.\nSecond line.\n", ["First line.", "Second line."]),
    "paragraphs": (PARAGRAPHS, ["One paragraph of two lines.", "Another one.", "The last."]),
    "lines of Windows": ("First line.\r\nSecond line.\r\n", ["First line.", "Second line."]),
    "one text": ("All of it.", ["notes.bin"]),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("coding", ["utf-8", "utf-16"])
def test_a_file_becomes_the_items_that_are_in_it(loaded, kind, coding):
    content, expected = FILES[kind]
    content = content.removeprefix("\ufeff") if coding == "utf-16" else content
    job = loaded.load([("notes.bin", content.encode(coding))], category="rows")
    assert (job["state"], job["total"], job["done"]) == ("done", 1, 1)
    assert (job["items"], job["failed"]) == (len(expected), [])
    assert names(loaded, "rows") == expected


@pytest.mark.on_server
def test_a_bad_row_is_told_by_its_number_and_the_good_ones_go_in(loaded):
    table = "text,category\ngood,rows\n?!,rows\nlong and good,rows\n" + f"{'x' * 30_000},rows\n"
    table += "good,<b>\ngood\ngood,rows,more\n"
    job = loaded.load([("a.csv", table.encode()), ("b.csv", table.encode())])
    assert (job["state"], job["total"], job["done"], job["items"]) == ("done", 2, 2, 4)
    told = [(f["name"], f["number"], f["row"]) for f in job["failed"]]
    assert told[:5] == [("a.csv", 1, row) for row in (3, 5, 6, 7, 8)]
    assert told[5:] == [("b.csv", 2, row) for row in (3, 5, 6, 7, 8)]
    for failure, word in zip(
        job["failed"], ["word", "30,000", "category", "cells", "cells"], strict=False
    ):
        assert word in failure["reason"]
    assert names(loaded, "rows") == ["good", "long and good"] * 2


def test_objects_that_are_none_are_told_by_their_line(loaded):
    lines = [
        '{"text": "good"}',
        "",
        "{",
        "[1]",
        '{"text": 5, "name": "a number"}',
        '{"text": ["a"]}',
    ]
    lines += ['{"name": "no text"}', '{"text": "good too", "category": null}']
    job = loaded.load([("a.jsonl", "\n".join(lines).encode())], category="rows")
    assert (job["done"], job["items"]) == (1, 3)
    assert [f["row"] for f in job["failed"]] == [3, 4, 6, 7]
    assert names(loaded, "rows") == ["good", "a number", "good too"]


def test_a_file_without_a_good_row_has_failed(loaded):
    job = loaded.load([("a.csv", b"text\n?!\n...\n")])
    assert (job["state"], job["done"], job["items"]) == ("failed", 0, 0)
    assert [f["row"] for f in job["failed"]] == [2, 3, None]
    assert "None of its rows" in job["failed"][-1]["reason"]


def test_of_very_many_bad_rows_the_first_are_told_and_the_number_of_the_others(loaded):
    table = "text\ngood\n" + "?!\n" * (TOLD_ROWS + 50)
    job = loaded.load([("a.csv", table.encode())], category="rows")
    assert len(job["failed"]) == TOLD_ROWS + 1
    assert "50 more rows" in job["failed"][-1]["reason"]
    assert names(loaded, "rows") == ["good"]


BAD_FILES = {
    "Käse und Brot\nzwei".encode("latin-1"): "line 1",
    b"a\nb\nc \xff": "line 3",
    b"zero \x00 byte": "zero bytes",
    b"": "empty",
    b" \n\n ": "nothing",
    b"text,name\n": "nothing",
}


@pytest.mark.parametrize("content", BAD_FILES)
def test_a_file_that_is_no_text_is_refused_by_name_with_the_reason(loaded, content):
    job = loaded.load([("some.txt", content)])
    assert (job["state"], job["items"]) == ("failed", 0)
    assert "some.txt" in job["failed"][0]["reason"]
    assert BAD_FILES[content] in job["failed"][0]["reason"]


def test_too_many_rows_are_refused_and_none_goes_in(start):
    service = start(max_rows=300)
    job = service.load([("many.txt", b"a line\n" * 301)])
    assert (job["state"], job["items"]) == ("failed", 0)
    assert "300" in job["failed"][0]["reason"]
    assert service.count() == 0
    assert service.load([("many.txt", b"a line\n" * 300)])["items"] == 300


def test_the_items_of_a_file_are_found_together(start):
    """While it is worked off none of them is counted, listed or found; a cancel leaves none."""
    service = start()
    rows = "".join(f"An owl with the number {n}.\n" for n in range(20_000)).encode()
    accepted = service.client.post("items", files=[("files", ("owls.txt", rows))])
    watched = 0
    while watched < 5:
        job = service.client.get(accepted.headers["location"]).json()
        assert not job["finished_at"], job
        assert service.hits(text="owl") == []
        assert service.count() == 0
        assert service.client.get("items").json()["total"] == 0
        watched += job["state"] == "running"
    service.client.delete(accepted.headers["location"])
    job = service.finished(accepted)
    assert (job["state"], job["items"]) == ("interrupted", 0)
    assert service.count() == 0
    assert service.hits(text="owl") == []
    assert list((service.folder / "media").iterdir()) == []


# ---------------------------------------------------------------------- searches of every kind


def test_the_description_shows_both_bodies(loaded):
    document = loaded.client.get("openapi.json").json()
    content = document["paths"]["/items"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert "items" in document["components"]["schemas"][name]["properties"]


def test_a_text_searches_as_a_file_as_it_does_typed(loaded):
    text = loaded.case.files[0][1].decode()
    file = {"file": ("a.txt", text.encode("utf-16"))}
    by_file = loaded.client.post("search/file", files=file).json()["hits"]
    assert json.dumps(by_file) == json.dumps(loaded.hits(text=text))
