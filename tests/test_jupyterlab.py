"""The course as a person meets it: `make lab`, JupyterLab in Chromium, cells run one by one.

Each step leaves a screenshot in artifacts/.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import nbformat
import pytest
from browser import browser, page, screenshot  # noqa: F401
from nbformat import NotebookNode
from playwright.sync_api import Locator, Page, expect

from workshop import datasets
from workshop.paths import ROOT

TOKEN = "a-token-for-the-test"
# a busy machine is slow, and a passing test does not wait
START_SECONDS = 300
CELL_SECONDS = 600


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that the README's command has started, on copies of the chapters.

    On the chapters themselves JupyterLab would save outputs, two minutes after a cell has run.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("learner")
    shutil.copytree(ROOT / "notebooks", home / "course" / "notebooks")
    env = {**os.environ, "WORKSHOP_HOME": str(home)}
    env.pop("MPLBACKEND", None)  # set for pytest; a learner's kernel has the inline one
    log = (home / "lab.log").open("w")
    process = subprocess.Popen(
        [
            *[sys.executable, "tools/course.py", "lab", "--no-browser", f"--port={port}"],
            *[f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home / 'course'}"],
            "--LabApp.expose_app_in_browser=True",
        ],
        cwd=ROOT,
        env=env,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, (home / "lab.log").read_text()
            try:
                httpx.get(f"{address}/api", timeout=2).raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < end, (home / "lab.log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(START_SECONDS)


ACTIVE = re.compile("jp-mod-active")
LISTENS = """() => {
    const run = "notebook:run-cell-and-select-next";
    const {commands} = window.jupyterapp;
    return commands.keyBindings.some(({command}) => command === run) && commands.isEnabled(run);
}"""


class Notebook:
    """A notebook that is open in JupyterLab, run with the keyboard."""

    def __init__(self, page: Page, title: str) -> None:
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        expect(self.panel.get_by_role("heading", name=title)).to_be_visible()
        idle = self.panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        expect(idle).to_be_visible()
        self.cell(0).click()
        # JupyterLab takes keys once it has read its settings, and here where the focus is in the
        # notebook and not in a cell's text
        page.wait_for_function(LISTENS)
        page.keyboard.press("Escape")
        expect(self.panel.locator(".jp-Notebook.jp-mod-commandMode:focus-within")).to_be_visible()
        expect(self.cell(0)).to_have_class(ACTIVE)

    def run(self, index: int, cell: NotebookNode) -> None:
        """Shift + Enter, as the chapter tells the learner, and wait."""
        expect(self.cell(index)).to_have_class(ACTIVE)
        self.page.keyboard.press("Shift+Enter")
        expect(self.cell(index)).not_to_have_class(ACTIVE)
        if cell.cell_type == "code":
            prompt = self.cell(index).locator(".jp-InputPrompt")
            expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=CELL_SECONDS * 1000)

    def cell(self, index: int) -> Locator:
        return self.panel.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')


def cells_of(name: str) -> list[NotebookNode]:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells


def test_jupyterlab_opens_on_chapter_00_and_it_runs_from_top_to_bottom(lab: str, page: Page):
    page.goto(f"{lab}/?token={TOKEN}")
    notebook = Notebook(page, "00 · Start here")
    screenshot(page, "lab-00-1-open")

    for index, cell in enumerate(cells_of("00_start_here")):
        notebook.run(index, cell)
        if cell.cell_type != "code":
            continue
        shown = notebook.cell(index)
        if "doctor()" in cell.source:
            expect(shown).to_contain_text("All is well")
            screenshot(page, "lab-00-2-doctor")
        if "question =" in cell.source:
            expect(shown.locator("img")).to_be_visible()
            screenshot(page, "lab-00-3-search")
        if cell.source.startswith("check("):
            expect(shown).to_contain_text("not attempted yet")
        assert shown.locator(".jp-OutputArea-output [class*=ansi-red]").count() == 0
    expect(shown.locator("img")).to_be_visible()  # progress()
    screenshot(page, "lab-00-4-progress")


def test_chapter_09_launches_the_service_and_its_page_finds_photos(lab: str, page: Page):
    page.goto(f"{lab}/lab/tree/notebooks/09_launch.ipynb?reset&token={TOKEN}")
    notebook = Notebook(page, "09 · Launch a service from a cell")
    cells = cells_of("09_launch")
    launched = next(i for i, cell in enumerate(cells) if "launch(pictures" in cell.source)
    loaded = next(i for i, cell in enumerate(cells) if "watch(loading)" in cell.source)
    for index, cell in enumerate(cells[: loaded + 1]):
        notebook.run(index, cell)
    expect(notebook.cell(loaded)).to_contain_text("430")

    service = notebook.cell(launched).frame_locator("iframe")
    notebook.cell(launched).locator("iframe").scroll_into_view_if_needed()
    service.get_by_role("searchbox").fill("guitar")
    service.get_by_role("button", name="Search").click()
    expect(service.get_by_role("heading", name="guitar")).to_be_visible()
    expect(service.get_by_role("listitem").first).to_contain_text("guitar", ignore_case=True)
    screenshot(page, "lab-09-1-words")

    tiger = next(p.path for p in datasets.photos() if p.name == "Tiger")
    service.locator("#by-file").set_input_files(tiger)
    expect(service.get_by_role("heading", name="like this one")).to_be_visible()
    expect(service.get_by_role("listitem").first).to_contain_text("tiger", ignore_case=True)
    screenshot(page, "lab-09-2-by-photo")
