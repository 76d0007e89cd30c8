"""Power laws are found where they are, with honest intervals, and not where there are too few points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sae.training.scaling import FEWEST_POINTS, fit_power_law, frontier, window_means


@given(
    st.floats(0.01, 50),
    st.floats(-1.5, 0.5),
    st.lists(st.integers(1, 100_000), min_size=3, max_size=12, unique=True),
)
def test_an_exact_law_is_recovered(coefficient: float, exponent: float, x: list[int]) -> None:
    loss = coefficient * np.array(x, float) ** exponent
    fit = fit_power_law(x, loss)
    assert fit is not None
    assert fit.exponent == pytest.approx(exponent, abs=1e-6)
    assert fit.coefficient == pytest.approx(coefficient, rel=1e-5)
    assert fit.n_points == len(x)
    if abs(exponent) > 0.01:
        assert fit.r_squared == pytest.approx(1, abs=1e-6)


def test_the_papers_law_from_their_own_points() -> None:
    """Three SAEs of k = 16 on cs.LG (O'Neill et al. 2024, table 2) lie near the law that the paper gives."""
    fit = fit_power_law([3072, 6144, 9216], [0.2284, 0.2089, 0.1962])
    assert fit is not None
    assert fit.exponent == pytest.approx(-0.13, abs=0.01)
    assert fit.coefficient == pytest.approx(0.67, abs=0.04)
    assert fit.r_squared is not None
    assert fit.r_squared > 0.93


def test_numbers_equal_a_textbook_regression() -> None:
    from scipy.stats import linregress, t

    rng = np.random.default_rng(3)
    x = np.geomspace(100, 10_000, 8)
    loss = 0.6 * x**-0.15 * np.exp(rng.normal(0, 0.05, 8))
    fit, book = fit_power_law(x, loss), linregress(np.log(x), np.log(loss))
    assert fit is not None
    half = t.ppf(0.975, 6)
    assert fit.exponent == pytest.approx(book.slope)
    assert fit.exponent_high - fit.exponent == pytest.approx(half * book.stderr)
    assert np.log(fit.coefficient_high / fit.coefficient) == pytest.approx(half * book.intercept_stderr)
    assert fit.r_squared == pytest.approx(book.rvalue**2)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    x = np.array([96.0, 192, 384, 768, 1536])
    inside = 0
    for _ in range(1000):
        fit = fit_power_law(x, 0.7 * x**-0.14 * np.exp(rng.normal(0, 0.03, len(x))))
        assert fit is not None
        inside += fit.exponent_low <= -0.14 <= fit.exponent_high
    assert 0.93 <= inside / 1000 <= 0.97


@pytest.mark.parametrize(
    ("x", "loss"),
    [
        ([], []),
        ([1, 2], [0.5, 0.4]),
        ([7, 7, 7, 7], [0.5, 0.4, 0.3, 0.2]),  # one x says nothing of a slope
        ([1, 2, 3], [0.5, np.nan, 0.3]),
        ([1, 2, 4], [0.5, 0.0, 0.3]),
        ([0, 2, 4], [0.5, 0.4, 0.3]),
    ],
)
def test_too_few_points_give_no_law(x: list[float], loss: list[float]) -> None:
    assert FEWEST_POINTS == 3
    assert fit_power_law(x, loss) is None


def test_a_constant_loss_has_no_share_to_explain() -> None:
    fit = fit_power_law([10, 100, 1000, 10_000], [0.3] * 4)
    assert fit is not None
    assert fit.r_squared is None
    assert fit.exponent == pytest.approx(0, abs=1e-12)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shape"):
        fit_power_law([1, 2, 3], [0.1, 0.2])


def slow_frontier(compute: np.ndarray, loss: np.ndarray) -> list[bool]:
    """By definition: a point is out when another is as cheap and as good, and better in one or earlier."""
    found = []
    for i in range(len(loss)):
        beaten = any(
            compute[j] <= compute[i]
            and loss[j] <= loss[i]
            and ((compute[j], loss[j]) != (compute[i], loss[i]) or j < i)
            for j in range(len(loss))
            if j != i
        )
        found.append(bool(np.isfinite(loss[i])) and not beaten)
    return found


_small = st.integers(0, 6).map(float)


@given(hnp.arrays(float, st.integers(0, 12), elements=_small), st.data())
def test_the_frontier_is_what_nothing_beats(compute: np.ndarray, data: st.DataObject) -> None:
    elements = st.one_of(_small, st.just(np.nan))
    loss = data.draw(hnp.arrays(float, len(compute), elements=elements))
    assert frontier(compute, loss).tolist() == slow_frontier(compute, loss)


@given(hnp.arrays(float, st.integers(1, 40), elements=st.floats(-10, 10)), st.data())
def test_window_means(values: np.ndarray, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.sets(st.integers(1, len(values)), min_size=1)))
    expected = [values[a:b].mean() for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    np.testing.assert_allclose(window_means(values, ends), expected, atol=1e-12)
