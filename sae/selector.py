"""The encoder's product and the selection of its k largest entries, for a piece of a batch, on one thread."""

import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sae import kernels, topk

Array = npt.NDArray[Any]


def has_bfloat16_units() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware (AMX)."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported and supported())


class Buffers:
    """Arrays that are made once and used again; their content is what was left there."""

    def __init__(self, dtype: type[np.floating]) -> None:
        self.dtype = dtype
        self._held: dict[str, Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.zeros(size, self.dtype if dtype is None else dtype)
        return held[:size].reshape(shape)

    def own(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """The same, one for each thread."""
        return self(f"{name}.{threading.get_ident()}", shape, dtype)


def _bfloat16(bits: Array) -> torch.Tensor:
    return torch.from_numpy(bits).view(torch.bfloat16)


class Selector:
    """Finds top_acts, top_indices of centred inputs for ``W_enc`` (n, d_in), ``latent_bias`` (n,).

    The arrays are kept, not copied: they may change between calls. With ``screen`` the product is done in
    bfloat16, and the few entries that may belong to the result are computed again in float32; rows for which
    the result is not certified are done in float32 altogether, and counted in ``uncertain_rows``.
    """

    def __init__(self, W_enc: Array, latent_bias: Array, k: int, *, screen: bool) -> None:
        self.W_enc, self.latent_bias, self.k, self.screen = W_enc, latent_bias, k, screen
        self.block_length = topk.block_length(len(W_enc), k)
        self.uncertain_rows = 0
        self._buffer = Buffers(W_enc.dtype.type)
        self.no_shadow = np.zeros((0, 0), np.uint16), np.zeros((0, 0), np.float32)
        self.shadow = self.no_shadow
        """W_enc's bfloat16 bits (n, d_in) and its rows' norms (n, 2), as ``kernels.round_rows`` writes them;
        whoever changes W_enc keeps them up to date."""
        self._largest_norms = np.zeros(2, np.float32)
        if screen:
            self.shadow = np.empty(W_enc.shape, np.uint16), np.empty((len(W_enc), 2), np.float32)
            self.round_weights()

    def round_weights(self) -> None:
        """Make the bfloat16 shadow of W_enc anew."""
        if self.screen:
            kernels.round_rows(self.W_enc, *self.shadow)
            self.refresh()

    def refresh(self) -> None:
        """Take note of changed norms in the shadow; before the pieces of a batch."""
        if self.screen:
            self._largest_norms = self.shadow[1].max(axis=0)

    def select(self, x: Array, top_acts: Array, top_indices: Array) -> None:
        """Fill ``top_acts``, ``top_indices`` (n, k) for ``x`` (n, d_in) = z − pre_bias, in no order."""
        if not self.screen:
            self._select_exactly(x, top_acts, top_indices)
            return
        n = len(x)
        rounded = self._buffer.own("rounded", x.shape, np.uint16)
        norms = self._buffer.own("norms", (n, 2), np.float32)
        kernels.round_rows(x, rounded, norms)
        screened = self._buffer.own("screened", (n, len(self.W_enc)), np.uint16)
        torch.mm(_bfloat16(rounded), _bfloat16(self.shadow[0]).t(), out=_bfloat16(screened))
        uncertain = self._buffer.own("uncertain", (n,), np.uint8)
        topk.screen_rows(
            screened, self.latent_bias, x, norms, self.W_enc, self._largest_norms, self.k, self.block_length,
            top_acts, top_indices, uncertain,
        )  # fmt: skip
        again = np.flatnonzero(uncertain)
        if len(again):
            self.uncertain_rows += len(again)
            acts = np.empty((len(again), self.k), np.float32)
            indices = np.empty((len(again), self.k), np.int32)
            self._select_exactly(x[again], acts, indices)
            top_acts[again], top_indices[again] = acts, indices

    def _select_exactly(self, x: Array, top_acts: Array, top_indices: Array) -> None:
        pre_act = self._buffer.own("pre_act", (len(x), len(self.W_enc)))
        torch.mm(torch.from_numpy(x), torch.from_numpy(self.W_enc).t(), out=torch.from_numpy(pre_act))
        topk.select_rows(pre_act, self.latent_bias, self.k, self.block_length, top_acts, top_indices)
