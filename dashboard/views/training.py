"""How the models were trained: their figures beside the papers', curves, scaling laws, the shape of features."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import chips, data, frame, page_script, papers, state
from dashboard.tables import download_table, with_minus
from dashboard.text import plain_text, safe_text
from dashboard.training import training_charts, training_data
from dashboard.training.scaling_page import scaling_page

_MOST_DOTS = 3000  # features in the plot of two cosines
_COLUMNS = {  # column -> (heading, format, width, what it is)
    "whose": ("Whose", None, 90, "This build, or the papers'."),
    "model": ("Model", None, 110, ""),
    "corpus": ("Corpus", None, 100, ""),
    "documents": ("Documents", "localized", 90, ""),
    "embedder": ("Embedding model", None, 280, ""),
    "k": ("k", "%d", 50, "Features active in a document."),
    "share": ("k / d_in", "percent", 70, "The share of the embedding's dimensions by which models compare."),
    "n_latents": ("n", "localized", 70, "Features that the model has."),
    "steps": ("Steps", "localized", 70, "Of training, 1,024 documents each."),
    "fvu": ("Norm. MSE", "%.4f", 90, "Squared error over that of predicting the mean (fraction of variance "
            "unexplained): ours on training documents, the papers' as they report it."),
    "held_out_fvu": ("Held out", "%.4f", 80, "The same on documents never trained on; the papers give none."),
    "mean_log_density": ("log10 density", "%.3f", 100, "Mean over live features; density is the share of "
                         "documents in which one is active."),
    "mean_activation": ("Activation", "%.3f", 80, "Mean over active entries. It depends on how embeddings are "
                        "scaled, so it compares within a corpus, not between ours and theirs."),
    "dead": ("Dead", "localized", 60, "Features active in no document of the corpus. The papers: none at the "
             "end, and only for k = 16 on the way."),
}  # fmt: skip


def view() -> None:
    corpus_name, sae_name = state.selected()
    frame.header("Training", "What the models cost and how well they do, beside the papers' figures.")
    theirs = _papers_corpus(corpus_name)
    _metrics(corpus_name, theirs)
    st.divider()
    _curves(corpus_name)
    st.divider()
    scaling_page(corpus_name, theirs)
    st.divider()
    _features(corpus_name, sae_name, theirs)
    page_script.install()


def _papers_corpus(corpus_name: str) -> str:
    """The corpus of the papers that stands beside ours."""
    chosen = st.segmented_control(
        "Papers' corpus",
        list(papers.N_DOCUMENTS),
        default=papers.nearest_corpus(corpus_name),
        required=True,
        key=f"training-papers-{corpus_name}",
        help=f"{papers.CITATION}: embeddings by {papers.EMBEDDER}. Their figures stand in orange on this page; "
        "a different embedding and corpus make them a reference, not a competitor.",
    )
    return str(chosen)


def metric_table(corpus_name: str, theirs: str) -> pd.DataFrame:
    """A row for each SAE of the corpus and for each the papers report on ``theirs`` (_COLUMNS)."""
    corpus = data.corpus(corpus_name)
    rows: list[dict[str, Any]] = []
    for name in corpus.saes:
        facts = data.sae(corpus_name, name).facts
        rows.append(
            {
                "whose": "this build",
                "model": plain_text(name, 40),
                "corpus": plain_text(corpus_name, 60),
                "documents": corpus.n_documents,
                "embedder": plain_text(corpus.facts.get("embedder", ""), 80),
                "share": facts.get("k", float("nan")) / corpus.d_in,
                **{
                    column: facts.get(column) for column in ("k", "n_latents", "steps", "fvu", "held_out_fvu")
                },
                **{column: facts.get(column) for column in ("mean_log_density", "mean_activation", "dead")},
            }
        )
    for metrics in papers.METRICS:
        if metrics.corpus == theirs:
            rows.append(
                {
                    "whose": "papers",
                    "model": metrics.name,
                    "corpus": metrics.corpus,
                    "documents": papers.N_DOCUMENTS[metrics.corpus],
                    "embedder": papers.EMBEDDER,
                    "share": metrics.k / papers.D_IN,
                    "steps": papers.STEPS,
                    **{column: getattr(metrics, column) for column in ("k", "n_latents", "fvu")},
                    **{
                        column: getattr(metrics, column) for column in ("mean_log_density", "mean_activation")
                    },
                }
            )
    table = pd.DataFrame(rows).reindex(columns=list(_COLUMNS))
    numbers = [name for name in _COLUMNS if name not in ("whose", "model", "corpus", "embedder")]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    return table


def _metrics(corpus_name: str, theirs: str) -> None:
    table = metric_table(corpus_name, theirs)
    column: Any = st.column_config
    configured = {
        name: (column.TextColumn(title, width=width, help=told or None) if form is None
               else column.NumberColumn(title, format=form, width=width, help=told or None))
        for name, (title, form, width, told) in _COLUMNS.items()
    }  # fmt: skip
    written, configured = with_minus(training_charts.coloured(table), configured)
    st.dataframe(
        written,
        placeholder="–",
        hide_index=True,
        height=35 * (len(table) + 1) + 3,
        key=f"training-metrics-{corpus_name}-{theirs}",
        column_config=configured,
        alt="Figures of every model of this build and of the papers",
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(
            f":small[:orange[Papers: {safe_text(papers.CITATION)}; {safe_text(papers.EMBEDDER)}, "
            f"{papers.N_DOCUMENTS[theirs]:,} documents, about {papers.STEPS:,} steps.] "
            ":gray[Compare models of the same k / d_in.]]",
            width="content",
        )
        download_table(table, f"{corpus_name}-training", key="training-metrics-csv")


def curve_table(history: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Curves for ``training_charts.loss_curves``: the training measure, and the held-out error beside fvu."""
    parts = [history[["sae", "step"]].assign(kind="training", value=history[measure])]
    if measure == "fvu":
        parts.append(history[["sae", "step"]].assign(kind="held out", value=history["held_out_fvu"]))
    return pd.concat(parts).dropna(subset=["value"])


def _curves(corpus_name: str) -> None:
    st.subheader("Curves", anchor=False)
    history = training_data.histories(corpus_name)
    measures = {"Normalised MSE": "fvu", "Loss": "loss"}
    left, right = st.columns(2, gap="large")
    with left:
        title = st.segmented_control(
            "Error",
            list(measures),
            default="Normalised MSE",
            required=True,
            key="training-measure",
            label_visibility="collapsed",
        )
        title = str(title)
        page_script.saved_chart(
            training_charts.loss_curves(curve_table(history, measures[title]), title),
            f"{title} of every model over the steps of training",
            f"{corpus_name}-{measures[title]}-curves",
        )
        st.caption(
            "Dashed: documents held out. Training batches are seen through the recipe's noise, if any, so their "
            "curve can lie above the held-out one."
            if measures[title] == "fvu"
            else "Normalised MSE plus 1/32 of the auxiliary loss that revives dead latents."
        )
    with right:
        st.markdown("Dead latents: active in no document for one epoch")
        page_script.saved_chart(
            training_charts.dead_curves(history),
            "Dead latents of every model over training",
            f"{corpus_name}-dead-curves",
        )
        st.caption("An epoch passes before any latent can count as dead.")
    download_table(history, f"{corpus_name}-training-curves", key="training-curves-csv")


def _features(corpus_name: str, sae_name: str, theirs: str) -> None:
    st.subheader("The features of the models together", anchor=False)
    features = training_data.geometry(corpus_name)
    none = pd.DataFrame({"x": [], "told": []})
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("How often are features active?")
        named = [m for m in papers.METRICS if m.corpus == theirs and (m.k, m.n_latents) in papers.SAE_NAMES]
        means = pd.DataFrame(
            {"x": [m.mean_log_density for m in named], "told": [f"papers: mean of {m.name}" for m in named]}
        )
        _distribution(features, "log_density", "log10 density", means, f"{corpus_name}-density")
        st.markdown("How near is the nearest other feature?")
        _distribution(
            features, "max_cosine", "largest cosine to another feature", none, f"{corpus_name}-nearest"
        )
    with right:
        st.markdown("Do features write what they read?")
        mean = pd.DataFrame({"x": [papers.ENCODER_DECODER_COSINE], "told": ["papers: mean of SAE64, cs.LG"]})
        _distribution(
            features,
            "encoder_decoder_cosine",
            "cosine of encoder and decoder",
            mean,
            f"{corpus_name}-reads-writes",
        )
        st.markdown(f"Both together, for {safe_text(sae_name)}")
        own = features[features["sae"] == sae_name]
        shown = own.iloc[:: max(1, -(-len(own) // _MOST_DOTS))]
        page_script.saved_chart(
            training_charts.relation(shown),
            f"Encoder–decoder cosine against nearest-feature cosine, {sae_name}",
            f"{corpus_name}-{sae_name}-cosines",
        )
        st.caption(relation_sentence(own))
    download_table(
        features.assign(label=[plain_text(label, 300) for label in features["label"]]),
        f"{corpus_name}-feature-geometry",
        key="training-features-csv",
    )


def _distribution(features: pd.DataFrame, column: str, x_title: str, theirs: pd.DataFrame, name: str) -> None:
    values = features[["sae", column]].rename(columns={column: "value"})
    page_script.saved_chart(
        training_charts.distribution(values, theirs, x_title),
        f"Distribution of {x_title} for every model",
        name,
    )
    medians = values.groupby("sae", sort=False)["value"].median()
    told = " · ".join(f"{safe_text(name, 40)} {chips.signed(value)}" for name, value in medians.items())
    st.caption(f"Median: {told}")


def relation_sentence(features: pd.DataFrame) -> str:
    """How the two cosines go together, as Spearman's rank correlation."""
    pair = features[["encoder_decoder_cosine", "max_cosine"]].dropna().rank()
    found = chips.number(pair["encoder_decoder_cosine"].corr(pair["max_cosine"])) if len(pair) > 2 else None
    if found is None:
        return "Too few features to say how the two go together."
    way = "the less" if found < 0 else "the more"
    return (
        f"Rank correlation {chips.signed(found)} over {len(pair):,} features: the nearer another feature, {way} "
        "a feature reads in the direction that it writes."
    )


view()
