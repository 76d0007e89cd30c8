"""Many comparisons at once find what one comparison after the other finds."""

import numpy as np
import pytest

from sae.compiled.vectors import WORD, gather_reaching, padded


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


def test_words_are_filled_up() -> None:
    assert [padded(size) for size in (0, 1, WORD, WORD + 1)] == [0, WORD, WORD, 2 * WORD]
