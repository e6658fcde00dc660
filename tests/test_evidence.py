"""Verdicts on planted results: each claim must be able to come out each way."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from emosynth.evidence import as_json, finish, judge_authenticity, judge_training
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
