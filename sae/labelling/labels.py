"""Labels for all features of one autoencoder: one each, distinct, a person's own words first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from sae.errors import UserError
from sae.labelling.evidence import FeatureEvidence
from sae.labelling.interpret import Candidate, interpret, label_text
from sae.labelling.phrases import SEPARATOR, Phrases, split_label
from sae.labelling.words import stem
from sae.progress import Progress, silent
from sae.schema import LABEL_COLUMNS
from sae.storage import limits

LABEL_TABLE = pa.schema([pa.field("feature_id", pa.int32(), nullable=False), *LABEL_COLUMNS])


@dataclass(frozen=True)
class LabelResult:
    """``table``: LABEL_TABLE, one row a feature in order; ``labels``: its label column as a list."""

    table: pa.Table

    @property
    def labels(self) -> list[str]:
        return [str(label) for label in self.table["label"].to_pylist()]


def label_features(
    phrases: Phrases,
    evidence: Sequence[FeatureEvidence],
    overrides: Mapping[int, str] | None = None,
    progress: Progress | None = None,
) -> LabelResult:
    """Label every feature from its labelling half.

    ``overrides``: labels written by a person, by feature number; they are kept as they are. No two features
    get the same label silently: where a stronger feature has taken it, the next candidate is used, or a
    phrase is added, or a number.
    """
    report = progress or silent
    written = _checked(overrides or {}, len(evidence))
    candidates: list[list[Candidate]] = []
    for j, drawn in enumerate(evidence):
        candidates.append([] if drawn.dead else interpret(drawn, phrases))
        if j % 16 == 0:
            report(j, len(evidence), f"{sum(map(len, candidates)):,} candidate labels")
    labels, objectives = _distinct(candidates, phrases, written)
    for j, label in written.items():
        labels[j] = label
    report(len(evidence), len(evidence), f"{sum(bool(label) for label in labels):,} labels")
    source = ["person" if j in written else "local" if label else "none" for j, label in enumerate(labels)]
    columns = {
        "feature_id": np.arange(len(labels), dtype=np.int32),
        "label": labels,
        "source": source,
        "candidates": [[label_text(c, phrases) for c in options] for options in candidates],
        "candidate_objectives": [[c.objective for c in options] for options in candidates],
        "objective": [None if j in written else value for j, value in enumerate(objectives)],
    }
    return LabelResult(pa.table(columns, schema=LABEL_TABLE))


def _checked(overrides: Mapping[int, str], n_latents: int) -> dict[int, str]:
    written = {}
    for j, label in overrides.items():
        if not 0 <= j < n_latents:
            raise UserError(
                f"The label override for feature {j} has no feature: this model has features 0 to "
                f"{n_latents - 1}. Mend the number or remove the line."
            )
        if not split_label(label):
            raise UserError(f"The label override for feature {j} is empty. Write a label or remove the line.")
        most = limits.TEXT_CHARACTERS["label"]
        if (size := len(label.encode("utf-8"))) > most:
            raise UserError(f"The label override for feature {j} has {size:,} bytes; shorten it to {most}.")
        written[int(j)] = SEPARATOR.join(split_label(label))
    return written


def _distinct(
    candidates: Sequence[Sequence[Candidate]], phrases: Phrases, written: Mapping[int, str]
) -> tuple[list[str], list[float | None]]:
    """One label for each feature, the features that are labelled best choosing first."""
    taken = {_identity(label) for label in written.values()}
    labels = [""] * len(candidates)
    objectives: list[float | None] = [None] * len(candidates)
    best = np.asarray([options[0].preference if options else -np.inf for options in candidates])
    for j in np.argsort(-best, kind="stable"):
        if j in written or not candidates[j]:
            continue
        chosen = _first_free(candidates[j], phrases, taken)
        labels[j], objectives[j] = chosen
        taken.add(_identity(chosen[0]))
    return labels, objectives


def _first_free(
    options: Sequence[Candidate], phrases: Phrases, taken: set[frozenset[str]]
) -> tuple[str, float]:
    for option in options:
        text = label_text(option, phrases)
        if _identity(text) not in taken:
            return text, option.objective
    best = options[0]
    for other in options[1:]:
        for phrase in other.phrases:
            if phrase not in best.phrases:
                longer = label_text(replace(best, phrases=(*best.phrases, phrase)), phrases)
                if _identity(longer) not in taken:
                    return longer, best.objective
    number = 2
    while _identity(f"{label_text(best, phrases)} ({number})") in taken:
        number += 1
    return f"{label_text(best, phrases)} ({number})", best.objective


def _identity(label: str) -> frozenset[str]:
    """Labels that a reader would call the same: the same stems in any order."""
    words = label.casefold().replace(SEPARATOR.strip(), " ").replace("-", " ").split()
    return frozenset(stem(word) for word in words)
