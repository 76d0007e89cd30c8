"""What rankings cost on a test collection with judgments of relevance, where the build was given one."""

import pandas as pd
import streamlit as st

from dashboard import page_script
from dashboard.evaluation import evaluation_charts
from dashboard.evaluation.evaluation_data import VARIANTS, table
from dashboard.tables import download_table
from dashboard.text import plain_text, safe_text

_MEASURES = {
    "ndcg@10": "nDCG@10: relevant documents near the top of the first ten",
    "recall@100": "recall@100: relevant documents found among the first hundred",
    "overlap@10": "overlap@10: of the first ten by the embedding",
}


def judged(corpus_name: str, sae_name: str) -> None:
    """The section: a sentence, a chart for one measure, its numbers. Nothing without a test collection."""
    found = table(corpus_name, "judged")
    if found.empty:
        return
    name = plain_text(found["collection"].iloc[0], 60)
    st.markdown(
        f"By judgments of relevance: the test collection {safe_text(found['collection'].iloc[0], 60)}"
    )
    st.markdown(in_words(found[found["sae"] == sae_name]))
    measure = st.segmented_control(
        "Measure", list(_MEASURES), default="ndcg@10", required=True, key="evaluation-measure",
        label_visibility="collapsed",
    )  # fmt: skip
    bars = found[found["measure"] == measure]
    page_script.saved_chart(
        evaluation_charts.kept(
            bars.assign(variant=bars["variant"].map(VARIANTS)), _MEASURES[measure].split(":")[0]
        ),
        f"{measure} of each model and variant on {name}",
        f"{corpus_name}-judged-{measure}",
    )
    st.caption(
        f"{_MEASURES[measure]}. Longer is better; lines are 95 % intervals over {int(bars['n'].max()):,} queries, "
        f"{int(bars['n_documents'].max()):,} documents searched. A steered search without edits is the first bar: what "
        "the others lose is what the models cannot express."
    )
    download_table(found, f"{corpus_name}-judged", key="evaluation-judged-csv")


def in_words(judged_rows: pd.DataFrame) -> str:
    """The cost in a sentence, for one model."""
    values = judged_rows[judged_rows["measure"] == "ndcg@10"].set_index("variant")["value"]
    if not {"original", "query", "query and documents", "sparse"} <= set(values.index):
        return "Nothing was measured for this model."
    return (
        f"nDCG@10 is **{values['original']:.3f}** by the embedding, which is what a steered search starts from; "
        f"{values['query']:.3f} when the query is replaced by its reconstruction, "
        f"{values['query and documents']:.3f} when the documents are as well, {values['sparse']:.3f} by features alone."
    )
