"""A family as a file to take away: JSON and GraphML. Texts are plain, structure is ours."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from dashboard.text import plain_text

_KEYS = {  # column -> GraphML type; of nodes, then of edges
    "label": "string", "density": "double", "pearson": "double", "f1": "double", "depth": "int",
}  # fmt: skip
_EDGE_KEYS = {"count": "int", "share": "double", "similarity": "double"}


def family_json(facts: Mapping[str, Any], members: Sequence[Mapping[str, Any]]) -> bytes:
    """The family with its tree nested: every feature holds its own ``children``."""
    nodes: dict[int, dict[str, Any]] = {}
    root: dict[str, Any] = {}
    for row in members:  # depth-first, so a feature comes after the one above it
        node = {"feature_id": int(row["feature_id"])} | _known(row, (*_KEYS, *_EDGE_KEYS)) | {"children": []}
        nodes[node["feature_id"]] = node
        if row["parent"] is None:
            root = node
        else:
            nodes[int(row["parent"])]["children"].append(node)
    text = json.dumps(dict(facts) | {"tree": root}, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace")


def family_graphml(members: Sequence[Mapping[str, Any]]) -> bytes:
    """The tree as GraphML, edges from general to specific."""
    root = ElementTree.Element("graphml", xmlns="http://graphml.graphdrawing.org/xmlns")
    for owner, keys in (("node", _KEYS), ("edge", _EDGE_KEYS)):
        for name, kind in keys.items():
            ElementTree.SubElement(
                root, "key", {"id": name, "for": owner, "attr.name": name, "attr.type": kind}
            )
    graph = ElementTree.SubElement(root, "graph", id="family", edgedefault="directed")
    for row in members:
        node = ElementTree.SubElement(graph, "node", id=f"f{int(row['feature_id'])}")
        for name, value in _known(row, _KEYS).items():
            ElementTree.SubElement(node, "data", key=name).text = str(value)
    for row in members:
        if row["parent"] is not None:
            ends = {"source": f"f{int(row['parent'])}", "target": f"f{int(row['feature_id'])}"}
            edge = ElementTree.SubElement(graph, "edge", ends)
            for name, value in _known(row, _EDGE_KEYS).items():
                ElementTree.SubElement(edge, "data", key=name).text = str(value)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _known(row: Mapping[str, Any], names: Any) -> dict[str, Any]:
    """The columns that hold something: numbers finite, text plain."""
    found: dict[str, Any] = {}
    for name in names:
        value = row.get(name)
        if isinstance(value, str):
            found[name] = plain_text(value, 500)
        elif value is not None and value == value and abs(value) != float("inf"):
            found[name] = int(value) if name in ("count", "depth") else float(value)
    return found
