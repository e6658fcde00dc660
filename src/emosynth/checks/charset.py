"""Characters of other scripts."""

from __future__ import annotations

import re

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.design.space import FloatArray
from emosynth.pieces import Settings

# Typographic quotes, dashes and dots are punctuation of English, not a foreign script.
_PLAIN = re.compile(r"[\x00-\x7f‘’“”‐‑‒–—…]")


class CharsetSettings(Settings):
    """How much must be plain."""

    share: float = Field(0.9, gt=0, le=1, description="share of characters that must be ASCII, at least; a low one lets emoji through")


class CharsetCheck(Check):
    """Enough characters are ASCII (or typographic quotes, dashes, dots): keeps out other scripts and mojibake. The score is their share."""

    name = "charset"
    label = "characters"
    reason = "has foreign or broken characters"
    Settings = CharsetSettings
    main = "share"
    order = 30
    thresholds = frozenset({"share"})

    def score(self, rows: Judged) -> FloatArray:
        """Return shares of plain characters; 1 for an empty text."""
        return np.array([len(_PLAIN.findall(text)) / len(text) if text else 1.0 for text in rows.texts], dtype=float)

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which shares are large enough."""
        return np.isnan(scores) | (scores >= self.settings.share)
