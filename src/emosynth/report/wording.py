"""Sentences that figures and pages share."""

from __future__ import annotations

import math
from typing import Any

from emosynth.evidence.numbers import count, gain, gain_span, per_cent
from emosynth.params import Params


def level(params: Params) -> str:
    """Write the confidence of intervals: ``95 % interval``."""
    return f"{per_cent(params.evidence.confidence)} interval"


def gain_words(row: Any, params: Params) -> str:
    """Write a gain with its interval: ``+3.1 points of macro-F1 (95 % interval +1.0 to +5.2)``."""
    return f"{gain(row.gain)} points of macro-F1 ({level(params)} {gain_span(row.low, row.high)})"


def worth(value: float) -> str:
    """Write what a gain is worth: further real labels that give as much."""
    if math.isnan(value):
        return "not known"
    if math.isinf(value):
        return "more than were tried"
    if value < -0.5:
        return f"{count(-value)} fewer labels"
    return "no label" if value < 0.5 else f"about {count(value)} labels"


def size(n: int) -> str:
    """Write a seed size so that it stays on one line."""
    return f"n\u00a0=\u00a0{n}"


INTERVALS = (
    "Intervals are over repeats (everything drawn anew) and test rows together; another corpus or another language model is not in them."
)
