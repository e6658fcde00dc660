"""Claims on planted results: each outcome can come about, and intervals hold what they promise."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from emosynth.errors import UserError
from emosynth.evidence import (
    Declared,
    Found,
    Group,
    Labels,
    Scored,
    as_json,
    check_names,
    contrasts,
    judge,
    load_claims,
    profile_names,
    real_curve,
)
from emosynth.evidence.judging import Claim, Finding, decide, verdict_of
from emosynth.evidence.numbers import count, number, p_text, per_cent, span
from emosynth.evidence.resampling import contrast, draw_f1, floor, two_sided
from emosynth.evidence.text_claims import difference_interval, p_of_interval
from emosynth.params import Params
from fake_results import ROOT, fake_params

CLASSES = ("a", "b", "c")
LABELS = {"c1": Labels(CLASSES, True)}


def params(**evidence: Any) -> Params:
    return fake_params(corpora={"target": "c1"}, cells={"sizes": [60, 120], "repeats": 5}, evidence={"resamples": 500, **evidence})


def scored(
    levels: dict[tuple[str, int], float], repeats: int = 5, rows: int = 600, learner: str = "trees", given: Params | None = None
) -> Scored:
    """Trials whose share of right rows is planted; arms of one repeat share their luck, and rows their difficulty."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, len(CLASSES), rows)
    hard = rng.random(rows)
    trials, predictions = [], []
    for number_, ((name, size), level) in enumerate(levels.items()):
        arm, _, version = name.partition(":")
        for repeat in range(repeats):
            luck = np.random.default_rng([repeat, size]).normal(0, 0.01)
            right = hard + rng.normal(0, 0.05, rows) < level + luck
            said = np.where(right, truth, (truth + 1) % len(CLASSES))
            trial = f"{number_}-{repeat}"
            trials.append({"trial_id": trial, "corpus": "c1", "learner": learner, "size": size, "repeat": repeat, "arm": arm, "version": version, "budget": "accepted",
                           "sweep": "", "value": "", "threshold": math.nan, "n_real": size * (2 if arm == "real+1x" else 1), "n_synthetic": 0 if arm in ("seed", "real+1x") else size,
                           "n_wanted": size, "n_generated": 2 * size, "tokens": 10 * size})  # fmt: skip
            predictions.append({"trial_id": trial, "corpus": "c1", "p": np.eye(len(CLASSES))[said].ravel().tolist()})
    test = pd.DataFrame(
        {"corpus": "c1", "place": range(rows), "row_id": [str(row) for row in range(rows)], "labels": [[CLASSES[place]] for place in truth]}
    )
    return Scored(pd.DataFrame(trials), pd.DataFrame(predictions), test, LABELS, (given or params()).evidence)


def declared(**more: Any) -> Declared:
    base = {
        "id": "Z1",
        "system": "s",
        "source": "s",
        "place": "p",
        "statement": "s",
        "left": "shap:unverified",
        "right": ["naive:unverified"],
        "learners": ["trees"],
    }
    return Declared.model_validate(base | more)


def verdict(levels: dict[tuple[str, int], float], claim: Declared, given: Params | None = None, repeats: int = 5) -> Claim:
    made = given or params()
    found = Found(scored(levels, repeats, given=made), None, None, None, {"c1": {"a": 0.45, "b": 0.45, "c": 0.1}})
    return judge([claim], made, found)[0]


BASE = {("seed", 60): 0.5, ("real+1x", 60): 0.6, ("seed", 120): 0.6, ("real+1x", 120): 0.75, ("naive:unverified", 120): 0.65}


# --- resampling ---------------------------------------------------------------------------------------------


def test_f1_is_scikit_learns_and_every_resample_too() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 4, 90), rng.integers(0, 4, (2, 90))
    said[1] = 3  # classes that are never predicted count 0
    hot = np.eye(4, dtype=bool)
    draws = draw_f1(hot[truth], hot[said], (0, 1), 20, 7)
    for repeat in range(2):
        assert draws.points[repeat] == pytest.approx(f1_score(truth, said[repeat], average=None, zero_division=0))
    again = draw_f1(hot[truth], hot[said[::-1]], (0, 1), 20, 7)
    np.testing.assert_array_equal(draws.draws[:, 0], again.draws[:, 1])  # one draw for all arms: that pairs them


def simulate(effect: float, repeats: int, seeds: float, runs: int = 120, rows: int = 200) -> np.ndarray:
    """Return per run whether 0 is excluded, whether the truth is covered, for a known difference in the share of right rows."""
    found = []
    for run in range(runs):
        rng = np.random.default_rng([run, repeats])
        truth = rng.integers(0, 2, rows)
        hot, hard = np.eye(2, dtype=bool), rng.normal(0, 0.5, rows)
        parts = []
        for arm in range(2):
            level = 0.3 + rng.normal(0, seeds, (repeats, 1)) + effect * arm
            right = hard + rng.normal(0, 0.5, rows) + rng.normal(0, 0.5, (repeats, rows)) + level > 0
            parts.append(draw_f1(hot[truth], hot[np.where(right, truth, 1 - truth)], tuple(range(repeats)), 300, run))
        made = contrast([(1.0, parts[1]), (-1.0, parts[0])], 0.95, run, rows)
        assert made is not None
        found.append((made.p < 0.05, made.low <= 0 <= made.high))
    return np.array(found)


@pytest.mark.parametrize(("repeats", "seeds"), [(3, 0.1), (5, 0.3)])
def test_no_difference_is_found_in_five_per_cent_and_covered_in_ninety_five(repeats: int, seeds: float) -> None:
    wrong, covered = simulate(0.0, repeats, seeds).mean(axis=0)
    # 120 runs: the standard error of a share of 5 % is 2 points.
    assert wrong <= 0.10 and 0.90 <= covered <= 1.0


def test_power_is_that_of_the_effect() -> None:
    assert simulate(0.5, 5, 0.1, runs=40)[:, 0].mean() > 0.8


def test_one_repeat_resamples_rows_alone() -> None:
    claim = verdict({**BASE, ("shap:unverified", 120): 0.75}, declared(), repeats=1)
    assert "One repeat: how seeds differ is not in the interval." in claim.why and claim.outcome == "better"


def test_two_thousand_resamples_take_well_under_a_second() -> None:
    rng, hot = np.random.default_rng(0), np.eye(4, dtype=bool)
    truth, said = rng.integers(0, 4, 1421), rng.integers(0, 4, (5, 1421))
    draw_f1(hot[truth], hot[said], tuple(range(5)), 2000, 1)  # the draw of rows is made once a corpus
    start = time.process_time()
    draw_f1(hot[truth], hot[said], tuple(range(5)), 2000, 2)
    assert time.process_time() - start < 1.5  # the draw of rows of a new seed included


def test_p_has_a_floor() -> None:
    assert two_sided(np.full(999, 1.0)) == pytest.approx(floor(999)) == pytest.approx(0.002)
    assert two_sided(np.zeros(9)) == 1.0


# --- outcomes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "outcome"), [(0.76, "better"), (0.54, "worse"), (0.652, "equivalent")])
def test_clear_outcomes(level: float, outcome: str) -> None:
    claim = verdict({**BASE, ("shap:unverified", 120): level}, declared())
    assert claim.outcome == outcome and claim.verdict == ("supported" if outcome == "better" else "contradicted")
    assert claim.finding.low <= claim.finding.effect <= claim.finding.high and claim.size == 120


def test_a_difference_that_is_lost_in_noise_is_undecided() -> None:
    claim = verdict({**BASE, ("shap:unverified", 120): 0.675}, declared(), params(alpha=0.0001))
    assert claim.outcome == "too imprecise" and claim.verdict == "undecided"


def test_equivalence_needs_real_expansion_to_gain() -> None:
    levels = {**BASE, ("real+1x", 120): 0.6, ("shap:unverified", 120): 0.65}
    claim = verdict(levels, declared())
    assert claim.outcome == "too imprecise" and "not testable here" in claim.why and math.isnan(claim.finding.p_equivalent)


def test_the_margin_is_half_of_what_real_rows_gain() -> None:
    claim = verdict({**BASE, ("shap:unverified", 120): 0.652}, declared())
    made = scored(BASE)
    gained = made.compare(Group("c1", "trees", 120, "real+1x"), Group("c1", "trees", 120, "seed"))
    assert gained is not None and claim.finding.margin == pytest.approx(50 * gained.effect, rel=0.05)


def test_direction_and_size_are_judged_apart() -> None:
    levels = {**BASE, ("shap:unverified", 120): 0.76}
    small = verdict(levels, declared(right=["seed"], claimed={"points": 5.0}))
    large = verdict(levels, declared(right=["seed"], claimed={"points": 40.0}))
    assert (small.verdict, small.size_verdict) == ("supported", "supported")
    assert (large.verdict, large.size_verdict) == ("supported", "contradicted")


def test_rare_classes_are_judged_alone() -> None:
    claim = verdict({**BASE, ("shap:unverified", 120): 0.76}, declared(right=["seed"], metric="rare-class F1"))
    assert claim.outcome == "better"
    even = Found(scored(BASE), None, None, None, {"c1": dict.fromkeys(CLASSES, 1 / 3)})
    none = judge([declared(left="naive:unverified", right=["seed"], metric="rare-class F1")], params(), even)[0]
    assert none.verdict == "not tested" and "under-represented" in none.why


def test_smallest_size_is_taken_where_declared() -> None:
    levels = {**BASE, ("shap:unverified", 60): 0.45, ("shap:unverified", 120): 0.76}
    claim = verdict(levels, declared(right=["seed"], size="smallest", expects="no-better"))
    assert claim.size == 60 and claim.verdict == "supported"
    assert {row["size"] for row in claim.replications} == {120}


def test_the_least_favourable_of_several_opponents_decides() -> None:
    claim = verdict({**BASE, ("shap:unverified", 120): 0.7}, declared(right=["naive:unverified", "real+1x"]))
    assert claim.outcome == "worse" and claim.comparison.endswith("as many real rows")


def test_what_is_lacking_is_said_and_other_learners_are_replications() -> None:
    levels = {**BASE, ("shap:unverified", 120): 0.76}
    missing = verdict(levels, declared(learners=["nowhere", "trees"]))
    assert missing.verdict == "not tested" and "nowhere" in missing.why and missing.replications
    arm = verdict(levels, declared(left="absent"))
    assert arm.verdict == "not tested" and "the arm absent" in arm.why


def test_one_correction_over_all_claims() -> None:
    claim = declared()
    made = [Claim(claim, "c1", finding=Finding(1.0, 0.1, 1.9, p=0.03)) for _ in range(5)]
    assert {item.outcome for item in decide(made, 0.05)} == {"too imprecise"}
    assert decide(made[:1], 0.05)[0].outcome == "better"
    both = decide([*made[:1], Claim(claim, "c1")], 0.05)
    assert both[0].outcome == "better" and both[1].verdict == "not tested"  # what is not tested is no test


@pytest.mark.parametrize("expects", ["better", "worse", "equivalent", "at-least", "no-better"])
def test_verdicts_follow_one_rule(expects: str) -> None:
    claim = declared(expects=expects)
    verdicts = {outcome: verdict_of(claim, outcome) for outcome in ("better", "worse", "equivalent", "too imprecise", "not tested")}  # type: ignore[arg-type]
    assert verdicts["too imprecise"] == "undecided" and verdicts["not tested"] == "not tested"
    assert set(list(verdicts.values())[:3]) == {"supported", "contradicted"}


# --- declarations -------------------------------------------------------------------------------------------


def test_the_declared_claims_are_fifteen_and_name_what_some_profile_runs() -> None:
    claims = load_claims(ROOT / "data" / "claims.yaml")
    assert [claim.id for claim in claims] == [
        *(f"A{n}" for n in range(1, 8)),
        *(f"B{n}" for n in range(1, 4)),
        *(f"C{n}" for n in range(1, 6)),
    ]
    arms, learners = profile_names(ROOT)
    check_names(claims, arms, learners, "data/claims.yaml")
    with pytest.raises(UserError, match=r"did you mean shap|Did you mean shap"):
        check_names([declared(left="shapp")], arms, learners, "x")
    with pytest.raises(UserError, match="learner"):
        check_names([declared(learners=["treez"])], arms, learners, "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [("claims: 3", "one list"), ("claims:\n- {id: A1}", "system"), ("claims:\n- {id: a, colour: 1}", "id"), ("nothing: []", "one list")],
)
def test_bad_declarations_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        load_claims(path)


def test_the_hash_is_of_what_is_declared() -> None:
    assert declared().hash == declared().hash != declared(size="smallest").hash


# --- contrasts ----------------------------------------------------------------------------------------------


def test_contrasts_have_gain_worth_and_cost() -> None:
    given = params()
    made = scored({**BASE, ("naive", 120): 0.7, ("naive:unverified", 120): 0.58})
    table = contrasts(made, given)
    row = table[(table["arm"] == "naive") & (table["version"] == "") & (table["against"] == "seed")].iloc[0]
    assert row["gain"] > 0 and row["low"] < row["gain"] < row["high"] and 0 < row["worth"] < 120
    assert row["thrown"] == 120 and row["tokens"] == 1200
    real = table[(table["arm"] == "real+1x") & (table["size"] == 120) & (table["against"] == "seed")].iloc[0]
    assert real["worth"] == pytest.approx(120, abs=1)
    curve = real_curve(made, given, "c1", "trees")
    assert curve.labels(0.0) == 0 and math.isinf(curve.labels(1.0)) and list(curve.scores) == sorted(curve.scores)


def test_published_labels_give_the_same_numbers() -> None:
    from emosynth.trials.score import published

    made = scored(BASE)
    predictions = pd.DataFrame({"trial_id": list(made._predictions), "corpus": "c1", "p": list(made._predictions.values())})
    test = pd.DataFrame(
        {"corpus": "c1", "place": range(600), "row_id": "x", "labels": [[CLASSES[row.argmax()]] for row in made._truth["c1"]]}
    )
    again = Scored(made.trials, published(predictions, test, made.trials), test, LABELS, params().evidence)
    pd.testing.assert_frame_equal(contrasts(again, params()), contrasts(made, params()))


def test_predictions_of_another_run_are_refused() -> None:
    made = scored(BASE)
    group = next(iter(made.groups))
    made._predictions = {key: [0.1, 0.9] for key in made._predictions}
    with pytest.raises(UserError, match="different runs"):
        made.draws(group)


# --- text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "p", "said"), [(0.5, 0.001, "supported"), (1.5, 0.001, "contradicted"), (0.9, 0.4, "undecided")])
def test_claims_on_text_read_the_panel(value: float, p: float, said: str) -> None:
    rows = [{"corpus": "c1", "arm": arm, "verified": False, "measure": "hdd", "family": "f", "value": v, "low": v - 0.1, "high": v + 0.1, "reference": 1.0,
             "effect": v - 1, "effect_kind": "d", "adjusted": math.nan, "p": q, "n_texts": 50} for arm, v, q in (("real", 1.0, math.nan), ("real-other", 1.01, 0.8), ("shap", value, p))]  # fmt: skip
    claim = declared(kind="panel", expects="worse", right=[], learners=[], metric="hdd")
    found = judge([claim], params(), Found(None, pd.DataFrame(rows), None, None, {}))[0]
    assert found.verdict == said and found.finding.low < found.finding.effect < found.finding.high
    turned = pd.DataFrame(rows).assign(adjusted=[math.nan, math.nan, 1.0 - value])
    found = judge([claim], params(), Found(None, turned, None, None, {}))[0]
    assert found.finding.effect == pytest.approx(1.0 - value) and "equal text lengths" in found.why


def test_context_must_beat_the_context_alone_too() -> None:
    rows = [{"learner": "encoder", "input": f"context+utterance − {other}", "test": "rows", "repeat": -1, "n": 80, "measure": "lrap", "value": v, "low": v - 0.02, "high": v + 0.02}
            for other, v in (("utterance", 0.2), ("context only", -0.005))]  # fmt: skip
    claim = declared(kind="context", left="emo-pillars", right=[], learners=["encoder"], metric="lrap")
    found = judge([claim], params(), Found(None, None, None, pd.DataFrame(rows), {}))[0]
    assert found.outcome == "too imprecise" and "context only" in found.comparison


def test_intervals_of_differences() -> None:
    low, high = difference_interval(2.0, 1.5, 2.5, 1.0, 0.8, 1.2)
    assert low == pytest.approx(1 - math.hypot(0.5, 0.2)) and high == pytest.approx(1 + math.hypot(0.5, 0.2))
    assert p_of_interval(1.96, 0.0, 3.92, 0.95) == pytest.approx(0.05, abs=0.001) and math.isnan(p_of_interval(1.0, 1.0, 1.0, 0.95))


def test_json_has_no_nan() -> None:
    found = judge(
        load_claims(ROOT / "data" / "claims.yaml"), params(), Found(scored(BASE), None, None, None, {"c1": dict.fromkeys(CLASSES, 1 / 3)})
    )
    text = json.dumps(as_json("demo", found, params()), allow_nan=False)
    assert '"declaration"' in text and '"C5"' in text and len(found) == 15


def test_numbers_are_written_one_way() -> None:
    assert number(-0.04) == "0.0" and number(-1.25, 1) == "−1.2" and number(math.nan) == "–" and number(0.8, sign=True) == "+0.8"
    assert per_cent(0.0004) == "under\u00a01\u00a0%" and per_cent(0) == "0\u00a0%" and count(12345) == "12\u202f345"
    assert span(-1.0, 2.0) == "−1.0\u00a0to\u00a0+2.0" and span(math.nan, 1.0) == "" and p_text(0.0001) == "< 0.001"
