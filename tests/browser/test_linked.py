"""Pointing at a feature in graph, table or chart lights it in the others."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from sae.storage.structure_store import FamilyReader
from sae.store import open_store
from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Tab]
PLACE = "families?corpus=planted&sae=SAE6"
LIT = """() => [...document.querySelectorAll(".st-key-linked [data-lit]")]
    .map(mark => mark.getAttribute("aria-label"))"""


def features(page: Page) -> list[str]:
    """Numbers of the family's features as the table shows them, top down."""
    cells = page.locator(".st-key-linked canvas tr[aria-rowindex] td:first-child")
    cells.first.wait_for(state="attached")
    return cells.all_text_contents()


def graph_of(page: Page) -> Locator:
    return page.frame_locator(".st-key-linked iframe").frame_locator("iframe").locator("body")


def family_in(page: Page) -> str:
    """The family that the address names."""
    return parse_qs(urlsplit(page.url).query)["family"][0]


def named(label: str) -> list[str]:
    return label.split(":", 1)[0].split(" ")[1:]


def test_the_graph_lights_table_and_charts(open_tab: OpenTab) -> None:
    page = open_tab(PLACE, height=1800).page
    parent, child = features(page)[:2]
    canvas = graph_of(page).locator("canvas")
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press("ArrowRight")
    row = page.locator(".sx-lit-row")
    row.wait_for()
    assert row.evaluate("e => e.style.top") == "70px"  # below the head and the parent's row
    page.get_by_role("tab", name="Scores").click()
    canvas.press("ArrowLeft")
    page.wait_for_function(f"() => ({LIT})().some(label => label.startsWith('features {parent}:'))")
    assert all(parent in named(label) for label in page.evaluate(LIT))
    assert child != parent


def test_charts_and_table_light_the_graph(open_tab: OpenTab) -> None:
    page = open_tab(PLACE, height=1800).page
    child = features(page)[1]
    table = page.locator(".st-key-linked .dvn-scroller")
    said = graph_of(page).locator("#said")
    table.hover(position={"x": 150, "y": 35 * 2 + 15})  # the head, the parent, its first child
    said.locator("b").wait_for()
    by_table = said.inner_text()
    page.get_by_role("tab", name="Scores").click()
    page.locator(f".st-key-linked path[aria-label^='features {child}:']").hover()
    page.wait_for_function(f"() => ({LIT})().length > 0")
    assert said.inner_text() == by_table
    assert all(child in named(label) for label in page.evaluate(LIT))


def test_enter_in_the_graph_opens_the_page_without_loading_anew(open_tab: OpenTab) -> None:
    page = open_tab(f"{PLACE}&family=2", height=1800).page
    parent = features(page)[0]
    page.evaluate("window.stayed = true")
    canvas = graph_of(page).locator("canvas")
    canvas.focus()
    canvas.press("ArrowRight")
    label = graph_of(page).locator("#said b").inner_text()
    canvas.press("Enter")
    page.wait_for_url(f"**/features?*feature={parent}*")
    page.locator(".stMain h1", has_text=label).wait_for()
    assert page.evaluate("window.stayed === true")
    page.go_back()
    page.wait_for_url("**/families?*")
    page.locator(".stMain h1").get_by_text("Families", exact=True).wait_for()
    assert family_in(page) == "2"
    assert page.evaluate("window.stayed === true")


def test_tables_are_saved_by_our_own_button_alone(open_tab: OpenTab) -> None:
    """Streamlit's writes texts as they are, formulas of a spreadsheet among them."""
    page = open_tab(PLACE, height=1800).page
    features(page)
    page.locator(".st-key-linked [data-testid=stDataFrame]").hover()
    toolbar = page.locator(".st-key-linked [data-testid=stElementToolbar]")
    toolbar.get_by_label("Search").first.wait_for()
    raw = toolbar.locator("[aria-label^='Download as CSV']")
    assert raw.count() == 1
    assert not raw.is_visible()


def test_map_and_table_open_a_family_again_and_typing_none(open_tab: OpenTab, tiny_store: Path) -> None:
    scores = FamilyReader(open_store(tiny_store).corpus("planted").sae("SAE6")).scores().to_pandas()
    by_documents = scores.sort_values("n_documents", ascending=False, kind="stable")
    tiled = int(by_documents["family_id"].iloc[0])
    row = int(scores["family_id"].iloc[0] == tiled)  # of another one
    tab = open_tab(f"{PLACE}&family={by_documents['family_id'].iloc[-1]}", height=1800)
    overview = tab.page.locator(".st-key-families-overview")

    def by_map() -> None:
        overview.get_by_role("tab", name="Map").click()
        tiles = overview.locator("[data-testid=stVegaLiteChart] svg")
        expect(tiles).to_have_count(
            1, timeout=30_000
        )  # the one drawn before goes when its successor is there
        tab.settle()
        tiles.click(position={"x": 20, "y": 90})  # the first tile: the family with most documents
        tab.page.wait_for_url(f"**family={tiled}*")

    def by_table() -> None:
        overview.get_by_role("tab", name="Table").click()
        rows = overview.locator(".dvn-scroller")
        expect(rows).to_have_count(1, timeout=30_000)
        tab.settle()
        rows.click(position={"x": 15, "y": 35 * (row + 1) + 17})
        tab.page.wait_for_url(f"**family={scores['family_id'].iloc[row]}*")

    by_map()
    tab.page.wait_for_function(
        "size => document.querySelectorAll('.st-key-linked canvas tr[aria-rowindex]').length === size + 1",
        arg=int(by_documents["size"].iloc[0]),
    )
    for choose in (by_table, by_map, by_table):
        choose()
    tab.settle()
    box = tab.page.get_by_label("Find a family")
    box.fill(str(scores["label"].iloc[-1]).split()[0])  # of the last family: others stand in the rows then
    box.press("Enter")
    overview.get_by_role("tab", name=f"Map of {len(scores)} ").wait_for(state="detached")
    tab.settle()
    assert family_in(tab.page) == str(scores["family_id"].iloc[row])
