"""Threads that share a job: every piece once, errors, several jobs at once, and no threads of their own."""

import _thread
import ctypes
import os
import signal
import sys
import threading
import time
import weakref

import pytest
import torch

from sae.compiled import crew
from sae.compiled.crew import one_thread_in_torch, share


@pytest.mark.skipif(
    sys.platform != "linux", reason="finds PyTorch's OpenMP where Linux lists loaded libraries"
)
def test_openmp_runs_on_the_thread_that_calls_it() -> None:
    torch.ones(64, 64) @ torch.ones(64, 64)
    with open("/proc/self/maps") as maps:
        libraries = sorted({line.split()[-1] for line in maps if "libgomp" in line and "torch" in line})
    if not libraries:
        pytest.skip("this PyTorch has another OpenMP")
    openmp = ctypes.CDLL(libraries[0])
    seen: dict[int, int] = {}

    def task(piece: int) -> None:
        time.sleep(0.02)  # or one thread would take all
        seen[threading.get_ident()] = openmp.omp_get_max_threads()

    before = torch.get_num_threads()
    with one_thread_in_torch():
        for _ in range(100):  # helpers first load what they wait with
            share(task, 6, 3)
            if len(seen) > 1:
                break
    assert len(seen) > 1
    assert set(seen.values()) == {1}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_piece_is_done_once_however_long_the_helpers_waited(threads: int) -> None:
    for count in (0, 1, 2, 7, 300):
        for pause in (0, 0, 0, 0.002):
            time.sleep(pause)
            done = [0] * count

            def task(piece: int, done: list[int] = done) -> None:
                done[piece] += 1

            share(task, count, threads)
            assert done == [1] * count


def test_several_threads_may_share_at_once_and_within_a_share() -> None:
    sums: dict[int, int] = {}

    def outer(number: int) -> None:
        done: list[int] = []
        for _ in range(50):
            share(done.append, 20, 3)
        sums[number] = sum(done)

    sharers = [threading.Thread(target=outer, args=(number,)) for number in range(3)]
    for sharer in sharers:
        sharer.start()
    for sharer in sharers:
        sharer.join()
    share(lambda piece: outer(3 + piece), 4, 3)
    assert sums == dict.fromkeys(range(7), 50 * sum(range(20)))


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_is_raised_once_no_piece_is_at_work_and_the_rest_is_let_go(threads: int) -> None:
    begun: list[int] = []
    ended: list[int] = []

    def task(piece: int) -> None:
        begun.append(piece)
        time.sleep(0.001)
        if piece == 5:
            raise ValueError("piece 5")
        ended.append(piece)

    with pytest.raises(ValueError, match="piece 5"):
        share(task, 1000, threads)
    assert sorted(begun) == sorted([*ended, 5])
    assert len(begun) < 100
    share(begun.append, 3, threads)


def test_an_interrupt_between_two_pieces_does_not_wait_for_what_nobody_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = crew._Job.work
    interrupts = iter([KeyboardInterrupt()])

    def interrupted(job: crew._Job, thread: int) -> None:
        for interrupt in interrupts:
            raise interrupt
        work(job, thread)

    monkeypatch.setattr(crew._Job, "work", interrupted)
    with pytest.raises(KeyboardInterrupt):
        share(lambda piece: None, 10, 1)


def test_an_interrupt_while_waiting_is_raised_once_no_piece_is_at_work() -> None:
    begun, ended = threading.Event(), threading.Event()

    def task(piece: int) -> None:
        if threading.current_thread() is threading.main_thread():
            begun.wait(10)
            return
        begun.set()
        time.sleep(0.02)  # the other waits by then
        _thread.interrupt_main()
        time.sleep(0.05)
        ended.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            share(task, 2, 2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()


def test_threads_that_begin_later_compute_in_pytorch_on_as_many_as_before() -> None:
    seen: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        crew._helper.cache_clear()
        share(lambda piece: time.sleep(0.01), 4, 3)
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    share(lambda piece: None, 4, 2)
    child = os.fork()
    if child == 0:
        helped = threading.Event()

        def task(piece: int) -> None:
            if threading.current_thread() is threading.main_thread():
                helped.wait(10)
            else:
                helped.set()

        status = 1
        try:
            share(task, 2, 2)
            status = 0 if helped.is_set() else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_helpers_hold_nothing_of_a_job_that_is_done() -> None:
    class Held:
        pass

    def job() -> weakref.ref[Held]:
        held = Held()
        share(lambda piece: time.sleep(0.001 * isinstance(held, Held)), 20, 3)
        return weakref.ref(held)

    left = job()
    for _ in range(500):
        if left() is None:
            return
        time.sleep(0.01)
    pytest.fail("a helper still holds the task")
