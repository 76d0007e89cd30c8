"""The document card: the one way in which a document appears on any page.

Two elements a card, because a slider redraws ten of them: a heading that may change (rank, score, bar) and
the text, which keeps its unfolded state as long as the document stays in its place. Both are small pieces of
our own HTML in which everything that comes from a document has been escaped.
"""

import datetime
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.look import style
from dashboard.text import html_text, safe_url

__all__ = ["document_card", "style"]

_PREVIEW_CHARACTERS = 420
_TEXT_CHARACTERS = 8_000
_CATEGORIES_SHOWN = 3


def day(date: object) -> str:
    """``12 Mar 2020``, or "" without a date."""
    return f"{date.day} {date:%b %Y}" if isinstance(date, datetime.date) else ""


def document_card(
    document: Mapping[str, Any],
    *,
    rank: int | None = None,
    change: int | str | None = None,
    score: float | None = None,
    score_name: str = "cosine with the query",
    activation: float | None = None,
    max_activation: float | None = None,
    note: str = "",
    below: str = "",
    marks: str = "",
) -> None:
    """Show one document.

    document: a row of schema.DOCUMENT_COLUMNS; rank: its place, from 1; change: places won (positive) or lost
    since before, or ``"new"``; score: a number shown after the facts, explained by ``score_name`` on hover;
    activation: of a feature, drawn as a bar against ``max_activation``; note: plain words after the facts;
    below: our own HTML under the facts; marks: names of style classes.
    """
    with st.container(gap=None):
        st.html(
            heading_html(
                document, rank, change, score, score_name, activation, max_activation, note, below, marks
            )
        )
        if body := text_html(document, ranked=rank is not None):
            st.html(body)


def heading_html(
    document: Mapping[str, Any],
    rank: int | None = None,
    change: int | str | None = None,
    score: float | None = None,
    score_name: str = "",
    activation: float | None = None,
    max_activation: float | None = None,
    note: str = "",
    below: str = "",
    marks: str = "",
) -> str:
    """The part of a card that may change while its document stays."""
    title = html_text(document.get("title"), 300) or "(no title)"
    address = safe_url(document.get("url"))
    if address:
        heading = f'<a class="sx-title" href="{html_text(address)}" target="_blank">{title}</a>'
    else:
        heading = f'<span class="sx-title">{title}</span>'
    bar = ""
    if activation is not None:
        share = max(0.0, min(1.0, activation / max_activation)) if max_activation else 0.0
        bar = (
            '<span title="activation of the feature in this document"><span class="sx-bar">'
            f'<span style="width:{100 * share:.0f}%"></span></span>{activation:.2f}</span>'
        )
    facts = [bar, *_facts(document)]
    if score is not None:
        facts.append(f'<span title="{html_text(score_name)}">{score:.3f}</span>')
    facts.append(html_text(note))
    meta = " · ".join(part for part in facts if part)
    place = "" if rank is None else f'<div class="sx-rank">{rank}{_mark(change)}</div>'
    return (
        f'<div class="sx-card {marks}">{place}<div class="sx-main">{heading}'
        f'<div class="sx-meta">{meta}</div>{below}</div></div>'
    )


def _facts(document: Mapping[str, Any]) -> list[str]:
    categories = list(document.get("categories") or [])
    shown = ", ".join(html_text(name, 40) for name in categories[:_CATEGORIES_SHOWN])
    if len(categories) > _CATEGORIES_SHOWN:
        shown += f" +{len(categories) - _CATEGORIES_SHOWN}"
    citations = document.get("citation_count")
    cited = "" if citations is None else f"{int(citations):,} citation{'' if citations == 1 else 's'}"
    return [day(document.get("date")), shown, cited]


def _mark(change: int | str | None) -> str:
    if change in (None, 0):
        return ""
    if change == "new":
        return '<span class="sx-mark" title="was not in the list before">new</span>'
    places = int(change or 0)
    arrow, word = ("▲", "up") if places > 0 else ("▼", "down")
    return f'<span class="sx-mark" title="{word} {abs(places)}">{arrow}{abs(places)}</span>'


def text_html(document: Mapping[str, Any], *, ranked: bool = False) -> str:
    """Two lines of the text that unfold into all of it, or "" for a document without text."""
    preview = html_text(document.get("text"), _PREVIEW_CHARACTERS)
    if not preview:
        return ""
    whole = html_text(document.get("text"), _TEXT_CHARACTERS)
    authors = ", ".join(html_text(name, 60) for name in list(document.get("authors") or [])[:12])
    by = f'<p class="sx-meta">{authors}</p>' if authors else ""
    name = "sx-text sx-ranked" if ranked else "sx-text"
    return (
        f'<details class="{name}"><summary><span class="sx-clip">{preview}</span>'
        f'<span class="sx-less">fold the text</span></summary><p>{whole}</p>{by}</details>'
    )
