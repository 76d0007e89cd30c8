"""Threads that share the pieces of one job, each taking the next piece when it is done with the last.

The pieces are fixed by the shape of the work, and every piece writes only its own results, so neither the
number of threads nor their scheduling changes a bit. A thread that the operating system keeps waiting
holds up one piece at most: with an equal share for each thread, as OpenMP deals it, two threads on a busy
machine were measured to be ten times slower than one.
"""

import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch


def available_processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system tells
        return os.cpu_count() or 1


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="crew")


_alone = threading.local()


def _help(task: Callable[[int], None], pieces: Iterator[int], count: int) -> None:
    """``_work`` on a helper. OpenMP counts threads for each calling thread: what ``share`` set does not hold here."""
    if not getattr(_alone, "set", False):
        torch.set_num_threads(1)
        _alone.set = True
    _work(task, pieces, count)


def _work(task: Callable[[int], None], pieces: Iterator[int], count: int) -> None:
    for piece in pieces:
        if piece >= count:
            return
        task(piece)


class ThreadChoice:
    """How many threads are fastest at present: all, half of them, or one on a machine that others use too.

    Every PERIOD steps each count is tried for a few steps, and the one with the least median time is kept.
    """

    PERIOD = 400
    TRIALS = 5

    def __init__(self, threads: int | None = None) -> None:
        """``threads``: always this many; None to try."""
        most = threads or available_processors()
        self.counts = [most] if threads else sorted({1, max(1, most // 2), most}, reverse=True)
        self._times: dict[int, list[float]] = {}
        self._steps = 0
        self.best = most

    @contextmanager
    def timed(self) -> Iterator[int]:
        """Number of threads for the next step, whose time is taken."""
        trial = self._steps % self.PERIOD
        trying = len(self.counts) > 1 and trial < self.TRIALS * len(self.counts)
        threads = self.counts[trial // self.TRIALS] if trying else self.best
        started = time.perf_counter()
        yield threads
        if trying:
            self._times.setdefault(threads, []).append(time.perf_counter() - started)
            if trial == self.TRIALS * len(self.counts) - 1:
                self.best = min(self._times, key=lambda count: statistics.median(self._times[count]))
                self._times = {}
        self._steps += 1


def share(task: Callable[[int], None], count: int, threads: int | None = None) -> None:
    """Call ``task(0)`` … ``task(count − 1)``, each once, on ``threads`` threads (None: all processors).

    The calling thread works too. Inside, PyTorch computes on the thread that calls it, so that its own
    threads do not compete with these. An exception of a task is raised here.
    """
    threads = min(count, threads or available_processors())
    torch_threads = torch.get_num_threads()
    pieces = itertools.count()
    torch.set_num_threads(1)
    try:
        if threads <= 1:
            _work(task, pieces, count)
            return
        pool = _helpers(threads - 1)
        helpers = [pool.submit(_help, task, pieces, count) for _ in range(threads - 1)]
        try:
            _work(task, pieces, count)
        finally:
            for helper in helpers:
                if not helper.cancel():
                    helper.result()
    finally:
        torch.set_num_threads(torch_threads)
