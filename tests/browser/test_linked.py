"""Pointing at a feature in graph, table or chart lights it in the others."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from sae.storage.structure_store import FamilyReader
from sae.store import open_store
from tests.browser.conftest import Tab

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

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
    page = open_tab(PLACE, height=1800).page
    parent = features(page)[0]
    page.evaluate("window.stayed = true")
    canvas = graph_of(page).locator("canvas")
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press("Enter")
    page.wait_for_url(f"**/features?*feature={parent}*")
    title = "(document.querySelector('.stMain h1')?.textContent ?? 'Families')"
    page.wait_for_function(f"{title} !== 'Families'")
    assert page.evaluate("window.stayed === true")
    page.go_back()
    page.wait_for_url("**/families?*")
    page.wait_for_function(f"{title} === 'Families'")
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


def test_a_tile_of_the_map_opens_its_family(open_tab: OpenTab, tiny_store: Path) -> None:
    scores = FamilyReader(open_store(tiny_store).corpus("planted").sae("SAE6")).scores().to_pandas()
    by_documents = scores.sort_values("n_documents", ascending=False, kind="stable")["family_id"].tolist()
    tab = open_tab(f"{PLACE}&family={by_documents[-1]}", height=1800)
    tiles = tab.page.locator(".st-key-families-overview [data-testid=stVegaLiteChart] svg")
    tiles.wait_for()
    tab.settle()
    tiles.click(position={"x": 20, "y": 90})  # the first tile: the family with most documents
    tab.page.wait_for_url(f"**family={by_documents[0]}*")
    size = int(scores.set_index("family_id")["size"][by_documents[0]])
    tab.page.wait_for_function(
        "size => document.querySelectorAll('.st-key-linked canvas tr[aria-rowindex]').length === size + 1",
        arg=size,
    )
