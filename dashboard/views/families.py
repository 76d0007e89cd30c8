"""All families of an SAE as a map and a table; one of them in detail (``?family=…``); what was measured."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cards, chips, frame, page_script, state, structure_data, treemap
from dashboard.family_checks import family_checks
from dashboard.family_page import family_page
from dashboard.family_search import searched
from dashboard.row_table import row_table
from dashboard.text import plain_text, safe_text

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
    chosen = _overview(corpus_name, sae_name, found)
    st.divider()
    family_page(corpus_name, sae_name, chips.feature_row(families, chosen))
    st.divider()
    family_checks(corpus_name, sae_name)
    page_script.install()


def _overview(corpus_name: str, sae_name: str, families: pd.DataFrame) -> int:
    """The map and the table; returns the family chosen in either, else the one in the address, else the one
    to begin with."""
    table = families.assign(
        pearson=families["pearson_random"],
        label=[
            plain_text(label, 160) or f"family {i}"
            for label, i in zip(families["label"], families.index, strict=True)
        ],
    )
    key = f"{corpus_name}-{sae_name}"
    by_map, by_table = st.tabs([f"Map of {len(table):,} famil{'y' if len(table) == 1 else 'ies'}", "Table"])
    with by_map:
        mapped = table.nlargest(_MAPPED, "n_documents")
        with st.container(gap=None):
            event: Any = st.altair_chart(
                treemap.family_map(mapped[["family_id", "label", "size", "n_documents", "pearson"]]),
                theme="streamlit",
                on_select="rerun",
                selection_mode="family",
                key=f"families-map-{key}",
                alt=f"Map of {len(mapped)} families; area: documents, colour: score. The table holds the same.",
            )
            page_script.save_buttons(f"{key}-families")
        more = f", the {_MAPPED} with most documents" if len(table) > _MAPPED else ""
        st.caption(
            f"Area: documents{more}. Colour: how well the family's label predicts (Pearson, random negatives). "
            "Click one to open it."
        )
    picked = event.selection.get("family") or []
    from_map = picked[0].get("family_id") if picked else None
    with by_table:
        from_table = _table(table, key)
    for asked in (("map", from_map), ("table", from_table)):
        if asked[1] is not None and st.session_state.get(f"families-{asked[0]}-was") != (key, asked[1]):
            st.session_state[f"families-{asked[0]}-was"] = (key, asked[1])
            st.query_params["family"] = str(int(asked[1]))
    named = st.query_params.get("family", "")
    if named.isascii() and named.isdigit() and len(named) < 9 and int(named) in families.index:
        return int(named)
    # Begin with a family whose label holds, of those with many documents.
    return int(mapped["family_id"].iloc[int(mapped["pearson_matched"].fillna(-1).to_numpy().argmax())])


def _table(table: pd.DataFrame, key: str) -> int | None:
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
    chosen = row_table(
        shown,
        {
            "family_id": None,
            "label": column.TextColumn("Family", width="large"),
            "size": column.NumberColumn("Features", width=80),
            "n_documents": column.NumberColumn("Documents", format="localized", width=90),
            "pearson_matched": column.NumberColumn(
                "Score", format="%.2f", width=70, help="Pearson, nearest negatives."
            ),
            "pearson_random": column.NumberColumn(
                "Random", format="%.2f", width=80, help="Pearson, random negatives."
            ),
            "f1_random": column.NumberColumn("F1", format="%.2f", width=60),
            "ratio": column.NumberColumn(
                "Ratio", format="%.1f", width=70, help="Parent–child over child–child co-occurrence."
            ),
            "iteration": column.NumberColumn("Iteration", width=80, help="In which round it was found."),
        },
        key=f"families-table-{key}",
        name=f"{key}-families",
        alt="All families with size and scores",
        hint="Select a row to open it.",
    )
    return None if chosen is None else int(shown["family_id"].iloc[chosen])


view()
