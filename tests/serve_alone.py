"""Serve the store in ARTIFACTS with what dashboard/requirements.txt installs, and nothing else.

A plain script, since pytest is not among those requirements: every page is run once, and what must never be
imported in the server is looked for.
"""

import importlib.util
import resource
import sys
from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parent.parent
LARGEST = 500  # MB; the first page alone stays under 350
FORBIDDEN = ("torch", "scipy", "sklearn", "openai", "numba")


def main() -> None:
    sys.path.insert(0, str(ROOT))
    for name in FORBIDDEN:
        assert importlib.util.find_spec(name) is None, f"{name} is installed; this run proves nothing"
    for view in sorted((ROOT / "dashboard" / "views").glob("*.py")):
        if view.stem == "__init__":
            continue
        page = AppTest.from_file(str(ROOT / "dashboard" / "Home.py"), default_timeout=60)
        page.run()
        page.switch_page(f"views/{view.name}").run()
        assert not page.exception, f"{view.name}: {[e.value for e in page.exception]}"
        assert not page.warning, f"{view.name}: {[w.value for w in page.warning]}"
        if view.stem == "search":
            steer(page)
        print(f"{view.stem}: {len(page.main)} elements, no exception")
    assert peak() < LARGEST, f"{peak():.0f} MB after every page; the smallest hosts give 690"
    loaded = [name for name in FORBIDDEN if name in sys.modules]
    assert not loaded, f"the server imported {loaded}"
    print(f"Python {sys.version.split()[0]}: every page runs, peak memory {peak():.0f} MB")


def steer(page: AppTest) -> None:
    """Ask a query of one's own, push a concept up, and see the results change."""
    assert page.select_slider, "the search page shows no slider: an example is to be answered when it opens"
    page.text_input[0].set_value("how to read a file line by line").run()
    assert not page.exception, [e.value for e in page.exception]
    before = titles(page)
    slider = page.select_slider[0]
    slider.set_value(float(slider.options[-1])).run()
    assert not page.exception, [e.value for e in page.exception]
    assert before, "no results"
    assert titles(page), "no results after a concept was pushed"
    assert titles(page) != before, "pushing a concept moved nothing"


def titles(page: AppTest) -> list[str]:
    """The cards of the results, as HTML."""
    return [str(e.proto.body) for e in page.get("html") if "sx-card" in str(e.proto.body)]


def peak() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
