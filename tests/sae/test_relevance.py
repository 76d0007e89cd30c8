"""Measures against judgments, beside a slow and obvious count."""

import math

import numpy as np
import pytest

from sae.steering.relevance import against_judgments, ndcg, recall


def plain_ndcg(ranking: list[int], judgments: dict[int, float], at: int) -> float:
    def dcg(gains: list[float]) -> float:
        total = 0.0
        for rank in range(1, len(gains) + 1):
            total += gains[rank - 1] / math.log2(rank + 1)
        return total

    gains = [judgments[d] if d in judgments and judgments[d] > 0 else 0.0 for d in ranking[:at]]
    best = sorted((g for g in judgments.values() if g > 0), reverse=True)[:at]
    return dcg(gains) / dcg(best) if best else float("nan")


def plain_recall(ranking: list[int], judgments: dict[int, float], at: int) -> float:
    relevant = [d for d, gain in judgments.items() if gain > 0]
    if not relevant:
        return float("nan")
    return sum(1 for d in relevant if d in ranking[:at]) / len(relevant)


def test_measures_are_the_plain_ones_on_random_rankings() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 250))
        ranking = rng.permutation(n)[: int(rng.integers(0, 130))].tolist()
        judged = rng.permutation(n + 5)[: int(rng.integers(0, 30))]
        judgments = {int(d): float(rng.choice([-1, 0, 0, 1, 2, 3])) for d in judged}
        assert ndcg(ranking, judgments) == pytest.approx(plain_ndcg(ranking, judgments, 10), nan_ok=True)
        assert recall(ranking, judgments) == pytest.approx(plain_recall(ranking, judgments, 100), nan_ok=True)


def test_known_values() -> None:
    judgments = {1: 3.0, 2: 2.0, 3: 0.0}
    assert ndcg([1, 2, 3], judgments) == pytest.approx(1.0)
    # By hand: (2 + 3 / log2(3)) / (3 + 2 / log2(3))
    assert ndcg([2, 1], judgments) == pytest.approx((2 + 3 / 1.5849625) / (3 + 2 / 1.5849625))
    assert ndcg([9, 8], judgments) == 0
    assert recall([2] + [9] * 99 + [1], judgments) == 0.5


def test_a_query_without_relevant_documents_has_no_measure() -> None:
    found = against_judgments([[1, 2], [1]], [{1: 0.0}, {1: 1.0}])
    assert np.isnan(found["ndcg@10"][0])
    assert np.isnan(found["recall@100"][0])
    assert found["ndcg@10"][1] == 1
