"""Where the features of a family stand when it is drawn: a tidy tree, from general to specific, without
physics.

Small families are drawn from left to right, one feature a row, so that labels stand free; large ones outwards
in rings, where the same tree needs far less room. Positions are pixels at the graph's own scale.
"""

import numpy as np

from sae.structure.families import Family

LARGEST_IN_ROWS = 14  # rows, one for each feature without children; wider trees are drawn in rings
_COLUMN, _ROW = 230.0, 62.0
_RING, _ARC = 90.0, 34.0
_AROUND = (
    64  # features side by side on one ring; where more would stand, neighbours stand one behind the other
)


def family_layout(family: Family) -> tuple[np.ndarray, np.ndarray]:
    """(x, y), each float32 (m,), of a family's features in its own order; the parent stands at x = 0."""
    row = _rows(family)
    depth = family.depths.astype(np.float64)
    if row.max() < LARGEST_IN_ROWS:
        return (depth * _COLUMN).astype(np.float32), ((row - row[0]) * _ROW).astype(np.float32)
    angle = row / (row.max() + 1) * 2 * np.pi
    radius = _radii(family.depths, angle, 1 + int(row.max()) // _AROUND)
    return (radius * np.cos(angle)).astype(np.float32), (radius * np.sin(angle)).astype(np.float32)


def _radii(depths: np.ndarray, angle: np.ndarray, n_behind: int) -> np.ndarray:
    """How far from the parent each feature stands: on the ring of its depth, which lies beyond the one inside it
    and is wide enough for its closest neighbours. ``n_behind`` of these stand one behind the other."""
    n_rings = int(depths.max()) + 1
    behind = np.zeros(len(depths), np.int64)
    inner, thick = np.zeros(n_rings), np.zeros(n_rings)
    step = _RING
    for depth in range(1, n_rings):
        on_it = np.flatnonzero(depths == depth)
        on_it = on_it[np.argsort(angle[on_it], kind="stable")]
        behind[on_it] = np.arange(len(on_it)) % n_behind
        thick[depth] = behind[on_it].max() * _ARC
        closest = min(_closest(angle[on_it[first::n_behind]]) for first in range(min(n_behind, len(on_it))))
        inner[depth] = max(inner[depth - 1] + thick[depth - 1] + step, _ARC / closest)
        if depth == 1:  # a wide first ring wants the others farther apart, a deep tree closer together
            step = max(_RING, inner[1] * min(0.4, 1.5 / max(1, n_rings - 2)))
    # Where outer rings are crowded, inner ones are drawn out too: their labels would lie on one another.
    drawn_out = 0.8 * inner[-1] * np.arange(n_rings) / max(1, n_rings - 1)
    for depth in range(1, n_rings):
        beyond = inner[depth - 1] + thick[depth - 1] + 0.8 * _RING
        inner[depth] = max(inner[depth], drawn_out[depth], beyond)
    return inner[depths] + behind * _ARC


def _closest(angles: np.ndarray) -> float:
    """The least angle between neighbours around the circle, of angles in rising order."""
    gaps = np.diff(np.append(angles, angles[0] + 2 * np.pi))
    return max(float(gaps.min()), 1e-6)


def _rows(family: Family) -> np.ndarray:
    """Row of each feature: leaves one below the other in depth-first order, others midway between their first
    and last child."""
    place = {int(feature): at for at, feature in enumerate(family.features)}
    parents = np.array([place[int(p)] if p >= 0 else -1 for p in family.parents])
    has_children = np.zeros(len(family), bool)
    has_children[parents[parents >= 0]] = True
    row = np.full(len(family), np.nan)
    row[~has_children] = np.arange(int((~has_children).sum()))
    first, last = np.full(len(family), np.inf), np.full(len(family), -np.inf)
    # Depth-first order puts children after their parent, so backwards every child is placed before it.
    for at in range(len(family) - 1, -1, -1):
        if has_children[at]:
            row[at] = (first[at] + last[at]) / 2
        if (above := parents[at]) >= 0:
            first[above], last[above] = min(first[above], row[at]), max(last[above], row[at])
    return row
