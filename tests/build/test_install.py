"""Which Python the requirements go into, and what counts as missing."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from build import install


def test_pins_follow_included_files() -> None:
    pins = install.pins(install.REQUIREMENTS)
    names = [pin.split("==")[0] for pin in pins]
    assert {"streamlit", "torch", "pytest"} <= set(names)
    assert len(names) == len(set(names)), "a package is pinned twice"
    assert all(pin.count("==") == 1 for pin in pins), "every requirement is pinned exactly"


def test_the_environment_of_this_run_lacks_nothing() -> None:
    assert install.missing(sys.executable) == []


def test_absent_and_wrong_versions_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("numpy==0.0.1  # old\nno-such-package==1.0\nfilelock==4.2.11\n")
    monkeypatch.setattr(install, "REQUIREMENTS", wanted)
    found = install.missing(sys.executable)
    assert [line.split()[0] for line in found] == ["numpy", "no-such-package"]
    assert "found none" in found[1]


def test_a_virtual_environment_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/somewhere/venv")
    assert install._is_ours_to_fill()


def test_a_managed_python_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    paths = {"stdlib": str(tmp_path), "purelib": str(tmp_path)}
    monkeypatch.setattr(sysconfig, "get_path", lambda name: paths[name])
    assert install._is_ours_to_fill()  # a container's own Python
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    assert not install._is_ours_to_fill()


def test_it_runs_on_the_standard_library_alone() -> None:
    code = "import sys, build.install; print([m for m in ('numpy', 'typer', 'rich') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=install.ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
