"""What features and steering are worth beside a search without them: categories, planted topics, rankings."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment

FloatArray = npt.NDArray[np.float32]

_LEVELS = (0.0, 0.25, 0.5, 0.75)  # shares of a feature's active entries below the thresholds that are tried
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0)  # strengths of the probe's penalty, over the number of documents


@dataclass(frozen=True)
class BestFeatures:
    """For each of n categories: ``features`` int64 (n,), ``thresholds`` float64 (n,), ``f1`` float64 (n,)
    on rows that the choice did not see."""

    features: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]


def f1_of(predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """F1 of each column of ``predicted`` (n, m) against ``truth`` (n, m); 0 where neither says yes."""
    both = (predicted & truth).sum(0)
    total = predicted.sum(0) + truth.sum(0)
    return np.where(total > 0, 2 * both / np.maximum(total, 1), 0.0)


def best_features(
    latents: sp.csr_matrix, truth: npt.NDArray[np.bool_], choosing: npt.NDArray[np.bool_]
) -> BestFeatures:
    """The single feature, and the threshold on its activation, that tells each category best.

    ``latents`` (n_documents, n_latents), active entries only; ``truth`` (n_documents, n_categories);
    ``choosing`` (n_documents,): rows on which feature and threshold are chosen by F1; it is scored on the
    others.
    """
    own, own_truth = latents[choosing].tocsc(), truth[choosing].astype(np.float32)
    n_latents = latents.shape[1]
    thresholds = np.zeros((len(_LEVELS), n_latents))
    for feature in range(n_latents):
        acts = own.data[own.indptr[feature] : own.indptr[feature + 1]]
        if len(acts):
            thresholds[1:, feature] = np.quantile(acts, _LEVELS[1:])
    best = np.full(truth.shape[1], -1.0)
    features, levels = np.zeros(truth.shape[1], np.int64), np.zeros(truth.shape[1])
    positives = own_truth.sum(0)
    owner = np.repeat(np.arange(n_latents), np.diff(own.indptr))
    for level in thresholds:
        on = own.copy()
        on.data = (own.data > level[owner]).astype(np.float32)
        f1 = 2 * (on.T @ own_truth) / np.maximum(np.asarray(on.sum(0)).T + positives, 1)
        top = f1.argmax(0)
        value = f1[top, np.arange(len(best))]
        better = value > best
        best[better], features[better], levels[better] = value[better], top[better], level[top[better]]
    told = np.asarray(latents[~choosing][:, features].todense()) > levels
    return BestFeatures(features, levels, f1_of(told, truth[~choosing]))


def probe_f1(
    embeddings: FloatArray, truth: npt.NDArray[np.bool_], choosing: npt.NDArray[np.bool_], seed: int = 0
) -> npt.NDArray[np.float64]:
    """F1 (n_categories,) of a linear probe on embeddings (n, d_in), on the rows that are not ``choosing``.

    Ridge regression on 0 and 1 in closed form, all categories at once; a quarter of the choosing rows sets
    penalty and threshold.
    """
    rows = np.random.default_rng([seed, 11]).permutation(np.flatnonzero(choosing))
    tuning, fitting = rows[: len(rows) // 4], rows[len(rows) // 4 :]
    x = np.concatenate([embeddings, np.ones((len(embeddings), 1), np.float32)], axis=1)
    gram = x[fitting].T @ x[fitting]
    moments = x[fitting].T @ truth[fitting].astype(np.float32)
    best, chosen, cuts = np.full(truth.shape[1], -1.0), np.zeros_like(moments), np.zeros(truth.shape[1])
    for ridge in _RIDGES:
        weights = np.linalg.solve(gram + ridge * len(fitting) / len(gram) * np.eye(len(gram)), moments)
        cut, value = _best_cuts(x[tuning] @ weights, truth[tuning])
        better = value > best
        best[better], cuts[better] = value[better], cut[better]
        chosen[:, better] = weights[:, better]
    return f1_of(x[~choosing] @ chosen > cuts, truth[~choosing])


def _best_cuts(
    scores: npt.NDArray[np.floating], truth: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each column the threshold with the best F1, and that F1."""
    order = np.argsort(-scores, axis=0)
    hits = np.cumsum(np.take_along_axis(truth, order, axis=0), axis=0)
    f1 = 2 * hits / (np.arange(1, len(scores) + 1)[:, None] + np.maximum(truth.sum(0), 1))
    at = f1.argmax(0)
    ranked = np.take_along_axis(scores, order, axis=0)
    columns = np.arange(scores.shape[1])
    below = ranked[np.minimum(at + 1, len(scores) - 1), columns]
    return (ranked[at, columns] + below) / 2, f1[at, columns]


@dataclass(frozen=True)
class Matching:
    """For each topic its ``features`` int64 (n_topics,), −1 without one, and ``correlations`` float64."""

    features: npt.NDArray[np.int64]
    correlations: npt.NDArray[np.float64]


def correlations(latents: sp.csr_matrix, mentions: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Pearson of each feature's activation with each topic's mention: float64 (n_latents, n_topics), 0 where
    one of them never varies."""
    n = latents.shape[0]
    truth = mentions.astype(np.float64)
    mean, share = np.asarray(latents.mean(0)).ravel().astype(np.float64), truth.mean(0)
    squares = np.asarray(latents.multiply(latents).mean(0)).ravel().astype(np.float64)
    spread = np.sqrt(np.maximum(squares - mean**2, 0))[:, None] * np.sqrt(share * (1 - share))
    covariance = (latents.T @ truth) / n - np.outer(mean, share)
    return np.where(spread > 1e-12, covariance / np.maximum(spread, 1e-12), 0.0)


def match_topics(latents: sp.csr_matrix, mentions: npt.NDArray[np.bool_]) -> Matching:
    """One feature for each topic, no feature twice, with the largest total correlation (maximum matching)."""
    table = correlations(latents, mentions)
    rows, columns = linear_sum_assignment(-table)
    features = np.full(mentions.shape[1], -1, np.int64)
    found = np.zeros(mentions.shape[1])
    features[columns], found[columns] = rows, table[rows, columns]
    return Matching(features, found)


def ranking_kept(
    original: npt.NDArray[np.int64], found: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.float64]]:
    """How much of an original ranking another one keeps, float64 (n,) each, with no judgments but the ranking.

    ``original`` and ``found`` (n, ≥ 100) documents, best first. overlap@10: share of the first ten that is
    shared; recall@100: share of the original ten that the other's first hundred hold; ndcg@10: gains 10, 9, …
    1 for the original ten, in the other's order.
    """
    gains = np.arange(10, 0, -1.0)
    discounts = 1 / np.log2(np.arange(2, 12))
    n = len(original)
    overlap, recall, ndcg = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        first = original[i, :10].tolist()
        worth = dict(zip(first, gains, strict=False))
        overlap[i] = len(set(first) & set(found[i, :10].tolist())) / len(first)
        recall[i] = len(set(first) & set(found[i, :100].tolist())) / len(first)
        gained = np.array([worth.get(d, 0.0) for d in found[i, :10].tolist()])
        best = gains[: len(first)] @ discounts[: len(first)]
        ndcg[i] = gained @ discounts[: len(gained)] / best
    return {"overlap@10": overlap, "recall@100": recall, "ndcg@10": ndcg}
