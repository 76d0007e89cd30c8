"""Stage: choose how much noise the encoder sees in training, by the held-out error of short runs on a sample.

Noise helps against learning by heart, so a short run must be as much in danger of it as the real one: it sees each
document as often, and has as many documents for a latent. Documents and latents are therefore cut down in the ratio of
the steps. The middle autoencoder of the profile stands for all. Without a [tuning] table nothing is run, and the
profile's ``input_noise`` holds.
"""

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from build.config import SAEPlan
from build.train import NOISE, split
from build.work import Target, Work
from sae import schema
from sae.config import SAEConfig, TrainConfig

_LEAST_DOCUMENTS = 1000


def settings(target: Target) -> object:
    config = target.config
    if config.tuning is None:
        return None
    return [asdict(config.tuning), asdict(_middle(target)), config.training, config.held_out, config.seed]


def run(work: Work) -> dict[str, Any]:
    config, tuning = work.target.config, work.target.config.tuning
    if tuning is None:
        return {}
    embeddings = np.load(work.input("embeddings") / schema.EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    training, held_out = split(len(embeddings), config.held_out, config.seed)
    plan, d_in = _middle(work.target), work.target.d_in
    share = min(1.0, max(tuning.steps / config.training["steps"], _LEAST_DOCUMENTS / len(training)))
    n_latents = max(round(share * plan.latents(d_in, len(training))), 2 * plan.active(d_in))
    shape = SAEConfig(d_in, n_latents, plan.active(d_in))
    random = np.random.default_rng([config.seed, 2])
    training = np.sort(random.choice(training, round(share * len(training)), replace=False))
    errors: dict[float, float] = {}
    for number, sigma in enumerate(tuning.input_noise):
        recipe = config.training | {"steps": tuning.steps, "input_noise": sigma, "patience": None}
        recipe["warmup_steps"] = min(recipe.get("warmup_steps", 0), tuning.steps // 4)

        from sae.train import train  # torch is loaded only when something is trained

        result = train(
            embeddings, shape, TrainConfig(**{"seed": config.seed} | recipe), rows=training, held_out=held_out
        )
        errors[sigma] = float(result.history["held_out_fvu"][-1])
        work.progress((number + 1) * tuning.steps, len(tuning.input_noise) * tuning.steps, f"σ {sigma:g}")
    chosen = best(errors)
    if chosen is None:
        return {}
    (work.out / NOISE).write_text(json.dumps(chosen), encoding="utf-8")
    tried = [{"input_noise": sigma, "held_out_fvu": round(error, 5)} for sigma, error in errors.items()]
    return {
        "noise": {
            "chosen": chosen,
            "steps": tuning.steps,
            "documents": len(training),
            "n_latents": n_latents,
            "tried": tried,
        }
    }


def best(errors: dict[float, float]) -> float | None:
    """The amount with the lowest error; None where a corpus is too small to measure one."""
    known = {sigma: error for sigma, error in errors.items() if np.isfinite(error)}
    return min(known, key=lambda sigma: (known[sigma], sigma)) if known else None


def _middle(target: Target) -> SAEPlan:
    return target.config.saes[len(target.config.saes) // 2]
