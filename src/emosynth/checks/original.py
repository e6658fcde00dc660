"""Copies of what the model was shown."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.checks.wording import GRAM, content_words, overlap, utterances_of
from emosynth.design.space import FloatArray
from emosynth.pieces import Settings
from emosynth.text import ngrams

Grams = set[tuple[str, ...]]


class OriginalSettings(Settings):
    """From when on a text is a copy."""

    overlap: float = Field(
        0.6, gt=0, le=1, description="share of a text's word 4-grams found in its prompt, passage or seed that makes it a copy"
    )


class OriginalCheck(Check):
    """The text is not copied from its prompt or seed, nor from its passage; the score is the share of its word 4-grams that stand there.

    A text of fewer than four words is a copy if it is a whole text of the seed, or stands anywhere in its passage or in a narrative's
    prompt: "so happy" is nobody's. The prompt of a context-less text is taken without the utterance, which a rewriting may keep.
    """

    name = "original"
    label = "original"
    reason = "copies the seed, its prompt or its passage"
    Settings = OriginalSettings
    main = "overlap"
    scope = "seed"
    order = 60
    thresholds = frozenset({"overlap"})

    def score(self, rows: Judged) -> FloatArray:
        """Return shares of word 4-grams that are known."""
        known: Grams = set()
        for text in rows.seed_texts:
            tokens = content_words(text)
            # Shorter n-grams count only as whole texts.
            known.update([tuple(tokens)] if 0 < len(tokens) < GRAM else ngrams(tokens, GRAM))
        passages = rows.judge.passages() if (rows.rows["passage_id"] != "").any() else {}
        shown: dict[tuple[str, int], Grams] = {}
        scores = np.zeros(len(rows.rows))
        columns = (rows.texts, rows.rows["prompt"], rows.rows["kind"], rows.rows["passage_id"], utterances_of(rows.rows))
        for place, (text, prompt, kind, passage, utterance) in enumerate(zip(*columns, strict=True)):
            tokens = content_words(text)
            size = min(GRAM, len(tokens)) if kind else GRAM
            sources = [prompt.replace(utterance, "\n") if utterance else prompt, *([passages.get(passage, "")] if passage else [])]
            for source in sources if size else []:
                if (source, size) not in shown:
                    shown[source, size] = set(ngrams(content_words(source), size))
            scores[place] = overlap(tokens, known, *(shown[source, size] for source in sources if size))
        return scores

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which shares are too small for a copy."""
        return np.isnan(scores) | (scores < self.settings.overlap)
