"""The encoder's product and the selection of its k largest entries, for a batch or a piece of one."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sae.compiled import kernels, screen_kernels, topk
from sae.compiled.aligned import aligned_zeros
from sae.compiled.crew import available_processors, share

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
            held = self._held[name] = aligned_zeros((size,), self.dtype if dtype is None else dtype)
        return held[:size].reshape(shape)

    def own(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """The same, one for each thread."""
        return self(f"{name}.{threading.get_ident()}", shape, dtype)


SCREEN_LATENTS = 576
"""Latents in a piece in which a batch is multiplied with a screen; each packs its weights once, for all documents."""
PRODUCT_PIECES = 4
"""Pieces without a screen: in float32 the product is faster the larger they are."""
SELECTED_ROWS = 128, 512
"""Least and most documents selected from in one piece, whole multiples of the least: the more, the seldomer a row of
W_enc is read."""
BATCH_ROWS = 1024
"""Documents multiplied at once where any number is selected from."""


@dataclass(frozen=True)
class Multiplied:
    """A batch times W_enc without latent_bias; views of buffers that the next batch writes over."""

    product: Array
    """(n, n_latents): bfloat16 bits with a screen, or numbers of W_enc's type."""
    norms: Array
    """(n, 2) with a screen: norm of each row of the batch, and of what rounding took from it."""

    def __getitem__(self, rows: slice) -> "Multiplied":
        return Multiplied(self.product[rows], self.norms[rows])


def selection_pieces(n: int, threads: int | None) -> list[slice]:
    """Pieces of a batch of n documents to select from, one at least for each thread where there are
    so many; no result depends on them, since all begin at multiples of the least."""
    least, most = SELECTED_ROWS
    wanted = -(-n // (threads or available_processors()))
    length = min(most, -(-wanted // least) * least)
    return [slice(start, min(n, start + length)) for start in range(0, n, length or 1)]


def _bfloat16(bits: Array) -> torch.Tensor:
    return torch.from_numpy(bits).view(torch.bfloat16)


class Selector:
    """Finds top_acts, top_indices of centred inputs for ``W_enc`` (n, d_in), ``latent_bias`` (n,).

    The arrays are kept, not copied: they may change between calls. With ``screen`` the product is done in
    bfloat16, and the few entries that may belong to the result are computed again in float32; rows for which
    the result is not certified are done in float32 altogether.
    """

    def __init__(
        self, W_enc: Array, latent_bias: Array, k: int, *, screen: bool, buffer: Buffers | None = None
    ) -> None:
        self.W_enc, self.latent_bias, self.k, self.screen = W_enc, latent_bias, k, screen
        self.block_length = topk.block_length(len(W_enc), k)
        self._buffer = buffer or Buffers(W_enc.dtype.type)
        self.shadow = np.zeros((0, 0), np.uint16), np.zeros((len(W_enc), 2), W_enc.dtype)
        """W_enc's bfloat16 bits (n, d_in), which are not there without a screen, and its rows' norms (n, 2), as
        ``kernels.round_rows`` writes them; whoever changes W_enc keeps them up to date."""
        self._largest_norms = np.zeros(2, W_enc.dtype)
        if screen:
            self.shadow = aligned_zeros(W_enc.shape, np.uint16), self.shadow[1]
            self.round_weights()

    def round_weights(self) -> None:
        """Make the bfloat16 shadow of W_enc and the norms anew."""
        if self.screen:
            kernels.round_rows(self.W_enc, *self.shadow)
        else:
            self.shadow[1][:, 0] = np.linalg.norm(self.W_enc, axis=1)
        self.refresh()

    def refresh(self) -> None:
        """Take note of changed norms in the shadow; before the pieces of a batch."""
        kernels.largest_norms(self.shadow[1], self._largest_norms)

    @property
    def largest_norm(self) -> float:
        """Largest norm of W_enc's rows at the last ``refresh``."""
        return float(self._largest_norms[0])

    def rounding(self, x: Array) -> Callable[[slice], None]:
        """What rounds rows of a batch ``x`` (n, d_in) for ``multiply``, any rows on any thread."""
        if not self.screen:
            return lambda rows: None
        rounded, norms = self._rounded(x)
        return lambda rows: kernels.round_rows(x[rows], rounded[rows], norms[rows])

    def _rounded(self, x: Array) -> tuple[Array, Array]:
        return self._buffer("rounded", x.shape, np.uint16), self._buffer("norms", (len(x), 2), np.float32)

    def multiply(self, x: Array, threads: int | None = 1) -> Multiplied:
        """The product for a batch ``x`` (n, d_in), all of it rounded, shared out over threads."""
        return self._multiply_rounded(x, threads) if self.screen else self._multiply_exactly(x, threads)

    def _multiply_exactly(self, x: Array, threads: int | None) -> Multiplied:
        n, n_latents = len(x), len(self.W_enc)
        found = Multiplied(self._buffer("pre_act", (n, n_latents)), np.zeros((n, 0), self.W_enc.dtype))
        columns, out = torch.from_numpy(x), torch.from_numpy(found.product)
        weights = torch.from_numpy(self.W_enc)

        def multiply_piece(piece: int) -> None:
            first, last = (n_latents * edge // PRODUCT_PIECES for edge in (piece, piece + 1))
            if last > first:
                torch.mm(columns, weights[first:last].t(), out=out[:, first:last])

        share(multiply_piece, PRODUCT_PIECES, threads)
        return found

    def _multiply_rounded(self, x: Array, threads: int | None) -> Multiplied:
        n, n_latents = len(x), len(self.W_enc)
        rounded, norms = self._rounded(x)
        found = Multiplied(self._buffer("screened", (n, n_latents), np.uint16), norms)
        pieces = -(-n_latents // SCREEN_LATENTS)

        def multiply_piece(piece: int) -> None:
            first, last = (n_latents * edge // pieces for edge in (piece, piece + 1))
            weights, out = self.shadow[0][first:last], found.product[:, first:last]
            torch.mm(_bfloat16(rounded), _bfloat16(weights).t(), out=_bfloat16(out))

        share(multiply_piece, pieces, threads)
        return found

    def select(self, x: Array, multiplied: Multiplied, top_acts: Array, top_indices: Array) -> None:
        """Fill ``top_acts``, ``top_indices`` (n, k) for ``x`` (n, d_in) = z − pre_bias, in no order.

        ``multiplied``: the part of ``multiply`` that belongs to these rows of a batch.
        """
        if not self.screen:
            self._select_from(multiplied.product, top_acts, top_indices)
            return
        n, n_latents = len(x), len(self.W_enc)
        most = screen_kernels.most_candidates(n_latents, self.k)
        own = self._buffer.own
        starts, first_of = own("starts", (n + 1,), np.int32), own("first_of", (n_latents + 1,), np.int32)
        values, exact, products = (
            own(name, (n * most,), np.float32) for name in ("values", "exact", "products")
        )
        indices, entries, rows = (own(name, (n * most,), np.int32) for name in ("indices", "entries", "rows"))
        limits, uncertain = own("limits", (n, 3), np.float32), own("uncertain", (n,), np.uint8)
        screen_kernels.find_candidates(
            multiplied.product, self.latent_bias, multiplied.norms, self._largest_norms, x.shape[1], self.k,
            self.block_length, most, starts, values, indices, limits,
        )  # fmt: skip
        screen_kernels.compute_candidates(
            x, self.W_enc, self.latent_bias, starts, indices, first_of, entries, rows, products, exact
        )
        screen_kernels.settle_candidates(
            starts, values, exact, indices, self.latent_bias, limits, self.k, top_acts, top_indices, uncertain
        )
        for start in range(0, n, SELECTED_ROWS[0]):
            self._select_again(
                x, np.flatnonzero(uncertain[start : start + SELECTED_ROWS[0]]) + start, top_acts, top_indices
            )

    def _select_again(self, x: Array, rows: Array, top_acts: Array, top_indices: Array) -> None:
        """Rows that the screen did not settle, in float32 altogether.

        The bits of a product depend on how many rows are in it, so they go in blocks that are the same whatever the
        pieces are.
        """
        if len(rows) == 0:
            return
        acts, indices = np.empty((len(rows), self.k), np.float32), np.empty((len(rows), self.k), np.int32)
        pre_act = self._buffer.own("uncertain_pre_act", (len(rows), len(self.W_enc)))
        torch.mm(torch.from_numpy(x[rows]), torch.from_numpy(self.W_enc).t(), out=torch.from_numpy(pre_act))
        self._select_from(pre_act, acts, indices)
        top_acts[rows], top_indices[rows] = acts, indices

    def select_batch(self, x: Array, top_acts: Array, top_indices: Array, threads: int | None = None) -> None:
        """The same for any number of rows, shared out over threads (None: all processors)."""
        for start in range(0, len(x), BATCH_ROWS):
            batch = slice(start, start + BATCH_ROWS)
            self._select_some(x[batch], top_acts[batch], top_indices[batch], threads)

    def _select_some(self, x: Array, top_acts: Array, top_indices: Array, threads: int | None) -> None:
        parts, round_rows = selection_pieces(len(x), threads), self.rounding(x)
        share(lambda number: round_rows(parts[number]), len(parts), threads)
        multiplied = self.multiply(x, threads)

        def piece(number: int) -> None:
            rows = parts[number]
            self.select(x[rows], multiplied[rows], top_acts[rows], top_indices[rows])

        share(piece, len(parts), threads)

    def _select_from(self, pre_act: Array, top_acts: Array, top_indices: Array) -> None:
        topk.select_rows(pre_act, self.latent_bias, self.k, self.block_length, top_acts, top_indices)
