"""Every arm against the labels alone, against as many real rows and against plain prompts; and what a gain is worth in labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.arms import SEED
from emosynth.evidence.resampling import Contrast
from emosynth.evidence.scored import KEYS, Group, Scored, naive_arm, seed_of
from emosynth.params import Params

AGAINST = ("seed", "real", "naive")
COLUMNS = [
    *KEYS, "against", "other", "score", "gain", "low", "high", "p", "p_better", "repeats", "rows", "worth", "worth_low", "worth_high",
    "n_synthetic", "n_wanted", "n_generated", "tokens", "thrown",
]  # fmt: skip


@dataclass(frozen=True)
class RealCurve:
    """Macro-F1 of a learner by number of real rows: what a score is worth in labels.

    Attributes
    ----------
    sizes, scores
        Ascending; scores made monotone (isotonic regression), interpolated in the logarithm of the size.
    """

    sizes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]

    def labels(self, score: float) -> float:
        """Return how many real rows give a score: infinity beyond the curve's end, 0 below its beginning, NaN without a curve."""
        if len(self.sizes) < 2 or math.isnan(score):
            return math.nan
        if score > self.scores[-1]:
            return math.inf
        if score < self.scores[0]:
            return 0.0
        last = int(np.searchsorted(self.scores, score, side="left"))
        if last == 0:
            return float(self.sizes[0])
        (low, high), (first, second) = self.scores[last - 1 : last + 1], np.log(self.sizes[last - 1 : last + 1])
        return float(np.exp(first + (second - first) * (score - low) / (high - low)))


def real_curve(scored: Scored, params: Params, corpus: str, learner: str) -> RealCurve:
    """Return the learning curve on real rows: the labels alone at every seed size, and real expansions as they come."""
    from sklearn.isotonic import IsotonicRegression

    points: list[tuple[float, float, int]] = []
    for group, trials in scored.groups.items():
        real = group.arm == SEED or (group.arm in params.arms and params.arms[group.arm].add == "real")
        if (group.corpus, group.learner, group.sweep, group.budget) == (corpus, learner, "", "accepted") and real:
            points.append((float(trials["n_real"].mean()), scored.mean(group), len(trials)))
    if not points:
        return RealCurve(np.zeros(0), np.zeros(0))
    frame = pd.DataFrame(points, columns=["n", "score", "weight"]).round({"n": 0}).sort_values("n", kind="stable")
    frame["score"] *= frame["weight"]
    merged = frame.groupby("n")[["score", "weight"]].sum()
    sizes, scores = merged.index.to_numpy(dtype=float), (merged["score"] / merged["weight"]).to_numpy(dtype=float)
    return RealCurve(sizes, np.asarray(IsotonicRegression().fit_transform(np.log(sizes), scores), dtype=np.float64))


def contrasts(scored: Scored, params: Params) -> pd.DataFrame:
    """Compare every arm, in every cell it was run in, with three others.

    Returns
    -------
    pandas.DataFrame
        A row an arm (version, budget, value of a sweep), corpus, learner, size and opponent ``against`` (`AGAINST`; ``other``: its arm).
        ``score``, ``gain``, ``low``, ``high`` are macro-F1 between 0 and 1. ``worth``: further real labels that give as much as the gain,
        with those at the interval's ends (infinity: more than the real curve reaches). ``thrown``: rows written and not used. Counts and
        tokens are means over repeats.
    """
    naive = naive_arm(params)
    curves: dict[tuple[str, str], RealCurve] = {}
    rows: list[list[object]] = []
    for group, trials in scored.groups.items():
        if group.arm == SEED:
            continue
        key = group.corpus, group.learner
        if key not in curves:
            curves[key] = real_curve(scored, params, *key)
        costs = trials[["n_synthetic", "n_wanted", "n_generated", "tokens"]].astype(float).mean()
        thrown = max(0.0, float(costs["n_generated"] - costs["n_synthetic"]))
        for against in AGAINST:
            other = _opponent(against, group, scored, params, naive)
            if other is None or other == group or (group.sweep and against != "seed"):
                continue
            found = scored.compare(group, other)
            if found is None:
                continue
            worth = _worth(scored, group, curves[key], found) if against == "seed" else [math.nan] * 3
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


def _worth(scored: Scored, group: Group, curve: RealCurve, found: Contrast) -> list[float]:
    base = scored.mean(seed_of(group))
    return [curve.labels(base + value) - group.size for value in (found.effect, found.low, found.high)]
