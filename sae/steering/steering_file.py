"""A steering saved by name: a small JSON file that may come from anyone, so it is checked before it is believed."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sae.errors import UserError
from sae.steer import MODES
from sae.steering.directions import KINDS

FORMAT = "sextant steering 1"
MAX_BYTES = 64 << 10
MAX_ENTRIES = 64
_LONGEST_NAME, _LONGEST_QUERY = 200, 4000
_LARGEST = 1e6
_CHOOSE = "Choose one that “Save as a file” wrote."


@dataclass(frozen=True)
class SavedFamily:
    """How far a family is moved, and its features that stay where they are."""

    family_id: int
    amount: float
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class SavedSteering:
    """Everything that steers a search but the query that it is applied to."""

    name: str
    corpus: str
    sae: str
    changes: Mapping[int, float]
    """feature_id → change of its activation, so that it can be applied to another query."""
    labels: Mapping[int, str] = field(default_factory=dict)
    """The labels that the features had, to notice a file from another build."""
    mode: str = "direct"
    direction: str = "feature"
    families: tuple[SavedFamily, ...] = ()
    muted: tuple[int, ...] = ()
    query: str = ""
    """The query that it was made for."""

    def edits(self, latents: Mapping[int, float]) -> dict[int, float]:
        """The values of the features in a query with these active ones."""
        return {f: latents.get(f, 0.0) + change for f, change in self.changes.items()}


def write_steering(steering: SavedSteering) -> str:
    """The file's text."""
    return json.dumps(
        {
            "format": FORMAT,
            "name": steering.name,
            "corpus": steering.corpus,
            "sae": steering.sae,
            "query": steering.query,
            "mode": steering.mode,
            "direction": steering.direction,
            "features": [
                {"feature": f, "label": steering.labels.get(f, ""), "change": change}
                for f, change in steering.changes.items()
            ],
            "families": [
                {"family": family.family_id, "amount": family.amount, "left_out": list(family.left_out)}
                for family in steering.families
            ],
            "muted": list(steering.muted),
        },
        ensure_ascii=False,
        indent=1,
    )


def read_steering(content: bytes) -> SavedSteering:
    """A saved steering from the bytes of its file. Raises UserError with one sentence about what is wrong."""
    if len(content) > MAX_BYTES:
        raise UserError(
            f"This file has {len(content):,} bytes; a saved steering has at most {MAX_BYTES:,}. {_CHOOSE}"
        )
    try:
        found = json.loads(content.decode("utf-8"), parse_constant=_refuse, parse_int=_integer)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise UserError(f"This file is not a saved steering: it is not sound JSON. {_CHOOSE}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(f"This file is not a saved steering: it does not say “{FORMAT}”. {_CHOOSE}")
    try:
        features = _list(found, "features")
        changes = {_id(f["feature"]): _number(f["change"]) for f in features}
        labels = {_id(f["feature"]): _text(f.get("label", ""), _LONGEST_NAME) for f in features}
        families = tuple(
            SavedFamily(_id(f["family"]), _number(f["amount"]), tuple(map(_id, _list(f, "left_out"))))
            for f in _list(found, "families")
        )
        return SavedSteering(
            _text(found["name"], _LONGEST_NAME),
            _text(found["corpus"], _LONGEST_NAME),
            _text(found["sae"], _LONGEST_NAME),
            changes,
            labels,
            _one_of(found.get("mode", "direct"), MODES),
            _one_of(found.get("direction", "feature"), KINDS),
            families,
            tuple(map(_id, _list(found, "muted"))),
            _text(found.get("query", ""), _LONGEST_QUERY),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError("This saved steering is damaged; save it again.") from None


def _refuse(_: str) -> float:
    raise ValueError("not finite")


def _integer(digits: str) -> int:
    if len(digits) > 12:
        raise ValueError("too long")
    return int(digits)


def _list(found: Mapping[str, Any], name: str) -> list[Any]:
    values = found.get(name, [])
    if not isinstance(values, list) or len(values) > MAX_ENTRIES:
        raise ValueError(name)
    return values


def _id(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 24:
        raise ValueError("not an id")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ValueError("not a number to steer by")
    return float(value)


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError("not a text")
    return value.encode("utf-8", "replace").decode("utf-8")


def _one_of(value: object, known: Mapping[str, str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError("unknown")
    return value
