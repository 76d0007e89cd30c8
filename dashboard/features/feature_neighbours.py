"""What is near a feature: similar and dissimilar ones, those active together with it, its likes in other models."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import chips, data
from dashboard.text import safe_text
from sae.schema import NEIGHBOURS


def neighbours(corpus_name: str, table: pd.DataFrame, row: pd.Series) -> None:
    """Four lists of chips."""
    cosine = "By cosine of decoder directions."
    left, right = st.columns(2, gap="large")
    with left:
        _chip_list("Most similar", cosine, table, row["most_similar"], row["most_similar_cosine"], "similar")
        unlike = row["least_similar"], row["least_similar_cosine"]
        _chip_list("Least similar", cosine, table, *unlike, "unlike")
    with right:
        _chip_list(
            "Active together",
            "By the number of documents in which both are active.",
            table,
            row["cooccurring"],
            row["cooccurring_counts"],
            "together",
            counts=True,
        )
        _other_models(corpus_name, row)


def _chip_list(
    title: str,
    explanation: str,
    table: pd.DataFrame,
    features: Sequence[int] | np.ndarray,
    values: Sequence[float] | np.ndarray,
    key: str,
    counts: bool = False,
) -> None:
    st.subheader(title, anchor=False, help=explanation)
    with st.container(gap="small"):
        shown = 0
        for feature_id, value in list(zip(features, values, strict=False))[:NEIGHBOURS]:
            if int(feature_id) in table.index:
                note = f"{int(value):,} documents" if counts else f"cosine {chips.signed(value)}"
                near = chips.feature_row(table, int(feature_id))
                chips.feature_chip(near, f"{key}-{feature_id}", note=note)
                shown += 1
    if not shown:
        st.caption("None.")


def _other_models(corpus_name: str, row: pd.Series) -> None:
    explanation = "The nearest feature of each, by cosine of decoder directions."
    st.subheader("In the other models", anchor=False, help=explanation)
    known = data.corpus(corpus_name).saes
    found = list(zip(row["other_saes"], row["other_features"], row["other_cosines"], strict=False))
    found = [item for item in found if item[0] in known]
    if not found:
        st.caption("This corpus has one model.")
    with st.container(gap="small"):
        for sae_name, feature_id, cosine in found:
            other = data.feature_table(corpus_name, sae_name)
            if int(feature_id) in other.index:
                chips.feature_chip(
                    chips.feature_row(other, int(feature_id)),
                    f"other-{sae_name}",
                    note=f"{safe_text(sae_name, 40)} · cosine {chips.signed(cosine)}",
                    corpus_and_sae=(corpus_name, sae_name),
                )
