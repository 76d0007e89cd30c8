"""What the tests of the search page share: opening and reading the page, stores to break."""

import html
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import SelectSlider

from sae.schema import CURRENT, MANIFEST
from sae.store import Corpus, open_store

ROOT = Path(__file__).parent.parent.parent
HOME = str(ROOT / "dashboard" / "Home.py")
CORPUS = "planted"

Open = Callable[..., AppTest]


@pytest.fixture
def page(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the search page, on another store or with an address where given."""
    return opener(tiny_store, monkeypatch)


def opener(usual: Path, monkeypatch: pytest.MonkeyPatch, view: str = "") -> Open:
    """A function that opens a page of the dashboard, the search where no view is named."""

    def run(store: Path = usual, **link: str) -> AppTest:
        monkeypatch.setenv("ARTIFACTS", str(store))
        app = AppTest.from_file(HOME, default_timeout=60)
        if view:
            app.switch_page(f"views/{view}.py")
        for name, value in link.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, [e.value for e in app.exception]
        return app

    return run


@pytest.fixture
def corpus(tiny_store: Path) -> Corpus:
    return open_store(tiny_store).corpus(CORPUS)


@pytest.fixture
def copy(tiny_store: Path, tmp_path: Path) -> Path:
    """A store of one's own, to break."""
    return Path(shutil.copytree(tiny_store, tmp_path / "store", symlinks=True))


def build_of(store: Path) -> Path:
    return store / "builds" / (store / CURRENT).read_text().strip()


def edit_manifest(build: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads((build / MANIFEST).read_text())
    change(manifest)
    manifest.pop("checksum", None)  # its own, no longer right
    (build / MANIFEST).unlink()  # the copy may share bytes with the original
    (build / MANIFEST).write_text(json.dumps(manifest))


def without_encoder(store: Path) -> Path:
    """The store as it is when the documents were embedded by a model that is not there."""
    build = build_of(store)
    shutil.rmtree(build / "query_encoder", ignore_errors=True)

    def forget(manifest: dict) -> None:
        manifest["files"] = {k: v for k, v in manifest["files"].items() if not k.startswith("query_encoder/")}

    edit_manifest(build, forget)
    return store


def shown_titles(app: AppTest) -> list[str]:
    """Titles of the result cards, in order."""
    pieces = [element.proto.body for element in app.get("html")]
    found = [re.search(r'class="sx-title"[^>]*>(.*?)</(?:a|span)>', piece) for piece in pieces]
    return [html.unescape(match.group(1)) for match in found if match]


def plain_titles(corpus: Corpus, vector: np.ndarray, n: int = 10) -> list[str]:
    """What cosine alone finds, with nothing of ours in between."""
    rows = np.asarray(corpus.embeddings, dtype=np.float64)
    scores = (rows @ vector / np.linalg.norm(rows, axis=1) / np.linalg.norm(vector)).astype(np.float32)
    titles = corpus.column("title").to_pylist()
    return [titles[i] for i in np.argsort(-scores, kind="stable")[:n]]


def address(app: AppTest) -> dict[str, str]:
    """Parameters in the address bar."""
    found = {name: app.query_params[name] for name in app.query_params}
    return {name: value if isinstance(value, str) else value[0] for name, value in found.items()}


def fidelity(app: AppTest) -> float:
    text = next(m.value for m in app.markdown if m.value.startswith("Fidelity"))
    return float(re.search(r"\*\*([\d.−]+)\*\*", text).group(1).replace("−", "-"))  # type: ignore[union-attr]


def top(slider: SelectSlider) -> float:
    """The value at a slider's right end."""
    return float(slider.options[-1])


def bottom(slider: SelectSlider) -> float:
    """The value at a slider's left end."""
    return -float(slider.options[0].lstrip("-−"))
