"""Stage: train the profile's grid of SAEs on a corpus, and fit how their error falls with latents and compute.

The runs follow the profile's recipe with the grid's number of steps and a constant learning rate after warm-up,
so that a point half-way through a run is where a run of half the length would have ended; a final decay would
give the last point of every curve an advantage that its compute does not explain. Nor are runs stopped early.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from build import train as train_stage
from build.work import Target, Work
from sae import schema
from sae.config import SAEConfig, TrainConfig
from sae.encode import Weights
from sae.progress import Progress
from sae.storage.arrays import write_table
from sae.training.grid_cosines import grid_cosines
from sae.training.scaling import fit_power_law, frontier, window_means

MEASURES = {"fvu": "frontier", "held_out_fvu": "held_out_frontier"}
_FVU_SAMPLE = 20_000
_ROWS_AT_ONCE = 4096

Run = dict[str, Any]  # {"run": a row of the runs, "curve": columns of its curve}


def settings(target: Target) -> object:
    config = target.config
    if config.grid is None:
        return None
    return [asdict(config.grid), config.training, config.held_out, config.seed]


def run(work: Work) -> dict[str, Any]:
    config, grid = work.target.config, work.target.config.grid
    if grid is None:
        return {}
    embeddings = np.load(work.input("embeddings") / schema.EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    recipe = train_stage.tuned(config.training, work.input("noise")) | {
        "steps": grid.steps,
        "final_decay": 0.0,
        "patience": None,
    }
    recipe["warmup_steps"] = min(recipe.get("warmup_steps", 0), grid.steps // 4)
    train_config = TrainConfig(**{"seed": config.seed} | recipe)
    rows = train_stage.split(len(embeddings), config.held_out, config.seed)
    shapes = grid.shapes(work.target.d_in)
    found = []
    for number, (k, n_latents) in enumerate(shapes):
        shape = SAEConfig(work.target.d_in, n_latents, k)
        progress = _part_of(work.progress, number, len(shapes), grid.steps, f"k {k}, n {n_latents}")
        found.append(_finished_or_trained(work.scratch, shape, train_config, embeddings, rows, progress))
    runs = _table([one["run"] for one in found], schema.SCALING_COLUMNS)
    curves = curve_table(found, train_config.warmup_steps)
    write_table(work.out / schema.SCALING, runs)
    write_table(work.out / schema.SCALING_CURVES, curves)
    write_table(work.out / schema.SCALING_FITS, fit_table(runs, curves))
    cosines = grid_cosines(shapes, lambda shape: np.load(_kept(work.scratch, *shape).with_suffix(".npy")))
    write_table(work.out / schema.SCALING_COSINES, _table(cosines, schema.SCALING_COSINE_COLUMNS))
    return {"grid": {"runs": len(found), "steps": grid.steps}}


def _finished_or_trained(
    scratch: Path,
    shape: SAEConfig,
    train_config: TrainConfig,
    embeddings: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    progress: Progress,
) -> Run:
    """The result of one run: read where a killed build had finished it, else trained and kept."""
    path = _kept(scratch, shape.k, shape.n_latents)
    directions = path.with_suffix(".npy")
    try:
        np.load(directions, mmap_mode="r", allow_pickle=False)
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, EOFError):
        pass
    from sae.train import EVALUATIONS, train
    from sae.training.peers import current  # torch is loaded only when something is trained

    training, held_out = rows
    checkpoint = path.with_suffix(".npz")
    result = train(
        embeddings, shape, train_config, progress, rows=training, held_out=held_out, checkpoint=checkpoint
    )
    weights, history = result.weights(), result.history
    sample = training[:: max(1, len(training) // _FVU_SAMPLE)]
    parts = np.arange(1, EVALUATIONS + 1)
    evaluated = -(-train_config.steps * parts // EVALUATIONS) - 1  # the rows at which held-out documents were
    done: Run = {
        "run": {
            "k": shape.k,
            "n_latents": shape.n_latents,
            "steps": train_config.steps,
            "fvu": train_stage.fvu(embeddings, sample, weights),
            "held_out_fvu": float(history["held_out_fvu"][evaluated[-1]]),
            "flops": float(history["flops"][-1]),
            "dead": int(history["dead"][-1]),
            **activity(embeddings, weights),
        },
        "curve": {
            "step": history["step"][evaluated].astype(int).tolist(),
            "flops": history["flops"][evaluated].tolist(),
            "fvu": window_means(history["fvu"], evaluated + 1).tolist(),
            "held_out_fvu": history["held_out_fvu"][evaluated].tolist(),
        },
    }
    rank = current().rank
    partial = path.with_suffix(f".partial-{rank}")
    with partial.open("wb") as file:  # every process needs it, and none may see another's half
        np.save(file, weights.W_dec.astype(np.float16))
    os.replace(partial, directions)
    if rank > 0:
        return done
    partial.write_text(json.dumps(done), encoding="utf-8")
    os.replace(partial, path)
    checkpoint.unlink(missing_ok=True)
    return done


def _kept(scratch: Path, k: int, n_latents: int) -> Path:
    """Where a finished run is kept; beside it as .npy its decoder directions, float16 (n_latents, d_in)."""
    return scratch / f"k{k}-n{n_latents}.json"


def activity(embeddings: np.ndarray, weights: Weights) -> dict[str, float | None]:
    """Mean log10 density over live latents and mean activation over active entries, of all documents."""
    from sae.compiled.fast_encode import FastEncoder  # torch is loaded only when something is trained

    encode, counts, total = FastEncoder(weights), np.zeros(weights.n_latents, np.int64), 0.0
    for start in range(0, len(embeddings), _ROWS_AT_ONCE):
        top_acts, top_indices = encode(embeddings[start : start + _ROWS_AT_ONCE])
        counts += np.bincount(top_indices[top_acts > 0], minlength=weights.n_latents)
        total += float(top_acts.sum(dtype=np.float64))
    live = counts[counts > 0]
    if len(live) == 0:
        return {"mean_log_density": None, "mean_activation": None}
    return {
        "mean_log_density": float(np.log10(live / len(embeddings)).mean()),
        "mean_activation": total / int(live.sum()),
    }


def curve_table(found: list[Run], warmup_steps: int) -> pa.Table:
    """All curves (schema.SCALING_CURVE_COLUMNS) with the frontiers of each k; warm-up is on none of them."""
    rows = [
        {
            "k": one["run"]["k"],
            "n_latents": one["run"]["n_latents"],
            **dict(zip(one["curve"], point, strict=True)),
        }
        for one in found
        for point in zip(*one["curve"].values(), strict=True)
    ]
    ks = np.array([row["k"] for row in rows])
    settled = np.array([row["step"] > warmup_steps for row in rows])
    flops = np.array([row["flops"] for row in rows])
    for measure, name in MEASURES.items():
        losses, best = np.array([row[measure] for row in rows]), np.zeros(len(rows), bool)
        for k in np.unique(ks):
            here = np.flatnonzero((ks == k) & settled)
            best[here] = frontier(flops[here], losses[here])
        for row, on_it in zip(rows, best.tolist(), strict=True):
            row[name] = on_it
    return _table(rows, schema.SCALING_CURVE_COLUMNS)


def _table(rows: list[dict[str, Any]], columns: pa.Schema) -> pa.Table:
    """Rows as a table in which what is not a number is null."""
    known = [{name: None if value != value else value for name, value in row.items()} for row in rows]
    return pa.Table.from_pylist(known, schema=columns)


def fit_table(runs: pa.Table, curves: pa.Table) -> pa.Table:
    """L(n) over the ends of the runs and L(C) along the frontier, for each k and measure."""
    fits = []
    ends, points = ({name: t[name].to_numpy() for name in t.column_names} for t in (runs, curves))
    for measure, on_frontier in MEASURES.items():
        for k in np.unique(ends["k"]).tolist():
            of_k, best = ends["k"] == k, (points["k"] == k) & points[on_frontier]
            for law, fit in (
                ("latents", fit_power_law(ends["n_latents"][of_k], ends[measure][of_k])),
                ("compute", fit_power_law(points["flops"][best], points[measure][best])),
            ):
                if fit is not None:
                    fits.append({"law": law, "measure": measure, "k": k, **asdict(fit)})
    return pa.Table.from_pylist(fits, schema=schema.SCALING_FIT_COLUMNS)


def _part_of(progress: Progress, number: int, count: int, steps: int, name: str) -> Progress:
    """Progress of one run as a part of the whole grid, in steps."""

    def report(done: int, total: int, note: str) -> None:
        if total == steps:  # what is counted in documents, before the first step, takes no time worth showing
            progress(number * steps + done, count * steps, f"{name} · {note}")

    return report
