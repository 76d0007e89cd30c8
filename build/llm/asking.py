"""What every stage that asks a language model shares: its client, what it says before and after, its budget."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from build.llm.client import Client
from build.llm.costs import Cost
from build.llm.endpoint import Endpoint, ServerConfig
from build.llm.errors import SpentError
from build.llm.prices import price_within
from build.work import Work

JOURNAL = "llm.sqlite"  # beside the cache of embeddings


@contextmanager
def asking(
    work: Work,
    server: ServerConfig,
    purpose: str,
    what: str,
    models: Sequence[str],
    cost: Cost,
    budget_usd: float | None,
    batch: bool = False,
) -> Iterator[Client]:
    """A client that says what will be asked, and at the end what was; closed however the asking ends.

    ``purpose``: whose budget it is, for the life of the journal; ``what``: "labels", "pairs", "families",
    "evaluation", for the sentences. A reached budget ends the asking and no more; any other end raises SpentError, so
    that a store is not published for want of a key.
    """
    work.cache.mkdir(parents=True, exist_ok=True)
    corpus = work.target.corpus.name
    with Client(server, work.cache / JOURNAL, purpose, budget_usd, batch=batch, say=work.say) as client:
        client.check(*models)
        work.say(
            f"Asking {' and '.join(dict.fromkeys(models))} for {what} of {corpus}: {cost}; {limit(budget_usd)}, "
            f"${client.journal.spent_usd:,.4f} spent before. What is answered is never asked again."
        )
        yield client
        work.say(f"{what.capitalize()} of {corpus}: {client.report()}")
        if client.stopped and not client.budget_reached:
            raise SpentError(client.stopped)


def limit(budget_usd: float | None) -> str:
    """A budget in words."""
    return f"the budget is ${budget_usd:,.2f}" if budget_usd else "no budget is set"


def check_asking(server: ServerConfig, models: Sequence[str], budget_usd: float | None) -> None:
    """Raise UserError for what would stop the asking and can be seen before the first job: a missing key, a budget
    without a price."""
    if models:
        Endpoint(server).check()
    for model in models:
        price_within(budget_usd, model)
