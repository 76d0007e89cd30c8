"""The box that adds features to the steering panel, by the words of their labels or by meaning."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, state
from dashboard.chips import feature_chip, feature_name, feature_row, steering_value
from dashboard.label_words import with_words
from dashboard.text import safe_text

_MATCHES = 6
_LONGEST_NAME = 200
_FAINTEST = 0.2  # labels below this cosine have nothing to do with what was typed
_KEY = "add-feature"


def add_box(table: pd.DataFrame, present: Sequence[int]) -> None:
    """Where somebody types what there should be more of, and the features that fit."""
    typed = st.text_input(
        "Add a concept",
        key=_KEY,
        placeholder="Less or more of another concept: type words for it …",
        label_visibility="collapsed",
        icon=":material/add:",
        live=True,
        autocomplete="off",
    )
    typed = (typed or "").strip()[:_LONGEST_NAME]
    if not typed:
        return
    words = by_words(table, typed, present)[:_MATCHES]
    for feature_id in words:
        _match(feature_row(table, feature_id))
    # Drawn after those found by words: the first time, the labels have to be embedded.
    meant = by_meaning(table, typed, present)[: _MATCHES - len(words)] if len(words) < _MATCHES else []
    for feature_id in meant:
        if feature_id not in words:
            _match(feature_row(table, feature_id))
    if not words and not meant:
        st.caption("No feature is called like that. Try another word.")


def _match(row: pd.Series) -> None:
    feature_id = int(row["feature_id"])
    name = safe_text(feature_name(row), 64)
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="xsmall"):
        with st.container(
            horizontal=True, gap="xxsmall", width="content", key=f"match-way-{feature_id}", wrap=False
        ):
            for way, key, value in (
                ("less", f"less-{feature_id}", -steering_value(row)),
                ("more", f"add-{feature_id}", steering_value(row)),
            ):
                st.button(
                    way,
                    key=key,
                    type="tertiary",
                    icon=":material/remove:" if way == "less" else ":material/add:",
                    help=f"{way.capitalize()} of {name}",
                    on_click=_add,
                    args=(feature_id, value),
                )
        feature_chip(row, key=f"match-{feature_id}", steer=False)


def _add(feature_id: int, value: float) -> None:
    state.add_edit(feature_id, value)
    st.session_state[_KEY] = ""


def _usable(table: pd.DataFrame, leave_out: Sequence[int]) -> np.ndarray:
    """bool (n_latents,): features that have a label, are not dead, and are not left out."""
    labelled = ~table["dead"] & table["label"].str.strip().ne("")
    return np.array(labelled & ~table.index.isin(list(leave_out)), dtype=bool)


def by_words(table: pd.DataFrame, typed: str, leave_out: Sequence[int] = ()) -> list[int]:
    """Ids of features whose label contains every word typed, the most frequent first."""
    found = _usable(table, leave_out)
    found &= with_words(table["label"], typed).to_numpy(dtype=bool)
    rows = np.flatnonzero(found)
    return [int(table.index[i]) for i in rows[np.argsort(-table["density"].to_numpy()[rows], kind="stable")]]


def by_meaning(table: pd.DataFrame, typed: str, leave_out: Sequence[int] = ()) -> list[int]:
    """Ids of the features whose labels are nearest to the words typed, by cosine; none without an encoder."""
    labels, vector = data.label_vectors(*state.selected()), data.encoded(typed)
    if labels is None or vector is None:
        return []
    cosines = np.where(_usable(table, leave_out), labels @ vector, -1.0)
    order = np.argsort(-cosines, kind="stable")[: 2 * _MATCHES]
    return [int(table.index[i]) for i in order if cosines[i] > _FAINTEST]
