"""Sentence encoders on a CPU: embeddings with a cache, and fine-tuning.

Sentence embeddings are the mean of an encoder's last hidden states over a text's tokens, scaled to length 1
(Reimers and Gurevych, 2019, Sentence-BERT).
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emosynth.errors import UserError
from emosynth.models.classifiers import balanced_row_weights, checked_weights, label_indices
from emosynth.params import FineTuning
from emosynth.text import normalise

if TYPE_CHECKING:
    from emosynth.store import RowStore

FloatArray = npt.NDArray[np.float64]

# A text's embedding must not depend on its neighbours in a batch, or a cache would change results. Most processors give
# a row the same bits as long as the shapes are the same, some in the same place of a batch alone; so every batch has
# exactly ROWS rows (blank ones fill the last) and a length that is a multiple of STEP and depends on the text alone:
# what is left is rounding.
ROWS = 16
STEP = 8


def _hash_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json", "vocab.txt"):
        file = folder / name
        if file.is_file():
            digest.update(name.encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()


def _threads() -> int:
    return int(os.environ.get("EMOSYNTH_THREADS", 0)) or min(8, os.cpu_count() or 1)


def _load(folder: Path) -> tuple[Any, Any]:
    """Return tokenizer and model of a local folder."""
    import torch
    import transformers

    if not (folder / "config.json").is_file():
        raise UserError(
            "This is not a model folder: it has no config.json.", where=str(folder), remedy="Name a catalogue entry or a model folder."
        )
    torch.set_num_threads(_threads())
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"The encoder cannot be loaded: {reason}", where=str(folder), remedy="Fetch it again, or name another one."
        ) from None
    return tokenizer, model.eval()


class Encoder:
    """Sentence embeddings from a local model folder.

    Parameters
    ----------
    folder
        Folder with config.json, weights and tokenizer.
    max_tokens
        Longer texts are cut.

    Attributes
    ----------
    hash : str
        SHA-256 over configuration, weights and tokenizer; what cached embeddings are keyed by.
    """

    def __init__(self, folder: str | Path, max_tokens: int = 128) -> None:
        self.folder = Path(folder)
        self.max_tokens = max_tokens
        self.hash = hashlib.sha256(f"{_hash_folder(self.folder)}:{max_tokens}".encode()).hexdigest()
        self._loaded: tuple[Any, Any] | None = None

    def _parts(self) -> tuple[Any, Any]:
        if self._loaded is None:  # a full cache never needs the model
            self._loaded = _load(self.folder)
        return self._loaded

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (n, d) embeddings of length 1. A text's embedding depends on that text alone, but for rounding (1e-5)."""
        import torch

        tokenizer, model = self._parts()
        out = np.zeros((len(texts), int(model.config.hidden_size)), dtype=np.float32)
        if not len(texts):
            return out
        ids = tokenizer([normalise(text) for text in texts], truncation=True, max_length=self.max_tokens)["input_ids"]
        by_length: dict[int, list[int]] = {}
        for row, tokens in enumerate(ids):
            by_length.setdefault(STEP * math.ceil(len(tokens) / STEP), []).append(row)
        with torch.inference_mode():
            for length, members in sorted(by_length.items()):
                for start in range(0, len(members), ROWS):
                    rows = members[start : start + ROWS]
                    batch, mask = _pad([ids[row] for row in rows], length, ROWS, tokenizer.pad_token_id or 0)
                    hidden = model(input_ids=batch, attention_mask=mask).last_hidden_state
                    out[rows] = torch.nn.functional.normalize(_mean(hidden, mask), dim=1)[: len(rows)].numpy()
        return out


def _pad(ids: Sequence[Sequence[int]], length: int, rows: int, pad: int) -> tuple[Any, Any]:
    import torch

    batch = torch.full((rows, length), pad, dtype=torch.long)
    mask = torch.zeros((rows, length), dtype=torch.long)
    mask[len(ids) :, 0] = 1  # a blank row must attend to something, or it holds NaN
    for row, tokens in enumerate(ids):
        batch[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
        mask[row, : len(tokens)] = 1
    return batch, mask


def _mean(hidden: Any, mask: Any) -> Any:
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1)


class EmbeddingCache:
    """Embeddings kept by content, shared by stages and arms.

    Parameters
    ----------
    encoder
        Makes what is missing.
    store
        Where embeddings are kept (see `emosynth.store.RowStore`); None: in memory only.
    unit
        Texts embedded and committed at once; what a killed run loses at most.

    Notes
    -----
    The key is the SHA-256 of the encoder's hash and the exact text. Since an embedding depends on its text alone,
    results are the same with a full, a partial and no cache.
    """

    def __init__(self, encoder: Encoder, store: RowStore | None = None, unit: int = 512) -> None:
        self.encoder = encoder
        self.store = store
        self.unit = unit
        self._memory: dict[str, npt.NDArray[np.float32]] = {}

    @classmethod
    def open(cls, folder: str | Path, cache: Path, max_tokens: int = 128) -> EmbeddingCache:
        """Open the cache of an encoder under ``cache``/embeddings; one file per encoder."""
        from emosynth.store import RowStore

        encoder = Encoder(folder, max_tokens)
        return cls(encoder, RowStore(cache / "embeddings" / f"{encoder.hash[:16]}.jsonl"))

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self.encoder.hash}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()

    def embed(self, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> npt.NDArray[np.float32]:
        """Return (n, d) embeddings, making only those that are not kept yet."""
        keys = [self._key(text) for text in texts]
        missing: dict[str, str] = {}
        for key, text in zip(keys, texts, strict=True):
            if key in self._memory or key in missing:
                continue
            kept = self.store.get(key) if self.store is not None and key in self.store else None
            if kept is None:
                missing[key] = text
            else:
                self._memory[key] = np.frombuffer(base64.b64decode(kept), dtype="<f4")
        pending = sorted(missing.items(), key=lambda pair: (len(pair[1]), pair[1]))  # texts of like length fill batches
        for start in range(0, len(pending), self.unit):
            part = pending[start : start + self.unit]
            made = self.encoder.embed([text for _, text in part])
            for (key, _), row in zip(part, made, strict=True):
                self._memory[key] = row
            if self.store is not None:
                self.store.commit(
                    {key: base64.b64encode(row.astype("<f4").tobytes()).decode("ascii") for (key, _), row in zip(part, made, strict=True)}
                )
            if progress and len(pending) > self.unit:
                progress(f"embeddings: {min(start + self.unit, len(pending))} of {len(pending)}")
        if not keys:
            return self.encoder.embed([])
        return np.stack([self._memory[key] for key in keys])


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block, and leave the caller's random state as it was."""
    import torch

    state, deterministic = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_rng_state(state)
        torch.use_deterministic_algorithms(deterministic)


class FineTunedEncoder:
    """An encoder with a linear head on the mean of its hidden states, trained end to end.

    AdamW, linear warm-up over the first tenth of the steps, then linear decay. Each row's cross-entropy is
    multiplied by its weight *before* the mean over the batch is taken, and the mean divides by the number of rows: a
    batch of lightly weighted rows takes a small step, as it should.

    Parameters
    ----------
    folder
        Local model folder.
    settings
        Epochs, batch, learning rate, longest text.
    seed
        Of the head's initial values, dropout and batches. Equal seeds and inputs give equal models on one machine.
    freeze_embeddings
        Keep the token embeddings as they are: half of a small encoder's parameters, hardly touched by a few hundred
        rows, and costly for the optimiser.
    class_weight
        "balanced" as in `emosynth.models.classifiers.LinearHead`; hard labels only.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: FineTuning,
        *,
        seed: int = 0,
        freeze_embeddings: bool = True,
        class_weight: str = "balanced",
    ) -> None:
        self.folder = Path(folder)
        self.settings = settings
        self.seed = seed
        self.freeze_embeddings = freeze_embeddings
        self.class_weight = class_weight

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        made = self.tokenizer([normalise(text) for text in texts], truncation=True, max_length=self.settings.max_tokens)
        return list(made["input_ids"])

    def fit(
        self,
        texts: Sequence[str],
        targets: Sequence[Any] | FloatArray,
        classes: Sequence[str],
        weights: Sequence[float] | FloatArray | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> FineTunedEncoder:
        """Train on texts.

        Parameters
        ----------
        texts
            n training texts.
        targets
            n labels, or (n, k) probabilities as soft labels.
        classes
            k classes.
        weights
            n row weights; rows of weight 0 are left out.
        """
        import torch

        k = len(classes)
        mass = checked_weights(weights, len(texts))
        if isinstance(targets, np.ndarray) and targets.ndim == 2:
            soft = np.asarray(targets, dtype=np.float64)
            if soft.shape != (len(texts), k) or (soft < 0).any() or not np.allclose(soft.sum(axis=1), 1, atol=1e-4):
                raise ValueError("soft labels must be (n, k) probabilities")
            seen = soft[mass > 0].sum(axis=0) > 0
        else:
            positions = label_indices(targets, classes)
            soft = np.eye(k)[positions]
            seen = soft[mass > 0].sum(axis=0) > 0
            if self.class_weight == "balanced":
                mass = balanced_row_weights(positions, mass, k)
        keep = np.flatnonzero(mass > 0)
        if not len(keep):
            raise UserError("There is no training row with a weight above 0.", where="training rows", remedy="Check seeds and weights.")
        self.classes = list(classes)
        self.absent = np.flatnonzero(~seen)
        settings = self.settings
        self.tokenizer, self.encoder = _load(self.folder)
        ids = self._tokens([texts[int(i)] for i in keep])
        goal = torch.tensor(soft[keep], dtype=torch.float32)
        weight = torch.tensor(mass[keep], dtype=torch.float32)
        draw = random.Random(self.seed)
        with _seeded(self.seed):
            self.head = torch.nn.Linear(int(self.encoder.config.hidden_size), k)
            torch.nn.init.normal_(self.head.weight, std=0.02)
            torch.nn.init.zeros_(self.head.bias)
            if self.freeze_embeddings:
                for parameter in self.encoder.get_input_embeddings().parameters():
                    parameter.requires_grad_(False)
            parameters = [p for p in self.encoder.parameters() if p.requires_grad]
            total = settings.epochs * math.ceil(len(ids) / settings.batch)
            optimiser, schedule = warmed_optimiser(parameters, list(self.head.parameters()), settings.learning_rate, total)
            self.encoder.train()
            for epoch in range(settings.epochs):
                for rows in _bucketed([len(tokens) for tokens in ids], settings.batch, draw):
                    length = STEP * math.ceil(max(len(ids[row]) for row in rows) / STEP)
                    batch, mask = _pad([ids[row] for row in rows], length, len(rows), self.tokenizer.pad_token_id or 0)
                    logits = self.head(_mean(self.encoder(input_ids=batch, attention_mask=mask).last_hidden_state, mask))
                    losses = -(goal[rows] * torch.log_softmax(logits, dim=1)).sum(dim=1)
                    loss = (losses * weight[rows]).mean()
                    optimiser.zero_grad(set_to_none=True)
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_([*parameters, *self.head.parameters()], 1.0)
                    optimiser.step()
                    schedule.step()
                if progress:
                    progress(f"fine-tuning: epoch {epoch + 1} of {settings.epochs}")
        self.encoder.eval()
        return self

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities; a class that no training row had gets 0."""
        import torch

        k = len(self.classes)
        out = np.zeros((len(texts), k))
        if not len(texts):
            return out
        ids = self._tokens(texts)
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        with torch.inference_mode():
            for start in range(0, len(order), ROWS):
                rows = order[start : start + ROWS]
                length = STEP * math.ceil(max(len(ids[row]) for row in rows) / STEP)
                batch, mask = _pad([ids[row] for row in rows], length, len(rows), self.tokenizer.pad_token_id or 0)
                logits = self.head(_mean(self.encoder(input_ids=batch, attention_mask=mask).last_hidden_state, mask)).double()
                logits[:, self.absent] = -math.inf
                out[rows] = torch.softmax(logits, dim=1).numpy()
        return out


def _bucketed(lengths: Sequence[int], batch: int, draw: random.Random, window: int = 8) -> list[list[int]]:
    """Return one epoch of batches of rows of similar length: shuffled rows, sorted within windows, batches shuffled."""
    order = list(range(len(lengths)))
    draw.shuffle(order)
    batches = []
    for start in range(0, len(order), batch * window):
        part = sorted(order[start : start + batch * window], key=lambda row: lengths[row])
        batches += [part[i : i + batch] for i in range(0, len(part), batch)]
    draw.shuffle(batches)
    return batches


def warmed_optimiser(body: Sequence[Any], head: Sequence[Any], rate: float, steps: int) -> tuple[Any, Any]:
    """Return AdamW over a pre-trained encoder and a new head, and a schedule that warms up over a tenth of the steps and falls to 0.

    Parameters
    ----------
    body, head
        Parameters of the encoder that are trained, and of the head: that starts from nothing and takes steps ten times as large.
    rate
        Learning rate of the encoder.
    steps
        All steps.
    """
    import torch

    optimiser = torch.optim.AdamW([{"params": body, "lr": rate}, {"params": head, "lr": 10 * rate}], weight_decay=0.01)
    warm = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
    )
    return optimiser, schedule
