"""How readings of claims put numbers into words."""

from __future__ import annotations

import math

from emosynth.stats import Interval


def points(value: float) -> str:
    """Return a share as signed hundredths: 0.012 as ``+1.2``."""
    return f"{100 * value:+.1f}"


def span_text(interval: Interval, n: int, confidence: float) -> str:
    """Return an interval over n repeats, in points, or why there is none."""
    if math.isnan(interval.low):
        return f"no interval, {'one repeat' if n == 1 else f'{n} equal repeats'}"
    return f"{confidence:.0%} interval {points(interval.low)} to {points(interval.high)}, {n} repeats"
