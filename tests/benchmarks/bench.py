"""`make bench`: speed on this machine as ratios, into docs/benchmarks.md with a chart. Three minutes on two cores.

    python tests/benchmarks/bench.py [--out docs]

Every ratio is of medians, of contenders that took turns in the same run.
"""

import argparse
import datetime
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import cooccurrence_speed  # noqa: E402
import training_step  # noqa: E402
from bench_page import Row, machine, write_page  # noqa: E402
from growth import growth, weights_of  # noqa: E402
from papers_run import held_megabytes  # noqa: E402

from sae.compiled.fast_encode import FastEncoder  # noqa: E402
from sae.compiled.selector import has_bfloat16_units  # noqa: E402
from sae.config import SAEConfig, TrainConfig  # noqa: E402
from sae.train import train  # noqa: E402

LARGE = SAEConfig(1536, 9216, 64)


def memory_row() -> Row:
    """Peak memory of a short training above what is held with libraries and data loaded."""
    x = training_step.clustered(4096, LARGE.d_in)
    base = held_megabytes()
    with cooccurrence_speed.PeakMemory() as memory:
        train(x, LARGE, TrainConfig(12, path="fast"), held_out=np.arange(256))
    return Row("training, peak memory above data, MB", "1536×9216, k 64", memory.peak - base, 700, None, "≤")


def step_rows() -> list[Row]:
    """Training steps against the product and the plain step; both ways of computing the product."""
    rows = []
    ways = ("screen", "float32") if has_bfloat16_units() else ("float32",)
    for shape in ("1536x9216", "1536x3072", "384x3072"):
        config = training_step.SHAPES[shape]
        times = training_step.measure(config, one_thread=False, repeats=18)
        named = f"{config.d_in}×{config.n_latents}, k {config.k}"
        for way in ways:
            words = "bfloat16 screen" if way == "screen" else "float32 only"
            step, dead = times[way], times[way + ", 10 % dead"]
            if shape == "1536x9216":
                must, aim = (1.10, 0.80) if way == "screen" else (1.75, 1.60)
                product = times["product"]
                rows.append(Row(f"step / product, {words}", named, step / product, must, aim, "≤"))
                if way == "screen":
                    rows.append(
                        Row(f"step, 10 % dead / product, {words}", named, dead / product, 1.90, 1.30, "≤")
                    )
            must, aim = (12.0, 16.0) if shape == "1536x9216" else (9.0, 15.0)
            best = way == ways[0]
            rows.append(
                Row(f"plain / step, {words}", named, times["plain"] / step, must if best else None, aim, "≥")
            )
            plain = times["plain, 10 % dead"]
            rows.append(
                Row(
                    f"plain / step, 10 % dead, {words}", named, plain / dead, 6.0 if best else None, 10.0, "≥"
                )
            )
        print({name: round(value, 1) for name, value in times.items()}, flush=True)
    return rows


def median_seconds(calls: list[Callable[[], object]], rounds: int = 7) -> list[float]:
    """Median seconds of each call, taking turns; a pause lets PyTorch's threads stop spinning."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 1):
        for call, kept in zip(calls, times, strict=True):
            time.sleep(0.02)
            started = time.perf_counter()
            call()
            if number:
                kept.append(time.perf_counter() - started)
    return [float(np.median(kept)) for kept in times]


def encode_row() -> Row:
    """Rows a second of the corpus encoder over a dense linear layer with torch.topk; the sets must agree."""
    x = training_step.clustered(4096, LARGE.d_in)
    weights = weights_of(LARGE, x)
    encoder = FastEncoder(weights)
    W_enc, latent_bias = torch.from_numpy(weights.W_enc), torch.from_numpy(weights.latent_bias)
    bias, mean = torch.from_numpy(weights.pre_bias), torch.from_numpy(weights.mean)

    def dense() -> np.ndarray:
        found = []
        for start in range(0, len(x), 1024):
            z = (torch.from_numpy(x[start : start + 1024]) - mean) / weights.scale - bias
            values, indices = torch.topk(torch.nn.functional.linear(z, W_enc, latent_bias), weights.k)
            found.append((values.relu(), indices))
        return torch.cat([indices for _, indices in found]).numpy()

    different = (np.sort(dense(), axis=1) != np.sort(encoder(x)[1], axis=1)).any(axis=1).sum()
    theirs, ours = median_seconds([dense, lambda: encoder(x)])
    what = f"encode: rows/s over dense linear + topk ({different} of {len(x)} sets differ)"
    return Row(what, "1536×9216, k 64", theirs / ours, 3.0, None, "≥")


def cooccurrence_rows() -> list[Row]:
    # A process of its own: memory freed by what ran before would hide what is taken.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        found = process.submit(cooccurrence_speed.measure, 272_000, 9216, 64).result()
    shape = "272,000 documents, 9216, k 64"
    print({name: round(value, 2) for name, value in found.items()}, flush=True)
    return [
        Row("C: dense product / ours (C and D)", shape, found["ratio"], 40.0, None, "≥"),
        Row("C: peak memory above the latents, MB", shape, found["mb_above_base"], 700, None, "≤"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "docs")
    out = parser.parse_args().out
    started = time.perf_counter()
    rows = [memory_row()]
    rows = [*step_rows(), *rows, encode_row(), *cooccurrence_rows()]
    page = write_page(out, rows, growth(), time.perf_counter() - started, machine(), datetime.date.today())
    print(page)


if __name__ == "__main__":
    main()
