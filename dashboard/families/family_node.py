"""A feature in the drawing of its family, and what every drawing of it shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dashboard.charts import ACCENT, CONTRAST, MUTED


@dataclass(frozen=True)
class Node:
    """A feature in the drawing. ``facts`` are short plain texts shown when it is chosen; ``share`` is of its
    documents with the feature above it, None for the family's parent; ``score`` None where unscored."""

    feature_id: int
    label: str
    x: float
    y: float
    density: float
    score: float | None
    parent: int | None = None
    share: float | None = None
    facts: tuple[str, ...] = ()


class Colours(NamedTuple):
    """Of the page around the graph: an isolated document inherits none."""

    ink: str
    paper: str
    line: str


def colours_of(dark: bool) -> Colours:
    return Colours("#e3eaec", "#12181b", "#2e3a40") if dark else Colours("#1b2529", "#ffffff", "#d9e0e3")


def radius_of(node: Node) -> float:
    """By density, in pixels at the graph's own scale."""
    return 6 + 42 * max(node.density, 0) ** 0.5


def in_rings(nodes: Sequence[Node]) -> bool:
    """Rows start at the parent, with room for every label; rings lie around it."""
    return min(node.x for node in nodes) < 0


def score_colour(score: float | None) -> str:
    """Of a Pearson correlation: ochre at 0, grey in the middle, the accent colour at 1; grey where
    unscored."""
    if score is None:
        return MUTED
    share = min(1.0, max(0.0, score))
    low, high, at = (CONTRAST, MUTED, share * 2) if share < 0.5 else (MUTED, ACCENT, share * 2 - 1)
    parts = [round(int(low[i : i + 2], 16) * (1 - at) + int(high[i : i + 2], 16) * at) for i in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)
