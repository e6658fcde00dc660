"""Labels: from rated valence to classes, and from classes to phrases for prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

VALENCE_THREE = ("negative", "neutral", "positive")
VALENCE_TWO = ("negative", "positive")

NEUTRAL = 0.5
"""VADER's own bound of neutral: texts with a mean valence of at most this size are neutral, and the two-class scheme drops them."""


def valence_three(valence: float) -> str:
    """Return negative, neutral or positive for a mean valence in -4…4."""
    return valence_two(valence) or "neutral"


def valence_two(valence: float) -> str | None:
    """Return negative or positive; None for texts whose mean valence is within ±0.5, where raters see no opinion or disagree."""
    if abs(valence) <= NEUTRAL:
        return None
    return "positive" if valence > 0 else "negative"


def parse_valence(cell: str) -> float:
    """Return a valence as a number.

    Raises
    ------
    ValueError
        If it is no number in -4…4.
    """
    value = float(cell)
    if not math.isfinite(value) or abs(value) > 4:
        raise ValueError(f"{cell} is not in -4…4")
    return value


def phrases(classes: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return a natural phrase for each class: the one given, or the label with dashes and underscores as spaces."""
    return {label: given.get(label, label.replace("-", " ").replace("_", " ")) for label in classes}
