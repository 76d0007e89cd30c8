"""Stage: encode every document with a trained SAE; write the latents by document and by feature."""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from build.work import Target, Work
from sae import schema
from sae.compiled.fast_encode import FastEncoder
from sae.statistics import invert
from sae.storage.arrays import write_group
from sae.storage.weights import read_weights

_ROWS_AT_ONCE = 8192


def settings(target: Target) -> object:
    return None


def run(work: Work) -> dict[str, Any]:
    trained = (work.input("train") / schema.SAE).absolute()
    embedded = (work.input("embeddings") / schema.EMBEDDINGS).absolute()
    weights = read_weights(trained)
    n_documents = len(_embeddings(str(embedded)))
    top_acts = np.empty((n_documents, weights.k), np.float16)
    top_indices = np.empty((n_documents, weights.k), np.int32)
    starts = range(0, n_documents, _ROWS_AT_ONCE)
    threads = 1 if work.chunks.spread else None  # a cluster has a worker for each processor
    calls = [(str(embedded), str(trained), start, start + _ROWS_AT_ONCE, threads) for start in starts]
    parts = work.chunks.map(encoded, calls)
    for start, part in zip(starts, parts, strict=True):
        rows = slice(start, start + _ROWS_AT_ONCE)
        top_acts[rows], top_indices[rows] = part
        work.progress(min(start + _ROWS_AT_ONCE, n_documents), n_documents, "")
    entries = invert(top_acts, top_indices, weights.n_latents)
    arrays = {"top_acts": top_acts, "top_indices": top_indices, **vars(entries)}
    write_group(work.out / schema.LATENTS, arrays, schema.LATENT_ARRAYS)
    return {}


def encoded(
    embeddings: str, sae: str, start: int, stop: int, threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """``top_acts`` float16 and ``top_indices`` int32 (rows, k) of rows ``start`` … ``stop``: one chunk."""
    top_acts, top_indices = _encoder(sae, threads)(_embeddings(embeddings)[start:stop])
    return top_acts.astype(np.float16), top_indices


def _embeddings(path: str) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


_last = threading.local()


def _encoder(path: str, threads: int | None) -> FastEncoder:
    """Made once a thread for many chunks; a stage's output never changes."""
    if getattr(_last, "made_of", None) != (path, threads):
        _last.encoder, _last.made_of = FastEncoder(read_weights(Path(path)), threads=threads), (path, threads)
    encoder: FastEncoder = _last.encoder
    return encoder
