"""Another build is served while sessions are at work: each answer is of one build, and the next page of the new one."""

import asyncio
import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard import data, frame
from sae import schema
from sae.storage.arrays import write_table
from tests.benchmarks.streamlit_client import ROOT, Session, serving
from tests.dashboard.search_app import Open, address, page, shown_titles, top
from tests.sae import hostile

__all__ = ["page"]  # a fixture
MARK = "of the second build"
READERS, MOVES = 10, 4


def marked(path: Path, name: str) -> None:
    """Say in a column of texts which build it is of."""
    table = pq.read_table(path)
    field = table.schema.field(name)
    texts = pa.array([text and f"{text} {MARK}" for text in table.column(name).to_pylist()], field.type)
    groups = schema.DOCUMENTS_A_GROUP if path.name == schema.DOCUMENTS else None
    write_table(path, table.set_column(table.column_names.index(name), field, texts), groups)


@pytest.fixture
def builds(tiny_store: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two builds in one folder, the first served; titles and labels of the second say so."""
    first = hostile.small_store(tiny_store, tmp_path / "store")
    second = first.with_name("second")
    shutil.copytree(first, second)
    marked(second / hostile.CORPUS / schema.DOCUMENTS, "title")
    for sae in (second / hostile.CORPUS).glob("SAE*"):
        marked(sae / schema.FEATURES, "label")
    hostile.edit(second, lambda raw: raw.update(build=second.name))
    hostile.seal(second)
    return first, second


def serve(build: Path) -> None:
    fresh = build.parent / f"fresh{threading.get_ident()}"
    fresh.write_text(build.name + "\n")
    os.replace(fresh, build.parent.parent / schema.CURRENT)


def test_a_page_is_of_one_build(
    builds: tuple[Path, Path], page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = builds
    documents = data.documents

    def switched(*arguments: Any) -> Any:
        serve(second)
        return documents(*arguments)

    monkeypatch.setattr(data, "documents", switched)  # in the middle of a page
    app = page(first.parent.parent)
    assert shown_titles(app)
    assert MARK not in str(shown_titles(app) + [slider.label for slider in app.select_slider])
    app.run()
    assert all(MARK in text for text in shown_titles(app))


@pytest.mark.parametrize("same_features", [True, False])
def test_edits_stay_where_features_are_the_same(
    same_features: bool, builds: tuple[Path, Path], page: Open
) -> None:
    first, second = builds
    if not same_features:
        weights = second / hostile.ONE / schema.SAE / "zarr.json"
        weights.write_text(json.dumps(json.loads(weights.read_text()), indent=3))  # other bytes are enough
        hostile.seal(second)
    app = page(first.parent.parent)
    slider = app.select_slider[0]
    slider.set_value(top(slider)).run()
    assert "e" in address(app)
    serve(second)
    app.run()
    assert not app.exception
    assert ("e" in address(app)) == same_features


GONE = {
    "corpus": {"like": "7", "e": "99999~1_0~1", "fam": "0~0.5", "mute": "1", "from": "1990-01-01"},
    "documents": {"like": "7"},
    "families": {"fam": "0~0.5"},
    "sae": {"e": "0~1", "fam": "0~0.5", "mute": "1"},
}


@pytest.mark.parametrize("other", GONE)
def test_what_names_something_goes_where_another_bears_its_name(
    other: str, tiny_store: Path, tmp_path: Path, page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Streamlit's tests ask for the titles of what was shown when that is gone; a browser does not.
    monkeypatch.setattr(frame, "_corpus_title", str)
    monkeypatch.setattr(frame, "_sae_title", lambda _, name: name)
    first = hostile.small_store(tiny_store, tmp_path / "store")
    second = Path(shutil.copytree(first, first.with_name("second")))
    corpus = second / hostile.CORPUS
    facts = json.loads((second / schema.MANIFEST).read_text())["corpora"][hostile.CORPUS]
    kept, sae = {hostile.CORPUS: facts}, next(iter(facts["saes"]))
    if other == "corpus":
        corpus.rename(second / "another")
        kept = {"another": facts}
    elif other == "sae":
        shutil.rmtree(corpus / sae)
        kept[hostile.CORPUS] = facts | {"saes": {k: v for k, v in facts["saes"].items() if k != sae}}
    elif other == "families":
        path = corpus / sae / schema.FAMILIES
        write_table(path, pq.read_table(path), rows_per_group=2)  # other bytes are enough
    else:
        marked(corpus / schema.DOCUMENTS, "title")
    hostile.edit(second, lambda raw: raw.update(build=second.name, corpora=kept))
    hostile.seal(second)
    link = GONE["corpus"]
    app = page(first.parent.parent, corpus=hostile.CORPUS, sae=sae, **link)
    app.session_state["edits"][99999] = 1.0  # of a feature that the other model has not
    app.button(key="more-like-0").click().run()
    before = address(app)
    assert before.keys() >= link.keys()
    serve(second)
    shutil.rmtree(first)
    app.run()
    assert not app.exception
    assert before.keys() - address(app).keys() == GONE[other].keys()
    assert ("suggested" in app.session_state) == ("like" in address(app))


async def _reader(port: int, number: int, switch: Callable[[], None]) -> list[str]:
    """What went wrong for one reader: errors, and answers that are of two builds."""
    async with Session(port) as session:
        await session.open()
        for move in range(MOVES):
            switch()
            if move % 2:
                await session.open()
            else:
                assert session.all("slider"), (session.errors, session.texts())
                await session.slide(session.all("slider")[0], 0.1 + number / 20)
            said = "".join(session.texts())
            titles = re.findall(r'class="sx-title"[^>]*>(.*?)</(?:a|span)>', said)
            labels = [slider.slider.label for slider in session.all("slider")]
            of = {MARK in text for text in titles + labels}
            if len(of) != 1 or not titles or not labels:
                session.errors.append(f"{sum(MARK in t for t in titles)} of {titles}, {labels}")
        return session.errors


def test_ten_sessions_while_builds_are_switched(builds: tuple[Path, Path]) -> None:
    served = [0]

    def switch() -> None:
        served[0] += 1
        serve(builds[served[0] % 2])

    async def together(port: int) -> list[list[str]]:
        return await asyncio.gather(*(_reader(port, number, switch) for number in range(READERS)))

    with (
        serving(ROOT / "dashboard" / "Home.py", builds[0].parent.parent) as (port, _),
        ThreadPoolExecutor(1) as own,
    ):
        errors = own.submit(asyncio.run, together(port)).result()
    assert errors == [[]] * READERS
    assert served[0] == READERS * MOVES
