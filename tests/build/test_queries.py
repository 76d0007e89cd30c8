"""Example queries and shared phrases of a corpus."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from build import phrases, queries
from sae import schema


def work_on(folder: Path, titles: list[str], examples: tuple[str, ...] = ()) -> Any:
    folder.mkdir(exist_ok=True)
    rows = np.random.default_rng(0).normal(size=(len(titles), 384))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.save(folder / schema.EMBEDDINGS, rows.astype(np.float16))
    texts = [f"text {i}" for i in range(len(titles))]
    pq.write_table(pa.table({"title": titles, "text": texts}), folder / schema.DOCUMENTS)
    config = SimpleNamespace(embedder={"kind": "minilm"}, seed=0)
    target = SimpleNamespace(config=config, corpus=SimpleNamespace(examples=examples, name="mine"))
    return SimpleNamespace(
        target=target, out=folder, input=lambda *_, **__: folder, progress=lambda *_: None, say=print
    )


def test_no_query_is_offered_twice(tmp_path: Path) -> None:
    doubled = ["Notes on the making of bread"] * 20 + [
        "NOTES ON THE MAKING OF BREAD",
        "A study of two galaxies",
    ]
    for work in (work_on(tmp_path, doubled), work_on(tmp_path, doubled, ("bread", "galaxies", "bread"))):
        queries.run(work)
        offered = pq.read_table(tmp_path / schema.QUERIES)["query"].to_pylist()
        assert len({query.casefold() for query in offered}) == len(offered) == 2


def test_phrases_are_made_once_and_two_corpora_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(
        phrases, "prepare_phrases", lambda texts, *_, **__: made.append(len(texts)) or object()
    )
    monkeypatch.setattr(phrases, "_made", {})
    works = [work_on(tmp_path / str(i), ["title"] * (i + 1)) for i in range(3)]
    first = phrases.corpus_phrases(works[0])
    assert phrases.corpus_phrases(works[0]) is first
    for work in works:
        phrases.corpus_phrases(work)
    assert made == [1, 2, 3]
    assert len(phrases._made) == 2
    assert phrases.corpus_phrases(works[0]) is not first
