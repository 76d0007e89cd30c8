"""Hostile Parquet."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sae import schema
from tests.sae.hostile import CORPUS, ONE, change, many


def _table(build: Path, path: str, act: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    table = act(pq.read_table(build / path))
    pq.write_table(table, build / path, **({"compression": "zstd", "write_page_checksum": True} | options))


def _column(
    name: str, make: Callable[[int], Any], kind: pa.DataType | None = None
) -> Callable[[pa.Table], pa.Table]:
    def act(table: pa.Table) -> pa.Table:
        at = table.column_names.index(name)
        field = table.schema.field(at)
        made = make(len(table))
        made = made if isinstance(made, pa.Array) else pa.array(made, kind or field.type)
        return table.set_column(at, pa.field(name, made.type, nullable=field.nullable), made)

    return act


def _broken_text(n: int) -> pa.Array:
    return pa.Array.from_buffers(
        pa.string(),
        n,
        [None, pa.py_buffer(np.arange(n + 1, dtype="<i4").tobytes()), pa.py_buffer(b"\xff" * n)],
    )


def _lists(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)


def _long_list(n: int) -> pa.Array:
    offsets = np.full(n + 1, 30_000_000, np.int32)
    offsets[0] = 0
    return pa.ListArray.from_arrays(pa.array(offsets), pa.repeat("", 30_000_000))


_DOCS, _FEATURES = f"{CORPUS}/{schema.DOCUMENTS}", f"{ONE}/{schema.FEATURES}"


@many(
    "columns",
    {
        "missing": lambda t: t.drop_columns(["text"]),
        "extra": lambda t: t.append_column("extra", t["title"]),
        "doubled": lambda t: t.append_column("title", t["title"]),
        "reordered": lambda t: t.select(t.column_names[::-1]),
        "other type": _column("citation_count", lambda n: ["x"] * n, pa.string()),
        "dictionary type": lambda t: t.set_column(
            1, "title", t["title"].combine_chunks().dictionary_encode()
        ),
        "nullable": lambda t: t.cast(pa.schema([f.with_nullable(True) for f in t.schema])),
        "fewer rows": lambda t: t.slice(1),
        "no rows": lambda t: t.slice(0, 0),
        "date beyond": _column("date", lambda n: pa.array([2**31 - 1] * n, pa.int32()).view(pa.date32())),
        "date before": _column("date", lambda n: pa.array([-(2**31)] * n, pa.int32()).view(pa.date32())),
        "broken UTF-8": _column("title", _broken_text),
        "broken UTF-8 in lists": _column("authors", lambda n: _lists(_broken_text(n))),
        "long title": _column("title", lambda n: ["x" * 1_000_000] + ["x"] * (n - 1)),
        "list bomb": _column("authors", _long_list),
    },
)
def columns(build: Path, act: Callable[[pa.Table], pa.Table]) -> None:
    _table(build, _DOCS, act)


@many("Parquet codec", {name: name for name in ("snappy", "gzip", "brotli", "lz4", "none")})
def parquet_codec(build: Path, codec: str) -> None:
    _table(build, _DOCS, lambda t: t, compression=codec)


@change("Parquet encoding")
def parquet_encoding(build: Path) -> None:
    _table(build, _DOCS, lambda t: t, use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"})


@change("Parquet without checksums")
def parquet_no_checksum(build: Path) -> None:
    _table(build, _DOCS, lambda t: t, write_page_checksum=False)


@change("Parquet dictionary bomb")
def dictionary_bomb(build: Path) -> None:
    _table(build, _DOCS, _column("text", lambda n: pa.repeat("x" * 350_000, n)))


@change("Parquet bomb")
def parquet_bomb(build: Path) -> None:
    _table(
        build,
        _DOCS,
        _column("text", lambda n: [" " * 100_000] * n),
        use_dictionary=False,
        data_page_size=1 << 30,
    )


@many(
    "footer",
    {
        "long": b"\xff\xff\xff\x7fPAR1",
        "negative": b"\xff\xff\xff\xffPAR1",
        "none": b"\0\0\0\0PAR1",
        "encrypted": b"\x10\0\0\0PARE",
    },
)
def footer(build: Path, tail: bytes) -> None:
    path = build / _DOCS
    path.write_bytes(path.read_bytes()[:-8] + tail)


@many("a page header", {"of a dictionary": True, "of data": False})
def page_header(build: Path, dictionary: bool) -> None:
    """What should be a struct is a number."""
    path = build / _DOCS
    table = pq.read_table(path)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True, use_dictionary=dictionary)
    chunk = pq.read_metadata(path).row_group(0).column(0)
    at = chunk.dictionary_page_offset if dictionary else chunk.data_page_offset
    data = bytearray(path.read_bytes())
    # Kind, sizes and checksum: a head, and a number of which all bytes but the last have bit 7.
    for _ in range(4):
        at += 1
        while data[at] & 128:
            at += 1
        at += 1
    assert data[at] & 15 == 12
    data[at] ^= 12 ^ 5
    path.write_bytes(data)


@change("Parquet of noise")
def noise(build: Path) -> None:
    data = np.random.default_rng(0).bytes(4000)
    (build / _DOCS).write_bytes(b"PAR1" + data + struct.pack("<I", 2000) + b"PAR1")


@many(
    "features",
    {
        "similar beyond": _column("most_similar", lambda n: [[10**6]] * n),
        "similar negative": _column("least_similar", lambda n: [[-1]] * n),
        "co-occurring beyond": _column("cooccurring", lambda n: [[n]] * n),
        "in other SAEs beyond": _column("other_features", lambda n: [[10**6]] * n),
        "in unknown SAEs": _column("other_saes", lambda n: [["../x"]] * n),
        "doubled": _column("feature_id", lambda n: [0] * n),
        "label of 10 MB": _column("label", lambda n: ["x" * 10_000_000] + ["x"] * (n - 1)),
        "density NaN": _column("density", lambda n: [float("nan")] * n),
        "score infinite": _column("pearson_random", lambda n: [float("inf")] * n),
        "fewer": lambda t: t.slice(1),
    },
)
def features(build: Path, act: Callable[[pa.Table], pa.Table]) -> None:
    _table(build, _FEATURES, act)


@change("evidence of documents that are not there")
def evidence(build: Path) -> None:
    _table(build, f"{ONE}/{schema.EVIDENCE}", _column("document", lambda n: [10**6] * n))


@change("splitting into features that are not there")
def splitting(build: Path) -> None:
    _table(build, f"{CORPUS}/{schema.SPLITTING}", _column("nearest", lambda n: [10**6] * n))
