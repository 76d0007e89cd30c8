"""The evaluation in sentences: one for each question, from the same tables that the charts show."""

import pandas as pd

from dashboard import chips
from dashboard.evaluation_data import CONTROL, number, percent
from dashboard.papers_steering import CHANCE

AT = 0.75  # the fidelity at which the papers compare
REWRITER = "rewriting by a model"
FEWEST = 10  # trials from which a share is worth telling
_MATCHED = 0.7  # correlation from which a planted topic counts as found


def does_it_steer(steering: pd.DataFrame, judge: str = "local") -> str:
    """Whether a judge who reads the results recognises what was moved, and how far that is ahead of words."""
    here = {"fidelity": AT, "judge": judge}
    up = number(steering, edit="up", method="feature", measure="up", **here)
    down = number(steering, edit="down", method="feature", measure="down", **here)
    by_chance = [number(steering, edit=edit, method=CONTROL, measure=edit, **here) for edit in ("up", "down")]
    if up is None or down is None:
        return "No trial of this model could be brought to a fidelity of 0.75."
    told = (
        "**Mostly yes.** " if up["low"] > 0.5 and down["low"] > 0.5 else "**Not reliably.** "
    )  # fmt: skip
    told += (
        f"From the results alone, a judge picks the raised concept out of five in **{percent(up)}** of queries and "
        f"the lowered one in **{percent(down)}**, at a fidelity of {AT:g}; guessing gives {CHANCE:.0%}, and moving a "
        f"concept that is not among the five {percent(by_chance[0])} and {percent(by_chance[1])}."
    )
    return told.replace("20%", "20 %") + " " + ahead_of_words(steering, judge)


def ahead_of_words(steering: pd.DataFrame, judge: str = "local", method: str = "feature") -> str:
    """How far steering is ahead of rewriting at AT, on the same trials: raising alone, and both ways at once."""
    told = []
    for edit, what in (
        ("up", "raising alone"),
        ("both", "raising one and lowering another at once"),
        ("even", "both evenly"),
    ):
        measure = "ahead up" if edit == "up" else "ahead both"
        found = number(steering, edit=edit, method=method, measure=measure, fidelity=AT, judge=judge)
        if found is None or found["n"] < FEWEST:
            continue
        points, low, high = (100 * found[column] for column in ("value", "low", "high"))
        where = "ahead" if points >= 0 else "behind"
        told.append(
            f"**{abs(points):.0f} points {where}** for {what} (95 % interval {low:.0f} to {high:.0f}, "
            f"{int(found['n'])} queries)"
        )
    if not told:
        return "Too few rewritten queries came near this fidelity to compare with."
    if REWRITER in set(steering["method"]):
        return f"Against the same wish put in words by a language model, steering is {', '.join(told)}."
    return (
        f"Against the same wish put in words by a template, steering is {', '.join(told)}; an embedding hears "
        "“without X” as X. A language model would write better: the papers, with one to rewrite and one to judge, were "
        "10 points ahead."
    )


def what_it_costs(steering: pd.DataFrame, retrieval: pd.DataFrame) -> str:
    """What of the results stays, what else moves, and what a search by reconstructions would lose."""
    told = []
    for fidelity in (0.95, AT):
        kept = number(steering, edit="up", method="feature", measure="overlap", fidelity=fidelity, judge="")
        moved = number(steering, edit="up", method="feature", measure="moved", fidelity=fidelity, judge="")
        if kept is not None and moved is not None:
            told.append(
                f"at a fidelity of {fidelity:g}, {10 * kept['value']:.0f} of the first ten results stay and "
                f"{moved['value']:.1f} other concepts move"
            )
    sentence = (
        "**Results, by design, and other concepts with them**: " + "; ".join(told) + "." if told else ""
    )
    query = retrieval[(retrieval["variant"] == "query") & (retrieval["measure"] == "overlap@10")]
    if len(query):
        sentence += (
            " An untouched query is ranked as without a model; ranked by its reconstruction instead, as in the "
            f"papers' app, it would keep {10 * query['value'].iloc[0]:.1f} of its ten."
        )
    return sentence


def what_a_label_promises(features: pd.DataFrame, categories: pd.DataFrame, truth: pd.DataFrame) -> str:
    """How many labels predict, what one feature says of a category, and what was planted."""
    scored = features[features["pearson_matched"].notna()]
    reliable = int(sum(chips.is_reliable(row) for _, row in scored.iterrows()))
    told = (
        f"**A tendency, not a rule**: {reliable:,} of {len(scored):,} scored labels are reliable; the median one "
        f"predicts with a Pearson correlation of {scored['pearson_random'].median():.2f} against random documents and "
        f"{scored['pearson_matched'].median():.2f} against the nearest ones without the concept."
        if len(scored)
        else "No label of this model has been scored."
    )
    if len(categories):
        told += (
            f" One feature alone tells a category with F1 {categories['f1'].mean():.2f} in the mean; all "
            f"dimensions of the embedding, through a linear probe, {categories['f1_probe'].mean():.2f}."
        )
    if len(truth):
        found, narrow = truth[truth["correlation"] >= _MATCHED], truth[~truth["broad"]]
        told += (
            f" Of {len(narrow)} planted topics {int((~found['broad']).sum())} have a feature of their own (correlation "
            f"≥ {_MATCHED:g}), of {int(truth['broad'].sum())} broad ones {int(found['broad'].sum())}."
        )
    return told
