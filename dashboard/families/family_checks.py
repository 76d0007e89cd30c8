"""Numbers behind the families of an SAE: table 1 beside the papers', chance, the filter, reordered matrices."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import chips, page_script, structure_data
from dashboard.families import family_charts
from dashboard.row_table import score_column
from dashboard.tables import with_minus
from dashboard.text import plain_text, safe_text

PAPERS = {  # O'Neill et al. 2024, table 1: size, F1, Pearson, R, C ratio, D ratio, share included
    "astro-ph, SAE16": (6, 0.86, 0.76, 10.99, 5.13, 5.47, 0.36),
    "astro-ph, SAE32": (6, 0.86, 0.73, 11.75, 4.72, 5.87, 0.31),
    "astro-ph, SAE64": (7, 0.80, 0.70, 6.87, 2.00, 3.05, 0.24),
    "cs.LG, SAE16": (5, 0.73, 0.60, 2.44, 8.35, 0.89, 0.23),
    "cs.LG, SAE32": (5, 0.73, 0.59, 3.50, 7.33, 1.07, 0.30),
    "cs.LG, SAE64": (7, 0.80, 0.71, 1.22, 1.78, 2.57, 0.41),
}
_ROWS = {  # title, pixels, what it is, and how its numbers are written
    "median_size": ("Size", 60, "Features in a family, median.", "%.0f"),
    "median_f1": ("F1", 60, "Of the families' labels, median.", "%.2f"),
    "median_pearson": ("Pearson", 80, "Of the families' labels, median.", "%.2f"),
    "median_ratio": (
        "Parent–child ratio",
        140,
        "How often children meet their parent, over each other.",
        "%.1f",
    ),
    "c_ratio": ("C ratio", 80, "Co-occurrence inside families over that between them.", "%.1f"),
    "d_ratio": ("D ratio", 80, "The same of similarities of activations.", "%.1f"),
    "included": (
        "Included",
        80,
        "Share of features in a family whose label has a Pearson of at least 0.8.",
        "%.2f",
    ),
}
_AS_ASKED = {"median_f1": "median_f1_papers", "median_pearson": "median_pearson_papers",
             "included": "included_papers"}  # fmt: skip


def family_checks(corpus_name: str, sae_name: str) -> None:
    """Table 1 beside the papers', chance, what the filter left out, and the reordered matrices."""
    metrics = structure_data.metrics(corpus_name, sae_name).drop_duplicates(["group", "name"])
    groups = {
        str(name): part.set_index("name")["value"] for name, part in metrics.groupby("group", sort=False)
    }
    none = pd.Series(dtype=float)  # a stranger's store may lack any group
    with st.expander("Is it more than chance? Numbers behind these families"):
        table, chance = groups.get("table 1", none), groups.get("chance", none)
        if table.empty and chance.empty:
            st.markdown("This build does not say how its families compare with chance.")
        else:
            st.markdown(_against_chance(table, chance))
        _table_1(table, plain_text(sae_name, 30))
        st.caption(
            "Included: features in a family whose label has a Pearson of at least 0.8. Here labels are scored "
            "over the whole range of activations against random documents; the papers take three activating "
            "documents and three others."
        )
        if "filter" in groups:
            st.caption(_filtered(groups["filter"], groups.get("left out", none), groups.get("found", none)))
        _structure(corpus_name, sae_name, groups.get("structure", none))


def _table_1(table: pd.Series, sae_name: str) -> None:
    """This SAE's table 1, and the same scored as the papers do, above the papers'. A narrow page scrolls it."""
    rows = {} if table.empty else {sae_name or "here": [table.get(column) for column in _ROWS]}
    if "included_papers" in table:
        as_asked = [table.get(_AS_ASKED.get(column, column)) for column in _ROWS]
        rows[f"{sae_name}, as the papers score"] = as_asked
    rows |= {f"papers: {name}": list(values) for name, values in PAPERS.items()}
    shown = pd.DataFrame(
        [[chips.number(value) for value in values] for values in rows.values()], columns=list(_ROWS)
    )
    shown.insert(0, "model", list(rows))
    columns = {
        name: score_column(title, width, told, form) for name, (title, width, told, form) in _ROWS.items()
    }
    written, configured = with_minus(
        shown, {"model": st.column_config.TextColumn("Model", width=200), **columns}
    )
    st.dataframe(
        written,
        hide_index=True,
        width="content",
        height="content",
        placeholder="–",
        alt="Table 1 of the families here and in the papers",
        column_config=configured,
    )


def _against_chance(table: pd.Series, chance: pd.Series) -> str:
    return (
        f"**{_count(table.get('n_families'))} families** here; **{_count(chance.get('n_families'))}** when the "
        "features of each document are shuffled. Median parent–child ratio "
        f"{_digits(table.get('median_ratio'))}, of the same families on shuffled documents "
        f"{_digits(chance.get('median_ratio'))}{_over_chance(chance)}; "
        f"co-occurrence inside families is {_digits(table.get('c_ratio'))} times that between them, on "
        f"shuffled documents {_digits(chance.get('c_ratio'))}."
    )


def _filtered(passed: pd.Series, left_out: pd.Series, found: pd.Series) -> str:
    left = ", ".join(f"{_count(count)} {safe_text(name)}" for name, count in left_out.items() if count)
    wanted = ", ".join(
        f"{safe_text(n)} {'' if n == 'density below' else 'at least '}{v:g}"
        for n, v in passed.items()
        if n != "kept"
    )
    rounds = ", ".join(_count(n) for n in found)
    return (
        f"Filter: {wanted or 'none'}. {_count(passed.get('kept', 0))} features passed; left out: {left or 'none'}. "
        f"Families found in each round, before overlapping ones were merged: {rounds or 'not said'}."
    )


def _structure(corpus_name: str, sae_name: str, numbers: pd.Series) -> None:
    maps = structure_data.structure(corpus_name, sae_name)
    if maps.empty:
        return
    names = list(dict.fromkeys(maps["matrix"]))
    chosen = st.selectbox(
        "Matrix, features reordered",
        names,
        format_func=lambda name: plain_text(name, 80),
        key="families-structure",
    )
    with st.container(width=family_charts.CELLS):
        page_script.saved_chart(
            family_charts.cells(maps[maps["matrix"] == chosen]),
            f"Matrix: {plain_text(chosen, 80)}",
            f"{corpus_name}-{sae_name}-{plain_text(chosen, 40).replace(' ', '-')}",
        )
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


def _over_chance(chance: pd.Series) -> str:
    """Older builds do not hold it."""
    found = chips.number(chance.get("median_ratio_over_chance"))
    return "" if found is None else f" ({found:.2g} times as high, in the median)"


def _count(value: Any) -> str:
    found = chips.number(value)
    return "–" if found is None else f"{found:,.0f}"


def _digits(value: Any) -> str:
    found = chips.number(value)
    return "–" if found is None else f"{found:.3g}"
