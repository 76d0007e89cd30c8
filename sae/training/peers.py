"""Processes that train one autoencoder together, started by ``torchrun``; alone, each call costs nothing.

Every process takes its part of the same global batch; what a step sums over documents is summed over processes
as well, so that losses, gradients, dead latents and weights are those of one process, up to the order of sums.
"""

import os
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor

_LONGEST_WAIT = timedelta(days=7)
"""A process waits while the first one does what is not shared, such as embedding a corpus."""


@dataclass(frozen=True)
class Peers:
    """This process's ``rank`` among ``size`` processes."""

    rank: int = 0
    size: int = 1

    def part(self, n: int) -> slice:
        """This process's part of n documents; the parts of all cover them, in the order of ranks."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def total(self, tensor: Tensor) -> Tensor:
        """The tensor summed over all processes, in place; the same bits in each."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def total_array(self, array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """float64 (n,) summed over all processes."""
        return self.total(torch.from_numpy(np.ascontiguousarray(array))).numpy()

    def total_count(self, number: int) -> int:
        """A number summed over all processes."""
        return int(self.total(torch.tensor(number))) if self.size > 1 else number

    def from_first(self, tensor: Tensor) -> Tensor:
        """The first process's tensor in all of them, in place."""
        if self.size > 1:
            dist.broadcast(tensor, src=0)
        return tensor

    def agree(self, number: int) -> bool:
        """Whether all processes hold the same number."""
        if self.size == 1:
            return True
        bounds = torch.tensor([number, -number])
        dist.all_reduce(bounds, op=dist.ReduceOp.MAX)
        return int(bounds[0]) == number == -int(bounds[1])


ALONE = Peers()


def current() -> Peers:
    """The peers of this process: those that ``torchrun`` started with it, joined at the first call, or none."""
    if not dist.is_available():
        return ALONE
    if not dist.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
            return ALONE
        dist.init_process_group("gloo", timeout=_LONGEST_WAIT)
    return Peers(dist.get_rank(), dist.get_world_size())


def device() -> torch.device:
    """This process's GPU, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
