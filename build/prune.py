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
from sae.manifest import StoreError, read_manifest

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
    if removed:
        Display().say(f"{folder}: removed {', '.join(removed)}; {freed / 1e6:,.1f} MB freed.")
    else:
        Display().say(f"{folder}: nothing to remove; {freed / 1e6:,.1f} MB of unfinished work freed.")


def prune(out: Path, keep: int = KEPT) -> tuple[list[str], int]:
    """Names of the builds removed, oldest first, and the bytes freed. UserError when none is served, or one is made."""
    try:
        current = (out / schema.CURRENT).read_text(encoding="ascii").strip()
        finished = (out / schema.BUILDS / current / schema.MANIFEST).stat().st_mtime
    except (OSError, ValueError):
        raise UserError(f"{out} serves no build, so nothing is removed. Run `make artifacts`.") from None
    (out / "work").mkdir(exist_ok=True)
    lock = FileLock(out / "work" / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"A build is writing to {out}/. Prune it when that has ended.") from None
    try:
        builds = sorted((out / schema.BUILDS).iterdir(), key=lambda path: path.stat().st_mtime)
        whole = [path for path in builds if path.suffix != ".partial"]
        others = [path for path in whole if path.name != current]
        gone = others[: max(0, len(others) - (keep - 1))]
        needed = _stages(path for path in whole if path not in gone)
        outdated = _stages(gone) - needed
        doomed = [path for path in builds if path.suffix == ".partial"] + gone
        for path in [*(out / "work" / "stages").glob("*"), *(out / "work" / "scratch").glob("*")]:
            of_none = path.name not in needed and path.stat().st_mtime < finished
            if path.name in outdated or of_none:
                doomed.append(path)
        freed = _bytes(doomed)
        for path in doomed:
            _remove(path)
        return [path.name for path in gone], freed
    finally:
        lock.release()


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
