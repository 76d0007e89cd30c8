"""Open a build that travels as one file: an uncompressed zip, unpacked once into a folder beside or in a cache.

A bundle holds ``manifest.json`` first and then exactly the files that the manifest names, stored, not
compressed: nothing can expand. It is unpacked into a folder of its own, every byte compared with the manifest
on the way, and renamed when whole. The folder is called after the bundle's content, so a bundle is unpacked
once, however many sessions open it.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import BinaryIO

from sae.progress import Progress, silent
from sae.schema import MANIFEST
from sae.storage import limits
from sae.storage.disk import full, is_full
from sae.storage.manifest import FileEntry, Manifest, StoreError, check_file, read_manifest, shortened

SUFFIX = ".sextant"
CACHE_VARIABLE = "SEXTANT_CACHE"
MORE_ROOM = f"Make room, or set {CACHE_VARIABLE} to a folder on another disk, and open it again."
_BLOCK = 1 << 20
_STALE_SECONDS = 24 * 3600  # a folder that an unpacking left behind when it was killed
_DIRECTORY_BYTES = limits.FILES * 400  # of the list at a zip's end
_lock = threading.Lock()  # sessions that open a bundle at once wait for the first


def is_bundle(path: Path) -> bool:
    """Whether a path is a bundle and no folder: by its suffix, so that nothing is opened to find out."""
    return path.suffix == SUFFIX and not path.is_dir()


def cache_folder() -> Path:
    """Where bundles are unpacked: SEXTANT_CACHE, else the user's cache directory."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sextant"


def unpack(bundle: Path, progress: Progress | None = None) -> Path:
    """The folder of the build in a bundle, unpacked if it is not there yet.

    Raises StoreError with one sentence when the file is missing, is no bundle, or differs from its manifest.
    """
    try:
        found = bundle.stat()
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{bundle} is not a regular file. Name one that `make bundle` wrote.")
        with _lock, bundle.open("rb") as file:
            _check_directory(file, found.st_size)
            with zipfile.ZipFile(file) as archive:
                raw = _manifest_bytes(archive)
                target = cache_folder() / hashlib.sha256(raw).hexdigest()[:32]
                if not _is_unpacked(target, raw):
                    _unpack(bundle, archive, raw, target, progress or silent)
                return target
    except FileNotFoundError:
        raise StoreError(f"There is no bundle {bundle}. Run `make bundle` to write one.") from None
    except StoreError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        if is_full(error, cache_folder()):
            raise StoreError(str(full(cache_folder(), MORE_ROOM))) from None
        raise StoreError(
            f"{bundle} cannot be opened: {shortened(error)}. Compare its sha256 with the one beside it, "
            "and fetch it again."
        ) from None


def _check_directory(file: BinaryIO, size: int) -> None:
    """Refuse a zip whose list of files is too long: Python reads the whole of it at once.

    The list's size stands in the end record (APPNOTE 4.3.16), and again before it in large archives (4.3.14).
    """
    file.seek(max(0, size - 98))
    tail = file.read(98).rjust(98, b"\0")
    if tail[76:80] != b"PK\x05\x06" or tail[96:98] != b"\0\0":
        raise ValueError("it is not a bundle, or is cut off")
    lengths = [int.from_bytes(tail[88:92], "little")]
    if tail[56:60] == b"PK\x06\x07":
        lengths.append(int.from_bytes(tail[40:48], "little"))
    if max(lengths) > _DIRECTORY_BYTES:
        raise ValueError("it lists more files than any bundle holds")
    file.seek(0)


def _manifest_bytes(archive: zipfile.ZipFile) -> bytes:
    members = archive.infolist()
    if len(members) > limits.FILES or not members or members[0].filename != MANIFEST:
        raise ValueError("it does not begin with a manifest")
    for member in members:
        kind = member.external_attr >> 16
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError("it holds a compressed file")
        if member.flag_bits & 1 or member.is_dir() or (kind and not stat.S_ISREG(kind)):
            raise ValueError("it holds something that is not a plain file")
    if members[0].file_size > limits.MANIFEST_BYTES:
        raise ValueError("its manifest is too large")
    return archive.read(members[0])


def _is_unpacked(target: Path, raw: bytes) -> bool:
    """Whether a folder holds this manifest and, by their sizes, all of its files."""
    try:
        if target.is_symlink() or (target / MANIFEST).read_bytes() != raw:
            return False
        files = read_manifest(target).files
    except (OSError, StoreError):
        return False
    return not any(check_file(target, path, entry, checksum=False) for path, entry in files.items())


def _unpack(bundle: Path, archive: zipfile.ZipFile, raw: bytes, target: Path, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(target.parent)
    partial = Path(tempfile.mkdtemp(prefix="unpacking-", dir=target.parent))
    try:
        (partial / MANIFEST).write_bytes(raw)
        manifest = read_manifest(partial)  # checks every path, size and name before any is used
        _check_members(archive, manifest)
        total = sum(entry.size for entry in manifest.files.values())
        free = shutil.disk_usage(target.parent).free
        if total > free:
            raise StoreError(
                f"{bundle} needs {total / 1e6:,.0f} MB in {target.parent}, where {free / 1e6:,.0f} MB are free. "
                f"Set {CACHE_VARIABLE} to a folder with more room."
            )
        done = 0
        for path, entry in manifest.files.items():
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            _copy(archive, path, entry, partial / path)
            done += entry.size
            progress(done, total, path)
        if _is_unpacked(target, raw):  # another process was faster
            return
        if target.is_dir() and not target.is_symlink():  # damaged since it was unpacked
            shutil.rmtree(target)
        try:
            os.replace(partial, target)
        except OSError:
            if not _is_unpacked(target, raw):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_members(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    members = archive.infolist()[1:]
    sizes = {member.filename: member.file_size for member in members}
    if len(sizes) != len(members) or sizes != {path: entry.size for path, entry in manifest.files.items()}:
        raise ValueError("its files are not those of its manifest")


def _copy(archive: zipfile.ZipFile, path: str, entry: FileEntry, target: Path) -> None:
    digest = hashlib.sha256()
    size = 0
    with archive.open(path) as source, target.open("xb") as file:
        while block := source.read(_BLOCK):
            size += len(block)
            if size > entry.size:
                break
            digest.update(block)
            file.write(block)
    if size != entry.size or digest.hexdigest() != entry.sha256:
        raise ValueError(f"{path} in it differs from the manifest")


def _remove_stale(folder: Path) -> None:
    for left in folder.glob("unpacking-*"):
        try:
            if time.time() - left.lstat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue
