"""Fewer documents of a feature's evidence, where each of them costs a call to a language model."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sae.labelling.evidence import LABEL, MATCHED, QUANTILE, RANDOM, SCORE, TOP, FeatureEvidence

Rows = npt.NDArray[np.intp]

N_SHOWN_QUANTILE, N_SHOWN_NEGATIVES = 3, 3


@dataclass(frozen=True)
class Shown:
    """What an Interpreter is shown, positions in the evidence: the strongest documents and some of the whole
    range of activation; some of the documents nearest to those in which the feature is silent, and some others."""

    active: Rows
    matched: Rows
    random: Rows

    @property
    def all(self) -> Rows:
        return np.concatenate([self.active, self.matched, self.random])


def shown(drawn: FeatureEvidence) -> Shown:
    """The part of the labelling half for an Interpreter."""
    active = np.concatenate([drawn.rows(LABEL, TOP), spread(drawn.rows(LABEL, QUANTILE), N_SHOWN_QUANTILE)])
    matched = drawn.rows(LABEL, MATCHED)
    return Shown(
        active,
        matched[max(0, len(matched) - N_SHOWN_NEGATIVES) :],  # they belong to the strongest
        drawn.rows(LABEL, RANDOM)[:N_SHOWN_NEGATIVES],
    )


def checked(drawn: FeatureEvidence, count: int) -> Rows:
    """``count`` activating, random and matched documents each of the labelling half that no Interpreter saw, to
    choose among its proposals."""
    seen = drawn.documents[shown(drawn).all]
    found = [drawn.rows(LABEL, role) for role in (QUANTILE, RANDOM, MATCHED)]
    return np.concatenate([spread(rows[~np.isin(drawn.documents[rows], seen)], count) for rows in found])


def sampled(drawn: FeatureEvidence, count: int) -> FeatureEvidence:
    """The same evidence with at most ``count`` activating documents over the whole range in the scoring half, as
    many random ones, and the matched ones that belong to them."""
    positives, matched = drawn.rows(SCORE, QUANTILE), drawn.rows(SCORE, MATCHED)
    chosen = spread(np.arange(len(positives)), count)
    partners = chosen[chosen < len(matched)]
    kept = [
        np.flatnonzero(drawn.halves == LABEL),
        positives[chosen],
        drawn.rows(SCORE, RANDOM)[: len(chosen)],
        matched[partners],
    ]
    return only(drawn, np.sort(np.concatenate(kept)))


def only(drawn: FeatureEvidence, rows: Rows) -> FeatureEvidence:
    """The evidence of some positions, in their order."""
    return replace(
        drawn,
        documents=drawn.documents[rows],
        roles=drawn.roles[rows],
        halves=drawn.halves[rows],
        activations=drawn.activations[rows],
    )


def spread(items: Rows, count: int) -> Rows:
    """``count`` of the items (all if fewer), evenly over their order."""
    if len(items) <= count:
        return items
    return items[((np.arange(count) + 0.5) * len(items) / count).astype(np.intp)]
