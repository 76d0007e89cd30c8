"""From a link to a family, or a click on it in the map, to its graph on the screen, in Chromium.

    python tests/benchmarks/family_page.py STORE [--features 500] [--times 5]

The family with most documents, in the first corpus' largest SAE, is given that many features (the most often active
ones, on four levels) in a copy of the store's files; the rest of the build is linked. The server is warm, the browser
has its files. Times are to the first paint of the graph's own document, in a window that shows it.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
from playwright.sync_api import Frame, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))

from sae import schema
from sae.storage.arrays import write_table
from sae.storage.structure_store import FamilyReader
from sae.store import open_store
from sae.structure.families import Family
from sae.structure.layout import family_layout
from tests.benchmarks.streamlit_client import ROOT, serving
from tests.browser.conftest import CHROMIUM
from tests.sae.hostile import seal

MAP = ".st-key-families-overview [data-testid=stVegaLiteChart] svg"
PAINTED = """() => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0]
    return typeof order !== "undefined" && document.querySelector("#said")?.textContent && paint
        ? [order.length, performance.timeOrigin + paint.startTime] : null
}"""


def enlarged(store: Path, out: Path, n_features: int) -> tuple[dict[str, str], dict[str, str]]:
    """Write ``out``; returns the addresses of the family made large and of one of ten features or fewer."""
    name = (store / schema.CURRENT).read_text(encoding="utf-8").strip()
    build = out / schema.BUILDS / name
    shutil.copytree(store / schema.BUILDS / name, build, copy_function=os.link)
    (out / schema.CURRENT).write_text(name + "\n", encoding="utf-8")
    corpus_name = open_store(store).corpora[0]
    corpus = open_store(store).corpus(corpus_name)
    sae_name = max(corpus.saes, key=lambda each: corpus.sae(each).n_latents)
    sae = corpus.sae(sae_name)
    reader = FamilyReader(sae)
    scores, members = reader.scores().to_pylist(), reader.members().to_pylist()
    largest = max(scores, key=lambda row: row["n_documents"])
    active = sae.features(["n_active"])["n_active"].to_numpy()
    family = tree(np.argsort(-active, kind="stable")[: min(n_features, int((active > 0).sum()))])
    x, y = family_layout(family)
    family_id = largest["family_id"]
    rows = [row for row in members if row["family_id"] != family_id]
    for at, feature in enumerate(family.features.tolist()):
        above = int(family.parents[at])
        row = {"family_id": family_id, "feature_id": feature, "depth": int(family.depths[at]),
               "x": float(x[at]), "y": float(y[at]), "parent": None if above < 0 else above}  # fmt: skip
        if above >= 0:
            row |= {"count": 5, "share": 0.3, "similarity": 0.2, "count_with_parent": 5}
        rows.append(row)
    largest |= {"feature_id": family.parent, "size": len(family), "depth": 3}
    folder = build / corpus_name / sae_name
    for file, values, columns in ((schema.FAMILIES, rows, schema.FAMILY_COLUMNS),
                                  (schema.FAMILY_SCORES, scores, schema.FAMILY_SCORE_COLUMNS)):  # fmt: skip
        (folder / file).unlink()  # linked
        write_table(folder / file, pa.Table.from_pylist(values, schema=columns), 4096)
    seal(build)
    small = max((row for row in scores if row["size"] <= 10), key=lambda row: row["size"])
    where = {"corpus": corpus_name, "sae": sae_name}
    return tuple(where | {"family": str(row["family_id"])} for row in (largest, small))  # type: ignore[return-value]


def tree(features: np.ndarray) -> Family:
    """A parent, twenty below it, and the others in turn below those and below these."""
    above = [
        -1,
        *[0] * 20,
        *(1 + (at - 21) % 20 if at < 260 else 21 + (at - 260) % 239 for at in range(21, len(features))),
    ]
    below: dict[int, list[int]] = {at: [] for at in range(len(features))}
    for at in range(len(features) - 1, 0, -1):
        below[above[at]].append(at)
    order, depths, waiting = [], [], [(0, 0)]
    while waiting:
        at, depth = waiting.pop()
        order.append(at)
        depths.append(depth)
        waiting += [(child, depth + 1) for child in below[at]]
    parents = np.array([features[above[at]] if at else -1 for at in order])
    return Family(features[order], parents, np.array(depths), 1)


def painted(page: Page, started: float, n_features: int | None) -> float:
    """Seconds from ``started`` (time.time) until a graph, of ``n_features`` where given, was painted."""
    while time.time() < started + 60:
        for frame in page.frames:
            found = _asked(frame)
            if found and found[1] / 1000 > started and n_features in (None, found[0]):
                return found[1] / 1000 - started
        page.wait_for_timeout(30)
    raise TimeoutError("No graph was painted.")


def _asked(frame: Frame) -> list[float] | None:
    try:
        return frame.evaluate(PAINTED) if frame.parent_frame and frame.parent_frame.parent_frame else None
    except Exception:  # a frame that is going away
        return None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path, help="an artifacts folder with families")
    parser.add_argument("--features", type=int, default=500)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    took: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.store.parent) as folder:
        large, small = enlarged(arguments.store, Path(folder), arguments.features)
        with serving(ROOT / "dashboard" / "Home.py", folder) as (port, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_context(viewport={"width": 1600, "height": 1800}).new_page()
            page.goto(f"http://127.0.0.1:{port}/about")
            page.locator("h1").wait_for()
            for number in range(-1, arguments.times):
                for name, address in (("link to a small one", small), ("link to the large one", large)):
                    started = time.time()
                    page.goto(f"http://127.0.0.1:{port}/families?{urlencode(address)}", wait_until="commit")
                    seconds = painted(page, started, None)
                    page.locator(MAP).wait_for()
                    page.wait_for_timeout(1500)
                    if number >= 0:  # the first round warms up
                        took.setdefault(name, []).append(seconds)
                # The tile of the large one is the first: the map begins with most documents.
                page.goto(f"http://127.0.0.1:{port}/families?{urlencode(small)}")
                page.locator(MAP).wait_for()
                page.wait_for_timeout(2500)
                box = page.locator(MAP).bounding_box()
                assert box
                started = time.time()
                page.mouse.click(box["x"] + 20, box["y"] + 90)
                seconds = painted(page, started, arguments.features)
                if number >= 0:
                    took.setdefault("click on the large one", []).append(seconds)
            browser.close()
    for name, runs in took.items():
        print(f"{name}: median {statistics.median(runs):.2f} s, longest {max(runs):.2f} s of {len(runs)}")


if __name__ == "__main__":
    main()
