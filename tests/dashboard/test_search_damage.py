"""The search page on stores that are damaged, unfinished, of another version, or replaced while it is served."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sae.schema import CURRENT, MANIFEST, SCHEMA_VERSION
from sae.storage.manifest import file_sha256
from tests.dashboard.search_app import CORPUS, Open, build_of, edit_manifest


@pytest.fixture
def copy(tiny_store: Path, tmp_path: Path) -> Path:
    """A store to break. It shares its bytes with the original, so a file is replaced, never written into."""
    return Path(shutil.copytree(tiny_store, tmp_path / "store", symlinks=True, copy_function=os.link))


def break_nothing_there(store: Path) -> None:
    shutil.rmtree(store)


def break_half_built(store: Path) -> None:
    (store / CURRENT).unlink()


def break_no_manifest(store: Path) -> None:
    (build_of(store) / MANIFEST).unlink()


def break_newer(store: Path) -> None:
    edit_manifest(build_of(store), lambda manifest: manifest.update(schema_version=SCHEMA_VERSION + 1))


def break_older(store: Path) -> None:
    edit_manifest(build_of(store), lambda manifest: manifest.update(schema_version=0))


def break_manifest(store: Path) -> None:
    (build_of(store) / MANIFEST).unlink()
    (build_of(store) / MANIFEST).write_text('{"schema_version": 1')


def break_missing_file(store: Path) -> None:
    (build_of(store) / CORPUS / "documents.parquet").unlink()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.unlink()
    path.write_bytes(data)


def break_documents(store: Path) -> None:
    flip(build_of(store) / CORPUS / "documents.parquet")


def break_search(store: Path) -> None:
    flip(build_of(store) / CORPUS / "search.npy")


def break_features(store: Path) -> None:
    flip(build_of(store) / CORPUS / "SAE3" / "features.parquet")


def break_weights(store: Path) -> None:
    path = max(
        (build_of(store) / CORPUS / "SAE3" / "sae.zarr" / "W_dec").rglob("*"), key=lambda p: p.stat().st_size
    )
    flip(path)


def break_queries(store: Path) -> None:
    flip(build_of(store) / CORPUS / "queries.parquet")


@pytest.mark.parametrize(
    "damage",
    [
        break_nothing_there,
        break_half_built,
        break_no_manifest,
        break_newer,
        break_older,
        break_manifest,
        break_missing_file,
        break_documents,
        break_search,
        break_features,
        break_weights,
        break_queries,
    ],
)
def test_a_store_that_cannot_be_read_is_one_sentence(
    page: Open, copy: Path, damage: Callable[[Path], None]
) -> None:
    damage(copy)
    app = page(copy)
    assert len(app.warning) == 1, [w.value for w in app.warning]
    assert "make " in app.warning[0].value or "Update" in app.warning[0].value
    assert "Traceback" not in app.warning[0].value


def test_a_new_build_is_served_without_a_restart(page: Open, copy: Path) -> None:
    app = page(copy)
    build = build_of(copy)
    renamed = build.with_name("feedbeef")
    shutil.copytree(build, renamed)
    (renamed / CORPUS / "queries.parquet").unlink()
    shutil.copy(renamed / "planted-too" / "queries.parquet", renamed / CORPUS / "queries.parquet")
    digest = file_sha256(renamed / CORPUS / "queries.parquet")
    size = (renamed / CORPUS / "queries.parquet").stat().st_size

    def describe(manifest: dict) -> None:
        manifest["files"][f"{CORPUS}/queries.parquet"] |= {"sha256": digest, "size": size}

    edit_manifest(renamed, describe)
    (copy / CURRENT).unlink()
    (copy / CURRENT).write_text("feedbeef\n")
    fresh = page(copy)
    assert fresh.text_input(key="query-box").value != app.text_input(key="query-box").value
