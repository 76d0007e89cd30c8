import numpy as np
import pytest

from sae.labelling.evidence import (
    LABEL,
    MATCHED,
    MIN_DOCUMENTS,
    QUANTILE,
    RANDOM,
    SCORE,
    TOP,
    FeatureEvidence,
    draw_evidence,
    split_halves,
)
from tests.sae.planted import Planted, planted_corpus


@pytest.fixture(scope="module")
def corpus() -> Planted:
    return planted_corpus()


@pytest.fixture(scope="module")
def evidence(corpus: Planted) -> list[FeatureEvidence]:
    return draw_evidence(corpus.embeddings, corpus.by_feature, seed=3)


def own_documents(corpus: Planted, j: int) -> np.ndarray:
    return corpus.by_feature.documents[corpus.by_feature.offsets[j] : corpus.by_feature.offsets[j + 1]]


def test_halves_are_disjoint_and_those_of_the_seed(corpus: Planted, evidence: list[FeatureEvidence]) -> None:
    half = split_halves(len(corpus.texts), 3)
    for drawn in evidence:
        assert np.array_equal(half[drawn.documents], drawn.halves)
    assert not np.array_equal(half, split_halves(len(corpus.texts), 4))


def test_positives_are_active_and_negatives_are_not(corpus: Planted, evidence: list[FeatureEvidence]) -> None:
    for j, drawn in enumerate(evidence):
        active = np.isin(drawn.documents, own_documents(corpus, j))
        assert np.array_equal(active, np.isin(drawn.roles, (TOP, QUANTILE)))
        assert np.array_equal(active, drawn.activations > 0)


def test_no_document_twice_in_a_role_of_a_half(evidence: list[FeatureEvidence]) -> None:
    for drawn in evidence:
        for half in (LABEL, SCORE):
            for roles in ((TOP, QUANTILE), (RANDOM,), (MATCHED,)):
                documents = drawn.documents[drawn.rows(half, *roles)]
                assert len(np.unique(documents)) == len(documents)


def test_matched_is_the_nearest_inactive_document_not_yet_taken(
    corpus: Planted, evidence: list[FeatureEvidence]
) -> None:
    for j in (0, 3):
        drawn, own = evidence[j], own_documents(corpus, j)
        for half in (LABEL, SCORE):
            pool = np.setdiff1d(np.flatnonzero(split_halves(len(corpus.texts), 3) == half), own)
            taken: list[int] = []
            for positive in drawn.documents[drawn.rows(half, TOP, QUANTILE)]:
                free = np.setdiff1d(pool, taken)
                similarity = corpus.embeddings[free] @ corpus.embeddings[positive]
                taken.append(int(free[np.argmax(similarity)]))
            got = drawn.documents[drawn.rows(half, MATCHED)]
            similar = np.einsum("ij,ij->i", corpus.embeddings[got], corpus.embeddings[np.asarray(taken)])
            assert (similar > 0.9999).all()  # the same, or its twin: texts repeat


def test_scoring_sample_covers_the_whole_range(corpus: Planted, evidence: list[FeatureEvidence]) -> None:
    drawn = evidence[0]
    half = split_halves(len(corpus.texts), 3)
    entries = slice(corpus.by_feature.offsets[0], corpus.by_feature.offsets[1])
    values = corpus.by_feature.activations[entries][half[corpus.by_feature.documents[entries]] == SCORE]
    sample = drawn.activations[drawn.rows(SCORE, QUANTILE)]
    assert abs(np.median(sample) - np.median(values)) < 0.1


def test_rare_and_dead_features_say_so(evidence: list[FeatureEvidence]) -> None:
    assert evidence[-1].dead
    assert evidence[-2].too_rare
    assert not evidence[-2].dead
    assert sum(evidence[-2].n_active) < 2 * MIN_DOCUMENTS
    assert not evidence[0].too_rare


def test_a_feature_active_everywhere_gets_no_negatives(corpus: Planted) -> None:
    from sae.statistics import ByFeature

    n = len(corpus.texts)
    dense = ByFeature(
        np.asarray([0, n]), np.arange(n, dtype=np.int32), np.linspace(1, 0.1, n, dtype=np.float32)
    )
    drawn = draw_evidence(corpus.embeddings, dense, seed=0)[0]
    assert len(drawn.rows(SCORE, RANDOM, MATCHED)) == 0
    assert len(drawn.rows(SCORE, QUANTILE)) > 0
