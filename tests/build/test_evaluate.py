"""The evaluation of the tiny build: what it finds where the truth is planted, and what it must never find."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from build.evaluation.queries_for_trials import as_query, from_documents, from_file
from build.evaluation.steering_methods import CONTROL, EDITS, FIDELITIES, METHODS
from sae.errors import UserError
from sae.storage.evaluation_store import Evaluation
from sae.store import open_store


@pytest.fixture(scope="module")
def evaluation(tiny_store: Path) -> Evaluation:
    return Evaluation(open_store(tiny_store).corpus("planted"))


@pytest.fixture(scope="module")
def steering(evaluation: Evaluation) -> pd.DataFrame:
    return evaluation.steering().to_pandas()


def pick(steering: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    for column, value in wanted.items():
        steering = steering[steering[column] == value]
    return steering.sort_values("fidelity")


def test_every_method_is_tried_at_every_fidelity(steering: pd.DataFrame) -> None:
    for sae in steering["sae"].unique():
        found = pick(steering, sae=sae, edit="both", judge="local", measure="both")
        assert set(found["method"]) == {*METHODS, CONTROL}
        assert set(found["fidelity"]) == set(FIDELITIES)
    assert set(steering["edit"]) == set(EDITS)


def test_numbers_are_shares_within_their_intervals(steering: pd.DataFrame) -> None:
    told = steering[steering["measure"].isin(["up", "down", "both", "overlap"])].dropna(subset=["value"])
    assert told["value"].between(0, 1).all()
    assert (told["low"] <= told["value"] + 1e-9).all()
    assert (told["value"] <= told["high"] + 1e-9).all()
    assert (steering.loc[steering["n"] == 0, "value"].isna()).all()


def test_raising_is_recognised_and_another_edit_is_not(steering: pd.DataFrame) -> None:
    for judge in ("local", "words"):
        up = pick(steering, edit="up", judge=judge, measure="up", fidelity=0.75)
        value = up.groupby("method")["value"].mean()
        assert value["feature"] > 0.6
        assert value["typical"] > 0.6
        assert value[CONTROL] < 0.45
        assert value["feature"] > value[CONTROL] + 0.3


def test_lower_fidelity_changes_more(steering: pd.DataFrame) -> None:
    overlap = pick(steering, edit="up", method="feature", measure="overlap")
    for _, found in overlap.groupby("sae"):
        assert (np.diff(found["value"]) > -0.05).all()  # with rising fidelity


def test_planted_topics_are_found(evaluation: Evaluation) -> None:
    truth = evaluation.truth().to_pandas()
    narrow = truth[~truth["broad"]]
    assert narrow["correlation"].median() > 0.6
    assert narrow["chance"].median() < 0.3
    for _, group in truth[truth["feature_id"] >= 0].groupby("sae"):
        assert group["feature_id"].is_unique


def test_the_probe_is_the_ceiling_of_categories(evaluation: Evaluation) -> None:
    found = evaluation.categories().to_pandas()
    assert found["f1"].mean() > found["f1_always"].mean() + 0.2
    assert found["f1_probe"].mean() > found["f1"].mean() - 0.1


def test_optimising_never_ends_worse_than_direct_setting_on_average(evaluation: Evaluation) -> None:
    curves = evaluation.optimisation().to_pandas().set_index(["sae", "case", "residual", "step"])["value"]
    first, last = curves.xs(0, level="step"), curves.xs(10, level="step")
    assert (last <= first + 1e-9).mean() >= 0.75


def test_retrieval_and_contour(evaluation: Evaluation) -> None:
    kept = evaluation.retrieval().to_pandas()
    assert kept["value"].between(0, 1).all()
    recall = kept[kept["measure"] == "recall@100"]["value"]
    overlap = kept[kept["measure"] == "overlap@10"]["value"]
    assert recall.mean() >= overlap.mean()
    contour = evaluation.contour().to_pandas()
    still = contour[(contour["up"] == 0) & (contour["down"] == 0)]["cosine"]
    assert still.to_numpy() == pytest.approx(1.0, abs=1e-5)


def test_recognition_at_a_fidelity(evaluation: Evaluation) -> None:
    sae = evaluation.corpus.saes[0]
    near, far = evaluation.recognised(sae, 0.97, "up"), evaluation.recognised(sae, 0.6, "up")
    assert near is not None
    assert far is not None
    assert 0 <= near <= far <= 1
    assert evaluation.recognised("no such model", 0.9, "up") is None


@pytest.mark.parametrize(
    ("title", "text", "query"),
    [
        ("Notes on ocean acidification", "", ""),  # two words say too little
        ("On the rotation curves of galaxies", "", "the rotation curves of galaxies"),
        ("Heart failure of athletes: a review", "", "heart failure of athletes"),
        ("scipy.stats.mielke", "A Mielke Beta-Kappa continuous random variable. More.",
         "a mielke beta-kappa continuous random variable"),
    ],
)  # fmt: skip
def test_titles_become_queries(title: str, text: str, query: str) -> None:
    assert as_query(title, text) == query


def test_queries_come_from_the_rows_given_and_from_files(tmp_path: Path) -> None:
    titles = [f"the study of thing number {i}" for i in range(30)]
    found = from_documents(titles, [""] * 30, np.arange(10, 20), ("an example",), 8, seed=0)
    assert found.texts[0] == "an example"
    assert found.documents[0] == -1
    assert all(
        10 <= row < 20 and titles[row] == text
        for text, row in list(zip(*vars(found).values(), strict=True))[1:]
    )
    assert len(set(found.texts)) == 8
    file = tmp_path / "queries.txt"
    file.write_text("# mine\nfirst query\n\nsecond query\n", encoding="utf-8")
    assert from_file(file, 10).texts == ["first query", "second query"]
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match="holds no query"):
        from_file(file, 10)
    with pytest.raises(UserError, match="cannot be read"):
        from_file(tmp_path / "none.txt", 10)
