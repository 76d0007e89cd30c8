"""Documents from a file: Parquet, CSV or TSV, JSON lines (also .gz and .zst), the arXiv metadata snapshot.

Files of any size: rows are read in batches and never held together.
"""

import csv
import datetime
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from build.corpora.arxiv_metadata import (
    arxiv_id,
    arxiv_url,
    first_version_date,
    has_category,
    looks_like_arxiv,
)
from build.corpora.document import RawDocument
from sae.errors import UserError

_BATCH_ROWS = 1024
_AGAIN = "Write it again, or give another file."
_PEEKED_ROWS = 200  # rows looked at to learn which columns a JSON lines file has

# Names that a column is known by, tried in order and without regard to case.
_GUESSES: dict[str, tuple[str, ...]] = {
    "id": ("doc_id", "id", "paper_id", "arxiv_id", "identifier", "key", "uid", "doi"),
    "title": ("title", "name", "headline", "heading", "subject"),
    "text": ("text", "abstract", "body", "content", "summary", "description", "document", "article"),
    "url": ("url", "link", "href", "permalink"),
    "date": ("date", "created", "published", "publication_date", "update_date", "updated", "year", "timestamp"),
    "categories": ("categories", "category", "tags", "subjects", "topics", "labels", "label", "section"),
    "authors": ("authors", "author", "creators", "creator", "by"),
    "citation_count": ("citation_count", "citations", "cited_by_count", "n_citations", "citationcount"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Which column of a file holds what. None: the first of the usual names that is there; "": no column."""

    id: str | None = None  # Identity; row numbers when there is none.
    title: str | None = None  # One line; made from the text when there is none.
    text: str | None = None  # The body. The one column that must be there.
    url: str | None = None  # Address of the original; made from the id for arXiv papers.
    date: str | None = None  # A date, a timestamp, a year, or text that begins with YYYY-MM-DD.
    categories: str | None = None  # A list, or one text separated by white space, commas or semicolons.
    authors: str | None = None  # A list, or one text separated by commas, semicolons or "and".
    citation_count: str | None = None  # A whole number.

    def found_in(self, names: list[str], path: Path) -> dict[str, str]:
        """Field -> column of this file. Raises UserError when a named column or the text is missing."""
        by_folded = {name.casefold(): name for name in reversed(names)}
        found: dict[str, str] = {}
        for column in fields(self):
            wanted = getattr(self, column.name)
            if wanted is None:
                # No guess takes a column twice, but for the text, which may serve as the title as well.
                taken = () if column.name == "text" else found.values()
                guesses = (by_folded[g] for g in _GUESSES[column.name] if g in by_folded)
                if guess := next((g for g in guesses if g not in taken), None):
                    found[column.name] = guess
            elif wanted:
                if wanted not in names:
                    raise UserError(
                        f"{path.name} has no column {wanted!r} for the {column.name.replace('_', ' ')}; "
                        f"its columns are {', '.join(names)}."
                    )
                found[column.name] = wanted
        if "text" not in found:
            raise UserError(
                f"{path.name} has no column that looks like a text; its columns are {', '.join(names)}. Name "
                "the right one as text (--column text=NAME)."
            )
        return found


def read_file(
    path: Path | str,
    columns: Columns | None = None,
    *,
    category: str = "",
    limit: int | None = None,
) -> Iterator[RawDocument]:
    """Documents of a file in its own order.

    ``category`` keeps only documents that have it, or a part of it (``astro-ph`` takes ``astro-ph.GA``);
    ``limit`` ends after that many. Values of an odd type are passed on as they are: cleaning reports them.
    Raises UserError for a file that is not there, cannot be read, or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no file {path}; check the path of the corpus.")
    names, rows = _open_rows(path)
    found = (columns or Columns()).found_in(names, path)
    if category and "categories" not in found:
        raise UserError(
            f"{path.name} cannot be filtered by the category {category!r}: none of its columns holds "
            f"categories ({', '.join(names)}). Name one (--column categories=NAME), or leave the filter out."
        )
    n_given = 0
    for number, row in enumerate(rows, start=1):
        if limit is not None and n_given >= limit:
            return
        document = _document(row, found, number)
        if not category or has_category(document, category):
            n_given += 1
            yield document


def _document(row: dict[str, Any], found: dict[str, str], number: int) -> RawDocument:
    def value(name: str) -> Any:
        return row.get(found[name]) if name in found else None

    doc_id = value("id")
    doc_id = "" if doc_id is None else str(doc_id).strip()
    url = value("url") or ""
    if looks_like_arxiv(doc_id, found.get("id", ""), row):
        doc_id = arxiv_id(doc_id)
        url = url or arxiv_url(doc_id)
    title, text = value("title"), value("text")
    return RawDocument(
        doc_id=doc_id or f"row-{number}",
        title=" ".join(title.split()) if isinstance(title, str) else title,
        text=_folded(text) if isinstance(text, str) else text,
        url=url,
        date=first_version_date(row) or _date(value("date")),
        categories=_names(value("categories"), _split_categories),
        authors=_names(value("authors"), _split_authors),
        citation_count=_count(value("citation_count")),
    )


def _folded(text: str) -> str:
    """Paragraphs kept, line breaks inside them folded: harvested abstracts are wrapped at 80 columns."""
    paragraphs = (" ".join(p.split()) for p in text.replace("\r\n", "\n").split("\n\n"))
    return "\n\n".join(p for p in paragraphs if p)


def _names(value: Any, split: Callable[[str], list[str]]) -> Any:
    if value is None or (isinstance(value, float) and value != value):
        return []
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except ValueError:
                pass
        return split(value)
    if isinstance(value, list):
        return [" ".join(v) if isinstance(v, list) else v for v in value if v]
    return value


def _split_categories(text: str) -> list[str]:
    separator = next((s for s in ";|," if s in text), None)
    return [part.strip() for part in (text.split(separator) if separator else text.split()) if part.strip()]


def _split_authors(text: str) -> list[str]:
    separator = ";" if ";" in text else ","
    parts = (part for piece in text.split(separator) for part in piece.split(" and "))
    names = (" ".join(part.split()).removeprefix("and ") for part in parts)
    return [name for name in names if any(map(str.isalpha, name))]


def _date(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 1000 <= value <= 9999:
        return datetime.date(value, 1, 1)
    if isinstance(value, str) and len(year := value.strip()) == 4 and year.isdigit() and year >= "1000":
        return datetime.date(int(year), 1, 1)
    return value


def _count(value: Any) -> Any:
    if isinstance(value, str):
        stripped = value.strip()
        return int(stripped) if stripped.isdecimal() and len(stripped) < 19 else (stripped or None)
    return value


def _open_rows(path: Path) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Column names and rows of a file, by its ending."""
    suffixes = [s.lower() for s in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in (".gz", ".zst") else ""
    kind = suffixes[-1] if suffixes else ""
    if kind in (".parquet", ".pq") and not compression:
        return _parquet_rows(path)
    if kind in (".csv", ".tsv"):
        return _csv_rows(path, compression, "\t" if kind == ".tsv" else ",")
    if kind in (".jsonl", ".ndjson", ".json"):
        return _json_rows(path, compression)
    raise UserError(
        f"{path.name} is of no known kind; known are .parquet, .csv, .tsv, .jsonl, .ndjson and .json with a "
        f"document a line, the text kinds also with .gz or .zst."
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _parquet_rows(path: Path) -> tuple[list[str], Iterator[dict[str, Any]]]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path.name} is not a readable Parquet file ({_first_line(error)}). {_AGAIN}"
        ) from None

    def rows() -> Iterator[dict[str, Any]]:
        try:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path.name} is damaged ({_first_line(error)}). {_AGAIN}") from None

    return file.schema_arrow.names, rows()


@contextmanager
def _lines(path: Path, compression: str) -> Iterator[IO[str]]:
    """The file as text. Bytes that are not UTF-8 become replacement characters, which cleaning reports."""
    options: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "replace", "newline": ""}
    try:
        if compression == ".gz":
            with gzip.open(path, "rt", **options) as text:
                yield text
        elif compression == ".zst":
            with pa.input_stream(str(path), compression="zstd") as raw:
                yield io.TextIOWrapper(raw, **options)
        else:
            with path.open(**options) as text:
                yield text
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path.name} cannot be read to its end ({_first_line(error)}). {_AGAIN}") from None


def _csv_rows(path: Path, compression: str, delimiter: str) -> tuple[list[str], Iterator[dict[str, Any]]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # one abstract may be longer than the default 128 KB
    with _lines(path, compression) as text:
        names = next(csv.reader(_without_nul(text), delimiter=delimiter), [])
    if not names:
        raise UserError(f"{path.name} is empty: its first line must name the columns.")

    def rows() -> Iterator[dict[str, Any]]:
        with _lines(path, compression) as text:
            reader = csv.DictReader(_without_nul(text), delimiter=delimiter)
            try:
                yield from reader
            except csv.Error as error:
                raise UserError(
                    f"{path.name}, line {reader.line_num}: {error}. Mend the line, or write the file again."
                ) from None

    return names, rows()


def _without_nul(lines: Iterable[str]) -> Iterator[str]:
    # The csv module stops at a NUL, which exports of damaged text do contain.
    return (line.replace("\0", "\ufffd") for line in lines)


def _json_rows(path: Path, compression: str) -> tuple[list[str], Iterator[dict[str, Any]]]:
    def rows() -> Iterator[dict[str, Any]]:
        with _lines(path, compression) as text:
            for number, line in enumerate(text, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict):
                    raise UserError(
                        f"{path.name}, line {number}, is not a JSON object; a file needs one document a line."
                    )
                yield row

    names: dict[str, None] = {}
    for _, row in zip(range(_PEEKED_ROWS), rows(), strict=False):
        names.update(dict.fromkeys(row))
    if not names:
        raise UserError(f"{path.name} is empty; each line must be a document as a JSON object.")
    return list(names), rows()
