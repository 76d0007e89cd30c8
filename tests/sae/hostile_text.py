"""A store whose every free text is hostile: markup, Markdown, directives, reading direction, control characters."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sae import schema
from sae.storage.arrays import write_table
from tests.dashboard.test_text import HOSTILE
from tests.sae import hostile

FREE = {  # columns of text that is only shown; the others name things of the store
    "doc_id", "title", "text", "url", "authors", "categories", "label", "candidates", "query", "reason", "detail",
    "topic", "category",
}  # fmt: skip
FIRST = '<img src="http://192.0.2.1/x.png" onerror="alert(1)">![x](http://192.0.2.1/y.png)'
# Characters that no page may pass on: they turn or hide the text beside them, or act in a terminal.
UNSEEN = (
    "\u202e\u202d\u202b\u2066\u2067\u2069\u200e\u200f\x00\x07\x08\x1b\x7f\x85\u2028\u2029\ufeff\U000e0041"
)
TEXTS = [
    FIRST,
    *[f"gepj{character}exe <b>{character}" for character in UNSEEN],
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "Z" + "\u0301" * 150,
    *[text for text in HOSTILE if text.strip()],
]


def poison(build: Path) -> None:
    """Put a hostile text wherever a store holds free text, within the limits, and seal it."""
    for path in build.rglob("*.parquet"):
        table = pq.read_table(path)
        for at, field in enumerate(table.schema):
            if field.name in FREE and (pa.types.is_string(field.type) or pa.types.is_list(field.type)):
                texts = [TEXTS[(row + at) % len(TEXTS)][:400] for row in range(len(table))]
                of_lists = pa.types.is_list(field.type)
                column = pa.array([[text] for text in texts] if of_lists else texts, field.type)
                table = table.set_column(at, field, column)
        groups = schema.DOCUMENTS_A_GROUP if path.name == schema.DOCUMENTS else None
        write_table(path, table, groups)
    manifest = build / schema.MANIFEST
    raw = json.loads(manifest.read_text())

    def poisoned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poisoned(inner) for key, inner in value.items()}
        return FIRST + UNSEEN if isinstance(value, str) else value

    for name in ("title", "created"):
        raw[name] = FIRST + UNSEEN
    raw["config"] = {**poisoned(raw["config"]), "maker": FIRST + UNSEEN}
    raw["provenance"] = poisoned(raw["provenance"])
    for facts in raw["corpora"].values():
        facts.update({key: poisoned(value) for key, value in facts.items() if key != "saes"})
    raw["stages"] = [{"name": FIRST, "for": FIRST, "seconds": 1} for _ in range(3)]
    manifest.write_text(json.dumps(raw), encoding="utf-8")
    hostile.seal(build)
