"""Early stopping: watch the held-out error, keep the weights at its lowest, say when to stop."""

from dataclasses import dataclass, field

import numpy as np

from sae.training.initialise import Parameters
from sae.training.stepper import State

_PREFIX = "best."


@dataclass
class EarlyStop:
    """The best evaluation so far and how many have passed since.

    An evaluation counts as better only if its error is lower; NaN, as of a corpus too small to measure, never
    is, and never stops a run. ``state`` and ``restore`` carry it through a checkpoint exactly.
    """

    patience: int
    """Evaluations without a lower error after which training stops."""
    lowest: float = field(default=float("inf"), init=False)
    """Lowest held-out fvu seen."""
    step: int = field(default=0, init=False)
    """Steps done when it was seen; 0: nothing seen yet."""
    waited: int = field(default=0, init=False)
    """Evaluations since then."""
    best: Parameters | None = field(default=None, init=False)
    """Copy of the weights of that moment."""

    @property
    def stops(self) -> bool:
        """Whether patience has run out."""
        return self.waited >= self.patience

    def see(self, held_out_fvu: float, step: int, parameters: Parameters) -> None:
        """Take note of an evaluation after ``step`` steps; copies the weights if it is the best."""
        if np.isnan(held_out_fvu):
            return
        self.waited += 1
        if held_out_fvu < self.lowest:
            self.lowest, self.step, self.waited = held_out_fvu, step, 0
            self.best = Parameters(**{name: array.copy() for name, array in vars(parameters).items()})

    def state(self) -> State:
        """Arrays to be saved beside the stepper's."""
        arrays: State = {
            f"{_PREFIX}{name}": np.array(getattr(self, name)) for name in ("lowest", "step", "waited")
        }
        weights = vars(self.best) if self.best is not None else {}
        return arrays | {f"{_PREFIX}{name}": array for name, array in weights.items()}

    def restore(self, state: State) -> None:
        """Go on from what ``state`` gave; its arrays are taken out of the given ones."""
        found = {key.removeprefix(_PREFIX): state.pop(key) for key in list(state) if key.startswith(_PREFIX)}
        self.lowest, self.step = float(found.pop("lowest")), int(found.pop("step"))
        self.waited = int(found.pop("waited"))
        self.best = Parameters(**found) if found else None  # type: ignore[arg-type]
