"""One feature's page: what it is, where it is active, whether its label can be believed, what is near it."""

import pandas as pd
import streamlit as st

from dashboard import cards, charts, chips, data, frame, state
from dashboard.features.feature_label import origin, prediction
from dashboard.features.feature_neighbours import neighbours
from dashboard.text import safe_text
from sae.schema import QUANTILES

_TOP_DOCUMENTS = 10
_PER_QUANTILE = 2


def feature_page(corpus_name: str, sae_name: str, feature_id: int) -> None:
    """Everything that is known of one feature. The id must be one of the SAE's."""
    table = data.feature_table(corpus_name, sae_name)
    row = chips.feature_row(table, feature_id)
    source = chips.SOURCES.get(row["source"], "of unknown source")
    name = safe_text(chips.feature_name(row), 160)
    frame.header(name, f"Feature {feature_id:,} of {len(table):,} · label: {source}")
    _actions(row, feature_id, len(table))
    _facts(row)
    if row["dead"]:
        st.info(
            "This feature is active in no document, so there is nothing more to show. Go on to the previous "
            "or the next one, or back to all features.",
            icon=":material/info:",
        )
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        _documents(corpus_name, sae_name, row)
    with right:
        _histogram(row)
        prediction(corpus_name, sae_name, row)
        origin(corpus_name, sae_name, row)
    neighbours(corpus_name, table, row)


def back_to_all() -> None:
    """The way back to the table of all features."""
    corpus_name, sae_name = state.selected()
    st.page_link(
        chips.FEATURES_PAGE,
        label="All features",
        icon=":material/arrow_back:",
        query_params={"corpus": corpus_name, "sae": sae_name},
    )


def _actions(row: pd.Series, feature_id: int, n_latents: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="feature-actions"):
        if not row["dead"] and st.button(
            "Steer with this",
            icon=":material/tune:",
            type="primary",
            key="steer-this",
            help="Raise this feature in the search and see what moves.",
        ):
            chips.steer_with(row)
        with st.popover("Link", icon=":material/link:", help="The address of this page, to share."):
            st.code(full_link(feature_id), language=None, wrap_lines=True)
        back_to_all()
        _step("Previous", ":material/chevron_left:", feature_id - 1, n_latents)
        _step("Next", ":material/chevron_right:", feature_id + 1, n_latents)


def _step(name: str, icon: str, feature_id: int, n_latents: int) -> None:
    if 0 <= feature_id < n_latents:
        parameters = state.feature_parameters(feature_id)
        st.page_link(chips.FEATURES_PAGE, label=name, icon=icon, query_params=parameters)


def full_link(feature_id: int) -> str:
    """The address of a feature's page, whole where the browser has told ours."""
    here = (st.context.url or "").split("?", 1)[0].rstrip("/")
    base = here.rsplit("/", 1)[0] + "/" if here.endswith("/features") else (here + "/" if here else "")
    return base + state.feature_link(feature_id)


def _facts(row: pd.Series) -> None:
    """Numbers with their explanation on hover, the ones about the label first."""
    scored = chips.is_scored(row)
    facts = [
        (
            "Label, nearest negatives",
            chips.interval(row, "pearson_matched") if scored else "unscored",
            "Pearson correlation between truth and the confidence that the Predictor draws from the label "
            "alone; each document in which the feature is active is set against its nearest one in which it "
            "is not. In brackets: 95 % interval.",
        ),
        (
            "Label, random negatives",
            chips.interval(row, "pearson_random") if scored else "unscored",
            "The same against random documents: the easier question.",
        ),
        (
            "Density",
            f"{chips.percent(row['density'])} · log {chips.signed(row['log_density'])}",
            f"Share of documents in which the feature is active ({int(row['n_active']):,} documents), "
            "and its logarithm to base 10.",
        ),
        (
            "Activation, mean · max",
            f"{chips.signed(row['mean_activation'])} · {chips.signed(row['max_activation'])}",
            "Over the documents in which it is active, in units of the corpus' one scale.",
        ),
        (
            "Encoder–decoder cosine",
            chips.signed(row["encoder_decoder_cosine"]),
            "Between the direction that the feature looks for and the one that it writes. Near 1: it is "
            "alone with its concept; low: it must tell it from neighbours.",
        ),
        (
            "Nearest feature",
            chips.signed(row["max_cosine"]),
            "Largest cosine of its decoder direction to any other feature of this model.",
        ),
    ]
    with st.container(horizontal=True, gap="medium", key="feature-facts"):
        for name, value, explanation in facts:
            st.metric(name, value, help=explanation, width="content")


def _documents(corpus_name: str, sae_name: str, row: pd.Series) -> None:
    st.subheader("Documents", anchor=False)
    rows, activations = data.sae(corpus_name, sae_name).by_feature(int(row["feature_id"]))
    if len(rows) == 0:
        st.caption("It is active in no document.")
        return
    strongest = float(activations[0])
    top, weaker = st.tabs(["Strongest", "From weak to strong"])
    with top:
        found = data.documents(corpus_name, rows[:_TOP_DOCUMENTS])
        for document, activation in zip(found, activations, strict=False):
            cards.document_card(document, activation=float(activation), max_activation=strongest)
    with weaker:
        st.caption("Documents at five quantiles of the activation: what a weak activation still means.")
        for share, places in quantile_places(len(rows)):
            st.markdown(f":small[:gray[{share:.0%} of its documents are weaker]]")
            chosen = rows[places]
            for document, place in zip(data.documents(corpus_name, chosen), places, strict=True):
                cards.document_card(document, activation=float(activations[place]), max_activation=strongest)


def quantile_places(n_active: int) -> list[tuple[float, list[int]]]:
    """(quantile, places in the list from strongest to weakest) from weak to strong, no place twice."""
    taken: set[int] = set()
    found = []
    for share in QUANTILES:
        first = round((1 - share) * (n_active - 1))
        places = [p for p in range(first, min(first + _PER_QUANTILE, n_active)) if p not in taken]
        taken.update(places)
        if places:
            found.append((share, places))
    return found


def _histogram(row: pd.Series) -> None:
    st.subheader("Activation", anchor=False)
    edges, counts = list(row["histogram_edges"]), list(row["histogram_counts"])
    quantiles = list(row["quantiles"])
    if len(counts) == 0:
        st.caption("No activations to draw.")
        return
    told = " · ".join(
        f"{share:.0%} {chips.signed(value)}" for share, value in zip(QUANTILES, quantiles, strict=False)
    )
    charts.show(
        charts.activation_histogram(edges, counts, quantiles),
        f"Histogram of activations, documents on a log scale. Quantiles: {told}",
    )
    if told:
        st.caption(f"Quantiles (dashed): {told}")
