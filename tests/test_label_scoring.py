"""Labels scored as one tree: equal to one full pass per label, whatever the batch, and kept."""

from __future__ import annotations

import json
import math
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from emosynth.catalog import Catalog
from emosynth.errors import UserError
from emosynth.models.lm import labels as module
from emosynth.models.lm import scoring
from emosynth.models.lm.label_tree import LabelTree
from emosynth.models.lm.labels import HEAD, LabelScorer, row_prompt
from emosynth.paths import Paths
from emosynth.store import RowStore
from lm_files import catalog, smollm2

LABELS = [" a", " ab", " abc", " acb", " b", " bd", " d", " dddd"]
PROMPTS = ["x:", "so it is:", "a\nb:", 'he said "no": and then:', "<eos> is text:", "🙂:"]


def make_model(folder: Path, seed: int = 0) -> Path:
    """Save a random two-layer Llama over bytes in which a space and a, b or c are one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    pieces = ["<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġa", "Ġb", "Ġc", "bc"]
    merges = [("Ġ", "a"), ("Ġ", "b"), ("Ġ", "c"), ("b", "c")]
    backend = Tokenizer(models.BPE(vocab={piece: number for number, piece in enumerate(pieces)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(pieces), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, eos_token_id=0, bos_token_id=0, pad_token_id=0, tie_word_embeddings=False, initializer_range=0.5,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", pad_token="<eos>").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def plain(tiny: Path) -> Any:
    """Return the plain way: each label alone after head and prompt, every logit computed."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny), AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)

    def tokens(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] if text else []

    def score(head: str, prompt: str, label: str) -> float:
        before, ids = tokens(head) + tokens(prompt), tokens(label)
        with torch.inference_mode():
            log_p = model(torch.tensor([before + ids])).logits[0].double().log_softmax(-1)
        return sum(float(log_p[len(before) + place - 1, token]) for place, token in enumerate(ids))

    return SimpleNamespace(score=score, tokens=tokens)


def test_tree_by_hand() -> None:
    tree = LabelTree.of([[5], [5, 6], [5, 7, 8], [9, 7, 4]])
    assert tree.tokens == (5, 5 + 2, 9, 7), "nodes 5, 5-7, 9, 9-7; leaves are no input"
    assert tree.depths == (1, 2, 1, 2)
    assert tree.visible.tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, True, True],
    ]
    assert tree.nodes == (0, 0, 1, 0, 1, 2, 0, 3, 4) and tree.targets == (5, 5, 6, 5, 7, 8, 9, 7, 4) and tree.starts == (0, 1, 3, 6)
    flat = LabelTree.of([[1], [2]])
    assert flat.tokens == () and flat.visible.shape == (0, 0) and flat.nodes == (0, 0)


@pytest.mark.parametrize("head", ["", "A few words before all:\n\n"])
def test_scores_are_those_of_one_pass_per_label(tiny: Path, plain: Any, tmp_path: Path, head: str) -> None:
    assert [len(plain.tokens(label)) for label in LABELS] == [1, 2, 2, 3, 1, 2, 2, 5], "labels of one token and more"
    found = LabelScorer(tiny, tmp_path, head=head, rows=4).score(PROMPTS, LABELS)
    truth = np.array([[plain.score(head, prompt, label) for label in LABELS] for prompt in PROMPTS])
    assert found.shape == truth.shape and np.abs(found - truth).max() < 1e-4
    assert truth.std() > 1, "a random model that tells labels apart"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(
    prompts=st.lists(st.text("abc d\n.", max_size=14).map(lambda text: text + ":"), min_size=1, max_size=5),
    labels=st.lists(st.text("abcd", min_size=1, max_size=3).map(" {}".format), min_size=1, max_size=7),
)
def test_any_labels_after_any_prompts(scorer: LabelScorer, plain: Any, prompts: list[str], labels: list[str]) -> None:
    truth = np.array([[plain.score(scorer.head, prompt, label) for label in labels] for prompt in prompts])
    assert np.abs(scorer.score(prompts, labels) - truth).max() < 1e-3


@pytest.fixture(scope="module")
def scorer(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> LabelScorer:
    return LabelScorer(tiny, tmp_path_factory.mktemp("cache"), head="abc. d\n", rows=2)


def test_scores_depend_on_the_prompt_and_the_set_of_labels_alone(tiny: Path, tmp_path: Path) -> None:
    together = LabelScorer(tiny, tmp_path / "a", head="h ", rows=4, unit=3).score([*PROMPTS, PROMPTS[0]], LABELS)
    other = LabelScorer(tiny, tmp_path / "b", head="h ", rows=4)
    alone = np.concatenate([other.score([prompt], LABELS[::-1]) for prompt in PROMPTS[::-1]])[::-1, ::-1]
    # Some processors sum up a matrix product in another order at another place of the batch.
    assert together[:-1] == pytest.approx(alone, abs=1e-5) and together[-1].tobytes() == together[0].tobytes()
    twice = other.score(PROMPTS[:1], [*LABELS, LABELS[0]])
    assert twice[0, -1] == twice[0, 0] == alone[0, 0]


def test_killed_run_goes_on_with_equal_bits(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [f"{prompt[:-1]}{number}:" for number in range(3) for prompt in PROMPTS]
    whole = LabelScorer(tiny, tmp_path / "whole", head="h", rows=4, unit=5).score(prompts, LABELS)

    def die(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt, match="5 of 18"):
        LabelScorer(tiny, tmp_path / "killed", head="h", rows=4, unit=5).score(prompts, LABELS, die)
    resumed = LabelScorer(tiny, tmp_path / "killed", head="h", rows=4, unit=5)
    lines: list[str] = []
    assert resumed.score(prompts, LABELS, lines.append).tobytes() == whole.tobytes()
    assert lines[-1] == "labels: 13 of 13 texts"


def test_scores_are_the_same_bits_in_processes_of_their_own(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [f"{prompt[:-1]}{number}:" for number in range(4) for prompt in PROMPTS]
    asked: list[int] = []
    pooled = scoring.in_order
    monkeypatch.setattr(
        scoring, "in_order", lambda work, parts, workers, *rest: asked.append(workers) or pooled(work, parts, workers, *rest)
    )
    scores = []
    for cores in ("2", "1"):
        monkeypatch.setenv("EMOSYNTH_THREADS", cores)
        scores.append(LabelScorer(tiny, tmp_path / cores, head="h", rows=4, unit=6).score(prompts, LABELS))
    assert scores[0].tobytes() == scores[1].tobytes() and asked == [2]
    assert torch.get_num_threads() >= 1 and os.environ["EMOSYNTH_THREADS"] == "1"


def test_scores_are_kept_and_the_model_is_not_needed_then(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    before = LabelScorer(tiny, tmp_path, head="h", rows=4, unit=4).score(PROMPTS, LABELS, lines.append)
    assert lines == ["labels: 4 of 6 texts", "labels: 6 of 6 texts"]
    again = LabelScorer(tiny, tmp_path, head="h", rows=4)
    fresh = LabelScorer(tiny, tmp_path, head="g", rows=4)
    monkeypatch.setattr(LabelScorer, "_parts", lambda _: pytest.fail("the model was loaded"))
    assert again.score(PROMPTS, LABELS).tobytes() == before.tobytes()
    assert len(RowStore(tmp_path / "rows" / "labels.sqlite", read_only=True)) == len(PROMPTS)
    assert again.score([], LABELS).shape == (0, 8) and again.score(PROMPTS, []).shape == (6, 0)
    for scorer, labels in ((again, LABELS[1:]), (fresh, LABELS)):
        with pytest.raises(pytest.fail.Exception):
            scorer.score(PROMPTS, labels)


def test_identity_is_json_and_names_no_place(tiny: Path, tmp_path: Path) -> None:
    identity = LabelScorer(tiny, tmp_path, head="h").identity
    assert str(tiny.parent) not in json.dumps(identity) and len(identity["model"]) == 64 and identity["dtype"] == "float32"
    moved = make_model(tmp_path / "moved")
    assert LabelScorer(moved, tmp_path, head="h").identity == identity
    assert LabelScorer(make_model(tmp_path / "other", seed=1), tmp_path, head="h").identity != identity


def test_prior_is_the_mean_in_probability_space(scorer: LabelScorer) -> None:
    scores = scorer.score(PROMPTS[:2], LABELS)
    assert scorer.prior(PROMPTS[:2], LABELS) == pytest.approx(np.log(np.exp(scores).mean(0)))
    with pytest.raises(UserError, match="without content"):
        scorer.prior([], LABELS)


def test_prompts() -> None:
    assert row_prompt(" so  it\ngoes ") == 'Someone says: "so it goes"\nThey feel'
    assert row_prompt("no", "It\nrains.", "Ann") == 'Situation: It rains.\nAnn says: "no"\nThey feel'
    assert HEAD.count("They feel") == 3 and " neutral.\n" in HEAD and HEAD.endswith("\n\n")


@pytest.mark.parametrize(
    ("prompts", "labels", "match"),
    [
        (["x:"], ["sad"], "a space and a word"),
        (["x:"], [" "], "a space and a word"),
        (["x:", " "], [" a"], "empty or ends with a space"),
        (["x: "], [" a"], "empty or ends with a space"),
        (["x" * 130], [" a"], "do not fit the model's 128"),
    ],
)
def test_bad_input(scorer: LabelScorer, prompts: list[str], labels: list[str], match: str) -> None:
    with pytest.raises(UserError, match=match):
        scorer.score(prompts, labels)


def test_bad_models(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    places = SimpleNamespace(paths=SimpleNamespace(root=tmp_path, cache=tmp_path / "cache", own=Paths(tmp_path, "x").own))
    places.model = partial(Catalog.model, places)
    with pytest.raises(UserError, match="cannot be loaded"):
        LabelScorer.open("./m", places).score(PROMPTS, LABELS)
    monkeypatch.setattr(module, "plain_scores", lambda *_: np.array([-math.pi] * 3))  # as if the mask were ignored
    with pytest.raises(UserError, match="does not take a tree"):
        LabelScorer(tiny, tmp_path, head="h").score(PROMPTS, LABELS)


@pytest.mark.model
def test_small_model_knows_joy_from_grief(tmp_path: Path) -> None:
    smollm2()
    scorer = LabelScorer.open("smollm2-135m-instruct", catalog())
    scorer._parts()
    scorer.cache = tmp_path
    labels = [" joyful", " sad", " remorseful"]
    prompts = [row_prompt(text) for text in ("We won, we won, I could hug you all!", "She is gone for ever and I cannot stop crying.")]
    prior = scorer.prior([row_prompt(text) for text in ("N/A", "...", "[text]", "Text")], labels)
    chances = log_softmax(scorer.score(prompts, labels) - prior, axis=1)
    assert chances[0, 0] > chances[1, 0] and chances[1, 1] > chances[0, 1]
