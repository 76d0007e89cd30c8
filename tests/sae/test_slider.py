"""Sliders go both ways from zero, finely near it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae.steer import REACH_75
from sae.steering.slider import STEPS, as_stop, slider_scale


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
    assert STEPS + 2 <= len(stops) <= 2 * STEPS + 4
    assert len({f"{stop:.6g}" for stop in stops}) == len(stops)
    assert scale.original == pytest.approx(original, rel=0.006)
    assert stops[-1] >= max(original + REACH_75 * quantile, edit) * (1 - 1e-9)
    assert stops[0] <= min(-quantile, original - REACH_75 * quantile, edit) * (1 - 1e-9)
    sizes = sorted({abs(stop) for stop in stops if stop and stop not in (scale.original, as_stop(edit))})
    assert sizes[-1] - sizes[-3] > 5 * sizes[0]
    assert scale.nearest(scale.original) == scale.original
    assert (scale.place(stops[0]), scale.place(stops[-1])) == (0, 1)
    assert scale.nearest(edit) == as_stop(edit) == pytest.approx(edit, rel=1e-5)


def test_the_left_end_of_what_a_query_has_is_no_further_than_the_right_one_of_what_it_has_not() -> None:
    absent, present = slider_scale(0.0, 10.0).stops, slider_scale(9.0, 10.0).stops
    assert absent[0] == -absent[-1] == -23
    assert (present[0], present[-1]) == (-14, 32)
    assert slider_scale(20.0, 10.0).stops[0] == -10
    assert slider_scale(9.0, 10.0, [-31.0]).stops[0] == -31  # a link may set more
    assert slider_scale(9.0, 10.0, [-31.0]).stops[-1] == 32


@pytest.mark.parametrize("quantile", [0.0, -1.0, math.nan, math.inf])
def test_a_slider_needs_a_scale(quantile: float) -> None:
    with pytest.raises(ValueError, match="no range"):
        slider_scale(0.5, quantile)
