"""A table of a profile as the dataclass that it stands for, each mistake in it named."""

from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sae.errors import UserError

T = TypeVar("T")


def checked_table(kind: type[T], table: Any, where: str, known: Collection[str] = ()) -> T:
    """``kind`` made of a table. ``where`` names it in messages; ``known``: its options, the fields of ``kind`` by
    default.

    Raises UserError for an unknown option, a missing one, or one of a wrong type or value.
    """
    if not isinstance(table, dict):
        raise UserError(f"{where} is {table!r}; it must be a table.")
    names = known or [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if unknown := sorted(set(table) - set(names)):
        raise UserError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(names))}.")
    try:
        return TypeAdapter(kind).validate_python(table)
    except UserError as error:  # of a value; a dataclass that knows nothing of profiles names itself
        told, own = str(error), f"{kind.__name__}."
        raise UserError(f"{where}: {told.removeprefix(own)}" if told.startswith(own) else told) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the table"
        if first["type"] in ("missing", "missing_argument"):
            raise UserError(f"{where}: {place} is missing; give it a value.") from None
        told = first["msg"].lower().replace("tuple", "list")  # as TOML calls it
        raise UserError(f"{where}: {place} is {first['input']!r}; {told}.") from None


def checked_tables(kind: type[T], tables: Any, path: Path, name: str) -> tuple[T, ...]:
    """The same of each of a profile's [[name]] tables. Raises UserError when it is written another way."""
    if not isinstance(tables, list):
        raise UserError(f"{path}: {name} is no list of tables; begin each of them with [[{name}]].")
    return tuple(checked_table(kind, table, f"{path}, [[{name}]]") for table in tables)
