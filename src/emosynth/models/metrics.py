"""What probabilities are worth on labelled rows, of one label or several.

``threshold`` None is a single-label space: the prediction is the label of the highest probability. A number is a multi-label space: all
labels at or above it, and at least the one of the highest probability, since a row has a label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.errors import UserError
from emosynth.models.checked import BoolArray, FloatArray, checked_pair

BINS = 15
GRID = np.concatenate([np.arange(1, 20) / 200, np.arange(10, 100) / 100])
"""Thresholds tried: 0.005 to 0.095 by halves of a hundredth, then to 0.99: rare labels have small probabilities."""

_FLOOR = 1e-12
_CHUNK = 1024
"""Rows ranked at once: (rows, k, k) comparisons are held in memory."""


def decide(probabilities: npt.ArrayLike, threshold: float | None) -> BoolArray:
    """Return (n, k) predicted labels; see the module for ``threshold``."""
    p = np.asarray(probabilities, dtype=np.float64)
    out: BoolArray = np.zeros(p.shape, dtype=bool) if threshold is None else p >= threshold
    empty = np.flatnonzero(~out.any(axis=1))
    out[empty, p[empty].argmax(axis=1)] = True
    return out


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> FloatArray:
    """Return above / below, 0 where below is 0."""
    top, bottom = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _f1(decided: BoolArray, y: BoolArray) -> FloatArray:
    """Return the (k,) F1 of labels, 0 for one that is neither true nor predicted anywhere."""
    return _ratio(2 * (decided & y).sum(axis=0), decided.sum(axis=0) + y.sum(axis=0))


def macro_f1(probabilities: npt.ArrayLike, truth: npt.ArrayLike, threshold: float | None = None) -> float:
    """Return the mean F1 over all k labels of (n, k) probabilities against (n, k) truth of 0 and 1."""
    return float(_f1(decide(probabilities, threshold), np.asarray(truth) > 0.5).mean())


def log_loss(probabilities: npt.ArrayLike, truth: npt.ArrayLike, *, single: bool) -> float:
    """Return the mean negative log-probability of the truth in nats, cut at 1e-12: per row, or per cell of several labels."""
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(truth) > 0.5
    if single:
        return float(-np.log(np.maximum(p[y], _FLOOR)).sum() / len(p))
    return float(-np.log(np.maximum(np.where(y, p, 1 - p), _FLOOR)).mean())


def row_lrap(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> FloatArray:
    """Return the (n,) label-ranking average precisions of rows; NaN for a row without a true label.

    For each true label of a row, the share of true labels among those ranked as high or higher, averaged over its true labels
    (Schapire and Singer 2000, BoosTexter).
    """
    p, y = checked_pair(probabilities, truth)
    out = np.full(len(p), np.nan)
    for first in range(0, len(p), _CHUNK):
        part, true = p[first : first + _CHUNK], y[first : first + _CHUNK]
        above = part[:, None, :] >= part[:, :, None]  # for each label (axis 1), the labels ranked as high or higher
        precision = (above & true[:, None, :]).sum(axis=2) / above.sum(axis=2)
        out[first : first + _CHUNK] = np.where(true.any(axis=1), _ratio((precision * true).sum(axis=1), true.sum(axis=1)), np.nan)
    return out


def average_precisions(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> FloatArray:
    """Return the (k,) average precisions of labels, rows ranked by probability, ties as one step; NaN for a label without a true row."""
    p, y = checked_pair(probabilities, truth)
    out = np.full(p.shape[1], np.nan)
    for label in np.flatnonzero(y.any(axis=0)):
        order = np.argsort(-p[:, label], kind="stable")
        ends = np.append(np.flatnonzero(np.diff(p[order, label])), len(p) - 1)  # the last row of each run of equal probabilities
        hits = np.cumsum(y[order, label])[ends]
        out[label] = float((np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / hits[-1])
    return out


def macro_average_precision(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the mean of `average_precisions` over labels with a true row; NaN if there is none."""
    found = average_precisions(probabilities, truth)
    return float(found[~np.isnan(found)].mean()) if not np.isnan(found).all() else float("nan")


def reliability(probabilities: npt.ArrayLike, truth: npt.ArrayLike, *, single: bool, bins: int = BINS) -> pd.DataFrame:
    """Return confidence against accuracy in bins of equal mass (Nguyen and O'Connor 2015): bin, confidence, accuracy, count.

    Single-label: of the predicted label of each row, ties in the order of the rows. Else of all (row, label) cells pooled: mean
    probability against the share of true labels; equal probabilities stay in one bin, so the order of the rows has no say.
    """
    p, y = checked_pair(probabilities, truth)
    if single:
        confidence, correct = p.max(axis=1), y[np.arange(len(p)), p.argmax(axis=1)]
        which = np.zeros(len(p), dtype=np.int64)
        for number, part in enumerate(np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(p)))):
            which[part] = number
    else:
        confidence, correct = p.ravel(), y.ravel()
        firsts = [part[0] for part in np.array_split(np.sort(confidence), min(bins, len(confidence)))][1:]
        which = np.searchsorted(firsts, confidence, side="right")
    count = np.bincount(which)
    table = pd.DataFrame(
        {
            "bin": np.arange(len(count)),
            "confidence": _ratio(np.bincount(which, weights=confidence), count),
            "accuracy": _ratio(np.bincount(which, weights=correct), count),
            "count": count,
        }
    )
    return table[table["count"] > 0].reset_index(drop=True)


def scores(probabilities: npt.ArrayLike, truth: npt.ArrayLike, threshold: float | None = None) -> dict[str, float]:
    """Return the scores of (n, k) probabilities against (n, k) truth of 0 and 1.

    Returns
    -------
    dict
        ``macro_f1``: mean F1 over all labels. ``micro_f1``: F1 of all cells pooled; single-label: the accuracy. ``accuracy``: share
        of rows whose predicted labels are exactly the true ones. ``nll``: see `log_loss`. ``brier``: squared distance from the truth:
        summed over labels and averaged over rows (0 to 2) if single-label, averaged over cells (0 to 1) if not. ``ece``: mean distance
        of confidence from accuracy over the bins of `reliability`, weighted by their counts. ``lrap``: mean of `row_lrap` over rows with
        a true label. ``macro_average_precision``: see there.

    Raises
    ------
    UserError
        If shapes differ, there is no row, a value is out of range, or a single-label row has not exactly one true label.
    """
    p, y = checked_pair(probabilities, truth)
    single = threshold is None
    if single and (wrong := np.flatnonzero(y.sum(axis=1) != 1)).size:
        raise UserError(
            "A row of a single-label space has not one true label.", where=f"truth, row {wrong[0]}", remedy="Give a threshold, or mend it."
        )
    decided, labelled = decide(p, threshold), y.any(axis=1)
    table = reliability(p, y, single=single)
    apart = (p - y) ** 2
    return {
        "macro_f1": float(_f1(decided, y).mean()),
        "micro_f1": float(_ratio(2 * (decided & y).sum(), decided.sum() + y.sum())),
        "accuracy": float((decided == y).all(axis=1).mean()),
        "nll": log_loss(p, y, single=single),
        "brier": float(apart.sum(axis=1).mean() if single else apart.mean()),
        "ece": float((table["count"] * (table["confidence"] - table["accuracy"]).abs()).sum() / table["count"].sum()),
        "lrap": float(row_lrap(p[labelled], y[labelled]).mean()) if labelled.any() else float("nan"),
        "macro_average_precision": macro_average_precision(p, y),
    }


def per_class(probabilities: npt.ArrayLike, truth: npt.ArrayLike, labels: Sequence[str], threshold: float | None = None) -> pd.DataFrame:
    """Return one row per label: label, precision, recall, f1 (0 where undefined), support (true rows).

    Raises
    ------
    UserError
        If shapes or values are not as in `scores`, or there is not one label per column.
    """
    p, y = checked_pair(probabilities, truth)
    if len(labels) != p.shape[1]:
        raise UserError(f"There are {len(labels)} labels and {p.shape[1]} columns.", where="labels", remedy="Name each column once.")
    decided = decide(p, threshold)
    hits, claimed, support = (decided & y).sum(axis=0), decided.sum(axis=0), y.sum(axis=0)
    return pd.DataFrame(
        {
            "label": list(labels),
            "precision": _ratio(hits, claimed),
            "recall": _ratio(hits, support),
            "f1": _f1(decided, y),
            "support": support,
        }
    )


def best_threshold(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the one threshold for all labels with the highest F1 of all cells pooled, over `GRID`.

    One for all: with few rows, a label's own best threshold says more about these rows than about the label (Lipton, Elkan and
    Naryanaswamy 2014, Optimal Thresholding of Classifiers to Maximize F1 Measure). Pooled, for the same reason: the mean F1 over labels
    is dominated by those with two or three rows, for which claiming everything is best. (Seeds of 120 and 480 rows of GoEmotions,
    TF-IDF: test macro-F1 of 12.1 and 19.7 in place of 11.3 and 18.7, micro-F1 of 30 and 37 in place of 18 and 30.) Of several equally
    good ones the nearest to 0.5, then the lower. Without a true label 0.5.

    Raises
    ------
    UserError
        If shapes differ, there is no row, or values are out of range.
    """
    p, y = checked_pair(probabilities, truth)
    if not y.any():
        return 0.5

    def pooled(threshold: float) -> float:
        decided = decide(p, threshold)
        return float(2 * (decided & y).sum() / (decided.sum() + y.sum()))

    values = np.array([pooled(float(t)) for t in GRID])  # equal ratios of whole numbers are equal floats
    best = GRID[values == values.max()]
    return float(best[np.abs(best - 0.5).round(9).argmin()])
