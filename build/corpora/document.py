"""What every source yields: one document before cleaning, and how rows become Arrow tables."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sae import schema

Row = Mapping[str, Any]
"""One row of the documents or quarantine table: column name -> value."""


@dataclass(slots=True)
class RawDocument:
    """One document as its source has it.

    Sources fill these types; files of unknown origin may hold anything in any field, and ``clean`` checks it.
    """

    doc_id: str = ""  # Identity inside the corpus; made by cleaning when empty.
    title: str = ""  # One line.
    text: str = ""  # The body only; what is embedded is the title, a blank line and this.
    url: str = ""  # Where the original is; empty when unknown.
    date: datetime.date | None = None  # When it was first published.
    categories: list[str] = field(default_factory=list)  # Most important first.
    authors: list[str] = field(default_factory=list)  # As printed, one name an entry.
    citation_count: int | None = None  # None when unknown, which is not zero.


def documents_table(rows: Sequence[Row]) -> pa.Table:
    """Cleaned rows as a table of ``sae.schema.DOCUMENT_COLUMNS``, shape (len(rows), 8)."""
    return pa.Table.from_pylist(list(rows), schema=schema.DOCUMENT_COLUMNS)


def quarantine_table(rows: Sequence[Row]) -> pa.Table:
    """Report rows as a table of ``sae.schema.QUARANTINE_COLUMNS``, shape (len(rows), 4)."""
    return pa.Table.from_pylist(list(rows), schema=schema.QUARANTINE_COLUMNS)
