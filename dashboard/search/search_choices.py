"""What a session has chosen on the search page beside query and edits: the direction of raised features, family
sliders, muted features, filters and the number of results. Kept as ``dashboard.state`` keeps the rest, and
written into the same address:

``dir`` a kind of ``sae.steering.directions.KINDS`` · ``fam`` ``3~1.2_7~-0.5~41`` (family, amount, features left out) ·
``mute`` ``12_40`` · ``from`` and ``to`` days · ``cat`` categories, one a line · ``with`` features that must be active ·
``n`` results.
"""

import datetime
import math
from dataclasses import dataclass, field

import streamlit as st

from dashboard.text import plain_text
from sae.steering.directions import KINDS

NAMES = ("dir", "fam", "mute", "from", "to", "cat", "with", "n")
COUNTS = (10, 20, 50)
DEFAULT_KIND = "feature"
SUGGESTED = "suggested"  # (row of a document, "more" or "less" like which is offered)
MAX_FAMILIES, MAX_MUTED, MAX_FILTERS = 8, 32, 8
_LONGEST_CATEGORY = 80


@dataclass
class FamilyMove:
    """How far a family is moved, and its features that stay where they are."""

    amount: float = 0.0
    left_out: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Filters:
    """What a document must be to be listed; nothing is asked by default."""

    first: datetime.date | None = None
    last: datetime.date | None = None
    categories: tuple[str, ...] = ()
    features: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self != Filters()


def direction() -> str:
    """The direction of raised features, one of ``sae.steering.directions.KINDS``."""
    found = st.session_state.get("direction")
    return str(found) if found in KINDS else DEFAULT_KIND


def set_direction(kind: str) -> None:
    """Choose the direction of raised features."""
    st.session_state["direction"] = kind


def families() -> dict[int, FamilyMove]:
    """Families with a slider, by family_id."""
    found: dict[int, FamilyMove] = st.session_state.setdefault("families", {})
    return found


def add_family(family_id: int, amount: float = 0.0) -> None:
    """Give a family a slider, or move the one it has."""
    if math.isfinite(amount) and (family_id in families() or len(families()) < MAX_FAMILIES):
        families().setdefault(int(family_id), FamilyMove()).amount = float(amount)


def remove_family(family_id: int) -> None:
    """Take a family's slider away, and its move with it."""
    families().pop(family_id, None)


def clear_families() -> None:
    """No family is moved; their sliders stay."""
    for move in families().values():
        move.amount = 0.0


def muted() -> tuple[int, ...]:
    """Features that are silent in every query of the session."""
    return tuple(st.session_state.get("muted", ()))


def set_muted(feature_id: int, silent: bool) -> None:
    """Silence a feature in this and all further queries, or let it speak again."""
    others = [f for f in muted() if f != feature_id]
    st.session_state["muted"] = tuple([*others, int(feature_id)] if silent else others)[-MAX_MUTED:]


def filters() -> Filters:
    """The filters in force."""
    found = st.session_state.get("filters")
    return found if isinstance(found, Filters) else Filters()


def set_filters(chosen: Filters) -> None:
    """Choose filters."""
    st.session_state["filters"] = chosen


def only_with(feature_id: int) -> None:
    """List only documents in which a feature is active, beside what is asked already."""
    chosen = filters()
    features = tuple(dict.fromkeys([*chosen.features, int(feature_id)]))[-MAX_FILTERS:]
    set_filters(Filters(chosen.first, chosen.last, chosen.categories, features))


def count() -> int:
    """How many results are listed, one of COUNTS."""
    found = st.session_state.get("count")
    return found if found in COUNTS else COUNTS[0]


def set_count(n: int) -> None:
    """Choose how many results are listed."""
    st.session_state["count"] = n


def forget_features() -> None:
    """Another SAE: what names its features goes."""
    st.session_state["families"], st.session_state["muted"] = {}, ()
    chosen = filters()
    set_filters(Filters(chosen.first, chosen.last, chosen.categories))


def forget_filters() -> None:
    """Another corpus: its documents have other dates and categories."""
    set_filters(Filters())


def address() -> dict[str, str]:
    """The choices as parameters of an address; only those that differ from the defaults."""
    chosen = filters()
    moves = [
        "~".join([str(family_id), f"{move.amount:.4g}", *map(str, sorted(move.left_out))])
        for family_id, move in families().items()
    ]
    found = {
        "dir": "" if direction() == DEFAULT_KIND else direction(),
        "fam": "_".join(moves),
        "mute": "_".join(map(str, muted())),
        "from": chosen.first.isoformat() if chosen.first else "",
        "to": chosen.last.isoformat() if chosen.last else "",
        "cat": "\n".join(chosen.categories),
        "with": "_".join(map(str, chosen.features)),
        "n": "" if count() == COUNTS[0] else str(count()),
    }
    return {name: value for name, value in found.items() if value}


def take_over(found: dict[str, str], n_latents: int) -> None:
    """Choose what an address says; what makes no sense in it is left out."""
    set_direction(found.get("dir", DEFAULT_KIND))
    st.session_state["families"] = parse_families(found.get("fam", ""), n_latents)
    st.session_state["muted"] = tuple(_ids(found.get("mute", ""), n_latents)[:MAX_MUTED])
    categories = [
        plain_text(name, _LONGEST_CATEGORY) for name in found.get("cat", "").split("\n")[:MAX_FILTERS]
    ]
    set_filters(
        Filters(
            _day(found.get("from", "")),
            _day(found.get("to", "")),
            tuple(name for name in categories if name),
            tuple(_ids(found.get("with", ""), n_latents)[:MAX_FILTERS]),
        )
    )
    wanted = found.get("n", "")
    st.session_state["count"] = int(wanted) if wanted in map(str, COUNTS) else COUNTS[0]


def parse_families(text: str, n_latents: int) -> dict[int, FamilyMove]:
    """``3~1.2_7~-0.5~41`` as family moves."""
    found: dict[int, FamilyMove] = {}
    for part in text.split("_")[: 4 * MAX_FAMILIES]:
        family, _, rest = part.partition("~")
        amount, _, left_out = rest.partition("~")
        ids = _ids(family, 1 << 24)
        try:
            value = float(amount)
        except ValueError:
            continue
        if ids and math.isfinite(value) and len(found) < MAX_FAMILIES:
            found[ids[0]] = FamilyMove(value, set(_ids(left_out.replace("~", "_"), n_latents)))
    return found


def _ids(text: str, below: int) -> list[int]:
    parts = [part for part in text.split("_")[:4096] if part.isascii() and part.isdigit() and len(part) < 9]
    return list(dict.fromkeys(int(part) for part in parts if int(part) < below))


def _day(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
