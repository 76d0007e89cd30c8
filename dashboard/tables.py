"""Files to take away, made when they are asked for; tables as CSV that is harmless in a spreadsheet."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import pandas as pd
import streamlit as st

_MOST_CELLS = 20_000
"""Of a table whose numbers are written here, at 7 µs each; in a larger one the browser writes them."""
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


def with_minus(table: Any, columns: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """(what to give st.dataframe, its column_config): negative numbers have a real minus sign, and what rounds to
    nothing has none. Streamlit's own formats write a hyphen.

    ``table``: a DataFrame or its Styler; ``columns``: st.column_config by name, of which number columns with a
    printf format are written here. They keep their numbers, and so their order when sorted.
    """
    data: pd.DataFrame = getattr(table, "data", table)
    forms = {name: _printf(column) for name, column in columns.items() if name in data}
    forms = {name: form for name, form in forms.items() if form and data[name].lt(0).any()}
    if not forms or data.size > _MOST_CELLS:
        return table, dict(columns)
    styler = data.style if table is data else table
    plain = {name: dict(columns[name], type_config={"type": "number"}) for name in forms}
    ways: Any = {name: partial(_number, form) for name, form in forms.items()}
    return styler.format(ways, na_rep="–"), {**columns, **plain}


def _printf(column: Any) -> str:
    """The format of a number column, where it is one such as ``%.2f``."""
    kind = (column.get("type_config") or {}) if isinstance(column, dict) else {}
    form = kind.get("format") or ""
    return form if kind.get("type") == "number" and form.startswith("%") else ""


def _number(form: str, value: float) -> str:
    text = form % value
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text.lstrip("-+")


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
    """A button at the right that saves a table as ``name``.csv; the file is made when it is pressed."""
    icon, told = ":material/download:", "Save this table."
    with st.container(horizontal=True, horizontal_alignment="right"):
        download("CSV", lambda: csv_bytes(table), f"{name}.csv", "text/csv", key, icon=icon, help=told)
