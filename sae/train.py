"""Training a sparse autoencoder: checks, the loop over batches, its history and its checkpoints."""

import hashlib
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sae.config import SAEConfig, TrainConfig
from sae.encode import Weights, decode, encode
from sae.errors import UserError
from sae.model import PARAMETER_NAMES, TopKSAE
from sae.progress import Progress, silent
from sae.training.calibrate import threshold_of
from sae.training.checkpoint import load_checkpoint, save_checkpoint
from sae.training.data import (
    Batches,
    Embeddings,
    FloatArray,
    RowArray,
    Standardisation,
    blocks_of,
    checked_rows,
    noise_codes,
    read_rows,
    standardise,
)
from sae.training.early_stop import EarlyStop
from sae.training.initialise import initial_parameters
from sae.training.peers import ALONE, Peers, current, device
from sae.training.reference import ReferenceStepper
from sae.training.stepper import Stepper, StepReport

EVALUATIONS = 20
"""How often, evenly spread and at the end, held-out documents are evaluated."""

LEAST_TO_CALIBRATE, MOST_TO_CALIBRATE = 20, 4096
"""Documents from which BatchTopK's threshold is taken; held-out ones where there are enough."""

HISTORY_COLUMNS = ("step", "loss", "aux_loss", "fvu", "held_out_fvu", "dead", "flops")


@dataclass(frozen=True)
class TrainResult:
    """A trained autoencoder, the standardisation of its corpus and the history of its training."""

    sae: TopKSAE
    mean: FloatArray
    """(d_in,) float32: mean embedding of the training rows."""
    scale: float
    """Root mean square of the centred training rows over all entries."""
    history: dict[str, npt.NDArray[np.float64]]
    """Columns of as many steps as were taken: ``step`` from 1; ``loss`` = fvu + aux_alpha · aux_loss; ``aux_loss``;
    ``fvu`` of the step's batch (with input noise, if any); ``held_out_fvu`` of clean held-out rows, NaN
    between evaluations; ``dead`` latents; ``flops`` done so far, counted for dense products."""
    path: str
    """Which way of training ran: ``reference`` or ``fast``."""
    kept_step: int
    """Number of the step after which the weights were as they are here: the last one unless
    ``TrainConfig.patience`` kept earlier ones."""

    def weights(self) -> Weights:
        """What ``sae.encode`` needs."""
        arrays = {name: getattr(self.sae, name).detach().cpu().numpy() for name in PARAMETER_NAMES}
        return Weights(
            **arrays, mean=self.mean, scale=self.scale, k=self.sae.config.width, threshold=self.sae.threshold
        )


def flops_of_step(config: SAEConfig, batch_size: int) -> int:
    """Floating-point operations of one dense training step: six for each weight and document (two forward,
    four backward), whatever the path saves; so runs compare by what they compute."""
    return 6 * batch_size * 2 * config.n_latents * config.d_in


def held_out_fvu(
    stepper: Stepper, embeddings: Embeddings, rows: RowArray, weights: Weights, peers: Peers = ALONE
) -> float:
    """MSE of reconstructing clean held-out rows over the MSE of predicting their mean, streamed.

    NaN where the rows have no variance, as one row or equal ones have. Each of the ``peers`` reads a part.
    """
    sums = np.zeros(2 + weights.d_in)  # of squared errors, of squares, of rows
    for block in blocks_of(rows[peers.part(len(rows))], max(weights.d_in, weights.n_latents)):
        x = read_rows(embeddings, block)
        difference = decode(*stepper.encode(x), weights) - x
        sums[0] += float(np.einsum("nd,nd->", difference, difference, dtype=np.float64))
        centred = (x - weights.mean).astype(np.float64)
        sums[1] += float(np.einsum("nd,nd->", centred, centred))
        sums[2:] += centred.sum(axis=0)
    squared_error, squares, *_ = sums = peers.total_array(sums)
    variance = squares - float(sums[2:] @ sums[2:]) / len(rows)
    return float(squared_error / variance) if variance > 1e-9 * squares else float("nan")


def choose_path(requested: str, sae_config: SAEConfig, peers: Peers = ALONE) -> str:
    """The path that ``TrainConfig.path`` asks for; ``auto`` takes the reference path where there is a GPU, with
    peers, and for Matryoshka and BatchTopK. UserError when the fast path is asked for these."""
    if peers.size > 1 and sae_config.batch_topk:
        raise UserError(
            "batch_topk compares a whole batch and trains in one process; start it without torchrun."
        )
    if requested == "fast" and peers.size > 1:
        raise UserError("The fast path trains in one process; with torchrun set TrainConfig.path to auto.")
    if requested == "fast" and not sae_config.plain:
        raise UserError(
            "The fast path trains neither prefixes (Matryoshka) nor batch_topk; set TrainConfig.path to auto "
            "or reference."
        )
    if requested != "auto":
        return requested
    slow = torch.cuda.is_available() or peers.size > 1 or not sae_config.plain
    return "reference" if slow else "fast"


def _make_stepper(
    path: str,
    sae_config: SAEConfig,
    train_config: TrainConfig,
    standardisation: Standardisation,
    embeddings: Embeddings,
    rows: RowArray,
    peers: Peers,
) -> Stepper:
    parameters = initial_parameters(
        sae_config, embeddings, rows, standardisation, train_config.seed, train_config.encoder_start
    )
    dead_after = train_config.dead_after or len(rows)
    if path == "fast":
        # Compiling costs seconds even from its cache; runs on the reference path do without.
        from sae.compiled.fast import FastStepper

        return FastStepper(sae_config, train_config, standardisation, parameters, dead_after)
    return ReferenceStepper(
        sae_config, train_config, standardisation, parameters, dead_after, device(), peers=peers
    )


def _weights_of(stepper: Stepper, standardisation: Standardisation, k: int) -> Weights:
    return Weights(**vars(stepper.parameters()), mean=standardisation.mean, scale=standardisation.scale, k=k)


def _told(config: SAEConfig | TrainConfig, later: tuple[str, ...]) -> dict[str, Any]:
    """A configuration's fields. Those that came ``later`` are left out where they have their default, so that
    checkpoints written before they existed can be continued."""
    default = {field.name: field.default for field in fields(config)}
    return {
        name: value for name, value in asdict(config).items() if name not in later or value != default[name]
    }


def _calibrated(sae: TopKSAE, standardisation: Standardisation, rows: FloatArray) -> float:
    """The threshold with which ``sae`` keeps k latents a document on average of raw ``rows`` (n, d_in)."""
    arrays = {name: getattr(sae, name).detach().numpy() for name in PARAMETER_NAMES}
    weights = Weights(**arrays, mean=standardisation.mean, scale=standardisation.scale, k=sae.config.width)
    return threshold_of(encode(rows, weights)[0], sae.config.k)


def _run_description(
    path: str,
    sae_config: SAEConfig,
    train_config: TrainConfig,
    rows: RowArray,
    held_out: RowArray,
    standardisation: Standardisation,
) -> dict[str, Any]:
    """What must agree before a checkpoint may be continued."""
    data = hashlib.sha256()
    for array in (rows, held_out, standardisation.mean, np.float64(standardisation.scale)):
        data.update(np.ascontiguousarray(array).tobytes())
    return {
        "sae_config": _told(sae_config, ("prefixes", "batch_topk")),
        "train_config": _told(train_config, ("patience",)),
        "path": path,
        "data": data.hexdigest()[:16],
    }


def _note(report: StepReport, steps_per_second: float) -> str:
    return (
        f"loss {report.loss:.4f} · fvu {report.fvu:.4f} · dead {report.dead} · {steps_per_second:.1f} steps/s"
    )


def train(
    embeddings: Embeddings,
    sae_config: SAEConfig,
    train_config: TrainConfig,
    progress: Progress | None = None,
    *,
    rows: npt.ArrayLike | None = None,
    held_out: npt.ArrayLike | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 60.0,
) -> TrainResult:
    """Train a top-k sparse autoencoder on ``embeddings`` (n_documents, d_in), any float type.

    ``embeddings`` is an array, a memory map or a Zarr array; it is read batch by batch. ``rows`` are the
    training rows (None: all that are not held out), ``held_out`` the rows evaluated about 20 times; by them a
    run with ``TrainConfig.patience`` is stopped.
    ``checkpoint`` is a file that a killed run continues from, with the result it would have had; it is
    written every ``checkpoint_seconds`` and at the end. Processes started by ``torchrun`` share each batch and
    return the same result; only the first reports progress and writes the checkpoint. UserError when rows,
    shapes or numbers cannot be trained on, or the checkpoint belongs to another run.
    """
    peers = current()
    if peers.rank > 0:
        progress = None
    report_progress = progress or silent
    trained, evaluated = checked_rows(embeddings, sae_config.d_in, rows, held_out)
    standardisation = standardise(embeddings, trained, evaluated, progress)
    path = choose_path(train_config.path, sae_config, peers)
    stepper = _make_stepper(path, sae_config, train_config, standardisation, embeddings, trained, peers)
    steps = train_config.steps
    history = {name: np.full(steps, np.nan) for name in HISTORY_COLUMNS}
    watch = EarlyStop(train_config.patience) if train_config.patience else None
    first = 0
    description = _run_description(path, sae_config, train_config, trained, evaluated, standardisation)
    resumed = load_checkpoint(checkpoint, description) if checkpoint else None
    if resumed:
        first = int(resumed[0]["steps_done"])
        for name in HISTORY_COLUMNS:
            history[name] = resumed[1].pop(f"history.{name}")
        if watch:
            watch.restore(resumed[1])
        stepper.restore(resumed[1])

    if not peers.agree(first):
        raise UserError(f"Not every process sees the checkpoint {checkpoint}; they must share its folder.")

    def save(steps_done: int) -> None:
        if checkpoint and peers.rank == 0:
            columns = {f"history.{name}": column for name, column in history.items()}
            arrays = stepper.state() | columns | (watch.state() if watch else {})
            save_checkpoint(checkpoint, description | {"steps_done": steps_done}, arrays)

    batches = Batches(embeddings, trained, train_config.batch_size, train_config.seed)
    flops = flops_of_step(sae_config, batches.batch_size)
    evaluate_after = {-(-steps * part // EVALUATIONS) for part in range(1, EVALUATIONS + 1)}
    started = saved = shown = time.monotonic()
    taken = first
    for step in range(first, steps):
        if watch and watch.stops:
            break
        part = peers.part(batches.batch_size)
        x = batches.read(step, part)
        shape = (batches.batch_size, sae_config.d_in)
        noise = noise_codes(train_config.seed, step, shape)[part] if train_config.input_noise else None
        report = stepper.step(x, noise, train_config.learning_rate_at(step))
        taken = done = step + 1
        for name, value in (*vars(report).items(), ("step", done), ("flops", done * flops)):
            history[name][step] = value
        if done in evaluate_after and len(evaluated):
            weights = _weights_of(stepper, standardisation, sae_config.width)
            error = held_out_fvu(stepper, embeddings, evaluated, weights, peers)
            history["held_out_fvu"][step] = error
            if watch:
                watch.see(error, done, stepper.parameters())
        last = done == steps or bool(watch and watch.stops)
        now = time.monotonic()
        if checkpoint and (last or now - saved >= checkpoint_seconds):
            save(done)
            saved = time.monotonic()
        if last or done == first + 1 or now - shown >= 0.2:
            shown = now
            rate = (done - first) / max(now - started, 1e-9)
            report_progress(done, steps, _note(report, rate))
    best = watch.best if watch else None
    with torch.device("meta"):  # no memory for zeros that are replaced at once
        sae = TopKSAE(sae_config)
    learnt = {name: torch.from_numpy(array) for name, array in vars(best or stepper.parameters()).items()}
    sae.load_state_dict(learnt, assign=True)  # the arrays themselves: nothing trains them any more
    if sae_config.batch_topk:
        chosen = evaluated if len(evaluated) >= LEAST_TO_CALIBRATE else trained
        evenly = chosen[:: -(-len(chosen) // MOST_TO_CALIBRATE)]  # a corpus may be sorted
        sae.threshold = _calibrated(sae, standardisation, read_rows(embeddings, evenly))
    history = {name: column[:taken] for name, column in history.items()}
    kept_step = watch.step if watch and best else taken
    return TrainResult(sae, standardisation.mean, standardisation.scale, history, path, kept_step)
