"""What a sparse autoencoder is and how it is trained: two frozen records, one sentence a field.

A combination that cannot work is refused when the record is made, with a sentence that names the fields.
"""

from dataclasses import dataclass
from itertools import pairwise

from sae.errors import UserError

TRAINING_PATHS = ("auto", "reference", "fast")


def _refuse_unless(holds: bool, sentence: str) -> None:
    if not holds:
        raise UserError(sentence)


def _require_whole(owner: str, name: str, value: object, least: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    _refuse_unless(
        whole and int(value) >= least,  # type: ignore[call-overload]
        f"{owner}.{name} is {value!r}; it must be a whole number of at least {least}.",
    )


@dataclass(frozen=True)
class SAEConfig:
    """Shape of a top-k sparse autoencoder (Gao et al. 2024; O'Neill et al. 2024, section 3)."""

    d_in: int
    """Number of dimensions of an embedding."""
    n_latents: int
    """Number of latents, each with one encoder row and one decoder direction."""
    k: int
    """Number of latents that stay active for one document."""
    aux_k: int | None = None
    """Number of dead latents that rebuild the residual in the AuxK loss; None means 2k."""
    aux_alpha: float = 1 / 32
    """Weight of the AuxK loss beside the reconstruction loss; 0 switches it off."""
    prefixes: tuple[int, ...] | None = None
    """Matryoshka: numbers of first latents that must each reconstruct alone, ascending, n_latents last, so that
    early latents are general and later ones add detail; None trains all latents together."""
    batch_topk: bool = False
    """BatchTopK: the k · n strongest activations of a batch of n documents stay, k for each on average, 2k at
    most when encoding; afterwards a threshold tells what is active, calibrated on held-out documents."""

    def __post_init__(self) -> None:
        for name in ("d_in", "n_latents", "k"):
            _require_whole("SAEConfig", name, getattr(self, name), 1)
        if self.aux_k is not None:
            _require_whole("SAEConfig", "aux_k", self.aux_k, 1)
        _refuse_unless(
            self.k <= self.n_latents,
            f"SAEConfig has k = {self.k} but n_latents = {self.n_latents}; "
            "choose k no larger than n_latents.",
        )
        _refuse_unless(
            self.aux_alpha >= 0,
            f"SAEConfig.aux_alpha is {self.aux_alpha}; it must be 0 or more.",
        )
        if self.prefixes is not None:
            self._check_prefixes(self.prefixes)

    def _check_prefixes(self, prefixes: tuple[int, ...]) -> None:
        for prefix in prefixes:
            _require_whole("SAEConfig", "prefixes", prefix, 1)
        ascending = all(a < b for a, b in pairwise(prefixes))
        _refuse_unless(
            bool(prefixes) and ascending and prefixes[-1] == self.n_latents,
            f"SAEConfig has prefixes = {prefixes} and n_latents = {self.n_latents}; prefixes ascend, and the "
            "last is n_latents.",
        )

    @property
    def n_aux(self) -> int:
        """``aux_k`` with its default filled in: 2k."""
        return 2 * self.k if self.aux_k is None else self.aux_k

    @property
    def width(self) -> int:
        """Most latents that are active for one document when encoding: k, or 2k with ``batch_topk``."""
        return min(2 * self.k, self.n_latents) if self.batch_topk else self.k

    @property
    def plain(self) -> bool:
        """Whether this is the papers' autoencoder, which both ways of training know."""
        return self.prefixes is None and not self.batch_topk


@dataclass(frozen=True)
class TrainConfig:
    """How a sparse autoencoder is trained."""

    steps: int
    """Number of Adam steps."""
    batch_size: int = 1024
    """Documents in one step; a smaller corpus is used whole in every step."""
    learning_rate: float = 1e-4
    """Adam's step size after warm-up and before the final decay."""
    clip_norm: float = 1.0
    """Gradients are scaled down so that their norm over all parameters stays at most this."""
    dead_after: int | None = None
    """A latent is dead when this many documents passed without activating it; None means one epoch."""
    seed: int = 0
    """Decides initial weights, the order of documents and the noise; same seed, same result."""
    path: str = "auto"
    """``reference`` (PyTorch autograd, any device), ``fast`` (CPU) or ``auto`` (fast without a GPU)."""
    input_noise: float = 0.0
    """Standard deviation, in standardised units, of the Gaussian noise the encoder sees in training."""
    encoder_decay: float = 0.0
    """Decoupled weight decay of the encoder: W_enc shrinks by learning_rate · encoder_decay every step."""
    warmup_steps: int = 0
    """Number of first steps over which the learning rate rises linearly to its full value."""
    final_decay: float = 0.0
    """Share of the steps, at the end, over which the learning rate falls linearly towards 0."""
    encoder_start: float | None = None
    """Length of the encoder's rows at the start; None: reconstructions start at the norm of the inputs."""
    patience: int | None = None
    """Training stops after this many evaluations (20 a run) without a lower held-out error, and the weights at
    the lowest are the result; None: all steps are taken, and the last weights are the result."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            _require_whole("TrainConfig", name, getattr(self, name), 1)
        for name in ("seed", "warmup_steps"):
            _require_whole("TrainConfig", name, getattr(self, name), 0)
        if self.dead_after is not None:
            _require_whole("TrainConfig", "dead_after", self.dead_after, 1)
        if self.patience is not None:
            _require_whole("TrainConfig", "patience", self.patience, 1)
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            _refuse_unless(value > 0, f"TrainConfig.{name} is {value}; it must be more than 0.")
        _refuse_unless(
            self.encoder_start is None or self.encoder_start > 0,
            f"TrainConfig.encoder_start is {self.encoder_start}; it must be more than 0, or None.",
        )
        for name in ("input_noise", "encoder_decay"):
            value = getattr(self, name)
            _refuse_unless(value >= 0, f"TrainConfig.{name} is {value}; it must be 0 or more.")
        _refuse_unless(
            0 <= self.final_decay <= 1,
            f"TrainConfig.final_decay is {self.final_decay}; it is a share of the steps, from 0 to 1.",
        )
        _refuse_unless(
            self.learning_rate * self.encoder_decay < 1,
            f"TrainConfig has learning_rate = {self.learning_rate} and encoder_decay = {self.encoder_decay}; "
            "their product must stay below 1, or a step would turn the encoder round.",
        )
        _refuse_unless(
            self.warmup_steps + self.final_decay * self.steps <= self.steps,
            f"TrainConfig has warmup_steps = {self.warmup_steps} and final_decay = {self.final_decay} "
            f"for steps = {self.steps}; together they must fit into the steps.",
        )
        _refuse_unless(
            self.path in TRAINING_PATHS,
            f"TrainConfig.path is {self.path!r}; it must be one of {', '.join(TRAINING_PATHS)}.",
        )

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step number ``step`` (from 0): linear warm-up, constant, linear final decay."""
        rising = (step + 1) / self.warmup_steps if self.warmup_steps else 1.0
        falling_steps = self.final_decay * self.steps
        falling = (self.steps - step) / falling_steps if falling_steps else 1.0
        return self.learning_rate * min(1.0, rising, falling)
