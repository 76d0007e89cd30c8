"""Stage: label the features of every SAE of a corpus without a language model, and score the labels."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from build.llm.client import Client
from build.llm.costs import labels_cost
from build.llm.options import label_settings, read_labeller
from build.llm.stage import client_of, label_tables, local_history, texts_of
from build.phrases import corpus_phrases
from build.work import Target, Work
from sae import schema
from sae.errors import UserError
from sae.labelling.evidence import draw_evidence
from sae.labelling.label_scores import score_labels
from sae.labelling.labels import label_features
from sae.progress import Progress
from sae.statistics import ByFeature
from sae.storage.arrays import Group, write_table

LABELS = "labels.parquet"
SCORES = "scores.parquet"
OVERRIDE_COLUMNS = ("corpus", "sae", "feature_id", "label")


def settings(target: Target) -> object:
    overrides = {name: read_overrides(target, name) for name in target.sae_names}
    return [target.config.seed, overrides, list(target.sae_names), label_settings(target.config)]


def run(work: Work) -> dict[str, Any]:
    options = read_labeller(work.target.config)
    if not options.asks:
        return _run(work, None, [])
    texts = texts_of(work)
    n_features = sum(
        Group(work.input("encode", name) / schema.LATENTS, schema.LATENT_ARRAYS).shape("offsets")[0] - 1
        for name in work.target.sae_names
    )
    cost = labels_cost(options, n_features, texts)
    with client_of(work, options, "labels", cost, [options.interpreter, options.predictor]) as client:
        return _run(work, client, texts)


def _run(work: Work, client: Client | None, texts: list[str]) -> dict[str, Any]:
    options = read_labeller(work.target.config)
    names = work.target.sae_names
    steps = _Steps(work.progress, 1 + 3 * len(names))
    embeddings = np.load(work.input("embeddings") / schema.EMBEDDINGS, allow_pickle=False).astype(np.float32)
    phrases = corpus_phrases(work, progress=steps.next("phrases"))
    scores: dict[str, dict[str, Any]] = {}
    for name in names:
        latents = Group(work.input("encode", name) / schema.LATENTS, schema.LATENT_ARRAYS)
        entries = ByFeature(
            latents.read("offsets"), latents.read("documents"), latents.read("activations").astype(np.float32)
        )
        seed = work.target.config.seed
        evidence = draw_evidence(embeddings, entries, seed, steps.next(f"{name} evidence"))
        overrides = read_overrides(work.target, name)
        labelled = label_features(phrases, evidence, overrides, steps.next(f"{name} labels"))
        report = steps.next(f"{name} scores")
        if client is None:
            scored = score_labels(labelled.labels, phrases, evidence, seed, report)
            found = (
                labelled.table,
                scored.table,
                scored.evidence,
                local_history(labelled, evidence, overrides),
            )
        else:
            found = label_tables(client, options, phrases, texts, evidence, labelled, overrides, seed, report)
        labels, score_table, shown, history = found
        (work.out / name).mkdir()
        write_table(work.out / name / LABELS, labels)
        write_table(work.out / name / SCORES, score_table)
        write_table(work.out / name / schema.EVIDENCE, shown.cast(schema.EVIDENCE_COLUMNS), 4096)
        write_table(work.out / name / schema.LABEL_HISTORY, history, 4096)
        scores[name] = _summary(score_table)
        if client is not None:
            scores[name] |= {"interpreter": options.interpreter, "predictor": options.predictor}
    return {"labels": scores}


def _summary(table: pa.Table) -> dict[str, Any]:
    """What the About page says of an SAE's labels: how many were scored, and the median scores."""
    scored = table.filter(pa.compute.equal(table["status"], "scored"))
    facts: dict[str, Any] = {"features": table.num_rows, "scored": scored.num_rows}
    for name in ("pearson_random", "pearson_matched", "f1_random", "f1_matched"):
        values = scored[name].drop_null().to_numpy()
        facts[name] = round(float(np.median(values)), 3) if len(values) else None
    return facts


def read_overrides(target: Target, sae: str) -> dict[int, str]:
    """Labels that a person wrote for one SAE: a CSV file with the columns corpus, sae, feature_id, label."""
    path = Path(target.config.overrides)
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := set(OVERRIDE_COLUMNS) - set(reader.fieldnames or ()):
                raise UserError(
                    f"{path} lacks the columns {', '.join(sorted(missing))}. Its first line must name "
                    f"{', '.join(OVERRIDE_COLUMNS)}."
                )
            rows = [row for row in reader if (row["corpus"], row["sae"]) == (target.corpus.name, sae)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}). Save it as CSV in UTF-8.") from None
    try:
        return {int(row["feature_id"]): row["label"] for row in rows}
    except ValueError as error:
        raise UserError(f"{path}: feature_id must be a whole number ({error}).") from None


class _Steps:
    """One progress for a stage made of several: each part counts as a share of the whole."""

    _FINE = 1000

    def __init__(self, progress: Progress, parts: int) -> None:
        self._progress, self._parts, self._part = progress, parts, -1

    def next(self, name: str) -> Progress:
        self._part += 1
        part = self._part

        def report(done: int, total: int, note: str = "") -> None:
            share = done / total if total else 0.0
            self._progress(round((part + share) * self._FINE), self._parts * self._FINE, f"{name}: {note}")

        return report
