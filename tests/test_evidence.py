"""Verdicts on planted results: each claim must be able to come out each way."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from emosynth.evidence import as_json, finish, judge_authenticity, judge_distillation, judge_training
from emosynth.evidence.authenticity_claims import difference_interval
from emosynth.evidence.training_claims import paired_t
from emosynth.params import Evidence

EVIDENCE = Evidence()
SHARES = {"common": 0.9, "rare": 0.1}
REPEATS = 5


def tables(levels: dict[tuple[str, int], float], rare: dict[str, float] | None = None, repeats: int = REPEATS):
    """Scores with a common effect of the repeat (pairing matters) and small noise."""
    rng = np.random.default_rng(3)
    rows, classes = [], []
    for repeat in range(repeats):
        shift = rng.normal(0, 0.1)
        for (arm, size), level in levels.items():
            f1 = level + shift + rng.normal(0, 0.002)
            key = {"corpus": "c", "learner": "embedding", "arm": arm, "verified": False, "size": size, "repeat": repeat}
            rows.append({**key, "macro_f1": f1})
            for label in SHARES:
                value = (rare or {}).get(arm, level) if label == "rare" else level
                classes.append({**key, "label": label, "f1": value + shift + rng.normal(0, 0.002)})
    return pd.DataFrame(rows), pd.DataFrame(classes)


def judge(levels, **more):
    scores, per_class = tables(levels, **more)
    return {claim.id: claim for claim in finish(judge_training(scores, per_class, SHARES, "c", EVIDENCE), EVIDENCE)}


BASE = {("seed", 50): 0.4, ("seed", 200): 0.5, ("real+1x", 200): 0.55, ("naive", 200): 0.5, ("shap", 50): 0.4, ("shap", 200): 0.55}


def test_planted_support():
    claims = judge({**BASE, ("shap", 50): 0.39}, rare={"shap": 0.7, "seed": 0.4})
    assert [claims[i].verdict for i in ("A1", "A2", "A3", "A4")] == ["supported"] * 4
    assert claims["A2"].effect == pytest.approx(0.05, abs=0.01)
    assert claims["A2"].low < claims["A2"].effect < claims["A2"].high


def test_planted_contradiction():
    claims = judge({**BASE, ("shap", 200): 0.45, ("shap", 50): 0.5})
    assert [claims[i].verdict for i in ("A1", "A2", "A3", "A4")] == ["contradicted"] * 4


def test_one_repeat_decides_nothing():
    claims = judge(BASE, repeats=1)
    assert {claims[i].verdict for i in ("A1", "A2", "A3", "A4")} == {"inconclusive"}
    assert math.isnan(claims["A2"].low)


def test_missing_arms_are_not_tested():
    claims = judge({("seed", 50): 0.4})
    assert {c.verdict for c in claims.values()} == {"not tested"}


def test_correction_withdraws_weak_support():
    scores, per_class = tables({**BASE, ("shap", 200): 0.504}, repeats=3)
    raw = {c.id: c for c in judge_training(scores, per_class, SHARES, "c", EVIDENCE)}
    strict = EVIDENCE.model_copy(update={"alpha": 1e-9})
    assert all(c.verdict != "supported" for c in finish(list(raw.values()), strict))


def panel(value: float, p: float) -> pd.DataFrame:
    rows = []
    for measure in ("hdd", "first_person_rate", "temporal_rate"):
        for arm, v, pp in (("real", 1.0, math.nan), ("real-other", 1.01, 0.8), ("shap", value, p)):
            rows.append(
                {"arm": arm, "verified": False, "measure": measure, "family": "f", "value": v, "low": v - 0.1, "high": v + 0.1, "reference": 1.0,
                 "effect": v - 1, "effect_kind": "d", "p": pp, "p_holm": pp, "n_texts": 50, "n_tokens": 900, "note": ""}
            )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("value", "p", "verdict"), [(0.5, 0.001, "supported"), (1.5, 0.001, "contradicted"), (0.9, 0.4, "inconclusive")])
def test_authenticity_verdicts(value, p, verdict):
    claims = judge_authenticity(panel(value, p), "c", EVIDENCE)
    assert [c.id for c in claims] == ["A5", "A6", "A7"]
    assert {c.verdict for c in claims} == {verdict}


def test_json_has_no_nan():
    import json

    claims = judge({("seed", 50): 0.4}).values()
    text = json.dumps(as_json("p", list(claims)), allow_nan=False)
    assert '"A1"' in text


def test_mover_interval_is_wider_than_either():
    low, high = difference_interval(2.0, 1.5, 2.5, 1.0, 0.8, 1.2)
    assert low == pytest.approx(1 - math.hypot(0.5, 0.2)) and high == pytest.approx(1 + math.hypot(0.5, 0.2))


def test_paired_t_needs_two():
    mean, interval, p = paired_t(np.array([0.1]), 0.95)
    assert mean == 0.1 and math.isnan(interval.low) and math.isnan(p)


def test_sign_is_that_of_the_length_matched_difference():
    """A raw rate above the reference can be below what texts of these lengths give by chance."""
    frame = panel(1.2, 0.001).assign(adjusted=float("nan"))
    frame.loc[(frame["arm"] == "shap") & (frame["measure"] == "temporal_rate"), "adjusted"] = -0.3
    claims = {c.id: c for c in judge_authenticity(frame, "c", EVIDENCE)}
    assert claims["A7"].verdict == "supported" and "equal text lengths" in claims["A7"].reading
    assert claims["A6"].verdict == "contradicted"


def test_learner_without_the_cells_does_not_stand_in_the_way():
    scores, per_class = tables(BASE)
    other = scores.assign(learner="tfidf")
    embedding = scores[scores["arm"].isin(["seed", "shap"])]
    judged = {c.id: c for c in judge_training(pd.concat([embedding, other]), per_class.assign(learner="tfidf"), SHARES, "c", EVIDENCE)}
    assert judged["A2"].learner == "tfidf" and judged["A2"].verdict != "not tested"
    assert judged["A4"].learner == "embedding"


def test_help_at_the_smallest_seed_must_survive_correction():
    claims = judge({**BASE, ("shap", 50): 0.5})
    assert claims["A4"].verdict == "contradicted" and claims["A4"].p_adjusted < EVIDENCE.alpha


# --- C1–C5 ------------------------------------------------------------------------------------------

MAIN = {("seed", False, "hard"): 0.5, ("tuned", False, "hard"): 0.47, ("tuned", True, "hard"): 0.54, ("tuned", True, "soft"): 0.57}
TAU = {0.5: 0.52, 0.7: 0.57, 0.9: 0.53}
BETA = {0.3: 0.57, 0.5: 0.54, 1.0: 0.53}
GROWTH = {0.0: 0.50, 5.0: 0.55, 10.0: 0.57, 20.0: 0.571}


def students(main=MAIN, tau=TAU, beta=BETA, growth=GROWTH, noise=0.002, repeats=REPEATS, student="tiny", size=100, attained=1.0):
    """Students' scores with planted means, a common effect of the repeat and small noise."""
    rng = np.random.default_rng(5)
    rows = []
    for repeat in range(repeats):
        shift = rng.normal(0, 0.1)
        cells = [("main", math.nan, *version, level) for version, level in main.items()]
        cells += [("tau", value, "tuned", True, "soft", level) for value, level in tau.items()]
        cells += [("beta", value, "tuned", True, "soft", level) for value, level in beta.items()]
        cells += [
            ("growth", value, "tuned" if value else "seed", bool(value), "soft" if value else "hard", level)
            for value, level in growth.items()
        ]
        cells += [(sweep, math.nan, "seed", False, "hard", 0.5) for sweep in ("tau", "beta")]
        for sweep, value, arm, verified, labels, level in cells:
            rows.append(
                {"corpus": "c", "student": student, "sweep": sweep, "value": value, "arm": arm, "verified": verified, "labels": labels, "variant": "",
                 "size": size, "repeat": repeat, "n_synthetic": attained * size * (value if sweep == "growth" else 2.0 * (arm != "seed")),
                 "macro_f1": level + shift + (rng.normal(0, noise) if noise else 0.0)}
            )  # fmt: skip
    return pd.DataFrame(rows)


def distilled(**more):
    return {claim.id: claim for claim in finish(judge_distillation(students(**more), "c", EVIDENCE), EVIDENCE)}


def verdicts(claims):
    return {identity: claim.verdict for identity, claim in claims.items()}


def test_distillation_planted_support():
    claims = distilled()
    assert verdicts(claims) == dict.fromkeys(["C1", "C2", "C3", "C4", "C5"], "supported")
    assert claims["C1"].effect == pytest.approx(0.07, abs=0.005) and claims["C1"].repeats == REPEATS
    assert claims["C4"].effect == pytest.approx(0.03, abs=0.005), "the smaller of the two differences"
    assert all(claim.p_adjusted >= claim.p for claim in claims.values())
    assert any("unverified" in row["comparison"] and row["effect"] > 0.05 for row in claims["C2"].also)
    assert "highest mean of the sweep is at τ = 0.7" in claims["C3"].reading


def test_distillation_planted_contradiction():
    claims = distilled(
        main={**MAIN, ("tuned", True, "soft"): 0.51, ("tuned", False, "hard"): 0.53},
        tau={0.5: 0.50, 0.7: 0.52, 0.9: 0.56},
        beta={0.3: 0.55, 0.5: 0.50, 1.0: 0.58},
        growth={0.0: 0.4, 10.0: 0.5, 20.0: 0.6},
    )
    assert verdicts(claims) == dict.fromkeys(["C1", "C2", "C3", "C4", "C5"], "contradicted")
    assert "It helps" in claims["C2"].reading
    assert claims["C4"].comparison.startswith("β = 0.3 − β = 1") and claims["C4"].effect < 0


def test_distillation_is_inconclusive_in_noise():
    claims = distilled(noise=0.08)
    assert verdicts(claims) == dict.fromkeys(["C1", "C2", "C3", "C4", "C5"], "inconclusive")


def test_equal_thresholds_and_weights_contradict():
    claims = distilled(tau={0.7: 0.55, 0.9: 0.55}, beta={0.3: 0.56, 0.5: 0.56, 1.0: 0.5})
    assert claims["C3"].verdict == "contradicted" and "equally good" in claims["C3"].reading
    assert claims["C4"].verdict == "contradicted" and "equally good" in claims["C4"].reading


def test_a_third_threshold_that_is_better_contradicts():
    claims = distilled(tau={**TAU, 0.6: 0.62})
    assert claims["C3"].verdict == "contradicted" and "τ = 0.6 is significantly better" in claims["C3"].reading


def test_significant_contradictions_must_survive_correction():
    strict = EVIDENCE.model_copy(update={"alpha": 1e-12})
    raw = judge_distillation(students(main={**MAIN, ("tuned", False, "hard"): 0.53}), "c", EVIDENCE)
    assert next(c for c in raw if c.id == "C2").verdict == "contradicted"
    assert next(c for c in finish(raw, strict) if c.id == "C2").verdict == "inconclusive"


def test_growth_below_the_claims_is_not_tested_but_read():
    claim = distilled(growth={0.0: 0.5, 1.0: 0.56, 2.0: 0.56})["C5"]
    assert claim.verdict == "not tested" and math.isnan(claim.effect) and math.isnan(claim.p)
    assert "2×, below the 20×" in claim.reading and "From 1× on" in claim.reading and claim.also


def test_growth_that_the_accepted_rows_do_not_reach_does_not_count():
    claim = distilled(attained=0.5)["C5"]
    assert claim.verdict == "not tested"


def test_students_stand_in_in_a_fixed_order():
    both = pd.concat([students(repeats=2, student="tiny"), students(student="tfidf"), students(student="embedding")])
    claims = judge_distillation(both, "c", EVIDENCE)
    assert {claim.learner for claim in claims} == {"embedding"}, "two repeats of the first student are not enough"
    assert {row["student"] for row in claims[0].also} == {"tiny", "embedding", "tfidf"}
    enough = pd.concat([students(repeats=3, student="tiny"), students(student="embedding")])
    assert {claim.learner for claim in judge_distillation(enough, "c", EVIDENCE)} == {"tiny"}
    alone = {claim.id: claim.verdict for claim in judge_distillation(students(repeats=1), "c", EVIDENCE)}
    assert set(alone.values()) == {"inconclusive"}


@pytest.mark.parametrize("scores", [None, students().iloc[:0], students()[lambda frame: frame["arm"] == "seed"]])
def test_without_distillation_nothing_is_tested(scores):
    claims = finish(judge_distillation(scores, "c", EVIDENCE), EVIDENCE)
    assert [claim.id for claim in claims] == ["C1", "C2", "C3", "C4", "C5"]
    assert {claim.verdict for claim in claims} == {"not tested"} and all(claim.reading for claim in claims)
