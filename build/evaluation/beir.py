"""Read a test collection in BEIR's format: ``corpus.jsonl``, ``queries.jsonl``, and judgments in ``qrels/*.tsv``."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sae.errors import UserError
from sae.storage.manifest import file_sha256

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"
_MOST_BYTES = 8 << 30
_LINE_BYTES = 4 << 20
_ID_CHARACTERS = 500
_HEADING = ("query-id", "corpus-id", "score")
_SHOWN = 60  # characters of a wrong value that a message repeats


@dataclass(frozen=True)
class Collection:
    """A test collection: m documents, n queries with at least one relevant document each.

    ``judgments``: for each query what was judged, by row of the document. ``own`` (n,): the row of the document with
    the query's own id, which it must not find, or −1. ``left_out``: what could not be used, and how many of it.
    """

    name: str
    texts: list[str]
    queries: list[str]
    judgments: list[dict[int, float]]
    own: list[int]
    left_out: dict[str, int]


def fingerprint(folder: Path) -> str:
    """What identifies a collection: sha256 over the checksums of its files. Raises UserError where one is missing."""
    files = [folder / CORPUS, folder / QUERIES, _qrels(folder)]
    for path in files:
        _check(path)
    return hashlib.sha256("".join(file_sha256(path) for path in files).encode()).hexdigest()


def read_collection(
    folder: Path, keep: Callable[[list[str], set[str]], set[str]] | None = None
) -> Collection:
    """The collection in ``folder``.

    ``keep`` may thin the documents out: it is given all their ids in order and the ids that were judged, and returns
    those to keep. Raises UserError, one sentence that names file and line, for anything that is not the format.
    """
    judged: dict[str, dict[str, float]] = {}
    for query, document, score in _judgments(_qrels(folder)):
        judged.setdefault(query, {})[document] = score
    texts = _texts(folder / CORPUS, with_title=True)
    empty = [name for name, text in texts.items() if not text]
    for name in empty:
        del texts[name]
    if keep:
        kept = keep(list(texts), {document for scores in judged.values() for document in scores})
        texts = {name: text for name, text in texts.items() if name in kept}
    row = {name: i for i, name in enumerate(texts)}
    asked = _texts(folder / QUERIES, with_title=False)
    missing = {document for scores in judged.values() for document in scores if document not in row}
    found = Collection(
        folder.resolve().name, list(texts.values()), [], [], [],
        {"documents without text": len(empty), "judged documents that are not there": len(missing),
         "judged queries that are not there": len(judged.keys() - asked.keys()),
         "queries without relevant documents": 0},
    )  # fmt: skip
    for name, text in asked.items():
        scores = {row[document]: score for document, score in judged.get(name, {}).items() if document in row}
        if not text or not any(score > 0 for score in scores.values()):
            found.left_out["queries without relevant documents"] += 1
            continue
        found.queries.append(text)
        found.judgments.append(scores)
        found.own.append(row.get(name, -1))
    if not found.queries:
        raise UserError(
            f"No query in {folder / QUERIES} has a relevant document in {folder / CORPUS} by {_qrels(folder)}; check "
            "that the three files belong together."
        )
    return found


def _qrels(folder: Path) -> Path:
    """The judgments: ``qrels/test.tsv``, or the only other file there, or ``qrels.tsv``."""
    test = folder / QRELS / "test.tsv"
    others = sorted((folder / QRELS).glob("*.tsv"))
    if test.is_file() or len(others) > 1:
        if not test.is_file():
            raise UserError(
                f"{folder / QRELS} holds {len(others)} files of judgments; call the one to use test.tsv."
            )
        return test
    return others[0] if others else folder / "qrels.tsv"


def _check(path: Path) -> None:
    if not path.is_file():
        raise UserError(
            f"There is no {path}; a folder in BEIR's format holds {CORPUS}, {QUERIES} and {QRELS}/test.tsv."
        )
    if path.stat().st_size > _MOST_BYTES:
        raise UserError(f"{path} is larger than {_MOST_BYTES >> 30} GB; give a part of it.")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1."""
    _check(path)
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(_LINE_BYTES + 1):
                number += 1
                if len(raw) > _LINE_BYTES:
                    raise UserError(f"{path}, line {number}, is longer than {_LINE_BYTES >> 20} MB; cut it.")
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                if line.strip():
                    yield number, line
    except UnicodeDecodeError:
        raise UserError(f"{path}, line {number}, is not UTF-8 text.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None


def _texts(path: Path, with_title: bool) -> dict[str, str]:
    """Texts by id, in the order of the file; empty ones as well."""
    found: dict[str, str] = {}
    for number, line in _lines(path):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"{path}, line {number}, is not JSON; each line must be one object.") from None
        if not isinstance(entry, dict):
            raise UserError(f"{path}, line {number}, is {_kind(entry)}; each line must be one object.")
        name = _text(entry, "_id", path, number)
        if not name or len(name) > _ID_CHARACTERS:
            raise UserError(
                f"{path}, line {number}, has an _id of {len(name)} characters; it must have 1 to {_ID_CHARACTERS}."
            )
        if name in found:
            raise UserError(f"{path}, line {number}, has the _id {name[:_SHOWN]!r} again; ids must differ.")
        parts = [
            _text(entry, "title", path, number) if with_title else "",
            _text(entry, "text", path, number),
        ]
        found[name] = "\n\n".join(part.strip() for part in parts if part.strip())
    if not found:
        raise UserError(f"{path} holds no line; each must be an object with _id and text.")
    return found


def _text(entry: dict[str, Any], key: str, path: Path, number: int) -> str:
    value = entry.get(key, "" if key == "title" else None)
    if key == "title" and value is None:
        return ""
    if key == "_id" and type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise UserError(f"{path}, line {number}: {key} is {_kind(value)}; it must be text.")
    # Lone surrogates can be written in JSON but neither embedded nor stored.
    return value.encode("utf-8", "replace").decode("utf-8")


def _kind(value: object) -> str:
    kinds = {type(None): "missing", dict: "an object", list: "a list", bool: "true or false"}
    return kinds.get(type(value), repr(value)[:_SHOWN])


def _judgments(path: Path) -> Iterator[tuple[str, str, float]]:
    """(query id, document id, score) of each line. The heading tells the columns where it names them; else there are
    these three, in this order, and a heading of other words is passed over."""
    found = False
    places, width = [0, 1, 2], 3
    for number, line in _lines(path):
        parts = [part.strip() for part in line.split("\t")]
        if number == 1 and set(_HEADING) <= set(parts):
            places, width = [parts.index(name) for name in _HEADING], len(parts)
            continue
        if len(parts) != width:
            wanted = (
                "three between tabs: query-id, corpus-id, score" if width == 3 else f"{width}, as its heading"
            )
            raise UserError(f"{path}, line {number}, has {len(parts)} columns; it must have {wanted}.")
        query, document, said = (parts[place] for place in places)
        try:
            score = float(said)
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            if not found and number == 1:
                continue
            raise UserError(f"{path}, line {number}: the score is {said[:_SHOWN]!r}; it must be a number.")
        found = True
        yield query, document, score
    if not found:
        raise UserError(f"{path} holds no judgment; each line is query-id, corpus-id and score between tabs.")
