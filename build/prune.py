"""``python -m build.prune [FOLDER] [--keep N]``: remove earlier builds and what only they needed.

The build that CURRENT names always stays. Stage outputs stay that a kept build was made from, or that are newer than
it and so belong to a build that was stopped and will go on. Embeddings and answers that were paid for
(``work/cache``) are never touched.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout

from build.display import Display, fail
from sae import schema
from sae.errors import UserError
from sae.storage.manifest import StoreError, read_manifest

KEPT = 2


def main(
    folder: Annotated[Path, typer.Argument(help="An artifacts folder.")] = Path("artifacts"),
    keep: Annotated[int, typer.Option(min=1, help="How many builds stay, the served one among them.")] = KEPT,
) -> None:
    """Remove all but the last builds of a folder, never the one that is served, and what only they needed."""
    try:
        removed, freed = prune(folder, keep)
    except UserError as error:
        fail(str(error))
        raise typer.Exit(1) from None
    room = f"{freed / 1e6:,.1f} MB"
    if removed:
        said = f"removed {', '.join(removed)}; {room} freed."
    elif freed:
        said = f"every build stays; {room} of work freed that belongs to no build."
    else:
        said = "there is nothing to remove."
    Display().say(f"{folder}: {said}")


def prune(out: Path, keep: int = KEPT) -> tuple[list[str], int]:
    """Names of the builds removed, oldest first, and the bytes freed.

    UserError when none is served, one is made, or the served one's manifest is damaged: it says what it needs.
    """
    _served(out)
    (out / "work").mkdir(exist_ok=True)
    lock = FileLock(out / "work" / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"A build is writing to {out}/. Prune it when that has ended.") from None
    try:
        current = _served(out)  # a build may have ended since
        read_manifest(current)
        finished = (current / schema.MANIFEST).stat().st_mtime
        builds = sorted(_folders(out / schema.BUILDS), key=lambda path: path.stat().st_mtime)
        whole = [path for path in builds if path.suffix != ".partial"]
        others = [path for path in whole if path.name != current.name]
        gone = others[: max(0, len(others) - (keep - 1))]
        needed = _stages(path for path in whole if path not in gone)
        outdated = _stages(gone) - needed
        doomed = [path for path in builds if path.suffix == ".partial"] + gone
        for path in [*_folders(out / "work" / "stages"), *_folders(out / "work" / "scratch")]:
            of_none = path.name not in needed and path.stat().st_mtime < finished
            if path.name in outdated or of_none:
                doomed.append(path)
        freed = _bytes(doomed)
        for path in doomed:
            _remove(path)
        return [path.name for path in gone], freed
    finally:
        lock.release()


def _served(out: Path) -> Path:
    try:
        current = out / schema.BUILDS / (out / schema.CURRENT).read_text(encoding="ascii").strip()
        if (current / schema.MANIFEST).is_file():
            return current
    except (OSError, ValueError):
        pass
    raise UserError(f"{out} serves no build, so nothing is removed. Run `make artifacts`.")


def _folders(place: Path) -> list[Path]:
    """The folders in a folder; what a file manager left there (.DS_Store) is no build."""
    return [path for path in place.glob("*") if path.is_dir() and not path.is_symlink()]


def _stages(builds: Iterable[Path]) -> set[str]:
    """Folders under ``work/stages`` that builds were made from."""
    found: set[str] = set()
    for build in builds:
        try:
            found |= {f"{stage.get('name')}-{stage.get('key')}" for stage in read_manifest(build).stages}
        except StoreError:
            continue  # damaged: it names nothing
    return found


def _bytes(folders: list[Path]) -> int:
    """What removing the folders frees: a file that is linked from elsewhere as well takes its room still."""
    links: dict[int, list[int]] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                found = path.stat()
                links.setdefault(found.st_ino, [found.st_size, found.st_nlink])[1] -= 1
    return sum(size for size, left in links.values() if left <= 0)


def _remove(folder: Path) -> None:
    """Under another name first, so that a kill leaves no half of a build under its own."""
    if folder.suffix != ".partial":
        aside = folder.with_name(folder.name + ".partial")
        shutil.rmtree(aside, ignore_errors=True)
        folder = folder.rename(aside)
    shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
