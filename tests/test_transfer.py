"""Step transfer: which models are trained on what, how they are scored, and what is made of context."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score

from emosynth.cards import Card, read_table, write_table
from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.evidence.grounding_claims import judge_grounding, p_of_interval
from emosynth.models.classifiers import embedding_features
from emosynth.models.multilabel import EncoderState, MultiLabelEncoder, OneVsRest
from emosynth.params import Evidence, Params, Seeding, Transfer, TransferContext, TransferEncoder, TransferLearner, load_params
from emosynth.paths import Paths
from emosynth.progress import Progress
from emosynth.store import RowStore
from emosynth.taxonomy import Taxonomies
from emosynth.transfer import build as build_code
from emosynth.transfer import (
    build_transfer,
    emotion_embeddings,
    explain_rows,
    learners,
    plots,
    run_context,
    run_probe,
    run_transfer,
    scorer,
    text_plot_html,
)
from emosynth.transfer.context import ALL_REPEATS, INPUTS, _data, _Texts, flips, held_out_stories, resampled, with_character
from emosynth.transfer.design import OTHERS, SEED, Run, list_runs
from emosynth.transfer.learners import Encoder, Fitted, Job, Linear
from emosynth.transfer.rows import (
    Rows,
    Synthetic,
    as_synthetic,
    balanced,
    build_target,
    draw,
    head_map,
    joint,
    multi_hot,
    other_rows,
    synthetic_rows,
)
from emosynth.transfer.run import PER_CLASS, SCORES, evaluate, scored
from emosynth.transfer.scorer import run_scorer

TAXONOMIES = Taxonomies.load(Path(__file__).parent.parent / "data" / "taxonomies.yaml")
GO, EKMAN = TAXONOMIES.get("goemotions"), TAXONOMIES.get("ekman")
SEEDING = Seeding(sizes=[14, 28], repeats=2, min_per_class=1)
TUNE = TransferEncoder(layers=1, pretrain_steps=6, tune_steps=3, batch=4, learning_rate=3e-3, max_tokens=16)
ALL = {name: TransferLearner() for name in ("tfidf", "embedding", "encoder")}
PLACES = ["lake", "rain", "song", "cake", "door", "road", "lamp", "boat", "hill", "coat"]
FEELINGS = {
    "joy": "glad", "anger": "mad", "sadness": "low", "fear": "shaky", "disgust": "sick", "surprise": "struck", "neutral": "plain",
}  # fmt: skip


# --- an invented world ----------------------------------------------------------------------------------


def sentence(labels, number):
    rng = np.random.default_rng(number)
    return f"{' '.join(FEELINGS[label] for label in labels)} {' '.join(rng.choice(PLACES, 4))} {rng.integers(10_000)}"


def ekman_corpus():
    """Return a multi-label corpus of Ekman's labels, every third row with two."""
    rows = []
    for number in range(168):
        labels = [EKMAN.labels[number % 7]] + ([EKMAN.labels[(number + 1) % 7]] if number % 3 == 0 else [])
        split = "train" if number < 84 else "validation" if number < 126 else "test"
        rows.append({"id": f"e{number:03d}", "text": sentence(labels, number), "labels": labels, "split": split, "corpus": "faces"})
    return Corpus("faces", pd.DataFrame(rows), list(EKMAN.labels), "multi", "note", {}, hash="h")


def poles_corpus():
    """Return a single-label corpus, three quarters of it positive."""
    rows = []
    for number in range(120):
        label = "negative" if number % 4 == 0 else "positive"
        split = "train" if number < 60 else "validation" if number < 88 else "test"
        text = sentence(["joy" if label == "positive" else "sadness"], 1000 + number)
        rows.append({"id": f"p{number:03d}", "text": text, "labels": [label], "split": split, "corpus": "poles"})
    return Corpus("poles", pd.DataFrame(rows), ["positive", "negative"], "single", "note", {}, hash="h")


def synthetic(per_arm=28, noisy="loose"):
    """Return rows of two arms; the soft labels of the noisy one are those of another emotion."""
    rows, k = [], len(GO.labels)
    names = list(FEELINGS)
    for arm in ("grounded", noisy):
        for number in range(per_arm):
            label = names[number % 7]
            other = label if arm == "grounded" else names[(number + 3) % 7]
            soft = np.full(k, 0.2 / k)
            soft[GO.labels.index(other)] += 0.8
            kind = "contextual" if number % 2 else "contextless"
            rows.append(
                {
                    "row_id": f"{arm}/{number:03d}/{kind}", "example_id": f"{arm}/{number:03d}", "arm": arm, "kind": kind, "emotions": [label],
                    "text": sentence([label], 5000 + number + 500 * (arm != "grounded")), "context": "", "character": "", "passage_id": "",
                    "story_id": f"s{number % 6}", "generator": "g", "kept": number != 0, "soft": soft.tolist(),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


CORPORA = {"faces": ekman_corpus(), "poles": poles_corpus()}
ROWS = synthetic()
FACES = build_target(CORPORA["faces"], TAXONOMIES, SEEDING)
POLES = build_target(CORPORA["poles"], TAXONOMIES, SEEDING)
TO_EKMAN, TO_POLES = TAXONOMIES.map("goemotions", "ekman"), TAXONOMIES.map("goemotions", "valence-two")


def params(**changed):
    base = {
        "targets": ["faces", "poles"], "seeding": SEEDING, "arm": "grounded", "against": "loose", "learners": ALL, "encoder": TUNE, "c_grid": [0.3, 3.0],
    }  # fmt: skip
    return Transfer(**{**base, **changed})


def embed(texts):
    """Return unit-length bags of words."""
    out = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            out[row, zlib.crc32(word.encode()) % 64] += 1
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Save a random BERT of two layers over the world's words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *PLACES, *FEELINGS.values(), "sun", "storm", "she", ":"]
    path = tmp_path_factory.mktemp("bert")
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(path)
    return path


def encoder_in(folder, cache, settings=TUNE):
    return Encoder(settings, folder, "hash", GO.labels, cache)


# --- design ---------------------------------------------------------------------------------------------


def test_the_design_lists_every_run_once():
    runs = list_runs(params(learners={"tfidf": TransferLearner(), "encoder": TransferLearner(targets=["poles"], sizes=[28], repeats=1)}))
    assert len(runs) == len(set(runs))
    # of a learner and target: 2 zero-shot, 1 leave-one-out, and for each of 4 seeds target, two-stage of 2 arms and joint
    assert sum(run.learner == "tfidf" for run in runs) == 2 * (2 + 1 + 4 * 4)
    of_encoder = [run for run in runs if run.learner == "encoder"]
    assert [(run.regime, run.arm, run.size, run.repeat) for run in of_encoder] == [
        ("zero-shot", "grounded", 0, 0), ("zero-shot", "loose", 0, 0), ("leave-one-out", OTHERS, 0, 0),
        ("target", SEED, 28, 0), ("target-long", SEED, 28, 0), ("two-stage", "grounded", 28, 0), ("two-stage", "loose", 28, 0), ("joint", "grounded", 28, 0),
    ]  # fmt: skip
    alone = list_runs(params(against=None, leave_one_out=False))
    assert {run.arm for run in alone} == {"grounded", SEED} and not any(run.regime == "leave-one-out" for run in alone)
    assert Run("poles", "tfidf", "joint", "grounded", "both", 14, 1) in alone
    some = list_runs(params(learners={"encoder": TransferLearner(regimes=["zero-shot", "two-stage"], sizes=[28], repeats=1)}))
    assert [run.regime for run in some] == ["zero-shot", "zero-shot", "two-stage", "two-stage"] * 2


# --- rows -----------------------------------------------------------------------------------------------


def test_labels_become_columns_and_classes_are_balanced():
    np.testing.assert_array_equal(multi_hot([["b"], ["a", "c"]], ["a", "b", "c"]), [[0, 1, 0], [1, 0, 1]])
    hard = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=float)
    np.testing.assert_allclose(balanced(hard, np.ones(4)), [2 / 3, 2 / 3, 2 / 3, 2])  # 4 in all, 2 for each class that occurs
    soft = np.array([[0.5, 0.5], [1, 0]])
    weights = balanced(soft, np.array([1.0, 1.0]))
    np.testing.assert_allclose(weights, [0.5 / 1.5 + 0.5 / 0.5, 1 / 1.5])
    np.testing.assert_allclose(balanced(hard, np.array([0, 0, 0, 1.0])), [0, 0, 0, 1])


def test_targets_hold_seeds_in_the_order_of_the_taxonomy():
    assert POLES.labels == ("negative", "positive") and CORPORA["poles"].classes == ["positive", "negative"]
    seed = POLES.seed(28, 1)
    assert seed.n_real == len(seed.texts) == 28 and not set(seed.texts) & set(POLES.held_out)
    truth = dict(zip(CORPORA["poles"].frame["text"], CORPORA["poles"].frame["labels"], strict=True))
    assert [POLES.labels[int(row.argmax())] for row in seed.targets] == [truth[text][0] for text in seed.texts]
    np.testing.assert_allclose(seed.weights @ seed.targets, [14, 14])
    assert POLES.seed(28, 1).texts[:14] == POLES.seed(14, 1).texts != POLES.seed(14, 0).texts
    np.testing.assert_array_equal(FACES.seed(14, 0).weights, np.ones(14))


def test_soft_labels_move_to_the_target():
    k = len(GO.labels)
    soft = np.zeros((3, k))
    soft[0, GO.labels.index("joy")], soft[0, GO.labels.index("love")] = 0.7, 0.6
    soft[1, GO.labels.index("grief")], soft[1, GO.labels.index("surprise")] = 0.3, 0.7
    soft[2, GO.labels.index("confusion")] = 1.0
    many = FACES.moved(["a", "b", "c"], soft, TO_EKMAN)
    joy, sadness, surprise = (EKMAN.labels.index(name) for name in ("joy", "sadness", "surprise"))
    assert many.targets[0, joy] == 1.0 and many.targets[0].sum() == 1.0  # 1.3, cut
    np.testing.assert_allclose(many.targets[1, [sadness, surprise]], [0.3, 0.7])
    np.testing.assert_array_equal(many.weights, np.ones(3))
    one = POLES.moved(["a", "b", "c"], soft, TO_POLES)
    np.testing.assert_allclose(one.targets[:2], [[0, 1], [1, 0]])
    # masses 1 (1.3, cut), 0.3 and 0; balanced: 0.65 for each class
    np.testing.assert_allclose(one.weights, [0.65, 0.65, 0])


def test_a_mapped_head_is_a_mean():
    matrix = head_map(TO_EKMAN)
    assert matrix.shape == (28, 7)
    np.testing.assert_allclose(matrix.sum(axis=0), 1)
    np.testing.assert_allclose(matrix[GO.labels.index("grief"), EKMAN.labels.index("sadness")], 1 / 5)
    np.testing.assert_array_equal(head_map(TAXONOMIES.map("goemotions", "goemotions")), np.eye(28))
    assert not head_map(TAXONOMIES.map("ekman", "tweeteval-emotion")).any(axis=0).all()  # optimism starts anew


def test_rows_are_drawn_evenly_whatever_their_order():
    pool = ROWS[ROWS["arm"] == "grounded"]
    few = draw(pool, 14, GO.labels)
    assert few["emotions"].str[0].value_counts().eq(2).all()
    assert few.groupby(few["emotions"].str[0])["kind"].nunique().eq(2).all()
    turned = draw(pool.iloc[::-1], 14, GO.labels)
    assert turned["row_id"].tolist() == few["row_id"].tolist()
    assert set(draw(pool, 5, GO.labels, "contextual")["kind"]) == {"contextual"}
    assert len(draw(pool, 999, GO.labels)) == 28


def test_arms_have_equally_many_rows_and_repeat_no_held_out_text(capsys):
    rows = ROWS.copy()
    leaked = rows.index[(rows["arm"] == "grounded") & rows["kept"]][:3]
    rows.loc[leaked, "text"] = POLES.test_texts[:2] + FACES.validation_texts[:1]
    made = synthetic_rows(rows, GO, [FACES, POLES], params(), 0.8)
    assert [len(made[arm]) for arm in ("grounded", "loose")] == [24, 24]  # 27 were kept, 3 leaked
    assert not set(rows.loc[leaked, "row_id"]) & set(made["grounded"]["row_id"])
    assert "3 rows of grounded repeat" in capsys.readouterr().err
    assert len(synthetic_rows(rows, GO, [], params(rows=10), 0.8)["loose"]) == 10
    assert len(synthetic_rows(rows, GO, [], params(rows=99), 0.8)["loose"]) == 27
    with pytest.raises(UserError, match="No synthetic row of the arm other"):
        synthetic_rows(rows, GO, [], params(against="other"), 0.8)
    with pytest.raises(UserError, match="column soft"):
        synthetic_rows(rows.drop(columns="soft"), GO, [], params(), 0.8)
    strange = rows.copy()
    strange.at[5, "emotions"] = ["hunger"]
    with pytest.raises(UserError, match="hunger"):
        synthetic_rows(strange, GO, [], params(), 0.8)


def test_joint_rows_repeat_the_seed():
    seed = Rows(["a", "b"], np.eye(2), np.array([0.5, 1.5]), n_real=2)
    made = joint(seed, Rows(list("uvwxyz"), np.zeros((6, 2)), np.full(6, 0.9)))
    assert made.texts == [*"ababab", *"uvwxyz"] and (made.n_real, made.n_synthetic) == (2, 6)
    np.testing.assert_allclose(made.weights, [0.5, 1.5] * 3 + [0.9] * 6)
    assert made.targets.shape == (12, 2)


def test_other_corpora_train_through_maps():
    leak = dataclasses.replace(CORPORA["faces"], frame=CORPORA["faces"].frame.copy())
    leak.frame.loc[0, "text"] = POLES.test_texts[0]
    unknown = dataclasses.replace(CORPORA["faces"], name="odd", classes=["x", "y"])
    found, left = other_rows(POLES, {"faces": leak, "poles": CORPORA["poles"], "odd": unknown}, TAXONOMIES, 0.8)
    assert left == {"odd": "no map"} and found is not None
    assert found.n_real == len(found.texts) == 83 and POLES.test_texts[0] not in found.texts
    mass = found.weights @ found.targets
    np.testing.assert_allclose(mass[0], mass[1], rtol=0.1)  # the labels are skewed 4 to 1
    plain = [row for row, text in enumerate(found.texts) if text.split()[0] in ("plain", "struck") and text.split()[1] in PLACES]
    assert plain and (found.weights[plain] == 0).all()  # neutral and surprise alone say nothing of the poles
    none, left = other_rows(FACES, {"faces": CORPORA["faces"], "poles": CORPORA["poles"]}, TAXONOMIES, 0.8)
    assert none is None and left == {"poles": "no map"}


# --- learners -------------------------------------------------------------------------------------------


def pretrain_rows(arm="grounded"):
    return as_synthetic(synthetic_rows(ROWS, GO, [FACES, POLES], params(), 0.8)[arm])


def test_linear_two_stage_training_has_the_first_stage_as_prior():
    first = pretrain_rows()
    seed = FACES.seed(14, 0)
    learner = Linear([1.0], embed, "h")
    fitted = learner.run(Job("two-stage", first, TO_EKMAN, seed, 0), FACES)
    moved = np.clip(TO_EKMAN.project(first.soft), 0, 1)
    prior = OneVsRest(1.0).fit(embedding_features(embed(first.texts)), moved)
    expected = OneVsRest(1.0).fit(embedding_features(embed(seed.texts)), seed.targets, start=prior)
    x = embedding_features(embed(FACES.test_texts))
    np.testing.assert_allclose(fitted.test, expected.predict_proba(x), atol=1e-6)
    zero = learner.run(Job("zero-shot", first, TO_EKMAN, None, 0), FACES)
    np.testing.assert_allclose(zero.test, prior.predict_proba(x), atol=1e-6)
    alone = learner.run(Job("target", None, TO_EKMAN, seed, 0), FACES)
    np.testing.assert_allclose(
        alone.test, OneVsRest(1.0).fit(embedding_features(embed(seed.texts)), seed.targets).predict_proba(x), atol=1e-6
    )


@pytest.mark.parametrize("kind", ["tfidf", "embedding"])
def test_good_synthetic_rows_help_and_bad_ones_do_not_help_as_much(kind):
    learner = Linear([0.3, 3.0], embed if kind == "embedding" else None)
    seed = FACES.seed(14, 0)

    def lrap(job):
        return evaluate(learner.run(job, FACES), FACES)["scores"]["validation"]["lrap"]

    alone = lrap(Job("target", None, TO_EKMAN, seed, 0))
    good, bad = (lrap(Job("two-stage", pretrain_rows(arm), TO_EKMAN, seed, 0)) for arm in ("grounded", "loose"))
    assert good > alone and good > bad


def test_the_first_stage_is_kept_in_the_cache(folder, tmp_path, monkeypatch):
    rows = pretrain_rows()
    state = encoder_in(folder, tmp_path).pretrained(rows)
    files = list(tmp_path.glob("*/state.safetensors"))
    assert len(files) == 1 and state.labels == GO.labels
    fits = []
    real = MultiLabelEncoder.fit
    monkeypatch.setattr(MultiLabelEncoder, "fit", lambda self, *args, **more: fits.append(1) or real(self, *args, **more))
    assert encoder_in(folder, tmp_path).pretrained(rows).to_bytes() == state.to_bytes() and not fits
    other = encoder_in(folder, tmp_path)
    other.pretrained(Synthetic(rows.texts, rows.soft[::-1].copy()))
    other.pretrained(Synthetic(rows.texts, rows.soft[::-1].copy()))
    assert fits == [1] and len(list(tmp_path.glob("*/state.safetensors"))) == 2
    files[0].write_bytes(b"torn")
    assert encoder_in(folder, tmp_path).pretrained(rows).to_bytes() == state.to_bytes() and len(fits) == 2


def test_the_encoder_goes_from_stage_to_stage(folder, tmp_path):
    rows, seed = pretrain_rows(), POLES.seed(14, 0)
    learner = encoder_in(folder, tmp_path)
    state = learner.pretrained(rows)
    model = MultiLabelEncoder(folder, state.settings, GO.labels).load_state(state)
    p = TO_POLES.project(model.predict_proba(POLES.test_texts), renormalise=True)
    np.testing.assert_allclose(learner.run(Job("zero-shot", rows, TO_POLES, None, 0), POLES).test, p)
    p = TO_EKMAN.project(model.predict_proba(FACES.test_texts))
    np.testing.assert_allclose(learner.run(Job("zero-shot", rows, TO_EKMAN, None, 0), FACES).test, np.clip(p, 0, 1))
    # tuning that does not move leaves the mean logits of the labels taken in
    still = encoder_in(folder, tmp_path / "still", TUNE.model_copy(update={"learning_rate": 1e-12}))
    state = still.pretrained(rows)
    model = MultiLabelEncoder(folder, state.settings, GO.labels).load_state(state)
    fitted = still.run(Job("two-stage", rows, TO_POLES, seed, 0), POLES)
    np.testing.assert_allclose(fitted.test, expit(model.logits(POLES.test_texts) @ head_map(TO_POLES)), atol=1e-5)
    steps = {regime: learner._steps(regime) for regime in ("target", "target-long", "two-stage", "joint", "leave-one-out")}
    assert steps == {"target": 3, "target-long": 9, "two-stage": 3, "joint": 9, "leave-one-out": 6}
    with pytest.raises(UserError, match="needs an encoder"):
        learners.make_learners(params(), GO.labels, None, None, "", tmp_path)


# --- scores ---------------------------------------------------------------------------------------------


def test_single_label_targets_are_scored_by_argmax():
    rng = np.random.default_rng(0)
    p, q = rng.random((len(POLES.test_texts), 2)) * 0.4, rng.random((len(POLES.validation_texts), 2)) * 0.4
    value = evaluate(Fitted(float("nan"), q, p), POLES)
    found = value["scores"]["argmax"]
    truth = POLES.test.argmax(axis=1)
    assert list(value["scores"]) == ["argmax"] and value["c"] is None
    assert found["macro_f1"] == pytest.approx(f1_score(truth, p.argmax(axis=1), average="macro"))
    assert found["validation_macro_f1"] == pytest.approx(f1_score(POLES.validation.argmax(axis=1), q.argmax(axis=1), average="macro"))
    assert found["accuracy"] == pytest.approx((p.argmax(axis=1) == truth).mean())
    assert found["brier"] == pytest.approx(((p - POLES.test) ** 2).mean())  # of the probabilities, not of the decisions
    assert np.mean(value["per_class"]["f1"]) == pytest.approx(found["macro_f1"])


def test_multi_label_targets_are_scored_with_and_without_thresholds():
    # right in order, but never above one half
    value = evaluate(Fitted(1.0, 0.3 * FACES.validation + 0.1, 0.3 * FACES.test + 0.1), FACES)
    chosen, plain = value["scores"]["validation"], value["scores"]["none"]
    assert chosen["macro_f1"] == chosen["accuracy"] == chosen["lrap"] == 1.0
    single = FACES.test.sum(axis=1) == 1  # without thresholds a row has its most probable label alone
    assert plain["accuracy"] == pytest.approx(single.mean()) and plain["lrap"] == 1.0
    first = np.eye(7)[FACES.test.argmax(axis=1)]
    assert plain["macro_f1"] == pytest.approx(f1_score(FACES.test, first, average="macro"))
    assert value["per_class"]["threshold"] == pytest.approx([0.25] * 7) and value["c"] == 1.0


def test_a_kept_score_is_not_made_again(tmp_path):
    class Counting:
        name, identity, runs = "tfidf", {}, 0

        def run(self, job, target):
            self.runs += 1
            return Fitted(1.0, target.validation, target.test)

    learner = Counting()
    with RowStore(tmp_path / "s.jsonl") as store:
        for _ in range(2):
            value = scored(learner, None, FACES, "key", store, Progress(9, "x"))
    assert learner.runs == 1 and value["scores"]["none"]["macro_f1"] == 1.0


def test_the_tables_of_a_run(folder, tmp_path, monkeypatch):
    small = params(
        seeding=Seeding(sizes=[14], repeats=2, min_per_class=1), learners={**ALL, "encoder": TransferLearner(targets=["poles"], repeats=1)}
    )
    keywords = {"cache": tmp_path, "embed": embed, "encoder_folder": folder, "encoder_hash": "h"}
    tables = run_transfer(small, CORPORA, TAXONOMIES, ROWS, **keywords)
    scores, per_class = tables["scores"], tables["per_class"]
    assert list(scores.columns) == SCORES and list(per_class.columns) == PER_CLASS
    keys = ["target", "learner", "regime", "arm", "size", "repeat", "thresholds"]
    assert not scores.duplicated(keys).any() and scores["macro_f1"].between(0, 1).all()
    assert scores.groupby("task")["thresholds"].unique().map(sorted).to_dict() == {"multi": ["none", "validation"], "single": ["argmax"]}
    # leave-one-out has no corpus for faces: neither poles nor faces itself maps to it
    assert set(scores.loc[scores["regime"] == "leave-one-out", "target"]) == {"poles"}
    counts = scores.groupby("regime")[["n_real", "n_synthetic"]].max().to_dict("index")
    assert counts["target"] == {"n_real": 14, "n_synthetic": 0} and counts["two-stage"] == counts["joint"] == {
        "n_real": 14,
        "n_synthetic": 27,
    }
    assert counts["zero-shot"] == {"n_real": 0, "n_synthetic": 27} and counts["leave-one-out"] == {"n_real": 84, "n_synthetic": 0}
    # faces: 3 models a seed, 7 labels, 2 learners, 2 repeats; poles: 2 labels, and the encoder once
    assert len(per_class) == 3 * 7 * 2 * 2 + 3 * 2 * 2 * 2 + 3 * 2
    for name in ("tfidf", "embedding"):
        of = scores[(scores["learner"] == name) & (scores["target"] == "faces") & (scores["thresholds"] == "validation")]
        mean = of.groupby(["regime", "arm"])["lrap"].mean()
        assert mean["two-stage", "grounded"] > mean["target", "seed"] and mean["zero-shot", "grounded"] > mean["zero-shot", "loose"]
    for learner in (Linear, Encoder):
        monkeypatch.setattr(learner, "run", None)  # the second time nothing is trained
    again = run_transfer(small, CORPORA, TAXONOMIES, ROWS, **keywords)
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, again[name])
    with pytest.raises(UserError, match="target moon"):
        run_transfer(params(targets=["moon"]), CORPORA, TAXONOMIES, ROWS, **keywords)
    figure = plots.by_size(scores, "grounded")
    assert len(figure.axes) == 6 and figure.axes[0].get_title() == "faces, tfidf"


# --- context --------------------------------------------------------------------------------------------


def told(stories=8):
    """Return contextual rows whose emotion the context alone tells, and pairs."""
    rows = []
    for number in range(8 * stories):
        label = ("joy", "anger")[number % 2]
        soft = [0.02 + 0.9 * (name == label) for name in GO.labels]
        rows.append(
            {
                "row_id": f"c{number:03d}", "example_id": f"c{number:03d}", "arm": "grounded", "kind": "contextual", "emotions": [label],
                "text": f"the {PLACES[number // 2 % 10]} {PLACES[number // 4 % 10]}",
                "context": f"{'sun' if label == 'joy' else 'storm'} {PLACES[number // 3 % 10]} {number}",
                "character": "she", "passage_id": "p", "story_id": f"s{number // 8}", "generator": "g", "kept": True, "soft": soft,
            }
        )  # fmt: skip
    pairs = pd.DataFrame(
        {
            "pair_id": [f"q{n}" for n in range(6)], "emotion_a": "joy", "emotion_b": "anger",
            "context_a": [f"sun hill {n}" for n in range(900, 906)], "context_b": [f"storm hill {n}" for n in range(900, 906)],
            "utterance": [f"the {place}" for place in PLACES[:6]], "character": "she", "ok": [True] * 5 + [False],
        }
    )  # fmt: skip
    return pd.DataFrame(rows), pairs


def test_measures_of_context():
    first, second = np.array([[0.8, 0.1], [0.3, 0.2], [0.4, 0.4]]), np.array([[0.5, 0.4], [0.9, 0.2], [0.1, 0.1]])
    np.testing.assert_array_equal(flips(first, second, np.array([[0, 1]] * 3)), [1, 0, 0.5])
    assert flips(first, first, np.array([[0, 1]] * 3)).mean() == 0.5
    assert resampled(np.ones((2, 4)), 50, 0.95, 0) == (1.0, 1.0, 1.0)
    mean, low, high = resampled(np.array([[0.0, 1] * 50]), 400, 0.95, 0)
    assert mean == 0.5 and low == pytest.approx(0.40, abs=0.02) and high == pytest.approx(0.60, abs=0.02)
    _, wide_low, wide_high = resampled(np.array([[0.0] * 50, [1.0] * 50]), 400, 0.95, 0)
    assert (wide_low, wide_high) == (0.0, 1.0)  # repeats count too


def test_no_row_keeps_its_context_and_stories_are_held_out():
    texts = _Texts([f"c{n}" for n in range(30)], [f"u{n}" for n in range(30)])
    shuffled = texts.shuffled(3)
    assert sorted(shuffled.contexts) == sorted(texts.contexts) and shuffled.utterances == texts.utterances
    assert all(one != other for one, other in zip(texts.contexts, shuffled.contexts, strict=True))
    assert texts.inputs("context")[0] == ("c0", "u0") and texts.inputs("utterance")[0] == "u0" and texts.inputs("context only")[0] == "c0"
    assert len(held_out_stories([f"s{n}" for n in range(10)] * 3)) == 2 and with_character("It rains.", "Ann") == "It rains. Ann:"
    rows, pairs = told()
    pairs.loc[0, "context_a"] = rows["context"].iloc[0]
    data = _data(params(), rows, pairs, GO)
    held = held_out_stories(rows["story_id"])
    mine = {with_character(row.context, "she") for row in rows.itertuples() if row.story_id in held}
    assert set(data.test.contexts) == mine and not mine & set(data.train.contexts)
    assert with_character(rows["context"].iloc[0], "she") not in data.train.contexts
    assert len(data.wanted) == 5 and data.fold.any() and not data.fold.all()
    with pytest.raises(UserError, match="4 are needed"):
        _data(params(), rows[rows["story_id"].isin(["s0", "s1"])], None, GO)
    with pytest.raises(UserError, match="hunger"):
        _data(params(), rows, pairs.assign(emotion_b="hunger"), GO)


def test_context_changes_the_label_where_it_tells(folder, tmp_path, monkeypatch):
    rows, pairs = told()
    settings = params(
        encoder=TUNE.model_copy(update={"pretrain_steps": 1}), context=TransferContext(steps=12, repeats=2),
        seeding=Seeding(sizes=[14], repeats=3, min_per_class=1), c_grid=[3.0, 30.0],
    )  # fmt: skip
    keywords = {"cache": tmp_path, "embed": embed, "encoder_folder": folder, "encoder_hash": "h", "resamples": 20}
    table = run_context(settings, rows, pairs, GO, **keywords)
    cell = table.set_index(["learner", "input", "test", "repeat", "measure"])["value"]
    assert cell["embedding", "context", "pairs", 0, "flips"] == 1.0 and cell["embedding", "context only", "pairs", 0, "flips"] == 1.0
    for learner in ("embedding", "encoder"):
        for repeat in (0, ALL_REPEATS):
            assert cell[learner, "utterance", "pairs", repeat, "flips"] == 0.5  # exactly
    assert cell["embedding", "context", "rows", 0, "top_1"] == 1.0 > cell["embedding", "utterance", "rows", 0, "top_1"]
    assert cell["embedding", "context", "rows", 0, "lrap"] > cell["embedding", "shuffled context", "rows", 0, "lrap"]
    lrap = cell.xs("lrap", level="measure").xs("rows", level="test")
    assert lrap["encoder", "context − utterance", ALL_REPEATS] == pytest.approx(
        np.mean([lrap["encoder", "context", r] - lrap["encoder", "utterance", r] for r in (0, 1)])
    )
    assert set(table["input"]) >= set(INPUTS) and (table["low"] <= table["high"]).all()
    assert set(table.loc[table["test"] == "pairs", "n"]) == {5}
    assert max(table.loc[table["learner"] == "encoder", "repeat"]) == 1  # its own number of repeats
    monkeypatch.setattr(MultiLabelEncoder, "fit", None)
    monkeypatch.setattr(OneVsRest, "fit", None)
    pd.testing.assert_frame_equal(run_context(settings, rows, pairs, GO, **keywords), table)
    assert len(plots.context_bars(table).axes) == 2
    claim = judge_grounding(None, table, None, Evidence())[2]
    assert claim.learner == "encoder" and claim.verdict in ("inconclusive", "contradicted", "supported")


# --- probe, explanations, files -------------------------------------------------------------------------


def test_emotion_embeddings_are_probed(folder, tmp_path):
    state = encoder_in(folder, tmp_path / "states").pretrained(pretrain_rows())
    vectors = emotion_embeddings(state, folder, ["glad lake", ("sun", "glad lake")])
    model = MultiLabelEncoder(folder, state.settings, state.labels).load_state(state)
    np.testing.assert_allclose(vectors[0], model.embed(["glad lake"])[0], atol=1e-5)
    assert vectors.shape == (2, 16) and np.abs(vectors[0] - vectors[1]).max() > 1e-4
    table = run_probe(params(targets=["poles"]), CORPORA, TAXONOMIES, state, folder, embed, "h", tmp_path)
    assert table.groupby("representation").size().to_dict() == {"base": 4, "emotion": 4}
    best = table[table["representation"] == "base"].set_index(["size", "repeat"])["macro_f1"]
    value = evaluate(Linear([0.3, 3.0], embed).run(Job("target", None, TO_POLES, POLES.seed(28, 1), 1), POLES), POLES)
    assert best[28, 1] == value["scores"]["argmax"]["macro_f1"]


def test_explanations_add_up_and_are_escaped(folder, tmp_path):
    state = encoder_in(folder, tmp_path).pretrained(pretrain_rows())
    model = MultiLabelEncoder(folder, state.settings, state.labels).load_state(state)
    rows = ROWS[ROWS["kept"]].copy()
    table = explain_rows(model, rows, 2, evaluations=40)
    assert table["row_id"].nunique() == 2 and set(table["row_id"]) <= set(rows["row_id"])
    for row_id, part in table.groupby("row_id"):
        text = rows.set_index("row_id").loc[row_id, "text"]
        p = model.predict_proba([text])[0]
        best = [GO.labels[place] for place in np.argsort(-p)[:2]]
        assert list(dict.fromkeys(part["label"])) == best
        base = model.predict_proba(["..."])[0]
        for label, own in part.groupby("label"):
            place = GO.labels.index(label)
            assert own["value"].sum() == pytest.approx(np.log(p[place] / base[place]), abs=1e-5)
            assert own["probability"].iloc[0] == pytest.approx(p[place])
    odd = pd.DataFrame(
        {"row_id": "r", "label": "joy", "probability": 0.5, "token": ["<script>", "b&w"], "position": [0, 1], "value": [0.4, -0.2]}
    )
    shown = text_plot_html(odd, "r")
    assert "&lt;script&gt;" in shown and "<script" not in shown and "b&amp;w" in shown
    assert "rgba(31, 119, 180, 0.75)" in shown and "rgba(214, 96, 77, 0.38)" in shown and "http" not in shown
    with pytest.raises(UserError, match="no explanation of x"):
        text_plot_html(odd, "x")


class Reader:
    """Knows the two words of FEELINGS that stand for joy and anger; of anything else it holds all labels to be as likely."""

    def score(self, prompts, labels, progress=None):
        seen = [{"glad": "happy", "mad": "angry"}.get(word, "") for prompt in prompts for word in [prompt.split('"')[1].split()[0]]]
        return np.log(np.array([[0.9 if label == f" {word}" else 0.1 for label in labels] for word in seen]))

    def prior(self, content_free, labels):
        return np.zeros(len(labels))


def test_the_scorer_is_measured_on_validation_rows_beside_frequencies():
    found = run_scorer(["faces", "poles"], CORPORA, TAXONOMIES, Reader(), rows=1000).set_index("target")
    corpus = CORPORA["faces"]
    validation = corpus.split("validation")["labels"]
    first = EKMAN.labels[0]
    # Of equal labels the first of the taxonomy wins, so that texts of joy and anger are read rightly, and others that have the first label.
    right = validation.map(lambda labels: labels[0] == "joy" or labels[0] == "anger" or (labels[0] != "joy" and first in labels))
    assert found.loc["faces", "n"] == len(validation) == 42 and found.loc["faces", "labels"] == 7
    assert found.loc["faces", "top1"] == pytest.approx(right.mean()) and found.loc["faces", "top1"] > found.loc["faces", "frequency_top1"]
    assert found.loc["poles", "frequency_top1"] == pytest.approx(0.75) and found.loc["poles", "taxonomy"] == "valence-two"
    fewer = run_scorer(["faces"], CORPORA, TAXONOMIES, Reader(), rows=5)
    assert fewer["n"].tolist() == [5] and list(fewer.columns) == scorer.COLUMNS
    assert run_scorer([], CORPORA, TAXONOMIES, Reader(), rows=5).empty


def test_the_step_from_files(folder, tmp_path, monkeypatch):
    paths = Paths(tmp_path, "p")
    monkeypatch.delenv("EMOSYNTH_CACHE", raising=False)
    contextual, pairs = told()
    rows = pd.concat([ROWS[ROWS["arm"] == "loose"], contextual], ignore_index=True)
    card = Card(title="t", what="w", made="m")
    write_table(rows, paths.grounding / "rows.parquet", card)
    write_table(pairs, paths.grounding / "pairs.parquet", card)
    monkeypatch.setattr(build_code, "load_corpus", lambda _, name: CORPORA[name])
    monkeypatch.setattr(Paths, "taxonomies", TAXONOMIES.path)
    small = params(targets=["poles"], seeding=Seeding(sizes=[14], repeats=1, min_per_class=1), explanations=1)
    catalog = SimpleNamespace(fetch=lambda name: folder)
    tables = build_transfer(small, catalog=catalog, paths=paths, others=["faces"], resamples=20)
    for name in ("scores", "per_class", "context", "probe", "explanations"):
        assert len(read_table(paths.transfer / f"{name}.parquet")) == len(tables[name]) > 0
    assert set(tables["scores"]["regime"]) == {"target", "target-long", "two-stage", "joint", "zero-shot", "leave-one-out"}
    state = EncoderState.read(paths.transfer / "encoder.safetensors")
    assert "scorer" not in tables
    assert state.labels == GO.labels and "load_state" in (paths.transfer / "encoder.md").read_text()
    assert emotion_embeddings(state, folder, ["a lake"]).shape == (1, 16)
    other = Paths(tmp_path, "q")
    write_table(rows, other.grounding / "rows.parquet", card)
    small = small.model_copy(update={"learners": {"tfidf": TransferLearner()}})
    plain = build_transfer(small, catalog=catalog, paths=other)
    assert "context" not in plain and plain["probe"].empty and not (other.transfer / "encoder.safetensors").exists()


# --- claims ---------------------------------------------------------------------------------------------


def score_table(gain, targets=("poles", "faces"), repeats=4, learner="embedding"):
    rows = []
    for target in targets:
        task = "single" if target == "poles" else "multi"
        for size in (14, 28):
            for repeat in range(repeats):
                base = 0.5 + 0.01 * repeat + 0.1 * (size == 28)
                noise = 0.002 * (-1) ** repeat
                values = {("target", SEED): base, ("two-stage", "grounded"): base + gain[target] + noise, ("two-stage", "loose"): base + noise,
                          ("joint", "grounded"): base}  # fmt: skip
                for (regime, arm), value in values.items():
                    names = ["argmax"] if task == "single" else ["validation", "none"]
                    for name in names:
                        rows.append(
                            {
                                "target": target, "task": task, "learner": learner, "regime": regime, "arm": arm, "size": size, "repeat": repeat,
                                "thresholds": name, "macro_f1": value if name != "none" else 0.0,
                            }
                        )  # fmt: skip
    return pd.DataFrame(rows)


def test_b1_is_the_mean_gain_over_targets_and_sizes():
    claim = judge_grounding(score_table({"poles": 0.06, "faces": 0.02}), None, None, Evidence())[0]
    assert claim.id == "B1" and claim.verdict == "supported" and claim.effect == pytest.approx(0.04) and claim.repeats == 4
    assert claim.low == pytest.approx(0.04 - 3.182 * 0.002 * np.sqrt(4 / 3) / 2, abs=1e-5) and claim.p < 0.001
    assert claim.corpus == "poles, faces" and claim.learner == "embedding"
    own = next(
        row for row in claim.also if (row["target"], row["size"], row["comparison"]) == ("faces", 28, "two-stage (grounded) − target only")
    )
    assert own["effect"] == pytest.approx(0.02)
    assert any(row["comparison"] == "two-stage: grounded − loose" for row in claim.also)
    hurt = judge_grounding(score_table({"poles": 0.09, "faces": -0.03}), None, None, Evidence())[0]
    assert hurt.verdict == "inconclusive" and "hurt" in hurt.reading
    assert judge_grounding(score_table({"poles": 0.0, "faces": 0.0}), None, None, Evidence())[0].verdict == "contradicted"
    both = pd.concat([score_table({"poles": 0, "faces": 0}, repeats=2, learner="encoder"), score_table({"poles": 0.06, "faces": 0.02})])
    assert judge_grounding(both, None, None, Evidence())[0].learner == "embedding"  # two repeats are too few
    assert [claim.verdict for claim in judge_grounding(None, None, None, Evidence())] == ["not tested"] * 3


def test_b1_says_what_the_steps_alone_are_worth():
    table = score_table({"poles": 0.06, "faces": 0.02}, learner="encoder")
    alone = table[table["regime"] == "target"]
    longer = alone.assign(regime="target-long", macro_f1=alone["macro_f1"] + 0.03 * (alone["thresholds"] != "none"))
    claim = judge_grounding(pd.concat([table, longer]), None, None, Evidence())[0]
    assert "as many gradient steps: +1.0 (95% interval" in claim.reading
    own = next(row for row in claim.also if row["target"] == "faces" and row["comparison"].endswith("with the steps of both stages"))
    assert own["effect"] == pytest.approx(-0.01)
    assert "gradient steps" not in judge_grounding(table, None, None, Evidence())[0].reading


@pytest.mark.parametrize("learner", ["tfidf", "embedding"])
def test_a_learner_without_steps_has_no_longer_training(learner):
    assert not any(run.regime == "target-long" for run in list_runs(params(learners={learner: TransferLearner()})))
    root = Path(__file__).parents[1]
    given = load_params(root, "smoke").model_dump()
    given["transfer"]["learners"][learner]["regimes"] = ["target", "target-long"]
    with pytest.raises(ValueError, match=f"{learner}.regimes: target-long"):
        Params.model_validate(given)


def diversity_table(shift, neutral=-0.01):
    rows = []
    for kind in ("context", "utterance", "contextless"):
        for measure in ("distinct_2", "spread", "distinct_1"):
            for emotion in ("all", "joy", "anger", "fear", "neutral"):
                value = neutral if emotion == "neutral" else shift.get((kind, measure), 0.05)
                rows.append(["grounded", "loose", kind, measure, emotion, value, value - 0.02, value + 0.02])
    return pd.DataFrame(rows, columns=["arm", "against", "kind", "measure", "emotion", "difference", "low", "high"])


def test_b2_needs_all_four_comparisons():
    claim = judge_grounding(None, None, diversity_table({("context", "spread"): 0.03}), Evidence(), against="loose")[1]
    assert claim.verdict == "supported" and claim.effect == 0.03 and "embedding spread of contexts" in claim.comparison
    assert claim.p == pytest.approx(p_of_interval(0.03, 0.01, 0.05, 0.95)) == pytest.approx(0.0033, abs=1e-4)
    assert "Neutral gains least in 4 of 4" in claim.reading and len(claim.also) == 4
    unsure = judge_grounding(None, None, diversity_table({("context", "spread"): -0.03}), Evidence(), against="loose")[1]
    assert unsure.verdict == "inconclusive" and unsure.effect == -0.03
    poor = {("utterance", "spread"): -0.05, ("utterance", "distinct_2"): -0.04}
    assert judge_grounding(None, None, diversity_table(poor), Evidence(), against="loose")[1].verdict == "contradicted"
    assert judge_grounding(None, None, diversity_table({}), Evidence(), against=None)[1].verdict == "supported", "the only arm there is"


def context_table(lrap, share):
    cells = [("context − utterance", "rows", "lrap", *lrap), ("context", "pairs", "flips", *share)]
    return pd.DataFrame(
        [["encoder", name, test, -1, 50, measure, *span] for name, test, measure, *span in cells if span],
        columns=["learner", "input", "test", "repeat", "n", "measure", "value", "low", "high"],
    )


def test_b3_needs_rows_and_pairs():
    def judge(lrap, share):
        return judge_grounding(None, context_table(lrap, share), None, Evidence())[2]

    claim = judge((0.1, 0.05, 0.15), (0.6, 0.52, 0.68))
    assert claim.verdict == "supported" and claim.effect == pytest.approx(0.1)
    assert claim.unit == "share of pairs" and claim.p == pytest.approx(0.0143, abs=1e-4)  # the less certain of the two
    assert judge((0.1, 0.05, 0.15), (0.5, 0.42, 0.58)).verdict == "inconclusive"
    assert judge((0.0, -0.01, 0.01), (0.5, 0.49, 0.51)).verdict == "contradicted"
    alone = judge((0.1, 0.05, 0.15), ())
    assert alone.verdict == "inconclusive" and "no pairs" in alone.reading


def test_a_handful_of_pairs_decides_nothing():
    few = context_table((0.1, 0.05, 0.15), (0.9, 0.8, 1.0)).assign(n=[50, 19])
    claim = judge_grounding(None, few, None, Evidence())[2]
    assert claim.verdict == "inconclusive" and "Fewer than 20" in claim.reading


def test_b2_says_when_no_emotion_has_enough_texts():
    table = diversity_table({})
    claim = judge_grounding(None, None, table[table["emotion"] == "all"], Evidence(), against="loose")[1]
    assert claim.verdict == "inconclusive" and "nan" not in claim.reading and "too few texts" in claim.reading
