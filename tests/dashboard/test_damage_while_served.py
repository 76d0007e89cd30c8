"""A disk that fails under a running dashboard: pages show a sentence or what they have, never a traceback."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from sae.schema import MANIFEST
from tests.sae import hostile

ROOT = Path(__file__).parent.parent.parent
HOME = str(ROOT / "dashboard" / "Home.py")
VIEWS = [path.name for path in sorted((ROOT / "dashboard" / "views").glob("*.py")) if path.stem != "__init__"]
ONE = hostile.ONE
FILES = (
    MANIFEST,
    f"{hostile.CORPUS}/documents.parquet",
    f"{hostile.CORPUS}/search.npy",
    f"{ONE}/features.parquet",
    f"{ONE}/evidence.parquet",
    f"{ONE}/latents.zarr/activations/c/0",
    f"{ONE}/sae.zarr/W_dec/c/0/0",
    f"{ONE}/sae.zarr/zarr.json",
)


def _replaced(path: Path, data: bytes) -> None:
    # By another file, as a failing disk or a copy would: truncation under a memory map ends any process.
    fresh = path.with_name("fresh")
    fresh.write_bytes(data)
    os.replace(fresh, path)


DAMAGES: dict[str, Callable[[Path, bytes], None]] = {
    "half": lambda path, data: _replaced(path, data[: len(data) // 2]),
    "flipped": lambda path, data: _replaced(path, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]),
    "gone": lambda path, data: path.unlink(),
}


def run_all(cold: bool) -> None:
    if cold:
        st.cache_data.clear()
        st.cache_resource.clear()
    app = AppTest.from_file(HOME, default_timeout=60)
    app.run()
    for view in VIEWS:
        app.switch_page(f"views/{view}").run()
        assert not app.exception, f"{view}: {[error.value for error in app.exception]}"


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_page_breaks(
    damage: str, tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = hostile.small_store(tiny_store, tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(tmp_path))
    run_all(cold=False)
    # Each damage adds to the last, so that pages meet them alone and together.
    for number, name in enumerate(reversed(FILES)):
        DAMAGES[damage](build / name, (build / name).read_bytes())
        if number % 2:
            run_all(cold=number % 4 == 1)
