"""Families, splitting and domains pages on the tiny store, headless."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from sae import schema
from sae.storage.arrays import write_table
from sae.storage.structure_store import FamilyReader, domains, splitting, splitting_summary
from sae.store import open_store
from tests.sae import hostile

ROOT = Path(__file__).parent.parent.parent


def run(view: str, tiny_store: Path, monkeypatch: pytest.MonkeyPatch, **parameters: str) -> AppTest:
    monkeypatch.setenv("ARTIFACTS", str(tiny_store))
    monkeypatch.chdir(ROOT)
    app = AppTest.from_file(str(ROOT / "dashboard" / "Home.py"), default_timeout=60)
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    app.switch_page(f"views/{view}.py").run()
    assert not app.exception, app.exception
    return app


@pytest.mark.parametrize("view", ["families", "splitting", "domains"])
@pytest.mark.parametrize("sae", ["SAE3", "SAE6"])
def test_pages_stand(view: str, sae: str, tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = run(view, tiny_store, monkeypatch, corpus="planted", sae=sae)
    assert app.title[0].value == view.capitalize()
    assert len(app.warning) == 0


def test_search_for_nothing_says_so(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for view, key in (
        ("families", "families-words"),
        ("splitting", "splitting-words"),
        ("domains", "domains-words"),
    ):
        app = run(view, tiny_store, monkeypatch, corpus="planted", sae="SAE6")
        app.text_input(key=key).set_value("zzqqxx").run()
        assert not app.exception
        assert any("words" in info.value or "label" in info.value for info in app.info)


def test_the_concept_that_splits_stays_in_the_address(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run("splitting", tiny_store, monkeypatch, corpus="planted", sae="SAE3", start="5")
    assert app.query_params["start"] in ("5", ["5"])
    (start,) = (box for box in app.selectbox if box.label == "Start from")
    assert start.value == 5


def test_a_number_in_the_address_does_not_go_over_to_another_corpus_or_model(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run("splitting", tiny_store, monkeypatch, corpus="planted", sae="SAE6", start="5")
    assert app.query_params["start"] in ("5", ["5"])  # it is of the smallest model, whichever is chosen
    usual = run("splitting", tiny_store, monkeypatch, corpus="planted-too", sae="SAE6").query_params["start"]
    app.selectbox(key="switch-corpus").set_value("planted-too").run()
    assert app.query_params["start"] == usual
    app = run("families", tiny_store, monkeypatch, corpus="planted", sae="SAE6", family="1")
    assert "family" in app.query_params
    app.selectbox(key="switch-corpus").set_value("planted-too").run()
    assert "family" not in app.query_params


@pytest.mark.parametrize("view", ["splitting", "about"])
def test_a_page_of_all_models_lets_nobody_choose_one(
    view: str, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run(view, tiny_store, monkeypatch, corpus="planted", sae="SAE6")
    assert [box.key for box in app.selectbox if str(box.key).startswith("switch-")] == ["switch-corpus"]
    app.selectbox(key="switch-corpus").set_value("planted-too").run()
    assert not app.exception
    app.switch_page("views/families.py").run()
    assert app.selectbox(key="switch-corpus").value == "planted-too"
    assert app.selectbox(key="switch-sae").value == "SAE6"


@pytest.mark.parametrize("kept", [(), ("filter",), ("chance",), ("table 1", "left out")])
def test_a_build_that_lacks_numbers_of_its_families_stands(
    kept: tuple[str, ...], tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = hostile.small_store(tiny_store, tmp_path)
    path = build / "planted" / "SAE6" / schema.FAMILY_METRICS
    table = pq.read_table(path)
    write_table(path, table.filter([group in kept for group in table["group"].to_pylist()]))
    hostile.seal(build)
    app = run("families", tmp_path, monkeypatch, corpus="planted", sae="SAE6")
    told = " ".join(part.value for part in app.markdown)
    compared = "does not say how its families compare with chance" not in told
    assert compared == bool({"table 1", "chance"} & set(kept))
    models = [model for part in app.dataframe if "model" in part.value for model in part.value["model"]]
    assert ("SAE6" in models) == ("table 1" in kept)
    assert len(app.warning) == 0


def test_the_store_holds_what_the_pages_need(tiny_store: Path) -> None:
    corpus = open_store(tiny_store).corpus("planted")
    sae = corpus.sae("SAE6")
    families = FamilyReader(sae)
    scores, members = families.scores().to_pandas(), families.members().to_pandas()
    assert len(scores) > 0
    assert members.groupby("family_id").size().tolist() == scores["size"].tolist()
    assert (scores["size"] >= 5).all()
    first = families.tree(0).to_pandas()
    assert first["feature_id"].iloc[0] == scores["feature_id"].iloc[0]
    assert first["parent"].isna().tolist() == [True] + [False] * (len(first) - 1)
    counts, similarities = families.block(first["feature_id"].to_numpy())
    assert (counts == counts.T).all()
    stored = first["count_with_parent"].fillna(0).astype(int).tolist()
    assert counts[0].tolist() == stored
    assert ((similarities > 0) == (counts > 0)).all()
    metrics = families.metrics().to_pandas()
    chance = metrics[(metrics["group"] == "chance") & (metrics["name"] == "n_families")]["value"].iloc[0]
    assert chance == 0
    left_out = metrics[metrics["group"] == "left out"]["value"].sum()
    kept = metrics[(metrics["group"] == "filter") & (metrics["name"] == "kept")]["value"].iloc[0]
    assert left_out + kept == sae.weights.n_latents
    assert splitting(corpus).num_rows == 2 * (64 + 128) // 2
    assert {"cosines", "recurring"} <= set(splitting_summary(corpus)["kind"].to_pylist())
    matches = domains(corpus).to_pandas()
    assert set(matches["other_corpus"]) == {"planted-too"}
    assert matches["delta_pearson"].notna().any()
