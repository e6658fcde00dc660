"""The gain of the best of several arms, without what having been picked on the same test rows adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emosynth.evidence.resampling import Contrast, Draws, FloatArray, common, of_draws
from emosynth.evidence.scored import Group, Scored, seed_of

Halves = tuple[Draws, Draws]
"""F1 of one arm on one half of the test rows and on the other."""


@dataclass(frozen=True)
class Picked:
    """The arm that gains most in a cell.

    Attributes
    ----------
    best
        Picked on everything that there is: what to use.
    among
        How many arms it was picked from: all that were run in every repeat.
    honest
        What picking gains: each repeat and half of the test rows is judged with the arm that the *other* repeats pick on the *other*
        half. None with one repeat, which leaves none to pick on.
    """

    best: Group
    among: int
    honest: Contrast | None


def pick(scored: Scored, arms: Sequence[Group]) -> Picked | None:
    """Pick among arms of one corpus, learner and size; None without any.

    Arms with fewer repeats than the labels alone are left out: the mean of few repeats wins too easily.
    """
    if not arms or seed_of(arms[0]) not in scored.groups:
        return None
    seed = seed_of(arms[0])
    whole = set(scored.draws(seed).repeats)
    full = [group for group in arms if whole <= set(scored.draws(group).repeats)]
    if not full:
        return None
    best = max(full, key=scored.mean)
    given = scored.evidence
    honest = crossed([scored.halves(group) for group in full], scored.halves(seed), given.confidence, given.random_seed)
    return Picked(best, len(full), honest)


def crossed(arms: Sequence[Halves], seed: Halves, confidence: float, random_seed: int) -> Contrast | None:
    """Return the cross-fitted gain of the best arm over the labels alone; None with one repeat.

    Notes
    -----
    Cross-fitting as for any choice made on data: what judges has not chosen. Repeats alone do not do it, since all share their test
    rows. The interval is that of `emosynth.evidence.resampling.of_draws`, but that the variance over repeats is at least the jackknife's of the
    whole procedure: one lucky repeat makes others choose its arm, so that what is gained in two repeats is not independent.
    """
    repeats = common(*(half for halves in (*arms, seed) for half in halves))
    if len(repeats) < 2:
        return None
    points, draws = [], []
    for side in (0, 1):
        base_points, base_draws = seed[side].at(repeats).over()
        own = [halves[side].at(repeats).over() for halves in arms]
        points.append(np.stack([part - base_points for part, _ in own]))
        draws.append(np.stack([part - base_draws for _, part in own]))
    table, places = np.stack(points), np.arange(len(repeats))
    gains, chosen = _judged(table)
    resampled = np.mean([draws[side][chosen[side], :, places].T for side in (0, 1)], axis=0)
    least = 0.0
    if len(repeats) > 2:
        left_out = np.array([_judged(np.delete(table, place, axis=2))[0].mean() for place in places])
        least = (len(repeats) - 1) * float(left_out.var())
    return of_draws(gains, resampled, confidence, random_seed, seed[0].rows + seed[1].rows, least)


def _judged(table: FloatArray) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Return (R,) gains of the chosen arms and (2, R) choices, from (2, arms, R) gains: by half of the test rows, arm and repeat."""
    others = table.sum(axis=2, keepdims=True) - table  # the sum over the other repeats
    chosen = others[::-1].argmax(axis=1)
    return np.take_along_axis(table, chosen[:, None], axis=1)[:, 0].mean(axis=0), chosen
