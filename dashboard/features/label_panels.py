"""How the labels of a corpus score in each of its models, and how those compare that could write and judge them."""

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import charts, chips, data, papers
from dashboard.tables import download_table
from dashboard.text import plain_text, safe_text
from dashboard.training import training_charts
from dashboard.training.training_charts import PAPERS
from sae.schema import PAIR_MEASURES
from sae.storage import label_store

_MEASURES = {
    "pearson_matched": "nearest negatives",
    "pearson_random": "random negatives",
    "pearson_papers": "the papers' form",
}
_GOOD = 0.8
_PAIR_NAMES = {
    "pearson_random": "Pearson, random",
    "f1_random": "F1, random",
    "pearson_matched": "Pearson, nearest",
    "f1_matched": "F1, nearest",
    "pearson_papers": "Pearson, 3 + 3",
    "f1_papers": "F1, 3 + 3",
}


def label_scores(corpus_name: str) -> None:
    """Distribution of the labels' scores over the features of each model, the papers' medians beside them."""
    st.subheader("How the labels score", anchor=False)
    tables = {name: data.feature_table(corpus_name, name) for name in data.corpus(corpus_name).saes}
    tables = {plain_text(name, 40): table for name, table in tables.items()}
    if not any((table["status"] == "scored").any() for table in tables.values()):
        st.caption("No label of this corpus has been scored, so none should be relied on.")
        return
    measure = st.segmented_control(
        "Documents in which the feature is not active",
        list(_MEASURES),
        format_func=lambda name: _MEASURES[name],
        default="pearson_matched",
        required=True,
        key="label-scores-measure",
        help="Nearest: for each document of the feature its nearest without it, the hard question. The papers' "
        "form: three documents with and three random ones without, so that a score of 1 means little.",
    )
    values = pd.concat(
        [pd.DataFrame({"sae": name, "value": t[measure].astype("float64")}) for name, t in tables.items()]
    )
    theirs = _theirs() if measure == "pearson_papers" else _theirs().iloc[:0]
    said = f"Distribution of the Pearson correlation of labels, {_MEASURES[measure]}, for each model"
    charts.show(
        training_charts.distribution(values, theirs, f"Pearson, {_MEASURES[measure]}", 30, "scored labels"),
        said + ("; the papers' medians as dashed lines" if len(theirs) else ""),
    )
    shown = score_summary(tables)
    st.dataframe(
        training_charts.coloured(shown),
        hide_index=True,
        column_config=_SUMMARY_COLUMNS,
        alt="Medians of the scores",
    )
    st.caption(
        f"Coloured: reported by the papers ({papers.LABEL_CITATION}), the lowest and highest median of their models; "
        f"embedding {papers.EMBEDDER}, labels by {papers.LABEL_INTERPRETER}; corpora and models of their own, so they "
        "set a scale and are no contest."
    )
    download_table(shown, f"{corpus_name}-label-scores", key="label-scores-csv")


def score_summary(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a model, then one for each of the papers' corpora: medians and shares over live features."""
    rows: list[dict[str, Any]] = []
    for name, table in tables.items():
        live = table[~table["dead"].astype(bool)]
        scored = live[live["status"] == "scored"]
        row: dict[str, Any] = {"whose": "ours", "model": name, "scored": f"{len(scored):,} of {len(live):,}"}
        for column in ("matched", "random"):
            both = scored[f"pearson_{column}"].ge(_GOOD) & scored[f"f1_{column}"].ge(_GOOD)
            row[column] = chips.signed(scored[f"pearson_{column}"].median())
            row[f"{column} good"] = chips.percent(both.sum() / len(live)) if len(live) else "–"
        row["papers"] = chips.signed(scored["pearson_papers"].median())
        row["reliable"] = chips.percent(chips.reliable_rows(live).mean()) if len(live) else "–"
        rows.append(row)
    for corpus, (low, high) in papers.LABEL_MEDIANS.items():
        rows.append({"whose": PAPERS, "model": f"papers, {corpus}", "papers": f"{low:.2f}–{high:.2f}"})
    return pd.DataFrame(rows).fillna("")


def _theirs() -> pd.DataFrame:
    found = [
        {"x": x, "told": f"papers, {corpus}: {word} median of their models"}
        for corpus, bounds in papers.LABEL_MEDIANS.items()
        for word, x in zip(("lowest", "highest"), bounds, strict=True)
    ]
    return pd.DataFrame(found)


_column = st.column_config.TextColumn
_number = partial(_column, alignment="right")  # written out: "627 of 768", "0.65–0.71"
_SUMMARY_COLUMNS: dict[str, Any] = {
    "whose": None,
    "model": _column("Model"),
    "scored": _number("Scored", help="Labels scored, of the features that are not dead."),
    "matched": _number("Nearest", help="Median Pearson correlation against the nearest negatives."),
    "matched good": _number(
        f"≥ {_GOOD:g}, nearest", help=f"Share of live features with Pearson and F1 of {_GOOD:g} at least."
    ),
    "random": _number("Random", help="Median Pearson correlation against random negatives."),
    "random good": _number(f"≥ {_GOOD:g}, random", help="The same share against random negatives."),
    "papers": _number("3 + 3", help="Median Pearson correlation in the papers' form."),
    "reliable": _number("Reliable", help=chips.RELIABLE_HELP),
}


def pair_comparison(corpus_name: str) -> None:
    """Interpreter–Predictor pairs on the same features of the same model: medians with their intervals."""
    st.subheader("Who writes and who judges", anchor=False)
    corpus = data.corpus(corpus_name)
    if not label_store.has_pairs(corpus):
        st.caption(
            "This build compared no pairs of Interpreter and Predictor. Name some as `pairs` in the `[labeller]` "
            "table of its profile and build again."
        )
        return
    summary = label_store.pair_summary(corpus).to_pandas()
    if summary.empty:
        st.caption("No feature was common enough to compare pairs on.")
        return
    n, sae_name = int((summary["n"] + summary["errors"]).max()), str(summary["sae"].iloc[0])
    st.caption(
        f"The same {n:,} features of {safe_text(sae_name, 40)}, drawn at random, labelled by each Interpreter and "
        "scored through each Predictor: medians, in brackets their 95 % intervals over features."
    )
    shown = pairs_table(summary)
    st.dataframe(
        shown,
        hide_index=True,
        alt="Pairs of Interpreter and Predictor compared",
        column_config={name: _number() for name in shown.columns if name not in ("Interpreter", "Predictor")},
    )
    download_table(shown, f"{corpus_name}-pairs", key="pairs-csv")


def pairs_table(summary: pd.DataFrame) -> pd.DataFrame:
    """One row a pair, one column a measure. summary: schema.LABEL_PAIR_SUMMARY_COLUMNS."""
    rows = []
    for (interpreter, predictor), group in summary.groupby(["interpreter", "predictor"], sort=False):
        row = {"Interpreter": plain_text(interpreter, 60), "Predictor": plain_text(predictor, 60)}
        found = {str(told["measure"]): told for told in group.to_dict("records")}
        for measure in PAIR_MEASURES:
            told = found.get(measure)
            row[_PAIR_NAMES[measure]] = "–" if told is None else _with_interval(told)
        row["Errors"] = str(int(group["errors"].max()))
        rows.append(row)
    return pd.DataFrame(rows)


def _with_interval(told: dict[Any, Any]) -> str:
    value, low, high = (chips.number(told[name]) for name in ("value", "low", "high"))
    bounds = "" if low is None or high is None else f" ({chips.signed(low)} … {chips.signed(high)})"
    return chips.signed(value) + bounds
