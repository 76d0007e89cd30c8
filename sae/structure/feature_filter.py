"""Which features may be in a family: well labelled, not too dense, one for each distinct label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sae.errors import UserError

PAPERS = {"pearson_papers": 0.8, "f1_papers": 0.8}
"""O'Neill et al. 2024, for labels whose maker did not see the scores."""
LOCAL = {"objective": 0.65}
_BY_PAPERS = ("llm", "person")  # sources of labels that the papers' thresholds are for
LEFT_OUT = ("dead", "unlabelled", "low score", "too dense", "same label as a better one")


@dataclass(frozen=True)
class FeatureFilter:
    """Thresholds a feature must reach before families are looked for.

    For labels from a language model the papers ask for Pearson and F1 of at least 0.8. Local labels are kept
    by the objective they reached on the labelling half, so that the scores reported from the other half are
    not raised by the choice.
    """

    at_least: Mapping[str, float] | None = None
    """Lowest allowed value of each named column; the first one also says which of two equal labels is
    better. None: PAPERS for labels by a language model or a person, LOCAL for the others."""
    max_density: float = 0.2
    """Features active in this share of the documents, or more, are left out."""

    def __post_init__(self) -> None:
        if self.at_least is not None and not self.at_least:
            raise UserError("FeatureFilter.at_least is empty; name at least one score and its lowest value.")
        if not 0 < self.max_density <= 1:
            raise UserError(
                f"FeatureFilter.max_density is {self.max_density}; it is a share, above 0 up to 1."
            )


@dataclass(frozen=True)
class Filtered:
    """``kept`` int64 (m,): feature ids in rising order. ``left_out``: features each rule of LEFT_OUT took,
    each feature counted by the first rule that applies. ``reasons`` object (n_latents,): that rule, or "".
    ``at_least``: the thresholds that were used."""

    kept: np.ndarray
    left_out: dict[str, int]
    reasons: np.ndarray
    at_least: dict[str, float]


def filter_features(
    labels: Sequence[str | None],
    density: np.ndarray,
    scores: Mapping[str, np.ndarray],
    rule: FeatureFilter | None = None,
    sources: Sequence[str] | None = None,
) -> Filtered:
    """Apply a filter to n_latents features; ``scores`` maps each named column to float (n_latents,), NaN
    unscored; ``sources`` says who wrote each label ("local", "llm", "person"; None: all local).

    Labels are compared without regard to case and spacing; of equal ones the best by the filter's first
    column stays, of equally good ones the first.
    """
    rule = rule or FeatureFilter()
    names = np.array([" ".join(str(label or "").casefold().split()) for label in labels], dtype=object)
    by_papers = np.isin(np.array(sources or ["local"] * len(names), dtype=object), _BY_PAPERS)
    if rule.at_least is not None:
        parts = [(np.ones(len(names), bool), rule.at_least)]
    else:
        parts = [(which, r) for which, r in ((~by_papers, LOCAL), (by_papers, PAPERS)) if which.any()]
    low, best = np.zeros(len(names), bool), np.zeros(len(names))
    used: dict[str, float] = {}
    for which, at_least in parts:
        if missing := [name for name in at_least if name not in scores]:
            raise UserError(f"The filter asks for {', '.join(missing)}, which the features do not have.")
        for number, (name, least) in enumerate(at_least.items()):
            value = np.nan_to_num(np.asarray(scores[name], np.float64), nan=-np.inf)
            low |= which & (value < least)
            if number == 0:
                best[which] = value[which]
        used |= at_least
    reasons = np.full(len(names), "", dtype=object)
    applies = (density <= 0, names == "", low, density >= rule.max_density)
    for reason, which in zip(LEFT_OUT, applies, strict=False):
        reasons[(reasons == "") & which] = reason
    seen: set[str] = set()
    for feature_id in np.lexsort((np.arange(len(names)), -np.where(reasons == "", best, -np.inf))):
        if reasons[feature_id] != "":
            continue
        if names[feature_id] in seen:
            reasons[feature_id] = LEFT_OUT[-1]
        seen.add(names[feature_id])
    return Filtered(
        np.flatnonzero(reasons == ""),
        {reason: int((reasons == reason).sum()) for reason in LEFT_OUT},
        reasons,
        used,
    )
