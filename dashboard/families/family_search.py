"""Families by the words of their labels, and of their features' labels, or by meaning."""

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, structure_data
from dashboard.label_words import with_words, words_box
from sae.storage.stored_rows import Rows

_BEST = 3  # of a family's features: the nearest ones say how near the family is
_FAINTEST = 0.35  # cosine of query and label below which nothing is meant
_BY_MEANING = 12  # families found by meaning at most


def searched(corpus_name: str, sae_name: str, families: pd.DataFrame) -> pd.DataFrame:
    """The families that the box asks for, all of them while it is empty."""
    text = words_box(
        "Find a family", "families-words", "words of its label or of any of its features, or a meaning"
    )
    if not text.split():
        return families
    members = structure_data.members(corpus_name, sae_name)
    found = by_words(families, members, data.feature_table(corpus_name, sae_name)["label"], text)
    if len(found) >= _BY_MEANING:
        return found
    labels, vector = data.label_vectors(corpus_name, sae_name), data.encoded(text)
    if labels is None or vector is None:
        return found
    meant = by_meaning(families.drop(found.index), members, labels, vector)
    if len(meant):
        st.caption(f"{len(found):,} with these words, {len(meant):,} near to them in meaning.")
    return pd.concat([found, meant])


def by_words(families: pd.DataFrame, members: pd.DataFrame, labels: pd.Series, typed: str) -> pd.DataFrame:
    """Families in whose label, or in whose features' labels, every word is found."""
    texts = members["feature_id"].map(labels.fillna("")).groupby(members["family_id"])
    joined = texts.agg(" ".join).reindex(families.index, fill_value="")
    return families[with_words(joined + " " + families["label"].fillna(""), typed)]


def by_meaning(
    families: pd.DataFrame, members: pd.DataFrame, labels: Rows, vector: np.ndarray
) -> pd.DataFrame:
    """Families nearest to a query, best first: by the mean cosine of their nearest three features' labels.

    labels (n_latents, d) unit rows, zero without a label; vector (d,) of unit length.
    """
    cosines = pd.Series((labels @ vector)[members["feature_id"].to_numpy()].astype(float))
    best = cosines.groupby(members["family_id"].to_numpy()).apply(lambda c: c.nlargest(_BEST).mean())
    best = best.reindex(families.index).dropna().sort_values(ascending=False, kind="stable")
    return families.loc[best[best > _FAINTEST].index[:_BY_MEANING]]
