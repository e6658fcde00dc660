"""Small statistics on NumPy arrays: intervals, paired comparisons, equivalence, permutation tests, effect sizes, correction.

Scores of repeats are paired by seed; corpora are compared by texts. Wherever SciPy or statsmodels has a method, theirs is
used. Nothing here draws from a global random state: what is random takes a ``seed``.
Missing values (NaN) among the input are dropped, in pairs where values are paired, so every result states its ``n``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_effectsize

EXACT = 12
"""Largest number of pairs for which :func:`paired_difference` goes through all sign flips (2¹² = 4,096)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval; NaN on both sides if there is none."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Paired:
    """Result of :func:`paired_difference`.

    Attributes
    ----------
    mean
        Mean of a - b; NaN without pairs.
    low, high
        Student's t interval of the mean difference; NaN for fewer than two pairs.
    p
        Two-sided p; NaN for fewer than two pairs.
    n
        Number of complete pairs.
    dz
        Cohen's d_z: mean over standard deviation of the differences; NaN for fewer than two pairs or when all
        differences are equal (the ratio has no meaning then).
    method
        "sign-flip", "t" or "none".
    """

    mean: float
    low: float
    high: float
    p: float
    n: int
    dz: float
    method: str


@dataclass(frozen=True)
class Equivalence:
    """Result of :func:`equivalence_tost`.

    Attributes
    ----------
    p
        The larger of the two one-sided p; NaN for fewer than two pairs.
    equivalent
        Whether p < alpha, that is whether the (1 - 2 alpha) interval lies within the margin.
    mean, low, high
        Mean difference and its (1 - 2 alpha) interval.
    margin, alpha
        As asked.
    n
        Number of complete pairs.
    """

    p: float
    equivalent: bool
    mean: float
    low: float
    high: float
    margin: float
    alpha: float
    n: int


@dataclass(frozen=True)
class Test:
    """A test statistic with its p and, where it has one, an effect size."""

    __test__ = False  # not for pytest to collect

    statistic: float
    p: float
    effect: float = math.nan


def _clean(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=float).ravel()
    return array[~np.isnan(array)]


def _pairs(a: ArrayLike, b: ArrayLike) -> Floats:
    first, second = np.asarray(a, dtype=float).ravel(), np.asarray(b, dtype=float).ravel()
    if first.shape != second.shape:
        raise ValueError(f"paired values must be equally many, not {first.size} and {second.size}")
    difference = first - second
    return difference[~np.isnan(difference)]


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")


# --- intervals ------------------------------------------------------------------------------------


def bootstrap_mean(values: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Return the percentile bootstrap interval of the mean (Efron and Tibshirani 1993).

    NaN for fewer than two values. With few values it is too narrow; :func:`t_interval` is the better choice for
    fewer than about ten.
    """
    _check_confidence(confidence)
    sample = _clean(values)
    if sample.size < 2:
        return Interval(math.nan, math.nan)
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    # In blocks, so that many values with many resamples stay within memory.
    block = max(1, 4_000_000 // sample.size)
    for start in range(0, resamples, block):
        stop = min(start + block, resamples)
        means[start:stop] = sample[generator.integers(0, sample.size, (stop - start, sample.size))].mean(axis=1)
    return percentile_interval(means, confidence)


def percentile_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the central range that holds ``confidence`` of the values; NaN without values."""
    _check_confidence(confidence)
    sample = _clean(values)
    if not sample.size:
        return Interval(math.nan, math.nan)
    tail = (1 - confidence) / 2
    low, high = np.quantile(sample, [tail, 1 - tail])
    return Interval(float(low), float(high))


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return Student's t interval of the mean; NaN for fewer than two values, zero width if all are equal."""
    _check_confidence(confidence)
    sample = _clean(values)
    if sample.size < 2:
        return Interval(math.nan, math.nan)
    mean = float(sample.mean())
    half = float(scipy_stats.t.ppf((1 + confidence) / 2, sample.size - 1) * scipy_stats.sem(sample))
    return Interval(mean - half, mean + half)


# --- paired comparisons -----------------------------------------------------------------------------


def paired_difference(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Paired:
    """Compare paired scores: mean of a - b with interval, p and effect size.

    The p is exact for up to 12 pairs: the share of all 2ⁿ flips of the signs of the differences whose mean is at
    least as far from 0 as the one observed (Fisher 1935). It cannot fall below 2/2ⁿ: 0.5 at n = 2, **0.25 at
    n = 3**, 0.125 at 4, 0.0625 at 5, 0.03125 at 6. With three repeats no difference, however large, is significant
    at 0.05 by it; the interval, which assumes roughly normal differences, may then still exclude 0. More pairs: paired t test.

    Raises
    ------
    ValueError
        If ``a`` and ``b`` are not equally many.
    """
    _check_confidence(confidence)
    difference = _pairs(a, b)
    n = int(difference.size)
    mean = float(difference.mean()) if n else math.nan
    if n < 2:
        return Paired(mean, math.nan, math.nan, math.nan, n, math.nan, "none")
    interval = t_interval(difference, confidence)
    spread = _spread(difference)
    dz = mean / spread if spread else math.nan
    if n <= EXACT:
        return Paired(mean, interval.low, interval.high, sign_flip(difference), n, dz, "sign-flip")
    if not spread:
        return Paired(mean, interval.low, interval.high, float(mean == 0), n, dz, "t")
    p = float(scipy_stats.ttest_1samp(difference, 0.0).pvalue)
    return Paired(mean, interval.low, interval.high, p, n, dz, "t")


def _spread(sample: Floats) -> float:
    """Return the standard deviation, 0 where it is rounding error alone."""
    spread = float(sample.std(ddof=1))
    return 0.0 if spread <= 1e-12 * max(1e-300, float(np.abs(sample).max())) else spread


def sign_flip(differences: ArrayLike) -> float:
    """Return the exact two-sided sign-flip p of a mean of 0; at most 20 differences, NaN for none.

    Raises
    ------
    ValueError
        For more than 20 differences, which would take more than a million flips.
    """
    sample = _clean(differences)
    if not sample.size:
        return math.nan
    if sample.size > 20:
        raise ValueError(f"exact sign flips are for at most 20 differences, not {sample.size}")
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=sample.size)))
    sums = np.abs(signs @ sample)
    # Sums of the same numbers in another order differ by rounding; a tie must count as a tie.
    return float(np.mean(sums >= sums[0] - 1e-12 * max(1.0, float(np.abs(sample).sum()))))


def equivalence_tost(a: ArrayLike, b: ArrayLike, margin: float, alpha: float = 0.05) -> Equivalence:
    """Test whether the mean of a - b lies within ±``margin``: two one-sided paired t tests (Schuirmann 1987).

    Not significant is not "the same": with few or noisy pairs the mean may be close to 0 and equivalence still unproven.

    Raises
    ------
    ValueError
        If ``a`` and ``b`` are not equally many, or the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"margin must be positive, not {margin}")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must be between 0 and 0.5, not {alpha}")
    difference = _pairs(a, b)
    n = int(difference.size)
    mean = float(difference.mean()) if n else math.nan
    if n < 2:
        return Equivalence(math.nan, False, mean, math.nan, math.nan, margin, alpha, n)
    interval = t_interval(difference, 1 - 2 * alpha)
    if _spread(difference):
        above = scipy_stats.ttest_1samp(difference, -margin, alternative="greater").pvalue
        below = scipy_stats.ttest_1samp(difference, margin, alternative="less").pvalue
        p = float(max(above, below))
    else:
        p = 0.0 if abs(mean) < margin else 1.0
    return Equivalence(p, bool(p < alpha), mean, interval.low, interval.high, margin, alpha, n)


# --- two groups -------------------------------------------------------------------------------------


def permutation_test(stat: Callable[[Floats, Floats], float], x: ArrayLike, y: ArrayLike, permutations: int = 1000, seed: int = 0) -> Test:
    """Test ``stat(x, y)`` against its values when group labels are permuted; two-sided around 0.

    ``stat`` must be 0 in expectation when the groups are alike (a difference). The observed labelling counts as one
    permutation, so p is at least 1/(permutations + 1) and the test is valid (Phipson and Smyth 2010). NaN if a group is empty.
    """
    first, second = _clean(x), _clean(y)
    if not first.size or not second.size:
        return Test(math.nan, math.nan)
    observed = float(stat(first, second))
    together = np.concatenate([first, second])
    generator = np.random.default_rng(seed)
    null = np.empty(permutations)
    for turn in range(permutations):
        shuffled = generator.permutation(together)
        null[turn] = stat(shuffled[: first.size], shuffled[first.size :])
    return Test(observed, permutation_p(observed, null))


def permutation_p(observed: float, null: ArrayLike) -> float:
    """Return the two-sided p of ``observed`` among permuted values around 0; NaN if either is missing."""
    values = _clean(null)
    if math.isnan(observed) or not values.size:
        return math.nan
    tolerance = 1e-12 * max(1.0, abs(observed))
    return float((1 + np.count_nonzero(np.abs(values) >= abs(observed) - tolerance)) / (1 + values.size))


def cliffs_delta(x: ArrayLike, y: ArrayLike) -> float:
    """Return Cliff's δ: P(x > y) - P(x < y), from -1 to 1 (Cliff 1993). O(n log n). NaN if a group is empty."""
    first, second = _clean(x), np.sort(_clean(y))
    if not first.size or not second.size:
        return math.nan
    below = int(np.searchsorted(second, first, side="left").sum())
    above = int((second.size - np.searchsorted(second, first, side="right")).sum())
    return (below - above) / (first.size * second.size)


def mann_whitney(x: ArrayLike, y: ArrayLike) -> Test:
    """Return the two-sided Mann–Whitney U test (SciPy) with Cliff's δ as effect size. NaN if a group is empty."""
    first, second = _clean(x), _clean(y)
    if not first.size or not second.size:
        return Test(math.nan, math.nan)
    statistic = float(first.size * second.size) / 2
    if np.all(first == first[0]) and np.all(second == first[0]):
        return Test(statistic, 1.0, 0.0)
    result = scipy_stats.mannwhitneyu(first, second, alternative="two-sided")
    return Test(float(result.statistic), float(result.pvalue), cliffs_delta(first, second))


def cohens_h(first: float, second: float) -> float:
    """Return Cohen's h of two proportions, 2 asin √p₁ - 2 asin √p₂ (statsmodels). NaN if either is missing.

    Raises
    ------
    ValueError
        If a proportion is outside [0, 1].
    """
    for proportion in (first, second):
        if not math.isnan(proportion) and not 0 <= proportion <= 1:
            raise ValueError(f"a proportion must be in [0, 1], not {proportion}")
    return float(proportion_effectsize(first, second))


def hedges_g(x: ArrayLike, y: ArrayLike) -> float:
    """Return Hedges' g: difference of means over the pooled standard deviation, corrected for small samples (Hedges 1981).

    NaN if a group has fewer than two values or nothing varies while the means differ; 0 if all values are equal.
    """
    first, second = _clean(x), _clean(y)
    if first.size < 2 or second.size < 2:
        return math.nan
    freedom = first.size + second.size - 2
    pooled = math.sqrt(((first.size - 1) * first.var(ddof=1) + (second.size - 1) * second.var(ddof=1)) / freedom)
    difference = float(first.mean() - second.mean())
    if pooled <= 1e-12 * max(1e-300, float(np.abs(np.concatenate([first, second])).max())):
        return 0.0 if abs(difference) <= 1e-12 else math.nan
    return difference / pooled * (1 - 3 / (4 * freedom - 1))


# --- many tests -------------------------------------------------------------------------------------


def holm(pvalues: ArrayLike) -> Floats:
    """Return p-values corrected for their number by Holm's method (statsmodels).

    NaN stays NaN and does not count as a test. Order is kept.
    """
    raw = np.asarray(pvalues, dtype=float).ravel()
    corrected = np.full(raw.shape, np.nan)
    known = ~np.isnan(raw)
    if known.any():
        corrected[known] = multipletests(raw[known], method="holm")[1]
    return corrected
