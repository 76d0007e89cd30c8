"""What rankings by an SAE cost on a test collection with judgments of relevance."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from build.evaluation.beir import Collection, read_collection
from sae.encode import Weights, decode, encode
from sae.steering.evaluation import ranking_kept
from sae.steering.relevance import FAR, against_judgments
from sae.steering.trials import interval
from sae.structure.cooccurrence import active_entries

_MOST_QUERIES = 1000
_AT_ONCE = 256  # queries whose scores are held in memory
_BLOCK = 8192  # documents encoded at once

Row = dict[str, Any]


class JudgedCollection:
    """A test collection with the embeddings of its documents x float32 (m, d_in) and queries (n, d_in), unit rows."""

    def __init__(
        self, folder: Path, embed: Callable[[Sequence[str]], np.ndarray], documents: int, seed: int
    ) -> None:
        """``documents``: how many to search, at most; the judged ones stay, a seeded sample of the rest joins them."""

        def keep(names: list[str], judged: set[str]) -> set[str]:
            kept = judged.intersection(names)
            rest = [name for name in names if name not in kept]
            drawn = np.random.default_rng([seed, 41]).permutation(len(rest))[: max(0, documents - len(kept))]
            return kept | {rest[i] for i in drawn}

        self.collection: Collection = read_collection(folder, keep)
        self.seed = seed
        n = len(self.collection.queries)
        chosen = np.sort(np.random.default_rng([seed, 42]).permutation(n)[:_MOST_QUERIES])
        self.judgments = [self.collection.judgments[i] for i in chosen]
        self.own = np.array([self.collection.own[i] for i in chosen], np.int64)
        self.x = np.asarray(embed(self.collection.texts), np.float32)
        self.queries = np.asarray(embed([self.collection.queries[i] for i in chosen]), np.float32)

    def measure(self, weights: Weights) -> list[Row]:
        """Rows of schema.JUDGED_COLUMNS without the column ``sae``, for one SAE."""
        acts, indices = (
            np.concatenate(parts)
            for parts in zip(
                *(encode(self.x[i : i + _BLOCK], weights) for i in range(0, len(self.x), _BLOCK)), strict=True
            )
        )
        documents = decode(acts, indices, weights)
        documents /= np.maximum(np.linalg.norm(documents, axis=1, keepdims=True), 1e-12)
        query_acts, query_indices = encode(self.queries, weights)
        query = decode(query_acts, query_indices, weights)
        latents = _unit(active_entries(acts, indices, weights.n_latents))
        wanted = active_entries(query_acts, query_indices, weights.n_latents)
        original = self._ranked(lambda rows: self.queries[rows] @ self.x.T)
        found = {
            "original": original,
            "query": self._ranked(lambda rows: query[rows] @ self.x.T),
            "query and documents": self._ranked(lambda rows: query[rows] @ documents.T),
            "sparse": self._ranked(lambda rows: np.asarray((wanted[rows] @ latents.T).todense(), np.float32)),
        }
        rows: list[Row] = []
        for variant, ranking in found.items():
            measures = against_judgments(list(ranking), self.judgments)
            measures["overlap@10"] = ranking_kept(original, ranking)["overlap@10"]
            for measure, values in measures.items():
                value, low, high = interval(values, self.seed)
                rows.append(
                    {"collection": self.collection.name, "n_documents": len(self.x), "variant": variant,
                     "measure": measure, "value": value, "low": low, "high": high, "n": len(values)}
                )  # fmt: skip
        return rows

    def _ranked(self, scores_of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The best documents of each query, int64 (n, at most 100), equal ones by row."""
        count = min(FAR, len(self.x))
        found = np.zeros((len(self.queries), count), np.int64)
        for start in range(0, len(found), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(found)))
            scores = scores_of(rows)
            own = self.own[rows]
            scores[np.flatnonzero(own >= 0), own[own >= 0]] = -np.inf
            found[rows] = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return found


def _unit(latents: sp.csr_matrix) -> sp.csr_matrix:
    lengths = np.sqrt(np.asarray(latents.multiply(latents).sum(1)).ravel())
    return (sp.diags_array((1 / np.maximum(lengths, 1e-12)).astype(np.float32)) @ latents).tocsr()
