"""A family as an interactive graph: tree → one isolated HTML page, drawn by pyvis where the tree says, no
physics.

Two documents, one in the other. The outer one holds only our own few lines; the inner one, which holds the
texts, runs in a sandbox without origin, may load nothing from anywhere, and can only tell the outer one the
number of a feature to open. Texts reach the screen through a canvas and ``textContent``, so that no markup in
them acts.
"""

import html
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from dashboard.charts import ACCENT, MUTED
from dashboard.families.family_graph_page import POLICY, isolated, script_json
from dashboard.families.family_labels import LONGEST_LEVEL, cut_label, font_size
from dashboard.families.family_node import Node, colours_of, in_rings, radius_of, score_colour

_LINE = 60  # pixels under the graph for what is said of a feature
_LOADS = re.compile(
    r"<link\b[^>]*>|<script\b[^>]*\bsrc\s*=[^>]*>\s*</script>|<center>.*?</center>", re.IGNORECASE | re.DOTALL
)


def graph_height(nodes: Sequence[Node]) -> int:
    """Pixels that the drawing needs, the line under it included: no more than its rows ask for."""
    rows = [node.y for node in nodes]
    tall = max(rows) - min(rows)
    if in_rings(nodes):  # with room for the labels around them
        return _LINE + int(min(580, 240 + 0.9 * tall))
    return _LINE + int(min(520, max(240, 130 + 0.85 * tall)))


def family_graph(nodes: Sequence[Node], address: str, dark: bool = False) -> str:
    """The page for ``st.iframe``. ``address``: of a feature's page, its number to be put at the end."""
    height = graph_height(nodes)
    # A large family is drawn smaller as a whole; its features must stay large enough to see and to hit.
    grow = min(1.4, max(1.0, max(max(abs(n.x), abs(n.y)) for n in nodes) / 500)) if in_rings(nodes) else 1.0
    inner = isolated(_drawn(nodes, height - _LINE, dark, grow), nodes, dark, grow)
    known = json.dumps([node.feature_id for node in nodes])
    return f"""<!doctype html><html><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<style>html,body{{margin:0;height:{height}px;overflow:hidden;background:{colours_of(dark).paper}}}
iframe{{border:0;width:100%;height:{height}px}}</style></head><body>
<iframe title="Graph of the family" sandbox="allow-scripts"
 srcdoc="{html.escape(inner, quote=True)}"></iframe>
<script>
const known = new Set({known}), address = {script_json(address)};
let left = false;
addEventListener("message", event => {{
  const inner = document.querySelector("iframe").contentWindow;
  // What the page around points at (dashboard.page_script) is handed on.
  if (event.source === parent && Array.isArray(event.data?.light)) inner.postMessage(event.data, "*");
  if (event.source !== inner || !event.data) return;
  const feature = event.data.feature, picture = event.data.picture;
  if (typeof picture === "string" && picture.startsWith("data:image/png;base64,")) {{
    const saved = document.createElement("a");
    saved.href = picture;
    saved.download = "family.png";
    saved.click();
    return;
  }}
  if (known.has(event.data.chosen))
    parent.dispatchEvent(new parent.CustomEvent("sextant-feature", {{detail: event.data.chosen}}));
  // Once: a double click asks twice before the page has changed, and each address is one step back.
  if (left || !known.has(feature)) return;
  left = true;
  // As if one came back to that address: Streamlit shows its page within the open session, without loading anew.
  parent.history.pushState({{}}, "", address + feature);
  parent.dispatchEvent(new parent.PopStateEvent("popstate"));
}});
</script></body></html>"""


def _drawn(nodes: Sequence[Node], height: int, dark: bool, grow: float) -> str:
    """The page as pyvis writes it, without the files that it would fetch."""
    from pyvis.network import Network  # 19 MB with what it brings: only when a family is drawn

    network = Network(height=f"{height}px", width="100%", directed=True, cdn_resources="in_line")
    network.templateEnv = _templates(network.template_dir)
    rings = in_rings(nodes)
    for node in nodes:
        name = cut_label(node.label, LONGEST_LEVEL) or f"feature {node.feature_id}"
        colour = score_colour(node.score)
        unscored = node.score is None
        ground = colours_of(dark).paper if unscored else colour
        marked = {"background": ground, "border": colours_of(dark).ink}
        network.add_node(
            node.feature_id,
            label=" " if rings else name,
            x=float(node.x),
            y=float(node.y),
            size=radius_of(node) * grow,
            color={"background": ground, "border": colour, "highlight": marked, "hover": marked},
            borderWidth=2 * grow,
            borderWidthSelected=4 * grow,
            shapeProperties={"borderDashes": [4, 3] if unscored else False},
            shape="dot",
            physics=False,
        )
    for node in nodes:
        if node.parent is not None:
            share = node.share or 0.0
            network.add_edge(
                node.parent,
                node.feature_id,
                width=(1 + 7 * share) * grow,
                color={"color": MUTED, "highlight": ACCENT, "hover": MUTED, "opacity": 0.55},
            )
    options = {
        "physics": {"enabled": False},
        "nodes": {
            "font": {
                "color": colours_of(dark).ink,
                "size": 15 if not rings else round(font_size(nodes, 520)),
                "face": "system-ui, sans-serif",
                "strokeWidth": 4,  # so that an arrow behind a label does not cross its letters
                "strokeColor": colours_of(dark).paper,
            }
        },
        "edges": {"arrows": {"to": {"enabled": True, "scaleFactor": 0.5}}, "smooth": {"enabled": False}},
        "interaction": {"hover": True, "dragNodes": False, "tooltipDelay": 100000, "keyboard": False},
    }
    network.set_options(json.dumps(options))
    return _LOADS.sub("", network.generate_html(notebook=False))


@lru_cache(maxsize=1)
def _templates(folder: str) -> Any:
    """pyvis's templates, compiled once: it would compile the library in them anew for every graph. The library's
    style, a third of it, is of buttons and hints that are not drawn."""
    from jinja2 import ChoiceLoader, DictLoader, Environment, FileSystemLoader

    unstyled = DictLoader({"lib/vis-9.1.2/vis-network.css": ""})
    return Environment(loader=ChoiceLoader([unstyled, FileSystemLoader(folder)]))
