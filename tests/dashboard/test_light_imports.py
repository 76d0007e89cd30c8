"""The dashboard is served without what only building needs."""

import os
import subprocess
import sys
from pathlib import Path

from tests.dashboard.search_app import HOME, ROOT


def test_serving_imports_nothing_heavy(tiny_store: Path) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({HOME!r}, default_timeout=60).run()\n"
        "assert not app.exception and not app.warning\n"
        "app.text_input(key='query-box').set_value('yeast').run()\n"
        "app.switch_page('views/features.py').run()\n"
        "heavy = ('torch', 'scipy', 'sklearn', 'openai', 'numba', 'transformers', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "ARTIFACTS": str(tiny_store)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stdout
