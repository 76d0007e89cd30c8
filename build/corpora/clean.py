"""Which documents enter a corpus: the policy, and a report of every row that it leaves out or alters.

Reasons that begin with "kept:" are rows that stay, altered; all others are rows left out. White space at the
ends of a text and repeated inside a title is folded without a report.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from build.corpora.document import RawDocument, Row, documents_table, quarantine_table
from build.corpora.encoding import mend
from build.corpora.field_readers import (
    Notes,
    cut,
    first_sentence,
    fitted,
    hash64,
    hashes,
    is_missing,
    read_count,
    read_date,
    read_strings,
    read_url,
    shown,
)
from sae import schema
from sae.errors import UserError
from sae.progress import Progress, silent

KEPT = "kept: "
_ROWS_A_GROUP = 4096


@dataclass(frozen=True)
class CleaningPolicy:
    """What is asked of a document before it is embedded."""

    min_characters: int = 20  # Letters and digits that a text needs; shorter ones are left out as too short.
    max_characters: int = 20_000  # Longer texts are cut at a word's end: no model here reads further.
    huge_characters: int = 1_000_000  # Beyond this a row is a parsing accident and is left out whole.
    max_title_characters: int = 500  # Longer titles are cut at a word's end.
    max_broken_share: float = 0.02  # Texts that lose a larger share of characters in mending are left out.
    duplicates: Literal["words", "exact", "keep"] = "words"
    # "words": equal but for case, punctuation and spaces is a duplicate; "exact": only equal title and text.
    missing_title: Literal["make", "leave_out"] = "make"  # "make" takes the text's first sentence.

    def __post_init__(self) -> None:
        if not 1 <= self.min_characters <= self.max_characters <= self.huge_characters:
            raise UserError(
                f"Cleaning needs 1 ≤ min_characters ≤ max_characters ≤ huge_characters; found "
                f"{self.min_characters}, {self.max_characters}, {self.huge_characters}."
            )
        if self.duplicates not in ("words", "exact", "keep"):
            raise UserError(f'duplicates is {self.duplicates!r}; it must be "words", "exact" or "keep".')
        if self.missing_title not in ("make", "leave_out"):
            raise UserError(f'missing_title is {self.missing_title!r}; it must be "make" or "leave_out".')
        if not 0 <= self.max_broken_share <= 1 or self.max_title_characters < 20:
            raise UserError(
                f"max_broken_share must lie in [0, 1] and max_title_characters be at least 20; found "
                f"{self.max_broken_share} and {self.max_title_characters}."
            )


@dataclass
class CleaningReport:
    """Counts of one cleaning: documents read and kept, and rows of the quarantine by reason."""

    n_read: int = 0
    n_kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        parts = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
        return f"{self.n_kept:,} of {self.n_read:,} documents kept" + (f" ({parts})" if parts else "")


class _LeftOutError(Exception):
    """A row does not enter the corpus. Arguments: reason, detail."""


class Cleaner:
    """Applies a policy to one document after another.

    Remembers 64-bit hashes of ids and words, about 200 bytes a kept document; nothing else grows.
    """

    def __init__(self, policy: CleaningPolicy | None = None) -> None:
        self.policy = policy or CleaningPolicy()
        self.report = CleaningReport()
        self._ids: set[int] = set()
        self._words: dict[int, int] = {}  # hash of the words -> row of the first document that has them
        self._exact = array("Q")  # row -> hash of title and text

    def clean_one(self, document: RawDocument) -> tuple[Row | None, list[Row]]:
        """The row to store (None when left out) and the rows of the quarantine that the document causes."""
        self.report.n_read += 1
        alterations: Notes = []
        doc_id, title = shown(document.doc_id), shown(document.title)
        try:
            row: Row | None = self._row(document, alterations)
            notes = [(KEPT + reason, detail) for reason, detail in alterations]
            self.report.n_kept += 1
        except _LeftOutError as left_out:
            row, notes = None, [left_out.args]
        if row is not None:
            doc_id, title = row["doc_id"], row["title"]
        self.report.reasons.update(reason for reason, _ in notes)
        return row, [{"doc_id": doc_id, "title": title, "reason": r, "detail": d} for r, d in notes]

    def _row(self, document: RawDocument, notes: Notes) -> Row:
        text = self._text(document.text, notes)
        title = self._title(document.title, text, notes)
        doc_id = self._doc_id(document.doc_id, notes)
        row_number = self.report.n_kept
        words, exact = hashes(title, text)
        key = exact if self.policy.duplicates == "exact" else words
        if self.policy.duplicates != "keep" and (first := self._words.get(key)) is not None:
            if self._exact[first] == exact:
                raise _LeftOutError("exact duplicate", f"same title and text as document {first}")
            raise _LeftOutError("duplicate", f"same words as document {first}, other case or punctuation")
        if (id_hash := hash64(doc_id)) in self._ids:
            raise _LeftOutError("duplicate id", f"another document has the id {doc_id} and came first")
        row = {
            "doc_id": doc_id,
            "title": title,
            "text": text,
            "url": read_url(document.url, notes),
            "date": read_date(document.date, notes),
            "categories": read_strings(document.categories, "categories", notes),
            "authors": read_strings(document.authors, "authors", notes),
            "citation_count": read_count(document.citation_count, notes),
        }
        # Only documents that stay are remembered, so that a left-out row never makes another one a duplicate.
        self._ids.add(id_hash)
        self._words.setdefault(key, row_number)
        self._exact.append(exact)
        return row

    def _text(self, value: Any, notes: Notes) -> str:
        if is_missing(value):
            raise _LeftOutError("empty", "no text")
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if not isinstance(value, str):
            raise _LeftOutError("wrong type", f"text is {type(value).__name__}, not a string")
        if len(value) > self.policy.huge_characters:
            raise _LeftOutError("huge", f"{len(value):,} characters; most likely several rows read as one")
        text, lost, mended = mend(value)
        if lost > self.policy.max_broken_share * len(value):
            raise _LeftOutError("wrongly encoded", f"{lost:,} of {len(value):,} characters unreadable")
        if mended:
            notes.append(("encoding mended", "text: " + "; ".join(mended)))
        text = text.strip()
        if not text:
            raise _LeftOutError("empty", "no text")
        letters = sum(map(str.isalnum, text[: 50 * self.policy.min_characters]))
        if letters < self.policy.min_characters:
            raise _LeftOutError("too short", f"{letters} letters and digits: {text[:80]}")
        if len(text) > self.policy.max_characters:
            notes.append(("cut", f"text: {len(text):,} characters, cut at {self.policy.max_characters:,}"))
            text = cut(text, self.policy.max_characters)
        return fitted(text, "text", notes)

    def _title(self, value: Any, text: str, notes: Notes) -> str:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) and not is_missing(value):
            notes.append(("wrong type", f"title is {type(value).__name__}, not a string; dropped"))
            value = ""
        title, _, mended = mend(value or "") if isinstance(value, str) else ("", 0, [])
        if mended:
            notes.append(("encoding mended", "title: " + "; ".join(mended)))
        title = " ".join(title.split())
        if not title:
            if self.policy.missing_title == "leave_out":
                raise _LeftOutError("no title", text[:80])
            title = first_sentence(text)
            notes.append(("title made", "no title; made from the start of the text"))
        if len(title) > self.policy.max_title_characters:
            notes.append(
                ("cut", f"title: {len(title):,} characters, cut at {self.policy.max_title_characters}")
            )
            title = cut(title, self.policy.max_title_characters)
        return fitted(title, "title", notes)

    def _doc_id(self, value: Any, notes: Notes) -> str:
        doc_id = " ".join(mend(shown(value))[0].split())  # an id is no text: beyond 500 characters it is cut
        if isinstance(value, str) and len(value) > 500:
            notes.append(("cut", f"id: {len(value):,} characters, cut at 500"))
        if not doc_id:
            doc_id = f"row-{self.report.n_read}"
            notes.append(("id made", "no id; made from the row's number"))
        return doc_id


def clean_batches(
    documents: Iterable[RawDocument],
    policy: CleaningPolicy | None = None,
    progress: Progress | None = None,
    *,
    total: int = 0,
    rows: int = _ROWS_A_GROUP,
    report: CleaningReport | None = None,
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Clean a stream: pairs of tables (documents, quarantine), each from ``rows`` documents read.

    ``total`` is the expected number of documents for the progress (0: unknown); ``report`` is counted into.
    """
    progress = progress or silent
    cleaner = Cleaner(policy)
    if report is not None:
        cleaner.report = report
    kept: list[Row] = []
    quarantined: list[Row] = []
    for document in documents:
        row, notes = cleaner.clean_one(document)
        if row is not None:
            kept.append(row)
        quarantined.extend(notes)
        if cleaner.report.n_read % rows == 0:
            progress(
                cleaner.report.n_read, max(total, cleaner.report.n_read), f"{cleaner.report.n_kept:,} kept"
            )
            yield documents_table(kept), quarantine_table(quarantined)
            kept, quarantined = [], []
    yield documents_table(kept), quarantine_table(quarantined)
    progress(cleaner.report.n_read, cleaner.report.n_read, f"{cleaner.report.n_kept:,} kept")


def clean(
    documents: Iterable[RawDocument], policy: CleaningPolicy | None = None
) -> tuple[pa.Table, pa.Table]:
    """Clean a corpus that fits in memory: (documents, quarantine) as tables of the store's schema."""
    batches = list(clean_batches(documents, policy))
    return pa.concat_tables([d for d, _ in batches]), pa.concat_tables([q for _, q in batches])


def clean_to_parquet(
    documents: Iterable[RawDocument],
    path: Path,
    quarantine_path: Path,
    policy: CleaningPolicy | None = None,
    progress: Progress | None = None,
    *,
    total: int = 0,
) -> CleaningReport:
    """Clean a stream of any length into two Parquet files with page checksums, in bounded memory.

    The files are complete only when this returns: write them where a killed run is thrown away.
    Raises UserError when no document is left.
    """
    report = CleaningReport()
    options: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True, "use_dictionary": False}
    with (
        pq.ParquetWriter(path, schema.DOCUMENT_COLUMNS, **options) as writer,
        pq.ParquetWriter(quarantine_path, schema.QUARANTINE_COLUMNS, **options) as quarantine_writer,
    ):
        for kept, quarantined in clean_batches(documents, policy, progress, total=total, report=report):
            for table, target in ((kept, writer), (quarantined, quarantine_writer)):
                if table.num_rows:
                    target.write_table(table, row_group_size=schema.DOCUMENTS_A_GROUP)
    if not report.n_kept:
        raise UserError(f"No document is left after cleaning: {report}. Is the right column read as text?")
    return report
