"""Stage: co-occurrence of features and everything that is counted of each (joined with labels later)."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from build.cooccurrence_chunks import by_chunks
from build.train import known
from build.work import Target, Work
from sae import schema
from sae.statistics import ByFeature, feature_statistics, geometry, strongest_partners
from sae.storage.arrays import Group, write_group, write_table
from sae.storage.weights import read_weights

STATISTICS = "statistics.parquet"
_FEATURES_AT_ONCE = 1024


def settings(target: Target) -> object:
    return None


def run(work: Work) -> dict[str, Any]:
    latents = Group((work.input("encode") / schema.LATENTS).absolute(), schema.LATENT_ARRAYS)
    weights = read_weights(work.input("train") / schema.SAE)
    n_documents = latents.shape("top_acts")[0]
    together = by_chunks(work.chunks, latents.path, n_documents, weights.n_latents)
    write_group(work.out / schema.COOCCURRENCE, vars(together), schema.COOCCURRENCE_ARRAYS)
    starts = range(0, weights.n_latents, _FEATURES_AT_ONCE)
    calls = [
        (str(latents.path), start, min(start + _FEATURES_AT_ONCE, weights.n_latents)) for start in starts
    ]
    counted = pa.concat_tables(work.chunks.map(counted_features, calls)).combine_chunks()
    columns = {name: counted[name] for name in counted.column_names}
    write_table(work.out / STATISTICS, pa.table(columns | geometry(weights) | strongest_partners(together)))
    activations = latents.read("activations").astype(np.float32)
    density = np.diff(latents.read("offsets")) / n_documents
    return {
        "dead": int((density == 0).sum()),
        "mean_log_density": _mean(np.log10(density[density > 0])),
        "mean_activation": _mean(activations),
    }


def counted_features(latents: str, start: int, stop: int) -> pa.Table:
    """What is counted of the features start … stop: one chunk."""
    group = Group(Path(latents), schema.LATENT_ARRAYS)
    offsets = group.read("offsets", start, stop + 1)
    first, last = int(offsets[0]), int(offsets[-1])
    entries = ByFeature(
        offsets - first, group.read("documents", first, last), group.read("activations", first, last)
    )
    columns = feature_statistics(entries, group.shape("top_acts")[0])
    return pa.table(columns | {"feature_id": pa.array(np.arange(start, stop), pa.int32())})


def _mean(values: np.ndarray) -> float | None:
    return known(float(values.mean()), 4) if len(values) else None
