"""A short run of tests/faults.py: kills, a full disk, and a build that changes while it is read."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sae import schema
from sae.storage.bundle import CACHE_VARIABLE
from sae.store import Store, open_store
from tests import faults
from tests.sae import hostile

KILLS = 5


@pytest.fixture(scope="module")
def root(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faults")
    hostile.small_store(tiny_store, root)
    return root


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("check", [faults.kill_bundling, faults.kill_fetching, faults.kill_publishing])
def test_kills_leave_nothing_by_halves(
    check: Callable[[Store, Path, int, random.Random], str],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    check(open_store(root), tmp_path, KILLS, random.Random(1))


def test_a_full_disk_costs_a_sentence(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    faults.full_disk(open_store(root), tmp_path)


def test_a_build_that_changes_under_readers(tiny_store: Path, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    build = hostile.small_store(tiny_store, other)
    raw = json.loads((build / schema.MANIFEST).read_text())
    del raw["checksum"]
    (build / schema.MANIFEST).write_text(json.dumps(raw | {"build": "another"}))
    (other / schema.CURRENT).write_text("another\n")
    build.rename(build.with_name("another"))
    faults.switched_under_readers(root, other, tmp_path / "served", switches=20)
