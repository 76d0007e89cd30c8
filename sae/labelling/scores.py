"""How well a label predicts where its feature is active: pure functions of confidences and truth.

Confidence runs from −1 (surely not active) to +1 (surely active), truth is ±1 (O'Neill et al. 2024, section
4.1).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

N_RESAMPLES = 200
_PAPERS_DOCUMENTS = 3


def pearson(positives: FloatArray, negatives: FloatArray) -> float:
    """Correlation of confidence with truth; NaN without both kinds, 0 when every confidence is the same."""
    if len(positives) == 0 or len(negatives) == 0:
        return float("nan")
    return float(_pearson_rows(positives[None].astype(np.float64), negatives[None].astype(np.float64))[0])


def f1(positives: FloatArray, negatives: FloatArray) -> float:
    """F1 of "confidence > 0" against truth; NaN without both kinds."""
    if len(positives) == 0 or len(negatives) == 0:
        return float("nan")
    hits = int((positives > 0).sum())
    false_alarms = int((negatives > 0).sum())
    return 2 * hits / max(1, hits + len(positives) + false_alarms)


def pearson_interval(
    positives: FloatArray, negatives: FloatArray, rng: np.random.Generator, n_resamples: int = N_RESAMPLES
) -> tuple[float, float]:
    """95 % percentile bootstrap interval of :func:`pearson`, each kind of document resampled on its own."""
    if len(positives) == 0 or len(negatives) == 0:
        return float("nan"), float("nan")
    chosen = rng.integers(len(positives), size=(n_resamples, len(positives)))
    others = rng.integers(len(negatives), size=(n_resamples, len(negatives)))
    values = _pearson_rows(positives.astype(np.float64)[chosen], negatives.astype(np.float64)[others])
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def papers_form(
    positives: FloatArray, negatives: FloatArray, rng: np.random.Generator
) -> tuple[float, float]:
    """Pearson and F1 on three activating and three other documents, as in the papers; NaN with fewer."""
    if min(len(positives), len(negatives)) < _PAPERS_DOCUMENTS:
        return float("nan"), float("nan")
    few = positives[rng.permutation(len(positives))[:_PAPERS_DOCUMENTS]]
    others = negatives[rng.permutation(len(negatives))[:_PAPERS_DOCUMENTS]]
    return pearson(few, others), f1(few, others)


def detection(positives: FloatArray, *negatives: FloatArray) -> float:
    """Balanced accuracy of "confidence > 0" over all kinds of negatives together (Paulo et al. 2024)."""
    others = np.concatenate(negatives) if negatives else np.zeros(0)
    if len(positives) == 0 or len(others) == 0:
        return float("nan")
    return float(((positives > 0).mean() + (others <= 0).mean()) / 2)


def embedding_score(positives: FloatArray, *negatives: FloatArray) -> float:
    """Area under the ROC curve of the plain cosine of label and document (Paulo et al. 2024)."""
    others = np.concatenate(negatives) if negatives else np.zeros(0)
    if len(positives) == 0 or len(others) == 0:
        return float("nan")
    order = np.sort(others)
    below = np.searchsorted(order, positives, side="left")
    equal = np.searchsorted(order, positives, side="right") - below
    return float((below + 0.5 * equal).mean() / len(others))


def cohesion(centred: FloatArray) -> float:
    """Mean cosine of two different activating documents, given their centred embeddings (n, d_in): no label
    needed.

    NaN with fewer than two.
    """
    n = len(centred)
    if n < 2:
        return float("nan")
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    total = unit.sum(0, dtype=np.float64)
    return float((total @ total - n) / (n * (n - 1)))


def shuffled(labels: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Every label given to another feature: the control that must score near zero. Empty labels stay."""
    out = list(labels)
    named = [i for i, label in enumerate(labels) if label]
    order = rng.permutation(len(named))
    for place, other in zip(order, np.roll(order, 1), strict=True):
        out[named[place]] = labels[named[other]]
    return out


def _pearson_rows(positives: FloatArray, negatives: FloatArray) -> npt.NDArray[np.float64]:
    """Pearson for each row of (rows, n_positives) and (rows, n_negatives) confidences."""
    n, m = positives.shape[1], negatives.shape[1]
    mean = (positives.sum(1) + negatives.sum(1)) / (n + m)
    spread = ((positives - mean[:, None]) ** 2).sum(1) + ((negatives - mean[:, None]) ** 2).sum(1)
    truth_mean = (n - m) / (n + m)
    truth_spread = n * (1 - truth_mean) ** 2 + m * (1 + truth_mean) ** 2
    product = (positives - mean[:, None]).sum(1) - (negatives - mean[:, None]).sum(1)
    constant = spread < 1e-12
    return np.where(constant, 0.0, product / np.sqrt(np.where(constant, 1.0, spread) * truth_spread))
