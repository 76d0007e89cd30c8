"""The about page, run headless against the tiny store, and its small functions."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from sae.citation import PAPERS, build_entry
from sae.store import Store, open_store
from tests.dashboard.search_app import build_of, edit_manifest

ROOT = Path(__file__).parent.parent.parent
HOME = str(ROOT / "dashboard" / "Home.py")

Open = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def page(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    def run(store: Path = tiny_store) -> AppTest:
        monkeypatch.setenv("ARTIFACTS", str(store))
        app = AppTest.from_file(HOME, default_timeout=60)
        app.run()
        app.switch_page("views/about.py").run()
        assert not app.exception, [e.value for e in app.exception]
        return app

    return run


@pytest.fixture
def store(tiny_store: Path) -> Store:
    return open_store(tiny_store)


def texts(app: AppTest) -> str:
    parts = [*app.title, *app.subheader, *app.markdown, *app.caption, *app.warning, *app.code]
    return "\n".join(str(part.value) for part in parts)


def test_the_page_says_what_the_manifest_says(page: Open, store: Store) -> None:
    said = texts(page())
    manifest = store.manifest
    assert f"`{manifest.build}`" in said
    for name, facts in manifest.corpora.items():
        assert f"{facts['n_documents']:,} documents" in said, name
    for section in (
        "Corpora",
        "Models",
        "Labels",
        "Left out or altered",
        "How it was made",
        "Check it",
        "Cite it",
    ):
        assert section in said
    assert "make verify" in said
    assert "2408.00657" in said


def test_each_model_is_listed_with_its_error(page: Open, store: Store) -> None:
    models = next(frame.value for frame in page().dataframe if "Error, held out" in frame.value)
    expected = [
        (corpus, name, facts["k"], facts["n_latents"], facts["held_out_fvu"])
        for corpus, about in store.manifest.corpora.items()
        for name, facts in about["saes"].items()
    ]
    columns = ["Corpus", "Model", "k", "Latents", "Error, held out"]
    assert [tuple(row) for row in models[columns].itertuples(index=False)] == expected


def test_the_sizes_add_up(page: Open, store: Store) -> None:
    sizes = next(frame.value for frame in page().dataframe if "Part" in frame.value)
    assert sizes["Files"].sum() == len(store.manifest.files)
    assert len(sizes) >= 1 + len(store.manifest.corpora)


def test_missing_facts_are_said_to_be_missing(page: Open, tiny_store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_store, tmp_path / "store", symlinks=True))

    def strip(manifest: dict) -> None:
        manifest["provenance"], manifest["config"], manifest["stages"] = {}, {}, []
        manifest["created"] = "once <b>upon</b>"
        for name, facts in manifest["corpora"].items():
            kept = {key: facts[key] for key in ("n_documents", "d_in")}
            saes = {
                sae: {key: facts["saes"][sae][key] for key in ("k", "n_latents")} for sae in facts["saes"]
            }
            manifest["corpora"][name] = {**kept, "saes": saes}

    edit_manifest(build_of(copy), strip)
    said = texts(page(copy))
    assert "Licence: not recorded" in said
    assert "<b>upon" not in said


def test_a_store_without_a_known_checksum_is_not_verified(
    page: Open, store: Store, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = texts(page())
    assert "Not verified" in said
    assert store.digest in said
    assert "does not say who made it" in said
    monkeypatch.setenv("ARTIFACTS_SHA256", store.digest)
    said = texts(page())
    assert "**Verified**" in said
    assert "Not verified" not in said


def test_the_maker_is_named_and_does_nothing(page: Open, tiny_store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_store, tmp_path / "store", symlinks=True))
    edit_manifest(build_of(copy), lambda raw: raw["config"].update(maker="A <b>group</b> ![x](http://x.y/z)"))
    said = texts(page(copy))
    assert "as the store says" in said
    assert "<b>group" not in said
    assert "![x](" not in said


def test_another_checksum_is_refused(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTIFACTS", str(tiny_store))
    monkeypatch.setenv("ARTIFACTS_SHA256", "0" * 64)
    app = AppTest.from_file(HOME, default_timeout=60).run()
    assert not app.exception
    assert "another store" in app.warning[0].value


def test_the_build_can_be_cited_whatever_it_is_called() -> None:
    entry = build_entry("ab12cd34ef", "Odd } title_ with \\ and $", "2026-11-21T02:00:00+00:00")
    assert entry.count("{") == entry.count("}")
    assert entry.startswith("@misc{sextantab12cd34,")
    assert "year  = {2026}" in entry
    assert not set(entry) & set("\\$_")
    assert PAPERS.count("{") == PAPERS.count("}")
