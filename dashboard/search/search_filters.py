"""Filters of the results: date, category, features that must be active; and how many are listed."""

from functools import lru_cache
from typing import TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.chips import feature_name, feature_row
from dashboard.search import search_choices
from dashboard.search.search_choices import Filters
from dashboard.search.search_query import Asked
from dashboard.text import plain_text, safe_text
from sae.steering.filters import DocumentFilter

T = TypeVar("T")
_CATEGORIES_SHOWN = 200
_TOLD = 2  # filters named on the button


@lru_cache(maxsize=4)
def _document_filter(build: str, corpus_name: str) -> DocumentFilter:
    return DocumentFilter(data.corpus(corpus_name))


def document_filter(corpus_name: str) -> DocumentFilter:
    """Dates and categories of a corpus."""
    return _document_filter(str(data.store().path), corpus_name)


@lru_cache(maxsize=16)
def _allowed(build: str, corpus_name: str, sae_name: str, chosen: Filters) -> np.ndarray | None:
    found = _document_filter(build, corpus_name)
    sae = data.sae(corpus_name, sae_name)
    return found.allowed(chosen.first, chosen.last, chosen.categories, chosen.features, sae)


def allowed(corpus_name: str, sae_name: str) -> np.ndarray | None:
    """bool (n_documents,) for the filters in force, or None without any. Shared: copy before changing."""
    chosen = search_choices.filters()
    return _allowed(str(data.store().path), corpus_name, sae_name, chosen) if chosen else None


def filter_box(table: pd.DataFrame, asked: Asked) -> None:
    """The popover with all filters; its button says what is in force."""
    chosen = search_choices.filters()
    with st.popover(_told(table, chosen), icon=":material/filter_list:", type="tertiary", key="filters"):
        found = document_filter(asked.corpus_name)
        if found.first is not None and found.last is not None:
            _dates(found, chosen)
        if len(found.categories) > 1:
            _categories(found, chosen)
        active = [f for f in asked.latents if f not in chosen.features]
        _with(table, chosen, active)
        key, default = _key_and_default("count-box", search_choices.count())
        st.segmented_control(
            "Results listed",
            search_choices.COUNTS,
            default=default,
            key=key,
            required=True,
            on_change=lambda: search_choices.set_count(st.session_state[key]),
        )
        if chosen:
            st.button("Clear all filters", key="clear-filters", on_click=search_choices.forget_filters)


def _key_and_default(name: str, value: T) -> tuple[str, T]:
    """Key and default of a widget that shows ``value``.

    A widget that is told its value while the popover is closed is never drawn with it, and then reports its
    default as if somebody had chosen it. So whatever changes the value from elsewhere starts a new widget.
    """
    generation, default = st.session_state.get(f"{name}-generation", (0, value))
    if st.session_state.get(f"{name}-{generation}", default) != value:
        generation, default = generation + 1, value
    st.session_state[f"{name}-generation"] = generation, default
    return f"{name}-{generation}", default


def _told(table: pd.DataFrame, chosen: Filters) -> str:
    parts = []
    if chosen.first or chosen.last:
        parts.append(
            f"{chosen.first.year if chosen.first else '…'}–{chosen.last.year if chosen.last else '…'}"
        )
    parts += [safe_text(name, 30) for name in chosen.categories]
    parts += [
        f"with {safe_text(feature_name(feature_row(table, f)), 30)}"
        for f in chosen.features
        if f in table.index
    ]
    more = len(parts) - _TOLD
    return " · ".join([*parts[:_TOLD], f"{more} more"] if more > 1 else parts) or "Filter"


def _dates(found: DocumentFilter, chosen: Filters) -> None:
    assert found.first is not None
    assert found.last is not None
    keys: list[str] = []
    with st.container(horizontal=True):
        for name, label, value, default in (
            ("filter-first", "From", chosen.first, found.first),
            ("filter-last", "To", chosen.last, found.last),
        ):
            key, shown = _key_and_default(name, min(max(value or default, found.first), found.last))
            keys.append(key)
            st.date_input(
                label,
                shown,
                min_value=found.first,
                max_value=found.last,
                format="YYYY-MM-DD",
                key=key,
                on_change=_dates_chosen,
                args=(found, keys),
            )


def _dates_chosen(found: DocumentFilter, keys: list[str]) -> None:
    chosen = search_choices.filters()
    first, last = (st.session_state[key] for key in keys)
    bounds = (None if first == found.first else first, None if last == found.last else last)
    search_choices.set_filters(Filters(*bounds, chosen.categories, chosen.features))


def _categories(found: DocumentFilter, chosen: Filters) -> None:
    wanted = list(chosen.categories)
    key, default = _key_and_default("filter-categories", wanted)
    options = list(dict.fromkeys([*found.categories[:_CATEGORIES_SHOWN], *default, *wanted]))
    st.multiselect(
        "In any of these categories",
        options,
        default,
        key=key,
        format_func=lambda name: f"{plain_text(name, 60)} ({found.n_in.get(name, 0):,})",
        max_selections=search_choices.MAX_FILTERS,
        on_change=_categories_chosen,
        args=(key,),
    )


def _categories_chosen(key: str) -> None:
    chosen = search_choices.filters()
    names = tuple(st.session_state[key])
    search_choices.set_filters(Filters(chosen.first, chosen.last, names, chosen.features))


def _with(table: pd.DataFrame, chosen: Filters, active: list[int]) -> None:
    wanted = [f for f in chosen.features if f in table.index]
    key, default = _key_and_default("filter-features", wanted)
    st.multiselect(
        "In which these concepts are active",
        list(dict.fromkeys([*default, *wanted, *active])),
        default,
        key=key,
        format_func=lambda f: plain_text(feature_name(feature_row(table, f)), 60),
        max_selections=search_choices.MAX_FILTERS,
        on_change=_with_chosen,
        args=(key,),
    )


def _with_chosen(key: str) -> None:
    chosen = search_choices.filters()
    features = tuple(int(f) for f in st.session_state[key])
    search_choices.set_filters(Filters(chosen.first, chosen.last, chosen.categories, features))
