"""The Training page on the tiny store, headless: figures, curves, scaling laws, and a build without a grid."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import papers
from dashboard.training import scaling_page, training_charts, training_data
from sae import schema
from sae.storage import scaling_store
from sae.store import open_store
from sae.training.scaling import fit_power_law

ROOT = Path(__file__).parent.parent.parent
CORPUS = "planted"


def open_page(store: Path, monkeypatch: pytest.MonkeyPatch, sae: str = "SAE3") -> AppTest:
    monkeypatch.setenv("ARTIFACTS", str(store))
    app = AppTest.from_file(str(ROOT / "dashboard" / "Home.py"), default_timeout=60)
    app.query_params["corpus"], app.query_params["sae"] = CORPUS, sae
    app.run()
    app.switch_page("views/training.py").run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def charts_of(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(element.proto.spec) for element in app.get("vega_lite_chart")]


def test_every_model_stands_beside_the_papers(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(tiny_store, monkeypatch)
    assert app.title[0].value == "Training"
    assert not app.warning
    metrics = app.dataframe[0].value
    ours, theirs = (metrics[metrics["whose"] == whose] for whose in ("this build", "papers"))
    corpus = open_store(tiny_store).corpus(CORPUS)
    assert ours["model"].tolist() == list(corpus.saes)
    for _, row in ours.iterrows():
        facts = corpus.sae(row["model"]).facts
        assert row["fvu"] == facts["fvu"]
        assert row["held_out_fvu"] == facts["held_out_fvu"]
        assert row["dead"] == facts["dead"]
    assert len(theirs) == 10
    assert set(theirs["embedder"]) == {papers.EMBEDDER}
    assert set(theirs["documents"]) == {153_146}
    assert theirs["held_out_fvu"].isna().all()
    told = " ".join(element.value for element in app.markdown)
    assert papers.CITATION in told
    assert len(charts_of(app)) == 8


def test_the_papers_other_corpus(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(tiny_store, monkeypatch)
    app.segmented_control(key="training-papers-planted").set_value("astro-ph").run()
    assert not app.exception
    metrics = app.dataframe[0].value
    theirs = metrics[metrics["whose"] == "papers"].set_index(["k", "n_latents"])
    assert theirs.loc[(64, 9216), "fvu"] == 0.1182
    laws = app.dataframe[1].value
    assert laws.loc[(laws["whose"] == "papers") & (laws["law"] == "L(n)"), "coefficient"].tolist() == [
        0.61, 0.49, 0.46, 0.31,
    ]  # fmt: skip


def test_scaling_laws_are_those_of_the_store(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(tiny_store, monkeypatch)
    corpus = open_store(tiny_store).corpus(CORPUS)
    runs, fits = (t.to_pandas() for t in (scaling_store.runs(corpus), scaling_store.fits(corpus)))
    laws = app.dataframe[1].value
    ours = laws[(laws["whose"] == "this build") & (laws["law"] == "L(n)")]
    assert ours["k"].tolist() == sorted(runs["k"].unique())
    for _, law in ours.iterrows():
        own = runs[runs["k"] == law["k"]]
        fit = fit_power_law(own["n_latents"], own["held_out_fvu"])
        assert fit is not None
        assert law["exponent"] == pytest.approx(fit.exponent)
        assert law["coefficient_low"] == pytest.approx(fit.coefficient_low)
    app.segmented_control(key="training-documents").set_value("Training").run()
    assert not app.exception
    found = app.dataframe[1].value
    wanted = fits[(fits["measure"] == "fvu") & (fits["law"] == "latents")].sort_values("k")
    shown = found[(found["whose"] == "this build") & (found["law"] == "L(n)")]
    np.testing.assert_allclose(shown["exponent"], wanted["exponent"])


def test_fitted_laws_are_broad_enough_to_point_at(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for chart in charts_of(open_page(tiny_store, monkeypatch))[2:4]:
        lines = [
            part
            for part in chart["layer"]
            if part["mark"]["type"] == "line" and part["mark"].get("opacity") == 0
        ]
        assert [line["mark"]["strokeWidth"] for line in lines] == [12]
        assert lines[0]["encoding"]["tooltip"][0]["field"] == "told"


def test_the_fits_are_told_with_their_confidence_beside_the_plots(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page(tiny_store, monkeypatch)
    fits = scaling_store.fits(open_store(tiny_store).corpus(CORPUS)).to_pandas()
    told = [element.value for element in app.caption if element.value.startswith("Exponents")]
    assert len(told) == 2
    for law, sentence in zip(("latents", "compute"), told, strict=True):
        for fit in fits[(fits["law"] == law) & (fits["measure"] == "held_out_fvu")].to_dict("records"):
            numbers = [
                f"{fit[name]:z.3f}".replace("-", "−")
                for name in ("exponent", "exponent_low", "exponent_high")
            ]
            assert f"{numbers[0]} ({numbers[1]} … {numbers[2]}), R² " in sentence


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("cs_LG", "cs.LG"), ("astro_ph", "astro-ph"), ("Astro-ph", "astro-ph"), ("mine", "cs.LG")],
)
def test_the_papers_same_corpus_stands_beside_ours(ours: str, theirs: str) -> None:
    assert papers.nearest_corpus(ours) == theirs


def test_loss_instead_of_error(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(tiny_store, monkeypatch, sae="SAE6")
    app.segmented_control(key="training-measure").set_value("Loss").run()
    assert not app.exception
    assert any("auxiliary" in element.value for element in app.caption)


def test_a_build_without_a_grid_says_how_to_get_one(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Path(shutil.copytree(tiny_store, tmp_path / "store", symlinks=True))
    build = store / "builds" / (store / schema.CURRENT).read_text().strip()
    manifest = json.loads((build / schema.MANIFEST).read_text())
    for name in (schema.SCALING, schema.SCALING_CURVES, schema.SCALING_FITS):
        (build / CORPUS / name).unlink()
        del manifest["files"][f"{CORPUS}/{name}"]
    del manifest["checksum"]
    (build / schema.MANIFEST).unlink()  # the copy may share bytes with the original
    (build / schema.MANIFEST).write_text(json.dumps(manifest))
    app = open_page(store, monkeypatch)
    assert "PROFILE=scaling" in app.info[0].value
    assert len(charts_of(app)) == 6


def colours_of(spec: Any) -> set[str]:
    """Every colour that a chart's specification names."""
    if isinstance(spec, dict):
        return set().union(*(colours_of(v) for k, v in spec.items() if k != "datasets"), set())
    if isinstance(spec, list):
        return set().union(*(colours_of(v) for v in spec), set())
    return {spec} if isinstance(spec, str) and spec.startswith("#") else set()


def test_theirs_and_ours_never_share_a_colour(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_charts.THEIRS not in training_charts.OURS
    scale = training_charts.colours([f"SAE{i}" for i in range(20)] + [training_charts.PAPERS]).to_dict()
    assert scale["range"].count(training_charts.THEIRS) == 1
    specs = charts_of(open_page(tiny_store, monkeypatch))
    with_theirs = [training_charts.PAPERS in json.dumps(spec) for spec in specs]
    assert any(with_theirs)
    for spec, named in zip(specs, with_theirs, strict=True):
        assert (training_charts.THEIRS in colours_of(spec)) == named


def test_thinning_keeps_ends_and_means() -> None:
    steps = np.arange(1, 1001)
    held_out = np.where(steps % 50 == 0, steps / 10, np.nan)
    history = pd.DataFrame(
        {"step": steps, "loss": steps * 1.0, "fvu": 1.0, "held_out_fvu": held_out, "dead": steps % 2}
    )
    found = training_data.thinned(history, 150)
    assert len(found) <= 150
    assert found["step"].iloc[-1] == 1000
    assert found["loss"].iloc[0] == np.mean(steps[:7])
    assert found["held_out_fvu"].dropna().tolist() == (np.arange(50, 1001, 50) / 10).tolist()
    assert training_data.thinned(history.head(3), 150)["step"].tolist() == [1, 2, 3]


def test_lines_pass_through_their_laws() -> None:
    fits = pd.DataFrame(
        [{"law": "latents", "k": 4, "coefficient": 2.0, "exponent": -0.5, "r_squared": None, "n_points": 3}]
    )
    points = pd.DataFrame({"series": "k 4 (1%)", "k": 4, "x": [100, 400, 1600], "loss": 0.1, "told": ""})
    line = scaling_page.fit_lines(fits, points)
    assert line["x"].tolist() == [100, 1600]
    np.testing.assert_allclose(line["loss"], [0.2, 0.05])
    assert "not defined" in line["told"].iloc[0]


@pytest.mark.parametrize("corpus", list(papers.N_DOCUMENTS))
def test_the_papers_laws_pass_near_their_models(corpus: str) -> None:
    """A slip of a digit in the data would show: each law meets each model of its k to a tenth."""
    for law in papers.LATENT_LAWS[corpus]:
        own = [m for m in papers.METRICS if m.corpus == corpus and m.k == law.k]
        assert own
        for metrics in own:
            assert law.at(metrics.n_latents) == pytest.approx(metrics.fvu, rel=0.12)
