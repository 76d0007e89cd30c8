"""What the stages on labels share when a language model is asked: its client, its roles, the tables."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pyarrow as pa

from build.embeddings import embedded_texts
from build.llm.asking import asking
from build.llm.client import Client
from build.llm.costs import Cost
from build.llm.interpreter import LLMInterpreter
from build.llm.labelling import Labelled, history_rows, label_with_model
from build.llm.options import BUILT_IN, LabellerConfig
from build.llm.predictor import LLMPredictor
from build.work import Work
from sae import schema
from sae.labelling.evidence import LABEL, MATCHED, QUANTILE, RANDOM, SCORE, TOP, FeatureEvidence
from sae.labelling.label_scores import evidence_table, score_labels
from sae.labelling.labels import LabelResult
from sae.labelling.phrases import Phrases
from sae.labelling.roles import (
    Interpreter,
    LocalInterpreter,
    LocalPredictor,
    PlainInterpreter,
    PlainPredictor,
    Prediction,
    Predictor,
    Proposal,
)
from sae.labelling.sampled_evidence import only
from sae.progress import Progress

PURPOSE = "labels"  # in the journal: whatever the [labeller] table pays for
_LEAST_DOCUMENTS = 3  # of each kind that must have a confidence for a feature to be scored


def client_of(
    work: Work, options: LabellerConfig, what: str, cost: Cost, models: Sequence[str]
) -> AbstractContextManager[Client]:
    """The client of the [labeller] table; ``what``: "labels", "pairs", "families", which share one budget."""
    return asking(work, options.server, PURPOSE, what, models, cost, options.budget_usd, options.batch)


def texts_of(work: Work) -> list[str]:
    return embedded_texts(work.input("documents") / schema.DOCUMENTS)


def interpreter_of(
    name: str, client: Client | None, options: LabellerConfig, phrases: Phrases, texts: Sequence[str]
) -> Interpreter:
    if name in BUILT_IN or client is None:
        return LocalInterpreter(phrases) if name == "local" else PlainInterpreter(phrases)
    return LLMInterpreter(client, name, texts, options.candidates, options.characters)


def predictor_of(
    name: str,
    client: Client | None,
    options: LabellerConfig,
    phrases: Phrases,
    texts: Sequence[str],
) -> Predictor:
    if name in BUILT_IN or client is None:
        return LocalPredictor(phrases) if name == "local" else PlainPredictor(phrases)
    return LLMPredictor(client, name, texts, options.characters)


def label_tables(
    client: Client,
    options: LabellerConfig,
    phrases: Phrases,
    texts: Sequence[str],
    evidence: Sequence[FeatureEvidence],
    local: LabelResult,
    written: Mapping[int, str],
    seed: int,
    progress: Progress,
) -> tuple[pa.Table, pa.Table, pa.Table, pa.Table]:
    """(labels, scores, evidence, history) of one SAE, by a language model where it answered."""
    interpreter = interpreter_of(options.interpreter, client, options, phrases, texts)
    predictor = predictor_of(options.predictor, client, options, phrases, texts)
    at = [0, 1]

    def report(done: int, total: int, note: str = "") -> None:
        at[:] = [done, total]
        progress(done, total, note)

    client.heard = lambda: progress(at[0], at[1], client.note())
    found = label_with_model(interpreter, predictor, evidence, local.labels, written, options, report)
    labels = local.table
    for name, values in (
        ("label", found.labels),
        ("source", found.sources),
        ("candidates", found.candidates),
        ("candidate_objectives", found.objectives),
        ("objective", found.objective),
    ):
        place = labels.column_names.index(name)
        labels = labels.set_column(
            place, labels.schema.field(name), pa.array(values, labels.schema.field(name).type)
        )
    scores, evidence_rows = _score_tables(found, phrases, seed)
    history = found.history + _kept_local(found, local, evidence) + _written(written)
    return labels, scores, evidence_rows, history_table(history)


def _score_tables(found: Labelled, phrases: Phrases, seed: int) -> tuple[pa.Table, pa.Table]:
    """Scores of the documents for which a confidence came; the evidence table shows the others without one."""
    answered, confidences, whole, statuses = [], [], [], []
    for drawn, prediction, source in zip(found.evidence, found.predictions, found.sources, strict=True):
        rows = drawn.rows(SCORE, QUANTILE, RANDOM, MATCHED)
        values = prediction.confidences if prediction else np.full(len(rows), np.nan, np.float32)
        known = np.isfinite(values)
        kinds = [int((drawn.roles[rows][known] == role).sum()) for role in (QUANTILE, RANDOM, MATCHED)]
        enough = min(kinds) >= _LEAST_DOCUMENTS
        kept = (
            np.sort(np.concatenate([np.flatnonzero(drawn.halves == LABEL), rows[known]])) if enough else None
        )
        answered.append(only(drawn, kept) if kept is not None else drawn)
        confidences.append(values[known] if enough else np.zeros(0, np.float32))
        whole.append(values)
        fell_back = source in ("local", "none") and not (drawn.dead or drawn.too_rare)
        statuses.append("unscored" if fell_back or (not enough and _ran_out(prediction)) else None)
    scored = score_labels(found.labels, phrases, answered, seed, confidences=confidences).table
    place = scored.column_names.index("status")
    status = [new or old for new, old in zip(statuses, scored["status"].to_pylist(), strict=True)]
    scored = scored.set_column(place, scored.schema.field("status"), pa.array(status, pa.string()))
    return scored, evidence_table(found.evidence, whole)


def _ran_out(prediction: Prediction | None) -> bool:
    """Labelled, but the budget ended before enough documents were predicted."""
    return prediction is not None and any("budget" in reason for reason in prediction.reasons)


def _kept_local(
    found: Labelled, local: LabelResult, evidence: Sequence[FeatureEvidence]
) -> list[dict[str, Any]]:
    """For each feature that keeps its local label, that it does."""
    rows: list[dict[str, Any]] = []
    for j, source in enumerate(found.sources):
        if source == "local":
            rows += history_rows(
                j, [_proposal(found.labels[j], None, evidence[j])], "local", "local", "local", found.labels[j]
            )
    return rows


def local_history(
    local: LabelResult, evidence: Sequence[FeatureEvidence], written: Mapping[int, str]
) -> pa.Table:
    """LABEL_HISTORY_COLUMNS of labels made without a language model: every candidate with its objective."""
    rows: list[dict[str, Any]] = []
    columns = (local.table[name].to_pylist() for name in ("label", "candidates", "candidate_objectives"))
    for j, (label, candidates, objectives) in enumerate(zip(*columns, strict=True)):
        if len(objectives) != len(candidates):
            objectives = [None] * len(candidates)
        options = [_proposal(c, o, evidence[j]) for c, o in zip(candidates, objectives, strict=True)]
        chosen = "" if j in written else label
        own = history_rows(j, options, "local", "local", "local", chosen)
        if chosen and not any(
            row["chosen"] for row in own
        ):  # told apart from another feature's by a phrase more
            own += history_rows(j, [_proposal(chosen, None, evidence[j])], "local", "local", "local", chosen)
        rows += own
    return history_table(rows + _written(written))


def _written(written: Mapping[int, str]) -> list[dict[str, Any]]:
    return [
        row
        for j, label in written.items()
        for row in history_rows(j, [Proposal(label)], "person", "person", "", label)
    ]


def history_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Sorted by feature and then as tried, numbered anew."""
    ordered = sorted(rows, key=lambda row: row["feature_id"])  # stable
    numbers: dict[int, int] = {}
    for row in ordered:
        row["number"] = numbers.get(row["feature_id"], 0)
        numbers[row["feature_id"]] = row["number"] + 1
    return pa.Table.from_pylist(ordered, schema.LABEL_HISTORY_COLUMNS)


def _proposal(label: str, objective: float | None, drawn: FeatureEvidence) -> Proposal:
    documents = tuple(int(d) for d in drawn.documents[drawn.rows(LABEL, TOP)])
    return Proposal(label, objective=objective, documents=documents)
