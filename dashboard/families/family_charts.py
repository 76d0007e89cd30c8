"""Charts of one family and of reordered matrices: pure functions from a table to an Altair chart."""

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import ACCENT, CONTRAST, MUTED, themed
from dashboard.text import plain_text

CELLS = 440  # pixels, across and down
# Strength of one colour rather than a row of colours: nothing is as faint in the dark as in the light.
_SHADE = alt.Scale(type="sqrt", range=[0.05, 1.0])
# How far x and y reach from the middle, as Vega expressions: a circle stays one in a place of any shape, with room
# for labels beside it.
_UP = "max(1.3, 1.75 * max(height, 1) / max(width, 1))"
_ROUND = (f"{_UP} * max(width, 1) / max(height, 1)", _UP)
_NO_AXIS = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)


def said(features: Iterable[int], name: str) -> str:
    """The accessible name of a mark: which features it belongs to, then what it is (plain text). Pointing at the
    mark lights the same features elsewhere (dashboard.page_script)."""
    return f"features {' '.join(str(int(i)) for i in features)}: {name}"


def radar(
    features: Sequence[int], labels: Sequence[str], scores: Sequence[float | None], family: float | None
) -> Any:
    """Pearson of each feature around a circle, the family's own as a dashed ring (unscored: no point)."""
    n = len(labels)
    angle = np.arange(n) / max(1, n) * 2 * np.pi - np.pi / 2
    value = np.clip(np.array([np.nan if s is None else s for s in scores], dtype=np.float64), 0, 1)
    points = pd.DataFrame(
        {
            "x": value * np.cos(angle),
            "y": -value * np.sin(angle),
            "order": range(n),
            "pearson": value,
            "feature": [plain_text(label, 80) for label in labels],
            "lx": 1.14 * np.cos(angle),
            "ly": -1.14 * np.sin(angle),
            "short": [plain_text(label, 16) for label in labels],
            "said": [said([i], plain_text(label, 80)) for i, label in zip(features, labels, strict=True)],
        }
    )
    scored = points.dropna(subset=["pearson"])
    closed = pd.concat([scored, scored.head(1).assign(order=n)]) if len(scored) else scored
    across, down = (
        alt.Scale(domainMin=alt.expr(f"-{reach}"), domainMax=alt.expr(reach), nice=False, zero=False)
        for reach in _ROUND
    )
    x, y = alt.X("x:Q", axis=_NO_AXIS, scale=across), alt.Y("y:Q", axis=_NO_AXIS, scale=down)
    layers = [_ring(r, MUTED, [], 0.35, x, y) for r in (0.25, 0.5, 0.75, 1.0)]
    if family is not None:
        layers.append(_ring(min(1.0, max(0.0, family)), CONTRAST, [5, 4], 1.0, x, y))
    layers.append(alt.Chart(closed).mark_line(color=ACCENT, strokeWidth=2).encode(x=x, y=y, order="order:Q"))
    layers.append(
        alt.Chart(scored)
        .mark_circle(color=ACCENT, size=70, opacity=1)
        .encode(x=x, y=y, description="said:N", tooltip=["feature:N", alt.Tooltip("pearson:Q", format=".2f")])
    )
    if n <= 16:
        layers.append(
            alt.Chart(points)
            .mark_text(fontSize=11, limit=110, color=MUTED)
            .encode(x=alt.X("lx:Q"), y=alt.Y("ly:Q"), text="short:N", description="said:N")
        )
    return themed(alt.layer(*layers), 360)


def _ring(radius: float, colour: str, dash: list[int], opacity: float, x: Any, y: Any) -> Any:
    turn = np.linspace(0, 2 * np.pi, 73)
    table = pd.DataFrame({"x": radius * np.cos(turn), "y": radius * np.sin(turn), "order": range(73)})
    mark = alt.Chart(table).mark_line(color=colour, strokeDash=dash, opacity=opacity, strokeWidth=1.2)
    return mark.encode(x=x, y=y, order="order:Q")


def matrix_block(
    features: Sequence[int], labels: Sequence[str], values: np.ndarray, what: str, diagonal: bool = False
) -> Any:
    """A square matrix as a heat map. features, labels: (n,); values: (n, n)."""
    n = len(labels)
    names = [f"{i + 1} · {plain_text(label, 44)}" for i, label in enumerate(labels)]
    row, column = np.indices((n, n)).reshape(2, -1)
    keep = np.ones(len(row), bool) if diagonal else row != column
    table = pd.DataFrame(
        {
            "row": row,
            "column": column,
            "value": values.ravel(),
            "one": np.array(names, object)[row],
            "other": np.array(names, object)[column],
            "said": [
                said((features[i], features[j]), f"{names[i]} with {names[j]}")
                for i, j in zip(row, column, strict=True)
            ],
        }
    )[keep]
    axis = alt.Axis(title=None, ticks=False, domain=False, labels=n <= 24, labelLimit=170, grid=False)
    numbers = alt.Axis(
        title=None, ticks=False, domain=False, labels=n <= 24, labelAngle=0, labelExpr="datum.value + 1"
    )
    return themed(
        alt.Chart(table)
        .mark_rect(color=ACCENT)
        .encode(
            x=alt.X("column:O", axis=numbers),
            y=alt.Y("one:N", sort=names, axis=axis),
            opacity=alt.Opacity("value:Q", scale=_SHADE, legend=_legend(what, ",.2~f")),
            description="said:N",
            tooltip=[
                alt.Tooltip("one:N", title="feature"),
                alt.Tooltip("other:N", title="with"),
                alt.Tooltip("value:Q", title=what, format=",.3~f"),
            ],
        ),
        90 + max(150, min(400, 26 * n)),
    )


def _legend(title: str, form: str) -> Any:
    """Of strengths of the one colour."""
    return alt.Legend(
        title=title,
        format=form,
        tickCount=3,
        symbolType="square",
        symbolFillColor=ACCENT,
        symbolStrokeWidth=0,
    )


def cells(table: pd.DataFrame) -> Any:
    """A large square matrix as means over cells. table: columns row, column, value."""
    return themed(
        alt.Chart(table)
        .mark_rect(color=ACCENT)
        .encode(
            x=alt.X("column:O", axis=_NO_AXIS),
            y=alt.Y("row:O", axis=_NO_AXIS),
            opacity=alt.Opacity("value:Q", scale=_SHADE, legend=None),
            tooltip=[alt.Tooltip("value:Q", format=".3~g")],
        ),
        CELLS,
    )


def projection(points: pd.DataFrame, explained: Sequence[float]) -> Any:
    """Documents in the plane of a family's two principal components, coloured by mean in-family activation.

    points: columns x, y, activation, title, features (of the family, active in the document; a list each).
    """
    titles = [plain_text(title, 90) for title in points["title"]]
    table = points.assign(
        title=titles, said=[said(ids, t) for ids, t in zip(points["features"], titles, strict=True)]
    ).drop(columns="features")
    shares = [
        f"{name} ({share:.0%})"
        for name, share in zip(("first component", "second component"), explained, strict=False)
    ]
    shares += ["", ""]
    return themed(
        alt.Chart(table)
        .mark_circle(size=45, color=ACCENT)
        .encode(
            x=alt.X("x:Q", title=shares[0], axis=alt.Axis(format="~g")),
            y=alt.Y("y:Q", title=shares[1], axis=alt.Axis(format="~g")),
            opacity=alt.Opacity(
                "activation:Q",
                scale=alt.Scale(range=[0.15, 1.0]),
                legend=_legend("mean activation", "~r"),
            ),
            description="said:N",
            tooltip=[alt.Tooltip("title:N", title="document"), alt.Tooltip("activation:Q", format=".2f")],
        ),
        360,
    )
