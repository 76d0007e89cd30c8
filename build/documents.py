"""Stage: read a corpus, clean it, and write its documents and what was left out."""

from typing import Any

import pyarrow.parquet as pq

from build.work import Target, Work
from sae import schema


def settings(target: Target) -> object:
    from build.corpora import fingerprint

    return [fingerprint(target.corpus.source), target.corpus.cleaning]


def run(work: Work) -> dict[str, Any]:
    raise NotImplementedError
