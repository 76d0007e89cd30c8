"""Stage: encode every document with a trained SAE; write the latents by document and by feature."""

from typing import Any

import numpy as np

from build.work import Target, Work
from sae import schema
from sae.arrays import write_group
from sae.encode import encode
from sae.statistics import invert
from sae.weights import read_weights

_ROWS_AT_ONCE = 8192


def settings(target: Target) -> object:
    return None


def run(work: Work) -> dict[str, Any]:
    weights = read_weights(work.input("train") / schema.SAE)
    embeddings = np.load(work.input("embeddings") / schema.EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    n_documents = len(embeddings)
    top_acts = np.empty((n_documents, weights.k), np.float16)
    top_indices = np.empty((n_documents, weights.k), np.int32)
    for start in range(0, n_documents, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        top_acts[rows], top_indices[rows] = encode(embeddings[rows], weights)
        work.progress(min(start + _ROWS_AT_ONCE, n_documents), n_documents, "")
    entries = invert(top_acts, top_indices, weights.n_latents)
    arrays = {"top_acts": top_acts, "top_indices": top_indices, **vars(entries)}
    write_group(work.out / schema.LATENTS, arrays, schema.LATENT_ARRAYS)
    return {}
