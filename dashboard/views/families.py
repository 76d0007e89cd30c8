"""All families of an SAE as a map and a table; one of them in detail (``?family=…``); what was measured of
all."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cards, charts, chips, family_charts, frame, state, structure_data
from dashboard.family_page import family_page
from dashboard.tables import download_table
from dashboard.text import plain_text, safe_text

_MAPPED = 60  # families in the map: the ones with most documents
PAPERS = {  # O'Neill et al. 2024, table 1: size, F1, Pearson, R, C ratio, D ratio, share included
    "astro-ph, SAE16": (6, 0.86, 0.76, 10.99, 5.13, 5.47, 0.36),
    "astro-ph, SAE32": (6, 0.86, 0.73, 11.75, 4.72, 5.87, 0.31),
    "astro-ph, SAE64": (7, 0.80, 0.70, 6.87, 2.00, 3.05, 0.24),
    "cs.LG, SAE16": (5, 0.73, 0.60, 2.44, 8.35, 0.89, 0.23),
    "cs.LG, SAE32": (5, 0.73, 0.59, 3.50, 7.33, 1.07, 0.30),
    "cs.LG, SAE64": (7, 0.80, 0.71, 1.22, 1.78, 2.57, 0.41),
}
_ROWS = {
    "median_size": "size",
    "median_f1": "F1",
    "median_pearson": "Pearson",
    "median_ratio": "parent–child ratio",
    "c_ratio": "C ratio",
    "d_ratio": "D ratio",
    "included": "included",
}


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
        _checks(corpus_name, sae_name)
        return
    found = _searched(corpus_name, sae_name, families)
    if found.empty:
        st.info("No family has these words in its label or its features' labels. Try fewer letters.")
        return
    chosen = _overview(corpus_name, sae_name, found)
    st.divider()
    family_page(corpus_name, sae_name, chips.feature_row(families, chosen))
    st.divider()
    _checks(corpus_name, sae_name)


def _searched(corpus_name: str, sae_name: str, families: pd.DataFrame) -> pd.DataFrame:
    text = st.text_input(
        "Family with the words",
        key="families-words",
        persist_state="session",
        max_chars=100,
        placeholder="words of its label or of any of its features",
    )
    words = (text or "").casefold().split()
    if not words:
        return families
    from dashboard import data

    members = structure_data.members(corpus_name, sae_name)
    labels = data.feature_table(corpus_name, sae_name)["label"].fillna("").str.casefold()
    texts = members["feature_id"].map(labels).groupby(members["family_id"]).agg(" ".join)
    texts = texts + " " + families["label"].str.casefold()
    keep = pd.Series(True, index=families.index)
    for word in words:
        keep &= texts.str.contains(word, regex=False).reindex(families.index, fill_value=False)
    return families[keep]


def _overview(corpus_name: str, sae_name: str, families: pd.DataFrame) -> int:
    """The map and the table; returns the family chosen in either, else the one in the address, else the
    first."""
    table = families.assign(
        pearson=families["pearson_random"],
        label=[
            plain_text(label, 160) or f"family {i}"
            for label, i in zip(families["label"], families.index, strict=True)
        ],
    )
    key = f"{corpus_name}-{sae_name}"
    by_map, by_table = st.tabs([f"Map of {len(table):,} families", "Table"])
    with by_map:
        mapped = table.nlargest(_MAPPED, "n_documents")
        event: Any = st.altair_chart(
            family_charts.family_map(mapped[["family_id", "label", "size", "n_documents", "pearson"]]),
            theme="streamlit",
            on_select="rerun",
            selection_mode="family",
            key=f"families-map-{key}",
            alt=f"Map of {len(mapped)} families; area: documents, colour: score. The table holds the same.",
        )
        more = f", the {_MAPPED} with most documents" if len(table) > _MAPPED else ""
        st.caption(
            f"Area: documents{more}. Colour: how well the family's label predicts, from ochre at 0 through "
            "grey to blue-green at 1 (Pearson, random negatives). Click one to open it."
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
    return int(mapped["family_id"].iloc[0])


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
    event: Any = st.dataframe(
        shown,
        hide_index=True,
        height=min(420, 35 * (len(shown) + 1) + 3),
        on_select="rerun",
        selection_mode="single-row",
        key=f"families-table-{key}",
        alt="All families with size and scores",
        column_config={
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
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption("Select a row to open it.", width="content")
        download_table(shown, f"{key}-families", key="families-csv")
    return int(shown["family_id"].iloc[event.selection.rows[0]]) if event.selection.rows else None


def _checks(corpus_name: str, sae_name: str) -> None:
    """Table 1 beside the papers', chance, what the filter left out, and the reordered matrices."""
    metrics = structure_data.metrics(corpus_name, sae_name)
    groups = {
        str(name): part.set_index("name")["value"] for name, part in metrics.groupby("group", sort=False)
    }
    with st.expander("Is it more than chance? Numbers behind these families"):
        table, chance = groups["table 1"], groups["chance"]
        st.markdown(
            f"**{int(table['n_families']):,} families** here; **{int(chance['n_families']):,}** when the "
            "features of "
            "each document are shuffled. Median parent–child ratio "
            f"{_digits(table['median_ratio'])}, on shuffled documents {_digits(chance['median_ratio'])}; "
            f"co-occurrence inside families is {_digits(table['c_ratio'])} times that between them, on "
            "shuffled "
            f"documents {_digits(chance['c_ratio'])}."
        )
        ours = {f"**here**, {safe_text(sae_name, 30)}": [table.get(name) for name in _ROWS]}
        rows = ours | {f"papers: {name}": list(values) for name, values in PAPERS.items()}
        lines = ["| model | " + " | ".join(_ROWS.values()) + " |", "|---" * (len(_ROWS) + 1) + "|"]
        lines += [
            f"| {name} | " + " | ".join(_digits(v) for v in values) + " |" for name, values in rows.items()
        ]
        st.markdown("\n".join(lines))
        left = ", ".join(
            f"{int(count):,} {safe_text(name)}" for name, count in groups["left out"].items() if count
        )
        kept = int(groups["filter"].get("kept", 0))
        asked = " and ".join(f"{safe_text(n)} {v:g}" for n, v in groups["filter"].items() if n != "kept")
        rounds = ", ".join(f"{int(n)}" for n in groups["found"])
        st.caption(
            f"Filter: {asked}. {kept:,} features passed; left out: {left or 'none'}. Families found in each "
            "round, "
            f"before overlapping ones were merged: {rounds}."
        )
        _structure(corpus_name, sae_name, groups.get("structure", pd.Series(dtype=float)))


def _structure(corpus_name: str, sae_name: str, numbers: pd.Series) -> None:
    maps = structure_data.structure(corpus_name, sae_name)
    if maps.empty:
        return
    names = list(dict.fromkeys(maps["matrix"]))
    chosen = st.selectbox("Matrix, features reordered", names, key="families-structure")
    charts.show(family_charts.cells(maps[maps["matrix"] == chosen]), f"Matrix: {chosen}")
    told = []
    for name in dict.fromkeys(str(n).split(":")[0] for n in numbers.index):
        contrast, shuffled = numbers.get(f"{name}: contrast"), numbers.get(f"{name}: shuffled")
        verdict = (
            "" if shuffled is None else (" (structure)" if numbers.get(f"{name}: found") else " (none found)")
        )
        beside = "" if shuffled is None else f", on shuffled directions {_digits(shuffled)}"
        told.append(f"{safe_text(name)} {_digits(contrast)}{beside}{verdict}")
    st.caption(
        "Mean squared cosine of decoder directions that the order brings close, over that of all pairs: "
        + "; ".join(told)
        + "."
    )


def _digits(value: Any) -> str:
    found = chips.number(value)
    return "–" if found is None else f"{found:.3g}"


view()
