"""Labels and scores for things beside single features: a family's activation, and a label lent by another
field."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from build.llm.costs import labels_cost
from build.llm.options import read_labeller
from build.llm.stage import client_of, label_tables, texts_of
from build.phrases import corpus_phrases
from build.work import Work
from sae.labelling.evidence import draw_evidence
from sae.labelling.label_scores import score_labels
from sae.labelling.labels import label_features
from sae.labelling.phrases import Phrases
from sae.progress import Progress, silent
from sae.statistics import ByFeature, invert
from sae.structure.families import Family


@dataclass(frozen=True)
class Judge:
    """The labeller and Predictor of one corpus, on the halves of documents that features were judged on."""

    work: Work
    phrases: Phrases
    embeddings: np.ndarray
    seed: int

    @classmethod
    def of(cls, work: Work, corpus: str | None = None, progress: Progress | None = None) -> "Judge":
        """Read a corpus' documents and embeddings (``corpus`` for a stage that runs once for the build).

        The embeddings are those that its phrases hold: 400 MB at 272,000 documents, so no second copy is made."""
        phrases = corpus_phrases(work, corpus, progress)
        return cls(work, phrases, phrases.space.embeddings, work.target.config.seed)

    def families(self, families: Sequence[Family], by_feature: sp.csc_matrix) -> tuple[pa.Table, pa.Table]:
        """(labels, scores) of families, as if each were one feature that is active wherever one of its own
        is.

        Its activation in a document is the sum over its features, so the strongest documents are those that
        are about the family in several ways; positives are drawn over the whole range. By a language model where
        the profile names one.
        """
        documents, activations, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)], [0]
        for family in families:
            part = by_feature[:, family.features].tocsr()  # one at a time: each has a row for every document
            total = np.asarray(part.sum(axis=1)).ravel()
            active = np.flatnonzero(np.diff(part.indptr))
            order = active[np.argsort(-total[active], kind="stable")]
            documents.append(order.astype(np.int32))
            activations.append(total[order].astype(np.float32, copy=False))
            lengths.append(len(order))
        entries = ByFeature(
            np.cumsum(lengths, dtype=np.int64), np.concatenate(documents), np.concatenate(activations)
        )
        del documents, activations  # as large as the entries
        evidence = draw_evidence(self.embeddings, entries, self.seed)
        labelled = label_features(self.phrases, evidence)
        options = read_labeller(self.work.target.config)
        if not options.asks:
            return labelled.table, score_labels(labelled.labels, self.phrases, evidence, self.seed).table
        texts = texts_of(self.work)
        cost = labels_cost(options, len(families), texts)
        models = [options.interpreter, options.predictor]
        with client_of(self.work, options, "families", cost, models) as client:
            labels, scores, _, _ = label_tables(
                client, options, self.phrases, texts, evidence, labelled, {}, self.seed, silent
            )
        return labels, scores

    def features(self, top_acts: np.ndarray, top_indices: np.ndarray, labels: Sequence[str]) -> pa.Table:
        """Scores of other labels for the features of an SAE; where a label is empty nothing is scored."""
        entries = invert(top_acts, top_indices, len(labels))
        drawn = ByFeature(entries.offsets, entries.documents, entries.activations.astype(np.float32))
        evidence = draw_evidence(self.embeddings, drawn, self.seed)
        return score_labels(labels, self.phrases, evidence, self.seed).table
