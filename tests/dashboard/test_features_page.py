"""The features page and the page of each feature, run headless against the tiny store."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import chips
from dashboard.features.feature_page import quantile_places
from dashboard.text import html_text, plain_text, safe_text
from sae import schema
from sae.storage.arrays import write_table
from sae.storage.manifest import file_sha256
from sae.store import SAE, open_store
from tests.dashboard.search_app import CORPUS, Open, build_of, edit_manifest, opener


@pytest.fixture
def page(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the features page, on another store or with an address where given."""
    return opener(tiny_store, monkeypatch, "features")


@pytest.fixture
def sae(tiny_store: Path) -> SAE:
    corpus = open_store(tiny_store).corpus(CORPUS)
    return corpus.sae(corpus.saes[0])


@pytest.fixture
def table(sae: SAE) -> pd.DataFrame:
    return sae.features().to_pandas().set_index("feature_id", drop=False).rename_axis("feature_index")


def texts(app: AppTest) -> str:
    """Everything that the page says in titles, Markdown, captions and messages."""
    parts = [*app.title, *app.header, *app.subheader, *app.markdown, *app.caption, *app.warning, *app.info]
    return "\n".join(str(part.value) for part in parts)


def best(table: pd.DataFrame) -> pd.Series:
    """The feature with the best scored label."""
    scored = table[table["status"] == "scored"]
    return scored.loc[scored["pearson_matched"].idxmax()]


def test_the_table_shows_every_feature_and_counts(page: Open, table: pd.DataFrame) -> None:
    app = page()
    shown = app.dataframe[0].value
    assert sorted(shown["feature_id"]) == table["feature_id"].tolist()
    reliable = int(chips.reliable_rows(table).sum())
    assert f"**{len(table)}** of {len(table)} features · {reliable} with a reliable label" in texts(app)
    scores = shown["matched"].dropna().to_numpy()
    assert (np.diff(scores) <= 0).all()


def test_filters_narrow_the_table_and_say_so(page: Open, table: pd.DataFrame) -> None:
    app = page()
    word = plain_text(best(table)["label"]).split()[0].strip(";").lower()
    app.text_input(key="features-words").set_value(word).run()
    expected = table[table["label"].str.lower().str.contains(word, regex=False)]
    assert sorted(app.dataframe[0].value["feature_id"]) == expected["feature_id"].tolist()
    app.toggle(key="features-reliable").set_value(True).run()
    expected = expected[chips.reliable_rows(expected)]
    assert sorted(app.dataframe[0].value["feature_id"]) == expected["feature_id"].tolist()
    app.text_input(key="features-words").set_value("no label has (this").run()
    assert not app.exception
    assert not any("feature_id" in found.value for found in app.dataframe)
    assert "No feature fits these filters" in texts(app)


def test_score_density_and_status_filters(page: Open, table: pd.DataFrame) -> None:
    app = page()
    app.select_slider(key="features-score").set_value(0.5).run()
    expected = table[table["pearson_matched"].astype("float64") >= 0.5]
    assert sorted(app.dataframe[0].value["feature_id"]) == expected["feature_id"].tolist()
    app.select_slider(key="features-score").set_value(-1.0)
    app.select_slider(key="features-density").set_value((0.03, 1.0)).run()
    expected = table[table["density"].astype("float64") >= 0.03 * (1 - 1e-6)]
    assert sorted(app.dataframe[0].value["feature_id"]) == expected["feature_id"].tolist()
    app.select_slider(key="features-density").set_value((0.0, 1.0))
    status = table["status"].iloc[0]
    app.selectbox(key="features-status").set_value(status).run()
    assert set(app.dataframe[0].value["status"]) == {status}


def test_a_features_page_holds_all_that_is_known(page: Open, table: pd.DataFrame, sae: SAE) -> None:
    row = best(table)
    app = page(feature=str(row["feature_id"]))
    assert app.title[0].value == safe_text(row["label"], 160)
    said = texts(app)
    for section in (
        "Documents", "Activation", "How well the label predicts", "Candidate labels", "Most similar",
        "Least similar", "Active together", "In the other models",
    ):  # fmt: skip
        assert section in said, section
    facts = {metric.label: metric.value for metric in app.metric}
    assert facts["Label, nearest negatives"] == chips.interval(row, "pearson_matched")
    assert facts["Label, random negatives"] == chips.interval(row, "pearson_random")
    assert facts["Density"].startswith(chips.percent(row["density"]))
    documents, _ = sae.by_feature(int(row["feature_id"]), 1)
    title = sae.corpus.documents(documents).column("title")[0].as_py()
    cards = [element.proto.body for element in app.get("html") if "sx-card" in element.proto.body]
    assert html_text(title) in cards[0]
    evidence = sae.evidence(int(row["feature_id"])).to_pandas()
    scored = evidence[(evidence["half"] == "score") & evidence["confidence"].notna()]
    assert any(len(frame.value) == len(scored) for frame in app.dataframe)
    links = [element.proto for element in app.get("page_link")]
    for other in [*row["most_similar"], *row["least_similar"], *row["cooccurring"]]:
        assert any(f"feature={other}" in link.query_string.split("&") for link in links), other
    for name, other in zip(row["other_saes"], row["other_features"], strict=True):
        assert any({f"feature={other}", f"sae={name}"} <= set(link.query_string.split("&")) for link in links)


def test_steering_with_a_feature_leads_to_the_search(page: Open, table: pd.DataFrame) -> None:
    row = best(table)
    app = page(feature=str(row["feature_id"]))
    app.button(key="steer-this").click().run()
    assert not app.exception
    assert app.session_state["edits"] == {int(row["feature_id"]): chips.steering_value(row)}
    assert not [button for button in app.button if button.key == "steer-this"]


def test_a_chips_plus_steers_with_its_feature(page: Open, table: pd.DataFrame) -> None:
    row = best(table)
    live = next(int(i) for i in row["most_similar"] if not table.loc[int(i), "dead"])
    app = page(feature=str(row["feature_id"]))
    app.button(key=f"steer-similar-{live}").click().run()
    assert list(app.session_state["edits"]) == [live]


@pytest.mark.parametrize("asked", ["99999", "-1", "x", "", "1e3", "٣", "<b>x</b>", "9" * 400])
def test_a_feature_that_is_not_there_is_said_to_be_so(page: Open, asked: str) -> None:
    app = page(feature=asked)
    assert "There is no feature" in app.warning[0].value
    assert "<b>" not in app.warning[0].value


def test_another_model_shows_the_same_feature_there(page: Open, table: pd.DataFrame) -> None:
    row = best(table)
    app = page(feature=str(row["feature_id"]))
    other = row["other_saes"][0]
    app.selectbox(key="switch-sae").set_value(other).run()
    assert not app.exception
    assert app.query_params["feature"] in ([str(row["other_features"][0])], str(row["other_features"][0]))
    assert app.query_params["sae"] in ([other], other)


def test_a_dead_feature_and_a_hostile_label(page: Open, tiny_store: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(tiny_store, tmp_path / "store", symlinks=True))
    label = "<img src=x onerror=alert(1)> ![x](http://evil.example/x.png) :red[x] $a$"
    _change_features(store, {0: {"label": label}, 1: _dead()})
    app = page(store, feature="0")
    assert app.title, texts(app)
    assert app.title[0].value == safe_text(label, 160)
    app = page(store, feature="1")
    assert "active in no document" in app.info[0].value
    assert not [button for button in app.button if button.key == "steer-this"]
    assert len(page(store).dataframe[0].value) > 2


def _dead() -> dict[str, object]:
    """What the statistics say of a feature that is never active."""
    missing = ("log_density", "mean_activation", "max_activation", "objective", *schema.SCORE_NAMES)
    empty = (
        "quantiles",
        "histogram_edges",
        "histogram_counts",
        "cooccurring",
        "cooccurring_counts",
        "candidates",
    )
    return (
        dict.fromkeys(missing)
        | {name: [] for name in (*empty, "candidate_objectives")}
        | {
            "dead": True,
            "density": 0.0,
            "n_active": 0,
            "label": "",
            "source": "none",
            "status": "dead",
            "n_scored": 0,
        }
    )


def _change_features(store: Path, changes: dict[int, dict[str, object]]) -> None:
    build = build_of(store)
    corpus = open_store(store).corpus(CORPUS)
    name = f"{CORPUS}/{corpus.saes[0]}/{schema.FEATURES}"
    rows = pq.read_table(build / name).to_pylist()
    for feature_id, change in changes.items():
        rows[feature_id] |= change
    (build / name).unlink()
    write_table(build / name, pa.Table.from_pylist(rows, schema.FEATURE_COLUMNS))
    entry = {"size": (build / name).stat().st_size, "sha256": file_sha256(build / name)}
    edit_manifest(build, lambda manifest: manifest["files"][name].update(entry))


@pytest.mark.parametrize("n_active", [1, 2, 3, 7, 10, 1000])
def test_quantile_samples_go_from_weak_to_strong_without_repeats(n_active: int) -> None:
    places = [place for _, chosen in quantile_places(n_active) for place in chosen]
    assert len(places) == len(set(places)) >= min(n_active, 5)
    assert all(0 <= place < n_active for place in places)
    assert [max(chosen) for _, chosen in quantile_places(n_active)] == sorted(
        (max(chosen) for _, chosen in quantile_places(n_active)), reverse=True
    )
