"""First weights of a sparse autoencoder (Gao et al. 2024, appendix A.1)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae.config import SAEConfig
from sae.encode import top_k
from sae.training.data import Embeddings, FloatArray, RowArray, Standardisation, read_rows, start_generator

MEDIAN_ROWS = 4096
"""Sample from which the geometric median is taken."""
MAGNITUDE_ROWS = 1024
"""Sample from which the magnitude of the encoder rows is taken."""


@dataclass
class Parameters:
    """The four trained arrays of an autoencoder as NumPy arrays; shapes as in ``TopKSAE``."""

    W_enc: npt.NDArray[np.floating]
    W_dec: npt.NDArray[np.floating]
    pre_bias: npt.NDArray[np.floating]
    latent_bias: npt.NDArray[np.floating]


def geometric_median(points: npt.NDArray[np.floating], iterations: int = 100) -> npt.NDArray[np.float64]:
    """Point (d,) with the least sum of distances to ``points`` (n, d): Weiszfeld's algorithm.

    Starts from the mean; stops when a step moves less than 1e-7 of the mean distance.
    """
    exact = points.astype(np.float64)
    median = exact.mean(axis=0)
    for _ in range(iterations):
        distances = np.linalg.norm(exact - median, axis=1)
        weights = 1 / np.maximum(distances, 1e-12 + 1e-9 * distances.mean())
        moved = weights @ exact / weights.sum()
        shift = float(np.linalg.norm(moved - median))
        median = moved
        if shift <= 1e-7 * distances.mean():
            break
    return median


def encoder_magnitude(centred: FloatArray, W_dec: FloatArray, k: int) -> float:
    """Length of the encoder rows with which reconstructions start at the norm of the inputs.

    ``centred`` (n, d_in) = z − pre_bias. Latents, and so reconstructions, grow in proportion to the length
    of encoder rows parallel to W_dec (n_latents, d_in): the ratio of mean norms is the length.
    """
    values, indices = top_k(centred @ W_dec.T, k)
    recons = np.stack([acts @ W_dec[chosen] for acts, chosen in zip(values, indices, strict=True)])
    start = float(np.linalg.norm(recons, axis=1).mean())
    wanted = float(np.linalg.norm(centred, axis=1).mean())
    return wanted / start if start > 0 and wanted > 0 else 1.0


def initial_parameters(
    config: SAEConfig,
    embeddings: Embeddings,
    rows: RowArray,
    standardisation: Standardisation,
    seed: int,
    encoder_start: float | None = None,
) -> Parameters:
    """First weights in float32: random unit decoder rows, encoder rows parallel to them, pre_bias the
    geometric median of a sample of the standardised training rows, latent_bias 0. ``encoder_start``: length
    of the encoder rows, None for ``encoder_magnitude`` of a sample."""
    random = start_generator(seed)
    sample = np.sort(random.choice(rows, min(MEDIAN_ROWS, len(rows)), replace=False))
    z = standardisation.apply(read_rows(embeddings, sample))
    pre_bias = geometric_median(z).astype(np.float32)
    W_dec = random.standard_normal((config.n_latents, config.d_in), dtype=np.float32)
    W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    some = random.choice(len(z), min(MAGNITUDE_ROWS, len(z)), replace=False)
    magnitude = encoder_start or encoder_magnitude(z[some] - pre_bias, W_dec, config.k)
    return Parameters(
        W_enc=W_dec * np.float32(magnitude),
        W_dec=W_dec,
        pre_bias=pre_bias,
        latent_bias=np.zeros(config.n_latents, np.float32),
    )
