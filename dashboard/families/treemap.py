"""Families, or the features of one, as a map of tiles: pure functions from a table to an Altair chart."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts import ACCENT, CONTRAST, MUTED, themed
from dashboard.families.family_charts import said
from dashboard.text import plain_text

# Nearly all scores lie in the upper half; what is below .4 is as ochre as it gets.
SCORE_SCALE = alt.Scale(domain=[0.4, 0.7, 1], range=[CONTRAST, MUTED, ACCENT], clamp=True, interpolate="rgb")
WIDTH, HEIGHT = 100.0, 42.0
_LEAST_HIGH = 3.0  # of the map's 42 units: a lower tile has no room for a name
_LEAST_FLAT = 55  # pixels: a narrower tile's name stands upright where it is taller than wide
_LEAST_TALL = 40  # pixels for such a name
_LEAST_WIDE = 28  # pixels: less shows nothing but an ellipsis
_SCALE_SHOWN = alt.Legend(
    title="Pearson of the label",
    direction="horizontal",
    gradientLength=140,
    values=[0.4, 0.7, 1],
    format=".1f",
)
_INK = "#0d1416"  # contrast to every colour of the scale at least 4.5; white's is 3.2 in its middle
_NO_AXIS = alt.Axis(labels=False, ticks=False, domain=False, grid=False, title=None)


def tiles(sizes: Sequence[float], width: float = WIDTH, height: float = HEIGHT) -> np.ndarray:
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
    chosen = alt.selection_point(name="family", fields=["family_id"], on="click", empty=False)
    told = [
        alt.Tooltip("name:N", title="family"),
        alt.Tooltip("size:Q", title="features"),
        alt.Tooltip("n_documents:Q", title="documents", format=","),
        alt.Tooltip("pearson:Q", format=".2f"),
    ]
    stroke = alt.condition(chosen, alt.value("currentColor"), alt.value("#ffffff55"))
    rectangles = _rectangles(table, told).encode(stroke=stroke).add_params(chosen)
    return themed(rectangles + _names(table), 380)


def family_tiles(tree: pd.DataFrame) -> Any:
    """The features of one family as tiles, those below the same child side by side; area = documents.

    tree: columns feature_id, label, parent, depth, n_active, pearson, in depth-first order, the parent first.
    """
    table = tree.iloc[1:].reset_index(drop=True)
    branch = (table["depth"] == 1).cumsum()
    table = table.assign(area=table["n_active"].clip(lower=1).astype(float), branch=branch)
    table["whole"] = table.groupby("branch")["area"].transform("sum")
    table = table.sort_values(["whole", "branch", "area"], ascending=[False, True, False], kind="stable")
    table["name"] = [plain_text(label, 120) for label in table["label"]]
    table["said"] = [said([i], name) for i, name in zip(table["feature_id"], table["name"], strict=True)]
    parts, whole = [], table.groupby("branch", sort=False)["whole"].first()
    for (x, y, x2, y2), (_, part) in zip(
        tiles(whole.tolist()), table.groupby("branch", sort=False), strict=True
    ):
        inside = tiles(part["area"].tolist(), x2 - x, y2 - y) + np.array([x, y, x, y])
        parts.append(
            part[["feature_id", "name", "n_active", "pearson", "depth", "said"]].assign(
                **{name: inside[:, at] for at, name in enumerate(("x", "y", "x2", "y2"))}
            )
        )
    shown = pd.concat(parts)
    told = [
        alt.Tooltip("name:N", title="feature"),
        alt.Tooltip("depth:Q", title="level"),
        alt.Tooltip("n_active:Q", title="documents", format=","),
        alt.Tooltip("pearson:Q", format=".2f"),
    ]
    chosen = alt.selection_point(name="feature", fields=["feature_id"], on="click", empty=False)
    rectangles = _rectangles(shown, told).encode(stroke=alt.value("#ffffff55"), description="said:N")
    rectangles = rectangles.add_params(chosen)
    return themed(rectangles + _names(shown), 470)


def _rectangles(table: pd.DataFrame, told: list[Any]) -> Any:
    """Tiles x, y, x2, y2 coloured by pearson; outlined only where that is missing."""
    return (
        alt.Chart(table)
        .mark_rect(cursor="pointer", strokeWidth=2)
        .encode(
            x=alt.X("x:Q", axis=_NO_AXIS, scale=alt.Scale(domain=[0, WIDTH], nice=False)),
            y=alt.Y("y:Q", axis=_NO_AXIS, scale=alt.Scale(domain=[0, HEIGHT], nice=False, reverse=True)),
            x2="x2:Q",
            y2="y2:Q",
            color=alt.condition(
                "isValid(datum.pearson)",
                alt.Color("pearson:Q", scale=SCORE_SCALE, legend=_SCALE_SHOWN),
                alt.value("transparent"),
            ),
            tooltip=told,
        )
    )


def _names(table: pd.DataFrame) -> Any:
    """The column ``name`` in the middle of each tile that has room for a few letters of it, upright where the
    tile is narrow."""
    wide, tall = (
        f"((datum.x2 - datum.x) / {WIDTH} * width - 12)",
        f"((datum.y2 - datum.y) / {HEIGHT} * height - 8)",
    )
    upright = f"({wide} < {_LEAST_FLAT} && {tall} > {wide} && {tall} > {_LEAST_TALL} && {wide} > 0)"
    room = f"({upright} ? {tall} : {wide})"
    placed = table.assign(middle=(table["x"] + table["x2"]) / 2, centre=(table["y"] + table["y2"]) / 2)
    return (
        alt.Chart(placed[placed["y2"] - placed["y"] > _LEAST_HIGH])
        .mark_text(fontSize=12, limit=alt.expr(f"max(1, {room})"))
        .encode(
            x="middle:Q",
            y="centre:Q",
            angle=alt.condition(upright, alt.value(270), alt.value(0)),
            # A tile without a score shows the page's ground.
            color=alt.condition("isValid(datum.pearson)", alt.value(_INK), alt.value("currentColor")),
            text=alt.condition(f"{room} > {_LEAST_WIDE}", alt.Text("name:N"), alt.value("")),
        )
    )
