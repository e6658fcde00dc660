"""The reference model: its scores are the model's own, depend on the text alone, and are kept."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emosynth.catalog import Catalog
from emosynth.errors import UserError
from emosynth.models.lm.perplexity import MAX_TOKENS, ReferenceModel
from emosynth.paths import Paths
from emosynth.store import RowStore
from lm_files import catalog, make_tiny_model, smollm2

TEXTS = ["a b", "the bus was late again.", "what a lovely morning by the lake", "", "<eos> is text here", "so 🙂 happy", "x" * 60]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def expected(folder: Path, text: str) -> tuple[float, int]:
    """Score one line alone, token by token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = tokenizer(f"\n{text}\n", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    with torch.inference_mode():
        log_p = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return -sum(float(log_p[place, token]) for place, token in enumerate(ids[1:])) / (len(ids) - 1), len(ids) - 1


def test_scores_are_those_of_the_model(tiny: Path, tmp_path: Path) -> None:
    nll, tokens = ReferenceModel(tiny, tmp_path, rows=4).score(TEXTS)
    for text, found, count in zip(TEXTS, nll, tokens, strict=True):
        truth, n = expected(tiny, text)
        assert count == n and found == pytest.approx(truth, abs=1e-4), text
    assert tokens[TEXTS.index("")] == 1, "an empty line is its end alone"


def test_score_depends_on_the_text_alone(tiny: Path, tmp_path: Path) -> None:
    together, _ = ReferenceModel(tiny, tmp_path / "a", rows=4, unit=3).score(TEXTS)
    model = ReferenceModel(tiny, tmp_path / "b", rows=4)
    alone = np.concatenate([model.score([text])[0] for text in reversed(TEXTS)])[::-1]
    assert together.tobytes() == alone.tobytes()


def test_scores_are_kept_and_the_model_is_not_needed_then(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    first = ReferenceModel(tiny, tmp_path, rows=4, unit=2)
    before = first.score([*TEXTS, TEXTS[0]], lines.append)
    assert len(lines) == math.ceil(len(TEXTS) / 2) and before[0][0] == before[0][-1]
    second = ReferenceModel(tiny, tmp_path, rows=4)  # the first one has let go of the file
    monkeypatch.setattr(ReferenceModel, "_parts", lambda _: pytest.fail("the model was loaded"))
    after = second.score([*TEXTS, TEXTS[0]])
    assert before[0].tobytes() == after[0].tobytes() and before[1].tolist() == after[1].tolist()
    assert len(RowStore(tmp_path / "rows" / "perplexity.sqlite", read_only=True)) == len(TEXTS)
    assert [part.shape for part in second.score([])] == [(0,), (0,)]


def test_other_shapes_and_models_have_other_keys(tiny: Path, tmp_path: Path) -> None:
    other = make_tiny_model(tmp_path / "other", seed=1)
    models = [ReferenceModel(tiny, tmp_path, rows=4), ReferenceModel(tiny, tmp_path, rows=8), ReferenceModel(other, tmp_path, rows=4)]
    assert len({model._key("a") for model in models}) == 3
    moved = make_tiny_model(tmp_path / "moved")
    assert ReferenceModel(moved, tmp_path, rows=4)._key("a") == models[0]._key("a")


def test_long_texts_are_cut_before_the_end_of_the_line(tiny: Path, tmp_path: Path) -> None:
    start = "ab " * MAX_TOKENS
    nll, tokens = ReferenceModel(tiny, tmp_path, rows=1).score([start + "x", start + "yy zz"])
    assert nll[0] == nll[1] and tokens.tolist() == [MAX_TOKENS, MAX_TOKENS]


def test_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    places = SimpleNamespace(paths=SimpleNamespace(root=tmp_path, cache=tmp_path / "cache", own=Paths(tmp_path, "x").own))
    places.model = partial(Catalog.model, places)
    with pytest.raises(UserError, match="cannot be loaded"):
        ReferenceModel.open("./m", places).score(["a"])
    with pytest.raises(UserError, match="no such model"):
        ReferenceModel.open("./none", places)


@pytest.mark.model
def test_backends_agree_on_sentences(tmp_path: Path) -> None:
    smollm2()
    who, did = ["My sister", "The old man", "Nobody here", "A tired nurse", "Our team"], ["lost the keys", "won a small prize"]
    then = ["and cried all night.", "so we went home early", "but it did not matter!", "why does this always happen?", "lol"]
    texts = [f"{a} {b} {c}" for a in who for b in did for c in then]
    assert len(texts) == 50
    fast, slow = (
        ReferenceModel.open("smollm2-135m-instruct", catalog(), backend="openvino"),
        ReferenceModel.open("smollm2-135m-instruct", catalog(), backend="transformers"),
    )
    for model in (fast, slow):
        model._parts()  # converted models are the cache's; scores are made afresh
        model.cache = tmp_path
    found, tokens = fast.score(texts)
    truth, same = slow.score(texts)
    assert tokens.tolist() == same.tolist()
    assert np.abs(found - truth).mean() < 0.05
    fast._memory.clear()
    fast.cache = tmp_path / "again"
    assert fast.score(texts[7:8])[0].tobytes() == found[7:8].tobytes(), "a score depends on the text alone"
    backwards = fast.score([" ".join(reversed(text.split())) for text in texts[:10]])[0]
    assert backwards.mean() > found[:10].mean(), "word salad is less likely"
