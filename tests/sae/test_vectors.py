"""Many comparisons at once find what one comparison after the other finds."""

import numpy as np
import pytest

from sae.compiled.topk import kth_largest
from sae.compiled.vectors import WORD, count_reaching, gather_reaching, padded


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("words", [1, 5])
@pytest.mark.parametrize("threshold", [-10.0, 0.5, 1.0, 10.0])
def test_gathers_what_reaches_the_threshold(dtype: type[np.floating], words: int, threshold: float) -> None:
    row = np.random.default_rng(0).integers(-4, 5, words * WORD).astype(dtype) / dtype(4)
    values, indices = np.zeros(len(row), dtype), np.zeros(len(row), np.int32)
    count = gather_reaching(row, dtype(threshold), values, indices)
    expected = np.flatnonzero(row >= threshold)
    assert indices[:count].tolist() == expected.tolist()
    assert values[:count].tolist() == row[expected].tolist()
    assert count_reaching(row, len(row), dtype(threshold)) == len(expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 63, 64, 150])
@pytest.mark.parametrize("spread", [1, 10**6])  # with many ties, and with none
def test_kth_largest(dtype: type[np.floating], n: int, spread: int) -> None:
    numbers = np.random.default_rng(n).integers(-3 * spread, 3 * spread, n).astype(dtype)
    descending = np.sort(numbers)[::-1]
    for k in {1, n // 2 + 1, n}:
        values = np.concatenate([numbers, np.full(WORD, 1e9, dtype)])  # the rest must not count
        assert kth_largest(values, n, k) == descending[k - 1]


def test_words_are_filled_up() -> None:
    assert [padded(size) for size in (0, 1, WORD, WORD + 1)] == [0, WORD, WORD, 2 * WORD]
