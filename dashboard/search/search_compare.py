"""Before, after, and the same wish put in words, side by side."""

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.chips import feature_name, feature_row, signed
from dashboard.search import search_filters
from dashboard.search.search_query import Asked
from dashboard.search.search_results import TOP, Found
from dashboard.text import html_text, safe_text, safe_url
from sae.steer import cosine
from sae.steering.rewriting import rewrite

_LONGEST = 400


def side_by_side(table: pd.DataFrame, asked: Asked, found: Found, query: str) -> None:
    """Three columns of titles. ``query``: the words that were asked, "" where a document was."""
    before, after, worded = st.columns(3, gap="medium")
    kept = set(found.before[:TOP])
    with before:
        st.markdown("**Before**")
        st.caption("Your words alone")
        _list(asked, found.before[:TOP], None)
    with after:
        st.markdown("**With the sliders**")
        st.caption(f"Fidelity {signed(asked.steered.fidelity)}, {found.overlap} of {len(kept)} kept")
        _list(asked, found.rows[:TOP], kept)
    with worded:
        st.markdown("**The same wish in words**")
        wish, rows, told = _in_words(table, asked, query)
        st.caption(f"“{safe_text(wish, 200)}”: {told}" if wish else told)
        _list(asked, rows, kept)


def _in_words(table: pd.DataFrame, asked: Asked, query: str) -> tuple[str, list[int], str]:
    """The rewritten query, its results, and a few words on them."""
    if not query:
        return "", [], "A document has no words to rewrite."
    raised, lowered = ([feature_name(feature_row(table, f)) for f in features] for features in asked.ways)
    wish = rewrite(query[:_LONGEST], raised, lowered)
    vector = data.encoded(wish)
    if vector is None or vector.shape != asked.vector.shape:
        return wish, [], "cannot be embedded here."
    mask = search_filters.allowed(asked.corpus_name, asked.sae_name)
    rows, _ = data.searcher(asked.corpus_name).search(vector, TOP, mask)
    return wish, rows.tolist(), f"cosine {signed(cosine(asked.vector, vector))} to your query"


def _list(asked: Asked, rows: list[int], kept: set[int] | None) -> None:
    items = []
    for row, document in zip(rows, data.documents(asked.corpus_name, rows), strict=True):
        title, address = html_text(document["title"], 140), safe_url(document.get("url"))
        shown = f'<a href="{html_text(address)}" target="_blank">{title}</a>' if address else title
        new = kept is not None and row not in kept
        items.append(f"<li>{shown}{' <em>new</em>' if new else ''}</li>")
    if items:
        st.html(f'<ol class="sx-list">{"".join(items)}</ol>')
