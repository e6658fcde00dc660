"""The design: arms as five choices, cells, rows, spaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toy_trials as toy
from emosynth import pieces
from emosynth.authenticity import panel
from emosynth.design.arms import (
    SEED,
    arm_title,
    cells_of_arm,
    growth_of,
    list_origins,
    resolve_arm,
    resolve_arms,
    wanted_rows,
)
from emosynth.design.cells import Cell, list_cells, quotas, stable_seed
from emosynth.design.rows import Rows, balanced, hard_rows, joined
from emosynth.design.space import Space, space_map, space_of_taxonomy
from emosynth.errors import UserError
from emosynth.learners.base import Learner
from emosynth.params import Params, deep_merge, validate
from emosynth.params.design import RESERVED, check_design
from emosynth.paths import Paths
from emosynth.responsible import rates
from emosynth.taxonomy import Taxonomies

ROOT = Path(__file__).parent.parent
BASE: dict[str, Any] = {
    "corpora": {"target": "tweets", "also": ["films"]},
    "cells": {"sizes": [40, 80], "repeats": 3, "per": {"films": {"sizes": [60], "repeats": 2}}},
    "writers": {"tuned": {"tune": "top_blocks"}, "biasable": {"backend": "transformers"}},
    "guides": {"shap": [{"shap-tokens": 4}, {"shap-exemplars": 3}]},
    "checks": {"basic": {"length": {}, "original": 0.6}, "teacher": {"extends": "basic", "agreement": {}, "confidence": 0.7}},
    "arms": {
        "real+1x": {"add": "real"},
        "naive": {},
        "shap": {"guide": "shap"},
        "taught": {"guide": "shap", "checks": "teacher", "labels": {"teacher": 0.8}, "mix": {"weight": 0.3}},
        "tuned": {"writer": "tuned", "sizes": [80], "corpora": ["tweets"], "repeats": 1},
        "grounded": {"guide": "narrative", "space": "goemotions", "rows": 10},
    },
    "learners": {"design-fake": {}},
}  # fmt: skip


class Fake(Learner):
    """A learner that is never trained."""

    name = "design-fake"


def params_of(**change: Any) -> Params:
    return validate(deep_merge(BASE, change), "test")


def checked(**change: Any) -> Params:
    made = params_of(**change)
    check_design(made, ROOT, "test")
    return made


# --- arms -------------------------------------------------------------------------------------------


def test_large_seeds_may_have_fewer_repeats():
    cells = {
        "sizes": [40, 80],
        "repeats": 3,
        "repeats_at": {80: 1},
        "per": {"films": {"sizes": [60, 80], "repeats": 2, "repeats_at": {60: 1}}},
    }
    params = validate(deep_merge(BASE, {"cells": cells}), "test")
    assert [(cell.repeat, cell.size) for cell in list_cells(params, "tweets")] == [(0, 40), (0, 80), (1, 40), (2, 40)]
    assert [(cell.repeat, cell.size) for cell in list_cells(params, "films")] == [(0, 60), (0, 80), (1, 80)]
    assert not any(cell.repeat for cell in cells_of_arm(params, resolve_arm(params, "tuned")))


def test_arms_resolve_to_pieces() -> None:
    params = checked()
    arms = resolve_arms(params)
    assert list(arms) == [SEED, *BASE["arms"]]
    assert not arms[SEED].written and not arms["real+1x"].written
    taught = arms["taught"]
    assert taught.origin is not None and taught.origin.name == "shap@plain" and taught.origin.needs_seed
    assert [guide.name for guide in taught.origin.guides] == ["shap-tokens", "shap-exemplars"]
    assert [check.name for check in taught.checks] == [c.name for c in sorted(taught.checks, key=lambda c: (c.order, c.name))]
    assert {check.name for check in taught.checks} == {"nonempty", "length", "original", "agreement", "confidence"}
    assert [(labeller.name, share) for labeller, share in taught.labellers] == [("asked", pytest.approx(0.2)), ("teacher", 0.8)]
    assert arms["grounded"].origin.name == "narrative@plain:goemotions" and not arms["grounded"].origin.needs_seed
    assert arms["tuned"].origin.tuned and arms["tuned"].origin.needs_seed


def test_arms_of_one_guide_writer_and_space_share_candidates() -> None:
    params = checked()
    assert list(list_origins(params)) == ["none@plain", "shap@plain", "none@tuned", "narrative@plain:goemotions"]
    assert [name for name, arm in resolve_arms(params).items() if arm.origin and arm.origin.name == "shap@plain"] == ["shap", "taught"]


def test_renaming_an_arm_changes_no_origin() -> None:
    before = list(list_origins(params_of()))
    renamed = {**BASE, "arms": {f"x{name}": arm for name, arm in BASE["arms"].items()}}
    assert list(list_origins(validate(renamed, "test"))) == before


def test_writers_mix_by_weight() -> None:
    origin = resolve_arm(params_of(arms={"mixed": {"writer": {"plain": 0.75, "tuned": 0.25}}}), "mixed").origin
    assert origin is not None and origin.writers == (("plain", 0.75), ("tuned", 0.25)) and origin.tuned


def test_sets_of_checks_extend_and_take_away() -> None:
    arm = resolve_arm(params_of(arms={"x": {"checks": {"extends": "teacher", "original": None, "confidence": 0.9}}}), "x")
    assert {check.name: check.settings for check in arm.checks}.keys() == {"nonempty", "length", "agreement", "confidence"}
    confidence = next(check for check in arm.checks if check.name == "confidence")
    assert getattr(confidence.settings, type(confidence).main) == 0.9
    bare = resolve_arm(params_of(arms={"x": {"checks": "none"}}), "x")
    assert [check.name for check in bare.checks] == ["nonempty"] and not bare.verified
    with pytest.raises(UserError, match="extends itself"):
        resolve_arm(params_of(checks={"basic": {"extends": "teacher"}}), "naive")


@pytest.mark.parametrize(
    ("dotted", "value", "look"),
    [
        ("mix.weight", 1.0, lambda arm: arm.spec.mix.weight),
        ("growth", 0.5, lambda arm: arm.spec.growth),
        ("labels.teacher", 0.5, lambda arm: {p.name: s for p, s in arm.labellers}["teacher"]),
        ("checks.confidence", 0.9, lambda arm: next(getattr(c.settings, c.main) for c in arm.checks if c.name == "confidence")),
        ("guide.shap-tokens.count", 2, lambda arm: arm.origin.guides[0].settings.count),
    ],
)
def test_sweeps_override_by_dotted_name(dotted: str, value: float, look: Any) -> None:
    params = params_of()
    assert look(resolve_arm(params, "taught", overrides={dotted: value})) == value
    assert look(resolve_arm(params, "taught")) != value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arms": {"x": {"guide": "shapp"}}}, ["guide called shapp", "Did you mean shap", "arms.x"]),
        ({"arms": {"x": {"guide": [{"shap-tokens": {"cuont": 2}}]}}}, ["shap-tokens.cuont", "did you mean count", "arms.x.guide"]),
        ({"arms": {"x": {"writer": "tund"}}}, ["writer called tund", "Did you mean tuned"]),
        ({"arms": {"x": {"writer": {"plain": 0.0}}}}, ["Weights of writers"]),
        ({"arms": {"x": {"checks": "teahcer"}}}, ["set of checks called teahcer", "Did you mean teacher"]),
        ({"arms": {"x": {"labels": {"teacher": 0.7, "reader": 0.7}}}}, ["shares of labels sum to 1.4"]),
        ({"arms": {"x": {"guide": "shap-bias"}}}, ["shap-bias", "bias logits", "backend: transformers"]),
        ({"arms": {"x": {"after": "real+1x"}}}, ["real+1x has no written rows"]),
        ({"arms": {"x": {"plus": ["x"]}}}, ["other arm called x"]),
        ({"arms": {"x": {"plus": ["naive"]}, "y": {"after": "x"}}}, ["x is itself made of others"]),
        ({"arms": {"x": {"guide": "shap", "rows": 5}}}, ["by growth"]),
        ({"arms": {"x": {"guide": "shap", "space": "goemotions"}}}, ["arms.x.space"]),
        ({"arms": {"x": {"space": "goemotions"}}}, ["arms.x.rows"]),
        ({"writers": {"w": {"tune": "all", "backend": "server"}}}, ["server cannot be handed tuned weights"]),
        ({"writers": {"w": {"decoding": {"temprature": 1.0}}}}, ["temprature", "Did you mean temperature"]),
        ({"sweeps": {"taught": {"writer": ["tuned"]}}}, ["changes what is written", "sweeps.taught.writer"]),
        ({"sweeps": {"taught": {"mixx.weight": [1.0]}}}, ["mixx"]),
        ({"sweeps": {"taught": {"mix.weight": [-1.0]}}}, ["sweep is not valid", "mix.weight: Input should be greater than 0 (found -1.0)"]),
        ({"sweeps": {"taught": {"mix.wieght": [1]}}}, ["sweep is not valid", "mix.wieght", "did you mean weight?", "sweeps.taught"]),
        ({"sweeps": {"taught": {"growth": [3.0]}}}, ["Raise arms.taught.growth"]),
        ({"learners": {"design-fake": {"arms": ["sead"]}}}, ["arm called sead", "Did you mean seed"]),
        ({"learners": {"design-fake": {"sizes": [41]}}}, ["41 is not the size of a seed", "40, 60, 80"]),
        ({"learners": {"desing-fake": {}}}, ["Did you mean design-fake"]),
        ({"training": {"sweeps_on": {"learners": ["nobody"]}}}, ["training.sweeps_on.learners"]),
        ({"training": {"sweeps_of": {"nobody": []}}}, ["training.sweeps_of"]),
        ({"training": {"sweeps_of": {"design-fake": ["taught.growht"]}}, "sweeps": {"taught": {"growth": [1.0]}}}, ["Did you mean taught.growth"]),
        ({"context": {"arm": "naive"}}, ["writes no contexts"]),
        ({"arms": {"x": {"space": "goemotoins", "rows": 9}}}, ["list of labels called goemotoins", "arms.x.space", "Did you mean goemotions"]),
        ({"arms": {"x": {"guide": ["narrative", {"narrative": {"grounded": False}}]}}}, ["narrative stands 2 times", "arms.x.guide"]),
        ({"arms": {"seed": {"guide": "shap"}}}, ["No arm can be called seed", "arms.seed", "another name"]),
        ({"arms": {"real": {"guide": "shap"}}}, ["No arm can be called real:", "arms.real"]),
        ({"arms": {"real-other": {}}}, ["No arm can be called real-other", "arms.real-other"]),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_an_error_before_work_starts(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        checked(**change)
    for word in words:
        assert word in str(error.value)


def test_names_that_tables_give_to_real_text_are_kept_from_arms() -> None:
    assert set(RESERVED) == {SEED, panel.REAL, panel.OTHER, rates.REAL}


def test_unnamed_pieces_are_found_by_their_own_name() -> None:
    arm = resolve_arm(checked(arms={"x": {"guide": ["tfidf-tokens"], "writer": "biasable"}}), "x")
    assert arm.origin is not None and arm.origin.name == "tfidf-tokens@biasable"
    assert "tfidf-tokens" in pieces.registered("guide")


# --- cells ------------------------------------------------------------------------------------------


def test_cells_go_corpus_by_corpus_and_arms_run_on_theirs() -> None:
    params = params_of()
    assert [str(cell) for cell in list_cells(params, "films")] == ["films/60/0", "films/60/1"]
    assert len(list_cells(params)) == 2 * 3 + 2
    arms = resolve_arms(params)
    assert [str(cell) for cell in cells_of_arm(params, arms["tuned"])] == ["tweets/80/0"]
    largest = resolve_arm(params_of(arms={"x": {"sizes": "largest"}}), "x")
    assert {cell.size for cell in cells_of_arm(largest.params, largest)} == {60, 80}


def test_rows_wanted() -> None:
    params = params_of(generation={"growth": 0.5})
    arms, cell = resolve_arms(params), Cell("tweets", 0, 40)
    assert wanted_rows(params, arms[SEED], cell) == 0
    assert wanted_rows(params, arms["naive"], cell) == 20 and growth_of(params, arms["naive"]) == 0.5
    assert wanted_rows(params, arms["grounded"], cell) == 3  # 10 rows, shared out among three repeats


@given(st.integers(0, 500), st.lists(st.text(min_size=1), min_size=1, max_size=9, unique=True))
def test_quotas_share_out_everything_evenly(total: int, labels: list[str]) -> None:
    shared = quotas(total, labels)
    assert list(shared) == labels and sum(shared.values()) == total and max(shared.values()) - min(shared.values()) <= 1


def test_seeds_stay_what_they_were() -> None:
    assert stable_seed("prompt", "shap", 60, 0) == stable_seed("prompt", "shap", "60", "0") == 324_850_662
    assert 0 <= stable_seed("a") < 2**31 and stable_seed("a", "b") != stable_seed("ab")


def test_titles() -> None:
    params = params_of(arms={"shap": {"title": "SHAP-guided"}})
    assert [arm_title(params, name) for name in ("shap", "seed", "real-balanced+1x")] == ["SHAP-guided", "labels alone", "real balanced+1x"]


# --- rows -------------------------------------------------------------------------------------------

SPACE = Space("toy", ("joy", "anger", "fear"), True, {}, {})


def test_rows_must_fit_each_other() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Rows(["a"], np.eye(3), np.ones(1), np.zeros(1, dtype=bool))


def test_rows_join_and_are_taken() -> None:
    real = hard_rows(["a", "b"], [["joy"], ["anger"]], SPACE)
    made = hard_rows(["c"], [["fear"]], SPACE, synthetic=True)
    both = joined(real, made)
    assert both.texts == ["a", "b", "c"] and (both.n_real, both.n_synthetic) == (2, 1)
    assert both.take([2, 0]).texts == ["c", "a"] and both.take([2]).targets.tolist() == [[0, 0, 1]]
    with pytest.raises(KeyError):
        hard_rows(["a"], [["pride"]], SPACE)


@given(st.lists(st.sampled_from(SPACE.labels), min_size=1, max_size=40))
def test_balanced_classes_have_equal_mass_and_the_total_stays(labels: list[str]) -> None:
    rows = balanced(hard_rows([str(i) for i in range(len(labels))], [[label] for label in labels], SPACE), SPACE)
    mass = rows.weights @ rows.targets
    assert rows.weights.sum() == pytest.approx(len(labels))
    assert np.ptp(mass[mass > 0]) == pytest.approx(0, abs=1e-9)


def test_rows_of_several_labels_are_left_as_they_are() -> None:
    space = Space("multi", SPACE.labels, False, {}, {})
    rows = hard_rows(["a", "b"], [["joy", "fear"], []], space)
    assert balanced(rows, space) is rows


# --- spaces -----------------------------------------------------------------------------------------


def test_spaces_map_by_publication_or_by_words() -> None:
    taxonomies = Taxonomies.load(Paths(ROOT, "demo").taxonomies)
    source = space_of_taxonomy(taxonomies.get("goemotions"))
    same = space_map(source, source, taxonomies)
    assert same.how == "same" and np.array_equal(same.matrix, np.eye(len(source.labels)))
    mine = Space("mine", ("joy", "anger", "bewilderment-of-mine"), True, {}, {})
    words = space_map(source, mine, taxonomies)
    assert words.how == "words" and words.unmapped_target == ("bewilderment-of-mine",)
    assert words.matrix[source.labels.index("joy"), 0] == 1.0
    p = np.random.default_rng(0).dirichlet(np.ones(len(source.labels)), 4)
    assert (words.project(p) <= 1).all() and np.allclose(words.head().sum(axis=0)[:2], 1)
    shuffled = Space("again", source.labels[::-1], False, source.phrases, source.adjectives, source.neutral)
    again = space_map(source, shuffled, taxonomies)
    assert again.how == "same" and np.allclose(again.project(p), p[:, ::-1])


# --- classes without a counterpart ------------------------------------------------------------------------


def _lists(classes: list[str], **arms: dict[str, object]) -> list[str]:
    from emosynth.generation.counterparts import warned

    made = toy.params(arms={"naive": {}, **arms})
    taxonomies = Taxonomies.load(ROOT / "data" / "taxonomies.yaml")
    words = dict.fromkeys(classes, "")
    return warned(resolve_arms(made), Space("mails", tuple(classes), True, words, words), taxonomies)


def test_classes_without_a_counterpart_are_warned_of_with_a_remedy() -> None:
    arms = {"emo": {"space": "goemotions"}, "ungrounded": {"space": "goemotions"}}
    (every,) = _lists(["Ärger", "Freude"], **arms)
    assert "No class has a counterpart there (Ärger, Freude)" in every and "emo, ungrounded" in every and "goemotions" in every
    assert """class_names: {"Ärger": "…"}""" in every and "arms: {emo: {space: target}, ungrounded: {space: target}}" in every
    (some,) = _lists(["joy", "complaint"], **arms)
    assert "teach nothing of them: complaint." in some and "No class" not in some
    assert _lists(["joy", "anger"], **arms) == [], "each has one"
    assert _lists(["Ärger", "Freude"]) == [], "nobody writes in another list"
    assert _lists(["Ärger", "Freude"], emo={"space": "goemotions", "labels": {"relabel": 0.5}}) == [], (
        "a model reads their classes off them"
    )
    assert _lists(["Ärger", "Freude"], emo={"space": "goemotions", "corpora": ["toy"]}) == [], "it runs elsewhere alone"
