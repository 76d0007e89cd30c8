"""One tiny artifact store for the whole test run, made by the real pipeline from planted topics."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tests.dashboard.search_app import copy, corpus, page  # noqa: F401 - fixtures

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The artifacts folder of ``make artifacts PROFILE=tiny``; read-only, shared by all workers of the run."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    out = shared / "tiny"
    with FileLock(shared / "tiny.lock"):
        if not (out / "CURRENT").exists():
            command = [sys.executable, "-m", "build", "--profile", "tiny", "--out", str(out), "--plain"]
            environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    return out
