"""The evaluation page, run headless against the tiny store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import tables
from dashboard.charts import ACCENT, MUTED
from dashboard.evaluation import evaluation_charts, evaluation_steering, evaluation_words, papers_steering
from dashboard.evaluation.evaluation_data import MEASURES, METHODS
from dashboard.training.training_charts import THEIRS
from sae import schema
from sae.storage.evaluation_store import Evaluation
from sae.store import open_store

PAGE = str(Path(__file__).parent.parent.parent / "dashboard" / "views" / "evaluation.py")
EVERY = [shown for shown, _ in METHODS.values()]

Open = Callable[..., AppTest]


@pytest.fixture
def page(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    def run(store: Path = tiny_store) -> AppTest:
        monkeypatch.setenv("ARTIFACTS", str(store))
        app = AppTest.from_file(PAGE, default_timeout=60)
        app.run()
        assert not app.exception, [e.value for e in app.exception]
        return app

    return run


@pytest.fixture(scope="module")
def steering(tiny_store: Path) -> pd.DataFrame:
    corpus = open_store(tiny_store).corpus("planted")
    found = Evaluation(corpus).steering().to_pandas()
    return found[found["sae"] == corpus.saes[0]].reset_index(drop=True)


def words(app: AppTest) -> str:
    return " ".join(element.value for element in app.markdown)


def test_each_question_is_answered_in_a_sentence(page: Open) -> None:
    app = page()
    assert [s.value for s in app.subheader][:3] == [
        "Does steering do what the label says?",
        "What does it cost?",
        "What does a label promise?",
    ]
    told = words(app)
    assert "real queries were steered. A judge then saw the ten results before" in told
    assert "How far to trust a slider" in told
    assert "of the first ten results stay" in told
    assert "planted topics" in told
    assert "{" not in told.replace("{ ", "")


def test_numbers_told_are_the_tables(steering: pd.DataFrame) -> None:
    row = steering[
        (steering["edit"] == "up")
        & (steering["method"] == "feature")
        & (steering["measure"] == "up")
        & (steering["judge"] == "local")
        & (steering["fidelity"] == 0.75)
    ].iloc[0]
    answers = evaluation_words.answers(steering)
    assert [answer[""] for answer in answers][:2] == ["Raise one concept", "Lower one concept"]
    assert answers[0]["told right"].startswith(f"{100 * row['value']:.0f} %")
    interval = f"({100 * row['low']:.0f}–{100 * row['high']:.0f})"
    assert interval in answers[0]["told right"]
    assert interval.replace("–", "–\u2060") in evaluation_steering._answers(answers)  # no line ends within it
    assert f"**{int(row['n'])}" not in evaluation_words.does_it_steer(steering)
    assert f"{int(row['n'])} real queries" in evaluation_words.does_it_steer(steering)


def test_a_bad_result_is_told_as_one(steering: pd.DataFrame) -> None:
    worse = steering.assign(value=0.2, low=0.1, high=0.3)
    assert evaluation_words.does_it_steer(worse).startswith("**Not reliably.**")
    assert "Raising a concept works seldom, lowering one works seldom" in evaluation_words.how_far_to_trust(
        worse
    )
    behind = steering.assign(value=-0.1, low=-0.2, high=-0.05, n=50)
    assert "raising 10 points behind (−20 to −5)" in evaluation_words.ahead_of_words(behind)
    few = steering.assign(n=evaluation_words.FEWEST - 1)
    assert evaluation_words.does_it_steer(few).startswith("No trial")
    assert evaluation_words.answers(few) == []


def test_the_file_says_in_words_what_it_holds(steering: pd.DataFrame) -> None:
    held = evaluation_steering._for_file(steering)
    assert held[["edit", "method", "measure", "judge"]].notna().all(axis=None)
    assert not set(held["measure"]) & {"up", "down"}
    assert len(held) == len(steering) + 2 * len(papers_steering.POINTS)
    assert set(held.loc[held["judge"] == papers_steering.JUDGE, "method"]) == {
        papers_steering.STEERED,
        papers_steering.REWRITTEN,
    }


def test_the_table_tells_every_share_with_its_interval(steering: pd.DataFrame) -> None:
    here = steering[(steering["edit"] == "both") & (steering["judge"] == "local")]
    shown = evaluation_steering.wide(evaluation_steering.named(here)).set_index(["method", "measure"])
    assert len(shown.columns) == here["fidelity"].nunique()
    one = here[(here["method"] == "feature") & (here["measure"] == "up") & (here["fidelity"] == 0.75)].iloc[0]
    low, value, high = (100 * one[name] for name in ("low", "value", "high"))
    told = shown.loc[("feature", MEASURES["up"]), "0.75"]
    assert told == (f"{value:.0f} ({low:.0f}–{high:.0f})" if one["n"] >= evaluation_words.FEWEST else "–")


@pytest.mark.parametrize("missing", ["value", "low", "high"])
def test_a_number_that_is_missing_is_a_dash(steering: pd.DataFrame, missing: str) -> None:
    here = steering[(steering["edit"] == "both") & (steering["judge"] == "local")].assign(n=99, value=0.5)
    assert "nan" not in str(evaluation_steering.wide(here).to_csv())
    told = evaluation_steering.wide(here.assign(**{missing: float("nan")})).drop(
        columns=["method", "measure"]
    )
    assert set(told.to_numpy().ravel()) == {"–"}


def test_a_category_of_nearly_all_documents_is_left_out_of_the_chart_and_kept_in_the_file(
    page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.Table.from_pylist(
        [
            {
                "sae": "SAE3",
                "category": name,
                "f1_always": always,
                "f1": 0.5,
                "f1_probe": 0.6,
                "feature_id": 0,
            }
            for name, always in (("everywhere", 0.97), ("seldom", 0.2))
        ]
    )
    drawn, files = [], {}
    against = evaluation_charts.against

    def seen(shown: pd.DataFrame, *arguments: str) -> Any:
        drawn.extend(shown.get("category", []))
        return against(shown, *arguments)

    monkeypatch.setattr(evaluation_charts, "against", seen)
    monkeypatch.setattr(tables, "download_table", lambda found, name, key: files.update({key: found}))
    monkeypatch.setattr(Evaluation, "categories", lambda _: table)
    st.cache_resource.clear()
    app = page()
    st.cache_resource.clear()
    assert drawn == ["seldom"]
    assert list(files["evaluation-categories-csv"]["category"]) == ["everywhere", "seldom"]
    assert any("more than nine in ten documents" in c.value for c in app.caption)
    assert "One feature alone tells a category with F1 0.50" in words(app)


def test_cells_of_the_contour_leave_no_gap() -> None:
    grid = pd.DataFrame([(u, d, 1 - 0.1 * u - 0.05 * d) for u in (0, 0.5, 1) for d in (0, 0.5, 1)],
                        columns=["up", "down", "cosine"])  # fmt: skip
    encoding = evaluation_charts.contour(grid).to_dict()["encoding"]
    for name in ("x", "y"):
        assert encoding[name]["type"] == "ordinal"
        assert encoding[name]["scale"] == {"paddingInner": 0, "paddingOuter": 0, "round": True}


@pytest.mark.parametrize("edit", ["both", "even", "up", "down"])
def test_every_edit_can_be_looked_at(page: Open, edit: str) -> None:
    app = page()
    app.segmented_control(key="evaluation-edit").set_value(edit).run()
    assert not app.exception
    app.pills(key="evaluation-methods").set_value([]).run()
    assert not app.exception
    assert any("Choose at least one" in c.value for c in app.caption)


def test_costs_by_judgments_are_told_and_hostile_names_are_only_text(
    page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"sae": sae, "collection": "<b>![x](http://a.b/c)", "n_documents": 900, "variant": variant, "measure": measure,
         "value": value, "low": value - 0.1, "high": value + 0.1, "n": 51}
        for sae in ("SAE3", "SAE6")
        for variant, value in (("original", 0.71), ("query", 0.62), ("query and documents", 0.53), ("sparse", 0.44))
        for measure in ("ndcg@10", "recall@100", "overlap@10")
    ]  # fmt: skip
    monkeypatch.setattr(Evaluation, "judged", lambda _: pa.Table.from_pylist(rows, schema.JUDGED_COLUMNS))
    st.cache_resource.clear()
    app = page()
    assert "nDCG@10 is **0.710** by the embedding" in words(app)
    assert "0.620 when the query is replaced" in words(app)
    assert "![x](http" not in words(app)
    app.segmented_control(key="evaluation-measure").set_value("recall@100").run()
    assert not app.exception
    assert any("recall@100: relevant documents" in c.value for c in app.caption)
    st.cache_resource.clear()


def test_a_build_without_evaluation_says_what_to_do(page: Open, tiny_store: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(tiny_store, tmp_path / "store", symlinks=True))
    build = store / "builds" / (store / "CURRENT").read_text().strip()
    removed = [str(p.relative_to(build)) for p in build.glob("*/evaluation/*")]
    assert removed
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["files"] = {k: v for k, v in manifest["files"].items() if k not in removed}
    del manifest["checksum"]
    (build / "manifest.json").write_text(json.dumps(manifest))
    for path in removed:
        (build / path).unlink()
    app = page(store)
    assert any("holds no evaluation" in i.value for i in app.info)


def test_the_papers_colour_is_theirs_alone() -> None:
    ours = {evaluation_charts.method_colour(name, EVERY) for name in EVERY}
    assert THEIRS not in ours
    assert len(ours) == len(EVERY)
    assert evaluation_charts.method_colour("feature", EVERY) == ACCENT
    assert evaluation_charts.method_colour("another edit", EVERY) == MUTED
    html = evaluation_charts.method_key(EVERY[:2], EVERY, papers=True)
    assert html.count(THEIRS) == 2
    assert "<b>" not in evaluation_charts.key({"<b>": "#000000"})


def test_the_chart_holds_both_and_names_them(steering: pd.DataFrame) -> None:
    theirs = pd.DataFrame(
        [(m, f, up) for m, f, up, _ in papers_steering.POINTS], columns=["method", "fidelity", "value"]
    )
    table = steering[(steering["measure"] == "up") & (steering["judge"] == "local") & (steering["n"] > 0)]
    named = table.assign(method=table["method"].map({k: v for k, (v, _) in METHODS.items()}))
    spec = evaluation_charts.accuracy(named, theirs, EVERY, "told").to_dict()
    told = str(spec)
    assert papers_steering.STEERED in told
    assert THEIRS in told
    assert "http" not in told.replace("https://vega.github.io/schema", "")
