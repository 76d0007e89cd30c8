"""How far to trust a slider: whether steering does what labels say, what it costs, what a label promises."""

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from dashboard import charts, data, evaluation_charts, evaluation_words, frame, papers_steering, state
from dashboard.evaluation_data import EDITS, JOINT, JUDGES, METHODS, VARIANTS, evaluation, table
from dashboard.evaluation_judged import judged
from dashboard.tables import download_table
from dashboard.text import plain_text

_SHOWN = ["feature", "family", "typical", "rewriting", "rewriting by a model", "another edit"]
_TRADED = ("feature", "family", "typical", "optimised", "label")
_WORDS = {"up": "raised concept told", "down": "lowered concept told", "both": "both told"}
_NAMES = {name: shown for name, (shown, _) in METHODS.items()}
_EVERY = list(_NAMES.values())


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
        _steers(corpus_name, sae_name, steering)
        st.divider()
        _costs(corpus_name, sae_name, steering)
        st.divider()
    _promises(corpus_name, sae_name)
    st.divider()
    _optimisation(corpus_name, sae_name)
    st.divider()
    _rerun(corpus_name)


def _steers(corpus_name: str, sae_name: str, steering: pd.DataFrame) -> None:
    st.subheader("Does steering do what the label says?", anchor=False)
    st.markdown(evaluation_words.does_it_steer(steering))
    with st.container(horizontal=True, gap="medium"):
        edit = st.segmented_control(
            "Edit", _present(EDITS, steering["edit"]), default="both", required=True,
            format_func=lambda name: EDITS[name][0], key="evaluation-edit", wrap=True,
            help=" · ".join(f"{shown}: {what}" for shown, what in EDITS.values()),
        )  # fmt: skip
        judge = st.segmented_control(
            "The judge goes by", _present(JUDGES, steering["judge"]), default="local", required=True,
            format_func=JUDGES.__getitem__, key="evaluation-judge", wrap=True,
            help="Of the results before and after, and of five labels; never of the edit. Words alone cannot favour "
            "methods that work on embeddings.",
        )  # fmt: skip
    ways = _present(METHODS, steering["method"])
    methods = st.pills(
        "Ways of steering", ways, default=[name for name in _SHOWN if name in ways], selection_mode="multi",
        format_func=_NAMES.__getitem__,
        key="evaluation-methods", help=" · ".join(": ".join(METHODS[name]) for name in ways),
    )  # fmt: skip
    here = _named(steering[(steering["edit"] == edit) & (steering["judge"] == judge)])
    st.html(evaluation_charts.method_key([_NAMES[name] for name in methods], _EVERY, edit in JOINT))
    measures = ["up", "down"] if edit in JOINT else [str(edit)]
    places = st.columns(2, gap="large")
    for place, measure in zip(places, measures, strict=False):
        with place:
            shown = here[(here["measure"] == measure) & (here["n"] >= evaluation_words.FEWEST)]
            shown = shown[shown["method"].isin([_NAMES[m] for m in methods])]
            if shown.empty:
                st.caption("Choose at least one way of steering.")
                continue
            theirs = _papers(measure) if edit in JOINT else _papers(measure).iloc[:0]
            charts.show(
                evaluation_charts.accuracy(
                    shown[["method", "fidelity", "value", "low", "high", "n"]],
                    theirs,
                    _EVERY,
                    _WORDS[measure],
                ),
                f"{_WORDS[measure]} against fidelity, for {len(methods)} ways of steering",
            )
    with places[len(measures) - 1] if len(measures) == 1 else st.container():
        st.caption(
            "To the right the edit grows. Higher is better; bands are 95 % intervals over queries, the dotted line is "
            "guessing. A way that lies on *another edit* is no better than moving anything else: when an edit "
            "replaces all results, whatever the query was about falls. "
            + (
                f"Orange: {papers_steering.CITATION}, judged by {papers_steering.JUDGE}, so another judge and another "
                "embedding than ours."
                if edit in JOINT
                else "The papers report edits in both directions at once only."
            )
        )
    wide = here[here["measure"].isin(["up", "down", "both"])].pivot_table(
        index=["method", "measure"], columns="fidelity", values="value", sort=False
    )
    wide = (100 * wide[sorted(wide.columns, reverse=True)]).reset_index()
    wide.columns = [str(c) if isinstance(c, str) else f"{c:.2f}" for c in wide.columns]
    st.dataframe(
        wide, hide_index=True, height=280,
        column_config={"method": "Way of steering", "measure": "Concept told"}
        | {c: st.column_config.NumberColumn(format="%.0f %%") for c in wide.columns[2:]},
    )  # fmt: skip
    whole = _named(steering)
    papers_rows = [
        {"method": method, "edit": "both", "fidelity": fidelity, "measure": measure, "value": value}
        for method, fidelity, *values in papers_steering.POINTS
        for measure, value in zip(("up", "down"), values, strict=True)
    ]
    download_table(
        pd.concat([whole, pd.DataFrame(papers_rows)]),
        f"{corpus_name}-{sae_name}-steering",
        key="evaluation-csv",
    )


def _costs(corpus_name: str, sae_name: str, steering: pd.DataFrame) -> None:
    st.subheader("What does it cost?", anchor=False)
    retrieval = table(corpus_name, "retrieval")
    st.markdown(evaluation_words.what_it_costs(steering, retrieval[retrieval["sae"] == sae_name]))
    left, right = st.columns(2, gap="large")
    counted = _named(steering[(steering["edit"] == "up") & (steering["n"] >= evaluation_words.FEWEST)])
    wide = counted[counted["judge"] == ""].pivot_table(
        index=["method", "fidelity"], columns="measure", values="value"
    )
    wide = wide.reset_index()
    with left:
        st.markdown("What comes of raising a concept, and what moves besides")
        shown = wide[wide["method"].isin([_NAMES[name] for name in _TRADED])]
        st.html(evaluation_charts.method_key([_NAMES[name] for name in _TRADED], _EVERY, False))
        charts.show(
            evaluation_charts.trade_off(shown[["method", "fidelity", "raised", "moved"]], _EVERY),
            "Other concepts moved against results with the raised concept",
        )
        st.caption(
            "Each line goes from fidelity 0.95 to 0.2. Further right: more results have the concept; further down: "
            "less else moves. A concept counts as moved when its share of the ten results changes by 0.3."
        )
        download_table(wide, f"{corpus_name}-{sae_name}-side-effects", key="evaluation-side-csv")
    with right:
        st.markdown("What ranking by the models would keep, no edit at all")
        bars = retrieval[retrieval["measure"] == "overlap@10"]
        charts.show(
            evaluation_charts.kept(bars.assign(variant=bars["variant"].map(VARIANTS))),
            "Share of the first ten results kept, by model and variant",
        )
        st.caption(
            "Sextant ranks by the embedding and keeps what the model cannot express, so that this is lost only in the "
            "mode *reconstruction*."
        )
        download_table(retrieval, f"{corpus_name}-retrieval", key="evaluation-retrieval-csv")
    judged(corpus_name, sae_name)


def _promises(corpus_name: str, sae_name: str) -> None:
    st.subheader("What does a label promise?", anchor=False)
    features = data.feature_table(corpus_name, sae_name)
    categories, truth = (table(corpus_name, name, sae_name) for name in ("categories", "truth"))
    st.markdown(evaluation_words.what_a_label_promises(features, categories, truth))
    left, right = st.columns(2, gap="large")
    with left:
        if len(categories):
            st.markdown("One feature against the whole embedding, for each category")
            titles = ("F1 of a linear probe on the embedding", "F1 of the best single feature")
            charts.show(
                evaluation_charts.against(categories, "f1_probe", "f1", titles, "category"),
                "F1 of the best feature against F1 of a probe, a dot for each category",
            )
            st.caption(
                "Chosen on one half of the documents, scored on the other. On the line: one feature says it all."
            )
            named = categories.assign(
                category=[plain_text(c, 120) for c in categories["category"]],
                label=[plain_text(features.loc[f, "label"], 200) for f in categories["feature_id"]],
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
                "Maximum matching: a feature for each topic, none twice. Chance: the same with topics dealt out."
            )
            download_table(shown, f"{corpus_name}-{sae_name}-planted", key="evaluation-truth-csv")
        elif len(categories):
            gap = named.assign(behind=named["f1_probe"] - named["f1"]).sort_values("f1", ascending=False)
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
        st.markdown("Optimised latents: error at each of ten steps")
        if len(curves):
            shown = curves[~curves["residual"]]
            st.html(evaluation_charts.case_key(list(dict.fromkeys(shown["case"]))))
            charts.show(
                evaluation_charts.optimisation(shown), "Normalised error over ten steps for two cases"
            )
            ends = shown.pivot_table(index="step", columns="case", values="value")
            st.caption(
                "How far the steered query, encoded again, is from the wanted activations. "
                + " ".join(f"{case}: {ends[case].iloc[0]:.3f} → {ends[case].iloc[-1]:.3f}." for case in ends)
                + " The papers (appendix C, figure 7) see the first case improve and not the second."
            )
            download_table(
                curves, f"{corpus_name}-{sae_name}-optimisation", key="evaluation-optimisation-csv"
            )
    with right:
        st.markdown("What an edit leaves of the query")
        if len(levels):
            charts.show(evaluation_charts.contour(levels), "Fidelity by strength of raising and of lowering")
            st.caption(
                "Mean over queries, a random concept raised and a random one lowered; the deeper the colour, the "
                "nearer to the original query; each band is 0.05 wide (appendix C, figure 9)."
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


def _present(known: Iterable[str], column: "pd.Series[str]") -> list[str]:
    """Those of the known names that the build has measured, in their order."""
    measured = set(column)
    return [name for name in known if name in measured]


def _named(steering: pd.DataFrame) -> pd.DataFrame:
    return steering.assign(method=steering["method"].map(_NAMES))


def _papers(measure: str) -> pd.DataFrame:
    place = {"up": 2, "down": 3}[measure]
    rows = [(point[0], point[1], point[place]) for point in papers_steering.POINTS]
    return pd.DataFrame(rows, columns=["method", "fidelity", "value"])


view()
