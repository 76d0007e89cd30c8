"""Mutated stores: a sentence or a sound answer, never another exception, a hang, or other values shown.

``python -m tests.sae.mutate STORE 10000 --pages`` reads as many as one likes, on pages too.
"""

from pathlib import Path

import pytest

from tests.sae.fuzz import Fuzz

MUTANTS = 120
SEED = 0


def test_mutants_break_nothing(tiny_store: Path, tmp_path: Path) -> None:
    fuzz = Fuzz(tiny_store, tmp_path)
    assert list(fuzz.faults(range(MUTANTS), SEED)) == []
    assert fuzz.counts["mutants"] == MUTANTS
    assert fuzz.counts["refused when opened"] + fuzz.counts["refused in part"] > MUTANTS // 2


def test_pages_show_mutants(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTIFACTS", "")  # so that it is set back
    fuzz = Fuzz(tiny_store, tmp_path, pages=True)
    assert list(fuzz.faults(range(MUTANTS, MUTANTS + 12), SEED)) == []
    assert fuzz.counts["pages shown"]
