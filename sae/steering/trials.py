"""Trials of steering: a query, a feature to raise, one to lower, and five labels to choose from; edits brought to
the same fidelity, and intervals for what came of them (O'Neill et al. 2024, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

N_OPTIONS = 5
_NEAR = 0.3  # decoder cosine to an active feature from which a feature is not a new one for the query
_ALIKE = 0.5  # decoder cosine from which two labels would be two names of one thing
_MOST_SHIFT = 89.9  # degrees: the farthest that an edit is followed
_BISECTIONS = 50


@dataclass(frozen=True)
class Trials:
    """n trials, int64 each. ``queries``, ``raised``, ``lowered``, ``stray`` (n,); ``options`` (n, N_OPTIONS).

    ``raised`` is not active in its query and its direction is nearly orthogonal to those that are; ``lowered`` is
    active. The options hold both, other features active in the query as far as there are any (so that what
    the query is about does not give the lowered one away), and features that are not, in random order.
    ``stray`` is not among the options: raised instead, it shows what the judge finds in an edit of something
    else.
    """

    queries: npt.NDArray[np.int64]
    raised: npt.NDArray[np.int64]
    lowered: npt.NDArray[np.int64]
    stray: npt.NDArray[np.int64]
    options: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.queries)


def draw_trials(
    top_acts: FloatArray,
    top_indices: npt.NDArray[np.int32],
    good: npt.NDArray[np.bool_],
    labels: Sequence[str],
    W_dec: FloatArray,
    rng: np.random.Generator,
) -> Trials:
    """One trial for each query that allows one.

    ``top_acts, top_indices`` (n_queries, k): latents of the queries. ``good`` (n_latents,): features whose
    labels can be trusted; only they are raised, lowered and offered. A query without an active good feature,
    or with too few others to offer, is left out.
    """
    rows: list[tuple[int, int, int, int, list[int]]] = []
    everyone = np.flatnonzero(good)
    for query, (acts, indices) in enumerate(zip(top_acts, top_indices, strict=True)):
        active = indices[acts > 0]
        known = active[good[active]]
        others = np.setdiff1d(everyone, active)
        if not len(known) or len(others) < N_OPTIONS:
            continue
        away = np.abs(W_dec[others] @ W_dec[active].T).max(axis=1)
        fresh = others[away < _NEAR]
        raised = int(rng.choice(fresh if len(fresh) else others[[np.argmin(away)]]))
        known = np.array([f for f in known if _distinct(int(f), [raised], labels, W_dec)], np.int64)
        if not len(known):
            continue
        lowered = int(rng.choice(known))
        chosen = [raised, lowered]
        for pool, most in ((rng.permutation(known), 4), (rng.permutation(others), N_OPTIONS + 1)):
            for feature in pool:
                if len(chosen) == most:
                    break
                if _distinct(int(feature), chosen, labels, W_dec):
                    chosen.append(int(feature))
        if len(chosen) < N_OPTIONS + 1:
            continue
        stray = chosen.pop()
        rows.append((query, raised, lowered, stray, [int(f) for f in rng.permutation(chosen)]))
    columns = [np.array([row[i] for row in rows], np.int64) for i in range(4)]
    options = np.array([row[4] for row in rows], np.int64).reshape(-1, N_OPTIONS)
    return Trials(columns[0], columns[1], columns[2], columns[3], options)


def _distinct(feature: int, chosen: list[int], labels: Sequence[str], W_dec: FloatArray) -> bool:
    if feature in chosen or labels[feature].casefold() in {labels[c].casefold() for c in chosen}:
        return False
    return bool((W_dec[chosen] @ W_dec[feature] < _ALIKE).all())


def amounts_for(
    x: npt.ArrayLike, start: npt.ArrayLike, direction: npt.ArrayLike, fidelity: float
) -> npt.NDArray[np.float64]:
    """How far to go: t ≥ 0 with cosine(x, start + t · direction) = fidelity, for n rows (n, d_in) each.

    NaN where the start already lies below the fidelity, or where even the longest step stays above it.
    """
    x64, s, u = (np.asarray(v, np.float64) for v in (x, start, direction))
    x64 = x64 / np.maximum(np.linalg.norm(x64, axis=1, keepdims=True), 1e-30)
    unit = np.maximum(np.linalg.norm(u, axis=1), 1e-30)
    size = np.maximum(np.linalg.norm(s, axis=1), 1e-30)
    u = u / unit[:, None] * size[:, None]
    xs, xu, ss, su = (np.einsum("nd,nd->n", a, b) for a, b in ((x64, s), (x64, u), (s, s), (s, u)))
    uu = np.square(size)

    def cosines(angle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        t = np.tan(angle)
        return (xs + t * xu) / np.sqrt(np.maximum(ss + 2 * t * su + t * t * uu, 1e-30))

    low = np.zeros(len(s))
    high = np.full(len(s), np.deg2rad(_MOST_SHIFT))
    reachable = (cosines(low) >= fidelity) & (cosines(high) <= fidelity)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = cosines(middle) > fidelity
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(reachable, np.tan((low + high) / 2) * size / unit, np.nan)


def share_within(x: npt.ArrayLike, change: npt.ArrayLike, fidelity: float) -> npt.NDArray[np.float64]:
    """The largest share of ``change`` (n, d_in), at most 1, that keeps cosine(x, x + share · change) at or above
    ``fidelity``."""
    x64, whole = np.asarray(x, np.float64), np.asarray(change, np.float64)
    found = amounts_for(x64, x64, whole, fidelity)
    return np.minimum(np.where(np.isnan(found), 1.0, found), 1.0)


class Bootstrap:
    """95 % intervals over groups (queries) of values, all from the same resamples.

    groups (n,): which group each value belongs to; groups are drawn with replacement ``samples`` times.
    """

    def __init__(self, groups: npt.ArrayLike, seed: int = 0, samples: int = 1000) -> None:
        _, self._place = np.unique(np.asarray(groups), return_inverse=True)
        self._n_groups = int(self._place.max(initial=-1)) + 1
        if not self._n_groups:
            self._drawn = np.zeros((samples, 0))
            return
        rng = np.random.default_rng([seed, self._n_groups])
        share = np.full(self._n_groups, 1 / self._n_groups)
        self._drawn = rng.multinomial(self._n_groups, share, size=samples).astype(np.float64)

    def interval(self, values: npt.ArrayLike) -> tuple[float, float, float]:
        """(mean, low, high) of ``values`` (n,). NaN values are left out; all three are NaN when none is left."""
        v = np.asarray(values, np.float64)
        kept = np.isfinite(v)
        if not kept.any():
            return float("nan"), float("nan"), float("nan")
        sums = np.bincount(self._place[kept], v[kept], self._n_groups)
        counts = np.bincount(self._place[kept], minlength=self._n_groups)
        found = self._drawn @ counts
        means = (self._drawn @ sums)[found > 0] / found[found > 0]
        low, high = np.quantile(means, (0.025, 0.975))
        return float(sums.sum() / counts.sum()), float(low), float(high)


def interval(values: npt.ArrayLike, seed: int = 0, samples: int = 1000) -> tuple[float, float, float]:
    """(mean, low, high) of values (n,) that are groups of their own."""
    return Bootstrap(np.arange(np.size(values)), seed, samples).interval(values)
