"""Stage: read a corpus, clean it, and write its documents and what was left out."""

from pathlib import Path
from typing import Any

from build.corpora import fingerprint, read_corpus
from build.corpora.clean import CleaningPolicy, clean_to_parquet
from build.profile_table import checked_table
from build.work import Target, Work
from sae import schema


def settings(target: Target) -> object:
    return [fingerprint(target.corpus.source), target.corpus.cleaning]


def run(work: Work) -> dict[str, Any]:
    corpus = work.target.corpus
    policy = checked_table(CleaningPolicy, corpus.cleaning, f"The cleaning table of corpus {corpus.name}")
    report = clean_to_parquet(
        read_corpus(corpus.source, work.cache / "harvest" / corpus.name, work.progress),
        work.out / schema.DOCUMENTS,
        work.out / schema.QUARANTINE,
        policy,
        work.progress,
    )
    return {
        "n_documents": report.n_kept,
        "n_read": report.n_read,
        "quarantined": dict(report.reasons.most_common()),
    }


def describe(source: dict[str, Any]) -> str:
    """A source in words, without folders of this machine."""
    kind = source["kind"]
    if kind == "python_docs":
        return f"documentation strings of installed packages, collection {source['collection']}"
    if kind == "files":
        return f"the file {Path(source['path']).name}" + (
            f", category {source['category']}" if source.get("category") else ""
        )
    if kind == "arxiv":
        return f"arXiv metadata, harvested by OAI-PMH: {source.get('category') or source.get('set')}"
    return "documents generated from planted topics"
