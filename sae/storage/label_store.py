"""Read how labels came about, and the comparison of Interpreter–Predictor pairs, from an artifact store."""

import pyarrow as pa

from sae import schema
from sae.storage.arrays import read_matching, read_table
from sae.storage.manifest import StoreError
from sae.store import SAE, Corpus


def has_history(sae: SAE) -> bool:
    """Whether the build kept every candidate label; older builds did not."""
    return (sae.path / schema.LABEL_HISTORY).is_file()


def history(sae: SAE, feature_id: int) -> pa.Table:
    """What was tried for one feature, in order (schema.LABEL_HISTORY_COLUMNS)."""
    path = sae.table(schema.LABEL_HISTORY)
    within = sae.within | {"documents": sae.corpus.n_documents}
    return read_matching(path, schema.LABEL_HISTORY_COLUMNS, "feature_id", feature_id, within)


def has_pairs(corpus: Corpus) -> bool:
    """Whether the build compared pairs; older builds did not."""
    return (corpus.path / schema.LABEL_PAIRS).is_file()


def pairs(corpus: Corpus) -> pa.Table:
    """One row for each pair and feature (schema.LABEL_PAIR_COLUMNS)."""
    path = corpus.table(schema.LABEL_PAIRS)
    return _of_known(corpus, read_table(path, schema.LABEL_PAIR_COLUMNS, within=_within(corpus)))


def pair_summary(corpus: Corpus) -> pa.Table:
    """Medians over features with bootstrap intervals (schema.LABEL_PAIR_SUMMARY_COLUMNS)."""
    path = corpus.table(schema.LABEL_PAIR_SUMMARY)
    return _of_known(corpus, read_table(path, schema.LABEL_PAIR_SUMMARY_COLUMNS))


def _of_known(corpus: Corpus, table: pa.Table) -> pa.Table:
    if unknown := set(table["sae"].unique().to_pylist()) - set(corpus.saes):
        raise StoreError(
            f"The comparison of labels of {corpus.name} names {len(unknown)} SAEs that it does not have. "
            "Run `make verify`, then `make artifacts`."
        )
    return table


def _within(corpus: Corpus) -> dict[str, int]:
    return {"feature_id": max(corpus.sae(name).n_latents for name in corpus.saes)}
