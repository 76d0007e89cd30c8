"""What tests of bundles and of addresses share: stores opened by several processes at once, and a disk without room."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def opened_at_once(place: Path | str, processes: int) -> None:
    """Open a store in several processes at once; all find it in one folder."""
    code = f"from sae.store import open_store; print(open_store({str(place)!r}).path)"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    assert len({run.communicate(timeout=600)[0] for run in runs}) == 1
    assert [run.returncode for run in runs] == [0] * processes


def leave_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on every disk says that it is full."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
