"""Embeddings kept by content in one SQLite file, so that a rerun embeds nothing twice."""

import hashlib
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from build.sqlite_file import SqliteFile

_KEYS_A_QUERY = 500
_TABLE = """
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL)
"""
_PROBE = "SELECT key, vector, checksum FROM vectors LIMIT 1"


class VectorCache(SqliteFile):
    """Vectors of one embedder: key = sha256(name, text), value = float32 bytes with their CRC-32.

    float32, not float16, so that a rerun gives the very bits of the first run. One transaction a batch: a
    killed run leaves a batch whole or not at all. Several processes may use the file at once. A damaged file
    is renamed to ``<name>.damaged-1`` with a line in the log, and an empty one takes its place; a damaged row
    counts as missing.
    """

    def __init__(self, path: Path, name: str, d_in: int) -> None:
        self._name, self._d_in = name, d_in
        super().__init__(path, _TABLE, _PROBE, "embedding cache")

    def read_into(self, texts: Sequence[str], out: np.ndarray) -> np.ndarray:
        """Fill the rows of ``out``, float32 (n, d_in), that are known; bool (n,): which they are."""
        found = np.zeros(len(texts), bool)

        def read(connection: sqlite3.Connection) -> None:
            for start in range(0, len(texts), _KEYS_A_QUERY):
                keys = {
                    self._key(text): i for i, text in enumerate(texts[start : start + _KEYS_A_QUERY], start)
                }
                marks = ",".join("?" * len(keys))
                query = f"SELECT key, vector, checksum FROM vectors WHERE key IN ({marks})"
                for key, vector, checksum in connection.execute(query, list(keys)):
                    if len(vector) == 4 * self._d_in and _checksum(key, vector) == checksum:
                        out[keys[key]] = np.frombuffer(vector, "<f4")
                        found[keys[key]] = True

        self._guard(read, None)
        return found

    def write(self, texts: Sequence[str], rows: np.ndarray) -> None:
        """Keep the rows, float32 (n, d_in), of the texts: all of them or, when killed, none."""
        entries = []
        for text, row in zip(texts, rows, strict=True):
            key, vector = self._key(text), np.ascontiguousarray(row, "<f4").tobytes()
            entries.append((key, vector, _checksum(key, vector)))

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", entries)

        self._guard(write, None)

    def _key(self, text: str) -> bytes:
        name = self._name.encode()
        return hashlib.sha256(b"%d:%b" % (len(name), name) + text.encode("utf-8", "surrogatepass")).digest()


def _checksum(key: bytes, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(key))
