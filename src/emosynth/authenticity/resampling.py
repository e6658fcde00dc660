"""Resampling texts: permutations within length strata, nested half-samples of rates, subsamples at equal token counts.

Tokens of one text are not independent of each other, nor are texts written from one prompt or story in one repeat: spreads come from
`emosynth.stats.nested_orders`, and tests, which permute texts, are widened by what texts of one prompt have in common (`widening`).
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from emosynth.stats import Interval, Nest, nested_orders, percentile_interval, permutation_p

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

STRATA = 10
_CELLS = 4_000_000
"""Cells of one block of a resampling matrix: bounds memory, whatever the corpora's size."""


def seed_for(seed: int, *names: object) -> np.random.Generator:
    """Return a generator that depends on the seed and the names alone, so that one more arm leaves other arms' numbers alone."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode("utf-8", "replace")) for name in names)])


def length_strata(lengths: Integers, count: int = STRATA) -> Integers:
    """Return the stratum (0 to count - 1) of each text: quantiles of length, equal lengths together."""
    if not lengths.size:
        return np.zeros(0, dtype=np.int64)
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, count + 1)[1:-1]))
    return np.searchsorted(edges, lengths, side="left").astype(np.int64)


def matched(labels: Booleans, strata: Integers) -> int:
    """Return how many texts of one group have a partner of like length in the other: sum over strata of the smaller count."""
    count = int(strata.max()) + 1 if strata.size else 0
    return int(np.minimum(np.bincount(strata[labels], minlength=count), np.bincount(strata[~labels], minlength=count)).sum())


def permuted_labels(labels: Booleans, strata: Integers, permutations: int, generator: np.random.Generator) -> Booleans:
    """Return labels permuted within strata, shape (permutations + 1, texts); row 0 is the labels as observed."""
    texts = labels.size
    rows = np.empty((permutations + 1, texts), dtype=bool)
    rows[0] = labels
    by_stratum = labels[np.argsort(strata, kind="stable")]
    block = max(1, _CELLS // max(1, texts))
    for start in range(1, permutations + 1, block):
        stop = min(start + block, permutations + 1)
        order = np.argsort(strata + generator.random((stop - start, texts)), axis=1)
        np.put_along_axis(rows[start:stop], order, np.broadcast_to(by_stratum, order.shape), axis=1)
    return rows


def permuted_ratios(rows: Booleans, numerators: Floats, denominators: Floats) -> Floats:
    """Return sum of numerators over sum of denominators, True texts minus False texts, per row and column.

    Shapes: rows (labellings, texts); numerators and denominators (texts, measures); result (labellings, measures).
    NaN where a group's denominators sum to 0.
    """
    both = np.hstack([numerators, denominators])
    total = both.sum(axis=0)
    inside = np.empty((rows.shape[0], both.shape[1]))
    block = max(1, _CELLS // max(1, rows.shape[1]))
    for start in range(0, rows.shape[0], block):
        inside[start : start + block] = rows[start : start + block].astype(float) @ both
    outside = total - inside
    count = numerators.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = inside[:, :count] / inside[:, count:] - outside[:, :count] / outside[:, count:]
    difference[~np.isfinite(difference)] = np.nan
    return difference


def p_of_rows(statistics: Floats, wider: float = 1.0) -> tuple[float, float]:
    """Return the two-sided p of row 0 among all rows, and its distance from their mean.

    Distances are taken from the mean of all rows: within length strata the permuted difference is not centred at 0 if
    the corpora differ in length. The permuted spread is taken ``wider`` times.
    """
    observed, null = float(statistics[0]), statistics[1:]
    known = null[~np.isnan(null)]
    if math.isnan(observed) or not known.size:
        return math.nan, math.nan
    centre = float(np.append(known, observed).mean())
    return permutation_p((observed - centre) / wider, known - centre), observed - centre


def widening(nested: float, plain: float, other: float) -> float:
    """Return how many times wider a difference spreads than permuting texts says, at least 1: the root of the design effect.

    Parameters
    ----------
    nested, plain
        Variance of a group's value if prompts and repeats are drawn as wholes, and if texts are drawn one by one.
    other
        Variance of the other group's value, whose texts are independent.
    """
    ratio = (nested + other) / (plain + other) if plain + other > 0 else math.nan
    return math.sqrt(ratio) if ratio > 1 else 1.0


def half_ratios(numerators: Floats, denominators: Floats, nest: Nest, halves: int, generator: np.random.Generator) -> Floats:
    """Return ratios of sums over nested half-samples of the texts, shape (halves, measures); NaN over nothing."""
    texts, count = numerators.shape
    both = np.hstack([numerators, denominators])
    drawn = nested_orders(nest, halves, generator)[:, : max(1, texts // 2)]
    sums = np.empty((halves, both.shape[1]))
    block = max(1, _CELLS // max(1, texts))
    for start in range(0, halves, block):
        part = drawn[start : start + block]
        member = np.zeros((len(part), texts))
        np.put_along_axis(member, part, 1.0, axis=1)
        sums[start : start + block] = member @ both
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sums[:, :count] / sums[:, count:]
    ratios[~np.isfinite(ratios)] = np.nan
    return ratios


def ratio_variances(numerators: Floats, denominators: Floats) -> Floats:
    """Return the variance of each ratio of sums if texts are independent (linearised: Cochran 1977, section 6.4)."""
    texts = len(numerators)
    below = denominators.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = numerators - denominators * (numerators.sum(axis=0) / below)
        return np.asarray(texts / (texts - 1) * (residuals**2).sum(axis=0) / below**2)


def intervals_of(values: Floats, confidence: float) -> list[Interval]:
    """Return the percentile interval of each column."""
    return [percentile_interval(values[:, column], confidence) for column in range(values.shape[1])]


def orders(texts: int, count: int, generator: np.random.Generator) -> Integers:
    """Return ``count`` random orders of the texts, shape (count, texts)."""
    return np.argsort(generator.random((count, texts)), axis=1)


def sequences(parts: list[NDArray[np.int32]], chosen: list[Integers], size: int) -> tuple[NDArray[np.int32], Integers]:
    """Return the first ``size`` items of the parts joined in each chosen order.

    Returns
    -------
    matrix, shape (orders, size)
        Items; -1 where an order runs out of them.
    lengths, shape (orders,)
        Items in each row.
    """
    matrix = np.full((len(chosen), size), -1, dtype=np.int32)
    lengths = np.zeros(len(chosen), dtype=np.int64)
    sizes = np.array([part.size for part in parts], dtype=np.int64)
    for row, order in enumerate(chosen):
        needed = int(np.searchsorted(np.cumsum(sizes[order]), size)) + 1
        taken = [parts[text] for text in order[:needed]]
        if taken:
            joined = np.concatenate(taken)[:size]
            matrix[row, : joined.size] = joined
            lengths[row] = joined.size
    return matrix, lengths
