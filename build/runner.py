"""Run a plan: skip what is built, write each output whole or not at all, go on where a killed build stopped.

Under the target folder, ``work/stages/<stage>-<key>`` holds each stage's output with its checksums,
``work/scratch`` what a stage resumes from, ``work/cache`` embeddings by content. ``builds/`` and ``CURRENT`` are
all that is served.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from build.chunks import Chunks, InProcess
from build.display import Display
from build.finish import finish
from build.plan import Job
from build.work import Work
from sae.storage.disk import telling
from sae.storage.manifest import file_sha256, walk_files

DONE = "done.json"


class Runner:
    """Runs jobs under one target folder; only one runner works in a folder at a time.

    ``chunks`` is where work that can be cut up is done; ``begins`` is told of every job before it runs.
    """

    def __init__(
        self,
        out: Path,
        display: Display,
        chunks: Chunks | None = None,
        begins: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self.out, self.display = out, display
        self.chunks = chunks or InProcess()
        self.begins = begins
        self.work = out / "work"

    def run(self, jobs: Sequence[Job], *, publish: bool = True) -> Path | None:
        """Run every job that is not built yet; then, with ``publish``, assemble the build and switch CURRENT to it.

        Returns the folder of the build. Raises UserError for what the user can mend; a kill at any moment loses
        at most the stage in progress, and not even that where the stage keeps checkpoints.
        """
        with telling(self.out, "Make room and run the same command: it goes on from here."):
            return self._run(jobs, publish)

    def _run(self, jobs: Sequence[Job], publish: bool) -> Path | None:
        self.work.mkdir(parents=True, exist_ok=True)
        with self._alone():
            for number, job in enumerate(jobs, start=1):
                self._run_one(job, f"[{number:>2}/{len(jobs)}]")
            if not publish:
                return None
            return finish(self.out, [(job, self.folder(job), self.done(job)) for job in jobs])

    def folder(self, job: Job) -> Path:
        """Where a job's output stands once it is complete."""
        return self.work / "stages" / f"{job.stage.name}-{job.key}"

    def scratch(self, job: Job) -> Path:
        """Where a job keeps what it resumes from."""
        return self.work / "scratch" / self.folder(job).name

    def is_done(self, job: Job) -> bool:
        """Whether a job's output is there, every byte of it as it was written."""
        try:
            files = self.done(job)["files"]
            folder = self.folder(job)
            return all(file_sha256(folder / path) == digest for path, digest in files.items())
        except (OSError, ValueError, KeyError):
            return False

    def done(self, job: Job) -> dict[str, Any]:
        """What was recorded when a job ended: facts, seconds, checksums."""
        return json.loads((self.folder(job) / DONE).read_text(encoding="utf-8"))

    def _run_one(self, job: Job, number: str) -> None:
        if self.is_done(job):
            self.display.skipped(number, job.title)
            return
        folder = self.folder(job)
        partial = folder.with_name(folder.name + ".partial")
        scratch = self.scratch(job)
        for stale in (folder, partial):
            shutil.rmtree(stale, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            scratch.mkdir(parents=True, exist_ok=True)
            self._write(job, number, partial)
            os.replace(partial, folder)
        except BaseException:
            shutil.rmtree(
                partial, ignore_errors=True
            )  # what is resumed stands in scratch; a full disk needs room
            raise
        shutil.rmtree(scratch, ignore_errors=True)

    def _write(self, job: Job, number: str, out: Path) -> None:
        """Run a stage into ``out``, and note there what was done."""
        started = time.monotonic()
        with self.display.task(number, job.title, job.stage.unit) as progress:
            work = Work(
                target=job.target,
                out=out,
                scratch=self.scratch(job),
                cache=self.work / "cache",
                inputs=lambda stage, sae, corpus: self.folder(job.find(stage, sae, corpus)),
                progress=progress,
                say=self.display.say,
                chunks=self.chunks,
            )
            self.begins(job)
            facts = job.stage.run(work)
        done = {
            "title": job.title,
            "seconds": round(time.monotonic() - started, 2),
            "facts": facts,
            "files": {path: file_sha256(out / path) for path in walk_files(out)},
        }
        (out / DONE).write_text(json.dumps(done, indent=1, sort_keys=True), encoding="utf-8")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other builds out of this folder, or wait until one has ended, and say so."""
        lock = FileLock(self.work / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.display.say(f"Another build is writing to {self.out}/; waiting for it to end …")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
