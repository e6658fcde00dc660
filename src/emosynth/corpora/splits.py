"""Splits made once, by a fingerprint of each text: no random numbers, no dependence on the order of rows."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from emosynth import text as texts

fingerprint = functools.lru_cache(maxsize=200_000)(texts.fingerprint)
"""As `emosynth.text.fingerprint`: ids and splits of one corpus ask for the same ones."""
SPLITS = ("train", "validation", "test")


def position(text: str) -> float:
    """Return the place of a text in [0, 1), uniform over texts."""
    return int(fingerprint(text)[:13], 16) / 16**13


def split_of(text: str, fractions: Sequence[float]) -> str:
    """Return the split of a text; ``fractions`` are the shares of train, validation and test."""
    train, validation, _ = fractions
    place = position(text)
    if place < train:
        return "train"
    return "validation" if place < train + validation else "test"
