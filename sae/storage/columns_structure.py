"""Columns of the tables about structure: families of one SAE, splitting between SAEs, domains between corpora."""

import pyarrow as pa

from sae.storage.columns import SCORE_COLUMNS, required

FAMILY_COLUMNS = pa.schema(  # one row for each feature of each family, in depth-first order, the parent first
    [
        required("family_id", pa.int32()),  # 0 is the largest family
        required("feature_id", pa.int32()),
        pa.field("parent", pa.int32()),  # the feature above it in the tree; null for the family's parent
        required("depth", pa.int16()),
        required("x", pa.float32()),  # where it stands when the family is drawn
        required("y", pa.float32()),
        pa.field("count", pa.int32()),  # documents in which it is active together with the feature above it
        pa.field("share", pa.float32()),  # the same over the documents of the sparser of the two
        pa.field("similarity", pa.float32()),  # cosine of the two features' activations
        pa.field("count_with_parent", pa.int32()),  # documents active together with the family's parent
    ]
)
FAMILY_SCORE_COLUMNS = pa.schema(  # one row a family, in order of family_id
    [
        required("family_id", pa.int32()),
        required("feature_id", pa.int32()),  # its parent
        required("iteration", pa.int16()),
        required("size", pa.int32()),  # features, the parent included
        required("depth", pa.int16()),
        required("n_documents", pa.int64()),  # documents in which any of its features is active
        required("label", pa.string()),
        pa.field("objective", pa.float32()),
        *SCORE_COLUMNS,
        pa.field("ratio", pa.float32()),  # R of counts; infinite when its children never meet
        pa.field("ratio_similarity", pa.float32()),  # R of activation similarities
        pa.field("ratio_chance", pa.float32()),  # R of counts on shuffled latents
        required("explained", pa.list_(pa.float32())),  # share of variance along two principal components
    ]
)
FAMILY_METRIC_COLUMNS = pa.schema(  # numbers of one SAE, long: "table 1", "chance", "left out", "found", …
    [required("group", pa.string()), required("name", pa.string()), pa.field("value", pa.float64())]
)
FAMILY_POINT_COLUMNS = pa.schema(  # documents in the plane of a family's principal components
    [
        required("family_id", pa.int32()),
        required("document", pa.int32()),
        required("x", pa.float32()),
        required("y", pa.float32()),
        required("activation", pa.float32()),  # mean over the family's active features
    ]
)
STRUCTURE_COLUMNS = pa.schema(  # reordered matrices, as means over at most 64 × 64 cells
    [
        required("matrix", pa.string()),
        required("row", pa.int16()),
        required("column", pa.int16()),
        required("value", pa.float32()),
    ]
)
SPLITTING_COLUMNS = pa.schema(  # for each feature of each SAE its nearest in every other SAE of the corpus
    [
        required("sae", pa.string()),
        required("feature_id", pa.int32()),
        required("other", pa.string()),
        required("nearest", pa.int32()),
        required("cosine", pa.float32()),
        required("similarity", pa.float32()),  # cosine of activations over the documents
        required("shared", pa.int32()),  # documents in which both are active
        required("recurrent", pa.bool_()),  # the same feature is found in the other SAE
        required("novel", pa.bool_()),  # the other SAE is smaller and holds nothing like it
    ]
)
SPLITTING_SUMMARY_COLUMNS = pa.schema(  # "cosines", "recurring", "overlap", "example"
    [
        required("kind", pa.string()),
        required("sae", pa.string()),
        required("other", pa.string()),
        required("x", pa.float64()),
        required("value", pa.float64()),
    ]
)
SCALING_COSINE_COLUMNS = pa.schema(  # how near an SAE of the grid is to the next smaller one, as histograms
    [
        required("fixed", pa.string()),  # "k" (n varies) or "n" (k varies)
        required("k", pa.int32()),
        required("n_latents", pa.int32()),
        required("other_k", pa.int32()),  # the SAE in which each direction's nearest is sought
        required("other_n_latents", pa.int32()),
        required("median", pa.float64()),  # cosine, over the features
        required("x", pa.float64()),  # lower edge of a bar
        required("share", pa.float64()),  # of the features
    ]
)
DOMAIN_COLUMNS = pa.schema(  # for each feature of each SAE of this corpus its nearest in another corpus
    [
        required("sae", pa.string()),
        required("feature_id", pa.int32()),
        required("other_corpus", pa.string()),
        required("other_sae", pa.string()),
        required("nearest", pa.int32()),
        required("cosine", pa.float32()),
        required("mutual", pa.bool_()),  # nearest in both directions
        required("similarity", pa.float32()),  # of activations, both corpora encoded by both SAEs
        required("active", pa.int32()),  # documents in which both are active
        pa.field("shared_similarity", pa.float32()),  # on the documents that both corpora hold
        required("shared_active", pa.int32()),
        pa.field("label_overlap", pa.float32()),  # share of the shorter label's words that the other has too
        pa.field("delta_pearson", pa.float32()),  # change of pearson_random when the other's label is used
        pa.field("delta_f1", pa.float32()),
    ]
)
