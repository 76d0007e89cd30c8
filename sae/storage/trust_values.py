"""Values of a decoded table, checked before a page uses them: texts, dates, identifiers, finite numbers."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from sae.storage import limits

# Ratios of two counts are infinite where the second is none.
_MAY_BE_INFINITE = ("ratio", "ratio_similarity", "ratio_chance", "value")
_DAYS = (-719_162, 2_932_896)  # years 1 to 9999, what Python can hold as a date

Bounds = Mapping[str, int]  # column of identifiers -> how many things there are to identify


def check_values(table: pa.Table, within: Bounds | None = None) -> None:
    """Raise ValueError for broken UTF-8, texts beyond their limit, impossible dates, identifiers that name
    nothing (``within``), and numbers that are not finite."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ValueError(" ".join(str(error).split())[:160]) from None
    for field, column in zip(table.schema, table.columns, strict=True):
        if not field.nullable and column.null_count:
            raise ValueError(f"column {field.name!r} lacks values")
        kind = field.type
        if pa.types.is_list(kind):
            column = pc.list_flatten(column)
            kind = kind.value_type
            if column.null_count:
                raise ValueError(f"lists in column {field.name!r} lack values")
        if len(column) == column.null_count:
            continue
        if pa.types.is_string(kind):
            most = limits.TEXT_CHARACTERS.get(field.name, limits.OTHER_TEXT)
            if pc.max(pc.binary_length(column)).as_py() > most:
                raise ValueError(f"column {field.name!r} holds a text of more than {most:,} bytes")
        elif pa.types.is_date32(kind):
            _check_range(field.name, column.cast(pa.int32()), *_DAYS)
        elif pa.types.is_floating(kind) and field.name not in _MAY_BE_INFINITE and not _is_finite(column):
            raise ValueError(f"column {field.name!r} holds numbers that are not finite")
        if within and field.name in within:
            _check_range(field.name, column, 0, within[field.name] - 1)


def _is_finite(column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.is_finite(column)).as_py())


def _check_range(name: str, column: pa.ChunkedArray, least: int, most: int) -> None:
    found = pc.min_max(column).as_py()
    if found["min"] < least or found["max"] > most:
        raise ValueError(f"column {name!r} holds {found['min']} to {found['max']}, not {least} to {most}")
