"""Stage: does steering do what the labels say, what does it cost, and what is a feature worth?"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from build.embedders import make_embedder
from build.evaluation.beir import fingerprint
from build.evaluation.evaluated_sae import EvaluatedSAE, Row
from build.evaluation.evaluation_corpus import EvaluationConfig, EvaluationCorpus
from build.evaluation.evaluation_llm import asked_server, judge_client
from build.evaluation.judged_retrieval import JudgedCollection
from build.profile_table import checked_table
from build.work import Target, Work
from sae import schema
from sae.storage.arrays import write_table


def read_options(target: Target) -> EvaluationConfig:
    return checked_table(EvaluationConfig, target.config.evaluation, "The profile's [evaluation]")


def settings(target: Target) -> object:
    options = read_options(target)
    path = (options.files or {}).get(target.corpus.name)
    content = Path(path).read_text(encoding="utf-8") if path and Path(path).is_file() else ""
    source = target.corpus.source if target.corpus.source["kind"] == "synthetic" else {}
    return [
        target.config.seed, target.config.held_out, list(target.sae_names), list(target.corpus.examples),
        options.queries, options.documents, options.good, path, content, source,
        [options.judge, options.judged_trials, options.judged_methods, options.judged_edits, options.judged_fidelities]
        if options.judge else [], options.rewriter,
        # With the budget, so that raising a reached one asks on; what was answered is known and costs nothing.
        [asked_server(target.config), options.budget_usd] if options.asked else "",
        fingerprint(folder) if (folder := options.collection(target.corpus.name)) else "",
    ]  # fmt: skip


def run(work: Work) -> dict[str, Any]:
    # Products here are small: spread over threads they cost many times the work itself on a busy machine.
    with threadpool_limits(1):
        return _run(work)


def _run(work: Work) -> dict[str, Any]:
    if not make_embedder(work.target.config.embedder).can_embed_texts:
        work.say(f"{work.target.corpus.name} is not evaluated: its queries and labels cannot be embedded.")
        return {}
    options = read_options(work.target)
    corpus = EvaluationCorpus(work, options)
    facts: dict[str, Any] = {"evaluated": len(corpus.queries.texts)}
    collection: JudgedCollection | None = None
    if folder := options.collection(work.target.corpus.name):
        work.progress(0, 1, f"embedding the test collection {folder.name}")
        collection = JudgedCollection(folder, corpus.embed, options.documents, corpus.seed)
        facts |= {"judged_queries": len(collection.queries)}
        left_out = [f"{count:,} {what}" for what, count in collection.collection.left_out.items() if count]
        if left_out:
            work.say(f"{folder} is used without {', '.join(left_out)}.")
    out = work.out / schema.EVALUATION
    out.mkdir()
    names = work.target.sae_names
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES}
    with judge_client(work, options) as client:
        for done, name in enumerate(names):
            found = EvaluatedSAE(corpus, work, name)

            def say(note: str, done: int = done, name: str = name) -> None:
                work.progress(done, len(names), f"{name}: {note}")

            parts: dict[str, Callable[[], list[Row]]] = {
                schema.STEERING: partial(found.steering, say, client),
                schema.OPTIMISATION: found.optimisation,
                schema.CONTOUR: found.contour,
                schema.RETRIEVAL: found.retrieval,
                schema.CATEGORIES: found.categories,
                schema.TRUTH: found.truth,
            }
            if collection is not None:
                parts[schema.JUDGED] = partial(collection.measure, found.weights)
            for table, make in parts.items():
                say(table.split(".")[0])
                tables[table] += [{"sae": name, **row} for row in make()]
    for table, columns in _TABLES.items():
        if table == schema.JUDGED and collection is None:
            continue
        write_table(out / table, pa.Table.from_pylist(_finite(tables[table]), columns))
    work.progress(len(names), len(names), f"{len(corpus.queries.texts)} queries")
    return facts


_TABLES = {
    schema.STEERING: schema.STEERING_COLUMNS,
    schema.OPTIMISATION: schema.OPTIMISATION_COLUMNS,
    schema.CONTOUR: schema.CONTOUR_COLUMNS,
    schema.RETRIEVAL: schema.RETRIEVAL_COLUMNS,
    schema.CATEGORIES: schema.CATEGORY_COLUMNS,
    schema.TRUTH: schema.TRUTH_COLUMNS,
    schema.JUDGED: schema.JUDGED_COLUMNS,
}


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()} for row in rows]
