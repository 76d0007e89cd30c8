"""The local Interpreter: from a feature's labelling documents to a label of one to three phrases.

No language model: candidates are phrases of the feature's own documents, and the label is the combination by
which the Predictor's kind of score best tells the activating documents from random and from matched ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae.labelling.cutting import cut_to_bytes
from sae.labelling.evidence import LABEL, MATCHED, QUANTILE, RANDOM, TOP, FeatureEvidence
from sae.labelling.phrase_space import FloatArray, PhraseVectors
from sae.labelling.phrases import MODIFIER, SEPARATOR, Phrases
from sae.storage import limits

MAX_PHRASES_IN_LABEL = 3
MAX_WORDS_IN_LABEL = 8
_ROOM_FOR_NUMBER = 12  # bytes, for what tells equal labels apart
N_CANDIDATES = 6  # alternative labels kept for each feature
_MAX_CONSIDERED = 250  # candidate phrases of a feature, by share times log lift
_MIN_POSITIVES, _MIN_SHARE, _MIN_LIFT = 3, 0.04, 3.0
_LONE_SHARE, _LONE_LIFT = 0.35, 5.0  # a lone word must be in so many of the positives
_MIN_GAIN = 0.03  # what another phrase must add to the objective
_GAIN_OF_ONE = 0.5  # and this much more over the number of positives: few can be fitted by chance
_SHARE_PRIOR = 0.2  # readers believe a phrase that they see in the documents
_WORDS_PRIOR = 0.02  # "edge computing" says more than "edge"
_LONE_PRIOR = np.asarray([0, 0.02, 0.08], np.float32)  # "memory" and "implicit" ask for another word
_MATCHED_WEIGHT = 0.5
_ACTIVATION_POWER = 0.5
# One score of a document, before calibration: weights of the measures, then where it saturates.
_COSINE, _PROTOTYPE, _COVERAGE = 0.5, 0.5, 1.0
_MIDDLE, _WIDTH = 1.2, 1.5


@dataclass(frozen=True)
class Candidate:
    """A possible label: phrase numbers, the most frequent first, and its objective on the labelling half.

    preference: the objective plus what readers prefer: phrases that they see in the documents.
    """

    phrases: tuple[int, ...]
    objective: float
    preference: float


@dataclass(frozen=True)
class _Material:
    """Saturated scores of a feature's documents (rows) for its candidate phrases (columns)."""

    considered: npt.NDArray[np.intp]
    weights: FloatArray  # (n_positives,), sum 1
    positives: FloatArray
    random: FloatArray
    matched: FloatArray
    prior: FloatArray  # (n_candidates,)


def interpret(evidence: FeatureEvidence, phrases: Phrases) -> list[Candidate]:
    """Labels for one feature, best first; empty when its documents share no phrase.

    Objective: the activation-weighted correlation of score and truth, random and matched negatives in equal
    parts.
    """
    material = _material(evidence, phrases)
    if material is None:
        return []
    alone = _objective(material, material.positives, material.random, material.matched)
    order = np.argsort(-(alone + material.prior), kind="stable")
    labels: dict[frozenset[int], Candidate] = {}
    for first in order[:N_CANDIDATES]:
        candidate = _compose(material, phrases, int(first), float(alone[first]))
        labels.setdefault(frozenset(candidate.phrases), candidate)
        single = _candidate(material, [int(first)], float(alone[first]))
        labels.setdefault(frozenset(single.phrases), single)
    ranked = sorted(labels.values(), key=lambda c: (-c.preference, c.phrases))
    return ranked[:N_CANDIDATES]


def label_text(candidate: Candidate, phrases: Phrases) -> str:
    """The label as shown: phrases divided by semicolons, the first letter a capital."""
    text = SEPARATOR.join(phrases.texts[i] for i in candidate.phrases)
    first = text.split()[0] if text else ""
    shown = text[:1].upper() + text[1:] if first.islower() else text
    return cut_to_bytes(shown, limits.TEXT_CHARACTERS["label"] - _ROOM_FOR_NUMBER)


def _material(evidence: FeatureEvidence, phrases: Phrases) -> _Material | None:
    positive = evidence.rows(LABEL, TOP, QUANTILE)
    documents = evidence.documents
    weights = evidence.activations[positive] ** _ACTIVATION_POWER
    weights = weights / max(float(weights.sum()), 1e-9)
    present = phrases.rows(documents[positive])
    share = np.asarray(present.T @ weights).ravel()
    considered = _consider(share, np.diff(present.tocsc().indptr), phrases)
    if len(considered) == 0:
        return None
    vectors = phrases.vectors.take(considered)
    blocks = [
        _squashed(phrases, documents[rows], vectors)
        for rows in (positive, evidence.rows(LABEL, RANDOM), evidence.rows(LABEL, MATCHED))
    ]
    several_words = np.asarray([" " in phrases.texts[i] for i in considered])
    prior = _SHARE_PRIOR * np.sqrt(np.minimum(share[considered], 1.0)) + _WORDS_PRIOR * several_words
    prior -= _LONE_PRIOR[phrases.lone[considered]]
    return _Material(considered, weights, blocks[0], blocks[1], blocks[2], prior.astype(np.float32))


def _consider(share: FloatArray, count: npt.NDArray[np.integer], phrases: Phrases) -> npt.NDArray[np.intp]:
    """Phrases that are in some of the positives and more often than elsewhere; weaker demands if need be."""
    lift = (share + 1e-4) / (phrases.share + 1e-4)
    reads = (phrases.lone == 0) | ((share >= _LONE_SHARE) & (lift >= _LONE_LIFT))
    weight = share * np.log1p(lift)
    for least in (_MIN_POSITIVES, 2, 1):
        found = np.flatnonzero((count >= least) & (share >= _MIN_SHARE) & (lift >= _MIN_LIFT) & reads)
        if len(found) >= 3:
            break
    return np.sort(found[np.argsort(-weight[found], kind="stable")[:_MAX_CONSIDERED]])


def _squashed(phrases: Phrases, documents: npt.NDArray[np.integer], vectors: PhraseVectors) -> FloatArray:
    scores = phrases.space.scores(documents, vectors)
    total = _COSINE * scores.cosine + _PROTOTYPE * scores.prototype + _COVERAGE * scores.coverage
    return np.tanh((total - _MIDDLE) / _WIDTH)


def _objective(
    material: _Material, positives: FloatArray, random: FloatArray, matched: FloatArray
) -> FloatArray:
    """(n_columns,) point-biserial correlation of score and truth, both kinds of negatives in equal parts."""
    mean = material.weights @ positives
    square = material.weights @ (positives * positives)
    total = np.zeros(positives.shape[1], np.float32)
    for negatives, weight in ((random, 1 - _MATCHED_WEIGHT), (matched, _MATCHED_WEIGHT)):
        if len(negatives) == 0:
            continue
        negative_mean = negatives.mean(0)
        variance = (square + (negatives * negatives).mean(0)) / 2 - ((mean + negative_mean) / 2) ** 2
        total += weight * (mean - negative_mean) / 2 / np.sqrt(np.maximum(variance, 0) + 1e-6)
    return total


def _compose(material: _Material, phrases: Phrases, first: int, objective: float) -> Candidate:
    """Greedily add phrases without shared words while each earns its place."""
    chosen = [first]
    blocks = (material.positives, material.random, material.matched)
    sums = [block[:, [first]] for block in blocks]
    while len(chosen) < MAX_PHRASES_IN_LABEL:
        n = len(chosen) + 1
        positives, random, matched = ((s + b) / n for s, b in zip(sums, blocks, strict=True))
        gains = _objective(material, positives, random, matched)
        allowed = _compatible(material, phrases, chosen)
        allowed &= phrases.lone[material.considered] != MODIFIER
        ranked = np.where(allowed, gains + material.prior, -np.inf)
        best = int(np.argmax(ranked))
        if not allowed[best] or gains[best] < objective + _MIN_GAIN + _GAIN_OF_ONE / len(material.weights):
            break
        chosen.append(best)
        objective = float(gains[best])
        sums = [s + b[:, [best]] for s, b in zip(sums, blocks, strict=True)]
    return _candidate(material, chosen, objective)


def _candidate(material: _Material, chosen: list[int], objective: float) -> Candidate:
    ordered = sorted(chosen, key=lambda i: (-material.prior[i], i))
    preference = objective + float(np.mean([material.prior[i] for i in chosen]))
    return Candidate(tuple(int(material.considered[i]) for i in ordered), objective, preference)


def _compatible(material: _Material, phrases: Phrases, chosen: list[int]) -> npt.NDArray[np.bool_]:
    """Which candidates share no word with those chosen and keep the label short."""
    stems: frozenset[str] = frozenset().union(*(phrases.stems[material.considered[i]] for i in chosen))
    n_words = sum(len(phrases.texts[material.considered[i]].split()) for i in chosen)
    return np.asarray(
        [
            not (stems & phrases.stems[p]) and n_words + len(phrases.texts[p].split()) <= MAX_WORDS_IN_LABEL
            for p in material.considered
        ],
        bool,
    )
