"""How features split, as charts: pure functions from a table to an Altair chart."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import ACCENT, CONTRAST, MUTED, themed
from dashboard.text import plain_text

_WIDE = 560  # pixels from which labels between columns do not run into each other
# Columns of room for labels at the left and at the right; where the chart is narrow only the last column is written.
_LEFT, _RIGHT = (f"(width > {_WIDE} ? {wide} : {narrow})" for wide, narrow in ((0.55, 0.15), (1.05, 1.6)))
KINDS = {"recurrent": ACCENT, "split": MUTED, "new": CONTRAST}
SHAPES = {"recurrent": "●", "split": "●", "new": "◆"}  # as the chart draws them: its legend is HTML above it
_NO_AXIS = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)


def flow(nodes: pd.DataFrame, ribbons: pd.DataFrame, paper: str) -> Any:
    """Features in columns from the small to the large model, ribbons between them.

    nodes: id, column (0 …), y, label, kind ("recurrent", "split", "new"), pearson; ribbons: source, target
    (ids), shared (documents), cosine. ``paper``: the page's background, which labels on ribbons stand on.
    """
    place = nodes.set_index("id")
    turn = np.linspace(0, 1, 21)
    ease = turn**2 * (3 - 2 * turn)
    parts = []
    for number, ribbon in enumerate(ribbons.itertuples()):
        start, end = place.loc[str(ribbon.source)], place.loc[str(ribbon.target)]
        parts.append(
            pd.DataFrame(
                {
                    "x": start["column"] + 0.02 + turn * (end["column"] - start["column"] - 0.04),
                    "y": start["y"] + ease * (end["y"] - start["y"]),
                    "ribbon": number,
                    "source": str(ribbon.source),
                    "target": str(ribbon.target),
                    "documents": ribbon.shared,
                    "cosine": ribbon.cosine,
                    "new": end["kind"] == "new",
                    "told": f"{plain_text(start['label'], 60)} → {plain_text(end['label'], 60)}",
                }
            )
        )
    # A feature pointed at lights the ribbons that meet in it.
    hovered = alt.selection_point(name="hovered", fields=["id"], on="pointerover", empty=False)
    last = int(nodes["column"].max()) if len(nodes) else 0
    ends = alt.Scale(domainMin=alt.expr(f"-{_LEFT}"), domainMax=alt.expr(f"{last} + {_RIGHT}"), nice=False)
    x = alt.X("x:Q", axis=_NO_AXIS, scale=ends)
    y = alt.Y("y:Q", axis=_NO_AXIS, scale=alt.Scale(reverse=True, zero=False, padding=18))
    layers: list[Any] = []
    if parts:
        layers.append(
            alt.Chart(pd.concat(parts))
            .mark_line(color=ACCENT)
            .encode(
                x=x,
                y=y,
                detail="ribbon:N",
                opacity=alt.condition(
                    "!isValid(hovered.id) || indexof(hovered.id, datum.source) >= 0"
                    " || indexof(hovered.id, datum.target) >= 0",
                    alt.value(0.45),
                    alt.value(0.08),
                ),
                strokeWidth=alt.StrokeWidth(
                    "documents:Q", scale=alt.Scale(type="sqrt", domainMin=0, range=[1, 16]), legend=None
                ),
                strokeDash=alt.condition("datum.new", alt.value([4, 4]), alt.value([1, 0])),
                tooltip=[
                    alt.Tooltip("told:N", title="from → to"),
                    alt.Tooltip("documents:Q", title="shared documents", format=","),
                    alt.Tooltip("cosine:Q", format=".2f"),
                ],
            )
        )
    near = dict(zip(ribbons["target"], ribbons["cosine"], strict=True))
    shown = nodes.drop(columns="label").assign(
        x=nodes["column"],
        name=[
            # The cosine first: what has no room is cut at the end.
            (f"{near[i]:.2f}  " if i in near else "") + plain_text(label, 34)
            for label, i in zip(nodes["label"], nodes["id"], strict=True)
        ],
        whole=[plain_text(label, 160) for label in nodes["label"]],
    )
    kinds = list(KINDS)
    layers.append(
        alt.Chart(shown)
        .mark_point(size=110, filled=True, opacity=1)
        .encode(
            x=x,
            y=y,
            color=alt.Color("kind:N", legend=None, scale=alt.Scale(domain=kinds, range=list(KINDS.values()))),
            shape=alt.Shape(
                "kind:N", legend=None, scale=alt.Scale(domain=kinds, range=["circle", "circle", "diamond"])
            ),
            tooltip=[
                alt.Tooltip("whole:N", title="feature"),
                "kind:N",
                alt.Tooltip("pearson:Q", format=".2f"),
            ],
        )
        .add_params(hovered)
    )
    # The outer columns have free room beside them; those between write above their feature. The page's list
    # names them all.
    column = f"width / ({last} + {_LEFT} + {_RIGHT})"
    for part, align, dx, dy, room, words in (
        (shown[shown["column"] == last], "left", 13, 0, f"{_RIGHT} * {column} - 17", alt.Text("name:N")),
        (shown[shown["column"].between(1, last - 1)], "left", 0, -16, f"0.6 * {column}", _where_wide()),
        (
            shown[(shown["column"] == 0) & (last > 0)],
            "right",
            -13,
            0,
            f"{_LEFT} * {column} - 17",
            _where_wide(),
        ),
    ):
        place_of_text: dict[str, Any] = {
            "align": align,
            "dx": dx,
            "dy": dy,
            "fontSize": 12,
            "limit": alt.expr(f"max(1, {room})"),
        }
        chart = alt.Chart(part).encode(x=x, y=y, text=words)
        if (
            dy
        ):  # of a mark's fill and outline the outline lies above: so the outline is a mark of its own, below
            layers.append(chart.mark_text(**place_of_text, stroke=paper, strokeWidth=3, strokeJoin="round"))
        layers.append(chart.mark_text(**place_of_text, color=MUTED))
    tallest = int(nodes.groupby("column").size().max()) if len(nodes) else 1
    return themed(alt.layer(*layers), max(180, (52 if tallest <= 6 else 40) * tallest + 40))


def _where_wide() -> Any:
    return alt.condition(f"width > {_WIDE}", alt.Text("name:N"), alt.value(""))


def steps(table: pd.DataFrame, x_title: str, y_title: str, percent: bool = True) -> Any:
    """Stepped lines. table: columns series, x, value."""
    table = table.assign(series=[plain_text(name, 60) for name in table["series"]])
    colours = [ACCENT, CONTRAST, MUTED, "#7a6fb5", "#5b9a5f", "#b3637f"]
    names = list(dict.fromkeys(table["series"]))
    return themed(
        alt.Chart(table)
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("x:Q", title=x_title, axis=alt.Axis(format="~g", tickCount=6)),
            y=alt.Y(
                "value:Q",
                title=y_title,
                axis=alt.Axis(format=".0%" if percent else "~s", tickCount=4, gridOpacity=0.4),
            ),
            color=alt.Color(
                "series:N",
                scale=alt.Scale(domain=names, range=[colours[i % 6] for i in range(len(names))]),
                legend=alt.Legend(columns=2, labelLimit=150),
            ),
            tooltip=[
                "series:N",
                alt.Tooltip("x:Q", format=".2f"),
                alt.Tooltip("value:Q", format=".1%" if percent else ","),
            ],
        ),
        240,
    )
