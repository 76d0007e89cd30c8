"""Columns of the tables about how good it is: scaling runs and fits, the evaluation of steering and of features."""

import pyarrow as pa

from sae.storage.columns import required

SCALING_COLUMNS = pa.schema(  # one row a run of the grid
    [
        required("k", pa.int32()),
        required("n_latents", pa.int32()),
        required("steps", pa.int64()),
        pa.field("fvu", pa.float64()),  # of training documents, clean, at the end
        pa.field("held_out_fvu", pa.float64()),  # null where the held-out documents do not vary
        required("flops", pa.float64()),
        required("dead", pa.int64()),
        pa.field("mean_log_density", pa.float64()),  # over live latents, all documents
        pa.field("mean_activation", pa.float64()),  # over active entries, all documents
    ]
)
SCALING_CURVE_COLUMNS = pa.schema(  # one row an evaluation of a run
    [
        required("k", pa.int32()),
        required("n_latents", pa.int32()),
        required("step", pa.int64()),
        required("flops", pa.float64()),
        required("fvu", pa.float64()),  # of training batches, mean since the evaluation before
        pa.field("held_out_fvu", pa.float64()),
        required("frontier", pa.bool_()),  # no run of this k is as good in fvu for as little compute
        required("held_out_frontier", pa.bool_()),
    ]
)
SCALING_FIT_COLUMNS = pa.schema(  # loss = coefficient · x ** exponent
    [
        required("law", pa.string()),  # "latents" or "compute"
        required("measure", pa.string()),  # "fvu" or "held_out_fvu"
        required("k", pa.int32()),
        required("coefficient", pa.float64()),
        required("coefficient_low", pa.float64()),  # bounds of the 95 % confidence interval
        required("coefficient_high", pa.float64()),
        required("exponent", pa.float64()),
        required("exponent_low", pa.float64()),
        required("exponent_high", pa.float64()),
        pa.field("r_squared", pa.float64()),
        required("n_points", pa.int32()),
    ]
)

_ESTIMATE = [  # a mean with its 95 % interval, by bootstrap over queries
    pa.field("value", pa.float64()),
    pa.field("low", pa.float64()),
    pa.field("high", pa.float64()),
    required("n", pa.int32()),
]
STEERING_COLUMNS = pa.schema(
    [
        required("sae", pa.string()),
        required("edit", pa.string()),  # "both" (one raised, one lowered), "even" (evenly), "up", "down"
        required("method", pa.string()),
        required(
            "fidelity", pa.float64()
        ),  # cosine of original and steered query that the edit was brought to
        required("judge", pa.string()),  # sae.judge.WAYS, "llm"; "" for what is counted without a judge
        # "up", "down", "both": shares told rightly. "overlap": of the top 10 with the original one. "raised": share
        # of the top 10 with the raised feature, less before. "moved": other features whose share moved by .3.
        # "ahead up", "ahead both" …: how far a method is ahead of rewriting, on the same trials.
        required("measure", pa.string()),
        *_ESTIMATE,
    ]
)
OPTIMISATION_COLUMNS = pa.schema(
    [
        required("sae", pa.string()),
        required("case", pa.string()),  # "zero to active", "active to zero"
        required("residual", pa.bool_()),  # the residual kept, as the search does; else the paper's formula
        required("step", pa.int16()),  # 0 is direct setting
        *_ESTIMATE,
    ]
)
CONTOUR_COLUMNS = pa.schema(
    [
        required("sae", pa.string()),
        required("up", pa.float64()),  # in units of the query's largest activation
        required("down", pa.float64()),  # share of the lowered feature's activation that is taken away
        required("cosine", pa.float64()),
    ]
)
RETRIEVAL_COLUMNS = pa.schema(
    [
        required("sae", pa.string()),
        required("variant", pa.string()),  # "query", "query and documents", "sparse"
        required("measure", pa.string()),  # "overlap@10", "recall@100", "ndcg@10"
        *_ESTIMATE,
    ]
)
CATEGORY_COLUMNS = pa.schema(
    [
        required("sae", pa.string()),
        required("category", pa.string()),
        required("n_documents", pa.int32()),
        required("feature_id", pa.int32()),
        required("threshold", pa.float32()),  # active means an activation above it
        required("f1", pa.float64()),  # of the feature, on documents it was not chosen on
        required("f1_probe", pa.float64()),  # of a linear probe on embeddings, learnt on the same documents
        required("f1_always", pa.float64()),  # of saying yes to every document
    ]
)
TRUTH_COLUMNS = pa.schema(
    [
        required("sae", pa.string()),
        required("topic", pa.string()),
        required("broad", pa.bool_()),
        required("feature_id", pa.int32()),  # its partner in the best matching; −1 without one
        required("correlation", pa.float64()),  # of the feature's activation with being about the topic
        required("f1", pa.float64()),
        required("chance", pa.float64()),  # correlation of the partner when topics are dealt out at random
    ]
)
JUDGED_COLUMNS = pa.schema(  # rankings of a test collection against its judgments of relevance
    [
        required("sae", pa.string()),
        required("collection", pa.string()),
        required("n_documents", pa.int32()),  # searched
        required("variant", pa.string()),  # "original", or as in RETRIEVAL_COLUMNS
        required("measure", pa.string()),  # "ndcg@10", "recall@100"; "overlap@10" with the original
        *_ESTIMATE,
    ]
)
