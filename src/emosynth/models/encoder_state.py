"""How a fine-tuned encoder is trained, and what is kept of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emosynth.errors import UserError
from emosynth.files import atomic
from emosynth.models.checked import FloatArray

_HEADER = "emosynth"


@dataclass(frozen=True)
class EncoderSettings:
    """How a `FineTunedEncoder` is trained.

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
    epochs
        Passes over the rows in place of ``steps``; None: ``steps`` holds.
    """

    layers: int | None = None
    steps: int = 400
    batch: int = 32
    learning_rate: float = 1e-4
    max_tokens: int = 64
    epochs: int | None = None

    def __post_init__(self) -> None:
        low = {"layers": 1, "steps": 1, "batch": 1, "max_tokens": 8, "epochs": 1}
        wrong = [name for name, least in low.items() if (value := getattr(self, name)) is not None and not value >= least]
        if wrong or not 0 < self.learning_rate < math.inf:
            raise UserError(
                f"A setting is out of range: {self}.", where=", ".join(wrong or ["learning_rate"]), remedy=f"Use at least {low}."
            )

    def steps_for(self, rows: int) -> int:
        """Return the gradient steps on so many rows."""
        return self.steps if self.epochs is None else self.epochs * math.ceil(rows / self.batch)


@dataclass(frozen=True)
class RowLoss:
    """What a row's loss is, besides target and weight.

    Attributes
    ----------
    teacher, alpha, temperature
        Of the distillation loss of `emosynth.models.loss`: (n, k) logits or log-probabilities, or None. Softmax heads only.
    batch_weights
        The flaw: the mean loss of a batch times its mean weight.
    balance
        (n,) factors of the whole loss, applied after weights were averaged, so that classes stay balanced; None: ones.
    """

    teacher: FloatArray | None = None
    alpha: float = 0.0
    temperature: float = 1.0
    batch_weights: bool = False
    balance: FloatArray | None = None


@dataclass(frozen=True)
class EncoderState:
    """A trained encoder without its model folder.

    Attributes
    ----------
    labels
        k labels in the order of the columns.
    single
        Whether its head is a softmax.
    absent
        Positions of classes that a softmax gives no probability.
    settings, seed
        What it was trained with.
    base
        SHA-256 of the model folder. The token embeddings are never trained; they stay there and are not kept here.
    tensors
        Trained parameters by name: those of the encoder ("encoder.…"), ``head.weight`` (k, d) and ``head.bias`` (k,).
    """

    labels: tuple[str, ...]
    single: bool
    absent: tuple[int, ...]
    settings: EncoderSettings
    seed: int
    base: str
    tensors: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file whose header holds everything else as JSON; equal states, equal bytes."""
        from safetensors.torch import save

        header = {name: value for name, value in vars(self).items() if name != "tensors"} | {"settings": asdict(self.settings)}
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
            settings = EncoderSettings(**header["settings"])
            return cls(
                tuple(header["labels"]), header["single"], tuple(header["absent"]), settings, header["seed"], header["base"], tensors
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"This is not the state of a fine-tuned encoder: {error}.", where=str(path), remedy="Train it again, or name another file."
            ) from None
