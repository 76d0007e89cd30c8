"""How fast a training step is on this machine, as ratios.

``python tests/benchmarks/training_step.py [--one-thread] [SHAPE …]`` measures three things in turn at each
shape: the encoder's float32 product alone, which no method avoids; a plain PyTorch step (dense latents, dense
gradients, default Adam); and the fast step, in float32 and, where the processor has bfloat16 units, with the
bfloat16 screen; without dead latents and with a tenth dead. Four batches follow one another: steps over one alone make
its activations alike, as no training does. ``--one-thread`` gives processor time on one thread instead of time on the
clock on all, for machines that others use at the same time.
"""

import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from sae.compiled.fast import FastStepper
from sae.compiled.selector import has_bfloat16_units
from sae.config import SAEConfig, TrainConfig
from sae.model import TopKSAE
from sae.training.data import FloatArray, Standardisation, standardise
from sae.training.initialise import Parameters, initial_parameters

SHAPES = {
    "384x768": SAEConfig(384, 768, 8),
    "384x1536": SAEConfig(384, 1536, 16),
    "384x3072": SAEConfig(384, 3072, 32),
    "1536x3072": SAEConfig(1536, 3072, 16),
    "1536x9216": SAEConfig(1536, 9216, 64),
}
BATCH = 1024
DEAD_AFTER = 2**40


class PlainStep:
    """The step as anyone would first write it in PyTorch: the same work and losses, dense everything, default Adam.

    It standardises the raw rows and keeps count of when each latent was last active, as the fast step does; a
    latent counts as dead after ``DEAD_AFTER`` documents, and those in ``dead`` always.
    """

    def __init__(
        self, config: SAEConfig, parameters: Parameters, standard: Standardisation, dead: FloatArray
    ) -> None:
        self.sae, self.always_dead = TopKSAE(config), torch.from_numpy(dead)
        self.sae.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in vars(parameters).items()})
        self.mean, self.scale = torch.from_numpy(standard.mean), standard.scale
        self.since_active = torch.zeros(config.n_latents, dtype=torch.int64)
        self.adam = torch.optim.Adam(self.sae.parameters(), lr=1e-4)

    def __call__(self, rows: torch.Tensor) -> None:
        sae, config = self.sae, self.sae.config
        z = (rows - self.mean) / self.scale
        pre_act = sae.pre_act(z)
        values, indices = torch.topk(pre_act, config.k, dim=1)
        latents = torch.zeros_like(pre_act).scatter(1, indices, values.relu())
        recons = latents @ sae.W_dec + sae.pre_bias
        loss = (recons - z).square().mean()
        self.since_active += len(z)
        self.since_active[indices[values > 0]] = 0  # cheaper than asking the dense latents
        self.since_active[self.always_dead] = DEAD_AFTER
        dead = self.since_active >= DEAD_AFTER
        if dead.any():
            residual = (z - recons).detach()
            values, indices = torch.topk(pre_act.masked_fill(~dead, -torch.inf), config.n_aux, dim=1)
            rebuilt = torch.zeros_like(pre_act).scatter(1, indices, values.relu()) @ sae.W_dec
            variance = (residual - residual.mean(0)).square().mean()
            loss = loss + config.aux_alpha * (rebuilt - residual).square().mean() / variance
        self.adam.zero_grad()
        loss.backward()
        with torch.no_grad():
            gradient = sae.W_dec.grad
            assert gradient is not None
            gradient -= (gradient * sae.W_dec).sum(1, keepdim=True) * sae.W_dec
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        self.adam.step()
        with torch.no_grad():
            sae.W_dec.div_(sae.W_dec.norm(dim=1, keepdim=True))


def clustered(n_documents: int, d_in: int) -> FloatArray:
    """Unit rows (n_documents, d_in) around topics and subtopics."""
    rng = np.random.default_rng(0)
    topics = rng.standard_normal((60, d_in)) + 0.5 * rng.standard_normal(d_in)
    subtopics = 0.6 * rng.standard_normal((600, d_in))
    rows = topics[rng.integers(0, 60, n_documents)] + subtopics[rng.integers(0, 600, n_documents)]
    rows += 0.8 * rng.standard_normal((n_documents, d_in))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def milliseconds(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> list[float]:
    """Times of ``repeats`` calls after two to warm up."""
    call()
    call()
    times = []
    for _ in range(repeats):
        started = clock()
        call()
        times.append(1e3 * (clock() - started))
    return times


def fast_step(
    config: SAEConfig,
    x: FloatArray,
    standard: Standardisation,
    start: Parameters,
    dead: FloatArray,
    screen: bool,
    threads: int,
) -> Callable[[], object]:
    """A fast step over the next batch of x, in which exactly the latents ``dead`` count as dead."""
    stepper = FastStepper(config, TrainConfig(1), standard, start, DEAD_AFTER, screen=screen, threads=threads)
    batches = cycle(np.split(x, len(x) // BATCH))

    def step() -> None:
        stepper.since_active[dead] = DEAD_AFTER
        stepper.step(next(batches), None, 1e-4)

    return step


def measure(config: SAEConfig, one_thread: bool, repeats: int = 9) -> dict[str, float]:
    """Median milliseconds at one shape; every round takes each contender once, so that noise is shared."""
    x = clustered(4 * BATCH, config.d_in)
    rows = np.arange(len(x))
    standard = standardise(x, rows, rows[:0])
    start = initial_parameters(config, x, rows, standard, 0)
    dead = np.zeros(config.n_latents, bool)
    dead[np.random.default_rng(1).permutation(config.n_latents)[: config.n_latents // 10]] = True
    none = np.zeros_like(dead)
    sleeping = Parameters(**{name: array.copy() for name, array in vars(start).items()})
    sleeping.W_enc[dead] *= 0.01
    z = torch.from_numpy(standard.apply(x[:BATCH]))
    product, W_enc = torch.empty(BATCH, config.n_latents), torch.from_numpy(start.W_enc)
    contenders: dict[str, Callable[[], object]] = {
        "product": lambda: torch.mm(z, W_enc.t(), out=product),
    }
    for case, mask, parameters in (("", none, start), (", 10 % dead", dead, sleeping)):
        plain = PlainStep(config, parameters, standard, mask)
        batches = cycle(torch.from_numpy(x).split(BATCH))
        contenders["plain" + case] = lambda plain=plain, batches=batches: plain(next(batches))
        for screen in (False, True)[: 1 + has_bfloat16_units()]:
            name = ("screen" if screen else "float32") + case
            contenders[name] = fast_step(
                config, x, standard, parameters, mask, screen, 1 if one_thread else torch.get_num_threads()
            )
    clock = time.process_time if one_thread else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(3):
        for name, call in contenders.items():
            times[name] += milliseconds(call, repeats // 3, clock)
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Print one line a contender: milliseconds, step over product, plain over step."""
    one_thread = "--one-thread" in sys.argv
    if one_thread:
        torch.set_num_threads(1)
    for shape in [name for name in sys.argv[1:] if name in SHAPES] or SHAPES:
        config = SHAPES[shape]
        medians = measure(config, one_thread)
        print(f"\n{config.d_in} × {config.n_latents}, k {config.k}, batch {BATCH}")
        print(f"{'':24}{'ms':>9}{'step/product':>15}{'plain/step':>13}")
        for name, value in medians.items():
            case = name[name.index(",") :] if "," in name else ""
            plain = medians["plain" + case]
            print(f"{name:24}{value:9.2f}{value / medians['product']:15.2f}{plain / value:13.1f}")


if __name__ == "__main__":
    main()
