"""The box in which words of labels are typed, and what it asks for: the same on every page."""

import pandas as pd
import streamlit as st

from sae.tex import without_accents


def words_box(label: str, key: str, placeholder: str) -> str:
    """A text field that keeps what is typed for the session; "" while it is empty."""
    typed = st.text_input(label, key=key, persist_state="session", max_chars=100, placeholder=placeholder)
    return typed or ""


def with_words(labels: pd.Series, typed: str) -> pd.Series:
    """Which labels hold every word typed, in whatever case and order, with or without accents; bool, indexed as
    ``labels``."""
    folded = labels.fillna("").str.casefold().map(without_accents)
    found = pd.Series(True, index=labels.index)
    for word in without_accents(typed.casefold()).split():
        found &= folded.str.contains(word, regex=False).astype(bool)
    return found
