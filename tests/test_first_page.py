"""What the first page says did not help: where written rows can be judged, guides against plain prompts, and what must be known of a classifier."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from emosynth import pieces
from emosynth.evidence.contrasts import candidates, model_writes
from emosynth.params import load_params
from emosynth.report.advice import _caveats
from emosynth.report.figures.base import Words
from emosynth.report.figures.claims import _idle
from emosynth.report.first_page import guided_rows, guiding, judged_at
from emosynth.report.reading import arm_words
from emosynth.report.responsible import _told
from emosynth.responsible.rates import LOSS
from emosynth.style import Looks

ROOT = Path(__file__).parents[1]
NONE_HELPS = 0.5


def rows(*cells: dict[str, Any], against: str = "naive") -> pd.DataFrame:
    usual = {"corpus": "c1", "size": 60, "learner": "tfidf", "arm": "shap", "version": "", "budget": "accepted", "sweep": "", "against": against,
             "gain": 0.01, "low": -0.01, "high": 0.03, "p": NONE_HELPS, "repeats": 5}  # fmt: skip
    return pd.DataFrame([usual | cell for cell in cells])


def test_written_rows_are_judged_where_real_ones_are_told_from_zero() -> None:
    """At 1,000 labels, where real rows gained nothing that could be told, ten arms were said to give no clear gain."""
    real = rows({"size": 50, "low": 0.01, "repeats": 10}, {"size": 200, "low": 0.02}, {"size": 1000, "low": -0.01, "repeats": 3})
    assert judged_at(real, 1000) == 200
    assert judged_at(real.assign(low=-1.0), 1000) == 50, "else the most repeats"
    assert judged_at(real.iloc[:0], 1000) == 1000


def test_guides_are_compared_with_plain_prompts_that_differ_in_nothing_else() -> None:
    params = load_params(ROOT, "paper")
    others = {
        "naive-taught": "other labels",
        "sentisynth": "another writer",
        "eda": "no prompt",
        "emo-pillars": "other classes",
        "recipe": "no arm",
    }
    frame = rows(
        {"arm": "shap", "p": 1e-4, "gain": -0.03},
        {"arm": "shap", "size": 120, "p": 0.04},
        {"arm": "tfidf"},
        {"arm": "random-exemplars", "version": "unverified"},
        {"arm": "shap-tokens", "repeats": 2},
        *({"arm": arm, "p": 1e-9} for arm in others),
    )
    found = guided_rows(pd.concat([frame, rows({"p": 1e-9}, against="seed")]), params)
    assert found[["arm", "way", "told"]].to_numpy().tolist() == [
        ["shap", "worse", "corrected"],
        ["shap", "better", "uncorrected"],
        ["tfidf", "better", ""],
    ]
    looks = SimpleNamespace(title=str, learner=str)
    tables: Any = SimpleNamespace(params=params, contrasts=frame, looks=looks)
    (said,) = guiding(tables)
    assert said.startswith(
        "Of 3 comparisons of guided with plain prompts, all corpora and classifiers, 0 are shown to be better and 1 worse; uncorrected 1 and 1."
    )
    assert "Surest: shap on c1, 60 labels, tfidf, −3.0 (" in said
    assert guiding(SimpleNamespace(params=params, contrasts=frame[frame["arm"] == "eda"], looks=looks)) == []  # type: ignore[arg-type]


def test_headings_begin_with_a_capital_and_no_rows_are_rows_twice() -> None:
    assert Words("edited rows rows differ", "r", "l", "a").title == "Edited rows differ"


def test_an_arm_of_edits_says_what_is_done_and_one_row_is_one() -> None:
    """“1 rows a seed row”, and words inserted, which the guide does not do; what it does is the piece's to say."""
    params = load_params(ROOT, "demo")
    tables: Any = SimpleNamespace(params=params, looks=Looks(params))
    said = arm_words(tables, "eda")
    assert said.startswith(f"seed rows slightly changed ({pieces.build('guide', 'edits').changes}), no language model")  # type: ignore[attr-defined]
    assert said.endswith("; 1 row a seed row")


def test_writers_that_give_their_seed_rows_away_are_named_in_a_sentence() -> None:
    row = {"corpus": "c1", "writer": "tuned", "guides": "none", "size": 48, "attack": LOSS, "repeat": -1, "tuned": "whole", "epochs": 2.0, "auc": 0.8,
           "low": 0.7, "high": 0.9, "tpr_1": 0.1, "tpr_10": 0.3, "members": 48, "others": 48}  # fmt: skip
    tables: Any = SimpleNamespace(target="c1", get=lambda name: pd.DataFrame([row]))
    assert "from others. Writers that give theirs away: tuned." in _told(tables)[2]


def test_what_no_language_model_writes_is_told_from_what_one_does() -> None:
    params = load_params(ROOT, "recipe")
    assert not model_writes(params, "edits") and model_writes(params, "both-edits") and "edits" not in candidates(params)


def test_what_must_be_known_of_a_classifier_that_is_ahead_is_said_once() -> None:
    tables: Any = SimpleNamespace(looks=SimpleNamespace(learner=str))
    said = _caveats(tables, ["few-shot", "zero-shot", "setfit", "few-shot", "nobody"])
    assert said == " Few-shot and zero-shot: calibrated by all posts that it is asked about."


@pytest.mark.parametrize(("added", "said"), [(0.0, " (of which equal epochs can change nothing here)"), (0.2, "")])
def test_a_change_that_a_classifier_cannot_feel_is_named(added: float, said: str) -> None:
    own = pd.DataFrame([
        {"part": "chain", "step": "softmax twice", "added": 1.0, "low": 0.5, "high": 1.5},
        {"part": "chain", "step": "equal epochs", "added": added, "low": 0.0, "high": 0.0},
        {"part": "alone", "step": "alone", "added": 0.0, "low": 0.0, "high": 0.0},
    ])  # fmt: skip
    assert _idle(own) == said
