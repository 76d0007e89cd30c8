"""All features of an SAE as a table to sort and filter, and a page for each of them (``?feature=…``)."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import cards, chips, data, frame, state
from dashboard.features.feature_page import back_to_all, feature_page
from dashboard.features.label_panels import label_scores, pair_comparison
from dashboard.label_words import with_words, words_box
from dashboard.tables import download_table, with_minus
from dashboard.text import plain_text, safe_text

_DENSITIES = (0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
_ANY_SCORE = -1.0
_SCORES = (_ANY_SCORE, *(round(0.1 * i, 1) for i in range(10)))
_COLUMNS = {
    "feature_id": "feature_id",
    "label": "label",
    "pearson_matched": "matched",
    "pearson_random": "random",
    "density": "density",
    "n_active": "documents",
    "mean_activation": "mean activation",
    "max_activation": "max activation",
    "status": "status",
}


def view() -> None:
    corpus_name, sae_name = state.selected()
    cards.style()
    # A link from this page to itself reaches us without changing the address bar; saying it again does.
    st.query_params.from_dict(st.query_params.to_dict())
    asked = st.query_params.get("feature")
    feature_id = None if asked is None else _resolve(asked, corpus_name, sae_name)
    if feature_id is not None:
        feature_page(corpus_name, sae_name, feature_id)
        return
    frame.header("Features", "Every concept that the model has found in these documents. Open one to see it.")
    if asked is None:
        _table(corpus_name, sae_name)
        label_scores(corpus_name)
        pair_comparison(corpus_name)
        return
    n_latents = len(data.feature_table(corpus_name, sae_name))
    st.warning(
        f"There is no feature {safe_text(asked, 40)} in {safe_text(sae_name)}: its features are 0 to "
        f"{n_latents - 1:,}. Go back to all features and choose one.",
        icon=":material/info:",
    )
    back_to_all()


def _resolve(asked: str, corpus_name: str, sae_name: str) -> int | None:
    """The feature that the address names; its nearest one when the model was switched on this page."""
    if not (asked.isascii() and asked.isdigit() and len(asked) < 9):
        return None
    feature_id = int(asked)
    named = (st.query_params.get("corpus", corpus_name), st.query_params.get("sae", sae_name))
    if named != (corpus_name, sae_name):
        moved = _moved(feature_id, named, corpus_name, sae_name)
        if moved is None:
            st.query_params.pop("feature", None)
            st.rerun()
        st.query_params["feature"] = str(moved)
        feature_id = int(moved or 0)
    return feature_id if feature_id in data.feature_table(corpus_name, sae_name).index else None


def _moved(feature_id: int, named: tuple[str, str], corpus_name: str, sae_name: str) -> int | None:
    if named[0] != corpus_name or named[1] not in data.corpus(corpus_name).saes:
        return None
    table = data.feature_table(*named)
    if feature_id not in table.index:
        return None
    row = chips.feature_row(table, feature_id)
    return dict(zip(row["other_saes"], row["other_features"], strict=False)).get(sae_name)


def _table(corpus_name: str, sae_name: str) -> None:
    table = data.feature_table(corpus_name, sae_name)
    found = filtered(table, **_filters(table))
    reliable = int(chips.reliable_rows(found).sum())
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        counted = f"**{len(found):,}** of {len(table):,} features · {reliable:,} with a reliable label"
        st.markdown(counted, width="content")
        shown = shown_table(found)
        download_table(shown, f"{corpus_name}-{sae_name}-features", key="features-csv")
    if found.empty:
        st.info(
            "No feature fits these filters. Try fewer letters of a word, or widen the density and the score.",
            icon=":material/filter_alt_off:",
        )
        return
    written, columns = with_minus(shown.assign(density=100 * shown["density"]), _column_config())
    event: Any = st.dataframe(
        written,
        hide_index=True,
        placeholder="–",
        height=min(640, 35 * (len(shown) + 1) + 3),
        column_config=columns,
        column_order=[name for name in columns if name in shown],
        on_select="rerun",
        selection_mode="single-row",
        key=f"features-table-{corpus_name}-{sae_name}",
        alt="Features with label, scores, density and activations",
    )
    st.caption("Select a row to open its page. Click a column's head to sort.")
    if event.selection.rows:
        feature_id = int(shown["feature_id"].iloc[event.selection.rows[0]])
        st.switch_page(chips.FEATURES_PAGE, query_params=state.feature_parameters(feature_id))


def _filters(table: pd.DataFrame) -> dict[str, Any]:
    """The filter widgets; what they are set to lasts as long as the session."""
    words, density, score, status, reliable = st.columns(
        [3, 3, 3, 2, 2], gap="medium", vertical_alignment="bottom"
    )
    with words:
        text = words_box("Label contains", "features-words", "any of its words")
    with density:
        low, high = st.select_slider(
            "Density",
            options=_DENSITIES,
            value=(_DENSITIES[0], _DENSITIES[-1]),
            format_func=chips.percent,
            key="features-density",
            persist_state="session",
            help="Share of documents in which the feature is active.",
        )
    with score:
        least = st.select_slider(
            "Score at least",
            options=_SCORES,
            format_func=lambda value: "any" if value == _ANY_SCORE else f"{value:.1f}",
            key="features-score",
            persist_state="session",
            help="Pearson correlation against the nearest negatives; “any” keeps unscored features too.",
        )
    with status:
        statuses = ["any", *sorted(plain_text(s, 40) for s in table["status"].unique())]
        if st.session_state.get("features-status") not in statuses:
            st.session_state.pop("features-status", None)
        chosen = st.selectbox("Status", statuses, key="features-status", persist_state="session")
    with reliable:
        only = st.toggle(
            "Reliable only",
            key="features-reliable",
            persist_state="session",
            help=chips.RELIABLE_HELP,
        )
    return {
        "text": text,
        "density": (low, high),
        "score": None if least == _ANY_SCORE else least,
        "status": None if chosen == "any" else chosen,
        "reliable": only,
    }


def filtered(
    table: pd.DataFrame,
    text: str = "",
    density: tuple[float, float] = (0.0, 1.0),
    score: float | None = None,
    status: str | None = None,
    reliable: bool = False,
) -> pd.DataFrame:
    """The features that fit, best label first: all words of ``text`` in the label, density in its range."""
    keep = table["density"].between(density[0] * (1 - 1e-6), density[1] * (1 + 1e-6))
    keep &= with_words(table["label"], text)
    if score is not None:
        keep &= table["pearson_matched"].ge(score).fillna(False)
    if status is not None:
        keep &= table["status"].eq(status)
    if reliable:
        keep &= chips.reliable_rows(table)
    return table[keep].sort_values("pearson_matched", ascending=False, kind="stable", na_position="last")


def shown_table(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that are shown and saved, labels as plain text."""
    shown = table[list(_COLUMNS)].rename(columns=_COLUMNS).reset_index(drop=True)
    shown["label"] = [plain_text(label, 160) or "(no label)" for label in shown["label"]]
    shown["status"] = [plain_text(status, 40) for status in shown["status"]]
    return shown


def _column_config() -> dict[str, Any]:
    column = st.column_config
    return {
        "label": column.TextColumn("Label", width=200),  # a telephone shows the score beside it
        "matched": column.ProgressColumn(
            "Score",
            format="%.2f",
            min_value=0,
            max_value=1,
            width=120,
            color="primary",
            help="Pearson correlation between truth and what the label predicts, against the nearest "
            "documents in which the feature is not active.",
        ),
        "random": column.NumberColumn(
            "Random", format="%.2f", width=80, help="The same against random documents: the easier question."
        ),
        "density": column.NumberColumn(
            "Density",
            format="%.2g %%",
            width=80,
            help="Share of documents in which the feature is active.",
        ),
        "documents": column.NumberColumn("Documents", format="localized", width=90),
        "mean activation": column.NumberColumn(
            "Mean", format="%.2f", width=70, help="Mean activation where it is active."
        ),
        "max activation": column.NumberColumn("Max", format="%.2f", width=70, help="Largest activation."),
        "status": column.TextColumn("Status", width=100, help="Whether the label was scored, or why not."),
        "feature_id": column.NumberColumn("Feature", format="%d", width=70, help="Its number in the model."),
    }


view()
