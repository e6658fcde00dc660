"""A text is there."""

from __future__ import annotations

import numpy as np

from emosynth.checks.base import Check, Judged
from emosynth.design.space import FloatArray


class NonemptyCheck(Check):
    """The text holds at least one letter or emoji-like symbol."""

    name = "nonempty"
    label = "not empty"
    reason = "empty"
    order = 0

    def score(self, rows: Judged) -> FloatArray:
        """Return 1 where there is a text."""
        return np.array([any(not c.isspace() and (c.isalpha() or ord(c) > 0x2190) for c in text) for text in rows.texts], dtype=float)
