"""Every name in an artifact store, written once: files, arrays, columns, dtypes, versions.

A store is a folder::

    CURRENT                          the name of the build that is served, one line
    builds/<build>/manifest.json     what was built, from what, and the sha256 of every other file
    builds/<build>/<corpus>/…        documents, embeddings, search matrix, example queries, quarantine
    builds/<build>/<corpus>/<sae>/…  weights, latents, features, co-occurrence, training history
    builds/<build>/query_encoder/    the local embedding model, where the corpus was embedded locally

A build is never changed after its manifest is written, holds no code, no pickle and no markup, and can be
copied anywhere. Matrices that are searched or indexed by row at random are plain ``.npy`` files, because they
are memory-mapped; everything else that is an array is Zarr with a checksum on every chunk.
"""

import pyarrow as pa

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
TRAINING = "training.parquet"

# Files of a corpus whose profile has a grid of SAEs for scaling laws.
SCALING = "scaling.parquet"
SCALING_CURVES = "scaling_curves.parquet"
SCALING_FITS = "scaling_fits.parquet"

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


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


DOCUMENT_COLUMNS = pa.schema(
    [
        _required("doc_id", pa.string()),
        _required("title", pa.string()),
        _required("text", pa.string()),
        _required("url", pa.string()),
        pa.field("date", pa.date32()),
        _required("categories", pa.list_(pa.string())),
        _required("authors", pa.list_(pa.string())),
        pa.field("citation_count", pa.int32()),
    ]
)
QUARANTINE_COLUMNS = pa.schema(
    [_required(name, pa.string()) for name in ("doc_id", "title", "reason", "detail")]
)
QUERY_COLUMNS = pa.schema([_required("query", pa.string()), _required("embedding", pa.list_(pa.float32()))])
TRAINING_COLUMNS = pa.schema(
    [
        _required("step", pa.int64()),
        _required("loss", pa.float64()),
        _required("aux_loss", pa.float64()),
        _required("fvu", pa.float64()),  # of the training batch
        pa.field("held_out_fvu", pa.float64()),  # null between evaluations
        _required("dead", pa.int64()),
        _required("flops", pa.float64()),
    ]
)
LABEL_COLUMNS = pa.schema(
    [
        _required("label", pa.string()),
        _required("source", pa.string()),  # "local", "person", "none"
        _required("candidates", pa.list_(pa.string())),
        _required("candidate_objectives", pa.list_(pa.float32())),
        pa.field("objective", pa.float32()),  # on the labelling half only
    ]
)
SCORE_NAMES = (
    "pearson_random",
    "pearson_random_low",
    "pearson_random_high",
    "pearson_matched",
    "pearson_matched_low",
    "pearson_matched_high",
    "f1_random",
    "f1_matched",
    "pearson_strong_random",
    "pearson_strong_matched",
    "pearson_papers",
    "f1_papers",
    "detection",
    "embedding",
    "cohesion",
)
SCORE_COLUMNS = pa.schema(
    [_required("status", pa.string()), _required("n_scored", pa.int32())]
    + [pa.field(name, pa.float32()) for name in SCORE_NAMES]
)
STATISTIC_COLUMNS = pa.schema(
    [
        _required("feature_id", pa.int32()),
        _required("n_active", pa.int64()),
        _required("density", pa.float32()),  # share of documents in which the feature is active
        pa.field("log_density", pa.float32()),  # base 10; null for a dead feature
        _required("dead", pa.bool_()),
        pa.field("mean_activation", pa.float32()),  # over the documents in which it is active
        pa.field("max_activation", pa.float32()),
        _required("quantiles", pa.list_(pa.float32())),  # activations at QUANTILES; empty when dead
        _required("histogram_edges", pa.list_(pa.float32())),
        _required("histogram_counts", pa.list_(pa.int32())),
        pa.field("encoder_decoder_cosine", pa.float32()),
        pa.field("max_cosine", pa.float32()),  # largest decoder cosine to any other feature
        _required("most_similar", pa.list_(pa.int32())),
        _required("most_similar_cosine", pa.list_(pa.float32())),
        _required("least_similar", pa.list_(pa.int32())),
        _required("least_similar_cosine", pa.list_(pa.float32())),
        _required("cooccurring", pa.list_(pa.int32())),
        _required("cooccurring_counts", pa.list_(pa.int32())),
        _required("other_saes", pa.list_(pa.string())),  # the nearest feature in each other SAE of the corpus
        _required("other_features", pa.list_(pa.int32())),
        _required("other_cosines", pa.list_(pa.float32())),
    ]
)
FEATURE_COLUMNS = pa.schema([*STATISTIC_COLUMNS, *LABEL_COLUMNS, *SCORE_COLUMNS])
EVIDENCE_COLUMNS = pa.schema(
    [
        _required("feature_id", pa.int32()),
        _required("document", pa.int32()),
        _required("role", pa.string()),  # "top", "quantile", "random", "matched"
        _required("half", pa.string()),  # "label" or "score": no document is in both
        _required("activation", pa.float32()),
        pa.field("confidence", pa.float32()),  # the Predictor's, −1 … 1; null in the labelling half
    ]
)

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

FAMILY_COLUMNS = pa.schema(  # one row for each feature of each family, in depth-first order, the parent first
    [
        _required("family_id", pa.int32()),  # 0 is the largest family
        _required("feature_id", pa.int32()),
        pa.field("parent", pa.int32()),  # the feature above it in the tree; null for the family's parent
        _required("depth", pa.int16()),
        _required("x", pa.float32()),  # where it stands when the family is drawn
        _required("y", pa.float32()),
        pa.field("count", pa.int32()),  # documents in which it is active together with the feature above it
        pa.field("share", pa.float32()),  # the same over the documents of the sparser of the two
        pa.field("similarity", pa.float32()),  # cosine of the two features' activations
        pa.field("count_with_parent", pa.int32()),  # documents active together with the family's parent
    ]
)
FAMILY_SCORE_COLUMNS = pa.schema(  # one row a family, in order of family_id
    [
        _required("family_id", pa.int32()),
        _required("feature_id", pa.int32()),  # its parent
        _required("iteration", pa.int16()),
        _required("size", pa.int32()),  # features, the parent included
        _required("depth", pa.int16()),
        _required("n_documents", pa.int64()),  # documents in which any of its features is active
        _required("label", pa.string()),
        pa.field("objective", pa.float32()),
        *SCORE_COLUMNS,
        pa.field("ratio", pa.float32()),  # R of counts; infinite when its children never meet
        pa.field("ratio_similarity", pa.float32()),  # R of activation similarities
        pa.field("ratio_chance", pa.float32()),  # R of counts on shuffled latents
        _required("explained", pa.list_(pa.float32())),  # share of variance along two principal components
    ]
)
FAMILY_METRIC_COLUMNS = pa.schema(  # numbers of one SAE, long: "table 1", "chance", "left out", "found", …
    [_required("group", pa.string()), _required("name", pa.string()), pa.field("value", pa.float64())]
)
FAMILY_POINT_COLUMNS = pa.schema(  # documents in the plane of a family's principal components
    [
        _required("family_id", pa.int32()),
        _required("document", pa.int32()),
        _required("x", pa.float32()),
        _required("y", pa.float32()),
        _required("activation", pa.float32()),  # mean over the family's active features
    ]
)
STRUCTURE_COLUMNS = pa.schema(  # reordered matrices, as means over at most 64 × 64 cells
    [
        _required("matrix", pa.string()),
        _required("row", pa.int16()),
        _required("column", pa.int16()),
        _required("value", pa.float32()),
    ]
)
SPLITTING_COLUMNS = pa.schema(  # for each feature of each SAE its nearest in every other SAE of the corpus
    [
        _required("sae", pa.string()),
        _required("feature_id", pa.int32()),
        _required("other", pa.string()),
        _required("nearest", pa.int32()),
        _required("cosine", pa.float32()),
        _required("similarity", pa.float32()),  # cosine of activations over the documents
        _required("shared", pa.int32()),  # documents in which both are active
        _required("recurrent", pa.bool_()),  # the same feature is found in the other SAE
        _required("novel", pa.bool_()),  # the other SAE is smaller and holds nothing like it
    ]
)
SPLITTING_SUMMARY_COLUMNS = pa.schema(  # "cosines", "recurring", "overlap", "example"
    [
        _required("kind", pa.string()),
        _required("sae", pa.string()),
        _required("other", pa.string()),
        _required("x", pa.float64()),
        _required("value", pa.float64()),
    ]
)
DOMAIN_COLUMNS = pa.schema(  # for each feature of each SAE of this corpus its nearest in another corpus
    [
        _required("sae", pa.string()),
        _required("feature_id", pa.int32()),
        _required("other_corpus", pa.string()),
        _required("other_sae", pa.string()),
        _required("nearest", pa.int32()),
        _required("cosine", pa.float32()),
        _required("mutual", pa.bool_()),  # nearest in both directions
        _required("similarity", pa.float32()),  # of activations, both corpora encoded by both SAEs
        _required("active", pa.int32()),  # documents in which both are active
        pa.field("shared_similarity", pa.float32()),  # on the documents that both corpora hold
        _required("shared_active", pa.int32()),
        pa.field("label_overlap", pa.float32()),  # share of the shorter label's words that the other has too
        pa.field("delta_pearson", pa.float32()),  # change of pearson_random when the other's label is used
        pa.field("delta_f1", pa.float32()),
    ]
)
SCALING_COLUMNS = pa.schema(  # one row a run of the grid
    [
        _required("k", pa.int32()),
        _required("n_latents", pa.int32()),
        _required("steps", pa.int64()),
        pa.field("fvu", pa.float64()),  # of training documents, clean, at the end
        pa.field("held_out_fvu", pa.float64()),  # null where the held-out documents do not vary
        _required("flops", pa.float64()),
        _required("dead", pa.int64()),
        pa.field("mean_log_density", pa.float64()),  # over live latents, all documents
        pa.field("mean_activation", pa.float64()),  # over active entries, all documents
    ]
)
SCALING_CURVE_COLUMNS = pa.schema(  # one row an evaluation of a run
    [
        _required("k", pa.int32()),
        _required("n_latents", pa.int32()),
        _required("step", pa.int64()),
        _required("flops", pa.float64()),
        _required("fvu", pa.float64()),  # of training batches, mean since the evaluation before
        pa.field("held_out_fvu", pa.float64()),
        _required("frontier", pa.bool_()),  # no run of this k is as good in fvu for as little compute
        _required("held_out_frontier", pa.bool_()),
    ]
)
SCALING_FIT_COLUMNS = pa.schema(  # loss = coefficient · x ** exponent
    [
        _required("law", pa.string()),  # "latents" or "compute"
        _required("measure", pa.string()),  # "fvu" or "held_out_fvu"
        _required("k", pa.int32()),
        _required("coefficient", pa.float64()),
        _required("coefficient_low", pa.float64()),  # bounds of the 95 % confidence interval
        _required("coefficient_high", pa.float64()),
        _required("exponent", pa.float64()),
        _required("exponent_low", pa.float64()),
        _required("exponent_high", pa.float64()),
        pa.field("r_squared", pa.float64()),
        _required("n_points", pa.int32()),
    ]
)

# Evaluation of one corpus and all its SAEs: <corpus>/evaluation/….
EVALUATION = "evaluation"
STEERING = "steering.parquet"
OPTIMISATION = "optimisation.parquet"
CONTOUR = "contour.parquet"
RETRIEVAL = "retrieval.parquet"
CATEGORIES = "categories.parquet"
TRUTH = "truth.parquet"

_ESTIMATE = [  # a mean with its 95 % interval, by bootstrap over queries
    pa.field("value", pa.float64()),
    pa.field("low", pa.float64()),
    pa.field("high", pa.float64()),
    _required("n", pa.int32()),
]
STEERING_COLUMNS = pa.schema(
    [
        _required("sae", pa.string()),
        _required("edit", pa.string()),  # "both" (one feature raised, one lowered), "up", "down"
        _required("method", pa.string()),
        _required(
            "fidelity", pa.float64()
        ),  # cosine of original and steered query that the edit was brought to
        _required("judge", pa.string()),  # sae.judge.WAYS; "" for what is counted without a judge
        # "up", "down", "both": shares told rightly. "overlap": of the top 10 with the original one. "raised": share
        # of the top 10 with the raised feature, less before. "moved": other features whose share moved by .3.
        # "ahead up", "ahead both" …: how far a method is ahead of rewriting, on the same trials.
        _required("measure", pa.string()),
        *_ESTIMATE,
    ]
)
OPTIMISATION_COLUMNS = pa.schema(
    [
        _required("sae", pa.string()),
        _required("case", pa.string()),  # "zero to active", "active to zero"
        _required("residual", pa.bool_()),  # the residual kept, as the search does; else the paper's formula
        _required("step", pa.int16()),  # 0 is direct setting
        *_ESTIMATE,
    ]
)
CONTOUR_COLUMNS = pa.schema(
    [
        _required("sae", pa.string()),
        _required("up", pa.float64()),  # in units of the query's largest activation
        _required("down", pa.float64()),  # share of the lowered feature's activation that is taken away
        _required("cosine", pa.float64()),
    ]
)
RETRIEVAL_COLUMNS = pa.schema(
    [
        _required("sae", pa.string()),
        _required("variant", pa.string()),  # "query", "query and documents", "sparse"
        _required("measure", pa.string()),  # "overlap@10", "recall@100", "ndcg@10"
        *_ESTIMATE,
    ]
)
CATEGORY_COLUMNS = pa.schema(
    [
        _required("sae", pa.string()),
        _required("category", pa.string()),
        _required("n_documents", pa.int32()),
        _required("feature_id", pa.int32()),
        _required("threshold", pa.float32()),  # active means an activation above it
        _required("f1", pa.float64()),  # of the feature, on documents it was not chosen on
        _required("f1_probe", pa.float64()),  # of a linear probe on embeddings, learnt on the same documents
        _required("f1_always", pa.float64()),  # of saying yes to every document
    ]
)
TRUTH_COLUMNS = pa.schema(
    [
        _required("sae", pa.string()),
        _required("topic", pa.string()),
        _required("broad", pa.bool_()),
        _required("feature_id", pa.int32()),  # its partner in the best matching; −1 without one
        _required("correlation", pa.float64()),  # of the feature's activation with being about the topic
        _required("f1", pa.float64()),
        _required("chance", pa.float64()),  # correlation of the partner when topics are dealt out at random
    ]
)
