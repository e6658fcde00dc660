"""The fine-tuned sentence encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from emosynth.catalog.kept import keep
from emosynth.design.rows import Rows, Stage, class_balance
from emosynth.design.space import FloatArray, Space
from emosynth.learners.base import Learner, LearnerSettings, Resources, Task
from emosynth.learners.choosing import Predictor, digest, mixed, with_threshold
from emosynth.progress import say

if TYPE_CHECKING:
    from emosynth.models.encoder import EncoderSettings, EncoderState, FineTunedEncoder


class FineTuningSettings(LearnerSettings):
    """Settings of the fine-tuned encoder."""

    layers: int | None = Field(2, ge=1, description="first layers of the encoder kept; None: all")
    first_steps: int = Field(600, ge=1, description="gradient steps of a stage that is learnt before another")
    steps: int = Field(300, ge=1, description="gradient steps of the last stage")
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(3e-4, gt=0, description="of the encoder; the head's is ten times as high")
    max_tokens: int = Field(64, ge=8, description="longer texts are cut")


@cache
def _code() -> str:
    """Return a hash of libraries and modules that make a state."""
    from emosynth.models import checked, encoder, encoder_state, loss, transformer

    files = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (checked, encoder, encoder_state, loss, transformer)]
    return digest([version("torch"), version("transformers"), version("tokenizers")], files)


@dataclass(frozen=True)
class _Start:
    """What a stage goes on from: a state, its key, and how its head maps into the stage's space."""

    state: EncoderState | None = None
    key: str = ""
    head: FloatArray | None = None

    def moved(self, stage: Stage) -> _Start:
        """Return the start of the stage after ``stage``."""
        if self.state is None or stage.to_next is None:
            return self
        matrix = stage.to_next.head()
        return _Start(self.state, self.key, matrix if self.head is None else self.head @ matrix)


class FineTuned(Learner):
    """The first layers of a sentence encoder, fine-tuned; a first stage is a pre-training, whose head is mapped into the next space.

    One pre-training serves all seeds: it has random seed 0, and its state is kept in the cache by content. Repeats therefore differ by
    seed rows and tuning, and by their own rows of the first stage. Nothing is chosen but the threshold of several labels, on a fifth of
    the seed that a second training leaves out.
    """

    name = "encoder"
    label = "Fine-tuned encoder"
    Settings: ClassVar[type[BaseModel]] = FineTuningSettings
    staged: ClassVar[bool] = True
    distils: ClassVar[bool] = True
    stepped: ClassVar[bool] = True
    embeds: ClassVar[bool] = False
    marker: ClassVar[str] = "D"

    def fit(self, stages: Sequence[Stage], task: Task, resources: Resources) -> Predictor:
        """Pre-train on all stages but the last, then tune on that; a lone stage of another space is a pre-training whose predictions are projected."""
        from emosynth.models.encoder import FineTunedEncoder

        last = stages[-1]
        start = _Start()
        for stage in stages[:-1]:
            if (stage.rows.weights > 0).any():
                start = self._pretrained(stage, start, resources)
            start = start.moved(stage)
        settings = self._settings(self.settings.steps + (self.settings.first_steps if task.steps == "both" and start.state is None else 0))

        def trained(rows: Rows) -> Callable[[Sequence[str]], FloatArray]:
            if last.to_next is not None:
                made = self._pretrained(Stage(rows, last.space), start, resources).state
                assert made is not None  # it was just trained
                return FineTunedEncoder(resources.encoder, made.settings, made.labels, single=made.single).load_state(made).predict_proba
            model = FineTunedEncoder(resources.encoder, settings, last.space.labels, single=last.space.single, seed=task.random_seed)
            return _train(model, rows, last.space, start).predict_proba

        return with_threshold(trained, last, last.rows, task)

    def _settings(self, steps: int) -> EncoderSettings:
        from emosynth.models.encoder import EncoderSettings

        own = self.settings
        return EncoderSettings(own.layers, steps, own.batch, own.learning_rate, own.max_tokens)

    def _pretrained(self, stage: Stage, start: _Start, resources: Resources) -> _Start:
        """Return the state after a stage; trained if the cache lacks it."""
        from emosynth.models.encoder import EncoderState, FineTunedEncoder

        settings, rows, space = self._settings(self.settings.first_steps), stage.rows, stage.space
        loss = [rows.alpha, rows.temperature, rows.batch_weights, *([] if rows.balance else ["unbalanced"])]
        key = digest(
            _code(), vars(settings), resources.encoder_hash, space.labels, space.single, rows.texts, rows.targets, rows.weights,
            rows.teacher, loss, start.key, start.head,
        )  # fmt: skip

        def make(work: Path) -> None:
            say(f"encoder: first stage on {len(rows)} rows")
            model = FineTunedEncoder(resources.encoder, settings, space.labels, single=space.single)
            _train(model, rows, space, start).state().save(work / "state.safetensors")

        folder = keep(resources.cache / "encoder" / key, make, "encoder: a first stage")
        return _Start(EncoderState.read(folder / "state.safetensors"), key)


def _train(model: FineTunedEncoder, rows: Rows, space: Space, start: _Start) -> FineTunedEncoder:
    """Train a model on rows, balanced here; a teacher is mixed into the targets of several labels."""
    from emosynth.models.encoder import RowLoss

    balance = None
    if not space.single:
        rows = mixed(rows, space)
    elif rows.balance:
        level = np.full(len(rows), rows.weights.mean()) if rows.batch_weights else rows.weights
        balance = class_balance(rows.targets, level)
    loss = RowLoss(rows.teacher, rows.alpha, rows.temperature, rows.batch_weights, balance)
    return model.fit(rows.texts, rows.targets, rows.weights, loss, start.state, start.head, progress=say)
