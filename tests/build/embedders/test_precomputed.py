"""Vectors of one's own: read, matched, and refused with the row that is wrong."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from build.embedders import embed_corpus, make_embedder
from sae.errors import UserError

N, D_IN = 9000, 6  # more than a block
ROWS = np.random.default_rng(0).normal(size=(N, D_IN)).astype(np.float32)
UNIT = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
IDS = [f"doc-{i}" for i in range(N)]
TEXTS = [f"text {i}" for i in range(N)]


def saved(folder: Path, rows: np.ndarray, kind: str) -> Path:
    path = folder / f"vectors.{kind}"
    if kind == "npy":
        np.save(path, rows)
    else:
        pq.write_table(pa.table({"id": IDS[: len(rows)], "vector": pa.array(list(rows))}), path)
    return path


def rows_of(path: Path, tmp_path: Path, n: int = N, **options: Any) -> np.ndarray:
    embedder = make_embedder({"kind": "precomputed", "path": str(path), **options})
    return embed_corpus(embedder, TEXTS[:n], tmp_path / "cache.sqlite", doc_ids=IDS[:n])


@pytest.mark.parametrize("kind", ["npy", "parquet"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_are_read_and_scaled(tmp_path: Path, kind: str, dtype: type) -> None:
    found = rows_of(saved(tmp_path, ROWS.astype(dtype), kind), tmp_path)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, UNIT, atol=2e-3 if dtype is np.float16 else 1e-6)


def test_parquet_is_matched_by_id(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(N)
    table = pa.table({"id": [IDS[i] for i in order], "vector": pa.array(list(ROWS[order]))})
    pq.write_table(table, tmp_path / "v.parquet")
    found = rows_of(tmp_path / "v.parquet", tmp_path, n=50, id_column="id")
    np.testing.assert_allclose(found, UNIT[:50], atol=1e-6)


def test_a_document_without_vector_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, ROWS[:40], "parquet")
    with pytest.raises(UserError, match=r"lacks vectors for 10 of 50 documents, the first of them 'doc-40'"):
        rows_of(path, tmp_path, n=50, id_column="id")


def test_a_document_with_two_vectors_is_refused(tmp_path: Path) -> None:
    table = pa.table({"id": ["doc-0", "doc-0"], "vector": pa.array(list(ROWS[:2]))})
    pq.write_table(table, tmp_path / "v.parquet")
    with pytest.raises(UserError, match="twice"):
        rows_of(tmp_path / "v.parquet", tmp_path, n=1, id_column="id")


@pytest.mark.parametrize("kind", ["npy", "parquet"])
@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "all zeros")]
)
def test_the_first_bad_row_is_named(tmp_path: Path, kind: str, value: float, message: str) -> None:
    rows = ROWS.copy()
    rows[8500:8600] = value
    with pytest.raises(UserError, match=f"row 8,500: .*{message}"):
        rows_of(saved(tmp_path, rows, kind), tmp_path)


def test_the_count_must_fit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="9,000 vectors for 10 documents"):
        rows_of(saved(tmp_path, ROWS, "npy"), tmp_path, n=10)


@pytest.mark.parametrize("bad", [[1.0, 2.0], None, []])
def test_ragged_and_missing_lists_are_refused(tmp_path: Path, bad: list[float] | None) -> None:
    pq.write_table(pa.table({"v": [[1.0, 2.0, 3.0], bad]}), tmp_path / "v.parquet")
    with pytest.raises(UserError, match="row 1: "):
        rows_of(tmp_path / "v.parquet", tmp_path, n=2)


def test_missing_numbers_inside_a_list_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": [[1.0, 2.0], [1.0, None]]}), tmp_path / "v.parquet")
    with pytest.raises(UserError, match=r"row 1: .*not finite"):
        rows_of(tmp_path / "v.parquet", tmp_path, n=2)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x93NUMPY broken"])
@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_an_unreadable_file_is_told(tmp_path: Path, kind: str, content: bytes) -> None:
    (tmp_path / f"v.{kind}").write_bytes(content)
    with pytest.raises(UserError, match=r"readable|npy"):
        rows_of(tmp_path / f"v.{kind}", tmp_path)


def test_pickles_and_wrong_shapes_are_refused(tmp_path: Path) -> None:
    for array in (np.array([{"a": 1}]), np.zeros(5), np.zeros((0, 4)), np.array([["a", "b"]])):
        np.save(tmp_path / "v.npy", array, allow_pickle=True)
        with pytest.raises(UserError):
            rows_of(tmp_path / "v.npy", tmp_path)


def test_columns_are_chosen_or_asked_for(tmp_path: Path) -> None:
    two = pa.table({"a": [[1.0, 0.0]], "b": [[0.0, 1.0]], "n": [1]})
    pq.write_table(two, tmp_path / "v.parquet")
    with pytest.raises(UserError, match="2 columns of lists"):
        rows_of(tmp_path / "v.parquet", tmp_path, n=1)
    with pytest.raises(UserError, match="no column 'c'"):
        rows_of(tmp_path / "v.parquet", tmp_path, n=1, column="c")
    with pytest.raises(UserError, match="not a list of numbers"):
        rows_of(tmp_path / "v.parquet", tmp_path, n=1, column="n")
    assert rows_of(tmp_path / "v.parquet", tmp_path, n=1, column="b").tolist() == [[0.0, 1.0]]


def test_texts_are_documents_only_when_they_say_so(tmp_path: Path) -> None:
    """As many labels as the file has rows are still labels."""
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(3, 384)))
    spec: dict[str, Any] = {"kind": "precomputed", "path": str(tmp_path / "v.npy")}
    labels, cache = ["one label", "two labels", "three labels"], tmp_path / "cache.sqlite"
    with pytest.raises(UserError, match="name the model"):
        embed_corpus(make_embedder(spec), labels, cache)
    with_model = make_embedder(spec | {"query": {"kind": "minilm"}})
    found = embed_corpus(with_model, labels, cache)
    np.testing.assert_allclose(found, make_embedder({"kind": "minilm"}).embed(labels), atol=1e-3)
    assert with_model.can_embed_texts
    assert not make_embedder(spec).can_embed_texts


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    digest = hashlib.file_digest

    def counting(file: Any, name: str) -> Any:
        hashed.append(1)
        return digest(file, name)

    monkeypatch.setattr("build.embedders.precomputed.hashlib.file_digest", counting)
    spec = {"kind": "precomputed", "path": str(saved(tmp_path, ROWS[:10], "npy"))}
    names = {make_embedder(spec).name for _ in range(5)}
    assert (len(names), len(hashed)) == (1, 1)
    saved(tmp_path, ROWS[:11], "npy")
    assert make_embedder(spec).name not in names
    assert len(hashed) == 2


def test_other_texts_need_the_model_that_made_the_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(5, 384)))
    spec: dict[str, Any] = {"kind": "precomputed", "path": str(tmp_path / "v.npy")}
    with pytest.raises(UserError, match="name the model"):
        make_embedder(spec).embed(["a phrase"])
    with_model = make_embedder(spec | {"query": {"kind": "minilm"}})
    assert embed_corpus(with_model, ["a phrase"], tmp_path / "cache.sqlite").shape == (1, 384)
    np.save(tmp_path / "v.npy", ROWS)
    with pytest.raises(UserError, match="6 numbers"):
        make_embedder(spec | {"query": {"kind": "minilm"}})
