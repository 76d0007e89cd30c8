"""Things that go wrong in a child process at a chosen moment: it is killed, or its disk is full.

Moments are counted in processor seconds, or in what the child does to files under a folder (opens for writing,
makes, links, renames, removes), so that they fall where something can break, and on a busy machine as on an idle one.
"""

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_FILLS = ("open", "os.mkdir", "os.link")
_MOVES = ("os.rename", "os.remove", "os.rmdir")


@dataclass(frozen=True)
class Ended:
    """How a child ended: ``code`` as a shell gives it (negative: the signal), what it printed, what it used."""

    code: int
    output: str
    cpu_seconds: float
    file_events: int

    @property
    def killed(self) -> bool:
        return self.code < 0


def run(
    act: Callable[[], Any],
    folder: Path,
    *,
    after: float | None = None,
    at_event: int | None = None,
    full_from: int | None = None,
) -> Ended:
    """Run ``act`` in a forked child. ``folder`` is where its file events are counted.

    It is killed after ``after`` processor seconds, or right before file event number ``at_event``; from its
    ``full_from``-th filling of a disk on, each fails with ENOSPC.
    """
    log, counts = os.memfd_create("log"), os.memfd_create("counts")
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.dup2(log, 1)
            os.dup2(log, 2)
            _watch(folder, counts, at_event, full_from)
            if after is not None:
                signal.setitimer(signal.ITIMER_PROF, max(after, 1e-3))  # unhandled, SIGPROF kills
            act()
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    output = os.pread(log, 1 << 20, 0).decode(errors="replace")
    counted = os.pread(counts, 32, 0)
    os.close(log)
    os.close(counts)
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return Ended(code, output, _seconds(used), int(counted or 0))


def _seconds(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


def _watch(folder: Path, counts: int, at_event: int | None, full_from: int | None) -> None:
    """Count what this process does to files from now on; a hook cannot be taken out again, so only in a child."""
    root = str(folder)
    seen = {"events": 0, "fills": 0}

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event not in _FILLS and event not in _MOVES:
            return
        path = given[0]
        if event == "open" and not (given[2] or 0) & _WRITES:
            return
        if not (isinstance(path, str) and (path.startswith(root) or not path.startswith("/"))):
            return
        seen["events"] += 1
        os.pwrite(counts, b"%d" % seen["events"], 0)
        if at_event is not None and seen["events"] >= at_event:
            os.kill(os.getpid(), signal.SIGKILL)
        if event in _FILLS:
            seen["fills"] += 1
            if full_from is not None and seen["fills"] >= full_from:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    sys.addaudithook(hook)
