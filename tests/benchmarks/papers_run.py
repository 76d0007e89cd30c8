"""The papers' whole run of their largest autoencoder, on generated embeddings: 15 minutes, not in `make bench`.

    python tests/benchmarks/papers_run.py FOLDER [--documents 150000] [--steps 13200]

Writes the embeddings (150,000 × 1536 float16, 460 MB) and a checkpoint into FOLDER; a second call continues a
run that was broken off. The recipe is the plain one of O'Neill et al. (2024): 1536 → 9216 latents, k 64, batches
of 1024, Adam with learning rate 1e-4. At the end ``papers_run.json`` there, also printed, holds: seconds of
training (a run that was halted and continued counts only the time it ran), steps a second, the fraction of
variance unexplained in training and held out, dead latents along the way, and peak memory. Memory is what the
process itself holds (resident, without pages of files), so the embeddings, a memory map, are not in it;
``mb_above_start`` is its growth since the libraries were loaded.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from sae.config import SAEConfig, TrainConfig
from sae.train import train

D_IN, N_LATENTS, K, BATCH = 1536, 9216, 64, 1024
FIELDS, TOPICS, NOISE_RANK = 60, 4000, 400
ROWS_AT_ONCE = 5000
PAUSE_SECONDS = 10.0
"""A longer silence between two reports means that the process was halted."""


def zipf(n: int, power: float) -> np.ndarray:
    """Probabilities (n,) falling as rank^−power."""
    frequencies = np.arange(1, n + 1) ** -power
    return frequencies / frequencies.sum()


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def write_embeddings(path: Path, n_documents: int, seed: int = 0) -> None:
    """Unit rows (n_documents, D_IN) float16: every document mixes a few topics, mostly of one field.

    A topic's direction is near its field's; fields and topics are common or rare by power laws. A shared mean
    and noise with a falling spectrum are added, so that the covariance looks like that of text embeddings.
    """
    random = np.random.default_rng(seed)
    fields = unit(random.standard_normal((FIELDS, D_IN)))
    field_of = random.choice(FIELDS, TOPICS, p=zipf(FIELDS, 0.7))
    directions = unit(0.6 * fields[field_of] + unit(random.standard_normal((TOPICS, D_IN))))
    directions = directions.astype(np.float32)
    frequency = random.permutation(zipf(TOPICS, 0.9))
    choices = []
    for field in range(FIELDS):  # one in five topics of a document comes from anywhere
        weights = 0.8 * frequency * (field_of == field) / max(frequency[field_of == field].sum(), 1e-12)
        choices.append(np.cumsum(weights + 0.2 * frequency))
    mean = unit(random.standard_normal(D_IN)).astype(np.float32)
    basis = unit(random.standard_normal((NOISE_RANK, D_IN))).astype(np.float32)
    basis *= (np.arange(1, NOISE_RANK + 1, dtype=np.float32) ** -0.5)[:, None]
    basis *= 0.35 / np.sqrt(np.square(basis).sum())
    beside = path.with_suffix(".partial.npy")
    rows = np.lib.format.open_memmap(beside, "w+", np.float16, (n_documents, D_IN))
    common = zipf(FIELDS, 0.7)
    for start in range(0, n_documents, ROWS_AT_ONCE):
        n = min(ROWS_AT_ONCE, n_documents - start)
        mixture = np.zeros((n, TOPICS), np.float32)
        for row, field in enumerate(random.choice(FIELDS, n, p=common)):
            of = choices[field]
            chosen = np.searchsorted(of, random.random(random.integers(4, 13)) * of[-1])
            mixture[row, chosen] = random.gamma(2.0, 0.5, len(chosen))
        mixture /= np.linalg.norm(mixture, axis=1, keepdims=True)
        some = mixture @ directions + 0.5 * mean
        some += random.standard_normal((n, NOISE_RANK), dtype=np.float32) @ basis
        some += 0.1 / np.sqrt(D_IN) * random.standard_normal((n, D_IN), dtype=np.float32)
        rows[start : start + n] = unit(some)
    rows.flush()
    beside.rename(path)


def held_megabytes() -> float:
    """Resident memory of this process that is no file's, in MB (10⁶ bytes); NaN where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(float(line.split()[1]) * 1.024e-3 for line in lines if line.startswith("RssAnon"))


class Watch:
    """Progress on the terminal every half minute, time without pauses, and peak memory; kept in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.start_mb = held_megabytes()
        kept = json.loads(file.read_text()) if file.exists() else {}
        self.seconds, self.peak_mb = kept.get("seconds", 0.0), kept.get("peak_mb", self.start_mb)
        self.above_mb = kept.get("above_mb", 0.0)
        self.last = self.shown = time.monotonic()

    def __call__(self, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if now - self.last < PAUSE_SECONDS:
            self.seconds += now - self.last
        self.last = now
        held = held_megabytes()
        self.peak_mb, self.above_mb = max(self.peak_mb, held), max(self.above_mb, held - self.start_mb)
        if now - self.shown > 30 or done == total:
            self.shown = now
            print(f"{done:6d} of {total}  {self.seconds:7.0f} s  {held:5.0f} MB  {note}", flush=True)
            kept = {"seconds": self.seconds, "peak_mb": self.peak_mb, "above_mb": self.above_mb}
            self.file.write_text(json.dumps(kept))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=150_000)
    parser.add_argument("--steps", type=int, default=13_200)
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"generated_{arguments.documents}.npy"
    if not data.exists():
        print("generating embeddings", flush=True)
        write_embeddings(data, arguments.documents)
    embeddings = np.load(data, mmap_mode="r")
    held_out = np.random.default_rng(1).permutation(len(embeddings))[: len(embeddings) // 50]
    watch = Watch(folder / "watch.json")
    config = SAEConfig(D_IN, N_LATENTS, K)
    recipe = TrainConfig(arguments.steps, BATCH, 1e-4, path="fast")
    result = train(
        embeddings, config, recipe, watch,
        held_out=held_out, checkpoint=folder / "checkpoint.npz", checkpoint_seconds=240,
    )  # fmt: skip
    history = result.history
    last = slice(-max(1, arguments.steps // 100), None)
    shown = np.unique(np.linspace(1, arguments.steps, 34).astype(int))
    measured = {
        "documents": len(embeddings), "steps": arguments.steps,
        "seconds": round(watch.seconds), "steps_per_second": round(arguments.steps / watch.seconds, 2),
        "fvu": round(float(history["fvu"][last].mean()), 4),
        "held_out_fvu": round(float(history["held_out_fvu"][np.isfinite(history["held_out_fvu"])][-1]), 4),
        "dead": {int(step): int(history["dead"][step - 1]) for step in shown},
        "most_dead": int(history["dead"].max()),
        "peak_mb": round(watch.peak_mb), "mb_above_start": round(watch.above_mb),
    }  # fmt: skip
    (folder / "papers_run.json").write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
