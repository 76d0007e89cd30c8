"""The cache: content decides, damage is survived, two processes may write."""

import logging
import multiprocessing
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from build.embedders.cache import VectorCache
from sae.errors import UserError

TEXTS = [f"text {i}" for i in range(1200)]
ROWS = np.random.default_rng(0).normal(size=(1200, 8)).astype(np.float32)


def read(path: Path, texts: list[str] = TEXTS, name: str = "model") -> tuple[np.ndarray, np.ndarray]:
    out = np.zeros((len(texts), 8), np.float32)
    with VectorCache(path, name, 8) as cache:
        return cache.read_into(texts, out), out


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    path = tmp_path / "cache.sqlite"
    with VectorCache(path, "model", 8) as cache:
        cache.write(TEXTS, ROWS)
    return path


def test_rows_come_back_bit_for_bit(filled: Path) -> None:
    found, out = read(filled)
    assert found.all()
    np.testing.assert_array_equal(out, ROWS)


def test_another_model_or_text_is_another_entry(filled: Path) -> None:
    assert not read(filled, name="other")[0].any()
    assert not read(filled, ["text 0 ", "text", "TEXT 0"])[0].any()
    # Names and texts do not run into each other.
    assert not read(filled, ["ltext 0"], name="mode")[0].any()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "directory-like header"])
def test_a_damaged_file_is_set_aside(filled: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    content = filled.read_bytes()
    broken = {
        "garbage": b"not a database at all" * 500,
        "truncated": content[: len(content) // 3],
        "directory-like header": b"\0" * 4096 + content[4096:],
    }[damage]
    filled.write_bytes(broken)
    with caplog.at_level(logging.WARNING):
        found, _ = read(filled)
    assert not found.all()
    with VectorCache(filled, "model", 8) as cache:
        cache.write(TEXTS, ROWS)
    assert read(filled)[0].all()
    assert "damaged" in caplog.text
    assert filled.with_name("cache.sqlite.damaged-1").exists()


def test_a_flipped_bit_in_a_vector_counts_as_missing(filled: Path) -> None:
    with sqlite3.connect(filled) as connection:
        connection.execute("UPDATE vectors SET vector = zeroblob(32) WHERE rowid = 5")
    found, out = read(filled)
    assert np.flatnonzero(~found).tolist() == [4]
    assert not out[4].any()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite").mkdir()
    with pytest.raises(UserError, match="cannot be used"):
        VectorCache(tmp_path / "cache.sqlite", "model", 8)


def _write(path: Path, start: int) -> None:
    with VectorCache(path, "model", 8) as cache:
        for i in range(start, len(TEXTS), 20):
            cache.write(TEXTS[i : i + 20], ROWS[i : i + 20])


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, start)) for start in (0, 0)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    found, out = read(path)
    assert found.all()
    np.testing.assert_array_equal(out, ROWS)


def test_a_new_file_that_another_has_just_opened_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cache.sqlite"
    other = sqlite3.connect(path)
    other.execute(
        "BEGIN IMMEDIATE"
    )  # it is about to write; SQLite refuses at once whoever would change to a log
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        other.rollback()

    monkeypatch.setattr("build.sqlite_file.time.sleep", wait)
    with VectorCache(path, "model", 8) as cache:
        cache.write(TEXTS, ROWS)
    other.close()
    assert len(waits) == 1
    assert read(path)[0].all()
