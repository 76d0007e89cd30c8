"""Held-out error of the default recipe beside the papers', on one corpus, over seeds.

    python tests/benchmarks/recipe_gain.py [embeddings.npy] [--k 8] [--n 768] [--steps 2000] [--seeds 3]

The papers' recipe is run twice: as written (learning rate 1e-4, made for 13,200 steps), and with the default's
learning rate, so that what is left between the two is the recipe and not the rate. Without a file, generated
embeddings and few steps only show that it runs. One JSON line a run, then a table.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from build.config import load_profile
from build.train import split
from sae.config import SAEConfig, TrainConfig
from sae.train import train

RATE = {"learning_rate": 3e-3, "warmup_steps": 100, "final_decay": 0.2}
TRAINING_FIELDS = set(TrainConfig.__dataclass_fields__)


def recipes(steps: int) -> dict[str, TrainConfig]:
    """The papers' recipe, the same with the default's learning rate, and the default."""
    default = {name: v for name, v in load_profile("default").training.items() if name in TRAINING_FIELDS}
    rate = RATE | {"warmup_steps": min(100, steps // 4)}
    return {
        "papers": TrainConfig(steps),
        "papers, rate of the default": TrainConfig(steps, **rate),
        "default": TrainConfig(**default | rate | {"steps": steps}),
    }


def generated(n_documents: int = 2000, d_in: int = 64) -> np.ndarray:
    """Documents (n, d_in) made of a few of 200 directions each."""
    rng = np.random.default_rng(0)
    codes = rng.exponential(1, (n_documents, 200)) * (rng.random((n_documents, 200)) < 0.03)
    return (codes @ rng.normal(size=(200, d_in)) + rng.normal(size=(n_documents, d_in))).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("embeddings", nargs="?", type=Path)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--n", type=int, default=768)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="run one recipe, by the beginning of its name")
    arguments = parser.parse_args()
    x = np.load(arguments.embeddings, mmap_mode="r") if arguments.embeddings else generated()
    steps = arguments.steps or (2000 if arguments.embeddings else 50)
    shape = SAEConfig(x.shape[1], arguments.n, arguments.k)
    training, held_out = split(len(x), 0.05, 0)
    found: dict[str, list[float]] = {}
    for seed in range(arguments.seeds):
        for name, config in recipes(steps).items():
            if arguments.only and not name.startswith(arguments.only):
                continue
            config = TrainConfig(**vars(config) | {"seed": seed})
            result = train(x, shape, config, rows=training, held_out=held_out)
            errors = result.history["held_out_fvu"]
            best = float(np.nanmin(errors))
            found.setdefault(name, []).append(best)
            line = {"recipe": name, "seed": seed, "held_out_fvu": best, "at_the_end": float(errors[-1])}
            line["dead"] = int(result.history["dead"][-1])
            print(json.dumps(line), flush=True)
    print(f"\nheld-out fvu, {len(x):,} documents, k {shape.k}, n {shape.n_latents}, {steps:,} steps")
    for name, errors in found.items():
        print(f"| {name} | {np.mean(errors):.4f} | {min(errors):.4f}–{max(errors):.4f} |")


if __name__ == "__main__":
    main()
