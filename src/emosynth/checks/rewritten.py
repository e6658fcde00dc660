"""Context-less texts that repeat their utterance."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.checks.wording import CONTEXTLESS, utterances_of
from emosynth.design.space import FloatArray
from emosynth.languages import spaced
from emosynth.pieces import Settings
from emosynth.text import grams, jaccard


class RewrittenSettings(Settings):
    """From when on a text is a repetition."""

    similarity: float = Field(0.8, gt=0, le=1, description="Jaccard similarity of word 3-grams from which a text repeats its utterance")


class RewrittenCheck(Check):
    """A context-less text is not its own utterance once more; the score is their similarity, NaN for other texts."""

    name = "rewritten"
    label = "rewritten"
    reason = "repeats its utterance instead of explaining it"
    Settings = RewrittenSettings
    main = "similarity"
    order = 65
    thresholds = frozenset({"similarity"})

    def score(self, rows: Judged) -> FloatArray:
        """Return similarities to the utterance; NaN for a text that is no rewriting."""
        found = zip(rows.texts, rows.rows["kind"], utterances_of(rows.rows), strict=True)
        return np.array(
            [jaccard(grams(spaced(text)), grams(spaced(said))) if kind == CONTEXTLESS else np.nan for text, kind, said in found],
            dtype=float,
        )

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which texts differ enough."""
        return np.isnan(scores) | (scores < self.settings.similarity)
