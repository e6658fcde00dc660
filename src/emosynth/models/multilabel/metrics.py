"""What per-label probabilities are worth on rows with several labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score

from emosynth.errors import UserError
from emosynth.models.classifiers import FloatArray
from emosynth.models.multilabel.rows import BoolArray, checked_pair, checked_thresholds

BINS = 15
"""As many bins as `emosynth.learning.scores` has."""

_CHUNK = 1024
"""Rows ranked at once: (rows, k, k) comparisons are held in memory."""


def binarise(probabilities: npt.ArrayLike, thresholds: npt.ArrayLike, at_least_one: bool = False) -> BoolArray:
    """Return (n, k) decisions: probability at or above its label's threshold.

    Parameters
    ----------
    probabilities
        (n, k).
    thresholds
        (k,), or one number for all labels.
    at_least_one
        A row without any label gets the one of its highest probability, the first of several.

    Raises
    ------
    UserError
        If there is not one threshold per label.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    out: BoolArray = p >= checked_thresholds(thresholds, p.shape[1])
    if at_least_one:
        empty = np.flatnonzero(~out.any(axis=1))
        out[empty, p[empty].argmax(axis=1)] = True
    return out


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> FloatArray:
    """Return above / below, 0 where below is 0."""
    top, bottom = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def calibration_error(probabilities: npt.ArrayLike, truth: npt.ArrayLike, bins: int = BINS) -> float:
    """Return the expected calibration error of all (row, label) cells pooled.

    Cells are sorted by probability and cut into bins of equal mass (Nguyen and O'Connor 2015, as in
    `emosynth.learning.scores`); equal probabilities stay in one bin, so the order of the rows has no say. The error is
    the mean distance of a bin's mean probability from its share of true labels, weighted by its size.
    """
    p, y = (np.ravel(values) for values in checked_pair(probabilities, truth))
    ordered = np.sort(p)
    firsts = [part[0] for part in np.array_split(ordered, min(bins, len(ordered)))][1:]
    which = np.searchsorted(firsts, p, side="right")
    return float(np.abs(np.bincount(which, weights=p) - np.bincount(which, weights=y)).sum() / len(p))


def row_lrap(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> FloatArray:
    """Return the (n,) label-ranking average precisions of rows; NaN for a row without a true label.

    For each true label of a row, the share of true labels among those ranked as high or higher, averaged over its true labels
    (Schapire and Singer 2000, BoosTexter). The mean over rows is scikit-learn's ``label_ranking_average_precision_score``,
    which ranks row by row in Python and took most of the time of a transfer run.

    Raises
    ------
    UserError
        As in `scores`.
    """
    p, y = checked_pair(probabilities, truth)
    out = np.full(len(p), np.nan)
    for first in range(0, len(p), _CHUNK):
        part, true = p[first : first + _CHUNK], y[first : first + _CHUNK]
        above = part[:, None, :] >= part[:, :, None]  # for each label (axis 1), the labels ranked as high or higher
        precision = (above & true[:, None, :]).sum(axis=2) / above.sum(axis=2)
        out[first : first + _CHUNK] = np.where(true.any(axis=1), _ratio((precision * true).sum(axis=1), true.sum(axis=1)), np.nan)
    return out


def scores(
    probabilities: npt.ArrayLike, truth: npt.ArrayLike, thresholds: npt.ArrayLike = 0.5, at_least_one: bool = False
) -> dict[str, float]:
    """Return the scores of (n, k) probabilities against (n, k) truth of 0 and 1.

    Returns
    -------
    dict
        ``macro_f1``: mean F1 over all labels, 0 for a label that is neither true nor predicted anywhere.
        ``micro_f1``: F1 of all cells pooled.
        ``lrap``: mean of `row_lrap` over the rows with a true label; scikit-learn would count the others as 1. NaN if
        there are none.
        ``macro_average_precision``: mean over labels with a true row; NaN if there are none.
        ``labels_without_positives``: labels that it leaves out.
        ``ece``: see `calibration_error`. ``brier``: mean squared distance over cells, 0 to 1.
        ``argmax_accuracy``, ``argmax_macro_f1``: of the label of the highest probability (the first of several), over
        all labels; NaN unless every row has exactly one true label. ``rows``: n.

    Raises
    ------
    UserError
        If shapes differ, there is no row, or values are out of range.
    """
    p, y = checked_pair(probabilities, truth)
    decided = binarise(p, thresholds, at_least_one)
    hits, claimed, support = (decided & y).sum(axis=0), decided.sum(axis=0), y.sum(axis=0)
    labelled, seen = y.any(axis=1), support > 0
    single = bool((y.sum(axis=1) == 1).all())
    best, only = p.argmax(axis=1), y.argmax(axis=1)
    labels = list(range(p.shape[1]))
    return {
        "macro_f1": float(_ratio(2 * hits, claimed + support).mean()),
        "micro_f1": float(_ratio(2 * hits.sum(), claimed.sum() + support.sum())),
        "lrap": float(row_lrap(p[labelled], y[labelled]).mean()) if labelled.any() else float("nan"),
        "macro_average_precision": (
            float(np.mean([average_precision_score(y[:, label], p[:, label]) for label in np.flatnonzero(seen)]))
            if seen.any()
            else float("nan")
        ),
        "labels_without_positives": float((~seen).sum()),
        "ece": calibration_error(p, y),
        "brier": float(((p - y) ** 2).mean()),
        "argmax_accuracy": float((best == only).mean()) if single else float("nan"),
        "argmax_macro_f1": float(f1_score(only, best, labels=labels, average="macro", zero_division=0.0)) if single else float("nan"),
        "rows": float(len(p)),
    }


def per_class(
    probabilities: npt.ArrayLike,
    truth: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    labels: Sequence[str],
    at_least_one: bool = False,
) -> pd.DataFrame:
    """Return one row per label: label, precision, recall, f1 (0 where undefined), support (true rows) and threshold.

    Raises
    ------
    UserError
        As in `scores`, or if there is not one label per column.
    """
    p, y = checked_pair(probabilities, truth)
    if len(labels) != p.shape[1]:
        raise UserError(f"There are {len(labels)} labels and {p.shape[1]} columns.", where="labels", remedy="Name each column once.")
    decided = binarise(p, thresholds, at_least_one)
    hits, claimed, support = (decided & y).sum(axis=0), decided.sum(axis=0), y.sum(axis=0)
    return pd.DataFrame(
        {
            "label": list(labels),
            "precision": _ratio(hits, claimed),
            "recall": _ratio(hits, support),
            "f1": _ratio(2 * hits, claimed + support),
            "support": support,
            "threshold": checked_thresholds(thresholds, p.shape[1]),
        }
    )
