"""From the release of a slider to new results on the screen, in Chromium, on a large store and on a small one.

    python tests/benchmarks/slider_browser.py [--folder FOLDER] [--moves 30] [--store STORE …]

Makes two stores (272,000 × 1,536 and 20,000 × 384, see ``large_store``; kept in ``--folder``), or takes
those that are named, serves each, and moves its sliders by keyboard and by mouse. Times are taken inside the page:
*release* is the event of the key or button let go, *sent* the message that Streamlit's front end sends (a key's may go
before the key is let go: below zero), *answered*
the first message back, *painted* the frame after the first result that differs, *settled* the frame after the last
change within half a second.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.large_store import make_store
from tests.benchmarks.streamlit_client import ROOT, serving

SHAPES = ((272_000, 1536), (20_000, 384))
SLIDER = "[class*='st-key-row-'] [data-testid=stSlider]"
WATCH = """() => {
    const send = WebSocket.prototype.send
    const seen = window.seen = {}
    WebSocket.prototype.send = function (data) {
        if (window.before !== undefined && !seen.sent) seen.sent = performance.now()
        if (!this.watched) {
            this.watched = true
            this.addEventListener('message', () => {
                if (seen.sent && !seen.answered) seen.answered = performance.now()
            })
        }
        return send.call(this, data)
    }
    const results = () => [...document.querySelectorAll('.sx-card')].map(card => card.innerText).join('|')
    const afterPaint = then => requestAnimationFrame(() => setTimeout(() => then(performance.now())))
    window.ready = () => {
        for (const name of Object.keys(seen)) delete seen[name]
        window.before = results()
    }
    for (const kind of ['keyup', 'pointerup'])
        addEventListener(kind, event => { if (!seen.release) seen.release = event.timeStamp }, true)
    document.addEventListener('DOMContentLoaded', () => new MutationObserver(() => {
        if (!seen.release) return
        if (!seen.changed && results() !== window.before) {
            seen.changed = true
            afterPaint(now => { seen.painted = now })
        }
        afterPaint(now => { seen.settled = now })
    }).observe(document, {subtree: true, childList: true, characterData: true}))
}"""
STEPS = ("sent", "answered", "painted", "settled")


def quiet(page: Page) -> None:
    """Wait until no run is going on and nothing has changed for a while."""
    page.wait_for_function(
        """() => {
            const app = document.querySelector('[data-testid=stApp]')
            const still = app && app.dataset.testScriptState === 'notRunning'
                && document.querySelector('.sx-card') && !document.querySelector('[data-stale=true], .stSpinner')
            window.quietSince = still ? window.quietSince || Date.now() : undefined
            return still && Date.now() - window.quietSince > 500
        }""",
        timeout=120_000,
        polling=50,
    )


def by_key(page: Page, number: int) -> None:
    """One step of the second slider, to the left and back in turns of eight."""
    slider = page.locator(f"{SLIDER} input[type=range]").nth(1)
    slider.focus()
    page.evaluate("ready()")
    slider.press("ArrowLeft" if number // 8 % 2 == 0 else "ArrowRight", no_wait_after=True)


def by_mouse(page: Page, number: int) -> None:
    """The first slider's handle dragged to another place in ten movements."""
    box = page.locator(SLIDER).first.bounding_box()
    handle = page.locator(f"{SLIDER} [role=slider], {SLIDER} input[type=range]").first.bounding_box()
    assert box
    assert handle
    y = handle["y"] + handle["height"] / 2
    start = handle["x"] + handle["width"] / 2
    end = box["x"] + box["width"] * (0.15 + 0.7 * (number * 0.37 % 1))
    page.mouse.move(start, y)
    page.mouse.down()
    page.evaluate("ready()")
    page.mouse.move(end, y, steps=10)
    page.mouse.up()


def measure(store: Path, moves: int) -> dict[str, list[dict[str, float]]]:
    """Milliseconds after the release, for each move of each kind."""
    found: dict[str, list[dict[str, float]]] = {}
    with serving(ROOT / "dashboard" / "Home.py", store) as (port, _), sync_playwright() as playwright:
        executable = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.add_init_script(f"({WATCH})()")
        page.goto(f"http://localhost:{port}/")
        quiet(page)
        for kind, move in (("keyboard", by_key), ("mouse", by_mouse)):
            for number in range(-2, moves):  # two to warm up: a feature's column is read once
                move(page, number)
                page.wait_for_function("seen.painted", timeout=60_000, polling=20)
                quiet(page)
                seen: dict[str, Any] = page.evaluate("({...seen})")
                if number >= 0:
                    found.setdefault(kind, []).append({step: seen[step] - seen["release"] for step in STEPS})
        browser.close()
    return found


def report(name: str, found: dict[str, list[dict[str, float]]]) -> None:
    print(f"\n{name}: milliseconds after the release\n{'':12}" + "".join(f"{step:>18}" for step in STEPS))
    for kind, rows in found.items():
        told = []
        for step in STEPS:
            times = sorted(row[step] for row in rows)
            p95 = times[min(len(times) - 1, round(0.95 * (len(times) - 1)))]
            told.append(f"{statistics.median(times):.0f} (95 %: {p95:.0f})")
        print(f"{kind:12}" + "".join(f"{text:>18}" for text in told) + f"   n {len(rows)}")


def main() -> None:
    """Print one table a store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--moves", type=int, default=30)
    parser.add_argument("--store", type=Path, nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        stores = {str(path): path for path in arguments.store or ()}
        if not stores:
            for n_documents, d_in in SHAPES:
                path = (arguments.folder or Path(temporary)) / f"{n_documents}x{d_in}"
                if not (path / "CURRENT").exists():
                    make_store(path, n_documents, d_in)
                stores[f"{n_documents:,} × {d_in:,}"] = path
        for name, path in stores.items():
            report(name, measure(path, arguments.moves))


if __name__ == "__main__":
    main()
