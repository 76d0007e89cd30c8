"""Hostile Zarr, ``.npy`` files and query encoders."""

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from sae import schema
from sae.storage import limits
from tests.sae.hostile import CORPUS, ONE, Payload, change, changed, many


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
        (folder / name / "0").write_bytes(pickle.dumps(np.array([Payload()], object)))


@many("Zarr codec", {"blosc": BloscCodec(), "gzip": GzipCodec()})
def zarr_codec(build: Path, codec: Any) -> None:
    path = f"{ONE}/sae.zarr/mean"
    _array(build, path, _read(build, path), compressors=[codec, Crc32cCodec()])


@change("Blosc bomb")
def blosc_bomb(build: Path) -> None:
    _array(build, f"{ONE}/latents.zarr/documents", np.zeros(50_000_000, np.int32), compressors=[BloscCodec()])


@change("Zarr 3 with a pickling filter")
def zarr_filter(build: Path) -> None:
    path = build / ONE / "sae.zarr" / "mean" / "zarr.json"
    raw = json.loads(path.read_text())
    raw["codecs"].insert(0, {"name": "numcodecs.pickle", "configuration": {"protocol": 5}})
    path.write_text(json.dumps(raw))
    (path.parent / "c" / "0").write_bytes(pickle.dumps(Payload()))


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


_TOP = 2**63 - 1
_VALUES: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "offsets negative": ("latents.zarr/offsets", changed(3, -5)),
    "offsets overflowing": ("latents.zarr/offsets", changed(3, _TOP)),
    "offsets wrapping round": ("latents.zarr/offsets", changed(3, -(2**63))),
    "offsets decreasing": ("latents.zarr/offsets", lambda a: a[::-1].copy()),
    "offsets short": ("latents.zarr/offsets", lambda a: a[:-1]),
    "offsets to nowhere": ("latents.zarr/offsets", changed(-1, 10**9)),
    "documents beyond": ("latents.zarr/documents", lambda a: np.full_like(a, 2**31 - 1)),
    "documents negative": ("latents.zarr/documents", lambda a: -a - 1),
    "documents short": ("latents.zarr/documents", lambda a: a[:-1]),
    "activations NaN": ("latents.zarr/activations", lambda a: np.full_like(a, np.nan)),
    "activations infinite": ("latents.zarr/activations", lambda a: np.full_like(a, np.inf)),
    "top_indices beyond": ("latents.zarr/top_indices", lambda a: a + 10**6),
    "top_indices negative": ("latents.zarr/top_indices", lambda a: -a - 1),
    "top_acts NaN": ("latents.zarr/top_acts", lambda a: np.full_like(a, np.nan)),
    "top_acts wide": ("latents.zarr/top_acts", lambda a: np.repeat(a, 2, axis=1)),
    "co-occurrence negative": ("cooccurrence.zarr/offsets", changed(3, -5)),
    "co-occurrence overflowing": ("cooccurrence.zarr/offsets", changed(3, _TOP)),
    "co-occurrence beyond": ("cooccurrence.zarr/features", lambda a: a + 10**6),
    "co-occurrence NaN": ("cooccurrence.zarr/similarities", lambda a: np.full_like(a, np.nan)),
    "weights NaN": ("sae.zarr/W_enc", changed(0, np.nan)),
    "weights infinite": ("sae.zarr/W_dec", changed(9, np.inf)),
    "weights mismatched": ("sae.zarr/W_dec", lambda a: a[:, :-1].copy()),
    "weights missing a row": ("sae.zarr/W_dec", lambda a: a[:-1].copy()),
    "weights flat": ("sae.zarr/W_enc", lambda a: a.ravel()),
    "bias mismatched": ("sae.zarr/latent_bias", lambda a: a[:-1]),
}


@many("values", _VALUES)
def values(build: Path, case: tuple[str, Callable[[np.ndarray], np.ndarray]]) -> None:
    path = f"{ONE}/{case[0]}"
    _array(build, path, case[1](_read(build, path)))


def _npy(build: Path, act: Callable[[np.ndarray], np.ndarray]) -> None:
    path = build / CORPUS / schema.EMBEDDINGS
    np.save(path, act(np.load(path)), allow_pickle=True)


@many(
    "embeddings",
    {
        "pickled objects": lambda a: np.array([Payload()] * len(a), object),
        "other dtype": lambda a: a.astype(np.float32),
        "text": lambda a: a.astype("U8"),
        "records": lambda a: np.zeros(a.shape, [("x", "f2")]),
        "column order": np.asfortranarray,
        "fewer rows": lambda a: a[:-1],
        "flat": np.ravel,
        "NaN": changed(7, np.nan),
        "infinite": changed(7, np.inf),
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
        "cut": b"{'descr': '<f2', 'fortran_order': False, 'shape': (500, ",
        "open string": b"{'descr': '<f2', 'fortran_order': False, \"\"\"",
        "noise": bytes(range(1, 118)),
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
