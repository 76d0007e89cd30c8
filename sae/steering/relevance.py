"""Measures of a ranking against judgments of relevance, as trec_eval and BEIR count them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

AT, FAR = 10, 100  # ranks that nDCG and recall look at

Judgments = Mapping[int, float]
"""Documents that somebody judged for one query, and how relevant each is; 0 or less is not relevant."""


def ndcg(ranking: npt.ArrayLike, judgments: Judgments, at: int = AT) -> float:
    """Normalised discounted cumulative gain of the first ``at`` documents, 0 … 1.

    ``ranking`` int (m,): documents, best first. DCG = Σ gain / log2(rank + 1), with a document's judgment as its
    gain and none where it was not judged, over the DCG of the best possible ranking (Järvelin and Kekäläinen
    2002). NaN where nothing is relevant.
    """
    gains = np.array([max(0.0, judgments.get(int(document), 0.0)) for document in np.asarray(ranking)[:at]])
    ideal = np.sort([gain for gain in judgments.values() if gain > 0])[::-1][:at]
    if not len(ideal):
        return float("nan")
    return float((gains / _discounts(len(gains))).sum() / (ideal / _discounts(len(ideal))).sum())


def recall(ranking: npt.ArrayLike, judgments: Judgments, at: int = FAR) -> float:
    """Share of the relevant documents that are among the first ``at``; NaN where nothing is relevant."""
    relevant = {document for document, gain in judgments.items() if gain > 0}
    found = relevant.intersection(int(document) for document in np.asarray(ranking)[:at])
    return len(found) / len(relevant) if relevant else float("nan")


def against_judgments(
    rankings: Sequence[npt.ArrayLike], judgments: Sequence[Judgments]
) -> dict[str, npt.NDArray[np.float64]]:
    """``ndcg@10`` and ``recall@100`` of n rankings, float64 (n,) each."""
    pairs = list(zip(rankings, judgments, strict=True))
    return {
        f"ndcg@{AT}": np.array([ndcg(ranking, judged) for ranking, judged in pairs], np.float64),
        f"recall@{FAR}": np.array([recall(ranking, judged) for ranking, judged in pairs], np.float64),
    }


def _discounts(count: int) -> npt.NDArray[np.float64]:
    return np.log2(np.arange(2, count + 2, dtype=np.float64))
