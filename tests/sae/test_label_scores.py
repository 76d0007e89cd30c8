import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from sae.labelling import scores

confidence = st.lists(
    st.sampled_from([-1.0, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0]), min_size=2, max_size=30
).map(np.array)


@settings(deadline=None)
@given(confidence, confidence)
def test_scores_equal_the_textbook(positives: np.ndarray, negatives: np.ndarray) -> None:
    truth = np.r_[np.ones(len(positives)), -np.ones(len(negatives))]
    values = np.r_[positives, negatives]
    if np.ptp(values) > 0:
        assert scores.pearson(positives, negatives) == pytest.approx(pearsonr(values, truth)[0], abs=1e-9)
    else:
        assert scores.pearson(positives, negatives) == 0
    expected = f1_score(truth > 0, values > 0, zero_division=0)
    assert scores.f1(positives, negatives) == pytest.approx(expected)
    assert scores.detection(positives, negatives) == pytest.approx(
        balanced_accuracy_score(truth > 0, values > 0)
    )
    assert scores.embedding_score(positives, negatives) == pytest.approx(roc_auc_score(truth > 0, values))


def test_nothing_to_compare_is_unknown_never_a_score() -> None:
    some, none = np.ones(3), np.zeros(0)
    rng = np.random.default_rng(0)
    assert np.isnan([scores.pearson(some, none), scores.f1(none, some), scores.detection(some)]).all()
    assert np.isnan(scores.pearson_interval(none, some, rng)).all()
    assert np.isnan(scores.papers_form(some[:2], some, rng)).all()
    assert np.isnan(scores.cohesion(np.ones((1, 4))))


def test_interval_holds_the_value_and_narrows_with_more_documents() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for n in (10, 400):
        positives, negatives = rng.normal(0.4, 0.5, n), rng.normal(-0.4, 0.5, n)
        low, high = scores.pearson_interval(positives, negatives, np.random.default_rng(1))
        assert low < scores.pearson(positives, negatives) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_cohesion_is_the_mean_cosine_of_pairs() -> None:
    rows = np.random.default_rng(0).standard_normal((7, 5))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert scores.cohesion(rows) == pytest.approx((cosine.sum() - 7) / 42)


def test_shuffling_gives_every_label_to_another_feature() -> None:
    labels = [f"label {i}" if i % 3 else "" for i in range(20)]
    other = scores.shuffled(labels, np.random.default_rng(0))
    assert sorted(other) == sorted(labels)
    assert all((a == b) == (a == "") for a, b in zip(labels, other, strict=True))
