"""Threads that share the pieces of one job, each taking the next piece when it is done with the last.

The pieces are fixed by the shape of the work, and every piece writes only its own results, so neither the
number of threads nor their scheduling changes a bit. A thread that the operating system keeps waiting
holds up one piece at most: with an equal share for each thread, as OpenMP deals it, two threads on a busy
machine were measured to be ten times slower than one. Threads wait for one another awake for a moment before they
sleep: woken, they come late by what a small piece takes.
"""

import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch

from sae.compiled.waiting import await_change, await_sum

LOOKS = 64_000
"""Looks for which a thread waits awake, somewhat less than a millisecond: as long as the longest pause in a small step.
To wake one that sleeps takes a tenth of that."""
NAP = 5e-5
"""Seconds that the one who waits for the last piece sleeps at a time afterwards."""


def available_processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system tells
        return os.cpu_count() or 1


class _Job:
    """Pieces that threads take one after the other; thread 0 is the one that shares them out."""

    def __init__(self, task: Callable[[int], None], count: int, threads: int) -> None:
        self.task, self.count = task, count
        self.pieces = itertools.count()
        self.done = np.zeros(threads, np.int64)
        """Pieces that each thread is done with; written by that thread alone."""
        self.error: BaseException | None = None

    def work(self, thread: int) -> None:
        """Take pieces while there are any. After an error the others are let go."""
        for piece in self.pieces:
            if piece >= self.count:
                return
            try:
                if self.error is None:
                    self.task(piece)
            except BaseException as error:  # raised where the job was shared out
                self.error = error
            self.done[thread] += 1

    def wait(self) -> None:
        """Until every piece is done."""
        if not await_sum(self.done, self.count, LOOKS):
            while self.done.sum() < self.count:
                time.sleep(NAP)


NO_JOB = _Job(lambda piece: None, 0, 0)


class _Helper(threading.Thread):
    """Takes part in the jobs that it is told of. Nothing depends on it: what it does not take, others do."""

    def __init__(self, number: int) -> None:
        super().__init__(name=f"crew-{number}", daemon=True)
        self.number, self.job = number, NO_JOB
        self._told, self._bell, self._asleep = np.zeros(1, np.int64), threading.Event(), False
        self._ready, threads = threading.Event(), torch.get_num_threads()
        self.start()
        self._ready.wait()
        torch.set_num_threads(threads)  # threads that PyTorch meets later are given what any thread set last

    def tell(self, job: _Job) -> None:
        """Of a job to take part in; it forgets the one before."""
        self.job = job
        self._told[0] = 1
        if self._asleep:
            self._bell.set()

    def run(self) -> None:
        """Wait for jobs, awake for a while, since the next often follows at once, then asleep."""
        torch.set_num_threads(1)
        self._ready.set()
        while True:
            if not self._told[0] and not await_change(self._told, 0, LOOKS):
                self._bell.clear()
                self._asleep = True
                if not self._told[0]:
                    self._bell.wait()
                self._asleep = False
            self._told[0] = 0  # before the job is read: of one that comes later it is told again
            job, self.job = self.job, NO_JOB
            job.work(self.number)
            del job  # with all that its task holds


@cache
def _helper(number: int) -> _Helper:
    return _Helper(number)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_helper.cache_clear)  # a forked process has none of these threads


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


@contextmanager
def one_thread_in_torch() -> Iterator[None]:
    """Inside, PyTorch computes on the thread that calls it: around ``share``, so that its threads do not compete with
    these. OpenMP counts threads for each calling thread: helpers see to it themselves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def share(task: Callable[[int], None], count: int, threads: int | None = None) -> None:
    """Call ``task(0)`` … ``task(count − 1)``, each once, on ``threads`` threads (None: all processors).

    The calling thread works too. An exception of a task, or one from outside (Ctrl-C), is raised here once no piece is
    at work; pieces not yet begun are let go.
    """
    threads = max(1, min(count, threads or available_processors()))
    job = _Job(task, count, threads)
    try:
        for number in range(1, threads):
            _helper(number).tell(job)
        job.work(0)
        job.wait()
    except BaseException as error:  # not a task's, which ``work`` keeps
        job.error = error
        job.work(0)
        job.wait()
    if job.error is not None:
        raise job.error
