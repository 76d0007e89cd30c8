"""The inner document of a family's graph: the policy first, then the drawing, then what choosing a feature does."""

import json
from collections.abc import Sequence

from dashboard.charts import ACCENT
from dashboard.families.family_labels import LONGEST_LEVEL, bounds, cut_label, font_size, ring_labels
from dashboard.families.family_node import Node, colours_of, in_rings
from dashboard.text import plain_text

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
_WIDE, _NARROW = 520, 330  # pixels across the drawing on a wide screen and on a telephone
_LONGEST_NARROW = 15  # letters of a level label on a telephone, as far as two columns lie apart there


def isolated(page: str, nodes: Sequence[Node], dark: bool, grow: float) -> str:
    """``page`` as pyvis drew it, made harmless and answering to pointer and keys. Circles are ``grow`` times as large
    as ``radius_of`` says."""
    colours = colours_of(dark)
    facts = {
        node.feature_id: [
            plain_text(node.label, 160) or f"feature {node.feature_id}",
            *(plain_text(f, 160) for f in node.facts),
        ]
        for node in nodes
    }
    head = f"""<meta http-equiv="Content-Security-Policy" content="{POLICY}">
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
const facts = {script_json(facts)}, labels = {{}}, order = {json.dumps([node.feature_id for node in nodes])};
const above = {script_json({node.feature_id: node.parent for node in nodes})};
const rings = {json.dumps(in_rings(nodes))}, written = {script_json(_written(nodes, grow))};
let narrow = false;
let chosen = null;
const said = document.getElementById("said");
function choose(id) {{
  if (chosen === id) return;
  if (chosen !== null && labels[chosen] !== undefined) nodes.update({{id: chosen, label: labels[chosen]}});
  chosen = id;
  labels[id] = nodes.get(id).label;
  if (labels[id] === " " && !here().labels.some(([one]) => one === id))
    nodes.update({{id: id, label: facts[id][0].slice(0, 60)}});
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
  if (event.key === "Enter" && chosen !== null) {{ if (!event.repeat) open_page(chosen); }}
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
// Labels of rings stand along their rays: vis can only write level ones below its circles.
function here() {{ return rings ? written[narrow ? "narrow" : "wide"] : {{labels: []}}; }}
network.on("afterDrawing", ink => {{
  if (!rings) return;
  const font = here().font;
  for (const [id, text, x, y, turn, flipped] of here().labels) {{
    ink.save();
    ink.translate(x, y);
    if (turn !== null) ink.rotate(flipped ? turn + Math.PI : turn);
    ink.font = (id === chosen ? "600 " : "") + font + "px system-ui, sans-serif";
    ink.textAlign = turn === null ? "center" : flipped ? "right" : "left";
    ink.textBaseline = "middle";
    ink.lineJoin = "round";
    ink.lineWidth = font / 3;
    ink.strokeStyle = "{colours.paper}";
    ink.strokeText(text, 0, 0);
    ink.fillStyle = "{colours.ink}";
    ink.fillText(text, 0, 0);
    ink.restore();
  }}
}});
const stood = network.getPositions(), depth = {{}};
for (const id of order) depth[id] = above[id] === null ? 0 : depth[above[id]] + 1;
function show() {{
  if (rings) {{
    narrow = box.clientWidth < 500;
    const [left, top, right, bottom] = here().bounds;
    network.moveTo({{
      position: {{x: (left + right) / 2, y: (top + bottom) / 2}},
      scale: Math.min(1.2, box.clientWidth / (right - left), box.clientHeight / (bottom - top))
    }});
    return;
  }}
  // In a narrow place the columns stand closer, alternate ones a little lower, and labels are cut, so that all fit.
  if (narrow !== box.clientWidth < 500) {{
    narrow = !narrow;
    nodes.update(order.map(id => narrow
      ? {{id: id, label: written.narrow[id], x: stood[id].x * 0.55, y: stood[id].y + depth[id] % 2 * 24}}
      : {{id: id, label: written.wide[id], ...stood[id]}}));
  }}
  network.fit();
  network.moveTo({{scale: network.getScale() * 0.82}});  // labels reach beyond the outermost features
  // Where all of it would be too small to read, start at the parent.
  if (network.getScale() < 0.55) {{
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
show();
network.on("resize", () => setTimeout(show));  // after vis has moved its own view
said.textContent = "Point at a feature, or use the arrow keys; click or press Enter for its page.";
</script>"""
    page = page.replace("<head>", "<head>" + head, 1) if "<head>" in page else head + page
    return page.replace("</body>", script + "</body>", 1)


def _written(nodes: Sequence[Node], grow: float) -> dict[str, object]:
    """Labels for a wide and a narrow place: in the latter those of rings are fewer and larger, others shorter."""
    found: dict[str, object] = {}
    if not in_rings(nodes):
        for name, longest in (("wide", LONGEST_LEVEL), ("narrow", _LONGEST_NARROW)):
            found[name] = {
                node.feature_id: cut_label(node.label, longest) or f"feature {node.feature_id}"
                for node in nodes
            }
        return found
    for name, across in (("wide", _WIDE), ("narrow", _NARROW)):
        font = font_size(nodes, across)
        labels = ring_labels(nodes, font, grow)
        found[name] = {"font": font, "labels": labels, "bounds": bounds(nodes, labels, font)}
    return found


def script_json(value: object) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
