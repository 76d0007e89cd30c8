"""Weighted sums of columns of scores, kept so that a move of one slider adds one column, however many are edited.

A steered query's scores are Σ shareᵢ · columnᵢ. The next query of the same hand differs in one share, seldom in two,
so its sum is the last one with the differences added in place. What such additions lose in float32 is counted, and
after some hundred of them the sum is made anew.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_KEPT = 24  # sums of all sessions together
_PIECE = 1 << 15  # scores added up at once: they stay in the processor's cache
_MOST_ROUNDINGS = 1500  # before a sum is made anew: half of what a product of 1,536 dimensions may lose
_FARTHEST = 4.0  # times the reach of now that an earlier one may have been


def column_name(vector: npt.ArrayLike) -> bytes:
    """What a column E·vector is known by: the vector (d_in,) itself, in float32."""
    return np.ascontiguousarray(vector, dtype=np.float32).tobytes()


@dataclass
class Sum:
    """A sum of columns, which the next one may be made from in place: read it under the lock of its ``Sums``."""

    scores: FloatArray
    """float32 (n_documents,)."""
    shares: dict[bytes, float]
    reach: float
    """The largest Σ |share| · length that it ever was the sum of."""
    roundings: int
    """Its rounding error is at most this many times reach · 2⁻²⁴ · (1 + what a coarse row's length exceeds 1 by)."""


class Sums:
    """The sums that were asked for last. Take ``lock`` before ``of``, and keep it while a sum is read."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._kept: list[Sum] = []  # the last used at the end

    def of(
        self, terms: Mapping[bytes, float], reach: float, column: Callable[[bytes], FloatArray | None]
    ) -> Sum:
        """The sum of the columns float32 (n_documents,) in ``terms``, each times its share.

        ``reach``: Σ |share| · length of the vector that a column belongs to; ``column``: a column by its name, None for
        one that is no longer kept, which none of ``terms`` may be.
        """
        shares = {name: share for name, share in terms.items() if share}
        if list(shares.values()) == [1.0]:
            (name,) = shares
            return Sum(_found(column, name), shares, reach, 0)
        made = self._nearest(shares, reach, column)
        if made is None:
            n = len(_found(column, next(iter(terms))))
            columns = [_found(column, name) for name in shares]
            made = Sum(np.zeros(n, np.float32), {}, reach, 0), list(shares.values()), columns
        found, changes, columns = made
        _add(found.scores, columns, changes)
        found.shares, found.reach = shares, max(found.reach, reach)
        # Of each change: the share, the product, and the sum, none of them beyond twice the reach.
        found.roundings += 6 * len(changes)
        self._kept = [*(kept for kept in self._kept if kept is not found), found][-_KEPT:]
        return found

    def _nearest(
        self, shares: Mapping[bytes, float], reach: float, column: Callable[[bytes], FloatArray | None]
    ) -> tuple[Sum, list[float], list[FloatArray]] | None:
        """The kept sum with the fewest other shares, the same names first, what they differ by, and of which columns;
        None where it is no less to make it anew."""
        best, least = None, (len(shares), False)
        for kept in reversed(self._kept):
            names = shares.keys() | kept.shares.keys()
            changes = {
                name: change
                for name in names
                if (change := shares.get(name, 0.0) - kept.shares.get(name, 0.0))
            }
            cost = len(changes), len(names) > len(shares) or len(names) > len(kept.shares)
            if (
                cost < least
                and len(changes) < len(shares)
                and kept.roundings < _MOST_ROUNDINGS
                and kept.reach / _FARTHEST <= reach <= kept.reach * _FARTHEST
            ):
                # Looked up once: another session may push a column out at any moment.
                columns = [found for name in changes if (found := column(name)) is not None]
                if len(columns) == len(changes):
                    best, least = (kept, list(changes.values()), columns), cost
        return best


def _found(column: Callable[[bytes], FloatArray | None], name: bytes) -> FloatArray:
    found = column(name)
    assert found is not None
    return found


def _add(scores: FloatArray, columns: list[FloatArray], shares: list[float]) -> None:
    """scores += Σ shares[i] · columns[i], in pieces."""
    spare = np.empty(min(len(scores), _PIECE), np.float32)
    for start in range(0, len(scores), _PIECE):
        into = scores[start : start + _PIECE]
        product = spare[: len(into)]
        for column, share in zip(columns, shares, strict=True):
            np.multiply(column[start : start + _PIECE], np.float32(share), out=product)
            into += product
