"""The phrases of a corpus, found and embedded once for all stages of a run that label something."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from build.embedders import embed_corpus, make_embedder
from build.embeddings import announce, embedded_texts
from build.work import Work
from sae import schema
from sae.labelling.evidence import LABEL, split_halves
from sae.labelling.phrases import Embed, Phrases, prepare_phrases
from sae.progress import Progress

_KEPT = 2  # corpora; a run labels one corpus after the other, and compares two at a time
_made: dict[tuple[Path, Path], Phrases] = {}


def corpus_phrases(work: Work, corpus: str | None = None, progress: Progress | None = None) -> Phrases:
    """The phrases of the stage's corpus, or of the corpus named, by a stage that runs once for the build.

    Kept in memory between stages: a stage's inputs stand in folders named by their content, so equal folders
    have equal phrases. Where only documents have vectors, a phrase's is the mean of the documents with it in
    the half that labels are written from, so that the scoring half stays unseen.
    """
    documents = work.input("documents", corpus=corpus) / schema.DOCUMENTS
    embeddings = work.input("embeddings", corpus=corpus) / schema.EMBEDDINGS
    place = (documents, embeddings)
    if place not in _made:
        while len(_made) >= _KEPT:
            del _made[next(iter(_made))]  # the one made first
        rows = np.load(embeddings, allow_pickle=False).astype(np.float32)
        labelling = np.flatnonzero(split_halves(len(rows), work.target.config.seed) == LABEL)
        embed = _embed(work, corpus or work.target.corpus.name)
        report = progress or work.progress
        _made[place] = prepare_phrases(embedded_texts(documents), rows, embed, report, mean_of=labelling)
        pa.default_memory_pool().release_unused()  # what reading the documents took
    return _made[place]


def _embed(work: Work, name: str) -> Embed | None:
    embedder = make_embedder(work.target.config.embedder)
    if not embedder.can_embed_texts:
        return None

    def embed(phrases: Sequence[str]) -> np.ndarray:
        announce(embedder, list(phrases), f"the phrases of {name}", work.say)
        work.cache.mkdir(parents=True, exist_ok=True)
        return embed_corpus(embedder, phrases, work.cache / "embeddings.sqlite")

    return embed
