"""Tables as files to take away: CSV from memory, harmless in a spreadsheet."""

import pandas as pd
import streamlit as st

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_bytes(table: pd.DataFrame) -> bytes:
    """UTF-8 CSV of a table. Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    safe = table.copy()
    for name in safe.columns:
        if pd.api.types.is_object_dtype(safe[name]) or pd.api.types.is_string_dtype(safe[name]):
            safe[name] = pd.Series([_defused(value) for value in safe[name]], index=safe.index, dtype=object)
    return safe.to_csv(index=False, lineterminator="\n").encode("utf-8", "replace")


def _defused(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def download_table(table: pd.DataFrame, name: str, key: str) -> None:
    """A button that saves a table as ``name``.csv; the file is made when it is pressed."""
    st.download_button(
        "CSV",
        lambda: csv_bytes(table),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        key=key,
        on_click="ignore",
        help="Save this table.",
    )
