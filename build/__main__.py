"""``python -m build``: build an artifact store from a profile or from your own documents."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from build.config import BuildConfig, load_profile, profile_names, with_files, with_queries
from build.display import Display, duration, fail
from sae.errors import UserError

if TYPE_CHECKING:
    from build.plan import Job
    from build.runner import Runner

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    profile: Annotated[
        str,
        typer.Option(
            metavar="NAME", help=f"What to build: {', '.join(profile_names())}, or the path of a TOML file."
        ),
    ] = "default",
    out: Annotated[Path, typer.Option(help="Folder of the artifact store.")] = Path("artifacts"),
    corpus: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Your own documents (Parquet, CSV, JSON lines) instead of the profile's; repeatable.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=NAME",
            help="Which column of --corpus is what, as in text=abstract; of id, title, text, url, date, categories, "
            "authors, citation_count. Repeatable; usual names are found without it.",
        ),
    ] = None,
    category: Annotated[
        str | None, typer.Option(metavar="NAME", help="Keep only documents of --corpus of this category.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Read at most this many documents of each --corpus.")
    ] = None,
    queries: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="A file of queries, one a line, to offer on the search page and to evaluate with; NAME=FILE for "
            "one corpus only. Repeatable.",
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Run one stage and what it needs; switch nothing over."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of a dask.distributed scheduler, as in tcp://host:8786: its workers embed, encode and "
            "count. They run in this project's folder and see --out under the same path.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and run nothing.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Progress as plain lines, as when not on a terminal.")
    ] = False,
) -> None:
    """Build an artifact store: documents, embeddings, sparse autoencoders, labelled features.

    What has been built before with the same input and settings is kept; a killed build goes on where it stopped.

    Examples:

      python -m build                                     the default: Python's documentation

      python -m build --corpus papers.parquet --column text=abstract

      python -m build --profile arxiv --out /data/arxiv
    """  # fmt: skip
    try:
        config = load_profile(profile)
        if corpus:
            options = _file_options(column or [], category, limit)
            config = with_files(config, corpus, options, ())
        elif column or category or limit:
            raise UserError("--column, --category and --limit go with --corpus FILE.")
        config = with_queries(config, queries or [])
        _build(config, out, only, dry_run, scheduler, Display(plain=True if plain else None))
    except UserError as error:
        fail(str(error))
        raise typer.Exit(1) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        fail(f"{place}{error.strerror or error}. Mend that and run the same command: it goes on from here.")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from here.")
        raise typer.Exit(130) from None


def _build(
    config: BuildConfig, out: Path, only: str | None, dry_run: bool, scheduler: str | None, display: Display
) -> None:
    import time

    from build import together
    from build.chunks import OnCluster
    from build.embedders import make_embedder
    from build.evaluation.evaluation_llm import check_evaluation, evaluation_prices
    from build.llm.announce import check_labeller, labelling_prices
    from build.plan import make_plan
    from build.plan import only as only_stage
    from build.runner import Runner
    from build.training_options import check_training

    started = time.monotonic()
    embedder = make_embedder(config.embedder)
    jobs = make_plan(config, embedder.d_in)
    if only:
        jobs = only_stage(jobs, only)
    if any(job.stage.name in together.TRAINING for job in jobs):
        check_training(config)
    begins = together.caller(jobs)
    if not together.leading():
        if not dry_run:
            together.follow(jobs, Runner(out, display))
        return
    runner = Runner(out, display, OnCluster(scheduler) if scheduler and not dry_run else None, begins)
    if dry_run:
        for job in jobs:
            display.say(f"{'built' if runner.is_done(job) else 'to do'}  {job.title}")
        _say_price(jobs, runner, display)
        for sentence in (*labelling_prices(jobs, runner), *evaluation_prices(jobs, runner)):
            display.say(sentence)
        return
    if any(job.stage.name != "documents" for job in jobs):
        embedder.check()
    check_labeller(config, {job.stage.name for job in jobs if not runner.is_done(job)})
    check_evaluation(jobs, runner)
    build = runner.run(jobs, publish=only is None)
    begins(None)
    if build is not None:
        display.say(f"{build} is ready after {duration(time.monotonic() - started)}.")
        display.say(f"Next: {next_command(out)}")


def _say_price(jobs: list["Job"], runner: "Runner", display: Display) -> None:
    """What embedding would cost, for every corpus whose documents have been read."""
    from build.embedders import make_embedder
    from build.embeddings import announce, embedded_texts
    from sae.schema import DOCUMENTS

    for job in jobs:
        embedder = make_embedder(job.target.config.embedder)
        if job.stage.name != "embeddings" or not hasattr(embedder, "plan") or runner.is_done(job):
            continue
        documents, name = job.find("documents", None), job.target.corpus.name
        if runner.is_done(documents):
            announce(embedder, embedded_texts(runner.folder(documents) / DOCUMENTS), name, display.say)
        else:
            display.say(
                f"What embedding {name} costs is known once its documents are read: build with --only documents."
            )


def next_command(out: Path) -> str:
    """How to open the dashboard from here: with the Python in use, on the store just built."""
    local = Path(".venv/bin/streamlit")
    streamlit = (
        str(local) if Path(sys.prefix).name == ".venv" and "VIRTUAL_ENV" not in os.environ else "streamlit"
    )
    artifacts = "" if out == Path("artifacts") else f"ARTIFACTS={shlex.quote(str(out))} "
    return f"{artifacts}{streamlit} run dashboard/Home.py"


def _file_options(columns: list[str], category: str | None, limit: int | None) -> dict[str, Any]:
    names = {}
    for pair in columns:
        name, found, value = pair.partition("=")
        if not found or not name or not value:
            raise UserError(f"--column {pair!r} does not have the form name=column, as in text=abstract.")
        names[name] = value
    options: dict[str, Any] = {"columns": names} if names else {}
    if category:
        options["category"] = category
    if limit:
        options["limit"] = limit
    return options


if __name__ == "__main__":
    app()
