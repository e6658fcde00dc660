"""Every declared claim put to its test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from emosynth.design.arms import arm_title
from emosynth.evidence.declared import VERDICTS, Claim, Declared, Finding, Side, alone, corpus_of, decide, lacking
from emosynth.evidence.numbers import POINTS, count, gain, known, level, listed, models_of, number, of_points, p_text, score, some, span
from emosynth.evidence.scored import UNVERIFIED, Group, Scored
from emosynth.evidence.text_claims import judge_context, judge_text
from emosynth.params import Params

MACRO = "macro-F1"
SHORT = 0.9
"""Of the written rows that were asked for, the share below which fewer were really added: it is then said."""


@dataclass(frozen=True)
class Found:
    """What claims are judged from; None: the run has no such table. ``shares``: corpus -> class -> share of the training rows."""

    scored: Scored | None
    panel: pd.DataFrame | None
    diversity: pd.DataFrame | None
    context: pd.DataFrame | None
    shares: Mapping[str, Mapping[str, float]]
    dialogues: pd.DataFrame | None = None


def judge(declared: Sequence[Declared], params: Params, found: Found) -> list[Claim]:
    """Judge claims in their order, corrected together."""
    claims = []
    for claim in declared:
        short = lacking(claim, params)
        if claim.kind == "scores":
            made = _scores(claim, params, found, short)
        elif short:
            made = Claim(claim, corpus_of(claim, params), why=_lacks(claim, short))
        elif claim.kind == "context":
            made = judge_context(claim, found.dialogues, found.context, params)
        else:
            table = {"panel": found.panel, "diversity": found.diversity}[claim.kind]
            made = judge_text(claim, table, params)
        claims.append(replace(made, stand_in=", ".join(filter(None, [made.stand_in, _setting(made, params, found.scored)]))))
    return decide(claims, params.evidence.alpha)


def _lacks(claim: Declared, short: list[str]) -> str:
    return f"This profile does not run {listed(short)}{f'; the claim is on arms of the profile {claim.profile}' if claim.profile else ''}."


# --- claims on scores -------------------------------------------------------------------------------------


def rare_classes(shares: Mapping[str, float], share: float) -> list[int]:
    """Return the places of classes that are rarer than ``share`` of an equal share."""
    return [place for place, part in enumerate(shares.values()) if part < share / len(shares)]


@dataclass(frozen=True)
class Cell:
    """Where a claim can be judged: the trials of its sides; ``rights``: with the declared side that each is."""

    left: Group
    rights: list[tuple[Side, Group]]


def _scores(claim: Declared, params: Params, found: Found, short: list[str]) -> Claim:
    corpus = corpus_of(claim, params)
    made = Claim(claim, corpus, claim.learners[0])
    if found.scored is None:
        return replace(made, learner="", why="The run has no trials.")
    if found.scored.scored_on != "test":
        why = f"Scored on {found.scored.scored_on} rows, for choosing: claims are judged on test rows alone."
        return replace(made, learner="", why=why)
    cell = None if short else _judged(claim, params, found.scored, corpus)
    made = replace(made, replications=_replications(claim, params, found, found.scored, cell))
    if cell is None:
        what = " and ".join(side.words() for side in claim.sides)
        why = f"No trials of {what} with {' or '.join(claim.learners)} on {corpus}."
        return replace(made, why=_lacks(claim, short) if short else why)
    made = replace(made, learner=cell.left.learner, size=cell.left.size)
    if why := found.scored.nothing_added([cell.left, *(group for _, group in cell.rights)]):
        return replace(made, why=why)
    added = _added(claim, params, found.scored, cell)
    made = replace(made, stand_in=_stand_in(claim, cell, added), added=added)
    classes = _classes(claim, params, found, corpus)
    if classes == []:
        why = f"No class of {corpus} is under-represented (below {number(100 * params.evidence.minority_share, 0)} % of an equal share)."
        return replace(made, why=why)
    each = _opponents(claim, params, found.scored, cell, classes)
    finding, right, why = _deciding(claim, each)
    opponents = [
        {"opponent": _title(params, side), "effect": one.effect, "low": one.low, "high": one.high, "unit": one.unit, "p": one.p}
        for side, (one, _) in each
    ]
    comparison = f"{_title(params, claim.left)} − {_title(params, right)}"
    return replace(made, comparison=comparison, finding=finding, why=why, opponents=opponents)


def _title(params: Params, side: Side) -> str:
    more = [*(["as written"] if side.version == UNVERIFIED else []), *([f"{side.sweep} = {side.value}"] if side.sweep else [])]
    return arm_title(params, side.arm) + (f" ({', '.join(more)})" if more else "")


def _cell(claim: Declared, params: Params, scored: Scored, corpus: str, learner: str, size: int) -> Cell | None:
    """Return the trials of all sides, with the first declared number of synthetic rows that was run; None: one lacks."""
    for growth in [*claim.growth, None]:
        left, *rights = (side.group(corpus, learner, size, params, growth) for side in claim.sides)
        if all(group in scored.groups for group in (left, *rights)):
            return Cell(left, list(zip(claim.right, rights, strict=True)))
    return None


def _sizes(scored: Scored, corpus: str, learner: str) -> list[int]:
    return sorted({group.size for group in scored.groups if (group.corpus, group.learner) == (corpus, learner)})


def _judged(claim: Declared, params: Params, scored: Scored, corpus: str) -> Cell | None:
    """Return where a claim is judged: the published learner and label budget if all sides were run there, else what may stand in."""
    for learner in claim.learners:
        cells = {size: _cell(claim, params, scored, corpus, learner, size) for size in _sizes(scored, corpus, learner)}
        there = [size for size, cell in cells.items() if cell is not None]
        ends = {"largest": there[-1:], "smallest": there[:1]}
        wanted = [size for given in claim.sizes for size in (ends[given] if isinstance(given, str) else [given]) if size in there]
        if wanted:
            return cells[wanted[0]]
    return None


def _added(claim: Declared, params: Params, scored: Scored, cell: Cell) -> list[dict[str, float]]:
    """Return sides that did not add the written rows that were asked for: by the claim, or by the side's own sweep of growth.

    What is compared is what was really added, not what was wanted: a class whose texts the checks reject runs short.
    """
    found = []
    for side, group in [(claim.left, cell.left), *cell.rights]:
        arm = params.arms.get(group.arm)
        own = side.sweep == "growth"
        if arm is None or arm.add != "written" or not (own or claim.growth):
            continue
        asked, really = float(side.value) if own else claim.growth[0], scored.added(group) / group.size
        if really < SHORT * asked or scored.growth(params, group) != asked:
            found.append({"rows_a_label": really, "asked": asked})
    return [one for place, one in enumerate(found) if one not in found[:place]]


def _stand_in(claim: Declared, cell: Cell, added: list[dict[str, float]]) -> str:
    """Say what of the published setting something stands in for; empty: nothing."""
    said = []
    if claim.corpora[0] not in ("target", cell.left.corpus):
        said.append(f"{cell.left.corpus} for {claim.corpora[0]}")
    if cell.left.learner != claim.learners[0] and "{learner}" not in claim.setting:
        said.append(f"{cell.left.learner} for {claim.learners[0]}")
    if isinstance(claim.sizes[0], int) and cell.left.size != claim.sizes[0]:
        said.append(f"{cell.left.size} labels for {claim.sizes[0]}")
    words = " rows a label added"  # said once, of the first side
    told = [f"{_few(one['rows_a_label'])}{words * (one is added[0])} for {_few(one['asked'])}" for one in added]
    return ", ".join([*said, *([listed(told)] if told else [])])


def _setting(made: Claim, params: Params, scored: Scored | None) -> str:
    """Say in the declaration's own words what else stands in, with the models and numbers of the run; empty: nothing, or it was not judged."""
    claim = made.declared
    if not claim.setting or not made.comparison:
        return ""
    group = claim.left.group(made.corpus, made.learner, made.size or 0, params)
    rows = count(scored.added(group)) if scored is not None and group in scored.groups else "written"
    layers = params.context.layers if claim.kind == "context" else params.learners.get(made.learner, {}).get("layers")
    return claim.setting.format(rows=rows, size=count(made.size), **models_of(params, claim.left.arm, made.learner, layers))


def _few(value: float) -> str:
    """Write how many rows a label has: with one digit after the point where there are few."""
    return number(value, 0 if value >= 10 or round(value, 1) == round(value) else 1)


def _classes(claim: Declared, params: Params, found: Found, corpus: str) -> list[int] | None:
    return None if claim.metric == MACRO else rare_classes(found.shares[corpus], params.evidence.minority_share)


_Opponents = list[tuple[Side, tuple[Finding, str]]]
"""The right sides with what was found against each, and what must be known besides."""


def _opponents(claim: Declared, params: Params, scored: Scored, cell: Cell, classes: list[int] | None) -> _Opponents:
    return [(side, _finding(claim, params, scored, cell.left, other, classes)) for side, other in cell.rights]


def _deciding(claim: Declared, found: _Opponents) -> tuple[Finding, Side, str]:
    """Return the finding that decides, the side it is against, and what must be known besides.

    Of several right sides the one least in favour decides (intersection–union); to contradict, one is enough, so that all p are multiplied
    by their number. A claimed size is of the difference to the first of them.
    """
    towards = -1.0 if claim.expects in ("worse", "no-better") else 1.0
    side, (finding, why) = min(found, key=lambda item: towards * item[1][0].p_better if known(item[1][0].p_better) else -2.0)
    many = len(found)
    if many > 1 and (towards * finding.effect < 0 or finding.p_equivalent < finding.p):
        finding = replace(finding, p=min(1.0, many * finding.p), p_equivalent=float(np.minimum(1.0, many * finding.p_equivalent)))
    published = found[0][1][0]
    return replace(finding, p_size=published.p_size, sized=published.effect), side, why


def _finding(claim: Declared, params: Params, scored: Scored, left: Group, other: Group, classes: list[int] | None) -> tuple[Finding, str]:
    found = scored.compare(left, other, classes)
    if found is None:
        return Finding(), f"{left.arm} and {other.arm} share no repeat."
    same = scored.equivalence(params, left, other, claim.margin, classes)
    why = ""
    if same.why:
        told = same.gained
        gained = f" ({gain(told.effect)}, {span(POINTS * told.low, POINTS * told.high)})" if told is not None and not told.low > 0 else ""
        why = f"Equivalence is not testable here: {same.why}{gained}."
    if found.repeats == 1:
        why = f"One repeat: how seeds differ is not in the interval. {why}"
    p_size = math.nan
    if claim.claimed is not None:
        p_size = found.beyond((-1 if claim.expects == "worse" else 1) * claim.claimed.points / POINTS)
    return Finding(
        POINTS * found.effect, POINTS * found.low, POINTS * found.high, "F1 points", found.p, same.p, found.p_better, POINTS * same.margin,
        f"{some(found.repeats, 'repeat')}, {some(found.rows, 'test row')}", p_size=p_size, wins=found.wins,
    ), why.strip()  # fmt: skip


def _replications(claim: Declared, params: Params, found: Found, scored: Scored, judged: Cell | None) -> list[dict[str, Any]]:
    """Return the same comparison in every other cell that holds it: learners, corpora, sizes; p uncorrected."""
    rows = []
    for corpus in params.corpora.names:
        classes = _classes(claim, params, found, corpus)
        for learner in dict.fromkeys([*claim.learners, *params.learners]) if classes != [] else ():
            for size in _sizes(scored, corpus, learner):
                cell = _cell(claim, params, scored, corpus, learner, size)
                if cell is None or cell == judged or scored.nothing_added([cell.left, *(group for _, group in cell.rights)]):
                    continue
                finding, right, _ = _deciding(claim, _opponents(claim, params, scored, cell, classes))
                rows.append({
                    "corpus": corpus, "learner": learner, "size": size, "comparison": f"{claim.left.words()} − {right.words()}",
                    "effect": finding.effect, "low": finding.low, "high": finding.high, "unit": finding.unit, "p": finding.p,
                    "outcome": finding.outcome(params.evidence.alpha), "n": finding.n,
                })  # fmt: skip
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
    words = f"{claim.comparison}: {number(finding.effect, digits, sign=True)} {finding.unit} "
    words += f"({level(params)} {span(finding.low, finding.high, digits)}; {finding.n})."
    if len(claim.opponents) > 1:
        each = [f"{one['opponent']} {of_points(one['effect'], one['low'], one['high'])}" for one in claim.opponents]
        words += f" Against each opponent: {'; '.join(each)}; the least sure in favour of the claim decides."
    outcome = outcome_words(claim, params)
    words += f" Outcome: {outcome}, p = {p_text(claim.p_adjusted)}{' after correction' if outcome != LOST else ''}. {_EXPECTED[declared.expects]}."
    if known(finding.wins):
        words += f" A run of the first beats its partner in {number(100 * finding.wins, 0)} % of runs; {number(100 * params.evidence.wins, 0)} % are asked for."
    if claim.outcome == "equivalent" or (claim.outcome == "too imprecise" and known(finding.margin)):
        share = f"{number(100 * declared.margin, 0)} % of what real expansion gains"
        words += f" Margin of equivalence: ±{number(finding.margin, digits)}, {share}."
    if claim.outcome == "too imprecise":
        words += _undecided(finding, params.evidence.alpha)
    if declared.claimed is not None and claim.size_verdict is not None:
        words += f" Size claimed: {declared.claimed.bound} {number(declared.claimed.points, 0)} points – {claim.size_verdict}"
        words += f" ({sizeless(claim)})." if sizeless(claim) else f" (p = {p_text(claim.size_p_adjusted)}{_of_first(claim, params)})."
    words += _elsewhere(claim)
    if claim.stand_in:
        words += f" Not the published setting: {claim.stand_in}."
    return f"{words} {claim.why}".strip()


def _elsewhere(claim: Claim) -> str:
    """Say of an undecided claim how many replications would decide it by their own uncorrected p, and the best of those in favour; empty: none."""
    own, other = (alone(claim, verdict) for verdict in ("supported", "contradicted")) if claim.verdict == "undecided" else ([], [])
    told = [of_points(row["effect"], row["low"], row["high"]) for row in own[:1]]
    best = [f" (most: {row['corpus']}, {row['learner']}, {count(row['size'])} labels, {one})" for row, one in zip(own, told, strict=False)]
    said = f"{count(len(own))} of {count(len(claim.replications))} cells for it{''.join(best)}"
    return f" Elsewhere, by uncorrected p: {said}, {count(len(other))} against it." if own or other else ""


def sizeless(claim: Claim) -> str:
    """Say why a claimed size was not tested; empty: it was."""
    if claim.size_verdict not in (None, "not tested"):
        return ""
    if known(claim.finding.p_size):
        return "how large it is, at most, is asked only where the direction is supported"
    return "there is no difference to judge it by"


LOST = "not shown after correction"


def outcome_words(claim: Claim, params: Params) -> str:
    """Return the outcome for readers: what is shown alone, and not after the correction for all claims, is not called too imprecise."""
    lost = claim.finding.p < params.evidence.alpha or claim.finding.p_equivalent < params.evidence.alpha
    return LOST if claim.outcome == "too imprecise" and lost else claim.outcome


def _undecided(finding: Finding, alpha: float) -> str:
    """Say why a contrast decides nothing although it looks as if it did; empty: it is too imprecise, and looks so."""
    within = bool(-finding.margin < finding.low and finding.high < finding.margin)
    lies, beside = (" The interval lies within the margin", ".") if within else ("", "")
    if finding.p < alpha:
        return f"{lies}{beside} Alone it would show a difference (p = {p_text(finding.p)}); corrected for all claims it does not."
    if finding.p_equivalent < alpha:
        shown = f"Alone it would show equivalence (p = {p_text(finding.p_equivalent)}); corrected for all claims it does not."
        return f"{lies}{beside} {shown}"
    if within and known(finding.p_equivalent):  # where it is not testable, the reason is said besides
        test = "the test of equivalence, which counts the margin's own uncertainty and every opponent, does not show it"
        return f"{lies}, but {test} (p = {p_text(finding.p_equivalent)})."
    return ""


def _of_first(claim: Claim, params: Params) -> str:
    """Say what a size was judged by, where another difference decides the direction."""
    first = claim.declared.right[0]
    if claim.finding.sized == claim.finding.effect:
        return ""
    return f"; by the difference to {_title(params, first)}, {number(claim.finding.sized, sign=True)}"


def as_json(profile: str, claims: Sequence[Claim], params: Params) -> dict[str, Any]:
    """Return the content of ``claims.json``: effects on F1 in points; what is not known is null."""
    tests = sum(known(claim.p_adjusted) for claim in claims) + sum(known(claim.finding.p_size) for claim in claims)
    return {
        "profile": profile, "confidence": params.evidence.confidence, "alpha": params.evidence.alpha,
        "correction": f"Holm over {tests} tests", "claims": [_one(claim, params) for claim in claims],
    }  # fmt: skip


def _one(claim: Claim, params: Params) -> dict[str, Any]:
    declared, finding = claim.declared, claim.finding
    tested = claim.outcome != "not tested"
    return {
        "id": declared.id, "system": declared.system, "source": declared.source, "place": declared.place, "statement": declared.statement,
        "declaration": declared.hash, "sha256": declared.sha256, "history": declared.history(), "expects": declared.expects, "verdict": claim.verdict, "outcome": claim.outcome,
        "comparison": claim.comparison, "corpus": claim.corpus, "learner": claim.learner, "size": claim.size, "metric": declared.metric,
        "stand_in": claim.stand_in, "added": [_row(row) for row in claim.added], "opponents": [_row(row) for row in claim.opponents],
        "effect": _rounded(finding.effect), "interval": [_rounded(finding.low), _rounded(finding.high)], "unit": finding.unit if tested else "",
        "p": _rounded(finding.decides(claim.outcome)), "p_adjusted": _rounded(claim.p_adjusted), "p_better": _rounded(finding.p_better),
        "wins": _rounded(finding.wins),
        "margin": _rounded(finding.margin), "n": finding.n,
        "claimed": None if declared.claimed is None else {
            **declared.claimed.model_dump(), "verdict": claim.size_verdict or "not tested", "p_adjusted": _rounded(claim.size_p_adjusted),
        },
        "reading": reading(claim, params),
        "replications": [_row(row) for row in claim.replications],
    }  # fmt: skip


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _rounded(value) if isinstance(value, float) else value for key, value in row.items()}


def _rounded(value: float) -> float | None:
    return round(float(value), 6) if known(float(value)) else None


# --- metrics --------------------------------------------------------------------------------------------------


def metrics(
    claims: Sequence[Claim], contrasts: pd.DataFrame | None, verdicts: pd.DataFrame | None, headline: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the headline numbers, flat; ``headline``: what the first page is about (`report.build.headline`), empty without trials."""
    found: dict[str, Any] = {}
    if contrasts is not None and headline:
        rows = contrasts[(contrasts["corpus"] == headline["corpus"]) & (contrasts["learner"] == headline["learner"])]
        row = headline["row"]
        rows = rows[(rows["size"] == row.size) & (rows["version"] == "") & (rows["sweep"] == "") & (rows["budget"] == "accepted")]
        real = rows[(rows["arm"] == headline["real"]) & (rows["against"] == "seed")]
        found |= {"learner": headline["learner"], "seed_rows": int(row.size), "best_arm": headline["arm"]}
        found |= {"seed_macro_f1": float(score(row.own)), "picked_gain": round(POINTS * float(row.picked), 1)}
        if known(row.gain):  # not flattered by having been picked
            found |= {f"best_{name}": round(POINTS * float(getattr(row, name)), 1) for name in ("gain", "low", "high")}
        found["best_worth_labels"] = round(float(row.worth)) if known(row.worth) and row.worth_low > 0 else None
        if len(real):
            found["real_gain"] = round(POINTS * float(real.iloc[0]["gain"]), 1)
    if verdicts is not None and len(verdicts):
        found["accepted_share"] = round(float(verdicts["accepted"].astype(bool).mean()), 3)
    names = [claim.verdict for claim in claims]
    found = {name: value + 0.0 if isinstance(value, float) else value for name, value in found.items()}  # no number is −0.0
    return found | {f"claims_{name.replace(' ', '_')}": names.count(name) for name in VERDICTS}
