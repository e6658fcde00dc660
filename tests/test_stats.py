"""Statistics against hand-worked values, SciPy and their own invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth import stats

NUMBERS = st.lists(st.integers(-50, 50), min_size=1, max_size=30)


def test_percentile_interval() -> None:
    interval = stats.percentile_interval([*range(101), math.nan], 0.9)
    assert (interval.low, interval.high) == pytest.approx((5, 95)) and 50 in interval
    assert math.isnan(stats.percentile_interval([]).low)
    with pytest.raises(ValueError, match="confidence"):
        stats.percentile_interval([1.0], 1.0)


def test_permutation_p() -> None:
    assert stats.permutation_p(5.0, [1, 2, 3, math.nan]) == 1 / 4
    assert stats.permutation_p(-2.0, [1, 2, 3]) == 3 / 4
    assert math.isnan(stats.permutation_p(math.nan, [1])) and math.isnan(stats.permutation_p(1.0, []))


# --- nested half-samples ------------------------------------------------------------------------------

NESTED = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(NESTED)
def test_nested_orders_keep_repeats_whole_and_strata_even(places: list[tuple[int, int, int]]) -> None:
    nest = stats.Nest.of(*zip(*places, strict=True))
    for order in stats.nested_orders(nest, 3, np.random.default_rng(1)):
        assert sorted(order.tolist()) == list(range(len(places)))
        repeats = nest.repeats[order]
        assert np.count_nonzero(np.diff(repeats)) == len(set(repeats.tolist())) - 1, "a repeat is left once it is used up"
        for repeat in set(repeats.tolist()):
            within = order[repeats == repeat]
            for stratum in set(nest.strata[within].tolist()):
                clusters = nest.clusters[within[nest.strata[within] == stratum]]
                assert np.count_nonzero(np.diff(clusters)) == len(set(clusters.tolist())) - 1, "and so is a cluster within its stratum"
                first = np.count_nonzero(nest.strata[within[: len(within) // 2]] == stratum)
                assert abs(first - len(clusters) / 2) <= 1.5


def test_nested_halves_cover_clustered_means() -> None:
    hits = {True: 0, False: 0}
    for trial in range(100):
        generator = np.random.default_rng(trial)
        values = np.repeat(generator.normal(0, 1, 20), 8) + generator.normal(0, 1, 160)
        stories = np.repeat(np.arange(20), 8)
        for flat in hits:
            nest = stats.Nest.flat(160) if flat else stats.Nest.of([0] * 160, stories.tolist(), [0] * 160)
            mean, interval = stats.halves_interval(values, stats.nested_halves(nest, 120, trial), 0.9, trial)
            assert mean == pytest.approx(values.mean())
            hits[flat] += 0.0 in interval
    assert 0.82 <= hits[False] / 100 <= 0.97
    assert hits[True] / 100 < 0.6, "rows of one story are not independent"


def test_interval_draws_models_too() -> None:
    values, halves = np.array([[0.0] * 40, [1.0] * 40]), stats.nested_halves(stats.Nest.flat(40), 300, 1)
    mean, interval = stats.halves_interval(values, halves, 0.9, 1)
    assert mean == 0.5 and (interval.low, interval.high) == (0, 1)
    assert stats.halves_interval(values[:1], halves, 0.9, 1)[1] == stats.Interval(0.0, 0.0)
    assert math.isnan(stats.halves_interval([[1.0]], stats.nested_halves(stats.Nest.flat(1), 300, 1), 0.9, 1)[1].low)


def test_flat_nests() -> None:
    assert stats.Nest.flat(3).is_flat and stats.Nest.of([0, 0], ["a", "b"], ["x", "y"]).is_flat
    assert not stats.Nest.of([0, 1], ["a", "b"], ["x", "x"]).is_flat and not stats.Nest.of([0, 0], ["a", "a"], ["x", "y"]).is_flat
    assert stats.nested_orders(stats.Nest.flat(0), 2, np.random.default_rng(0)).shape == (2, 0)


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


def test_holm_is_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    ps = np.random.default_rng(3).uniform(0, 0.2, 12).round(2)
    assert stats.holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_monotone(ps: list[float]) -> None:
    corrected = stats.holm(ps)
    assert np.all(corrected >= np.array(ps) - 1e-15) and np.all(corrected <= 1)
    assert np.all(np.diff(corrected[np.argsort(ps, kind="stable")]) >= -1e-15)
