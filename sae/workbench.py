"""Steered search in a notebook: everything that the search page can do, in a few lines.

bench = Workbench("artifacts", "python-data", "SAE8")
bench.ask("group points by density")     # the query's features, as a table
bench.steer({12: 8.0})                   # set feature 12 to 8
bench.results()                          # the documents found, with their ranks before
"""

import datetime
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from sae.errors import UserError
from sae.query import QueryEncoder
from sae.search import Searcher
from sae.steer import Steered, steer
from sae.steering.directions import Directions, Statistics
from sae.steering.filters import DocumentFilter
from sae.steering.side_effects import side_effects
from sae.steering.suggest import less_like, more_like
from sae.storage.structure_store import FamilyReader
from sae.store import open_store
from sae.tex import without_accents
from sae.why import Why, why


class Workbench:
    """One corpus and one SAE of a store, and a query that is steered.

    Attributes: corpus, sae (readers of ``sae.store``), searcher, vector (the query, float32 (d_in,)), steered
    (``sae.steer.Steered``). Raises UserError where the store, the corpus or the SAE is not there.
    """

    def __init__(self, path: Path | str, corpus: str, sae: str) -> None:
        self.corpus = open_store(path).corpus(corpus)
        self.sae = self.corpus.sae(sae)
        self.searcher = Searcher(self.corpus)
        self.labels: list[str] = self.sae.features(["label"])["label"].to_pylist()

    @cached_property
    def _directions(self) -> Directions:
        features = self.sae.features(["n_active", "mean_activation", "quantiles"])
        return Directions(self.sae.weights, Statistics.of(features), self.sae, self.corpus.n_documents)

    @cached_property
    def _filter(self) -> DocumentFilter:
        return DocumentFilter(self.corpus)

    def ask(self, query: str | npt.ArrayLike) -> pd.DataFrame:
        """Take a query: words, or an embedding (d_in,). Returns its features, strongest first: columns feature,
        label, activation."""
        if isinstance(query, str):
            folder = self.corpus.store.query_encoder
            if folder is None:
                raise UserError(
                    "This corpus was embedded by a model that is not here; give a vector instead."
                )
            query = QueryEncoder(folder).encode([query])[0]
        self.vector = np.asarray(query, np.float32)
        self.steered: Steered = steer(self.vector, {}, self.sae)
        self._touched: set[int] = set()
        return self._table({"activation": self.steered.latents})

    def find(self, words: str) -> pd.DataFrame:
        """Features whose label holds all the words, with or without accents: columns feature, label."""
        wanted = without_accents(words.casefold()).split()
        folded = [without_accents(label.casefold()) for label in self.labels]
        found = [f for f, label in enumerate(folded) if all(word in label for word in wanted)]
        return pd.DataFrame({"feature": found, "label": [self.labels[f] for f in found]})

    def steer(
        self,
        edits: Mapping[int, float],
        mode: str = "direct",
        direction: str = "feature",
        families: Mapping[int, float] | None = None,
    ) -> Steered:
        """Set features to values, from the query as it was asked; ``families``: family_id → amount. Modes are those
        of ``sae.steer.MODES``, directions those of ``sae.steering.directions.KINDS``."""
        self._ready()
        raised = {f: self._directions.of(f, direction) for f in edits} if direction != "feature" else {}
        mean = self._directions.statistics.mean
        moved = []
        for family_id, amount in (families or {}).items():
            members = FamilyReader(self.sae).tree(family_id)["feature_id"].to_pylist()
            if not members:
                raise UserError(f"This SAE has no family {family_id}; choose another on its Families page.")
            moved.append(({f: float(mean[f]) for f in members}, amount))
        self.steered = steer(self.vector, edits, self.sae, mode, raised, moved)
        self._touched = set(edits) | {f for members, _ in moved for f in members}
        return self.steered

    def results(
        self,
        n: int = 10,
        first: datetime.date | None = None,
        last: datetime.date | None = None,
        categories: Sequence[str] = (),
        features: Sequence[int] = (),
    ) -> pd.DataFrame:
        """The documents found: columns document, title, cosine, before (the rank before the edits, missing for new
        ones); index: rank. Filters as in ``sae.steering.filters.DocumentFilter``."""
        self._ready()
        allowed = None
        if first or last or categories or features:
            allowed = self._filter.allowed(first, last, categories, features, self.sae)
        rows, cosines = self.searcher.search_steered(self.steered, n, allowed)
        plain, _ = self.searcher.search(self.vector, n, allowed)
        before = {int(row): rank for rank, row in enumerate(plain, 1)}
        titles = self.corpus.documents(rows, ["title"])["title"].to_pylist() if len(rows) else []
        return pd.DataFrame(
            {
                "document": rows,
                "title": titles,
                "cosine": cosines,
                "before": pd.array([before.get(int(row)) for row in rows], dtype="Int64"),
            },
            index=pd.RangeIndex(1, len(rows) + 1, name="rank"),
        )

    def why(self, document: int) -> pd.DataFrame:
        """What the cosine with one document is made of: columns feature (missing for what is no feature's), label,
        part; the parts add up to the cosine."""
        found = self._why([document])[0]
        table = self._table({"part": found.parts})
        rest = pd.DataFrame(
            {"feature": [None, None], "label": ["not explained by features", "common to all documents"],
             "part": [found.unexplained, found.common]}
        )  # fmt: skip
        return pd.concat(
            [table.astype({"feature": "Int64"}), rest.astype({"feature": "Int64"})], ignore_index=True
        )

    def _why(self, documents: Sequence[int]) -> list[Why]:
        self._ready(*documents)
        rows = np.asarray(documents, np.int64)
        acts, indices = self.sae.by_document(rows)
        embeddings = np.asarray(self.corpus.embeddings[rows])
        return why(self.steered.vector, self.steered.after, embeddings, acts, indices, self.sae.weights)

    def side_effects(self, n: int | None = None) -> pd.DataFrame:
        """Untouched features that moved, after encoding the steered query again: feature, label, before, after."""
        self._ready()
        moved = side_effects(self.steered, self._touched, self.sae, n)
        columns = ("before", "after")
        return self._table({c: {e.feature_id: getattr(e, c) for e in moved} for c in columns})

    def like(self, document: int, more: bool = True, n: int = 10) -> dict[int, float]:
        """Edits towards one of the first ``n`` results, or away from it: hand them to ``steer``."""
        self._ready(document)
        acts, indices = self.sae.by_document([document])
        own = {int(f): float(a) for f, a in zip(indices[0], acts[0], strict=True) if a > 0}
        if more:
            return more_like(self.steered.after, own)
        rows, _ = self.searcher.search_steered(self.steered, n)
        others = self._why([int(row) for row in rows if row != document])
        return less_like(self.steered.after, own, self._why([document])[0], others)

    def _ready(self, *documents: int) -> None:
        """UserError where no query was asked yet, or a document is not there."""
        if not hasattr(self, "steered"):
            raise UserError("There is no query yet; call ask first.")
        n = self.corpus.n_documents
        if wrong := [document for document in documents if not 0 <= document < n]:
            raise UserError(f"There is no document {wrong[0]}; this corpus has 0 to {n - 1:,}.")

    def _table(self, columns: Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
        features = list(dict.fromkeys(f for values in columns.values() for f in values))
        labels = [self.labels[f] for f in features]
        values = {name: [found.get(f, 0.0) for f in features] for name, found in columns.items()}
        return pd.DataFrame({"feature": features, "label": labels, **values})
