"""The document card: the one way in which a document appears on any page.

Two elements a card, because a slider redraws ten of them: a heading that may change (rank, score, bar) and the
text, which keeps its unfolded state as long as the document stays in its place. Both are small pieces of our own
HTML in which everything that comes from a document has been escaped.
"""

import datetime
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.charts import accent
from dashboard.text import html_text, safe_url

_PREVIEW_CHARACTERS = 420
_TEXT_CHARACTERS = 8_000
_CATEGORIES_SHOWN = 3

_STYLE = """<style>
.sx-card{display:flex;gap:.75rem;line-height:1.4;overflow-wrap:anywhere}
.sx-rank{flex:0 0 2.1rem;text-align:right;font-variant-numeric:tabular-nums;opacity:.65}
.sx-mark{display:block;font-size:.75rem;white-space:nowrap}
.sx-main{flex:1 1 auto;min-width:0}
.sx-title{font-weight:600;text-decoration:none;color:inherit}
a.sx-title:hover,a.sx-title:focus-visible{text-decoration:underline;text-underline-offset:.2em}
.sx-meta{font-size:.8rem;opacity:.7;font-variant-numeric:tabular-nums;margin-top:.1rem}
.sx-bar{display:inline-block;width:7rem;max-width:30%;height:.45rem;margin-right:.5rem;border-radius:.25rem;
 background:color-mix(in srgb,currentColor 12%,transparent);vertical-align:.05rem;overflow:hidden}
.sx-bar>span{display:block;height:100%;border-radius:.25rem;background:SX_ACCENT}
.sx-text{font-size:.875rem;line-height:1.5;overflow-wrap:anywhere}
.sx-text.sx-ranked{padding-left:2.85rem}
.sx-text summary{cursor:pointer;list-style:none;border-radius:.25rem}
.sx-text summary::-webkit-details-marker{display:none}
.sx-text summary:focus-visible{outline:2px solid SX_ACCENT;outline-offset:2px}
.sx-clip{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2;overflow:hidden;opacity:.8}
.sx-text[open] .sx-clip{display:none}
.sx-less{display:none;opacity:.65;font-size:.8rem}
.sx-text[open] .sx-less{display:inline}
.sx-text p{margin:.15rem 0 .4rem;font-size:inherit}
</style>"""


def style() -> None:
    """The cards' style sheet; call once a page, before the first card."""
    st.html(_STYLE.replace("SX_ACCENT", accent()))


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
) -> None:
    """Show one document.

    document: a row of schema.DOCUMENT_COLUMNS; rank: its place, from 1; change: places won (positive) or lost
    since before, or ``"new"``; score: a number shown after the facts, explained by ``score_name`` on hover;
    activation: of a feature, drawn as a bar against ``max_activation``; note: a few plain words after the facts.
    """
    with st.container(gap=None):
        heading = heading_html(document, rank, change, score, score_name, activation, max_activation, note)
        st.html(heading)
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
            f'<span title="activation of the feature in this document">'
            f'<span class="sx-bar"><span style="width:{100 * share:.0f}%"></span></span>{activation:.2f}</span>'
        )
    facts = [bar, *_facts(document)]
    if score is not None:
        facts.append(f'<span title="{html_text(score_name)}">{score:.3f}</span>')
    facts.append(html_text(note))
    meta = " · ".join(part for part in facts if part)
    place = "" if rank is None else f'<div class="sx-rank">{rank}{_mark(change)}</div>'
    return (
        f'<div class="sx-card">{place}<div class="sx-main">{heading}'
        f'<div class="sx-meta">{meta}</div></div></div>'
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
    places = int(change)  # type: ignore[arg-type]
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
