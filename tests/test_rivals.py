"""What another classifier does with the labels alone, beside the best written rows of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from emosynth.evidence import Scored
from emosynth.evidence.contrasts import LEAST, answers
from emosynth.evidence.rivals import ALONE, RIVALS, labels_alone, rivals
from emosynth.params import Params
from test_evidence import LABELS, params, rows_of, scored

Levels = dict[tuple[str, int], float | list[float]]


def several(given: Params, **levels: Levels) -> Scored:
    """Trials of several learners on the same test rows."""
    parts = {name: scored(own, learner=name.replace("_", "-"), given=given) for name, own in levels.items()}
    trials = pd.concat([part.trials.assign(trial_id=name + part.trials["trial_id"]) for name, part in parts.items()])
    predictions = pd.DataFrame(
        [{"trial_id": name + trial, "corpus": "c1", "p": p} for name, part in parts.items() for trial, p in part._predictions.items()]
    )
    return Scored(trials, predictions, rows_of(next(iter(parts.values()))), LABELS, given.evidence)


def few_shot_too() -> Params:
    given = params()
    return given.model_copy(update={"learners": {"trees": {}, "tfidf": {}, "few-shot": {}}})


def found(given: Params, made: Scored) -> pd.DataFrame:
    return rivals(made, given, answers(made, given, {"trees": "optimum"}))


def test_another_classifier_that_does_more_with_the_labels_alone_is_found() -> None:
    given = few_shot_too()
    made = several(given, trees={("seed", 60): 0.5, ("naive", 60): 0.6}, tfidf={("seed", 60): 0.4}, few_shot={("seed", 60): 0.75})
    row = found(given, made).iloc[0]
    assert (row["learner"], row["arm"], row["rival"], row["among"], row["repeats"]) == ("trees", "naive", "few-shot", 2, 5)
    assert row["more"] == pytest.approx(row["score"] - row["own"]) and 0.1 < row["more"] < 0.2
    assert row["better"] and row["low"] > 0


def test_what_is_behind_or_alike_is_not_said_to_be_better() -> None:
    given = few_shot_too()
    made = several(given, trees={("seed", 60): 0.5, ("naive", 60): 0.6}, tfidf={("seed", 60): 0.4}, few_shot={("seed", 60): 0.6})
    row = found(given, made).iloc[0]
    assert row["rival"] == "few-shot" and row["low"] < 0 < row["high"] and not row["better"]


def test_a_choice_among_more_classifiers_asks_for_more() -> None:
    given = few_shot_too()
    own: Levels = {("seed", 60): 0.5, ("naive", 60): 0.6}
    one = found(given, several(given, trees=own, few_shot={("seed", 60): 0.63})).iloc[0]
    two = found(given, several(given, trees=own, few_shot={("seed", 60): 0.63}, tfidf={("seed", 60): 0.2})).iloc[0]
    assert two["more"] == one["more"] and two["p"] == pytest.approx(2 * one["p"]) and two["low"] < one["low"]


def test_few_repeats_and_one_classifier_give_no_rival() -> None:
    given = few_shot_too()
    own: Levels = {("seed", 60): 0.5, ("naive", 60): 0.6}
    for made in (several(given, trees=own), several(given, trees=own, few_shot={("seed", 60): [0.7] * (LEAST - 1)})):
        none = found(given, made)
        assert none.empty and list(none.columns) == RIVALS


def test_scores_of_the_labels_alone_have_an_interval_from_three_repeats() -> None:
    given = few_shot_too()
    made = several(given, trees={("seed", 60): 0.5, ("naive", 60): 0.6}, few_shot={("seed", 60): [0.7, 0.7]})
    frame = labels_alone(made)
    assert list(frame.columns) == ALONE and dict(zip(frame["learner"], frame["repeats"], strict=True)) == {"trees": 5, "few-shot": 2}
    trees, asked = frame.set_index("learner").loc["trees"], frame.set_index("learner").loc["few-shot"]
    assert trees["low"] < trees["score"] < trees["high"] and np.isnan(asked["low"])
