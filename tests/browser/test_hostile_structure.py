"""Families, splitting and domains of a stranger's store with hostile texts, in Chromium: shown, never acting; and
what is taken away from these pages."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import BrowserContext, Page

from sae import schema
from sae.storage.arrays import write_table
from tests.benchmarks.streamlit_client import ROOT, serving
from tests.browser.conftest import watch
from tests.sae.hostile import seal

pytestmark = pytest.mark.browser

HOSTILE = [
    "<script>window.hurt=1</script>", "<img src=x onerror=window.hurt=1>", '"><a href="https://evil.example">go</a>',
    "![x](https://evil.example/a.png)", "[click](javascript:window.hurt=1)", 'href="https://evil.example/x"',
    "left \u202e right", "=HYPERLINK(\"https://evil.example\")", "</script></body><iframe src=https://evil.example>",
    "x" * 10_000,
]  # fmt: skip
READY = """() => {
    const app = document.querySelector('[data-testid=stApp]')
    const still = app && app.dataset.testScriptState === 'notRunning'
    const quiet = still && document.querySelector('.stMain h1')
        && !document.querySelector('[data-stale=true], .stSpinner')
    window.since = quiet ? window.since || Date.now() : undefined
    return quiet && Date.now() - window.since > 500
}"""


def rewrite(path: Path, columns: list[str]) -> None:
    """Put hostile texts into text columns of a table; labels of more than 500 bytes are refused at once."""
    table = pq.read_table(path)
    for name in columns:
        texts = [HOSTILE[i % len(HOSTILE)][: 480 if name == "label" else None] for i in range(len(table))]
        place = table.column_names.index(name)
        table = table.set_column(
            place, table.schema.field(name), pa.array(texts, table.schema.field(name).type)
        )
    write_table(path, table)


@pytest.fixture(scope="module")
def app(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard on a store whose labels and titles are hostile; its checksums are right."""
    root = tmp_path_factory.mktemp("hostile-structure")
    name = (tiny_store / schema.CURRENT).read_text().strip()
    build = root / schema.BUILDS / name
    shutil.copytree(tiny_store / schema.BUILDS / name, build)
    (root / schema.CURRENT).write_text(name + "\n")
    for corpus in ("planted", "planted-too"):
        rewrite(build / corpus / schema.DOCUMENTS, ["title", "text"])
        rewrite(build / corpus / schema.SPLITTING_SUMMARY, ["other"])
        for sae in ("SAE3", "SAE6"):
            rewrite(build / corpus / sae / schema.FEATURES, ["label"])
            rewrite(build / corpus / sae / schema.FAMILY_SCORES, ["label"])
            rewrite(build / corpus / sae / schema.STRUCTURE, ["matrix"])
    seal(build)
    with serving(ROOT / "dashboard" / "Home.py", root) as (port, _):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def watched(visited: BrowserContext, app: str) -> Iterator[tuple[Page, list[str]]]:
    """A page, and every foreign request, dialog and exception that it causes."""
    page = visited.new_page()
    page.set_viewport_size({"width": 1280, "height": 1600})
    seen = watch(page, app)
    yield page, seen
    page.close()


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_function(READY, timeout=120_000, polling=50)
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("h1").inner_text().casefold() in address, page.locator(".stMain").inner_text()[:600]


@pytest.mark.parametrize("view", ["families", "splitting", "domains"])
def test_hostile_texts_do_nothing(app: str, watched: tuple[Page, list[str]], view: str) -> None:
    page, seen = watched
    opened(page, f"{app}{view}?corpus=planted&sae=SAE6")
    if view == "families":
        page.get_by_text("Is it more than chance?").click()
        for tab in ("Table", "Scores", "Together", "Documents"):
            page.get_by_role("tab", name=tab).click()
        graph = page.frame_locator(".stMain iframe").frame_locator("iframe")
        graph.locator("canvas").focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown"):
            graph.locator("canvas").press(key)
        assert graph.locator("#said").inner_text().strip()
        assert graph.locator("#said a, #said img, #said script, #said iframe, body > img").count() == 0
    page.wait_for_timeout(500)
    assert page.evaluate("window.hurt") is None
    assert all(frame.evaluate("window.hurt") is None for frame in page.frames)
    assert (
        page.locator(
            ".stMain a[href*='evil'], .stMain a[href^='javascript'], .stMain img[src*='evil']"
        ).count()
        == 0
    )
    text = page.locator(".stMain").inner_text()
    assert "x" * 1000 not in text
    assert "\u202e" not in text
    assert seen == []


def saved(page: Page, click: object) -> bytes:
    with page.expect_download(timeout=60_000) as found:
        click.click()  # type: ignore[attr-defined]
    return Path(found.value.path()).read_bytes()


def test_a_family_is_taken_away(app: str, watched: tuple[Page, list[str]]) -> None:
    page, seen = watched
    opened(page, f"{app}families?corpus=planted&sae=SAE6&family=0")
    tree = json.loads(saved(page, page.get_by_role("button", name="JSON")))["tree"]
    assert tree["children"]
    content = saved(page, page.get_by_role("button", name="GraphML"))
    ElementTree.fromstring(content)
    assert nx.parse_graphml(content.decode()).number_of_nodes() > len(tree["children"])
    table = saved(page, page.get_by_role("button", name="CSV").last).decode()
    assert not any(line.split(",")[1].startswith("=") for line in table.splitlines())
    graph = page.frame_locator(".stMain iframe").frame_locator("iframe")
    assert saved(page, graph.get_by_role("button", name="PNG")).startswith(b"\x89PNG")
    chart = page.locator("[data-testid=stVegaLiteChart]").first
    chart.hover()
    assert saved(page, page.get_by_role("button", name="Download as PNG").first).startswith(b"\x89PNG")
    drawing = saved(page, page.get_by_role("button", name="SVG", exact=True))
    assert ElementTree.fromstring(drawing).tag.endswith("svg")
    page.get_by_role("tab", name="Scores").click()
    drawing = saved(
        page, page.locator(".st-key-linked").get_by_role("button", name="Save the chart as SVG").first
    )
    kinds = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(drawing).iter()}
    assert "text" in kinds
    assert not kinds & {"script", "a", "image", "foreignObject", "iframe", "img"}
    page.get_by_role("button", name="Steer with this family").first.click()
    page.wait_for_url("**/?*fam=0*", timeout=120_000)
    assert seen == []


@pytest.mark.parametrize("view", ["families", "splitting", "domains"])
def test_no_table_taken_away_holds_a_formula(app: str, watched: tuple[Page, list[str]], view: str) -> None:
    page, seen = watched
    opened(page, f"{app}{view}?corpus=planted&sae=SAE6")
    if view == "families":
        page.get_by_role("tab", name="Table").click()
    # Not the table's own menu, which opens a file picker.
    button = page.locator("[data-testid=stDownloadButton] button:visible").filter(has_text="CSV").first
    rows = list(csv.reader(saved(page, button).decode().splitlines()))
    assert len(rows) > 2
    numbers = re.compile(r"-?[\d.e+-]+")
    cells = [cell for row in rows for cell in row if not numbers.fullmatch(cell)]
    assert any("HYPERLINK" in cell for cell in cells) or view == "splitting"
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert seen == []
