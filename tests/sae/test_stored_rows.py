"""Matrices that are too large to hold: rows are those of the file, and a file that changes gives a sentence."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sae.errors import UserError
from sae.search import Searcher
from sae.storage import limits, stored_rows
from sae.storage.stored_rows import StoredRows
from sae.storage.trust import open_matrix
from sae.store import Corpus, open_store
from tests.sae import hostile

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def matrix() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(500, 12)).astype(np.float16)


@pytest.fixture
def rows(matrix: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredRows:
    np.save(tmp_path / "matrix.npy", matrix)
    monkeypatch.setattr(limits, "HELD_BYTES", 100)
    found = open_matrix(tmp_path / "matrix.npy", "float16", matrix.shape)
    assert isinstance(found, StoredRows)
    return found


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(7),
        slice(None),
        slice(3, 9),
        slice(490, 900),
        slice(9, 3),
        slice(None, None, -7),
        [4, 4, 0],
        [],
        np.array([[1, 2], [3, -4]]),
        np.arange(500) % 3 == 0,
    ],
)
def test_the_same_rows_as_an_array(rows: StoredRows, matrix: np.ndarray, key: object) -> None:
    expected = matrix[np.asarray(key, np.int64) if isinstance(key, list) else key]
    found = rows[key]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_used_as_an_array(rows: StoredRows, matrix: np.ndarray) -> None:
    vector = np.random.default_rng(1).normal(size=12).astype(np.float32)
    np.testing.assert_array_equal(rows @ vector, matrix @ vector)
    np.testing.assert_array_equal(np.asarray(rows), matrix)
    np.testing.assert_array_equal(np.asarray(rows, dtype=np.float32), matrix.astype(np.float32))
    assert len(rows) == 500


def test_a_read_larger_than_the_system_takes_at_once(
    rows: StoredRows, matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    preadv = os.preadv

    def limited(file: int, buffers: list[memoryview], at: int) -> int:
        assert len(buffers[0]) <= 1000  # macOS refuses more than 2 GB
        return preadv(file, buffers, at)

    monkeypatch.setattr(stored_rows, "_MOST_BYTES", 1000, raising=False)
    monkeypatch.setattr(os, "preadv", limited)
    np.testing.assert_array_equal(rows[:], matrix)


def test_no_rows_have_a_product(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    rows = StoredRows((tmp_path / "empty").open("rb", buffering=0), "float16", (0, 12), 0)
    assert (rows @ np.ones(12, np.float32)).shape == (0,)


@pytest.mark.parametrize("row", [500, -501])
def test_no_such_row(rows: StoredRows, row: int) -> None:
    with pytest.raises(IndexError):
        rows[row]


def test_the_file_that_was_looked_at_is_the_one_that_is_read(
    matrix: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "matrix.npy"
    np.save(path, matrix)
    np.save(tmp_path / "other.npy", -matrix)
    plain, opened = Path.open, []

    def swapped(self: Path, *rest: Any, **options: Any) -> Any:
        file = plain(self, *rest, **options)
        opened.append(self)
        os.replace(tmp_path / "other.npy", path)
        return file

    monkeypatch.setattr(Path, "open", swapped)
    monkeypatch.setattr(limits, "HELD_BYTES", 100)
    np.testing.assert_array_equal(open_matrix(path, "float16", matrix.shape)[:], matrix)
    assert opened == [path]


@pytest.fixture
def corpus(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    hostile.small_store(tiny_store, tmp_path / "store")
    monkeypatch.setattr(limits, "HELD_BYTES", 100)
    return open_store(tmp_path / "store").corpus(hostile.CORPUS)


def test_search_finds_the_same(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(corpus.search_rows, StoredRows)
    query = np.asarray(corpus.embeddings[5], np.float32)
    found = Searcher(corpus).search(query, 20)
    monkeypatch.undo()
    held = open_store(corpus.store.path).corpus(hostile.CORPUS)
    assert isinstance(held.search_rows, np.ndarray)
    for one, other in zip(found, Searcher(held).search(query, 20), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["embeddings.npy", "search.npy"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_file_changed_in_place_gives_a_sentence(corpus: Corpus, name: str, damage: str) -> None:
    searcher = Searcher(corpus)
    query = np.asarray(corpus.embeddings[5], np.float32)
    path = corpus.path / name
    if damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        with path.open("r+b") as file:
            file.seek(-500, os.SEEK_END)
            file.write(bytes(500))
    with pytest.raises(UserError, match=r"changed while it was in use\. Run `make verify`"):
        searcher.search(query)


_SERVING = """
import os, sys, threading
import numpy as np
from sae.storage import limits
from sae.errors import UserError
limits.HELD_BYTES = 100
from sae.search import Searcher
from sae.storage.stored_rows import StoredRows
from sae.storage.trust import open_matrix

folder, n, d = sys.argv[1], 40_000, 64
class Corpus:
    embeddings = open_matrix(__import__("pathlib").Path(folder, "embeddings.npy"), "float16", (n, d))
    search_rows = open_matrix(__import__("pathlib").Path(folder, "search.npy"), "int8", (n, d))
    search_scales = np.full((n, 2), 0.01, np.float32)
assert isinstance(Corpus.search_rows, StoredRows)
searcher = Searcher(Corpus())
searcher.search(np.ones(d))
threading.Timer(0.2, os.truncate, (os.path.join(folder, "search.npy"), 1000)).start()
try:
    while True:
        searcher.search(np.ones(d))
except UserError as error:
    print(error)
"""


def test_a_file_cut_in_the_middle_of_a_search_does_not_end_the_process(tmp_path: Path) -> None:
    np.save(tmp_path / "embeddings.npy", np.ones((40_000, 64), np.float16))
    np.save(tmp_path / "search.npy", np.ones((40_000, 64), np.int8))
    command = [sys.executable, "-c", _SERVING, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert "changed while it was in use" in done.stdout
