"""The evaluation's first section: does steering do what the label says, by every way that was tried?"""

import math
from collections.abc import Iterable

import pandas as pd
import streamlit as st

from dashboard import page_script
from dashboard.evaluation import evaluation_charts, evaluation_words, papers_steering
from dashboard.evaluation.evaluation_data import EDITS, JOINT, JUDGES, MEASURES, METHODS
from dashboard.tables import download_table

_SHOWN = ["feature", "family", "typical", "rewriting", "rewriting by a model", "another edit"]
_TOLD = {"up": "raised concept told", "down": "lowered concept told", "both": "both told"}
_NAMES = {name: shown for name, (shown, _) in METHODS.items()}
EVERY = list(_NAMES.values())


def steers(corpus_name: str, sae_name: str, steering: pd.DataFrame) -> None:
    """The section: an answer, one small table, how far to trust it, then every way in charts and numbers."""
    st.subheader("Does steering do what the label says?", anchor=False)
    st.markdown(evaluation_words.does_it_steer(steering))
    st.html(_answers(evaluation_words.answers(steering)))
    st.markdown(evaluation_words.how_far_to_trust(steering))
    st.markdown("##### Every way, from a slight edit to a strong one")
    edit, judge = _choices(steering)
    ways = present(METHODS, steering["method"])
    methods = st.pills(
        "Ways of steering", ways, default=[name for name in _SHOWN if name in ways], selection_mode="multi",
        format_func=_NAMES.__getitem__,
        key="evaluation-methods", help=" · ".join(": ".join(METHODS[name]) for name in ways),
    )  # fmt: skip
    here = steering[(steering["edit"] == edit) & (steering["judge"] == judge)]
    drawn = named(here[here["method"].isin(methods)])
    _charts(drawn, edit, [_NAMES[name] for name in methods], f"{corpus_name}-{sae_name}-steering")
    with st.expander("The same as a table"):
        st.dataframe(
            wide(named(here)), hide_index=True,
            column_config={"method": "Way of steering", "measure": "Told right"},
        )  # fmt: skip
        st.caption(
            "A column for each fidelity; percent of queries, in brackets the 95 % interval; – where fewer than "
            f"{evaluation_words.FEWEST} trials were made."
        )
    download_table(
        _for_file(steering),
        f"{corpus_name}-{sae_name}-steering",
        key="evaluation-csv",
    )


def present(known: Iterable[str], column: "pd.Series[str]") -> list[str]:
    """Those of the known names that the build has measured, in their order."""
    measured = set(column)
    return [name for name in known if name in measured]


def named(steering: pd.DataFrame) -> pd.DataFrame:
    """The table with the ways' names as pages show them."""
    return steering.assign(method=steering["method"].map(_NAMES))


def _choices(steering: pd.DataFrame) -> tuple[str, str]:
    with st.container(horizontal=True, gap="medium"):
        edit = st.segmented_control(
            "Edit", present(EDITS, steering["edit"]), default="both", required=True,
            format_func=lambda name: EDITS[name][0], key="evaluation-edit", wrap=True,
            help=" · ".join(f"{shown}: {what}" for shown, what in EDITS.values()),
        )  # fmt: skip
        judge = st.segmented_control(
            "The judge goes by", present(JUDGES, steering["judge"]), default="local", required=True,
            format_func=JUDGES.__getitem__, key="evaluation-judge", wrap=True,
            help="Of the results before and after, and of five labels; never of the edit. Words alone cannot favour "
            "ways that work on embeddings.",
        )  # fmt: skip
    return str(edit), str(judge)


def _charts(here: pd.DataFrame, edit: str, names: list[str], stem: str) -> None:
    joint = edit in JOINT
    key = evaluation_charts.method_key(names, EVERY, joint)
    st.html(key)
    measures = ["up", "down"] if joint else [edit]
    for place, measure in zip(st.columns(2, gap="large"), measures, strict=False):
        with place:
            shown = here[(here["measure"] == measure) & (here["n"] >= evaluation_words.FEWEST)]
            if shown.empty:
                st.caption("Choose at least one way of steering.")
                continue
            theirs = _papers(measure) if joint else _papers(measure).iloc[:0]
            page_script.saved_chart(
                evaluation_charts.accuracy(
                    shown[["method", "fidelity", "value", "low", "high", "n"]], theirs, EVERY, _TOLD[measure]
                ),
                f"{_TOLD[measure]} against fidelity, for {len(names)} ways of steering",
                f"{stem}-{measure}",
                key,
            )
    theirs_read = (
        f"Orange marks: {papers_steering.CITATION}, with another judge ({papers_steering.JUDGE}) and another embedding "
        "than ours."
        if joint
        else "The papers report edits in both directions at once only."
    )
    st.caption(
        "How to read it: to the right the edit grows; higher is better. Bands are 95 % intervals over queries, the "
        "dotted line is guessing. A way on the line of *another edit* tells no more than moving anything else would. "
        + theirs_read
    )


def _whole(value: str) -> str:
    """An interval that no line ends within."""
    return value.replace("–", "–\u2060")


def _answers(rows: list[dict[str, str]]) -> str:
    """A small table as HTML that scrolls by itself where the screen is narrow; its texts are all our own."""
    if not rows:
        return ""
    first, other = (
        f"padding:.35rem clamp(.3rem,1.5vw,.9rem) .35rem 0;vertical-align:bottom;text-align:{side};min-width:{width}"
        for side, width in (("left", "clamp(4.6rem,20vw,9rem)"), ("right", "clamp(3.6rem,13vw,5.2rem)"))
    )
    heads = "".join(
        f'<th style="{other if i else first};font-weight:400;opacity:.75;max-width:9rem">{head}</th>'
        for i, head in enumerate(rows[0])
    )
    lines = "".join(
        '<tr style="border-top:1px solid rgba(128,140,150,.3)">'
        + "".join(
            f'<td style="{other if i else first};font-weight:{600 if i == 1 else 400}">{_whole(value)}</td>'
            for i, value in enumerate(row.values())
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:clamp(.78rem,2.2vw,.92rem)">'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def wide(here: pd.DataFrame) -> pd.DataFrame:
    """A row for each way and what was told, a column for each fidelity: ``97 (94–99)`` in percent, or a dash where
    too few trials say it, or a number is missing."""
    told = here[here["measure"].isin(["up", "down", "both"])]
    said = [
        f"{100 * value:.0f} ({100 * low:.0f}–{100 * high:.0f})"
        if n >= evaluation_words.FEWEST and all(map(math.isfinite, (value, low, high)))
        else "–"
        for value, low, high, n in told[["value", "low", "high", "n"]].itertuples(index=False)
    ]
    table = told.assign(said=said).pivot_table(
        index=["method", "measure"], columns="fidelity", values="said", aggfunc="first"
    )
    order = told[["method", "measure"]].drop_duplicates()
    table = table.reindex(pd.MultiIndex.from_frame(order)).fillna("–")
    table = table[sorted(table.columns, reverse=True)].reset_index()
    table["measure"] = table["measure"].map(MEASURES)
    table.columns = [c if isinstance(c, str) else f"{c:.2f}" for c in table.columns]
    return table


def _for_file(steering: pd.DataFrame) -> pd.DataFrame:
    """All numbers in words, the papers' points among them."""
    theirs = [
        {
            "method": method,
            "edit": "both",
            "fidelity": fidelity,
            "measure": measure,
            "value": value,
            "judge": "papers",
        }
        for method, fidelity, *values in papers_steering.POINTS
        for measure, value in zip(("up", "down"), values, strict=True)
    ]
    whole = pd.concat([named(steering), pd.DataFrame(theirs)], ignore_index=True)
    return whole.assign(
        edit=whole["edit"].map({name: shown for name, (shown, _) in EDITS.items()}),
        measure=whole["measure"].map(MEASURES),
        judge=whole["judge"].map(JUDGES | {"": "counted", "papers": papers_steering.JUDGE}),
    )


def _papers(measure: str) -> pd.DataFrame:
    place = {"up": 2, "down": 3}[measure]
    rows = [(point[0], point[1], point[place]) for point in papers_steering.POINTS]
    return pd.DataFrame(rows, columns=["method", "fidelity", "value"])
