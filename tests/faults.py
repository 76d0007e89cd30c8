"""Faults while a store is bundled, fetched, published and switched: kills, a full disk, readers all the while.

As a script, ``python -m tests.faults STORE KILLS`` kills each of them KILLS times; ``tests/build_faults.py`` does the
same to a build. Each check raises AssertionError, and returns a sentence on what it did.
"""

import errno
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from build.bundle import write_bundle
from build.publish import make_target, publish
from sae import schema
from sae.errors import UserError
from sae.storage import bundle as bundles
from sae.storage import remote
from sae.storage.manifest import damages, file_sha256
from sae.store import Store, open_store
from tests import mishaps
from tests.sae.address_server import serving


class Killer:
    """Kills an act, each time at another of its moments: by processor time, or right before it changes a file."""

    def __init__(
        self, act: Callable[[], Any], folder: Path, chance: random.Random, part: float = 1.0
    ) -> None:
        self._act, self._folder, self._chance, self._part = act, folder, chance, part
        self._whole = mishaps.run(act, folder)
        assert self._whole.code == 0, self._whole.output
        self.kills = 0

    def __call__(self) -> None:
        """Run it and kill it within the first ``part`` of its work, or let it end when it is faster this time."""
        at = self._chance.uniform(0, self._part)
        if self._chance.random() < 0.5:
            ended = mishaps.run(self._act, self._folder, at_event=1 + int(at * self._whole.file_events))
        else:
            ended = mishaps.run(self._act, self._folder, after=at * self._whole.cpu_seconds)
        assert ended.killed or ended.code == 0, ended.output
        self.kills += ended.killed


def is_whole(store: Store) -> bool:
    return next(damages(store.path, store.manifest), None) is None


def kill_bundling(store: Store, folder: Path, kills: int, chance: random.Random) -> str:
    path = folder / "x.sextant"
    kill = Killer(lambda: write_bundle(store, path), folder, chance)
    digest = file_sha256(path)
    while kill.kills < kills:
        if chance.random() < 0.5:
            path.unlink(missing_ok=True)
        kill()
        assert not path.exists() or file_sha256(path) == digest, "half a bundle"
    write_bundle(store, path)
    assert file_sha256(path) == digest
    return f"bundle: killed {kill.kills} times, never by halves"


def kill_fetching(store: Store, folder: Path, kills: int, chance: random.Random) -> str:
    root = folder / "served"
    publish(store, make_target(str(root)), "card")
    os.environ[bundles.CACHE_VARIABLE] = str(folder / "cache")
    with serving(root) as server:
        url = server.url
        kill = Killer(lambda: remote.fetch_store(url), folder, chance, part=0.5)
        shutil.rmtree(folder / "cache")
        while kill.kills < kills:
            kill()
            whole = False
            for build in (folder / "cache").glob("[0-9a-f]*"):
                if (build / schema.MANIFEST).is_file():  # what is there is right, however little
                    found = open_store(build, check_sizes=False)
                    wrong = [w for w in damages(build, found.manifest) if w[1] != "is missing"]
                    assert not wrong, wrong
                    whole = is_whole(found)
            if whole or chance.random() < 0.2:
                shutil.rmtree(folder / "cache", ignore_errors=True)
        assert is_whole(open_store(url))
    return f"fetch: killed {kill.kills} times, no wrong byte in the cache"


def kill_publishing(store: Store, folder: Path, kills: int, chance: random.Random) -> str:
    to = folder / "to"
    kill = Killer(lambda: publish(store, make_target(str(to)), "card"), folder, chance)
    shutil.rmtree(to)
    while kill.kills < kills:
        kill()
        if (to / schema.CURRENT).exists():
            assert is_whole(open_store(to)), "half a build was published"
            shutil.rmtree(to)
    publish(store, make_target(str(to)), "card")
    assert open_store(to).manifest == store.manifest
    return f"publish: killed {kill.kills} times, never by halves"


@contextmanager
def full_after(n_writes: int) -> Iterator[None]:
    """A disk that is full after so many files were opened for writing."""
    import builtins
    import io

    left = [n_writes]
    plain, of_paths = builtins.open, Path.open

    def refuse(mode: str) -> None:
        if set(mode) & set("wxa+"):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")

    def opened(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        refuse(mode)
        return plain(file, mode, *rest, **options)

    def opened_path(self: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        refuse(mode)
        return of_paths(self, mode, *rest, **options)

    builtins.open = opened
    Path.open = opened_path  # type: ignore[method-assign, assignment]
    io_open, io.open = io.open, opened  # type: ignore[assignment]
    try:
        yield
    finally:
        builtins.open, io.open, Path.open = plain, io_open, of_paths  # type: ignore[method-assign, assignment]


def full_disk(store: Store, folder: Path) -> str:
    """At every few writes the disk is full: one sentence each time, and the same command goes on afterwards."""
    path, to, cache = folder / "full.sextant", folder / "full", folder / "full-cache"
    os.environ[bundles.CACHE_VARIABLE] = str(cache)
    root = folder / "full-served"
    publish(store, make_target(str(root)), "card")
    sentences: list[str] = []
    with serving(root) as server:
        url = server.url
        for n in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55):
            for act in (
                lambda: write_bundle(store, path),
                lambda: publish(store, make_target(str(to)), "card"),
                lambda: remote.fetch_store(url),
            ):
                try:
                    with full_after(n):
                        act()
                except UserError as error:
                    sentences.append(str(error))
            shutil.rmtree(to, ignore_errors=True)
            path.unlink(missing_ok=True)
        write_bundle(store, path)
        publish(store, make_target(str(to)), "card")
        assert open_store(to).manifest == store.manifest
        assert is_whole(open_store(url))
    assert sentences
    assert all(
        re.fullmatch(r"The disk of \S+ is full \(.+\)\. [^\n]+", sentence) for sentence in sentences
    ), sentences
    return f"full disk: {len(sentences)} sentences, and all went on afterwards"


def switched_under_readers(one: Path, other: Path, root: Path, switches: int, readers: int = 10) -> str:
    """``root`` serves one build, then the other, again and again, while readers read: each answer is of one build."""
    builds = {}
    for source in (one, other):
        build = open_store(source).path
        shutil.copytree(build, root / schema.BUILDS / build.name)
        found = open_store(build)
        corpus = found.corpora[0]
        builds[found.manifest.build] = (corpus, found.corpus(corpus).documents([1, 2]).to_pylist())
    names, stop = list(builds), threading.Event()
    assert len(set(names)) == 2, "two different builds are needed"
    faults: list[str] = []
    answers = [0]

    def point(name: str) -> None:
        fresh = root / "CURRENT.partial"
        fresh.write_text(name + "\n")
        os.replace(fresh, root / schema.CURRENT)

    def read() -> None:
        while not stop.is_set():
            try:
                store = open_store(root)
                corpus, expected = builds[store.manifest.build]
                if store.corpus(corpus).documents([1, 2]).to_pylist() != expected:
                    faults.append(f"{store.manifest.build} answered with other documents")
                answers[0] += 1
            except Exception as error:
                faults.append(f"{type(error).__name__}: {error}")

    point(names[0])
    threads = [threading.Thread(target=read) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for number in range(switches):
        point(names[number % 2])
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults, faults[:3]
    assert answers[0] >= readers
    return f"switch: {switches} under {readers} readers, {answers[0]} answers, each of one build"


def main() -> None:
    place, kills = sys.argv[1], int(sys.argv[2])
    chance = random.Random(7)
    store = open_store(place)
    with tempfile.TemporaryDirectory() as folder:
        for number, check in enumerate((kill_bundling, kill_fetching, kill_publishing)):
            own = Path(folder) / str(number)
            own.mkdir()
            print(check(store, own, kills, chance), flush=True)
            shutil.rmtree(own)
        print(full_disk(store, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
