"""Mutated stores: a sentence or a sound answer, never another exception, a hang, or other bytes shown.

Ten thousand of them take a quarter of an hour: ``python -m tests.sae.mutate STORE 10000``.
"""

from pathlib import Path

import pytest

from tests.sae import hostile, mutate

MUTANTS = 120
SEED = 0


@pytest.fixture(scope="module")
def small(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz") / "small"
    hostile.small_store(tiny_store, root)
    return root


@pytest.mark.parametrize("part", range(2))
def test_mutants_break_nothing(small: Path, tmp_path: Path, part: int) -> None:
    numbers = range(part * MUTANTS // 2, (part + 1) * MUTANTS // 2)
    assert mutate.faults(tmp_path, small, numbers, SEED) == []
