"""The start page: a query, its results, and sliders that steer it."""

import numpy as np
import streamlit as st

from dashboard import cards, data, frame, sliders, state
from dashboard.text import safe_text
from sae.steer import Steered, steer

RESULTS = 10
_EXAMPLES = 3
_TITLE_MATCHES = 8
_BOX, _EXAMPLES_KEY = "query-box", "examples"


def query_row() -> None:
    """The query box and examples to try."""
    row = state.like()
    text = state.query() if row is None else _like_text(row)
    if st.session_state.get(_BOX) != text:
        st.session_state[_BOX] = text
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input(
            "Query",
            key=_BOX,
            type="search",
            placeholder="Ask in your own words, or paste a whole abstract …",
            label_visibility="collapsed",
            on_change=lambda: state.set_query(st.session_state[_BOX]),
        )
        st.button("Search")
    texts, _ = data.example_queries(state.selected()[0])
    others = [example for example in texts if example != text][:_EXAMPLES]
    if others:
        st.pills(
            "Try",
            others,
            key=_EXAMPLES_KEY,
            format_func=lambda example: safe_text(example, 60),
            label_visibility="collapsed",
            on_change=_asked_example,
        )


def _asked_example() -> None:
    if example := st.session_state[_EXAMPLES_KEY]:
        state.set_query(example, typed=False)
    st.session_state[_EXAMPLES_KEY] = None


def _like_text(row: int) -> str:
    return "like: " + data.documents(state.selected()[0], [row])[0]["title"]


def query_vector() -> np.ndarray | None:
    """The embedding that is searched with, or None after saying what to do instead."""
    corpus_name, _ = state.selected()
    if (row := state.like()) is not None:
        return np.asarray(data.corpus(corpus_name).embeddings[row], dtype=np.float32)
    if not state.query():
        st.info("Type a query, or choose one of the examples.", icon=":material/search:")
        return None
    vector = data.query_vector(corpus_name, state.query())
    if vector is None:
        _offer_titles(corpus_name, state.query())
    return vector


def _offer_titles(corpus_name: str, typed: str) -> None:
    st.info(
        "This corpus was embedded by a model that is not here, so new words cannot be searched by meaning. "
        "Choose an example, or start from a document whose title contains your words.",
        icon=":material/info:",
    )
    titles = data.titles(corpus_name)
    found = titles.index[titles.str.contains(typed.strip(), case=False, regex=False)][:_TITLE_MATCHES]
    if not len(found):
        st.caption("No title contains these words.")
    for row in found:
        st.button(
            f"More like: {safe_text(titles[row], 140)}",
            key=f"like-{row}",
            type="tertiary",
            on_click=state.set_like,
            args=(int(row),),
        )


@st.fragment
def steering(vector: np.ndarray) -> None:
    """Results and sliders: what a slider's move draws again."""
    with frame.calm():
        corpus_name, sae_name = state.selected()
        table = data.feature_table(corpus_name, sae_name)
        weights = data.sae(corpus_name, sae_name).weights
        steered = steer(vector, state.edits(), weights)
        # A query without edits is never ranked by its reconstruction.
        if steered.amounts and state.mode() != "direct":
            steered = steer(vector, state.edits(), weights, state.mode())
        left, right = st.columns([3, 2], gap="large")
        with left:
            _results(corpus_name, vector, steered)
        with right:
            sliders.panel(table, steered)
        state.write_address(whole=True)


def _results(corpus_name: str, vector: np.ndarray, steered: Steered) -> None:
    search = data.searcher(corpus_name)
    rows, scores = search.search_steered(steered, RESULTS)
    before = rows
    if steered.amounts:
        before, _ = search.search_steered(Steered(vector, 1.0, vector), RESULTS)
    places = {int(row): place for place, row in enumerate(before)}
    gone = [int(row) for row in before if row not in set(rows.tolist())]
    found = data.documents(corpus_name, [*rows.tolist(), *gone])
    changed = ""
    if gone:
        changed = f" · {len(gone)} new"
    elif rows.tolist() != before.tolist():
        changed = " · in another order"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Results", anchor=False, width="content")
        st.caption(f"top {len(rows)} of {search.n_documents:,} by cosine{changed}", width="content")
    cards.style()
    for place, (row, score, document) in enumerate(zip(rows.tolist(), scores.tolist(), found, strict=False)):
        change = places[row] - place if row in places else "new"
        cards.document_card(document, rank=place + 1, change=change, score=score)
    if gone:
        left = " · ".join(
            f"{safe_text(document['title'], 90)} (was {places[row] + 1})"
            for row, document in zip(gone, found[len(rows) :], strict=True)
        )
        st.caption(f"Left the list: {left}")


frame.header("Sextant", "Push a concept up or down; see what moves.")
query_row()
if (asked := query_vector()) is not None:
    steering(asked)
