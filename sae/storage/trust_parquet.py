"""Parquet of a store, checked before Arrow decodes it: codecs, encodings, and how large every page will become.

The footer states sizes, but Arrow allocates what each page's own header says, so those headers are read here
(Apache Parquet format, ``PageHeader`` in Thrift's compact protocol). A dictionary lets one long text stand for
millions of rows, so the longest entry counts. Checks raise ValueError or OSError.
"""

import os
import stat
import struct
from pathlib import Path
from typing import Any, TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq

from sae.storage import limits

_MAGIC = b"PAR1"
_PLAIN, _PLAIN_DICTIONARY, _RLE, _RLE_DICTIONARY = 0, 2, 3, 8
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3  # page types
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8}
_CHEAP_BYTES = 32 << 20  # below this bound a dictionary's longest entry need not be looked up

Sizes = dict[str, int]  # column -> bytes when decoded

_kept: dict[tuple[str, int, int, int], Sizes] = {}
_MOST_KEPT = 1024


def footer_fits(path: Path) -> None:
    """Refuse what is not a Parquet file, or has a footer beyond the limit."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(0, found.st_size - 8))
        tail = file.read(8)
    if found.st_size < 12 or head != _MAGIC or tail[4:] != _MAGIC:
        raise ValueError("it is not a Parquet file")
    if int.from_bytes(tail[:4], "little") > min(limits.PARQUET_FOOTER_BYTES, found.st_size - 12):
        raise ValueError("its footer is too large")


def decoded_sizes(path: Path, metadata: pq.FileMetaData) -> Sizes:
    """Bytes that each column takes when decoded, after every page header was found sound; kept for a file."""
    found = path.stat()
    key = (str(path), found.st_ino, found.st_size, found.st_mtime_ns)
    if key not in _kept:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = _decoded_sizes(path, found.st_size, metadata)
    return _kept[key]


def _decoded_sizes(path: Path, size: int, metadata: pq.FileMetaData) -> Sizes:
    if metadata.num_row_groups > limits.PARQUET_GROUPS or metadata.num_columns > limits.PARQUET_COLUMNS:
        raise ValueError("it has too many row groups or columns")
    sizes: Sizes = {}
    rows = 0
    with path.open("rb") as file:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            rows += group.num_rows
            in_group = 0
            for place in range(group.num_columns):
                column = group.column(place)
                decoded = _column(file.fileno(), size, column, group.num_rows)
                in_group += decoded
                name = column.path_in_schema.split(".")[0]
                sizes[name] = sizes.get(name, 0) + decoded
            if in_group > limits.GROUP_BYTES:
                raise ValueError("a row group would take too much memory")
    if rows != metadata.num_rows or rows > limits.ARRAY_BYTES // 64:
        raise ValueError("its row counts disagree")
    return sizes


def _column(file: int, size: int, column: Any, n_rows: int) -> int:
    """Bytes that one column chunk decodes to."""
    if column.compression != "ZSTD" or column.file_path:
        raise ValueError(f"column {column.path_in_schema!r} is not compressed as Sextant does")
    is_list = "." in column.path_in_schema
    n_values = column.num_values
    if not (0 <= n_values <= limits.VALUES_A_ROW * n_rows if is_list else n_values == n_rows):
        raise ValueError(f"column {column.path_in_schema!r} has another number of values than rows")
    if n_values == 0:  # Arrow reads no page of such a chunk, and writes offsets that mean nothing
        return 0
    at = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        at = min(at, column.dictionary_page_offset)
    end = at + column.total_compressed_size
    if not 4 <= at <= end <= size - 8:
        raise ValueError("a column lies outside the file")
    # Arrow counts a chunk by its values, and stops reading pages there: so must this.
    seen, plain, by_code, longest = 0, 0, 0, 0
    first = True
    width = _WIDTHS.get(column.physical_type)
    if width is None and column.physical_type != "BYTE_ARRAY":
        raise ValueError(f"column {column.path_in_schema!r} is of a type that Sextant does not write")
    while at < end:
        header, length = _page_header(file, at, end)
        kind, unpacked, packed = header.get(1), header.get(2), header.get(3)
        if not (
            _is_count(unpacked, limits.PAGE_BYTES) and _is_count(packed, end - at - length)
        ) or not isinstance(header.get(4), int):
            raise ValueError("a page has no checksum or an impossible size")
        body = at + length
        if kind == _DICTIONARY and first:
            entry = _inner(header, 7)
            if entry.get(2, 0) not in (_PLAIN, _PLAIN_DICTIONARY):
                raise ValueError("a dictionary is encoded in a way that Sextant does not write")
            longest = width or unpacked
            if not width and n_values * unpacked > _CHEAP_BYTES:
                longest = _longest(os.pread(file, packed, body), unpacked)
        elif kind in (_DATA, _DATA_V2):
            entry = _inner(header, 5 if kind == _DATA else 8)
            encoding, values = entry.get(2 if kind == _DATA else 4), entry.get(1)
            if not _is_count(values, n_values - seen):
                raise ValueError("a page holds more values than its column")
            seen += values
            if encoding == _PLAIN or (encoding == _RLE and column.physical_type == "BOOLEAN"):
                plain += unpacked
            elif encoding in (_RLE_DICTIONARY, _PLAIN_DICTIONARY):
                by_code += values
            else:
                raise ValueError("a page is encoded in a way that Sextant does not write")
        else:
            raise ValueError("a page is of a kind that Sextant does not write")
        first = False
        at = body + packed
    if seen != n_values:
        raise ValueError("its pages hold another number of values than it says")
    return plain + by_code * longest + 8 * n_values


def _inner(header: dict[int, Any], field: int) -> dict[int, Any]:
    """A struct in a page header."""
    if not isinstance(entry := header.get(field), dict):
        raise ValueError("a page header lacks what its page needs")
    return entry


def _is_count(value: Any, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value <= most


def _longest(packed: bytes, unpacked: int) -> int:
    """Bytes of the longest text in a dictionary page."""
    try:
        page = pa.Codec("zstd").decompress(packed, decompressed_size=unpacked, asbytes=True)
    except (pa.ArrowException, OSError):
        raise ValueError("a dictionary cannot be decompressed") from None
    at = longest = 0
    while at + 4 <= len(page):
        length = struct.unpack_from("<I", page, at)[0]
        longest = max(longest, length)
        at += 4 + length
    return longest


def _page_header(file: int, at: int, end: int) -> tuple[dict[int, Any], int]:
    """(fields of the PageHeader at an offset, its length)."""
    for window in (256, 8 << 10, 1 << 20):
        raw = os.pread(file, min(window, end - at), at)
        try:
            return _struct(raw, 0, 0)
        except IndexError:
            if len(raw) == end - at:
                break
    raise ValueError("a page header is cut off")


def _struct(raw: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """A struct in Thrift's compact protocol: field -> number, struct, or None for what is not needed."""
    if depth > 4:
        raise ValueError("a page header is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head = raw[at]
        at += 1
        if head == 0:
            return fields, at
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _varint(raw, at)
            number = number >> 1 ^ -(number & 1)
        value: Any = None
        if kind in (1, 2):
            pass  # true or false, in the head itself
        elif kind == 3:
            at += 1
        elif kind in (4, 5, 6):
            value, at = _varint(raw, at)
            value = value >> 1 ^ -(value & 1)
        elif kind == 8:
            length, at = _varint(raw, at)
            at += length
        elif kind == 12:
            value, at = _struct(raw, at, depth + 1)
        else:
            raise ValueError("a page header holds what no page header has")
        if at > len(raw):
            raise IndexError
        fields[number] = value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a page header holds a broken number")
