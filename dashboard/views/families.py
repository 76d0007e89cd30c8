"""All families of an SAE as a map and a table; one of them in detail (``?family=…``); what was measured."""

import time

import pandas as pd
import streamlit as st

from dashboard import cards, chips, frame, page_script, state, structure_data
from dashboard.families import treemap
from dashboard.families.family_checks import family_checks
from dashboard.families.family_page import family_page
from dashboard.families.family_search import searched
from dashboard.row_table import chosen_mark, chosen_row, row_table, score_column
from dashboard.text import plain_text, safe_text

# Seconds for the thread that sends: what comes next would keep Python to itself for half a second.
_TURN = 0.02
_MAPPED = 60  # families in the map: the ones with most documents


def view() -> None:
    corpus_name, sae_name = state.selected()
    cards.style()
    st.query_params.from_dict(st.query_params.to_dict())
    frame.header(
        "Families", "General concepts with the specific ones that live inside them. Open one and walk down."
    )
    families = structure_data.families(corpus_name, sae_name)
    if families is None:
        st.info("This build holds no families. Run `make artifacts` to compute them.", icon=":material/info:")
        return
    if families.empty:
        st.info(
            f"No families were found in {safe_text(sae_name)}: no concept of it has enough others inside. "
            "Choose a larger model above.",
            icon=":material/info:",
        )
        family_checks(corpus_name, sae_name)
        page_script.install()
        return
    found = searched(corpus_name, sae_name, families)
    if found.empty:
        st.info("No family has these words in its label or its features' labels. Try other words.")
        return
    overview, detail = st.container(key="families-overview"), st.container()
    table = _labelled(found)
    family = chips.feature_row(families, _chosen(families, table, f"{corpus_name}-{sae_name}"))
    # The graph is what one waits for: it is sent first, though the map stands above it.
    with detail:
        st.divider()
        rest = family_page(corpus_name, sae_name, family)
    time.sleep(_TURN)
    with overview:
        _overview(table, f"{corpus_name}-{sae_name}")
    rest()
    st.divider()
    family_checks(corpus_name, sae_name)
    page_script.install()


def _labelled(families: pd.DataFrame) -> pd.DataFrame:
    labels = [
        plain_text(label, 160) or f"family {i}"
        for label, i in zip(families["label"], families.index, strict=True)
    ]
    return families.assign(pearson=families["pearson_random"], label=labels)


def _chosen(families: pd.DataFrame, table: pd.DataFrame, key: str) -> int:
    """The family just chosen in the map or the table, else the one in the address, else the one to begin with."""
    in_map = chosen_mark(st.session_state.get(_map_key(key)), "family", "family_id")
    row = chosen_row(st.session_state.get(_table_key(key, table)))
    in_table = int(table["family_id"].iloc[row]) if row is not None and row < len(table) else None
    for asked in (in_map, in_table):
        # What the address said after the last run was chosen then, and is none of this run's choices.
        if asked is not None and st.session_state.get("families-was") != (key, str(asked)):
            st.query_params["family"] = str(asked)
    named = st.query_params.get("family", "")
    st.session_state["families-was"] = (key, named)
    # What is chosen in one place is no longer so in the other, nor after a link: it can be chosen there again.
    for place, asked in (("map", in_map), ("table", in_table)):
        if asked is not None and str(asked) != named:
            st.session_state[f"families-{place}-round"] = _round(place) + 1
    if named.isascii() and named.isdigit() and len(named) < 9 and int(named) in families.index:
        return int(named)
    # Begin with a family whose label holds, of those with many documents.
    mapped = table.nlargest(_MAPPED, "n_documents")
    return int(mapped["family_id"].iloc[int(mapped["pearson_matched"].fillna(-1).to_numpy().argmax())])


def _map_key(key: str) -> str:
    return f"families-map-{key}-{_round('map')}"


def _table_key(key: str, table: pd.DataFrame) -> str:
    """Of the table of these rows: what Streamlit keeps under it is a row's position, which means another family in
    other rows."""
    return f"families-table-{key}-{hash(tuple(table['family_id']))}-{_round('table')}"


def _round(place: str) -> int:
    return int(st.session_state.get(f"families-{place}-round", 0))


def _overview(table: pd.DataFrame, key: str) -> None:
    """The map and the table; what is chosen in them is read by ``_chosen`` in the run that follows."""
    by_map, by_table = st.tabs([f"Map of {len(table):,} famil{'y' if len(table) == 1 else 'ies'}", "Table"])
    with by_map:
        mapped = table.nlargest(_MAPPED, "n_documents")
        page_script.choosable_chart(
            treemap.family_map(mapped[["family_id", "label", "size", "n_documents", "pearson"]]),
            f"Map of {len(mapped)} families; area: documents, colour: score. The table holds the same.",
            f"{key}-families",
            selection="family",
            key=_map_key(key),
        )
        more = f", the {_MAPPED} with most documents" if len(table) > _MAPPED else ""
        st.caption(
            f"Area: documents{more}. Colour: how well the family's label predicts (Pearson, random negatives). "
            "Click one to open it."
        )
    with by_table:
        _table(table, key)


def _table(table: pd.DataFrame, key: str) -> None:
    names = [
        "family_id",
        "label",
        "size",
        "n_documents",
        "pearson_matched",
        "pearson_random",
        "f1_random",
        "ratio",
        "iteration",
    ]
    shown = table[names].reset_index(drop=True)
    column = st.column_config
    row_table(
        shown,
        {
            "family_id": None,
            "label": column.TextColumn("Family", width="large"),
            "size": column.NumberColumn("Features", width=80),
            "n_documents": column.NumberColumn("Documents", format="localized", width=90),
            "pearson_matched": score_column("Score", 70, "Pearson, nearest negatives."),
            "pearson_random": score_column("Random", 80, "Pearson, random negatives."),
            "f1_random": score_column("F1", 60, "Of the label, random negatives."),
            "ratio": score_column("Ratio", 70, "Parent–child over child–child co-occurrence.", "%.1f"),
            "iteration": column.NumberColumn("Iteration", width=80, help="In which round it was found."),
        },
        key=_table_key(key, table),
        name=f"{key}-families",
        alt="All families with size and scores",
        hint="Select a row to open it.",
    )


view()
