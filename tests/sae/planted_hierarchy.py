"""How much of a planted hierarchy comes back as families: shared by its tests and its benchmark."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from build.corpora.synthetic import PlantedTruth
from sae.config import SAEConfig, TrainConfig
from sae.encode import Weights, encode
from sae.structure.cooccurrence import active_entries, cooccurrence
from sae.structure.families import find_families
from sae.structure.null_model import shuffle_latents
from sae.train import train


@dataclass(frozen=True)
class Recovered:
    """``parents``: broad topics whose feature heads a family. ``children``: share of a topic's narrower ones that are
    in that family, mean over all broad topics. ``families``: all that were found; ``by_chance``: on shuffled latents.
    ``latents``: (n_documents, n_latents), what they were found in."""

    parents: int
    children: float
    families: int
    by_chance: int
    latents: sp.csr_matrix


def recovered(
    documents: np.ndarray,
    narrower: Mapping[int, Sequence[int]],
    learnt: Callable[[Weights, sp.csr_matrix], np.ndarray],
    shape: SAEConfig,
    recipe: TrainConfig,
) -> Recovered:
    """Train an autoencoder on documents (n, d_in), find its families and compare them with what was planted.

    ``narrower``: topics below each broad one; ``learnt(weights, latents)``: the feature of each topic, int (n_topics,).
    """
    weights = train(documents, shape, recipe).weights()
    latents = active_entries(*encode(documents, weights), weights.n_latents)
    n_active = np.bincount(latents.indices, minlength=weights.n_latents)
    feature_of = learnt(weights, latents)
    found = find_families(cooccurrence(latents), n_active, len(documents)).families
    members = {family.parent: set(family.children.tolist()) for family in found}
    shares = []
    for topic, below in narrower.items():
        children = set(feature_of[list(below)].tolist())
        shares.append(len(children & members.get(int(feature_of[topic]), set())) / len(children))
    shuffled = cooccurrence(shuffle_latents(latents, recipe.seed))
    return Recovered(
        sum(int(feature_of[topic]) in members for topic in narrower),
        float(np.mean(shares)),
        len(found),
        len(find_families(shuffled, n_active, len(documents)).families),
        latents,
    )


def of_texts(
    embeddings: np.ndarray,
    planted: PlantedTruth,
    seed: int,
    *,
    general: int | None = 10,
    n_latents: int = 64,
    k: int = 6,
    steps: int = 600,
) -> Recovered:
    """The same of the synthetic corpus' broad topics, by the recipe of the profiles.

    The first ``general`` features reconstruct alone, so that there is one for each broad topic; None: a plain
    autoencoder, which keeps none for most (docs/decisions.md). Six features a document: as many as there are topics
    in the fullest, three narrower ones and theirs.
    """
    prefixes = None if general is None else (general, n_latents)
    shape = SAEConfig(embeddings.shape[1], n_latents, k, prefixes=prefixes)
    recipe = TrainConfig(
        steps,
        256,
        3e-3,
        warmup_steps=20,
        final_decay=0.2,
        input_noise=0.4,
        encoder_start=1.0,
        encoder_decay=2.0,
        seed=seed,
    )
    broad = np.flatnonzero(planted.parents < 0)
    narrower = {int(topic): np.flatnonzero(planted.parents == topic).tolist() for topic in broad}

    def learnt(_: Weights, latents: sp.csr_matrix) -> np.ndarray:
        return best_features(latents.toarray(), planted.mentions)

    return recovered(embeddings, narrower, learnt, shape, recipe)


def best_features(activations: np.ndarray, mentions: np.ndarray) -> np.ndarray:
    """The feature that correlates best with each topic, int (n_topics,)."""
    X, Y = activations - activations.mean(axis=0), mentions - mentions.mean(axis=0)
    lengths = np.linalg.norm(X, axis=0) * np.linalg.norm(Y, axis=0)[:, None]
    return ((Y.T @ X) / np.maximum(lengths, 1e-12)).argmax(axis=1)


def best_f1(activations: np.ndarray, mentions: np.ndarray) -> np.ndarray:
    """The best F1 with which any one feature, above any threshold, tells each topic; float64 (n_topics,).

    activations (n_documents, n_features), mentions bool (n_documents, n_topics).
    """
    best = np.zeros(mentions.shape[1])
    for column in activations.T:
        order = np.argsort(-column, kind="stable")[: np.count_nonzero(column > 0)]
        told = np.arange(1, len(order) + 1)[:, None]
        f1 = 2 * np.cumsum(mentions[order], axis=0) / (told + mentions.sum(axis=0))
        best = np.maximum(best, f1.max(axis=0, initial=0))
    return best
