"""Stage: co-occurrence of features and everything that is counted of each (joined with labels later)."""

from typing import Any

import numpy as np
import pyarrow as pa

from build.train import known
from build.work import Target, Work
from sae import schema
from sae.arrays import Group, write_group, write_table
from sae.cooccurrence import active_entries, cooccurrence
from sae.statistics import ByFeature, feature_statistics, geometry, strongest_partners
from sae.weights import read_weights

STATISTICS = "statistics.parquet"


def settings(target: Target) -> object:
    return None


def run(work: Work) -> dict[str, Any]:
    latents = Group(work.input("encode") / schema.LATENTS, schema.LATENT_ARRAYS)
    weights = read_weights(work.input("train") / schema.SAE)
    top_acts, top_indices = latents.read("top_acts"), latents.read("top_indices")
    together = cooccurrence(active_entries(top_acts, top_indices, weights.n_latents))
    write_group(work.out / schema.COOCCURRENCE, vars(together), schema.COOCCURRENCE_ARRAYS)
    entries = ByFeature(*(latents.read(name) for name in ("offsets", "documents", "activations")))
    columns = feature_statistics(entries, len(top_acts)) | geometry(weights) | strongest_partners(together)
    write_table(work.out / STATISTICS, pa.table(columns))
    active = top_acts > 0
    density = np.diff(entries.offsets) / len(top_acts)
    return {
        "dead": int((density == 0).sum()),
        "mean_log_density": _mean(np.log10(density[density > 0])),
        "mean_activation": _mean(top_acts[active].astype(np.float32)),
    }


def _mean(values: np.ndarray) -> float | None:
    return known(float(values.mean()), 4) if len(values) else None
