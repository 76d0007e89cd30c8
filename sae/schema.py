"""Every name in an artifact store, written once: files, arrays, dtypes, versions; columns stand beside it.

A store is a folder::

    CURRENT                          the name of the build that is served, one line
    builds/<build>/manifest.json     what was built, from what, and the sha256 of every other file
    builds/<build>/<corpus>/…        documents, embeddings, search matrix, example queries, quarantine
    builds/<build>/<corpus>/<sae>/…  weights, latents, features, co-occurrence, training history
    builds/<build>/query_encoder/    the local embedding model, where the corpus was embedded locally

A build is never changed after its manifest is written, holds no code, no pickle and no markup, and can be
copied anywhere. Matrices that are searched or indexed by row at random are plain ``.npy`` files, because a
row is then one read; everything else that is an array is Zarr with a checksum on every chunk.

Tables' columns are in ``sae.storage``: ``columns`` (documents, features, evidence, training), ``columns_structure``
(families, splitting, domains), ``columns_labels`` (history of labels, comparison of pairs) and ``columns_evaluation``
(scaling, evaluation); all are names of this module.
"""

from sae.storage.columns import *  # noqa: F403
from sae.storage.columns_evaluation import *  # noqa: F403
from sae.storage.columns_labels import *  # noqa: F403
from sae.storage.columns_structure import *  # noqa: F403

SCHEMA_VERSION = 1

CURRENT = "CURRENT"
BUILDS = "builds"
MANIFEST = "manifest.json"
ZARR_METADATA = "zarr.json"

# Files of a build and of a corpus.
QUERY_ENCODER = "query_encoder"
DOCUMENTS = "documents.parquet"
QUARANTINE = "quarantine.parquet"
QUERIES = "queries.parquet"
EMBEDDINGS = "embeddings.npy"  # float16 (n_documents, d_in), rows of unit length up to rounding
SEARCH = "search.npy"  # int8 (n_documents, d_in): rows scaled so that their largest entry is 127
SEARCH_SCALES = "search_scales.npy"  # float32 (n_documents, 2): step of a row, length of what rounding lost

# Files of one SAE.
SAE = "sae.zarr"
LATENTS = "latents.zarr"
COOCCURRENCE = "cooccurrence.zarr"
FEATURES = "features.parquet"
LABEL_VECTORS = "label_vectors.npy"  # float16 (n_latents, d_in): embedded labels, zero where there is none
EVIDENCE = "evidence.parquet"
LABEL_HISTORY = "label_history.parquet"
TRAINING = "training.parquet"

# Files of a corpus whose profile has a grid of SAEs for scaling laws.
SCALING = "scaling.parquet"
SCALING_CURVES = "scaling_curves.parquet"
SCALING_FITS = "scaling_fits.parquet"
SCALING_COSINES = "scaling_cosines.parquet"  # missing in older builds

# Arrays inside the Zarr groups: name -> dtype. Shapes are checked by the readers.
SAE_ARRAYS = {
    "W_enc": "float32",  # (n_latents, d_in)
    "W_dec": "float32",  # (n_latents, d_in), rows of unit length
    "pre_bias": "float32",  # (d_in,)
    "latent_bias": "float32",  # (n_latents,)
    "mean": "float32",  # (d_in,)
}
SAE_ATTRIBUTES = ("k", "scale")
LATENT_ARRAYS = {
    "top_indices": "int32",  # (n_documents, k), by document, strongest first
    "top_acts": "float16",  # (n_documents, k)
    "offsets": "int64",  # (n_latents + 1,), by feature: feature j owns entries offsets[j]:offsets[j + 1]
    "documents": "int32",  # (n_entries,), strongest first inside a feature
    "activations": "float16",  # (n_entries,)
}
COOCCURRENCE_ARRAYS = {
    "offsets": "int64",  # (n_latents + 1,), rows of a symmetric sparse matrix without its diagonal
    "features": "int32",  # (n_entries,)
    "counts": "int32",  # (n_entries,): documents in which both features are active
    "similarities": "float32",  # (n_entries,): cosine of the two features' activations over documents
}

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HISTOGRAM_BINS = 24
DOCUMENTS_A_GROUP = 512  # documents in a Parquet row group: what is decoded to show one of them
NEIGHBOURS = 5  # similar, dissimilar and co-occurring features kept for each feature

# Families of one SAE.
FAMILIES = "families.parquet"
FAMILY_SCORES = "family_scores.parquet"
FAMILY_METRICS = "family_metrics.parquet"
FAMILY_POINTS = "family_points.parquet"
STRUCTURE = "structure.parquet"
# Splitting between the SAEs of one corpus, and matches of its features in the other corpora.
SPLITTING = "splitting.parquet"
SPLITTING_SUMMARY = "splitting_summary.parquet"
DOMAINS = "domains.parquet"

# The comparison of Interpreter–Predictor pairs on features of a corpus' largest SAE.
LABEL_PAIRS = "label_pairs.parquet"
LABEL_PAIR_SUMMARY = "label_pair_summary.parquet"

# Evaluation of one corpus and all its SAEs: <corpus>/evaluation/….
EVALUATION = "evaluation"
STEERING = "steering.parquet"
OPTIMISATION = "optimisation.parquet"
CONTOUR = "contour.parquet"
RETRIEVAL = "retrieval.parquet"
CATEGORIES = "categories.parquet"
TRUTH = "truth.parquet"
JUDGED = "judged.parquet"  # only where the profile names a test collection
