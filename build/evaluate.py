"""Stage: does steering do what the labels say, what does it cost, and what is a feature worth?"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from build.embedders import make_embedder
from build.evaluated_sae import EvaluatedSAE, Row
from build.evaluation_corpus import EvaluationConfig, EvaluationCorpus
from build.work import Target, Work
from sae import schema
from sae.arrays import write_table
from sae.errors import UserError


def read_options(target: Target) -> EvaluationConfig:
    try:
        return EvaluationConfig(**target.config.evaluation)
    except TypeError as error:
        raise UserError(f"The profile's [evaluation] table is wrong: {error}.") from None


def settings(target: Target) -> object:
    options = read_options(target)
    path = (options.files or {}).get(target.corpus.name)
    content = Path(path).read_text(encoding="utf-8") if path and Path(path).is_file() else ""
    source = target.corpus.source if target.corpus.source["kind"] == "synthetic" else {}
    return [
        target.config.seed, target.config.held_out, list(target.sae_names), list(target.corpus.examples),
        options.queries, options.documents, options.good, path, content, source,
    ]  # fmt: skip


def run(work: Work) -> dict[str, Any]:
    # Products here are small: spread over threads they cost many times the work itself on a busy machine.
    with threadpool_limits(1):
        return _run(work)


def _run(work: Work) -> dict[str, Any]:
    if not make_embedder(work.target.config.embedder).can_embed_texts:
        work.say(f"{work.target.corpus.name} is not evaluated: its queries and labels cannot be embedded.")
        return {}
    corpus = EvaluationCorpus(work, read_options(work.target))
    out = work.out / schema.EVALUATION
    out.mkdir()
    names = work.target.sae_names
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES}
    for done, name in enumerate(names):
        found = EvaluatedSAE(corpus, work, name)

        def say(note: str, done: int = done, name: str = name) -> None:
            work.progress(done, len(names), f"{name}: {note}")

        parts: dict[str, Callable[[], list[Row]]] = {
            schema.STEERING: partial(found.steering, say),
            schema.OPTIMISATION: found.optimisation,
            schema.CONTOUR: found.contour,
            schema.RETRIEVAL: found.retrieval,
            schema.CATEGORIES: found.categories,
            schema.TRUTH: found.truth,
        }
        for table, make in parts.items():
            say(table.split(".")[0])
            tables[table] += [{"sae": name, **row} for row in make()]
    for table, columns in _TABLES.items():
        write_table(out / table, pa.Table.from_pylist(_finite(tables[table]), columns))
    work.progress(len(names), len(names), f"{len(corpus.queries.texts)} queries")
    return {"evaluated": len(corpus.queries.texts)}


_TABLES = {
    schema.STEERING: schema.STEERING_COLUMNS,
    schema.OPTIMISATION: schema.OPTIMISATION_COLUMNS,
    schema.CONTOUR: schema.CONTOUR_COLUMNS,
    schema.RETRIEVAL: schema.RETRIEVAL_COLUMNS,
    schema.CATEGORIES: schema.CATEGORY_COLUMNS,
    schema.TRUTH: schema.TRUTH_COLUMNS,
}


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()} for row in rows]
