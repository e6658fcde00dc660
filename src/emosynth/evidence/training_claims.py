"""Claims A1–A4: comparisons of test scores, paired by repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from emosynth.evidence.claims import STATEMENTS, Claim, Verdict, not_tested
from emosynth.evidence.wording import points
from emosynth.params import Evidence
from emosynth.stats import Interval, equivalence_tost, t_interval

GUIDED = "shap"
LEARNERS = ("embedding", "finetuned", "tfidf")


def paired_scores(
    scores: pd.DataFrame, learner: str, size: int, first: tuple[str, bool], second: tuple[str, bool], column: str = "macro_f1"
) -> np.ndarray:
    """Return first minus second by repeat, shape (repeats,), for repeats that have both."""
    chosen = scores[(scores["learner"] == learner) & (scores["size"] == size)]
    one, two = (
        chosen[(chosen["arm"] == arm) & (chosen["verified"] == verified)].set_index("repeat")[column] for arm, verified in (first, second)
    )
    return (one - two).dropna().sort_index().to_numpy(dtype=float)


def paired_t(differences: np.ndarray, confidence: float) -> tuple[float, Interval, float]:
    """Return mean, t interval and two-sided p of paired differences; NaN below two pairs.

    Student's t is used, not the exact sign-flip test: with r repeats that test's smallest p is 2/2^r, 0.25
    at three, so it could never call anything significant at the numbers of repeats that are affordable.
    """
    if len(differences) < 2 or np.allclose(differences, differences[0]):
        mean = float(np.mean(differences)) if len(differences) else math.nan
        return mean, Interval(math.nan, math.nan), math.nan
    return float(differences.mean()), t_interval(differences, confidence), float(scipy_stats.ttest_1samp(differences, 0.0).pvalue)


def judge_training(
    scores: pd.DataFrame, per_class: pd.DataFrame, shares: Mapping[str, float], corpus: str, evidence: Evidence
) -> list[Claim]:
    """Judge A1–A4.

    Parameters
    ----------
    scores, per_class
        As written by step 04.
    shares
        Share of each class in the training split.

    Returns
    -------
    list of Claim
        Judged on unverified text, as published, with the first learner of ``LEARNERS`` that has the cells; what
        verified text and the other learners say is in ``also``.
    """
    learners = [name for name in LEARNERS if name in set(scores["learner"])]
    claims = []
    judges: dict[str, Callable[[str, list[int]], Claim]] = {
        "A1": lambda learner, sizes: _matches_real(scores, learners, learner, sizes[-1], corpus, evidence),
        "A2": lambda learner, sizes: _beats_naive(scores, learners, learner, sizes[-1], corpus, evidence),
        "A3": lambda learner, sizes: _minority_gains(scores, per_class, shares, learners, learner, sizes[-1], corpus, evidence),
        "A4": lambda learner, sizes: _threshold(scores, learners, learner, sizes[0], sizes[-1], corpus, evidence),
    }
    for identity, judge in judges.items():
        claim = not_tested(identity, corpus, "The run has no SHAP-guided arm.")
        for learner in learners:
            guided = scores[(scores["arm"] == GUIDED) & (scores["learner"] == learner) & ~scores["verified"]]
            sizes = sorted(int(size) for size in guided["size"].unique())
            if sizes:
                claim = judge(learner, sizes)
            if claim.verdict != "not tested":
                break
        claims.append(claim)
    return claims


def _also(
    scores: pd.DataFrame, learners: Sequence[str], sizes: Sequence[int], pairs: Sequence[tuple[str, str]], evidence: Evidence
) -> list[dict[str, Any]]:
    """Return the comparison for every learner, size, and verified or unverified text."""
    rows = []
    for learner in learners:
        for size in sizes:
            for verified in (False, True):
                for one, two in pairs:
                    other = (two, verified if not two.startswith(("real", "seed")) else False)
                    mean, interval, p = paired_t(paired_scores(scores, learner, size, (one, verified), other), evidence.confidence)
                    if not math.isnan(mean):
                        rows.append(
                            {
                                "learner": learner,
                                "size": size,
                                "verified": verified,
                                "comparison": f"{one} − {two}",
                                "effect": mean,
                                "low": interval.low,
                                "high": interval.high,
                                "p": p,
                            }
                        )
    return rows


def _sentence(what: str, mean: float, interval: Interval, n: int, confidence: float) -> str:
    span = (
        "no interval (fewer than two repeats)"
        if math.isnan(interval.low)
        else f"{confidence:.0%} interval {points(interval.low)} to {points(interval.high)}"
    )
    return f"{what}: {points(mean)} points of macro-F1, {span}, {n} repeats."


def _matches_real(scores: pd.DataFrame, learners: Sequence[str], primary: str, size: int, corpus: str, evidence: Evidence) -> Claim:
    chosen = scores[(scores["learner"] == primary) & (scores["size"] == size) & ~scores["verified"]].pivot_table(
        index="repeat", columns="arm", values="macro_f1"
    )
    if "real+1x" not in chosen or GUIDED not in chosen:
        return not_tested("A1", corpus, "The run has no real expansion to compare with.")
    both = chosen[[GUIDED, "real+1x"]].dropna()
    test = equivalence_tost(both[GUIDED], both["real+1x"], evidence.equivalence_margin, evidence.alpha)
    mean, interval, _ = paired_t((both[GUIDED] - both["real+1x"]).to_numpy(), evidence.confidence)
    verdict: Verdict = "inconclusive"
    if test.equivalent:
        verdict = "supported"
    elif interval.high < -evidence.equivalence_margin:
        verdict = "contradicted"
    reading = _sentence(f"SHAP-guided minus real expansion (+1×) at n = {size}", mean, interval, len(both), evidence.confidence)
    reading += f" “Matches” means within ±{100 * evidence.equivalence_margin:.0f} points (two one-sided tests, p = {test.p:.3f})."
    also = _also(scores, learners, [size], [(GUIDED, "real+1x"), (GUIDED, "real-balanced+1x")], evidence)
    return Claim(
        "A1", STATEMENTS["A1"], f"{GUIDED} − real+1x at n = {size}", mean, "macro-F1", interval.low, interval.high, test.p, len(both), corpus, primary,
        verdict, reading, also=also,
    )  # fmt: skip


def _beats_naive(scores: pd.DataFrame, learners: Sequence[str], primary: str, size: int, corpus: str, evidence: Evidence) -> Claim:
    differences = paired_scores(scores, primary, size, (GUIDED, False), ("naive", False))
    if not len(differences):
        return not_tested("A2", corpus, "The run has no naïve arm to compare with.")
    mean, interval, p = paired_t(differences, evidence.confidence)
    verdict: Verdict = "inconclusive"
    if interval.low > 0:
        verdict = "supported"
    elif interval.high < evidence.equivalence_margin:
        verdict = "contradicted"
    reading = _sentence(f"SHAP-guided minus naïve at n = {size}", mean, interval, len(differences), evidence.confidence)
    if verdict == "contradicted":
        reading += f" A gain of {100 * evidence.equivalence_margin:.0f} points or more is excluded."
    degrade, span, _ = paired_t(paired_scores(scores, primary, size, ("naive", False), ("seed", False)), evidence.confidence)
    reading += f" Naïve minus seed only: {points(degrade)} ({points(span.low)} to {points(span.high)})." if not math.isnan(span.low) else ""
    sizes = sorted(scores["size"].unique())
    also = _also(scores, learners, sizes, [(GUIDED, "naive"), ("naive", "seed")], evidence)
    return Claim(
        "A2", STATEMENTS["A2"], f"{GUIDED} − naive at n = {size}", mean, "macro-F1", interval.low, interval.high, p, len(differences), corpus, primary,
        verdict, reading, also=also,
    )  # fmt: skip


def _minority_gains(
    scores: pd.DataFrame,
    per_class: pd.DataFrame,
    shares: Mapping[str, float],
    learners: Sequence[str],
    primary: str,
    size: int,
    corpus: str,
    evidence: Evidence,
) -> Claim:
    rare = sorted(label for label, share in shares.items() if share < evidence.minority_share / len(shares))
    if not rare:
        return not_tested("A3", corpus, f"No class has less than {evidence.minority_share:.0%} of the uniform share.")
    also = []
    found: dict[tuple[str, str, bool], np.ndarray] = {}
    for learner in learners:
        for other in ("seed", "real+1x", "naive"):
            for verified in (False, True):
                by_label = [
                    paired_scores(
                        per_class[per_class["label"] == label],
                        learner,
                        size,
                        (GUIDED, verified),
                        (other, verified and other == "naive"),
                        "f1",
                    )
                    for label in rare
                ]
                if by_label and all(len(d) == len(by_label[0]) and len(d) for d in by_label):
                    found[learner, other, verified] = np.mean(by_label, axis=0)
                    mean, interval, p = paired_t(found[learner, other, verified], evidence.confidence)
                    also.append(
                        {
                            "learner": learner, "size": size, "verified": verified, "comparison": f"{GUIDED} − {other}: F1 of {', '.join(rare)}",
                            "effect": mean, "low": interval.low, "high": interval.high, "p": p,
                        }
                    )  # fmt: skip
    if (primary, "seed", False) not in found:
        return not_tested("A3", corpus, "Scores by class are missing.")
    differences = found[primary, "seed", False]
    mean, interval, p = paired_t(differences, evidence.confidence)
    verdict: Verdict = "inconclusive"
    if interval.low > 0 and mean >= evidence.substantial_gain:
        verdict = "supported"
    elif interval.high < evidence.substantial_gain:
        verdict = "contradicted"
    reading = _sentence(
        f"F1 of {', '.join(rare)}, SHAP-guided minus seed only at n = {size}", mean, interval, len(differences), evidence.confidence
    )
    reading = reading.replace("macro-F1", "F1") + f" “Substantial” means at least {100 * evidence.substantial_gain:.0f} points."
    return Claim(
        "A3", STATEMENTS["A3"], f"{GUIDED} − seed at n = {size}, F1 of {', '.join(rare)}", mean, "F1", interval.low, interval.high, p, len(differences), corpus,
        primary, verdict, reading, also=also,
    )  # fmt: skip


def _threshold(
    scores: pd.DataFrame, learners: Sequence[str], primary: str, smallest: int, largest: int, corpus: str, evidence: Evidence
) -> Claim:
    if smallest == largest:
        return not_tested("A4", corpus, "The run has one seed size only.")
    small = paired_scores(scores, primary, smallest, (GUIDED, False), ("seed", False))
    large = paired_scores(scores, primary, largest, (GUIDED, False), ("seed", False))
    if not len(small) or len(small) != len(large):
        return not_tested("A4", corpus, "The smallest or the largest seed lacks scores.")
    mean, interval, p = paired_t(large - small, evidence.confidence)
    at_small, small_interval, p_small = paired_t(small, evidence.confidence)
    at_large, large_interval, _ = paired_t(large, evidence.confidence)
    verdict: Verdict = "inconclusive"
    if small_interval.low > 0:
        # What decides is the gain at the smallest seed; its p is the one to be corrected.
        verdict, p = "contradicted", p_small
    elif interval.low > 0 and small_interval.high < evidence.equivalence_margin:
        verdict = "supported"
    reading = _sentence(
        f"Gain over the seed at n = {largest} minus gain at n = {smallest}", mean, interval, len(small), evidence.confidence
    )
    reading += (
        f" Gain at n = {smallest}: {points(at_small)} ({points(small_interval.low)} to {points(small_interval.high)});"
        f" at n = {largest}: {points(at_large)} ({points(large_interval.low)} to {points(large_interval.high)})."
        if not math.isnan(small_interval.low)
        else ""
    )
    if verdict == "contradicted":
        reading += " It helps at the smallest seed too."
    also = _also(scores, learners, sorted(scores["size"].unique()), [(GUIDED, "seed")], evidence)
    return Claim(
        "A4", STATEMENTS["A4"], f"({GUIDED} − seed at n = {largest}) − ({GUIDED} − seed at n = {smallest})", mean, "macro-F1", interval.low, interval.high, p,
        len(small), corpus, primary, verdict, reading, also=also,
    )  # fmt: skip
