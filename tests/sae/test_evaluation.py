"""Categories, planted topics and rankings against the plain way of counting them."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from sae.steering.evaluation import best_features, correlations, f1_of, match_topics, probe_f1, ranking_kept


@pytest.fixture
def planted() -> tuple[sp.csr_matrix, np.ndarray]:
    """Six features over 400 documents, the first four of them topics 2, 0, 3, 1 with noise."""
    rng = np.random.default_rng(0)
    mentions = rng.random((400, 4)) < 0.25
    acts = np.zeros((400, 6), np.float32)
    for feature, topic in enumerate((2, 0, 3, 1)):
        acts[:, feature] = mentions[:, topic] * rng.uniform(1, 2, 400) * (rng.random(400) < 0.9)
    acts[:, 4] = rng.random(400) * (rng.random(400) < 0.2)
    return sp.csr_matrix(acts), mentions


def test_planted_topics_are_matched(planted: tuple[sp.csr_matrix, np.ndarray]) -> None:
    found = match_topics(*planted)
    assert found.features.tolist() == [1, 3, 0, 2]
    assert (found.correlations > 0.8).all()


def test_correlation_and_matching_are_the_plain_ones(planted: tuple[sp.csr_matrix, np.ndarray]) -> None:
    latents, mentions = planted
    dense = np.asarray(latents.todense())
    table = correlations(latents, mentions)
    for i, j in itertools.product(range(5), range(4)):
        assert table[i, j] == pytest.approx(np.corrcoef(dense[:, i], mentions[:, j])[0, 1], abs=1e-5)
    assert not table[5].any()  # a dead feature
    best = max(sum(table[f, t] for t, f in enumerate(p)) for p in itertools.permutations(range(6), 4))
    assert match_topics(latents, mentions).correlations.sum() == pytest.approx(best)


def test_more_topics_than_features() -> None:
    latents = sp.csr_matrix(np.array([[1.0], [0.0], [2.0]], np.float32))
    found = match_topics(latents, np.array([[1, 0], [0, 1], [1, 0]], bool))
    assert found.features.tolist() == [0, -1]


def test_the_best_feature_is_scored_on_other_documents(planted: tuple[sp.csr_matrix, np.ndarray]) -> None:
    latents, mentions = planted
    choosing = np.arange(400) % 2 == 0
    found = best_features(latents, mentions, choosing)
    assert found.features.tolist() == [1, 3, 0, 2]
    dense = np.asarray(latents.todense())
    for topic in range(4):
        told = dense[~choosing, found.features[topic]] > found.thresholds[topic]
        truth = mentions[~choosing, topic]
        assert found.f1[topic] == pytest.approx(2 * (told & truth).sum() / (told.sum() + truth.sum()))


def test_chance_features_score_lower_where_they_were_not_chosen() -> None:
    rng = np.random.default_rng(0)
    latents = sp.csr_matrix(rng.random((300, 200)) * (rng.random((300, 200)) < 0.1), dtype=np.float32)
    truth = rng.random((300, 5)) < 0.1
    choosing = np.arange(300) < 150
    chosen = best_features(latents, truth, choosing)
    told = np.asarray(latents[choosing][:, chosen.features].todense()) > chosen.thresholds
    assert f1_of(told, truth[choosing]).mean() > 1.5 * chosen.f1.mean()


def test_the_probe_finds_a_linear_category_and_no_chance_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 12)).astype(np.float32)
    truth = np.stack([x[:, 0] + x[:, 1] > 1.0, rng.random(800) < 0.1], axis=1)
    found = probe_f1(x, truth, np.arange(800) % 2 == 0)
    assert found[0] > 0.85
    assert found[1] < 0.35


def test_rankings() -> None:
    original = np.arange(100)[None]
    same = ranking_kept(original, original)
    assert all(v[0] == pytest.approx(1) for v in same.values())
    other = np.concatenate([np.arange(5, 10), np.arange(200, 205), np.arange(5), np.arange(300, 385)])[None]
    kept = ranking_kept(original, other)
    assert kept["overlap@10"][0] == 0.5
    assert kept["recall@100"][0] == 1.0
    assert 0 < kept["ndcg@10"][0] < 0.5
