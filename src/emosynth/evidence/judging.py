"""What decides a claim: five outcomes by one rule, one Holm correction over all claims.

The two tests of a contrast – of no difference, and of a difference as large as the margin – have nulls that cannot both be true, so that
one of them can be in error at most; the smaller p stands for the contrast in the correction (three-sided testing: Goeman, Solari and
Stijnen 2010).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from emosynth.evidence.declared import EXPECTED, Declared, Outcome
from emosynth.stats import holm

Verdict = Literal["supported", "contradicted", "undecided", "not tested"]
VERDICTS: tuple[Verdict, ...] = ("supported", "contradicted", "undecided", "not tested")


@dataclass(frozen=True)
class Finding:
    """What the data say of one contrast.

    Attributes
    ----------
    effect, low, high
        Left minus right in ``unit``; F1 in points.
    p, p_equivalent
        Two-sided of no difference; of a difference of the margin or more (NaN: equivalence cannot be tested here).
    margin
        In ``unit``; NaN: none.
    n
        What the effect is from, in words.
    """

    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = "F1 points"
    p: float = math.nan
    p_equivalent: float = math.nan
    p_better: float = math.nan
    margin: float = math.nan
    n: str = ""
    p_size: float = math.nan
    """Two-sided p of an effect of the claimed size."""
    sized: float = math.nan
    """The effect that the claimed size is of, see `emosynth.evidence.claims`; NaN: there is none."""
    wins: float = math.nan
    """P(a run of left beats the paired run of right), see `emosynth.evidence.resampling.Contrast`."""

    @property
    def least(self) -> float:
        """The p that stands for the contrast."""
        values = [value for value in (self.p, self.p_equivalent) if not math.isnan(value)]
        return min(values, default=math.nan)

    def outcome(self, factor: float, alpha: float) -> Outcome:
        """Return the outcome if every p is multiplied by ``factor``; a difference that survives comes before equivalence."""
        if math.isnan(self.least):
            return "not tested"
        if self.p * factor < alpha:
            return "better" if self.effect > 0 else "worse"
        return "equivalent" if self.p_equivalent * factor < alpha else "too imprecise"


@dataclass(frozen=True)
class Claim:
    """A declared claim and what was found."""

    declared: Declared
    corpus: str
    learner: str = ""
    size: int | None = None
    stand_in: str = ""
    """What of the published setting something else stands in for; empty: nothing."""
    comparison: str = ""
    finding: Finding = Finding()
    outcome: Outcome = "not tested"
    verdict: Verdict = "not tested"
    p_adjusted: float = math.nan
    size_verdict: Verdict | None = None
    size_p_adjusted: float = math.nan
    why: str = ""
    """Why it is not tested, or what the reader must know besides."""
    replications: list[dict[str, Any]] = field(default_factory=list)


def verdict_of(claim: Declared, outcome: Outcome) -> Verdict:
    """Return the verdict: supported by the outcomes expected, contradicted by the other clear ones, else undecided."""
    if outcome == "not tested":
        return "not tested"
    if outcome in EXPECTED[claim.expects]:
        return "supported"
    return "undecided" if outcome == "too imprecise" else "contradicted"


def _size_verdict(claim: Declared, finding: Finding, p: float, alpha: float) -> Verdict:
    assert claim.claimed is not None
    if math.isnan(p):
        return "not tested"
    if not p < alpha:
        return "undecided"
    towards = -finding.sized if claim.expects == "worse" else finding.sized
    return "supported" if (towards > claim.claimed.points) == (claim.claimed.bound == "at least") else "contradicted"


def decide(claims: Sequence[Claim], alpha: float) -> list[Claim]:
    """Correct all claims together (Holm; direction and size of a claim are two tests) and give each its outcome and verdict."""
    raw = [claim.finding.least for claim in claims] + [claim.finding.p_size for claim in claims]
    adjusted = holm(np.array(raw))
    decided = []
    for place, claim in enumerate(claims):
        p, p_size = float(adjusted[place]), float(adjusted[len(claims) + place])
        finding = claim.finding
        factor = p / finding.least if finding.least > 0 else 1.0
        outcome = finding.outcome(factor, alpha)
        size = None if claim.declared.claimed is None else _size_verdict(claim.declared, finding, p_size, alpha)
        decided.append(
            replace(
                claim, outcome=outcome, verdict=verdict_of(claim.declared, outcome), p_adjusted=p, size_verdict=size, size_p_adjusted=p_size
            )
        )
    return decided
