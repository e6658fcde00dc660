"""Trials: what is planned, which rows each is trained on, the gate, budgets, the cache, scores from predictions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

import toy_trials as toy
from emosynth.cards import read_table
from emosynth.design.arms import learners_of, resolve_arm
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.evidence import Labels, Scored
from emosynth.evidence.apart import taken_apart
from emosynth.params.design import check_design
from emosynth.trials import Trial, headline, plan_trials, published, run_trials
from emosynth.trials import train as training
from emosynth.trials.budget import Ask, choose
from emosynth.trials.plan import UNVERIFIED
from emosynth.trials.rows import Builder
from emosynth.trials.run import with_epochs
from emosynth.trials.sources import Sources
from emosynth.verification.accept import unverified

SMALL, LARGE = Cell("toy", 0, 8), Cell("toy", 0, 16)
SURE = {"checks": "sure", "labels": {"teacher": 0.8}, "mix": {"weight": 0.3, "temperature": 2.0}}


class Shelf:
    """A catalogue with an encoder that is never asked, and no lexicon."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(self, name: str) -> Path:
        return self.fetch(name)

    def fetch(self, name: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        return self.folder

    def __contains__(self, name: object) -> bool:
        return False


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def world(tmp_path):
    def build(change=None, **sections):
        made = toy.params(**sections)
        return made, Builder(Sources.load(made, toy.write_profile(tmp_path, made, change)))

    return build


def rows_of(builder, arm, cell=LARGE, learner="tfidf", **more):
    resolved = resolve_arm(builder.params, arm) if isinstance(arm, str) else arm
    return builder.build(Trial(learner, cell, resolved, **more), learners_of(builder.params)[learner])


# --- the plan -------------------------------------------------------------------------------------------


def test_plan_has_each_version_sweep_and_budget_once():
    made = toy.params(
        sweeps={"naive": {"checks.confidence": [0.5, 0.95]}},
        learners={"tfidf": {}, "trees": {"arms": ["seed", "naive:unverified"], "repeats": 1}},
        training={"unverified": True, "budgets": ["tokens"], "budgets_on": {"learners": ["tfidf"], "corpora": ["toy"]},
                  "sweeps_on": {"learners": ["tfidf"]}},
    )  # fmt: skip
    trials, left = plan_trials(made, learners_of(made), lambda arm, cell, learner: "")
    names = [trial.trial_id for trial in trials]
    assert len(set(names)) == len(names) and left.empty
    assert {trial.arm.name for trial in trials if trial.version == UNVERIFIED} == {"naive", "taught"}
    trees = [trial for trial in trials if trial.learner == "trees"]
    assert {(trial.arm.name, trial.version) for trial in trees} == {("seed", ""), ("naive", UNVERIFIED)}
    assert {trial.cell.repeat for trial in trees} == {0}
    swept = [trial for trial in trials if trial.sweep]
    assert {trial.cell.size for trial in swept} == {16}, "the largest size of each corpus"
    assert sorted({trial.shown_value for trial in swept}) == ["0.5", "0.95"] and {trial.cell.corpus for trial in swept} == {"toy", "notes"}
    tokens = [trial for trial in trials if trial.budget == "tokens"]
    assert {trial.cell.corpus for trial in tokens} == {"toy"} and {trial.arm.name for trial in tokens} == {"naive", "taught"}
    assert [check.name for check in next(t for t in trials if t.version).arm.checks] == ["nonempty"]


def test_a_learner_may_run_some_of_the_sweeps_alone():
    made = toy.params(
        sweeps={"naive": {"checks.confidence": [0.5, 0.95], "mix.weight": [0.3, 1.0]}},
        learners={"tfidf": {}, "trees": {}},
        training={"sweeps_on": {"learners": ["tfidf", "trees"]}, "sweeps_of": {"trees": ["naive.mix.weight"]}},
    )
    trials, _left = plan_trials(made, learners_of(made), lambda arm, cell, learner: "")
    swept = {name: {trial.sweep for trial in trials if trial.sweep and trial.learner == name} for name in ("tfidf", "trees")}
    assert swept == {"tfidf": {"checks.confidence", "mix.weight"}, "trees": {"mix.weight"}}


def test_arms_that_a_learner_or_a_cell_cannot_have_are_said(capsys):
    made = toy.params(arms={"naive": {}, "first": {"mix": {"order": "first"}}}, learners={"trees": {}})
    trials, left = plan_trials(
        made, learners_of(made), lambda arm, cell, learner: "no map" if arm.name == "naive" and cell.corpus == "notes" else ""
    )
    assert {trial.arm.name for trial in trials} == {"seed", "naive"}
    assert sorted(map(tuple, left[["corpus", "arm"]].to_numpy())) == [("notes", "first"), ("notes", "naive"), ("toy", "first")]
    assert capsys.readouterr().err.count("naive is left out") == 1, "said once, not for each cell"


# --- rows -----------------------------------------------------------------------------------------------


def test_real_arms_add_rows_of_the_pool(world):
    _made, builder = world(arms={"real+1x": {"add": "real"}, "even": {"add": "real-balanced", "growth": 0.5, "mix": {"weight": 0.5}}})
    seed, more, even = (rows_of(builder, arm) for arm in ("seed", "real+1x", "even"))
    assert (more.n_real, more.n_synthetic, more.n_wanted, more.seed_rows) == (32, 0, 16, 16)
    assert more.stages[0].rows.texts[:16] == seed.stages[0].rows.texts
    assert len(set(more.texts)) == 32
    assert even.stages[0].rows.targets[16:].sum(axis=0).tolist() == [4.0, 4.0]
    assert even.stages[0].rows.weights.tolist() == [1.0] * 16 + [0.5] * 8


def test_no_real_rows_are_offered_where_the_seed_holds_all_training_rows(world):
    made, builder = world(arms={"real+1x": {"add": "real"}, "even": {"add": "real-balanced"}, "naive": {"checks": "sure"}})
    train = builder.sources.order.query("corpus == 'toy'")["id"].nunique()
    for name in ("real+1x", "even"):
        arm = resolve_arm(made, name)
        assert not builder.obstacle(arm, LARGE) and not builder.obstacle(arm, replace(LARGE, size=train - 1))
        assert "no real row is left to add" in builder.obstacle(arm, replace(LARGE, size=train)), (
            "or as many real rows would be none of them"
        )


def test_accepted_rows_fill_quotas_by_index(world):
    made, builder = world()
    built = rows_of(builder, "naive")
    rows = built.stages[0].rows
    assert built.n_synthetic == 16 and rows.targets[16:].sum(axis=0).tolist() == [8.0, 8.0]
    numbers = [int(text.split()[0][1:]) % 100 for text in rows.texts[16:24]]
    assert numbers == [3, 4, 6, 7, 9, 10, 12, 13], "without those that the teacher doubts (2, 5, 8, …), empty and short ones"
    assert (built.n_generated, built.tokens) == (28, 28 * 8), "all up to index 13 of both labels"
    raw = rows_of(builder, unverified(resolve_arm(made, "naive")), version=UNVERIFIED)
    assert [int(text.split()[0][1:]) % 100 if text != "no" else 1 for text in raw.stages[0].rows.texts[16:24]] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_shares_of_annotators_are_what_real_rows_are_trained_on(world):
    arms = {"real+1x": {"add": "real"}, "soft": {"add": "none", "labels": {"teacher": 0.5}}, "naive": {"checks": "sure"}, "taught": SURE}
    _, builder = world(arms=arms, learners={"tfidf": {}, "trees": {}})
    plain = rows_of(builder, "real+1x").stages[0].rows
    assert plain.targets.max(axis=1).tolist() == [1.0] * 32
    for name, corpus in builder.sources.corpora.items():
        shares = [[0.7, 0.3] if labels[0] == corpus.classes[0] else [0.3, 0.7] for labels in corpus.frame["labels"]]
        builder.sources.corpora[name] = replace(corpus, frame=corpus.frame.assign(shares=shares))
    builder = Builder(builder.sources)
    real = rows_of(builder, "real+1x").stages[0].rows
    assert np.allclose(real.targets, 0.3 + 0.4 * plain.targets) and real.texts == plain.texts
    soft = rows_of(builder, "soft", learner="trees").stages[0].rows
    assert np.allclose(soft.targets.max(axis=1), 0.5 * 0.7 + 0.5 * 0.8), "the teacher is mixed with the shares"
    naive = rows_of(builder, "naive").stages[0].rows
    assert naive.targets.max(axis=1).tolist() == [0.7] * 16 + [1.0] * 16, "what was written has what was asked for"


def test_starved_class_is_a_count_not_an_end(world):
    def starve(table):
        return table.assign(text=table["text"].where(table["label"] != "joy", ""))

    _, builder = world(starve)
    built = rows_of(builder, "naive")
    assert (built.n_wanted, built.n_synthetic) == (16, 8)
    assert built.n_generated == 16 + 14, "all of the class that ran short"


def test_teacher_labels_enter_the_loss_or_the_targets(world):
    _, builder = world(learners={"tfidf": {}, "trees": {}}, arms={"taught": SURE, "bare": SURE | {"mix": {"soft_seed": False}}})
    rows = rows_of(builder, "taught").stages[0].rows
    assert (rows.alpha, rows.temperature) == (0.8, 2.0) and rows.weights.tolist() == [1.0] * 16 + [0.3] * 16
    assert rows.targets.max(axis=1).tolist() == [1.0] * 32
    assert np.allclose(np.exp(rows.teacher).max(axis=1), 0.8)
    mixed = rows_of(builder, "taught", learner="trees").stages[0].rows
    assert mixed.teacher is None and np.allclose(mixed.targets[16:].max(axis=1), 0.2 + 0.8 * 0.8)
    bare = rows_of(builder, "bare").stages[0].rows
    assert np.allclose(np.exp(bare.teacher[:16]).max(axis=1), 1.0), "what the label says stands in for a teacher"
    assert np.isfinite(bare.teacher).all()


def test_rows_of_another_space_are_moved_or_learnt_first(world):
    arms = {
        name: {"space": "goemotions", "rows": 56, "oversample": 8.0, "checks": "basic", "mix": {"order": name, "weight": 0.5}}
        for name in ("joint", "first", "only")
    }
    _made, builder = world(arms=arms, learners={"tfidf": {}, "trees": {}})
    joint = rows_of(builder, "joint")
    rows = joint.stages[0].rows
    assert len(joint.stages) == 1 and rows.targets.shape[1] == 2
    assert joint.n_wanted == 28 and 0 < joint.n_synthetic < 28, "labels without a counterpart say nothing"
    assert (rows.weights[16:] == 0.5).all() and (rows.targets[16:].max(axis=1) == 1).all()
    first = rows_of(builder, "first")
    assert [len(stage.rows) for stage in first.stages] == [28, 16] and first.seed_rows == 16
    assert first.stages[0].space.name == "goemotions" and first.stages[0].to_next.target.labels == ("joy", "sadness")
    assert first.stages[1].to_next is None
    assert first.stages[0].rows.targets.sum(axis=0).max() == 1, "one row of each of 28 labels"
    only = rows_of(builder, "only")
    assert (only.seed_rows, only.n_real, len(only.stages)) == (0, 0, 1) and only.stages[0].to_next is not None
    moved = rows_of(builder, "only", learner="trees")
    assert moved.stages[0].to_next is None and moved.stages[0].rows.targets.shape[1] == 2


ELSEWHERE = {
    "emo": {"space": "goemotions", "rows": 28, "checks": "basic", "mix": {"order": "first"}},
    "later": {"checks": "basic", "after": "emo"},
    "with": {"checks": "basic", "plus": ["emo"], "mix": {"order": "first"}},
}


def test_an_arm_without_a_counterpart_of_any_class_is_left_out(world, monkeypatch):
    """All its rows fell away, and the report showed a difference of exactly zero for it."""
    monkeypatch.setitem(toy.CORPORA, "toy", (["complaint", "praise"], "single"))
    made, builder = world(corpora={"target": "toy"}, arms=ELSEWHERE, learners={"tfidf": {}, "encoder": {}})
    trials, left = plan_trials(made, learners_of(made), builder.obstacle)
    why = left.set_index(["learner", "arm"])["why"]
    assert why["tfidf", "emo"] == "no label of goemotions maps to one of toy"
    assert why["tfidf", "later"] == "no label of goemotions maps to one of toy, and emo is what it comes after"
    assert why["tfidf", "with"] == why["encoder", "with"] == why["tfidf", "emo"], "added to rows of the corpus, they need its labels"
    assert {trial.arm.name for trial in trials if trial.learner == "tfidf"} == {"seed"}
    # Gradient steps on 28 other labels change an encoder: no zero, and what B1 asks of a tuned model.
    assert {trial.arm.name for trial in trials if trial.learner == "encoder"} == {"seed", "emo", "later"}


def test_an_arm_with_a_counterpart_of_some_classes_stays(world, monkeypatch):
    monkeypatch.setitem(toy.CORPORA, "toy", (["joy", "praise"], "single"))
    made, builder = world(corpora={"target": "toy"}, arms=ELSEWHERE)
    _, left = plan_trials(made, learners_of(made), builder.obstacle)
    assert left.empty


def test_after_and_plus(world):
    arms = {
        "naive": {"checks": "sure"},
        "wide": {"space": "goemotions", "rows": 56, "oversample": 8.0, "checks": "basic"},
        "then": {"checks": "sure", "after": "wide"},
        "both": {"checks": "sure", "plus": ["wide"], "mix": {"weight": 0.5}},
    }
    _, builder = world(arms=arms)
    then = rows_of(builder, "then")
    assert [len(stage.rows) for stage in then.stages] == [28, 32] and then.stages[0].space.name == "goemotions"
    assert then.n_synthetic == 28 + 16 and then.n_wanted == 16
    both = rows_of(builder, "both")
    assert both.n_wanted == 16
    own = resolve_arm(builder.params, "naive")
    assert set(both.texts[16:24]) <= set(rows_of(builder, own).texts[16:]), "half of them its own"
    assert (both.stages[0].rows.weights[16:] == 0.5).all()


def test_other_corpora_give_rows_that_map(world):
    _made, builder = world(
        arms={"others": {"add": "other-corpora", "mix": {"order": "only"}}, "some": {"add": "other-corpora", "growth": 1.0}}
    )
    built = rows_of(builder, "others")
    rows = built.stages[0].rows
    assert (built.n_real, built.n_synthetic, built.seed_rows) == (70, 0, 0)
    notes = dict(zip(builder.sources.corpora["notes"].frame["text"], builder.sources.corpora["notes"].frame["labels"], strict=True))
    assert [["joy", "sadness"][place] for place in rows.targets.argmax(axis=1)] == [notes[text][0] for text in rows.texts]
    assert rows_of(builder, "some").n_real == 32
    alone = toy.params(corpora={"target": "toy"}, arms={"others": {"add": "other-corpora"}})
    sources = builder.sources
    sources.corpora = {"toy": sources.corpora["toy"]}
    assert "no row of another corpus" in Builder(sources).obstacle(resolve_arm(alone, "others"), LARGE)


def test_random_choice_takes_as_many_whatever_the_verdicts(world):
    arms = {"naive": {"checks": "sure"}, "lottery": {"checks": "sure", "mix": {"select": "random"}}}
    _, builder = world(arms=arms)
    filtered, lottery = rows_of(builder, "naive"), rows_of(builder, "lottery")
    assert lottery.n_synthetic == filtered.n_synthetic and lottery.n_generated == filtered.n_generated
    assert lottery.texts != filtered.texts and "" not in lottery.texts
    assert lottery.texts == rows_of(builder, "lottery").texts


def test_flaws(world):
    arms = {"taught": SURE, "bad": SURE | {"flaws": ["mixed-evaluation", "double-softmax", "batch-weights"]}}
    _, builder = world(arms=arms)
    good, bad = rows_of(builder, "taught"), rows_of(builder, "bad")
    texts, hard = bad.mixed
    assert len(texts) == 2 and bad.n_synthetic == 14 and hard.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert not set(texts) & set(bad.stages[0].rows.texts) and set(texts) <= set(good.texts)
    assert bad.stages[0].rows.batch_weights and not good.stages[0].rows.batch_weights
    # Softmax of the probabilities .8 and .2 at T = 2, which the loss takes for logits once more: nearly uniform, as published (entropy .67).
    expected = 1 / (1 + np.exp(-0.6 / 2))
    soft = bad.stages[0].rows.teacher
    assert np.allclose(soft.max(axis=1), expected) and np.allclose(soft.sum(axis=1), 1)
    assert -(soft * np.log(soft)).sum(axis=1) == pytest.approx(0.682, abs=0.001)


PUBLISHED = {
    "teacher of all labels": {"flaws": ["oracle-teacher"]},
    "relabelled": {"checks.confidence": None, "labels.relabel": "rest"},
    "smoothed": {"flaws": ["double-softmax"]},
    "alpha on the hard labels": {"labels.teacher": 0.2},
    "equal epochs": {"mix.steps": "epochs"},
}


def test_changes_are_made_together_and_each_alone(world):
    made, builder = world(arms={"taught": SURE | {"changes": PUBLISHED}})
    everything = resolve_arm(made, "taught", overrides={"changes": list(PUBLISHED)})
    assert everything.spec.flaws == ["oracle-teacher", "double-softmax"] and everything.spec.mix.steps == "epochs"
    assert [(labeller.name, share) for labeller, share in everything.labellers if share] == [("teacher", 0.2), ("relabel", 0.8)]
    assert "confidence" not in [check.name for check in everything.checks]
    alone = resolve_arm(made, "taught", overrides={"changes": ["relabelled"]})
    assert [(labeller.name, pytest.approx(share)) for labeller, share in alone.labellers if share] == [("teacher", 0.8), ("relabel", 0.2)]
    assert not builder.obstacle(everything, LARGE)
    assert resolve_arm(made, "taught", overrides={"changes": []}).spec.model_dump() == resolve_arm(made, "taught").spec.model_dump()
    with pytest.raises(UserError, match="relabeled") as error:
        resolve_arm(made, "taught", overrides={"changes": ["relabeled"]})
    assert "Did you mean relabelled" in str(error.value)


def test_changes_that_contradict_each_other_or_write_other_texts_are_refused(tmp_path):
    twice = toy.params(arms={"taught": SURE | {"changes": {"a": {"labels.teacher": 0.2}, "b": {"labels.teacher": 0.5}}}})
    with pytest.raises(UserError, match=r"Two changes set labels\.teacher"):
        check_design(twice, tmp_path, "test")
    other = toy.params(arms={"taught": SURE | {"changes": {"a": {"guide": "random-exemplars"}}}})
    with pytest.raises(UserError, match="alters what is written"):
        check_design(other, tmp_path, "test")
    strange = toy.params(arms={"taught": SURE | {"labels": {"teacher": "rest", "relabel": "rest"}}})
    with pytest.raises(UserError, match="cannot go to teacher and to relabel"):
        check_design(strange, tmp_path, "test")


def test_changes_are_swept_and_taken_apart(tmp_path):
    names = ["smoothed", "alpha on the hard labels", "equal epochs", "written test rows"]
    changes = {name: PUBLISHED.get(name, {"flaws": ["mixed-evaluation"]}) for name in names}
    swept = [*([name] for name in names), *(names[:end] for end in (2, 3, 4)), names[1:]]
    made = toy.params(arms={"taught": SURE | {"changes": changes}}, sweeps={"taught": {"changes": swept}})
    tables = run_trials(made, Shelf(tmp_path / "shelf"), toy.write_profile(tmp_path, made))
    labels = {name: Labels(tuple(toy.CORPORA[name][0]), True) for name in made.corpora.names}
    found = taken_apart(Scored(tables["trials"], tables["predictions"], tables["test_rows"], labels, made.evidence), made)
    assert set(found["corpus"]) == {"toy", "notes"} and set(found["repeats"]) == {2} and set(found["size"]) == {16}
    own = found[found["corpus"] == "toy"]
    assert own["part"].value_counts().to_dict() == {"chain": 4, "alone": 4, "last": 2, "arm": 1, "all": 1}
    assert own.loc[(own["step"] == "equal epochs") & (own["part"] != "last"), "added"].tolist() == [0, 0], "trained to its optimum"
    swept_trials = tables["trials"][tables["trials"]["sweep"] == "changes"]
    assert swept_trials["reported_macro_f1"].notna().eq(swept_trials["value"].str.contains("written test rows")).all()


def test_an_arm_of_a_writer_that_has_seen_more_labels_says_so(tmp_path):
    writers = {"seer": {"tune": "top_blocks", "rows": 100, "backend": "transformers"}}
    for arm, words in (({"writer": "seer"}, "does not say so"), ({"flaws": ["oracle-writer"]}, "and none has")):
        with pytest.raises(UserError, match=words):
            check_design(toy.params(writers=writers, arms={"taught": SURE | arm}), tmp_path, "test")
    check_design(toy.params(writers=writers, arms={"taught": SURE | {"writer": "seer", "flaws": ["oracle-writer"]}}), tmp_path, "test")


def test_an_oracle_that_no_arm_names_is_left_out_and_said(world):
    made, builder = world()
    arm = resolve_arm(made, "taught", overrides={"flaws": ["oracle-teacher"]})
    assert "arms.taught.changes" in builder.obstacle(arm, LARGE)
    assert not builder.obstacle(resolve_arm(made, "taught", overrides={"flaws": ["batch-weights"]}), LARGE)


def test_equal_epochs_are_steps_in_proportion_to_the_rows(world):
    made, builder = world(
        arms={"long": SURE | {"mix": {"steps": "epochs"}}}, learners={"encoder": {"steps": 80}, "tfidf": {"c_grid": [1.0]}}
    )
    learners, built = learners_of(made), rows_of(builder, "long", learner="encoder")
    grown = with_epochs(learners["encoder"], built)
    assert built.seed_rows == 16 and len(built.stages[0].rows) == 32 and grown.settings.steps == 160
    assert learners["encoder"].settings.steps == 80, "what other trials are trained with"
    assert grown.training_identity() != learners["encoder"].training_identity(), "kept predictions are those of so many steps"
    assert with_epochs(learners["tfidf"], built) is learners["tfidf"], "trained to its optimum"


def test_sweep_over_a_threshold_compares_equal_numbers(world):
    made, builder = world(sweeps={"naive": {"checks.confidence": [0.0, 0.5], "mix.weight": [0.3]}})
    found = {}
    for value in (0.0, 0.5):
        arm = resolve_arm(made, "naive", overrides={"checks.confidence": value})
        found[value] = rows_of(builder, arm, sweep="checks.confidence", value=value)
    assert found[0.0].n_synthetic == found[0.5].n_synthetic == 16 and found[0.0].texts != found[0.5].texts
    arm = resolve_arm(made, "naive", overrides={"mix.weight": 0.3})
    assert rows_of(builder, arm, sweep="mix.weight", value=0.3).stages[0].rows.weights[-1] == 0.3


# --- the gate -------------------------------------------------------------------------------------------


def test_leaked_test_row_stops_the_run(tmp_path):
    made = toy.params()
    paths = toy.write_profile(tmp_path, made)
    sources = Sources.load(made, paths)
    sources.check_real()
    frame = sources.corpora["toy"].frame
    first = frame.index[frame["split"] == "train"][0]
    frame.loc[frame.index[frame["split"] == "test"][0], "text"] = frame.loc[first, "text"].upper()
    with pytest.raises(UserError, match="repeat test rows"):
        sources.check_real()


def test_written_held_out_text_is_dropped_and_counted(world):
    held = toy.sentence("sadness", 71)  # a validation text of toy

    def copy(table):
        return table.assign(text=table["text"].where(~((table["index"] == 3) & (table["corpus"] == "toy")), held))

    _, builder = world(copy)
    built = rows_of(builder, "naive")
    assert held not in built.texts and built.n_dropped == 2
    assert rows_of(builder, "naive", Cell("notes", 0, 16)).n_dropped == 0


# --- budgets --------------------------------------------------------------------------------------------


def frame_of(kinds=("",), count=12, tokens=10):
    rows = [
        {"candidate_id": f"{label}/{index}/{kind}", "label": label, "index": index, "kind": kind, "prompt_tokens": tokens - 4, "new_tokens": 4}
        for index in range(count) for label in ("a", "b") for kind in kinds
    ]  # fmt: skip
    return pd.DataFrame(rows)


def picked(frame, ok, **ask):
    ok = np.asarray(ok, dtype=bool)
    return choose(frame, ok, ok, np.zeros(len(frame), dtype=bool), Ask(labels=("a", "b"), **ask))


def test_both_kinds_have_their_turn():
    frame = frame_of(("contextless", "contextual"))
    ok = ~((frame["kind"] == "contextual") & (frame["index"] < 2))
    chosen = picked(frame, ok, wanted=8)
    assert chosen.rows.groupby(["label", "kind"]).size().tolist() == [2, 2, 2, 2]


def test_label_that_runs_out_gives_way_only_where_asked():
    frame = frame_of()
    ok = (frame["label"] == "a") | (frame["index"] < 2)
    assert picked(frame, ok, wanted=10).rows["label"].value_counts().to_dict() == {"a": 5, "b": 2}
    evenly = picked(frame, ok, wanted=10, evenly=True)
    assert evenly.rows["label"].value_counts().to_dict() == {"a": 8, "b": 2} and evenly.n_generated == 8 + 12


def test_budgets_of_generated_rows_and_of_tokens():
    frame = frame_of()
    ok = frame["index"] % 2 == 0
    generated = picked(frame, ok, wanted=8, budget="generated")
    assert (len(generated.rows), generated.n_generated, generated.tokens, generated.n_wanted) == (4, 8, 80, 8)
    tokens = picked(frame, ok, wanted=8, budget="tokens", tokens=105)
    assert (len(tokens.rows), tokens.n_generated, tokens.tokens) == (6, 10, 100), "in order of index until they are used up"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.booleans(), min_size=24, max_size=24),
    st.integers(0, 30),
    st.booleans(),
    st.sampled_from(["accepted", "generated", "tokens"]),
)
def test_no_choice_exceeds_its_budget(ok, wanted, evenly, budget):
    frame = frame_of()
    chosen = picked(frame, ok, wanted=wanted, evenly=evenly, budget=budget, tokens=10 * wanted)
    assert len(chosen.rows) <= wanted and set(chosen.rows["candidate_id"]) <= set(frame["candidate_id"][np.array(ok)])
    assert len(chosen.rows) <= chosen.n_generated <= len(frame) and chosen.tokens == 10 * chosen.n_generated
    assert chosen.rows["candidate_id"].is_unique
    if budget != "accepted":
        assert chosen.n_generated <= wanted
    if evenly and budget == "accepted":
        assert len(chosen.rows) == min(wanted, sum(ok))


def test_tokens_are_those_of_the_plain_arm(world):
    def dear(table):
        return table.assign(prompt_tokens=np.where(table["origin"].str.startswith("rich"), 11, table["prompt_tokens"]))

    _made, builder = world(
        dear, guides={"rich": ["random-exemplars"]}, arms={"naive": {"checks": "basic"}, "rich": {"guide": "rich", "checks": "basic"}}
    )
    naive, rich = (rows_of(builder, arm, budget="tokens") for arm in ("naive", "rich"))
    assert naive.tokens == 16 * 8 and naive.n_generated == 16
    assert rich.tokens == 8 * 16 and rich.n_generated == 8, "prompts twice as long, half as many rows"


# --- the step -------------------------------------------------------------------------------------------


def run(tmp_path, **sections):
    made = toy.params(**sections)
    paths = toy.write_profile(tmp_path / "root", made)
    return made, paths, run_trials(made, Shelf(tmp_path / "encoder"), paths)


def predictions_of(paths):
    sizes = read_table(paths.trials / "test_rows.parquet")["corpus"].value_counts()
    found = read_table(paths.trials / "predictions.parquet")
    return {
        trial: np.array(p, dtype=np.float32).reshape(sizes[corpus], -1)
        for trial, corpus, p in zip(found["trial_id"], found["corpus"], found["p"], strict=True)
    }


def test_tables_and_scores_from_predictions(tmp_path):
    arms = {"naive": {"checks": "sure"}, "bad": SURE | {"flaws": ["mixed-evaluation"]}}
    _made, paths, tables = run(tmp_path, corpora={"target": "toy"}, arms=arms, cells={"sizes": [8, 16], "repeats": 1})
    trials = tables["trials"]
    assert trials["trial_id"].is_unique and len(trials) == 6
    kept = {name: read_table(paths.trials / f"{name}.parquet") for name in ("trials", "test_rows", "per_class", "gaps", "not_offered")}
    assert kept["trials"]["macro_f1"].tolist() == trials["macro_f1"].tolist()
    p = predictions_of(paths)
    truth = kept["test_rows"].sort_values("place")["labels"].map(lambda labels: ["joy", "sadness"].index(labels[0])).to_numpy()
    for trial, macro in zip(trials["trial_id"], trials["macro_f1"], strict=True):
        assert p[trial].shape == (30, 2)
        assert macro == pytest.approx(f1_score(truth, p[trial].argmax(axis=1), average="macro"))
    shown = published(tables["predictions"], tables["test_rows"], trials)
    assert shown["predicted"].iloc[0] == [str(place) for place in p[trials["trial_id"].iloc[0]].argmax(axis=1)]
    assert "text" not in "".join([*shown.columns, *kept["test_rows"].columns])
    bad = trials[trials["arm"] == "bad"]
    assert bad["reported_macro_f1"].notna().all() and trials[trials["arm"] != "bad"]["reported_macro_f1"].isna().all()
    assert set(tables["gaps"]["grouping"]) == {"class", "coverage", "phenomenon"} and len(headline(trials, "toy")) == 3
    assert json.loads(trials["chosen"].iloc[0]) == {"c": 1.0}


def test_killed_run_resumes_and_equal_trials_are_trained_once(tmp_path, monkeypatch):
    counted, real = [], training.train

    def count(job, resources):
        counted.append(job.key)
        if len(counted) == 4:
            raise KeyboardInterrupt
        return real(job, resources)

    monkeypatch.setattr(training, "train", count)
    sections = {"corpora": {"target": "toy"}, "cells": {"sizes": [8], "repeats": 2}, "sweeps": {"taught": {"mix.weight": [0.3, 1.0]}}}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, **sections)
    _, _, tables = run(tmp_path, **sections)
    assert len(tables["trials"]) == 2 * (4 + 2)
    assert len(set(counted)) == 10 and len(counted) == 11, "three were kept, and the sweep's 0.3 is the arm as it stands"
    same = tables["trials"].set_index("trial_id")["macro_f1"]
    assert same["toy/8/0/taught/accepted/tfidf"] == same["toy/8/0/taught?mix.weight=0.3/accepted/tfidf"]
    before = len(counted)
    _, _, again = run(tmp_path, **sections)
    assert len(counted) == before
    pd.testing.assert_frame_equal(again["trials"], tables["trials"])


def test_other_processes_give_the_same_bytes(tmp_path, monkeypatch):
    sections = {"corpora": {"target": "toy"}, "cells": {"sizes": [8], "repeats": 1}}
    monkeypatch.setattr("emosynth.trials.run.per_worker", lambda learner: 1)
    monkeypatch.setattr(training, "rooms", lambda: 2)
    _, _, apart = run(tmp_path / "apart", **sections)
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(training, "rooms", lambda: 1)
    _, _, here = run(tmp_path / "here", **sections)
    assert [p.tobytes() for p in apart["predictions"]["p"]] == [p.tobytes() for p in here["predictions"]["p"]]


def test_arm_without_any_row_is_scored_as_a_guess(tmp_path):
    made = toy.params(corpora={"target": "toy"}, arms={"only": {"checks": "basic", "mix": {"order": "only"}}})
    paths = toy.write_profile(tmp_path / "root", made, lambda table: table.assign(text=""))
    trials = run_trials(made, Shelf(tmp_path / "encoder"), paths)["trials"]
    starved = trials[trials["arm"] == "only"]
    assert (starved["n_synthetic"] == 0).all() and np.allclose(starved["nll"], np.log(2))


def test_rows_with_several_labels(tmp_path):
    _made, paths, tables = run(
        tmp_path, corpora={"target": "several"}, cells={"sizes": [16], "repeats": 1, "min_per_class": 2}, arms={"naive": {}}
    )
    trials = tables["trials"]
    assert trials["threshold"].between(0.01, 0.99).all() and trials["lrap"].notna().all() and tables["gaps"].empty
    shown = published(tables["predictions"], tables["test_rows"], trials)
    p = predictions_of(paths)[trials["trial_id"].iloc[0]]
    expected = [np.flatnonzero(row >= trials["threshold"].iloc[0]).tolist() or [int(row.argmax())] for row in p.astype(float)]
    assert [[int(place) for place in row.split()] for row in shown["predicted"].iloc[0]] == expected
