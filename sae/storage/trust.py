"""What a store from a stranger must be before anything in it is decoded: structure, names, sizes, no links.

Everything is checked by allow-list against what Sextant itself writes: this module looks at the manifest and at
the folder, ``trust_zarr`` beside it at Zarr metadata and chunks, ``trust_parquet`` at Parquet footers and pages,
``trust_values`` at what was decoded. The numbers are in ``limits``. Checks raise ValueError with a phrase; the readers
make a sentence of it.
"""

import json
import math
import os
import re
import stat
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from sae.storage import limits
from sae.storage.stored_rows import Rows, StoredRows

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_DIGEST = re.compile(r"[0-9a-f]{64}")

# The one query encoder that the project exports; its bytes are the same wherever it is built. A graph from
# elsewhere is a program for onnxruntime to run, so it is not opened at all.
ENCODER_SHA256 = {
    "model.onnx": "1fc30590c172ef209c1d61d2a4f462095a45e4a1d2dab9f1d2cd9d8066df18ca",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "weights.bin": "84a0a4f3a3b2681e173185e62c598115bf9aca84254e619648b74757f29f7296",
}


def load_json(raw: bytes) -> Any:
    """JSON as Sextant writes it: UTF-8, no key twice, only finite numbers, depth and texts within limits."""
    depth = 0
    for byte in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', raw):
        if byte in (b"[", b"{"):
            depth += 1
            if depth > limits.MANIFEST_DEPTH:
                raise ValueError("its JSON is nested too deeply")
        elif byte in (b"]", b"}"):
            depth -= 1
        elif len(byte) > limits.MANIFEST_TEXT:
            raise ValueError("it holds a text that is too long")
    return json.loads(
        raw.decode("utf-8"), object_pairs_hook=_no_key_twice, parse_constant=_refuse, parse_float=_finite
    )


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    for key, value in pairs:
        for text in (key, value):
            # A lone surrogate cannot be shown, nor sent to a browser.
            if isinstance(text, str) and not text.isascii():
                text.encode("utf-8")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


def check_path(path: str) -> None:
    """A relative path of plain names: nothing absolute, dotted, hidden, or strange to any operating system."""
    parts = path.split("/")
    if len(path) > limits.PATH_CHARACTERS or not all(
        _PART.fullmatch(p) and not p.endswith(".") for p in parts
    ):
        raise ValueError(f"{path[:80]!r} is not a path inside the build")


def check_name(name: Any) -> None:
    """The name of a corpus or an SAE."""
    if not isinstance(name, str) or len(name) > limits.NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise ValueError(f"{str(name)[:80]!r} is not a name of a corpus or an SAE")


def check_manifest(raw: dict[str, Any]) -> None:
    """Counts, names and entries of a parsed manifest."""
    files, corpora = raw["files"], raw["corpora"]
    if len(files) > limits.FILES or len(corpora) > limits.CORPORA:
        raise ValueError("it names too many files or corpora")
    for path, entry in files.items():
        check_path(path)
        if not isinstance(entry["sha256"], str) or not _DIGEST.fullmatch(entry["sha256"]):
            raise ValueError(f"entry {path!r} has no valid checksum")
        count(entry["size"], 0, limits.FILE_BYTES, f"size of {path!r}")
        shape, dtype = entry.get("shape"), entry.get("dtype")
        if not (shape is None or (isinstance(shape, list) and all(type(n) is int for n in shape))):
            raise ValueError(f"entry {path!r} has no valid shape")
        if not (dtype is None or isinstance(dtype, str)):
            raise ValueError(f"entry {path!r} has no valid dtype")
    for name, facts in corpora.items():
        check_name(name)
        count(facts["n_documents"], 1, limits.DOCUMENTS, f"n_documents of {name!r}")
        count(facts["d_in"], 1, limits.D_IN, f"d_in of {name!r}")
        saes = facts["saes"]
        if not isinstance(saes, dict) or not 1 <= len(saes) <= limits.SAES:
            raise ValueError(f"corpus {name!r} has no list of SAEs")
        for sae, sae_facts in saes.items():
            check_name(sae)
            n_latents = count(sae_facts["n_latents"], 1, limits.LATENTS, f"n_latents of {sae!r}")
            count(sae_facts["k"], 1, min(n_latents, limits.K), f"k of {sae!r}")
    for stage in raw["stages"]:
        if not isinstance(stage, dict):
            raise TypeError("stages is not a list of objects")


def count(value: Any, least: int, most: int, what: str) -> int:
    """The value, if it is a whole number from least to most."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{what} is {str(value)[:40]!r}, not a whole number from {least} to {most:,}")
    return value


def check_folder(build: Path, known: Collection[str]) -> None:
    """Refuse links, devices, pipes and sockets anywhere in a build, and Zarr files that its manifest lacks.

    Costs one look at each entry; no file is opened.
    """
    seen = 0
    pending = [(str(build), "")]
    while pending:
        folder, prefix = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                seen += 1
                if seen > 2 * limits.FILES:
                    raise ValueError("holds more files than any real build")
                path = prefix + entry.name
                if entry.is_symlink():
                    raise ValueError(f"holds a link, {path[:120]!r}")
                if entry.is_dir(follow_symlinks=False):
                    if path.count("/") > 12:
                        raise ValueError("holds folders nested too deeply")
                    pending.append((entry.path, path + "/"))
                elif not entry.is_file(follow_symlinks=False):
                    raise ValueError(f"holds {path[:120]!r}, which is not a regular file")
                elif ".zarr/" in path and path not in known:
                    # Any chunk that lies there would be read.
                    raise ValueError(f"holds {path[:120]!r}, which its manifest lacks")


def inside(build: Path, path: str) -> Path:
    """The full path of a regular file of a build, none of whose folders is a link. Raises ValueError, OSError."""
    check_path(path)
    full = build
    parts = path.split("/")
    for number, part in enumerate(parts, start=1):
        full = full / part
        mode = full.lstat().st_mode
        if not (stat.S_ISREG(mode) if number == len(parts) else stat.S_ISDIR(mode)):
            raise ValueError("is not a regular file")
    return full


def open_matrix(path: Path, dtype: str, shape: tuple[int, int]) -> Rows:
    """The matrix in a ``.npy`` file that holds exactly this dtype and shape, in C order; in memory when small.

    NumPy's own opener would also unpack archives, and it evaluates the header; here the header is compared with the
    one that NumPy writes.
    """
    expected = f"{{'descr': {np.dtype(dtype).str!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    with ExitStack() as closing:
        file = closing.enter_context(path.open("rb", buffering=0))
        magic = file.read(10)
        if magic[:8] != b"\x93NUMPY\x01\x00":
            raise ValueError("is not a .npy file of version 1")
        header = file.read(int.from_bytes(magic[8:], "little"))
        if header.rstrip(b" \n") != expected.encode():
            raise ValueError(f"does not hold {dtype} {shape}")
        start = file.tell()
        size = os.fstat(file.fileno()).st_size
        if size != start + math.prod(shape) * np.dtype(dtype).itemsize:
            raise ValueError("has another size than its header says")
        if size > limits.HELD_BYTES:
            closing.pop_all()  # the file that was looked at is the one that is read
            return StoredRows(file, dtype, shape, start)
        data = file.read(size - start)
        if len(data) != size - start:
            raise ValueError("was cut while it was read")
        return np.frombuffer(data, dtype).reshape(shape)


def check_finite(matrix: Rows) -> None:
    """Refuse infinities and not-a-number in a large float16 or float32 matrix, a block of rows at a time."""
    rows = max(1, (1 << 20) // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), rows):
        block = matrix[start : start + rows]
        if block.dtype == np.float16:  # the exponent's bits: four times as fast as isfinite
            broken = bool(((block.view(np.uint16) & 0x7C00) == 0x7C00).any())
        else:
            broken = not np.isfinite(block).all()
        if broken:
            raise ValueError("holds numbers that are not finite")


def check_encoder(files: dict[str, str]) -> None:
    """The query encoder's files (name -> sha256 in the manifest) must be the known ones."""
    if files != ENCODER_SHA256:
        raise ValueError("holds a query encoder that Sextant does not know, and a foreign one is never run")
