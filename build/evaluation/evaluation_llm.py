"""What the evaluation asks a language model: its price told first, its budget held, its answers kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from build.llm.client import Client, SpentError
from build.llm.costs import Cost, Lengths, cost_of
from build.llm.endpoint import Endpoint, ServerConfig
from build.llm.interpreter import clean_text
from build.llm.options import read_labeller
from build.llm.prices import chat_price
from build.llm.stage import JOURNAL
from build.work import Work
from sae.errors import UserError
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


@contextmanager
def asking(work: Work, options: EvaluationConfig) -> Iterator[Client | None]:
    """The client while there are questions, None when nobody is to be asked; closed however the asking ends.

    A reached budget ends the asking and no more; any other end raises SpentError, so that a store is not published
    for want of a key.
    """
    if not options.asked:
        yield None
        return
    work.cache.mkdir(parents=True, exist_ok=True)
    server = read_labeller(work.target.config).server
    with Client(server, work.cache / JOURNAL, _PURPOSE, options.budget_usd) as client:
        client.check(*options.asked)
        found = cost(
            options, server, len(work.target.sae_names), texts_shown(work.input("documents") / DOCUMENTS)
        )
        limit = f"the budget is ${options.budget_usd:,.2f}" if options.budget_usd else "no budget is set"
        work.say(
            f"Asking {' and '.join(dict.fromkeys(options.asked))} for the evaluation of {work.target.corpus.name}: "
            f"{found}; {limit}, ${client.journal.spent_usd:,.4f} of it spent before. "
            "What is answered is never asked again."
        )
        yield client
        work.say(f"Evaluation of {work.target.corpus.name}: {client.report()}")
        if client.stopped and not client.budget_reached:
            raise SpentError(client.stopped)


def check_evaluation(jobs: Sequence["Job"], runner: "Runner") -> None:
    """Raise UserError for what would stop the evaluation's questions and can be seen before the first job."""
    for job, options in _asking(jobs, runner):
        Endpoint(read_labeller(job.target.config).server).check()
        for model in options.asked:
            if options.budget_usd is not None and chat_price(model) is None:
                raise UserError(
                    f"A budget for {model} needs its price: add it to build/prices.toml, or drop budget_usd."
                )


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
        limit = f"the budget is ${options.budget_usd:,.2f}" if options.budget_usd else "no budget is set"
        found = cost(
            options, server, len(job.target.sae_names), texts_shown(runner.folder(documents) / DOCUMENTS)
        )
        yield f"Evaluation of {corpus} by {server.base_url}: {found}; {limit}."


def _asking(jobs: Sequence["Job"], runner: "Runner") -> Iterator[tuple["Job", EvaluationConfig]]:
    from build.evaluate import read_options  # the stage itself imports this module

    for job in jobs:
        if job.stage.name == _STAGE and not runner.is_done(job):
            options = read_options(job.target)
            if options.asked:
                yield job, options
