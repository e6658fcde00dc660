"""The number of words."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.checks.wording import content_words
from emosynth.design.space import FloatArray
from emosynth.pieces import Settings


class LengthSettings(Settings):
    """Bounds, both allowed."""

    min: int = Field(3, ge=1, description="words, at least; punctuation and emoji are none")
    max: int = Field(60, ge=1, description="words, at most")

    @model_validator(mode="after")
    def _ordered(self) -> LengthSettings:
        if self.min > self.max:
            raise ValueError("min must not be above max")
        return self


class LengthCheck(Check):
    """The number of words lies within bounds; the score is that number."""

    name = "length"
    label = "length"
    reason = "too short or too long"
    Settings = LengthSettings
    order = 10
    thresholds = frozenset({"min", "max"})

    def score(self, rows: Judged) -> FloatArray:
        """Return numbers of words."""
        return np.array([len(content_words(text)) for text in rows.texts], dtype=float)

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which numbers lie within the bounds."""
        return np.isnan(scores) | ((scores >= self.settings.min) & (scores <= self.settings.max))
