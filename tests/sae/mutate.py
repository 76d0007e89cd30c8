"""Mutated stores for fuzzing: bit flips, truncations, swapped files, mutated JSON, resealed or not.

As a script, ``python -m tests.sae.mutate STORE N [SEED]`` reads N mutants and fails on the first that breaks.
"""

import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sae.errors import UserError
from sae.schema import MANIFEST
from tests.sae import hostile
from tests.sae.read_hostile import read_everything

SLOWEST = 10.0  # seconds to read one mutant


def mutate(build: Path, chance: random.Random) -> str:
    """Change one or two files of a build, seal it in half of the cases; what was done."""
    done = []
    for _ in range(chance.choice((1, 1, 2))):
        files = sorted(p for p in build.rglob("*") if p.is_file())
        # Metadata are few and small, and where parsers are: they are chosen as often as data.
        wanted = chance.choice(
            (lambda p: p.suffix == ".json", lambda p: p.suffix == ".parquet", lambda p: True)
        )
        path = chance.choice([p for p in files if wanted(p)])
        act = chance.choice((_flip, _flip, _truncate, _grow, _zero, _swap, _json))
        done.append(f"{act.__name__} {path.relative_to(build)} {act(path, files, chance)}")
    if chance.random() < 0.5:
        try:
            hostile.seal(build)
            done.append("sealed")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass  # the manifest itself is no longer one
    return "; ".join(done)


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
    path.write_bytes(bytes(data))
    return ""


def _truncate(path: Path, files: list[Path], chance: random.Random) -> str:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data) + 1)])
    return ""


def _grow(path: Path, files: list[Path], chance: random.Random) -> str:
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.randrange(1, 2000)))
    return ""


def _zero(path: Path, files: list[Path], chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data) + 1)
    data[at : at + 16] = bytes(len(data[at : at + 16]))
    path.write_bytes(bytes(data))
    return ""


def _swap(path: Path, files: list[Path], chance: random.Random) -> str:
    other = chance.choice(files)
    path.write_bytes(other.read_bytes())
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
    path.write_text(json.dumps(raw), encoding="utf-8")
    return f"{path.name} {key} = {str(value)[:20]!r}"


def faults(root: Path, store: Path, numbers: range, seed: int) -> list[str]:
    """Read mutants of a small store, each alone; a line for each that broke, was slow, or showed other values."""
    found = []
    sound = hostile.build_of(store)
    for number in numbers:
        chance = random.Random(f"{seed}-{number}")
        copy = root / f"mutant{number}"
        shutil.copytree(store, copy)
        done = mutate(hostile.build_of(copy), chance)
        started = time.perf_counter()
        try:
            read_everything(copy)
        except UserError as error:
            if "\n" in str(error):
                found.append(f"{number}: {done}: many lines")
        except BaseException as error:
            found.append(f"{number}: {done}: {type(error).__name__}: {error}")
        else:
            if "sealed" not in done and (changed := _different(sound, hostile.build_of(copy))):
                found.append(f"{number}: {done}: {changed} was read as if it were sound")
        if time.perf_counter() - started > SLOWEST:
            found.append(f"{number}: {done}: slow")
        shutil.rmtree(copy)
    return found


def _different(one: Path, other: Path) -> str | None:
    """A file that differs and was read nonetheless. Chunks are left out, since not all of them are read."""
    for path in sorted(
        p.relative_to(one) for p in one.rglob("*") if p.suffix in (".npy", ".parquet", ".json")
    ):
        if path.name != MANIFEST and (one / path).read_bytes() != (other / path).read_bytes():
            return str(path)
    return None


def main() -> None:
    store, n = Path(sys.argv[1]), int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        hostile.small_store(store, small)
        for start in range(0, n, 100):
            if found := faults(Path(folder), small, range(start, min(n, start + 100)), seed):
                sys.exit("\n".join(found))
            print(f"{min(n, start + 100):,} of {n:,} mutants: none broke", flush=True)


if __name__ == "__main__":
    main()
