"""The photo set: its table, its files, and what happens when one of them is damaged."""

import hashlib
import shutil
from collections import Counter

import build_data
import numpy as np
import pytest
from PIL import Image

from workshop import WorkshopError, datasets
from workshop.datasets import IMAGES, photos
from workshop.paths import DATA


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The photo set in a folder that a test may damage."""
    folder = tmp_path / "images"
    shutil.copytree(IMAGES, folder)
    monkeypatch.setattr(datasets, "IMAGES", folder)
    return folder


def test_the_set_has_430_pictures_with_unique_ids():
    assert len(photos()) == 430
    assert len({p.id for p in photos()}) == 430
    assert [p.id for p in photos()] == sorted(p.id for p in photos())


def test_table_and_folder_name_the_same_files():
    assert {p.path.name for p in photos()} == {p.name for p in IMAGES.glob("*.webp")}


def test_no_two_pictures_are_the_same_but_the_pair_that_the_readme_names():
    seen = Counter(hashlib.sha256(p.path.read_bytes()).hexdigest() for p in photos())
    assert sorted(seen.values())[-2:] == [1, 2]
    pair = {p.id: p.path.read_bytes() for p in photos() if "fireman240a" in p.id}
    assert pair["military-fireman240a"] == pair["people-fireman240a"]


def test_24_categories_have_at_least_five_pictures_and_hold_360():
    sizes = [n for n in Counter(p.category for p in photos()).values() if n >= 5]
    assert (len(sizes), sum(sizes)) == (24, 360)


def test_every_picture_opens_as_rgb_of_at_most_256_pixels_and_shows_something():
    for photo in photos():
        image = photo.open()
        assert image.mode == "RGB"
        assert max(image.size) <= 256
        assert np.ptp(np.asarray(image)) > 60, f"{photo.id} is blank"


def test_every_picture_has_name_licence_credit_and_kind():
    for photo in photos():
        assert photo.name and photo.name[0].isupper() and photo.name[-1] not in ".!?", photo
        assert len(photo.name) <= 30, photo
        assert photo.licence and photo.credit
        assert "@" not in photo.credit
        assert photo.kind in {"photo", "drawing"}


def test_chinese_names_have_chinese_letters_or_are_empty():
    for photo in photos():
        assert not photo.name_zh or any("\u4e00" <= c <= "\u9fff" for c in photo.name_zh), photo


def test_the_numbers_in_the_readme_are_those_of_the_table():
    text = (DATA / "README.md").read_text(encoding="utf-8")
    kinds = Counter(p.kind for p in photos())
    unnamed = sum(not p.name_zh for p in photos())
    assert f"{kinds['photo']} of them are cut-outs of photos" in text
    assert f"{kinds['drawing']} are drawn" in text
    assert f"for the {unnamed} pictures without" in text


def test_a_category_keeps_the_folders_inside_it_and_no_namesake():
    assert {p.category for p in photos("clothes")} == {"clothes", "clothes/hats"}
    assert {p.category for p in photos("animals/birds")} == {"animals/birds"}
    with pytest.raises(WorkshopError, match=r"'cloth'.*clothes/hats"):
        photos("cloth")


def test_the_list_belongs_to_the_caller():
    photos().clear()
    assert len(photos()) == 430


def test_an_altered_file_is_named_with_what_to_do(copy):
    damaged = copy / "animals-birds-owl.webp"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(WorkshopError, match=r"animals-birds-owl\.webp is altered.*git checkout"):
        photos()


def test_a_missing_file_is_named_with_what_to_do(copy):
    (copy / "food-pizza.webp").unlink()
    with pytest.raises(WorkshopError, match=r"food-pizza\.webp is missing.*git checkout"):
        photos()


def test_many_damaged_files_are_counted_and_some_are_named(copy):
    for path in copy.glob("food-*.webp"):
        path.unlink()
    with pytest.raises(WorkshopError, match=r"^5\d of the photo set's files: .*, …\. Put"):
        photos()


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table.unlink(),
        lambda table: table.write_bytes(b""),
        lambda table: table.write_bytes(b"id,file\nowl,owl.webp\n"),
        lambda table: table.write_bytes(table.read_bytes()[:20_000]),
        lambda table: table.write_bytes(b"\xff\xfe" + table.read_bytes()),
    ],
    ids=["missing", "empty", "columns", "cut short", "not UTF-8"],
)
def test_a_damaged_table_is_an_error_that_says_what_to_do(copy, damage):
    damage(copy / "photos.csv")
    with pytest.raises(WorkshopError, match="git checkout -- data/images"):
        photos()


def test_once_repaired_the_set_loads_again(copy):
    path = copy / "food-pizza.webp"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(WorkshopError):
        photos()
    path.write_bytes(kept)
    assert len(photos()) == 430


def test_the_script_refuses_another_package(tmp_path):
    other = tmp_path / "other.deb"
    other.write_bytes(b"not the package")
    with pytest.raises(SystemExit, match="sha256 differs"):
        build_data.build(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cut_out_is_laid_on_its_background_scaled_down_and_encoded_the_same_twice(tmp_path):
    cutout = Image.new("RGBA", (512, 128), (255, 0, 0, 0))
    cutout.paste((0, 0, 255, 255), (0, 0, 256, 128))
    source = tmp_path / "blue.png"
    cutout.save(source)
    data = build_data.webp(source, "white")
    assert data == build_data.webp(source, "white")
    (tmp_path / "blue.webp").write_bytes(data)
    with Image.open(tmp_path / "blue.webp") as image:
        assert image.size == (256, 64)
        assert np.allclose(image.getpixel((10, 32)), (0, 0, 255), atol=6)
        assert np.allclose(image.getpixel((250, 32)), (255, 255, 255), atol=2)


@pytest.mark.parametrize(
    ("caption", "name"),
    [
        ("A blackbird.", "Blackbird"),
        ("An owl.", "Owl"),
        ("A pair of open scissors.", "Open scissors"),
        ("A “Fuji” apple.", "Fuji apple"),
        ("A plumber’s wrench.", "Plumber's wrench"),
        ("A peacock (a male peafowl).", "Peacock"),
    ],
)
def test_a_caption_becomes_a_name(caption, name):
    assert build_data.caption(caption) == name
