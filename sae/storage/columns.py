"""Columns of a corpus's and an SAE's tables: documents, queries, training, labels, scores, features, evidence."""

import pyarrow as pa


def required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


DOCUMENT_COLUMNS = pa.schema(
    [
        required("doc_id", pa.string()),
        required("title", pa.string()),
        required("text", pa.string()),
        required("url", pa.string()),
        pa.field("date", pa.date32()),
        required("categories", pa.list_(pa.string())),
        required("authors", pa.list_(pa.string())),
        pa.field("citation_count", pa.int32()),
    ]
)
QUARANTINE_COLUMNS = pa.schema(
    [required(name, pa.string()) for name in ("doc_id", "title", "reason", "detail")]
)
QUERY_COLUMNS = pa.schema([required("query", pa.string()), required("embedding", pa.list_(pa.float32()))])
TRAINING_COLUMNS = pa.schema(
    [
        required("step", pa.int64()),
        required("loss", pa.float64()),
        required("aux_loss", pa.float64()),
        required("fvu", pa.float64()),  # of the training batch
        pa.field("held_out_fvu", pa.float64()),  # null between evaluations
        required("dead", pa.int64()),
        required("flops", pa.float64()),
    ]
)
LABEL_COLUMNS = pa.schema(
    [
        required("label", pa.string()),
        required("source", pa.string()),  # "local", "llm", "person", "none"
        required("candidates", pa.list_(pa.string())),
        required("candidate_objectives", pa.list_(pa.float32())),
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
    [required("status", pa.string()), required("n_scored", pa.int32())]
    + [pa.field(name, pa.float32()) for name in SCORE_NAMES]
)
STATISTIC_COLUMNS = pa.schema(
    [
        required("feature_id", pa.int32()),
        required("n_active", pa.int64()),
        required("density", pa.float32()),  # share of documents in which the feature is active
        pa.field("log_density", pa.float32()),  # base 10; null for a dead feature
        required("dead", pa.bool_()),
        pa.field("mean_activation", pa.float32()),  # over the documents in which it is active
        pa.field("max_activation", pa.float32()),
        required("quantiles", pa.list_(pa.float32())),  # activations at QUANTILES; empty when dead
        required("histogram_edges", pa.list_(pa.float32())),
        required("histogram_counts", pa.list_(pa.int32())),
        pa.field("encoder_decoder_cosine", pa.float32()),
        pa.field("max_cosine", pa.float32()),  # largest decoder cosine to any other feature
        required("most_similar", pa.list_(pa.int32())),
        required("most_similar_cosine", pa.list_(pa.float32())),
        required("least_similar", pa.list_(pa.int32())),
        required("least_similar_cosine", pa.list_(pa.float32())),
        required("cooccurring", pa.list_(pa.int32())),
        required("cooccurring_counts", pa.list_(pa.int32())),
        required("other_saes", pa.list_(pa.string())),  # the nearest feature in each other SAE of the corpus
        required("other_features", pa.list_(pa.int32())),
        required("other_cosines", pa.list_(pa.float32())),
    ]
)
FEATURE_COLUMNS = pa.schema([*STATISTIC_COLUMNS, *LABEL_COLUMNS, *SCORE_COLUMNS])
EVIDENCE_COLUMNS = pa.schema(
    [
        required("feature_id", pa.int32()),
        required("document", pa.int32()),
        required("role", pa.string()),  # "top", "quantile", "random", "matched"
        required("half", pa.string()),  # "label" or "score": no document is in both
        required("activation", pa.float32()),
        pa.field("confidence", pa.float32()),  # the Predictor's, −1 … 1; null in the labelling half
    ]
)
