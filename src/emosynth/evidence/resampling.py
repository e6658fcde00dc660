"""Intervals of differences in F1 from stored predictions: a crossed bootstrap of repeats and test rows, paired between arms.

Repeats (seed, generation, initialisation, tuning drawn anew) and test rows are both samples; an interval over one alone is too narrow
(Owen 2007, the pigeonhole bootstrap; Bouthillier et al. 2021, arXiv:2103.03098). Both arms of a contrast see the same draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats as scipy_stats

from emosynth.design.cells import stable_seed

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BLOCK = 250
"""Resamples that are computed at once."""


@dataclass(frozen=True)
class Draws:
    """F1 of one arm on resampled test rows.

    Attributes
    ----------
    repeats
        R repeats, ascending.
    points
        (R, k) F1 of each class on the test rows as they are.
    draws
        (B, R, k) the same on each of B resamples of the test rows.
    """

    repeats: tuple[int, ...]
    points: FloatArray
    draws: npt.NDArray[Any]

    def over(self, classes: list[int] | None = None) -> tuple[FloatArray, FloatArray]:
        """Return (R,) and (B, R) means over all classes, or some."""
        chosen = slice(None) if classes is None else classes
        return self.points[:, chosen].mean(axis=1), self.draws[:, :, chosen].mean(axis=2, dtype=np.float64)

    def at(self, repeats: tuple[int, ...]) -> Draws:
        """Return some of the repeats."""
        places = [self.repeats.index(repeat) for repeat in repeats]
        return Draws(repeats, self.points[places], self.draws[:, places])


def f1(tp: FloatArray, predicted: FloatArray, true: FloatArray) -> FloatArray:
    """Return F1 from counts: 0 where a class is neither true nor predicted, as scikit-learn has it."""
    total = predicted + true
    return np.asarray(np.divide(2 * tp, total, out=np.zeros_like(total), where=total > 0), dtype=np.float64)


def draw_f1(truth: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_], repeats: tuple[int, ...], resamples: int, seed: int) -> Draws:
    """Compute F1 by class on test rows and on resamples of these.

    Each row's contribution to the counts is fixed; a resample is a vector of how often each row was drawn, so that all resamples are
    matrix products: 2,000 of 5 repeats × 1,421 rows take a fraction of a second.

    Parameters
    ----------
    truth
        (n, k) labels of the test rows.
    predicted
        (R, n, k) predicted labels by repeat.
    seed
        Equal seeds and numbers of rows give equal resamples: that pairs arms.
    """
    repeat_count, n, k = predicted.shape
    # Columns: true positives and predictions of each repeat and class, then what is true.
    hits = (predicted & truth).transpose(1, 0, 2).reshape(n, -1)
    said = predicted.transpose(1, 0, 2).reshape(n, -1)
    columns = np.hstack([hits, said, truth]).astype(np.float32)
    out = np.empty((resamples, repeat_count, k), dtype=np.float32)
    size = repeat_count * k

    def scores(counts: npt.NDArray[np.float32]) -> FloatArray:
        tp, guesses, true = (np.asarray(part, dtype=np.float64) for part in np.split(counts, [size, 2 * size], axis=1))
        return f1(tp.reshape(-1, repeat_count, k), guesses.reshape(-1, repeat_count, k), true[:, None, :].repeat(repeat_count, axis=1))

    for start in range(0, resamples, _BLOCK):
        weights = _weights(n, resamples, seed)[start : start + _BLOCK]
        out[start : start + _BLOCK] = scores(weights.astype(np.float32) @ columns)
    return Draws(repeats, scores(columns.sum(axis=0, dtype=np.float64, keepdims=True).astype(np.float32))[0], out)


@lru_cache(maxsize=4)
def _weights(n: int, resamples: int, seed: int) -> npt.NDArray[np.uint8]:
    """Return (resamples, n) how often each row is drawn: one draw for all arms of a corpus."""
    rng = np.random.default_rng(stable_seed("test rows", seed, n))
    drawn = (np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples))
    return np.stack([np.minimum(row, 255).astype(np.uint8) for row in drawn])


@dataclass(frozen=True)
class Contrast:
    """A difference in F1, left minus right.

    Attributes
    ----------
    effect, low, high
        Mean over repeats, and its interval.
    p
        Two-sided p of no difference; not below `floor`.
    p_better
        P(left > right).
    draws
        (B,) resampled differences, spread as Student's t has it.
    repeats, rows
        What was drawn from.
    """

    effect: float
    low: float
    high: float
    p: float
    p_better: float
    draws: npt.NDArray[Any]
    repeats: int
    rows: int

    def beyond(self, value: float) -> float:
        """Return the two-sided p of a difference of ``value``."""
        return two_sided(self.draws - value)


def floor(resamples: int) -> float:
    """Return the smallest two-sided p that so many resamples can give."""
    return 2.0 / (resamples + 1)


def two_sided(draws: FloatArray) -> float:
    """Return twice the smaller share of draws on one side of 0; the observed data count as one draw."""
    below, above = int((draws <= 0).sum()), int((draws >= 0).sum())
    return min(1.0, 2.0 * (1 + min(below, above)) / (len(draws) + 1))


def common(*parts: Draws) -> tuple[int, ...]:
    """Return the repeats that all have."""
    shared = set(parts[0].repeats).intersection(*(part.repeats for part in parts[1:]))
    return tuple(sorted(shared))


def contrast(
    terms: list[tuple[float, Draws]], confidence: float, seed: int, rows: int, classes: list[int] | None = None
) -> Contrast | None:
    """Return a weighted sum of arms' F1 as a contrast, on the repeats that all arms have; None without any.

    Parameters
    ----------
    terms
        Weights and arms: ``[(1, left), (−1, right)]`` is a difference; with real expansion and seed at ∓ the margin it is the distance
        from a margin that is itself estimated.
    seed
        Of the draws of repeats.
    rows
        Number of test rows, to be told.
    classes
        Places of the classes that F1 is averaged over; None: all.

    Notes
    -----
    A percentile interval of few repeats is too narrow. The draws are therefore spread about the estimate so that their standard
    deviation is the one of the crossed components of variance (repeats, rows, both), estimated without bias, and their tails are
    Student's, with degrees of freedom by Satterthwaite's rule (Hesterberg 2015, the expanded percentile interval). With many repeats
    this is the percentile interval. With one repeat rows alone are resampled: how seeds differ is then not in the interval.
    """
    repeats = common(*(draws for _, draws in terms))
    if not repeats:
        return None
    points, draws = np.zeros(len(repeats)), np.zeros((len(terms[0][1].draws), len(repeats)))
    for weight, part in terms:
        own_points, own_draws = part.at(repeats).over(classes)
        points, draws = points + weight * own_points, draws + weight * own_draws
    effect = float(points.mean())
    spread = student_spread(points, draws, effect, seed)
    low, high = np.quantile(spread, [(1 - confidence) / 2, (1 + confidence) / 2])
    above = (spread > 0).mean() + (spread == 0).mean() / 2
    return Contrast(effect, float(low), float(high), two_sided(spread), float(above), spread, len(repeats), rows)


def student_spread(points: FloatArray, draws: FloatArray, effect: float, seed: int) -> FloatArray:
    """Return (B,) crossed draws about ``effect``, see `contrast`; ``points`` are (R,), ``draws`` (B, R)."""
    count, resamples = len(points), len(draws)
    by_rows = float(draws.mean(axis=1).var(ddof=1))
    if count == 1:
        return np.asarray(effect + draws[:, 0] - draws[:, 0].mean(), dtype=np.float64)
    rng = np.random.default_rng(stable_seed("repeats", seed, count))
    chosen = rng.integers(0, count, (resamples, count))
    crossed = np.take_along_axis(draws, chosen, axis=1).mean(axis=1)
    deviation = crossed - crossed.mean()
    if not deviation.std() > 1e-12:
        return np.full(resamples, effect)
    by_repeats = float(points.var(ddof=1)) / count
    within = float(draws.var(axis=0, ddof=1).mean())
    # Both parts hold what repeats and rows have together, which is to count once.
    together = max(0.0, (within - by_rows) / (count - 1))
    variance = max(by_repeats + by_rows - together, by_repeats, by_rows)
    freedom = (count - 1) * (variance / by_repeats) ** 2 if by_repeats > 0 else math.inf
    z = deviation / deviation.std(ddof=1)
    t = z if freedom > 1e5 else scipy_stats.t.ppf(scipy_stats.norm.cdf(z), max(freedom, count - 1))
    return np.asarray(effect + math.sqrt(variance) * t, dtype=np.float64)
