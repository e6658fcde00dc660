"""Texts that a language model finds too predictable or too unlikely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.design.space import FloatArray
from emosynth.errors import UserError
from emosynth.pieces import Settings
from emosynth.progress import say

_PER_BIN = 30
"""Seed texts of like length that a text is compared with, at least (if the seed has as many)."""


class PerplexitySettings(Settings):
    """Bounds, both allowed."""

    bound: Literal["quantile", "absolute"] = Field(
        "quantile", description="quantile: bounds are quantiles of the seed texts of like length; absolute: bounds are perplexities"
    )
    low: float = Field(0.005, ge=0, description="below: too predictable (boilerplate, loops)")
    high: float = Field(0.99, gt=0, description="above: too unlikely (garbage)")

    @model_validator(mode="after")
    def _bounds(self) -> PerplexitySettings:
        if self.low >= self.high or (self.bound == "quantile" and self.high > 1):
            raise ValueError("low must be below high, and both quantiles within 0 to 1")
        return self


class PerplexityCheck(Check):
    """A reference language model finds the text neither too predictable nor too unlikely.

    The score is the perplexity per token (``absolute``), or its place among those of seed texts of like length (``quantile``): the
    quantile that it is there, −1 or 2 if it lies outside of all. So both bounds are thresholds, though lengths differ.
    """

    name = "perplexity"
    label = "perplexity"
    reason = "too predictable or too unlikely"
    citation = (
        "@article{jelinek1977, author={Jelinek, Fred and Mercer, Robert L. and Bahl, Lalit R. and Baker, James K.}, "
        "title={Perplexity: a measure of the difficulty of speech recognition tasks}, "
        "journal={Journal of the Acoustical Society of America}, volume={62}, number={S1}, pages={S63}, year={1977}}"
    )
    Settings = PerplexitySettings
    scope = "seed"
    dear = True
    order = 90
    thresholds = frozenset({"low", "high"})

    def prepare(self, cells: Sequence[Judged]) -> None:
        """Ask the model about the texts of all cells at once: cell by cell, the last batch of every length would be filled with blanks."""
        texts = [text for rows in cells for text in rows.texts]
        if self.settings.bound == "quantile":
            texts += [text for rows in cells for text in rows.seed_texts]
        if texts:
            cells[0].judge.reference().score(texts, say)

    def score(self, rows: Judged) -> FloatArray:
        """Return perplexities, or their places among the seed's."""
        nll, tokens = rows.judge.reference().score(rows.texts)
        if self.settings.bound == "absolute":
            return np.asarray(np.exp(nll), dtype=np.float64)
        if not len(rows.seed_texts):
            raise UserError(
                "Quantiles of perplexity need seed texts, and this seed has none.",
                where="checks: perplexity.bound", remedy="Set bound: absolute with perplexities as low and high.",
            )  # fmt: skip
        edges, known = by_length(*rows.judge.reference().score(rows.seed_texts))
        bins = np.searchsorted(edges, tokens)
        return np.array([place_among(known[number], value) for number, value in zip(bins, np.exp(nll), strict=True)], dtype=float)

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which scores lie within the bounds."""
        return np.isnan(scores) | ((scores >= self.settings.low) & (scores <= self.settings.high))


def by_length(nll: FloatArray, tokens: npt.NDArray[np.int64]) -> tuple[FloatArray, list[FloatArray]]:
    """Return perplexities of real texts in bins of like length; short texts are less predictable per token.

    Parameters
    ----------
    nll, tokens
        (n,) mean negative log-likelihoods (nats per token) and numbers of tokens, n at least 1.

    Returns
    -------
    edges
        Largest number of tokens of each bin, ascending; the last is infinite. A bin holds 30 texts or more, unless all do not.
    perplexities
        Of each bin, ascending.
    """
    edges: list[float] = []
    members: list[npt.NDArray[np.intp]] = []
    pending: list[npt.NDArray[np.intp]] = []
    for count in np.unique(tokens):
        pending.append(np.flatnonzero(tokens == count))
        if sum(map(len, pending)) >= _PER_BIN:
            edges.append(float(count))
            members.append(np.concatenate(pending))
            pending = []
    if pending and members:
        members[-1] = np.concatenate([members[-1], *pending])
    elif pending:
        edges, members = [np.inf], [np.concatenate(pending)]
    edges[-1] = np.inf
    return np.array(edges), [np.sort(np.exp(nll[rows])) for rows in members]


def place_among(known: FloatArray, value: float) -> float:
    """Return the q whose linear-interpolation quantile of ascending ``known`` is ``value``; −1 below all of them, 2 above."""
    if not known[0] <= value <= known[-1]:
        return -1.0 if value < known[0] else 2.0
    last = len(known) - 1
    low, high = int(np.searchsorted(known, value, "left")), int(np.searchsorted(known, value, "right")) - 1
    if low <= high:  # it is one of them; of several that are equal, the middle
        return (low + high) / 2 / last if last else 0.5
    return float(high + (value - known[high]) / (known[low] - known[high])) / last
