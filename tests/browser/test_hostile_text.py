"""Hostile text in a real browser: Markdown shows its characters, builds nothing from it and fetches nothing."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from dashboard.text import plain_text
from tests.benchmarks.streamlit_client import ROOT, serving
from tests.browser.conftest import watch
from tests.dashboard.test_text import HOSTILE

pytestmark = pytest.mark.browser

APP = """
import json, sys
sys.path.insert(0, {root!r})
import streamlit as st
from dashboard.cards import heading_html, text_html
from dashboard.text import safe_text
for i, text in enumerate(json.loads({texts!r})):
    with st.container(key=f"plain{{i}}"):
        st.markdown(safe_text(text))
    with st.container(key=f"inside{{i}}"):
        st.markdown(f"**{{safe_text(text)}}** :gray-badge[{{safe_text(text)}}] :small[:gray[{{safe_text(text)}}]]")
    with st.container(key=f"label{{i}}"):
        st.checkbox(safe_text(text), key=f"box{{i}}")
    with st.container(key=f"card{{i}}"):
        document = {{"title": text, "url": text, "text": text, "categories": [text], "authors": [text]}}
        st.html(heading_html(document, note=text) + text_html(document))
st.markdown("all shown")
"""
BUILT = (
    "script,img,a,iframe,.katex,code,pre,h1,h2,h3,li,table,blockquote,hr,em,del,[data-testid=stIconMaterial]"
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that shows every hostile text in every way in which pages show text."""
    script = tmp_path_factory.mktemp("hostile") / "app.py"
    script.write_text(APP.format(root=str(ROOT), texts=json.dumps(HOSTILE)))
    with serving(script) as (port, _):
        yield f"http://127.0.0.1:{port}/"


def words(text: str) -> str:
    return " ".join(text.replace("\u2060", "").split())


def test_hostile_text_is_shown_and_does_nothing(browser: Browser, app: str) -> None:
    page = browser.new_page()
    seen = watch(page, app)
    page.goto(app)
    page.get_by_text("all shown").wait_for(timeout=60_000)
    page.wait_for_function(  # parts of Streamlit arrive when they are first needed
        f"[...Array({len(HOSTILE)}).keys()].every(i => document.querySelector(`.st-key-label${{i}} input`))",
        timeout=60_000,
    )
    page.wait_for_timeout(500)
    shown = page.evaluate(
        """([count, built]) => Object.fromEntries(['plain', 'inside', 'label', 'card'].flatMap(
            kind => [...Array(count).keys()].map(i => {
                const place = document.querySelector(`.st-key-${kind}${i}`)
                return [kind + i, [place.innerText, [...place.querySelectorAll(built)].map(e => e.outerHTML)]]
            })))""",
        [len(HOSTILE), BUILT],
    )
    for i, text in enumerate(HOSTILE):
        expected = words(plain_text(text))
        for kind, times in (("plain", 1), ("inside", 3), ("label", 1)):
            found, elements = shown[f"{kind}{i}"]
            assert words(found) == " ".join([expected] * times), (kind, text)
            assert not elements, (kind, text)
        assert not shown[f"card{i}"][1], text
    assert not seen
    page.close()
