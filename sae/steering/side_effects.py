"""What else moved: features of the steered query, encoded again, that nobody touched."""

from collections.abc import Collection
from dataclasses import dataclass

from sae.encode import Weights
from sae.steer import HasWeights, Steered, active_features


@dataclass(frozen=True)
class SideEffect:
    """A feature that moved although nobody touched it: its activation in the query and in the steered query."""

    feature_id: int
    before: float
    after: float


def side_effects(
    steered: Steered, touched: Collection[int], sae: Weights | HasWeights, n: int | None = None
) -> list[SideEffect]:
    """Features whose activation changed without being touched, the largest change first, at most ``n``.

    ``touched``: features that were set, and those that a family's slider moves.
    """
    after = active_features(steered.vector, sae)
    moved = [
        SideEffect(f, steered.latents.get(f, 0.0), after.get(f, 0.0))
        for f in dict.fromkeys([*after, *steered.latents])
        if f not in touched
    ]
    changed = [effect for effect in moved if abs(effect.after - effect.before) > 1e-4]
    return sorted(changed, key=lambda effect: -abs(effect.after - effect.before))[:n]
