"""Encoding a corpus with the training step's selection: what ``sae.encode`` selects, several times faster.

Builds encode with this; pages, which encode single queries and do without torch and numba, with ``sae.encode``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from sae.compiled.aligned import aligned_copy
from sae.compiled.kernels import round_rows
from sae.compiled.selector import BATCH_ROWS, Buffers, Selector, has_bfloat16_units
from sae.compiled.topk import order_rows
from sae.encode import FloatArray, IndexArray, Weights

Array = npt.NDArray[Any]


class FastEncoder:
    """Encodes raw embeddings with ``weights``, which must not change.

    ``screen``: select by a bfloat16 product and compute the candidates again in float32, None where the
    processor has bfloat16 units. ``threads``: None for all processors; no result depends on it. One encoder serves
    one thread at a time.
    """

    def __init__(self, weights: Weights, screen: bool | None = None, threads: int | None = None) -> None:
        self.weights, self.threads = weights, threads
        use_screen = has_bfloat16_units() if screen is None else screen
        W_enc = aligned_copy(weights.W_enc, np.float32)
        latent_bias = np.ascontiguousarray(weights.latent_bias, np.float32)
        self.selector = Selector(W_enc, latent_bias, weights.k, screen=use_screen)
        self._buffer = Buffers(np.float32)

    def __call__(self, x: npt.ArrayLike) -> tuple[FloatArray, IndexArray]:
        """Latents of raw embeddings ``x`` (n, d_in), as ``sae.encode.encode`` returns them.

        ``top_acts`` (n, k) float32 from large to small, ``top_indices`` (n, k) int32; equal activations are
        ordered by index. ValueError for another shape.
        """
        rows, weights = np.asarray(x), self.weights
        if rows.ndim != 2 or rows.shape[1] != weights.d_in:
            raise ValueError(f"x has shape {rows.shape}, expected (n, {weights.d_in})")
        top_acts = np.empty((len(rows), weights.k), np.float32)
        top_indices = np.empty((len(rows), weights.k), np.int32)
        for start in range(0, len(rows), BATCH_ROWS):
            batch = slice(start, start + BATCH_ROWS)
            self._encode_batch(rows[batch], top_acts[batch], top_indices[batch])
        return top_acts, top_indices

    def _encode_batch(self, rows: npt.NDArray[Any], top_acts: FloatArray, top_indices: IndexArray) -> None:
        weights, selector, scale = self.weights, self.selector, np.float32(self.weights.scale)
        x = self._buffer("x", rows.shape)

        def centre(part: slice, rounded: Array, norms: Array) -> None:
            np.subtract(rows[part], weights.mean, out=x[part], dtype=np.float32)
            x[part] /= scale
            x[part] -= weights.pre_bias
            if len(rounded):
                round_rows(x[part], rounded, norms)

        def finish(part: slice) -> None:
            order_rows(top_acts[part], top_indices[part])
            if weights.threshold > 0:
                top_acts[part][top_acts[part] < np.float32(weights.threshold)] = 0

        selector.select(x, top_acts, top_indices, self.threads, centre, finish)
