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
from emosynth.catalog import Catalog
from emosynth.catalog.kept import seal
from emosynth.design.arms import resolve_arm
from emosynth.design.cells import Cell, stable_seed
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.generation.from_class import plan_class
from emosynth.generation.write import write_all
from emosynth.guides.base import Tables
from emosynth.models.lm import Completion, Request
from emosynth.models.lm import tune as tuning_code
from emosynth.models.lm import tuned as tuned_code
from emosynth.models.lm.trainable import apply_delta, load_for_tuning, prepare
from emosynth.models.lm.tune import Epoch, Example, Tuned, _Rows, _Trainer, tune
from emosynth.models.lm.tuned import TunedModel, find_or_tune, load_tuned, tuned_folder, tuning_key
from emosynth.params import Decoding, Generator, Params, Tuning, WriterSpec
from emosynth.paths import Paths
from emosynth.store import RowStore
from emosynth.writers import build as build_code
from emosynth.writers import build_tuned, decoding_of, generator_of, label_prefix, list_tuned, open_writer, summary
from emosynth.writers.build import HISTORY, TUNED
from emosynth.writers.examples import examples_of
from lm_files import catalog, make_tiny_architecture, make_tiny_model, smollm2
from writing_fakes import SINGLE, TEXTS, FakeSeeds, params_of

TOP = WriterSpec(tune="top_blocks", blocks=1, learning_rate=1e-2)
LORA = WriterSpec(tune="lora", rank=3, learning_rate=1e-2)
ALL = WriterSpec(tune="all", learning_rate=3e-3)
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


def run(tiny: Path, kind: WriterSpec, checkpoint: Path, **more: Any) -> Tuned:
    seed, progress = more.pop("seed", 1), more.pop("progress", None)
    setting = Tuning(**{"epochs": 3, "patience": 3, "batch": 4, "max_tokens": 64, **more})
    return tune(tiny, kind, TRAIN, HELD, setting, seed=seed, checkpoint=checkpoint, progress=progress)


def trainer_of(tiny: Path, kind: WriterSpec, examples: list[Example] = TRAIN, max_tokens: int = 64) -> tuple[_Trainer, _Rows]:
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
def test_padding_on_the_right_changes_nothing(tiny: Path, kind: WriterSpec) -> None:
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
def test_vectors_are_never_trained(tiny: Path, kind: WriterSpec) -> None:
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
        prepare(model, WriterSpec(tune="top_blocks", blocks=3))
    assert "at most 2" in str(error.value)
    assert len(prepare(model, WriterSpec(tune="top_blocks", blocks=2))) == 14


def test_all_blocks_may_be_trained_without_any_frozen_state(tiny: Path) -> None:
    trainer, rows = trainer_of(tiny, WriterSpec(tune="top_blocks", blocks=2))
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
def test_killed_and_resumed_is_the_same_as_uninterrupted(tiny: Path, tmp_path: Path, kind: WriterSpec) -> None:
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
    assert "writers: learning_rate" in str(error.value) and not (tmp_path / "c.pt").exists()


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
def test_applied_weights_have_the_perplexity_that_was_measured(tiny: Path, tmp_path: Path, kind: WriterSpec) -> None:
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
def test_other_architectures_are_tuned_too(architecture: str, tmp_path: Path, kind: WriterSpec) -> None:
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


def settings(**more: Any) -> Tuning:
    return Tuning(**{"epochs": 1, "batch": 8, **more})


class FakeCatalog:
    """A catalogue without entries, with a cache."""

    def __init__(self, root: Path) -> None:
        self.paths = SimpleNamespace(root=root, cache=root / "cache", own=Paths(root, "x").own)

    model = Catalog.model


def test_key_depends_on_what_can_change_the_weights(tiny: Path) -> None:
    plain = settings()

    def key(base="b", kind=TOP, tuning=plain, train=TRAIN, held=HELD, seed=0) -> str:
        return tuning_key(base, kind, tuning, train, held, seed)

    other_text = [Example(TRAIN[0].prefix, TRAIN[0].text + "!"), *TRAIN[1:]]
    other_prefix = [Example("angry note:", TRAIN[0].text), *TRAIN[1:]]
    different = [
        key(), key(base="c"), key(train=other_text), key(train=other_prefix), key(train=TRAIN[::-1]), key(held=HELD[1:]), key(seed=1),
        key(kind=LORA), key(kind=ALL), *(key(kind=TOP.model_copy(update=change)) for change in ({"blocks": 2}, {"learning_rate": 1.0})),
        *(key(tuning=settings(**change)) for change in ({"epochs": 2}, {"patience": 2}, {"batch": 4}, {"max_tokens": 32})),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert key(kind=TOP.model_copy(update={"sizes": [20], "batch": 3})) == key(), "where a writer is used changes nothing in it"
    assert key(tuning=settings(held_out=0.3)) == key()


def test_tuned_once_then_taken_from_the_cache(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, tuning = FakeCatalog(tmp_path), settings()
    first = find_or_tune(str(tiny), TOP, tuning, (TRAIN, HELD), store, seed=3, card="# A card\n")
    names = sorted(file.name for file in first.folder.iterdir())
    assert names == [".kept", "README.md", "delta.safetensors", "tuned.json"], "no checkpoint is left"
    card = (first.folder / "README.md").read_text()
    assert card.startswith("# A card\n") and first.sha256 in card and f"Kept: epoch {first.best}" in card
    monkeypatch.setattr(tuning_code, "tune", lambda *_, **__: pytest.fail("tuned again"))
    again = find_or_tune(str(tiny), TOP.model_copy(update={"sizes": [20]}), tuning, (TRAIN, HELD), store, seed=3)
    assert again.sha256 == first.sha256 and repr(again.history) == repr(first.history) and again.best == first.best == 1
    assert math.isnan(again.history[0].train_loss)
    with pytest.raises(pytest.fail.Exception, match="tuned again"):
        find_or_tune(str(tiny), TOP, tuning, (TRAIN, HELD), store, seed=4)


def test_killed_tuning_resumes_in_its_folder(tiny: Path, tmp_path: Path) -> None:
    tuning = settings(epochs=2, patience=2)
    whole = find_or_tune(str(tiny), TOP, tuning, (TRAIN, HELD), FakeCatalog(tmp_path / "a"), seed=3)

    def die(line: str) -> None:
        if line.startswith("epoch 2, batch"):
            raise Killed

    store = FakeCatalog(tmp_path / "b")
    with pytest.raises(Killed):
        find_or_tune(str(tiny), TOP, tuning, (TRAIN, HELD), store, seed=3, progress=die)
    folder = tuned_folder(store, tuning_key(tuned_code.base_folder(str(tiny), store)[1], TOP, tuning, TRAIN, HELD, 3))
    assert [file.name for file in folder.iterdir()] == ["checkpoint.pt"]
    with pytest.raises(UserError, match="in the cache has no manifest"):
        load_tuned(folder, TOP)
    assert find_or_tune(str(tiny), TOP, tuning, (TRAIN, HELD), store, seed=3).sha256 == whole.sha256


def test_untuned_model_is_kept_when_nothing_was_better(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = [Epoch(0, math.nan, 5.0), Epoch(1, 2.0, 6.0)]
    monkeypatch.setattr(tuning_code, "tune", lambda *_, **__: Tuned({}, history, 0, 10, 20))
    found = find_or_tune(str(tiny), LORA, settings(), (TRAIN, HELD), FakeCatalog(tmp_path), seed=0)
    assert found.best == 0 and repr(found.history) == repr(history) and len(found.sha256) == 64
    model = TunedModel(Generator(backend="transformers", model=str(tiny)), found, FakeCatalog(tmp_path))
    plain = tuned_code.base_folder(str(tiny), FakeCatalog(tmp_path))[1]
    assert model.identity["tuned"] == found.sha256 and model.identity["model"] == plain


def test_missing_or_broken_weights_say_what_to_run(tmp_path: Path) -> None:
    for content in (None, "{", "{}"):
        if content is not None:
            (tmp_path / "gone").mkdir(exist_ok=True)
            (tmp_path / "gone" / "tuned.json").write_text(content)
        with pytest.raises(UserError, match=r"in the cache (is not there|has no manifest)") as error:
            load_tuned(tmp_path / "gone", TOP)
        assert "dvc repro -s -f 04_tuning" in str(error.value) and str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("kind", [TOP, LORA], ids=["top", "lora"])
def test_tuned_model_writes_with_its_weights_and_cleans_up(tiny: Path, tmp_path: Path, kind: WriterSpec) -> None:
    store, tuning = FakeCatalog(tmp_path), settings()
    weights = find_or_tune(str(tiny), kind, tuning, (TRAIN, HELD), store, seed=0)
    generator = Generator(backend="transformers", model=str(tiny))
    model = TunedModel(generator, weights, store)
    assert model.deterministic and not (weights.folder / "transformers").exists(), "nothing is loaded before it is asked for"
    requests = [Request(TRAIN[0].prefix, seed) for seed in range(4)]
    decoding = Decoding(max_new_tokens=12)
    texts = [[found.text for found in model.generate(requests, decoding)] for _ in range(2)]
    assert texts[0] == texts[1]
    model.close()
    assert sorted(file.name for file in weights.folder.iterdir()) == [".kept", "README.md", "delta.safetensors", "tuned.json"]
    assert [path.name for path in weights.folder.parent.iterdir()] == [weights.folder.name], "what it was loaded from is gone"
    from emosynth.models.lm.local import TransformersModel

    plain = [found.text for found in TransformersModel(tiny, "x", "cpu", "float32").generate(requests, decoding)]
    assert plain != texts[0]
    assert [found.text for found in model.generate(requests, decoding)] == texts[0], "it opens again"
    model.close()


def test_folder_without_a_graph_cannot_be_exported(tiny: Path, tmp_path: Path) -> None:
    store = FakeCatalog(tmp_path)
    weights = find_or_tune(str(tiny), TOP, settings(), (TRAIN, HELD), store, seed=0)
    with pytest.raises(UserError, match=r"openvino_model\.xml") as error:
        TunedModel(Generator(backend="openvino", model=str(tiny)), weights, store).generate([Request("a", 1)], Decoding())
    assert "backend: transformers" in str(error.value)


# --- seeds ----------------------------------------------------------------------------------------------

TUNE = {"tuned": {"tune": "top_blocks", "blocks": 1, "learning_rate": 1e-2, "backend": "transformers"}}
ARMS = {
    "t": {"writer": "tuned", "checks": {}},
    "s": {"writer": "tuned", "guide": "shap-tokens", "checks": {}, "sizes": "largest", "repeats": 1},
}


def design(tiny: Path | str = "m", **more: Any) -> Params:
    given: dict[str, Any] = {
        "models": {"writer": {"model": str(tiny)}}, "writers": TUNE, "arms": ARMS, "cells": {"sizes": [6, 8], "repeats": 2},
        "tuning": {"epochs": 2, "batch": 4, "held_out": 0.25}, **more,
    }  # fmt: skip
    return params_of(**given)


class SizedSeeds(FakeSeeds):
    """A seed of n rows is the first n."""

    def seed(self, cell: Cell) -> Any:
        """Cut the eight rows."""
        whole = super().seed(cell)
        return SimpleNamespace(cell=cell, ids=whole.ids[: cell.size], texts=whole.texts[: cell.size], labels=whole.labels[: cell.size])


def test_label_prefix_is_spelt_in_words() -> None:
    assert label_prefix("{label} {noun}:", ["very-negative"], "film review") == "very negative film review:"
    assert label_prefix("A {noun} of {label}", ["mixed_up"], "tweet") == "A tweet of mixed up"
    assert label_prefix("{label}:", ["joy", "fear"], "tweet") == "joy and fear:"
    assert label_prefix("{label} {noun}:", ["joy"], "tweet", ["happy", "birthday"]) == "joy tweet with happy, birthday:"
    assert label_prefix("<{noun}> {label} -> ", ["joy"], "tweet", ["sun"]) == "<tweet> joy with sun -> "


@pytest.mark.parametrize(("size", "share", "held"), [(8, 0.1, 1), (8, 0.25, 2), (6, 0.4, 2)])
def test_held_out_rows_are_the_last_of_the_seed(size: int, share: float, held: int) -> None:
    params = design(tuning={"held_out": share})
    origin = resolve_arm(params, "t").origin
    assert origin is not None
    train, last = examples_of(SizedSeeds(params), Cell("toy", 1, size), origin, params.tuning)  # type: ignore[arg-type]
    assert (len(train), len(last)) == (size - held, held)
    assert [item.text for item in [*train, *last]] == list(TEXTS.values())[:size]
    assert [item.prefix for item in [*train, *last]] == ["sad note:", "glad note:"] * (size // 2)


@pytest.mark.parametrize(("wanted", "count"), [(None, 8), (10, 10), ("all", 12), (3, 8)])
def test_an_oracle_is_tuned_on_further_rows_of_the_training_split(wanted: Any, count: int) -> None:
    params = design(writers={"tuned": {**TUNE["tuned"], "rows": wanted}})
    origin = resolve_arm(params, "t").origin
    assert origin is not None
    seeds = SizedSeeds(params)
    rows = [*TEXTS.items(), *((f"o{i}", f"outside {i}") for i in range(4))]
    frame = pd.DataFrame({"id": [key for key, _ in rows], "text": [text for _, text in rows], "labels": [["sad"]] * len(rows)})
    seeds.corpus = lambda name: SimpleNamespace(name=name, register_noun="note", split=lambda part: {"train": frame}[part])  # type: ignore[method-assign]
    made = [examples_of(seeds, Cell("toy", repeat, 8), origin, params.tuning, params.writers["tuned"].rows) for repeat in (0, 0, 1)]  # type: ignore[arg-type]
    texts = [[item.text for item in [*train, *held]] for train, held in made]
    assert len(texts[0]) == len(set(texts[0])) == count and texts[0][:8] == list(TEXTS.values()) and texts[0] == texts[1]
    assert wanted != 10 or set(texts[0][8:]) != set(texts[2][8:]), "each repeat draws its own"
    assert len(made[0][1]) == round(0.25 * count)


def test_a_guided_writer_is_tuned_with_the_prompts_that_it_will_be_asked_with() -> None:
    params = design()
    tables = Tables(
        {(label, "shap"): [("weather", 0.4), ("rain", 0.2), ("fog", 0.1), ("mud", 0.05), ("ice", 0.01)] for label in ("sad", "glad")}
    )
    seeds, origin = SizedSeeds(params, SINGLE, tables), resolve_arm(params, "s").origin
    assert origin is not None
    train, _ = examples_of(seeds, Cell("toy", 0, 8), origin, params.tuning)  # type: ignore[arg-type]
    assert all(item.prefix.split(":")[0].startswith(("sad note with weather, ", "glad note with weather, ")) for item in train), (
        "it is in every text"
    )
    assert len({item.prefix for item in train}) > 2, "the other words are drawn"
    again, _ = examples_of(seeds, Cell("toy", 0, 8), origin, params.tuning)  # type: ignore[arg-type]
    assert again == train
    asked = plan_class(origin, Cell("toy", 0, 8), 8, SINGLE, seeds)  # type: ignore[arg-type]
    assert all(" note with " in item.request.prompt and item.request.prompt.endswith(":") for item in asked)
    assert set(seeds.asked) == {Cell("toy", 0, 8)}


def test_labels_of_a_row_are_joined() -> None:
    params = design()
    space, origin = Space("x", ("joy", "fear"), False, {}, {}), resolve_arm(params, "t").origin
    assert origin is not None
    seeds = SizedSeeds(params, space)
    seeds.seed = lambda cell: SimpleNamespace(texts=["a  b"], labels=[["joy", "fear"]])  # type: ignore[method-assign]
    train, _ = examples_of(seeds, Cell("toy", 0, 1), origin, params.tuning)  # type: ignore[arg-type]
    assert train == [Example("joy and fear note:", "a b")]


def test_what_is_tuned_follows_from_the_arms() -> None:
    found = [(str(cell), name, origin.salt) for cell, name, origin in list_tuned(design())]
    assert found == [(f"toy/{size}/{repeat}", "tuned", "none") for repeat in range(2) for size in (6, 8)] + [
        ("toy/8/0", "tuned", "shap-tokens")
    ]
    after = design(arms={"a": {"checks": {}, "after": "t"}, "t": {"writer": "tuned", "checks": {}, "sizes": [6]}})
    assert len(list_tuned(after)) == 4, "an arm that comes first is needed on the seeds of the arm after it"
    assert list_tuned(design(arms={"n": {"checks": {}}})) == []


def test_writers_and_arms_that_do_not_fit_are_named() -> None:
    with pytest.raises(UserError, match=r"not tuned on seeds of 8 rows.*arm t") as error:
        list_tuned(design(writers={"tuned": {**TUNE["tuned"], "sizes": [6]}}))
    assert "writers.tuned.sizes" in str(error.value)
    with pytest.raises(UserError, match="knows none of goemotions"):
        list_tuned(design(arms={"t": {"writer": "tuned", "space": "goemotions", "checks": {}}}))


def test_writers_are_models_with_overrides() -> None:
    params = design(
        models={"writer": {"model": "m", "batch": 9}, "others": {"big": {"backend": "server", "model": "b", "url": "http://x/v1"}}},
        writers={"plain": {"decoding": {"temperature": 0.5}}, "big": {"model": "big"}, "t": {"backend": "transformers", "batch": 3}},
        arms={"n": {"checks": {}}},
    )
    assert generator_of(params, "plain").batch == 9 and generator_of(params, "big").url == "http://x/v1"
    assert (generator_of(params, "t").backend, generator_of(params, "t").batch, generator_of(params, "t").model) == ("transformers", 3, "m")
    assert decoding_of(params, "plain") == params.generation.decoding.model_copy(update={"temperature": 0.5})
    assert decoding_of(params, "t") == params.generation.decoding
    with pytest.raises(UserError, match="not valid") as error:
        decoding_of(design(writers={"plain": {"decoding": {"temperature": -1.0}}}, arms={"n": {"checks": {}}}), "plain")
    assert "writers.plain.decoding.temperature" in str(error.value)
    with pytest.raises(UserError, match="no writer called twned"):
        generator_of(design(), "twned")


def test_tables_of_the_step_and_writers_opened_from_them(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params, store, paths = design(tiny), FakeCatalog(tmp_path), Paths(tmp_path, "x")
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build_code, "Seeds", lambda params, paths: SizedSeeds(params))
    tables = build_tuned(params, store, paths)  # type: ignore[arg-type]
    history, tuned = tables["history"], tables["tuned"]
    assert list(history.columns) == HISTORY and list(tuned.columns) == TUNED
    key = ["corpus", "size", "repeat", "writer", "salt"]
    assert [tuple(row) for row in tuned[key].itertuples(index=False)] == [
        (cell.corpus, cell.size, cell.repeat, name, origin.salt) for cell, name, origin in list_tuned(params)
    ]
    assert tuned["sha256"].nunique() == len(tuned) == 5
    assert tuned["n_train"].tolist() == [4, 6, 4, 6, 6] and (tuned["n_held_out"] == 2).all()
    for row in tuned.itertuples():
        mine = history[(history[key] == [getattr(row, name) for name in key]).all(axis=1)]
        assert mine["epoch"].tolist() == list(range(row.epochs + 1)) and mine["train_loss"].isna().tolist() == [True] + [False] * row.epochs
        assert mine.loc[mine["best"], "epoch"].tolist() == [row.best_epoch]
        assert mine.loc[mine["best"], "perplexity"].item() == row.perplexity == mine["perplexity"].min() <= row.perplexity_before
        assert mine["perplexity"].iloc[0] == row.perplexity_before and 0 < row.trainable < row.total
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(read_table(paths.tuning / f"{name}.parquet"), frame)
        assert (paths.tuning / f"{name}.md").is_file()

    def opened(size: int, repeat: int, salt: str = "none") -> str:
        return str(open_writer(params, "tuned", store, paths, Cell("toy", repeat, size), salt).identity["tuned"])  # type: ignore[arg-type]

    assert [opened(row.size, row.repeat, row.salt) for row in tuned.itertuples()] == tuned["sha256"].tolist()
    with pytest.raises(UserError, match="Step 04 has not tuned"):
        opened(6, 0, "shap-tokens")
    overview = summary(tuned).set_index(["guides", "size"])
    assert overview["writers"].to_dict() == {("none", 6): 2, ("none", 8): 2, ("shap-tokens", 8): 1}
    assert (overview["after"] <= overview["before"]).all() and overview["share trained"].between(0, 1, inclusive="neither").all()

    monkeypatch.setattr(tuning_code, "tune", lambda *_, **__: pytest.fail("tuned again"))
    pd.testing.assert_frame_equal(build_tuned(params, store, Paths(tmp_path, "again"))["tuned"], tuned)  # type: ignore[arg-type]
    account = tmp_path / "cache" / "tuned" / tuned["folder"][0] / "tuned.json"
    account.write_text(account.read_text().replace(tuned["sha256"][0], "0" * 64))
    with pytest.raises(UserError, match=r"tuned\.json is not what was kept"):
        opened(6, 0)
    seal(account.parent)
    with pytest.raises(UserError, match="not the one of step 04") as error:
        opened(6, 0)
    assert "toy/6/0" in str(error.value) and "dvc repro -s -f 04_tuning" in str(error.value)
    assert opened(8, 0) == tuned["sha256"][1], "the others are not touched by it"


def test_without_tuned_writers_the_tables_are_empty(tmp_path: Path) -> None:
    paths = Paths(tmp_path, "x")
    tables = build_tuned(design(arms={"n": {"checks": {}}}), FakeCatalog(tmp_path), paths)  # type: ignore[arg-type]
    assert all(frame.empty for frame in tables.values()) and list(read_table(paths.tuning / "tuned.parquet").columns) == TUNED


# --- candidates of a tuned writer -----------------------------------------------------------------------


def test_prompt_of_a_tuned_writer_is_the_label_prefix(tiny: Path) -> None:
    params = design(generation={"style": "chat", "oversample": 2.0}, arms={**ARMS, "naive": {"checks": {}}})
    seeds = SizedSeeds(params)
    tuned, plain = (
        plan_class(resolve_arm(params, name).origin, Cell("toy", 0, 6), 12, SINGLE, seeds)  # type: ignore[arg-type]
        for name in ("t", "naive")
    )
    assert [row.request.prompt for row in tuned] == ["sad note:"] * 6 + ["glad note:"] * 6
    assert not any(row.request.chat or row.request.bias for row in tuned), "no chat template around a prefix"
    assert all(row.request.chat for row in plain)
    assert [row.request.row_seed for row in tuned] == [row.request.row_seed for row in plain]
    assert tuned[0].request.row_seed == stable_seed("row", 0, "sad", 0)
    # what is asked for begins as what was learnt, token for token
    tokenizer, _ = load_for_tuning(tiny)
    rows = _Rows(tokenizer, [Example(label_prefix("{label} {noun}:", ["glad"], "note"), "a b")], 64)
    assert rows.ids[0][: rows.prefix[0]] == tokenizer(tuned[-1].request.prompt)["input_ids"]


class Writer:
    """Writes a text that tells which model wrote it, and holds a quotation."""

    deterministic = True

    def __init__(self, name: str) -> None:
        self.identity, self.name, self.open = {"model": name}, name, True

    def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
        assert self.open
        return [Completion(f' {self.name} said "so it is" of {r.row_seed} now\nmore', "stop", 5, 6) for r in requests]

    def close(self) -> None:
        self.open = False


def test_seeds_are_written_by_their_own_models_and_quotes_are_kept(tmp_path: Path) -> None:
    params = design(arms={"naive": {"checks": {}}, **ARMS})
    seeds = SizedSeeds(params)
    items = []
    for name, cells in (
        ("naive", [Cell("toy", 0, -1)]),
        ("t", [Cell("toy", 0, 6), Cell("toy", 0, 8), Cell("toy", 1, 8)]),
        ("s", [Cell("toy", 0, 8)]),
    ):
        for cell in cells:
            items += plan_class(resolve_arm(params, name).origin, cell, 4, SINGLE, seeds)  # type: ignore[arg-type]
    opened: list[Writer] = []

    def open_one(name: str, cell: Cell | None, salt: str) -> Writer:
        assert all(not model.open for model in opened), "one model in memory at a time"
        opened.append(Writer(name if cell is None else f"{name} {cell} {salt}"))
        return opened[-1]

    with RowStore(tmp_path / "rows.sqlite") as store:
        rows, account = write_all(items, params, open_one, store)
    assert [model.name for model in opened] == [
        "plain", "tuned toy/6/0 none", "tuned toy/8/0 none", "tuned toy/8/1 none", "tuned toy/8/0 shap-tokens",
    ]  # fmt: skip
    assert not any(model.open for model in opened) and account["deterministic"] and len(account["generators"]) == 5
    frame = pd.DataFrame(rows)
    assert list(frame["candidate_id"]) == [item.slot.candidate_id() for item in items]
    mine = frame[frame["writer"] == "tuned"]
    assert all('said "so it is" of' in text for text in mine["text"])
    assert set(mine["generator"].str.partition("+")[2]) == {"tuned/toy/6/0", "tuned/toy/8/0", "tuned/toy/8/1", "tuned/toy/8/0/shap-tokens"}


# --- the real model -------------------------------------------------------------------------------------


@pytest.mark.model
def test_tuned_smollm2_writes_on_openvino_with_its_weights(tmp_path: Path) -> None:
    from emosynth.models.lm.openvino import OpenVinoModel
    from emosynth.models.lm.perplexity import ReferenceModel, _openvino_forward, _torch_forward

    smollm2()
    real = catalog()
    places = SimpleNamespace(root=real.paths.root, cache=tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    (real.paths.cache / "models").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache" / "models").symlink_to(real.paths.cache / "models")  # conversions of the untuned model are there
    store = SimpleNamespace(paths=places, entry=real.entry, fetch=real.fetch, model=real.model)
    things = ["kettle", "ladder", "violin", "bucket", "lantern", "saddle", "teapot", "anchor", "pillow", "hammer"]
    rows = [Example(f"{mood} note:", f"the {thing} {verb}") for mood, verb in (("sad", "broke again and nobody came"), ("glad", "sings at dawn by the pier")) for thing in things]  # fmt: skip
    kind = WriterSpec(tune="top_blocks", blocks=4, learning_rate=5e-4)
    name = "smollm2-135m-instruct"
    weights = find_or_tune(name, kind, settings(batch=2), (rows[:9] + rows[10:19], [rows[9], rows[19]]), store, seed=0)
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
    base, _ = tuned_code.base_folder(name, store)
    from safetensors.torch import load_file

    tokenizer, merged = load_for_tuning(base)
    apply_delta(merged, kind, load_file(weights.folder / "delta.safetensors")).save_pretrained(tmp_path / "merged")
    texts = [row.text for row in rows]
    found = {}
    for which, forward in (
        ("graph", _openvino_forward(model._model.folder)),  # type: ignore[union-attr]
        ("torch", _torch_forward(tmp_path / "merged")),
        ("untuned", _torch_forward(base)),
    ):
        reference = ReferenceModel(base, tmp_path, rows=4)
        reference._loaded = (tokenizer, forward)
        found[which] = np.array([nll for nll, _ in reference._compute(texts)])
    assert np.abs(found["graph"] - found["torch"]).mean() < 0.1
    assert (found["untuned"] - found["torch"]).mean() > 3 * np.abs(found["graph"] - found["torch"]).mean()
    room = model._model.folder  # type: ignore[union-attr]
    model.close()
    assert not room.exists()
