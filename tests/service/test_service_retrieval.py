"""Does the search find what a person would call similar? On the real photos, through the API."""

from collections import Counter

import pytest

from workshop import datasets

# The words were written down, and committed, before anything was measured: the ten categories with
# most photos, each by its own plain English name.
WORDS = {
    "mammal": "animals/mammals",
    "bird": "animals/birds",
    "fruit": "food/fruit",
    "flower": "plants/flowers",
    "road sign": "town/roadsigns",
    "vegetable": "food/vegetables",
    "christmas": "seasonal/christmas",
    "halloween": "seasonal/halloween",
    "clothes": "clothes",
    "tool": "household/tools",
}


@pytest.fixture(scope="module")
def photos(loaded):
    if loaded.case.name != "reverse_image_search":
        pytest.skip("this measure is for photos")
    return loaded


def items(service) -> list[dict]:
    found, total = [], None
    while total is None or len(found) < total:
        page = service.client.get("items", params={"limit": 100, "offset": len(found)}).json()
        found, total = found + page["items"], page["total"]
    return found


def test_ten_words_are_the_names_of_the_ten_largest_categories():
    largest = Counter(photo.category for photo in datasets.photos()).most_common(10)
    assert set(WORDS.values()) == {category for category, _ in largest}


def test_photos_find_photos_of_their_category(photos):
    """Leave-one-out precision@5 over the categories with at least five photos.

    Queries and candidates are the photos of those categories: a photo of another category is no
    wrong answer among them. As the learner sees it, with all photos as candidates, it is less.
    """
    every = items(photos)
    sizes = Counter(item["payload"]["category"] for item in every)
    large = {category for category, size in sizes.items() if size >= 5}
    among_large, among_all = [], []
    for item in every:
        category = item["payload"]["category"]
        if category not in large:
            continue
        hits = photos.hits(item_id=item["id"], limit=50)
        assert item["id"] not in [hit["id"] for hit in hits]
        found = [hit["payload"]["category"] for hit in hits]
        candidates = [other for other in found if other in large]
        assert len(candidates) >= 5
        among_large.append(candidates[:5].count(category) / 5)
        among_all.append(found[:5].count(category) / 5)
    precision, seen = (sum(values) / len(values) for values in (among_large, among_all))
    print(f"precision@5 {precision:.3f} over {len(among_large)} photos; {seen:.3f} among all")
    assert len(among_large) == 360
    assert precision >= 0.60
    assert seen >= 0.57


def test_words_find_photos_of_their_category(photos):
    found = {
        word: any(hit["payload"]["category"] == category for hit in photos.hits(text=word, limit=5))
        for word, category in WORDS.items()
    }
    print(found)
    assert sum(found.values()) >= 7, found
