"""A table of which one row can be chosen, and that can be taken away as CSV: the same on every page."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.tables import download_table, with_minus

_ROW = 35  # pixels


def row_table(
    shown: pd.DataFrame,
    columns: Mapping[str, Any],
    *,
    key: str,
    name: str,
    alt: str,
    hint: str,
    height: int = 420,
    saved: pd.DataFrame | None = None,
) -> int | None:
    """Draw a table; returns the position of the chosen row, None when none is.

    ``columns``: st.column_config by name, None hides one; ``name``: of the file to take away, which holds
    ``saved`` where that differs from what is shown; ``hint``: what choosing a row does.
    """
    table, configured = with_minus(shown, columns)
    event: Any = st.dataframe(
        table,
        hide_index=True,
        height=min(height, _ROW * (len(shown) + 1) + 3),
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        alt=alt,
        placeholder="–",
        column_config=configured,
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(hint, width="content")
        download_table(shown if saved is None else saved, name, key=f"{key}-csv")
    return chosen_row(event)


def score_column(title: str, width: int, help: str, form: str = "%.2f") -> Any:
    """The look of a column of scores: ``width`` pixels, each number written in ``form`` (printf)."""
    return st.column_config.NumberColumn(title, format=form, width=width, help=help)


def chosen_row(event: Any) -> int | None:
    """Position of the row chosen in a table, given its event or what the session holds under its key."""
    rows = event["selection"]["rows"] if event else []
    return int(rows[0]) if rows else None


def chosen_mark(event: Any, selection: str, field: str) -> int | None:
    """The same of a chart: the number in ``field`` of the mark chosen by the named selection."""
    marks = (event["selection"].get(selection) if event else None) or []
    value = marks[0].get(field) if marks else None
    return None if value is None else int(value)
