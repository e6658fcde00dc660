"""The end of a text."""

from __future__ import annotations

from emosynth.checks.base import Check, Judged
from emosynth.design.space import FloatArray


class CompleteCheck(Check):
    """The model ended the text itself."""

    name = "complete"
    label = "complete"
    reason = "cut off at the token limit"
    order = 20

    def score(self, rows: Judged) -> FloatArray:
        """Return 1 where the model ended the text."""
        return rows.rows["complete"].to_numpy(dtype=float)
