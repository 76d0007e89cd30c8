"""A build by several processes that ``torchrun`` started: the first one builds, the others join it where it trains.

Every process makes the same plan from the same command. The first runs it as always and names each training stage
to the others before it begins; they run that stage beside it, with inputs and checkpoints of the shared target
folder, and throw away what they would have written.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from build.plan import Job
from build.runner import Runner
from build.work import Work

TRAINING = ("noise", "train", "scaling")
"""Stages that call ``sae.train.train``, in which the processes meet: one that is missing here would hang."""
_THE_END = -1


def started_together() -> bool:
    """Whether torchrun started this process with others; torch is not loaded to tell."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def leading() -> bool:
    """Whether this process is the one that builds."""
    return not started_together() or os.environ["RANK"] == "0"


def caller(jobs: Sequence[Job]) -> Callable[[Job | None], None]:
    """What the first process tells the others: that a job begins, or None at the end of the build."""
    numbers = {job.key + job.title: number for number, job in enumerate(jobs)}

    def call(job: Job | None) -> None:
        if job is None:
            _tell(_THE_END)
        elif job.stage.name in TRAINING:
            _tell(numbers[job.key + job.title])

    return call if started_together() else lambda job: None


def follow(jobs: Sequence[Job], runner: Runner) -> None:
    """Join the first process in every job that it calls out, until it ends."""
    while (number := _tell(_THE_END)) != _THE_END:
        job = jobs[number]
        with tempfile.TemporaryDirectory() as folder:
            job.stage.run(
                Work(
                    target=job.target,
                    out=Path(folder),
                    scratch=runner.scratch(job),
                    cache=runner.work / "cache",
                    inputs=lambda stage, sae, corpus, job=job: runner.folder(job.find(stage, sae, corpus)),  # type: ignore[misc]
                )
            )


def _tell(number: int) -> int:
    """The first process's number, in all processes."""
    import torch

    from sae.training.peers import current

    return int(current().from_first(torch.tensor(number)))
