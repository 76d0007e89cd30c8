"""Read mutants of a store, as the library does and as pages do, and say which of them broke something.

A mutant must give a sentence or the true values: never another exception, never ten seconds of work, never other
values than those of the sound store unless its maker sealed them. Files of a mutant are hard links but for those
that changed, so only what reads a changed file is read again: what that is was noted on the sound store.
"""

import os
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sae import schema
from sae.errors import UserError
from sae.storage.manifest import file_sha256
from sae.store import open_store
from tests.sae import hostile
from tests.sae.mutate import mutate
from tests.sae.pages import VIEWS, show
from tests.sae.pieces import digest, pieces

SLOWEST = 10.0  # seconds of the processor's time for one mutant
HANGS = 120.0  # seconds awake, for what waits without working

_opened: list[set[str]] = []


def _note(event: str, arguments: tuple) -> None:
    if event == "open" and _opened and isinstance(arguments[0], str | os.PathLike):
        _opened[-1].add(os.fspath(arguments[0]))


sys.addaudithook(_note)


@contextmanager
def files_opened(build: Path) -> Iterator[set[str]]:
    """The files of a build that are opened inside, relative to it."""
    _opened.append(set())
    found: set[str] = set()
    try:
        yield found
    finally:
        prefix = f"{build}/"
        found.update(path.removeprefix(prefix) for path in _opened.pop() if path.startswith(prefix))


class Fuzz:
    """Mutants of the served build of ``store``, made below ``folder``."""

    def __init__(self, store: Path, folder: Path, pages: bool = False) -> None:
        self.folder, self.pages = folder, pages
        self.sound = folder / "sound"
        self.build = hostile.small_store(store, self.sound)
        self.broken = 0
        self.counts: Counter[str] = Counter()
        self.values: dict[str, str] = {}
        self.read_by: dict[str, set[str]] = {}
        for name, _ in pieces(open_store(self.sound)):
            read = dict(pieces(open_store(self.sound)))[
                name
            ]  # anew, since readers keep what they have opened
            with files_opened(self.build) as found:
                self.values[name] = digest(read())
            self.read_by[name] = found
        self.shown: dict[str, list[str]] = {}
        self.shown_by: dict[str, set[str]] = {}
        for view in VIEWS if pages else ():
            copy = self._copy("view")  # of its own, so that nothing is in a cache
            with files_opened(hostile.build_of(copy)) as found:
                self.shown[view] = self._told(show(copy, view), copy)
            self.shown_by[view] = found
            shutil.rmtree(copy)

    def _copy(self, name: str) -> Path:
        copy = self.folder / f"{name}-{len(list(self.folder.iterdir())):02}-{time.monotonic_ns()}"
        return Path(shutil.copytree(self.sound, copy, copy_function=os.link))

    def faults(self, numbers: range, seed: int) -> Iterator[str]:
        """A line for each mutant that broke something."""
        for number in numbers:
            copy = self._copy("mutant")
            done, changed = mutate(hostile.build_of(copy), random.Random(f"{seed}-{number}"))
            with self._watched(number, done):
                started = time.process_time()
                for fault in self._read(copy, changed, "sealed" in done):
                    self.broken += 1
                    yield f"{number}: {done}: {fault}"
                if (took := time.process_time() - started) > SLOWEST:
                    self.broken += 1
                    yield f"{number}: {done}: {took:.0f} s"
            shutil.rmtree(copy)

    def _read(self, copy: Path, changed: set[str], sealed: bool) -> Iterator[str]:
        self.counts["mutants"] += 1
        try:
            store = open_store(copy)
        except UserError as error:
            self.counts["refused when opened"] += 1
            yield from _sentence(error)
            # Every page says the same where nothing opens: one in twenty is looked at.
            if self.pages and self.counts["refused when opened"] % 20 == 1:
                yield from self._show(copy, self._next(VIEWS), sealed, refused=True)
            return
        except BaseException as error:
            yield f"{type(error).__name__}: {error}"
            return
        refused = False
        everything = schema.MANIFEST in changed
        for name, read in pieces(store):
            if not everything and self.read_by.get(name) and not changed & self.read_by[name]:
                continue
            self.counts["pieces read"] += 1
            try:
                found = digest(read())
            except UserError as error:
                refused = True
                self.counts["pieces refused"] += 1
                yield from _sentence(error)
            except BaseException as error:
                yield f"{name}: {type(error).__name__}: {error}"
            else:
                if not sealed and found != self.values.get(name):
                    yield f"{name}: other values are shown as if they were sound"
        self.counts["refused in part" if refused else "read"] += 1
        # One of the pages that read what changed, in turn.
        if views := [view for view in self.shown if everything or changed & self.shown_by[view]]:
            yield from self._show(copy, self._next(views), sealed, refused)

    def _next(self, views: list[str]) -> str:
        return views[self.counts["pages shown"] % len(views)]

    def _show(self, copy: Path, view: str, sealed: bool, refused: bool) -> Iterator[str]:
        self.counts["pages shown"] += 1
        try:
            told = self._told(show(copy, view), copy)
        except BaseException as error:
            yield f"page {view}: {type(error).__name__}: {error}"
            return
        if not sealed and not refused and told != self.shown[view]:
            other = [(a, b) for a, b in zip([*told, ""], [*self.shown[view], ""], strict=False) if a != b]
            yield f"page {view} shows {str(other[:1])[:300]} (it, the sound one)"

    def _told(self, texts: list[str], copy: Path) -> list[str]:
        """What a page says, the store's place and checksum left out: they differ and are no numbers of it."""
        own = file_sha256(hostile.build_of(copy) / schema.MANIFEST)
        for old, new in ((str(copy), "PLACE"), (own, "DIGEST"), (own[:16], "DIGEST")):
            texts = [text.replace(old, new) for text in texts]
        return texts

    @contextmanager
    def _watched(self, number: int, done: str) -> Iterator[None]:
        """End the process when a mutant keeps it waiting. Counted in naps, which a stopped process does not take."""
        over = threading.Event()

        def watch() -> None:
            for _ in range(int(HANGS)):
                if over.wait(1):
                    return
            print(f"{number}: {done}: hangs", flush=True)
            os._exit(2)

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def summary(self) -> str:
        return (
            ", ".join(f"{count:,} {what}" for what, count in self.counts.items()) + f", {self.broken} broken"
        )


def _sentence(error: UserError) -> Iterator[str]:
    if "\n" in str(error) or len(str(error)) > 700:
        yield f"no sentence: {str(error)[:300]!r}"
