"""Claims on text and on context: read from the intervals and p of tables that other steps made."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from emosynth.authenticity import OTHER, REAL
from emosynth.context.inputs import BOTH, CONTEXT_ONLY, UTTERANCE
from emosynth.design.arms import arm_title
from emosynth.design.cells import panel_size
from emosynth.evidence.declared import Declared, corpus_of
from emosynth.evidence.judging import Claim, Finding
from emosynth.evidence.numbers import known, sized, some
from emosynth.evidence.scored import UNVERIFIED
from emosynth.params import Params

ALL = "all"
KINDS = ("utterance", "context")
"""Kinds of text that the claim on diversity is about."""
FEWEST = 20
"""Rows or pairs from which a claim on context is judged: an interval by resampling says little of a handful."""

_MEAN = -1  # repeat: mean over repeats


def judge_text(claim: Declared, table: pd.DataFrame | None, params: Params) -> Claim:
    """Judge one claim from its table: the panel, the diversity table, or the table of context."""
    made = Claim(claim, corpus_of(claim, params))
    if table is None or table.empty:
        return Claim(claim, made.corpus, why=f"The run has no {claim.kind} table.")
    return {"panel": _panel, "diversity": _diversity, "context": _context}[claim.kind](claim, table, params, made.corpus)


def versions(table: pd.DataFrame) -> pd.Series:
    """Return the version of each row of a table: empty, or as written."""
    return table["verified"].astype(bool).map({True: "", False: UNVERIFIED})


def difference_interval(value: float, low: float, high: float, reference: float, ref_low: float, ref_high: float) -> tuple[float, float]:
    """Return an interval for value − reference from the intervals of the two (MOVER; Zou and Donner 2008)."""
    if not all(known(float(item)) for item in (value, low, high, reference, ref_low, ref_high)):
        return math.nan, math.nan
    difference = value - reference
    return (
        difference - math.hypot(value - low, ref_high - reference),
        difference + math.hypot(high - value, reference - ref_low),
    )


def p_of_interval(effect: float, low: float, high: float, confidence: float, repeats: int = 1) -> float:
    """Return the two-sided p of an effect from its interval (Altman and Bland 2011, BMJ 343:d2304); NaN without width.

    Parameters
    ----------
    repeats
        Repeats that the texts are from. Half-samples that keep repeats whole tell their spread with R - 1 degrees of freedom, and
        (R - 1) / R of it: taken for normal, alike texts of three repeats would differ in 11 to 15 % of trials. One: stories or
        rows were drawn, which are many.
    """
    if not all(map(math.isfinite, (effect, low, high))) or not high > low:
        return math.nan
    error = (high - low) / (2 * norm.ppf((1 + confidence) / 2))
    if repeats == 1:
        return float(2 * norm.sf(abs(effect) / error))
    return float(2 * student.sf(abs(effect) / error * math.sqrt((repeats - 1) / repeats), repeats - 1))


def repeats_of(params: Params, arm: str, corpus: str) -> int:
    """Return how many repeats an arm's texts are from."""
    most = params.cells.repeats_of(corpus, panel_size(params, corpus))
    return min(most, params.arms[arm].repeats or most) if arm in params.arms else most


def _panel(claim: Declared, table: pd.DataFrame, params: Params, corpus: str) -> Claim:
    """A measure of an arm's text against real text.

    Two tests must agree, so that the larger p counts: the panel's own, which permutes texts and holds lengths equal where it can, and that of
    the interval, which draws repeats, prompts and texts.
    """
    rows = table[(table["measure"] == claim.metric) & (table["corpus"] == corpus)]
    own = rows[(rows["arm"] == claim.left.arm) & (versions(rows) == claim.left.version)]
    real = rows[rows["arm"] == REAL]
    name = claim.metric.replace("_", " ")
    if own.empty or real.empty or not known(float(own["value"].iloc[0])):
        return Claim(claim, corpus, why=f"The panel has no {name} of {claim.left.words()}.")
    row, base = own.iloc[0], real.iloc[0]
    reference = float(row["reference"])  # of real text, at the arm's own amount of text; its spread is that of the corpus's own value
    shift, effect = reference - float(base["value"]), float(row["value"]) - reference
    low, high = difference_interval(row["value"], row["low"], row["high"], reference, base["low"] + shift, base["high"] + shift)
    p = float(row["p"])
    drawn = p_of_interval(effect, low, high, params.evidence.confidence, repeats_of(params, claim.left.arm, corpus))
    p = max(p, drawn) if known(p) and known(drawn) else p
    adjusted = float(row.get("adjusted", math.nan))
    why = f"{sized(float(row['value']))} against {sized(reference)} in real text."
    if known(adjusted) and adjusted * effect < 0:
        # The test holds lengths equal; where that turns the sign, the test's difference decides.
        why += f" At equal text lengths the difference has the other sign ({sized(adjusted)}): the outcome is about that one."
        effect, low, high = adjusted, math.nan, math.nan
    other = rows[rows["arm"] == OTHER]
    why += f" Real against real: {sized(float(other['value'].iloc[0]))}." if len(other) else ""
    finding = Finding(effect, low, high, name, p, n=some(int(row["n_texts"]), "text"))
    replications = [
        {"arm": str(item["arm"]), "version": str(version), "measure": str(item["measure"]), "value": float(item["value"]),
         "reference": float(item["reference"]), "effect": float(item["effect"]), "kind": str(item["effect_kind"]), "p": float(item["p"])}
        for (_, item), version in zip(rows.iterrows(), versions(rows), strict=True)
        if item["arm"] != REAL and item.name != row.name
    ]  # fmt: skip
    return Claim(
        claim, corpus, comparison=f"{arm_title(params, claim.left.arm)} − real text", finding=finding, why=why, replications=replications
    )


def _least(parts: list[tuple[str, Finding]]) -> tuple[str, Finding]:
    """Return the comparison that is least in favour: all must hold, so that it decides (intersection–union test: Berger 1982)."""
    return min(parts, key=lambda part: math.copysign(1 - (1.0 if math.isnan(part[1].p) else part[1].p), part[1].effect))


def _rows(parts: list[tuple[str, Finding]]) -> list[dict[str, Any]]:
    return [
        {"comparison": name, "effect": item.effect, "low": item.low, "high": item.high, "unit": item.unit, "p": item.p, "n": item.n}
        for name, item in parts
    ]


def _diversity(claim: Declared, table: pd.DataFrame, params: Params, corpus: str) -> Claim:
    """Grounded minus ungrounded text: every measure declared, of utterances and of contexts, over all labels together."""
    right = claim.right[0]
    pair = (table["arm"] == claim.left.arm) & (table["against"] == right.arm) & (versions(table) == claim.left.version)
    own = table[pair & table["measure"].isin(claim.metric.split(", ")) & table["kind"].isin(KINDS) & table["value"].notna()]
    rows = own[own["label"] == ALL]
    if rows.empty:
        return Claim(claim, corpus, why=f"There are too few texts of {claim.left.words()} or {right.words()} to compare.")
    parts = []
    for item in rows.to_dict("records"):
        effect, low, high = (float(item[name]) for name in ("value", "low", "high"))
        unit = str(item["measure"]).replace("_", " ")
        repeats = min(repeats_of(params, arm, corpus) for arm in (claim.left.arm, right.arm))
        p = p_of_interval(effect, low, high, params.evidence.confidence, repeats)
        parts.append((f"{unit} of {item['kind']}s", Finding(effect, low, high, unit, p, n=f"{int(item['tokens'])} tokens a draw")))
    name, finding = _least(parts)
    single = own.loc[own["label"] != ALL, "value"]
    why = f"Least in favour of {some(len(parts), 'comparison')}." if len(parts) > 1 else ""
    why += f" Label by label, {int((single > 0).sum())} of {some(len(single), 'comparison')} are above zero." if len(single) else ""
    comparison = f"{arm_title(params, claim.left.arm)} − {arm_title(params, right.arm)}, {name}"
    return Claim(claim, corpus, comparison=comparison, finding=finding, why=why.strip(), replications=_rows(parts))


def _context(claim: Declared, table: pd.DataFrame, params: Params, corpus: str) -> Claim:
    """Context and utterance against the utterance alone *and* against the context alone, by ranking of labels on held-out stories."""
    means = table[(table["repeat"] == _MEAN) & (table["test"] == "rows") & (table["measure"] == claim.metric)]
    learner = next((name for name in claim.learners if name in set(means["learner"])), next(iter(means["learner"]), ""))
    rows = means[means["learner"] == learner]
    parts = []
    for other in (UTTERANCE, CONTEXT_ONLY):
        name = f"{BOTH} − {other}"
        own = rows[rows["input"] == name].to_dict("records")
        if not own:
            return Claim(claim, corpus, why=f"The run has no models that compare context and utterance with {other}.")
        row = own[0]
        effect, low, high = float(row["value"]), float(row["low"]), float(row["high"])
        n = int(row["n"])
        if n < FEWEST:
            return Claim(claim, corpus, learner, why=f"{some(n, 'held-out row')}: fewer than {FEWEST} decide nothing.")
        p = float(row["p"]) if known(row.get("p")) else p_of_interval(effect, low, high, params.evidence.confidence)
        parts.append((f"context and utterance − {other}", Finding(effect, low, high, claim.metric.upper(), p, n=some(n, "held-out row"))))
    name, finding = _least(parts)
    return Claim(claim, "rows of held-out stories", learner, comparison=name, finding=finding, why="Least in favour of 2 comparisons.",
                 replications=_rows(parts))  # fmt: skip
