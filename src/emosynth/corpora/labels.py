"""Labels: from rated valence to classes, and from classes to phrases for prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

CUTS = (-2.0, -0.5, 0.5, 2.0)
"""Valence at which the five classes are cut; a value on a cut belongs to the class below it."""

VALENCE_FIVE = ("very-negative", "negative", "neutral", "positive", "very-positive")
VALENCE_TWO = ("negative", "positive")

NEUTRAL = 0.5
"""Texts with a mean valence of at most this size carry no clear opinion: the two-class scheme drops them."""


def valence_five(valence: float) -> str:
    """Return one of five ordered classes for a mean valence in -4…4.

    The cuts at ±0.5 are VADER's own bounds of neutral (on its scale of words), those at ±2 halve what is left of each side.
    """
    return VALENCE_FIVE[sum(valence > cut for cut in CUTS)]


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
