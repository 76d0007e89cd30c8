"""A family's graph as an SVG file for a paper: light, self-contained, its texts plain."""

import math
from collections.abc import Sequence
from xml.etree import ElementTree

from dashboard.charts import MUTED
from dashboard.families.family_labels import LONGEST_LEVEL, Writing, bounds, cut_label, ring_labels
from dashboard.families.family_node import Node, in_rings, radius_of, score_colour
from dashboard.text import plain_text

_MARGIN = 130.0  # level labels reach beyond the outermost features
_INK, _FONT = "#1b2529", 15


def family_svg(nodes: Sequence[Node]) -> bytes:
    """Features where the page draws them: size = density, colour = score, arrows from general to specific."""
    place = {node.feature_id: node for node in nodes}
    rings = in_rings(nodes)
    labels = ring_labels(nodes, _FONT) if rings else []
    left, top, right, bottom = bounds(nodes, labels, _FONT)
    margin = 0.0 if rings else _MARGIN
    box = (left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin)
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": " ".join(f"{value:.0f}" for value in box),
            "font-family": "system-ui, sans-serif",
            "font-size": str(_FONT),
        },
    )
    marker = ElementTree.SubElement(
        ElementTree.SubElement(root, "defs"),
        "marker",
        {"id": "to", "viewBox": "0 0 8 8", "refX": "7", "refY": "4", "markerWidth": "9", "markerHeight": "9",
         "markerUnits": "userSpaceOnUse", "orient": "auto"},
    )  # fmt: skip
    ElementTree.SubElement(marker, "path", d="M0 0 8 4 0 8z", fill=MUTED)
    for node in nodes:
        if node.parent is not None and node.parent in place:
            _arrow(root, place[node.parent], node)
    for node in nodes:
        group = ElementTree.SubElement(root, "g")
        colour = score_colour(node.score)
        circle = {
            "cx": f"{node.x:.1f}",
            "cy": f"{node.y:.1f}",
            "r": f"{radius_of(node):.1f}",
            "stroke": colour,
        }
        circle["fill"] = "#ffffff" if node.score is None else colour
        ElementTree.SubElement(group, "circle", circle)
        name = plain_text(node.label, 160) or f"feature {node.feature_id}"
        ElementTree.SubElement(group, "title").text = name
        if not rings:
            text = {
                "x": circle["cx"],
                "y": f"{node.y + radius_of(node) + 17:.1f}",
                "text-anchor": "middle",
                "fill": _INK,
            }
            ElementTree.SubElement(group, "text", text).text = cut_label(node.label, LONGEST_LEVEL) or name
    for label in labels:
        _along_its_ray(root, label)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _along_its_ray(root: ElementTree.Element, label: Writing) -> None:
    x, y = f"{label.x:.1f}", f"{label.y:.1f}"
    text = {"x": x, "y": y, "dominant-baseline": "central", "fill": _INK, "stroke": "#ffffff", "stroke-width": "4",
            "paint-order": "stroke", "stroke-linejoin": "round"}  # fmt: skip
    if label.turn is None:
        text["text-anchor"] = "middle"
    else:
        degrees = math.degrees(label.turn) + 180 * label.flipped
        text |= {
            "text-anchor": "end" if label.flipped else "start",
            "transform": f"rotate({degrees:.1f} {x} {y})",
        }
    ElementTree.SubElement(root, "text", text).text = label.text


def _arrow(root: ElementTree.Element, start: Node, end: Node) -> None:
    """From the centre of one feature to the edge of the other."""
    across, down = end.x - start.x, end.y - start.y
    length = max((across**2 + down**2) ** 0.5, 1e-6)
    share = max(0.0, 1 - (radius_of(end) + 2) / length)
    ElementTree.SubElement(
        root,
        "line",
        {"x1": f"{start.x:.1f}", "y1": f"{start.y:.1f}", "x2": f"{start.x + across * share:.1f}",
         "y2": f"{start.y + down * share:.1f}", "stroke": MUTED, "stroke-opacity": "0.6",
         "stroke-width": f"{1 + 7 * (end.share or 0.0):.1f}", "marker-end": "url(#to)"},
    )  # fmt: skip
