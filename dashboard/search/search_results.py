"""The list of results: what changed, why each is there, and more or less like one of them."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cards, data, state
from dashboard.chips import feature_name, feature_row, signed
from dashboard.search import search_choices, search_filters, sliders
from dashboard.search.search_export import results_bibtex, results_csv
from dashboard.search.search_panel import colours
from dashboard.search.search_query import Asked, latents_of
from dashboard.search.search_why import marks_css, positive, why_html
from dashboard.tables import download
from dashboard.text import html_text, safe_text
from sae.steering.suggest import less_like, more_like
from sae.why import Why

COMPARED = "compare"
TOP = 10  # overlap is counted among so many, however many are listed


@dataclass(frozen=True)
class Found:
    """The steered list beside the plain one."""

    rows: list[int]
    cosines: list[float]
    before: list[int]
    documents: list[dict[str, Any]]
    available: int

    @property
    def overlap(self) -> int:
        """How many of the first ten were among the first ten before."""
        return len(set(self.rows[:TOP]) & set(self.before[:TOP]))

    @property
    def gone(self) -> list[int]:
        """Documents that left the list, by their former rank."""
        now = set(self.rows)
        return [row for row in self.before if row not in now]


def find(asked: Asked) -> Found:
    """Search with the steered query, and with the plain one where that is another."""
    search = data.searcher(asked.corpus_name)
    mask = search_filters.allowed(asked.corpus_name, asked.sae_name)
    n = search_choices.count()
    rows, cosines = search.search_steered(asked.steered, n, mask)
    before = rows
    if asked.changed or asked.rebuilt:
        before, _ = search.search_steered(asked.plain, n, mask)
    available = search.n_documents if mask is None else int(np.count_nonzero(mask))
    found = rows.tolist()
    return Found(
        found, cosines.tolist(), before.tolist(), data.documents(asked.corpus_name, found), available
    )


def results(table: pd.DataFrame, asked: Asked, cards_too: bool = True) -> Found:
    """Everything at the left of the sliders; without ``cards_too`` its heading alone."""
    found = find(asked)
    _heading(table, asked, found)
    if not asked.changed and asked.rebuilt:
        st.caption(
            f"Ranked by what the concepts say of your query, which is {signed(asked.steered.fidelity)} of it: "
            f"{TOP - found.overlap} of the first {TOP} are others than your words alone would find."
        )
    if not found.rows:
        st.info("No document passes these filters; widen or clear them.", icon=":material/filter_list_off:")
        st.button("Clear all filters", key="clear-all", on_click=search_choices.forget_filters)
        return found
    if not cards_too:
        return found
    whys = asked.why(found.rows)
    shown = colours(asked)
    widest = max((positive(why) for why in whys), default=1.0) or 1.0
    _, indices = latents_of(asked.corpus_name, asked.sae_name, tuple(found.rows))
    marks_css(shown, list(shown))
    places = {row: place for place, row in enumerate(found.before)}
    for place, (row, cosine, document, why) in enumerate(
        zip(found.rows, found.cosines, found.documents, whys, strict=True)
    ):
        names = {f: feature_name(feature_row(table, f)) for f in list(why.parts)[:12]}
        names |= {f: feature_name(feature_row(table, f)) for f in shown}
        active = " ".join(f"sx-has-{f}" for f in indices[place].tolist() if f in shown)
        with st.container(horizontal=True, gap="xsmall", wrap=False, key=f"result-{place}"):
            with st.container():
                cards.document_card(
                    document,
                    rank=place + 1,
                    change=places[row] - place if row in places else "new",
                    score=cosine,
                    below=why_html(why, names, shown, widest),
                    marks=active,
                )
            _like_buttons(place, row)
        if st.session_state.get(search_choices.SUGGESTED, (None, ""))[0] == row:
            _suggestion(table, asked, found, whys, place)
    _gone(asked, found)
    return found


def _heading(table: pd.DataFrame, asked: Asked, found: Found) -> None:
    changed = ""
    if found.rows != found.before:
        new = len(found.gone)
        changed = f" · {new} new" if new else " · in another order"
        changed += f" · {found.overlap} of the first {min(TOP, len(found.before))} kept"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="heading-of-results"):
        st.subheader("Results", anchor=False, width="content")
        st.caption(f"{len(found.rows)} of {found.available:,}{changed}", width="content")
        st.html('<a class="sx-jump" href="#concepts">to the concepts</a>', width="content")
        search_filters.filter_box(table, asked)
        with st.popover("Download", icon=":material/download:", type="tertiary", key="download"):
            _downloads(found)
        if asked.changed:
            st.toggle(
                "Side by side", key=COMPARED, help="The list before, after, and for the same wish in words."
            )


def _downloads(found: Found) -> None:
    places = {row: place for place, row in enumerate(found.before, 1)}
    before = [places.get(row) for row in found.rows]
    as_csv = partial(results_csv, found.documents, found.cosines, before)
    download("Results as CSV", as_csv, "results.csv", "text/csv", "results-csv")
    as_bibtex = partial(results_bibtex, found.documents)
    download("Results as BibTeX", as_bibtex, "results.bib", "application/x-bibtex", "results-bib")


def _like_buttons(place: int, row: int) -> None:
    with st.container(gap=None, width="content", key=f"like-buttons-{place}"):
        for way, icon in (("more", "add"), ("less", "remove")):
            st.button(
                f"{way} :gray[like this]",  # the style sheet keeps the second part for screen readers
                key=f"{way}-like-{place}",
                type="tertiary",
                icon=f":material/{icon}:",
                on_click=_suggest,
                args=(row, way),
            )


def _suggest(row: int, way: str) -> None:
    st.session_state[search_choices.SUGGESTED] = None, ""
    st.session_state[search_choices.SUGGESTED] = row, way


def _suggestion(table: pd.DataFrame, asked: Asked, found: Found, whys: list[Why], place: int) -> None:
    """Moves that would bring more or less like one result, with the button that makes them."""
    row, way = st.session_state[search_choices.SUGGESTED]
    acts, indices = latents_of(asked.corpus_name, asked.sae_name, (row,))
    document = {int(f): float(a) for f, a in zip(indices[0], acts[0], strict=True) if a > 0}
    after = asked.steered.after
    if way == "more":
        moves = more_like(after, document)
    else:
        moves = less_like(after, document, whys[place], whys[:place] + whys[place + 1 :])
    with st.container(border=True, gap="xsmall", key="suggestion"):
        if not moves:
            st.caption("The query already has every concept of this document as strongly as it has them.")
        else:
            st.markdown(f"**For {way} like this**, move:")
        for feature_id, value in moves.items():
            name = safe_text(feature_name(feature_row(table, feature_id)), 60)
            st.markdown(
                f"{name} :gray[{sliders.shown(after.get(feature_id, 0.0))} →] **{sliders.shown(value)}**"
            )
        with st.container(horizontal=True):
            if moves:
                st.button(
                    "Move them" if len(moves) > 1 else "Move it",
                    key="apply-suggestion",
                    type="primary",
                    on_click=_apply,
                    args=(moves,),
                )
            st.button("Leave it", key="drop-suggestion", type="tertiary", on_click=_apply, args=({},))


def _apply(moves: dict[int, float]) -> None:
    st.session_state.pop(search_choices.SUGGESTED, None)
    for feature_id, value in moves.items():
        state.add_edit(feature_id, round(value, 3))


def _gone(asked: Asked, found: Found) -> None:
    if not found.gone:
        return
    places = {row: place for place, row in enumerate(found.before, 1)}
    left = "".join(
        f"<li>{html_text(document['title'], 200)} <em>was {places[row]}</em></li>"
        for row, document in zip(found.gone, data.documents(asked.corpus_name, found.gone), strict=True)
    )
    st.html(
        f'<details class="sx-gone"><summary>Left the list: {len(found.gone)}</summary>'
        f"<ul>{left}</ul></details>"
    )
