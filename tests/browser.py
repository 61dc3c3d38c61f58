"""The system's Chromium for tests, driven by Playwright as a person would drive it.

A conftest.py that says `from browser import browser, page` gives both fixtures to the tests beside
it; `chromium()` is the context manager behind them, for tests that want one of their own.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ARTIFACTS = Path(__file__).resolve().parent.parent / "artifacts"
# A browser that asks the network for updates waits for answers that do not come offline. Ours knows no
# other machine than this one.
QUIET = [
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
PATIENCE = 300_000  # ms: a busy machine is slow, and a passing test does not wait
expect.set_options(timeout=PATIENCE)


def executable() -> str:
    """Where Chromium is. Without one the test is skipped, and in CI it fails."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        how = (
            "no Chromium here: `apt-get install chromium` (Debian, Ubuntu), "
            "`brew install --cask chromium` (macOS), or set CHROMIUM to the path of Chrome"
        )
        if os.environ.get("CI"):
            pytest.fail(how)
        pytest.skip(how)
    return found


@contextmanager
def chromium(*switches: str) -> Iterator[Browser]:
    """A headless Chromium, with further switches."""
    path = executable()
    with sync_playwright() as playwright, TemporaryDirectory() as home:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*QUIET, *switches], env={**os.environ, "HOME": home}
        )
        try:
            yield browser
        finally:
            browser.close()


def screenshot(page: Page, name: str, **options) -> Path:
    """Keep what is seen in artifacts/NAME.png, for people to look at."""
    path = ARTIFACTS / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, **options)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of 1280 × 800.

    An uncaught error in its scripts fails the test, and so does asking another machine for anything.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    asked: list[str] = []
    context.on("requestfinished", lambda request: asked.append(request.url))
    # what the page's own policy stops never leaves the browser
    context.on("requestfailed", lambda r: r.failure == "csp" or asked.append(r.url))
    yield opened
    context.close()
    assert not errors, f"errors in the page's scripts: {errors}"
    outside = [
        url for url in asked if urlsplit(url).hostname not in (None, "127.0.0.1", "localhost")
    ]
    assert not outside, f"asked of other machines: {outside}"
