"""A full disk, told in one sentence that names it, whichever library met it and in whatever words."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sae.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LITTLE = 1_000_000  # bytes
_WORDS = (
    "no space left",
    "disk is full",
    "disk quota",
    "os error 28",
    " requested and ",
)  # numpy: "1024 … 0 written"


def is_full(error: BaseException, folder: Path | str) -> bool:
    """Whether an error, or one that it came from, says that a disk is full; SQLite says so of any trouble it has."""
    seen: BaseException | None = error
    while seen is not None:
        said = str(seen).lower()
        if getattr(seen, "errno", None) in _FULL or any(words in said for words in _WORDS):
            return True
        if "disk i/o error" in said and _free(folder) < _LITTLE:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def full(folder: Path | str, remedy: str) -> UserError:
    """The sentence: which disk, how much is free there, and what to do."""
    free = "" if "://" in str(folder) else f" ({_free(folder) / 1e6:,.1f} MB free now)"
    return UserError(f"The disk of {folder} is full{free}. {remedy}")


def _free(folder: Path | str) -> int:
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


@contextmanager
def telling(folder: Path | str, remedy: str) -> Iterator[None]:
    """Turn whatever a full disk raises in the block into that sentence, a UserError."""
    try:
        yield
    except Exception as error:
        if is_full(error, folder):
            raise full(folder, remedy) from None
        raise
