"""The site for those who only read, as `make site` makes it: built once, looked at in Chromium from its files."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import build_site
import nbformat
import owner
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from browser import browser, page, screenshot  # noqa: F401
from playwright.sync_api import Browser, Page, expect

from workshop.paths import ROOT

CHAPTERS = sorted(path.stem for path in (ROOT / "solutions" / "src").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def sphinx() -> None:
    """Skips where Sphinx is not installed; with CI=true it is, or the tests fail."""
    if os.environ.get("CI") != "true" and find_spec("myst_nb") is None:
        pytest.skip("Sphinx is not installed here: `make site` installs it")


@pytest.fixture(scope="module")
def site(sphinx: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("made") / "site"
    done = subprocess.run(
        [sys.executable, "tools/build_site.py", f"--to={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr  # a warning of Sphinx, a dead link
    assert done.stdout.startswith(f"The site is made: open {folder / 'index.html'}\n")
    return folder


@pytest.fixture
def conf(sphinx: None) -> ModuleType:
    """What Sphinx reads first, as a module."""
    spec = spec_from_file_location("conf", ROOT / "tools" / "site" / "conf.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def opened(site: Path, page: Page):
    """opened("solutions/01_vectors") shows that page, from its file."""

    def show(name: str) -> Page:
        page.goto((site / f"{name}.html").as_uri())
        return page

    return show


def test_every_chapter_and_text_has_a_page_and_nothing_else_has(site):
    made = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    wanted = {f"solutions/{name}" for name in [*CHAPTERS, "glossary"]} | {"index", "README"}
    wanted |= {"search", "app_snippets/README", "data/README", "CONTRIBUTING"}
    if (ROOT / "INSTRUCTORS.md").exists():
        wanted.add("INSTRUCTORS")
    assert {name for name in made if not name.startswith("_static/")} == wanted


def test_a_chapter_is_reached_from_the_map_and_the_next_from_there(opened):
    page = opened("index")
    page.get_by_role("main").get_by_role("link", name="01 Vectors and similarity").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("01 · Vectors and similarity")
    page.get_by_role("link", name="02 · From things to vectors").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("02 · From things to vectors")


def test_solutions_are_folded_and_what_came_out_is_shown(opened):
    page = opened("solutions/01_vectors")
    solution = page.locator("details", has_text="def cosine_scores")
    expect(solution.locator("pre")).to_be_hidden()
    expect(page.get_by_text("one query against all: only the direction counts")).to_be_visible()
    solution.get_by_text("Show the solution").click()
    expect(solution.locator("pre")).to_be_visible()
    folded = page.locator("details", has_text="Show the solution").count()
    assert folded == len(re.findall("BEGIN SOLUTION", source("01_vectors")))
    assert page.locator("pre", has_text="load_digits()").first.is_visible(), (
        "code that is no solution"
    )


def source(chapter: str) -> str:
    return (ROOT / "solutions" / "src" / f"{chapter}.py").read_text("utf-8")


def test_pictures_have_their_words_and_formulas_need_no_script(opened):
    page = opened("solutions/15_molecules")
    pictures = page.locator("article img").evaluate_all("all => all.map(one => one.alt)")
    assert len(pictures) >= 5
    assert [words for words in pictures if len(words.split()) < 4] == []
    assert page.locator("math mfrac").first.bounding_box()["height"] > 10


def test_a_term_leads_to_its_place_in_the_glossary(opened):
    page = opened("solutions/02_embeddings")
    page.get_by_role("main").get_by_role("link", name="embedding", exact=True).first.click()
    expect(page).to_have_url(re.compile(r"glossary\.html#embeddings?$"))
    expect(page.locator(":target")).to_be_in_viewport()


def test_the_search_needs_no_network_and_no_server(opened):
    page = opened("search")
    form = page.locator("form.bd-search").last
    form.locator("input[type=search]").fill("tokenizer")
    form.locator("input[type=search]").press("Enter")
    expect(page.locator("#search-results")).to_contain_text("From things to vectors")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_everybody_can_read_it(opened, page, scheme, width):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    for name in ("index", "solutions/01_vectors", "app_snippets/README"):
        opened(name)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        screenshot(page, f"site-{scheme}-{width}-{name.replace('/', '-')}")
        found = [
            (one["id"], one["nodes"][0]["html"][:120])
            for one in Axe().run(page).response["violations"]
            if one["impact"] != "minor"
        ]
        assert not found, (name, found)


def test_no_page_is_wider_than_a_telephone(site, opened, page):
    page.set_viewport_size({"width": 320, "height": 800})
    for path in site.glob("[!_]*/*.html"):
        opened(path.relative_to(site).with_suffix("").as_posix())
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path.name


def test_without_scripts_it_can_be_read_too(site, browser: Browser):
    page = browser.new_page(java_script_enabled=False)
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="01 · Vectors and similarity").click()
    expect(page.get_by_text("The package scikit-learn brings 1,797 small pictures")).to_be_visible()
    solution = page.locator("details", has_text="def cosine_scores")
    solution.locator("summary").click()
    expect(solution.locator("pre")).to_be_visible()
    page.close()


# -------------------------------------------------------------------------- what is told at once


def test_what_leads_nowhere_or_asks_another_machine_is_named_with_its_page(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="b/c.html#there"><a href="https://example.org/">'
        '<link rel="stylesheet" href="https://example.org/a.css"><img src="data:image/png;base64,">'
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.html").write_text(
        '<a href="../a.html#here"><a href="#away"><img src="../no.png"><a href="../a.html#nowhere">'
        '<a href="../b"><script src="//example.org/a.js">'
    )
    assert list(build_site.faults(tmp_path)) == [
        "a.html: b/c.html#there",
        "a.html: https://example.org/a.css",
        "b/c.html: #away",
        "b/c.html: ../a.html#nowhere",
        "b/c.html: ../b",
        "b/c.html: ../no.png",
        "b/c.html: //example.org/a.js",
    ]


def test_a_warning_of_sphinx_is_an_error_and_the_old_site_stays(site, tmp_path, monkeypatch):
    monkeypatch.setattr(build_site, "ROOT", tmp_path / "root")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "README.md").write_text("# A course\n\n[dead](solutions/99_none.ipynb)\n")
    old = tmp_path / "old"
    old.mkdir()
    (old / build_site.MARK).touch()
    with pytest.raises(SystemExit, match=r"(?s)could not be built:.*WARNING: .*99_none\.ipynb"):
        build_site.build(old)
    assert [path.name for path in old.iterdir()] == [build_site.MARK]


def test_a_folder_that_is_no_site_is_not_replaced(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(SystemExit, match="is no site made here"):
        build_site.build(tmp_path)
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize("repository", ["someone/course", None])
def test_a_button_opens_the_learners_chapter_on_binder_where_the_owner_is_known(
    conf, monkeypatch, repository
):
    monkeypatch.setattr(conf, "REPOSITORY", repository)
    chapter = [(ROOT / "solutions" / "01_vectors.ipynb").read_text("utf-8")]
    conf.read(None, "solutions/01_vectors", chapter)
    first = nbformat.reads(chapter[0], as_version=4).cells[0].source
    readme = [f"# Course\n\n{owner.line_for(repository)}\n\nA workshop.\n"]
    conf.read(None, "README", readme)
    if repository is None:
        assert "Binder" not in first + readme[0]
        return
    address = "https://mybinder.org/v2/gh/someone/course/HEAD?urlpath=lab/tree/notebooks/"
    assert (
        f'<a class="binder" href="{address}01_vectors.ipynb">Open this chapter on Binder</a>'
        in first
    )
    assert f'href="{address}00_start_here.ipynb">Open the course on Binder</a>' in readme[0]
    assert "badge" not in readme[0], "a picture from another machine"


def test_the_hosted_workflow_builds_it_for_all_and_publishes_it_where_the_owner_allows():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "site.yml").read_text("utf-8"))
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert any("make site" in step.get("run", "") for step in build["steps"])
    assert build["steps"][-1]["with"]["path"] == "site"
    assert workflow["permissions"] == {"contents": "read"}, "only the publishing job may write"
    assert "vars.PUBLISH_SITE == 'true'" in publish["if"]
    assert publish["needs"] == "build"
