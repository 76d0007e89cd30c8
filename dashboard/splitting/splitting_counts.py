"""Splitting over all features: distributions of cosines, recurrence, self-consistency, and the scaling grid."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from dashboard import chips, page_script, structure_data
from dashboard.splitting import splitting_charts
from dashboard.tables import download_table
from dashboard.text import safe_text

_FIXED = {"k fixed, n grows": "k", "n fixed, k grows": "n"}


def distributions(corpus_name: str, names: list[str], summary: pd.DataFrame) -> None:
    """The section below one feature's flow."""
    st.subheader("Over all features", anchor=False)
    one, two, three = st.columns(3, gap="large")
    with one:
        _question(
            "How near is the nearest feature of the smaller model?",
            summary[(summary["kind"] == "cosines") & (summary["x"] >= 0)],
            lambda rows: rows["sae"] + " in " + rows["other"],
            ("cosine of decoder directions", "share of features"),
            ("Distribution of cosines", f"{corpus_name}-cosines"),
            _medians(summary),
        )
    with two:
        recurring = summary[summary["kind"] == "recurring"]
        _question(
            "How many features recur in every larger model?",
            recurring,
            lambda rows: rows["sae"],
            ("cosine above", "features"),
            ("Recurring features by threshold", f"{corpus_name}-recurring"),
            _recurring(recurring),
        )
    with three:
        median = summary[summary["kind"] == "median overlap"]["value"]
        _question(
            "Do two ways down lead to the same features?",
            summary[summary["kind"] == "overlap"],
            lambda rows: rows["other"],
            ("overlap, directly and through the middle", "features"),
            ("Self-consistency of the assignments", f"{corpus_name}-self-consistency"),
            f"Median overlap {chips.signed(median.iloc[0])}." if len(median) else "",
            empty=f"This needs three models; there are {len(names)}.",
        )
    _grid(corpus_name)


def _question(
    asked: str,
    rows: pd.DataFrame,
    series: Callable[[pd.DataFrame], pd.Series],
    axes: tuple[str, str],
    names: tuple[str, str],
    told: str,
    empty: str = "",
) -> None:
    """A question over its stepped lines. ``rows``: columns x and value, ``series`` names the line of each;
    ``axes``: titles of x and y; ``names``: of the chart, in words and as a file; ``told``: what it says."""
    st.markdown(asked)
    if rows.empty and empty:
        st.caption(empty)
        return
    table = pd.DataFrame({"series": series(rows), "x": rows["x"], "value": rows["value"]})
    chart = splitting_charts.steps(table, *axes, percent=axes[1] == "share of features")
    page_script.saved_chart(chart, *names)
    st.caption(told)


def _medians(summary: pd.DataFrame) -> str:
    found = summary[summary["kind"] == "median cosine"]
    told = [
        f"{safe_text(row['sae'], 30)} in {safe_text(row['other'], 30)} {chips.signed(row['value'])}"
        for row in found.to_dict("records")
    ]
    return "Medians: " + ", ".join(told) + "." if told else ""


def _recurring(found: pd.DataFrame) -> str:
    at = found[(found["x"] - 0.95).abs() < 1e-6]["value"]
    return f"{int(at.iloc[0]):,} at the papers' cosine of 0.95." if len(at) else ""


def _grid(corpus_name: str) -> None:
    """The distributions between the SAEs that were trained for scaling laws."""
    found = structure_data.grid_cosines(corpus_name)
    st.markdown("What changes features more: more of them, or more active at a time?")
    if found is None or found.empty:
        st.caption(
            "The build trained no grid of models, or is older than this comparison. Add a [grid] table to the "
            "profile and run `make artifacts`."
        )
        return
    for place, (title, fixed) in zip(st.columns(2, gap="large"), _FIXED.items(), strict=True):
        part = found[found["fixed"] == fixed]
        with place:
            if part.empty:
                st.caption(f"{title}: the grid has one value only.")
                continue
            column = "k" if fixed == "k" else "n_latents"
            groups = {f"{fixed} = {value:,}": value for value in sorted(part[column].unique().tolist())}
            chosen = st.selectbox(title, list(groups), key=f"grid-{fixed}")
            shown = part[part[column] == groups[chosen]]
            page_script.saved_chart(
                splitting_charts.steps(
                    _series(shown, fixed), "cosine with the nearest feature", "share of features"
                ),
                f"Distribution of nearest cosines in the grid, {title}",
                f"{corpus_name}-grid-{fixed}-fixed",
            )
            medians = shown.drop_duplicates(["n_latents", "k"])
            st.caption(
                "Medians: "
                + ", ".join(
                    f"{name} {chips.signed(value)}"
                    for name, value in zip(_names(medians, fixed), medians["median"], strict=True)
                )
                + "."
            )
    download_table(found, f"{corpus_name}-grid-cosines", key="grid-csv")


def _names(rows: pd.DataFrame, fixed: str) -> list[str]:
    own, other = ("n_latents", "other_n_latents") if fixed == "k" else ("k", "other_k")
    return [f"{a:,} in {b:,}" for a, b in zip(rows[own], rows[other], strict=True)]


def _series(rows: pd.DataFrame, fixed: str) -> pd.DataFrame:
    table = pd.DataFrame({"series": _names(rows, fixed), "x": rows["x"], "value": rows["share"]})
    return table[table["x"] >= 0]
