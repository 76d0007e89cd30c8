"""The documents by which a feature is labelled, and the others by which its label is scored.

All documents are dealt into two halves by the seed; a feature's label is written from one half and scored on
the other. In each half a feature gets activating documents over its whole range of activations, random
documents in which it is not active, and matched ones: for each activating document its nearest neighbour in
which the feature is not active (each used once). Matched negatives are the fair hard case: what nearest to a
centroid is biased, since weakly activating documents lie farther from the centroid than such negatives do.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sae.progress import Progress, silent
from sae.statistics import ByFeature

TOP, QUANTILE, RANDOM, MATCHED = range(4)
ROLES = ("top", "quantile", "random", "matched")
LABEL, SCORE = range(2)
HALVES = ("label", "score")

N_TOP = 5  # strongest documents, as an LLM would be shown
N_LABEL = 120  # activating documents in the labelling half, the top ones included
N_SCORE = 40  # activating documents over the whole range in the scoring half
N_STRONG = 20  # more of them from the strongest fifth
STRONG_SHARE = 0.2
MIN_DOCUMENTS = 12  # with fewer activating documents in either half a feature is too rare to be scored
_NEIGHBOURS = 48
_MAX_POOL = 25_000  # documents of a half among which a neighbour is sought
_BLOCK = 256  # documents compared with a pool at once: 25,000 cosines and their order take 300 KB each


@dataclass(frozen=True)
class FeatureEvidence:
    """The drawn documents of one feature; four arrays of one length: which, in what role and half, how
    active.

    In each half the whole range (quantile) comes first, then the top, then random, then matched; the i-th
    matched document belongs to the i-th activating one.

    n_active: activating documents in the labelling and in the scoring half; strong: activation from which on
    a document belongs to the strongest fifth.
    """

    documents: npt.NDArray[np.int32]
    roles: npt.NDArray[np.int8]
    halves: npt.NDArray[np.int8]
    activations: npt.NDArray[np.float32]
    n_active: tuple[int, int]
    strong: float

    def rows(self, half: int, *roles: int) -> npt.NDArray[np.intp]:
        """Positions of the documents of one half in the given roles, in the order drawn."""
        return np.flatnonzero((self.halves == half) & np.isin(self.roles, roles))

    @property
    def dead(self) -> bool:
        return sum(self.n_active) == 0

    @property
    def too_rare(self) -> bool:
        return min(self.n_active) < MIN_DOCUMENTS


def split_halves(n_documents: int, seed: int) -> npt.NDArray[np.int8]:
    """(n_documents,) LABEL or SCORE, half of each."""
    half = np.full(n_documents, LABEL, np.int8)
    half[np.random.default_rng([seed, 0]).permutation(n_documents)[: n_documents // 2]] = SCORE
    return half


def draw_evidence(
    embeddings: npt.NDArray[np.floating],
    by_feature: ByFeature,
    seed: int,
    progress: Progress | None = None,
) -> list[FeatureEvidence]:
    """Evidence for every feature; ``embeddings`` (n_documents, d_in) unit rows."""
    report = progress or silent
    n_latents = by_feature.n_latents
    half = split_halves(len(embeddings), seed)
    members = [np.flatnonzero(half == side) for side in (LABEL, SCORE)]
    drawn = [_positives(by_feature, j, half) for j in range(n_latents)]
    needed = [
        np.unique(np.concatenate([members[side][:0], *(d for sides in drawn for d, _ in sides[side])]))
        for side in (LABEL, SCORE)
    ]
    neighbours = []
    for side in (LABEL, SCORE):
        report(side, 2 + n_latents, "finding near documents")
        pool = np.sort(np.random.default_rng([seed, 1, side]).permutation(members[side])[:_MAX_POOL])
        neighbours.append(_Neighbours(embeddings, needed[side], pool))
    evidence = []
    active = np.zeros(len(embeddings), bool)
    for j in range(n_latents):
        entries = slice(by_feature.offsets[j], by_feature.offsets[j + 1])
        own, values = by_feature.documents[entries], by_feature.activations[entries]
        active[own] = True
        rng = np.random.default_rng([seed, 2, j])
        columns: list[tuple[npt.NDArray[np.integer], npt.NDArray[np.float32], int, int]] = []
        for side in (LABEL, SCORE):
            top, whole_range = drawn[j][side]
            columns += [(*whole_range, QUANTILE, side), (*top, TOP, side)]
            positives = np.concatenate([whole_range[0], top[0]])
            if len(positives):
                random = _draw_inactive(rng, members[side], active, len(positives))
                matched = neighbours[side].nearest_inactive(positives, active)
                for role, negatives in ((RANDOM, random), (MATCHED, matched)):
                    columns.append((negatives, np.zeros(len(negatives), np.float32), role, side))
        active[own] = False
        in_label = int((half[own] == LABEL).sum())
        evidence.append(
            FeatureEvidence(
                documents=np.concatenate([c[0] for c in columns]).astype(np.int32),
                roles=np.concatenate([np.full(len(c[0]), c[2], np.int8) for c in columns]),
                halves=np.concatenate([np.full(len(c[0]), c[3], np.int8) for c in columns]),
                activations=np.concatenate([c[1] for c in columns]).astype(np.float32),
                n_active=(in_label, len(own) - in_label),
                strong=_strong_threshold(values),
            )
        )
        if j % 64 == 0:
            report(2 + j, 2 + n_latents, "drawing documents")
    report(2 + n_latents, 2 + n_latents, "evidence drawn")
    return evidence


Drawn = tuple[npt.NDArray[np.integer], npt.NDArray[np.float32]]


def _strong_threshold(activations: npt.NDArray[np.float32]) -> float:
    return float(np.quantile(activations, 1 - STRONG_SHARE)) if len(activations) else 0.0


def _positives(by_feature: ByFeature, j: int, half: npt.NDArray[np.int8]) -> tuple[list[Drawn], list[Drawn]]:
    """For each half the (top, quantile) activating documents with their activations."""
    entries = slice(by_feature.offsets[j], by_feature.offsets[j + 1])
    documents, activations = by_feature.documents[entries], by_feature.activations[entries]
    in_label = np.flatnonzero(half[documents] == LABEL)
    in_score = np.flatnonzero(half[documents] == SCORE)
    label_top, label_rest = in_label[:N_TOP], _spread(in_label[N_TOP:], N_LABEL - N_TOP)
    whole_range = _spread(in_score, N_SCORE)
    strong = in_score[activations[in_score] >= _strong_threshold(activations)]
    strong = _spread(np.setdiff1d(strong, whole_range), N_STRONG)

    def pick(index: npt.NDArray[np.intp]) -> Drawn:
        return documents[index], activations[index]

    return [pick(label_top), pick(label_rest)], [pick(strong), pick(whole_range)]


def _spread(items: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """``count`` of the items (all if fewer), evenly over their order."""
    if len(items) <= count:
        return items
    return items[((np.arange(count) + 0.5) * len(items) / count).astype(np.intp)]


def _draw_inactive(
    rng: np.random.Generator,
    members: npt.NDArray[np.intp],
    active: npt.NDArray[np.bool_],
    count: int,
) -> npt.NDArray[np.intp]:
    """Up to ``count`` different documents of a half in which the feature is not active."""
    tries = rng.choice(len(members), size=min(len(members), 2 * count + 20), replace=False)
    found = members[tries][~active[members[tries]]]
    if len(found) < count:  # a very dense feature
        found = rng.permutation(members[~active[members]])
    return found[:count]


class _Neighbours:
    """The nearest documents of a pool for each needed document, nearest first."""

    def __init__(
        self,
        embeddings: npt.NDArray[np.floating],
        needed: npt.NDArray[np.integer],
        pool: npt.NDArray[np.intp],
    ) -> None:
        self._embeddings = embeddings
        self._pool = pool
        self._pool_rows = np.asarray(embeddings[pool], np.float32)
        self._place = {int(document): i for i, document in enumerate(needed)}
        count = min(_NEIGHBOURS, len(pool))
        self._nearest = np.empty((len(needed), count), np.int32)
        for start in range(0, len(needed), _BLOCK):
            block = needed[start : start + _BLOCK]
            similarity = np.asarray(embeddings[block], np.float32) @ self._pool_rows.T
            part = np.argpartition(similarity, len(pool) - count, axis=1)[:, len(pool) - count :]
            order = np.argsort(-np.take_along_axis(similarity, part, 1), axis=1, kind="stable")
            self._nearest[start : start + _BLOCK] = pool[np.take_along_axis(part, order, 1)]

    def nearest_inactive(
        self, positives: npt.NDArray[np.integer], active: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.intp]:
        """For each positive, in turn, its nearest document that is neither active nor taken already."""
        taken: dict[int, None] = {}
        for positive in positives:
            near = self._nearest[self._place[int(positive)]]
            chosen = next((int(d) for d in near[~active[near]] if int(d) not in taken), None)
            if chosen is None:  # all stored neighbours are active: look at the whole pool
                chosen = self._search(int(positive), active, taken)
            if chosen is not None:
                taken[chosen] = None
        return np.asarray(list(taken), np.intp)

    def _search(self, positive: int, active: npt.NDArray[np.bool_], taken: dict[int, None]) -> int | None:
        similarity = self._pool_rows @ np.asarray(self._embeddings[positive], np.float32)
        similarity[active[self._pool]] = -np.inf
        similarity[np.isin(self._pool, list(taken))] = -np.inf
        best = int(np.argmax(similarity))
        return int(self._pool[best]) if np.isfinite(similarity[best]) else None
