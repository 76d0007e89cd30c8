"""Labels of a family drawn in rings: along the ray of each feature, outwards, as many as lie free of each other."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dashboard.families.family_node import Node, radius_of
from dashboard.text import plain_text

_LETTER, _WIDE_LETTER = 0.55, 1.0  # of the font's size: a letter's mean width; one of Chinese or Japanese
_MANY = 60  # features: above that labels are shorter and smaller, to leave room for the circles
_LONGEST, _LONGEST_OF_MANY, _LEAST_OF_PARENT = 22, 13, 12  # letters of mean width
LONGEST_LEVEL = 28  # letters of a level label: as far as two columns lie apart
_SHORTEST = 7  # letters of a longer label that say anything


class Writing(NamedTuple):
    """A label: its text runs from (x, y) outwards at ``turn`` radians; ``flipped`` where it would stand on its head
    and so ends there instead. The parent's stands below it, level and centred, with ``turn`` None."""

    feature_id: int
    text: str
    x: float
    y: float
    turn: float | None
    flipped: bool


def font_size(nodes: Sequence[Node], across: float) -> float:
    """Such that a label is about 11 pixels high where the whole family is shown in ``across`` pixels."""
    radius = max(float(np.hypot(node.x, node.y)) for node in nodes)
    pixels, reach = (11.5, 90) if len(nodes) <= _MANY else (10.0, 65)
    return max(13.0, pixels * radius / max(60.0, across / 2 - reach))


def ring_labels(nodes: Sequence[Node], font: float, grow: float = 1.0) -> list[Writing]:
    """Where labels of the given font size (pixels at the graph's own scale) stand, the densest features' first; one
    that would lie on a circle or on another label is left out. Circles are drawn ``grow`` times as large."""
    x, y = (np.array([getattr(node, axis) for node in nodes]) for axis in "xy")
    far, turn = np.hypot(x, y), np.arctan2(y, x)
    radius = np.array([radius_of(node) * grow for node in nodes])
    below: dict[int, float] = {}  # how far out the nearest feature below stands
    for node, distance in zip(nodes, far, strict=True):
        if node.parent is not None:
            below[node.parent] = min(below.get(node.parent, np.inf), float(distance))
    longest = _LONGEST if len(nodes) <= _MANY else _LONGEST_OF_MANY
    starts, stops, turns = np.zeros(0), np.zeros(0), np.zeros(0)
    found = []
    for at in sorted(range(len(nodes)), key=lambda i: (nodes[i].parent is not None, -nodes[i].density)):
        node = nodes[at]
        if node.parent is None:
            down = float(radius[at] + 0.8 * font)
            beside = (far > 0) & (
                np.abs(y - down) < radius + 0.6 * font
            )  # circles at the height of the label
            room = 2 * float((np.abs(x) - radius)[beside].min(initial=np.inf)) / (_LETTER * font) - 1
            text = cut_label(node.label, float(np.clip(room, _LEAST_OF_PARENT, LONGEST_LEVEL)))
            found.append(
                Writing(node.feature_id, text or f"feature {node.feature_id}", 0.0, down, None, False)
            )
            continue
        start = float(far[at] + radius[at] + 0.35 * font)
        room = (below.get(node.feature_id, np.inf) - start - 1.5 * font) / (_LETTER * font)
        text = cut_label(node.label, longest) or f"feature {node.feature_id}"
        if _width(text) > room:
            if room < _SHORTEST:
                continue
            text = cut_label(text, room)
        stop = start + _width(text) * _LETTER * font
        on_circle = (far + radius > start) & (far - radius < stop)
        on_circle &= _apart(turn[at], turn) * far < radius + 0.45 * font
        on_circle[at] = False
        on_label = (starts < stop) & (stops > start)
        on_label &= _apart(turn[at], turns) * np.maximum(starts, start) < 1.1 * font
        if on_circle.any() or on_label.any():
            continue
        starts, stops, turns = np.append(starts, start), np.append(stops, stop), np.append(turns, turn[at])
        across, down = float(np.cos(turn[at])), float(np.sin(turn[at]))
        found.append(
            Writing(node.feature_id, text, start * across, start * down, float(turn[at]), across < -1e-9)
        )
    return found


def bounds(
    nodes: Sequence[Node], labels: Sequence[Writing], font: float
) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of all circles and labels."""
    x, y = [node.x for node in nodes], [node.y for node in nodes]
    for label in labels:
        if label.turn is not None:
            reach = _width(label.text) * _LETTER * font
            x.append(label.x + reach * float(np.cos(label.turn)))
            y.append(label.y + reach * float(np.sin(label.turn)))
    margin = 1.2 * font
    return min(x) - margin, min(y) - margin, max(x) + margin, max(y) + margin


def _width(text: str) -> float:
    """Of a text as it is drawn, in letters of mean width."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide * (_WIDE_LETTER / _LETTER - 1)


def cut_label(label: str, room: float) -> str:
    """As much of a label, as plain text, as ``room`` letters of mean width have place for; a Chinese or Japanese one
    takes nearly two."""
    text = plain_text(label, int(room))
    while _width(text) > room:
        text = plain_text(label, len(text) - 1)
    return text


def _apart(one: float, others: np.ndarray) -> np.ndarray:
    """Angles between directions, radians, 0 … π."""
    return np.abs((others - one + np.pi) % (2 * np.pi) - np.pi)
