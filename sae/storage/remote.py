"""Stores at an address: found there, or known from before, and fetched once into the cache.

An address is ``https://…/folder`` (an artifacts folder, or one build's folder), ``https://…/name.sextant``, or
``hf://datasets/owner/name[@revision][/folder]``; ``#sha256=…`` after it is the checksum that its manifest (or the
bundle) must have. Processes that open the same address fetch it once between them (``sae/storage/fetch.py``).
"""

import hashlib
import json
import os
import threading
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock

from sae import schema
from sae.progress import Progress
from sae.storage import limits
from sae.storage.address import Source, locate, split_digest
from sae.storage.bundle import CACHE_VARIABLE, MORE_ROOM, SUFFIX, cache_folder, unpack
from sae.storage.disk import full, is_full
from sae.storage.download import DownloadError, size_of, small, to_file
from sae.storage.fetch import Fetch
from sae.storage.manifest import StoreError, check_file, file_sha256, read_manifest
from sae.storage.trust import load_json


def begin(address: str) -> Fetch:
    """A fetch whose manifest has been read and checked; nothing else is fetched yet. Raises StoreError.

    A bundle is fetched and unpacked whole before this returns, since its list of files stands at its end.
    """
    place, digest = split_digest(address)
    try:
        try:
            fetch = _begin(locate(place), digest)
            fetch.prepare()
            _remember(place, fetch)
        except DownloadError as error:
            fetch = _known(place, digest, str(error))
    except (ValueError, RecursionError):
        raise StoreError(f"{place} answers something else than a store. Check the address.") from None
    except OSError as error:
        if is_full(error, cache_folder()):
            raise StoreError(str(full(cache_folder(), MORE_ROOM))) from None
        raise StoreError(
            f"{cache_folder()} cannot be written ({error.strerror}). Set {CACHE_VARIABLE} to another folder."
        ) from None
    return fetch


def _begin(source: Source, digest: str | None) -> Fetch:
    if PurePosixPath(urlsplit(source.url).path).suffix == SUFFIX:
        return _bundle(source, digest)
    base, raw = _manifest(source)
    found = hashlib.sha256(raw).hexdigest()
    if digest not in (None, found):
        raise StoreError(
            f"{source.address} has the manifest {found[:16]}…, not {str(digest)[:16]}… as its address says. "
            "It was changed, or is another store: ask whoever gave you the checksum."
        )
    return Fetch(source.address, source, base, raw)


def fetch_store(address: str, progress: Progress | None = None) -> Path:
    """The build's folder in the cache, whole. Raises StoreError."""
    fetch = begin(address)
    if not fetch.finished:
        fetch.run(progress)
    return fetch.folder


def _manifest(source: Source) -> tuple[str, bytes]:
    """(folder of the build, bytes of its manifest): behind CURRENT where there is one, else in the folder itself."""
    try:
        name = small(f"{source.url}/{schema.CURRENT}", limits.NAME_CHARACTERS).decode("ascii").strip()
    except DownloadError as error:
        if error.status not in (403, 404):
            raise
        return source.url, small(f"{source.url}/{schema.MANIFEST}", limits.MANIFEST_BYTES)
    if not name.isalnum():
        raise ValueError(name)
    base = f"{source.url}/{schema.BUILDS}/{name}"
    return base, small(f"{base}/{schema.MANIFEST}", limits.MANIFEST_BYTES)


def _record(place: str) -> Path:
    return cache_folder() / "addresses" / (hashlib.sha256(place.encode()).hexdigest()[:32] + ".json")


def _remember(place: str, fetch: Fetch) -> None:
    """Note which build an address led to, so that it opens without a network next time."""
    record = _record(place)
    record.parent.mkdir(parents=True, exist_ok=True)
    fresh = record.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    known = {"digest": fetch.digest, "base": fetch.base, "revision": fetch.source.revision or ""}
    fresh.write_text(json.dumps(known), encoding="utf-8")
    os.replace(fresh, record)


def _known(place: str, digest: str | None, why: str) -> Fetch:
    """The build that an address led to before, if it is in the cache: a server may be away."""
    sentence = f"{place} cannot be opened: {why}. Check the address and the connection."
    try:
        known = load_json(_record(place).read_bytes())
        raw = (cache_folder() / known["digest"][:32] / schema.MANIFEST).read_bytes()
        found = hashlib.sha256(raw).hexdigest()
        if found != known["digest"] or digest not in (None, found):
            raise ValueError
        fetch = Fetch(place, Source(place, known["base"], known["revision"] or None), known["base"], raw)
        fetch.prepare()
    except (OSError, ValueError, KeyError, TypeError, StoreError):
        raise StoreError(sentence) from None
    if not fetch.finished:
        raise StoreError(sentence)
    return fetch


def _bundle(source: Source, digest: str | None) -> Fetch:
    """A bundle, fetched whole, unpacked and removed; not fetched again while the server's mark stays the same."""
    folder = cache_folder() / "bundles"
    bundle = folder / f"{hashlib.sha256(source.url.encode()).hexdigest()[:32]}{SUFFIX}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(bundle) + ".lock"):
        size, mark = size_of(source.url)
        if not 0 < size <= limits.FILE_BYTES:
            raise DownloadError("it is too large or empty")
        noted, unpacked = bundle.with_suffix(".mark"), bundle.with_suffix(".unpacked")
        if not noted.is_file() or noted.read_text(encoding="utf-8") != mark:  # of another version, or new
            bundle.unlink(missing_ok=True)
            unpacked.unlink(missing_ok=True)
            noted.write_text(mark, encoding="utf-8")
        found, build = _unpacked(unpacked)
        if build is None:
            to_file(source.url, bundle, size)
            found = file_sha256(bundle)
            try:
                build = unpack(bundle)
            except StoreError as error:
                raise StoreError(f"{source.address} cannot be opened. {error}") from None
            finally:
                bundle.unlink(missing_ok=True)
            unpacked.write_text(f"{found} {build.name}", encoding="utf-8")
    raw = (build / schema.MANIFEST).read_bytes()
    if digest not in (None, found, hashlib.sha256(raw).hexdigest()):
        raise StoreError(
            f"{source.address} has the sha256 {found[:16]}…, not {str(digest)[:16]}… as its address says. "
            "It was changed, or is another store: ask whoever gave you the checksum."
        )
    return Fetch(source.address, source, str(build), raw)


def _unpacked(record: Path) -> tuple[str, Path | None]:
    """(sha256 of a bundle, the folder it was unpacked into), if that is still whole."""
    try:
        found, name = record.read_text(encoding="utf-8").split()
        build = cache_folder() / name
        files = read_manifest(build).files
    except (OSError, ValueError, StoreError):
        return "", None
    broken = any(check_file(build, path, entry, checksum=False) for path, entry in files.items())
    return found, None if broken else build
