"""Texts that go round in circles."""

from __future__ import annotations

import re

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.checks.wording import content_words
from emosynth.design.space import FloatArray
from emosynth.pieces import Settings
from emosynth.text import ngrams

_SAME_WORDS = 4
_SAME_CHARACTERS = re.compile(r"(\S)\1{7}")


class RepetitionSettings(Settings):
    """How much repetition is allowed."""

    share: float = Field(0.3, ge=0, lt=1, description="share of a text's word 2-grams that may repeat earlier ones in it")


class RepetitionCheck(Check):
    """Few of the text's word 2-grams repeat earlier ones in it; the score is their share.

    A word 4 or more times in a row, or a character 8 or more times in a row, scores 1, which never passes.
    """

    name = "repetition"
    label = "no repetition"
    reason = "repeats itself"
    Settings = RepetitionSettings
    main = "share"
    order = 40
    thresholds = frozenset({"share"})

    def score(self, rows: Judged) -> FloatArray:
        """Return shares of repeated 2-grams."""
        return np.array([_repeated(text) for text in rows.texts], dtype=float)

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which shares are small enough."""
        return np.isnan(scores) | (scores <= self.settings.share)


def _repeated(text: str) -> float:
    found = content_words(text)
    if any(len(set(run)) == 1 for run in ngrams(found, _SAME_WORDS)) or _SAME_CHARACTERS.search(text) is not None:
        return 1.0
    grams = ngrams(found, 2)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
