"""The scores and the pairs of a corpus, as tables."""

import pandas as pd

from dashboard import papers
from dashboard.features.label_panels import pairs_table, score_summary
from sae import schema

NAN = float("nan")


def features(**columns: list[object]) -> pd.DataFrame:
    n = len(columns["pearson_matched"])
    rest = ("pearson_random", "f1_matched", "f1_random", "pearson_papers", "pearson_matched_low")
    table = pd.DataFrame({"dead": [False] * n, "status": ["scored"] * n} | {name: [0.9] * n for name in rest})
    return table.assign(**columns)


def test_shares_are_of_live_features_and_the_papers_stand_below_ours() -> None:
    table = features(
        pearson_matched=[0.9, 0.7, NAN, NAN],
        pearson_matched_low=[0.8, 0.3, NAN, NAN],
        status=["scored", "scored", "too rare", "dead"],
        dead=[False, False, False, True],
    )
    shown = score_summary({"SAE4": table})
    ours = shown.iloc[0]
    assert ours["scored"] == "2 of 3"
    assert ours["matched"] == "0.80"
    assert ours["matched good"] == ours["reliable"] == "33\u00a0%"
    assert list(shown["whose"].iloc[1:]) == ["papers"] * len(papers.LABEL_MEDIANS)
    assert list(shown["papers"].iloc[1:]) == ["0.65–0.71", "0.85–0.98"]


def test_a_model_without_scored_labels_has_dashes() -> None:
    table = features(pearson_matched=[NAN], dead=[True], status=["dead"])
    ours = score_summary({"SAE4": table}).iloc[0]
    assert (ours["scored"], ours["matched"], ours["matched good"], ours["reliable"]) == (
        "0 of 0",
        "–",
        "–",
        "–",
    )


def test_each_pair_is_a_row_with_intervals_and_errors() -> None:
    row = {"sae": "SAE4", "predictor": "local", "value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "errors": 0}
    rows = [
        row | {"interpreter": name, "measure": measure}
        for name in ("local", "<b>plain</b>")
        for measure in schema.PAIR_MEASURES
    ]
    rows[-1] |= {"value": None, "low": None, "high": None, "errors": 3}
    shown = pairs_table(pd.DataFrame(rows))
    assert len(shown) == 2
    assert shown["Pearson, nearest"].tolist() == ["0.50 (0.40 … 0.60)"] * 2
    assert shown["F1, 3 + 3"].tolist() == ["0.50 (0.40 … 0.60)", "–"]
    assert shown["Errors"].tolist() == ["0", "3"]
