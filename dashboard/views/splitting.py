"""A feature of a small model seen splitting through the larger ones (``?start=…``), and the counts
over all features."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cards, chips, data, frame, page_script, state, structure_data
from dashboard.evaluation import evaluation_charts
from dashboard.families.family_node import colours_of
from dashboard.label_words import with_words, words_box
from dashboard.splitting import splitting_charts
from dashboard.splitting.splitting_counts import distributions
from dashboard.tables import download_table
from dashboard.text import plain_text, safe_text

_MOST_CHILDREN = 12  # shown of one feature in one model, the ones nearest to it
_MOVED = 5  # documents shown of each child


def view() -> None:
    corpus_name, _ = state.selected()
    cards.style()
    st.query_params.from_dict(st.query_params.to_dict())
    frame.header(
        "Splitting",
        "Choose a concept of the small model and see it split, or stay, as models grow.",
        models=False,
    )
    found = structure_data.splitting(corpus_name)
    names = ordered_models(corpus_name)
    if found is None or len(names) < 2:
        st.info(
            "This corpus has one model, so there is nothing to compare. Add a second [[saes]] table to the "
            "profile and run `make artifacts`.",
            icon=":material/info:",
        )
        return
    matches, summary = found
    start = _choose(corpus_name, names[0], summary)
    if start is None:
        return
    nodes, ribbons = flow_tables(corpus_name, names, matches, start)
    key = evaluation_charts.key(splitting_charts.KINDS, splitting_charts.SHAPES)
    st.html(key)
    page_script.saved_chart(
        splitting_charts.flow(nodes, ribbons, colours_of(st.context.theme.type == "dark").paper),
        f"Flow from one feature of {names[0]} to {len(nodes) - 1} features of larger models",
        f"{corpus_name}-splitting-of-{start}",
        key=key,
    )
    st.caption(
        " → ".join(
            f"{safe_text(name)} ({len(data.feature_table(corpus_name, name)):,} features)" for name in names
        )
        + ". Width: documents with both features; number: cosine with the feature it comes from. Circle in "
        "colour: the same feature is found again (recurrent); diamond and dashes: nothing like it in the "
        "smaller model (new)."
    )
    left, right = st.columns([1, 1], gap="large")
    with left:
        _list(corpus_name, names, nodes, ribbons)
    with right:
        _moving(corpus_name, nodes, ribbons)
    st.divider()
    distributions(corpus_name, names, summary)
    page_script.install()


def ordered_models(corpus_name: str) -> list[str]:
    """The SAEs of a corpus from small to large."""
    names = list(data.corpus(corpus_name).saes)
    return sorted(
        names,
        key=lambda n: (len(data.feature_table(corpus_name, n)), data.sae(corpus_name, n).facts.get("k", 0)),
    )


def _choose(corpus_name: str, small: str, summary: pd.DataFrame) -> int | None:
    """The feature to start from: searched, or one of the build's good examples, or the one in the address."""
    table = data.feature_table(corpus_name, small)
    examples = summary[(summary["kind"] == "example") & (summary["sae"] == small)]
    # The same feature may be an example for two larger models.
    best = examples.groupby("x")["value"].max().sort_values(ascending=False).index.astype(int).tolist()
    text = words_box(
        f"Concept of {small} with the words",
        "splitting-words",
        "words of its label; empty: concepts that split well",
    )
    words = text.split()
    if words:
        keep = with_words(table["label"], text) & (table["n_active"] > 0)
        options = table[keep].sort_values("pearson_random", ascending=False)["feature_id"].head(50).tolist()
    else:
        options = best or table[table["n_active"] > 0].nlargest(20, "n_active")["feature_id"].tolist()
    named = st.query_params.get("start", "")
    asked = int(named) if named.isascii() and named.isdigit() and len(named) < 9 else None
    if asked is not None and asked in table.index and asked not in options and not words:
        options = [asked, *options]
    if not options:
        st.info(
            "No concept of the small model has these words in its label. Try fewer letters, or another word."
        )
        return None
    chosen = st.selectbox(
        "Start from",
        options,
        index=options.index(asked) if asked in options else 0,
        format_func=lambda i: plain_text(chips.feature_name(chips.feature_row(table, i)), 90),
    )
    st.query_params["start"] = str(chosen)
    return int(chosen)


def flow_tables(
    corpus_name: str, names: list[str], matches: pd.DataFrame, start: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(nodes, ribbons) from one feature of the smallest model through each larger one to the next.

    A feature of a larger model belongs to its nearest in the model before. nodes: id, column, y, label, kind,
    pearson, sae, feature_id; ribbons: source, target, shared, cosine.
    """
    first = chips.feature_row(data.feature_table(corpus_name, names[0]), start)
    nodes = [_node(0, names[0], first, _kind_of_first(matches, names, start))]
    ribbons = []
    above = {start: nodes[0]["id"]}
    for column, (smaller, larger) in enumerate(pairwise(names), 1):
        table = data.feature_table(corpus_name, larger)
        pairs = matches[
            (matches["sae"] == larger) & (matches["other"] == smaller) & matches["nearest"].isin(above)
        ]
        pairs = pairs[table.loc[pairs["feature_id"], "n_active"].to_numpy() > 0]
        pairs = (
            pairs.sort_values("cosine", ascending=False).groupby("nearest", sort=False).head(_MOST_CHILDREN)
        )
        # Children stand in the order of their parents, so that ribbons do not cross.
        order = {feature: place for place, feature in enumerate(above)}
        pairs = pairs.assign(place=pairs["nearest"].map(order)).sort_values(
            ["place", "cosine"], ascending=[True, False]
        )
        below: dict[int, str] = {}
        for pair in pairs.itertuples():
            kind = "recurrent" if pair.recurrent else ("new" if pair.novel else "split")
            node = _node(column, larger, chips.feature_row(table, int(pair.feature_id)), kind)
            nodes.append(node)
            below[int(pair.feature_id)] = node["id"]
            ribbons.append(
                {
                    "source": above[int(pair.nearest)],
                    "target": node["id"],
                    "shared": int(pair.shared),
                    "cosine": float(pair.cosine),
                }
            )
        above = below
    found = pd.DataFrame(nodes)
    tallest = found.groupby("column")["id"].transform("size").max()
    place = found.groupby("column").cumcount()
    size = found.groupby("column")["id"].transform("size")
    found["y"] = (place + 0.5) / size * tallest
    return found, pd.DataFrame(ribbons, columns=["source", "target", "shared", "cosine"])


def _node(column: int, sae_name: str, row: pd.Series, kind: str) -> dict[str, Any]:
    return {
        "id": f"{column}-{int(row['feature_id'])}",
        "column": column,
        "sae": sae_name,
        "feature_id": int(row["feature_id"]),
        "label": chips.feature_name(row),
        "kind": kind,
        "pearson": chips.number(row["pearson_random"]),
    }


def _kind_of_first(matches: pd.DataFrame, names: list[str], start: int) -> str:
    up = matches[
        (matches["sae"] == names[0]) & (matches["feature_id"] == start) & matches["other"].isin(names[1:])
    ]
    return "recurrent" if len(up) and up["recurrent"].all() else "split"


def _list(corpus_name: str, names: list[str], nodes: pd.DataFrame, ribbons: pd.DataFrame) -> None:
    st.subheader("Features on the way", anchor=False)
    cosine = ribbons.set_index("target")["cosine"]
    for column, name in enumerate(names):
        st.markdown(f":small[:gray[{safe_text(name)}]]")
        table = data.feature_table(corpus_name, name)
        for node in nodes[nodes["column"] == column].head(_MOST_CHILDREN).to_dict("records"):
            kind = {"recurrent": "recurrent", "new": "new", "split": ""}[node["kind"]]
            near = f"cosine {chips.signed(cosine[node['id']])}" if node["id"] in cosine.index else ""
            chips.feature_chip(
                chips.feature_row(table, int(node["feature_id"])),
                f"split-{node['id']}",
                note=" · ".join(p for p in (near, kind) if p),
                corpus_and_sae=(corpus_name, name),
            )
    told = nodes.merge(ribbons, left_on="id", right_on="target", how="left")
    told = told[["sae", "feature_id", "label", "kind", "pearson", "cosine", "shared", "source"]]
    told = told.assign(label=[plain_text(label, 300) for label in told["label"]])
    download_table(told, f"{corpus_name}-splitting", key="splitting-csv")


def _moving(corpus_name: str, nodes: pd.DataFrame, ribbons: pd.DataFrame) -> None:
    """Documents of the first feature that a chosen child of the next model took over."""
    st.subheader("Documents that move", anchor=False)
    first = nodes.iloc[0]
    children = nodes[nodes["column"] == 1]
    if children.empty:
        st.caption(
            "No feature of the next model has this one as its nearest: other features took its documents."
        )
        return
    labels = dict(zip(children["feature_id"], children["label"], strict=True))
    chosen = st.selectbox(
        "To", list(labels), format_func=lambda i: plain_text(labels[i], 90), key="splitting-child"
    )
    own, _ = data.sae(corpus_name, first["sae"]).by_feature(int(first["feature_id"]))
    rows, activations = data.sae(corpus_name, children.iloc[0]["sae"]).by_feature(int(chosen))
    both = np.isin(rows, own)
    st.caption(
        f"{int(both.sum()):,} of the {len(own):,} documents of “{safe_text(first['label'], 80)}” are here "
        "too; "
        f"{int((~both).sum()):,} come from elsewhere."
    )
    shown = rows[both][:_MOVED]
    for document, activation in zip(data.documents(corpus_name, shown), activations[both], strict=False):
        cards.document_card(document, activation=float(activation), max_activation=float(activations.max()))


view()
