"""Vocabulary richness at equal token counts.

The type-token ratio falls as a corpus grows, so corpora are compared on subsamples of the same number of tokens, drawn by
whole texts without replacement (with replacement, repeated texts lower diversity). Measures: TTR; HD-D (McCarthy and Jarvis 2007),
which is free of order and nearly of length; MATTR (Covington and McFall 2010) and MTLD (McCarthy and Jarvis 2010), which depend
on the order of texts and are therefore averaged over random orders.

Values of MATTR and MTLD come from the package ``lexicalrichness``. Permutation tests need them thousands of times: the functions
on matrices below give the same numbers for many sequences at once.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from emosynth.text import ngrams

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRAWS = 42
WINDOW = 50
FACTOR = 0.72
MEASURES = ("ttr", "hdd", "mattr", "mtld")


def ttr(tokens: Sequence[Hashable]) -> float:
    """Return types over tokens; NaN without tokens."""
    return len(set(tokens)) / len(tokens) if tokens else math.nan


def hdd(tokens: Sequence[Hashable], draws: int = DRAWS) -> float:
    """Return HD-D: the expected type-token ratio of ``draws`` tokens drawn without replacement; NaN for fewer tokens.

    Computed from how many types occur how often, which takes milliseconds where the sum over types takes seconds.
    """
    total = len(tokens)
    if total < draws:
        return math.nan
    spectrum = Counter(Counter(tokens).values())
    table = hdd_table(total, draws)
    return float(sum(types * table[frequency] for frequency, types in sorted(spectrum.items())))


def hdd_table(total: int, draws: int = DRAWS) -> Floats:
    """Return what a type of frequency 0, 1, …, total adds to HD-D: P(drawn at least once) / draws."""
    frequency = np.arange(total + 1, dtype=float)
    absent = np.zeros(total + 1)
    possible = frequency <= total - draws
    rest = total - frequency[possible]
    absent[possible] = np.exp(gammaln(rest + 1) - gammaln(rest - draws + 1) - gammaln(total + 1) + gammaln(total - draws + 1))
    absent[0] = 1.0
    return (1 - absent) / draws


def mattr(tokens: Sequence[str], window: int = WINDOW) -> float:
    """Return the mean type-token ratio of all windows (``lexicalrichness``); NaN for fewer tokens than the window."""
    return float(_lexical(tokens).mattr(window_size=window)) if len(tokens) >= window else math.nan


def mtld(tokens: Sequence[str], factor: float = FACTOR) -> float:
    """Return MTLD, mean of both directions (``lexicalrichness``); NaN without tokens."""
    return float(_lexical(tokens).mtld(threshold=factor)) if tokens else math.nan


def _lexical(tokens: Sequence[str]):  # type: ignore[no-untyped-def]
    # Imported here: it pulls in pyplot.
    from lexicalrichness import LexicalRichness

    # A copy, since the list is kept by reference; no pre-processing, since that mangles contractions and emoji.
    return LexicalRichness(list(tokens), preprocessor=None, tokenizer=None)


# --- many sequences at once -----------------------------------------------------------------------


def all_measures(matrix: NDArray[np.int32], lengths: Integers) -> Floats:
    """Return TTR, HD-D, MATTR-50 and MTLD of each row, shape (rows, 4); NaN where a row is too short.

    ``matrix``: (rows, tokens); token numbers, -1 after the end of a row. ``lengths``: (rows,); tokens in each row.
    """
    previous = previous_occurrence(matrix)
    result = np.empty((matrix.shape[0], len(MEASURES)))
    present = np.arange(matrix.shape[1]) < lengths[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        result[:, 0] = ((previous < 0) & present).sum(axis=1) / lengths
    tables: dict[int, Floats] = {}
    for row, length in enumerate(lengths.tolist()):
        if length < DRAWS:
            result[row, 1] = math.nan
            continue
        if length not in tables:
            tables[length] = hdd_table(length)
        result[row, 1] = tables[length][np.bincount(matrix[row, :length])].sum()
    result[:, 2] = _mattr_rows(previous, lengths)
    forward = _mtld_rows(previous, lengths)
    backward = _mtld_rows(previous_occurrence(_reversed_rows(matrix, lengths)), lengths)
    result[:, 3] = (forward + backward) / 2
    return result


def previous_occurrence(matrix: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return where each token last occurred before in its row; -1 for a first occurrence. Padding is of no meaning."""
    keys = matrix.astype(np.uint16) if matrix.size and matrix.max() < 2**16 - 1 else matrix  # 16 bits sort several times faster
    order = np.argsort(keys, axis=1, kind="stable")
    ranked = np.take_along_axis(keys, order, axis=1)
    before = np.full(matrix.shape, -1, dtype=np.int32)
    before[:, 1:] = np.where(ranked[:, 1:] == ranked[:, :-1], order[:, :-1], -1)
    previous = np.empty_like(before)
    np.put_along_axis(previous, order, before, axis=1)
    return previous


def _reversed_rows(matrix: NDArray[np.int32], lengths: Integers) -> NDArray[np.int32]:
    position = lengths[:, None] - 1 - np.arange(matrix.shape[1])
    turned = np.take_along_axis(matrix, np.maximum(position, 0), axis=1)
    return np.where(position >= 0, turned, -1).astype(np.int32)


def _mattr_rows(previous: NDArray[np.int32], lengths: Integers, window: int = WINDOW) -> Floats:
    # A token is a new type in those windows that hold it but not its previous occurrence: count these windows.
    position = np.arange(previous.shape[1])
    last = np.minimum(position, (lengths - window)[:, None])
    first = np.maximum(np.maximum(previous + 1, position - window + 1), 0)
    fresh = np.where(position < lengths[:, None], np.maximum(last - first + 1, 0), 0).sum(axis=1)
    windows = lengths - window + 1
    return np.where(windows > 0, fresh / (window * np.maximum(windows, 1)), np.nan)


def _mtld_rows(previous: NDArray[np.int32], lengths: Integers, factor: float = FACTOR) -> Floats:
    rows, size = previous.shape
    columns = np.ascontiguousarray(previous.T)
    start = np.zeros(rows, dtype=np.int32)
    types = np.zeros(rows)
    count = np.zeros(rows)
    ratio = np.ones(rows)
    factors = np.zeros(rows)
    shortest = int(lengths.min()) if rows else 0
    for position in range(size):
        fresh = columns[position] < start
        if position < shortest:
            types += fresh
            count += 1
        else:
            active = position < lengths
            types += fresh & active
            count += active
        np.divide(types, count, out=ratio, where=count > 0)
        full = (ratio <= factor) & (count > 0)
        if full.any():
            factors += full
            start[full] = position + 1
            types[full] = 0
            count[full] = 0
    rest = count > 0
    factors[rest] += (1 - ratio[rest]) / (1 - factor)
    factors[factors == 0] = 1  # no token repeated: one factor as long as the text
    return np.where(lengths > 0, lengths / factors, np.nan)


# --- form-level repetition: within a corpus, against the seed, and as seen by a compressor ---
# Self-repetition is the share of the texts' word 4-grams that another text of the corpus holds too (after Salkar et al. 2022).
# Real text repeats itself as well, and the more of it there is the more: all three are read beside real text of equal amount.

SELF = 4
NOVEL = 3


def self_repetition(gram_sets: Sequence[NDArray[np.int32]]) -> float:
    """Return the share of (text, gram) pairs whose gram occurs in more than one text; NaN without. A set: a text's different 4-grams."""
    grams = np.concatenate(gram_sets) if len(gram_sets) else np.zeros(0, dtype=np.int32)
    if not grams.size:
        return math.nan
    _, counts = np.unique(grams, return_counts=True)
    return float(counts[counts > 1].sum() / grams.size)


def seed_grams(texts: Sequence[Sequence[str]]) -> frozenset[tuple[str, ...]]:
    """Return all word 3-grams of the seed's texts, given as words."""
    return frozenset(gram for tokens in texts for gram in ngrams(tokens, NOVEL))


def count_novel(tokens: Sequence[str], known: frozenset[tuple[str, ...]]) -> tuple[int, int]:
    """Return how many of a text's word 3-grams the seed does not hold, and how many it has."""
    grams = ngrams(tokens, NOVEL)
    return sum(gram not in known for gram in grams), len(grams)


def gzip_ratio(data: bytes) -> float:
    """Return bytes over gzip-compressed bytes (level 6); NaN without bytes. Comparable at equal numbers of bytes only."""
    return len(data) / len(zlib.compress(data, 6, wbits=31)) if data else math.nan
