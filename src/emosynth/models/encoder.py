"""The fine-tuned sentence encoder: the first layers of a transformer, mean pooling, and a linear head.

A text is an utterance, or a pair of a context and an utterance. Both are read together, but only the hidden states of the *utterance's*
own tokens are averaged: the emotion judged is the utterance's, and the context acts through attention alone (the setting of Emo
Pillars, Shvets 2025).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from emosynth.design.rows import class_balance
from emosynth.errors import UserError
from emosynth.models.checked import FloatArray, check_distillation, checked_targets, checked_teacher, checked_weights
from emosynth.models.encoder_state import EncoderSettings, EncoderState, RowLoss
from emosynth.models.loss import softmax, torch_row_losses
from emosynth.models.transformer import (
    ROWS,
    fixed_batches,
    hash_folder,
    keep_layers,
    load_encoder,
    pad,
    padded_length,
    pooled,
    seeded,
    training_batches,
    warmed_optimiser,
)
from emosynth.text import normalise

__all__ = ["EncoderSettings", "EncoderState", "FineTunedEncoder", "RowLoss", "Text"]

Text = str | tuple[str, str]
"""An utterance, or (context, utterance)."""


class _Input(NamedTuple):
    """Token ids, segment of each (0 or 1), and 1 where its hidden state is averaged."""

    ids: list[int]
    types: list[int]
    own: list[int]


class FineTunedEncoder:
    """An encoder, the mean over the utterance's tokens, and a linear head with one logit per label.

    Trained end to end but for the token embeddings: half of a small encoder's parameters, hardly touched by a few hundred rows. A
    softmax head learns by the distillation loss of `emosynth.models.loss`, a sigmoid head by binary cross-entropy against soft labels,
    the mean over labels. A row's loss is multiplied by its weight; a batch's loss is the sum over rows divided by their number, so a
    batch of lightly weighted rows takes a small step. AdamW, linear warm-up over the first tenth of the steps, then linear decay;
    batches hold inputs of similar length.

    Parameters
    ----------
    folder
        Local folder of a BERT-like encoder with a fast tokenizer.
    settings
        See `EncoderSettings`.
    labels
        k labels.
    single
        Whether a text has exactly one: softmax; else sigmoid.
    seed
        Of the head's initial values, dropout and batches. Equal seeds and inputs give equal bytes on one machine.

    Notes
    -----
    An input that is too long loses the beginning of its context first, since what stands nearest to the utterance says most of it, and
    then the end of the utterance. An empty context is no context. Special tokens are not averaged, unless the utterance has no token of
    its own.
    """

    def __init__(self, folder: str | Path, settings: EncoderSettings, labels: Sequence[str], *, single: bool, seed: int = 0) -> None:
        if not labels or len(set(labels)) != len(labels):
            raise UserError(f"The labels are {list(labels)}.", where="labels", remedy="Give at least one, and none twice.")
        self.folder = Path(folder)
        self.settings = settings
        self.labels = tuple(labels)
        self.single = single
        self.seed = seed
        self.absent: tuple[int, ...] = ()
        self._base = ""

    # --- the model ------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Load the untrained encoder and a head of zeros."""
        import torch

        self.tokenizer, self.encoder = load_encoder(self.folder)
        self._backend: Any = getattr(self.tokenizer, "backend_tokenizer", None)
        if self._backend is None:
            raise UserError("The encoder has no fast tokenizer.", where=str(self.folder), remedy="Use a folder with tokenizer.json.")
        self._backend.no_truncation()  # a tokenizer.json may come with both switched on
        self._backend.no_padding()
        limit = getattr(self.encoder.config, "max_position_embeddings", self.settings.max_tokens)
        if self.settings.max_tokens > limit:
            raise UserError(
                f"The encoder reads {limit} tokens, not {self.settings.max_tokens}.", where=str(self.folder), remedy="Lower max_tokens."
            )
        if self.settings.layers is not None:
            keep_layers(self.encoder, self.settings.layers, str(self.folder))
        self.encoder.get_input_embeddings().requires_grad_(False)
        self.head = torch.nn.Linear(int(self.encoder.config.hidden_size), len(self.labels))
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self._base = self._base or hash_folder(self.folder)

    def _parameters(self) -> dict[str, Any]:
        """Return the trained parameters by name."""
        parts = (("encoder", self.encoder), ("head", self.head))
        return {f"{part}.{name}": value for part, module in parts for name, value in module.named_parameters() if value.requires_grad}

    def _restore(self, state: EncoderState, head: bool) -> None:
        """Put a state's parameters in place, those of the head if ``head``."""
        import torch

        if state.base != self._base:
            raise UserError("The state belongs to another encoder.", where=str(self.folder), remedy="Use the folder it was trained from.")
        mine = {name: value for name, value in self._parameters().items() if head or name.startswith("encoder.")}
        theirs = {name: value for name, value in state.tensors.items() if head or name.startswith("encoder.")}
        if {name: value.shape for name, value in mine.items()} != {name: value.shape for name, value in theirs.items()}:
            raise UserError(
                f"The state has {state.settings.layers or 'all'} layers, this encoder {self.settings.layers or 'all'}, or its parameters differ.",
                where="state",
                remedy="Use the number of layers of the first stage.",
            )
        with torch.no_grad():
            for name, value in mine.items():
                value.copy_(theirs[name])

    def state(self) -> EncoderState:
        """Return a copy of what was trained."""
        self._need_fit()
        tensors = {name: value.detach().clone().contiguous() for name, value in self._parameters().items()}
        return EncoderState(self.labels, self.single, self.absent, self.settings, self.seed, self._base, tensors)

    def load_state(self, state: EncoderState) -> FineTunedEncoder:
        """Become the encoder that ``state`` was taken from.

        Raises
        ------
        UserError
            If labels, kind of head, layers or model folder differ.
        """
        if (state.labels, state.single) != (self.labels, self.single):
            raise UserError(
                f"The state's labels are {list(state.labels)}, not {list(self.labels)}, or its head is of the other kind.",
                where="state",
                remedy="Give the same labels in the same order, or train with `start`.",
            )
        self._open()
        self._restore(state, head=True)
        self.absent = state.absent
        return self

    def _need_fit(self) -> None:
        if not hasattr(self, "head"):
            raise UserError("The encoder has not been trained.", where="FineTunedEncoder", remedy="Call fit or load_state first.")

    # --- input ----------------------------------------------------------------------------------------

    def _inputs(self, texts: Sequence[Text]) -> list[_Input]:
        parts = [("", text) if isinstance(text, str) else text for text in texts]
        for row, pair in enumerate(parts):
            if not (isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
                raise UserError(
                    "A text is neither a string nor a pair of strings.", where=f"row {row}", remedy="Give (context, utterance)."
                )
        context, utterance = ([normalise(part) for part in column] for column in zip(*parts, strict=True)) if parts else ([], [])
        raw = zip(*(self._backend.encode_batch(column, add_special_tokens=False) for column in (context, utterance)), strict=True)
        return [self._input(before, own, row) for row, (before, own) in enumerate(raw)]

    def _input(self, before: Any, own: Any, row: int) -> _Input:
        """Return the input of an encoded context and utterance, both without special tokens."""
        paired = len(before.ids) > 0
        room = self.settings.max_tokens - self._backend.num_special_tokens_to_add(paired)
        own.truncate(room)
        if paired:
            before.truncate(room - len(own.ids), direction="left")
        made = self._backend.post_process(before, own) if paired else self._backend.post_process(own)
        if not own.ids and not any(made.special_tokens_mask):
            raise UserError("A text has no token.", where=f"row {row}", remedy="Leave out empty texts.")
        if not own.ids:  # nothing of its own to average: the special tokens, never the context
            return _Input(made.ids, made.type_ids, made.special_tokens_mask)
        # The utterance's are the last of the tokens that are not special. (The tokens' sequence ids would say the same, but
        # the library leaves those of a first part that was not cut empty.)
        plain = [place for place, special in enumerate(made.special_tokens_mask) if not special]
        mine = set(plain[-len(own.ids) :])
        return _Input(made.ids, made.type_ids, [int(place in mine) for place in range(len(made.ids))])

    def _pool(self, inputs: Sequence[_Input], length: int, rows: int) -> Any:
        """Return the (rows, d) mean hidden states of the utterances' tokens; blank rows hold those of nothing."""
        ids, mask = pad([one.ids for one in inputs], length, rows, self.tokenizer.pad_token_id or 0)
        options = {}
        if getattr(self.encoder.config, "type_vocab_size", 0) > 1:
            options["token_type_ids"] = pad([one.types for one in inputs], length, rows, 0)[0]
        hidden = self.encoder(input_ids=ids, attention_mask=mask, **options).last_hidden_state
        return pooled(hidden, pad([one.own for one in inputs], length, rows, 0)[0])

    # --- training -------------------------------------------------------------------------------------

    def fit(
        self,
        texts: Sequence[Text],
        targets: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        loss: RowLoss | None = None,
        start: EncoderState | None = None,
        head_map: npt.ArrayLike | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> FineTunedEncoder:
        """Train on n texts.

        Parameters
        ----------
        texts
            n utterances or pairs of context and utterance.
        targets
            (n, k) soft labels from 0 to 1; of a softmax head each row sums to 1.
        weights
            (n,) row weights, None: 1 for all; rows of weight 0 are left out.
        loss
            See `RowLoss`. None: targets alone, the classes of a softmax head balanced.
        start
            State of an earlier stage to go on from. Its head is reused if it has the same labels, in any order.
        head_map
            (k_old, k) matrix for other labels: the logits start as the earlier logits times this matrix. Columns usually sum to 1 (a
            mean of earlier labels). A column of zeros starts from nothing: small random weights, and the base rate of a sigmoid head,
            the mean bias of the mapped labels of a softmax. None: the whole head starts so.
        progress
            Told how many steps are done, about ten times.

        Raises
        ------
        UserError
            If rows or columns differ in number, a value is out of range, no row has a weight above 0, the folder holds no encoder or
            too few layers, or ``start`` or ``head_map`` does not fit.
        """
        import torch

        settings, k = self.settings, len(self.labels)
        goal, mass = checked_targets(targets, len(texts), k, single=self.single), checked_weights(weights, len(texts))
        kept = np.flatnonzero(mass > 0)
        goal, mass = goal[kept], mass[kept]
        if loss is None:
            loss = RowLoss(balance=class_balance(goal, mass) if self.single else None)
        elif loss.balance is not None:
            loss = RowLoss(loss.teacher, loss.alpha, loss.temperature, loss.batch_weights, loss.balance[kept])
        check_distillation(loss.alpha, loss.temperature)
        guide = None
        if loss.teacher is not None and loss.alpha > 0 and self.single:
            guide = torch.tensor(checked_teacher(loss.teacher, len(texts), k, kept), dtype=torch.float32)
        mapped = self._mapping(start, head_map)
        inherited = np.zeros(k, dtype=bool) if mapped is None else mapped.any(axis=0)
        self.absent = tuple(np.flatnonzero(~(goal.any(axis=0) | inherited)).tolist()) if self.single and guide is None else ()
        soft = torch.tensor(goal, dtype=torch.float32)
        balance = torch.tensor(np.ones(len(kept)) if loss.balance is None else loss.balance, dtype=torch.float32)
        weight = torch.tensor(mass, dtype=torch.float32)
        criterion = torch.nn.BCEWithLogitsLoss(reduction="none")
        with seeded(self.seed):
            self._open()
            inputs = self._inputs([texts[int(row)] for row in kept])
            self._start_head(goal, mass)
            if start is not None:
                self._restore(start, head=False)
                self._reuse_head(start, mapped)
            body, head = [p for p in self.encoder.parameters() if p.requires_grad], list(self.head.parameters())
            total = settings.steps_for(len(kept))
            optimiser, schedule = warmed_optimiser(body, head, settings.learning_rate, total)
            self.encoder.train()
            lengths, draw = [len(one.ids) for one in inputs], random.Random(self.seed)
            for step, rows in enumerate(training_batches(lengths, settings.batch, total, draw), start=1):
                logits = self.head(self._pool([inputs[row] for row in rows], padded_length([lengths[row] for row in rows]), len(rows)))
                if self.single:
                    part = None if guide is None else guide[rows]
                    losses = torch_row_losses(logits, part, soft[rows], alpha=loss.alpha, temperature=loss.temperature)
                else:
                    losses = criterion(logits, soft[rows]).mean(dim=1)
                mine = weight[rows].mean() if loss.batch_weights else weight[rows]
                optimiser.zero_grad(set_to_none=True)
                (losses * mine * balance[rows]).mean().backward()
                torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
                optimiser.step()
                schedule.step()
                if progress and (step % max(1, total // 10) == 0 or step == total):
                    progress(f"encoder: step {step} of {total}")
        self.encoder.eval()
        return self

    def _start_head(self, goal: FloatArray, mass: FloatArray) -> None:
        """Set the head to small random weights, and a sigmoid's biases to the base rates, smoothed by half a row on either side.

        From a bias of 0, rare labels cost hundreds of steps that teach nothing but their rarity (Lin et al. 2017, Focal Loss, section
        3.3).
        """
        import torch

        with torch.no_grad():
            torch.nn.init.normal_(self.head.weight, std=0.02)
            if not self.single:
                self.head.bias.copy_(torch.tensor(logit((mass @ goal + 0.5) / (mass.sum() + 1))))

    def _mapping(self, start: EncoderState | None, head_map: npt.ArrayLike | None) -> FloatArray | None:
        """Return the (k_old, k) matrix that makes the first head of the earlier one; None: nothing is reused."""
        if head_map is not None:
            mapped = np.asarray(head_map, dtype=np.float64)
            expected = None if start is None else (len(start.labels), len(self.labels))
            if mapped.shape != expected or not np.isfinite(mapped).all():
                raise UserError(
                    f"head_map has shape {mapped.shape}, not {expected}, or holds a value that is not finite.",
                    where="head_map",
                    remedy="Give `start`, and one row per earlier label and one column per new label.",
                )
            return mapped
        if start is not None and set(start.labels) == set(self.labels):
            return np.array([[float(old == new) for new in self.labels] for old in start.labels])
        return None

    def _reuse_head(self, start: EncoderState, mapped: FloatArray | None) -> None:
        import torch

        if mapped is None or not mapped.any():
            return
        columns, others = np.flatnonzero(mapped.any(axis=0)), np.flatnonzero(~mapped.any(axis=0))
        turned = torch.tensor(mapped[:, columns].T, dtype=torch.float32)
        with torch.no_grad():
            self.head.weight[columns] = turned @ start.tensors["head.weight"]
            self.head.bias[columns] = turned @ start.tensors["head.bias"]
            if self.single:
                self.head.bias[others] = self.head.bias[columns].mean()

    # --- use ------------------------------------------------------------------------------------------

    def embed(self, texts: Sequence[Text]) -> npt.NDArray[np.float32]:
        """Return the (n, d) mean hidden states of the utterances' tokens, of any length: the emotion embeddings.

        A text's embedding depends on that text alone, but for rounding: batches have fixed shapes, as in
        `emosynth.models.embeddings.Encoder`.
        """
        import torch

        self._need_fit()
        out = np.zeros((len(texts), int(self.encoder.config.hidden_size)), dtype=np.float32)
        inputs = self._inputs(texts)
        with torch.inference_mode():
            for length, rows in fixed_batches([len(one.ids) for one in inputs]):
                out[rows] = self._pool([inputs[row] for row in rows], length, ROWS)[: len(rows)].numpy()
        return out

    def logits(self, texts: Sequence[Text]) -> FloatArray:
        """Return (n, k) logits; -inf for classes that a softmax head never met."""
        embedded = self.embed(texts).astype(np.float64)
        weight, bias = (value.detach().numpy().astype(np.float64) for value in (self.head.weight, self.head.bias))
        out = np.asarray(embedded @ weight.T + bias, dtype=np.float64)
        out[:, list(self.absent)] = -np.inf
        return out

    def predict_proba(self, texts: Sequence[Text]) -> FloatArray:
        """Return (n, k) probabilities: rows of a softmax head sum to 1, each label of a sigmoid head stands on its own."""
        logits = self.logits(texts)
        return softmax(logits) if self.single else np.asarray(expit(logits), dtype=np.float64)
