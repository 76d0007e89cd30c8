"""Edits of a query's features, and the steered query they make (O'Neill et al. 2024, section 5)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sae.encode import Weights, decode, encode
from sae.errors import UserError

FloatArray = npt.NDArray[np.float32]

MODES = ("direct", "reconstruction")

REACH_75 = 2.3
"""A feature moved by this multiple of its 95 % activation leaves a fidelity of about .75 (measured)."""
MAX_SHIFT = 1e6
"""The longest change of a query; beyond a length of a few its own meaning is gone."""


@dataclass(frozen=True)
class Steered:
    """A steered query: vector = base + Σ amounts[i] · directions[i].

    ``base`` is the query itself (mode "direct") or its reconstruction; each direction is a row of W_dec and
    each amount is scale · (value − activation before). ``latents`` holds the query's active features and
    activations before the edits, strongest first.
    """

    vector: FloatArray
    """(d_in,) float32, not normalised."""
    fidelity: float
    """Cosine between the original and the steered query, −1 … 1."""
    base: FloatArray
    """(d_in,) float32."""
    directions: list[FloatArray] = field(default_factory=list)
    amounts: list[float] = field(default_factory=list)
    latents: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SliderRange:
    """Where a slider may go: low … high in steps, all of them shown with ``decimals`` digits."""

    low: float
    high: float
    step: float
    decimals: int
    original: float
    """The feature's own activation, rounded to a step; the middle of the range."""


def steer(
    query: npt.ArrayLike,
    edits: Mapping[int, float],
    weights: Weights,
    mode: str = "direct",
    raised: Mapping[int, FloatArray] | None = None,
) -> Steered:
    """Set features of a query to values.

    ``query`` (d_in,) float32; ``edits`` maps a feature_id to the activation it is given; features that are
    not named keep theirs. With h = encode(query) and δᵢ = valueᵢ − hᵢ the steered query is

        direct:          query + scale · Σ δᵢ wᵢ        (what the SAE cannot express is kept)
        reconstruction:  decode(h) + scale · Σ δᵢ wᵢ

    so that without edits the direct mode returns the query itself, bit for bit. ``raised`` may give a feature
    another row (d_in,) than wᵢ to go along when it is raised (``sae.directions``). Raises UserError when an edit
    names no feature of this SAE or is not a finite number.
    """
    if mode not in MODES:
        raise UserError(f"There is no way of steering called {mode!r}; there are {' and '.join(MODES)}.")
    x: FloatArray = np.asarray(query, dtype=np.float32)
    if x.shape != (weights.d_in,):
        raise UserError(f"The query has shape {x.shape}; the SAE reads {weights.d_in} dimensions.")
    if not np.isfinite(x).all():
        raise UserError("The query's embedding is not finite.")
    for feature_id, value in edits.items():
        if not 0 <= feature_id < weights.n_latents:
            raise UserError(f"There is no feature {feature_id}; this SAE has 0 to {weights.n_latents - 1:,}.")
        if not math.isfinite(value):
            raise UserError(f"Feature {feature_id} cannot be set to {value}; give it a number.")
    top_acts, top_indices = encode(x[None], weights)
    latents = {int(i): float(a) for i, a in zip(top_indices[0], top_acts[0], strict=True) if a > 0}
    base = x if mode == "direct" else decode(top_acts, top_indices, weights)[0]
    directions, amounts = [], []
    for feature_id, value in edits.items():
        if (delta := float(value) - latents.get(feature_id, 0.0)) != 0:
            along = (raised or {}).get(feature_id) if delta > 0 else None
            directions.append(weights.W_dec[feature_id] if along is None else along)
            amounts.append(weights.scale * delta)
    vector = base
    if directions:
        shift = np.asarray(amounts) @ np.stack(directions).astype(np.float64)
        if not np.linalg.norm(shift) < MAX_SHIFT:
            raise UserError("These edits are too large to steer with; reset one of them.")
        vector = (base.astype(np.float64) + shift).astype(np.float32)
    fidelity = 1.0 if vector is x else cosine(x, vector)
    return Steered(vector, fidelity, base, directions, amounts, latents)


def cosine(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Cosine of two vectors, computed in float64; 0 when one of them is zero."""
    a64, b64 = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    lengths = float(np.linalg.norm(a64) * np.linalg.norm(b64))
    return max(-1.0, min(1.0, float(a64 @ b64) / lengths)) if lengths else 0.0


def slider_range(original: float, quantile_95: float) -> SliderRange:
    """The range of a feature's slider: its own activation in the middle, both directions equally long.

    ``quantile_95``: the activation that 95 % of the documents in which the feature is active stay below;
    must be positive. The ends change the query to a fidelity of about .75. Steps are 1, 2 or 5 times a
    power of ten, between 200 and 500 of them.
    """
    reach = REACH_75 * quantile_95
    if not (math.isfinite(reach) and reach > 0 and math.isfinite(original)):
        raise ValueError(f"original {original} and quantile_95 {quantile_95} give no range")
    power = 10.0 ** math.floor(math.log10(reach / 100))
    step = max(m * power for m in (1, 2, 5) if m * power <= reach / 100)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    middle = round(original / step) * step
    steps = math.ceil(reach / step)
    low, high = middle - steps * step, middle + steps * step
    return SliderRange(
        low=round(low, decimals),
        high=round(high, decimals),
        step=round(step, decimals),
        decimals=decimals,
        original=round(middle, decimals),
    )
