"""Arrays that begin at a cache line, large ones at a large page."""

import mmap

import numpy as np
import pytest

from sae.compiled.aligned import LARGE, LINE, PAGE, aligned_copy, aligned_zeros


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (1000, 1537)])
def test_aligned(shape: tuple[int, ...], dtype: type) -> None:
    zeros = aligned_zeros(shape, dtype)
    assert (zeros.shape, zeros.dtype) == (shape, dtype)
    assert not zeros.any()
    assert zeros.ctypes.data % LINE == 0 or not zeros.size
    source: np.ndarray = np.random.default_rng(0).integers(0, 100, shape[::-1]).astype(dtype).T
    copy = aligned_copy(source, dtype)
    assert copy.flags.c_contiguous
    assert not np.shares_memory(copy, source)
    np.testing.assert_array_equal(copy, source)


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="a system without large pages")
@pytest.mark.parametrize("size", [LARGE, PAGE, PAGE + 1])
def test_large_arrays_begin_at_a_large_page_and_keep_it(size: int) -> None:
    arrays = [aligned_zeros((size,), np.uint8) for _ in range(3)]
    for number, array in enumerate(arrays):
        assert array.ctypes.data % PAGE == 0
        array[:] = number
    assert [set(array.tolist()) for array in arrays] == [{0}, {1}, {2}]
