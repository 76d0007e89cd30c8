"""Queries in a text file, one a line: examples for the search page, and what steering is evaluated with."""

from pathlib import Path

from sae.errors import UserError

_MOST_BYTES = 64 << 20


def read_queries(path: Path) -> tuple[str, ...]:
    """The distinct lines of a file that are neither empty nor begin with #, in their order."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} is larger than {_MOST_BYTES >> 20} MB; write one query a line.")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"The queries in {path} cannot be read ({error.strerror or error}).") from None
    except UnicodeDecodeError:
        raise UserError(f"The queries in {path} cannot be read: it is not UTF-8 text.") from None
    found = dict.fromkeys(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not found:
        raise UserError(f"{path} holds no query; write one a line.")
    return tuple(found)
