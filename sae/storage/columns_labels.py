"""Columns of the tables on how labels came about: their history, and the comparison of who writes and predicts."""

import pyarrow as pa

from sae.storage.columns import required

# Everything that was tried for a feature: each candidate label, and each call that gave none.
LABEL_HISTORY_COLUMNS = pa.schema(
    [
        required("feature_id", pa.int32()),
        required("number", pa.int16()),  # in the order in which it was tried
        required("kind", pa.string()),  # "local", "openai", "person"
        required("interpreter", pa.string()),  # "local", "plain", or the model
        required("predictor", pa.string()),
        required("label", pa.string()),  # "" for a call without a usable answer
        required("chosen", pa.bool_()),
        pa.field("objective", pa.float32()),  # correlation on the labelling half, by which the best is chosen
        required("errors", pa.int32()),  # documents of the labelling half for which no confidence came
        required("reason", pa.string()),  # the model's own, for a label
        required("outcome", pa.string()),  # "ok", or why there is no label or no objective
        required("documents", pa.list_(pa.int32())),  # what the Interpreter was shown
        required("input_tokens", pa.int32()),  # of the call that gave it, on its first row; else 0
        required("output_tokens", pa.int32()),
        required("usd", pa.float32()),
    ]
)

# The same features labelled and scored by each configured pair (O'Neill et al. 2024, section 4.1).
LABEL_PAIR_COLUMNS = pa.schema(
    [
        required("sae", pa.string()),
        required("interpreter", pa.string()),  # "local", "plain", or the model
        required("predictor", pa.string()),
        required("feature_id", pa.int32()),
        required("label", pa.string()),
        required("status", pa.string()),  # "scored", or "error": never a score
        required("n_scored", pa.int32()),  # documents with a confidence
        required("errors", pa.int32()),  # documents without one
        required("reason", pa.string()),  # what went wrong, "" when nothing
        pa.field("pearson_random", pa.float32()),
        pa.field("f1_random", pa.float32()),
        pa.field("pearson_matched", pa.float32()),
        pa.field("f1_matched", pa.float32()),
        pa.field("pearson_papers", pa.float32()),  # three activating and three random documents
        pa.field("f1_papers", pa.float32()),
    ]
)
PAIR_MEASURES = (
    "pearson_random",
    "f1_random",
    "pearson_matched",
    "f1_matched",
    "pearson_papers",
    "f1_papers",
)
LABEL_PAIR_SUMMARY_COLUMNS = pa.schema(  # medians over features
    [
        required("sae", pa.string()),
        required("interpreter", pa.string()),
        required("predictor", pa.string()),
        required("measure", pa.string()),  # PAIR_MEASURES
        pa.field("value", pa.float64()),  # median over the scored features
        pa.field("low", pa.float64()),  # 95 % bootstrap interval over features
        pa.field("high", pa.float64()),
        required("n", pa.int32()),  # features with a score
        required("errors", pa.int32()),  # features without one
    ]
)
