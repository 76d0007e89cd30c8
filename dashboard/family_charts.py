"""Charts of families, splitting and structure: pure functions from a table to an Altair chart."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import ACCENT, CONTRAST, MUTED, themed
from dashboard.text import plain_text

SCORE_SCALE = alt.Scale(domain=[0, 0.5, 1], range=[CONTRAST, MUTED, ACCENT], clamp=True, interpolate="rgb")
# Strength of one colour rather than a row of colours: nothing is as faint in the dark as in the light.
_SHADE = alt.Scale(type="sqrt", range=[0.05, 1.0])
_LEAST_TALL = 3.0  # of the map's 42 units: a lower tile has no room for a name
_NO_AXIS = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)


def tiles(sizes: Sequence[float], width: float = 100.0, height: float = 42.0) -> np.ndarray:
    """Squarified treemap: float64 (n, 4), x, y, x2, y2 of a tile for each size; sizes in falling order, above
    0.

    Bruls, Huizing and van Wijk 2000: a row is closed when one more tile would make its worst shape worse.
    """
    areas = np.asarray(sizes, dtype=np.float64)
    areas = areas / max(areas.sum(), 1e-12) * width * height
    found = np.zeros((len(areas), 4))
    x, y, w, h, at = 0.0, 0.0, width, height, 0
    while at < len(areas):
        side, end = min(w, h), at + 1
        while end < len(areas) and _worst(areas[at : end + 1], side) <= _worst(areas[at:end], side):
            end += 1
        row = areas[at:end]
        thick = row.sum() / side
        steps = np.concatenate([[0], np.cumsum(row / thick)])
        if w >= h:
            found[at:end] = np.stack(
                [np.full(len(row), x), y + steps[:-1], np.full(len(row), x + thick), y + steps[1:]], 1
            )
            x, w = x + thick, w - thick
        else:
            found[at:end] = np.stack(
                [x + steps[:-1], np.full(len(row), y), x + steps[1:], np.full(len(row), y + thick)], 1
            )
            y, h = y + thick, h - thick
        at = end
    return found


def _worst(row: np.ndarray, side: float) -> float:
    total = row.sum()
    return float(max(side**2 * row.max() / total**2, total**2 / (side**2 * row.min())))


def family_map(families: pd.DataFrame) -> Any:
    """All families as tiles: area = documents, colour = how well the family's label predicts; click chooses.

    families: columns family_id, label, size, n_documents, pearson.
    """
    table = families.sort_values("n_documents", ascending=False).reset_index(drop=True)
    table[["x", "y", "x2", "y2"]] = tiles(table["n_documents"].clip(lower=1).tolist())
    table["name"] = [plain_text(label, 120) for label in table["label"]]
    table = table.drop(columns="label")  # as it came: not to be sent
    tall = table["y2"] - table["y"]
    table["middle"], table["centre"] = (table["x"] + table["x2"]) / 2, (table["y"] + table["y2"]) / 2
    chosen = alt.selection_point(name="family", fields=["family_id"], on="click", empty=False)
    base = alt.Chart(table).encode(
        x=alt.X("x:Q", axis=_NO_AXIS, scale=alt.Scale(domain=[0, 100], nice=False)),
        y=alt.Y("y:Q", axis=_NO_AXIS, scale=alt.Scale(domain=[0, 42], nice=False, reverse=True)),
    )
    rectangles = (
        base.mark_rect(cursor="pointer", strokeWidth=2)
        .encode(
            x2="x2:Q",
            y2="y2:Q",
            color=alt.condition(
                "isValid(datum.pearson)",
                alt.Color("pearson:Q", scale=SCORE_SCALE, legend=None),
                alt.value("transparent"),
            ),
            stroke=alt.condition(chosen, alt.value("currentColor"), alt.value("#ffffff55")),
            tooltip=[
                alt.Tooltip("name:N", title="family"),
                alt.Tooltip("size:Q", title="features"),
                alt.Tooltip("n_documents:Q", title="documents", format=","),
                alt.Tooltip("pearson:Q", format=".2f"),
            ],
        )
        .add_params(chosen)
    )
    room = alt.expr("max(1, (datum.x2 - datum.x) / 100 * width - 12)")
    names = (
        alt.Chart(table[tall > _LEAST_TALL])
        .mark_text(fontSize=12, color="white", limit=room)
        .encode(x="middle:Q", y="centre:Q", text="name:N")
    )
    return themed(rectangles + names, 320)


def radar(labels: Sequence[str], scores: Sequence[float | None], family: float | None) -> Any:
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
        }
    )
    scored = points.dropna(subset=["pearson"])
    closed = pd.concat([scored, scored.head(1).assign(order=n)]) if len(scored) else scored
    x = alt.X("x:Q", axis=_NO_AXIS, scale=alt.Scale(domain=[-1.9, 1.9]))
    y = alt.Y("y:Q", axis=_NO_AXIS, scale=alt.Scale(domain=[-1.3, 1.3]))
    layers = [_ring(r, MUTED, [], 0.35, x, y) for r in (0.25, 0.5, 0.75, 1.0)]
    if family is not None:
        layers.append(_ring(min(1.0, max(0.0, family)), CONTRAST, [5, 4], 1.0, x, y))
    layers.append(alt.Chart(closed).mark_line(color=ACCENT, strokeWidth=2).encode(x=x, y=y, order="order:Q"))
    layers.append(
        alt.Chart(scored)
        .mark_circle(color=ACCENT, size=70, opacity=1)
        .encode(x=x, y=y, tooltip=["feature:N", alt.Tooltip("pearson:Q", format=".2f")])
    )
    if n <= 16:
        layers.append(
            alt.Chart(points)
            .mark_text(fontSize=11, limit=110, color=MUTED)
            .encode(x=alt.X("lx:Q"), y=alt.Y("ly:Q"), text="short:N")
        )
    return themed(alt.layer(*layers), 360)


def _ring(radius: float, colour: str, dash: list[int], opacity: float, x: Any, y: Any) -> Any:
    turn = np.linspace(0, 2 * np.pi, 73)
    table = pd.DataFrame({"x": radius * np.cos(turn), "y": radius * np.sin(turn), "order": range(73)})
    mark = alt.Chart(table).mark_line(color=colour, strokeDash=dash, opacity=opacity, strokeWidth=1.2)
    return mark.encode(x=x, y=y, order="order:Q")


def matrix_block(labels: Sequence[str], values: np.ndarray, what: str, diagonal: bool = False) -> Any:
    """A square matrix as a heat map. labels: (n,); values: (n, n)."""
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
        }
    )[keep]
    axis = alt.Axis(title=None, ticks=False, domain=False, labels=n <= 24, labelLimit=170, grid=False)
    return themed(
        alt.Chart(table)
        .mark_rect(color=ACCENT)
        .encode(
            x=alt.X("column:O", axis=alt.Axis(labels=False, title=None, ticks=False, domain=False)),
            y=alt.Y("one:N", sort=names, axis=axis),
            opacity=alt.Opacity("value:Q", scale=_SHADE, legend=None),
            tooltip=[
                alt.Tooltip("one:N", title="feature"),
                alt.Tooltip("other:N", title="with"),
                alt.Tooltip("value:Q", title=what, format=",.3~f"),
            ],
        ),
        max(200, min(460, 28 * n)),
    )


def cells(table: pd.DataFrame) -> Any:
    """A large matrix as means over cells. table: columns row, column, value."""
    return themed(
        alt.Chart(table)
        .mark_rect(color=ACCENT)
        .encode(
            x=alt.X("column:O", axis=_NO_AXIS),
            y=alt.Y("row:O", axis=_NO_AXIS),
            opacity=alt.Opacity("value:Q", scale=_SHADE, legend=None),
            tooltip=[alt.Tooltip("value:Q", format=".3~g")],
        ),
        280,
    )


def projection(points: pd.DataFrame, explained: Sequence[float]) -> Any:
    """Documents in the plane of a family's two principal components, coloured by mean in-family activation.

    points: columns x, y, activation, title.
    """
    table = points.assign(title=[plain_text(title, 90) for title in points["title"]])
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
            opacity=alt.Opacity("activation:Q", scale=alt.Scale(range=[0.15, 1.0]), legend=None),
            tooltip=[alt.Tooltip("title:N", title="document"), alt.Tooltip("activation:Q", format=".2f")],
        ),
        360,
    )


def flow(nodes: pd.DataFrame, ribbons: pd.DataFrame) -> Any:
    """Features in columns from the small to the large model, ribbons between them.

    nodes: id, column (0 …), y, label, kind ("recurrent", "split", "new"), pearson; ribbons: source, target
    (ids), shared (documents), cosine.
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
                    "documents": ribbon.shared,
                    "cosine": ribbon.cosine,
                    "new": end["kind"] == "new",
                    "told": f"{plain_text(start['label'], 60)} → {plain_text(end['label'], 60)}",
                }
            )
        )
    last = int(nodes["column"].max()) if len(nodes) else 0
    x = alt.X("x:Q", axis=_NO_AXIS, scale=alt.Scale(domain=[-0.08, last + 0.9], nice=False))
    y = alt.Y("y:Q", axis=_NO_AXIS, scale=alt.Scale(reverse=True, zero=False, padding=18))
    layers: list[Any] = []
    if parts:
        layers.append(
            alt.Chart(pd.concat(parts))
            .mark_line(color=ACCENT, opacity=0.45)
            .encode(
                x=x,
                y=y,
                detail="ribbon:N",
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
    shown = nodes.drop(columns="label").assign(
        x=nodes["column"],
        name=[plain_text(label, 34) for label in nodes["label"]],
        whole=[plain_text(label, 160) for label in nodes["label"]],
    )
    kinds = ["recurrent", "split", "new"]
    layers.append(
        alt.Chart(shown)
        .mark_point(size=110, filled=True, opacity=1)
        .encode(
            x=x,
            y=y,
            color=alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[ACCENT, MUTED, CONTRAST])),
            shape=alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=["circle", "circle", "diamond"])),
            tooltip=[
                alt.Tooltip("whole:N", title="feature"),
                "kind:N",
                alt.Tooltip("pearson:Q", format=".2f"),
            ],
        )
    )
    # The last column has free room at its right; the others write above their feature, clear of the ribbons.
    for part, right in ((shown[shown["column"] == last], 10), (shown[shown["column"] < last], 0)):
        mark = alt.Chart(part).mark_text(
            align="left", dx=right, dy=0 if right else -14, fontSize=12, color=MUTED, limit=230
        )
        layers.append(mark.encode(x=x, y=y, text="name:N"))
    tallest = int(nodes.groupby("column").size().max()) if len(nodes) else 1
    return themed(alt.layer(*layers), max(180, 36 * tallest + 40))


def steps(table: pd.DataFrame, x_title: str, y_title: str, percent: bool = True) -> Any:
    """Stepped lines. table: columns series, x, value."""
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
                "series:N", scale=alt.Scale(domain=names, range=[colours[i % 6] for i in range(len(names))])
            ),
            tooltip=[
                "series:N",
                alt.Tooltip("x:Q", format=".2f"),
                alt.Tooltip("value:Q", format=".1%" if percent else ","),
            ],
        ),
        240,
    )
