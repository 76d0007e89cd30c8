"""The results as files: CSV and BibTeX. Everything in them comes from documents, so nothing in them may act."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.tables import csv_bytes
from dashboard.text import plain_text, safe_url

COLUMNS = (
    "rank",
    "rank_before",
    "cosine",
    "doc_id",
    "title",
    "date",
    "categories",
    "authors",
    "citations",
    "url",
)
_BRACES = str.maketrans(
    {
        "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "#": r"\#", "&": r"\&", "_": r"\_",
        "\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}",
    }
)  # fmt: skip


def results_csv(
    documents: Sequence[Mapping[str, Any]], cosines: Sequence[float], before: Sequence[int | None]
) -> bytes:
    """The results in order, one a line; ``before``: their ranks before the edits, from 1, or None."""
    rows = []
    for rank, (document, cosine, was) in enumerate(zip(documents, cosines, before, strict=True), 1):
        texts = [
            document.get("doc_id"), document.get("title"), document.get("date"),
            " ".join(document.get("categories") or []), "; ".join(document.get("authors") or []),
            document.get("citation_count"), safe_url(document.get("url")),
        ]  # fmt: skip
        rows.append([rank, was, round(float(cosine), 6), *(plain_text(text, 2_000) for text in texts)])
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return csv_bytes(table.astype({"rank_before": "Int64"}))


def results_bibtex(documents: Sequence[Mapping[str, Any]]) -> str:
    """One entry a document."""
    entries, keys = [], set()
    for at, document in enumerate(documents, 1):
        key = re.sub(r"[^A-Za-z0-9.:-]", "", plain_text(document.get("doc_id"), 60)) or f"document{at}"
        key = key if key not in keys else f"{key}-{at}"
        keys.add(key)
        date = plain_text(document.get("date"), 10)
        fields = {
            "title": _tex(document.get("title")),
            "author": " and ".join(_tex(name) for name in document.get("authors") or []),
            "year": date[:4],
            "url": safe_url(document.get("url")) or "",
        }
        if address := fields["url"]:
            fields["url"] = address.replace("{", "%7B").replace("}", "%7D")
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
        entries.append(f"@misc{{{key},\n{lines}\n}}")
    return "\n\n".join(entries) + "\n"


def _tex(text: object) -> str:
    return plain_text(text, 400).translate(_BRACES)
