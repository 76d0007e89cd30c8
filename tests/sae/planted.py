"""A corpus with planted topics and an embedder that adds up word vectors."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from sae.labelling.words import word_key
from sae.statistics import ByFeature

D_IN = 48
TOPICS = {
    "spiral galaxies": ["spiral galaxies", "galaxy disks", "rotation curves"],
    "language models": ["language models", "word embeddings", "machine translation"],
    "protein folding": ["protein folding", "amino acids", "molecular dynamics"],
    "stock markets": ["stock markets", "option pricing", "portfolio returns"],
    "graph colouring": ["graph colouring", "chromatic number", "planar graphs"],
    "ocean currents": ["ocean currents", "sea temperature", "salinity profiles"],
    **{
        f"{first} {second}": [f"{first} {second}", f"{first} theory", f"{second} surveys"]
        for first, second in zip(
            ["amber", "basalt", "cedar", "drum", "enzyme", "falcon", "glacier", "harbour", "ivory", "jazz"],
            [
                "beads",
                "cliffs",
                "groves",
                "solos",
                "kinetics",
                "nests",
                "melting",
                "tariffs",
                "trade",
                "festivals",
            ],
            strict=True,
        )
    },
}
_BOILERPLATE = "we propose a new method and show results on several data sets with good performance"
_FILLER = _BOILERPLATE.split()


def embed(texts: Sequence[str]) -> np.ndarray:
    """(n, D_IN) unit rows: the sum of a fixed random vector for each word."""
    rows = np.zeros((len(texts), D_IN), np.float32)
    for i, text in enumerate(texts):
        for token in text.replace(".", " ").replace(";", " ").replace("-", " ").split():
            rows[i] += _word_vector(word_key(token))
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@cache
def _word_vector(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).standard_normal(D_IN).astype(np.float32)


@dataclass(frozen=True)
class Planted:
    texts: list[str]
    topics: np.ndarray  # (n_documents,)
    embeddings: np.ndarray
    by_feature: ByFeature  # one feature a topic, then a rare one, then a dead one


def planted_corpus(n_documents: int = 800, seed: int = 0) -> Planted:
    rng = np.random.default_rng(seed)
    names = list(TOPICS)
    topics = rng.integers(len(names), size=n_documents)
    texts = []
    for topic in topics:
        phrases = TOPICS[names[topic]]
        chosen = [phrases[0], *rng.choice(phrases[1:], size=1)]
        filler = list(rng.permutation(_FILLER))
        texts.append(
            f"On {chosen[0]}\n\n{' '.join(filler[:5])} {chosen[1]}. The {chosen[0]} {filler[6]} {filler[7]}."
        )
    embeddings = embed(texts)
    lists = [np.flatnonzero(topics == t) for t in range(len(names))] + [np.arange(5), np.arange(0)]
    documents, activations = [], []
    for members in lists:
        values = rng.uniform(0.1, 1, len(members)).astype(np.float32)
        order = np.argsort(-values)
        documents.append(members[order])
        activations.append(values[order])
    offsets = np.cumsum([0] + [len(members) for members in lists])
    by_feature = ByFeature(
        offsets.astype(np.int64), np.concatenate(documents).astype(np.int32), np.concatenate(activations)
    )
    return Planted(texts, topics, embeddings, by_feature)
