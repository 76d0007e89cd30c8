"""Every page in Chromium: no console error, no foreign request, nothing too wide, links that work."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from tests.browser.conftest import ROOT, Server, Tab

pytestmark = pytest.mark.browser

VIEWS = sorted(path.stem for path in (ROOT / "dashboard" / "views").glob("*.py") if path.stem != "__init__")
MAX_MEMORY = 350 * 2**20
BACKGROUND = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
HAS_EDITS = "/[?&]e=/.test(location.search)"

OpenTab = Callable[..., Tab]


def test_the_first_page_fits_into_memory(server: Server, open_tab: OpenTab) -> None:
    tab = open_tab()
    tab.page.wait_for_selector(".sx-title")
    process = psutil.Process(server.pid)
    held = sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])
    assert held < MAX_MEMORY, f"{held / 2**20:.0f} MB"


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wider_than_the_screen(open_tab: OpenTab, view: str) -> None:
    tab = open_tab("" if view == "search" else view, width=400)
    assert_nothing_too_wide(tab)
    widen(tab, 1600)
    assert_nothing_too_wide(tab)
    go_dark(tab)
    assert_nothing_too_wide(tab)
    widen(tab, 400)
    assert_nothing_too_wide(tab)


def go_dark(tab: Tab) -> None:
    """Change the scheme, and wait until the page has: no script need run for it, so settling alone may be too soon."""
    before = tab.page.evaluate(BACKGROUND)
    tab.page.emulate_media(color_scheme="dark")
    tab.page.wait_for_function(f"before => {BACKGROUND} !== before", arg=before)
    tab.settle()


def widen(tab: Tab, width: int) -> None:
    """Change the width, and wait until the page has."""
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.page.wait_for_function("width => innerWidth === width", arg=width)
    tab.settle()


def assert_nothing_too_wide(tab: Tab) -> None:
    assert tab.page.locator("[data-testid=stException]").count() == 0
    for selector in ("html", "[data-testid=stMain]"):
        wide, room = tab.page.evaluate(
            "s => { const e = document.querySelector(s); return [e.scrollWidth, e.clientWidth] }", selector
        )
        assert wide <= room, f"{selector} is {wide} px wide in {room} px"


def test_a_saved_chart_has_the_legend_that_stands_beside_it(open_tab: OpenTab) -> None:
    page = open_tab("evaluation").page
    saves = page.locator(".sx-saves").first
    with page.expect_download() as started:
        saves.get_by_text("SVG").click()
    drawn = ElementTree.parse(started.value.path()).getroot()
    named = "".join(drawn.itertext())
    legend = page.locator(".sx-key").first.locator("> span").all_inner_texts()
    assert len(legend) > 3
    for entry in legend:
        assert entry.split(maxsplit=1)[1] in named
    chart = drawn.findall("{*}svg")
    assert len(chart) == 1
    assert float(chart[0].get("y", "0")) > 16  # below the legend, and all of it on the sheet
    assert float(chart[0].get("y", "0")) + float(chart[0].get("height", "0")) == float(
        drawn.get("height", "0")
    )


def push(tab: Tab, which: int, key: str) -> None:
    """Move a slider with the keyboard alone."""
    slider = tab.page.locator("[data-testid=stSlider] input[type=range]").nth(which)
    slider.press(key, no_wait_after=True)
    tab.page.wait_for_function(HAS_EDITS, timeout=30_000)
    tab.settle()


def test_a_slider_moves_the_list_and_the_link_shows_it_elsewhere(open_tab: OpenTab) -> None:
    tab = open_tab()
    before = tab.titles()
    push(tab, 0, "Home")
    moved = tab.titles()
    assert moved != before
    assert tab.page.locator(".sx-mark").count() > 0  # says which are new or have moved
    link = tab.page.url
    elsewhere = open_tab(link, width=400, fresh=True)
    assert elsewhere.titles() == moved
    assert elsewhere.page.url == link
    tab.page.get_by_role("button", name="Reset all").click()
    tab.page.wait_for_function(f"!({HAS_EDITS})")
    tab.settle()
    assert tab.titles() == before


def test_a_comparison_can_be_left_on_a_narrow_screen(open_tab: OpenTab) -> None:
    tab = open_tab()
    toggle = tab.page.locator(".st-key-compare")
    push(tab, 0, "Home")
    cards = tab.titles()
    toggle.locator("label").first.click()
    tab.page.wait_for_function("!document.querySelector('.sx-title')")
    widen(tab, 400)
    toggle.locator("label").first.click()
    assert tab.titles() == cards
    assert not toggle.is_visible()  # there is no room to stand side by side


def test_edits_are_kept_on_the_way_to_another_page_and_back(open_tab: OpenTab) -> None:
    tab = open_tab()
    push(tab, 1, "End")
    moved, link = tab.titles(), tab.page.url
    tab.page.get_by_role("link", name="Features", exact=True).click()
    tab.page.wait_for_url("**/features*")
    tab.settle()
    tab.page.get_by_role("link", name="Search", exact=True).click()
    tab.page.wait_for_function(HAS_EDITS, timeout=30_000)
    tab.settle()
    assert tab.titles() == moved
    assert tab.page.url == link


def test_the_icon_comes_from_here() -> None:
    assert (Path(ROOT) / "dashboard" / "icon.svg").read_text().startswith("<svg")
