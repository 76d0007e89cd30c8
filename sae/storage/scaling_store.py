"""Read the grid of a corpus' SAEs and its scaling laws from an artifact store."""

import pyarrow as pa

from sae import schema
from sae.storage.arrays import read_table
from sae.store import Corpus


def has_scaling(corpus: Corpus) -> bool:
    """Whether the profile of the build had a grid."""
    return (corpus.path / schema.SCALING).is_file()


def runs(corpus: Corpus) -> pa.Table:
    """One row a run of the grid (schema.SCALING_COLUMNS)."""
    return read_table(corpus.table(schema.SCALING), schema.SCALING_COLUMNS)


def curves(corpus: Corpus) -> pa.Table:
    """One row an evaluation of a run (schema.SCALING_CURVE_COLUMNS)."""
    return read_table(corpus.table(schema.SCALING_CURVES), schema.SCALING_CURVE_COLUMNS)


def has_cosines(corpus: Corpus) -> bool:
    """Whether the build compared the grid's SAEs with each other."""
    return (corpus.path / schema.SCALING_COSINES).is_file()


def cosines(corpus: Corpus) -> pa.Table:
    """Nearest features between neighbours in the grid (schema.SCALING_COSINE_COLUMNS)."""
    return read_table(corpus.table(schema.SCALING_COSINES), schema.SCALING_COSINE_COLUMNS)


def fits(corpus: Corpus) -> pa.Table:
    """One row a fitted law (schema.SCALING_FIT_COLUMNS); a law without enough points has none."""
    return read_table(corpus.table(schema.SCALING_FITS), schema.SCALING_FIT_COLUMNS)
