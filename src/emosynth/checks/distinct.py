"""Near-duplicates among the candidates of a cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.design.space import FloatArray
from emosynth.languages import spaced
from emosynth.pieces import Settings
from emosynth.text import grams

_ROWS = 512


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
    """Return for each text the largest Jaccard similarity of word 3-grams (`emosynth.text.grams`) to an earlier one: exact, by sparse products."""
    from scipy.sparse import csr_matrix

    sets = [grams(spaced(text)) for text in texts]
    column = {gram: number for number, gram in enumerate(dict.fromkeys(gram for some in sets for gram in sorted(some)))}
    sizes = np.array([len(some) for some in sets], dtype=np.int64)
    indices = np.array([column[gram] for some in sets for gram in sorted(some)], dtype=np.int64)
    table = csr_matrix((np.ones(len(indices), dtype=np.int32), indices, np.concatenate([[0], np.cumsum(sizes)])), (len(texts), len(column)))
    out = np.zeros(len(texts))
    for start in range(0, len(texts), _ROWS):
        shared = (table[start : start + _ROWS] @ table[: start + _ROWS].T).tocoo()
        own = shared.row + start
        earlier = shared.col < own
        first, second, both = own[earlier], shared.col[earlier], shared.data[earlier]
        np.maximum.at(out, first, both / (sizes[first] + sizes[second] - both))
    return out
