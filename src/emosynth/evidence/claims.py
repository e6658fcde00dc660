"""Every declared claim put to its test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from emosynth.design.arms import arm_title
from emosynth.evidence.declared import Declared, Side, corpus_of, lacking
from emosynth.evidence.judging import Claim, Finding, decide
from emosynth.evidence.numbers import POINTS, gain, known, listed, number, p_text, score, some, span
from emosynth.evidence.resampling import floor
from emosynth.evidence.scored import UNVERIFIED, Group, Scored, seed_of
from emosynth.evidence.text_claims import judge_text
from emosynth.params import Params

MACRO = "macro-F1"


@dataclass(frozen=True)
class Found:
    """What claims are judged from; None: the run has no such table.

    ``shares``: corpus -> class -> share of the training rows.
    """

    scored: Scored | None
    panel: pd.DataFrame | None
    diversity: pd.DataFrame | None
    context: pd.DataFrame | None
    shares: Mapping[str, Mapping[str, float]]


def judge(declared: Sequence[Declared], params: Params, found: Found) -> list[Claim]:
    """Judge claims in their order, corrected together."""
    claims = []
    for claim in declared:
        short = lacking(claim, params)
        if claim.kind == "scores":
            made = _scores(claim, params, found, short)
        elif short:
            made = Claim(claim, corpus_of(claim, params), why=_lacks(short))
        else:
            table = {"panel": found.panel, "diversity": found.diversity, "context": found.context}[claim.kind]
            made = judge_text(claim, table, params)
        claims.append(made)
    return decide(claims, params.evidence.alpha)


def _lacks(short: list[str]) -> str:
    return f"This profile does not run {listed(short)}."


# --- claims on scores -------------------------------------------------------------------------------------


def rare_classes(shares: Mapping[str, float], share: float) -> list[int]:
    """Return the places of classes that are rarer than ``share`` of an equal share."""
    return [place for place, part in enumerate(shares.values()) if part < share / len(shares)]


def _scores(claim: Declared, params: Params, found: Found, short: list[str]) -> Claim:
    corpus, learner = corpus_of(claim, params), claim.learners[0]
    made = Claim(claim, corpus, learner)
    if found.scored is None:
        return replace(made, learner="", why="The run has no trials.")
    replications = _replications(claim, params, found, found.scored, (corpus, learner))
    if short:
        return replace(made, why=_lacks(short), replications=replications)
    sizes = _sizes(claim, found.scored, corpus, learner)
    if not sizes:
        where = f"{learner} on {corpus}"
        return replace(
            made, why=f"No trials of {' and '.join(side.words() for side in claim.sides)} with {where}.", replications=replications
        )
    size = sizes[-1 if claim.size == "largest" else 0]
    classes = _classes(claim, params, found, corpus)
    if classes == []:
        why = f"No class of {corpus} is under-represented (below {number(100 * params.evidence.minority_share, 0)} % of an equal share)."
        return replace(made, size=size, why=why, replications=replications)
    finding, right, why = _deciding(claim, params, found.scored, (corpus, learner, size), classes)
    replications = [row for row in replications if (row["corpus"], row["learner"], row["size"]) != (corpus, learner, size)]
    return replace(
        made,
        size=size,
        comparison=f"{_title(params, claim.left)} − {_title(params, right)}",
        finding=finding,
        why=why,
        replications=replications,
    )


def _title(params: Params, side: Side) -> str:
    more = [*(["as written"] if side.version == UNVERIFIED else []), *([f"{side.sweep} = {side.value}"] if side.sweep else [])]
    return arm_title(params, side.arm) + (f" ({', '.join(more)})" if more else "")


def _sizes(claim: Declared, scored: Scored, corpus: str, learner: str) -> list[int]:
    """Return the seed sizes, ascending, at which all sides were run."""
    sizes = sorted({group.size for group in scored.groups if (group.corpus, group.learner) == (corpus, learner)})
    return [size for size in sizes if all(side.group(corpus, learner, size) in scored.groups for side in claim.sides)]


def _classes(claim: Declared, params: Params, found: Found, corpus: str) -> list[int] | None:
    return None if claim.metric == MACRO else rare_classes(found.shares[corpus], params.evidence.minority_share)


def _deciding(
    claim: Declared, params: Params, scored: Scored, cell: tuple[str, str, int], classes: list[int] | None
) -> tuple[Finding, Side, str]:
    """Return the finding that decides, the side it is against, and what must be known besides.

    Of several right sides the one least in favour decides: it is enough to support the claim (intersection–union); to contradict it,
    one of several is enough, so that all p are multiplied by their number.
    """
    found = [(side, _finding(claim, params, scored, side, cell, classes)) for side in claim.right]
    towards = -1.0 if claim.expects in ("worse", "no-better") else 1.0
    side, (finding, why) = min(found, key=lambda item: towards * item[1][0].p_better if known(item[1][0].p_better) else -2.0)
    many = len(found)
    if many > 1 and (towards * finding.effect < 0 or finding.p_equivalent < finding.p):
        finding = replace(finding, p=min(1.0, many * finding.p), p_equivalent=float(np.minimum(1.0, many * finding.p_equivalent)))
    return finding, side, why


def _finding(
    claim: Declared, params: Params, scored: Scored, right: Side, cell: tuple[str, str, int], classes: list[int] | None
) -> tuple[Finding, str]:
    left, other = claim.left.group(*cell), right.group(*cell)
    found = scored.compare(left, other, classes)
    if found is None:
        return Finding(), f"{claim.left.words()} and {right.words()} share no repeat."
    margin, p_equivalent, why = _equivalence(params, scored, left, other, classes)
    if found.repeats == 1:
        why = "One repeat: how seeds differ is not in the interval. " + why
    p_size = math.nan
    if claim.claimed is not None:
        p_size = found.beyond((-1 if claim.expects == "worse" else 1) * claim.claimed.points / POINTS)
    return Finding(
        POINTS * found.effect, POINTS * found.low, POINTS * found.high, "F1 points", found.p, p_equivalent, found.p_better, POINTS * margin,
        f"{some(found.repeats, 'repeat')}, {some(found.rows, 'test row')}", p_size,
    ), why.strip()  # fmt: skip


def _equivalence(params: Params, scored: Scored, left: Group, right: Group, classes: list[int] | None) -> tuple[float, float, str]:
    """Return margin, p of equivalence, and why there is none.

    The margin is a share of what real expansion gains over the labels alone in the same cell. It is estimated on the same draws, so that
    its own uncertainty is in the test.
    """
    real, seed = scored.real_of(params, left), seed_of(left)
    if real is None or seed not in scored.groups:
        return math.nan, math.nan, "Equivalence is not testable here: no real expansion in this cell."
    gained = scored.compare(real, seed, classes)
    if gained is None or not (gained.low > 0):
        told = "" if gained is None else f" ({gain(gained.effect)}, {span(POINTS * gained.low, POINTS * gained.high)})"
        return math.nan, math.nan, f"Equivalence is not testable here: what real expansion gains cannot be told from zero{told}."
    share = params.evidence.margin
    limits = [scored.combine([(1, left), (-1, right), (-side * share, real), (side * share, seed)], classes) for side in (1, -1)]
    above, below = limits
    if above is None or below is None:
        return math.nan, math.nan, "Equivalence is not testable here: the arms and real expansion share no repeat."
    count = len(above.draws) + 1
    p = max((1 + int((above.draws >= 0).sum())) / count, (1 + int((below.draws <= 0).sum())) / count)
    return share * gained.effect, p, ""


def _replications(claim: Declared, params: Params, found: Found, scored: Scored, judged: tuple[str, str]) -> list[dict[str, Any]]:
    """Return the same comparison in every other cell that holds it: learners, corpora, sizes; p uncorrected."""
    rows = []
    for corpus in params.corpora.names:
        for learner in dict.fromkeys([*claim.learners, *params.learners]):
            classes = _classes(claim, params, found, corpus)
            for size in _sizes(claim, scored, corpus, learner) if classes != [] else []:
                finding, right, _ = _deciding(claim, params, scored, (corpus, learner, size), classes)
                rows.append(
                    {
                        "corpus": corpus, "learner": learner, "size": size, "comparison": f"{claim.left.words()} − {right.words()}",
                        "effect": finding.effect, "low": finding.low, "high": finding.high, "unit": finding.unit, "p": finding.p,
                        "outcome": finding.outcome(1.0, params.evidence.alpha), "n": finding.n,
                    }
                )  # fmt: skip
    return rows


# --- words and JSON -----------------------------------------------------------------------------------------

_EXPECTED = {
    "better": "The claim asks for better", "worse": "The claim asks for worse", "equivalent": "The claim asks for equivalent",
    "at-least": "The claim asks for equivalent or better", "no-better": "The claim asks for worse or equivalent",
}  # fmt: skip


def reading(claim: Claim, params: Params) -> str:
    """Say in words what was found."""
    finding, declared = claim.finding, claim.declared
    if claim.outcome == "not tested":
        return claim.why or "The run does not hold what the claim needs."
    digits = 1 if finding.unit == "F1 points" else 3 if abs(finding.effect) < 1 else 2
    level = f"{params.evidence.confidence:.0%}".replace("%", "\u00a0%")
    words = f"{claim.comparison}: {number(finding.effect, digits, sign=True)} {finding.unit} ({level} interval {span(finding.low, finding.high, digits)}; {finding.n})."
    words += f" Outcome: {claim.outcome}, p = {p_text(claim.p_adjusted)} after correction. {_EXPECTED[declared.expects]}."
    if claim.outcome == "equivalent" or (claim.outcome == "too imprecise" and known(finding.margin)):
        words += f" Margin of equivalence: ±{number(finding.margin, digits)}, {number(100 * params.evidence.margin, 0)} % of what real expansion gains."
    if declared.claimed is not None and claim.size_verdict is not None:
        words += (
            f" Size claimed: {declared.claimed.bound} {number(declared.claimed.points, 0)} points – {claim.size_verdict} "
            f"(p = {p_text(claim.size_p_adjusted)})."
        )
    return f"{words} {claim.why}".strip()


def as_json(profile: str, claims: Sequence[Claim], params: Params) -> dict[str, Any]:
    """Return the content of ``claims.json``: effects on F1 in points; what is not known is null."""
    tests = sum(known(claim.p_adjusted) for claim in claims) + sum(known(claim.size_p_adjusted) for claim in claims)
    return {
        "profile": profile,
        "confidence": params.evidence.confidence,
        "alpha": params.evidence.alpha,
        "correction": f"Holm over {tests} tests",
        "smallest_p": _rounded(floor(params.evidence.resamples)),
        "claims": [_one(claim, params) for claim in claims],
    }


def _one(claim: Claim, params: Params) -> dict[str, Any]:
    declared, finding = claim.declared, claim.finding
    tested = claim.outcome != "not tested"
    return {
        "id": declared.id, "system": declared.system, "source": declared.source, "place": declared.place, "statement": declared.statement,
        "declaration": declared.hash, "expects": declared.expects, "verdict": claim.verdict, "outcome": claim.outcome,
        "comparison": claim.comparison, "corpus": claim.corpus, "learner": claim.learner, "size": claim.size, "metric": declared.metric,
        "effect": _rounded(finding.effect), "interval": [_rounded(finding.low), _rounded(finding.high)], "unit": finding.unit if tested else "",
        "p": _rounded(finding.least), "p_adjusted": _rounded(claim.p_adjusted), "p_better": _rounded(finding.p_better),
        "margin": _rounded(finding.margin), "n": finding.n,
        "claimed": None if declared.claimed is None else {
            **declared.claimed.model_dump(), "verdict": claim.size_verdict or "not tested", "p_adjusted": _rounded(claim.size_p_adjusted),
        },
        "reading": reading(claim, params),
        "replications": [{key: _rounded(value) if isinstance(value, float) else value for key, value in row.items()} for row in claim.replications],
    }  # fmt: skip


def _rounded(value: float) -> float | None:
    return round(float(value), 6) if known(float(value)) else None


# --- metrics --------------------------------------------------------------------------------------------------


def metrics(
    claims: Sequence[Claim], contrasts: pd.DataFrame | None, verdicts: pd.DataFrame | None, headline: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the headline numbers, flat: what a terminal shows of a run.

    Parameters
    ----------
    headline
        ``corpus``, ``learner``, ``arm``, ``size`` of the report's first page; empty without trials.
    """
    found: dict[str, Any] = {}
    if contrasts is not None and headline:
        rows = contrasts[(contrasts["corpus"] == headline["corpus"]) & (contrasts["learner"] == headline["learner"])]
        rows = rows[(rows["size"] == headline["size"]) & (rows["version"] == "") & (rows["sweep"] == "") & (rows["budget"] == "accepted")]
        own, real = (rows[(rows["arm"] == arm) & (rows["against"] == "seed")] for arm in (headline["arm"], headline["real"]))
        found |= {"learner": headline["learner"], "seed_rows": headline["size"], "best_arm": headline["arm"]}
        if len(own):
            row = own.iloc[0]
            found["seed_macro_f1"] = float(score(row["score"] - row["gain"]))
            found |= {f"best_{name}": round(POINTS * float(row[name]), 1) for name in ("gain", "low", "high")}
            found["best_worth_labels"] = round(float(row["worth"])) if np.isfinite(row["worth"]) else None
        if len(real):
            found["real_gain"] = round(POINTS * float(real.iloc[0]["gain"]), 1)
    if verdicts is not None and len(verdicts):
        found["accepted_share"] = round(float(verdicts["accepted"].astype(bool).mean()), 3)
    names = [claim.verdict for claim in claims]
    return found | {
        f"claims_{name.replace(' ', '_')}": names.count(name) for name in ("supported", "contradicted", "undecided", "not tested")
    }
