"""Tuning a generator on a seed: loss, resumption, early stopping, the cache, and arms that a tuned generator writes."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from emosynth.cards import read_table
from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.generation.plan import stable_seed
from emosynth.generation.prompts import clean_completion
from emosynth.generation.run import _jobs, generate, plan_all
from emosynth.models.lm import Completion, Request
from emosynth.models.lm import tune as tuning_code
from emosynth.models.lm import tuned as tuned_code
from emosynth.models.lm.tune import Epoch, Example, Tuned, _Rows, _Trainer, apply_delta, load_for_tuning, prepare, tune
from emosynth.models.lm.tuned import TunedModel, find_or_tune, load_tuned, tuned_folder, tuning_key
from emosynth.params import Decoding, Generation, GenerationArm, Generator, Seeding, Tuning, TuningKind
from emosynth.seeding import seed_rows, stratified_order
from emosynth.store import RowStore
from emosynth.tuning import build as build_code
from emosynth.tuning import build_tuning, examples_of, label_prefix, tuned_generators
from emosynth.tuning.build import HISTORY, TUNED, cells
from emosynth.tuning.plots import perplexity_curves, summary
from lm_files import catalog, make_tiny_architecture, make_tiny_model, smollm2

TOP = TuningKind(trainable="top_blocks", blocks=1, learning_rate=1e-2)
LORA = TuningKind(trainable="lora", rank=3, learning_rate=1e-2)
ALL = TuningKind(trainable="all", learning_rate=3e-3)
KINDS = {"top": TOP, "lora": LORA, "all": ALL}
MOODS = ["sad", "glad"]


def example(number: int) -> Example:
    """Return an invented row; the lengths differ."""
    ends = ["", " it rained", " and the bus was late"]
    return Example(f"{MOODS[number % 2]} note:", f"day {number} was {['grey', 'bright'][number % 2]}{ends[number % 3]}")


TRAIN, HELD = [example(number) for number in range(12)], [example(number) for number in range(40, 45)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSYNTH_THREADS", "1")


def run(tiny: Path, kind: TuningKind, checkpoint: Path, **more: Any) -> Tuned:
    setting: dict[str, Any] = {"epochs": 3, "patience": 3, "batch": 4, "max_tokens": 64, "seed": 1, **more}
    return tune(tiny, kind, TRAIN, HELD, checkpoint=checkpoint, **setting)


def trainer_of(tiny: Path, kind: TuningKind, examples: list[Example] = TRAIN, max_tokens: int = 64) -> tuple[_Trainer, _Rows]:
    tokenizer, model = load_for_tuning(tiny)
    return _Trainer(model, kind), _Rows(tokenizer, examples, max_tokens)


def nll_by_hand(tiny: Path, item: Example, model: Any = None) -> tuple[float, int]:
    """Sum -log p over the bytes of the text and the end of its line, row alone, without padding."""
    tokenizer, plain = load_for_tuning(tiny)
    head, body = tokenizer(item.prefix)["input_ids"], tokenizer(f" {item.text}\n", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        log_p = (model or plain)(torch.tensor([head + body])).logits[0].double().log_softmax(-1)
    return -sum(float(log_p[len(head) + place - 1, token]) for place, token in enumerate(body)), len(body)


# --- the loss -------------------------------------------------------------------------------------------


def test_remembered_states_give_the_loss_and_the_gradients_of_the_whole_model(tiny: Path) -> None:
    plain, rows = trainer_of(tiny, TOP)
    short, remembered = trainer_of(tiny, TOP)
    held = _Rows(load_for_tuning(tiny)[0], HELD, 64)
    for part in (remembered, held):  # as in tuning: the second must not spoil the first
        short.remember(part)
    passes = []
    short._all[0].register_forward_hook(lambda *_: passes.append(1))
    part = [7, 0, 11, 4]
    for moved in (False, True):
        if moved:  # after a step the frozen part is still what it was
            for trainer in (plain, short):
                with torch.no_grad():
                    for value in trainer.parameters.values():
                        value.mul_(1.1)
        losses = []
        for trainer, of in ((plain, rows), (short, remembered)):
            loss, count = trainer.loss(of, part)
            trainer.model.zero_grad()
            loss.backward()
            losses.append(float(loss.detach()) / count)
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        assert plain.parameters.keys() == short.parameters.keys() and len(plain.parameters) == 7
        for name, value in plain.parameters.items():
            assert value.grad is not None and float(value.grad.abs().max()) > 0, name
            torch.testing.assert_close(short.parameters[name].grad, value.grad, rtol=1e-3, atol=1e-4 * float(value.grad.abs().max()))
    assert not passes, "the frozen block was run again"
    assert all(value.grad is None for name, value in plain.model.named_parameters() if name not in plain.parameters)
    assert plain.perplexity(held_alone := _Rows(load_for_tuning(tiny)[0], HELD, 64)) == pytest.approx(short.perplexity(held), rel=1e-5)
    assert held_alone.states is None


@pytest.mark.parametrize("kind", [TOP, ALL], ids=["remembered", "plain"])
def test_padding_on_the_right_changes_nothing(tiny: Path, kind: TuningKind) -> None:
    trainer, rows = trainer_of(tiny, kind)
    trainer.remember(rows)
    order = sorted(range(len(TRAIN)), key=lambda row: len(rows.ids[row]))
    shortest, longest = order[0], order[-1]
    assert len(rows.ids[shortest]) < len(rows.ids[longest])
    with torch.no_grad():
        alone = [float(trainer.loss(rows, [row])[0]) for row in (shortest, longest)]
        together = float(trainer.loss(rows, [longest, shortest])[0])
    assert together == pytest.approx(sum(alone), rel=1e-5)
    for row, found in zip((shortest, longest), alone, strict=True):
        assert found == pytest.approx(nll_by_hand(tiny, TRAIN[row])[0], rel=1e-4)


def test_only_the_text_and_the_end_of_its_line_are_learnt(tiny: Path) -> None:
    items = [Example("sad note:", "so grey"), Example("very glad note:", "naïve 🙂 fun"), Example("sad note:", "x" * 30)]
    trainer, rows = trainer_of(tiny, ALL, items, max_tokens=20)
    assert len(rows.ids[0]) == len("sad note: so grey\n")  # one token a byte
    ids, mask, targets = rows.batch([1, 0, 2])
    counts = [len(" naïve 🙂 fun\n".encode()), len(" so grey\n"), 20]  # the last is cut and has no end
    assert (targets >= 0).sum(axis=1).tolist() == counts
    assert mask.sum(axis=1).tolist() == [len("very glad note:") + counts[0], len("sad note:") + counts[1], len("sad note:") + 20]
    tokenizer, _ = load_for_tuning(tiny)
    for place, (row, prefix) in enumerate([(1, "very glad note:"), (0, "sad note:"), (2, "sad note:")]):
        learnt = targets[place][targets[place] >= 0].tolist()
        assert tokenizer.decode(learnt) == f" {items[row].text}\n"[: None if row < 2 else 20]
        first = int((targets[place] >= 0).nonzero()[0])
        assert first == len(prefix) - 1, "the last token of the prefix predicts the first of the text"
        assert ids[place, first + 1] == targets[place, first]
    with torch.no_grad():
        loss, count = trainer.loss(rows, [0, 1])
    by_hand = [nll_by_hand(tiny, item) for item in items[:2]]
    assert count == sum(n for _, n in by_hand) == counts[0] + counts[1]
    assert float(loss) == pytest.approx(sum(nll for nll, _ in by_hand), rel=1e-4)
    assert trainer.perplexity(rows) != pytest.approx(math.exp(float(loss) / mask.sum()), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_vectors_are_never_trained(tiny: Path, kind: TuningKind) -> None:
    _, model = load_for_tuning(tiny)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    chosen = prepare(model, kind)
    assert chosen and all(value.ndim >= 2 and value.requires_grad for value in chosen.values())
    assert {name for name, value in model.named_parameters() if value.requires_grad} == set(chosen)
    if kind is TOP:
        assert all(name.startswith("model.layers.1.") for name in chosen) and len(chosen) == 7
    if kind is ALL:
        assert set(chosen) == {name for name, value in before.items() if value.ndim == 2}
    if kind is LORA:
        assert all("lora_" in name and min(value.shape) == 3 for name, value in chosen.items())
        assert len(chosen) == 2 * 7 * 2, "two adapters on each of the seven linear maps of both blocks"


def test_more_blocks_than_there_are(tiny: Path) -> None:
    _, model = load_for_tuning(tiny)
    with pytest.raises(UserError, match="2 blocks") as error:
        prepare(model, TuningKind(trainable="top_blocks", blocks=3))
    assert "at most 2" in str(error.value)
    assert len(prepare(model, TuningKind(trainable="top_blocks", blocks=2))) == 14


def test_all_blocks_may_be_trained_without_any_frozen_state(tiny: Path) -> None:
    trainer, rows = trainer_of(tiny, TuningKind(trainable="top_blocks", blocks=2))
    trainer.remember(rows)
    assert rows.states is None
    assert float(trainer.loss(rows, [3])[0].detach()) == pytest.approx(nll_by_hand(tiny, TRAIN[3])[0], rel=1e-4)


def test_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded for tuning"):
        load_for_tuning(tmp_path)


# --- a run ----------------------------------------------------------------------------------------------


def same(left: Tuned, right: Tuned) -> bool:
    return (
        repr(left.history) == repr(right.history)
        and (left.best, left.trainable, left.total) == (right.best, right.trainable, right.total)
        and left.delta.keys() == right.delta.keys()
        and all(torch.equal(left.delta[name], right.delta[name]) for name in left.delta)
    )


class Killed(Exception):
    pass


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_killed_and_resumed_is_the_same_as_uninterrupted(tiny: Path, tmp_path: Path, kind: TuningKind) -> None:
    whole = run(tiny, kind, tmp_path / "whole.pt")
    assert whole.best == 3 and len(whole.history) == 4, "a run that learns, so that there is something to lose"
    assert math.isnan(whole.history[0].train_loss) and whole.history[3].perplexity < whole.history[0].perplexity
    assert whole.history[0].perplexity == pytest.approx(
        math.exp(sum(nll_by_hand(tiny, item)[0] for item in HELD) / sum(nll_by_hand(tiny, item)[1] for item in HELD)), rel=1e-4
    )
    for dies_at in ("epoch 1, batch 2", "epoch 2, batch 1", "epoch 3, batch 3"):
        checkpoint, lines = tmp_path / f"{dies_at}.pt", []

        def die(line: str, dies_at: str = dies_at) -> None:
            if line.startswith(dies_at):
                raise Killed

        with pytest.raises(Killed):
            run(tiny, kind, checkpoint, progress=die)
        assert checkpoint.exists() == (not dies_at.startswith("epoch 1"))
        torch.manual_seed(99)  # the caller's random state is no part of it
        resumed = run(tiny, kind, checkpoint, progress=lines.append)
        assert same(whole, resumed), dies_at
        assert any("before tuning" in line for line in lines) == (not checkpoint.exists() or dies_at.startswith("epoch 1"))
        assert any(line.startswith("epoch 1,") for line in lines) == dies_at.startswith("epoch 1"), "no epoch is run twice"


def test_other_seeds_give_other_parameters(tiny: Path, tmp_path: Path) -> None:
    a, b = (run(tiny, TOP, tmp_path / f"{seed}.pt", seed=seed, epochs=1) for seed in (1, 2))
    assert not all(torch.equal(a.delta[name], b.delta[name]) for name in a.delta)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"not a checkpoint at all"])
def test_torn_checkpoint_only_costs_its_epochs(tiny: Path, tmp_path: Path, content: bytes) -> None:
    whole = run(tiny, TOP, tmp_path / "whole.pt", epochs=1)
    torn = tmp_path / "torn.pt"
    torn.write_bytes(content)
    assert same(whole, run(tiny, TOP, torn, epochs=1))
    half = tmp_path / "half.pt"
    half.write_bytes((tmp_path / "whole.pt").read_bytes()[:-200])
    assert same(whole, run(tiny, TOP, half, epochs=1))


def test_finished_checkpoint_is_not_trained_further(tiny: Path, tmp_path: Path) -> None:
    whole = run(tiny, TOP, tmp_path / "a.pt")
    lines: list[str] = []
    assert same(whole, run(tiny, TOP, tmp_path / "a.pt", progress=lines.append)) and not lines


def scripted(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> list[dict[str, Any]]:
    """Let held-out perplexity run through ``values``; returns the states saved."""
    saved: list[dict[str, Any]] = []
    script = iter(values)
    monkeypatch.setattr(_Trainer, "perplexity", lambda *_: next(script))
    monkeypatch.setattr(tuning_code, "_save", lambda _, state: saved.append(dict(vars(state))))
    return saved


@pytest.mark.parametrize(
    ("values", "patience", "epochs", "best", "ran"),
    [
        ([10, 8, 9, 9.5, 1], 2, 9, 1, 3),  # two epochs without a better one
        ([10, 8, 9, 7, 8, 7.5, 1], 2, 9, 3, 5),  # patience begins anew with every better one
        ([10, 9, 8, 7], 1, 3, 3, 3),  # all epochs there are
        ([10, 10, 1], 1, 9, 0, 1),  # equal is not better
        ([10, 11, 12, 13, 1], 3, 9, 0, 3),
        ([10, math.nan, 1], 1, 9, 0, 1),
    ],
)
def test_early_stopping(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[float], patience: int, epochs: int, best: int, ran: int
) -> None:
    saved = scripted(monkeypatch, values)
    found = run(tiny, TOP, tmp_path / "c.pt", epochs=epochs, patience=patience)
    assert (found.best, len(found.history) - 1, len(saved)) == (best, ran, ran)
    np.testing.assert_equal([epoch.perplexity for epoch in found.history], values[: ran + 1])
    assert [epoch.epoch for epoch in found.history] == list(range(ran + 1))
    if best == 0:
        assert found.delta == {}
    else:
        kept = saved[best - 1]["current"]
        assert all(torch.equal(found.delta[name], kept[name]) for name in kept) and found.delta.keys() == kept.keys()
        assert ran == best or not all(torch.equal(found.delta[name], saved[-1]["current"][name]) for name in kept)


@pytest.mark.parametrize("rate", [10.0, 100.0, 1e3, 1e6, 1e30])
def test_absurd_learning_rate_is_named_or_the_untuned_model_kept(tiny: Path, tmp_path: Path, rate: float) -> None:
    try:
        found = run(tiny, ALL.model_copy(update={"learning_rate": rate}), tmp_path / "c.pt", patience=1)
    except UserError as error:
        assert "learning_rate" in str(error) and "not a number" in str(error) and "Lower" in str(error)
    else:
        assert found.best == 0 and found.delta == {} and len(found.history) == 2


def test_held_out_loss_beyond_what_an_exponential_can_hold(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine, calls = _Trainer.loss, []

    def loss(self, rows, part):
        total, count = genuine(self, rows, part)
        calls.append(len(rows.ids))
        return (total + 800.0 * count if len(rows.ids) == len(HELD) and len(calls) > 2 else total), count

    monkeypatch.setattr(_Trainer, "loss", loss)
    found = run(tiny, TOP, tmp_path / "c.pt", patience=1)
    assert found.best == 0 and not math.isfinite(found.history[1].perplexity)


def test_loss_that_is_no_number_names_the_learning_rate(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = _Trainer.loss
    monkeypatch.setattr(_Trainer, "loss", lambda self, rows, part: (lambda pair: (pair[0] * math.inf, pair[1]))(genuine(self, rows, part)))
    monkeypatch.setattr(_Trainer, "perplexity", lambda *_: 5.0)
    with pytest.raises(UserError, match="not a number") as error:
        run(tiny, TOP, tmp_path / "c.pt")
    assert "tuning.kinds: learning_rate" in str(error.value) and not (tmp_path / "c.pt").exists()


# --- tuned weights --------------------------------------------------------------------------------------


def logits_of(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.arange(1, 40)[None]).logits


def test_merged_adapters_write_what_the_adapters_wrote(tiny: Path, tmp_path: Path) -> None:
    delta = run(tiny, LORA, tmp_path / "c.pt", epochs=1).delta
    _, adapted = load_for_tuning(tiny)
    prepare(adapted, LORA)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if name in delta:
                value.copy_(delta[name])
    untuned = load_for_tuning(tiny)[1]
    names = [name for name, _ in untuned.named_parameters()]
    merged = apply_delta(load_for_tuning(tiny)[1], LORA, delta)
    assert [name for name, _ in merged.named_parameters()] == names, "nothing of the adapters is left"
    torch.testing.assert_close(logits_of(merged), logits_of(adapted), rtol=1e-3, atol=1e-3)
    assert float((logits_of(merged) - logits_of(untuned)).abs().max()) > 0.1


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_applied_weights_have_the_perplexity_that_was_measured(tiny: Path, tmp_path: Path, kind: TuningKind) -> None:
    found = run(tiny, kind, tmp_path / "c.pt", epochs=1)
    assert found.best == 1 and all(value.ndim >= 2 for value in found.delta.values())
    assert found.trainable == sum(value.numel() for value in found.delta.values()) < found.total
    base = dict(load_for_tuning(tiny)[1].named_parameters())
    model = apply_delta(load_for_tuning(tiny)[1], kind, found.delta)
    by_hand = [nll_by_hand(tiny, item, model) for item in HELD]
    assert math.exp(sum(nll for nll, _ in by_hand) / sum(n for _, n in by_hand)) == pytest.approx(found.history[1].perplexity, rel=1e-3)
    changed = {name for name, value in model.named_parameters() if not torch.equal(value, base[name])}
    assert changed and all(base[name].ndim == 2 for name in changed)
    if kind is TOP:
        assert all(name.startswith("model.layers.1.") for name in changed)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox"])
def test_other_architectures_are_tuned_too(architecture: str, tmp_path: Path, kind: TuningKind) -> None:
    """GPT-2 keeps its matrices transposed and gives tuples; what is measured must be what the model writes with."""
    folder = make_tiny_architecture(tmp_path / "m", architecture)
    found = run(folder, kind, tmp_path / "c.pt", epochs=2)
    assert found.best > 0 and found.history[found.best].perplexity < found.history[0].perplexity
    model = apply_delta(load_for_tuning(folder)[1], kind, found.delta)
    by_hand = [nll_by_hand(folder, item, model) for item in HELD]
    assert math.exp(sum(nll for nll, _ in by_hand) / sum(n for _, n in by_hand)) == pytest.approx(
        found.history[found.best].perplexity, rel=1e-3
    )
    base = dict(load_for_tuning(folder)[1].named_parameters())
    changed = {name for name, value in model.named_parameters() if not torch.equal(value, base[name])}
    assert changed and (kind is not TOP or all(".1." in name for name in changed))


def test_no_delta_leaves_the_model_and_a_strange_one_is_an_error(tiny: Path) -> None:
    _, model = load_for_tuning(tiny)
    assert apply_delta(model, LORA, {}) is model
    with pytest.raises(UserError, match="do not fit"):
        apply_delta(model, TOP, {"model.layers.7.mlp.weight": torch.zeros(2, 2)})


def settings(tiny: Path, **more: Any) -> Tuning:
    given: dict[str, Any] = {
        "corpus": "toy", "seeding": Seeding(sizes=[20, 40], repeats=2), "model": str(tiny), "kinds": KINDS, "epochs": 1, "batch": 8, **more,
    }  # fmt: skip
    return Tuning(**given)


class FakeCatalog:
    """A catalogue without entries, with a cache."""

    def __init__(self, root: Path) -> None:
        self.paths = SimpleNamespace(root=root, cache=root / "cache")


def test_key_depends_on_what_can_change_the_weights(tiny: Path) -> None:
    plain = settings(tiny)

    def key(base="b", kind=TOP, tuning=plain, train=TRAIN, held=HELD, seed=0) -> str:
        return tuning_key(base, kind, tuning, train, held, seed)

    other_text = [Example(TRAIN[0].prefix, TRAIN[0].text + "!"), *TRAIN[1:]]
    other_prefix = [Example("angry note:", TRAIN[0].text), *TRAIN[1:]]
    different = [
        key(), key(base="c"), key(train=other_text), key(train=other_prefix), key(train=TRAIN[::-1]), key(held=HELD[1:]), key(seed=1),
        key(kind=LORA), key(kind=ALL), *(key(kind=TOP.model_copy(update=change)) for change in ({"blocks": 2}, {"learning_rate": 1.0})),
        *(key(tuning=settings(tiny, **change)) for change in ({"epochs": 2}, {"patience": 2}, {"batch": 4}, {"max_tokens": 32})),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert key(kind=TOP.model_copy(update={"sizes": [20], "repeats": 1})) == key(), "where a kind is used changes nothing in it"
    assert key(tuning=settings(tiny, seeding=Seeding(sizes=[8], repeats=9), kinds={"x": LORA}, held_out=0.3)) == key()


def test_tuned_once_then_taken_from_the_cache(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, tuning = FakeCatalog(tmp_path), settings(tiny)
    first = find_or_tune(tuning, TOP, TRAIN, HELD, store, seed=3, card="# A card\n")
    names = sorted(file.name for file in first.folder.iterdir())
    assert names == ["README.md", "delta.safetensors", "tuned.json"], "no checkpoint is left"
    card = (first.folder / "README.md").read_text()
    assert card.startswith("# A card\n") and first.sha256 in card and f"Kept: epoch {first.best}" in card
    monkeypatch.setattr(tuning_code, "tune", lambda *_, **__: pytest.fail("tuned again"))
    again = find_or_tune(tuning, TOP.model_copy(update={"sizes": [20]}), TRAIN, HELD, store, seed=3)
    assert again.sha256 == first.sha256 and repr(again.history) == repr(first.history) and again.best == first.best == 1
    assert math.isnan(again.history[0].train_loss)
    with pytest.raises(pytest.fail.Exception, match="tuned again"):
        find_or_tune(tuning, TOP, TRAIN, HELD, store, seed=4)


def test_killed_tuning_resumes_in_its_folder(tiny: Path, tmp_path: Path) -> None:
    tuning = settings(tiny, epochs=2, patience=2)
    whole = find_or_tune(tuning, TOP, TRAIN, HELD, FakeCatalog(tmp_path / "a"), seed=3)

    def die(line: str) -> None:
        if line.startswith("epoch 2, batch"):
            raise Killed

    store = FakeCatalog(tmp_path / "b")
    with pytest.raises(Killed):
        find_or_tune(tuning, TOP, TRAIN, HELD, store, seed=3, progress=die)
    folder = tuned_folder(store, tuning_key(tuned_code.base_folder(str(tiny), store)[1], TOP, tuning, TRAIN, HELD, 3))
    assert [file.name for file in folder.iterdir()] == ["checkpoint.pt"]
    with pytest.raises(UserError, match="not in the cache"):
        load_tuned(folder, TOP)
    assert find_or_tune(tuning, TOP, TRAIN, HELD, store, seed=3).sha256 == whole.sha256


def test_untuned_model_is_kept_when_nothing_was_better(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = [Epoch(0, math.nan, 5.0), Epoch(1, 2.0, 6.0)]
    monkeypatch.setattr(tuning_code, "tune", lambda *_, **__: Tuned({}, history, 0, 10, 20))
    found = find_or_tune(settings(tiny), LORA, TRAIN, HELD, FakeCatalog(tmp_path), seed=0)
    assert found.best == 0 and repr(found.history) == repr(history) and len(found.sha256) == 64
    model = TunedModel(Generator(backend="transformers", model=str(tiny)), found, FakeCatalog(tmp_path))
    plain = tuned_code.base_folder(str(tiny), FakeCatalog(tmp_path))[1]
    assert model.identity["tuned"] == found.sha256 and model.identity["model"] == plain


def test_missing_or_broken_weights_say_what_to_run(tmp_path: Path) -> None:
    for content in (None, "{", "{}"):
        if content is not None:
            (tmp_path / "gone").mkdir(exist_ok=True)
            (tmp_path / "gone" / "tuned.json").write_text(content)
        with pytest.raises(UserError, match="not in the cache") as error:
            load_tuned(tmp_path / "gone", TOP)
        assert "dvc repro -f 06_tuning" in str(error.value) and str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("kind", [TOP, LORA], ids=["top", "lora"])
def test_tuned_model_writes_with_its_weights_and_cleans_up(tiny: Path, tmp_path: Path, kind: TuningKind) -> None:
    store, tuning = FakeCatalog(tmp_path), settings(tiny)
    weights = find_or_tune(tuning, kind, TRAIN, HELD, store, seed=0)
    generator = Generator(backend="transformers", model=str(tiny))
    model = TunedModel(generator, weights, store)
    assert model.deterministic and not (weights.folder / "transformers").exists(), "nothing is loaded before it is asked for"
    requests = [Request(TRAIN[0].prefix, seed) for seed in range(4)]
    decoding = Decoding(max_new_tokens=12)
    texts = [[found.text for found in model.generate(requests, decoding)] for _ in range(2)]
    assert texts[0] == texts[1]
    model.close()
    assert sorted(file.name for file in weights.folder.iterdir()) == ["README.md", "delta.safetensors", "tuned.json"]
    from emosynth.models.lm.local import TransformersModel

    plain = [found.text for found in TransformersModel(tiny, "x", "cpu", "float32").generate(requests, decoding)]
    assert plain != texts[0]
    assert [found.text for found in model.generate(requests, decoding)] == texts[0], "it opens again"
    model.close()


def test_folder_without_a_graph_cannot_be_exported(tiny: Path, tmp_path: Path) -> None:
    store = FakeCatalog(tmp_path)
    weights = find_or_tune(settings(tiny), TOP, TRAIN, HELD, store, seed=0)
    with pytest.raises(UserError, match=r"openvino_model\.xml") as error:
        TunedModel(Generator(backend="openvino", model=str(tiny)), weights, store).generate([Request("a", 1)], Decoding())
    assert "backend: transformers" in str(error.value)


# --- seeds ----------------------------------------------------------------------------------------------


def toy(task: str = "single") -> Corpus:
    rows = []
    for number in range(80):
        split = "train" if number < 60 else "validation" if number < 70 else "test"
        text = f"entry {number}\n  was  {['wet', 'dry'][number % 2]}"
        rows.append({"id": f"i{number:02d}", "text": text, "labels": [MOODS[number % 2]], "split": split, "corpus": "toy"})
    return Corpus("toy", pd.DataFrame(rows), MOODS, task, "short note", {label: label for label in MOODS}, hash="h")


class Spy(dict):
    """Knows which keys were asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: list[str] = []

    def __getitem__(self, key: str) -> str:
        self.asked.append(key)
        return super().__getitem__(key)


def test_label_prefix_is_spelt_in_words() -> None:
    assert label_prefix("{label} {noun}:", "very-negative", "film review") == "very negative film review:"
    assert label_prefix("A {noun} of {label}", "mixed_up", "tweet") == "A tweet of mixed up"
    assert label_prefix("{label}:", "joy", "tweet") == "joy:"


@pytest.mark.parametrize(("size", "share", "held"), [(20, 0.1, 2), (40, 0.1, 4), (20, 0.25, 5)])
def test_held_out_rows_are_the_last_of_the_seed_and_no_other_row_is_looked_at(tiny: Path, size: int, share: float, held: int) -> None:
    corpus, tuning = toy(), settings(tiny, held_out=share)
    order = stratified_order(corpus, tuning.seeding)
    texts = Spy(zip(corpus.frame["id"], corpus.frame["text"], strict=True))
    train, last = examples_of(order, texts, 1, size, corpus.register_noun, tuning)
    seed = seed_rows(order, 1, size)
    assert texts.asked == seed["id"].tolist(), "rows of the seed in its order, and no others"
    assert (len(train), len(last)) == (size - held, held)
    for item, row, label in zip([*train, *last], seed["id"], seed["label"], strict=True):
        assert item.prefix == f"{label} short note:"
        assert item.text == f"entry {int(row[1:])} was {['wet', 'dry'][int(row[1:]) % 2]}", "one line, single spaces"


def test_cells_keep_to_sizes_and_repeats_of_kinds(tiny: Path) -> None:
    kinds = {
        "a": TOP,
        "b": LORA.model_copy(update={"sizes": [40]}),
        "c": ALL.model_copy(update={"sizes": [20], "repeats": 1}),
        "d": TOP.model_copy(update={"repeats": 9}),
    }
    assert cells(settings(tiny, kinds=kinds)) == [
        ("a", 20, 0), ("a", 40, 0), ("a", 20, 1), ("a", 40, 1),
        ("b", 40, 0), ("b", 40, 1),
        ("c", 20, 0),
        ("d", 20, 0), ("d", 40, 0), ("d", 20, 1), ("d", 40, 1),
    ]  # fmt: skip


def test_tables_of_the_step_and_generators_opened_from_them(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, store = toy(), FakeCatalog(tmp_path)
    kinds = {"top": TOP, "lora": LORA.model_copy(update={"sizes": [20], "repeats": 1})}
    tuning = settings(tiny, kinds=kinds, seeding=Seeding(sizes=[20, 24], repeats=2), epochs=2, patience=1)
    order = stratified_order(corpus, tuning.seeding)
    tables = build_tuning(corpus, order, tuning, store, tmp_path / "tuning")
    history, tuned = tables["history"], tables["tuned"]
    assert list(history.columns) == HISTORY and list(tuned.columns) == TUNED
    assert list(zip(tuned["kind"], tuned["size"], tuned["repeat"], strict=True)) == cells(tuning)
    assert tuned["sha256"].nunique() == len(tuned) == 5
    assert tuned["n_train"].tolist() == [18, 22, 18, 22, 18] and (tuned["n_held_out"] == 2).all()
    for row in tuned.itertuples():
        mine = history[(history["kind"] == row.kind) & (history["size"] == row.size) & (history["repeat"] == row.repeat)]
        assert mine["epoch"].tolist() == list(range(row.epochs + 1)) and mine["train_loss"].isna().tolist() == [True] + [False] * row.epochs
        assert mine.loc[mine["best"], "epoch"].tolist() == [row.best_epoch]
        assert mine.loc[mine["best"], "perplexity"].item() == row.perplexity == mine["perplexity"].min() <= row.perplexity_before
        assert mine["perplexity"].iloc[0] == row.perplexity_before and 0 < row.trainable < row.total
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(read_table(tmp_path / "tuning" / f"{name}.parquet"), frame)
        assert (tmp_path / "tuning" / f"{name}.md").is_file()

    generator = Generator(backend="transformers", model=str(tiny))
    open_tuned = tuned_generators(tuning, generator, store, tmp_path / "tuning")
    shas = {cell: open_tuned(*cell).identity["tuned"] for cell in cells(tuning)}
    assert list(shas.values()) == tuned["sha256"].tolist()

    figure = perplexity_curves(history)
    assert [panel.get_title() for panel in figure.axes] == ["top", "lora"] and all(panel.lines for panel in figure.axes)
    overview = summary(tuned).set_index(["kind", "size"])
    assert overview["generators"].to_dict() == {("top", 20): 2, ("top", 24): 2, ("lora", 20): 1}
    assert (overview["after"] <= overview["before"]).all() and overview["share trained"].between(0, 1, inclusive="neither").all()

    monkeypatch.setattr(tuning_code, "tune", lambda *_, **__: pytest.fail("tuned again"))
    again = build_tuning(corpus, order, tuning, store, tmp_path / "again")
    pd.testing.assert_frame_equal(again["tuned"], tuned)
    account = tmp_path / "cache" / "tuned" / tuned["folder"][0] / "tuned.json"
    account.write_text(account.read_text().replace(tuned["sha256"][0], "0" * 64))
    with pytest.raises(UserError, match="not the one of step 06") as error:
        open_tuned("top", 20, 0)
    assert "top, n = 20, repeat 0" in str(error.value) and "dvc repro -f 06_tuning" in str(error.value)
    assert open_tuned("top", 24, 0).identity["tuned"] == tuned["sha256"][1], "the others are not touched by it"


def test_no_row_outside_the_seeds_reaches_the_model(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, tuning = toy(), settings(tiny, kinds={"top": TOP})
    order = stratified_order(corpus, tuning.seeding)
    handed: dict[tuple[int, int], list[str]] = {}

    def spy(_tuning, _kind, train, held_out, _catalog, *, seed, card, progress):
        handed[len(train) + len(held_out), seed] = [item.text for item in [*train, *held_out]]
        return tuned_code.TunedWeights(tmp_path, TOP, "s", [Epoch(0, math.nan, 9.0), Epoch(1, 1.0, 8.0)], 1, 1, 2)

    monkeypatch.setattr(build_code, "find_or_tune", spy)
    build_tuning(corpus, order, tuning, FakeCatalog(tmp_path), tmp_path / "t")
    text_of = {row: " ".join(text.split()) for row, text in zip(corpus.frame["id"], corpus.frame["text"], strict=True)}
    assert set(handed) == {(20, 0), (40, 0), (20, 1), (40, 1)}
    for (size, repeat), texts in handed.items():
        assert texts == [text_of[row] for row in seed_rows(order, repeat, size)["id"]]


def test_multi_label_corpus_is_refused(tiny: Path, tmp_path: Path) -> None:
    corpus = toy("multi")
    with pytest.raises(UserError, match="multi-label") as error:
        build_tuning(corpus, stratified_order(toy(), Seeding(sizes=[20], repeats=1)), settings(tiny), FakeCatalog(tmp_path), tmp_path)
    assert "tuning.corpus" in str(error.value)


# --- arms of a tuned generator --------------------------------------------------------------------------


def generation(**arms: GenerationArm) -> Generation:
    return Generation(generator=Generator(batch=5), arms=arms, growth=1.0, oversample=2.0, prompt_style="chat")


def plan_of(setting: Generation, cells_: list[tuple[int, int]], prefix: str = "{label} {noun}:"):
    return plan_all(
        setting, cells_, classes=["very-sad", "glad"], phrases={"very-sad": "sadness", "glad": "joy"}, noun="film review", guidance={},
        seed_texts={cell: {} for cell in cells_}, prefix=prefix,
    )  # fmt: skip


def test_prompt_of_a_tuned_arm_is_the_label_prefix(tiny: Path) -> None:
    setting = generation(naive=GenerationArm(), tuned=GenerationArm(tuned="top"))
    plan = plan_of(setting, [(10, 0)])
    assert [row.request.prompt for row in plan["tuned"]] == ["very sad film review:"] * 10 + ["glad film review:"] * 10
    assert not any(row.request.chat or row.request.bias for row in plan["tuned"]), "no chat template around a prefix"
    assert all(row.request.chat for row in plan["naive"])
    seeds = [row.request.row_seed for row in plan["tuned"]]
    assert seeds == [row.request.row_seed for row in plan["naive"]] and seeds[0] == stable_seed("row", 0, "very-sad", 0)
    # what is asked for begins as what was learnt, token for token
    tokenizer, _ = load_for_tuning(tiny)
    rows = _Rows(tokenizer, [Example(label_prefix("{label} {noun}:", "glad", "film review"), "a b")], 64)
    asked = tokenizer(plan["tuned"][-1].request.prompt)["input_ids"]
    assert rows.ids[0][: rows.prefix[0]] == asked


def test_arms_may_have_growth_oversampling_and_repeats_of_their_own() -> None:
    setting = generation(
        plain=GenerationArm(tuned="a"),
        large=GenerationArm(tuned="a", growth=3.0),
        sparse=GenerationArm(tuned="a", growth=0.5, oversample=1.5),
        once=GenerationArm(tuned="a", repeats=1),
        one_size=GenerationArm(tuned="a", sizes=[20], repeats=1),
    )
    plan = plan_of(setting, [(10, 0), (20, 0), (10, 1), (20, 1)])

    def counts(name: str) -> dict[tuple[int, int], int]:
        return pd.Series([(row.size, row.repeat) for row in plan[name]]).value_counts().to_dict()

    assert counts("plain") == {(10, 0): 20, (20, 0): 40, (10, 1): 20, (20, 1): 40}
    assert counts("large") == {(10, 0): 60, (20, 0): 120, (10, 1): 60, (20, 1): 120}
    assert counts("sparse") == {(10, 0): 8, (20, 0): 15, (10, 1): 8, (20, 1): 15}  # ceil(0.5 n 1.5)
    assert counts("once") == {(10, 0): 20, (20, 0): 40}
    assert counts("one_size") == {(20, 0): 40}
    assert all(len(rows) == len({row.candidate_id for row in rows}) for rows in plan.values())


def test_each_tuned_model_is_loaded_once() -> None:
    setting = generation(
        naive=GenerationArm(),
        t=GenerationArm(tuned="a"),
        t2=GenerationArm(tuned="a", growth=2.0, sizes=[20]),
        u=GenerationArm(tuned="b", repeats=1),
    )
    plan = plan_of(setting, [(10, 0), (20, 0), (10, 1), (20, 1)])
    jobs = _jobs(plan, setting)
    assert jobs[0].tuned is None and list(jobs[0].rows) == ["naive"]
    tuned = [job.tuned for job in jobs[1:]]
    assert len(tuned) == len(set(tuned))
    assert set(tuned) == {("a", 10, 0), ("a", 20, 0), ("a", 10, 1), ("a", 20, 1), ("b", 10, 0), ("b", 20, 0)}
    by = {job.tuned: job for job in jobs[1:]}
    assert list(by["a", 20, 1].rows) == ["t", "t2"] and list(by["a", 10, 1].rows) == ["t"]
    assert all((row.size, row.repeat) == job.tuned[1:] for job in jobs[1:] for rows in job.rows.values() for row in rows)
    assert sum(len(rows) for job in jobs for rows in job.rows.values()) == sum(len(rows) for rows in plan.values())


class Writer:
    """Writes a text that tells which model wrote it, and holds a quotation."""

    deterministic = True

    def __init__(self, name: str) -> None:
        self.identity, self.name, self.open = {"model": name}, name, True

    def generate(self, requests, decoding, *, progress=None):
        assert self.open
        return [Completion(f' {self.name} said "so it is" of {r.row_seed} now\nmore', "stop", 5, 6) for r in requests]

    def close(self) -> None:
        self.open = False


def test_seeds_are_written_by_their_own_models_and_quotes_are_kept(tmp_path: Path) -> None:
    setting = generation(naive=GenerationArm(), t=GenerationArm(tuned="a"), u=GenerationArm(tuned="a", sizes=[20]))
    plan = plan_of(setting, [(10, 0), (20, 0), (20, 1)])
    opened: list[Writer] = []

    def open_tuned(kind: str, size: int, repeat: int) -> Writer:
        assert all(not model.open for model in opened), "one model in memory at a time"
        opened.append(Writer(f"{kind}{size}{repeat}"))
        return opened[-1]

    def open_plain(_: Generator) -> Writer:
        opened.append(Writer("plain"))
        return opened[-1]

    with RowStore(tmp_path / "rows.jsonl") as store:
        frame, account = generate(plan, open_plain, store, generation=setting, open_tuned=open_tuned)
    assert [model.name for model in opened] == ["plain", "a100", "a200", "a201"] and not any(model.open for model in opened)
    assert account["deterministic"] and len(account["generators"]) == 4
    assert list(frame["candidate_id"]) == [
        row.candidate_id for name in plan for row in sorted(plan[name], key=lambda row: (row.size, row.repeat, row.label, row.index))
    ]
    for row in frame.itertuples():
        writer = "plain" if row.arm == "naive" else f"a{row.size}{row.repeat}"
        assert row.text == f'{writer} said "so it is" of {row.row_seed} now'
    assert set(frame.loc[frame["arm"] != "naive", "generator"].str.rpartition("+")[2]) == {"a/10/0", "a/20/0", "a/20/1"}
    with RowStore(tmp_path / "rows.jsonl") as store:
        known = len(store)
        again, _ = generate(plan, open_plain, store, generation=setting, open_tuned=open_tuned)
        assert len(store) == known
    pd.testing.assert_frame_equal(again, frame)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (' a "fine" thing\nglad note: b', 'a "fine" thing'),
        ("  plain  ", "plain"),
        ("", ""),
        ("\nnothing before the end of the line", ""),
    ],
)
def test_tuned_completion_is_its_first_line(given: str, text: str) -> None:
    assert clean_completion("tuned", given) == (text, False)
    assert clean_completion("list", ' a "fine" thing') == ("a", True)


@pytest.mark.parametrize("text", ['she said "never again"', '"Fine" is what he said'])
def test_quotation_at_either_end_of_a_tuned_text_stays_whole(text: str) -> None:
    assert clean_completion("tuned", f" {text}\n")[0] == text


# --- the real model -------------------------------------------------------------------------------------


@pytest.mark.model
def test_tuned_smollm2_writes_on_openvino_with_its_weights(tmp_path: Path) -> None:
    from emosynth.models.lm.openvino import OpenVinoModel
    from emosynth.models.lm.perplexity import ReferenceModel, _openvino_forward, _torch_forward

    smollm2()
    real = catalog()
    places = SimpleNamespace(root=real.paths.root, cache=tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(real.paths.cache / "models")  # conversions of the untuned model are there
    store = SimpleNamespace(paths=places, entry=real.entry, fetch=real.fetch)
    things = ["kettle", "ladder", "violin", "bucket", "lantern", "saddle", "teapot", "anchor", "pillow", "hammer"]
    rows = [Example(f"{mood} note:", f"the {thing} {verb}") for mood, verb in (("sad", "broke again and nobody came"), ("glad", "sings at dawn by the pier")) for thing in things]  # fmt: skip
    kind = TuningKind(trainable="top_blocks", blocks=4, learning_rate=5e-4)
    tuning = settings(Path(), model="smollm2-135m-instruct", batch=2, kinds={"top": kind})
    weights = find_or_tune(tuning, kind, rows[:9] + rows[10:19], [rows[9], rows[19]], store, seed=0)
    assert weights.best == 1 and weights.history[1].perplexity < weights.history[0].perplexity

    generator = Generator(model="smollm2-135m-instruct")
    requests = [Request(f"{mood} note:", seed) for mood in MOODS for seed in range(4)]
    decoding = Decoding(temperature=0.7, max_new_tokens=16)
    model = TunedModel(generator, weights, store)
    first, second = ([found.text for found in model.generate(requests, decoding)] for _ in range(2))
    plain = OpenVinoModel.open(generator, real)
    untuned = [found.text for found in plain.generate(requests, decoding)]
    plain.close()
    assert first == second != untuned
    assert plain.identity != model.identity

    # the exported graph and the tuned model itself say the same of sentences, and not what the untuned model says
    base, _ = tuned_code.base_folder(tuning.model, store)
    from safetensors.torch import load_file

    tokenizer, merged = load_for_tuning(base)
    apply_delta(merged, kind, load_file(weights.folder / "delta.safetensors")).save_pretrained(tmp_path / "merged")
    texts = [row.text for row in rows]
    found = {}
    for name, forward in (
        ("graph", _openvino_forward(weights.folder / "openvino")),
        ("torch", _torch_forward(tmp_path / "merged")),
        ("untuned", _torch_forward(base)),
    ):
        reference = ReferenceModel(base, tmp_path, rows=4)
        reference._loaded = (tokenizer, forward)
        found[name] = np.array([nll for nll, _ in reference._compute(texts)])
    assert np.abs(found["graph"] - found["torch"]).mean() < 0.1
    assert (found["untuned"] - found["torch"]).mean() > 3 * np.abs(found["graph"] - found["torch"]).mean()
    model.close()
    assert not (weights.folder / "openvino").exists()
