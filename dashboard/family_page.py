"""One family: its graph at the left; its features, scores, matrix and documents at the right."""

from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dashboard import charts, chips, data, family_charts, state, structure_data
from dashboard.family_files import family_graphml, family_json
from dashboard.graph import Node, family_graph, graph_height
from dashboard.tables import download_table
from dashboard.text import plain_text, safe_text

STEERED = 12  # features that "steer with this family" moves at most
_SHOWN_IN_MATRIX = 40
_SHOWN_ON_RADAR = 40


def family_page(corpus_name: str, sae_name: str, family: pd.Series) -> None:
    """Everything about one family (a row of schema.FAMILY_SCORE_COLUMNS)."""
    family_id = int(family["family_id"])
    tree = structure_data.tree(corpus_name, sae_name, family_id)
    name = family_name(family, tree)
    st.subheader(safe_text(name, 160), anchor=False)
    _facts(family, tree)
    left, right = st.columns([5, 4], gap="large")
    with left:
        shown = _levels(tree, family_id)
        _graph(shown)
        _actions(corpus_name, sae_name, family, tree, name)
    with right:
        features, radar, matrix, documents = st.tabs(["Features", "Scores", "Together", "Documents"])
        with features:
            _table(tree, family_id, f"{corpus_name}-{sae_name}-family-{family_id}")
        with radar:
            _radar(family, tree)
        with matrix:
            _matrix(corpus_name, sae_name, tree)
        with documents:
            _projection(corpus_name, sae_name, family)


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
        1,
        deepest,
        deepest,
        key=f"family-levels-{family_id}",
        help="From general to specific.",
    )
    return tree[tree["depth"] <= level]


def _graph(tree: pd.DataFrame) -> None:
    nodes = [
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


def _actions(corpus_name: str, sae_name: str, family: pd.Series, tree: pd.DataFrame, name: str) -> None:
    stem = f"{corpus_name}-{sae_name}-family-{int(family['family_id'])}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Steer with this family",
            icon=":material/tune:",
            type="primary",
            help=f"Raise the parent and its children in the search, in proportion to their mean activations "
            f"(at most {STEERED} features).",
        ):
            steer_with(corpus_name, sae_name, tree)
        records = tree.astype(object).where(tree.notna(), None).to_dict("records")
        rows = [{str(name): value for name, value in record.items()} for record in records]
        facts = {
            "corpus": corpus_name,
            "sae": sae_name,
            "family_id": int(family["family_id"]),
            "label": name,
            "pearson": chips.number(family["pearson_random"]),
            "f1": chips.number(family["f1_random"]),
        }
        for row in rows:
            row["pearson"], row["f1"] = row["pearson_random"], row["f1_random"]
        for kind, mime, content in (
            ("JSON", "application/json", lambda: family_json(facts, rows)),
            ("GraphML", "application/xml", lambda: family_graphml(rows)),
        ):
            st.download_button(
                kind,
                content,
                file_name=f"{stem}.{kind.lower()}",
                mime=mime,
                icon=":material/download:",
                type="tertiary",
                key=f"family-{kind}",
                on_click="ignore",
                help="Save this family's tree.",
            )


def family_edits(tree: pd.DataFrame, strong: float) -> dict[int, float]:
    """Values for the parent and its most frequent children, in proportion to their mean activations; the
    parent gets ``strong``, no feature more than twice that."""
    children = tree.iloc[1:].sort_values("count_with_parent", ascending=False, kind="stable")
    chosen = pd.concat([tree.head(1), children.head(STEERED - 1)])
    mean = chosen["mean_activation"].fillna(0).to_numpy(dtype=float)
    values = strong * (mean / max(mean[0], 1e-9)).clip(0, 2) / len(chosen) ** 0.5
    return {int(i): round(float(v), 3) for i, v in zip(chosen["feature_id"], values, strict=True) if v > 0}


def steer_with(corpus_name: str, sae_name: str, tree: pd.DataFrame) -> None:
    """Raise the whole family in the session's search and go there."""
    parent = chips.feature_row(data.feature_table(corpus_name, sae_name), int(tree["feature_id"].iloc[0]))
    for feature_id, value in family_edits(tree, chips.steering_value(parent)).items():
        state.add_edit(feature_id, value)
    st.switch_page(chips.SEARCH_PAGE)


def _table(tree: pd.DataFrame, family_id: int, stem: str) -> None:
    shown = pd.DataFrame(
        {
            "feature": tree["feature_id"],
            "label": [
                "\u2003" * min(int(d), 6) + (plain_text(label, 120) or "(no label)")
                for d, label in zip(tree["depth"], tree["label"], strict=True)
            ],
            "together": tree["count_with_parent"],
            "share": tree["share"],
            "pearson": tree["pearson_random"],
            "f1": tree["f1_random"],
            "density": 100 * tree["density"],
        }
    )
    column = st.column_config
    event: Any = st.dataframe(
        shown,
        hide_index=True,
        height=min(480, 35 * (len(shown) + 1) + 3),
        on_select="rerun",
        selection_mode="single-row",
        key=f"family-table-{family_id}",
        alt="Features of the family with co-occurrence and scores",
        column_config={
            "feature": None,
            "label": column.TextColumn(
                "Feature", width="medium", help="Indented below the feature above it."
            ),
            "together": column.NumberColumn(
                "With parent",
                format="localized",
                width=100,
                help="Documents in which it and the family's parent are active.",
            ),
            "share": column.NumberColumn(
                "Share",
                format="percent",
                width=70,
                help="Of the sparser one's documents, those in which the feature above it is active too.",
            ),
            "pearson": column.NumberColumn(
                "Pearson", format="%.2f", width=70, help="Of its label, random negatives."
            ),
            "f1": column.NumberColumn("F1", format="%.2f", width=60, help="Of its label, random negatives."),
            "density": column.NumberColumn("Density", format="%.2g %%", width=80),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption("Select a row to open its page.", width="content")
        download_table(
            shown.assign(label=tree["label"].map(lambda v: plain_text(v, 300))), stem, key="family-csv"
        )
    if event.selection.rows:
        feature_id = int(shown["feature"].iloc[event.selection.rows[0]])
        st.switch_page(chips.FEATURES_PAGE, query_params=state.feature_parameters(feature_id))


def _radar(family: pd.Series, tree: pd.DataFrame) -> None:
    shown = tree.sort_values("density", ascending=False, kind="stable").head(_SHOWN_ON_RADAR)
    scores = [chips.number(value) for value in shown["pearson_random"]]
    own = chips.number(family["pearson_random"])
    charts.show(
        family_charts.radar(shown["label"].tolist(), scores, own),
        f"Pearson of {len(shown)} features around a circle; the family's own is {chips.signed(own)}",
    )
    st.caption(
        f"Pearson of each feature's label; dashed: the family's own, {chips.signed(own)}. Rings at ¼, ½, ¾, "
        "1."
    )


def _matrix(corpus_name: str, sae_name: str, tree: pd.DataFrame) -> None:
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
    charts.show(
        family_charts.matrix_block(
            ordered["label"].tolist(),
            similarities if similar else counts,
            "similarity" if similar else "documents",
        ),
        "How often, or how similarly, each two features of the family are active together",
    )
    st.caption(
        "Stronger: more. Children by rising density, the parent last: its row should be the strong one."
    )


def _projection(corpus_name: str, sae_name: str, family: pd.Series) -> None:
    points = structure_data.points(corpus_name, sae_name, int(family["family_id"]))
    if len(points) < 3:
        st.caption("Too few documents to draw.")
        return
    charts.show(
        family_charts.projection(points, list(family["explained"])),
        "Documents of the family in the plane of its first two principal components",
    )
    st.caption(
        f"A sample of {len(points)} documents, by their activations of this family alone; stronger: more "
        "active. Straight rays are "
        "documents with one feature."
    )
