"""Read the evaluation of a corpus from an artifact store."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from sae import schema
from sae.storage.arrays import read_table
from sae.store import Corpus


class Evaluation:
    """Evaluation of all SAEs of one corpus; every reader raises StoreError on a missing or damaged file."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._folder = corpus.path / schema.EVALUATION

    @property
    def available(self) -> bool:
        """Whether the build holds an evaluation."""
        return (self._folder / schema.STEERING).is_file()

    def _table(self, name: str) -> Path:
        return self.corpus.table(f"{schema.EVALUATION}/{name}")

    def steering(self) -> pa.Table:
        """What came of steering, by method and fidelity (schema.STEERING_COLUMNS)."""
        return read_table(self._table(schema.STEERING), schema.STEERING_COLUMNS)

    def optimisation(self) -> pa.Table:
        """Error at each step of the iterative optimisation (schema.OPTIMISATION_COLUMNS)."""
        return read_table(self._table(schema.OPTIMISATION), schema.OPTIMISATION_COLUMNS)

    def contour(self) -> pa.Table:
        """Fidelity by strength of raising and of lowering (schema.CONTOUR_COLUMNS)."""
        return read_table(self._table(schema.CONTOUR), schema.CONTOUR_COLUMNS)

    def retrieval(self) -> pa.Table:
        """What rankings by reconstructions keep (schema.RETRIEVAL_COLUMNS)."""
        return read_table(self._table(schema.RETRIEVAL), schema.RETRIEVAL_COLUMNS)

    def categories(self) -> pa.Table:
        """How well single features tell categories (schema.CATEGORY_COLUMNS)."""
        return read_table(self._table(schema.CATEGORIES), schema.CATEGORY_COLUMNS)

    def truth(self) -> pa.Table:
        """Planted topics and their features; empty for a corpus of real documents (schema.TRUTH_COLUMNS)."""
        return read_table(self._table(schema.TRUTH), schema.TRUTH_COLUMNS)

    def judged(self) -> pa.Table:
        """Rankings of a test collection against its judgments (schema.JUDGED_COLUMNS).

        Empty where the build was given none, and in a build older than this table.
        """
        if not (self._folder / schema.JUDGED).is_file():
            return schema.JUDGED_COLUMNS.empty_table()
        return read_table(self._table(schema.JUDGED), schema.JUDGED_COLUMNS)

    def recognised(
        self, sae: str, fidelity: float, edit: str = "both", method: str = "feature"
    ) -> float | None:
        """How often the judge recognises an edit that left this fidelity, 0 … 1, between the measured ones.

        ``edit``: "up" (features raised), "down" (lowered) or "both". None where nothing was measured. Without
        any change, at fidelity 1, it guesses.
        """
        xs, values = self._curves.get((sae, edit, method), (np.zeros(0), np.zeros(0)))
        return float(np.interp(fidelity, xs, values)) if len(xs) else None

    @cached_property
    def _curves(self) -> dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]]:
        table = self.steering().to_pylist()
        found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        for row in table:
            if row["judge"] == "local" and row["measure"] == row["edit"] and row["value"] is not None:
                key = (row["sae"], row["edit"], row["method"])
                found.setdefault(key, []).append((row["fidelity"], row["value"]))
        return {key: (np.array([*sorted(p)])[:, 0], np.array([*sorted(p)])[:, 1]) for key, p in found.items()}
