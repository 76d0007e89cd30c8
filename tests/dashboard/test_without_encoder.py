"""A store embedded by a server, opened without a key: examples answer, new words lead to titles, the page says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import data
from tests.sae import hostile

HOME = str(Path(__file__).parent.parent.parent / "dashboard" / "Home.py")


@pytest.fixture
def page(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    hostile.small_store(tiny_store, tmp_path)  # which leaves the query encoder out
    monkeypatch.setenv("ARTIFACTS", str(tmp_path))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield AppTest.from_file(HOME, default_timeout=60).run()
    st.cache_resource.clear()
    st.cache_data.clear()


def cards(page: AppTest) -> int:
    return sum('<div class="sx-rank"' in str(element.proto.body) for element in page.get("html"))


def test_an_example_is_answered_and_steered(page: AppTest) -> None:
    assert not page.exception
    assert cards(page) == 10
    slider = page.select_slider[0]
    slider.set_value(float(slider.options[-1])).run()
    assert not page.exception
    assert cards(page) >= 10


def test_new_words_lead_to_titles_and_from_there_to_results(page: AppTest) -> None:
    word = str(data.titles(hostile.CORPUS)[3]).split()[0]
    page.text_input[0].set_value(word).run()
    assert not page.exception
    assert any("cannot be searched by meaning" in part.value for part in page.info)
    offered = [button for button in page.button if button.label.startswith("More like")]
    assert offered
    offered[0].click().run()
    assert not page.exception
    assert cards(page) == 10


def test_every_page_runs(page: AppTest) -> None:
    for view in ("features", "families", "splitting", "domains", "training", "evaluation", "about"):
        page.switch_page(f"views/{view}.py").run()
        assert not page.exception, view
        assert not page.warning, (view, [warning.value for warning in page.warning])
