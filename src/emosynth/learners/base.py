"""What a learner is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from emosynth.design.rows import Stage
from emosynth.design.space import FloatArray, Space
from emosynth.pieces import Piece, Settings

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Resources:
    """What learners share.

    Attributes
    ----------
    embed
        Function from texts to (n, d) sentence embeddings of length 1, kept by content.
    encoder
        Folder of the encoder that is fine-tuned.
    encoder_hash
        Its identity.
    cache
        Folder for what is dear and shared, e.g. the state after a first stage.
    reader, catalog
        The language model that a learner may ask, and where it is found; empty and None: no learner of the profile does.
    """

    embed: Embed
    encoder: Path
    encoder_hash: str
    cache: Path
    reader: str = ""
    catalog: Any = None


@dataclass(frozen=True)
class Task:
    """What a model is trained for.

    Attributes
    ----------
    space
        Labels of the corpus that is predicted.
    seed_rows
        How many rows at the beginning of the last stage are the seed (0: none): settings are chosen by cross-validation on these.
    validation
        Texts and (n, k) labels that settings are chosen on instead; None: within the seed.
    folds
        Folds of the seed.
    random_seed
        Of the training: the repeat.
    steps
        ``one`` or ``both``: gradient steps of a fine-tuned learner in its last stage, see `emosynth.params.Mix`.
    """

    space: Space
    seed_rows: int
    validation: tuple[list[str], FloatArray] | None
    folds: int
    random_seed: int
    steps: str = "one"


class Fitted(Protocol):
    """A trained model."""

    chosen: dict[str, float]
    """Settings that were chosen, e.g. ``{"c": 3.0}``; ``threshold`` where rows may have several labels."""

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities in the task's space: rows sum to 1 if it is single-label."""
        ...


class LearnerSettings(Settings):
    """Settings of every learner: the part of the design it is run on (None: all of it)."""

    corpora: list[str] | None = None
    sizes: list[int] | Literal["largest"] | None = None
    repeats: int | None = Field(None, ge=1)
    arms: list[str] | None = Field(None, description="arms by name; name:unverified for an arm's rows as written")


class Learner(Piece):
    """A classifier that is trained on the rows of an arm.

    Attributes
    ----------
    staged
        Whether rows of another space can be learnt first (``mix.order: first``); if not, such arms are not offered for it.
    distils
        Whether its loss takes the teacher's log-probabilities at a temperature; if not, they are mixed into targets at temperature 1.
    stepped
        Whether it is trained by gradient steps, so that longer training is an arm of its own (``mix.steps: both``).
    trained
        How it is trained, if neither to its optimum nor as a stepped one; the report has a row for the best classifier of each way.
    own_cores
        Whether it uses all cores itself, and so is not trained beside others.
    seed_only
        Whether it is shown rows of the seed and trained on none: then it is offered for the seed alone, and may ask `Resources.reader`.
    embeds
        Whether it may ask for sentence embeddings; if not, none are made for it beforehand.
    caveat
        What must be known where its scores are ahead of others, as the rest of a sentence; the report says it there.
    marker
        Matplotlib marker in figures.
    """

    kind: ClassVar[str] = "learner"
    Settings: ClassVar[type[BaseModel]] = LearnerSettings
    staged: ClassVar[bool] = False
    distils: ClassVar[bool] = False
    stepped: ClassVar[bool] = False
    trained: ClassVar[str] = ""
    own_cores: ClassVar[bool] = False
    seed_only: ClassVar[bool] = False
    embeds: ClassVar[bool] = True
    caveat: ClassVar[str] = ""
    marker: ClassVar[str] = "o"

    @classmethod
    def must(cls) -> tuple[str, ...]:
        return ("fit",)

    def fit(self, stages: Sequence[Stage], task: Task, resources: Resources) -> Fitted:
        """Train on one stage after the other; the last is in the task's space, or mapped into it."""
        raise NotImplementedError

    def asks(self, resources: Resources) -> str:
        """Return what can change its predictions besides rows, settings, code and encoder, e.g. another model that it asks; mostly nothing."""
        return ""

    def training_identity(self) -> dict[str, Any]:
        """Return what can change a model besides its rows: settings without the part of the design."""
        return {"learner": self.name, **self.settings.model_dump(mode="json", exclude=set(LearnerSettings.model_fields))}
