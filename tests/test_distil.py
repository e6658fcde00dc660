"""The distillation loss, and softmax models trained with it; invented texts and a tiny random encoder."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from emosynth.design.rows import class_balance
from emosynth.errors import UserError
from emosynth.models.encoder import EncoderSettings, FineTunedEncoder, RowLoss
from emosynth.models.linear import SoftmaxRegression
from emosynth.models.loss import SoftLabels, row_losses, softmax, torch_row_losses
from emosynth.models.transformer import keep_layers, load_encoder, training_batches
from encoder_files import VOCABULARY, make_tiny_encoder

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
TARGETS = np.eye(2)
WEIGHTS = np.array([1.0, 0.3])
SETTING = {"alpha": 0.8, "temperature": 2.0}


def distillation_loss(student, teacher, targets, weights, *, alpha, temperature):
    """Return the loss of n rows and its gradient by the student's logits, as the module's text has it."""
    soft = None if teacher is None else SoftLabels.make(teacher, temperature)
    losses, gradient = row_losses(student, soft, targets, alpha=alpha, temperature=temperature)
    mass = np.ones(len(student)) if weights is None else np.asarray(weights)
    return float((mass * losses).mean()), gradient * (mass / len(student))[:, None]


def spread(weights):
    return np.full(len(weights), np.mean(weights))


def test_loss_is_the_one_worked_by_hand():
    value, gradient = distillation_loss(STUDENT, TEACHER, TARGETS, WEIGHTS, **SETTING)
    assert value == pytest.approx(0.1941496, abs=1e-6)
    np.testing.assert_allclose(gradient, [[-0.1317111, 0.1317111], [0.0704541, -0.0704541]], atol=1e-6)
    batch, _ = distillation_loss(STUDENT, TEACHER, TARGETS, spread(WEIGHTS), **SETTING)
    assert batch == pytest.approx(0.2385027, abs=1e-6)


@st.composite
def problems(draw):
    n, k = draw(st.integers(1, 6)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([0.1, 1.0, 5.0]))
    return {
        "student": size * rng.normal(size=(n, k)),
        "teacher": draw(st.sampled_from([None, size * rng.normal(size=(n, k))])),
        "targets": draw(st.sampled_from([np.eye(k)[rng.integers(0, k, n)], rng.dirichlet(np.ones(k), n)])),
        "weights": np.append(rng.choice([0.0, 0.3, 1.0], n - 1), 1.0),
        "alpha": draw(st.sampled_from([0.0, 0.35, 0.8, 1.0])),
        "temperature": draw(st.sampled_from([0.5, 1.0, 2.0, 7.0])),
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
    losses = torch_row_losses(
        student,
        None if problem["teacher"] is None else torch.tensor(problem["teacher"]),
        torch.tensor(problem["targets"]),
        alpha=problem["alpha"],
        temperature=problem["temperature"],
    )
    assert losses.shape == (len(student),)
    made = (losses * torch.tensor(problem["weights"])).mean()
    made.backward()
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
    _, gradient = distillation_loss(student, teacher, np.eye(3)[[0] * 4], None, alpha=1.0, temperature=1e4)
    difference = student - teacher
    limit = (difference - difference.mean(axis=1, keepdims=True)) / 3 / 4  # k classes, n rows
    np.testing.assert_allclose(gradient, limit, rtol=1e-3, atol=1e-5)


def test_a_weight_belongs_to_its_row_unless_the_batch_is_averaged_first():
    swapped = WEIGHTS[::-1]
    row = [distillation_loss(STUDENT, TEACHER, TARGETS, w, **SETTING)[0] for w in (WEIGHTS, swapped)]
    batch = [distillation_loss(STUDENT, TEACHER, TARGETS, spread(w), **SETTING)[0] for w in (WEIGHTS, swapped)]
    assert abs(row[0] - row[1]) > 0.05
    assert batch[0] == pytest.approx(batch[1], abs=1e-12)
    _, gradient = distillation_loss(STUDENT, TEACHER, TARGETS, [1, 0], **SETTING)
    assert gradient[0].any() and not gradient[1].any()


def test_mean_is_over_rows_not_over_weights():
    full, _ = distillation_loss(STUDENT, TEACHER, TARGETS, [1, 1], **SETTING)
    light, _ = distillation_loss(STUDENT, TEACHER, TARGETS, [0.3, 0.3], **SETTING)
    assert light == pytest.approx(0.3 * full)


def test_certain_teacher_is_a_hard_label():
    rng = np.random.default_rng(2)
    student, targets, weights = rng.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2]), rng.random(5)
    soft = distillation_loss(student, 1e6 * np.eye(4)[targets], np.eye(4)[targets], weights, alpha=1.0, temperature=1.0)
    hard = distillation_loss(student, None, np.eye(4)[targets], weights, alpha=1.0, temperature=1.0)
    assert soft[0] == pytest.approx(hard[0], rel=1e-12)
    np.testing.assert_allclose(soft[1], hard[1], atol=1e-12)
    # and the loss without a teacher is scikit-learn's
    from sklearn.metrics import log_loss

    assert hard[0] * 5 / weights.sum() == pytest.approx(log_loss(targets, softmax(student), sample_weight=weights, labels=range(4)))


@pytest.mark.parametrize("size", [1e3, 1e8, 1e150])
def test_huge_logits_are_no_trouble(size):
    student = size * np.array([[1.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    value, gradient = distillation_loss(student, -student, np.eye(3)[[1, 1]], [1, 1], **SETTING)
    assert np.isfinite(value) and value > size / 10
    assert np.isfinite(gradient).all() and (np.abs(gradient) <= 1).all()
    same, gradient = distillation_loss(student, student, np.eye(3)[[0, 1]], [1, 1], **SETTING)
    assert same == pytest.approx(0, abs=1e-12) and np.abs(gradient).max() < 1e-12


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_teacher_must_be_finite(bad):
    teacher = TEACHER.copy()
    teacher[1, 0] = bad
    with pytest.raises(UserError, match="teacher, row 1"):
        SoftmaxRegression(**SETTING).fit(np.eye(2), TARGETS, WEIGHTS, teacher)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 1.1},
        {"alpha": float("nan")},
        {"temperature": 0.0},
        {"c": 0.0},
        {"teacher": TEACHER[:1]},
        {"targets": [0, 1]},
        {"targets": [[1, 0], [1, 1]]},
        {"targets": [[1, 0], [2, -1]]},
        {"weights": [1.0, -1.0]},
        {"weights": [1.0]},
        {"features": np.eye(2) + np.inf},
    ],
)
def test_bad_input_is_refused(change):
    given = {"features": np.eye(2), "teacher": TEACHER, "targets": TARGETS, "weights": WEIGHTS, "c": 1.0, **SETTING, **change}
    with pytest.raises((ValueError, UserError)):
        model = SoftmaxRegression(given["c"], alpha=given["alpha"], temperature=given["temperature"])
        model.fit(given["features"], given["targets"], given["weights"], given["teacher"])


def test_softmax():
    np.testing.assert_allclose(softmax([[0.0, np.log(3)]]), [[0.25, 0.75]])
    np.testing.assert_allclose(softmax([[0.0, np.log(9)]], 2.0), [[0.25, 0.75]])
    np.testing.assert_array_equal(softmax([[1.0, -np.inf]]), [[1, 0]])
    with pytest.raises(ValueError, match="temperature"):
        softmax([[0.0, 1.0]], 0.0)


def test_probabilities_taken_for_logits_are_nearly_uniform():
    """The published defect: what a caller gets who passes the teacher's probabilities."""
    logits = np.array([[6.0, 0.0, 0.0, 0.0]])
    assert softmax(logits).max() > 0.99
    assert softmax(softmax(logits)).max() < 0.48


# --- softmax regression -------------------------------------------------------------------------------


def rows(n=160, d=30, k=3, seed=0):
    """Return sparse features, one-hot targets and teacher's logits of an invented, noisy problem."""
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(k), rng.choice(k, n - k, p=np.arange(1, k + 1) / (k * (k + 1) / 2))])
    x = np.abs(rng.normal(size=(n, d))) * (rng.random((n, d)) < 0.25)
    x[np.arange(n), targets] += 0.7
    return sp.csr_matrix(x), np.eye(k)[targets], rng.normal(size=(n, k)) + 2.5 * np.eye(k)[targets]


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("c", [0.3, 30.0])
def test_hard_labels_give_logistic_regression(k, c):
    x, targets, teacher = rows(k=k)
    weights = np.where(np.arange(len(targets)) % 3, 0.3, 1.0)
    expected = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit(x, targets.argmax(axis=1), weights).predict_proba(x)
    for guide, alpha in ((None, 0.8), (teacher, 0.0)):
        for features in (x, x.toarray()):
            model = SoftmaxRegression(c, alpha=alpha, temperature=2.0).fit(features, targets, weights, guide)
            assert model.converged
            np.testing.assert_allclose(model.predict_proba(features), expected, atol=1e-3)


def test_soft_targets_are_rows_counted_once_a_class():
    x, _, _ = rows()
    soft = np.random.default_rng(3).dirichlet(np.ones(3), x.shape[0])
    weights = np.linspace(0.2, 2, x.shape[0])
    made = SoftmaxRegression(2.0).fit(x, soft, weights)
    other = SoftmaxRegression(2.0).fit(sp.vstack([x] * 3), np.repeat(np.eye(3), len(soft), axis=0), (soft * weights[:, None]).T.ravel())
    np.testing.assert_allclose(made.predict_proba(x), other.predict_proba(x), atol=1e-4)


def test_fit_is_at_the_minimum_of_the_loss():
    """At the minimum, the gradient of the public loss by the coefficients is that of the penalty."""
    x, targets, teacher = rows()
    n, weights = len(targets), np.where(np.arange(len(targets)) < 40, 1.0, 0.3)
    model = SoftmaxRegression(2.0, **SETTING).fit(x, targets, weights, teacher)
    _, by_logit = distillation_loss(model.margins(x), teacher, targets, weights, **SETTING)
    np.testing.assert_allclose(n * (x.T @ by_logit).T, -model.coef / 2.0, atol=5e-3)
    np.testing.assert_allclose(n * by_logit.sum(axis=0), 0, atol=5e-3)
    assert np.abs(model.coef).max() > 0.2


def test_an_earlier_fit_is_a_prior():
    x, targets, _ = rows()
    new, other, _ = rows(40, seed=1)
    first = SoftmaxRegression(1.0).fit(x, targets)
    stays = SoftmaxRegression(1e-9).fit(new, other, start=first)
    np.testing.assert_allclose(stays.coef, first.coef, atol=1e-6)
    np.testing.assert_allclose(stays.intercept, first.intercept, atol=1e-6)
    free = SoftmaxRegression(1e7).fit(new, other, start=first)
    np.testing.assert_allclose(free.predict_proba(new), SoftmaxRegression(1e7).fit(new, other).predict_proba(new), atol=2e-3)
    between = SoftmaxRegression(0.5).fit(new, other, start=first)
    # at the maximum a posteriori, data and prior pull equally: X'(p − y) = −(w − w₀)/c, intercepts too
    apart = between.predict_proba(new) - other
    np.testing.assert_allclose(new.T @ apart, -(between.coef - first.coef).T / 0.5, atol=1e-3)
    np.testing.assert_allclose(apart.sum(axis=0), -(between.intercept - first.intercept) / 0.5, atol=1e-3)
    # a class that the new rows lack keeps the earlier model's, pulled down
    few = np.flatnonzero(other[:, 1] == 0)
    p = SoftmaxRegression(0.5).fit(new[few], other[few], start=first).predict_proba(new)[:, 1]
    assert (p > 0).all() and p.mean() < first.predict_proba(new)[:, 1].mean()
    with pytest.raises(UserError, match="earlier fit has 3 labels and 30 features"):
        SoftmaxRegression().fit(new[:, 1:], other, start=first)


def test_student_follows_its_teacher():
    x, targets, teacher = rows(n=400)
    wrong = np.roll(teacher, 1, axis=1)  # calls class 0 class 1, and so on

    def choices(alpha):
        model = SoftmaxRegression(30.0, alpha=alpha, temperature=2.0).fit(x, targets, class_balance(targets, np.ones(400)), wrong)
        return model.predict_proba(x).argmax(axis=1)

    true = targets.argmax(axis=1)
    assert (choices(0.0) == true).mean() > 0.8
    assert (choices(1.0) == (true + 1) % 3).mean() > 0.8


def test_weight_0_is_no_row_and_weight_2_is_the_row_twice():
    x, targets, teacher = rows()
    bad = teacher.copy()
    bad[:10] = np.nan  # of rows that do not take part
    weights = np.ones(len(targets))
    weights[:10] = 0
    weights[10:30] = 2
    once = SoftmaxRegression(**SETTING).fit(x, targets, weights, bad)
    order = np.concatenate([np.arange(10, len(targets)), np.arange(10, 30)])
    twice = SoftmaxRegression(**SETTING).fit(x[order], targets[order], None, teacher[order])
    np.testing.assert_allclose(once.predict_proba(x), twice.predict_proba(x), atol=1e-3)
    with pytest.raises(UserError, match="weight above 0"):
        SoftmaxRegression(**SETTING).fit(x, targets, np.zeros(len(targets)))


def test_absent_class_gets_probability_only_from_a_teacher():
    x, pair, teacher = rows(k=2)
    targets = np.insert(pair, 1, 0.0, axis=1)  # classes 0 and 2 of three
    wide = np.insert(teacher, 1, 0.0, axis=1)
    for model in (SoftmaxRegression(**SETTING).fit(x, targets), SoftmaxRegression(alpha=0.0).fit(x, targets, None, wide)):
        p = model.predict_proba(x)
        assert not p[:, 1].any() and (model.margins(x)[:, 1] == -np.inf).all()
        np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (SoftmaxRegression(**SETTING).fit(x, targets, None, wide).predict_proba(x)[:, 1] > 0).all()
    only = SoftmaxRegression(**SETTING).fit(x, np.tile([0.0, 0.0, 1.0], (x.shape[0], 1)))
    np.testing.assert_array_equal(only.predict_proba(x)[:3], [[0, 0, 1]] * 3)


def test_features_are_left_alone():
    x, targets, teacher = rows()
    before = x.copy()
    SoftmaxRegression(**SETTING).fit(x, targets, None, teacher)
    assert (x != before).nnz == 0


# --- encoder with a softmax head ----------------------------------------------------------------------

TINY = EncoderSettings(layers=2, steps=150, batch=8, learning_rate=3e-3, max_tokens=16)
CLASSES = ["quiet", "noisy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("bert"))


def sentences(n=40, seed=0):
    """Return texts and one-hot targets: "mild" is quiet, "loud" is noisy."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    words = [[*rng.choice(VOCABULARY[4:-2], rng.integers(2, 9)), ["mild", "loud"][target]] for target in targets]
    return [" ".join(rng.permutation(row)) for row in words], np.eye(2)[targets]


def right(p, targets):
    return (p.argmax(axis=1) == targets.argmax(axis=1)).mean()


def encoder(folder, settings=TINY, seed=1, labels=CLASSES):
    return FineTunedEncoder(folder, settings, labels, single=True, seed=seed)


def taught(targets, alpha=0.8, **options):
    return RowLoss(3.0 * targets, alpha, 2.0, **options)


def test_encoder_learns_from_hard_and_from_soft_labels(folder):
    texts, targets = sentences()
    new, expected = sentences(seed=9)
    told = []
    p = encoder(folder).fit(texts, targets, progress=told.append).predict_proba(new)
    assert p.shape == (40, 2) and told[-1] == "encoder: step 150 of 150" and len(told) == 10
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert right(p, expected) > 0.8
    # alpha 1: the targets, here all wrong, have no say
    assert right(encoder(folder).fit(texts, 1 - targets, None, taught(targets, 1.0)).predict_proba(new), expected) > 0.8
    epochs = EncoderSettings(layers=2, batch=8, learning_rate=3e-3, max_tokens=16, epochs=3)
    assert epochs.steps_for(41) == 18


def test_encoder_is_deterministic_and_leaves_random_state_alone(folder):
    import torch

    texts, targets = sentences(12)
    short = EncoderSettings(**{**vars(TINY), "steps": 5})
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = encoder(folder, short).fit(texts, targets, None, taught(targets)).predict_proba(texts)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    # rows of weight 0 are left out, so this is the same fit
    loss = RowLoss(np.vstack([3.0 * targets, [[np.nan, 0]]]), 0.8, 2.0, balance=np.append(np.ones(12), 7.0))
    again = encoder(folder, short).fit([*texts, "a door"], np.vstack([targets, [[1, 0]]]), [1.0] * 12 + [0.0], loss)
    np.testing.assert_array_equal(again.predict_proba(texts), first)
    other = encoder(folder, short, seed=2).fit(texts, targets, None, taught(targets)).predict_proba(texts)
    assert np.abs(other - first).max() > 1e-4
    assert again.predict_proba([]).shape == (0, 2)


def test_encoder_heeds_weights(folder):
    texts, targets = sentences()
    both, labels = texts * 2, np.vstack([targets, 1 - targets])  # each text once with each label
    weights = np.where(np.arange(80) < 40, 1.0, 0.02)
    assert right(encoder(folder).fit(both, labels, weights, RowLoss()).predict_proba(texts), targets) > 0.9
    # averaged over a batch of all rows, the weights cancel, and the labels contradict each other
    blind = EncoderSettings(**{**vars(TINY), "batch": 80, "steps": 30})
    p = encoder(folder, blind).fit(both, labels, weights, RowLoss(batch_weights=True)).predict_proba(texts)
    assert p.max() < 0.8
    # and balance is not averaged away: the factors of one class are 0
    p = encoder(folder, blind).fit(both, labels, weights, RowLoss(batch_weights=True, balance=labels[:, 0])).predict_proba(texts)
    assert (p[:, 0] > 0.9).all()


def test_encoder_keeps_the_token_embeddings_and_trains_the_first_layers(folder):
    _, whole = load_encoder(folder)
    texts, targets = sentences(12)
    made = encoder(folder, EncoderSettings(**{**vars(TINY), "steps": 3})).fit(texts, targets)
    before, after = whole.state_dict(), made.encoder.state_dict()
    changed = {name for name, value in after.items() if not value.equal(before[name])}
    assert "embeddings.word_embeddings.weight" not in changed
    assert any(name.startswith("encoder.layer.1.") for name in changed)
    assert not any(name.startswith("encoder.layer.2.") for name in after)


def test_first_layers_give_the_hidden_states_of_the_whole_model(folder):
    import torch

    _, whole = load_encoder(folder)
    _, cut = load_encoder(folder)
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

    made = list(training_batches([1 + row % 5 for row in range(n)], batch, steps, random.Random(0)))
    assert len(made) == steps and all(0 < len(rows) <= batch for rows in made)
    epoch = -(-n // batch)
    for start in range(0, steps - epoch + 1, epoch):
        assert sorted(row for rows in made[start : start + epoch] for row in rows) == list(range(n))


def test_softmax_encoder_refuses_bad_input_and_gives_absent_classes_nothing(folder, tmp_path):
    texts, targets = sentences(4)
    with pytest.raises(UserError, match="layers"):
        encoder(folder, EncoderSettings(**{**vars(TINY), "layers": 4})).fit(texts, targets)
    with pytest.raises(UserError, match="single-label"):
        encoder(folder).fit(texts, np.ones((4, 2)))
    with pytest.raises(UserError, match="teacher"):
        encoder(folder).fit(texts, targets, None, RowLoss(np.zeros((4, 3)), 0.5))
    short = EncoderSettings(**{**vars(TINY), "steps": 2})
    only = encoder(folder, short, labels=[*CLASSES, "other"]).fit(texts, np.eye(3)[[0] * 4])
    np.testing.assert_array_equal(only.predict_proba(["a lake"]), [[1, 0, 0]])
    # a softmax that goes on from another space: the mapped class has the earlier logit, the other the mean bias of the mapped
    still = EncoderSettings(**{**vars(short), "learning_rate": 1e-12})
    first = encoder(folder).fit(*sentences())
    second = encoder(folder, still, labels=["calm", "new"]).fit(texts, targets, start=first.state(), head_map=[[1, 0], [0, 0]])
    np.testing.assert_allclose(second.logits(texts)[:, 0], first.logits(texts)[:, 0], atol=1e-4)
    assert second.head.bias[1].item() == pytest.approx(first.head.bias[0].item(), abs=1e-6)
