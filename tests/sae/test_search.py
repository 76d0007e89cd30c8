"""The screened search gives what reading every row gives: same documents, same order, ties by row."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator, default_rng

from sae.encode import Weights
from sae.errors import UserError
from sae.search import Searcher, quantise
from sae.steer import steer


def clustered(rng: Generator, n: int, d_in: int, clusters: int = 20) -> np.ndarray:
    """Unit float16 rows with a common mean, clusters and near-duplicates, as text embeddings have."""
    centres = rng.normal(size=(clusters, d_in)) + rng.normal(size=d_in)
    rows = centres[rng.integers(clusters, size=n)] + rng.normal(size=(n, d_in)) * rng.choice([0.01, 0.5, 1.5])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def make_searcher(embeddings: np.ndarray) -> Searcher:
    rows, scales = quantise(embeddings)
    return Searcher(SimpleNamespace(embeddings=embeddings, search_rows=rows, search_scales=scales))


def brute_force(embeddings: np.ndarray, query: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Every cosine in float64, rounded to float32, sorted with equal ones by row."""
    exact = embeddings.astype(np.float64)
    lengths = np.sqrt((exact * exact).sum(axis=1))
    dots = np.array([float((row * query).sum()) for row in exact])
    scores = dots / np.where(lengths > 0, lengths, 1) / (np.linalg.norm(query.astype(np.float64)) or 1)
    order = np.argsort(-scores.astype(np.float32), kind="stable")[:n]
    return order, scores[order].astype(np.float32)


def plain_float32(embeddings: np.ndarray, query: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """What everybody writes: one float32 product with the normalised matrix."""
    exact = embeddings.astype(np.float32)
    scores = exact @ query / np.linalg.norm(exact, axis=1) / np.linalg.norm(query)
    order = np.argsort(-scores, kind="stable")[:n]
    return order, scores[order]


def random_weights(rng: Generator, d_in: int, n_latents: int, k: int) -> Weights:
    decoder = rng.normal(size=(n_latents, d_in)).astype(np.float32)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    return Weights(
        W_enc=decoder.copy(),
        W_dec=decoder,
        pre_bias=rng.normal(size=d_in).astype(np.float32) * 0.1,
        latent_bias=np.zeros(n_latents, np.float32),
        mean=rng.normal(size=d_in).astype(np.float32) * 0.02,
        scale=0.05,
        k=k,
    )


@pytest.mark.parametrize("seed", range(8))
def test_top_100_is_that_of_plain_cosine(seed: int) -> None:
    rng = default_rng(seed)
    embeddings = clustered(rng, 6000, 96)
    searcher = make_searcher(embeddings)
    query = clustered(rng, 1, 96)[0].astype(np.float32)
    rows, scores = searcher.search(query, n=100)
    expected, expected_scores = brute_force(embeddings, query, 100)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(scores, expected_scores)
    plain, plain_scores = plain_float32(embeddings, query, 100)
    np.testing.assert_allclose(scores, plain_scores, atol=1e-6)
    # float32 alone decides nothing between cosines that differ by less than its own rounding.
    differing = rows != plain
    assert np.abs(scores - plain_scores)[differing].max(initial=0) < 1e-6


def test_only_few_rows_are_read_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = default_rng(0)
    embeddings = clustered(rng, 20_000, 384)
    searcher = make_searcher(embeddings)
    read: list[int] = []
    exact = searcher.exact
    monkeypatch.setattr(searcher, "exact", lambda query, rows: read.append(len(rows)) or exact(query, rows))
    searcher.search(rng.normal(size=384).astype(np.float32), n=10)
    assert 10 <= sum(read) < 2000


def test_equal_documents_come_by_row() -> None:
    rng = default_rng(1)
    row = rng.normal(size=32)
    embeddings = np.tile(row, (500, 1)).astype(np.float16)
    embeddings[::7] = -embeddings[::7]
    rows, scores = make_searcher(embeddings).search(row, n=20)
    np.testing.assert_array_equal(rows, [i for i in range(500) if i % 7][:20])
    assert len(set(scores.tolist())) == 1


def test_rows_need_not_be_unit_and_may_be_zero() -> None:
    rng = default_rng(2)
    embeddings = (rng.normal(size=(300, 24)) * rng.choice([1e-3, 1, 100], size=(300, 1))).astype(np.float16)
    embeddings[[3, 77]] = 0
    query = rng.normal(size=24).astype(np.float32)
    rows, scores = make_searcher(embeddings).search(query, n=300)
    expected, expected_scores = brute_force(embeddings, query, 300)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(scores, expected_scores)
    assert scores[list(rows).index(77)] == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_documents=st.integers(1, 400),
    d_in=st.integers(1, 40),
    n=st.integers(0, 450),
    copies=st.integers(0, 50),
    length=st.sampled_from([1e-30, 1e-3, 1.0, 1e4, 1e30]),
    masked=st.booleans(),
)
def test_search_equals_reading_every_row(
    seed: int, n_documents: int, d_in: int, n: int, copies: int, length: float, masked: bool
) -> None:
    rng = default_rng(seed)
    embeddings = clustered(rng, n_documents, d_in, clusters=3)
    embeddings[rng.integers(n_documents, size=copies)] = embeddings[rng.integers(n_documents)]
    query = (rng.normal(size=d_in) * length).astype(np.float32)
    allowed = rng.random(n_documents) < 0.3 if masked else None
    rows, scores = make_searcher(embeddings).search(query, n=n, allowed=allowed)
    expected, expected_scores = brute_force(embeddings, query, n_documents)
    if allowed is not None:
        expected_scores = expected_scores[allowed[expected]]
        expected = expected[allowed[expected]]
    np.testing.assert_array_equal(rows, expected[:n])
    np.testing.assert_allclose(scores, expected_scores[:n], rtol=3e-7, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    values=st.lists(st.floats(-8, 8), max_size=6),
    mode=st.sampled_from(["direct", "reconstruction"]),
)
def test_slider_moves_equal_a_full_search(seed: int, values: list[float], mode: str) -> None:
    rng = default_rng(seed)
    embeddings = clustered(rng, 1500, 48)
    searcher = make_searcher(embeddings)
    weights = random_weights(rng, 48, 64, 6)
    query = embeddings[rng.integers(1500)].astype(np.float32)
    edits: dict[int, float] = {}
    moves = [(int(rng.integers(64)), share * value) for value in values or [0.0] for share in (1.0, 0.7)]
    for feature_id, value in moves:  # one move after another, as a hand would, each in two steps
        edits[feature_id] = value
        steered = steer(query, edits, weights, mode)
        rows, scores = searcher.search_steered(steered, n=25)
        expected, expected_scores = searcher.search(steered.vector, n=25)
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(scores, expected_scores)
        np.testing.assert_array_equal(rows, brute_force(embeddings, steered.vector, 25)[0])


def test_columns_kept_are_bounded_and_do_not_change_results() -> None:
    rng = default_rng(5)
    embeddings = clustered(rng, 800, 32)
    searcher = make_searcher(embeddings)
    searcher._max_columns = 4
    weights = random_weights(rng, 32, 40, 4)
    query = embeddings[0].astype(np.float32)
    steered = steer(query, dict.fromkeys(range(20), 1.0), weights)
    rows, _ = searcher.search_steered(steered, n=15)
    np.testing.assert_array_equal(rows, searcher.search(steered.vector, n=15)[0])
    assert len(searcher._columns) <= 4


def test_columns_of_a_small_corpus_are_few_too() -> None:
    """What grows with every query ends soon, or a server's memory is not level for hours."""
    rng = default_rng(7)
    searcher = make_searcher(clustered(rng, 50, 8))
    for _ in range(100):
        searcher.columns([rng.normal(size=8)])
    assert len(searcher._columns) == 64


def test_coarse_rows_lose_no_more_than_they_say() -> None:
    rng = default_rng(6)
    embeddings = clustered(rng, 700, 60)
    embeddings[5] = 0
    rows, scales = quantise(embeddings)
    assert rows.dtype == np.int8
    assert scales.dtype == np.float32
    exact = embeddings.astype(np.float64)
    unit = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-300)
    lost = np.linalg.norm(unit - rows * scales[:, :1].astype(np.float64), axis=1)
    assert (lost <= scales[:, 1]).all()
    assert scales[:, 1].max() < 0.05
    assert scales[5].tolist() == [0, 0]


@pytest.mark.parametrize("bad", [np.full(8, np.nan), np.full(8, np.inf), np.zeros(7), np.zeros((1, 8))])
def test_a_query_that_cannot_be_searched_is_refused(bad: np.ndarray) -> None:
    searcher = make_searcher(clustered(default_rng(0), 10, 8))
    with pytest.raises(UserError):
        searcher.search(bad)


def test_an_embedding_that_is_not_finite_is_named() -> None:
    embeddings = clustered(default_rng(0), 10, 8)
    embeddings[7, 2] = np.nan
    with pytest.raises(UserError, match="document 7"):
        quantise(embeddings)


def test_an_empty_mask_finds_nothing() -> None:
    searcher = make_searcher(clustered(default_rng(0), 10, 8))
    rows, scores = searcher.search(np.ones(8), allowed=np.zeros(10, bool))
    assert len(rows) == len(scores) == 0
