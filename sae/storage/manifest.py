"""The manifest of a build: what it is, and the checksum of every file in it."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sae.errors import UserError
from sae.progress import Progress, silent
from sae.schema import MANIFEST, SCHEMA_VERSION
from sae.storage import limits
from sae.storage.trust import check_manifest, inside, load_json


class StoreError(UserError):
    """The store cannot be opened or trusted; the message says why and what mends it."""


_NO_BUILD = "this is not a Sextant build. Run `make artifacts` to build one, or open another store."
CHECKSUM = "checksum"  # of the manifest, in the manifest: pages show numbers that stand nowhere else


def own_checksum(document: dict[str, Any]) -> str:
    """The sha256, in hex, of what a parsed manifest says, however it is written; its own checksum left out."""
    rest = {key: value for key, value in document.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class FileEntry:
    """One file of a build: its size in bytes, its sha256 in hex, and shape and dtype where it is an array."""

    sha256: str
    size: int
    shape: tuple[int, ...] | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Manifest:
    """Everything a reader may know of a build before opening another file.

    ``corpora`` maps a corpus to its facts (n_documents, d_in, source, licence, …, and ``saes``: a mapping from
    SAE names to theirs); ``config`` is the build's configuration; ``provenance`` names packages and models.
    """

    build: str
    title: str
    created: str  # ISO 8601, UTC
    config: dict[str, Any]
    provenance: dict[str, Any]
    corpora: dict[str, dict[str, Any]]
    stages: list[dict[str, Any]]
    files: dict[str, FileEntry]

    def to_json(self) -> str:
        files = {}
        for path, entry in sorted(self.files.items()):
            files[path] = {k: v for k, v in vars(entry).items() if v is not None}
        document = {"schema_version": SCHEMA_VERSION, **vars(self), "files": files}
        document = json.loads(json.dumps(document, allow_nan=False))  # as a reader will find it
        document[CHECKSUM] = own_checksum(document)
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read_manifest(build: Path) -> Manifest:
    """Read and check ``build/manifest.json``.

    Raises StoreError when it is missing (a build that was never finished), damaged, or of another schema.
    """
    path = build / MANIFEST
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} is {_kind(found.st_mode)}, not a file; {_NO_BUILD}")
        if found.st_size > limits.MANIFEST_BYTES:
            raise StoreError(f"{path} has {found.st_size:,} bytes, more than any real manifest; {_NO_BUILD}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(
            f"The build in {build} was never finished: it has no {MANIFEST}. Run `make artifacts` to finish it."
        ) from None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({shortened(error)}). Mend that, or open another store."
        ) from None
    return parse_manifest(data, str(build))


def parse_manifest(data: bytes, place: str) -> Manifest:
    """The manifest in some bytes; ``place`` is where they come from. Raises StoreError as ``read_manifest``."""
    path = f"{place}/{MANIFEST}"
    try:
        raw = load_json(data)
    except (ValueError, RecursionError) as error:
        raise StoreError(
            f"{path} is damaged ({_short(error)}). Run `make artifacts` to build it again."
        ) from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise StoreError(
            f"{path} is damaged: it names no schema version. Run `make artifacts` to build it again."
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"The build in {place} has schema version {version}, newer than this program's {SCHEMA_VERSION}. "
            "Update Sextant to open it."
        )
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"The build in {place} has schema version {version}, older than this program's {SCHEMA_VERSION}. "
            "Run `make artifacts` to build it again."
        )
    if raw.get(CHECKSUM, own := own_checksum(raw)) != own:  # builds of before it was written have none
        raise StoreError(
            f"{path} is damaged (its own checksum is wrong: it has changed since it was written). "
            "Run `make artifacts` to build it again."
        )
    try:
        return _parse(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{path} is damaged ({_short(error)}). Run `make artifacts` to build it again."
        ) from None


def _parse(raw: dict[str, Any]) -> Manifest:
    texts = {name: raw[name] for name in ("build", "title", "created")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("build, title and created are not all text")
    maps = {name: raw[name] for name in ("config", "provenance", "corpora")}
    if not all(isinstance(value, dict) for value in maps.values()) or not isinstance(raw["stages"], list):
        raise TypeError("config, provenance, corpora or stages has the wrong form")
    check_manifest(raw)
    files = {
        path: FileEntry(
            entry["sha256"],
            entry["size"],
            None if entry.get("shape") is None else tuple(entry["shape"]),
            entry.get("dtype"),
        )
        for path, entry in raw["files"].items()
    }
    return Manifest(**texts, **maps, stages=raw["stages"], files=files)


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk_files(build: Path) -> Iterator[str]:
    """Every file below ``build`` as a relative POSIX path, sorted; links are followed into nothing."""
    for folder, folders, names in os.walk(build, followlinks=False):
        folders.sort()
        for name in sorted(names):
            yield (Path(folder) / name).relative_to(build).as_posix()


def check_file(build: Path, path: str, entry: FileEntry, *, checksum: bool = True) -> str | None:
    """Why a file is not what the manifest says, or None when it is."""
    try:
        full = inside(build, path)
        found = full.lstat()
        if found.st_size != entry.size:
            return f"has {found.st_size:,} bytes instead of {entry.size:,}"
        if checksum and file_sha256(full) != entry.sha256:
            return "has a wrong checksum: its bytes have changed since it was built"
    except FileNotFoundError:
        return "is missing"
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def damages(build: Path, manifest: Manifest, progress: Progress | None = None) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong) for every file of the build that is damaged, missing or not in the manifest."""
    report = progress or silent
    total = len(manifest.files)
    for done, (path, entry) in enumerate(manifest.files.items(), start=1):
        if reason := check_file(build, path, entry):
            yield path, reason
        report(done, total, path)
    known = set(manifest.files) | {MANIFEST}
    for path in walk_files(build):
        if path not in known:
            yield path, "is not part of the build"


def shortened(error: BaseException) -> str:
    """What an error says, on one line of at most 120 characters."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def _short(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {shortened(error)}"
    return shortened(error) if type(error) is ValueError else f"{type(error).__name__}: {shortened(error)}"


def _kind(mode: int) -> str:
    """What something is that is no regular file."""
    kinds = {
        stat.S_ISLNK: "a link",
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
    }
    return next((name for is_one, name in kinds.items() if is_one(mode)), "a device")
