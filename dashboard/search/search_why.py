"""Why a result is there, drawn: a thin bar of parts that unfolds into the sum."""

from collections.abc import Collection, Mapping

import streamlit as st

from dashboard.chips import signed
from dashboard.search.search_panel import OTHER
from dashboard.text import html_text
from sae.why import Why

_NAMED = 3
_SHORTEST = 0.004  # of the cosine; parts below are not drawn


def why_html(found: Why, names: Mapping[int, str], colours: Mapping[int, str], widest: float) -> str:
    """The parts of one result's score.

    names: labels of all features in it; colours: of those with a slider; widest: the largest sum of parts above
    zero in the list, which is drawn over the whole width.
    """
    parts = sorted(found.parts.items(), key=lambda item: -item[1])
    # Features with a slider first, in their colours; what has none is grey.
    own = {f: part for f, part in parts if f in colours}
    others = sum(part for f, part in parts if f not in colours)
    pieces = [(part, colours[f], f"sx-f-{f}", names.get(f, ""), part < 0) for f, part in own.items()]
    pieces += [
        (others, OTHER, "sx-rest", "other concepts", others < 0),
        (
            found.unexplained,
            "transparent",
            "sx-unsaid",
            "what concepts do not explain",
            found.unexplained < 0,
        ),
        (found.common, "transparent", "sx-unsaid", "common to all documents", found.common < 0),
    ]
    drawn = "".join(
        f'<i class="{css}{" sx-below" if below else ""}" style="width:{100 * abs(part) / widest:.1f}%;--c:{colour}" '
        f'title="{html_text(name, 60)} {signed(part, 3)}"></i>'
        for part, colour, css, name, below in pieces
        if abs(part) > _SHORTEST
    )
    told = " · ".join(
        f"{html_text(names.get(f), 32)} {signed(part)}" for f, part in list(found.parts.items())[:_NAMED]
    )
    return (
        '<details class="sx-why"><summary title="Why it is here: what its score is made of">'
        f'<span class="sx-parts">{drawn}</span><span class="sx-told">{told}</span></summary>'
        f"{_table(found, names, colours)}</details>"
    )


def positive(found: Why) -> float:
    """What a bar of parts is long."""
    return sum(abs(part) for part in [*found.parts.values(), found.unexplained, found.common])


def _table(found: Why, names: Mapping[int, str], colours: Mapping[int, str]) -> str:
    top, others = found.top(8)
    rows = [
        (
            f'<i class="sx-dot" style="background:{colours.get(f, OTHER)}"></i>{html_text(names.get(f), 60)}',
            part,
        )
        for f, part in top.items()
    ]
    if rest := len(found.parts) - len(top):
        rows.append((f"{rest} other concept{'s' if rest > 1 else ''}", others))
    rows += [
        ("what concepts do not explain", found.unexplained),
        ("common to all documents", found.common),
        ("<b>cosine</b>", found.cosine),
    ]
    cells = "".join(f"<tr><td>{name}</td><td>{signed(part, 4)}</td></tr>" for name, part in rows)
    return f"<table>{cells}</table>"


def marks_css(colours: Mapping[int, str], features: Collection[int]) -> None:
    """Style rules: pointing at a feature's slider marks the results in which the feature is active."""
    rules = "".join(
        f"body:has(.st-key-row-{f}:hover) .sx-has-{f}{{box-shadow:inset 4px 0 0 {colours[f]}}}"
        f"body:has(.st-key-row-{f}:hover) .sx-parts i:not(.sx-f-{f}){{opacity:.25}}"
        for f in features
    )
    st.html(f"<style>{rules}</style>")
