"""Cached readers of training histories, of the geometry of features, and of the scaling grid."""

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from sae.storage import scaling_store

_POINTS = 200  # of a curve, at most
_GEOMETRY = ["feature_id", "label", "n_active", "log_density", "encoder_decoder_cosine", "max_cosine"]
_HISTORY = ("loss", "fvu", "held_out_fvu", "dead")


def histories(corpus_name: str) -> pd.DataFrame:
    """Histories of all SAEs of a corpus, thinned to means over windows: sae, step, loss, fvu, held_out_fvu, dead.

    A window's held-out error is the last one measured in it (NaN where none was).
    """
    return _histories(str(data.store().path), corpus_name)


@st.cache_resource(show_spinner="Reading the training histories …", max_entries=4)
def _histories(build: str, corpus_name: str) -> pd.DataFrame:
    parts = []
    for name in data.corpus(corpus_name).saes:
        table = data.sae(corpus_name, name).training().select(["step", *_HISTORY]).to_pandas()
        parts.append(thinned(table, _POINTS).assign(sae=name))
    return pd.concat(parts, ignore_index=True)


def thinned(history: pd.DataFrame, points: int) -> pd.DataFrame:
    """A history in at most ``points`` windows of equally many steps: means, but the last held-out error."""
    width = -(-len(history) // points)
    windows = history.groupby(np.arange(len(history)) // width)
    ways = dict.fromkeys(_HISTORY, "mean") | {"step": "last", "held_out_fvu": "last"}
    return windows.agg(ways).reset_index(drop=True)


def geometry(corpus_name: str) -> pd.DataFrame:
    """Live features of all SAEs: sae, feature_id, label, log_density, encoder_decoder_cosine, max_cosine."""
    return _geometry(str(data.store().path), corpus_name)


@st.cache_resource(show_spinner="Reading the features …", max_entries=2)
def _geometry(build: str, corpus_name: str) -> pd.DataFrame:
    parts = []
    for name in data.corpus(corpus_name).saes:
        table = data.sae(corpus_name, name).features(_GEOMETRY).to_pandas()
        parts.append(table[table["n_active"] > 0].drop(columns="n_active").assign(sae=name))
    return pd.concat(parts, ignore_index=True)


def scaling(corpus_name: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame] | None:
    """(runs, curves, fits) of the scaling grid; None when the build's profile had none."""
    return _scaling(str(data.store().path), corpus_name)


@st.cache_resource(show_spinner="Reading the scaling grid …", max_entries=4)
def _scaling(build: str, corpus_name: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame] | None:
    corpus = data.corpus(corpus_name)
    if not scaling_store.has_scaling(corpus):
        return None
    tables = (scaling_store.runs(corpus), scaling_store.curves(corpus), scaling_store.fits(corpus))
    runs, curves, fits = (table.to_pandas() for table in tables)
    return runs, curves, fits
