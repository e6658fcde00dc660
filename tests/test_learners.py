"""Learners: settings chosen within the seed, stages, several labels; invented texts, letters as embeddings, a tiny random encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from emosynth import pieces
from emosynth.design.rows import Rows, Stage, balanced, hard_rows, joined
from emosynth.design.space import Space, SpaceMap
from emosynth.learners import linear
from emosynth.learners.base import Resources, Task
from emosynth.learners.choosing import as_truth, choose, folds_of, mixed, moved, projected, weighed
from emosynth.models.features import TfidfFeatures
from emosynth.models.linear import OneVsRest, SoftmaxRegression
from emosynth.models.metrics import best_threshold, macro_average_precision
from encoder_files import make_tiny_encoder


def space(*labels, single=True, name="own"):
    words = {label: label for label in labels}
    return Space(name, labels, single, words, words)


ONE = space("calm", "cross", "merry")
SEVERAL = space("calm", "cross", "merry", single=False)
OTHER = space("ease", "fury", "glee", "doubt", single=False, name="other")
MAP = SpaceMap(OTHER, ONE, np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]), "words")
WORDS = {0: "mild lake quiet soft", 1: "loud rude door broke", 2: "song cake dance warm"}


def embed(texts):
    raw = np.array([[text.count(letter) for letter in "abcdefghiklmnorstuwy"] for text in texts], dtype=np.float32) + 0.01
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def resources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    return Resources(embed, make_tiny_encoder(folder), "tiny", tmp_path_factory.mktemp("cache"))


def texts(n, seed=0, noise=0.3):
    """Return n texts of the three classes in turn, and class positions."""
    rng = np.random.default_rng(seed)
    everything = " ".join(WORDS.values()).split()
    out = []
    for row in range(n):
        own = WORDS[row % 3].split()
        out.append(" ".join(rng.choice(everything if rng.random() < noise else own) for _ in range(5)) + f" w{rng.integers(9)}")
    return out, np.arange(n) % 3


def rows(n=30, seed=0, synthetic=False, where=ONE, noise=0.3):
    made, positions = texts(n, seed, noise)
    labels = [[where.labels[position]] for position in positions]
    if not where.single:  # every fourth row has a second label
        labels = [
            [*own, where.labels[(place + 1) % 3]] if row % 4 == 0 else own
            for row, (own, place) in enumerate(zip(labels, positions, strict=True))
        ]
    return hard_rows(made, labels, where, synthetic=synthetic)


def task(where=ONE, seed_rows=30, validation=None, steps="one", folds=3):
    return Task(where, seed_rows, validation, folds, 0, steps)


def learner(name, **options):
    if name == "encoder":
        options = {"layers": 2, "first_steps": 40, "steps": 40, "batch": 8, "learning_rate": 3e-3, "max_tokens": 16, **options}
    if name == "trees":
        options = {"rounds": 10, **options}
    return pieces.build("learner", name, options)


def right(p, n=60, seed=77):
    return (p.argmax(axis=1) == texts(n, seed)[1]).mean()


NAMES = ["tfidf", "embedding", "trees", "encoder"]
LINEAR = NAMES[:2]
NEW = texts(60, 77, 0.0)[0]

# --- rows -----------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 6), st.integers(2, 5), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_folds_are_even_and_stratified(n, k, folds, seed):
    truth = np.eye(k)[np.random.default_rng(seed).integers(0, k, n)] > 0
    fold = folds_of(truth, folds)
    sizes = np.bincount(fold)
    assert len(sizes) == min(folds, n) and sizes.max() - sizes.min() <= 1
    for label in range(k):
        counts = np.bincount(fold[truth[:, label]], minlength=len(sizes))
        assert counts.max() - counts.min() <= 1


def test_folds_of_several_labels_share_out_the_rarest():
    truth = np.zeros((12, 3), dtype=bool)
    truth[:, 0] = True
    truth[[2, 3, 4], 2] = True  # always beside the common one
    assert sorted(folds_of(truth, 3)[[2, 3, 4]]) == [0, 1, 2]


def test_labels_move_with_the_mass_that_has_a_counterpart():
    soft = np.array([[0.5, 0.0, 0.5, 0.0], [0.4, 0.0, 0.0, 0.6], [0.0, 0.0, 0.0, 1.0]])
    given = Rows(["a", "b", "c"], soft, np.array([1.0, 0.5, 1.0]), np.ones(3, dtype=bool))
    found = moved(given, OTHER, MAP)
    np.testing.assert_allclose(found.targets, [[0.5, 0, 0.5], [1, 0, 0], [1 / 3] * 3])
    np.testing.assert_allclose(found.weights, [1.0, 0.2, 0.0])
    several = SpaceMap(OTHER, SEVERAL, np.array([[1.0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]), "words")
    found = moved(replace(given, targets=np.array([[0.8, 0.7, 0.2, 0]] * 3)), OTHER, several)
    np.testing.assert_allclose(found.targets, [[1, 0, 0.2]] * 3)
    np.testing.assert_array_equal(found.weights, given.weights)
    same = SpaceMap(ONE, ONE, np.eye(3), "same")
    own = rows(3)
    assert moved(own, ONE, same) is own
    np.testing.assert_allclose(projected(np.array([[0.3, 0, 0.1, 0.9], [0, 0, 0, 1.0]]), MAP), [[0.75, 0, 0.25], [1 / 3] * 3])


def test_a_teacher_is_mixed_in_by_its_share():
    own = replace(rows(3), teacher=np.log([[0.5, 0.3, 0.2]] * 3), alpha=0.4, temperature=9.0)
    np.testing.assert_allclose(mixed(own, ONE).targets, 0.6 * np.eye(3) + 0.4 * np.array([[0.5, 0.3, 0.2]] * 3))
    assert mixed(own, ONE).teacher is None
    np.testing.assert_allclose(mixed(own, SEVERAL).targets, mixed(own, ONE).targets)
    shifted = replace(own, teacher=own.teacher + 5)  # logits, not log-probabilities
    np.testing.assert_allclose(mixed(shifted, ONE).targets, mixed(own, ONE).targets)


def test_averaged_weights_are_balanced_after_averaging():
    own = replace(rows(4), weights=np.array([1.0, 1.0, 1.0, 0.1]), batch_weights=True)  # classes 0 1 2 0
    found = weighed(own, ONE)
    np.testing.assert_allclose(found.weights @ found.targets, [3.1 / 3] * 3)
    assert found.weights[0] == found.weights[3]
    np.testing.assert_array_equal(weighed(own, SEVERAL).weights, [0.775] * 4)


def test_choice_takes_the_stronger_of_equals():
    truth = np.eye(3)[[0, 1, 2, 0]] > 0
    good, poor = np.eye(3)[[0, 1, 2, 0]] * 0.8 + 0.05, np.eye(3)[[1, 1, 2, 0]] * 0.8 + 0.05
    assert choose([poor, good, good], truth, ONE).best == 1
    assert choose([good, poor, good], truth, ONE).best == 0
    found = choose([poor, good], truth, SEVERAL)
    assert found.best == 1 and found.threshold == best_threshold(good, truth)
    assert choose([good], truth, ONE).threshold is None


# --- one label ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_learners_learn_and_are_deterministic(name, resources):
    stages = [Stage(joined(rows(30), rows(30, seed=1, synthetic=True)), ONE)]
    fitted = learner(name).fit(stages, task(), resources)
    p = fitted.predict_proba(NEW)
    assert p.shape == (60, 3) and right(p) > 0.6
    np.testing.assert_allclose(p.sum(axis=1), 1)
    again = learner(name).fit(stages, task(), resources)
    np.testing.assert_array_equal(again.predict_proba(NEW), p)
    assert again.chosen == fitted.chosen
    assert "threshold" not in fitted.chosen and ("c" in fitted.chosen) == (name in LINEAR)


def test_strength_is_that_of_cross_validation_by_hand(resources):
    """Folds over the seed alone; every fold learns from all added rows; out-of-fold predictions are scored together."""
    everything = joined(rows(30, noise=0.8), rows(20, seed=1, synthetic=True))
    everything = replace(everything, weights=np.where(everything.synthetic, 0.3, 1.0))
    grid = [0.01, 0.1, 1.0, 10.0]
    fitted = learner("tfidf", c_grid=grid[::-1]).fit([Stage(everything, ONE)], task(), resources)
    features = TfidfFeatures((1, 2))
    x, truth = features.fit_transform(everything.texts), everything.targets[:30].argmax(axis=1)
    fold = folds_of(everything.targets[:30] > 0, 3)
    found = []
    for c in grid:
        guess = np.zeros(30)
        for number in range(3):
            rest = np.concatenate([np.flatnonzero(fold != number), np.arange(30, 50)])
            part = balanced(everything.take(rest), ONE)
            model = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(x[rest], part.targets.argmax(axis=1), part.weights)
            guess[fold == number] = model.predict(x[np.flatnonzero(fold == number)])
        found.append(f1_score(truth, guess, average="macro"))
    best = grid[int(np.argmax(found))]
    assert fitted.chosen == {"c": best} and len(set(found)) > 1
    part = balanced(everything, ONE)
    model = LogisticRegression(C=best, tol=1e-8, max_iter=5000).fit(x, part.targets.argmax(axis=1), part.weights)
    np.testing.assert_allclose(fitted.predict_proba(NEW), model.predict_proba(features.transform(NEW)), atol=1e-3)


@pytest.mark.parametrize("name", LINEAR)
def test_validation_rows_choose_where_they_are_given(name, resources):
    """The protocol of the first edition: every strength on all rows, macro-F1 on validation, ties to the stronger."""
    own, (held, places) = rows(24, noise=0.9), texts(45, 5, 0.6)
    fitted = learner(name).fit([Stage(own, ONE)], task(seed_rows=24, validation=(held, np.eye(3)[places])), resources)
    features = TfidfFeatures((1, 2)) if name == "tfidf" else None
    x = features.fit_transform(own.texts) if features else 2.0 * embed(own.texts)
    z = features.transform(held) if features else 2.0 * embed(held)
    found = []
    for c in (0.3, 3.0, 30.0):
        model = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(x, own.targets.argmax(axis=1), balanced(own, ONE).weights)
        found.append(f1_score(places, model.predict(z), average="macro"))
    assert fitted.chosen["c"] == [0.3, 3.0, 30.0][int(np.argmax(found))]


def test_a_row_of_weight_0_is_no_row(resources):
    own = rows(30)
    noise = replace(rows(6, seed=9, synthetic=True), weights=np.zeros(6), texts=["zebra zebra"] * 6)
    for name in ("tfidf", "trees"):
        plain = learner(name).fit([Stage(own, ONE)], task(), resources).predict_proba(NEW)
        more = learner(name).fit([Stage(joined(own, noise), ONE)], task(), resources).predict_proba(NEW)
        np.testing.assert_array_equal(plain, more)


@pytest.mark.parametrize("name", NAMES)
def test_a_teacher_has_its_share(name, resources):
    own = rows(30)
    teacher = 4.0 * np.roll(own.targets, 1, axis=1)  # calls class 0 class 1, and so on
    followed = replace(own, teacher=teacher, alpha=0.9 if name == "trees" else 1.0, temperature=1.0)
    p = learner(name).fit([Stage(followed, ONE)], task(), resources).predict_proba(NEW)
    assert (p.argmax(axis=1) == (texts(60, 77)[1] + 1) % 3).mean() > 0.6


def test_tiny_seeds_and_no_seed(resources):
    for name in ("tfidf", "trees"):
        p = learner(name).fit([Stage(rows(3), ONE)], task(seed_rows=3), resources).predict_proba(NEW)
        assert p.shape == (60, 3)
        assert right(learner(name).fit([Stage(rows(60, synthetic=True), ONE)], task(seed_rows=0), resources).predict_proba(NEW)) > 0.6
    alone = learner("tfidf").fit([Stage(rows(3).take([0]), ONE)], task(seed_rows=1), resources)
    np.testing.assert_array_equal(alone.predict_proba(["a"]), [[1, 0, 0]])
    assert alone.chosen == {"c": 3.0}


def test_embeddings_are_asked_for_all_texts_at_once(resources):
    asked = []

    def spy(some):
        asked.append(len(some))
        return embed(some)

    stages = [Stage(rows(20, where=OTHER), OTHER, MAP), Stage(rows(30), ONE)]
    linear._FIRST.clear()
    fitted = learner("embedding").fit(stages, task(), replace(resources, embed=spy))
    assert asked == [50, 20]  # both stages; the first for its strength, once for all seeds
    learner("embedding").fit(stages, task(), replace(resources, embed=spy))
    assert asked == [50, 20, 50]
    fitted.predict_proba(NEW)
    assert asked[-1] == 60


# --- several labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_several_labels_have_one_threshold(name, resources):
    own = rows(40, where=SEVERAL)
    fitted = learner(name).fit([Stage(own, SEVERAL)], task(SEVERAL, 40), resources)
    p = fitted.predict_proba(NEW)
    assert ((p >= 0) & (p <= 1)).all() and right(p) > 0.6
    assert 0 < fitted.chosen["threshold"] < 1
    held = (texts(30, 4)[0], rows(30, 4, where=SEVERAL).targets)
    on_held = learner(name).fit([Stage(own, SEVERAL)], task(SEVERAL, 40, held), resources)
    assert on_held.chosen["threshold"] == best_threshold(on_held.predict_proba(held[0]), held[1])


def test_threshold_and_strength_are_chosen_out_of_fold(resources):
    own = rows(40, where=SEVERAL, noise=0.6)
    fitted = learner("embedding").fit([Stage(own, SEVERAL)], task(SEVERAL, 40), resources)
    x, fold = 2.0 * embed(own.texts).astype(float), folds_of(own.targets > 0, 3)
    out = {}
    for c in (0.3, 3.0, 30.0):
        out[c] = np.zeros((40, 3))
        for number in range(3):
            mine = fold == number
            out[c][mine] = OneVsRest(c).fit(x[~mine], own.targets[~mine]).predict_proba(x[mine])
    best = max(out, key=lambda c: macro_average_precision(out[c], own.targets))
    assert fitted.chosen["c"] == best
    assert fitted.chosen["threshold"] == best_threshold(out[best], own.targets)


# --- stages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tfidf", "embedding", "encoder"])
def test_a_first_stage_in_another_space_helps(name, resources):
    assert pieces.find("learner", name).staged
    first = Stage(rows(60, seed=3, synthetic=True, where=OTHER, noise=0.1), OTHER, MAP)
    seed = rows(6, noise=0.6)
    alone = learner(name).fit([Stage(seed, ONE)], task(seed_rows=6), resources).predict_proba(NEW)
    both = learner(name).fit([first, Stage(seed, ONE)], task(seed_rows=6), resources)
    assert right(both.predict_proba(NEW)) > max(0.7, right(alone))
    if name != "encoder":
        assert {"c", "c_first"} <= set(both.chosen)


def test_the_first_fit_is_the_prior_of_the_second(resources):
    """Of a strength near 0, the second stage leaves the first as it is."""
    first, seed = rows(60, seed=3, synthetic=True, where=OTHER), rows(12)
    fitted = learner("embedding", c_grid=[1e-9]).fit([Stage(first, OTHER, MAP), Stage(seed, ONE)], task(seed_rows=12), resources)
    part = weighed(moved(first, OTHER, MAP), ONE)
    alone = SoftmaxRegression(1e-9).fit(2.0 * embed(first.texts).astype(float), part.targets, part.weights)
    np.testing.assert_allclose(fitted.predict_proba(NEW), alone.predict_proba(2.0 * embed(NEW)), atol=1e-5)
    # and rows without a counterpart have no part in it
    strange = replace(first, targets=np.tile([0.0, 0, 0, 1], (60, 1)))
    p = learner("embedding").fit([Stage(strange, OTHER, MAP), Stage(seed, ONE)], task(seed_rows=12), resources)
    plain = learner("embedding").fit([Stage(seed, ONE)], task(seed_rows=12), resources)
    np.testing.assert_array_equal(p.predict_proba(NEW), plain.predict_proba(NEW))


@pytest.mark.parametrize("name", NAMES)
def test_a_lone_stage_of_another_space_is_projected(name, resources):
    stage = Stage(rows(60, where=OTHER, synthetic=True, noise=0.1), OTHER, MAP)
    fitted = learner(name).fit([stage], task(seed_rows=0), resources)
    p = fitted.predict_proba(NEW)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert right(p) > 0.7
    several = SpaceMap(OTHER, SEVERAL, MAP.matrix, "words")
    fitted = learner(name).fit([Stage(stage.rows, OTHER, several)], task(SEVERAL, 0), resources)
    assert right(fitted.predict_proba(NEW)) > 0.7 and 0 < fitted.chosen["threshold"] < 1


def test_pretraining_is_shared_and_kept(resources, tmp_path):
    own = replace(resources, cache=tmp_path)
    first = Stage(rows(20, where=OTHER), OTHER, MAP)
    p = learner("encoder").fit([first, Stage(rows(9), ONE)], task(seed_rows=9), own).predict_proba(NEW)
    (file,) = sorted((tmp_path / "encoder").iterdir())
    before = file.stat().st_mtime_ns
    learner("encoder").fit([first, Stage(rows(12), ONE)], task(seed_rows=12), own)
    assert [file] == sorted((tmp_path / "encoder").iterdir()) and file.stat().st_mtime_ns == before
    (file / "state.safetensors").write_bytes(b"damaged")
    again = learner("encoder").fit([first, Stage(rows(9), ONE)], task(seed_rows=9), own).predict_proba(NEW)
    np.testing.assert_array_equal(again, p)
    other = Stage(replace(first.rows, weights=first.rows.weights * 0.5), OTHER, MAP)
    learner("encoder").fit([other, Stage(rows(9), ONE)], task(seed_rows=9), own)
    assert len(list((tmp_path / "encoder").iterdir())) == 2


def test_both_stages_steps_are_those_of_a_lone_stage(resources):
    seed = [Stage(rows(12), ONE)]
    long = learner("encoder").fit(seed, task(seed_rows=12, steps="both"), resources).predict_proba(NEW)
    same = learner("encoder", steps=80).fit(seed, task(seed_rows=12), resources).predict_proba(NEW)
    np.testing.assert_array_equal(long, same)
    short = learner("encoder").fit(seed, task(seed_rows=12), resources).predict_proba(NEW)
    assert np.abs(long - short).max() > 1e-3


def test_pieces_are_registered_without_heavy_imports():
    import subprocess
    import sys

    modules = '("torch", "xgboost", "transformers", "setfit", "sentence_transformers")'
    code = f"import sys; from emosynth import pieces; print(sorted(pieces.registered('learner'))); print([m for m in {modules} if m in sys.modules])"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert made.splitlines() == [str(sorted([*NAMES, "few-shot", "setfit", "zero-shot"])), "[]"]


def test_truth_of_soft_labels():
    soft = np.array([[0.4, 0.6, 0.0], [0.6, 0.6, 0.0]])
    assert as_truth(soft, ONE).tolist() == [[False, True, False], [True, False, False]]
    assert as_truth(soft, SEVERAL).tolist() == [[False, True, False], [True, True, False]]
