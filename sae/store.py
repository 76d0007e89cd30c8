"""Open an artifact store and read from it: ``open_store(path).corpus(name).sae(name)``.

Readers are lazy: opening costs one small file; a page reads the rows, columns and slices that it shows.
"""

import os
import stat
from pathlib import Path

from sae import schema
from sae.progress import Progress
from sae.storage import limits
from sae.storage.address import is_address, split_digest
from sae.storage.bundle import is_bundle, unpack
from sae.storage.corpus_store import Corpus
from sae.storage.manifest import Manifest, StoreError, check_file, file_sha256, read_manifest
from sae.storage.sae_store import SAE, SparseRows
from sae.storage.trust import check_encoder, check_folder

__all__ = ["SAE", "Corpus", "SparseRows", "Store", "StoreError", "current_build", "open_store"]


def open_store(
    path: Path | str, *, check_sizes: bool = True, sha256: str | None = None, progress: Progress | None = None
) -> "Store":
    """Open the artifacts folder that holds CURRENT, one build's own folder, a bundle (unpacked once), or a store
    at an address (``sae.storage.remote``; fetched once, whole, before this returns).

    ``sha256``, or ``#sha256=…`` behind the path, is the checksum that the bundle or the manifest must have.
    Raises StoreError with one sentence when there is nothing there, the build was never finished, is of another
    schema or has another checksum, or (with ``check_sizes``) a file is missing or has the wrong size.
    """
    place, digest = split_digest(str(path))
    digest = digest or sha256
    if is_address(place):
        from sae.storage.remote import fetch_store

        build = fetch_store(place + (f"#sha256={digest}" if digest else ""), progress)
        return Store(build, check_sizes, file_sha256(build / schema.MANIFEST) if digest else None)
    root = Path(place)
    if is_bundle(root):
        bundle, root = root, unpack(root, progress)
        if digest and digest == file_sha256(bundle):
            return Store(root, check_sizes, file_sha256(root / schema.MANIFEST))
    return Store(_build_in(root), check_sizes, digest)


def _build_in(root: Path) -> Path:
    """The folder of the build that an artifacts folder serves, or the folder itself when it is a build."""
    if os.path.lexists(root / schema.MANIFEST):
        return root
    pointer = root / schema.CURRENT
    if not root.is_dir() or not os.path.lexists(pointer):
        if (root / schema.BUILDS).is_dir() and any((root / schema.BUILDS).iterdir()):
            raise StoreError(f"No finished build in {root}/. Run `make artifacts` to finish it.")
        raise StoreError(
            f"No artifacts in {root}/. Run `make artifacts` to build them, or let `ARTIFACTS` name the folder, the "
            "bundle or the address of a store."
        )
    name = current_build(pointer) or ""
    if not name.isalnum():
        raise StoreError(f"{pointer} does not name a build. Run `make artifacts`.")
    build = root / schema.BUILDS / name
    if build.is_symlink() or build.parent.is_symlink():
        raise StoreError(f"{build} is a link; copy the build there instead.")
    if not build.is_dir():
        raise StoreError(f"{pointer} names the build {name}, which is not there. Run `make artifacts`.")
    return build


def current_build(pointer: Path) -> str | None:
    """The name in a CURRENT file; None when it is no small regular file (a pipe would keep a reader waiting)."""
    try:
        found = pointer.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > limits.NAME_CHARACTERS:
            return None
        return pointer.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


class Store:
    """One immutable build. Attributes: path, manifest, corpora (names), digest (sha256 of its manifest), known
    (whether that is the checksum that was asked for)."""

    def __init__(self, build: Path, check_sizes: bool = True, sha256: str | None = None) -> None:
        self.path = build
        self.manifest: Manifest = read_manifest(build)
        self.digest = file_sha256(build / schema.MANIFEST)
        self.known = sha256 is not None
        if sha256 not in (None, self.digest):
            raise StoreError(
                f"{build} has the checksum {self.digest[:16]}…, not {str(sha256)[:16]}… as was asked for. "
                "It was changed, or is another store: ask whoever gave you the checksum."
            )
        if check_sizes:
            try:
                check_folder(build, self.manifest.files.keys())
            except (ValueError, OSError) as error:
                raise StoreError(f"{build} {error}. Ask whoever made it for a whole one.") from None
        for path, entry in self.manifest.files.items() if check_sizes else ():
            # Zarr's metadata are small and have no checksum of their own: a flipped digit would be believed.
            if reason := check_file(build, path, entry, checksum=path.endswith(schema.ZARR_METADATA)):
                raise StoreError(
                    f"{build / path} {reason}. Run `make verify` for the whole list, `make artifacts` to mend it."
                )
        self.corpora: tuple[str, ...] = tuple(self.manifest.corpora)
        self._verified: dict[str, tuple[int, int, int]] = {}

    def corpus(self, name: str) -> Corpus:
        if name not in self.manifest.corpora:
            raise StoreError(
                f"There is no corpus {name!r} in this build; it holds {', '.join(self.corpora)}."
            )
        return Corpus(self, name)

    @property
    def query_encoder(self) -> Path | None:
        """Folder of the local query encoder, or None when the corpora were embedded elsewhere."""
        prefix = schema.QUERY_ENCODER + "/"
        files = {path: e.sha256 for path, e in self.manifest.files.items() if path.startswith(prefix)}
        if not files:
            return None
        try:
            check_encoder({path.removeprefix(prefix): digest for path, digest in files.items()})
        except ValueError as error:
            raise StoreError(f"{self.path} {error}. Search by example, or build the store here.") from None
        for path in files:
            self.checked(path)
        return self.path / schema.QUERY_ENCODER

    def checked(self, path: str) -> Path:
        """The file at a relative path, its bytes compared with the manifest's checksum.

        For matrices, and files that are handed to other libraries, which verify nothing themselves.
        """
        entry = self.manifest.files.get(path)
        reason = "is not in the manifest" if entry is None else check_file(self.path, path, entry)
        if reason:
            raise StoreError(f"{self.path / path} {reason}. Run `make verify`, then `make artifacts`.")
        return self.path / path

    def verified(self, path: str) -> Path:
        """The same, compared once for as long as the file stays the same one: for tables, whose footers have no
        checksum of their own."""
        try:
            found = (self.path / path).lstat()
            identity = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            return self.checked(path)  # which says what is wrong
        if self._verified.get(path) != identity:
            self.checked(path)
            self._verified[path] = identity
        return self.path / path
