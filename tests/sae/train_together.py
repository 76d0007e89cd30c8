"""What each process of tests/sae/test_peers.py runs: train, and write weights and history as its rank's."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from sae.config import SAEConfig, TrainConfig
from sae.train import train
from sae.training.peers import current

D_IN, STEPS = 16, 60
HELD_OUT = np.arange(51)
SHAPE = SAEConfig(D_IN, 64, 3, prefixes=(20, 64))
CONFIG = TrainConfig(
    STEPS, batch_size=101, learning_rate=1e-2, dead_after=300, input_noise=0.2, encoder_decay=1.0, patience=4
)


def documents() -> np.ndarray:
    """Documents (700, D_IN); 64 latents for a few topics leave dead ones, so that AuxK takes part."""
    rng = np.random.default_rng(0)
    codes = rng.exponential(1, (700, 8)) * (rng.random((700, 8)) < 0.2)
    return (codes @ rng.normal(size=(8, D_IN)) + 0.05 * rng.normal(size=(700, D_IN))).astype(np.float32)


def main(folder: Path) -> None:
    """Train twice: whole, and from a checkpoint that stops half-way."""
    torch.set_num_threads(1)
    rank = current().rank
    result = train(documents(), SHAPE, CONFIG, held_out=HELD_OUT)
    seen: list[int] = []

    def interrupt(done: int, total: int, note: str) -> None:
        seen.append(done)

    again = train(documents(), SHAPE, CONFIG, interrupt, held_out=HELD_OUT, checkpoint=folder / "run.npz")
    assert bool(seen) == (rank == 0)
    resumed = train(documents(), SHAPE, CONFIG, held_out=HELD_OUT, checkpoint=folder / "run.npz")
    for other in (again, resumed):
        assert torch.equal(other.sae.W_enc, result.sae.W_enc)
    weights = {name: parameter.detach().numpy() for name, parameter in result.sae.named_parameters()}
    np.savez(folder / f"rank{rank}.npz", kept_step=result.kept_step, **weights, **result.history)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
