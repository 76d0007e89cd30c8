"""Scaling laws: power laws fitted to the error of SAEs of many sizes, and the best error a compute budget buys.

L(n) = c · n^(−α) for each k, and L(C) = a · C^b along the compute-optimal frontier (O'Neill et al. 2024,
appendix A.3; Gao et al. 2024, section 3).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

FEWEST_POINTS = 3
"""Two points lie on every power law; from three on, a fit can fail and so says something."""


@dataclass(frozen=True)
class PowerLaw:
    """loss = coefficient · x^exponent, with confidence intervals of both numbers."""

    coefficient: float
    coefficient_low: float
    coefficient_high: float
    exponent: float
    exponent_low: float
    exponent_high: float
    r_squared: float | None
    """Share of the variance of log loss that the law explains; None where the loss does not vary."""
    n_points: int


def fit_power_law(x: npt.ArrayLike, loss: npt.ArrayLike, confidence: float = 0.95) -> PowerLaw | None:
    """Least squares of log loss on log x; x and loss: (n,).

    Intervals are Student's, with n − 2 degrees of freedom, and take the deviations from the law as independent:
    along one training curve they are not, so there the true intervals are wider. Points without a logarithm
    (zero, negative, not finite) are left out. None when fewer than FEWEST_POINTS different x remain.
    """
    xs, losses = np.asarray(x, np.float64), np.asarray(loss, np.float64)
    if xs.shape != losses.shape or xs.ndim != 1:
        raise ValueError(f"x has shape {xs.shape} and loss {losses.shape}; both must be (n,)")
    usable = np.isfinite(xs) & np.isfinite(losses) & (xs > 0) & (losses > 0)
    u, v = np.log(xs[usable]), np.log(losses[usable])
    if len(np.unique(u)) < FEWEST_POINTS:
        return None
    n = len(u)
    centred = u - u.mean()
    spread = float(centred @ centred)
    exponent = float(centred @ (v - v.mean())) / spread
    intercept = float(v.mean()) - exponent * float(u.mean())
    residual = v - intercept - exponent * u
    unexplained, total = float(residual @ residual), float(np.square(v - v.mean()).sum())
    # Rounding leaves a little variance in a constant loss; a share of that means nothing.
    varies = total > n * (8 * np.finfo(np.float64).eps * max(1.0, float(np.abs(v).max()))) ** 2
    t = float(stdtrit(n - 2, (1 + confidence) / 2))
    noise = np.sqrt(unexplained / (n - 2))
    exponent_error = t * float(noise / np.sqrt(spread))
    intercept_error = t * float(noise * np.sqrt(1 / n + float(u.mean()) ** 2 / spread))
    low, middle, high = np.exp(np.clip(intercept + intercept_error * np.array([-1, 0, 1]), -700, 700))
    return PowerLaw(
        coefficient=float(middle),
        coefficient_low=float(low),
        coefficient_high=float(high),
        exponent=exponent,
        exponent_low=exponent - exponent_error,
        exponent_high=exponent + exponent_error,
        r_squared=1 - unexplained / total if varies else None,
        n_points=n,
    )


def frontier(compute: npt.ArrayLike, loss: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which points (n,) are compute-optimal: no other reaches as low a loss with as little compute.

    Of equal points the first counts; a loss that is not finite is on no frontier.
    """
    costs, losses = np.asarray(compute, np.float64), np.asarray(loss, np.float64)
    order = np.lexsort((np.arange(len(costs)), losses, costs))
    ranked = np.where(np.isfinite(losses), losses, np.inf)[order]
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(ranked)[:-1]])
    found = np.zeros(len(costs), bool)
    found[order] = ranked < best_before
    return found


def window_means(values: npt.ArrayLike, ends: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Means of values (n,) over the windows that end, exclusively, at ``ends`` (m,): smoothing without lag.

    The first window starts at 0, every other where the one before it ended; ends rise.
    """
    bounds = np.concatenate([[0], np.asarray(ends, np.int64)])
    totals = np.add.reduceat(np.asarray(values, np.float64), bounds[:-1])
    # reduceat sums the last window to the end of the values.
    if bounds[-1] < len(np.asarray(values)):
        totals[-1] = np.asarray(values, np.float64)[bounds[-2] : bounds[-1]].sum()
    return totals / np.diff(bounds)
