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
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from dashboard.charts import ACCENT, CONTRAST, MUTED
from dashboard.text import plain_text

_LINE = 60  # pixels under the graph for what is said of a feature
_LABELLED = 12  # labels always drawn where a family stands in rings: the densest features'
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
_LOADS = re.compile(
    r"<link\b[^>]*>|<script\b[^>]*\bsrc\s*=[^>]*>\s*</script>|<center>.*?</center>", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class Node:
    """A feature in the drawing. ``facts`` are short plain texts shown when it is chosen; ``share`` is of its
    documents with the feature above it, None for the family's parent; ``score`` None where unscored."""

    feature_id: int
    label: str
    x: float
    y: float
    density: float
    score: float | None
    parent: int | None = None
    share: float | None = None
    facts: tuple[str, ...] = ()


class _Colours(NamedTuple):
    """Of the page around the graph: an isolated document inherits none."""

    ink: str
    paper: str
    line: str


def _colours(dark: bool) -> _Colours:
    return _Colours("#e3eaec", "#12181b", "#2e3a40") if dark else _Colours("#1b2529", "#ffffff", "#d9e0e3")


def graph_height(nodes: Sequence[Node]) -> int:
    """Pixels that the drawing needs, the line under it included: no more than its rows ask for."""
    rows = [node.y for node in nodes]
    return _LINE + int(min(520, max(240, 130 + 0.85 * (max(rows) - min(rows)))))


def family_graph(nodes: Sequence[Node], address: str, dark: bool = False) -> str:
    """The page for ``st.iframe``. ``address``: of a feature's page, its number to be put at the end."""
    height = graph_height(nodes)
    inner = _isolated(_drawn(nodes, height - _LINE, dark), nodes, dark)
    known = json.dumps([node.feature_id for node in nodes])
    return f"""<!doctype html><html><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<style>html,body{{margin:0;height:{height}px;overflow:hidden;background:{_colours(dark).paper}}}
iframe{{border:0;width:100%;height:{height}px}}</style></head><body>
<iframe title="Graph of the family" sandbox="allow-scripts"
 srcdoc="{html.escape(inner, quote=True)}"></iframe>
<script>
const known = new Set({known}), address = {_script_json(address)};
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
  if (!known.has(feature)) return;
  // As if one came back to that address: Streamlit shows its page within the open session, without loading anew.
  parent.history.pushState({{}}, "", address + feature);
  parent.dispatchEvent(new parent.PopStateEvent("popstate"));
}});
</script></body></html>"""


def _in_rings(nodes: Sequence[Node]) -> bool:
    """Rows start at the parent, with room for every label; rings lie around it."""
    return min(node.x for node in nodes) < 0


def _drawn(nodes: Sequence[Node], height: int, dark: bool) -> str:
    """The page as pyvis writes it, without the files that it would fetch."""
    from pyvis.network import Network  # 19 MB with what it brings: only when a family is drawn

    network = Network(height=f"{height}px", width="100%", directed=True, cdn_resources="in_line")
    network.templateEnv = _templates(network.template_dir)
    # A large family is drawn smaller as a whole; its features must stay large enough to see and to hit.
    grow = max(1.0, max(max(abs(n.x), abs(n.y)) for n in nodes) / 1000)
    rings = _in_rings(nodes)
    labelled = {n.feature_id for n in sorted(nodes, key=lambda n: -n.density)[:_LABELLED]}
    for node in nodes:
        name = plain_text(node.label, 28) or f"feature {node.feature_id}"
        colour = score_colour(node.score)
        unscored = node.score is None
        ground = _colours(dark).paper if unscored else colour
        marked = {"background": ground, "border": _colours(dark).ink}
        network.add_node(
            node.feature_id,
            label=name if not rings or node.feature_id in labelled else " ",
            x=float(node.x),
            y=float(node.y),
            size=(6 + 42 * max(node.density, 0) ** 0.5) * grow,
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
                "color": _colours(dark).ink,
                "size": round(28 * max(1.0, 1.3 * grow)) if len(nodes) > 60 else 15,
                "face": "system-ui, sans-serif",
                "strokeWidth": 4,  # so that an arrow behind a label does not cross its letters
                "strokeColor": _colours(dark).paper,
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


def _isolated(page: str, nodes: Sequence[Node], dark: bool) -> str:
    """The inner document: the policy first, then the drawing, then what choosing a feature does."""
    colours = _colours(dark)
    facts = {
        node.feature_id: [
            plain_text(node.label, 160) or f"feature {node.feature_id}",
            *(plain_text(f, 160) for f in node.facts),
        ]
        for node in nodes
    }
    head = f"""<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<style>html,body{{margin:0;background:{colours.paper};color:{colours.ink};overflow:hidden;
font:14px/1.4 system-ui,sans-serif}}
#mynetwork{{border:1px solid {colours.line}!important;border-radius:6px;background:transparent!important;
float:none!important;box-sizing:border-box}}
#mynetwork:focus-within{{outline:2px solid {ACCENT};outline-offset:-2px}}
#save{{position:absolute;top:6px;right:6px;font:inherit;font-size:12px;padding:2px 8px;cursor:pointer;
color:{colours.ink};background:{colours.paper};border:1px solid {colours.line};border-radius:6px}}
#save:focus-visible{{outline:2px solid {ACCENT}}}
.card{{border:0}} #said{{height:52px;padding:4px 2px;overflow:auto;overflow-wrap:anywhere}}
#said b{{font-weight:600}} canvas:focus{{outline:none}}</style>"""
    script = f"""<button id="save" title="Save the graph as a picture">PNG</button>
<div id="said" role="status" aria-live="polite"></div><script>
const facts = {_script_json(facts)}, labels = {{}}, order = {json.dumps([node.feature_id for node in nodes])};
const above = {_script_json({node.feature_id: node.parent for node in nodes})};
const rings = {json.dumps(_in_rings(nodes))};
let chosen = null;
const said = document.getElementById("said");
function choose(id) {{
  if (chosen === id) return;
  if (chosen !== null && labels[chosen] !== undefined) nodes.update({{id: chosen, label: labels[chosen]}});
  chosen = id;
  labels[id] = nodes.get(id).label;
  if (labels[id] === " ") nodes.update({{id: id, label: facts[id][0].slice(0, 60)}});
  network.selectNodes([id]);
  const name = document.createElement("b");
  name.textContent = facts[id][0];
  said.replaceChildren(name, document.createTextNode(facts[id].slice(1).map(f => " · " + f).join("")));
}}
function open_page(id) {{ parent.postMessage({{feature: id}}, "*"); }}
function tell(id) {{ choose(id); parent.postMessage({{chosen: id}}, "*"); }}
addEventListener("message", event => {{
  if (event.source !== parent || !Array.isArray(event.data?.light)) return;
  const lit = event.data.light.filter(id => id in facts);
  if (lit.length === 1) choose(lit[0]); else network.selectNodes(lit);
}});
network.on("hoverNode", event => tell(event.node));
network.on("click", event => {{
  if (!event.nodes.length) return;
  if (chosen === event.nodes[0]) open_page(chosen); else tell(event.nodes[0]);
}});
const box = document.querySelector("#mynetwork canvas");
box.tabIndex = 0;
box.setAttribute("role", "application");
box.setAttribute("aria-label", "Family graph: arrow keys move between features, Enter opens one");
box.addEventListener("keydown", event => {{
  const at = chosen === null ? order[0] : chosen, children = order.filter(id => above[id] === at);
  const beside = order.filter(id => above[id] === above[at]), place = beside.indexOf(at);
  const moves = {{
    ArrowRight: children[0], ArrowLeft: above[at], ArrowDown: beside[place + 1], ArrowUp: beside[place - 1]
  }};
  if (event.key === "Enter" && chosen !== null) {{ open_page(chosen); }}
  else if (event.key in moves) {{
    const to = chosen === null ? order[0] : moves[event.key];
    if (to !== undefined && to !== null) {{
      tell(to);
      const place = network.canvasToDOM(network.getPosition(to));
      if (place.x < 40 || place.y < 20 || place.x > box.clientWidth - 40 || place.y > box.clientHeight - 40)
        network.focus(to, {{animation: false, scale: network.getScale()}});
    }}
  }} else if (event.key === "+" || event.key === "-") {{
    network.moveTo({{scale: network.getScale() * (event.key === "+" ? 1.25 : 0.8)}});
  }} else if (event.key === "0") {{ show(); }} else return;
  event.preventDefault();
}});
const stood = network.getPositions(), depth = {{}};
for (const id of order) depth[id] = above[id] === null ? 0 : depth[above[id]] + 1;
let narrow = false;
function show() {{
  // In a narrow place the columns stand closer, alternate ones a little lower, so that more of them fit.
  if (!rings && narrow !== box.clientWidth < 500) {{
    narrow = !narrow;
    nodes.update(order.map(id => narrow
      ? {{id: id, x: stood[id].x * 0.55, y: stood[id].y + depth[id] % 2 * 14}} : {{id: id, ...stood[id]}}));
  }}
  network.fit();
  network.moveTo({{scale: network.getScale() * 0.82}});  // labels reach beyond the outermost features
  // Where all of it would be too small to read, start at the parent.
  if (network.getScale() < 0.55 && !rings) {{
    const scale = 0.7, at = network.getPosition(order[0]);
    network.moveTo({{scale: scale, position: {{x: at.x + box.clientWidth / scale / 2 - 90, y: at.y}}}});
  }}
}}
document.getElementById("save").addEventListener("click", () => {{
  // On the page's own ground: a canvas is transparent.
  const copy = document.createElement("canvas"), ink = copy.getContext("2d");
  copy.width = box.width;
  copy.height = box.height;
  ink.fillStyle = "{colours.paper}";
  ink.fillRect(0, 0, copy.width, copy.height);
  ink.drawImage(box, 0, 0);
  parent.postMessage({{picture: copy.toDataURL("image/png")}}, "*");
}});
network.once("afterDrawing", show);
network.on("resize", () => setTimeout(show));  // after vis has moved its own view
said.textContent = "Point at a feature, or use the arrow keys; click or press Enter for its page.";
</script>"""
    page = page.replace("<head>", "<head>" + head, 1) if "<head>" in page else head + page
    return page.replace("</body>", script + "</body>", 1)


def score_colour(score: float | None) -> str:
    """Of a Pearson correlation: ochre at 0, grey in the middle, the accent colour at 1; grey where
    unscored."""
    if score is None:
        return MUTED
    share = min(1.0, max(0.0, score))
    low, high, at = (CONTRAST, MUTED, share * 2) if share < 0.5 else (MUTED, ACCENT, share * 2 - 1)
    parts = [round(int(low[i : i + 2], 16) * (1 - at) + int(high[i : i + 2], 16) * at) for i in (1, 3, 5)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def _script_json(value: object) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
