"""Training sets, the gate against leaks, learners, scores, and the cache of scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.learning import Grower, arm_variants, score
from emosynth.learning.arms import wanted_by
from emosynth.learning.fit import HeldOut, LinearLearner
from emosynth.learning.run import Task, held_out_of, run_tasks, tables_of
from emosynth.learning.scores import reliability
from emosynth.params import Generation, GenerationArm, Generator, Learner, Seeding, Training
from emosynth.seeding import stratified_order
from emosynth.store import RowStore

CLASSES = ["sad", "glad"]
WORDS = {"sad": ["grief", "tears", "loss", "gloom"], "glad": ["cheer", "smile", "treat", "bloom"]}
SEEDING = Seeding(sizes=[8, 16], repeats=2, min_per_class=2)
GENERATION = Generation(generator=Generator(), arms={"naive": GenerationArm(guidance="none")}, growth=1.0)
TRAINING = Training(learners={"tfidf": Learner()}, c_grid=[1.0, 10.0])


def sentence(label: str, number: int) -> str:
    rng = np.random.default_rng(number)
    return f"case {number} brings {' and '.join(rng.choice(WORDS[label], 2))} to street {rng.integers(10_000)}"


def corpus(leak: bool = False) -> Corpus:
    rows = []
    for number in range(120):
        label = CLASSES[number % 2]
        split = "train" if number < 70 else "validation" if number < 90 else "test"
        rows.append({"id": f"i{number:03d}", "text": sentence(label, number), "labels": [label], "split": split, "corpus": "toy"})
    if leak:
        rows[100]["text"] = rows[3]["text"].upper()
    return Corpus("toy", pd.DataFrame(rows), CLASSES, "single", "note", {c: c for c in CLASSES}, hash="h")


def candidates(order: pd.DataFrame, extra: list[dict] | None = None) -> pd.DataFrame:
    rows = []
    for size in SEEDING.sizes:
        for repeat in range(SEEDING.repeats):
            for position, label in enumerate(CLASSES * size):
                text = "" if position < 2 else sentence(label, 1000 + position + 97 * repeat)
                rows.append({"arm": "naive", "size": size, "repeat": repeat, "label": label, "index": position // 2, "text": text,
                             "ok_nonempty": bool(text), "accepted": bool(text) and position % 3 != 0})  # fmt: skip
    return pd.DataFrame([*rows, *(extra or [])])


def grower(leak: bool = False, extra: list[dict] | None = None) -> Grower:
    toy = corpus(leak)
    order = stratified_order(toy, SEEDING)
    return Grower(toy, order, candidates(order, extra), seeding=SEEDING, generation=GENERATION, training=TRAINING, near_duplicate=0.8)


def test_variants_in_order():
    assert [name for name, _ in arm_variants(GENERATION, TRAINING)] == ["seed", "real+1x", "real+2x", "real-balanced+1x", "naive", "naive"]


def test_real_arms_add_pool_rows_only():
    made = grower()
    seed = made.build("seed", False, 8, 0)
    for arm, rows in (("real+1x", 16), ("real+2x", 24), ("real-balanced+1x", 16)):
        grown = made.build(arm, False, 8, 0)
        assert grown.texts[:8] == seed.texts and len(set(grown.texts)) == len(grown.texts) == rows == grown.n_real
    balanced = made.build("real-balanced+1x", False, 8, 0)
    assert balanced.labels[8:].count("sad") == 4


def test_generated_arms_are_matched_in_number():
    made = grower()
    plain, verified = (made.build("naive", flag, 8, 0) for flag in (False, True))
    assert plain.n_synthetic == verified.n_synthetic == 8
    assert "" not in plain.texts, "an empty text is no training row"
    assert plain.labels[8:].count("sad") == 4


def test_shortage_is_said():
    made = grower()
    made.candidates.loc[made.candidates["label"] == "sad", "accepted"] = False
    grown = made.build("naive", True, 8, 0)
    assert (grown.n_wanted, grown.n_synthetic) == (8, 4)


def test_leaked_test_row_stops_the_run():
    with pytest.raises(UserError, match="repeat test rows"):
        grower(leak=True)


def test_generated_test_row_is_left_out_and_counted():
    test_text = corpus().split("test")["text"].iloc[0]
    extra = [
        {"arm": "naive", "size": 8, "repeat": 0, "label": "sad", "index": -1, "text": test_text, "ok_nonempty": True, "accepted": True}
    ]
    grown = grower(extra=extra).build("naive", True, 8, 0)
    assert test_text not in grown.texts and grown.n_dropped == 1


def test_arm_that_does_not_run_on_a_size_is_left_out():
    assert grower().build("shap", True, 8, 0) is None


@pytest.mark.parametrize(
    ("arms", "arm", "verified", "runs"),
    [
        (None, "naive", False, True),
        (["naive"], "naive", True, True),
        (["naive"], "naive", False, False),
        (["naive:unverified"], "naive", False, True),
    ],
)
def test_learner_restrictions(arms, arm, verified, runs):
    assert wanted_by(arms, arm, verified, True) is runs


def test_scores_by_hand():
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    found = score(probabilities, np.array([0, 1, 1, 0]))
    assert found.accuracy == 0.75
    assert found.per_class["f1"] == pytest.approx([0.8, 2 / 3])
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.brier == pytest.approx(np.mean([0.08, 0.72, 0.18, 0.02]))
    assert found.nll == pytest.approx(-np.mean(np.log([0.8, 0.4, 0.7, 0.9])))


def test_certain_and_wrong_is_uncalibrated():
    sure = np.array([[1.0, 0.0]] * 10)
    assert score(sure, np.ones(10, dtype=int)).ece == pytest.approx(1.0)
    assert score(sure, np.zeros(10, dtype=int)).ece == pytest.approx(0.0)
    assert np.isfinite(score(sure, np.ones(10, dtype=int)).nll)


@given(st.integers(1, 60), st.integers(0, 10_000))
def test_reliability_counts_every_row_once(n, seed):
    rng = np.random.default_rng(seed)
    table = reliability(rng.dirichlet([1, 1, 1], n), rng.integers(0, 3, n))
    assert table[:, 2].sum() == n and (np.diff(table[:, 0]) >= -1e-12).all()


def test_synthetic_weight_is_chosen_on_validation():
    """Generated rows with swapped labels must be given the smaller weight."""
    made = grower()
    rows = made.build("naive", True, 16, 0)
    held_out = held_out_of(made.corpus)
    wrong = [label if not flag else CLASSES[1 - CLASSES.index(label)] for label, flag in zip(rows.labels, rows.synthetic, strict=True)]
    training = TRAINING.model_copy(update={"synthetic_weight": [1.0, 0.01]})
    spoiled = type(rows)(rows.arm, True, 16, 0, rows.texts, wrong, rows.synthetic, rows.n_wanted)
    assert LinearLearner(training).run(spoiled, held_out).weight == 0.01
    assert isinstance(held_out, HeldOut)


def test_cache_returns_the_same_and_trains_nothing_twice(tmp_path):
    made = grower()
    calls = []

    class Counting(LinearLearner):
        def run(self, rows, held_out):
            calls.append(rows.arm)
            return super().run(rows, held_out)

    tasks = [Task(Counting(TRAINING), made.build(arm, verified, 8, 0)) for arm, verified in arm_variants(GENERATION, TRAINING)]
    held_out = held_out_of(made.corpus)
    with RowStore(tmp_path / "s.jsonl") as store:
        first = run_tasks(tasks, held_out, store)
    with RowStore(tmp_path / "s.jsonl") as store:
        second = run_tasks(tasks, held_out, store)
    assert first == second and len(calls) == len(tasks)
    tables = tables_of(tasks, second, made.corpus)
    assert len(tables["scores"]) == len(tasks) and len(tables["per_class"]) == 2 * len(tasks)
    assert tables["scores"]["macro_f1"].between(0, 1).all()


def test_more_real_rows_help_on_this_corpus():
    made = grower()
    held_out = held_out_of(made.corpus)
    f1 = {arm: LinearLearner(TRAINING).run(made.build(arm, False, 8, 0), held_out).scores.macro_f1 for arm in ("seed", "real+2x")}
    assert f1["real+2x"] >= f1["seed"]
