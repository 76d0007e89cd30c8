"""What the evaluation asks a language model: its price told first, its budget held, its answers kept."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from build.config import BuildConfig
from build.evaluation.evaluation_corpus import EvaluationConfig
from build.evaluation.steering_llm import (
    JUDGED_CHARACTERS,
    LABEL_CHARACTERS,
    QUERY_CHARACTERS,
    judge_question,
    rewriter_question,
)
from build.evaluation.steering_methods import EDITS, REWRITTEN_BY_MODEL
from build.evaluation.steering_trials import N_RESULTS
from build.llm.asking import asking, check_asking, limit
from build.llm.client import Client
from build.llm.costs import Cost, Lengths, cost_of
from build.llm.endpoint import ServerConfig
from build.llm.interpreter import clean_text
from build.llm.options import read_labeller
from build.work import Work
from sae.schema import DOCUMENTS
from sae.steering.trials import N_OPTIONS

if TYPE_CHECKING:
    from build.plan import Job
    from build.runner import Runner

_STAGE = "evaluation"
_PURPOSE = "evaluation"
_AROUND = 120  # tokens of a query, labels and the form, likely
_WIDE = "\x01"  # takes more bytes in JSON than any other character: six
_LONGEST_LABEL, _LONGEST_QUERY = _WIDE * LABEL_CHARACTERS, _WIDE * QUERY_CHARACTERS


def asked_server(config: BuildConfig) -> str:
    """What an answer depends on beside the question."""
    return read_labeller(config).server.shapes


def cost(options: EvaluationConfig, server: ServerConfig, n_saes: int, documents: Sequence[str]) -> Cost:
    """What one corpus costs; ``documents`` are its texts, title first."""
    total = Cost()
    length = Lengths.of([clean_text(text, JUDGED_CHARACTERS) for text in documents])
    if options.judge:
        methods = [m for m in options.judged_methods if options.rewriter or m != REWRITTEN_BY_MODEL]
        each = len(methods) * len(options.judged_edits) * len(options.judged_fidelities)
        trials = min(options.judged_trials, options.queries)
        nothing = [""] * N_RESULTS
        judged = judge_question(options.judge, nothing, nothing, [_LONGEST_LABEL] * N_OPTIONS)
        most, likely = 2 * N_RESULTS * length.longest, 2 * N_RESULTS * length.mean + _AROUND
        total += cost_of(judged, server, n_saes * trials * each, most, likely)
    if options.rewriter:
        # Raising and lowering at once is one wish, however the change is split.
        calls = n_saes * options.queries * (len(EDITS) - 1)
        wish = {"more": _LONGEST_LABEL, "less": _LONGEST_LABEL}
        rewritten = rewriter_question(options.rewriter, _LONGEST_QUERY, wish)
        total += cost_of(rewritten, server, calls, 0, _AROUND)
    return total


def texts_shown(documents: Path) -> list[str]:
    """What a judge is shown the beginnings of."""
    table = pq.read_table(documents, columns=["title", "text"])
    return [f"{a}\n\n{b}" for a, b in zip(table["title"].to_pylist(), table["text"].to_pylist(), strict=True)]


def judge_client(work: Work, options: EvaluationConfig) -> AbstractContextManager[Client | None]:
    """The client while there are questions, None when nobody is to be asked."""
    if not options.asked:
        return nullcontext()
    server, target = read_labeller(work.target.config).server, work.target
    found = cost(options, server, len(target.sae_names), texts_shown(work.input("documents") / DOCUMENTS))
    return asking(work, server, _PURPOSE, "evaluation", options.asked, found, options.budget_usd)


def check_evaluation(jobs: Sequence["Job"], runner: "Runner") -> None:
    """Raise UserError for what would stop the evaluation's questions and can be seen before the first job."""
    for job, options in _asking(jobs, runner):
        check_asking(read_labeller(job.target.config).server, options.asked, options.budget_usd)


def evaluation_prices(jobs: Sequence["Job"], runner: "Runner") -> Iterator[str]:
    """A sentence for each evaluation that is still to do and asks a language model."""
    for job, options in _asking(jobs, runner):
        corpus, server = job.target.corpus.name, read_labeller(job.target.config).server
        documents = job.find("documents", None)
        if not runner.is_done(documents):
            yield (
                f"What the evaluation of {corpus} costs is known once its documents are read: build with --only "
                "documents."
            )
            continue
        found = cost(
            options, server, len(job.target.sae_names), texts_shown(runner.folder(documents) / DOCUMENTS)
        )
        yield f"Evaluation of {corpus} by {server.base_url}: {found}; {limit(options.budget_usd)}."


def _asking(jobs: Sequence["Job"], runner: "Runner") -> Iterator[tuple["Job", EvaluationConfig]]:
    from build.evaluate import read_options  # the stage itself imports this module

    for job in jobs:
        if job.stage.name == _STAGE and not runner.is_done(job):
            options = read_options(job.target)
            if options.asked:
                yield job, options
