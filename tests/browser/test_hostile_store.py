"""Hostile stores in Chromium: pages show text or a sentence, and no request leaves for another host."""

import os
import re
import shutil
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from sae import schema
from tests.benchmarks.streamlit_client import ROOT, serving
from tests.browser.conftest import Tab, watch
from tests.sae import hostile, hostile_arrays, hostile_tables
from tests.sae.hostile_text import poison

CASES = [hostile, hostile_arrays, hostile_tables]  # each adds its changes to hostile.CHANGES
STORES = 42
# What the one view that such a store is opened with does not read: it may be shown. All else must be refused.
UNREAD = {
    "Zarr codec: blosc",
    "Zarr 3 with a pickling filter",
    "Zarr without shards",
    "SAE attribute: k text",
    "Zstandard bomb: stated",
    "an absent chunk",
    "a missing shard",
    "values: offsets negative",
    "embeddings: pickled objects",
    ".npy is an archive",
    "a foreign query encoder",
    "columns: missing",
    "Parquet encoding",
    "Parquet dictionary bomb",
    "footer: long",
    "Parquet of noise",
    "evidence of documents that are not there",
}
REFUSED = re.compile("make (verify|artifacts)|Ask whoever made it|this is not a Sextant build")
VIEWS = ("", "features", "families", "splitting", "domains", "training", "evaluation", "about")
pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Watched:
    """A browser page on a server; ``seen`` holds what may never happen there."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url, self.seen = page, url, watch(page, url)

    def visit(self, view: str) -> None:
        """Open a view and wait until it is drawn; nothing may be built of what texts say."""
        self.page.goto(self.url + view)
        Tab(self.page).settle()  # parts that load late are there
        assert not self.page.locator("[data-testid=stException]").count(), view
        built = self.page.locator('.stMain img[src^="http://192"], .stMain [onerror]').count()
        scripts = self.page.locator(".stMain script").all_text_contents()
        built += sum("window.sextantScript" not in script for script in scripts)  # all but the pages' own
        assert not built, view


@pytest.fixture(scope="module")
def served(
    tiny_store: Path, tmp_path_factory: pytest.TempPathFactory, visited: BrowserContext
) -> Iterator[tuple[Path, Watched]]:
    """A sound build, and a browser page on a server that serves its folder: one for all hostile stores."""
    root = tmp_path_factory.mktemp("hostile") / "served"
    build = hostile.small_store(tiny_store, root)
    with serving(ROOT / "dashboard" / "Home.py", root) as (port, _):
        tab = Watched(visited.new_page(), f"http://127.0.0.1:{port}/")
        tab.visit("features")
        assert tab.page.locator(".stMain h1").count(), "the sound store is not shown"
        yield build, tab
        tab.page.close()


def serve(build: Path) -> None:
    """Let the folder of a build serve it."""
    root = build.parent.parent
    (root / "fresh").write_text(build.name + "\n")
    os.replace(root / "fresh", root / schema.CURRENT)


def test_pages_show_hostile_text_and_ask_nobody(served: tuple[Path, Watched]) -> None:
    sound, tab = served
    build = sound.with_name("poisoned")
    shutil.copytree(sound, build)
    poison(build)
    serve(build)
    for view in VIEWS:
        tab.visit(view)
        assert tab.page.locator(".stMain h1").count(), f"{view} is refused instead of shown"
        tab.page.wait_for_load_state("networkidle")  # a picture that a text named would be asked for by now
    assert not tab.seen


def chosen() -> list[str]:
    """Hostile stores of all kinds in turn; not those in which it is the served folder itself that is wrong."""
    kinds: dict[str, list[str]] = {}
    for name in hostile.CHANGES:
        if not name.startswith(("CURRENT", "a pipe: CURRENT", "the build itself")):
            kinds.setdefault(name.split(":")[0], []).append(name)
    rounds = [names[n] for n in range(len(hostile.CHANGES)) for names in kinds.values() if n < len(names)]
    return rounds[:STORES]


def test_hostile_stores_are_refused_on_pages(served: tuple[Path, Watched]) -> None:
    sound, tab = served
    names = chosen()
    assert len(names) >= 40
    shown = []
    for number, (name, view) in enumerate(zip(names, cycle(("features", "")), strict=False)):
        build = sound.with_name(f"hostile{number}")
        shutil.copytree(sound, build)
        hostile.CHANGES[name](build)
        if name not in hostile.UNSEALED:
            hostile.seal(build)
        serve(build)
        tab.visit(view)
        if not tab.page.get_by_text(REFUSED).count():
            shown.append(name)
        for away in build.parents[2].glob("served.*"):  # what it linked to, in the way of the next one's
            shutil.rmtree(away) if away.is_dir() else away.unlink()
    assert set(shown) <= UNREAD
    assert not tab.seen
