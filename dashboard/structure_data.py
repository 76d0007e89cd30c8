"""Cached readers of families, splitting and matches between corpora."""

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from sae.storage import scaling_store, structure_store
from sae.storage.structure_store import FamilyReader


def families(corpus_name: str, sae_name: str) -> pd.DataFrame | None:
    """All families of an SAE, largest first, index family_id; None when the build holds none."""
    return _families(str(data.store().path), corpus_name, sae_name)


@st.cache_resource(show_spinner="Reading the families …", max_entries=6)
def _families(build: str, corpus_name: str, sae_name: str) -> pd.DataFrame | None:
    reader = FamilyReader(data.sae(corpus_name, sae_name))
    if not reader.available:
        return None
    return reader.scores().to_pandas().set_index("family_id", drop=False).rename_axis("family_index")


def members(corpus_name: str, sae_name: str) -> pd.DataFrame:
    """The trees of all families (schema.FAMILY_COLUMNS). Shared: copy before changing."""
    return _members(str(data.store().path), corpus_name, sae_name)


@st.cache_resource(show_spinner=False, max_entries=6)
def _members(build: str, corpus_name: str, sae_name: str) -> pd.DataFrame:
    return FamilyReader(data.sae(corpus_name, sae_name)).members().to_pandas()


def tree(corpus_name: str, sae_name: str, family_id: int) -> pd.DataFrame:
    """One family's features in depth-first order, joined with their labels, densities and scores."""
    table = members(corpus_name, sae_name)
    found = table[table["family_id"] == family_id].reset_index(drop=True)
    features = data.feature_table(corpus_name, sae_name).loc[found["feature_id"]]
    columns = (
        "label",
        "density",
        "log_density",
        "n_active",
        "mean_activation",
        "pearson_random",
        "f1_random",
    )
    return found.assign(**{name: features[name].to_numpy() for name in columns})


def points(corpus_name: str, sae_name: str, family_id: int) -> pd.DataFrame:
    """Documents in the plane of a family's principal components, with titles and the family's features in them."""
    reader = data.sae(corpus_name, sae_name)
    found = FamilyReader(reader).points(family_id).to_pandas()
    table = members(corpus_name, sae_name)
    family = table.loc[table["family_id"] == family_id, "feature_id"].to_numpy()
    activations, indices = reader.by_document(found["document"].to_numpy())
    inside = np.isin(indices, family) & (activations > 0)
    return found.assign(
        title=data.titles(corpus_name).iloc[found["document"]].to_numpy(),
        features=[row[keep].tolist() for row, keep in zip(indices, inside, strict=True)],
    )


@st.cache_data(show_spinner=False, max_entries=32)
def _block(
    build: str, corpus_name: str, sae_name: str, features: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    return FamilyReader(data.sae(corpus_name, sae_name)).block(np.array(features))


def block(corpus_name: str, sae_name: str, features: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Counts and activation similarities among some features, (m, m) each."""
    return _block(str(data.store().path), corpus_name, sae_name, features)


def metrics(corpus_name: str, sae_name: str) -> pd.DataFrame:
    """Numbers of one SAE's families: columns group, name, value."""
    return FamilyReader(data.sae(corpus_name, sae_name)).metrics().to_pandas()


def structure(corpus_name: str, sae_name: str) -> pd.DataFrame:
    """Reordered matrices: columns matrix, row, column, value."""
    return FamilyReader(data.sae(corpus_name, sae_name)).structure().to_pandas()


def splitting(corpus_name: str) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """(nearest features between SAEs, summary) of a corpus; None when the build holds neither."""
    return _splitting(str(data.store().path), corpus_name)


@st.cache_resource(show_spinner="Reading how features split …", max_entries=4)
def _splitting(build: str, corpus_name: str) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    corpus = data.corpus(corpus_name)
    if not structure_store.has_splitting(corpus):
        return None
    return structure_store.splitting(corpus).to_pandas(), structure_store.splitting_summary(
        corpus
    ).to_pandas()


def grid_cosines(corpus_name: str) -> pd.DataFrame | None:
    """How near the SAEs of the scaling grid are to each other (schema.SCALING_COSINE_COLUMNS); None without."""
    corpus = data.corpus(corpus_name)
    return scaling_store.cosines(corpus).to_pandas() if scaling_store.has_cosines(corpus) else None


def domains(corpus_name: str) -> pd.DataFrame | None:
    """Matches of a corpus' features in other corpora; None when the build holds none."""
    return _domains(str(data.store().path), corpus_name)


@st.cache_resource(show_spinner="Reading what other corpora share …", max_entries=4)
def _domains(build: str, corpus_name: str) -> pd.DataFrame | None:
    corpus = data.corpus(corpus_name)
    return structure_store.domains(corpus).to_pandas() if structure_store.has_domains(corpus) else None
