"""A small transformer as a student: the first layers of a sentence encoder, trained with the distillation loss."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emosynth.errors import UserError
from emosynth.models.classifiers import FloatArray
from emosynth.models.distil.loss import softmax, torch_distillation_loss
from emosynth.models.distil.rows import Rows, Weighting, check_settings, spread
from emosynth.models.encoders import ROWS, STEP, _bucketed, _load, _mean, _pad, _seeded, warmed_optimiser
from emosynth.params import TinyEncoder
from emosynth.text import normalise


def keep_layers(model: Any, layers: int, where: str) -> None:
    """Cut a transformer down to its first ``layers`` layers, in place.

    The layers are the longest ``ModuleList`` of the model. ``where`` names the model in errors.

    Raises
    ------
    UserError
        If the model has fewer layers, or no list of layers.
    """
    import torch

    stacks = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)}
    name = max(stacks, key=lambda name: len(stacks[name]), default=None)
    if name is None:
        raise UserError("This encoder has no list of layers to cut.", where=where, remedy="Use a BERT-like encoder.")
    if layers > len(stacks[name]):
        raise UserError(
            f"The encoder has {len(stacks[name])} layers, not {layers}.",
            where=where,
            remedy="Lower the number of layers (distillation.tiny.layers or transfer.encoder.layers).",
        )
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, stacks[name][:layers])
    if hasattr(model.config, "num_hidden_layers"):
        model.config.num_hidden_layers = layers  # some models count by this


def _batches(lengths: Sequence[int], batch: int, steps: int, draw: random.Random) -> Iterator[list[int]]:
    """Yield exactly ``steps`` batches from as many shuffled epochs as that takes."""
    made = 0
    while made < steps:
        for rows in _bucketed(lengths, batch, draw)[: steps - made]:
            made += 1
            yield rows


class EncoderStudent:
    """First layers of an encoder, mean over tokens, linear head; trained end to end but for the token embeddings.

    AdamW for a fixed number of steps, so that small and large training sets get equal training: linear warm-up over
    the first tenth, then linear decay. Batches hold texts of similar length.

    Parameters
    ----------
    folder
        Local folder of a BERT-like encoder.
    settings
        Layers, steps, rows in a batch, learning rate, longest text.
    seed
        Of the head's initial values, dropout and batches. Equal seeds and inputs give equal models on one machine.
    alpha, temperature, weighting
        See `emosynth.models.distil.distillation_loss`. The batch of ``weighting="batch"`` is one of these batches.
    balanced
        As in `emosynth.models.distil.LinearStudent`.

    Notes
    -----
    ``teacher`` in `fit` takes logits. Whoever passes probabilities there gets the published softmax over
    probabilities: the loss cannot tell them from logits.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: TinyEncoder,
        *,
        seed: int,
        alpha: float,
        temperature: float,
        weighting: Weighting = "row",
        balanced: bool = True,
    ) -> None:
        check_settings(alpha, temperature, weighting)
        self.folder = Path(folder)
        self.settings = settings
        self.seed = seed
        self.alpha = alpha
        self.temperature = temperature
        self.weighting: Weighting = weighting
        self.balanced = balanced

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        made = self.tokenizer([normalise(text) for text in texts], truncation=True, max_length=self.settings.max_tokens)
        return list(made["input_ids"])

    def _forward(self, ids: Sequence[Sequence[int]]) -> Any:
        """Return a (rows, k) tensor of logits."""
        length = STEP * math.ceil(max(map(len, ids)) / STEP)
        batch, mask = _pad(ids, length, len(ids), self.tokenizer.pad_token_id or 0)
        return self.head(_mean(self.encoder(input_ids=batch, attention_mask=mask).last_hidden_state, mask))

    def fit(
        self,
        texts: Sequence[str],
        targets: npt.ArrayLike,
        classes: Sequence[str],
        weights: npt.ArrayLike | None = None,
        teacher: npt.ArrayLike | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> EncoderStudent:
        """Train on n texts.

        Parameters
        ----------
        texts
            n training texts.
        targets
            (n,) positions of the hard labels in ``classes``.
        classes
            k classes.
        weights
            (n,) row weights, None: 1 for all; rows of weight 0 are left out.
        teacher
            (n, k) logits of the teacher; None: hard labels alone.
        progress
            Told how many steps are done, about ten times.

        Raises
        ------
        UserError
            If no row has a weight above 0, the folder holds no encoder, or it has too few layers.
        ValueError
            If shapes do not fit, or a value is out of range, NaN or infinite.
        """
        import torch

        settings, k = self.settings, len(classes)
        data = Rows.make(targets, k, weights, teacher, n=len(texts), alpha=self.alpha, weighting=self.weighting, balanced=self.balanced)
        self.classes = list(classes)
        self.absent = np.setdiff1d(np.arange(k), data.present)
        goal = torch.tensor(data.targets)
        guide = None if data.teacher is None else torch.tensor(data.teacher, dtype=torch.float32)
        draw = random.Random(self.seed)
        with _seeded(self.seed):
            self.tokenizer, self.encoder = _load(self.folder)
            keep_layers(self.encoder, settings.layers, str(self.folder))
            ids = self._tokens([texts[int(i)] for i in data.kept])
            self.head = torch.nn.Linear(int(self.encoder.config.hidden_size), k)
            torch.nn.init.normal_(self.head.weight, std=0.02)
            torch.nn.init.zeros_(self.head.bias)
            self.encoder.get_input_embeddings().requires_grad_(False)
            body, head = [p for p in self.encoder.parameters() if p.requires_grad], list(self.head.parameters())
            optimiser, schedule = warmed_optimiser(body, head, settings.learning_rate, settings.steps)
            self.encoder.train()
            for step, rows in enumerate(_batches([len(tokens) for tokens in ids], settings.batch, settings.steps, draw), start=1):
                # Averaging weights within a batch must not average away the balance of classes.
                mass = torch.tensor(spread(data.weights[rows], self.weighting) * data.balance[rows], dtype=torch.float32)
                loss = torch_distillation_loss(
                    self._forward([ids[row] for row in rows]),
                    None if guide is None else guide[rows],
                    goal[rows],
                    mass,
                    alpha=self.alpha,
                    temperature=self.temperature,
                )
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
                optimiser.step()
                schedule.step()
                if progress and (step % max(1, settings.steps // 10) == 0 or step == settings.steps):
                    progress(f"student: step {step} of {settings.steps}")
        self.encoder.eval()
        return self

    def logits(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) logits; -inf for classes absent in training."""
        import torch

        out = np.zeros((len(texts), len(self.classes)))
        ids = self._tokens(texts) if len(texts) else []
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        with torch.inference_mode():
            for start in range(0, len(order), ROWS):
                rows = order[start : start + ROWS]
                out[rows] = self._forward([ids[row] for row in rows]).double().numpy()
        out[:, self.absent] = -np.inf
        return out

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities; 0 for classes absent in training."""
        return softmax(self.logits(texts))
