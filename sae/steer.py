"""Edits of a query's features, and the steered query they make (O'Neill et al. 2024, section 5)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sae.encode import Weights, decode, encode
from sae.errors import UserError
from sae.steering.directions import Direction, family_move

FloatArray = npt.NDArray[np.float32]

MODES: Mapping[str, str] = {
    "direct": "the concept is added to your query; everything else that you asked stays",
    "reconstruction": "your query is replaced by what the concepts say of it, as in the paper's own search",
    "optimised": "concepts are adjusted together until the query reads back as you set it; smaller moves",
}
"""Ways in which edits act on a query, each in one line."""

REACH_75 = 2.3
"""A feature moved by this multiple of its 95 % activation leaves a fidelity of about .75 (measured)."""
MAX_SHIFT = 1e6
"""The longest change of a query; beyond a length of a few its own meaning is gone."""


class HasWeights(Protocol):
    """An SAE of a store: ``sae.store.SAE``."""

    @property
    def weights(self) -> Weights:
        """The SAE as NumPy arrays."""


@dataclass(frozen=True)
class Steered:
    """A steered query: vector = base + Σ amounts[i] · directions[i].

    ``base`` is the query itself, or its reconstruction (mode "reconstruction"); each direction is a row of W_dec
    or a sum of several, each amount is scale · (value − activation before). ``latents`` holds the query's active
    features and activations before the edits, strongest first; ``after`` the same with the edits, which may be
    negative: vector = scale · Σ after[f] · W_dec[f] + what the features do not express.
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
    after: dict[int, float] = field(default_factory=dict)


def steer(
    query: npt.ArrayLike,
    edits: Mapping[int, float],
    sae: Weights | HasWeights,
    mode: str = "direct",
    raised: Mapping[int, Direction] | None = None,
    families: Sequence[tuple[Mapping[int, float], float]] = (),
    latents: Mapping[int, float] | None = None,
) -> Steered:
    """Set features of a query to values.

    ``query`` (d_in,) float32; ``edits`` maps a feature_id to the activation it is given; features that are
    not named keep theirs. With h = encode(query) and δᵢ = valueᵢ − hᵢ the steered query is

        direct:          query + scale · Σ δᵢ wᵢ        (what the SAE cannot express is kept)
        reconstruction:  decode(h) + scale · Σ δᵢ wᵢ
        optimised:       query + scale · Σ (h*ᵢ − hᵢ) wᵢ, h* from ``sae.steering.optimise``

    so that without edits the direct and the optimised mode return the query itself, bit for bit. ``raised`` may
    give a feature another direction than wᵢ to go along when it is raised. ``families``: pairs of (mean
    activations of a family's features, amount); each moves its features in proportion, the largest by the
    amount. ``latents``: the query's active features where they are known already, which saves encoding it.
    Raises UserError when an edit names no feature of this SAE or is not a finite number.
    """
    weights = sae if isinstance(sae, Weights) else sae.weights
    if mode not in MODES:
        raise UserError(f"There is no way of steering called {mode!r}; there are {', '.join(MODES)}.")
    x: FloatArray = np.asarray(query, dtype=np.float32)
    if x.shape != (weights.d_in,):
        raise UserError(
            f"The query has shape {x.shape}; the SAE reads {weights.d_in} dimensions. Embed it with the corpus' model."
        )
    if not np.isfinite(x).all():
        raise UserError("The query's embedding is not finite; embed it again.")
    for members, amount in families:
        _check(members, weights)
        if not math.isfinite(amount):
            raise UserError(f"A family cannot be moved by {amount}; give it a number.")
    _check(edits, weights)
    before = active_features(x, weights) if latents is None else dict(latents)
    base = x
    if mode == "reconstruction":
        known = sorted(before.items(), key=lambda item: -item[1])
        acts = np.array([[activation for _, activation in known]], np.float32)
        base = decode(
            acts, np.array([[feature for feature, _ in known]], np.int32).reshape(acts.shape), weights
        )[0]
    directions, deltas, after = _changes(before, edits, weights, raised or {}, families)
    vector = base
    amounts = [weights.scale * delta for delta in deltas]
    if directions:
        shift = np.asarray(amounts) @ np.stack(directions).astype(np.float64)
        if not np.linalg.norm(shift) < MAX_SHIFT:
            raise UserError("These edits are too large to steer with; reset one of them.")
        if mode == "optimised":
            from sae.steering.optimise import optimised_shift  # which steers too

            along, after = optimised_shift(x, before, after, weights)
            directions, amounts, shift = [along], [1.0], along.astype(np.float64)
        vector = (base.astype(np.float64) + shift).astype(np.float32)
    fidelity = 1.0 if vector is x else cosine(x, vector)
    return Steered(vector, fidelity, base, directions, amounts, before, after)


def active_features(query: npt.ArrayLike, sae: Weights | HasWeights) -> dict[int, float]:
    """The active features of an embedding (d_in,) and their activations, strongest first."""
    weights = sae if isinstance(sae, Weights) else sae.weights
    acts, indices = encode(np.asarray(query, np.float32)[None], weights)
    return {int(i): float(a) for i, a in zip(indices[0], acts[0], strict=True) if a > 0}


def _check(values: Mapping[int, float], weights: Weights) -> None:
    for feature_id, value in values.items():
        if not 0 <= feature_id < weights.n_latents:
            raise UserError(f"There is no feature {feature_id}; this SAE has 0 to {weights.n_latents - 1:,}.")
        if not math.isfinite(value):
            raise UserError(f"Feature {feature_id} cannot be set to {value}; give it a number.")


def _changes(
    before: Mapping[int, float],
    edits: Mapping[int, float],
    weights: Weights,
    raised: Mapping[int, Direction],
    families: Sequence[tuple[Mapping[int, float], float]],
) -> tuple[list[FloatArray], list[float], dict[int, float]]:
    """Directions in standardised units, how far to go along each, and all activations afterwards."""
    directions: list[FloatArray] = []
    deltas: list[float] = []
    after = dict(before)
    for feature_id, value in edits.items():
        delta = float(value) - before.get(feature_id, 0.0)
        if delta == 0:
            continue
        along = raised.get(feature_id) if delta > 0 else None
        directions.append(weights.W_dec[feature_id] if along is None else along.vector)
        deltas.append(delta)
        for feature, share in ({feature_id: 1.0} if along is None else along.parts).items():
            after[feature] = after.get(feature, 0.0) + delta * share
    for members, amount in families:
        moves = family_move(members, 1.0)
        if not moves or amount == 0:
            continue
        rows = np.fromiter(moves, np.int64, len(moves))
        shares = np.fromiter(moves.values(), np.float64, len(moves))
        directions.append((shares @ weights.W_dec[rows].astype(np.float64)).astype(np.float32))
        deltas.append(amount)
        for feature, share in moves.items():
            after[feature] = after.get(feature, 0.0) + amount * share
    return directions, deltas, after


def cosine(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Cosine of two vectors, computed in float64; 0 when one of them is zero."""
    a64, b64 = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    lengths = float(np.linalg.norm(a64) * np.linalg.norm(b64))
    return max(-1.0, min(1.0, float(a64 @ b64) / lengths)) if lengths else 0.0
