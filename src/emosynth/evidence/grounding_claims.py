"""Claims B1–B3 of Emo Pillars: two-stage training, diversity of grounded text, and what context is worth.

B1 is judged on the first learner of ``LEARNERS`` that has three repeats or more. B2 and B3 are each about several comparisons that
must all hold. They are judged by the one that is least in favour (intersection–union test: Berger 1982), which needs no
correction for their number; its effect, interval and p stand for the claim, and the others are in ``also``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from scipy.stats import norm

from emosynth.evidence.claims import STATEMENTS, Claim, Verdict, not_tested
from emosynth.evidence.training_claims import paired_t
from emosynth.evidence.wording import points, span_text
from emosynth.params import Evidence

LEARNERS = ("encoder", "embedding", "tfidf")
"""Learners in the order in which a claim is judged on them."""

ENOUGH = 3
"""Repeats from which B1 is judged on a learner: with two, a t interval has one degree of freedom."""

FEWEST = 20
"""Rows and pairs from which B3 is judged: an interval by resampling says little of a handful, which can all fall the same way."""

KINDS = {"utterance": "utterances", "context": "contexts"}
MEASURES = {"distinct_2": "distinct-2", "spread": "embedding spread"}
ALL = "all"
NEUTRAL = "neutral"

_THRESHOLDS = {"single": "argmax", "multi": "validation"}
_DIFFERENCE = "context − utterance"
_MEAN = -1  # repeat: mean over repeats
_CHANCE = 0.5


def judge_grounding(
    scores: pd.DataFrame | None,
    context: pd.DataFrame | None,
    diversity_differences: pd.DataFrame | None,
    evidence: Evidence,
    *,
    arm: str = "grounded",
    against: str | None = "ungrounded",
) -> list[Claim]:
    """Judge B1–B3.

    Parameters
    ----------
    scores, context
        Of the step transfer; None: the run has no such table.
    diversity_differences
        Columns arm, against, kind, measure, emotion, difference, low, high; see `emosynth.grounding.diversity.diversity`.
    evidence
        Level of intervals, margin of equivalence.
    arm, against
        Arms of the contrast (``transfer.arm``, ``transfer.against``); without ``against`` the diversity of ``arm`` is compared with the
        first arm that its table holds.

    Returns
    -------
    list of Claim
        In order of their numbers, p not yet corrected.
    """
    return [
        _pretraining(scores, arm, evidence),
        _diversity(diversity_differences, arm, against, evidence),
        _context(context, arm, evidence),
    ]


# --- B1 -------------------------------------------------------------------------------------------------


def _gains(scores: pd.DataFrame, regimes: tuple[str, str], arms: tuple[str | None, str | None]) -> pd.DataFrame:
    """Return first minus second by repeat, shape (repeats, (target, size)), of one learner's headline scores."""
    tables = []
    for regime, arm in zip(regimes, arms, strict=True):
        rows = scores[scores["regime"] == regime]
        rows = rows if arm is None else rows[rows["arm"] == arm]
        tables.append(rows.pivot_table(index="repeat", columns=["target", "size"], values="macro_f1"))
    shared = [column for column in tables[0].columns if column in tables[1].columns]
    return tables[0][shared] - tables[1][shared]


def _pretraining(scores: pd.DataFrame | None, arm: str, evidence: Evidence) -> Claim:
    """B1: the mean gain over targets and seed sizes, paired by repeat.

    Supported if its interval is above 0 and that of no target is below 0; contradicted if a gain of the margin of equivalence is
    excluded. Targets and sizes are fixed, repeats are what is drawn: only repeats with every target and size count.
    """
    if scores is None or scores.empty:
        return not_tested("B1", "", "The run has no transfer scores.")
    rows = scores[scores["thresholds"] == scores["task"].map(_THRESHOLDS)]
    corpus = ", ".join(dict.fromkeys(rows["target"]))
    by_learner = {
        name: _gains(rows[rows["learner"] == name], ("two-stage", "target"), (arm, None)).dropna()
        for name in LEARNERS
        if name in set(rows["learner"])
    }
    having = [name for name, table in by_learner.items() if table.size]
    if not having:
        return not_tested("B1", corpus, f"No learner was trained both on {arm} rows and the seed, and on the seed alone.")
    most = max(having, key=lambda name: len(by_learner[name]))
    learner = next((name for name in having if len(by_learner[name]) >= ENOUGH), most)
    table = by_learner[learner]
    differences = table.mean(axis=1).to_numpy(dtype=float)
    mean, interval, p = paired_t(differences, evidence.confidence)
    reading = (
        f"Two-stage minus target-only, mean over {len(table.columns)} cells of target and seed size: {points(mean)} points of macro-F1 "
        f"({span_text(interval, len(differences), evidence.confidence)})."
    )
    worst = math.inf
    judged = set(table.columns.get_level_values("target"))
    targets = [target for target in dict.fromkeys(rows["target"]) if target in judged]
    for target in targets:
        own, span, _ = paired_t(table[target].mean(axis=1).to_numpy(dtype=float), evidence.confidence)
        worst = min(worst, math.inf if math.isnan(span.high) else span.high)
        reading += f" {target}: {points(own)}" + ("." if math.isnan(span.low) else f" ({points(span.low)} to {points(span.high)}).")
    longer = _gains(rows[rows["learner"] == learner], ("two-stage", "target-long"), (arm, None)).dropna()
    if longer.size:
        equal, span, _ = paired_t(longer.mean(axis=1).to_numpy(dtype=float), evidence.confidence)
        reading += (
            f" Over the target alone with as many gradient steps: {points(equal)} ({span_text(span, len(longer), evidence.confidence)})."
        )
    verdict: Verdict = "inconclusive"
    if interval.low > 0 and worst >= 0:
        verdict = "supported"
    elif interval.high < evidence.equivalence_margin:
        verdict = "contradicted"
        reading += f" A gain of {100 * evidence.equivalence_margin:.0f} points or more is excluded."
    elif interval.low > 0:
        reading += " One target is hurt."
    return Claim(
        "B1", STATEMENTS["B1"], f"two-stage ({arm}) − target only, mean over sizes {_sizes(table)}", mean, "macro-F1", interval.low, interval.high, p,
        len(differences), ", ".join(targets), learner, verdict, reading, also=_b1_also(rows, arm, evidence),
    )  # fmt: skip


def _sizes(table: pd.DataFrame) -> str:
    return ", ".join(str(size) for size in sorted({int(size) for size in table.columns.get_level_values("size")}))


def _b1_also(rows: pd.DataFrame, arm: str, evidence: Evidence) -> list[dict[str, Any]]:
    """Return two-stage training against everything else, for every learner, target and size."""
    others = [name for name in dict.fromkeys(rows.loc[rows["regime"] == "two-stage", "arm"]) if name != arm]
    pairs: list[tuple[str, tuple[str, str], tuple[str | None, str | None]]] = [
        (f"two-stage ({arm}) − target only", ("two-stage", "target"), (arm, None)),
        (f"two-stage ({arm}) − target only with the steps of both stages", ("two-stage", "target-long"), (arm, None)),
        (f"two-stage − joint ({arm})", ("two-stage", "joint"), (arm, arm)),
        *((f"two-stage: {arm} − {other}", ("two-stage", "two-stage"), (arm, other)) for other in others),
    ]
    found = []
    for learner in [name for name in LEARNERS if name in set(rows["learner"])]:
        for comparison, regimes, arms in pairs:
            table = _gains(rows[rows["learner"] == learner], regimes, arms)
            for place, (target, size) in enumerate(
                zip(*(table.columns.get_level_values(name) for name in ("target", "size")), strict=True)
            ):
                differences = table.iloc[:, place].dropna().to_numpy(dtype=float)
                if len(differences):
                    mean, interval, p = paired_t(differences, evidence.confidence)
                    found.append(
                        {
                            "learner": learner, "target": str(target), "size": int(size), "comparison": comparison, "effect": mean,
                            "low": interval.low, "high": interval.high, "p": p, "repeats": len(differences),
                        }
                    )  # fmt: skip
    return found


# --- comparisons that must all hold ----------------------------------------------------------------------


class _Part(NamedTuple):
    """One of several comparisons: an effect that is 0 if the claim is wrong, with its interval and p."""

    name: str
    unit: str
    effect: float
    low: float
    high: float
    p: float
    n: int
    row: Mapping[str, Any]


def p_of_interval(effect: float, low: float, high: float, confidence: float) -> float:
    """Return the two-sided p of an effect from its interval, taken for normal (Altman and Bland 2011, BMJ 343:d2304); NaN without width."""
    if any(map(math.isnan, (effect, low, high))) or not high > low:
        return math.nan
    error = (high - low) / (2 * norm.ppf((1 + confidence) / 2))
    return float(2 * norm.sf(abs(effect) / error))


def _part(name: str, unit: str, effect: float, low: float, high: float, n: int, row: Mapping[str, Any], evidence: Evidence) -> _Part:
    return _Part(name, unit, effect, low, high, p_of_interval(effect, low, high, evidence.confidence), n, row)


def _least(parts: Sequence[_Part]) -> _Part:
    """Return the comparison that is least in favour: a negative effect before a positive one, then by p."""

    def favour(part: _Part) -> float:
        p = 1.0 if math.isnan(part.p) else part.p
        return math.copysign(1 - p, part.effect)

    return min(parts, key=favour)


# --- B2 -------------------------------------------------------------------------------------------------


def _diversity(table: pd.DataFrame | None, arm: str, against: str | None, evidence: Evidence) -> Claim:
    """B2: distinct-2 and embedding spread of utterances and of contexts, grounded minus ungrounded.

    Supported if in all four comparisons the interval over all emotions is above 0 and most emotions gain; contradicted if of
    utterances or of contexts both measures' intervals are below 0.
    """
    rows = None if table is None else table[table["arm"] == arm]
    if rows is None or rows.empty:
        return not_tested("B2", "", "The run has no grounded and ungrounded arm to compare.")
    against = against or str(rows["against"].iloc[0])
    rows = rows[rows["against"] == against]
    parts: dict[tuple[str, str], _Part] = {}
    shares: dict[tuple[str, str], float] = {}
    words = []
    for kind, kind_words in KINDS.items():
        for measure, measure_words in MEASURES.items():
            cell = rows[(rows["kind"] == kind) & (rows["measure"] == measure) & rows["difference"].notna()]
            overall, single = cell[cell["emotion"] == ALL], cell[cell["emotion"] != ALL]
            if overall.empty:
                return not_tested("B2", "", f"There are too few {kind_words} of {arm} or {against} rows to compare.")
            row = overall.iloc[0]
            effect, low, high = (float(row[name]) for name in ("difference", "low", "high"))
            name = f"{measure_words} of {kind_words}"
            shares[kind, measure] = float((single["difference"] > 0).mean()) if len(single) else math.nan
            more = {"kind": kind, "measure": measure, "emotions_above": shares[kind, measure], **_neutral(single)}
            parts[kind, measure] = _part(name, measure_words, effect, low, high, len(single), more, evidence)
            often = (
                f", more in {shares[kind, measure]:.0%} of {len(single)} emotions" if len(single) else ", too few texts to tell by emotion"
            )
            words.append(f"{name} {effect:+.3f} ({low:+.3f} to {high:+.3f}){often}")
    least = _least(list(parts.values()))
    verdict: Verdict = "inconclusive"
    if all(part.low > 0 for part in parts.values()) and all(share > _CHANCE for share in shares.values()):
        verdict = "supported"
    elif any(all(parts[kind, measure].high < 0 for measure in MEASURES) for kind in KINDS):
        verdict = "contradicted"
    reading = f"{arm} minus {against}, at equal numbers of tokens: {'; '.join(words)}."
    ranks = [(part.row["neutral_rank"], part.n) for part in parts.values() if part.row["neutral_rank"]]
    if ranks:
        last = sum(rank == n for rank, n in ranks)
        reading += f" Neutral gains least in {last} of {len(ranks)} comparisons."
    also = [
        {
            "comparison": f"{arm} − {against}: {part.name}",
            "effect": part.effect,
            "low": part.low,
            "high": part.high,
            "p": part.p,
            **part.row,
        }
        for part in parts.values()
    ]
    return Claim(
        "B2", STATEMENTS["B2"], f"{arm} − {against}, {least.name} (least in favour of four)", least.effect, least.unit, least.low, least.high, least.p,
        least.n, "", "", verdict, reading, also=also,
    )  # fmt: skip


def _neutral(single: pd.DataFrame) -> dict[str, Any]:
    """Return neutral's own difference and its rank among the emotions, 1 for the largest gain; None if there is none."""
    own = single.loc[single["emotion"] == NEUTRAL, "difference"]
    if own.empty:
        return {"neutral": math.nan, "neutral_rank": None}
    return {"neutral": float(own.iloc[0]), "neutral_rank": int((single["difference"] > own.iloc[0]).sum()) + 1}


# --- B3 -------------------------------------------------------------------------------------------------


def _cell(rows: pd.DataFrame, given: str, test: str, measure: str) -> pd.Series | None:
    found = rows[(rows["input"] == given) & (rows["test"] == test) & (rows["measure"] == measure) & (rows["repeat"] == _MEAN)]
    return None if found.empty else found.iloc[0]


def _context(table: pd.DataFrame | None, arm: str, evidence: Evidence) -> Claim:
    """B3: with context minus without, on rows of held-out stories (LRAP) and on pairs (share moved the right way, minus one half).

    Supported if both intervals are above 0; contradicted if both exclude a gain of the margin of equivalence. Without pairs it stays
    inconclusive at best: rows of held-out stories do not say whether the context changed anything.
    """
    if table is None or table.empty:
        return not_tested("B3", "", "The run has no models with and without context.")
    learner = next(name for name in LEARNERS if name in set(table["learner"]))
    rows = table[table["learner"] == learner]
    on_rows, on_pairs = _cell(rows, _DIFFERENCE, "rows", "lrap"), _cell(rows, "context", "pairs", "flips")
    if on_rows is None:
        return not_tested("B3", "", "The run has no held-out rows with context.")
    parts = [_context_part("LRAP of held-out rows, context − utterance", "LRAP", on_rows, 0.0, evidence)]
    if on_pairs is not None:
        parts.append(_context_part("pairs moved the right way, minus one half", "share of pairs", on_pairs, _CHANCE, evidence))
    least = _least(parts)
    verdict: Verdict = "inconclusive"
    few = min(part.n for part in parts) < FEWEST
    if not few and len(parts) > 1 and all(part.low > 0 for part in parts):
        verdict = "supported"
    elif not few and all(part.high < evidence.equivalence_margin for part in parts):
        verdict = "contradicted"
    reading = f"LRAP on {parts[0].n} rows of held-out stories, with context minus without: {parts[0].effect:+.3f} ({parts[0].low:+.3f} to {parts[0].high:+.3f})."
    if on_pairs is None:
        reading += " There are no pairs of contexts for one utterance."
    else:
        reading += (
            f" The label moves the right way in {on_pairs['value']:.0%} of {parts[1].n} pairs "
            f"({on_pairs['low']:.0%} to {on_pairs['high']:.0%}; a model without context: 50 %)."
        )
    if few:
        reading += f" Fewer than {FEWEST} rows or pairs decide nothing."
    alone, shuffled = (_cell(rows, name, "rows", "lrap") for name in ("context only", "shuffled context"))
    if alone is not None and shuffled is not None:
        reading += f" LRAP of the context alone {alone['value']:.3f}, with another row's context {shuffled['value']:.3f}."
    means = table[(table["repeat"] == _MEAN)]
    also = [
        {
            "learner": str(row["learner"]), "comparison": str(row["input"]), "test": str(row["test"]), "measure": str(row["measure"]),
            "effect": float(row["value"]), "low": float(row["low"]), "high": float(row["high"]), "n": int(row["n"]),
        }
        for _, row in means.iterrows()
    ]  # fmt: skip
    repeats = int(rows.loc[rows["repeat"] != _MEAN, "repeat"].nunique())
    return Claim(
        "B3", STATEMENTS["B3"], f"{least.name}{' (less in favour of two)' if len(parts) > 1 else ''}", least.effect, least.unit, least.low, least.high,
        least.p, repeats, f"{arm} rows", learner, verdict, reading, also=also,
    )  # fmt: skip


def _context_part(name: str, unit: str, row: pd.Series, chance: float, evidence: Evidence) -> _Part:
    effect, low, high = (float(row[column]) - chance for column in ("value", "low", "high"))
    return _part(name, unit, effect, low, high, int(row["n"]), {}, evidence)
