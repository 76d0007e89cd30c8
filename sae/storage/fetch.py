"""One store on its way into the cache: what pages need first comes first, and every file is checked on the way.

Every file is fetched beside its place, compared with the manifest's size and sha256, and moved there whole, so a
build's folder in the cache never holds a wrong byte and a fetch that was killed goes on.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from urllib.parse import quote

from filelock import FileLock

from sae import schema
from sae.progress import Progress, silent
from sae.storage.address import Source
from sae.storage.bundle import CACHE_VARIABLE, MORE_ROOM, cache_folder
from sae.storage.disk import full, is_full
from sae.storage.download import DownloadError, to_file
from sae.storage.manifest import (
    FileEntry,
    Manifest,
    StoreError,
    check_file,
    file_sha256,
    parse_manifest,
    shortened,
)

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
            if is_full(error, cache_folder()):
                self.fault = str(full(cache_folder(), MORE_ROOM))
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
