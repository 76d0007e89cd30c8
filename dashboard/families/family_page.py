"""One family: its graph at the left; its features, scores, matrix and documents at the right."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dashboard import chips, page_script, state, structure_data
from dashboard.families import family_tabs, treemap
from dashboard.families.family_actions import family_actions
from dashboard.families.family_node import Node
from dashboard.families.graph import family_graph, graph_height
from dashboard.row_table import chosen_mark
from dashboard.text import plain_text, safe_text

_MAPPED_FROM = 20  # features: below that a graph says all that a map would


def family_page(corpus_name: str, sae_name: str, family: pd.Series) -> Callable[[], None]:
    """A family (a row of schema.FAMILY_SCORE_COLUMNS) with its graph; returns what draws all else of it, so that
    it can wait until the graph is on its way."""
    family_id = int(family["family_id"])
    tree = structure_data.tree(corpus_name, sae_name, family_id)
    name = family_name(family, tree)
    st.subheader(safe_text(name, 160), anchor=False)
    _facts(family, tree)
    stem = f"{corpus_name}-{sae_name}-family-{family_id}"
    with st.container(key=page_script.LINKED):
        left, right = st.columns(2, gap="large")
    with left:
        shown = _levels(tree, family_id)
        if len(tree) >= _MAPPED_FROM and _drawn_as() == "Map":
            _map(shown, stem)
        else:
            _graph(shown)

    def rest() -> None:
        with left:
            family_actions(corpus_name, sae_name, family, tree, name, _nodes(shown))
        features, radar, matrix, documents = right.tabs(["Features", "Scores", "Together", "Documents"])
        with features:
            family_tabs.features_table(tree, family_id, stem)
        with radar:
            family_tabs.scores_radar(family, tree, stem)
        with matrix:
            family_tabs.matrix_block(corpus_name, sae_name, tree, stem)
        with documents:
            family_tabs.documents_plane(corpus_name, sae_name, family, stem)

    return rest


def family_name(family: pd.Series, tree: pd.DataFrame) -> str:
    """The family's label, else its parent's. Plain text."""
    parent = plain_text(tree["label"].iloc[0], 120) if len(tree) else ""
    return plain_text(family["label"], 160) or parent or f"family {int(family['family_id'])}"


def _facts(family: pd.Series, tree: pd.DataFrame) -> None:
    ratio, chance = chips.number(family["ratio"]), chips.number(family["ratio_chance"])
    facts = [
        (
            "Features",
            f"{int(family['size'])} on {int(family['depth']) + 1} levels",
            "The parent is one of them.",
        ),
        ("Documents", f"{int(family['n_documents']):,}", "In which any feature of the family is active."),
        (
            "Label, nearest negatives",
            chips.interval(family, "pearson_matched"),
            "How well the family's label foretells in which documents it is active (Pearson, 95 % interval), "
            "each set against its nearest document outside the family.",
        ),
        (
            "Label, random negatives",
            chips.interval(family, "pearson_random"),
            "The same against random documents: the papers' question.",
        ),
        (
            "Parent–child ratio",
            ("children never meet" if ratio is None else chips.signed(ratio, 1))
            + ("" if chance is None else f" · by chance {chips.signed(chance, 1)}"),
            "How often a child is active together with the parent, over how often two children are active "
            "together. By chance: the same on documents whose features were shuffled.",
        ),
    ]
    with st.container(horizontal=True, gap="medium", key="feature-facts"):
        for title, value, explanation in facts:
            st.metric(title, value, help=explanation, width="content")


def _levels(tree: pd.DataFrame, family_id: int) -> pd.DataFrame:
    deepest = int(tree["depth"].max())
    if deepest < 2:
        return tree
    level = st.slider(
        "Levels shown",
        2,
        deepest + 1,
        deepest + 1,
        key=f"family-levels-{family_id}",
        help="From general to specific.",
    )
    return tree[tree["depth"] < level]


def _drawn_as() -> str:
    return str(
        st.segmented_control(
            "Drawn as",
            ["Graph", "Map"],
            default="Graph",
            required=True,
            key="family-drawn-as",
            label_visibility="collapsed",
        )
    )


def _map(tree: pd.DataFrame, stem: str) -> None:
    shown = tree.assign(pearson=tree["pearson_random"])
    event = page_script.choosable_chart(
        treemap.family_tiles(shown[["feature_id", "label", "depth", "n_active", "pearson"]]),
        f"Map of the {len(tree) - 1} features below {plain_text(tree['label'].iloc[0], 60)}",
        f"{stem}-map",
        selection="feature",
        key=f"{stem}-map",
    )
    if (picked := chosen_mark(event, "feature", "feature_id")) is not None:
        st.switch_page(chips.FEATURES_PAGE, query_params=state.feature_parameters(picked))
    st.caption(
        "Every feature below the parent; area: documents, side by side what lies below the same feature. "
        "Colour: how well the label predicts (Pearson, random negatives). Click one for its page."
    )


def _nodes(tree: pd.DataFrame) -> list[Node]:
    return [
        Node(
            feature_id=int(row["feature_id"]),
            label=str(row["label"] or ""),
            x=float(row["x"]),
            y=float(row["y"]),
            density=float(row["density"]),
            score=chips.number(row["pearson_random"]),
            parent=None if pd.isna(row["parent"]) else int(row["parent"]),
            share=chips.number(row["share"]),
            facts=_told(row),
        )
        for row in tree.to_dict("records")
    ]


def _graph(tree: pd.DataFrame) -> None:
    nodes = _nodes(tree)
    corpus_name, sae_name = state.selected()
    address = "features?" + urlencode({"corpus": corpus_name, "sae": sae_name, "feature": ""})
    dark = st.context.theme.type == "dark"
    st.iframe(
        family_graph(nodes, address, dark),
        height=graph_height(nodes),
        alt=f"Graph of a family of {len(nodes)} features",
    )
    st.caption(
        "From general to specific. Size: density. Colour: how well the label predicts (ochre low, blue-green "
        "high, dashed unscored). Width of an arrow: share of the sparser feature's documents in which both "
        "are "
        "active."
    )


def _told(row: Any) -> tuple[str, ...]:
    facts = [
        f"log density {chips.signed(row['log_density'])}",
        f"Pearson {chips.signed(row['pearson_random'])}",
        f"F1 {chips.signed(row['f1_random'])}",
    ]
    if not pd.isna(row["parent"]):
        facts.append(
            f"{int(row['count']):,} documents with the feature above it ({chips.percent(row['share'])})"
        )
    return tuple(facts)
