"""Means, paired differences and how numbers are written in the report.

These summarise repeats for figures. What is concluded from them (corrected p, equivalence) is
computed in the evidence step and read from ``claims.json``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosynth.stats import t_interval

__all__ = ["Mean", "count", "interval", "paired", "per_cent", "points", "share", "span", "summary", "summary_by"]

POINTS = 100.0  # F1 is shown in points: 0.612 is 61.2


@dataclass(frozen=True)
class Mean:
    """Mean over repeats with a t-interval; ``low`` and ``high`` are NaN with fewer than two repeats."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)


def summary(values: Sequence[float] | np.ndarray | pd.Series, confidence: float) -> Mean:
    """Return mean and two-sided t-interval of independent repeats (missing values left out)."""
    array = np.asarray(values, dtype=float)
    array = array[~np.isnan(array)]
    n = len(array)
    if n == 0:
        return Mean(math.nan, math.nan, math.nan, 0)
    mean = float(array.mean())
    if n == 1:
        return Mean(mean, math.nan, math.nan, 1)
    found = t_interval(array, confidence)
    return Mean(mean, found.low, found.high, n)


def summary_by(frame: pd.DataFrame, keys: list[str], value: str, confidence: float, scale: float = 1.0) -> pd.DataFrame:
    """Summarise ``value`` over the rows of each group, sorted by the keys: columns keys, mean, low, high, repeats."""
    rows = []
    for key, group in frame.groupby(keys, sort=True, observed=True):
        found = summary(group[value] * scale, confidence)
        rows.append([*(key if isinstance(key, tuple) else (key,)), found.mean, found.low, found.high, found.n])
    return pd.DataFrame(rows, columns=[*keys, "mean", "low", "high", "repeats"])


def paired(
    frame: pd.DataFrame, first: dict[str, object], second: dict[str, object], by: list[str], value: str, scale: float = POINTS
) -> pd.DataFrame:
    """Return differences first − second of the rows that agree in ``by``: columns ``by`` and ``difference``.

    Parameters
    ----------
    frame
        Scores.
    first, second
        Column values that pick the two sides, e.g. ``{"arm": "shap", "verified": True}``.
    by
        Columns that pair rows: the repeat (same seed rows) and whatever else is held equal.
    """

    def side(wanted: dict[str, object]) -> pd.Series:
        rows = frame
        for column, content in wanted.items():
            rows = rows[rows[column] == content]
        return rows.groupby(by, sort=True, observed=True)[value].mean()

    difference = (side(first) - side(second)).dropna() * scale
    return difference.rename("difference").reset_index()


def points(value: float, sign: bool = False, digits: int = 1) -> str:
    """Write a number with a true minus sign: ``+0.8``, ``−1.2``, ``61.2``; unknown values as a dash."""
    if value is None or math.isnan(value):
        return "–"
    rounded = round(value, digits) + 0.0
    text = f"{abs(rounded):.{digits}f}"
    return ("−" if rounded < 0 else "+" if sign and rounded > 0 else "") + text


def interval(found: Mean, confidence: float, sign: bool = False, digits: int = 1) -> str:
    """Write the interval: ``95 % interval −1.2 … 2.8``, or why there is none."""
    if not found.known:
        return "one repeat, no interval" if found.n == 1 else "no repeats"
    return f"{per_cent(confidence)} interval {span(found.low, found.high, sign, digits)}"


def span(low: float, high: float, sign: bool = False, digits: int = 1) -> str:
    """Write two limits so that no line breaks between them."""
    return f"{points(low, sign, digits)}\u00a0…\u00a0{points(high, sign, digits)}"


def per_cent(value: float, digits: int = 0) -> str:
    """Write a share as per cent with a no-break space."""
    return "–" if value is None or math.isnan(value) else f"{points(100 * value, digits=digits)}\u00a0%"


def share(part: int, whole: int) -> str:
    """Write a count with its share of the whole."""
    return f"{count(part)} of {count(whole)}" + (f" ({per_cent(part / whole)})" if whole else "")


def count(value: float) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{round(value):,}".replace(",", "\u202f")
