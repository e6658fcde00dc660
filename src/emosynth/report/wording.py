"""Sentences that figures and pages share."""

from __future__ import annotations

from typing import Any

from emosynth.evidence.numbers import gain, gain_span, per_cent
from emosynth.params import Params


def level(params: Params) -> str:
    """Write the confidence of intervals: ``95 % interval``."""
    return f"{per_cent(params.evidence.confidence)} interval"


def gain_words(row: Any, params: Params) -> str:
    """Write a gain (of a contrast, or a row of a table of them) with its interval: ``+3.1 points of macro-F1 (95 % interval +1.0 to +5.2)``."""
    return f"{gain(row.gain if hasattr(row, 'gain') else row.effect)} points of macro-F1 ({level(params)} {gain_span(row.low, row.high)})"


def size(n: int) -> str:
    """Write a seed size so that it stays on one line."""
    return f"n\u00a0=\u00a0{n}"


INTERVALS = (
    "Intervals are over repeats (everything drawn anew) and test rows together; another corpus or another language model is not in them."
)
