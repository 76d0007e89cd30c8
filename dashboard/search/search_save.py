"""A steering saved as a small file, and one that is loaded and applied to the query at hand."""

import re

import pandas as pd
import streamlit as st

from dashboard import data, frame, state
from dashboard.chips import feature_name, feature_row
from dashboard.search import search_choices
from dashboard.search.search_query import Asked
from dashboard.tables import download
from dashboard.text import plain_text, safe_text
from sae.errors import UserError
from sae.steering.steering_file import SavedFamily, SavedSteering, read_steering, write_steering

_LOADED, _NAME = "load-steering", "steering-name"


def save_box(table: pd.DataFrame, asked: Asked) -> None:
    """Save under a name, load a file. What is loaded is checked, shown, and applied only when asked."""
    with st.expander("Save or load a steering", key="save-box"):
        if asked.changed or search_choices.muted():
            name = st.text_input("Name", key=_NAME, placeholder="A name for it", max_chars=80)
            name = plain_text(name, 80) or "steering"
            saved = _saved(table, asked, name)
            file_name = f"{re.sub(r'[^a-z0-9]+', '-', name.casefold()).strip('-') or 'steering'}.json"
            download(
                "Save as a file",
                lambda: write_steering(saved),
                file_name,
                "application/json",
                "save-steering",
                type="secondary",
            )
        else:
            st.caption("Move a slider first; then it can be saved and applied to other queries.")
        file = st.file_uploader("Load a saved steering", type="json", key=_LOADED, max_upload_size=1)
        if file is not None:
            with frame.calm():
                _offer(table, asked, read_steering(file.getvalue()))


def _saved(table: pd.DataFrame, asked: Asked, name: str) -> SavedSteering:
    changes = {f: round(value - asked.latents.get(f, 0.0), 6) for f, value in state.edits().items()}
    return SavedSteering(
        name,
        asked.corpus_name,
        asked.sae_name,
        changes,
        {f: feature_name(feature_row(table, f)) for f in changes},
        state.mode(),
        search_choices.direction(),
        tuple(
            SavedFamily(family_id, move.amount, tuple(sorted(move.left_out)))
            for family_id, move in search_choices.families().items()
        ),
        search_choices.muted(),
        "" if state.like() is not None else state.query(),
    )


def _offer(table: pd.DataFrame, asked: Asked, found: SavedSteering) -> None:
    if found.corpus not in data.store().corpora or found.sae not in data.corpus(found.corpus).saes:
        raise UserError(
            f"This steering was made for {plain_text(found.sae, 40)} of {plain_text(found.corpus, 40)}, which this "
            "store does not have; load it where that store is served."
        )
    if (found.corpus, found.sae) != (asked.corpus_name, asked.sae_name):
        raise UserError(
            f"This steering was made for {found.sae} of {found.corpus}; choose them above to apply it."
        )
    known = {f: change for f, change in found.changes.items() if f in table.index}
    others = [f for f in known if found.labels.get(f) != feature_name(feature_row(table, f))]
    told = " · ".join(
        f"{safe_text(feature_name(feature_row(table, f)), 60)} {change:+.2f}".replace("-", "−")
        for f, change in known.items()
    )
    st.caption(f"**{safe_text(found.name, 80)}**: {told or 'no single concepts'}")
    if others or len(known) < len(found.changes):
        st.caption(
            "Some of its concepts have other names in this build: it was made with another one, and will do something "
            "else here."
        )
    st.button("Apply to this query", key="apply-steering", on_click=apply, args=(found, asked.latents))


def apply(found: SavedSteering, latents: dict[int, float]) -> None:
    """Steer the query at hand, whose active features are ``latents``, as a saved steering says."""
    n_latents = data.sae(*state.selected()).n_latents
    state.clear_edits()
    for feature_id, value in found.edits(latents).items():
        if feature_id < n_latents:
            state.add_edit(feature_id, round(value, 4))
    for family in found.families:
        search_choices.add_family(family.family_id, family.amount)
        if family.family_id in search_choices.families():
            search_choices.families()[family.family_id].left_out = set(family.left_out)
    for feature_id in found.muted:
        if feature_id < n_latents:
            search_choices.set_muted(feature_id, True)
    state.set_mode(found.mode)
    search_choices.set_direction(found.direction)
