"""How features of a small SAE reappear in larger ones: split into finer ones, recurring, or newly found.

O'Neill et al. 2024, section 4.1 and appendix D.1: each feature of the larger SAE is assigned to the feature
of the smaller one whose decoder direction is nearest by cosine.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sae.errors import UserError
from sae.statistics import nearest

_PAIRS_AT_ONCE = 2048


@dataclass(frozen=True)
class SplittingConfig:
    """What counts as the same feature, and as a new one."""

    recurrent_cosine: float = 0.95
    """A feature recurs in another SAE when its nearest direction there has a larger cosine than this …"""
    recurrent_similarity: float = 0.5
    """… and the two fire alike: cosine of their activations over the documents at least this."""
    novel_cosine: float = 0.5
    """A feature whose nearest direction in the smaller SAE has a smaller cosine than this is new."""

    def __post_init__(self) -> None:
        if not self.novel_cosine < self.recurrent_cosine:
            raise UserError(
                f"SplittingConfig has novel_cosine = {self.novel_cosine} and recurrent_cosine = "
                f"{self.recurrent_cosine}; what is new must be less similar than what recurs."
            )


@dataclass(frozen=True)
class Match:
    """For each feature of one SAE the nearest feature of another.

    nearest int32 (n,); cosines float32 (n,) of decoder directions; similarities float32 (n,), cosine of the
    two features' activations over the documents; shared int32 (n,), documents in which both are active.
    """

    nearest: np.ndarray
    cosines: np.ndarray
    similarities: np.ndarray
    shared: np.ndarray

    def recurrent(self, config: SplittingConfig) -> np.ndarray:
        """bool (n,): the feature is found again in the other SAE."""
        return (self.cosines > config.recurrent_cosine) & (self.similarities >= config.recurrent_similarity)


def match(
    directions: np.ndarray, latents: sp.csr_matrix, other_directions: np.ndarray, other_latents: sp.csr_matrix
) -> Match:
    """Assign each of n unit decoder directions (n, d_in) to the nearest of the others (m, d_in).

    Both SAEs' latents, (n_documents, n) and (n_documents, m), must be of the same documents.
    """
    indices, cosines = nearest(directions, other_directions)
    similarities, shared = pair_similarities(latents, other_latents, np.arange(len(indices)), indices)
    return Match(indices, cosines, similarities, shared)


def pair_similarities(
    latents: sp.csr_matrix, other_latents: sp.csr_matrix, features: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How alike features fire, pair by pair: (cosine of activations float32, documents with both active
    int32).

    A feature that is never active is similar to none (0).
    """
    if latents.shape[0] != other_latents.shape[0]:
        raise ValueError(f"latents of {latents.shape[0]} and {other_latents.shape[0]} documents")
    ours, theirs = latents.tocsc(), other_latents.tocsc()
    lengths, other_lengths = _lengths(ours), _lengths(theirs)
    similarities, shared = np.zeros(len(features), np.float32), np.zeros(len(features), np.int32)
    for start in range(0, len(features), _PAIRS_AT_ONCE):
        block = slice(start, start + _PAIRS_AT_ONCE)
        product = ours[:, features[block]].multiply(theirs[:, others[block]]).tocsc()
        length = lengths[features[block]] * other_lengths[others[block]]
        similarities[block] = np.asarray(product.sum(axis=0)).ravel() / np.maximum(length, 1e-30)
        shared[block] = np.diff(product.indptr)
    return similarities, shared


def _lengths(latents: sp.csc_matrix) -> np.ndarray:
    return np.sqrt(np.asarray(latents.multiply(latents).sum(axis=0), dtype=np.float64).ravel())


def children_of(assigned: np.ndarray, n_smaller: int) -> list[np.ndarray]:
    """For each feature of the smaller SAE the features of the larger one assigned to it, in rising order."""
    order = np.argsort(assigned, kind="stable")
    return np.split(order, np.cumsum(np.bincount(assigned, minlength=n_smaller))[:-1])


def recurs_everywhere(matches: list[Match], config: SplittingConfig | None = None) -> np.ndarray:
    """bool (n,): features of an SAE that recur in every larger one; ``matches`` leads to each of those."""
    config = config or SplittingConfig()
    found = np.ones(len(matches[0].nearest), bool)
    for larger in matches:
        found &= larger.recurrent(config)
    return found


def recurrence_counts(matches: list[Match], thresholds: np.ndarray) -> np.ndarray:
    """int64 (len(thresholds),): features whose nearest in every larger SAE has a cosine above each
    threshold."""
    lowest = np.min([m.cosines for m in matches], axis=0)
    return np.array([(lowest > threshold).sum() for threshold in thresholds])


@dataclass(frozen=True)
class Consistency:
    """Features of the largest SAE reached from each feature of the smallest, directly and through the one
    between.

    direct, through, both int64 (n,): sizes of the two sets and of what they share; overlap float64 (n,):
    intersection over union, NaN where both are empty.
    """

    direct: np.ndarray
    through: np.ndarray
    both: np.ndarray
    overlap: np.ndarray


def self_consistency(
    large_to_small: np.ndarray, large_to_middle: np.ndarray, middle_to_small: np.ndarray, n_small: int
) -> Consistency:
    """Compare the two ways from the largest SAE's features to the smallest's (nearest features, int)."""
    by_way = middle_to_small[large_to_middle]
    direct = np.bincount(large_to_small, minlength=n_small)
    through = np.bincount(by_way, minlength=n_small)
    both = np.bincount(large_to_small[large_to_small == by_way], minlength=n_small)
    union = direct + through - both
    overlap = np.divide(both, union, out=np.full(n_small, np.nan), where=union > 0)
    return Consistency(direct, through, both, overlap)


def split_score(
    children: list[np.ndarray], assigned: Match, worth: np.ndarray, own_worth: np.ndarray
) -> np.ndarray:
    """How good an example of splitting each feature of the smaller SAE is, float64 (n,); 0 where it is none.

    ``worth`` and ``own_worth`` are the reliabilities of the larger and the smaller SAE's labels (NaN:
    unscored). Two to five children are best: the sum of the worth of the best five, each times how well its
    direction still lies in the parent's, times the parent's own worth.
    """
    scores = np.zeros(len(children))
    for feature, found in enumerate(children):
        value = np.nan_to_num(worth[found]) * np.clip(assigned.cosines[found], 0, 1)
        value = np.sort(value[assigned.shared[found] > 0])[::-1]
        if len(value) >= 2:
            scores[feature] = (
                value[:5].sum() / np.sqrt(max(5, len(value)) / 5) * np.nan_to_num(own_worth[feature])
            )
    return np.maximum(scores, 0)
