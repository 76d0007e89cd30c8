"""The local Predictor: from a label and a document alone, a confidence from −1 to +1 that the feature is
active.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from sae.labelling.phrase_space import PhraseVectors
from sae.labelling.phrases import Phrases, split_label

N_MEASURES = 5
_FOLDS = 5
_INVERSE_REGULARISATION = 10.0


@dataclass(frozen=True)
class LabelReader:
    """Labels made ready to be compared with documents.

    vectors: of all distinct phrases of all labels; parts: for each label the positions of its phrases.
    """

    phrases: Phrases
    vectors: PhraseVectors
    parts: list[npt.NDArray[np.intp]]

    @classmethod
    def of(cls, labels: Sequence[str], phrases: Phrases) -> "LabelReader":
        """Read labels; a label is one to several phrases divided by semicolons, or empty."""
        position: dict[str, int] = {}
        parts = [
            np.asarray([position.setdefault(text, len(position)) for text in split_label(label)], np.intp)
            for label in labels
        ]
        return cls(phrases, phrases.vectors_of(list(position)), parts)

    def measures(self, label: int, documents: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """(n, N_MEASURES): mean and largest cosine, mean prototype, mean and largest coverage."""
        if len(self.parts[label]) == 0:
            return np.zeros((len(documents), N_MEASURES), np.float32)
        scores = self.phrases.space.scores(documents, self.vectors.take(self.parts[label]))
        return np.stack(
            [
                scores.cosine.mean(1),
                scores.cosine.max(1),
                scores.prototype.mean(1),
                scores.coverage.mean(1),
                scores.coverage.max(1),
            ],
            axis=1,
        )


def calibrated_confidences(
    measures: Sequence[npt.NDArray[np.float32]], truths: Sequence[npt.NDArray[np.bool_]]
) -> list[npt.NDArray[np.float32]]:
    """Confidences for each feature, from a logistic regression learnt on the other features' documents.

    ``measures``: for each feature (n, N_MEASURES); ``truths``: (n,) activating or not. Features are dealt
    into folds; activating and other documents weigh the same. With fewer than two features there are no
    others to learn from, and confidences are 0.
    """
    fold = np.arange(len(measures)) % min(_FOLDS, max(1, len(measures)))
    confidences: list[npt.NDArray[np.float32]] = [np.zeros(len(m), np.float32) for m in measures]
    for held in range(int(fold.max(initial=-1)) + 1):
        others = [i for i in range(len(measures)) if fold[i] != held]
        if not others:
            continue
        x = np.concatenate([measures[i] for i in others])
        y = np.concatenate([truths[i] for i in others])
        if y.all() or not y.any():
            continue
        centre, spread = x.mean(0), x.std(0) + 1e-6
        weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
        model = LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=300)
        model.fit((x - centre) / spread, y, sample_weight=weight)
        for i in (i for i in range(len(measures)) if fold[i] == held):
            probability = model.predict_proba((measures[i] - centre) / spread)[:, 1]
            confidences[i] = (2 * probability - 1).astype(np.float32)
    return confidences
