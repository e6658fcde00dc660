"""Every arm against the labels alone, against as many real rows and against plain prompts; and what a gain is worth in labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.arms import SEED, resolve_arm
from emosynth.evidence.scored import KEYS, Group, Scored, naive_arm, seed_of
from emosynth.params import Arm, Params
from emosynth.resampling import Contrast, Draws, FloatArray, common, of_draws
from emosynth.stats import holm

AGAINST = ("seed", "real", "naive")
COLUMNS = [
    *KEYS, "against", "other", "score", "gain", "low", "high", "p", "p_better", "repeats", "rows", "worth", "worth_low", "worth_high",
    "n_synthetic", "n_wanted", "n_generated", "tokens", "thrown",
]  # fmt: skip


@dataclass(frozen=True)
class RealCurve:
    """What more real rows gain over the labels alone: what a gain is worth in labels.

    ``own``: labels of the cell. ``sizes``: (J,) ascending. ``gains``, ``draws``: (J,) and (B, J), made monotone, interpolated in log size.
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
    """Compare every arm, in every cell it was run in, with three others (`AGAINST`; ``other``: the opponent's arm): `COLUMNS`.

    ``score``, ``gain``, ``low``, ``high`` are macro-F1 between 0 and 1. ``worth``: further real labels that give as much, with interval
    (infinity: more than the real curve reaches). ``thrown``: rows written and not used. Counts and tokens are means over repeats.
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


# --- the gain of the best of several arms, without what having been picked on the same test rows adds to it ---

Halves = Sequence[tuple[Draws, Draws]]
"""F1 of one arm on one half of the test rows and on the other, for each of several ways to halve them."""


LEAST = 3
"""Paired repeats from which an arm of fewer repeats than the labels alone is picked: of two, one chooses and the interval has one degree of freedom."""


@dataclass(frozen=True)
class Picked:
    """The arm that gains most in a cell, ``among`` all that were run in repeats enough, and the ``repeats`` that this was judged on.

    ``honest``: what picking gains: each repeat and half of the test rows is judged with the arm that the *other* repeats pick on the
    *other* half. None with one repeat. ``sets``: of how many sets of repeats this one was chosen; ``confidence``: of its interval, so that
    those of all sets hold together.
    """

    best: Group
    among: int
    honest: Contrast | None
    repeats: tuple[int, ...]
    sets: int
    confidence: float

    @property
    def p(self) -> float:
        """Two-sided p of no gain, corrected for ``sets``; NaN with one repeat."""
        return math.nan if self.honest is None else min(1.0, self.sets * self.honest.p)


def pick(scored: Scored, arms: Sequence[Group]) -> Picked | None:
    """Pick among arms of one corpus, learner and size; None without any.

    Arms are compared on repeats that all of them have: those of the labels alone, and each smaller set (of `LEAST` at least) that an arm was
    run in, with every arm that was run in all of it. Of each set one arm gains most; of these, one whose gain is shown comes before one
    whose is not, then, where none is shown, the set of more repeats, and the larger cross-fitted gain. Which sets there are is designed, which one is told depends on the data: Bonferroni.
    """
    if not arms or seed_of(arms[0]) not in scored.groups:
        return None
    seed, given = seed_of(arms[0]), scored.evidence
    whole = scored.draws(seed).repeats
    own = {group: common(scored.draws(seed), scored.draws(group)) for group in arms}
    own = {group: repeats for group, repeats in own.items() if len(repeats) >= min(LEAST, len(whole))}
    sets = sorted(set(own.values()), key=lambda repeats: (-len(repeats), repeats))
    level, found = 1 - (1 - given.confidence) / max(1, len(sets)), []
    for repeats in sets:
        here = [group for group, theirs in own.items() if set(repeats) <= set(theirs)]
        best = max(here, key=lambda group: scored.mean(group, repeats))
        if own[best] == repeats:  # an arm of more repeats is told by these
            one = scored.combine([(1.0, best), (-1.0, seed)], repeats=repeats)
            least = 0.0 if one is None else one.spread.by_repeats  # picking cannot make a gain surer than that of the arm that is picked
            honest = crossed([scored.halves(group) for group in here], scored.halves(seed), level, given.random_seed, least)
            found.append(Picked(best, len(own), honest, repeats, len(sets), level))
    return max(found, key=lambda one: _rank(one, given.alpha), default=None)


def _rank(found: Picked, alpha: float) -> tuple[bool, int, float]:
    gain = -math.inf if found.honest is None else found.honest.effect
    shown = gain > 0 and found.p < alpha
    # A gain that is not shown is larger the noisier it is: of few repeats it would be told for its noise.
    return shown, 0 if shown else len(found.repeats), gain


def crossed(arms: Sequence[Halves], seed: Halves, confidence: float, random_seed: int, least: float = 0.0) -> Contrast | None:
    """Return the cross-fitted gain of the best arm over the labels alone; None with one repeat.

    What judges has not chosen; repeats alone do not do it, since all share their test rows. How these are halved has a say, so that the mean
    over several ways is told, with the mean of their variances over rows. The interval is that of `of_draws`, but the variance over repeats
    is at least ``least``, and the jackknife's of the whole procedure: one lucky repeat makes others choose its arm.
    """
    repeats = common(*(half for halves in (*arms, seed) for pair in halves for half in pair))
    if len(repeats) < 2:
        return None
    found = [_split([halves[way] for halves in arms], seed[way], repeats) for way in range(len(seed))]
    gains = np.mean([gains for gains, _, _ in found], axis=0)
    resampled = np.concatenate([drawn - own + gains for own, drawn, _ in found])
    if len(repeats) > 2:
        left_out = np.mean([means for _, _, means in found], axis=0)
        least = max(least, (len(repeats) - 1) * float(left_out.var()))
    return of_draws(gains, resampled, confidence, random_seed, seed[0][0].rows + seed[0][1].rows, least)


def _split(
    arms: Sequence[tuple[Draws, Draws]], seed: tuple[Draws, Draws], repeats: tuple[int, ...]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return by one way to halve the test rows (R,) gains, (B, R) on resamples, and (R,) mean gains with each repeat left out (R > 2)."""
    points, draws = [], []
    for side in (0, 1):
        base_points, base_draws = seed[side].at(repeats).over()
        own = [halves[side].at(repeats).over() for halves in arms]
        points.append(np.stack([part - base_points for part, _ in own]))
        draws.append(np.stack([part - base_draws for _, part in own]))
    table, places = np.stack(points), np.arange(len(repeats))
    gains, chosen = _judged(table)
    resampled = np.mean([draws[side][chosen[side], :, places].T for side in (0, 1)], axis=0)
    left_out = [_judged(np.delete(table, place, axis=2))[0].mean() for place in places] if len(repeats) > 2 else []
    return gains, resampled, np.array(left_out)


def _judged(table: FloatArray) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Return (R,) gains of the chosen arms and (2, R) choices, from (2, arms, R) gains: by half of the test rows, arm and repeat."""
    others = table.sum(axis=2, keepdims=True) - table  # the sum over the other repeats
    chosen = others[::-1].argmax(axis=1)
    return np.take_along_axis(table, chosen[:, None], axis=1)[:, 0].mean(axis=0), chosen


# --- what to do with n labelled posts: the best arm by corpus, size and learner, without what picking adds to its gain ---

ANSWERS = [
    "corpus", "size", "learner", "kind", "repeats", "rows", "arm", "among", "left", "sets", "own", "picked", "gain", "low", "high", "p", "p_adjusted", "p_better",
    "shown", "worth", "worth_low", "worth_high", "reach", "added", "written", "tokens", "each", "cheaper",
]  # fmt: skip


def answers(scored: Scored, params: Params, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Return what to do by corpus, seed size and kind of learner (of each the best with the labels alone is asked): `ANSWERS`.

    ``repeats``: paired ones of the arm and the labels alone, from which the row is. ``among``: arms picked from (`pick`); ``left``: other
    usable arms; ``sets``: sets of repeats compared, for which ``low``, ``high``, ``p`` are corrected. ``own``: macro-F1 of the labels alone.
    ``picked``: gain of the arm as picked, which flatters. ``gain``, ``low``, ``high``, ``p``: cross-fitted (`crossed`); NaN with one repeat.
    ``p``: NaN with fewer than `LEAST` repeats. ``p_adjusted``: Holm over all rows; ``shown``: above zero after it. ``p_better``: P(gain > 0), with one repeat as picked. ``worth``: in
    labels; ``reach``: labels up to the real curve's end. ``added``, ``written``, ``tokens``: means over repeats; ``each``: tokens a row
    added. ``cheaper``: arms of fewer tokens equivalent to the best, corrected for their number.
    """
    rows: list[list[object]] = []
    for corpus in params.corpora.names:
        seeds = [group for group in scored.groups if (group.corpus, group.arm, group.sweep) == (corpus, SEED, "")]
        for size in sorted({group.size for group in seeds}):
            for kind in dict.fromkeys(kinds.values()):
                here = [group for group in seeds if group.size == size and kinds.get(group.learner) == kind]
                seed = scored.best(group for group in here if written_arms(scored, params, group))
                found = None if seed is None else pick(scored, written_arms(scored, params, seed))
                if seed is not None and found is not None:
                    rows.append(_row(scored, params, seed, kind, found))
    frame = pd.DataFrame(rows, columns=ANSWERS)
    frame.loc[frame["repeats"] < LEAST, "p"] = math.nan  # of two, one chooses and the other judges: no test
    frame["p_adjusted"] = holm(frame["p"].to_numpy(dtype=float))
    frame["shown"] = (frame["p_adjusted"] < params.evidence.alpha) & (frame["gain"] > 0)
    return frame


def usable(arm: Arm) -> bool:
    """Whether an arm is something to do: it writes rows, and is neither a control (shuffled labels, random removal) nor a priced defect."""
    control = "shuffled" in ([arm.labels] if isinstance(arm.labels, str) else arm.labels) or arm.mix.select != "index"
    return arm.add == "written" and not arm.flaws and not control


def model_writes(params: Params, name: str) -> bool:
    """Whether a language model writes rows of an arm, its own or those of arms that it is made of; edits of seed rows are nobody's writing."""
    spec = params.arms[name]
    parts = [name, *spec.plus, *([spec.after] if spec.after else [])]
    origins = [resolve_arm(params, part).origin for part in parts if part in params.arms]
    return any(origin is not None and origin.edits is None for origin in origins)


def candidates(params: Params) -> list[str]:
    """Return the arms that are picked from: usable ones whose rows a language model writes, for that is what the answer is about."""
    return [name for name, arm in params.arms.items() if usable(arm) and model_writes(params, name)]


def written_arms(scored: Scored, params: Params, seed: Group) -> list[Group]:
    """Return the `candidates` of a cell: checked rows, equal accepted rows, outside sweeps."""
    return [group for group in map(seed.with_arm, candidates(params)) if group in scored.groups]


def _row(scored: Scored, params: Params, seed: Group, kind: str, found: Picked) -> list[object]:
    best, honest = found.best, found.honest
    as_picked = scored.compare(best, seed)
    assert as_picked is not None
    gain, low, high, better = (
        (math.nan, math.nan, math.nan, as_picked.p_better) if honest is None else (honest.effect, honest.low, honest.high, honest.p_better)
    )
    curve = real_curve(scored, params, seed)
    reach = float(curve.sizes[-1]) - seed.size if len(curve.sizes) else math.nan
    left = len(candidates(params)) - found.among
    added, written, tokens = costs(scored, best)
    return [
        seed.corpus, seed.size, seed.learner, kind, len(found.repeats), scored.rows(seed.corpus), best.arm, found.among, left, found.sets, scored.mean(seed, found.repeats),
        as_picked.effect, gain, low, high, found.p, math.nan, better, False,
        *curve.worth(honest or as_picked, found.confidence), reach, added, written, tokens, tokens / max(1.0, added), " ".join(_cheaper(scored, params, best, tokens)),
    ]  # fmt: skip


def costs(scored: Scored, group: Group) -> tuple[float, float, float]:
    """Return rows added, rows written for them, and tokens of these; means over repeats."""
    added, written, tokens = scored.groups[group][["n_synthetic", "n_generated", "tokens"]].astype(float).mean()
    return float(added), float(written), float(tokens)


def _cheaper(scored: Scored, params: Params, best: Group, tokens: float) -> list[str]:
    """Return the arms that take fewer tokens and are equivalent to the best."""
    rivals = [group for group in written_arms(scored, params, seed_of(best)) if costs(scored, group)[2] < tokens]
    p = holm(np.array([scored.equivalence(params, group, best, params.evidence.margin).p for group in rivals]))
    return [group.arm for group, value in zip(rivals, p, strict=True) if value < params.evidence.alpha]
