"""Charts of the evaluation: pure functions from a table to an Altair chart. The papers' points are always in
THEIRS, which nothing of ours ever has."""

from html import escape
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import ACCENT, MUTED, themed
from dashboard.evaluation.papers_steering import CHANCE, REWRITTEN, STEERED
from dashboard.text import plain_text
from dashboard.training.training_charts import OURS, THEIRS

_SHAPES = {STEERED: "diamond", REWRITTEN: "triangle-up"}
_CONTROL = "another edit"


# Each way of steering keeps its colour whichever are shown; middle tones, none of them near THEIRS.
_COLOURS = (ACCENT, "#7a6fb5", "#5b9a5f", "#9a8fd0", "#5f7fbf", "#a85fc0", "#7f8f2f", "#b3637f", "#2f9f5f")


def method_colour(name: str, every: list[str]) -> str:
    """The colour of a way of steering, by its place in ``every``; the control is grey."""
    others = [other for other in every if other != _CONTROL]
    return dict(zip(others, _COLOURS, strict=False)).get(name, MUTED)


def key(colours: dict[str, str], shapes: dict[str, str] | None = None) -> str:
    """A legend as HTML that wraps where a chart's own is cut off: a swatch and a name for each entry; ``shapes``
    gives characters for marks that are no lines."""
    parts = [
        f'<span style="white-space:nowrap"><span style="color:{colour}" aria-hidden="true">'
        f"{escape((shapes or {}).get(name, '━'))}</span> {escape(name)}</span>"
        for name, colour in colours.items()
    ]
    return (
        '<div class="sx-key" style="display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-size:.85rem">'
        + "".join(parts)
        + "</div>"
    )


def method_key(names: list[str], every: list[str], papers: bool) -> str:
    """The legend of ways of steering, and of the papers' points where they are shown."""
    colours = {name: method_colour(name, every) for name in every if name in names}
    theirs = {STEERED: THEIRS, REWRITTEN: THEIRS} if papers else {}
    return key(colours | theirs, {STEERED: "◆", REWRITTEN: "▲", _CONTROL: "┅"})


def case_key(cases: list[str]) -> str:
    """The legend of the optimisation's cases."""
    return key(dict(zip(cases, OURS, strict=False)))


def _scale(names: list[str], every: list[str]) -> alt.Scale:
    return alt.Scale(domain=names, range=[method_colour(name, every) for name in names])


def accuracy(table: pd.DataFrame, theirs: pd.DataFrame, every: list[str], title: str) -> Any:
    """Share told rightly against fidelity, with bands; the papers' points on top.

    table: columns method, fidelity, value, low, high, n. theirs: columns method, fidelity, value. Fidelity falls
    from left to right, as an edit grows.
    """
    names = [name for name in every if name in set(table["method"])]
    x = alt.X(
        "fidelity:Q",
        title="fidelity: cosine of original and steered query",
        scale=alt.Scale(domain=[1.0, 0.2], nice=False),
        axis=alt.Axis(format=".2f", values=[0.95, 0.85, 0.75, 0.65, 0.5, 0.35, 0.2]),
    )
    y = alt.Y(
        "value:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5)
    )
    shades = _scale(names, every)
    base = alt.Chart(table)
    bands = base.mark_area(opacity=0.13).encode(
        x=x,
        y=alt.Y("low:Q", title=title),
        y2="high:Q",
        color=alt.Color("method:N", scale=shades, legend=None),
    )
    lines = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28)).encode(
        x=x,
        y=y,
        color=alt.Color("method:N", scale=shades, legend=None),
        strokeDash=alt.condition(f"datum.method === '{_CONTROL}'", alt.value([4, 3]), alt.value([1, 0])),
        tooltip=[
            alt.Tooltip("method:N"),
            alt.Tooltip("fidelity:Q", format=".2f"),
            alt.Tooltip("value:Q", title="told rightly", format=".0%"),
            alt.Tooltip("low:Q", title="95 % interval from", format=".0%"),
            alt.Tooltip("high:Q", title="to", format=".0%"),
            alt.Tooltip("n:Q", title="queries"),
        ],
    )
    chance = (
        alt.Chart(pd.DataFrame({"value": [CHANCE]}))
        .mark_rule(color=MUTED, opacity=0.7, strokeDash=[2, 3])
        .encode(y=y)
    )
    layers = [chance, bands, lines]
    if len(theirs):
        layers.append(
            alt.Chart(theirs)
            .mark_point(filled=True, size=95, color=THEIRS, opacity=1)
            .encode(
                x=x,
                y=y,
                shape=alt.Shape(
                    "method:N",
                    scale=alt.Scale(domain=list(_SHAPES), range=list(_SHAPES.values())),
                    legend=None,
                ),
                tooltip=[
                    "method:N",
                    alt.Tooltip("fidelity:Q", format=".2f"),
                    alt.Tooltip("value:Q", format=".0%"),
                ],
            )
        )
    chart = alt.layer(*layers).resolve_scale(color="shared", shape="independent")
    return themed(chart, 320)


def trade_off(table: pd.DataFrame, every: list[str]) -> Any:
    """What an edit brings against what it moves besides, one line a method from high to low fidelity.

    table: columns method, fidelity, raised, moved.
    """
    names = [name for name in every if name in set(table["method"])]
    return themed(
        alt.Chart(table)
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=36))
        .encode(
            x=alt.X(
                "raised:Q",
                title="results with the raised concept, more than before",
                axis=alt.Axis(format=".0%", tickCount=5),
            ),
            y=alt.Y("moved:Q", title="other concepts moved", axis=alt.Axis(tickCount=5)),
            order=alt.Order("fidelity:Q", sort="descending"),
            color=alt.Color("method:N", scale=_scale(names, every), legend=None),
            tooltip=[
                "method:N",
                alt.Tooltip("fidelity:Q", format=".2f"),
                alt.Tooltip("raised:Q", format=".0%"),
                alt.Tooltip("moved:Q", format=".1f"),
            ],
        ),
        280,
    )


def kept(table: pd.DataFrame, title: str = "of the original first ten") -> Any:
    """Shares of rankings, such as what is left of the original one: bars with intervals.

    table: columns sae, variant, value, low, high.
    """
    variants = list(dict.fromkeys(table["variant"]))
    y = alt.Y("sae:N", title=None, sort=list(dict.fromkeys(table["sae"])))
    offset = alt.YOffset("variant:N", sort=variants)
    base = alt.Chart(table)
    bars = base.mark_bar(opacity=0.85).encode(
        y=y,
        yOffset=offset,
        x=alt.X(
            "value:Q",
            title=title,
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format=".0%", tickCount=5),
        ),
        color=alt.Color(
            "variant:N",
            sort=variants,
            scale=alt.Scale(domain=variants, range=[(*OURS, MUTED)[i] for i in range(len(variants))]),
            legend=alt.Legend(columns=1, labelLimit=260),
        ),
        tooltip=[
            "sae:N",
            "variant:N",
            alt.Tooltip("value:Q", format=".0%"),
            alt.Tooltip("low:Q", format=".0%"),
            alt.Tooltip("high:Q", format=".0%"),
        ],
    )
    rules = base.mark_rule(strokeWidth=1.5, opacity=0.8, color=MUTED).encode(
        y=y, yOffset=offset, x="low:Q", x2="high:Q"
    )
    return themed(bars + rules, 70 + 22 * len(variants) * table["sae"].nunique())


def optimisation(table: pd.DataFrame) -> Any:
    """Error at each step of the optimisation, one line a case. table: columns case, step, value, low, high."""
    cases = list(dict.fromkeys(table["case"]))
    shades = alt.Scale(domain=cases, range=list(OURS[: len(cases)]))
    x = alt.X("step:Q", title="step (0: direct setting)", axis=alt.Axis(tickCount=10, format="d"))
    base = alt.Chart(table)
    band = base.mark_area(opacity=0.13).encode(
        x=x, y=alt.Y("low:Q"), y2="high:Q", color=alt.Color("case:N", scale=shades, legend=None)
    )
    line = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28)).encode(
        x=x,
        y=alt.Y("value:Q", title="normalised MSE", axis=alt.Axis(format=".2f", tickCount=5)),
        color=alt.Color("case:N", scale=shades, legend=None),
        tooltip=["case:N", "step:Q", alt.Tooltip("value:Q", title="normalised MSE", format=".3f")],
    )
    return themed(band + line, 280)


def contour(table: pd.DataFrame) -> Any:
    """Mean fidelity by strength of raising and of lowering, in bands of .05. table: columns up, down, cosine."""
    lowest = float(np.floor(table["cosine"].min() * 20) / 20)
    levels = [round(float(v), 2) for v in np.arange(lowest + 0.05, 0.999, 0.05)]
    depths = np.linspace(0.06, 1, len(levels) + 1)
    bands = [f"{ACCENT}{round(255 * depth):02x}" for depth in depths]
    return themed(
        alt.Chart(table)
        .mark_rect(strokeWidth=0)
        .encode(
            x=_strength("up", "raised by, in largest activations of the query", table),
            y=_strength("down", "lowered by, in its own activation", table, alt.Y),
            color=alt.Color(
                "cosine:Q",
                scale=alt.Scale(type="threshold", domain=levels, range=bands),
                legend=alt.Legend(title="fidelity", orient="top", gradientLength=200, format=".2f"),
            ),
            tooltip=[
                alt.Tooltip("up:Q", format=".2f"),
                alt.Tooltip("down:Q", format=".2f"),
                alt.Tooltip("cosine:Q", title="fidelity", format=".3f"),
            ],
        ),
        340,
    )


def _strength(name: str, title: str, table: pd.DataFrame, axis: Any = alt.X) -> Any:
    """Bands of whole pixels without a gap: cells whose edges fall between pixels show as a grid of pale lines."""
    values = np.unique(table[name])
    return axis(
        f"{name}:O",
        title=title,
        sort="ascending" if axis is alt.X else "descending",
        axis=alt.Axis(
            values=values[:: max(1, len(values) // 6)].tolist(), format=".2~f", labelAngle=0, ticks=False
        ),
        scale=alt.Scale(paddingInner=0, paddingOuter=0, round=True),
    )


def against(table: pd.DataFrame, x: str, y: str, titles: tuple[str, str], name: str) -> Any:
    """Dots of two shares against each other with the line where they are equal; ``name`` labels a dot on
    hover."""
    shown = table.assign(name=[plain_text(v, 90) for v in table[name]])
    scale = alt.Scale(domain=[0, 1])
    dots = (
        alt.Chart(shown[["name", x, y]])
        .mark_circle(size=60, opacity=0.7, color=ACCENT)
        .encode(
            x=alt.X(f"{x}:Q", title=titles[0], scale=scale, axis=alt.Axis(tickCount=5)),
            y=alt.Y(f"{y}:Q", title=titles[1], scale=scale, axis=alt.Axis(tickCount=5)),
            tooltip=["name:N", alt.Tooltip(f"{x}:Q", format=".2f"), alt.Tooltip(f"{y}:Q", format=".2f")],
        )
    )
    diagonal = pd.DataFrame({x: [0.0, 1.0], y: [0.0, 1.0]})
    line = (
        alt.Chart(diagonal)
        .mark_line(color=MUTED, strokeDash=[3, 3], strokeWidth=1)
        .encode(x=f"{x}:Q", y=f"{y}:Q")
    )
    return themed(line + dots, 280)
