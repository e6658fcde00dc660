"""Features, classical classifiers, embeddings and scores; invented texts and scores worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    label_ranking_average_precision_score,
    log_loss,
    precision_recall_fscore_support,
)

from emosynth.design.rows import class_balance
from emosynth.errors import UserError
from emosynth.models import metrics
from emosynth.models.checked import checked_weights
from emosynth.models.embeddings import EmbeddingCache, Encoder
from emosynth.models.features import Rotated
from emosynth.models.linear import OneVsRest, SoftmaxRegression, TextClassifier, TfidfFeatures
from emosynth.models.metrics import best_threshold, decide, macro_f1, per_class, reliability, row_lrap, scores
from emosynth.models.trees import BoostedTrees
from emosynth.store import RowStore
from encoder_files import make_tiny_encoder

CLASSES = ["calm", "cross", "merry"]
TEXTS = [
    "a quiet lake at dawn",
    "slow breath and soft rain",
    "a quiet walk in soft light",
    "the lake is still",
    "the kettle broke again",
    "such a rude clerk",
    "the bus is late again",
    "who broke my rude mug",
    "warm cake and a song",
    "we dance to the song",
    "a silly dance with cake",
    "what a bright day",
]
LABELS = np.repeat(np.eye(3), 4, axis=0)
SEVERAL = np.maximum(LABELS, np.eye(12, 3, -6) + np.eye(12, 3, 1))
"""Rows 1, 2, 7 and 8 have two labels."""
NEW = ["a quiet song", "the rude kettle", "cake", "entirely unknown"]


def embed(texts):
    """Stand-in for an encoder: letters counted, length 1."""
    raw = np.array([[text.count(letter) for letter in "abcdefghiklmnorstuwy"] for text in texts], dtype=np.float32) + 0.01
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


class Trees:
    """Boosted trees behind the interface of `TextClassifier`."""

    def __init__(self, single=True):
        self.features, self.model = TfidfFeatures((1, 1)), BoostedTrees(single=single, rounds=10)

    def fit(self, texts, targets, classes, weights=None):
        mass = np.ones(len(texts)) if weights is None else np.asarray(weights, dtype=float)
        kept = np.flatnonzero(mass > 0)
        goal, mass = targets[kept], mass[kept]
        self.model.fit(self.features.fit_transform([texts[row] for row in kept]), goal, mass * class_balance(goal, mass))
        return self

    def margins(self, texts):
        return self.model.margins(self.features.transform(texts))

    def predict_proba(self, texts):
        return self.model.predict_proba(self.features.transform(texts))


MAKERS = {
    "tfidf": TextClassifier,
    "embedding": lambda **options: TextClassifier(embed=embed, **options),
    "tree": lambda **options: Trees(**options),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


# --- classifiers --------------------------------------------------------------------------------------


def test_probabilities_have_a_column_for_each_class(make):
    p = make().fit(TEXTS, LABELS, CLASSES).predict_proba(NEW)
    assert p.shape == (4, 3) and (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    p = make(single=False).fit(TEXTS, SEVERAL, CLASSES).predict_proba(NEW)
    assert p.shape == (4, 3) and ((p > 0) & (p < 1)).all() and np.abs(p.sum(axis=1) - 1).max() > 1e-3


@pytest.mark.parametrize("absent", [0, 1])
def test_absent_class_gets_probability_0(make, absent):
    rows = np.flatnonzero(LABELS[:, absent] == 0)
    model = make().fit([TEXTS[i] for i in rows], LABELS[rows], CLASSES)
    p = model.predict_proba(NEW)
    assert not p[:, absent].any() and (model.margins(NEW)[:, absent] == -np.inf).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    fitted = model.predict_proba([TEXTS[i] for i in rows]).argmax(axis=1)
    assert np.mean(fitted == LABELS[rows].argmax(axis=1)) > 0.6, "columns are not swapped"


def test_single_class_is_certain(make):
    p = make().fit(TEXTS[:4], LABELS[:4], CLASSES).predict_proba(NEW)
    np.testing.assert_array_equal(p, np.tile([1.0, 0.0, 0.0], (4, 1)))
    p = make(single=False).fit(TEXTS[:4], LABELS[:4], CLASSES).predict_proba(NEW)
    np.testing.assert_array_equal(p, np.tile([1.0, 0.0, 0.0], (4, 1)))


def test_weight_0_is_no_row(make):
    noise = ["a quiet dance of zebras", "cake cake cake"]
    plain = make().fit(TEXTS, LABELS, CLASSES)
    weighted = make().fit([noise[0], *TEXTS, noise[1]], np.vstack([LABELS[4], LABELS, LABELS[0]]), CLASSES, weights=[0, *[1] * 12, 0])
    np.testing.assert_array_equal(weighted.predict_proba(NEW), plain.predict_proba(NEW))
    if hasattr(plain.features, "terms"):
        assert weighted.features.terms() == plain.features.terms(), "nor does it reach the vocabulary"


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(12)))
def test_order_of_rows_does_not_matter(order):
    for name in ("tfidf", "embedding"):
        plain = MAKERS[name]().fit(TEXTS, LABELS, CLASSES).predict_proba(NEW)
        moved = MAKERS[name]().fit([TEXTS[i] for i in order], LABELS[order], CLASSES).predict_proba(NEW)
        np.testing.assert_allclose(moved, plain, atol=1e-4)


def test_classes_are_balanced_by_the_classifier(make):
    model = make().fit(TEXTS[:4] * 5 + TEXTS[4:], np.vstack([*[LABELS[:4]] * 5, LABELS[4:]]), CLASSES)  # 20 rows against 4 and 4
    assert np.abs(model.predict_proba(TEXTS).mean(axis=0) - 1 / 3).max() < 0.15


def test_equal_fits_are_equal(make):
    for single, labels in ((True, LABELS), (False, SEVERAL)):
        once, again = (make(single=single).fit(TEXTS, labels, CLASSES).predict_proba(NEW) for _ in range(2))
        np.testing.assert_array_equal(once, again)


def test_margins_are_log_odds(make):
    odds = np.exp(make().fit(TEXTS, LABELS, CLASSES).margins(NEW))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), make().fit(TEXTS, LABELS, CLASSES).predict_proba(NEW), atol=1e-6)
    model = make(single=False).fit(TEXTS, SEVERAL, CLASSES)
    np.testing.assert_allclose(1 / (1 + np.exp(-model.margins(NEW))), model.predict_proba(NEW), atol=1e-9)


def test_targets_are_checked():
    with pytest.raises(UserError, match=r"sum to 2.*single-label"):
        TextClassifier().fit(TEXTS, np.maximum(LABELS, [1, 0, 0]), CLASSES)
    with pytest.raises(UserError, match="2 labels and 3 columns"):
        TextClassifier().fit(TEXTS, LABELS, CLASSES[:2])
    with pytest.raises(UserError, match="12 texts and 11 rows"):
        TextClassifier(single=False).fit(TEXTS, LABELS[1:], CLASSES)
    with pytest.raises(UserError, match="row 1, column 2"):
        OneVsRest().fit(np.ones((2, 1)), [[0, 1, 0], [0, 0, 1.5]])


def test_no_rows_and_no_words_are_errors():
    with pytest.raises(UserError, match="weight above 0"):
        SoftmaxRegression().fit(np.ones((2, 1)), np.eye(2), [0, 0])
    with pytest.raises(UserError, match="No word"):
        TfidfFeatures(min_document_frequency=5).fit(["one", "two"])
    with pytest.raises(UserError, match="No word"):
        TfidfFeatures().fit(["", " "])


@pytest.mark.parametrize("weights", [[1.0], [1, -1], [1, float("nan")], [0, 0]])
def test_weights_are_checked(weights):
    with pytest.raises(UserError, match="weight"):
        checked_weights(weights, 2)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.01, 10)), min_size=1, max_size=30))
def test_balance_gives_classes_equal_mass(rows):
    targets, weights = np.eye(4)[[t for t, _ in rows]], np.array([w for _, w in rows])
    scaled = weights * class_balance(targets, weights)
    assert scaled.sum() == pytest.approx(weights.sum())
    masses = (scaled @ targets)[targets.any(axis=0)]
    assert masses == pytest.approx([masses[0]] * len(masses))


def test_bigrams_are_features_of_scoring_only():
    assert "quiet lake" in TfidfFeatures().fit(TEXTS).terms()
    assert all(" " not in term for term in TfidfFeatures((1, 1)).fit(TEXTS).terms())
    features = TfidfFeatures()
    assert np.abs(features.fit_transform(TEXTS) - features.transform(TEXTS)).max() == 0


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
@pytest.mark.parametrize("sparse", [False, True])
def test_turned_axes_give_the_same_model(shape, sparse):
    rng = np.random.default_rng(1)
    x = rng.normal(size=shape) * (rng.random(shape) < 0.4)
    x[3] = x[2]  # rows that say nothing new are no trouble
    targets = np.eye(3)[np.arange(shape[0]) % 3]
    turned = Rotated(sp.csr_matrix(x) if sparse else x)
    assert turned.rows.shape[1] <= min(shape)
    np.testing.assert_allclose(turned.rows @ turned.rows.T, x @ x.T, atol=1e-9)
    for made, other in (
        (SoftmaxRegression(2.0).fit(turned.rows, targets), SoftmaxRegression(2.0).fit(x, targets)),
        (OneVsRest(2.0).fit(turned.rows, targets), OneVsRest(2.0).fit(x, targets)),
    ):
        np.testing.assert_allclose(turned.back(made.coef), other.coef, atol=1e-4)
    few = np.arange(0, shape[0], 2)  # a fold in the axes of all rows
    made, other = SoftmaxRegression(2.0).fit(turned.rows[few], targets[few]), SoftmaxRegression(2.0).fit(x[few], targets[few])
    np.testing.assert_allclose(made.predict_proba(turned.rows), other.predict_proba(x), atol=1e-4)


def test_many_rows_and_columns_are_not_turned(monkeypatch):
    monkeypatch.setattr(Rotated, "LIMIT", 10)
    x = np.random.default_rng(0).normal(size=(12, 11))
    turned = Rotated(x)
    assert turned.rows is x and turned.back(x) is x


# --- trees ----------------------------------------------------------------------------------------------


def test_soft_targets_of_trees_are_weighted_copies():
    x = TfidfFeatures((1, 1)).fit_transform(TEXTS)
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 12).round(2)
    soft[:, 2] = 1 - soft[:, :2].sum(axis=1)
    made = BoostedTrees(rounds=5).fit(x, soft)
    rows, columns = np.nonzero(soft)
    copied = BoostedTrees(rounds=5).fit(x[rows], np.eye(3)[columns], soft[rows, columns])
    np.testing.assert_allclose(made.predict_proba(x), copied.predict_proba(x), atol=1e-6)
    several = np.column_stack([soft[:, 0], np.zeros(12), np.ones(12)])
    p = BoostedTrees(single=False, rounds=5).fit(x, several).predict_proba(x)
    assert (p[:, 1] == 0).all() and (p[:, 2] == 1).all() and p[:, 0].std() > 0


def test_shap_values_of_trees_sum_to_the_margins():
    features = TfidfFeatures((1, 1))
    x = features.fit_transform(TEXTS[:8] * 3)
    for single, targets in ((True, LABELS[:8]), (False, SEVERAL[:8])):
        model = BoostedTrees(single=single, rounds=10).fit(x, np.vstack([targets] * 3))
        made, margins = model.contributions(x), model.margins(x)
        assert made.shape == (24, 3, len(features.terms()) + 1)
        known = np.isfinite(margins[0])
        np.testing.assert_allclose(made.sum(axis=2)[:, known], margins[:, known], atol=1e-5)
        assert np.abs(made[:, known, :-1]).max() > 0.01 and not made[:, ~known].any()


# --- embeddings ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def folder() -> Path:
    from emosynth.catalog import Catalog
    from emosynth.paths import Paths, repository_root

    return Catalog.load(Paths(repository_root(Path(__file__).parent), "demo")).fetch("all-minilm-l6-v2")


def test_folder_without_model_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        Encoder(tmp_path).embed(["a"])


def test_embeddings_have_length_1_and_know_no_neighbours(tiny):
    encoder = Encoder(tiny, max_tokens=16)
    texts = ["the lake", "a mild song", "loud " * 300, ""]
    together = encoder.embed(texts)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.vstack([encoder.embed([text]) for text in texts]), together, atol=1e-5)
    assert encoder.embed([]).shape == (0, 16)
    assert Encoder(tiny, 8).hash != encoder.hash


@pytest.mark.model
def test_a_real_encoder_knows_meaning(folder):
    made = Encoder(folder).embed([TEXTS[0], "a calm lake in the morning", TEXTS[5]])
    assert made.shape == (3, 384) and made[0] @ made[1] > made[0] @ made[2] + 0.2


def test_cache_gives_equal_embeddings(tiny, tmp_path):
    encoder = Encoder(tiny)
    texts = ["the lake", "a mild song", "loud cake", "rain"]
    expected = encoder.embed(texts)
    with RowStore(tmp_path / "e.sqlite") as store:
        np.testing.assert_allclose(EmbeddingCache(encoder, store, unit=2).embed(texts[:3]), expected[:3], atol=1e-5)
    with RowStore(tmp_path / "e.sqlite") as store:
        cache = EmbeddingCache(encoder, store)
        np.testing.assert_allclose(cache.embed(texts[::-1]), expected[::-1], atol=1e-5)
        np.testing.assert_allclose(cache.embed([texts[0], texts[0]]), expected[[0, 0]], atol=1e-5)
    idle = Encoder(tiny)
    with RowStore(tmp_path / "e.sqlite") as store:
        np.testing.assert_allclose(EmbeddingCache(idle, store).embed(texts), expected, atol=1e-5)
    assert idle._loaded is None, "a full cache never loads the model"
    assert EmbeddingCache.open(tiny, tmp_path).store.path.parent == tmp_path / "rows"


# --- scores ---------------------------------------------------------------------------------------------

# Three rows, three labels. Decisions at a threshold of 0.5, and at least one:
#   row 1: p .9 .2 .1 -> 1 0 0, truth 1 0 0     row 2: p .6 .7 .1 -> 1 1 0, truth 0 1 0
#   row 3: p .3 .4 .2 -> none, so 0 1 0, truth 1 1 0
# Label 1: hits 1, claimed 2, support 2: P .5, R .5, F1 2/4. Label 2: hits 2, claimed 2, support 2: F1 1. Label 3: 0.
# Macro (1/2 + 1)/3 = 1/2; micro 2·3/(4 + 4) = 3/4; exact: row 1 alone. Ranking: all true labels on top: 1.
# Average precision: label 1 ranks .9 (true), .6 (false), .3 (true): (1 + 2/3)/2 = 5/6; label 2 .7, .4 true, .2 false: 1.
# Brier: (.01+.04+.01 + .36+.09+.01 + .49+.36+.04)/9 = 1.41/9.
P = np.array([[0.9, 0.2, 0.1], [0.6, 0.7, 0.1], [0.3, 0.4, 0.2]])
Y = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])


def test_scores_of_several_labels_by_hand():
    found = scores(P, Y, 0.5)
    assert found["macro_f1"] == pytest.approx(1 / 2) == macro_f1(P, Y, 0.5)
    assert found["micro_f1"] == pytest.approx(3 / 4)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["lrap"] == pytest.approx(1.0)
    assert found["macro_average_precision"] == pytest.approx((5 / 6 + 1) / 2)
    assert found["brier"] == pytest.approx(1.41 / 9)
    assert found["nll"] == pytest.approx(-np.log(np.where(Y, P, 1 - P)).mean())
    # a row without labels is no ranking, and would count as 1: rank 2 of 2 is precision 1/2
    assert scores([[0.2, 0.9], [0.1, 0.2]], [[1, 0], [0, 0]], 0.5)["lrap"] == pytest.approx(0.5)
    table = per_class(P, Y, ["joy", "grief", "awe"], 0.5)
    assert list(table.columns) == ["label", "precision", "recall", "f1", "support"]
    np.testing.assert_allclose(table[["precision", "recall", "f1"]], [[0.5, 0.5, 0.5], [1, 1, 1], [0, 0, 0]])
    assert table["support"].tolist() == [2, 2, 0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 10_000))
def test_scores_of_one_label_are_those_of_scikit_learn(n, k, seed):
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.ones(k), n), rng.integers(0, k, n)
    truth, labels = np.eye(k)[y], list(range(k))
    found, best = scores(p, truth), p.argmax(axis=1)
    assert found["macro_f1"] == pytest.approx(f1_score(y, best, labels=labels, average="macro", zero_division=0))
    assert found["accuracy"] == found["micro_f1"] == pytest.approx((y == best).mean())
    assert found["nll"] == pytest.approx(log_loss(y, p, labels=labels))
    assert found["brier"] == pytest.approx(((p - truth) ** 2).sum(axis=1).mean())
    table = per_class(p, truth, [str(label) for label in labels])
    expected = precision_recall_fscore_support(y, best, labels=labels, zero_division=0.0)
    np.testing.assert_allclose(table[["precision", "recall", "f1", "support"]].to_numpy().T, expected)


@given(st.integers(1, 12), st.integers(2, 4), st.integers(0, 10_000))
def test_ranking_scores_are_those_of_scikit_learn(n, k, seed):
    rng = np.random.default_rng(seed)
    p, y = rng.random((n, k)).round(1), rng.random((n, k)) < 0.4  # with ties
    labelled = y.any(axis=1)
    found = row_lrap(p, y)
    assert np.isnan(found[~labelled]).all()
    if labelled.any():
        assert found[labelled].mean() == pytest.approx(label_ranking_average_precision_score(y[labelled], p[labelled]))
        expected = np.mean([average_precision_score(y[:, label], p[:, label]) for label in np.flatnonzero(y.any(axis=0))])
        assert metrics.macro_average_precision(p, y) == pytest.approx(expected)
    decided = decide(p, 0.5)
    assert decided.any(axis=1).all()
    assert scores(p, y, 0.5)["micro_f1"] == pytest.approx(f1_score(y, decided, average="micro", zero_division=0))


def test_label_ranking_of_many_rows_is_that_of_each():
    rng = np.random.default_rng(3)
    p, y = rng.random((2500, 4)), rng.random((2500, 4)) < 0.6  # more than are ranked at once
    np.testing.assert_array_equal(row_lrap(p, y)[[0, 1023, 1024, 2499]], [row_lrap(p[[i]], y[[i]])[0] for i in (0, 1023, 1024, 2499)])


def test_reliability_by_hand():
    # several labels, two bins of two cells: mean p .15, share 0; mean p .8, share 1/2
    table = reliability([[0.1, 0.2], [0.7, 0.9]], [[0, 0], [1, 0]], single=False, bins=2)
    np.testing.assert_allclose(table, [[0, 0.15, 0, 2], [1, 0.8, 0.5, 2]])
    # equal probabilities share a bin, in any order of rows
    assert len(reliability(np.full((2, 2), 0.5), [[0, 1], [0, 1]], single=False)) == 1
    # one label: confidence .9 right, .6 wrong
    table = reliability([[0.4, 0.6], [0.1, 0.9]], [[1, 0], [0, 1]], single=True)
    np.testing.assert_allclose(table, [[0, 0.6, 0, 1], [1, 0.9, 1, 1]])
    assert scores([[0.4, 0.6], [0.1, 0.9]], [[1, 0], [0, 1]])["ece"] == pytest.approx((0.6 + 0.1) / 2)


def test_scores_refuse_bad_input():
    with pytest.raises(UserError, match="row 1, column 2"):
        scores([[0.1, 0.2, 0.3], [0.1, 0.2, np.nan]], np.zeros((2, 3)), 0.5)
    with pytest.raises(UserError, match="row 0, column 1"):
        scores([[0.1, 1.2]], [[0, 1]])
    with pytest.raises(UserError, match="neither 0 nor 1"):
        scores([[0.1, 0.2]], [[0, 0.5]])
    with pytest.raises(UserError, match="shape"):
        scores(P, Y[:2])
    with pytest.raises(UserError, match="truth, row 2"):
        scores(P, Y)
    with pytest.raises(UserError, match="3 columns"):
        per_class(P, Y, ["joy"], 0.5)


def test_best_threshold_by_hand():
    # truth .6 .4 .3, else .2 .2 .1; a row has at least its most probable label, so row 3 always claims one that is wrong.
    # From .21 to .3 all three are found, with one too many; from .31 row 2 still is, since .3 is its highest; above .4 one is lost.
    p, y = np.array([[0.6, 0.4], [0.1, 0.3], [0.2, 0.2]]), np.array([[1, 1], [0, 1], [0, 0]])
    assert best_threshold(p, y) == pytest.approx(0.4)
    # rare labels, claimed in vain from .005 on: pooled, they do not pull the threshold down
    wide = np.hstack([np.tile([0.6, 0.01, 0.01], (8, 1))])
    truth = np.array([[1, row == 0, row == 1] for row in range(8)], dtype=float)
    assert best_threshold(wide, truth) == pytest.approx(0.5)
    assert best_threshold(p, np.zeros_like(y)) == 0.5


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10_000))
def test_no_threshold_of_the_grid_is_better(n, seed):
    rng = np.random.default_rng(seed)
    p, y = rng.random((n, 3)).round(2), np.eye(3)[rng.integers(0, 3, n)] > 0

    def value(threshold):
        return f1_score(y, decide(p, threshold), average="micro", zero_division=0)

    assert value(best_threshold(p, y)) >= max(value(t) for t in metrics.GRID[::7]) - 1e-9
