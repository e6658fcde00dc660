"""The distillation loss, and the students trained with it; invented texts and a tiny random encoder."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from emosynth.errors import UserError
from emosynth.models.classifiers import LinearHead
from emosynth.models.distil import (
    EncoderStudent,
    LinearStudent,
    distillation_loss,
    soft_label_entropy,
    softmax,
    torch_distillation_loss,
)
from emosynth.models.distil.encoder import _batches, keep_layers
from emosynth.models.encoders import _load
from emosynth.params import TinyEncoder

# Worked by hand, k = 2, T = 2, α = 0.8; σ is the logistic function of the difference between the two logits.
#
# Row 1: student (2, 0), teacher (4, 0), label 0, weight 1.
#   teacher at T: σ(4/2) = 0.8807971      student at T: σ(2/2) = 0.7310586
#   KL = 0.8807971 ln(0.8807971 / 0.7310586) + 0.1192029 ln(0.1192029 / 0.2689414) = 0.1641224 − 0.0969916 = 0.0671308
#   CE = −ln σ(2) = 0.1269280
#   l₁ = 0.8 · 4 · 0.0671308 + 0.2 · 0.1269280 = 0.2148184 + 0.0253856 = 0.2402040
# Row 2: student (0, 0), teacher (−2, 0), label 1, weight 0.3.
#   teacher at T: σ(−2/2) = 0.2689414     student at T: σ(0) = 0.5
#   KL = 0.2689414 ln(0.2689414 / 0.5) + 0.7310586 ln(0.7310586 / 0.5) = −0.1667690 + 0.2777131 = 0.1109441
#   CE = ln 2 = 0.6931472
#   l₂ = 0.8 · 4 · 0.1109441 + 0.2 · 0.6931472 = 0.3550210 + 0.1386294 = 0.4936505
# By row:   L = (1 · 0.2402040 + 0.3 · 0.4936505) / 2 = 0.1941496
# By batch: L = (1 + 0.3)/2 · (0.2402040 + 0.4936505)/2 = 0.65 · 0.3669272 = 0.2385027
#
# Gradient by the first logit of row i: wᵢ/2 · [0.8 · 2 · (student at T − teacher at T) + 0.2 · (σ − 1 if label 0)]
#   row 1: 1/2 · [1.6 · (0.7310586 − 0.8807971) + 0.2 · (0.8807971 − 1)] = −0.1317111
#   row 2: 0.3/2 · [1.6 · (0.5 − 0.2689414) + 0.2 · 0.5] = 0.0704541
STUDENT = np.array([[2.0, 0.0], [0.0, 0.0]])
TEACHER = np.array([[4.0, 0.0], [-2.0, 0.0]])
TARGETS = np.array([0, 1])
WEIGHTS = np.array([1.0, 0.3])
SETTING = {"alpha": 0.8, "temperature": 2.0}


def test_loss_is_the_one_worked_by_hand():
    value, gradient = distillation_loss(STUDENT, TEACHER, TARGETS, WEIGHTS, **SETTING)
    assert value == pytest.approx(0.1941496, abs=1e-6)
    np.testing.assert_allclose(gradient, [[-0.1317111, 0.1317111], [0.0704541, -0.0704541]], atol=1e-6)
    batch, _ = distillation_loss(STUDENT, TEACHER, TARGETS, WEIGHTS, **SETTING, weighting="batch")
    assert batch == pytest.approx(0.2385027, abs=1e-6)


@st.composite
def problems(draw):
    n, k = draw(st.integers(1, 6)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([0.1, 1.0, 5.0]))
    return {
        "student": size * rng.normal(size=(n, k)),
        "teacher": draw(st.sampled_from([None, size * rng.normal(size=(n, k))])),
        "targets": rng.integers(0, k, n),
        "weights": rng.choice([0.0, 0.3, 1.0], n),
        "alpha": draw(st.sampled_from([0.0, 0.35, 0.8, 1.0])),
        "temperature": draw(st.sampled_from([0.5, 1.0, 2.0, 7.0])),
        "weighting": draw(st.sampled_from(["row", "batch"])),
    }


@given(problems())
@settings(max_examples=60, deadline=None)
def test_gradient_is_that_of_the_value(problem):
    student = problem.pop("student")
    shape = student.shape
    error = check_grad(
        lambda flat: distillation_loss(flat.reshape(shape), **problem)[0],
        lambda flat: distillation_loss(flat.reshape(shape), **problem)[1].ravel(),
        student.ravel(),
    )
    assert error < 1e-5


@given(problems())
@settings(max_examples=60, deadline=None)
def test_torch_and_numpy_agree(problem):
    import torch

    value, gradient = distillation_loss(**problem)
    student = torch.tensor(problem["student"], requires_grad=True)
    made = torch_distillation_loss(
        student,
        None if problem["teacher"] is None else torch.tensor(problem["teacher"]),
        torch.tensor(problem["targets"]),
        torch.tensor(problem["weights"]),
        alpha=problem["alpha"],
        temperature=problem["temperature"],
        weighting=problem["weighting"],
    )
    made.backward()
    assert made.shape == ()
    assert made.item() == pytest.approx(value, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(student.grad.numpy(), gradient, rtol=1e-9, atol=1e-12)


@given(problems(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_of_rows_does_not_matter(problem, random):
    value, gradient = distillation_loss(**problem)
    order = list(range(len(problem["student"])))
    random.shuffle(order)
    for name in ("student", "teacher", "targets", "weights"):
        if problem[name] is not None:
            problem[name] = problem[name][order]
    shuffled, by_logit = distillation_loss(**problem)
    assert shuffled == pytest.approx(value, rel=1e-12, abs=1e-15)
    np.testing.assert_allclose(by_logit, gradient[order], rtol=1e-12, atol=1e-15)


def test_square_of_temperature_keeps_the_gradient_in_size():
    """At high T the gradient tends to the difference of the centred logits over k (Hinton et al., 2015, section 2.1)."""
    rng = np.random.default_rng(5)
    student, teacher = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    _, gradient = distillation_loss(student, teacher, [0] * 4, None, alpha=1.0, temperature=1e4)
    difference = student - teacher
    limit = (difference - difference.mean(axis=1, keepdims=True)) / 3 / 4  # k classes, n rows
    np.testing.assert_allclose(gradient, limit, rtol=1e-3, atol=1e-5)


def test_a_weight_belongs_to_its_row_unless_the_batch_is_averaged_first():
    swapped = WEIGHTS[::-1]
    row = [distillation_loss(STUDENT, TEACHER, TARGETS, w, **SETTING)[0] for w in (WEIGHTS, swapped)]
    batch = [distillation_loss(STUDENT, TEACHER, TARGETS, w, **SETTING, weighting="batch")[0] for w in (WEIGHTS, swapped)]
    assert abs(row[0] - row[1]) > 0.05
    assert batch[0] == pytest.approx(batch[1], abs=1e-12)
    _, gradient = distillation_loss(STUDENT, TEACHER, TARGETS, [1, 0], **SETTING)
    assert gradient[0].any() and not gradient[1].any()
    _, gradient = distillation_loss(STUDENT, TEACHER, TARGETS, [1, 0], **SETTING, weighting="batch")
    assert gradient[1].any()


def test_mean_is_over_rows_not_over_weights():
    full, _ = distillation_loss(STUDENT, TEACHER, TARGETS, [1, 1], **SETTING)
    light, _ = distillation_loss(STUDENT, TEACHER, TARGETS, [0.3, 0.3], **SETTING)
    assert light == pytest.approx(0.3 * full)


def test_certain_teacher_is_a_hard_label():
    rng = np.random.default_rng(2)
    student, targets, weights = rng.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2]), rng.random(5)
    soft = distillation_loss(student, 1e6 * np.eye(4)[targets], targets, weights, alpha=1.0, temperature=1.0)
    hard = distillation_loss(student, None, targets, weights, alpha=1.0, temperature=1.0)
    assert soft[0] == pytest.approx(hard[0], rel=1e-12)
    np.testing.assert_allclose(soft[1], hard[1], atol=1e-12)
    # and the loss without a teacher is scikit-learn's
    from sklearn.metrics import log_loss

    assert hard[0] * 5 / weights.sum() == pytest.approx(log_loss(targets, softmax(student), sample_weight=weights, labels=range(4)))


@pytest.mark.parametrize("size", [1e3, 1e8, 1e150])
def test_huge_logits_are_no_trouble(size):
    student = size * np.array([[1.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    value, gradient = distillation_loss(student, -student, [1, 1], [1, 1], **SETTING)
    assert np.isfinite(value) and value > size / 10
    assert np.isfinite(gradient).all() and (np.abs(gradient) <= 1).all()
    same, gradient = distillation_loss(student, student, [0, 1], [1, 1], **SETTING)
    assert same == pytest.approx(0, abs=1e-12) and np.abs(gradient).max() < 1e-12


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_teacher_must_be_finite(bad):
    import torch

    teacher = TEACHER.copy()
    teacher[1, 0] = bad
    with pytest.raises(ValueError, match="finite; those of row 1"):
        distillation_loss(STUDENT, teacher, TARGETS, WEIGHTS, **SETTING)
    with pytest.raises(ValueError, match="finite"):
        torch_distillation_loss(torch.tensor(STUDENT), torch.tensor(teacher), torch.tensor(TARGETS), torch.tensor(WEIGHTS), **SETTING)
    with pytest.raises(ValueError, match="finite"):
        LinearStudent(**SETTING).fit(np.eye(2), TARGETS, 2, WEIGHTS, teacher)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 1.1},
        {"alpha": float("nan")},
        {"temperature": 0.0},
        {"weighting": "mean"},
        {"teacher": TEACHER[:1]},
        {"targets": [0, 2]},
        {"targets": [0.0, 1.0]},
        {"weights": [1.0, -1.0]},
        {"weights": [1.0]},
        {"student": STUDENT[:0], "teacher": None, "targets": [], "weights": []},
        {"student": STUDENT + np.inf},
    ],
)
def test_bad_input_is_refused(change):
    good = {"student": STUDENT, "teacher": TEACHER, "targets": TARGETS, "weights": WEIGHTS, **SETTING}
    distillation_loss(**good)
    with pytest.raises(ValueError, match=r"alpha|temperature|weight|teacher|targets|student"):
        distillation_loss(**{**good, **change})


def test_softmax_and_entropy():
    np.testing.assert_allclose(softmax([[0.0, np.log(3)]]), [[0.25, 0.75]])
    np.testing.assert_allclose(softmax([[0.0, np.log(9)]], 2.0), [[0.25, 0.75]])
    np.testing.assert_array_equal(softmax([[1.0, -np.inf]]), [[1, 0]])
    assert soft_label_entropy(np.zeros((3, 4))) == pytest.approx(np.log(4))
    assert soft_label_entropy([[900.0, 0.0], [1.0, -np.inf]]) == 0
    assert soft_label_entropy([[0.0, np.log(9)]], 2.0) == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))
    assert np.isnan(soft_label_entropy(np.zeros((0, 4))))
    with pytest.raises(ValueError, match="temperature"):
        softmax([[0.0, 1.0]], 0.0)


def test_probabilities_taken_for_logits_are_nearly_uniform():
    """The published defect: what a caller gets who passes the teacher's probabilities."""
    logits = np.array([[6.0, 0.0, 0.0, 0.0]])
    assert softmax(logits).max() > 0.99
    assert softmax(softmax(logits)).max() < 0.48


# --- linear student -----------------------------------------------------------------------------------


def rows(n=160, d=30, k=3, seed=0):
    """Return sparse features, targets and teacher's logits of an invented, noisy problem."""
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(k), rng.choice(k, n - k, p=np.arange(1, k + 1) / (k * (k + 1) / 2))])
    x = np.abs(rng.normal(size=(n, d))) * (rng.random((n, d)) < 0.25)
    x[np.arange(n), targets] += 0.7
    teacher = rng.normal(size=(n, k)) + 2.5 * np.eye(k)[targets]
    return sp.csr_matrix(x), targets, teacher


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("c", [0.3, 30.0])
def test_hard_labels_give_logistic_regression(k, c):
    x, targets, teacher = rows(k=k)
    expected = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(x, targets).predict_proba(x)
    for guide, alpha in ((None, 0.8), (teacher, 0.0)):
        for features in (x, x.toarray()):
            student = LinearStudent(c, alpha=alpha, temperature=2.0, balanced=False).fit(features, targets, k, np.ones(len(targets)), guide)
            assert student.converged
            np.testing.assert_allclose(student.predict_proba(features), expected, atol=1e-3)


@pytest.mark.parametrize("k", [2, 4])
def test_hard_labels_give_the_linear_head(k):
    x, targets, _ = rows(k=k)
    weights = np.where(np.arange(len(targets)) % 3, 0.3, 1.0)
    weights[5:20] = 0
    head = LinearHead(1.0).fit(x, targets, k, weights)
    student = LinearStudent(1.0, alpha=0.8, temperature=2.0).fit(x, targets, k, weights)
    np.testing.assert_allclose(student.predict_proba(x), head.predict_proba(x), atol=5e-3)  # the head stops earlier


@pytest.mark.parametrize("weighting", ["row", "batch"])
def test_fit_is_at_the_minimum_of_the_loss(weighting):
    """At the minimum, the gradient of the public loss by the coefficients is that of the penalty."""
    x, targets, teacher = rows()
    n, weights = len(targets), np.where(np.arange(len(targets)) < 40, 1.0, 0.3)
    student = LinearStudent(2.0, **SETTING, weighting=weighting, balanced=False).fit(x, targets, 3, weights, teacher)
    _, by_logit = distillation_loss(student.logits(x), teacher, targets, weights, **SETTING, weighting=weighting)
    np.testing.assert_allclose(n * (x.T @ by_logit).T, -student.coef / 2.0, atol=5e-3)
    np.testing.assert_allclose(n * by_logit.sum(axis=0), 0, atol=5e-3)
    assert np.abs(student.coef).max() > 0.2


def test_student_follows_its_teacher():
    x, targets, teacher = rows(n=400)
    wrong = np.roll(teacher, 1, axis=1)  # calls class 0 class 1, and so on

    def choices(alpha):
        return LinearStudent(30.0, alpha=alpha, temperature=2.0).fit(x, targets, 3, None, wrong).predict_proba(x).argmax(axis=1)

    assert (choices(0.0) == targets).mean() > 0.8
    assert (choices(1.0) == (targets + 1) % 3).mean() > 0.8


def test_weight_0_is_no_row_and_weight_2_is_the_row_twice():
    x, targets, teacher = rows()
    bad = teacher.copy()
    bad[:10] = np.nan  # of rows that do not take part
    weights = np.ones(len(targets))
    weights[:10] = 0
    weights[10:30] = 2
    once = LinearStudent(**SETTING).fit(x, targets, 3, weights, bad)
    order = np.concatenate([np.arange(10, len(targets)), np.arange(10, 30)])
    twice = LinearStudent(**SETTING).fit(x[order], targets[order], 3, None, teacher[order])
    np.testing.assert_allclose(once.predict_proba(x), twice.predict_proba(x), atol=1e-3)
    with pytest.raises(UserError, match="weight above 0"):
        LinearStudent(**SETTING).fit(x, targets, 3, np.zeros(len(targets)))


def test_weighting_by_row_and_by_batch_differ_only_if_weights_do():
    x, targets, teacher = rows()
    weights = np.where(np.arange(len(targets)) < 40, 1.0, 0.1)

    def fit(w, weighting):
        return LinearStudent(**SETTING, weighting=weighting).fit(x, targets, 3, w, teacher).predict_proba(x)

    assert np.abs(fit(weights, "row") - fit(weights, "batch")).max() > 0.02
    np.testing.assert_allclose(fit(weights, "batch"), fit(weights[::-1], "batch"), atol=1e-9)
    np.testing.assert_allclose(fit(np.full(len(targets), 0.3), "row"), fit(np.full(len(targets), 0.3), "batch"), atol=1e-9)


def test_balance_lifts_the_rare_class():
    x, targets, teacher = rows()
    rare = int(np.bincount(targets).argmin())
    mean = [LinearStudent(**SETTING, balanced=b).fit(x, targets, 3, None, teacher).predict_proba(x)[:, rare].mean() for b in (True, False)]
    assert mean[0] > mean[1] + 0.02


def test_absent_class_gets_probability_only_from_a_teacher():
    x, targets, teacher = rows(k=2)
    targets = targets * 2  # classes 0 and 2 of three
    wide = np.insert(teacher, 1, 0.0, axis=1)
    for student in (LinearStudent(**SETTING).fit(x, targets, 3), LinearStudent(alpha=0.0, temperature=1.0).fit(x, targets, 3, None, wide)):
        p = student.predict_proba(x)
        assert not p[:, 1].any() and (student.logits(x)[:, 1] == -np.inf).all()
        np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (LinearStudent(**SETTING).fit(x, targets, 3, None, wide).predict_proba(x)[:, 1] > 0).all()
    only = LinearStudent(**SETTING).fit(x, np.full(x.shape[0], 2), 3)
    np.testing.assert_array_equal(only.predict_proba(x)[:3], [[0, 0, 1]] * 3)


def test_warm_start_ends_at_the_same_place():
    x, targets, teacher = rows()
    near = LinearStudent(3.0, **SETTING).fit(x, targets, 3, None, teacher)
    cold = LinearStudent(10.0, **SETTING).fit(x, targets, 3, None, teacher)
    again = LinearStudent(10.0, **SETTING).fit(x, targets, 3, None, teacher)
    warm = LinearStudent(10.0, **SETTING).fit(x, targets, 3, None, teacher, start=(near.coef, near.intercept))
    np.testing.assert_array_equal(cold.coef, again.coef)
    np.testing.assert_allclose(warm.predict_proba(x), cold.predict_proba(x), atol=1e-3)
    # and it does begin there
    still = LinearStudent(10.0, **SETTING, max_iterations=1).fit(x, targets, 3, None, teacher, start=(cold.coef, cold.intercept))
    np.testing.assert_allclose(still.predict_proba(x), cold.predict_proba(x), atol=1e-3)
    with pytest.raises(ValueError, match="start"):
        LinearStudent(10.0, **SETTING).fit(x, targets, 3, start=(near.coef[:, 1:], near.intercept))


def test_features_are_left_alone():
    x, targets, teacher = rows()
    before = x.copy()
    LinearStudent(**SETTING).fit(x, targets, 3, None, teacher)
    assert (x != before).nnz == 0


# --- encoder student ----------------------------------------------------------------------------------

TINY = TinyEncoder(layers=2, steps=60, batch=8, learning_rate=3e-3, max_tokens=16)
VOCABULARY = ["[PAD]", "[UNK]", "the", "a", "lake", "rain", "song", "cake", "door", "is", "mild", "loud"]
CLASSES = ["quiet", "noisy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Save a random BERT of three layers over ten words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("bert")
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(path)
    return path


def sentences(n=40, seed=0):
    """Return texts and targets: "mild" is quiet, "loud" is noisy."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    words = [[*rng.choice(VOCABULARY[2:-2], rng.integers(2, 9)), ["mild", "loud"][target]] for target in targets]
    return [" ".join(rng.permutation(row)) for row in words], targets


def logits_of(targets, size=3.0):
    return size * np.eye(2)[targets]


def student(folder, tiny=TINY, seed=1, alpha=0.8, **options):
    return EncoderStudent(folder, tiny, seed=seed, alpha=alpha, temperature=2.0, **options)


def test_encoder_student_learns_from_hard_and_from_soft_labels(folder):
    texts, targets = sentences()
    new, expected = sentences(seed=9)
    told = []
    hard = student(folder).fit(texts, targets, CLASSES, np.ones(40), progress=told.append)
    p = hard.predict_proba(new)
    assert p.shape == (40, 2) and told[-1] == "student: step 60 of 60" and len(told) == 10
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == expected).mean() > 0.9
    # alpha 1: the hard labels, here all wrong, have no say
    soft = student(folder, alpha=1.0, balanced=False).fit(texts, 1 - targets, CLASSES, None, logits_of(targets))
    assert (soft.predict_proba(new).argmax(axis=1) == expected).mean() > 0.9


def test_encoder_student_is_deterministic_and_leaves_random_state_alone(folder):
    import torch

    texts, targets = sentences(12)
    short = TINY.model_copy(update={"steps": 5})
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = student(folder, short).fit(texts, targets, CLASSES, None, logits_of(targets)).predict_proba(texts)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    # rows of weight 0 are left out, so this is the same fit
    again = student(folder, short).fit(
        [*texts, "a door"], [*targets, 0], CLASSES, [1.0] * 12 + [0.0], np.vstack([logits_of(targets), [[np.nan, 0]]])
    )
    np.testing.assert_array_equal(again.predict_proba(texts), first)
    other = student(folder, short, seed=2).fit(texts, targets, CLASSES, None, logits_of(targets)).predict_proba(texts)
    assert np.abs(other - first).max() > 1e-4
    # a text's probabilities do not depend on its neighbours, but for the last bits
    np.testing.assert_allclose(np.vstack([again.predict_proba([text]) for text in texts]), first, atol=1e-5)
    assert again.predict_proba([]).shape == (0, 2)


def test_encoder_student_heeds_weights(folder):
    texts, targets = sentences()
    both, labels = texts * 2, np.concatenate([targets, 1 - targets])  # each text once with each label
    weights = np.where(np.arange(80) < 40, 1.0, 0.02)
    p = student(folder, balanced=False).fit(both, labels, CLASSES, weights).predict_proba(texts)
    assert (p.argmax(axis=1) == targets).mean() > 0.9
    # averaged over a batch of all rows, the weights cancel, and the labels contradict each other
    blind = TINY.model_copy(update={"batch": 80, "steps": 30})
    p = student(folder, blind, weighting="batch").fit(both, labels, CLASSES, weights).predict_proba(texts)
    assert p.max() < 0.8


def test_encoder_student_keeps_the_token_embeddings_and_trains_the_first_layers(folder):
    _, whole = _load(folder)
    texts, targets = sentences(12)
    made = student(folder, TINY.model_copy(update={"steps": 3})).fit(texts, targets, CLASSES)
    before, after = whole.state_dict(), made.encoder.state_dict()
    changed = {name for name, value in after.items() if not value.equal(before[name])}
    assert "embeddings.word_embeddings.weight" not in changed
    assert any(name.startswith("encoder.layer.1.") for name in changed)
    assert not any(name.startswith("encoder.layer.2.") for name in after)


def test_first_layers_give_the_hidden_states_of_the_whole_model(folder):
    import torch

    _, whole = _load(folder)
    _, cut = _load(folder)
    keep_layers(cut, 2, "here")
    ids = torch.tensor([[2, 3, 4, 5]])
    with torch.inference_mode():
        expected = whole(ids, output_hidden_states=True).hidden_states[2]
        np.testing.assert_allclose(cut(ids).last_hidden_state, expected, atol=1e-6)
    with pytest.raises(UserError, match="has 2 layers, not 3"):
        keep_layers(cut, 3, "here")
    with pytest.raises(UserError, match="no list of layers"):
        keep_layers(torch.nn.Linear(2, 2), 1, "here")


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 25))
def test_batches_are_as_many_as_steps_and_cover_each_epoch(n, batch, steps):
    import random

    made = list(_batches([1 + row % 5 for row in range(n)], batch, steps, random.Random(0)))
    assert len(made) == steps and all(0 < len(rows) <= batch for rows in made)
    epoch = -(-n // batch)
    for start in range(0, steps - epoch + 1, epoch):
        assert sorted(row for rows in made[start : start + epoch] for row in rows) == list(range(n))


def test_encoder_student_refuses_bad_input(folder, tmp_path):
    texts, targets = sentences(4)
    with pytest.raises(UserError, match="layers"):
        student(folder, TINY.model_copy(update={"layers": 4})).fit(texts, targets, CLASSES)
    with pytest.raises(UserError, match=r"config\.json"):
        student(tmp_path).fit(texts, targets, CLASSES)
    with pytest.raises(UserError, match="weight above 0"):
        student(folder).fit(texts, targets, CLASSES, [0] * 4)
    with pytest.raises(ValueError, match="targets"):
        student(folder).fit(texts, ["quiet"] * 4, CLASSES)
    with pytest.raises(ValueError, match="shape"):
        student(folder).fit(texts, targets, CLASSES, None, np.zeros((4, 3)))
    only = student(folder, TINY.model_copy(update={"steps": 2})).fit(texts, [0] * 4, [*CLASSES, "other"])
    np.testing.assert_array_equal(only.predict_proba(["a lake"]), [[1, 0, 0]])
