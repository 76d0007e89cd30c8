"""Every call to a language model in one SQLite file: what it was promised, what came back, what it cost.

The file is cache and account book in one. A call is written down before it is sent, with the most it can cost,
and settled when its reply is there: a process that is killed leaves its calls under way counted as paid, since
they may have been. Replies are kept as they came, good and bad, so that a rerun asks nothing twice.
"""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build.llm.errors import BudgetError
from build.sqlite_file import SqliteFile

_TABLES = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT, question BLOB NOT NULL, attempt INTEGER NOT NULL, purpose TEXT NOT NULL,
    model TEXT NOT NULL, usd REAL NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, reply TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS answered ON calls (question, attempt) WHERE reply IS NOT NULL;
CREATE INDEX IF NOT EXISTS asked ON calls (question, attempt);
CREATE TABLE IF NOT EXISTS batches (tag TEXT PRIMARY KEY, purpose TEXT NOT NULL, state TEXT NOT NULL)
"""
_PROBE = "SELECT id, question, attempt, purpose, model, usd, input_tokens, output_tokens, reply FROM calls"


@dataclass(frozen=True)
class Reply:
    """A chat reply as it came: ``finish`` is the server's reason to stop ("stop", "length", …)."""

    content: str
    refusal: str
    finish: str
    input_tokens: int
    output_tokens: int
    usd: float


class Journal(SqliteFile):
    """The calls made for one purpose ("labels", "pairs", …), which has its own budget for the life of the file.

    ``budget_usd``: what all calls of the purpose may cost together, those of earlier runs included.
    """

    def __init__(self, path: Path, purpose: str, budget_usd: float | None = None) -> None:
        self.purpose, self.budget_usd = purpose, budget_usd
        super().__init__(path, _TABLES, _PROBE + " LIMIT 1", "record of calls")
        self._spent = self._sum()

    @property
    def spent_usd(self) -> float:
        """Paid or promised for this purpose, in this run and earlier ones."""
        return self._spent

    def reply(self, question: bytes, attempt: int) -> Reply | None:
        """What came back for a question, if it was answered in this or an earlier run."""

        def read(connection: sqlite3.Connection) -> Reply | None:
            query = (
                "SELECT reply, input_tokens, output_tokens, usd FROM calls "
                "WHERE question = ? AND attempt = ? AND reply IS NOT NULL"
            )
            row = connection.execute(query, (question, attempt)).fetchone()
            if row is None:
                return None
            try:
                content, refusal, finish = json.loads(row[0])
            except ValueError:
                return None
            return Reply(content, refusal, finish, row[1], row[2], row[3])

        return self._guard(read, None)

    def begin(self, question: bytes, attempt: int, model: str, usd: float) -> int:
        """Write a call down with the most it can cost. Raises BudgetError when the budget does not reach."""
        with self._lock:
            if self.budget_usd is not None and self._spent + usd > self.budget_usd:
                raise BudgetError(
                    f"The budget of ${self.budget_usd:g} for {self.purpose} is reached "
                    f"(${self._spent:.4f} spent). What is done is kept; raise budget_usd to go on."
                )
            self._spent += usd

            def write(connection: sqlite3.Connection) -> int:
                with connection:
                    row = (question, attempt, self.purpose, model, usd, 0, 0)
                    cursor = connection.execute(
                        "INSERT INTO calls (question, attempt, purpose, model, usd, input_tokens, output_tokens) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?)",
                        row,
                    )
                    return int(cursor.lastrowid or 0)

            return self._guard(write, 0)

    def answered(self, call: int, question: bytes, promised_usd: float, reply: Reply) -> None:
        """The call's reply is there: keep it, and count what it cost instead of what was promised.

        Once: a batch that a kill stopped half-way through its lines is settled again from the start. ``question``:
        what the call asked, since in a file from before the number of a forgotten call may have been given again.
        """
        text = json.dumps([reply.content, reply.refusal, reply.finish])

        def write(connection: sqlite3.Connection) -> bool:
            with connection:
                cursor = connection.execute(
                    "UPDATE OR IGNORE calls SET reply = ?, input_tokens = ?, output_tokens = ?, usd = ? "
                    "WHERE id = ? AND question = ? AND reply IS NULL",
                    (text, reply.input_tokens, reply.output_tokens, reply.usd, call, question),
                )
                return cursor.rowcount > 0

        with self._lock:
            if self._guard(write, True):
                self._spent += reply.usd - promised_usd

    def not_billed(self, call: int, question: bytes, promised_usd: float) -> None:
        """The call was refused before any work was done: it cost nothing. Counted once, as an answer is."""

        def write(connection: sqlite3.Connection) -> bool:
            with connection:
                query = "DELETE FROM calls WHERE id = ? AND question = ? AND reply IS NULL"
                return connection.execute(query, (call, question)).rowcount > 0

        with self._lock:
            if self._guard(write, True):
                self._spent -= promised_usd

    def batches(self) -> dict[str, dict[str, Any]]:
        """Batches of this purpose that were sent, or about to be, and are not settled: tag and state."""
        query = "SELECT tag, state FROM batches WHERE purpose = ? ORDER BY tag"
        rows: list[tuple[str, str]] = self._guard(
            lambda connection: connection.execute(query, (self.purpose,)).fetchall(), []
        )
        return {tag: json.loads(state) for tag, state in rows}

    def keep_batch(self, tag: str, state: dict[str, Any] | None) -> None:
        """Write a batch down, or forget it once it is settled."""

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("DELETE FROM batches WHERE tag = ?", (tag,))
                if state is not None:
                    row = (tag, self.purpose, json.dumps(state))
                    connection.execute("INSERT INTO batches VALUES (?, ?, ?)", row)

        self._guard(write, None)

    def _sum(self) -> float:
        query = "SELECT COALESCE(SUM(usd), 0) FROM calls WHERE purpose = ?"
        return float(
            self._guard(lambda connection: connection.execute(query, (self.purpose,)).fetchone()[0], 0.0)
        )
