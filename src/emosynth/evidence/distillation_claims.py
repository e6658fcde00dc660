"""Claims C1–C5: comparisons of students' test scores, paired by repeat.

Each claim is judged on the first student of ``STUDENTS`` that has the cells concerned on three repeats or more; what the
other students say is in ``also``. Intervals and p are Student's, of differences paired by repeat
(:func:`~emosynth.evidence.training_claims.paired_t`); "as good as" means two one-sided tests within
``evidence.equivalence_margin`` (Schuirmann 1987).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from emosynth.evidence.claims import STATEMENTS, Claim, Verdict, not_tested
from emosynth.evidence.training_claims import paired_t
from emosynth.evidence.wording import points, span_text
from emosynth.params import Evidence
from emosynth.stats import Interval, equivalence_tost, holm

STUDENTS = ("tiny", "embedding", "tfidf")
"""Students in the order in which a claim is judged on them."""

ENOUGH = 3
"""Repeats from which a claim is judged on a student: with two repeats a t interval has one degree of freedom."""

PUBLISHED_TAU, OTHER_TAU = 0.7, 0.9
PUBLISHED_BETA, OTHER_BETAS = 0.3, (0.5, 1.0)
PUBLISHED_GROWTH = 20.0
_ATTAINED = 0.9  # share of the wanted rows from which a growth counts as reached

_LABELS = {"seed": "seed", "soft": "verified, soft labels", "hard": "verified, hard labels", "raw": "unverified"}


class Version(NamedTuple):
    """An arm as it is used: verified or not, with which labels."""

    arm: str
    verified: bool
    labels: str


SEED = Version("seed", False, "hard")


def versions_of(arm: str) -> dict[str, Version]:
    """Return the versions of a generating arm by short name: ``soft`` and ``hard`` are verified, ``raw`` is not."""
    return {"seed": SEED, "soft": Version(arm, True, "soft"), "hard": Version(arm, True, "hard"), "raw": Version(arm, False, "hard")}


def version_scores(scores: pd.DataFrame, version: Version) -> pd.Series:
    """Return macro-F1 by repeat of one version; of real arms (``seed``, ``real+…``), what their other columns say is ignored."""
    rows = scores[scores["arm"] == version.arm]
    if not version.arm.startswith(("seed", "real")):
        rows = rows[(rows["verified"].astype(bool) == version.verified) & (rows["labels"] == version.labels)]
    return rows.groupby("repeat")["macro_f1"].mean().sort_index()


def judge_distillation(scores: pd.DataFrame | None, corpus: str, evidence: Evidence, arm: str = "tuned") -> list[Claim]:
    """Judge C1–C5.

    Parameters
    ----------
    scores
        ``distillation/scores.parquet``; None: the run has no such table.
    corpus
        Corpus that the students are scored on.
    evidence
        Level of intervals, margin of equivalence, what counts as substantial.
    arm
        Generating arm that the claims are about (``distillation.arm``).

    Returns
    -------
    list of Claim
        In order of their numbers, p not yet corrected.
    """
    if scores is None or scores.empty:
        return [not_tested(f"C{number}", corpus, "The run has no distillation: no student was trained.") for number in range(1, 6)]
    judges: dict[str, Callable[[pd.DataFrame, str, str, Evidence], Claim]] = {
        "C1": _gains, "C2": _unverified_hurts, "C3": _tau, "C4": _beta, "C5": _flattens,
    }  # fmt: skip
    return [judge(scores, arm, corpus, evidence) for judge in judges.values()]


# --- cells ------------------------------------------------------------------------------------------


def _sweep(scores: pd.DataFrame, student: str, sweep: str) -> pd.DataFrame:
    """Return a student's rows of a sweep at the largest size that the sweep has for it."""
    rows = scores[(scores["student"] == student) & (scores["sweep"] == sweep)]
    return rows[rows["size"] == rows["size"].max()] if len(rows) else rows


def _by_value(scores: pd.DataFrame, student: str, sweep: str) -> pd.DataFrame:
    """Return macro-F1 of a sweep, one row a repeat and one column a value (the seed's own rows left out)."""
    rows = _sweep(scores, student, sweep)
    rows = rows[rows["arm"] != "seed"]
    table = rows.pivot_table(index="repeat", columns="value", values="macro_f1", aggfunc="mean")
    table.columns = pd.Index([round(float(value), 6) for value in table.columns])
    return table


def _primary(paired: Mapping[str, int]) -> str | None:
    """Return the student to judge on: the first with enough pairs, else the one with most."""
    having = [student for student in STUDENTS if paired.get(student)]
    most = max(having, key=lambda student: paired[student], default=None)
    return next((student for student in having if paired[student] >= ENOUGH), most)


def _students(scores: pd.DataFrame) -> list[str]:
    found = set(scores["student"])
    return [student for student in STUDENTS if student in found]


def _sentence(what: str, differences: np.ndarray, evidence: Evidence) -> str:
    mean, interval, _ = paired_t(differences, evidence.confidence)
    return f"{what}: {points(mean)} points of macro-F1 ({span_text(interval, len(differences), evidence.confidence)})."


def _row(student: str, size: int, comparison: str, differences: np.ndarray, evidence: Evidence) -> dict[str, Any]:
    mean, interval, p = paired_t(differences, evidence.confidence)
    return {
        "student": student, "size": size, "comparison": comparison, "effect": mean, "low": interval.low, "high": interval.high, "p": p,
        "repeats": len(differences),
    }  # fmt: skip


def _values(table: pd.DataFrame) -> list[float]:
    return [float(value) for value in table.columns.to_numpy(dtype=float)]


def _differences(first: pd.Series, second: pd.Series) -> np.ndarray:
    return (first - second).dropna().sort_index().to_numpy(dtype=float)


# --- C1, C2: the main contrast ------------------------------------------------------------------------


def _contrast(scores: pd.DataFrame, student: str, first: Version, second: Version) -> np.ndarray:
    """Return first minus second of the main contrast by repeat, shape (repeats,)."""
    rows = _sweep(scores, student, "main")
    return _differences(version_scores(rows, first), version_scores(rows, second))


def _contrasts(scores: pd.DataFrame, pairs: Sequence[tuple[Version, Version, str]], evidence: Evidence) -> list[dict[str, Any]]:
    """Return pairs of versions compared for every student and every size of the main contrast."""
    found = []
    for student in _students(scores):
        rows = scores[(scores["student"] == student) & (scores["sweep"] == "main")]
        for size in sorted(rows["size"].unique()):
            at = rows[rows["size"] == size]
            for first, second, name in pairs:
                differences = _differences(version_scores(at, first), version_scores(at, second))
                if len(differences):
                    found.append(_row(student, int(size), name, differences, evidence))
    return found


def _main_claim(
    identity: str,
    scores: pd.DataFrame,
    pair: tuple[str, str],
    also: Sequence[tuple[Version, Version, str]],
    arm: str,
    corpus: str,
    evidence: Evidence,
    decide: Callable[[float, Interval], Verdict],
) -> Claim:
    versions = versions_of(arm)
    first, second = (versions[name] for name in pair)
    by_student = {student: _contrast(scores, student, first, second) for student in _students(scores)}
    student = _primary({name: len(values) for name, values in by_student.items()})
    if student is None:
        return not_tested(identity, corpus, f"No student was trained both on {arm} rows ({_LABELS[pair[0]]}) and on the seed alone.")
    differences = by_student[student]
    mean, interval, p = paired_t(differences, evidence.confidence)
    size = int(_sweep(scores, student, "main")["size"].max())
    reading = _sentence(f"{arm} rows ({_LABELS[pair[0]]}) minus seed at n = {size}", differences, evidence)
    return Claim(
        identity, STATEMENTS[identity], f"{arm} ({_LABELS[pair[0]]}) − seed at n = {size}", mean, "macro-F1", interval.low, interval.high, p,
        len(differences), corpus, student, decide(mean, interval), reading, also=_contrasts(scores, also, evidence),
    )  # fmt: skip


def _gains(scores: pd.DataFrame, arm: str, corpus: str, evidence: Evidence) -> Claim:
    """C1: supported by a gain above 0 that is at least substantial; contradicted if a substantial gain is excluded."""

    def decide(mean: float, interval: Interval) -> Verdict:
        if interval.low > 0 and mean >= evidence.substantial_gain:
            return "supported"
        return "contradicted" if interval.high < evidence.substantial_gain else "inconclusive"

    versions = versions_of(arm)
    real = sorted({name for name in scores["arm"] if str(name).startswith("real")})
    also = [
        (versions["soft"], SEED, f"{arm} verified soft − seed"),
        (versions["hard"], SEED, f"{arm} verified hard − seed"),
        (versions["soft"], versions["hard"], f"{arm} verified: soft − hard labels"),
        *((Version(name, False, "hard"), SEED, f"{name} − seed") for name in real),
    ]
    claim = _main_claim("C1", scores, ("soft", "seed"), also, arm, corpus, evidence, decide)
    if claim.verdict == "not tested":
        return claim
    asked = f" The claim asks for at least {100 * evidence.substantial_gain:.0f} points."
    return _said(claim, asked + (" That much is excluded." if claim.verdict == "contradicted" else ""))


def _unverified_hurts(scores: pd.DataFrame, arm: str, corpus: str, evidence: Evidence) -> Claim:
    """C2: supported by a loss, contradicted by a gain; both must be significant."""

    def decide(mean: float, interval: Interval) -> Verdict:
        return "supported" if interval.high < 0 else "contradicted" if interval.low > 0 else "inconclusive"

    versions = versions_of(arm)
    naive = versions_of("naive")
    also = [
        (versions["raw"], SEED, f"{arm} unverified − seed"),
        (versions["hard"], versions["raw"], f"{arm}: verified − unverified, hard labels"),
        (versions["soft"], versions["raw"], f"{arm}: verified soft − unverified"),
        (naive["raw"], SEED, "naive unverified − seed"),
    ]
    claim = _main_claim("C2", scores, ("raw", "seed"), also, arm, corpus, evidence, decide)
    if claim.verdict == "not tested":
        return claim
    checked = _contrast(scores, claim.learner, versions["hard"], versions["raw"])
    more = " It helps." if claim.verdict == "contradicted" else ""
    if len(checked):
        more += " " + _sentence("Verified minus unverified rows, both with hard labels", checked, evidence)
    return _said(claim, more)


def _said(claim: Claim, more: str) -> Claim:
    return replace(claim, reading=claim.reading + more)


# --- C3, C4: the sweeps of tau and beta ---------------------------------------------------------------


class _Comparison(NamedTuple):
    """The published value against another one, paired by repeat."""

    other: float
    differences: np.ndarray
    mean: float
    interval: Interval
    p: float
    p_equal: float
    equal: bool


def _compare(table: pd.DataFrame, value: float, other: float, evidence: Evidence) -> _Comparison:
    differences = _differences(table[value], table[other])
    mean, interval, p = paired_t(differences, evidence.confidence)
    both = table[[value, other]].dropna()
    test = equivalence_tost(both[value], both[other], evidence.equivalence_margin, evidence.alpha)
    return _Comparison(other, differences, mean, interval, p, test.p, test.equivalent)


def _swept(scores: pd.DataFrame, sweep: str, needed: Sequence[float]) -> tuple[str | None, pd.DataFrame]:
    """Return the student to judge a sweep on, and its table of macro-F1 by repeat and value."""
    tables = {student: _by_value(scores, student, sweep) for student in _students(scores)}
    paired = {student: len(table[list(needed)].dropna()) for student, table in tables.items() if not set(needed) - set(table.columns)}
    student = _primary(paired)
    return student, tables[student] if student else pd.DataFrame()


def _sweep_rows(scores: pd.DataFrame, sweep: str, symbol: str, value: float, evidence: Evidence) -> list[dict[str, Any]]:
    found = []
    for student in _students(scores):
        table = _by_value(scores, student, sweep)
        size = _sweep(scores, student, sweep)["size"].max()
        for other in table.columns:
            if value in table and other != value:
                differences = _differences(table[value], table[other])
                if len(differences):
                    found.append(_row(student, int(size), f"{symbol} = {value:g} − {symbol} = {other:g}", differences, evidence))
    return found


def _best(table: pd.DataFrame, symbol: str) -> str:
    """Return a sentence that names the value with the highest mean, over repeats that have all values if there are any."""
    whole = table.dropna()
    means = (whole if len(whole) else table).mean()
    return f" The highest mean of the sweep is at {symbol} = {_values(table)[int(means.to_numpy().argmax())]:g} ({100 * means.max():.1f})."


def _tau(scores: pd.DataFrame, arm: str, corpus: str, evidence: Evidence) -> Claim:
    """C3: the best threshold is 0.7, not 0.9.

    Supported if 0.7 is better than 0.9 and no other threshold of the sweep is significantly better than 0.7 (Holm over the
    other thresholds). Contradicted if one is (0.9 among them), or, where 0.7 is not better than 0.9, if the two are
    shown to be equally good. The p of the test that decides is the one to be corrected for the number of claims.
    """
    student, table = _swept(scores, "tau", [PUBLISHED_TAU, OTHER_TAU])
    if student is None:
        return not_tested("C3", corpus, "The run's sweep of τ lacks 0.7 or 0.9.")
    against = [_compare(table, PUBLISHED_TAU, other, evidence) for other in _values(table) if other != PUBLISHED_TAU]
    corrected = holm([item.p for item in against])
    better = [(p, item.other) for p, item in zip(corrected, against, strict=True) if item.mean < 0 and p < evidence.alpha]
    main = next(item for item in against if item.other == OTHER_TAU)
    verdict: Verdict = "inconclusive"
    p, more = main.p, ""
    if better:
        verdict, (p, value) = "contradicted", min(better)
        more = f" τ = {value:g} is significantly better than τ = {PUBLISHED_TAU:g} (corrected for the values tried)."
    elif main.interval.low > 0:
        verdict = "supported"
    elif main.equal:
        verdict, p = "contradicted", main.p_equal
        more = f" The two are equally good within ±{100 * evidence.equivalence_margin:.0f} points (two one-sided tests, p = {p:.3f})."
    return _swept_claim(
        "C3", "tau", "τ", PUBLISHED_TAU, f"τ = {OTHER_TAU:g}", main, p, verdict, more, scores, student, table, corpus, evidence
    )


def _beta(scores: pd.DataFrame, arm: str, corpus: str, evidence: Evidence) -> Claim:
    """C4: a weight of 0.3 beats 0.5 and 1.0.

    Supported if it is better than both: the larger p counts, both must be below alpha (intersection–union, no correction
    between them needed). Contradicted if it is significantly worse than one of them or shown to be equally good as one of
    them; one of two is enough, so that the smaller p is doubled. The effect shown is the smaller of the two differences.
    """
    needed = [PUBLISHED_BETA, *OTHER_BETAS]
    student, table = _swept(scores, "beta", needed)
    if student is None:
        return not_tested("C4", corpus, "The run's sweep of β lacks 0.3, 0.5 or 1.0.")
    against = [_compare(table, PUBLISHED_BETA, other, evidence) for other in OTHER_BETAS]
    weakest = min(against, key=lambda item: item.mean)
    verdict: Verdict = "inconclusive"
    p, more = max((item.p for item in against), key=lambda value: -1.0 if math.isnan(value) else value), ""
    refuted = [(min(1.0, len(against) * item.p), item, "significantly worse than") for item in against if item.interval.high < 0]
    refuted += [
        (min(1.0, len(against) * item.p_equal), item, f"equally good as (within ±{100 * evidence.equivalence_margin:.0f} points)")
        for item in against
        if item.equal and not item.interval.low > 0
    ]
    if all(item.interval.low > 0 for item in against):
        verdict = "supported"
    elif refuted:
        p, weakest, how = min(refuted, key=lambda item: item[0])
        verdict, more = "contradicted", f" β = {PUBLISHED_BETA:g} is {how} β = {weakest.other:g}."
    others = " and ".join(f"β = {item.other:g}" for item in against)
    for item in against:
        if item is not weakest:
            more += " " + _sentence(f"Against β = {item.other:g}", item.differences, evidence)
    return _swept_claim(
        "C4", "beta", "β", PUBLISHED_BETA, f"β = {weakest.other:g}", weakest, p, verdict, f" The claim is about {others}." + more, scores, student, table,
        corpus, evidence,
    )  # fmt: skip


def _swept_claim(
    identity: str,
    sweep: str,
    symbol: str,
    value: float,
    against: str,
    main: _Comparison,
    p: float,
    verdict: Verdict,
    more: str,
    scores: pd.DataFrame,
    student: str,
    table: pd.DataFrame,
    corpus: str,
    evidence: Evidence,
) -> Claim:
    size = int(_sweep(scores, student, sweep)["size"].max())
    comparison = f"{symbol} = {value:g} − {against} at n = {size}"
    reading = _sentence(f"{symbol} = {value:g} minus {against} at n = {size}", main.differences, evidence) + more + _best(table, symbol)
    return Claim(
        identity, STATEMENTS[identity], comparison, main.mean, "macro-F1", main.interval.low, main.interval.high, p, len(main.differences), corpus,
        student, verdict, reading, also=_sweep_rows(scores, sweep, symbol, value, evidence),
    )  # fmt: skip


# --- C5: growth ---------------------------------------------------------------------------------------


def _growth_table(scores: pd.DataFrame, student: str) -> tuple[pd.DataFrame, list[float]]:
    """Return macro-F1 by repeat and growth, and the growths left out because too few rows were accepted to reach them.

    Without this, a curve whose last points hold the same rows would look flat.
    """
    rows = _sweep(scores, student, "growth")
    rows = rows[(rows["arm"] != "seed") | (rows["value"] == 0)]
    table = rows.pivot_table(index="repeat", columns="value", values="macro_f1", aggfunc="mean")
    had = rows.groupby("value")["n_synthetic"].mean() / rows["size"].max() if len(rows) else pd.Series(dtype=float)
    short = [value for value in _values(table) if value > 0 and float(had[value]) < _ATTAINED * value]
    return table.drop(columns=short), short


def _flattens(scores: pd.DataFrame, arm: str, corpus: str, evidence: Evidence) -> Claim:
    """C5: supported if the last doubling changes nothing (equivalence); contradicted if it gains more than the margin.

    Growths that the accepted candidates do not reach are left out. Not tested where the largest growth is below that of
    the claim; the reading then says where the curve of this run flattens.
    """
    found = {student: _growth_table(scores, student) for student in _students(scores)}
    steps = {student: _last_doubling(table) for student, (table, _) in found.items()}
    student = _primary({name: len(found[name][0][list(step)].dropna()) for name, step in steps.items() if step})
    step = steps.get(student or "")
    if student is None or step is None:
        short = sorted({value for _, values in found.values() for value in values})
        few = f"Too few rows were accepted for growth of {', '.join(f'{value:g}×' for value in short)}; fewer than two growths are left."
        return not_tested("C5", corpus, few if short else "The run has no sweep of growth.")
    (table, short), (before, last) = found[student], step
    size = int(_sweep(scores, student, "growth")["size"].max())
    both = table[[before, last]].dropna()
    differences = _differences(both[last], both[before])
    mean, interval, _ = paired_t(differences, evidence.confidence)
    test = equivalence_tost(both[last], both[before], evidence.equivalence_margin, evidence.alpha)
    margin = f"±{100 * evidence.equivalence_margin:.0f} points"
    reading = _sentence(f"{last:g}× minus {before:g}× synthetic rows per seed row at n = {size}", differences, evidence)
    reading += (
        f" That is within {margin} (two one-sided tests, p = {test.p:.3f})."
        if test.equivalent
        else f" It is not shown to lie within {margin}."
    )
    reading += _flat_from(table, evidence)
    if short:
        reading += f" Left out, because too few rows were accepted: {', '.join(f'{value:g}×' for value in short)}."
    also = [
        _row(name, size, f"{after:g}× − {first:g}×", _differences(of[after], of[first]), evidence)
        for name, (of, _) in found.items()
        for first, after in pairwise(_values(of))
        if len(_differences(of[after], of[first]))
    ]
    comparison = f"{last:g}× − {before:g}× at n = {size}"
    if last < PUBLISHED_GROWTH:
        why = f"The largest growth reached in this run is {last:g}×, below the {PUBLISHED_GROWTH:g}× of the claim. "
        return replace(not_tested("C5", corpus, why + reading), comparison=comparison, learner=student, repeats=len(differences), also=also)
    verdict: Verdict = "inconclusive"
    if test.equivalent:
        verdict = "supported"
    elif interval.low > evidence.equivalence_margin:
        verdict = "contradicted"
    return Claim(
        "C5", STATEMENTS["C5"], comparison, mean, "macro-F1", interval.low, interval.high, test.p, len(differences), corpus, student, verdict, reading,
        also=also,
    )  # fmt: skip


def _last_doubling(table: pd.DataFrame) -> tuple[float, float] | None:
    """Return the largest growth and the largest one that is at most half of it, else the next smaller one."""
    values = _values(table)
    if len(values) < 2:
        return None
    halves = [value for value in values[:-1] if 0 < value <= values[-1] / 2]
    return (halves[-1] if halves else values[-2]), values[-1]


def _flat_from(table: pd.DataFrame, evidence: Evidence) -> str:
    """Return from which growth on no larger one of the run gains the margin or more (interval below the margin)."""
    values = _values(table)
    for at, value in enumerate(values[:-1]):
        intervals = [paired_t(_differences(table[later], table[value]), evidence.confidence)[1] for later in values[at + 1 :]]
        if all(interval.high < evidence.equivalence_margin for interval in intervals):
            return f" From {value:g}× on, a further gain of {100 * evidence.equivalence_margin:.0f} points or more is excluded up to {values[-1]:g}×."
    return " No growth is found from which on further gains are excluded."
