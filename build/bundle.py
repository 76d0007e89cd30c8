"""``python -m build.bundle [FOLDER] [FILE]``: write a build into one file to give away, its sha256 beside it."""

import os
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from build.display import Display, fail
from sae import schema
from sae.errors import UserError
from sae.progress import Progress, silent
from sae.storage.bundle import SUFFIX
from sae.storage.disk import full, is_full
from sae.storage.manifest import check_file, file_sha256
from sae.store import Store, open_store

_TIME = (1980, 1, 1, 0, 0, 0)  # zip's earliest: equal builds give equal bundles
_BLOCK = 1 << 20


def main(
    folder: Annotated[
        str, typer.Argument(help="An artifacts folder, one build in it, or an address.")
    ] = "artifacts",
    target: Annotated[
        Path | None, typer.Argument(help="The file to write; by default <build>.sextant.")
    ] = None,
) -> None:
    """Write the served build into one uncompressed file, after comparing every byte with its manifest."""
    display = Display()
    try:
        store = open_store(folder)
        path = target or Path(f"{store.manifest.build}{SUFFIX}")
        with display.task("", f"bundle {store.path}", "MB") as progress:
            digest = write_bundle(store, path, progress)
        display.say(f"{path}: {path.stat().st_size / 1e6:,.1f} MB, sha256 {digest} (in {path}.sha256).")
        display.say(f"Whoever receives it: ARTIFACTS={path} streamlit run dashboard/Home.py")
    except UserError as error:
        fail(str(error))
        raise typer.Exit(1) from None


def write_bundle(store: Store, path: Path, progress: Progress | None = None) -> str:
    """Write a store's build to ``path`` and its checksum to ``path.sha256``, whole or not at all; the checksum.

    Raises UserError when a file of the build is damaged, the name lacks the suffix, or the disk is full.
    """
    report = progress or silent
    if path.suffix != SUFFIX:
        raise UserError(f"{path} must end in {SUFFIX}, so that others know what it is.")
    partial, noted = (path.with_name(path.name + end) for end in (".partial", ".sha256.partial"))
    files = store.manifest.files
    total = sum(entry.size for entry in files.values())
    done = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, store.path, schema.MANIFEST)
            for name, entry in sorted(files.items()):
                if reason := check_file(store.path, name, entry):
                    raise UserError(f"{store.path / name} {reason}. Run `make artifacts` to mend it.")
                _add(archive, store.path, name)
                done += entry.size
                report(done // 1_000_000, total // 1_000_000, name)
        digest = file_sha256(partial)
        noted.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
        os.replace(partial, path)
        os.replace(noted, path.with_name(path.name + ".sha256"))
    except OSError as error:
        if is_full(error, path.parent):
            raise full(path.parent, f"{path.name} was not written; make room and run it again.") from None
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}). Name another file, or mend that and run it again."
        ) from None
    finally:
        for left in (partial, noted):
            left.unlink(missing_ok=True)
    return digest


def _add(archive: zipfile.ZipFile, build: Path, name: str) -> None:
    member = zipfile.ZipInfo(name, _TIME)
    member.external_attr = 0o100644 << 16
    member.file_size = (build / name).stat().st_size  # says at once whether 64-bit sizes are needed
    with (build / name).open("rb") as source, archive.open(member, "w") as file:
        while block := source.read(_BLOCK):
            file.write(block)


if __name__ == "__main__":
    typer.run(main)
