"""What asking a language model would cost, told by ``make plan`` before anything is asked."""

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING

from build.config import BuildConfig
from build.embeddings import embedded_texts
from build.llm.asking import JOURNAL, check_asking, limit
from build.llm.costs import Cost, labels_cost, pairs_cost
from build.llm.journal import Journal
from build.llm.options import BUILT_IN, LabellerConfig, read_labeller
from build.llm.stage import PURPOSE
from sae.schema import DOCUMENTS

if TYPE_CHECKING:
    from build.plan import Job
    from build.runner import Runner

_ASKING = {"labels": "labels", "label_pairs": "pairs"}  # stage: what it asks for


def check_labeller(config: BuildConfig, stages: Set[str]) -> None:
    """Raise UserError for what would stop the stages that ask a language model and can be seen now: options, a
    missing key, a budget without a price."""
    options = read_labeller(config)
    models: list[str] = []
    if options.asks and stages & {"labels", "families"}:
        models += [options.interpreter, options.predictor]
    if "label_pairs" in stages:
        models += [name for pair in options.compared for name in pair if name not in BUILT_IN]
    check_asking(options.server, models, options.budget_usd)


def labelling_prices(jobs: Sequence["Job"], runner: "Runner") -> Iterator[str]:
    """A sentence for each stage that asks a language model and is still to do."""
    for job in jobs:
        if job.stage.name not in _ASKING or runner.is_done(job):
            continue
        options, what = read_labeller(job.target.config), _ASKING[job.stage.name]
        if not (options.asks if what == "labels" else options.pairs_ask):
            continue
        corpus = job.target.corpus.name
        documents = job.find("documents", None)
        if not runner.is_done(documents):
            yield f"What {what} of {corpus} cost is known once its documents are read: build with --only documents."
            continue
        texts = embedded_texts(runner.folder(documents) / DOCUMENTS)
        cost = _cost(job, options, what, texts)
        families = (
            " Families, not counted here, are labelled from the same budget." if what == "labels" else ""
        )
        yield (
            f"{what.capitalize()} of {corpus} by {options.server.base_url}: {cost}; {limit(options.budget_usd)}"
            f"{_spent(runner)}.{families}"
        )


def _cost(job: "Job", options: LabellerConfig, what: str, texts: Sequence[str]) -> Cost:
    if what == "pairs":
        return pairs_cost(options, texts)
    d_in, n_documents = job.target.d_in, len(texts)
    n_features = sum(plan.latents(d_in, n_documents) for plan in job.target.config.saes)
    return labels_cost(options, n_features, texts)


def _spent(runner: "Runner") -> str:
    """What was spent in this folder before; its answers are not asked for again."""
    path = runner.work / "cache" / JOURNAL
    if not path.is_file():
        return ""
    with Journal(path, PURPOSE) as journal:
        return f", ${journal.spent_usd:,.4f} spent before"
