"""Concepts that two corpora share: matched features, sorted and searched, with documents of each side."""

import pandas as pd
import streamlit as st

from dashboard import cards, chips, data, frame, state, structure_data
from dashboard.label_words import with_words, words_box
from dashboard.row_table import row_table, score_column
from dashboard.text import plain_text, safe_text

_DOCUMENTS = 4  # shown of each side
# Cosine from which two directions count as nearly the same: of the nearest pairs of two arXiv fields, 3 to 9 in a
# hundred reach it.
_NEAR = 0.7
_OTHER_NAME = "Near, under another name"
_ORDERS = {
    "Nearest directions": ("cosine", False),
    _OTHER_NAME: ("cosine", False),
    "Most alike in firing": ("similarity", False),
    "Label travels worst": ("delta_pearson", True),
    "Label travels best": ("delta_pearson", False),
}


def view() -> None:
    corpus_name, sae_name = state.selected()
    cards.style()
    frame.header(
        "Domains", "The same concept in two fields: which ones cross over, and do their names still fit?"
    )
    matches = structure_data.domains(corpus_name)
    if matches is None or matches.empty:
        st.info(
            "This build holds one corpus, so there is no other field to compare with. Add a second one to "
            "the "
            "profile (or to CORPUS) and run `make artifacts`.",
            icon=":material/info:",
        )
        return
    others = sorted(matches["other_corpus"].unique())
    left, middle, right = st.columns([2, 2, 3], gap="medium", vertical_alignment="bottom")
    with left:
        other = st.selectbox(
            "Compared with", others, format_func=lambda n: plain_text(n, 60), key="domains-other"
        )
    with middle:
        order = st.selectbox("Sorted by", list(_ORDERS), key="domains-order")
    with right:
        text = words_box("Label contains", "domains-words", "on either side")
    found = matched_table(corpus_name, sae_name, other, matches)
    _summary(found, other)
    found = _sorted(found, text, order)
    if found.empty:
        st.info(
            "No pair has these words in either label. Try fewer letters."
            if text
            else "No pair lies in nearly the same direction under another name. Sort by something else."
        )
        return
    row = _table(found, corpus_name, sae_name, other)
    _pair(corpus_name, sae_name, other, row)


def matched_table(corpus_name: str, sae_name: str, other: str, matches: pd.DataFrame) -> pd.DataFrame:
    """Pairs of live features with both labels; ``note`` points out near-identical directions with other
    names."""
    found = matches[(matches["sae"] == sae_name) & (matches["other_corpus"] == other)].reset_index(drop=True)
    ours, theirs = data.feature_table(corpus_name, sae_name), data.feature_table(other, sae_name)
    live = (ours.loc[found["feature_id"], "n_active"].to_numpy() > 0) & (
        theirs.loc[found["nearest"], "n_active"].to_numpy() > 0
    )
    found = found[live].reset_index(drop=True)
    labels = [plain_text(v, 160) for v in ours.loc[found["feature_id"], "label"]]
    their_labels = [plain_text(v, 160) for v in theirs.loc[found["nearest"], "label"]]
    named_alike = found["label_overlap"].fillna(0) > 0
    strange = (found["cosine"] >= _NEAR) & ~named_alike & (found["label_overlap"].notna())
    return found.assign(
        label=labels,
        their_label=their_labels,
        note=["nearly the same, other name" if s else "" for s in strange],
    )


def _summary(found: pd.DataFrame, other: str) -> None:
    near = int((found["cosine"] >= _NEAR).sum())
    strange = int((found["note"] != "").sum())
    moved = found["delta_pearson"].dropna()
    told = (
        f"**{int(found['mutual'].sum()):,}** of {len(found):,} concepts are each other's nearest in "
        f"{safe_text(other)}. **{near:,}** lie in nearly the same direction as their nearest (cosine ≥ {_NEAR}), "
        f"**{strange:,}** of these under names without a common word."
    )
    if len(moved):
        told += (
            " With the other field's label a concept is foretold "
            f"{'worse' if moved.median() < 0 else 'no worse'} "
            f"by {chips.signed(abs(moved.median()))} Pearson in the median (papers: 0.07 worse)."
        )
    st.markdown(told)


def _sorted(found: pd.DataFrame, text: str, order: str) -> pd.DataFrame:
    keep = with_words(found["label"] + " " + found["their_label"], text)
    if order == _OTHER_NAME:
        keep &= found["note"] != ""
    column, ascending = _ORDERS[order]
    return (
        found[keep]
        .sort_values(column, ascending=ascending, kind="stable", na_position="last")
        .reset_index(drop=True)
    )


def _table(found: pd.DataFrame, corpus_name: str, sae_name: str, other: str) -> pd.Series:
    names = [
        "label",
        "their_label",
        "cosine",
        "similarity",
        "shared_similarity",
        "delta_pearson",
        "delta_f1",
        "mutual",
        "note",
        "feature_id",
        "nearest",
    ]
    shown = found[names if (found["note"] != "").any() else [n for n in names if n != "note"]]
    column = st.column_config
    chosen = row_table(
        shown,
        {
            "feature_id": None,
            "nearest": None,
            "label": column.TextColumn(plain_text(corpus_name, 40), width="medium"),
            "their_label": column.TextColumn(plain_text(other, 40), width="medium"),
            "cosine": score_column("Cosine", 70, "Of decoder directions, in embedding space."),
            "similarity": score_column(
                "Firing", 70, "Cosine of activations over both corpora, encoded by both models."
            ),
            "shared_similarity": score_column(
                "Shared", 70, "The same over the documents that both corpora hold."
            ),
            "delta_pearson": score_column(
                "Δ Pearson", 90, "Change when the other field's label is used, random negatives.", "%+.2f"
            ),
            "delta_f1": score_column("Δ F1", 70, "The same change of F1.", "%+.2f"),
            "mutual": column.CheckboxColumn("Mutual", width=70, help="Each is the other's nearest."),
            "note": column.TextColumn(
                "Look at", width="medium", help=f"Cosine of at least {_NEAR} under names that share no word."
            ),
        },
        key=f"domains-{corpus_name}-{sae_name}-{other}",
        name=f"{corpus_name}-{other}-{sae_name}-domains",
        alt="Matched features with both labels and scores",
        hint="Select a row to see both sides. Click a column's head to sort.",
    )
    return found.iloc[chosen or 0]


def _pair(corpus_name: str, sae_name: str, other: str, row: pd.Series) -> None:
    sides = ((corpus_name, int(row["feature_id"])), (other, int(row["nearest"])))
    for place, (side, feature_id) in zip(st.columns(2, gap="large"), sides, strict=True):
        with place:
            st.markdown(f":small[:gray[{safe_text(side)}]]")
            feature = chips.feature_row(data.feature_table(side, sae_name), feature_id)
            chips.feature_chip(feature, f"domain-{side}", corpus_and_sae=(side, sae_name))
            rows, activations = data.sae(side, sae_name).by_feature(feature_id, limit=_DOCUMENTS)
            for document, activation in zip(data.documents(side, rows), activations, strict=True):
                cards.document_card(
                    document, activation=float(activation), max_activation=float(activations[0])
                )


view()
