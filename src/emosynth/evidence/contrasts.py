"""Every arm against the labels alone, against as many real rows and against plain prompts; and what a gain is worth in labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.arms import SEED
from emosynth.evidence.resampling import Contrast, FloatArray
from emosynth.evidence.scored import KEYS, Group, Scored, naive_arm, seed_of
from emosynth.params import Params

AGAINST = ("seed", "real", "naive")
COLUMNS = [
    *KEYS, "against", "other", "score", "gain", "low", "high", "p", "p_better", "repeats", "rows", "worth", "worth_low", "worth_high",
    "n_synthetic", "n_wanted", "n_generated", "tokens", "thrown",
]  # fmt: skip


@dataclass(frozen=True)
class RealCurve:
    """What more real rows gain over the labels alone, by how many there are: what a gain is worth in labels.

    Attributes
    ----------
    own
        Labels of the cell.
    sizes
        (J,) ascending.
    gains, draws
        (J,) and (B, J) gains, made monotone (isotonic regression), interpolated in the logarithm of the size.
    """

    own: int
    sizes: FloatArray
    gains: FloatArray
    draws: FloatArray

    def labels(self, gains: npt.ArrayLike, curves: FloatArray | None = None) -> FloatArray:
        """Return how many more real rows give each gain: infinity beyond the curve's end, minus all labels before its beginning.

        NaN without a curve. Each gain is read off a row of ``curves``; None: all off the estimate.
        """
        values = np.atleast_1d(np.asarray(gains, dtype=float))
        rows = np.broadcast_to(self.gains if curves is None else curves, (len(values), len(self.sizes)))
        if len(self.sizes) < 2:
            return np.full(len(values), np.nan)
        after = np.clip((rows < values[:, None]).sum(axis=1), 1, len(self.sizes) - 1)
        places, logs = np.arange(len(values)), np.log(self.sizes)
        low, high = rows[places, after - 1], rows[places, after]
        share = np.divide(values - low, high - low, out=np.zeros(len(values)), where=high > low).clip(0, 1)
        found = np.exp(logs[after - 1] + share * (logs[after] - logs[after - 1])) - self.own
        found = np.where(values > rows[:, -1], np.inf, np.where(values < rows[:, 0], -float(self.own), found))
        return np.asarray(np.where(np.isnan(values), np.nan, found), dtype=np.float64)

    def worth(self, found: Contrast, confidence: float) -> tuple[float, float, float]:
        """Return how many more real rows a gain is worth, and the interval: draw by draw, so that the curve's own is in it."""
        if not len(self.sizes):
            return math.nan, math.nan, math.nan
        drawn = self.labels(found.draws, self.draws)
        # Beyond the curve's end is infinity, between which nothing can be interpolated.
        low, high = (float(np.quantile(drawn, share, method="nearest")) for share in ((1 - confidence) / 2, (1 + confidence) / 2))
        return float(self.labels(found.effect)[0]), low, high


def real_curve(scored: Scored, params: Params, seed: Group) -> RealCurve:
    """Return what real rows gain in a cell: the labels alone at every seed size, and real expansions as they come."""
    from scipy.optimize import isotonic_regression

    made: dict[int, list[Contrast]] = {}
    for group, trials in scored.groups.items():
        real = group.arm == SEED or (group.arm in params.arms and params.arms[group.arm].add == "real")
        if (group.corpus, group.learner, group.sweep, group.budget) == (seed.corpus, seed.learner, "", "accepted") and real:
            found = scored.compare(group, seed)
            if found is not None:
                made.setdefault(round(float(trials["n_real"].mean())), []).append(found)
    sizes = sorted(made)
    if not sizes:
        return RealCurve(seed.size, np.zeros(0), np.zeros(0), np.zeros((0, 0)))
    weights = np.array([sum(item.repeats for item in made[size]) for size in sizes], dtype=float)

    def mean(size: int, values: Callable[[Contrast], Any]) -> Any:
        return np.average([values(item) for item in made[size]], axis=0, weights=[item.repeats for item in made[size]])

    points = np.array([mean(size, lambda item: item.effect) for size in sizes])
    draws = np.column_stack([mean(size, lambda item: item.draws) for size in sizes])
    monotone = [isotonic_regression(row, weights=weights).x for row in (points, *draws)]
    return RealCurve(seed.size, np.array(sizes, dtype=float), monotone[0], np.array(monotone[1:]))


def contrasts(scored: Scored, params: Params) -> pd.DataFrame:
    """Compare every arm, in every cell it was run in, with three others.

    Returns
    -------
    pandas.DataFrame
        A row an arm (version, budget, value of a sweep), corpus, learner, size and opponent ``against`` (`AGAINST`; ``other``: its arm).
        ``score``, ``gain``, ``low``, ``high`` are macro-F1 between 0 and 1. ``worth``: further real labels that give as much as the gain,
        with an interval (infinity: more than the real curve reaches). ``thrown``: rows written and not used. Counts and
        tokens are means over repeats.
    """
    naive = naive_arm(params)
    curves: dict[Group, RealCurve] = {}
    rows: list[list[object]] = []
    for group, trials in scored.groups.items():
        if group.arm == SEED:
            continue
        key = seed_of(group)
        if key in scored.groups and key not in curves:
            curves[key] = real_curve(scored, params, key)
        costs = trials[["n_synthetic", "n_wanted", "n_generated", "tokens"]].astype(float).mean()
        thrown = max(0.0, float(costs["n_generated"] - costs["n_synthetic"]))
        for against in AGAINST:
            other = _opponent(against, group, scored, params, naive)
            if other is None or other == group or (group.sweep and against != "seed"):
                continue
            found = scored.compare(group, other)
            if found is None:
                continue
            worth = curves[key].worth(found, scored.evidence.confidence) if against == "seed" else [math.nan] * 3
            rows.append(
                [*(getattr(group, name) for name in KEYS), against, other.arm, scored.mean(group), found.effect, found.low, found.high, found.p,
                 found.p_better, found.repeats, found.rows, *worth, *costs.tolist(), thrown]
            )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _opponent(against: str, group: Group, scored: Scored, params: Params, naive: str | None) -> Group | None:
    if against == "seed":
        return seed_of(group)
    if against == "real":
        return scored.real_of(params, group)
    if naive is None or group.arm not in params.arms or params.arms[group.arm].add != "written":
        return None
    same = Group(group.corpus, group.learner, group.size, naive, group.version, group.budget)
    return same if same in scored.groups else group.with_arm(naive, group.version)
