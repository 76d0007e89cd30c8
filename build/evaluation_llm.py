"""What the evaluation asks a language model: its price told first, its budget held, its answers kept."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from build.config import BuildConfig
from build.evaluation_corpus import EvaluationConfig
from build.llm.client import Client, SpentError
from build.llm.costs import Cost
from build.llm.endpoint import Endpoint
from build.llm.options import read_labeller
from build.llm.prices import chat_price
from build.llm.stage import JOURNAL
from build.steering_llm import MOST_JUDGE_TOKENS, MOST_REWRITER_TOKENS
from build.steering_methods import EDITS, REWRITTEN_BY_MODEL
from build.work import Work
from sae.errors import UserError

if TYPE_CHECKING:
    from build.plan import Job
    from build.runner import Runner

_STAGE = "evaluation"
_PURPOSE = "evaluation"
_JUDGE_READS, _REWRITER_READS = 2400, 400  # tokens of a question, at most: twenty beginnings of documents


def asked_server(config: BuildConfig) -> str:
    """What an answer depends on beside the question."""
    return read_labeller(config).server.shapes


def cost(options: EvaluationConfig, n_saes: int) -> Cost:
    """Calls, tokens and dollars for one corpus, at most."""
    total = Cost()
    if options.judge:
        methods = [m for m in options.judged_methods if options.rewriter or m != REWRITTEN_BY_MODEL]
        each = len(methods) * len(options.judged_edits) * len(options.judged_fidelities)
        trials = min(options.judged_trials, options.queries)
        total += _calls(options.judge, n_saes * trials * each, _JUDGE_READS, MOST_JUDGE_TOKENS)
    if options.rewriter:
        # Raising and lowering at once is one wish, however the change is split.
        calls = n_saes * options.queries * (len(EDITS) - 1)
        total += _calls(options.rewriter, calls, _REWRITER_READS, MOST_REWRITER_TOKENS)
    return total


def _calls(model: str, calls: int, read: int, written: int) -> Cost:
    price = chat_price(model)
    return Cost(calls, calls * read, calls * written, calls * price.usd(read, written) if price else None)


def asking(work: Work, options: EvaluationConfig) -> tuple[Client | None, Callable[[], None]]:
    """The client, None when nobody is to be asked, and what to call when all has been asked.

    A reached budget ends the asking and no more; any other end raises SpentError, so that a store is not published
    for want of a key.
    """
    if not options.asked:
        return None, lambda: None
    work.cache.mkdir(parents=True, exist_ok=True)
    client = Client(
        read_labeller(work.target.config).server, work.cache / JOURNAL, _PURPOSE, options.budget_usd
    )
    client.check(*options.asked)
    limit = f"the budget is ${options.budget_usd:,.2f}" if options.budget_usd else "no budget is set"
    work.say(
        f"Asking {' and '.join(dict.fromkeys(options.asked))} for the evaluation of {work.target.corpus.name}: "
        f"{cost(options, len(work.target.sae_names))}; {limit}, ${client.journal.spent_usd:,.4f} of it spent before. "
        "What is answered is never asked again."
    )

    def report() -> None:
        work.say(f"Evaluation of {work.target.corpus.name}: {client.report()}")
        stopped, by_budget = client.stopped, client.budget_reached
        client.close()
        if stopped and not by_budget:
            raise SpentError(stopped)

    return client, report


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
        limit = f"the budget is ${options.budget_usd:,.2f}" if options.budget_usd else "no budget is set"
        found = cost(options, len(job.target.sae_names))
        yield (
            f"Evaluation of {job.target.corpus.name} by {read_labeller(job.target.config).server.base_url}: {found}; "
            f"{limit}."
        )


def _asking(jobs: Sequence["Job"], runner: "Runner") -> Iterator[tuple["Job", EvaluationConfig]]:
    from build.evaluate import read_options  # the stage itself imports this module

    for job in jobs:
        if job.stage.name == _STAGE and not runner.is_done(job):
            options = read_options(job.target)
            if options.asked:
                yield job, options
