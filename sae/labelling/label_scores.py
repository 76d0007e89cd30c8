"""Scores of all labels of one autoencoder on the scoring half, with the Predictor's confidences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sae.labelling import scores
from sae.labelling.evidence import HALVES, MATCHED, QUANTILE, RANDOM, ROLES, SCORE, TOP, FeatureEvidence
from sae.labelling.phrases import Phrases
from sae.labelling.predictor import LabelReader, calibrated_confidences
from sae.progress import Progress, silent
from sae.schema import EVIDENCE_COLUMNS, SCORE_COLUMNS

_FEATURE = pa.field("feature_id", pa.int32(), nullable=False)
SCORE_TABLE = pa.schema([_FEATURE, *SCORE_COLUMNS])


@dataclass(frozen=True)
class ScoreResult:
    """``table``: SCORE_TABLE, one row a feature, null = not scored; ``evidence``: EVIDENCE_COLUMNS."""

    table: pa.Table
    evidence: pa.Table


def predict(
    labels: Sequence[str], evidence: Sequence[FeatureEvidence], phrases: Phrases
) -> list[npt.NDArray[np.float32]]:
    """Confidence for every scoring document of every labelled feature common enough to be scored, else empty.

    In the order of ``evidence[j].rows(SCORE, TOP, QUANTILE, RANDOM, MATCHED)``: as drawn. A feature's
    calibration is learnt on other features.
    """
    reader = LabelReader.of(labels, phrases)
    fit = [j for j, drawn in enumerate(evidence) if labels[j] and not drawn.too_rare]
    measures, truths = [], []
    for j in fit:
        rows = _scoring_rows(evidence[j])
        measures.append(reader.measures(j, evidence[j].documents[rows]))
        truths.append(evidence[j].activations[rows] > 0)
    confidences = [np.zeros(0, np.float32) for _ in evidence]
    for j, values in zip(fit, calibrated_confidences(measures, truths), strict=True):
        confidences[j] = values
    return confidences


def label_cosines(
    labels: Sequence[str], evidence: Sequence[FeatureEvidence], phrases: Phrases
) -> list[npt.NDArray[np.float32]]:
    """Raw cosine of each whole label with its feature's scoring documents, in the order of :func:`predict`."""
    named = [j for j, label in enumerate(labels) if label]
    embedded = phrases.embed([labels[j] for j in named]) if named else np.zeros((0, 1), np.float32)
    cosines = [np.zeros(0, np.float32) for _ in evidence]
    for vector, j in zip(embedded, named, strict=True):
        documents = evidence[j].documents[_scoring_rows(evidence[j])]
        cosines[j] = np.asarray(phrases.space.embeddings[documents] @ vector, np.float32)
    return cosines


def score_labels(
    labels: Sequence[str],
    phrases: Phrases,
    evidence: Sequence[FeatureEvidence],
    seed: int,
    progress: Progress | None = None,
    confidences: Sequence[npt.NDArray[np.float32]] | None = None,
) -> ScoreResult:
    """Score ``labels`` (one a feature, "" = none) on the scoring half.

    confidences: of another Predictor, as :func:`predict` gives them; the local one's when left out.
    """
    report = progress or silent
    report(0, len(evidence), "predicting activations from labels")
    if confidences is None:
        confidences = predict(labels, evidence, phrases)
    plain = label_cosines(labels, evidence, phrases)
    rows = []
    for j, drawn in enumerate(evidence):
        rows.append(_score_row(j, drawn, labels[j], confidences[j], plain[j], phrases, seed))
        if j % 64 == 0:
            report(j, len(evidence), "scoring labels")
    counts = {
        status: sum(row["status"] == status for row in rows) for status in ("scored", "too rare", "error")
    }
    report(len(evidence), len(evidence), " · ".join(f"{n:,} {status}" for status, n in counts.items()))
    table = pa.table(
        {field.name: [row.get(field.name) for row in rows] for field in SCORE_TABLE}, schema=SCORE_TABLE
    )
    return ScoreResult(table, evidence_table(evidence, confidences))


def evidence_table(
    evidence: Sequence[FeatureEvidence], confidences: Sequence[npt.NDArray[np.float32]]
) -> pa.Table:
    """EVIDENCE_COLUMNS of all features; confidence is null in the labelling half and where nothing was
    predicted.
    """
    parts = []
    for drawn, values in zip(evidence, confidences, strict=True):
        confidence = np.full(len(drawn.documents), np.nan, np.float32)
        if len(values):
            confidence[_scoring_rows(drawn)] = values
        parts.append(confidence)
    sizes = [len(drawn.documents) for drawn in evidence]
    confidence = np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def gather(name: str, kind: npt.DTypeLike) -> np.ndarray:
        return np.concatenate([getattr(drawn, name) for drawn in evidence] or [np.zeros(0)]).astype(kind)

    def names(values: tuple[str, ...], codes: np.ndarray) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(values)).cast(pa.string())

    return pa.table(
        {
            "feature_id": np.repeat(np.arange(len(evidence), dtype=np.int32), sizes),
            "document": gather("documents", np.int32),
            "role": names(ROLES, gather("roles", np.int8)),
            "half": names(HALVES, gather("halves", np.int8)),
            "activation": gather("activations", np.float32),
            "confidence": pa.array(confidence, pa.float32(), mask=np.isnan(confidence)),
        },
        schema=EVIDENCE_COLUMNS,
    )


def _scoring_rows(drawn: FeatureEvidence) -> npt.NDArray[np.intp]:
    return drawn.rows(SCORE, TOP, QUANTILE, RANDOM, MATCHED)


def _score_row(
    j: int,
    drawn: FeatureEvidence,
    label: str,
    confidence: npt.NDArray[np.float32],
    plain: npt.NDArray[np.float32],
    phrases: Phrases,
    seed: int,
) -> dict[str, object]:
    """The scores of one feature by column name; columns left out become null."""
    row: dict[str, object] = {"feature_id": j, "status": _status(drawn, confidence), "n_scored": 0}
    sample = drawn.documents[drawn.rows(SCORE, QUANTILE)]
    row["cohesion"] = _known(scores.cohesion(phrases.space.centred(sample)))
    if row["status"] != "scored":
        return row
    scored = _scoring_rows(drawn)
    roles, active = drawn.roles[scored], drawn.activations[scored]
    n = int((roles == QUANTILE).sum())  # the whole range comes first, so does what is matched to it
    positives = confidence[:n]
    strong = (active >= drawn.strong)[active > 0]
    rng = np.random.default_rng([seed, 3, j])
    negatives, plain_negatives = [], []
    for kind, role in (("random", RANDOM), ("matched", MATCHED)):
        others, name = confidence[roles == role], f"pearson_{kind}"
        row[name] = scores.pearson(positives, others[:n])
        row[f"{name}_low"], row[f"{name}_high"] = scores.pearson_interval(positives, others[:n], rng)
        row[f"f1_{kind}"] = scores.f1(positives, others[:n])
        row[f"pearson_strong_{kind}"] = scores.pearson(
            confidence[active > 0][strong], others[strong[: len(others)]]
        )
        negatives.append(others[:n])
        plain_negatives.append(plain[roles == role][:n])
    row["pearson_papers"], row["f1_papers"] = scores.papers_form(positives, negatives[0], rng)
    row["detection"] = scores.detection(positives, *negatives)
    row["embedding"] = scores.embedding_score(plain[:n], *plain_negatives)
    row["n_scored"] = len(scored)
    return {name: _known(value) for name, value in row.items()}


def _status(drawn: FeatureEvidence, confidence: npt.NDArray[np.float32]) -> str:
    if drawn.dead:
        return "dead"
    if drawn.too_rare:
        return "too rare"
    return "scored" if len(confidence) and np.isfinite(confidence).all() else "error"


def _known(value: object) -> object:
    return None if isinstance(value, float) and np.isnan(value) else value
