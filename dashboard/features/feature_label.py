"""What a feature's label promises: its scores, the Predictor's answers, and how the label came about."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import charts, chips, data
from dashboard.tables import download_table, with_minus
from dashboard.text import plain_text, safe_text
from sae.storage import label_store

_WHY_UNSCORED = {
    "too rare": "the feature is active in too few documents to write a label from some and score it on others",
    "error": "the Predictor gave no usable answer",
    "dead": "the feature is active in no document",
}
_DETAILS = {  # beginning of the score's columns -> its name
    "pearson": "Pearson",
    "pearson_strong": "Pearson, strongest fifth",
    "f1": "F1",
}
_KINDS = {"local": "local", "person": "a person"}


_EVIDENCE_COLUMNS: dict[str, Any] = {
    "document": st.column_config.TextColumn("Document", width="medium"),
    "truth": st.column_config.TextColumn("Truth", width="small", help="Whether the feature is active there."),
    "activation": st.column_config.NumberColumn("Activation", format="%.2f", width="small"),
    "confidence": st.column_config.NumberColumn(
        "Confidence", format="%.2f", width="small", help="From −1, surely not active, to +1, surely active."
    ),
}


def prediction(corpus_name: str, sae_name: str, row: pd.Series) -> None:
    """What the Predictor foretold from the label for each scored document, beside the truth."""
    st.subheader("How well the label predicts", anchor=False)
    if not chips.is_scored(row):
        st.caption(
            f"This label has not been scored: {_WHY_UNSCORED.get(row['status'], safe_text(row['status'], 60))}. "
            "Read the documents before you rely on it."
        )
        return
    evidence = scored_documents(corpus_name, sae_name, int(row["feature_id"]))
    if evidence.empty:
        st.caption("The build holds no scored documents for this feature.")
        return
    rightly = int(((evidence["confidence"] > 0) == (evidence["activation"] > 0)).sum())
    st.caption(
        "The Predictor read the label and one document at a time, none of which had a part in choosing the "
        f"label. It told {rightly} of {len(evidence)} rightly."
    )
    told = f"Confidence for {len(evidence)} documents; {rightly} told rightly."
    charts.show(charts.prediction_strips(evidence), told)
    _all_scores(row)
    with st.expander(f"All {len(evidence)} scored documents"):
        shown = pd.DataFrame(
            {
                "document": [plain_text(title, 200) for title in evidence["title"]],
                "truth": evidence["role"].map(charts.ROLES).fillna("other"),
                "activation": evidence["activation"],
                "confidence": evidence["confidence"],
            }
        )
        written, columns = with_minus(shown, _EVIDENCE_COLUMNS)
        st.dataframe(written, hide_index=True, height=300, column_config=columns, alt="Scored documents")
        download_table(shown, f"feature-{int(row['feature_id'])}-scored-documents", key="evidence-csv")


def _all_scores(row: pd.Series) -> None:
    """The other scores in one small table: against random and nearest negatives, and those without the two."""
    shown = pd.DataFrame(
        {
            "score": list(_DETAILS.values()),
            "nearest": [chips.signed(row[f"{name}_matched"]) for name in _DETAILS],
            "random": [chips.signed(row[f"{name}_random"]) for name in _DETAILS],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        alt="Scores of the label",
        column_config={
            "score": st.column_config.TextColumn("Score of the label", width="medium"),
            "nearest": st.column_config.TextColumn(
                "Nearest",
                width="small",
                alignment="right",
                help="Against the nearest documents in which it is not active.",
            ),
            "random": st.column_config.TextColumn(
                "Random", width="small", alignment="right", help="Against random documents."
            ),
        },
    )
    st.caption(
        f"Three documents of each kind, as in the papers: Pearson {chips.signed(row['pearson_papers'])}, F1 "
        f"{chips.signed(row['f1_papers'])} · told rightly, both kinds weighing the same: "
        f"{chips.percent(row['detection'])} · by the label's embedding alone (area under the curve): "
        f"{chips.signed(row['embedding'])} · cohesion of its documents, which needs no label: "
        f"{chips.signed(row['cohesion'])}."
    )


def scored_documents(corpus_name: str, sae_name: str, feature_id: int) -> pd.DataFrame:
    """The scored documents of a feature, surest first: role, activation, confidence, title."""
    table = _evidence(corpus_name, sae_name, feature_id)
    table = table[table["confidence"].notna() & (table["half"] == "score")]
    return table.sort_values("confidence", ascending=False, kind="stable").reset_index(drop=True)


def labelling_documents(corpus_name: str, sae_name: str, feature_id: int) -> pd.DataFrame:
    """The documents from which a feature's label was written, as drawn: role, activation, title."""
    table = _evidence(corpus_name, sae_name, feature_id)
    return table[table["half"] == "label"].reset_index(drop=True)


def _evidence(corpus_name: str, sae_name: str, feature_id: int) -> pd.DataFrame:
    table = data.sae(corpus_name, sae_name).evidence(feature_id).to_pandas()
    titles = data.titles(corpus_name)
    table["title"] = [titles.iloc[document] for document in table["document"]]
    return table


def origin(corpus_name: str, sae_name: str, row: pd.Series) -> None:
    """Every candidate label with its score, and the documents that the label was written from."""
    st.subheader(
        "Candidate labels",
        anchor=False,
        help="Kept is the best on the labelling half that no other feature of the model has taken. Its scores above "
        "are from other documents.",
    )
    found = data.sae(corpus_name, sae_name)
    feature_id = int(row["feature_id"])
    if label_store.has_history(found):
        _history(label_store.history(found, feature_id).to_pandas(), feature_id)
    else:
        _candidates(row)
    shown = labelling_documents(corpus_name, sae_name, feature_id)
    if shown.empty:
        return
    with st.expander(f"The {len(shown)} documents that it was labelled from"):
        table = pd.DataFrame(
            {
                "document": [plain_text(title, 200) for title in shown["title"]],
                "truth": shown["role"].map(charts.ROLES).fillna("other"),
                "activation": shown["activation"],
            }
        )
        st.dataframe(
            table, hide_index=True, height=300, column_config=_EVIDENCE_COLUMNS, alt="Labelling documents"
        )
        download_table(table, f"feature-{feature_id}-labelling-documents", key="labelling-csv")


def _history(table: pd.DataFrame, feature_id: int) -> None:
    """All attempts in order: who wrote what, how it scored, why, and what went wrong."""
    if table.empty:
        st.caption("Nothing was tried for this feature.")
        return
    shown = pd.DataFrame(
        {
            "kept": ["✓" if chosen else "" for chosen in table["chosen"]],
            "label": [plain_text(label, 160) or "(none)" for label in table["label"]],
            "objective": table["objective"].astype("float32"),
            "by": [_by(*names) for names in zip(table["kind"], table["interpreter"], strict=True)],
            "judged by": [_KINDS.get(name) or plain_text(name, 60) for name in table["predictor"]],
            "reason": [plain_text(reason, 400) for reason in table["reason"]],
            "outcome": [plain_text(outcome, 120) for outcome in table["outcome"]],
        }
    )
    for name, dull in (("reason", {""}), ("outcome", {"ok"})):
        if set(shown[name]) <= dull:
            shown = shown.drop(columns=name)
    if set(table["kind"]) <= {"local"}:
        shown = shown.drop(columns="by")
    if set(table["predictor"]) <= {"local", ""}:
        shown = shown.drop(columns="judged by")
    st.dataframe(shown, hide_index=True, column_config=_HISTORY_COLUMNS, alt="Candidate labels in order")
    calls = int((table["input_tokens"] > 0).sum())
    if calls:
        tokens = int(table["input_tokens"].sum()), int(table["output_tokens"].sum())
        st.caption(f"{calls} calls, {tokens[0]:,} tokens in, {tokens[1]:,} out, ${table['usd'].sum():.4f}.")
    download_table(shown, f"feature-{feature_id}-candidate-labels", key="candidates-csv")


def _by(kind: str, interpreter: str) -> str:
    return plain_text(interpreter, 60) if kind == "openai" else _KINDS.get(kind, plain_text(kind, 40))


_OBJECTIVE = st.column_config.ProgressColumn(
    "Objective",
    format="%.2f",
    min_value=0,
    max_value=1,
    width="small",
    help="Correlation of prediction and truth on the half of the documents that the label was chosen with.",
)
_HISTORY_COLUMNS: dict[str, Any] = {
    "kept": st.column_config.TextColumn("Kept", width=40),
    "label": st.column_config.TextColumn("Label", width="medium"),
    "objective": _OBJECTIVE,
    "by": st.column_config.TextColumn("Written by", width="small"),
    "judged by": st.column_config.TextColumn("Judged by", width="small"),
    "reason": st.column_config.TextColumn("Reason", width="large", help="In the writer's own words."),
    "outcome": st.column_config.TextColumn("Outcome", width="small"),
}


def _candidates(row: pd.Series) -> None:
    labels, objectives = list(row["candidates"]), list(row["candidate_objectives"])
    if not labels:
        st.caption("No candidates were kept for this feature.")
        return
    shown = pd.DataFrame(
        {
            "label": [plain_text(label, 120) for label in labels],
            "objective": pd.Series(objectives[: len(labels)], dtype="float32").reindex(range(len(labels))),
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "label": st.column_config.TextColumn("Label", width="medium"),
            "objective": _OBJECTIVE,
        },
    )
