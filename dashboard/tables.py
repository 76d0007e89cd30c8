"""Files to take away, made when they are asked for; tables as CSV that is harmless in a spreadsheet."""

from collections.abc import Callable
from typing import Any, Literal

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


def download(
    label: str,
    make: Callable[[], str | bytes],
    file_name: str,
    mime: str,
    key: str,
    type: Literal["secondary", "tertiary"] = "tertiary",
    **look: Any,
) -> None:
    """A button that saves what ``make`` gives when it is pressed; the page is not drawn again. ``look``: of
    st.download_button. What is made from the session must be taken before: ``make`` knows nothing of it."""
    st.download_button(
        label, make, file_name=file_name, mime=mime, key=key, on_click="ignore", type=type, **look
    )


def download_table(table: pd.DataFrame, name: str, key: str) -> None:
    """A button that saves a table as ``name``.csv; the file is made when it is pressed."""
    icon, told = ":material/download:", "Save this table."
    download("CSV", lambda: csv_bytes(table), f"{name}.csv", "text/csv", key, icon=icon, help=told)
