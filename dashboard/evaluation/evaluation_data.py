"""Cached readers of the evaluation, and its numbers as sentences."""

import pandas as pd
import streamlit as st

from dashboard import data
from sae.storage.evaluation_store import Evaluation

CONTROL = "another edit"
METHODS = {  # name in the store -> (name shown, what it is)
    "feature": ("feature", "The query moved along the concept's own direction."),
    "family": (
        "feature + family",
        "Along the concept and the broader ones that it nearly always comes with.",
    ),
    "typical": ("typical document", "Towards the mean of the documents in which the concept is strong."),
    "family slider": ("family slider", "A family moved as one; only concepts that have one below them."),
    "optimised": ("optimised", "Latents optimised until encoding shows the wanted activations."),
    "reconstruction": (
        "reconstruction",
        "The papers' app: the query is replaced by what the model says of it.",
    ),
    "label": ("label added", "No model: the embedding of the label's words is added."),
    "rewriting": ("rewriting", "No model: the wish is put in words by a template, and embedded."),
    "rewriting by a model": (
        "rewriting by a model",
        "No features: a language model puts the wish in words, and that is embedded.",
    ),
    CONTROL: (
        "another edit",
        "A concept that is not among the five is moved: what the judge then says is chance.",
    ),
}
EDITS = {  # name in the store -> (name shown, what it is)
    "both": (
        "one up, one down",
        "The papers' way: one concept is set to zero, the rest of the change goes into raising another.",
    ),
    "even": ("both evenly", "As much of the change lowers one concept as raises the other."),
    "up": ("one up", "One concept is raised."),
    "down": ("one down", "One concept is lowered."),
}
JOINT = ("both", "even")
VARIANTS = {
    "original": "the embedding",
    "query": "query reconstructed",
    "query and documents": "query and documents reconstructed",
    "sparse": "features alone",
}
MEASURES = {  # name in the store -> what it is
    "up": "raised",
    "down": "lowered",
    "both": "both",
    "ahead up": "raised, ahead of words",
    "ahead down": "lowered, ahead of words",
    "ahead both": "both, ahead of words",
    "overlap": "share of the first ten that stay",
    "raised": "results with the raised concept, more than before",
    "lowered": "results with the lowered concept, more than before",
    "moved": "other concepts moved",
}
CASES = {  # of the optimisation
    "zero to active": "a silent concept raised",
    "active to zero": "an active concept silenced",
}
JUDGES = {
    "local": "words and embeddings",
    "words": "words alone",
    "embeddings": "embeddings alone",
    "llm": "a language model",
}


def evaluation(corpus_name: str) -> Evaluation | None:
    """The evaluation of a corpus, or None when the build holds none."""
    found = Evaluation(data.corpus(corpus_name))
    return found if found.available else None


@st.cache_resource(show_spinner="Reading the evaluation …", max_entries=8)
def _tables(build: str, corpus_name: str) -> dict[str, pd.DataFrame]:
    found = Evaluation(data.corpus(corpus_name))
    return {
        "steering": found.steering().to_pandas(),
        "optimisation": found.optimisation().to_pandas(),
        "contour": found.contour().to_pandas(),
        "retrieval": found.retrieval().to_pandas(),
        "categories": found.categories().to_pandas(),
        "truth": found.truth().to_pandas(),
        "judged": found.judged().to_pandas(),
    }


def table(corpus_name: str, name: str, sae_name: str | None = None) -> pd.DataFrame:
    """One table of the evaluation, of one SAE where it is named. Shared when whole: copy before changing."""
    found = _tables(str(data.store().path), corpus_name)[name]
    return found if sae_name is None else found[found["sae"] == sae_name].reset_index(drop=True)


def number(steering: pd.DataFrame, **wanted: object) -> pd.Series | None:
    """The one row of a steering table with the wanted values, or None when nothing was measured there."""
    for column, value in wanted.items():
        steering = steering[steering[column] == value]
    steering = steering[steering["n"] > 0]
    return None if steering.empty else steering.iloc[0]


def percent(row: pd.Series | None) -> str:
    """A share in words: "97 %", or "not measured"."""
    return "not measured" if row is None else f"{row['value']:.0%}".replace("%", " %")
