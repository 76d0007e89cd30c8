"""Losses of a sparse autoencoder, in PyTorch: reconstruction and AuxK."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sae.model import TopKSAE, top_k

NO_VARIANCE = 1e-10
"""A residual whose variance is a smaller share of its mean square is one row over and over, rounded."""


@dataclass(frozen=True)
class Losses:
    """What one batch says. ``total`` = reconstruction + aux_alpha · aux; scalars that carry gradients."""

    total: Tensor
    reconstruction: Tensor
    aux: Tensor
    active: Tensor
    """(n_latents,) bool: latents with an activation above 0 in this batch."""


def mse(recons: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over all entries of (n, d_in)."""
    return (recons - target).square().mean()


def mse_of_mean(target: Tensor) -> Tensor:
    """Mean squared error of predicting the mean row of ``target`` (n, d_in): its mean variance."""
    return (target - target.mean(dim=0)).square().mean()


def fvu(recons: Tensor, target: Tensor) -> Tensor:
    """Fraction of variance unexplained: MSE over the MSE of predicting the mean."""
    return mse(recons, target) / mse_of_mean(target)


def aux_k_loss(sae: TopKSAE, pre_act: Tensor, residual: Tensor, dead: Tensor) -> Tensor:
    """AuxK (Gao et al. 2024, appendix A.2): the dead latents rebuild what the live ones left over.

    ``pre_act`` (n, n_latents); ``residual`` (n, d_in) = z − recons, taken as a constant; ``dead``
    (n_latents,) bool. The MSE is divided by the variance of this batch's residual. 0 without gradient when
    nothing is dead or the residual has no variance, so that it is never NaN.
    """
    n_aux = min(sae.config.n_aux, int(dead.sum()))
    residual = residual.detach()
    variance = mse_of_mean(residual)
    constant = float(variance) <= NO_VARIANCE * float(residual.square().mean())
    if n_aux == 0 or sae.config.aux_alpha == 0 or constant:
        return torch.zeros((), dtype=residual.dtype, device=residual.device)
    dead_latents = dead.nonzero().squeeze(1)
    values, positions = top_k(pre_act[:, dead_latents], n_aux)
    recons = sae.decode_directions(values.relu(), dead_latents[positions])
    return mse(recons, residual) / variance


def batch_losses(
    sae: TopKSAE, z: Tensor, encoder_input: Tensor, normaliser: float, dead_before: Tensor
) -> Losses:
    """Losses of one batch.

    ``z`` (n, d_in) standardised rows, the target; ``encoder_input`` (n, d_in): z, or z plus noise, which
    selects the latents and carries the encoder's gradient; ``normaliser``: MSE of predicting the mean over
    the training rows, computed once; ``dead_before`` (n_latents,) bool: latents that would count as dead
    if this batch does not activate them.
    """
    pre_act = sae.pre_act(encoder_input)
    values, indices = top_k(pre_act, sae.config.k)
    acts = values.relu()
    recons = sae.decode(acts, indices)
    active = torch.zeros(sae.config.n_latents, dtype=torch.bool, device=z.device)
    active[indices[acts > 0]] = True
    reconstruction = mse(recons, z) / normaliser
    aux = aux_k_loss(sae, pre_act, z - recons, dead_before & ~active)
    return Losses(reconstruction + sae.config.aux_alpha * aux, reconstruction, aux, active)
