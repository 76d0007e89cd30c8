"""Interpreter–Predictor pairs compared on the same features (O'Neill et al. 2024, section 4.1)."""

from collections.abc import Sequence

import numpy as np

from sae.labelling import scores
from sae.labelling.evidence import MATCHED, MIN_DOCUMENTS, QUANTILE, RANDOM, SCORE, FeatureEvidence
from sae.labelling.roles import Interpreter, Predictor, Proposal
from sae.labelling.sampled_evidence import sampled
from sae.progress import Progress, silent
from sae.storage.columns_labels import PAIR_MEASURES

N_RESAMPLES = 1000
LEAST_DOCUMENTS = 3  # of each kind; with fewer confidences a feature has no score

Row = dict[str, object]


def draw_features(n_active: np.ndarray, count: int, seed: int) -> list[int]:
    """Features at random, in ascending order, among those common enough to be scored. ``n_active`` (n_latents, 2):
    documents in which each is active, in the labelling and in the scoring half."""
    fit = np.flatnonzero(n_active.min(axis=1) >= MIN_DOCUMENTS)
    return sorted(int(j) for j in np.random.default_rng([seed, 7]).permutation(fit)[:count])


def compare_pairs(
    pairs: Sequence[tuple[Interpreter, Predictor]],
    features: Sequence[int],
    evidence: Sequence[FeatureEvidence],
    documents: int,
    seed: int,
    progress: Progress | None = None,
) -> list[Row]:
    """Rows of schema.LABEL_PAIR_COLUMNS, less ``sae``, for each pair and feature.

    ``evidence[i]`` is of ``features[i]``; ``documents``: activating documents scored, with as many random and as
    many matched ones. Each pair gets the same documents. An Interpreter that stands in several pairs is asked once.
    """
    report = progress or silent
    few = [sampled(drawn, documents) for drawn in evidence]
    rows_of = [drawn.rows(SCORE, QUANTILE, RANDOM, MATCHED) for drawn in few]
    labels: dict[str, list[tuple[str, str]]] = {}
    found: list[Row] = []
    for done, (interpreter, predictor) in enumerate(pairs):
        report(done, len(pairs), f"{interpreter.name} and {predictor.name}")
        if interpreter.name not in labels:
            proposals = interpreter.propose(features, evidence)
            labels[interpreter.name] = [_first(options) for options in proposals]
        named = labels[interpreter.name]
        predictions = predictor.predict([label for label, _ in named], few, rows_of)
        for j, (label, why), drawn, rows, got in zip(features, named, few, rows_of, predictions, strict=True):
            reason = why if not label else "; ".join(got.reasons)
            row: Row = {
                "interpreter": interpreter.name,
                "predictor": predictor.name,
                "feature_id": j,
                "label": label,
                "status": "error",
                "n_scored": len(rows) - got.errors,
                "errors": got.errors,
                "reason": reason[:500],
            }
            found.append(
                row | _scores(drawn.roles[rows], got.confidences, np.random.default_rng([seed, 8, j]))
            )
    report(len(pairs), len(pairs), f"{len(features)} features")
    return found


def summarise_pairs(rows: Sequence[Row], seed: int) -> list[Row]:
    """Rows of schema.LABEL_PAIR_SUMMARY_COLUMNS, less ``sae``: medians with 95 % percentile bootstrap intervals.

    Every pair is resampled with the same draws, so that pairs can be set beside each other.
    """
    summary: list[Row] = []
    for pair in dict.fromkeys((row["interpreter"], row["predictor"]) for row in rows):
        own = [row for row in rows if (row["interpreter"], row["predictor"]) == pair]
        for measure in PAIR_MEASURES:
            values = np.array([row[measure] for row in own if row.get(measure) is not None], np.float64)
            low, high = _median_interval(values, np.random.default_rng([seed, 9]))
            summary.append(
                {
                    "interpreter": pair[0],
                    "predictor": pair[1],
                    "measure": measure,
                    "value": float(np.median(values)) if len(values) else None,
                    "low": low,
                    "high": high,
                    "n": len(values),
                    "errors": len(own) - len(values),
                }
            )
    return summary


def objective(drawn: FeatureEvidence, rows: np.ndarray, confidences: np.ndarray) -> float | None:
    """Mean of the Pearson correlations against random and against matched documents of the labelling half; None
    where too few confidences came."""
    values = []
    for role in (RANDOM, MATCHED):
        positives, negatives = (_of(drawn.roles[rows], confidences, kind) for kind in (QUANTILE, role))
        if len(positives) and len(negatives):
            values.append(scores.pearson(positives, negatives))
    return float(np.mean(values)) if values else None


def _scores(roles: np.ndarray, confidences: np.ndarray, rng: np.random.Generator) -> Row:
    kinds = {role: _of(roles, confidences, role) for role in (QUANTILE, RANDOM, MATCHED)}
    if min(len(kinds[QUANTILE]), len(kinds[RANDOM])) < LEAST_DOCUMENTS:
        return {}
    row: Row = {"status": "scored"}
    for name, role in (("random", RANDOM), ("matched", MATCHED)):
        row[f"pearson_{name}"] = _known(scores.pearson(kinds[QUANTILE], kinds[role]))
        row[f"f1_{name}"] = _known(scores.f1(kinds[QUANTILE], kinds[role]))
    papers = scores.papers_form(kinds[QUANTILE], kinds[RANDOM], rng)
    row["pearson_papers"], row["f1_papers"] = (_known(value) for value in papers)
    return row


def _of(roles: np.ndarray, confidences: np.ndarray, role: int) -> np.ndarray:
    values = confidences[roles == role]
    return values[np.isfinite(values)]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _median_interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return None, None
    medians = np.median(values[rng.integers(len(values), size=(N_RESAMPLES, len(values)))], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(high)


def _first(options: Sequence[Proposal]) -> tuple[str, str]:
    """(label, why there is none) of the first usable proposal."""
    for option in options:
        if option.label:
            return option.label, ""
    reasons = [option.outcome for option in options]
    return "", reasons[0] if reasons else "no label was proposed"
