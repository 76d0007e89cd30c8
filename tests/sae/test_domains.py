"""Matches between corpora: the same planted directions are found, shared documents counted, words
compared."""

from dataclasses import replace

import numpy as np
import pytest

from sae.encode import Weights, encode
from sae.errors import UserError
from sae.structure.cooccurrence import active_entries
from sae.structure.domains import label_overlap, match_domains, shared_documents


def weights(directions: np.ndarray, mean: float, scale: float) -> Weights:
    rows = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    n, d = rows.shape
    zero = np.zeros(d, np.float32)
    return Weights(rows, rows, zero, np.zeros(n, np.float32), np.full(d, mean, np.float32), scale, 2)


def test_planted_common_directions_are_matched() -> None:
    rng = np.random.default_rng(0)
    common, mine, theirs = (rng.standard_normal((n, 32)) for n in (4, 6, 5))
    one = weights(np.concatenate([common, mine]), 0.1, 0.5)
    other = weights(np.concatenate([theirs, common[::-1]]), -0.2, 2.0)
    documents = rng.standard_normal((500, 32)).astype(np.float32)
    documents[:200] += 4 * one.W_dec[rng.integers(0, 4, 200)]
    latents = [active_entries(*encode(documents, w), w.n_latents) for w in (one, other)]
    found = match_domains(one, other, *latents, np.arange(100, 140))
    assert found.nearest[:4].tolist() == [8, 7, 6, 5]
    assert found.mutual[:4].all()
    np.testing.assert_allclose(found.cosines[:4], 1, atol=1e-6)
    assert found.similarities[:4].min() > 0.5
    assert (found.cosines[4:] < 0.8).all()
    dense = [m.toarray() for m in latents]
    for i in range(10):
        a, b = dense[0][100:140, i], dense[1][100:140, found.nearest[i]]
        if not (a.any() or b.any()):
            assert np.isnan(found.shared_similarities[i])
            continue
        expected = a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30)
        assert found.shared_similarities[i] == pytest.approx(expected, abs=1e-5)
        assert found.shared_active[i] == ((a > 0) & (b > 0)).sum()


def test_embeddings_of_different_width_are_refused() -> None:
    one = weights(np.eye(4), 0, 1)
    with pytest.raises(UserError, match="4 and 3"):
        match_domains(one, replace(weights(np.eye(3), 0, 1)), *[None] * 3)  # type: ignore[arg-type]


def test_shared_documents_by_id() -> None:
    rows, others = shared_documents(["a", "b", "c", "d"], ["d", "x", "b"])
    assert (rows.tolist(), others.tolist()) == ([1, 3], [2, 0])
    assert [len(side) for side in shared_documents(["a"], ["b"])] == [0, 0]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Gaussian processes", "gaussian process; kernels", 1.0),
        ("Substructure in dark matter", "Subgraphs and their representations", 0.0),
        ("neural networks", "networks of galaxies", 0.5),
        ("Length scales", "Scaling", 1.0),
        ("Code", "Coding", 1.0),
        ("Galaxy", "galaxies", 1.0),
        ("Bayes factors", "Bayesian", 1.0),
        ("Noise", "Noisy labels", 1.0),
        ("Gravitational lens", "Gravitational lensing", 1.0),
        ("Gas", "Gases", 1.0),
        ("Bias", "Biases", 1.0),
        ("King", "k means", 0.0),
        ("PCA", "Principal component analysis", 1.0),
        ("Principal component analysis; spectra", "PCA; images", 0.5),
        ("Planning", "Planets", 0.0),
        ("Stars", "Starting points", 0.0),
        ("Pre-training", "Precession", 0.0),
        ("WaveNet", "Waves", 0.0),
        ("", "anything", float("nan")),
        (None, "anything", float("nan")),
    ],
)
def test_label_overlap(one: str | None, other: str, expected: float) -> None:
    assert label_overlap(one, other) == pytest.approx(expected, nan_ok=True)
