"""The start page: a query, its results, and sliders that steer it."""

import numpy as np
import streamlit as st

from dashboard import cards, data, frame, state
from dashboard.search import search_look, search_panel, search_results
from dashboard.search.search_compare import side_by_side
from dashboard.search.search_query import ask
from dashboard.text import safe_text

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
        table = data.feature_table(*state.selected())
        asked = ask(vector)
        st.session_state["asked-vector"] = vector
        cards.style()
        search_look.style()
        with st.container(key="search-columns"):
            left, right = st.columns([3, 2], gap="large")
        compared = asked.changed and bool(st.session_state.get(search_results.COMPARED))
        with left:
            found = search_results.results(table, asked, cards_too=not compared)
            if compared:  # in place of the cards, so that the sliders stay beside what they change
                side_by_side(table, asked, found, "" if state.like() is not None else state.query())
        with right:
            search_panel.panel(table, asked)
        state.write_address(whole=True)


frame.header("Sextant", "Push a concept up or down; see what moves.")
query_row()
if (asked := query_vector()) is not None:
    steering(asked)
