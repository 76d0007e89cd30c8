"""The few lines of script that Streamlit has no option for: charts saved as SVG or PNG, and linked hovering.

The script is a constant. It reads only the drawn page: of a mark its accessible name, which for what belongs to
features begins "features 3 14:", so that no text of a store can name a feature.
"""

from typing import Any

import streamlit as st

from dashboard import charts
from dashboard.text import html_text

ROW = 35  # pixels: a row of Streamlit's table
LINKED = "linked"  # key of the container in which pointing at a feature lights it everywhere

_STYLE = """<style>
.sx-saves{display:flex;gap:1rem;justify-content:flex-end}
.sx-saves button{font:inherit;font-size:.875rem;padding:.1rem 0;border:0;background:none;color:inherit;cursor:pointer;
 opacity:.8}
.sx-saves button:hover{opacity:1;text-decoration:underline;text-underline-offset:.2em}
.sx-saves button:focus-visible{outline:2px solid SX_ACCENT;outline-offset:2px;opacity:1}
svg[data-linked] [aria-label^="features "]:not([data-lit]){opacity:.22!important}
svg[data-linked] [data-lit]{stroke:currentColor!important;stroke-width:1.5px!important;opacity:1!important}
svg[data-linked] text[data-lit]{stroke:none!important;font-weight:600}
.sx-lit-row{position:absolute;left:0;right:0;pointer-events:none;
 background:color-mix(in srgb,SX_ACCENT 22%,transparent)}
</style>"""

_SCRIPT = """<script>
if (!window.sextantScript) {
  window.sextantScript = true;
  const CHART = "[data-testid=stVegaLiteChart] svg", HOME = ".st-key-LINKED";

  // --- a chart as a file ---
  const SVG = "http://www.w3.org/2000/svg";
  function element(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }
  // A legend that stands beside the chart as HTML, drawn above it; and how much room it takes.
  function legend(button, font, width) {
    const rows = element("g", {"font-size": 13}), pen = document.createElement("canvas").getContext("2d");
    let x = 0, y = 16;
    pen.font = "13px " + font;
    for (const entry of button.closest(".sx-saves").querySelectorAll(".sx-key > span")) {
      const mark = entry.firstElementChild, long = pen.measureText(entry.textContent).width + 18;
      if (x && x + long > width) { x = 0; y += 20; }
      const text = element("text", {x, y, fill: "currentColor"});
      const swatch = element("tspan", {fill: getComputedStyle(mark).color});
      swatch.textContent = mark.textContent;
      text.append(swatch, entry.lastChild.textContent);
      rows.append(text);
      x += long;
    }
    return [rows, rows.childElementCount ? y + 12 : 0];
  }
  function drawn(button, chart) {
    const copy = chart.cloneNode(true), {width, height} = chart.getBoundingClientRect();
    const style = getComputedStyle(chart), [key, room] = legend(button, style.fontFamily, width);
    let ground = chart;
    while (ground && /^(transparent|rgba\\(0, 0, 0, 0\\))$/.test(getComputedStyle(ground).backgroundColor))
      ground = ground.parentElement;
    for (const [name, value] of [["width", width], ["height", height], ["y", room]]) copy.setAttribute(name, value);
    for (const name of ["style", "class", "data-linked"]) copy.removeAttribute(name);
    for (const mark of copy.querySelectorAll("[data-lit]")) mark.removeAttribute("data-lit");
    const sheet = element("svg", {width, height: height + room, viewBox: `0 0 ${width} ${height + room}`,
      color: style.color, "font-family": style.fontFamily});
    const fill = ground ? getComputedStyle(ground).backgroundColor : "white";
    sheet.append(element("rect", {width: "100%", height: "100%", fill}), key, copy);
    return [new XMLSerializer().serializeToString(sheet), {width, height: height + room}];
  }
  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
  function saved(button) {
    const chart = button.closest("[data-testid=stVerticalBlock]")?.querySelector(CHART);
    if (!chart) return;
    const [text, box] = drawn(button, chart), vector = new Blob([text], {type: "image/svg+xml"});
    if (button.textContent.trim() === "SVG") return save(vector, button.title + ".svg");
    const picture = new Image(), sheet = document.createElement("canvas"), scale = 3;
    picture.onload = () => {
      sheet.width = box.width * scale;
      sheet.height = box.height * scale;
      sheet.getContext("2d").drawImage(picture, 0, 0, sheet.width, sheet.height);
      sheet.toBlob(blob => save(blob, button.title + ".png"));
    };
    picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  }
  document.addEventListener("click", event => {
    const button = event.target.closest?.(".sx-saves button");
    if (button) saved(button);
  });

  // --- pointing at a feature in one place lights it in the others ---
  const named = mark => (/^features ([\\d ]+):/.exec(mark?.getAttribute("aria-label") ?? "")?.[1] ?? "")
    .split(" ").filter(Boolean).map(Number);
  let now = "";
  function light(ids, from) {
    if (now === ids.join()) return;
    now = ids.join();
    for (const chart of document.querySelectorAll(HOME + " " + CHART)) {
      let some = false;
      for (const mark of chart.querySelectorAll('[aria-label^="features "]')) {
        const lit = named(mark).some(id => ids.includes(id));
        mark.toggleAttribute("data-lit", lit);
        some = some || lit;
      }
      chart.toggleAttribute("data-linked", some && chart !== from);
    }
    for (const table of document.querySelectorAll(HOME + " [data-testid=stDataFrame]"))
      light_row(table, table === from ? [] : ids);
    for (const frame of document.querySelectorAll(HOME + " iframe"))
      if (frame !== from) frame.contentWindow?.postMessage({light: ids}, "*");
  }
  window.addEventListener("sextant-feature", event =>
    light([event.detail], document.querySelector(HOME + " iframe")));
  document.addEventListener("pointerover", event => {
    const chart = event.target.closest?.(HOME + " " + CHART);
    if (chart) light(named(event.target.closest("[aria-label]")), chart);
    else if (!event.target.closest?.(HOME + " canvas")) light([]);
  });
  document.addEventListener("pointermove", event => {
    const table = event.target.closest?.(HOME + " [data-testid=stDataFrame]");
    if (table) light(pointed(table, event.clientY), table);
  });

  // A table is a canvas. Its rows for screen readers say which feature stands where; their height is fixed.
  const TALL = ROW;
  function rows_of(table) {
    return [...table.querySelectorAll("canvas tr[aria-rowindex]")].map(row =>
      [Number(row.getAttribute("aria-rowindex")) - 2, Number(row.querySelector("td")?.textContent)]);
  }
  const scrolled = table => table.querySelector(".dvn-scroller")?.scrollTop ?? 0;
  function pointed(table, y) {
    const at = y - table.querySelector("canvas").getBoundingClientRect().top - TALL;
    const place = Math.floor((at + scrolled(table)) / TALL);
    const row = at < 0 ? undefined : rows_of(table).find(([row]) => row === place);
    return row && Number.isInteger(row[1]) ? [row[1]] : [];
  }
  function light_row(table, ids) {
    table.querySelector(".sx-lit-row")?.remove();
    const row = rows_of(table).find(([, id]) => ids.includes(id)), canvas = table.querySelector("canvas");
    if (!row || !canvas) return;
    const top = TALL * (row[0] + 1) - scrolled(table), mark = document.createElement("div");
    if (top < TALL || top + TALL > canvas.clientHeight) return;
    mark.className = "sx-lit-row";
    mark.style.top = top + "px";
    mark.style.height = TALL + "px";
    canvas.parentElement.append(mark);
  }
}
</script>"""


def install() -> None:
    """Put the script on the page; once, at its end, where an empty element takes no room."""
    body = _STYLE.replace("SX_ACCENT", charts.ACCENT) + _SCRIPT.replace("ROW", str(ROW)).replace(
        "LINKED", LINKED
    )
    st.html(body, unsafe_allow_javascript=True)


def saved_chart(chart: Any, alt_text: str, name: str, key: str = "") -> None:
    """A chart as ``charts.show`` puts it on the page, with buttons that save it as ``name``.svg or .png as it is
    drawn. The page must ``install`` the script. ``key``: its legend where that stands on the page as HTML
    (``evaluation_charts.key``); the file then has it above the chart."""
    with st.container(gap=None):
        charts.show(chart, alt_text)
        save_buttons(name, key)


def choosable_chart(chart: Any, alt_text: str, name: str, *, selection: str, key: str) -> Any:
    """The same of a chart whose marks can be chosen; returns Streamlit's event of the named selection."""
    with st.container(gap=None):
        event = st.altair_chart(
            chart, theme="streamlit", on_select="rerun", selection_mode=selection, key=key, alt=alt_text
        )
        save_buttons(name)
    return event


def save_buttons(name: str, key: str = "") -> None:
    """Buttons that save the one chart in the same container as ``name``.svg or .png, with the legend ``key``."""
    title = html_text(name, 120)
    kinds = "".join(
        f'<button type="button" title="{title}" aria-label="Save the chart as {kind}">{kind}</button>'
        for kind in ("SVG", "PNG")
    )
    legend = f"<div hidden>{key}</div>" if key else ""
    st.html(f'<div class="sx-saves">{kinds}{legend}</div>')
