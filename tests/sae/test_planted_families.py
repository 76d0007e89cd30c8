"""From vectors and texts with a planted hierarchy through a trained autoencoder to families, and to none by chance."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from build.corpora.synthetic import truth
from sae import schema
from sae.config import SAEConfig, TrainConfig
from sae.encode import Weights
from sae.store import open_store
from tests.sae.planted_hierarchy import best_f1, of_texts, recovered

torch.set_num_threads(1)

D_IN, N_PARENTS, N_DOCUMENTS = 32, 6, 3000


def planted(seed: int) -> tuple[np.ndarray, np.ndarray, dict[int, list[int]]]:
    """Documents (n, D_IN) about one or two parents and mostly one child of each; all directions, more than
    dimensions; the children of each parent."""
    rng = np.random.default_rng(seed)
    sizes = [4 + parent % 3 for parent in range(N_PARENTS)]
    starts = N_PARENTS + np.concatenate([[0], np.cumsum(sizes)])
    truth = {p: list(range(starts[p], starts[p + 1])) for p in range(N_PARENTS)}
    directions = rng.standard_normal((starts[-1], D_IN))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    documents = 0.03 * rng.standard_normal((N_DOCUMENTS, D_IN))
    for document in documents:
        for parent in rng.choice(N_PARENTS, rng.integers(1, 3), replace=False):
            document += rng.uniform(0.6, 1.4) * directions[parent]
            if rng.random() < 0.75:
                document += rng.uniform(0.6, 1.2) * directions[rng.choice(truth[parent])]
    return documents.astype(np.float32), directions, truth


@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_hierarchy_comes_back_through_a_trained_autoencoder(seed: int) -> None:
    documents, directions, children = planted(seed)

    def learnt(weights: Weights, _: sp.csr_matrix) -> np.ndarray:
        return (directions @ weights.W_dec.T).argmax(axis=1)

    recipe = TrainConfig(800, batch_size=256, learning_rate=3e-3, seed=seed)
    found = recovered(documents, children, learnt, SAEConfig(D_IN, 48, 4), recipe)
    assert found.parents >= N_PARENTS - 1
    assert found.children >= 0.8
    assert found.families <= 2 * N_PARENTS
    assert found.by_chance == 0


def test_the_broad_topics_of_the_synthetic_corpus_come_back_as_parents(tiny_store: Path) -> None:
    embeddings = np.load(open_store(tiny_store).corpus("planted").path / schema.EMBEDDINGS).astype(np.float32)
    found = of_texts(embeddings, truth(len(embeddings), 0), seed=0)
    assert found.parents >= 7
    assert found.children >= 0.8
    assert found.by_chance == 0


def test_the_best_f1_is_of_the_best_feature_at_its_best_threshold() -> None:
    mentions = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], bool)
    activations = np.array([[3.0, 0.0], [2.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(best_f1(activations, mentions), [1.0, 0.5])
