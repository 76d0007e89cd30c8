"""Where documents come from: ``kind`` in a profile's table chooses, as in {kind = "files", path = …}."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from build.corpora.document import RawDocument
from build.corpora.files import Columns, read_file
from build.corpora.python_docs import read_collection, versions
from build.corpora.synthetic import read_synthetic
from sae.errors import UserError
from sae.progress import Progress

_WHOLE_HASH_BYTES = 1 << 30  # files up to 1 GiB are hashed whole (some seconds)
_SAMPLE_BYTES = 64 << 20


@dataclass(frozen=True)
class SourceContext:
    """What the pipeline lends a source beside its options."""

    scratch: Path  # survives a kill; a harvest keeps its pages here
    progress: Progress | None = None  # only of work before documents come, such as a harvest


def _python_docs(context: SourceContext, collection: str) -> Iterator[RawDocument]:
    return read_collection(collection)


def _files(
    context: SourceContext,
    path: str,
    columns: dict[str, str] | None = None,
    category: str = "",
    limit: int | None = None,
) -> Iterator[RawDocument]:
    names = {column.name for column in fields(Columns)}
    if unknown := sorted(set(columns or {}) - names):
        raise UserError(f"Unknown column {', '.join(unknown)}; known are {', '.join(sorted(names))}.")
    return read_file(path, Columns(**(columns or {})), category=category, limit=limit)


def _arxiv(
    context: SourceContext,
    category: str = "",
    set: str = "",
    base_url: str = "",
    from_date: str = "",
    until_date: str = "",
    delay: float = 3.0,
    contact: str = "",
    limit: int | None = None,
) -> Iterator[RawDocument]:
    from build.corpora.arxiv import BASE_URL, read_arxiv  # HTTP and XML libraries only when harvesting

    return read_arxiv(
        context.scratch / "arxiv",
        category,
        set,
        base_url=base_url or BASE_URL,
        from_date=from_date,
        until_date=until_date,
        delay=delay,
        contact=contact,
        limit=limit,
        progress=context.progress,
    )


def _synthetic(context: SourceContext, n_documents: int = 900, seed: int = 0) -> Iterator[RawDocument]:
    return read_synthetic(n_documents, seed)


SOURCES: dict[str, Callable[..., Iterator[RawDocument]]] = {
    "python_docs": _python_docs,
    "files": _files,
    "arxiv": _arxiv,
    "synthetic": _synthetic,
}


def read_corpus(
    source: dict[str, Any], scratch: Path, progress: Progress | None = None
) -> Iterator[RawDocument]:
    """The documents of a source table: ``kind`` names one of SOURCES, everything else is its options.

    Raises UserError for an unknown kind or option, and whatever the source itself finds wrong.
    """
    kind, options = _checked(source)
    return SOURCES[kind](SourceContext(scratch, progress), **options)


def fingerprint(source: dict[str, Any]) -> str:
    """Identity of a source's content, a hex sha256; while it is the same, the documents are too.

    files: the options and the file's sha256; of files over 1 GiB that of size, modification time and the
    first and last 64 MiB, so a change in the middle that keeps all of these is not seen. python_docs: the
    installed versions. synthetic: the options alone. arxiv: the options alone, since a finished harvest is
    kept; delete its folder, or give another ``until_date``, to ask arXiv again.
    """
    kind, options = _checked(source)
    content: object = None
    if kind == "files":
        content = _file_identity(Path(options["path"]))
        options = {**options, "path": Path(options["path"]).suffixes}  # a moved file is the same file
    elif kind == "python_docs":
        content = versions(options["collection"])
    text = json.dumps([kind, options, content], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(source: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    options = dict(source)
    kind = options.pop("kind", None)
    if kind not in SOURCES:
        raise UserError(f"There is no source {kind!r}; there are {', '.join(sorted(SOURCES))}.")
    known = {name: p for name, p in inspect.signature(SOURCES[kind]).parameters.items() if name != "context"}
    if unknown := sorted(set(options) - set(known)):
        raise UserError(
            f"The source {kind} has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}."
        )
    needed = [name for name, p in known.items() if p.default is inspect.Parameter.empty]
    if missing := [name for name in needed if name not in options]:
        raise UserError(f"The source {kind} needs the option {', '.join(missing)}.")
    return kind, options


def _file_identity(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"There is no file {path}; check the path of the corpus.")
    status = path.stat()
    with path.open("rb") as file:
        if status.st_size <= _WHOLE_HASH_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
        digest.update(file.read(_SAMPLE_BYTES))
        file.seek(-_SAMPLE_BYTES, 2)
        digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
