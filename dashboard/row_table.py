"""A table of which one row can be chosen, and that can be taken away as CSV: the same on every page."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.tables import download_table

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
    event: Any = st.dataframe(
        shown,
        hide_index=True,
        height=min(height, _ROW * (len(shown) + 1) + 3),
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        alt=alt,
        placeholder="–",
        column_config=dict(columns),
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(hint, width="content")
        download_table(shown if saved is None else saved, name, key=f"{key}-csv")
    return int(event.selection.rows[0]) if event.selection.rows else None
