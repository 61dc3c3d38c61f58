"""What the recommender alone does: recommendations with reasons, films by name, and its page."""

import re

import pytest
from playwright.sync_api import expect
from services import assert_problem

from workshop.recommending import WEIGHT

pytestmark = pytest.mark.service("recommender")


def found(service, name: str) -> str:
    """The id of the film of that name."""
    hits = service.hits(text=name, limit=3)
    return next(hit["id"] for hit in hits if hit["payload"]["name"] == name)


def recommended(service, **body) -> list[dict]:
    response = service.client.post("recommend", json=body)
    assert response.status_code == 200, response.text
    return response.json()["hits"]


@pytest.fixture(scope="module")
def ids(loaded):
    names = ("Toy Story (1995)", "The Matrix (1999)", "Finding Nemo (2003)", "Shrek (2001)")
    return {name: found(loaded, name) for name in names}


# ------------------------------------------------------------------------------ recommendations


@pytest.mark.on_server
def test_scores_are_the_sum_of_their_parts_and_fall(loaded, ids):
    likes, dislikes = [*ids.values()][:3], [ids["Shrek (2001)"]]
    hits = recommended(loaded, likes=likes, dislikes=dislikes, limit=20)
    assert len(hits) == 20
    assert not {hit["id"] for hit in hits} & {*likes, *dislikes}
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    for hit in hits:
        parts = hit["likes"] + hit["dislikes"] + hit["popularity"]
        assert hit["score"] == pytest.approx(parts, abs=1e-6)
        assert 0 <= hit["popularity"] <= WEIGHT + 1e-6
        named = [reason["part"] for reason in hit["because"]]
        assert named == sorted(named, reverse=True) and all(part > 0 for part in named)
        assert {reason["id"] for reason in hit["because"]} <= {*likes}
        assert all(ids[reason["name"]] == reason["id"] for reason in hit["because"])


def test_the_model_alone_recommends_the_same(loaded, ids):
    from app_snippets import recommender

    model = recommender.FilmEncoder(recommender.Settings()).model
    names = [film.name for film in model.films]
    rows, parts = model.recommend([names.index(name) for name in ids], k=10)
    hits = recommended(loaded, likes=[*ids.values()], limit=10)
    assert [hit["payload"]["name"] for hit in hits] == [names[row] for row in rows]
    assert [hit["score"] for hit in hits] == pytest.approx(parts.sum(axis=1), abs=1e-5)


def test_without_likes_the_popular_films_come_and_it_says_so(loaded):
    hits = recommended(loaded)
    assert len(hits) == 10
    assert {hit["made"] for hit in hits} == {"popularity"}
    assert hits[0]["popularity"] == pytest.approx(WEIGHT, abs=1e-6)
    assert not any(hit["because"] for hit in hits)


def test_what_is_not_wanted_moves_the_list_away_from_it(loaded, ids):
    likes = [ids["Toy Story (1995)"], ids["Finding Nemo (2003)"]]
    before = {hit["id"]: hit["score"] for hit in recommended(loaded, likes=likes, limit=50)}
    after = recommended(loaded, likes=likes, dislikes=[ids["Shrek (2001)"]], limit=50)
    shrek_2 = found(loaded, "Shrek 2 (2004)")
    assert next(hit for hit in after if hit["id"] == shrek_2)["score"] < before[shrek_2]


def test_a_category_is_kept_to(loaded, ids):
    hits = recommended(loaded, likes=[*ids.values()], category="Western", limit=100)
    assert len(hits) == 74
    assert {hit["payload"]["category"] for hit in hits} == {"Western"}


def test_a_like_that_is_named_twice_counts_once(loaded, ids):
    toys = ids["Toy Story (1995)"]
    assert recommended(loaded, likes=[toys, toys]) == recommended(loaded, likes=[toys])


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"likes": ["0" * 32]}, 404, "0" * 32),
        ({"dislikes": ["0" * 32]}, 404, "0" * 32),
        ({"likes": "all"}, 422, "likes"),
        ({"likes": ["a"] * 101}, 422, "likes"),
        ({"limit": 0}, 422, "limit"),
        ({"stars": 5}, 422, "stars"),
    ],
)
def test_a_wish_that_does_not_fit_is_refused(loaded, body, status, word):
    assert_problem(loaded.client.post("recommend", json=body), status, word)


# ------------------------------------------------------------------------------ films


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("toy stroy", "Toy Story (1995)"),
        ("matrx", "The Matrix (1999)"),
        ("psycho 1960", "Psycho (1960)"),
    ],
)
def test_a_film_is_found_by_its_name_however_it_is_typed(loaded, typed, name):
    assert loaded.hits(text=typed, limit=1)[0]["payload"]["name"] == name


def test_more_like_this_does_not_depend_on_how_well_a_film_is_known(loaded, ids):
    names = [hit["payload"]["name"] for hit in loaded.hits(item_id=ids["Toy Story (1995)"])]
    assert {"Toy Story 2 (1999)", "A Bug's Life (1998)", "Monsters, Inc. (2001)"} <= {*names[:5]}


def test_a_new_film_is_like_those_of_its_genres(loaded):
    text = "The Haunted Spaceship (2026) | Horror | Sci-Fi"
    accepted = loaded.client.post("items", json={"items": [{"text": text}]})
    assert loaded.finished(accepted)["items"] == 1
    (item,) = loaded.client.get("items", params={"limit": 1}).json()["items"]
    assert item["payload"] == {
        "name": "The Haunted Spaceship (2026)",
        "category": "uploads",
        "text": text,
        "year": 2026,
        "genres": ["Horror", "Sci-Fi"],
    }
    near = loaded.hits(item_id=item["id"])
    loaded.client.delete(f"items/{item['id']}")
    assert sum(bool({"Horror", "Sci-Fi"} & {*hit["payload"]["genres"]}) for hit in near) >= 7


def test_a_line_without_a_title_is_told_and_the_rest_goes_in(loaded):
    job = loaded.load(
        [("films.txt", b"Good (2001) | Drama\n | Drama\nFine | War\n")], category="rows"
    )
    assert (job["state"], job["items"]) == ("done", 2)
    assert [failure["row"] for failure in job["failed"]] == [2]
    assert "no title" in job["failed"][0]["reason"]
    for item in loaded.client.get("items", params={"category": "rows"}).json()["items"]:
        loaded.client.delete(f"items/{item['id']}")


# ------------------------------------------------------------------------------ the page


def card(page, name: str):
    return page.locator(".card", has=page.get_by_role("heading", name=name, exact=True))


def settled(page):
    expect(page.locator("[aria-busy]")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_hidden()


def find(page, typed: str):
    page.get_by_role("searchbox").fill(typed)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("heading", name=f"Films for “{typed}”")).to_be_visible()
    settled(page)


def test_the_list_follows_what_one_marks_and_says_why(loaded, page):
    page.goto(loaded.url)
    find(page, "toy stroy")
    like = card(page, "Toy Story (1995)").get_by_role("button", name=re.compile("^I like it"))
    like.click()
    expect(like).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Recommend from this").click()
    expect(page.get_by_role("heading", name="Films for you", level=2)).to_be_visible()
    settled(page)
    expect(page.locator(".card")).to_have_count(24)
    expect(card(page, "Toy Story (1995)")).to_have_count(0)
    expect(page.locator(".card .why").first).to_contain_text("Toy Story (1995) (+0.")

    first = page.locator(".card .name").first.inner_text()
    card(page, first).get_by_role("button", name=re.compile("^Not this")).click()
    settled(page)
    expect(card(page, first)).to_have_count(0)
    expect(page.get_by_role("list", name="Films that you do not want")).to_contain_text(first)
    expect(page.locator("#results")).to_be_focused()

    page.get_by_role("button", name=f"Take {first} out").click()
    settled(page)
    expect(page.locator(".card .name").first).to_have_text(first)
    page.get_by_role("button", name="Forget them").click()
    expect(page.get_by_role("heading", name="All films")).to_be_visible()
    expect(page.get_by_text("Mark films with")).to_be_visible()


def test_likes_stay_in_the_page(loaded, page):
    page.goto(loaded.url)
    find(page, "matrix")
    card(page, "The Matrix (1999)").get_by_role("button", name=re.compile("^I like it")).click()
    expect(page.get_by_role("list", name="Films that you like")).to_contain_text("The Matrix")
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    page.reload()
    expect(page.get_by_text("Mark films with")).to_be_visible()


def test_what_is_no_film_is_looked_for_as_it_is_written(loaded):
    for text in ("| Drama", "(1999)", "toy | | |"):
        assert loaded.client.post("search", json={"text": text}).status_code == 200
        answer = loaded.client.post("search/file", files={"file": ("a.txt", text.encode())})
        assert answer.status_code in (200, 415)
