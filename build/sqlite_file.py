"""A SQLite file that outlives runs: opened late, used by several threads, set aside when it is damaged."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sae.errors import UserError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_SECONDS_TO_WAIT = 60.0


class SqliteFile:
    """``tables`` creates what is missing, ``probe`` reads from it; ``what`` names the file in a sentence.

    A damaged file is renamed to ``<name>.damaged-1`` with a line in the log, and an empty one takes its place.
    """

    def __init__(self, path: Path, tables: str, probe: str, what: str) -> None:
        self.path, self._tables, self._probe, self._what = Path(path), tables, probe, what
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._guard(lambda connection: None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _guard(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do it; when the file turns out to be damaged, set it aside and give ``otherwise``."""
        with self._lock:
            try:
                return action(self._open())
            except sqlite3.OperationalError as error:
                if "malformed" not in str(error):
                    raise UserError(
                        f"The {self._what} {self.path} cannot be used ({error}). "
                        "End the other run that holds it, or free its disk, and start again."
                    ) from None
            except sqlite3.DatabaseError:
                pass
            self._set_aside()
            action(self._open())
            return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self.path, timeout=_SECONDS_TO_WAIT, check_same_thread=False)
            self._connection = connection
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            for statement in self._tables.split(";"):
                connection.execute(statement)
            connection.execute(self._probe).fetchone()
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
            "The %s %s is damaged; it is now %s, and a new one begins.", self._what, self.path, aside.name
        )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Readers do not wait for a writer. Two who open a new file at once both change this: SQLite tells the second at
    once that the file is locked instead of letting it wait, so it tries again."""
    until = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.02)
