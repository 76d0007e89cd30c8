"""A family's graph as an SVG file for a paper: light, self-contained, its texts plain."""

from collections.abc import Sequence
from xml.etree import ElementTree

from dashboard.charts import MUTED
from dashboard.graph import Node, score_colour
from dashboard.text import plain_text

_MARGIN = 150.0  # labels reach beyond the outermost features
_INK = "#1b2529"


def family_svg(nodes: Sequence[Node]) -> bytes:
    """Features where the page draws them: size = density, colour = score, arrows from general to specific."""
    place = {node.feature_id: node for node in nodes}
    left, top = (min(getattr(node, axis) for node in nodes) - _MARGIN for axis in "xy")
    wide, high = (
        max(getattr(node, axis) for node in nodes) - start + _MARGIN
        for axis, start in (("x", left), ("y", top))
    )
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"{left:.0f} {top:.0f} {wide:.0f} {high:.0f}",
            "font-family": "system-ui, sans-serif",
            "font-size": "15",
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
        circle = {"cx": f"{node.x:.1f}", "cy": f"{node.y:.1f}", "r": f"{_radius(node):.1f}", "stroke": colour}
        circle["fill"] = "#ffffff" if node.score is None else colour
        ElementTree.SubElement(group, "circle", circle)
        name = plain_text(node.label, 160) or f"feature {node.feature_id}"
        ElementTree.SubElement(group, "title").text = name
        text = {
            "x": circle["cx"],
            "y": f"{node.y + _radius(node) + 17:.1f}",
            "text-anchor": "middle",
            "fill": _INK,
        }
        ElementTree.SubElement(group, "text", text).text = plain_text(node.label, 28) or name
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _radius(node: Node) -> float:
    return 6 + 42 * max(node.density, 0) ** 0.5


def _arrow(root: ElementTree.Element, start: Node, end: Node) -> None:
    """From the centre of one feature to the edge of the other."""
    across, down = end.x - start.x, end.y - start.y
    length = max((across**2 + down**2) ** 0.5, 1e-6)
    share = max(0.0, 1 - (_radius(end) + 2) / length)
    ElementTree.SubElement(
        root,
        "line",
        {"x1": f"{start.x:.1f}", "y1": f"{start.y:.1f}", "x2": f"{start.x + across * share:.1f}",
         "y2": f"{start.y + down * share:.1f}", "stroke": MUTED, "stroke-opacity": "0.6",
         "stroke-width": f"{1 + 7 * (end.share or 0.0):.1f}", "marker-end": "url(#to)"},
    )  # fmt: skip
