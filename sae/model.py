"""The top-k sparse autoencoder in PyTorch."""

import dataclasses
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sae.config import SAEConfig
from sae.errors import UserError

PARAMETER_NAMES = ("W_enc", "W_dec", "pre_bias", "latent_bias")


def top_k(pre_act: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest entries of each row, largest first; ties go to the lower index.

    ``pre_act`` (rows, n) → values and int64 indices, both (rows, k). ``torch.topk`` breaks ties as it likes,
    so the few rows with a tie at the k-th value are sorted stably instead.
    """
    if k == pre_act.shape[1]:
        values, indices = torch.sort(pre_act, dim=1, descending=True, stable=True)
        return values, indices
    values, indices = torch.topk(pre_act, k, dim=1)
    with torch.no_grad():
        tied = (pre_act >= values[:, -1:]).sum(dim=1) > k
    if bool(tied.any()):
        stable = torch.sort(pre_act[tied].detach(), dim=1, descending=True, stable=True).indices[:, :k]
        indices = indices.clone()
        indices[tied] = stable
        values = pre_act.gather(1, indices)
    return values, indices


def batch_top_k(pre_act: Tensor, count: int) -> Tensor:
    """Latents (rows, n) in which only the ``count`` largest entries of all of ``pre_act`` (rows, n) stay, after
    ReLU; BatchTopK (Bussmann et al. 2024). Entries equal to the smallest that stays do so too."""
    latents = pre_act.relu()
    if count < latents.numel():
        smallest = torch.topk(latents.detach().flatten(), count, sorted=False).values.min()
        latents = latents * (latents >= smallest)
    return latents


class TopKSAE(nn.Module):
    """Untied sparse autoencoder that keeps k latents for each document.

    latents_pre_act = W_enc (z − pre_bias) + latent_bias
    latents = ReLU(top-k(latents_pre_act))
    recons = W_decᵀ latents + pre_bias
    (Gao et al. 2024, section 2; O'Neill et al. 2024, section 3.) ``z`` (n, d_in) is standardised.
    W_enc, W_dec (n_latents, d_in); W_dec has unit rows; pre_bias (d_in,); latent_bias (n_latents,).
    With ``config.batch_topk`` up to 2k latents stay, those not below ``threshold``.
    """

    def __init__(self, config: SAEConfig, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.threshold = 0.0
        n_latents, d_in = config.n_latents, config.d_in
        self.W_enc = nn.Parameter(torch.zeros(n_latents, d_in, dtype=dtype))
        self.W_dec = nn.Parameter(torch.zeros(n_latents, d_in, dtype=dtype))
        self.pre_bias = nn.Parameter(torch.zeros(d_in, dtype=dtype))
        self.latent_bias = nn.Parameter(torch.zeros(n_latents, dtype=dtype))

    def pre_act(self, z: Tensor) -> Tensor:
        """latents_pre_act (n, n_latents) of standardised rows z (n, d_in)."""
        return nn.functional.linear(z - self.pre_bias, self.W_enc, self.latent_bias)

    def encode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``top_acts`` (n, width), largest first, and ``top_indices`` (n, width) int64 of standardised rows z;
        width is k, or 2k with ``batch_topk``."""
        values, indices = top_k(self.pre_act(z), self.config.width)
        values = values.relu()
        return values * (values >= self.threshold), indices

    def decode_directions(self, acts: Tensor, indices: Tensor) -> Tensor:
        """Weighted sum (n, d_in) of decoder directions, without pre_bias."""
        latents = torch.zeros(len(acts), self.config.n_latents, dtype=acts.dtype, device=acts.device)
        return latents.scatter(1, indices, acts) @ self.W_dec

    def decode(self, top_acts: Tensor, top_indices: Tensor) -> Tensor:
        """``recons`` (n, d_in) in standardised units."""
        return self.decode_directions(top_acts, top_indices) + self.pre_bias

    def forward(self, z: Tensor) -> Tensor:
        """Reconstruction (n, d_in) of z (n, d_in)."""
        return self.decode(*self.encode(z))

    def save(self, path: Path | str) -> None:
        """Write weights and config into one safetensors file."""
        tensors = {name: getattr(self, name).detach().cpu().contiguous() for name in PARAMETER_NAMES}
        metadata = {"config": json.dumps(dataclasses.asdict(self.config)), "threshold": repr(self.threshold)}
        save_file(tensors, str(path), metadata=metadata)

    @classmethod
    def load(cls, path: Path | str) -> "TopKSAE":
        """Read what ``save`` wrote. UserError when the file is missing, foreign or of the wrong shape."""
        try:
            with safe_open(str(path), framework="pt") as file:
                metadata = file.metadata() or {}
                fields = json.loads(metadata["config"])
                prefixes = fields.get("prefixes")
                config = SAEConfig(**fields | {"prefixes": tuple(prefixes) if prefixes else None})
                threshold = float(metadata.get("threshold", "0"))
                tensors = {name: file.get_tensor(name) for name in PARAMETER_NAMES}
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is not a sparse autoencoder that `TopKSAE.save` wrote ({error}); name another file."
            ) from error
        sae = cls(config, dtype=tensors["W_enc"].dtype)
        try:
            sae.load_state_dict(tensors)
        except RuntimeError as error:
            raise UserError(
                f"The weights in {path} do not have the shapes of its config; save them again."
            ) from error
        sae.threshold = threshold
        return sae
