"""Charts: what they draw, that they carry their data, and that nothing in them leads elsewhere."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard import charts
from dashboard.training.training_charts import distribution

EVIDENCE = pd.DataFrame(
    {
        "role": ["top", "quantile", "matched", "random", "matched"],
        "activation": [2.0, 0.5, 0.0, 0.0, 0.0],
        "confidence": [0.9, -0.2, 0.4, -0.8, np.nan],
        "title": ["a", "<b>b</b>", "c", "d", "e"],
    }
)
SCORES = pd.DataFrame(
    {"sae": ["SAE4"] * 6 + ["SAE8"] * 3, "value": [0.1, 0.5, 0.5, 0.9, -0.3, np.nan, 0.2, 0.3, 1.0]}
)
NO_PAPERS = pd.DataFrame({"x": [], "told": []})


def drawn() -> list[Any]:
    return [
        charts.activation_histogram([0, 1, 2, 3], [100, 0, 1], [0.2, 0.9]),
        charts.activation_histogram([0, 1], [1]),
        charts.prediction_strips(EVIDENCE),
        distribution(SCORES, NO_PAPERS, "score"),
        distribution(SCORES[:0], NO_PAPERS, "score"),
    ]


def rows(chart: Any, column: str) -> list[dict[str, Any]]:
    """The data set of a chart that has the column."""
    found = [data for data in chart.to_dict()["datasets"].values() if data and column in data[0]]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("chart", drawn())
def test_a_chart_fits_both_themes_and_leads_nowhere(chart: Any) -> None:
    spec = chart.to_dict()
    assert spec["background"] == "transparent"
    actions = spec["usermeta"]["embedOptions"]["actions"]
    assert actions == {
        "export": {"png": True, "svg": True},
        "source": False,
        "compiled": False,
        "editor": False,
    }
    assert '"url"' not in json.dumps({name: value for name, value in spec.items() if name != "$schema"})
    for axis in ("x", "y"):
        assert any("title" in layer["encoding"].get(axis, {}) for layer in spec.get("layer", [spec]))


def test_the_histogram_draws_each_bin_that_holds_documents() -> None:
    found = rows(charts.activation_histogram([0, 1, 2, 3], [100, 0, 1]), "documents")
    assert [(row["low"], row["high"], row["documents"]) for row in found] == [(0, 1, 100), (2, 3, 1)]
    assert all(0 < row["floor"] < 1 for row in found)  # a log scale has no zero, and one document must show
    with pytest.raises(ValueError, match="edges"):
        charts.activation_histogram([0, 1], [1, 2])


def test_each_scored_document_is_a_dot_with_its_verdict() -> None:
    found = rows(charts.prediction_strips(EVIDENCE), "right")
    assert [(row["title"], row["right"]) for row in found] == [
        ("a", "told rightly"), ("<b>b</b>", "wrongly"), ("c", "wrongly"), ("d", "told rightly"),
    ]  # fmt: skip
    assert charts.prediction_strips(EVIDENCE).to_json() == charts.prediction_strips(EVIDENCE).to_json()


def test_no_model_has_the_colour_of_the_papers() -> None:
    many = pd.DataFrame({"sae": [f"SAE{i}" for i in range(8)], "value": 0.5})
    assert charts.CONTRAST not in distribution(many, NO_PAPERS, "score").to_json()


def test_the_distribution_counts_every_score_once() -> None:
    found = rows(distribution(SCORES, NO_PAPERS, "score"), "share")
    for name, count in (("SAE4", 5), ("SAE8", 3)):
        assert sum(row["features"] for row in found if row["sae"] == name) == count
        assert sum(row["share"] for row in found if row["sae"] == name) == pytest.approx(1)
