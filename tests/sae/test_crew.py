"""Threads that share a job do not make threads of their own."""

import ctypes
import sys
import threading
import time

import pytest
import torch

from sae.compiled.crew import share


@pytest.mark.skipif(
    sys.platform != "linux", reason="finds PyTorch's OpenMP where Linux lists loaded libraries"
)
def test_openmp_runs_on_the_thread_that_calls_it() -> None:
    torch.ones(64, 64) @ torch.ones(64, 64)
    with open("/proc/self/maps") as maps:
        libraries = sorted({line.split()[-1] for line in maps if "libgomp" in line and "torch" in line})
    if not libraries:
        pytest.skip("this PyTorch has another OpenMP")
    openmp = ctypes.CDLL(libraries[0])
    seen: dict[int, int] = {}

    def task(piece: int) -> None:
        time.sleep(0.02)  # or one thread would take all
        seen[threading.get_ident()] = openmp.omp_get_max_threads()

    before = torch.get_num_threads()
    share(task, 6, 3)
    assert len(seen) > 1
    assert set(seen.values()) == {1}
    assert torch.get_num_threads() == before
