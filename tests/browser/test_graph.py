"""The graph of a family in Chromium: hostile labels act nowhere, nothing is fetched, the keyboard is enough."""

import math
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from dashboard.families.family_node import Node
from dashboard.families.graph import family_graph

pytestmark = pytest.mark.browser

HOSTILE = (
    "<script>parent.postMessage('bad', '*')</script><img src=x onerror=alert(1)>",
    'href="javascript:alert(1)" <a href="https://evil.example">go</a>',
    "</script></body><iframe src=https://evil.example></iframe>",
)


OpenPage = Callable[[str], tuple[Page, list[str]]]


@pytest.fixture
def blank_page(browser: Browser) -> Iterator[OpenPage]:
    """Show a page without any server: (page, every request, dialog, error and exception that it has caused)."""
    context = browser.new_context(viewport={"width": 800, "height": 640})

    def show(content: str) -> tuple[Page, list[str]]:
        page, seen = context.new_page(), []
        page.on("request", lambda request: seen.append(request.url))
        page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("console", lambda message: seen.append(message.text) if message.type == "error" else None)
        page.set_content(content)
        return page, seen

    yield show
    context.close()


def star(labels: tuple[str, ...], n_children: int) -> list[Node]:
    nodes = [Node(7, labels[0], 0, 0, 0.1, 0.8, facts=labels)]
    for i in range(n_children):
        nodes.append(Node(10 + i, labels[i % len(labels)], 200, 40.0 * i, 0.01, None, 7, 0.5, labels))
    return nodes


@pytest.mark.parametrize("dark", [False, True])
def test_hostile_labels_are_text(blank_page: OpenPage, dark: bool) -> None:
    page, seen = blank_page(family_graph(star(HOSTILE, 5), "features?feature=", dark))
    inner = page.frame_locator("iframe")
    canvas = inner.locator("canvas")
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        canvas.press(key)
    said = inner.locator("#said")
    assert "<img src=x onerror=alert(1)>" in said.inner_text()
    assert said.locator("img, script, a, iframe").count() == 0
    assert inner.locator("iframe, img, a").count() == 0
    assert seen == []


def test_the_keyboard_leads_to_a_features_page(blank_page: OpenPage) -> None:
    page, _ = blank_page(family_graph(star(("one", "two"), 5), "#feature="))
    canvas = page.frame_locator("iframe").locator("canvas")
    canvas.focus()
    canvas.press("ArrowRight")  # chooses the parent
    canvas.press("ArrowRight")  # its first child
    canvas.press("ArrowDown")  # the one beside it
    canvas.press("Enter")
    page.wait_for_function("location.hash === '#feature=11'", timeout=5000)


def test_one_opening_is_one_step_back(blank_page: OpenPage) -> None:
    page, _ = blank_page(family_graph(star(("one", "two"), 5), "#feature="))
    page.evaluate("""() => { window.steps = []
        addEventListener("sextant-feature", event => steps.push(event.detail))
        const push = history.pushState
        history.pushState = function (...all) { steps.push(all[2]); return push.apply(this, all) } }""")
    canvas = page.frame_locator("iframe").locator("canvas")
    canvas.press("ArrowRight")
    canvas.dispatch_event(
        "keydown", {"key": "Enter", "repeat": True}
    )  # held since before this graph was drawn
    canvas.press("ArrowRight")
    canvas.press("Enter")
    canvas.press("Enter")
    canvas.press("ArrowDown")
    page.wait_for_function("steps.includes(11)", timeout=5000)
    assert page.evaluate("steps") == [7, 10, "#feature=10", 11]


@pytest.mark.parametrize("width", [800, 390])
def test_rings_are_shown_whole_with_their_labels(blank_page: OpenPage, width: int) -> None:
    around = [(200 * math.cos(0.2 * i), 200 * math.sin(0.2 * i)) for i in range(30)]
    nodes = [Node(7, "parent", 0, 0, 0.1, 0.8)]
    nodes += [Node(10 + i, HOSTILE[i % 3], x, y, 0.01, 0.5, 7, 0.5) for i, (x, y) in enumerate(around)]
    page, seen = blank_page(family_graph(nodes, "features?feature="))
    page.set_viewport_size({"width": width, "height": 640})
    inner = page.frames[-1]
    inner.wait_for_function("here().labels.length > 20 && narrow === (box.clientWidth < 500)")
    corners = inner.evaluate("[[0, 1], [2, 3]].map(([x, y]) => network.canvasToDOM("
                             "{x: here().bounds[x], y: here().bounds[y]}))")  # fmt: skip
    size = inner.evaluate("[box.clientWidth, box.clientHeight]")
    assert all(-1 <= corner["x"] <= size[0] + 1 for corner in corners)
    assert all(-1 <= corner["y"] <= size[1] + 1 for corner in corners)
    assert seen == []


def test_labels_of_levels_are_shorter_on_a_narrow_screen(blank_page: OpenPage) -> None:
    page, _ = blank_page(family_graph(star(("a concept with a long label",), 3), "features?feature="))
    for width, longest in ((800, 27), (390, 15), (800, 27)):
        page.set_viewport_size({"width": width, "height": 640})
        page.frames[-1].wait_for_function(
            "longest => Math.max(...nodes.get().map(node => node.label.length)) === longest", arg=longest
        )


def test_five_hundred_features_open_and_ask_nobody(blank_page: OpenPage) -> None:
    page, seen = blank_page(family_graph(star(("concept",), 499), "features?feature="))
    page.frame_locator("iframe").locator("#said").get_by_text("Point at a feature").wait_for()
    assert seen == []
