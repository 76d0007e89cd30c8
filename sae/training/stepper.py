"""What the two ways of training have in common: the step they take, and the state they can save."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sae.encode import IndexArray
from sae.training.data import FloatArray
from sae.training.initialise import Parameters

ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8
CLIP_EPSILON = 1e-6
"""Added to the gradient's norm before dividing by it, as torch does."""

State = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class StepReport:
    """What one step saw before it changed the weights."""

    loss: float
    """fvu + aux_alpha · aux_loss: what the step minimises."""
    aux_loss: float
    """AuxK's normalised MSE; 0 when nothing is dead."""
    fvu: float
    """MSE of the batch over the MSE of predicting the training mean."""
    dead: int
    """Latents that count as dead after this batch."""


class Stepper(Protocol):
    """One way of training: takes raw rows, changes its weights, and can be saved and restored exactly."""

    def step(
        self, rows: FloatArray, noise: npt.NDArray[np.uint16] | None, learning_rate: float
    ) -> StepReport:
        """One Adam step on raw embeddings (n, d_in); ``noise`` (n, d_in) codes into normal_quantiles."""

    def encode(self, rows: FloatArray) -> tuple[FloatArray, IndexArray]:
        """``top_acts``, ``top_indices`` (n, k) of raw embeddings without noise, in no order within a row."""

    def parameters(self) -> Parameters:
        """The weights themselves, no copy: the next step changes them."""

    def state(self) -> State:
        """Every array that the next step depends on, not copied."""

    def restore(self, state: State) -> None:
        """Continue from what ``state`` returned, bit for bit."""
