"""Which stage runs for which target, in order, each with the key of its content."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from build.config import BuildConfig
from build.source import source_hash
from build.stages import STAGES, Per, Stage
from build.versions import versions
from build.work import Target
from sae.errors import UserError
from sae.schema import SCHEMA_VERSION


@dataclass(frozen=True)
class Job:
    """One run of one stage: its key names its content, its inputs are the keys of the jobs that it reads."""

    stage: Stage
    target: Target
    key: str
    inputs: tuple["Job", ...]

    @property
    def title(self) -> str:
        return " ".join([self.stage.name, *self.target.folder.split("/")]).strip()

    def find(self, stage: str, sae: str | None, corpus: str | None = None) -> "Job":
        """The input that comes from a stage (and, where there are several, from an SAE or a corpus)."""
        found = [job for job in self.inputs if job.stage.name == stage]
        if sae is not None:
            found = [job for job in found if job.target.sae_name == sae]
        if corpus is not None:
            found = [job for job in found if job.target.corpus.name == corpus]
        if len(found) != 1:
            raise LookupError(f"{self.title} reads {len(found)} outputs of {stage} {sae or ''}, not one")
        return found[0]


def make_plan(config: BuildConfig, d_in: int) -> list[Job]:
    """Every job of a build, inputs before the jobs that read them."""
    names = [plan.name(d_in) for plan in config.saes]
    if len(set(names)) != len(names):
        raise UserError(f"Two SAEs of the profile have the same k at d_in {d_in}: {', '.join(names)}.")
    jobs: list[Job] = []
    for stage in STAGES:
        for target in _targets(stage, config, d_in):
            inputs = tuple(
                job for job in jobs if job.stage.name in stage.reads and _feeds(job.target, target)
            )
            jobs.append(Job(stage, target, _key(stage, target, inputs), inputs))
    return jobs


def build_name(jobs: Iterable[Job], description: object) -> str:
    """The name of the build that these jobs make: equal content and description, equal name."""
    content = [sorted(job.key + job.title for job in jobs), description]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def only(jobs: list[Job], stage: str) -> list[Job]:
    """The jobs of one stage and all that they need."""
    if stage not in {s.name for s in STAGES}:
        raise UserError(f"There is no stage {stage!r}; there are {', '.join(s.name for s in STAGES)}.")
    wanted: set[str] = set()

    def add(job: Job) -> None:
        wanted.add(job.key)
        for needed in job.inputs:
            add(needed)

    for job in jobs:
        if job.stage.name == stage:
            add(job)
    return [job for job in jobs if job.key in wanted]


def _targets(stage: Stage, config: BuildConfig, d_in: int) -> Iterator[Target]:
    if stage.per is Per.BUILD:
        yield Target(config, d_in)
        return
    for corpus in config.corpora:
        if stage.per is Per.CORPUS:
            yield Target(config, d_in, corpus)
        else:
            yield from (Target(config, d_in, corpus, plan) for plan in config.saes)


def _feeds(source: Target, reader: Target) -> bool:
    """Whether a job for ``source`` is an input of one for ``reader``: same corpus, and same SAE where both
    have one. What runs once for the build reads all corpora."""
    if reader.corpus_config is None:
        return True
    if source.corpus_config != reader.corpus_config:
        return False
    return reader.sae_plan is None or source.sae_plan is None or source.sae_plan == reader.sae_plan


def _key(stage: Stage, target: Target, inputs: tuple[Job, ...]) -> str:
    content = {
        "schema": SCHEMA_VERSION,
        "stage": stage.name,
        "settings": stage.settings(target),
        "code": source_hash(stage.run.__module__),
        "versions": versions(),
        "inputs": sorted((job.title, job.key) for job in inputs),
    }
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
