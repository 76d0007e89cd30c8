"""What is particular to arXiv's metadata, in whatever form it comes."""

import datetime
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from build.corpora.document import RawDocument

_NEW = re.compile(r"(\d{3,4})\.(\d{1,5})\d*(v\d+)?")
_OLD = re.compile(r"[a-z-]+(?:\.[A-Z]{2})?/\d{7}(v\d+)?")
_CATEGORY = re.compile(r"[a-z-]+(?:\.[A-Za-z-]+)?")


def looks_like_arxiv(doc_id: str, id_column: str, row: Mapping[str, Any]) -> bool:
    """Whether an id names an arXiv paper: of the old form, or of the new one beside arXiv's categories."""
    if _OLD.fullmatch(doc_id):
        return True
    if not _NEW.fullmatch(doc_id):
        return False
    categories = row.get("categories")
    words = categories.split() if isinstance(categories, str) else categories
    is_listed = isinstance(words, list) and bool(words)
    return "arxiv" in id_column.lower() or (
        is_listed and all(isinstance(word, str) and _CATEGORY.fullmatch(word) for word in words or ())
    )


def arxiv_id(text: str) -> str:
    """An arXiv id without its version, put right where a spreadsheet took it for a number.

    Since 2015 ids have five digits after the dot, before that four: 1408.206 was 1408.2060, and
    1708.0542899999998 was 1708.05429; a leading zero is lost in the same way (704.0001).
    """
    match = _NEW.fullmatch(text)
    if match is None:
        return re.sub(r"v\d+$", "", text)
    month = match[1].zfill(4)
    n_digits = 5 if month >= "1501" else 4
    number = text.partition("v")[0].partition(".")[2]
    if len(number) > 5:  # a float's digits: round to what an id has
        number = f"{round(float('0.' + number), n_digits):.{n_digits}f}"[2:]
    return f"{month}.{number.ljust(n_digits, '0')}"


def first_version_date(row: Mapping[str, Any]) -> datetime.date | None:
    """When the first of the snapshot's ``versions`` was made; its ``update_date`` is of the last change."""
    versions = row.get("versions")
    first = versions[0] if isinstance(versions, list) and versions else None
    try:
        return parsedate_to_datetime(first["created"]).date() if isinstance(first, dict) else None
    except (KeyError, TypeError, ValueError):
        return None


def has_category(document: RawDocument, category: str) -> bool:
    """Whether a document is in a category or in one of its parts: astro-ph.GA is in astro-ph."""
    found = document.categories if isinstance(document.categories, list) else []
    return any(isinstance(c, str) and (c == category or c.startswith(category + ".")) for c in found)


def arxiv_url(doc_id: str) -> str:
    return f"https://arxiv.org/abs/{doc_id}"
