"""Thresholds from which a probability counts as a label, chosen on validation rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from emosynth.errors import UserError
from emosynth.models.classifiers import FloatArray
from emosynth.models.multilabel.rows import BoolArray, checked_pair

Pooled = Literal["micro", "macro"]

GRID = np.arange(1, 100) / 100
"""Thresholds tried where one must serve all labels at once by macro-F1: 0.01 to 0.99."""


def _candidates(p: FloatArray) -> FloatArray:
    """Return every threshold that decides differently, and 0.5.

    They lie half-way between neighbouring scores, and at the lowest: a threshold on a score itself would turn with the
    last digit of that score.
    """
    observed = np.unique(p)
    return np.unique(np.concatenate([observed[:1], (observed[1:] + observed[:-1]) / 2, [0.5]]))


def _f1(p: FloatArray, y: BoolArray, candidates: FloatArray) -> FloatArray:
    """Return the F1 of ``p >= t`` for each candidate t; 0 where nothing is true or claimed."""

    def at_or_above(values: FloatArray) -> npt.NDArray[np.intp]:
        return len(values) - np.searchsorted(np.sort(values), candidates, side="left")

    hits, claimed = at_or_above(p[y]), at_or_above(p)
    return np.asarray(2 * hits / np.maximum(claimed + y.sum(), 1), dtype=np.float64)


def _nearest_to_half(candidates: FloatArray, values: FloatArray) -> float:
    """Return, of the candidates with the highest value, the one nearest to 0.5, the lower of two."""
    best = candidates[values == values.max()]  # equal ratios of whole numbers are equal floats
    return float(best[np.abs(best - 0.5).argmin()])


def best_threshold(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the threshold that maximises the F1 of one label, over all that decide (n,) scores differently.

    Of several equally good ones, the nearest to 0.5, then the lower. Without a true row that is 0.5.

    Raises
    ------
    UserError
        If shapes differ, there is no row, or values are out of range.
    """
    scores, truths = checked_pair(np.atleast_2d(probabilities), np.atleast_2d(truth))
    p, y = scores.ravel(), truths.ravel()
    candidates = _candidates(p)
    return _nearest_to_half(candidates, _f1(p, y, candidates))


def global_threshold(probabilities: npt.ArrayLike, truth: npt.ArrayLike, pooled: Pooled = "micro") -> float:
    """Return the one threshold that serves all labels best.

    Parameters
    ----------
    pooled
        "micro": by the F1 of all cells pooled, over all thresholds that differ. "macro": by the mean F1 over labels that
        have a true row, over `GRID`.
    """
    p, y = checked_pair(probabilities, truth)
    if pooled == "micro":
        return best_threshold(p.ravel(), y.ravel())
    seen = np.flatnonzero(y.any(axis=0))
    # Rounded, since sums in another order may differ in the last digit and so break a tie by chance.
    means = np.sum([_f1(p[:, label], y[:, label], GRID) for label in seen], axis=0).round(9) if len(seen) else np.zeros(len(GRID))
    return _nearest_to_half(GRID, means)


def choose_thresholds(probabilities: npt.ArrayLike, truth: npt.ArrayLike, min_positives: int = 5, pooled: Pooled = "micro") -> FloatArray:
    """Return (k,) thresholds, each maximising its label's F1 on validation rows.

    A label with fewer than ``min_positives`` true rows gets the global threshold: with so few, the best threshold says
    more about these rows than about the label (Lipton, Elkan and Naryanaswamy 2014, Optimal Thresholding of Classifiers
    to Maximize F1 Measure: the choice overfits on rare labels).

    Parameters
    ----------
    probabilities, truth
        (n, k) validation rows that the model was not fitted on.
    min_positives
        True rows from which a label gets a threshold of its own.
    pooled
        How the global threshold is chosen, see `global_threshold`.

    Raises
    ------
    UserError
        If shapes differ, there is no row, values are out of range, or ``min_positives`` is below 1.
    """
    p, y = checked_pair(probabilities, truth)
    if min_positives < 1:
        raise UserError(f"min_positives is {min_positives}.", where="thresholds", remedy="Use 1 or more.")
    out = np.full(p.shape[1], global_threshold(p, y, pooled))
    for label in np.flatnonzero(y.sum(axis=0) >= min_positives):
        out[label] = best_threshold(p[:, label], y[:, label])
    return out
