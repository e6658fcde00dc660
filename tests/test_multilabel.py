"""Multi-label learning from soft labels; invented texts, hand-worked scores and a tiny random encoder."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import check_grad
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from emosynth.errors import UserError
from emosynth.models.encoder import EncoderSettings, EncoderState, FineTunedEncoder
from emosynth.models.linear import OneVsRest, _objective
from encoder_files import VOCABULARY, make_tiny_encoder

# --- one-vs-rest ----------------------------------------------------------------------------------------


def problem(n=80, d=6, k=3, seed=0):
    """Return features, soft targets and weights of a noisy linear world."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    x[rng.random((n, d)) < 0.3] = 0.0
    soft = expit(x @ rng.normal(size=(d, k)) - 1 + rng.normal(size=(n, k)))
    return x, soft, rng.uniform(0.2, 2, n)


def test_gradient_of_the_penalised_loss():
    rng = np.random.default_rng(5)
    x, prior, penalty = rng.normal(size=(12, 3)), rng.normal(size=(4, 2)), rng.uniform(0, 1, (4, 2))
    fixed = (x, lambda z: (float(np.sin(z).sum()), np.cos(z)), prior, penalty)
    error = check_grad(
        lambda w: _objective(w.reshape(4, 2), *fixed)[0], lambda w: _objective(w.reshape(4, 2), *fixed)[1].ravel(), rng.normal(size=8)
    )
    assert error < 1e-5
    # one row, one feature: x 2, w (1, -2), so z 0; loss 7 with slope 3; plus (1 - 0)² · 1/2
    value, gradient = _objective(
        np.array([[1.0], [-2.0]]), np.array([[2.0]]), lambda z: (7.0, z + 3.0), np.zeros((2, 1)), np.array([[1.0], [0.0]])
    )
    assert value == pytest.approx(7.5)
    np.testing.assert_allclose(gradient.ravel(), [2 * 3 + 1, 3])


@pytest.mark.parametrize("sparse", [False, True])
def test_hard_labels_give_scikit_learns_logistic_regression(sparse):
    x, soft, mass = problem()
    hard = (soft > 0.5).astype(float)
    made = OneVsRest(0.7).fit(sp.csr_matrix(x) if sparse else x, hard, mass)
    assert made.converged
    for label in range(3):
        other = LogisticRegression(C=0.7, tol=1e-10, max_iter=10_000).fit(x, hard[:, label], sample_weight=mass)
        np.testing.assert_allclose(made.coef[label], other.coef_[0], atol=1e-4)
        np.testing.assert_allclose(made.predict_proba(x)[:, label], other.predict_proba(x)[:, 1], atol=1e-4)


def test_soft_labels_are_rows_counted_twice():
    x, soft, mass = problem()
    made = OneVsRest(2.0).fit(x, soft, mass)
    for label in range(3):
        p = soft[:, label]
        other = LogisticRegression(C=2.0, tol=1e-10, max_iter=10_000).fit(
            np.vstack([x, x]), np.repeat([1, 0], len(x)), sample_weight=np.concatenate([mass * p, mass * (1 - p)])
        )
        np.testing.assert_allclose(made.coef[label], other.coef_[0], atol=1e-4)
    # rows of weight 0 are no rows
    again = OneVsRest(2.0).fit(np.vstack([x, np.ones((1, 6))]), np.vstack([soft, [[1, 0, 1]]]), [*mass, 0])
    np.testing.assert_array_equal(again.predict_proba(x), made.predict_proba(x))


def test_labels_without_positives_or_negatives_predict_their_base_rate():
    x, soft, _ = problem(10)
    soft[:, 0], soft[:, 2] = 0.0, 1.0
    made = OneVsRest().fit(x, soft, np.full(10, 0.1))
    p = made.predict_proba(x)
    assert (p[:, 0] == 0).all() and (p[:, 2] == 1).all() and 0 < p[:, 1].min() < p[:, 1].max() < 1
    nothing = OneVsRest().fit(x, np.zeros((10, 3)))
    assert (nothing.predict_proba(sp.csr_matrix(x)) == 0).all() and nothing.converged


def test_an_earlier_fit_is_a_prior():
    x, soft, _ = problem()
    new, other, _ = problem(20, seed=1)
    first = OneVsRest(1.0).fit(x, soft)
    stays = OneVsRest(1e-9).fit(new, other, start=first)
    np.testing.assert_allclose(stays.coef, first.coef, atol=1e-6)
    np.testing.assert_allclose(stays.intercept, first.intercept, atol=1e-6)
    free = OneVsRest(1e7).fit(new, other, start=first)
    np.testing.assert_allclose(free.predict_proba(new), OneVsRest(1e7).fit(new, other).predict_proba(new), atol=1e-3)
    between = OneVsRest(0.5).fit(new, other, start=first)
    # at the maximum a posteriori, data and prior pull equally: X'(p − y) = −(w − w₀)/c, intercepts too
    pull = new.T @ (between.predict_proba(new) - other)
    np.testing.assert_allclose(pull, -(between.coef - first.coef).T / 0.5, atol=1e-3)
    np.testing.assert_allclose((between.predict_proba(new) - other).sum(axis=0), -(between.intercept - first.intercept) / 0.5, atol=1e-3)
    # a label that the new rows lack keeps the earlier model, pulled down
    other[:, 1] = 0.0
    kept = OneVsRest(0.5).fit(new, other, start=first).predict_proba(new)[:, 1]
    assert (kept > 0).all() and kept.mean() < first.predict_proba(new)[:, 1].mean()
    # a label that the earlier rows lacked has no prior but 0
    lacking = soft.copy()
    lacking[:, 1] = 0.0
    second = OneVsRest(0.5).fit(x, soft, start=OneVsRest().fit(x, lacking))
    np.testing.assert_allclose(second.coef[1], OneVsRest(0.5).fit(x, soft).coef[1], atol=1e-4)


def test_one_vs_rest_refuses_bad_input():
    x, soft, mass = problem(10)
    bad = soft.copy()
    bad[3, 1] = np.nan
    with pytest.raises(UserError, match="row 3, column 1"):
        OneVsRest().fit(x, bad)
    with pytest.raises(UserError, match="row 0, column 0"):
        OneVsRest().fit(x, soft + 1)
    with pytest.raises(UserError, match="9 rows of targets"):
        OneVsRest().fit(x, soft[:9])
    with pytest.raises(UserError, match="weights of shape"):
        OneVsRest().fit(x, soft, mass[:9])
    with pytest.raises(UserError, match="weights, row 0"):
        OneVsRest().fit(x, soft, -mass)
    with pytest.raises(UserError, match="weight above 0"):
        OneVsRest().fit(x, soft, 0 * mass)
    with pytest.raises(UserError, match="earlier fit has 3 labels"):
        OneVsRest().fit(x, soft[:, :2], start=OneVsRest().fit(x, soft))
    with pytest.raises(UserError, match="finite"):
        OneVsRest().fit(np.full_like(x, np.inf), soft)
    with pytest.raises(UserError, match="c is 0"):
        OneVsRest(0)


# --- encoder --------------------------------------------------------------------------------------------

LABELS = ["calm", "stir", "awe"]
TINY = EncoderSettings(layers=2, steps=60, batch=8, learning_rate=3e-3, max_tokens=16)
LONG = EncoderSettings(layers=2, steps=150, batch=8, learning_rate=3e-3, max_tokens=16)
SHORT = EncoderSettings(layers=2, steps=4, batch=4, learning_rate=3e-3, max_tokens=16)
TEXTS = ["the lake is mild", "a loud song", "mild rain", "the door is loud", "a cake", "the loud loud lake", "rain is a song", "mild cake"]
SOFT = np.array(
    [[1, 0, 0.5], [0, 1, 0], [1, 0, 0], [0, 1, 0.2], [0.5, 0.5, 0], [0, 1, 1], [0.3, 0.4, 0.8], [1, 0, 0]], dtype=float
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def first_stage(folder):
    return model(folder).fit(TEXTS, SOFT).state()


def model(folder, settings=SHORT, labels=LABELS, seed=1):
    return FineTunedEncoder(folder, settings, labels, single=False, seed=seed)


def cross_entropy(p, q):
    return -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean()


def test_encoder_overfits_eight_rows(folder):
    told = []
    little = model(folder).fit(TEXTS, SOFT).predict_proba(TEXTS)
    much = model(folder, LONG).fit(TEXTS, SOFT, progress=told.append)
    p = much.predict_proba(TEXTS)
    assert p.shape == (8, 3) and told[-1] == "encoder: step 150 of 150" and len(told) == 10
    entropy = cross_entropy(np.clip(SOFT, 1e-9, 1 - 1e-9), SOFT)  # soft labels leave at least this
    assert cross_entropy(p, SOFT) - entropy < 0.3 * (cross_entropy(little, SOFT) - entropy)
    assert ((p > 0.5) == (SOFT > 0.5))[np.abs(SOFT - 0.5) > 0.15].all()
    np.testing.assert_allclose(p, expit(much.logits(TEXTS)))
    assert much.predict_proba([]).shape == (0, 3) and much.embed([]).shape == (0, 16)


def test_equal_seeds_give_equal_bytes_and_leave_random_state_alone(folder):
    import torch

    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = model(folder).fit(TEXTS, SOFT).state().to_bytes()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    # rows of weight 0 are left out, so this is the same fit
    again = model(folder).fit([*TEXTS, "a door"], np.vstack([SOFT, [[1, 1, 1]]]), [1.0] * 8 + [0.0]).state().to_bytes()
    assert one == again
    other = EncoderState(**{**vars(model(folder, seed=2).fit(TEXTS, SOFT).state()), "seed": 1})
    assert other.to_bytes() != one  # it is the parameters that differ, not only the header


def test_weights_count(folder):
    both, targets = TEXTS * 2, np.vstack([SOFT, 1 - SOFT])
    p = model(folder, LONG).fit(both, targets, [1.0] * 8 + [0.01] * 8).predict_proba(TEXTS)
    sure = np.abs(SOFT - 0.5) > 0.3
    assert ((p > 0.5) == (SOFT > 0.5))[sure].mean() > 0.9


def test_a_new_head_starts_at_the_base_rates(folder):
    made = model(folder)
    made._open()
    made._start_head(SOFT, np.ones(8))
    np.testing.assert_allclose(made.head.bias.detach(), logit((SOFT.sum(axis=0) + 0.5) / 9), rtol=1e-5)


def test_a_second_stage_goes_on_from_the_first(folder, first_stage):
    alone = model(folder, seed=3).fit(TEXTS[:4], SOFT[:4])
    second = model(folder, seed=3).fit(TEXTS[:4], SOFT[:4], start=first_stage)
    assert np.abs(alone.embed(TEXTS) - second.embed(TEXTS)).max() > 1e-3
    # with no step of any size, the second stage is the first, its labels in whatever order
    still = EncoderSettings(**{**vars(SHORT), "learning_rate": 1e-12})
    reference = model(folder).load_state(first_stage)
    turned = model(folder, still, LABELS[::-1]).fit(TEXTS, SOFT[:, ::-1], start=first_stage)
    np.testing.assert_allclose(turned.logits(TEXTS)[:, ::-1], reference.logits(TEXTS), atol=1e-5)
    # other labels: the mean of two, and one that starts anew
    mapped = model(folder, still, ["mood", "new"]).fit(TEXTS, SOFT[:, :2], start=first_stage, head_map=[[0.5, 0], [0.5, 0], [0, 0]])
    np.testing.assert_allclose(mapped.logits(TEXTS)[:, 0], reference.logits(TEXTS)[:, :2].mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(mapped.embed(TEXTS), reference.embed(TEXTS), atol=1e-5)
    unmapped = model(folder, still, ["mood", "new"]).fit(TEXTS, SOFT[:, :2], start=first_stage)
    np.testing.assert_array_equal(unmapped.logits(TEXTS)[:, 1], mapped.logits(TEXTS)[:, 1])
    assert np.abs(unmapped.logits(TEXTS)[:, 0] - mapped.logits(TEXTS)[:, 0]).max() > 1e-2


def test_state_round_trip(folder, first_stage, tmp_path):
    file = tmp_path / "deep" / "state.safetensors"
    first_stage.save(file)
    read = EncoderState.read(file)
    assert (read.labels, read.settings, read.seed, read.base) == (tuple(LABELS), SHORT, 1, first_stage.base)
    assert read.to_bytes() == file.read_bytes() == first_stage.to_bytes()
    assert not any("word_embeddings" in name for name in read.tensors)  # never trained, and half of a small encoder
    once, again = model(folder).fit(TEXTS, SOFT), model(folder, seed=9).load_state(read)
    np.testing.assert_array_equal(once.predict_proba(TEXTS), again.predict_proba(TEXTS))
    (tmp_path / "other").write_bytes(b"no tensors")
    for name in ("other", "missing"):
        with pytest.raises(UserError, match="not the state"):
            EncoderState.read(tmp_path / name)


def test_pairs_are_pooled_over_the_utterance_alone(folder, first_stage):
    import torch

    made = model(folder).load_state(first_stage)
    pair = ("the rain is loud", "a cake")
    one = made._inputs([pair])[0]
    words = [VOCABULARY[token] for token in one.ids]
    assert words == ["[CLS]", "the", "rain", "is", "loud", "[SEP]", "a", "cake", "[SEP]"]
    assert one.types == [0] * 6 + [1] * 3 and one.own == [0] * 6 + [1, 1, 0]
    with torch.inference_mode():
        hidden = made.encoder(torch.tensor([one.ids]), token_type_ids=torch.tensor([one.types])).last_hidden_state[0]
    np.testing.assert_allclose(made.embed([pair])[0], hidden[6:8].mean(dim=0), atol=1e-5)
    cut = made._inputs([("the rain " * 9, "a cake")])[0]
    assert sum(cut.own) == 2 and cut.own[-3:] == [1, 1, 0]
    # yet the context is read
    assert np.abs(made.embed([pair]) - made.embed([("mild lake", "a cake")])).max() > 1e-3
    assert np.abs(made.embed([pair]) - made.embed(["a cake"])).max() > 1e-3
    # an empty context is none; a lone utterance is pooled without its special tokens
    np.testing.assert_allclose(made.embed([("", "a cake")]), made.embed(["a cake"]), atol=1e-5)
    assert made._inputs(["a cake"])[0].own == [0, 1, 1, 0]
    # without a token of its own, an utterance is its special tokens, not its context
    assert made._inputs([("a cake", " ")])[0].own == [1, 0, 0, 1, 1]


def test_long_inputs_lose_the_beginning_of_the_context_first(folder, first_stage):
    made = model(folder).load_state(first_stage)  # 16 tokens, 3 of them special
    assert [VOCABULARY[token] for token in made._inputs([("the " * 20 + "lake", "loud " * 10)])[0].ids] == [
        "[CLS]", "the", "the", "lake", "[SEP]", *["loud"] * 10, "[SEP]",
    ]  # fmt: skip
    full = made._inputs([("the lake", "mild " + "loud " * 30)])[0]
    assert [VOCABULARY[token] for token in full.ids] == ["[CLS]", "[SEP]", "mild", *["loud"] * 12, "[SEP]"]
    lone = "mild " + "loud " * 30
    made.tokenizer.truncation_side = "left"
    pair = made.tokenizer("a " * 9 + "the " * 9, "loud cake", truncation="only_first", max_length=16)
    made._backend.no_truncation()
    assert made._inputs([("a " * 9 + "the " * 9, "loud cake")])[0].ids == list(pair["input_ids"])
    made.tokenizer.truncation_side = "right"
    expected = made.tokenizer(lone, truncation=True, max_length=16)["input_ids"]
    made._backend.no_truncation()
    assert made._inputs([lone])[0].ids == list(expected)


def test_an_embedding_knows_no_neighbours(folder, first_stage):
    made = model(folder).load_state(first_stage)
    mixed = [*TEXTS, ("the rain " * 4, "mild"), "a " * 12] * 3
    together = made.embed(mixed)
    np.testing.assert_allclose(together, np.vstack([made.embed([text]) for text in mixed]), atol=1e-5)
    assert together.dtype == np.float32 and np.isfinite(together).all()


def test_pairs_can_be_learnt_by_context_alone(folder):
    contexts = ["mild mild rain", "loud loud rain"] * 4
    rows = [(context, "the cake") for context in contexts]
    targets = np.array([[1, 0], [0, 1]] * 4, dtype=float)
    p = model(folder, TINY, ["calm", "stir"]).fit(rows, targets).predict_proba(rows)
    assert ((p > 0.5) == (targets > 0.5)).all()


def test_encoder_refuses_bad_input(folder, first_stage, tmp_path):
    bad = SOFT.copy()
    bad[2, 1] = np.nan
    with pytest.raises(UserError, match="row 2, column 1"):
        model(folder).fit(TEXTS, bad)
    with pytest.raises(UserError, match="from 0 to 1"):
        model(folder).fit(TEXTS, SOFT * 2)
    with pytest.raises(UserError, match="8 texts and 7 rows"):
        model(folder).fit(TEXTS, SOFT[:7])
    with pytest.raises(UserError, match="3 labels and 2 columns"):
        model(folder).fit(TEXTS, SOFT[:, :2])
    with pytest.raises(UserError, match="weight above 0"):
        model(folder).fit(TEXTS, SOFT, [0] * 8)
    with pytest.raises(UserError, match="labels are"):
        model(folder, labels=["calm", "stir", "fear"]).load_state(first_stage)
    with pytest.raises(UserError, match="none twice"):
        model(folder, labels=["calm", "calm"])
    with pytest.raises(UserError, match="head_map"):
        model(folder, labels=["x", "y"]).fit(TEXTS, SOFT[:, :2], start=first_stage, head_map=np.ones((2, 3)))
    with pytest.raises(UserError, match="head_map"):
        model(folder).fit(TEXTS, SOFT, head_map=np.eye(3))
    with pytest.raises(UserError, match="layers"):
        model(folder, EncoderSettings(layers=1, max_tokens=16)).fit(TEXTS, SOFT, start=first_stage)
    with pytest.raises(UserError, match="another encoder"):
        model(folder).load_state(EncoderState(**{**vars(first_stage), "base": "0" * 64}))
    with pytest.raises(UserError, match="reads 32 tokens"):
        model(folder, EncoderSettings(max_tokens=33)).fit(TEXTS, SOFT)
    with pytest.raises(UserError, match=r"config\.json"):
        model(tmp_path).fit(TEXTS, SOFT)
    with pytest.raises(UserError, match="row 1"):
        model(folder).load_state(first_stage).embed(["a cake", ("a", "b", "c")])
    with pytest.raises(UserError, match="not been trained"):
        model(folder).embed(["a cake"])
    with pytest.raises(UserError, match="out of range"):
        EncoderSettings(steps=0)
