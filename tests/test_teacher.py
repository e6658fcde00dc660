"""Temperature scaling, teachers and what they may see, soft labels, quality of candidates by τ."""

from __future__ import annotations

import hashlib
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emosynth.corpora import Corpus
from emosynth.distillation import teacher as teaching
from emosynth.distillation.quality import accepted_at, distinct_n, entropy, quality_table
from emosynth.distillation.teacher import build_teachers, calibration_tables, fit_teacher, fold_of_rows, soft_labels
from emosynth.errors import UserError
from emosynth.models.calibration import HIGHEST, LOWEST, fit_temperature, negative_log_likelihood, scaled_softmax
from emosynth.params import FineTuning, Seeding, Teacher
from emosynth.seeding import seed_rows, stratified_order

CLASSES = ["sad", "glad"]
WORDS = {"sad": ["grief", "tears", "loss", "gloom"], "glad": ["cheer", "smile", "treat", "bloom"]}
SEEDING = Seeding(sizes=[8, 16], repeats=2, min_per_class=2)
TFIDF = Teacher(kind="tfidf", folds=4)


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

    def fit(self, texts, labels, classes):
        self.known = {text: classes.index(label) for text, label in zip(texts, labels, strict=True)}
        self.k = len(classes)
        return self

    def predict_proba(self, texts):
        return np.array([np.eye(self.k)[self.known[text]] if text in self.known else np.full(self.k, 1 / self.k) for text in texts])


@pytest.mark.parametrize("kind", ["tfidf", "embedding"])
def test_teacher_is_softmax_of_logits_over_temperature(kind):
    texts, labels = rows()
    teacher, out_of_fold = fit_teacher(texts, labels, CLASSES, Teacher(kind=kind, folds=4), embed=hashed)
    assert (teacher.name, teacher.kind, teacher.n_train, teacher.classes) == ("seed", kind, 24, CLASSES)
    logits = teacher.logits(texts)
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1)  # log-probabilities
    np.testing.assert_allclose(teacher.predict_proba(texts), scaled_softmax(logits, teacher.temperature))
    assert teacher.temperature == fit_temperature(out_of_fold.logits, out_of_fold.targets)
    assert (logits.argmax(axis=1) == out_of_fold.targets).mean() > 0.9
    assert teacher.logits([]).shape == (0, 2)


def test_memorising_teacher_knows_nothing_out_of_fold(monkeypatch):
    monkeypatch.setattr(teaching, "TextClassifier", Memory)
    texts, labels = rows()
    teacher, out_of_fold = fit_teacher(texts, labels, CLASSES, TFIDF)
    assert (teacher.logits(texts).argmax(axis=1) == out_of_fold.targets).all()
    np.testing.assert_allclose(out_of_fold.logits, math.log(0.5))
    assert np.isfinite(teacher.logits(texts)).all()  # certainty is floored


def test_words_that_tell_nothing_give_no_out_of_fold_accuracy():
    rng = np.random.default_rng(3)
    labels = [CLASSES[i] for i in rng.permutation(np.repeat([0, 1], 60))]
    texts = [f"item{number} tag{number}" for number in range(120)]
    teacher, out_of_fold = fit_teacher(texts, labels, CLASSES, TFIDF)
    assert (teacher.logits(texts).argmax(axis=1) == out_of_fold.targets).all()
    assert (out_of_fold.logits.argmax(axis=1) == out_of_fold.targets).mean() < 0.65


def test_every_row_is_held_out_once_by_a_model_of_the_other_rows(monkeypatch):
    fitted: list[list[str]] = []

    class Spy(Memory):
        def fit(self, texts, labels, classes):
            fitted.append(list(texts))
            return super().fit(texts, labels, classes)

    monkeypatch.setattr(teaching, "TextClassifier", Spy)
    texts, labels = rows()
    _, out_of_fold = fit_teacher(texts, labels, CLASSES, TFIDF)
    assert len(fitted) == 5 and fitted[-1] == texts
    for fold, seen in enumerate(fitted[:-1]):
        assert seen == [text for text, held in zip(texts, out_of_fold.fold, strict=True) if held != fold]


@given(st.lists(st.integers(0, 2), min_size=6, max_size=60), st.integers(2, 8), st.integers(0, 5))
def test_folds_are_stratified_and_repeatable(more, folds, seed):
    targets = np.array([0, 0, 1, 1, 2, 2, *more])
    fold = fold_of_rows(targets, ["a", "b", "c"], folds, seed)
    assert fold.max() + 1 == min(folds, np.bincount(targets).min())
    assert (fold == fold_of_rows(targets, ["a", "b", "c"], folds, seed)).all()
    for place in range(3):
        counts = np.bincount(fold[targets == place], minlength=fold.max() + 1)
        assert counts.max() - counts.min() <= 1


def test_fewer_rows_of_a_class_than_folds():
    texts, labels = rows(12)
    keep = [i for i in range(12) if labels[i] == "sad" or i < 4]
    _, out_of_fold = fit_teacher([texts[i] for i in keep], [labels[i] for i in keep], CLASSES, TFIDF)
    assert out_of_fold.fold.max() + 1 == 2
    with pytest.raises(UserError, match="1 training rows of glad"):
        fit_teacher([texts[i] for i in keep if i != 1], [labels[i] for i in keep if i != 1], CLASSES, TFIDF)
    with pytest.raises(UserError, match="0 training rows of grim"):
        fit_teacher(texts, labels, [*CLASSES, "grim"], TFIDF)


def test_finetuned_teacher_is_made_with_its_settings(monkeypatch, tmp_path):
    made = []

    class Fake(Memory):
        def __init__(self, folder, settings, *, seed):
            made.append((folder, settings, seed))

    monkeypatch.setattr(teaching, "FineTunedEncoder", Fake)
    texts, labels = rows()
    setting = FineTuning(epochs=2)
    teacher, _ = fit_teacher(
        texts, labels, CLASSES, Teacher(kind="finetuned", folds=3), encoder_folder=tmp_path, finetuning=setting, seed=5
    )
    assert teacher.kind == "finetuned" and made == [(tmp_path, setting, 5)] * 4


# --- teachers of a corpus -------------------------------------------------------------------------------


def corpus() -> Corpus:
    made = []
    for number in range(120):
        label = CLASSES[number % 2]
        split = "train" if number < 70 else "validation" if number < 90 else "test"
        made.append({"id": f"i{number:03d}", "text": sentence(label, number), "labels": [label], "split": split, "corpus": "toy"})
    return Corpus("toy", pd.DataFrame(made), CLASSES, "single", "note", {c: c for c in CLASSES}, hash="h")


@pytest.fixture
def toy() -> Corpus:
    return corpus()


def teachers_of(toy: Corpus, settings: Teacher = TFIDF) -> teaching.Teachers:
    return build_teachers(toy, stratified_order(toy, SEEDING), SEEDING, settings, "none", None, None, FineTuning())


def test_seed_teacher_sees_its_seed_and_the_oracle_the_training_split(monkeypatch, toy):
    calls: list[list[str]] = []

    class Spy(Memory):
        def fit(self, texts, labels, classes):
            calls.append(list(texts))
            return super().fit(texts, labels, classes)

    monkeypatch.setattr(teaching, "TextClassifier", Spy)
    teachers = teachers_of(toy)
    assert not calls  # nothing is fitted before it is wanted
    assert len(teachers) == 8 and ("oracle", 16, 1) in teachers and ("seed", 9, 0) not in teachers and not calls
    text_of = dict(zip(toy.frame["id"], toy.frame["text"], strict=True))
    seed = {text_of[row] for row in seed_rows(stratified_order(toy, SEEDING), 1, 8)["id"]}
    assert teachers.seed(8, 1) is teachers["seed", 8, 1]
    assert {text for texts in calls for text in texts} == seed
    for key in teachers:
        assert teachers[key].name == key[0]
    oracle = teachers["oracle", 8, 0]
    assert oracle is teachers["oracle", 16, 1] and oracle.n_train == 70
    assert len(calls) == 5 * 5  # four seeds and one oracle, each four folds and the final model
    seen = {text for texts in calls for text in texts}
    assert seen == set(toy.split("train")["text"])
    with pytest.raises(KeyError):
        teachers["seed", 9, 0]


def test_nothing_but_training_rows_is_embedded_before_the_report(monkeypatch, toy):
    asked: set[str] = set()

    def embed(texts):
        asked.update(texts)
        return hashed(texts)

    monkeypatch.setattr(teaching, "embedding_cache", lambda folder, cache: SimpleNamespace(embed=embed))
    catalog, paths = SimpleNamespace(fetch=lambda name: "folder"), SimpleNamespace(cache="cache")
    teachers = build_teachers(toy, stratified_order(toy, SEEDING), SEEDING, Teacher(folds=2), "encoder", catalog, paths, FineTuning())
    out_of_folds = teachers.out_of_folds()
    assert asked == set(toy.split("train")["text"])
    calibration_tables(teachers, out_of_folds, toy)
    assert set(toy.split("test")["text"]) <= asked
    assert asked.isdisjoint(toy.split("validation")["text"])


def test_teachers_do_not_depend_on_the_test_split(toy):
    other = corpus()
    held = other.frame["split"] != "train"
    other.frame.loc[held, "text"] = "grief and cheer"
    for key in (("seed", 8, 0), ("oracle", 8, 0)):
        one, two = teachers_of(toy)[key], teachers_of(other)[key]
        assert one.temperature == two.temperature
        np.testing.assert_array_equal(one.logits(["tears and smile"]), two.logits(["tears and smile"]))


def test_seed_rows_must_be_training_rows(toy):
    order = stratified_order(toy, SEEDING)
    order.loc[0, "id"] = toy.split("test")["id"].iloc[0]
    with pytest.raises(UserError, match="1 rows of the seeds"):
        build_teachers(toy, order, SEEDING, TFIDF, "none", None, None, FineTuning())


def test_out_of_fold_rows_are_the_seed_in_rank_order(toy):
    teachers = teachers_of(toy)
    order = stratified_order(toy, SEEDING)
    for key in (("seed", 16, 1), ("oracle", 16, 1)):
        found = teachers.out_of_fold(key)
        assert [CLASSES[target] for target in found.targets] == seed_rows(order, 1, 16)["label"].tolist()
    assert not np.allclose(teachers.out_of_fold(("seed", 16, 1)).logits, teachers.out_of_fold(("oracle", 16, 1)).logits)


def test_calibration_tables(toy):
    teachers = teachers_of(toy)
    calibration, bins = calibration_tables(teachers, teachers.out_of_folds(), toy)
    assert list(calibration.columns) == (
        [
            "teacher",
            "size",
            "repeat",
            "rows",
            "n",
            "temperature",
            "macro_f1",
            "accuracy",
            "ece_before",
            "ece_after",
            "nll_before",
            "nll_after",
        ]
    )
    assert list(bins.columns) == ["teacher", "size", "repeat", "rows", "scaled", "bin", "confidence", "accuracy", "n"]
    assert len(calibration) == 8 * 2
    assert set(calibration.groupby("rows")["n"].unique()["out-of-fold seed"]) == {8, 16}
    own = calibration[(calibration["rows"] == "out-of-fold seed") & (calibration["teacher"] == "seed")]
    assert (own["nll_after"] <= own["nll_before"] + 1e-12).all()
    assert (own["nll_after"] < own["nll_before"] - 1e-3).any()
    test = calibration[calibration["rows"] == "test"]
    assert (test["n"] == 30).all()
    assert test[test["teacher"] == "oracle"]["nll_after"].nunique() == 1
    sums = bins.groupby(["teacher", "size", "repeat", "rows", "scaled"])["n"].sum().reset_index()
    assert (sums[sums["rows"] == "test"]["n"] == 30).all() and len(sums) == 32
    row = test[(test["teacher"] == "seed") & (test["size"] == 8) & (test["repeat"] == 0)].iloc[0]
    teacher = teachers["seed", 8, 0]
    goal = np.array([CLASSES.index(labels[0]) for labels in toy.split("test")["labels"]])
    nll = -np.log(teacher.predict_proba(toy.split("test")["text"].tolist())[np.arange(30), goal]).mean()
    assert row["nll_after"] == pytest.approx(nll)


def candidates(texts, size=8, repeat=0, arm="tuned", **more) -> pd.DataFrame:
    n = len(texts)
    frame = pd.DataFrame(
        {
            "arm": arm,
            "size": size,
            "repeat": repeat,
            "label": [CLASSES[i % 2] for i in range(n)],
            "index": [i // 2 for i in range(n)],
            "text": texts,
            **more,
        }
    )
    parts = frame[["arm", "size", "repeat", "label", "index"]].astype(str)
    return frame.assign(candidate_id=parts.agg("/".join, axis=1))


def test_soft_labels_are_the_logits_of_each_seeds_own_teacher(monkeypatch, toy):
    teachers = teachers_of(toy)
    scored: list[tuple[str, str]] = []
    plain = teaching.Teacher.logits

    def counted(self, texts):
        scored.extend((f"{self.name}{id(self)}", text) for text in texts)
        return plain(self, texts)

    table = pd.concat([candidates(["grief now", "cheer now", "grief now", ""], 8, 0), candidates(["grief now", "cheer now"], 16, 1)])
    monkeypatch.setattr(teaching.Teacher, "logits", counted)
    found = soft_labels(table, teachers)
    monkeypatch.undo()
    assert len(scored) == len(set(scored)) == 3 + 2 + 3
    assert list(found.columns) == ["candidate_id", "teacher", "logits", "temperature"]
    assert found["teacher"].tolist() == ["seed"] * 6 + ["oracle"] * 6
    assert found["candidate_id"].tolist() == table["candidate_id"].tolist() * 2
    for position, key in ((0, ("seed", 8, 0)), (4, ("seed", 16, 1)), (10, ("oracle", 16, 1))):
        np.testing.assert_allclose(found["logits"][position], teachers[key].logits(["grief now"])[0])
        assert found["temperature"][position] == teachers[key].temperature
    with pytest.raises(UserError, match="9 rows, repeat 0"):
        soft_labels(candidates(["grief now"], size=9), teachers)


def test_no_oracle_unless_wanted(toy):
    teachers = teachers_of(toy, TFIDF.model_copy(update={"oracle": False}))
    assert teachers.names == ("seed",)
    assert set(soft_labels(candidates(["grief now"]), teachers)["teacher"]) == {"seed"}


# --- quality --------------------------------------------------------------------------------------------


def test_distinct_and_entropy_by_hand():
    assert distinct_n([["a", "b", "a"], ["a"]], 1) == 2 / 4
    assert distinct_n([["a", "b", "a"], ["a"], ["a", "b"]], 2) == 2 / 3
    assert math.isnan(distinct_n([["a"]], 2))
    np.testing.assert_allclose(entropy(np.array([[0.5, 0.5], [1.0, 0.0]])), [math.log(2), 0])


def quality_case() -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = candidates(
        ["a b", "c d", "a b", "e f", "g h", "i j"],
        ok_meta=[True, True, True, True, True, False],
        ok_confidence=False,  # judged anew at each tau
        score_confidence=[0.9, 0.6, 0.7, 0.95, np.nan, 0.99],
        score_perplexity=[10.0, 20.0, 30.0, 40.0, np.nan, 1000.0],
    )
    logits = pd.DataFrame(
        {"candidate_id": frame["candidate_id"], "teacher": "seed", "logits": [[2 * math.log(3), 0.0]] * 6, "temperature": 1.0}
    )
    return frame, pd.concat([logits, logits.assign(teacher="oracle", logits=[[0.0, 0.0]] * 6)])


def test_quality_by_hand():
    frame, logits = quality_case()
    table = quality_table(frame, logits, [0.0, 0.7, 0.95, 0.999], temperature=2.0).set_index("tau")
    assert table["candidates"].tolist() == [6] * 4
    assert table["accepted"].tolist() == [5, 3, 1, 0]
    assert table["acceptance"].tolist() == pytest.approx([5 / 6, 3 / 6, 1 / 6, 0])
    assert table["n_texts"].tolist() == [1, 1, 1, 0]
    uncertainty = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert table["soft_label_entropy"].tolist() == pytest.approx([uncertainty] * 3 + [math.nan], nan_ok=True)
    assert table["perplexity"].tolist() == pytest.approx([25.0, 30.0, 40.0, math.nan], nan_ok=True)


def test_diversity_is_compared_on_equal_numbers_of_texts():
    frame, logits = quality_case()
    table = quality_table(frame, logits, [0.0, 0.7], temperature=1.0).set_index("tau")
    assert table["n_texts"].tolist() == [3, 3]
    # index first, classes in turn: glad 0, sad 0, glad 1 at tau 0; the two equal texts and "e f" at tau 0.7
    assert table.loc[0.0, "distinct_1"] == 1.0
    assert table.loc[0.7, "distinct_1"] == pytest.approx(4 / 6)
    assert table.loc[0.7, "distinct_2"] == pytest.approx(2 / 3)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_stricter_never_accepts_more(rows_of, one, two):
    frame = candidates(["x"] * len(rows_of), ok_meta=[ok for ok, _ in rows_of], score_confidence=[c for _, c in rows_of])
    low, high = sorted((one, two))
    assert not (accepted_at(frame, high) & ~accepted_at(frame, low)).any()


def test_quality_refuses():
    frame, logits = quality_case()
    with pytest.raises(UserError, match="no score_confidence"):
        quality_table(frame.drop(columns="score_confidence"), logits, [0.5], 1.0)
    with pytest.raises(UserError, match="1 candidates have no logits"):
        quality_table(frame, logits.iloc[1:], [0.5], 1.0)
    without = quality_table(frame.drop(columns=["score_confidence", "score_perplexity"]), logits, [0.0], 1.0)
    assert math.isnan(without["perplexity"].iloc[0])
