"""Progress on a terminal as bars, elsewhere as plain lines; never more than one line every few seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sae.progress import Progress as Report

_SECONDS_BETWEEN_LINES = 5.0


class Display:
    """Shows what a build is doing. ``plain`` forces lines; by default they are used when there is no terminal."""

    def __init__(self, plain: bool | None = None) -> None:
        self.console = Console(stderr=False, highlight=False, soft_wrap=True)
        self.plain = not self.console.is_terminal if plain is None else plain

    def say(self, sentence: str) -> None:
        """One line of text."""
        if self.plain:
            print(sentence, flush=True)
        else:
            self.console.print(sentence, markup=False)

    def skipped(self, number: str, title: str) -> None:
        self.say(f"{number} {title}: built before, unchanged")

    @contextmanager
    def task(self, number: str, title: str, unit: str) -> Iterator[Report]:
        """Give a progress callable for one stage, and tell when the stage has ended."""
        started = time.monotonic()
        name = f"{number} {title}"
        if self.plain:
            self.say(f"{name} …")
            yield _Lines(name, unit)
        else:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self.console, transient=True) as bars:
                task = bars.add_task(name, total=None, note="")

                def report(done: int, total: int, note: str = "") -> None:
                    bars.update(task, completed=done, total=total or None, note=note)

                yield report
        self.say(f"{name}: done in {duration(time.monotonic() - started)}")


class _Lines:
    """Progress as log lines: done, total, share, note and time left; the share alone where nothing is counted."""

    def __init__(self, name: str, unit: str) -> None:
        self.name, self.unit = name, unit
        self.last = time.monotonic()
        self.first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = done, now  # resumed work must not flatter the rate, nor a slow start belittle it
        if now - self.last < _SECONDS_BETWEEN_LINES or not total:
            return
        self.last = now
        began, then = self.first
        rate = (done - began) / (now - then) if now > then else 0.0
        left = f", {duration((total - done) / rate)} left" if rate > 0 and done < total else ""
        note = f" · {note}" if note else ""
        share = f"{done / total:.0%}{left}"
        told = f"{done:,} of {total:,} {self.unit} ({share})" if self.unit else share
        print(f"{self.name}: {told}{note}", flush=True)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def fail(sentence: str) -> None:
    """A user's mistake, on the error stream."""
    print(f"sextant: {sentence}", file=sys.stderr, flush=True)
