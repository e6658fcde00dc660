"""Form-level repetition: within a corpus, against the seed, and as seen by a compressor.

Self-repetition is the share of the texts' word 4-grams that another text of the corpus holds too (after Salkar et al. 2022).
Real text repeats itself as well, and the more of it there is the more: all three are read beside real text of equal amount.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emosynth.text import ngrams

SELF = 4
NOVEL = 3


def self_repetition(gram_sets: Sequence[NDArray[np.int32]]) -> float:
    """Return the share of (text, gram) pairs whose gram occurs in more than one text; NaN without grams.

    Parameters
    ----------
    gram_sets
        For each text the numbers of its different 4-grams.
    """
    grams = np.concatenate(gram_sets) if len(gram_sets) else np.zeros(0, dtype=np.int32)
    if not grams.size:
        return math.nan
    ordered = np.sort(grams)
    same = ordered[1:] == ordered[:-1]
    repeated = np.zeros(ordered.size, dtype=bool)
    repeated[1:] |= same
    repeated[:-1] |= same
    return float(repeated.mean())


def seed_grams(texts: Sequence[Sequence[str]]) -> frozenset[tuple[str, ...]]:
    """Return all word 3-grams of the seed's texts, given as words."""
    return frozenset(gram for tokens in texts for gram in ngrams(tokens, NOVEL))


def count_novel(tokens: Sequence[str], known: frozenset[tuple[str, ...]]) -> tuple[int, int]:
    """Return how many of a text's word 3-grams the seed does not hold, and how many it has."""
    grams = ngrams(tokens, NOVEL)
    return sum(gram not in known for gram in grams), len(grams)


def gzip_ratio(data: bytes) -> float:
    """Return bytes over gzip-compressed bytes (level 6); NaN without bytes. Comparable at equal numbers of bytes only."""
    if not data:
        return math.nan
    return len(data) / len(zlib.compress(data, 6, wbits=31))
