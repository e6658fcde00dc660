"""Statistics against hand-worked values, SciPy and their own invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from emosynth import stats

NUMBERS = st.lists(st.integers(-50, 50), min_size=1, max_size=30)


def test_t_interval() -> None:
    values = [1.0, 2.0, 4.0, 7.0]
    low, high = scipy_stats.t.interval(0.9, 3, loc=np.mean(values), scale=scipy_stats.sem(values))
    interval = stats.t_interval(values, 0.9)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert math.isnan(stats.t_interval([1.0]).low)
    assert 3.5 in interval


def test_bootstrap_mean() -> None:
    values = np.random.default_rng(1).normal(5, 1, 200)
    interval = stats.bootstrap_mean(values, 0.95, 1000, seed=3)
    assert interval == stats.bootstrap_mean(values, 0.95, 1000, seed=3)
    assert interval.low < 5 < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / math.sqrt(200), rel=0.2)
    assert math.isnan(stats.bootstrap_mean([1.0]).low)
    assert stats.bootstrap_mean([2.0, 2.0, math.nan]) == stats.Interval(2.0, 2.0)


def test_paired_difference_exact() -> None:
    result = stats.paired_difference([0.6, 0.7, 0.9], [0.5, 0.5, 0.6])
    assert result.mean == pytest.approx(0.2)
    assert result.p == 0.25  # the least that three pairs can give
    assert result.method == "sign-flip" and result.n == 3
    assert result.dz == pytest.approx(2.0)
    assert stats.paired_difference([1, 2, 3], [1, 2, 3]).p == 1


@pytest.mark.parametrize("n", [2, 3, 5, 8, 12])
def test_least_sign_flip_p(n: int) -> None:
    assert stats.sign_flip(np.full(n, 0.1)) == pytest.approx(2 / 2**n)


def test_paired_difference_many_pairs() -> None:
    generator = np.random.default_rng(2)
    first, second = generator.normal(0.3, 1, 20), generator.normal(0, 1, 20)
    result = stats.paired_difference(first, second)
    assert result.method == "t"
    assert result.p == pytest.approx(scipy_stats.ttest_rel(first, second).pvalue)


def test_paired_difference_of_nothing() -> None:
    for first, second in (([], []), ([1.0], [2.0]), ([1.0, math.nan], [0.5, 1.0])):
        result = stats.paired_difference(first, second)
        assert math.isnan(result.p) and math.isnan(result.low) and result.method == "none"
    with pytest.raises(ValueError, match="equally many"):
        stats.paired_difference([1.0], [1.0, 2.0])


def test_equal_differences_have_no_standardised_effect() -> None:
    result = stats.paired_difference([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])
    assert math.isnan(result.dz) and result.p == 0.25


def test_equivalence() -> None:
    first, second = np.array([0.50, 0.61, 0.70, 0.60]), np.array([0.505, 0.60, 0.702, 0.60])
    close = stats.equivalence_tost(first, second, 0.02)
    assert close.equivalent and close.p < 0.05
    assert -0.02 < close.low < close.high < 0.02
    assert not stats.equivalence_tost(first, second, 0.005).equivalent
    assert not stats.equivalence_tost([0.5], [0.5], 0.02).equivalent
    assert not stats.equivalence_tost(first + 0.1, second, 0.02).equivalent
    with pytest.raises(ValueError, match="margin"):
        stats.equivalence_tost(first, second, 0)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=10), st.floats(0.001, 0.1))
def test_equivalence_is_interval_inclusion(differences: list[float], margin: float) -> None:
    result = stats.equivalence_tost(differences, np.zeros(len(differences)), margin)
    if np.std(differences) > 1e-6 and min(abs(result.low + margin), abs(result.high - margin)) > 1e-9:
        assert result.equivalent == (-margin < result.low and result.high < margin)


def test_permutation_test() -> None:
    generator = np.random.default_rng(4)
    first, second = generator.normal(1, 1, 40), generator.normal(0, 1, 40)

    def difference(x: np.ndarray, y: np.ndarray) -> float:
        return float(x.mean() - y.mean())

    assert stats.permutation_test(difference, first, second, 199, seed=1).p == pytest.approx(1 / 200)
    assert stats.permutation_test(difference, first, first, 199, seed=1).p == 1
    assert math.isnan(stats.permutation_test(difference, [], second).p)


def test_permutation_test_keeps_its_level() -> None:
    generator = np.random.default_rng(5)
    ps = [
        stats.permutation_test(lambda x, y: float(x.mean() - y.mean()), generator.normal(size=15), generator.normal(size=15), 99, seed).p
        for seed in range(150)
    ]
    assert np.mean(np.array(ps) <= 0.1) < 0.18


def test_cliffs_delta_by_hand() -> None:
    assert stats.cliffs_delta([1, 2, 3], [2, 2, 9]) == pytest.approx((2 - 5) / 9)
    assert stats.cliffs_delta([2], [1]) == 1
    assert math.isnan(stats.cliffs_delta([], [1]))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(NUMBERS, NUMBERS)
def test_cliffs_delta_is_antisymmetric_and_bounded(x: list[int], y: list[int]) -> None:
    delta = stats.cliffs_delta(x, y)
    assert delta == -stats.cliffs_delta(y, x)
    assert -1 <= delta <= 1
    assert delta == pytest.approx(np.mean(np.sign(np.subtract.outer(x, y))))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(NUMBERS, NUMBERS)
def test_mann_whitney_matches_delta(x: list[int], y: list[int]) -> None:
    result = stats.mann_whitney(x, y)
    assert 0 <= result.p <= 1
    assert result.effect == pytest.approx(2 * result.statistic / (len(x) * len(y)) - 1)


def test_cohens_h() -> None:
    assert stats.cohens_h(0.3, 0.2) == pytest.approx(2 * math.asin(math.sqrt(0.3)) - 2 * math.asin(math.sqrt(0.2)))
    assert stats.cohens_h(1, 0) == pytest.approx(math.pi)
    assert math.isnan(stats.cohens_h(math.nan, 0.5))
    with pytest.raises(ValueError, match="proportion"):
        stats.cohens_h(1.2, 0.5)


def test_hedges_g() -> None:
    # Means 2 and 10/3, pooled variance (1 + 7/3) / 2, correction 1 - 3/15.
    assert stats.hedges_g([1, 2, 3], [2, 3, 5]) == pytest.approx((2 - 10 / 3) / math.sqrt(5 / 3) * 0.8)
    assert stats.hedges_g([2, 2], [2, 2]) == 0
    assert math.isnan(stats.hedges_g([1, 1], [2, 2]))
    assert math.isnan(stats.hedges_g([1], [2, 3]))


def test_holm_by_hand() -> None:
    corrected = stats.holm([0.01, math.nan, 0.04, 0.03])
    assert corrected[[0, 2, 3]] == pytest.approx([0.03, 0.06, 0.06])
    assert math.isnan(corrected[1])
    assert stats.holm([]).size == 0


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_monotone(ps: list[float]) -> None:
    corrected = stats.holm(ps)
    assert np.all(corrected >= np.array(ps) - 1e-15) and np.all(corrected <= 1)
    assert np.all(np.diff(corrected[np.argsort(ps, kind="stable")]) >= -1e-15)
