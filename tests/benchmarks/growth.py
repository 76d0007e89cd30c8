"""How step, encode and co-occurrence grow as documents, latents and k double.

    python tests/benchmarks/growth.py

Two doublings of each; `make bench` writes them into docs/benchmarks.md.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import cooccurrence_speed  # noqa: E402
import training_step  # noqa: E402

from sae.compiled.fast import FastStepper  # noqa: E402
from sae.compiled.fast_encode import FastEncoder  # noqa: E402
from sae.config import SAEConfig, TrainConfig  # noqa: E402
from sae.encode import Weights  # noqa: E402
from sae.training.data import FloatArray, Standardisation, standardise  # noqa: E402
from sae.training.initialise import Parameters, initial_parameters  # noqa: E402

D_IN = 768
SHAPES = {
    "latents": [(n, 32, 1024) for n in (2304, 4608, 9216)],
    "k": [(4608, k, 1024) for k in (16, 32, 64)],
    "documents": [(4608, 32, n) for n in (512, 1024, 2048)],
}
"""n_latents, k, documents of a batch. An encoder gets twice as many, whole batches of its own;
the co-occurrence forty times."""
LEAST_SECONDS = 0.02
"""A turn takes at least so long: shorter calls are repeated in it."""

Growth = list[tuple[str, str, list[float]]]


def turns(calls: list[Callable[[], object]], rounds: int = 7, warm: bool = True) -> list[float]:
    """Median milliseconds of each call, taking turns of at least LEAST_SECONDS.

    ``warm``: what the others have put into the caches is no part of it, since every turn begins with a call that
    does not count. Nor is what is compiled or allocated once: the first round does not count. A pause before each
    turn lets PyTorch's threads stop spinning.
    """
    times: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 1):
        for call, kept in zip(calls, times, strict=True):
            time.sleep(0.02)
            if warm:
                call()
            done, started = 0, time.perf_counter()
            while (spent := time.perf_counter() - started) < LEAST_SECONDS or not done:
                call()
                done += 1
            if number:
                kept.append(1e3 * spent / done)
    return [float(np.median(kept)) for kept in times]


def start_of(config: SAEConfig, x: FloatArray) -> tuple[Standardisation, Parameters]:
    """What training begins with on all of ``x``."""
    rows = np.arange(len(x))
    standard = standardise(x, rows, rows[:0])
    return standard, initial_parameters(config, x, rows, standard, 0)


def weights_of(config: SAEConfig, x: FloatArray) -> Weights:
    standard, start = start_of(config, x)
    return Weights(**vars(start), mean=standard.mean, scale=standard.scale, k=config.k)


def _stepping(config: SAEConfig, x: FloatArray) -> Callable[[], object]:
    stepper = FastStepper(
        config, TrainConfig(1), *start_of(config, x), 2**40, threads=torch.get_num_threads()
    )
    return lambda: stepper.step(x, None, 1e-4)


def _encoding(config: SAEConfig, x: FloatArray) -> Callable[[], object]:
    encoder = FastEncoder(weights_of(config, x))
    return lambda: encoder(x)


def _counting(n_documents: int, n_latents: int, k: int) -> Callable[[], object]:
    latents = cooccurrence_speed.latents(n_documents, n_latents, k)
    return lambda: cooccurrence_speed.count(*latents, n_latents)


def growth() -> Growth:
    """(what, what doubles, milliseconds at 1, 2 and 4 times) of step, encode and co-occurrence."""
    table: Growth = []
    x = training_step.clustered(2 * 2048, D_IN)
    for doubles, shapes in SHAPES.items():
        configs = [(SAEConfig(D_IN, n_latents, k), n) for n_latents, k, n in shapes]
        table += [
            ("step", doubles, turns([_stepping(config, x[:n]) for config, n in configs])),
            ("encode", doubles, turns([_encoding(config, x[: 2 * n]) for config, n in configs])),
            ("co-occurrence", doubles,
             turns([_counting(40 * n, n_latents, k) for n_latents, k, n in shapes], 5, warm=False)),
        ]  # fmt: skip
    return table


if __name__ == "__main__":
    for what, doubles, times in growth():
        cells = "".join(f"{value:9.1f}" for value in times)
        print(f"{what:14} {doubles:10}{cells}  {times[1] / times[0]:5.2f} {times[2] / times[1]:5.2f}")
