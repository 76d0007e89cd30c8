"""Assemble a finished build from its stages' outputs, describe it in a manifest, and switch CURRENT to it."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import zarr

from build.documents import describe
from build.plan import Job, build_name
from build.versions import versions
from sae import schema
from sae.storage.manifest import (
    FileEntry,
    Manifest,
    StoreError,
    damages,
    file_sha256,
    read_manifest,
    walk_files,
)

Part = tuple[Job, Path, dict[str, Any]]  # a job, its output folder, and what was recorded when it ended


def finish(out: Path, parts: list[Part]) -> Path:
    """Make ``builds/<name>`` from the parts, whole or not at all, and point CURRENT at it. Returns its folder."""
    builds = out / schema.BUILDS
    name = build_name([job for job, _, _ in parts], _shareable(asdict(parts[0][0].target.config)))
    build = builds / name
    if not _is_intact(build):
        partial = builds / f"{name}.partial"
        for stale in (partial, build):
            shutil.rmtree(stale, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            for job, folder, _ in parts:
                for path in _published(job, folder):
                    _link(folder / path, partial / job.target.folder / path)
            manifest = _describe(name, partial, parts)
            (partial / schema.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            os.replace(partial, build)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    pointer = out / schema.CURRENT
    fresh = pointer.with_name(schema.CURRENT + ".partial")
    fresh.write_text(name + "\n", encoding="utf-8")
    os.replace(fresh, pointer)
    return build


def _is_intact(build: Path) -> bool:
    try:
        return next(damages(build, read_manifest(build)), None) is None
    except StoreError:
        return False


def _published(job: Job, folder: Path) -> Iterator[str]:
    """Files of a stage's output that belong to the build: those whose path goes through a name it writes."""
    for path in walk_files(folder):
        if set(path.split("/")) & set(job.stage.writes):
            yield path


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _describe(name: str, build: Path, parts: list[Part]) -> Manifest:
    config = parts[0][0].target.config
    corpora: dict[str, dict[str, Any]] = {
        corpus.name: {
            "title": corpus.title or corpus.name,
            "licence": corpus.licence,
            "source": describe(corpus.source),
            "saes": {},
        }
        for corpus in config.corpora
    }
    provenance: dict[str, Any] = {"packages": versions()}
    for job, _, done in parts:
        facts = done["facts"]
        if job.target.corpus_config is None:
            provenance |= facts
        elif job.target.sae_plan is None:
            corpora[job.target.corpus.name] |= facts
        else:
            corpora[job.target.corpus.name]["saes"].setdefault(job.target.sae_name, {}).update(facts)
    return Manifest(
        build=name,
        title=config.title,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        config=_shareable(asdict(config)),
        provenance=provenance,
        corpora=corpora,
        stages=[
            {"name": job.stage.name, "for": job.target.folder, "key": job.key, "seconds": done["seconds"]}
            for job, _, done in parts
        ],
        files={path: _entry(build / path) for path in walk_files(build)},
    )


def _entry(path: Path) -> FileEntry:
    shape, dtype = None, None
    if path.suffix == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        shape, dtype = tuple(array.shape), str(array.dtype)
    elif path.suffix == ".parquet":
        metadata = pq.read_metadata(path)
        shape = (metadata.num_rows, metadata.num_columns)
    elif path.name == "zarr.json" and isinstance(node := zarr.open(str(path.parent), mode="r"), zarr.Array):
        shape, dtype = tuple(node.shape), str(node.dtype)
    return FileEntry(file_sha256(path), path.stat().st_size, shape, dtype)


def _shareable(value: Any, name: str = "") -> Any:
    """The configuration as JSON: no nulls, no folders of this machine, no address of a person or a password."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if v is not None and k != "contact"}
        return {str(k): _shareable(v, k) for k, v in kept.items()}
    if isinstance(value, list | tuple):
        return [_shareable(v, name) for v in value]
    if isinstance(value, str) and "://" in value:
        return value.split("://", 1)[0] + "://" + value.split("://", 1)[1].rsplit("@", 1)[-1]
    if isinstance(value, str) and (name == "path" or Path(value).is_absolute()):
        return Path(value).name
    return value if isinstance(value, str | int | float | bool) else str(value)
