"""A link shows the same results wherever the build is served from: a folder, a bundle, an address."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from build.bundle import write_bundle
from sae.storage.bundle import CACHE_VARIABLE
from sae.store import open_store
from tests.sae import hostile
from tests.sae.address_server import serving

HOME = str(Path(__file__).parent.parent.parent / "dashboard" / "Home.py")


def shown(place: str, link: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict]:
    """(the cards of the results, the link that the page then has)."""
    monkeypatch.setenv("ARTIFACTS", place)
    st.cache_resource.clear()
    st.cache_data.clear()
    app = AppTest.from_file(HOME, default_timeout=60)
    for name, values in link.items():
        app.query_params[name] = values
    app.run()
    assert not app.exception
    assert not app.warning
    if not link:
        slider = app.select_slider[0]
        slider.set_value(float(slider.options[-1])).run()
        assert not app.exception
    cards = [str(e.proto.body) for e in app.get("html") if '<div class="sx-rank"' in str(e.proto.body)]
    return cards, dict(app.query_params)


def test_a_link_means_the_same_everywhere(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    root = tmp_path / "store"
    hostile.small_store(tiny_store, root)
    bundle = tmp_path / "given.sextant"
    write_bundle(open_store(root), bundle)
    steered, link = shown(str(root), {}, monkeypatch)
    assert steered
    assert link
    again, _ = shown(str(root), link, monkeypatch)
    with serving(root) as server:
        open_store(server.url)
        for place in (str(bundle), server.url):
            assert shown(place, link, monkeypatch)[0] == again, place
