"""Stores that a stranger might send: each change takes a sound build and makes it hostile.

Here are folders, paths and manifests; arrays and tables are in ``hostile_arrays`` and ``hostile_tables``.

``seal`` then writes sizes and checksums into the manifest anew, as the stranger would: nothing here is caught
by a checksum.
"""

import json
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sae import schema
from sae.storage import limits
from sae.storage.manifest import CHECKSUM, file_sha256, own_checksum, walk_files

CORPUS, SAE = "planted", "SAE3"
ONE = f"{CORPUS}/{SAE}"
Change = Callable[[Path], None]
UNSEALED: set[str] = set()
CHANGES: dict[str, Change] = {}


def small_store(store: Path, folder: Path) -> Path:
    """The served build of a store in a new artifacts folder, without its query encoder (45 MB) and with one
    corpus; the path of the build."""
    name = (store / schema.CURRENT).read_text().strip()
    build = folder / schema.BUILDS / name
    left_out = shutil.ignore_patterns(schema.QUERY_ENCODER, "planted-too", schema.DOMAINS)
    shutil.copytree(store / schema.BUILDS / name, build, ignore=left_out)
    (folder / schema.CURRENT).write_text(name + "\n")
    edit(build, lambda raw: raw.update(corpora={CORPUS: raw["corpora"][CORPUS]}))
    seal(build)
    return build


def build_of(root: Path) -> Path:
    """The one build of an artifacts folder."""
    return next((root / schema.BUILDS).iterdir())


def seal(build: Path) -> None:
    """Make sizes and checksums in the manifest those of the files that are there."""
    path = build / schema.MANIFEST
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["files"] = {
        name: {"sha256": file_sha256(build / name), "size": (build / name).stat().st_size}
        for name in walk_files(build)
        if name != schema.MANIFEST and (build / name).is_file() and not (build / name).is_symlink()
    }
    raw[CHECKSUM] = own_checksum(raw)
    path.unlink()  # it may be a hard link
    path.write_text(json.dumps(raw), encoding="utf-8")


def change(name: str, sealed: bool = True) -> Callable[[Change], Change]:
    def register(act: Change) -> Change:
        CHANGES[name] = act
        if not sealed:
            UNSEALED.add(name)
        return act

    return register


def many(prefix: str, cases: dict[str, Any], sealed: bool = True) -> Callable[[Callable[..., None]], None]:
    """One change for each case, whose value is handed to the function."""

    def register(act: Callable[..., None]) -> None:
        for name, value in cases.items():
            change(f"{prefix}: {name}", sealed)(lambda build, value=value: act(build, value))

    return register


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (f"{os.environ.get('CANARY', '/nonexistent')}",)


def changed(index: int, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def act(data: np.ndarray) -> np.ndarray:
        data = data.copy()
        data.flat[index] = value
        return data

    return act


# ---- links, devices and paths ----


def _outside(build: Path) -> Path:
    """A pipe outside the store: whoever opens it waits for ever."""
    pipe = build.parent.parent.parent / f"{build.parent.parent.name}.outside"
    if not pipe.exists():
        os.mkfifo(pipe)
    return pipe


@many(
    "a link out of the store",
    {
        "documents": f"{CORPUS}/{schema.DOCUMENTS}",
        "embeddings": f"{CORPUS}/{schema.EMBEDDINGS}",
        "a chunk": f"{ONE}/latents.zarr/offsets/c/0",
        "Zarr metadata": f"{ONE}/sae.zarr/zarr.json",
        "the manifest": schema.MANIFEST,
    },
    sealed=False,
)
def link(build: Path, path: str) -> None:
    (build / path).unlink()
    (build / path).symlink_to(_outside(build))


@many("a linked folder", {"corpus": CORPUS, "SAE": ONE, "array": f"{ONE}/sae.zarr/mean"}, sealed=False)
def linked_folder(build: Path, path: str) -> None:
    away = build.parent.parent.parent / f"{build.parent.parent.name}.away"
    shutil.move(build / path, away)
    (build / path).symlink_to(away)


@change("the build itself is a link", sealed=False)
def linked_build(build: Path) -> None:
    away = build.parent.parent.parent / f"{build.parent.parent.name}.away"
    shutil.move(build, away)
    build.symlink_to(away)


@many(
    "a pipe",
    {
        "documents": f"{CORPUS}/{schema.DOCUMENTS}",
        "the manifest": schema.MANIFEST,
        "CURRENT": "../../CURRENT",
        "beside the files": "pipe",
    },
    sealed=False,
)
def pipe(build: Path, path: str) -> None:
    (build / path).unlink(missing_ok=True)
    os.mkfifo(build / path)


@many("a device", {"beside the files": "zero", "embeddings": f"{CORPUS}/{schema.EMBEDDINGS}"}, sealed=False)
def device(build: Path, path: str) -> None:
    (build / path).unlink(missing_ok=True)
    try:
        os.mknod(build / path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero: it never ends
    except PermissionError:  # only root makes devices; a pipe is as much of none
        os.mkfifo(build / path)


@change("a socket", sealed=False)
def a_socket(build: Path) -> None:
    here = os.getcwd()
    os.chdir(build)  # a socket's address is at most 108 bytes long
    try:
        socket.socket(socket.AF_UNIX).bind("s")
    finally:
        os.chdir(here)


@many("CURRENT", {"above": "../x", "absolute": "/etc", "long": "a" * 1_000_000}, sealed=False)
def current(build: Path, text: str) -> None:
    (build.parent.parent / schema.CURRENT).write_text(text)


def edit(build: Path, act: Callable[[dict[str, Any]], None]) -> None:
    path = build / schema.MANIFEST
    raw = json.loads(path.read_text())
    act(raw)
    raw[CHECKSUM] = own_checksum(raw)
    path.write_text(json.dumps(raw))


@many(
    "a path in the manifest",
    {
        "above": "../../../etc/passwd",
        "absolute": "/etc/passwd",
        "dotted": "planted/./x",
        "backslash": "planted\\x",
        "drive": "C:x",
        "empty part": "a//b",
        "control": "a\nb",
        "null": "a\0b",
        "long": "a" * 5000,
        "right to left": "a\u202eb",
    },
    sealed=False,
)
def manifest_path(build: Path, path: str) -> None:
    edit(build, lambda raw: raw["files"].update({path: {"sha256": "0" * 64, "size": 1}}))


@many("a name", {"above": "../x", "markup": "<b>x", "long": "a" * 300, "empty": ""}, sealed=False)
def corpus_name(build: Path, name: str) -> None:
    edit(build, lambda raw: raw["corpora"].update({name: raw["corpora"][CORPUS]}))


# ---- the manifest ----


@many(
    "a count",
    {
        "negative": ("n_documents", -1),
        "huge": ("n_documents", 10**30),
        "true": ("n_documents", True),
        "text": ("n_documents", "12"),
        "no dimensions": ("d_in", 0),
        "fraction": ("d_in", 8.5),
        "other": ("n_documents", 499),
        "no SAEs": ("saes", {}),
        "SAEs without facts": ("saes", {SAE: {}}),
        "SAEs as a list": ("saes", [SAE]),
        "k above n_latents": ("saes", {SAE: {"k": 99, "n_latents": 64}}),
        "other n_latents": ("saes", {SAE: {"k": 3, "n_latents": 65}}),
    },
    sealed=False,
)
def a_count(build: Path, fact: tuple[str, Any]) -> None:
    edit(build, lambda raw: raw["corpora"][CORPUS].update([fact]))


@many(
    "manifest text",
    {
        "nested": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "lists": b"[" * 900_000,
        "huge": b'{"a": "' + b"x" * limits.MANIFEST_BYTES + b'"}',
        "not a number": b'{"schema_version": 1, "x": NaN}',
        "infinite": b'{"schema_version": 1, "x": 1e999}',
        "long integer": b'{"schema_version": ' + b"9" * 100_000 + b"}",
        "key twice": b'{"schema_version": 1, "schema_version": 1}',
        "broken UTF-8": b'{"schema_version": 1, "title": "\xff"}',
        "lone surrogate": b'{"schema_version": 1, "title": "\\ud800"}',
        "past": b'{"schema_version": 0}',
        "future": b'{"schema_version": 99}',
        "no object": b'"1"',
    },
    sealed=False,
)
def manifest_text(build: Path, text: bytes) -> None:
    (build / schema.MANIFEST).write_bytes(text)
