"""What a judged claim is, and the correction over a family of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from emosynth.params import Evidence
from emosynth.stats import holm

Verdict = Literal["supported", "contradicted", "inconclusive", "not tested"]

STATEMENTS = {
    "A1": "With a sufficient seed, SHAP-guided generation matches real expansion.",
    "A2": "SHAP-guided generation beats naïve generation.",
    "A3": "Under-represented classes gain substantially from SHAP-guided generation.",
    "A4": "Below a threshold of the seed's size, SHAP-guided generation does not help.",
    "A5": "Synthetic text has a poorer vocabulary than authentic text.",
    "A6": "Synthetic text has fewer personal expressions (pronouns) than authentic text.",
    "A7": "Synthetic text has fewer temporal expressions than authentic text.",
    "B1": "Pre-training on synthetic rows improves the tuned model on target corpora over training on the target alone.",
    "B2": "Grounding in narratives makes utterances and contexts more diverse than ungrounded prompting, least so for neutral.",
    "B3": "Context changes the label: a model that reads it beats one that does not.",
    "C1": "A seed grown with verified synthetic text and soft labels scores five points of F1 more than the seed alone.",
    "C2": "Unverified synthetic text hurts, by up to two points of F1.",
    "C3": "The best confidence threshold of verification is τ = 0.7, not 0.9.",
    "C4": "A weight of synthetic rows of β = 0.3 beats 0.5 and 1.0.",
    "C5": "Gains flatten past 20 synthetic rows per seed row.",
}
"""Claims restated: A1–A7 of arXiv 2511.16132, B1–B3 of arXiv 2504.16856, C1–C5 of SentiSynth (Kapur 2025)."""


_BY_SIGNIFICANCE = {"A4", "C2", "C3", "C4"}
"""Claims whose contradiction is a significant difference too."""


@dataclass(frozen=True)
class Claim:
    """One claim and what was found.

    Attributes
    ----------
    effect, low, high
        Effect and its interval, in ``unit``.
    p, p_adjusted
        Two-sided p (A1, C5 and what says so: of the equivalence test), uncorrected and Holm-corrected within the family.
    repeats
        Independent seeds behind the effect (training claims), or texts (authenticity claims).
    also
        The same comparison elsewhere: other learners, verified text, other measures.
    """

    id: str
    statement: str
    comparison: str
    effect: float
    unit: str
    low: float
    high: float
    p: float
    repeats: int
    corpus: str
    learner: str
    verdict: Verdict
    reading: str
    p_adjusted: float = math.nan
    also: list[dict[str, Any]] = field(default_factory=list)


def not_tested(identity: str, corpus: str, why: str) -> Claim:
    """Return a claim for which the run holds no data."""
    nan = math.nan
    return Claim(identity, STATEMENTS[identity], "", nan, "", nan, nan, nan, 0, corpus, "", "not tested", why)


def finish(claims: Sequence[Claim], evidence: Evidence) -> list[Claim]:
    """Correct p within the family (Holm) and withdraw verdicts that do not survive it.

    "Supported", and the "contradicted" of A4, C2, C3 and C4, rest on a significant test: they become inconclusive if the
    corrected p is not below alpha. The other contradictions rest on an interval that excludes the claimed effect, and stay.
    """
    adjusted = holm([claim.p for claim in claims])
    finished = []
    for claim, p in zip(claims, adjusted, strict=True):
        verdict, reading = claim.verdict, claim.reading
        if (verdict == "supported" or (verdict == "contradicted" and claim.id in _BY_SIGNIFICANCE)) and not p < evidence.alpha:
            reading += f" Corrected for {sum(not math.isnan(c.p) for c in claims)} claims, p = {p:.3f}: not enough to call it {verdict}."
            verdict = "inconclusive"
        finished.append(replace(claim, p_adjusted=float(p), verdict=verdict, reading=reading))
    return finished


def _number(value: float) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), 6)


def as_json(profile: str, claims: Sequence[Claim]) -> dict[str, Any]:
    """Return the content of ``claims.json``; missing numbers are null."""
    return {
        "profile": profile,
        "claims": [
            {
                "id": claim.id,
                "statement": claim.statement,
                "comparison": claim.comparison,
                "effect": _number(claim.effect),
                "effect_unit": claim.unit,
                "interval": [_number(claim.low), _number(claim.high)],
                "p": _number(claim.p),
                "p_adjusted": _number(claim.p_adjusted),
                "repeats": claim.repeats,
                "corpus": claim.corpus,
                "learner": claim.learner,
                "verdict": claim.verdict,
                "reading": claim.reading,
                "also": [{key: _number(value) if isinstance(value, float) else value for key, value in row.items()} for row in claim.also],
            }
            for claim in claims
        ],
    }
