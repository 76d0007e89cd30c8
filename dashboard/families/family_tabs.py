"""What is told of one family beside its graph: table, radar, matrix block and the plane of its documents."""

import pandas as pd
import streamlit as st

from dashboard import chips, page_script, state, structure_data
from dashboard.families import family_charts
from dashboard.row_table import row_table, score_column
from dashboard.text import plain_text

_SHOWN_IN_MATRIX = 40
_SHOWN_ON_RADAR = 40


def features_table(tree: pd.DataFrame, family_id: int, stem: str) -> None:
    """The features with co-occurrence and scores; a chosen row opens the feature's page."""
    shown = pd.DataFrame(
        {
            "feature": tree["feature_id"],
            "label": [
                "\u2003" * min(int(d), 6) + (plain_text(label, 120) or "(no label)")
                for d, label in zip(tree["depth"], tree["label"], strict=True)
            ],
            "together": tree["count_with_parent"],
            "share": 100 * tree["share"],
            "pearson": tree["pearson_random"],
            "f1": tree["f1_random"],
            "density": 100 * tree["density"],
        }
    )
    column = st.column_config
    chosen = row_table(
        shown,
        {
            # Shown first: dashboard.page_script reads there which feature stands in a row.
            "feature": column.NumberColumn("No.", format="%d", width=50, help="The feature's number."),
            "label": column.TextColumn("Feature", width=235, help="Indented below the feature above it."),
            "together": column.NumberColumn(
                "With parent",
                format="localized",
                width=92,
                help="Documents in which it and the family's parent are active.",
            ),
            "share": column.NumberColumn(
                "Share",
                format="%.0f %%",
                width=62,
                help="Of the sparser one's documents, those in which the feature above it is active too.",
            ),
            "pearson": score_column("Pearson", 68, "Of its label, random negatives."),
            "f1": score_column("F1", 48, "Of its label, random negatives."),
            "density": column.NumberColumn("Density", format="%.2g %%", width=72),
        },
        key=f"family-table-{family_id}",
        name=stem,
        alt="Features of the family with co-occurrence and scores",
        hint="Select a row to open its page.",
        height=480,
        saved=shown.assign(label=tree["label"].map(lambda v: plain_text(v, 300)), share=tree["share"]),
    )
    if chosen is not None:
        feature_id = int(shown["feature"].iloc[chosen])
        st.switch_page(chips.FEATURES_PAGE, query_params=state.feature_parameters(feature_id))


def scores_radar(family: pd.Series, tree: pd.DataFrame, stem: str) -> None:
    """How well the features' labels predict, and the family's own."""
    shown = tree.sort_values("density", ascending=False, kind="stable").head(_SHOWN_ON_RADAR)
    scores = [chips.number(value) for value in shown["pearson_random"]]
    own = chips.number(family["pearson_random"])
    page_script.saved_chart(
        family_charts.radar(shown["feature_id"].tolist(), shown["label"].tolist(), scores, own),
        f"Pearson of {len(shown)} features around a circle; the family's own is {chips.signed(own)}",
        f"{stem}-scores",
    )
    st.caption(
        f"Pearson of each feature's label; dashed: the family's own, {chips.signed(own)}. Rings at ¼, ½, ¾, "
        "1."
    )


def matrix_block(corpus_name: str, sae_name: str, tree: pd.DataFrame, stem: str) -> None:
    """How often, or how similarly, each two features of the family are active together."""
    # The parent last, children by rising density; of a large family the densest ones.
    children = tree.iloc[1:].sort_values("density", kind="stable").tail(_SHOWN_IN_MATRIX - 1)
    ordered = pd.concat([children, tree.head(1)])
    counts, similarities = structure_data.block(
        corpus_name, sae_name, tuple(int(i) for i in ordered["feature_id"])
    )
    kind = st.segmented_control(
        "Matrix",
        ["Documents", "Similarity"],
        default="Documents",
        key="family-matrix",
        label_visibility="collapsed",
    )
    similar = kind == "Similarity"
    page_script.saved_chart(
        family_charts.matrix_block(
            ordered["feature_id"].tolist(),
            ordered["label"].tolist(),
            similarities if similar else counts,
            "similarity" if similar else "documents",
        ),
        "How often, or how similarly, each two features of the family are active together",
        f"{stem}-together",
    )
    st.caption("Children by rising density, the parent last: its row should be the strong one.")


def documents_plane(corpus_name: str, sae_name: str, family: pd.Series, stem: str) -> None:
    """Documents in the plane of the family's first two principal components."""
    points = structure_data.points(corpus_name, sae_name, int(family["family_id"]))
    if len(points) < 3:
        st.caption("Too few documents to draw.")
        return
    page_script.saved_chart(
        family_charts.projection(points, list(family["explained"])),
        "Documents of the family in the plane of its first two principal components",
        f"{stem}-documents",
    )
    st.caption(
        f"A sample of {len(points)} documents, by their activations of this family alone. Straight rays are "
        "documents with one feature."
    )
