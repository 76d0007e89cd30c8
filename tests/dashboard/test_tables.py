"""Numbers of tables as they are written, and tables as files."""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.tables import with_minus
from tests.dashboard.search_app import opener

NUMBERS = st.column_config.NumberColumn("Change", format="%+.2f")


def test_negative_numbers_have_a_real_minus_and_stay_numbers() -> None:
    table = pd.DataFrame({"name": ["a-b", None, "c", "d"], "change": [-0.126, -0.001, 0.5, float("nan")]})
    styler, columns = with_minus(table, {"change": NUMBERS, "gone": None})
    told = styler.to_string(delimiter="|")
    assert [line.split("|")[1:] for line in told.splitlines()[1:]] == [
        ["a-b", "−0.13"], ["–", "0.00"], ["c", "+0.50"], ["d", "–"],
    ]  # fmt: skip
    assert styler.data is table
    assert columns["change"]["label"] == "Change"
    assert "format" not in columns["change"]["type_config"]  # or the browser would write the number
    assert columns["gone"] is None


def test_what_has_no_negative_number_or_very_many_is_left_to_the_browser() -> None:
    table = pd.DataFrame({"change": [0.1, 0.2]})
    assert with_minus(table, {"change": NUMBERS}) == (table, {"change": NUMBERS})
    table = pd.DataFrame({"change": [-0.1] * 20_001})
    assert with_minus(table, {"change": NUMBERS})[0] is table


@pytest.mark.parametrize(("view", "column"), [("domains", "delta_pearson"), ("training", "mean_log_density")])
def test_pages_write_real_minus_signs(
    view: str, column: str, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: AppTest = opener(tiny_store, monkeypatch, view)(corpus="planted")
    drawn = app.dataframe[0]
    written = pa.ipc.open_stream(io.BytesIO(drawn.proto.arrow_data.styler.display_values)).read_pandas()[
        column
    ]
    negative = (drawn.value[column] <= -0.005).to_numpy()
    assert negative.any()
    assert all(text.startswith("−") for text in written[negative])
    assert not any("-" in text for text in written)
