"""Shares of texts, with intervals that know of prompts and stories, and their difference from real text."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from emosynth.stats import Interval

REAL = "real"
SEED, OTHER, TEST = "seed", "other", "test"
SOURCES = (SEED, OTHER, TEST)
"""Where real text lies, seen from an arm: the seed that it grew from; other rows for training and choosing, in no seed; test rows."""
LOSS, CALIBRATED, UNTUNED = "loss", "calibrated", "untuned"
"""What membership of a tuned writer's seed is told from, see `emosynth.responsible.tuned`."""
LEVELS = (1, 10)
"""Per cent of false alarms at which seed rows are found."""
COMPARED = ("value", "low", "high", "real", "difference", "difference_low", "difference_high")


@dataclass(frozen=True)
class Rate:
    """A share of n items with its interval; NaN without items. ``effect``: items that say as much as one that shares no cluster."""

    value: float
    interval: Interval
    n: int
    effect: float = 1.0

    def beside(self, real: Rate | None) -> list[float]:
        """Return the numbers of `COMPARED`: the share, and its difference from that of real text (None: it is that, or there is none).

        The interval of the difference of two independent shares is Newcombe's (1998, method 10) hybrid of theirs.
        """
        own = [self.value, self.interval.low, self.interval.high]
        if real is None:
            return [*own, *[math.nan] * 4]
        difference = self.value - real.value
        down = math.hypot(self.value - self.interval.low, real.interval.high - real.value)
        up = math.hypot(self.interval.high - self.value, real.value - real.interval.low)
        return [*own, real.value, difference, difference - down, difference + up]


def rate(hits: Sequence[bool] | np.ndarray, clusters: Sequence[Hashable], confidence: float = 0.95) -> Rate:
    """Return the share of hits with Wilson's interval (1927) at the effective number of items (Rao and Scott 1992).

    Parameters
    ----------
    hits
        n yes or no.
    clusters
        What the items share: a prompt, a story, a text that several people read. If hits fall together there, n counts for less. Where all
        or none are hits nothing tells how they fall, and n counts in full.
    """
    found = np.asarray(hits, dtype=float)
    if not found.size:
        return Rate(math.nan, Interval(math.nan, math.nan), 0)
    numbers: dict[Hashable, int] = {}
    places = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    n, p, m = found.size, float(found.mean()), len(numbers)
    between = float(np.square(np.bincount(places, found - p)).sum()) * m / max(1, m - 1) / n**2
    effect = max(1.0, between * (n - 1) / (p * (1 - p))) if 0 < p < 1 and m > 1 else 1.0
    low, high = proportion_confint(p * n / effect, n / effect, 1 - confidence, method="wilson")
    return Rate(p, Interval(min(p, float(low)), max(p, float(high))), n, effect)
