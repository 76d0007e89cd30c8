"""Work done in chunks: in this process, or by the workers of a dask.distributed scheduler. The same functions.

A chunk is a call of a module's function with small arguments (paths and ranges), so that workers read what they
need themselves: they run in a copy of this project and see the target folder under the same path.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sae.errors import UserError

R = TypeVar("R")

_SECONDS_TO_CONNECT = 30
_CHUNKS_A_WORKER = 2


class Chunks(Protocol):
    """Where chunks are worked on."""

    spread: bool
    """Whether other processes do it, so that work is worth cutting up."""

    def map(self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> Iterator[R]:
        """``function(*call)`` of each call, in their order; an error of any is raised."""
        ...


class InProcess:
    """One after the other, here."""

    spread = False

    def map(self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> Iterator[R]:
        for call in calls:
            yield function(*call)


def _answer() -> bool:
    """The smallest chunk: it shows that a worker finds this project."""
    return True


class OnCluster:
    """On the workers of a scheduler; a few chunks a worker are under way, so that results never pile up.

    UserError when dask.distributed is not installed, or no scheduler or worker answers.
    """

    spread = True

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise UserError("--scheduler needs dask.distributed: run `pip install distributed`.") from None
        try:
            self.client = Client(address, timeout=_SECONDS_TO_CONNECT)
            self.client.wait_for_workers(1, timeout=_SECONDS_TO_CONNECT)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"No workers can be reached through --scheduler {address} ({error}). Start `dask scheduler`, and "
                "`dask worker` in this project's folder on every machine."
            ) from None
        try:
            self.client.submit(_answer, pure=False).result(timeout=_SECONDS_TO_CONNECT)
        except Exception as error:  # whatever the scheduler or a worker raises when it lacks our modules
            reason = " ".join(str(error).split())[:120]
            raise UserError(
                f"The workers of --scheduler {address} cannot run this project ({reason}). Start scheduler and "
                "workers in its folder with PYTHONPATH=. before the command."
            ) from None

    def map(self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> Iterator[R]:
        waiting = deque(calls)
        running: deque[Any] = deque()
        while waiting or running:
            threads = sum(self.client.nthreads().values())
            while waiting and len(running) < _CHUNKS_A_WORKER * max(1, threads):
                running.append(self.client.submit(function, *waiting.popleft(), pure=False))
            yield running.popleft().result()
