"""One tiny artifact store for the whole test run, made by the real pipeline; and which worker runs what."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock
from streamlit.components.v2 import manifest_scanner
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.dashboard.search_app import copy, corpus, page  # noqa: F401 - fixtures

ROOT = Path(__file__).parent.parent

# Every AppTest looks for components in the metadata of each installed package, .1 s of a processor: once is enough.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


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


class FileByFile(LoadScopeScheduling):
    """A worker takes a whole file, so that what its tests share is made once. All that is in Chromium is one piece of
    work: one worker has the browser and the server, which mostly wait, and the other does what only computes.

    (``--dist loadgroup`` would group by marks, but pytest-xdist 3.8 loses them with pytest 9.2, in silence.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith("tests/browser/") else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # the order below is ours
    return FileByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests in Chromium come first and build the tiny store, compiling kernels where none are yet. Beside them are
    run those that need neither, so that nobody waits or compiles the same; then the slow ones, of which none is left to
    one worker at the end while the other has nothing to do."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    slow = item.get_closest_marker("slow") is not None
    if item.nodeid.startswith("tests/browser/"):
        return 0 if slow else 1
    if item.nodeid.startswith(("tests/build/corpora/", "tests/build/embedders/")):
        return 2
    return 3 if slow else 4
