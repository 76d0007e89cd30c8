"""Steering in Chromium: every choice is in the link, and pointing at a concept marks its results."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Tab]
SLIDER = "[data-testid=stSlider] input[type=range]"


def push(tab: Tab, key: str) -> None:
    """Move the first slider by one key."""
    tab.page.locator(SLIDER).first.press(key, no_wait_after=True)
    tab.page.wait_for_function("/[?&]e=/.test(location.search)", timeout=30_000)
    tab.settle()


def test_less_of_something_by_keyboard_and_back(open_tab: OpenTab) -> None:
    tab = open_tab()
    plain = tab.titles()
    tab.page.locator(".sx-jump").press("Enter")
    for _ in range(8):  # to the first slider, past the heading and the chip, not past all results
        tab.page.keyboard.press("Tab")
        if tab.page.locator(SLIDER).first.evaluate("e => e === document.activeElement"):
            break
    else:
        pytest.fail("the first slider is far from the link to the concepts")
    push(tab, "Home")
    assert tab.titles() != plain
    assert tab.page.locator(SLIDER).first.evaluate("e => e === document.activeElement"), (
        "the hand lost its slider"
    )
    assert tab.page.get_by_text("of the first 10 kept").count() > 0
    tab.page.locator("[class*=st-key-reset-] button:enabled:visible").nth(1).click()
    tab.page.wait_for_function("!/[?&]e=/.test(location.search)", timeout=30_000)
    assert tab.titles() == plain


def test_a_link_with_every_choice_opens_to_the_same_list(open_tab: OpenTab) -> None:
    tab = open_tab()
    push(tab, "End")
    pushed = tab.page.url
    for choices in ("&mode=optimised&dir=typical&fam=0~3", "&mode=reconstruction&n=20"):
        first = open_tab(pushed + choices)
        shown, link = first.titles(), first.page.url
        elsewhere = open_tab(link, width=400)
        assert elsewhere.titles() == shown
        assert elsewhere.page.url == link
        assert all(choice in link.replace("%7E", "~") for choice in choices.split("&"))


def test_a_steering_saved_as_a_file_does_the_same_to_another_query(open_tab: OpenTab, tmp_path: Path) -> None:
    tab = open_tab()
    push(tab, "Home")
    edits, steered = re.findall(r"[?&]e=([^&]+)", tab.page.url), tab.titles()
    tab.page.locator(".st-key-save-box summary").click()
    with tab.page.expect_download() as started:
        tab.page.locator(".st-key-save-steering button:visible").click()
    started.value.save_as(tmp_path / "saved.json")
    tab.page.get_by_role("button", name="Reset all").click()
    tab.page.wait_for_function("!/[?&]e=/.test(location.search)", timeout=30_000)
    tab.page.locator("input[type=file]").set_input_files(tmp_path / "saved.json")
    tab.page.locator(".st-key-apply-steering button:visible").click()
    tab.page.wait_for_function("/[?&]e=/.test(location.search)", timeout=30_000)
    assert tab.titles() == steered
    assert re.findall(r"[?&]e=([^&]+)", tab.page.url) == edits


def test_pointing_at_a_concept_marks_its_results(open_tab: OpenTab) -> None:
    tab = open_tab()
    marked = """() => [...document.querySelectorAll('.sx-card')]
        .filter(card => getComputedStyle(card).boxShadow !== 'none').length"""
    tab.page.wait_for_selector(SLIDER)
    tab.settle()
    assert tab.page.evaluate(marked) == 0
    tab.page.locator("[class*=st-key-row-]").first.hover()
    tab.page.wait_for_function(f"({marked})() > 0", timeout=10_000)


def test_on_a_narrow_screen_sliders_come_before_the_results(open_tab: OpenTab) -> None:
    tab = open_tab(width=400)
    tab.page.wait_for_selector(SLIDER)
    tab.settle()
    slider = tab.page.locator(SLIDER).first.bounding_box()
    result = tab.page.locator(".sx-title").first.bounding_box()
    assert slider
    assert result
    assert slider["y"] < result["y"]
    card = tab.page.locator(".st-key-result-0 .sx-card").bounding_box()
    assert card
    assert card["width"] > 320  # nothing stands beside it
    push(tab, "Home")  # what is steered and what it finds are on the screen together
    tab.page.evaluate("document.querySelector('.stMain').scrollTo(0, 0)")
    slider = tab.page.locator(SLIDER).first.bounding_box()
    result = tab.page.locator(".sx-title").first.bounding_box()
    assert slider
    assert result
    assert slider["y"] < result["y"] < 860


def test_the_number_of_results_is_in_the_link(open_tab: OpenTab) -> None:
    tab = open_tab("?n=20")
    assert len(tab.titles()) == 20
    tab.page.locator(".st-key-filters button").first.click()
    tab.page.get_by_role("radio", name="50", exact=True).or_(
        tab.page.get_by_role("button", name="50", exact=True)
    ).first.click()
    tab.page.wait_for_function("/[?&]n=50/.test(location.search)", timeout=30_000)
    tab.settle()
    link = tab.page.url
    shown = tab.titles()
    assert len(shown) == 50
    assert open_tab(link).titles() == shown
