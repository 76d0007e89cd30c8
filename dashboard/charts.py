"""Tables drawn as charts: pure functions from a table to an Altair chart, in one theme for light and dark.

Backgrounds are transparent and text takes the page's colour (Streamlit's own chart theme), so that one chart
fits both. Data travels inside the chart; nothing is fetched.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from dashboard.text import plain_text

# Middle tones that keep a contrast of at least 3 to the light and to the dark background.
ACCENT, CONTRAST, MUTED = "#2b8ea3", "#c07a2c", "#87919a"

# Saving as a picture happens in the browser; the menu's other entries would lead to a foreign address.
EMBED_OPTIONS = {
    "actions": {"export": {"png": True, "svg": True}, "source": False, "compiled": False, "editor": False}
}

ROLES = {  # role in the evidence -> (row of the chart, whether the feature is active there)
    "top": "active, strongest",
    "quantile": "active",
    "matched": "not active, nearest",
    "random": "not active, random",
}
_VERDICTS = ["told rightly", "wrongly"]
_FEWEST_SHOWN = 0.7  # where bars of a log scale begin: below one document


def show(chart: Any, alt_text: str) -> None:
    """Put a chart on the page, as wide as its place; ``alt_text`` describes it to those who cannot see it."""
    st.altair_chart(chart, theme="streamlit", alt=alt_text)


def themed(chart: Any, height: int) -> Any:
    """The shared look: transparent, quiet axes, saved as PNG or SVG only. ``height`` in pixels."""
    return (
        chart.properties(height=height, background="transparent", usermeta={"embedOptions": EMBED_OPTIONS})
        .configure_view(strokeOpacity=0)
        .configure_axis(titleFontWeight="normal", titleFontSize=12, labelFontSize=12, labelOverlap=True)
        .configure_axisX(grid=False)
        .configure_legend(orient="top", title=None)
    )


def activation_histogram(
    edges: Sequence[float], counts: Sequence[int], quantiles: Sequence[float] = ()
) -> Any:
    """How many documents have which activation: bars on a log scale, thin rules at the quantiles.

    edges: (n_bins + 1,) activations; counts: (n_bins,) documents; quantiles: activations at schema.QUANTILES.
    """
    bounds, found = np.asarray(edges, dtype=np.float64), np.asarray(counts, dtype=np.int64)
    if bounds.size != found.size + 1 or found.size == 0:
        raise ValueError(f"{bounds.size} edges do not bound {found.size} bins")
    table = pd.DataFrame({"low": bounds[:-1], "high": bounds[1:], "documents": found})
    table = table[table["documents"] > 0]
    top = max(10, int(found.max()))
    bars = (
        alt.Chart(table.assign(floor=_FEWEST_SHOWN))
        .mark_bar(color=ACCENT, opacity=0.85, binSpacing=1)
        .encode(
            x=alt.X("low:Q", bin="binned", title="activation", axis=alt.Axis(format="~r", tickCount=6)),
            x2="high:Q",
            y=alt.Y(
                "documents:Q",
                title="documents (log scale)",
                scale=alt.Scale(type="log", domain=[_FEWEST_SHOWN, 1.2 * top], nice=False),
                axis=alt.Axis(format="~s", values=[10**power for power in range(7)], gridOpacity=0.4),
            ),
            y2="floor:Q",
            tooltip=[
                alt.Tooltip("low:Q", title="activation from", format=".2f"),
                alt.Tooltip("high:Q", title="to", format=".2f"),
                alt.Tooltip("documents:Q", format=","),
            ],
        )
    )
    if len(quantiles) == 0:
        return themed(bars, 200)
    marks = pd.DataFrame({"activation": list(quantiles)})
    rules = (
        alt.Chart(marks)
        .mark_rule(color=CONTRAST, strokeDash=[3, 3], opacity=0.9)
        .encode(x="activation:Q", tooltip=[alt.Tooltip("activation:Q", title="quantile", format=".2f")])
    )
    return themed(bars + rules, 200)


def prediction_strips(evidence: pd.DataFrame) -> Any:
    """Each scored document as a dot: truth in rows, the Predictor's confidence across.

    evidence: columns role, activation, confidence (−1 … 1), title. Jitter comes from the row's number, so the
    same evidence is always the same picture.
    """
    table = evidence.dropna(subset=["confidence"]).copy()
    table["row"] = table["role"].map(ROLES).fillna("other")
    table["jitter"] = (np.arange(len(table)) * 0.618034) % 1 - 0.5
    table["title"] = [plain_text(title, 90) for title in table["title"]]
    rightly = (table["confidence"] > 0) == (table["activation"] > 0)
    table["right"] = np.where(rightly, *_VERDICTS)
    order = [name for name in ROLES.values() if name in set(table["row"])]
    dots = (
        alt.Chart(table)
        .mark_circle(size=70, opacity=0.75)
        .encode(
            x=alt.X(
                "confidence:Q",
                title="confidence that it is active",
                scale=alt.Scale(domain=[-1, 1]),
                axis=alt.Axis(format="~g", tickCount=5),
            ),
            y=alt.Y("row:N", sort=order, title=None, axis=alt.Axis(labelLimit=150, ticks=False)),
            yOffset=alt.YOffset("jitter:Q", scale=alt.Scale(domain=[-1, 1])),
            color=alt.Color("right:N", scale=alt.Scale(domain=_VERDICTS, range=[ACCENT, CONTRAST])),
            tooltip=[
                alt.Tooltip("title:N", title="document"),
                alt.Tooltip("confidence:Q", format=".2f"),
                alt.Tooltip("activation:Q", format=".2f"),
            ],
        )
    )
    middle = alt.Chart(pd.DataFrame({"confidence": [0.0]}))
    zero = middle.mark_rule(color=MUTED, opacity=0.6).encode(x="confidence:Q")
    return themed(zero + dots, 60 + 52 * max(1, len(order)))
