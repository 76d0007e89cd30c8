"""Where a slider may stand: both directions from zero, in fine steps near it and coarse ones far away."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sae.steer import REACH_75

STEPS = 40
"""Steps from zero to the further end."""
CURVE = 1.6
"""Step s of STEPS stands at (s / STEPS) ** CURVE of the way: the first is a fifteenth of the last."""


@dataclass(frozen=True)
class SliderScale:
    """Values that a feature's slider can take, from least to most; zero is among them."""

    stops: tuple[float, ...]
    original: float
    """The feature's own activation in the query, one of the stops."""

    def nearest(self, value: float) -> float:
        """The stop nearest to a value."""
        at = bisect_left(self.stops, value)
        return min(self.stops[max(0, at - 1) : at + 1], key=lambda stop: abs(stop - value))

    def place(self, value: float) -> float:
        """Where a value stands along the slider, 0 … 1; values outside are at its ends."""
        at = bisect_left(self.stops, value)
        if at <= 0 or at >= len(self.stops):
            return 0.0 if at <= 0 else 1.0
        low, high = self.stops[at - 1], self.stops[at]
        return (at - 1 + (value - low) / (high - low)) / (len(self.stops) - 1)


def slider_scale(original: float, quantile_95: float, also: Sequence[float] = ()) -> SliderScale:
    """The scale of a feature's slider.

    ``original``: its activation in the query, ≥ 0; ``quantile_95``: the activation that 95 % of the documents in
    which it is active stay below, positive; ``also``: values that are stops as well, to six digits, such as an edit
    from a link. Up it reaches REACH_75 · quantile_95 above its own activation, down as far below, or to
    −quantile_95 where that is further. Zero in the middle would let the left end of a feature that the query has
    lose the query.
    """
    if not (math.isfinite(quantile_95) and quantile_95 > 0 and math.isfinite(original)):
        raise ValueError(f"original {original} and quantile_95 {quantile_95} give no range")
    reach = REACH_75 * quantile_95
    high = _rounded_up(max(abs(original) + reach, *also, 0.0))
    low = _rounded_up(max(quantile_95, reach - abs(original), *(-v for v in also)))
    own = round(original, 2 - math.floor(math.log10(abs(original)))) if original else 0.0
    up = {own, high, *(value for value in _stops(high) if value < high)}
    down = {-low, *(-value for value in _stops(low) if value < low)}
    return SliderScale(tuple(sorted({0.0, *map(as_stop, also)} | up | down)), own)


def as_stop(value: float) -> float:
    """A value to the six digits with which stops are written, so that no two of them are written alike."""
    return float(f"{value:.6g}") + 0.0


def _stops(end: float) -> list[float]:
    """Stops from zero to ``end``, rounded to the digits that tell neighbours apart: finely near zero, coarsely far."""
    ways = [end * (s / STEPS) ** CURVE for s in range(STEPS + 1)]
    return [round(far, max(0, -math.floor(math.log10(far - near)))) for near, far in pairwise(ways)]


def _rounded_up(value: float) -> float:
    """The next number with two digits."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(value / power - 1e-9) * power, 12)
