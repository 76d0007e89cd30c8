"""The query of the search page as it is steered now, and what is known about it. Computed once a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from dashboard import data, state, structure_data
from dashboard.search import search_choices
from sae.encode import Weights
from sae.steer import Steered, steer
from sae.steering.directions import Direction, Directions, Statistics
from sae.steering.side_effects import SideEffect, side_effects
from sae.storage.evaluation_store import Evaluation
from sae.why import Why, why


@dataclass(frozen=True)
class Family:
    """A family with a slider: mean activations of the features that it moves, and how far."""

    family_id: int
    members: dict[int, float]
    amount: float


@dataclass(frozen=True)
class Asked:
    """A query, its edits, and the steered query that they make."""

    corpus_name: str
    sae_name: str
    vector: np.ndarray
    latents: dict[int, float]
    edits: dict[int, float]
    """Edits of single features, the muted ones among them."""
    families: tuple[Family, ...]
    steered: Steered

    @property
    def weights(self) -> Weights:
        return data.sae(self.corpus_name, self.sae_name).weights

    @property
    def changed(self) -> bool:
        """Whether anything was edited that changes the query."""
        return bool(self.steered.amounts)

    @cached_property
    def rebuilt(self) -> bool:
        """Whether the reconstruction of the query is searched with, which is another query even without edits."""
        return not np.array_equal(self.steered.base, self.vector)

    @property
    def plain(self) -> Steered:
        """The query before all edits, in its own direction: what a search without features answers."""
        return Steered(self.vector, 1.0, self.vector)

    @cached_property
    def touched(self) -> set[int]:
        """Features that somebody moved."""
        single = {f for f, value in self.edits.items() if value != self.latents.get(f, 0.0)}
        return single | {f for family in self.families if family.amount for f in family.members}

    @cached_property
    def ways(self) -> tuple[list[int], list[int]]:
        """(raised, lowered) features among those that were edited singly, and the parents of moved families."""
        moved = {f: value - self.latents.get(f, 0.0) for f, value in self.edits.items()}
        moved |= {next(iter(family.members)): family.amount for family in self.families if family.members}
        return [f for f, by in moved.items() if by > 0], [f for f, by in moved.items() if by < 0]

    def side_effects(self, n: int) -> list[SideEffect]:
        """Untouched features that moved, after encoding the steered query again."""
        return side_effects(self.steered, self.touched, self.weights, n) if self.changed else []

    def why(self, rows: Sequence[int]) -> list[Why]:
        """Why each of some documents has the cosine it has with the steered query."""
        if not len(rows):
            return []
        documents = np.asarray(data.corpus(self.corpus_name).embeddings[np.asarray(rows, np.int64)])
        acts, indices = latents_of(self.corpus_name, self.sae_name, tuple(rows))
        after = self.steered.after
        return why(self.steered.vector, after, documents, acts, indices, self.weights)

    def recognised(self) -> float | None:
        """How often a judge recognised an edit like this at this fidelity, 0 … 1; None when not measured."""
        found = _evaluation(str(data.store().path), self.corpus_name)
        if found is None or not self.changed:
            return None
        raised, lowered = self.ways
        edit = "both" if raised and lowered else "up" if raised else "down"
        return found.recognised(self.sae_name, self.steered.fidelity, edit, self.method)

    @property
    def method(self) -> str:
        """The name of this way of steering in the evaluation."""
        if state.mode() != state.DEFAULT_MODE:
            return state.mode()
        return search_choices.direction() if self.edits else "family slider"


def ask(vector: np.ndarray) -> Asked:
    """The session's query with everything the session has edited."""
    corpus_name, sae_name = state.selected()
    acts, indices = data.latents(corpus_name, sae_name, vector)
    latents = {int(f): float(a) for f, a in zip(indices, acts, strict=True)}
    silent = {f: 0.0 for f in search_choices.muted() if f in latents}
    edits = {**state.edits(), **silent}
    families = tuple(_families(corpus_name, sae_name))
    kind = search_choices.direction()
    raised: dict[int, Direction] = {}
    if kind != search_choices.DEFAULT_KIND:
        raised = {
            f: direction(corpus_name, sae_name, f, kind) for f, v in edits.items() if v > latents.get(f, 0.0)
        }
    steered = steer(
        vector,
        edits,
        data.sae(corpus_name, sae_name),
        state.mode(),
        raised,
        [(family.members, family.amount) for family in families],
        latents,
    )
    return Asked(corpus_name, sae_name, vector, latents, edits, families, steered)


def _families(corpus_name: str, sae_name: str) -> list[Family]:
    moves = search_choices.families()
    if not moves or structure_data.families(corpus_name, sae_name) is None:
        return []
    found = []
    for family_id, move in moves.items():
        members = family_members(corpus_name, sae_name, family_id)
        if members.size:
            kept = {f: mean for f, mean in members.items() if f not in move.left_out}
            found.append(Family(family_id, {int(f): float(m) for f, m in kept.items()}, move.amount))  # type: ignore[call-overload]
    return found


def family_members(corpus_name: str, sae_name: str, family_id: int) -> pd.Series:
    """Mean activations of a family's features by feature_id, the parent first; empty for no such family."""
    table = structure_data.members(corpus_name, sae_name)
    ids = table["feature_id"][table["family_id"] == family_id].drop_duplicates()
    return data.feature_table(corpus_name, sae_name)["mean_activation"].loc[ids].fillna(0.0)


def direction(corpus_name: str, sae_name: str, feature_id: int, kind: str) -> Direction:
    """Where a raised feature takes the query."""
    return _direction(str(data.store().path), corpus_name, sae_name, feature_id, kind)


@lru_cache(maxsize=256)
def _direction(build: str, corpus_name: str, sae_name: str, feature_id: int, kind: str) -> Direction:
    return _directions(build, corpus_name, sae_name).of(feature_id, kind)


@lru_cache(maxsize=6)
def _directions(build: str, corpus_name: str, sae_name: str) -> Directions:
    sae = data.sae(corpus_name, sae_name)
    statistics = Statistics.of(sae.features(["n_active", "mean_activation", "quantiles"]))
    return Directions(sae.weights, statistics, sae, sae.corpus.n_documents)


def latents_of(corpus_name: str, sae_name: str, rows: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(top_acts, top_indices), (m, k) each, of some documents."""
    return _latents(str(data.store().path), corpus_name, sae_name, rows)


@lru_cache(maxsize=64)
def _latents(
    build: str, corpus_name: str, sae_name: str, rows: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    return data.sae(corpus_name, sae_name).by_document(rows)


@lru_cache(maxsize=8)
def _evaluation(build: str, corpus_name: str) -> Evaluation | None:
    found = Evaluation(data.corpus(corpus_name))
    return found if found.available else None
