"""Claims A5–A7: synthetic against authentic text, from the authenticity panel."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from emosynth.evidence.claims import STATEMENTS, Claim, Verdict, not_tested
from emosynth.params import Evidence

GUIDED = "shap"
MEASURES = {
    "A5": ("hdd", ["ttr", "mattr", "mtld"], "HD-D"),
    "A6": ("first_person_rate", ["second_person_rate", "third_person_rate", "first_person_share"], "first-person pronouns per 100 tokens"),
    "A7": ("temporal_rate", ["temporal_share", "distinct_tenses", "past_share"], "temporal expressions per 100 tokens"),
}
"""Claim: primary measure, further measures, and the primary's name in words."""


def difference_interval(value: float, low: float, high: float, reference: float, ref_low: float, ref_high: float) -> tuple[float, float]:
    """Return an interval for value − reference from the intervals of the two (MOVER; Zou & Donner 2008)."""
    if any(map(math.isnan, (value, low, high, reference, ref_low, ref_high))):
        return math.nan, math.nan
    difference = value - reference
    return (
        difference - math.hypot(value - low, ref_high - reference),
        difference + math.hypot(high - value, reference - ref_low),
    )


def judge_authenticity(panel: pd.DataFrame, corpus: str, evidence: Evidence) -> list[Claim]:
    """Judge A5–A7 on the unverified text of the SHAP-guided arm, as published.

    Supported: lower than in authentic text, Holm-corrected p of the panel below alpha. Contradicted: higher,
    likewise. Real against real stands in ``also``.
    """
    claims = []
    for identity, (primary, others, name) in MEASURES.items():
        rows = panel[panel["measure"].isin([primary, *others])]
        guided = rows[(rows["arm"] == GUIDED) & (rows["measure"] == primary) & ~rows["verified"].astype(bool)]
        real = rows[(rows["arm"] == "real") & (rows["measure"] == primary)]
        if guided.empty or real.empty or math.isnan(float(guided["value"].iloc[0])):
            claims.append(not_tested(identity, corpus, f"The panel has no {name} for the SHAP-guided arm."))
            continue
        row, base = guided.iloc[0], real.iloc[0]
        # The reference at the arm's own amount of text; its spread is that of the corpus's own value.
        reference = float(row["reference"])
        effect = float(row["value"]) - reference
        shift = reference - float(base["value"])
        low, high = difference_interval(row["value"], row["low"], row["high"], reference, base["low"] + shift, base["high"] + shift)
        p = float(row["p_holm"])
        # The test holds lengths equal; where that turns the sign, the test's sign decides and the reading says so.
        adjusted = float(row.get("adjusted", math.nan))
        direction = effect if math.isnan(adjusted) else adjusted
        verdict: Verdict = "inconclusive"
        if p < evidence.alpha:
            verdict = "supported" if direction < 0 else "contradicted"
        kind = str(row["effect_kind"]).replace("_", " ")
        reading = f"{name}: {row['value']:.3g} in SHAP-guided text, {reference:.3g} in authentic text ({kind} {row['effect']:.2f})."
        if direction * effect < 0:
            reading += f" At equal text lengths the difference is {adjusted:+.3g}: the verdict is about that one."
        other = rows[(rows["arm"] == "real-other") & (rows["measure"] == primary)]
        if len(other):
            reading += f" Authentic against authentic: {other['value'].iloc[0]:.3g}."
        claims.append(
            Claim(
                identity,
                STATEMENTS[identity],
                f"{GUIDED} − real, {name}",
                effect,
                name,
                low,
                high,
                p,
                int(row["n_texts"]),
                corpus,
                "",
                verdict,
                reading,
                also=_also(rows),
            )
        )
    return claims


def _also(rows: pd.DataFrame) -> list[dict[str, Any]]:
    kept = rows[rows["arm"] != "real"]
    return [
        {
            "measure": str(row["measure"]), "arm": str(row["arm"]), "verified": bool(row["verified"]), "value": float(row["value"]),
            "reference": float(row["reference"]), "effect": float(row["effect"]), "effect_kind": str(row["effect_kind"]), "p_holm": float(row["p_holm"]),
        }
        for _, row in kept.iterrows()
    ]  # fmt: skip
