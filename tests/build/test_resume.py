"""A build killed at any moment loses nothing: it ends with the same data as one left alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sae import schema
from sae.storage.manifest import read_manifest
from tests.build.here import build

ROOT = Path(__file__).parent.parent.parent


def data_of(out: Path) -> dict[str, str]:
    """Path and checksum of every file of the build that is served."""
    name = (out / schema.CURRENT).read_text().strip()
    return {path: entry.sha256 for path, entry in read_manifest(out / schema.BUILDS / name).files.items()}


@pytest.mark.slow
def test_kills_a_full_disk_and_a_second_builder_change_nothing() -> None:
    """A short run of tests/build_faults.py, in a process of its own, since it forks."""
    command = [sys.executable, "-m", "tests.build_faults", "--kills", "4", "--fills", "3", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_run_builds_nothing(tiny_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (tiny_store / schema.CURRENT).read_text()
    assert build("--profile", "tiny", "--out", tiny_store) == 0
    output = capsys.readouterr().out
    assert "is ready" in output
    assert "done in" not in output
    assert (tiny_store / schema.CURRENT).read_text() == before


def test_damaged_stage_outputs_are_built_again(
    tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``make artifacts`` mends what ``make verify`` finds, from the stage that was hurt."""
    out = tmp_path / "store"
    shutil.copytree(tiny_store, out)
    stage = next((out / "work" / "stages").glob("queries-*"))
    name = (out / schema.CURRENT).read_text().strip()
    for path in (stage / schema.QUERIES, out / schema.BUILDS / name / "planted" / schema.QUERIES):
        path.write_bytes(b"broken")
    stages = {path.name for path in (out / "work" / "stages").glob("queries-*")}
    assert build("--profile", "tiny", "--out", out) == 0
    output = capsys.readouterr().out
    rebuilt = [line for line in output.splitlines() if "done in" in line]
    assert rebuilt, json.dumps(sorted(stages))
    assert all("queries" in line for line in rebuilt), output
    assert data_of(out) == data_of(tiny_store)
