"""What a stage is given to work with: its part of the configuration, its inputs, and where to write."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from build.chunks import Chunks, InProcess
from build.config import BuildConfig, CorpusConfig, SAEPlan
from sae.progress import Progress, silent


@dataclass(frozen=True)
class Target:
    """What a stage runs for: the build, one corpus of it, or one SAE of one corpus."""

    config: BuildConfig
    d_in: int
    corpus_config: CorpusConfig | None = None
    sae_plan: SAEPlan | None = None

    @property
    def corpus(self) -> CorpusConfig:
        if self.corpus_config is None:
            raise LookupError("this stage runs once for the build and has no corpus")
        return self.corpus_config

    @property
    def plan(self) -> SAEPlan:
        if self.sae_plan is None:
            raise LookupError("this stage does not run for one SAE")
        return self.sae_plan

    @property
    def sae_name(self) -> str:
        return self.plan.name(self.d_in)

    @property
    def sae_names(self) -> tuple[str, ...]:
        """The SAEs of the build, smallest first as the profile lists them."""
        return tuple(plan.name(self.d_in) for plan in self.config.saes)

    @property
    def folder(self) -> str:
        """Where the target's files stand in a build, relative to it."""
        parts = [self.corpus_config.name] if self.corpus_config else []
        return "/".join([*parts, self.sae_name] if self.sae_plan else parts)


@dataclass(frozen=True)
class Work:
    """One run of one stage.

    ``out`` is an empty folder that becomes the stage's output when the run ends; files for an SAE written by a
    stage that runs once a corpus go to ``out/<sae>/``. ``scratch`` survives a kill, for work that is resumed.
    ``chunks`` is where work that can be cut up is done.
    """

    target: Target
    out: Path
    scratch: Path
    cache: Path
    inputs: Callable[[str, str | None, str | None], Path]
    progress: Progress = silent
    say: Callable[[str], None] = field(default=lambda _: None)
    chunks: Chunks = field(default_factory=InProcess)

    def input(self, stage: str, sae: str | None = None, corpus: str | None = None) -> Path:
        """The output folder of a stage that this one reads; ``sae`` and ``corpus`` name one of several."""
        return self.inputs(stage, sae, corpus)
