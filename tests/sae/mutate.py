"""Mutated stores for fuzzing: bit flips, truncations, swapped files, mutated JSON, resealed or not.

As a script, ``python -m tests.sae.mutate STORE N [SEED [START]] [--pages]`` reads mutants START … N, on pages too with
``--pages``, and prints a line for each that broke.
"""

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.sae import hostile


def mutate(build: Path, chance: random.Random) -> tuple[str, set[str]]:
    """Change one or two files of a build, whose files may be hard links, and seal it in half of the cases.

    What was done, and the paths of the files that were changed.
    """
    done = []
    before = {path: path.stat().st_ino for path in build.rglob("*") if path.is_file()}
    for _ in range(chance.choice((1, 1, 2))):
        files = sorted(p for p in build.rglob("*") if p.is_file())
        # Metadata are few and small, and where parsers are: they are chosen as often as data.
        wanted = chance.choice(
            (lambda p: p.suffix == ".json", lambda p: p.suffix == ".parquet", lambda p: True)
        )
        path = chance.choice([p for p in files if wanted(p)])
        act = chance.choice((_flip, _flip, _truncate, _grow, _zero, _swap, _json))
        done.append(f"{act.__name__} {path.relative_to(build)} {act(path, files, chance)}")
    changed = {str(p.relative_to(build)) for p, inode in before.items() if p.stat().st_ino != inode}
    if chance.random() < 0.5:
        try:
            hostile.seal(build)
            done.append("sealed")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass  # the manifest itself is no longer one
    return "; ".join(done), changed


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name("fresh")  # another file, with an inode of its own while the old one is still there
    fresh.write_bytes(data)
    fresh.replace(path)


def _flip(path: Path, files: list[Path], chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 4, 64)) if data else 0):
        # The ends of files hold headers, indices and footers.
        at = chance.choice(
            (
                chance.randrange(len(data)),
                chance.randrange(min(64, len(data))),
                -1 - chance.randrange(min(400, len(data))),
            )
        )
        data[at] ^= 1 << chance.randrange(8)
    _write(path, bytes(data))
    return ""


def _truncate(path: Path, files: list[Path], chance: random.Random) -> str:
    data = path.read_bytes()
    _write(path, data[: chance.randrange(len(data) + 1)])
    return ""


def _grow(path: Path, files: list[Path], chance: random.Random) -> str:
    _write(path, path.read_bytes() + chance.randbytes(chance.randrange(1, 2000)))
    return ""


def _zero(path: Path, files: list[Path], chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data) + 1)
    data[at : at + 16] = bytes(len(data[at : at + 16]))
    _write(path, bytes(data))
    return ""


def _swap(path: Path, files: list[Path], chance: random.Random) -> str:
    other = chance.choice(files)
    _write(path, other.read_bytes())
    return f"by {other.name}"


def _json(path: Path, files: list[Path], chance: random.Random) -> str:
    path = path if path.suffix == ".json" else chance.choice([p for p in files if p.suffix == ".json"])
    try:
        raw = json.loads(path.read_bytes())
    except ValueError:
        return ""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            places.append((value, key))
            walk(value[key])

    walk(raw)
    if not places:
        return ""
    # The manifest's entries of files are many and alike; what stands above them is chosen as often.
    owner, key = chance.choice(places[:200] if chance.random() < 0.5 else places)
    value = chance.choice(
        (
            None,
            True,
            -1,
            0,
            1,
            2**31,
            10**30,
            0.5,
            "",
            "x",
            "../x",
            "<b>x</b>",
            "\u202e",
            [],
            [1],
            {},
            {"a": 1},
            "delete",
        )
    )
    if value == "delete":
        del owner[key]
    else:
        owner[key] = value
    _write(path, json.dumps(raw).encode())
    return f"{path.name} {key} = {str(value)[:20]!r}"


def main() -> None:
    from tests.sae.fuzz import Fuzz  # which reads what this module writes

    options = [a for a in sys.argv[1:] if a.startswith("--")]
    store, *numbers = (a for a in sys.argv[1:] if not a.startswith("--"))
    n, seed, start = (int(v) for v in (*numbers, *("10000", "0", "0")[len(numbers) :]))
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(store), Path(folder), pages="--pages" in options)
        for first in range(start, n, 100):
            for line in fuzz.faults(range(first, min(n, first + 100)), seed):
                print(line, flush=True)
            print(f"{min(n, first + 100):,} of {n:,}: {fuzz.summary()}", flush=True)
        sys.exit(1 if fuzz.broken else 0)


if __name__ == "__main__":
    main()
