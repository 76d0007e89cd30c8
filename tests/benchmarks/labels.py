"""What the labels of a build are worth, beside the plain way to label and beside another feature's labels.

    python tests/benchmarks/labels.py --profile default --out artifacts [--sample 40]

Builds what the labels need and is not there, then scores for each SAE on the same held-out documents: its labels;
the three words with the highest c-TF-IDF, read by raw cosine; and its labels dealt to other features, which must
score near zero. With ``--sample`` so many features of each SAE, drawn at random, with the titles of the three
scoring documents on which they are most active, to be judged by eye. Seconds are those of the whole of evidence,
labels and scores, phrases (made once for a corpus) told apart.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[2]))

from build.config import load_profile
from build.display import Display
from build.embedders import make_embedder
from build.labels import read_overrides
from build.phrases import corpus_phrases
from build.plan import Job, make_plan, only
from build.runner import Runner
from build.work import Work
from sae import schema
from sae.labelling.evidence import QUANTILE, SCORE, TOP, FeatureEvidence, draw_evidence
from sae.labelling.label_scores import label_cosines, score_labels
from sae.labelling.labels import label_features
from sae.labelling.plain_labels import plain_labels
from sae.labelling.scores import shuffled
from sae.statistics import ByFeature
from sae.storage.arrays import Group

SURE = 0.8  # a Pearson and an F1 from which a label tells its feature
SCORED = ("pearson_random", "pearson_matched", "pearson_strong_random", "pearson_strong_matched")


@dataclass(frozen=True)
class Scored:
    """One SAE's features: ``tables`` of SCORE_TABLE by way of labelling, and what they were made from."""

    name: str
    labels: list[str]
    evidence: list[FeatureEvidence]
    tables: dict[str, pa.Table]
    seconds: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--profile", default="default")
    parser.add_argument("--out", type=Path, default=Path("artifacts"))
    parser.add_argument("--sample", type=int, default=0)
    arguments = parser.parse_args()
    config = load_profile(arguments.profile)
    jobs = only(make_plan(config, make_embedder(config.embedder).d_in), "labels")
    runner = Runner(arguments.out, Display())
    runner.run(jobs, publish=False)
    print(
        "| model | live / scored | Pearson random / matched | plain way | strongest fifth "
        "| live with both ≥ .8 | dealt | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for job in jobs:
        if job.stage.name == "labels":
            for scored in score_corpus(runner, job):
                print(row(f"{job.target.folder} {scored.name}", scored), flush=True)
                if arguments.sample:
                    documents = runner.folder(job.find("documents", None)) / schema.DOCUMENTS
                    show(scored, documents, arguments.sample, config.seed)


def score_corpus(runner: Runner, job: Job) -> list[Scored]:
    """Every SAE of a corpus, scored in the three ways on the same documents."""
    work = Work(
        target=job.target,
        out=runner.folder(job),
        scratch=runner.scratch(job),
        cache=runner.work / "cache",
        inputs=lambda stage, sae, corpus: runner.folder(job.find(stage, sae, corpus)),
    )
    embeddings = np.load(work.input("embeddings") / schema.EMBEDDINGS, allow_pickle=False).astype(np.float32)
    seed, clock = work.target.config.seed, Clock()
    phrases = corpus_phrases(work)
    clock("phrases")
    found = []
    for name in work.target.sae_names:
        latents = Group(work.input("encode", name) / schema.LATENTS, schema.LATENT_ARRAYS)
        activations = latents.read("activations").astype(np.float32)
        entries = ByFeature(latents.read("offsets"), latents.read("documents"), activations)
        clock("reading")
        evidence = draw_evidence(embeddings, entries, seed)
        clock("evidence")
        labels = label_features(phrases, evidence, read_overrides(work.target, name)).labels
        clock("labels")
        tables = {"ours": score_labels(labels, phrases, evidence, seed).table}
        clock("scores")
        plain = plain_labels(phrases, evidence)
        cosines = label_cosines(plain, evidence, phrases)
        tables["plain"] = score_labels(plain, phrases, evidence, seed, confidences=cosines).table
        dealt = shuffled(labels, np.random.default_rng(seed))
        tables["shuffled"] = score_labels(dealt, phrases, evidence, seed).table
        found.append(Scored(name, labels, evidence, tables, dict(clock.seconds)))
        clock = Clock()
    return found


class Clock:
    """Seconds since the last call, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


def row(title: str, scored: Scored) -> str:
    """One line of the table."""
    status = scored.tables["ours"]["status"].to_pylist()
    medians = {
        way: [np.median(known(table, name)) for name in SCORED] for way, table in scored.tables.items()
    }
    n_live = sum(s != "dead" for s in status)
    sure = [n_sure(scored.tables["ours"], kind) / max(1, n_live) for kind in ("random", "matched")]
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in scored.seconds.items())
    cells = [
        title,
        f"{n_live:,} / {status.count('scored'):,}",
        *(pair(medians["ours"][:2]), pair(medians["plain"][:2]), pair(medians["ours"][2:]), pair(sure)),
        pair(medians["shuffled"][:2]),
        seconds,
    ]
    return f"| {' | '.join(cells)} |"


def known(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    return np.asarray(table[name].drop_null(), np.float64)


def pair(values: list[Any]) -> str:
    return " / ".join(f"{value:.3f}" for value in values)


def n_sure(table: pa.Table, kind: str) -> int:
    """Features with Pearson and F1 from SURE."""
    both = pc.min_element_wise(table[f"pearson_{kind}"], table[f"f1_{kind}"], skip_nulls=False)
    return int(pc.sum(pc.greater_equal(both, SURE)).as_py() or 0)


def show(scored: Scored, documents: Path, n: int, seed: int) -> None:
    """Features drawn at random among the live ones: label, Pearson, and three titles."""
    titles = pq.read_table(documents, columns=["title"])["title"]
    live = [j for j, drawn in enumerate(scored.evidence) if not drawn.dead]
    table = scored.tables["ours"]
    for j in sorted(np.random.default_rng(seed).permutation(live)[:n].tolist()):
        drawn = scored.evidence[j]
        rows = drawn.rows(SCORE, TOP, QUANTILE)
        top = drawn.documents[rows[np.argsort(-drawn.activations[rows], kind="stable")]]
        three = " | ".join(str(titles[int(i)])[:70] for i in list(dict.fromkeys(top.tolist()))[:3])
        pearson = [table[name][j].as_py() for name in SCORED[:2]]
        said = "/".join("–" if value is None else f"{value:.2f}" for value in pearson)
        print(f"- [{j}] {scored.labels[j]} {said} · {three}")


if __name__ == "__main__":
    main()
