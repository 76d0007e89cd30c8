"""A store at an address in the dashboard: pages open as their files arrive, and say calmly what is missing."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import served
from sae import schema
from sae.storage import download
from sae.storage.bundle import CACHE_VARIABLE
from tests.sae import hostile
from tests.sae.address_server import Server, serving

HOME = str(Path(__file__).parent.parent.parent / "dashboard" / "Home.py")


@pytest.fixture
def server(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    hostile.small_store(tiny_store, tmp_path / "published")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(download, "WAIT", 0.01)
    with serving(tmp_path / "published") as running:
        monkeypatch.setenv("ARTIFACTS", running.url)
        yield running
    st.cache_resource.clear()
    st.cache_data.clear()


def page(name: str) -> AppTest:
    app = AppTest.from_file(HOME, default_timeout=60)
    app.run()
    app.switch_page(f"views/{name}.py").run()
    assert not app.exception, [error.value for error in app.exception]
    return app


def wait_for(name: str) -> None:
    for _ in range(600):
        fetch = served.arriving()
        if fetch is None or fetch.here(name):
            return
        time.sleep(0.05)


def test_pages_open_as_their_files_arrive(server: Server) -> None:
    server.gate.clear()
    server.faults = dict.fromkeys((schema.DOCUMENTS, schema.SEARCH, schema.EMBEDDINGS), "gate")
    page("training")
    wait_for(f"{hostile.CORPUS}/{schema.SPLITTING}")
    wait_for(f"{hostile.ONE}/{schema.TRAINING}")
    wait_for(f"{hostile.ONE}/{schema.FEATURES}")
    app = page("about")
    assert "Corpora" in [part.value for part in app.subheader]
    assert any("have arrived" in part.value for part in app.caption)
    app = page("search")
    assert any("opens when what it shows is there" in part.value for part in app.info)
    assert not app.warning
    server.gate.set()
    for _ in range(600):
        if served.arriving() is None:
            break
        time.sleep(0.05)
    app = page("search")
    assert not app.info
    assert app.select_slider
    server.faults[""] = "status 500"  # the server is gone; sessions go on
    assert page("features").title


def test_a_fetch_that_broke_off_says_why_and_goes_on(server: Server) -> None:
    server.faults[schema.EMBEDDINGS] = "status 500"
    page("about")
    for _ in range(600):
        if (fetch := served.arriving()) is not None and fetch.fault is not None:
            break
        time.sleep(0.05)
    app = page("about")
    assert any("could not be fetched" in part.value for part in app.warning)
    server.faults.clear()
    next(button for button in app.button if button.label == "Go on fetching").click().run()
    for _ in range(600):
        if served.arriving() is None:
            break
        time.sleep(0.05)
    assert not page("about").warning


def test_an_address_without_a_store_is_a_sentence(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTIFACTS", server.url + "/nothing")
    app = AppTest.from_file(HOME, default_timeout=60).run()
    assert not app.exception
    assert "Check the address" in app.warning[0].value
