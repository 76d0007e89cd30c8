"""The plain way to label without a language model, kept as the yardstick for the better one.

Label: the three words with the highest class-based TF-IDF over the labelling half. Prediction: the raw cosine
of label and document embeddings, calibrated on other features like any Predictor.
"""

from collections.abc import Sequence

import numpy as np

from sae import scores
from sae.evidence import LABEL, MATCHED, QUANTILE, RANDOM, SCORE, TOP, FeatureEvidence
from sae.phrases import Phrases
from sae.predictor import calibrated_confidences
from sae.words import STOP_WORDS

N_WORDS = 3


def plain_labels(phrases: Phrases, evidence: Sequence[FeatureEvidence]) -> list[str]:
    """Three words for each feature, by frequency in its documents × log(1 + 1 / frequency in all)."""
    space = phrases.space
    words = list(phrases.vocabulary)
    usable = np.asarray([len(word) > 2 and word not in STOP_WORDS for word in words])
    frequency = np.bincount(space.document_words.indices, minlength=len(words))
    inverse = np.log1p(len(space.embeddings) / np.maximum(frequency, 1))
    labels = []
    for drawn in evidence:
        documents = drawn.documents[drawn.rows(LABEL, TOP, QUANTILE)]
        count = np.asarray(space.document_words[documents].sum(0)).ravel()
        weight = np.where(usable, count * inverse, 0)
        best = np.argsort(-weight, kind="stable")[:N_WORDS]
        labels.append(" ".join(words[i] for i in best if weight[i] > 0))
    return labels


def plain_scores(
    labels: Sequence[str], phrases: Phrases, evidence: Sequence[FeatureEvidence]
) -> tuple[list[float], list[float]]:
    """Pearson against random and matched negatives, for each feature that can be scored (else NaN)."""
    fit = [j for j, drawn in enumerate(evidence) if labels[j] and not drawn.too_rare]
    vectors = phrases.embed([labels[j] for j in fit])
    rows = [evidence[j].rows(SCORE, QUANTILE, RANDOM, MATCHED) for j in fit]
    cosines = [
        (phrases.space.embeddings[evidence[j].documents[own]] @ vector)[:, None]
        for j, own, vector in zip(fit, rows, vectors, strict=True)
    ]
    truths = [evidence[j].activations[own] > 0 for j, own in zip(fit, rows, strict=True)]
    results = {RANDOM: [float("nan")] * len(evidence), MATCHED: [float("nan")] * len(evidence)}
    for j, own, confidence in zip(fit, rows, calibrated_confidences(cosines, truths), strict=True):
        roles = evidence[j].roles[own]
        n = int((roles == QUANTILE).sum())
        for role, column in results.items():
            column[j] = scores.pearson(confidence[:n], confidence[roles == role][:n])
    return results[RANDOM], results[MATCHED]
