"""Inputs of the families stage, generated: documents about topics with subtopics, and the SAE that would find them.

A tenth of the features are general, each with about seven narrower ones; the rest fire anywhere. Every document
names its strongest features in words, so that labels can be written; its vector is the sum of their directions.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from sae import schema
from sae.encode import Weights
from sae.statistics import invert
from sae.storage.arrays import write_group, write_table
from sae.storage.weights import write_weights

D_IN, FIELDS, ROWS_AT_ONCE, NAMED = 384, 60, 4000, 6
_FILLER = "we study how this behaves in practice and compare it with what earlier work has reported"
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or")]


def write_inputs(folder: Path, n_documents: int, n_latents: int, k: int, seed: int = 0) -> None:
    """Everything that the stages before families leave and it reads, as ``folder/<stage>/…``."""
    rng = np.random.default_rng(seed)
    parent_of = _hierarchy(n_latents, rng)
    top_acts, top_indices = _latents(parent_of, n_documents, k, rng)
    for stage in ("documents", "embeddings", "train", "encode", f"features/SAE{k}"):
        (folder / stage).mkdir(parents=True)
    entries = invert(top_acts, top_indices, n_latents)
    latents = {"top_indices": top_indices, "top_acts": top_acts, **vars(entries)}
    write_group(folder / "encode" / schema.LATENTS, latents, schema.LATENT_ARRAYS)
    del entries, latents

    directions = rng.standard_normal((n_latents, D_IN)).astype(np.float32)
    directions += 0.8 * directions[parent_of]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    zeros = np.zeros(D_IN, np.float32)
    weights = Weights(directions, directions, zeros, np.zeros(n_latents, np.float32), zeros, 1.0, k)
    write_weights(folder / "train" / schema.SAE, weights)
    rows = np.empty((n_documents, D_IN), np.float16)
    for start in range(0, n_documents, ROWS_AT_ONCE):
        acts, indices = (a[start : start + ROWS_AT_ONCE] for a in (top_acts, top_indices))
        offsets = np.arange(0, indices.size + 1, k)
        mixed = sp.csr_matrix(
            (acts.ravel().astype(np.float32), indices.ravel(), offsets), (len(acts), n_latents)
        )
        some = mixed @ directions
        some += 0.5 / np.sqrt(D_IN) * rng.standard_normal(some.shape, np.float32)
        rows[start : start + ROWS_AT_ONCE] = some / np.linalg.norm(some, axis=1, keepdims=True)
    np.save(folder / "embeddings" / schema.EMBEDDINGS, rows)

    names = _names(parent_of, rng)
    write_table(folder / "documents" / schema.DOCUMENTS, _documents(names, top_indices, rng))
    objective = rng.uniform(0.5, 1, n_latents).astype(np.float32)  # seven of ten pass the filter
    features = pa.table({"label": names, "source": ["local"] * n_latents, "objective": objective})
    write_table(folder / "features" / f"SAE{k}" / schema.FEATURES, features)


def _hierarchy(n_latents: int, rng: np.random.Generator) -> np.ndarray:
    """The feature above each, itself where there is none: parents come first, then children, then the others."""
    n_parents = n_latents // 10
    parent_of = np.arange(n_latents)
    parent_of[n_parents : 8 * n_parents] = rng.integers(0, n_parents, 7 * n_parents)
    return parent_of


def _latents(
    parent_of: np.ndarray, n_documents: int, k: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``top_acts`` float16, ``top_indices`` int32 (n_documents, k), strongest first: a few topics a document,
    mostly of one field, with some of the subtopics of each."""
    n_latents = len(parent_of)
    n_parents = n_latents // 10
    children = np.arange(n_parents, 8 * n_parents)
    children = children[np.argsort(parent_of[children], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(parent_of[children], minlength=n_parents))])
    field_of = rng.integers(0, FIELDS, n_parents)
    frequency = rng.permutation(np.arange(1, n_parents + 1) ** -0.7)
    loose = np.cumsum(rng.permutation(np.arange(1, n_latents - 8 * n_parents + 1) ** -0.7))
    n_topics, n_loose = max(2, round(k / 4.5)), max(1, k // 4)
    top_acts, top_indices = np.empty((n_documents, k), np.float16), np.empty((n_documents, k), np.int32)
    for start in range(0, n_documents, ROWS_AT_ONCE):
        n = min(ROWS_AT_ONCE, n_documents - start)
        likely = np.cumsum(frequency * (0.1 + (field_of == rng.integers(0, FIELDS))))
        topics = np.minimum(np.searchsorted(likely, rng.random((n, n_topics)) * likely[-1]), n_parents - 1)
        sizes = np.diff(starts)[topics][:, :, None]
        which = (rng.random((n, n_topics, 4)) ** 1.5 * sizes).astype(np.int64)
        narrower = np.where(
            sizes > 0, children[np.minimum(starts[topics][:, :, None] + which, len(children) - 1)], 0
        )
        others = 8 * n_parents + np.searchsorted(loose, rng.random((n, n_loose)) * loose[-1])
        chosen = np.concatenate([topics, narrower.reshape(n, -1), others], axis=1)
        acts = rng.gamma(3.0, 0.3, chosen.shape) + 0.05
        acts[:, :n_topics] *= rng.random((n, n_topics)) < 0.85
        acts[:, n_topics:-n_loose] *= rng.random((n, 4 * n_topics)) < 0.75
        order = np.argsort(chosen, axis=1, kind="stable")
        chosen, acts = (np.take_along_axis(a, order, axis=1) for a in (chosen, acts))
        acts[:, 1:] *= chosen[:, 1:] != chosen[:, :-1]  # drawn twice
        order = np.argsort(-acts, axis=1)[:, :k]
        top_acts[start : start + n] = np.take_along_axis(acts, order, axis=1)
        top_indices[start : start + n] = np.take_along_axis(chosen, order, axis=1)
    shuffled = rng.permutation(n_documents)  # documents of one field do not stand together
    return top_acts[shuffled], top_indices[shuffled]


def _names(parent_of: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Two made-up words for each feature; the second is its parent's."""
    drawn = rng.choice(_SYLLABLES, (2, len(parent_of), 3))
    first, second = (["".join(syllables) for syllables in word] for word in drawn)
    return [f"{first[i]} {second[above]}" for i, above in enumerate(parent_of)]


def _documents(names: list[str], top_indices: np.ndarray, rng: np.random.Generator) -> pa.Table:
    plain = _FILLER.split()
    titles, texts = [], []
    for strongest in top_indices[:, :NAMED].tolist():
        words = [names[i] for i in strongest]
        filler = plain[: 4 + int(rng.integers(len(plain) - 4))]
        titles.append(f"On {words[0]}")
        texts.append(f"The {', '.join(words)}: {' '.join(filler)}.")
    return pa.table({"doc_id": [str(i) for i in range(len(titles))], "title": titles, "text": texts})
