"""How far to trust a slider: whether steering does what labels say, what it costs, what a label promises."""

import pandas as pd
import streamlit as st

from dashboard import data, frame, page_script, state
from dashboard.evaluation import evaluation_charts, evaluation_words
from dashboard.evaluation.evaluation_data import CASES, METHODS, VARIANTS, evaluation, table
from dashboard.evaluation.evaluation_judged import judged
from dashboard.evaluation.evaluation_steering import EVERY, named, steers
from dashboard.tables import download_table
from dashboard.text import plain_text

_TRADED = ("feature", "family", "typical", "optimised", "label")
_EVERYWHERE = 0.95  # F1 of saying of every document that it is in a category which 90.5 % of them have
_TRADED_NAMES = [METHODS[name][0] for name in _TRADED]


def view() -> None:
    corpus_name, sae_name = state.selected()
    frame.header(
        "Evaluation", "How far to trust a slider: measured on real queries, judged by the results alone."
    )
    found = evaluation(corpus_name)
    if found is None:
        st.info(
            "This build holds no evaluation. Run `make artifacts` to add it; what is built already stays.",
            icon=":material/info:",
        )
        return
    steering = table(corpus_name, "steering", sae_name)
    if steering.empty:
        st.info(
            f"No query of {plain_text(corpus_name, 60)} allowed a trial with {plain_text(sae_name, 40)}: too few of "
            "its labels can be trusted. Choose another model above.",
            icon=":material/info:",
        )
    else:
        steers(corpus_name, sae_name, steering)
        st.divider()
        _costs(corpus_name, sae_name, steering)
        st.divider()
    _promises(corpus_name, sae_name)
    st.divider()
    _optimisation(corpus_name, sae_name)
    st.divider()
    _rerun(corpus_name)
    page_script.install()


def _costs(corpus_name: str, sae_name: str, steering: pd.DataFrame) -> None:
    st.subheader("What does it cost?", anchor=False)
    retrieval = table(corpus_name, "retrieval")
    st.markdown(evaluation_words.what_it_costs(steering, retrieval[retrieval["sae"] == sae_name]))
    left, right = st.columns(2, gap="large")
    counted = named(steering[(steering["edit"] == "up") & (steering["n"] >= evaluation_words.FEWEST)])
    wide = counted[counted["judge"] == ""].pivot_table(
        index=["method", "fidelity"], columns="measure", values="value"
    )
    wide = wide.reset_index()
    with left:
        st.markdown("What comes of raising a concept, and what moves besides")
        shown = wide[wide["method"].isin(_TRADED_NAMES)]
        key = evaluation_charts.method_key(_TRADED_NAMES, EVERY, False)
        st.html(key)
        page_script.saved_chart(
            evaluation_charts.trade_off(shown[["method", "fidelity", "raised", "moved"]], EVERY),
            "Other concepts moved against results with the raised concept",
            f"{corpus_name}-{sae_name}-side-effects",
            key,
        )
        st.caption(
            "How to read it: each line goes from fidelity 0.95 to 0.2. Further right: more results have the concept; "
            "further down: less else moves. A concept counts as moved when its share of the ten results changes by 0.3."
        )
        download_table(wide, f"{corpus_name}-{sae_name}-side-effects", key="evaluation-side-csv")
    with right:
        st.markdown("What ranking by the models would keep, no edit at all")
        bars = retrieval[retrieval["measure"] == "overlap@10"]
        page_script.saved_chart(
            evaluation_charts.kept(bars.assign(variant=bars["variant"].map(VARIANTS))),
            "Share of the first ten results kept, by model and variant",
            f"{corpus_name}-retrieval",
        )
        st.caption(
            "How to read it: longer is better; thin lines are 95 % intervals. Sextant ranks by the embedding and keeps "
            "what the model cannot express, so that this is lost only in the mode *reconstruction*."
        )
        download_table(retrieval, f"{corpus_name}-retrieval", key="evaluation-retrieval-csv")
    judged(corpus_name, sae_name)


def _promises(corpus_name: str, sae_name: str) -> None:
    st.subheader("What does a label promise?", anchor=False)
    features = data.feature_table(corpus_name, sae_name)
    every, truth = (table(corpus_name, name, sae_name) for name in ("categories", "truth"))
    # Of a category that nearly all documents have, a feature has little to tell; the file holds it all the same.
    categories = every[every["f1_always"] < _EVERYWHERE] if len(every) else every
    st.markdown(evaluation_words.what_a_label_promises(features, categories, truth))
    left, right = st.columns(2, gap="large")
    with left:
        if len(categories):
            st.markdown("One feature against the whole embedding, for each category")
            titles = ("F1 of a linear probe on the embedding", "F1 of the best single feature")
            page_script.saved_chart(
                evaluation_charts.against(categories, "f1_probe", "f1", titles, "category"),
                "F1 of the best feature against F1 of a probe, a dot for each category",
                f"{corpus_name}-{sae_name}-categories",
            )
            st.caption(
                "How to read it: a dot for each category, chosen on one half of the documents and scored on the other. "
                "On the line one feature says as much as the whole embedding; the further below, the less. "
                "Without categories that more than nine in ten documents have; the file has them all."
            )
        if len(every):
            named = every.assign(
                category=[plain_text(c, 120) for c in every["category"]],
                label=[plain_text(features.loc[f, "label"], 200) for f in every["feature_id"]],
            )
            download_table(named, f"{corpus_name}-{sae_name}-categories", key="evaluation-categories-csv")
    with right:
        if len(truth):
            st.markdown("What was planted, and what was found")
            shown = truth.sort_values("correlation", ascending=False)
            st.dataframe(
                shown.assign(topic=[plain_text(t, 120) for t in shown["topic"]])[
                    ["topic", "broad", "feature_id", "correlation", "f1", "chance"]
                ],
                hide_index=True, height=300,
                column_config={"topic": "Topic", "broad": "Broad", "feature_id": "Feature"}
                | {
                    name: st.column_config.NumberColumn(title, format="%.2f")
                    for name, title in (("correlation", "Correlation"), ("f1", "F1"), ("chance", "Chance"))
                },
            )  # fmt: skip
            st.caption(
                "How to read it: each topic with its best feature, none twice (maximum matching). Chance: the same "
                "with topics dealt out at random."
            )
            download_table(shown, f"{corpus_name}-{sae_name}-planted", key="evaluation-truth-csv")
        elif len(categories):
            gap = named[named["f1_always"] < _EVERYWHERE].sort_values("f1", ascending=False)
            st.dataframe(
                gap[["category", "label", "n_documents", "f1", "f1_probe"]], hide_index=True, height=340,
                column_config={
                    "category": "Category", "label": "Feature",
                    "n_documents": st.column_config.NumberColumn("Documents", format="localized"),
                    "f1": st.column_config.NumberColumn("F1 feature", format="%.2f"),
                    "f1_probe": st.column_config.NumberColumn("F1 probe", format="%.2f"),
                },
            )  # fmt: skip


def _optimisation(corpus_name: str, sae_name: str) -> None:
    st.subheader("How strong, and how clean?", anchor=False)
    curves, levels = (table(corpus_name, name, sae_name) for name in ("optimisation", "contour"))
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("Optimised latents: error over ten steps")
        if len(curves):
            shown = curves[~curves["residual"]].assign(case=lambda found: found["case"].map(CASES))
            key = evaluation_charts.case_key(list(dict.fromkeys(shown["case"])))
            st.html(key)
            page_script.saved_chart(
                evaluation_charts.optimisation(shown),
                "Normalised error over ten steps for two cases",
                f"{corpus_name}-{sae_name}-optimisation",
                key,
            )
            ends = shown.pivot_table(index="step", columns="case", values="value")
            st.caption(
                "How to read it: how far the steered query, encoded again, is from the wanted activations; lower is "
                "better. Over ten steps it goes "
                + " and ".join(
                    f"from {ends[case].iloc[0]:.3f} to {ends[case].iloc[-1]:.3f} for {case}"
                    for case in dict.fromkeys(shown["case"])
                )
                + ". In the papers (appendix C, figure 7) the first improves and the second does not."
            )
            download_table(
                curves, f"{corpus_name}-{sae_name}-optimisation", key="evaluation-optimisation-csv"
            )
    with right:
        st.markdown("What an edit leaves of the query")
        if len(levels):
            page_script.saved_chart(
                evaluation_charts.contour(levels),
                "Fidelity by strength of raising and of lowering",
                f"{corpus_name}-{sae_name}-fidelity",
            )
            st.caption(
                "How to read it: the deeper the colour, the nearer to the original query; each band is 0.05 wide. Mean "
                "over queries, a random concept raised and a random one lowered (as in the papers' figure 9)."
            )
            download_table(levels, f"{corpus_name}-{sae_name}-fidelity", key="evaluation-contour-csv")


def _rerun(corpus_name: str) -> None:
    st.subheader("Run it again", anchor=False)
    st.markdown(
        "The same seed gives the same numbers. Queries are the corpus's examples and titles of documents that no model "
        "was trained on; to use your own, one a line, name their file in the profile, and the "
        "folder of a test collection in BEIR's format to have rankings held against judgments:"
    )
    name = plain_text(corpus_name, 60)
    st.code(
        f'[evaluation]\nqueries = 200\nfiles = {{ "{name}" = "queries.txt" }}\nbeir = {{ "{name}" = "folder" }}',
        language="toml",
        wrap_lines=True,
    )
    st.code("make artifacts PROFILE=mine.toml", language="shell")


view()
