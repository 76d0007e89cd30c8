"""The two roles of automated interpretability (O'Neill et al. 2024, section 4), and who can play them locally.

An Interpreter sees documents of the labelling half and proposes labels. A Predictor sees a label and a document,
nothing else, and says how sure it is that the feature is active. Whoever plays them, the same evidence is drawn,
the best proposal is chosen on the labelling half and scored on the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sae.labelling.evidence import LABEL, TOP, FeatureEvidence
from sae.labelling.interpret import interpret, label_text
from sae.labelling.phrases import Phrases
from sae.labelling.plain_labels import plain_labels
from sae.labelling.predictor import LabelReader, calibrated_confidences

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Proposal:
    """A label for a feature, or ("" and ``outcome``) why a call gave none.

    documents: what the Interpreter was shown. objective: correlation on the labelling half, where it is known.
    errors: documents of the labelling half for which no confidence came.
    """

    label: str
    reason: str = ""
    outcome: str = "ok"
    objective: float | None = None
    errors: int = 0
    documents: tuple[int, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0


@dataclass(frozen=True)
class Prediction:
    """Confidences for one feature's documents, float32 (n,), −1 … 1, NaN where none came; ``reasons``: the
    different reasons why."""

    confidences: npt.NDArray[np.float32]
    reasons: tuple[str, ...] = ()

    @property
    def errors(self) -> int:
        return int(np.isnan(self.confidences).sum())


class Interpreter(Protocol):
    """Proposes labels from the labelling half of the evidence."""

    @property
    def name(self) -> str: ...

    def propose(self, features: Sequence[int], evidence: Sequence[FeatureEvidence]) -> list[list[Proposal]]:
        """Proposals for each feature, best first where that is known; ``evidence[i]`` is of ``features[i]``."""
        ...


class Predictor(Protocol):
    """Predicts from a label and documents whether the feature is active."""

    @property
    def name(self) -> str: ...

    def predict(
        self, labels: Sequence[str], evidence: Sequence[FeatureEvidence], rows: Sequence[Rows]
    ) -> list[Prediction]:
        """For each label the documents at ``rows[i]`` of ``evidence[i]``."""
        ...


@dataclass(frozen=True)
class LocalInterpreter:
    """Phrases of the corpus, chosen as ``sae.labelling.interpret`` does."""

    phrases: Phrases
    name: str = "local"

    def propose(self, features: Sequence[int], evidence: Sequence[FeatureEvidence]) -> list[list[Proposal]]:
        found = []
        for drawn in evidence:
            shown = tuple(int(d) for d in drawn.documents[drawn.rows(LABEL, TOP)])
            options = [] if drawn.dead else interpret(drawn, self.phrases)
            found.append(
                [
                    Proposal(label_text(c, self.phrases), objective=float(c.objective), documents=shown)
                    for c in options
                ]
            )
        return found


@dataclass(frozen=True)
class LocalPredictor:
    """Phrases against documents; calibrated on the other features that are predicted with it."""

    phrases: Phrases
    name: str = "local"

    def predict(
        self, labels: Sequence[str], evidence: Sequence[FeatureEvidence], rows: Sequence[Rows]
    ) -> list[Prediction]:
        reader = LabelReader.of(labels, self.phrases)
        measures = [
            reader.measures(i, drawn.documents[own])
            for i, (drawn, own) in enumerate(zip(evidence, rows, strict=True))
        ]
        return _calibrated(measures, labels, evidence, rows)


@dataclass(frozen=True)
class PlainInterpreter:
    """The three words of highest c-TF-IDF: the yardstick."""

    phrases: Phrases
    name: str = "plain"

    def propose(self, features: Sequence[int], evidence: Sequence[FeatureEvidence]) -> list[list[Proposal]]:
        return [[Proposal(label)] if label else [] for label in plain_labels(self.phrases, evidence)]


@dataclass(frozen=True)
class PlainPredictor:
    """The cosine of label and document embeddings, calibrated like the local one: the yardstick."""

    phrases: Phrases
    name: str = "plain"

    def predict(
        self, labels: Sequence[str], evidence: Sequence[FeatureEvidence], rows: Sequence[Rows]
    ) -> list[Prediction]:
        vectors = self.phrases.embed([label or " " for label in labels])
        embeddings = self.phrases.space.embeddings
        measures = [
            np.asarray(embeddings[drawn.documents[own]] @ vector, np.float32)[:, None]
            for drawn, own, vector in zip(evidence, rows, vectors, strict=True)
        ]
        return _calibrated(measures, labels, evidence, rows)


def _calibrated(
    measures: Sequence[npt.NDArray[np.float32]],
    labels: Sequence[str],
    evidence: Sequence[FeatureEvidence],
    rows: Sequence[Rows],
) -> list[Prediction]:
    truths = [drawn.activations[own] > 0 for drawn, own in zip(evidence, rows, strict=True)]
    named = [i for i, label in enumerate(labels) if label and len(rows[i])]
    found = calibrated_confidences([measures[i] for i in named], [truths[i] for i in named])
    out = [
        Prediction(np.full(len(own), np.nan, np.float32), () if label else ("no label",))
        for own, label in zip(rows, labels, strict=True)
    ]
    for i, confidences in zip(named, found, strict=True):
        out[i] = Prediction(np.asarray(confidences, np.float32))
    return out
