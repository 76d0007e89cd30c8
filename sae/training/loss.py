"""Losses of a sparse autoencoder, in PyTorch: reconstruction and AuxK."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sae.model import TopKSAE, batch_top_k, top_k
from sae.training.peers import ALONE, Peers

NO_VARIANCE = 1e-10
"""A residual whose variance is a smaller share of its mean square is one row over and over, rounded."""


@dataclass(frozen=True)
class Losses:
    """What one batch says. ``total`` = reconstruction + aux_alpha · aux; scalars that carry gradients. With peers,
    each process holds its documents' part of the first three: theirs added up are the batch's."""

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


def aux_k_loss(
    sae: TopKSAE, pre_act: Tensor, residual: Tensor, dead: Tensor, n: int | None = None, peers: Peers = ALONE
) -> Tensor:
    """AuxK (Gao et al. 2024, appendix A.2): the dead latents rebuild what the live ones left over.

    ``pre_act`` (rows, n_latents); ``residual`` (rows, d_in) = z − recons, taken as a constant; ``dead``
    (n_latents,) bool; ``n``: documents of the batch over all ``peers``. The MSE is divided by the variance of
    this batch's residual. 0 without gradient when nothing is dead or the residual has no variance, so that it
    is never NaN.
    """
    n_aux = min(sae.config.n_aux, int(dead.sum()))
    entries = (len(residual) if n is None else n) * residual.shape[1]
    residual = residual.detach()
    nothing = torch.zeros((), dtype=residual.dtype, device=residual.device)
    if n_aux == 0 or sae.config.aux_alpha == 0:
        return nothing
    mean = peers.total(residual.sum(dim=0)) / (entries // residual.shape[1])
    sums = torch.stack([(residual - mean).square().sum(), residual.square().sum()])
    variance, mean_square = peers.total(sums) / entries
    if float(variance) <= NO_VARIANCE * float(mean_square):
        return nothing
    dead_latents = dead.nonzero().squeeze(1)
    values, positions = top_k(pre_act[:, dead_latents], n_aux)
    recons = sae.decode_directions(values.relu(), dead_latents[positions])
    return (recons - residual).square().sum() / entries / variance


def selected(sae: TopKSAE, pre_act: Tensor) -> Tensor:
    """Latents (n, n_latents) of a training batch: top-k for each document, or BatchTopK for the batch."""
    if sae.config.batch_topk:
        return batch_top_k(pre_act, sae.config.k * len(pre_act))
    values, indices = top_k(pre_act, sae.config.k)
    return torch.zeros_like(pre_act).scatter(1, indices, values.relu())


def prefix_recons(sae: TopKSAE, latents: Tensor) -> list[Tensor]:
    """Reconstructions (n, d_in) by the first latents alone, for each of ``SAEConfig.prefixes``, all latents last
    (Matryoshka: Bussmann et al. 2025). Each adds its own latents to the one before."""
    recons, parts, start = sae.pre_bias.expand(len(latents), -1), [], 0
    for stop in sae.config.prefixes or (sae.config.n_latents,):
        recons = recons + latents[:, start:stop] @ sae.W_dec[start:stop]
        parts.append(recons)
        start = stop
    return parts


def batch_losses(
    sae: TopKSAE,
    z: Tensor,
    encoder_input: Tensor,
    normaliser: float,
    dead_before: Tensor,
    n: int | None = None,
    peers: Peers = ALONE,
) -> Losses:
    """Losses of one batch of ``n`` documents, all of them here (None), or a part in each of the ``peers``.

    ``z`` (rows, d_in) standardised rows, the target; ``encoder_input`` (rows, d_in): z, or z plus noise, which
    selects the latents and carries the encoder's gradient; ``normaliser``: MSE of predicting the mean over
    the training rows, computed once; ``dead_before`` (n_latents,) bool: latents that would count as dead
    if this batch does not activate them. With prefixes the total holds the mean of their errors, while
    ``reconstruction`` stays that of all latents.
    """
    pre_act = sae.pre_act(encoder_input)
    latents = selected(sae, pre_act)
    active = peers.total((latents.detach() > 0).any(dim=0).float()) > 0
    recons = prefix_recons(sae, latents)
    entries = (len(z) if n is None else n) * z.shape[1]
    errors = [(part - z).square().sum() / entries / normaliser for part in recons]
    aux = aux_k_loss(sae, pre_act, z - recons[-1], dead_before & ~active, n, peers)
    total = torch.stack(errors).mean() + sae.config.aux_alpha * aux
    return Losses(total, errors[-1], aux, active)
