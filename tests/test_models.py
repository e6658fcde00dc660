"""Classical classifiers and sentence encoders; invented texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth.errors import UserError
from emosynth.models.classifiers import (
    EmbeddingClassifier,
    LinearHead,
    TextClassifier,
    TfidfFeatures,
    TreeClassifier,
    balanced_row_weights,
    checked_weights,
    label_indices,
)
from emosynth.models.encoders import EmbeddingCache, Encoder, FineTunedEncoder
from emosynth.params import FineTuning
from emosynth.store import RowStore

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
LABELS = [c for c in CLASSES for _ in range(4)]
NEW = ["a quiet song", "the rude kettle", "cake", "entirely unknown"]


def embed(texts):
    """Stand-in for an encoder: letters counted, length 1."""
    raw = np.array([[text.count(letter) for letter in "abcdefghiklmnorstuwy"] for text in texts], dtype=np.float32) + 0.01
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


MAKERS = {
    "tfidf": TextClassifier,
    "embedding": lambda: EmbeddingClassifier(embed),
    "tree": lambda: TreeClassifier(rounds=10),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def test_probabilities_have_a_column_for_each_class(make):
    p = make().fit(TEXTS, LABELS, CLASSES).predict_proba(NEW)
    assert p.shape == (4, 3) and (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("seen", [["calm", "merry"], ["cross", "merry"]])
def test_absent_class_gets_probability_0(make, seen):
    rows = [i for i, label in enumerate(LABELS) if label in seen]
    model = make().fit([TEXTS[i] for i in rows], [LABELS[i] for i in rows], CLASSES)
    p = model.predict_proba(NEW)
    absent = [i for i, c in enumerate(CLASSES) if c not in seen]
    assert not p[:, absent].any()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    fitted = model.predict_proba([TEXTS[i] for i in rows]).argmax(axis=1)
    assert np.mean(fitted == label_indices([LABELS[i] for i in rows], CLASSES)) > 0.6, "columns are not swapped"


@pytest.mark.parametrize("name", ["tfidf", "embedding"])
def test_single_class_is_certain(name):
    p = MAKERS[name]().fit(TEXTS[:4], LABELS[:4], CLASSES).predict_proba(NEW)
    np.testing.assert_array_equal(p, np.tile([1.0, 0.0, 0.0], (4, 1)))


def test_tree_wants_two_classes():
    with pytest.raises(UserError, match="two classes"):
        TreeClassifier().fit(TEXTS[:4], LABELS[:4], CLASSES)


def test_weight_0_is_no_row(make):
    noise = ["a quiet dance of zebras", "cake cake cake"]
    plain = make().fit(TEXTS, LABELS, CLASSES)
    weighted = make().fit([noise[0], *TEXTS, noise[1]], ["cross", *LABELS, "calm"], CLASSES, weights=[0, *[1] * 12, 0])
    np.testing.assert_array_equal(weighted.predict_proba(NEW), plain.predict_proba(NEW))
    if hasattr(plain, "features"):
        assert weighted.features.terms() == plain.features.terms(), "nor does it reach the vocabulary"


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(12)))
def test_order_of_rows_does_not_matter(order):
    for name in ("tfidf", "embedding"):
        plain = MAKERS[name]().fit(TEXTS, LABELS, CLASSES).predict_proba(NEW)
        moved = MAKERS[name]().fit([TEXTS[i] for i in order], [LABELS[i] for i in order], CLASSES).predict_proba(NEW)
        np.testing.assert_allclose(moved, plain, atol=1e-5)


def test_weight_2_is_the_row_twice():
    x = embed(TEXTS).astype(float)
    y = label_indices(LABELS, CLASSES)
    weighted = LinearHead().fit(x, y, 3, [2, *[1] * 11]).predict_proba(x)
    doubled = LinearHead().fit(np.vstack([x[:1], x]), np.concatenate([y[:1], y]), 3).predict_proba(x)
    np.testing.assert_allclose(weighted, doubled, atol=1e-4)


def test_equal_fits_are_equal(make):
    np.testing.assert_array_equal(
        make().fit(TEXTS, LABELS, CLASSES).predict_proba(NEW), make().fit(TEXTS, LABELS, CLASSES).predict_proba(NEW)
    )


def test_margins_are_log_odds():
    for model in (TextClassifier().fit(TEXTS, LABELS, CLASSES), TreeClassifier(rounds=10).fit(TEXTS, LABELS, CLASSES)):
        odds = np.exp(model.margins(NEW))
        np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), model.predict_proba(NEW), atol=1e-9)


def test_rows_of_several_labels_are_refused(make):
    with pytest.raises(UserError, match="single-label"):
        make().fit(TEXTS, [["calm", "merry"], *LABELS[1:]], CLASSES)
    assert label_indices([["merry"], "calm"], CLASSES).tolist() == [2, 0], "a list of one label is that label"
    with pytest.raises(UserError, match="Unknown label"):
        label_indices(["furious"], CLASSES)


def test_no_rows_and_no_words_are_errors():
    with pytest.raises(UserError, match="weight above 0"):
        LinearHead().fit(np.ones((2, 1)), np.array([0, 1]), 2, [0, 0])
    with pytest.raises(UserError, match="No word"):
        TfidfFeatures(min_document_frequency=5).fit(["one", "two"])
    with pytest.raises(UserError, match="No word"):
        TfidfFeatures().fit(["", " "])


@pytest.mark.parametrize("weights", [[1.0], [1, -1], [1, float("nan")]])
def test_weights_are_checked(weights):
    with pytest.raises(ValueError):
        checked_weights(weights, 2)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.01, 10)), min_size=1, max_size=30))
def test_balanced_weights(rows):
    targets, weights = np.array([t for t, _ in rows]), np.array([w for _, w in rows])
    scaled = balanced_row_weights(targets, weights, 4)
    assert scaled.sum() == pytest.approx(weights.sum())
    masses = [scaled[targets == t].sum() for t in np.unique(targets)]
    assert masses == pytest.approx([masses[0]] * len(masses))


def test_bigrams_are_features_of_scoring_only():
    assert "quiet lake" in TfidfFeatures().fit(TEXTS).terms()
    assert all(" " not in term for term in TfidfFeatures((1, 1)).fit(TEXTS).terms())


# --- encoders -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder() -> Path:
    from emosynth.catalog import Catalog
    from emosynth.paths import Paths, repository_root

    return Catalog.load(Paths(repository_root(Path(__file__).parent), "demo")).fetch("all-minilm-l6-v2")


def test_folder_without_model_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        Encoder(tmp_path).embed(["a"])


@pytest.mark.model
def test_embeddings_have_length_1_and_know_no_neighbours(folder):
    encoder = Encoder(folder)
    texts = [*TEXTS, "word " * 300, ""]
    together = encoder.embed(texts)
    assert together.shape == (14, 384)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.vstack([encoder.embed([text]) for text in texts]), together, atol=1e-5)
    assert encoder.embed([]).shape == (0, 384)
    near, far = together[0] @ encoder.embed(["a calm lake in the morning"])[0], together[0] @ together[5]
    assert near > far + 0.2


@pytest.mark.model
def test_cache_gives_equal_embeddings(folder, tmp_path):
    encoder = Encoder(folder)
    expected = encoder.embed(TEXTS)
    with RowStore(tmp_path / "e.jsonl") as store:
        np.testing.assert_allclose(EmbeddingCache(encoder, store).embed(TEXTS[:5]), expected[:5], atol=1e-5)
    with RowStore(tmp_path / "e.jsonl") as store:
        cache = EmbeddingCache(encoder, store)
        np.testing.assert_allclose(cache.embed(TEXTS[::-1]), expected[::-1], atol=1e-5)
        np.testing.assert_allclose(cache.embed([TEXTS[0], TEXTS[0]]), expected[[0, 0]], atol=1e-5)
    idle = Encoder(folder)
    with RowStore(tmp_path / "e.jsonl") as store:
        np.testing.assert_allclose(EmbeddingCache(idle, store).embed(TEXTS), expected, atol=1e-5)
    assert idle._loaded is None, "a full cache never loads the model"


TUNING = FineTuning(epochs=1, batch=4, max_tokens=16)


@pytest.mark.model
def test_fine_tuning_is_deterministic_and_leaves_random_state_alone(folder):
    import torch

    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = FineTunedEncoder(folder, TUNING, seed=3).fit(TEXTS, LABELS, CLASSES).predict_proba(NEW)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    # rows of weight 0 are left out, so this is the same fit
    again = FineTunedEncoder(folder, TUNING, seed=3).fit([*TEXTS, "zebra"], [*LABELS, "calm"], CLASSES, weights=[*[1] * 12, 0])
    np.testing.assert_array_equal(again.predict_proba(NEW), first)
    np.testing.assert_allclose(first.sum(axis=1), 1)
    # a batch's shape may change the last bits
    np.testing.assert_allclose(np.vstack([again.predict_proba([text]) for text in NEW]), first, atol=1e-5)


@pytest.mark.model
def test_fine_tuning_accepts_soft_labels_and_absent_classes(folder):
    soft = np.tile([0.7, 0.0, 0.3], (4, 1))
    p = FineTunedEncoder(folder, TUNING).fit(TEXTS[:4], soft, CLASSES).predict_proba(NEW)
    assert not p[:, 1].any() and (p[:, [0, 2]] > 0).all()
    with pytest.raises(ValueError, match="soft labels"):
        FineTunedEncoder(folder, TUNING).fit(TEXTS[:4], soft * 2, CLASSES)
    with pytest.raises(UserError, match="single-label"):
        FineTunedEncoder(folder, TUNING).fit(TEXTS[:2], [["calm", "merry"], "calm"], CLASSES)
    with pytest.raises(UserError, match="weight above 0"):
        FineTunedEncoder(folder, TUNING).fit(TEXTS[:2], LABELS[:2], CLASSES, weights=[0, 0])
