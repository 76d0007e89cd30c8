"""A store whose every text is hostile, in Chromium: each page shows it, and no request leaves for another host."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser

from sae import schema
from sae.arrays import write_table
from tests.browser.conftest import ROOT
from tests.dashboard.test_text import HOSTILE
from tests.sae import hostile

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.slow]

FREE = {  # columns of text that is only shown; the others name things of the store
    "doc_id", "title", "text", "url", "authors", "categories", "label", "candidates", "query", "reason", "detail",
    "topic", "category",
}  # fmt: skip
FIRST = '<img src="http://192.0.2.1/x.png" onerror="alert(1)">![x](http://192.0.2.1/y.png)'
TEXTS = [FIRST, *[text for text in HOSTILE if text.strip()]]
VIEWS = ("", "features", "families", "splitting", "domains", "training", "evaluation", "about")


def poison(build: Path) -> None:
    """Put a hostile text wherever a store holds free text, within the limits, and seal it."""
    for path in build.rglob("*.parquet"):
        table = pq.read_table(path)
        for at, field in enumerate(table.schema):
            if field.name in FREE and (pa.types.is_string(field.type) or pa.types.is_list(field.type)):
                texts = [TEXTS[(row + at) % len(TEXTS)][:400] for row in range(len(table))]
                of_lists = pa.types.is_list(field.type)
                column = pa.array([[text] for text in texts] if of_lists else texts, field.type)
                table = table.set_column(at, field, column)
        groups = schema.DOCUMENTS_A_GROUP if path.name == schema.DOCUMENTS else None
        write_table(path, table, groups)
    manifest = build / schema.MANIFEST
    raw = json.loads(manifest.read_text())

    def poisoned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poisoned(inner) for key, inner in value.items()}
        return FIRST if isinstance(value, str) else value

    for name in ("title", "created"):
        raw[name] = FIRST
    raw["config"] = {**poisoned(raw["config"]), "maker": FIRST}
    raw["provenance"] = poisoned(raw["provenance"])
    for facts in raw["corpora"].values():
        facts.update({key: poisoned(value) for key, value in facts.items() if key != "saes"})
    raw["stages"] = [{"name": FIRST, "for": FIRST, "seconds": 1} for _ in range(3)]
    manifest.write_text(json.dumps(raw), encoding="utf-8")
    hostile.seal(build)


@pytest.fixture(scope="module")
def url(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("poisoned")
    poison(hostile.small_store(tiny_store, root))
    port = 8000 + os.getpid() % 20_000
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "dashboard/Home.py", f"--server.port={port}"],
        cwd=ROOT,
        env={**os.environ, "ARTIFACTS": str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2)
                break
            except OSError:
                assert process.poll() is None
                process_wait(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(10)


def process_wait(seconds: float) -> None:
    import time

    time.sleep(seconds)


def test_pages_show_it_and_ask_nobody(url: str, browser: Browser) -> None:
    page = browser.new_page()
    foreign: list[str] = []
    dialogs: list[str] = []
    own = (url, url.replace("http", "ws", 1), "data:", "blob:", "about:")
    page.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for view in VIEWS:
        page.goto(url + view)
        page.wait_for_function(
            """() => {
                const app = document.querySelector('[data-testid=stApp]')
                const drawn = document.querySelector('.stMain [data-testid=stElementContainer]')
                return app && app.dataset.testScriptState === 'notRunning' && drawn
            }""",
            timeout=90_000,
        )
        page.wait_for_timeout(1000)
        assert not page.locator("[data-testid=stException]").count(), view
        built = page.locator('.stMain img[src^="http://192"], .stMain [onerror]').count()
        scripts = page.locator(".stMain script").all_text_contents()
        built += sum("window.sextantScript" not in script for script in scripts)  # all but the pages' own
        assert not built, view
    page.close()
    assert not foreign
    assert not dialogs
