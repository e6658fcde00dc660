"""Intervals of differences in F1 from stored predictions: variance over repeats and test rows together, paired between arms.

Repeats (seed, generation, initialisation, tuning drawn anew) and test rows are both samples; an interval over one alone is too narrow
(Owen 2007, the pigeonhole bootstrap; Bouthillier et al. 2021, arXiv:2103.03098). Both arms of a contrast see the same draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit
from scipy.stats import rankdata

from emosynth.design.cells import stable_seed

FloatArray = npt.NDArray[np.float64]

_BLOCK = 250
"""Resamples that are computed at once."""


@dataclass(frozen=True)
class Draws:
    """F1 of one arm: ``points`` (R, k) by repeat and class, ``draws`` (B, R, k) on resamples of the test rows; repeats ascending."""

    repeats: tuple[int, ...]
    points: FloatArray
    draws: npt.NDArray[Any]
    rows: int

    def over(self, classes: list[int] | None = None) -> tuple[FloatArray, FloatArray]:
        """Return (R,) and (B, R) means over all classes, or some."""
        chosen = slice(None) if classes is None else classes
        return self.points[:, chosen].mean(axis=1), self.draws[:, :, chosen].mean(axis=2, dtype=np.float64)

    def at(self, repeats: tuple[int, ...]) -> Draws:
        """Return some of the repeats."""
        places = [self.repeats.index(repeat) for repeat in repeats]
        return Draws(repeats, self.points[places], self.draws[:, places], self.rows)


def f1(tp: FloatArray, predicted: FloatArray, true: FloatArray) -> FloatArray:
    """Return F1 from counts: 0 where a class is neither true nor predicted, as scikit-learn has it."""
    total = predicted + true
    return np.asarray(np.divide(2 * tp, total, out=np.zeros_like(total), where=total > 0), dtype=np.float64)


def draw_f1(truth: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_], repeats: tuple[int, ...], resamples: int, seed: int) -> Draws:
    """Compute F1 by class from (n, k) truth and (R, n, k) predictions, on the test rows and on resamples; equal seeds and n pair arms.

    A resample is how often each row was drawn, so that all are matrix products: 2,000 of 5 repeats × 1,421 rows take a fraction of a
    second.
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
    return Draws(repeats, scores(columns.sum(axis=0, dtype=np.float64, keepdims=True).astype(np.float32))[0], out, n)


@lru_cache(maxsize=96)  # of each corpus one for all rows, and two for each way to halve them
def _weights(n: int, resamples: int, seed: int) -> npt.NDArray[np.uint8]:
    """Return (resamples, n) how often each row is drawn: one draw for all arms of a corpus."""
    rng = np.random.default_rng(stable_seed("test rows", seed, n))
    drawn = (np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(resamples))
    return np.stack([np.minimum(row, 255).astype(np.uint8) for row in drawn])


@dataclass(frozen=True)
class Spread:
    """How far an estimate may be from the truth: variance over repeats (few degrees of freedom; one: left out), and what test rows add.

    A quantile is the root of the two parts' squared quantiles, Student's for repeats and normal for test rows. That never rejects too often
    with three repeats, as Satterthwaite's rule does (7 to 8 % instead of 5), and costs width where repeats hardly differ.
    """

    by_repeats: float
    by_rows: float
    repeats: int

    def quantile(self, share: Any) -> Any:
        """Return the distance from the estimate below which a share of the distribution lies; scalars or arrays."""
        rows = self.by_rows * ndtri(share) ** 2
        repeats = self.by_repeats * stdtrit(self.repeats - 1, share) ** 2 if self.repeats > 1 else 0.0
        return np.sign(np.asarray(share) - 0.5) * np.sqrt(rows + repeats)

    def below(self, distance: float) -> float:
        """Return the share of the distribution below a distance from the estimate."""
        if not self.by_repeats + self.by_rows > 0:
            return 0.5 if distance == 0 else float(distance > 0)
        target = abs(distance)
        if float(self.quantile(1 - _LEAST)) <= target:
            tail = _LEAST
        else:
            tail = math.exp(brentq(lambda log: float(self.quantile(1 - math.exp(log))) - target, math.log(_LEAST), math.log(0.5)))
        return 1 - tail if distance > 0 else tail


BLIND = 0.05
"""p below which the labels alone pass a test of equivalence, which then shows nothing of arms."""

_LEAST = 1e-12
"""The smallest p that is told."""


@dataclass(frozen=True)
class Contrast:
    """A difference in F1, left minus right: mean over repeats with its interval, and the ``spread`` behind it.

    ``wins``: P(a run of left beats the paired run of right), ties half. ``draws``: (B,) crossed draws about the effect, spread as the
    interval is: to be combined with other contrasts draw by draw.
    """

    effect: float
    low: float
    high: float
    spread: Spread
    wins: float
    draws: npt.NDArray[Any]
    repeats: int
    rows: int

    @property
    def p(self) -> float:
        """Two-sided p of no difference."""
        return self.beyond(0.0)

    @property
    def p_better(self) -> float:
        """P(left > right in the mean of repeats)."""
        return self.spread.below(self.effect)

    def beyond(self, value: float) -> float:
        """Return the two-sided p of a difference of ``value``."""
        return min(1.0, 2 * self.spread.below(-abs(self.effect - value)))


def common(*parts: Draws) -> tuple[int, ...]:
    """Return the repeats that all have."""
    shared = set(parts[0].repeats).intersection(*(part.repeats for part in parts[1:]))
    return tuple(sorted(shared))


def contrast(terms: Sequence[tuple[float, Draws]], confidence: float, seed: int, classes: list[int] | None = None) -> Contrast | None:
    """Return a weighted sum of arms' F1, averaged over classes (None: all), on the repeats that all arms have; None without any.

    ``[(1, left), (−1, right)]`` is a difference; real expansion and seed at ∓ the margin make it the distance from an estimated margin.
    """
    repeats = common(*(draws for _, draws in terms))
    if not repeats:
        return None
    points, draws = np.zeros(len(repeats)), np.zeros((len(terms[0][1].draws), len(repeats)))
    for weight, part in terms:
        own_points, own_draws = part.at(repeats).over(classes)
        points, draws = points + weight * own_points, draws + weight * own_draws
    return of_draws(points, draws, confidence, seed, terms[0][1].rows)


def of_draws(points: FloatArray, draws: FloatArray, confidence: float, seed: int, rows: int, least: float = 0.0) -> Contrast:
    """Return a contrast from (R,) differences by repeat and (B, R) on resampled test rows; ``least``: variance over repeats, at least.

    What repeats and rows have together is in both components of variance and counts once. With one repeat rows alone are resampled.
    """
    count, resamples, effect = len(points), len(draws), float(points.mean())
    by_rows = float(draws.mean(axis=1).var(ddof=1))
    by_repeats = max(least, float(points.var(ddof=1)) / count) if count > 1 else 0.0
    together = max(0.0, (float(draws.var(axis=0, ddof=1).mean()) - by_rows) / (count - 1)) if count > 1 else 0.0
    spread = Spread(by_repeats, max(0.0, by_rows - min(by_repeats, together)), count)
    chosen = np.random.default_rng(stable_seed("repeats", seed, count)).integers(0, count, (resamples, count))
    crossed = np.take_along_axis(draws, chosen, axis=1).mean(axis=1)
    away = spread.quantile((rankdata(crossed, method="ordinal") - 0.5) / resamples)
    reach = float(spread.quantile((1 + confidence) / 2))
    wins = float((draws > 0).mean() + (draws == 0).mean() / 2)
    return Contrast(effect, effect - reach, effect + reach, spread, wins, effect + away, count, rows)


@dataclass(frozen=True)
class Equivalence:
    """Whether two arms are equivalent; NaN, and why, where that cannot be tested."""

    margin: float = math.nan
    p: float = math.nan
    why: str = ""
    gained: Contrast | None = None
    """What real expansion gains in the same cell, if it was run."""


def equivalence(
    combine: Callable[[Sequence[tuple[float, Any]]], Contrast | None], left: Any, right: Any, real: Any, seed: Any, share: float
) -> Equivalence:
    """Test whether left and right differ by less than ``share`` of what real expansion (None: there is none) gains.

    Two one-sided tests (Schuirmann 1987) of left − right ∓ share · (real − seed): the margin's own uncertainty is in them. First comes
    assay sensitivity (ICH E10): where real expansion's gain cannot be told from zero, arms that do nothing would pass; and where the labels
    alone would pass as equivalent to ``right``, so would they.
    """
    if real is None:
        return Equivalence(why="no real expansion in this cell")
    gained = combine([(1, real), (-1, seed)])
    if gained is None or not gained.low > 0:
        return Equivalence(why="what real expansion gains cannot be told from zero", gained=gained)

    def p_of(one: Any) -> float:
        above, below = (combine([(1, one), (-1, right), (-side * share, real), (side * share, seed)]) for side in (1, -1))
        return math.nan if above is None or below is None else max(above.p_better, 1 - below.p_better)

    p = p_of(left)
    if math.isnan(p):
        return Equivalence(why="the arms and real expansion share no repeat", gained=gained)
    if seed not in (left, right) and p_of(seed) < BLIND:
        return Equivalence(share * gained.effect, why="the labels alone would pass as well", gained=gained)
    return Equivalence(share * gained.effect, p, gained=gained)
