"""Labels around a family drawn in rings: free of each other and of circles, upright, plain."""

from xml.etree import ElementTree

import numpy as np
import pytest

from dashboard.families.family_labels import Writing, bounds, font_size, ring_labels
from dashboard.families.family_node import Node, in_rings, radius_of
from dashboard.families.family_svg import family_svg
from sae.structure.families import Family
from sae.structure.layout import family_layout

LETTER = 0.5  # narrower than assumed: what is drawn may be a little shorter, not longer
WIDE = "变分自编码器的图像生成与表示学习方法综述以及应用研究进展"


def rings(n_first: int, n_below: int, label: str = "variational autoencoders; images") -> list[Node]:
    """A parent with ``n_first`` children, each with ``n_below`` of its own."""
    features, parents, depths = [0], [-1], [0]
    for _ in range(n_first):
        one = len(features)
        features += range(one, one + 1 + n_below)
        parents += [0, *[one] * n_below]
        depths += [1, *[2] * n_below]
    family = Family(np.array(features), np.array(parents), np.array(depths), 1)
    x, y = family_layout(family)
    return [
        Node(i, label, float(x[i]), float(y[i]), 0.1 / (1 + i), 0.5, None if parents[i] < 0 else parents[i])
        for i in features
    ]


def test_level_labels_of_wide_letters_are_as_wide_as_others() -> None:
    nodes = rings(3, 0, WIDE)
    assert not in_rings(nodes)
    drawn = ElementTree.fromstring(family_svg(nodes))
    texts = [element.text or "" for element in drawn.iter() if element.tag.endswith("}text")]
    assert len(texts) == 4
    assert all(10 < len(text) <= 16 for text in texts)  # of 26: letters of mean width have room for 28


def points(label: Writing, font: float) -> np.ndarray:
    """Along the middle of a label, (m, 2)."""
    assert label.turn is not None
    across = 1.0 if label.text[0] == WIDE[0] else LETTER
    along = np.arange(0, len(label.text) * across * font, font / 4)[:, None]
    return np.array([label.x, label.y]) + along * np.array([np.cos(label.turn), np.sin(label.turn)])


@pytest.mark.parametrize("shape", [(16, 0), (24, 1), (8, 4), (60, 0), (20, 24)])
@pytest.mark.parametrize("across", [520, 330])
@pytest.mark.parametrize("label", ["variational autoencoders; images", WIDE])
def test_labels_lie_on_no_circle_and_on_no_other_label(
    shape: tuple[int, int], across: int, label: str
) -> None:
    nodes = rings(*shape, label)
    font = font_size(nodes, across)
    found = ring_labels(nodes, font)
    assert found[0].turn is None
    assert len(found) > min(len(nodes), 40) / 2
    assert all(len(one.text) > 1 for one in found)
    parent = found[0]
    half = len(parent.text) / 2 * font * (1.0 if parent.text[0] == WIDE[0] else LETTER)
    for node in nodes[1:]:
        if len(parent.text) > 12 and abs(node.y - parent.y) < radius_of(node):
            assert abs(node.x) - radius_of(node) > half, (parent, node)
    around = [points(label, font) for label in found[1:]]
    for written, own in zip(found[1:], around, strict=True):
        for node in nodes:
            if node.feature_id != written.feature_id:
                distance = np.hypot(*(own - (node.x, node.y)).T).min()
                assert distance > radius_of(node), (written, node)
    for i, one in enumerate(around):
        for other in around[:i]:
            assert np.hypot(*(one[:, None] - other).transpose(2, 0, 1)).min() > 0.8 * font


@pytest.mark.parametrize("label", ["variational autoencoders; images", WIDE])
def test_labels_lie_inside_their_bounds_and_none_stands_on_its_head(label: str) -> None:
    nodes = rings(24, 1, label)
    font = font_size(nodes, 520)
    found = ring_labels(nodes, font)
    left, top, right, bottom = bounds(nodes, found, font)
    for one in found[1:]:
        assert one.turn is not None
        assert np.cos(one.turn + np.pi * one.flipped) > -1e-6
        x, y = points(one, font).T
        assert left < x.min() <= x.max() < right
        assert top < y.min() <= y.max() < bottom


def test_hostile_labels_are_short_and_plain_in_the_svg() -> None:
    content = family_svg(rings(20, 0, "<script>\u202e" + "x" * 10_000)).decode()
    assert "<script" not in content
    assert "\u202e" not in content
    assert "x" * 200 not in content
    assert content.count("rotate(") == 20
