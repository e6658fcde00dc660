"""What to do with n labelled posts: the best arm by corpus, size and learner, without what picking adds to its gain."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from emosynth.design.arms import SEED
from emosynth.evidence.contrasts import real_curve
from emosynth.evidence.picked import Picked, pick
from emosynth.evidence.scored import Group, Scored, seed_of
from emosynth.params import Arm, Params
from emosynth.stats import holm

COLUMNS = [
    "corpus", "size", "learner", "kind", "repeats", "rows", "arm", "among", "left", "own", "picked", "gain", "low", "high", "p", "p_adjusted", "p_better",
    "shown", "worth", "worth_low", "worth_high", "reach", "added", "written", "tokens", "each", "cheaper",
]  # fmt: skip


def answers(scored: Scored, params: Params, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Return what to do, one row a corpus, seed size and kind of learner: `COLUMNS`.

    Parameters
    ----------
    kinds
        Learner -> its kind: the best of each kind with the labels alone is asked.

    Returns
    -------
    pandas.DataFrame
        ``repeats``, ``rows``: of the labels alone, and test rows. ``among``: arms picked from, those run in every repeat; ``left``: further usable arms
        of the profile, run in fewer repeats or not in this cell. ``own``: macro-F1 of the labels alone. ``picked``: gain of the arm as picked, which
        flatters it. ``gain``, ``low``, ``high``, ``p``: cross-fitted (`emosynth.evidence.picked`); NaN with one repeat. ``p_adjusted``: Holm's
        correction over all rows; ``shown``: above zero after it. ``p_better``: P(the cross-fitted gain is above zero), with one repeat that of the arm
        as picked. ``worth``: in labels; ``reach``: further labels up to the end of the real curve. ``added``, ``written``, ``tokens``: rows added by the
        arm, rows written for them and their tokens, means over repeats; ``each``: tokens a row added. ``cheaper``: arms that take fewer tokens and are equivalent to the best,
        corrected for their number, with spaces between.
    """
    rows: list[list[object]] = []
    for corpus in params.corpora.names:
        seeds = [group for group in scored.groups if (group.corpus, group.arm, group.sweep) == (corpus, SEED, "")]
        for size in sorted({group.size for group in seeds}):
            for kind in dict.fromkeys(kinds.values()):
                of_kind = [
                    group
                    for group in seeds
                    if group.size == size and kinds.get(group.learner) == kind and written_arms(scored, params, group)
                ]
                if not of_kind:
                    continue
                seed = max(of_kind, key=scored.mean)
                found = pick(scored, written_arms(scored, params, seed))
                if found is not None:
                    rows.append(_row(scored, params, seed, kind, found))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["p_adjusted"] = holm(frame["p"].to_numpy(dtype=float))
    frame["shown"] = (frame["p_adjusted"] < params.evidence.alpha) & (frame["gain"] > 0)
    return frame


def usable(arm: Arm) -> bool:
    """Whether an arm is something to do: it writes rows, and is neither a control (shuffled labels, random removal) nor a priced defect."""
    control = "shuffled" in ([arm.labels] if isinstance(arm.labels, str) else arm.labels) or arm.mix.select != "index"
    return arm.add == "written" and not arm.flaws and not control


def written_arms(scored: Scored, params: Params, seed: Group) -> list[Group]:
    """Return the usable arms of a cell: checked rows, equal accepted rows, outside sweeps."""
    names = (name for name, arm in params.arms.items() if usable(arm))
    return [group for group in map(seed.with_arm, names) if group in scored.groups]


def _row(scored: Scored, params: Params, seed: Group, kind: str, found: Picked) -> list[object]:
    best, honest = found.best, found.honest
    as_picked = scored.compare(best, seed)
    assert as_picked is not None
    gain, p, better = (as_picked.effect, math.nan, as_picked.p_better) if honest is None else (honest.effect, honest.p, honest.p_better)
    low, high = (math.nan, math.nan) if honest is None else (honest.low, honest.high)
    curve = real_curve(scored, params, seed)
    reach = float(curve.sizes[-1]) - seed.size if len(curve.sizes) else math.nan
    left = sum(usable(arm) for arm in params.arms.values()) - found.among
    added, written, tokens = costs(scored, best)
    return [
        seed.corpus, seed.size, seed.learner, kind, len(scored.groups[seed]), scored.rows(seed.corpus), best.arm, found.among, left, scored.mean(seed),
        as_picked.effect, math.nan if honest is None else gain, low, high, p, math.nan, better, False,
        *curve.worth(honest or as_picked, scored.evidence.confidence), reach, added, written, tokens, tokens / max(1.0, added), " ".join(_cheaper(scored, params, best, tokens)),
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
