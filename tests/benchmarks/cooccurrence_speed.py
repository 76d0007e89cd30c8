"""C and D of a large corpus against the dense product AᵀA, as a ratio.

    python tests/benchmarks/cooccurrence_speed.py [n_documents n_latents k]

The dense product is timed on slices of documents in the same run and extrapolated: its time is proportional to
the documents. Ours counts C and D, whose rows are handed on part by part and summed; neither is written to a disk.
Peak memory is that of the process without pages of files, above what it held once the latents were loaded.
"""

import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from papers_run import held_megabytes, zipf  # noqa: E402

from sae.structure.cooccurrence import active_entries, cooccurrence_rows  # noqa: E402

SLICE = 4096


def latents(n_documents: int, n_latents: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """``top_acts`` float16, ``top_indices`` int32 (n_documents, k): common and rare features of 60 fields."""
    rng = np.random.default_rng(0)
    frequency = rng.permutation(zipf(n_latents, 0.7))
    field_of = rng.integers(0, 60, n_latents)
    top_indices = np.empty((n_documents, k), np.int32)
    for start in range(0, n_documents, 4000):
        rows = slice(start, min(start + 4000, n_documents))
        likely = np.cumsum(frequency * (0.1 + (field_of == rng.integers(0, 60))))
        drawn = np.searchsorted(likely, rng.random((rows.stop - start, 4 * k), np.float32) * likely[-1])
        drawn = np.sort(np.minimum(drawn, n_latents - 1), axis=1)
        order = rng.random(drawn.shape, np.float32)
        order[:, 1:] += drawn[:, 1:] == drawn[:, :-1]  # those drawn twice come last
        chosen = np.argpartition(order, k, axis=1)[:, :k]
        top_indices[rows] = np.take_along_axis(drawn, chosen, axis=1)
    return rng.gamma(2.0, 1.0, top_indices.shape).astype(np.float16), top_indices


class PeakMemory:
    """Highest ``held_megabytes`` while the block runs."""

    def __enter__(self) -> "PeakMemory":
        self.peak, self._running = held_megabytes(), True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while self._running:
            self.peak = max(self.peak, held_megabytes())
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        self._running = False
        self._thread.join()


def dense_seconds(top_indices: np.ndarray, n_latents: int) -> float:
    """Seconds of AᵀA over all documents, float32, from the median of three slices."""
    times = []
    for start in (0, SLICE, 2 * SLICE):
        part = torch.from_numpy(top_indices[start : start + SLICE].astype(np.int64))
        active = torch.zeros(len(part), n_latents).scatter_(1, part, 1.0)
        product = torch.zeros(n_latents, n_latents)
        started = time.perf_counter()
        product.addmm_(active.t(), active)
        times.append((time.perf_counter() - started) / len(part))
    return float(np.median(times)) * len(top_indices)


def count(top_acts: np.ndarray, top_indices: np.ndarray, n_latents: int) -> tuple[int, int]:
    """Entries of C and D, which pass by, and the sum of C; AssertionError where a pair was not counted."""
    entries = pairs = 0
    for part in cooccurrence_rows(active_entries(top_acts, top_indices, n_latents)):
        entries += len(part.features)
        pairs += int(part.counts.sum())
    n_documents, k = top_indices.shape
    if pairs != n_documents * k * (k - 1):
        raise AssertionError(f"{pairs} pairs were counted, not {n_documents * k * (k - 1)}")
    return entries, pairs


def measure(n_documents: int, n_latents: int, k: int) -> dict[str, float]:
    top_acts, top_indices = latents(n_documents, n_latents, k)
    count(top_acts[:50], top_indices[:50], n_latents)  # compiles
    result = {}
    base = held_megabytes()
    with PeakMemory() as memory:
        started = time.perf_counter()
        entries, _ = count(top_acts, top_indices, n_latents)
        result["seconds"] = time.perf_counter() - started
    result["mb_above_base"] = memory.peak - base
    result["share_of_pairs"] = entries / n_latents**2
    result["dense_seconds"] = dense_seconds(top_indices, n_latents)
    result["ratio"] = result["dense_seconds"] / result["seconds"]
    return result


if __name__ == "__main__":
    shape = [int(word) for word in sys.argv[1:4]] or [272_000, 9216, 64]
    for name, value in measure(*shape).items():
        print(f"{name:20} {value:10.2f}")
