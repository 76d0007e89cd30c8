"""Stage: how the features of a corpus' SAEs split, recur and appear anew from the smaller to the larger."""

from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from build.profile_table import checked_table
from build.work import Target, Work
from sae import schema
from sae.storage.arrays import Group, write_table
from sae.storage.weights import read_weights
from sae.structure.cooccurrence import active_entries
from sae.structure.splitting import (
    Match,
    SplittingConfig,
    children_of,
    match,
    recurrence_counts,
    recurs_everywhere,
    self_consistency,
    split_score,
)

COSINE_STEP = 0.02  # width of the bars of the distributions of cosines
THRESHOLDS = np.round(np.arange(0.5, 1.0, 0.01), 2)  # at which recurring features are counted
N_EXAMPLES = 24

Summary = list[tuple[str, str, str, float, float]]


def read_options(options: dict[str, Any]) -> SplittingConfig:
    """The profile's [splitting] table."""
    return checked_table(SplittingConfig, options, "The profile's [splitting]")


def settings(target: Target) -> object:
    return [list(target.sae_names), asdict(read_options(target.config.splitting))]


def run(work: Work) -> dict[str, Any]:
    config = read_options(work.target.config.splitting)
    names = work.target.sae_names
    weights = {name: read_weights(work.input("train", name) / schema.SAE) for name in names}
    # From small to large by latents, then by k, however the profile lists them.
    names = tuple(sorted(names, key=lambda name: (weights[name].n_latents, weights[name].k)))
    latents = {}
    for name in names:
        group = Group(work.input("encode", name) / schema.LATENTS, schema.LATENT_ARRAYS)
        latents[name] = active_entries(
            group.read("top_acts"), group.read("top_indices"), weights[name].n_latents
        )
    matches: dict[tuple[str, str], Match] = {}
    pairs = [(one, other) for one in names for other in names if one != other]
    for done, (one, other) in enumerate(pairs, 1):
        matches[one, other] = match(weights[one].W_dec, latents[one], weights[other].W_dec, latents[other])
        work.progress(done, len(pairs), f"{one} in {other}")
    alive = {
        name: np.bincount(latents[name].indices, minlength=weights[name].n_latents) > 0 for name in names
    }
    tables = [_table(pair, found, names, alive[pair[0]], config) for pair, found in matches.items()]
    table = pa.concat_tables(tables) if tables else schema.SPLITTING_COLUMNS.empty_table()
    write_table(work.out / schema.SPLITTING, table)
    worth = {name: _worth(work.input("features") / name / schema.FEATURES) for name in names}
    summary = _summary(names, matches, alive, worth)
    rows = [dict(zip(schema.SPLITTING_SUMMARY_COLUMNS.names, row, strict=True)) for row in summary]
    write_table(
        work.out / schema.SPLITTING_SUMMARY, pa.Table.from_pylist(rows, schema.SPLITTING_SUMMARY_COLUMNS)
    )
    if len(names) < 2:
        return {}
    up = [matches[names[0], larger] for larger in names[1:]]
    return {"recurring_in_all": int((recurs_everywhere(up, config) & alive[names[0]]).sum())}


def _table(
    pair: tuple[str, str], found: Match, names: tuple[str, ...], alive: np.ndarray, config: SplittingConfig
) -> pa.Table:
    one, other = pair
    novel = (found.cosines < config.novel_cosine) & (names.index(other) < names.index(one)) & alive
    n = len(found.nearest)
    columns = [
        [one] * n, np.arange(n), [other] * n, found.nearest, found.cosines, found.similarities, found.shared,
        found.recurrent(config) & alive, novel,
    ]  # fmt: skip
    return pa.table([pa.array(c) for c in columns], names=schema.SPLITTING_COLUMNS.names).cast(
        schema.SPLITTING_COLUMNS
    )


def _worth(path: Any) -> np.ndarray:
    """How far a feature's label can be trusted: its Pearson against random documents, 0 where unscored."""
    values = pq.read_table(path, columns=["pearson_random"])["pearson_random"]
    return np.nan_to_num(values.to_numpy(zero_copy_only=False).astype(np.float64))


def _summary(
    names: tuple[str, ...],
    matches: dict[tuple[str, str], Match],
    alive: dict[str, np.ndarray],
    worth: dict[str, np.ndarray],
) -> Summary:
    rows: Summary = []
    edges = np.arange(-0.2, 1.0 + COSINE_STEP, COSINE_STEP)
    for smaller, larger in combinations(names, 2):
        cosines = np.clip(matches[larger, smaller].cosines[alive[larger]], edges[0], 1 - 1e-6)
        shares = np.histogram(cosines, edges)[0] / max(1, len(cosines))
        rows += [
            ("cosines", larger, smaller, float(x), float(v)) for x, v in zip(edges, shares, strict=False)
        ]
        rows.append(
            ("median cosine", larger, smaller, 0.0, float(np.median(cosines)) if len(cosines) else 0.0)
        )
        down = matches[larger, smaller]
        scores = split_score(
            children_of(down.nearest, len(worth[smaller])), down, worth[larger], worth[smaller]
        )
        best = np.argsort(-scores, kind="stable")[:N_EXAMPLES]
        rows += [("example", smaller, larger, float(i), float(scores[i])) for i in best if scores[i] > 0]
    if len(names) >= 2:
        up = [matches[names[0], larger] for larger in names[1:]]
        counts = recurrence_counts([_only(m, alive[names[0]]) for m in up], THRESHOLDS)
        rows += [
            ("recurring", names[0], "all larger", float(t), float(c))
            for t, c in zip(THRESHOLDS, counts, strict=True)
        ]
    for small, middle, large in combinations(names, 3):
        found = self_consistency(
            matches[large, small].nearest, matches[large, middle].nearest, matches[middle, small].nearest,
            len(worth[small]),
        )  # fmt: skip
        known = np.isfinite(found.overlap)
        bars = np.histogram(found.overlap[known], np.linspace(0, 1, 21))[0]
        way = f"{large} through {middle}"
        rows += [("overlap", small, way, i / 20, float(count)) for i, count in enumerate(bars)]
        rows.append(
            (
                "median overlap",
                small,
                way,
                0.0,
                float(np.median(found.overlap[known])) if known.any() else 0.0,
            )
        )
    return rows


def _only(found: Match, which: np.ndarray) -> Match:
    return Match(
        *(values[which] for values in (found.nearest, found.cosines, found.similarities, found.shared))
    )
