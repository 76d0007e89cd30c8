"""Charts of training and scaling: pure functions from a table to an Altair chart.

What the papers report is always drawn in THEIRS, which nothing of ours ever has.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import ACCENT, CONTRAST, MUTED, themed
from dashboard.text import plain_text

THEIRS = CONTRAST
OURS = (ACCENT, "#7a6fb5", "#5b9a5f", "#b3637f", "#5f7fbf", MUTED)
PAPERS = "papers"
_LOSS_TICKS = [0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1]
_POWER_TICKS = [digit * 10**power for power in range(1, 18) for digit in (1, 3)]
_KINDS = ["training", "held out"]
_STROKES = alt.Legend(symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2)
_HELD = alt.OverlayMarkDef(opacity=0, size=90)  # unseen points: a thin line is hard to hover over


def colours(names: Sequence[str]) -> alt.Scale:
    """One of our colours for each name; the papers', where named, have their own."""
    ours = [name for name in names if name != PAPERS]
    shades = {name: OURS[i % len(OURS)] for i, name in enumerate(ours)} | {PAPERS: THEIRS}
    return alt.Scale(domain=list(names), range=[shades[name] for name in names])


def _loss_axis(field: str, losses: Sequence[float], title: str = "normalised MSE (log scale)") -> alt.Y:
    finite = [v for v in losses if np.isfinite(v) and v > 0] or [0.1, 1.0]
    scale = alt.Scale(type="log", domain=[min(finite) * 0.95, max(finite) * 1.05], nice=False)
    return alt.Y(
        field, title=title, scale=scale, axis=alt.Axis(values=_LOSS_TICKS, format="~g", gridOpacity=0.4)
    )


def coloured(table: pd.DataFrame) -> Any:
    """A table with the papers' rows in their colour; its column ``whose`` says which they are."""
    styles = {PAPERS: f"color: {THEIRS}"}
    return table.style.apply(lambda row: [styles.get(row["whose"], "")] * len(row), axis=1)


def loss_curves(table: pd.DataFrame, title: str) -> Any:
    """Error over the steps of training. table: columns sae, step, kind ("training", "held out"), value."""
    names = list(dict.fromkeys(table["sae"]))
    kinds = [kind for kind in _KINDS if kind in set(table["kind"])]
    dashes = alt.Scale(domain=kinds, range=[[1, 0], [5, 3]][: len(kinds)])
    base = alt.Chart(table).encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(format=",d", tickCount=6)),
        y=_loss_axis("value:Q", table["value"].tolist(), f"{title} (log scale)"),
        color=alt.Color("sae:N", scale=colours(names), legend=_STROKES),
        tooltip=[
            "sae:N",
            "kind:N",
            alt.Tooltip("step:Q", format=","),
            alt.Tooltip("value:Q", format=".4f"),
        ],
    )
    lines = base.mark_line(strokeWidth=1.8).encode(
        strokeDash=alt.StrokeDash("kind:N", scale=dashes, legend=None)
    )
    return themed(lines + base.mark_circle(opacity=0, size=90), 300)


def dead_curves(table: pd.DataFrame) -> Any:
    """Dead latents over the steps of training. table: columns sae, step, dead."""
    names = list(dict.fromkeys(table["sae"]))
    highest = max(4.0, float(table["dead"].max()) * 1.05)
    return themed(
        alt.Chart(table)
        .mark_line(strokeWidth=1.8, interpolate="step-after", point=_HELD)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(format=",d", tickCount=6)),
            y=alt.Y(
                "dead:Q",
                title="dead latents",
                scale=alt.Scale(domain=[0, highest], nice=False),
                axis=alt.Axis(format="~s", tickCount=4, gridOpacity=0.4),
            ),
            color=alt.Color("sae:N", scale=colours(names), legend=_STROKES),
            tooltip=[
                "sae:N",
                alt.Tooltip("step:Q", format=","),
                alt.Tooltip("dead:Q", title="dead", format=",.0f"),
            ],
        ),
        300,
    )


def power_laws(
    points: pd.DataFrame, lines: pd.DataFrame, x_title: str, curves: pd.DataFrame | None = None
) -> Any:
    """Measured errors and fitted laws, both axes logarithmic.

    points: columns series, x, loss, told; lines: series, law, x, loss, told (straight, so two points each);
    curves: series, run, x, loss, told. The papers' series is called PAPERS: dashed, its laws named at their ends.
    """
    every = [t for t in (points, lines, curves) if t is not None]
    names = [n for n in dict.fromkeys(n for t in every for n in t["series"]) if n != PAPERS]
    names += [PAPERS] if any((t["series"] == PAPERS).any() for t in every) else []
    colour = alt.Color("series:N", scale=colours(names), legend=alt.Legend(symbolOpacity=1))
    y = _loss_axis("loss:Q", [v for t in every for v in t["loss"]])
    x = alt.X(
        "x:Q",
        title=x_title,
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(format="~s", values=_POWER_TICKS),
    )
    told = alt.Tooltip("told:N", title=" ")
    tooltip = [
        told,
        alt.Tooltip("x:Q", title=x_title, format=".3~s"),
        alt.Tooltip("loss:Q", title="normalised MSE", format=".3f"),
    ]
    layers: list[Any] = []
    if curves is not None:
        layers.append(
            alt.Chart(curves)
            .mark_line(strokeWidth=1, opacity=0.35)
            .encode(x=x, y=y, color=colour, detail="run:N", tooltip=tooltip)
        )
    dashes = alt.condition(f"datum.series == '{PAPERS}'", alt.value([5, 4]), alt.value([1, 0]))
    layers.append(
        alt.Chart(lines)
        .mark_line(strokeWidth=2)
        .encode(x=x, y=y, color=colour, detail="law:N", strokeDash=dashes, tooltip=[told])
    )
    # A thin line is hard to point at.
    laws = alt.Chart(lines).mark_line(strokeWidth=12, opacity=0, aria=False)
    layers.append(laws.encode(x=x, y=y, detail="law:N", tooltip=[told]))
    layers.append(
        alt.Chart(points).mark_circle(size=18 if curves is not None else 70, opacity=0.9)
        .encode(x=x, y=y, color=colour, tooltip=tooltip)
    )  # fmt: skip
    ends = lines[lines["series"] == PAPERS].sort_values("x").groupby("law", sort=False).tail(1)
    if len(ends):
        layers.append(
            alt.Chart(ends).mark_text(align="left", dx=3, fontSize=11, color=THEIRS)
            .encode(x=x, y=y, text="law:N")
        )  # fmt: skip
    return themed(alt.layer(*layers), 340)


def distribution(
    values: pd.DataFrame, theirs: pd.DataFrame, x_title: str, bins: int = 40, of: str = "live features"
) -> Any:
    """Shares of what is counted (``of``) over a number, one stepped line for each SAE; the papers' means as dashed
    rules.

    values: columns sae, value, of which missing ones do not count; theirs: columns x, told (may be empty).
    """
    found = values.dropna(subset=["value"])
    names = list(dict.fromkeys(values["sae"]))
    low, high = (float(found["value"].min()), float(found["value"].max())) if len(found) else (0.0, 1.0)
    edges = np.linspace(low, max(high, low + 1e-3), bins + 1)
    parts = []
    for name, group in found.groupby("sae", sort=False):
        counts, _ = np.histogram(group["value"], edges)
        counts = np.append(counts, 0)  # the last step ends at the last edge
        parts.append(
            pd.DataFrame({"sae": name, "x": edges, "features": counts, "share": counts / len(group)})
        )
    table = pd.concat(parts) if parts else pd.DataFrame({"sae": [], "x": [], "features": [], "share": []})
    names += [PAPERS] if len(theirs) else []
    colour = alt.Color("sae:N", scale=colours(names), legend=_STROKES)
    x = alt.X(
        "x:Q", title=x_title, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(format="~g", tickCount=6)
    )
    lines = (
        alt.Chart(table)
        .mark_line(interpolate="step-after", strokeWidth=1.8, point=_HELD)
        .encode(
            x=x,
            y=alt.Y(
                "share:Q",
                title=f"share of {of}",
                axis=alt.Axis(format="%", tickCount=4, gridOpacity=0.4),
            ),
            color=colour,
            tooltip=[
                "sae:N",
                alt.Tooltip("x:Q", title=f"{x_title}, from", format=".2f"),
                alt.Tooltip("features:Q", title=of, format=","),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
    )
    if not len(theirs):
        return themed(lines, 260)
    rules = (
        alt.Chart(theirs.assign(sae=PAPERS))
        .mark_rule(strokeDash=[5, 4], strokeWidth=1.6)
        .encode(
            x=x, color=colour, tooltip=[alt.Tooltip("told:N", title=" "), alt.Tooltip("x:Q", format=".2f")]
        )
    )
    return themed(lines + rules, 260)


def relation(features: pd.DataFrame) -> Any:
    """Each feature of one SAE by its two cosines. features: columns encoder_decoder_cosine, max_cosine,
    log_density, label."""
    table = features.assign(name=[plain_text(label, 80) for label in features["label"]])
    scale = alt.Scale(zero=False, padding=8)
    return themed(
        alt.Chart(table)
        .mark_circle(color=ACCENT, size=26, opacity=0.45)
        .encode(
            x=alt.X(
                "max_cosine:Q",
                title="largest cosine to another feature",
                scale=scale,
                axis=alt.Axis(tickCount=6),
            ),
            y=alt.Y(
                "encoder_decoder_cosine:Q",
                title="cosine of encoder and decoder",
                scale=scale,
                axis=alt.Axis(tickCount=5, gridOpacity=0.4),
            ),
            tooltip=[
                alt.Tooltip("name:N", title="feature"),
                alt.Tooltip("encoder_decoder_cosine:Q", title="encoder–decoder", format=".2f"),
                alt.Tooltip("max_cosine:Q", title="nearest feature", format=".2f"),
                alt.Tooltip("log_density:Q", title="log10 density", format=".2f"),
            ],
        ),
        300,
    )
