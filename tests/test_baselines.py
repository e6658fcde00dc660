"""Baselines: what n labelled posts are worth without a writer; each from seeds to scores on invented text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import toy_trials as toy
from emosynth import pieces
from emosynth.cards import read_table
from emosynth.catalog import Catalog
from emosynth.corpora import load_corpus
from emosynth.design.arms import learners_of, offered, resolve_arm, resolve_arms
from emosynth.design.cells import Cell
from emosynth.design.rows import Rows, Stage, balanced, hard_rows
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.generation.build import build_candidates
from emosynth.generation.edited import edited_rows
from emosynth.generation.read import COLUMNS
from emosynth.labellers.base import Labelled
from emosynth.learners.base import Resources, Task
from emosynth.models.lm import labels as scoring
from emosynth.params import deep_merge, read_file, validate
from emosynth.params.design import check_design
from emosynth.paths import Paths
from emosynth.seeding import build_orders, load_order, pool_rows, seed_rows
from emosynth.seeding.unlabelled import unlabelled_rows
from emosynth.trials import Trial, plan_trials, run_trials
from emosynth.trials.rows import Builder
from emosynth.trials.run import trial_key
from emosynth.trials.sources import Sources
from emosynth.verification import build_verdicts
from emosynth.writers import Seeds
from encoder_files import make_tiny_encoder

LARGE, SEVERAL = Cell("toy", 0, 16), Cell("several", 0, 16)
SINGLE = Space("s", ("calm", "cross"), True, {}, {"calm": "calm", "cross": "angry"})
MULTI = Space("m", ("calm", "cross"), False, {}, {"calm": "calm", "cross": "angry"})
ARMS = {
    "real+1x": {"add": "real", "growth": 1.0},
    "eda": {"guide": "edits", "checks": "none", "growth": 2.0, "oversample": 1.0},
    "pseudo": {"add": "unlabelled", "labels": {"teacher": 1.0}, "growth": 1.5, "mix": {"soft_seed": False}},
    "pseudo-hard": {"add": "unlabelled", "labels": "relabel", "growth": 1.0},
    "soft-seed": {"add": "none", "labels": {"teacher": 0.8}, "mix": {"temperature": 2.0}},
    "shuffled-seed": {"add": "none", "labels": "shuffled"},
    "unweighted": {"add": "none", "mix": {"balance": False}},
}


class Shelf:
    """A catalogue with an encoder that is never asked, and no lexicon."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(self, name: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        return self.folder

    def __contains__(self, name: object) -> bool:
        return False


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))


def design(**changed):
    values = {
        "corpora": {"target": "toy", "also": ["several"]}, "arms": ARMS, "learners": {"tfidf": {"c_grid": [1.0]}, "trees": {"rounds": 5}},
        "teacher": {"kind": "tfidf", "folds": 2}, "cells": {"sizes": [16], "repeats": 1, "min_per_class": 2},
    }  # fmt: skip
    return toy.params(**(values | changed))


def until_verdicts(root, made, change=None):
    """Run steps 05 and 06 themselves on invented corpora; ``change`` may alter a corpus before."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    (root / "data" / "taxonomies.yaml").write_bytes((toy.ROOT / "data" / "taxonomies.yaml").read_bytes())
    paths = Paths(root, "test")
    toy.write_corpora(made, paths)
    build_orders(made, paths)
    if change is not None:
        change(paths)
    build_candidates(made, None, paths)
    build_verdicts(made, None, paths)
    return paths


@pytest.fixture
def world(tmp_path):
    def build(**changed):
        made = design(**changed)
        return made, until_verdicts(tmp_path, made)

    return build


def rows_of(made, paths, arm, cell=LARGE, learner="tfidf"):
    return Builder(Sources.load(made, paths)).build(Trial(learner, cell, resolve_arm(made, arm)), learners_of(made)[learner])


# --- all of them, to the end ------------------------------------------------------------------------------


def test_every_baseline_is_trained_and_scored_or_says_why_not(world, tmp_path):
    made, paths = world()
    tables = run_trials(made, Shelf(tmp_path / "encoder"), paths)
    trials = tables["trials"]
    assert set(trials.loc[trials["corpus"] == "toy", "arm"]) == {"seed", *ARMS}
    assert set(trials.loc[trials["corpus"] == "several", "arm"]) == {"seed", *ARMS} - {"unweighted"}
    assert trials["macro_f1"].notna().all() and len(trials) == 2 * (8 + 7)
    left = tables["not_offered"]
    assert set(left["arm"]) == {"unweighted"} and set(left["corpus"]) == {"several"} and "class weights" in left["why"].iloc[0]
    counts = trials[(trials["corpus"] == "toy") & (trials["learner"] == "tfidf")].set_index("arm")
    assert counts.loc["eda", ["n_real", "n_synthetic", "n_wanted", "tokens"]].tolist() == [16, 32, 32, 0]
    assert counts.loc["pseudo", ["n_real", "n_synthetic", "n_wanted"]].tolist() == [40, 0, 24]
    assert counts.loc["soft-seed", ["n_real", "n_wanted"]].tolist() == [16, 0]
    easy = counts.loc[["seed", "eda", "pseudo", "soft-seed"], "macro_f1"]
    assert counts.loc["shuffled-seed", "macro_f1"] < easy.min() and easy.min() > 0.9


def test_the_baselines_of_the_methods_page_are_valid():
    text = (toy.ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    block = text[text.index("## Baselines") :].split("```yaml\n")[1].split("```")[0]
    made = validate(deep_merge(read_file(toy.ROOT / "params.yaml"), yaml.safe_load(block)), "docs/methods.md")
    check_design(made, toy.ROOT, "docs/methods.md")
    assert {"unweighted", "eda", "pseudo-labels"} <= set(made.arms) and {"zero-shot", "few-shot", "setfit"} <= set(made.learners)


# --- edits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["swap", "delete", "punctuate"])
def test_an_edit_changes_a_tenth_of_the_words(kind):
    guide = pieces.build("guide", "edits", {"kinds": [kind]})
    words = [f"w{number}" for number in range(20)]
    for seed in range(20):
        made = guide.edit(" ".join(words), np.random.default_rng(seed)).split()
        assert made == guide.edit(" ".join(words), np.random.default_rng(seed)).split()
        kept = [word for word in made if word.startswith("w")]
        if kind == "swap":
            assert sorted(made) == sorted(words) and sum(a != b for a, b in zip(made, words, strict=True)) in (0, 3, 4)
        elif kind == "delete":
            assert len(made) == 18 and made == [word for word in words if word in made]
        else:
            assert kept == words and len(made) == 22


def test_a_single_word_survives_every_edit():
    for seed in range(9):
        assert "hey" in pieces.build("guide", "edits").edit("hey", np.random.default_rng(seed)).split()


def test_edited_rows_keep_their_labels_and_share_out_evenly(tmp_path):
    more, fewer = design(arms={"eda": ARMS["eda"]}), design(arms={"eda": ARMS["eda"] | {"growth": 1.0}})
    paths = until_verdicts(tmp_path, more)
    seeds = Seeds(more, paths)
    frame = pd.DataFrame(edited_rows(more, seeds))
    for cell, k in ((LARGE, 2), (SEVERAL, 3)):
        rows, seed = frame[frame["corpus"] == cell.corpus], seeds.seed(cell)
        counts = rows["label"].value_counts()
        assert len(counts) == k and counts.sum() == 32 and counts.max() - counts.min() <= 1
        for text, label, labels in zip(rows["text"], rows["label"], rows["labels"], strict=True):
            words = set(text.split())
            source = max(range(16), key=lambda row: len(words & set(seed.texts[row].split())))
            assert labels[0] == label and sorted(labels) == sorted(seed.labels[source])
    assert set(frame.columns) == set(COLUMNS), "nothing of a candidate is missing"
    some = pd.DataFrame(edited_rows(fewer, seeds)).set_index("candidate_id")
    assert frame.set_index("candidate_id").loc[some.index, "text"].equals(some["text"]), "more begin with the very ones of fewer"
    assert not set(frame["text"]) & set(seeds.seed(LARGE).texts) or frame["text"].nunique() > 40


@pytest.mark.parametrize("more", [{"guide": ["edits", "random-exemplars"]}, {"guide": "edits", "space": "goemotions", "rows": 9}])
def test_edits_go_with_no_prompt(more):
    with pytest.raises(UserError, match="makes texts of the seed's rows"):
        check_design(design(arms={"eda": more}), Path(), "test")


# --- unlabelled rows ------------------------------------------------------------------------------------------


def test_unlabelled_rows_are_in_no_seed_and_no_expansion(tmp_path):
    made = design()
    paths = until_verdicts(tmp_path, made)
    order = load_order(paths)
    found = unlabelled_rows(made, order, LARGE, 10_000)
    train = set(order.loc[order["corpus"] == "toy", "id"])
    assert set(found) == train - {*seed_rows(order, LARGE)["id"], *pool_rows(order, LARGE, 16)["id"]} and len(found) == 38
    assert found[:5] == unlabelled_rows(made, order, LARGE, 5)
    assert {row.split("-")[1] < "070" for row in found} == {True}, "training rows alone"


@pytest.mark.parametrize("cell", [LARGE, SEVERAL])
def test_gold_labels_of_unlabelled_rows_are_never_looked_at(tmp_path, cell):
    made = design()

    def spoil(paths):
        seed = set(seed_rows(load_order(paths), cell)["id"])
        corpus = load_corpus(paths, cell.corpus)
        gold = [labels if row in seed or split != "train" else [corpus.classes[0]]
                for row, labels, split in zip(corpus.frame["id"], corpus.frame["labels"], corpus.frame["split"], strict=True)]  # fmt: skip
        assert gold != corpus.frame["labels"].tolist()
        toy.write_table(corpus.frame.assign(labels=gold), paths.corpora / f"{cell.corpus}.parquet", toy.CARD)

    for arm in ("pseudo", "pseudo-hard"):
        clean = rows_of(made, until_verdicts(tmp_path / f"clean-{arm}", made), arm, cell).stages[0].rows
        spoilt = rows_of(made, until_verdicts(tmp_path / f"spoilt-{arm}", made, spoil), arm, cell).stages[0].rows
        assert clean.texts == spoilt.texts
        np.testing.assert_array_equal(clean.targets, spoilt.targets)
        assert (clean.teacher is None) == (spoilt.teacher is None) == (arm == "pseudo-hard")
        if clean.teacher is not None:
            np.testing.assert_array_equal(clean.teacher, spoilt.teacher)


def test_pseudo_labels_are_the_teachers(world):
    made, paths = world()
    soft = rows_of(made, paths, "pseudo").stages[0].rows
    assert soft.alpha == 1.0
    np.testing.assert_allclose(soft.weights, np.ones(40))
    np.testing.assert_allclose(np.exp(soft.teacher[:16]), soft.targets[:16], atol=1e-9)  # the seed keeps its annotation
    np.testing.assert_allclose(np.exp(soft.teacher[16:]), soft.targets[16:])
    mixed = rows_of(made, paths, "pseudo", learner="trees").stages[0].rows
    assert mixed.teacher is None
    np.testing.assert_allclose(mixed.targets, soft.targets, atol=1e-9)
    hard = rows_of(made, paths, "pseudo-hard").stages[0].rows
    assert set(hard.targets[16:].ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(hard.targets[16:].argmax(axis=1), soft.targets[16:32].argmax(axis=1))


@pytest.mark.parametrize(("labels", "what"), [("asked", "asked"), ({"teacher": 0.5}, "asked"), ("shuffled", "shuffled")])
def test_unlabelled_rows_need_a_labeller_that_reads(labels, what):
    with pytest.raises(UserError, match=f"{what} has a share") as error:
        check_design(design(arms={"pseudo": {"add": "unlabelled", "labels": labels}}), Path(), "test")
    assert error.value.where == "arms.pseudo.labels"


def test_an_empty_pool_is_said(tmp_path):
    made = design(arms={"all": {"add": "real", "growth": 9.0}, "pseudo": ARMS["pseudo"]})
    paths = until_verdicts(tmp_path, made)
    _, left = plan_trials(made, learners_of(made), Builder(Sources.load(made, paths)).obstacle)
    assert set(left["arm"]) == {"pseudo"} and left["why"].str.contains("no row beyond seed").all()


# --- labels ---------------------------------------------------------------------------------------------------


def test_a_softened_seed_has_the_teacher_that_grown_arms_have(tmp_path):
    grown = {
        "soft-seed": ARMS["soft-seed"],
        "grown": {"guide": "edits", "checks": "none", "labels": {"teacher": 0.8}, "mix": {"temperature": 2.0}},
    }
    made = design(arms=grown)
    paths = until_verdicts(tmp_path, made)
    alone, both = rows_of(made, paths, "soft-seed").stages[0].rows, rows_of(made, paths, "grown").stages[0].rows
    np.testing.assert_array_equal(alone.teacher, both.teacher[:16])
    assert (alone.alpha, alone.temperature) == (both.alpha, both.temperature) == (0.8, 2.0)
    np.testing.assert_array_equal(alone.targets, both.targets[:16])
    trees = rows_of(made, paths, "soft-seed", learner="trees").stages[0].rows
    np.testing.assert_allclose(trees.targets, 0.2 * alone.targets + 0.8 * np.exp(alone.teacher))


def test_soft_seed_cannot_be_off_where_it_is_all():
    with pytest.raises(UserError, match="labelled anew"):
        check_design(design(arms={"s": {"add": "none", "labels": {"teacher": 0.5}, "mix": {"soft_seed": False}}}), Path(), "test")


def shuffled(targets, space, kinds):
    rows = pd.DataFrame({"text": ["t"] * len(targets), "kind": kinds})
    return pieces.build("labeller", "shuffled").log_p(Labelled(rows, Cell("toy", 1, 9), space, space, targets, targets, None))


@pytest.mark.parametrize("space", [SINGLE, MULTI])
def test_shuffled_labels_are_those_of_other_rows_of_the_kind(space):
    rng = np.random.default_rng(3)
    targets = np.eye(2)[rng.integers(0, 2, 60)]
    if not space.single:
        targets[::7] = 1.0
    kinds = ["contextual"] * 30 + ["contextless"] * 30
    made = np.exp(shuffled(targets, space, kinds))
    for half in (slice(0, 30), slice(30, 60)):
        assert Counter(map(tuple, made[half])) == Counter(map(tuple, targets[half]))
    assert (made != targets).any(axis=1).sum() > 15
    np.testing.assert_array_equal(made, np.exp(shuffled(targets, space, kinds)))


EVERYWHERE = {
    "target": {"guide": "edits", "checks": "none"},
    "taxonomy": {"space": "goemotions", "rows": 56, "checks": "basic"},
    "first": {"space": "goemotions", "rows": 56, "checks": "basic", "mix": {"order": "first"}},
    "unlabelled": {"add": "unlabelled"},
    "seed": {"add": "none"},
}


@pytest.mark.parametrize("labels", ["relabel", {"teacher": 0.5, "relabel": 0.5}, "shuffled"])
def test_labels_are_taken_in_every_arm(tmp_path, labels):
    arms = {f"{name}-arm": arm | {"labels": labels} for name, arm in EVERYWHERE.items() if labels != "shuffled" or name != "unlabelled"}
    made = design(arms=arms)
    paths = toy.write_profile(tmp_path, made)
    if "target-arm" in arms:  # the toy's candidates, and the edits' own
        table = read_table(paths.candidates / "candidates.parquet")
        own = pd.DataFrame(edited_rows(made, Seeds(made, paths)), columns=table.columns)
        toy.write_table(pd.concat([table[table["origin"] != "edits@none"], own]), paths.candidates / "candidates.parquet", toy.CARD)
    build_verdicts(made, None, paths)
    trials = run_trials(made, Shelf(tmp_path / "encoder"), paths)["trials"]
    assert set(trials["arm"]) == {"seed", *arms} and trials["macro_f1"].notna().all()
    if labels == "relabel":
        rows = rows_of(made, paths, "taxonomy-arm").stages[0].rows
        assert rows.n_synthetic and set(rows.targets[16:].ravel()) <= {0.0, 1.0}


# --- random removal, class weights ------------------------------------------------------------------------------


def test_random_removal_stands_beside_one_filter(tmp_path):
    arms = {"naive": {"checks": "sure"}, "lottery": {"checks": "sure", "mix": {"select": ["confidence"]}}}
    made = toy.params(arms=arms, corpora={"target": "toy"})
    builder = Builder(Sources.load(made, toy.write_profile(tmp_path, made)))
    kept, drawn = (builder.build(Trial("tfidf", LARGE, resolve_arm(made, name)), learners_of(made)["tfidf"]) for name in arms)
    first, second = kept.stages[0].rows, drawn.stages[0].rows
    np.testing.assert_array_equal(first.targets.sum(axis=0), second.targets.sum(axis=0))
    assert (kept.n_synthetic, kept.n_generated, kept.tokens) == (drawn.n_synthetic, drawn.n_generated, drawn.tokens)
    assert first.texts != second.texts
    numbers = [int(text.split()[0][1:]) % 100 for text in second.texts[16:] if text.split()[0][1:].isdigit()]
    assert len(numbers) == 16 and {number % 3 for number in numbers} == {0, 1, 2}, "those that the teacher doubts too"
    assert all(len(text.split()) >= 3 for text in second.texts[16:]), "the other checks stay"


def test_random_removal_names_a_check_of_the_arm():
    with pytest.raises(UserError, match="no check of this arm called agreement"):
        check_design(toy.params(arms={"naive": {"checks": "sure", "mix": {"select": ["agreement"]}}}), Path(), "test")


def test_class_weights_can_be_switched_off():
    rows = hard_rows(list("abcd"), [["calm"], ["calm"], ["calm"], ["cross"]], SINGLE)
    assert balanced(rows, SINGLE).weights.tolist() == pytest.approx([2 / 3] * 3 + [2])
    off = Rows(rows.texts, rows.targets, rows.weights, rows.synthetic, balance=False)
    assert balanced(off, SINGLE).weights.tolist() == balanced(off.take([3, 0]), SINGLE).weights.tolist() * 2 == [1.0] * 4


def test_a_model_without_class_weights_is_kept_as_another(world):
    made, paths = world(arms={"unweighted": ARMS["unweighted"]})
    task, learner = Task(SINGLE, 16, None, 2, 0), learners_of(made)["tfidf"]
    keys = {trial_key(learner, rows_of(made, paths, arm), task, "", "") for arm in ("seed", "unweighted", "seed")}
    assert len(keys) == 2


@pytest.mark.parametrize("name", ["tfidf", "trees", "encoder"])
def test_without_class_weights_the_frequent_class_wins(tmp_path, name):
    options = {"encoder": {"layers": 1, "steps": 15, "learning_rate": 1e-3, "max_tokens": 16}, "trees": {"rounds": 3}}.get(name, {})
    learner = pieces.build("learner", name, options)
    texts = [f"same words here {number % 2}" for number in range(24)]
    rows = hard_rows(texts, [["calm"]] * 18 + [["cross"]] * 6, SINGLE)
    resources = Resources(lambda found: np.ones((len(found), 2)), make_tiny_encoder(tmp_path / "bert"), "tiny", tmp_path / "cache")
    p = {}
    for balance in (True, False):
        given = Rows(rows.texts, rows.targets, rows.weights, rows.synthetic, balance=balance)
        fitted = learner.fit([Stage(given, SINGLE)], Task(SINGLE, 24, None, 3, 0), resources)
        p[balance] = float(fitted.predict_proba(["same words here"])[0, 0])
    assert p[False] > p[True] + 0.05


# --- the language model, SetFit ------------------------------------------------------------------------------------


class Scores:
    """Scores a label by whether its word stands in the prompt's last line; counts what it is asked."""

    def __init__(self, head):
        self.head, self.identity = head, {"model": "fake"}

    def score(self, prompts, labels, progress=None):
        return np.array([[4.0 * (label.strip() in prompt) for label in labels] for prompt in prompts]).reshape(len(prompts), len(labels))

    def prior(self, prompts, labels):
        return np.zeros(len(labels))

    def tokens(self, prompts, labels):
        return 100 + len(prompts)


@pytest.fixture
def fake_model(monkeypatch):
    heads = []

    def opened(cls, model, catalog, *, head):
        heads.append(head)
        return Scores(head)

    monkeypatch.setattr(scoring.LabelScorer, "open", classmethod(opened))
    return heads


def test_a_language_model_classifies_the_seed_alone(world, tmp_path, fake_model):
    made, paths = world(learners={"tfidf": {}, "zero-shot": {}, "few-shot": {"shots": 2}})
    tables = run_trials(made, Shelf(tmp_path / "encoder"), paths)
    trials = tables["trials"].set_index(["corpus", "learner"])
    for name in ("zero-shot", "few-shot"):
        assert trials.loc[("toy", name), "arm"] == trials.loc[("several", name), "arm"] == "seed"
        assert trials.loc[("toy", name), "tokens"] == 130 and "tokens" not in trials.loc[("toy", name), "chosen"]
    assert trials.loc[("several", "zero-shot"), "tokens"] == 130 + 116, "the seed's rows that a threshold is chosen on count too"
    assert np.isfinite(trials.loc[("several", "few-shot"), "threshold"])
    assert set(tables["not_offered"]["learner"]) == {"tfidf"}
    _, left = plan_trials(made, {"few-shot": pieces.build("learner", "few-shot", {"arms": ["seed", "eda"]})}, lambda arm, cell, learner: "")
    assert set(left["arm"]) == {"eda"} and left["why"].str.contains("trained on none").all(), "said where it is asked for"
    assert scoring.HEAD in fake_model
    shown = next(head for head in fake_model if "sadness" in head and head != scoring.HEAD)
    seed = Sources.load(made, paths).seed(LARGE)
    lines = [line for line in shown.split("\n") if line.startswith("Someone says")]
    assert len(lines) == 4 and all(any(text in line for text in seed.texts) for line in lines)
    again = {head for head in fake_model if head}
    run_trials(made, Shelf(tmp_path / "encoder"), paths)
    assert {head for head in fake_model if head} == again and fake_model[-1] == "", "kept predictions ask nobody"


def test_each_class_has_its_shots():
    guide = pieces.build("learner", "few-shot", {"shots": 2})
    rows = hard_rows([f"t{n}" for n in range(7)], [["calm"], ["calm", "cross"], ["calm"], ["calm"], ["cross"], ["cross"], ["calm"]], MULTI)
    head, shown = guide.head(rows, MULTI)
    assert shown == [0, 1, 4] and head.count("They feel") == 3 and "They feel calm and angry.\n\n" in head


@pytest.mark.model
def test_the_packaged_model_reads_plain_feelings(tmp_path):
    paths = Paths(toy.ROOT, "demo")
    resources = Resources(None, tmp_path, "", tmp_path, "smollm2-135m-instruct", Catalog.load(paths))
    happy = ["What a wonderful birthday, thank you all!", "We won the match, I could dance!", "Best holiday of my life so far."]
    sad = ["My dog died this morning.", "She left me and I cannot stop crying.", "Nobody came to the funeral, it was so lonely."]
    space = Space("two", ("joy", "sadness"), True, {}, {"joy": "happy", "sadness": "sad"})
    rows = hard_rows([happy[0], sad[0]], [["joy"], ["sadness"]], space)
    for name in ("zero-shot", "few-shot"):
        fitted = pieces.build("learner", name).fit([Stage(rows, space)], Task(space, 2, None, 2, 0), resources)
        p = fitted.predict_proba(happy[1:] + sad[1:])
        assert p.sum(axis=1) == pytest.approx(np.ones(4)) and (p.argmax(axis=1) == [0, 0, 1, 1]).sum() >= 3
        assert 100 < fitted.chosen["tokens"] < 300


@pytest.mark.model
@pytest.mark.parametrize("space", [SINGLE, MULTI])
def test_setfit_draws_rows_of_a_label_together(tmp_path, space):
    folder = Catalog.load(Paths(toy.ROOT, "demo")).model("all-minilm-l6-v2")
    learner = pieces.build("learner", "setfit", {"steps": 12, "batch": 8, "learning_rate": 1e-4, "max_tokens": 16})
    resources = Resources(None, folder, "minilm", tmp_path)
    calm = [
        "the lake lay still",
        "we sat by the fire",
        "a slow walk at dusk",
        "tea and a good book",
        "soft rain on the roof",
        "she hums to herself",
    ]
    cross = [
        "who took my seat",
        "you broke it again",
        "stop shouting at me",
        "the train is late, as ever",
        "this queue is a joke",
        "he never listens",
    ]
    labels = [["calm"]] * 6 + [["cross"]] * 6
    texts = calm + cross
    if not space.single:
        texts, labels = [*texts, "quiet now, or I leave", "calm down yourself"], [*labels, ["calm", "cross"], ["calm", "cross"]]
    rows = hard_rows(texts, labels, space)
    new = ["a warm quiet evening", "stop it, you always do this"]
    made = [learner.fit([Stage(rows, space)], Task(space, len(rows), None, 3, 0), resources) for _ in range(2)]
    p = made[0].predict_proba(new)
    np.testing.assert_array_equal(p, made[1].predict_proba(new))
    assert made[0].chosen == made[1].chosen and ("threshold" in made[0].chosen) == (not space.single)
    untuned = pieces.build("learner", "setfit", {"steps": 1, "batch": 8, "learning_rate": 1e-9, "max_tokens": 16})
    before = untuned.fit([Stage(rows, space)], Task(space, len(rows), None, 3, 0), resources).predict_proba(new)
    assert p[0, 0] - p[1, 0] > before[0, 0] - before[1, 0] + 0.1


def test_setfit_is_offered_where_one_training_is_enough():
    made = design(
        learners={"setfit": {}}, arms=ARMS | {"first": {"mix": {"order": "first"}}, "longer": {"add": "none", "mix": {"steps": "both"}}}
    )
    learner = learners_of(made)["setfit"]
    assert {name for name, arm in resolve_arms(made).items() if offered(arm, learner)} == {"first", "longer"}
