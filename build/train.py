"""Stage: train one SAE on a corpus, with documents held out that it never sees."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from build.training_options import checked_training
from build.work import Target, Work
from sae import schema
from sae.config import SAEConfig
from sae.encode import Weights, decode
from sae.storage.arrays import write_table
from sae.storage.weights import write_weights

NOISE = "noise.json"
"""What stage noise chose, where it did: a number."""
_FVU_SAMPLE = 20_000
_LEAST_HELD_OUT = 20  # documents, or a fifth of a small corpus: an error over fewer says nothing


def settings(target: Target) -> object:
    return [asdict(target.plan), target.config.training, target.config.held_out, target.config.seed]


def run(work: Work) -> dict[str, Any]:
    config, plan, d_in = work.target.config, work.target.plan, work.target.d_in
    embeddings = np.load(work.input("embeddings") / schema.EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    training, held_out = split(len(embeddings), config.held_out, config.seed)
    n_latents = plan.latents(d_in, len(training))
    sae_config = SAEConfig(
        d_in, n_latents, plan.active(d_in), prefixes=plan.prefixes(n_latents), batch_topk=plan.batch_topk
    )
    train_config = checked_training({"seed": config.seed} | tuned(config.training, work.input("noise")))

    from sae.train import train  # torch is loaded only when something is trained

    result = train(
        embeddings, sae_config, train_config, work.progress,
        rows=training, held_out=held_out, checkpoint=work.scratch / "checkpoint.npz",
    )  # fmt: skip
    weights = result.weights()
    write_weights(work.out / schema.SAE, weights)
    write_table(work.out / schema.TRAINING, _history(result.history))
    sample = training[:: max(1, len(training) // _FVU_SAMPLE)]
    facts = {"k_on_average": sae_config.k} if sae_config.batch_topk else {}
    return facts | {
        "n_latents": sae_config.n_latents,
        "k": sae_config.width,  # activations kept for a document: k itself, but for BatchTopK
        "steps": len(result.history["step"]),
        "kept_step": result.kept_step,
        "input_noise": train_config.input_noise,
        "trained_on": len(training),
        "held_out": len(held_out),
        "fvu": known(fvu(embeddings, sample, weights), 5),
        "held_out_fvu": known(fvu(embeddings, held_out, weights), 5),
    }


def tuned(training: dict[str, Any], noise: Path) -> dict[str, Any]:
    """A copy of the profile's [training] table with the noise that stage noise chose for the corpus, if it did."""
    try:
        return training | {"input_noise": json.loads((noise / NOISE).read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return dict(training)


def split(n_documents: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(training rows, held-out rows), both sorted, the same for every SAE of a corpus.

    At least two rows are held out, since one has no variance, and two are always left to train on.
    """
    order = np.random.default_rng([seed, 1]).permutation(n_documents)
    wanted = max(2, min(_LEAST_HELD_OUT, n_documents // 5), round(share * n_documents))
    n_held_out = max(0, min(wanted, n_documents - 2))
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def fvu(embeddings: np.ndarray, rows: np.ndarray, weights: Weights) -> float:
    """Fraction of variance unexplained: squared error of reconstruction over that of predicting the rows' mean.

    NaN where the rows have no variance, as none, one or equal ones have.
    """
    if len(rows) < 2:
        return float("nan")
    from sae.compiled.fast_encode import FastEncoder  # torch is loaded only when something is trained

    encode = FastEncoder(weights)
    error = squares = 0.0
    total = np.zeros(weights.d_in)
    for start in range(0, len(rows), 4096):
        x = np.asarray(embeddings[rows[start : start + 4096]], np.float32)
        error += float(np.square(decode(*encode(x), weights) - x).sum(dtype=np.float64))
        centred = (x - weights.mean).astype(np.float64)
        squares += float(np.square(centred).sum())
        total += centred.sum(axis=0)
    spread = squares - float(total @ total) / len(rows)
    return error / spread if spread > 1e-9 * squares else float("nan")


def known(value: float, digits: int) -> float | None:
    """A number as a fact of the manifest: rounded, None where there is none."""
    return round(float(value), digits) if np.isfinite(value) else None


def _history(history: dict[str, np.ndarray]) -> pa.Table:
    columns = {field.name: pa.array(history[field.name]) for field in schema.TRAINING_COLUMNS}
    held_out = history["held_out_fvu"]
    columns["held_out_fvu"] = pa.array(held_out, mask=np.isnan(held_out))
    return pa.table(columns).cast(schema.TRAINING_COLUMNS)
