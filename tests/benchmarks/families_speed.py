"""The families stage as a build runs it, on generated documents: seconds of each part, and peak memory.

    python tests/benchmarks/families_speed.py [n_latents n_documents k] [--folder FOLDER]

Without numbers both shapes of the papers: 2,304 latents × 153,000 documents × k 16, and 9,216 × 272,000 × 64.
Each runs in a process of its own. Phrases are made before the stage: a build makes them once, for its labels
stage. Memory is what the process holds beside pages of files: libraries, phrases and vectors included. Inputs are
kept in FOLDER for another run.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from generated_inputs import D_IN, write_inputs  # noqa: E402
from papers_run import held_megabytes  # noqa: E402

from build import families, judge  # noqa: E402
from build.config import CorpusConfig, SAEPlan, load_profile  # noqa: E402
from build.phrases import corpus_phrases  # noqa: E402
from build.work import Target, Work  # noqa: E402
from sae import schema  # noqa: E402

ELSE = "everything else"
SHAPES = ((2304, 153_000, 16), (9216, 272_000, 64))
PARTS = {
    "filter": (families._SAE, "_filter"),
    "co-occurrence, links, forest, families, merging": (families, "find_families"),
    "co-occurrence among the families' features": (families, "among"),
    "null model: shuffling": (families, "shuffle_latents"),
    "null model: ratios, families found there apart": (families._Chance, "of"),
    "table 1": (families, "family_metrics"),
    "ratios": (families, "family_ratios"),
    "labels: evidence": (judge, "draw_evidence"),
    "labels: writing": (judge, "label_features"),
    "labels: scoring": (judge, "score_labels"),
    "PCA of families": (families, "family_projection"),
    "structure checks": (families._SAE, "_write_structure"),
    "trees": (families._SAE, "_write_trees"),
}


class Clock:
    """Seconds inside each part, without the parts that it calls, and the most memory held while it ran, in MB."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.peak: dict[str, float] = defaultdict(float)
        self._inside: list[tuple[str, float]] = [(ELSE, 0.0)]

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            self._inside.append((name, 0.0))
            try:
                return function(*args, **options)
            finally:
                took = time.perf_counter() - started
                _, below = self._inside.pop()
                self.seconds[name] += took - below
                outer, already = self._inside.pop()
                self._inside.append((outer, already + took))

        return timed

    def look(self) -> None:
        """Note the memory held now against the part that runs; called by a thread of its own."""
        name = (self._inside or [(ELSE, 0.0)])[-1][0]
        self.peak[name] = max(self.peak[name], held_megabytes())

    def watch(self, over: threading.Event) -> None:
        while not over.wait(0.01):
            self.look()


def work_of(folder: Path, k: int, n_latents: int) -> Work:
    """A run of the families stage on generated inputs."""
    config = replace(
        load_profile("default"),
        corpora=(CorpusConfig("generated", {"kind": "files", "path": ""}),),
        embedder={"kind": "precomputed", "path": str(folder / "embeddings" / schema.EMBEDDINGS)},
        saes=(SAEPlan(k=k, n_latents=n_latents),),
    )
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    target = Target(config, D_IN, config.corpora[0])

    return Work(target, out, folder / "scratch", folder / "cache", lambda stage, *_: folder / stage)


def measure(folder: Path, n_latents: int, k: int) -> tuple[list[tuple[str, float, float]], str]:
    """Name, seconds and highest memory in MB of each part, in order; and what was found."""
    warm_up(folder.parent / "warm-up")
    work = work_of(folder, k, n_latents)
    started = time.perf_counter()
    n_phrases = len(corpus_phrases(work))
    made = time.perf_counter() - started
    held = held_megabytes()
    clock, over = Clock(), threading.Event()
    for name, (where, attribute) in PARTS.items():
        setattr(where, attribute, clock.wrap(name, getattr(where, attribute)))
    watching = threading.Thread(target=clock.watch, args=(over,))
    watching.start()
    started = time.perf_counter()
    facts = families.run(work)
    total = time.perf_counter() - started
    over.set()
    watching.join()
    clock.seconds[ELSE] = total - sum(clock.seconds.values())
    rows = [(name, clock.seconds[name], clock.peak[name]) for name in (*PARTS, ELSE)]
    rows.append(("families stage, whole", total, max(clock.peak.values())))
    rows.append((f"before it: {n_phrases:,} phrases, which the labels stage makes", made, held))
    (numbers,) = facts["families"].values()
    return rows, f"{numbers['families']} families, {numbers['by_chance']} on shuffled latents"


def warm_up(folder: Path) -> None:
    """Let the kernels be compiled, or read from their cache, before anything is timed."""
    shutil.rmtree(folder, ignore_errors=True)
    write_inputs(folder, 2000, 100, 8)
    families.run(work_of(folder, 8, 100))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shape", type=int, nargs="*", help="n_latents n_documents k")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    shapes = [tuple(arguments.shape)] if arguments.shape else SHAPES
    with tempfile.TemporaryDirectory() as temporary:
        for shape in shapes:
            n_latents, n_documents, k = shape
            folder = (arguments.folder or Path(temporary)) / f"{n_latents}x{n_documents}x{k}"
            print(f"\n{n_latents:,} latents, {n_documents:,} documents, k {k}", flush=True)
            if not folder.exists():
                beside = folder.with_suffix(".partial")
                shutil.rmtree(beside, ignore_errors=True)
                write_inputs(beside, n_documents, n_latents, k)
                beside.rename(folder)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                rows, found = process.submit(measure, folder, n_latents, k).result()
            print(f"  {found}\n  {'':60} seconds   peak MB")
            for name, seconds, peak in rows:
                print(f"  {name:60} {seconds:7.1f} {peak:9.0f}", flush=True)


if __name__ == "__main__":
    main()
