"""Where features of a family are drawn: apart from each other, the same every time, general before specific."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sae.structure.families import Family
from sae.structure.layout import LARGEST_IN_ROWS, family_layout

CIRCLE = 30.0  # diameter in pixels of a feature that is in every twentieth document


def grown(above: list[int]) -> Family:
    """A family in depth-first order of which feature i + 1 lies below feature ``above[i] % (i + 1)``."""
    below: dict[int, list[int]] = {i: [] for i in range(len(above) + 1)}
    for i, parent in enumerate(above, 1):
        below[parent % i].append(i)
    features, parents, depths = [], [], []
    waiting = [(0, -1, 0)]
    while waiting:
        feature, parent, depth = waiting.pop()
        features.append(feature)
        parents.append(parent)
        depths.append(depth)
        waiting += [(child, feature, depth + 1) for child in reversed(below[feature])]
    return Family(np.array(features), np.array(parents), np.array(depths, np.int16), 1)


def assert_stands_well(family: Family) -> None:
    x, y = family_layout(family)
    assert x.dtype == y.dtype == np.float32
    assert x.shape == y.shape == (len(family),)
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    assert (x[0], y[0]) == (0, 0)
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distance, np.inf)
    assert distance.min() >= CIRCLE
    again = family_layout(family)
    np.testing.assert_array_equal(again, (x, y))
    # General before specific: outwards in rings, to the right in rows.
    place = {int(feature): at for at, feature in enumerate(family.features)}
    above = [place[int(parent)] for parent in family.parents[1:]]
    in_rings = x.min() < 0
    far = np.hypot(x, y) if in_rings else x
    assert (far[1:] > far[above]).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=120))
def test_features_of_any_family_stand_apart(above: list[int]) -> None:
    assert_stands_well(grown(above))


@pytest.mark.parametrize("shape", ["star", "bushy", "chain", "hand", "one deep branch"])
@pytest.mark.parametrize("size", [1, 2, 15, 60, 500])
def test_small_and_large_ones_too(shape: str, size: int) -> None:
    rng = np.random.default_rng(size)
    above = {
        "star": [0] * (size - 1),
        "bushy": [int(rng.integers(0, 1 + i // 3)) for i in range(size - 1)],
        "chain": list(range(size - 1)),
        "hand": [max(0, i - 5) for i in range(size - 1)],
        "one deep branch": [0 if i < size // 2 else i for i in range(size - 1)],
    }[shape]
    assert_stands_well(grown(above))


def test_a_family_of_five_hundred_is_not_drawn_wider_than_can_be_read() -> None:
    rng = np.random.default_rng(1)
    x, y = family_layout(grown([int(rng.integers(0, 1 + i // 8)) for i in range(499)]))
    assert np.hypot(x, y).max() < 1300


def test_each_feature_without_children_has_a_row_or_a_ray_of_its_own() -> None:
    few, many = grown([0] * LARGEST_IN_ROWS), grown([0] * (LARGEST_IN_ROWS + 1))
    assert len(set(family_layout(few)[1][1:].tolist())) == LARGEST_IN_ROWS
    x, y = (values[1:] for values in family_layout(many))
    assert len(set(np.round(np.arctan2(y, x), 4).tolist())) == LARGEST_IN_ROWS + 1
