"""Kept sums of columns: a move adds what changed and nothing else, and a long drag loses nothing."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.random import default_rng

from sae.compiled import column_sums
from sae.compiled.column_sums import Sums
from sae.steer import Steered, cosine
from tests.sae.test_search import clustered, make_searcher


def steered(query: np.ndarray, directions: np.ndarray, amounts: dict[int, float]) -> Steered:
    vector = query + sum(amount * directions[i] for i, amount in amounts.items())
    vector = np.asarray(vector, np.float32)
    along = [directions[i] for i in amounts]
    return Steered(vector, cosine(query, vector), query, along, list(amounts.values()))


def test_a_move_adds_only_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = default_rng(0)
    embeddings = clustered(rng, 3000, 48)
    searcher, query = make_searcher(embeddings), embeddings[7].astype(np.float32)
    directions = rng.normal(size=(8, 48)).astype(np.float32)
    amounts = dict.fromkeys(range(8), 0.05)
    searcher.search_steered(steered(query, directions, amounts))
    added: list[int] = []
    add = column_sums._add
    monkeypatch.setattr(
        column_sums,
        "_add",
        lambda scores, columns, shares: added.append(len(columns)) or add(scores, columns, shares),
    )
    monkeypatch.setattr(searcher, "_pass", None)  # no matrix is read
    for amounts[3] in (0.1, 0.2, -0.4):
        searcher.search_steered(steered(query, directions, amounts))
    amounts[6] = 0.3  # another slider
    searcher.search_steered(steered(query, directions, amounts))
    searcher.search_steered(steered(query, directions, {}))  # the plain query, as the page asks between moves
    del amounts[1]  # an edit taken back
    searcher.search_steered(steered(query, directions, amounts))
    assert [n for n in added if n] == [1] * 5


def test_a_long_drag_equals_a_full_search() -> None:
    rng = default_rng(1)
    embeddings = clustered(rng, 2000, 32)
    searcher, query = make_searcher(embeddings), embeddings[3].astype(np.float32)
    directions = rng.normal(size=(4, 32)).astype(np.float32)
    amounts = dict.fromkeys(range(4), 0.1)
    for step in range(700):
        far = 50.0 if step % 90 == 0 else 0.3
        amounts[int(rng.integers(4))] = float(rng.normal() * far)
        asked = steered(query, directions, amounts)
        rows, scores = searcher.search_steered(asked, n=10)
        expected, expected_scores = searcher.search(asked.vector, n=10)
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(scores, expected_scores)
    for amounts_back in ({0: 0.1, 1: 0.1, 2: 0.1, 3: 0.1}, {}):
        asked = steered(query, directions, amounts_back)
        np.testing.assert_array_equal(
            searcher.search_steered(asked)[0], make_searcher(embeddings).search(asked.vector)[0]
        )


def test_the_same_direction_twice_counts_twice() -> None:
    rng = default_rng(2)
    embeddings = clustered(rng, 500, 24)
    searcher, query = make_searcher(embeddings), embeddings[0].astype(np.float32)
    along = rng.normal(size=24).astype(np.float32)
    vector = (query + 0.5 * along).astype(np.float32)
    asked = Steered(vector, cosine(query, vector), query, [along, along], [0.2, 0.3])
    np.testing.assert_array_equal(searcher.search_steered(asked)[0], searcher.search(vector)[0])


def test_a_column_that_another_session_pushes_out_meanwhile() -> None:
    columns = {name: np.full(5, value, np.float32) for name, value in ((b"a", 1.0), (b"b", 2.0), (b"c", 4.0))}
    sums, held = Sums(), dict(columns)
    sums.of(dict.fromkeys(columns, 1.0), 7.0, columns.__getitem__)

    def column(name: bytes) -> np.ndarray | None:
        return held.pop(name, None) if name == b"c" else held[name]

    found = sums.of({b"a": 1.0, b"b": 1.0}, 3.0, column)
    np.testing.assert_array_equal(found.scores, np.full(5, 3.0, np.float32))


def test_hands_that_share_a_query_do_not_disturb_each_other() -> None:
    rng = default_rng(3)
    embeddings = clustered(rng, 4000, 24)
    searcher, query = make_searcher(embeddings), embeddings[5].astype(np.float32)
    directions = rng.normal(size=(3, 24)).astype(np.float32)

    def hand(seed: int) -> bool:
        mine = default_rng(seed)
        for _ in range(60):
            asked = steered(query, directions, {i: float(mine.normal()) for i in range(3)})
            if not np.array_equal(searcher.search_steered(asked)[0], searcher.search(asked.vector)[0]):
                return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(hand, range(6)))
