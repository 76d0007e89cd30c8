"""The phrases of a corpus, found and embedded once for all stages of a run that label something."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from build.embedders import embed_corpus, make_embedder
from build.embeddings import announce, embedded_texts
from build.work import Work
from sae import schema
from sae.phrases import Phrases, prepare_phrases
from sae.progress import Progress

_KEPT = 2  # corpora; a run labels one corpus after the other, and compares two at a time


def corpus_phrases(work: Work, corpus: str | None = None, progress: Progress | None = None) -> Phrases:
    """The phrases of the stage's corpus, or of the corpus named, by a stage that runs once for the build.

    Kept in memory between stages: a stage's inputs stand in folders named by their content, so equal folders
    have equal phrases.
    """
    documents = work.input("documents", corpus=corpus) / schema.DOCUMENTS
    embeddings = work.input("embeddings", corpus=corpus) / schema.EMBEDDINGS
    return _phrases(documents, embeddings, _Making(work, corpus or work.target.corpus.name, progress))


class _Making:
    """How phrases are made, which does not decide what they are: all are equal as keys of the cache."""

    def __init__(self, work: Work, name: str, progress: Progress | None) -> None:
        self.work, self.name, self.progress = work, name, progress or work.progress

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Making)

    def __hash__(self) -> int:
        return 0

    def embed(self, phrases: Sequence[str]) -> np.ndarray:
        embedder = make_embedder(self.work.target.config.embedder)
        announce(embedder, list(phrases), f"the phrases of {self.name}", self.work.say)
        self.work.cache.mkdir(parents=True, exist_ok=True)
        return embed_corpus(embedder, phrases, self.work.cache / "embeddings.sqlite")


@lru_cache(maxsize=_KEPT)
def _phrases(documents: Path, embeddings: Path, making: _Making) -> Phrases:
    rows = np.load(embeddings, allow_pickle=False).astype(np.float32)
    return prepare_phrases(embedded_texts(documents), rows, making.embed, making.progress)
