"""The encoder's product and the selection of its k largest entries."""

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sae.compiled import kernels, screen_kernels, topk
from sae.compiled.aligned import aligned_zeros
from sae.compiled.crew import available_processors, one_thread_in_torch, share
from sae.compiled.vectors import WORD

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


PRODUCT_PIECES = 4
"""Pieces of the product without a screen: in float32 it is faster the larger they are."""
SELECTED_ROWS = 128, 512
"""Least and most documents selected from in one piece, whole multiples of the least: the more, the seldomer a row of
W_enc is read."""
BATCH_ROWS = 1024
"""Documents of a batch where there are any number; without a screen they are multiplied at once."""

NO_BITS, NO_NORMS = np.zeros((0, 0), np.uint16), np.zeros((0, 2), np.float32)
Prepare = Callable[[slice, Array, Array], None]
"""Writes some rows of a batch and, where the arrays are not empty, their bfloat16 bits and norms, as
``kernels.round_rows`` does."""
Finish = Callable[[slice], None]
"""Goes on with some rows that are selected."""


def _nothing(rows: slice) -> None:
    pass


def selection_pieces(n: int, threads: int | None) -> list[slice]:
    """Pieces of n documents to select from, one at least for each thread where there are so many; no result
    depends on them, and all begin at multiples of the least."""
    least, most = SELECTED_ROWS
    wanted = -(-n // (threads or available_processors()))
    length = min(most, -(-wanted // least) * least)
    return [slice(start, min(n, start + length)) for start in range(0, n, length or 1)]


def _bfloat16(bits: Array) -> torch.Tensor:
    return torch.from_numpy(bits).view(torch.bfloat16)


class _Scratch:
    """What a thread writes while it selects from n documents, in the order of ``screen_kernels.select_candidates``.

    Made once: Python is slow between two kernels, which leave nothing of it in the cache.
    """

    def __init__(self, n: int, d_in: int, n_latents: int, k: int, buffer: Buffers) -> None:
        most = screen_kernels.most_candidates(n_latents, k)
        own, room, int32 = buffer.own, ((n + 1) * most,), np.int32
        self.n = n
        self.rounded, self.norms = own("rounded", (n, d_in), np.uint16), own("norms", (n, 2))
        groups = -(-n // WORD) | 1  # odd: rows at distances of powers of two compete for places in the cache
        self.screened = own("screened", (n_latents, groups, WORD), np.uint16)
        self.factor = _bfloat16(self.rounded).t()
        self.product = _bfloat16(self.screened.reshape(n_latents, -1))[:, :n]
        self.uncertain = own("uncertain", (n,), np.uint8)
        self.candidates = (
            most, own("starts", (n + 1,), int32), own("values", room), own("exact", room), own("products", room),
            own("indices", room, int32), own("entries", room, int32), own("rows", room, int32),
            own("first_of", (n_latents + 1,), int32), own("limits", (n, 3)),
        )  # fmt: skip


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
        self._scratches: dict[int, _Scratch] = {}
        if screen:
            self.shadow = aligned_zeros(W_enc.shape, np.uint16), self.shadow[1]
            self._rounded_W_enc = _bfloat16(self.shadow[0])
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

    def select(
        self,
        x: Array,
        top_acts: Array,
        top_indices: Array,
        threads: int | None = None,
        prepare: Prepare | None = None,
        finish: Finish = _nothing,
    ) -> None:
        """Fill ``top_acts``, ``top_indices`` (n, k) for ``x`` (n, d_in) = z − pre_bias, in no order, shared out over
        threads (None: all processors).

        ``prepare`` writes rows of ``x`` before they are read, ``finish`` goes on with rows that are selected: pieces
        that begin at multiples of SELECTED_ROWS[0], each on any thread. With a screen a piece goes through all three
        on one thread, while its rows are in that core's cache; without, the product of a batch comes in between.
        """
        if self.screen:
            parts = selection_pieces(len(x), threads)

            def through(number: int) -> None:
                rows = parts[number]
                scratch = self._scratch(rows.stop - rows.start)
                if prepare is None:
                    kernels.round_rows(x[rows], scratch.rounded, scratch.norms)
                else:
                    prepare(rows, scratch.rounded, scratch.norms)
                self._select_screened(scratch, x[rows], top_acts[rows], top_indices[rows])
                finish(rows)

            with one_thread_in_torch():
                share(through, len(parts), threads)
            return
        for start in range(0, len(x), BATCH_ROWS):
            batch = range(len(x))[start : start + BATCH_ROWS]
            self._select_exactly(x, batch, top_acts, top_indices, threads, prepare, finish)

    def _select_exactly(
        self,
        x: Array,
        batch: range,
        top_acts: Array,
        top_indices: Array,
        threads: int | None,
        prepare: Prepare | None,
        finish: Finish,
    ) -> None:
        parts = [
            slice(batch.start + part.start, batch.start + part.stop)
            for part in selection_pieces(len(batch), threads)
        ]
        if prepare is not None:
            share(lambda number: prepare(parts[number], NO_BITS, NO_NORMS), len(parts), threads)
        pre_act = self._multiply(x[batch.start : batch.stop], threads)

        def through(number: int) -> None:
            rows = parts[number]
            own = pre_act[rows.start - batch.start : rows.stop - batch.start]
            self._select_from(own, top_acts[rows], top_indices[rows])
            finish(rows)

        share(through, len(parts), threads)

    def _multiply(self, x: Array, threads: int | None) -> Array:
        """x (n, d_in) times W_enc without latent_bias."""
        n_latents = len(self.W_enc)
        product = self._buffer("pre_act", (len(x), n_latents))
        columns, out, weights = (torch.from_numpy(array) for array in (x, product, self.W_enc))

        def multiply_piece(piece: int) -> None:
            first, last = (n_latents * edge // PRODUCT_PIECES for edge in (piece, piece + 1))
            if last > first:
                torch.mm(columns, weights[first:last].t(), out=out[:, first:last])

        with one_thread_in_torch():
            share(multiply_piece, PRODUCT_PIECES, threads)
        return product

    def _scratch(self, n: int) -> _Scratch:
        """This thread's, for n documents."""
        thread = threading.get_ident()
        held = self._scratches.get(thread)
        if held is None or held.n != n:
            n_latents, d_in = self.W_enc.shape
            held = self._scratches[thread] = _Scratch(n, d_in, n_latents, self.k, self._buffer)
        return held

    def _select_screened(self, scratch: _Scratch, x: Array, top_acts: Array, top_indices: Array) -> None:
        """From the product of W_enc and ``scratch.rounded``, which is x (n, d_in) in bfloat16."""
        torch.mm(self._rounded_W_enc, scratch.factor, out=scratch.product)
        left = screen_kernels.select_candidates(
            scratch.screened, x, scratch.norms, self.W_enc, self._largest_norms, self.latent_bias, self.k,
            self.block_length, *scratch.candidates, top_acts, top_indices, scratch.uncertain,
        )  # fmt: skip
        if left:
            self._select_again(x, np.flatnonzero(scratch.uncertain), top_acts, top_indices)

    def _select_again(self, x: Array, rows: Array, top_acts: Array, top_indices: Array) -> None:
        """Rows that the screen did not settle, from all entries in float32.

        A product's bits depend on how many rows are in it; these are computed as candidates are, so that neither the
        screen nor the pieces change a bit.
        """
        acts, indices = np.empty((len(rows), self.k), np.float32), np.empty((len(rows), self.k), np.int32)
        pre_act = self._buffer.own("uncertain_pre_act", (len(rows), len(self.W_enc)))
        screen_kernels.compute_rows(x, self.W_enc, rows, pre_act)
        self._select_from(pre_act, acts, indices)
        top_acts[rows], top_indices[rows] = acts, indices

    def _select_from(self, pre_act: Array, top_acts: Array, top_indices: Array) -> None:
        topk.select_rows(pre_act, self.latent_bias, self.k, self.block_length, top_acts, top_indices)
