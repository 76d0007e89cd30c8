"""Stores at an address: fetched once into the cache, what pages need first before the rest, checked on the way.

An address is ``https://…/folder`` (an artifacts folder, or one build's folder), ``https://…/name.sextant``, or
``hf://datasets/owner/name[@revision][/folder]``; ``#sha256=…`` after it is the checksum that its manifest (or the
bundle) must have. Every file is fetched beside its place, compared with the manifest's size and sha256, and moved
there whole, so a build's folder in the cache never holds a wrong byte and a fetch that was killed goes on. Processes
that open the same address fetch it once between them.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from filelock import FileLock

from sae import limits, schema
from sae.address import Source, locate, split_digest
from sae.bundle import CACHE_VARIABLE, SUFFIX, cache_folder, unpack
from sae.download import DownloadError, size_of, small, to_file
from sae.manifest import (
    FileEntry,
    Manifest,
    StoreError,
    check_file,
    file_sha256,
    parse_manifest,
    read_manifest,
    shortened,
)
from sae.progress import Progress, silent
from sae.trust import load_json

WORKERS = 4  # files fetched at once


class Fetch:
    """One store on its way into the cache.

    Attributes: ``folder`` (the build's folder in the cache), ``source``, ``manifest``, ``total`` bytes, ``fault``
    (the sentence that ended it, or None), ``finished``.
    """

    def __init__(self, address: str, source: Source, base: str, raw: bytes) -> None:
        self.source, self.base, self._raw = source, base, raw
        self.manifest: Manifest = parse_manifest(raw, address)
        self.digest = hashlib.sha256(raw).hexdigest()
        self.folder = cache_folder() / self.digest[:32]
        self._partial = cache_folder() / f"fetching-{self.digest[:32]}"
        self.total = sum(entry.size for entry in self.manifest.files.values())
        self.fault: str | None = None
        self.finished = False
        self._tell: Progress = silent
        self._lock = threading.Lock()
        self._done = 0

    @property
    def done(self) -> int:
        """Bytes that are there, in files that are whole and in those on their way."""
        return self.total if self.finished else min(self._done, self.total)

    def here(self, path: str) -> bool:
        """Whether a file of the build has arrived."""
        return check_file(self.folder, path, self.manifest.files[path], checksum=False) is None

    def prepare(self) -> None:
        """Put the manifest in its place, so that the folder can be opened while the rest arrives."""
        place = self.folder / schema.MANIFEST
        if self.folder.is_symlink():
            raise StoreError(f"{self.folder} is a link; remove it.")
        if not place.is_file() or place.read_bytes() != self._raw:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = self.folder.parent / f"{self.folder.name}.{os.getpid()}.{threading.get_ident()}.partial"
            fresh.write_bytes(self._raw)
            os.replace(fresh, place)
        self._done = sum(entry.size for path, entry in self.manifest.files.items() if self.here(path))
        self.finished = self._done == self.total and all(map(self.here, self.manifest.files))

    def run(self, progress: Progress | None = None) -> None:
        """Fetch what is missing, in the order in which pages need it; wait while another process does.

        Raises StoreError with one sentence; what has arrived stays, and the next run goes on from there.
        """
        self._tell = progress or silent
        try:
            with FileLock(str(self._partial) + ".lock"):
                self.prepare()
                if not self.finished:
                    self._run()
                self.finished = True
            shutil.rmtree(self._partial, ignore_errors=True)
        except StoreError as error:
            self.fault = str(error)
            raise
        except (OSError, ValueError) as error:
            self.fault = f"{self.source.address} cannot be kept in {cache_folder()} ({shortened(error)})."
            raise StoreError(self.fault) from None

    def _run(self) -> None:
        needed, free = self.total - self._done, shutil.disk_usage(self.folder).free
        if needed > free:
            raise StoreError(
                f"{self.source.address} needs {needed / 1e6:,.0f} MB in {self.folder.parent}, where "
                f"{free / 1e6:,.0f} MB are free. Set {CACHE_VARIABLE} to a folder with more room."
            )
        self._partial.mkdir(parents=True, exist_ok=True)
        missing = [path for path in by_need(self.manifest) if not self.here(path)]
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = [pool.submit(self._fetch, path, self.manifest.files[path]) for path in missing]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _fetch(self, path: str, entry: FileEntry) -> None:
        partial = self._partial / hashlib.sha256(path.encode()).hexdigest()[:32]
        before = partial.stat().st_size if partial.exists() else 0
        self._arrived(before, path)
        url = f"{self.base}/{quote(path)}"
        for last in (False, True):
            try:
                to_file(url, partial, entry.size, lambda n: self._arrived(n, path))
            except DownloadError as error:
                raise StoreError(
                    f"{self.source.address}: {path} could not be fetched: {error}. What has arrived is kept; "
                    "open it again to go on."
                ) from None
            if file_sha256(partial) == entry.sha256:
                break
            partial.unlink()  # bytes of an earlier try that do not fit are the likeliest cause
            self._arrived(-entry.size, path)
            if last:
                raise StoreError(
                    f"{self.source.address}: {path} differs from its manifest. Tell whoever published it."
                )
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial, target)

    def _arrived(self, n: int, path: str) -> None:
        with self._lock:
            self._done += n
            self._tell(min(self._done, self.total) // 1_000_000, self.total // 1_000_000, path)


def by_need(manifest: Manifest) -> Iterator[str]:
    """Files in the order in which pages need them: features and results, then latents, documents, the encoder."""

    def rank(path: str) -> int:
        name, parts = PurePosixPath(path).name, path.split("/")
        if parts[0] == schema.QUERY_ENCODER:
            return 4
        if name in (schema.DOCUMENTS, schema.EMBEDDINGS, schema.SEARCH, schema.SEARCH_SCALES):
            return 2 if name in (schema.DOCUMENTS, schema.SEARCH, schema.SEARCH_SCALES) else 3
        if schema.LATENTS in parts or name in (schema.EVIDENCE, schema.LABEL_VECTORS):
            return 1
        return 0

    yield from sorted(manifest.files, key=lambda path: (rank(path), manifest.files[path].size, path))


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
            "It was changed, or is another store."
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
            "It was changed, or is another store."
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
