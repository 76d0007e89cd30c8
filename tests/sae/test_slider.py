"""Sliders go both ways from zero, finely near it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae.slider import STEPS, slider_scale
from sae.steer import REACH_75


@given(
    original=st.floats(0, 100, allow_subnormal=False),
    quantile=st.floats(1e-3, 50, allow_subnormal=False),
    edit=st.floats(-500, 500),
)
def test_a_scale_reaches_far_both_ways_and_is_fine_near_zero(
    original: float, quantile: float, edit: float
) -> None:
    scale = slider_scale(original, quantile, [edit])
    stops = scale.stops
    assert list(stops) == sorted(set(stops))
    assert {0.0, scale.original} <= set(stops)
    assert 2 * STEPS + 1 <= len(stops) <= 2 * STEPS + 2
    assert scale.original == pytest.approx(original, rel=0.006)
    assert stops[-1] >= max(original + REACH_75 * quantile, edit) * (1 - 1e-9)
    assert stops[0] == -stops[-1]
    above = [stop for stop in stops if stop > 0 and stop != scale.original]
    assert above[-1] - above[-2] > 5 * above[0]
    assert scale.nearest(scale.original) == scale.original
    assert (scale.place(stops[0]), scale.place(stops[-1])) == (0, 1)
    assert scale.place(0.0) == pytest.approx(0.5, abs=0.01)
    assert abs(scale.nearest(edit) - edit) <= stops[-1] / 20


@pytest.mark.parametrize("quantile", [0.0, -1.0, math.nan, math.inf])
def test_a_slider_needs_a_scale(quantile: float) -> None:
    with pytest.raises(ValueError, match="no range"):
        slider_scale(0.5, quantile)
