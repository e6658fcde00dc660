"""A transformer encoder with a multi-label head, trained on soft labels; its pooled states are emotion embeddings.

A text is an utterance, or a pair of a context and an utterance. Both are read together, but only the hidden states of the
*utterance's* own tokens are averaged: the emotion judged is the utterance's, and the context acts through attention alone
(the setting of Emo Pillars, Shvets 2025).
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from emosynth.cards import atomic
from emosynth.errors import UserError
from emosynth.models.classifiers import FloatArray
from emosynth.models.distil.encoder import _batches, keep_layers
from emosynth.models.encoders import ROWS, STEP, _hash_folder, _load, _mean, _pad, _seeded, warmed_optimiser
from emosynth.models.multilabel.rows import checked_mass, checked_targets
from emosynth.text import normalise

Text = str | tuple[str, str]
"""An utterance, or (context, utterance)."""

_HEADER = "emosynth"


@dataclass(frozen=True)
class EncoderSettings:
    """How a `MultiLabelEncoder` is trained.

    Attributes
    ----------
    layers
        First layers of the encoder that are kept; None: all.
    steps
        Gradient steps, whatever the number of rows.
    batch
        Rows in a step.
    learning_rate
        Of the encoder; the head's is ten times as high.
    max_tokens
        Longest input in tokens, special ones included.
    pos_weight
        None: positives and negatives count as they come. A number: the positive part of a label's loss is multiplied by
        its negative mass over its positive mass, kept between 1 and this number. Its probabilities are then no
        frequencies, and want thresholds.
    """

    layers: int | None = None
    steps: int = 400
    batch: int = 32
    learning_rate: float = 1e-4
    max_tokens: int = 64
    pos_weight: float | None = None

    def __post_init__(self) -> None:
        low = {"layers": 1, "steps": 1, "batch": 1, "max_tokens": 8, "pos_weight": 1}
        wrong = [name for name, least in low.items() if (value := getattr(self, name)) is not None and not value >= least]
        if wrong or not 0 < self.learning_rate < math.inf:
            raise UserError(
                f"A setting is out of range: {self}.", where=", ".join(wrong or ["learning_rate"]), remedy=f"Use at least {low}."
            )


@dataclass(frozen=True)
class EncoderState:
    """A trained encoder without its model folder.

    Attributes
    ----------
    labels
        k labels in the order of the columns.
    settings, seed
        What it was trained with.
    base
        SHA-256 of the model folder. The token embeddings are never trained; they stay there and are not kept here.
    tensors
        Trained parameters by name: those of the encoder ("encoder.…"), ``head.weight`` (k, d) and ``head.bias`` (k,).
    """

    labels: tuple[str, ...]
    settings: EncoderSettings
    seed: int
    base: str
    tensors: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file whose header holds everything else as JSON; equal states, equal bytes."""
        from safetensors.torch import save

        header = {"labels": list(self.labels), "settings": asdict(self.settings), "seed": self.seed, "base": self.base}
        # One entry: the order of several would differ from run to run.
        return bytes(save(dict(self.tensors), metadata={_HEADER: json.dumps(header, sort_keys=True, ensure_ascii=False)}))

    def save(self, path: Path) -> None:
        """Write `to_bytes` to ``path``, whole or not at all."""
        with atomic(path) as temporary:
            temporary.write_bytes(self.to_bytes())

    @classmethod
    def read(cls, path: Path) -> EncoderState:
        """Read a file that `save` wrote.

        Raises
        ------
        UserError
            If there is no such file, or it holds something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})[_HEADER])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return cls(tuple(header["labels"]), EncoderSettings(**header["settings"]), header["seed"], header["base"], tensors)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"This is not the state of a multi-label encoder: {error}.", where=str(path), remedy="Train it again, or name another file."
            ) from None


class _Input(NamedTuple):
    """Token ids, segment of each (0 or 1), and 1 where its hidden state is averaged."""

    ids: list[int]
    types: list[int]
    own: list[int]


class MultiLabelEncoder:
    """An encoder, the mean over the utterance's tokens, and a linear head with one logit per label.

    Trained end to end but for the token embeddings, with binary cross-entropy against soft labels. A row's loss is the
    mean over labels, times the row's weight; a batch's loss is the sum over rows divided by their number, so a batch of
    lightly weighted rows takes a small step. AdamW, linear warm-up over the first tenth of the steps, then linear decay;
    batches hold inputs of similar length. A new head starts with zero-mean small weights and at each label's base rate.

    Parameters
    ----------
    folder
        Local folder of a BERT-like encoder with a fast tokenizer.
    settings
        See `EncoderSettings`.
    labels
        k labels.
    seed
        Of the head's initial values, dropout and batches. Equal seeds and inputs give equal bytes on one machine.

    Notes
    -----
    An input that is too long loses the beginning of its context first, since what stands nearest to the utterance says
    most of it, and then the end of the utterance. An empty context is no context. Special tokens are not averaged,
    unless the utterance has no token of its own.
    """

    def __init__(self, folder: str | Path, settings: EncoderSettings, labels: Sequence[str], *, seed: int = 0) -> None:
        if not labels or len(set(labels)) != len(labels):
            raise UserError(f"The labels are {list(labels)}.", where="labels", remedy="Give at least one, and none twice.")
        self.folder = Path(folder)
        self.settings = settings
        self.labels = tuple(labels)
        self.seed = seed
        self._base = ""

    # --- the model ------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Load the untrained encoder and a head of zeros."""
        import torch

        self.tokenizer, self.encoder = _load(self.folder)
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
        self._base = self._base or _hash_folder(self.folder)

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
        return EncoderState(self.labels, self.settings, self.seed, self._base, tensors)

    def load_state(self, state: EncoderState) -> MultiLabelEncoder:
        """Become the encoder that ``state`` was taken from.

        Raises
        ------
        UserError
            If labels, layers or model folder differ.
        """
        if state.labels != self.labels:
            raise UserError(
                f"The state's labels are {list(state.labels)}, not {list(self.labels)}.",
                where="state",
                remedy="Give the same labels in the same order, or train with `start`.",
            )
        self._open()
        self._restore(state, head=True)
        return self

    def _need_fit(self) -> None:
        if not hasattr(self, "head"):
            raise UserError("The encoder has not been trained.", where="MultiLabelEncoder", remedy="Call fit or load_state first.")

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
        pooled = set(plain[-len(own.ids) :])
        return _Input(made.ids, made.type_ids, [int(place in pooled) for place in range(len(made.ids))])

    def _pool(self, inputs: Sequence[_Input], length: int, rows: int) -> Any:
        """Return the (rows, d) mean hidden states of the utterances' tokens; blank rows hold NaN."""
        ids, mask = _pad([one.ids for one in inputs], length, rows, self.tokenizer.pad_token_id or 0)
        options = {}
        if getattr(self.encoder.config, "type_vocab_size", 0) > 1:
            options["token_type_ids"] = _pad([one.types for one in inputs], length, rows, 0)[0]
        hidden = self.encoder(input_ids=ids, attention_mask=mask, **options).last_hidden_state
        return _mean(hidden, _pad([one.own for one in inputs], length, rows, 0)[0])

    # --- training -------------------------------------------------------------------------------------

    def fit(
        self,
        texts: Sequence[Text],
        targets: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        start: EncoderState | None = None,
        head_map: npt.ArrayLike | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> MultiLabelEncoder:
        """Train on n texts.

        Parameters
        ----------
        texts
            n utterances or pairs of context and utterance.
        targets
            (n, k) soft labels from 0 to 1.
        weights
            (n,) row weights, None: 1 for all; rows of weight 0 are left out.
        start
            State of an earlier stage to go on from. Its head is reused if it has the same labels, in any order.
        head_map
            (k_old, k) matrix for other labels: the logits start as the earlier logits times this matrix. Columns usually
            sum to 1 (a mean of earlier labels); a column of zeros starts anew. None: the whole head starts anew.
        progress
            Told how many steps are done, about ten times.

        Raises
        ------
        UserError
            If rows or columns differ in number, a target is NaN or outside 0 to 1, no row has a weight above 0, the
            folder holds no encoder or too few layers, or ``start`` or ``head_map`` does not fit.
        """
        import torch

        settings = self.settings
        goal, mass = checked_targets(targets, len(texts), len(self.labels)), checked_mass(weights, len(texts))
        kept = np.flatnonzero(mass > 0)
        goal, mass = goal[kept], mass[kept]
        mapped = self._mapping(start, head_map)
        factor = self._positive_factor(goal, mass)
        soft, weight = torch.tensor(goal, dtype=torch.float32), torch.tensor(mass, dtype=torch.float32)
        with _seeded(self.seed):
            self._open()
            inputs = self._inputs([texts[int(row)] for row in kept])
            self._start_head(goal, mass, factor)
            if start is not None:
                self._restore(start, head=False)
                self._reuse_head(start, mapped)
            criterion = torch.nn.BCEWithLogitsLoss(reduction="none", pos_weight=torch.tensor(factor, dtype=torch.float32))
            body, head = [p for p in self.encoder.parameters() if p.requires_grad], list(self.head.parameters())
            optimiser, schedule = warmed_optimiser(body, head, settings.learning_rate, settings.steps)
            self.encoder.train()
            lengths, draw = [len(one.ids) for one in inputs], random.Random(self.seed)
            for step, rows in enumerate(_batches(lengths, settings.batch, settings.steps, draw), start=1):
                length = STEP * math.ceil(max(lengths[row] for row in rows) / STEP)
                logits = self.head(self._pool([inputs[row] for row in rows], length, len(rows)))
                loss = (criterion(logits, soft[rows]).mean(dim=1) * weight[rows]).mean()
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
                optimiser.step()
                schedule.step()
                if progress and (step % max(1, settings.steps // 10) == 0 or step == settings.steps):
                    progress(f"multi-label encoder: step {step} of {settings.steps}")
        self.encoder.eval()
        return self

    def _positive_factor(self, goal: FloatArray, mass: FloatArray) -> FloatArray:
        """Return the (k,) factors of the positive part of the loss."""
        if self.settings.pos_weight is None:
            return np.ones(len(self.labels))
        positive, negative = mass @ goal, mass @ (1 - goal)
        return np.clip(negative / np.maximum(positive, 1e-12), 1.0, self.settings.pos_weight)

    def _start_head(self, goal: FloatArray, mass: FloatArray, factor: FloatArray) -> None:
        """Set the head to small random weights and to the base rates, smoothed by half a row on either side.

        From a bias of 0, rare labels cost hundreds of steps that teach nothing but their rarity (Lin et al. 2017, Focal
        Loss, section 3.3).
        """
        import torch

        rate = (mass @ goal + 0.5) / (mass.sum() + 1)
        with torch.no_grad():
            torch.nn.init.normal_(self.head.weight, std=0.02)
            self.head.bias.copy_(torch.tensor(logit(rate) + np.log(factor)))

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

        if mapped is None:
            return
        columns = np.flatnonzero(mapped.any(axis=0))
        turned = torch.tensor(mapped[:, columns].T, dtype=torch.float32)
        with torch.no_grad():
            self.head.weight[columns] = turned @ start.tensors["head.weight"]
            self.head.bias[columns] = turned @ start.tensors["head.bias"]

    # --- use ------------------------------------------------------------------------------------------

    def embed(self, texts: Sequence[Text]) -> npt.NDArray[np.float32]:
        """Return the (n, d) mean hidden states of the utterances' tokens, of any length: the emotion embeddings.

        A text's embedding depends on that text alone, but for rounding: batches have fixed shapes, as in
        `emosynth.models.encoders.Encoder`.
        """
        import torch

        self._need_fit()
        out = np.zeros((len(texts), int(self.encoder.config.hidden_size)), dtype=np.float32)
        inputs = self._inputs(texts)
        by_length: dict[int, list[int]] = {}
        for row, one in enumerate(inputs):
            by_length.setdefault(STEP * math.ceil(len(one.ids) / STEP), []).append(row)
        with torch.inference_mode():
            for length, members in sorted(by_length.items()):
                for first in range(0, len(members), ROWS):
                    rows = members[first : first + ROWS]
                    out[rows] = self._pool([inputs[row] for row in rows], length, ROWS)[: len(rows)].numpy()
        return out

    def logits(self, texts: Sequence[Text]) -> FloatArray:
        """Return (n, k) logits."""
        pooled = self.embed(texts).astype(np.float64)
        weight, bias = (value.detach().numpy().astype(np.float64) for value in (self.head.weight, self.head.bias))
        return np.asarray(pooled @ weight.T + bias, dtype=np.float64)

    def predict_proba(self, texts: Sequence[Text]) -> FloatArray:
        """Return (n, k) probabilities, each label's on its own."""
        return np.asarray(expit(self.logits(texts)), dtype=np.float64)
