"""Saved steerings: what is written comes back, and what a stranger wrote is refused in one sentence."""

import json

import pytest

from sae.errors import UserError
from sae.steering.steering_file import (
    FORMAT,
    MAX_BYTES,
    SavedFamily,
    SavedSteering,
    read_steering,
    write_steering,
)

SAVED = SavedSteering(
    "Fewer galaxies", "astro", "SAE8", {12: -3.5, 40: 2.0}, {12: "Galaxies", 40: "Stars é 🌟"}, "optimised", "family",
    (SavedFamily(3, 1.5, (41,)),), (7,), "star formation",
)  # fmt: skip


def test_what_is_saved_comes_back() -> None:
    assert read_steering(write_steering(SAVED).encode()) == SAVED


def test_it_applies_to_another_query() -> None:
    assert SAVED.edits({12: 5.0}) == {12: 1.5, 40: 2.0}


def changed(**values: object) -> bytes:
    return json.dumps({**json.loads(write_steering(SAVED)), **values}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{" * 50_000,
        b"[" * 60_000,
        b" " * (MAX_BYTES + 1),
        b'{"format": "sextant steering 9"}',
        json.dumps({"format": FORMAT}).encode(),
        changed(mode="sideways"),
        changed(mode=["direct"]),
        changed(direction={}),
        changed(name=5),
        changed(name="x" * 10_000),
        changed(features="12"),
        changed(features=[12]),
        changed(features=[{"feature": 1}]),
        changed(features=[{"feature": -1, "change": 1}]),
        changed(features=[{"feature": True, "change": 1}]),
        changed(features=[{"feature": 1.5, "change": 1}]),
        changed(features=[{"feature": 1, "change": "much"}]),
        changed(features=[{"feature": 1, "change": 1e300}]),
        changed(features=[{"feature": 1, "change": 1}] * 65),
        changed(families=[{"family": 1, "amount": None}]),
        changed(muted=["x"]),
        changed(muted=7),
        write_steering(SAVED).replace("-3.5", "NaN").encode(),
        write_steering(SAVED).replace("-3.5", "1" * 5000).encode(),
    ],
)
def test_anything_else_is_one_sentence(content: bytes) -> None:
    with pytest.raises(UserError) as caught:
        read_steering(content)
    assert "\n" not in str(caught.value)
