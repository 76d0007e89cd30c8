"""The models of a build beside each other: sizes, errors, and how well their labels score."""

import pandas as pd
import streamlit as st

from dashboard import charts, chips, data, state
from dashboard.tables import download_table
from dashboard.text import plain_text, safe_text
from dashboard.training.training_charts import distribution
from sae.storage.manifest import Manifest


def models(manifest: Manifest) -> None:
    """A table of every model of every corpus."""
    st.subheader("Models", anchor=False)
    rows = []
    for corpus_name, facts in manifest.corpora.items():
        for sae_name, sae in facts["saes"].items():
            table = data.feature_table(corpus_name, sae_name)
            rows.append(
                {
                    "Corpus": plain_text(corpus_name, 80),
                    "Model": plain_text(sae_name, 40),
                    "k": sae.get("k"),
                    "Latents": sae.get("n_latents"),
                    "Error, held out": chips.number(sae.get("held_out_fvu")),
                    "Error, trained on": chips.number(sae.get("fvu")),
                    "Dead": chips.number(sae.get("dead")),
                    **label_summary(table),
                    "Steps": chips.number(sae.get("steps")),
                }
            )
    table = pd.DataFrame(rows)
    column = st.column_config
    st.dataframe(
        table,
        hide_index=True,
        alt="Models: size, reconstruction error, dead latents, scores of labels",
        column_config={
            "k": column.NumberColumn(help="Features that are active in one document."),
            "Latents": column.NumberColumn(format="localized", help="Features that the model knows."),
            "Error, held out": column.NumberColumn(
                format="%.3f",
                help="Normalised mean squared error on documents that the model never saw: the share of the "
                "embeddings' variance that it does not explain.",
            ),
            "Error, trained on": column.NumberColumn(format="%.3f"),
            "Dead": column.NumberColumn(format="%d", help="Features that are active in no document."),
            "Scored": column.NumberColumn(format="%.0f %%", help="Live features with a scored label."),
            "Median score": column.NumberColumn(
                format="%.2f", help="Pearson correlation against the nearest negatives."
            ),
            "Median, random": column.NumberColumn(
                format="%.2f", help="The same against random documents: the easier question."
            ),
            "Reliable": column.NumberColumn(format="localized", help="Features whose label may be believed."),
            "Steps": column.NumberColumn(format="localized", help="Training steps."),
        },
    )
    download_table(table, "models", key="models-csv")


def label_summary(table: pd.DataFrame) -> dict[str, float | int | None]:
    """How far the labels of one SAE were scored, and with what result."""
    live = table[~table["dead"].astype(bool)]
    scored = live[live["status"] == "scored"]
    return {
        "Scored": 100 * len(scored) / len(live) if len(live) else None,
        "Median score": chips.number(scored["pearson_matched"].median()),
        "Median, random": chips.number(scored["pearson_random"].median()),
        "Reliable": int(chips.reliable_rows(table).sum()),
    }


def labels() -> None:
    """How the labels of the chosen corpus score, one line for each model."""
    corpus_name, _ = state.selected()
    st.subheader("Labels", anchor=False)
    parts = []
    for sae_name in data.corpus(corpus_name).saes:
        table = data.feature_table(corpus_name, sae_name)
        scored = table[table["status"] == "scored"]
        values = scored["pearson_matched"].astype("float64")
        parts.append(pd.DataFrame({"sae": plain_text(sae_name, 40), "value": values}))
    scores = pd.concat(parts, ignore_index=True).dropna()
    if scores.empty:
        st.caption("No label of this corpus has been scored, so none should be relied on.")
        return
    st.caption(
        f"How well the labels of {safe_text(corpus_name)} tell the documents of a feature from their nearest "
        "others, one line for each model; their medians stand in the table above. 0 is chance, 1 is never wrong."
    )
    no_papers = pd.DataFrame({"x": [], "told": []})
    charts.show(
        distribution(scores, no_papers, "Pearson correlation, nearest negatives", 30, "scored labels"),
        "Distribution of the labels' scores for each model",
    )
