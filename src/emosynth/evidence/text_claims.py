"""Claims on text and on context: read from the intervals and p of tables that other steps made."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from emosynth.authenticity import OTHER, REAL
from emosynth.context.inputs import BOTH, CONTEXT_ONLY, UTTERANCE
from emosynth.design.arms import arm_title
from emosynth.design.cells import panel_size
from emosynth.evidence.declared import Claim, Declared, Finding, corpus_of
from emosynth.evidence.numbers import POINTS, count, known, number, sized, some, span
from emosynth.evidence.scored import UNVERIFIED
from emosynth.params import Params

ALL = ""  # labels together, in the table of diversity
KINDS = ("utterance", "context")
"""Kinds of text that the claim on diversity is about."""
FEWEST = 20
"""Rows that a claim on context asks for, and that a figure of it draws: of fewer, all may be right or wrong by chance."""
CIRCULAR = "lrap"
"""The measure of context on labels that were prompted for."""

_MEAN = -1  # repeat: mean over repeats


def judge_text(claim: Declared, table: pd.DataFrame | None, params: Params) -> Claim:
    """Judge one claim from its table: the panel, or the diversity table."""
    made = Claim(claim, corpus_of(claim, params))
    if table is None or table.empty:
        return Claim(claim, made.corpus, why=f"The run has no {claim.kind} table.")
    return {"panel": _panel, "diversity": _diversity}[claim.kind](claim, table, params, made.corpus)


def versions(table: pd.DataFrame) -> pd.Series:
    """Return the version of each row of a table: empty, or as written."""
    return table["verified"].astype(bool).map({True: "", False: UNVERIFIED})


def difference_interval(value: float, low: float, high: float, reference: float, ref_low: float, ref_high: float) -> tuple[float, float]:
    """Return an interval for value − reference from the intervals of the two (MOVER; Zou and Donner 2008)."""
    if not all(known(float(item)) for item in (value, low, high, reference, ref_low, ref_high)):
        return math.nan, math.nan
    difference = value - reference
    return (difference - math.hypot(value - low, ref_high - reference), difference + math.hypot(high - value, reference - ref_low))


def p_of_interval(effect: float, low: float, high: float, confidence: float, repeats: int = 1) -> float:
    """Return the two-sided p of an effect from its interval (Altman and Bland 2011, BMJ 343:d2304); NaN without width.

    ``repeats``: whole ones that half-samples kept; their intervals are widened for few of them (`emosynth.stats.of_few_repeats`), by Student's
    quantile. One: stories or rows were drawn, which are many.
    """
    if not all(map(math.isfinite, (effect, low, high))) or not high > low:
        return math.nan
    law = norm if repeats == 1 else student(repeats - 1)
    return float(2 * law.sf(2 * abs(effect) * law.ppf((1 + confidence) / 2) / (high - low)))


def repeats_of(params: Params, arm: str, corpus: str) -> int:
    """Return how many repeats an arm's texts are from."""
    most = params.cells.repeats_of(corpus, panel_size(params, corpus))
    return min(most, params.arms[arm].repeats or most) if arm in params.arms else most


def _panel(claim: Declared, table: pd.DataFrame, params: Params, corpus: str) -> Claim:
    """Judge a measure of an arm's text; of two tests (permuted texts at equal lengths; the interval's draws) the larger p counts."""
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
    comparison = f"{arm_title(params, claim.left.arm)} − real text"
    return Claim(claim, corpus, comparison=comparison, finding=finding, why=why, replications=replications)


def _least(parts: list[tuple[str, Finding]]) -> tuple[str, Finding]:
    """Return the comparison that is least in favour: all must hold, so that it decides (intersection–union test: Berger 1982).

    To contradict, one is enough, so that the p of one that speaks against the claim is multiplied by their number.
    """
    name, found = min(parts, key=lambda part: math.copysign(1 - (1.0 if math.isnan(part[1].p) else part[1].p), part[1].effect))
    return name, replace(found, p=min(1.0, len(parts) * found.p)) if found.effect < 0 else found


def _rows(parts: list[tuple[str, Finding]]) -> list[dict[str, Any]]:
    return [
        {"comparison": name, "effect": item.effect, "low": item.low, "high": item.high, "unit": item.unit, "p": item.p, "n": item.n}
        for name, item in parts
    ]


def _diversity(claim: Declared, table: pd.DataFrame, params: Params, corpus: str) -> Claim:
    """Grounded minus ungrounded text: every measure declared, of utterances and of contexts, over all labels together."""
    right = claim.right[0]
    table = table[table["corpus"] == corpus]  # texts for the classes of a taxonomy are the same for every corpus
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


def judge_context(claim: Declared, people: pd.DataFrame | None, prompted: pd.DataFrame | None, params: Params) -> Claim:
    """Context and utterance against the utterance alone *and* against the context alone, by macro-F1 on labels that people gave.

    ``prompted``: the table ``context``, where truth is what a context was written for: its numbers are told and decide nothing.
    """
    circular = _circular(prompted, claim, params)
    told = "".join(
        f" On labels that the contexts were prompted for, which is circular and decides nothing: {name} {number(item.effect, 3, sign=True)} {item.unit} "
        f"({span(item.low, item.high, 3)}; {item.n})."
        for name, item in ([_least(circular)] if circular else [])
    )
    corpus = params.context.dialogues or "dialogues that people labelled"
    if people is None or people.empty:
        lack = "this profile sets no context.dialogues" if params.context.dialogues is None else f"the run has no table of {corpus}"
        return Claim(claim, corpus, why=f"Not tested on labels of people: {lack}.{told}", replications=_rows(circular))
    means = people[people["repeat"] == _MEAN]
    if (rows := int(means["n"].max())) < FEWEST:
        why = f"Not tested on labels of people: {some(rows, 'test utterance')}, and {count(FEWEST)} are asked for.{told}"
        return Claim(claim, corpus, why=why, replications=_rows(circular))
    learners, firsts = list(dict.fromkeys(means["learner"])), set(means["first"])
    learner = next((name for name in claim.learners if name in learners), learners[0])
    first = claim.left.arm if claim.left.arm in firsts else ""
    found = {
        (name, stage): _people(means[(means["learner"] == name) & (means["first"] == stage)], claim)
        for name in learners
        for stage in sorted(firsts)
    }
    parts = found[learner, first]
    if len(parts) < 2:
        return Claim(
            claim, corpus, learner, why=f"The run has no models that compare context and utterance with both alone.{told}",
            replications=_rows(circular),
        )  # fmt: skip
    name, finding = _least(parts)
    others = [
        (f"{what} ({key[0]}{f', after {key[1]}' if key[1] else ''})", item)
        for key, own in found.items()
        for what, item in own
        if key != (learner, first)
    ]
    why = f"Least in favour of {some(len(parts), 'comparison')}{f', after rows of {arm_title(params, first)}' if first else ', without written rows'}.{told}"
    stand_in = f"{learner} for {claim.learners[0]}" if claim.learners and learner != claim.learners[0] else ""
    return Claim(
        claim, corpus, learner, params.context.dialogue_size, stand_in, name, finding, why=why,
        replications=_rows([*parts, *others, *circular]),
    )  # fmt: skip


def _people(means: pd.DataFrame, claim: Declared) -> list[tuple[str, Finding]]:
    parts = []
    for other, row in _differences(means[means["measure"] == claim.metric]):
        effect, low, high = (POINTS * float(row[name]) for name in ("value", "low", "high"))
        n = f"{some(int(row['n']), 'utterance')} of {some(int(row['dialogues']), 'dialogue')}"
        parts.append((other, Finding(effect, low, high, "F1 points", float(row["p"]), n=n)))
    return parts


def _differences(means: pd.DataFrame) -> list[tuple[str, dict[Any, Any]]]:
    """Return the rows of context and utterance against the utterance alone, then against the context alone, each with its name."""
    return [(f"context and utterance − {other}", row) for other in (UTTERANCE, CONTEXT_ONLY)
            for row in means[means["input"] == f"{BOTH} − {other}"].to_dict("records")]  # fmt: skip


def _circular(table: pd.DataFrame | None, claim: Declared, params: Params) -> list[tuple[str, Finding]]:
    """Return what models of held-out stories say, by ranking of labels."""
    if table is None or table.empty:
        return []
    means = table[(table["repeat"] == _MEAN) & (table["test"] == "rows") & (table["measure"] == CIRCULAR)]
    learner = next((name for name in claim.learners if name in set(means["learner"])), next(iter(means["learner"]), ""))
    parts = []
    for other, row in _differences(means[means["learner"] == learner]):
        effect, low, high = (float(row[name]) for name in ("value", "low", "high"))
        p = float(row["p"]) if known(row.get("p")) else p_of_interval(effect, low, high, params.evidence.confidence)
        parts.append((other, Finding(effect, low, high, CIRCULAR.upper(), p, n=some(int(row["n"]), "held-out row"))))
    return parts
