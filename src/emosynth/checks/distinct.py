"""Near-duplicates among the candidates of a cell."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.design.space import FloatArray
from emosynth.languages import spaced
from emosynth.pieces import Settings
from emosynth.text import GRAM, grams

IntArray = npt.NDArray[np.int64]

_ROWS = 512
"""Texts of one sparse product, at most."""
_SHARED = 2_000_000
"""Pairs of equal grams of one product, at most, unless a single text has more: 16 bytes each."""


class DistinctSettings(Settings):
    """From when on a text is a duplicate."""

    similarity: float = Field(0.8, gt=0, le=1, description="Jaccard similarity of word 3-grams from which a later candidate is a duplicate")


class DistinctCheck(Check):
    """The text is no (near-)duplicate of an earlier candidate of its kind; the score is the largest similarity to one."""

    name = "distinct"
    label = "distinct"
    reason = "repeats an earlier candidate"
    citation = (
        "@article{jaccard1912, author={Jaccard, Paul}, title={The Distribution of the Flora in the Alpine Zone}, "
        "journal={New Phytologist}, volume={11}, number={2}, pages={37--50}, year={1912}}"
    )
    Settings = DistinctSettings
    main = "similarity"
    scope = "set"
    order = 70
    thresholds = frozenset({"similarity"})

    def score(self, rows: Judged) -> FloatArray:
        """Return largest similarities to an earlier candidate; 0 for the first."""
        scores = np.zeros(len(rows.rows))
        kinds = rows.rows["kind"].to_numpy()
        for kind in dict.fromkeys(kinds):
            places = np.flatnonzero(kinds == kind)
            scores[places] = largest_similarities([rows.texts[place] for place in places])
        return scores

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which texts differ enough."""
        return np.isnan(scores) | (scores < self.settings.similarity)


def largest_similarities(texts: Sequence[str]) -> FloatArray:
    """Return for each text the largest Jaccard similarity of word 3-grams (`emosynth.text.grams`) to an earlier one: exact, by sparse products.

    Memory grows with the texts by their words' numbers alone: a product is made for as many texts at once as `_SHARED` allows.
    """
    from scipy.sparse import csr_matrix

    column, sizes = _numbered(texts)
    frequency = np.bincount(column)
    shared = frequency[column] > 1  # a gram of one text alone says nothing but how many it has
    owner = np.repeat(np.arange(len(texts)), sizes)[shared]
    cost = np.bincount(owner, weights=frequency[column[shared]], minlength=len(texts)).cumsum()
    ends = np.concatenate([[0], np.bincount(owner, minlength=len(texts)).cumsum()])
    table = csr_matrix((np.ones(len(owner), dtype=np.int32), column[shared], ends), (len(texts), len(frequency)))
    out = np.zeros(len(texts))
    start = 0
    while start < len(texts):
        most = np.searchsorted(cost, (cost[start - 1] if start else 0) + _SHARED, side="right")
        stop = min(max(start + 1, int(most)), start + _ROWS, len(texts))
        found = (table[start:stop] @ table[:stop].T).tocoo()
        own = found.row + start
        earlier = found.col < own
        first, second, both = own[earlier], found.col[earlier], found.data[earlier]
        np.maximum.at(out, first, both / (sizes[first] + sizes[second] - both))
        start = stop
    return out


def _numbered(texts: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Return the number of each gram, text by text, and how many each text has; words are kept once, and grams as numbers alone."""
    words: dict[str, int] = {}
    flat, sizes = array("q"), np.zeros(len(texts), dtype=np.int64)
    for place, text in enumerate(texts):
        some = sorted(grams(spaced(text)))
        sizes[place] = len(some)
        for gram in some:  # 0 fills what a text of fewer words lacks
            flat.extend([words.setdefault(word, len(words) + 1) for word in gram] + [0] * (GRAM - len(gram)))
    parts = np.frombuffer(flat, dtype=np.int64).reshape(-1, GRAM)
    number = np.zeros(len(parts), dtype=np.int64)
    for part in parts.T:  # no product is too large: both factors are at most as many as there are grams or words
        number = np.unique(number * (len(words) + 1) + part, return_inverse=True)[1]
    return number, sizes
