"""Temperature scaling, and teachers: what they may see, and how they are calibrated."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emosynth.corpora import Corpus
from emosynth.design.cells import Cell
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.models.calibration import HIGHEST, LOWEST, fit_temperature, negative_log_likelihood, scaled_softmax
from emosynth.models.linear import TextClassifier
from emosynth.params import Params, Teacher
from emosynth.seeding import load_seed, stratified_order
from emosynth.verification import kept
from emosynth.verification.kept import KeptEncoder
from emosynth.verification.teaching import Teachers, fit_teacher, fold_of_rows, oracle_of

CLASSES = ["sad", "glad"]
SPACE = Space("toy", tuple(CLASSES), True, {}, {})
SEVERAL = Space("toy", tuple(CLASSES), False, {}, {})
WORDS = {"sad": ["grief", "tears", "loss", "gloom"], "glad": ["cheer", "smile", "treat", "bloom"]}
TFIDF = Teacher(kind="tfidf", folds=4)
PARAMS = Params.model_validate(
    {
        "corpora": {"target": "toy"},
        "cells": {"sizes": [8, 16], "repeats": 2},
        "checks": {},
        "arms": {"naive": {}},
        "learners": {"tfidf": {}},
    }
)


# --- temperature ----------------------------------------------------------------------------------------

logits_and_targets = st.integers(2, 5).flatmap(
    lambda k: st.integers(2, 30).flatmap(
        lambda n: st.tuples(
            hnp.arrays(np.float64, (n, k), elements=st.floats(-60, 60)),
            hnp.arrays(np.int64, n, elements=st.integers(0, k - 1)),
        )
    )
)


@given(logits_and_targets)
def test_scaling_never_raises_the_likelihood_it_is_fitted_on(case):
    logits, targets = case
    temperature = fit_temperature(logits, targets)
    assert LOWEST <= temperature <= HIGHEST
    assert negative_log_likelihood(logits, targets, temperature) <= negative_log_likelihood(logits, targets)


@given(logits_and_targets, st.floats(LOWEST, HIGHEST))
def test_scaling_leaves_the_prediction_and_its_rank_alone(case, temperature):
    logits, _ = case
    scaled = scaled_softmax(logits, temperature)
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    rows = np.arange(len(logits))
    assert (scaled[rows, logits.argmax(axis=1)] == scaled.max(axis=1)).all()


@pytest.mark.parametrize("true", [0.25, 1.0, 3.0])
def test_known_temperature_is_recovered(true):
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(20_000, 3)) * 2
    targets = (scaled_softmax(honest, 1.0).cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(honest * true, targets) == pytest.approx(true, rel=0.05)


def test_scaled_softmax_by_hand():
    np.testing.assert_allclose(scaled_softmax([[2 * math.log(3), 0.0]], 2.0), [[0.75, 0.25]])
    with pytest.raises(ValueError, match="positive"):
        scaled_softmax([[0.0, 1.0]], 0.0)


def test_temperature_stays_bounded_when_rows_are_all_right_or_all_wrong():
    logits = np.array([[0.5, 0.0], [0.0, 0.5]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(LOWEST)
    assert fit_temperature(logits, np.array([1, 0])) == pytest.approx(HIGHEST)
    assert fit_temperature(logits * 10_000, np.array([0, 1])) == 1.0  # nothing left to gain
    assert fit_temperature(logits * 0, np.array([0, 1])) == 1.0


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        ([[0.0, 1.0]], [1], "1 rows"),
        ([[0.0, 1.0]] * 2, [1], "shape"),
        ([[0.0, -np.inf]] * 2, [0, 0], "finite"),
        ([[0.0, 1.0]] * 2, [0, 2], "below 2"),
    ],
)
def test_temperature_refuses(logits, targets, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, targets)


# --- one teacher ----------------------------------------------------------------------------------------


def sentence(label: str, number: int) -> str:
    rng = np.random.default_rng(number)
    return f"case {number} brings {' and '.join(rng.choice(WORDS[label], 2))} to street {rng.integers(10_000)}"


def rows(n: int = 24) -> tuple[list[str], list[str]]:
    labels = [CLASSES[number % 2] for number in range(n)]
    return [sentence(label, number) for number, label in enumerate(labels)], labels


def hashed(texts) -> np.ndarray:
    """Stand in for an encoder: one pseudo-random vector a word, summed."""

    def vector(word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        return np.random.default_rng(seed).normal(size=24)

    made = np.array([np.sum([vector(word) for word in text.split()] or [np.ones(24)], axis=0) for text in texts]).reshape(-1, 24)
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


class Memory:
    """Knows the rows it was fitted on by heart, and nothing else."""

    asked: list[list[str]]

    def __init__(self, texts, targets):
        self.known, self.k, self.asked = dict(zip(texts, targets, strict=True)), targets.shape[1], []

    def predict_proba(self, texts):
        self.asked.append(list(texts))
        return np.array([self.known.get(text, np.full(self.k, 1 / self.k)) for text in texts])


class Fits:
    """Fits models of one kind, and keeps what they were fitted on."""

    def __init__(self, make=Memory):
        self.make, self.seen = make, []

    def __call__(self, texts, targets, space, seed):
        self.seen.append((texts, targets, seed))
        return self.make(texts, targets)


def linear(texts, targets, space, seed):
    return TextClassifier(single=space.single).fit(texts, targets, space.labels)


def embedding(texts, targets, space, seed):
    return TextClassifier(single=space.single, embed=hashed).fit(texts, targets, space.labels)


def fitted(fit=linear, n=24, space=SPACE, settings=TFIDF, seed=0):
    texts, labels = rows(n)
    return texts, *fit_teacher(texts, space.multi_hot([[label] for label in labels]), labels, space, settings, fit, seed)


@pytest.mark.parametrize("fit", [linear, embedding])
def test_probabilities_are_softmax_of_logits_over_temperature(fit):
    texts, teacher, own = fitted(fit)
    assert (teacher.kind, teacher.n_train, teacher.space) == ("tfidf", 24, SPACE)
    logits = np.log(teacher.uncalibrated(texts))
    np.testing.assert_allclose(teacher.predict_proba(texts), scaled_softmax(logits, teacher.temperature))
    assert teacher.temperature == fit_temperature(np.log(own.probabilities), own.targets.argmax(axis=1)) != 1.0
    assert (logits.argmax(axis=1) == own.targets.argmax(axis=1)).mean() > 0.9
    assert teacher.predict_proba([]).shape == (0, 2)


def test_a_memorising_teacher_knows_nothing_out_of_fold():
    texts, teacher, own = fitted(Fits())
    assert (teacher.uncalibrated(texts) == own.targets).all()
    np.testing.assert_allclose(own.probabilities, 0.5)
    assert np.isfinite(np.log(teacher.predict_proba(texts))).all(), "certainty is floored"


def test_a_text_is_read_once():
    fits = Fits()
    texts, labels = rows()
    teacher, _ = fit_teacher(texts, SPACE.multi_hot([[label] for label in labels]), labels, SPACE, TFIDF, fits)
    first = teacher.predict_proba(["a", texts[0], "a"])
    assert first[0].tolist() == first[2].tolist() and (teacher.predict_proba([texts[0], "b"])[0] == first[1]).all()
    assert teacher.model.asked == [["a", texts[0]], ["b"]]


def test_every_row_is_held_out_once_by_a_model_of_the_other_rows():
    fits = Fits()
    texts, _, own = fitted(fits, seed=3)
    assert len(fits.seen) == 5 and fits.seen[-1][0] == texts and {seed for *_, seed in fits.seen} == {3}
    for fold, (seen, *_) in enumerate(fits.seen[:-1]):
        assert seen == [text for text, held in zip(texts, own.fold, strict=True) if held != fold]


@given(st.lists(st.integers(0, 2), min_size=6, max_size=60), st.integers(2, 8), st.integers(0, 5))
def test_folds_are_stratified_and_repeatable(more, folds, seed):
    strata = ["abc"[number] for number in [0, 0, 1, 1, 2, 2, *more]]
    fold = fold_of_rows(strata, ["a", "b", "c"], folds, seed)
    assert fold.max() + 1 == min(folds, min(strata.count(label) for label in "abc"))
    assert (fold == fold_of_rows(strata, ["a", "b", "c"], folds, seed)).all()
    for label in "abc":
        counts = np.bincount(fold[np.array(strata) == label], minlength=fold.max() + 1)
        assert counts.max() - counts.min() <= 1


def test_fewer_rows_of_a_class_than_folds():
    assert fold_of_rows([*"aaaaaa", *"bb"], ["a", "b"], 4).max() + 1 == 2
    with pytest.raises(UserError, match="1 training rows of b") as caught:
        fold_of_rows([*"aaaaaa", "b"], ["a", "b"], 4)
    assert caught.value.where == "cells.min_per_class"
    with pytest.raises(UserError, match="0 training rows of c"):
        fold_of_rows([*"aabb"], ["a", "b", "c"], 4)
    assert set(fold_of_rows([*"aaaaaa", "b"], ["a", "b", "c"], 4, strict=False)) == {0, 1}, "labels that are not calibrated may be rare"


def test_labels_of_several_are_left_as_they_are():
    texts, teacher, own = fitted(space=SEVERAL)
    assert teacher.temperature == 1.0
    assert (teacher.predict_proba(texts) == teacher.uncalibrated(texts)).all()
    assert own.fold.max() == 3


# --- teachers of a corpus -------------------------------------------------------------------------------


def corpus(task: str = "single") -> Corpus:
    made = []
    for number in range(120):
        label = CLASSES[number % 2]
        split = "train" if number < 70 else "validation" if number < 90 else "test"
        made.append({"id": f"i{number:03d}", "text": sentence(label, number), "labels": [label], "split": split, "corpus": "toy"})
    return Corpus("toy", pd.DataFrame(made), CLASSES, task, "note", {c: c for c in CLASSES}, hash="h")


def teachers_of(toy: Corpus, fit=linear) -> Teachers:
    order = stratified_order(toy, PARAMS.cells)
    space = SPACE if toy.task == "single" else SEVERAL
    return Teachers(TFIDF, {"toy": toy}, {"toy": space}, order, lambda cell: load_seed(toy, order, cell), fit)


CELL = Cell("toy", 1, 16)


def test_a_teacher_sees_its_seed_and_the_oracle_the_training_split():
    fits, toy = Fits(), corpus()
    teachers = teachers_of(toy, fits)
    assert not fits.seen, "nothing is fitted before it is wanted"
    teachers.of(CELL)
    assert {text for texts, *_ in fits.seen for text in texts} == set(teachers.seed(CELL).texts)
    assert {seed for *_, seed in fits.seen} == {1}, "the repeat"
    count = len(fits.seen)
    assert teachers.of(CELL) is teachers.of(CELL) and len(fits.seen) == count
    oracle = teachers.of(oracle_of("toy"))
    assert oracle.n_train == 70 and {text for texts, *_ in fits.seen for text in texts} == set(toy.split("train")["text"])


def test_out_of_fold_rows_are_the_seed_in_rank_order():
    teachers = teachers_of(corpus())
    teachers.of(CELL)
    own = teachers.fitted[CELL][1]
    assert [[CLASSES[place]] for place in own.targets.argmax(axis=1)] == teachers.seed(CELL).labels


def test_teachers_do_not_depend_on_held_out_rows():
    toy, other = corpus(), corpus()
    other.frame.loc[other.frame["split"] != "train", "text"] = "grief and cheer"
    for cell in (CELL, oracle_of("toy")):
        one, two = teachers_of(toy).of(cell), teachers_of(other).of(cell)
        assert one.temperature == two.temperature
        np.testing.assert_array_equal(one.predict_proba(["tears and smile"]), two.predict_proba(["tears and smile"]))


@pytest.mark.parametrize("task", ["single", "multi"])
def test_tables(task):
    toy = corpus(task)
    teachers = teachers_of(toy)
    cells = [CELL, Cell("toy", 0, 8), oracle_of("toy")]
    for cell in cells:
        teachers.of(cell)
    read = []
    table, bins = teachers.tables(lambda name: read.append(name) or toy.split("test"))
    assert read == ["toy"], "once"
    assert list(table.columns) == ["corpus", "size", "repeat", "kind", "temperature", "n_train", "nll_before", "nll_after", "macro_f1"]
    assert list(bins.columns) == ["corpus", "size", "repeat", "rows", "scaled", "bin", "confidence", "accuracy", "count"]
    assert table[["size", "repeat", "n_train"]].values.tolist() == [[16, 1, 16], [8, 0, 8], [-1, -1, 70]]
    assert (table["nll_after"] <= table["nll_before"] + 1e-12).all()
    assert (table["nll_after"] < table["nll_before"] - 1e-3).any() == (task == "single")
    sums = bins.groupby(["size", "repeat", "rows", "scaled"])["count"].sum()
    factor = 1 if task == "single" else 2
    assert len(sums) == 12 and (sums.xs("test", level="rows") == 30 * factor).all()
    assert sums.xs("out-of-fold", level="rows").loc[(16, 1)].tolist() == [16 * factor] * 2
    teacher, own = teachers.fitted[CELL]
    after = scaled_softmax(np.log(own.probabilities), teacher.temperature) if task == "single" else own.probabilities
    truth = own.targets
    nll = -np.log(after[truth > 0]).mean() if task == "single" else -np.log(np.where(truth > 0, after, 1 - after)).mean()
    assert table["nll_after"].iloc[0] == pytest.approx(nll)


# --- an encoder that is kept ----------------------------------------------------------------------------


class FakeEncoder:
    trained: ClassVar[list[int]] = []

    def __init__(self, folder, settings, labels, *, single, seed):
        self.k, self.seed = len(labels), seed

    def fit(self, texts, targets, progress=None):
        FakeEncoder.trained.append(len(texts))
        return self

    def predict_proba(self, texts):
        return np.array([[len(text) % 7 / 7, 1 - len(text) % 7 / 7] for text in texts]).reshape(len(texts), self.k)


def test_what_an_encoder_reads_is_kept(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(kept, "FineTunedEncoder", FakeEncoder)
    monkeypatch.setattr(FakeEncoder, "trained", [])
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    targets = np.eye(2)

    def model(texts=("a", "b"), seed=0, targets=targets, space=SPACE):
        return KeptEncoder(folder, tmp_path, list(texts), targets, space, seed)

    first = model().predict_proba(["one", "three", "one"])
    assert first.shape == (3, 2) and first[0].tolist() == first[2].tolist() and FakeEncoder.trained == [2]
    again = model()
    assert (again.predict_proba(["three"]) == first[1]).all() and FakeEncoder.trained == [2], "nothing is trained anew"
    again.predict_proba(["three", "four"])
    again.predict_proba(["five!"])
    assert FakeEncoder.trained == [2, 2], "once, when a text is met that is not kept"
    others = [model(seed=1), model(texts=("a", "c")), model(targets=targets[::-1]), model(space=SEVERAL)]
    assert len({item.identity for item in [again, *others]}) == 5
    (folder / "config.json").write_text("[]")
    assert model().identity != again.identity
    assert model().predict_proba([]).shape == (0, 2)
