"""Embeddings kept by content in one SQLite file, so that a rerun embeds nothing twice."""

import hashlib
import logging
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np

from sae.errors import UserError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_SECONDS_TO_WAIT = 60.0
_KEYS_A_QUERY = 500
_TABLE = """
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL)
"""


class VectorCache:
    """Vectors of one embedder: key = sha256(name, text), value = float32 bytes with their CRC-32.

    float32, not float16, so that a rerun gives the very bits of the first run. One transaction a batch: a
    killed run leaves a batch whole or not at all. Several processes may use the file at once. A damaged file
    is renamed to ``<name>.damaged-1`` with a line in the log, and an empty one takes its place; a damaged row
    counts as missing.
    """

    def __init__(self, path: Path, name: str, d_in: int) -> None:
        self.path, self._name, self._d_in = Path(path), name, d_in
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection: sqlite3.Connection | None = None
        self._guard(lambda connection: None, None)

    def __enter__(self) -> "VectorCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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

    def _guard(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do it; when the file turns out to be damaged, set it aside and give ``otherwise``."""
        try:
            return action(self._open())
        except sqlite3.OperationalError as error:
            if "malformed" not in str(error):
                raise UserError(
                    f"The embedding cache {self.path} cannot be used ({error}). "
                    "End the other run that holds it, or free its disk, and start again."
                ) from None
        except sqlite3.DatabaseError:
            pass
        self._set_aside()
        action(self._open())
        return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self.path, timeout=_SECONDS_TO_WAIT)
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_TABLE)
            connection.execute("SELECT key, vector, checksum FROM vectors LIMIT 1").fetchone()
        return self._connection

    def _set_aside(self) -> None:
        self.close()
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        _LOG.warning(
            "The embedding cache %s is damaged; it is now %s, and a new one begins.", self.path, aside.name
        )


def _checksum(key: bytes, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(key))
