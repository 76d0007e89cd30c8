"""The feature chip: the one way in which a feature appears on any page.

``label  reliability  density  +``: the label leads to the feature's page, the plus steers the search with it.
A dashed border and a grey score say: do not rely on this label.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import state
from dashboard.text import plain_text, safe_text

FEATURES_PAGE = "views/features.py"
SEARCH_PAGE = "views/search.py"

# A label may be believed when even the lower end of its score's 95 % interval is at least this. Calibrated with
# wrong labels that are nearly right: see docs/decisions.md, "Labels".
RELIABLE_LOWER_END = 0.4
RELIABLE_HELP = (
    f"Labels whose score against the nearest negatives is at least {RELIABLE_LOWER_END:g} even at the lower end of its "
    "95 % interval."
)

# A raised feature starts here: about this many times its 95 % activation leaves the steered query at cosine
# .90 to the original.
STRENGTH = 1.3
_LABEL_LIMIT = 64

# Rows of feature tables that were asked for: a slider's move asks for two hundred, and taking one out of a table of
# forty columns costs a tenth of a millisecond. The table stands beside them, so that its id is not another's.
_rows: dict[int, tuple[pd.DataFrame, dict[int, pd.Series]]] = {}
_TABLES_KEPT = 12

SOURCES = {
    "local": "written from the corpus' own words",
    "llm": "written by a language model",
    "person": "written by a person",
    "none": "no label",
}


def number(value: Any) -> float | None:
    """A finite number, or None for a missing one."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def is_scored(row: Mapping[str, Any] | pd.Series) -> bool:
    return row["status"] == "scored"


def is_reliable(row: Mapping[str, Any] | pd.Series) -> bool:
    """Whether the label of a feature may be believed."""
    return is_scored(row) and (number(row["pearson_matched_low"]) or 0.0) >= RELIABLE_LOWER_END


def reliable_rows(table: pd.DataFrame) -> pd.Series:
    """``is_reliable`` for a whole table: bool (n_features,)."""
    # In double precision, as for one row: a stored .4 is a float32 just above it.
    low = table["pearson_matched_low"].astype("float64")
    return low.ge(RELIABLE_LOWER_END) & table["status"].eq("scored")


def feature_row(table: pd.DataFrame, feature_id: int) -> pd.Series:
    """One row of a table that is indexed by feature_id. Shared: copy before changing."""
    kept = _rows.get(id(table))
    if kept is None or kept[0] is not table:
        if len(_rows) >= _TABLES_KEPT:
            _rows.clear()
        kept = _rows[id(table)] = table, {}
    if feature_id not in kept[1]:
        row = table.loc[feature_id]
        assert isinstance(row, pd.Series)  # ids are unique
        kept[1][feature_id] = row
    return kept[1][feature_id]


def feature_name(row: Mapping[str, Any] | pd.Series) -> str:
    """The label, or the number of a feature that has none. Plain text."""
    return plain_text(row["label"], limit=120) or f"feature {int(row['feature_id'])}"


def percent(share: Any) -> str:
    """A share of documents with two significant digits: ``2.1 %``, ``0.034 %`` (the space does not break)."""
    found = number(share)
    if found is None:
        return "–"
    if found <= 0:
        return "0\u00a0%"
    digits = max(0, 1 - math.floor(math.log10(100 * found)))
    return f"{100 * found:.{min(digits, 4)}f}\u00a0%"


def signed(value: Any, digits: int = 2) -> str:
    """A score with a real minus sign, or a dash."""
    found = number(value)
    return "–" if found is None else f"{found:z.{digits}f}".replace("-", "−")


def interval(row: Mapping[str, Any] | pd.Series, name: str) -> str:
    """``0.52 (0.41 … 0.61)``: a score with its 95 % interval where there is one."""
    low, high = number(row[f"{name}_low"]), number(row[f"{name}_high"])
    bounds = "" if low is None or high is None else f" ({signed(low)} … {signed(high)})"
    return signed(row[name]) + bounds


def reliability(row: Mapping[str, Any] | pd.Series) -> tuple[str, str]:
    """(what the chip says of the label, the Markdown colour it says it in)."""
    if row["dead"]:
        return "dead", "gray"
    if not is_scored(row) or number(row["pearson_matched"]) is None:
        return "unscored", "gray"
    return signed(row["pearson_matched"]), "primary" if is_reliable(row) else "gray"


def chip_help(row: Mapping[str, Any] | pd.Series) -> str:
    """What the chip's numbers mean, for its tooltip. Markdown."""
    lines = [f"**{safe_text(feature_name(row))}** · feature {int(row['feature_id'])}"]
    if row.get("source") == "person":
        lines[0] += " · label written by a person"
    if row["dead"]:
        lines.append("Dead: active in no document.")
    else:
        lines.append(f"Active in {percent(row['density'])} of the documents.")
    if is_scored(row):
        lines.append(
            "How well the label foretells where it is active (Pearson, 95 % interval): "
            f"{interval(row, 'pearson_matched')} against the nearest other documents, "
            f"{interval(row, 'pearson_random')} against random ones."
        )
        if not is_reliable(row):
            lines.append("Grey: do not rely on this label.")
    else:
        lines.append("Its label has not been scored: do not rely on it.")
    return "\n\n".join(lines)


def steering_value(row: Mapping[str, Any] | pd.Series) -> float:
    """The activation at which a feature starts when it is added to a search."""
    quantiles = row["quantiles"]
    strong = number(quantiles[-1]) if quantiles is not None and len(quantiles) else None
    return round(STRENGTH * (strong or number(row["max_activation"]) or 1.0), 3)


def steer_with(row: Mapping[str, Any] | pd.Series) -> None:
    """Raise the feature in the session's search and go to the search page."""
    state.add_edit(int(row["feature_id"]), steering_value(row))
    st.switch_page(SEARCH_PAGE)


def feature_chip(
    row: Mapping[str, Any] | pd.Series,
    key: str,
    *,
    note: str = "",
    steer: bool = True,
    corpus_and_sae: tuple[str, str] | None = None,
) -> None:
    """One feature: label (to its page), reliability, density, and a plus that steers the search with it.

    row: a row of the feature table; key: unique on the page; note: a few words of ours after the label, such
    as ``cosine 0.71``; corpus_and_sae: where the feature lives when that is not the session's choice (a
    feature of another SAE cannot steer this one's search, so such a chip has no plus).
    """
    says, colour = reliability(row)
    label = f"{safe_text(feature_name(row), _LABEL_LIMIT)} :{colour}-badge[{says}]"
    trail = " · ".join(part for part in (note, "" if row["dead"] else percent(row["density"])) if part)
    if trail:
        unbroken = trail.replace(" ", "\u00a0").replace("\u00a0·\u00a0", "\u00a0· ")  # lines end after a dot
        label += f" :small[:gray[{unbroken}]]"
    parameters = state.feature_parameters(int(row["feature_id"]))
    if corpus_and_sae is not None:
        parameters = parameters | dict(zip(("corpus", "sae"), corpus_and_sae, strict=True))
    place = f"chip-{key}" if colour == "primary" else f"chip-weak-{key}"
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", key=place, wrap=False):
        st.page_link(FEATURES_PAGE, label=label, icon="", help=chip_help(row), query_params=parameters)
        if steer and corpus_and_sae is None and not row["dead"]:
            name = safe_text(feature_name(row), _LABEL_LIMIT)
            if st.button(
                ":material/add:", key=f"steer-{key}", type="tertiary", help=f"Steer the search with {name}"
            ):
                steer_with(row)
