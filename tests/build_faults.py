"""Faults while a store is built: kills, a full disk, two builders in one folder, a builder beside a bundler.

As a script, ``python -m tests.build_faults [--kills 100] [--fills 40] [--rounds 20] [--disk FOLDER]``; the suite runs
a few of each. Builds are small (sixty documents) and forked from one process that has imported everything, so that
each takes a few processor seconds.
Each check raises AssertionError, and returns a sentence on what it did.
"""

import argparse
import contextlib
import importlib
import io
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import build.__main__ as builder
import build.bundle as bundler
import build.stages
from sae import schema
from sae.storage.manifest import damages, read_manifest
from sae.store import Store, open_store
from tests import mishaps

_PROFILE = """
title = "{title}"
held_out = 0.1
[[corpora]]
name = "planted"
licence = "MIT"
examples = ["collisions between galaxies"]
source = {{ kind = "synthetic", n_documents = 60, seed = {seed} }}
[embedder]
kind = "minilm"
[[saes]]
k = 3
n_latents = 32
[training]
steps = 20
batch_size = 32
[evaluation]
queries = 4
"""


@dataclass(frozen=True)
class Worked:
    """A folder with one build that is served, and another profile to build: its expected files."""

    base: Path
    first: str
    profile: Path
    second: str
    files: dict[str, str]
    cpu_seconds: float
    file_events: int

    def fresh(self, name: str) -> Path:
        """A copy of the folder as it was when only the first build had been made."""
        out = self.base.parent / name
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(self.base, out)
        return out


def write_profile(folder: Path, title: str, seed: int) -> Path:
    path = folder / f"{title}.toml"
    path.write_text(_PROFILE.format(title=title, seed=seed), encoding="utf-8")
    return path


def making(profile: Path, out: Path) -> Callable[[], None]:
    """``python -m build`` as a call; it ends in SystemExit, as the command does."""
    arguments = ["--profile", str(profile), "--out", str(out), "--plain"]
    return lambda: builder.app(arguments)


def load(profile: Path, out: Path) -> None:
    """What any build does before its first stage, once for all children: they are forked knowing what was imported, and
    which sources are behind each stage. No kernel and no model runs here: their threads would be missing in a child."""
    for name in ("onnxruntime", "pyarrow.dataset", "sae.compiled.fast", "sae.training.stepper"):
        importlib.import_module(name)
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        builder.app(["--profile", str(profile), "--out", str(out), "--plain", "--dry-run"])


def prepare(folder: Path) -> Worked:
    """Make the first build, and the second in a copy, undisturbed."""
    base, alone = folder / "base", folder / "alone"
    one, two = write_profile(folder, "one", 1), write_profile(folder, "two", 2)
    load(one, base)
    done = mishaps.run(making(one, base), base)
    assert done.code == 0, done.output
    for made in (base / "work" / "stages").glob("query_encoder-*"):  # else the second build takes it as it is
        shutil.rmtree(made)
    shutil.copytree(base, alone)
    done = mishaps.run(making(two, alone), alone)
    assert done.code == 0, done.output
    names = served(base), served(alone)
    files = files_of(alone)
    shutil.rmtree(alone)
    return Worked(base, names[0], two, names[1], files, done.cpu_seconds, done.file_events)


def served(out: Path) -> str:
    return (out / schema.CURRENT).read_text(encoding="ascii").strip()


def files_of(out: Path) -> dict[str, str]:
    """Path and checksum of every file of the build that is served, as its manifest gives them."""
    manifest = read_manifest(out / schema.BUILDS / served(out))
    return {path: entry.sha256 for path, entry in manifest.files.items()}


def whole(out: Path) -> Store:
    """The store that is served, after comparing every byte of it."""
    store = open_store(out)
    assert next(damages(store.path, store.manifest), None) is None, f"{store.path} is damaged"
    return store


def kill_building(worked: Worked, kills: int, chance: random.Random) -> str:
    """Kill builds of the second profile, at file events and by the clock, until each is through; then again."""
    done, through = 0, 0
    out = worked.fresh("killed")
    while done < kills:
        part = chance.uniform(0, 0.4)  # a killed build goes on, so that a few tries see all of its stages
        if chance.random() < 0.5:
            ended = mishaps.run(making(worked.profile, out), out, at_event=1 + int(part * worked.file_events))
        else:
            ended = mishaps.run(making(worked.profile, out), out, after=part * worked.cpu_seconds)
        done += ended.killed
        assert ended.killed or ended.code == 0, ended.output
        name = whole(out).manifest.build
        assert name in (worked.first, worked.second)
        assert name == worked.second or ended.code != 0
        if ended.code == 0:
            assert files_of(out) == worked.files, "a build that was killed differs from one left alone"
            through += 1
            out = worked.fresh("killed")
    ended = mishaps.run(making(worked.profile, out), out)
    assert ended.code == 0, ended.output
    assert files_of(out) == worked.files, "a build that was killed differs from one left alone"
    shutil.rmtree(out)
    return f"build: killed {done} times in {through + 1} builds; the earlier build served, the same bytes at the end"


def fill_disk(worked: Worked, times: int, chance: random.Random) -> str:
    """From some file on the disk is full, in each stage: a sentence, nothing by halves, and it goes on afterwards."""
    out = worked.fresh("full")
    stopped = set()
    for number in range(times):
        first = 1 + int(worked.file_events * (number + chance.random()) / times / 2)
        ended = mishaps.run(making(worked.profile, out), out, full_from=first)
        if ended.code == 0:
            out = worked.fresh("full")
            continue
        stopped.add(said(ended, out))
        assert whole(out).manifest.build == worked.first
        left = list((out / "work" / "stages").glob("*.partial"))
        assert not left, f"{left} was left behind"
    ended = mishaps.run(making(worked.profile, out), out)
    assert ended.code == 0, ended.output
    assert files_of(out) == worked.files
    shutil.rmtree(out)
    return (
        f"full disk: refused in {len(stopped)} places of a build, each with a sentence; it went on afterwards"
    )


def fill_small_disk(worked: Worked, disk: Path) -> str:
    """The same on a real file system at ``disk`` that is filled as each stage begins, up to a few pages or bytes."""
    out = disk / "store"
    shutil.copytree(worked.base, out)
    stages = [stage.name for stage in build.stages.STAGES] + ["finish"]
    stopped: dict[str, int] = {}
    for name in stages:
        for left in (0, 3 * 4096, 40 * 4096):
            ended = mishaps.run(lambda name=name, left=left: _filled(worked, out, name, left), out)  # type: ignore[misc]
            (disk / "filler").unlink(missing_ok=True)
            if ended.code == 0:  # the stage wrote less than was left
                assert files_of(out) == worked.files
                shutil.rmtree(out)
                shutil.copytree(worked.base, out)
                continue
            said(ended, out)
            stopped[name] = stopped.get(name, 0) + 1
            assert whole(out).manifest.build == worked.first
            assert not list((out / "work" / "stages").glob("*.partial"))
    ended = mishaps.run(making(worked.profile, out), out)
    assert ended.code == 0, ended.output
    assert files_of(out) == worked.files
    return f"small disk: refused in {len(stopped)} of {len(stages)} stages ({stopped}), a sentence each time"


def _filled(worked: Worked, out: Path, name: str, left: int) -> None:
    """Build; as the named stage begins, another file takes all of the disk but ``left`` bytes."""
    from build import runner

    def fill() -> None:
        with (out.parent / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(out).free - left))

    write, finish = runner.Runner._write, runner.finish

    def writing(self: runner.Runner, job: Any, *rest: Any) -> None:
        if job.stage.name == name:
            fill()
        write(self, job, *rest)

    def finishing(*arguments: Any) -> Path:
        if name == "finish":
            fill()
        return finish(*arguments)

    runner.Runner._write, runner.finish = writing, finishing  # type: ignore[method-assign]
    making(worked.profile, out)()


def said(ended: mishaps.Ended, out: Path) -> str:
    """The last line before the sentence; checks that a full disk was told in one sentence that names the folder."""
    lines = ended.output.strip().splitlines()
    assert ended.code == 1, ended.output
    assert "Traceback" not in ended.output, ended.output
    assert lines[-1].startswith(f"sextant: The disk of {out} is full"), ended.output
    return lines[-2] if len(lines) > 1 else ""


def crowd(worked: Worked, rounds: int, chance: random.Random) -> str:
    """Two builders in one folder, and a bundler beside them: all end well, and what is left is whole."""
    waited = 0
    folder = worked.base.parent
    for number in range(rounds):
        out = worked.fresh("crowded")
        bundle = folder / "crowded.sextant"
        again = write_profile(folder, f"again{chance.randrange(3)}", 1)  # the first build under another title
        acts: list[Callable[[], None]] = [
            making(worked.profile if number % 4 == 0 else again, out),
            making(again, out),
            lambda out=out, bundle=bundle: bundler.main(str(out), bundle),  # type: ignore[misc]
        ]
        with ThreadPoolExecutor(len(acts)) as pool:
            endings = list(pool.map(mishaps.run, acts, [out] * len(acts)))
        for ended in endings:
            assert ended.code == 0, ended.output
        waited += any("Another build is writing" in ended.output for ended in endings)
        whole(out)
        for made in (out / schema.BUILDS).iterdir():
            assert next(damages(made, read_manifest(made)), None) is None, f"{made} is damaged"
        os.environ["SEXTANT_CACHE"] = str(folder / "cache")
        whole(bundle)
        shutil.rmtree(folder / "cache", ignore_errors=True)
        bundle.unlink()
    shutil.rmtree(folder / "crowded", ignore_errors=True)
    return (
        f"two builders and a bundler: {rounds} rounds, all whole; in {waited} one builder waited and said so"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--fills", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--disk", type=Path, help="an empty file system of some 200 MB, to be filled for real"
    )
    arguments = parser.parse_args()
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        worked = prepare(Path(folder))
        print(f"a build: {worked.cpu_seconds:.1f} processor s, {worked.file_events} file events", flush=True)
        print(kill_building(worked, arguments.kills, chance), flush=True)
        print(fill_disk(worked, arguments.fills, chance), flush=True)
        print(crowd(worked, arguments.rounds, chance), flush=True)
        if arguments.disk:
            print(fill_small_disk(worked, arguments.disk), flush=True)


if __name__ == "__main__":
    main()
