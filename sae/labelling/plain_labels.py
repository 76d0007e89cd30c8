"""The plain way to label without a language model, kept as the yardstick for the better one: the three words with
the highest class-based TF-IDF over the labelling half.
"""

from collections.abc import Sequence

import numpy as np

from sae.labelling.evidence import LABEL, QUANTILE, TOP, FeatureEvidence
from sae.labelling.phrases import Phrases
from sae.labelling.words import STOP_WORDS

N_WORDS = 3


def plain_labels(phrases: Phrases, evidence: Sequence[FeatureEvidence]) -> list[str]:
    """Three words for each feature, by frequency in its documents × log(1 + 1 / frequency in all)."""
    space = phrases.space
    words = list(phrases.vocabulary)
    usable = np.asarray([len(word) > 2 and word not in STOP_WORDS for word in words])
    frequency = np.bincount(space.document_words.indices, minlength=len(words))
    inverse = np.log1p(len(space.embeddings) / np.maximum(frequency, 1))
    labels = []
    for drawn in evidence:
        documents = drawn.documents[drawn.rows(LABEL, TOP, QUANTILE)]
        count = np.asarray(space.document_words[documents].sum(0)).ravel()
        weight = np.where(usable, count * inverse, 0)
        best = np.argsort(-weight, kind="stable")[:N_WORDS]
        labels.append(" ".join(words[i] for i in best if weight[i] > 0))
    return labels
