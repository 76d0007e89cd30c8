"""Labels by a language model for all features of one SAE, chosen, scored, with their history.

Features are taken in blocks, the most frequent first, so that a budget that ends half-way leaves whole features. A
feature without an answer keeps its local label and is not scored; which ones and why stands in the history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from build.llm.options import LabellerConfig
from sae.labelling.evidence import MATCHED, QUANTILE, RANDOM, SCORE, FeatureEvidence
from sae.labelling.label_pairs import objective
from sae.labelling.roles import Interpreter, Prediction, Predictor, Proposal
from sae.labelling.sampled_evidence import checked, sampled
from sae.labelling.words import stem
from sae.progress import Progress, silent

BLOCK = 64  # features that are asked about together

Row = dict[str, Any]


@dataclass
class Labelled:
    """What came of it, one entry a feature."""

    labels: list[str]
    sources: list[str]
    candidates: list[list[str]]  # those that were compared; all stand in the history
    objectives: list[list[float]]
    objective: list[float | None]
    predictions: list[Prediction | None]
    evidence: list[FeatureEvidence]  # with as few scoring documents as were paid for
    history: list[Row] = field(default_factory=list)


def label_with_model(
    interpreter: Interpreter,
    predictor: Predictor,
    evidence: Sequence[FeatureEvidence],
    local: Sequence[str],
    written: Mapping[int, str],
    options: LabellerConfig,
    progress: Progress | None = None,
) -> Labelled:
    """Label and score every live feature. ``local``: labels to fall back to; ``written``: a person's, kept as
    they are and scored like any other."""
    report = progress or silent
    n = len(evidence)
    found = Labelled(
        labels=[written.get(j, local[j]) for j in range(n)],
        sources=["person" if j in written else "local" if local[j] else "none" for j in range(n)],
        candidates=[[] for _ in range(n)],
        objectives=[[] for _ in range(n)],
        objective=[None] * n,
        predictions=[None] * n,
        evidence=[sampled(drawn, options.score_documents) for drawn in evidence],
    )
    order = sorted(
        (j for j in range(n) if not evidence[j].dead), key=lambda j: (-sum(evidence[j].n_active), j)
    )
    taken = {_identity(label) for label in written.values()}
    size = n if options.batch else BLOCK
    for start in range(0, len(order), max(1, size)):
        block = order[start : start + size]
        report(start, len(order), "asking for labels")
        asked = [j for j in block if j not in written]
        proposals = _proposals(asked, interpreter, predictor, evidence, options)
        for j in sorted(asked, key=lambda j: -_best(proposals[j])):
            _choose(j, proposals[j], taken, found)
        _score(block, predictor, found)
        for j in asked:
            found.history += _history(j, proposals[j], interpreter, predictor, found)
    report(len(order), len(order), "labels asked for")
    _tell_equal(found)
    return found


def _proposals(
    features: Sequence[int],
    interpreter: Interpreter,
    predictor: Predictor,
    evidence: Sequence[FeatureEvidence],
    options: LabellerConfig,
) -> dict[int, list[Proposal]]:
    """Proposals of each feature with their objectives; of a single one none is needed, so none is paid for."""
    found = dict(zip(features, interpreter.propose(features, [evidence[j] for j in features]), strict=True))
    tried = [
        (j, place)
        for j in features
        for place, proposal in enumerate(found[j])
        if proposal.label and sum(bool(other.label) for other in found[j]) > 1
    ]
    rows = {j: checked(evidence[j], options.check_documents) for j in {j for j, _ in tried}}
    predictions = predictor.predict(
        [found[j][place].label for j, place in tried],
        [evidence[j] for j, _ in tried],
        [rows[j] for j, _ in tried],
    )
    for (j, place), got in zip(tried, predictions, strict=True):
        value = objective(evidence[j], rows[j], got.confidences)
        why = "; ".join(got.reasons)
        outcome = "ok" if value is not None else why or "no documents to compare it on"
        found[j][place] = replace(found[j][place], objective=value, errors=got.errors, outcome=outcome)
    return found


def _best(proposals: Sequence[Proposal]) -> float:
    return max((_worth(p) for p in proposals if p.label), default=-2.0)


def _worth(proposal: Proposal) -> float:
    return -1.5 if proposal.objective is None else proposal.objective


def _choose(j: int, proposals: Sequence[Proposal], taken: set[frozenset[str]], found: Labelled) -> None:
    """The best proposal whose words no other feature has; else the best one with a number."""
    named = [p for p in proposals if p.label]
    known = [(p.label, p.objective) for p in named if p.objective is not None]
    found.candidates[j] = [label for label, _ in known]
    found.objectives[j] = [value for _, value in known]
    if not named:
        return
    ranked = sorted(named, key=lambda p: -_worth(p))  # stable: the model's own order among equals
    free = next((p for p in ranked if _identity(p.label) not in taken), None)
    chosen, label = free or ranked[0], (free or ranked[0]).label
    number = 2
    while _identity(label) in taken:
        label = f"{chosen.label} ({number})"
        number += 1
    taken.add(_identity(label))
    found.labels[j], found.sources[j], found.objective[j] = label, "llm", chosen.objective


def _score(block: Sequence[int], predictor: Predictor, found: Labelled) -> None:
    """Predict the scoring half for the features of a block that a model or a person has labelled."""
    fit = [j for j in block if found.sources[j] in ("llm", "person") and not found.evidence[j].too_rare]
    rows = [found.evidence[j].rows(SCORE, QUANTILE, RANDOM, MATCHED) for j in fit]
    predictions = predictor.predict([found.labels[j] for j in fit], [found.evidence[j] for j in fit], rows)
    for j, got in zip(fit, predictions, strict=True):
        found.predictions[j] = got


def _history(
    j: int, proposals: Sequence[Proposal], interpreter: Interpreter, predictor: Predictor, found: Labelled
) -> list[Row]:
    """Rows of what was tried; the chosen label's says what went wrong when it was scored."""
    rows = history_rows(j, proposals, "openai", interpreter.name, predictor.name, found.labels[j])
    prediction = found.predictions[j]
    for row in rows:
        if row["chosen"] and prediction and prediction.reasons:
            row["outcome"] = "scoring: " + "; ".join(prediction.reasons)
    return rows


def history_rows(
    j: int, proposals: Sequence[Proposal], kind: str, interpreter: str, predictor: str, chosen: str
) -> list[Row]:
    """Rows of schema.LABEL_HISTORY_COLUMNS."""
    rows: list[Row] = []
    for number, proposal in enumerate(proposals):
        label = proposal.label
        is_chosen = bool(label) and (chosen == label or chosen.startswith(f"{label} ("))
        rows.append(
            {
                "feature_id": j,
                "number": number,
                "kind": kind,
                "interpreter": interpreter,
                "predictor": predictor,
                "label": label,
                "chosen": is_chosen and not any(row["chosen"] for row in rows),
                "objective": proposal.objective,
                "errors": proposal.errors,
                "reason": proposal.reason,
                "outcome": proposal.outcome,
                "documents": list(proposal.documents),
                "input_tokens": proposal.input_tokens,
                "output_tokens": proposal.output_tokens,
                "usd": proposal.usd,
            }
        )
    return rows


def _tell_equal(found: Labelled) -> None:
    """Local labels that features fell back to may equal a model's: a number tells them apart."""
    taken = {
        _identity(label) for j, label in enumerate(found.labels) if found.sources[j] in ("llm", "person")
    }
    for j, source in enumerate(found.sources):
        if source != "local":
            continue
        label, number = found.labels[j], 2
        while _identity(label) in taken:
            label = f"{found.labels[j]} ({number})"
            number += 1
        taken.add(_identity(label))
        found.labels[j] = label


def _identity(label: str) -> frozenset[str]:
    """Labels that a reader would call the same: the same stems in any order."""
    return frozenset(stem(word) for word in label.casefold().replace(";", " ").replace("-", " ").split())
