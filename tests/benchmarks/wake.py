"""From sleep to the first page: the server's process is started cold, and Chromium waits for results.

    python tests/benchmarks/wake.py STORE [--times 5]

Before each start the system is told to forget every file that it has read, which takes root; else the times are
those of a start with files in memory, and the output says so. The browser is running already, as a visitor's is, but
opens a session without a cache.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.benchmarks.streamlit_client import ROOT, memory, serving
from tests.browser.conftest import CHROMIUM

RESULT = ".sx-card .sx-title"


def forget_files() -> bool:
    """Empty the page cache; whether that was allowed."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
    except OSError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", help="an artifacts folder or a bundle")
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    answered, shown = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        browser.new_page().goto("about:blank")
        for number in range(arguments.times):
            cold = forget_files()
            started = time.perf_counter()
            with serving(ROOT / "dashboard" / "Home.py", arguments.store) as (port, pid):
                answered.append(time.perf_counter() - started)
                context = browser.new_context()
                page = context.new_page()
                page.goto(f"http://127.0.0.1:{port}/")
                page.wait_for_selector(RESULT, timeout=60_000)
                shown.append(time.perf_counter() - started)
                print(
                    f"{number + 1}: server answers after {answered[-1]:.1f} s, results after {shown[-1]:.1f} s"
                    f"{'' if cold else ' (files were in memory)'}, {memory(pid)['resident']:.0f} MB",
                    flush=True,
                )
                context.close()
        browser.close()
    print(
        f"median: answers after {statistics.median(answered):.1f} s, results {statistics.median(shown):.1f} s"
    )


if __name__ == "__main__":
    main()
