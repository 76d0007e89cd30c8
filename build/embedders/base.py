"""What every embedder offers, and work shared out to a few threads."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from sae.progress import Progress

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Batch:
    """Texts that are embedded together."""

    positions: np.ndarray  # (n,) int64, into the list that was planned
    inputs: Any  # what the embedder made of the texts: token ids, or the texts as sent

    def at(self, positions: np.ndarray) -> "Batch":
        """The same batch within a longer list: ``positions[i]`` is where item i of the planned one stands."""
        return replace(self, positions=positions[self.positions])


class Embedder(Protocol):
    """Texts to unit vectors.

    ``name`` says model and arithmetic: equal names give equal vectors, so it keys the cache and stands in the
    manifest. ``whole_batches`` is true when a vector may depend, in its last bits, on its neighbours in the
    batch.
    """

    @property
    def name(self) -> str: ...

    @property
    def d_in(self) -> int: ...

    @property
    def whole_batches(self) -> bool: ...

    @property
    def truncated(self) -> int:
        """Texts of the last plan that are longer than the model reads: only their beginning counts."""
        ...

    @property
    def can_embed_texts(self) -> bool:
        """Whether any text can be embedded, or only the corpus' documents, whose vectors came in a file."""
        ...

    def check(self) -> None:
        """Raise UserError for what would stop a build later and can be seen now, such as a missing key."""
        ...

    def plan_batches(self, texts: Sequence[str]) -> list[Batch]:
        """Share the texts out to batches; the same texts always give the same batches."""
        ...

    def run_batches(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        """Each batch with its float32 (n, d_in) unit rows, in the order in which they are done.

        When one fails, those under way are still given before its error is raised.
        """
        ...

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """float32 (n, d_in) unit rows, in the order of the texts; nothing is cached."""
        ...


class BatchEmbedder:
    """Gives ``embed`` to an embedder that can plan and run batches."""

    can_embed_texts = True

    def check(self) -> None:
        """Nothing can be missing."""

    def embed(self: Any, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        out = np.empty((len(texts), self.d_in), np.float32)
        rate = Rate(progress, len(texts))
        for batch, rows in self.run_batches(self.plan_batches(texts)):
            out[batch.positions] = rows
            rate.advance(len(rows))
        return out


class Rate:
    """Reports progress with documents per second, counting only documents that were really embedded."""

    def __init__(self, progress: Progress | None, total: int, done: int = 0) -> None:
        self._progress, self._total, self._done, self._before = progress, total, done, done
        self._start = time.monotonic()
        if progress and done:
            progress(done, total, f"{done:,} from the cache")

    def advance(self, n: int) -> None:
        self._done += n
        if self._progress:
            seconds = max(time.monotonic() - self._start, 1e-6)
            note = f"{(self._done - self._before) / seconds:,.0f} documents/s"
            self._progress(min(self._done, self._total), self._total, note)


def available_cores() -> int:
    """Cores this process may use, which a container or `taskset` may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_out(
    function: Callable[[T], R], items: Iterable[T], workers: int, prepare: Callable[[], None] | None = None
) -> Iterator[tuple[T, R]]:
    """Each item with ``function(item)``, as they are done, ``workers`` at a time.

    At the first error nothing new is begun; what is under way ends and is given; then the error is raised.
    ``prepare`` runs once in each thread before its first item.
    """
    todo = iter(items)
    running: dict[Future[R], T] = {}
    failure: BaseException | None = None
    stopped = threading.Event()

    def run(item: T) -> R:
        if stopped.is_set():
            raise CancelledError
        try:
            return function(item)
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(workers, initializer=prepare) as pool:
        try:
            while True:
                # One item more than there are workers waits, so that no worker waits for the consumer.
                while failure is None and len(running) <= workers:
                    try:
                        item = next(todo)
                    except StopIteration:
                        break
                    running[pool.submit(run, item)] = item
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    item = running.pop(future)
                    error = future.exception()
                    if error is None:
                        yield item, future.result()
                    elif not isinstance(error, CancelledError):
                        failure = failure or error
        finally:
            stopped.set()  # a consumer that ends early does not wait for what is queued
    if failure is not None:
        raise failure
