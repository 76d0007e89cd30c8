"""Test collections: what is read, what is refused and how, and what a model's rankings cost on one."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from build.evaluation.beir import fingerprint, read_collection
from build.evaluation.judged_retrieval import JudgedCollection
from sae.encode import Weights, decode, encode
from sae.errors import UserError
from tests.sae.test_relevance import plain_ndcg, plain_recall

DOCUMENTS = [{"_id": f"d{i}", "title": f"title {i}", "text": f"text {i}"} for i in range(40)]
ASKED = [{"_id": f"q{i}", "text": f"query {i}"} for i in range(8)]


def write(folder: Path, documents: object = None, queries: object = None, qrels: str | None = None) -> Path:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, lines in (("corpus.jsonl", documents or DOCUMENTS), ("queries.jsonl", queries or ASKED)):
        text = lines if isinstance(lines, str) else "\n".join(json.dumps(line) for line in lines)  # type: ignore[attr-defined]
        (folder / name).write_text(text, encoding="utf-8")
    if qrels is None:
        rng = np.random.default_rng(0)
        rows = [f"q{q}\td{d}\t{rng.integers(0, 3)}" for q in range(8) for d in rng.permutation(40)[:6]]
        qrels = "query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n"
    (folder / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    return folder


def test_a_collection_is_read_as_it_stands(tmp_path: Path) -> None:
    documents = [
        *DOCUMENTS,
        {"_id": "empty", "title": "", "text": " "},
        {"_id": "q1", "text": "a query's own"},
    ]
    qrels = "query-id\tcorpus-id\tscore\nq1\td3\t2\nq1\td4\t0\nq1\tnowhere\t1\nq2\tempty\t1\nother\td1\t1\n"
    found = read_collection(write(tmp_path, documents, None, qrels))
    assert found.texts[3] == "title 3\n\ntext 3"
    assert len(found.texts) == 41
    assert found.queries == ["query 1"]
    assert found.judgments == [{3: 2.0, 4: 0.0}]
    assert found.own == [40]
    assert found.left_out == {
        "documents without text": 1,
        "judged documents that are not there": 2,
        "judged queries that are not there": 1,
        "queries without relevant documents": 7,
    }


@pytest.mark.parametrize(
    "qrels",
    [
        "q1\td3\t2\nq1\td4\t1\n",
        "topic\tdocument\tgrade\nq1\td3\t2\nq1\td4\t1\n",
        "query-id\titeration\tcorpus-id\tscore\tassessor\nq1\t0\td3\t2\tann\nq1\t0\td4\t1.0\tben\n",
        "score\tcorpus-id\tquery-id\r\n2\td3\tq1\r\n1\td4\tq1\r\n",
    ],
)
def test_a_heading_tells_the_columns(tmp_path: Path, qrels: str) -> None:
    assert read_collection(write(tmp_path, qrels=qrels)).judgments == [{3: 2.0, 4: 1.0}]


def test_a_line_that_does_not_follow_its_heading_is_named(tmp_path: Path) -> None:
    write(tmp_path, qrels="query-id\tcorpus-id\tscore\tassessor\nq1\td3\t2\tann\nq1\td4\t1\n")
    with pytest.raises(UserError, match=r"test.tsv, line 3, has 3 columns; it must have 4, as its heading"):
        read_collection(tmp_path)


def test_thinning_keeps_what_was_judged(tmp_path: Path) -> None:
    write(tmp_path, qrels="q0\td7\t1\nq1\td9\t1\n")
    found = read_collection(tmp_path, lambda names, judged: judged | {names[0]})
    assert found.texts == ["title 0\n\ntext 0", "title 7\n\ntext 7", "title 9\n\ntext 9"]
    assert found.judgments == [{1: 1.0}, {2: 1.0}]


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    first = fingerprint(write(tmp_path))
    assert fingerprint(tmp_path) == first
    write(tmp_path, qrels="q0\td1\t1\n")
    assert fingerprint(tmp_path) != first


HOSTILE: list[tuple[dict[str, object], str]] = [
    ({"documents": "not json"}, r"corpus.jsonl, line 1, is not JSON"),
    ({"documents": "[" * 100_000}, r"corpus.jsonl, line 1, is not JSON"),
    ({"documents": "[1, 2]"}, r"line 1, is a list"),
    ({"documents": "\n\n"}, r"holds no line"),
    ({"documents": '{"_id": "a"}'}, r"line 1: text is missing"),
    ({"documents": '{"_id": "a", "text": {"b": 1}}'}, r"text is an object"),
    ({"documents": '{"_id": "a", "text": "x", "title": 3}'}, r"title is 3"),
    ({"documents": '{"_id": true, "text": "x"}'}, r"_id is true or false"),
    ({"documents": '{"_id": "", "text": "x"}'}, r"_id of 0 characters"),
    ({"documents": '{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}'}, r"line 2, has the _id 'a' again"),
    ({"queries": '{"_id": "q0", "text": NaN}'}, r"queries.jsonl, line 1: text is nan"),
    ({"qrels": "q0 d1 1\n"}, r"test.tsv, line 1, has 1 columns"),
    ({"qrels": "q0\t0\td1\t1\n"}, r"has 4 columns"),
    ({"qrels": "query-id\tcorpus-id\tscore\nq0\td1\tmuch\n"}, r"line 2: the score is 'much'"),
    ({"qrels": "q0\td1\t1\nq0\td2\tinf\n"}, r"line 2: the score is 'inf'"),
    ({"qrels": "query-id\tcorpus-id\tscore\n"}, r"holds no judgment"),
    ({"qrels": "q0\td1\t0\n"}, r"No query in .* has a relevant document"),
    ({"qrels": "x\ty\t1\n"}, r"No query in .* has a relevant document"),
]


@pytest.mark.parametrize(("files", "told"), HOSTILE)
def test_what_is_not_the_format_gets_one_sentence(
    tmp_path: Path, files: dict[str, object], told: str
) -> None:
    with pytest.raises(UserError, match=told) as error:
        read_collection(write(tmp_path, **files))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + 3 * len(str(tmp_path))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: (f / "corpus.jsonl").unlink(),
        lambda f: (f / "qrels" / "test.tsv").unlink(),
        lambda f: (f / "queries.jsonl").write_bytes(b'{"_id": "a", "text": "\xff"}'),
        lambda f: (f / "corpus.jsonl").write_bytes(b'{"_id": "a", "text": "' + b"x" * (5 << 20) + b'"}'),
        lambda f: ((f / "qrels" / "test.tsv").rename(f / "qrels" / "a.tsv"), (f / "qrels" / "b.tsv").touch()),
    ],
)
def test_files_that_are_missing_broken_or_many(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    spoil(write(tmp_path))
    with pytest.raises(UserError, match=r"There is no|not UTF-8|longer than|call the one to use"):
        fingerprint(tmp_path), read_collection(tmp_path)


def _embed(texts: list[str]) -> np.ndarray:
    """A vector for each text, near for those with the same number."""
    rows = []
    for text in texts:
        number = int(text.split()[-1])
        rng, own = np.random.default_rng(number % 10), np.random.default_rng(zlib.crc32(text.encode()))
        rows.append(rng.normal(size=16) + 0.3 * own.normal(size=16))
    found = np.asarray(rows, np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_costs_are_those_of_a_plain_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    W_dec = rng.normal(size=(48, 16)).astype(np.float32)
    W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    weights = Weights(W_dec.copy(), W_dec, np.zeros(16, np.float32), np.zeros(48, np.float32),
                      np.zeros(16, np.float32), 0.5, 3)  # fmt: skip
    judged = JudgedCollection(write(tmp_path), _embed, documents=60_000, seed=0)  # type: ignore[arg-type]
    rows = {(row["variant"], row["measure"]): row for row in judged.measure(weights)}
    x, q = judged.x, judged.queries

    def latents(vectors: np.ndarray) -> np.ndarray:
        acts, indices = encode(vectors, weights)
        dense = np.zeros((len(vectors), 48))
        np.put_along_axis(dense, indices.astype(int), acts, 1)
        return dense

    def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
        return a @ b.T / np.maximum(lengths, 1e-12)

    rx, rq = decode(*encode(x, weights), weights), decode(*encode(q, weights), weights)
    scores = {
        "original": cosines(q, x), "query": cosines(rq, x), "query and documents": cosines(rq, rx),
        "sparse": cosines(latents(q), latents(x)),
    }  # fmt: skip
    for variant, table in scores.items():
        rankings = [np.argsort(-np.round(row, 6), kind="stable").tolist() for row in table]
        for measure, count, at in (("ndcg@10", plain_ndcg, 10), ("recall@100", plain_recall, 100)):
            plain = np.mean([count(r, j, at) for r, j in zip(rankings, judged.judgments, strict=True)])
            assert rows[variant, measure]["value"] == pytest.approx(plain, abs=1e-6), (variant, measure)
    assert rows["original", "overlap@10"]["value"] == 1
    assert rows["original", "ndcg@10"]["n"] == 8
