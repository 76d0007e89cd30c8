"""Co-occurrence that passes by in parts of consecutive rows, so that of a large one only what is wanted is held.

At 9,216 latents and 272,000 documents nearly all pairs meet: C and D whole take a gigabyte. Counting them again
(`cooccurrence_rows`) takes less time than reading them, so what needs one pass over them counts them.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from sae.structure.cooccurrence import Cooccurrence

_KINDS = {"features": np.int32, "counts": np.int32, "similarities": np.float32}


class Among:
    """Collects the entries between two of the given features from parts that hold every row once, in order."""

    def __init__(self, features: np.ndarray, n_latents: int) -> None:
        """``features`` int (m,), in any order."""
        self._wanted = np.zeros(n_latents, bool)
        self._wanted[features] = True
        self._offsets = np.zeros(n_latents + 1, np.int64)
        self._row = 0
        self._kept: dict[str, list[np.ndarray]] = {name: [] for name in _KINDS}

    def add(self, part: Cooccurrence) -> None:
        """Keep what is wanted of the next rows."""
        start, stop = self._row, self._row + len(part.offsets) - 1
        own = self._wanted[part.features] & np.repeat(self._wanted[start:stop], np.diff(part.offsets))
        before = np.concatenate([[0], np.cumsum(own)])
        self._offsets[start + 1 : stop + 1] = self._offsets[start] + before[part.offsets[1:]]
        for name, pieces in self._kept.items():
            pieces.append(getattr(part, name)[own])
        self._row = stop

    def passing(self, parts: Iterable[Cooccurrence]) -> Iterator[Cooccurrence]:
        """Part after part, each added on its way to another reader."""
        for part in parts:
            self.add(part)
            yield part

    def matrix(self) -> Cooccurrence:
        """All that was kept, with n_latents rows; those of other features are empty. What was collected is let go."""
        joined = {}
        for name, kind in _KINDS.items():  # one after the other, so that only one is held twice
            joined[name] = np.concatenate([*self._kept.pop(name), np.zeros(0, kind)])
        return Cooccurrence(self._offsets, **joined)


def among(parts: Iterable[Cooccurrence], features: np.ndarray, n_latents: int) -> Cooccurrence:
    """Entries between two of the given features, as :class:`Among` collects them."""
    found = Among(features, n_latents)
    for _ in found.passing(parts):
        pass
    return found.matrix()
