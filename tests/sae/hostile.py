"""Stores that a stranger might send: each change takes a sound build and makes it hostile.

``seal`` then writes sizes and checksums into the manifest anew, as the stranger would: nothing here is caught
by a checksum.
"""

import json
import os
import pickle
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from sae import limits, schema
from sae.manifest import CHECKSUM, file_sha256, own_checksum, walk_files

CORPUS, SAE = "planted", "SAE3"
ONE = f"{CORPUS}/{SAE}"
Change = Callable[[Path], None]
UNSEALED: set[str] = set()
CHANGES: dict[str, Change] = {}


def small_store(store: Path, folder: Path) -> Path:
    """The served build of a store in a new artifacts folder, without its query encoder (45 MB) and with one
    corpus; the path of the build."""
    name = (store / schema.CURRENT).read_text().strip()
    build = folder / schema.BUILDS / name
    left_out = shutil.ignore_patterns(schema.QUERY_ENCODER, "planted-too", schema.DOMAINS)
    shutil.copytree(store / schema.BUILDS / name, build, ignore=left_out)
    (folder / schema.CURRENT).write_text(name + "\n")
    _edit(build, lambda raw: raw.update(corpora={CORPUS: raw["corpora"][CORPUS]}))
    seal(build)
    return build


def build_of(root: Path) -> Path:
    """The one build of an artifacts folder."""
    return next((root / schema.BUILDS).iterdir())


def seal(build: Path) -> None:
    """Make sizes and checksums in the manifest those of the files that are there."""
    path = build / schema.MANIFEST
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["files"] = {
        name: {"sha256": file_sha256(build / name), "size": (build / name).stat().st_size}
        for name in walk_files(build)
        if name != schema.MANIFEST and (build / name).is_file() and not (build / name).is_symlink()
    }
    raw[CHECKSUM] = own_checksum(raw)
    path.unlink()  # it may be a hard link
    path.write_text(json.dumps(raw), encoding="utf-8")


def change(name: str, sealed: bool = True) -> Callable[[Change], Change]:
    def register(act: Change) -> Change:
        CHANGES[name] = act
        if not sealed:
            UNSEALED.add(name)
        return act

    return register


def many(prefix: str, cases: dict[str, Any], sealed: bool = True) -> Callable[[Callable[..., None]], None]:
    """One change for each case, whose value is handed to the function."""

    def register(act: Callable[..., None]) -> None:
        for name, value in cases.items():
            change(f"{prefix}: {name}", sealed)(lambda build, value=value: act(build, value))

    return register


# ---- links, devices and paths ----


def _outside(build: Path) -> Path:
    """A pipe outside the store: whoever opens it waits for ever."""
    pipe = build.parent.parent.parent / f"{build.parent.parent.name}.outside"
    if not pipe.exists():
        os.mkfifo(pipe)
    return pipe


@many(
    "a link out of the store",
    {
        "documents": f"{CORPUS}/{schema.DOCUMENTS}",
        "embeddings": f"{CORPUS}/{schema.EMBEDDINGS}",
        "a chunk": f"{ONE}/latents.zarr/offsets/c/0",
        "Zarr metadata": f"{ONE}/sae.zarr/zarr.json",
        "the manifest": schema.MANIFEST,
    },
    sealed=False,
)
def link(build: Path, path: str) -> None:
    (build / path).unlink()
    (build / path).symlink_to(_outside(build))


@many("a linked folder", {"corpus": CORPUS, "SAE": ONE, "array": f"{ONE}/sae.zarr/mean"}, sealed=False)
def linked_folder(build: Path, path: str) -> None:
    away = build.parent.parent.parent / f"{build.parent.parent.name}.away"
    shutil.move(build / path, away)
    (build / path).symlink_to(away)


@change("the build itself is a link", sealed=False)
def linked_build(build: Path) -> None:
    away = build.parent.parent.parent / f"{build.parent.parent.name}.away"
    shutil.move(build, away)
    build.symlink_to(away)


@many(
    "a pipe",
    {
        "documents": f"{CORPUS}/{schema.DOCUMENTS}",
        "the manifest": schema.MANIFEST,
        "CURRENT": "../../CURRENT",
        "beside the files": "pipe",
    },
    sealed=False,
)
def pipe(build: Path, path: str) -> None:
    (build / path).unlink(missing_ok=True)
    os.mkfifo(build / path)


@change("a socket", sealed=False)
def a_socket(build: Path) -> None:
    here = os.getcwd()
    os.chdir(build)  # a socket's address is at most 108 bytes long
    try:
        socket.socket(socket.AF_UNIX).bind("s")
    finally:
        os.chdir(here)


@many("CURRENT", {"above": "../x", "absolute": "/etc", "long": "a" * 1_000_000}, sealed=False)
def current(build: Path, text: str) -> None:
    (build.parent.parent / schema.CURRENT).write_text(text)


def _edit(build: Path, act: Callable[[dict[str, Any]], None]) -> None:
    path = build / schema.MANIFEST
    raw = json.loads(path.read_text())
    act(raw)
    raw[CHECKSUM] = own_checksum(raw)
    path.write_text(json.dumps(raw))


@many(
    "a path in the manifest",
    {
        "above": "../../../etc/passwd",
        "absolute": "/etc/passwd",
        "dotted": "planted/./x",
        "backslash": "planted\\x",
        "drive": "C:x",
        "empty part": "a//b",
        "control": "a\nb",
        "null": "a\0b",
        "long": "a" * 5000,
        "right to left": "a\u202eb",
    },
    sealed=False,
)
def manifest_path(build: Path, path: str) -> None:
    _edit(build, lambda raw: raw["files"].update({path: {"sha256": "0" * 64, "size": 1}}))


@many("a name", {"above": "../x", "markup": "<b>x", "long": "a" * 300, "empty": ""}, sealed=False)
def corpus_name(build: Path, name: str) -> None:
    _edit(build, lambda raw: raw["corpora"].update({name: raw["corpora"][CORPUS]}))


# ---- the manifest ----


@many(
    "a count",
    {
        "negative": ("n_documents", -1),
        "huge": ("n_documents", 10**30),
        "true": ("n_documents", True),
        "text": ("n_documents", "12"),
        "no dimensions": ("d_in", 0),
        "fraction": ("d_in", 8.5),
        "other": ("n_documents", 499),
        "no SAEs": ("saes", {}),
        "SAEs without facts": ("saes", {SAE: {}}),
        "SAEs as a list": ("saes", [SAE]),
        "k above n_latents": ("saes", {SAE: {"k": 99, "n_latents": 64}}),
        "other n_latents": ("saes", {SAE: {"k": 3, "n_latents": 65}}),
    },
    sealed=False,
)
def a_count(build: Path, fact: tuple[str, Any]) -> None:
    _edit(build, lambda raw: raw["corpora"][CORPUS].update([fact]))


@many(
    "manifest text",
    {
        "nested": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "lists": b"[" * 900_000,
        "huge": b'{"a": "' + b"x" * limits.MANIFEST_BYTES + b'"}',
        "not a number": b'{"schema_version": 1, "x": NaN}',
        "infinite": b'{"schema_version": 1, "x": 1e999}',
        "long integer": b'{"schema_version": ' + b"9" * 100_000 + b"}",
        "key twice": b'{"schema_version": 1, "schema_version": 1}',
        "broken UTF-8": b'{"schema_version": 1, "title": "\xff"}',
        "lone surrogate": b'{"schema_version": 1, "title": "\\ud800"}',
        "past": b'{"schema_version": 0}',
        "future": b'{"schema_version": 99}',
        "no object": b'"1"',
    },
    sealed=False,
)
def manifest_text(build: Path, text: bytes) -> None:
    (build / schema.MANIFEST).write_bytes(text)


# ---- Zarr ----


def _array(build: Path, path: str, data: np.ndarray, **options: Any) -> None:
    """Write an array as it is, in one chunk unless told otherwise."""
    shutil.rmtree(build / path)
    given = {"chunks": data.shape, "shards": data.shape, "compressors": [ZstdCodec(level=3), Crc32cCodec()]}
    array = zarr.create_array(
        str(build / path),
        shape=data.shape,
        dtype=data.dtype,
        fill_value=0,
        zarr_format=3,
        **(given | options),
    )
    array[...] = data


def _read(build: Path, path: str) -> np.ndarray:
    return np.asarray(zarr.open_array(str(build / path), mode="r")[...])


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (f"{os.environ.get('CANARY', '/nonexistent')}",)


@change("Zarr 2 with pickled objects")
def zarr_2(build: Path) -> None:
    folder = build / ONE / "sae.zarr"
    shutil.rmtree(folder)
    group = zarr.open_group(str(folder), mode="w", zarr_format=2)
    group.attrs.update(k=3, scale=1.0)
    metadata = {
        "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "compressor": None, "fill_value": None,
        "order": "C", "filters": [{"id": "pickle", "protocol": 5}],
    }  # fmt: skip
    for name in schema.SAE_ARRAYS:
        (folder / name).mkdir()
        (folder / name / ".zarray").write_text(json.dumps(metadata))
        (folder / name / "0").write_bytes(pickle.dumps(np.array([_Payload()], object)))


@many("Zarr codec", {"blosc": BloscCodec(), "gzip": GzipCodec()})
def zarr_codec(build: Path, codec: Any) -> None:
    path = f"{ONE}/sae.zarr/mean"
    _array(build, path, _read(build, path), compressors=[codec, Crc32cCodec()])


@change("Zarr without checksums")
def no_checksum(build: Path) -> None:
    path = f"{ONE}/sae.zarr/mean"
    _array(build, path, _read(build, path), compressors=[ZstdCodec(level=3)])


@change("Zarr without shards")
def no_shards(build: Path) -> None:
    path = f"{ONE}/sae.zarr/mean"
    _array(build, path, _read(build, path), shards=None)


def _sharding(raw: dict[str, Any]) -> dict[str, Any]:
    return raw["codecs"][0]["configuration"]


@many(
    "Zarr metadata",
    {
        "pickle codec": lambda raw: _sharding(raw)["codecs"].insert(1, {"name": "numcodecs.pickle"}),
        "codec of its own": lambda raw: raw.update(codecs=[{"name": "os.system", "configuration": {}}]),
        "no codecs": lambda raw: raw.update(codecs=[]),
        "dtype object": lambda raw: raw.update(data_type="object"),
        "dtype text": lambda raw: raw.update(data_type="string"),
        "dtype other": lambda raw: raw.update(data_type="float64"),
        "chunk 0": lambda raw: _sharding(raw).update(chunk_shape=[0]),
        "chunk negative": lambda raw: _sharding(raw).update(chunk_shape=[-1]),
        "chunk huge": lambda raw: _sharding(raw).update(chunk_shape=[10**12]),
        "shard huge": lambda raw: raw["chunk_grid"]["configuration"].update(chunk_shape=[10**15]),
        "shape huge": lambda raw: raw.update(shape=[10**15]),
        "shape negative": lambda raw: raw.update(shape=[-5]),
        "shape fraction": lambda raw: raw.update(shape=[2.5]),
        "rank 40": lambda raw: raw.update(shape=[1] * 40),
        "rank 0": lambda raw: raw.update(shape=[]),
        "big endian": lambda raw: _sharding(raw)["codecs"][0]["configuration"].update(endian="big"),
        "key encoding": lambda raw: raw["chunk_key_encoding"]["configuration"].update(separator="../"),
        "fill value": lambda raw: raw.update(fill_value="NaN"),
        "transformer": lambda raw: raw.update(storage_transformers=[{"name": "x"}]),
        "attributes": lambda raw: raw.update(attributes={"x": "y" * 1000}),
        "group": lambda raw: raw.update(node_type="group"),
        "format": lambda raw: raw.update(zarr_format=4),
        "large": lambda raw: raw.update(attributes={"x": "y" * (limits.ZARR_METADATA_BYTES + 1)}),
    },
)
def metadata(build: Path, act: Callable[[dict[str, Any]], None]) -> None:
    path = build / ONE / "latents.zarr" / "activations" / "zarr.json"
    raw = json.loads(path.read_text())
    act(raw)
    path.write_text(json.dumps(raw))


@many(
    "SAE attribute",
    {"k text": {"k": "3"}, "k true": {"k": True}, "scale 0": {"scale": 0.0}, "more": {"x": 1}},
)
def attribute(build: Path, update: dict[str, Any]) -> None:
    path = build / ONE / "sae.zarr" / "zarr.json"
    raw = json.loads(path.read_text())
    raw["attributes"].update(update)
    path.write_text(json.dumps(raw))


def _crc(data: bytes) -> bytes:
    import google_crc32c

    return data + struct.pack("<I", google_crc32c.value(data))


@many("Zstandard bomb", {"stated": 1, "unstated": 2, "two frames": 3})
def zstd_bomb(build: Path, kind: int) -> None:
    path = build / ONE / "latents.zarr" / "offsets"
    size = _read(build, f"{ONE}/latents.zarr/offsets").nbytes
    frame = bytes(Zstd(level=3).encode(bytes(100_000_000 if kind < 3 else size)))
    if kind == 2:  # the size is taken out of the header, and a window descriptor put in its place
        frame = frame[:4] + bytes([0, 0x60]) + frame[9:]
    frame = _crc(frame * (1000 if kind == 3 else 1))
    (path / "c" / "0").write_bytes(frame + _crc(struct.pack("<QQ", 0, len(frame))))


@change("an absent chunk")
def absent_chunk(build: Path) -> None:
    shard = build / ONE / "latents.zarr" / "documents" / "c" / "0"
    raw = json.loads((shard.parent.parent / "zarr.json").read_text())
    n = raw["chunk_grid"]["configuration"]["chunk_shape"][0] // _sharding(raw)["chunk_shape"][0]
    shard.write_bytes(_crc(b"\xff" * 16 * n))


@change("a chunk that its manifest lacks", sealed=False)
def extra_chunk(build: Path) -> None:
    shutil.copy(build / ONE / "sae.zarr/mean/c/0", build / ONE / "sae.zarr/mean/c/1")


@change("a missing shard")
def missing_shard(build: Path) -> None:
    (build / ONE / "latents.zarr" / "top_acts" / "c" / "0" / "0").unlink()


def _changed(index: int, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def act(data: np.ndarray) -> np.ndarray:
        data = data.copy()
        data.flat[index] = value
        return data

    return act


_TOP = 2**63 - 1
_VALUES: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "offsets negative": ("latents.zarr/offsets", _changed(3, -5)),
    "offsets overflowing": ("latents.zarr/offsets", _changed(3, _TOP)),
    "offsets wrapping round": ("latents.zarr/offsets", _changed(3, -(2**63))),
    "offsets decreasing": ("latents.zarr/offsets", lambda a: a[::-1].copy()),
    "offsets short": ("latents.zarr/offsets", lambda a: a[:-1]),
    "offsets to nowhere": ("latents.zarr/offsets", _changed(-1, 10**9)),
    "documents beyond": ("latents.zarr/documents", lambda a: np.full_like(a, 2**31 - 1)),
    "documents negative": ("latents.zarr/documents", lambda a: -a - 1),
    "documents short": ("latents.zarr/documents", lambda a: a[:-1]),
    "activations NaN": ("latents.zarr/activations", lambda a: np.full_like(a, np.nan)),
    "activations infinite": ("latents.zarr/activations", lambda a: np.full_like(a, np.inf)),
    "top_indices beyond": ("latents.zarr/top_indices", lambda a: a + 10**6),
    "top_indices negative": ("latents.zarr/top_indices", lambda a: -a - 1),
    "top_acts NaN": ("latents.zarr/top_acts", lambda a: np.full_like(a, np.nan)),
    "top_acts wide": ("latents.zarr/top_acts", lambda a: np.repeat(a, 2, axis=1)),
    "co-occurrence negative": ("cooccurrence.zarr/offsets", _changed(3, -5)),
    "co-occurrence overflowing": ("cooccurrence.zarr/offsets", _changed(3, _TOP)),
    "co-occurrence beyond": ("cooccurrence.zarr/features", lambda a: a + 10**6),
    "co-occurrence NaN": ("cooccurrence.zarr/similarities", lambda a: np.full_like(a, np.nan)),
    "weights NaN": ("sae.zarr/W_enc", _changed(0, np.nan)),
    "weights infinite": ("sae.zarr/W_dec", _changed(9, np.inf)),
    "weights mismatched": ("sae.zarr/W_dec", lambda a: a[:, :-1].copy()),
    "weights missing a row": ("sae.zarr/W_dec", lambda a: a[:-1].copy()),
    "weights flat": ("sae.zarr/W_enc", lambda a: a.ravel()),
    "bias mismatched": ("sae.zarr/latent_bias", lambda a: a[:-1]),
}


@many("values", _VALUES)
def values(build: Path, case: tuple[str, Callable[[np.ndarray], np.ndarray]]) -> None:
    path = f"{ONE}/{case[0]}"
    _array(build, path, case[1](_read(build, path)))


# ---- Parquet ----


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


# ---- .npy, and the query encoder ----


def _npy(build: Path, act: Callable[[np.ndarray], np.ndarray]) -> None:
    path = build / CORPUS / schema.EMBEDDINGS
    np.save(path, act(np.load(path)), allow_pickle=True)


@many(
    "embeddings",
    {
        "pickled objects": lambda a: np.array([_Payload()] * len(a), object),
        "other dtype": lambda a: a.astype(np.float32),
        "text": lambda a: a.astype("U8"),
        "records": lambda a: np.zeros(a.shape, [("x", "f2")]),
        "column order": np.asfortranarray,
        "fewer rows": lambda a: a[:-1],
        "flat": np.ravel,
        "NaN": _changed(7, np.nan),
        "infinite": _changed(7, np.inf),
    },
)
def embeddings(build: Path, act: Callable[[np.ndarray], np.ndarray]) -> None:
    _npy(build, act)


@many(
    ".npy header",
    {
        "huge shape": b"{'descr': '<f2', 'fortran_order': False, 'shape': (500, 9999999999999999)}",
        "negative shape": b"{'descr': '<f2', 'fortran_order': False, 'shape': (-500, 16)}",
        "nested": b"(" * 5000 + b")" * 5000,
        "code": b"{'descr': __import__('os').mkdir('/tmp/x'), 'fortran_order': False, 'shape': (1,)}",
        "empty": b"",
    },
)
def npy_header(build: Path, text: bytes) -> None:
    path = build / CORPUS / schema.EMBEDDINGS
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(4000))


@change(".npy is an archive")
def npz(build: Path) -> None:
    path = build / CORPUS / schema.EMBEDDINGS
    data = np.load(path)
    with path.open("wb") as file:
        np.savez(file, data)


@change("a foreign query encoder")
def encoder(build: Path) -> None:
    folder = build / schema.QUERY_ENCODER
    folder.mkdir()
    for name in ("model.onnx", "tokenizer.json", "weights.bin"):
        (folder / name).write_bytes(b"{}")
