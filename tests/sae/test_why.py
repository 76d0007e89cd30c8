"""The parts of a score sum to it, and name the features that carry it."""

import numpy as np
import pytest
from numpy.random import default_rng

from sae.encode import Weights, decode, encode
from sae.steer import MODES, cosine, steer
from sae.steering.directions import Direction
from sae.steering.side_effects import side_effects
from sae.why import why
from tests.sae.test_steer import make_query, make_weights

WEIGHTS = make_weights()


def documents(n: int = 30) -> np.ndarray:
    rows = default_rng(5).normal(size=(n, 20)) + 0.5
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float16)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("edits", [{}, {3: 2.0, 20: -1.5, 41: 30.0}])
def test_parts_sum_to_the_cosine(mode: str, edits: dict[int, float]) -> None:
    raised = {3: Direction(3, "family", {3: 1.0, 8: 0.5}, WEIGHTS.W_dec[3] + 0.5 * WEIGHTS.W_dec[8])}
    steered = steer(make_query(), edits, WEIGHTS, mode, raised, [({5: 1.0, 6: 0.3}, 0.4)] if edits else [])
    rows = documents()
    acts, indices = encode(rows.astype(np.float32), WEIGHTS)
    stored = acts.astype(np.float16).astype(np.float32)
    for row, found in zip(
        rows, why(steered.vector, steered.after, rows, stored, indices, WEIGHTS), strict=True
    ):
        expected = cosine(steered.vector, row)
        assert found.cosine == pytest.approx(expected, abs=1e-5)
        assert sum(found.parts.values()) + found.common + found.unexplained == pytest.approx(
            expected, abs=1e-5
        )
        sizes = [abs(part) for part in found.parts.values()]
        assert sizes == sorted(sizes, reverse=True)
        top, others = found.top(3)
        assert len(top) == 3
        assert sum(top.values()) + others == pytest.approx(sum(found.parts.values()))


def test_what_features_say_alone_is_all_theirs() -> None:
    """Query and document that are reconstructions, of an SAE without mean and bias: nothing is left over."""
    zero = np.zeros(20, np.float32)
    bare = Weights(WEIGHTS.W_enc, WEIGHTS.W_dec, zero, WEIGHTS.latent_bias, zero, 0.05, 5)
    acts, indices = np.float32([[4, 2, 0, 0, 0]]), np.int32([[1, 2, 3, 4, 5]])
    row = decode(acts, indices, bare)
    found = why(row[0], {1: 4.0, 2: 2.0}, row, acts, indices, bare)[0]
    assert found.common == 0
    assert found.unexplained == pytest.approx(0, abs=1e-6)
    assert list(found.parts) == [1, 2]
    assert found.cosine == pytest.approx(1)


def test_a_feature_pushed_below_zero_speaks_against_its_documents() -> None:
    acts, indices = np.float32([[3, 0, 0, 0, 0]]), np.int32([[7, 0, 1, 2, 3]])
    row = decode(acts, indices, WEIGHTS)
    query = make_query()
    plain = steer(query, {}, WEIGHTS)
    lowered = steer(query, {7: -20.0}, WEIGHTS)
    before = why(plain.vector, plain.after, row, acts, indices, WEIGHTS)[0].parts[7]
    assert why(lowered.vector, lowered.after, row, acts, indices, WEIGHTS)[0].parts[7] < min(0, before)


def test_nothing_has_no_parts() -> None:
    empty = np.zeros((1, 20), np.float32)
    found = why(make_query(), {}, empty, np.zeros((1, 5)), np.zeros((1, 5)), WEIGHTS)[0]
    assert (found.cosine, found.parts) == (0.0, {})


def test_side_effects_are_what_encoding_again_shows() -> None:
    query = make_query()
    assert side_effects(steer(query, {}, WEIGHTS), (), WEIGHTS) == []
    steered = steer(query, {3: 40.0}, WEIGHTS)
    acts, indices = encode(steered.vector[None], WEIGHTS)
    now = {int(i): float(a) for i, a in zip(indices[0], acts[0], strict=True) if a > 0}
    found = side_effects(steered, {3}, WEIGHTS)
    assert found
    assert all(effect.feature_id != 3 for effect in found)
    for effect in found:
        assert effect.after == pytest.approx(now.get(effect.feature_id, 0.0))
        assert effect.before == steered.latents.get(effect.feature_id, 0.0)
    sizes = [abs(effect.after - effect.before) for effect in found]
    assert sizes == sorted(sizes, reverse=True)
    assert side_effects(steered, {3}, WEIGHTS, n=1) == found[:1]
