"""Resampling texts: permutations within length strata, nested half-samples of rates, subsamples at equal token counts.

Tokens of one text are not independent of each other, nor are texts written from one prompt or story in one repeat: spreads come from
`emosynth.stats.nested_orders`, and tests, which permute texts, are widened by what texts of one prompt have in common (`widening`).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emosynth.stats import Nest, nested_orders, permutation_p

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
    for part in _blocks(permutations, texts):
        order = np.argsort(strata + generator.random((part.stop - part.start, texts)), axis=1)
        np.put_along_axis(rows[1:][part], order, np.broadcast_to(by_stratum, order.shape), axis=1)
    return rows


def permuted_ratios(rows: Booleans, numerators: Floats, denominators: Floats) -> Floats:
    """Return (labellings, measures) ratios of sums over True texts minus those over False ones; NaN where denominators sum to 0."""
    both = np.hstack([numerators, denominators])
    inside = np.empty((len(rows), both.shape[1]))
    for part in _blocks(len(rows), rows.shape[1]):
        inside[part] = rows[part].astype(float) @ both
    return ratios(*np.hsplit(inside, 2)) - ratios(*np.hsplit(both.sum(axis=0) - inside, 2))


def ratios(numerators: Floats, denominators: Floats) -> Floats:
    """Return quotients; NaN over nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = numerators / denominators
    return np.where(np.isfinite(found), found, np.nan)


def _blocks(count: int, texts: int) -> Iterator[slice]:
    block = max(1, _CELLS // max(1, texts))
    return (slice(start, min(start + block, count)) for start in range(0, count, block))


def p_of_rows(statistics: Floats, wider: float = 1.0) -> tuple[float, float]:
    """Return the two-sided p of row 0 among all rows, and its distance from their mean; the permuted spread is taken ``wider`` times.

    Within length strata the permuted difference is not centred at 0 if the corpora differ in length.
    """
    observed, null = float(statistics[0]), statistics[1:]
    known = null[~np.isnan(null)]
    if math.isnan(observed) or not known.size:
        return math.nan, math.nan
    centre = float(np.append(known, observed).mean())
    return permutation_p((observed - centre) / wider, known - centre), observed - centre


def widening(nested: float, plain: float, other: float) -> float:
    """Return how many times wider a difference spreads than permuting texts says, at least 1: the root of the design effect.

    Variances: a group's value with prompts and repeats drawn whole, with texts drawn one by one, and the other group's.
    """
    ratio = (nested + other) / (plain + other) if plain + other > 0 else math.nan
    return math.sqrt(ratio) if ratio > 1 else 1.0


def half_ratios(numerators: Floats, denominators: Floats, nest: Nest, halves: int, generator: np.random.Generator) -> Floats:
    """Return ratios of sums over nested half-samples of the texts, shape (halves, measures); NaN over nothing."""
    texts, both = len(numerators), np.hstack([numerators, denominators])
    drawn = nested_orders(nest, halves, generator)[:, : max(1, texts // 2)]
    sums = np.empty((halves, both.shape[1]))
    for part in _blocks(halves, texts):
        member = np.zeros((part.stop - part.start, texts))
        np.put_along_axis(member, drawn[part], 1.0, axis=1)
        sums[part] = member @ both
    return ratios(*np.hsplit(sums, 2))


def ratio_variances(numerators: Floats, denominators: Floats) -> Floats:
    """Return the variance of each ratio of sums if texts are independent (linearised: Cochran 1977, section 6.4)."""
    texts = len(numerators)
    below = denominators.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = numerators - denominators * (numerators.sum(axis=0) / below)
        return np.asarray(texts / (texts - 1) * (residuals**2).sum(axis=0) / below**2)


def orders(texts: int, count: int, generator: np.random.Generator) -> Integers:
    """Return ``count`` random orders of the texts, shape (count, texts)."""
    return np.argsort(generator.random((count, texts)), axis=1)


def sequences(parts: list[NDArray[np.int32]], chosen: list[Integers], size: int) -> NDArray[np.int32]:
    """Return the first ``size`` items of the parts joined in each chosen order; -1 where an order runs out of them."""
    matrix = np.full((len(chosen), size), -1, dtype=np.int32)
    sizes = np.array([part.size for part in parts], dtype=np.int64)
    for row, order in enumerate(chosen):
        needed = int(np.searchsorted(np.cumsum(sizes[order]), size)) + 1
        taken = [parts[text] for text in order[:needed]]
        if taken:
            joined = np.concatenate(taken)[:size]
            matrix[row, : joined.size] = joined
    return matrix
