"""The steering panel: one slider a feature, its reset, and the search for features to add."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, state
from dashboard.chips import feature_chip, feature_name, number, signed, steering_value
from dashboard.text import safe_text
from sae.steer import REACH_75, SliderRange, Steered, slider_range

SHOWN = 8  # active features with a slider before somebody asks for the rest
_MATCHES = 6
_LONGEST_NAME = 200
_FAINTEST = 0.2  # labels below this cosine have nothing to do with what was typed
_ADD_KEY, _ALL_KEY = "add-feature", "all-sliders"
_MODE_NAMES = {
    "direct": "the query itself (direct)",
    "reconstruction": "what the features say of the query (reconstruction)",
}


def panel(table: pd.DataFrame, steered: Steered) -> None:
    """Fidelity, a slider for each active or edited feature, and the box that adds others."""
    edits = state.edits()
    _heading(steered, changed=bool(steered.amounts), touched=bool(edits))
    active = list(steered.latents)
    shown = active if st.session_state.get(_ALL_KEY) else active[:SHOWN]
    added = [i for i in edits if i not in steered.latents]
    features = [i for i in active if i in shown or i in edits] + added
    for feature_id in features:
        _slider_row(_row(table, feature_id), steered.latents.get(feature_id, 0.0), edits.get(feature_id))
    if len(active) > SHOWN:
        rest = f"Show {len(active) - SHOWN} weaker features" if len(shown) == SHOWN else "Show fewer"
        st.button(rest, key="show-all-sliders", type="tertiary", on_click=_toggle_all)
    _add_box(table, features)
    _mode_box()


def _row(table: pd.DataFrame, feature_id: int) -> pd.Series:
    return cast(pd.Series, table.loc[feature_id])


def _heading(steered: Steered, changed: bool, touched: bool) -> None:
    st.subheader("Steering", anchor=False)
    with st.container(gap=None):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(
                f"Fidelity **{signed(steered.fidelity)}** :gray[· {_in_words(steered.fidelity, changed)}]",
                help="Cosine between your query and the steered one. At 1 nothing is changed; below .75 the "
                "results follow the edits more than your words.",
                width="content",
            )
            st.button(
                "Reset all",
                key="reset-all",
                type="tertiary",
                icon=":material/restart_alt:",
                disabled=not touched,
                help="Give every feature back its own activation.",
                on_click=state.clear_edits,
            )
        st.progress(min(1.0, max(0.0, steered.fidelity)))


def _in_words(fidelity: float, changed: bool) -> str:
    """What a fidelity means."""
    if not changed:
        return "nothing is changed"
    if fidelity >= 0.9:
        return "close to your query"
    if fidelity >= 0.75:
        return "clearly moved"
    return "far from your query"


def _slider_row(row: pd.Series, original: float, value: float | None) -> None:
    feature_id = int(row["feature_id"])
    ends = _range(row, original, value)
    key = f"slider-{'-'.join(state.selected())}-{feature_id}-{ends.low}-{ends.high}"
    # The ends are rounded to steps, so that a value from a link may lie a hair outside.
    at = ends.original if value is None else min(max(value, ends.low), ends.high)
    edited = value is not None and value != original
    with st.container(gap="xxsmall", key=f"row-{feature_id}"):
        with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="small"):
            with st.container():
                feature_chip(row, key=f"active-{feature_id}", steer=False)
            if edited:
                st.markdown(f":gray[{_shown(original, ends)} →] **{_shown(at, ends)}**", width="content")
            st.button(
                ":material/restart_alt:",
                key=f"reset-{feature_id}",
                type="tertiary",
                disabled=value is None,
                help=f"Back to {_shown(original, ends)}" if original else "Take this feature away again",
                on_click=state.remove_edit,
                args=(feature_id,),
            )
        # The session's edits are the truth; the widget is told only what it does not know, so that a hand
        # that is dragging is never pulled back.
        if st.session_state.get(key) != at:
            st.session_state[key] = at
        st.slider(
            feature_name(row),
            min_value=ends.low,
            max_value=ends.high,
            step=ends.step,
            format=f"%.{min(ends.decimals, 4)}f",
            key=key,
            label_visibility="collapsed",
            on_change=_moved,
            args=(feature_id, key, original, ends),
        )


def _range(row: pd.Series, original: float, value: float | None) -> SliderRange:
    quantiles = row["quantiles"]
    strong = number(quantiles[-1]) if quantiles is not None and len(quantiles) else None
    strong = strong or number(row["max_activation"]) or max(original, 1.0)
    if value is not None:  # a link may set more than the slider would
        strong = max(strong, abs(value - original) / REACH_75)
    return slider_range(original, strong)


def _shown(value: float, ends: SliderRange) -> str:
    return signed(value, digits=min(max(ends.decimals, 1), 3))


def _moved(feature_id: int, key: str, original: float, ends: SliderRange) -> None:
    value = st.session_state[key]
    if abs(value - ends.original) < ends.step / 2:
        value = original  # exactly, so that the ranking is again that of the plain query
    if value == original and original > 0:
        state.remove_edit(feature_id)
    else:
        state.add_edit(feature_id, value)


def _toggle_all() -> None:
    st.session_state[_ALL_KEY] = not st.session_state.get(_ALL_KEY)


def _add_box(table: pd.DataFrame, present: Sequence[int]) -> None:
    typed = st.text_input(
        "Add a feature",
        key=_ADD_KEY,
        placeholder="Add a feature: type words or a meaning …",
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
        _match(_row(table, feature_id))
    # Drawn after those found by words: the first time, the labels have to be embedded.
    meant = by_meaning(table, typed, present)[: _MATCHES - len(words)] if len(words) < _MATCHES else []
    for feature_id in meant:
        if feature_id not in words:
            _match(_row(table, feature_id))
    if not words and not meant:
        st.caption("No feature is called like that. Try another word.")


def _match(row: pd.Series) -> None:
    feature_id = int(row["feature_id"])
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="small"):
        st.button(
            ":material/add:",
            key=f"add-{feature_id}",
            type="tertiary",
            help=f"Steer with {safe_text(feature_name(row), 64)}",
            on_click=_add,
            args=(feature_id, steering_value(row)),
        )
        feature_chip(row, key=f"match-{feature_id}", steer=False)


def _add(feature_id: int, value: float) -> None:
    state.add_edit(feature_id, value)
    st.session_state[_ADD_KEY] = ""


def _usable(table: pd.DataFrame, leave_out: Sequence[int]) -> np.ndarray:
    """bool (n_latents,): features that have a label, are not dead, and are not left out."""
    labelled = ~table["dead"] & table["label"].str.strip().ne("")
    return np.array(labelled & ~table.index.isin(list(leave_out)), dtype=bool)


def by_words(table: pd.DataFrame, typed: str, leave_out: Sequence[int] = ()) -> list[int]:
    """Ids of features whose label contains every word typed, the most frequent first."""
    found = _usable(table, leave_out)
    labels = table["label"].str.casefold()
    for word in typed.casefold().split():
        found &= labels.str.contains(word, regex=False).to_numpy(dtype=bool)
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


def _mode_box() -> None:
    key = "mode-box"
    if st.session_state.get(key) != state.mode():
        st.session_state[key] = state.mode()
    st.selectbox(
        "What an edit changes",
        state.MODES,
        key=key,
        format_func=lambda name: _MODE_NAMES[name],
        help="Direct: the feature's direction is added to the query, and whatever the features cannot say "
        "stays. Reconstruction: the edited features alone are turned back into a query, as in O'Neill et al. "
        "2024. Without edits both are plain search.",
        on_change=lambda: state.set_mode(st.session_state[key]),
    )
