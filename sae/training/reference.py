"""Training by plain PyTorch autograd: the definition of a step, on any device."""

from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sae.config import SAEConfig, TrainConfig
from sae.encode import IndexArray
from sae.model import PARAMETER_NAMES, TopKSAE
from sae.training.calibrate import threshold_of
from sae.training.data import FloatArray, Standardisation, normal_quantiles
from sae.training.initialise import Parameters
from sae.training.loss import Losses, batch_losses
from sae.training.peers import ALONE, Peers
from sae.training.stepper import ADAM_BETAS, ADAM_EPSILON, State, StepReport


def remove_parallel_gradient(W_dec: torch.nn.Parameter) -> None:
    """Take from each decoder row's gradient its component along the row.

    The row is renormalised after the step, so that component could only disturb Adam's moments
    (Bricken et al. 2023).
    """
    assert W_dec.grad is not None
    parallel = (W_dec.grad * W_dec.detach()).sum(dim=1, keepdim=True)
    W_dec.grad -= parallel * W_dec.detach()


class ReferenceStepper:
    """A ``Stepper`` that says in PyTorch what a step is.

    ``normaliser`` is the MSE of predicting the mean over the training rows: 1 after standardisation. With
    ``peers``, each process steps with its part of the batch, and all end with the same weights.
    """

    def __init__(
        self,
        sae_config: SAEConfig,
        train_config: TrainConfig,
        standardisation: Standardisation,
        parameters: Parameters,
        dead_after: int,
        device: torch.device | str = "cpu",
        normaliser: float = 1.0,
        peers: Peers = ALONE,
    ) -> None:
        self.peers = peers
        self.train_config = train_config
        self.normaliser = normaliser
        self.dead_after = dead_after
        self.device = torch.device(device)
        dtype = torch.from_numpy(parameters.W_enc[:0]).dtype
        self.sae = TopKSAE(sae_config, dtype=dtype)
        for name in PARAMETER_NAMES:
            getattr(self.sae, name).data.copy_(torch.from_numpy(getattr(parameters, name)))
        self.sae.to(self.device)
        for parameter in self.sae.parameters():
            peers.from_first(parameter.data)
        self.mean = torch.from_numpy(standardisation.mean).to(self.device, dtype)
        self.inverse_scale = float(np.float32(1 / standardisation.scale))
        self.quantiles = torch.from_numpy(normal_quantiles()).to(self.device, dtype)
        self.since_active = torch.zeros(sae_config.n_latents, dtype=torch.int64, device=self.device)
        self.adam = torch.optim.Adam(
            [getattr(self.sae, name) for name in PARAMETER_NAMES],
            lr=train_config.learning_rate,
            betas=ADAM_BETAS,
            eps=ADAM_EPSILON,
        )

    def _standardised(self, rows: npt.NDArray[np.floating]) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(rows)).to(self.device, self.mean.dtype)
        return (x - self.mean) * self.inverse_scale

    def _encoder_input(self, z: Tensor, noise: npt.NDArray[np.uint16] | None) -> Tensor:
        if noise is None:
            return z
        codes = torch.from_numpy(noise.astype(np.int32)).to(self.device)
        return z + self.train_config.input_noise * self.quantiles[codes]

    def gradients(self, rows: npt.NDArray[np.floating], noise: npt.NDArray[np.uint16] | None) -> Losses:
        """Fill every parameter's ``grad`` with that of the loss, before projection and clipping."""
        z = self._standardised(rows)
        n = self.peers.total_count(len(z))
        dead_before = self.since_active + n >= self.dead_after
        noisy = self._encoder_input(z, noise)
        losses = batch_losses(self.sae, z, noisy, self.normaliser, dead_before, n, self.peers)
        self.adam.zero_grad(set_to_none=True)
        losses.total.backward()
        for parameter in self.sae.parameters():
            assert parameter.grad is not None
            self.peers.total(parameter.grad)
        self.since_active += n
        self.since_active[losses.active] = 0
        return losses

    def step(
        self, rows: npt.NDArray[np.floating], noise: npt.NDArray[np.uint16] | None, learning_rate: float
    ) -> StepReport:
        losses = self.gradients(rows, noise)
        remove_parallel_gradient(self.sae.W_dec)
        torch.nn.utils.clip_grad_norm_(self.sae.parameters(), self.train_config.clip_norm)
        for group in self.adam.param_groups:
            group["lr"] = learning_rate
        with torch.no_grad():
            self.sae.W_enc.mul_(1 - learning_rate * self.train_config.encoder_decay)
            self.adam.step()
            self.sae.W_dec.div_(self.sae.W_dec.norm(dim=1, keepdim=True))
        sums = self.peers.total(torch.stack([losses.total, losses.aux, losses.reconstruction]).detach())
        loss, aux_loss, fvu = sums.tolist()
        return StepReport(
            loss=loss,
            aux_loss=aux_loss,
            fvu=fvu,
            dead=int((self.since_active >= self.dead_after).sum()),
        )

    @torch.no_grad()
    def encode(self, rows: npt.NDArray[np.floating]) -> tuple[FloatArray, IndexArray]:
        top_acts, top_indices = self.sae.encode(self._standardised(rows))
        acts = top_acts.cpu().numpy()
        if self.sae.config.batch_topk:  # no threshold is known before the end of training: these rows' own
            acts = acts * (acts >= threshold_of(acts, self.sae.config.k))
        return acts, top_indices.cpu().numpy().astype(np.int32)

    def parameters(self) -> Parameters:
        return Parameters(
            **{name: getattr(self.sae, name).detach().cpu().numpy() for name in PARAMETER_NAMES}
        )

    def state(self) -> State:
        arrays: State = asdict(self.parameters())
        arrays["since_active"] = self.since_active.cpu().numpy()
        for name in PARAMETER_NAMES:
            moments = self.adam.state[getattr(self.sae, name)]
            if moments:
                arrays[f"adam_mean.{name}"] = moments["exp_avg"].cpu().numpy()
                arrays[f"adam_square.{name}"] = moments["exp_avg_sq"].cpu().numpy()
                arrays["adam_steps"] = np.array(int(moments["step"]))
        return arrays

    def restore(self, state: State) -> None:
        for name in PARAMETER_NAMES:
            parameter = getattr(self.sae, name)
            parameter.data.copy_(torch.from_numpy(state[name]))
            if "adam_steps" in state:
                self.adam.state[parameter] = {
                    "step": torch.tensor(float(state["adam_steps"])),
                    "exp_avg": torch.from_numpy(state[f"adam_mean.{name}"]).to(self.device),
                    "exp_avg_sq": torch.from_numpy(state[f"adam_square.{name}"]).to(self.device),
                }
        self.since_active.copy_(torch.from_numpy(state["since_active"]))
