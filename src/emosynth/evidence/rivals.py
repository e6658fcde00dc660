"""What another classifier does with the labels alone, where one picks the best written rows for a given one: the choice that costs nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from emosynth.design.arms import SEED
from emosynth.evidence.contrasts import LEAST
from emosynth.evidence.scored import Group, Scored
from emosynth.params import Params
from emosynth.resampling import contrast
from emosynth.stats import holm

ALONE = ["corpus", "size", "learner", "score", "low", "high", "repeats"]
RIVALS = [
    "corpus",
    "size",
    "learner",
    "arm",
    "own",
    "rival",
    "score",
    "more",
    "low",
    "high",
    "p",
    "p_adjusted",
    "better",
    "among",
    "repeats",
]


def rivals(scored: Scored, params: Params, answers: pd.DataFrame) -> pd.DataFrame:
    """Return, for each answer (`emosynth.evidence.contrasts.answers`), the best other classifier with the labels alone: `RIVALS`.

    ``own``: macro-F1 of the answer's learner with its arm as picked, which flatters it, on the repeats (``repeats``) that both have.
    ``rival``, ``score``: the other learner and its macro-F1 there; of those with `LEAST` shared repeats the best is told, and ``low``,
    ``high``, ``p`` of the difference ``more`` are corrected for their number (``among``; Bonferroni). ``p_adjusted``: Holm over all
    answers; ``better``: above zero after it. An answer without another classifier has no row.
    """
    rows: list[list[object]] = []
    for answer in answers.itertuples(index=False):
        way = Group(str(answer.corpus), str(answer.learner), int(str(answer.size)), str(answer.arm))
        if way not in scored.groups:
            continue
        others = [replace(way, learner=name, arm=SEED) for name in params.learners if name != way.learner]
        others = [other for other in others if other in scored.groups and len(scored.shared([way, other])) >= LEAST]
        level = 1 - (1 - scored.evidence.confidence) / max(1, len(others))
        found = {
            other: made
            for other in others
            if (made := contrast([(1.0, scored.draws(other)), (-1.0, scored.draws(way))], level, scored.evidence.random_seed)) is not None
        }
        if found:
            best = max(found, key=lambda other: found[other].effect)
            made, shared = found[best], scored.shared([way, best])
            rows.append([
                way.corpus, way.size, way.learner, way.arm, scored.mean(way, shared), best.learner, scored.mean(best, shared), made.effect,
                made.low, made.high, min(1.0, len(found) * made.p), np.nan, False, len(found), len(shared),
            ])  # fmt: skip
    frame = pd.DataFrame(rows, columns=RIVALS)
    frame["p_adjusted"] = holm(frame["p"].to_numpy(dtype=float))
    frame["better"] = (frame["p_adjusted"] < params.evidence.alpha) & (frame["more"] > 0)
    return frame


def labels_alone(scored: Scored) -> pd.DataFrame:
    """Return macro-F1 of every learner with the labels alone, by corpus and seed size, with interval (NaN with fewer than `LEAST` repeats): `ALONE`."""
    rows: list[list[object]] = []
    for group in scored.groups:
        if (group.arm, group.version, group.sweep, group.budget) == (SEED, "", "", "accepted"):
            found = scored.combine([(1.0, group)])
            assert found is not None
            low, high = (found.low, found.high) if found.repeats >= LEAST else (np.nan, np.nan)
            rows.append([group.corpus, group.size, group.learner, found.effect, low, high, found.repeats])
    return pd.DataFrame(rows, columns=ALONE)
