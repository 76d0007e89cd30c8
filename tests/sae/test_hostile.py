"""Hostile stores are refused with one sentence; nothing outside them is read; memory stays small."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sae import schema
from sae.storage.trust import ENCODER_SHA256
from tests.sae import hostile, hostile_arrays, hostile_tables

ROOT = Path(__file__).parent.parent.parent
CASES = [hostile, hostile_arrays, hostile_tables]  # each adds its changes to hostile.CHANGES
PEAK_MB = 600  # of a process that has read every hostile store, imports included
NEXT_STEP = re.compile(
    "[Rr]un `make (verify|artifacts)`|Ask whoever made it|copy the build there|Update Sextant|Search by example"
)
SLOWEST = 10.0  # seconds of the processor's time


@pytest.fixture(scope="module")
def outcomes(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of reading every hostile store, and the sound one they were made from."""
    base = tmp_path_factory.mktemp("hostile")
    hostile.small_store(tiny_store, base / "sound")
    roots = {"sound": base / "sound"}
    for number, (name, act) in enumerate(hostile.CHANGES.items()):
        root = roots[name] = base / f"store{number}"
        build = hostile.build_of(Path(shutil.copytree(base / "sound", root)))
        act(build)
        if name not in hostile.UNSEALED:
            hostile.seal(build)
    command = [sys.executable, "-m", "tests.sae.read_hostile", *map(str, roots.values())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(roots), done.stderr[-3000:]
    return dict(zip(roots, lines, strict=True))


def test_a_sound_store_is_read(outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes["sound"]["kind"] == "read", outcomes["sound"]


@pytest.mark.parametrize("name", hostile.CHANGES)
def test_refused_with_a_sentence(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    found = outcomes[name]
    assert found["kind"] == "refused", found
    assert "\n" not in found["said"]
    assert len(found["said"]) < 700
    assert NEXT_STEP.search(found["said"]), found["said"]
    assert found["foreign"] == []
    assert found["seconds"] < SLOWEST


def test_memory_stays_small(outcomes: dict[str, dict[str, Any]]) -> None:
    assert max(found["peak"] for found in outcomes.values()) < PEAK_MB


def test_the_exported_query_encoder_is_the_known_one(tiny_store: Path) -> None:
    build = tiny_store / schema.BUILDS / (tiny_store / schema.CURRENT).read_text().strip()
    files = json.loads((build / schema.MANIFEST).read_text())["files"]
    prefix = schema.QUERY_ENCODER + "/"
    found = {
        path.removeprefix(prefix): entry["sha256"] for path, entry in files.items() if path.startswith(prefix)
    }
    assert found == ENCODER_SHA256
