"""How far the two ways of training part over 300 steps on embeddings of one's own.

``python tests/benchmarks/loss_curves.py embeddings.npy`` trains n = 1,088 latents, k = 8, on the rows of the file
(n, d_in) less a thousand that are held out, by the reference and by the fast step, with the papers' recipe, with
noise besides, and with the default recipe, and prints the largest relative difference of the losses, at how many
steps it is above .1 %, and both held-out errors at the end.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from sae.config import SAEConfig, TrainConfig
from sae.train import train

PAPERS = TrainConfig(300, 1024, 1e-4)
NOISY = replace(PAPERS, input_noise=0.5)
DEFAULT = replace(
    NOISY, learning_rate=3e-3, warmup_steps=100, final_decay=0.2, encoder_start=1.0, encoder_decay=2.0
)


def main() -> None:
    """Print one line a recipe."""
    x = np.load(sys.argv[1]).astype(np.float32)
    held_out = np.random.default_rng(0).permutation(len(x))[:1000]
    for name, recipe in (("papers", PAPERS), ("papers with noise", NOISY), ("default", DEFAULT)):
        reference, fast = (
            train(x, SAEConfig(x.shape[1], 1088, 8), replace(recipe, path=path), held_out=held_out).history
            for path in ("reference", "fast")
        )
        apart = np.abs(fast["loss"] / reference["loss"] - 1)
        ends = [float(h["held_out_fvu"][np.isfinite(h["held_out_fvu"])][-1]) for h in (reference, fast)]
        print(
            f"{name}: losses differ by {apart.max():.1e} at most, by over .1 % at {(apart > 1e-3).sum()} of "
            f"{len(apart)} steps; held out {ends[0]:.5f} and {ends[1]:.5f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
