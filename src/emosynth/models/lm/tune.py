"""Tuning a causal language model on labelled rows that stand behind a label prefix.

The loss is the mean negative log-likelihood of the text's own tokens and of the end of its line; the prefix is read, not
learnt. Three ways: the top blocks alone, low-rank adapters (Hu et al. 2022, LoRA) on every linear map, or all matrices.
Vectors (scales of normalisation, biases) stay as they are in each of them: they hold one parameter in a thousand, and an
exported graph has them folded into other constants, so that tuned matrices can be put into it.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from emosynth.catalog.kept import set_aside, sound_zip
from emosynth.errors import UserError
from emosynth.files import atomic
from emosynth.models.lm.base import STOP
from emosynth.models.lm.trainable import Delta, blocks_of, load_for_tuning, prepare
from emosynth.models.transformer import bucketed, seeded
from emosynth.params import Tuning, WriterSpec

WARM_UP = 0.1
"""Share of the planned steps over which the learning rate rises; afterwards it falls linearly."""


@dataclass(frozen=True)
class Example:
    """One row: the prefix that stands before it, and its text."""

    prefix: str
    text: str


@dataclass(frozen=True)
class Epoch:
    """One pass over the seed; number 0 is the model before tuning."""

    epoch: int
    train_loss: float
    perplexity: float


@dataclass
class Tuned:
    """What tuning made.

    Attributes
    ----------
    delta
        Parameters of the best epoch.
    history
        Every epoch run, from 0.
    best
        Number of the epoch with the lowest held-out perplexity; 0 if none was lower than the model's own.
    trainable, total
        Numbers of parameters.
    """

    delta: Delta
    history: list[Epoch]
    best: int
    trainable: int
    total: int


@dataclass
class _State:
    """Where a run stands after an epoch: all that the next one needs."""

    epoch: int = 0
    history: list[Epoch] = field(default_factory=list)
    best: int = 0
    delta: Delta = field(default_factory=dict)
    current: Delta = field(default_factory=dict)
    optimiser: dict[str, Any] | None = None
    draw: Any = None
    of: str = ""


# --- the frozen part, once --------------------------------------------------------------------------


class _Replay(torch.nn.Module):
    """Stands for the frozen blocks: gives back what they gave for the rows at hand."""

    def __init__(self) -> None:
        super().__init__()
        self.states: Any = None
        self.as_tuple = False

    def forward(self, *_args: Any, **_kwargs: Any) -> Any:
        return (self.states,) if self.as_tuple else self.states


class _Rows:
    """Token ids of examples, batches of them, and hidden states under the frozen blocks."""

    def __init__(self, tokenizer: Any, examples: Sequence[Example], max_tokens: int) -> None:
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
        self.ids: list[list[int]] = []
        self.prefix: list[int] = []
        for example in examples:
            head = list(tokenizer(example.prefix)["input_ids"])
            body = list(tokenizer(f" {example.text}{STOP}", add_special_tokens=False)["input_ids"])[:max_tokens]
            self.ids.append(head + body)
            self.prefix.append(len(head))
        self.states: list[torch.Tensor] | None = None

    def batch(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return ids, mask, and targets (-100 where no token is to be predicted), right-padded, (rows, longest)."""
        length = max(len(self.ids[row]) for row in rows)
        ids = torch.full((len(rows), length), self.pad)
        mask = torch.zeros((len(rows), length), dtype=torch.long)
        targets = torch.full((len(rows), length), -100)
        for place, row in enumerate(rows):
            tokens = torch.tensor(self.ids[row])
            ids[place, : len(tokens)], mask[place, : len(tokens)] = tokens, 1
            # position t predicts token t + 1
            targets[place, self.prefix[row] - 1 : len(tokens) - 1] = tokens[self.prefix[row] :]
        return ids, mask, targets


class _Trainer:
    """The model, with the frozen blocks replaced by their outputs when there are any."""

    def __init__(self, model: Any, spec: WriterSpec) -> None:
        self.model = model
        self.parameters = prepare(model, spec)
        self.total = sum(value.numel() for value in model.parameters())
        self.base = getattr(model, model.base_model_prefix)
        self.head = model.get_output_embeddings()
        self._replay: _Replay | None = None
        self._frozen: Any = None
        if spec.tune == "top_blocks":
            holder, name = blocks_of(model)
            blocks = getattr(holder, name)
            if spec.blocks < len(blocks):
                self._holder, self._name, self._all, self._k = holder, name, blocks, spec.blocks

    def remember(self, rows: _Rows) -> None:
        """Run the frozen blocks over all rows once. Attention is causal, so padding on the right changes nothing."""
        if not hasattr(self, "_all"):
            return
        if self._replay is not None:
            setattr(self._holder, self._name, self._all)
        self._replay = replay = _Replay()
        kept: list[Any] = []

        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            replay.as_tuple = isinstance(output, tuple)
            kept.append((output[0] if replay.as_tuple else output).detach())

        handle = self._all[len(self._all) - self._k - 1].register_forward_hook(keep)
        rows.states = [torch.empty(0)] * len(rows.ids)
        order = sorted(range(len(rows.ids)), key=lambda row: len(rows.ids[row]))
        with torch.inference_mode():
            for start in range(0, len(order), 16):
                part = order[start : start + 16]
                ids, mask, _ = rows.batch(part)
                self.base(input_ids=ids, attention_mask=mask, use_cache=False)
                states = kept.pop()
                for place, row in enumerate(part):
                    rows.states[row] = states[place, : len(rows.ids[row])].clone()
        handle.remove()
        setattr(self._holder, self._name, torch.nn.ModuleList([replay, *self._all[len(self._all) - self._k :]]))

    def loss(self, rows: _Rows, part: Sequence[int]) -> tuple[torch.Tensor, int]:
        """Return the summed negative log-likelihood of the rows' own tokens, in nats, and their number."""
        ids, mask, targets = rows.batch(part)
        if rows.states is not None and self._replay is not None:
            self._replay.states = torch.nn.utils.rnn.pad_sequence([rows.states[row] for row in part], batch_first=True)
        hidden = self.base(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        wanted = targets >= 0
        # Logits over the whole vocabulary are the dearest part: only where something is to be predicted.
        logits = self.head(hidden[wanted])
        return torch.nn.functional.cross_entropy(logits, targets[wanted], reduction="sum"), int(wanted.sum())

    @torch.no_grad()
    def perplexity(self, rows: _Rows) -> float:
        """Return the per-token perplexity of rows."""
        order = sorted(range(len(rows.ids)), key=lambda row: len(rows.ids[row]))
        total, tokens = 0.0, 0
        for start in range(0, len(order), 16):
            loss, count = self.loss(rows, order[start : start + 16])
            total, tokens = total + float(loss), tokens + count
        try:
            return math.exp(total / max(1, tokens))
        except OverflowError:  # a model that training has blown up: early stopping keeps an earlier one
            return math.inf

    def snapshot(self) -> Delta:
        """Return copies of the trained parameters."""
        return {name: value.detach().clone() for name, value in self.parameters.items()}

    def restore(self, delta: Delta) -> None:
        """Put copies back."""
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(delta[name])


def tune(
    folder: Path,
    spec: WriterSpec,
    train: Sequence[Example],
    held_out: Sequence[Example],
    settings: Tuning,
    *,
    seed: int,
    checkpoint: Path,
    progress: Callable[[str], None] | None = None,
) -> Tuned:
    """Tune a language model, stop early, and return the parameters of the best epoch.

    AdamW; the gradient of a batch is that of its mean loss per token, clipped at norm 1. After every epoch the held-out
    perplexity is measured and a checkpoint is written; a run that was killed goes on from there and ends with the same
    parameters as one that was not.

    Parameters
    ----------
    folder
        Hugging Face model folder.
    train, held_out
        Rows of the seed; no other text comes near the model.
    settings
        Passes at most, passes without a lower held-out perplexity before stopping, rows of a batch, tokens after which texts are cut.
    seed
        Of the order of batches and of adapters.
    checkpoint
        File for checkpoints; removed at the end by the caller. One that is damaged or of another run is set aside, which is said.

    Raises
    ------
    UserError
        If the model cannot be loaded, or the loss is no longer a number.
    """
    epochs, batch = settings.epochs, settings.batch
    tokenizer, model = load_for_tuning(folder)
    with seeded(seed):
        trainer = _Trainer(model, spec)
    rows, held = _Rows(tokenizer, train, settings.max_tokens), _Rows(tokenizer, held_out, settings.max_tokens)
    for part in (rows, held):
        trainer.remember(part)
    steps = math.ceil(len(train) / batch)
    optimiser = torch.optim.AdamW(list(trainer.parameters.values()), lr=spec.learning_rate, weight_decay=0.01)
    warm = max(1, round(WARM_UP * steps * epochs))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.0, (steps * epochs - step) / max(1, steps * epochs - warm)))
    )
    draw = random.Random(seed)
    whose = hashlib.sha256(
        repr([folder.name, rows.ids, rows.prefix, held.ids, held.prefix, str(spec), str(settings), seed]).encode()
    ).hexdigest()
    state = _resume(checkpoint, whose, trainer, optimiser, schedule, draw)
    if not state.history:
        state.history.append(Epoch(0, math.nan, trainer.perplexity(held)))
        if progress:
            progress(f"held-out perplexity before tuning {state.history[0].perplexity:.1f}")
    with seeded(seed):
        while state.epoch < epochs and state.epoch - state.best < settings.patience:
            summed, tokens = 0.0, 0
            for number, members in enumerate(bucketed([len(ids) for ids in rows.ids], batch, draw), start=1):
                loss, count = trainer.loss(rows, members)
                optimiser.zero_grad(set_to_none=True)
                (loss / max(1, count)).backward()
                torch.nn.utils.clip_grad_norm_(list(trainer.parameters.values()), 1.0)
                optimiser.step()
                schedule.step()
                summed, tokens = summed + float(loss.detach()), tokens + count
                if not math.isfinite(summed):
                    raise UserError("The loss is not a number any more.", where="writers: learning_rate", remedy="Lower the learning rate.")
                if progress and number % max(1, steps // 4) == 0:
                    progress(f"epoch {state.epoch + 1}, batch {number} of {steps}, loss {summed / tokens:.3f}")
            state.epoch += 1
            state.history.append(Epoch(state.epoch, summed / max(1, tokens), trainer.perplexity(held)))
            if state.history[-1].perplexity < state.history[state.best].perplexity:
                state.best, state.delta = state.epoch, trainer.snapshot()
            state.current, state.optimiser, state.draw = trainer.snapshot(), optimiser.state_dict(), draw.getstate()
            _save(checkpoint, state)
            if progress:
                progress(f"epoch {state.epoch}: held-out perplexity {state.history[-1].perplexity:.1f}")
    trainable = sum(value.numel() for value in trainer.parameters.values())
    return Tuned(state.delta, state.history, state.best, trainable, trainer.total)


def _save(checkpoint: Path, state: _State) -> None:
    with atomic(checkpoint) as temporary:
        torch.save(vars(state) | {"history": [vars(epoch) for epoch in state.history]}, temporary)


def _resume(checkpoint: Path, whose: str, trainer: _Trainer, optimiser: Any, schedule: Any, draw: random.Random) -> _State:
    """Return the state of this run's checkpoint, put into its parts; a new one if there is none that can be used."""
    if not os.path.lexists(checkpoint):
        return _State(of=whose)
    try:
        if not sound_zip(checkpoint):
            raise ValueError("is damaged")
        kept = torch.load(checkpoint, weights_only=True)  # plain data; anything that would run code is refused
        if not isinstance(kept, dict) or kept.get("of") != whose:
            raise ValueError("is of another run")
        state = _State(**{**kept, "history": [Epoch(**epoch) for epoch in kept["history"]]})
        trainer.restore(state.current)
    except Exception as error:  # whatever is wrong with it, it only costs the epochs that it held
        reason = str(error) if type(error) is ValueError else "cannot be read as plain data"
        set_aside(checkpoint, "tuning: the checkpoint of a run that was killed", f"{reason}; tuning begins anew")
        return _State(of=whose)
    optimiser.load_state_dict(copy.deepcopy(state.optimiser))
    steps = max((int(part["step"]) for part in optimiser.state.values()), default=0)
    schedule.last_epoch = steps
    for group, rate in zip(optimiser.param_groups, [base * schedule.lr_lambdas[0](steps) for base in schedule.base_lrs], strict=True):
        group["lr"] = rate
    draw.setstate(state.draw)
    return state
