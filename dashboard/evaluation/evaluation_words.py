"""The evaluation in sentences: one for each question, from the same tables that the charts show."""

import pandas as pd

from dashboard import chips
from dashboard.evaluation.evaluation_data import CONTROL, number, percent
from dashboard.evaluation.papers_steering import CHANCE

AT = 0.75  # the fidelity at which the papers compare
REWRITER = "rewriting by a model"
FEWEST = 10  # trials from which a share is worth telling
_EDITS = {
    "up": "Raise one concept",
    "down": "Lower one concept",
    "both": "Raise one, lower one",
    "even": "… as much down as up",
}
_MATCHED = 0.7  # correlation from which a planted topic counts as found


def does_it_steer(steering: pd.DataFrame, judge: str = "local") -> str:
    """What was done and what came of it, in plain words: which concept came and which went, told from the results."""
    up, down = (_told(steering, edit, judge) for edit in ("up", "down"))
    if up is None or down is None:
        return f"No trial of this model could be brought to a fidelity of {AT:g}."
    answer = "Yes, mostly." if up["low"] > 0.5 and down["low"] > 0.5 else "Not reliably."
    return (
        f"**{answer}** {int(up['n'])} real queries were steered. A judge then saw the ten results before, the ten "
        "after and five labels, never the edit, and said which concept had come and which had gone. Share of queries "
        f"in which it was right, at a fidelity of {AT:g}; guessing gives {CHANCE * 100:.0f} %."
    )


def answers(steering: pd.DataFrame, judge: str = "local") -> list[dict[str, str]]:
    """For each kind of edit: how often it is told rightly along the concept's own direction, and what else gives."""
    rows = []
    for edit, what in _EDITS.items():
        told = _told(steering, edit, judge)
        if told is None:
            continue
        low, high = (f"{100 * told[end]:.0f}" for end in ("low", "high"))
        words = REWRITER if REWRITER in set(steering["method"]) else "rewriting"
        others = {
            name: percent(_told(steering, edit, judge, method))
            for name, method in (
                ("label’s words added, no model", "label"),
                ("same wish put in words", words),
                ("something else moved", CONTROL),
            )
        }
        rows.append({"": what, "told right": f"{percent(told)} ({low}–{high})", **others})
    return rows


def how_far_to_trust(steering: pd.DataFrame, judge: str = "local") -> str:
    """What a reader may expect of a slider, and how far it is ahead of the same wish in words."""
    sayings = []
    for edit, what in (("up", "Raising a concept"), ("down", "lowering one"), ("even", "doing both at once")):
        told = _told(steering, edit, judge)
        if told is not None:
            sayings.append(f"{what} works {_grade(float(told['value']))}")
    kept = number(steering, edit="up", method="feature", measure="overlap", fidelity=AT, judge="")
    cost = (
        f" At this strength {10 * kept['value']:.0f} of the first ten results stay."
        if kept is not None
        else ""
    )
    said = f"**How far to trust a slider.** {', '.join(sayings)}.{cost} " if sayings else ""
    return said + ahead_of_words(steering, judge)


def ahead_of_words(steering: pd.DataFrame, judge: str = "local", method: str = "feature") -> str:
    """How far steering is ahead of rewriting at AT, on the same trials: raising alone, and both ways at once."""
    told = []
    for edit, what in (("up", "raising"), ("both", "one up, one down"), ("even", "both evenly")):
        measure = "ahead up" if edit == "up" else "ahead both"
        found = number(steering, edit=edit, method=method, measure=measure, fidelity=AT, judge=judge)
        if found is None or found["n"] < FEWEST:
            continue
        points, low, high = (100 * found[column] for column in ("value", "low", "high"))
        where = "ahead" if points >= 0 else "behind"
        told.append(
            f"{what} {abs(points):.0f} points {where} ({chips.signed(low, 0)} to {chips.signed(high, 0)})"
        )
    if not told:
        return "Too few rewritten queries came near this fidelity to compare with."
    if REWRITER in set(steering["method"]):
        return f"Against a language model that puts the same wish in words: {', '.join(told)}."
    return (
        f"Against the same wish put in words by a template, on the same queries: {', '.join(told)}. An embedding hears "
        "“without X” as X; a language model would write better: with one to rewrite and one to judge, the papers were "
        "10 points ahead."
    )


def _told(steering: pd.DataFrame, edit: str, judge: str, method: str = "feature") -> "pd.Series | None":
    """How often the whole of an edit is told rightly at AT; None where too few trials say it."""
    measure = edit if edit in ("up", "down") else "both"
    found = number(steering, edit=edit, method=method, measure=measure, fidelity=AT, judge=judge)
    return None if found is None or found["n"] < FEWEST else found


def _grade(share: float) -> str:
    for least, words in ((0.9, "nearly always"), (0.7, "mostly"), (0.45, "about half the time")):
        if share >= least:
            return words
    return "seldom"


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
