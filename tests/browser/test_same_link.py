"""A bundle opened on another port shows the same results for the same link as the folder that it was made from."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.benchmarks.streamlit_client import ROOT, serving
from tests.browser.conftest import Server, Tab

pytestmark = pytest.mark.browser


@pytest.fixture
def opened_bundle(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a dashboard on a bundle of the store, which was given away and has a cache of its own."""
    given = tmp_path / "elsewhere" / "given.sextant"
    command = [sys.executable, "-m", "build.bundle", str(tiny_store), str(given)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("SEXTANT_CACHE", str(tmp_path / "cache"))
    with serving(ROOT / "dashboard" / "Home.py", given) as (port, _):
        yield f"http://127.0.0.1:{port}/"
    assert os.listdir(tmp_path / "cache"), "the bundle was not unpacked into its own cache"


def shown(page: Page) -> list[str]:
    """What each result says, in order: rank and its change, title, cosine, the rest."""
    Tab(page).titles()
    return page.locator(".sx-card").all_inner_texts()


def test_the_same_link_shows_the_same(browser: Browser, server: Server, opened_bundle: str) -> None:
    with browser.new_context() as context:
        here, there = context.new_page(), context.new_page()
        here.goto(server.url)
        before = shown(here)
        slider = here.locator("[data-testid=stSlider] input[type=range]").first
        slider.focus()
        for _ in range(12):
            slider.press("ArrowRight", no_wait_after=True)
        here.wait_for_function("/[?&]e=/.test(location.search)", timeout=60_000)
        steered = shown(here)
        assert steered != before
        assert re.search(r"\b0\.\d{3}\b", steered[0]), "no cosine on a card"
        there.goto(opened_bundle + here.url.removeprefix(server.url))
        assert shown(there) == steered
